import { assert, assertEquals } from "@std/assert";
import { BlockGraph } from "../../core/block/graph.ts";
import { MemoryBackend } from "../../core/block/memory.ts";
import { AddressSpace } from "../../core/memory/address_space.ts";
import { GuestMemory } from "../../core/memory/guest_memory.ts";
import { ramRegion } from "../../core/memory/region.ts";
import { Dma8237 } from "../misc/dma8237.ts";
import { FloppyController } from "./fdc.ts";
import { floppyGeometry, FloppyType } from "./floppy_drive.ts";

const SIZE = 1474560;
const image = new Uint8Array(SIZE);
for (let i = 0; i < SIZE; i++) image[i] = (i >> 9) * 3 + i;

/** Offset in a 1.44 MB image. */
function at(c: number, h: number, r: number): number {
  return ((c * 2 + h) * 18 + r - 1) * 512;
}

function setup(options: { readonly?: boolean; dma?: boolean; empty?: boolean } = {}) {
  const io = new AddressSpace("I/O", 65536, 0xff);
  const memory = new AddressSpace("memory", 2 ** 32, 0);
  const ram = new GuestMemory(1 << 20).allocBlock("pc.ram", 1 << 19);
  memory.map(ramRegion("pc.ram", ram), 0);
  const dma = new Dma8237(memory);
  io.map(dma.channels1, 0);
  io.map(dma.control1, 8);
  io.map(dma.pages, 0x81);
  const graph = new BlockGraph({ warn: () => {} });
  const medium = new MemoryBackend(image.slice(), { readonly: options.readonly });
  const drive = graph.add({ interface: "floppy", backend: options.empty ? undefined : medium });
  let irqs = 0, level = false;
  const fdc = new FloppyController({
    irq: {
      set(l) {
        if (l && !level) irqs++;
        level = l;
      },
    },
    dma: options.dma === false ? undefined : dma.channel(2),
    drives: [drive, undefined],
  });
  io.map(fdc.ports, 0x3f1);
  io.map(fdc.dir, 0x3f7);
  const inb = (p: number) => io.read(p, 1), outb = (p: number, v: number) => io.write(p, 1, v);
  const t = {
    io,
    ram,
    graph,
    drive,
    fdc,
    disk: medium.bytes,
    inb,
    outb,
    irqs: () => irqs,
    level: () => level,
    send(...bytes: number[]) {
      for (const b of bytes) {
        assertEquals(inb(0x3f4) & 0xc0, 0x80, "ready for a byte");
        outb(0x3f5, b);
      }
    },
    results() {
      const list: number[] = [];
      while ((inb(0x3f4) & 0xf0) === 0xd0) list.push(inb(0x3f5));
      return list;
    },
    /** A command and its results, for commands without data. */
    run(...bytes: number[]) {
      t.send(...bytes);
      return t.results();
    },
    /** Points channel 2 at `address`; `mode` 46h: device to memory, 4Ah: memory to device. */
    program(mode: number, address: number, count: number) {
      outb(0x0a, 6);
      outb(0x0c, 0);
      outb(0x0b, mode);
      outb(0x04, address & 0xff);
      outb(0x04, (address >> 8) & 0xff);
      outb(0x81, address >> 16);
      outb(0x05, (count - 1) & 0xff);
      outb(0x05, (count - 1) >> 8);
      outb(0x0a, 2);
    },
  };
  // As a BIOS starts it: reset, four SENSE INTERRUPT STATUS, SPECIFY.
  outb(0x3f2, 0x00);
  outb(0x3f2, 0x1c);
  for (let i = 0; i < 4; i++) assertEquals(t.run(0x08), [0xc0 | i, 0]);
  t.run(0x03, 0xaf, options.dma === false ? 0x03 : 0x02);
  return t;
}

Deno.test("reset: an interrupt, one ready change per drive, then nothing to report", () => {
  const t = setup();
  assertEquals([t.irqs(), t.level()], [1, false]);
  assertEquals(t.run(0x08), [0x80]);
  t.outb(0x3f2, 0x18);
  assertEquals(t.inb(0x3f4), 0, "held in reset");
  t.outb(0x3f2, 0x1c);
  assertEquals([t.level(), t.inb(0x3f4)], [true, 0x80]);
});

