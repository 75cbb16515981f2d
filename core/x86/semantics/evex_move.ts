/** AVX-512 data movement: moves under a mask, broadcasts, parts of vectors, masks to and from vectors. SDM volume 2. */
import { type I32, type I64, V128 } from "../../wasm/expr.ts";
import { avx, laneCount, loadLanes, rdLanes, wrLanes } from "./avx_common.ts";
import type { Emit } from "./emit.ts";
import { loadSource, maskVector, storeMasked, wrMask } from "./evex.ts";
import { imm8, lanes, ZERO } from "./sse_common.ts";

const BY_IMMEDIATE = { byImmediate: true };

/** VMOVSS, VMOVSD: the upper part comes from the first source, or is 0 with a load. */
function moveScalar(bytes: 4 | 8): (e: Emit) => void {
  const shape = bytes === 8 ? "i64x2" : "i32x4";
  return (e) => {
    if (e.isMem(0)) return storeMasked(e, 0, bytes, false, () => [e.rdV(1)]);
    if (e.isMem(1)) return wrLanes(e, 0, loadSource(e, 1, bytes, false));
    const v = e.rdV(2);
    const low = bytes === 8 ? v.lane64(0) : v.lane32(0);
    wrLanes(e, 0, [e.let(e.rdV(1).withLane(shape, 0, low))]);
  };
}

/** The low `bytes` of operand 1, memory or register, again and again. */
function broadcastPart(bytes: 8 | 16 | 32): (e: Emit) => void {
  return (e) => {
    const m = e.masking!, count = laneCount(e, 0);
    let part: V128[];
    if (!e.isMem(1)) part = [e.rdV(1)];
    else {
      // The mask is that of the result: the memory is needed when any element is.
      const r = Array.from({ length: Math.max(1, bytes >> 4) }, () => e.local("v128"));
      const read = () => whole(e, bytes).forEach((v, l) => r[l].set(v));
      if (m.bits === undefined) read();
      else {
        r.forEach((v) => v.set(ZERO));
        const any = m.count === 64 ? m.bits : m.bits.and((1n << BigInt(m.count)) - 1n);
        e.f.if(any.ne(0), read);
      }
      part = r.map((v) => v.get());
    }
    if (bytes === 8) part = [e.let(part[0].shuffle(part[0], lanes(8, [0, 0])))];
    wrLanes(e, 0, Array.from({ length: count }, (_, l) => part[l % part.length]));
  };
}

/** `bytes` of memory operand 1 whatever the mask. */
function whole(e: Emit, bytes: number): V128[] {
  const { masking } = e;
  e.masking = { ...masking!, bits: undefined };
  const v = bytes >= 16 ? loadLanes(e, 1) : loadSource(e, 1, bytes, false);
  e.masking = masking;
  return v;
}

/** One element of memory or of a register, in all lanes. */
function broadcast(bytes: 1 | 2 | 4 | 8): (e: Emit) => void {
  return (e) => {
    const m = e.masking, count = laneCount(e, 0);
    const fromMemory = (): V128 => {
      const x = e.load(e.lin(1, bytes, false), bytes);
      return bytes === 8
        ? (x as unknown as I64).splat()
        : (x as unknown as I32).splat(bytes === 4 ? "i32x4" : bytes === 2 ? "i16x8" : "i8x16");
    };
    const v = e.local("v128");
    if (!e.isMem(1)) {
      const x = e.rdV(1);
      v.set(x.shuffle(x, lanes(bytes, new Array(16 / bytes).fill(0))));
    } else if (m?.bits === undefined) v.set(fromMemory());
    else {
      const any = m.count === 64 ? m.bits : m.bits.and((1n << BigInt(m.count)) - 1n);
      v.set(ZERO);
      e.f.if(any.ne(0), () => v.set(fromMemory()));
    }
    wrLanes(e, 0, Array(count).fill(v.get()));
  };
}

/** A general register in all elements. */
function broadcastGpr(bytes: 1 | 2 | 4 | 8): (e: Emit) => void {
  return (e) => {
    const v = bytes === 8
      ? (e.rd(1, 64) as unknown as I64).splat()
      : e.rd32(1).splat(bytes === 4 ? "i32x4" : bytes === 2 ? "i16x8" : "i8x16");
    wrLanes(e, 0, Array(laneCount(e, 0)).fill(e.let(v)));
  };
}

