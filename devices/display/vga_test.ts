import { assert, assertEquals } from "@std/assert";
import { ManualClock } from "../../core/clock.ts";
import { screenText } from "../../core/display/cp437.ts";
import { AddressSpace } from "../../core/memory/address_space.ts";
import { GuestMemory } from "../../core/memory/guest_memory.ts";
import { PciBus } from "../chipset/pci.ts";
import { makeEdid } from "./edid.ts";
import { IsaVga } from "./vga_isa.ts";
import { PciVga } from "./vga_pci.ts";
import { CHAIN4_320x200, generator, PLANAR_640x480, rig, TEXT_80x25 } from "./vga_rig.ts";

Deno.test("write modes 0–3 and read modes 0–1 against a plane-by-plane reference", () => {
  const r = rig(), random = generator();
  r.set(PLANAR_640x480);
  const planes = [0, 1, 2, 3].map(() => new Uint8Array(64));
  const latch = [0, 0, 0, 0];
  const gc = [0, 0, 0, 0, 0, 0, 5, 15, 255];
  let map = 15;
  const bit = (v: number, i: number) => v >> i & 1;
  for (let n = 0; n < 20000; n++) {
    const pick = random(9);
    if (pick === 6) r.out(0x3c4, 2, map = random(16));
    else {
      const value = pick === 5 ? random(4) | random(2) << 3 : random(256);
      gc[pick] = value & [15, 15, 15, 31, 3, 0x0b, 5, 15, 255][pick];
      r.out(0x3ce, pick, value);
    }
    const at = random(64);
    if (random(2)) {
      planes.forEach((p, i) => latch[i] = p[at]);
      let want = planes[gc[4]][at];
      if (gc[5] & 8) {
        want = 0;
        for (let b = 0; b < 8; b++) {
          const same = planes.every((p, i) => !bit(gc[7], i) || bit(p[at], b) === bit(gc[2], i));
          if (same) want |= 1 << b;
        }
      }
      assertEquals(r.peek(at), want, `read ${n}`);
    }
    const byte = random(256), address = random(64);
    const rotated = (byte >> (gc[3] & 7) | byte << 8 - (gc[3] & 7)) & 255;
    planes.forEach((p, i) => {
      if (!bit(map, i)) return;
      let result = 0;
      for (let b = 0; b < 8; b++) {
        let v: number, mask = bit(gc[8], b);
        const old = bit(latch[i], b);
        switch (gc[5] & 3) {
          case 0:
            v = bit(gc[1], i) ? bit(gc[0], i) : bit(rotated, b);
            break;
          case 1:
            v = old;
            mask = 0;
            break;
          case 2:
            v = bit(byte, i);
            break;
          default:
            v = bit(gc[0], i);
            mask &= bit(rotated, b);
        }
        const logic = [v, v & old, v | old, v ^ old][gc[3] >> 3];
        result |= (mask ? logic : old) << b;
      }
      p[address] = result;
    });
    r.poke(address, byte);
  }
  r.out(0x3ce, 5, 0);
  for (let i = 0; i < 4; i++) {
    r.out(0x3ce, 4, i);
    assertEquals(Array.from({ length: 64 }, (_, a) => r.peek(a)), [...planes[i]]);
  }
});

Deno.test("the window moves with Miscellaneous bits 2–3 and vanishes with RAM disabled", () => {
  const r = rig();
  r.set(PLANAR_640x480);
  const visible = () =>
    [0, 0x8000, 0x10000, 0x18000, 0x1ffff].filter((a) => {
      r.poke(a, 0x5a);
      return r.peek(a) === 0x5a;
    });
  for (
    const [map, want] of [[0, [0, 0x8000, 0x10000, 0x18000, 0x1ffff]], [1, [0, 0x8000]], [
      2,
      [0x10000],
    ], [3, [0x18000, 0x1ffff]]] as const
  ) {
    r.out(0x3ce, 6, 1 | map << 2);
    assertEquals(visible(), [...want], `map ${map}`);
  }
  r.vga.writePort(0x3c2, 0xe1);
  assertEquals(visible(), []);
});

