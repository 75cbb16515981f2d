/**
 * PS/2 keyboard, 101/102 keys and multimedia ones, scancode sets 1, 2 and 3. IBM "PS/2 Hardware
 * Interface Technical Reference", Keyboards. Typematic repeat is the host's: its repeated key-down
 * events are passed on.
 */
import type { KeyboardSink } from "../../core/display/input.ts";
import type { Key } from "../../core/display/keys.ts";
import { log } from "../../core/log.ts";
import { Ps2Device, type Ps2State } from "./ps2.ts";
import { SCANCODES } from "./scancodes.ts";

/** Replies. */
const ACK = 0xfa, RESEND = 0xfe, ECHO = 0xee, BAT_OK = 0xaa;

/** Commands. */
const SET_LEDS = 0xed,
  ECHO_COMMAND = 0xee,
  SCANCODE_SET = 0xf0,
  READ_ID = 0xf2,
  SET_TYPEMATIC = 0xf3,
  ENABLE = 0xf4,
  DISABLE = 0xf5,
  SET_DEFAULTS = 0xf6,
  RESEND_COMMAND = 0xfe,
  RESET = 0xff;

/** Modifier bits: they change what Print and Pause send. */
const SHIFTS = 0x03, CTRLS = 0x0c, ALT_L = 0x10, ALT_R = 0x20;
const MODIFIERS: Partial<Record<Key, number>> = {
  shift: 0x01,
  shift_r: 0x02,
  ctrl: 0x04,
  ctrl_r: 0x08,
  alt: ALT_L,
  alt_r: ALT_R,
};

/** Codes around Print and SysRq, per set (1, 2): left Shift, Alts, SysRq with Alt. */
const SHIFT_L = [0xe02a, 0xe012], ALTS = [[0x38, 0xe038], [0x11, 0xe011]], SYSRQ = [0x54, 0x84];
/** Pause sends make and break at once, and nothing when released. */
const PAUSE = [
  [0xe1, 0x1d, 0x45, 0xe1, 0x9d, 0xc5],
  [0xe1, 0x14, 0x77, 0xe1, 0xf0, 0x14, 0xf0, 0x77],
];

export interface KeyboardState extends Ps2State {
  scanning: boolean;
  /** 1, 2 or 3. */
  set: number;
  /** Bit 0 Scroll Lock, 1 Num Lock, 2 Caps Lock. */
  leds: number;
  modifiers: number;
  /** Last byte sent, for RESEND. */
  last: number;
}

export class Ps2Keyboard extends Ps2Device<KeyboardState> implements KeyboardSink {
  override readonly type: string = "ps2-kbd";
  readonly name = "QEMU PS/2 Keyboard";
  /** Told when the guest sets the LEDs (bit 0 Scroll Lock, 1 Num Lock, 2 Caps Lock). */
  onLeds: (leds: number) => void = () => {};

  constructor() {
    super(() => ({
      replies: [],
      queue: [],
      command: -1,
      scanning: true,
      set: 2,
      leds: 0,
      modifiers: 0,
      last: 0,
    }));
  }

  override take(): number {
    return this.state.last = super.take();
  }

  keyEvent(key: Key, down: boolean): void {
    const s = this.state, before = s.modifiers, modifier = MODIFIERS[key] ?? 0;
    s.modifiers = down ? before | modifier : before & ~modifier;
    if (s.scanning) this.queueEvent(this.#codes(key, down));
  }

  override send(byte: number): void {
    const s = this.state, command = s.command;
    s.replies.length = 0;
    s.command = -1;
    if (command >= 0 && byte < 0xed) return this.#parameter(command, byte);
    switch (byte) {
      case ECHO_COMMAND:
        return this.reply(ECHO);
      case READ_ID:
        return this.reply(ACK, 0xab, 0x83);
      case ENABLE:
        s.scanning = true;
        return this.reply(ACK);
      case DISABLE:
      case SET_DEFAULTS:
        this.#defaults(byte === SET_DEFAULTS);
        return this.reply(ACK);
      case RESEND_COMMAND:
        return this.reply(s.last);
      case RESET:
        this.#defaults(true);
        return this.reply(ACK, BAT_OK);
      case SET_LEDS:
      case SCANCODE_SET:
      case SET_TYPEMATIC:
      case 0xfb: // key types of set 3, one key each: accepted, all keys stay typematic
      case 0xfc:
      case 0xfd:
        s.command = byte;
        return this.reply(ACK);
      case 0xf7: // key types of set 3, all keys
      case 0xf8:
      case 0xf9:
      case 0xfa:
        return this.reply(ACK);
      default:
        log("guest_errors", `ps2-kbd: unknown command 0x${byte.toString(16)}`);
        return this.reply(RESEND);
    }
  }

  #parameter(command: number, byte: number): void {
    const s = this.state;
    if (command === SCANCODE_SET) {
      if (byte > 3) return this.reply(RESEND);
      if (byte === 0) return this.reply(ACK, s.set);
      s.set = byte;
    } else if (command === SET_LEDS) {
      s.leds = byte & 7;
      this.onLeds(s.leds);
    }
    this.reply(ACK);
  }

  #defaults(scanning: boolean): void {
    const s = this.state;
    s.queue.length = 0;
    s.set = 2;
    s.leds = 0;
    s.modifiers = 0;
    s.scanning = scanning;
    this.onLeds(0);
  }

  /** The bytes of a key going down or up. */
  #codes(key: Key, down: boolean): number[] {
    const { set, modifiers } = this.state, out: number[] = [];
    const put = (code: number, make: boolean): void => {
      if (code === 0) return;
      if (code > 0xff) out.push(0xe0);
      if (set === 1) out.push(code & 0xff | (make ? 0 : 0x80));
      else if (make) out.push(code & 0xff);
      else out.push(0xf0, code & 0xff);
    };
    const code = SCANCODES[key][set - 1];
    if (set === 3) {
      put(code, down);
    } else if (key === "pause") {
      if (!down) return out;
      if (!(modifiers & CTRLS)) return PAUSE[set - 1];
      put(code, true);
      put(code, false);
    } else if (key === "print" || key === "sysrq") {
      if (modifiers & (ALT_L | ALT_R)) {
        // Alt is let go and pressed again around a SysRq.
        const alt = ALTS[set - 1][modifiers & ALT_L ? 0 : 1];
        if (!down) put(SYSRQ[set - 1], false);
        put(alt, false);
        put(alt, true);
        if (down) put(SYSRQ[set - 1], true);
      } else {
        const fakeShift = modifiers & (SHIFTS | CTRLS) ? 0 : SHIFT_L[set - 1];
        if (down) put(fakeShift, true);
        put(code, down);
        if (!down) put(fakeShift, false);
      }
    } else put(code, down);
    return out;
  }
}
