/**
 * Elementary functions in fixed point with big integers, to some ninety significant bits at least: what
 * the x87's transcendental instructions round. Values are integers scaled by 2^-P; every function keeps
 * its relative precision for arguments down to 2^-70.
 */

/** Fraction bits. */
export const P = 160;
const WIDE = BigInt(P);
export const UNIT = 1n << WIDE;

const mul = (a: bigint, b: bigint): bigint => (a * b) >> WIDE;
const div = (a: bigint, b: bigint): bigint => (a << WIDE) / b;

/** m × 2^e in fixed point; what is below the last bit is cut off. */
export function fixed(m: bigint, e: number): bigint {
  const shift = e + P;
  return shift >= 0 ? m << BigInt(shift) : m >> BigInt(-shift);
}

/** 2 atanh(s) for small s. */
function log1pBy(s: bigint): bigint {
  const square = mul(s, s);
  let sum = 0n, power = s;
  for (let n = 1n; power !== 0n && power !== -1n; n += 2n) {
    sum += power / n;
    power = mul(power, square);
  }
  return 2n * sum;
}

/** ln(1 + r), |r| at most 1/2; fast for small r. */
export function log1p(r: bigint): bigint {
  return log1pBy(div(r, 2n * UNIT + r));
}

/** atan(s), |s| at most 1/2; fast for small s. */
function atanSeries(s: bigint): bigint {
  const square = mul(s, s);
  let sum = 0n, power = s;
  for (let n = 1n; power !== 0n && power !== -1n; n += 2n) {
    sum += (n & 2n) === 0n ? power / n : -(power / n);
    power = mul(power, square);
  }
  return sum;
}

/** π in fixed point, by Machin's formula. */
export const PI = 16n * atanSeries(UNIT / 5n) - 4n * atanSeries(UNIT / 239n);
/** ln 2 = 2 atanh(1/3), and its reciprocal. */
export const LN2 = log1pBy(UNIT / 3n);
export const LOG2E = div(UNIT, LN2);

/** Number of bits of a positive integer. */
export function bitLength(v: bigint): number {
  const hex = v.toString(16);
  return 4 * hex.length + 28 - Math.clz32(parseInt(hex[0], 16));
}

/** Values by small integers, computed when first asked for. */
function cached<T>(make: (k: number) => T): (k: number) => T {
  const known = new Map<number, T>();
  return (k) => {
    let v = known.get(k);
    if (v === undefined) known.set(k, v = make(k));
    return v;
  };
}

/** e^t, |t| at most 1/2; fast for small t. Without the leading 1. */
function expm1Series(t: bigint): bigint {
  let sum = 0n, term = t;
  for (let n = 2n; term !== 0n && term !== -1n; n++) {
    sum += term;
    term = mul(term, t) / n;
  }
  return sum;
}

/** 2^(k/256). */
const exp2Table = cached((k) => UNIT + expm1Series((LN2 * BigInt(k)) / 256n));

/** 2^x - 1, |x| at most 1. */
export function exp2m1(x: bigint): bigint {
  const k = Number((x + UNIT / 512n) >> (WIDE - 8n));
  const rest = expm1Series(mul(x - (BigInt(k) << (WIDE - 8n)), LN2));
  if (k === 0) return rest;
  // Above 1/2 the table's entry is that of the half, squared.
  const whole = Math.abs(k) > 128 ? mul(exp2Table(k >> 1), exp2Table(k - (k >> 1))) : exp2Table(k);
  return mul(whole, rest) + whole - UNIT;
}

/** -ln(k/128) for 64 < k <= 128·√2. */
const logTable = cached((k) => {
  const half = log1p((BigInt(k - 128) << WIDE) / 128n);
  return -half;
});

/** ln(m), m from 1/√2 to √2. */
export function ln(m: bigint): bigint {
  const d = m - UNIT;
  if (d < UNIT / 64n && d > -UNIT / 64n) return log1p(d);
  // c = k/128 is about 1/m.
  const k = Number((128n * UNIT + m / 2n) / m);
  return log1p((m * BigInt(k)) / 128n - UNIT) + logTable(k);
}

const atanTable = cached((k) => {
  // atan(c) = 2 atan(c / (1 + √(1 + c²))), which halves the argument of the series.
  const c = (BigInt(k) << WIDE) / 128n;
  return 2n * atanSeries(div(c, UNIT + sqrt(UNIT + mul(c, c))));
});

function sqrt(v: bigint): bigint {
  const n = v << WIDE;
  let x = BigInt(Math.floor(Math.sqrt(Number(v >> (WIDE - 60n))) * 2 ** 23)) << (WIDE - 53n);
  for (let i = 0; i < 4; i++) x = (x + n / x) >> 1n;
  return x;
}

/** atan(q), 0 <= q <= 1. */
export function atan(q: bigint): bigint {
  const k = Number((q * 128n + UNIT / 2n) >> WIDE);
  if (k === 0) return atanSeries(q);
  const c = (BigInt(k) << WIDE) / 128n;
  return atanTable(k) + atanSeries(div(q - c, UNIT + mul(q, c)));
}

function sinCosSeries(s: bigint): { sin: bigint; cos: bigint } {
  let sin = 0n, cos = UNIT, term = s;
  for (let n = 2n; term !== 0n && term !== -1n; n += 2n) {
    sin += (n & 2n) !== 0n ? term : -term;
    const even = mul(term, s) / n;
    cos += (n & 2n) !== 0n ? -even : even;
    term = mul(even, s) / (n + 1n);
  }
  return { sin, cos };
}
const sinCosTable = cached((k) => sinCosSeries((BigInt(k) << WIDE) / 128n));

/** Sine and cosine of r, |r| at most 1. */
export function sinCos(r: bigint): { sin: bigint; cos: bigint } {
  const k = Number((r * 128n + UNIT / 2n) >> WIDE);
  const s = sinCosSeries(r - (BigInt(k) << WIDE) / 128n);
  if (k === 0) return s;
  const c = sinCosTable(k);
  return {
    sin: mul(c.sin, s.cos) + mul(c.cos, s.sin),
    cos: mul(c.cos, s.cos) - mul(c.sin, s.sin),
  };
}

/** The processor's π, of 66 bits, times 2^66. Intel SDM volume 1, section 8.3.8. */
const PI66 = 0xc90fdaa22168c234cn;

/**
 * Reduces m × 2^e (m > 0, below 2^63) by multiples of half the processor's π: the quadrant and the
 * remainder from -π/4 to π/4, as r × 2^at, exactly.
 */
export function reduce(m: bigint, e: number): { quadrant: number; r: bigint; at: number } {
  // Units of 2^-67 at most, in which π/2 is PI66.
  const at = Math.min(e, -67);
  const x = m << BigInt(e - at), half = PI66 << BigInt(-67 - at);
  const q = (2n * x + half) / (2n * half);
  return { quadrant: Number(q & 3n), r: x - q * half, at };
}
