/** A client of the firmware configuration device: QEMU's docs/specs/fw_cfg.rst. */
import type { FrameContext } from "./frame.ts";
import { Private, PRIVATE_BASE } from "./layout.ts";

const SELECTOR = 0x510, DATA = 0x511, DMA = 0x514;
const ID_DMA = 2;

export const FwCfg = {
  signature: 0x00,
  id: 0x01,
  uuid: 0x02,
  noGraphic: 0x04,
  nbCpus: 0x05,
  kernelAddr: 0x07,
  kernelSize: 0x08,
  initrdAddr: 0x0a,
  initrdSize: 0x0b,
  bootMenu: 0x0e,
  maxCpus: 0x0f,
  kernelEntry: 0x10,
  kernelData: 0x11,
  initrdData: 0x12,
  cmdlineAddr: 0x13,
  cmdlineSize: 0x14,
  cmdlineData: 0x15,
  setupAddr: 0x16,
  setupSize: 0x17,
  setupData: 0x18,
  fileDir: 0x19,
} as const;

/** A named file of the directory. */
export interface FwCfgEntry {
  readonly name: string;
  readonly key: number;
  readonly size: number;
}

/** Bytes of the item `key`, from its start. A missing item reads as zeros. */
export function readItem(c: FrameContext, key: number, length: number): Uint8Array {
  c.outw(SELECTOR, key);
  const out = new Uint8Array(length);
  for (let n = 0; n < length; n++) out[n] = c.inb(DATA);
  return out;
}

export function fwCfgPresent(c: FrameContext): boolean {
  return String.fromCharCode(...readItem(c, FwCfg.signature, 4)) === "QEMU";
}

export function item16(c: FrameContext, key: number): number {
  const b = readItem(c, key, 2);
  return b[0] | (b[1] << 8);
}

export function item32(c: FrameContext, key: number): number {
  return new DataView(readItem(c, key, 4).buffer).getUint32(0, true);
}

/** The directory; empty when there is no fw_cfg device. */
export function listFiles(c: FrameContext): FwCfgEntry[] {
  if (!fwCfgPresent(c)) return [];
  const count = new DataView(readItem(c, FwCfg.fileDir, 4).buffer).getUint32(0);
  const raw = readItem(c, FwCfg.fileDir, 4 + 64 * Math.min(count, 256));
  const view = new DataView(raw.buffer);
  const files: FwCfgEntry[] = [];
  for (let at = 4; at < raw.length; at += 64) {
    const name = raw.subarray(at + 8, at + 64);
    const end = name.indexOf(0);
    files.push({
      name: new TextDecoder().decode(name.subarray(0, end < 0 ? 56 : end)),
      size: view.getUint32(at),
      key: view.getUint16(at + 4),
    });
  }
  return files;
}

export function findFile(c: FrameContext, name: string): FwCfgEntry | undefined {
  return listFiles(c).find((f) => f.name === name);
}

/** A file's contents, at most `max` bytes, or undefined when there is none of that name. */
export function readFile(c: FrameContext, name: string, max = 1 << 20): Uint8Array | undefined {
  const f = findFile(c, name);
  return f && readItem(c, f.key, Math.min(f.size, max));
}

/** A file of 1 to 8 bytes as an integer, as the options under `etc/` are kept. */
export function fileNumber(c: FrameContext, name: string, missing: number): number {
  const b = readFile(c, name, 8);
  return b === undefined || b.length === 0
    ? missing
    : b.reduceRight((v, byte) => v * 256 + byte, 0);
}

/** Copies `length` bytes of an item to physical memory: by DMA where the device has it. */
export function copyItem(c: FrameContext, key: number, to: number, length: number): void {
  if (length === 0) return;
  if ((item32(c, FwCfg.id) & ID_DMA) === 0) {
    c.writeBytes(to, readItem(c, key, length));
    return;
  }
  const at = PRIVATE_BASE + Private.fwCfgDma;
  const d = new DataView(new ArrayBuffer(16));
  d.setUint32(0, ((key << 16) | 0x08 | 0x02) >>> 0); // select, read
  d.setUint32(4, length);
  d.setBigUint64(8, BigInt(to));
  c.writeBytes(at, new Uint8Array(d.buffer));
  const swapped = new DataView(new ArrayBuffer(4));
  swapped.setUint32(0, at);
  c.outl(DMA, 0);
  c.outl(DMA + 4, swapped.getUint32(0, true));
}
