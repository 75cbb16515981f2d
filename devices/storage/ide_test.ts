import { assert, assertEquals, assertThrows } from "@std/assert";
import { BlockError } from "../../core/block/block.ts";
import { BlockGraph } from "../../core/block/graph.ts";
import { MemoryBackend } from "../../core/block/memory.ts";
import { UserError } from "../../core/errors.ts";
import { AddressSpace } from "../../core/memory/address_space.ts";
import { GuestMemory } from "../../core/memory/guest_memory.ts";
import { ramRegion } from "../../core/memory/region.ts";
import { AtaDisk } from "./ata_disk.ts";
import { BusMasterIde } from "./bmdma.ts";
import { guessGeometry } from "./geometry.ts";
import { IdeChannel } from "./ide.ts";

const RAM = 1 << 20;

const pattern = new Uint8Array(8 << 20);
for (let i = 0; i < pattern.length; i++) pattern[i] = (i >> 9) + (i & 0xff);

/** A channel with one 8 MiB disk, mapped at the compatibility ports, and a bus master at C000h. */
function setup(options: { slave?: boolean; backend?: MemoryBackend } = {}) {
  const medium = options.backend ?? new MemoryBackend(pattern.slice());
  const graph = new BlockGraph();
  const io = new AddressSpace("I/O", 65536, 0xff);
  const memory = new AddressSpace("memory", 2 ** 32, 0);
  const gm = new GuestMemory(RAM + 65536);
  const ram = gm.allocBlock("pc.ram", RAM);
  memory.map(ramRegion("pc.ram", ram), 0);
  let irq = false, edges = 0;
  const line = {
    set(level: boolean) {
      if (level && !irq) edges++;
      irq = level;
    },
  };
  const channel = new IdeChannel({ irq: line });
  const second = new IdeChannel();
  channel.attach(0, new AtaDisk({ drive: graph.add({ backend: medium }) }));
  if (options.slave) {
    const drive = graph.add({ backend: new MemoryBackend(new Uint8Array(1 << 20)) });
    channel.attach(1, new AtaDisk({ drive, serial: "QM00002" }));
  }
  io.map(channel.command, 0x1f0);
  io.map(channel.control, 0x3f6);
  const bm = new BusMasterIde({ channels: [channel, second], mem: memory });
  io.map(bm.region, 0xc000);
  const outb = (port: number, v: number) => io.write(port, 1, v);
  const inb = (port: number) => io.read(port, 1);
  return {
    bytes: medium.bytes,
    graph,
    io,
    ram,
    channel,
    bm,
    inb,
    outb,
    irq: () => irq,
    edges: () => edges,
    /** Writes count, LBA28 address and command. */
    command(code: number, lba = 0, count = 1) {
      outb(0x1f6, 0xe0 | lba >> 24);
      outb(0x1f2, count);
      outb(0x1f3, lba);
      outb(0x1f4, lba >> 8);
      outb(0x1f5, lba >> 16);
      outb(0x1f7, code);
    },
    words(n: number) {
      return Array.from({ length: n }, () => io.read(0x1f0, 2));
    },
    /** Puts a PRD table at 1000h and points the engine at it. */
    prd(...entries: [address: number, size: number][]) {
      entries.forEach(([address, size], i) => {
        ram.view.setUint32(0x1000 + 8 * i, address, true);
        const last = i === entries.length - 1 ? 0x80000000 : 0;
        ram.view.setUint32(0x1004 + 8 * i, (size & 0xffff | last) >>> 0, true);
      });
      io.write(0xc004, 4, 0x1000);
    },
  };
}

function sector(bytes: Uint8Array, lba: number): number[] {
  const v = new DataView(bytes.buffer, bytes.byteOffset + lba * 512, 512);
  return Array.from({ length: 256 }, (_, i) => v.getUint16(i * 2, true));
}

