/** SSE conversions, rounding to integral values, comparison and reciprocals. See `lib_sse.ts`. */
import { F64, I32, I64, type V128 } from "../../wasm/expr.ts";
import { call, type Callee, type FunctionBuilder } from "../../wasm/func.ts";
import { library } from "../library.ts";
import {
  DOUBLE,
  exponentOf,
  flushInput,
  type Format,
  FORMATS,
  isInfinity,
  isNan,
  isSnan,
  isZero,
  magnitude,
  Mx,
  noteDenormal,
  raise,
  round,
  signBit,
  signOf,
  SINGLE,
  type Suffix,
  unpack,
} from "./lib_sse.ts";
import { eachLane, lane } from "./lib_sse_arith.ts";
import { var64 } from "./softfloat.ts";

export function both(make: (s: Suffix, t: Format) => Callee): Record<Suffix, Callee> {
  return Object.fromEntries(FORMATS.map(([s, t]) => [s, make(s, t)])) as Record<Suffix, Callee>;
}

/** (cpu, signed integer) → number. */
export const sseFromInt = both((s, t) =>
  library(`sseFromInt${s}`, { params: ["i32", "i64"], results: ["i64"] }, (f) => {
    const cpu = f.param(0, "i32"), v = f.param(1, "i64");
    f.if(v.eqz(), () => f.return(I64.of(0)));
    const sign = f.let(v.shr_u(63).wrap());
    const size = f.let(sign.select(v.neg(), v));
    const n = f.let(size.clz());
    // Only −2^63 has bit 63 set.
    const sig = n.eqz().select(I64.of(1n << 62n), size.shl(n.sub(1)));
    f.return(round(t, cpu, sign, f.let(I32.of(t.bias + 63).sub(n.wrap())), f.let(sig)));
  })
);

/** Integer part and the bits below it, the first of them at bit 63, of a number that is not 0. */
export function split(f: FunctionBuilder, sig: I64, e: I32): { whole: I64; rest: I64 } {
  const whole = var64(f, I64.of(0)), rest = var64(f, I64.of(1));
  const down = f.let(I32.of(62).sub(e));
  f.if(down.le_s(0), () => {
    whole.set(sig);
    rest.set(I64.of(0));
  }, () => {
    f.if(down.lt_s(64), () => {
      const n = f.let(down.extend_u());
      whole.set(sig.shr_u(n));
      rest.set(sig.shl(n.neg()));
    });
  });
  return { whole: whole.get(), rest: rest.get() };
}

/** Whether `rest` rounds the whole part up in magnitude. */
export function roundsUp(f: FunctionBuilder, whole: I64, rest: I64, rc: I32, sign: I32): I32 {
  const half = I64.of(1n << 63n);
  const nearest = rest.gt_u(half).or(rest.eq(half).and(whole.wrap().and(1)));
  return f.let(
    rc.eqz().select(nearest, rc.eq(I32.of(2).sub(sign)).and(rest.ne(0))),
  );
}

/** (cpu, number, rounding control, 32 or 64) → integer; the integer indefinite when out of range. */
export const sseToInt = both((s, t) =>
  library(
    `sseToInt${s}`,
    { params: ["i32", "i64", "i32", "i32"], results: ["i64"] },
    (f) => {
      const cpu = f.param(0, "i32"), rc = f.param(2, "i32"), bits = f.param(3, "i32");
      const x = flushInput(f, t, cpu, f.param(1, "i64"));
      f.if(isZero(t, x), () => f.return(I64.of(0)));
      const sign = f.let(signOf(t, x));
      const limit = f.let(I64.of(1).shl(bits.sub(1).extend_u()));
      const invalid = () => {
        raise(f, cpu, Mx.IE);
        f.return(limit);
      };
      f.if(isNan(t, x), invalid);
      const { exp, sig } = unpack(f, t, x);
      const e = f.let(exp.sub(t.bias));
      f.if(e.ge_s(63), () => {
        // −2^63 is the one number of this size that fits.
        f.if(bits.eq(64).and(x.eq(t.sign | BigInt(t.bias + 63) << BigInt(t.frac))), () => {
          f.return(limit);
        });
        invalid();
      });
      const { whole, rest } = split(f, sig, e);
      const r = f.let(whole.add(roundsUp(f, whole, rest, rc, sign).extend_u()));
      f.if(r.gt_u(limit.sub(1).add(sign.extend_u())), invalid);
      f.if(rest.ne(0), () => raise(f, cpu, Mx.PE));
      f.return(sign.select(r.neg(), r));
    },
  )
);

