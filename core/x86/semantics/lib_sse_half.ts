/** Conversions between half and single precision. See `lib_sse.ts`; Intel SDM volume 1, 14.4. */
import { I32, I64, type V128 } from "../../wasm/expr.ts";
import { call } from "../../wasm/func.ts";
import { library } from "../library.ts";
import {
  flushInput,
  HALF,
  isDenormal,
  isInfinity,
  isNan,
  isSnan,
  isZero,
  Mx,
  noteDenormal,
  raise,
  roundHalf,
  signBit,
  signOf,
  SINGLE,
  unpack,
} from "./lib_sse.ts";
import { lane } from "./lib_sse_arith.ts";

/** (cpu, half) → single. Denormal halves are numbers like others: neither flagged nor flushed. */
const fromHalf = library("sseFromHalf", { params: ["i32", "i64"], results: ["i64"] }, (f) => {
  const cpu = f.param(0, "i32"), x = f.param(1, "i64");
  const sign = f.let(x.and(HALF.sign).shl(16));
  const fraction = f.let(x.and(HALF.min - 1n).shl(SINGLE.frac - HALF.frac));
  f.if(isNan(HALF, x), () => {
    f.if(isSnan(HALF, x), () => raise(f, cpu, Mx.IE));
    f.return(sign.or(SINGLE.infinity | SINGLE.quiet).or(fraction));
  });
  f.if(isInfinity(HALF, x), () => f.return(sign.or(SINGLE.infinity)));
  f.if(isZero(HALF, x), () => f.return(sign));
  const { exp, sig } = unpack(f, HALF, x);
  f.return(
    sign.or(exp.add(SINGLE.bias - HALF.bias).extend_u().shl(SINGLE.frac))
      .or(sig.shr_u(62 - SINGLE.frac).and(SINGLE.min - 1n)),
  );
});

/** (cpu, single, rounding control) → half. */
const toHalf = library("sseToHalf", { params: ["i32", "i64", "i32"], results: ["i64"] }, (f) => {
  const cpu = f.param(0, "i32"), x = flushInput(f, SINGLE, cpu, f.param(1, "i64"));
  const sign = f.let(signOf(SINGLE, x)), s = f.let(signBit(HALF, sign));
  f.if(isNan(SINGLE, x), () => {
    f.if(isSnan(SINGLE, x), () => raise(f, cpu, Mx.IE));
    const fraction = x.shr_u(SINGLE.frac - HALF.frac).and(HALF.min - 1n);
    f.return(s.or(HALF.infinity | HALF.quiet).or(fraction));
  });
  f.if(isInfinity(SINGLE, x), () => f.return(s.or(HALF.infinity)));
  f.if(isZero(SINGLE, x), () => f.return(s));
  noteDenormal(f, SINGLE, cpu, x);
  const { exp, sig } = unpack(f, SINGLE, x);
  const e = f.let(exp.sub(SINGLE.bias - HALF.bias));
  // A denormal single counts as inexact even when an unmasked underflow keeps it from being rounded.
  const sticky = f.let(sig.or(isDenormal(SINGLE, x).extend_u()));
  f.return(call(roundHalf, "i64", cpu, sign, e, sticky, f.param(2, "i32")));
});

/** (cpu, four halves) → four singles. */
export const ssePackedFromHalf = library(
  "ssePackedFromHalf",
  { params: ["i32", "i64"], results: ["v128"] },
  (f) => {
    const cpu = f.param(0, "i32"), x = f.param(1, "i64");
    let r: V128 = I32.of(0).splat("i32x4");
    for (let n = 0; n < 4; n++) {
      const v = call(fromHalf, "i64", cpu, x.shr_u(16 * n).and(0xffff));
      r = f.let(r.withLane("i32x4", n, f.let(v).wrap()));
    }
    f.return(r);
  },
);

/** (cpu, four singles, rounding control) → four halves. */
export const ssePackedToHalf = library(
  "ssePackedToHalf",
  { params: ["i32", "v128", "i32"], results: ["i64"] },
  (f) => {
    const cpu = f.param(0, "i32"), v = f.param(1, "v128");
    let r: I64 = I64.of(0);
    for (let n = 0; n < 4; n++) {
      const h = call(toHalf, "i64", cpu, lane(SINGLE, v, n), f.param(2, "i32"));
      r = f.let(r.or(h.shl(16 * n)));
    }
    f.return(r);
  },
);
