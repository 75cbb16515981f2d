/** How much memory there is, and the map that INT 15h/E820h gives. ACPI 6, chapter 15. */
import type { FrameContext } from "./frame.ts";
import { readFile } from "./fwcfg.ts";
import { EBDA_SEGMENT, Private, PRIVATE_BASE } from "./layout.ts";

export const E820Type = { RAM: 1, RESERVED: 2, ACPI: 3, NVS: 4, UNUSABLE: 5 } as const;

export interface E820Entry {
  readonly start: number;
  readonly length: number;
  readonly type: number;
}

export function readCmos(c: FrameContext, index: number): number {
  c.outb(0x70, index);
  return c.inb(0x71);
}

export function writeCmos(c: FrameContext, index: number, value: number): void {
  c.outb(0x70, index);
  c.outb(0x71, value);
}

/** Bytes of RAM below 4 GiB, from CMOS 34h/35h (64 KiB above 16 MiB) or 30h/31h (KiB above 1 MiB). */
export function lowMemory(c: FrameContext): number {
  const above16 = readCmos(c, 0x34) | (readCmos(c, 0x35) << 8);
  if (above16 !== 0) return above16 * 0x10000 + 0x1000000;
  return (readCmos(c, 0x30) | (readCmos(c, 0x31) << 8)) * 1024 + 0x100000;
}

/** Bytes of RAM from 4 GiB on, from CMOS 5Bh–5Dh (64 KiB). */
export function highMemory(c: FrameContext): number {
  return (readCmos(c, 0x5b) | (readCmos(c, 0x5c) << 8) | (readCmos(c, 0x5d) << 16)) * 0x10000;
}

/** Adds `e`, cutting what was there before: the later entry wins. The result is sorted and merged. */
export function addRange(map: readonly E820Entry[], e: E820Entry): E820Entry[] {
  const end = e.start + e.length, out: E820Entry[] = [];
  for (const m of map) {
    const mEnd = m.start + m.length;
    if (mEnd <= e.start || m.start >= end) {
      out.push(m);
      continue;
    }
    if (m.start < e.start) out.push({ ...m, length: e.start - m.start });
    if (mEnd > end) out.push({ start: end, length: mEnd - end, type: m.type });
  }
  out.push(e);
  out.sort((a, b) => a.start - b.start);
  const merged: E820Entry[] = [];
  for (const m of out) {
    const last = merged.at(-1);
    if (last && last.type === m.type && last.start + last.length === m.start) {
      merged[merged.length - 1] = { ...last, length: last.length + m.length };
    } else merged.push(m);
  }
  return merged;
}

/**
 * Builds the map from fw_cfg's `etc/e820` or CMOS, with `reserved` bytes at the top of low RAM kept
 * for tables, and stores it. `chipset`: ranges of address space, end exclusive, that are the chip
 * set's own.
 */
export function buildMemoryMap(
  c: FrameContext,
  reserved: number,
  chipset: readonly (readonly [start: number, end: number])[] = [],
): void {
  let map: E820Entry[] = [];
  const low = lowMemory(c), high = highMemory(c);
  map = addRange(map, { start: 0, length: low, type: E820Type.RAM });
  if (high > 0) map = addRange(map, { start: 2 ** 32, length: high, type: E820Type.RAM });
  const raw = readFile(c, "etc/e820", 20 * 64);
  if (raw !== undefined) {
    const v = new DataView(raw.buffer, raw.byteOffset, raw.byteLength);
    for (let at = 0; at + 20 <= raw.length; at += 20) {
      map = addRange(map, {
        start: Number(v.getBigUint64(at, true)),
        length: Number(v.getBigUint64(at + 8, true)),
        type: v.getUint32(at + 16, true),
      });
    }
  }
  const ebda = EBDA_SEGMENT * 16;
  for (
    const [start, end] of [
      [ebda, 0xa0000],
      [0xf0000, 0x100000],
      [PRIVATE_BASE, 0xf0000],
      [0xfffc0000, 2 ** 32],
      [low - reserved, low],
      ...chipset,
    ]
  ) map = addRange(map, { start, length: end - start, type: E820Type.RESERVED });
  // The video and adapter area is no RAM, and nothing need be said about it.
  map = map.flatMap((m) => {
    const end = m.start + m.length;
    if (m.type !== E820Type.RAM || end <= 0xa0000 || m.start >= 0x100000) return [m];
    const parts: E820Entry[] = [];
    if (m.start < 0xa0000) parts.push({ ...m, length: 0xa0000 - m.start });
    if (end > 0x100000) parts.push({ start: 0x100000, length: end - 0x100000, type: m.type });
    return parts;
  });
  storeMemoryMap(c, map);
}

export function storeMemoryMap(c: FrameContext, map: readonly E820Entry[]): void {
  const count = Math.min(map.length, Private.e820Max);
  const bytes = new Uint8Array(20 * count), v = new DataView(bytes.buffer);
  for (let n = 0; n < count; n++) {
    v.setBigUint64(20 * n, BigInt(map[n].start), true);
    v.setBigUint64(20 * n + 8, BigInt(map[n].length), true);
    v.setUint32(20 * n + 16, map[n].type, true);
  }
  c.writeBytes(PRIVATE_BASE + Private.e820, bytes);
  c.write16(PRIVATE_BASE + Private.e820Count, count);
}
