/** Pictures that are kept and brought up to date, against ones drawn anew from the same state. */
import { assert, assertEquals, assertNotEquals } from "@std/assert";
import { ManualClock } from "../../core/clock.ts";
import { DirtyLog } from "../../core/display/dirty.ts";
import { AddressSpace } from "../../core/memory/address_space.ts";
import { GuestMemory } from "../../core/memory/guest_memory.ts";
import { Vga } from "./vga.ts";
import { mapLegacyVga } from "./vga_legacy.ts";
import {
  CHAIN4_320x200,
  freshPicture,
  generator,
  PLANAR_640x480,
  programmer,
  type Registers,
  TEXT_80x25,
} from "./vga_rig.ts";

const VRAM = 1 << 20, LFB = 0xe0000000;
/** How the accelerator under test tells of the guest's writes. */
type Log = "none" | "pages";

function machine(log: Log) {
  const memory = new GuestMemory(2 << 20), clock = new ManualClock();
  const mem = new AddressSpace("memory", 2 ** 32, 0xff), io = new AddressSpace("I/O", 65536, 0xff);
  const vram = memory.allocBlock("vga.vram", VRAM);
  const logged = new Set<number>();
  const vm = {
    keepsLog: log === "pages",
    complete: true,
    reads: 0,
    get dirtyPages() {
      return this.keepsLog ? this.read : undefined;
    },
    read(page: (offset: number) => void): boolean {
      vm.reads++;
      for (const p of logged) page(vram.offset + 4096 * p);
      logged.clear();
      return vm.complete;
    },
  };
  const dirtyLog = new DirtyLog(vm, mem);
  const dirty = dirtyLog.watch(vram), vga = new Vga(vram, clock, dirty);
  mapLegacyVga(vga, mem, io);
  mem.map(vga.framebuffer, LFB);
  /** A store by the guest's processor, past the address space. */
  const store = (offset: number, value: number) => {
    vram.u8[offset] = value;
    logged.add(offset >> 12);
  };
  return { ...programmer(vga), clock, mem, vm, dirtyLog, dirty, store };
}
type Machine = ReturnType<typeof machine>;

function check(m: Machine, what: string): void {
  const kept = m.vga.surface(), fresh = freshPicture(m.vga, m.clock);
  assertEquals([kept.width, kept.height], [fresh.width, fresh.height], what);
  const at = fresh.pixels.findIndex((p, i) => p !== kept.pixels[i]);
  assert(at < 0, `${what}: pixel ${at % kept.width} of line ${Math.floor(at / kept.width)}`);
}

const CGA_320x200: Registers = {
  ...CHAIN4_320x200,
  seq: [3, 9, 3, 0, 2],
  crtc: [
    ...[0x2d, 0x27, 0x28, 0x90, 0x2b, 0x80, 0xbf, 0x1f, 0x00, 0xc1, 0, 0, 0, 0, 0, 0],
    ...[0x9c, 0x8e, 0x8f, 0x14, 0x00, 0x96, 0xb9, 0xa2, 0xff],
  ],
  gc: [0, 0, 0, 0, 0, 0x30, 0x0f, 0, 0xff],
};

function dispiMode(m: Machine, bpp: number): void {
  m.vga.writePort(0x3c2, 0x67);
  const values = [0xb0c5, 320, 200, bpp];
  values.forEach((v, i) => m.vga.writeDispi(i, v));
  m.vga.writeDispi(4, 0x41);
  m.vga.writeDispi(6, 336);
  m.attribute(0, 0); // not blank
}

const MODES: Record<string, (m: Machine) => void> = {
  text: (m) => m.set(TEXT_80x25),
  "text in 40 columns": (m) => m.set({ ...TEXT_80x25, seq: [3, 8, 3, 0x04, 2] }),
  planar: (m) => m.set(PLANAR_640x480),
  "256 colours": (m) => m.set(CHAIN4_320x200),
  cga: (m) => m.set(CGA_320x200),
  ...Object.fromEntries(
    [4, 8, 15, 16, 24, 32].map((bpp) => [`${bpp} bpp`, (m: Machine) => dispiMode(m, bpp)]),
  ),
};

