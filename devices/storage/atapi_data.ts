/** Reply data of a CD/DVD-ROM drive (SPC-3, MMC-3), as functions of the drive's state. */
import { putString } from "./ata_device.ts";

/** Sense keys (SPC-3 table 27). */
export const SenseKey = {
  NO_SENSE: 0,
  NOT_READY: 2,
  MEDIUM_ERROR: 3,
  HARDWARE_ERROR: 4,
  ILLEGAL_REQUEST: 5,
  UNIT_ATTENTION: 6,
} as const;

/** Additional sense codes (SPC-3 annex D). */
export const Asc = {
  NONE: 0x00,
  UNRECOVERED_READ_ERROR: 0x11,
  ILLEGAL_OPCODE: 0x20,
  LOGICAL_BLOCK_OUT_OF_RANGE: 0x21,
  INVALID_FIELD_IN_CDB: 0x24,
  MEDIUM_MAY_HAVE_CHANGED: 0x28,
  INCOMPATIBLE_FORMAT: 0x30,
  SAVING_PARAMETERS_NOT_SUPPORTED: 0x39,
  MEDIUM_NOT_PRESENT: 0x3a,
  MEDIA_REMOVAL_PREVENTED: 0x53,
} as const;

/** Sectors on the largest CD (80 minutes); larger media are DVDs. */
export const CD_MAX_SECTORS = 80 * 60 * 75;

export function be16(b: Uint8Array, at: number, v: number): void {
  b[at] = (v >>> 8) & 0xff;
  b[at + 1] = v & 0xff;
}

export function be24(b: Uint8Array, at: number, v: number): void {
  b[at] = (v >>> 16) & 0xff;
  be16(b, at + 1, v);
}

export function be32(b: Uint8Array, at: number, v: number): void {
  be16(b, at, v >>> 16);
  be16(b, at + 2, v);
}

/** Minute, second, frame of a block, with the two seconds of pregap (MMC-3 4.2.8.3). */
export function putMsf(b: Uint8Array, at: number, lba: number): void {
  lba += 150;
  b[at] = Math.floor(lba / 75 / 60);
  b[at + 1] = Math.floor(lba / 75) % 60;
  b[at + 2] = lba % 75;
}

function putText(b: Uint8Array, at: number, length: number, text: string): void {
  for (let i = 0; i < length; i++) b[at + i] = i < text.length ? text.charCodeAt(i) & 0xff : 0x20;
}

/** Standard INQUIRY data. Returns the length. */
export function inquiry(b: Uint8Array, model: string, version: string): number {
  b.fill(0, 0, 36);
  b[0] = 0x05; // CD/DVD
  b[1] = 0x80; // removable
  b[3] = 0x21; // ATAPI transport version 2
  b[4] = 31;
  putText(b, 8, 8, "QEMU");
  putText(b, 16, 16, model);
  putText(b, 32, 4, version);
  return 36;
}

/** A vital product data page; 0 when there is none of that code. */
export function inquiryVpd(
  b: Uint8Array,
  page: number,
  id: { serial: string; model: string; wwn: bigint },
): number {
  b.fill(0, 0, 256);
  b[0] = 0x05;
  b[1] = page;
  if (page === 0x00) {
    be16(b, 2, 2);
    b[4] = 0x00;
    b[5] = 0x83;
    return 6;
  }
  if (page !== 0x83) return 0;
  let at = 4;
  const descriptor = (codeSet: number, type: number, length: number) => {
    b.set([codeSet, type, 0, length], at);
    at += 4 + length;
    return at - length;
  };
  putText(b, descriptor(2, 0, 20), 20, id.serial); // ASCII, vendor specific
  const t10 = descriptor(2, 1, 68); // ASCII, T10 vendor identification
  putText(b, t10, 8, "ATA");
  putText(b, t10 + 8, 40, id.model);
  putText(b, t10 + 48, 20, id.serial);
  if (id.wwn) {
    const naa = descriptor(1, 3, 8);
    for (let i = 0; i < 8; i++) b[naa + i] = Number((id.wwn >> BigInt(56 - 8 * i)) & 0xffn);
  }
  be16(b, 2, at - 4);
  return at;
}

/** Fixed-format sense data. */
export function senseData(b: Uint8Array, key: number, asc: number): number {
  b.fill(0, 0, 18);
  b[0] = 0xf0; // current error, information field valid
  b[2] = key;
  b[7] = 10;
  b[12] = asc;
  return 18;
}

