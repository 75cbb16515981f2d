/**
 * The MC146818A real-time clock (Motorola datasheet ADI856) with the PC's 128 bytes of CMOS RAM and
 * the NMI mask in its index port. The century lives in byte 32h, as PC BIOSes keep it.
 *
 * The time of day is not stepped: it is the clock's wall time plus what the guest has set, with the
 * phase of its one-second edge known in virtual time. Flags are brought up to date on each access,
 * and a timer runs only while one of them can interrupt.
 */
import type { Clock, Timer } from "../../core/clock.ts";
import type { Device, DeviceState, IrqLine } from "../../core/device.ts";
import { type IoRegion, ioRegion } from "../../core/memory/region.ts";

/** Index of each register, named as in the datasheet. */
export const RtcReg = {
  SECONDS: 0x00,
  SECONDS_ALARM: 0x01,
  MINUTES: 0x02,
  MINUTES_ALARM: 0x03,
  HOURS: 0x04,
  HOURS_ALARM: 0x05,
  DAY_OF_WEEK: 0x06,
  DATE: 0x07,
  MONTH: 0x08,
  YEAR: 0x09,
  A: 0x0a,
  B: 0x0b,
  C: 0x0c,
  D: 0x0d,
  CENTURY: 0x32,
  /** Where IBM's PS/2 BIOSes keep the century; the same byte here, as on QEMU. */
  CENTURY_PS2: 0x37,
} as const;

const UIP = 0x80, DV = 0x70, DV_NORMAL = 0x20, RS = 0x0f;
const SET = 0x80, PIE = 0x40, AIE = 0x20, UIE = 0x10, SQWE = 0x08, DM = 0x04, H24 = 0x02;
const IRQF = 0x80, PF = 0x40, AF = 0x20, UF = 0x10;
const VRT = 0x80;
const PM = 0x80, DONT_CARE = 0xc0;

/** UIP rises this long before the new time: t_BUC + t_UC at 32.768 kHz, 244 + 1984 µs. */
const UIP_NS = 2_228_000;
/** Wall time that runs this far (ms) from virtual time has jumped: the machine was paused. */
const JUMP_MS = 100;
/** Missed interrupts that one tick of the divider may bring back: no more often is a guest held up. */
const REINJECT_PER_TICK = 20;

export interface RtcState {
  cmos: Uint8Array;
  index: number;
  /** Virtual time (ns) at which the second `baseSec` began. */
  baseNs: number;
  /** Time of day there: seconds since 1970 by the RTC's own calendar. */
  baseSec: number;
  /** RTC time minus the clock's wall time, in ms. */
  skewMs: number;
  /** The last second whose update has been turned into flags. */
  updated: number;
  /** Virtual time at which the divider chain was last reset. */
  dividerNs: number;
  /** Periodic ticks since then that have been turned into flags. */
  ticks: number;
  /** Day of the week as the guest has set it, minus the calendar's (0–6). */
  weekdayShift: number;
  /** Periodic interrupts the guest was too late for and is still to get (`lost_tick_policy=slew`). */
  coalesced: number;
  /** Interrupts given again since the last tick of the divider. */
  reinjected: number;
}

export interface RtcOptions {
  /** Whether a guest that reads register C too late gets the periodic interrupts it missed. */
  readonly slew?: boolean;
}

export class Mc146818 implements Device {
  readonly type = "mc146818rtc";
  state: RtcState;
  /** Ports 70h and 71h. */
  readonly ports: IoRegion = ioRegion("rtc", 2, {
    maxAccess: 1,
    read: (offset) => offset === 0 ? 0xff : this.#read(this.state.index),
    write: (offset, _size, value) => this.#writePort(offset, value),
  });
  /** Told the NMI mask (bit 7 of port 70h) on each write of the index. */
  onNmiMask: (masked: boolean) => void = () => {};
  /** Told, after the guest has set the time, how far (s) it is from the clock's: QMP RTC_CHANGE. */
  onTimeSet: (offset: number) => void = () => {};
  /** Told when the alarm interrupts, which also wakes a machine from S3. */
  onAlarm: () => void = () => {};
  readonly #clock: Clock;
  readonly #irq: IrqLine;
  readonly #timer: Timer;

  readonly #slew: boolean;

