/**
 * XSAVE-managed state: XCR0, the standard and the compacted area, and CPUID leaf 0Dh. Intel SDM
 * volume 1, chapter 13.
 */
import { type Cpu, defineHelper, type Lin } from "../cpu.ts";
import type { Insn, MemOperand } from "../insn.ts";
import * as S from "../state.ts";
import { Vec } from "../state.ts";
import { checkAreaAlignment, initFpu, loadX87, MXCSR_MASK, saveX87 } from "./x87_env.ts";

const CR0_TS = 8, CR4_OSXSAVE = 0x40000;
const MXCSR_RESET = 0x1f80;
/** State component numbers. */
const X87 = 0, SSE = 1, AVX = 2, OPMASK = 5, ZMM_HI256 = 6, HI16_ZMM = 7, PKRU = 9;
/** The components of AVX-512, which XCR0 has together. */
const AVX512 = 0xe0n;
const LEGACY_BYTES = 512, HEADER_BYTES = 64, AREA = LEGACY_BYTES + HEADER_BYTES;
const COMPACTED = 1n << 63n;

interface Component {
  readonly feature: string;
  /** Place in the standard area, which is processor-specific: Intel's. */
  readonly offset: number;
  readonly bytes: number;
}

/** Components outside the legacy area, by number. */
const COMPONENTS: ReadonlyMap<number, Component> = new Map([
  [AVX, { feature: "avx", offset: 576, bytes: 256 }],
  [OPMASK, { feature: "avx512f", offset: 1088, bytes: 64 }],
  [ZMM_HI256, { feature: "avx512f", offset: 1152, bytes: 512 }],
  [HI16_ZMM, { feature: "avx512f", offset: 1664, bytes: 1024 }],
  [PKRU, { feature: "pku", offset: 2688, bytes: 8 }],
]);

/** Features in CPUID.(EAX=0Dh,ECX=1):EAX, from bit 0 up. */
const INSTRUCTIONS = ["xsaveopt", "xsavec", "xgetbv1", "xsaves"] as const;

/** The bits of XCR0 that the CPU model allows. */
export function xcr0Allowed(cpu: Cpu): bigint {
  let m = 3n;
  for (const [n, c] of COMPONENTS) if (cpu.env.model.has(c.feature)) m |= 1n << BigInt(n);
  return m;
}

/** Size of a standard area for the components of `mask`. */
function standardBytes(mask: bigint): number {
  let size = AREA;
  for (const [n, c] of COMPONENTS) {
    if (mask >> BigInt(n) & 1n) size = Math.max(size, c.offset + c.bytes);
  }
  return size;
}

/** Where the components of a compacted area lie; none of ours is aligned to 64. */
function compactedLayout(mask: bigint): { at: Map<number, number>; size: number } {
  const at = new Map<number, number>();
  let size = AREA;
  for (const [n, c] of COMPONENTS) {
    if (!(mask >> BigInt(n) & 1n)) continue;
    at.set(n, size);
    size += c.bytes;
  }
  return { at, size };
}

/** CPUID leaf 0Dh. */
export function xsaveLeaf(
  cpu: Cpu,
  subleaf: number,
): { eax: number; ebx: number; ecx: number; edx: number } {
  const none = { eax: 0, ebx: 0, ecx: 0, edx: 0 };
  if (!cpu.env.model.has("xsave")) return none;
  const xcr0 = cpu.get64(S.XCR0), allowed = xcr0Allowed(cpu);
  if (subleaf === 0) {
    return {
      eax: Number(allowed & 0xffffffffn),
      ebx: standardBytes(xcr0),
      ecx: standardBytes(allowed),
      edx: 0,
    };
  }
  if (subleaf === 1) {
    let eax = 0;
    INSTRUCTIONS.forEach((f, bit) => eax |= cpu.env.model.has(f) ? 1 << bit : 0);
    return { ...none, eax, ebx: compactedLayout(xcr0).size };
  }
  const c = COMPONENTS.get(subleaf);
  if (c === undefined || !cpu.env.model.has(c.feature)) return none;
  return { ...none, eax: c.bytes, ebx: c.offset };
}

