/**
 * What EVEX encodings add to vector semantics: a mask for the elements, one element broadcast from
 * memory, and a rounding control of the instruction's own. Intel SDM volume 1, chapter 15.6, volume 2,
 * chapter 2.7.
 */
import { type AnyInt, I32, I64, load, V128 } from "../../wasm/expr.ts";
import type { MemOperand } from "../insn.ts";
import * as S from "../state.ts";
import { Mode, Vec } from "../state.ts";
import type { EvexRow, TableRow } from "../table/row.ts";
import type { Addr, Emit } from "./emit.ts";
import { ZERO } from "./sse_common.ts";

type Bytes = 1 | 2 | 4 | 8;

/** The mask of an instruction and what it belongs to. */
export interface Masking {
  /** Bit n for element n; those above {@link count} are set. Undefined when all elements take part. */
  readonly bits: I64 | undefined;
  readonly zeroing: boolean;
  /** Elements that are computed. */
  readonly count: number;
  readonly row: EvexRow;
}

/** Begins an EVEX instruction: false when it does not run in this mode and has raised its exception. */
export function beginEvex(e: Emit): boolean {
  if (!(e.mode & Mode.AVX512)) e.raise(Vec.UD);
  else if (e.mode & Mode.SSE_NM) e.raise(Vec.NM);
  else {
    const { mask, zeroing } = e.i.evex!, table = e.i.row as TableRow, row = table.evex!;
    const whole = table.l < 0 ? 1 : e.i.vectorBits / 8 / Math.max(row.element, row.source);
    // Of a part of a vector there are fewer.
    const count = PART.test(table.name) ? e.operands[0].size / 8 / row.element : whole;
    let bits: I64 | undefined;
    if (mask !== 0) {
      bits = e.field64(S.K + 8 * mask);
      if (count < 64) bits = e.let(bits.or(-1n << BigInt(count)));
    }
    e.masking = { bits, zeroing, count, row };
    return true;
  }
  return false;
}

/** Instructions whose result is a part of the vector that their length names. */
const PART = /^VEXTRACT[FI]/;

const MXCSR_OWN = 0x8040, MXCSR_RC = 0x6000, ALL_FLAGS_AND_MASKS = 0x1fbf;

/**
 * Runs `body` with all exceptions masked and without a trace in MXCSR, for register forms: with `{sae}`
 * MXCSR's rounding, or that of the instruction.
 */
export function withoutExceptions(e: Emit, rounding: number, body: () => void): void {
  const old = e.field32(S.MXCSR);
  // With the flags set, what cannot raise anything new takes the quick ways.
  const own = rounding < 0
    ? old.and(MXCSR_OWN | MXCSR_RC).or(ALL_FLAGS_AND_MASKS)
    : old.and(MXCSR_OWN).or(ALL_FLAGS_AND_MASKS | rounding << 13);
  e.setField(4, S.MXCSR, own);
  body();
  e.setField(4, S.MXCSR, old);
}

// ---- masks as vectors

const BIT_OF: Record<Bytes, V128> = {
  1: V128.of(0x8040201008040201n, 0x8040201008040201n),
  2: V128.of(0x0008000400020001n, 0x0080004000200010n),
  4: V128.of(0x0000000200000001n, 0x0000000800000004n),
  8: V128.of(1n, 2n),
};

/** All ones in the elements of `bytes` of a vector whose bit is set, from bit `first` up. */
export function maskVector(bits: I64, first: number, bytes: Bytes): V128 {
  const part = bits.shr_u(first), chosen = BIT_OF[bytes];
  if (bytes === 8) return part.splat().and(chosen).simd("i64x2.eq", chosen);
  if (bytes === 4) return part.wrap().splat("i32x4").and(chosen).simd("i32x4.eq", chosen);
  const words = part.wrap().splat("i16x8");
  if (bytes === 2) return words.and(chosen).simd("i16x8.eq", chosen);
  const each = words.shuffle(words, [...Array(8).fill(0), ...Array(8).fill(1)]);
  return each.and(chosen).simd("i8x16.eq", chosen);
}