Deno.test("IDENTIFY DEVICE: the words that QEMU 7.2 gives for an 8 MiB disk's fixed fields", () => {
  const t = setup();
  t.command(0xec);
  assertEquals([t.inb(0x3f6), t.irq()], [0x58, true]);
  const w = t.words(256);
  assertEquals([t.inb(0x1f7), t.irq()], [0x50, false]);
  const text = (from: number, to: number) =>
    w.slice(from, to + 1).map((x) => String.fromCharCode(x >> 8, x & 0xff)).join("").trimEnd();
  assertEquals([text(10, 19), text(23, 26), text(27, 46)], ["QM00001", "2.5+", "QEMU HARDDISK"]);
  const fixed: Record<number, number> = {
    0: 0x0040,
    1: 16,
    3: 16,
    4: 0x7e00,
    6: 0x3f,
    47: 0x8010,
    49: 0x0b00,
    53: 0x0007,
    59: 0x0110,
    60: 0x4000,
    61: 0,
    63: 0x0007,
    80: 0x00f0,
    82: 0x4021,
    83: 0x7400,
    84: 0x4000,
    85: 0x4021,
    86: 0x3400,
    87: 0x4000,
    88: 0x203f,
    93: 0x6001,
    100: 0x4000,
    106: 0x6000,
    169: 0x0001,
  };
  for (const [i, value] of Object.entries(fixed)) assertEquals(w[Number(i)], value, `word ${i}`);
});

Deno.test("READ SECTORS: one interrupt per sector, task file counts down", () => {
  const t = setup();
  t.command(0x20, 5, 2);
  assertEquals([t.inb(0x1f7), t.edges()], [0x58, 1]);
  assertEquals(t.words(256), sector(t.bytes, 5));
  assertEquals([t.inb(0x1f7), t.edges()], [0x58, 2]);
  assertEquals(t.words(255), sector(t.bytes, 6).slice(0, 255));
  assertEquals(t.inb(0x1f7), 0x58);
  t.words(1);
  assertEquals([t.inb(0x1f7), t.edges(), t.inb(0x1f2)], [0x50, 2, 0]);
  assertEquals(t.words(1), [0], "no data left");
});

Deno.test("READ MULTIPLE and 32-bit data accesses", () => {
  const t = setup();
  t.command(0xc6, 0, 4);
  t.command(0xc4, 1, 6);
  const before = t.edges();
  for (let i = 0; i < 6 * 128; i++) {
    if (i % 512 === 0) assertEquals(t.inb(0x1f7), 0x58);
    assertEquals(t.io.read(0x1f0, 4), new DataView(t.bytes.buffer).getUint32(512 + 4 * i, true));
  }
  assertEquals(t.edges() - before, 1, "the second block of two sectors");
  assertEquals(t.inb(0x1f7), 0x50);
  t.command(0xc6, 0, 3);
  assertEquals([t.inb(0x1f7), t.inb(0x1f1)], [0x41, 0x04], "not a power of two");
});

Deno.test("WRITE SECTORS: DRQ without an interrupt first, then one per sector", () => {
  const t = setup();
  t.command(0x30, 7, 2);
  assertEquals([t.inb(0x1f7), t.edges()], [0x58, 0]);
  for (let i = 0; i < 256; i++) t.io.write(0x1f0, 2, 0x1234);
  assertEquals([t.inb(0x1f7), t.edges()], [0x58, 1]);
  for (let i = 0; i < 128; i++) t.io.write(0x1f0, 4, 0xabcd9876);
  assertEquals([t.inb(0x1f7), t.edges()], [0x50, 2]);
  assertEquals(sector(t.bytes, 7), new Array(256).fill(0x1234));
  assertEquals(sector(t.bytes, 8).slice(0, 2), [0x9876, 0xabcd]);
});

Deno.test("48-bit reads use the previous register contents; HOB reads them back", () => {
  const t = setup();
  t.outb(0x1f6, 0x40);
  for (const [port, value] of [[0x1f2, 1], [0x1f3, 0], [0x1f4, 0], [0x1f5, 0]]) t.outb(port, value);
  t.outb(0x1f2, 0);
  t.outb(0x1f3, 2);
  t.outb(0x1f3, 3); // previous 2, current 3: LBA 2000003h is beyond the disk
  t.outb(0x1f7, 0x24);
  assertEquals([t.inb(0x1f7), t.inb(0x1f1)], [0x41, 0x04]);
  t.outb(0x3f6, 0x80);
  assertEquals([t.inb(0x1f2), t.inb(0x1f3)], [1, 2]);
  t.outb(0x1f3, 9); // a task file write turns HOB off
  t.outb(0x1f3, 9);
  t.outb(0x1f3, 0);
  t.outb(0x1f3, 9);
  t.outb(0x1f2, 0);
  t.outb(0x1f2, 1);
  assertEquals(t.inb(0x1f3), 9);
  t.outb(0x1f7, 0x24);
  assertEquals(t.words(256), sector(t.bytes, 9));
});

