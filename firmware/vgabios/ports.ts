/** The VGA's registers through the machine's ports. */
import type { BiosContext } from "./context.ts";
import { CRTC_PORT } from "./bda.ts";

export const SEQ = 0x3c4, GC = 0x3ce;
export const DISPI_INDEX = 0x1ce, DISPI_DATA = 0x1cf;

export function writeIndexed(c: BiosContext, port: number, index: number, value: number): void {
  c.outw(port, index | (value & 0xff) << 8);
}

export function readIndexed(c: BiosContext, port: number, index: number): number {
  c.outb(port, index);
  return c.inb(port + 1);
}

/** CRTC index port by Miscellaneous Output, which is right even while the BDA is not. */
export function crtcPort(c: BiosContext): number {
  return c.inb(0x3cc) & 1 ? 0x3d4 : 0x3b4;
}

/** CRTC index port as the BDA has it; guests that never set a mode have none there. */
export function bdaCrtcPort(c: BiosContext): number {
  const port = c.read16(CRTC_PORT);
  return port === 0x3b4 || port === 0x3d4 ? port : crtcPort(c);
}

/** Makes the next write to 3C0 an index. */
export function resetFlipFlop(c: BiosContext): void {
  c.inb(crtcPort(c) + 6);
}

/** Writes an attribute register and leaves the palette with the display. */
export function writeAttribute(c: BiosContext, index: number, value: number): void {
  resetFlipFlop(c);
  c.outb(0x3c0, index);
  c.outb(0x3c0, value);
  c.outb(0x3c0, 0x20);
}

export function readAttribute(c: BiosContext, index: number): number {
  resetFlipFlop(c);
  c.outb(0x3c0, index);
  const value = c.inb(0x3c1);
  resetFlipFlop(c);
  c.outb(0x3c0, 0x20);
  return value;
}

/** Writes DAC entries from `first`: three components each. */
export function writeDac(c: BiosContext, first: number, components: Iterable<number>): void {
  c.outb(0x3c8, first);
  for (const v of components) c.outb(0x3c9, v);
}

/** Reads `count` DAC entries. */
export function readDac(c: BiosContext, first: number, count: number): Uint8Array {
  c.outb(0x3c7, first);
  return Uint8Array.from({ length: 3 * count }, () => c.inb(0x3c9));
}

export function readDispi(c: BiosContext, index: number): number {
  c.outw(DISPI_INDEX, index);
  return c.inw(DISPI_DATA);
}

export function writeDispi(c: BiosContext, index: number, value: number): void {
  c.outw(DISPI_INDEX, index);
  c.outw(DISPI_DATA, value);
}

/** Whether the adapter has DISPI registers. */
export function hasDispi(c: BiosContext): boolean {
  return (readDispi(c, 0) & 0xfff0) === 0xb0c0;
}
