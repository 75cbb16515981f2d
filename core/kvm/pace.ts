/**
 * Where a vCPU that has a thread enters KVM_RUN. An exit that crosses from the thread and back costs
 * some 10 µs and two wake-ups, more than the exit itself; a guest in a storm of port accesses (a BIOS
 * reading a disk by PIO) is therefore better run on the main thread, in short slices. One vCPU at a
 * time may sit there, so that the others keep running beside it.
 */

/** The one place on the main thread. Shared by the vCPUs of a machine. */
export class Seat {
  #taker: Pace | undefined;
  /** Told when somebody sits down or gets up. */
  onTaken?: (taken: boolean) => void;

  get taker(): Pace | undefined {
    return this.#taker;
  }
  set taker(taker: Pace | undefined) {
    this.#taker = taker;
    this.onTaken?.(taker !== undefined);
  }
}

/** Exits are counted over this long, in ms. */
const WINDOW_MS = 5;
/** Exits per window that make a storm. */
const STORM = 40;
/** As many do where the thread has been in the guest for less than half of the window. */
const STORM_OF_CROSSINGS = 10;
/**
 * Fewer exits than this in each of so many slices on the main thread end it; in one slice the host may
 * have been away.
 */
const CALM = 5, CALM_SLICES = 3;
/** No return to the main thread for this long, in ms: a move costs old kernels an RCU period. */
const REST_MS = 50;

export class Pace {
  /** Run on the main thread. */
  here = false;
  #start = 0;
  #exits = 0;
  #guest = 0;
  #calm = 0;
  #notBefore = 0;

  constructor(private readonly seat: Seat) {}

  /**
   * After each exit. Times in ms, of one steady clock.
   * @param guest how long the thread has been in the guest for it
   */
  exit(now: number, guest: number): void {
    this.#exits++;
    this.#guest += guest;
    const window = now - this.#start;
    if (this.here || window < WINDOW_MS) return;
    const storm = this.#exits >= STORM ||
      this.#exits >= STORM_OF_CROSSINGS && this.#guest < window / 2;
    if (storm && now >= this.#notBefore && this.seat.taker === undefined) {
      this.seat.taker = this;
      this.here = true;
    }
    this.#begin(now);
  }

  /** After a slice on the main thread that the timer has ended. */
  sliceEnded(now: number): void {
    this.#calm = this.#exits < CALM ? this.#calm + 1 : 0;
    if (this.#calm >= CALM_SLICES) {
      this.leave();
      this.#notBefore = now + REST_MS;
    }
    this.#begin(now);
  }

  /** The vCPU sleeps, or is not run at all. */
  leave(): void {
    if (!this.here) return;
    this.here = false;
    this.#calm = 0;
    this.seat.taker = undefined;
  }

  #begin(now: number): void {
    this.#start = now;
    this.#exits = 0;
    this.#guest = 0;
  }
}
