/** SSE4.1 and SSE4.2 beyond what `sse_int.ts`, `sse_move.ts` and `sse_compare.ts` hold; SSE4A. SDM volume 2. */
import { type AnyInt, I32, I64, V128 } from "../../wasm/expr.ts";
import { call, type Callee } from "../../wasm/func.ts";
import { define, type Emit } from "./emit.ts";
import { DOUBLE, type Format, SINGLE } from "./lib_sse.ts";
import { ssePacked } from "./lib_sse_arith.ts";
import { crc32 } from "./lib_sse_int.ts";
import { imm8, lanes, low32, low64, rdAligned, sse, ZERO } from "./sse_common.ts";
import { finish } from "./sse_float.ts";

/** PMOVSX and PMOVZX: lane widths from, to, in bytes. */
const EXTENSIONS: Record<string, readonly [1 | 2 | 4, 2 | 4 | 8]> = {
  BW: [1, 2],
  BD: [1, 4],
  BQ: [1, 8],
  WD: [2, 4],
  WQ: [2, 8],
  DQ: [4, 8],
};
const WIDEN = {
  1: "i16x8.extend_low_i8x16",
  2: "i32x4.extend_low_i16x8",
  4: "i64x2.extend_low_i32x4",
} as const;

/** The low lanes of `v` extended step by step. */
export function extend(v: V128, from: 1 | 2 | 4, to: 2 | 4 | 8, sign: "s" | "u"): V128 {
  for (let n: number = from; n < to; n *= 2) v = v.simd(`${WIDEN[n as 1 | 2 | 4]}_${sign}`);
  return v;
}

function extension(from: 1 | 2 | 4, to: 2 | 4 | 8, sign: "s" | "u"): (e: Emit) => void {
  const bytes = 16 * from / to;
  return (e) => {
    let v: V128;
    if (!e.isMem(1)) v = e.rdV(1);
    else if (bytes === 8) v = low64(e.rdLow(1, 8));
    else v = low32(bytes === 4 ? e.rdLow(1, 4) : e.rd(1, 16) as I32);
    e.wrV(0, extend(v, from, to, sign));
  };
}

/** Lanes of b where the sign bit of XMM0's lane is set. */
function blendVariable(shape: "i8x16" | "i32x4" | "i64x2"): (e: Emit) => void {
  return (e) => {
    const b = rdAligned(e, 1), mask = e.rdV(2).simd(`${shape}.lt_s`, ZERO);
    e.wrV(0, b.bitselect(e.rdV(0), mask));
  };
}

function ptest(e: Emit): void {
  const b = e.let(rdAligned(e, 1)), a = e.rdV(0);
  const zf = b.and(a).reduce("v128.any_true").eqz();
  const cf = b.andnot(a).reduce("v128.any_true").eqz();
  e.flagsAll(e.let(zf.shl(6).or(cf)));
}

/** Smallest word and its index. */
function minimumPosition(e: Emit): void {
  const v = e.let(rdAligned(e, 1));
  // Each word with its index below it: the smallest pair is the first of the smallest words.
  const index = V128.of(0x0003000200010000n, 0x0007000600050004n);
  const pair = (order: readonly number[]) => index.shuffle(v, lanes(2, order));
  const min = (x: V128, y: V128) => e.let(x.simd("i32x4.min_u", y));
  let m = min(pair([0, 8, 1, 9, 2, 10, 3, 11]), pair([4, 12, 5, 13, 6, 14, 7, 15]));
  m = min(m, m.shuffle(m, lanes(4, [2, 3, 0, 1])));
  m = min(m, m.shuffle(m, lanes(4, [1, 0, 3, 2])));
  e.wrV(0, low32(e.let(m.lane32(0).rotl(16))));
}

/** Sums of absolute differences of four bytes of b with eleven of a. */
function multipleSad(e: Emit): void {
  const b = rdAligned(e, 1), a = e.rdV(0), imm = imm8(e);
  e.wrV(0, mpsadbw(e, a, b, imm));
}

export function mpsadbw(e: Emit, a: V128, b: V128, imm: number): V128 {
  const from = imm & 4, block = 4 * (imm & 3);
  const sums: V128[] = [];
  for (let k = 0; k < 4; k++) {
    const order = Array.from({ length: 16 }, (_, i) => Math.min(from + k + i, 15));
    const x = e.let(a.shuffle(a, order).simd("i16x8.extend_low_i8x16_u"));
    const y = b.shuffle(b, Array(16).fill(block + k)).simd("i16x8.extend_low_i8x16_u");
    sums.push(x.simd("i16x8.sub", y).simd("i16x8.abs"));
  }
  return sums.reduce((s, v) => s.simd("i16x8.add", v));
}

