/** What tests of the VGA share: its usual modes, and ways to program it. */
import { type Clock, ManualClock } from "../../core/clock.ts";
import type { Picture } from "../../core/display/picture.ts";
import { GuestMemory } from "../../core/memory/guest_memory.ts";
import { Vga } from "./vga.ts";

export type Registers = {
  misc: number;
  seq: number[];
  crtc: number[];
  gc: number[];
  attr: number[];
};

/** IBM's register values for three modes (PS/2 Video Subsystem, "BIOS initial values"). */
export const TEXT_80x25: Registers = {
  misc: 0x67,
  seq: [3, 0, 3, 0, 2],
  crtc: [
    ...[0x5f, 0x4f, 0x50, 0x82, 0x55, 0x81, 0xbf, 0x1f, 0x00, 0x4f, 0x0d, 0x0e, 0, 0, 0, 0],
    ...[0x9c, 0x8e, 0x8f, 0x28, 0x1f, 0x96, 0xb9, 0xa3, 0xff],
  ],
  gc: [0, 0, 0, 0, 0, 0x10, 0x0e, 0x0f, 0xff],
  attr: [...Array(16).keys(), 0x0c, 0, 0x0f, 8, 0],
};
export const PLANAR_640x480: Registers = {
  misc: 0xe3,
  seq: [3, 1, 0x0f, 0, 6],
  crtc: [
    ...[0x5f, 0x4f, 0x50, 0x82, 0x54, 0x80, 0x0b, 0x3e, 0x00, 0x40, 0, 0, 0, 0, 0, 0],
    ...[0xea, 0x8c, 0xdf, 0x28, 0x00, 0xe7, 0x04, 0xe3, 0xff],
  ],
  gc: [0, 0, 0, 0, 0, 0, 5, 0x0f, 0xff],
  attr: [...Array(16).keys(), 1, 0, 0x0f, 0, 0],
};
export const CHAIN4_320x200: Registers = {
  misc: 0x63,
  seq: [3, 1, 0x0f, 0, 0x0e],
  crtc: [
    ...[0x5f, 0x4f, 0x50, 0x82, 0x54, 0x80, 0xbf, 0x1f, 0x00, 0x41, 0, 0, 0, 0, 0, 0],
    ...[0x9c, 0x8e, 0x8f, 0x28, 0x40, 0x96, 0xb9, 0xa3, 0xff],
  ],
  gc: [0, 0, 0, 0, 0, 0x40, 5, 0x0f, 0xff],
  attr: [...Array(16).keys(), 0x41, 0, 0x0f, 0, 0],
};

/** Short ways to program a VGA. */
export function programmer(vga: Vga) {
  const out = (port: number, index: number, value: number) => {
    vga.writePort(port, index);
    vga.writePort(port + 1, value);
  };
  const attribute = (index: number, value: number) => {
    vga.readPort(0x3da);
    vga.writePort(0x3c0, index);
    vga.writePort(0x3c0, value);
    vga.readPort(0x3da);
    vga.writePort(0x3c0, 0x20);
  };
  const set = (r: Registers) => {
    vga.writePort(0x3c2, r.misc);
    r.seq.forEach((v, i) => out(0x3c4, i, v));
    out(0x3d4, 0x11, 0);
    r.crtc.forEach((v, i) => out(0x3d4, i, v));
    r.gc.forEach((v, i) => out(0x3ce, i, v));
    r.attr.forEach((v, i) => attribute(i, v));
  };
  const color = (index: number, r: number, g: number, b: number) => {
    vga.writePort(0x3c8, index);
    for (const c of [r, g, b]) vga.writePort(0x3c9, c);
  };
  // A DAC in which entry n is red n (as 8 bits: n × 4 with the low bit repeated).
  const redRamp = () => {
    for (let i = 0; i < 64; i++) color(i, i, 0, 0);
  };
  const red = (n: number) => (n << 2 | (n & 1) * 3) << 16;
  const poke = (a: number, v: number) => vga.window.ops.write(a, 1, v);
  const peek = (a: number) => vga.window.ops.read(a, 1);
  return { vga, out, attribute, set, color, redRamp, red, poke, peek };
}

/** A VGA of its own. */
export function rig() {
  const memory = new GuestMemory(2 << 20), clock = new ManualClock();
  const vga = new Vga(memory.allocBlock("vga.vram", 1 << 20), clock);
  return { memory, clock, ...programmer(vga) };
}

/** A small generator so that runs repeat. */
export function generator(seed = 1) {
  return (n: number) => ((seed = Math.imul(seed, 1664525) + 1013904223 >>> 0) >>> 8) % n;
}

/** What `vga` shows, by an adapter that has not drawn before. */
export function freshPicture(vga: Vga, clock: Clock): Picture {
  const other = new Vga(vga.vram, clock);
  other.adopt(structuredClone(vga.state));
  return other.surface();
}
