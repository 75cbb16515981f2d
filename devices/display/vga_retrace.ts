/** Where the beam is: Input Status 1 (3DA), computed from the CRTC's timing and the clock. */
import type { Clock } from "../../core/clock.ts";
import * as R from "./vga_state.ts";

/** Input Status 1 bits. */
export const STATUS1_DISPLAY_DISABLED = 0x01;
export const STATUS1_VERTICAL_RETRACE = 0x08;

/** Pretended duration of one poll (ns) when the clock stands still between two reads. */
const POLL_NS = 1000;

export class Retrace {
  #lineNs = 0;
  #shownNs = 0;
  #lines = 0;
  #shownLines = 0;
  #retraceStart = 0;
  #retraceEnd = 0;
  #valid = false;
  #last = -1;
  #stalled = 0;

  constructor(private readonly clock: Clock) {}

  /** A timing register has changed. */
  invalidate(): void {
    this.#valid = false;
  }

  /** Duration of a frame in ns. */
  frameNs(s: R.VgaState): number {
    if (!this.#valid) this.#compute(s);
    return this.#lineNs * this.#lines;
  }

  /** Input Status 1 now. A guest that polls faster than the clock moves still sees the beam move. */
  status(s: R.VgaState): number {
    if (!this.#valid) this.#compute(s);
    let now = this.clock.now();
    if (now === this.#last) now += ++this.#stalled * POLL_NS;
    else {
      this.#last = now;
      this.#stalled = 0;
    }
    const inFrame = now % (this.#lineNs * this.#lines);
    const line = Math.floor(inFrame / this.#lineNs);
    let status = 0;
    if (line >= this.#shownLines || inFrame - line * this.#lineNs >= this.#shownNs) {
      status |= STATUS1_DISPLAY_DISABLED;
    }
    if (line >= this.#retraceStart && line < this.#retraceEnd) {
      status |= STATUS1_VERTICAL_RETRACE | STATUS1_DISPLAY_DISABLED;
    }
    return status;
  }

  #compute(s: R.VgaState): void {
    const { crtc, seq } = s, o = crtc[R.CRTC_OVERFLOW];
    const dot = ((s.misc >> 2 & 3) === 1 ? 1e9 / 28.322e6 : 1e9 / 25.175e6) *
      (seq[R.SEQ_CLOCKING_MODE] & 8 ? 2 : 1);
    const char = dot * (seq[R.SEQ_CLOCKING_MODE] & 1 ? 8 : 9);
    const chars = crtc[R.CRTC_HORIZONTAL_TOTAL] + 5;
    const lines = (crtc[R.CRTC_VERTICAL_TOTAL] | (o & 1) << 8 | (o & 0x20) << 4) + 2;
    const start = crtc[R.CRTC_VERTICAL_RETRACE_START] | (o & 4) << 6 | (o & 0x80) << 2;
    const length = (crtc[R.CRTC_VERTICAL_RETRACE_END] - start & 15) || 16;
    this.#valid = true;
    if (chars < 20 || lines < 50 || start >= lines) {
      // Not programmed, or absurdly: VGA's 640×480 at 60 Hz.
      this.#lineNs = 31778;
      this.#shownNs = 25422;
      this.#lines = 525;
      this.#shownLines = 480;
      this.#retraceStart = 490;
      this.#retraceEnd = 492;
      return;
    }
    this.#lineNs = chars * char;
    this.#shownNs = Math.min((crtc[R.CRTC_HORIZONTAL_DISPLAY_END] + 1) * char, this.#lineNs);
    this.#lines = lines;
    this.#shownLines = Math.min(R.verticalDisplayLines(crtc), lines);
    this.#retraceStart = start;
    this.#retraceEnd = Math.min(start + length, lines);
  }
}
