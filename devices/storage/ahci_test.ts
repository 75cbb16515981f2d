import { assert, assertEquals } from "@std/assert";
import { type BlockBackend, BlockError } from "../../core/block/block.ts";
import { BlockGraph } from "../../core/block/graph.ts";
import { MemoryBackend } from "../../core/block/memory.ts";
import { AddressSpace } from "../../core/memory/address_space.ts";
import { GuestMemory } from "../../core/memory/guest_memory.ts";
import { ramRegion } from "../../core/memory/region.ts";
import { Ahci } from "./ahci.ts";
import { AtaDisk } from "./ata_disk.ts";
import { AtapiCdrom } from "./atapi.ts";

// AHCI 1.3.1: port 0 at 100h; PxCLB 0, PxFB 8, PxIS 10h, PxIE 14h, PxCMD 18h, PxTFD 20h, …
const P0 = 0x100, P1 = 0x180;
const LIST = 0x1000, FRAMES = 0x2000, TABLE = 0x3000, DATA = 0x10000;
const MIB = 1 << 20;

const disk = new Uint8Array(MIB).map((_, i) => (i >> 9) + (i & 0xff));
const cd = new Uint8Array(MIB).map((_, i) => (i >> 11) ^ (i & 0xff));

function setup(medium: BlockBackend = new MemoryBackend(disk.slice())) {
  const gm = new GuestMemory(2 * MIB), mem = new AddressSpace("memory", 2 ** 36, 0);
  const ram = gm.allocBlock("pc.ram", MIB), graph = new BlockGraph();
  mem.map(ramRegion("pc.ram", ram), 0);
  let level = false, raised = 0;
  const hba = new Ahci({
    ports: 6,
    memory: () => mem,
    interrupt: (l, r) => {
      level = l;
      if (r) raised++;
    },
  });
  hba.ports[0].attach(new AtaDisk({ drive: graph.add({ backend: medium }), queueDepth: 32 }));
  const cdDrive = graph.add({ backend: new MemoryBackend(cd, { readonly: true }), media: "cdrom" });
  hba.ports[1].attach(new AtapiCdrom({ drive: cdDrive }));
  const r = (at: number) => hba.region.ops.read(at, 4);
  const w = (at: number, v: number) => hba.region.ops.write(at, 4, v);
  for (const p of [P0, P1]) {
    w(p, LIST);
    w(p + 8, FRAMES);
    w(p + 0x14, 0xffffffff);
    w(p + 0x18, 0x10); // FRE
    w(p + 0x18, 0x11); // ST
  }
  w(4, 2); // GHC.IE
  const put = (at: number, v: number) => mem.write(at, 4, v >>> 0);
  return {
    hba,
    mem,
    r,
    w,
    ram,
    level: () => level,
    raised: () => raised,
    /** Fills slot `slot`: the frame's bytes, then {address, length} pieces. */
    fill(
      slot: number,
      fis: number[],
      prds: [number, number][],
      flags = 5,
      packet: number[] = [],
    ) {
      const table = TABLE + slot * 0x200;
      put(LIST + 32 * slot, flags | (prds.length << 16));
      put(LIST + 32 * slot + 4, 0);
      put(LIST + 32 * slot + 8, table);
      put(LIST + 32 * slot + 12, 0);
      mem.writeBytes(table, new Uint8Array(0x80));
      mem.writeBytes(table, Uint8Array.from(fis));
      mem.writeBytes(table + 0x40, Uint8Array.from(packet));
      prds.forEach(([at, length], n) => {
        put(table + 0x80 + 16 * n, at);
        put(table + 0x84 + 16 * n, 0);
        put(table + 0x8c + 16 * n, length - 1);
      });
    },
    prdbc: (slot: number) => mem.read(LIST + 32 * slot + 4, 4),
    bytes: (at: number, n: number) => {
      const b = new Uint8Array(n);
      mem.readBytes(at, b);
      return b;
    },
  };
}

/** Register – host to device: command, features, LBA, count. */
function h2d(command: number, lba = 0, count = 1, features = 0): number[] {
  const l = (n: number) => Math.floor(lba / 2 ** (8 * n)) & 0xff;
  return [
    ...[0x27, 0x80, command, features & 0xff, l(0), l(1), l(2), 0x40],
    ...[l(3), l(4), l(5), features >> 8, count & 0xff, count >> 8, 0, 0],
  ];
}

