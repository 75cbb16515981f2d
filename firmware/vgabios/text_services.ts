/** INT 10h functions 01h–0Fh and 13h: cursor, pages, scrolling, characters, pixels, teletype. */
import * as B from "./bda.ts";
import type { BiosContext } from "./context.ts";
import { linear } from "./context.ts";
import { currentMode } from "./mode_set.ts";
import * as P from "./ports.ts";
import {
  drawChar,
  readPixel,
  recognizeChar,
  type Screen,
  screenOf,
  scroll,
  textAddress,
  writePixel,
} from "./screen.ts";

const BEL = 7, BS = 8, LF = 10, CR = 13;

function screen(c: BiosContext): Screen | undefined {
  const mode = currentMode(c);
  return mode && screenOf(c, mode);
}

function cursorOf(c: BiosContext, page: number): { column: number; row: number } {
  const at = B.CURSOR_POSITIONS + 2 * (page & 7);
  return { column: c.read8(at), row: c.read8(at + 1) };
}

/** Stores a page's cursor and moves the CRTC's if the page is shown. */
export function setCursor(c: BiosContext, page: number, column: number, row: number): void {
  page &= 7;
  c.write8(B.CURSOR_POSITIONS + 2 * page, column);
  c.write8(B.CURSOR_POSITIONS + 2 * page + 1, row);
  if (page !== c.read8(B.ACTIVE_PAGE)) return;
  const cell = c.read16(B.PAGE_START) / 2 + row * c.read16(B.COLUMNS) + column;
  const crtc = P.bdaCrtcPort(c);
  P.writeIndexed(c, crtc, 0x0e, cell >> 8);
  P.writeIndexed(c, crtc, 0x0f, cell);
}

/**
 * 01h: the cursor's first and last line. Callers think of cells of eight lines; with emulation on
 * (BDA 487h bit 0 clear) the shape is fitted to the font.
 */
export function setCursorShape(c: BiosContext, start: number, end: number): void {
  c.write16(B.CURSOR_SHAPE, start << 8 | end);
  const height = c.read8(B.CHAR_HEIGHT);
  const emulate = !(c.read8(B.VIDEO_CONTROL) & 1) && height > 8;
  if (emulate && !(start & 0x60) && start <= end && end < 8) {
    if (end - start <= 1 && end >= 6) {
      // An underline stays one, above the cell's last line.
      start = height - 2 - (end - start);
      end = height - 2;
    } else {
      start = Math.floor(start * height / 8);
      end = Math.floor((end + 1) * height / 8) - 1;
    }
  }
  const crtc = P.bdaCrtcPort(c);
  P.writeIndexed(c, crtc, 0x0a, start);
  P.writeIndexed(c, crtc, 0x0b, end);
}

/** 05h: shows a page. */
export function setPage(c: BiosContext, page: number): void {
  const s = screen(c);
  if (s === undefined || page > 7) return;
  const start = page * s.pageSize & 0xffff;
  c.write16(B.PAGE_START, start);
  c.write8(B.ACTIVE_PAGE, page);
  const counter = s.mode.model === "text" ? start >> 1 : start;
  const crtc = P.bdaCrtcPort(c);
  P.writeIndexed(c, crtc, 0x0c, counter >> 8);
  P.writeIndexed(c, crtc, 0x0d, counter);
  const at = cursorOf(c, page);
  setCursor(c, page, at.column, at.row);
}

/** 06h and 07h: AL rows, CX top left, DX bottom right, BH attribute. */
function scrollService(c: BiosContext, up: boolean): void {
  const s = screen(c);
  if (s === undefined) return;
  const w = {
    left: c.cl,
    top: c.ch,
    right: Math.min(c.dl, s.columns - 1),
    bottom: Math.min(c.dh, s.rows - 1),
  };
  if (w.left > w.right || w.top > w.bottom) return;
  scroll(c, s, c.read8(B.ACTIVE_PAGE), w, up ? c.al : -c.al, c.bh);
}

/** 08h: AL character, AH attribute at the cursor of page BH. */
function readChar(c: BiosContext): void {
  const s = screen(c);
  if (s === undefined) return;
  const { column, row } = cursorOf(c, c.bh);
  if (s.mode.model === "text") c.ax = c.read16(textAddress(s, c.bh, column, row));
  else c.ax = recognizeChar(c, s, c.bh, column, row);
}

/** One cell: attribute −1 leaves a text cell's as it is. */
function putChar(
  c: BiosContext,
  s: Screen,
  page: number,
  column: number,
  row: number,
  char: number,
  attribute: number,
  background: number,
): void {
  if (s.mode.model === "text") {
    const at = textAddress(s, page, column, row);
    if (attribute < 0) c.write8(at, char);
    else c.write16(at, attribute << 8 | char);
  } else drawChar(c, s, page, column, row, char, Math.max(attribute, 0), background);
}

