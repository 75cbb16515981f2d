/**
 * PS/2 mouse with the Microsoft IntelliMouse (wheel, id 3) and Explorer (wheel and five buttons,
 * id 4) extensions, which a host turns on by setting three sample rates in a row. IBM "PS/2 Hardware
 * Interface Technical Reference", Auxiliary Device.
 */
import type { PointerSink } from "../../core/display/input.ts";
import { log } from "../../core/log.ts";
import { Ps2Device, type Ps2State } from "./ps2.ts";

const ACK = 0xfa, RESEND = 0xfe, BAT_OK = 0xaa;

/** Commands. */
const SCALING_1_1 = 0xe6,
  SCALING_2_1 = 0xe7,
  SET_RESOLUTION = 0xe8,
  STATUS_REQUEST = 0xe9,
  SET_STREAM = 0xea,
  READ_DATA = 0xeb,
  RESET_WRAP = 0xec,
  SET_WRAP = 0xee,
  SET_REMOTE = 0xf0,
  GET_ID = 0xf2,
  SET_SAMPLE_RATE = 0xf3,
  ENABLE = 0xf4,
  DISABLE = 0xf5,
  SET_DEFAULTS = 0xf6,
  RESEND_COMMAND = 0xfe,
  RESET = 0xff;

const KNOCK_WHEEL = [200, 100, 80], KNOCK_EXPLORER = [200, 200, 80];
/** Stream-mode counts at scaling 2:1; from 6 up they are doubled. */
const SCALED = [0, 1, 1, 3, 6, 9];

export interface MouseState extends Ps2State {
  enabled: boolean;
  remote: boolean;
  wrap: boolean;
  scaling2: boolean;
  /** 0–3: 1, 2, 4 or 8 counts per mm. */
  resolution: number;
  /** Reports per second. */
  sampleRate: number;
  /** 0 standard, 3 with wheel, 4 with wheel and buttons 4 and 5. */
  id: number;
  /** The last three sample rates. */
  knock: number[];
  /** Movement not yet reported: x to the right, y up, z towards the user. */
  dx: number;
  dy: number;
  dz: number;
  buttons: number;
  /** Buttons as last reported. */
  reported: number;
  /** The last packet or reply, for RESEND. */
  last: number[];
}

export class Ps2Mouse extends Ps2Device<MouseState> implements PointerSink {
  override readonly type: string = "ps2-mouse";
  readonly name = "QEMU PS/2 Mouse";
  readonly absolute = false;

  constructor() {
    super(() => ({
      replies: [],
      queue: [],
      command: -1,
      enabled: false,
      remote: false,
      wrap: false,
      scaling2: false,
      resolution: 2,
      sampleRate: 100,
      id: 0,
      knock: [0, 0, 0],
      dx: 0,
      dy: 0,
      dz: 0,
      buttons: 0,
      reported: 0,
      last: [],
    }));
  }

  override take(): number {
    const byte = super.take();
    // What did not fit in the queue follows as soon as there is room.
    this.#stream();
    return byte;
  }

  move(dx: number, dy: number, dz: number): void {
    const s = this.state;
    if (!s.enabled && !s.remote) return;
    s.dx = bounded(s.dx + Math.trunc(dx));
    s.dy = bounded(s.dy - Math.trunc(dy));
    s.dz = bounded(s.dz - Math.trunc(dz));
    this.#stream();
  }

  buttons(mask: number): void {
    this.state.buttons = mask & 0x1f;
    this.#stream();
  }

