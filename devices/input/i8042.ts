/**
 * Keyboard controller Intel 8042 of the PC/AT and PS/2: ports 60h and 64h, two PS/2 ports, system
 * reset and A20 gate. IBM "PS/2 Hardware Interface Technical Reference", Keyboard and Auxiliary
 * Device Controller.
 */
import { type IrqLine, NO_IRQ, StatefulDevice } from "../../core/device.ts";
import { log } from "../../core/log.ts";
import { type IoRegion, ioRegion } from "../../core/memory/region.ts";
import type { Ps2Port } from "./ps2.ts";
import { translateSet2 } from "./scancodes.ts";

/** Status register (read 64h). */
const STATUS_OBF = 0x01,
  STATUS_SYS = 0x04,
  STATUS_COMMAND = 0x08,
  STATUS_UNLOCKED = 0x10,
  STATUS_AUX_OBF = 0x20;

/** Command byte. */
const MODE_KBD_INT = 0x01,
  MODE_AUX_INT = 0x02,
  MODE_SYS = 0x04,
  MODE_KBD_DISABLE = 0x10,
  MODE_AUX_DISABLE = 0x20,
  MODE_TRANSLATE = 0x40;

/** Output port. */
const OUT_RESET = 0x01, OUT_A20 = 0x02, OUT_OBF = 0x10, OUT_AUX_OBF = 0x20;

/** Where the byte in the output buffer came from. */
const FROM_NOTHING = 0, FROM_CONTROLLER = 1, FROM_KEYBOARD = 2, FROM_AUX = 3;

export interface I8042State {
  /** Internal RAM; byte 0 is the command byte. */
  ram: Uint8Array;
  /** SYS, command/data and lock bits; OBF and AUX_OBF follow from {@link source}. */
  status: number;
  outputPort: number;
  /** Controller command that waits for its parameter at port 60h, or -1. */
  command: number;
  /** Output buffer. */
  data: number;
  source: number;
  /** Bytes that the controller puts in the output buffer next: [value, source]. */
  replies: [number, number][];
  /** F0 came from the keyboard: the next translated code gets bit 7. */
  breakPending: boolean;
}

export interface I8042Options {
  readonly irq1: IrqLine;
  readonly irq12: IrqLine;
  readonly keyboard: Ps2Port;
  readonly mouse?: Ps2Port;
  /** Gate A20, output port bit 1. */
  readonly a20?: IrqLine;
  /** Pulsed low: output port bit 0. */
  readonly onReset?: () => void;
}

export class I8042 extends StatefulDevice<I8042State> {
  override readonly type: string = "i8042";
  /** Port 60h. */
  readonly dataPort: IoRegion;
  /** Port 64h. */
  readonly commandPort: IoRegion;
  readonly #irq1: IrqLine;
  readonly #irq12: IrqLine;
  readonly #a20: IrqLine;
  readonly #keyboard: Ps2Port;
  readonly #mouse: Ps2Port | undefined;
  readonly #systemReset: () => void;

  constructor(o: I8042Options) {
    super(() => ({
      ram: Uint8Array.from({ length: 32 }, (_, i) => i === 0 ? MODE_KBD_INT | MODE_AUX_INT : 0),
      status: STATUS_COMMAND | STATUS_UNLOCKED,
      outputPort: 0xcc | OUT_RESET | OUT_A20,
      command: -1,
      data: 0,
      source: FROM_NOTHING,
      replies: [],
      breakPending: false,
    }));
    this.#irq1 = o.irq1;
    this.#irq12 = o.irq12;
    this.#a20 = o.a20 ?? NO_IRQ;
    this.#keyboard = o.keyboard;
    this.#mouse = o.mouse;
    this.#systemReset = o.onReset ?? (() => {});
    o.keyboard.onData = () => this.#pump();
    if (o.mouse !== undefined) o.mouse.onData = () => this.#pump();
    this.dataPort = ioRegion("i8042-data", 1, {
      maxAccess: 1,
      read: () => this.#readData(),
      write: (_o, _s, value) => this.#writeData(value),
    });
    this.commandPort = ioRegion("i8042-cmd", 1, {
      maxAccess: 1,
      read: () => this.#status(),
      write: (_o, _s, value) => this.#writeCommand(value),
    });
  }

  protected override onReset(): void {
    this.#drive();
    this.#a20.set(true);
  }

  protected override onLoad(): void {
    this.#drive();
    this.#a20.set((this.state.outputPort & OUT_A20) !== 0);
  }