/** Lanes of a vector replaced by those of the shorter second source. */
function insertPart(e: Emit): void {
  const part = rdLanes(e, 2), v = rdLanes(e, 1);
  const at = imm8(e) % (v.length / part.length) * part.length;
  wrLanes(e, 0, v.map((x, l) => l >= at && l < at + part.length ? part[l - at] : x));
}

function extractPart(e: Emit): void {
  const count = e.isMem(0) ? e.operands[0].size >> 7 : laneCount(e, 0);
  const at = imm8(e) % (laneCount(e, 1) / count) * count;
  wrLanes(e, 0, Array.from({ length: count }, (_, l) => e.rdPart(1, 16 * (at + l), 16)));
}

/** Elements of the second source where the mask is set, of the first elsewhere. */
function blend(e: Emit): void {
  const b = rdLanes(e, 2), m = e.masking!;
  if (m.bits === undefined || m.zeroing) return wrLanes(e, 0, b);
  const a = rdLanes(e, 1), per = 16 / m.row.element;
  const r = b.map((x, l) => e.let(x.bitselect(a[l], maskVector(m.bits!, l * per, m.row.element))));
  e.masking = { ...m, bits: undefined };
  wrLanes(e, 0, r);
}

/** Masks as elements of ones. */
function fromMask(bytes: 1 | 2 | 4 | 8): (e: Emit) => void {
  return (e) => {
    const bits = e.rdPart(1, 0, 8) as I64;
    const v = Array.from(
      { length: laneCount(e, 0) },
      (_, l) => e.let(maskVector(bits, l * 16 / bytes, bytes)),
    );
    wrLanes(e, 0, v);
  };
}

function toMask(e: Emit): void {
  wrMask(e, 0, rdLanes(e, 1));
}

/** A mask as a number in every element. */
function broadcastMask(bytes: 4 | 8): (e: Emit) => void {
  return (e) => {
    const bits = e.rdPart(1, 0, 8) as I64;
    const v = bytes === 8 ? bits.and(0xff).splat() : bits.wrap().and(0xffff).splat("i32x4");
    wrLanes(e, 0, Array(laneCount(e, 0)).fill(e.let(v)));
  };
}

/** VMOVDDUP: even quadwords twice. */
function duplicate(e: Emit): void {
  if (e.operands[1].size === 64 && e.isMem(1)) {
    return wrLanes(e, 0, [e.let((e.rdLow(1, 8) as I64).splat())]);
  }
  wrLanes(e, 0, rdLanes(e, 1).map((x) => e.let(x.shuffle(x, lanes(8, [0, 0])))));
}

export function evexMoveSemantics(): void {
  const move = (aligned: boolean) => (e: Emit) =>
    wrLanes(e, 0, e.isMem(1) ? loadLanes(e, 1, aligned) : rdLanes(e, 1), aligned);
  avx(["VMOVDQA32", "VMOVDQA64"], move(true));
  avx(["VMOVDQU8", "VMOVDQU16", "VMOVDQU32", "VMOVDQU64"], move(false));
  avx("VMOVSS_EVEX", moveScalar(4));
  avx("VMOVSD_EVEX", moveScalar(8));
  avx("VMOVDDUP", duplicate);

  avx("VBROADCASTSS", broadcast(4));
  avx("VBROADCASTSD", broadcast(8));
  for (const [s, bytes] of [["B", 1], ["W", 2], ["D", 4], ["Q", 8]] as const) {
    avx(`VPBROADCAST${s}`, broadcast(bytes));
    avx(`VPBROADCAST${s}_R`, broadcastGpr(bytes));
    avx(`VPMOVM2${s}`, fromMask(bytes));
    avx(`VPMOV${s}2M`, toMask);
    avx(`VPBLENDM${s}`, blend);
  }
  avx(["VBLENDMPS", "VBLENDMPD"], blend);
  avx("VPBROADCASTMB2Q", broadcastMask(8));
  avx("VPBROADCASTMW2D", broadcastMask(4));
  for (const t of ["F", "I"]) {
    avx(`VBROADCAST${t}32X2`, broadcastPart(8));
    for (
      const [parts, bytes] of [["32X4", 16], ["64X2", 16], ["32X8", 32], ["64X4", 32]] as const
    ) {
      avx(`VBROADCAST${t}${parts}`, broadcastPart(bytes));
      avx(`VINSERT${t}${parts}`, insertPart, BY_IMMEDIATE);
      avx(`VEXTRACT${t}${parts}`, extractPart, BY_IMMEDIATE);
    }
  }
}
