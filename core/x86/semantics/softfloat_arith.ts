/**
 * Addition, subtraction, multiplication, division and square root in extended precision, under the
 * control word's rounding and precision. Each gives 0 when it has stored its result and non-zero when an
 * unmasked exception suppressed it. Intel SDM volume 1, section 8.5; volume 2, FADD, FMUL, FDIV, FSQRT.
 */
import { F64, I32, I64 } from "../../wasm/expr.ts";
import type { Callee, FunctionBuilder } from "../../wasm/func.ts";
import { call } from "../../wasm/func.ts";
import { library } from "../library.ts";
import {
  BIAS,
  clearC1,
  divWide,
  exponent,
  fcw,
  fpuInvalid,
  fpuNan1,
  fpuNan2,
  fpuRound,
  fsw,
  INTEGER_BIT,
  isDenormal,
  isInfinity,
  isNormal,
  isZero,
  type L32,
  type L64,
  mulWide,
  normalize,
  precisionDrop,
  put,
  raise,
  setFsw,
  shiftJam,
  Sw,
  var32,
  var64,
} from "./softfloat.ts";

/** Operands of a binary operation while it runs. */
export interface Binary {
  readonly cpu: I32;
  readonly dst: I32;
  /** Sign and exponent, significand, as given. */
  readonly ah: I32;
  readonly al: I64;
  readonly bh: I32;
  readonly bl: I64;
  /** Finite and non-zero operands normalized: exponents may be below 1. */
  readonly ea: L32;
  readonly sa: L64;
  readonly eb: L32;
  readonly sb: L64;
  /** Rounds and stores a result. */
  readonly round: (sign: I32, exp: I32, sig: I64, rest: I64) => void;
  /** Leaves when the result is already stored. */
  readonly done: () => void;
}

export interface Operation {
  readonly callee: Callee;
  /** Emits the operation on normal operands in place. */
  readonly finite: (f: FunctionBuilder, o: Binary) => void;
}

/**
 * A function (cpu, dst, a high, a low, b high, b low, DE if b was a denormal of another format) →
 * suppressed. `special` handles zeros and infinities (and returns); it sees no NaNs. `denormal` raises
 * the denormal exception, returning when it is unmasked.
 */
export function binary(
  name: string,
  special: (f: FunctionBuilder, o: Binary, denormal: () => void) => void,
  finite: (f: FunctionBuilder, o: Binary) => void,
): Operation {
  const callee = library(
    name,
    { params: ["i32", "i32", "i32", "i64", "i32", "i64", "i32"], results: ["i32"] },
    (f) => {
      const cpu = f.param(0, "i32"), dst = f.param(1, "i32");
      const ah = f.param(2, "i32"), al = f.param(3, "i64");
      const bh = f.param(4, "i32"), bl = f.param(5, "i64"), pre = f.param(6, "i32");
      const o: Binary = {
        cpu,
        dst,
        ah,
        al,
        bh,
        bl,
        ea: var32(f, exponent(ah)),
        sa: var64(f, al),
        eb: var32(f, exponent(bh)),
        sb: var64(f, bl),
        round: (sign, exp, sig, rest) =>
          f.call(fpuRound, cpu, dst, sign, exp, sig, rest, precisionDrop(cpu)),
        done: () => f.return(I32.of(0)),
      };
      f.if(isNormal(ah, al).and(isNormal(bh, bl)).and(pre.eqz()).eqz(), () => {
        clearC1(f, cpu);
        const nan = f.let(call(fpuNan2, "i32", cpu, dst, ah, al, bh, bl));
        f.if(nan, () => f.return(nan.shr_u(1)));
        const denormal = () => {
          f.if(isDenormal(ah, al).or(isDenormal(bh, bl)).or(pre), () => {
            f.if(raise(cpu, Sw.DE), () => f.return(I32.of(1)));
          });
        };
        special(f, o, denormal);
        denormal();
        normalize(f, o.ea, o.sa);
        normalize(f, o.eb, o.sb);
      });
      finite(f, o);
      f.return(I32.of(0));
    },
  );
  return { callee, finite };
}

