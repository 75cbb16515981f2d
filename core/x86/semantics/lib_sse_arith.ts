/** SSE addition, multiplication, division and square root on bit patterns. See `lib_sse.ts`. */
import { F32, F64, I32, I64, V128 } from "../../wasm/expr.ts";
import { call, type Callee, type FunctionBuilder } from "../../wasm/func.ts";
import { library } from "../library.ts";
import {
  exponentOf,
  flushInput,
  type Format,
  FORMATS,
  isInfinity,
  isZero,
  magnitude,
  Mx,
  mxcsr,
  noteDenormal,
  raise,
  returnInvalid,
  returnNan,
  round,
  roundingControl,
  shiftRightJam,
  signBit,
  signOf,
  type Suffix,
  unpack,
} from "./lib_sse.ts";
import { divWide, mulWide, shiftJam, var32, var64 } from "./softfloat.ts";

export type ArithOp = "add" | "sub" | "mul" | "div";

/** Rounding to nearest, #P masked and its flag set: what native arithmetic leaves nothing to do for. */
export const PLAIN_MASK = Mx.RC | Mx.PM | Mx.PE;
export const PLAIN = Mx.PM | Mx.PE;

/** The operation in native floating point, on bit patterns. */
export function nativeScalar(t: Format, op: ArithOp | "sqrt", a: I64, b: I64): I64 {
  if (t.bits === 64) {
    const x = a.f64();
    return (op === "sqrt" ? b.f64().sqrt() : x[op](b.f64())).bits();
  }
  const x = a.wrap().f32(), y = b.wrap().f32();
  return (op === "sqrt" ? y.sqrt() : x[op](y)).bits().extend_u();
}

/** Whether a magnitude is that of a normal number. */
const isNormal = (t: Format, x: I64): I32 => magnitude(t, x).sub(t.min).lt_u(t.infinity - t.min);
const isNormalOrZero = (t: Format, x: I64): I32 => isZero(t, x).or(isNormal(t, x));

/** Whether the native result `r` is exact; operands and result are normal. False negatives are allowed. */
function isExact(t: Format, op: ArithOp, a: I64, b: I64, r: I64): I32 {
  const num = (x: I64) => t.bits === 64 ? x.f64() : x.wrap().f32();
  switch (op) {
    case "add":
    case "sub": {
      // Knuth's two-sum: what rounding has taken away.
      const x = num(a), y = op === "sub" ? num(b).neg() : num(b), sum = num(r);
      const part = sum.sub(x as never);
      const rest = x.sub(sum.sub(part as never) as never).add(y.sub(part as never) as never);
      return rest.eq((t.bits === 64 ? F64.of(0) : F32.of(0)) as never);
    }
    case "mul":
      return isExactProduct(t, a, b, r);
    default:
      return isExactProduct(t, r, b, a);
  }
}

/** Whether the exact product of `x` and `y` is `product`. */
function isExactProduct(t: Format, x: I64, y: I64, product: I64): I32 {
  if (t.bits === 32) {
    const wide = (v: I64) => v.wrap().f32().promote();
    return wide(x).mul(wide(y)).eq(wide(product));
  }
  // The significands without trailing zeros have no more than 53 bits together.
  const zeros = (v: I64) => v.or(t.min).ctz();
  return zeros(x).add(zeros(y)).ge_u(t.frac + 1).and(x.f64().mul(y.f64()).eq(product.f64()));
}

/** Leaves with the native result where it is known to be right and to raise nothing new. */
function quick(f: FunctionBuilder, t: Format, op: ArithOp, cpu: I32, a: I64, b: I64): void {
  f.if(
    mxcsr(cpu).and(Mx.RC).eqz().and(isNormalOrZero(t, a)).and(isNormalOrZero(t, b)),
    () => {
      const r = f.let(nativeScalar(t, op, a, b));
      const exactZero = op === "mul"
        ? isZero(t, a).or(isZero(t, b))
        : op === "div"
        ? isZero(t, a).and(isZero(t, b).eqz())
        : I32.of(1);
      f.if(isZero(t, r).and(exactZero), () => f.return(r));
      // The smallest normal number may be the rounding of a tiny one.
      f.if(isNormal(t, r).and(magnitude(t, r).ne(t.min)), () => {
        f.if(mxcsr(cpu).and(PLAIN_MASK).eq(PLAIN).or(isExact(t, op, a, b, r)), () => f.return(r));
      });
    },
  );
}

