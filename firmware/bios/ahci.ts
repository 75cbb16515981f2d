/**
 * SATA disks and CD-ROM drives behind an AHCI controller (Serial ATA AHCI 1.3.1): one command at a
 * time, in slot 0, with the list, the frames and the table in the BIOS's private memory. A transfer is
 * started, then polled until it is done, as in ata.ts.
 */
import type { FrameContext } from "./frame.ts";
import { DriveFlag, type DriveInfo, DriveType } from "./drives.ts";
import { Private, PRIVATE_BASE } from "./layout.ts";
import { everyFunction, Pci, PciCommand, readConfig, writeConfig } from "./pci.ts";

const AHCI_CLASS = 0x010601;
const BAR5 = Pci.BAR0 + 20;
/** Global registers and, from 100h on, those of the ports. */
const GHC = 0x04, PI = 0x0c, PORTS = 0x100, PORT_SIZE = 0x80;
const GHC_AE = 0x80000000;
const PxCLB = 0x00, PxCLBU = 0x04, PxFB = 0x08, PxFBU = 0x0c, PxIS = 0x10, PxIE = 0x14;
const PxCMD = 0x18, PxTFD = 0x20, PxSIG = 0x24, PxSSTS = 0x28, PxSERR = 0x30, PxCI = 0x38;
const CMD_ST = 0x0001, CMD_SUD = 0x0002, CMD_POD = 0x0004, CMD_FRE = 0x0010;
const CMD_FR = 0x4000, CMD_CR = 0x8000;
const IS_ERRORS = 0x78000000;
const TFD_BSY = 0x80, TFD_DRQ = 0x08, TFD_ERR = 0x21;
const SIG_ATAPI = 0xeb140101, SIG_ATA = 0x00000101;
const DET_READY = 3;

const LIST = PRIVATE_BASE + Private.ahciList, FRAMES = PRIVATE_BASE + Private.ahciFrames;
const TABLE = PRIVATE_BASE + Private.ahciTable, PACKET = TABLE + 0x40, PRDT = TABLE + 0x80;
const FIS_H2D = 0x27, FIS_C = 0x80, CFL = 5;
const CH_ATAPI = 0x20, CH_WRITE = 0x40;
const READ_DMA_EXT = 0x25, WRITE_DMA_EXT = 0x35, PACKET_COMMAND = 0xa0;
const IDENTIFY = 0xec, IDENTIFY_PACKET = 0xa1;
const TRIES = 5000;

export type AhciProgress = "busy" | "done" | "error";

/** What a port's registers are reached by: a table row keeps the address in the port fields. */
type Where = Pick<DriveInfo, "cmd" | "ctl" | "unit">;

/** A drive with an AHCI port; its number is the unit. */
export function isAhci(d: DriveInfo): boolean {
  return (d.flags & DriveFlag.ahci) !== 0;
}

function port(w: Where): number {
  return ((w.ctl << 16) | w.cmd) + PORTS + w.unit * PORT_SIZE >>> 0;
}

function read(c: FrameContext, w: Where, reg: number): number {
  return c.machine.mem.read(port(w) + reg, 4);
}

function write(c: FrameContext, w: Where, reg: number, value: number): void {
  c.machine.mem.write(port(w) + reg, 4, value >>> 0);
}

/** Stops the command list; false if the controller does not. */
function stop(c: FrameContext, w: Where): boolean {
  write(c, w, PxCMD, read(c, w, PxCMD) & ~CMD_ST);
  for (let n = 0; n < TRIES; n++) if ((read(c, w, PxCMD) & CMD_CR) === 0) return true;
  return false;
}

