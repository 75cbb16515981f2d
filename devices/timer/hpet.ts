/**
 * High precision event timer block: IA-PC HPET specification 1.0a, with the parameters of QEMU's
 * (three 64-bit timers, all of them periodic-capable, 100 MHz, legacy replacement, no FSB delivery).
 */
import type { Clock, Timer } from "../../core/clock.ts";
import { type IrqLine, StatefulDevice } from "../../core/device.ts";
import { log } from "../../core/log.ts";
import { type IoRegion, ioRegion } from "../../core/memory/region.ts";

const TIMERS = 3;
/** Nanoseconds per tick of the main counter. */
const TICK_NS = 10;
/** Interrupts of one timer come no closer together than this. */
const MIN_PERIOD_NS = 10_000;
/** A comparator written at most this many ticks (1 s) after its match is late, not far ahead. */
const LATE_TICKS = 100_000_000n;
const TWO32 = 2 ** 32;

const GCAP_ID = 0x000, GEN_CONF = 0x010, GINTR_STA = 0x020, MAIN_CNT = 0x0f0, TIMER0 = 0x100;
/** Vendor 8086h, LEG_RT_CAP, COUNT_SIZE_CAP, three timers, revision 1. */
const GCAP_LOW = 0x8086a201;
/** COUNTER_CLK_PERIOD in femtoseconds. */
const GCAP_HIGH = TICK_NS * 1e6;
const ENABLE_CNF = 1, LEG_RT_CNF = 2;

/** Tn_CONF bits, low half. */
const Tn = {
  INT_TYPE: 0x02,
  INT_ENB: 0x04,
  TYPE: 0x08,
  PER_INT_CAP: 0x10,
  SIZE_CAP: 0x20,
  VAL_SET: 0x40,
  MODE32: 0x100,
  INT_ROUTE: 0x3e00,
} as const;
const TN_WRITABLE = Tn.INT_TYPE | Tn.INT_ENB | Tn.TYPE | Tn.VAL_SET | Tn.MODE32 | Tn.INT_ROUTE;

export interface HpetTimerState {
  config: number;
  /** Comparator: next match of a running periodic timer once {@link Hpet} has caught up. */
  cmp: bigint;
  period: bigint;
}

export interface HpetState {
  config: number;
  /** GINTR_STA: bit n for timer n in level mode. */
  isr: number;
  /** Main counter at virtual tick `start`, in two halves; standing still while disabled. */
  counterLow: number;
  counterHigh: number;
  start: number;
  timers: HpetTimerState[];
  /** Levels that the PIT and the RTC drive into the legacy inputs. */
  pitLevel: boolean;
  rtcLevel: boolean;
}

export interface HpetOptions {
  readonly clock: Clock;
  /** Global system interrupts by number; 0 and 8 carry the PIT and the RTC through the HPET. */
  readonly lines: readonly IrqLine[];
  /** Tn_INT_ROUTE_CAP: bit n allows GSI n. QEMU's pc has 4, its q35 FF0104h. */
  readonly routes?: number;
  /** Legacy replacement has been turned on or off: the PIT need not interrupt meanwhile. */
  readonly onLegacy?: (on: boolean) => void;
}

export class Hpet extends StatefulDevice<HpetState> {
  readonly type = "hpet";
  readonly region: IoRegion = ioRegion("hpet", 0x400, {
    minAccess: 4,
    read: (offset) => this.#read(offset),
    write: (offset, _size, value) => this.#write(offset, value),
  });
  readonly #clock: Clock;
  readonly #lines: readonly IrqLine[];
  readonly #routes: number;
  readonly #onLegacy: (on: boolean) => void;
  readonly #clockTimers: Timer[];
  /** The GSI that each timer holds high, or -1. */
  readonly #held: number[] = new Array(TIMERS).fill(-1);

  constructor(o: HpetOptions) {
    super(() => ({
      config: 0,
      isr: 0,
      counterLow: 0,
      counterHigh: 0,
      start: 0,
      timers: Array.from({ length: TIMERS }, () => ({
        config: Tn.PER_INT_CAP | Tn.SIZE_CAP,
        cmp: 0xffffffffffffffffn,
        period: 0n,
      })),
      pitLevel: false,
      rtcLevel: false,
    }));
    this.#clock = o.clock;
    this.#lines = o.lines;
    this.#routes = (o.routes ?? 4) >>> 0;
    this.#onLegacy = o.onLegacy ?? (() => {});
    this.#clockTimers = Array.from(
      { length: TIMERS },
      (_, n) => o.clock.timer(() => this.#fire(n)),
    );
  }

  /** Where the PIT's IRQ 0 (`pit`) or the RTC's IRQ 8 (`rtc`) comes in: on to its GSI unless replaced. */
  legacyInput(which: "pit" | "rtc"): IrqLine {
    return {
      set: (level) => {
        if (which === "pit") this.state.pitLevel = level;
        else this.state.rtcLevel = level;
        if (!this.legacy) this.#lines[which === "pit" ? 0 : 8].set(level);
      },
    };
  }