function addition(t: Format, op: "add" | "sub") {
  return (f: FunctionBuilder): void => {
    const cpu = f.param(0, "i32");
    quick(f, t, op, cpu, f.param(1, "i64"), f.param(2, "i64"));
    const a = flushInput(f, t, cpu, f.param(1, "i64"));
    const given = flushInput(f, t, cpu, f.param(2, "i64"));
    returnNan(f, t, cpu, a, given);
    const b = op === "sub" ? f.let(given.xor(t.sign)) : given;
    const sa = f.let(signOf(t, a)), sb = f.let(signOf(t, b));
    f.if(isInfinity(t, a).and(isInfinity(t, b)).and(sa.ne(sb)), () => returnInvalid(f, t, cpu));
    noteDenormal(f, t, cpu, a, b);
    f.if(isInfinity(t, a), () => f.return(a));
    f.if(isInfinity(t, b), () => f.return(b));
    // The sum of opposite numbers is −0 only when rounding down.
    const zero = f.let(
      sa.eq(sb).select(a.and(t.sign), signBit(t, roundingControl(cpu).eq(1))),
    );
    f.if(isZero(t, a).and(isZero(t, b)), () => f.return(zero));

    const field = (x: I64) => {
      const e = f.let(exponentOf(t, x));
      const normal = f.let(e.ne(0));
      const sig = x.and(t.min - 1n).or(normal.extend_u().shl(t.frac)).shl(62 - t.frac);
      return { exp: f.let(normal.select(e, I32.of(1))), sig: f.let(sig) };
    };
    const swap = f.let(magnitude(t, a).lt_u(magnitude(t, b)));
    const big = field(f.let(swap.select(b, a))), small = field(f.let(swap.select(a, b)));
    const sign = f.let(swap.select(sb, sa));
    const exp = var32(f, big.exp), sig = f.local("i64");
    const low = shiftRightJam(f, small.sig, f.let(big.exp.sub(small.exp)));
    f.if(sa.eq(sb), () => {
      sig.set(big.sig.add(low));
      f.if(sig.get().lt_s(0), () => {
        sig.set(shiftJam(f, sig.get(), I32.of(1)));
        exp.set(exp.get().add(1));
      });
    }, () => sig.set(big.sig.sub(low)));
    f.if(sig.get().eqz(), () => f.return(zero));
    const n = f.let(sig.get().clz().sub(1));
    f.return(
      round(t, cpu, sign, f.let(exp.get().sub(n.wrap())), f.let(sig.get().shl(n))),
    );
  };
}

function multiplication(t: Format) {
  return (f: FunctionBuilder): void => {
    const cpu = f.param(0, "i32");
    quick(f, t, "mul", cpu, f.param(1, "i64"), f.param(2, "i64"));
    const a = flushInput(f, t, cpu, f.param(1, "i64"));
    const b = flushInput(f, t, cpu, f.param(2, "i64"));
    returnNan(f, t, cpu, a, b);
    const sign = f.let(signOf(t, a).xor(signOf(t, b)));
    const zero = f.let(isZero(t, a).or(isZero(t, b)));
    const infinite = f.let(isInfinity(t, a).or(isInfinity(t, b)));
    f.if(zero.and(infinite), () => returnInvalid(f, t, cpu));
    noteDenormal(f, t, cpu, a, b);
    f.if(infinite, () => f.return(signBit(t, sign).or(t.infinity)));
    f.if(zero, () => f.return(signBit(t, sign)));
    const x = unpack(f, t, a), y = unpack(f, t, b);
    const product = mulWide(f, f.let(x.sig.shl(1)), f.let(y.sig.shl(1)));
    const exp = var32(f, x.exp.add(y.exp).sub(t.bias));
    const sig = var64(f, product.hi.or(product.lo.ne(0).extend_u()));
    f.if(sig.get().lt_s(0), () => {
      sig.set(shiftJam(f, sig.get(), I32.of(1)));
      exp.set(exp.get().add(1));
    });
    f.return(round(t, cpu, sign, exp.get(), sig.get()));
  };
}

