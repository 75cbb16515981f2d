/** AVX and AVX2 permutations across and within lanes, and shifts by a count for each element. SDM volume 2. */
import { I32, V128 } from "../../wasm/expr.ts";
import { acrossLanesEvex, quadwordsEvex } from "./evex_permute.ts";
import { avx, bytesOf, rdLanes, wrLanes } from "./avx_common.ts";
import type { Emit } from "./emit.ts";
import { imm8, lanes, ZERO } from "./sse_common.ts";

const BY_IMMEDIATE = { byImmediate: true };

/** Byte numbers within an element, for each element. */
const WITHIN_4 = V128.of(0x0302010003020100n, 0x0302010003020100n);
const WITHIN_8 = V128.of(0x0706050403020100n, 0x0706050403020100n);

/** Byte selectors from dword numbers: 4 × n + 0, 1, 2, 3. */
function dwordSelectors(e: Emit, index: V128, count: 4 | 8): V128 {
  const n = index.and(I32.of(count - 1).splat("i32x4"));
  return e.let(n.simd("i32x4.mul", I32.of(0x04040404).splat("i32x4")).simd("i8x16.add", WITHIN_4));
}

/** VPERMILPS, VPERMILPD by a vector: elements of each lane chosen within it. */
function withinLane(bytes: 4 | 8): (e: Emit) => void {
  return (e) => {
    const control = rdLanes(e, 2), v = rdLanes(e, 1);
    wrLanes(
      e,
      0,
      v.map((x, l) => {
        if (bytes === 4) return x.simd("i8x16.swizzle", dwordSelectors(e, control[l], 4));
        // Bit 1 chooses.
        const chosen = control[l].simd("i64x2.shl", I32.of(62)).simd("i64x2.shr_s", I32.of(63));
        const selectors = chosen.and(bytesOf(8)).simd("i8x16.add", WITHIN_8);
        return x.simd("i8x16.swizzle", selectors);
      }),
    );
  };
}

/** The same by an immediate, with as many bits for each element as it has choices. */
function withinLaneByImmediate(bytes: 4 | 8): (e: Emit) => void {
  return (e) => {
    const imm = imm8(e), v = rdLanes(e, 1);
    wrLanes(
      e,
      0,
      v.map((x, l) => {
        const order = bytes === 4
          ? [imm & 3, imm >> 2 & 3, imm >> 4 & 3, imm >> 6 & 3]
          : [imm >> 2 * l & 1, imm >> 2 * l + 1 & 1];
        return x.shuffle(x, lanes(bytes, order));
      }),
    );
  };
}

/** VPERMD, VPERMPS: any of eight elements. */
function acrossLanes(e: Emit): void {
  if (e.masking !== undefined) return acrossLanesEvex(e);
  const v = rdLanes(e, 2), index = rdLanes(e, 1);
  wrLanes(
    e,
    0,
    index.map((x) => {
      const at = dwordSelectors(e, x, 8);
      // Selectors beyond a vector give 0.
      const high = at.simd("i8x16.sub", bytesOf(16));
      return v[0].simd("i8x16.swizzle", at).or(v[1].simd("i8x16.swizzle", high));
    }),
  );
}

/** VPERMQ, VPERMPD: any of four elements by an immediate. */
function quadwords(e: Emit): void {
  if (e.masking !== undefined) return quadwordsEvex(e);
  const imm = imm8(e), [low, high] = rdLanes(e, 1);
  const pick = (n: number) => low.shuffle(high, lanes(8, [imm >> n & 3, imm >> n + 2 & 3]));
  wrLanes(e, 0, [pick(0), pick(4)]);
}

/** VPERM2F128, VPERM2I128: lanes of both sources, or zeros. */
function wholeLanes(e: Emit): void {
  const imm = imm8(e), b = rdLanes(e, 2), all = [...rdLanes(e, 1), ...b];
  wrLanes(e, 0, [0, 4].map((n) => imm >> n & 8 ? ZERO : all[imm >> n & 3]));
}

/** VPBLENDD: elements of the second source where an immediate bit is set. */
function blendDwords(e: Emit): void {
  const imm = imm8(e), b = rdLanes(e, 2), a = rdLanes(e, 1);
  wrLanes(
    e,
    0,
    a.map((x, l) =>
      x.shuffle(b[l], lanes(4, [0, 1, 2, 3].map((n) => imm >> 4 * l + n & 1 ? n + 4 : n)))
    ),
  );
}

/** Shifts whose count is that of the same element of the second source. */
function shiftEach(bits: 32 | 64, kind: "shl" | "shr_u" | "shr_s"): (e: Emit) => void {
  return (e) => {
    const counts = rdLanes(e, 2), v = rdLanes(e, 1);
    const one = (x: V128, c: V128): V128 => {
      let r: V128 = ZERO;
      for (let n = 0; n < 128 / bits; n++) {
        if (bits === 64) {
          const count = e.let(c.lane64(n));
          const y = count.gt_u(63).select(count.constant(0), x.lane64(n)[kind](count));
          r = e.let(r.withLane("i64x2", n, y));
        } else {
          const count = e.let(c.lane32(n)), over = count.gt_u(31);
          const y = kind === "shr_s"
            ? x.lane32(n).shr_s(over.select(I32.of(31), count))
            : over.select(I32.of(0), x.lane32(n)[kind](count));
          r = e.let(r.withLane("i32x4", n, y));
        }
      }
      return r;
    };
    wrLanes(e, 0, v.map((x, l) => one(x, counts[l])));
  };
}

export function avxPermuteSemantics(): void {
  for (const [name, bytes] of [["VPERMILPS", 4], ["VPERMILPD", 8]] as const) {
    const byVector = withinLane(bytes), byImmediate = withinLaneByImmediate(bytes);
    avx(name, (e) => (e.operands[2].kind === "imm" ? byImmediate : byVector)(e), BY_IMMEDIATE);
  }
  avx(["VPERMD", "VPERMPS"], acrossLanes);
  avx(["VPERMQ", "VPERMPD"], quadwords, BY_IMMEDIATE);
  avx(["VPERM2F128", "VPERM2I128"], wholeLanes, BY_IMMEDIATE);
  avx("VPBLENDD", blendDwords, BY_IMMEDIATE);
  avx("VPSLLVD", shiftEach(32, "shl"));
  avx("VPSLLVQ", shiftEach(64, "shl"));
  avx("VPSRLVD", shiftEach(32, "shr_u"));
  avx("VPSRLVQ", shiftEach(64, "shr_u"));
  avx("VPSRAVD", shiftEach(32, "shr_s"));
}