Deno.test("CHS addresses are translated, sector 0 and ranges beyond the end are refused", () => {
  const t = setup();
  const chs = (c: number, h: number, s: number, count: number) => {
    t.outb(0x1f6, 0xa0 | h);
    t.outb(0x1f2, count);
    t.outb(0x1f3, s);
    t.outb(0x1f4, c);
    t.outb(0x1f5, c >> 8);
    t.outb(0x1f7, 0x20);
    return t.inb(0x1f7);
  };
  assertEquals(chs(1, 2, 63, 1), 0x58);
  assertEquals(t.words(256), sector(t.bytes, (1 * 16 + 2) * 63 + 62));
  assertEquals([t.inb(0x1f3), t.inb(0x1f6) & 15, t.inb(0x1f4)], [1, 3, 1], "the next sector");
  assertEquals([chs(0, 0, 0, 1), t.inb(0x1f1)], [0x41, 0x04]);
  assertEquals(chs(16383, 15, 63, 1), 0x41);
  t.command(0x20, 0x3fff, 2);
  assertEquals(t.inb(0x1f7), 0x41, "the last sector and one more");
  t.command(0x20, 0x3fff, 1);
  assertEquals(t.inb(0x1f7), 0x58);
});

Deno.test("nIEN holds the interrupt back, clearing it lets it through", () => {
  const t = setup();
  t.outb(0x3f6, 0x02);
  t.command(0xe7);
  assertEquals(t.irq(), false);
  t.outb(0x3f6, 0x00);
  assertEquals(t.irq(), true);
  t.inb(0x3f6);
  assertEquals(t.irq(), true, "Alternate Status does not clear it");
  t.inb(0x1f7);
  assertEquals(t.irq(), false);
});

Deno.test("a missing slave answers with zero status, a missing pair with zeros", () => {
  const t = setup();
  t.outb(0x1f6, 0xb0);
  assertEquals([t.inb(0x1f7), t.inb(0x3f6), t.inb(0x1f1)], [0, 0, 0]);
  t.outb(0x1f7, 0xec);
  assertEquals(t.inb(0x1f7), 0);
  assertEquals(t.edges(), 0);
  const empty = new IdeChannel();
  for (let i = 0; i < 8; i++) {
    empty.command.ops.write(i, 1, 0xff);
    assertEquals(empty.command.ops.read(i, 1), 0);
  }
});

Deno.test("software reset and EXECUTE DEVICE DIAGNOSTIC give the signature and select device 0", () => {
  const t = setup({ slave: true });
  t.outb(0x1f6, 0xb0);
  t.outb(0x1f7, 0xec);
  const w = t.words(256);
  assertEquals(w[13], 0x3220, "the slave's own serial number");
  t.command(0x30, 0, 1); // leaves DRQ set
  t.outb(0x3f6, 0x04);
  assertEquals(t.inb(0x1f7) & 0x80, 0x80, "busy while SRST is set");
  t.outb(0x3f6, 0x00);
  const signature = () => [0x1f7, 0x1f1, 0x1f2, 0x1f3, 0x1f4, 0x1f5, 0x1f6].map(t.inb);
  assertEquals(signature(), [0x50, 1, 1, 1, 0, 0, 0xa0]);
  t.outb(0x1f6, 0xb0);
  t.outb(0x1f7, 0x90);
  assertEquals(t.irq(), true);
  assertEquals(signature(), [0x50, 1, 1, 1, 0, 0, 0xa0]);
});

Deno.test("unknown commands, packet commands and out-of-place requests are aborted", () => {
  const t = setup();
  for (const code of [0x00, 0x08, 0xa0, 0xa1, 0xff, 0x1f, 0x22, 0xc7]) {
    t.command(code);
    assertEquals([t.inb(0x1f7), t.inb(0x1f1)], [0x41, 0x04], code.toString(16));
  }
});

