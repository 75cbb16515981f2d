/** SSE and SSE2 comparison, minimum and maximum, reciprocals, and SSE4.1 rounding. Intel SDM volume 2. */
import { type AnyInt, I32, type V128 } from "../../wasm/expr.ts";
import { call } from "../../wasm/func.ts";
import * as S from "../state.ts";
import type { Emit } from "./emit.ts";
import { DOUBLE, type Format, Mx, SINGLE } from "./lib_sse.ts";
import { shapeOf } from "./lib_sse_arith.ts";
import * as L from "./lib_sse_convert.ts";
import { Rel } from "./lib_sse_convert.ts";
import { imm8, rdAligned, sse } from "./sse_common.ts";
import { finish, ordinary, ordinaryScalar, plainMode, rdScalar, wrScalar } from "./sse_float.ts";

/**
 * Sets of outcomes for which the predicates 0–15 hold; 16–31 differ in whether quiet NaNs are invalid.
 * Legacy encodings have the first eight.
 */
const PREDICATES = [4, 2, 6, 8, 11, 13, 9, 7, 12, 10, 14, 0, 3, 5, 1, 15];
/** Predicates 0–15 for which quiet NaNs are invalid. */
const SIGNALING = [1, 2, 5, 6, 9, 10, 13, 14];

/** Outcome set of a predicate, with bit 4 for signaling: what `ssePackedCompare` takes. */
export function predicate(imm: number): number {
  const signaling = SIGNALING.includes(imm & 15) !== (imm & 16) > 0;
  return PREDICATES[imm & 15] | (signaling ? 16 : 0);
}

/** Masks for a set of outcomes among numbers that are not NaNs. */
function nativeMasks(t: Format, set: number, a: V128, b: V128): V128 {
  const shape = shapeOf(t);
  switch (set & (Rel.GT | Rel.LT | Rel.EQ)) {
    case 0:
      return a.xor(a);
    case Rel.GT:
      return a.simd(`${shape}.gt`, b);
    case Rel.LT:
      return a.simd(`${shape}.lt`, b);
    case Rel.GT | Rel.LT:
      return a.simd(`${shape}.ne`, b);
    case Rel.EQ:
      return a.simd(`${shape}.eq`, b);
    case Rel.EQ | Rel.GT:
      return a.simd(`${shape}.ge`, b);
    case Rel.EQ | Rel.LT:
      return a.simd(`${shape}.le`, b);
    default:
      return a.simd("i32x4.eq", a);
  }
}

function comparePacked(t: Format): (e: Emit) => void {
  return (e) => {
    const b = e.let(rdAligned(e, 1)),
      a = e.rdV(0),
      set = predicate(imm8(e) & (e.i.vectorBits ? 31 : 7));
    const r = e.local("v128");
    r.set(nativeMasks(t, set, a, b));
    e.f.if(ordinary(e, t, [a, b]).eqz(), () => {
      r.set(call(L.ssePackedCompare[`${t.bits}`], "v128", e.cpu(), a, b, I32.of(set)));
      finish(e);
    });
    e.wrV(0, r.get());
  };
}

function compareScalar(t: Format): (e: Emit) => void {
  return (e) => {
    const b = rdScalar(e, t, 1),
      a = rdScalar(e, t, 0),
      set = predicate(imm8(e) & (e.i.vectorBits ? 31 : 7));
    const rel = e.local("i32");
    const [x, y] = t.bits === 64 ? [a.f64(), b.f64()] : [a.wrap().f32(), b.wrap().f32()];
    rel.set(
      x.lt(y as never).select(
        I32.of(Rel.LT),
        x.eq(y as never).select(I32.of(Rel.EQ), I32.of(Rel.GT)),
      ),
    );
    e.f.if(ordinaryScalar(t, a).and(ordinaryScalar(t, b)).eqz(), () => {
      rel.set(call(L.sseCompare[`${t.bits}`], "i32", e.cpu(), a, b, I32.of(set >> 4)));
      finish(e);
    });
    wrScalar(e, t, 0, e.let(rel.get().and(set).ne(0).extend_u().neg()));
  };
}

/** COMIS, UCOMIS: ZF, PF, CF. */
function compareFlags(t: Format, signaling: boolean): (e: Emit) => void {
  return (e) => {
    const b = rdScalar(e, t, 1), a = rdScalar(e, t, 0);
    const flags = e.local("i32");
    const [x, y] = t.bits === 64 ? [a.f64(), b.f64()] : [a.wrap().f32(), b.wrap().f32()];
    flags.set(x.eq(y as never).shl(6).or(x.lt(y as never)));
    e.f.if(ordinaryScalar(t, a).and(ordinaryScalar(t, b)).eqz(), () => {
      const rel = e.let(
        call(L.sseCompare[`${t.bits}`], "i32", e.cpu(), a, b, I32.of(signaling ? 1 : 0)),
      );
      finish(e);
      // Unordered sets all three.
      flags.set(
        rel.eq(Rel.UNORDERED).select(
          I32.of(0x45),
          rel.and(Rel.EQ).shl(4).or(rel.and(Rel.LT).shr_u(1)),
        ),
      );
    });
    e.flagsAll(flags.get());
  };
}

