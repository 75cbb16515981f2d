/**
 * The 82C54 programmable interval timer (Intel datasheet 231244) of the PC: three 16-bit counters
 * clocked at 1.193182 MHz. Channel 0 drives IRQ 0, channel 1 once refreshed memory, channel 2 is
 * the speaker's, gated by port 61h.
 *
 * Nothing runs per clock pulse: a counter is the tick at which it was loaded, and its value and
 * output at any later tick follow from the mode.
 */
import type { Clock, Timer } from "../../core/clock.ts";
import { type IrqLine, StatefulDevice } from "../../core/device.ts";
import { type IoRegion, ioRegion } from "../../core/memory/region.ts";

/** Input clock in Hz. */
export const PIT_HZ = 1193182;
/** Interrupts come no closer together than this, however short the period. */
const MIN_PERIOD_NS = 10_000;

/** Access to the counter: the RW field of the control word. */
const RW = { lsb: 1, msb: 2, both: 3 } as const;

export interface PitChannel {
  /** M field of the control word as written (0–7; 6 and 7 mean 2 and 3). */
  mode: number;
  bcd: boolean;
  /** RW field, 1–3. */
  rw: number;
  gate: boolean;
  /** Counter period in use: 1–65536, or 1–10000 in BCD. */
  count: number;
  /** A count that waits for the end of the period (modes 2, 3) or for a trigger (1, 5); 0: none. */
  pending: number;
  /** Whether the counter has been loaded since the control word. */
  loaded: boolean;
  /** Tick at which the counter holds `count`; in mode 3, at which the current half began. */
  start: number;
  /** Ticks counted when the gate went low, or -1 while counting. */
  frozen: number;
  /** Mode 3: output in the current half. Modes 1, 5: output before the trigger takes effect. */
  high: boolean;
  /** LSB written, waiting for its MSB; -1: none. */
  lsb: number;
  /** The next read of a two-byte access gives the MSB. */
  readMsb: boolean;
  latchedCount: number;
  latchedStatus: number;
}

export interface PitState {
  channels: PitChannel[];
}

/** Ticks of the input clock completed at `ns`. Exact for any virtual time. */
export function pitTicks(ns: number): number {
  const seconds = Math.floor(ns / 1e9);
  return seconds * PIT_HZ + Math.floor((ns - seconds * 1e9) * PIT_HZ / 1e9);
}

/** The first ns at which {@link pitTicks} gives `tick`. */
export function pitTime(tick: number): number {
  const seconds = Math.floor(tick / PIT_HZ);
  return seconds * 1e9 + Math.ceil((tick - seconds * PIT_HZ) * 1e9 / PIT_HZ);
}

export class I8254 extends StatefulDevice<PitState> {
  readonly type = "isa-pit";
  /** Ports 40h–43h. */
  readonly ports: IoRegion = ioRegion("pit", 4, {
    maxAccess: 1,
    read: (offset) => offset < 3 ? this.#readCounter(offset) : 0,
    write: (offset, _size, value) => this.#write(offset, value),
  });
  /** Called when channel 2's programming or gate has changed, for the speaker. */
  onChannel2: () => void = () => {};
  readonly #clock: Clock;
  readonly #irq: IrqLine;
  readonly #timer: Timer;
  #irqEnabled = true;

  /** @param irq output of channel 0 */
  constructor(clock: Clock, irq: IrqLine) {
    super(() => ({ channels: [0, 1, 2].map((n) => powerOn(n, pitTicks(clock.now()))) }));
    this.#clock = clock;
    this.#irq = irq;
    this.#timer = clock.timer(() => this.#drive());
    this.#drive();
  }

  /** False silences channel 0's interrupt while an HPET replaces it; counting goes on. */
  setIrqEnabled(on: boolean): void {
    this.#irqEnabled = on;
    this.#drive();
  }

  /** GATE input of channel `n`. */
  setGate(n: number, level: boolean): void {
    const c = this.state.channels[n], t = this.#settle(n);
    if (c.gate === level) return;
    if (level) gateRises(c, t);
    else gateFalls(c, t);
    this.#changed(n);
  }

  gate(n: number): boolean {
    return this.state.channels[n].gate;
  }

  /** OUT of channel `n`. */
  output(n: number): boolean {
    return out(this.state.channels[n], this.#settle(n));
  }

  /** Frequency in Hz of the square wave or rate channel `n` puts out; 0 in the other modes. */
  frequency(n: number): number {
    const c = this.state.channels[n], m = mode(c);
    return c.loaded && c.gate && (m === 2 || m === 3) ? PIT_HZ / (c.pending || c.count) : 0;
  }

  protected override onReset(): void {
    this.#drive();
    this.onChannel2();
  }

  protected override onLoad(): void {
    this.#drive();
    this.onChannel2();
  }

  // --- registers

  #readCounter(n: number): number {
    const c = this.state.channels[n], t = this.#settle(n);
    if (c.latchedStatus >= 0) {
      const status = c.latchedStatus;
      c.latchedStatus = -1;
      return status;
    }
    const value = c.latchedCount >= 0 ? c.latchedCount : reading(c, t);
    if (c.rw === RW.both && !c.readMsb) {
      c.readMsb = true;
      return value & 0xff;
    }
    c.readMsb = false;
    c.latchedCount = -1;
    return c.rw === RW.lsb ? value & 0xff : value >> 8;
  }

