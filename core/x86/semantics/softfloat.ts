/**
 * 80-bit extended precision for the x87: what its operations share. A value is an i32 holding sign and
 * exponent (as in memory, bits 15 and 14:0) and an i64 significand with its explicit integer bit.
 * Functions take the vCPU's address first, obey the control word in its state and collect exceptions
 * in its status word. Intel SDM volume 1, chapters 4 and 8.
 */
import { I32, I64, load } from "../../wasm/expr.ts";
import { call, type FunctionBuilder, type Local } from "../../wasm/func.ts";
import { library } from "../library.ts";
import * as S from "../state.ts";

/** Bits of the x87 status word; the first six are also the masks of the control word. */
export const Sw = {
  IE: 1,
  DE: 2,
  ZE: 4,
  OE: 8,
  UE: 16,
  PE: 32,
  SF: 0x40,
  ES: 0x80,
  C0: 0x100,
  C1: 0x200,
  C2: 0x400,
  C3: 0x4000,
  B: 0x8000,
} as const;

/** In the FOP field: the opcode must be read from the code at FIP, where an exception was raised. */
export const FOP_STALE = 0x80000000;

export const BIAS = 0x3fff;
/** What an unmasked overflow or underflow adds to or takes from the exponent. */
export const WRAP = 0x6000;
export const INTEGER_BIT = I64.of(1n << 63n);
export const QUIET_BIT = I64.of(1n << 62n);
/** The default NaN. */
export const NAN_HIGH = 0xffff;
export const NAN_LOW = I64.of(3n << 62n);

export type L32 = Local<"i32">;
export type L64 = Local<"i64">;

/** A local that starts as `v`. */
export function var32(f: FunctionBuilder, v: I32): L32 {
  const l = f.local("i32");
  l.set(v);
  return l;
}
export function var64(f: FunctionBuilder, v: I64): L64 {
  const l = f.local("i64");
  l.set(v);
  return l;
}

export const exponent = (h: I32): I32 => h.and(0x7fff);
export const isNan = (h: I32, l: I64): I32 =>
  exponent(h).eq(0x7fff).and(l.shl(1).ne(0)).and(l.lt_s(0));
/** Pseudo-infinity, pseudo-NaN or unnormal: encodings that the processor refuses. */
export const isUnsupported = (h: I32, l: I64): I32 => exponent(h).ne(0).and(l.ge_s(0));
export const isSnan = (h: I32, l: I64): I32 => isNan(h, l).and(l.and(QUIET_BIT).eqz());
/** Denormal or pseudo-denormal. */
export const isDenormal = (h: I32, l: I64): I32 => exponent(h).eqz().and(l.ne(0));
export const isInfinity = (h: I32, l: I64): I32 => exponent(h).eq(0x7fff).and(l.eq(INTEGER_BIT));
export const isZero = (h: I32, l: I64): I32 => exponent(h).eqz().and(l.eqz());
/** A normal number: neither zero, denormal, infinite, NaN nor unsupported. */
export const isNormal = (h: I32, l: I64): I32 =>
  exponent(h).sub(1).lt_u(0x7ffe).and(l.shr_u(63).wrap());

export const fcw = (cpu: I32): I32 => load("i32.load", cpu, S.FCW);
export const fsw = (cpu: I32): I32 => load("i32.load", cpu, S.FSW);
export function setFsw(f: FunctionBuilder, cpu: I32, v: I32): void {
  f.store("i32.store", cpu, v, S.FSW);
}
export function clearC1(f: FunctionBuilder, cpu: I32): void {
  setFsw(f, cpu, fsw(cpu).and(~Sw.C1));
}

/** Writes a register at `dst` (its address less {@link S.FPR}). */
export function put(f: FunctionBuilder, dst: I32, h: I32, l: I64): void {
  f.store("i64.store", dst, l, S.FPR);
  f.store("i32.store16", dst, h, S.FPR + 8);
}

/** Writes a finite operand unchanged; a pseudo-denormal becomes the normal number it stands for. */
export function putOperand(f: FunctionBuilder, dst: I32, h: I32, l: I64): void {
  put(f, dst, h.or(exponent(h).eqz().and(l.lt_s(0))), l);
}

/** Discarded bits of the significand under the control word's precision: 40, 11 or 0. */
export function precisionDrop(cpu: I32): I32 {
  // One byte for each value of PC; the reserved one, 01, means 64 bits.
  return I32.of(0x000b0028).shr_u(fcw(cpu).shr_u(5).and(0x18)).and(0xff);
}

/**
 * (cpu, flags) → those that are unmasked. Collects exceptions in the status word; an unmasked one
 * sets ES and B, for the next waiting instruction.
 */
