/**
 * Draws what a VGA monitor would show: text through the fonts in plane 2, planar, CGA-interleaved
 * and 256-colour graphics, and DISPI's packed modes. Works scan line by scan line as the CRTC does,
 * so that split screen, panning, preset row scan and double scanning come by themselves.
 *
 * The picture is kept, and of a picture whose registers and colours are those of the last one only
 * the lines are drawn that show display memory which has changed since.
 */
import type { Clock } from "../../core/clock.ts";
import { type DirtyPages, PAGE } from "../../core/display/dirty.ts";
import type { TextScreen } from "../../core/display/display.ts";
import { Picture } from "../../core/display/picture.ts";
import { dispiLineBytes, dispiStart } from "./vga_dispi.ts";
import * as R from "./vga_state.ts";
import { COUNTER_MASK, readText, type TextGeometry, textGeometry, TextLines } from "./vga_text.ts";

/** What is shown while the registers make no sense: the size of an uninitialised QEMU console. */
const DEFAULT_WIDTH = 640, DEFAULT_HEIGHT = 480;
/** Bytes of display memory that the VGA's address counter reaches. */
const COUNTER_BYTES = 4 * (COUNTER_MASK + 1);

/** What kind of picture the registers ask for. */
const BLANK = 0, TEXT = 1, GRAPHICS = 2, PACKED = 3;

/** CRTC registers that a picture depends on beyond its cursor. */
const CRTC_SHOWN = [
  R.CRTC_OVERFLOW,
  R.CRTC_PRESET_ROW_SCAN,
  R.CRTC_MAXIMUM_SCAN_LINE,
  R.CRTC_START_ADDRESS_HIGH,
  R.CRTC_START_ADDRESS_LOW,
  R.CRTC_OFFSET,
  R.CRTC_UNDERLINE_LOCATION,
  R.CRTC_MODE_CONTROL,
  R.CRTC_LINE_COMPARE,
];
const DISPI_SHOWN = [R.DISPI_BPP, R.DISPI_VIRT_WIDTH, R.DISPI_X_OFFSET, R.DISPI_Y_OFFSET];

function isGraphics(s: R.VgaState): boolean {
  return (s.gc[R.GC_MISCELLANEOUS] & 1) !== 0;
}

function dispiEnabled(s: R.VgaState): boolean {
  return (s.dispi[R.DISPI_ENABLE] & R.DISPI_ENABLED) !== 0;
}

export class VgaRenderer {
  readonly #vram: Uint8Array;
  readonly #vram16: Uint16Array;
  readonly #vram32: Int32Array;
  /** The 256 colours of the DAC and, behind them, the 16 of the attribute controller. */
  readonly #colors = new Uint32Array(256 + 16);
  readonly #dac = this.#colors.subarray(0, 256);
  readonly #attr = this.#colors.subarray(256);
  readonly #drawnColors = new Uint32Array(this.#colors.length);
  /** Registers that decide on the whole picture, as they are and as they were. */
  readonly #key = new Int32Array(32);
  readonly #drawnKey = new Int32Array(this.#key.length).fill(-1);
  readonly #textLines: TextLines;
  #picture = new Picture(0, 0, 0);
  #line = new Uint32Array(0);
  /** Scan lines that the last {@link surface} has drawn, for tests and curiosity. */
  drawn = 0;

  constructor(private readonly dirty: DirtyPages, private readonly clock: Clock) {
    const { u8, size } = dirty.block;
    this.#vram = u8;
    this.#vram16 = new Uint16Array(u8.buffer, u8.byteOffset, size >> 1);
    this.#vram32 = new Int32Array(u8.buffer, u8.byteOffset, size >> 2);
    this.#textLines = new TextLines(dirty);
  }