function division(t: Format) {
  return (f: FunctionBuilder): void => {
    const cpu = f.param(0, "i32");
    quick(f, t, "div", cpu, f.param(1, "i64"), f.param(2, "i64"));
    const a = flushInput(f, t, cpu, f.param(1, "i64"));
    const b = flushInput(f, t, cpu, f.param(2, "i64"));
    returnNan(f, t, cpu, a, b);
    const sign = f.let(signOf(t, a).xor(signOf(t, b)));
    const zeroA = f.let(isZero(t, a)), zeroB = f.let(isZero(t, b));
    const infA = f.let(isInfinity(t, a)), infB = f.let(isInfinity(t, b));
    f.if(zeroA.and(zeroB).or(infA.and(infB)), () => returnInvalid(f, t, cpu));
    f.if(zeroB, () => {
      f.if(infA.eqz(), () => raise(f, cpu, Mx.ZE));
      f.return(signBit(t, sign).or(t.infinity));
    });
    noteDenormal(f, t, cpu, a, b);
    f.if(infA, () => f.return(signBit(t, sign).or(t.infinity)));
    f.if(infB.or(zeroA), () => f.return(signBit(t, sign)));
    const x = unpack(f, t, a), y = unpack(f, t, b);
    const { q, r } = divWide(f, x.sig, I64.of(0), f.let(y.sig.shl(1)));
    const exp = var32(f, x.exp.sub(y.exp).add(t.bias - 1));
    const sig = var64(f, q.or(r.ne(0).extend_u()));
    f.if(sig.get().lt_s(0), () => {
      sig.set(shiftJam(f, sig.get(), I32.of(1)));
      exp.set(exp.get().add(1));
    });
    f.return(round(t, cpu, sign, exp.get(), sig.get()));
  };
}

function squareRoot(t: Format) {
  return (f: FunctionBuilder): void => {
    const cpu = f.param(0, "i32");
    const a = flushInput(f, t, cpu, f.param(1, "i64"));
    f.if(
      isNormal(t, a).and(signOf(t, a).eqz()).and(mxcsr(cpu).and(PLAIN_MASK).eq(PLAIN)),
      () => f.return(nativeScalar(t, "sqrt", a, a)),
    );
    returnNan(f, t, cpu, a);
    f.if(isZero(t, a), () => f.return(a));
    f.if(signOf(t, a), () => returnInvalid(f, t, cpu));
    noteDenormal(f, t, cpu, a);
    f.if(isInfinity(t, a), () => f.return(a));
    const x = unpack(f, t, a);
    // a = m × 2^2k with m from 1 to 4, as an integer scaled by 2^52.
    const odd = f.let(x.exp.sub(t.bias).and(1));
    const k = f.let(x.exp.sub(t.bias).sub(odd).shr_s(1));
    const m = f.let(x.sig.shr_u(10).shl(odd.extend_u()));
    // The root scaled by 2^54; the native one is off by a few units at most.
    const root = var64(f, m.toF64_s().sqrt().mul(F64.of(2 ** 28)).toI64_sat_s());
    const rest = var64(f, m.shl(56).sub(root.get().mul(root.get())));
    f.block((done) =>
      f.loop((again) => {
        f.brIf(done, rest.get().ge_s(0));
        root.set(root.get().sub(1));
        rest.set(rest.get().add(root.get().shl(1)).add(1));
        f.br(again);
      })
    );
    f.block((done) =>
      f.loop((again) => {
        f.brIf(done, rest.get().le_s(root.get().shl(1)));
        rest.set(rest.get().sub(root.get().shl(1)).sub(1));
        root.set(root.get().add(1));
        f.br(again);
      })
    );
    f.return(
      round(
        t,
        cpu,
        I32.of(0),
        f.let(k.add(t.bias)),
        root.get().shl(8).or(rest.get().ne(0).extend_u()),
      ),
    );
  };
}

const BINARY: Callee["type"] = { params: ["i32", "i64", "i64"], results: ["i64"] };
const UNARY: Callee["type"] = { params: ["i32", "i64"], results: ["i64"] };

function both(make: (s: Suffix, t: Format) => Callee): Record<Suffix, Callee> {
  const out: Partial<Record<Suffix, Callee>> = {};
  for (const [s, t] of FORMATS) out[s] = make(s, t);
  return out as Record<Suffix, Callee>;
}

