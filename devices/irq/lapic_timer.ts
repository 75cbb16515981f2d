/**
 * The timer of a local APIC: one-shot and periodic counts of the bus clock (1 GHz here), and
 * TSC-deadline mode. Intel SDM volume 3A, 11.5.4.
 */
import type { GuestTsc } from "../../core/accel.ts";
import type { Clock, Timer } from "../../core/clock.ts";
import { LVT_MASKED, LVT_PERIODIC, LVT_TSC_DEADLINE, Reg } from "./lapic_registers.ts";

/** Index of the Float64 with the virtual time (ns) at which the timer's current period began. */
const TIMER_START = 132;
/** Index of the 64-bit word with IA32_TSC_DEADLINE, 0 while disarmed. */
const DEADLINE = 133;
/** 64-bit words of the state that is looked at here. */
const WORDS = 134;
/** Shorter periods are honoured in the count but interrupt no more often than this. */
const MIN_PERIOD_NS = 10_000;
/** A TSC deadline farther away than this (ns) is looked at again on the way. */
const FAR_NS = 1e12;

export interface LapicTimerOptions {
  /** The local APIC's state, see lapic.ts. */
  readonly buffer: ArrayBufferLike;
  readonly offset: number;
  readonly clock: Clock;
  /** Where TSC-deadline mode is to work. */
  readonly tsc: GuestTsc | undefined;
  /** The count is over and the entry is not masked. */
  fire(vector: number): void;
}

/** Its registers and its hidden words are those of the page that it is given. */
export class LapicTimer {
  readonly #r: Uint32Array;
  readonly #f: Float64Array;
  readonly #q: BigUint64Array;
  readonly #clock: Clock;
  readonly #timer: Timer;
  readonly #tsc: GuestTsc | undefined;
  readonly #fire: (vector: number) => void;

  constructor(o: LapicTimerOptions) {
    this.#r = new Uint32Array(o.buffer, o.offset, 2 * WORDS);
    this.#f = new Float64Array(o.buffer, o.offset, WORDS);
    this.#q = new BigUint64Array(o.buffer, o.offset, WORDS);
    this.#clock = o.clock;
    this.#timer = o.clock.timer(() => this.#expire());
    this.#tsc = o.tsc;
    this.#fire = o.fire;
  }

  /** Forgets what no register shows; the registers are reset with the page. */
  reset(): void {
    this.#f[TIMER_START] = 0;
    this.#q[DEADLINE] = 0n;
    this.#timer.cancel();
  }

  /** Timer bus ticks (ns) per count: 1, 2, 4 … 128. */
  get divisor(): number {
    const d = this.#r[Reg.TIMER_DIVIDE >> 2], code = (d & 3) | ((d >> 1) & 4);
    return code === 7 ? 1 : 2 << code;
  }

  /** TIMER_CURRENT. */
  get currentCount(): number {
    return this.#countAt(this.#clock.now());
  }

  /** IA32_TSC_DEADLINE. */
  get deadline(): bigint {
    this.settle();
    return this.#q[DEADLINE];
  }