/** Rounds in place what is in range, to nearest, with 53 or 64 bits; else by a call. */
function roundInline(
  f: FunctionBuilder,
  o: { readonly cpu: I32; readonly dst: I32 },
  sign: I32,
  exp0: I32,
  sig0: I64,
  rest0: I64,
): void {
  const { cpu, dst } = o;
  const control = f.let(fcw(cpu));
  const exp = var32(f, exp0), sig = var64(f, sig0), rest = var64(f, rest0);
  f.if(exp.get().sub(1).lt_u(0x7ffd).and(control.and(0xe20).eq(0x220)), () => {
    const unit = var64(f, I64.of(1));
    f.if(control.and(0x100).eqz(), () => {
      rest.set(sig.get().shl(53).or(rest.get().ne(0).extend_u()));
      sig.set(sig.get().and(-2048));
      unit.set(I64.of(2048));
    });
    const up = f.let(
      rest.get().lt_s(0).and(rest.get().shl(1).or(sig.get().and(unit.get())).ne(0)),
    );
    f.if(up, () => {
      sig.set(sig.get().add(unit.get()));
      f.if(sig.get().eqz(), () => {
        sig.set(INTEGER_BIT);
        exp.set(exp.get().add(1));
      });
    });
    put(f, dst, sign.or(exp.get()), sig.get());
    setFsw(f, cpu, fsw(cpu).and(~Sw.C1).or(up.shl(9)).or(rest.get().ne(0).shl(5)));
  }, () => {
    f.call(fpuRound, cpu, dst, sign, exp.get(), sig.get(), rest.get(), precisionDrop(cpu));
  });
}

/**
 * Emits an operation in place for normal operands and calls it for others; the result is non-zero when
 * it is suppressed. Operands are locals or constants.
 */
export function inline(
  f: FunctionBuilder,
  op: Operation,
  cpu: I32,
  dst: I32,
  ah: I32,
  al: I64,
  bh: I32,
  bl: I64,
  pre: I32,
): I32 {
  const suppressed = f.local("i32");
  f.if(isNormal(ah, al).and(isNormal(bh, bl)).and(pre.eqz()), () => {
    f.block((out) => {
      const o: Binary = {
        cpu,
        dst,
        ah,
        al,
        bh,
        bl,
        ea: var32(f, exponent(ah)),
        sa: var64(f, al),
        eb: var32(f, exponent(bh)),
        sb: var64(f, bl),
        round: (sign, exp, sig, rest) => roundInline(f, o, sign, exp, sig, rest),
        done: () => f.br(out),
      };
      op.finite(f, o);
    });
  }, () => suppressed.set(call(op.callee, "i32", cpu, dst, ah, al, bh, bl, pre)));
  return suppressed.get();
}

/** Sign of an exact zero sum: minus only when rounding down. */
function zeroSign(cpu: I32): I32 {
  return fcw(cpu).and(0xc00).eq(0x400).shl(15);
}

function addOrSub(name: string, subtract: boolean): Operation {
  const signB = (o: Binary) => subtract ? o.bh.xor(0x8000) : o.bh;
  return binary(name, (f, o, denormal) => {
    const { cpu, dst, ah, al, bl } = o;
    const bh = f.let(signB(o));
    const infA = f.let(isInfinity(ah, al)), infB = f.let(isInfinity(o.bh, bl));
    f.if(infA.and(infB).and(ah.ne(bh)), () => f.return(call(fpuInvalid, "i32", cpu, dst)));
    f.if(infA.or(infB), () => {
      denormal();
      put(f, dst, infA.select(ah, bh), INTEGER_BIT);
      f.return(I32.of(0));
    });
    const zeroA = f.let(isZero(ah, al)), zeroB = f.let(isZero(o.bh, bl));
    f.if(zeroA.and(zeroB), () => {
      put(f, dst, ah.eq(bh).select(ah, zeroSign(cpu)), I64.of(0));
      f.return(I32.of(0));
    });
    f.if(zeroA.or(zeroB), () => {
      // The other operand, rounded to the precision in force.
      denormal();
      const exp = var32(f, zeroA.select(o.eb.get(), o.ea.get()));
      const sig = var64(f, zeroA.select(bl, al));
      normalize(f, exp, sig);
      const sign = f.let(zeroA.select(bh, ah).and(0x8000));
      o.round(sign, exp.get(), sig.get(), I64.of(0));
      f.return(I32.of(0));
    });
  }, (f, o) => {
    const { ea, sa, eb, sb, cpu, dst } = o;
    const sign = var32(f, o.ah.and(0x8000));
    const differ = f.let(o.ah.xor(signB(o)).and(0x8000));
    // The larger exponent first.
    f.if(ea.get().lt_s(eb.get()), () => {
      const e = f.let(ea.get()), s = f.let(sa.get());
      ea.set(eb.get());
      sa.set(sb.get());
      eb.set(e);
      sb.set(s);
      sign.set(sign.get().xor(differ));
    });
    const d = f.let(ea.get().sub(eb.get()));
    const rest = f.local("i64");
    f.if(d, () => {
      f.if(d.lt_u(64), () => {
        const n = f.let(d.extend_u());
        rest.set(sb.get().shl(n.neg()));
        sb.set(sb.get().shr_u(n));
      }, () => {
        f.if(
          d.lt_u(128),
          () => rest.set(shiftJam(f, sb.get(), d.sub(64))),
          () => rest.set(I64.of(1)),
        );
        sb.set(I64.of(0));
      });
    });
    f.if(differ.eqz(), () => {
      const sum = f.let(sa.get().add(sb.get()));
      sa.set(sum);
      f.if(sum.lt_u(sb.get()), () => {
        rest.set(rest.get().shr_u(1).or(rest.get().and(1)).or(sum.shl(63)));
        sa.set(sum.shr_u(1).or(INTEGER_BIT));
        ea.set(ea.get().add(1));
      });
    }, () => {
      // With equal exponents the second may be the larger one.
      f.if(d.eqz().and(sa.get().lt_u(sb.get())), () => {
        const s = f.let(sa.get());
        sa.set(sb.get());
        sb.set(s);
        sign.set(sign.get().xor(0x8000));
      });
      sa.set(sa.get().sub(sb.get()).sub(rest.get().ne(0).extend_u()));
      rest.set(rest.get().neg());
      f.if(sa.get().eqz(), () => {
        f.if(rest.get().eqz(), () => {
          clearC1(f, cpu);
          put(f, dst, zeroSign(cpu), I64.of(0));
          o.done();
        });
        sa.set(rest.get());
        rest.set(I64.of(0));
        ea.set(ea.get().sub(64));
      });
      f.if(sa.get().ge_s(0), () => {
        const n = f.let(sa.get().clz());
        sa.set(sa.get().shl(n).or(rest.get().shr_u(n.neg())));
        rest.set(rest.get().shl(n));
        ea.set(ea.get().sub(n.wrap()));
      });
    });
    o.round(sign.get(), ea.get(), sa.get(), rest.get());
  });
}

