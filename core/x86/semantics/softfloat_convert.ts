/**
 * Between extended precision and the other formats of the x87, rounding to an integer, and comparing.
 * Intel SDM volume 1, section 4.2 and 8.1.3–8.3; volume 2, FLD, FST, FIST, FRNDINT, FCOM.
 */
import { I32, I64 } from "../../wasm/expr.ts";
import { call, type FunctionBuilder } from "../../wasm/func.ts";
import { library } from "../library.ts";
import * as S from "../state.ts";
import {
  BIAS,
  clearC1,
  exponent,
  fcw,
  fpuNan1,
  fsw,
  INTEGER_BIT,
  isDenormal,
  isNan,
  isSnan,
  isUnsupported,
  isZero,
  type L32,
  type L64,
  normalize,
  put,
  QUIET_BIT,
  raise,
  roundsUp,
  setFsw,
  shiftJam,
  Sw,
  var32,
  var64,
} from "./softfloat.ts";

/** Where conversions say that they have no result: non-zero when an unmasked exception suppressed it. */
export const SUPPRESSED = S.LIB + 0x80;

function result(f: FunctionBuilder, cpu: I32, v: I64, suppressed: I32 = I32.of(0)): void {
  f.store("i32.store", cpu, suppressed, SUPPRESSED);
  f.return(v);
}

export interface Widened {
  readonly h: L32;
  readonly l: L64;
  /** {@link Sw.DE} when the source was denormal, else 0. */
  readonly pre: L32;
}

/** A single or double as extended, exactly: `bits` (i64) of a format with `fraction` bits and `bias`. */
function widen(
  f: FunctionBuilder,
  sign: I32,
  fractionBits: 23 | 52,
  exp: I32,
  aligned: I64,
): Widened {
  const top = fractionBits === 52 ? 0x7ff : 0xff;
  const rebias = BIAS - (top >> 1);
  const w = { h: f.local("i32"), l: f.local("i64"), pre: f.local("i32") };
  f.if(exp.sub(1).lt_u(top - 1), () => {
    w.h.set(sign.or(exp.add(rebias)));
    w.l.set(aligned.or(INTEGER_BIT));
  }, () => {
    f.if(exp, () => {
      w.h.set(sign.or(0x7fff));
      w.l.set(aligned.or(INTEGER_BIT));
    }, () => {
      w.h.set(sign);
      f.if(aligned.ne(0), () => {
        const n = f.let(aligned.clz());
        w.h.set(sign.or(I32.of(rebias + 1).sub(n.wrap())));
        w.l.set(aligned.shl(n));
        w.pre.set(I32.of(Sw.DE));
      });
    });
  });
  return w;
}

export function widenF64(f: FunctionBuilder, bits: I64): Widened {
  const top = f.let(bits.shr_u(48).wrap());
  return widen(
    f,
    f.let(top.and(0x8000)),
    52,
    f.let(top.shr_u(4).and(0x7ff)),
    f.let(bits.shl(12).shr_u(1)),
  );
}

export function widenF32(f: FunctionBuilder, bits: I32): Widened {
  return widen(
    f,
    f.let(bits.shr_u(16).and(0x8000)),
    23,
    f.let(bits.shr_u(23).and(0xff)),
    f.let(bits.extend_u().shl(41).shr_u(1)),
  );
}

/** A signed integer as extended, exactly. */
export function widenInt(f: FunctionBuilder, v: I64): Widened {
  const w = { h: f.local("i32"), l: f.local("i64"), pre: f.local("i32") };
  f.if(v.ne(0), () => {
    const negative = f.let(v.lt_s(0));
    const size = f.let(negative.select(v.neg(), v));
    const n = f.let(size.clz());
    w.h.set(negative.shl(15).or(I32.of(BIAS + 63).sub(n.wrap())));
    w.l.set(size.shl(n));
  });
  return w;
}

/**
 * (cpu, high, low, drop, exponent of infinity) → the value as a double (11, 7FFh) or single (40, FFh) in
 * the low bits; see {@link SUPPRESSED}.
 */
