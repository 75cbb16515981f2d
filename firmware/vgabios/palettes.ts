/** The DAC contents that mode sets load: 6-bit red, green, blue per entry. */

function gray(level: number): number[] {
  return [level, level, level];
}

/** EGA: entry bits 5–3 are the weak red, green, blue, bits 2–0 the strong ones. */
function ega(): Uint8Array {
  const out: number[] = [];
  for (let i = 0; i < 64; i++) {
    for (const bit of [2, 1, 0]) out.push((i >> bit & 1) * 0x2a + (i >> bit + 3 & 1) * 0x15);
  }
  return Uint8Array.from(out);
}

/** The 16 CGA colours: dark yellow is brown. */
function cga16(): number[] {
  const out: number[] = [];
  for (let i = 0; i < 16; i++) {
    const base = i & 8 ? 0x15 : 0;
    const green = i === 6 ? 0x15 : (i >> 1 & 1) * 0x2a + base;
    out.push((i >> 2 & 1) * 0x2a + base, green, (i & 1) * 0x2a + base);
  }
  return out;
}

/** 200-line modes: 16 colours with intensity in bit 4, repeated. */
function cga(): Uint8Array {
  const colors = cga16(), out: number[] = [];
  for (let i = 0; i < 64; i++) {
    const color = i & 7 | i >> 1 & 8;
    out.push(...colors.slice(3 * color, 3 * color + 3));
  }
  return Uint8Array.from(out);
}

/** Monochrome: black, grey twice and white in groups of eight. */
function mono(): Uint8Array {
  const levels = [0, 0x2a, 0x2a, 0x3f];
  return Uint8Array.from({ length: 64 * 3 }, (_, i) => {
    const entry = Math.floor(i / 3);
    return levels[entry >> 3 & 3];
  });
}

const GRAYS = [0x00, 0x05, 0x08, 0x0b, 0x0e, 0x11, 0x14, 0x18];
const GRAYS_2 = [0x1c, 0x20, 0x24, 0x28, 0x2d, 0x32, 0x38, 0x3f];

/** Five levels between lowest and highest for each intensity (rows) and saturation (columns). */
const WHEEL_LEVELS = [
  [[0, 16, 31, 47, 63], [31, 39, 47, 55, 63], [45, 49, 54, 58, 63]],
  [[0, 7, 14, 21, 28], [14, 17, 21, 24, 28], [20, 22, 24, 26, 28]],
  [[0, 4, 8, 12, 16], [8, 10, 12, 14, 16], [11, 12, 13, 15, 16]],
];

/** Mode 13h: 16 colours, 16 greys, 3 intensities × 3 saturations of a 24-step hue wheel, black. */
function vga256(): Uint8Array {
  const out = [...cga16(), ...[...GRAYS, ...GRAYS_2].flatMap(gray)];
  for (const saturations of WHEEL_LEVELS) {
    for (const v of saturations) {
      // From blue over magenta, red, yellow, green, cyan back to blue.
      const [lo, hi] = [v[0], v[4]];
      const steps: number[][] = [];
      for (let i = 0; i < 4; i++) steps.push([v[i], lo, hi]);
      for (let i = 0; i < 4; i++) steps.push([hi, lo, v[4 - i]]);
      for (let i = 0; i < 4; i++) steps.push([hi, v[i], lo]);
      for (let i = 0; i < 4; i++) steps.push([v[4 - i], hi, lo]);
      for (let i = 0; i < 4; i++) steps.push([lo, hi, v[i]]);
      for (let i = 0; i < 4; i++) steps.push([lo, v[4 - i], hi]);
      out.push(...steps.flat());
    }
  }
  while (out.length < 768) out.push(0);
  return Uint8Array.from(out);
}

export const PALETTES = { ega: ega(), cga: cga(), mono: mono(), vga256: vga256() };
export type PaletteName = keyof typeof PALETTES;

/** Luminance of a colour: 30 % red, 59 % green, 11 % blue (INT 10h/101Bh). */
export function luminance(r: number, g: number, b: number): number {
  return Math.min((r * 77 + g * 151 + b * 28 + 128) >> 8, 0x3f);
}