/** (cpu, number, rounding control, flags to report) → integral number of the same format. */
export const sseIntegral = both((s, t) =>
  library(
    `sseIntegral${s}`,
    { params: ["i32", "i64", "i32", "i32"], results: ["i64"] },
    (f) => {
      const cpu = f.param(0, "i32"), rc = f.param(2, "i32"), report = f.param(3, "i32");
      const x = flushInput(f, t, cpu, f.param(1, "i64"));
      f.if(isNan(t, x), () => {
        f.if(isSnan(t, x), () => raise(f, cpu, Mx.IE));
        f.return(x.or(t.quiet));
      });
      // Zeros, infinities, and numbers without fraction bits.
      f.if(isZero(t, x).or(exponentOf(t, x).ge_s(t.bias + t.frac)), () => f.return(x));
      const sign = f.let(signOf(t, x));
      const { exp, sig } = unpack(f, t, x);
      const { whole, rest } = split(f, sig, f.let(exp.sub(t.bias)));
      f.if(rest.ne(0), () => raise(f, cpu, report.and(Mx.PE)));
      const r = f.let(whole.add(roundsUp(f, whole, rest, rc, sign).extend_u()));
      const s = f.let(x.and(t.sign));
      f.if(r.eqz(), () => f.return(s));
      const n = f.let(r.clz());
      // Few enough bits for the fraction, except when rounding up made a power of two.
      const fraction = r.shl(n).shr_u(63 - t.frac).and(t.min - 1n);
      f.return(s.or(I64.of(t.bias + 63).sub(n).shl(t.frac)).or(fraction));
    },
  )
);

/** (cpu, single) → double. */
export const sseWiden = library(
  "sseWiden",
  { params: ["i32", "i64"], results: ["i64"] },
  (f) => {
    const cpu = f.param(0, "i32"), x = flushInput(f, SINGLE, cpu, f.param(1, "i64"));
    const sign = f.let(x.and(SINGLE.sign).shl(32));
    f.if(isNan(SINGLE, x), () => {
      f.if(isSnan(SINGLE, x), () => raise(f, cpu, Mx.IE));
      f.return(sign.or(DOUBLE.infinity | DOUBLE.quiet).or(x.and(SINGLE.min - 1n).shl(29)));
    });
    f.if(isInfinity(SINGLE, x), () => f.return(sign.or(DOUBLE.infinity)));
    f.if(isZero(SINGLE, x), () => f.return(sign));
    noteDenormal(f, SINGLE, cpu, x);
    const { exp, sig } = unpack(f, SINGLE, x);
    f.return(
      sign.or(exp.add(DOUBLE.bias - SINGLE.bias).extend_u().shl(52))
        .or(sig.shr_u(10).and(DOUBLE.min - 1n)),
    );
  },
);

/** (cpu, double) → single. */
export const sseNarrow = library(
  "sseNarrow",
  { params: ["i32", "i64"], results: ["i64"] },
  (f) => {
    const cpu = f.param(0, "i32"), x = flushInput(f, DOUBLE, cpu, f.param(1, "i64"));
    const sign = f.let(signOf(DOUBLE, x)), s = f.let(signBit(SINGLE, sign));
    f.if(isNan(DOUBLE, x), () => {
      f.if(isSnan(DOUBLE, x), () => raise(f, cpu, Mx.IE));
      f.return(
        s.or(SINGLE.infinity | SINGLE.quiet).or(x.shr_u(29).and(SINGLE.min - 1n)),
      );
    });
    f.if(isInfinity(DOUBLE, x), () => f.return(s.or(SINGLE.infinity)));
    f.if(isZero(DOUBLE, x), () => f.return(s));
    noteDenormal(f, DOUBLE, cpu, x);
    const { exp, sig } = unpack(f, DOUBLE, x);
    f.return(round(SINGLE, cpu, sign, f.let(exp.sub(DOUBLE.bias - SINGLE.bias)), sig));
  },
);

// ---- comparison

/** Outcomes of a comparison, as bits of a predicate's set. */
export const Rel = { GT: 1, LT: 2, EQ: 4, UNORDERED: 8 } as const;

