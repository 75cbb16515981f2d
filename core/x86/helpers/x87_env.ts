/**
 * FNSTENV, FLDENV, FNSAVE, FRSTOR, FXSAVE and FXRSTOR: the x87's state in memory in its four legacy
 * layouts, and with SSE's. Intel SDM volume 1, section 8.1.10 and 10.5.
 */
import { type Cpu, defineHelper, type Lin } from "../cpu.ts";
import type { Insn, MemOperand } from "../insn.ts";
import * as S from "../state.ts";
import { Mode } from "../state.ts";
import {
  errorCleared,
  type Ext,
  isEmpty,
  isZero,
  physical,
  settleFop,
  st,
  updateSummary,
} from "./x87.ts";
import { Sw } from "../semantics/softfloat.ts";

/** Bits of MXCSR that may be set. */
export const MXCSR_MASK = 0xffff;
const CR4_OSFXSR = 0x200;

export function addLin(lin: Lin, n: number): Lin {
  return typeof lin === "bigint" ? BigInt.asUintN(64, lin + BigInt(n)) : (lin + n) >>> 0;
}

export function statusWord(cpu: Cpu): number {
  return cpu.get32(S.FSW) | (cpu.get32(S.FTOP) << 11);
}
export function setStatusWord(cpu: Cpu, v: number): void {
  cpu.set32(S.FSW, v & ~0x3800 & 0xffff);
  cpu.set32(S.FTOP, (v >> 11) & 7);
  updateSummary(cpu);
}
export function setControlWord(cpu: Cpu, v: number): void {
  cpu.set32(S.FCW, (v & 0x1f3f) | 0x40);
}

/** The tag word: 0 valid, 1 zero, 2 special, 3 empty, for R0 in bits 1:0 up to R7. */
export function tagWord(cpu: Cpu): number {
  let w = 0;
  for (let i = 0; i < 8; i++) {
    const tag = isEmpty(cpu, i) ? 3 : tagOf(st(cpu, i));
    w |= tag << (2 * physical(cpu, i));
  }
  return w;
}
function tagOf(v: Ext): number {
  if (isZero(v)) return 1;
  const exp = v.h & 0x7fff;
  return exp === 0 || exp === 0x7fff || v.l < 1n << 63n ? 2 : 0;
}
function setTagWord(cpu: Cpu, w: number): void {
  let empty = 0;
  for (let n = 0; n < 8; n++) if (((w >> (2 * n)) & 3) === 3) empty |= 1 << n;
  cpu.set32(S.FEMPTY, empty);
}

/** Memory operand 0 of `bytes`, checked for the access as a whole. */
function area(cpu: Cpu, i: Insn, bytes: number, write: boolean): Lin {
  const m = i.operands[0] as MemOperand;
  const lin = cpu.linear(m.seg, cpu.ea(m), bytes, write);
  cpu.checkAlignment(lin, i.opSize === 16 ? 2 : 4);
  if (write) cpu.env.mem.checkWrite(lin, bytes);
  else cpu.env.mem.checkRead(lin, bytes);
  return lin;
}

/** Bytes of the environment for the instruction's operand size. */
const envBytes = (i: Insn): number => i.opSize === 16 ? 14 : 28;

/** Accesses 64 bits in words, of whose alignment alone the area's can tell. */
function writeParts(cpu: Cpu, lin: Lin, v: bigint): void {
  const mem = cpu.env.mem;
  if (!(cpu.mode & Mode.ALIGN)) return mem.write64(lin, v);
  for (let n = 0; n < 4; n++) {
    mem.write(addLin(lin, 2 * n), 2, Number(v >> BigInt(16 * n) & 0xffffn));
  }
}
function readParts(cpu: Cpu, lin: Lin): bigint {
  const mem = cpu.env.mem;
  if (!(cpu.mode & Mode.ALIGN)) return mem.read64(lin);
  let v = 0n;
  for (let n = 0; n < 4; n++) v |= BigInt(mem.read(addLin(lin, 2 * n), 2)) << BigInt(16 * n);
  return v;
}

/** Words of the environment in the order of the layout. */
function environment(cpu: Cpu, wide: boolean): number[] {
  settleFop(cpu);
  const fip = cpu.getU32(S.FIP), fdp = cpu.getU32(S.FDP);
  const fcs = cpu.get32(S.FCS) & 0xffff, fds = cpu.get32(S.FDS) & 0xffff;
  const fop = cpu.get32(S.FOP) & 0x7ff;
  const words = [cpu.get32(S.FCW), statusWord(cpu), tagWord(cpu)];
  if (cpu.protectedMode) {
    return wide ? [...words, fip, fcs | (fop << 16), fdp, fds] : [...words, fip, fcs, fdp, fds];
  }
  // Real and virtual-8086 mode: linear addresses, in two pieces.
  const ip = fip + fcs * 16, dp = fdp + fds * 16;
  return wide
    ? [...words, ip & 0xffff, ((ip >>> 16) << 12) | fop, dp & 0xffff, (dp >>> 16) << 12]
    : [...words, ip & 0xffff, ((ip >>> 4) & 0xf000) | fop, dp & 0xffff, (dp >>> 4) & 0xf000];
}