/** Makes the port use the BIOS's memory, which a program may have changed. */
function start(c: FrameContext, w: Where): boolean {
  if (!stop(c, w)) return false;
  write(c, w, PxCMD, read(c, w, PxCMD) & ~CMD_FRE);
  for (let n = 0; n < TRIES && read(c, w, PxCMD) & CMD_FR; n++);
  write(c, w, PxIE, 0);
  write(c, w, PxCLB, LIST);
  write(c, w, PxCLBU, 0);
  write(c, w, PxFB, FRAMES);
  write(c, w, PxFBU, 0);
  write(c, w, PxSERR, 0xffffffff);
  write(c, w, PxCMD, CMD_SUD | CMD_POD | CMD_FRE);
  for (let n = 0; n < TRIES && read(c, w, PxTFD) & (TFD_BSY | TFD_DRQ); n++);
  write(c, w, PxCMD, CMD_SUD | CMD_POD | CMD_FRE | CMD_ST);
  return (read(c, w, PxTFD) & (TFD_BSY | TFD_DRQ)) === 0;
}

/** The descriptor table for `length` bytes at linear `address`; gives its length, -1 if too long. */
function buildPrdt(c: FrameContext, address: number, length: number): number {
  const step = c.machine.translate === undefined ? 0x10000 : 0x1000;
  let n = 0;
  for (; length > 0; n++) {
    if (n >= Private.prdMax) return -1;
    const size = Math.min(length, step - (address % step)), at = PRDT + 16 * n;
    c.write32(at, c.physical(address));
    c.write32(at + 4, 0);
    c.write32(at + 8, 0);
    c.write32(at + 12, size - 1);
    address += size;
    length -= size;
  }
  return n;
}

interface Command {
  readonly code: number;
  readonly lba?: number;
  readonly count?: number;
  readonly features?: number;
  readonly packet?: readonly number[];
  readonly write?: boolean;
  readonly address: number;
  readonly length: number;
}

function issue(c: FrameContext, w: Where, k: Command): boolean {
  const ours = read(c, w, PxCLB) === LIST && read(c, w, PxFB) === FRAMES;
  const idle = (read(c, w, PxCI) & 1) === 0 && (read(c, w, PxTFD) & (TFD_BSY | TFD_DRQ)) === 0;
  const running = (read(c, w, PxCMD) & CMD_CR) !== 0;
  if (!(ours && idle && running) && !start(c, w)) return false;
  const prds = buildPrdt(c, k.address, k.length);
  if (prds < 0) return false;
  const lba = k.lba ?? 0, count = k.count ?? 0;
  const byte = (n: number) => Math.floor(lba / 2 ** (8 * n)) & 0xff;
  const fis = new Uint8Array(64);
  fis.set([FIS_H2D, FIS_C, k.code, k.features ?? 0, byte(0), byte(1), byte(2), 0x40]);
  fis.set([byte(3), byte(4), byte(5), 0, count & 0xff, count >> 8], 8);
  if (k.packet) {
    fis[5] = 2048 & 0xff; // byte count limit
    fis[6] = 2048 >> 8;
    fis[7] = 0;
  }
  c.writeBytes(TABLE, fis);
  c.writeBytes(PACKET, Uint8Array.from([...k.packet ?? [], ...new Array(16).fill(0)].slice(0, 16)));
  const flags = CFL | (k.packet ? CH_ATAPI : 0) | (k.write ? CH_WRITE : 0);
  c.write32(LIST, flags | (prds << 16));
  c.write32(LIST + 4, 0);
  c.write32(LIST + 8, TABLE);
  c.write32(LIST + 12, 0);
  write(c, w, PxIS, 0xffffffff);
  write(c, w, PxCI, 1);
  return true;
}

/** Starts reading (or writing) `count` sectors, of 512 bytes, or 2048 from a CD. */
export function startAhciTransfer(
  c: FrameContext,
  d: DriveInfo,
  lba: number,
  count: number,
  address: number,
  write: boolean,
): boolean {
  if (d.type === DriveType.atapi) {
    const packet = [
      ...[0x28, 0, lba >>> 24, lba >>> 16, lba >>> 8, lba].map((b) => b & 0xff),
      ...[0, count >> 8, count & 0xff, 0, 0, 0],
    ];
    return startAhciCommand(c, d, packet, address, count * 2048);
  }
  const code = write ? WRITE_DMA_EXT : READ_DMA_EXT;
  return issue(c, d, { code, lba, count, write, address, length: count * 512 });
}

