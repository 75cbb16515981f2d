/** Characters and pixels in every memory model, through the window the CPU has on display memory. */
import * as B from "./bda.ts";
import type { BiosContext } from "./context.ts";
import { linear } from "./context.ts";
import type { VideoMode } from "./modes.ts";
import * as P from "./ports.ts";

/** Distance of the banks of even and odd lines in CGA graphics. */
const CGA_BANK = 0x2000;

/** A mode with the geometry that the BDA has now (fonts change rows and heights). */
export interface Screen {
  readonly mode: VideoMode;
  readonly columns: number;
  readonly rows: number;
  readonly charHeight: number;
  readonly pageSize: number;
  /** Linear address of the window. */
  readonly base: number;
}

export function screenOf(c: BiosContext, mode: VideoMode): Screen {
  return {
    mode,
    columns: Math.max(c.read16(B.COLUMNS), 1),
    rows: c.read8(B.ROWS) + 1,
    charHeight: Math.min(Math.max(c.read16(B.CHAR_HEIGHT), 1), 32),
    pageSize: c.read16(B.PAGE_SIZE),
    base: mode.segment << 4,
  };
}

/** Bytes from one line to the next. */
function lineBytes(s: Screen): number {
  return s.mode.model === "linear" ? s.columns * 8 : s.mode.model === "cga4" ? 80 : s.columns;
}

/** Bytes a cell covers in a line. */
function cellBytes(s: Screen): number {
  return s.mode.model === "linear" ? 8 : s.mode.model === "cga4" ? 2 : 1;
}

function cgaLine(s: Screen, y: number): number {
  return s.base + (y & 1) * CGA_BANK + (y >> 1) * 80;
}

/** Address of line `y` at cell column `column` in a graphics mode. */
function lineAddress(s: Screen, page: number, column: number, y: number): number {
  const cga = s.mode.model === "cga2" || s.mode.model === "cga4";
  const start = cga ? cgaLine(s, y) : s.base + page * s.pageSize + y * lineBytes(s);
  return Math.min(start + column * cellBytes(s), 0xbffff);
}

/** Address of a character and its attribute in a text mode. */
export function textAddress(s: Screen, page: number, column: number, row: number): number {
  const offset = page * s.pageSize + 2 * (row * s.columns + column);
  return s.base + (offset & 0x7fff);
}

/** Linear address of the glyph of a character: vector 1Fh has the upper half in CGA modes. */
function glyphAddress(c: BiosContext, s: Screen, char: number): number {
  const cga = s.mode.model === "cga2" || s.mode.model === "cga4";
  const vector = cga && char >= 128 ? B.FONT_UPPER_8X8 : B.FONT;
  const index = cga && char >= 128 ? char - 128 : char;
  return linear(c.read16(vector + 2), c.read16(vector)) + index * s.charHeight;
}

/**
 * Draws a character in a graphics mode. Bit 7 of `color` XORs it onto what is there, but in 256
 * colours, where `background` counts instead.
 */
export function drawChar(
  c: BiosContext,
  s: Screen,
  page: number,
  column: number,
  row: number,
  char: number,
  color: number,
  background: number,
): void {
  const glyph = glyphAddress(c, s, char), top = row * s.charHeight;
  const xor = (color & 0x80) !== 0;
  if (s.mode.model === "planar") {
    P.writeIndexed(c, P.GC, 1, 0x0f);
    P.writeIndexed(c, P.GC, 3, xor ? 0x18 : 0);
  }
  for (let y = 0; y < s.charHeight; y++) {
    const bits = c.read8(glyph + y), at = lineAddress(s, page, column, top + y);
    switch (s.mode.model) {
      case "planar":
        drawPlanar(c, at, bits, color & 15, 0xff);
        if (!xor) drawPlanar(c, at, ~bits & 0xff, 0, 0xff);
        break;
      case "linear":
        for (let x = 0; x < 8; x++) c.write8(at + x, bits & 0x80 >> x ? color : background);
        break;
      case "cga2":
        c.write8(at, xor ? c.read8(at) ^ bits : bits);
        break;
      case "cga4": {
        const wide = spread(bits) * (color & 3);
        for (let i = 0; i < 2; i++) {
          const value = wide >> (i ? 0 : 8) & 0xff;
          c.write8(at + i, xor ? c.read8(at + i) ^ value : value);
        }
        break;
      }
    }
  }
  if (s.mode.model === "planar") restorePlanar(c);
}

