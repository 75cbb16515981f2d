/**
 * VRCP14 and VRSQRT14: approximations by a straight line in each of a number of equal intervals, with
 * the coefficients that an Intel processor's results over all significands lead to. Denormals count as
 * numbers, unless DAZ and FTZ say otherwise, and no exception is flagged. Intel SDM volume 2.
 */
import { I32, I64 } from "../../wasm/expr.ts";
import type { FunctionBuilder } from "../../wasm/func.ts";
import { library } from "../library.ts";
import {
  flushInput,
  type Format,
  isInfinity,
  isNan,
  isZero,
  Mx,
  mxcsr,
  signOf,
  unpack,
} from "./lib_sse.ts";
import { both } from "./lib_sse_convert.ts";
import { var64 } from "./softfloat.ts";

/** Value at the beginning of an interval, and fall in each of its 1024 steps, in 2^-9 of a result's unit. */
type Lines = readonly (readonly [start: number, fall: number])[];
const pairs = (starts: readonly number[], falls: readonly number[]): Lines =>
  starts.map((s, n) => [s, falls[n]]);

/** From 1 to 2. */
const RECIPROCAL = pairs([
  33552640,
  32519680,
  31519232,
  30547968,
  29604608,
  28690176,
  27800320,
  26936832,
  26096128,
  25279488,
  24483840,
  23710208,
  22957056,
  22223616,
  21508352,
  20810752,
  20131584,
  19468544,
  18822656,
  18191104,
  17575168,
  16973568,
  16386560,
  15811840,
  15250944,
  14702592,
  14167296,
  13642240,
  13129472,
  12627200,
  12135936,
  11654912,
  11184640,
  10723072,
  10271744,
  9828352,
  9394688,
  8969472,
  8552448,
  8143616,
  7743488,
  7349504,
  6963456,
  6585088,
  6213888,
  5848320,
  5490176,
  5138432,
  4793088,
  4453632,
  4120064,
  3793408,
  3470848,
  3154176,
  2843648,
  2537216,
  2236928,
  1941248,
  1649920,
  1364736,
  1083648,
  806656,
  533760,
  264960,
], [
  1009,
  977,
  949,
  921,
  893,
  869,
  843,
  821,
  797,
  777,
  755,
  735,
  717,
  699,
  681,
  663,
  647,
  631,
  617,
  601,
  587,
  573,
  561,
  547,
  535,
  523,
  513,
  501,
  491,
  479,
  469,
  459,
  451,
  441,
  433,
  423,
  415,
  407,
  399,
  391,
  385,
  377,
  369,
  363,
  357,
  349,
  343,
  337,
  331,
  325,
  319,
  315,
  309,
  303,
  299,
  293,
  289,
  285,
  279,
  275,
  271,
  267,
  263,
  259,
]);
/** From 1 to 2, and from 2 to 4. */
const ROOT_FROM_1 = pairs([
  33551488,
  32526464,
  31548032,
  30611712,
  29714176,
  28853120,
  28026496,
  27232384,
  26467584,
  25731200,
  25021312,
  24336896,
  23675136,
  23035136,
  22417280,
  21818752,
  21238656,
  20676992,
  20131712,
  19602432,
  19089024,
  18590080,
  18105344,
  17633664,
  17174400,
  16727424,
  16292608,
  15867648,
  15454080,
  15051520,
  14657408,
  14273792,
], [
  1001,
  955,
  915,
  877,
  841,
  807,
  775,
  747,
  719,
  693,
  669,
  647,
  625,
  603,
  585,
  567,
  549,
  533,
  517,
  501,
  487,
  473,
  461,
  449,
  437,
  425,
  415,
  403,
  393,
  385,
  375,
  367,
]);
const ROOT_FROM_2 = pairs([
  13896320,
  13171840,
  12480000,
  11817472,
  11183616,
  10574720,
  9990272,
  9428096,
  8887936,
  8367488,
  7864960,
  7380608,
  6912640,
  6460672,
  6023296,
  5600640,
  5190528,
  4792704,
  4407168,
  4033664,
  3670400,
  3317504,
  2974208,
  2640896,
  2316544,
  2000512,
  1692544,
  1392384,
  1100416,
  814720,
  536576,
  264960,
], [
  707,
  675,
  647,
  619,
  595,
  571,
  549,
  527,
  509,
  491,
  473,
  457,
  441,
  427,
  413,
  401,
  389,
  377,
  365,
  355,
  345,
  335,
  325,
  317,
  309,
  301,
  293,
  285,
  279,
  271,
  265,
  259,
]);

