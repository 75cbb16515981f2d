/** Saving and restoring the video state: INT 10h/1Ch and VBE 4F04h. */
import * as B from "./bda.ts";
import type { BiosContext } from "./context.ts";
import * as P from "./ports.ts";

/** Parts of the state, as bits of CX. */
export const HARDWARE = 1, BDA_STATE = 2, DAC_STATE = 4, SVGA_STATE = 8;

/** Bytes of each part. */
const SIZES: readonly (readonly [number, number])[] = [
  [HARDWARE, 4 + 6 + 26 + 10 + 22],
  [BDA_STATE, 0x1e + 7 + 4 + 8 + 2],
  [DAC_STATE, 3 + 768],
  [SVGA_STATE, 22],
];

/** 64-byte blocks that `parts` take. */
export function stateBlocks(parts: number): number {
  const bytes = SIZES.reduce((n, [part, size]) => n + (parts & part ? size : 0), 0);
  return bytes + 63 >> 6;
}

const BDA_RANGES: readonly (readonly [number, number])[] = [
  [B.VIDEO_MODE, 0x1e],
  [B.ROWS, 7],
  [B.SAVE_POINTER, 4],
  [B.FONT_UPPER_8X8, 4],
  [B.FONT, 4],
  [B.VBE_MODE, 2],
];

export function saveState(c: BiosContext, parts: number, to: number): void {
  const put = (v: number) => c.write8(to++, v);
  if (parts & HARDWARE) {
    const crtc = P.crtcPort(c);
    const seqIndex = c.inb(P.SEQ), gcIndex = c.inb(P.GC), crtcIndex = c.inb(crtc);
    [c.inb(0x3cc), c.inb(0x3ca), seqIndex, gcIndex].forEach(put);
    put(crtcIndex);
    for (let i = 0; i < 5; i++) put(P.readIndexed(c, P.SEQ, i));
    for (let i = 0; i <= 0x18; i++) put(P.readIndexed(c, crtc, i));
    for (let i = 0; i < 9; i++) put(P.readIndexed(c, P.GC, i));
    P.resetFlipFlop(c);
    put(c.inb(0x3c0));
    for (let i = 0; i < 21; i++) put(P.readAttribute(c, i));
    c.outb(P.SEQ, seqIndex);
    c.outb(P.GC, gcIndex);
    c.outb(crtc, crtcIndex);
    put(0);
    put(0);
  }
  if (parts & BDA_STATE) {
    for (const [at, n] of BDA_RANGES) for (let i = 0; i < n; i++) put(c.read8(at + i));
  }
  if (parts & DAC_STATE) {
    const state = c.inb(0x3c7), index = c.inb(0x3c8);
    put(state);
    put(index);
    put(c.inb(0x3c6));
    P.readDac(c, 0, 256).forEach(put);
    c.outb(state === 3 ? 0x3c7 : 0x3c8, index);
  }
  if (parts & SVGA_STATE) {
    for (let i = 0; i < 11; i++) {
      const v = P.hasDispi(c) ? P.readDispi(c, i) : 0;
      put(v & 0xff);
      put(v >> 8);
    }
  }
}

export function restoreState(c: BiosContext, parts: number, from: number): void {
  const get = () => c.read8(from++);
  if (parts & HARDWARE) {
    const misc = get(), feature = get(), seqIndex = get(), gcIndex = get(), crtcIndex = get();
    c.outb(0x3c2, misc);
    const crtc = P.crtcPort(c);
    c.outb(crtc + 6, feature);
    for (let i = 0; i < 5; i++) P.writeIndexed(c, P.SEQ, i, get());
    const registers = Array.from({ length: 0x19 }, get);
    P.writeIndexed(c, crtc, 0x11, registers[0x11] & 0x7f);
    registers.forEach((v, i) => P.writeIndexed(c, crtc, i, v));
    for (let i = 0; i < 9; i++) P.writeIndexed(c, P.GC, i, get());
    const attrIndex = get();
    P.resetFlipFlop(c);
    for (let i = 0; i < 21; i++) {
      c.outb(0x3c0, i);
      c.outb(0x3c0, get());
    }
    P.resetFlipFlop(c);
    c.outb(0x3c0, attrIndex);
    P.resetFlipFlop(c);
    c.outb(P.SEQ, seqIndex);
    c.outb(P.GC, gcIndex);
    c.outb(crtc, crtcIndex);
    from += 2;
  }
  if (parts & BDA_STATE) {
    for (const [at, n] of BDA_RANGES) for (let i = 0; i < n; i++) c.write8(at + i, get());
  }
  if (parts & DAC_STATE) {
    const state = get(), index = get(), mask = get();
    P.writeDac(c, 0, Array.from({ length: 768 }, get));
    c.outb(0x3c6, mask);
    c.outb(state === 3 ? 0x3c7 : 0x3c8, index);
  }
  if (parts & SVGA_STATE && P.hasDispi(c)) {
    const values = Array.from({ length: 11 }, () => get() | get() << 8);
    // Resolution before enabling; what the enabling clears, after it.
    P.writeDispi(c, 4, 0);
    for (const i of [1, 2, 3]) P.writeDispi(c, i, values[i]);
    P.writeDispi(c, 4, values[4] | 0x80);
    for (const i of [5, 6, 8, 9]) P.writeDispi(c, i, values[i]);
  }
}
