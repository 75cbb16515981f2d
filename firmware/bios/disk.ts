/**
 * INT 13h for disks and CD-ROM drives: IBM's functions 00h–15h, Enhanced Disk Drive Specification 3.0
 * (T13 D1572), El Torito functions. Floppy drives are in floppy.ts.
 */
import {
  lastError,
  MAX_TRANSFER,
  pollTransfer,
  startCommand,
  startTransfer,
  waitForDrive,
} from "./ata.ts";
import {
  countType,
  driveCount,
  type DriveInfo,
  DriveType,
  findDrive,
  readDrive,
} from "./drives.ts";
import {
  type Emulation,
  isEmulated,
  Media,
  readEmulation,
  writeEmulation,
  writeSpecification,
} from "./eltorito.ts";
import { floppyService } from "./floppy.ts";
import { isAhci } from "./ahci.ts";
import { isVirtio } from "./virtio_blk.ts";
import type { FrameContext } from "./frame.ts";
import { Bda, Private, PRIVATE_BASE, PRIVATE_SEGMENT } from "./layout.ts";

/** Status in AH and 40:74. */
export const DiskError = {
  ok: 0x00,
  parameter: 0x01,
  writeProtected: 0x03,
  notFound: 0x04,
  changed: 0x06,
  badTrack: 0x0c,
  controller: 0x20,
  timeout: 0x80,
  notReady: 0xaa,
  notLocked: 0xb0,
  locked: 0xb1,
  noMedia: 0x31,
  lockFailed: 0xb4,
} as const;

const READ = 0, WRITE = 1, VERIFY = 2;

/** What a read or write function comes down to. */
interface Job {
  readonly info: DriveInfo;
  /** In units of `unit` bytes, of the drive or the emulated medium. */
  readonly lba: number;
  readonly count: number;
  readonly address: number;
  readonly op: number;
  /** 512, or 2048 for a CD. */
  readonly unit: 512 | 2048;
  /** First 2048-byte block of an emulated medium with 512-byte sectors. */
  readonly imageBlock?: number;
  /** Takes the number of sectors moved. */
  readonly report: (done: number) => void;
}

export function int13(c: FrameContext): void {
  const e = readEmulation(c), dl = c.dl;
  if (isEmulated(e, dl)) return emulatedService(c, e);
  if (dl < 0x80) {
    // An emulated floppy takes the place of A:, which becomes B:.
    const shift = e.active && e.media >= Media.floppy12 && e.media <= Media.floppy288 ? 1 : 0;
    return floppyService(c, dl - shift);
  }
  const shift = e.active && e.media === Media.disk && dl < 0xe0 ? 1 : 0;
  const row = findDrive(c, dl - shift);
  if (row === undefined) return finish(c, DiskError.parameter);
  const info = readDrive(c, row);
  if (info.type === DriveType.atapi) return cdService(c, info, e, row);
  diskService(c, info, shift);
}

/** Ends the service with a status in AH and CF. */
function finish(c: FrameContext, status: number): void {
  c.ah = status;
  c.setCarry(status !== 0);
  c.write8(Bda.diskStatus, status);
}

function diskService(c: FrameContext, info: DriveInfo, shift: number): void {
  switch (c.ah) {
    case 0x00:
    case 0x09:
    case 0x0c:
    case 0x0d:
    case 0x10:
    case 0x11:
    case 0x14:
      return finish(c, DiskError.ok);
    case 0x01: {
      const status = c.read8(Bda.diskStatus);
      c.ah = status;
      c.write8(Bda.diskStatus, 0);
      return c.setCarry(status !== 0);
    }
    case 0x02:
    case 0x03:
    case 0x04:
      return chsJob(c, info, info, info.sectors);
    case 0x08:
      parameters(
        c,
        { ...info, cylinders: usableCylinders(info) },
        countType(c, DriveType.ata) + shift,
      );
      return finish(c, DiskError.ok);
    case 0x15: {
      const sectors = usableCylinders(info) * info.heads * info.sectorsPerTrack;
      c.cx = sectors >>> 16;
      c.dx = sectors & 0xffff;
      finish(c, DiskError.ok);
      c.ah = 3;
      return;
    }
    default:
      return extended(c, info, undefined);
  }
}

/** A disk's last cylinder is kept for tests of the drive and not told of. */
function usableCylinders(info: DriveInfo): number {
  return Math.max(1, info.cylinders - 1);
}