// ---- the components in the vCPU's state

const plus = (lin: Lin, n: number): Lin =>
  typeof lin === "bigint" ? BigInt.asUintN(64, lin + BigInt(n)) : (lin + n) >>> 0;

/** Vector registers the current mode reaches. */
const vectors = (cpu: Cpu): number => cpu.long ? 16 : 8;

function isZero(cpu: Cpu, offset: number, bytes: number): boolean {
  for (let at = offset >> 2; at < (offset + bytes) >> 2; at++) if (cpu.i32[at] !== 0) return false;
  return true;
}

/** Bit n set when component n is not in its initial configuration (XINUSE). */
function inUse(cpu: Cpu): bigint {
  let m = 0n;
  if (
    cpu.get32(S.FCW) !== 0x37f || cpu.get32(S.FSW) !== 0 || cpu.get32(S.FTOP) !== 0 ||
    (cpu.get32(S.FEMPTY) & 0xff) !== 0xff || !isZero(cpu, S.FPR, 128) ||
    !isZero(cpu, S.FIP, 28)
  ) m |= 1n;
  for (let n = 0; n < vectors(cpu); n++) {
    const at = S.XMM + S.XMM_SIZE * n;
    if (!isZero(cpu, at, 16)) m |= 2n;
    if (!isZero(cpu, at + 16, 16)) m |= 4n;
    if (!isZero(cpu, at + 32, 32)) m |= 1n << BigInt(ZMM_HI256);
  }
  if (!isZero(cpu, S.K, 64)) m |= 1n << BigInt(OPMASK);
  const high = S.XMM + 16 * S.XMM_SIZE;
  if (cpu.long && !isZero(cpu, high, 16 * S.XMM_SIZE)) m |= 1n << BigInt(HI16_ZMM);
  if (cpu.get32(S.PKRU) !== 0) m |= 1n << BigInt(PKRU);
  return m;
}

function saveVectors(cpu: Cpu, lin: Lin, half: 0 | 16): void {
  const mem = cpu.env.mem;
  for (let n = 0; n < vectors(cpu); n++) {
    const at = S.XMM + S.XMM_SIZE * n + half;
    mem.write64(plus(lin, 16 * n), cpu.get64(at));
    mem.write64(plus(lin, 16 * n + 8), cpu.get64(at + 8));
  }
}

/** @param lin undefined: the initial value */
function loadVectors(cpu: Cpu, lin: Lin | undefined, half: 0 | 16): void {
  const mem = cpu.env.mem;
  for (let n = 0; n < vectors(cpu); n++) {
    const at = S.XMM + S.XMM_SIZE * n + half;
    cpu.set64(at, lin === undefined ? 0n : mem.read64(plus(lin, 16 * n)));
    cpu.set64(at + 8, lin === undefined ? 0n : mem.read64(plus(lin, 16 * n + 8)));
  }
}

/** Places in the vCPU's state of a component that is copied as it is, and the bytes of each. */
function places(cpu: Cpu, n: number): { at: number[]; bytes: number } {
  const registers = (first: number, count: number, plus: number) =>
    Array.from({ length: count }, (_, k) => S.XMM + S.XMM_SIZE * (first + k) + plus);
  if (n === OPMASK) return { at: [S.K], bytes: 64 };
  if (n === ZMM_HI256) return { at: registers(0, vectors(cpu), 32), bytes: 32 };
  return { at: registers(16, cpu.long ? 16 : 0, 0), bytes: 64 };
}

function savePlaces(cpu: Cpu, n: number, lin: Lin): void {
  const { at, bytes } = places(cpu, n);
  at.forEach((from, k) => {
    for (let b = 0; b < bytes; b += 8) {
      cpu.env.mem.write64(plus(lin, k * bytes + b), cpu.get64(from + b));
    }
  });
}

function loadPlaces(cpu: Cpu, n: number, lin: Lin | undefined): void {
  const { at, bytes } = places(cpu, n);
  at.forEach((to, k) => {
    for (let b = 0; b < bytes; b += 8) {
      cpu.set64(to + b, lin === undefined ? 0n : cpu.env.mem.read64(plus(lin, k * bytes + b)));
    }
  });
}