for (const log of ["none", "pages"] as const) {
  Deno.test(`partial updates equal whole ones in every mode (log: ${log})`, () => {
    const m = machine(log), random = generator(11);
    for (let i = 0; i < 256; i++) m.color(i, random(64), random(64), random(64));
    for (const [name, mode] of Object.entries(MODES)) {
      m.vga.writeDispi(4, 0);
      mode(m);
      check(m, name);
      let partial = 0;
      for (let round = 0; round < 24; round++) {
        const what = `${name}, round ${round}`;
        for (let n = random(6); n > 0; n--) {
          const at = random(round % 2 ? 0x8000 : 0x40000), value = random(256);
          switch (random(5)) {
            case 0:
              m.mem.write(0xa0000 + random(0x20000), 1, value);
              break;
            case 1:
              m.mem.write(LFB + at, 1, value); // as the monitor does, or a device's DMA
              break;
            case 2:
              m.mem.writeBytes(LFB + at, Uint8Array.of(value, value + 1, value + 2));
              break;
            default:
              m.store(at, value);
          }
        }
        if (round % 6 === 5) {
          const [port, index] = [
            [0x3d4, 0x0f],
            [0x3d4, 0x0e],
            [0x3d4, 0x0a],
            [0x3d4, 0x0d],
            [
              0x3d4,
              0x08,
            ],
            [0x3d4, 0x18],
            [0x3c4, 3],
          ][random(7)];
          m.out(port, index, random(port === 0x3c4 ? 64 : 128));
        }
        if (round % 5 === 4) m.color(random(256), random(64), random(64), random(64));
        if (round % 4 === 3) m.clock.advance(random(400) * 1e6);
        check(m, what);
        if (m.vga.linesDrawn < m.vga.surface().height) partial++;
      }
      assert(partial >= 6, `${name}: ${partial} partial updates`);
    }
    assertEquals(m.vm.reads > 0, log === "pages");
  });
}

Deno.test("the log decides which lines of a frame buffer are drawn", () => {
  const m = machine("pages");
  dispiMode(m, 32); // 1344 bytes a line: page 10 holds part of line 30 to part of line 33
  m.vga.surface();
  const before = m.vga.surface().pixels.slice();
  assertEquals(m.vga.linesDrawn, 0);
  m.vga.vram.u8[1344 * 32] = 99; // not in the log
  assertEquals([...m.vga.surface().pixels], [...before]);
  assertEquals(m.vga.linesDrawn, 0);
  m.store(1344 * 31, 55);
  assertEquals(m.vga.surface().pixels[320 * 32], 99);
  assertEquals(m.vga.linesDrawn, 4);
  assertEquals(m.vga.surface().pixels[320 * 31], 55);
  m.vga.writeDispi(4, 0);
  dispiMode(m, 32); // clears display memory
  check(m, "the mode set again");
  assertEquals(m.vga.surface().pixels[320 * 31], 0);
});

Deno.test("a blanked frame buffer is black, and back when it is shown again", () => {
  const m = machine("pages");
  dispiMode(m, 32);
  m.store(1344 * 3, 77);
  check(m, "shown");
  const show = (on: boolean) => {
    m.vga.readPort(0x3da);
    m.vga.writePort(0x3c0, on ? 0x20 : 0);
    const { width, height, pixels } = m.vga.surface();
    assertEquals([width, height], [320, 200]);
    return pixels[320 * 3];
  };
  assertEquals([show(false), show(true), show(false)], [0, 77, 0]);
  m.store(1344 * 3, 78);
  assertEquals([show(false), show(true)], [0, 78]);
});

Deno.test("a log that has missed something has everything drawn once", () => {
  const m = machine("pages");
  m.set(PLANAR_640x480);
  m.vga.surface();
  m.vga.vram.u8[0] = 0x80;
  m.vm.complete = false;
  check(m, "incomplete");
  assertEquals(m.vga.linesDrawn, 480);
  m.vm.complete = true;
  check(m, "complete");
  assertEquals(m.vga.linesDrawn, 0);
});