/** Function 08h. CX, DX as the BIOS packs them. */
function parameters(
  c: FrameContext,
  g: { cylinders: number; heads: number; sectorsPerTrack: number },
  drives: number,
): void {
  const last = g.cylinders - 1;
  c.al = 0;
  c.ch = last & 0xff;
  c.cl = ((last >> 2) & 0xc0) | (g.sectorsPerTrack & 0x3f);
  c.dh = g.heads - 1;
  c.dl = drives;
}

/** Functions 02h–04h. */
function chsJob(
  c: FrameContext,
  info: DriveInfo,
  g: { cylinders: number; heads: number; sectorsPerTrack: number },
  sectors: number,
  imageBlock?: number,
): void {
  const cylinder = c.ch | ((c.cl & 0xc0) << 2), sector = c.cl & 0x3f, count = c.al;
  if (count === 0 || count > 128 || sector === 0 || sector > g.sectorsPerTrack || c.dh >= g.heads) {
    return finish(c, DiskError.parameter);
  }
  const lba = (cylinder * g.heads + c.dh) * g.sectorsPerTrack + sector - 1;
  if (lba + count > sectors) return finish(c, DiskError.parameter);
  runJob(c, {
    info,
    lba,
    count,
    address: c.es * 16 + c.bx,
    op: c.ah - 2,
    unit: 512,
    imageBlock,
    report: (done) => c.al = done,
  });
}

/** Functions 42h–44h: the packet at DS:SI. */
function packetJob(c: FrameContext, info: DriveInfo, unit: 512 | 2048, imageBlock?: number): void {
  const p = c.ds * 16 + c.si, size = c.read8(p);
  if (size < 0x10) return finish(c, DiskError.parameter);
  const count = c.read16(p + 2), pointer = c.read32(p + 4);
  const lba = c.read32(p + 8) + c.read32(p + 12) * 2 ** 32;
  const address = pointer === 0xffffffff && size >= 0x18
    ? c.read32(p + 16)
    : c.linear(pointer >>> 16, pointer & 0xffff);
  const sectors = unit === 2048 ? 2 ** 32 : info.sectors;
  if (count === 0) return finish(c, DiskError.ok);
  if (lba + count > sectors || (pointer === 0xffffffff && size >= 0x18 && c.read32(p + 20) !== 0)) {
    c.write16(p + 2, 0);
    return finish(c, DiskError.parameter);
  }
  runJob(c, {
    info,
    lba,
    count,
    address,
    op: c.ah - 0x42,
    unit,
    imageBlock,
    report: (done) => c.write16(p + 2, done),
  });
}

const BOUNCE = PRIVATE_BASE + Private.bounce;
const RETRIES = 4;

/** Runs a transfer in pieces; `args` hold its state: 0 piece, 1 sectors done, 2 tries. */
function runJob(c: FrameContext, job: Job): void {
  if (job.op === VERIFY) {
    job.report(job.count);
    return finish(c, DiskError.ok);
  }
  if (job.op === WRITE && job.info.type === DriveType.atapi) {
    job.report(0);
    return finish(c, DiskError.writeProtected);
  }
  let piece = 0, done = 0, tries = 0, running = false;
  if (c.phase !== 0) {
    piece = c.arg(0);
    done = c.arg(1);
    tries = c.arg(2);
    running = true;
  }
  for (;;) {
    if (running) {
      const p = pollTransfer(c, job.info);
      if (p === "busy") {
        c.setArgs(piece, done, tries, 0);
        return waitForDrive(c, job.info, 1);
      }
      if (p === "error") {
        const key = lastError(c, job.info);
        if (++tries > RETRIES) {
          job.report(done);
          return finish(c, errorStatus(job.info, key));
        }
      } else {
        if (job.imageBlock !== undefined && bounced(job, done)) copyOut(c, job, done, piece);
        done += piece;
        tries = 0;
      }
    }
    if (done >= job.count) {
      job.report(job.count);
      return finish(c, DiskError.ok);
    }
    piece = pieceSize(job, done);
    if (!startPiece(c, job, done, piece)) {
      job.report(done);
      return finish(c, DiskError.timeout);
    }
    running = true;
  }
}

/** A CD block that the request covers only in part goes through the bounce buffer. */
function bounced(job: Job, done: number): boolean {
  return ((job.lba + done) & 3) !== 0 || job.count - done < 4;
}