/** 1.0, or an integer that every format holds exactly: arithmetic on it raises nothing. */
const HARMLESS: Record<Bytes, V128> = {
  1: ZERO,
  2: V128.of(0x3c003c003c003c00n, 0x3c003c003c003c00n),
  4: V128.of(0x3f8000003f800000n, 0x3f8000003f800000n),
  8: V128.of(0x3ff0000000000000n, 0x3ff0000000000000n),
};

/** 2.0, where 1.0 is a case of its own. */
const HARMLESS_TWO: Record<4 | 8, V128> = {
  4: V128.of(0x4000000040000000n, 0x4000000040000000n),
  8: V128.of(0x4000000000000000n, 0x4000000000000000n),
};
const takesTwo = (e: Emit): boolean => e.i.row.name.startsWith("VFIXUPIMM");

/** A source vector from its element `first` up, of which those left out raise no exception. */
export function harmless(e: Emit, v: V128, first: number): V128 {
  const m = e.masking;
  if (m?.bits === undefined || !m.row.float || first >= m.count) return v;
  // Of a scalar operation only the low element computes, and that is read by itself.
  if (m.count === 1) return v;
  const { source } = m.row;
  const value = takesTwo(e) ? HARMLESS_TWO[source as 4 | 8] : HARMLESS[source];
  return e.let(v.bitselect(value, maskVector(m.bits, first, source)));
}

/** The same for the low element of a scalar operation, as an integer. */
export function harmlessLow<X extends AnyInt>(e: Emit, x: X): X {
  const m = e.masking;
  if (m?.bits === undefined || !m.row.float) return x;
  const wide = m.row.source === 8;
  const value = takesTwo(e)
    ? (wide ? 0x4000000000000000n : 0x40000000n)
    : wide
    ? 0x3ff0000000000000n
    : 0x3f800000n;
  return e.let(m.bits.wrap().and(1).select(x, x.constant(value) as X));
}

/** Vector `l` of a result under the mask: elements left out are 0 or stay as they are. */
export function merged(e: Emit, n: number, l: number, v: V128): V128 {
  const m = e.masking;
  if (m?.bits === undefined || n !== 0) return v;
  const { element } = m.row, first = l * 16 / element;
  // Beyond the elements computed nothing is kept.
  if (first >= m.count) return v;
  const mask = maskVector(m.bits, first, element);
  return e.let(m.zeroing ? v.and(mask) : v.bitselect(e.rdPart(0, 16 * l, 16), mask));
}

/** Writes a mask register: sign bits of the elements of `v`, where the mask allows. */
export function wrMask(e: Emit, n: number, v: readonly V128[]): void {
  const { element, count } = { element: e.masking!.row.element, count: e.masking!.count };
  const shape = ({ 1: "i8x16", 2: "i16x8", 4: "i32x4", 8: "i64x2" } as const)[element];
  const parts = v.map((x, l) =>
    e.let(x.reduce(`${shape}.bitmask`).extend_u()).shl(l * 16 / element)
  );
  wrMaskBits(e, n, e.let(parts.reduce((a, b) => a.or(b))), count);
}

/** Writes a mask register: the low `count` bits, where the mask allows. */
export function wrMaskBits(e: Emit, n: number, bits: I64, count: number): void {
  let r = count < 64 ? bits.and((1n << BigInt(count)) - 1n) : bits;
  if (e.masking?.bits) r = r.and(e.masking.bits);
  e.wrPart(n, 0, e.let(r), 8);
}

// ---- elements one by one

const LOADS: Record<Bytes, `i${32 | 64}.${string}`> = {
  1: "i32.load8_u",
  2: "i32.load16_u",
  4: "i32.load",
  8: "i64.load",
};
const STORES: Record<Bytes, string> = {
  1: "i32.store8",
  2: "i32.store16",
  4: "i32.store",
  8: "i64.store",
};

