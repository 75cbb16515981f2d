/** Library functions of AES, PCLMULQDQ and SHA semantics: FIPS 197, FIPS 180-4, Intel SDM volume 2. */
import { I32, I64, V128 } from "../../wasm/expr.ts";
import { call, type Callee, type FunctionBuilder } from "../../wasm/func.ts";
import { library } from "../library.ts";
import { lanes, ZERO } from "./sse_common.ts";

// ---- AES

/** Multiplication in GF(2^8) modulo x^8 + x^4 + x^3 + x + 1. */
export function multiply(a: number, b: number): number {
  let r = 0;
  for (; b > 0; b >>= 1, a = a << 1 ^ (a & 0x80 ? 0x11b : 0)) if (b & 1) r ^= a;
  return r;
}

/** FIPS 197, 5.1.1: inverse, then an affine transformation. */
function substitution(): { forward: number[]; inverse: number[] } {
  const forward = new Array<number>(256), inverse = new Array<number>(256);
  for (let x = 0; x < 256; x++) {
    let y = 0;
    while (x !== 0 && multiply(x, y) !== 1) y++;
    let s = 0x63;
    for (let n = 0; n < 5; n++) s ^= (y << n | y >> (8 - n)) & 0xff;
    forward[x] = s;
    inverse[s] = x;
  }
  return { forward, inverse };
}
const sbox = substitution();

function row(table: readonly number[], n: number): V128 {
  let lo = 0n, hi = 0n;
  for (let i = 7; i >= 0; i--) {
    lo = lo << 8n | BigInt(table[16 * n + i]);
    hi = hi << 8n | BigInt(table[16 * n + 8 + i]);
  }
  return V128.of(lo, hi);
}

/** Each byte looked up in a table of 256, sixteen entries at a time. */
export function lookUp(name: string, table: readonly number[]): Callee {
  return library(name, { params: ["v128"], results: ["v128"] }, (f) => {
    const x = f.param(0, "v128");
    let r: V128 | undefined;
    for (let n = 0; n < 16; n++) {
      // A selector outside the sixteen gives 0.
      const index = x.simd("i8x16.sub", I32.of(16 * n).splat("i8x16"));
      const part = row(table, n).simd("i8x16.swizzle", index);
      r = f.let(r ? r.or(part) : part);
    }
    f.return(r);
  });
}
const aesSub = lookUp("aesSubBytes", sbox.forward);
const aesInvSub = lookUp("aesInvSubBytes", sbox.inverse);

/** Row r of the state is bytes r, r + 4, r + 8, r + 12; it moves by r columns. */
const shiftRows = (direction: 1 | -1): number[] =>
  Array.from({ length: 16 }, (_, i) => (i + 4 * direction * (i & 3) + 64) % 16);

/** Multiplication of every byte by 2. */
function double(v: V128): V128 {
  const reduce = v.simd("i8x16.lt_s", ZERO).and(I32.of(0x1b).splat("i8x16"));
  return v.simd("i8x16.add", v).xor(reduce);
}
/** The bytes of each column moved up by `n` rows. */
function rotateColumn(v: V128, n: number): V128 {
  return v.shuffle(v, Array.from({ length: 16 }, (_, i) => (i & 12) + ((i + n) & 3)));
}
function mixColumns(f: FunctionBuilder, v: V128): V128 {
  const twice = f.let(double(v));
  // 2 a0 + 3 a1 + a2 + a3
  return f.let(
    twice.xor(rotateColumn(f.let(twice.xor(v)), 1)).xor(rotateColumn(v, 2))
      .xor(rotateColumn(v, 3)),
  );
}
function inverseMixColumns(f: FunctionBuilder, v: V128): V128 {
  // The inverse is the matrix itself after adding 4 (a0 + a2) to each row.
  const sum = f.let(v.xor(rotateColumn(v, 2)));
  return mixColumns(f, f.let(v.xor(double(f.let(double(sum))))));
}

const ROUND: Callee["type"] = { params: ["v128", "v128"], results: ["v128"] };