function pieceSize(job: Job, done: number): number {
  const left = job.count - done;
  if (job.imageBlock === undefined) return Math.min(left, MAX_TRANSFER / job.unit);
  if (bounced(job, done)) return Math.min(left, 4 - ((job.lba + done) & 3));
  return Math.min(left & ~3, MAX_TRANSFER / 512);
}

function startPiece(c: FrameContext, job: Job, done: number, piece: number): boolean {
  const lba = job.lba + done, address = job.address + done * job.unit;
  if (job.imageBlock === undefined) {
    return startTransfer(c, job.info, lba, piece, address, job.op === WRITE);
  }
  const block = job.imageBlock + Math.floor(lba / 4);
  return bounced(job, done)
    ? startTransfer(c, job.info, block, 1, BOUNCE, false)
    : startTransfer(c, job.info, block, piece / 4, address, false);
}

function copyOut(c: FrameContext, job: Job, done: number, piece: number): void {
  const bytes = new Uint8Array(piece * 512);
  c.readBytes(BOUNCE + ((job.lba + done) & 3) * 512, bytes);
  c.writeBytes(job.address + done * 512, bytes);
}

function errorStatus(info: DriveInfo, error: number): number {
  if (isVirtio(info)) return DiskError.badTrack;
  if (info.type !== DriveType.atapi) {
    return error & 0x10 ? DiskError.notFound : DiskError.controller;
  }
  return error === 2 ? DiskError.noMedia : error === 6 ? DiskError.changed : DiskError.controller;
}

// CD-ROM drives

function cdService(c: FrameContext, info: DriveInfo, e: Emulation, row: number): void {
  switch (c.ah) {
    case 0x00:
    case 0x09:
    case 0x0c:
    case 0x0d:
    case 0x10:
    case 0x11:
    case 0x14:
      return finish(c, DiskError.ok);
    case 0x01: {
      const status = c.read8(Bda.diskStatus);
      c.ah = status;
      return c.setCarry(status !== 0);
    }
    case 0x15:
      finish(c, DiskError.notReady);
      c.ah = 0x02;
      return;
    case 0x03:
    case 0x05:
    case 0x43:
      return finish(c, DiskError.writeProtected);
    case 0x02:
    case 0x04:
    case 0x08:
      return finish(c, DiskError.parameter);
    default:
      return extended(c, info, { e, row });
  }
}

/** Runs one packet command without data; its end is the service's. */
function packetCommand(c: FrameContext, info: DriveInfo, cdb: number[], failure: number): void {
  if (c.phase === 0 && !startCommand(c, info, cdb)) return finish(c, DiskError.timeout);
  const p = pollTransfer(c, info);
  if (p === "busy") return waitForDrive(c, info, 1);
  finish(c, p === "done" ? DiskError.ok : failure);
}

// Enhanced Disk Drive and El Torito

function extended(
  c: FrameContext,
  info: DriveInfo,
  cd: { e: Emulation; row: number } | undefined,
): void {
  switch (c.ah) {
    case 0x41:
      if (c.bx !== 0x55aa) return finish(c, DiskError.parameter);
      c.bx = 0xaa55;
      c.cx = 0x0007; // packet access, locking and ejecting, device parameters
      finish(c, DiskError.ok);
      c.ah = 0x30;
      return;
    case 0x42:
    case 0x43:
    case 0x44:
      return packetJob(c, info, cd ? 2048 : 512);
    case 0x45:
      if (cd === undefined) return finish(c, c.al > 2 ? DiskError.parameter : DiskError.ok);
      if (c.al > 2) return finish(c, DiskError.parameter);
      if (c.al === 2) {
        c.al = 0;
        return finish(c, DiskError.ok);
      }
      return packetCommand(
        c,
        info,
        [0x1e, 0, 0, 0, c.al === 0 ? 1 : 0, 0, 0, 0, 0, 0, 0, 0],
        DiskError.lockFailed,
      );
    case 0x46:
      if (cd === undefined) return finish(c, 0xb2); // volume not removable
      return packetCommand(
        c,
        info,
        [0x1b, 0, 0, 0, 0x02, 0, 0, 0, 0, 0, 0, 0],
        DiskError.locked,
      );
    case 0x47:
    case 0x4e:
      return finish(c, DiskError.ok);
    case 0x48:
      return deviceParameters(c, info);
    case 0x49:
      return finish(c, DiskError.ok); // not changed since the last call
    case 0x4a:
    case 0x4c:
      return cd ? initiateEmulation(c, info, cd) : finish(c, DiskError.parameter);
    case 0x4b:
      return cd ? terminateEmulation(c, info, cd.e) : finish(c, DiskError.parameter);
    case 0x4d:
      return cd ? readCatalog(c, info, cd.e) : finish(c, DiskError.parameter);
    default:
      return finish(c, DiskError.parameter);
  }
}