export const fpuNarrow = library(
  "fpuNarrow",
  { params: ["i32", "i32", "i64", "i32", "i32"], results: ["i64"] },
  (f) => {
    const cpu = f.param(0, "i32"), h = f.param(1, "i32"), l = f.param(2, "i64");
    const drop = f.let(f.param(3, "i32").extend_u()), top = f.param(4, "i32");
    const control = f.let(fcw(cpu));
    const exp = var32(f, exponent(h)), sig = var64(f, l), rest = f.local("i64");
    /** Bits of the fraction of the target. */
    const width = f.let(I64.of(63).sub(drop));
    const wideTop = f.let(top.extend_u());
    const sign = f.let(
      h.and(0x8000).extend_u().shr_u(15).shl(width.add(I64.of(64).sub(wideTop.clz()))),
    );
    const infinity = f.let(sign.or(wideTop.shl(width)));
    clearC1(f, cpu);

    f.if(exp.get().eq(0x7fff).or(isUnsupported(h, l)), () => {
      f.if(isUnsupported(h, l), () => {
        f.if(raise(cpu, Sw.IE), () => result(f, cpu, I64.of(0), I32.of(1)));
        // The default NaN: sign, exponent and quiet bit.
        result(
          f,
          cpu,
          I64.of(1).shl(width.add(I64.of(64).sub(wideTop.clz()))).or(wideTop.shl(width))
            .or(I64.of(1).shl(width.sub(1))),
        );
      });
      f.if(l.shl(1).eqz(), () => result(f, cpu, infinity));
      f.if(l.and(QUIET_BIT).eqz(), () => {
        f.if(raise(cpu, Sw.IE), () => result(f, cpu, I64.of(0), I32.of(1)));
      });
      result(
        f,
        cpu,
        infinity.or(l.or(QUIET_BIT).shl(1).shr_u(1).shr_u(drop)),
      );
    });
    f.if(l.eqz(), () => result(f, cpu, sign));
    normalize(f, exp, sig);

    const rc = f.let(control.shr_u(10).and(3));
    const e = var32(f, exp.get().sub(I32.of(BIAS).sub(top.shr_u(1))));
    const cut = (): I32 => {
      rest.set(sig.get().shl(drop.neg()).or(rest.get().ne(0).extend_u()));
      sig.set(sig.get().shr_u(drop));
      return roundsUp(f, rc, h.and(0x8000), sig.get().and(1), rest.get());
    };
    const finish = (v: I64, up: I32, flags: I32): void => {
      setFsw(f, cpu, fsw(cpu).or(up.shl(9)));
      f.if(flags, () => f.drop(raise(cpu, flags)));
      result(f, cpu, v);
    };
    const tiny = f.local("i32");
    f.if(e.get().le_s(0), () => {
      const all = f.let(sig.get());
      const up = f.let(cut());
      tiny.set(
        e.get().lt_s(0).or(sig.get().add(up.extend_u()).shr_u(width.add(1)).eqz()),
      );
      f.if(tiny.get().and(control.and(Sw.UE).eqz()), () => {
        f.drop(raise(cpu, Sw.UE));
        result(f, cpu, I64.of(0), I32.of(1));
      });
      const n = f.let(I32.of(1).sub(e.get()));
      f.if(
        n.lt_u(64),
        () => sig.set(shiftJam(f, all, n)),
        () => sig.set(I64.of(1)),
      );
      rest.set(I64.of(0));
      e.set(I32.of(1));
    });
    const up = f.let(cut());
    // The integer bit of a normal number counts one up in the exponent, and so does a carry.
    const v = f.let(
      e.get().sub(1).extend_u().shl(width).add(sig.get()).add(up.extend_u()),
    );
    f.if(v.shr_u(width).ge_u(wideTop).or(e.get().ge_s(top)), () => {
      f.if(control.and(Sw.OE).eqz(), () => {
        f.drop(raise(cpu, Sw.OE));
        result(f, cpu, I64.of(0), I32.of(1));
      });
      const away = f.let(rc.eqz().or(rc.eq(I32.of(2).sub(h.shr_u(15).and(1)))));
      finish(
        away.select(infinity, infinity.sub(1)),
        away,
        I32.of(Sw.OE | Sw.PE),
      );
    });
    f.if(rest.get().eqz(), () => finish(sign.or(v), I32.of(0), I32.of(0)));
    finish(
      sign.or(v),
      up,
      I32.of(Sw.PE).or(tiny.get().select(I32.of(Sw.UE), I32.of(0))),
    );
  },
);

/**
 * (cpu, high, low, rounding control, bits) → the value as a signed integer of 16, 32 or 64 bits, or the
 * integer indefinite; see {@link SUPPRESSED}.
 */
export const fpuToInt = library(
  "fpuToInt",
  { params: ["i32", "i32", "i64", "i32", "i32"], results: ["i64"] },
  (f) => {
    const cpu = f.param(0, "i32"), h = f.param(1, "i32"), l = f.param(2, "i64");
    const rc = f.param(3, "i32"), bits = f.param(4, "i32");
    const indefinite = f.let(I64.of(-1).shl(bits.sub(1).extend_u()));
    const negative = f.let(h.shr_u(15).and(1));
    clearC1(f, cpu);
    const shift = f.let(I32.of(BIAS + 63).sub(exponent(h)));
    const invalid = var32(f, isUnsupported(h, l).or(shift.lt_s(0)));
    const size = f.local("i64"), up = f.local("i32"), rest = f.local("i64");
    f.if(invalid.get().eqz(), () => {
      f.if(shift.lt_u(64), () => {
        const n = f.let(shift.extend_u());
        size.set(l.shr_u(n));
        f.if(shift, () => rest.set(l.shl(n.neg())));
      }, () => {
        // Below one half unless the shift is exactly 64.
        rest.set(shift.eq(64).select(l, l.ne(0).extend_u()));
      });
      up.set(roundsUp(f, rc, negative, size.get().and(1), rest.get()));
      size.set(size.get().add(up.get().extend_u()));
      invalid.set(
        size.get().gt_u(indefinite.not().add(negative.extend_u())),
      );
    });
    f.if(invalid.get(), () => {
      f.if(raise(cpu, Sw.IE), () => result(f, cpu, I64.of(0), I32.of(1)));
      result(f, cpu, indefinite);
    });
    f.if(rest.get().ne(0), () => {
      setFsw(f, cpu, fsw(cpu).or(up.get().shl(9)));
      f.drop(raise(cpu, Sw.PE));
    });
    result(f, cpu, negative.select(size.get().neg(), size.get()));
  },
);

