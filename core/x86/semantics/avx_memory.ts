/**
 * AVX and AVX2 accesses of single elements: masked loads and stores, which do not fault on elements
 * left out, and gathers, which keep what they have done when they do. None of them checks alignment.
 * Intel SDM volume 2.
 */
import { type AnyInt, I32, type V128 } from "../../wasm/expr.ts";
import type { MemOperand } from "../insn.ts";
import * as S from "../state.ts";
import {
  avx,
  elementAddress,
  laneCount,
  loadLanes,
  maskBit,
  rdLanes,
  signBits,
  withElement,
  wrLanes,
} from "./avx_common.ts";
import { Emit } from "./emit.ts";
import { ZERO } from "./sse_common.ts";

/** Elements of operand 2 whose mask bit in operand 1 is set; zeros elsewhere. */
function maskedLoad(bytes: 4 | 8): (e: Emit) => void {
  return (e) => {
    const count = laneCount(e, 0), per = 16 / bytes;
    const masks = signBits(e, rdLanes(e, 1), bytes);
    const r = masks.map(() => e.local("v128"));
    const all = (1 << per) - 1;
    e.f.if(
      masks.map((m) => m.eq(all)).reduce((x, y) => x.and(y)),
      () => loadLanes(e, 2).forEach((v, l) => r[l].set(v)),
      () => {
        for (const v of r) v.set(ZERO);
        const ea = e.ea(2);
        for (let n = 0; n < count * per; n++) {
          e.f.if(maskBit(masks, n, bytes), () => {
            const at = elementAddress(e, 2, ea, n * bytes, bytes, false);
            const v = r[Math.floor(n / per)];
            v.set(withElement(v.get(), n, bytes, e.load(at, bytes, 1)));
          });
        }
      },
    );
    wrLanes(e, 0, r.map((v) => v.get()));
  };
}

/** Elements of operand 2 whose mask bit in operand 1 is set, to memory. */
function maskedStore(bytes: 4 | 8): (e: Emit) => void {
  return (e) => {
    const count = laneCount(e, 2), per = 16 / bytes;
    const masks = signBits(e, rdLanes(e, 1), bytes), v = rdLanes(e, 2), ea = e.ea(0);
    const each = (f: (n: number, at: ReturnType<Emit["lin"]>) => void) => {
      for (let n = 0; n < count * per; n++) {
        e.f.if(
          maskBit(masks, n, bytes),
          () => f(n, elementAddress(e, 0, ea, n * bytes, bytes, true)),
        );
      }
    };
    // All faults come before the first element is stored.
    each((_, at) => e.probeAs(at, bytes, "w", false, 1));
    each((n, at) => {
      const x = v[Math.floor(n / per)];
      const part: AnyInt = bytes === 8 ? x.lane64(n % per) : x.lane32(n % per);
      e.store(at, part, bytes, false, 1);
    });
  };
}

/** The sum of base and displacement of a memory operand with a vector index. */
export function baseAddress(e: Emit, n: number): AnyInt {
  const m = e.operands[n] as MemOperand;
  const slots = { ...e.slots, index: -1 };
  const view = { ...e.i, operands: [{ ...m, index: -1 }] };
  return new Emit(e.f, view, e.mode, e.host, slots).ea(0);
}

/**
 * Elements of `bytes` at the addresses that a vector of signed indices gives, where the mask's sign is
 * set. Each element is complete, and its mask cleared, before the next is begun.
 */
function gather(bytes: 4 | 8, indexBytes: 4 | 8): (e: Emit) => void {
  return (e) => {
    const m = e.operands[1] as MemOperand;
    const bits = e.i.vectorBits;
    const count = bits / 8 / Math.max(bytes, indexBytes), lanes = laneCount(e, 0);
    const base = baseAddress(e, 1), wide = base.type === "i64";
    const masks = rdLanes(e, 2);
    const chosen = signBits(e, masks, bytes);
    const shape = bytes === 8 ? "i64x2" : "i32x4";
    // What processors have done when the first element faults.
    if (lanes === 1) { for (const n of [0, 2]) e.wrPart(n, 16, ZERO, 16); }
    for (let l = 0; l < lanes; l++) {
      const signs = bytes === 8 ? I32.of(63) : I32.of(31);
      e.wrPart(2, 16 * l, e.let(masks[l].simd(`${shape}.shr_s`, signs)), 16);
    }
    const index = S.XMM + S.XMM_SIZE * m.index;
    for (let n = 0; n < count; n++) {
      e.f.if(maskBit(chosen, n, bytes), () => {
        let i: AnyInt;
        if (!wide) i = e.field32(index + indexBytes * n);
        else if (indexBytes === 8) i = e.field64(index + 8 * n);
        else i = e.field32(index + 4 * n).extend_s();
        const ea = e.let(base.add(i.shl(m.scale) as never));
        const v = e.load(elementAddress(e, 1, ea, 0, bytes, false), bytes, 1);
        e.wrPart(0, bytes * n, v, bytes);
        e.wrPart(2, bytes * n, v.constant(0), bytes);
      });
    }
    const done = bytes * count;
    let r: V128[] = Array.from({ length: lanes }, (_, l) => e.rdPart(0, 16 * l, 16));
    if (done === 8) r = [r[0].shuffle(ZERO, [0, 1, 2, 3, 4, 5, 6, 7, ...Array(8).fill(16)])];
    wrLanes(e, 0, r);
    wrLanes(e, 2, [ZERO]);
  };
}

export function avxMemorySemantics(): void {
  for (
    const [names, bytes] of [["VMASKMOVPS VPMASKMOVD", 4], ["VMASKMOVPD VPMASKMOVQ", 8]] as const
  ) {
    const loads = maskedLoad(bytes), stores = maskedStore(bytes);
    avx(names.split(" "), (e) => (e.isMem(0) ? stores : loads)(e));
  }
  avx(["VGATHERDPS", "VPGATHERDD"], gather(4, 4));
  avx(["VGATHERDPD", "VPGATHERDQ"], gather(8, 4));
  avx(["VGATHERQPS", "VPGATHERQD"], gather(4, 8));
  avx(["VGATHERQPD", "VPGATHERQQ"], gather(8, 8));
}