function aesRound(name: string, encrypt: boolean, last: boolean): Callee {
  return library(name, ROUND, (f) => {
    const moved = f.param(0, "v128").shuffle(f.param(0, "v128"), shiftRows(encrypt ? 1 : -1));
    const v = f.let(call(encrypt ? aesSub : aesInvSub, "v128", moved));
    const mixed = last ? v : encrypt ? mixColumns(f, v) : inverseMixColumns(f, v);
    f.return(mixed.xor(f.param(1, "v128")));
  });
}

/** (state, round key) → state. */
export const aesRounds: Record<string, Callee> = {
  AESENC: aesRound("aesEnc", true, false),
  AESENCLAST: aesRound("aesEncLast", true, true),
  AESDEC: aesRound("aesDec", false, false),
  AESDECLAST: aesRound("aesDecLast", false, true),
};

export const aesInvMix = library(
  "aesInvMix",
  { params: ["v128"], results: ["v128"] },
  (f) => f.return(inverseMixColumns(f, f.param(0, "v128"))),
);

/** (key, round constant in each odd word) → AESKEYGENASSIST. */
export const aesKeyAssist = library("aesKeyAssist", ROUND, (f) => {
  const s = f.let(call(aesSub, "v128", f.param(0, "v128")));
  const order = [4, 5, 6, 7, 5, 6, 7, 4, 12, 13, 14, 15, 13, 14, 15, 12];
  f.return(s.shuffle(s, order).xor(f.param(1, "v128")));
});

// ---- PCLMULQDQ

/** Carry-less product of the low halves: each factor in four parts whose bits are four apart. */
function carryless32(f: FunctionBuilder, a: I64, b: I64): I64 {
  const mask = (n: number) => 0x1111111111111111n << BigInt(n);
  const part = (v: I64) => [0, 1, 2, 3].map((n) => f.let(v.and(mask(n) & 0xffffffffn)));
  const x = part(a), y = part(b);
  let r: I64 = I64.of(0);
  for (let k = 0; k < 4; k++) {
    // No column has more than eight ones, so that sums stay in their four bits.
    let sum = x[0].mul(y[k]);
    for (let n = 1; n < 4; n++) sum = sum.xor(x[n].mul(y[(k - n + 4) & 3]));
    r = f.let(r.or(sum.and(mask(k))));
  }
  return r;
}

/** (a, b) → 128-bit carry-less product. */
export const carrylessMultiply = library(
  "carrylessMultiply",
  { params: ["i64", "i64"], results: ["v128"] },
  (f) => {
    const a = f.param(0, "i64"), b = f.param(1, "i64"), low = 0xffffffffn;
    const a1 = f.let(a.shr_u(32)), b1 = f.let(b.shr_u(32));
    const ll = carryless32(f, f.let(a.and(low)), f.let(b.and(low)));
    const hh = carryless32(f, a1, b1);
    const cross = carryless32(f, f.let(a.xor(a1).and(low)), f.let(b.xor(b1).and(low)));
    const mid = f.let(cross.xor(ll).xor(hh));
    f.return(
      ll.xor(mid.shl(32)).splat().withLane("i64x2", 1, hh.xor(mid.shr_u(32))),
    );
  },
);

// ---- SHA

/** Words 3 to 0 of a vector: the manual names the highest first. */
function words(f: FunctionBuilder, v: V128): I32[] {
  return [3, 2, 1, 0].map((n) => f.let(v.lane32(n)));
}
function vector(w: readonly I32[]): V128 {
  let v: V128 = w[3].splat("i32x4");
  for (let n = 0; n < 3; n++) v = v.withLane("i32x4", 3 - n, w[n]);
  return v;
}

const choose = (b: I32, c: I32, d: I32): I32 => b.and(c).xor(b.not().and(d));
const parity = (b: I32, c: I32, d: I32): I32 => b.xor(c).xor(d);
const majority = (b: I32, c: I32, d: I32): I32 => b.and(c).xor(b.and(d)).xor(c.and(d));
const SHA1 = [
  { f: choose, k: 0x5a827999 },
  { f: parity, k: 0x6ed9eba1 },
  { f: majority, k: 0x8f1bbcdc },
  { f: parity, k: 0xca62c1d6 },
];