  override send(byte: number): void {
    const s = this.state, command = s.command;
    s.command = -1;
    if (s.wrap && byte !== RESET && byte !== RESET_WRAP) return this.reply(byte);
    s.replies.length = 0;
    if (command >= 0) return this.#parameter(command, byte);
    switch (byte) {
      case SCALING_1_1:
      case SCALING_2_1:
        s.scaling2 = byte === SCALING_2_1;
        return this.#answer(ACK);
      case SET_RESOLUTION:
      case SET_SAMPLE_RATE:
        s.command = byte;
        return this.reply(ACK);
      case STATUS_REQUEST:
        return this.#answer(ACK, this.#status(), s.resolution, s.sampleRate);
      case SET_STREAM:
        s.remote = false;
        return this.#answer(ACK);
      case READ_DATA:
        return this.#answer(ACK, ...this.#packet());
      case RESET_WRAP:
        s.wrap = false;
        return this.#answer(ACK);
      case SET_WRAP:
        s.wrap = true;
        return this.#answer(ACK);
      case SET_REMOTE:
        s.remote = true;
        return this.#answer(ACK);
      case GET_ID:
        return this.#answer(ACK, s.id);
      case ENABLE:
        s.enabled = true;
        s.dx = s.dy = s.dz = 0;
        return this.#answer(ACK);
      case DISABLE:
        s.enabled = false;
        return this.#answer(ACK);
      case SET_DEFAULTS:
        this.#defaults();
        return this.#answer(ACK);
      case RESEND_COMMAND:
        return this.reply(...s.last);
      case RESET:
        this.#defaults();
        s.id = 0;
        s.wrap = false;
        s.queue.length = 0;
        return this.#answer(ACK, BAT_OK, s.id);
      default:
        log("guest_errors", `ps2-mouse: unknown command 0x${byte.toString(16)}`);
        return this.reply(RESEND);
    }
  }

  #parameter(command: number, byte: number): void {
    const s = this.state;
    if (command === SET_RESOLUTION) {
      s.resolution = byte & 3;
    } else {
      s.sampleRate = byte;
      s.knock = [...s.knock.slice(1), byte];
      const knocked = (rates: number[]) => rates.every((r, i) => r === s.knock[i]);
      if (knocked(KNOCK_WHEEL)) s.id = 3;
      else if (knocked(KNOCK_EXPLORER)) s.id = 4;
    }
    this.#answer(ACK);
  }

  #answer(...bytes: number[]): void {
    this.state.last = bytes.slice(1);
    this.reply(...bytes);
  }

  #defaults(): void {
    const s = this.state;
    s.enabled = s.remote = s.scaling2 = false;
    s.resolution = 2;
    s.sampleRate = 100;
    s.knock = [0, 0, 0];
    s.dx = s.dy = s.dz = 0;
  }

  #status(): number {
    const s = this.state, b = s.buttons;
    return (s.remote ? 0x40 : 0) | (s.enabled ? 0x20 : 0) | (s.scaling2 ? 0x10 : 0) |
      (b & 1 ? 4 : 0) | (b & 4 ? 2 : 0) | (b & 2 ? 1 : 0);
  }

  /** Queues reports while there is something to report and room for it. */
  #stream(): void {
    const s = this.state;
    if (!s.enabled || s.remote || s.wrap) return;
    while (s.dx !== 0 || s.dy !== 0 || (s.dz !== 0 && s.id !== 0) || s.buttons !== s.reported) {
      if (this.room < (s.id === 0 ? 3 : 4)) return;
      this.queueEvent(s.last = this.#packet());
    }
    s.dz = 0;
  }

  /** Takes a report out of the counters; movement beyond its range stays for the next. */
  #packet(): number[] {
    const s = this.state;
    const dx = clamp(s.dx, 127), dy = clamp(s.dy, 127), dz = clamp(s.dz, s.id === 4 ? 7 : 127);
    s.dx -= dx;
    s.dy -= dy;
    s.dz -= dz;
    s.reported = s.buttons;
    const x = this.#scale(dx), y = this.#scale(dy);
    const packet = [
      0x08 | s.buttons & 7 | (x < 0 ? 0x10 : 0) | (y < 0 ? 0x20 : 0),
      x & 0xff,
      y & 0xff,
    ];
    if (s.id === 3) packet.push(dz & 0xff);
    else if (s.id === 4) packet.push(dz & 0x0f | (s.buttons & 0x18) << 1);
    return packet;
  }

  #scale(counts: number): number {
    if (!this.state.scaling2 || this.state.remote) return counts;
    const n = Math.abs(counts);
    return Math.sign(counts) * (SCALED[n] ?? 2 * n);
  }
}

function clamp(v: number, limit: number): number {
  return Math.max(-limit, Math.min(limit, v));
}

/** A guest that never reads leaves no more than this to be caught up with. */
function bounded(v: number): number {
  return clamp(Number.isFinite(v) ? v : 0, 1 << 16);
}
