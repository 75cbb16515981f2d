/**
 * INT 13h and INT 40h for floppy drives: the 82077AA/82078 datasheets, the 8237A for its DMA channel,
 * IBM's BIOS interface. The controller is polled, so that nothing depends on who owns IRQ 6.
 */
import type { FrameContext } from "./frame.ts";
import { eoiMaster, irqEnabled } from "./irq.ts";
import { Bda, Private, PRIVATE_BASE } from "./layout.ts";
import { readCmos } from "./memory_map.ts";
import { DISKETTE_TABLE_OFFSET } from "./rom.ts";

const DOR = 0x3f2, MSR = 0x3f4, FIFO = 0x3f5, DIR = 0x3f7, CCR = 0x3f7;
const RQM = 0x80, DIO = 0x40, CB = 0x10;
const Cmd = {
  SPECIFY: 0x03,
  RECALIBRATE: 0x07,
  SENSE_INTERRUPT: 0x08,
  SEEK: 0x0f,
  READ_ID: 0x4a,
  READ: 0xe6, // MT, MFM, skip
  WRITE: 0xc5,
  FORMAT: 0x4d,
} as const;

const Err = {
  ok: 0x00,
  parameter: 0x01,
  address: 0x02,
  protected: 0x03,
  sector: 0x04,
  changed: 0x06,
  boundary: 0x09,
  crc: 0x10,
  controller: 0x20,
  seek: 0x40,
  timeout: 0x80,
} as const;

/** CMOS 10h drive types: cylinders, sectors per track, and data rates to try (500, 250, 300, 1000). */
const types: Record<number, { cylinders: number; sectors: number; rates: number[] }> = {
  1: { cylinders: 40, sectors: 9, rates: [2] },
  2: { cylinders: 80, sectors: 15, rates: [0, 1] },
  3: { cylinders: 80, sectors: 9, rates: [2] },
  4: { cylinders: 80, sectors: 18, rates: [0, 2] },
  5: { cylinders: 80, sectors: 36, rates: [3, 0, 2] },
};

export function floppyType(c: FrameContext, drive: number): number {
  if (drive !== 0 && drive !== 1) return 0;
  const both = readCmos(c, 0x10);
  return drive === 0 ? both >> 4 : both & 15;
}

/** POST: how many floppy drives CMOS declares. */
export function floppyCount(c: FrameContext): number {
  return [0, 1].filter((n) => types[floppyType(c, n)] !== undefined).length;
}

/** IRQ 6: the interrupt is noted for programs that look; the result is read by the service. */
export function irqFloppy(c: FrameContext): void {
  if (c.phase !== 0) return;
  c.write8(Bda.floppyRecalibrate, c.read8(Bda.floppyRecalibrate) | 0x80);
  eoiMaster(c);
  c.interrupt(0x15, 1, 0x9101);
}

function finish(c: FrameContext, status: number): void {
  c.ah = status;
  c.setCarry(status !== 0);
  c.write8(Bda.floppyStatus, status);
}

// Talking to the controller

const TRIES = 2000;

function sendByte(c: FrameContext, value: number): boolean {
  for (let n = 0; n < TRIES; n++) {
    const s = c.inb(MSR);
    if ((s & (RQM | DIO)) === RQM) {
      c.outb(FIFO, value);
      return true;
    }
    if (s === 0xff) return false;
  }
  return false;
}

function send(c: FrameContext, ...bytes: number[]): boolean {
  return bytes.every((b) => sendByte(c, b));
}

/** The result phase's bytes; undefined while the command is still executing. */
function result(c: FrameContext): number[] | undefined {
  const bytes: number[] = [];
  while (bytes.length < 10) {
    const s = c.inb(MSR);
    if ((s & (RQM | DIO | CB)) !== (RQM | DIO | CB)) break;
    bytes.push(c.inb(FIFO));
  }
  return bytes.length > 0 ? bytes : undefined;
}

