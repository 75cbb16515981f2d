/**
 * Packed integer operations on MMX and XMM registers, SSE to SSE4.2. Each is a function of two 128-bit
 * vectors; MMX forms put their 64 bits into both halves and keep the lower half of the result, except
 * where lanes move between halves. Intel SDM volume 2.
 */
import { I32, type I64, type Shape, V128 } from "../../wasm/expr.ts";
import type { Emit } from "./emit.ts";
import { either, lanes, rdAligned, rdMm, sse, wrMm, ZERO } from "./sse_common.ts";

/** An operation on 128 bits: destination (first source), source. */
export type PackedOp = (e: Emit, a: V128, b: V128) => V128;

const simd = (name: `${Shape}.${string}`): PackedOp => (_, a, b) => a.simd(name, b);

/** Upper halves of the 32-bit products of 16-bit lanes. */
function mulHigh(sign: "s" | "u"): PackedOp {
  return (_, a, b) => {
    const lo = a.simd(`i32x4.extmul_low_i16x8_${sign}`, b);
    const hi = a.simd(`i32x4.extmul_high_i16x8_${sign}`, b);
    return lo.shuffle(hi, lanes(2, [1, 3, 5, 7, 9, 11, 13, 15]));
  };
}

const EVEN_DWORDS = lanes(4, [0, 2, 0, 2]);

/** 64-bit products of the even 32-bit lanes. */
function mulEven(sign: "s" | "u"): PackedOp {
  return (e, a, b) => {
    const x = e.let(a), y = e.let(b);
    return x.shuffle(x, EVEN_DWORDS)
      .simd(`i64x2.extmul_low_i32x4_${sign}`, y.shuffle(y, EVEN_DWORDS));
  };
}

/** Sums of absolute differences of bytes, in the low word of each quadword. */
function sad(e: Emit, a: V128, b: V128): V128 {
  const x = e.let(a), y = e.let(b);
  const diff = x.simd("i8x16.sub_sat_u", y).or(y.simd("i8x16.sub_sat_u", x));
  const quads = e.let(
    diff.simd("i16x8.extadd_pairwise_i8x16_u").simd("i32x4.extadd_pairwise_i16x8_u"),
  );
  const low = V128.of(0xffffffffn, 0xffffffffn);
  return quads.and(low).simd("i64x2.add", quads.simd("i64x2.shr_u", I32.of(32)));
}

/** Rounded upper halves: (a × b >> 14) + 1 >> 1, which wraps for −1 × −1. */
function mulRound(_: Emit, a: V128, b: V128): V128 {
  const one = V128.of(0x0000000100000001n, 0x0000000100000001n);
  const half = (which: "low" | "high") =>
    a.simd(`i32x4.extmul_${which}_i16x8_s`, b).simd("i32x4.shr_s", I32.of(14))
      .simd("i32x4.add", one).simd("i32x4.shr_s", I32.of(1));
  return half("low").shuffle(half("high"), lanes(2, [0, 2, 4, 6, 8, 10, 12, 14]));
}

/** Products of unsigned bytes of a with signed bytes of b, added in pairs with saturation. */
function mulAddBytes(e: Emit, a: V128, b: V128): V128 {
  const x = e.let(a), y = e.let(b);
  const eight = I32.of(8);
  const low = V128.of(0x00ff00ff00ff00ffn, 0x00ff00ff00ff00ffn);
  const even = x.and(low)
    .simd("i16x8.mul", y.simd("i16x8.shl", eight).simd("i16x8.shr_s", eight));
  const odd = x.simd("i16x8.shr_u", eight).simd("i16x8.mul", y.simd("i16x8.shr_s", eight));
  return even.simd("i16x8.add_sat_s", odd);
}