const MAX_CYLINDERS = 16383;

/** Function 48h: 1Ah bytes for EDD 1.x, 1Eh with a parameter table extension, 42h with the path. */
function deviceParameters(c: FrameContext, info: DriveInfo): void {
  const at = c.ds * 16 + c.si, room = c.read16(at);
  if (room < 0x1a) return finish(c, DiskError.parameter);
  // There is no name for the bus of a drive in a window.
  const pathless = isVirtio(info) && info.bdf === 0xffff;
  const size = room >= 0x42 && !pathless ? 0x42 : room >= 0x1e ? 0x1e : 0x1a;
  const b = new Uint8Array(size), v = new DataView(b.buffer);
  const cd = info.type === DriveType.atapi;
  v.setUint16(0, size, true);
  // A drive of more has no geometry (ATA/ATAPI-6, 6.2): LBA is to be used.
  const { physicalHeads, physicalSectors } = info;
  const whole = info.sectors <= MAX_CYLINDERS * physicalHeads * physicalSectors;
  const cylinders = whole ? info.physicalCylinders : MAX_CYLINDERS;
  v.setUint16(2, cd ? 0x0074 : whole ? 2 : 0, true);
  v.setUint32(4, cd ? 0xffffffff : cylinders, true);
  v.setUint32(8, cd ? 0xffffffff : info.physicalHeads, true);
  v.setUint32(12, cd ? 0xffffffff : info.physicalSectors, true);
  v.setBigUint64(16, cd ? 0xffffffffffffffffn : BigInt(info.sectors), true);
  v.setUint16(24, cd ? 2048 : 512, true);
  const ahci = isAhci(info), virtio = isVirtio(info);
  // The extension is of ATA ports.
  if (size >= 0x1e && (ahci || virtio)) v.setUint32(26, 0xffffffff, true);
  else if (size >= 0x1e) {
    writeDpte(c, info);
    v.setUint16(26, Private.dpte, true);
    v.setUint16(28, PRIVATE_SEGMENT, true);
  }
  if (size >= 0x42) {
    v.setUint16(30, 0xbedd, true);
    b[32] = 0x24; // length of the path
    const isa = info.bdf === 0xffff;
    b.set(new TextEncoder().encode(isa ? "ISA " : "PCI "), 36);
    const kind = virtio ? "SCSI    " : ahci ? "SATA    " : "ATA     ";
    b.set(new TextEncoder().encode(kind), 40);
    if (isa) v.setUint16(48, info.cmd, true);
    else {
      b[48] = info.bdf >> 8;
      b[49] = (info.bdf >> 3) & 31;
      b[50] = info.bdf & 7;
      b[51] = ahci ? 0xff : info.channel & 1;
    }
    b[56] = info.unit;
    b[65] = -b.subarray(30, 65).reduce((a, x) => a + x, 0) & 0xff;
  }
  c.writeBytes(at, b);
  finish(c, DiskError.ok);
}

/** The device parameter table extension, EDD 3.0 table 6. */
function writeDpte(c: FrameContext, info: DriveInfo): void {
  const b = new Uint8Array(16), v = new DataView(b.buffer);
  v.setUint16(0, info.cmd, true);
  v.setUint16(2, info.ctl, true);
  b[4] = 0xe0 | (info.unit << 4);
  b[5] = 0xcb;
  b[6] = info.irq;
  b[7] = 1;
  const cd = info.type === DriveType.atapi;
  v.setUint16(10, (info.bm ? 0x02 : 0) | 0x10 | (cd ? 0x60 : 0x08), true);
  b[14] = 0x11;
  b[15] = -b.reduce((a, x) => a + x, 0) & 0xff;
  c.writeBytes(PRIVATE_BASE + Private.dpte, b);
}