/** SENSE INTERRUPT STATUS: ST0 and the cylinder, or undefined when no interrupt is pending. */
function sense(c: FrameContext): { st0: number; cylinder: number } | undefined {
  if (!send(c, Cmd.SENSE_INTERRUPT)) return undefined;
  const r = result(c);
  return r === undefined || r.length < 2 || (r[0] & 0xc0) === 0x80
    ? undefined
    : { st0: r[0], cylinder: r[1] };
}

/** Waits for the controller: with HLT where its interrupt would arrive. */
function wait(c: FrameContext, phase: number): void {
  if (irqEnabled(c, 6)) c.wait(phase);
  else c.poll(phase);
}

/** Resets the controller and forgets where the heads are. */
export function resetFloppy(c: FrameContext): void {
  const dor = c.inb(DOR);
  c.outb(DOR, dor & ~0x04);
  c.outb(DOR, (dor & 0xf3) | 0x0c);
  for (let n = 0; n < 4; n++) sense(c);
  send(c, Cmd.SPECIFY, 0xaf, 0x02);
  c.write8(Bda.floppyRecalibrate, c.read8(Bda.floppyRecalibrate) & 0x70);
}

/** Channel 2 between memory and controller; false when the buffer crosses 64 KiB or 16 MiB. */
function setUpDma(c: FrameContext, address: number, length: number, toMemory: boolean): boolean {
  const last = address + length - 1;
  if (address >> 16 !== last >> 16 || last >= 0x1000000) return false;
  c.outb(0x0a, 0x06); // mask channel 2
  c.outb(0x0c, 0);
  c.outb(0x0b, toMemory ? 0x46 : 0x4a);
  c.outb(0x04, address & 0xff);
  c.outb(0x04, (address >> 8) & 0xff);
  c.outb(0x81, address >> 16);
  c.outb(0x05, (length - 1) & 0xff);
  c.outb(0x05, (length - 1) >> 8);
  c.outb(0x0a, 0x02);
  return true;
}

function turnOn(c: FrameContext, drive: number): void {
  c.write8(Bda.floppyMotorCount, 0xff);
  c.outb(DOR, (c.inb(DOR) & 0xf0) | 0x0c | (0x10 << drive) | drive);
  c.write8(Bda.floppyMotor, (c.read8(Bda.floppyMotor) & 0xf0) | (1 << drive));
}

function idle(c: FrameContext): void {
  c.write8(Bda.floppyMotorCount, 37); // two seconds
}

// INT 13h

/** Phases of a transfer. */
const START = 0, RECALIBRATING = 1, SEEKING = 2, MOVING = 3, IDENTIFYING = 4;
/** `args`: 0 sectors done, 1 sectors in this piece, 2 data rate being tried, 3 tries left. */
const DONE = 0, PIECE = 1, RATE = 2, TRIES_LEFT = 3;

const RECALIBRATED = (drive: number) => 1 << drive;

export function floppyService(c: FrameContext, drive: number): void {
  const type = types[floppyType(c, drive)];
  if (c.ah === 0x00) {
    if (type !== undefined) resetFloppy(c);
    return finish(c, Err.ok);
  }
  if (c.ah === 0x01) {
    const status = c.read8(Bda.floppyStatus);
    c.ah = status;
    return c.setCarry(status !== 0);
  }
  if (c.ah === 0x08) return parameters(c, drive);
  if (c.ah === 0x15) {
    finish(c, Err.ok);
    c.ah = type === undefined ? 0 : 2; // with change line
    return;
  }
  if (type === undefined) return finish(c, c.ah >= 0x40 ? Err.parameter : Err.timeout);
  switch (c.ah) {
    case 0x02:
    case 0x03:
    case 0x04:
    case 0x05:
      return transfer(c, drive);
    case 0x16:
      turnOn(c, drive);
      idle(c);
      return finish(c, c.inb(DIR) & 0x80 ? Err.changed : Err.ok);
    case 0x17:
    case 0x18:
      if (c.ah === 0x18) {
        c.es = 0xf000;
        c.di = DISKETTE_TABLE_OFFSET;
      }
      return finish(c, Err.ok);
    default:
      return finish(c, Err.parameter);
  }
}

