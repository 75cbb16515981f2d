import { assertEquals, assertStringIncludes } from "@std/assert";
import { Buffer } from "node:buffer";
import { crc32, inflateSync } from "node:zlib";
import { AnsiScreen } from "./ansi.ts";
import { CP437, screenText, toCp437 } from "./cp437.ts";
import type { Surface, TextScreen } from "./display.ts";
import { encodeImage } from "./image.ts";

const picture: Surface = {
  width: 3,
  height: 2,
  pixels: Uint32Array.of(0xff0000, 0x00ff00, 0x0000ff, 0x010203, 0xffffff, 0),
};
const RGB = [255, 0, 0, 0, 255, 0, 0, 0, 255, 1, 2, 3, 255, 255, 255, 0, 0, 0];

function screen(rows: string[], columns: number, attr = 7): TextScreen {
  const chars = new Uint8Array(rows.length * columns).fill(0x20);
  rows.forEach((r, y) => [...r].forEach((c, x) => chars[y * columns + x] = toCp437(c)!));
  return {
    columns,
    rows: rows.length,
    chars,
    attrs: new Uint8Array(chars.length).fill(attr),
    cursor: undefined,
  };
}

Deno.test("PPM is P6 with rows of red, green, blue", () => {
  const file = encodeImage(picture, "ppm");
  assertEquals([...file], [...new TextEncoder().encode("P6\n3 2\n255\n"), ...RGB]);
});

Deno.test("PNG chunks have lengths and checksums, and inflate to the picture", () => {
  const file = encodeImage(picture, "png"), view = new DataView(file.buffer);
  assertEquals([...file.subarray(0, 8)], [0x89, 0x50, 0x4e, 0x47, 13, 10, 26, 10]);
  const chunks = new Map<string, Uint8Array>();
  let at = 8;
  while (at < file.length) {
    const length = view.getUint32(at);
    const body = file.subarray(at + 4, at + 8 + length);
    assertEquals(view.getUint32(at + 8 + length), crc32(body));
    chunks.set(new TextDecoder().decode(body.subarray(0, 4)), body.subarray(4));
    at += 12 + length;
  }
  assertEquals([...chunks.keys()], ["IHDR", "IDAT", "IEND"]);
  assertEquals([...chunks.get("IHDR")!], [0, 0, 0, 3, 0, 0, 0, 2, 8, 2, 0, 0, 0]);
  const raw = inflateSync(Buffer.from(chunks.get("IDAT")!));
  assertEquals([...raw], [0, ...RGB.slice(0, 9), 0, ...RGB.slice(9)]);
});

Deno.test("code page 437 has 256 different glyphs but for the blanks", () => {
  assertEquals(CP437.length, 256);
  assertEquals(new Set(CP437).size, 255, "0 and 20h look the same");
  // Spot values from the published code page.
  assertEquals([0xc4, 0xba, 0xdb, 0xe1, 0xf8, 0x80, 0x9b, 0xa5].map((i) => CP437[i]), [
    "─",
    "║",
    "█",
    "ß",
    "°",
    "Ç",
    "¢",
    "Ñ",
  ]);
  assertEquals(toCp437("A"), 65);
  assertEquals(toCp437("€"), undefined);
});

Deno.test("screenText drops spaces at the ends of rows only", () => {
  assertEquals(screenText(screen(["  ab  ", "", "╔═╗"], 8)), "  ab\n\n╔═╗");
});

Deno.test("the ANSI screen sends what changed and nothing else", () => {
  let out = "";
  const take = () => {
    const t = out;
    out = "";
    return t;
  };
  const ansi = new AnsiScreen((t) => out += t);
  ansi.show(screen(["ab", "cd"], 2));
  assertEquals(
    take(),
    "\x1b[0m\x1b[2J\x1b[1;1H\x1b[0;37;40mab\x1b[2;1Hcd\x1b[?25l",
  );
  ansi.show(screen(["ab", "cd"], 2));
  assertEquals(take(), "");
  ansi.show(screen(["ab", "cX"], 2));
  assertEquals(take(), "\x1b[2;2HX\x1b[?25l");
  ansi.show({ ...screen(["ab", "cX"], 2), cursor: { row: 1, column: 0 } });
  assertEquals(take(), "\x1b[2;1H\x1b[?25h");
  // Bright yellow on blue, blinking: VGA attribute 9Eh.
  ansi.show(screen(["Zb", "cX"], 2, 0x9e));
  assertStringIncludes(take(), "\x1b[1;1H\x1b[0;93;44;5mZb");
  ansi.update({ surface: () => picture, text: () => undefined });
  assertEquals(take(), "\x1b[0m\x1b[2J\x1b[H\x1b[?25l3 x 2 Graphic mode");
});
