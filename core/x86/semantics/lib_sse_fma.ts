/**
 * Fused multiply-add on bit patterns: the exact product, an exact sum, one rounding. See `lib_sse.ts`.
 * Intel SDM volume 1, chapter 14.5.
 */
import { type F64, I32, I64, type V128 } from "../../wasm/expr.ts";
import { call, type Callee, FunctionBuilder } from "../../wasm/func.ts";
import { ModuleBuilder } from "../../wasm/module.ts";
import { library } from "../library.ts";
import {
  flushInput,
  type Format,
  FORMATS,
  isDenormal,
  isInfinity,
  isNan,
  isSnan,
  isZero,
  Mx,
  raise,
  returnInvalid,
  round,
  roundingControl,
  signBit,
  signOf,
  type Suffix,
  unpack,
} from "./lib_sse.ts";
import { lane, shapeOf, withLane } from "./lib_sse_arith.ts";
import { mulWide, shiftJam128, var32, var64 } from "./softfloat.ts";

/** Signs that an operation turns: of the product, of the addend. */
export const Negate = { PRODUCT: 1, ADDEND: 2 } as const;

/** An exponent below that of any product. */
const FAR_BELOW = -100000;

function fused(t: Format) {
  return (f: FunctionBuilder): void => {
    const cpu = f.param(0, "i32"), negate = f.param(4, "i32");
    const a = flushInput(f, t, cpu, f.param(1, "i64"));
    const b = flushInput(f, t, cpu, f.param(2, "i64"));
    const c = flushInput(f, t, cpu, f.param(3, "i64"));
    f.if(isNan(t, a).or(isNan(t, b)).or(isNan(t, c)), () => {
      f.if(isSnan(t, a).or(isSnan(t, b)).or(isSnan(t, c)), () => raise(f, cpu, Mx.IE));
      f.return(isNan(t, a).select(a, isNan(t, b).select(b, c)).or(t.quiet));
    });
    const product = f.let(signOf(t, a).xor(signOf(t, b)).xor(negate.and(Negate.PRODUCT)));
    const addend = f.let(signOf(t, c).xor(negate.shr_u(1).and(1)));
    const infinite = f.let(isInfinity(t, a).or(isInfinity(t, b)));
    const zero = f.let(isZero(t, a).or(isZero(t, b)));
    f.if(infinite.and(zero.or(isInfinity(t, c).and(product.ne(addend)))), () => {
      returnInvalid(f, t, cpu);
    });
    const denormal = isDenormal(t, a).or(isDenormal(t, b)).or(isDenormal(t, c));
    f.if(denormal, () => raise(f, cpu, Mx.DE));
    f.if(infinite, () => f.return(signBit(t, product).or(t.infinity)));
    f.if(isInfinity(t, c), () => f.return(signBit(t, addend).or(t.infinity)));
    const down = f.let(roundingControl(cpu).eq(1));
    f.if(zero.and(isZero(t, c)), () => {
      f.return(signBit(t, product.eq(addend).select(product, down)));
    });

    // Both terms as 128-bit numbers with their leading bit at 126, or 0.
    const x = unpack(f, t, a), y = unpack(f, t, b), z = unpack(f, t, c);
    const p = mulWide(f, f.let(x.sig.shl(1)), f.let(y.sig.shl(1)));
    const hi = var64(f, p.hi), lo = var64(f, p.lo);
    const exp = var32(f, x.exp.add(y.exp).sub(t.bias));
    f.if(hi.get().lt_s(0), () => {
      lo.set(lo.get().shr_u(1).or(hi.get().shl(63)));
      hi.set(hi.get().shr_u(1));
      exp.set(exp.get().add(1));
    });
    f.if(zero, () => exp.set(I32.of(FAR_BELOW)));
    const high = var64(f, z.sig), low = var64(f, I64.of(0)), sign = var32(f, product);
    const other = var32(f, addend);
    const above = var32(f, isZero(t, c).select(I32.of(FAR_BELOW), z.exp).sub(exp.get()));
    // The larger exponent first.
    f.if(above.get().gt_s(0), () => {
      const oldHi = f.let(hi.get()), oldLo = f.let(lo.get());
      hi.set(high.get());
      lo.set(low.get());
      high.set(oldHi);
      low.set(oldLo);
      exp.set(exp.get().add(above.get()));
      sign.set(addend);
      other.set(product);
    }, () => above.set(above.get().neg()));
    f.if(above.get().ne(0), () => shiftJam128(f, high, low, above.get()));
    f.if(sign.get().eq(other.get()), () => {
      const sum = f.let(lo.get().add(low.get()));
      hi.set(hi.get().add(high.get()).add(sum.lt_u(lo.get()).extend_u()));
      lo.set(sum);
    }, () => {
      const less = f.let(
        hi.get().lt_u(high.get()).or(hi.get().eq(high.get()).and(lo.get().lt_u(low.get()))),
      );
      const rest = f.let(lo.get().sub(low.get()));
      const borrow = f.let(lo.get().lt_u(low.get()).extend_u());
      hi.set(hi.get().sub(high.get()).sub(borrow));
      lo.set(rest);
      f.if(less, () => {
        lo.set(lo.get().neg());
        hi.set(hi.get().not().add(lo.get().eqz().extend_u()));
        sign.set(other.get());
      });
      f.if(hi.get().or(lo.get()).eqz(), () => f.return(signBit(t, down)));
    });
    // The leading bit back to 126.
    f.if(hi.get().lt_s(0), () => {
      lo.set(lo.get().shr_u(1).or(hi.get().shl(63)).or(lo.get().and(1)));
      hi.set(hi.get().shr_u(1));
      exp.set(exp.get().add(1));
    }, () => {
      f.if(hi.get().eqz(), () => {
        hi.set(lo.get().shr_u(1));
        lo.set(lo.get().shl(63));
        exp.set(exp.get().sub(63));
      });
      const n = f.let(hi.get().clz().sub(1));
      f.if(n.ne(0), () => {
        hi.set(hi.get().shl(n).or(lo.get().shr_u(n.neg())));
        lo.set(lo.get().shl(n));
        exp.set(exp.get().sub(n.wrap()));
      });
    });
    f.return(
      round(t, cpu, sign.get(), exp.get(), f.let(hi.get().or(lo.get().ne(0).extend_u()))),
    );
  };
}

