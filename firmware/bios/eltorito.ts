/** Booting from CD: the "El Torito" specification 1.0, and the drive that it emulates. */
import type { FrameContext } from "./frame.ts";
import { Private, PRIVATE_BASE } from "./layout.ts";

export const Media = { none: 0, floppy12: 1, floppy144: 2, floppy288: 3, disk: 4 } as const;

/** The booted image, as INT 13h/4Bh reports it. */
export interface Emulation {
  active: boolean;
  /** {@link Media}. */
  media: number;
  /** Drive number that the image has: 00h, 80h, or the CD's own. */
  drive: number;
  /** Row of the CD drive in the drive table. */
  row: number;
  /** First 2048-byte block of the image, and of the boot catalog. */
  block: number;
  catalog: number;
  loadSegment: number;
  /** 512-byte sectors that the boot code loaded. */
  loadCount: number;
  cylinders: number;
  heads: number;
  sectorsPerTrack: number;
}

const E = PRIVATE_BASE + Private.emulation;

export function readEmulation(c: FrameContext): Emulation {
  return {
    active: c.read8(E) !== 0,
    media: c.read8(E + 1),
    drive: c.read8(E + 2),
    row: c.read8(E + 3),
    block: c.read32(E + 4),
    catalog: c.read32(E + 8),
    loadSegment: c.read16(E + 12),
    loadCount: c.read16(E + 14),
    cylinders: c.read16(E + 16),
    heads: c.read8(E + 18),
    sectorsPerTrack: c.read8(E + 19),
  };
}

export function writeEmulation(c: FrameContext, e: Emulation): void {
  c.write8(E, e.active ? 1 : 0);
  c.write8(E + 1, e.media);
  c.write8(E + 2, e.drive);
  c.write8(E + 3, e.row);
  c.write32(E + 4, e.block);
  c.write32(E + 8, e.catalog);
  c.write16(E + 12, e.loadSegment);
  c.write16(E + 14, e.loadCount);
  c.write16(E + 16, e.cylinders);
  c.write8(E + 18, e.heads);
  c.write8(E + 19, e.sectorsPerTrack);
}

/** True when `dl` is the emulated floppy or disk. */
export function isEmulated(e: Emulation, dl: number): boolean {
  return e.active && e.media !== Media.none && e.drive === dl;
}

/** Writes the specification packet of function 4Bh to linear `at`. */
export function writeSpecification(c: FrameContext, e: Emulation, unit: number, at: number): void {
  const b = new Uint8Array(19), v = new DataView(b.buffer);
  b[0] = 0x13;
  b[1] = e.media;
  b[2] = e.drive;
  b[3] = unit >> 1;
  v.setUint32(4, e.block, true);
  v.setUint16(8, unit & 1, true);
  v.setUint16(12, e.loadSegment, true);
  v.setUint16(14, e.loadCount, true);
  b[16] = e.cylinders & 0xff;
  b[17] = ((e.cylinders >> 2) & 0xc0) | (e.sectorsPerTrack & 0x3f);
  b[18] = Math.max(0, e.heads - 1);
  c.writeBytes(at, b);
}

/** What the boot catalog's default entry says, with the geometry of the medium it emulates. */
export function parseCatalog(
  catalog: Uint8Array,
): Omit<Emulation, "active" | "row" | "catalog"> | string {
  const v = new DataView(catalog.buffer, catalog.byteOffset, catalog.byteLength);
  let sum = 0;
  for (let n = 0; n < 32; n += 2) sum += v.getUint16(n, true);
  if (catalog[0] !== 0x01 || (sum & 0xffff) !== 0 || v.getUint16(30, true) !== 0xaa55) {
    return "invalid boot catalog";
  }
  if (catalog[32] !== 0x88) return "no bootable image";
  const media = catalog[33] & 0x0f;
  if (media > Media.disk) return "unknown media type";
  const shape = {
    [Media.none]: [0, 0, 0],
    [Media.floppy12]: [80, 2, 15],
    [Media.floppy144]: [80, 2, 18],
    [Media.floppy288]: [80, 2, 36],
    [Media.disk]: [0, 0, 0],
  }[media]!;
  return {
    media,
    drive: media === Media.none ? 0xe0 : media === Media.disk ? 0x80 : 0x00,
    loadSegment: v.getUint16(34, true) || 0x07c0,
    loadCount: v.getUint16(38, true),
    block: v.getUint32(40, true),
    cylinders: shape[0],
    heads: shape[1],
    sectorsPerTrack: shape[2],
  };
}

/** Block of the boot catalog from a volume descriptor at sector 17, or why there is none. */
export function parseBootRecord(sector: Uint8Array): number | string {
  const text = (from: number, to: number) => String.fromCharCode(...sector.subarray(from, to));
  if (sector[0] !== 0 || text(1, 6) !== "CD001") return "no boot record";
  if (text(7, 30) !== "EL TORITO SPECIFICATION") return "boot record is not El Torito";
  return new DataView(sector.buffer, sector.byteOffset).getUint32(71, true);
}