function minMaxPacked(t: Format, max: boolean): (e: Emit) => void {
  return (e) => {
    const b = e.let(rdAligned(e, 1)), a = e.rdV(0);
    const r = e.local("v128");
    // Of equal operands the second is the result, which pmin and pmax give for their first.
    r.set(b.simd(`${shapeOf(t)}.${max ? "pmax" : "pmin"}`, a));
    e.f.if(ordinary(e, t, [a, b]).eqz(), () => {
      const kind = I32.of(max ? 1 : 0);
      r.set(call(L.ssePackedMinMax[`${t.bits}`], "v128", e.cpu(), a, b, kind));
      finish(e);
    });
    e.wrV(0, r.get());
  };
}

function minMaxScalar(t: Format, max: boolean): (e: Emit) => void {
  return (e) => {
    const b = rdScalar(e, t, 1), a = rdScalar(e, t, 0);
    const r = e.local("i64");
    const [x, y] = t.bits === 64 ? [a.f64(), b.f64()] : [a.wrap().f32(), b.wrap().f32()];
    r.set((max ? x.gt(y as never) : x.lt(y as never)).select(a, b));
    e.f.if(ordinaryScalar(t, a).and(ordinaryScalar(t, b)).eqz(), () => {
      r.set(call(L.sseMinMax[`${t.bits}`], "i64", e.cpu(), a, b, I32.of(max ? 1 : 0)));
      finish(e);
    });
    wrScalar(e, t, 0, r.get());
  };
}

// ---- SSE4.1 rounding

const NATIVE_ROUND = ["nearest", "floor", "ceil", "trunc"] as const;

/** Rounding control and reported flags of ROUNDPS and its relatives. */
function roundControl(e: Emit): { rc: I32; native: typeof NATIVE_ROUND[number]; silent: boolean } {
  const imm = imm8(e);
  const own = (imm & 4) === 0;
  return {
    rc: own ? I32.of(imm & 3) : e.let(e.field32(S.MXCSR).shr_u(13).and(3)),
    native: own ? NATIVE_ROUND[imm & 3] : "nearest",
    silent: own && (imm & 8) !== 0,
  };
}

function roundPacked(t: Format): (e: Emit) => void {
  return (e) => {
    const v = e.let(rdAligned(e, 1)), { rc, native, silent } = roundControl(e);
    const report = I32.of(imm8(e) & 8 ? 0 : Mx.PE);
    const quick = e.let(v.simd(`${shapeOf(t)}.${native}`));
    const r = e.local("v128");
    r.set(quick);
    let fine = ordinary(e, t, [v]);
    if (!silent) {
      const exact = quick.simd(`${shapeOf(t)}.eq`, v).reduce("i32x4.all_true");
      fine = fine.and(exact.or(plainMode(e)));
    }
    e.f.if(fine.eqz(), () => {
      r.set(call(L.ssePackedIntegral[`${t.bits}`], "v128", e.cpu(), v, rc, report));
      finish(e);
    });
    e.wrV(0, r.get());
  };
}

function roundScalar(t: Format): (e: Emit) => void {
  return (e) => {
    const x = rdScalar(e, t, 1), { rc } = roundControl(e);
    const report = I32.of(imm8(e) & 8 ? 0 : Mx.PE);
    const r = e.let(call(L.sseIntegral[`${t.bits}`], "i64", e.cpu(), x, rc, report));
    finish(e);
    wrScalar(e, t, 0, r);
  };
}

export function sseCompareSemantics(): void {
  for (const [t, s] of [[SINGLE, "S"], [DOUBLE, "D"]] as const) {
    sse(`CMPP${s}`, comparePacked(t), { byImmediate: true });
    sse(`CMPS${s}`, compareScalar(t), { byImmediate: true });
    sse(`COMIS${s}`, compareFlags(t, true));
    sse(`UCOMIS${s}`, compareFlags(t, false));
    for (const [name, max] of [["MIN", false], ["MAX", true]] as const) {
      sse(`${name}P${s}`, minMaxPacked(t, max));
      sse(`${name}S${s}`, minMaxScalar(t, max));
    }
    sse(`ROUNDP${s}`, roundPacked(t), { byImmediate: true });
    sse(`ROUNDS${s}`, roundScalar(t), { byImmediate: true });
  }
  for (const name of ["RCP", "RSQRT"] as const) {
    sse(`${name}PS`, (e) => {
      e.wrV(0, call(L.packedReciprocals[name], "v128", e.let(rdAligned(e, 1))));
    });
    sse(`${name}SS`, (e) => {
      const r = call(L.reciprocals[name], "i64", e.rdLow(1, 4).extend_u());
      e.wrLow(0, e.let(r.wrap()) as AnyInt, 4);
    });
  }
}