function parameters(c: FrameContext, drive: number): void {
  const code = floppyType(c, drive), type = types[code], count = floppyCount(c);
  c.ax = 0;
  c.dl = count;
  if (type === undefined) {
    c.bx = 0;
    c.cx = 0;
    c.dh = 0;
    c.es = 0;
    c.di = 0;
    return finish(c, drive < 2 && drive >= 0 ? Err.ok : Err.parameter);
  }
  c.bx = code;
  c.ch = type.cylinders - 1;
  c.cl = type.sectors;
  c.dh = 1;
  c.es = 0xf000;
  c.di = DISKETTE_TABLE_OFFSET;
  finish(c, Err.ok);
}

/** Sectors per track in force: what the diskette parameter table of INT 1Eh says. */
function lastSector(c: FrameContext, type: { sectors: number }): number {
  const table = c.read32(0x1e * 4);
  const eot = c.read8(c.linear(table >>> 16, table & 0xffff) + 4);
  return eot > 0 && eot <= 63 ? Math.max(eot, type.sectors) : type.sectors;
}

function transfer(c: FrameContext, drive: number): void {
  const type = types[floppyType(c, drive)];
  const count = c.al, cylinder = c.ch, first = c.cl & 0x3f, head = c.dh;
  const fail = (status: number) => {
    c.al = c.arg(DONE);
    idle(c);
    finish(c, status);
  };
  if (c.phase === START) {
    if (count === 0 || head > 1 || cylinder >= 96 || (first === 0 && c.ah !== 5)) {
      return finish(c, Err.parameter);
    }
    turnOn(c, drive);
    c.setArgs(0, 0, 0, 3);
    if (c.inb(DIR) & 0x80) c.write8(Bda.floppyMedia0 + drive, 0); // changed: find the rate anew
    const known = c.read8(Bda.floppyMedia0 + drive);
    const rate = known & 0x10 ? known >> 6 : type.rates[0];
    c.outb(CCR, rate);
    if ((c.read8(Bda.floppyRecalibrate) & RECALIBRATED(drive)) === 0) {
      if (!send(c, Cmd.RECALIBRATE, drive)) return fail(Err.timeout);
      c.phase = RECALIBRATING;
    } else c.phase = SEEKING + 0x100;
  }
  for (let guard = 0; guard < 200; guard++) {
    switch (c.phase) {
      case RECALIBRATING: {
        const s = sense(c);
        if (s === undefined) return wait(c, RECALIBRATING);
        c.write8(
          Bda.floppyRecalibrate,
          c.read8(Bda.floppyRecalibrate) | RECALIBRATED(drive),
        );
        c.phase = SEEKING + 0x100;
        break;
      }
      case SEEKING + 0x100:
        if (!send(c, Cmd.SEEK, (head << 2) | drive, cylinder)) return fail(Err.timeout);
        c.phase = SEEKING;
        break;
      case SEEKING: {
        const s = sense(c);
        if (s === undefined) return wait(c, SEEKING);
        c.write8(Bda.floppyTrack0 + drive, cylinder);
        c.phase = c.read8(Bda.floppyMedia0 + drive) & 0x10 ? MOVING + 0x100 : IDENTIFYING + 0x100;
        break;
      }
      case IDENTIFYING + 0x100:
        if (c.inb(DIR) & 0x80 && c.arg(TRIES_LEFT) === 0) return fail(Err.timeout);
        if (!send(c, Cmd.READ_ID, (head << 2) | drive)) return fail(Err.timeout);
        c.phase = IDENTIFYING;
        break;
      case IDENTIFYING: {
        const r = result(c);
        if (r === undefined) return waitOrGiveUp(c, IDENTIFYING, fail);
        const rate = type.rates[c.arg(RATE)];
        if ((r[0] & 0xc0) === 0) {
          c.write8(Bda.floppyMedia0 + drive, (rate << 6) | 0x17);
          c.phase = MOVING + 0x100;
          break;
        }
        c.setArg(RATE, c.arg(RATE) + 1);
        const next = type.rates[c.arg(RATE)];
        if (next === undefined) return fail(c.inb(DIR) & 0x80 ? Err.timeout : Err.address);
        c.outb(CCR, next);
        c.phase = IDENTIFYING + 0x100;
        break;
      }
      case MOVING + 0x100: {
        const started = startMove(c, drive, type);
        if (started !== Err.ok) return fail(started);
        c.phase = MOVING;
        break;
      }
      case MOVING: {
        const r = result(c);
        if (r === undefined) return waitOrGiveUp(c, MOVING, fail);
        r.forEach((b, n) => n < 7 && c.write8(Bda.floppyResult + n, b));
        if ((r[0] & 0xc0) !== 0) {
          const tries = c.arg(TRIES_LEFT);
          if (tries === 0 || r[1] & 0x02) return fail(resultStatus(r));
          c.setArg(TRIES_LEFT, tries - 1);
          c.phase = MOVING + 0x100;
          break;
        }
        const done = c.arg(DONE) + c.arg(PIECE);
        c.setArg(DONE, done);
        if (done >= count || c.ah === 5) {
          c.al = count;
          idle(c);
          return finish(c, Err.ok);
        }
        c.phase = MOVING + 0x100;
        break;
      }
      default:
        return fail(Err.controller);
    }
  }
  fail(Err.timeout);
}

