/** IDENTIFY DEVICE data of a disk (ATA/ATAPI-7 6.17). */
import type { AtaState } from "./ata_device.ts";
import { putString } from "./ata_device.ts";
import type { Geometry } from "./geometry.ts";

/** Most sectors per DRQ block of READ/WRITE MULTIPLE. */
export const MAX_MULTIPLE = 16;

export interface DiskIdentity {
  readonly serial: string;
  readonly version: string;
  readonly model: string;
  readonly wwn: bigint;
  readonly geometry: Geometry;
  /** Total sectors. */
  readonly sectors: number;
  /** Queued commands the device takes at a time (Serial ATA), 0 for none. */
  readonly queueDepth?: number;
}

export interface DiskSettings extends AtaState {
  /** Geometry set by INITIALIZE DEVICE PARAMETERS. */
  heads: number;
  sectorsPerTrack: number;
  multiple: number;
  writeCache: boolean;
  smart: boolean;
}

/** Fills `into[0..512]`. */
export function identifyDisk(into: Uint8Array, id: DiskIdentity, s: DiskSettings): void {
  into.fill(0, 0, 512);
  const words = new DataView(into.buffer, into.byteOffset, 512);
  const w = (i: number, value: number) => words.setUint16(i * 2, value, true);
  const dword = (i: number, value: number) => words.setUint32(i * 2, value, true);
  const g = id.geometry;
  w(0, 0x0040); // fixed device
  w(1, g.cylinders);
  w(3, g.heads);
  w(4, 512 * g.sectors);
  w(5, 512);
  w(6, g.sectors);
  putString(words, 10, 19, id.serial);
  w(20, 3);
  w(21, 512);
  w(22, 4);
  putString(words, 23, 26, id.version);
  putString(words, 27, 46, id.model);
  w(47, 0x8000 | MAX_MULTIPLE);
  w(48, 1); // 32-bit data register
  w(49, 0x0b00); // DMA, LBA, IORDY
  w(51, 0x0200);
  w(52, 0x0200);
  w(53, 0x0007); // words 54-58, 64-70 and 88 are valid
  const cylinders = Math.min(Math.floor(id.sectors / (s.heads * s.sectorsPerTrack)), 16383);
  const current = cylinders === 0 ? g.cylinders : Math.min(cylinders, g.cylinders);
  w(54, current);
  w(55, s.heads);
  w(56, s.sectorsPerTrack);
  dword(57, current * s.heads * s.sectorsPerTrack);
  if (s.multiple) w(59, 0x0100 | s.multiple);
  dword(60, Math.min(id.sectors, 0x0fffffff));
  w(62, 0x07);
  w(63, 0x07 | (s.mdmaMode >= 0 ? 0x100 << s.mdmaMode : 0));
  w(64, 0x03); // PIO 3 and 4
  for (let i = 65; i <= 68; i++) w(i, 120); // cycle times in ns
  w(69, 0x4000); // reads after TRIM are deterministic
  if (id.queueDepth) {
    w(75, id.queueDepth - 1);
    w(76, 0x0100); // native command queuing
  }
  w(80, 0x00f0); // ATA/ATAPI-4 to 7
  w(81, 0x0016); // ATA/ATAPI-5 T13 1321D revision 1
  w(82, 0x4021); // NOP, write cache, SMART
  w(83, 0x7400); // FLUSH CACHE, FLUSH CACHE EXT, 48-bit addresses
  w(84, id.wwn ? 0x4100 : 0x4000);
  w(85, 0x4000 | (s.writeCache ? 0x20 : 0) | (s.smart ? 0x01 : 0));
  w(86, 0x3400);
  w(87, id.wwn ? 0x4100 : 0x4000);
  w(88, 0x003f | (s.udmaMode >= 0 ? 0x100 << s.udmaMode : 0));
  w(93, 0x6001); // 80-conductor cable
  dword(100, id.sectors % 2 ** 32);
  dword(102, Math.floor(id.sectors / 2 ** 32));
  w(106, 0x6000); // one logical sector per physical sector
  for (let i = 0; i < 4 && id.wwn; i++) {
    w(108 + i, Number((id.wwn >> BigInt(48 - 16 * i)) & 0xffffn));
  }
  w(169, 1); // TRIM
}
