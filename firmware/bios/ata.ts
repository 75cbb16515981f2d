/**
 * IDE disks and CD-ROM drives: commands and data transfer. ATA/ATAPI-6 (T13 1410D), SFF-8020i,
 * bus master SFF-8038i. A transfer is started, then polled until it is done: the back end of a
 * drive may need time, during which the guest's other interrupts go on.
 */
import { ahciError, isAhci, pollAhci, startAhciCommand, startAhciTransfer } from "./ahci.ts";
import type { FrameContext } from "./frame.ts";
import { DriveFlag, type DriveInfo, DriveType } from "./drives.ts";
import { irqEnabled } from "./irq.ts";
import { Private, PRIVATE_BASE } from "./layout.ts";
import { isVirtio, pollVirtio, startVirtioTransfer } from "./virtio_blk.ts";

export const AtaStatus = { BSY: 0x80, DRDY: 0x40, DF: 0x20, DRQ: 0x08, ERR: 0x01 } as const;
export const AtaCommand = {
  READ: 0x20,
  READ_EXT: 0x24,
  READ_DMA_EXT: 0x25,
  WRITE: 0x30,
  WRITE_EXT: 0x34,
  WRITE_DMA_EXT: 0x35,
  VERIFY: 0x40,
  PACKET: 0xa0,
  IDENTIFY_PACKET: 0xa1,
  READ_DMA: 0xc8,
  WRITE_DMA: 0xca,
  FLUSH: 0xe7,
  IDENTIFY: 0xec,
} as const;

/** Command block registers. */
const DATA = 0, FEATURES = 1, COUNT = 2, LBA0 = 3, LBA1 = 4, LBA2 = 5, DEVICE = 6, COMMAND = 7;
const ERROR = 1, STATUS = 7;
const BM_COMMAND = 0, BM_STATUS = 2, BM_TABLE = 4;
const BM_START = 1, BM_READ = 8, BM_ERROR = 2, BM_INTERRUPT = 4;
const TRIES = 5000;

/** Largest transfer of one command, in bytes: what the descriptor table surely covers. */
export const MAX_TRANSFER = 0x10000;

/** Fields of the transfer in progress, from PRIVATE_BASE + Private.transfer. */
const T = PRIVATE_BASE + Private.transfer;
const T_ADDRESS = T, T_LEFT = T + 4, T_FLAGS = T + 8;
const WRITE = 1, DMA = 2, PACKET_PENDING = 4, PACKET_DATA = 8;

export type Progress = "busy" | "done" | "error";

export function altStatus(c: FrameContext, d: DriveInfo): number {
  return c.inb(d.ctl);
}

/** Selects the drive once the channel is idle; false when it stays busy. */
function select(c: FrameContext, d: DriveInfo, high = 0): boolean {
  for (let n = 0; n < TRIES; n++) {
    if ((altStatus(c, d) & (AtaStatus.BSY | AtaStatus.DRQ)) === 0) {
      c.outb(d.cmd + DEVICE, 0xa0 | (d.unit << 4) | high);
      return true;
    }
  }
  // A command was abandoned half-way (a program's): reset the channel.
  c.outb(d.ctl, 0x04);
  c.outb(d.ctl, 0x00);
  for (let n = 0; n < TRIES; n++) {
    if ((altStatus(c, d) & AtaStatus.BSY) === 0) {
      c.outb(d.cmd + DEVICE, 0xa0 | (d.unit << 4) | high);
      return true;
    }
  }
  return false;
}

/** Builds the descriptor table for `length` bytes at linear `address`; false if DMA cannot reach. */
function buildPrds(c: FrameContext, address: number, length: number): boolean {
  if (address & 1 || length & 1) return false;
  const step = c.machine.translate === undefined ? 0x10000 : 0x1000;
  let at = PRIVATE_BASE + Private.prd;
  for (let n = 0; length > 0; n++) {
    if (n >= Private.prdMax) return false;
    const size = Math.min(length, step - (address % step));
    c.write32(at, c.physical(address));
    c.write32(at + 4, (size & 0xffff) | (size === length ? 0x80000000 : 0));
    at += 8;
    address += size;
    length -= size;
  }
  return true;
}

function armDma(c: FrameContext, d: DriveInfo, write: boolean): void {
  c.outb(d.bm + BM_COMMAND, 0);
  c.outb(d.bm + BM_STATUS, c.inb(d.bm + BM_STATUS) | BM_ERROR | BM_INTERRUPT);
  c.outl(d.bm + BM_TABLE, PRIVATE_BASE + Private.prd);
  c.outb(d.bm + BM_COMMAND, write ? 0 : BM_READ);
}

/**
 * Starts reading (or writing) `count` sectors — of 512 bytes, or 2048 from a CD — at `lba` to linear
 * `address`. At most {@link MAX_TRANSFER} bytes. False when the drive does not listen.
 */
