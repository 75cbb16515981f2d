/**
 * Several front ends on one back end (`mux=on`, `mon:`): output of all is shown, input goes to the
 * one in focus, and Ctrl-a introduces commands.
 */
import { UserError } from "../errors.ts";
import type { Chardev, ChardevFrontend, ChardevPort } from "./chardev.ts";

/** What the commands of the escape key do outside the multiplexer. */
export interface MuxHost {
  /** Ctrl-a x. The text has been written. */
  terminate(): void;
  /** Ctrl-a s: temporary overlays are written to their images. */
  commitAll(): void;
  /** ms of real time, for Ctrl-a t. */
  now(): number;
}

const MAX_FRONTENDS = 4;
/** Bytes kept for a front end that is not ready, QEMU's MUX_BUFFER_SIZE. */
const BUFFER_SIZE = 32;

const HELP = [
  "h    print this help",
  "x    exit emulator",
  "s    save disk data back to file (if -snapshot)",
  "t    toggle console timestamps",
  "b    send break (magic sysrq)",
  "c    switch between console and monitor",
];

interface Slot {
  fe: ChardevFrontend;
  buffer: number[];
}

const encoder = new TextEncoder();

export class MuxChardev implements Chardev {
  #slots: Slot[] = [];
  #focus = -1;
  #escaped = false;
  #timestamps = false;
  #timestampBase = -1;
  #lineStart = false;
  #open = false;
  /** A turn of the event loop has begun since the first front end was attached. */
  #ready = false;
  #port: ChardevPort;
  /** The character that introduces commands, 1 for Ctrl-a. */
  readonly #escapeChar: number;

