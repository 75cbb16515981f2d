/**
 * Standard video modes and the register values that make them (IBM PS/2 Hardware Interface Technical
 * Reference, Video Subsystem, and the EGA/VGA video parameter tables).
 */
import type { PaletteName } from "./palettes.ts";

/** How characters and pixels lie in memory. */
export type MemoryModel = "text" | "cga2" | "cga4" | "planar" | "linear";

export interface VideoMode {
  readonly model: MemoryModel;
  readonly columns: number;
  readonly rows: number;
  readonly charHeight: 8 | 14 | 16;
  /** Pixels, for graphics. */
  readonly width: number;
  readonly height: number;
  readonly segment: 0xa000 | 0xb000 | 0xb800;
  /** Bytes of a page, as the BDA has it. */
  readonly pageSize: number;
  readonly pages: number;
  readonly palette: PaletteName;
  readonly misc: number;
  /** Sequencer 1–4. */
  readonly seq: readonly number[];
  /** CRTC 0–18h. */
  readonly crtc: readonly number[];
  /** Graphics controller 0–8. */
  readonly gc: readonly number[];
  /** Attribute controller 0–14h. */
  readonly attr: readonly number[];
}

function hex(text: string): number[] {
  return text.split(" ").map((b) => parseInt(b, 16));
}

const ATTR_EGA = "00 01 02 03 04 05 14 07 38 39 3a 3b 3c 3d 3e 3f";
const ATTR_CGA = "00 01 02 03 04 05 06 07 10 11 12 13 14 15 16 17";
const ATTR_CGA4 = "00 13 15 17 02 04 06 07 10 11 12 13 14 15 16 17";

const text = {
  model: "text",
  rows: 25,
  charHeight: 16,
  width: 0,
  height: 0,
  segment: 0xb800,
  pages: 8,
  palette: "ega",
  gc: hex("00 00 00 00 00 10 0e 0f ff"),
  attr: hex(`${ATTR_EGA} 0c 00 0f 08 00`),
} as const;

const text40: VideoMode = {
  ...text,
  columns: 40,
  pageSize: 0x800,
  misc: 0x67,
  seq: hex("08 03 00 02"),
  crtc: hex(
    "2d 27 28 90 2b a0 bf 1f 00 4f 0d 0e 00 00 00 00 9c 8e 8f 14 1f 96 b9 a3 ff",
  ),
};

const text80: VideoMode = {
  ...text,
  columns: 80,
  pageSize: 0x1000,
  misc: 0x67,
  seq: hex("00 03 00 02"),
  crtc: hex(
    "5f 4f 50 82 55 81 bf 1f 00 4f 0d 0e 00 00 00 00 9c 8e 8f 28 1f 96 b9 a3 ff",
  ),
};

const mono80: VideoMode = {
  ...text80,
  segment: 0xb000,
  palette: "mono",
  misc: 0x66,
  crtc: hex(
    "5f 4f 50 82 55 81 bf 1f 00 4f 0d 0e 00 00 00 00 9c 8e 8f 28 0f 96 b9 a3 ff",
  ),
  gc: hex("00 00 00 00 00 10 0a 0f ff"),
  attr: hex("00 08 08 08 08 08 08 08 10 18 18 18 18 18 18 18 0e 00 0f 08 00"),
};

const cga4: VideoMode = {
  model: "cga4",
  columns: 40,
  rows: 25,
  charHeight: 8,
  width: 320,
  height: 200,
  segment: 0xb800,
  pageSize: 0x4000,
  pages: 1,
  palette: "cga",
  misc: 0x63,
  seq: hex("09 03 00 02"),
  crtc: hex(
    "2d 27 28 90 2b 80 bf 1f 00 c1 00 00 00 00 00 00 9c 8e 8f 14 00 96 b9 a2 ff",
  ),
  gc: hex("00 00 00 00 00 30 0f 0f ff"),
  attr: hex(`${ATTR_CGA4} 01 00 03 00 00`),
};

const cga2: VideoMode = {
  ...cga4,
  model: "cga2",
  columns: 80,
  width: 640,
  seq: hex("01 01 00 06"),
  crtc: hex(
    "5f 4f 50 82 54 80 bf 1f 00 c1 00 00 00 00 00 00 9c 8e 8f 28 00 96 b9 c2 ff",
  ),
  gc: hex("00 00 00 00 00 00 0d 0f ff"),
  attr: hex("00 17 17 17 17 17 17 17 17 17 17 17 17 17 17 17 01 00 01 00 00"),
};

const planar = {
  model: "planar",
  segment: 0xa000,
  gc: hex("00 00 00 00 00 00 05 0f ff"),
} as const;

