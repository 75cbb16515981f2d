/**
 * AVX-512 floating point beyond what SSE, AVX and FMA have: element by element through the functions
 * of `lib_evex_float.ts` and `lib_evex_approx.ts`, and conversions of unsigned and 64-bit integers.
 * Intel SDM volume 2.
 */
import { type AnyInt, I32, type I64, type V128 } from "../../wasm/expr.ts";
import { call, type Callee } from "../../wasm/func.ts";
import { avx, rdLanes, rdScalarSource, wrLanes } from "./avx_common.ts";
import type { Emit } from "./emit.ts";
import { wrMask } from "./evex.ts";
import { evexReciprocal, evexReciprocalRoot } from "./lib_evex_approx.ts";
import * as X from "./lib_evex_float.ts";
import { DOUBLE, type Format, SINGLE, type Suffix } from "./lib_sse.ts";
import { sseFromInt, sseToInt } from "./lib_sse_convert.ts";
import { imm8, ZERO } from "./sse_common.ts";
import { roundingOf } from "./sse_convert.ts";
import { finish } from "./sse_float.ts";

type Bytes = 4 | 8;
type ByFormat = Record<Suffix, Callee>;
const BY_IMMEDIATE = { byImmediate: true };
const TRUNCATE = I32.of(3);

/** Element `n` of vectors, zero-extended. */
function elementOf(e: Emit, v: readonly V128[], n: number, bytes: Bytes): I64 {
  const per = 16 / bytes, x = v[Math.floor(n / per)];
  return e.let(bytes === 8 ? x.lane64(n % per) : x.lane32(n % per).extend_u());
}

/** Vectors of elements; zeros behind the last one. */
function gathered(e: Emit, elements: readonly I64[], bytes: Bytes): V128[] {
  const per = 16 / bytes, out: V128[] = [];
  for (let n = 0; n < elements.length; n += per) {
    let v: V128 = ZERO;
    elements.slice(n, n + per).forEach((x, k) => {
      v = e.let(
        bytes === 8 ? v.withLane("i64x2", k, x) : v.withLane("i32x4", k, x.wrap()),
      );
    });
    out.push(v);
  }
  return out;
}

/** A result for each element of the operands `from`; the exceptions of all are accounted for together. */
function elementwise(
  e: Emit,
  from: readonly number[],
  source: Bytes,
  element: Bytes,
  op: (...x: I64[]) => I64,
): V128[] {
  const operands = [...from].reverse().map((n) => rdLanes(e, n)).reverse();
  const results: I64[] = [];
  for (let n = 0; n < e.masking!.count; n++) {
    results.push(e.let(op(...operands.map((v) => elementOf(e, v, n, source)))));
  }
  finish(e);
  return gathered(e, results, element);
}

/** The low element of `n` and the rest of operand 1. */
function withLow(e: Emit, bytes: Bytes, x: I64): V128[] {
  const shape = bytes === 8 ? "i64x2" : "i32x4";
  const low: AnyInt = bytes === 8 ? x as unknown as AnyInt : x.wrap() as unknown as AnyInt;
  return [e.let(e.rdV(1).withLane(shape, 0, low))];
}

const bytesOf = (t: Format): Bytes => t.bits === 64 ? 8 : 4;

/** Defines the packed and scalar forms of an operation on one number. */
function unary(
  stem: string,
  op: (e: Emit, s: Suffix, x: I64) => I64,
  opts?: { readonly byImmediate?: boolean },
): void {
  for (const [t, letter] of [[SINGLE, "S"], [DOUBLE, "D"]] as const) {
    const s: Suffix = `${t.bits}`, bytes = bytesOf(t);
    avx(
      `${stem}P${letter}`,
      (e) => wrLanes(e, 0, elementwise(e, [1], bytes, bytes, (x) => op(e, s, x))),
      opts,
    );
    avx(`${stem}S${letter}`, (e) => {
      const r = e.let(op(e, s, rdScalarSource(e, t, 2)));
      finish(e);
      wrLanes(e, 0, withLow(e, bytes, r));
    }, opts);
  }
}

function binary(
  stem: string,
  op: (e: Emit, s: Suffix, a: I64, b: I64) => I64,
  opts?: { readonly byImmediate?: boolean },
): void {
  for (const [t, letter] of [[SINGLE, "S"], [DOUBLE, "D"]] as const) {
    const s: Suffix = `${t.bits}`, bytes = bytesOf(t);
    avx(
      `${stem}P${letter}`,
      (e) => wrLanes(e, 0, elementwise(e, [1, 2], bytes, bytes, (a, b) => op(e, s, a, b))),
      opts,
    );
    avx(`${stem}S${letter}`, (e) => {
      const b = rdScalarSource(e, t, 2), a = rdScalarSource(e, t, 1);
      const r = e.let(op(e, s, a, b));
      finish(e);
      wrLanes(e, 0, withLow(e, bytes, r));
    }, opts);
  }
}

function fixup(): void {
  for (const [t, letter] of [[SINGLE, "S"], [DOUBLE, "D"]] as const) {
    const bytes = bytesOf(t), lib = X.evexFixup[`${t.bits}`];
    const op = (e: Emit) => (old: I64, x: I64, table: I64) =>
      call(lib, "i64", e.cpu(), old, x, table, I32.of(imm8(e)));
    avx(
      `VFIXUPIMMP${letter}`,
      (e) => wrLanes(e, 0, elementwise(e, [0, 1, 2], bytes, bytes, op(e))),
      BY_IMMEDIATE,
    );
    avx(`VFIXUPIMMS${letter}`, (e) => {
      const table = rdScalarSource(e, t, 2), x = rdScalarSource(e, t, 1);
      const r = e.let(op(e)(rdScalarSource(e, t, 0), x, table));
      finish(e);
      wrLanes(e, 0, withLow(e, bytes, r));
    }, BY_IMMEDIATE);
  }
}