/** Lets time pass while a command executes; a drive without a disk never ends it. */
function waitOrGiveUp(c: FrameContext, phase: number, fail: (s: number) => void): void {
  const now = c.read32(Bda.ticks);
  if (c.local === 0) c.local = now + 1;
  if (now - (c.local - 1) > 36) { // two seconds
    resetFloppy(c);
    return fail(Err.timeout);
  }
  wait(c, phase);
}

function startMove(c: FrameContext, drive: number, type: { sectors: number }): number {
  const done = c.arg(DONE), eot = lastSector(c, type), length = c.al - done;
  const buffer = c.es * 16 + c.bx;
  c.local = 0;
  if (c.ah === 5) {
    if (!setUpDma(c, c.physical(buffer), c.al * 4, false)) return Err.boundary;
    return send(c, Cmd.FORMAT, (c.dh << 2) | drive, 2, c.al, 0x50, 0xf6) ? Err.ok : Err.timeout;
  }
  // From the first sector on, across the end of side 0 to side 1, but not to another cylinder.
  const linear = (c.dh * eot) + (c.cl & 0x3f) - 1 + done;
  if ((c.cl & 0x3f) > eot || linear >= 2 * eot) return Err.sector;
  const head = Math.floor(linear / eot), sector = linear % eot + 1;
  const piece = Math.min(length, 2 * eot - linear);
  const verify = c.ah === 4, write = c.ah === 3;
  // A buffer that a bus master cannot see in one piece goes sector by sector.
  let at = verify ? PRIVATE_BASE + Private.bounce : c.physical(buffer + 512 * done);
  let sectors = verify ? Math.min(piece, 4) : piece;
  if (c.machine.translate !== undefined && !verify) {
    sectors = 1;
    at = c.physical(buffer + 512 * done);
  }
  c.setArg(PIECE, sectors);
  if (!setUpDma(c, at, sectors * 512, !write)) return Err.boundary;
  const ok = send(
    c,
    write ? Cmd.WRITE : Cmd.READ,
    (head << 2) | drive,
    c.ch,
    head,
    sector,
    2,
    eot,
    0x1b,
    0xff,
  );
  return ok ? Err.ok : Err.timeout;
}

function resultStatus(r: readonly number[]): number {
  if (r[1] & 0x02) return Err.protected;
  if (r[1] & 0x20) return Err.crc;
  if (r[1] & 0x04) return Err.sector;
  if (r[1] & 0x10) return 0x08; // DMA overrun
  if (r[1] & 0x01) return Err.address;
  return r[0] & 0x08 ? Err.timeout : Err.controller;
}
