/** What can be booted, in order: fw_cfg's `bootorder`, then CMOS 38h/3Dh (`-boot order=`). */
import type { FrameContext } from "./frame.ts";
import { readFile } from "./fwcfg.ts";
import { Private, PRIVATE_BASE } from "./layout.ts";
import { readCmos } from "./memory_map.ts";

export const BootType = { floppy: 1, disk: 2, cd: 3, bev: 4, halt: 5 } as const;

export interface BootEntry {
  readonly type: number;
  /** BIOS drive number, or index of the CD drive. */
  readonly drive: number;
  /** Of a bootstrap entry vector. */
  readonly segment: number;
  readonly offset: number;
  readonly priority: number;
  /** For the menu. */
  readonly text: string;
}

const at = (n: number) => PRIVATE_BASE + Private.bootList + n * Private.bootEntry;
const LAST = 9999;

/** Lines of `bootorder`; `HALT` at the end means that nothing else may be booted. */
export function bootOrder(c: FrameContext): string[] {
  const raw = readFile(c, "bootorder", 65536);
  if (raw === undefined) return [];
  return new TextDecoder().decode(raw).replaceAll("\0", "").split("\n").filter((l) => l !== "");
}

/** Place of a device path in the order, from 1; undefined when it is not named. */
export function pathPriority(order: readonly string[], path: string): number | undefined {
  const n = order.findIndex((o) => o !== "HALT" && pathMatches(o, path));
  return n < 0 ? undefined : n + 1;
}

/**
 * Whether one of two device paths is the other, or begins it. In `path` a component may have `*` in
 * place of the device's name.
 */
export function pathMatches(named: string, path: string): boolean {
  const a = named.split("/"), b = path.split("/"), common = Math.min(a.length, b.length);
  return a.slice(0, common).every((part, n) =>
    part === b[n] || (b[n].startsWith("*@") && part.slice(part.indexOf("@")) === b[n].slice(1))
  );
}

/** Priority of a class of devices from CMOS: nibbles of 3Dh and 38h, 1 floppy 2 disk 3 CD 4 network. */
export function classPriority(c: FrameContext, type: number): number {
  let nibbles = readCmos(c, 0x3d) | ((readCmos(c, 0x38) & 0xf0) << 4);
  for (let place = 101; place < 105; place++, nibbles >>= 4) {
    if ((nibbles & 15) === type) return place;
  }
  return LAST;
}

export function clearBootList(c: FrameContext): void {
  c.write8(PRIVATE_BASE + Private.bootCount, 0);
  c.write8(PRIVATE_BASE + Private.bootIndex, 0);
}

export function bootCount(c: FrameContext): number {
  return Math.min(c.read8(PRIVATE_BASE + Private.bootCount), Private.bootMax);
}

/** Inserts an entry behind all of the same or a better priority. */
export function addBootEntry(c: FrameContext, e: BootEntry): void {
  const list: BootEntry[] = [];
  for (let n = 0; n < bootCount(c); n++) list.push(readBootEntry(c, n));
  let n = list.findIndex((x) => x.priority > e.priority);
  if (n < 0) n = list.length;
  list.splice(n, 0, e);
  list.slice(0, Private.bootMax).forEach((x, k) => writeBootEntry(c, k, x));
  c.write8(PRIVATE_BASE + Private.bootCount, Math.min(list.length, Private.bootMax));
}

export function readBootEntry(c: FrameContext, n: number): BootEntry {
  const raw = new Uint8Array(Private.bootEntry);
  c.readBytes(at(n), raw);
  const v = new DataView(raw.buffer), text = raw.subarray(8), end = text.indexOf(0);
  return {
    type: raw[0],
    drive: raw[1],
    segment: v.getUint16(2, true),
    offset: v.getUint16(4, true),
    priority: v.getUint16(6, true),
    text: new TextDecoder().decode(text.subarray(0, end < 0 ? text.length : end)),
  };
}

function writeBootEntry(c: FrameContext, n: number, e: BootEntry): void {
  const raw = new Uint8Array(Private.bootEntry), v = new DataView(raw.buffer);
  raw[0] = e.type;
  raw[1] = e.drive;
  v.setUint16(2, e.segment, true);
  v.setUint16(4, e.offset, true);
  v.setUint16(6, e.priority, true);
  raw.set(new TextEncoder().encode(e.text).subarray(0, raw.length - 9), 8);
  c.writeBytes(at(n), raw);
}

/** Puts entry `n` first, as the menu does. */
export function promote(c: FrameContext, n: number): void {
  const e = readBootEntry(c, n);
  for (let k = n; k > 0; k--) writeBootEntry(c, k, readBootEntry(c, k - 1));
  writeBootEntry(c, 0, e);
}
