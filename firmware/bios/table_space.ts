/** Room for the tables that operating systems look for: the F segment and the top of low RAM. */
import type { FrameContext } from "./frame.ts";
import { Private, PRIVATE_BASE, TABLES_END, TABLES_START } from "./layout.ts";

/** Declares where tables may go. */
export function initTableSpace(c: FrameContext, high: number, highEnd: number): void {
  c.write32(PRIVATE_BASE + Private.tablesFree, TABLES_START);
  c.write32(PRIVATE_BASE + Private.highFree, high);
  c.write32(PRIVATE_BASE + Private.highEnd, highEnd);
}

/** Takes `size` bytes; undefined when there is no room. `align` is a power of two. */
export function allocate(
  c: FrameContext,
  zone: "high" | "fseg",
  size: number,
  align: number,
): number | undefined {
  const at = PRIVATE_BASE + (zone === "fseg" ? Private.tablesFree : Private.highFree);
  const end = zone === "fseg" ? TABLES_END : c.read32(PRIVATE_BASE + Private.highEnd);
  const start = Math.ceil(c.read32(at) / align) * align;
  if (start + size > end) return undefined;
  c.write32(at, start + size);
  return start;
}

/** The byte that makes `bytes` sum to zero. */
export function checksum(bytes: Uint8Array): number {
  return -bytes.reduce((a, b) => a + b, 0) & 0xff;
}