/** Sets the pixels of a byte to a colour; `data` is what the CPU writes. */
function drawPlanar(c: BiosContext, at: number, mask: number, color: number, data: number): void {
  P.writeIndexed(c, P.GC, 0, color);
  P.writeIndexed(c, P.GC, 8, mask);
  c.read8(at);
  c.write8(at, data);
}

function restorePlanar(c: BiosContext): void {
  P.writeIndexed(c, P.GC, 0, 0);
  P.writeIndexed(c, P.GC, 1, 0);
  P.writeIndexed(c, P.GC, 3, 0);
  P.writeIndexed(c, P.GC, 8, 0xff);
}

/** Eight bits to eight pairs: 10110000 to 01 00 01 01 00 00 00 00. */
function spread(bits: number): number {
  let out = 0;
  for (let i = 0; i < 8; i++) out |= (bits >> i & 1) << 2 * i;
  return out;
}

/** The character whose glyph is in a cell of a graphics mode, or 0. */
export function recognizeChar(
  c: BiosContext,
  s: Screen,
  page: number,
  column: number,
  row: number,
): number {
  const seen: number[] = [];
  if (s.mode.model === "planar") {
    P.writeIndexed(c, P.GC, 5, 8);
    P.writeIndexed(c, P.GC, 2, 0);
    P.writeIndexed(c, P.GC, 7, 0x0f);
  }
  for (let y = 0; y < s.charHeight; y++) {
    const at = lineAddress(s, page, column, row * s.charHeight + y);
    let bits = 0;
    switch (s.mode.model) {
      case "planar": // read mode 1 has ones where the pixel is colour 0
        bits = ~c.read8(at) & 0xff;
        break;
      case "linear":
        for (let x = 0; x < 8; x++) bits |= c.read8(at + x) !== 0 ? 0x80 >> x : 0;
        break;
      case "cga2":
        bits = c.read8(at);
        break;
      case "cga4": {
        const wide = c.read8(at) << 8 | c.read8(at + 1);
        for (let x = 0; x < 8; x++) bits |= wide >> 14 - 2 * x & 3 ? 0x80 >> x : 0;
        break;
      }
    }
    seen.push(bits);
  }
  if (s.mode.model === "planar") P.writeIndexed(c, P.GC, 5, 0);
  for (let char = 0; char < 256; char++) {
    const glyph = glyphAddress(c, s, char);
    if (seen.every((bits, y) => c.read8(glyph + y) === bits)) return char;
  }
  return 0;
}

/** INT 10h/0Ch: bit 7 of the colour XORs, but in 256 colours. */
export function writePixel(
  c: BiosContext,
  s: Screen,
  page: number,
  x: number,
  y: number,
  color: number,
): void {
  const xor = (color & 0x80) !== 0;
  switch (s.mode.model) {
    case "planar": {
      if (x >= s.columns * 8 || y >= s.mode.height) return;
      P.writeIndexed(c, P.GC, 1, 0x0f);
      P.writeIndexed(c, P.GC, 3, xor ? 0x18 : 0);
      drawPlanar(c, lineAddress(s, page, x >> 3, y), 0x80 >> (x & 7), color & 15, 0xff);
      return restorePlanar(c);
    }
    case "linear":
      if (x < s.mode.width && y < s.mode.height) c.write8(s.base + y * s.mode.width + x, color);
      return;
    case "cga2":
    case "cga4": {
      if (x >= s.mode.width || y >= s.mode.height) return;
      const bits = s.mode.model === "cga2" ? 1 : 2, perByte = 8 / bits;
      const at = cgaLine(s, y) + Math.floor(x / perByte);
      const shift = (perByte - 1 - x % perByte) * bits, mask = (1 << bits) - 1 << shift;
      const old = c.read8(at), value = color << shift & mask;
      c.write8(at, xor ? old ^ value : old & ~mask | value);
    }
  }
}

