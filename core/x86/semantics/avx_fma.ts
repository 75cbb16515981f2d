/** FMA3: fused multiply-add in its three operand orders. Intel SDM volume 1, 14.5, and volume 2. */
import { I32, type V128 } from "../../wasm/expr.ts";
import { call } from "../../wasm/func.ts";
import { avx, rdLanes, wrLanes } from "./avx_common.ts";
import type { Emit } from "./emit.ts";
import { DOUBLE, type Format, SINGLE } from "./lib_sse.ts";
import { Negate, sseFma, ssePackedFma } from "./lib_sse_fma.ts";
import { finish, rdScalar } from "./sse_float.ts";

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

function scalar(t: Format, order: readonly number[], negate: number): (e: Emit) => void {
  return (e) => {
    const memory = rdScalar(e, t, 2);
    const [a, b, c] = order.map((n) => n === 2 ? memory : rdScalar(e, t, n));
    const r = e.let(call(sseFma[`${t.bits}`], "i64", e.cpu(), a, b, c, I32.of(negate)));
    finish(e);
    const old = e.rdV(0);
    const v = t.bits === 64 ? old.withLane("i64x2", 0, r) : old.withLane("i32x4", 0, r.wrap());
    wrLanes(e, 0, [v]);
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
    const r: V128[] = a.map((x, l) =>
      e.let(call(lib, "v128", e.cpu(), x, b[l], c[l], I32.of(even), I32.of(odd)))
    );
    finish(e);
    wrLanes(e, 0, r);
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