export const fpuAdd = addOrSub("fpuAdd", false);
export const fpuSub = addOrSub("fpuSub", true);

const productSign = (o: Binary): I32 => o.ah.xor(o.bh).and(0x8000);

export const fpuMul = binary("fpuMul", (f, o, denormal) => {
  const { cpu, dst, ah, al, bh, bl } = o;
  const inf = f.let(isInfinity(ah, al).or(isInfinity(bh, bl)));
  const zero = f.let(isZero(ah, al).or(isZero(bh, bl)));
  f.if(inf.and(zero), () => f.return(call(fpuInvalid, "i32", cpu, dst)));
  f.if(inf.or(zero), () => {
    denormal();
    put(
      f,
      dst,
      productSign(o).or(inf.select(I32.of(0x7fff), I32.of(0))),
      inf.select(INTEGER_BIT, I64.of(0)),
    );
    f.return(I32.of(0));
  });
}, (f, o) => {
  const p = mulWide(f, o.sa.get(), o.sb.get());
  const exp = f.let(o.ea.get().add(o.eb.get()).sub(BIAS - 1));
  // A product of two numbers from 1 below 2 is below 4.
  const small = f.let(p.hi.shr_u(63).xor(1));
  o.round(
    productSign(o),
    exp.sub(small.wrap()),
    p.hi.shl(small).or(p.lo.shr_u(63).and(small)),
    p.lo.shl(small),
  );
});

export const fpuDiv = binary("fpuDiv", (f, o, denormal) => {
  const { cpu, dst, ah, al, bh, bl } = o;
  const infA = f.let(isInfinity(ah, al)), infB = f.let(isInfinity(bh, bl));
  const zeroA = f.let(isZero(ah, al)), zeroB = f.let(isZero(bh, bl));
  f.if(
    infA.and(infB).or(zeroA.and(zeroB)),
    () => f.return(call(fpuInvalid, "i32", cpu, dst)),
  );
  const sign = f.let(productSign(o));
  f.if(infA, () => {
    denormal();
    put(f, dst, sign.or(0x7fff), INTEGER_BIT);
    f.return(I32.of(0));
  });
  f.if(zeroB, () => {
    f.if(raise(cpu, Sw.ZE), () => f.return(I32.of(1)));
    put(f, dst, sign.or(0x7fff), INTEGER_BIT);
    f.return(I32.of(0));
  });
  f.if(zeroA.or(infB), () => {
    denormal();
    put(f, dst, sign, I64.of(0));
    f.return(I32.of(0));
  });
}, (f, o) => {
  const { ea, eb } = o;
  const d = f.let(o.sb.get());
  const hi = var64(f, o.sa.get()), lo = f.local("i64");
  const exp = var32(f, ea.get().sub(eb.get()).add(BIAS - 1));
  f.if(hi.get().ge_u(d), () => {
    lo.set(hi.get().shl(63));
    hi.set(hi.get().shr_u(1));
    exp.set(exp.get().add(1));
  });
  const { q, r } = divWide(f, hi.get(), lo.get(), d);
  o.round(productSign(o), exp.get(), q, restOf(f, r, d));
});