Deno.test("registers and simple commands as recorded from QEMU 7.2", () => {
  const t = setup();
  assertEquals(t.run(0x10), [0x90]);
  assertEquals(t.run(0x18), [0x41]);
  assertEquals([t.run(0x94), t.run(0x14)], [[0x10], [0x00]]);
  assertEquals(t.run(0x13, 0, 0x57, 0x12), []);
  assertEquals(t.run(0x0e), [0, 0, 0, 0, 0xaf, 0x02, 0x12, 0, 0x57, 0x12]);
  assertEquals(t.run(0x1f), [0x80]);
  assertEquals(t.run(0x12, 0x84), []);
  assertEquals(t.run(0x0e)[7], 0x04);
  assertEquals([t.inb(0x3f1), t.inb(0x3f2)], [0xc1, 0x1c]);
});

Deno.test("seek, recalibrate, drive status and the disk change line", () => {
  const t = setup();
  assertEquals(t.inb(0x3f7), 0x80);
  assertEquals(t.run(0x07, 0), []);
  assertEquals([t.level(), t.run(0x08)], [true, [0x20, 0]]);
  assertEquals([t.level(), t.inb(0x3f7)], [false, 0x80], "no step, no change of the line");
  t.run(0x0f, 0x04, 5);
  assertEquals([t.run(0x08), t.inb(0x3f7)], [[0x20, 5], 0x00]);
  assertEquals(t.run(0x04, 0x04), [0x2c]);
  t.run(0x07, 0);
  t.run(0x08);
  assertEquals(t.run(0x04, 0x00), [0x38]);
  t.run(0x07, 1);
  assertEquals(t.run(0x08), [0x71, 0], "no drive B");
  t.run(0xcf, 0, 9);
  t.run(0x8f, 0, 2);
  assertEquals(t.run(0x08), [0x20, 7]);
  t.graph.change("floppy0", tempImage());
  assertEquals(t.inb(0x3f7), 0x80);
  t.run(0x0f, 0, 8);
  assertEquals(t.inb(0x3f7), 0x00);
  t.graph.close();
});

function tempImage(): string {
  const path = Deno.makeTempFileSync();
  Deno.writeFileSync(path, new Uint8Array(737280));
  globalThis.addEventListener("unload", () => Deno.removeSync(path), { once: true });
  return path;
}

Deno.test("DMA read ends at terminal count; the ID registers point behind the last sector", () => {
  const t = setup();
  t.run(0x0f, 0, 3);
  t.run(0x08);
  t.program(0x46, 0x12345, 3 * 512);
  const before = t.irqs();
  t.send(0xe6, 0x00, 3, 0, 2, 2, 18, 0x1b, 0xff);
  assertEquals(t.irqs() - before, 1);
  assertEquals(t.results(), [0x00, 0, 0, 3, 0, 5, 2]);
  assertEquals(t.level(), false);
  assertEquals(
    t.ram.u8.slice(0x12345, 0x12345 + 1536),
    new Uint8Array(t.disk.slice(at(3, 0, 2), at(3, 0, 5))),
  );
  assertEquals(t.inb(0x08) & 0x04, 0x04, "channel 2 reached TC");
});

Deno.test("multi-track goes on with head 1 and ends on the next cylinder", () => {
  const t = setup();
  t.program(0x46, 0x10000, 36 * 512);
  t.send(0xe6, 0x00, 0, 0, 1, 2, 18, 0x1b, 0xff);
  assertEquals(t.results(), [0x00, 0, 0, 1, 0, 1, 2]);
  assertEquals(t.ram.u8.slice(0x10000, 0x14800), new Uint8Array(t.disk.slice(0, 36 * 512)));
  t.program(0x46, 0x10000, 20 * 512);
  t.send(0x66, 0x00, 0, 0, 1, 2, 18, 0x1b, 0xff); // MT off: ends at EOT without TC
  assertEquals(t.results(), [0x40, 0x80, 0, 1, 0, 1, 2]);
});

Deno.test("a masked channel makes the controller wait until it is opened", () => {
  const t = setup();
  t.program(0x46, 0x8000, 512);
  t.outb(0x0a, 6); // mask
  t.send(0x46, 0x04, 0, 1, 7, 2, 18, 0x1b, 0xff);
  assertEquals(t.inb(0x3f4), 0x10);
  t.outb(0x0a, 2);
  assertEquals(t.results(), [0x04, 0, 0, 0, 1, 8, 2]);
  assertEquals(
    t.ram.u8.slice(0x8000, 0x8200),
    new Uint8Array(t.disk.slice(at(0, 1, 7), at(0, 1, 8))),
  );
});

