/**
 * AVX-512 integer operations that treat every lane alike, on the machinery of `avx_lane.ts`: each is
 * written as one of SSE on 128 bits would be. Intel SDM volume 2.
 */
import { I32, type I64, load, V128 } from "../../wasm/expr.ts";
import { library } from "../library.ts";
import { deriveBody } from "./avx_lane.ts";
import type { Emit } from "./emit.ts";
import { imm8, lanes, ZERO } from "./sse_common.ts";
import { type PackedOp, packedOps, shiftBy, shiftByImmediate } from "./sse_int.ts";

/** A vector of `op` on the 64-bit elements of two. */
function each64(e: Emit, a: V128, b: V128, op: (x: I64, y: I64) => I64): V128 {
  const x = e.let(a), y = e.let(b);
  const low = e.let(op(e.let(x.lane64(0)), e.let(y.lane64(0))));
  return low.splat().withLane("i64x2", 1, op(e.let(x.lane64(1)), e.let(y.lane64(1))));
}

function each32(e: Emit, a: V128, b: V128, op: (x: I32, y: I32) => I32): V128 {
  const x = e.let(a), y = e.let(b);
  let r: V128 = x;
  for (let n = 0; n < 4; n++) {
    r = e.let(r.withLane("i32x4", n, op(e.let(x.lane32(n)), e.let(y.lane32(n)))));
  }
  return r;
}

/** The smaller or larger of 64-bit numbers. */
function choose64(larger: boolean, unsigned: boolean): PackedOp {
  const sign = V128.of(1n << 63n, 1n << 63n);
  return (e, a, b) => {
    const x = e.let(a), y = e.let(b);
    const above = unsigned ? x.xor(sign).simd("i64x2.gt_s", y.xor(sign)) : x.simd("i64x2.gt_s", y);
    return larger ? x.bitselect(y, above) : y.bitselect(x, above);
  };
}

/** Shifts of words whose count is that of the same element of the second source. */
function shiftWords(kind: "shl" | "shr_u" | "shr_s"): PackedOp {
  return (e, a, b) => {
    const x = e.let(a), y = e.let(b);
    let r: V128 = x;
    for (let n = 0; n < 8; n++) {
      const count = e.let(y.lane32(n, "i16x8"));
      const v = x.lane32(n, "i16x8", kind === "shr_s");
      const over = count.gt_u(15);
      const shifted = kind === "shr_s"
        ? v.shr_s(over.select(I32.of(15), count))
        : over.select(I32.of(0), v[kind](count));
      r = e.let(r.withLane("i16x8", n, shifted));
    }
    return r;
  };
}

const shiftRight64: PackedOp = (e, a, b) =>
  each64(e, a, b, (x, y) => x.shr_s(y.gt_u(63).select(y.constant(63), y)));

/** Two-source operations: first source, second source. */
const BINARY: Record<string, PackedOp> = {
  VPANDD: packedOps.PAND,
  VPANDQ: packedOps.PAND,
  VPANDND: packedOps.PANDN,
  VPANDNQ: packedOps.PANDN,
  VPORD: packedOps.POR,
  VPORQ: packedOps.POR,
  VPXORD: packedOps.PXOR,
  VPXORQ: packedOps.PXOR,
  VPMINSQ: choose64(false, false),
  VPMINUQ: choose64(false, true),
  VPMAXSQ: choose64(true, false),
  VPMAXUQ: choose64(true, true),
  VPMULLQ: (_, a, b) => a.simd("i64x2.mul", b),
  VPROLVD: (e, a, b) => each32(e, a, b, (x, y) => x.rotl(y)),
  VPROLVQ: (e, a, b) => each64(e, a, b, (x, y) => x.rotl(y)),
  VPRORVD: (e, a, b) => each32(e, a, b, (x, y) => x.rotr(y)),
  VPRORVQ: (e, a, b) => each64(e, a, b, (x, y) => x.rotr(y)),
  VPSLLVW: shiftWords("shl"),
  VPSRLVW: shiftWords("shr_u"),
  VPSRAVW: shiftWords("shr_s"),
  VPSRAVQ: shiftRight64,
};

const LEADING: Record<string, (e: Emit, v: V128) => V128> = {
  VPLZCNTD: (e, v) => each32(e, v, v, (x) => x.clz()),
  VPLZCNTQ: (e, v) => each64(e, v, v, (x) => x.clz()),
  VPABSQ: (_, v) => v.simd("i64x2.abs"),
};

