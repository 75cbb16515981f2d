/**
 * Draws what a VGA monitor would show: text through the fonts in plane 2, planar, CGA-interleaved
 * and 256-colour graphics, and DISPI's packed modes. Works scan line by scan line as the CRTC does,
 * so that split screen, panning, preset row scan and double scanning come by themselves.
 */
import type { Clock } from "../../core/clock.ts";
import type { Surface, TextScreen } from "../../core/display/display.ts";
import type { RamBlock } from "../../core/memory/guest_memory.ts";
import { dispiLineBytes, dispiStart } from "./vga_dispi.ts";
import * as R from "./vga_state.ts";

/** What is shown while the registers make no sense: the size of an uninitialised QEMU console. */
const DEFAULT_WIDTH = 640, DEFAULT_HEIGHT = 480;
/** The VGA's 64 Ki steps of the address counter. */
const COUNTER_MASK = 0xffff;

interface TextGeometry {
  readonly columns: number;
  readonly rows: number;
  readonly cellWidth: number;
  readonly cellHeight: number;
}

function textGeometry(s: R.VgaState): TextGeometry | undefined {
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

function isGraphics(s: R.VgaState): boolean {
  return (s.gc[R.GC_MISCELLANEOUS] & 1) !== 0;
}

function dispiEnabled(s: R.VgaState): boolean {
  return (s.dispi[R.DISPI_ENABLE] & R.DISPI_ENABLED) !== 0;
}

/** Offset in plane 2 of a font map, from its three Character Map Select bits. */
function fontOffset(high: number, low: number): number {
  return low << 14 | high << 13;
}

export class VgaRenderer {
  readonly #vram: Uint8Array;
  readonly #vram16: Uint16Array;
  readonly #vram32: Int32Array;
  readonly #dac = new Uint32Array(256);
  readonly #attr = new Uint32Array(16);
  #pixels = new Uint32Array(0);
  #line = new Uint32Array(0);

  constructor(vram: RamBlock, private readonly clock: Clock) {
    const { buffer, byteOffset } = vram.u8;
    this.#vram = vram.u8;
    this.#vram16 = new Uint16Array(buffer, byteOffset, vram.size >> 1);
    this.#vram32 = new Int32Array(buffer, byteOffset, vram.size >> 2);
  }

  /** The picture. Its pixels are overwritten by the next call. */
  surface(s: R.VgaState, frameNs: number): Surface {
    this.#loadPalette(s);
    if (dispiEnabled(s)) return this.#dispi(s);
    const text = isGraphics(s) ? undefined : textGeometry(s);
    let width: number, height: number;
    if (text !== undefined) {
      width = text.columns * text.cellWidth;
      height = text.rows * text.cellHeight;
    } else if (isGraphics(s)) {
      const halfClock = (s.seq[R.SEQ_CLOCKING_MODE] & 8) !== 0;
      const packed = (s.gc[R.GC_GRAPHICS_MODE] & 0x40) !== 0;
      width = (s.crtc[R.CRTC_HORIZONTAL_DISPLAY_END] + 1) * (halfClock && !packed ? 16 : 8);
      height = R.verticalDisplayLines(s.crtc);
    } else return this.#blank(DEFAULT_WIDTH, DEFAULT_HEIGHT);
    const off = !(s.attrIndex & 0x20) || (s.seq[R.SEQ_CLOCKING_MODE] & 0x20) !== 0;
    if (off) return this.#blank(width, height);
    const pixels = this.#frame(width, height);
    const frames = Math.floor(this.clock.now() / frameNs);
    this.#scan(s, text, pixels, width, height, frames);
    return { width, height, pixels };
  }

  text(s: R.VgaState): TextScreen | undefined {
    if (isGraphics(s) || dispiEnabled(s)) return undefined;
    const g = textGeometry(s);
    if (g === undefined) return undefined;
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
        chars[cell] = this.#vram[4 * index];
        attrs[cell] = this.#vram[4 * index + 1];
        if (index === at && cursor === undefined) cursor = { row, column };
      }
      address += s.crtc[R.CRTC_OFFSET] * 2;
    }
    if (!cursorShown(s.crtc)) cursor = undefined;
    return { columns, rows, chars, attrs, cursor };
  }

  #frame(width: number, height: number): Uint32Array {
    if (this.#pixels.length !== width * height) this.#pixels = new Uint32Array(width * height);
    return this.#pixels;
  }

  #blank(width: number, height: number): Surface {
    return { width, height, pixels: this.#frame(width, height).fill(0) };
  }

  /** The DAC as 0x00RRGGBB, and the 16 attribute colours looked up through it. */
  #loadPalette(s: R.VgaState): void {
    const wide = (s.dispi[R.DISPI_ENABLE] & R.DISPI_8BIT_DAC) !== 0;
    // A 6-bit level becomes 8 bits by repeating its lowest bit, as QEMU's pictures have it.
    const level = (v: number) => wide ? v : (v & 0x3f) << 2 | (v & 1) * 3;
    for (let i = 0; i < 256; i++) {
      const d = 3 * (i & s.pelMask);
      this.#dac[i] = level(s.dac[d]) << 16 | level(s.dac[d + 1]) << 8 | level(s.dac[d + 2]);
    }
    const select = s.attr[R.ATTR_COLOR_SELECT];
    for (let i = 0; i < 16; i++) {
      const p = s.attr[i & s.attr[R.ATTR_COLOR_PLANE_ENABLE] & 15];
      this.#attr[i] = this.#dac[
        s.attr[R.ATTR_MODE_CONTROL] & 0x80
          ? (select & 15) << 4 | p & 0x0f
          : (select & 12) << 4 | p & 0x3f
      ];
    }
  }

  #lineBuffer(dots: number): Uint32Array {
    if (this.#line.length < dots) this.#line = new Uint32Array(dots);
    return this.#line;
  }

  #scan(
    s: R.VgaState,
    text: TextGeometry | undefined,
    pixels: Uint32Array,
    width: number,
    height: number,
    frames: number,
  ): void {
    const { crtc } = s;
    const maxScan = crtc[R.CRTC_MAXIMUM_SCAN_LINE] & 0x1f;
    const doubled = (crtc[R.CRTC_MAXIMUM_SCAN_LINE] & 0x80) !== 0;
    const split = R.lineCompare(crtc), step = crtc[R.CRTC_OFFSET] * 2;
    const dotWidth = text ? text.cellWidth >> 3 || 1 : s.seq[R.SEQ_CLOCKING_MODE] & 8 ? 2 : 1;
    let pan = panning(s, text) * (text ? dotWidth : packedDot(s, dotWidth));
    let address = R.startAddress(crtc) + (crtc[R.CRTC_PRESET_ROW_SCAN] >> 5 & 3);
    let scan = crtc[R.CRTC_PRESET_ROW_SCAN] & 0x1f;
    let repeat = false, drawn = -1, drawnAt = -1, drawnPan = -1;
    for (let y = 0; y < height; y++) {
      const at = y * width, from = text ? address : interleaved(crtc, address, scan);
      const key = text ? scan : 0;
      if (y > 0 && from === drawnAt && key === drawn && pan === drawnPan) {
        pixels.copyWithin(at, at - width, at);
      } else {
        if (text) this.#textLine(s, text, address, scan, frames);
        else this.#graphicsLine(s, from, width + 16);
        pixels.set(this.#line.subarray(pan, pan + width), at);
        drawnAt = from;
        drawn = key;
        drawnPan = pan;
      }
      if (y === split) {
        address = 0;
        scan = 0;
        repeat = false;
        if (s.attr[R.ATTR_MODE_CONTROL] & 0x20) pan = 0;
      } else if (doubled && !repeat) {
        repeat = true;
      } else {
        repeat = false;
        if (scan === maxScan) {
          scan = 0;
          address += step;
        } else scan = scan + 1 & 0x1f;
      }
    }
  }

  /** One scan line of text, one cell more than is shown, into the line buffer. */
  #textLine(s: R.VgaState, g: TextGeometry, address: number, scan: number, frames: number): void {
    const { crtc, attr } = s, palette = this.#attr, width = g.cellWidth;
    const line = this.#lineBuffer((g.columns + 1) * width);
    const select = s.seq[R.SEQ_CHARACTER_MAP_SELECT];
    const fontB = fontOffset(select >> 4 & 1, select & 3);
    const fontA = fontOffset(select >> 5 & 1, select >> 2 & 3);
    const lineGraphics = (attr[R.ATTR_MODE_CONTROL] & 4) !== 0;
    const blink = (attr[R.ATTR_MODE_CONTROL] & 8) !== 0, blinkedOff = (frames & 16) !== 0;
    const underline = crtc[R.CRTC_UNDERLINE_LOCATION] & 0x1f;
    const inCursor = cursorShown(crtc) && (frames & 8) === 0 &&
      scan >= (crtc[R.CRTC_CURSOR_START] & 0x1f) && scan <= (crtc[R.CRTC_CURSOR_END] & 0x1f);
    const cursor = inCursor ? R.cursorLocation(crtc) : -1;
    let x = 0;
    for (let column = 0; column <= g.columns; column++) {
      const index = address + column & COUNTER_MASK, cell = this.#vram32[index];
      const char = cell & 0xff, a = cell >>> 8 & 0xff;
      let bits = this.#vram[((a & 8 ? fontA : fontB) + 32 * char + scan) * 4 + 2] << 1;
      if (lineGraphics && (char & 0xe0) === 0xc0) bits |= bits >> 1 & 1;
      let background = a >> 4;
      if (blink) {
        background &= 7;
        if (a & 0x80 && blinkedOff) bits = 0;
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

  /** One scan line of VGA graphics from counter `address`, at least `dots` dots. */
  #graphicsLine(s: R.VgaState, address: number, dots: number): void {
    const line = this.#lineBuffer(dots + 16), mode = s.gc[R.GC_GRAPHICS_MODE];
    const wide = (s.seq[R.SEQ_CLOCKING_MODE] & 8) !== 0;
    const palette = mode & 0x40 ? this.#dac : this.#attr;
    let x = 0;
    while (x < dots) {
      const d = this.#vram32[address++ & COUNTER_MASK];
      if (mode & 0x40) {
        for (let shift = 0; shift < 32; shift += 8) {
          line[x] = line[x + 1] = palette[d >>> shift & 0xff];
          x += 2;
        }
      } else {
        for (let i = 0; i < 8; i++) {
          const color = palette[mode & 0x20 ? cgaPixel(d, i) : planarPixel(d, i)];
          line[x++] = color;
          if (wide) line[x++] = color;
        }
      }
    }
  }

  #dispi(s: R.VgaState): Surface {
    const d = s.dispi, width = d[R.DISPI_XRES], height = d[R.DISPI_YRES];
    const pixels = this.#frame(width, height);
    const stride = dispiLineBytes(d), mask = this.#vram.length - 1;
    let start = dispiStart(d), out = 0;
    for (let y = 0; y < height; y++, start += stride) {
      let from = start & mask;
      const end = out + width;
      switch (d[R.DISPI_BPP]) {
        case 4:
          for (let i = from >> 2; out < end; i++) {
            const quad = this.#vram32[i];
            for (let bit = 0; bit < 8; bit++) pixels[out++] = this.#attr[planarPixel(quad, bit)];
          }
          break;
        case 8:
          while (out < end) pixels[out++] = this.#dac[this.#vram[from++]];
          break;
        case 15:
          for (let i = from >> 1; out < end; i++) {
            const v = this.#vram16[i];
            pixels[out++] = five(v >> 10) << 16 | five(v >> 5) << 8 | five(v);
          }
          break;
        case 16:
          for (let i = from >> 1; out < end; i++) {
            const v = this.#vram16[i], g = v >> 5 & 0x3f;
            pixels[out++] = five(v >> 11) << 16 | (g << 2 | g >> 4) << 8 | five(v);
          }
          break;
        case 24:
          for (; out < end; from += 3) {
            pixels[out++] = this.#vram[from] | this.#vram[from + 1] << 8 |
              this.#vram[from + 2] << 16;
          }
          break;
        default:
          for (let i = from >> 2; out < end; i++) pixels[out++] = this.#vram32[i] & 0xffffff;
      }
    }
    return { width, height, pixels };
  }
}