Deno.test("text screens: characters in plane 0, attributes in plane 1, fonts in plane 2", () => {
  const r = rig();
  r.set(TEXT_80x25);
  [..."Hello"].forEach((c, i) => {
    r.poke(0x18000 + 2 * (80 + i), c.charCodeAt(0));
    r.poke(0x18001 + 2 * (80 + i), 0x1e);
  });
  const t = r.vga.text()!;
  assertEquals([t.columns, t.rows], [80, 25]);
  assertEquals(
    screenText(t).split("\n")[1],
    "Hello".padEnd(79, "\0").replaceAll("\0", " ").trimEnd(),
  );
  assertEquals(t.attrs[84], 0x1e);
  assertEquals(r.vga.vram.u8[4 * 80], 0x48);
  assertEquals(r.vga.vram.u8[4 * 80 + 1], 0x1e);
  assertEquals(r.peek(0x18000 + 2 * 84), 0x6f);
  assertEquals(t.cursor, { row: 0, column: 0 });
  r.out(0x3d4, 0x0f, 85);
  assertEquals(r.vga.text()!.cursor, { row: 1, column: 5 });
  r.out(0x3d4, 0x0d, 80);
  assertEquals(r.vga.text()!.cursor, { row: 0, column: 5 });
  r.out(0x3d4, 0x0a, 0x2d);
  assertEquals(r.vga.text()!.cursor, undefined);
});

Deno.test("text surface: 9th dot, attributes, cursor, blink, second font, 720×400", () => {
  const r = rig();
  r.set(TEXT_80x25);
  r.redRamp();
  const glyph = (font: number, char: number, rows: number[]) =>
    rows.forEach((v, y) => r.vga.vram.u8[4 * (font + 32 * char + y) + 2] = v);
  glyph(0, 0x41, [0x81, 0xff]);
  glyph(0, 0xc4, [0x01, 0xff]);
  glyph(0x4000, 0x41, [0x18]);
  const put = (cell: number, char: number, attr: number) => {
    r.poke(0x18000 + 2 * cell, char);
    r.poke(0x18001 + 2 * cell, attr);
  };
  put(0, 0x41, 0x12);
  put(1, 0xc4, 0x12);
  put(2, 0x41, 0x9a);
  r.out(0x3d4, 0x0f, 3);
  put(3, 0x20, 0x34);
  const s = r.vga.surface();
  assertEquals([s.width, s.height], [720, 400]);
  const dots = (
    y: number,
    cell: number,
  ) => [...r.vga.surface().pixels.subarray(720 * y + 9 * cell, 720 * y + 9 * cell + 9)];
  const F = r.red(2), B = r.red(1), H = r.red(10);
  assertEquals(dots(0, 0), [F, B, B, B, B, B, B, F, B]);
  assertEquals(dots(1, 0), [F, F, F, F, F, F, F, F, B]);
  assertEquals(dots(0, 1), [B, B, B, B, B, B, B, F, F], "line graphics repeat the 8th dot");
  assertEquals(dots(0, 2), [H, B, B, B, B, B, B, H, B]);
  assertEquals(dots(0x0d, 3), new Array(9).fill(r.red(4)), "cursor from line 0Dh");
  assertEquals(dots(0x0c, 3), new Array(9).fill(r.red(3)));
  r.out(0x3c4, 3, 0x04); // map A (attribute bit 3) at 16K
  assertEquals(dots(0, 2), [B, B, B, H, H, B, B, B, B]);
  assertEquals(dots(0, 0), [F, B, B, B, B, B, B, F, B]);
  r.clock.advance(16 * 14.27e6 + 1e6); // half a character blink at 70 Hz
  assertEquals(dots(0, 2), new Array(9).fill(B), "blinked off");
  r.attribute(0x10, 0x04);
  assertEquals(dots(0, 2), [9, 9, 9, 10, 10, 9, 9, 9, 9].map(r.red), "bright background");
  put(4, 0, 0x01);
  r.out(0x3d4, 0x14, 0x05);
  assertEquals(dots(5, 4), new Array(9).fill(r.red(1)), "underline");
});