/** Starts a packet command that reads at most `length` bytes to linear `address`. */
export function startAhciCommand(
  c: FrameContext,
  d: DriveInfo,
  packet: readonly number[],
  address = 0,
  length = 0,
): boolean {
  const features = length > 0 ? 1 : 0; // data by DMA
  return issue(c, d, { code: PACKET_COMMAND, features, packet, address, length });
}

export function pollAhci(c: FrameContext, w: Where): AhciProgress {
  const failed = read(c, w, PxIS) & IS_ERRORS;
  if (failed === 0 && read(c, w, PxCI) & 1) return "busy";
  const bad = failed !== 0 || (read(c, w, PxTFD) & TFD_ERR) !== 0;
  if (failed !== 0) start(c, w);
  return bad ? "error" : "done";
}

/** The ATA error register after the last command, or the sense key. */
export function ahciError(c: FrameContext, d: DriveInfo): number {
  const error = (read(c, d, PxTFD) >> 8) & 0xff;
  return d.type === DriveType.atapi ? error >> 4 : error;
}

/** A device found at a port. */
export interface AhciDevice {
  readonly cmd: number;
  readonly ctl: number;
  readonly unit: number;
  readonly bdf: number;
  /** `pci8086,2922@1f,2`. */
  readonly name: string;
  readonly packet: boolean;
  /** IDENTIFY (PACKET) DEVICE data. */
  readonly words: Uint16Array;
}

/** Sets up every AHCI controller and asks each device what it is. */
export function findAhciDevices(c: FrameContext, lastBus: number): AhciDevice[] {
  const found: AhciDevice[] = [];
  for (const f of everyFunction(c, lastBus)) {
    if (f.classCode !== AHCI_CLASS) continue;
    const bar = (readConfig(c, f.bdf, BAR5, 4) & ~0xfff) >>> 0;
    if (bar === 0) continue;
    const command = readConfig(c, f.bdf, Pci.COMMAND, 2);
    writeConfig(c, f.bdf, Pci.COMMAND, 2, command | PciCommand.MEMORY | PciCommand.MASTER);
    const { mem } = c.machine;
    mem.write(bar + GHC, 4, GHC_AE);
    const implemented = mem.read(bar + PI, 4);
    const hex = (n: number) => n.toString(16);
    const slot = (f.bdf >> 3) & 31, fn = f.bdf & 7;
    const name = `pci${hex(f.vendor)},${hex(f.device)}@${hex(slot)}${fn ? "," + fn : ""}`;
    for (let unit = 0; unit < 32; unit++) {
      if (((implemented >>> unit) & 1) === 0) continue;
      const where = { cmd: bar & 0xffff, ctl: bar >>> 16, unit };
      const id = identify(c, where);
      if (id !== undefined) found.push({ ...where, bdf: f.bdf, name, ...id });
    }
  }
  return found;
}

function identify(
  c: FrameContext,
  w: Where,
): { packet: boolean; words: Uint16Array } | undefined {
  if ((read(c, w, PxSSTS) & 0x0f) !== DET_READY) return undefined;
  if (!start(c, w)) return undefined;
  const signature = read(c, w, PxSIG), packet = signature === SIG_ATAPI;
  if (!packet && signature !== SIG_ATA) return undefined;
  const address = PRIVATE_BASE + Private.bounce;
  const code = packet ? IDENTIFY_PACKET : IDENTIFY;
  if (!issue(c, w, { code, address, length: 512 })) return undefined;
  let p = pollAhci(c, w);
  for (let n = 0; n < TRIES && p === "busy"; n++) p = pollAhci(c, w);
  if (p !== "done") return undefined;
  const bytes = new Uint8Array(512);
  c.readBytes(address, bytes);
  return { packet, words: new Uint16Array(bytes.buffer) };
}
