/** Chooses instructions and states for the comparison of user-mode integer instructions. */
import { Gpr, type MemOperand, type Operand } from "../../core/x86/insn.ts";
import { encode, type EncodeRequest, type RowForm } from "../../core/x86/table/encode.ts";
import type { TableRow } from "../../core/x86/table/row.ts";
import { type Random, sample } from "../../core/x86/table/sample.ts";
import { type Before, DATA, DATA_BYTES, Selector } from "./native.ts";

/** The part of the scratch memory that operands and the stack are in, and that is compared. */
export const WINDOW = DATA + DATA_BYTES / 2;
export const WINDOW_BYTES = 1024;
const OPERAND = WINDOW + 256, STACK = WINDOW + 640;

/** Rows that cannot be compared, by name, and why. */
const reasons: readonly (readonly [RegExp, string])[] = [
  [/^(INT|INT1|INT3|INTO|SYSCALL|SYSENTER)$/, "calls the host's kernel"],
  [/^(CPUID|RDTSCP?|RDRAND|RDSEED|RDPID|XGETBV|RDPMC)$/, "its result is not the same twice"],
  [/^LFS$|^(RD|WR)FSBASE$/, "would take away the host program's thread pointer"],
  [/^(RD|WR)GSBASE$/, "the base would live on in the host program"],
  [/^(SGDT|SIDT|SLDT|STR|SMSW)$/, "the host's kernel emulates it (UMIP)"],
  [/^(X|FX)(SAVE|RSTOR)|^(LD|ST)MXCSR|^FWAIT/, "state image: unit tests, which know its layout"],
  [
    /^((RD|WR)PKRU|GETSEC|VM|RSM|ENQCMD|XABORT|XBEGIN|XEND|XTEST)/,
    "needs a feature that the host or its programs lack",
  ],
];

/** Linux's names of CPUID features where they are not QEMU's. */
const features: Record<string, string> = { "lahf-lm": "lahf_lm" };

/** CPUID features of the host, by Linux's names. */
export function hostFlags(): Set<string> {
  const text = Deno.readTextFileSync("/proc/cpuinfo");
  return new Set(/^flags\s*:(.*)$/m.exec(text)?.[1].trim().split(/\s+/) ?? []);
}

/** Whether the row belongs to the general registers. */
export function isIntegerRow(row: TableRow): boolean {
  return ["integer", "system", "bmi"].includes(row.family);
}

/** Why a row is not compared, or undefined when it is. */
export function whyNot(row: TableRow, have: ReadonlySet<string>): string | undefined {
  for (const [names, why] of reasons) if (names.test(row.name)) return why;
  if (row.privilege === "cpl0" && row.cpuid !== undefined && row.cpuid !== "msr") {
    return "privileged: unit tests";
  }
  if (row.cpuid !== undefined && !have.has(features[row.cpuid] ?? row.cpuid)) {
    return `the host lacks ${row.cpuid}`;
  }
  if (/^POP_SREG FS/.test(row.syntax)) {
    return "would take away the host program's thread pointer";
  }
  return undefined;
}

/** An instruction and how its state must be made. */
export interface TestCase {
  readonly row: TableRow;
  readonly form: RowForm;
  readonly bits: 32 | 64;
  readonly bytes: Uint8Array;
  readonly request: EncodeRequest;
  readonly mem: MemOperand | undefined;
  readonly addrSize: 16 | 32 | 64;
}

const bases16 = [[3, 6], [3, 7], [5, 6], [5, 7], [6, -1], [7, -1], [5, -1], [3, -1]];

/** A memory operand whose registers can be chosen so that it points into the window. */
function memoryOperand(rnd: Random, bits: 32 | 64, size: MemOperand["size"]): MemOperand {
  const addrSize = rnd(4) ? bits : bits === 64 ? 32 : 16;
  const disp = [0, rnd(256) - 128, rnd(0x10000) - 0x8000][rnd(3)];
  let base = rnd(bits === 64 ? 16 : 8), index = -1, scale = 0;
  if (addrSize === 16) [base, index] = bases16[rnd(8)];
  else if (rnd(2)) {
    index = rnd(bits === 64 ? 16 : 8);
    if (index === 4 || index === base) index = -1;
    else scale = rnd(4);
  }
  if (bits === 64 && rnd(10) === 0) return ripRelative(size, addrSize);
  const absolute = addrSize !== 16 && rnd(10) === 0;
  const stack = base === Gpr.RSP || base === Gpr.RBP;
  return {
    kind: "mem",
    size,
    seg: stack ? 2 : 3,
    base: absolute ? -1 : base,
    index: absolute ? -1 : base === Gpr.RSP ? -1 : index,
    scale: absolute || index < 0 || base === Gpr.RSP ? 0 : scale,
    disp: absolute ? OPERAND : base === Gpr.RSP ? rnd(64) - 32 : disp,
    dispHi: disp < 0 && !absolute ? -1 : 0,
    rip: false,
    addrSize,
  };
}