/** READ TOC format 0: one data track and the lead-out. 0 for a bad starting track. */
export function toc(b: Uint8Array, sectors: number, msf: boolean, start: number): number {
  if (start > 1 && start !== 0xaa) return 0;
  let at = 4;
  b.fill(0, 0, 20);
  b[2] = b[3] = 1;
  const track = (number: number, control: number, lba: number) => {
    b[at + 1] = control;
    b[at + 2] = number;
    if (msf) putMsf(b, at + 5, lba);
    else be32(b, at + 4, lba);
    at += 8;
  };
  if (start <= 1) track(1, 0x14, 0);
  track(0xaa, 0x16, sectors);
  be16(b, 0, at - 2);
  return at;
}

/** READ TOC format 1: one complete session. */
export function sessionInfo(b: Uint8Array): number {
  b.fill(0, 0, 12);
  be16(b, 0, 10);
  b[2] = b[3] = 1;
  return 12;
}

/** READ TOC format 2: the raw Q channel of the lead-in. */
export function rawToc(b: Uint8Array, sectors: number, msf: boolean): number {
  let at = 4;
  const point = (control: number, p: number) => {
    b.fill(0, at, at + 11);
    b[at] = 1; // session
    b[at + 1] = control;
    b[at + 3] = p;
    at += 11;
    return at - 3;
  };
  const address = (where: number, lba: number) => {
    if (msf) putMsf(b, where, lba);
    else be24(b, where, lba);
  };
  b[point(0x14, 0xa0)] = 1; // first track
  b[point(0x14, 0xa1)] = 1; // last track
  address(point(0x14, 0xa2), sectors);
  address(point(0x14, 1), 0);
  be16(b, 0, at - 2);
  b[2] = b[3] = 1;
  return at;
}

