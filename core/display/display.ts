/** What a display device shows, independent of any viewer. */

/** A picture: 32-bit pixels 0x00RRGGBB in rows of `width`, top to bottom. */
export interface Surface {
  readonly width: number;
  readonly height: number;
  readonly pixels: Uint32Array;
}

/** One cell of a text screen: a code page 437 byte and a VGA attribute byte. */
export interface TextScreen {
  readonly columns: number;
  readonly rows: number;
  /** rows × columns character bytes, row by row. */
  readonly chars: Uint8Array;
  /** rows × columns attribute bytes. */
  readonly attrs: Uint8Array;
  /** Cursor cell, or undefined when hidden or outside. */
  readonly cursor: { row: number; column: number } | undefined;
}

/** A graphics adapter as its viewers (screendump, VNC, curses) see it. */
export interface DisplaySource {
  /** Draws the current picture (text modes through the loaded font). */
  surface(): Surface;
  /** The text cells, or undefined in a graphics mode. */
  text(): TextScreen | undefined;
}
