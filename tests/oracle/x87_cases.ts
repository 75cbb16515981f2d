/** Random and edge operands for x87 instructions, from a seed. */
import { Case, MEMORY_BYTES } from "./x87_native.ts";

export class Random {
  #s: number;
  constructor(seed: number) {
    this.#s = seed | 0 || 1;
  }
  /** 32 bits, unsigned. */
  u32(): number {
    // Mulberry32.
    let t = this.#s = (this.#s + 0x6d2b79f5) | 0;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return (t ^ (t >>> 14)) >>> 0;
  }
  below(n: number): number {
    return this.u32() % n;
  }
  u64(): bigint {
    return (BigInt(this.u32()) << 32n) | BigInt(this.u32());
  }
  pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)];
  }
  /** 64 bits with long runs of zeros and ones. */
  sparse(): bigint {
    switch (this.below(5)) {
      case 0:
        return this.u64();
      case 1:
        return BigInt.asUintN(64, -1n << BigInt(this.below(64)));
      case 2:
        return (1n << BigInt(this.below(64))) | (1n << BigInt(this.below(64)));
      case 3:
        return this.u64() & BigInt.asUintN(64, -1n << BigInt(this.below(64)));
      default:
        return BigInt.asUintN(64, (this.u64() & this.u64() & this.u64()) - BigInt(this.below(3)));
    }
  }
}

const EDGE_LOW = [
  0n,
  1n,
  1n << 63n,
  (1n << 63n) | 1n,
  3n << 62n,
  (3n << 62n) | 1n,
  (1n << 64n) - 1n,
  (1n << 63n) - 1n,
  1n << 62n,
  (1n << 62n) - 1n,
  0xfffffffffffff800n,
  0xfffffffffffffc00n,
  0xffffff0000000000n,
  0xffffff8000000000n,
];
const EDGE_HIGH = [0, 1, 2, 0x3ffe, 0x3fff, 0x4000, 0x7ffe, 0x7fff, 0x403e, 0x403d, 0x3fbf, 0x3fc0];

/** Any 80-bit pattern, with what matters made frequent. */
export function randomExt(r: Random): { h: number; l: bigint } {
  const sign = r.below(2) << 15;
  switch (r.below(12)) {
    case 0:
    case 1:
      return { h: sign | r.pick(EDGE_HIGH), l: r.pick(EDGE_LOW) };
    case 2:
      return { h: r.u32() & 0xffff, l: r.u64() };
    case 3: // small exponents
      return { h: sign | r.below(80), l: r.sparse() | (r.below(4) ? 1n << 63n : 0n) };
    case 4: // large exponents
      return { h: sign | (0x7fff - r.below(80)), l: r.sparse() | (1n << 63n) };
    case 5: // near the range of double and single
      return {
        h: sign |
          (0x3fff + r.pick([-1022, -1075, 1023, -126, -150, 127, 15, 31, 63]) + r.below(5) - 2),
        l: r.sparse() | (1n << 63n),
      };
    case 6: // a double
      return {
        h: sign | (0x3fff + r.below(2000) - 1000),
        l: (r.sparse() & ~0x7ffn) | (1n << 63n),
      };
    case 7: // an integer
      return integer(r, sign);
    case 8:
      return { h: sign, l: r.below(2) ? r.sparse() & ((1n << 63n) - 1n) : 0n };
    case 9:
      return { h: sign | 0x7fff, l: r.sparse() | (1n << 63n) };
    default:
      return { h: sign | (0x3fff + r.below(140) - 70), l: r.sparse() | (1n << 63n) };
  }
}

function integer(r: Random, sign: number): { h: number; l: bigint } {
  let v = r.u64() >> BigInt(r.below(64));
  if (v === 0n) return { h: sign, l: 0n };
  let h = 0x403e;
  while (v < 1n << 63n) {
    v <<= 1n;
    h--;
  }
  return { h: sign | h, l: v };
}

export interface CaseOptions {
  /** Probability in 1/64 that a register is empty. */
  readonly emptiness: number;
  /** Unmask exceptions at random. */
  readonly unmasked: boolean;
  /** Fills the memory operand; the default is edge-rich 80-bit, double and single patterns. */
  readonly memory?: (r: Random, view: DataView, at: number) => void;
  /** Makes ST(0) and ST(1); the default is {@link randomExt}. */
  readonly operands?: (r: Random) => readonly { h: number; l: bigint }[];
}

