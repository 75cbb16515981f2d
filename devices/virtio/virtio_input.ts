/**
 * Virtio input device: VIRTIO specification 1.2, 5.8. Events are those of Linux's evdev
 * (include/uapi/linux/input-event-codes.h); identifiers and names are QEMU's keyboard, mouse, tablet.
 */
import type { Clock } from "../../core/clock.ts";
import {
  type InputRouter,
  type KeyboardSink,
  MouseButton,
  type PointerSink,
} from "../../core/display/input.ts";
import type { Key } from "../../core/display/keys.ts";
import { BUTTON_CODES, KEY_CODES } from "./input_codes.ts";
import { type CommonFeatures, VirtioDevice } from "./virtio_device.ts";
import { DeviceId } from "./virtio_regs.ts";
import type { Chain, Virtqueue } from "./virtqueue.ts";

/** Configuration space: select, subselect, size, and 128 bytes from offset 8. */
const C = { SELECT: 0, SUBSEL: 1, SIZE: 2, DATA: 8, TOTAL: 136 } as const;
const Select = {
  ID_NAME: 0x01,
  ID_SERIAL: 0x02,
  ID_DEVIDS: 0x03,
  EV_BITS: 0x11,
  ABS_INFO: 0x12,
} as const;
const EV_SYN = 0, EV_KEY = 1, EV_REL = 2, EV_ABS = 3, EV_LED = 0x11, EV_REP = 0x14;
const REL_X = 0, REL_Y = 1, REL_WHEEL = 8, ABS_X = 0, ABS_Y = 1;
const LEDS = [0, 1, 2], ABS_MAX = 0x7fff;
const BUS_VIRTUAL = 6, VENDOR = 0x0627, VERSION = 1;
const QUEUE_SIZE = 64, EVENT = 8;
/** Events that wait for buffers; a guest that takes none loses what comes then. */
const BACKLOG = 256;

export type InputKind = "keyboard" | "mouse" | "tablet";
const NAMES: Record<InputKind, string> = {
  keyboard: "QEMU Virtio Keyboard",
  mouse: "QEMU Virtio Mouse",
  tablet: "QEMU Virtio Tablet",
};
const PRODUCTS: Record<InputKind, number> = { keyboard: 1, mouse: 2, tablet: 3 };

export interface VirtioInputOptions {
  readonly clock: Clock;
  readonly kind: InputKind;
  readonly input: InputRouter;
  /** What the guest tells devices of a kind apart by, or empty. */
  readonly serial?: string;
  /** Mouse and tablet have a wheel. */
  readonly wheel?: boolean;
  readonly common?: CommonFeatures;
}

type InputEvent = [type: number, code: number, value: number];

export interface VirtioInputState {
  select: number;
  subsel: number;
  /** Mask of {@link MouseButton}. */
  buttons: number;
  /** Groups of events, each to be seen as a whole. */
  waiting: InputEvent[][];
}

