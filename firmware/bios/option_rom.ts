/**
 * Option ROMs: PCI Firmware Specification 3.0 chapter 5, Plug and Play BIOS 1.0A, BIOS Boot
 * Specification 1.01. They come from PCI expansion ROMs and from fw_cfg (`vgaroms/`, `genroms/`).
 */
import type { FrameContext } from "./frame.ts";
import { copyItem, listFiles } from "./fwcfg.ts";
import { everyFunction, Pci, PciCommand, readConfig, writeConfig } from "./pci.ts";

export const ROM_AREA = 0xc0000;
/** The area ends where the BIOS's variables begin. */
export const ROM_AREA_END = 0xec000;

/** A ROM in place below 1 MiB. */
export interface LoadedRom {
  readonly address: number;
  readonly size: number;
  /** bus/device/function, 0 for none: what its init function gets in AX. */
  readonly bdf: number;
  /** Name in `bootorder`, a prefix. */
  readonly path: string;
}

/** True for the signature, a size and a checksum of zero. */
export function romValid(c: FrameContext, address: number, room: number): boolean {
  if (c.read16(address) !== 0xaa55) return false;
  const size = c.read8(address + 2) * 512;
  return size > 0 && size <= room;
}

function isDisplay(classCode: number): boolean {
  return classCode >> 8 === 0x0300 || classCode >> 8 === 0x0001;
}

/**
 * Copies the first image of a device's expansion ROM that a PC can run to `to`. Undefined when it has
 * none or it does not fit.
 */
function loadPciRom(c: FrameContext, bdf: number, to: number): number | undefined {
  const bar = readConfig(c, bdf, Pci.ROM_ADDRESS, 4), base = (bar & 0xfffff800) >>> 0;
  if (base === 0) return undefined;
  const id = readConfig(c, bdf, Pci.VENDOR_ID, 4);
  const command = readConfig(c, bdf, Pci.COMMAND, 2);
  writeConfig(c, bdf, Pci.COMMAND, 2, command | PciCommand.MEMORY);
  writeConfig(c, bdf, Pci.ROM_ADDRESS, 4, base | 1);
  let size: number | undefined;
  let at = base;
  for (let n = 0; n < 8; n++) {
    if (c.read16(at) !== 0xaa55) break;
    const pcir = at + c.read16(at + 0x18);
    if (c.read32(pcir) !== 0x52494350) { // "PCIR"
      break;
    }
    const length = c.read16(pcir + 0x10) * 512, codeType = c.read8(pcir + 0x14);
    if (codeType === 0) {
      const image = c.read8(at + 2) * 512 || length;
      if (c.read32(pcir + 4) !== id || to + image > ROM_AREA_END) break;
      const bytes = new Uint8Array(image);
      c.readBytes(at, bytes);
      c.writeBytes(to, bytes);
      size = image;
      break;
    }
    if (length === 0 || c.read8(pcir + 0x15) & 0x80) break;
    at += length;
  }
  writeConfig(c, bdf, Pci.ROM_ADDRESS, 4, base);
  writeConfig(c, bdf, Pci.COMMAND, 2, command);
  return size;
}

function loadFile(c: FrameContext, key: number, size: number, to: number): boolean {
  if (size < 512 || to + size > ROM_AREA_END) return false;
  copyItem(c, key, to, size);
  return c.read16(to) === 0xaa55;
}

/** The video BIOS, copied to C0000h. */
export function loadVideoRom(c: FrameContext, lastBus: number): LoadedRom | undefined {
  for (const f of everyFunction(c, lastBus)) {
    if (!isDisplay(f.classCode)) continue;
    const size = loadPciRom(c, f.bdf, ROM_AREA);
    if (size !== undefined) return { address: ROM_AREA, size, bdf: f.bdf, path: "" };
  }
  for (const f of listFiles(c)) {
    if (f.name.startsWith("vgaroms/") && loadFile(c, f.key, f.size, ROM_AREA)) {
      return { address: ROM_AREA, size: f.size, bdf: 0, path: "" };
    }
  }
  return undefined;
}

/** ROM number `index` of all others, copied to `to`; undefined when there are no more. */
export function loadOtherRom(
  c: FrameContext,
  lastBus: number,
  index: number,
  to: number,
): LoadedRom | "skip" | undefined {
  for (const f of everyFunction(c, lastBus)) {
    if (isDisplay(f.classCode)) continue;
    if (((readConfig(c, f.bdf, Pci.ROM_ADDRESS, 4) & 0xfffff800) >>> 0) === 0) continue;
    if (index-- > 0) continue;
    const size = loadPciRom(c, f.bdf, to);
    const slot = (f.bdf >> 3) & 31, fn = f.bdf & 7;
    const name = f.classCode >> 16 === 2 ? "ethernet" : f.classCode >> 16 === 1 ? "scsi" : "";
    return size === undefined ? "skip" : {
      address: to,
      size,
      bdf: f.bdf,
      path: `/pci@i0cf8/${name}@${slot.toString(16)}${fn ? "," + fn.toString(16) : ""}`,
    };
  }
  for (const f of listFiles(c)) {
    if (!f.name.startsWith("genroms/") || index-- > 0) continue;
    return loadFile(c, f.key, f.size, to)
      ? { address: to, size: f.size, bdf: 0, path: `/rom@${f.name}` }
      : "skip";
  }
  return undefined;
}

/** A way to boot that a ROM offers. */
export interface RomBoot {
  readonly kind: "bev" | "bcv";
  readonly offset: number;
  readonly product: string;
}

/** The expansion headers of an initialised ROM. */
export function romBootEntries(c: FrameContext, address: number): RomBoot[] {
  const found: RomBoot[] = [];
  let header = c.read16(address + 0x1a);
  for (let n = 0; n < 16 && header !== 0; n++) {
    const at = address + header;
    if (c.read32(at) !== 0x506e5024) break; // "$PnP"
    const product = c.read16(at + 0x10);
    let name = "";
    for (let k = 0; product !== 0 && k < 48; k++) {
      const ch = c.read8(address + product + k);
      if (ch < 0x20 || ch > 0x7e) break;
      name += String.fromCharCode(ch);
    }
    const bcv = c.read16(at + 0x16), bev = c.read16(at + 0x1a);
    if (bev !== 0) found.push({ kind: "bev", offset: bev, product: name });
    else if (bcv !== 0) found.push({ kind: "bcv", offset: bcv, product: name });
    header = c.read16(at + 6);
  }
  return found;
}
