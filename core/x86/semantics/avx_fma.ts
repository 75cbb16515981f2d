/** FMA3: fused multiply-add in its three operand orders. Intel SDM volume 1, 14.5, and volume 2. */
import { I32, type I64, V128 } from "../../wasm/expr.ts";
import { call } from "../../wasm/func.ts";
import { avx, rdLanes, rdScalarSource, wrLanes } from "./avx_common.ts";
import type { Emit } from "./emit.ts";
import { DOUBLE, type Format, SINGLE } from "./lib_sse.ts";
import { shapeOf, splat } from "./lib_sse_arith.ts";
import { hasFusedMadd, Negate, relaxedMadd, sseFma, ssePackedFma } from "./lib_sse_fma.ts";
import { ZERO } from "./sse_common.ts";
import { finish, plainMode } from "./sse_float.ts";

/** Operands: multiplicand, multiplier, addend. */
const ORDERS: Record<string, readonly [number, number, number]> = {
  "132": [0, 2, 1],
  "213": [1, 0, 2],
  "231": [1, 2, 0],
};

/** Signs turned in even lanes and in odd ones. */
const KINDS: Record<string, readonly [even: number, odd: number]> = {
  FMADD: [0, 0],
  FMSUB: [Negate.ADDEND, Negate.ADDEND],
  FNMADD: [Negate.PRODUCT, Negate.PRODUCT],
  FNMSUB: [Negate.PRODUCT | Negate.ADDEND, Negate.PRODUCT | Negate.ADDEND],
  FMADDSUB: [Negate.ADDEND, 0],
  FMSUBADD: [0, Negate.ADDEND],
};

/** The sign bits that a pair of {@link Negate} sets turns, for one of its bits. */
function signMask(t: Format, even: number, odd: number, bit: number): V128 | undefined {
  if (((even | odd) & bit) === 0) return undefined;
  const at = (on: number) => (on & bit ? t.sign : 0n);
  const half = t.bits === 64 ? [at(even), at(odd)] : [at(even) | at(odd) << 32n];
  return V128.of(half[0], half[1] ?? half[0]);
}

/**
 * The native result, where the host has an instruction for it, and whether it is what a processor
 * gives with nothing to flag; undefined when the host has none.
 */
function native(
  e: Emit,
  t: Format,
  [a, b, c]: readonly V128[],
  even: number,
  odd: number,
): { r: V128; fine: V128 } | undefined {
  if (!hasFusedMadd()) return undefined;
  const shape = shapeOf(t), min = splat(t, t.min);
  const turn = (v: V128, bit: number) => {
    const mask = signMask(t, even, odd, bit);
    return mask ? v.xor(mask) : v;
  };
  const r = e.let(relaxedMadd(t, turn(a, Negate.PRODUCT), b, turn(c, Negate.ADDEND)));
  const size = e.let(r.simd(`${shape}.abs`));
  let fine = size.simd(`${shape}.gt`, min).and(
    size.simd(`${shape}.le`, splat(t, t.infinity - 1n)),
  );
  for (const v of [a, b, c]) {
    fine = fine.and(
      v.simd(`${shape}.abs`).simd(`${shape}.ge`, min).or(v.simd(`${shape}.eq`, ZERO)),
    );
  }
  return { r, fine };
}

function scalar(t: Format, order: readonly number[], negate: number): (e: Emit) => void {
  const lib = sseFma[`${t.bits}`], shape = t.bits === 64 ? "i64x2" : "i32x4";
  return (e) => {
    const memory = rdScalarSource(e, t, 2);
    const [a, b, c] = order.map((n) => n === 2 ? memory : rdScalarSource(e, t, n));
    const slow = () => {
      const r = call(lib, "i64", e.cpu(), a, b, c, I32.of(negate));
      return t.bits === 64 ? r : r.wrap();
    };
    const vector = (x: I64) => t.bits === 64 ? x.splat() : x.wrap().splat("i32x4");
    const quick = native(e, t, [a, b, c].map((x) => e.let(vector(x))), negate, negate);
    const r = e.local("v128");
    if (quick) r.set(quick.r);
    e.f.if(
      quick ? quick.fine.reduce("i32x4.all_true").and(plainMode(e)).eqz() : I32.of(1),
      () => {
        r.set(ZERO.withLane(shape, 0, slow()));
        finish(e);
      },
    );
    const v = r.get();
    wrLanes(e, 0, [
      e.rdV(0).withLane(shape, 0, t.bits === 64 ? v.lane64(0) : v.lane32(0)),
    ]);
  };
}

function packed(
  t: Format,
  order: readonly number[],
  [even, odd]: readonly [number, number],
): (e: Emit) => void {
  const lib = ssePackedFma[`${t.bits}`];
  return (e) => {
    const memory = rdLanes(e, 2);
    const [a, b, c] = order.map((n) => n === 2 ? memory : rdLanes(e, n));
    const quick = a.map((x, l) => native(e, t, [x, b[l], c[l]], even, odd));
    const r = quick.map((q) => {
      const v = e.local("v128");
      if (q) v.set(q.r);
      return v;
    });
    const fine = quick.map((q) => q?.fine).reduce((x, y) => x && y && x.and(y));
    e.f.if(
      fine ? fine.reduce("i32x4.all_true").and(plainMode(e)).eqz() : I32.of(1),
      () => {
        a.forEach((x, l) => {
          r[l].set(call(lib, "v128", e.cpu(), x, b[l], c[l], I32.of(even), I32.of(odd)));
        });
        finish(e);
      },
    );
    wrLanes(e, 0, r.map((v) => v.get()));
  };
}

export function avxFmaSemantics(): void {
  for (const [digits, order] of Object.entries(ORDERS)) {
    for (const [kind, signs] of Object.entries(KINDS)) {
      for (const [t, s] of [[SINGLE, "S"], [DOUBLE, "D"]] as const) {
        avx(`V${kind}${digits}P${s}`, packed(t, order, signs));
        if (signs[0] === signs[1]) {
          avx(`V${kind}${digits}S${s}`, scalar(t, order, signs[0]));
        }
      }
    }
  }
}
