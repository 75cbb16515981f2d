/**
 * Where a vCPU that has a thread enters KVM_RUN. An exit that crosses from the thread and back costs
 * some 10 µs and two wake-ups, more than the exit itself; a guest in a storm of port accesses (a BIOS
 * reading a disk by PIO) is therefore better run on the main thread, in short slices. One vCPU at a
 * time may sit there, so that the others keep running beside it.
 */

/** The one place on the main thread. Shared by the vCPUs of a machine. */
export class Seat {
  taker: Pace | undefined;
}

/** Exits are counted over this long, in ms. */
const WINDOW_MS = 5;
/** Exits per window that make a storm. */
const STORM = 40;
/** Fewer exits than this in one slice on the main thread end it. */
const CALM = 5;
/** No return to the main thread for this long, in ms: a move costs old kernels an RCU period. */
const REST_MS = 50;

export class Pace {
  /** Run on the main thread. */
  here = false;
  #start = 0;
  #exits = 0;
  #notBefore = 0;

  constructor(private readonly seat: Seat) {}

  /** After each exit. Times in ms, of one steady clock. */
  exit(now: number): void {
    this.#exits++;
    if (this.here || now - this.#start < WINDOW_MS) return;
    if (this.#exits >= STORM && now >= this.#notBefore && this.seat.taker === undefined) {
      this.seat.taker = this;
      this.here = true;
    }
    this.#begin(now);
  }

  /** After a slice on the main thread that the timer has ended. */
  sliceEnded(now: number): void {
    if (this.#exits < CALM) {
      this.leave();
      this.#notBefore = now + REST_MS;
    }
    this.#begin(now);
  }

  /** The vCPU sleeps, or is not run at all. */
  leave(): void {
    if (!this.here) return;
    this.here = false;
    this.seat.taker = undefined;
  }

  #begin(now: number): void {
    this.#start = now;
    this.#exits = 0;
  }
}