  get #mode(): number {
    return this.state.ram[0];
  }

  set #mode(v: number) {
    this.state.ram[0] = v;
  }

  #status(): number {
    const s = this.state;
    return s.status | (s.source === FROM_NOTHING ? 0 : STATUS_OBF) |
      (s.source === FROM_AUX ? STATUS_AUX_OBF : 0);
  }

  #readData(): number {
    const s = this.state, value = s.data;
    if (s.source !== FROM_NOTHING) {
      s.source = FROM_NOTHING;
      // The lines fall before they may rise again: the interrupt controller wants an edge.
      this.#drive();
      this.#pump();
    }
    return value;
  }

  #writeCommand(value: number): void {
    const s = this.state;
    s.status |= STATUS_COMMAND;
    s.command = -1;
    if (value >= 0x20 && value < 0x40) return this.#respond(s.ram[value & 0x1f]);
    if (value >= 0x60 && value < 0x80) {
      s.command = value;
      return;
    }
    switch (value) {
      case 0xa7:
        this.#mode |= MODE_AUX_DISABLE;
        return;
      case 0xa8:
        this.#mode &= ~MODE_AUX_DISABLE;
        return this.#pump();
      case 0xa9:
        return this.#respond(this.#mouse === undefined ? 0xff : 0x00);
      case 0xaa:
        s.status |= STATUS_SYS;
        return this.#respond(0x55);
      case 0xab:
        return this.#respond(0x00);
      case 0xad:
        this.#mode |= MODE_KBD_DISABLE;
        return;
      case 0xae:
        this.#mode &= ~MODE_KBD_DISABLE;
        return this.#pump();
      case 0xc0:
        return this.#respond(0x80); // input port: keyboard not locked
      case 0xd0:
        return this.#respond(this.#readOutputPort());
      case 0xd1:
      case 0xd2:
      case 0xd3:
      case 0xd4:
        s.command = value;
        return;
      case 0xdd:
        return this.#writeOutputPort(s.outputPort & ~OUT_A20);
      case 0xdf:
        return this.#writeOutputPort(s.outputPort | OUT_A20);
      case 0xff:
        return;
      default:
        if (value >= 0xf0) {
          if (!(value & 1)) this.#systemReset();
          return;
        }
        log("guest_errors", `i8042: unknown command 0x${value.toString(16)}`);
    }
  }

  #writeData(value: number): void {
    const s = this.state, command = s.command;
    s.status &= ~STATUS_COMMAND;
    s.command = -1;
    if (command >= 0x60 && command < 0x80) {
      s.ram[command & 0x1f] = value;
      if (command === 0x60) {
        s.status = value & MODE_SYS ? s.status | STATUS_SYS : s.status & ~STATUS_SYS;
        this.#drive();
        this.#pump();
      }
      return;
    }
    switch (command) {
      case 0xd1:
        return this.#writeOutputPort(value);
      case 0xd2:
        return this.#respond(value, FROM_KEYBOARD);
      case 0xd3:
        return this.#respond(value, FROM_AUX);
      case 0xd4:
        if (this.#mouse === undefined) return this.#respond(0xfe, FROM_AUX);
        this.#mode &= ~MODE_AUX_DISABLE;
        return this.#mouse.send(value);
      default:
        this.#mode &= ~MODE_KBD_DISABLE;
        this.#keyboard.send(value);
    }
  }

  #readOutputPort(): number {
    const s = this.state;
    return s.outputPort & ~(OUT_OBF | OUT_AUX_OBF) |
      (s.source === FROM_AUX ? OUT_AUX_OBF : s.source === FROM_NOTHING ? 0 : OUT_OBF);
  }

  #writeOutputPort(value: number): void {
    this.state.outputPort = value;
    this.#a20.set((value & OUT_A20) !== 0);
    if (!(value & OUT_RESET)) this.#systemReset();
  }

  #respond(value: number, source = FROM_CONTROLLER): void {
    const { replies } = this.state;
    if (replies.length < 16) replies.push([value, source]);
    this.#pump();
  }

  /** Fills the output buffer when it is empty: the controller's own bytes, keyboard, mouse. */
  #pump(): void {
    const s = this.state;
    if (s.source !== FROM_NOTHING) return;
    const reply = s.replies.shift();
    if (reply !== undefined) {
      [s.data, s.source] = reply;
    } else if (!(this.#mode & MODE_KBD_DISABLE) && this.#nextKeyboardByte()) {
      s.source = FROM_KEYBOARD;
    } else if (!(this.#mode & MODE_AUX_DISABLE) && this.#mouse?.pending) {
      s.source = FROM_AUX;
      s.data = this.#mouse.take();
    } else return;
    this.#drive();
  }

  /** Takes a byte from the keyboard into the output buffer; F0 is swallowed while translating. */
  #nextKeyboardByte(): boolean {
    const s = this.state;
    while (this.#keyboard.pending) {
      const byte = this.#keyboard.take();
      if (!(this.#mode & MODE_TRANSLATE)) {
        s.data = byte;
        return true;
      }
      if (byte === 0xf0) {
        s.breakPending = true;
        continue;
      }
      s.data = translateSet2(byte) | (s.breakPending ? 0x80 : 0);
      s.breakPending = false;
      return true;
    }
    return false;
  }

  #drive(): void {
    const source = this.state.source, mode = this.#mode;
    const aux = source === FROM_AUX;
    this.#irq12.set(aux && (mode & MODE_AUX_INT) !== 0);
    this.#irq1.set(source !== FROM_NOTHING && !aux && (mode & MODE_KBD_INT) !== 0);
  }
}