/** Element tests: 16 bits of a comparison, or of tests for common bits. */
const shapeOfBytes = { 1: "i8x16", 2: "i16x8", 4: "i32x4", 8: "i64x2" } as const;

function testBits(bytes: 1 | 2 | 4 | 8, common: boolean): PackedOp {
  const shape = shapeOfBytes[bytes];
  return (e, a, b) => {
    const none = e.let(a.and(b).simd(`${shape}.eq`, ZERO));
    return common ? none.not() : none;
  };
}

/** VPCMP and VPCMPU: equal, less, less or equal, never, and their opposites. */
function compare(bytes: 1 | 2 | 4 | 8, unsigned: boolean): (e: Emit, a: V128, b: V128) => V128 {
  const shape = shapeOfBytes[bytes];
  const sign = 1n << BigInt(8 * bytes - 1);
  let signs = 0n;
  for (let at = 0; at < 64; at += 8 * bytes) signs |= sign << BigInt(at);
  return (e, a, b) => {
    const turn = (v: V128) => e.let(unsigned ? v.xor(V128.of(signs, signs)) : v);
    const x = turn(a), y = turn(b), n = imm8(e) & 7;
    const r = (n & 3) === 0
      ? x.simd(`${shape}.eq`, y)
      : (n & 3) === 3
      ? ZERO
      : (n & 3) === 1
      ? y.simd(`${shape}.gt_s`, x)
      : x.simd(`${shape}.gt_s`, y).not();
    return n & 4 ? r.not() : r;
  };
}

/** Any Boolean function of three: immediate bit 4a + 2b + c. */
function ternary(e: Emit, a: V128, b: V128, c: V128): V128 {
  const imm = imm8(e), x = e.let(a), y = e.let(b), z = e.let(c);
  const ones = V128.of(-1n, -1n);
  // For given a and b, c decides among 0, not c, c and 1.
  const ofC = (two: number): V128 => [ZERO, z.not(), z, ones][two];
  const ofBC = (four: number): V128 =>
    (four & 3) === four >> 2 ? ofC(four & 3) : ofC(four >> 2).bitselect(ofC(four & 3), y);
  return (imm & 15) === imm >> 4 ? ofBC(imm & 15) : ofBC(imm >> 4).bitselect(ofBC(imm & 15), x);
}

/** VDBPSADBW: sums of absolute differences of four bytes with a shuffle of the second source. */
function doubleSad(e: Emit, a: V128, b: V128): V128 {
  const imm = imm8(e), x = e.let(a), y = e.let(b);
  const order = [imm & 3, imm >> 2 & 3, imm >> 4 & 3, imm >> 6 & 3];
  const t = e.let(y.shuffle(y, lanes(4, order)));
  // Words 0 and 1 of each quadword with bytes 0 and 1 of t on, words 2 and 3 with 2 and 3 on.
  const order1 = (n: number) => Array.from({ length: 16 }, (_, i) => (i & ~7) + (i & 3) + n);
  const sums = (first: number, n: number): V128 => {
    const p = e.let(
      x.shuffle(x, Array.from({ length: 16 }, (_, i) => (i & ~7) + (i & 3) + first)),
    );
    const q = e.let(t.shuffle(t, order1(n)));
    const d = p.simd("i8x16.sub_sat_u", q).or(q.simd("i8x16.sub_sat_u", p));
    // In every dword; its low word is wanted.
    return e.let(d.simd("i16x8.extadd_pairwise_i8x16_u").simd("i32x4.extadd_pairwise_i16x8_u"));
  };
  const w0 = sums(0, 0), w1 = sums(0, 1), w2 = sums(4, 2), w3 = sums(4, 3);
  const low = w0.or(w1.simd("i32x4.shl", I32.of(16)));
  const high = w2.or(w3.simd("i32x4.shl", I32.of(16)));
  return low.shuffle(e.let(high), lanes(4, [0, 4, 2, 6]));
}

/** Rotations by an immediate. */
function rotate(bits: 32 | 64, left: boolean): (e: Emit) => void {
  return (e) => {
    const n = (left ? imm8(e) : -imm8(e)) & bits - 1, shape = bits === 32 ? "i32x4" : "i64x2";
    const v = e.rdV(0);
    const r = n === 0
      ? v
      : v.simd(`${shape}.shl`, I32.of(n)).or(v.simd(`${shape}.shr_u`, I32.of(bits - n)));
    e.wrV(0, r);
  };
}