Deno.test("planar graphics: colours through the attribute palette, panning, split screen", () => {
  const r = rig();
  r.set(PLANAR_640x480);
  r.redRamp();
  for (let plane = 0; plane < 4; plane++) {
    r.out(0x3c4, 2, 1 << plane);
    r.poke(0, [0b10101010, 0b01100110, 0b00011110, 0b00000001][plane]);
    r.poke(160, 0xff);
  }
  const row = (y: number, n = 8) => [...r.vga.surface().pixels.subarray(640 * y, 640 * y + n)];
  assertEquals([r.vga.surface().width, r.vga.surface().height], [640, 480]);
  assertEquals(row(0), [1, 2, 3, 4, 5, 6, 7, 8].map(r.red));
  r.attribute(3, 9);
  assertEquals(row(0)[2], r.red(9));
  r.attribute(0x12, 0x0e);
  assertEquals(row(0)[2], r.red(2), "plane 0 masked");
  r.attribute(0x12, 0x0f);
  r.attribute(0x13, 3);
  assertEquals(row(0, 5), [4, 5, 6, 7, 8].map(r.red));
  assertEquals(row(2, 2), [15, 15].map(r.red));
  // Start at line 2; line compare 99 restarts at 0 on line 100, panned or not as mode bit 5 says.
  r.out(0x3d4, 0x0d, 160);
  r.out(0x3d4, 0x18, 99);
  r.out(0x3d4, 0x07, 0x2e);
  r.out(0x3d4, 0x09, 0x00);
  assertEquals(row(0, 2), [15, 15].map(r.red));
  assertEquals(row(100, 2), [4, 5].map(r.red));
  r.attribute(0x10, 0x21);
  assertEquals(row(100, 2), [1, 2].map(r.red));
  r.attribute(0x14, 0x0c);
  r.color(0xc1, 0, 0x3f, 0);
  assertEquals(row(100, 1), [0x00ff00], "colour select gives bits 6 and 7");
  r.vga.readPort(0x3da);
  r.vga.writePort(0x3c0, 0);
  assertEquals(row(100, 1), [0], "blank without Palette Address Source");
});

Deno.test("256 colours: chain-4 is linear, unchained reaches planes, both shown doubled", () => {
  const r = rig();
  r.set(CHAIN4_320x200);
  r.redRamp();
  for (let i = 0; i < 8; i++) r.poke(i, 10 + i);
  r.poke(320, 33);
  const row = (y: number, n = 16) => [...r.vga.surface().pixels.subarray(640 * y, 640 * y + n)];
  const doubled = (values: number[]) => values.flatMap((v) => [r.red(v), r.red(v)]);
  assertEquals([r.vga.surface().width, r.vga.surface().height], [640, 400]);
  assertEquals(row(0), doubled([10, 11, 12, 13, 14, 15, 16, 17]));
  assertEquals(row(1), row(0));
  assertEquals(row(2, 2), doubled([33]));
  assertEquals([...r.vga.vram.u8.subarray(0, 8)], [10, 11, 12, 13, 14, 15, 16, 17]);
  r.out(0x3c4, 4, 6); // unchained, as mode X
  r.out(0x3c4, 2, 4);
  r.poke(1, 50);
  assertEquals(row(0)[12], r.red(50));
  r.attribute(0x13, 2);
  assertEquals(row(0, 4), doubled([11, 12]));
  r.vga.writePort(0x3c6, 0x0f);
  assertEquals(row(0, 4), doubled([11, 12]));
  assertEquals(row(0, 16)[14], r.red(0), "PEL mask: 10h reads entry 0");
});

