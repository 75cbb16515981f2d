/** SSE3 horizontal and alternating arithmetic. Intel SDM volume 2. */
import type { I64, V128 } from "../../wasm/expr.ts";
import { call } from "../../wasm/func.ts";
import { library } from "../library.ts";
import type { Emit } from "./emit.ts";
import { DOUBLE, type Format, FORMATS, SINGLE, type Suffix } from "./lib_sse.ts";
import { lane, shapeOf, sseArith, ssePacked, withLane } from "./lib_sse_arith.ts";
import { lanes, rdAligned, sse } from "./sse_common.ts";
import { orLibrary, plainVectors } from "./sse_float.ts";

/** (cpu, a, b) → even lanes subtracted, odd ones added. */
const ssePackedAddSub = Object.fromEntries(FORMATS.map(([s, t]) => [
  s,
  library(
    `ssePackedAddSub${s}`,
    { params: ["i32", "v128", "v128"], results: ["v128"] },
    (f) => {
      const cpu = f.param(0, "i32"), a = f.param(1, "v128"), b = f.param(2, "v128");
      let r: V128 = a;
      for (let n = 0; n < 128 / t.bits; n++) {
        const op = sseArith[n & 1 ? "add" : "sub"][s];
        const v: I64 = f.let(call(op, "i64", cpu, lane(t, a, n), lane(t, b, n)));
        r = f.let(withLane(t, r, n, v));
      }
      f.return(r);
    },
  ),
])) as Record<Suffix, ReturnType<typeof library>>;

function addSub(t: Format): (e: Emit) => void {
  const bytes = (t.bits >> 3) as 4 | 8, shape = shapeOf(t), n = 16 / bytes;
  const order = lanes(bytes, Array.from({ length: n }, (_, i) => i & 1 ? i + n : i));
  return (e) => {
    const b = e.let(rdAligned(e, 1)), a = e.rdV(0);
    const r = e.let(a.simd(`${shape}.sub`, b).shuffle(a.simd(`${shape}.add`, b), order));
    const lib = ssePackedAddSub[`${t.bits}`];
    e.wrV(0, orLibrary(e, plainVectors(e, t, [a, b], r), r, lib, a, b));
  };
}

/** Sums or differences of neighbours, a's first. */
function horizontal(t: Format, op: "add" | "sub"): (e: Emit) => void {
  const bytes = (t.bits >> 3) as 4 | 8, n = 16 / bytes;
  const pick = (odd: number) => lanes(bytes, Array.from({ length: n }, (_, i) => 2 * i + odd));
  return (e) => {
    const b = e.let(rdAligned(e, 1)), a = e.rdV(0);
    const x = e.let(a.shuffle(b, pick(0))), y = e.let(a.shuffle(b, pick(1)));
    const r = e.let(x.simd(`${shapeOf(t)}.${op}`, y));
    const lib = ssePacked[op][`${t.bits}`];
    e.wrV(0, orLibrary(e, plainVectors(e, t, [x, y], r), r, lib, x, y));
  };
}

export function sse3Semantics(): void {
  for (const [t, s] of [[SINGLE, "PS"], [DOUBLE, "PD"]] as const) {
    sse(`ADDSUB${s}`, addSub(t));
    sse(`HADD${s}`, horizontal(t, "add"));
    sse(`HSUB${s}`, horizontal(t, "sub"));
  }
}
