/**
 * SSE floating point in library functions: formats, rounding under MXCSR, exception flags. Numbers are
 * bit patterns in an i64, single precision in its lower half. A function collects the exceptions it
 * meets in {@link RAISED}; {@link sseFinish} accounts for them when all elements are done.
 * Intel SDM volume 1, chapters 4.8, 4.9 and 11.5.
 */
import { I32, I64, load } from "../../wasm/expr.ts";
import { call, type FunctionBuilder } from "../../wasm/func.ts";
import { library } from "../library.ts";
import * as S from "../state.ts";
import { shiftJam, var32, var64 } from "./softfloat.ts";

/** Exceptions met by the instruction so far. */
export const RAISED = S.LIB + 0xc0;

/** Bits of MXCSR. An exception's mask is its flag shifted by {@link MASK_SHIFT}. */
export const Mx = {
  IE: 1,
  DE: 2,
  ZE: 4,
  OE: 8,
  UE: 16,
  PE: 32,
  DAZ: 0x40,
  OM: 0x400,
  UM: 0x800,
  PM: 0x1000,
  RC: 0x6000,
  FTZ: 0x8000,
} as const;
const MASK_SHIFT = 7;
const RC_SHIFT = 13;
const CR4_OSXMMEXCPT = 1 << 10;

/** An IEEE 754 format. */
export interface AnyFormat {
  readonly bits: 16 | 32 | 64;
  /** Fraction bits. */
  readonly frac: number;
  readonly bias: number;
  /** Exponent field of infinities and NaNs. */
  readonly top: number;
  readonly sign: bigint;
  readonly infinity: bigint;
  /** Bit that tells a quiet NaN. */
  readonly quiet: bigint;
  /** The default NaN. */
  readonly nan: bigint;
  /** Smallest normal number. */
  readonly min: bigint;
}
/** A format that instructions compute in. */
export interface Format extends AnyFormat {
  readonly bits: 32 | 64;
}

function format<B extends 16 | 32 | 64>(bits: B, frac: number): AnyFormat & { readonly bits: B } {
  const top = (1 << (bits - 1 - frac)) - 1;
  const infinity = BigInt(top) << BigInt(frac);
  const quiet = 1n << BigInt(frac - 1);
  const sign = 1n << BigInt(bits - 1);
  return {
    bits,
    frac,
    bias: top >> 1,
    top,
    sign,
    infinity,
    quiet,
    nan: sign | infinity | quiet,
    min: 1n << BigInt(frac),
  };
}
/** Half precision, a format of memory only. */
export const HALF = format(16, 10);
export const SINGLE: Format = format(32, 23);
export const DOUBLE: Format = format(64, 52);
export type Suffix = "32" | "64";
export const FORMATS: readonly (readonly [Suffix, Format])[] = [["32", SINGLE], ["64", DOUBLE]];

// ---- pieces of a number

export const magnitude = (t: AnyFormat, x: I64): I64 => x.and(t.sign - 1n);
export const isNan = (t: AnyFormat, x: I64): I32 => magnitude(t, x).gt_u(t.infinity);
export const isSnan = (t: AnyFormat, x: I64): I32 => isNan(t, x).and(x.and(t.quiet).eqz());
export const isInfinity = (t: AnyFormat, x: I64): I32 => magnitude(t, x).eq(t.infinity);
export const isZero = (t: AnyFormat, x: I64): I32 => magnitude(t, x).eqz();
/** Neither zero nor normal, infinite or NaN. */
export const isDenormal = (t: AnyFormat, x: I64): I32 => magnitude(t, x).sub(1).lt_u(t.min - 1n);
/** 0 or 1. */
export const signOf = (t: AnyFormat, x: I64): I32 => x.shr_u(t.bits - 1).wrap().and(1);
export const exponentOf = (t: AnyFormat, x: I64): I32 => x.shr_u(t.frac).wrap().and(t.top);
/** A sign of 0 or 1 at its place. */
export const signBit = (t: AnyFormat, sign: I32): I64 => sign.extend_u().shl(t.bits - 1);

