/**
 * Text modes: their geometry, their cells as viewers of text read them, and the scan lines drawn
 * through the fonts in plane 2. Keeps what it has drawn by character row, since cells and fonts lie in
 * the same pages of display memory and a page that has changed says little.
 */
import type { DirtyPages } from "../../core/display/dirty.ts";
import { PAGE } from "../../core/display/dirty.ts";
import type { TextScreen } from "../../core/display/display.ts";
import * as R from "./vga_state.ts";

/** The VGA's 64 Ki steps of the address counter. */
export const COUNTER_MASK = 0xffff;
/** Pages of display memory that the counter reaches: 4 bytes a step. */
const COUNTER_PAGES = 4 * (COUNTER_MASK + 1) / PAGE;
const CELLS_PER_PAGE = PAGE / 4;
/** Bytes of a font in plane 2: 256 characters of 32 lines. */
const FONT = 0x2000;

export interface TextGeometry {
  readonly columns: number;
  readonly rows: number;
  readonly cellWidth: number;
  readonly cellHeight: number;
}

export function textGeometry(s: R.VgaState): TextGeometry | undefined {
  const clocking = s.seq[R.SEQ_CLOCKING_MODE];
  const cellHeight = (s.crtc[R.CRTC_MAXIMUM_SCAN_LINE] & 0x1f) + 1;
  // A 40-column cell is 8 dots at half the clock; 9 such dots are shown as 8.
  const cellWidth = clocking & 8 ? 16 : clocking & 1 ? 8 : 9;
  const columns = s.crtc[R.CRTC_HORIZONTAL_DISPLAY_END] + 1;
  const lines = R.verticalDisplayLines(s.crtc);
  const scan = s.crtc[R.CRTC_MAXIMUM_SCAN_LINE] & 0x80 ? 2 : 1;
  const rows = Math.floor(lines / (cellHeight * scan));
  if (columns * rows <= 1 || columns * rows > 160 * 100) return undefined;
  return { columns, rows, cellWidth, cellHeight: cellHeight * scan };
}

export function cursorShown(crtc: Uint8Array): boolean {
  const start = crtc[R.CRTC_CURSOR_START];
  return !(start & 0x20) && (start & 0x1f) <= (crtc[R.CRTC_CURSOR_END] & 0x1f);
}

/** Offset in plane 2 of a font map, from its three Character Map Select bits. */
function fontOffset(high: number, low: number): number {
  return low << 14 | high << 13;
}

/** The cells on the screen. */
export function readText(s: R.VgaState, g: TextGeometry, vram: Uint8Array): TextScreen {
  const { columns, rows } = g;
  const chars = new Uint8Array(columns * rows), attrs = new Uint8Array(columns * rows);
  const at = R.cursorLocation(s.crtc),
    split = Math.ceil((R.lineCompare(s.crtc) + 1) / g.cellHeight);
  let cursor: TextScreen["cursor"];
  let address = R.startAddress(s.crtc);
  for (let row = 0; row < rows; row++) {
    if (row === split) address = 0;
    for (let column = 0; column < columns; column++) {
      const index = address + column & COUNTER_MASK, cell = row * columns + column;
      chars[cell] = vram[4 * index];
      attrs[cell] = vram[4 * index + 1];
      if (index === at && cursor === undefined) cursor = { row, column };
    }
    address += s.crtc[R.CRTC_OFFSET] * 2;
  }
  if (!cursorShown(s.crtc)) cursor = undefined;
  return { columns, rows, chars, attrs, cursor };
}

/** Where the cursor is drawn, and how. */
interface Cursor {
  /** Counter address of its cell, -1 while it is not shown. */
  at: number;
  start: number;
  end: number;
}

/** Draws text and remembers it. */
export class TextLines {
  readonly #vram: Uint8Array;
  readonly #vram32: Int32Array;
  /** Character and attribute of each cell of each row drawn. */
  #cells = new Uint16Array(0);
  /** Rows in which something blinks. */
  #blinking = new Uint8Array(0);
  readonly #fonts = new Uint8Array(2 * FONT);
  #fontA = 0;
  #fontB = 0;
  #blinkedOff = false;
  #blinkTurned = false;
  #cursor: Cursor = { at: -1, start: 0, end: 0 };
  #oldCursor = this.#cursor;
  #cursorMoved = false;

  constructor(private readonly dirty: DirtyPages) {
    const { u8, size } = dirty.block;
    this.#vram = u8;
    this.#vram32 = new Int32Array(u8.buffer, u8.byteOffset, size >> 2);
  }

