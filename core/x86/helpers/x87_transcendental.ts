/**
 * F2XM1, FYL2X, FYL2XP1, FPATAN, FSIN, FCOS, FSINCOS and FPTAN. Intel SDM volume 1, section 8.3.6 to
 * 8.3.10, and volume 2 under their names, for special operands.
 */
import { type Cpu, defineHelper } from "../cpu.ts";
import { Sw } from "../semantics/softfloat.ts";
import * as S from "../state.ts";
import {
  DEFAULT_NAN,
  type Ext,
  INTEGER,
  isDenormal,
  isEmpty,
  isInfinity,
  isZero,
  ONE,
  pop,
  propagate,
  push,
  raise,
  round,
  setC1,
  setSt,
  st,
  stackFault,
  unpack,
} from "./x87.ts";
import * as M from "./x87_math.ts";

/** A result before rounding: ±m × 2^e and something below its last bit. */
interface Real {
  readonly negative: boolean;
  readonly m: bigint;
  readonly e: number;
  /** It is m × 2^e, but said to be inexact. */
  readonly quotient?: boolean;
}

/** A fixed-point number as a result; zero never comes here. */
function real(v: bigint): Real {
  return v < 0n ? { negative: true, m: -v, e: -M.P } : { negative: false, m: v, e: -M.P };
}

const infinity = (negative: boolean): Ext => ({ h: negative ? 0xffff : 0x7fff, l: INTEGER });
const zero = (negative: boolean): Ext => ({ h: negative ? 0x8000 : 0, l: 0n });
const isNegative = (v: Ext): boolean => v.h >= 0x8000;

function rounded(cpu: Cpu, r: Real, inexact = true): Ext {
  return round(cpu, r.negative, r.m, r.e, inexact);
}

/** Exponent of the leading bit of a finite, non-zero operand. */
function magnitude(v: Ext): number {
  const exp = v.h & 0x7fff;
  return exp !== 0 ? exp - 0x3fff : M.bitLength(v.l) - 16446;
}

/**
 * A value below 2^-70 whose function is its argument times 1 ± something negligible: enough bits that
 * the tail decides roundings only. `grows`: the function is larger than its argument.
 */
function nearly(negative: boolean, m: bigint, e: number, grows: boolean): Real {
  const wide = m << 128n;
  return { negative, m: grows ? wide + 1n : wide - 1n, e: e - 128 };
}

const INVALID = "invalid", DIVIDE = "divide";
/** A result that is said to be inexact although nothing is rounded. */
interface Kept {
  readonly kept: Ext;
}
type Outcome = Ext | Real | Kept | typeof INVALID | typeof DIVIDE;

/** Signed fixed-point value of an operand of magnitude below 2^64. */
function toFixed(v: Ext): bigint {
  const u = unpack(v), f = M.fixed(u.m, u.e);
  return u.negative ? -f : f;
}

/** A denormal handed back unchanged is an underflow all the same. */
function kept(cpu: Cpu, v: Ext): Ext {
  if (isDenormal(v)) {
    const r = rounded(cpu, { ...unpack(v) }, false);
    raise(cpu, v.l < INTEGER ? Sw.UE | Sw.PE : Sw.PE);
    return r;
  }
  raise(cpu, Sw.PE);
  return v;
}

/** Stores an outcome in ST(i); false when an unmasked exception suppresses it. */
function finish(cpu: Cpu, i: number, o: Outcome, divideSign = false): boolean {
  if (o === INVALID) {
    if (raise(cpu, Sw.IE)) return false;
    setSt(cpu, i, DEFAULT_NAN);
  } else if (o === DIVIDE) {
    if (raise(cpu, Sw.ZE)) return false;
    setSt(cpu, i, infinity(divideSign));
  } else if ("kept" in o) {
    setSt(cpu, i, kept(cpu, o.kept));
  } else if ("h" in o) setSt(cpu, i, o);
  else {
    const v = rounded(cpu, o, !o.quotient);
    setSt(cpu, i, v);
    if (o.quotient) raise(cpu, isDenormal(v) ? Sw.UE | Sw.PE : Sw.PE);
  }
  return true;
}

// ---- one operand

function f2xm1(v: Ext): Outcome {
  if (isInfinity(v)) return isNegative(v) ? { h: 0xbfff, l: INTEGER } : v;
  if (isZero(v)) return v;
  const top = magnitude(v), { negative, m, e } = unpack(v);
  if (top < -70) {
    // x ln 2: the next term is too small to matter.
    return nearly(negative, m * M.LN2, e - M.P, !negative);
  }
  if (top >= 0) {
    // Beyond ±1 the processor changes nothing but reports an inexact result.
    const half = top === 0 && m === INTEGER && negative;
    return { kept: half ? { h: 0xbffe, l: INTEGER } : v };
  }
  return real(M.exp2m1(toFixed(v)));
}