/** Writes PKRU; cached translations depend on it. */
export function setPkru(cpu: Cpu, v: number): void {
  if (cpu.get32(S.PKRU) === (v | 0)) return;
  cpu.set32(S.PKRU, v);
  cpu.env.mem.flush();
}

function saveComponent(cpu: Cpu, n: number, lin: Lin): void {
  if (n === AVX) saveVectors(cpu, lin, 16);
  else if (n >= OPMASK && n <= HI16_ZMM) savePlaces(cpu, n, lin);
  else if (n === PKRU) cpu.env.mem.write64(lin, BigInt(cpu.getU32(S.PKRU)));
}

function loadComponent(cpu: Cpu, n: number, lin: Lin | undefined): void {
  if (n === AVX) loadVectors(cpu, lin, 16);
  else if (n >= OPMASK && n <= HI16_ZMM) loadPlaces(cpu, n, lin);
  else if (n === PKRU) setPkru(cpu, lin === undefined ? 0 : cpu.env.mem.read(lin, 4));
}

function initX87(cpu: Cpu): void {
  initFpu(cpu);
  cpu.u8.fill(0, S.FPR, S.FPR + 128);
}

// ---- instructions

function checkEnabled(cpu: Cpu): void {
  if (!(cpu.cr4 & CR4_OSXSAVE)) cpu.ud();
  if (cpu.cr0 & CR0_TS) cpu.fault(Vec.NM);
}

/** The area's address after its checks, and the components asked for. */
function begin(cpu: Cpu, i: Insn, write: boolean): { lin: Lin; asked: bigint } {
  checkEnabled(cpu);
  const m = i.operands[0] as MemOperand;
  const lin = cpu.linear(m.seg, cpu.ea(m), AREA, write);
  checkAreaAlignment(cpu, lin, 64);
  const mask = (BigInt(cpu.reg32(2)) << 32n) | BigInt(cpu.reg32(0));
  return { lin, asked: mask & cpu.get64(S.XCR0) };
}

function has(mask: bigint, n: number): boolean {
  return (mask >> BigInt(n) & 1n) !== 0n;
}

function save(form: "standard" | "optimized" | "compacted") {
  return (cpu: Cpu, i: Insn): void => {
    const { lin, asked } = begin(cpu, i, true), mem = cpu.env.mem;
    const compacted = form === "compacted";
    let used = inUse(cpu);
    // The compacted form keeps MXCSR with the SSE component.
    if (compacted && cpu.get32(S.MXCSR) !== MXCSR_RESET) used |= 2n;
    const layout = compacted ? compactedLayout(asked) : undefined;
    mem.checkWrite(lin, layout?.size ?? standardBytes(asked));
    const write = form === "standard" ? asked : asked & used;
    const header = plus(lin, LEGACY_BYTES);
    const old = compacted ? 0n : mem.read64(header);
    if (has(write, X87)) saveX87(cpu, lin, i.opSize === 64);
    if (compacted ? has(write, SSE) : asked & 6n) {
      mem.write(plus(lin, 24), 4, cpu.getU32(S.MXCSR));
      mem.write(plus(lin, 28), 4, MXCSR_MASK);
    }
    if (has(write, SSE)) saveVectors(cpu, plus(lin, 160), 0);
    for (const [n, c] of COMPONENTS) {
      if (has(write, n)) saveComponent(cpu, n, plus(lin, layout?.at.get(n) ?? c.offset));
    }
    mem.write64(header, (old & ~asked) | (used & asked));
    if (compacted) mem.write64(plus(header, 8), asked | COMPACTED);
  };
}