  #write(offset: number, value: number): void {
    if (offset < 3) this.#writeCounter(offset, value);
    else if (value >> 6 === 3) this.#readBack(value);
    else this.#control(value >> 6, value);
  }

  #control(n: number, value: number): void {
    const c = this.state.channels[n], rw = (value >> 4) & 3, t = this.#settle(n);
    if (rw === 0) return latchCount(c, t);
    c.rw = rw;
    c.mode = (value >> 1) & 7;
    c.bcd = (value & 1) !== 0;
    c.loaded = false;
    c.pending = 0;
    c.frozen = -1;
    c.high = true;
    c.lsb = -1;
    c.readMsb = false;
    c.latchedCount = -1;
    c.latchedStatus = -1;
    this.#changed(n);
  }

  /** Read-back command: bits 5 and 4 clear latch count and status of the channels in bits 3–1. */
  #readBack(value: number): void {
    for (let n = 0; n < 3; n++) {
      if (!(value & (2 << n))) continue;
      const c = this.state.channels[n], t = this.#settle(n);
      if (!(value & 0x20)) latchCount(c, t);
      if (!(value & 0x10) && c.latchedStatus < 0) {
        c.latchedStatus = Number(out(c, t)) << 7 | Number(nullCount(c, t)) << 6 | c.rw << 4 |
          c.mode << 1 | Number(c.bcd);
      }
    }
  }

  #writeCounter(n: number, value: number): void {
    const c = this.state.channels[n], t = this.#settle(n);
    if (c.rw === RW.both && c.lsb < 0) {
      c.lsb = value;
      // In mode 0 the first byte already stops the counter and lowers OUT.
      if (mode(c) === 0) c.loaded = false;
    } else {
      const raw = c.rw === RW.lsb ? value : c.rw === RW.msb ? value << 8 : value << 8 | c.lsb;
      c.lsb = -1;
      writeCount(c, raw, t);
    }
    this.#changed(n);
  }

  // --- time

  /** Brings channel `n` to now and gives the current tick. */
  #settle(n: number): number {
    const t = pitTicks(this.#clock.now());
    if (advance(this.state.channels[n], t) && n === 0) this.#pulse();
    return t;
  }

  #changed(n: number): void {
    if (n === 0) this.#drive();
    else if (n === 2) this.onChannel2();
  }

  /** OUT of channel 0 has been low and high again since the line was driven last. */
  #pulse(): void {
    if (!this.#irqEnabled) return;
    this.#irq.set(false);
    this.#irq.set(true);
  }

  /** Drives IRQ 0 and arms the timer for its next change. */
  #drive(): void {
    const c = this.state.channels[0], t = this.#settle(0);
    this.#irq.set(this.#irqEnabled && out(c, t));
    const next = this.#irqEnabled ? nextEvent(c, t) : undefined;
    if (next === undefined) return this.#timer.cancel();
    const soonest = c.count * 1e9 / PIT_HZ < MIN_PERIOD_NS ? this.#clock.now() + MIN_PERIOD_NS : 0;
    this.#timer.arm(Math.max(pitTime(next), soonest));
  }
}

/** Counting from 0 (65536) in mode 3, as QEMU starts; the datasheet leaves it undefined. */
function powerOn(n: number, tick: number): PitChannel {
  return {
    mode: 3,
    bcd: false,
    rw: RW.both,
    gate: n !== 2,
    count: 65536,
    pending: 0,
    loaded: true,
    start: tick,
    frozen: n === 2 ? 0 : -1,
    high: true,
    lsb: -1,
    readMsb: false,
    latchedCount: -1,
    latchedStatus: -1,
  };
}

function mode(c: PitChannel): number {
  return c.mode > 5 ? c.mode - 4 : c.mode;
}

function fromBcd(v: number): number {
  return (v & 15) + 10 * ((v >> 4) & 15) + 100 * ((v >> 8) & 15) + 1000 * (v >> 12);
}

function toBcd(v: number): number {
  return v % 10 | Math.floor(v / 10) % 10 << 4 | Math.floor(v / 100) % 10 << 8 |
    Math.floor(v / 1000) % 10 << 12;
}