Deno.test("CGA 320×200×4 and 640×200×2 interleave odd lines 8 KiB up", () => {
  const r = rig();
  r.set({
    misc: 0x63,
    seq: [3, 9, 3, 0, 2],
    crtc: [
      ...[0x2d, 0x27, 0x28, 0x90, 0x2b, 0x80, 0xbf, 0x1f, 0x00, 0xc1, 0, 0, 0, 0, 0, 0],
      ...[0x9c, 0x8e, 0x8f, 0x14, 0x00, 0x96, 0xb9, 0xa2, 0xff],
    ],
    gc: [0, 0, 0, 0, 0, 0x30, 0x0f, 0, 0xff],
    attr: [0, 0x13, 0x15, 0x17, 2, 4, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23, 1, 0, 3, 0, 0],
  });
  r.redRamp();
  r.poke(0x18000, 0b00011011);
  r.poke(0x18001, 0b11100100);
  r.poke(0x18000 + 0x2000, 0xff);
  r.poke(0x18000 + 80, 0x55);
  const row = (y: number, n: number) => [...r.vga.surface().pixels.subarray(640 * y, 640 * y + n)];
  const doubled = (values: number[]) => values.flatMap((v) => [r.red(v), r.red(v)]);
  assertEquals([r.vga.surface().width, r.vga.surface().height], [640, 400]);
  const P = [0, 0x13, 0x15, 0x17];
  assertEquals(row(0, 16), doubled([P[0], P[1], P[2], P[3], P[3], P[2], P[1], P[0]]));
  assertEquals(row(1, 16), row(0, 16));
  assertEquals(row(2, 8), doubled([P[3], P[3], P[3], P[3]]));
  assertEquals(row(4, 8), doubled([P[1], P[1], P[1], P[1]]));
  // 640×200: byte addressing, one plane
  [[0x3c4, 1, 1], [0x3c4, 2, 1], [0x3c4, 4, 6], [0x3ce, 5, 0], [0x3ce, 6, 0x0d]].forEach((x) =>
    r.out(x[0], x[1], x[2])
  );
  r.out(0x3d4, 0x11, 0);
  [0x5f, 0x4f].forEach((v, i) => r.out(0x3d4, i, v));
  r.out(0x3d4, 0x13, 0x28);
  r.out(0x3d4, 0x17, 0xc2);
  r.attribute(0x12, 1);
  r.vga.vram.u8.fill(0);
  r.poke(0x18000, 0xc1);
  r.poke(0x18000 + 0x2000, 0x80);
  r.poke(0x18000 + 80, 0xff);
  assertEquals(row(0, 8), [1, 1, 0, 0, 0, 0, 0, 1].map((v) => r.red(v * 0x13)));
  assertEquals(row(2, 2), [0x13, 0].map(r.red));
  assertEquals(row(4, 2), [0x13, 0x13].map(r.red));
});

Deno.test("DAC: state, auto-increment, an entry changes with its third component", () => {
  const r = rig();
  r.vga.writePort(0x3c8, 5);
  assertEquals(r.vga.readPort(0x3c7), 0);
  for (const v of [1, 2, 0xff, 4, 5]) r.vga.writePort(0x3c9, v);
  r.vga.writePort(0x3c7, 5);
  assertEquals(r.vga.readPort(0x3c7), 3);
  assertEquals([0, 0, 0, 0, 0, 0].map(() => r.vga.readPort(0x3c9)), [1, 2, 0x3f, 0, 0, 0]);
});

Deno.test("CRTC registers 0–7 are protected but for line compare bit 8", () => {
  const r = rig();
  r.set(TEXT_80x25);
  r.out(0x3d4, 0x11, 0x8e);
  r.out(0x3d4, 0, 0x11);
  r.out(0x3d4, 7, 0xef);
  r.vga.writePort(0x3d4, 0);
  assertEquals(r.vga.readPort(0x3d5), 0x5f);
  r.vga.writePort(0x3d4, 7);
  assertEquals(r.vga.readPort(0x3d5), 0x0f);
  assertEquals(r.vga.readPort(0x3b4), 0xff, "monochrome ports are absent in colour");
  r.vga.writePort(0x3c2, 0x66);
  assertEquals([r.vga.readPort(0x3b4), r.vga.readPort(0x3d4)], [7, 0xff]);
});

Deno.test("Input Status 1 follows the beam: 70 Hz frames of 449 lines", () => {
  const r = rig();
  r.set(TEXT_80x25);
  const line = 31778;
  const at = (ns: number) => {
    r.clock.advance(ns - r.clock.now() % Math.round(449 * line));
    return r.vga.readPort(0x3da);
  };
  assertEquals(at(5000), 0);
  assertEquals(at(100 * line + 30000), 1, "horizontal blanking");
  assertEquals(at(405 * line), 1, "vertical blanking");
  assertEquals(at(412.5 * line), 9, "retrace from line 412");
  assertEquals(at(420 * line), 1);
  // A guest that polls while the clock stands still gets out of its loop.
  let polls = 0;
  while (!(r.vga.readPort(0x3da) & 8) && polls < 1e5) polls++;
  assert(polls < 20000);
});