/** An operand relative to the next instruction; {@link placed} gives it its displacement. */
function ripRelative(size: MemOperand["size"], addrSize: 16 | 32 | 64): MemOperand {
  const none = { base: -1, index: -1, scale: 0, disp: 0, dispHi: 0 };
  return { kind: "mem", size, seg: 3, ...none, rip: true, addrSize };
}

/** The case with its RIP-relative operand, if it has one, in the window when the code is at `ip`. */
export function placed(c: TestCase, ip: number): TestCase {
  if (!c.mem?.rip) return c;
  const disp = OPERAND - (ip + c.bytes.length);
  const operands = c.request.operands!.map((o) =>
    o?.kind === "mem" ? { ...o, disp, dispHi: disp >> 31 } : o
  );
  return { ...c, bytes: encode({ ...c.request, operands }) };
}

/** A random instruction of a form; undefined when the encoder has none for what was drawn. */
export function draw(
  rnd: Random,
  row: TableRow,
  form: RowForm,
  bits: 32 | 64,
): TestCase | undefined {
  let request = sample(rnd, row, form, bits, {
    memory: (size) => memoryOperand(rnd, bits, size),
  });
  const operands = request.operands!.map((o): Operand | undefined => {
    if (o === undefined) return o;
    // Not back into the instruction itself, where loops would go on for long.
    if (o.kind === "rel") return { ...o, value: rnd(2) ? rnd(100) : -16 - rnd(84) };
    if (o.kind === "mem" && row.operandSpecs.some((s) => s.kind === "moffs")) {
      return { ...o, disp: OPERAND, dispHi: 0 };
    }
    if (o.kind === "far") {
      return { ...o, selector: bits === 32 ? Selector.CODE32 : Selector.CODE64, offset: 0 };
    }
    // AH to BH exist without REX.
    if (o.kind === "gpr" && o.size === 8 && bits === 64 && rnd(3) === 0) {
      return { ...o, reg: o.reg & 3, high: true };
    }
    // FS and GS are the host program's.
    if (o.kind === "sreg" && o === request.operands![0]) {
      return { ...o, reg: [0, 2, 3][rnd(3)] };
    }
    if (
      o.kind === "imm" &&
      (row.name === "ENTER" || row.name === "RET_NEAR" || row.name === "RET_FAR")
    ) {
      return { ...o, value: rnd(200), valueHi: 0 };
    }
    return o;
  });
  request = { ...request, operands };
  const mem = operands.find((o): o is MemOperand => o?.kind === "mem");
  let addrSize: 16 | 32 | 64 = mem?.addrSize ?? bits;
  if (
    mem === undefined && rnd(3) === 0 && (row.rep !== undefined || /LOOP|JCXZ|XLAT/.test(row.name))
  ) {
    addrSize = bits === 64 ? 32 : 16;
  }
  // An operand that is also the address cannot have both values.
  const last = operands[operands.length - 1];
  if (last?.kind === "gpr" && mem !== undefined && row.name.startsWith("BT")) {
    if ([mem.base, mem.index, Gpr.RSP].includes(last.reg)) return undefined;
  }
  if (row.name.endsWith("NEAR_IND") && last?.kind === "gpr" && last.reg === Gpr.RSP) {
    return undefined;
  }
  // Selectors must be known ones; the stack pointer is none.
  if (/^(MOV_SREG|VER|LAR|LSL)/.test(row.name) && last?.kind === "gpr" && last.reg === Gpr.RSP) {
    return undefined;
  }
  try {
    const plain = row.operandSpecs.some((s) => s.kind === "mem" && s.role === 0);
    const segOverride = plain || mem !== undefined ? [-1, -1, -1, 0, 1, 2, 3][rnd(7)] : -1;
    request = { ...request, addrSize, segOverride };
    return { row, form, bits, bytes: encode(request), request, mem, addrSize };
  } catch {
    return undefined;
  }
}

