/**
 * AVX-512 floating-point operations on bit patterns. See `lib_sse.ts`; Intel SDM volume 2, the special
 * cases' tables of each instruction. Immediates are parameters.
 */
import { I32, I64, load } from "../../wasm/expr.ts";
import { call, type Callee, type FunctionBuilder } from "../../wasm/func.ts";
import { library } from "../library.ts";
import {
  exponentOf,
  flushInput,
  type Format,
  isDenormal,
  isInfinity,
  isNan,
  isSnan,
  isZero,
  magnitude,
  Mx,
  mxcsr,
  noteDenormal,
  raise,
  RAISED,
  returnInvalid,
  round,
  roundingControl,
  signBit,
  signOf,
  unpack,
} from "./lib_sse.ts";
import { sseArith } from "./lib_sse_arith.ts";
import { both, roundsUp, split } from "./lib_sse_convert.ts";
import { var32, var64 } from "./softfloat.ts";
import * as S from "../state.ts";

const UNARY_IMM: Callee["type"] = { params: ["i32", "i64", "i32"], results: ["i64"] };
const BINARY_IMM: Callee["type"] = { params: ["i32", "i64", "i64", "i32"], results: ["i64"] };

const raisedSoFar = (cpu: I32): I32 => load("i32.load", cpu, RAISED);

const power = (t: Format, n: number): bigint => BigInt(t.bias + n) << BigInt(t.frac);

/** The rounding control that bits 2:0 of an immediate ask for. */
const roundingOf = (f: FunctionBuilder, cpu: I32, imm: I32): I32 =>
  f.let(imm.and(4).select(roundingControl(cpu), imm.and(3)));

/** Leaves with the quiet NaN of a NaN. */
function returnQuiet(f: FunctionBuilder, t: Format, cpu: I32, x: I64): void {
  f.if(isNan(t, x), () => {
    f.if(isSnan(t, x), () => raise(f, cpu, Mx.IE));
    f.return(x.or(t.quiet));
  });
}

/** `x`, not NaN, infinite or 0, rounded to a multiple of 2^-scale; 1 in `inexact` when it changed. */
function toScale(
  f: FunctionBuilder,
  t: Format,
  x: I64,
  scale: I32,
  rc: I32,
): { value: I64; inexact: I32 } {
  const r = var64(f, x), inexact = var32(f, I32.of(0));
  f.if(exponentOf(t, x).add(scale).lt_s(t.bias + t.frac), () => {
    const sign = f.let(signOf(t, x)), s = f.let(x.and(t.sign));
    const { exp, sig } = unpack(f, t, x);
    const { whole, rest } = split(f, sig, f.let(exp.sub(t.bias).add(scale)));
    inexact.set(rest.ne(0));
    const v = f.let(whole.add(roundsUp(f, whole, rest, rc, sign).extend_u()));
    f.if(v.eqz(), () => r.set(s), () => {
      const n = f.let(v.clz());
      const fraction = v.shl(n).shr_u(63 - t.frac).and(t.min - 1n);
      const e = I64.of(t.bias + 63).sub(n).sub(scale.extend_s());
      r.set(s.or(e.shl(t.frac)).or(fraction));
    });
  });
  return { value: r.get(), inexact: inexact.get() };
}

/** (cpu, x, immediate) → x rounded to a number of fraction bits. */
export const evexRoundScale = both((s, t) =>
  library(`evexRoundScale${s}`, UNARY_IMM, (f) => {
    const cpu = f.param(0, "i32"), imm = f.param(2, "i32");
    const x = flushInput(f, t, cpu, f.param(1, "i64"));
    returnQuiet(f, t, cpu, x);
    f.if(isZero(t, x).or(isInfinity(t, x)), () => f.return(x));
    const { value, inexact } = toScale(f, t, x, imm.shr_u(4), roundingOf(f, cpu, imm));
    f.if(inexact.and(imm.and(8).eqz()), () => raise(f, cpu, Mx.PE));
    f.return(value);
  })
);

