/** INT 19h and INT 18h: tries one boot device after the other. */
import { bootCount, type BootEntry, BootType, readBootEntry } from "./boot_list.ts";
import { findDrive } from "./drives.ts";
import {
  type Emulation,
  Media,
  parseBootRecord,
  parseCatalog,
  writeEmulation,
} from "./eltorito.ts";
import type { FrameContext } from "./frame.ts";
import { fileNumber } from "./fwcfg.ts";
import { Bda, Private, PRIVATE_BASE, PRIVATE_SEGMENT } from "./layout.ts";
import { readCmos } from "./memory_map.ts";

/** Prints text, then comes back in a phase. */
export type Print = (c: FrameContext, text: string, phase: number) => void;

const Phase = {
  next: 0,
  start: 1,
  sectorRead: 2,
  cdRecord: 3,
  cdCatalog: 4,
  cdImage: 5,
  bevBack: 7,
  failed: 8,
  ended: 9,
  retry: 10,
} as const;

const SECTOR = PRIVATE_BASE + Private.sector;
const PACKET = PRIVATE_BASE + Private.packet;

const names: Record<number, string> = {
  [BootType.floppy]: "Floppy",
  [BootType.disk]: "Hard Disk",
  [BootType.cd]: "DVD/CD",
  [BootType.bev]: "ROM",
};

/** The handler of INT 18h, which goes on with the next device; INT 19h starts the list anew. */
export function makeBootHandler(print: Print): (c: FrameContext) => void {
  const fail = (c: FrameContext, why: string) => print(c, `Boot failed: ${why}\n\n`, Phase.failed);

  return function int18(c: FrameContext): void {
    const index = c.read8(PRIVATE_BASE + Private.bootIndex);
    const entry = index > 0 && index <= bootCount(c) ? readBootEntry(c, index - 1) : undefined;
    // A guest may put any phase into the frame; those in the middle of a boot need an entry.
    if (entry === undefined && c.phase >= Phase.start && c.phase < Phase.failed) {
      c.phase = Phase.next;
    }
    switch (c.phase) {
      case Phase.failed:
      case Phase.next: {
        c.write8(PRIVATE_BASE + Private.bootIndex, Math.min(index + 1, 255));
        if (index >= bootCount(c)) return nothingLeft(c, print);
        const e = readBootEntry(c, index);
        if (e.type === BootType.halt) return nothingLeft(c, print);
        return print(c, `Booting from ${names[e.type]}...\n`, Phase.start);
      }
      case Phase.start:
        if (entry === undefined) return nothingLeft(c, print);
        return start(c, entry);
      case Phase.sectorRead:
        return startSector(c, entry!, fail);
      case Phase.cdRecord: {
        if (c.arg(1) & 1) return fail(c, cdError(1));
        const block = parseBootRecord(sector(c));
        if (typeof block === "string") return fail(c, `${block} (code 0004)`);
        c.local = block;
        return readCd(c, entry!, block, 1, PRIVATE_SEGMENT, Private.sector, Phase.cdCatalog);
      }
      case Phase.cdCatalog:
        return startCd(c, entry!, fail);
      case Phase.cdImage:
        if (c.arg(1) & 1) return fail(c, cdError(12));
        return runCd(c);
      case Phase.bevBack:
        return fail(c, "the ROM has returned");
      case Phase.ended: {
        const wait = fileNumber(c, "etc/boot-fail-wait", 0xffffffff);
        if (wait >= 0xffffffff) return c.wait(Phase.ended);
        c.local = c.read32(Bda.ticks) + Math.ceil(wait * 18.2065 / 1000);
        return c.wait(Phase.retry);
      }
      case Phase.retry:
        if (c.read32(Bda.ticks) < c.local) return c.wait(Phase.retry);
        c.outb(0x64, 0xfe);
        return c.wait(Phase.retry);
    }
  };
}

/** Starts at the head of the boot list, then goes on as INT 18h does. */
export function makeInt19(int18: (c: FrameContext) => void): (c: FrameContext) => void {
  return (c) => {
    if (c.phase === Phase.next) c.write8(PRIVATE_BASE + Private.bootIndex, 0);
    int18(c);
  };
}

function nothingLeft(c: FrameContext, print: Print): void {
  c.setInterrupt(true);
  const wait = fileNumber(c, "etc/boot-fail-wait", 0xffffffff);
  const retry = wait >= 0xffffffff ? "" : `  Retrying in ${Math.floor(wait / 1000)} seconds.`;
  print(c, `No bootable device.${retry}\n`, Phase.ended);
}

