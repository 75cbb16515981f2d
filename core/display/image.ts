/** Pictures as files: what `screendump` writes. */
import { crc32, deflateSync } from "node:zlib";
import type { Surface } from "./display.ts";

export type ImageFormat = "ppm" | "png";

/** The bytes of a picture file. */
export function encodeImage(s: Surface, format: ImageFormat): Uint8Array<ArrayBuffer> {
  return format === "png" ? encodePng(s) : encodePpm(s);
}

/** Binary portable pixmap (P6, 8 bits per component). */
export function encodePpm(s: Surface): Uint8Array<ArrayBuffer> {
  const header = new TextEncoder().encode(`P6\n${s.width} ${s.height}\n255\n`);
  const file = new Uint8Array(header.length + 3 * s.width * s.height);
  file.set(header);
  let at = header.length;
  for (const p of s.pixels.subarray(0, s.width * s.height)) {
    file[at++] = p >> 16;
    file[at++] = p >> 8;
    file[at++] = p;
  }
  return file;
}

/** PNG (W3C Portable Network Graphics, second edition): 8-bit RGB, not interlaced. */
export function encodePng(s: Surface): Uint8Array<ArrayBuffer> {
  const header = new Uint8Array(13), view = new DataView(header.buffer);
  view.setUint32(0, s.width);
  view.setUint32(4, s.height);
  header[8] = 8; // bits per sample
  header[9] = 2; // colour type: RGB
  const raw = new Uint8Array((3 * s.width + 1) * s.height);
  let at = 0;
  for (let y = 0; y < s.height; y++) {
    raw[at++] = 0; // filter: none
    for (const p of s.pixels.subarray(y * s.width, (y + 1) * s.width)) {
      raw[at++] = p >> 16;
      raw[at++] = p >> 8;
      raw[at++] = p;
    }
  }
  const parts = [
    Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a),
    chunk("IHDR", header),
    chunk("IDAT", deflateSync(raw)),
    chunk("IEND", new Uint8Array(0)),
  ];
  const file = new Uint8Array(parts.reduce((n, p) => n + p.length, 0));
  let offset = 0;
  for (const p of parts) {
    file.set(p, offset);
    offset += p.length;
  }
  return file;
}

function chunk(type: string, data: Uint8Array): Uint8Array {
  const c = new Uint8Array(12 + data.length), view = new DataView(c.buffer);
  view.setUint32(0, data.length);
  c.set(new TextEncoder().encode(type), 4);
  c.set(data, 8);
  view.setUint32(8 + data.length, crc32(c.subarray(4, 8 + data.length)));
  return c;
}