const edges = [
  0n,
  1n,
  2n,
  0xfn,
  0x10n,
  0x7fn,
  0x80n,
  0x81n,
  0xffn,
  0x100n,
  0x7fffn,
  0x8000n,
  0xffffn,
  0x10000n,
  0x7fffffffn,
  0x80000000n,
  0xffffffffn,
  0x100000000n,
  0x7fffffffffffffffn,
  0x8000000000000000n,
  0xffffffffffffffffn,
  0x5555555555555555n,
  0x9999999999999999n,
  0xfffffffffffffffen,
];

export function word(rnd: Random): bigint {
  switch (rnd(5)) {
    case 0:
      return edges[rnd(edges.length)];
    case 1:
      return BigInt(rnd(300));
    case 2: {
      const v = BigInt.asUintN(64, edges[rnd(edges.length)] + BigInt(rnd(5) - 2));
      return rnd(2) ? v : BigInt.asUintN(64, v << BigInt(rnd(64)));
    }
    default:
      return BigInt(rnd(0x1_0000_0000)) << 32n | BigInt(rnd(0x1_0000_0000));
  }
}

const low = (v: bigint, bits: number): bigint => BigInt.asUintN(bits, v);
/** `v` with its low bits replaced by an address: the rest must not matter. */
const pointing = (v: bigint, bits: number, at: bigint): bigint =>
  BigInt.asUintN(64, v >> BigInt(bits) << BigInt(bits) | low(at, bits));

/** Words that windows are cut from, which cost less than new ones for every case. */
const pool = new BigUint64Array(4096);
let poolOf: Random | undefined;

/** Fills the window with a piece of the pool, which goes on changing. */
function scratch(rnd: Random, window: DataView): void {
  if (poolOf !== rnd) {
    for (let n = 0; n < pool.length; n++) pool[n] = word(rnd);
    poolOf = rnd;
  }
  for (let n = 0; n < 8; n++) pool[rnd(pool.length)] = word(rnd);
  const words = new BigUint64Array(window.buffer, window.byteOffset, WINDOW_BYTES >> 3);
  const from = rnd(pool.length - words.length);
  words.set(pool.subarray(from, from + words.length));
}