/** (cpu, x, immediate) → what rounding to a number of fraction bits takes away. */
export const evexReduce = both((s, t) =>
  library(`evexReduce${s}`, UNARY_IMM, (f) => {
    const cpu = f.param(0, "i32"), imm = f.param(2, "i32");
    const x = flushInput(f, t, cpu, f.param(1, "i64"));
    returnQuiet(f, t, cpu, x);
    const rc = roundingOf(f, cpu, imm);
    const zero = f.let(signBit(t, rc.eq(1)));
    f.if(isInfinity(t, x), () => f.return(I64.of(0)));
    f.if(isZero(t, x), () => f.return(zero));
    const { value } = toScale(f, t, x, imm.shr_u(4), rc);
    f.if(value.eq(x), () => f.return(zero));
    f.if(isZero(t, value), () => {
      // A denormal that FTZ takes away is inexact, but no underflow.
      f.if(isDenormal(t, x).and(mxcsr(cpu).and(Mx.FTZ).ne(0)), () => {
        f.if(imm.and(8).eqz(), () => raise(f, cpu, Mx.PE));
        f.return(x.and(t.sign));
      });
      f.return(x);
    });
    // The difference is rounded as the immediate says.
    const old = f.let(mxcsr(cpu));
    f.store("i32.store", cpu, old.and(~Mx.RC).or(rc.shl(13)), S.MXCSR);
    const raised = f.let(raisedSoFar(cpu));
    const r = f.let(call(sseArith.sub[s], "i64", cpu, x, value));
    f.store("i32.store", cpu, old, S.MXCSR);
    const hidden = f.let(I32.of(Mx.DE).or(imm.and(8).shl(2)));
    f.store("i32.store", cpu, raised.or(raisedSoFar(cpu).and(hidden.xor(-1))), RAISED);
    f.return(r);
  })
);

/** (cpu, a, b, immediate) → minimum or maximum, of the numbers or their magnitudes, with a sign. */
export const evexRange = both((s, t) =>
  library(`evexRange${s}`, BINARY_IMM, (f) => {
    const cpu = f.param(0, "i32"), imm = f.param(3, "i32");
    const a = flushInput(f, t, cpu, f.param(1, "i64"));
    const b = flushInput(f, t, cpu, f.param(2, "i64"));
    const snan = (x: I64) =>
      f.if(isSnan(t, x), () => {
        raise(f, cpu, Mx.IE);
        f.return(x.or(t.quiet));
      });
    snan(a);
    snan(b);
    const r = var64(f, a);
    f.if(isNan(t, a), () => {
      // Of two NaNs the first.
      f.if(isNan(t, b).eqz(), () => r.set(b));
    }, () => {
      f.if(isNan(t, b).eqz(), () => {
        noteDenormal(f, t, cpu, a, b);
        // Sign and magnitude in order, −0 below +0.
        const key = (x: I64) => f.let(signOf(t, x).select(magnitude(t, x).not(), magnitude(t, x)));
        const ka = key(a), kb = key(b), ma = f.let(magnitude(t, a)), mb = f.let(magnitude(t, b));
        const less = f.let(
          imm.and(2).eqz().or(ma.eq(mb)).select(ka.le_s(kb), ma.lt_u(mb)),
        );
        r.set(less.ne(imm.and(1)).select(a, b));
      });
    });
    const sign = f.let(imm.shr_u(2).and(3)), v = f.let(r.get());
    f.if(sign.eqz(), () => {
      f.if(isNan(t, v).eqz(), () => r.set(magnitude(t, v).or(a.and(t.sign))));
    });
    f.if(sign.eq(2), () => r.set(magnitude(t, v)));
    f.if(sign.eq(3), () => r.set(v.or(t.sign)));
    f.return(r.get());
  })
);

/** (cpu, x, unused) → the exponent as a number. */
export const evexGetExponent = both((s, t) =>
  library(`evexGetExponent${s}`, UNARY_IMM, (f) => {
    const cpu = f.param(0, "i32"), x = flushInput(f, t, cpu, f.param(1, "i64"));
    returnQuiet(f, t, cpu, x);
    f.if(isInfinity(t, x), () => f.return(I64.of(t.infinity)));
    f.if(isZero(t, x), () => f.return(I64.of(t.sign | t.infinity)));
    noteDenormal(f, t, cpu, x);
    const { exp } = unpack(f, t, x);
    const e = f.let(exp.sub(t.bias));
    f.if(e.eqz(), () => f.return(I64.of(0)));
    const size = f.let(e.lt_s(0).select(I32.of(0).sub(e), e));
    const top = f.let(I32.of(31).sub(size.clz()));
    const fraction = size.extend_u().shl(I64.of(t.frac).sub(top.extend_u())).and(t.min - 1n);
    f.return(
      signBit(t, e.lt_s(0)).or(top.add(t.bias).extend_u().shl(t.frac)).or(fraction),
    );
  })
);

