/** A vCPU's state as text, in QEMU's layout: `info registers`, `-d cpu`, KVM's failures. */
import type { Fpu, Segment, TableRegister, Vcpu } from "../accel.ts";
import type { AddressSpace } from "../memory/address_space.ts";

const CR0_PE = 1n, EFER_LMA = 1n << 10n;
const CODE_BYTES = 50, CODE_BEFORE = 20;

/** System descriptor types (SDM vol. 3A, table 3-2) in legacy and in IA-32e mode. */
const systemTypes = [
  "Reserved TSS16-avl LDT TSS16-busy CallGate16 TaskGate IntGate16 TrapGate16 " +
  "Reserved TSS32-avl Reserved TSS32-busy CallGate32 Reserved IntGate32 TrapGate32",
  "<hiword> Reserved LDT Reserved Reserved Reserved Reserved Reserved " +
  "Reserved TSS64-avl Reserved TSS64-busy CallGate64 Reserved IntGate64 TrapGate64",
].map((list) => list.split(" "));

export interface DumpOptions {
  /** x87 and SSE registers. */
  readonly fpu?: boolean;
  /** Code bytes around the instruction pointer, read from here. */
  readonly code?: AddressSpace;
  /** Show bits 19:16 of limits in segment flags, as QEMU does under its TCG and not under KVM. */
  readonly limitBits?: boolean;
  /** The A20 gate. Default: open. */
  readonly a20?: boolean;
}

/** Lines ending in newlines. Changes nothing of the vCPU. */
export function dumpCpu(vcpu: Vcpu, options: DumpOptions = {}): string {
  const r = vcpu.getRegs(), s = vcpu.getSregs(), d = vcpu.getDebugRegs();
  const lma = (s.efer & EFER_LMA) !== 0n, cs64 = lma && s.cs.l === 1;
  const protectedMode = (s.cr0 & CR0_PE) !== 0n;
  const wide = (v: bigint) => hex(v, 16), word = (v: bigint) => hex(v & 0xffffffffn, 8);
  const lines: string[] = [];
  if (cs64) {
    lines.push(
      `RAX=${wide(r.rax)} RBX=${wide(r.rbx)} RCX=${wide(r.rcx)} RDX=${wide(r.rdx)}`,
      `RSI=${wide(r.rsi)} RDI=${wide(r.rdi)} RBP=${wide(r.rbp)} RSP=${wide(r.rsp)}`,
      `R8 =${wide(r.r8)} R9 =${wide(r.r9)} R10=${wide(r.r10)} R11=${wide(r.r11)}`,
      `R12=${wide(r.r12)} R13=${wide(r.r13)} R14=${wide(r.r14)} R15=${wide(r.r15)}`,
    );
  } else {
    lines.push(
      `EAX=${word(r.rax)} EBX=${word(r.rbx)} ECX=${word(r.rcx)} EDX=${word(r.rdx)}`,
      `ESI=${word(r.rsi)} EDI=${word(r.rdi)} EBP=${word(r.rbp)} ESP=${word(r.rsp)}`,
    );
  }
  const events = vcpu.saveEvents() as { shadow?: number; smm?: boolean } | undefined;
  const halted = vcpu.mpState === "runnable" ? 0 : 1, shadow = events?.shadow ? 1 : 0;
  const smm = events?.smm ? 1 : 0;
  const cpl = protectedMode ? s.ss.dpl : 0, a20 = options.a20 === false ? 0 : 1;
  lines.push(
    (cs64 ? `RIP=${wide(r.rip)} RFL=` : `EIP=${word(r.rip)} EFL=`) +
      `${word(r.rflags)} [${flags(Number(r.rflags & 0xffffffffn))}] ` +
      `CPL=${cpl} II=${shadow} A20=${a20} SMM=${smm} HLT=${halted}`,
  );
  const segment = (name: string, g: Segment) => {
    const base = cs64 ? wide(g.base) : word(g.base),
      flags = segmentFlags(g, options.limitBits ?? false);
    const head = `${name}=${hex(g.selector, 4)} ${base} ${hex(g.limit, 8)} ${hex(flags, 8)}`;
    return protectedMode && g.present && !g.unusable ? `${head} ${describe(g, lma)}` : head;
  };
  const table = (name: string, t: TableRegister) =>
    `${name}=     ${cs64 ? wide(t.base) : word(t.base)} ${hex(t.limit, 8)}`;
  lines.push(
    segment("ES ", s.es),
    segment("CS ", s.cs),
    segment("SS ", s.ss),
    segment("DS ", s.ds),
    segment("FS ", s.fs),
    segment("GS ", s.gs),
    segment("LDT", s.ldt),
    segment("TR ", s.tr),
    table("GDT", s.gdt),
    table("IDT", s.idt),
  );
  const control = cs64 ? wide : word;
  lines.push(
    `CR0=${word(s.cr0)} CR2=${control(s.cr2)} CR3=${control(s.cr3)} CR4=${word(s.cr4)}`,
    d.db.map((v, i) => `DR${i}=${wide(v)} `).join(""),
    `DR6=${wide(d.dr6)} DR7=${wide(d.dr7)}`,
    `EFER=${wide(s.efer)}`,
  );
  if (options.fpu) lines.push(...fpuLines(vcpu.getFpu(), cs64));
  if (options.code) lines.push(codeLine(vcpu, options.code, s.cs.base, r.rip));
  return lines.map((l) => l + "\n").join("");
}

function hex(v: bigint | number, digits: number): string {
  return v.toString(16).padStart(digits, "0");
}