Deno.test("DMA write; terminal count within a sector fills it with zeros", () => {
  const t = setup();
  t.ram.u8.fill(0xa5, 0x9000, 0x9300);
  t.program(0x4a, 0x9000, 0x300);
  t.send(0x45, 0x00, 0, 0, 4, 2, 18, 0x1b, 0xff);
  assertEquals(t.results(), [0x00, 0, 0, 0, 0, 6, 2]);
  const written = t.disk.subarray(at(0, 0, 4), at(0, 0, 6));
  assert(written.subarray(0, 0x300).every((b) => b === 0xa5));
  assert(written.subarray(0x300).every((b) => b === 0));
});

Deno.test("write protection, missing sectors, wrong cylinder, wrong data rate, no disk", () => {
  const t = setup({ readonly: true });
  t.program(0x4a, 0x9000, 512);
  assertEquals(t.run(0x45, 0, 0, 0, 1, 2, 18, 0x1b, 0xff).slice(0, 3), [0x40, 0x02, 0]);
  assertEquals(t.run(0x04, 0), [0x78]);
  t.program(0x46, 0x9000, 512);
  assertEquals(t.run(0x46, 0, 0, 0, 19, 2, 19, 0x1b, 0xff).slice(0, 3), [0x40, 0x04, 0]);
  assertEquals(t.run(0x46, 0, 0, 0, 1, 3, 18, 0x1b, 0xff).slice(0, 3), [0x40, 0x04, 0]);
  t.run(0x13, 0, 0x20, 0); // no implied seek
  assertEquals(t.run(0x46, 0, 9, 0, 1, 2, 18, 0x1b, 0xff).slice(0, 3), [0x40, 0x04, 0x10]);
  t.outb(0x3f7, 2); // 250 kbit/s
  assertEquals(t.run(0x46, 0, 0, 0, 1, 2, 18, 0x1b, 0xff).slice(0, 3), [0x40, 0x05, 0]);
  assertEquals(t.run(0x4a, 0).slice(0, 3), [0x40, 0x01, 0]);
  t.outb(0x3f7, 0);
  assertEquals(t.run(0x4a, 0), [0, 0, 0, 0, 0, 1, 2]);
  const empty = setup({ empty: true });
  assertEquals(empty.run(0x46, 0, 0, 0, 1, 2, 18, 0x1b, 0xff).slice(0, 3), [0x40, 0x05, 0]);
  assertEquals(empty.run(0x46, 1, 0, 0, 1, 2, 18, 0x1b, 0xff).slice(0, 3), [0x41, 0x05, 0]);
});

Deno.test("implied seek moves the head when CONFIGURE allows it", () => {
  const t = setup();
  t.program(0x46, 0x9000, 512);
  assertEquals(t.run(0x46, 0x04, 40, 1, 9, 2, 18, 0x1b, 0xff), [0x04, 0, 0, 40, 1, 10, 2]);
  assertEquals(
    t.ram.u8.slice(0x9000, 0x9200),
    new Uint8Array(t.disk.slice(at(40, 1, 9), at(40, 1, 10))),
  );
});

Deno.test("READ ID meets the sectors of a track in turn", () => {
  const t = setup();
  const ids = Array.from({ length: 19 }, () => t.run(0x4a, 0x04)[5]);
  assertEquals(ids, [...Array.from({ length: 18 }, (_, i) => i + 1), 1]);
});

Deno.test("programmed I/O: status bits, data, end at the last sector of the track", () => {
  const t = setup({ dma: false });
  t.send(0x66, 0, 0, 0, 17, 2, 18, 0x1b, 0xff);
  assertEquals([t.inb(0x3f4), t.level()], [0xf0, true]);
  const got = Array.from({ length: 1024 }, () => t.inb(0x3f5));
  assertEquals(got, [...t.disk.subarray(at(0, 0, 17), at(0, 0, 17) + 1024)]);
  assertEquals(t.inb(0x3f4), 0xd0);
  assertEquals(t.results(), [0x00, 0, 0, 1, 0, 1, 2]);
  t.send(0x45, 0, 0, 0, 18, 2, 18, 0x1b, 0xff);
  assertEquals(t.inb(0x3f4), 0xb0);
  for (let i = 0; i < 512; i++) t.outb(0x3f5, 0x3c);
  assertEquals(t.results().slice(0, 3), [0x00, 0, 0]);
  assert(t.disk.subarray(at(0, 0, 18), at(0, 0, 18) + 512).every((b) => b === 0x3c));
});