/** (cpu, a, b) → result, by format. */
export const sseArith: Record<ArithOp, Record<Suffix, Callee>> = {
  add: both((s, t) => library(`sseAdd${s}`, BINARY, addition(t, "add"))),
  sub: both((s, t) => library(`sseSub${s}`, BINARY, addition(t, "sub"))),
  mul: both((s, t) => library(`sseMul${s}`, BINARY, multiplication(t))),
  div: both((s, t) => library(`sseDiv${s}`, BINARY, division(t))),
};
/** (cpu, a) → square root. */
export const sseSqrt: Record<Suffix, Callee> = both((s, t) =>
  library(`sseSqrt${s}`, UNARY, squareRoot(t))
);

/** Lane `n` of a vector as a bit pattern, and back. */
export function lane(t: Format, v: V128, n: number): I64 {
  return t.bits === 64 ? v.lane64(n) : v.lane32(n).extend_u();
}
export function withLane(t: Format, v: V128, n: number, x: I64): V128 {
  return t.bits === 64 ? v.withLane("i64x2", n, x) : v.withLane("i32x4", n, x.wrap());
}

export const shapeOf = (t: Format): "f32x4" | "f64x2" => t.bits === 64 ? "f64x2" : "f32x4";

/** A vector with a constant in every lane of its format. */
export function splat(t: Format, bits: bigint): V128 {
  const half = t.bits === 64 ? bits : bits | bits << 32n;
  return V128.of(half, half);
}

/** Lanes that are zero or normal: all ones. */
function plainLanes(f: FunctionBuilder, t: Format, v: V128): V128 {
  const shape = shapeOf(t);
  const m = f.let(v.simd(`${shape}.abs`));
  return m.simd(`${shape}.ge`, splat(t, t.min)).simd(
    "v128.and",
    m.simd(`${shape}.le`, splat(t, t.infinity - 1n)),
  )
    .or(m.simd(`${shape}.eq`, V128.of(0n, 0n)));
}

/** All lanes one after the other, after a try with native arithmetic that allows for zeros. */
function packedArith(op: ArithOp, t: Format, scalar: Callee) {
  return (f: FunctionBuilder): void => {
    const cpu = f.param(0, "i32"), a = f.param(1, "v128"), b = f.param(2, "v128");
    const shape = shapeOf(t);
    f.if(mxcsr(cpu).and(PLAIN_MASK).eq(PLAIN), () => {
      const r = f.let(a.simd(`${shape}.${op}`, b));
      const zero = V128.of(0n, 0n);
      const isNull = (v: V128) => v.simd(`${shape}.eq`, zero);
      const size = f.let(r.simd(`${shape}.abs`));
      let exact = isNull(r);
      if (op === "mul") exact = exact.and(isNull(a).or(isNull(b)));
      if (op === "div") exact = exact.and(isNull(a).andnot(isNull(b)));
      const fine = size.simd(`${shape}.gt`, splat(t, t.min))
        .and(size.simd(`${shape}.le`, splat(t, t.infinity - 1n))).or(exact)
        .and(plainLanes(f, t, a)).and(plainLanes(f, t, b));
      f.if(fine.reduce("i32x4.all_true"), () => f.return(r));
    });
    f.return(eachLane(f, t, (x, y) => call(scalar, "i64", cpu, x, y), a, b));
  };
}

/** A vector of `op` on the lanes of `a` and `b`. */
export function eachLane(
  f: FunctionBuilder,
  t: Format,
  op: (x: I64, y: I64) => I64,
  a: V128,
  b: V128,
): V128 {
  let r: V128 = a;
  for (let n = 0; n < 128 / t.bits; n++) {
    r = f.let(withLane(t, r, n, f.let(op(lane(t, a, n), lane(t, b, n)))));
  }
  return r;
}

const VECTOR: Callee["type"] = { params: ["i32", "v128", "v128"], results: ["v128"] };

/** (cpu, a, b) → vector result. */
export const ssePacked: Record<ArithOp, Record<Suffix, Callee>> = Object.fromEntries(
  (["add", "sub", "mul", "div"] as const).map((op) => [
    op,
    both((s, t) => library(`ssePacked_${op}${s}`, VECTOR, packedArith(op, t, sseArith[op][s]))),
  ]),
) as Record<ArithOp, Record<Suffix, Callee>>;

/** (cpu, unused, b) → vector of square roots. */
export const ssePackedSqrt: Record<Suffix, Callee> = both((s, t) =>
  library(`ssePackedSqrt${s}`, VECTOR, (f) => {
    const cpu = f.param(0, "i32"), b = f.param(2, "v128");
    f.return(eachLane(f, t, (_, y) => call(sseSqrt[s], "i64", cpu, y), b, b));
  })
);
