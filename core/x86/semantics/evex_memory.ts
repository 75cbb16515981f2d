/**
 * AVX-512 gathers and scatters. Elements are accessed from the lowest on; each is complete, and its
 * mask bit cleared, before the next is begun, so that a fault leaves what has been done. Alignment is
 * never checked. SDM volume 2.
 */
import { type AnyInt, type I32, type I64, load } from "../../wasm/expr.ts";
import type { MemOperand } from "../insn.ts";
import * as S from "../state.ts";
import { avx, clearAbove, elementAddress } from "./avx_common.ts";
import { baseAddress } from "./avx_memory.ts";
import type { Emit } from "./emit.ts";
import { eachBit } from "./evex.ts";

/** Calls `body` with the address of each chosen element and its offset in bytes. */
function each(
  e: Emit,
  n: number,
  indexBytes: 4 | 8,
  count: number,
  body: (ea: AnyInt, n: I32) => void,
): void {
  const m = e.operands[n] as MemOperand;
  const base = baseAddress(e, n), wide = base.type === "i64";
  const mask = S.K + 8 * e.i.evex!.mask, index = S.XMM + S.XMM_SIZE * m.index;
  const bits = e.masking!.bits!;
  eachBit(e, bits, count, (i) => {
    const at = e.let(e.cpu().add(i.mul(indexBytes)));
    const x: AnyInt = !wide
      ? load("i32.load", at, index)
      : indexBytes === 8
      ? load("i64.load", at, index)
      : load("i32.load", at, index).extend_s();
    const ea = e.let(base.add(x.shl(m.scale) as never));
    body(ea, i);
    const left = e.field64(mask) as I64;
    e.setField(8, mask, e.let(left.and(left.constant(1).shl(i.extend_u()).not())));
  });
  e.setField(8, mask, bits.constant(0));
}

function gather(bytes: 4 | 8, indexBytes: 4 | 8): (e: Emit) => void {
  return (e) => {
    const count = e.i.vectorBits / 8 / Math.max(bytes, indexBytes);
    each(e, 1, indexBytes, count, (ea, i) => {
      const v = e.load(elementAddress(e, 1, ea, 0, bytes, false), bytes, 1);
      for (let n = 0; n < count; n++) {
        e.f.if(i.eq(n), () => e.wrPart(0, bytes * n, v, bytes));
      }
    });
    const done = bytes * count;
    if (done === 8) e.wrPart(0, 8, e.rdPart(0, 0, 8).constant(0), 8);
    clearAbove(e, 0, Math.max(16, done));
  };
}

function scatter(bytes: 4 | 8, indexBytes: 4 | 8): (e: Emit) => void {
  return (e) => {
    const count = e.i.vectorBits / 8 / Math.max(bytes, indexBytes);
    each(e, 0, indexBytes, count, (ea, i) => {
      const v = e.local(bytes === 8 ? "i64" : "i32");
      for (let n = 0; n < count; n++) {
        e.f.if(i.eq(n), () => v.set(e.rdPart(1, bytes * n, bytes) as never));
      }
      const at = elementAddress(e, 0, ea, 0, bytes, true);
      e.store(at, v.get() as unknown as AnyInt, bytes, false, 1);
    });
  };
}

export function evexMemorySemantics(): void {
  for (const [bytes, integer, float] of [[4, "D", "PS"], [8, "Q", "PD"]] as const) {
    for (const [indexBytes, index] of [[4, "D"], [8, "Q"]] as const) {
      const names = (what: string, end: string) => [
        `VP${what}${index}${integer}${end}`,
        `V${what}${index}${float}${end}`,
      ];
      avx(names("GATHER", "_EVEX"), gather(bytes, indexBytes));
      avx(names("SCATTER", ""), scatter(bytes, indexBytes));
    }
  }
}
