/**
 * AMD's 3DNow!: pairs of single-precision numbers in MMX registers. AMD 21928, "3DNow! Technology
 * Manual", and 22466 for the extensions. Denormal numbers are kept, where those processors may flush
 * them; reciprocals are exact at once, so that the iterations hand them on, as QEMU has it.
 */
import { I32, I64, V128 } from "../../wasm/expr.ts";
import * as S from "../state.ts";
import { define } from "./emit.ts";
import { mmx, mmxEnabled, rdMm, wrMm } from "./sse_common.ts";

const splat32 = (v: bigint): V128 => V128.of(v << 32n | v, v << 32n | v);
const ONE = splat32(0x3f800000n), SIGN = splat32(0x80000000n);
const ROUND = splat32(0x8000n), MAX16 = splat32(0x7fffn), MIN16 = splat32(0xffff8000n);

/** The low numbers of both operands, and the high ones. */
const EVEN = [0, 1, 2, 3, 16, 17, 18, 19, 0, 1, 2, 3, 16, 17, 18, 19];
const ODD = [4, 5, 6, 7, 20, 21, 22, 23, 4, 5, 6, 7, 20, 21, 22, 23];
const SWAP = [4, 5, 6, 7, 0, 1, 2, 3, 4, 5, 6, 7, 0, 1, 2, 3];
const LOW_TWICE = [0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3];
/** The low number of the first vector, the high one of the second. */
const LOW_HIGH = [0, 1, 2, 3, 20, 21, 22, 23, 0, 1, 2, 3, 20, 21, 22, 23];

/** An operation on destination and source. */
function pair(name: string, f: (a: V128, b: V128) => V128): void {
  mmx(name, (e) => {
    const b = rdMm(e, 1), a = rdMm(e, 0);
    wrMm(e, 0, f(a, b));
  });
}

export function now3dSemantics(): void {
  define("FEMMS", (e) => {
    if (mmxEnabled(e)) e.setField(8, S.FTOP, I64.of(0xffn << 32n));
  });
  pair("PFADD", (a, b) => a.simd("f32x4.add", b));
  pair("PFSUB", (a, b) => a.simd("f32x4.sub", b));
  pair("PFSUBR", (a, b) => b.simd("f32x4.sub", a));
  pair("PFMUL", (a, b) => a.simd("f32x4.mul", b));
  pair("PFMIN", (a, b) => a.simd("f32x4.pmin", b));
  pair("PFMAX", (a, b) => a.simd("f32x4.pmax", b));
  pair("PFCMPEQ", (a, b) => a.simd("f32x4.eq", b));
  pair("PFCMPGE", (a, b) => a.simd("f32x4.ge", b));
  pair("PFCMPGT", (a, b) => a.simd("f32x4.gt", b));
  pair("PFACC", (a, b) => a.shuffle(b, EVEN).simd("f32x4.add", a.shuffle(b, ODD)));
  pair("PFNACC", (a, b) => a.shuffle(b, EVEN).simd("f32x4.sub", a.shuffle(b, ODD)));
  pair("PFPNACC", (a, b) => {
    const even = a.shuffle(b, EVEN), odd = a.shuffle(b, ODD);
    return even.simd("f32x4.sub", odd).shuffle(even.simd("f32x4.add", odd), LOW_HIGH);
  });
  pair("PI2FD", (_, b) => b.simd("f32x4.convert_i32x4_s"));
  pair("PF2ID", (_, b) => b.simd("i32x4.trunc_sat_f32x4_s"));
  pair("PI2FW", (_, b) =>
    b.simd("i32x4.shl", I32.of(16)).simd("i32x4.shr_s", I32.of(16))
      .simd("f32x4.convert_i32x4_s"));
  pair(
    "PF2IW",
    (_, b) =>
      b.simd("i32x4.trunc_sat_f32x4_s").simd("i32x4.min_s", MAX16).simd("i32x4.max_s", MIN16),
  );
  pair("PFRCP", (_, b) => ONE.simd("f32x4.div", b.shuffle(b, LOW_TWICE)));
  pair("PFRSQRT", (_, b) => {
    const x = b.shuffle(b, LOW_TWICE);
    return ONE.simd("f32x4.div", x.andnot(SIGN).simd("f32x4.sqrt")).or(x.and(SIGN));
  });
  for (const n of ["PFRCPIT1", "PFRSQIT1", "PFRCPIT2"]) pair(n, (_, b) => b);
  pair("PMULHRW", (a, b) => {
    const r = a.simd("i32x4.extmul_low_i16x8_s", b).simd("i32x4.add", ROUND)
      .simd("i32x4.shr_s", I32.of(16));
    return r.simd("i16x8.narrow_i32x4_s", r);
  });
  pair("PAVGUSB", (a, b) => a.simd("i8x16.avgr_u", b));
  pair("PSWAPD", (_, b) => b.shuffle(b, SWAP));
}