export const fpuRaise = library(
  "fpuRaise",
  { params: ["i32", "i32"], results: ["i32"] },
  (f) => {
    const cpu = f.param(0, "i32"), flags = f.param(1, "i32");
    const open = f.let(flags.and(0x3f).and(fcw(cpu).not()));
    const sw = var32(f, fsw(cpu).or(flags));
    f.if(open, () => {
      sw.set(sw.get().or(Sw.ES | Sw.B));
      f.store("i32.store", cpu, I32.of(FOP_STALE), S.FOP);
    });
    setFsw(f, cpu, sw.get());
    f.return(open);
  },
);
export const raise = (cpu: I32, flags: number | I32): I32 =>
  call(fpuRaise, "i32", cpu, typeof flags === "number" ? I32.of(flags) : flags);

/**
 * (cpu, C1) → non-zero when the instruction must have no result: a stack fault, underflow with C1 = 0
 * or overflow with C1 = 1.
 */
export const fpuStackFault = library(
  "fpuStackFault",
  { params: ["i32", "i32"], results: ["i32"] },
  (f) => {
    const cpu = f.param(0, "i32");
    setFsw(f, cpu, fsw(cpu).and(~Sw.C1).or(f.param(1, "i32").shl(9)));
    f.return(raise(cpu, Sw.IE | Sw.SF));
  },
);

/** Shifts right by `n` (0–63); what falls out is or-ed into bit 0. */
export function shiftJam(f: FunctionBuilder, v: I64, n: I32): I64 {
  const wide = f.let(n.extend_u());
  // A shift by 64 - n is one by -n; for n = 0 nothing falls out.
  return f.let(
    n.select(v.shr_u(wide).or(v.shl(wide.neg()).ne(0).extend_u()), v),
  );
}

/**
 * Shifts the 128-bit number hi:lo right by `n` > 0 (any size); bits that fall out are or-ed into bit 0
 * of lo.
 */
export function shiftJam128(f: FunctionBuilder, hi: L64, lo: L64, n: I32): void {
  f.if(n.lt_u(64), () => {
    const wide = f.let(n.extend_u());
    const out = f.let(lo.get().shl(wide.neg()).ne(0).extend_u());
    lo.set(lo.get().shr_u(wide).or(hi.get().shl(wide.neg())).or(out));
    hi.set(hi.get().shr_u(wide));
  }, () => {
    f.if(n.lt_u(128), () => {
      const out = f.let(lo.get().ne(0).extend_u());
      lo.set(shiftJam(f, hi.get(), n.sub(64)).or(out));
    }, () => lo.set(hi.get().or(lo.get()).ne(0).extend_u()));
    hi.set(I64.of(0));
  });
}

/** Whether rounding `sig` (discarded part `rest`, left aligned) away from zero is due: 0 or 1. */
export function roundsUp(f: FunctionBuilder, rc: I32, sign: I32, odd: I64, rest: I64): I32 {
  const up = f.local("i32");
  f.if(rc.eqz(), () => {
    up.set(rest.lt_s(0).and(rest.shl(1).or(odd).ne(0)));
  }, () => {
    // 1 down, 2 up, 3 towards zero.
    up.set(rest.ne(0).and(rc.eq(I32.of(2).sub(sign.ne(0)))));
  });
  return up.get();
}

/**
 * (cpu, dst, sign, exponent, significand, rest, drop): rounds and stores a result. The value is
 * significand.rest × 2^(exponent − 16383 − 63), normalized; sign is 0 or 8000h; the exponent may be out
 * of range; `drop` low bits of the significand are rounded away. Sets C1 to whether the magnitude was
 * rounded up.
 */
