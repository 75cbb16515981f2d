/** INT 10h functions 12h (alternate select), 1Ah (display combination), 1Bh (functionality). */
import * as B from "./bda.ts";
import type { BiosContext } from "./context.ts";
import { linear } from "./context.ts";
import { ROM } from "./layout.ts";
import { currentMode, GRAY_SUMMING, LINES_200, LINES_400, NO_PALETTE } from "./mode_set.ts";
import * as P from "./ports.ts";

/** Display combination codes: VGA with a colour or a monochrome monitor. */
export const DCC_VGA_COLOR = 8, DCC_VGA_MONO = 7;

function setBits(c: BiosContext, address: number, mask: number, on: boolean): void {
  const old = c.read8(address);
  c.write8(address, on ? old | mask : old & ~mask);
}

/** 12h: BL chooses the service; AL=12h on return says it exists. */
export function alternateSelect(c: BiosContext): void {
  switch (c.bl) {
    case 0x10:
      c.bh = (c.read16(B.CRTC_PORT) & 0x40) === 0 ? 1 : 0;
      c.bl = 3; // 256 KiB
      c.cl = c.read8(B.SWITCHES) & 15;
      c.ch = 0; // feature connector: nothing there
      return;
    case 0x20: // alternate print screen: the system BIOS's knows all rows
      return;
    case 0x30: {
      if (c.al > 2) return;
      const control = c.read8(B.MODE_CONTROL) & ~(LINES_400 | LINES_200);
      c.write8(B.MODE_CONTROL, control | [LINES_200, 0, LINES_400][c.al]);
      break;
    }
    case 0x31:
      setBits(c, B.MODE_CONTROL, NO_PALETTE, c.al === 1);
      break;
    case 0x32:
      c.outb(0x3c2, c.inb(0x3cc) & ~2 | (c.al === 0 ? 2 : 0));
      break;
    case 0x33:
      setBits(c, B.MODE_CONTROL, GRAY_SUMMING, c.al === 0);
      break;
    case 0x34:
      setBits(c, B.VIDEO_CONTROL, 1, c.al === 1);
      break;
    case 0x35: // one display, nothing to switch to
      break;
    case 0x36: {
      const clocking = P.readIndexed(c, P.SEQ, 1) & ~0x20;
      P.writeIndexed(c, P.SEQ, 1, clocking | (c.al === 1 ? 0x20 : 0));
      break;
    }
    default:
      return;
  }
  c.al = 0x12;
}

/** 1Ah: AL=0 reads, AL=1 sets the display combination code. */
export function displayCombination(c: BiosContext): void {
  if (c.al === 0) {
    c.bx = c.read8(B.DCC_INDEX);
  } else if (c.al === 1) {
    c.write8(B.DCC_INDEX, c.bl);
  } else return;
  c.al = 0x1a;
}

/** 1Bh: fills the 64 bytes at ES:DI with the video state. */
export function functionality(c: BiosContext): void {
  if (c.bx !== 0) return;
  const to = linear(c.es, c.di), mode = currentMode(c);
  for (let i = 0; i < 64; i++) c.write8(to + i, 0);
  c.write16(to, ROM.staticFunctionality);
  c.write16(to + 2, B.ROM_SEGMENT);
  for (let i = 0; i < 0x1e; i++) c.write8(to + 4 + i, c.read8(B.VIDEO_MODE + i));
  c.write8(to + 0x22, c.read8(B.ROWS) + 1);
  c.write16(to + 0x23, c.read16(B.CHAR_HEIGHT));
  c.write8(to + 0x25, c.read8(B.DCC_INDEX));
  const colors = { text: 16, cga2: 2, cga4: 4, planar: 16, linear: 256 };
  c.write16(to + 0x27, mode === undefined ? 0 : mode.palette === "mono" ? 0 : colors[mode.model]);
  c.write8(to + 0x29, mode?.pages ?? 1);
  const height = mode === undefined
    ? 0
    : mode.model === "text"
    ? mode.charHeight * 25
    : mode.height;
  c.write8(to + 0x2a, { 200: 0, 350: 1, 400: 2, 480: 3 }[height] ?? 0);
  const select = P.readIndexed(c, P.SEQ, 3);
  c.write8(to + 0x2b, select & 3 | select >> 2 & 4);
  c.write8(to + 0x2c, select >> 2 & 3 | select >> 3 & 4);
  const control = c.read8(B.MODE_CONTROL), blink = P.readAttribute(c, 0x10) & 8;
  c.write8(
    to + 0x2d,
    1 | (control & GRAY_SUMMING ? 2 : 0) | (control & NO_PALETTE ? 8 : 0) |
      (c.read8(B.VIDEO_CONTROL) & 1 ? 0 : 0x10) | (blink ? 0x20 : 0),
  );
  c.write8(to + 0x31, 3); // 256 KiB
  c.write8(to + 0x32, 0x0f); // save areas that the save pointer table may have
  c.al = 0x1b;
}