  /**
   * Begins an update of `height` scan lines, shown in frame number `frame`.
   * @returns true when all lines have to be drawn, since a font has changed
   */
  begin(s: R.VgaState, g: TextGeometry, height: number, frame: number): boolean {
    const cells = (g.columns + 1) * (height + 1);
    if (this.#cells.length < cells) this.#cells = new Uint16Array(cells);
    if (this.#blinking.length <= height) this.#blinking = new Uint8Array(height + 1);
    const off = (frame & 16) !== 0;
    this.#blinkTurned = off !== this.#blinkedOff;
    this.#blinkedOff = off;
    const { crtc } = s, old = this.#oldCursor = this.#cursor;
    const now = this.#cursor = {
      at: cursorShown(crtc) && (frame & 8) === 0 ? R.cursorLocation(crtc) : -1,
      start: crtc[R.CRTC_CURSOR_START] & 0x1f,
      end: crtc[R.CRTC_CURSOR_END] & 0x1f,
    };
    this.#cursorMoved = old.at !== now.at || old.start !== now.start || old.end !== now.end;
    const select = s.seq[R.SEQ_CHARACTER_MAP_SELECT];
    this.#fontB = fontOffset(select >> 4 & 1, select & 3);
    this.#fontA = fontOffset(select >> 5 & 1, select >> 2 & 3);
    const a = this.#fontChanged(this.#fontA, 0);
    return this.#fontChanged(this.#fontB, FONT) || a;
  }

  /**
   * Whether row `row` of the picture, of cells from counter `address` on, has to be drawn. Asked once
   * in an update for each row, also when all are drawn.
   */
  rowChanged(s: R.VgaState, g: TextGeometry, row: number, address: number): boolean {
    const changed = this.#cellsChanged(s, g.columns + 1, row, address);
    if (changed || this.#blinkTurned && this.#blinking[row] !== 0) return true;
    if (!this.#cursorMoved) return false;
    const has = (c: Cursor) => c.at >= 0 && (c.at - address & COUNTER_MASK) <= g.columns;
    return has(this.#cursor) || has(this.#oldCursor);
  }

  #cellsChanged(s: R.VgaState, cells: number, row: number, address: number): boolean {
    const first = (address & COUNTER_MASK) / CELLS_PER_PAGE | 0;
    const last = ((address & COUNTER_MASK) + cells - 1) / CELLS_PER_PAGE | 0;
    let dirty = false;
    for (let p = first; p <= last; p++) if (this.dirty.pages[p % COUNTER_PAGES]) dirty = true;
    if (!dirty) return false;
    const blink = s.attr[R.ATTR_MODE_CONTROL] & 8 ? 0x8000 : 0, base = row * cells;
    let changed = false, blinks = 0;
    for (let i = 0; i < cells; i++) {
      const cell = this.#vram32[address + i & COUNTER_MASK] & 0xffff;
      blinks |= cell & blink;
      if (this.#cells[base + i] === cell) continue;
      this.#cells[base + i] = cell;
      changed = true;
    }
    this.#blinking[row] = blinks ? 1 : 0;
    return changed;
  }

  /** Compares a font with the copy at `at`, and makes them equal. */
  #fontChanged(offset: number, at: number): boolean {
    const first = 4 * offset / PAGE;
    let dirty = false;
    for (let p = first; p < first + 4 * FONT / PAGE; p++) if (this.dirty.pages[p]) dirty = true;
    if (!dirty) return false;
    let changed = false;
    for (let i = 0, from = 4 * offset + 2; i < FONT; i++, from += 4) {
      if (this.#fonts[at + i] === this.#vram[from]) continue;
      this.#fonts[at + i] = this.#vram[from];
      changed = true;
    }
    return changed;
  }

  /** One scan line of text, one cell more than is shown, into `line`. */
  draw(
    s: R.VgaState,
    g: TextGeometry,
    address: number,
    scan: number,
    palette: Uint32Array,
    line: Uint32Array,
  ): void {
    const { crtc, attr } = s, width = g.cellWidth, { at, start, end } = this.#cursor;
    const lineGraphics = (attr[R.ATTR_MODE_CONTROL] & 4) !== 0;
    const blink = (attr[R.ATTR_MODE_CONTROL] & 8) !== 0;
    const underline = crtc[R.CRTC_UNDERLINE_LOCATION] & 0x1f;
    const cursor = scan >= start && scan <= end ? at : -1;
    let x = 0;
    for (let column = 0; column <= g.columns; column++) {
      const index = address + column & COUNTER_MASK, cell = this.#vram32[index];
      const char = cell & 0xff, a = cell >>> 8 & 0xff;
      const font = a & 8 ? this.#fontA : this.#fontB;
      let bits = this.#vram[(font + 32 * char + scan) * 4 + 2] << 1;
      if (lineGraphics && (char & 0xe0) === 0xc0) bits |= bits >> 1 & 1;
      let background = a >> 4;
      if (blink) {
        background &= 7;
        if (a & 0x80 && this.#blinkedOff) bits = 0;
      }
      if (scan === underline && (a & 0x77) === 1) bits = 0x1ff;
      if (index === cursor) bits = 0x1ff;
      const fg = palette[a & 15], bg = palette[background];
      if (width === 16) {
        for (let mask = 0x100; mask > 1; mask >>= 1) {
          line[x] = line[x + 1] = bits & mask ? fg : bg;
          x += 2;
        }
      } else {
        const last = width === 9 ? 0 : 1;
        for (let mask = 0x100; mask > last; mask >>= 1) line[x++] = bits & mask ? fg : bg;
      }
    }
  }
}