function storeEnvironment(cpu: Cpu, i: Insn, lin: Lin): void {
  const mem = cpu.env.mem, wide = i.opSize !== 16;
  environment(cpu, wide).forEach((w, n) => {
    if (!wide) return mem.write(addLin(lin, 2 * n), 2, w & 0xffff);
    // Reserved halves read as ones.
    const half = n < 3 || (cpu.protectedMode ? n === 6 : n === 3 || n === 5);
    mem.write(addLin(lin, 4 * n), 4, half ? (0xffff0000 | w) >>> 0 : w >>> 0);
  });
}

function loadEnvironment(cpu: Cpu, i: Insn, lin: Lin): void {
  const mem = cpu.env.mem, wide = i.opSize !== 16;
  const w: number[] = [];
  for (let n = 0; n < 7; n++) {
    w.push(wide ? mem.read(addLin(lin, 4 * n), 4) : mem.read(addLin(lin, 2 * n), 2));
  }
  setControlWord(cpu, w[0]);
  setStatusWord(cpu, w[1]);
  setTagWord(cpu, w[2]);
  let ip = w[3], cs = w[4] & 0xffff, dp = w[5], ds = w[6] & 0xffff, fop = 0;
  if (cpu.protectedMode) {
    if (wide) fop = (w[4] >>> 16) & 0x7ff;
  } else {
    const mask = wide ? 0x0ffff000 : 0xf000;
    fop = w[4] & 0x7ff;
    ip = (((w[4] & mask) << 4) | (w[3] & 0xffff)) >>> 0;
    dp = (((w[6] & mask) << 4) | (w[5] & 0xffff)) >>> 0;
    cs = ds = 0;
  }
  cpu.set64(S.FIP, BigInt(ip));
  cpu.set64(S.FDP, BigInt(dp));
  cpu.set32(S.FCS, cs);
  cpu.set32(S.FDS, ds);
  cpu.set32(S.FOP, fop);
}

defineHelper("FNSTENV", (cpu, i) => {
  storeEnvironment(cpu, i, area(cpu, i, envBytes(i), true));
  const pending = cpu.get32(S.FSW) & Sw.ES;
  cpu.set32(S.FCW, cpu.get32(S.FCW) | 0x3f);
  updateSummary(cpu);
  if (pending) errorCleared(cpu);
});

defineHelper("FLDENV", (cpu, i) => {
  loadEnvironment(cpu, i, area(cpu, i, envBytes(i), false));
});

/** As FNINIT. */
export function initFpu(cpu: Cpu): void {
  const pending = cpu.get32(S.FSW) & Sw.ES;
  cpu.set32(S.FCW, 0x37f);
  cpu.set32(S.FSW, 0);
  cpu.set32(S.FTOP, 0);
  cpu.set32(S.FEMPTY, 0xff);
  cpu.set64(S.FIP, 0n);
  cpu.set64(S.FDP, 0n);
  cpu.set32(S.FCS, 0);
  cpu.set32(S.FDS, 0);
  cpu.set32(S.FOP, 0);
  if (pending) errorCleared(cpu);
}

defineHelper("FNSAVE", (cpu, i) => {
  const head = envBytes(i), lin = area(cpu, i, head + 80, true);
  storeEnvironment(cpu, i, lin);
  for (let n = 0; n < 8; n++) {
    const v = st(cpu, n), at = head + 10 * n;
    writeParts(cpu, addLin(lin, at), v.l);
    cpu.env.mem.write(addLin(lin, at + 8), 2, v.h);
  }
  initFpu(cpu);
});

defineHelper("FRSTOR", (cpu, i) => {
  const head = envBytes(i), lin = area(cpu, i, head + 80, false);
  loadEnvironment(cpu, i, lin);
  for (let n = 0; n < 8; n++) {
    const at = S.FPR + 16 * physical(cpu, n);
    cpu.set64(at, readParts(cpu, addLin(lin, head + 10 * n)));
    cpu.view.setUint16(at + 8, cpu.env.mem.read(addLin(lin, head + 10 * n + 8), 2), true);
  }
});

// ---- FXSAVE

/**
 * An area of state must be a multiple of `align`. While alignment is checked, what is not even one of 4
 * is #AC, as on processors; the manual leaves the choice to them.
 */
export function checkAreaAlignment(cpu: Cpu, lin: Lin, align: 16 | 64): void {
  cpu.checkAlignment(lin, 4);
  if (BigInt(lin) & BigInt(align - 1)) cpu.gp(0);
}

function fxArea(cpu: Cpu, i: Insn, write: boolean): Lin {
  const m = i.operands[0] as MemOperand;
  const lin = cpu.linear(m.seg, cpu.ea(m), 512, write);
  checkAreaAlignment(cpu, lin, 16);
  if (write) cpu.env.mem.checkWrite(lin, 512);
  else cpu.env.mem.checkRead(lin, 512);
  return lin;
}