function classes(): void {
  for (const [t, letter] of [[SINGLE, "S"], [DOUBLE, "D"]] as const) {
    const bytes = bytesOf(t), lib = X.evexClass[`${t.bits}`];
    const op = (e: Emit) => (x: I64) => call(lib, "i64", e.cpu(), x, I32.of(imm8(e)));
    avx(
      `VFPCLASSP${letter}`,
      (e) => wrMask(e, 0, elementwise(e, [1], bytes, bytes, op(e))),
      BY_IMMEDIATE,
    );
    avx(`VFPCLASSS${letter}`, (e) => {
      wrMask(e, 0, gathered(e, [op(e)(rdScalarSource(e, t, 1))], bytes));
    }, BY_IMMEDIATE);
  }
}

// ---- conversions

/** Numbers from integers of `source` bytes. */
function fromIntegers(name: string, source: Bytes, t: Format, unsigned: boolean): void {
  const s: Suffix = `${t.bits}`;
  avx(name, (e) => {
    const op = (x: I64): I64 => {
      if (source === 4 && t.bits === 64) {
        const low = x.wrap();
        return (unsigned ? low.toF64_u() : low.toF64_s()).bits();
      }
      if (source === 4) {
        return call(sseFromInt[s], "i64", e.cpu(), unsigned ? x : x.extend32_s());
      }
      return call((unsigned ? X.evexFromUnsigned : sseFromInt)[s], "i64", e.cpu(), x);
    };
    wrLanes(e, 0, elementwise(e, [1], source, bytesOf(t), op));
  });
}

/** Integers of `element` bytes from numbers. */
function toIntegers(
  name: string,
  t: Format,
  element: Bytes,
  unsigned: boolean,
  truncate: boolean,
): void {
  const lib: Callee = (unsigned ? X.evexToUnsigned : sseToInt)[`${t.bits}`];
  avx(name, (e) => {
    const rc = truncate ? TRUNCATE : roundingOf(e);
    const op = (x: I64) => call(lib, "i64", e.cpu(), x, rc, I32.of(8 * element));
    wrLanes(e, 0, elementwise(e, [1], bytesOf(t), element, op));
  });
}

/** Between a number and an unsigned general register. */
function scalarConversions(t: Format, letter: string): void {
  const s: Suffix = `${t.bits}`;
  avx(`VCVTUSI2S${letter}`, (e) => {
    const v = e.size(2) === 64 ? e.rd(2, 64) as unknown as I64 : e.let(e.rd32(2).extend_u());
    const r = e.let(call(X.evexFromUnsigned[s], "i64", e.cpu(), v));
    finish(e);
    wrLanes(e, 0, withLow(e, bytesOf(t), r));
  });
  for (const truncate of [false, true]) {
    avx(`VCVT${truncate ? "T" : ""}S${letter}2USI`, (e) => {
      const rc = truncate ? TRUNCATE : roundingOf(e), wide = e.size(0) === 64;
      const x = rdScalarSource(e, t, 1), bits = I32.of(wide ? 64 : 32);
      const r = e.let(call(X.evexToUnsigned[s], "i64", e.cpu(), x, rc, bits));
      finish(e);
      e.wr(0, (wide ? r : e.let(r.wrap())) as unknown as AnyInt);
    });
  }
}

export function evexFloatSemantics(): void {
  const withImmediate = (lib: ByFormat) => (e: Emit, s: Suffix, x: I64) =>
    call(lib[s], "i64", e.cpu(), x, I32.of(imm8(e)));
  unary("VRNDSCALE", withImmediate(X.evexRoundScale), BY_IMMEDIATE);
  unary("VREDUCE", withImmediate(X.evexReduce), BY_IMMEDIATE);
  unary("VGETMANT", withImmediate(X.evexGetMantissa), BY_IMMEDIATE);
  unary("VGETEXP", (e, s, x) => call(X.evexGetExponent[s], "i64", e.cpu(), x, I32.of(0)));
  unary("VRCP14", (e, s, x) => call(evexReciprocal[s], "i64", e.cpu(), x));
  unary("VRSQRT14", (e, s, x) => call(evexReciprocalRoot[s], "i64", e.cpu(), x));
  binary("VSCALEF", (e, s, a, b) => call(X.evexScale[s], "i64", e.cpu(), a, b, I32.of(0)));
  binary(
    "VRANGE",
    (e, s, a, b) => call(X.evexRange[s], "i64", e.cpu(), a, b, I32.of(imm8(e))),
    BY_IMMEDIATE,
  );
  fixup();
  classes();

  for (const [t, p, letter] of [[SINGLE, "PS", "S"], [DOUBLE, "PD", "D"]] as const) {
    fromIntegers(`VCVTQQ2${p}`, 8, t, false);
    fromIntegers(`VCVTUQQ2${p}`, 8, t, true);
    fromIntegers(`VCVTUDQ2${p}`, 4, t, true);
    for (const truncate of [false, true]) {
      const name = `VCVT${truncate ? "T" : ""}${p}2`;
      toIntegers(`${name}UDQ`, t, 4, true, truncate);
      toIntegers(`${name}QQ`, t, 8, false, truncate);
      toIntegers(`${name}UQQ`, t, 8, true, truncate);
    }
    scalarConversions(t, letter);
  }
}
