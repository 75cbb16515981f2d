/** VESA BIOS Extension 3.0 (INT 10h/4Fxxh) on the DISPI registers. No protected-mode interface. */
import * as B from "./bda.ts";
import type { BiosContext } from "./context.ts";
import { linear } from "./context.ts";
import { ROM } from "./layout.ts";
import { setMode } from "./mode_set.ts";
import { PALETTES } from "./palettes.ts";
import * as P from "./ports.ts";
import { restoreState, saveState, stateBlocks } from "./state_services.ts";
import { lineBytes, pictureBytes, VBE_MODES, type VbeMode, vbeMode } from "./vbe_modes.ts";

/** AX on return. */
const OK = 0x004f, FAILED = 0x014f, NOT_IN_THIS_MODE = 0x034f;

/** DISPI registers and ENABLE bits. */
const XRES = 1, YRES = 2, BPP = 3, ENABLE = 4, BANK = 5, VIRT_WIDTH = 6, X_OFFSET = 8, Y_OFFSET = 9;
const MEMORY_64K = 10;
const ENABLED = 0x01, DAC_8BIT = 0x20, LFB = 0x40, KEEP_MEMORY = 0x80;

/** Bits of a mode number in BX. */
const USE_LFB = 0x4000, KEEP = 0x8000;

/** Pixel clock limit reported for the modes (Hz). */
const MAX_PIXEL_CLOCK = 230_000_000;

function memoryBytes(c: BiosContext): number {
  return P.readDispi(c, MEMORY_64K) * 65536;
}

/** Where an ISA card has its framebuffer. */
const ISA_FRAMEBUFFER = 0xe0000000;

/** A base address register of the PCI adapter (1234:1111 on bus 0), or undefined on ISA. */
function baseAddress(c: BiosContext, bar: 0 | 2): number | undefined {
  const address = c.inl(0xcf8);
  let found: number | undefined;
  for (let devfn = 0; devfn < 256; devfn++) {
    const config = (0x80000000 | devfn << 8) >>> 0;
    c.outl(0xcf8, config);
    if (c.inl(0xcfc) !== 0x11111234) continue;
    c.outl(0xcf8, config | 0x10 + 4 * bar);
    found = (c.inl(0xcfc) & ~15) >>> 0;
    break;
  }
  c.outl(0xcf8, address);
  return found;
}

/** The VBE mode in force, or undefined. */
function activeMode(c: BiosContext): VbeMode | undefined {
  return vbeMode(c.read16(B.VBE_MODE) & 0x3fff);
}

/** Whether display memory holds a picture of the mode. */
function fits(c: BiosContext, m: VbeMode): boolean {
  return pictureBytes(m) <= memoryBytes(c);
}

/** 4F00h: VbeInfoBlock at ES:DI; 512 bytes when the caller asks for VBE 2, else 256. */
function controllerInfo(c: BiosContext): number {
  const to = linear(c.es, c.di);
  const vbe2 = c.read32(to) === 0x32454256;
  for (let i = 0; i < (vbe2 ? 512 : 256); i += 4) c.write32(to + i, 0);
  c.write32(to, 0x41534556); // "VESA"
  c.write16(to + 4, 0x0300);
  farPointer(c, to + 6, ROM.oemString);
  c.write32(to + 10, 1); // DAC switchable to 8 bits
  // The mode list lies in the caller's block: only modes that fit in this memory are in it.
  c.write16(to + 14, c.di + 34);
  c.write16(to + 16, c.es);
  c.write16(to + 18, memoryBytes(c) >> 16);
  if (vbe2) {
    c.write16(to + 20, 0x0001);
    farPointer(c, to + 22, ROM.vendorString);
    farPointer(c, to + 26, ROM.productString);
    farPointer(c, to + 30, ROM.revisionString);
  }
  let at = to + 34;
  for (const m of VBE_MODES) {
    if (!fits(c, m) || at >= to + (vbe2 ? 510 : 254)) continue;
    c.write16(at, m.number);
    at += 2;
  }
  c.write16(at, 0xffff);
  return OK;
}