/** (cpu, a, b, whether quiet NaNs are invalid too) → one of {@link Rel}. */
export const sseCompare = both((s, t) =>
  library(
    `sseCompare${s}`,
    { params: ["i32", "i64", "i64", "i32"], results: ["i32"] },
    (f) => {
      const cpu = f.param(0, "i32"), signaling = f.param(3, "i32");
      const a = flushInput(f, t, cpu, f.param(1, "i64"));
      const b = flushInput(f, t, cpu, f.param(2, "i64"));
      f.if(isNan(t, a).or(isNan(t, b)), () => {
        f.if(signaling.or(isSnan(t, a)).or(isSnan(t, b)), () => raise(f, cpu, Mx.IE));
        f.return(I32.of(Rel.UNORDERED));
      });
      noteDenormal(f, t, cpu, a, b);
      f.if(a.eq(b).or(isZero(t, a).and(isZero(t, b))), () => f.return(I32.of(Rel.EQ)));
      // Sign and magnitude as a two's complement number.
      const key = (x: I64) => {
        const m = f.let(magnitude(t, x));
        return f.let(signOf(t, x).select(m.neg(), m));
      };
      f.return(key(a).lt_s(key(b)).select(I32.of(Rel.LT), I32.of(Rel.GT)));
    },
  )
);

/** (cpu, a, b, 0 minimum or 1 maximum) → the smaller or larger; b when equal or with a NaN. */
export const sseMinMax = both((s, t) =>
  library(
    `sseMinMax${s}`,
    { params: ["i32", "i64", "i64", "i32"], results: ["i64"] },
    (f) => {
      const cpu = f.param(0, "i32"), max = f.param(3, "i32");
      const a = flushInput(f, t, cpu, f.param(1, "i64"));
      const b = flushInput(f, t, cpu, f.param(2, "i64"));
      const rel = f.let(call(sseCompare[s], "i32", cpu, a, b, I32.of(1)));
      f.return(rel.eq(max.select(I32.of(Rel.GT), I32.of(Rel.LT))).select(a, b));
    },
  )
);

// ---- vectors

const VECTOR2: Callee["type"] = { params: ["i32", "v128", "v128", "i32"], results: ["v128"] };
const VECTOR1: Callee["type"] = { params: ["i32", "v128", "i32"], results: ["v128"] };

/** (cpu, a, b, predicate) → masks; the predicate is a set of {@link Rel}, bit 4: signaling. */
export const ssePackedCompare = both((s, t) =>
  library(`ssePackedCompare${s}`, VECTOR2, (f) => {
    const cpu = f.param(0, "i32"), set = f.param(3, "i32");
    const one = (x: I64, y: I64) =>
      call(sseCompare[s], "i32", cpu, x, y, set.shr_u(4)).and(set).ne(0).extend_u().neg();
    f.return(eachLane(f, t, one, f.param(1, "v128"), f.param(2, "v128")));
  })
);
export const ssePackedMinMax = both((s, t) =>
  library(`ssePackedMinMax${s}`, VECTOR2, (f) => {
    const cpu = f.param(0, "i32"), max = f.param(3, "i32");
    const one = (x: I64, y: I64) => call(sseMinMax[s], "i64", cpu, x, y, max);
    f.return(eachLane(f, t, one, f.param(1, "v128"), f.param(2, "v128")));
  })
);

/** (cpu, a, rounding control, flags to report) → integral numbers. */
export const ssePackedIntegral = both((s, t) =>
  library(
    `ssePackedIntegral${s}`,
    { params: ["i32", "v128", "i32", "i32"], results: ["v128"] },
    (f) => {
      const cpu = f.param(0, "i32"), a = f.param(1, "v128");
      const one = (x: I64) =>
        call(sseIntegral[s], "i64", cpu, x, f.param(2, "i32"), f.param(3, "i32"));
      f.return(eachLane(f, t, one, a, a));
    },
  )
);

/** (cpu, four integers, unused) → four singles. */
export const ssePackedFromInt = library("ssePackedFromInt", VECTOR1, (f) => {
  const cpu = f.param(0, "i32"), a = f.param(1, "v128");
  f.return(
    eachLane(f, SINGLE, (x) => call(sseFromInt["32"], "i64", cpu, x.extend32_s()), a, a),
  );
});

/** (cpu, numbers, rounding control) → 32-bit integers, those of doubles in the lower half. */
export const ssePackedToInt = both((s, t) =>
  library(`ssePackedToInt${s}`, VECTOR1, (f) => {
    const cpu = f.param(0, "i32"), a = f.param(1, "v128"), rc = f.param(2, "i32");
    let r: V128 = f.let(a.xor(a));
    for (let n = 0; n < 128 / t.bits; n++) {
      const v = f.let(call(sseToInt[s], "i64", cpu, lane(t, a, n), rc, I32.of(32)).wrap());
      r = f.let(r.withLane("i32x4", n, v));
    }
    f.return(r);
  })
);