/** VPSRAQ by an immediate or the low quadword of the second source. */
function shiftQuads(e: Emit): void {
  if (e.operands[1].kind === "imm") {
    return e.wrV(0, shiftByImmediate(e.rdV(0), imm8(e), "i64x2", "shr_s"));
  }
  const count = e.rdV(1).lane64(0);
  e.wrV(0, shiftBy(e, e.rdV(0), count, "i64x2", "shr_s"));
}

export const conflicts = {
  4: conflictLibrary(4),
  8: conflictLibrary(8),
};

/** (address of elements, of results, count): for each element the earlier ones that equal it. */
function conflictLibrary(bytes: 4 | 8) {
  const log = bytes === 4 ? 2 : 3;
  return library(
    `evexConflict${bytes}`,
    { params: ["i32", "i32", "i32"], results: ["i32"] },
    (f) => {
      const from = f.param(0, "i32"), to = f.param(1, "i32"), count = f.param(2, "i32");
      const i = f.local("i32"), k = f.local("i32"), bits = f.local("i32");
      const at = (n: I32): I64 => {
        const a = from.add(n.shl(log));
        return bytes === 8 ? load("i64.load", a) : load("i32.load", a).extend_u();
      };
      i.set(I32.of(0));
      f.loop((next) => {
        bits.set(I32.of(0));
        k.set(I32.of(0));
        f.block((done) =>
          f.loop((again) => {
            f.brIf(done, k.get().ge_u(i.get()));
            f.if(at(k.get()).eq(at(i.get())), () => {
              bits.set(bits.get().or(I32.of(1).shl(k.get())));
            });
            k.set(k.get().add(1));
            f.br(again);
          })
        );
        f.store(
          bytes === 8 ? "i64.store" : "i32.store",
          to.add(i.get().shl(log)),
          bytes === 8 ? bits.get().extend_u() : bits.get(),
        );
        i.set(i.get().add(1));
        f.brIf(next, i.get().lt_u(count));
      });
      f.return(I32.of(0));
    },
  );
}

const BY_IMMEDIATE = { byImmediate: true };

export function evexIntegerSemantics(): void {
  const two = { nds: true };
  for (const [name, op] of Object.entries(BINARY)) {
    deriveBody(name, (e) => {
      const b = e.rdV(1);
      e.wrV(0, op(e, e.rdV(0), b));
    }, two);
  }
  for (const [name, op] of Object.entries(LEADING)) {
    deriveBody(name, (e) => e.wrV(0, op(e, e.rdV(1))), {});
  }
  for (const [s, bytes] of [["B", 1], ["W", 2], ["D", 4], ["Q", 8]] as const) {
    for (const [name, common] of [["VPTESTM", true], ["VPTESTNM", false]] as const) {
      const op = testBits(bytes, common);
      deriveBody(name + s, (e) => {
        const b = e.rdV(1);
        e.wrV(0, op(e, e.rdV(0), b));
      }, two);
    }
    for (const [name, unsigned] of [["VPCMP", false], ["VPCMPU", true]] as const) {
      const op = compare(bytes, unsigned);
      deriveBody(
        name + s,
        (e) => {
          const b = e.rdV(1);
          e.wrV(0, op(e, e.rdV(0), b));
        },
        two,
        BY_IMMEDIATE,
      );
    }
  }
  for (const name of ["VPTERNLOGD", "VPTERNLOGQ"]) {
    deriveBody(
      name,
      (e) => {
        const c = e.rdV(2);
        e.wrV(0, ternary(e, e.rdV(0), e.rdV(1), c));
      },
      { sources: 3 },
      BY_IMMEDIATE,
    );
  }
  deriveBody(
    "VDBPSADBW",
    (e) => {
      const b = e.rdV(1);
      e.wrV(0, doubleSad(e, e.rdV(0), b));
    },
    two,
    BY_IMMEDIATE,
  );
  for (
    const [name, bits, left] of [
      ["VPROLD", 32, true],
      ["VPROLQ", 64, true],
      ["VPRORD", 32, false],
      ["VPRORQ", 64, false],
    ] as const
  ) {
    deriveBody(name, rotate(bits, left), two, BY_IMMEDIATE);
  }
  deriveBody("VPSRAQ", shiftQuads, { nds: true, stride: 0 }, BY_IMMEDIATE);
}
