/**
 * What all MMX and SSE semantics share: the exceptions that come before an instruction, operands by
 * kind of register, and definitions that serve both register files.
 */
import { type AnyInt, I32, I64, V128 } from "../../wasm/expr.ts";
import { opcode } from "../../wasm/opcodes.ts";
import { G, type StateStore } from "../ir.ts";
import * as S from "../state.ts";
import { Mode, Vec } from "../state.ts";
import { type Addr, define, type Emit } from "./emit.ts";
import { fpuBegin } from "./x87.ts";

type Options = { readonly byImmediate?: boolean };

export const ZERO = V128.of(0n, 0n);
/** Upper half of a register that holds MMX data: sign and exponent bits all ones. */
const MMX_TAIL = V128.of(0xffffn, 0n);
const CR0_EM = 4;

/** Whether SSE instructions run in this translation mode; when not, the exception has been emitted. */
export function sseEnabled(e: Emit): boolean {
  if (e.mode & Mode.SSE_UD) e.raise(Vec.UD);
  else if (e.mode & Mode.SSE_NM) e.raise(Vec.NM);
  else return true;
  return false;
}

/** The same for MMX, with the check for a pending x87 exception. */
export function mmxEnabled(e: Emit): boolean {
  if (e.mode & Mode.FPU_TRAP) {
    e.raiseIf(e.field32(S.CR0).and(CR0_EM).ne(0), Vec.UD);
    e.raise(Vec.NM);
    return false;
  }
  return fpuBegin(e);
}

/** TOP = 0 and all registers valid: what every MMX instruction but EMMS leaves. */
export function enterMmx(e: Emit): void {
  // FTOP and FEMPTY are neighbours.
  e.setField(8, S.FTOP, I64.of(0));
}

/** Defines instructions that use XMM registers only. */
export function sse(names: string | readonly string[], s: (e: Emit) => void, opts?: Options): void {
  define(names, (e) => {
    if (sseEnabled(e)) s(e);
  }, opts);
}

/** Defines instructions that use MMX registers only. */
export function mmx(names: string | readonly string[], s: (e: Emit) => void, opts?: Options): void {
  define(names, (e) => {
    if (!mmxEnabled(e)) return;
    s(e);
    enterMmx(e);
  }, opts);
}

/** Whether an instruction has an MMX register among its operands. */
export function usesMmx(e: Emit): boolean {
  return e.operands.some((o) => o.kind === "mm");
}

/** Defines instructions whose rows exist for MMX registers and for XMM registers. */
export function either(
  names: string | readonly string[],
  mm: (e: Emit) => void,
  xmm: (e: Emit) => void,
  opts?: Options,
): void {
  define(names, (e) => {
    if (!usesMmx(e)) {
      if (sseEnabled(e)) xmm(e);
    } else if (mmxEnabled(e)) {
      mm(e);
      enterMmx(e);
    }
  }, opts);
}

/** Defines instructions that use both register files; `s` enters the MMX state itself. */
export function mixed(names: string | readonly string[], s: (e: Emit) => void): void {
  define(names, (e) => {
    if (!sseEnabled(e)) return;
    if (!usesMmx(e) || fpuBegin(e)) s(e);
  });
}

// ---- operands

/** Linear address of a memory operand of 16 or 32 bytes: #GP(0) when it is not aligned. */
export function alignedAddress(e: Emit, n: number, write: boolean, bytes: 16 | 32 = 16): Addr {
  const lin = e.lin(n, bytes, write);
  const low = lin.type === "i64" ? (lin as I64).wrap() : lin as I32;
  e.raiseIf(e.let(low.and(bytes - 1).ne(0)), Vec.GP, I32.of(0));
  return lin;
}

/** Operand n, 128 bits; memory must be aligned, except for VEX encodings. */
export function rdAligned(e: Emit, n: number): V128 {
  return e.isMem(n) && e.i.vectorBits === 0
    ? e.load(alignedAddress(e, n, false), 16) as V128
    : e.rdV(n);
}
export function wrAligned(e: Emit, n: number, v: V128): void {
  if (e.isMem(n)) e.store(alignedAddress(e, n, true), v, 16);
  else e.wrV(n, v);
}

/** A vector with `v` in its low quadword and zeros above. */
export function low64(v: I64): V128 {
  return ZERO.withLane("i64x2", 0, v);
}
export function low32(v: I32): V128 {
  return ZERO.withLane("i32x4", 0, v);
}

/** Writes 16 bytes of vector register `n`, from its byte `at`, that is no operand of the encoding. */
export function setXmm(e: Emit, n: number, v: V128, at = 0): void {
  const offset = S.XMM + S.XMM_SIZE * n + at;
  e.f.guest(
    G.SET_STATE,
    [v],
    { op: opcode("v128.store"), slot: -1, offset } satisfies StateStore,
  );
}

/** MMX operand n or 64 bits of memory, in both halves of a vector. */
export function rdMm(e: Emit, n: number): V128 {
  return e.let(e.rdLow(n, 8).splat());
}

/** Writes the low half of `v` to MMX register operand n. */
export function wrMm(e: Emit, n: number, v: V128): void {
  e.wrV(n, v.shuffle(MMX_TAIL, [0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23]));
}

/** Writes a 32-bit value to a general register operand of 32 or 64 bits. */
export function wrGpr(e: Emit, n: number, v: I32): void {
  e.wr(n, (e.size(n) === 64 ? v.extend_u() : v) as AnyInt);
}

/** The instruction's 8-bit immediate. For definitions with `byImmediate`. */
export function imm8(e: Emit): number {
  const o = e.operands[e.operands.length - 1];
  if (o.kind !== "imm") throw new Error(`${e.i.row.syntax}: no immediate`);
  return o.value & 0xff;
}

/** Byte order of a shuffle from an order of wider lanes. */
export function lanes(bytes: 1 | 2 | 4 | 8, order: readonly number[]): number[] {
  return order.flatMap((l) => Array.from({ length: bytes }, (_, b) => l * bytes + b));
}