Deno.test("DMA read and write along several PRD entries", () => {
  const t = setup();
  t.prd([0x2000, 0x300], [0x8000, 0x100], [0x9000, 0xc00]);
  t.outb(0xc002, 0x06);
  t.command(0xc8, 3, 8);
  assertEquals(t.inb(0x3f6), 0x58, "waits for START");
  t.outb(0xc000, 0x09);
  assertEquals([t.inb(0xc002), t.irq(), t.inb(0x1f7)], [0x04, true, 0x50]);
  const want = t.bytes.subarray(3 * 512, 11 * 512);
  assertEquals(t.ram.u8.slice(0x2000, 0x2300), new Uint8Array(want.slice(0, 0x300)));
  assertEquals(t.ram.u8.slice(0x8000, 0x8100), new Uint8Array(want.slice(0x300, 0x400)));
  assertEquals(t.ram.u8.slice(0x9000, 0x9c00), new Uint8Array(want.slice(0x400)));
  t.outb(0xc000, 0x00);
  t.outb(0xc002, 0x04);
  assertEquals(t.inb(0xc002), 0);

  t.ram.u8.fill(0x5a, 0x4000, 0x4400);
  t.prd([0x4000, 0x400]);
  t.outb(0xc000, 0x01); // START before the command
  t.command(0xca, 20, 2);
  assertEquals([t.inb(0xc002), t.inb(0x1f7)], [0x04, 0x50]);
  assert(t.bytes.subarray(20 * 512, 22 * 512).every((b) => b === 0x5a));
  assert(t.bytes[22 * 512] !== 0x5a || t.bytes[22 * 512 + 1] !== 0x5a);
});

Deno.test("a large DMA transfer takes many buffers and the 64 KiB entry", () => {
  const t = setup();
  t.prd([0x10000, 0], [0x20000, 0], [0x30000, 0x8000]);
  t.outb(0xc000, 0x08);
  t.outb(0x1f6, 0x40);
  t.outb(0x1f2, 320 >> 8);
  t.outb(0x1f2, 320 & 0xff);
  for (const p of [0x1f3, 0x1f3, 0x1f4, 0x1f4, 0x1f5, 0x1f5]) t.outb(p, 0);
  t.outb(0x1f7, 0x25);
  t.outb(0xc000, 0x09);
  assertEquals([t.inb(0xc002), t.inb(0x1f7)], [0x04, 0x50]);
  assertEquals(t.ram.u8.slice(0x10000, 0x38000), new Uint8Array(t.bytes.slice(0, 0x28000)));
});

Deno.test("PRD tables too short, too long, without end, or outside memory", () => {
  const t = setup();
  const run = (count: number, code = 0xc8) => {
    t.outb(0xc000, 0);
    t.outb(0xc002, 0x06);
    t.inb(0x1f7);
    t.command(code, 0, count);
    t.outb(0xc000, code === 0xc8 ? 0x09 : 0x01);
    return [t.inb(0xc002), t.irq() ? 1 : 0];
  };
  t.prd([0x2000, 0x200]);
  assertEquals(run(2), [0x00, 0], "too short: inactive, no interrupt");
  t.prd([0x2000, 0x2000]);
  assertEquals(run(2), [0x05, 1], "too long: still active, interrupt");
  t.prd([0xfff00000, 0x400]);
  assertEquals(run(2), [0x04, 1], "nowhere: dropped");
  assertEquals(run(2, 0xca), [0x04, 1]);
  assertEquals(t.bytes.subarray(0, 1024).some((b) => b !== 0), false, "holes read as zeros");
  // 8192 entries of 2 bytes, none of them the last, round and round in 64 KiB.
  for (let i = 0; i < 8192; i++) {
    t.ram.view.setUint32(0x40000 + 8 * i, 0x60000, true);
    t.ram.view.setUint32(0x40004 + 8 * i, 2, true);
  }
  t.io.write(0xc004, 4, 0x40000);
  assertEquals(run(256), [0x00, 0], "16 KiB of 128 KiB, then the end");
  t.io.write(0xc004, 4, 0xfffffffc);
  run(1);
});