/** (cpu, x, immediate) → the significand, in the interval and with the sign asked for. */
export const evexGetMantissa = both((s, t) =>
  library(`evexGetMantissa${s}`, UNARY_IMM, (f) => {
    const cpu = f.param(0, "i32"), imm = f.param(2, "i32");
    const x = flushInput(f, t, cpu, f.param(1, "i64"));
    returnQuiet(f, t, cpu, x);
    const sign = f.let(imm.and(4).select(I64.of(0), x.and(t.sign)));
    const one = f.let(sign.or(power(t, 0)));
    f.if(isZero(t, x), () => f.return(one));
    f.if(imm.shr_u(3).and(signOf(t, x)), () => returnInvalid(f, t, cpu));
    f.if(isInfinity(t, x), () => f.return(one));
    noteDenormal(f, t, cpu, x);
    const { exp, sig } = unpack(f, t, x);
    const fraction = f.let(sig.shr_u(62 - t.frac).and(t.min - 1n));
    const kind = f.let(imm.and(3));
    // [1, 2), [½, 2), [½, 1), [¾, 3⁄2)
    const half = kind.eq(2)
      .or(kind.eq(1).and(exp.sub(t.bias).and(1)))
      .or(kind.eq(3).and(fraction.shr_u(t.frac - 1).wrap()));
    f.return(
      sign.or(half.select(I64.of(power(t, -1)), I64.of(power(t, 0)))).or(fraction),
    );
  })
);

/** (cpu, a, b, unused) → a × 2^⌊b⌋. */
export const evexScale = both((s, t) =>
  library(`evexScale${s}`, BINARY_IMM, (f) => {
    const cpu = f.param(0, "i32");
    const a = flushInput(f, t, cpu, f.param(1, "i64"));
    const b = flushInput(f, t, cpu, f.param(2, "i64"));
    const signA = f.let(a.and(t.sign));
    f.if(isNan(t, a).or(isNan(t, b)), () => {
      f.if(isSnan(t, a).or(isSnan(t, b)), () => raise(f, cpu, Mx.IE));
      f.if(isNan(t, a).eqz(), () => f.return(b.or(t.quiet)));
      f.if(isSnan(t, a).eqz(), () => {
        f.if(b.eq(t.infinity), () => f.return(b));
        f.if(b.eq(t.sign | t.infinity), () => f.return(I64.of(0)));
      });
      f.return(a.or(t.quiet));
    });
    const minus = f.let(signOf(t, b));
    f.if(isInfinity(t, b), () => {
      const wrong = minus.select(isInfinity(t, a), isZero(t, a));
      f.if(wrong, () => returnInvalid(f, t, cpu));
      noteDenormal(f, t, cpu, a);
      f.return(minus.select(signA, signA.or(t.infinity)));
    });
    // A denormal exponent is not told.
    noteDenormal(f, t, cpu, a);
    f.if(isInfinity(t, a).or(isZero(t, a)), () => f.return(a));
    // ⌊b⌋, cut to what is beyond any exponent anyway.
    const n = var32(f, I32.of(0));
    f.if(isZero(t, b).eqz(), () => {
      const { exp, sig } = unpack(f, t, b);
      const e = f.let(exp.sub(t.bias));
      f.if(e.ge_s(14), () => {
        n.set(minus.select(I32.of(-16384), I32.of(16384)));
      }, () => {
        f.if(e.lt_s(0), () => n.set(I32.of(0).sub(minus)), () => {
          const down = f.let(I64.of(62).sub(e.extend_u()));
          const whole = f.let(sig.shr_u(down).wrap());
          const rest = sig.and(I64.of(1).shl(down).sub(1)).ne(0);
          n.set(minus.select(I32.of(0).sub(whole).sub(rest), whole));
        });
      });
    });
    const { exp, sig } = unpack(f, t, a);
    f.return(round(t, cpu, signOf(t, a), f.let(exp.add(n.get())), sig));
  })
);

/** Classes of numbers, in the order of VFIXUPIMM's table. */
const Token = { QNAN: 0, SNAN: 1, ZERO: 2, ONE: 3, NINF: 4, PINF: 5, NEGATIVE: 6, POSITIVE: 7 };