/** A mask of the lanes whose bit is set in `bits`. */
function laneMask(t: Format, bits: number): V128 {
  const words = [0n, 0n], per = 64 / t.bits;
  for (let n = 0; n < 2 * per; n++) {
    if (bits >> n & 1) {
      words[Math.floor(n / per)] |= (1n << BigInt(t.bits)) - 1n << BigInt(n % per * t.bits);
    }
  }
  return V128.of(words[0], words[1]);
}

/**
 * DPPS and DPPD: products chosen by the upper immediate bits, summed, to the lanes of the lower. Of
 * several vectors, all do each step before its exceptions are accounted for.
 */
export function dotProducts(
  e: Emit,
  t: Format,
  a: readonly V128[],
  b: readonly V128[],
  imm: number,
): V128[] {
  const { add, mul } = ssePacked, suffix = `${t.bits}` as const;
  const chosen = laneMask(t, imm >> 4);
  const step = (lib: Callee, x: readonly V128[], y: readonly V128[]): V128[] => {
    const r = x.map((v, n) => e.let(call(lib, "v128", e.cpu(), e.let(v), e.let(y[n]))));
    finish(e);
    return r;
  };
  const moved = (v: readonly V128[], order: readonly number[]) =>
    v.map((x) => x.shuffle(x, lanes((t.bits >> 3) as 4 | 8, order)));
  const products = step(mul[suffix], a.map((v) => v.and(chosen)), b.map((v) => v.and(chosen)));
  let sums: V128[];
  // Every lane has a sum of its own order, which shows when there are several NaNs.
  if (t.bits === 64) sums = step(add[suffix], products, moved(products, [1, 0]));
  else {
    const pairs = step(add[suffix], moved(products, [1, 0, 3, 2]), products);
    sums = step(add[suffix], pairs, moved(pairs, [2, 3, 0, 1]));
  }
  return sums.map((v) => v.and(laneMask(t, imm & 15)));
}

function dotProduct(t: Format): (e: Emit) => void {
  return (e) => {
    const b = e.let(rdAligned(e, 1));
    e.wrV(0, dotProducts(e, t, [e.rdV(0)], [b], imm8(e))[0]);
  };
}

// ---- SSE4A

/** A field of the low quadword: `length` bits (0 means 64) from bit `index`. */
function fieldMask(e: Emit, length: I64): I64 {
  const n = e.let(length.and(63));
  return e.let(n.eqz().select(I64.of(-1), I64.of(1).shl(n).sub(1)));
}

function extrq(e: Emit): void {
  const register = e.operands[1].kind === "xmm";
  let length: I64, index: I64;
  if (register) {
    const c = e.rdLow(1, 8);
    length = c;
    index = c.shr_u(8).and(63);
  } else {
    length = I64.of((e.operands[1] as { value: number }).value);
    index = I64.of((e.operands[2] as { value: number }).value & 63);
  }
  e.wrLow(0, e.let(e.rdLow(0, 8).shr_u(index).and(fieldMask(e, length))) as AnyInt, 8);
}

function insertq(e: Emit): void {
  const register = e.operands.length === 2;
  const v = e.rdLow(1, 8);
  let length: I64, index: I64;
  if (register) {
    const c = e.let(e.rdV(1).lane64(1));
    length = c;
    index = e.let(c.shr_u(8).and(63));
  } else {
    length = I64.of((e.operands[2] as { value: number }).value);
    index = I64.of((e.operands[3] as { value: number }).value & 63);
  }
  const mask = fieldMask(e, length);
  const old = e.rdLow(0, 8);
  e.wrLow(
    0,
    e.let(old.and(mask.shl(index).not()).or(v.and(mask).shl(index))) as AnyInt,
    8,
  );
}

export function sse4Semantics(): void {
  for (const [suffix, [from, to]] of Object.entries(EXTENSIONS)) {
    sse(`PMOVSX${suffix}`, extension(from, to, "s"));
    sse(`PMOVZX${suffix}`, extension(from, to, "u"));
  }
  sse("PBLENDVB", blendVariable("i8x16"));
  sse("BLENDVPS", blendVariable("i32x4"));
  sse("BLENDVPD", blendVariable("i64x2"));
  sse("PTEST", ptest);
  sse("PHMINPOSUW", minimumPosition);
  sse("MPSADBW", multipleSad, { byImmediate: true });
  sse("DPPS", dotProduct(SINGLE), { byImmediate: true });
  sse("DPPD", dotProduct(DOUBLE), { byImmediate: true });
  sse("EXTRQ", extrq, { byImmediate: true });
  sse("INSERTQ", insertq, { byImmediate: true });
  define("CRC32", (e) => {
    const bits = e.size(1);
    const v = e.rd(1);
    const wide = bits === 64 ? v as unknown as I64 : (v as unknown as I32).extend_u();
    const old = e.rd32(0);
    const r = e.call(crc32, "i32", old, wide, I32.of(bits));
    e.wr(0, (e.size(0) === 64 ? r.extend_u() : r) as AnyInt);
  });
}
