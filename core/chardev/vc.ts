/**
 * A virtual console: a text screen with the escape sequences of ECMA-48 that consoles use, kept in
 * memory. Viewers show it; {@link VcChardev.key} is its keyboard.
 */
import type { TextScreen } from "../display/display.ts";
import { BaseChardev } from "./base.ts";
import type { ChardevOptions } from "./options.ts";

/** Lines kept above the screen. */
const BACKSCROLL = 512;
const DEFAULT_COLUMNS = 80;
const DEFAULT_ROWS = 24;
const CELL_WIDTH = 8;
const CELL_HEIGHT = 16;
/** Light grey on black. */
const DEFAULT_ATTR = 0x07;
/** ECMA-48 colours are red, green, blue; VGA attribute bits are blue, green, red. */
const VGA_COLOR = [0, 4, 2, 6, 1, 5, 3, 7];

interface Line {
  chars: Uint8Array;
  attrs: Uint8Array;
}

export class VcChardev extends BaseChardev {
  readonly columns: number;
  readonly rows: number;
  #lines: Line[];
  #history: Line[] = [];
  #x = 0;
  #y = 0;
  #saved = { x: 0, y: 0 };
  #attr = DEFAULT_ATTR;
  #bold = false;
  #inverse = false;
  #cursorVisible = true;
  #state: "text" | "escape" | "csi" = "text";
  #params: number[] = [];
  #private = false;
  /** Called after output has changed the screen. */
  onChange: () => void = () => {};

  constructor(options: Extract<ChardevOptions, { backend: "vc" }>, label?: string) {
    super(options, label);
    const cells = (n: number | undefined, pixels: number | undefined, cell: number, or: number) => {
      const v = n ?? (pixels === undefined ? undefined : Math.floor(pixels / cell));
      return Math.min(1000, Math.max(1, v || or));
    };
    this.columns = cells(options.cols, options.width, CELL_WIDTH, DEFAULT_COLUMNS);
    this.rows = cells(options.rows, options.height, CELL_HEIGHT, DEFAULT_ROWS);
    this.#lines = Array.from({ length: this.rows }, () => this.#blank());
    this.connected = true;
  }

  get filename(): string {
    return "vc";
  }