function five(v: number): number {
  return (v & 0x1f) << 3 | (v & 0x1f) >> 2;
}

function cursorShown(crtc: Uint8Array): boolean {
  const start = crtc[R.CRTC_CURSOR_START];
  return !(start & 0x20) && (start & 0x1f) <= (crtc[R.CRTC_CURSOR_END] & 0x1f);
}

/** Pixel `i` of eight: bit 7−i of each plane. */
function planarPixel(d: number, i: number): number {
  const v = d >>> 7 - i;
  return v & 1 | v >>> 7 & 2 | v >>> 14 & 4 | v >>> 21 & 8;
}

/** Pixel `i` of eight in shift-interleave mode: planes 0 and 2 hold the first four, 1 and 3 the rest. */
function cgaPixel(d: number, i: number): number {
  const v = (i < 4 ? d : d >>> 8) >>> 6 - 2 * (i & 3);
  return v & 3 | v >>> 14 & 12;
}

/** Dots per pixel in graphics: doubled at half clock and in 256-colour modes. */
function packedDot(s: R.VgaState, dotWidth: number): number {
  return s.gc[R.GC_GRAPHICS_MODE] & 0x40 ? 2 : dotWidth;
}

/** Horizontal PEL panning in pixels to the left. */
function panning(s: R.VgaState, text: TextGeometry | undefined): number {
  const value = s.attr[R.ATTR_HORIZONTAL_PEL_PANNING] & 15;
  if (text?.cellWidth === 9) return value >= 8 ? 0 : value + 1;
  if (!text && s.gc[R.GC_GRAPHICS_MODE] & 0x40) return value >> 1 & 3;
  return value & 7;
}

/**
 * The counter as CGA- and Hercules-like modes see it: Mode Control bits 0 and 1, when clear, put row
 * scan bits 0 and 1 in place of memory address bits 13 and 14.
 */
function interleaved(crtc: Uint8Array, address: number, scan: number): number {
  const mode = crtc[R.CRTC_MODE_CONTROL];
  if ((mode & 3) === 3) return address;
  const shift = crtc[R.CRTC_UNDERLINE_LOCATION] & 0x40 ? 2 : mode & 0x40 ? 0 : 1;
  const a13 = 1 << 13 - shift, a14 = 1 << 14 - shift;
  if (!(mode & 1)) address = scan & 1 ? address | a13 : address & ~a13;
  if (!(mode & 2)) address = scan & 2 ? address | a14 : address & ~a14;
  return address;
}
