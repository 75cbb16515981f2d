/** The table of drives that INT 13h serves, kept in the BIOS's private memory. */
import type { FrameContext } from "./frame.ts";
import { Private, PRIVATE_BASE } from "./layout.ts";

export const DriveType = { none: 0, ata: 1, atapi: 2 } as const;
export const DriveFlag = { lba48: 1, dma: 2, removable: 4, ahci: 8, virtio: 16 } as const;

/** One row. All fields are unsigned integers. */
export interface DriveInfo {
  type: number;
  flags: number;
  /**
   * Command block, control block (device control register) and bus master ports; 0 for no DMA. With
   * AHCI and in a virtio window, low and high half of the address of the controller's registers.
   */
  cmd: number;
  ctl: number;
  bm: number;
  /** 0 master, 1 slave; with AHCI the port. */
  unit: number;
  irq: number;
  /** 0 primary, 1 secondary, then controller by controller. */
  channel: number;
  /** What INT 13h/08h tells: cylinders 1–1024, heads, sectors per track. */
  cylinders: number;
  heads: number;
  sectorsPerTrack: number;
  /** Sectors of the medium; 0 for a CD. */
  sectors: number;
  /** The drive's own geometry. */
  physicalCylinders: number;
  physicalHeads: number;
  physicalSectors: number;
  /** FFFFh without PCI. */
  bdf: number;
}

const at = (n: number) => PRIVATE_BASE + Private.drives + n * Private.driveSize;

export function driveCount(c: FrameContext): number {
  return Math.min(c.read8(PRIVATE_BASE + Private.driveCount), Private.driveMax);
}

export function readDrive(c: FrameContext, index: number): DriveInfo {
  const b = new Uint8Array(Private.driveSize);
  c.readBytes(at(index), b);
  const v = new DataView(b.buffer);
  return {
    type: b[0],
    flags: b[1],
    cmd: v.getUint16(2, true),
    ctl: v.getUint16(4, true),
    bm: v.getUint16(6, true),
    unit: b[8],
    irq: b[9],
    channel: b[10],
    cylinders: v.getUint16(12, true),
    heads: b[14] === 0 && b[15] !== 0 ? 256 : b[14],
    sectorsPerTrack: b[15],
    sectors: v.getUint32(16, true) + v.getUint16(20, true) * 2 ** 32,
    physicalCylinders: v.getUint16(22, true),
    physicalHeads: b[24],
    physicalSectors: b[25],
    bdf: v.getUint16(26, true),
  };
}

export function writeDrive(c: FrameContext, index: number, d: DriveInfo): void {
  const b = new Uint8Array(Private.driveSize), v = new DataView(b.buffer);
  b[0] = d.type;
  b[1] = d.flags;
  v.setUint16(2, d.cmd, true);
  v.setUint16(4, d.ctl, true);
  v.setUint16(6, d.bm, true);
  b[8] = d.unit;
  b[9] = d.irq;
  b[10] = d.channel;
  v.setUint16(12, d.cylinders, true);
  b[14] = d.heads;
  b[15] = d.sectorsPerTrack;
  v.setUint32(16, d.sectors % 2 ** 32, true);
  v.setUint16(20, Math.floor(d.sectors / 2 ** 32), true);
  v.setUint16(22, d.physicalCylinders, true);
  b[24] = d.physicalHeads;
  b[25] = d.physicalSectors;
  v.setUint16(26, d.bdf, true);
  c.writeBytes(at(index), b);
}

/** Appends a drive; its index, or -1 when the table is full. */
export function addDrive(c: FrameContext, d: DriveInfo): number {
  const n = driveCount(c);
  if (n >= Private.driveMax) return -1;
  writeDrive(c, n, d);
  c.write8(PRIVATE_BASE + Private.driveCount, n + 1);
  return n;
}

/**
 * The table row behind a BIOS drive number: 80h+n is the n-th disk, E0h+n the n-th CD-ROM drive;
 * undefined for others.
 */
export function findDrive(c: FrameContext, dl: number): number | undefined {
  const type = dl >= 0xe0 ? DriveType.atapi : DriveType.ata;
  let left = dl - (dl >= 0xe0 ? 0xe0 : 0x80);
  if (left < 0) return undefined;
  for (let n = 0; n < driveCount(c); n++) {
    if (c.read8(at(n)) === type && left-- === 0) return n;
  }
  return undefined;
}

/** Drives of one type. */
export function countType(c: FrameContext, type: number): number {
  let count = 0;
  for (let n = 0; n < driveCount(c); n++) if (c.read8(at(n)) === type) count++;
  return count;
}