/** MODE SENSE(10). Returns 0 for a page that there is not. */
export function modeSense(b: Uint8Array, page: number, locked: boolean): number {
  const pages: Record<number, readonly number[]> = {
    // Read/write error recovery: 5 retries (MMC-3 6.3.6)
    0x01: [0x01, 0x06, 0x00, 0x05, 0x00, 0x00, 0x00, 0x00],
    // CD audio control (MMC-3 6.3.7): no audio ports
    0x0e: [0x0e, 0x0e, 0x04, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
    // CD capabilities and mechanical status (MMC-3 6.3.11)
    0x2a: [
      0x2a,
      0x14,
      0x3b, // reads CD-R, CD-RW, method 2, DVD-ROM, DVD-R, DVD-RAM
      0x00,
      0x71, // audio play, mode 2 form 1 and 2, multi-session
      0x60, // media catalogue number, bar code
      0x29 | (locked ? 0x02 : 0), // tray, eject, lock
      0x00,
      0x02, // 704 kB/s
      0xc0,
      0x00,
      0x02, // volume levels
      0x02, // 512 KiB of buffer
      0x00,
      0x02,
      0xc0,
      0,
      0,
      0,
      0,
      0,
      0,
    ],
  };
  const wanted = page === 0x3f ? [0x01, 0x0e, 0x2a] : [page];
  let at = 8;
  for (const p of wanted) {
    if (!(p in pages)) return 0;
    b.set(pages[p], at);
    at += pages[p].length;
  }
  b.fill(0, 0, 8);
  be16(b, 0, at - 2);
  b[2] = 0x70; // door closed, no disc type given
  return at;
}

/** GET CONFIGURATION: profile list only (MMC-3 5.3.1). */
export function getConfiguration(b: Uint8Array, sectors: number | undefined): number {
  const profile = sectors === undefined ? 0 : sectors > CD_MAX_SECTORS ? 0x10 : 0x08;
  b.fill(0, 0, 20);
  be32(b, 0, 16);
  be16(b, 6, profile);
  be16(b, 8, 0x0000); // feature: profile list
  b[10] = 0x03; // persistent, current
  b[11] = 8;
  be16(b, 12, 0x0010); // DVD-ROM
  b[14] = profile === 0x10 ? 1 : 0;
  be16(b, 16, 0x0008); // CD-ROM
  b[18] = profile === 0x08 ? 1 : 0;
  return 20;
}

/** READ DISC INFORMATION: one complete session with one track (MMC-3 5.17). */
export function discInformation(b: Uint8Array): number {
  b.fill(0, 0, 34);
  be16(b, 0, 32);
  b[2] = 0x0e; // last session complete, disc finalised
  b[3] = 1; // first track
  b[4] = 1; // sessions
  b[5] = 1; // first track in last session
  b[6] = 1; // last track in last session
  b[7] = 0x20; // unrestricted use
  return 34;
}

/** READ TRACK INFORMATION of the only track (MMC-3 5.22). */
export function trackInformation(b: Uint8Array, sectors: number): number {
  b.fill(0, 0, 36);
  be16(b, 0, 34);
  b[2] = 1; // track
  b[3] = 1; // session
  b[5] = 0x04; // data, uninterrupted
  b[6] = 0x01; // mode 1
  be32(b, 24, sectors);
  return 36;
}

/** GET EVENT STATUS NOTIFICATION, media class (MMC-3 5.5). */
export function mediaEvent(b: Uint8Array, event: number, open: boolean, present: boolean): number {
  be16(b, 0, 4);
  b[2] = 0x04;
  b[3] = 0x10;
  b[4] = event;
  b[5] = (open ? 1 : 0) | (present ? 2 : 0);
  b[6] = b[7] = 0;
  return 8;
}

/** READ DISC STRUCTURE of a DVD-ROM (MMC-3 5.18); 0 for a format that there is not. */
export function dvdStructure(
  b: Uint8Array,
  format: number,
  layer: number,
  sectors: number | undefined,
): number {
  switch (format) {
    case 0x00: // physical format
      if (layer !== 0 || sectors === undefined) return 0;
      b.fill(0, 0, 2052);
      b[4] = 0x01; // DVD-ROM, part version 1
      b[5] = 0x0f; // 120 mm, maximum rate not specified
      b[6] = 0x01; // one layer, read-only
      be32(b, 8, 0x30000);
      be32(b, 12, 0x30000 + sectors - 1);
      be32(b, 16, 0x30000 + sectors - 1);
      be16(b, 0, 2048 + 2);
      return 2048 + 4;
    case 0x01: // copyright: no protection
      if (sectors === undefined) return 0;
      b.fill(0, 0, 8);
      be16(b, 0, 4 + 2);
      return 8;
    case 0x03: // burst cutting area: none
      return 0;
    case 0x04: // manufacturing
      if (sectors === undefined) return 0;
      b.fill(0, 0, 2052);
      be16(b, 0, 2048 + 2);
      return 2048 + 4;
    case 0xff: // list of formats
      b.fill(0, 0, 20);
      b.set([0x00, 0x40, 0x08, 0x04], 4);
      b.set([0x01, 0x40, 0x00, 0x08], 8);
      b.set([0x03, 0x40, 0x00, 0xc0], 12);
      b.set([0x04, 0x40, 0x08, 0x04], 16);
      be16(b, 0, 18);
      return 20;
    default:
      return 0;
  }
}

/** IDENTIFY PACKET DEVICE data (ATA/ATAPI-7 6.18). */
export function identifyPacket(
  into: Uint8Array,
  id: { serial: string; version: string; model: string; wwn: bigint },
  modes: { mdmaMode: number; udmaMode: number },
): void {
  into.fill(0, 0, 512);
  const words = new DataView(into.buffer, into.byteOffset, 512);
  const w = (i: number, value: number) => words.setUint16(i * 2, value, true);
  w(0, 0x85c0); // CD-ROM, removable, DRQ within 50 µs, 12-byte packets
  putString(words, 10, 19, id.serial);
  w(20, 3);
  w(21, 512);
  w(22, 4);
  putString(words, 23, 26, id.version);
  putString(words, 27, 46, id.model);
  w(48, 1);
  w(49, 0x0300); // DMA, LBA
  w(53, 0x0007);
  w(62, 0x07);
  w(63, 0x07 | (modes.mdmaMode >= 0 ? 0x100 << modes.mdmaMode : 0));
  w(64, 0x03);
  w(65, 180);
  w(66, 180);
  w(67, 300);
  w(68, 180);
  w(71, 30);
  w(72, 30);
  w(80, 0x001e); // up to ATA/ATAPI-4
  w(84, id.wwn ? 0x0100 : 0);
  w(87, id.wwn ? 0x0100 : 0);
  w(88, 0x003f | (modes.udmaMode >= 0 ? 0x100 << modes.udmaMode : 0));
  for (let i = 0; i < 4 && id.wwn; i++) {
    w(108 + i, Number((id.wwn >> BigInt(48 - 16 * i)) & 0xffffn));
  }
}
