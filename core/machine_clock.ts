/** The machine's clock: host time while it runs, or counted instructions under `-icount`. */
import { type Clock, type Timer, TimerQueue } from "./clock.ts";

export interface MachineClockOptions {
  /** `-icount shift`: an instruction takes 2^shift ns. Undefined: host time. */
  readonly icountShift?: number;
  /** Date at virtual time 0 in ms since 1970 (UTC), and whether it follows the host (clock=host). */
  readonly epochMs: number;
  readonly followHost: boolean;
}

export class MachineClock implements Clock {
  readonly queue = new TimerQueue();
  /** Virtual time when last stopped, or (icount) skipped idle time. */
  #base = 0;
  #startedAt: number | undefined;
  #last = 0;
  /** Executed instructions: set by the machine. */
  instructions: () => number = () => 0;
  readonly #hostEpoch = Date.now();

  constructor(readonly opts: MachineClockOptions) {}

  get icount(): boolean {
    return this.opts.icountShift !== undefined;
  }

  now(): number {
    let t: number;
    if (this.opts.icountShift !== undefined) {
      t = this.#base + this.instructions() * 2 ** this.opts.icountShift;
    } else if (this.#startedAt === undefined) t = this.#base;
    else t = this.#base + Math.floor((performance.now() - this.#startedAt) * 1e6);
    if (t > this.#last) this.#last = t;
    return this.#last;
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
    if (this.#startedAt === undefined) this.#startedAt = performance.now();
  }

  /** Holds time. */
  stop(): void {
    if (this.#startedAt === undefined) return;
    if (!this.icount) this.#base = this.now();
    this.#startedAt = undefined;
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
    const running = this.#startedAt !== undefined;
    this.stop();
    this.#base = this.icount ? ns - this.instructions() * 2 ** this.opts.icountShift! : ns;
    this.#last = ns;
    if (running) this.start();
  }
}