  /** The picture, brought up to date. The next call changes it, or makes another of a new size. */
  surface(s: R.VgaState, frameNs: number): Picture {
    this.#loadPalette(s);
    let text: TextGeometry | undefined;
    let kind = BLANK, width = DEFAULT_WIDTH, height = DEFAULT_HEIGHT;
    if (dispiEnabled(s)) {
      kind = PACKED;
      width = s.dispi[R.DISPI_XRES];
      height = s.dispi[R.DISPI_YRES];
    } else if (isGraphics(s)) {
      const halfClock = (s.seq[R.SEQ_CLOCKING_MODE] & 8) !== 0;
      const packed = (s.gc[R.GC_GRAPHICS_MODE] & 0x40) !== 0;
      kind = GRAPHICS;
      width = (s.crtc[R.CRTC_HORIZONTAL_DISPLAY_END] + 1) * (halfClock && !packed ? 16 : 8);
      height = R.verticalDisplayLines(s.crtc);
    } else if ((text = textGeometry(s)) !== undefined) {
      kind = TEXT;
      width = text.columns * text.cellWidth;
      height = text.rows * text.cellHeight;
    }
    // Palette Address Source blanks DISPI modes too, as QEMU's adapter has it; Screen Off does not.
    const off = kind !== PACKED && (s.seq[R.SEQ_CLOCKING_MODE] & 0x20) !== 0;
    if (off || !(s.attrIndex & 0x20)) kind = BLANK;
    if (this.#picture.width !== width || this.#picture.height !== height) {
      this.#picture = new Picture(width, height, this.#picture.serial + 1);
    } else this.#picture.begin();
    this.drawn = 0;
    const all = this.#changed(s, kind, width, height);
    switch (kind) {
      case BLANK:
        if (all) this.#picture.blank();
        break;
      case PACKED:
        this.#packed(s, all);
        break;
      default:
        this.#scan(s, text, all, Math.floor(this.clock.now() / frameNs));
    }
    return this.#picture;
  }