function writeCount(c: PitChannel, raw: number, t: number): void {
  const count = raw === 0 ? (c.bcd ? 10000 : 65536) : c.bcd ? fromBcd(raw) : raw;
  switch (mode(c)) {
    case 0:
    case 4:
      c.count = count;
      c.loaded = true;
      c.start = t + 1; // loaded by the next clock pulse, which does not count
      c.frozen = c.gate ? -1 : 0;
      break;
    case 1:
    case 5:
      c.pending = count;
      break;
    case 2:
    case 3:
      if (c.loaded) {
        c.pending = count;
        break;
      }
      c.count = count;
      c.loaded = true;
      c.start = t + 1;
      c.high = true;
      c.frozen = c.gate ? -1 : 0;
      break;
  }
}

function gateRises(c: PitChannel, t: number): void {
  c.gate = true;
  switch (mode(c)) {
    case 0:
    case 4:
      if (c.frozen >= 0) c.start = t - c.frozen;
      c.frozen = -1;
      break;
    case 1:
    case 5:
      if (!c.loaded && c.pending === 0) break;
      c.high = out(c, t);
      c.count = c.pending || c.count;
      c.pending = 0;
      c.loaded = true;
      c.start = t + 1;
      break;
    case 2:
    case 3:
      c.count = c.pending || c.count;
      c.pending = 0;
      c.start = t + 1;
      c.high = true;
      c.frozen = -1;
      break;
  }
}

function gateFalls(c: PitChannel, t: number): void {
  const m = mode(c);
  if (m !== 1 && m !== 5 && c.loaded) c.frozen = Math.max(0, t - c.start);
  c.gate = false;
}

/** Ticks counted since the counter was loaded; -1 until the loading pulse has come. */
function elapsed(c: PitChannel, t: number): number {
  return c.frozen >= 0 ? c.frozen : t - c.start;
}

/** Mode 3: ticks in the current half. */
function half(c: PitChannel): number {
  return c.high ? Math.ceil(c.count / 2) : Math.floor(c.count / 2);
}

/**
 * Moves `start` of a periodic counter to its current period, or half, loading a pending count on the
 * way. True when OUT has risen in between.
 */
function advance(c: PitChannel, t: number): boolean {
  const m = mode(c);
  if ((m !== 2 && m !== 3) || !c.loaded || c.frozen >= 0) return false;
  const length = m === 2 ? c.count : half(c);
  if (t - c.start < length) return false;
  let rose = m === 2 || !c.high;
  c.start += length;
  if (m === 3) c.high = !c.high;
  if (c.pending !== 0) {
    c.count = c.pending;
    c.pending = 0;
  }
  const periods = Math.floor((t - c.start) / c.count);
  c.start += periods * c.count;
  if (periods > 0) rose = true;
  if (m === 3 && t - c.start >= half(c)) {
    rose ||= !c.high;
    c.start += half(c);
    c.high = !c.high;
  }
  return rose && c.count > 1;
}

function out(c: PitChannel, t: number): boolean {
  const m = mode(c);
  if (!c.loaded) return m !== 0;
  const e = elapsed(c, t);
  switch (m) {
    case 0:
      return e >= c.count;
    case 1:
      return e < 0 ? c.high : e >= c.count;
    case 2:
      return !c.gate || c.count === 1 || e < c.count - 1;
    case 3:
      return !c.gate || c.high;
  }
  return e !== c.count;
}

/** The counter's value as it is read: binary or BCD, 16 bits. */
function reading(c: PitChannel, t: number): number {
  if (!c.loaded) return 0;
  const modulus = c.bcd ? 10000 : 65536, e = Math.max(0, elapsed(c, t));
  let value: number;
  switch (mode(c)) {
    case 2:
      value = c.count - e % c.count;
      break;
    case 3:
      // Counts by two, from the even number at or below the count.
      value = c.count - (c.count & 1) - 2 * e;
      break;
    default:
      value = c.count - e % modulus;
  }
  value = (value % modulus + modulus) % modulus;
  return c.bcd ? toBcd(value) : value;
}

/** Status bit 6: the last count written is not in the counter yet. */
function nullCount(c: PitChannel, t: number): boolean {
  return !c.loaded || c.pending !== 0 || (c.frozen < 0 && t < c.start);
}

function latchCount(c: PitChannel, t: number): void {
  if (c.latchedCount < 0) c.latchedCount = reading(c, t);
}

/** The tick after `t` at which OUT changes (in mode 2: rises), or undefined. */
function nextEvent(c: PitChannel, t: number): number | undefined {
  if (!c.loaded || c.frozen >= 0) return undefined;
  const m = mode(c);
  if (m === 3) return c.count > 1 ? c.start + half(c) : undefined;
  if (m === 2) return c.count > 1 ? c.start + c.count : undefined;
  const end = c.start + c.count;
  if (m === 1 && t < c.start) return c.start;
  if (t < end) return end;
  return (m === 4 || m === 5) && t === end ? end + 1 : undefined;
}