export const mxcsr = (cpu: I32): I32 => load("i32.load", cpu, S.MXCSR);

/** Notes exceptions. */
export function raise(f: FunctionBuilder, cpu: I32, flags: number | I32): void {
  const bits = typeof flags === "number" ? I32.of(flags) : flags;
  f.store("i32.store", cpu, load("i32.load", cpu, RAISED).or(bits), RAISED);
}

/** `x`, or with DAZ and a denormal the zero of its sign. */
export function flushInput(f: FunctionBuilder, t: Format, cpu: I32, x: I64): I64 {
  return f.let(
    isDenormal(t, x).and(mxcsr(cpu).shr_u(6)).and(1).select(x.and(t.sign), x),
  );
}

/** Leaves with a quiet NaN when an operand is a NaN: the first one's. */
export function returnNan(f: FunctionBuilder, t: Format, cpu: I32, a: I64, b?: I64): void {
  const nanA = isNan(t, a);
  f.if(b ? nanA.or(isNan(t, b)) : nanA, () => {
    f.if(b ? isSnan(t, a).or(isSnan(t, b)) : isSnan(t, a), () => raise(f, cpu, Mx.IE));
    f.return((b ? isNan(t, a).select(a, b) : a).or(t.quiet));
  });
}

/** Leaves with the default NaN and #I. */
export function returnInvalid(f: FunctionBuilder, t: Format, cpu: I32): void {
  raise(f, cpu, Mx.IE);
  f.return(I64.of(t.nan));
}

/** Notes #D when an operand is denormal. */
export function noteDenormal(f: FunctionBuilder, t: Format, cpu: I32, a: I64, b?: I64): void {
  const d = isDenormal(t, a);
  f.if(b ? d.or(isDenormal(t, b)) : d, () => raise(f, cpu, Mx.DE));
}

/** Biased exponent and significand with its leading bit at 62, of a number that is not 0. */
export function unpack(f: FunctionBuilder, t: AnyFormat, x: I64): { exp: I32; sig: I64 } {
  const exp = var32(f, exponentOf(t, x));
  const sig = var64(f, x.and(t.min - 1n).shl(62 - t.frac));
  f.if(exp.get().ne(0), () => sig.set(sig.get().or(1n << 62n)), () => {
    const n = f.let(sig.get().clz().sub(1));
    sig.set(sig.get().shl(n));
    exp.set(I32.of(1).sub(n.wrap()));
  });
  return { exp: exp.get(), sig: sig.get() };
}

/** Shifts right by any count from 0, or-ing what falls out into bit 0. */
export function shiftRightJam(f: FunctionBuilder, v: I64, n: I32): I64 {
  return shiftJam(f, v, f.let(n.gt_u(63).select(I32.of(63), n)));
}

// ---- rounding

/** Rounding control: 0 nearest even, 1 down, 2 up, 3 toward zero. */
export const roundingControl = (cpu: I32): I32 => mxcsr(cpu).shr_u(RC_SHIFT).and(3);

/**
 * Cuts `drop` low bits, rounding: the kept bits, and whether any that were cut was set.
 * @param up rounding away from zero in the directed modes
 */
function roundOff(
  f: FunctionBuilder,
  sig: I64,
  drop: number,
  rc: I32,
  sign: I32,
): { kept: I64; inexact: I32 } {
  const mask = (1n << BigInt(drop)) - 1n, half = 1n << BigInt(drop - 1);
  const rest = f.let(sig.and(mask));
  // Down with a negative number and up with a positive one round away from zero.
  const away = rc.eq(I32.of(2).sub(sign));
  const add = f.let(rc.eqz().select(I64.of(half), away.select(I64.of(mask), I64.of(0))));
  const kept = f.let(sig.add(add).shr_u(drop));
  const tie = rc.eqz().and(rest.eq(half));
  return {
    kept: f.let(kept.and(tie.extend_u().not())),
    inexact: f.let(rest.ne(0)),
  };
}

/**
 * (cpu, sign, biased exponent, significand, rounding control) → the rounded number. The significand's
 * leading bit is 62, its lowest one sticky; the exponent may be beyond the format's.
 * @param flush MXCSR.FTZ has a say
 */
