/** INT 10h function 00h: programs a standard mode and sets up the BIOS data area for it. */
import * as B from "./bda.ts";
import type { BiosContext } from "./context.ts";
import { ROM } from "./layout.ts";
import { type ScanLines, standardMode, type VideoMode, withScanLines } from "./modes.ts";
import { luminance, PALETTES } from "./palettes.ts";
import * as P from "./ports.ts";

/** MODE_CONTROL bits. */
export const GRAY_SUMMING = 0x02, NO_PALETTE = 0x08, LINES_400 = 0x10, LINES_200 = 0x80;

/** What the CGA's mode register would hold in modes 0–7. */
const CGA_MODES = [0x2c, 0x28, 0x2d, 0x29, 0x2a, 0x2e, 0x1e, 0x29];

/** The mode in force, as the BDA says; undefined in a VBE mode of packed pixels. */
export function currentMode(c: BiosContext): VideoMode | undefined {
  const mode = standardMode(c.read8(B.VIDEO_MODE) & 0x7f);
  return mode && withScanLines(mode, scanLines(c));
}

function scanLines(c: BiosContext): ScanLines {
  const control = c.read8(B.MODE_CONTROL);
  return control & LINES_200 ? 200 : control & LINES_400 ? 400 : 350;
}

/** Sets a standard mode. @returns whether the number is one */
export function setMode(c: BiosContext, number: number, keepMemory: boolean): boolean {
  const standard = standardMode(number);
  if (standard === undefined) return false;
  const mode = withScanLines(standard, scanLines(c));
  if (P.hasDispi(c)) P.writeDispi(c, 4, 0);
  const control = c.read8(B.MODE_CONTROL);
  c.outb(0x3c6, 0xff);
  programRegisters(c, mode);
  if (!(control & NO_PALETTE)) loadPalette(c, mode, (control & GRAY_SUMMING) !== 0);
  if (!keepMemory) clearMemory(c, mode);
  if (mode.model === "text") loadFont(c, mode.charHeight, 0);
  fillBda(c, number, mode, keepMemory);
  P.resetFlipFlop(c);
  c.outb(0x3c0, 0x20);
  return true;
}

function programRegisters(c: BiosContext, mode: VideoMode): void {
  // Screen off while the timing changes.
  P.resetFlipFlop(c);
  c.outb(0x3c0, 0x00);
  c.outb(0x3c2, mode.misc);
  P.writeIndexed(c, P.SEQ, 0, 1);
  mode.seq.forEach((v, i) => P.writeIndexed(c, P.SEQ, i + 1, v));
  P.writeIndexed(c, P.SEQ, 0, 3);
  const crtc = mode.misc & 1 ? 0x3d4 : 0x3b4;
  P.writeIndexed(c, crtc, 0x11, mode.crtc[0x11] & 0x7f);
  mode.crtc.forEach((v, i) => P.writeIndexed(c, crtc, i, v));
  mode.gc.forEach((v, i) => P.writeIndexed(c, P.GC, i, v));
  c.inb(crtc + 6);
  mode.attr.forEach((v, i) => {
    c.outb(0x3c0, i);
    c.outb(0x3c0, v);
  });
}

export function loadPalette(c: BiosContext, mode: VideoMode, graySumming: boolean): void {
  const palette = PALETTES[mode.palette];
  if (!graySumming) {
    P.writeDac(c, 0, palette);
    for (let i = palette.length; i < 768; i++) c.outb(0x3c9, 0);
    return;
  }
  c.outb(0x3c8, 0);
  for (let i = 0; i < 768; i += 3) {
    const level = luminance(palette[i] ?? 0, palette[i + 1] ?? 0, palette[i + 2] ?? 0);
    for (let n = 0; n < 3; n++) c.outb(0x3c9, level);
  }
}

/** Clears display memory: blanks with attribute 7 in text modes, colour 0 otherwise. */
export function clearMemory(c: BiosContext, mode: VideoMode): void {
  const base = mode.segment << 4, text = mode.model === "text";
  const size = mode.segment === 0xa000 ? 0x10000 : 0x8000, fill = text ? 0x07200720 : 0;
  for (let at = 0; at < size; at += 4) c.write32(base + at, fill);
}