/** (A to D, W0 + E and W1 to W3) → A to D after four rounds; one function for each immediate. */
export const sha1Rounds = SHA1.map(({ f: logic, k }, n) =>
  library(`sha1Rounds${n}`, ROUND, (f) => {
    let [a, b, c, d] = words(f, f.param(0, "v128"));
    const w = words(f, f.param(1, "v128"));
    let e: I32 = I32.of(0);
    for (let i = 0; i < 4; i++) {
      // E of the first round is part of its W.
      const next = f.let(logic(b, c, d).add(a.rotl(5)).add(w[i]).add(e).add(k));
      [a, b, c, d, e] = [next, a, f.let(b.rotl(30)), c, d];
    }
    f.return(vector([a, b, c, d]));
  })
);

export const sha1NextE = library("sha1NextE", ROUND, (f) => {
  const b = f.param(1, "v128");
  const e = f.param(0, "v128").lane32(3).rotl(30);
  f.return(b.withLane("i32x4", 3, b.lane32(3).add(e)));
});

export const sha1Msg1 = library("sha1Msg1", ROUND, (f) => {
  const a = f.param(0, "v128"), b = f.param(1, "v128");
  f.return(a.xor(b.shuffle(a, [8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23])));
});

export const sha1Msg2 = library("sha1Msg2", ROUND, (f) => {
  const a = words(f, f.param(0, "v128")), b = words(f, f.param(1, "v128"));
  const w16 = f.let(a[0].xor(b[1]).rotl(1));
  const w17 = f.let(a[1].xor(b[2]).rotl(1));
  const w18 = f.let(a[2].xor(b[3]).rotl(1));
  f.return(vector([w16, w17, w18, f.let(a[3].xor(w16).rotl(1))]));
});

/** (C D G H, A B E F, W + K in the low half) → A B E F after two rounds. */
export const sha256Rounds = library(
  "sha256Rounds",
  { params: ["v128", "v128", "v128"], results: ["v128"] },
  (f) => {
    let [c, d, g, h] = words(f, f.param(0, "v128"));
    let [a, b, e, ff] = words(f, f.param(1, "v128"));
    const wk = [f.param(2, "v128").lane32(0), f.param(2, "v128").lane32(1)];
    for (const w of wk) {
      const s1 = e.rotr(6).xor(e.rotr(11)).xor(e.rotr(25));
      const t = f.let(choose(e, ff, g).add(s1).add(w).add(h));
      const s0 = a.rotr(2).xor(a.rotr(13)).xor(a.rotr(22));
      const next = f.let(t.add(majority(a, b, c)).add(s0));
      [a, b, c, d, e, ff, g, h] = [next, a, b, c, f.let(t.add(d)), e, ff, g];
    }
    f.return(vector([a, b, e, ff]));
  },
);

/** σ0 on every word. */
function sigma0(x: V128): V128 {
  const rotr = (n: number) =>
    x.simd("i32x4.shr_u", I32.of(n)).or(x.simd("i32x4.shl", I32.of(32 - n)));
  return rotr(7).xor(rotr(18)).xor(x.simd("i32x4.shr_u", I32.of(3)));
}

export const sha256Msg1 = library("sha256Msg1", ROUND, (f) => {
  const a = f.param(0, "v128");
  const next = f.let(a.shuffle(f.param(1, "v128"), lanes(4, [1, 2, 3, 4])));
  f.return(a.simd("i32x4.add", sigma0(next)));
});

export const sha256Msg2 = library("sha256Msg2", ROUND, (f) => {
  const a = words(f, f.param(0, "v128")), b = words(f, f.param(1, "v128"));
  const sigma1 = (x: I32) => x.rotr(17).xor(x.rotr(19)).xor(x.shr_u(10));
  const w16 = f.let(a[3].add(sigma1(b[1])));
  const w17 = f.let(a[2].add(sigma1(b[0])));
  const w18 = f.let(a[1].add(sigma1(w16)));
  f.return(vector([f.let(a[0].add(sigma1(w17))), w18, w17, w16]));
});
