/** SSE and SSE2 conversions between integers, single and double precision. Intel SDM volume 2. */
import { type AnyInt, F32, F64, I32, type I64, type V128 } from "../../wasm/expr.ts";
import { call, type Callee } from "../../wasm/func.ts";
import * as S from "../state.ts";
import type { Emit } from "./emit.ts";
import { DOUBLE, type Format, isZero, magnitude, SINGLE } from "./lib_sse.ts";
import { shapeOf, splat } from "./lib_sse_arith.ts";
import * as L from "./lib_sse_convert.ts";
import { enterMmx, low64, mixed, rdAligned, sse, wrMm } from "./sse_common.ts";
import { finish, ordinary, plainMode, rdScalar, wrScalar } from "./sse_float.ts";

const TRUNCATE = I32.of(3);

/** The rounding control in force. */
export const roundingOf = (e: Emit): I32 => e.let(e.field32(S.MXCSR).shr_u(13).and(3));

/** A library result with its exceptions when `fine` is false. */
function orElse(e: Emit, fine: I32, quick: V128, slow: Callee, a: V128, last: I32): V128 {
  const r = e.local("v128");
  r.set(quick);
  e.f.if(fine.eqz(), () => {
    r.set(call(slow, "v128", e.cpu(), a, last));
    finish(e);
  });
  return r.get();
}

// ---- integer to floating point

function fromGpr(t: Format): (e: Emit) => void {
  return (e) => {
    const wide = e.size(1) === 64;
    const v = wide ? e.rd(1, 64) as unknown as I64 : e.let(e.rd32(1).extend_s());
    const native = t.bits === 64 ? v.toF64_s().bits() : v.toF32_s().bits().extend_u();
    if (!wide && t.bits === 64) return wrScalar(e, t, 0, e.let(native));
    const r = e.local("i64");
    r.set(native);
    // Numbers of no more bits than the significand has are exact.
    const exact = v.add(t.min * 2n).le_u(t.min * 4n);
    e.f.if(exact.or(plainMode(e)).eqz(), () => {
      r.set(call(L.sseFromInt[`${t.bits}`], "i64", e.cpu(), v));
      finish(e);
    });
    wrScalar(e, t, 0, r.get());
  };
}

/** Four singles from four integers. */
function toSingles(e: Emit, v: V128): V128 {
  const limit = (n: number) => I32.of(n).splat("i32x4");
  const exact = v.simd("i32x4.add", limit(1 << 24)).simd("i32x4.le_u", limit(1 << 25))
    .reduce("i32x4.all_true");
  const quick = v.simd("f32x4.convert_i32x4_s");
  return orElse(e, exact.or(plainMode(e)), quick, L.ssePackedFromInt, v, I32.of(0));
}

// ---- floating point to integer

function toGpr(t: Format, truncate: boolean): (e: Emit) => void {
  return (e) => {
    const x = rdScalar(e, t, 1);
    const wide = e.size(0) === 64;
    const v = e.let(t.bits === 64 ? x.f64() : x.wrap().f32().promote());
    const whole = e.let(truncate ? v.trunc() : v.nearest());
    const r = e.local("i64");
    r.set(wide ? whole.toI64_sat_s() : whole.toI32_sat_s().extend_u());
    const fits = whole.abs().lt(F64.of(wide ? 2 ** 63 : 2 ** 31));
    e.f.if(fits.and(whole.eq(v).or(plainMode(e))).eqz(), () => {
      const rc = truncate ? TRUNCATE : roundingOf(e);
      r.set(
        call(L.sseToInt[`${t.bits}`], "i64", e.cpu(), x, rc, I32.of(wide ? 64 : 32)),
      );
      finish(e);
    });
    e.wr(0, (wide ? r.get() : e.let(r.get().wrap())) as AnyInt);
  };
}

/** 32-bit integers from the numbers of a vector; doubles give two, in the lower half. */
function toIntegers(e: Emit, t: Format, v: V128, truncate: boolean): V128 {
  const shape = shapeOf(t);
  const whole = e.let(v.simd(`${shape}.${truncate ? "trunc" : "nearest"}`));
  const limit = t.bits === 64 ? F64.of(2 ** 31).splat() : F32.of(2 ** 31).splat();
  const fits = whole.simd(`${shape}.abs`).simd(`${shape}.lt`, limit).reduce("i32x4.all_true");
  const exact = whole.simd(`${shape}.eq`, v).reduce("i32x4.all_true");
  const quick = whole.simd(
    t.bits === 64 ? "i32x4.trunc_sat_f64x2_s_zero" : "i32x4.trunc_sat_f32x4_s",
  );
  const rc = truncate ? TRUNCATE : roundingOf(e);
  return orElse(
    e,
    fits.and(exact.or(plainMode(e))),
    quick,
    L.ssePackedToInt[`${t.bits}`],
    v,
    rc,
  );
}