/** (cpu, dst, high, low) → suppressed: rounds to an integral value by the control word. */
export const fpuRint = library(
  "fpuRint",
  { params: ["i32", "i32", "i32", "i64"], results: ["i32"] },
  (f) => {
    const cpu = f.param(0, "i32"), dst = f.param(1, "i32");
    const h = f.param(2, "i32"), l = f.param(3, "i64");
    clearC1(f, cpu);
    const nan = f.let(call(fpuNan1, "i32", cpu, dst, h, l));
    f.if(nan, () => f.return(nan.shr_u(1)));
    const shift = f.let(I32.of(BIAS + 63).sub(exponent(h)));
    f.if(shift.le_s(0).or(isZero(h, l)), () => {
      put(f, dst, h, l);
      f.return(I32.of(0));
    });
    f.if(isDenormal(h, l), () => {
      f.if(raise(cpu, Sw.DE), () => f.return(I32.of(1)));
    });
    const sign = f.let(h.and(0x8000));
    const rc = f.let(fcw(cpu).shr_u(10).and(3));
    const size = f.local("i64"), rest = f.local("i64");
    f.if(shift.lt_u(64), () => {
      const n = f.let(shift.extend_u());
      size.set(l.shr_u(n));
      rest.set(l.shl(n.neg()));
    }, () => rest.set(shift.eq(64).select(l, I64.of(1))));
    const up = f.let(roundsUp(f, rc, sign, size.get().and(1), rest.get()));
    const whole = f.let(size.get().add(up.extend_u()));
    f.if(whole.eqz(), () => put(f, dst, sign, I64.of(0)), () => {
      const n = f.let(whole.clz());
      put(f, dst, sign.or(I32.of(BIAS + 63).sub(n.wrap())), whole.shl(n));
    });
    f.if(rest.get().ne(0), () => {
      setFsw(f, cpu, fsw(cpu).or(up.shl(9)));
      f.drop(raise(cpu, Sw.PE));
    });
    f.return(I32.of(0));
  },
);

/** In the result of {@link fpuCompare}: an unmasked exception forbids the pop. */
export const STOPPED = 0x10000;

/**
 * (cpu, a, b, DE if b was a denormal of another format, quiet) → C3, C2 and C0 of the comparison, and
 * {@link STOPPED}. `quiet`: quiet NaNs are no invalid operands (FUCOM).
 */
export const fpuCompare = library(
  "fpuCompare",
  { params: ["i32", "i32", "i64", "i32", "i64", "i32", "i32"], results: ["i32"] },
  (f) => {
    const cpu = f.param(0, "i32");
    const ah = f.param(1, "i32"), al = f.param(2, "i64");
    const bh = f.param(3, "i32"), bl = f.param(4, "i64");
    const pre = f.param(5, "i32"), quiet = f.param(6, "i32");
    const stopped = f.local("i32");
    const raised = (flag: number) => f.if(raise(cpu, flag), () => stopped.set(I32.of(STOPPED)));
    const code = (c: I32 | number) => f.return(stopped.get().or(c));
    const unsupported = f.let(isUnsupported(ah, al).or(isUnsupported(bh, bl)));
    f.if(unsupported.or(isNan(ah, al)).or(isNan(bh, bl)), () => {
      f.if(
        quiet.eqz().or(unsupported).or(isSnan(ah, al)).or(isSnan(bh, bl)),
        () => raised(Sw.IE),
      );
      code(Sw.C3 | Sw.C2 | Sw.C0);
    });
    f.if(isDenormal(ah, al).or(isDenormal(bh, bl)).or(pre), () => raised(Sw.DE));
    f.if(al.or(bl).eqz(), () => code(Sw.C3));
    const negative = f.let(ah.and(0x8000));
    f.if(ah.xor(bh).and(0x8000), () => {
      code(negative.select(I32.of(Sw.C0), I32.of(0)));
    });
    // A pseudo-denormal has the exponent that 1 stands for.
    const ea = f.let(exponent(ah).add(exponent(ah).eqz()));
    const eb = f.let(exponent(bh).add(exponent(bh).eqz()));
    f.if(ea.eq(eb).and(al.eq(bl)), () => code(Sw.C3));
    const below = f.let(ea.lt_u(eb).or(ea.eq(eb).and(al.lt_u(bl))));
    code(below.ne(negative.ne(0)).select(I32.of(Sw.C0), I32.of(0)));
  },
);