Deno.test("global registers are what QEMU 7.2's ich9-ahci shows", () => {
  const { r, w } = setup();
  assertEquals([r(0x00), r(0x0c), r(0x10)], [0xc0141f05, 0x3f, 0x10000]);
  w(4, 1); // HR
  assertEquals(r(4), 0x80000000);
  // Signatures and link state: ATA, ATAPI, nothing
  assertEquals([r(P0 + 0x24), r(P1 + 0x24)], [0x00000101, 0xeb140101]);
  assertEquals([r(P0 + 0x28), r(P1 + 0x28), r(0x228)], [0x113, 0x113, 0]);
  assertEquals([r(0x220) & 0xff, r(0x224)], [0x7f, 0xffffffff]);
});

Deno.test("IDENTIFY DEVICE: PIO Setup frame, words 75 and 76 offer queuing", () => {
  const { r, w, fill, bytes, level, prdbc, mem } = setup();
  fill(0, h2d(0xec), [[DATA, 512]]);
  w(P0 + 0x38, 1);
  assertEquals([r(P0 + 0x38), r(P0 + 0x10) & 3, prdbc(0)], [0, 3, 512]);
  assertEquals([level(), r(8)], [true, 1]);
  const words = new Uint16Array(bytes(DATA, 512).buffer);
  assertEquals([words[75], words[76], words[60]], [31, 0x100, MIB / 512]);
  assertEquals([mem.read(FRAMES + 0x20, 1), mem.read(FRAMES + 0x40, 1)], [0x5f, 0x34]);
  w(P0 + 0x10, 0xffffffff);
  assertEquals([level(), r(8), r(P0 + 0x20) & 0xff], [false, 0, 0x50]);
});

Deno.test("DMA read and write over several descriptors", () => {
  const { r, w, fill, bytes, prdbc, mem } = setup();
  fill(3, h2d(0x25, 5, 4), [[DATA, 100], [DATA + 0x1000, 1948]]);
  w(P0 + 0x38, 8);
  assertEquals([r(P0 + 0x38), prdbc(3), r(P0 + 0x10)], [0, 2048, 1]);
  assertEquals(bytes(DATA, 100), disk.slice(2560, 2660));
  assertEquals(bytes(DATA + 0x1000, 1948), disk.slice(2660, 4608));
  mem.writeBytes(DATA, new Uint8Array(512).fill(0x77));
  fill(0, h2d(0x35, 9, 1), [[DATA, 512]], 0x45);
  fill(1, h2d(0x25, 8, 3), [[DATA + 0x2000, 1536]]);
  w(P0 + 0x38, 3); // both at once: in order
  const back = bytes(DATA + 0x2000, 1536);
  assertEquals([back[511], back[512], back[1023], back[1024]], [
    disk[4607],
    0x77,
    0x77,
    disk[5120],
  ]);
});

Deno.test("queued reads end with Set Device Bits frames and clear PxSACT", () => {
  const { r, w, fill, bytes, mem, raised } = setup();
  fill(4, h2d(0x60, 1, 4 << 3, 1), [[DATA, 512]]);
  fill(9, h2d(0x60, 7, 9 << 3, 2), [[DATA + 0x400, 1024]]);
  w(P0 + 0x34, 0x210);
  const before = raised();
  w(P0 + 0x38, 0x210);
  assertEquals([r(P0 + 0x38), r(P0 + 0x34), r(P0 + 0x10)], [0, 0, 8]);
  assertEquals(raised() - before, 2);
  assertEquals([mem.read(FRAMES + 0x58, 1), mem.read(FRAMES + 0x5c, 4)], [0xa1, 0x200]);
  assertEquals(bytes(DATA, 512), disk.slice(512, 1024));
  assertEquals(bytes(DATA + 0x400, 1024), disk.slice(3584, 4608));
});

Deno.test("an error sets TFES and stops the list until PxCMD.ST is cleared", () => {
  const { r, w, fill } = setup();
  fill(0, h2d(0x25, MIB / 512, 1), [[DATA, 512]]);
  fill(1, h2d(0xe7), []);
  w(P0 + 0x38, 3);
  assertEquals([r(P0 + 0x10) >>> 0, r(P0 + 0x38), r(P0 + 0x20)], [0x40000001, 3, 0x0441]);
  w(P0 + 0x18, 0x10);
  assertEquals([r(P0 + 0x38), r(P0 + 0x18) & 0x8000], [0, 0]);
  w(P0 + 0x18, 0x11);
  w(P0 + 0x10, 0xffffffff);
  w(P0 + 0x38, 2);
  assertEquals([r(P0 + 0x38), r(P0 + 0x10), r(P0 + 0x20)], [0, 1, 0x50]);
});

