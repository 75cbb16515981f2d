/**
 * Random instructions from the opcode table, reproducible from a seed: for the decoder's tests and
 * for test generators that run what they get.
 */
import { type Evex, Gpr, type MemOperand, type Operand, Seg } from "../insn.ts";
import type { EncodeRequest, RowForm } from "./encode.ts";
import { type EvexRow, type OperandSpec, Role, type TableRow } from "./row.ts";

/** A small deterministic generator (xorshift32). Returns a whole number from 0 to `below` - 1. */
export type Random = (below: number) => number;

export function random(seed: number): Random {
  let x = seed | 0 || 0x9e3779b9;
  return (below) => {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    return Math.floor((x >>> 0) / 0x1_0000_0000 * below);
  };
}

/** What a sample may contain; everything is allowed by default. */
export interface SampleLimits {
  /** Chooses the memory operand instead of {@link sampleMemory}. */
  readonly memory?: (size: MemOperand["size"], vsib: boolean) => MemOperand;
  /** General registers that may appear, by number; default all of the mode. */
  readonly gprs?: readonly number[];
  /** LOCK and REP prefixes where the row allows them. */
  readonly prefixes?: boolean;
}

const bases16 = [[3, 6], [3, 7], [5, 6], [5, 7], [6, -1], [7, -1], [5, -1], [3, -1], [-1, -1]];

/** Any memory operand of a mode, in one of its address sizes. */
export function sampleMemory(
  rnd: Random,
  bits: 16 | 32 | 64,
  size: MemOperand["size"],
  vsib = false,
): MemOperand {
  const short = rnd(4) === 0;
  const addrSize = vsib
    ? (bits === 16 ? 32 : bits)
    : bits === 64
    ? (short ? 32 : 64)
    : (bits === 32) !== short
    ? 32
    : 16;
  const kind = rnd(3);
  const disp = kind === 0 ? 0 : kind === 1 ? rnd(256) - 128 : rnd(0x1_0000_0000) | 0;
  let base = -1, index = -1, scale = 0, rip = false;
  if (addrSize === 16) [base, index] = bases16[rnd(9)];
  else {
    const count = bits === 64 ? 16 : 8;
    if (rnd(8) !== 0) base = rnd(count);
    if (rnd(2) === 0 || vsib) {
      index = rnd(count);
      if (index === 4 && !vsib) index = -1;
      else scale = rnd(4);
    }
    if (base < 0 && index < 0) rip = bits === 64 && rnd(2) === 0;
  }
  const displacement = addrSize === 16 ? disp << 16 >> 16 : disp;
  const stack = base === Gpr.RSP || base === Gpr.RBP;
  return {
    kind: "mem",
    size,
    seg: stack ? Seg.SS : Seg.DS,
    base,
    index,
    scale,
    disp: displacement,
    dispHi: displacement >> 31,
    rip,
    addrSize,
  };
}