defineHelper("F2XM1", (cpu) => {
  if (isEmpty(cpu, 0)) return void (stackFault(cpu, false) || setSt(cpu, 0, DEFAULT_NAN));
  setC1(cpu, false);
  const v = st(cpu, 0), nan = propagate(cpu, v);
  if (nan !== undefined) return void (nan === "none" || setSt(cpu, 0, nan));
  if (isDenormal(v) && raise(cpu, Sw.DE)) return;
  finish(cpu, 0, f2xm1(v));
});

type Trig = "sin" | "cos" | "tan";

/** The argument of the last sine or cosine, and both: FSINCOS, or FSIN and FCOS, ask for each. */
const last = { m: 0n, e: 0, sin: 0n, cos: M.UNIT };

/** Sine and cosine of m × 2^e in fixed point. */
function sinCosOf(m: bigint, e: number): { readonly sin: bigint; readonly cos: bigint } {
  if (m === last.m && e === last.e) return last;
  const { quadrant, r, at } = M.reduce(m, e);
  const { sin, cos } = M.sinCos(M.fixed(r, at));
  const s = quadrant & 1 ? cos : sin, c = quadrant & 1 ? -sin : cos;
  last.m = m;
  last.e = e;
  last.sin = quadrant & 2 ? -s : s;
  last.cos = quadrant & 2 ? -c : c;
  return last;
}

function trig(kind: Trig, v: Ext): Outcome {
  if (isZero(v)) return kind === "cos" ? ONE : v;
  const top = magnitude(v), { negative, m, e } = unpack(v);
  if (top < -68) return { kept: kind === "cos" ? ONE : v };
  const { sin, cos } = sinCosOf(m, e);
  let value: bigint;
  if (kind === "cos") value = cos;
  else {
    value = kind === "sin" ? sin : (sin << BigInt(M.P)) / cos;
    if (negative) value = -value;
  }
  return real(value);
}

/**
 * Runs a trigonometric instruction of one or two results, the second of which is pushed.
 * C2: the argument is out of range and stays.
 */
function trigonometric(name: string, first: Trig, second: ((v: Ext) => Outcome) | undefined): void {
  defineHelper(name, (cpu) => {
    setC1(cpu, false);
    cpu.set32(S.FSW, cpu.get32(S.FSW) & ~Sw.C2);
    const under = isEmpty(cpu, 0), over = second !== undefined && !isEmpty(cpu, 7);
    if (under || over) {
      if (stackFault(cpu, !under)) return;
      setSt(cpu, 0, DEFAULT_NAN);
      if (second) push(cpu, DEFAULT_NAN);
      return;
    }
    const v = st(cpu, 0), nan = propagate(cpu, v);
    if (nan === "none") return;
    let result: Outcome;
    let pushed: Outcome | undefined;
    if (nan !== undefined) {
      result = nan;
      if (second) pushed = nan;
    } else if (isInfinity(v)) {
      if (raise(cpu, Sw.IE)) return;
      result = DEFAULT_NAN;
      if (second) pushed = DEFAULT_NAN;
    } else {
      if ((v.h & 0x7fff) >= 0x3fff + 63) {
        cpu.set32(S.FSW, cpu.get32(S.FSW) | Sw.C2);
        return;
      }
      if (isDenormal(v) && raise(cpu, Sw.DE)) return;
      result = trig(first, v);
      pushed = second?.(v);
    }
    finish(cpu, 0, result);
    if (pushed === undefined) return;
    push(cpu, v);
    finish(cpu, 0, pushed);
  });
}
trigonometric("FSIN", "sin", undefined);
trigonometric("FCOS", "cos", undefined);
trigonometric("FSINCOS", "sin", (v) => trig("cos", v));
trigonometric("FPTAN", "tan", () => ONE);

// ---- two operands, the result in ST(1) after a pop

function binary(
  name: string,
  f: (cpu: Cpu, x: Ext, y: Ext) => Outcome,
): void {
  defineHelper(name, (cpu) => {
    if (isEmpty(cpu, 0) || isEmpty(cpu, 1)) {
      if (stackFault(cpu, false)) return;
      setSt(cpu, 1, DEFAULT_NAN);
      return pop(cpu);
    }
    setC1(cpu, false);
    const x = st(cpu, 0), y = st(cpu, 1), nan = propagate(cpu, x, y);
    if (nan !== undefined) {
      if (nan === "none") return;
      setSt(cpu, 1, nan);
      return pop(cpu);
    }
    const o = f(cpu, x, y);
    if (typeof o === "object" && (isDenormal(x) || isDenormal(y)) && raise(cpu, Sw.DE)) return;
    // A logarithm of zero is minus infinity.
    if (finish(cpu, 1, o, !isNegative(y))) pop(cpu);
  });
}

