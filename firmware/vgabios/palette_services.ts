/** INT 10h function 10h: attribute palette and DAC. */
import type { BiosContext } from "./context.ts";
import { linear } from "./context.ts";
import { luminance } from "./palettes.ts";
import * as P from "./ports.ts";

const ATTR_MODE = 0x10, ATTR_OVERSCAN = 0x11, ATTR_COLOR_SELECT = 0x14;
/** Attribute mode bits: background intensity or blinking; P5–P4 from colour select. */
const BLINK = 0x08, SELECT_54 = 0x80;

function attributes(c: BiosContext, from: number, count: number): void {
  for (let i = 0; i < count; i++) P.writeAttribute(c, i, c.read8(from + i));
}

function writeColors(c: BiosContext, from: number, first: number, count: number): void {
  c.outb(0x3c8, first);
  for (let i = 0; i < 3 * Math.min(count, 256); i++) c.outb(0x3c9, c.read8(from + i));
}

/** Replaces colours by greys of the same luminance. */
function sumToGray(c: BiosContext, first: number, count: number): void {
  for (let n = 0; n < Math.min(count, 256); n++) {
    const [r, g, b] = P.readDac(c, first + n & 0xff, 1), level = luminance(r, g, b);
    P.writeDac(c, first + n & 0xff, [level, level, level]);
  }
}

/** 13h: BL=0 chooses four pages of 64 or sixteen of 16 colours, BL=1 the page. */
function colorPaging(c: BiosContext): void {
  const mode = P.readAttribute(c, ATTR_MODE);
  if (c.bl === 0) {
    P.writeAttribute(c, ATTR_MODE, mode & ~SELECT_54 | (c.bh & 1 ? SELECT_54 : 0));
  } else if (c.bl === 1) {
    P.writeAttribute(c, ATTR_COLOR_SELECT, mode & SELECT_54 ? c.bh & 15 : (c.bh & 3) << 2);
  }
}

export function paletteService(c: BiosContext): void {
  switch (c.al) {
    case 0x00:
      if (c.bl <= ATTR_COLOR_SELECT) P.writeAttribute(c, c.bl, c.bh);
      return;
    case 0x01:
      return P.writeAttribute(c, ATTR_OVERSCAN, c.bh);
    case 0x02: {
      const from = linear(c.es, c.dx);
      attributes(c, from, 16);
      return P.writeAttribute(c, ATTR_OVERSCAN, c.read8(from + 16));
    }
    case 0x03: {
      const mode = P.readAttribute(c, ATTR_MODE) & ~BLINK;
      return P.writeAttribute(c, ATTR_MODE, mode | (c.bl & 1 ? BLINK : 0));
    }
    case 0x07:
      if (c.bl <= ATTR_COLOR_SELECT) c.bh = P.readAttribute(c, c.bl);
      return;
    case 0x08:
      c.bh = P.readAttribute(c, ATTR_OVERSCAN);
      return;
    case 0x09: {
      const to = linear(c.es, c.dx);
      for (let i = 0; i < 16; i++) c.write8(to + i, P.readAttribute(c, i));
      return c.write8(to + 16, P.readAttribute(c, ATTR_OVERSCAN));
    }
    case 0x10:
      return P.writeDac(c, c.bl, [c.dh, c.ch, c.cl]);
    case 0x12:
      return writeColors(c, linear(c.es, c.dx), c.bl, c.cx);
    case 0x13:
      return colorPaging(c);
    case 0x15:
      [c.dh, c.ch, c.cl] = P.readDac(c, c.bl, 1);
      return;
    case 0x17: {
      const to = linear(c.es, c.dx);
      P.readDac(c, c.bl, Math.min(c.cx, 256)).forEach((v, i) => c.write8(to + i, v));
      return;
    }
    case 0x18:
      return c.outb(0x3c6, c.bl);
    case 0x19:
      c.bl = c.inb(0x3c6);
      return;
    case 0x1a: {
      const paged = (P.readAttribute(c, ATTR_MODE) & SELECT_54) !== 0;
      const select = P.readAttribute(c, ATTR_COLOR_SELECT);
      c.bl = paged ? 1 : 0;
      c.bh = paged ? select & 15 : select >> 2 & 3;
      return;
    }
    case 0x1b:
      return sumToGray(c, c.bl, c.cx);
  }
}