export const fpuRound = library(
  "fpuRound",
  { params: ["i32", "i32", "i32", "i32", "i64", "i64", "i32"], results: [] },
  (f) => {
    const cpu = f.param(0, "i32"), dst = f.param(1, "i32"), sign = f.param(2, "i32");
    const drop = f.param(6, "i32");
    const control = f.let(fcw(cpu));
    const exp = var32(f, f.param(3, "i32")), sig = var64(f, f.param(4, "i64"));
    const rest = var64(f, f.param(5, "i64"));
    const finish = (up: I32, flags: I32): void => {
      const sw = f.let(fsw(cpu).and(~Sw.C1).or(up.shl(9)));
      f.if(flags.and(control.not()).and(0x3f), () => {
        setFsw(f, cpu, sw);
        f.drop(raise(cpu, flags));
        f.return();
      });
      setFsw(f, cpu, sw.or(flags));
      f.return();
    };

    // The common case: 64 bits, to nearest, in range.
    f.if(
      exp.get().sub(1).lt_u(0x7ffd).and(drop.or(control.and(0xc00)).eqz()),
      () => {
        const r = f.let(rest.get());
        const up = f.let(r.lt_s(0).and(r.shl(1).or(sig.get().and(1)).ne(0)));
        sig.set(sig.get().add(up.extend_u()));
        f.if(sig.get().eqz(), () => {
          sig.set(INTEGER_BIT);
          exp.set(exp.get().add(1));
        });
        put(f, dst, sign.or(exp.get()), sig.get());
        finish(up, r.ne(0).shl(5));
      },
    );

    const rc = f.let(control.shr_u(10).and(3));
    const wideDrop = f.let(drop.extend_u());
    const unit = f.let(I64.of(1).shl(wideDrop));
    /** Cuts sig and rest to the precision; gives whether to round up. */
    const cut = (): I32 => {
      f.if(drop, () => {
        rest.set(
          sig.get().shl(wideDrop.neg()).or(rest.get().ne(0).extend_u()),
        );
        sig.set(sig.get().and(unit.neg()));
      });
      return roundsUp(f, rc, sign, sig.get().and(unit), rest.get());
    };
    const flags = var32(f, I32.of(0));

    f.if(exp.get().le_s(0), () => {
      // Tiny unless rounding to unbounded range reaches the least normal number.
      const oldSig = f.let(sig.get()), oldRest = f.let(rest.get());
      const up = f.let(cut());
      const sum = f.let(sig.get().add(up.select(unit, I64.of(0))));
      const carried = f.let(sum.eqz());
      const tiny = f.let(exp.get().lt_s(0).or(carried.eqz()));
      f.if(tiny.and(control.and(Sw.UE).eqz()), () => {
        const e = f.let(exp.get().add(WRAP).add(carried));
        flags.set(rest.get().ne(0).shl(5).or(Sw.UE));
        f.if(e.le_s(0), () => {
          // Only FSCALE goes beyond what the wrapped exponent can express.
          put(f, dst, sign, I64.of(0));
          finish(I32.of(0), I32.of(Sw.UE | Sw.PE));
        });
        put(f, dst, sign.or(e), carried.select(INTEGER_BIT, sum));
        finish(up, flags.get());
      });
      sig.set(oldSig);
      rest.set(oldRest);
      shiftJam128(f, sig, rest, I32.of(1).sub(exp.get()));
      const down = f.let(cut());
      sig.set(sig.get().add(down.select(unit, I64.of(0))));
      f.if(rest.get().ne(0), () => {
        flags.set(tiny.select(I32.of(Sw.UE | Sw.PE), I32.of(Sw.PE)));
      });
      put(f, dst, sign.or(sig.get().shr_u(63).wrap()), sig.get());
      finish(down, flags.get());
    });

    const up = f.let(cut());
    sig.set(sig.get().add(up.select(unit, I64.of(0))));
    f.if(sig.get().eqz(), () => {
      sig.set(INTEGER_BIT);
      exp.set(exp.get().add(1));
    });
    f.if(rest.get().ne(0), () => flags.set(I32.of(Sw.PE)));
    f.if(exp.get().ge_s(0x7fff), () => {
      f.if(control.and(Sw.OE).eqz(), () => {
        const e = f.let(exp.get().sub(WRAP));
        f.if(e.ge_s(0x7fff), () => {
          put(f, dst, sign.or(0x7fff), INTEGER_BIT);
          finish(I32.of(1), I32.of(Sw.OE | Sw.PE));
        });
        put(f, dst, sign.or(e), sig.get());
        finish(up, flags.get().or(Sw.OE));
      });
      // Infinity when the mode rounds away from zero, else the greatest number of the precision.
      const away = f.let(rc.eqz().or(rc.eq(I32.of(2).sub(sign.ne(0)))));
      put(
        f,
        dst,
        sign.or(I32.of(0x7ffe).add(away)),
        away.select(INTEGER_BIT, unit.neg()),
      );
      finish(away, I32.of(Sw.OE | Sw.PE));
    });
    put(f, dst, sign.or(exp.get()), sig.get());
    finish(up, flags.get());
  },
);

/** Stores the default NaN for an invalid operation; the result is non-zero when that is suppressed. */
export const fpuInvalid = library(
  "fpuInvalid",
  { params: ["i32", "i32"], results: ["i32"] },
  (f) => {
    const cpu = f.param(0, "i32");
    f.if(raise(cpu, Sw.IE), () => f.return(I32.of(1)));
    put(f, f.param(1, "i32"), I32.of(NAN_HIGH), NAN_LOW);
    f.return(I32.of(0));
  },
);

/**
 * (cpu, dst, a, b) → 0 when neither operand is a NaN or unsupported; 1: the result is stored; 2: it is
 * suppressed. SDM volume 1, table 4-7.
 */