/** 09h and 0Ah: AL character, BH page, BL attribute, CX times from the cursor on. */
function writeChars(c: BiosContext, withAttribute: boolean): void {
  const s = screen(c);
  if (s === undefined) return;
  const text = s.mode.model === "text", linear256 = s.mode.model === "linear";
  const page = linear256 ? 0 : c.bh & 7;
  let { column, row } = cursorOf(c, page);
  for (let n = Math.min(c.cx, s.columns * s.rows); n > 0 && row < s.rows; n--) {
    const attribute = text && !withAttribute ? -1 : c.bl;
    putChar(c, s, page, column, row, c.al, attribute, linear256 ? c.bh : 0);
    if (++column === s.columns) {
      column = 0;
      row++;
    }
  }
}

/** 0Bh: border and background (BH=0), CGA palette (BH=1). */
function setColor(c: BiosContext): void {
  const model = currentMode(c)?.model, old = c.read8(B.CGA_COLOR);
  if (c.bh === 0) {
    c.write8(B.CGA_COLOR, old & 0xe0 | c.bl & 0x1f);
    const color = c.bl & 7 | (c.bl & 8) << 1;
    P.writeAttribute(c, 0x11, color);
    if (model !== undefined && model !== "text") P.writeAttribute(c, 0, color);
    if (model !== "cga4") return;
    const intensity = c.bl & 0x10;
    for (let i = 1; i < 4; i++) {
      P.writeAttribute(c, i, P.readAttribute(c, i) & ~0x10 | intensity);
    }
  } else if (c.bh === 1) {
    c.write8(B.CGA_COLOR, old & ~0x20 | (c.bl & 1) << 5);
    for (let i = 1; i < 4; i++) {
      P.writeAttribute(c, i, P.readAttribute(c, i) & ~1 | c.bl & 1);
    }
  }
}

/** Writes a character as a terminal would: BEL, BS, LF and CR act, the screen scrolls. */
export function teletype(
  c: BiosContext,
  page: number,
  char: number,
  attribute: number,
): void {
  const s = screen(c);
  if (s === undefined) return;
  page &= 7;
  let { column, row } = cursorOf(c, page);
  switch (char) {
    case BEL:
      return;
    case BS:
      if (column > 0) column--;
      break;
    case CR:
      column = 0;
      break;
    case LF:
      row++;
      break;
    default:
      putChar(c, s, page, column, row, char, attribute, 0);
      if (++column >= s.columns) {
        column = 0;
        row++;
      }
  }
  if (row >= s.rows) {
    row = s.rows - 1;
    const blank = s.mode.model === "text" ? c.read8(textAddress(s, page, column, row) + 1) : 0;
    const all = { left: 0, top: 0, right: s.columns - 1, bottom: s.rows - 1 };
    scroll(c, s, page, all, 1, blank);
  }
  setCursor(c, page, column, row);
}

/** 13h: AL bit 0 moves the cursor, bit 1: attributes lie between the characters. ES:BP, CX, DX, BX. */
function writeString(c: BiosContext): void {
  const s = screen(c);
  if (s === undefined) return;
  const page = c.bh & 7, old = cursorOf(c, page), interleaved = (c.al & 2) !== 0;
  setCursor(c, page, c.dl, Math.min(c.dh, s.rows - 1));
  let offset = c.bp;
  for (let n = c.cx; n > 0; n--) {
    const char = c.read8(linear(c.es, offset++));
    const attribute = interleaved ? c.read8(linear(c.es, offset++)) : c.bl;
    teletype(c, page, char, attribute);
  }
  if (!(c.al & 1)) setCursor(c, page, old.column, old.row);
}

function pixel(c: BiosContext, write: boolean): void {
  const s = screen(c);
  if (s === undefined) return;
  if (write) writePixel(c, s, c.bh & 7, c.cx, c.dx, c.al);
  else c.al = readPixel(c, s, c.bh & 7, c.cx, c.dx);
}

/** Functions 01h–0Fh and 13h. @returns whether AH is one of them */
export function textService(c: BiosContext): boolean {
  switch (c.ah) {
    case 0x01:
      setCursorShape(c, c.ch, c.cl);
      return true;
    case 0x02:
      setCursor(c, c.bh, c.dl, c.dh);
      return true;
    case 0x03:
      c.dx = c.read16(B.CURSOR_POSITIONS + 2 * (c.bh & 7));
      c.cx = c.read16(B.CURSOR_SHAPE);
      return true;
    case 0x04: // no light pen
      c.ah = 0;
      return true;
    case 0x05:
      setPage(c, c.al);
      return true;
    case 0x06:
    case 0x07:
      scrollService(c, c.ah === 0x06);
      return true;
    case 0x08:
      readChar(c);
      return true;
    case 0x09:
    case 0x0a:
      writeChars(c, c.ah === 0x09);
      return true;
    case 0x0b:
      setColor(c);
      return true;
    case 0x0c:
    case 0x0d:
      pixel(c, c.ah === 0x0c);
      return true;
    case 0x0e: {
      const text = currentMode(c)?.model === "text";
      teletype(c, c.read8(B.ACTIVE_PAGE), c.al, text ? -1 : c.bl);
      return true;
    }
    case 0x0f:
      c.al = c.read8(B.VIDEO_MODE) & 0x7f | c.read8(B.VIDEO_CONTROL) & 0x80;
      c.ah = c.read16(B.COLUMNS);
      c.bh = c.read8(B.ACTIVE_PAGE);
      return true;
    case 0x13:
      writeString(c);
      return true;
    default:
      return false;
  }
}