Deno.test("FORMAT TRACK fills the sectors the host names", () => {
  const t = setup();
  for (let r = 1; r <= 18; r++) t.ram.u8.set([0, 1, r, 2], 0x9000 + 4 * (r - 1));
  t.program(0x4a, 0x9000, 18 * 4);
  assertEquals(t.run(0x4d, 0x04, 2, 18, 0x54, 0xf6).slice(0, 3), [0x04, 0, 0]);
  const track = t.disk.subarray(at(0, 1, 1), at(0, 1, 1) + 18 * 512);
  assert(track.every((b) => b === 0xf6));
  assert(t.disk[at(0, 1, 1) - 1] === image[at(0, 1, 1) - 1]);
  assert(t.disk[at(1, 0, 1)] === image[at(1, 0, 1)]);
});

Deno.test("VERIFY, READ TRACK, READ DELETED DATA and SCAN", () => {
  const t = setup();
  assertEquals(t.run(0x56, 0x80, 0, 0, 1, 2, 18, 0x1b, 5), [0, 0, 0, 0, 0, 6, 2]);
  t.program(0x46, 0x9000, 2 * 512);
  assertEquals(t.run(0x42, 0, 0, 0, 9, 2, 2, 0x1b, 0xff).slice(0, 3), [0, 0, 0]);
  assertEquals(t.ram.u8.slice(0x9000, 0x9400), new Uint8Array(t.disk.slice(0, 1024)));
  t.program(0x46, 0x9000, 2 * 512);
  assertEquals(t.run(0x4c, 0, 0, 0, 1, 2, 18, 0x1b, 0xff).slice(0, 3), [0, 0, 0x40]);
  t.ram.u8.set(t.disk.subarray(512, 1024), 0x9200); // sector 2 matches, sector 1 does not
  t.ram.u8.fill(0, 0x9000, 0x9200);
  t.program(0x4a, 0x9000, 2 * 512);
  assertEquals(t.run(0x51, 0, 0, 0, 1, 2, 18, 0x1b, 1), [0, 0, 0x08, 0, 0, 2, 2]);
  t.program(0x4a, 0x9000, 512);
  assertEquals(t.run(0x51, 0, 0, 0, 1, 2, 18, 0x1b, 1).slice(0, 3), [0, 0, 0x04]);
});

Deno.test("geometry by image size, drive types for the CMOS", () => {
  const of = (bytes: number) => {
    const g = floppyGeometry(new MemoryBackend(new Uint8Array(bytes)));
    return [g.cylinders, g.heads, g.sectors, g.type];
  };
  assertEquals(of(368640), [40, 2, 9, FloppyType["120"]]);
  assertEquals(of(737280), [80, 2, 9, FloppyType["144"]]);
  assertEquals(of(1228800), [80, 2, 15, FloppyType["120"]]);
  assertEquals(of(1474560), [80, 2, 18, FloppyType["144"]]);
  assertEquals(of(2949120), [80, 2, 36, FloppyType["288"]]);
  assertEquals(of(1720320), [80, 2, 21, FloppyType["144"]]);
  assertEquals(of(1300000), [80, 2, 18, FloppyType["144"]], "an image of no standard size");
  assertEquals(setup().fdc.cmosType, 0x40);
});

Deno.test("save and load while the controller waits for the DMA channel", () => {
  const t = setup();
  t.program(0x46, 0x8000, 512);
  t.outb(0x0a, 6);
  t.send(0x46, 0x00, 0, 0, 7, 2, 18, 0x1b, 0xff);
  const saved = t.fdc.save();
  t.fdc.reset();
  assertEquals(t.inb(0x3f4), 0x80);
  t.fdc.load(saved);
  t.outb(0x0a, 2);
  assertEquals(t.results(), [0x00, 0, 0, 0, 0, 8, 2]);
});

Deno.test("random register accesses neither throw nor hang", () => {
  const t = setup();
  let seed = 99;
  const random = (n: number) => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    return Math.floor(seed / 2 ** 32 * n);
  };
  for (let i = 0; i < 60000; i++) {
    const port = 0x3f0 + random(8);
    if (random(3) === 0) t.io.read(port, ([1, 2, 4] as const)[random(3)]);
    else t.io.write(port === 0x3f6 ? 0x3f5 : port, 1, random(256));
    if (random(100) === 0) {
      t.program([0x46, 0x4a, 0x56, 0x42][random(4)], random(1 << 19), 1 + random(9999));
    }
  }
  t.outb(0x3f2, 0);
  t.outb(0x3f2, 0x0c);
  assertEquals(t.run(0x08), [0xc0, t.fdc.drives[0]!.state.track]);
});