/** Element `n` (in bytes from its beginning) of place `k` of {@link S.ELEMENTS}. */
export function element(e: Emit, k: number, at: I32, bytes: Bytes): AnyInt {
  const v = load(LOADS[bytes] as "i32.load", e.cpu().add(at), S.ELEMENTS + 64 * k);
  return e.let(v as unknown as AnyInt);
}
export function setElement(e: Emit, k: number, at: I32, v: AnyInt, bytes: Bytes): void {
  e.f.store(STORES[bytes], e.cpu().add(at), v, S.ELEMENTS + 64 * k);
}
/** Puts vectors into place `k`, and takes them out. */
export function spill(e: Emit, k: number, v: readonly V128[]): void {
  v.forEach((x, l) => e.f.store("v128.store", e.cpu(), x, S.ELEMENTS + 64 * k + 16 * l));
}
export function filled(e: Emit, k: number, count: number): V128[] {
  return Array.from(
    { length: count },
    (_, l) => e.let(load("v128.load", e.cpu(), S.ELEMENTS + 64 * k + 16 * l)),
  );
}

/** Runs `body` for each set bit, lowest first, with its number; bits beyond `count` do not count. */
export function eachBit(e: Emit, bits: I64, count: number, body: (n: I32) => void): void {
  const rest = e.local("i64");
  rest.set(count < 64 ? bits.and((1n << BigInt(count)) - 1n) : bits);
  e.f.block((done) =>
    e.f.loop((again) => {
      e.f.brIf(done, rest.get().eqz());
      const n = e.let(rest.get().ctz().wrap());
      rest.set(rest.get().and(rest.get().sub(1)));
      body(n);
      e.f.br(again);
    })
  );
}

/** Linear address of what is `at` bytes behind the effective address of memory operand n. */
export function addressBehind(
  e: Emit,
  n: number,
  ea: AnyInt,
  at: I32,
  bytes: number,
  write: boolean,
): Addr {
  const m = e.operands[n] as MemOperand;
  let a: AnyInt = ea.type === "i64"
    ? (ea as unknown as I64).add(at.extend_u()) as unknown as AnyInt
    : (ea as unknown as I32).add(at) as unknown as AnyInt;
  if (m.addrSize === 16) a = a.and(0xffff);
  return e.linear(m.seg, e.let(a), bytes, write);
}

/** All `count` elements are chosen. */
const all = (bits: I64, count: number): I32 =>
  count === 64 ? bits.eq(-1) : bits.not().and((1n << BigInt(count)) - 1n).eqz();

/**
 * `bytes` of memory operand n in vectors, zeros behind them. Elements that the mask leaves out are not
 * accessed, and are 0.
 * @param align what the operand's address must be a multiple of while alignment is checked, if any
 *     element is accessed: the whole operand's size, as on processors
 */
export function loadSource(
  e: Emit,
  n: number,
  bytes: number,
  aligned: boolean,
  align = bytes < 16 ? bytes : 1,
): V128[] {
  const m = e.masking!, lanes = Math.max(1, bytes / 16);
  const whole = () => {
    const lin = e.lin(n, bytes, false);
    if (aligned) checkAligned(e, lin, bytes);
    return loadWhole(e, lin, bytes, align);
  };
  if (e.i.evex!.broadcast) return broadcastSource(e, n, lanes);
  if (m.bits === undefined || !m.row.suppress) return whole();
  const size = bytes / m.count as Bytes;
  const r = Array.from({ length: lanes }, () => e.local("v128"));
  e.f.if(all(m.bits, m.count), () => whole().forEach((v, l) => r[l].set(v)), () => {
    spill(e, 0, r.map(() => ZERO));
    const ea = e.ea(n);
    if (aligned) checkAligned(e, addressBehind(e, n, ea, I32.of(0), 1, false), bytes);
    checkOperand(e, n, ea, align, false);
    eachBit(e, m.bits!, m.count, (i) => {
      const at = e.let(i.mul(size));
      setElement(e, 0, at, e.load(addressBehind(e, n, ea, at, size, false), size, 1), size);
    });
    filled(e, 0, lanes).forEach((v, l) => r[l].set(v));
  });
  return r.map((v) => v.get());
}