  /** @param base the shared back end; this takes its only front end */
  constructor(
    readonly label: string,
    private readonly base: Chardev,
    private readonly host: MuxHost,
    escapeChar = 1,
  ) {
    this.#escapeChar = escapeChar;
    this.#port = base.attach({
      canReceive: () => this.#canReceive(),
      receive: (bytes) => this.#receive(bytes),
      event: (ev) => {
        if (ev === "open") this.#open = true;
        if (ev === "close") this.#open = false;
        for (const s of this.#slots) s.fe.event(ev);
      },
    });
  }

  get filename(): string {
    return "mux";
  }

  attach(fe: ChardevFrontend): ChardevPort {
    const slot = this.#newSlot(fe);
    this.#slots.push(slot);
    if (this.#open) fe.event("open");
    this.#setFocus(this.#slots.length - 1);
    // What came early stays until all front ends of a starting machine are there.
    queueMicrotask(() => {
      this.#ready = true;
      this.#port.acceptInput();
    });
    return this.#portOf(slot);
  }

  /** Attaches a front end as if it had come before all others: it gets the focus only when alone. */
  attachFirst(fe: ChardevFrontend): ChardevPort {
    if (this.#slots.length === 0) return this.attach(fe);
    const slot = this.#newSlot(fe);
    this.#slots.unshift(slot);
    if (this.#focus >= 0) this.#focus++;
    if (this.#open) fe.event("open");
    return this.#portOf(slot);
  }

  #newSlot(fe: ChardevFrontend): Slot {
    if (this.#slots.length >= MAX_FRONTENDS) {
      throw new UserError(`Device '${this.label}' is in use`);
    }
    return { fe, buffer: [] };
  }

  #portOf(slot: Slot): ChardevPort {
    return {
      chardev: this,
      write: (bytes) => this.#write(bytes),
      acceptInput: () => {
        this.#drain(slot);
        this.#port.acceptInput();
      },
      setParams: (p) => this.#port.setParams(p),
      detach: () => {
        const at = this.#slots.indexOf(slot);
        if (at < 0) return;
        this.#slots.splice(at, 1);
        if (this.#focus === at) {
          this.#focus = -1;
          if (this.#slots.length > 0) this.#setFocus(0);
        } else if (this.#focus > at) {
          this.#focus--;
        }
      },
    };
  }

  async close(): Promise<void> {
    this.#slots = [];
    this.#focus = -1;
    this.#port.detach();
    await this.base.close();
  }

  #setFocus(at: number): void {
    if (this.#focus >= 0) this.#slots[this.#focus]?.fe.event("mux-out");
    this.#focus = at;
    this.#slots[at].fe.event("mux-in");
  }

  /** Gives the front end of a port the input, as attaching does. */
  takeFocus(at: number): void {
    if (at >= 0 && at < this.#slots.length) this.#setFocus(at);
  }

  #canReceive(): number {
    const slot = this.#slots[this.#focus];
    if (!slot || !this.#ready) return 0;
    if (slot.buffer.length < BUFFER_SIZE) return 1;
    return slot.fe.canReceive() > 0 ? 1 : 0;
  }

  #receive(bytes: Uint8Array): void {
    for (const b of bytes) {
      if (!this.#command(b)) continue;
      const slot = this.#slots[this.#focus];
      if (!slot) continue;
      this.#drain(slot);
      if (slot.buffer.length === 0 && slot.fe.canReceive() > 0) {
        slot.fe.receive(Uint8Array.of(b));
      } else if (slot.buffer.length < BUFFER_SIZE) {
        slot.buffer.push(b);
      }
    }
  }

  #drain(slot: Slot): void {
    while (slot.buffer.length > 0 && slot.fe.canReceive() > 0) {
      slot.fe.receive(Uint8Array.of(slot.buffer.shift()!));
    }
  }

  /** True when the byte is input. */
  #command(b: number): boolean {
    if (!this.#escaped) {
      if (b !== this.#escapeChar) return true;
      this.#escaped = true;
      return false;
    }
    this.#escaped = false;
    if (b === this.#escapeChar) return true;
    switch (String.fromCharCode(b)) {
      case "?":
      case "h":
        this.#help();
        break;
      case "x":
        this.#write(encoder.encode("QEMU: Terminated\n\r"));
        this.host.terminate();
        break;
      case "s":
        this.host.commitAll();
        break;
      case "b":
        this.#slots[this.#focus]?.fe.event("break");
        break;
      case "c":
        if (this.#slots.length > 0) this.#setFocus((this.#focus + 1) % this.#slots.length);
        break;
      case "t":
        this.#timestamps = !this.#timestamps;
        this.#timestampBase = -1;
        this.#lineStart = false;
        break;
    }
    return false;
  }

  #help(): void {
    const c = this.#escapeChar;
    const named = c > 0 && c < 26;
    const key = named ? `C-${String.fromCharCode(c - 1 + 97)}` : "Escape-Char";
    const head = named
      ? "\n\r"
      : `\n\rEscape-Char set to Ascii: 0x${c.toString(16).padStart(2, "0")}\n\r\n\r`;
    const lines = [...HELP.map((l) => `${key} ${l}`), `${key} ${key}  sends ${key}`];
    this.#write(encoder.encode(head + lines.map((l) => l + "\n\r").join("")));
  }

  #write(bytes: Uint8Array): void {
    if (!this.#timestamps) {
      this.#port.write(bytes);
      return;
    }
    const out: number[] = [];
    for (const b of bytes) {
      if (this.#lineStart) {
        out.push(...encoder.encode(this.#stamp()));
        this.#lineStart = false;
      }
      out.push(b);
      if (b === 0x0a) this.#lineStart = true;
    }
    this.#port.write(Uint8Array.from(out));
  }

  /** `[hh:mm:ss.mmm] ` since the first stamped line. */
  #stamp(): string {
    const now = this.host.now();
    if (this.#timestampBase < 0) this.#timestampBase = now;
    const ms = Math.floor(now - this.#timestampBase);
    const s = Math.floor(ms / 1000);
    const two = (n: number) => String(n).padStart(2, "0");
    return `[${two(Math.floor(s / 3600))}:${two(Math.floor(s / 60) % 60)}:${two(s % 60)}.` +
      `${String(ms % 1000).padStart(3, "0")}] `;
  }
}