  /** A write to IA32_TSC_DEADLINE, which counts in TSC-deadline mode alone. */
  setDeadline(value: bigint): void {
    if (!this.#byDeadline) return;
    this.settle();
    this.#q[DEADLINE] = value;
    this.arm();
  }

  /** A write to TIMER_INITIAL begins a count, but not in TSC-deadline mode. */
  setInitial(value: number): void {
    if (this.#byDeadline) return;
    this.settle();
    this.#r[Reg.TIMER_INITIAL >> 2] = value;
    this.arm(this.#f[TIMER_START] = this.#clock.now());
  }

  /** A write to TIMER_DIVIDE: what has been counted stays counted. */
  setDivide(value: number): void {
    const now = this.settle();
    const done = this.#r[Reg.TIMER_INITIAL >> 2] - this.#countAt(now);
    this.#r[Reg.TIMER_DIVIDE >> 2] = value & 0x0b;
    this.#f[TIMER_START] = now - done * this.divisor;
    this.arm(now);
  }

  /** A write to LVT_TIMER, already reduced to its writable bits. */
  setEntry(value: number): void {
    const now = this.settle();
    if ((value ^ this.#r[Reg.LVT_TIMER >> 2]) & LVT_TSC_DEADLINE) {
      // A way into or out of TSC-deadline mode disarms the timer. SDM volume 3A, 11.5.4.1.
      this.#r[Reg.TIMER_INITIAL >> 2] = 0;
      this.#q[DEADLINE] = 0n;
    }
    this.#r[Reg.LVT_TIMER >> 2] = value;
    this.arm(now);
  }

  /** The entry has been masked with all others: a count goes on unseen, a deadline still passes. */
  masked(): void {
    if (!this.#byDeadline) this.#timer.cancel();
  }

  /** The guest has moved its TSC: a deadline comes sooner or later than it was to. */
  tscChanged(): void {
    if (this.#byDeadline) this.arm();
  }

  #countAt(now: number): number {
    if (this.#byDeadline) return 0;
    const initial = this.#r[Reg.TIMER_INITIAL >> 2];
    if (initial === 0) return 0;
    const done = Math.floor((now - this.#f[TIMER_START]) / this.divisor);
    return this.#periodic ? initial - done % initial : Math.max(0, initial - done);
  }

  get #periodic(): boolean {
    return (this.#r[Reg.LVT_TIMER >> 2] & (LVT_PERIODIC | LVT_TSC_DEADLINE)) === LVT_PERIODIC;
  }

  /** TSC-deadline mode; the other timer mode with bit 18 is reserved and taken as this one. */
  get #byDeadline(): boolean {
    return (this.#r[Reg.LVT_TIMER >> 2] & LVT_TSC_DEADLINE) !== 0;
  }

  /** Nanoseconds from now to the deadline by the guest's TSC, 0 or less when it is over. */
  #untilDeadline(): number {
    const ticks = this.#q[DEADLINE] - this.#tsc!.read();
    return ticks <= 0n ? 0 : Math.max(1, Number(ticks) * 1e6 / this.#tsc!.khz);
  }

  /**
   * Before the timer is reprogrammed: an expiry that is due but has not run yet happens now, and the
   * start moves to that of the current period, so that a change of mode keeps the count.
   */
  settle(): number {
    const now = this.#clock.now(), due = this.#timer.deadline;
    if (due !== undefined && due <= now) this.#expire();
    const period = this.#r[Reg.TIMER_INITIAL >> 2] * this.divisor;
    if (period === 0 || !this.#periodic) return now;
    const start = this.#f[TIMER_START];
    this.#f[TIMER_START] = start + Math.floor((now - start) / period) * period;
    return now;
  }

  /**
   * Waits for what the registers say.
   * @param now the time that decides whether a one-shot count is over: that of the settling before,
   * since one that ends between the two must still expire
   */
  arm(now = this.#clock.now()): void {
    this.#timer.cancel();
    if (this.#byDeadline) {
      if (this.#q[DEADLINE] === 0n) return;
      const wait = this.#untilDeadline();
      if (wait > 0) this.#timer.arm(now + Math.min(wait, FAR_NS));
      else this.#expire();
      return;
    }
    const period = this.#r[Reg.TIMER_INITIAL >> 2] * this.divisor;
    if (period === 0 || this.#r[Reg.LVT_TIMER >> 2] & LVT_MASKED) return;
    const start = this.#f[TIMER_START];
    if (!this.#periodic) {
      if (start + period > now) this.#timer.arm(start + period);
      return;
    }
    const past = Math.floor((now - start) / period);
    this.#timer.arm(Math.max(start + (past + 1) * period, past > 0 ? now + MIN_PERIOD_NS : 0));
  }

  #expire(): void {
    this.#timer.cancel();
    const lvt = this.#r[Reg.LVT_TIMER >> 2];
    if (this.#byDeadline) {
      if (this.#q[DEADLINE] === 0n) return;
      if (this.#untilDeadline() > 0) return this.arm();
      this.#q[DEADLINE] = 0n;
    }
    if (lvt & LVT_MASKED) return;
    this.#fire(lvt & 0xff);
    if (this.#periodic) this.arm();
  }
}
