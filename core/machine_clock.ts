/**
 * The machine's clock: host time while it runs, or counted instructions under `-icount`.
 *
 * Where this process executes the guest itself, the clock is *paced*: it runs with the host's, but
 * never past the next timer before that has fired, never further in one turn of a vCPU than the turn
 * is meant to last, and not at all between turns. A host that holds the process up, or code that is
 * slow to translate, thus costs the guest no timer tick and makes none late in the guest's time. What
 * the clock has fallen behind (the lag) is made up by running it faster while the guest is busy, and
 * at once, from timer to timer, while it is idle.
 */
import { type Clock, type Timer, TimerQueue } from "./clock.ts";

export interface MachineClockOptions {
  /** `-icount shift`: an instruction takes 2^shift ns. Undefined: host time. */
  readonly icountShift?: number;
  /** Date at virtual time 0 in ms since 1970 (UTC), and whether it follows the host (clock=host). */
  readonly epochMs: number;
  readonly followHost: boolean;
  /** The host's monotonic clock in ms; a test may give one of its own. */
  readonly hostNow?: () => number;
}

/** How fast a paced clock runs, as a multiple of the host's, while it has lag to make up. */
const CATCH_UP = 1.5;
/** Lag in ns that is made up; what goes beyond is forgotten, as if the machine had been paused. */
const MAX_LAG = 10e9;
/** The most time in ns that reading a paced clock takes in the guest. */
const READ_NS = 1000;

export class MachineClock implements Clock {
  readonly queue = new TimerQueue();
  /** Virtual time in ns: under `-icount` without the instructions, else at host time {@link #at}. */
  #base = 0;
  /** Host time (ms) up to which the clock has been advanced; undefined while it stands. */
  #at: number | undefined;
  /** Host time in ns that has passed since the start but not in the guest. */
  #lag = 0;
  /** Virtual time the clock may not pass now; Infinity where it is not paced. */
  #limit = Infinity;
  /** The clock goes no further than the next timer. */
  #paced = false;
  /** Lag is made up at once. */
  #idle = false;
  #sliceStart = 0;
  #last = 0;
  /** Executed instructions: set by the machine. */
  instructions: () => number = () => 0;
  /**
   * The most time in ns that the guest may take for what it has done so far; only differences count.
   * Undefined: it may take what the host took.
   */
  effort: (() => number) | undefined;
  #effort = 0;
  /** Called when a paced clock is read at its limit: the turn in progress has to end. */
  onLimit: () => void = () => {};
  readonly #hostNow: () => number;
  readonly #hostEpoch = Date.now();

  constructor(readonly opts: MachineClockOptions) {
    this.#hostNow = opts.hostNow ?? (() => performance.now());
  }

  get icount(): boolean {
    return this.opts.icountShift !== undefined;
  }

  now(): number {
    let t: number;
    if (this.opts.icountShift !== undefined) {
      t = this.#base + this.instructions() * 2 ** this.opts.icountShift;
    } else {
      if (this.#at !== undefined && this.#advance()) this.onLimit();
      t = Math.floor(this.#base);
    }
    if (t > this.#last) this.#last = t;
    return this.#last;
  }

  /** Brings a running clock to the host's present; true when it has met its limit. */
  #advance(): boolean {
    const host = this.#hostNow(), passed = Math.max(0, (host - this.#at!) * 1e6);
    this.#at = host;
    const owed = this.#lag + passed;
    const to = this.#base + (this.#idle ? owed : this.#credible(Math.min(passed * CATCH_UP, owed)));
    const limit = this.#paced ? Math.min(this.#limit, this.queue.next ?? Infinity) : Infinity;
    const base = Math.max(this.#base, Math.min(to, limit));
    this.#lag = this.#paced ? Math.min(Math.max(0, owed - (base - this.#base)), MAX_LAG) : 0;
    this.#base = base;
    return to >= limit;
  }

  /** As much of `ns` as the guest can have taken since this was last asked. */
  #credible(ns: number): number {
    if (!this.#paced || this.effort === undefined) return ns;
    const before = this.#effort;
    this.#effort = this.effort();
    return Math.min(ns, this.#effort - before + READ_NS);
  }

  timer(callback: () => void): Timer {
    return this.queue.timer(callback);
  }

  wallTime(): number {
    if (this.opts.followHost) return this.opts.epochMs + (Date.now() - this.#hostEpoch);
    return this.opts.epochMs + Math.floor(this.now() / 1e6);
  }

  /** Lets time pass. */
  start(): void {
    this.#at ??= this.#hostNow();
  }

  /** Holds time. */
  stop(): void {
    if (this.#at === undefined) return;
    if (!this.icount) this.#advance();
    this.#at = undefined;
  }

  /** Virtual time (ns) at which the turn in progress ends at the latest. */
  get sliceEnd(): number {
    return this.#limit;
  }

  /** Time in ns that a paced clock is behind the host's. */
  get lag(): number {
    return this.#lag;
  }

  /**
   * Begins a turn of at most `ns`; gives the host time it may take: less before a timer, and while
   * there is lag to make up.
   */
  beginSlice(ns: number): number {
    this.#sliceStart = this.#hostNow();
    // Between turns the clock stands: what the host did meanwhile is lag.
    if (this.#at !== undefined) this.#advance();
    this.#paced = true;
    this.#idle = false;
    this.#limit = this.#base + ns;
    this.#limit = Math.max(this.#base, Math.min(this.#limit, this.queue.next ?? Infinity));
    return (this.#limit - this.#base) / (this.#lag > 0 ? CATCH_UP : 1);
  }

  /** Ends a turn and holds the clock; gives the host time the turn took, in ns. */
  endSlice(): number {
    if (this.#at !== undefined) this.#advance();
    this.#limit = this.#base;
    return (this.#hostNow() - this.#sliceStart) * 1e6;
  }

  /** All vCPUs are halted: time passes until the next timer, lag at once. */
  idle(): void {
    this.#paced = true;
    this.#limit = Infinity;
    this.#idle = true;
  }

  /** Fires what is due. A paced clock then stands until the next turn, or until {@link idle}. */
  fire(): void {
    const now = this.now();
    if (this.#paced) {
      this.#idle = false;
      this.#limit = this.#base;
    }
    this.queue.run(now);
  }

  /** The guest is executed elsewhere: the clock is the host's. */
  free(): void {
    if (!this.#paced) return;
    if (this.#at !== undefined) this.#advance();
    this.#paced = false;
    this.#idle = false;
    this.#lag = 0;
    this.#limit = Infinity;
  }

  /** Instructions until the next timer under `-icount`; Infinity without one. */
  instructionsToDeadline(): number {
    const next = this.queue.next;
    if (next === undefined) return Infinity;
    return Math.max(1, Math.ceil((next - this.now()) / 2 ** this.opts.icountShift!));
  }

  /** Under `-icount`, with all vCPUs idle: goes to the next deadline. */
  skipTo(deadline: number): void {
    const now = this.now();
    if (deadline > now) this.#base += deadline - now;
  }

  /** Sets virtual time (loading a snapshot). */
  set(ns: number): void {
    this.#base = this.icount ? ns - this.instructions() * 2 ** this.opts.icountShift! : ns;
    this.#last = ns;
    this.#lag = 0;
    this.#limit = this.#paced ? ns : Infinity;
    if (this.#at !== undefined) this.#at = this.#hostNow();
  }
}