/** Writes a random case at `at`. */
export function makeCase(
  r: Random,
  u8: Uint8Array,
  view: DataView,
  at: number,
  o: CaseOptions,
): void {
  u8.fill(0, at, at + 512);
  const rc = r.below(4) << 10, pc = r.below(4) << 8;
  const masks = o.unmasked ? r.u32() & r.u32() & 0x3f ^ 0x3f : 0x3f;
  view.setUint16(at, masks | (r.below(2) ? 0x300 | (r.below(2) ? rc : 0) : rc | pc) | 0x40, true);
  // Flags that are set but masked, condition codes and any TOP.
  const old = r.below(4) ? 0 : r.u32() & masks;
  view.setUint16(at + 2, (r.u32() & 0x7f40 & (r.below(2) ? -1 : ~0x40)) | old, true);
  let tags = 0;
  for (let n = 0; n < 8; n++) if (r.below(64) >= o.emptiness) tags |= 1 << n;
  // Half of the cases leave room for pushing.
  const top = (view.getUint16(at + 2, true) >> 11) & 7;
  if (r.below(2)) tags &= ~(1 << ((top + 7) & 7)) & ~(1 << ((top + 6) & 7));
  u8[at + 4] = tags;
  view.setUint32(at + 24, 0x1f80, true);
  const given = o.operands?.(r) ?? [];
  for (let i = 0; i < 8; i++) {
    const v = given[i] ?? randomExt(r);
    view.setBigUint64(at + 32 + 16 * i, v.l, true);
    view.setUint16(at + 40 + 16 * i, v.h, true);
  }
  // Operands that nearly cancel.
  if (!given.length && r.below(8) === 0) {
    const h = view.getUint16(at + 40, true), l = view.getBigUint64(at + 32, true);
    const e = Math.max(0, Math.min(0x7fff, (h & 0x7fff) + r.below(5) - 2));
    view.setUint16(at + 56, e | (r.below(2) << 15), true);
    if (r.below(2)) {
      view.setBigUint64(at + 48, BigInt.asUintN(64, l + BigInt(r.below(5) - 2)), true);
    }
  }
  view.setBigUint64(at + Case.FLAGS, BigInt(2 | (r.u32() & 0x8d5)), true);
  view.setBigUint64(at + Case.RAX, r.u64(), true);
  for (let i = 0; i < MEMORY_BYTES; i += 8) view.setBigUint64(at + Case.MEMORY + i, 0n, true);
  (o.memory ?? randomMemory)(r, view, at + Case.MEMORY);
}

/** An environment or FNSAVE image without much sense. */
export function randomEnvironment(r: Random, view: DataView, at: number): void {
  for (let i = 0; i < MEMORY_BYTES; i += 4) view.setUint32(at + i, r.u32(), true);
}

/** A double, single, integer or extended pattern. */
export function randomMemory(r: Random, view: DataView, at: number): void {
  switch (r.below(5)) {
    case 0: {
      const e = r.pick([0, 1, 2, 0x3ff, 0x400, 0x7fe, 0x7ff, r.below(2048)]);
      const f = r.sparse() & ((1n << 52n) - 1n);
      view.setBigUint64(
        at,
        (BigInt(r.below(2)) << 63n) | (BigInt(e) << 52n) | (r.below(6) ? f : 0n),
        true,
      );
      break;
    }
    case 1: {
      const e = r.pick([0, 1, 2, 127, 128, 254, 255, r.below(256)]);
      const f = Number(r.sparse() & 0x7fffffn);
      view.setUint32(at, ((r.below(2) << 31) | (e << 23) | (r.below(6) ? f : 0)) >>> 0, true);
      view.setUint32(at + 4, r.u32(), true);
      break;
    }
    case 2:
      view.setBigInt64(at, BigInt.asIntN(64, r.sparse()) >> BigInt(r.below(64)), true);
      break;
    case 3: {
      // Packed decimal.
      for (let i = 0; i < 10; i++) view.setUint8(at + i, r.below(10) * 16 + r.below(10));
      if (r.below(4)) view.setUint8(at + 9, r.below(2) << 7);
      break;
    }
    default: {
      const v = randomExt(r);
      view.setBigUint64(at, v.l, true);
      view.setUint16(at + 8, v.h, true);
    }
  }
}