export function startTransfer(
  c: FrameContext,
  d: DriveInfo,
  lba: number,
  count: number,
  address: number,
  write: boolean,
): boolean {
  if (isAhci(d)) return startAhciTransfer(c, d, lba, count, address, write);
  if (isVirtio(d)) return startVirtioTransfer(c, d, lba, count, address, write);
  const packet = d.type === DriveType.atapi;
  const length = count * (packet ? 2048 : 512);
  const dma = d.bm !== 0 && (d.flags & DriveFlag.dma) !== 0 && buildPrds(c, address, length);
  c.write32(T_ADDRESS, address);
  c.write32(T_LEFT, length);
  c.write8(T_FLAGS, (write ? WRITE : 0) | (dma ? DMA : 0));
  if (packet) {
    return startPacket(
      c,
      d,
      [
        ...[0x28, 0, lba >>> 24, lba >>> 16, lba >>> 8, lba].map((b) => b & 0xff),
        ...[0, count >> 8, count & 0xff, 0, 0, 0],
      ],
      dma,
    );
  }
  const wide = (d.flags & DriveFlag.lba48) !== 0 && lba + count > 0x10000000;
  if (!select(c, d, wide ? 0x40 : 0x40 | ((lba / 0x1000000) & 15))) return false;
  c.outb(d.ctl, 0x08); // interrupts on
  if (dma) armDma(c, d, write);
  if (wide) {
    c.outb(d.cmd + COUNT, count >> 8);
    c.outb(d.cmd + LBA0, Math.floor(lba / 2 ** 24) & 0xff);
    c.outb(d.cmd + LBA1, Math.floor(lba / 2 ** 32) & 0xff);
    c.outb(d.cmd + LBA2, Math.floor(lba / 2 ** 40) & 0xff);
  }
  c.outb(d.cmd + COUNT, count & 0xff);
  c.outb(d.cmd + LBA0, lba & 0xff);
  c.outb(d.cmd + LBA1, (lba >>> 8) & 0xff);
  c.outb(d.cmd + LBA2, (lba >>> 16) & 0xff);
  c.outb(
    d.cmd + COMMAND,
    dma
      ? write
        ? wide ? AtaCommand.WRITE_DMA_EXT : AtaCommand.WRITE_DMA
        : wide
        ? AtaCommand.READ_DMA_EXT
        : AtaCommand.READ_DMA
      : write
      ? wide ? AtaCommand.WRITE_EXT : AtaCommand.WRITE
      : wide
      ? AtaCommand.READ_EXT
      : AtaCommand.READ,
  );
  if (dma) c.outb(d.bm + BM_COMMAND, (write ? 0 : BM_READ) | BM_START);
  return true;
}

/** A command of 12 bytes whose data goes to the transfer set up before. */
function startPacket(c: FrameContext, d: DriveInfo, cdb: number[], dma: boolean): boolean {
  if (!select(c, d)) return false;
  c.outb(d.ctl, 0x08);
  if (dma) armDma(c, d, false);
  c.outb(d.cmd + FEATURES, dma ? 1 : 0);
  c.outb(d.cmd + LBA1, 2048 & 0xff);
  c.outb(d.cmd + LBA2, 2048 >> 8);
  c.outb(d.cmd + COMMAND, AtaCommand.PACKET);
  const at = PRIVATE_BASE + Private.transfer + 12;
  c.writeBytes(at, Uint8Array.from(cdb));
  c.write8(T_FLAGS, c.read8(T_FLAGS) | PACKET_PENDING);
  return true;
}

/** Starts a packet command that reads at most `length` bytes to linear `address` by PIO. */
export function startCommand(
  c: FrameContext,
  d: DriveInfo,
  cdb: number[],
  address = 0,
  length = 0,
): boolean {
  if (isAhci(d)) return startAhciCommand(c, d, cdb, address, length);
  c.write32(T_ADDRESS, address);
  c.write32(T_LEFT, length);
  c.write8(T_FLAGS, PACKET_DATA);
  return startPacket(c, d, cdb, false);
}

/** Moves what can be moved and tells how far the transfer is. */
export function pollTransfer(c: FrameContext, d: DriveInfo): Progress {
  if (isAhci(d)) return pollAhci(c, d);
  if (isVirtio(d)) return pollVirtio(c, d);
  const flags = c.read8(T_FLAGS);
  if (flags & PACKET_PENDING) {
    const s = altStatus(c, d);
    if (s & AtaStatus.BSY) return "busy";
    if ((s & AtaStatus.DRQ) === 0) return "error";
    for (let n = 0; n < 12; n += 2) c.outw(d.cmd + DATA, c.read16(T + 12 + n));
    c.write8(T_FLAGS, flags & ~PACKET_PENDING);
    if (flags & DMA) c.outb(d.bm + BM_COMMAND, BM_READ | BM_START);
  }
  return flags & DMA ? pollDma(c, d) : pollPio(c, d, flags);
}

