/** The 8×8, 8×14 and 8×16 fonts of code page 437, made from the drawings in glyphs.ts. */
import { CP437 } from "../../core/display/cp437.ts";
import { ACCENTED, ACCENTS, BOX_ARMS, CEDILLA, GLYPHS_16, GLYPHS_8 } from "./glyphs.ts";

type Height = 8 | 14 | 16;

/** 256 glyphs of `height` bytes each, bit 7 at the left. */
export function makeFont(height: Height): Uint8Array {
  const font = new Uint8Array(256 * height);
  for (let code = 0; code < 256; code++) font.set(glyph(code, height), code * height);
  return font;
}

function glyph(code: number, height: Height): Uint8Array {
  if (code >= 0xb0 && code <= 0xdf) return drawn(code, height);
  if (code === 0x08) return glyph(0x07, height).map((b) => ~b);
  if (code === 0x0a) return glyph(0x09, height).map((b) => ~b);
  return height === 8 ? letter8(CP437[code]) : letter16(CP437[code]).slice(
    (16 - height) / 2,
    (16 + height) / 2,
  );
}

/** Adds a drawing (`first row:bytes`) to `rows`. */
function draw(rows: Uint8Array, drawing: string): Uint8Array {
  const [first, hex] = drawing.split(":");
  for (let i = 0; 2 * i < hex.length; i++) {
    rows[Number(first) + i] |= parseInt(hex.slice(2 * i, 2 * i + 2), 16);
  }
  return rows;
}

function letter16(char: string): Uint8Array {
  const rows = new Uint8Array(16);
  if (char in GLYPHS_16) return draw(rows, GLYPHS_16[char]);
  if (char === "Ç" || char === "ç") {
    return draw(draw(rows, GLYPHS_16[char === "Ç" ? "C" : "c"]), CEDILLA.tall);
  }
  const parts = ACCENTED[char];
  if (parts === undefined) return rows;
  const [base, accent] = parts, plain = letter16(base);
  if (base >= "a") {
    rows.set(plain.subarray(5), 5);
    return draw(rows, ACCENTS[accent].small16);
  }
  // A capital gives up two rows of its stems and moves down.
  const kept = [2, 3, 4, 6, 7, 8, 10, 11];
  kept.forEach((from, i) => rows[4 + i] = plain[from]);
  return draw(rows, accent === "ring" ? "1:1824" : shifted(ACCENTS[accent].capital16, 1));
}

function shifted(drawing: string, by: number): string {
  const [first, hex] = drawing.split(":");
  return `${Number(first) + by}:${hex}`;
}

function letter8(char: string): Uint8Array {
  const rows = new Uint8Array(8);
  if (char in GLYPHS_8) return draw(rows, GLYPHS_8[char]);
  if (char === "Ç" || char === "ç") {
    return draw(draw(rows, GLYPHS_8[char === "Ç" ? "C" : "c"]), CEDILLA.short);
  }
  const parts = ACCENTED[char];
  if (parts !== undefined) {
    const [base, accent] = parts, plain = letter8(base);
    if (base >= "a") {
      rows.set(plain.subarray(2), 2);
      return draw(rows, ACCENTS[accent].small8);
    }
    [0, 1, 2, 4, 5, 6].forEach((from, i) => rows[1 + i] = plain[from]);
    return draw(rows, ACCENTS[accent].capital8);
  }
  const tall = letter16(char);
  for (let y = 0; y < 8; y++) rows[y] = tall[2 * y] | tall[2 * y + 1];
  return rows;
}

/** Shades, boxes and blocks, drawn for any height so that they join. */
function drawn(code: number, height: Height): Uint8Array {
  const rows = new Uint8Array(height), half = height >> 1;
  switch (code) {
    case 0xb0:
      return rows.map((_, y) => y & 1 ? 0x88 : 0x22);
    case 0xb1:
      return rows.map((_, y) => y & 1 ? 0xaa : 0x55);
    case 0xb2:
      return rows.map((_, y) => y & 1 ? 0x77 : 0xdd);
    case 0xdb:
      return rows.fill(0xff);
    case 0xdc:
      return rows.fill(0xff, half);
    case 0xdd:
      return rows.fill(0xf0);
    case 0xde:
      return rows.fill(0x0f);
    case 0xdf:
      return rows.fill(0xff, 0, half);
    default:
      return box(BOX_ARMS.split(" ")[code - 0xb3], height);
  }
}

/** Strokes of a line: one in the middle, or two beside it; each covers `thick` dots from `at`. */
interface Strokes {
  readonly single: number;
  readonly double: readonly [number, number];
  readonly thick: number;
  readonly length: number;
}

/**
 * How far an arm reaches inwards. A stroke that has a crossing arm on its own side ends at the
 * crossing's nearer line; without one it goes on to the farther line, or through to the arm opposite.
 */
function box(arms: string, height: Height): Uint8Array {
  const [left, right, up, down] = [...arms].map(Number);
  const x: Strokes = { single: 3, double: [1, 5], thick: 2, length: 8 };
  const middle = (height >> 1) - 1;
  const y: Strokes = { single: middle, double: [middle - 1, middle + 1], thick: 1, length: height };
  const dots: boolean[] = new Array(8 * height).fill(false);
  const paint = (horizontal: boolean, at: number, thick: number, from: number, to: number) => {
    for (let along = from; along < to; along++) {
      for (let t = 0; t < thick; t++) {
        dots[horizontal ? (at + t) * 8 + along : along * 8 + at + t] = true;
      }
    }
  };
  const axis = (
    horizontal: boolean,
    low: number,
    high: number,
    sideLow: number,
    sideHigh: number,
  ) => {
    const own = horizontal ? y : x, other = horizontal ? x : y;
    const crossing = Math.max(sideLow, sideHigh);
    const lines = crossing === 2 ? other.double : [other.single, other.single];
    for (const [weight, opposite, atLow] of [[low, high, true], [high, low, false]] as const) {
      const strokes = weight === 2 ? own.double : weight === 1 ? [own.single] : [];
      strokes.forEach((at, i) => {
        const sides = weight === 1 ? [sideLow, sideHigh] : [i === 0 ? sideLow : sideHigh];
        const near = atLow ? lines[0] : lines[1], far = atLow ? lines[1] : lines[0];
        const inner = opposite === 0
          ? (sides.every((s) => s > 0) ? near : far)
          : weight === 1 || sides[0] === 0
          ? far
          : near;
        if (atLow) paint(horizontal, at, own.thick, 0, inner + other.thick);
        else paint(horizontal, at, own.thick, inner, own === y ? 8 : height);
      });
    }
  };
  axis(true, left, right, up, down);
  axis(false, up, down, left, right);
  return Uint8Array.from({ length: height }, (_, row) => {
    let byte = 0;
    for (let column = 0; column < 8; column++) {
      if (dots[row * 8 + column]) byte |= 0x80 >> column;
    }
    return byte;
  });
}