export class VirtioInput extends VirtioDevice<VirtioInputState>
  implements KeyboardSink, PointerSink {
  override readonly type: string;
  override readonly shortName = "virtio-input";
  override readonly deviceId = DeviceId.input;
  readonly kind: InputKind;
  readonly name: string;
  readonly absolute: boolean;
  readonly #o: VirtioInputOptions;
  readonly #event = new DataView(new ArrayBuffer(EVENT));
  readonly #eventBytes = new Uint8Array(this.#event.buffer);
  #listening = false;

  constructor(options: VirtioInputOptions) {
    super(
      options.clock,
      () => ({ select: 0, subsel: 0, buttons: 0, waiting: [] }),
      C.TOTAL,
      options.common,
    );
    this.#o = options;
    this.kind = options.kind;
    this.type = `virtio-${options.kind}-device`;
    this.name = NAMES[options.kind];
    this.absolute = options.kind === "tablet";
    this.addQueue(QUEUE_SIZE, () => this.#flush());
    this.addQueue(QUEUE_SIZE, (q) => this.#status(q));
  }

  protected override deviceFeatures(): bigint {
    return 0n;
  }

  // Configuration

  protected override updateConfig(): void {
    const { select, subsel } = this.state, data = this.#describe(select, subsel);
    this.config.fill(0);
    this.config[C.SELECT] = select;
    this.config[C.SUBSEL] = subsel;
    this.config[C.SIZE] = data.length;
    this.config.set(data, C.DATA);
  }

  protected override onConfigWrite(offset: number, size: number): void {
    if (offset <= C.SELECT) this.state.select = this.config[C.SELECT];
    if (offset <= C.SUBSEL && offset + size > C.SUBSEL) this.state.subsel = this.config[C.SUBSEL];
  }

  #describe(select: number, subsel: number): number[] {
    const { kind, serial = "", wheel = true } = this.#o;
    const text = (s: string) => [...new TextEncoder().encode(s)].slice(0, C.TOTAL - C.DATA);
    const u16 = (...v: number[]) => v.flatMap((n) => [n & 0xff, n >> 8]);
    switch (select) {
      case Select.ID_NAME:
        return subsel === 0 ? text(this.name) : [];
      case Select.ID_SERIAL:
        return subsel === 0 ? text(serial) : [];
      case Select.ID_DEVIDS:
        return subsel === 0 ? u16(BUS_VIRTUAL, VENDOR, PRODUCTS[kind], VERSION) : [];
      case Select.ABS_INFO:
        // min, max, fuzz, flat, resolution
        return this.absolute && subsel <= ABS_Y
          ? [0, 0, 0, 0, ...u16(ABS_MAX), 0, 0, ...new Array(12).fill(0)]
          : [];
      case Select.EV_BITS:
        return bitmap(this.#codes(kind, subsel, wheel));
    }
    return [];
  }

  /** Codes of an event type that this device sends or, LEDs, takes. */
  #codes(kind: InputKind, type: number, wheel: boolean): readonly number[] | undefined {
    if (kind === "keyboard") {
      if (type === EV_KEY) return Object.values(KEY_CODES);
      if (type === EV_LED) return LEDS;
      return type === EV_REP ? [] : undefined;
    }
    if (type === EV_KEY) return Object.values(BUTTON_CODES);
    if (type === EV_ABS) return this.absolute ? [ABS_X, ABS_Y] : undefined;
    if (type !== EV_REL) return undefined;
    const codes = this.absolute ? [] : [REL_X, REL_Y];
    if (wheel) codes.push(REL_WHEEL);
    return codes.length > 0 ? codes : undefined;
  }

  // Host to guest

  keyEvent(key: Key, down: boolean): void {
    const code = KEY_CODES[key];
    if (code !== undefined) this.#send([[EV_KEY, code, down ? 1 : 0]]);
  }

  move(dx: number, dy: number, dz: number): void {
    const list: InputEvent[] = [];
    if (dx !== 0 && !this.absolute) list.push([EV_REL, REL_X, dx]);
    if (dy !== 0 && !this.absolute) list.push([EV_REL, REL_Y, dy]);
    if (dz !== 0 && (this.#o.wheel ?? true)) list.push([EV_REL, REL_WHEEL, dz]);
    if (list.length > 0) this.#send(list);
  }

  moveTo(x: number, y: number): void {
    if (this.absolute) this.#send([[EV_ABS, ABS_X, x], [EV_ABS, ABS_Y, y]]);
  }

  buttons(mask: number): void {
    const changed = mask ^ this.state.buttons, list: InputEvent[] = [];
    this.state.buttons = mask;
    for (const [name, bit] of Object.entries(MouseButton)) {
      const code = BUTTON_CODES[name as keyof typeof MouseButton];
      if (changed & bit) list.push([EV_KEY, code, mask & bit ? 1 : 0]);
    }
    if (list.length > 0) this.#send(list);
  }

  #send(events: InputEvent[]): void {
    if (!this.driverOk) return;
    const { waiting } = this.state;
    if (waiting.length >= BACKLOG) return;
    waiting.push([...events, [EV_SYN, 0, 0]]);
    this.#flush();
  }

  /** Groups go as a whole: a guest never sees a movement without its end. */
  #flush(): void {
    const q = this.queues[0], { waiting } = this.state, v = this.#event;
    let any = false;
    if (!q.state.ready) return;
    for (let group = waiting[0]; group !== undefined; group = waiting[0]) {
      if (group.length > q.state.size) {
        waiting.shift(); // it will never fit
        continue;
      }
      const chains: Chain[] = [];
      while (chains.length < group.length) {
        const c = q.pop();
        if (c === undefined) break;
        chains.push(c);
      }
      if (chains.length < group.length) {
        for (const c of chains.reverse()) q.unpop(c);
        break;
      }
      group.forEach(([type, code, value], n) => {
        v.setUint16(0, type, true);
        v.setUint16(2, code, true);
        v.setInt32(4, value, true);
        q.push(chains[n], chains[n].write(0, this.#eventBytes));
      });
      waiting.shift();
      any = true;
    }
    if (any) q.signal();
  }

  /** LEDs: there is nobody to see them. */
  #status(q: Virtqueue): void {
    let any = false;
    q.drain((c) => {
      q.push(c, 0);
      any = true;
    });
    if (any) q.signal();
  }

  // A device listens while there is a driver.

  #listen(on: boolean): void {
    if (on === this.#listening) return;
    this.#listening = on;
    const { kind, input } = this.#o;
    if (kind === "keyboard") on ? input.addKeyboard(this) : input.removeKeyboard(this);
    else on ? input.addMouse(this) : input.removeMouse(this);
  }

  protected override onDriverOk(): void {
    this.#listen(true);
  }

  protected override onReset(): void {
    this.#listen(false);
  }

  protected override onLoad(): void {
    this.#listen(this.driverOk);
  }
}

/** Bytes with the bits of `codes` set; nothing for undefined, a zero byte for no codes. */
function bitmap(codes: readonly number[] | undefined): number[] {
  if (codes === undefined) return [];
  const bytes = new Array<number>(1 + (Math.max(0, ...codes) >> 3)).fill(0);
  for (const c of codes) bytes[c >> 3] |= 1 << (c & 7);
  return bytes;
}