export const fpuNan2 = library(
  "fpuNan2",
  { params: ["i32", "i32", "i32", "i64", "i32", "i64"], results: ["i32"] },
  (f) => {
    const cpu = f.param(0, "i32"), dst = f.param(1, "i32");
    const ah = f.param(2, "i32"), al = f.param(3, "i64");
    const bh = f.param(4, "i32"), bl = f.param(5, "i64");
    f.if(isUnsupported(ah, al).or(isUnsupported(bh, bl)), () => {
      f.return(call(fpuInvalid, "i32", cpu, dst).add(1));
    });
    const na = f.let(isNan(ah, al)), nb = f.let(isNan(bh, bl));
    f.if(na.or(nb).eqz(), () => f.return(I32.of(0)));
    const sa = f.let(isSnan(ah, al)), sb = f.let(isSnan(bh, bl));
    f.if(sa.or(sb), () => {
      f.if(raise(cpu, Sw.IE), () => f.return(I32.of(2)));
    });
    // Of two NaNs the quiet one; of two alike the one with the larger significand, then the positive.
    const first = f.local("i32");
    f.if(na.and(nb), () => {
      f.if(sa.ne(sb), () => first.set(sb), () => {
        f.if(
          al.eq(bl),
          () => first.set(ah.le_u(bh)),
          () => first.set(al.gt_u(bl)),
        );
      });
    }, () => first.set(na));
    put(f, dst, first.get().select(ah, bh), first.get().select(al, bl).or(QUIET_BIT));
    f.return(I32.of(1));
  },
);

/** (cpu, dst, a) → as {@link fpuNan2}, for one operand. */
export const fpuNan1 = library(
  "fpuNan1",
  { params: ["i32", "i32", "i32", "i64"], results: ["i32"] },
  (f) => {
    const cpu = f.param(0, "i32"), dst = f.param(1, "i32");
    const h = f.param(2, "i32"), l = f.param(3, "i64");
    f.if(isUnsupported(h, l), () => f.return(call(fpuInvalid, "i32", cpu, dst).add(1)));
    f.if(isNan(h, l).eqz(), () => f.return(I32.of(0)));
    f.if(l.and(QUIET_BIT).eqz(), () => {
      f.if(raise(cpu, Sw.IE), () => f.return(I32.of(2)));
    });
    put(f, dst, h, l.or(QUIET_BIT));
    f.return(I32.of(1));
  },
);

/** Normalizes the significand of a denormal, giving its exponent below 1. `sig` is not 0. */
export function normalize(f: FunctionBuilder, exp: L32, sig: L64): void {
  f.if(exp.get().eqz(), () => {
    const n = f.let(sig.get().clz());
    sig.set(sig.get().shl(n));
    exp.set(I32.of(1).sub(n.wrap()));
  });
}

/** High and low half of a 64 × 64 bit product. */
export function mulWide(f: FunctionBuilder, a: I64, b: I64): { hi: I64; lo: I64 } {
  const m = 0xffffffff;
  const a0 = f.let(a.and(m)), a1 = f.let(a.shr_u(32));
  const b0 = f.let(b.and(m)), b1 = f.let(b.shr_u(32));
  const ll = f.let(a0.mul(b0));
  const mid = f.let(a0.mul(b1).add(ll.shr_u(32)));
  const mid2 = f.let(a1.mul(b0).add(mid.and(m)));
  return {
    hi: f.let(a1.mul(b1).add(mid.shr_u(32)).add(mid2.shr_u(32))),
    lo: f.let(mid2.shl(32).or(ll.and(m))),
  };
}

/** Quotient and remainder of hi:lo by `d`, whose bit 63 is set; hi < d. Schoolbook, two 32-bit digits. */
export function divWide(f: FunctionBuilder, hi: I64, lo: I64, d: I64): { q: I64; r: I64 } {
  const m = 0xffffffff;
  const d1 = f.let(d.shr_u(32)), d0 = f.let(d.and(m));
  const digit = (top: I64, next: I64): { q: I64; r: I64 } => {
    const q = var64(f, top.div_u(d1));
    const r = var64(f, top.sub(q.get().mul(d1)));
    f.block((out) =>
      f.loop((again) => {
        // The estimate is at most two too large.
        f.brIf(
          out,
          q.get().shr_u(32).eqz().and(q.get().mul(d0).le_u(r.get().shl(32).or(next))),
        );
        q.set(q.get().sub(1));
        r.set(r.get().add(d1));
        f.brIf(again, r.get().shr_u(32).eqz());
      })
    );
    return {
      q: q.get(),
      r: f.let(top.shl(32).or(next).sub(q.get().mul(d))),
    };
  };
  const high = digit(hi, f.let(lo.shr_u(32)));
  const low = digit(high.r, f.let(lo.and(m)));
  return { q: f.let(high.q.shl(32).add(low.q)), r: low.r };
}
