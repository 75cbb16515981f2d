/** INT 10h and the ROM's initialisation: what the stubs of the VGA BIOS trap into. */
import type { BiosHandler } from "../bios/frame.ts";
import * as B from "./bda.ts";
import type { BiosContext } from "./context.ts";
import { linear } from "./context.ts";
import { fontService } from "./font_services.ts";
import {
  alternateSelect,
  DCC_VGA_COLOR,
  displayCombination,
  functionality,
} from "./info_services.ts";
import { FN_INIT, FN_INT10, ROM } from "./layout.ts";
import { LINES_400, setMode } from "./mode_set.ts";
import { paletteService } from "./palette_services.ts";
import { restoreState, saveState, stateBlocks } from "./state_services.ts";
import { textService } from "./text_services.ts";
import { vbeService } from "./vbe.ts";

/** Parts of the state that INT 10h/1Ch knows. */
const STATE_PARTS = 7;

/** INT 10h: AH is the function; unknown ones change nothing. */
export function int10(c: BiosContext): void {
  switch (c.ah) {
    case 0x00: {
      const number = c.al & 0x7f;
      // What some programs look at: 20h for modes above 7, 3Fh for 6, 30h for the others.
      if (setMode(c, number, (c.al & 0x80) !== 0)) {
        c.al = number > 7 ? 0x20 : number === 6 ? 0x3f : 0x30;
      }
      return;
    }
    case 0x10:
      return paletteService(c);
    case 0x11:
      return fontService(c);
    case 0x12:
      return alternateSelect(c);
    case 0x1a:
      return displayCombination(c);
    case 0x1b:
      return functionality(c);
    case 0x1c:
      return videoState(c);
    case 0x4f:
      return vbeService(c);
    default:
      textService(c);
  }
}

/** 1Ch: AL 0 size, 1 save, 2 restore; CX parts; ES:BX buffer. */
function videoState(c: BiosContext): void {
  const parts = c.cx & STATE_PARTS, buffer = linear(c.es, c.bx);
  if (parts === 0) return;
  switch (c.al) {
    case 0:
      c.bx = stateBlocks(parts);
      break;
    case 1:
      saveState(c, parts, buffer);
      break;
    case 2:
      restoreState(c, parts, buffer);
      break;
    default:
      return;
  }
  c.al = 0x1c;
}

/** The ROM's entry point, called once by POST: takes the vectors and sets mode 3. */
export function initialize(c: BiosContext): void {
  const vector = (n: number, offset: number) => {
    c.write16(4 * n, offset);
    c.write16(4 * n + 2, B.ROM_SEGMENT);
  };
  vector(0x10, ROM.int10);
  vector(0x42, ROM.int10);
  vector(0x6d, ROM.int10);
  vector(0x1f, ROM.font8 + 128 * 8);
  // Equipment: 80×25 colour would be 20h; 00h says EGA or better.
  c.write8(B.EQUIPMENT, c.read8(B.EQUIPMENT) & ~0x30 | 0x20);
  c.write8(B.VIDEO_CONTROL, 0x60);
  c.write8(B.SWITCHES, 0xf9);
  c.write8(B.MODE_CONTROL, 0x41 | LINES_400);
  c.write8(B.DCC_INDEX, DCC_VGA_COLOR);
  c.write16(B.SAVE_POINTER, ROM.savePointers);
  c.write16(B.SAVE_POINTER + 2, B.ROM_SEGMENT);
  setMode(c, 3, false);
}

/** Adds the handlers of the VGA BIOS's stubs to a machine's. */
export function addVgaBios(handlers: Map<number, BiosHandler>): void {
  handlers.set(FN_INIT, initialize);
  handlers.set(FN_INT10, int10);
}