function cdError(code: number): string {
  return `Could not read from CDROM (code ${code.toString(16).padStart(4, "0")})`;
}

function sector(c: FrameContext): Uint8Array {
  const b = new Uint8Array(2048);
  c.readBytes(SECTOR, b);
  return b;
}

function start(c: FrameContext, e: BootEntry): void {
  if (e.type === BootType.bev) {
    c.es = 0xf000;
    c.call(e.segment, e.offset, Phase.bevBack);
    return;
  }
  if (e.type === BootType.cd) {
    return readCd(c, e, 17, 1, PRIVATE_SEGMENT, Private.sector, Phase.cdRecord);
  }
  c.es = 0;
  c.interrupt(0x13, Phase.sectorRead, 0x0201, 0x7c00, 0x0001, e.drive);
}

function startSector(
  c: FrameContext,
  e: BootEntry,
  fail: (c: FrameContext, why: string) => void,
): void {
  if (c.arg(1) & 1) return fail(c, "could not read the boot disk");
  const checkFloppy = (readCmos(c, 0x38) & 1) === 0;
  if ((e.type !== BootType.floppy || checkFloppy) && c.read16(0x7dfe) !== 0xaa55) {
    return fail(c, "not a bootable disk");
  }
  enter(c, 0, 0x7c00, e.drive);
}

/** Leaves the BIOS for boot code. */
function enter(c: FrameContext, segment: number, offset: number, drive: number): void {
  c.cs = segment;
  c.ip = offset;
  c.flags = 0x0202;
  c.eax = 0xaa55;
  c.ebx =
    c.ecx =
    c.esi =
    c.edi =
    c.ebp =
      0;
  c.edx = drive;
  c.ds =
    c.es =
    c.fs =
    c.gs =
      0;
}

/** Reads `count` blocks of the entry's CD with INT 13h/42h. */
function readCd(
  c: FrameContext,
  e: BootEntry,
  block: number,
  count: number,
  segment: number,
  offset: number,
  phase: number,
): void {
  c.write16(PACKET, 0x10);
  c.write16(PACKET + 2, count);
  c.write16(PACKET + 4, offset);
  c.write16(PACKET + 6, segment);
  c.write32(PACKET + 8, block);
  c.write32(PACKET + 12, 0);
  c.ds = PRIVATE_SEGMENT;
  c.si = Private.packet;
  c.interrupt(0x13, phase, 0x4200, 0, 0, 0xe0 + e.drive);
}

function startCd(
  c: FrameContext,
  e: BootEntry,
  fail: (c: FrameContext, why: string) => void,
): void {
  if (c.arg(1) & 1) return fail(c, cdError(7));
  const row = findDrive(c, 0xe0 + e.drive);
  const image = parseCatalog(sector(c));
  if (typeof image === "string" || row === undefined) {
    return fail(c, `${image} (code 000b)`);
  }
  const drive = image.media === Media.none ? 0xe0 + e.drive : image.drive;
  writeEmulation(c, { ...image, active: false, row, drive, catalog: c.local });
  // All other fields are kept; "active" only once boot code runs.
  const count = Math.max(1, Math.ceil(image.loadCount / 4));
  readCd(c, e, image.block, count, image.loadSegment, 0, Phase.cdImage);
}

function runCd(c: FrameContext): void {
  const at = PRIVATE_BASE + Private.emulation;
  const media = c.read8(at + 1), segment = c.read16(at + 12);
  if (media === Media.disk) {
    // The partition's end tells the geometry: CHS packed as in a partition entry.
    const mbr = segment * 16 + 446;
    const shape: Pick<Emulation, "cylinders" | "heads" | "sectorsPerTrack"> = {
      heads: c.read8(mbr + 5) + 1,
      sectorsPerTrack: c.read8(mbr + 6) & 0x3f,
      cylinders: (c.read8(mbr + 7) | ((c.read8(mbr + 6) & 0xc0) << 2)) + 1,
    };
    c.write16(at + 16, shape.cylinders);
    c.write8(at + 18, shape.heads);
    c.write8(at + 19, shape.sectorsPerTrack);
    c.write8(Bda.diskCount, c.read8(Bda.diskCount) + 1);
  } else if (media !== Media.none && (c.read16(Bda.equipment) & 1) === 0) {
    c.write16(Bda.equipment, c.read16(Bda.equipment) | 1);
  }
  c.write8(at, 1);
  const drive = c.read8(at + 2);
  enter(c, segment === 0x07c0 ? 0 : segment, segment === 0x07c0 ? 0x7c00 : 0, drive);
}