function pollDma(c: FrameContext, d: DriveInfo): Progress {
  const s = altStatus(c, d), bm = c.inb(d.bm + BM_STATUS);
  if (s & AtaStatus.BSY) return "busy";
  if ((bm & (BM_INTERRUPT | BM_ERROR)) === 0 && (s & AtaStatus.ERR) === 0 && s & AtaStatus.DRQ) {
    return "busy";
  }
  c.outb(d.bm + BM_COMMAND, 0);
  c.outb(d.bm + BM_STATUS, bm | BM_ERROR | BM_INTERRUPT);
  const status = c.inb(d.cmd + STATUS);
  return bm & BM_ERROR || status & (AtaStatus.ERR | AtaStatus.DF | AtaStatus.DRQ)
    ? "error"
    : "done";
}

function pollPio(c: FrameContext, d: DriveInfo, flags: number): Progress {
  let address = c.read32(T_ADDRESS), left = c.read32(T_LEFT);
  for (;;) {
    const s = altStatus(c, d);
    if (s & AtaStatus.BSY) {
      c.write32(T_ADDRESS, address);
      c.write32(T_LEFT, left);
      return "busy";
    }
    if (s & (AtaStatus.ERR | AtaStatus.DF)) {
      c.inb(d.cmd + STATUS);
      return "error";
    }
    if ((s & AtaStatus.DRQ) === 0) {
      c.inb(d.cmd + STATUS);
      return left === 0 || flags & PACKET_DATA ? "done" : "error";
    }
    const packet = d.type === DriveType.atapi;
    const block = packet ? c.inb(d.cmd + LBA1) | (c.inb(d.cmd + LBA2) << 8) : 512;
    const bytes = new Uint8Array(block + (block & 1));
    const use = Math.min(block, left);
    if (flags & WRITE) {
      c.readBytes(address, bytes.subarray(0, use));
      for (let n = 0; n < block; n += 2) c.outw(d.cmd + DATA, bytes[n] | (bytes[n + 1] << 8));
    } else {
      for (let n = 0; n < block; n += 2) {
        const w = c.inw(d.cmd + DATA);
        bytes[n] = w;
        bytes[n + 1] = w >> 8;
      }
      c.writeBytes(address, bytes.subarray(0, use));
    }
    c.inb(d.cmd + STATUS);
    address += use;
    left -= use;
  }
}

/**
 * What the drive said about the last command: the ATA error register, or the sense key; 0 from a
 * virtio disk, whose requests just fail.
 */
export function lastError(c: FrameContext, d: DriveInfo): number {
  if (isAhci(d)) return ahciError(c, d);
  if (isVirtio(d)) return 0;
  const e = c.inb(d.cmd + ERROR);
  return d.type === DriveType.atapi ? e >> 4 : e;
}

/** Come back when the drive may be further: at its interrupt if that can arrive, else soon. */
export function waitForDrive(c: FrameContext, d: DriveInfo, phase: number): void {
  if (!isAhci(d) && !isVirtio(d) && irqEnabled(c, d.irq)) c.wait(phase);
  else c.poll(phase);
}

/** IRQ 14 and 15: reading the status register takes the request back. */
export function irqDisk(c: FrameContext, statusPort: number): void {
  c.inb(statusPort);
}

/** IDENTIFY (PACKET) DEVICE: 256 words, or undefined when no such device answers. */
export function identify(
  c: FrameContext,
  where: Pick<DriveInfo, "cmd" | "ctl" | "unit">,
): { packet: boolean; words: Uint16Array } | undefined {
  const status = () => c.inb(where.ctl);
  if (status() === 0xff && c.inb(where.cmd + STATUS) === 0xff) return undefined;
  c.outb(where.ctl, 0x0a); // no interrupts while looking
  c.outb(where.cmd + DEVICE, 0xa0 | (where.unit << 4));
  c.outb(where.cmd + COUNT, 0x55);
  c.outb(where.cmd + LBA0, 0xaa);
  if (c.inb(where.cmd + COUNT) !== 0x55 || c.inb(where.cmd + LBA0) !== 0xaa) return undefined;
  for (const command of [AtaCommand.IDENTIFY, AtaCommand.IDENTIFY_PACKET]) {
    c.outb(where.cmd + DEVICE, 0xa0 | (where.unit << 4));
    c.outb(where.cmd + COMMAND, command);
    let s = status();
    for (let n = 0; n < TRIES && s & AtaStatus.BSY; n++) s = status();
    if (s === 0 || s & (AtaStatus.BSY | AtaStatus.ERR) || (s & AtaStatus.DRQ) === 0) {
      c.inb(where.cmd + STATUS);
      continue;
    }
    const words = new Uint16Array(256);
    for (let n = 0; n < 256; n++) words[n] = c.inw(where.cmd + DATA);
    c.inb(where.cmd + STATUS);
    return { packet: command === AtaCommand.IDENTIFY_PACKET, words };
  }
  return undefined;
}