Deno.test("a command whose engine is never started is ended by a reset", () => {
  const t = setup();
  t.prd([0x2000, 0x200]);
  t.command(0xc8, 0, 1);
  assertEquals([t.inb(0xc002), t.inb(0x3f6)], [0x00, 0x58]);
  t.outb(0x3f6, 4);
  t.outb(0x3f6, 0);
  assertEquals(t.inb(0x1f7), 0x50);
  t.outb(0xc000, 0x09);
  assertEquals([t.inb(0xc002), t.irq()], [0x01, false]);
  t.outb(0xc000, 0x00);
  assertEquals(t.inb(0xc002), 0x00);
});

Deno.test("SET FEATURES transfer modes show in IDENTIFY; bad ones are aborted", () => {
  const t = setup();
  const set = (mode: number) => {
    t.outb(0x1f1, 3);
    t.command(0xef, 0, mode);
    return t.inb(0x1f7);
  };
  const identify = () => {
    t.command(0xec);
    const w = t.words(256);
    return [w[63], w[88]];
  };
  assertEquals(set(0x22), 0x50);
  assertEquals(identify(), [0x0407, 0x003f]);
  assertEquals(set(0x42), 0x50);
  assertEquals(identify(), [0x0007, 0x043f]);
  assertEquals([set(0x47), set(0xff), set(0x23)], [0x41, 0x41, 0x41]);
});

Deno.test("SMART: signature needed, data sums to zero, status leaves the signature", () => {
  const t = setup();
  const smart = (feature: number, low = 0) => {
    t.outb(0x1f1, feature);
    t.command(0xb0, 0xc24f00 | low, 1);
    return t.inb(0x1f7);
  };
  t.outb(0x1f1, 0xd0);
  t.command(0xb0, 0, 1);
  assertEquals(t.inb(0x1f7), 0x41);
  for (const feature of [0xd0, 0xd1]) {
    assertEquals(smart(feature), 0x58);
    const sum = t.words(256).reduce((a, w) => a + (w & 0xff) + (w >> 8), 0);
    assertEquals(sum & 0xff, 0);
  }
  assertEquals([smart(0xda), t.inb(0x1f4), t.inb(0x1f5)], [0x50, 0x4f, 0xc2]);
  assertEquals([smart(0xd9), smart(0xd0), smart(0xd8), smart(0xda)], [0x50, 0x41, 0x50, 0x50]);
});

Deno.test("TRIM discards ranges and refuses ones beyond the disk", () => {
  const discarded: number[][] = [];
  class Trimmable extends MemoryBackend {
    discard(offset: number, length: number): undefined {
      discarded.push([offset, length]);
    }
  }
  const t = setup({ backend: new Trimmable(new Uint8Array(1 << 20)) });
  t.prd([0x2000, 512]);
  const trim = (lba: number, count: number) => {
    t.ram.u8.fill(0, 0x2000, 0x2200);
    t.ram.view.setUint32(0x2000, lba, true);
    t.ram.view.setUint16(0x2006, count, true);
    t.outb(0xc000, 0);
    t.outb(0x1f1, 1);
    t.outb(0x1f2, 0);
    t.command(0x06, 0, 1);
    t.outb(0xc000, 0x01);
    return t.inb(0x1f7);
  };
  assertEquals(trim(10, 5), 0x50);
  assertEquals(discarded, [[5120, 2560]]);
  assertEquals(trim(2047, 2), 0x41);
});

Deno.test("an asynchronous back end keeps BSY until it is done; a reset forgets it", async () => {
  let release: (() => void)[] = [];
  class Slow extends MemoryBackend {
    override read(offset: number, into: Uint8Array): undefined {
      return new Promise<void>((done) =>
        release.push(() => {
          super.read(offset, into);
          done();
        })
      ) as unknown as undefined;
    }
  }
  const backend = new Slow(new Uint8Array(1 << 20).fill(0x11));
  const t = setup({ backend });
  const flush = async () => {
    for (const f of release) f();
    release = [];
    await Promise.resolve();
    await Promise.resolve();
  };
  await flush();
  t.command(0x20, 1, 1);
  assertEquals([t.inb(0x3f6), t.irq()], [0x80, false]);
  t.outb(0x1f7, 0xec);
  assertEquals(t.inb(0x3f6), 0x80, "no command while busy");
  await flush();
  assertEquals([t.inb(0x1f7), t.words(256)[0]], [0x58, 0x1111]);
  t.command(0x20, 1, 1);
  t.outb(0x3f6, 4);
  t.outb(0x3f6, 0);
  await flush();
  assertEquals([t.inb(0x1f7), t.irq()], [0x50, false], "the late completion is dropped");
});

