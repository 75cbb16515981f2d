/** The monitor's identification: VESA E-EDID 1.4, one 128-byte block. */

export interface EdidOptions {
  /** Preferred resolution in pixels. Defaults 1280 × 800. */
  readonly xres?: number;
  readonly yres?: number;
  /** Monitor name, at most 12 characters. */
  readonly name?: string;
}

/** Refresh rate of the preferred timing (Hz). */
const REFRESH = 75;
/** Assumed pixel density, for the physical size. */
const DOTS_PER_INCH = 100;

/** Standard timings (width, height) offered when they fit; each is width/8−31 and aspect|rate−60. */
const STANDARD: readonly (readonly [number, number])[] = [
  [2048, 1152],
  [1920, 1080],
  [1600, 1200],
  [1680, 1050],
  [1440, 900],
  [1280, 1024],
  [1280, 960],
  [1280, 800],
];

export function makeEdid(options: EdidOptions = {}): Uint8Array {
  const xres = clamp(options.xres || 1280, 8, 4095), yres = clamp(options.yres || 800, 8, 4095);
  const name = options.name ?? "QENO Monitor";
  const e = new Uint8Array(128), view = new DataView(e.buffer);
  e.set([0, 255, 255, 255, 255, 255, 255, 0]);
  view.setUint16(8, manufacturer("QNO"));
  view.setUint16(10, 0x1234, true); // product
  view.setUint32(12, 1, true); // serial number
  e.set([0, 34, 1, 4], 16); // week unspecified, 2024; version 1.4
  const width = Math.round(xres * 254 / DOTS_PER_INCH),
    height = Math.round(yres * 254 / DOTS_PER_INCH);
  // Digital input of 8 bits per colour; size in cm; gamma 2.2; sRGB, preferred timing is native.
  e.set([0xa5, width / 100, height / 100, 120, 0x06], 20);
  e.set([0xee, 0x91, 0xa3, 0x54, 0x4c, 0x99, 0x26, 0x0f, 0x50, 0x54], 25); // sRGB chromaticity
  e.set([0x21, 0x08, 0x00], 35); // 640×480, 800×600, 1024×768 at 60 Hz
  let at = 38;
  for (const [w, h] of STANDARD) {
    if (at >= 54) break;
    if (w <= xres && h <= yres) e.set(standardTiming(w, h), at), at += 2;
  }
  while (at < 54) e.set([1, 1], at), at += 2;
  detailedTiming(view, 54, xres, yres, width, height);
  // Range limits: 50–125 Hz, 30–160 kHz, 2550 MHz, no formula.
  e.set([0, 0, 0, 0xfd, 0, 50, 125, 30, 160, 255, 1, 10, 32, 32, 32, 32, 32, 32], 72);
  e.set([0, 0, 0, 0xfc, 0, ...descriptorText(name)], 90);
  e.set([0, 0, 0, 0x10], 108); // dummy descriptor
  e[127] = -e.subarray(0, 127).reduce((a, b) => a + b, 0);
  return e;
}

function clamp(v: number, low: number, high: number): number {
  return Math.min(Math.max(v, low), high);
}

/** Three letters packed in five bits each, big endian. */
function manufacturer(id: string): number {
  return [...id].reduce((v, c) => v << 5 | c.charCodeAt(0) - 64, 0);
}

function standardTiming(w: number, h: number): [number, number] {
  const aspect = w * 10 === h * 16 ? 0 : w * 3 === h * 4 ? 1 : w * 4 === h * 5 ? 2 : 3;
  return [w / 8 - 31, aspect << 6];
}

function descriptorText(text: string): number[] {
  const bytes = [...text.slice(0, 12)].map((c) => c.charCodeAt(0));
  bytes.push(0x0a);
  while (bytes.length < 13) bytes.push(0x20);
  return bytes;
}

function detailedTiming(v: DataView, at: number, x: number, y: number, mmX: number, mmY: number) {
  const hBlank = x * 35 / 100 | 0, hFront = x * 25 / 100 | 0, hSync = x * 3 / 100 | 0;
  const vBlank = Math.max(y * 35 / 1000 | 0, 4), vFront = Math.max(y * 5 / 1000 | 0, 1);
  const vSync = Math.max(y * 5 / 1000 | 0, 1);
  const clock = Math.min(Math.round((x + hBlank) * (y + vBlank) * REFRESH / 10000), 0xffff);
  const sizeX = Math.round(mmX / 10), sizeY = Math.round(mmY / 10);
  v.setUint16(at, clock, true);
  const low = (n: number) => n & 0xff, high = (n: number) => n >> 8 & 0xf;
  [
    low(x),
    low(hBlank),
    high(x) << 4 | high(hBlank),
    low(y),
    low(vBlank),
    high(y) << 4 | high(vBlank),
    low(hFront),
    low(hSync),
    (vFront & 15) << 4 | vSync & 15,
    (hFront >> 8 & 3) << 6 | (hSync >> 8 & 3) << 4 | (vFront >> 4 & 3) << 2 | vSync >> 4 & 3,
    low(sizeX),
    low(sizeY),
    high(sizeX) << 4 | high(sizeY),
    0,
    0,
    0x18,
  ].forEach((b, i) => v.setUint8(at + 2 + i, b));
}
