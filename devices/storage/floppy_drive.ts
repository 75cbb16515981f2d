/** A floppy drive with its medium: geometry, head position, disk change line. */
import type { BlockBackend, BlockError, Drive } from "../../core/block/block.ts";
import { driveIo } from "../../core/block/io.ts";

/** Drive types as the RTC's CMOS byte 10h names them. */
export const FloppyType = { none: 0, "360k": 1, "120": 2, "720k": 3, "144": 4, "288": 5 } as const;

/** Data rates as DSR and CCR code them. */
const K500 = 0, K300 = 1, K250 = 2, M1 = 3;

export interface FloppyGeometry {
  readonly cylinders: number;
  readonly heads: number;
  readonly sectors: number;
  /** Data rate code at which the medium is readable. */
  readonly rate: number;
  /** CMOS type of the drive that takes it. */
  readonly type: number;
}

function format(
  cylinders: number,
  heads: number,
  sectors: number,
  rate: number,
  type: number,
): FloppyGeometry {
  return { cylinders, heads, sectors, rate, type };
}

/** Formats in use, standard ones first among those of a size. */
const formats: readonly FloppyGeometry[] = [
  format(80, 2, 18, K500, FloppyType["144"]),
  format(80, 2, 20, K500, FloppyType["144"]),
  format(80, 2, 21, K500, FloppyType["144"]),
  format(82, 2, 21, K500, FloppyType["144"]),
  format(83, 2, 21, K500, FloppyType["144"]),
  format(80, 2, 22, K500, FloppyType["144"]),
  format(80, 2, 23, K500, FloppyType["144"]),
  format(80, 2, 24, K500, FloppyType["144"]),
  format(80, 2, 36, M1, FloppyType["288"]),
  format(80, 2, 39, M1, FloppyType["288"]),
  format(80, 2, 40, M1, FloppyType["288"]),
  format(80, 2, 44, M1, FloppyType["288"]),
  format(80, 2, 48, M1, FloppyType["288"]),
  format(80, 2, 9, K250, FloppyType["144"]),
  format(80, 2, 10, K250, FloppyType["144"]),
  format(82, 2, 10, K250, FloppyType["144"]),
  format(83, 2, 10, K250, FloppyType["144"]),
  format(80, 2, 15, K500, FloppyType["120"]),
  format(82, 2, 18, K500, FloppyType["120"]),
  format(40, 2, 9, K300, FloppyType["120"]),
  format(40, 2, 8, K300, FloppyType["120"]),
  format(40, 1, 9, K300, FloppyType["120"]),
  format(40, 1, 8, K300, FloppyType["120"]),
];

/**
 * The geometry of an image: that of its exact size, else the smallest of 720K, 1.44M and 2.88M that
 * holds it (the rest of the disk reads as zeros).
 */
export function floppyGeometry(medium: BlockBackend): FloppyGeometry {
  const total = medium.size / 512;
  const size = (f: FloppyGeometry) => f.cylinders * f.heads * f.sectors;
  return formats.find((f) => size(f) === total) ??
    [formats[13], formats[0], formats[8]].find((f) => size(f) >= total) ?? formats[8];
}

export interface FloppyState {
  /** Where the head is. */
  track: number;
  /** DSKCHG: cleared by a step pulse with a medium inserted. */
  changed: boolean;
  /** PERPENDICULAR MODE bit. */
  perpendicular: boolean;
  /** The next sector ID that READ ID meets. */
  nextId: number;
}

export function initialFloppyState(): FloppyState {
  return { track: 0, changed: true, perpendicular: false, nextId: 1 };
}

export class FloppyDrive {
  /** Of the medium, or of the last one. */
  geometry: FloppyGeometry;
  state = initialFloppyState();
  /** CMOS type, of the first medium: a drive that starts empty is the largest, which reads all. */
  readonly type: number;

  /** @param path QOM path for `info block` */
  constructor(readonly drive: Drive, path: string) {
    drive.attach?.({ path, writes: false, removable: true });
    this.geometry = drive.medium ? floppyGeometry(drive.medium) : formats[8];
    drive.onMediaChange = () => {
      this.state.changed = true;
      if (drive.medium) this.geometry = floppyGeometry(drive.medium);
    };
    this.type = this.geometry.type;
  }

  get present(): boolean {
    return this.drive.medium !== undefined;
  }

  get writeProtected(): boolean {
    return this.drive.medium?.readonly ?? true;
  }

  /** Steps to `track`, as far as the mechanics go. */
  seek(track: number): void {
    const s = this.state;
    track = Math.min(Math.max(track, 0), 85);
    if (track !== s.track && this.present) s.changed = false;
    s.track = track;
  }

  /** Whether the medium has this sector on the present track. */
  has(head: number, sector: number): boolean {
    const g = this.geometry;
    return this.present && this.state.track < g.cylinders && head < g.heads && sector >= 1 &&
      sector <= g.sectors;
  }

  /** Reads or writes sector `sector` (from 1) under the head. */
  transfer(
    op: "read" | "write",
    head: number,
    sector: number,
    buffer: Uint8Array,
    done: () => void,
    fail: (e: BlockError) => void,
  ): void {
    const g = this.geometry;
    const offset = ((this.state.track * g.heads + head) * g.sectors + sector - 1) * 512;
    const size = this.drive.medium?.size ?? 0;
    if (op === "read" && offset + 512 > size && size > 0) {
      buffer.fill(0, 0, 512);
      return done();
    }
    driveIo(this.drive, op, offset, buffer.subarray(0, 512), done, fail);
  }
}