/** y × log, where log = ±m × 2^e. */
function times(y: Ext, log: Real): Real {
  const u = unpack(y);
  return {
    negative: u.negative !== log.negative,
    m: u.m * log.m,
    e: u.e + log.e,
  };
}

/** y × a logarithm that is infinite. */
function timesInfinity(y: Ext, negative: boolean): Outcome {
  return isZero(y) ? INVALID : infinity(isNegative(y) !== negative);
}

binary("FYL2X", (_cpu, x, y) => {
  if (isZero(x)) {
    if (isZero(y)) return INVALID;
    return isInfinity(y) ? infinity(!isNegative(y)) : DIVIDE;
  }
  if (isNegative(x)) return INVALID;
  if (isInfinity(x)) return timesInfinity(y, false);
  const { m, e } = unpack(x);
  const k = magnitude(x), f = M.fixed(m, e - k);
  if (f === M.UNIT && k === 0) return isInfinity(y) ? INVALID : zero(isNegative(y));
  if (isInfinity(y)) return infinity(isNegative(y) !== k < 0);
  if (isZero(y)) return zero(isNegative(y) !== k < 0);
  return times(y, log2(k, f));
});

/** log2(2^k × f), f from 1 below 2; the argument is not 1. */
function log2(k: number, f: bigint): Real {
  // The processor's logarithm of a power of two is a trifle above the integer.
  if (f === M.UNIT) return nearly(k < 0, BigInt(Math.abs(k)), 0, k > 0);
  if (f * f > 2n * M.UNIT * M.UNIT) {
    f >>= 1n;
    k++;
  }
  return real((BigInt(k) << BigInt(M.P)) + ((M.ln(f) * M.LOG2E) >> BigInt(M.P)));
}

binary("FYL2XP1", (_cpu, x, y) => {
  if (isZero(x)) {
    return isInfinity(y) ? INVALID : zero(isNegative(x) !== isNegative(y));
  }
  if (isInfinity(x)) return isNegative(x) ? INVALID : timesInfinity(y, false);
  const top = magnitude(x), { negative, m, e } = unpack(x);
  if (isInfinity(y)) return infinity(negative !== isNegative(y));
  if (isZero(y)) return zero(negative !== isNegative(y));
  // From -1 down the processor hands back its argument.
  if (negative && top >= 0) return { kept: x };
  if (top < -70) {
    // x / ln 2, a little less for positive x.
    const q = (m << BigInt(2 * M.P)) / M.LN2;
    return times(y, nearly(negative, q, e - M.P, negative));
  }
  if (top > 128) return times(y, log2(top, M.fixed(m, e - top)));
  const sum = M.UNIT + toFixed(x);
  const k = M.bitLength(sum) - 1 - M.P;
  return times(y, log2(k, k < 0 ? sum << BigInt(-k) : sum >> BigInt(k)));
});

/** π × n/4 with the sign of y. */
function angle(y: Ext, quarters: number): Real {
  return { ...real((M.PI * BigInt(quarters)) / 4n), negative: isNegative(y) };
}

binary("FPATAN", (_cpu, x, y) => {
  const left = isNegative(x);
  if (isInfinity(x)) {
    if (isInfinity(y)) return angle(y, left ? 3 : 1);
    return left ? angle(y, 4) : zero(isNegative(y));
  }
  if (isInfinity(y)) return angle(y, 2);
  if (isZero(y)) return left ? angle(y, 4) : y;
  if (isZero(x)) return angle(y, 2);
  const a = unpack(y), b = unpack(x), sign = isNegative(y);
  const apart = magnitude(y) - magnitude(x);
  if (apart < -40 && !left) {
    // The quotient itself, rounded as a division.
    const q = (a.m << 200n) / b.m, exact = q * b.m === a.m << 200n;
    return {
      negative: sign,
      m: exact ? q : (q << 1n) + 1n,
      e: a.e - b.e - (exact ? 200 : 201),
      quotient: true,
    };
  }
  const signed = (v: bigint): Real => ({ ...real(v), negative: sign });
  if (apart > 100) return signed(M.PI / 2n + (left ? 1n : -1n));
  if (apart < -100) return signed(M.PI - 1n);
  // Both in units small enough for either.
  const unit = Math.min(a.e, b.e);
  const ny = a.m << BigInt(a.e - unit), nx = b.m << BigInt(b.e - unit);
  const steep = ny > nx;
  const q = ((steep ? nx : ny) << BigInt(M.P)) / (steep ? ny : nx);
  let v = M.atan(q);
  if (steep) v = M.PI / 2n - v;
  return signed(left ? M.PI - v : v);
});