function restore(needCompacted: boolean) {
  return (cpu: Cpu, i: Insn): void => {
    const { lin, asked } = begin(cpu, i, false), mem = cpu.env.mem;
    mem.checkRead(lin, AREA);
    const header = plus(lin, LEGACY_BYTES), xcr0 = cpu.get64(S.XCR0);
    const present = mem.read64(header), layoutMask = mem.read64(plus(header, 8));
    const compacted = (layoutMask & COMPACTED) !== 0n;
    if (needCompacted && !compacted) cpu.gp(0);
    if (compacted) {
      if (!cpu.env.model.has("xsavec") && !cpu.env.model.has("xsaves")) cpu.gp(0);
      if (layoutMask & ~COMPACTED & ~xcr0 || present & ~layoutMask || present & COMPACTED) {
        cpu.gp(0);
      }
      for (let at = 16; at < HEADER_BYTES; at += 8) if (mem.read64(plus(header, at))) cpu.gp(0);
    } else if (present & ~xcr0 || layoutMask || mem.read64(plus(header, 16))) cpu.gp(0);
    const layout = compacted ? compactedLayout(layoutMask) : undefined;
    mem.checkRead(lin, layout?.size ?? standardBytes(asked));
    const load = asked & present;
    let mxcsr: number | undefined;
    if (compacted) {
      if (has(asked, SSE)) mxcsr = has(load, SSE) ? mem.read(plus(lin, 24), 4) : MXCSR_RESET;
    } else if (asked & 6n) mxcsr = mem.read(plus(lin, 24), 4);
    if (mxcsr !== undefined && (mxcsr & ~MXCSR_MASK) !== 0) cpu.gp(0);

    if (has(load, X87)) loadX87(cpu, lin, i.opSize === 64);
    else if (has(asked, X87)) initX87(cpu);
    if (mxcsr !== undefined) cpu.set32(S.MXCSR, mxcsr);
    if (has(asked, SSE)) loadVectors(cpu, has(load, SSE) ? plus(lin, 160) : undefined, 0);
    for (const [n, c] of COMPONENTS) {
      if (!has(asked, n)) continue;
      const at = layout?.at.get(n) ?? c.offset;
      loadComponent(cpu, n, has(load, n) ? plus(lin, at) : undefined);
    }
  };
}

function xgetbv(cpu: Cpu): void {
  if (!(cpu.cr4 & CR4_OSXSAVE)) cpu.ud();
  const n = cpu.reg32(1);
  let v = cpu.get64(S.XCR0);
  if (n === 1 && cpu.env.model.has("xgetbv1")) v &= inUse(cpu);
  else if (n !== 0) cpu.gp(0);
  cpu.setReg32(0, Number(v & 0xffffffffn));
  cpu.setReg32(2, Number(v >> 32n));
}

function xsetbv(cpu: Cpu): void {
  if (!(cpu.cr4 & CR4_OSXSAVE)) cpu.ud();
  const v = (BigInt(cpu.reg32(2)) << 32n) | BigInt(cpu.reg32(0));
  const avxAlone = has(v, AVX) && !has(v, SSE);
  const wide = v & AVX512, wideAlone = wide !== 0n && (wide !== AVX512 || !has(v, AVX));
  if (cpu.reg32(1) !== 0 || !has(v, X87) || avxAlone || wideAlone || v & ~xcr0Allowed(cpu)) {
    cpu.gp(0);
  }
  cpu.set64(S.XCR0, v);
  cpu.updateMode();
}

export function xsaveHelpers(): void {
  defineHelper("XSAVE", save("standard"));
  defineHelper("XSAVEOPT", save("optimized"));
  defineHelper("XSAVEC", save("compacted"));
  defineHelper("XRSTOR", restore(false));
  defineHelper("XRSTORS", restore(true));
  defineHelper("XGETBV", xgetbv);
  defineHelper("XSETBV", xsetbv);
  const pke = (cpu: Cpu): void => {
    if (!(cpu.cr4 & 0x400000)) cpu.ud();
    if (cpu.reg32(1) !== 0) cpu.gp(0);
  };
  defineHelper("RDPKRU", (cpu) => {
    pke(cpu);
    cpu.setReg32(0, cpu.getU32(S.PKRU));
    cpu.setReg32(2, 0);
  });
  defineHelper("WRPKRU", (cpu) => {
    pke(cpu);
    if (cpu.reg32(2) !== 0) cpu.gp(0);
    setPkru(cpu, cpu.reg32(0));
  });
}
