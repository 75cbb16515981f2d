/** VBE modes: VESA's numbers where there are any, beyond them those of the Bochs and SeaBIOS lists. */

export interface VbeMode {
  readonly number: number;
  readonly width: number;
  readonly height: number;
  /** 4 is planar; 15 means 5:5:5. */
  readonly bpp: 4 | 8 | 15 | 16 | 24 | 32;
}

type Group = readonly [
  first: number,
  width: number,
  height: number,
  bpps: readonly VbeMode["bpp"][],
];

const GROUPS: readonly Group[] = [
  [0x100, 640, 400, [8]],
  [0x101, 640, 480, [8]],
  [0x102, 800, 600, [4, 8]],
  [0x104, 1024, 768, [4, 8]],
  [0x106, 1280, 1024, [4, 8]],
  [0x10d, 320, 200, [15, 16, 24]],
  [0x110, 640, 480, [15, 16, 24]],
  [0x113, 800, 600, [15, 16, 24]],
  [0x116, 1024, 768, [15, 16, 24]],
  [0x119, 1280, 1024, [15, 16, 24]],
  [0x11c, 1600, 1200, [8, 15, 16, 24]],
  [0x140, 320, 200, [32]],
  [0x141, 640, 400, [32]],
  [0x142, 640, 480, [32]],
  [0x143, 800, 600, [32]],
  [0x144, 1024, 768, [32]],
  [0x145, 1280, 1024, [32]],
  [0x146, 320, 200, [8]],
  [0x147, 1600, 1200, [32]],
  [0x148, 1152, 864, [8, 15, 16, 24, 32]],
  [0x175, 1280, 768, [16, 24, 32]],
  [0x178, 1280, 800, [16, 24, 32]],
  [0x17b, 1280, 960, [16, 24, 32]],
  [0x17e, 1440, 900, [16, 24, 32]],
  [0x181, 1400, 1050, [16, 24, 32]],
  [0x184, 1680, 1050, [16, 24, 32]],
  [0x187, 1920, 1200, [16, 24, 32]],
  [0x18a, 2560, 1600, [16, 24, 32]],
  [0x18d, 1280, 720, [16, 24, 32]],
  [0x190, 1920, 1080, [16, 24, 32]],
  [0x193, 1600, 900, [16, 24, 32]],
  [0x196, 2560, 1440, [16, 24, 32]],
  [0x199, 3840, 2160, [16, 24, 32]],
];

export const VBE_MODES: readonly VbeMode[] = GROUPS.flatMap(([first, width, height, bpps]) =>
  bpps.map((bpp, i) => ({ number: first + i, width, height, bpp }))
);

const BY_NUMBER = new Map(VBE_MODES.map((m) => [m.number, m]));

export function vbeMode(number: number): VbeMode | undefined {
  return BY_NUMBER.get(number);
}

/** Bytes of a scan line (for 4 bpp: of one plane). */
export function lineBytes(m: VbeMode): number {
  return m.bpp === 4 ? m.width / 8 : m.width * (m.bpp + 7 >> 3);
}

/** Bytes of display memory a whole picture takes. */
export function pictureBytes(m: VbeMode): number {
  return lineBytes(m) * m.height * (m.bpp === 4 ? 4 : 1);
}