function emulatedService(c: FrameContext, e: Emulation): void {
  const info = readDrive(c, e.row);
  if (e.row >= driveCount(c) || info.type !== DriveType.atapi) {
    return finish(c, DiskError.parameter);
  }
  const sectors = e.cylinders * e.heads * e.sectorsPerTrack;
  const disk = e.media === Media.disk;
  switch (c.ah) {
    case 0x02:
    case 0x04:
      return chsJob(c, info, e, sectors, e.block);
    case 0x03:
    case 0x05:
      return finish(c, DiskError.writeProtected);
    case 0x08:
      c.bl = disk ? 0 : e.media === Media.floppy12 ? 2 : e.media === Media.floppy144 ? 4 : 6;
      c.bh = 0;
      parameters(
        c,
        e,
        disk ? countType(c, DriveType.ata) + 1 : Math.max(1, c.read8(Bda.equipment) >> 6),
      );
      if (!disk) {
        c.es = 0xf000;
        c.di = 0xefc7;
      }
      return finish(c, DiskError.ok);
    case 0x15:
      c.cx = sectors >>> 16;
      c.dx = sectors & 0xffff;
      finish(c, DiskError.ok);
      c.ah = disk ? 3 : 1;
      return;
    case 0x42:
    case 0x44:
      if (!disk) return finish(c, DiskError.parameter);
      return packetJob(c, { ...info, sectors }, 512, e.block);
    case 0x41:
    case 0x48:
      if (!disk) return finish(c, DiskError.parameter);
      return extended(c, {
        ...info,
        type: DriveType.ata,
        sectors,
        physicalCylinders: e.cylinders,
        physicalHeads: e.heads,
        physicalSectors: e.sectorsPerTrack,
      }, undefined);
    case 0x4b:
      return terminateEmulation(c, info, e);
    case 0x4d:
      return readCatalog(c, info, e);
    case 0x00:
    case 0x01:
    case 0x09:
    case 0x0c:
    case 0x0d:
    case 0x10:
    case 0x11:
    case 0x14:
    case 0x16:
      return finish(c, DiskError.ok);
    default:
      return finish(c, DiskError.parameter);
  }
}

function terminateEmulation(c: FrameContext, info: DriveInfo, e: Emulation): void {
  if (!e.active) return finish(c, DiskError.parameter);
  writeSpecification(c, e, info.channel * 2 + info.unit, c.ds * 16 + c.si);
  if (c.al === 0) writeEmulation(c, { ...e, active: false });
  finish(c, DiskError.ok);
}

/** 4Ah starts the emulation that the packet at DS:SI describes; 4Ch also boots from it. */
function initiateEmulation(
  c: FrameContext,
  info: DriveInfo,
  cd: { e: Emulation; row: number },
): void {
  const p = c.ds * 16 + c.si;
  if (c.read8(p) < 0x13) return finish(c, DiskError.parameter);
  const media = c.read8(p + 1) & 15;
  if (media > Media.disk) return finish(c, DiskError.parameter);
  const e: Emulation = {
    active: true,
    media,
    drive: c.read8(p + 2),
    row: cd.row,
    block: c.read32(p + 4),
    catalog: cd.e.catalog,
    loadSegment: c.read16(p + 12) || 0x07c0,
    loadCount: c.read16(p + 14),
    cylinders: c.read8(p + 16) | ((c.read8(p + 17) & 0xc0) << 2),
    heads: c.read8(p + 18) + 1,
    sectorsPerTrack: c.read8(p + 17) & 0x3f,
  };
  if (c.ah === 0x4a) {
    writeEmulation(c, e);
    return finish(c, DiskError.ok);
  }
  runJob(c, {
    info,
    lba: 0,
    count: Math.max(1, e.loadCount),
    address: e.loadSegment * 16,
    op: READ,
    unit: 512,
    imageBlock: e.block,
    report: () => {},
  });
  if (c.action !== 0 || c.carry) return;
  writeEmulation(c, e);
  c.cs = e.loadSegment === 0x07c0 ? 0 : e.loadSegment;
  c.ip = e.loadSegment === 0x07c0 ? 0x7c00 : 0;
  c.dl = e.drive;
}

/** 4Dh: sectors of the boot catalog. Packet: size, count, buffer (seg:off), first sector. */
function readCatalog(c: FrameContext, info: DriveInfo, e: Emulation): void {
  const p = c.ds * 16 + c.si;
  if (!e.active || c.read8(p) < 8) return finish(c, DiskError.parameter);
  const pointer = c.read32(p + 2);
  runJob(c, {
    info,
    lba: e.catalog + c.read16(p + 6),
    count: Math.max(1, c.read8(p + 1)),
    address: c.linear(pointer >>> 16, pointer & 0xffff),
    op: READ,
    unit: 2048,
    report: () => {},
  });
}