/** Fills registers, flags and the window for a case; `ip` is where the instruction will be. */
export function fill(rnd: Random, c: TestCase, ip: number, s: Before, window: DataView): void {
  const { row, mem, addrSize } = c, g = s.gpr, name = row.name;
  for (let n = 0; n < 16; n++) g[n] = word(rnd);
  scratch(rnd, window);
  s.flags = rnd(4096) & 0xcd5;
  g[Gpr.RSP] = BigInt(STACK + (rnd(4) ? 0 : rnd(16)));
  const top = (bytes: number, v: bigint, at = 0) => {
    const o = Number(g[Gpr.RSP]) - WINDOW + at;
    if (bytes === 2) window.setUint16(o, Number(low(v, 16)), true);
    else if (bytes === 4) window.setUint32(o, Number(low(v, 32)), true);
    else window.setBigUint64(o, v, true);
  };
  if (name === "DIV" || name === "IDIV") {
    const k = rnd(6);
    if (k < 2) g[Gpr.RDX] = 0n;
    else if (k === 2) g[Gpr.RDX] = 0xffffffffffffffffn;
    else if (k === 3) g[Gpr.RDX] >>= BigInt(rnd(64));
    if (row.syntax.includes("m8") && rnd(2)) g[Gpr.RAX] = BigInt(rnd(1024));
  }
  if (row.rep !== undefined || name === "XLAT") {
    const bits = addrSize;
    g[Gpr.RCX] = pointing(g[Gpr.RCX], bits, BigInt(rnd(12)));
    if (name === "XLAT") g[Gpr.RBX] = pointing(g[Gpr.RBX], bits, BigInt(OPERAND) - (g[0] & 255n));
    else {
      g[Gpr.RSI] = pointing(g[Gpr.RSI], bits, BigInt(OPERAND + rnd(64)));
      g[Gpr.RDI] = pointing(g[Gpr.RDI], bits, BigInt(OPERAND + rnd(64)));
      if (rnd(2)) {
        // Equal runs, for the comparisons.
        for (let n = 128; n < 512; n++) window.setUint8(n, rnd(40) ? 0x55 : 0x56);
        g[Gpr.RAX] = 0x5555555555555555n;
      }
    }
  } else if (mem && !row.operandSpecs.some((x) => x.kind === "moffs")) {
    let target = OPERAND + rnd(64);
    if (mem.size === 128) target &= rnd(4) ? ~15 : ~0;
    if (mem.rip) target = OPERAND;
    if (name.startsWith("BT") && c.request.operands![1]?.kind === "gpr") {
      const r = (c.request.operands![1] as { reg: number }).reg;
      if (r !== Gpr.RSP) g[r] = pointing(g[r], c.form.opSize, BigInt(rnd(800) - 400));
      if (r === mem.base || r === Gpr.RSP) target = OPERAND;
    }
    if (mem.base !== Gpr.RSP && mem.base >= 0) {
      let at = BigInt(target) - BigInt(mem.disp);
      if (mem.index >= 0) at -= g[mem.index] << BigInt(mem.scale);
      g[mem.base] = pointing(g[mem.base], addrSize, at);
    }
    const w = (mem.base === Gpr.RSP
      ? Number(g[Gpr.RSP]) + mem.disp
      : mem.base < 0 && !mem.rip
      ? mem.disp
      : target) -
      WINDOW;
    if (name === "CMPXCHG" && rnd(2)) {
      window.setBigUint64(w, g[0], true);
    }
    if (name === "CMPXCHG8B" && rnd(2)) {
      window.setBigUint64(w, low(g[2], 32) << 32n | low(g[0], 32), true);
    }
    if (name === "CMPXCHG16B" && rnd(2)) {
      window.setBigUint64(w, g[0], true);
      window.setBigUint64(w + 8, g[2], true);
    }
    if (/^(JMP|CALL)_NEAR_IND/.test(name)) {
      window.setBigUint64(w, BigInt(ip + rnd(100) + 16), true);
    }
    if (/^(JMP|CALL)_FAR_MEM/.test(name) || /^L[DEGS]S/.test(name)) {
      const n = c.form.opSize >> 3;
      if (n === 8) {
        window.setBigUint64(w, BigInt(ip + 32), true);
      } else window.setUint32(w, ip + 32, true);
      const sel = /^L/.test(name) ? selectors[rnd(selectors.length)] : c.bits === 32 ? 0x23 : 0x33;
      window.setUint16(w + n, sel, true);
    }
    if (
      row.operandSpecs.some((x) =>
        x.kind === "sreg"
      ) || /^(VER|LAR|LSL|ARPL)/.test(name)
    ) {
      window.setUint16(w, selectors[rnd(selectors.length)], true);
    }
    if (name === "BOUND" && rnd(2)) {
      const n = c.form.opSize >> 3;
      for (const [at, v] of [[w, 0], [w + n, 0x7fff]]) {
        if (n === 2) window.setUint16(at, v, true);
        else window.setUint32(at, v, true);
      }
    }
  }
  for (const o of c.request.operands!) {
    if (o?.kind !== "gpr" || o.reg === Gpr.RSP || mem) continue;
    if (/^(JMP|CALL)_NEAR_IND/.test(name)) g[o.reg] = BigInt(ip + rnd(100) + 16);
    if (/^(MOV_SREG|VER|LAR|LSL)/.test(name)) {
      g[o.reg] = pointing(g[o.reg], 16, BigInt(selectors[rnd(selectors.length)]));
    }
  }
  const bytes = c.form.opSize >> 3;
  if (name === "LEAVE" || name === "ENTER") g[Gpr.RBP] = BigInt(STACK + rnd(32));
  if (/LOOP|JCXZ/.test(name) && rnd(2)) g[Gpr.RCX] = pointing(g[1], addrSize, BigInt(rnd(3)));
  if (name === "POPF") top(bytes, BigInt(rnd(4096) & 0xed5 | rnd(2) << 14 | rnd(2) << 21 | 0x200));
  if (name === "POP_SREG") top(2, BigInt(selectors[rnd(selectors.length)]));
  if (/^RET/.test(name) || name === "IRET") {
    top(bytes, BigInt(ip + 32 + rnd(64)));
    top(2, c.bits === 32 ? 0x23n : 0x33n, bytes);
    if (name === "IRET") {
      top(bytes, BigInt(rnd(4096) & 0xed5 | 0x200), 2 * bytes);
      if (c.bits === 64) {
        top(bytes, BigInt(STACK + rnd(64)), 3 * bytes);
        top(2, 0x2bn, 4 * bytes);
      }
    }
  }
  if (c.bits === 32) { for (let n = 0; n < 16; n++) g[n] &= 0xffffffffn; }
  if (c.bits === 32) { for (let n = 8; n < 16; n++) g[n] = 0n; }
}

const selectors = [0x2b, 0x2b, 0x2b, 0x23, 0x33, 0, 3, 0x28, 0x2a];