/** Sign of b applied to a: −a, 0 or a. */
function applySign(shape: "i8x16" | "i16x8" | "i32x4"): PackedOp {
  return (e, a, b) => {
    const x = e.let(a), y = e.let(b);
    const negative = e.let(y.simd(`${shape}.lt_s`, ZERO));
    const zero = y.simd(`${shape}.eq`, ZERO);
    return x.xor(negative).simd(`${shape}.sub`, negative).andnot(zero);
  };
}

/** Bytes of a chosen by b; a selector with bit 7 set gives 0. */
function shuffleBytes(mask: number): PackedOp {
  const keep = BigInt.asUintN(64, BigInt(mask) * 0x0101010101010101n);
  // Selectors are cut to the width, except for bit 7, which swizzle takes as out of range.
  return (_, a, b) => a.simd("i8x16.swizzle", b.and(V128.of(keep, keep)));
}

/** Operations that treat the two halves alike. */
export const packedOps: Record<string, PackedOp> = {
  PADDB: simd("i8x16.add"),
  PADDW: simd("i16x8.add"),
  PADDD: simd("i32x4.add"),
  PADDQ: simd("i64x2.add"),
  PADDSB: simd("i8x16.add_sat_s"),
  PADDSW: simd("i16x8.add_sat_s"),
  PADDUSB: simd("i8x16.add_sat_u"),
  PADDUSW: simd("i16x8.add_sat_u"),
  PSUBB: simd("i8x16.sub"),
  PSUBW: simd("i16x8.sub"),
  PSUBD: simd("i32x4.sub"),
  PSUBQ: simd("i64x2.sub"),
  PSUBSB: simd("i8x16.sub_sat_s"),
  PSUBSW: simd("i16x8.sub_sat_s"),
  PSUBUSB: simd("i8x16.sub_sat_u"),
  PSUBUSW: simd("i16x8.sub_sat_u"),
  PAND: (_, a, b) => a.and(b),
  PANDN: (_, a, b) => b.andnot(a),
  POR: (_, a, b) => a.or(b),
  PXOR: (_, a, b) => a.xor(b),
  PCMPEQB: simd("i8x16.eq"),
  PCMPEQW: simd("i16x8.eq"),
  PCMPEQD: simd("i32x4.eq"),
  PCMPGTB: simd("i8x16.gt_s"),
  PCMPGTW: simd("i16x8.gt_s"),
  PCMPGTD: simd("i32x4.gt_s"),
  PMULLW: simd("i16x8.mul"),
  PMULHW: mulHigh("s"),
  PMULHUW: mulHigh("u"),
  PMULUDQ: mulEven("u"),
  PMADDWD: simd("i32x4.dot_i16x8_s"),
  PSADBW: sad,
  PAVGB: simd("i8x16.avgr_u"),
  PAVGW: simd("i16x8.avgr_u"),
  PMINUB: simd("i8x16.min_u"),
  PMINSW: simd("i16x8.min_s"),
  PMAXUB: simd("i8x16.max_u"),
  PMAXSW: simd("i16x8.max_s"),
  // SSSE3
  PMULHRSW: mulRound,
  PMADDUBSW: mulAddBytes,
  PSIGNB: applySign("i8x16"),
  PSIGNW: applySign("i16x8"),
  PSIGND: applySign("i32x4"),
  PABSB: (_, _a, b) => b.simd("i8x16.abs"),
  PABSW: (_, _a, b) => b.simd("i16x8.abs"),
  PABSD: (_, _a, b) => b.simd("i32x4.abs"),
};

/** Interleaves the lower or upper lanes: a first. */
export function unpack(bytes: 1 | 2 | 4 | 8, high: boolean): PackedOp {
  const n = 16 / bytes, first = high ? n / 2 : 0;
  const order = Array.from({ length: n }, (_, i) => first + (i >> 1) + (i & 1 ? n : 0));
  return (_, a, b) => a.shuffle(b, lanes(bytes, order));
}

