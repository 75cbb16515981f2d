/** Cylinder/head/sector geometry of a disk, guessed as PC firmware of the time would. */
import type { BlockBackend } from "../../core/block/block.ts";

export interface Geometry {
  /** 1 to 16383. */
  readonly cylinders: number;
  /** 1 to 16. */
  readonly heads: number;
  /** 1 to 63 sectors per track. */
  readonly sectors: number;
}

const MAX_CYLINDERS = 16383;

/**
 * The geometry that the partition table was made with, if it has at most 16 heads, else 16 heads and
 * 63 sectors.
 */
export function guessGeometry(medium: BlockBackend): Geometry {
  const total = Math.floor(medium.size / 512);
  const standard: Geometry = {
    cylinders: Math.min(Math.max(Math.floor(total / (16 * 63)), 2), MAX_CYLINDERS),
    heads: 16,
    sectors: 63,
  };
  if (total === 0) return standard;
  const mbr = new Uint8Array(512);
  try {
    if (medium.read(0, mbr) !== undefined) return standard;
  } catch {
    return standard;
  }
  if (mbr[510] !== 0x55 || mbr[511] !== 0xaa) return standard;
  for (let i = 0; i < 4; i++) {
    const at = 0x1be + 16 * i;
    const size = mbr[at + 12] | (mbr[at + 13] << 8) | (mbr[at + 14] << 16) | (mbr[at + 15] << 24);
    const endHead = mbr[at + 5], endSector = mbr[at + 6] & 63;
    if (size === 0 || endHead === 0 || endSector === 0) continue;
    const heads = endHead + 1, cylinders = Math.floor(total / (heads * endSector));
    if (cylinders < 1 || cylinders > MAX_CYLINDERS || heads > 16) continue;
    return { cylinders, heads, sectors: endSector };
  }
  return standard;
}