/** Plane 2 of a text mode as 64 KiB at A0000, or the mode's window again. */
export function accessFontPlane(c: BiosContext, on: boolean): void {
  if (on) {
    P.writeIndexed(c, P.SEQ, 0, 1);
    P.writeIndexed(c, P.SEQ, 2, 4);
    P.writeIndexed(c, P.SEQ, 4, 7);
    P.writeIndexed(c, P.SEQ, 0, 3);
    P.writeIndexed(c, P.GC, 4, 2);
    P.writeIndexed(c, P.GC, 5, 0);
    P.writeIndexed(c, P.GC, 6, 4);
    return;
  }
  P.writeIndexed(c, P.SEQ, 0, 1);
  P.writeIndexed(c, P.SEQ, 2, 3);
  P.writeIndexed(c, P.SEQ, 4, 2);
  P.writeIndexed(c, P.SEQ, 0, 3);
  P.writeIndexed(c, P.GC, 4, 0);
  P.writeIndexed(c, P.GC, 5, 0x10);
  P.writeIndexed(c, P.GC, 6, c.inb(0x3cc) & 1 ? 0x0e : 0x0a);
}

/** Offset in plane 2 of font block 0–7. */
export function fontBlock(block: number): number {
  return (block & 3) << 14 | (block & 4) << 11;
}

/** Loads glyphs from memory into a font block of plane 2. */
export function loadGlyphs(
  c: BiosContext,
  from: number,
  height: number,
  first: number,
  count: number,
  block: number,
): void {
  accessFontPlane(c, true);
  const base = 0xa0000 + fontBlock(block);
  for (let i = 0; i < count; i++) {
    const at = base + 32 * (first + i & 0xff);
    for (let y = 0; y < 32; y++) c.write8(at + y, y < height ? c.read8(from + i * height + y) : 0);
  }
  accessFontPlane(c, false);
}

/** Linear address of the ROM's font of a height. */
export function romFont(height: number): number {
  const at = height === 16 ? ROM.font16 : height === 14 ? ROM.font14 : ROM.font8;
  return (B.ROM_SEGMENT << 4) + at;
}

export function loadFont(c: BiosContext, height: 8 | 14 | 16, block: number): void {
  loadGlyphs(c, romFont(height), height, 0, 256, block);
}

/** Sets vector 43h. */
export function setFontPointer(c: BiosContext, segment: number, offset: number): void {
  c.write16(B.FONT, offset);
  c.write16(B.FONT + 2, segment);
}

function fillBda(c: BiosContext, number: number, mode: VideoMode, keepMemory: boolean): void {
  const crtc = mode.misc & 1 ? 0x3d4 : 0x3b4;
  c.write8(B.VIDEO_MODE, number);
  c.write16(B.COLUMNS, mode.columns);
  c.write16(B.PAGE_SIZE, mode.pageSize);
  c.write16(B.PAGE_START, 0);
  for (let page = 0; page < 8; page++) c.write16(B.CURSOR_POSITIONS + 2 * page, 0);
  c.write16(B.CURSOR_SHAPE, mode.model === "text" ? 0x0607 : 0);
  c.write8(B.ACTIVE_PAGE, 0);
  c.write16(B.CRTC_PORT, crtc);
  if (number < 8) {
    c.write8(B.CGA_MODE, CGA_MODES[number]);
    c.write8(B.CGA_COLOR, number === 6 ? 0x3f : 0x30);
  }
  c.write8(B.ROWS, mode.rows - 1);
  c.write16(B.CHAR_HEIGHT, mode.charHeight);
  c.write8(B.VIDEO_CONTROL, 0x60 | c.read8(B.VIDEO_CONTROL) & 1 | (keepMemory ? 0x80 : 0));
  c.write8(B.SWITCHES, 0xf9);
  c.write16(B.VBE_MODE, 0);
  const height = mode.charHeight;
  setFontPointer(c, B.ROM_SEGMENT, romFont(height) - (B.ROM_SEGMENT << 4));
}