/** (cpu, destination, x, table, immediate) → what the table says of x's class. */
export const evexFixup = both((s, t) =>
  library(
    `evexFixup${s}`,
    { params: ["i32", "i64", "i64", "i64", "i32"], results: ["i64"] },
    (f) => {
      const cpu = f.param(0, "i32"), old = f.param(1, "i64"), table = f.param(3, "i64");
      const imm = f.param(4, "i32"), x = flushInput(f, t, cpu, f.param(2, "i64"));
      const token = var32(f, I32.of(Token.POSITIVE));
      const is = (cond: I32, n: number) => f.if(cond, () => token.set(I32.of(n)));
      is(signOf(t, x), Token.NEGATIVE);
      is(isZero(t, x), Token.ZERO);
      is(x.eq(power(t, 0)), Token.ONE);
      is(x.eq(t.infinity), Token.PINF);
      is(x.eq(t.sign | t.infinity), Token.NINF);
      is(isNan(t, x), Token.QNAN);
      is(isSnan(t, x), Token.SNAN);
      // Which immediate bit flags which exception for which class.
      const flag = (bit: number, n: number, exception: number) =>
        f.if(imm.shr_u(bit).and(token.get().eq(n)), () => raise(f, cpu, exception));
      flag(0, Token.ZERO, Mx.ZE);
      flag(1, Token.ZERO, Mx.IE);
      flag(2, Token.ONE, Mx.ZE);
      flag(3, Token.ONE, Mx.IE);
      flag(4, Token.SNAN, Mx.IE);
      flag(5, Token.NINF, Mx.IE);
      flag(6, Token.NEGATIVE, Mx.IE);
      flag(7, Token.PINF, Mx.IE);
      const response = f.let(table.shr_u(token.get().shl(2).extend_u()).wrap().and(15));
      const answers: I64[] = [
        old,
        x,
        x.or(t.quiet | t.infinity),
        I64.of(t.nan),
        I64.of(t.sign | t.infinity),
        I64.of(t.infinity),
        x.and(t.sign).or(t.infinity),
        I64.of(t.sign),
        I64.of(0),
        I64.of(t.sign | power(t, 0)),
        I64.of(power(t, 0)),
        I64.of(power(t, -1)),
        I64.of(t.bits === 64 ? 0x4056800000000000n : 0x42b40000n), // 90
        I64.of(t.bits === 64 ? 0x3ff921fb54442d18n : 0x3fc90fdbn), // π/2
        I64.of(t.infinity - 1n),
        I64.of(t.sign | t.infinity - 1n),
      ];
      const r = var64(f, old);
      answers.forEach((v, n) => f.if(response.eq(n), () => r.set(v)));
      f.return(r.get());
    },
  )
);

/** (cpu, x, set of classes) → all ones when x is of one of them. */
export const evexClass = both((s, t) =>
  library(`evexClass${s}`, UNARY_IMM, (f) => {
    const cpu = f.param(0, "i32"), set = f.param(2, "i32");
    const x = flushInput(f, t, cpu, f.param(1, "i64")), sign = f.let(signOf(t, x));
    const zero = f.let(isZero(t, x)), infinite = f.let(isInfinity(t, x)), nan = f.let(isNan(t, x));
    const special = zero.or(infinite).or(nan);
    const classes = [
      nan.and(isSnan(t, x).eqz()),
      zero.and(sign.eqz()),
      zero.and(sign),
      infinite.and(sign.eqz()),
      infinite.and(sign),
      isDenormal(t, x),
      sign.and(special.eqz()),
      isSnan(t, x),
    ];
    const all = classes.map((c, n) => c.shl(n)).reduce((a, b) => a.or(b));
    f.return(all.and(set).ne(0).extend_u().neg());
  })
);

/** (cpu, unsigned integer) → number. */
export const evexFromUnsigned = both((s, t) =>
  library(`evexFromUnsigned${s}`, { params: ["i32", "i64"], results: ["i64"] }, (f) => {
    const cpu = f.param(0, "i32"), v = f.param(1, "i64");
    f.if(v.eqz(), () => f.return(I64.of(0)));
    const n = f.let(v.clz());
    // The leading bit goes to 62; what falls out then is sticky.
    const sig = n.eqz().select(v.shr_u(1).or(v.and(1)), v.shl(n.sub(1)));
    f.return(round(t, cpu, I32.of(0), f.let(I32.of(t.bias + 63).sub(n.wrap())), f.let(sig)));
  })
);

/** (cpu, number, rounding control, 32 or 64) → unsigned integer; all ones when out of range. */
export const evexToUnsigned = both((s, t) =>
  library(
    `evexToUnsigned${s}`,
    { params: ["i32", "i64", "i32", "i32"], results: ["i64"] },
    (f) => {
      const cpu = f.param(0, "i32"), rc = f.param(2, "i32"), bits = f.param(3, "i32");
      const x = flushInput(f, t, cpu, f.param(1, "i64"));
      f.if(isZero(t, x), () => f.return(I64.of(0)));
      const all = f.let(bits.eq(64).select(I64.of(-1), I64.of(0xffffffffn)));
      const invalid = () => {
        raise(f, cpu, Mx.IE);
        f.return(all);
      };
      f.if(isNan(t, x), invalid);
      const sign = f.let(signOf(t, x));
      const { exp, sig } = unpack(f, t, x);
      const e = f.let(exp.sub(t.bias));
      f.if(e.ge_s(bits), invalid);
      // Significands have fewer than 62 bits: with this exponent there is no fraction.
      f.if(e.eq(63), () => {
        f.if(sign, invalid);
        f.return(sig.shl(1));
      });
      const { whole, rest } = split(f, sig, e);
      const r = f.let(whole.add(roundsUp(f, whole, rest, rc, sign).extend_u()));
      f.if(sign.and(r.ne(0)).or(r.gt_u(all)), invalid);
      f.if(rest.ne(0), () => raise(f, cpu, Mx.PE));
      f.return(r);
    },
  )
);