  /** LEG_RT_CNF: timers 0 and 1 stand in for PIT and RTC. */
  get legacy(): boolean {
    return (this.state.config & LEG_RT_CNF) !== 0;
  }

  override reset(): void {
    const { pitLevel, rtcLevel } = this.state, wasLegacy = this.legacy;
    super.reset();
    this.state.pitLevel = pitLevel;
    this.state.rtcLevel = rtcLevel;
    if (wasLegacy) this.#legacyChanged();
  }

  protected override onReset(): void {
    for (let n = 0; n < TIMERS; n++) {
      this.#clockTimers[n].cancel();
      this.#driveLevel(n);
    }
  }

  protected override onLoad(): void {
    this.#onLegacy(this.legacy);
    for (let n = 0; n < TIMERS; n++) {
      this.#driveLevel(n);
      this.#arm(n);
    }
  }

  // --- main counter

  get #enabled(): boolean {
    return (this.state.config & ENABLE_CNF) !== 0;
  }

  #ticksSinceStart(): number {
    return this.#enabled ? Math.floor(this.#clock.now() / TICK_NS) - this.state.start : 0;
  }

  #counterLow(): number {
    return (this.state.counterLow + this.#ticksSinceStart()) % TWO32;
  }

  #counterHigh(): number {
    const s = this.state, carry = Math.floor((s.counterLow + this.#ticksSinceStart()) / TWO32);
    return (s.counterHigh + carry) % TWO32;
  }

  #counter(): bigint {
    return BigInt(this.#counterHigh()) << 32n | BigInt(this.#counterLow());
  }

  // --- registers

  #read(offset: number): number {
    const s = this.state;
    switch (offset) {
      case MAIN_CNT:
        return this.#counterLow();
      case MAIN_CNT + 4:
        return this.#counterHigh();
      case GCAP_ID:
        return GCAP_LOW;
      case GCAP_ID + 4:
        return GCAP_HIGH;
      case GEN_CONF:
        return s.config;
      case GINTR_STA:
        return s.isr;
    }
    const n = (offset - TIMER0) >> 5, t = s.timers[n];
    if (offset < TIMER0 || t === undefined) return 0;
    switch (offset & 0x1f) {
      case 0x00:
        return t.config;
      case 0x04:
        return this.#routes;
      case 0x08:
        this.#catchUp(t);
        return Number(t.cmp & 0xffffffffn);
      case 0x0c:
        this.#catchUp(t);
        return Number(t.cmp >> 32n);
    }
    return 0;
  }

  #write(offset: number, value: number): void {
    const s = this.state;
    switch (offset) {
      case GEN_CONF:
        this.#configure(value & (ENABLE_CNF | LEG_RT_CNF));
        return;
      case GINTR_STA:
        s.isr &= ~value;
        for (let n = 0; n < TIMERS; n++) this.#driveLevel(n);
        return;
      case MAIN_CNT:
      case MAIN_CNT + 4:
        if (this.#enabled) log("guest_errors", "hpet: write of the running main counter");
        else if (offset === MAIN_CNT) s.counterLow = value;
        else s.counterHigh = value;
        return;
    }
    const n = (offset - TIMER0) >> 5;
    if (offset < TIMER0 || n >= TIMERS) return;
    switch (offset & 0x1f) {
      case 0x00:
        this.#configureTimer(n, value);
        break;
      case 0x08:
        this.#writeComparator(n, BigInt(value), 0n);
        break;
      case 0x0c:
        if (!(s.timers[n].config & Tn.MODE32)) this.#writeComparator(n, BigInt(value), 32n);
        break;
    }
  }

  #configure(value: number): void {
    const s = this.state, changed = s.config ^ value;
    if (changed & ENABLE_CNF) {
      const low = this.#counterLow(), high = this.#counterHigh();
      s.counterLow = low;
      s.counterHigh = high;
      s.start = Math.floor(this.#clock.now() / TICK_NS);
    }
    if (changed & LEG_RT_CNF) { for (let n = 0; n < TIMERS; n++) this.#release(n); }
    s.config = value;
    if (changed & LEG_RT_CNF) this.#legacyChanged();
    if (changed === 0) return;
    for (let n = 0; n < TIMERS; n++) {
      this.#driveLevel(n);
      this.#arm(n);
    }
  }

  #legacyChanged(): void {
    const on = this.legacy;
    this.#lines[0].set(!on && this.state.pitLevel);
    this.#lines[8].set(!on && this.state.rtcLevel);
    this.#onLegacy(on);
  }

  #configureTimer(n: number, value: number): void {
    const t = this.state.timers[n];
    this.#catchUp(t);
    let config = (t.config & ~TN_WRITABLE) | (value & TN_WRITABLE);
    const route = (config & Tn.INT_ROUTE) >> 9;
    // A route the timer does not have does not stick: that is how software probes them.
    if (!((this.#routes >>> route) & 1)) {
      config = (config & ~Tn.INT_ROUTE) | (t.config & Tn.INT_ROUTE);
    }
    this.#release(n);
    t.config = config;
    if (config & Tn.MODE32) {
      t.cmp &= 0xffffffffn;
      t.period &= 0xffffffffn;
    }
    if (!(config & Tn.INT_TYPE)) this.state.isr &= ~(1 << n);
    this.#driveLevel(n);
    this.#arm(n);
  }

  /** Writes the half of timer `n`'s comparator at bit `shift`. */
  #writeComparator(n: number, value: bigint, shift: bigint): void {
    const t = this.state.timers[n], periodic = (t.config & Tn.TYPE) !== 0;
    const keep = shift === 0n ? 0xffffffff00000000n : 0xffffffffn;
    if (!periodic || t.config & Tn.VAL_SET) t.cmp = (t.cmp & keep) | value << shift;
    if (periodic) t.period = (t.period & keep) | value << shift;
    if (t.config & Tn.MODE32) {
      t.cmp &= 0xffffffffn;
      t.period &= 0xffffffffn;
    }
    t.config &= ~Tn.VAL_SET;
    this.#arm(n, true);
  }

  // --- timers

  /** Moves a periodic comparator to its first match that is still to come. */
  #catchUp(t: HpetTimerState): void {
    if (!(t.config & Tn.TYPE) || t.period === 0n || !this.#enabled) return;
    const bits = t.config & Tn.MODE32 ? 32 : 64;
    const past = -BigInt.asIntN(bits, t.cmp - this.#counter());
    if (past < 0n) return;
    t.cmp = BigInt.asUintN(bits, t.cmp + (past / t.period + 1n) * t.period);
  }

  /**
   * Sets the clock for timer `n`'s next match. A match that has just passed when the comparator is
   * `written` counts as reached: on hardware the guest would have been in time.
   */
  #arm(n: number, written = false): void {
    const t = this.state.timers[n], timer = this.#clockTimers[n];
    const useful = (t.config & (Tn.INT_ENB | Tn.INT_TYPE)) !== 0;
    if (!this.#enabled || !useful) return timer.cancel();
    if (!written) this.#catchUp(t);
    const bits = t.config & Tn.MODE32 ? 32 : 64, distance = t.cmp - this.#counter();
    const late = written && BigInt.asUintN(bits, -distance) <= LATE_TICKS;
    const ahead = late ? 0n : BigInt.asUintN(bits, distance);
    const ns = Number(ahead) * TICK_NS, now = this.#clock.now();
    // Beyond the clock's range (104 days) a match is never.
    if (now + ns >= Number.MAX_SAFE_INTEGER) return timer.cancel();
    timer.arm(now - now % TICK_NS + ns);
  }

  #fire(n: number): void {
    const s = this.state, t = s.timers[n];
    if (t.config & Tn.INT_TYPE) {
      s.isr |= 1 << n;
      this.#driveLevel(n);
    } else if (t.config & Tn.INT_ENB) {
      const line = this.#lines[this.#route(n)];
      line?.set(true);
      line?.set(false);
    }
    const timer = this.#clockTimers[n];
    if (t.config & Tn.TYPE && t.period !== 0n) {
      this.#arm(n);
      if (timer.deadline === undefined) return;
      timer.arm(Math.max(timer.deadline, this.#clock.now() + MIN_PERIOD_NS));
    } else if (t.config & Tn.MODE32) {
      // A 32-bit one-shot matches again when the counter has come round.
      timer.arm(this.#clock.now() + TWO32 * TICK_NS);
    }
  }

  /** The GSI timer `n` interrupts on, or -1 for a route it does not have. */
  #route(n: number): number {
    if (this.legacy && n < 2) return n === 0 ? 0 : 8;
    const route = (this.state.timers[n].config & Tn.INT_ROUTE) >> 9;
    return (this.#routes >>> route) & 1 ? route : -1;
  }

  /** Holds or releases the line of a level-triggered timer after its status, enable or route. */
  #driveLevel(n: number): void {
    const s = this.state, t = s.timers[n];
    const high = this.#enabled && (t.config & Tn.INT_ENB) !== 0 && (s.isr & (1 << n)) !== 0;
    if (!high) return this.#release(n);
    this.#held[n] = this.#route(n);
    this.#lines[this.#held[n]]?.set(true);
  }

  #release(n: number): void {
    const gsi = this.#held[n];
    this.#held[n] = -1;
    if (gsi >= 0 && !this.#held.includes(gsi)) this.#lines[gsi]?.set(false);
  }
}