/** The alignment check of a masked operand, if any element is accessed. */
function checkOperand(e: Emit, n: number, ea: AnyInt, align: number, write: boolean): void {
  const { bits, count } = e.masking!;
  if (align === 1 || !(e.mode & Mode.ALIGN)) return;
  const some = bits!.and((1n << BigInt(count)) - 1n).ne(0);
  e.f.if(some, () => e.checkAlignment(addressBehind(e, n, ea, I32.of(0), 1, write), align));
}

function checkAligned(e: Emit, lin: Addr, bytes: number): void {
  const low = lin.type === "i64" ? (lin as I64).wrap() : lin as I32;
  e.raiseIf(e.let(low.and(bytes - 1).ne(0)), Vec.GP, I32.of(0));
}

function loadWhole(e: Emit, lin: Addr, bytes: number, align: number): V128[] {
  if (bytes === 16) return [e.let(e.load(lin, 16) as V128)];
  if (bytes < 16) {
    const x = e.load(lin, bytes as Bytes, align);
    return [e.let(ZERO.withLane(bytes === 8 ? "i64x2" : "i32x4", 0, x))];
  }
  const host = e.probeAs(lin, bytes, "r");
  return Array.from({ length: bytes / 16 }, (_, l) => e.let(load("v128.load", host, 16 * l)));
}

/** One element for all; not accessed when the mask leaves all of them out. */
function broadcastSource(e: Emit, n: number, lanes: number): V128[] {
  const m = e.masking!, bytes = m.row.broadcast >> 3 as 4 | 8;
  const v = e.local("v128");
  const read = () => {
    const x = e.load(e.lin(n, bytes, false), bytes);
    v.set(bytes === 8 ? (x as unknown as I64).splat() : (x as unknown as I32).splat("i32x4"));
  };
  if (m.bits === undefined || !m.row.suppress) read();
  else {
    v.set(ZERO);
    e.f.if(m.bits.and((1n << BigInt(m.count)) - 1n).ne(0), read);
  }
  return Array.from({ length: lanes }, () => v.get());
}

/**
 * Stores `bytes` of vectors to memory operand n, of which the mask leaves elements out. All faults
 * come before the first element is stored; `before` is run between. `align` as {@link loadSource}.
 */
export function storeMasked(
  e: Emit,
  n: number,
  bytes: number,
  aligned: boolean,
  v: () => readonly V128[],
  align = bytes < 16 ? bytes : 1,
): void {
  const m = e.masking!, size = bytes / m.count as Bytes;
  const bits = m.bits;
  const whole = () => {
    const lin = e.lin(n, bytes, true);
    if (aligned) checkAligned(e, lin, bytes);
    const host = e.probeAs(lin, bytes, "w", false, align);
    storeWhole(e, host, bytes, v());
    e.commit(host, bytes);
  };
  if (bits === undefined) return whole();
  const ea = e.ea(n);
  if (aligned) checkAligned(e, addressBehind(e, n, ea, I32.of(0), 1, true), bytes);
  if (!m.row.suppress) e.probeAs(e.lin(n, bytes, true), bytes, "w", false, align);
  checkOperand(e, n, ea, align, true);
  eachBit(e, bits, m.count, (i) => {
    e.probeAs(addressBehind(e, n, ea, e.let(i.mul(size)), size, true), size, "w", false, 1);
  });
  spill(e, 1, v());
  eachBit(e, bits, m.count, (i) => {
    const at = e.let(i.mul(size));
    const to = addressBehind(e, n, ea, at, size, true);
    e.store(to, element(e, 1, at, size), size, false, 1);
  });
}

function storeWhole(e: Emit, host: AnyInt, bytes: number, v: readonly V128[]): void {
  if (bytes < 16) {
    const x = bytes === 8 ? v[0].lane64(0) : v[0].lane32(0);
    e.f.store(STORES[bytes as Bytes], host, x);
  } else v.forEach((x, l) => e.f.store("v128.store", host, x, 16 * l));
}
