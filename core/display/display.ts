/** What a display device shows, independent of any viewer. */

/** A picture: 32-bit pixels 0x00RRGGBB in rows of `width`, top to bottom. */
export interface Surface {
  readonly width: number;
  readonly height: number;
  readonly pixels: Uint32Array;
  /** Counts the updates of a picture that is kept. Absent: this one is new, see `Picture`. */
  readonly serial?: number;
  /** For each line the `serial` of the update that last changed it, where there is a `serial`. */
  readonly changed?: Float64Array;
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
  /**
   * The current picture (text modes through the loaded font). The next call may change it; a new
   * object tells that the size has changed.
   */
  surface(): Surface;
  /** The text cells, or undefined in a graphics mode. */
  text(): TextScreen | undefined;
}
