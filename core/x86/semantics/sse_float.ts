/**
 * SSE and SSE2 floating-point arithmetic. Native WebAssembly arithmetic is used where it cannot differ
 * from the processor's and no exception flag can be new: rounding to nearest, the inexact flag already
 * set and masked, operands and result normal. All else goes to `lib_sse_arith.ts`.
 */
import { type AnyInt, I32, type I64, type V128 } from "../../wasm/expr.ts";
import { call, type Callee } from "../../wasm/func.ts";
import * as S from "../state.ts";
import { Vec } from "../state.ts";
import type { Emit } from "./emit.ts";
import { DOUBLE, type Format, isZero, magnitude, SINGLE, sseFinish } from "./lib_sse.ts";
import {
  type ArithOp,
  nativeScalar,
  PLAIN,
  PLAIN_MASK,
  shapeOf,
  splat,
  sseArith,
  ssePacked,
  ssePackedSqrt,
  sseSqrt,
} from "./lib_sse_arith.ts";
import { rdAligned, sse, ZERO } from "./sse_common.ts";

/** Whether MXCSR allows native arithmetic on ordinary numbers. */
export function plainMode(e: Emit): I32 {
  return e.field32(S.MXCSR).and(PLAIN_MASK).eq(PLAIN);
}

/** Accounts for the exceptions that library functions have met; leaves for an unmasked one. */
export function finish(e: Emit): void {
  if (e.fpExceptions) {
    e.fpExceptions.possible = true;
    return e.fpExceptions.met.set(I32.of(1));
  }
  const vector = e.let(call(sseFinish, "i32", e.cpu()));
  e.f.if(vector, () => {
    e.raiseIf(vector.eq(Vec.XM), Vec.XM);
    e.raise(Vec.UD);
  });
}

/** The low number of operand n as a bit pattern. */
export function rdScalar(e: Emit, t: Format, n: number): I64 {
  return t.bits === 64 ? e.rdLow(n, 8) : e.let(e.rdLow(n, 4).extend_u());
}
export function wrScalar(e: Emit, t: Format, n: number, v: I64): void {
  if (t.bits === 64) e.wrLow(n, v as AnyInt, 8);
  else e.wrLow(n, v.wrap() as AnyInt, 4);
}

/** The magnitude of a normal number, less the smallest one: below this. */
const normal = (t: Format, x: I64): I32 => magnitude(t, x).sub(t.min).lt_u(t.infinity - t.min);

/** A scalar result: native where allowed, else the library's. */
function scalar(t: Format, op: ArithOp): (e: Emit) => void {
  const lib = sseArith[op][`${t.bits}`];
  return (e) => {
    const b = rdScalar(e, t, 1), a = rdScalar(e, t, 0);
    const r = e.local("i64");
    r.set(nativeScalar(t, op, a, b));
    const fine = normal(t, a).and(normal(t, b))
      .and(magnitude(t, r.get()).sub(t.min + 1n).lt_u(t.infinity - t.min - 1n));
    e.f.if(fine.and(plainMode(e)).eqz(), () => {
      r.set(call(lib, "i64", e.cpu(), a, b));
      finish(e);
    });
    wrScalar(e, t, 0, r.get());
  };
}

function scalarSqrt(t: Format): (e: Emit) => void {
  const lib = sseSqrt[`${t.bits}`];
  return (e) => {
    const b = rdScalar(e, t, 1);
    const r = e.local("i64");
    r.set(nativeScalar(t, "sqrt", b, b));
    // Positive and normal.
    const fine = b.sub(t.min).lt_u(t.infinity - t.min);
    e.f.if(fine.and(plainMode(e)).eqz(), () => {
      r.set(call(lib, "i64", e.cpu(), b));
      finish(e);
    });
    wrScalar(e, t, 0, r.get());
  };
}

/** Whether native arithmetic on vectors gave what the processor gives, with nothing to flag. */
export function plainVectors(e: Emit, t: Format, operands: readonly V128[], r: V128): I32 {
  const shape = shapeOf(t), min = splat(t, t.min);
  const size = e.let(r.simd(`${shape}.abs`));
  let ok = size.simd(`${shape}.gt`, min)
    .and(size.simd(`${shape}.le`, splat(t, t.infinity - 1n)));
  for (const v of operands) ok = ok.and(v.simd(`${shape}.abs`).simd(`${shape}.ge`, min));
  return ok.reduce("i32x4.all_true").and(plainMode(e));
}

/** Whether a number is neither a NaN nor denormal. */
export function ordinaryScalar(t: Format, x: I64): I32 {
  return isZero(t, x).or(magnitude(t, x).sub(t.min).le_u(t.infinity - t.min));
}

/** Whether no lane of the vectors is a NaN or denormal. */
export function ordinary(e: Emit, t: Format, vectors: readonly V128[]): I32 {
  const shape = shapeOf(t), min = splat(t, t.min);
  const ok = vectors.map((v) =>
    v.simd(`${shape}.abs`).simd(`${shape}.ge`, min).or(v.simd(`${shape}.eq`, ZERO))
  );
  return e.let(ok.reduce((a, b) => a.and(b)).reduce("i32x4.all_true"));
}

/** A vector result from the library when `fine` is false. */
export function orLibrary(e: Emit, fine: I32, quick: V128, lib: Callee, a: V128, b: V128): V128 {
  const r = e.local("v128");
  r.set(quick);
  e.f.if(fine.eqz(), () => {
    r.set(call(lib, "v128", e.cpu(), a, b));
    finish(e);
  });
  return r.get();
}

function packed(t: Format, op: ArithOp): (e: Emit) => void {
  const lib = ssePacked[op][`${t.bits}`];
  return (e) => {
    const b = e.let(rdAligned(e, 1)), a = e.rdV(0);
    const r = e.let(a.simd(`${shapeOf(t)}.${op}`, b));
    e.wrV(0, orLibrary(e, plainVectors(e, t, [a, b], r), r, lib, a, b));
  };
}

function packedSqrt(t: Format): (e: Emit) => void {
  const lib = ssePackedSqrt[`${t.bits}`];
  return (e) => {
    const b = e.let(rdAligned(e, 1));
    const r = e.let(b.simd(`${shapeOf(t)}.sqrt`));
    const shape = shapeOf(t);
    const fine = b.simd(`${shape}.ge`, splat(t, t.min))
      .and(b.simd(`${shape}.le`, splat(t, t.infinity - 1n))).reduce("i32x4.all_true");
    e.wrV(0, orLibrary(e, e.let(fine.and(plainMode(e))), r, lib, b, b));
  };
}

export function sseFloatSemantics(): void {
  for (const op of ["add", "sub", "mul", "div"] as const) {
    const name = op.toUpperCase();
    sse(`${name}SS`, scalar(SINGLE, op));
    sse(`${name}SD`, scalar(DOUBLE, op));
    sse(`${name}PS`, packed(SINGLE, op));
    sse(`${name}PD`, packed(DOUBLE, op));
  }
  sse("SQRTSS", scalarSqrt(SINGLE));
  sse("SQRTSD", scalarSqrt(DOUBLE));
  sse("SQRTPS", packedSqrt(SINGLE));
  sse("SQRTPD", packedSqrt(DOUBLE));
}