  /** What a viewer shows. */
  text(): TextScreen {
    const size = this.columns * this.rows;
    const chars = new Uint8Array(size);
    const attrs = new Uint8Array(size);
    this.#lines.forEach((l, i) => {
      chars.set(l.chars, i * this.columns);
      attrs.set(l.attrs, i * this.columns);
    });
    const cursor = this.#cursorVisible
      ? { row: this.#y, column: Math.min(this.#x, this.columns - 1) }
      : undefined;
    return { columns: this.columns, rows: this.rows, chars, attrs, cursor };
  }

  /** Lines of the screen as text without trailing blanks, preceded by `history` lines above it. */
  lines(history = 0): string[] {
    const above = history > 0 ? this.#history.slice(-history) : [];
    return [...above, ...this.#lines].map((l) =>
      String.fromCharCode(...l.chars).replaceAll("\0", " ").trimEnd()
    );
  }

  /** Bytes typed on this console. */
  key(bytes: Uint8Array): void {
    this.input(bytes);
  }

  protected override transmit(bytes: Uint8Array): void {
    for (const b of bytes) this.#put(b);
    this.onChange();
  }

  #blank(): Line {
    return {
      chars: new Uint8Array(this.columns).fill(0x20),
      attrs: new Uint8Array(this.columns).fill(DEFAULT_ATTR),
    };
  }

  #put(b: number): void {
    if (this.#state === "escape") return this.#escape(b);
    if (this.#state === "csi") return this.#csi(b);
    switch (b) {
      case 0x0d:
        this.#x = 0;
        break;
      case 0x0a:
        this.#newline();
        break;
      case 0x08:
        if (this.#x > 0) this.#x--;
        break;
      case 0x09:
        this.#x = Math.min(this.columns - 1, (this.#x | 7) + 1);
        break;
      case 0x07:
      case 0x0e:
      case 0x0f:
        break;
      case 0x1b:
        this.#state = "escape";
        break;
      default:
        if (this.#x >= this.columns) {
          this.#x = 0;
          this.#newline();
        }
        this.#lines[this.#y].chars[this.#x] = b;
        this.#lines[this.#y].attrs[this.#x] = this.#cellAttr();
        this.#x++;
    }
  }

  #cellAttr(): number {
    const attr = this.#bold ? this.#attr | 8 : this.#attr;
    return this.#inverse ? (attr & 0x88) | (attr & 7) << 4 | (attr >> 4 & 7) : attr;
  }

  #newline(): void {
    if (this.#y < this.rows - 1) {
      this.#y++;
      return;
    }
    this.#history.push(this.#lines.shift()!);
    if (this.#history.length > BACKSCROLL) this.#history.shift();
    this.#lines.push(this.#blank());
  }

  #escape(b: number): void {
    this.#state = "text";
    switch (String.fromCharCode(b)) {
      case "[":
        this.#state = "csi";
        this.#params = [];
        this.#private = false;
        break;
      case "c":
        this.#lines = this.#lines.map(() => this.#blank());
        this.#x = this.#y = 0;
        this.#attr = DEFAULT_ATTR;
        this.#bold = this.#inverse = false;
        break;
      case "7":
        this.#saved = { x: this.#x, y: this.#y };
        break;
      case "8":
        this.#x = this.#saved.x;
        this.#y = this.#saved.y;
        break;
    }
  }

  #csi(b: number): void {
    if (b >= 0x30 && b <= 0x39) {
      if (this.#params.length === 0) this.#params.push(0);
      const last = this.#params.length - 1;
      this.#params[last] = Math.min(9999, this.#params[last] * 10 + b - 0x30);
    } else if (b === 0x3b) {
      if (this.#params.length === 0) this.#params.push(0);
      if (this.#params.length < 16) this.#params.push(0);
    } else if (b === 0x3f) {
      this.#private = true;
    } else if (b >= 0x40 && b <= 0x7e) {
      this.#state = "text";
      this.#command(String.fromCharCode(b));
    } else if (b < 0x20 || b > 0x3f) {
      this.#state = "text";
    }
  }

  #command(c: string): void {
    const p = this.#params;
    const count = Math.max(1, p[0] ?? 1);
    const column = Math.min(this.#x, this.columns - 1);
    switch (c) {
      case "A":
        return this.#moveTo(column, this.#y - count);
      case "B":
        return this.#moveTo(column, this.#y + count);
      case "C":
        return this.#moveTo(column + count, this.#y);
      case "D":
        return this.#moveTo(column - count, this.#y);
      case "G":
        return this.#moveTo(count - 1, this.#y);
      case "d":
        return this.#moveTo(column, count - 1);
      case "H":
      case "f":
        return this.#moveTo(Math.max(1, p[1] ?? 1) - 1, count - 1);
      case "J":
        return this.#eraseScreen(p[0] ?? 0);
      case "K":
        return this.#eraseLine(p[0] ?? 0);
      case "m":
        return (p.length > 0 ? p : [0]).forEach((n) => this.#rendition(n));
      case "n":
        return this.#reportStatus(p[0] ?? 0);
      case "s":
        this.#saved = { x: this.#x, y: this.#y };
        return;
      case "u":
        return this.#moveTo(this.#saved.x, this.#saved.y);
      case "h":
      case "l":
        if (this.#private && p[0] === 25) this.#cursorVisible = c === "h";
    }
  }

  #moveTo(x: number, y: number): void {
    this.#x = Math.max(0, Math.min(this.columns - 1, x));
    this.#y = Math.max(0, Math.min(this.rows - 1, y));
  }

  #clear(line: Line, from: number, to: number): void {
    line.chars.fill(0x20, from, to);
    line.attrs.fill(DEFAULT_ATTR, from, to);
  }

  #eraseScreen(mode: number): void {
    const from = mode === 0 ? this.#y + 1 : 0;
    const to = mode === 1 ? this.#y : this.rows;
    for (let i = from; i < to; i++) this.#clear(this.#lines[i], 0, this.columns);
    if (mode < 2) this.#eraseLine(mode);
  }

  #eraseLine(mode: number): void {
    const from = mode === 0 ? this.#x : 0;
    this.#clear(this.#lines[this.#y], from, mode === 1 ? this.#x + 1 : this.columns);
  }

  #rendition(n: number): void {
    if (n === 0) {
      this.#attr = DEFAULT_ATTR;
      this.#bold = this.#inverse = false;
    } else if (n === 1) this.#bold = true;
    else if (n === 22) this.#bold = false;
    else if (n === 5) this.#attr |= 0x80;
    else if (n === 25) this.#attr &= ~0x80;
    else if (n === 7) this.#inverse = true;
    else if (n === 27) this.#inverse = false;
    else if (n >= 30 && n <= 37) this.#attr = this.#attr & ~0x0f | VGA_COLOR[n - 30];
    else if (n === 39) this.#attr = this.#attr & ~0x0f | 7;
    else if (n >= 40 && n <= 47) this.#attr = this.#attr & ~0x70 | VGA_COLOR[n - 40] << 4;
    else if (n === 49) this.#attr &= ~0x70;
    else if (n >= 90 && n <= 97) this.#attr = this.#attr & ~0x0f | VGA_COLOR[n - 90] | 8;
  }

  /** Device status and cursor position reports. */
  #reportStatus(what: number): void {
    const answer = what === 5
      ? "\x1b[0n"
      : what === 6
      ? `\x1b[${this.#y + 1};${Math.min(this.#x, this.columns - 1) + 1}R`
      : "";
    if (answer !== "") this.input(new TextEncoder().encode(answer));
  }
}