/** INT 10h/0Dh. */
export function readPixel(c: BiosContext, s: Screen, page: number, x: number, y: number): number {
  if (s.mode.model === "text" || x >= s.columns * 8 || y >= s.mode.height) return 0;
  switch (s.mode.model) {
    case "planar": {
      const at = lineAddress(s, page, x >> 3, y);
      let color = 0;
      for (let plane = 0; plane < 4; plane++) {
        P.writeIndexed(c, P.GC, 4, plane);
        color |= (c.read8(at) >> 7 - (x & 7) & 1) << plane;
      }
      P.writeIndexed(c, P.GC, 4, 0);
      return color;
    }
    case "linear":
      return c.read8(s.base + y * s.mode.width + x);
    default: {
      const bits = s.mode.model === "cga2" ? 1 : 2, perByte = 8 / bits;
      const value = c.read8(cgaLine(s, y) + Math.floor(x / perByte));
      return value >> (perByte - 1 - x % perByte) * bits & (1 << bits) - 1;
    }
  }
}

/** A window of cells, inclusive. */
export interface Window {
  readonly left: number;
  readonly top: number;
  readonly right: number;
  readonly bottom: number;
}

/**
 * Scrolls a window by `count` rows (positive: up) and blanks what comes in with `attribute` (its
 * character cells in text modes, its colour in graphics). 0, or the window's height, blanks it all.
 */
export function scroll(
  c: BiosContext,
  s: Screen,
  page: number,
  w: Window,
  count: number,
  attribute: number,
): void {
  const height = w.bottom - w.top + 1, by = Math.abs(count);
  const all = by === 0 || by >= height, kept = all ? 0 : height - by;
  const move = s.mode.model === "text" ? moveTextRow : moveGraphicsRow;
  const blank = s.mode.model === "text" ? blankTextRow : blankGraphicsRow;
  if (s.mode.model === "planar") P.writeIndexed(c, P.GC, 5, 1);
  for (let i = 0; i < kept; i++) {
    if (count > 0) move(c, s, page, w, w.top + i, w.top + i + by);
    else move(c, s, page, w, w.bottom - i, w.bottom - i - by);
  }
  if (s.mode.model === "planar") {
    P.writeIndexed(c, P.GC, 5, 0);
    P.writeIndexed(c, P.GC, 0, attribute & 15);
    P.writeIndexed(c, P.GC, 1, 0x0f);
  }
  const first = count > 0 || all ? w.top + kept : w.top;
  for (let i = 0; i < height - kept; i++) blank(c, s, page, w, first + i, attribute);
  if (s.mode.model === "planar") restorePlanar(c);
}

function moveTextRow(
  c: BiosContext,
  s: Screen,
  page: number,
  w: Window,
  to: number,
  from: number,
): void {
  const target = textAddress(s, page, w.left, to), source = textAddress(s, page, w.left, from);
  for (let i = 0; i <= w.right - w.left; i++) c.write16(target + 2 * i, c.read16(source + 2 * i));
}

function blankTextRow(
  c: BiosContext,
  s: Screen,
  page: number,
  w: Window,
  row: number,
  attribute: number,
): void {
  const at = textAddress(s, page, w.left, row);
  for (let i = 0; i <= w.right - w.left; i++) c.write16(at + 2 * i, attribute << 8 | 0x20);
}

/** In planar modes write mode 1 is on: each byte goes through the latches. */
function moveGraphicsRow(
  c: BiosContext,
  s: Screen,
  page: number,
  w: Window,
  to: number,
  from: number,
): void {
  const bytes = (w.right - w.left + 1) * cellBytes(s);
  for (let y = 0; y < s.charHeight; y++) {
    const target = lineAddress(s, page, w.left, to * s.charHeight + y);
    const source = lineAddress(s, page, w.left, from * s.charHeight + y);
    for (let i = 0; i < bytes; i++) c.write8(target + i, c.read8(source + i));
  }
}

/** In planar modes set/reset has the colour. */
function blankGraphicsRow(
  c: BiosContext,
  s: Screen,
  page: number,
  w: Window,
  row: number,
  color: number,
): void {
  const bytes = (w.right - w.left + 1) * cellBytes(s);
  const value = s.mode.model === "cga4"
    ? (color & 3) * 0x55
    : s.mode.model === "cga2" && color & 1
    ? 0xff
    : s.mode.model === "linear"
    ? color
    : 0;
  for (let y = 0; y < s.charHeight; y++) {
    const at = lineAddress(s, page, w.left, row * s.charHeight + y);
    for (let i = 0; i < bytes; i++) c.write8(at + i, value);
  }
}