  /** @param irq IRQ 8 */
  constructor(clock: Clock, irq: IrqLine, options: RtcOptions = {}) {
    this.#slew = options.slew ?? false;
    this.#clock = clock;
    this.#irq = irq;
    this.#timer = clock.timer(() => this.#settle());
    const cmos = new Uint8Array(128);
    cmos[RtcReg.A] = DV_NORMAL | 6;
    cmos[RtcReg.B] = H24;
    cmos[RtcReg.D] = VRT;
    const wall = clock.wallTime(), baseSec = Math.floor(wall / 1000);
    const baseNs = clock.now() - (wall - baseSec * 1000) * 1e6;
    this.state = {
      cmos,
      index: 0,
      baseNs,
      baseSec,
      skewMs: 0,
      updated: baseSec,
      dividerNs: baseNs,
      ticks: 0,
      weekdayShift: 0,
      coalesced: 0,
      reinjected: 0,
    };
    this.state.ticks = this.#ticksNow();
  }

  /** RESET: interrupts and the square wave go off; time, alarm and RAM stay (they have a battery). */
  reset(): void {
    this.#settle();
    const { cmos } = this.state;
    cmos[RtcReg.B] &= ~(PIE | AIE | UIE | SQWE);
    cmos[RtcReg.C] = 0;
    this.state.index = 0;
    this.state.coalesced = 0;
    this.#update();
  }

  save(): DeviceState {
    this.#settle();
    return structuredClone(this.state);
  }

  load(state: DeviceState): void {
    this.state = structuredClone(state) as RtcState;
    this.#settle();
  }

  /** CMOS byte `index` (0–127) as a guest would read it, without side effects on register C. */
  cmos(index: number): number {
    this.#settle();
    index &= 0x7f;
    return index === RtcReg.C ? this.state.cmos[index] : this.#read(index);
  }

  /** For the board: puts what its BIOS expects into a CMOS byte (memory size, drive types…). */
  setCmos(index: number, value: number): void {
    this.#write(index & 0x7f, value & 0xff);
  }

  /** The time the guest would read, in seconds since 1970 by its own calendar. */
  get seconds(): number {
    this.#settle();
    return this.#running ? this.#secondNow() : this.#decodeTime();
  }

  // --- registers

