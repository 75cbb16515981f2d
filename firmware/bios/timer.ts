/** INT 08h, INT 1Ah (time), IRQ 8 and the waits of INT 15h/83h and 86h. 8254 and MC146818 datasheets. */
import type { FrameContext } from "./frame.ts";
import { eoiMaster, eoiSlave, maskIrq } from "./irq.ts";
import { Bda } from "./layout.ts";
import { readCmos, writeCmos } from "./memory_map.ts";
import { pciBios } from "./pcibios.ts";

/** Ticks of 18.2065 Hz in a day, as IBM's BIOS counts. */
export const TICKS_PER_DAY = 0x1800b0;
const PIT_HZ = 1193182, TICK_DIVISOR = 65536;

const Rtc = {
  seconds: 0x00,
  secondsAlarm: 0x01,
  minutes: 0x02,
  minutesAlarm: 0x03,
  hours: 0x04,
  hoursAlarm: 0x05,
  day: 0x07,
  month: 0x08,
  year: 0x09,
  A: 0x0a,
  B: 0x0b,
  C: 0x0c,
  D: 0x0d,
  century: 0x32,
} as const;
const UIP = 0x80;
const B_SET = 0x80, B_PIE = 0x40, B_AIE = 0x20, B_DST = 0x01;
const C_PF = 0x40, C_AF = 0x20;
/** Periodic rate 1024 Hz: 976.5625 µs each. */
const PERIOD_US = 976;

const fromBcd = (v: number) => (v >> 4) * 10 + (v & 15);

/** A time register when no update is in progress. */
function readRtc(c: FrameContext, index: number): number {
  for (let n = 0; n < 5000 && readCmos(c, Rtc.A) & UIP; n++);
  return readCmos(c, index);
}

/** POST: channel 0 at 18.2 Hz, the tick count from the clock's time of day. */
export function initTimer(c: FrameContext): void {
  c.outb(0x43, 0x34); // channel 0, low then high byte, mode 2
  c.outb(0x40, 0);
  c.outb(0x40, 0);
  writeCmos(c, Rtc.A, 0x26);
  writeCmos(c, Rtc.B, (readCmos(c, Rtc.B) & B_DST) | 0x02);
  readCmos(c, Rtc.C);
  const seconds = (fromBcd(readRtc(c, Rtc.hours)) * 60 + fromBcd(readRtc(c, Rtc.minutes))) * 60 +
    fromBcd(readRtc(c, Rtc.seconds));
  c.write32(Bda.ticks, Math.floor(seconds * PIT_HZ / TICK_DIVISOR) % TICKS_PER_DAY);
  c.write8(Bda.midnight, 0);
}

/** IRQ 0: counts, stops idle floppy motors, calls INT 1Ch. */
export function irqTimer(c: FrameContext): void {
  if (c.phase !== 0) return eoiMaster(c);
  let ticks = c.read32(Bda.ticks) + 1;
  if (ticks >= TICKS_PER_DAY) {
    ticks = 0;
    c.write8(Bda.midnight, c.read8(Bda.midnight) + 1);
  }
  c.write32(Bda.ticks, ticks);
  const motor = c.read8(Bda.floppyMotorCount);
  if (motor !== 0) {
    c.write8(Bda.floppyMotorCount, motor - 1);
    if (motor === 1) {
      c.write8(Bda.floppyMotor, c.read8(Bda.floppyMotor) & 0xf0);
      c.outb(0x3f2, 0x0c);
    }
  }
  c.interrupt(0x1c, 1, 0);
}

/** IRQ 8: the alarm calls INT 4Ah, the periodic interrupt counts the wait of INT 15h down. */
export function irqRtc(c: FrameContext): void {
  if (c.phase !== 0) return eoiSlave(c);
  const cause = readCmos(c, Rtc.C), enabled = readCmos(c, Rtc.B);
  if (cause & enabled & C_PF && c.read8(Bda.waitActive) !== 0) {
    const left = c.read32(Bda.waitCount);
    if (left > PERIOD_US) c.write32(Bda.waitCount, left - PERIOD_US);
    else finishWait(c);
  }
  if (cause & enabled & C_AF) return c.interrupt(0x4a, 1, 0);
  eoiSlave(c);
}

/** Starts counting `microseconds` down; at the end bit 7 of the byte at `flag` is set. */
function startWait(c: FrameContext, microseconds: number, flag: number): boolean {
  if (c.read8(Bda.waitActive) & 1) return false;
  c.write32(Bda.waitFlagPointer, flag);
  c.write32(Bda.waitCount, microseconds);
  c.write8(Bda.waitActive, 1);
  maskIrq(c, 8, false);
  maskIrq(c, 2, false);
  writeCmos(c, Rtc.B, readCmos(c, Rtc.B) | B_PIE);
  return true;
}

