/** INT 10h function 11h: character generator. */
import * as B from "./bda.ts";
import type { BiosContext } from "./context.ts";
import { linear } from "./context.ts";
import { ROM } from "./layout.ts";
import { currentMode, loadGlyphs, romFont, setFontPointer } from "./mode_set.ts";
import * as P from "./ports.ts";
import { setCursorShape } from "./text_services.ts";

/** Fits the CRTC and the BDA to a new character height: subfunctions 10h, 11h, 12h, 14h. */
function setCharHeight(c: BiosContext, height: number): void {
  const crtc = P.bdaCrtcPort(c);
  const scan = P.readIndexed(c, crtc, 0x09);
  P.writeIndexed(c, crtc, 0x09, scan & 0xe0 | height - 1);
  const overflow = P.readIndexed(c, crtc, 0x07);
  const lines = (P.readIndexed(c, crtc, 0x12) | (overflow & 2) << 7 | (overflow & 0x40) << 3) + 1;
  const rows = Math.max(Math.floor((scan & 0x80 ? lines >> 1 : lines) / height), 1);
  c.write8(B.ROWS, rows - 1);
  c.write16(B.CHAR_HEIGHT, height);
  c.write16(B.PAGE_SIZE, rows * c.read16(B.COLUMNS) * 2 + 0xff & 0xff00);
  if (height >= 14) setCursorShape(c, 6, 7);
  else setCursorShape(c, height - 2, height - 1);
}

/** Loads a ROM font into a block of plane 2. */
function loadRomFont(c: BiosContext, height: number, block: number): void {
  loadGlyphs(c, romFont(height), height, 0, 256, block & 7);
}

/** 20h–24h: fonts of graphics modes are pointed to, not loaded. BL says how many rows. */
function setGraphicsRows(c: BiosContext, height: number): void {
  const rows = c.bl === 0 ? c.dl : [0, 14, 25, 43][c.bl & 3];
  c.write8(B.ROWS, Math.max(rows, 1) - 1);
  c.write16(B.CHAR_HEIGHT, height);
}

function graphicsFont(c: BiosContext, height: number): void {
  setFontPointer(c, B.ROM_SEGMENT, romFont(height) - (B.ROM_SEGMENT << 4));
  setGraphicsRows(c, height);
}

/** 30h: ES:BP font, CX character height, DL rows − 1. */
function fontInformation(c: BiosContext): void {
  const pointers: Record<number, readonly [number, number]> = {
    0: [c.read16(B.FONT_UPPER_8X8 + 2), c.read16(B.FONT_UPPER_8X8)],
    1: [c.read16(B.FONT + 2), c.read16(B.FONT)],
    2: [B.ROM_SEGMENT, ROM.font14],
    3: [B.ROM_SEGMENT, ROM.font8],
    4: [B.ROM_SEGMENT, ROM.font8 + 128 * 8],
    5: [B.ROM_SEGMENT, ROM.alternate],
    6: [B.ROM_SEGMENT, ROM.font16],
    7: [B.ROM_SEGMENT, ROM.alternate],
  };
  const pointer = pointers[c.bh];
  if (pointer === undefined) return;
  [c.es, c.bp] = pointer;
  c.cx = c.read16(B.CHAR_HEIGHT);
  c.dl = c.read8(B.ROWS);
}

export function fontService(c: BiosContext): void {
  const text = currentMode(c)?.model === "text";
  switch (c.al) {
    case 0x00:
    case 0x10: {
      const height = c.bh;
      if (height === 0 || height > 32) return;
      loadGlyphs(c, linear(c.es, c.bp), height, c.dx & 0xff, Math.min(c.cx, 256), c.bl & 7);
      if (c.al === 0x10 && text) setCharHeight(c, height);
      return;
    }
    case 0x01:
    case 0x02:
    case 0x04:
    case 0x11:
    case 0x12:
    case 0x14: {
      const height = [0, 14, 8, 0, 16][c.al & 7];
      loadRomFont(c, height, c.bl);
      if (c.al & 0x10 && text) setCharHeight(c, height);
      return;
    }
    case 0x03:
      return P.writeIndexed(c, P.SEQ, 3, c.bl);
    case 0x20:
      c.write16(B.FONT_UPPER_8X8, c.bp);
      return c.write16(B.FONT_UPPER_8X8 + 2, c.es);
    case 0x21:
      setFontPointer(c, c.es, c.bp);
      return setGraphicsRows(c, c.cx);
    case 0x22:
      return graphicsFont(c, 14);
    case 0x23:
      return graphicsFont(c, 8);
    case 0x24:
      return graphicsFont(c, 16);
    case 0x30:
      return fontInformation(c);
  }
}