Deno.test("a copy from before the log was kept is not compared with", () => {
  const m = machine("pages");
  dispiMode(m, 32);
  const show = (keepsLog: boolean, value: number) => {
    m.vm.keepsLog = keepsLog;
    m.store(1344 * 7, value);
    return m.vga.surface().pixels[320 * 7];
  };
  assertEquals([show(false, 5), show(false, 6), show(true, 7), show(true, 8)], [5, 6, 7, 8]);
  assertEquals([show(false, 6), show(true, 9), show(false, 9)], [6, 9, 9]);
});

Deno.test("every watcher of a log hears of its own memory, and one that has left compares", () => {
  const m = machine("pages"), memory = new GuestMemory(1 << 20);
  const other = memory.allocBlock("other", 0x4000);
  // A block beside the adapter's, in the same numbering.
  const beside = { ...other, offset: m.vga.vram.offset + VRAM };
  const second = m.dirtyLog.watch(beside);
  second.clear();
  m.dirty.clear();
  m.store(0x5000, 1);
  second.update(0, 0x4000);
  assertEquals([...second.pages], [0, 0, 0, 0]);
  assertEquals(m.dirty.pages.findIndex((p) => p !== 0), 5, "told by another's reading");
  m.dirtyLog.unwatch(second);
  second.update(0, 0x2000);
  assertEquals([...second.pages], [1, 1, 0, 0], "nothing is known yet");
  second.clear();
  other.u8[0x1fff] = 1;
  other.u8[0x3000] = 1;
  second.update(0, 0x2000);
  assertEquals([...second.pages], [0, 1, 0, 0]);
  second.mark(-10, 11);
  second.mark(0x3fff, 100);
  assertEquals([...second.pages], [1, 1, 0, 1]);
});

Deno.test("lines tell the update that changed them, once for every viewer", () => {
  const m = machine("none");
  dispiMode(m, 8);
  const first = m.vga.surface(), seen = first.serial;
  m.store(336 * 7, 1);
  m.color(1, 63, 0, 0);
  const next = m.vga.surface();
  assert(next === first && next.serial > seen);
  const lines = [...next.changed.keys()].filter((y) => next.changed[y] > seen);
  assertEquals(lines, [7], "all were drawn for the colour, one has it");
  m.vga.surface();
  assertEquals([...next.changed.keys()].filter((y) => next.changed[y] > seen), [7]);
  m.vga.writeDispi(2, 100);
  assertNotEquals(m.vga.surface(), first, "another size, another picture");
});

Deno.test("blinking and the cursor draw the lines they are in", () => {
  const m = machine("none");
  m.set(TEXT_80x25);
  m.out(0x3d4, 0x0e, 0);
  m.out(0x3d4, 0x0f, 80 * 3 + 5); // the cursor in row 3
  for (let i = 0; i < 32; i++) m.store((32 * 65 + i) * 4 + 2, 0x55 + i); // a glyph
  for (const cell of [80 * 10 + 1, 80 * 20 + 79]) {
    m.store(4 * cell, 65);
    m.store(4 * cell + 1, 0x87);
  }
  check(m, "start");
  const frame = 1e9 / 70;
  m.clock.advance(9 * frame);
  check(m, "cursor off");
  assertEquals(m.vga.linesDrawn, 16);
  m.clock.advance(8 * frame);
  check(m, "cursor on, characters off");
  assertEquals(m.vga.linesDrawn, 48);
  m.out(0x3d4, 0x0f, 80 * 4);
  check(m, "cursor moved");
  assertEquals(m.vga.linesDrawn, 32);
  m.store(4 * (80 * 12 + 3), 65);
  check(m, "a character");
  assertEquals(m.vga.linesDrawn, 16);
  m.store((32 * 65 + 3) * 4 + 2, 0xff);
  check(m, "its glyph");
  assertEquals(m.vga.linesDrawn, 400);
  m.store((32 * 66 + 3) * 4, 0xff);
  check(m, "a page of the font, but not the font");
  assertEquals(m.vga.linesDrawn, 0);
});