/** Horizontal operation: even lanes with odd ones, a's results first. */
function horizontal(bytes: 2 | 4, name: `${Shape}.${string}`): PackedOp {
  const n = 16 / bytes;
  const pick = (odd: number) => lanes(bytes, Array.from({ length: n }, (_, i) => 2 * i + odd));
  return (e, a, b) => {
    const x = e.let(a), y = e.let(b);
    return x.shuffle(y, pick(0)).simd(name, x.shuffle(y, pick(1)));
  };
}

/** Operations whose result has a's part below b's: MMX operands must be put together first. */
export const joinedOps: Record<string, PackedOp> = {
  PACKSSWB: simd("i8x16.narrow_i16x8_s"),
  PACKUSWB: simd("i8x16.narrow_i16x8_u"),
  PACKSSDW: simd("i16x8.narrow_i32x4_s"),
  PHADDW: horizontal(2, "i16x8.add"),
  PHADDD: horizontal(4, "i32x4.add"),
  PHADDSW: horizontal(2, "i16x8.add_sat_s"),
  PHSUBW: horizontal(2, "i16x8.sub"),
  PHSUBD: horizontal(4, "i32x4.sub"),
  PHSUBSW: horizontal(2, "i16x8.sub_sat_s"),
};

/** Interleaving operations: bytes of a lane, upper half or not. */
export const unpacks: Record<string, readonly [1 | 2 | 4, boolean]> = {
  PUNPCKLBW: [1, false],
  PUNPCKHBW: [1, true],
  PUNPCKLWD: [2, false],
  PUNPCKHWD: [2, true],
  PUNPCKLDQ: [4, false],
  PUNPCKHDQ: [4, true],
};

/** XMM operations without an MMX form. */
export const wideOps: Record<string, PackedOp> = {
  PUNPCKLQDQ: unpack(8, false),
  PUNPCKHQDQ: unpack(8, true),
  UNPCKLPS: unpack(4, false),
  UNPCKHPS: unpack(4, true),
  UNPCKLPD: unpack(8, false),
  UNPCKHPD: unpack(8, true),
  ANDPS: packedOps.PAND,
  ANDPD: packedOps.PAND,
  ANDNPS: packedOps.PANDN,
  ANDNPD: packedOps.PANDN,
  ORPS: packedOps.POR,
  ORPD: packedOps.POR,
  XORPS: packedOps.PXOR,
  XORPD: packedOps.PXOR,
  // SSE4.1 and SSE4.2
  PMULDQ: mulEven("s"),
  PMULLD: simd("i32x4.mul"),
  PCMPEQQ: simd("i64x2.eq"),
  PCMPGTQ: simd("i64x2.gt_s"),
  PACKUSDW: simd("i16x8.narrow_i32x4_u"),
  PMINSB: simd("i8x16.min_s"),
  PMINSD: simd("i32x4.min_s"),
  PMINUW: simd("i16x8.min_u"),
  PMINUD: simd("i32x4.min_u"),
  PMAXSB: simd("i8x16.max_s"),
  PMAXSD: simd("i32x4.max_s"),
  PMAXUW: simd("i16x8.max_u"),
  PMAXUD: simd("i32x4.max_u"),
};

// ---- shifts

export type ShiftShape = "i16x8" | "i32x4" | "i64x2";
export type ShiftKind = "shl" | "shr_u" | "shr_s";

const SHIFTS: Record<string, readonly [ShiftShape, ShiftKind]> = {
  PSLLW: ["i16x8", "shl"],
  PSLLD: ["i32x4", "shl"],
  PSLLQ: ["i64x2", "shl"],
  PSRLW: ["i16x8", "shr_u"],
  PSRLD: ["i32x4", "shr_u"],
  PSRLQ: ["i64x2", "shr_u"],
  PSRAW: ["i16x8", "shr_s"],
  PSRAD: ["i32x4", "shr_s"],
};
const LANE_BITS: Record<ShiftShape, number> = { i16x8: 16, i32x4: 32, i64x2: 64 };

