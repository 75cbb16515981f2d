/** Library functions of GFNI: arithmetic in GF(2^8) modulo x^8 + x^4 + x^3 + x + 1. Intel SDM volume 2. */
import { I32, type V128 } from "../../wasm/expr.ts";
import { library } from "../library.ts";
import { lookUp, multiply } from "./lib_sse_crypto.ts";
import { lanes, ZERO } from "./sse_common.ts";

const BINARY = { params: ["v128", "v128"], results: ["v128"] } as const;

/** (a, b) → products of the bytes. */
export const gfMultiply = library("gfMultiply", BINARY, (f) => {
  const b = f.param(1, "v128");
  let a: V128 = f.param(0, "v128"), r: V128 = ZERO;
  for (let n = 0; n < 8; n++) {
    const chosen = b.simd("i8x16.shl", I32.of(7 - n)).simd("i8x16.lt_s", ZERO);
    r = f.let(r.xor(a.and(chosen)));
    const reduce = a.simd("i8x16.lt_s", ZERO).and(I32.of(0x1b).splat("i8x16"));
    if (n < 7) a = f.let(a.simd("i8x16.add", a).xor(reduce));
  }
  f.return(r);
});

/** (x) → the inverse of every byte; that of 0 is 0. */
export const gfInvert = lookUp(
  "gfInvert",
  Array.from({ length: 256 }, (_, x) => {
    // The multiplicative group has 255 elements: x^254 is the inverse.
    let y = x;
    for (let n = 0; n < 6; n++) y = multiply(multiply(y, y), x);
    return multiply(y, y);
  }),
);

/** (x, matrices) → every byte of a quadword times the quadword's 8 × 8 bit matrix; row 7 comes first. */
export const gfAffine = library("gfAffine", BINARY, (f) => {
  const x = f.param(0, "v128"), matrix = f.param(1, "v128");
  let r: V128 = ZERO;
  for (let n = 0; n < 8; n++) {
    const order = [...new Array(8).fill(7 - n), ...new Array(8).fill(15 - n)];
    const row = matrix.shuffle(matrix, lanes(1, order));
    const bit = x.and(row).simd("i8x16.popcnt").and(I32.of(1).splat("i8x16"));
    r = f.let(r.or(bit.simd("i8x16.shl", I32.of(n))));
  }
  f.return(r);
});
