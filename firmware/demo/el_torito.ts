/** Bootable CDs: "El Torito" Bootable CD-ROM Format Specification 1.0, and isolinux's boot info table. */
import { le16, le32, SECTOR, text } from "./iso9660_records.ts";

export interface BootEntry {
  /** Path of the boot image on the disc. */
  readonly path: string;
  /** How the BIOS presents it: loaded as it is, as drive A, or as the first hard disk. */
  readonly emulation: "none" | "floppy" | "hd";
  /** 512-byte sectors the BIOS loads: default 4 without emulation, 1 with. */
  readonly loadSectors?: number;
  /** Real-mode segment to load to; 0 means 07C0h. */
  readonly loadSegment?: number;
  /** Fill in the table at bytes 8 to 63 of the image (isolinux, GRUB's cdboot). */
  readonly bootInfoTable?: boolean;
  /** 0 for a PC's BIOS (the default), EFh for EFI. */
  readonly platform?: number;
  /** The default is true; a menu may still start an entry that is not. */
  readonly bootable?: boolean;
}

/** Where a boot image has come to lie. */
export interface PlacedImage {
  readonly entry: BootEntry;
  readonly lba: number;
  readonly data: Uint8Array;
}

/** Media type byte of an entry (specification table 3). */
function mediaType(p: PlacedImage): number {
  switch (p.entry.emulation) {
    case "none":
      return 0;
    case "hd":
      return 4;
    case "floppy": {
      const types: Record<number, number> = { 1228800: 1, 1474560: 2, 2949120: 3 };
      const type = types[p.data.length];
      if (type === undefined) {
        throw new RangeError(`${p.entry.path}: ${p.data.length} bytes are no floppy image`);
      }
      return type;
    }
  }
}

function putEntry(b: Uint8Array, at: number, p: PlacedImage): void {
  const { entry } = p;
  b[at] = entry.bootable ?? true ? 0x88 : 0x00;
  b[at + 1] = mediaType(p);
  le16(b, at + 2, entry.loadSegment ?? 0);
  // System type: that of the first partition of an emulated hard disk.
  b[at + 4] = entry.emulation === "hd" ? p.data[0x1c2] : 0;
  le16(b, at + 6, entry.loadSectors ?? (entry.emulation === "none" ? 4 : 1));
  le32(b, at + 8, p.lba);
}

/** The boot catalog: one sector. The first image is the default; the others get sections. */
export function bootCatalog(images: readonly PlacedImage[], id = ""): Uint8Array {
  if (images.length === 0 || 2 + 2 * (images.length - 1) > SECTOR / 32) {
    throw new RangeError("a boot catalog takes 1 to 32 entries");
  }
  const b = new Uint8Array(SECTOR);
  b[0] = 1;
  b[1] = images[0].entry.platform ?? 0;
  text(b, 4, 24, id, 0);
  b[0x1e] = 0x55;
  b[0x1f] = 0xaa;
  let sum = 0;
  for (let i = 0; i < 32; i += 2) sum += b[i] | b[i + 1] << 8;
  le16(b, 0x1c, -sum & 0xffff);
  putEntry(b, 0x20, images[0]);
  let at = 0x40;
  images.slice(1).forEach((p, i, rest) => {
    b[at] = i === rest.length - 1 ? 0x91 : 0x90;
    b[at + 1] = p.entry.platform ?? 0;
    le16(b, at + 2, 1);
    putEntry(b, at + 32, p);
    at += 64;
  });
  return b;
}

/** The boot record volume descriptor that points at the catalog. */
export function bootRecord(catalogLba: number): Uint8Array {
  const b = new Uint8Array(SECTOR);
  text(b, 1, 5, "CD001");
  b[6] = 1;
  text(b, 7, 32, "EL TORITO SPECIFICATION", 0);
  le32(b, 0x47, catalogLba);
  return b;
}

/** A copy of `image` with the boot info table: volume descriptor, file, length, sum of its words. */
export function withBootInfo(image: Uint8Array, lba: number): Uint8Array {
  const b = image.slice();
  if (b.length < 64) throw new RangeError("too short for a boot info table");
  let sum = 0;
  for (let i = 64; i < b.length; i += 4) {
    for (let k = 0; k < 4 && i + k < b.length; k++) sum = (sum + b[i + k] * 2 ** (8 * k)) % 2 ** 32;
  }
  b.fill(0, 8, 64);
  le32(b, 8, 16);
  le32(b, 12, lba);
  le32(b, 16, image.length);
  le32(b, 20, sum);
  return b;
}