/** (cpu, two singles in the lower half, unused) → two doubles. */
export const ssePackedWiden = library("ssePackedWiden", VECTOR1, (f) => {
  const cpu = f.param(0, "i32"), a = f.param(1, "v128");
  let r: V128 = a;
  for (let n = 0; n < 2; n++) {
    r = f.let(r.withLane("i64x2", n, f.let(call(sseWiden, "i64", cpu, lane(SINGLE, a, n)))));
  }
  f.return(r);
});

/** (cpu, two doubles, unused) → two singles in the lower half. */
export const ssePackedNarrow = library("ssePackedNarrow", VECTOR1, (f) => {
  const cpu = f.param(0, "i32"), a = f.param(1, "v128");
  let r: V128 = f.let(a.xor(a));
  for (let n = 0; n < 2; n++) {
    r = f.let(
      r.withLane("i32x4", n, f.let(call(sseNarrow, "i64", cpu, lane(DOUBLE, a, n)).wrap())),
    );
  }
  f.return(r);
});

// ---- approximations

/**
 * (single) → about its reciprocal: that of the middle of the interval that the first 11 fraction bits
 * name, rounded to 12 fraction bits. Checked against an Intel processor for all such intervals; AMD's
 * differ in the last bits, within the architectural bound of 1.5 × 2^−12. Denormals count as zeros
 * both ways, and no exception is flagged.
 */
const sseReciprocal = library(
  "sseReciprocal",
  { params: ["i64"], results: ["i64"] },
  (f) => {
    const x = f.param(0, "i64"), sign = f.let(x.and(SINGLE.sign));
    f.if(isNan(SINGLE, x), () => f.return(x.or(SINGLE.quiet)));
    const e = f.let(exponentOf(SINGLE, x));
    f.if(e.eqz(), () => f.return(sign.or(SINGLE.infinity)));
    f.if(e.ge_s(253), () => f.return(sign));
    const middle = f.let(x.shr_u(12).wrap().and(0x7ff).shl(1).add(4097));
    const r = I32.of(1 << 25).add(middle.shr_u(1)).div_u(middle);
    const bits = r.and(0xfff).shl(11).or(I32.of(253).sub(e).shl(23));
    f.return(sign.or(bits.extend_u()));
  },
);

/** (single) → about the reciprocal of its square root, likewise from 10 fraction bits. */
const sseReciprocalRoot = library(
  "sseReciprocalRoot",
  { params: ["i64"], results: ["i64"] },
  (f) => {
    const x = f.param(0, "i64");
    f.if(isNan(SINGLE, x), () => f.return(x.or(SINGLE.quiet)));
    f.if(exponentOf(SINGLE, x).eqz(), () => f.return(x.and(SINGLE.sign).or(SINGLE.infinity)));
    f.if(signOf(SINGLE, x), () => f.return(I64.of(SINGLE.nan)));
    f.if(isInfinity(SINGLE, x), () => f.return(I64.of(0)));
    const e = f.let(exponentOf(SINGLE, x).sub(SINGLE.bias));
    const odd = f.let(e.and(1));
    const middle = f.let(
      x.shr_u(13).wrap().and(0x3ff).shl(1).add(2049).shl(odd).toF64_u(),
    );
    // 8192 / sqrt(middle / 2048)
    const root = F64.of(8192).div(middle.div(F64.of(2048)).sqrt()).nearest().toI32_sat_s();
    const exp = I32.of(126).sub(e.sub(odd).shr_s(1));
    f.return(root.and(0xfff).shl(11).or(exp.shl(23)).extend_u());
  },
);

export const reciprocals = { RCP: sseReciprocal, RSQRT: sseReciprocalRoot };

/** (a) → vector of approximations. */
export const packedReciprocals = {
  RCP: packedReciprocal("ssePackedReciprocal", sseReciprocal),
  RSQRT: packedReciprocal("ssePackedReciprocalRoot", sseReciprocalRoot),
};

function packedReciprocal(name: string, scalar: Callee): Callee {
  return library(name, { params: ["v128"], results: ["v128"] }, (f) => {
    const a = f.param(0, "v128");
    f.return(eachLane(f, SINGLE, (x) => call(scalar, "i64", x), a, a));
  });
}
