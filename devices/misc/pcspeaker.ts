/**
 * Port 61h of the PC: system control port B (PIIX3 datasheet 290550, 2.5.6). It gates timer channel
 * 2, connects it to the speaker, and shows the refresh clock and the channel's output.
 */
import type { Clock } from "../../core/clock.ts";
import { StatefulDevice } from "../../core/device.ts";
import { type IoRegion, ioRegion } from "../../core/memory/region.ts";
import { type I8254, pitTicks } from "../timer/i8254.ts";

/** Where the speaker's sound goes. */
export interface SpeakerBackend {
  /** Plays a square wave of `hz`, or silence for 0. Told on each change only. */
  tone(hz: number): void;
}

/** A speaker that nobody hears. */
export const SILENT_SPEAKER: SpeakerBackend = { tone() {} };

const GATE2 = 0x01, SPEAKER_DATA = 0x02, WRITABLE = 0x0f, REFRESH = 0x10, OUT2 = 0x20;
/** Channel 1's divisor as the PC's BIOS sets it: the refresh bit toggles every 15.085 µs. */
const REFRESH_TICKS = 18;

export interface PcSpeakerState {
  /** Bits 0–3 as written: gate, data, and the two NMI disables. */
  control: number;
}

export class PcSpeaker extends StatefulDevice<PcSpeakerState> {
  readonly type = "isa-pcspk";
  /** Port 61h. */
  readonly port: IoRegion = ioRegion("pcspk", 1, {
    maxAccess: 1,
    read: () => this.#read(),
    write: (_offset, _size, value) => {
      this.state.control = value & WRITABLE;
      this.#apply();
    },
  });
  readonly #pit: I8254;
  readonly #clock: Clock;
  readonly #backend: SpeakerBackend;
  #hz = 0;

  constructor(pit: I8254, clock: Clock, backend = SILENT_SPEAKER) {
    super(() => ({ control: 0 }));
    this.#pit = pit;
    this.#clock = clock;
    this.#backend = backend;
    pit.onChannel2 = () => this.#sound();
  }

  protected override onReset(): void {
    this.#apply();
  }

  protected override onLoad(): void {
    this.#apply();
  }

  #read(): number {
    const refresh = Math.floor(pitTicks(this.#clock.now()) / REFRESH_TICKS) & 1;
    return this.state.control | (refresh ? REFRESH : 0) | (this.#pit.output(2) ? OUT2 : 0);
  }

  #apply(): void {
    this.#pit.setGate(2, (this.state.control & GATE2) !== 0);
    this.#sound();
  }

  #sound(): void {
    const hz = this.state.control & SPEAKER_DATA ? this.#pit.frequency(2) : 0;
    if (hz === this.#hz) return;
    this.#hz = hz;
    this.#backend.tone(hz);
  }
}