// ---- between the formats

function widenScalar(e: Emit): void {
  const x = rdScalar(e, SINGLE, 1);
  const r = e.local("i64");
  r.set(x.wrap().f32().promote().bits());
  const fine = isZero(SINGLE, x)
    .or(magnitude(SINGLE, x).sub(SINGLE.min).lt_u(SINGLE.infinity - SINGLE.min));
  e.f.if(fine.eqz(), () => {
    r.set(call(L.sseWiden, "i64", e.cpu(), x));
    finish(e);
  });
  wrScalar(e, DOUBLE, 0, r.get());
}

function narrowScalar(e: Emit): void {
  const x = rdScalar(e, DOUBLE, 1);
  const r = e.local("i64");
  r.set(x.f64().demote().bits().extend_u());
  const fine = magnitude(DOUBLE, x).sub(DOUBLE.min).lt_u(DOUBLE.infinity - DOUBLE.min)
    .and(
      magnitude(SINGLE, r.get()).sub(SINGLE.min + 1n).lt_u(SINGLE.infinity - SINGLE.min - 1n),
    );
  e.f.if(fine.and(plainMode(e)).eqz(), () => {
    r.set(call(L.sseNarrow, "i64", e.cpu(), x));
    finish(e);
  });
  wrScalar(e, SINGLE, 0, r.get());
}

function widenPacked(e: Emit): void {
  const v = e.let(low64(e.rdLow(1, 8)));
  const quick = v.simd("f64x2.promote_low_f32x4");
  e.wrV(0, orElse(e, ordinary(e, SINGLE, [v]), quick, L.ssePackedWiden, v, I32.of(0)));
}

function narrowPacked(e: Emit): void {
  const v = e.let(rdAligned(e, 1));
  const quick = e.let(v.simd("f32x4.demote_f64x2_zero"));
  const size = e.let(quick.simd("f32x4.abs"));
  const fine = size.simd("f32x4.gt", splat(SINGLE, SINGLE.min))
    .and(size.simd("f32x4.le", splat(SINGLE, SINGLE.infinity - 1n)))
    .reduce("i32x4.bitmask").eq(3)
    .and(v.simd("f64x2.abs").simd("f64x2.ge", splat(DOUBLE, DOUBLE.min)).reduce("i64x2.all_true"));
  e.wrV(0, orElse(e, fine.and(plainMode(e)), quick, L.ssePackedNarrow, v, I32.of(0)));
}

export function sseConvertSemantics(): void {
  sse("CVTSI2SS", fromGpr(SINGLE));
  sse("CVTSI2SD", fromGpr(DOUBLE));
  for (const t of [false, true]) {
    const T = t ? "T" : "";
    sse(`CVT${T}SS2SI`, toGpr(SINGLE, t));
    sse(`CVT${T}SD2SI`, toGpr(DOUBLE, t));
    sse(`CVT${T}PS2DQ`, (e) => e.wrV(0, toIntegers(e, SINGLE, e.let(rdAligned(e, 1)), t)));
    sse(`CVT${T}PD2DQ`, (e) => e.wrV(0, toIntegers(e, DOUBLE, e.let(rdAligned(e, 1)), t)));
    // MMX state is entered before #XM is raised.
    mixed(`CVT${T}PS2PI`, (e) => {
      const v = e.let(low64(e.rdLow(1, 8)));
      enterMmx(e);
      wrMm(e, 0, toIntegers(e, SINGLE, v, t));
    });
    mixed(`CVT${T}PD2PI`, (e) => {
      const v = e.let(rdAligned(e, 1));
      enterMmx(e);
      wrMm(e, 0, toIntegers(e, DOUBLE, v, t));
    });
  }
  sse("CVTDQ2PS", (e) => e.wrV(0, toSingles(e, e.let(rdAligned(e, 1)))));
  sse("CVTDQ2PD", (e) => e.wrV(0, low64(e.rdLow(1, 8)).simd("f64x2.convert_low_i32x4_s")));
  mixed("CVTPI2PS", (e) => {
    const v = e.let(low64(e.rdLow(1, 8)));
    if (!e.isMem(1)) enterMmx(e);
    e.wrLow(0, e.let(toSingles(e, v).lane64(0)) as AnyInt, 8);
  });
  mixed("CVTPI2PD", (e) => {
    e.wrV(0, low64(e.rdLow(1, 8)).simd("f64x2.convert_low_i32x4_s"));
    if (!e.isMem(1)) enterMmx(e);
  });
  sse("CVTSS2SD", widenScalar);
  sse("CVTSD2SS", narrowScalar);
  sse("CVTPS2PD", widenPacked);
  sse("CVTPD2PS", narrowPacked);
}
