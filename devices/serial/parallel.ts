/**
 * Standard parallel port (SPP) with a printer behind it that accepts everything: IBM PC/AT Technical
 * Reference, Printer Adapter; signal timing of IEEE 1284 compatibility mode.
 */
import type { ChardevFrontend, ChardevPort } from "../../core/chardev/chardev.ts";
import type { Clock, Timer } from "../../core/clock.ts";
import { type IrqLine, StatefulDevice } from "../../core/device.ts";
import { ioRegion } from "../../core/memory/region.ts";

const DATA = 0, STATUS = 1, CONTROL = 2;
/** Inverted: 1 means the printer is not busy. */
const STATUS_NOT_BUSY = 0x80;
/** Inverted: 0 during the acknowledge pulse. */
const STATUS_NOT_ACK = 0x40;
const STATUS_SELECT = 0x10, STATUS_NOT_ERROR = 0x08;
/** The EPP time-out bit; floats high on a port without EPP. */
const STATUS_TIMEOUT = 0x01;
const CONTROL_STROBE = 0x01, CONTROL_NOT_INIT = 0x04, CONTROL_SELECT_IN = 0x08;
const CONTROL_IRQ_ENABLE = 0x10;
const STATUS_IDLE = STATUS_NOT_BUSY | STATUS_NOT_ACK | STATUS_SELECT | STATUS_NOT_ERROR |
  STATUS_TIMEOUT;
/** How long the printer is busy with a character, ns. */
const BUSY_TIME = 5000;

export interface ParallelState {
  data: number;
  control: number;
  /** When the printer acknowledges the last character (ns), or undefined when idle. */
  ackAt: number | undefined;
  irq: boolean;
}

export class ParallelPort extends StatefulDevice<ParallelState> implements ChardevFrontend {
  override readonly type = "isa-parallel";
  readonly region = ioRegion("parallel", 8, {
    maxAccess: 1,
    read: (offset) => this.read(offset),
    write: (offset, _size, value) => this.write(offset, value),
  });
  readonly #timer: Timer;
  #port: ChardevPort | undefined;

  constructor(private readonly clock: Clock, private readonly irq: IrqLine) {
    super(() => ({
      data: 0xff,
      control: CONTROL_SELECT_IN | CONTROL_NOT_INIT,
      ackAt: undefined,
      irq: false,
    }));
    this.#timer = clock.timer(() => this.#acknowledge());
  }

  attach(port: ChardevPort): void {
    this.#port = port;
  }

  get chardev(): ChardevPort | undefined {
    return this.#port;
  }

  /** Nothing comes back from a printer: input from the host is swallowed. */
  canReceive(): number {
    return 4096;
  }
  receive(): void {}
  event(): void {}

  read(offset: number): number {
    const s = this.state;
    switch (offset & 7) {
      case DATA:
        return s.data;
      case STATUS:
        this.#setIrq(false);
        return s.ackAt === undefined ? STATUS_IDLE : STATUS_IDLE & ~STATUS_NOT_BUSY;
      case CONTROL:
        return s.control | 0xc0;
      default:
        return 0xff;
    }
  }

  write(offset: number, value: number): void {
    const s = this.state;
    if (offset === DATA) s.data = value;
    if (offset !== CONTROL) return;
    const rising = value & ~s.control;
    s.control = value & 0x3f;
    if (!(value & CONTROL_NOT_INIT)) this.#idle();
    else if ((rising & CONTROL_STROBE) && s.ackAt === undefined) {
      this.#port?.write(new Uint8Array([s.data]));
      s.ackAt = this.clock.now() + BUSY_TIME;
      this.#timer.arm(s.ackAt);
    }
    if (!(value & CONTROL_IRQ_ENABLE)) this.#setIrq(false);
  }

  #acknowledge(): void {
    this.state.ackAt = undefined;
    if (this.state.control & CONTROL_IRQ_ENABLE) this.#setIrq(true);
  }

  #idle(): void {
    this.state.ackAt = undefined;
    this.#timer.cancel();
  }

  #setIrq(level: boolean): void {
    this.state.irq = level;
    this.irq.set(level);
  }

  protected override onReset(): void {
    this.#timer.cancel();
    this.irq.set(false);
  }

  protected override onLoad(): void {
    if (this.state.ackAt === undefined) this.#timer.cancel();
    else this.#timer.arm(this.state.ackAt);
    this.irq.set(this.state.irq);
  }
}

/** Port base and IRQ of LPT1 to LPT3, as QEMU's `index=` gives them. */
export const ISA_PARALLEL_PORTS: readonly { iobase: number; irq: number }[] = [
  { iobase: 0x378, irq: 7 },
  { iobase: 0x278, irq: 7 },
  { iobase: 0x3bc, irq: 7 },
];