function farPointer(c: BiosContext, at: number, offset: number): void {
  c.write16(at, offset);
  c.write16(at + 2, B.ROM_SEGMENT);
}

/** Red, green, blue, reserved: size and position of each in a pixel. */
const DIRECT_COLOR: Partial<Record<VbeMode["bpp"], readonly number[]>> = {
  15: [5, 10, 5, 5, 5, 0, 1, 15],
  16: [5, 11, 6, 5, 5, 0, 0, 0],
  24: [8, 16, 8, 8, 8, 0, 0, 0],
  32: [8, 16, 8, 8, 8, 0, 8, 24],
};

/** 4F01h: ModeInfoBlock of mode CX at ES:DI, 256 bytes. */
function modeInfo(c: BiosContext): number {
  const m = vbeMode(c.cx & 0x3fff);
  if (m === undefined || !fits(c, m)) return FAILED;
  const to = linear(c.es, c.di), planar = m.bpp === 4, line = lineBytes(m);
  for (let i = 0; i < 256; i += 4) c.write32(to + i, 0);
  // Supported, extended information, colour, graphics; linear framebuffer when packed.
  c.write16(to, planar ? 0x003b : 0x00bb);
  c.write8(to + 2, 7); // window A: relocatable, readable, writable
  c.write16(to + 4, 64); // granularity and size in KiB
  c.write16(to + 6, 64);
  c.write16(to + 8, 0xa000);
  c.write16(to + 16, line);
  c.write16(to + 18, m.width);
  c.write16(to + 20, m.height);
  c.write8(to + 22, 8);
  c.write8(to + 23, 16);
  c.write8(to + 24, planar ? 4 : 1);
  c.write8(to + 25, m.bpp);
  c.write8(to + 26, 1); // banks
  c.write8(to + 27, planar ? 3 : m.bpp === 8 ? 4 : 6);
  // Pictures start at bank boundaries.
  const images = Math.floor(memoryBytes(c) / (Math.ceil(pictureBytes(m) / 65536) * 65536));
  c.write8(to + 29, Math.min(images - 1, 127));
  c.write8(to + 30, 1);
  const direct = DIRECT_COLOR[m.bpp];
  direct?.forEach((v, i) => c.write8(to + 31 + i, v));
  c.write8(to + 39, m.bpp === 32 ? 2 : 0); // reserved bits usable
  if (!planar) {
    c.write32(to + 40, baseAddress(c, 0) ?? ISA_FRAMEBUFFER);
    c.write16(to + 50, line); // VBE 3: the same for the linear framebuffer
    c.write8(to + 53, Math.min(images - 1, 127));
    direct?.forEach((v, i) => c.write8(to + 54 + i, v));
  }
  c.write8(to + 52, Math.min(images - 1, 127));
  c.write32(to + 62, MAX_PIXEL_CLOCK);
  return OK;
}

/** 4F02h: BX mode, bit 14 linear framebuffer, bit 15 keep memory. */
function setVbeMode(c: BiosContext): number {
  const number = c.bx & 0x37ff, keep = (c.bx & KEEP) !== 0;
  if (number < 0x100) return setMode(c, number & 0x7f, keep) ? OK : FAILED;
  const m = vbeMode(number);
  if (m === undefined || !fits(c, m) || (m.bpp === 4 && c.bx & USE_LFB)) return FAILED;
  // The VGA underneath: planar 640×480 or chain-4, screen on, palette of the mode.
  if (!setMode(c, m.bpp === 4 ? 0x12 : 0x13, true)) return FAILED;
  if (m.bpp === 8) P.writeDac(c, 0, PALETTES.vga256);
  P.writeDispi(c, XRES, m.width);
  P.writeDispi(c, YRES, m.height);
  P.writeDispi(c, BPP, m.bpp);
  P.writeDispi(c, ENABLE, ENABLED | (c.bx & USE_LFB ? LFB : 0) | (keep ? KEEP_MEMORY : 0));
  P.writeDispi(c, BANK, 0);
  c.write16(B.VBE_MODE, c.bx & (0x1ff | USE_LFB | KEEP));
  c.write8(B.VIDEO_MODE, 0xff);
  c.write16(B.COLUMNS, m.width / 8);
  c.write8(B.ROWS, Math.min(m.height / 16, 256) - 1);
  c.write16(B.CHAR_HEIGHT, 16);
  return OK;
}

