/**
 * Draws a text screen on an ANSI terminal (ECMA-48 with the aixterm bright colours), sending only
 * what has changed since the last picture: what `-display curses` shows.
 */
import { CP437 } from "./cp437.ts";
import type { DisplaySource, TextScreen } from "./display.ts";

/** VGA colour bits are blue, green, red; ECMA-48's are red, green, blue. */
const COLORS = [0, 4, 2, 6, 1, 5, 3, 7];

export class AnsiScreen {
  #columns = 0;
  #rows = 0;
  /** Cells on the terminal: attribute × 256 + character, or -1 when unknown. */
  #cells = new Int32Array(0);
  #attr = -1;
  #cursor = "";
  #message = "";

  /** @param write takes text for the terminal (UTF-8 when encoded) */
  constructor(private readonly write: (text: string) => void) {}

  /** Forgets what the terminal shows: the next {@link show} draws everything. */
  invalidate(): void {
    this.#columns = this.#rows = 0;
    this.#message = "";
  }

  /** Shows a display's text, or for a graphics mode a line that says its size, as QEMU does. */
  update(d: DisplaySource): void {
    const t = d.text();
    if (t !== undefined) return this.show(t);
    const { width, height } = d.surface();
    this.message(`${width} x ${height} Graphic mode`);
  }

  /** One line of text alone on a cleared screen. */
  message(text: string): void {
    if (text === this.#message) return;
    this.invalidate();
    this.#message = text;
    this.#attr = -1;
    this.#cursor = "";
    this.write(`\x1b[0m\x1b[2J\x1b[H\x1b[?25l${text}`);
  }

  show(t: TextScreen): void {
    let out = "";
    if (t.columns !== this.#columns || t.rows !== this.#rows) {
      this.#columns = t.columns;
      this.#rows = t.rows;
      this.#cells = new Int32Array(t.columns * t.rows).fill(-1);
      this.#attr = -1;
      this.#cursor = "";
      this.#message = "";
      out = "\x1b[0m\x1b[2J";
    }
    let moved = out !== "", next = -1;
    for (let i = 0; i < this.#cells.length; i++) {
      const cell = t.attrs[i] << 8 | t.chars[i];
      if (cell === this.#cells[i]) continue;
      this.#cells[i] = cell;
      if (i !== next || i % t.columns === 0) out += move(i, t.columns);
      if (t.attrs[i] !== this.#attr) {
        this.#attr = t.attrs[i];
        out += colors(this.#attr);
      }
      out += CP437[t.chars[i]];
      next = i + 1;
      moved = true;
    }
    const cursor = t.cursor === undefined
      ? "\x1b[?25l"
      : move(t.cursor.row * t.columns + t.cursor.column, t.columns) + "\x1b[?25h";
    if (moved || cursor !== this.#cursor) out += cursor;
    this.#cursor = cursor;
    if (out !== "") this.write(out);
  }
}

function move(cell: number, columns: number): string {
  return `\x1b[${Math.floor(cell / columns) + 1};${cell % columns + 1}H`;
}

function colors(attr: number): string {
  const foreground = (attr & 8 ? 90 : 30) + COLORS[attr & 7];
  return `\x1b[0;${foreground};${40 + COLORS[attr >> 4 & 7]}${attr & 0x80 ? ";5" : ""}m`;
}