/**
 * Writes the x87 part of an FXSAVE or XSAVE area (bytes 0–23 and 32–159) as FXSAVE does.
 * @param wide REX.W: 64-bit instruction and data pointers without selectors
 */
export function saveX87(cpu: Cpu, lin: Lin, wide: boolean): void {
  const mem = cpu.env.mem;
  settleFop(cpu);
  mem.write(lin, 4, (cpu.get32(S.FCW) | (statusWord(cpu) << 16)) >>> 0);
  mem.write(
    addLin(lin, 4),
    4,
    ((~cpu.get32(S.FEMPTY) & 0xff) | ((cpu.get32(S.FOP) & 0x7ff) << 16)) >>> 0,
  );
  if (wide) {
    mem.write64(addLin(lin, 8), cpu.get64(S.FIP));
    mem.write64(addLin(lin, 16), cpu.get64(S.FDP));
  } else {
    mem.write(addLin(lin, 8), 4, cpu.getU32(S.FIP));
    mem.write(addLin(lin, 12), 4, cpu.get32(S.FCS) & 0xffff);
    mem.write(addLin(lin, 16), 4, cpu.getU32(S.FDP));
    mem.write(addLin(lin, 20), 4, cpu.get32(S.FDS) & 0xffff);
  }
  for (let n = 0; n < 8; n++) {
    const v = st(cpu, n);
    mem.write64(addLin(lin, 32 + 16 * n), v.l);
    mem.write64(addLin(lin, 40 + 16 * n), BigInt(v.h));
  }
}

/** Reads what {@link saveX87} writes. */
export function loadX87(cpu: Cpu, lin: Lin, wide: boolean): void {
  const mem = cpu.env.mem;
  const words = mem.read(lin, 4), tags = mem.read(addLin(lin, 4), 4);
  setControlWord(cpu, words & 0xffff);
  setStatusWord(cpu, words >>> 16);
  cpu.set32(S.FEMPTY, ~tags & 0xff);
  cpu.set32(S.FOP, (tags >>> 16) & 0x7ff);
  if (wide) {
    cpu.set64(S.FIP, mem.read64(addLin(lin, 8)));
    cpu.set64(S.FDP, mem.read64(addLin(lin, 16)));
    cpu.set32(S.FCS, 0);
    cpu.set32(S.FDS, 0);
  } else {
    cpu.set64(S.FIP, BigInt(mem.read(addLin(lin, 8), 4)));
    cpu.set32(S.FCS, mem.read(addLin(lin, 12), 2));
    cpu.set64(S.FDP, BigInt(mem.read(addLin(lin, 16), 4)));
    cpu.set32(S.FDS, mem.read(addLin(lin, 20), 2));
  }
  for (let n = 0; n < 8; n++) {
    const at = S.FPR + 16 * physical(cpu, n);
    cpu.set64(at, mem.read64(addLin(lin, 32 + 16 * n)));
    cpu.view.setUint16(at + 8, mem.read(addLin(lin, 40 + 16 * n), 2), true);
  }
}

/** XMM registers the current mode has. */
const xmmCount = (cpu: Cpu): number => cpu.long ? 16 : 8;

defineHelper("FXSAVE", (cpu, i) => {
  const lin = fxArea(cpu, i, true), mem = cpu.env.mem;
  saveX87(cpu, lin, i.opSize === 64);
  if (!(cpu.cr4 & CR4_OSFXSR)) return;
  mem.write(addLin(lin, 24), 4, cpu.getU32(S.MXCSR));
  mem.write(addLin(lin, 28), 4, MXCSR_MASK);
  for (let n = 0; n < xmmCount(cpu); n++) {
    const at = S.XMM + S.XMM_SIZE * n;
    mem.write64(addLin(lin, 160 + 16 * n), cpu.get64(at));
    mem.write64(addLin(lin, 168 + 16 * n), cpu.get64(at + 8));
  }
});

defineHelper("FXRSTOR", (cpu, i) => {
  const lin = fxArea(cpu, i, false), mem = cpu.env.mem;
  const sse = (cpu.cr4 & CR4_OSFXSR) !== 0;
  const mxcsr = mem.read(addLin(lin, 24), 4);
  if (sse && (mxcsr & ~MXCSR_MASK) !== 0) cpu.gp(0);
  const pending = cpu.get32(S.FSW) & Sw.ES;
  loadX87(cpu, lin, i.opSize === 64);
  if (pending && !(cpu.get32(S.FSW) & Sw.ES)) errorCleared(cpu);
  if (!sse) return;
  cpu.set32(S.MXCSR, mxcsr | 0);
  for (let n = 0; n < xmmCount(cpu); n++) {
    const at = S.XMM + S.XMM_SIZE * n;
    cpu.set64(at, mem.read64(addLin(lin, 160 + 16 * n)));
    cpu.set64(at + 8, mem.read64(addLin(lin, 168 + 16 * n)));
  }
});