function rounder(t: AnyFormat, flush: boolean) {
  return library(
    `sseRound${t.bits}`,
    { params: ["i32", "i32", "i32", "i64", "i32"], results: ["i64"] },
    (f) => {
      const cpu = f.param(0, "i32"), sign = f.param(1, "i32"), exp = f.param(2, "i32");
      const sig = f.param(3, "i64");
      const drop = 62 - t.frac;
      const rc = f.param(4, "i32");
      const s = f.let(signBit(t, sign));
      const full = roundOff(f, sig, drop, rc, sign);
      const flags = var32(f, full.inexact.shl(5));
      f.if(exp.le_s(0), () => {
        // Tiny unless rounding with an unbounded exponent reaches the smallest normal number.
        const tiny = f.let(exp.lt_s(0).or(full.kept.eq(1n << BigInt(t.frac + 1)).eqz()));
        f.if(tiny, () => {
          f.if(mxcsr(cpu).and(Mx.UM).eqz(), () => {
            raise(f, cpu, flags.get().or(Mx.UE));
            f.return(s);
          });
          if (!flush) return;
          f.if(mxcsr(cpu).and(Mx.FTZ).ne(0), () => {
            raise(f, cpu, Mx.UE | Mx.PE);
            f.return(s);
          });
        });
        const small = roundOff(f, shiftRightJam(f, sig, f.let(I32.of(1).sub(exp))), drop, rc, sign);
        f.if(small.inexact, () => {
          raise(f, cpu, I32.of(Mx.PE).or(tiny.shl(4)));
        });
        f.return(s.or(small.kept));
      });
      // A carry out of the fraction goes into the exponent.
      const packed = f.let(exp.sub(1).extend_u().shl(t.frac).add(full.kept));
      f.if(packed.ge_u(t.infinity).or(exp.ge_s(t.top)), () => {
        f.if(mxcsr(cpu).and(Mx.OM).eqz(), () => {
          raise(f, cpu, flags.get().or(Mx.OE));
          f.return(s);
        });
        raise(f, cpu, Mx.OE | Mx.PE);
        const infinite = rc.eqz().or(rc.eq(I32.of(2).sub(sign)));
        f.return(s.or(infinite.select(I64.of(t.infinity), I64.of(t.infinity - 1n))));
      });
      f.if(flags.get(), () => raise(f, cpu, flags.get()));
      f.return(s.or(packed));
    },
  );
}

const sseRound = { "32": rounder(SINGLE, true), "64": rounder(DOUBLE, true) };
/** For half precision, whose denormals are never flushed. */
export const roundHalf = rounder(HALF, false);

export function round(t: Format, cpu: I32, sign: I32, exp: I32, sig: I64): I64 {
  return call(sseRound[`${t.bits}`], "i64", cpu, sign, exp, sig, roundingControl(cpu));
}

/**
 * (cpu) → 0, or the vector to raise: adds the exceptions met to the sticky flags. With an unmasked
 * one among those found before computing, those found after it do not count.
 */
export const sseFinish = library("sseFinish", { params: ["i32"], results: ["i32"] }, (f) => {
  const cpu = f.param(0, "i32");
  const raised = var32(f, load("i32.load", cpu, RAISED));
  f.if(raised.get().eqz(), () => f.return(I32.of(0)));
  f.store("i32.store", cpu, I32.of(0), RAISED);
  const open = f.let(raised.get().and(mxcsr(cpu).shr_u(MASK_SHIFT).not()));
  f.if(open.and(Mx.IE | Mx.DE | Mx.ZE), () => {
    raised.set(raised.get().and(Mx.IE | Mx.DE | Mx.ZE));
  });
  f.store("i32.store", cpu, mxcsr(cpu).or(raised.get()), S.MXCSR);
  f.if(open.eqz(), () => f.return(I32.of(0)));
  f.return(
    load("i32.load", cpu, S.CR4).and(CR4_OSXMMEXCPT).select(I32.of(S.Vec.XM), I32.of(S.Vec.UD)),
  );
});
