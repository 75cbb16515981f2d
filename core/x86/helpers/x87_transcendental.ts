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

/** A result before rounding: ±m × 2^e, `exact` when nothing is left out. */
interface Real {
  readonly negative: boolean;
  readonly m: bigint;
  readonly e: number;
  readonly exact?: boolean;
}

/** A fixed-point number as a result; zero never comes here. */
function real(v: bigint): Real {
  return v < 0n ? { negative: true, m: -v, e: -M.P } : { negative: false, m: v, e: -M.P };
}

const infinity = (negative: boolean): Ext => ({ h: negative ? 0xffff : 0x7fff, l: INTEGER });
const zero = (negative: boolean): Ext => ({ h: negative ? 0x8000 : 0, l: 0n });
const isNegative = (v: Ext): boolean => v.h >= 0x8000;

function rounded(cpu: Cpu, r: Real): Ext {
  return round(cpu, r.negative, r.m, r.e, !r.exact);
}

/** Exponent of the leading bit of a finite, non-zero operand. */
function magnitude(v: Ext): number {
  const u = unpack(v);
  return u.e + u.m.toString(2).length - 1;
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
type Outcome = Ext | Real | typeof INVALID | typeof DIVIDE;

/** Signed fixed-point value of an operand of magnitude below 2^64. */
function toFixed(v: Ext): bigint {
  const u = unpack(v), f = M.fixed(u.m, u.e);
  return u.negative ? -f : f;
}

/** Stores an outcome in ST(i); false when an unmasked exception suppresses it. */
function finish(cpu: Cpu, i: number, o: Outcome, divideSign = false): boolean {
  if (o === INVALID) {
    if (raise(cpu, Sw.IE)) return false;
    setSt(cpu, i, DEFAULT_NAN);
  } else if (o === DIVIDE) {
    if (raise(cpu, Sw.ZE)) return false;
    setSt(cpu, i, infinity(divideSign));
  } else setSt(cpu, i, "h" in o ? o : rounded(cpu, o));
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
    // Exactly ±1 is allowed; the processor leaves what is beyond alone.
    if (m !== INTEGER || top > 0) return v;
    return negative ? { h: 0xbffe, l: INTEGER } : v;
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

/** The argument in the processor's terms. */
function trig(kind: Trig, v: Ext): Outcome {
  if (isZero(v)) return kind === "cos" ? ONE : v;
  const top = magnitude(v), { negative, m, e } = unpack(v);
  if (top < -70) {
    return kind === "cos"
      ? nearly(false, 1n, 0, false)
      : nearly(negative, m, e, kind === "tan");
  }
  const { quadrant, r, at } = M.reduce(m, e);
  const { sin, cos } = M.sinCos(M.fixed(r, at));
  const s = quadrant & 1 ? cos : sin, c = quadrant & 1 ? -sin : cos;
  const turned = (quadrant & 2) !== 0;
  let value: bigint;
  if (kind === "cos") value = turned ? -c : c;
  else {
    value = kind === "sin" ? (turned ? -s : s) : (s << BigInt(M.P)) / c;
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
    exact: log.exact,
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
  const top = magnitude(x), { m, e } = unpack(x);
  // x = 2^k × f, f from 1/√2 to √2.
  const bits = m.toString(2).length;
  const power = m === 1n << BigInt(bits - 1);
  if (isInfinity(y)) {
    if (power && top === 0) return INVALID;
    return infinity(isNegative(y) !== top < 0);
  }
  if (power && top === 0) return zero(isNegative(y));
  if (isZero(y)) return zero(isNegative(y) !== top < 0);
  if (power) {
    const k = BigInt(top);
    return times(y, { negative: k < 0n, m: k < 0n ? -k : k, e: 0, exact: true });
  }
  let k = top, f = M.fixed(m, e - top);
  if (f * f > 2n * M.UNIT * M.UNIT) {
    f >>= 1n;
    k++;
  }
  const log = M.ln(f);
  // k + ln f / ln 2, scaled so that a small logarithm keeps its bits.
  return times(y, real((BigInt(k) << BigInt(M.P)) + (log << BigInt(M.P)) / M.LN2));
});

binary("FYL2XP1", (_cpu, x, y) => {
  if (isZero(x)) {
    return isInfinity(y) ? INVALID : zero(isNegative(x) !== isNegative(y));
  }
  if (isInfinity(x)) return isNegative(x) ? INVALID : timesInfinity(y, false);
  const top = magnitude(x), { negative, m, e } = unpack(x);
  if (isInfinity(y)) return infinity(negative !== isNegative(y));
  if (isZero(y)) return zero(negative !== isNegative(y));
  if (top < -70) {
    // x / ln 2, a little less for positive x.
    const q = (m << BigInt(2 * M.P)) / M.LN2;
    return times(y, nearly(negative, q, e - M.P, negative));
  }
  const v = toFixed(x);
  if (v <= -M.UNIT) return INVALID;
  let k = 0, f = M.UNIT + v;
  while (f > M.UNIT + M.UNIT / 2n) {
    f >>= 1n;
    k++;
  }
  const log = k === 0 && v > -M.UNIT / 4n ? M.log1p(v) : M.log1p(f - M.UNIT);
  return times(y, real((BigInt(k) << BigInt(M.P)) + (log << BigInt(M.P)) / M.LN2));
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
  if (apart < -70 && !left) {
    // y / x, a little less.
    const q = (a.m << 200n) / b.m;
    return { ...nearly(false, q, a.e - b.e - 200, false), negative: sign };
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