Deno.test("host errors: UNC on reads, stopped writes are retried on resume", () => {
  class Bad extends MemoryBackend {
    broken: "EIO" | "ENOSPC" | undefined;
    override read(offset: number, into: Uint8Array): undefined {
      if (this.broken) throw new BlockError(this.broken, "bad");
      super.read(offset, into);
    }
    override write(offset: number, from: Uint8Array): undefined {
      if (this.broken) throw new BlockError(this.broken, "bad");
      super.write(offset, from);
    }
  }
  const backend = new Bad(new Uint8Array(1 << 20));
  const t = setup({ backend });
  backend.broken = "EIO";
  t.command(0x20, 1, 1);
  assertEquals([t.inb(0x1f7), t.inb(0x1f1)], [0x41, 0x40]);
  backend.broken = "ENOSPC";
  t.command(0x30, 1, 1);
  for (let i = 0; i < 256; i++) t.io.write(0x1f0, 2, 0x7777);
  assertEquals(t.inb(0x3f6), 0x80, "busy while the machine is stopped");
  backend.broken = undefined;
  t.graph.resume();
  assertEquals([t.inb(0x1f7), backend.bytes[512]], [0x50, 0x77]);
  backend.broken = "ENOSPC";
  t.command(0x30, 2, 1);
  for (let i = 0; i < 256; i++) t.io.write(0x1f0, 2, 0x7777);
  t.channel.reset();
  backend.broken = undefined;
  t.graph.resume();
  assertEquals(backend.bytes[1024], 0, "a reset drops what was stopped");
});

Deno.test("save and load in the middle of a PIO read", () => {
  const t = setup();
  t.command(0x20, 5, 2);
  const first = t.words(100);
  const saved = t.channel.save(), bm = t.bm.save();
  const rest = t.words(256);
  t.channel.reset();
  t.channel.load(saved);
  t.bm.load(bm);
  assertEquals(t.irq(), true);
  assertEquals(t.words(256), rest);
  assertEquals([...first, ...rest.slice(0, 156)], sector(t.bytes, 5));
  assertEquals(t.inb(0x1f7), 0x58);
});

Deno.test("geometry follows the partition table, else 16 heads and 63 sectors", () => {
  const disk = new MemoryBackend(new Uint8Array(10 << 20));
  assertEquals(guessGeometry(disk), { cylinders: 20, heads: 16, sectors: 63 });
  disk.bytes.set([0x55, 0xaa], 510);
  disk.bytes.set([0x80, 1, 1, 0, 6, 7, 17, 100, 17, 0, 0, 0, 0, 0x10, 0, 0], 0x1be);
  assertEquals(guessGeometry(disk), { cylinders: 150, heads: 8, sectors: 17 });
});

Deno.test("a disk needs a medium it can write", () => {
  const g = new BlockGraph();
  assertThrows(() => new AtaDisk({ drive: g.add({}) }), UserError, "Device needs media");
  const ro = g.add({ backend: new MemoryBackend(new Uint8Array(512), { readonly: true }) });
  assertThrows(() => new AtaDisk({ drive: ro }), UserError, "Block node is read-only");
});

Deno.test("random writes to every register neither throw nor hang", () => {
  const t = setup({ slave: true });
  let seed = 42;
  const random = (n: number) => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    return Math.floor(seed / 2 ** 32 * n);
  };
  const ports = [0x1f0, 0x1f1, 0x1f2, 0x1f3, 0x1f4, 0x1f5, 0x1f6, 0x1f7, 0x3f6, 0xc000, 0xc002];
  for (let i = 0; i < 40000; i++) {
    const port = ports[random(ports.length)], size = ([1, 2, 4] as const)[random(3)];
    if (random(3) === 0) t.io.read(port, size);
    else t.io.write(port, size, random(2 ** 32));
    if (random(50) === 0) t.io.write(0xc004, 4, random(RAM));
  }
  t.outb(0x3f6, 4);
  t.outb(0x3f6, 0);
  assertEquals(t.inb(0x1f7), 0x50);
});
