/** MMX state and data movement between MMX, XMM, general registers and memory. Intel SDM volume 2. */
import { type AnyInt, I32, I64 } from "../../wasm/expr.ts";
import * as S from "../state.ts";
import { define, type Emit } from "./emit.ts";
import {
  either,
  enterMmx,
  low32,
  low64,
  mixed,
  mmx,
  mmxEnabled,
  rdMm,
  sse,
  wrMm,
} from "./sse_common.ts";

/** MOVD: a general register or 32 bits of memory, zero-extended. */
function movd(e: Emit): void {
  const dst = e.operands[0].kind;
  if (dst === "mm") wrMm(e, 0, low32(e.rd32(1)));
  else if (dst === "xmm") e.wrV(0, low32(e.rd32(1)));
  else e.wr(0, e.rdLow(1, 4));
}

function movq(e: Emit): void {
  const dst = e.operands[0].kind;
  const src = e.operands[1].kind;
  const v = src === "gpr" ? e.rd(1, 64) as unknown as I64 : e.rdLow(1, 8);
  if (dst === "mm") wrMm(e, 0, low64(v));
  else if (dst === "xmm") e.wrV(0, low64(v));
  else if (dst === "gpr") e.wr(0, v as AnyInt);
  else e.store(e.lin(0, 8, true), v, 8);
}

/**
 * Stores the bytes of `lo` and `hi` whose mask bit is set, at the address of operand 2, which alignment
 * checks want to be a multiple of 8, as on processors.
 */
function maskedStore(e: Emit, count: 8 | 16, mask: I32, lo: I64, hi: I64): void {
  const f = e.f;
  const at = e.lin(2, count, true);
  e.checkAlignment(at, 8);
  const n = e.local("i32");
  n.set(I32.of(0));
  f.loop((again) => {
    f.if(mask.shr_u(n.get()).and(1), () => {
      const half = count === 8 ? lo : n.get().lt_u(8).select(lo, hi);
      const byte = half.shr_u(n.get().shl(3).extend_u()).wrap();
      const to = (at.type === "i64"
        ? (at as I64).add(n.get().extend_u())
        : (at as I32).add(n.get())) as typeof at;
      e.store(to, byte, 1);
    });
    n.set(n.get().add(1));
    f.brIf(again, n.get().lt_u(count));
  });
}

export function mmxSemantics(): void {
  define("EMMS", (e) => {
    // All registers empty; the manual does not tell that TOP becomes 0 here too.
    if (mmxEnabled(e)) e.setField(8, S.FTOP, I64.of(0xffn << 32n));
  });
  either("MOVD", movd, movd);
  either("MOVQ", movq, movq);
  mmx("MOVNTQ", movq);
  mixed("MOVQ2DQ", (e) => {
    e.wrV(0, low64(e.rdLow(1, 8)));
    enterMmx(e);
  });
  mixed("MOVDQ2Q", (e) => {
    wrMm(e, 0, e.rdV(1));
    enterMmx(e);
  });
  mmx("MASKMOVQ", (e) => {
    const data = e.rdLow(0, 8);
    maskedStore(e, 8, e.let(rdMm(e, 1).reduce("i8x16.bitmask")), data, data);
  });
  sse("MASKMOVDQU", (e) => {
    const data = e.rdV(0);
    const mask = e.let(e.rdV(1).reduce("i8x16.bitmask"));
    maskedStore(e, 16, mask, e.let(data.lane64(0)), e.let(data.lane64(1)));
  });
}