/** What follows a quotient with remainder r of divisor d: exact enough for rounding. */
function restOf(f: FunctionBuilder, r: I64, d: I64): I64 {
  const twice = f.let(r.shl(1));
  const above = r.lt_s(0).or(twice.gt_u(d));
  const v = f.let(above.select(I64.of(3n << 62n), I64.of(1n << 62n)));
  return f.let(
    r.eqz().select(I64.of(0), r.ge_s(0).and(twice.eq(d)).select(INTEGER_BIT, v)),
  );
}

/** (cpu, dst, high, low) → suppressed. */
export const fpuSqrt = library(
  "fpuSqrt",
  { params: ["i32", "i32", "i32", "i64"], results: ["i32"] },
  (f) => {
    const cpu = f.param(0, "i32"), dst = f.param(1, "i32");
    const h = f.param(2, "i32"), l = f.param(3, "i64");
    const exp = var32(f, exponent(h)), sig = var64(f, l);
    f.if(isNormal(h, l).and(h.and(0x8000).eqz()).eqz(), () => {
      clearC1(f, cpu);
      const nan = f.let(call(fpuNan1, "i32", cpu, dst, h, l));
      f.if(nan, () => f.return(nan.shr_u(1)));
      f.if(isZero(h, l), () => {
        put(f, dst, h, l);
        f.return(I32.of(0));
      });
      f.if(h.and(0x8000), () => f.return(call(fpuInvalid, "i32", cpu, dst)));
      f.if(isInfinity(h, l), () => {
        put(f, dst, h, l);
        f.return(I32.of(0));
      });
      f.if(isDenormal(h, l), () => {
        f.if(raise(cpu, Sw.DE), () => f.return(I32.of(1)));
      });
      normalize(f, exp, sig);
    });

    // N = nh:nl, whose root has 64 bits; an odd exponent puts a factor of two into N.
    const e = f.let(exp.get().sub(BIAS));
    const odd = f.let(e.and(1));
    const nh = f.let(odd.select(sig.get(), sig.get().shr_u(1)));
    const nl = f.let(odd.select(I64.of(0), sig.get().shl(63)));
    const rh = f.local("i64"), rl = f.local("i64");
    /** r = N - s². */
    const residue = (s: I64) => {
      const p = mulWide(f, s, s);
      rl.set(nl.sub(p.lo));
      rh.set(nh.sub(p.hi).sub(nl.lt_u(p.lo).extend_u()));
    };
    // An estimate good to some 52 bits, then one Newton step, at most two too low after the last -2.
    const first = f.let(
      nh.toF64_u().sqrt().mul(F64.of(2 ** 31)).toI64_sat_s().shl(1),
    );
    residue(first);
    const step = f.let(
      rh.get().toF64_s().mul(F64.of(2 ** 64)).add(rl.get().toF64_u())
        .div(first.toF64_u().mul(F64.of(2))).toI64_sat_s(),
    );
    const s = var64(f, first.add(step).sub(2));
    residue(s.get());
    f.block((out) =>
      f.loop((again) => {
        // 2s + 1, of up to 65 bits.
        const low = f.let(s.get().shl(1).or(1)), high = f.let(s.get().shr_u(63));
        f.brIf(
          out,
          rh.get().lt_u(high).or(rh.get().eq(high).and(rl.get().lt_u(low))),
        );
        rh.set(rh.get().sub(high).sub(rl.get().lt_u(low).extend_u()));
        rl.set(rl.get().sub(low));
        s.set(s.get().add(1));
        f.br(again);
      })
    );
    const above = f.let(rh.get().ne(0).or(rl.get().gt_u(s.get())));
    const rest = f.let(above.select(I64.of(3n << 62n), I64.of(1n << 62n)));
    f.call(
      fpuRound,
      cpu,
      dst,
      I32.of(0),
      e.shr_s(1).add(BIAS),
      s.get(),
      rh.get().or(rl.get()).eqz().select(I64.of(0), rest),
      precisionDrop(cpu),
    );
    f.return(I32.of(0));
  },
);
