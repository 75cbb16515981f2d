/** SSE to SSE4.1 data movement: moves, shuffles, inserts and extracts, MXCSR. Intel SDM volume 2. */
import { type AnyInt, I32, type I64, type V128 } from "../../wasm/expr.ts";
import * as S from "../state.ts";
import { Vec } from "../state.ts";
import type { Emit } from "./emit.ts";
import {
  either,
  imm8,
  lanes,
  low32,
  low64,
  rdAligned,
  rdMm,
  sse,
  wrAligned,
  wrGpr,
  wrMm,
  ZERO,
} from "./sse_common.ts";

/** Bits of MXCSR that exist; setting another raises #GP(0). */
export const MXCSR_MASK = 0xffff;

/** MOVSS, MOVSD: between registers the upper part stays, a load clears it. */
function moveScalar(bytes: 4 | 8): (e: Emit) => void {
  return (e) => {
    const v = e.rdLow(1, bytes);
    if (e.isMem(1)) e.wrV(0, bytes === 8 ? low64(v as I64) : low32(v as I32));
    else e.wrLow(0, v as AnyInt, bytes);
  };
}

/** MOVLPS, MOVLPD, MOVHPS, MOVHPD: one half of a register and memory. */
function moveHalf(half: 0 | 1): (e: Emit) => void {
  return (e) => {
    if (e.isMem(0)) {
      if (half === 0) e.wrLow(0, e.rdLow(1, 8), 8);
      else e.wrLow(0, e.let(e.rdV(1).lane64(1)), 8);
    } else if (half === 0) e.wrLow(0, e.rdLow(1, 8), 8);
    else {
      const v = e.rdLow(1, 8);
      e.wrV(0, e.rdV(0).withLane("i64x2", 1, v));
    }
  };
}

/** Lane order of four from an immediate of 2-bit fields. */
const fields = (imm: number): number[] => [imm & 3, imm >> 2 & 3, imm >> 4 & 3, imm >> 6 & 3];

function pshufw(e: Emit): void {
  const v = rdMm(e, 1);
  const order = lanes(2, fields(imm8(e)));
  wrMm(e, 0, v.shuffle(v, [...order, ...order]));
}

/** Shuffles of one source. */
function shuffle1(order: (e: Emit) => number[]): (e: Emit) => void {
  return (e) => {
    const v = e.let(rdAligned(e, 1));
    e.wrV(0, v.shuffle(v, order(e)));
  };
}

const PSHUF: Record<string, (imm: number) => number[]> = {
  PSHUFD: (imm) => lanes(4, fields(imm)),
  PSHUFLW: (imm) => lanes(2, [...fields(imm), 4, 5, 6, 7]),
  PSHUFHW: (imm) => lanes(2, [0, 1, 2, 3, ...fields(imm).map((n) => n + 4)]),
};

/** Shuffles of two sources by an immediate: lane numbers of a, then of b. */
export const SHUFFLES: Record<string, (imm: number) => number[]> = {
  SHUFPS: (imm) => lanes(4, fields(imm).map((n, i) => i < 2 ? n : n + 4)),
  SHUFPD: (imm) => lanes(8, [imm & 1, 2 + (imm >> 1 & 1)]),
  // Immediate bits choose b.
  BLENDPS: (imm) => lanes(4, [0, 1, 2, 3].map((n) => imm >> n & 1 ? n + 4 : n)),
  BLENDPD: (imm) => lanes(8, [0, 1].map((n) => imm >> n & 1 ? n + 2 : n)),
  PBLENDW: (imm) => lanes(2, [0, 1, 2, 3, 4, 5, 6, 7].map((n) => imm >> n & 1 ? n + 8 : n)),
};

function shuffle2(order: (imm: number) => number[]): (e: Emit) => void {
  return (e) => {
    const b = rdAligned(e, 1);
    e.wrV(0, e.rdV(0).shuffle(b, order(imm8(e))));
  };
}

/** Bytes `n`… of a vector followed by zeros. */
function bytesRight(v: V128, n: number): V128 {
  if (n > 15) return ZERO;
  return v.shuffle(ZERO, Array.from({ length: 16 }, (_, i) => Math.min(i + n, 16)));
}
function bytesLeft(v: V128, n: number): V128 {
  if (n > 15) return ZERO;
  return v.shuffle(ZERO, Array.from({ length: 16 }, (_, i) => i < n ? 16 : i - n));
}

/** PALIGNR: 16 bytes of a:b from byte `n`. */
export function alignRight(a: V128, b: V128, n: number): V128 {
  if (n >= 16) return bytesRight(a, n - 16);
  return b.shuffle(a, Array.from({ length: 16 }, (_, i) => i + n));
}

type InsertShape = "i8x16" | "i16x8" | "i32x4" | "i64x2";

function insert(shape: InsertShape, mask: number): (e: Emit) => void {
  return (e) => {
    const v = shape === "i64x2" ? e.rd(1, 64) : e.isMem(1) ? e.rd(1) : e.rd(1, 32);
    e.wrV(0, e.rdV(0).withLane(shape, imm8(e) & mask, v));
  };
}

function extract(shape: "i8x16" | "i16x8" | "i32x4", mask: number): (e: Emit) => void {
  return (e) => {
    const v = e.let(e.rdV(1).lane32(imm8(e) & mask, shape));
    if (e.isMem(0)) e.wr(0, v);
    else wrGpr(e, 0, v);
  };
}

