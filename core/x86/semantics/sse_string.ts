/** SSE4.2 string comparison: PCMPESTRI, PCMPESTRM, PCMPISTRI, PCMPISTRM. Intel SDM volume 1, 12.10. */
import { I32, type I64, V128 } from "../../wasm/expr.ts";
import { Gpr } from "../insn.ts";
import type { Emit } from "./emit.ts";
import { imm8, lanes, low32, setXmm, sse, ZERO } from "./sse_common.ts";

/** What the immediate asks for. */
interface Control {
  readonly shape: "i8x16" | "i16x8";
  /** Elements of a vector. */
  readonly count: 8 | 16;
  readonly signed: boolean;
  readonly aggregation: "any" | "ranges" | "each" | "ordered";
  /** Bits that are inverted: none, all, or those of valid elements. */
  readonly negate: "none" | "all" | "valid";
  /** Most significant index, or a mask of whole elements. */
  readonly upper: boolean;
}

function control(imm: number): Control {
  const words = (imm & 1) !== 0;
  return {
    shape: words ? "i16x8" : "i8x16",
    count: words ? 8 : 16,
    signed: (imm & 2) !== 0,
    aggregation: (["any", "ranges", "each", "ordered"] as const)[imm >> 2 & 3],
    negate: (imm & 0x10) === 0 ? "none" : imm & 0x20 ? "valid" : "all",
    upper: (imm & 0x40) !== 0,
  };
}

/** Length from a register: its magnitude, at most the number of elements. */
function explicitLength(e: Emit, reg: number, count: number): I32 {
  const bits = e.opSize === 64 ? 64 : 32;
  const v = e.gpr(reg, bits);
  const size = e.let(v.lt_s(0).select(v.neg(), v));
  const most = e.let(size.gt_u(count).select(size.constant(count), size));
  return bits === 64 ? e.let((most as unknown as I64).wrap()) : most as unknown as I32;
}

/** Length up to the first zero element. */
function implicitLength(e: Emit, v: V128, c: Control): I32 {
  const zeros = v.simd(`${c.shape}.eq`, ZERO).reduce(`${c.shape}.bitmask`);
  return e.let(zeros.or(1 << c.count).ctz());
}

/** Element `n` of `v` in every element. */
function broadcast(v: V128, c: Control, n: number): V128 {
  return v.shuffle(v, lanes(c.shape === "i8x16" ? 1 : 2, Array(c.count).fill(n)));
}

/** All ones when element `n` of a vector of length `length` is valid, else 0. */
const validMask = (length: I32, n: number): I32 => length.gt_u(n).neg();

/** One bit for each element of `b`. */
function aggregate(e: Emit, c: Control, a: V128, b: V128, la: I32, lb: I32): I32 {
  const all = (1 << c.count) - 1;
  const validB = e.let(I32.of(1).shl(lb).sub(1));
  const equal = (n: number): I32 =>
    broadcast(a, c, n).simd(`${c.shape}.eq`, b).reduce(`${c.shape}.bitmask`);
  let r: I32;
  switch (c.aggregation) {
    case "any":
      r = I32.of(0);
      for (let n = 0; n < c.count; n++) r = e.let(r.or(equal(n).and(validMask(la, n))));
      return e.let(r.and(validB));
    case "ranges": {
      const s = c.signed ? "s" : "u";
      r = I32.of(0);
      for (let n = 0; n < c.count; n += 2) {
        const inside = b.simd(`${c.shape}.ge_${s}`, broadcast(a, c, n))
          .and(b.simd(`${c.shape}.le_${s}`, broadcast(a, c, n + 1)));
        r = e.let(r.or(inside.reduce(`${c.shape}.bitmask`).and(validMask(la, n + 1))));
      }
      return e.let(r.and(validB));
    }
    case "each": {
      const validA = e.let(I32.of(1).shl(la).sub(1));
      const same = a.simd(`${c.shape}.eq`, b).reduce(`${c.shape}.bitmask`);
      // Elements beyond both ends are equal.
      return e.let(same.and(validA).and(validB).or(validA.or(validB).xor(all)));
    }
    case "ordered":
      r = I32.of(all);
      for (let n = 0; n < c.count; n++) {
        const beyond = all & ~(all >> n);
        const found = equal(n).and(validB).shr_u(n).or(I32.of(beyond));
        r = e.let(r.and(found.or(validMask(la, n).not())));
      }
      return r;
  }
}

function compareStrings(explicit: boolean, index: boolean): (e: Emit) => void {
  return (e) => {
    const c = control(imm8(e));
    const b = e.let(e.rdV(1)), a = e.rdV(0);
    const la = explicit ? explicitLength(e, Gpr.RAX, c.count) : implicitLength(e, a, c);
    const lb = explicit ? explicitLength(e, Gpr.RDX, c.count) : implicitLength(e, b, c);
    let r = aggregate(e, c, a, b, la, lb);
    if (c.negate === "all") r = e.let(r.xor((1 << c.count) - 1));
    else if (c.negate === "valid") r = e.let(r.xor(I32.of(1).shl(lb).sub(1)));
    if (index) {
      const found = c.upper ? I32.of(31).sub(r.clz()) : r.ctz();
      e.setGpr(Gpr.RCX, 32, e.let(r.eqz().select(I32.of(c.count), found)));
    } else writeMask(e, c, r);
    e.flagsAll(
      e.let(
        r.ne(0).or(lb.lt_u(c.count).shl(6)).or(la.lt_u(c.count).shl(7)).or(r.and(1).shl(11)),
      ),
    );
  };
}

/** XMM0: the bits, or elements of all ones where a bit is set. */
function writeMask(e: Emit, c: Control, r: I32): void {
  if (!c.upper) return setXmm(e, 0, low32(r));
  const bytes = c.shape === "i8x16";
  const bit = bytes
    ? V128.of(0x8040201008040201n, 0x8040201008040201n)
    : V128.of(0x0008000400020001n, 0x0080004000200010n);
  // Bits of the upper eight bytes come from the second byte of the mask.
  const spread = bytes
    ? low32(r).shuffle(ZERO, [0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1])
    : r.splat("i16x8");
  setXmm(e, 0, spread.and(bit).simd(`${c.shape}.eq`, bit));
}

export function sseStringSemantics(): void {
  const opts = { byImmediate: true };
  sse("PCMPESTRI", compareStrings(true, true), opts);
  sse("PCMPESTRM", compareStrings(true, false), opts);
  sse("PCMPISTRI", compareStrings(false, true), opts);
  sse("PCMPISTRM", compareStrings(false, false), opts);
}