/** DF, OF, SF, ZF, AF, PF, CF. */
function flags(f: number): string {
  return [[10, "D"], [11, "O"], [7, "S"], [6, "Z"], [4, "A"], [2, "P"], [0, "C"]]
    .map(([bit, letter]) => (f >>> (bit as number)) & 1 ? letter : "-").join("");
}

/** The descriptor's second word without base, and with or without limit. */
function segmentFlags(g: Segment, limitBits: boolean): number {
  if (g.unusable) return 0;
  const limit = limitBits ? (g.limit >>> (g.g ? 12 : 0)) & 0xf0000 : 0;
  return (limit | g.type << 8 | g.s << 12 | g.dpl << 13 | g.present << 15 | g.avl << 20 |
    g.l << 21 |
    g.db << 22 | g.g << 23) >>> 0;
}

function describe(g: Segment, lma: boolean): string {
  const bit = (n: number, letter: string) => (g.type >>> n) & 1 ? letter : "-";
  const dpl = `DPL=${g.dpl} `;
  if (!g.s) return dpl + systemTypes[lma ? 1 : 0][g.type];
  if (g.type & 8) {
    const size = g.l ? "CS64" : g.db ? "CS32" : "CS16";
    return `${dpl}${size} [${bit(2, "C")}${bit(1, "R")}${bit(0, "A")}]`;
  }
  const size = g.db || lma ? "DS  " : "DS16";
  return `${dpl}${size} [${bit(2, "E")}${bit(1, "W")}${bit(0, "A")}]`;
}

/** Quadword `n` of an array of bytes. */
function quad(u8: Uint8Array, n: number): bigint {
  return new DataView(u8.buffer, u8.byteOffset).getBigUint64(8 * n, true);
}

/** The state components in XCR0 with which registers are shown in their whole width. */
const AVX = 6n, AVX512 = 0xe6n;

/** Vector and mask registers, as wide as XCR0 has them; 64-bit code has more. */
function vectorLines(f: Fpu, long: boolean): string[] {
  const { ymmHigh, zmmHigh, hi16Zmm, opmask, xcr0 = 0n } = f;
  const has = (components: bigint) => (xcr0 & components) === components;
  const count = long ? 16 : 8, lines: string[] = [];
  /** Quadwords of register `n` below 16, highest first. */
  const quads = (n: number, ...high: (readonly [u8: Uint8Array, count: number])[]) =>
    [...high, [f.xmm, 2] as const].flatMap(([u8, count]) =>
      Array.from({ length: count }, (_, k) => quad(u8, count * (n + 1) - 1 - k))
    );
  const line = (name: string, n: number, q: readonly bigint[]) =>
    `${name}${String(n).padStart(2, "0")}=${q.map((v) => hex(v, 16)).join(" ")}`;
  if (has(AVX512) && ymmHigh && zmmHigh && hi16Zmm && opmask) {
    const mask = (n: number) => line("Opmask", n, [quad(opmask, n)]);
    for (const n of [0, 4]) lines.push([0, 1, 2, 3].map((k) => mask(n + k)).join(" "));
    for (let n = 0; n < count; n++) {
      lines.push(line("ZMM", n, quads(n, [zmmHigh, 4], [ymmHigh, 2])));
    }
    for (let n = 16; long && n < 32; n++) {
      const at = 8 * (n - 16);
      lines.push(
        line("ZMM", n, [7, 6, 5, 4, 3, 2, 1, 0].map((k) => quad(hi16Zmm, at + k))),
      );
    }
  } else if (has(AVX) && ymmHigh) {
    for (let n = 0; n < count; n++) lines.push(line("YMM", n, quads(n, [ymmHigh, 2])));
  } else {
    for (let n = 0; n < count; n += 2) {
      lines.push(`${line("XMM", n, quads(n))} ${line("XMM", n + 1, quads(n + 1))}`);
    }
  }
  return lines;
}

function fpuLines(f: Fpu, long: boolean): string[] {
  const top = (f.fsw >>> 11) & 7, lines: string[] = [];
  lines.push(
    `FCW=${hex(f.fcw, 4)} FSW=${hex(f.fsw, 4)} [ST=${top}] FTW=${hex(f.ftwx, 2)} ` +
      `MXCSR=${hex(f.mxcsr, 8)}`,
  );
  const fpr = new DataView(f.fpr.buffer, f.fpr.byteOffset);
  const physical = (n: number) => {
    const at = 16 * ((n - top) & 7);
    const mantissa = hex(fpr.getBigUint64(at, true), 16);
    return `FPR${n}=${mantissa} ${hex(fpr.getUint16(at + 8, true), 4)}`;
  };
  for (let n = 0; n < 8; n += 2) lines.push(`${physical(n)} ${physical(n + 1)}`);
  return [...lines, ...vectorLines(f, long)];
}

/** Bytes that are not in RAM or ROM print as `??`: reading a device could change it. */
function codeLine(vcpu: Vcpu, mem: AddressSpace, base: bigint, ip: bigint): string {
  const before = ip < BigInt(CODE_BEFORE) ? Number(ip) : CODE_BEFORE;
  const bytes: string[] = [];
  for (let i = 0; i < CODE_BYTES; i++) {
    const address = vcpu.translate(base + ip + BigInt(i - before));
    const ram = address !== undefined && mem.find(address)?.region.kind === "ram";
    const text = ram ? hex(mem.read(address, 1), 2) : "??";
    bytes.push(i === before ? `<${text}>` : text);
  }
  return `Code=${bytes.join(" ")}`;
}