function finishWait(c: FrameContext): void {
  const pointer = c.read32(Bda.waitFlagPointer);
  const at = c.linear(pointer >>> 16, pointer & 0xffff);
  c.write8(Bda.waitActive, 0);
  c.write8(at, c.read8(at) | 0x80);
  writeCmos(c, Rtc.B, readCmos(c, Rtc.B) & ~B_PIE);
}

/** INT 15h/83h: AL = 0 sets ES:BX to be marked after CX:DX µs, AL = 1 cancels. */
export function eventWait(c: FrameContext): void {
  if (c.al === 1) {
    c.write8(Bda.waitActive, 0);
    writeCmos(c, Rtc.B, readCmos(c, Rtc.B) & ~B_PIE);
    c.setCarry(false);
    return;
  }
  const ok = c.al === 0 && startWait(c, c.cx * 65536 + c.dx, ((c.es << 16) | c.bx) >>> 0);
  if (!ok) c.ah = 0x83;
  c.setCarry(!ok);
}

/** INT 15h/86h: returns after CX:DX µs. */
export function delay(c: FrameContext): void {
  if (c.phase === 0) {
    if (!startWait(c, c.cx * 65536 + c.dx, 0x004000a0)) {
      c.ah = 0x83;
      return c.setCarry(true);
    }
    return c.wait(1);
  }
  if (c.read8(Bda.waitActive) & 1) return c.wait(1);
  c.write8(Bda.waitActive, 0);
  c.setCarry(false);
}

export function int1a(c: FrameContext): void {
  switch (c.ah) {
    case 0x00: {
      const ticks = c.read32(Bda.ticks);
      c.cx = ticks >>> 16;
      c.dx = ticks & 0xffff;
      c.al = c.read8(Bda.midnight);
      c.write8(Bda.midnight, 0);
      return c.setCarry(false);
    }
    case 0x01:
      c.write32(Bda.ticks, ((c.cx << 16) | c.dx) >>> 0);
      c.write8(Bda.midnight, 0);
      c.ah = 0;
      return c.setCarry(false);
    case 0x02:
      c.dh = readRtc(c, Rtc.seconds);
      c.cl = readRtc(c, Rtc.minutes);
      c.ch = readRtc(c, Rtc.hours);
      c.dl = readCmos(c, Rtc.B) & B_DST;
      c.ah = 0;
      c.al = c.ch;
      return c.setCarry(false);
    case 0x03:
      stopped(c, () => {
        writeCmos(c, Rtc.seconds, c.dh);
        writeCmos(c, Rtc.minutes, c.cl);
        writeCmos(c, Rtc.hours, c.ch);
        writeCmos(c, Rtc.B, (readCmos(c, Rtc.B) & ~B_DST) | (c.dl & B_DST));
      });
      c.ah = 0;
      return c.setCarry(false);
    case 0x04:
      c.cl = readRtc(c, Rtc.year);
      c.dh = readRtc(c, Rtc.month);
      c.dl = readRtc(c, Rtc.day);
      c.ch = readCmos(c, Rtc.century);
      c.ah = 0;
      c.al = c.ch;
      return c.setCarry(false);
    case 0x05:
      stopped(c, () => {
        writeCmos(c, Rtc.year, c.cl);
        writeCmos(c, Rtc.month, c.dh);
        writeCmos(c, Rtc.day, c.dl);
        writeCmos(c, Rtc.century, c.ch);
      });
      c.ah = 0;
      return c.setCarry(false);
    case 0x06:
      if (readCmos(c, Rtc.B) & B_AIE) {
        c.ax = 0;
        return c.setCarry(true);
      }
      stopped(c, () => {
        writeCmos(c, Rtc.secondsAlarm, c.dh);
        writeCmos(c, Rtc.minutesAlarm, c.cl);
        writeCmos(c, Rtc.hoursAlarm, c.ch);
      });
      maskIrq(c, 8, false);
      writeCmos(c, Rtc.B, readCmos(c, Rtc.B) | B_AIE);
      return c.setCarry(false);
    case 0x07:
      writeCmos(c, Rtc.B, readCmos(c, Rtc.B) & ~B_AIE);
      c.ah = 0;
      return c.setCarry(false);
    case 0xb1:
      return pciBios(c);
    default:
      c.setCarry(true);
  }
}

/** Changes time registers with updates stopped. */
function stopped(c: FrameContext, change: () => void): void {
  writeCmos(c, Rtc.B, readCmos(c, Rtc.B) | B_SET);
  change();
  writeCmos(c, Rtc.B, readCmos(c, Rtc.B) & ~B_SET);
}
