/**
 * The machine's virtual clock: nanoseconds since power-on, standing still while the machine is
 * paused. Devices read time and arm timers here and nowhere else, so that `-icount` runs repeat.
 */

/** A one-shot timer. Arming it again moves it. */
export interface Timer {
  /** Fires once when the clock reaches `at` (ns); at once, at the next run, if that has passed. */
  arm(at: number): void;
  cancel(): void;
  /** When it will fire (ns), or undefined when idle. */
  readonly deadline: number | undefined;
}

export interface Clock {
  /** Virtual time in ns: an integer below 2^53 (104 days), never going back. */
  now(): number;
  timer(callback: () => void): Timer;
  /**
   * The real-time clock's idea of the date, in ms since 1970 UTC: `-rtc base=` plus virtual time
   * (clock=vm) or the host's (clock=host).
   */
  wallTime(): number;
  /** Time is counted in instructions: what the guest sees repeats. */
  readonly icount?: boolean;
  /** The timers, where whoever runs vCPUs may look when the next one is due. */
  readonly queue?: TimerQueue;
}

class QueueTimer implements Timer {
  deadline: number | undefined;
  constructor(private readonly queue: TimerQueue, readonly callback: () => void) {}
  arm(at: number): void {
    this.cancel();
    this.deadline = Math.ceil(at);
    this.queue.insert(this);
  }
  cancel(): void {
    if (this.deadline !== undefined) this.queue.remove(this);
    this.deadline = undefined;
  }
}

/** Timers ordered by deadline; equal deadlines fire in arming order. */
export class TimerQueue {
  #list: QueueTimer[] = [];

  /** Called when the earliest deadline has moved forward: a sleeping machine must wake. */
  onEarlier: () => void = () => {};

  timer(callback: () => void): Timer {
    return new QueueTimer(this, callback);
  }

  insert(t: QueueTimer): void {
    const at = t.deadline!;
    let i = this.#list.length;
    while (i > 0 && this.#list[i - 1].deadline! > at) i--;
    this.#list.splice(i, 0, t);
    if (i === 0) this.onEarlier();
  }

  remove(t: QueueTimer): void {
    const i = this.#list.indexOf(t);
    if (i >= 0) this.#list.splice(i, 1);
  }

  /** The earliest deadline in ns, or undefined. */
  get next(): number | undefined {
    return this.#list[0]?.deadline;
  }

  /** Fires everything due at `now`, in order. Timers armed meanwhile for `now` or before fire too. */
  run(now: number): void {
    while (this.#list.length > 0 && this.#list[0].deadline! <= now) {
      const t = this.#list.shift()!;
      t.deadline = undefined;
      t.callback();
    }
  }
}

/** A clock that a test (or `-icount`) moves by hand. */
export class ManualClock implements Clock {
  readonly queue = new TimerQueue();
  #now = 0;
  #epoch: number;
  constructor(epochMs = Date.UTC(2020, 0, 1)) {
    this.#epoch = epochMs;
  }
  now(): number {
    return this.#now;
  }
  timer(callback: () => void): Timer {
    return this.queue.timer(callback);
  }
  wallTime(): number {
    return this.#epoch + Math.floor(this.#now / 1e6);
  }
  /** Moves time forward by `ns`, firing each timer at its own time. */
  advance(ns: number): void {
    const end = this.#now + ns;
    for (let next = this.queue.next; next !== undefined && next <= end; next = this.queue.next) {
      this.#now = Math.max(this.#now, next);
      this.queue.run(this.#now);
    }
    this.#now = end;
  }
}
