/**
 * The picture of a display as it was last drawn, kept from one update to the next. It tells for each
 * scan line which update changed it, so that any number of viewers can send what is new to them:
 * one remembers {@link Picture.serial} and takes the lines with a higher number the next time.
 */
import type { Surface } from "./display.ts";

export class Picture implements Surface {
  readonly pixels: Uint32Array;
  /** For each scan line the {@link serial} of the update that last changed a pixel of it. */
  readonly changed: Float64Array;

  /**
   * A black picture. A display that changes its size makes a new one.
   * @param serial of the update it is made in
   */
  constructor(readonly width: number, readonly height: number, public serial = 1) {
    this.pixels = new Uint32Array(width * height);
    this.changed = new Float64Array(height).fill(serial);
  }

  /** Begins an update. */
  begin(): void {
    this.serial++;
  }

  /** Sets line `y` to the pixels of `line` from index `from` on. */
  put(y: number, line: Uint32Array, from: number): void {
    const { pixels, width } = this;
    let at = y * width, x = 0;
    while (x < width && pixels[at] === line[from + x]) {
      at++;
      x++;
    }
    if (x === width) return;
    this.changed[y] = this.serial;
    for (; x < width; x++) pixels[at++] = line[from + x];
  }

  /** Sets line `y` to what the line above it shows. `y` is at least 1. */
  repeat(y: number): void {
    this.put(y, this.pixels, (y - 1) * this.width);
  }

  /** Makes all lines black. */
  blank(): void {
    const { pixels, width, height } = this;
    for (let y = 0, at = 0; y < height; y++) {
      const end = at + width;
      while (at < end && pixels[at] === 0) at++;
      if (at === end) continue;
      this.changed[y] = this.serial;
      pixels.fill(0, at, end);
      at = end;
    }
  }
}