/** Shift of all lanes by a 64-bit count: beyond the width 0, or copies of the sign. */
export function shiftBy(
  e: Emit,
  v: V128,
  count: I64,
  shape: ShiftShape,
  kind: ShiftKind,
): V128 {
  const bits = LANE_BITS[shape], n = e.let(count);
  const over = e.let(n.gt_u(bits - 1));
  if (kind === "shr_s") {
    return v.simd(`${shape}.${kind}`, over.select(I32.of(bits - 1), n.wrap()));
  }
  return over.select(ZERO, e.let(v.simd(`${shape}.${kind}`, n.wrap())));
}

/** The same by a constant. */
export function shiftByImmediate(
  v: V128,
  count: number,
  shape: ShiftShape,
  kind: ShiftKind,
): V128 {
  const bits = LANE_BITS[shape];
  if (count >= bits && kind !== "shr_s") return ZERO;
  return v.simd(`${shape}.${kind}`, I32.of(Math.min(count, bits - 1)));
}

/** Immediate of a shift, or undefined for a count in a register or memory. */
function immediateCount(e: Emit): number | undefined {
  const o = e.operands[1];
  return o.kind === "imm" ? o.value & 0xff : undefined;
}

function shifts(): void {
  for (const [name, [shape, kind]] of Object.entries(SHIFTS)) {
    either(name, (e) => {
      const n = immediateCount(e);
      if (n !== undefined) return wrMm(e, 0, shiftByImmediate(rdMm(e, 0), n, shape, kind));
      const count = e.rdLow(1, 8);
      wrMm(e, 0, shiftBy(e, rdMm(e, 0), count, shape, kind));
    }, (e) => {
      const n = immediateCount(e);
      if (n !== undefined) return e.wrV(0, shiftByImmediate(e.rdV(0), n, shape, kind));
      const count = rdAligned(e, 1).lane64(0);
      e.wrV(0, shiftBy(e, e.rdV(0), count, shape, kind));
    }, { byImmediate: true });
  }
}

/** The MMX form of an interleaving operation: 64-bit operands, of which half the lanes are used. */
function unpackMm(bytes: 1 | 2 | 4, high: boolean): (e: Emit) => void {
  const n = 8 / bytes, first = high ? n / 2 : 0;
  const order = Array.from({ length: n }, (_, i) => first + (i >> 1) + (i & 1 ? 16 / bytes : 0));
  const bytesOf = lanes(bytes, order);
  return (e) => {
    // The lower half is read from 32 bits of memory.
    const b = !high && e.isMem(1) ? e.let(e.rdLow(1, 4).splat("i32x4")) : rdMm(e, 1);
    wrMm(e, 0, rdMm(e, 0).shuffle(b, [...bytesOf, ...bytesOf]));
  };
}

/** An XMM operation with the usual operands: xmm1, xmm2/m128. */
export function binary(op: PackedOp): (e: Emit) => void {
  return (e) => {
    const b = rdAligned(e, 1);
    e.wrV(0, op(e, e.rdV(0), b));
  };
}

export function packedIntegerSemantics(): void {
  const mm = (op: PackedOp) => (e: Emit) => {
    const b = rdMm(e, 1);
    wrMm(e, 0, op(e, rdMm(e, 0), b));
  };
  for (const [name, op] of Object.entries(packedOps)) either(name, mm(op), binary(op));
  for (const [name, op] of Object.entries(joinedOps)) {
    either(name, (e) => {
      const b = e.rdLow(1, 8), a = e.rdLow(0, 8);
      const both = e.let(a.splat().withLane("i64x2", 1, b));
      wrMm(e, 0, op(e, both, both));
    }, binary(op));
  }
  either("PSHUFB", mm(shuffleBytes(0x87)), binary(shuffleBytes(0x8f)));
  for (const [name, [bytes, high]] of Object.entries(unpacks)) {
    either(name, unpackMm(bytes, high), binary(unpack(bytes, high)));
  }
  for (const [name, op] of Object.entries(wideOps)) sse(name, binary(op));
  shifts();
}