Deno.test("DISPI: ids, limits, fix-ups as QEMU has them", () => {
  const r = rig(), d = (i: number) => r.vga.readDispi(i), w = r.vga.writeDispi.bind(r.vga);
  assertEquals([d(0), d(10)], [0xb0c5, 16]);
  w(0, 0xb0c0);
  w(0, 0xb0c6);
  assertEquals(d(0), 0xb0c0);
  w(4, 2);
  assertEquals([d(1), d(2), d(3)], [16000, 12000, 32]);
  w(4, 0);
  w(1, 643);
  assertEquals(d(1), 643, "fixed up when enabled");
  w(2, 480);
  w(3, 9);
  w(4, 0x41);
  assertEquals([d(1), d(2), d(3), d(6), d(7)], [640, 480, 8, 640, 1638]);
  w(3, 32);
  assertEquals([d(2), d(7)], [409, 409], "1 MiB holds 409 lines");
  w(2, 200);
  w(6, 1000);
  assertEquals([d(6), d(7)], [1000, 262]);
  w(9, 62);
  assertEquals(d(9), 62);
  w(9, 63);
  assertEquals(d(9), 0, "offsets that leave display memory are dropped");
});

Deno.test("DISPI surfaces: 4, 8, 15, 16, 24, 32 bpp with offsets; bank window", () => {
  const r = rig(), w = r.vga.writeDispi.bind(r.vga);
  r.set(PLANAR_640x480);
  r.redRamp();
  r.attribute(5, 5);
  r.attribute(0x12, 15);
  const mode = (bpp: number, flags = 0x41) => {
    w(4, 0);
    w(1, 16);
    w(2, 4);
    w(3, bpp);
    w(4, flags);
    w(6, 32);
    w(8, 8);
    w(9, 1);
  };
  const first = () => r.vga.surface().pixels[0];
  const bytes = (...b: number[]) => r.vga.vram.u8.set(b, (32 + 8) * b.length);
  mode(8);
  bytes(17);
  assertEquals(first(), r.red(17));
  mode(15);
  bytes(0x1f, 0x7c);
  assertEquals(first(), 0xff00ff);
  mode(16);
  bytes(0xe0, 0x07);
  assertEquals(first(), 0x00ff00);
  mode(24);
  bytes(1, 2, 3);
  assertEquals(first(), 0x030201);
  mode(32);
  bytes(1, 2, 3, 0xff);
  assertEquals(first(), 0x030201);
  assertEquals([r.vga.surface().width, r.vga.surface().height, r.vga.text()], [16, 4, undefined]);
  mode(4);
  r.vga.vram.u8.set([0x80, 0, 0x80, 0], 4 * 4 + 4);
  assertEquals(first(), r.red(5));
  mode(8, 0xc1);
  assertEquals(r.vga.vram.u8[24], 0, "cleared by the mode before");
  bytes(9);
  mode(8, 0xc1);
  assertEquals(first(), r.red(9), "NOCLEARMEM keeps the picture");
  w(5, 3);
  r.poke(5, 0x77);
  assertEquals([r.vga.vram.u8[0x30005], r.peek(5)], [0x77, 0x77]);
  mode(8, 0x61);
  r.color(1, 0x80, 0x81, 0x82);
  bytes(1);
  assertEquals(first(), 0x808182, "8-bit DAC");
});

Deno.test("linear modes map display memory at A0000; others do not", () => {
  const memory = new GuestMemory(2 << 20);
  const mem = new AddressSpace("memory", 2 ** 32, 0xff), io = new AddressSpace("I/O", 65536, 0xff);
  const card = new IsaVga({
    mem,
    io,
    clock: new ManualClock(),
    vram: memory.allocBlock("vga.vram", 1 << 20),
  });
  const kind = () => mem.find(0xa0000)!.region.kind;
  const set = (port: number, index: number, value: number) => io.write(port, 2, index | value << 8);
  assertEquals(kind(), "io");
  io.write(0x3c2, 1, 0x63);
  set(0x3c4, 2, 15);
  set(0x3c4, 4, 0x0e);
  set(0x3ce, 5, 0x40);
  set(0x3ce, 6, 5);
  set(0x3ce, 8, 0xff);
  assertEquals(kind(), "ram");
  mem.write(0xa1234, 4, 0x11223344);
  assertEquals(card.vga.vram.view.getUint32(0x1234, true), 0x11223344);
  assertEquals(mem.read(0xb0000, 1), 0xff);
  set(0x3ce, 8, 0x0f);
  assertEquals([kind(), mem.read(0xa1235, 1)], ["io", 0x33], "the bit mask needs the data path");
  set(0x3ce, 8, 0xff);
  io.write(0x1ce, 2, 5);
  assertEquals(kind(), "ram");
  for (const [i, v] of [[1, 64], [2, 64], [3, 8], [4, 0xc1], [5, 2]]) {
    io.write(0x1ce, 2, i);
    io.write(0x1cf, 2, v);
  }
  mem.write(0xa0000, 1, 0x99);
  assertEquals(card.vga.vram.u8[0x20000], 0x99);
  assertEquals(mem.read(0xe0020000, 1), 0x99);
  card.reset();
  assertEquals(kind(), "io");
});