function sampleOperand(
  rnd: Random,
  spec: OperandSpec,
  form: RowForm,
  bits: 16 | 32 | 64,
  limits: SampleLimits,
  vectors: number,
): Operand | undefined {
  const at = form.opSize >> 5;
  const size = spec.sizes[at];
  switch (spec.kind) {
    case "imm": {
      const n = spec.bytes[at];
      const value = rnd(0x1_0000_0000) | 0;
      if (n === 8) return { kind: "imm", size, value, valueHi: rnd(0x1_0000_0000) | 0 };
      const shift = 32 - 8 * n;
      const cut = spec.signed || n === 4 ? value << shift >> shift : value << shift >>> shift;
      return { kind: "imm", size, value: cut, valueHi: cut >> 31 };
    }
    case "rel": {
      const shift = 32 - 8 * spec.bytes[at];
      return { kind: "rel", size, value: rnd(0x1_0000_0000) << shift >> shift };
    }
    case "far": {
      const offset = rnd(spec.bytes[at] === 4 ? 0x1_0000 : 0x1_0000_0000);
      return { kind: "far", size, selector: rnd(0x1_0000), offset };
    }
    case "moffs":
      return {
        kind: "mem",
        size: spec.memSizes![at],
        seg: Seg.DS,
        base: -1,
        index: -1,
        scale: 0,
        disp: bits === 16 ? rnd(0x1_0000) : rnd(0x1_0000_0000) | 0,
        dispHi: bits === 64 ? rnd(0x1_0000_0000) | 0 : 0,
        rip: false,
        addrSize: bits,
      };
  }
  if (spec.role === Role.Fixed) return undefined;
  if (spec.role === Role.Rm && form.rm === "mem") {
    const width = spec.memSizes![at];
    return limits.memory?.(width, spec.vsib !== 0) ??
      sampleMemory(rnd, bits, width, spec.vsib !== 0);
  }
  const count = bits === 64 ? 16 : 8;
  switch (spec.reg!) {
    case "gpr": {
      const reg = limits.gprs ? limits.gprs[rnd(limits.gprs.length)] : rnd(count);
      if (size !== 8) return { kind: "gpr", size, reg, high: false };
      // Without REX, numbers 4 to 7 are AH to BH.
      const high = bits !== 64 ? reg > 3 : false;
      return { kind: "gpr", size, reg: high ? reg - 4 : reg, high };
    }
    case "sreg": {
      // CS is no destination.
      const reg = rnd(6);
      return { kind: "sreg", size, reg: reg === Seg.CS ? Seg.DS : reg, high: false };
    }
    case "creg":
      return { kind: "creg", size, reg: [0, 2, 3, 4, 8][rnd(bits === 64 ? 5 : 4)], high: false };
    case "dreg":
    case "st":
    case "mm":
      return { kind: spec.reg!, size, reg: rnd(8), high: false };
    case "k":
      return { kind: "k", size, reg: rnd(8), high: false };
    case "xmm":
      return { kind: "xmm", size, reg: rnd(vectors), high: false };
  }
}

/** A gather's destination, index and mask must differ. */
function separate(operands: (Operand | undefined)[]): void {
  const [first, at, last] = operands;
  if (first?.kind !== "xmm" || at?.kind !== "mem") return;
  const others = [0, 1, 2, 3].filter((n) => n !== at.index);
  operands[0] = { ...first, reg: others[0] };
  if (last?.kind === "xmm") operands[2] = { ...last, reg: others[1] };
}

function sampleEvex(rnd: Random, all: TableRow, row: EvexRow, form: RowForm): Evex {
  const mask = row.masking === "none"
    ? 0
    : row.masking === "required"
    ? 1 + rnd(7)
    : Math.max(0, rnd(10) - 2);
  const special = rnd(3) === 0, register = form.rm !== "mem";
  const sae = register && row.sae && special;
  const stores = !register && all.operandSpecs[0].role === Role.Rm;
  return {
    mask,
    zeroing: row.zeroing && mask !== 0 && !stores && rnd(2) === 0,
    broadcast: !register && row.broadcast !== 0 && special,
    rounding: sae && row.rounding ? rnd(4) as 0 | 1 | 2 | 3 : -1,
    sae,
  };
}

/** Fills in a form of a row at random. */
export function sample(
  rnd: Random,
  row: TableRow,
  form: RowForm,
  bits: 16 | 32 | 64,
  limits: SampleLimits = {},
): EncodeRequest {
  const evex = row.evex === undefined ? undefined : sampleEvex(rnd, row, row.evex, form);
  const vectors = bits !== 64 ? 8 : evex !== undefined ? 32 : 16;
  const operands = row.operandSpecs.map((s) => {
    const o = sampleOperand(rnd, s, form, bits, limits, vectors);
    return o?.kind === "mem" && evex?.broadcast ? { ...o, size: row.evex!.broadcast } : o;
  });
  if (row.operandSpecs.some((s) => s.vsib !== 0)) separate(operands);
  const prefixes = limits.prefixes ?? true;
  return {
    row,
    bits,
    opSize: form.opSize,
    operands,
    evex,
    lock: prefixes && row.lock && operands[0]?.kind === "mem" && rnd(4) === 0,
    rep: prefixes && row.rep !== undefined
      ? ([0, 0xf3, row.rep === "repz" ? 0xf2 : 0] as const)[rnd(3)]
      : 0,
    cond: row.condition ? rnd(16) : undefined,
  };
}
