/**
 * Registers of the VGA (IBM "Personal System/2 Hardware Interface Technical Reference", video
 * subsystem) and of the Bochs DISPI extension, as one plain object.
 */

/** Sequencer (3C4/3C5). */
export const SEQ_RESET = 0;
export const SEQ_CLOCKING_MODE = 1;
export const SEQ_MAP_MASK = 2;
export const SEQ_CHARACTER_MAP_SELECT = 3;
export const SEQ_MEMORY_MODE = 4;

/** CRT controller (3D4/3D5 or 3B4/3B5). */
export const CRTC_HORIZONTAL_TOTAL = 0x00;
export const CRTC_HORIZONTAL_DISPLAY_END = 0x01;
export const CRTC_VERTICAL_TOTAL = 0x06;
export const CRTC_OVERFLOW = 0x07;
export const CRTC_PRESET_ROW_SCAN = 0x08;
export const CRTC_MAXIMUM_SCAN_LINE = 0x09;
export const CRTC_CURSOR_START = 0x0a;
export const CRTC_CURSOR_END = 0x0b;
export const CRTC_START_ADDRESS_HIGH = 0x0c;
export const CRTC_START_ADDRESS_LOW = 0x0d;
export const CRTC_CURSOR_LOCATION_HIGH = 0x0e;
export const CRTC_CURSOR_LOCATION_LOW = 0x0f;
export const CRTC_VERTICAL_RETRACE_START = 0x10;
export const CRTC_VERTICAL_RETRACE_END = 0x11;
export const CRTC_VERTICAL_DISPLAY_END = 0x12;
export const CRTC_OFFSET = 0x13;
export const CRTC_UNDERLINE_LOCATION = 0x14;
export const CRTC_MODE_CONTROL = 0x17;
export const CRTC_LINE_COMPARE = 0x18;

/** Graphics controller (3CE/3CF). */
export const GC_SET_RESET = 0;
export const GC_ENABLE_SET_RESET = 1;
export const GC_COLOR_COMPARE = 2;
export const GC_DATA_ROTATE = 3;
export const GC_READ_MAP_SELECT = 4;
export const GC_GRAPHICS_MODE = 5;
export const GC_MISCELLANEOUS = 6;
export const GC_COLOR_DONT_CARE = 7;
export const GC_BIT_MASK = 8;

/** Attribute controller (3C0/3C1); 0–15 are the palette. */
export const ATTR_MODE_CONTROL = 0x10;
export const ATTR_OVERSCAN_COLOR = 0x11;
export const ATTR_COLOR_PLANE_ENABLE = 0x12;
export const ATTR_HORIZONTAL_PEL_PANNING = 0x13;
export const ATTR_COLOR_SELECT = 0x14;

/** Bochs DISPI registers (index port 1CE, data port 1CF). */
export const DISPI_ID = 0;
export const DISPI_XRES = 1;
export const DISPI_YRES = 2;
export const DISPI_BPP = 3;
export const DISPI_ENABLE = 4;
export const DISPI_BANK = 5;
export const DISPI_VIRT_WIDTH = 6;
export const DISPI_VIRT_HEIGHT = 7;
export const DISPI_X_OFFSET = 8;
export const DISPI_Y_OFFSET = 9;
export const DISPI_VIDEO_MEMORY_64K = 10;

/** Bits of {@link DISPI_ENABLE}. */
export const DISPI_ENABLED = 0x01;
export const DISPI_GETCAPS = 0x02;
export const DISPI_8BIT_DAC = 0x20;
export const DISPI_LFB_ENABLED = 0x40;
export const DISPI_NOCLEARMEM = 0x80;

export interface VgaState {
  /** Miscellaneous Output (write 3C2, read 3CC). */
  misc: number;
  /** Feature Control (write 3DA/3BA, read 3CA). */
  featureControl: number;
  seqIndex: number;
  seq: Uint8Array;
  crtcIndex: number;
  crtc: Uint8Array;
  gcIndex: number;
  gc: Uint8Array;
  /** Index with the Palette Address Source bit (20h). */
  attrIndex: number;
  /** The next write to 3C0 is data. */
  attrDataNext: boolean;
  attr: Uint8Array;
  /** PEL mask (3C6). */
  pelMask: number;
  /** DAC state (read 3C7): 3 after a read address was set, 0 after a write address. */
  dacState: number;
  dacIndex: number;
  /** Component 0–2 that the next access to 3C9 reaches. */
  dacComponent: number;
  /** Red and green of an entry being written; the entry changes when blue arrives. */
  dacLatch: Uint8Array;
  /** 256 × red, green, blue as the guest reads them: 6 bits each, or 8 with DISPI_8BIT_DAC. */
  dac: Uint8Array;
  /** The four plane latches, plane 0 in the low byte. */
  latch: Int32Array;
  dispiIndex: number;
  dispi: Uint16Array;
  /** 64 KiB bank (of a plane, at 4 bpp) seen at A0000: DISPI_BANK until ENABLE is written. */
  dispiBank: number;
}

export function initialVgaState(): VgaState {
  const dispi = new Uint16Array(11);
  dispi[DISPI_ID] = 0xb0c5;
  return {
    misc: 0,
    featureControl: 0,
    seqIndex: 0,
    seq: new Uint8Array(8),
    crtcIndex: 0,
    crtc: new Uint8Array(256),
    gcIndex: 0,
    gc: new Uint8Array(16),
    attrIndex: 0,
    attrDataNext: false,
    attr: new Uint8Array(32),
    pelMask: 0xff,
    dacState: 0,
    dacIndex: 0,
    dacComponent: 0,
    dacLatch: new Uint8Array(3),
    dac: new Uint8Array(768),
    latch: new Int32Array(1),
    dispiIndex: 0,
    dispi,
    dispiBank: 0,
  };
}

/** Last displayed scan line + 1, from the 10 bits the CRTC spreads over three registers. */
export function verticalDisplayLines(crtc: Uint8Array): number {
  const o = crtc[CRTC_OVERFLOW];
  return (crtc[CRTC_VERTICAL_DISPLAY_END] | (o & 0x02) << 7 | (o & 0x40) << 3) + 1;
}

/** Line compare value (10 bits): the split screen starts on the line after it. */
export function lineCompare(crtc: Uint8Array): number {
  return crtc[CRTC_LINE_COMPARE] | (crtc[CRTC_OVERFLOW] & 0x10) << 4 |
    (crtc[CRTC_MAXIMUM_SCAN_LINE] & 0x40) << 3;
}

/** Start address in address-counter units (one character cell, or one step of the four planes). */
export function startAddress(crtc: Uint8Array): number {
  return crtc[CRTC_START_ADDRESS_HIGH] << 8 | crtc[CRTC_START_ADDRESS_LOW];
}

export function cursorLocation(crtc: Uint8Array): number {
  return crtc[CRTC_CURSOR_LOCATION_HIGH] << 8 | crtc[CRTC_CURSOR_LOCATION_LOW];
}