Deno.test("PCI VGA: identity, framebuffer BAR, MMIO registers, EDID", () => {
  const memory = new GuestMemory(20 << 20);
  const mem = new AddressSpace("memory", 2 ** 32, 0xff), io = new AddressSpace("I/O", 65536, 0xff);
  const bus = new PciBus("pci.0", mem, io, {
    setInterrupt: () => {},
    route: () => 0,
    forwards: () => true,
  });
  const image = new Uint8Array(512).fill(0x55);
  const card = new PciVga({
    mem,
    io,
    clock: new ManualClock(),
    vram: memory.allocBlock("vga.vram", 16 << 20),
    rom: { block: memory.allocBlock("vga.rom", 4096), image },
  });
  bus.plug(card);
  assertEquals(card.configRead(0, 4), 0x11111234);
  assertEquals(card.configRead(8, 4), 0x03000002);
  card.configWrite(0x10, 4, 0xffffffff);
  assertEquals(card.configRead(0x10, 4), 0xff000008);
  card.configWrite(0x10, 4, 0xfd000000);
  card.configWrite(0x18, 4, 0xfebf0000);
  card.configWrite(0x30, 4, 0xfebe0001);
  card.configWrite(4, 2, 3);
  mem.write(0xfd123456, 1, 0x42);
  assertEquals(card.vga.vram.u8[0x123456], 0x42);
  assertEquals(mem.read(0xfebe0000, 2), 0x5555);
  const bar = 0xfebf0000;
  assertEquals(mem.read(bar + 0x500, 2), 0xb0c5);
  assertEquals(mem.read(bar + 0x514, 2), 256);
  mem.write(bar + 0x502, 2, 800);
  mem.write(bar + 0x504, 4, 16 << 16 | 600);
  mem.write(bar + 0x508, 2, 1);
  assertEquals([card.surface().width, card.surface().height], [800, 600]);
  mem.write(bar + 0x402, 1, 0x67);
  assertEquals(io.read(0x3cc, 1), 0x67);
  mem.write(bar + 0x404, 2, 0x0f02);
  assertEquals(card.state.seq[2], 15);
  assertEquals([mem.read(bar + 0x600, 4), mem.read(bar + 0x604, 4)], [8, 0x1e1e1e1e]);
  assertEquals(mem.read(bar, 4), 0xffffff00);
  const saved = card.save();
  bus.reset();
  assertEquals(io.read(0x3cc, 1), 0);
  card.load(saved);
  assertEquals([io.read(0x3cc, 1), card.surface().width], [0x67, 800]);
  bus.unplug(card);
  assertEquals(mem.find(0xa0000), undefined);
});

Deno.test("EDID: header, checksum, preferred timing", () => {
  const e = makeEdid({ xres: 1920, yres: 1080 });
  assertEquals(e.reduce((a, b) => a + b, 0) & 0xff, 0);
  assertEquals([...e.subarray(0, 8)], [0, 255, 255, 255, 255, 255, 255, 0]);
  assertEquals([e[56] | (e[58] & 0xf0) << 4, e[59] | (e[61] & 0xf0) << 4], [1920, 1080]);
});

Deno.test("hostile registers neither throw nor hang, whatever is drawn", () => {
  const r = rig(), random = generator(7);
  for (let i = 0; i < 3000; i++) {
    for (let n = 0; n < 8; n++) r.vga.writePort(0x3b0 + random(48), random(256));
    if (random(4) === 0) r.vga.writeDispi(random(14), random(random(2) ? 65536 : 600));
    r.vga.window.ops.write(random(0x20000 - 4), 4, random(0x1000000));
    r.vga.window.ops.read(random(0x20000 - 4), 4);
    if (random(60) === 0) {
      r.vga.writeDispi(4, 0);
      const s = r.vga.surface();
      assertEquals(s.pixels.length, s.width * s.height);
      r.vga.text();
    }
  }
});