  text(s: R.VgaState): TextScreen | undefined {
    if (isGraphics(s) || dispiEnabled(s)) return undefined;
    const g = textGeometry(s);
    if (g === undefined) return undefined;
    this.dirty.update(0, 0); // carries out queued writes
    return readText(s, g, this.#vram);
  }

  /** Whether registers or colours ask for another picture than the last, whatever memory holds. */
  #changed(s: R.VgaState, kind: number, width: number, height: number): boolean {
    const key = this.#key.fill(0);
    let n = 0, same = true;
    key[n++] = kind;
    key[n++] = width;
    key[n++] = height;
    if (kind === PACKED) {
      for (const index of DISPI_SHOWN) key[n++] = s.dispi[index];
    } else if (kind !== BLANK) {
      key[n++] = s.seq[R.SEQ_CLOCKING_MODE];
      key[n++] = s.seq[R.SEQ_CHARACTER_MAP_SELECT];
      key[n++] = s.gc[R.GC_GRAPHICS_MODE];
      key[n++] = s.attr[R.ATTR_MODE_CONTROL];
      key[n++] = s.attr[R.ATTR_HORIZONTAL_PEL_PANNING];
      for (const index of CRTC_SHOWN) key[n++] = s.crtc[index];
    }
    for (let i = 0; i < key.length; i++) if (key[i] !== this.#drawnKey[i]) same = false;
    if (!same) this.#drawnKey.set(key);
    const colors = this.#colors, drawn = this.#drawnColors;
    for (let i = 0; i < colors.length; i++) {
      if (colors[i] === drawn[i]) continue;
      drawn[i] = colors[i];
      same = false;
    }
    return !same;
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

  #scan(s: R.VgaState, text: TextGeometry | undefined, all: boolean, frame: number): void {
    const { crtc } = s, picture = this.#picture, { width, height } = picture;
    const maxScan = crtc[R.CRTC_MAXIMUM_SCAN_LINE] & 0x1f;
    const doubled = (crtc[R.CRTC_MAXIMUM_SCAN_LINE] & 0x80) !== 0;
    const split = R.lineCompare(crtc), step = crtc[R.CRTC_OFFSET] * 2;
    const dotWidth = text ? text.cellWidth >> 3 || 1 : s.seq[R.SEQ_CLOCKING_MODE] & 8 ? 2 : 1;
    const dots = text ? (text.columns + 1) * text.cellWidth : width + 16;
    const line = this.#lineBuffer(dots + 16);
    this.dirty.update(0, COUNTER_BYTES);
    if (all) this.dirty.markAll();
    if (text && this.#textLines.begin(s, text, height, frame)) all = true;
    let pan = panning(s, text) * (text ? dotWidth : packedDot(s, dotWidth));
    let address = R.startAddress(crtc) + (crtc[R.CRTC_PRESET_ROW_SCAN] >> 5 & 3);
    let scan = crtc[R.CRTC_PRESET_ROW_SCAN] & 0x1f;
    let repeat = false, row = -1, newRow = true, rowChanged = false;
    let above = -1, aboveKey = -1, abovePan = -1;
    for (let y = 0; y < height; y++) {
      const from = text ? address : interleaved(crtc, address, scan), key = text ? scan : 0;
      if (text && newRow) rowChanged = this.#textLines.rowChanged(s, text, ++row, address);
      if (all || (text ? rowChanged : this.#graphicsChanged(s, from, dots))) {
        this.drawn++;
        // The line above, if it shows the same memory, has been drawn for the same reason.
        if (y > 0 && from === above && key === aboveKey && pan === abovePan) picture.repeat(y);
        else {
          if (text) this.#textLines.draw(s, text, address, scan, this.#attr, line);
          else this.#graphicsLine(s, from, dots, line);
          picture.put(y, line, pan);
        }
      }
      above = from;
      aboveKey = key;
      abovePan = pan;
      newRow = false;
      if (y === split) {
        address = 0;
        scan = 0;
        repeat = false;
        newRow = true;
        if (s.attr[R.ATTR_MODE_CONTROL] & 0x20) pan = 0;
      } else if (doubled && !repeat) {
        repeat = true;
      } else {
        repeat = false;
        if (scan === maxScan) {
          scan = 0;
          address += step;
          newRow = true;
        } else scan = scan + 1 & 0x1f;
      }
    }
    this.dirty.clear();
  }

  /** Whether memory shown by `dots` dots of graphics from counter `address` on may have changed. */
  #graphicsChanged(s: R.VgaState, address: number, dots: number): boolean {
    const packed = (s.gc[R.GC_GRAPHICS_MODE] & 0x40) !== 0;
    const perStep = !packed && s.seq[R.SEQ_CLOCKING_MODE] & 8 ? 16 : 8;
    const start = 4 * (address & COUNTER_MASK), end = start + 4 * Math.ceil(dots / perStep);
    return this.#pagesChanged(start, Math.min(end, COUNTER_BYTES)) ||
      this.#pagesChanged(0, end - COUNTER_BYTES);
  }

  #pagesChanged(start: number, end: number): boolean {
    const { pages } = this.dirty, last = Math.ceil(Math.min(end, this.#vram.length) / PAGE);
    for (let p = Math.floor(start / PAGE); p < last; p++) if (pages[p] !== 0) return true;
    return false;
  }

  /** One scan line of VGA graphics from counter `address`, at least `dots` dots. */
  #graphicsLine(s: R.VgaState, address: number, dots: number, line: Uint32Array): void {
    const mode = s.gc[R.GC_GRAPHICS_MODE];
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

  #packed(s: R.VgaState, all: boolean): void {
    const d = s.dispi, picture = this.#picture, { width, height } = picture;
    const stride = dispiLineBytes(d), mask = this.#vram.length - 1;
    const line = this.#lineBuffer(width), bytes = width * stride / d[R.DISPI_VIRT_WIDTH];
    let start = dispiStart(d);
    this.dirty.update(start, start + (height - 1) * stride + bytes);
    for (let y = 0; y < height; y++, start += stride) {
      const from = start & mask;
      if (!all && !this.#pagesChanged(from & ~3, from + bytes)) continue;
      this.drawn++;
      this.#packedLine(d[R.DISPI_BPP], from, width, line);
      picture.put(y, line, 0);
    }
    this.dirty.clear();
  }

  /** One scan line of a DISPI mode from byte `from`. */
  #packedLine(bpp: number, from: number, width: number, line: Uint32Array): void {
    let out = 0;
    switch (bpp) {
      case 4:
        for (let i = from >> 2; out < width; i++) {
          const quad = this.#vram32[i];
          for (let bit = 0; bit < 8; bit++) line[out++] = this.#attr[planarPixel(quad, bit)];
        }
        break;
      case 8:
        while (out < width) line[out++] = this.#dac[this.#vram[from++]];
        break;
      case 15:
        for (let i = from >> 1; out < width; i++) {
          const v = this.#vram16[i];
          line[out++] = five(v >> 10) << 16 | five(v >> 5) << 8 | five(v);
        }
        break;
      case 16:
        for (let i = from >> 1; out < width; i++) {
          const v = this.#vram16[i], g = v >> 5 & 0x3f;
          line[out++] = five(v >> 11) << 16 | (g << 2 | g >> 4) << 8 | five(v);
        }
        break;
      case 24:
        for (; out < width; from += 3) {
          line[out++] = this.#vram[from] | this.#vram[from + 1] << 8 | this.#vram[from + 2] << 16;
        }
        break;
      default:
        for (let i = from >> 2; out < width; i++) line[out++] = this.#vram32[i] & 0xffffff;
    }
  }
}

function five(v: number): number {
  return (v & 0x1f) << 3 | (v & 0x1f) >> 2;
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