  #writePort(offset: number, value: number): void {
    if (offset === 1) return this.#write(this.state.index, value);
    this.state.index = value & 0x7f;
    this.onNmiMask((value & 0x80) !== 0);
  }

  #read(index: number): number {
    const { cmos } = this.state;
    if (index === RtcReg.CENTURY_PS2) index = RtcReg.CENTURY;
    if (isTime(index)) {
      if (this.#running) this.#encodeTime();
      return cmos[index];
    }
    switch (index) {
      case RtcReg.A:
        return cmos[index] | (this.#updateInProgress ? UIP : 0);
      case RtcReg.C: {
        this.#settle();
        const flags = cmos[index];
        cmos[index] = 0;
        this.#irq.set(false);
        this.#reinject();
        return flags;
      }
    }
    return cmos[index];
  }

  #write(index: number, value: number): void {
    const s = this.state;
    if (index === RtcReg.CENTURY_PS2) index = RtcReg.CENTURY;
    this.#settle();
    if (isTime(index)) {
      if (!this.#running) s.cmos[index] = value;
      else {
        this.#encodeTime();
        s.cmos[index] = value;
        this.#setTime(this.#decodeTime());
      }
      return;
    }
    switch (index) {
      case RtcReg.A:
      case RtcReg.B:
        this.#control(index, value);
        break;
      case RtcReg.C:
      case RtcReg.D:
        return;
      default:
        s.cmos[index] = value;
    }
    this.#update();
  }

  /** Registers A and B: starting and stopping the time of day, rates and enables. */
  #control(index: number, value: number): void {
    const s = this.state, { cmos } = s;
    if (index === RtcReg.A) value &= ~UIP;
    else if (value & SET) value &= ~UIE;
    const period = this.#period;
    const was = this.#running, divided = (cmos[RtcReg.A] & DV) === DV_NORMAL;
    if (was) this.#encodeTime();
    cmos[index] = value;
    const now = this.#clock.now();
    if (!divided && (cmos[RtcReg.A] & DV) === DV_NORMAL) {
      // Released from divider reset, the first update comes half a second later.
      s.dividerNs = s.baseNs = now - 5e8;
    }
    if (!was && this.#running) {
      s.baseNs += Math.floor((now - s.baseNs) / 1e9) * 1e9;
      this.#setTime(this.#decodeTime());
    }
    s.ticks = this.#ticksNow();
    // What is owed is time: at another rate it is another number of interrupts.
    const rate = this.#period;
    s.coalesced = rate === 0 ? 0 : Math.floor(s.coalesced * period / rate);
  }

  // --- time of day

  get #running(): boolean {
    const { cmos } = this.state;
    return !(cmos[RtcReg.B] & SET) && (cmos[RtcReg.A] & DV) === DV_NORMAL;
  }

  get #updateInProgress(): boolean {
    if (!this.#running) return false;
    const phase = (this.#clock.now() - this.state.baseNs) % 1e9;
    return phase >= 1e9 - UIP_NS;
  }

  #secondNow(): number {
    return this.state.baseSec + Math.floor((this.#clock.now() - this.state.baseNs) / 1e9);
  }

  /** Makes the second in progress `seconds`, keeping the phase. */
  #setTime(seconds: number): void {
    const s = this.state, now = this.#clock.now();
    s.baseNs += Math.floor((now - s.baseNs) / 1e9) * 1e9;
    s.baseSec = seconds;
    s.updated = seconds;
    s.skewMs = seconds * 1000 + (now - s.baseNs) / 1e6 - this.#clock.wallTime();
    this.onTimeSet(Math.round(s.skewMs / 1000));
  }

  /** Follows a jump of the wall clock, as after a pause under `-rtc clock=host`. */
  #followWall(): void {
    const s = this.state, now = this.#clock.now(), wall = this.#clock.wallTime() + s.skewMs;
    if (Math.abs(wall - (s.baseSec * 1000 + (now - s.baseNs) / 1e6)) < JUMP_MS) return;
    s.baseSec = Math.floor(wall / 1000);
    s.baseNs = now - (wall - s.baseSec * 1000) * 1e6;
  }

  #encodeTime(): void {
    const { cmos } = this.state, date = new Date(this.#secondNow() * 1000);
    const year = date.getUTCFullYear();
    cmos[RtcReg.SECONDS] = this.#encode(date.getUTCSeconds());
    cmos[RtcReg.MINUTES] = this.#encode(date.getUTCMinutes());
    cmos[RtcReg.HOURS] = this.#encodeHour(date.getUTCHours());
    cmos[RtcReg.DAY_OF_WEEK] = this.#encode((date.getUTCDay() + this.state.weekdayShift) % 7 + 1);
    cmos[RtcReg.DATE] = this.#encode(date.getUTCDate());
    cmos[RtcReg.MONTH] = this.#encode(date.getUTCMonth() + 1);
    cmos[RtcReg.YEAR] = this.#encode(year % 100);
    cmos[RtcReg.CENTURY] = this.#encode(Math.floor(year / 100) % 100);
  }

  /** The time in the registers; values out of range carry over as in a calendar. */
  #decodeTime(): number {
    const { cmos } = this.state, get = (r: number) => this.#decode(cmos[r]);
    const year = get(RtcReg.CENTURY) * 100 + get(RtcReg.YEAR);
    const date = new Date(0);
    date.setUTCFullYear(year, get(RtcReg.MONTH) - 1, get(RtcReg.DATE));
    date.setUTCHours(
      this.#decodeHour(cmos[RtcReg.HOURS]),
      get(RtcReg.MINUTES),
      get(RtcReg.SECONDS),
    );
    const weekday = get(RtcReg.DAY_OF_WEEK) - 1 - date.getUTCDay();
    this.state.weekdayShift = (weekday % 7 + 7) % 7;
    return date.getTime() / 1000;
  }

  #encode(v: number): number {
    return this.state.cmos[RtcReg.B] & DM ? v : v % 10 | Math.floor(v / 10) << 4;
  }

  #decode(v: number): number {
    return this.state.cmos[RtcReg.B] & DM ? v : (v >> 4) * 10 + (v & 15);
  }

  #encodeHour(hour: number): number {
    if (this.state.cmos[RtcReg.B] & H24) return this.#encode(hour);
    return this.#encode(hour % 12 || 12) | (hour >= 12 ? PM : 0);
  }

  #decodeHour(v: number): number {
    if (this.state.cmos[RtcReg.B] & H24) return this.#decode(v);
    return this.#decode(v & 0x7f) % 12 + (v & PM ? 12 : 0);
  }

  // --- flags and interrupts

  /** Period of the periodic flag in ns, 0 for none (register A, RS). */
  get #period(): number {
    const a = this.state.cmos[RtcReg.A], rate = a & RS;
    if (rate === 0 || (a & DV) !== DV_NORMAL) return 0;
    // Rates 1 and 2 repeat 8 and 9.
    return 2 ** (rate < 3 ? rate + 6 : rate - 1) * 1e9 / 32768;
  }

  #ticksNow(): number {
    const period = this.#period;
    return period === 0 ? 0 : Math.floor((this.#clock.now() - this.state.dividerNs) / period);
  }

  /** Turns what has happened since the last call into flags, and these into an interrupt. */
  #settle(): void {
    const s = this.state, { cmos } = s;
    if (this.#running) {
      this.#followWall();
      const second = this.#secondNow();
      if (second !== s.updated) {
        cmos[RtcReg.C] |= UF;
        const alarm = this.#alarmWithin(s.updated, second);
        if (alarm) cmos[RtcReg.C] |= AF;
        s.updated = second;
        if (alarm && cmos[RtcReg.B] & AIE) this.onAlarm();
      }
    }
    const ticks = this.#ticksNow();
    if (ticks > s.ticks) {
      if (this.#slew && cmos[RtcReg.B] & PIE) {
        s.coalesced += ticks - s.ticks - (cmos[RtcReg.C] & PF ? 0 : 1);
      }
      s.reinjected = 0;
      cmos[RtcReg.C] |= PF;
    }
    s.ticks = ticks;
    this.#update();
  }

  /** After an acknowledgement: the next of the interrupts that were missed. */
  #reinject(): void {
    const s = this.state, { cmos } = s;
    if (s.coalesced === 0 || !(cmos[RtcReg.B] & PIE) || s.reinjected >= REINJECT_PER_TICK) return;
    s.coalesced--;
    s.reinjected++;
    cmos[RtcReg.C] |= PF;
    this.#update();
  }

  /** Whether the alarm matches a second in (from, to]. */
  #alarmWithin(from: number, to: number): boolean {
    const { cmos } = this.state;
    const wild = (r: number) => (cmos[r] & DONT_CARE) === DONT_CARE;
    const sec = wild(RtcReg.SECONDS_ALARM) ? -1 : this.#decode(cmos[RtcReg.SECONDS_ALARM]);
    const min = wild(RtcReg.MINUTES_ALARM) ? -1 : this.#decode(cmos[RtcReg.MINUTES_ALARM]);
    const hour = wild(RtcReg.HOURS_ALARM) ? -1 : this.#decodeHour(cmos[RtcReg.HOURS_ALARM]);
    for (let t = Math.max(from + 1, to - 86399); t <= to; t++) {
      const ofDay = ((t % 86400) + 86400) % 86400;
      if (
        (sec < 0 || ofDay % 60 === sec) && (min < 0 || Math.floor(ofDay / 60) % 60 === min) &&
        (hour < 0 || Math.floor(ofDay / 3600) === hour)
      ) return true;
    }
    return false;
  }

  #update(): void {
    const s = this.state, { cmos } = s, enabled = cmos[RtcReg.B] & (PIE | AIE | UIE);
    const irq = (cmos[RtcReg.C] & enabled) !== 0;
    if (irq) cmos[RtcReg.C] |= IRQF;
    this.#irq.set(irq);
    let next = Infinity;
    const period = this.#period;
    if (enabled & PIE && period !== 0) next = s.dividerNs + (s.ticks + 1) * period;
    if (enabled & (AIE | UIE) && this.#running) {
      const edge = s.baseNs + (Math.floor((this.#clock.now() - s.baseNs) / 1e9) + 1) * 1e9;
      next = Math.min(next, edge);
    }
    if (next === Infinity) this.#timer.cancel();
    else this.#timer.arm(next);
  }
}

function isTime(index: number): boolean {
  return index <= RtcReg.YEAR &&
      (index >= RtcReg.DAY_OF_WEEK || (index & 1) === 0) || index === RtcReg.CENTURY;
}
