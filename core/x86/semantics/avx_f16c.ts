/** F16C: VCVTPH2PS and VCVTPS2PH, which do not check alignment. Intel SDM volume 2. */
import { F32, I32, type I64, type V128 } from "../../wasm/expr.ts";
import { call } from "../../wasm/func.ts";
import { avx, laneCount, loadLanes, rdLanes, wrLanes } from "./avx_common.ts";
import { harmless, loadSource, storeMasked } from "./evex.ts";
import type { Emit } from "./emit.ts";
import { ssePackedFromHalf, ssePackedToHalf } from "./lib_sse_half.ts";
import { imm8, low64 } from "./sse_common.ts";
import { roundingOf } from "./sse_convert.ts";
import { finish } from "./sse_float.ts";

const words = (n: number): V128 => I32.of(n).splat("i32x4");

/** Four singles from four halves; `slow` is set when a library function has been called. */
function widen(e: Emit, halves: I64, slow: ReturnType<typeof e.local<"i32">>): V128 {
  const h = e.let(low64(halves).simd("i32x4.extend_low_i16x8_u"));
  const size = e.let(h.and(words(0x7fff)));
  const sign = h.and(words(0x8000)).simd("i32x4.shl", I32.of(16));
  // The exponent's bias is made good by a multiplication, which gets denormals right as well.
  const scaled = size.simd("i32x4.shl", I32.of(13)).simd("f32x4.mul", F32.of(2 ** 112).splat());
  const infinite = size.simd("i32x4.eq", words(0x7c00)).and(words(0x7f800000));
  const r = e.local("v128");
  r.set(scaled.or(infinite).or(sign));
  e.f.if(size.simd("i32x4.gt_u", words(0x7c00)).reduce("v128.any_true"), () => {
    r.set(call(ssePackedFromHalf, "v128", e.cpu(), halves));
    slow.set(I32.of(1));
  });
  return r.get();
}

function fromHalves(e: Emit): void {
  const count = laneCount(e, 0);
  let v: V128[];
  if (e.isMem(1) && e.operands[1].size < 128) {
    v = e.masking === undefined
      ? [e.let(low64(e.load(e.lin(1, 8, false), 8, 1) as unknown as I64))]
      : loadSource(e, 1, 8, false, 1);
  } else v = e.isMem(1) ? loadLanes(e, 1) : rdLanes(e, 1);
  v = v.map((x, l) => harmless(e, x, 8 * l));
  const slow = e.local("i32");
  slow.set(I32.of(0));
  const r: V128[] = [];
  for (let n = 0; n < count; n++) r.push(widen(e, e.let(v[n >> 1].lane64(n & 1)), slow));
  e.f.if(slow.get(), () => finish(e));
  wrLanes(e, 0, r);
}

function toHalves(e: Emit): void {
  const imm = imm8(e), v = rdLanes(e, 1);
  const bytes = 8 * v.length;
  const compute = (): V128[] => {
    const rc = imm & 4 ? roundingOf(e) : I32.of(imm & 3);
    const r = v.map((x) => e.let(call(ssePackedToHalf, "i64", e.cpu(), x, rc)));
    finish(e);
    return Array.from({ length: Math.ceil(r.length / 2) }, (_, l) => {
      const low = low64(r[2 * l]), high = r[2 * l + 1];
      return e.let(high === undefined ? low : low.withLane("i64x2", 1, high));
    });
  };
  if (!e.isMem(0)) return wrLanes(e, 0, compute());
  if (e.masking !== undefined) return storeMasked(e, 0, bytes, false, compute, 1);
  // A fault of the store comes before the flags change.
  const host = e.probeAs(e.lin(0, bytes, true), bytes, "w", false, 1);
  const [r] = compute();
  if (bytes === 8) e.f.store("i64.store", host, r.lane64(0));
  else e.f.store("v128.store", host, r);
  e.commit(host, bytes);
}

export function avxF16cSemantics(): void {
  avx("VCVTPH2PS", fromHalves);
  avx("VCVTPS2PH", toHalves, { byImmediate: true });
}
