/**
 * The Bochs DISPI interface ("VBE dispi", id B0C5h) as QEMU's standard VGA has it: a bank of 16-bit
 * registers that sets a packed-pixel or planar mode and pans it over display memory.
 */
import { log } from "../../core/log.ts";
import * as R from "./vga_state.ts";

export const DISPI_MAX_XRES = 16000;
export const DISPI_MAX_YRES = 12000;
export const DISPI_MAX_BPP = 32;

/** Bits a pixel of `bpp` occupies in memory: 15 bpp takes 16. */
export function storageBits(bpp: number): number {
  return bpp === 15 ? 16 : bpp;
}

/** Bytes from one scan line to the next (for 4 bpp: of all four planes together). */
export function dispiLineBytes(d: Uint16Array): number {
  return d[R.DISPI_VIRT_WIDTH] * storageBits(d[R.DISPI_BPP]) / 8;
}

/** Byte offset in display memory of the first displayed pixel. */
export function dispiStart(d: Uint16Array): number {
  return d[R.DISPI_Y_OFFSET] * dispiLineBytes(d) +
    Math.floor(d[R.DISPI_X_OFFSET] * storageBits(d[R.DISPI_BPP]) / 8);
}

export function readDispi(d: Uint16Array, index: number, vramSize: number): number {
  if (index === R.DISPI_VIDEO_MEMORY_64K) return vramSize >> 16;
  if (index > R.DISPI_VIDEO_MEMORY_64K) return 0;
  if (d[R.DISPI_ENABLE] & R.DISPI_GETCAPS) {
    switch (index) {
      case R.DISPI_XRES:
        return DISPI_MAX_XRES;
      case R.DISPI_YRES:
        return DISPI_MAX_YRES;
      case R.DISPI_BPP:
        return DISPI_MAX_BPP;
    }
  }
  return d[index];
}

/**
 * Writes a register; impossible combinations are pulled into what display memory can show.
 * @returns whether the mode was just enabled and display memory has to be cleared
 */
export function writeDispi(
  s: R.VgaState,
  index: number,
  value: number,
  vramSize: number,
): boolean {
  const d = s.dispi;
  switch (index) {
    case R.DISPI_ID:
      if (value >= 0xb0c0 && value <= 0xb0c5) d[R.DISPI_ID] = value;
      return false;
    case R.DISPI_XRES:
    case R.DISPI_YRES:
    case R.DISPI_BPP:
    case R.DISPI_VIRT_WIDTH:
    case R.DISPI_X_OFFSET:
    case R.DISPI_Y_OFFSET:
      d[index] = value;
      if (d[R.DISPI_ENABLE] & R.DISPI_ENABLED) fixUp(d, vramSize);
      return false;
    case R.DISPI_BANK: {
      const banks = d[R.DISPI_BPP] === 4 ? vramSize >> 18 : vramSize >> 16;
      s.dispiBank = d[R.DISPI_BANK] = value & (banks - 1);
      return false;
    }
    case R.DISPI_ENABLE: {
      const enabling = (value & ~d[R.DISPI_ENABLE] & R.DISPI_ENABLED) !== 0;
      d[R.DISPI_ENABLE] = value;
      if (enabling) {
        d[R.DISPI_VIRT_WIDTH] = d[R.DISPI_X_OFFSET] = d[R.DISPI_Y_OFFSET] = 0;
        fixUp(d, vramSize);
      } else {
        s.dispiBank = 0;
      }
      return enabling && !(value & R.DISPI_NOCLEARMEM);
    }
    default:
      log("guest_errors", `vga: write of 0x${value.toString(16)} to DISPI register ${index}`);
      return false;
  }
}

function fixUp(d: Uint16Array, vramSize: number): void {
  if (![4, 8, 15, 16, 24, 32].includes(d[R.DISPI_BPP])) d[R.DISPI_BPP] = 8;
  d[R.DISPI_XRES] = Math.min(Math.max(d[R.DISPI_XRES] & ~7, 8), DISPI_MAX_XRES);
  d[R.DISPI_VIRT_WIDTH] = Math.min(
    Math.max(d[R.DISPI_VIRT_WIDTH] & ~7, d[R.DISPI_XRES]),
    DISPI_MAX_XRES,
  );
  const line = dispiLineBytes(d), lines = Math.floor(vramSize / line);
  d[R.DISPI_YRES] = Math.min(Math.max(d[R.DISPI_YRES], 1), DISPI_MAX_YRES, lines);
  d[R.DISPI_VIRT_HEIGHT] = lines;
  d[R.DISPI_X_OFFSET] = Math.min(d[R.DISPI_X_OFFSET], DISPI_MAX_XRES);
  d[R.DISPI_Y_OFFSET] = Math.min(d[R.DISPI_Y_OFFSET], DISPI_MAX_YRES);
  const shown = d[R.DISPI_YRES] * line;
  if (dispiStart(d) + shown > vramSize) d[R.DISPI_Y_OFFSET] = 0;
  if (dispiStart(d) + shown > vramSize) d[R.DISPI_X_OFFSET] = 0;
}