/** 4F03h. */
function getVbeMode(c: BiosContext): number {
  c.bx = c.read16(B.VBE_MODE) || c.read8(B.VIDEO_MODE) & 0x7f;
  return OK;
}

/** 4F04h: DL 0 size, 1 save, 2 restore; CX parts; ES:BX buffer. */
function state(c: BiosContext): number {
  const parts = c.cx & 15;
  switch (c.dl) {
    case 0:
      c.bx = stateBlocks(parts);
      return OK;
    case 1:
      saveState(c, parts, linear(c.es, c.bx));
      return OK;
    case 2:
      restoreState(c, parts, linear(c.es, c.bx));
      return OK;
    default:
      return FAILED;
  }
}

/** 4F05h: BH 0 sets, 1 gets the 64 KiB bank DX of window BL (only A). */
function window(c: BiosContext): number {
  if (c.bl !== 0) return FAILED;
  const m = activeMode(c);
  if (m === undefined) return FAILED;
  if (c.read16(B.VBE_MODE) & USE_LFB) return NOT_IN_THIS_MODE;
  if (c.bh === 1) {
    c.dx = P.readDispi(c, BANK);
    return OK;
  }
  if (c.bh !== 0 || c.dx >= memoryBytes(c) >> (m.bpp === 4 ? 18 : 16)) return FAILED;
  P.writeDispi(c, BANK, c.dx);
  return OK;
}

function bytesPerPixel(m: VbeMode): number {
  return m.bpp === 4 ? 1 / 8 : m.bpp + 7 >> 3;
}

/** 4F06h: BL 0 sets in pixels, 1 gets, 2 sets in bytes, 3 gets the maximum. */
function scanLineLength(c: BiosContext): number {
  const m = activeMode(c);
  if (m === undefined) return FAILED;
  const bytes = bytesPerPixel(m), memory = memoryBytes(c) / (m.bpp === 4 ? 4 : 1);
  let pixels = P.readDispi(c, VIRT_WIDTH);
  switch (c.bl) {
    case 0:
    case 2: {
      const wanted = c.bl === 0 ? c.cx : Math.floor(c.cx / bytes);
      const width = Math.max(wanted + 7 & ~7, m.width);
      if (width * bytes * m.height > memory || width > 16000) return 0x024f;
      P.writeDispi(c, VIRT_WIDTH, width);
      pixels = P.readDispi(c, VIRT_WIDTH);
      break;
    }
    case 1:
      break;
    case 3:
      pixels = Math.min(Math.floor(memory / m.height / bytes), 16000) & ~7;
      break;
    default:
      return FAILED;
  }
  c.bx = pixels * bytes;
  c.cx = pixels;
  c.dx = Math.min(Math.floor(memory / (pixels * bytes)), 0xffff);
  return OK;
}

/** 4F07h: BL 0 or 80h sets, 1 gets the first pixel CX of line DX. */
function displayStart(c: BiosContext): number {
  if (activeMode(c) === undefined) return FAILED;
  switch (c.bl) {
    case 0x00:
    case 0x80: {
      const [x, y] = [P.readDispi(c, X_OFFSET), P.readDispi(c, Y_OFFSET)];
      P.writeDispi(c, X_OFFSET, c.cx);
      P.writeDispi(c, Y_OFFSET, c.dx);
      if (P.readDispi(c, X_OFFSET) === c.cx && P.readDispi(c, Y_OFFSET) === c.dx) return OK;
      P.writeDispi(c, X_OFFSET, x);
      P.writeDispi(c, Y_OFFSET, y);
      return FAILED;
    }
    case 0x01:
      c.bh = 0;
      c.cx = P.readDispi(c, X_OFFSET);
      c.dx = P.readDispi(c, Y_OFFSET);
      return OK;
    default:
      return FAILED;
  }
}