Deno.test("packets: READ(10) by DMA and by PIO, sense after an error", () => {
  const { r, w, fill, bytes } = setup();
  const read10 = [0x28, 0, 0, 0, 0, 3, 0, 0, 2, 0, 0, 0];
  fill(0, h2d(0xa0, 0, 0, 1), [[DATA, 4096]], 0x25, read10);
  w(P1 + 0x38, 1);
  assertEquals([r(P1 + 0x38), r(P1 + 0x10)], [0, 1]);
  assertEquals(bytes(DATA, 4096), cd.slice(3 * 2048, 5 * 2048));
  w(P1 + 0x10, 0xffffffff);
  fill(0, h2d(0xa0, 0x080000, 0, 0), [[DATA + 0x2000, 4096]], 0x25, read10);
  w(P1 + 0x38, 1);
  assertEquals([r(P1 + 0x38), r(P1 + 0x10) & 3], [0, 3]);
  assertEquals(bytes(DATA + 0x2000, 4096), cd.slice(3 * 2048, 5 * 2048));
  fill(0, h2d(0xa0), [], 0x25, [0xff]);
  w(P1 + 0x38, 1);
  assertEquals([r(P1 + 0x20), r(P1 + 0x10) >>> 30], [0x5041 & 0xffff, 1]);
});

Deno.test("software reset by two frames gives the signature again", () => {
  const { r, w, fill } = setup();
  const control = (srst: boolean) => {
    const f = h2d(0);
    f[1] = 0;
    f[15] = srst ? 4 : 0;
    return f;
  };
  fill(0, control(true), []);
  w(P1 + 0x38, 1);
  assertEquals([r(P1 + 0x38), r(P1 + 0x20) & 0x80], [0, 0x80]);
  fill(0, control(false), []);
  w(P1 + 0x38, 1);
  assertEquals([r(P1 + 0x38), r(P1 + 0x20) & 0x89, r(P1 + 0x24)], [0, 0, 0xeb140101]);
});

Deno.test("a slow back end: commands go on when the host has answered", async () => {
  const inner = new MemoryBackend(disk.slice());
  const slow = {
    size: inner.size,
    readonly: false,
    filename: "x",
    format: "raw",
    read: (at: number, into: Uint8Array) =>
      Promise.resolve().then(() => {
        if (at >= 512 * 100) throw new BlockError("EIO", "x");
        inner.read(at, into);
      }),
    write: (at: number, from: Uint8Array) => Promise.resolve().then(() => inner.write(at, from)),
    flush: () => Promise.resolve(),
    close() {},
  } as BlockBackend;
  const { r, w, fill, bytes } = setup(slow);
  fill(0, h2d(0x25, 1, 1), [[DATA, 512]]);
  fill(1, h2d(0x20, 2, 2), [[DATA + 0x1000, 1024]]);
  fill(2, h2d(0x25, 100, 1), [[DATA, 512]]);
  w(P0 + 0x38, 7);
  assertEquals([r(P0 + 0x38), r(P0 + 0x20) & 0x80], [7, 0x80]);
  for (let n = 0; n < 50; n++) await Promise.resolve();
  assertEquals(bytes(DATA, 512), disk.slice(512, 1024));
  assertEquals(bytes(DATA + 0x1000, 1024), disk.slice(1024, 2048));
  assertEquals([r(P0 + 0x38), r(P0 + 0x10) >>> 30], [4, 1]);
});

Deno.test("state survives save and load; random registers do no harm", () => {
  const a = setup(), b = setup();
  let seed = 7;
  const next = () => (seed = (Math.imul(seed, 1103515245) + 12345) >>> 0) >>> 4;
  a.ram.u8.forEach((_, i) => a.ram.u8[i] = next());
  for (let i = 0; i < 4000; i++) {
    const at = (next() % 0x500) & ~3;
    if (i % 2) a.w(at, i % 3 ? next() : 1 << (next() & 31));
    else a.r(at);
  }
  b.hba.load(a.hba.save());
  for (let at = 0; at < 0x400; at += 4) {
    if (at !== 8) assertEquals(b.r(at), a.r(at), `register ${at.toString(16)}`);
  }
  assert(a.r(0) === 0xc0141f05);
});