const ega320: VideoMode = {
  ...planar,
  columns: 40,
  rows: 25,
  charHeight: 8,
  width: 320,
  height: 200,
  pageSize: 0x2000,
  pages: 8,
  palette: "cga",
  misc: 0x63,
  seq: hex("09 0f 00 06"),
  crtc: hex(
    "2d 27 28 90 2b 80 bf 1f 00 c0 00 00 00 00 00 00 9c 8e 8f 14 00 96 b9 e3 ff",
  ),
  attr: hex(`${ATTR_CGA} 01 00 0f 00 00`),
};

const ega640: VideoMode = {
  ...ega320,
  columns: 80,
  width: 640,
  pageSize: 0x4000,
  pages: 4,
  seq: hex("01 0f 00 06"),
  crtc: hex(
    "5f 4f 50 82 54 80 bf 1f 00 c0 00 00 00 00 00 00 9c 8e 8f 28 00 96 b9 e3 ff",
  ),
};

const ega350: VideoMode = {
  ...ega640,
  charHeight: 14,
  height: 350,
  pageSize: 0x8000,
  pages: 2,
  palette: "ega",
  misc: 0xa3,
  crtc: hex(
    "5f 4f 50 82 54 80 bf 1f 00 40 00 00 00 00 00 00 83 85 5d 28 0f 63 ba e3 ff",
  ),
  attr: hex(`${ATTR_EGA} 01 00 0f 00 00`),
};

const mono350: VideoMode = {
  ...ega350,
  palette: "mono",
  misc: 0xa2,
  attr: hex("00 08 00 00 18 18 00 00 00 08 00 00 00 18 00 00 0b 00 05 00 00"),
};

const vga480: VideoMode = {
  ...ega350,
  rows: 30,
  charHeight: 16,
  height: 480,
  pageSize: 0xa000,
  pages: 1,
  misc: 0xe3,
  crtc: hex(
    "5f 4f 50 82 54 80 0b 3e 00 40 00 00 00 00 00 00 ea 8c df 28 00 e7 04 e3 ff",
  ),
};

const mono480: VideoMode = {
  ...vga480,
  attr: hex("00 3f 00 3f 00 3f 00 3f 00 3f 00 3f 00 3f 00 3f 01 00 0f 00 00"),
};

const vga256: VideoMode = {
  model: "linear",
  columns: 40,
  rows: 25,
  charHeight: 8,
  width: 320,
  height: 200,
  segment: 0xa000,
  pageSize: 0x2000,
  pages: 1,
  palette: "vga256",
  misc: 0x63,
  seq: hex("01 0f 00 0e"),
  crtc: hex(
    "5f 4f 50 82 54 80 bf 1f 00 41 00 00 00 00 00 00 9c 8e 8f 28 40 96 b9 a3 ff",
  ),
  gc: hex("00 00 00 00 00 40 05 0f ff"),
  attr: hex("00 01 02 03 04 05 06 07 08 09 0a 0b 0c 0d 0e 0f 41 00 0f 00 00"),
};

const MODES: Readonly<Record<number, VideoMode>> = {
  0x00: text40,
  0x01: text40,
  0x02: text80,
  0x03: text80,
  0x04: cga4,
  0x05: cga4,
  0x06: cga2,
  0x07: mono80,
  0x0d: ega320,
  0x0e: ega640,
  0x0f: mono350,
  0x10: ega350,
  0x11: mono480,
  0x12: vga480,
  0x13: vga256,
};

/** Numbers of the standard modes. */
export const MODE_NUMBERS = Object.keys(MODES).map(Number);

/** A standard mode, or undefined. */
export function standardMode(number: number): VideoMode | undefined {
  return MODES[number];
}

/** Scan lines of text modes chosen by INT 10h/12h, BL=30h. */
export type ScanLines = 200 | 350 | 400;

/** A text mode with another number of scan lines; graphics modes and 400 lines are as they are. */
export function withScanLines(mode: VideoMode, lines: ScanLines): VideoMode {
  if (mode.model !== "text" || lines === 400) return mode;
  const crtc = mode.crtc.slice();
  if (lines === 350) {
    [0x10, 0x11, 0x12, 0x15, 0x16].forEach((r, i) => crtc[r] = [0x83, 0x85, 0x5d, 0x63, 0xba][i]);
    [crtc[0x09], crtc[0x0a], crtc[0x0b]] = [0x4d, 0x0b, 0x0c];
    return { ...mode, charHeight: 14, misc: mode.misc & 0x3f | 0x80, crtc };
  }
  [crtc[0x09], crtc[0x0a], crtc[0x0b]] = [0xc7, 0x06, 0x07];
  return { ...mode, charHeight: 8, crtc };
}