/** 4F08h: BL 0 sets BH bits per colour, 1 gets them. Only with a palette. */
function dacFormat(c: BiosContext): number {
  const m = activeMode(c);
  if (m === undefined || m.bpp > 8) return NOT_IN_THIS_MODE;
  const enable = P.readDispi(c, ENABLE);
  if (c.bl === 0) {
    const wide = c.bh >= 8;
    // Written with the mode on, ENABLE leaves offsets alone but not the bank.
    const bank = P.readDispi(c, BANK);
    P.writeDispi(c, ENABLE, wide ? enable | DAC_8BIT : enable & ~DAC_8BIT);
    P.writeDispi(c, BANK, bank);
  } else if (c.bl !== 1) return FAILED;
  c.bh = P.readDispi(c, ENABLE) & DAC_8BIT ? 8 : 6;
  return OK;
}

/** 4F09h: BL 0 or 80h sets, 1 gets CX colours from DX at ES:DI: blue, green, red, 0. */
function palette(c: BiosContext): number {
  const m = activeMode(c);
  if (m !== undefined && m.bpp > 8) return NOT_IN_THIS_MODE;
  const at = linear(c.es, c.di), count = c.cx;
  if (c.dx + count > 256) return FAILED;
  switch (c.bl) {
    case 0x00:
    case 0x80:
      for (let i = 0; i < count; i++) {
        const entry = at + 4 * i;
        P.writeDac(c, c.dx + i, [c.read8(entry + 2), c.read8(entry + 1), c.read8(entry)]);
      }
      return OK;
    case 0x01:
      for (let i = 0; i < count; i++) {
        const [r, g, b] = P.readDac(c, c.dx + i, 1), entry = at + 4 * i;
        [b, g, r, 0].forEach((v, n) => c.write8(entry + n, v));
      }
      return OK;
    default: // no secondary palette
      return 0x024f;
  }
}

/** 4F15h: BL 0 what the monitor's data channel can do, 1 copies EDID block DX to ES:DI. */
function displayData(c: BiosContext): number {
  const registers = baseAddress(c, 2);
  if (registers === undefined) return FAILED;
  const block = registers + 128 * c.dx;
  switch (c.bl) {
    case 0:
      c.bx = 0x0103; // a second per block, DDC1 and DDC2
      return OK;
    case 1: {
      // Blocks beyond the first are announced in it.
      const blocks = c.read32(registers) === 0xffffff00 ? c.read8(registers + 126) + 1 : 0;
      if (c.dx >= blocks) return FAILED;
      for (let i = 0; i < 128; i++) c.write8(linear(c.es, c.di) + i, c.read8(block + i));
      return OK;
    }
    default:
      return FAILED;
  }
}

const SERVICES: Readonly<Record<number, (c: BiosContext) => number>> = {
  0x00: controllerInfo,
  0x01: modeInfo,
  0x02: setVbeMode,
  0x03: getVbeMode,
  0x04: state,
  0x05: window,
  0x06: scanLineLength,
  0x07: displayStart,
  0x08: dacFormat,
  0x09: palette,
  0x15: displayData,
};

/** 4Fxxh: AX says how it went; a function that is not there leaves AL other than 4Fh. */
export function vbeService(c: BiosContext): void {
  const service = P.hasDispi(c) ? SERVICES[c.al] : undefined;
  if (service === undefined) c.ax = 0x0100;
  else c.ax = service(c);
}
