/**
 * Routes what the user types and points at to the machine's input devices: between front ends and
 * monitor commands (`sendkey`, `mouse_move`, `mouse_button`, `mouse_set`, `info mice`) on one side
 * and keyboards, mice and tablets on the other.
 */
import type { Clock, Timer } from "../clock.ts";
import { UserError } from "../errors.ts";
import type { Key } from "./keys.ts";

export interface KeyboardSink {
  /** As `info` commands name it, such as `QEMU PS/2 Keyboard`. */
  readonly name: string;
  keyEvent(key: Key, down: boolean): void;
}

/** Mouse buttons in a mask, as the PS/2 protocol numbers them. */
export const MouseButton = { left: 1, right: 2, middle: 4, side: 8, extra: 16 } as const;

export interface PointerSink {
  readonly name: string;
  /** Takes positions (a tablet) instead of movements. */
  readonly absolute: boolean;
  /** Movement in counts: x to the right, y down, z away from the user (wheel up). */
  move(dx: number, dy: number, dz: number): void;
  /** Position, 0 to 0x7fff across the screen. Only when {@link absolute}. */
  moveTo?(x: number, y: number): void;
  /** All buttons held now, as a mask of {@link MouseButton}. */
  buttons(mask: number): void;
}

interface Mouse {
  readonly index: number;
  readonly sink: PointerSink;
}

interface Keyboard {
  readonly index: number;
  readonly sink: KeyboardSink;
}

/**
 * The keyboard and the mouse added last get the events, as in QEMU. All devices are numbered in one
 * sequence.
 */
export class InputRouter {
  #keyboards: Keyboard[] = [];
  #mice: Mouse[] = [];
  #nextIndex: number;
  readonly #pressed = new Set<Key>();
  readonly #queue: { key: Key | undefined; down: boolean; delay: number }[] = [];
  readonly #timer: Timer;
  /** Told about every event, whether or not a device listens: it wakes a machine that sleeps. */
  onInput: () => void = () => {};

  /**
   * @param clock times how long `sendkey` holds keys
   * @param firstIndex number of the first device, for `info mice`
   */
  constructor(private readonly clock: Clock, firstIndex = 1) {
    this.#nextIndex = firstIndex;
    this.#timer = clock.timer(() => this.#runQueue());
  }

  addKeyboard(k: KeyboardSink): void {
    this.#keyboards.unshift({ index: this.#nextIndex++, sink: k });
  }

  removeKeyboard(k: KeyboardSink): void {
    this.#keyboards = this.#keyboards.filter((x) => x.sink !== k);
  }

  /** The new mouse becomes the current one of its kind. */
  addMouse(sink: PointerSink): void {
    this.#mice.unshift({ index: this.#nextIndex++, sink });
  }

  removeMouse(sink: PointerSink): void {
    this.#mice = this.#mice.filter((m) => m.sink !== sink);
  }

  /** A key goes down or up. Going down again is autorepeat; going up twice is dropped. */
  keyEvent(key: Key, down: boolean): void {
    if (down) this.#pressed.add(key);
    else if (!this.#pressed.delete(key)) return;
    this.onInput();
    this.#keyboards[0]?.sink.keyEvent(key, down);
  }

  /** Releases whatever is held: when a viewer loses the focus. */
  releaseAll(): void {
    for (const key of [...this.#pressed]) this.keyEvent(key, false);
  }

  /** Presses `keys` in order, holds them `holdMs` of virtual time, releases them in reverse. */
  sendKeys(keys: readonly Key[], holdMs = 100): void {
    for (const key of keys) this.#queue.push({ key, down: true, delay: 0 });
    keys.toReversed().forEach((key, i) => {
      this.#queue.push({ key, down: false, delay: i === 0 ? holdMs : 0 });
    });
    // The next combination waits as long again, so that a guest sees two of the same key.
    this.#queue.push({ key: undefined, down: false, delay: holdMs });
    if (this.#timer.deadline === undefined) this.#runQueue();
  }

  /** Moves the pointer by counts: x to the right, y down, z wheel up. */
  mouseMove(dx: number, dy: number, dz = 0): void {
    this.onInput();
    this.#mouse(false)?.sink.move(dx, dy, dz);
  }

  /** Puts the pointer at a position, 0 to 0x7fff each way; false when no tablet listens. */
  mouseTo(x: number, y: number): boolean {
    this.onInput();
    const m = this.#mouse(true);
    m?.sink.moveTo?.(x, y);
    return m !== undefined;
  }

  /** Buttons held now, a mask of {@link MouseButton}. */
  mouseButtons(mask: number): void {
    this.onInput();
    this.#mice[0]?.sink.buttons(mask);
  }

  /** Whether the current pointer takes positions. */
  get absolute(): boolean {
    return this.#mice[0]?.sink.absolute ?? false;
  }

  /** `info mice`: the current one first, with a star. */
  infoMice(): string {
    if (this.#mice.length === 0) return "No mouse devices connected\n";
    return this.#mice.map((m, i) =>
      `${i === 0 ? "*" : " "} Mouse #${m.index}: ${m.sink.name}${
        m.sink.absolute ? " (absolute)" : ""
      }\n`
    ).join("");
  }

  /** `mouse_set INDEX`. Throws {@link UserError} when there is no such mouse. */
  setMouse(index: number): void {
    const m = this.#mice.find((m) => m.index === index);
    if (m === undefined) {
      const keyboard = this.#keyboards.find((k) => k.index === index);
      throw new UserError(
        keyboard === undefined
          ? `Mouse at index '${index}' not found`
          : `Input device '${keyboard.sink.name}' is not a mouse`,
      );
    }
    this.#mice = [m, ...this.#mice.filter((x) => x !== m)];
  }

  #mouse(absolute: boolean): Mouse | undefined {
    return this.#mice.find((m) => m.sink.absolute === absolute);
  }

  #runQueue(): void {
    for (let e = this.#queue[0]; e !== undefined; e = this.#queue[0]) {
      if (e.delay > 0) {
        this.#timer.arm(this.clock.now() + e.delay * 1e6);
        e.delay = 0;
        return;
      }
      this.#queue.shift();
      if (e.key !== undefined) this.keyEvent(e.key, e.down);
    }
  }
}