function both(make: (s: Suffix, t: Format) => Callee): Record<Suffix, Callee> {
  return Object.fromEntries(FORMATS.map(([s, t]) => [s, make(s, t)])) as Record<Suffix, Callee>;
}

/** (cpu, a, b, c, bits of {@link Negate}) → ±(a × b) ± c. A NaN is that of the first that is one. */
export const sseFma = both((s, t) =>
  library(
    `sseFma${s}`,
    { params: ["i32", "i64", "i64", "i64", "i32"], results: ["i64"] },
    fused(t),
  )
);

/**
 * (cpu, a, b, c, {@link Negate} of even lanes, of odd lanes) → the same for all lanes.
 */
export const ssePackedFma = both((s, t) =>
  library(
    `ssePackedFma${s}`,
    { params: ["i32", "v128", "v128", "v128", "i32", "i32"], results: ["v128"] },
    (f) => {
      const cpu = f.param(0, "i32");
      const [a, b, c] = [1, 2, 3].map((n) => f.param(n, "v128"));
      let r: V128 = a;
      for (let n = 0; n < 128 / t.bits; n++) {
        const v = call(
          sseFma[s],
          "i64",
          cpu,
          lane(t, a, n),
          lane(t, b, n),
          lane(t, c, n),
          f.param(4 + (n & 1), "i32"),
        );
        r = f.let(withLane(t, r, n, f.let(v)));
      }
      f.return(r);
    },
  )
);

/** a × b + c in the host's relaxed SIMD: rounded once, or twice, as the host likes. */
export const relaxedMadd = (t: Format, a: V128, b: V128, c: V128): V128 =>
  a.simd(`${shapeOf(t)}.relaxed_madd`, b, c);

let fusedNatively: boolean | undefined;

/** Whether the host's relaxed multiply-add rounds once, in both formats. */
export function hasFusedMadd(): boolean {
  return fusedNatively ??= FORMATS.every(([, t]) => {
    const type = t.bits === 64 ? "f64" : "f32";
    const f = new FunctionBuilder("madd", { params: [type, type, type], results: [type] });
    const [a, b, c] = [0, 1, 2].map((n) => (f.param(n, type) as F64).splat());
    const r = relaxedMadd(t, a, b, c);
    f.return(t.bits === 64 ? r.laneF64(0) : r.laneF32(0));
    const m = new ModuleBuilder({ initial: 1, maximum: 1 });
    m.add(f, undefined, "madd");
    const memory = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
    const { exports } = new WebAssembly.Instance(new WebAssembly.Module(m.encode()), {
      env: { memory, table: new WebAssembly.Table({ element: "anyfunc", initial: 1 }) },
    });
    const madd = exports.madd as (a: number, b: number, c: number) => number;
    // (1 + d)(1 − d) − 1 is −d², which a rounded product loses.
    const d = 2 ** -(t.frac - 4);
    return madd(1 + d, 1 - d, -1) === -d * d;
  });
}