/** The line of interval `n`, as start << 16 | fall. */
function lineOf(lines: Lines, n: I32): I64 {
  if (lines.length === 1) return I64.of(BigInt(lines[0][0]) << 16n | BigInt(lines[0][1]));
  const half = lines.length / 2;
  return n.and(half).select(lineOf(lines.slice(half), n), lineOf(lines.slice(0, half), n));
}

/** The fraction, 16 bits, of the result for step `at` of all of the intervals' steps. */
function onLine(f: FunctionBuilder, lines: Lines, at: I32): I64 {
  const line = f.let(lineOf(lines, f.let(at.shr_u(10))));
  const fall = line.and(0xffff).mul(at.and(1023).extend_u());
  return f.let(line.shr_u(16).sub(fall).shr_u(9));
}

/** A result of exponent `exp` (biased, at most that of infinity) and a 16-bit fraction. */
function pack(f: FunctionBuilder, t: Format, cpu: I32, sign: I64, exp: I32, fraction: I64): void {
  f.if(exp.ge_s(t.top), () => f.return(sign.or(t.infinity)));
  const wide = f.let(fraction.shl(t.frac - 16));
  f.if(exp.gt_s(0), () => f.return(sign.or(exp.extend_u().shl(t.frac)).or(wide)));
  f.if(mxcsr(cpu).and(Mx.FTZ).ne(0), () => f.return(sign));
  f.return(sign.or(wide.or(t.min).shr_u(I64.of(1).sub(exp.extend_s()))));
}

/** (cpu, x) → about 1 ⁄ x. */
export const evexReciprocal = both((s, t) =>
  library(`evexReciprocal${s}`, { params: ["i32", "i64"], results: ["i64"] }, (f) => {
    const cpu = f.param(0, "i32"), x = flushInput(f, t, cpu, f.param(1, "i64"));
    const sign = f.let(x.and(t.sign));
    f.if(isNan(t, x), () => f.return(x.or(t.quiet)));
    f.if(isZero(t, x), () => f.return(sign.or(t.infinity)));
    f.if(isInfinity(t, x), () => f.return(sign));
    const { exp, sig } = unpack(f, t, x);
    const fraction = f.let(sig.and((1n << 62n) - 1n));
    // Powers of two are exact.
    f.if(fraction.eqz(), () => {
      pack(f, t, cpu, sign, f.let(I32.of(2 * t.bias).sub(exp)), I64.of(0));
    });
    const step = f.let(fraction.shr_u(46).wrap());
    pack(f, t, cpu, sign, f.let(I32.of(2 * t.bias - 1).sub(exp)), onLine(f, RECIPROCAL, step));
  })
);

/** (cpu, x) → about 1 ⁄ √x. */
export const evexReciprocalRoot = both((s, t) =>
  library(`evexReciprocalRoot${s}`, { params: ["i32", "i64"], results: ["i64"] }, (f) => {
    const cpu = f.param(0, "i32"), x = flushInput(f, t, cpu, f.param(1, "i64"));
    f.if(isNan(t, x), () => f.return(x.or(t.quiet)));
    f.if(isZero(t, x), () => f.return(x.and(t.sign).or(t.infinity)));
    f.if(signOf(t, x), () => f.return(I64.of(t.nan)));
    f.if(isInfinity(t, x), () => f.return(I64.of(0)));
    const { exp, sig } = unpack(f, t, x);
    const fraction = f.let(sig.and((1n << 62n) - 1n));
    const e = f.let(exp.sub(t.bias)), odd = f.let(e.and(1)), half = f.let(e.sub(odd).shr_s(1));
    f.if(fraction.eqz().and(odd.eqz()), () => {
      pack(f, t, cpu, I64.of(0), f.let(I32.of(t.bias).sub(half)), I64.of(0));
    });
    const step = f.let(fraction.shr_u(47).wrap());
    const r = var64(f, I64.of(0));
    f.if(
      odd,
      () => r.set(onLine(f, ROOT_FROM_2, step)),
      () => r.set(onLine(f, ROOT_FROM_1, step)),
    );
    pack(f, t, cpu, I64.of(0), f.let(I32.of(t.bias - 1).sub(half)), r.get());
  })
);