export function sseMoveSemantics(): void {
  sse(
    ["MOVAPS", "MOVAPD", "MOVDQA"],
    (e) => wrAligned(e, 0, e.isMem(0) ? e.rdV(1) : rdAligned(e, 1)),
  );
  sse(["MOVUPS", "MOVUPD", "MOVDQU", "LDDQU"], (e) => e.wrV(0, e.rdV(1)));
  sse(["MOVNTPS", "MOVNTPD", "MOVNTDQ"], (e) => wrAligned(e, 0, e.rdV(1)));
  sse("MOVNTDQA", (e) => e.wrV(0, rdAligned(e, 1)));
  sse("MOVSS", moveScalar(4));
  sse("MOVSD", moveScalar(8));
  sse("MOVNTSS", moveScalar(4));
  sse("MOVNTSD", moveScalar(8));
  sse(["MOVLPS", "MOVLPD"], moveHalf(0));
  sse(["MOVHPS", "MOVHPD"], moveHalf(1));
  sse("MOVHLPS", (e) => e.wrLow(0, e.let(e.rdV(1).lane64(1)), 8));
  sse("MOVLHPS", (e) => e.wrV(0, e.rdV(0).withLane("i64x2", 1, e.rdLow(1, 8))));
  sse("MOVSLDUP", shuffle1(() => lanes(4, [0, 0, 2, 2])));
  sse("MOVSHDUP", shuffle1(() => lanes(4, [1, 1, 3, 3])));
  sse("MOVDDUP", (e) => e.wrV(0, e.rdLow(1, 8).splat()));

  either("PSHUFW", pshufw, pshufw, { byImmediate: true });
  for (const [name, order] of Object.entries(PSHUF)) {
    sse(name, shuffle1((e) => order(imm8(e))), { byImmediate: true });
  }
  for (const [name, order] of Object.entries(SHUFFLES)) {
    sse(name, shuffle2(order), { byImmediate: true });
  }
  sse("PSRLDQ", (e) => e.wrV(0, bytesRight(e.rdV(0), imm8(e))), { byImmediate: true });
  sse("PSLLDQ", (e) => e.wrV(0, bytesLeft(e.rdV(0), imm8(e))), { byImmediate: true });
  either("PALIGNR", (e) => {
    const b = e.rdLow(1, 8), a = e.rdLow(0, 8);
    const both = e.let(b.splat().withLane("i64x2", 1, a));
    wrMm(e, 0, bytesRight(both, imm8(e)));
  }, (e) => {
    const b = rdAligned(e, 1);
    e.wrV(0, alignRight(e.rdV(0), b, imm8(e)));
  }, { byImmediate: true });

  const wordMm = (e: Emit) => {
    const v = e.isMem(1) ? e.rd(1) : e.rd(1, 32);
    wrMm(e, 0, rdMm(e, 0).withLane("i16x8", imm8(e) & 3, v));
  };
  either("PINSRW", wordMm, insert("i16x8", 7), { byImmediate: true });
  sse("PINSRB", insert("i8x16", 15), { byImmediate: true });
  sse("PINSRD", insert("i32x4", 3), { byImmediate: true });
  sse("PINSRQ", insert("i64x2", 1), { byImmediate: true });
  either(
    "PEXTRW",
    (e) => wrGpr(e, 0, e.let(rdMm(e, 1).lane32(imm8(e) & 3, "i16x8"))),
    extract("i16x8", 7),
    { byImmediate: true },
  );
  sse("PEXTRB", extract("i8x16", 15), { byImmediate: true });
  sse(["PEXTRD", "EXTRACTPS"], extract("i32x4", 3), { byImmediate: true });
  sse("PEXTRQ", (e) => e.wr(0, e.let(e.rdV(1).lane64(imm8(e) & 1)) as AnyInt), {
    byImmediate: true,
  });
  sse("INSERTPS", insertps, { byImmediate: true });

  either(
    "PMOVMSKB",
    (e) => wrGpr(e, 0, e.let(rdMm(e, 1).reduce("i8x16.bitmask").and(0xff))),
    (e) => wrGpr(e, 0, e.let(e.rdV(1).reduce("i8x16.bitmask"))),
  );
  sse("MOVMSKPS", (e) => wrGpr(e, 0, e.let(e.rdV(1).reduce("i32x4.bitmask"))));
  sse("MOVMSKPD", (e) => wrGpr(e, 0, e.let(e.rdV(1).reduce("i64x2.bitmask"))));

  sse("LDMXCSR", (e) => {
    const v = e.rd32(0);
    e.raiseIf(v.and(~MXCSR_MASK).ne(0), Vec.GP, I32.of(0));
    e.setField(4, S.MXCSR, v);
  });
  sse("STMXCSR", (e) => e.wr(0, e.field32(S.MXCSR)));
}

/** INSERTPS: one lane of the source (or the memory operand), then lanes cleared by bits 3:0. */
function insertps(e: Emit): void {
  const imm = imm8(e);
  const v = e.isMem(1) ? e.rd32(1) : e.let(e.rdV(1).lane32(imm >> 6));
  let r: V128 = e.rdV(0).withLane("i32x4", imm >> 4 & 3, v);
  for (let n = 0; n < 4; n++) if (imm >> n & 1) r = r.withLane("i32x4", n, I32.of(0));
  e.wrV(0, r);
}
