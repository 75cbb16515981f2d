import { assertEquals } from "@std/assert";
import type { BlockBackend, Drive } from "../../core/block/block.ts";
import { AddressSpace } from "../../core/memory/address_space.ts";
import { GuestMemory } from "../../core/memory/guest_memory.ts";
import { CfiFlash } from "./pflash_cfi01.ts";

const BASE = 0xffff0000, SIZE = 0x4000;

function rig(readonly = false) {
  const image = new Uint8Array(SIZE).fill(0x5a);
  const medium = {
    size: SIZE,
    readonly,
    filename: "x",
    format: "raw",
    read: () => undefined,
    write: (at: number, from: Uint8Array) => void image.set(from, at),
    flush: () => undefined,
    close() {},
  } as unknown as BlockBackend;
  const drive = {
    name: "pflash0",
    medium,
    stats: { rdBytes: 0, wrBytes: 0, rdOps: 0, wrOps: 0, flushOps: 0 },
  } as unknown as Drive;
  const memory = new GuestMemory(0x20000), mem = new AddressSpace("memory", 2 ** 36, 0);
  const block = memory.allocBlock("system.flash0", SIZE);
  block.u8.fill(0x5a);
  const chip = new CfiFlash({ name: block.name, block, drive, readonly, mem });
  chip.map(BASE, -1);
  const write = (at: number, ...bytes: number[]) => {
    for (const b of bytes) mem.write(BASE + at, 1, b);
  };
  const read = (at: number, size: 1 | 2 | 4 = 1) => mem.read(BASE + at, size);
  return { chip, mem, image, write, read };
}

Deno.test("a flash chip reads as memory, and as registers after a command", () => {
  const { mem, read, write } = rig();
  assertEquals([read(0), mem.find(BASE)?.region.kind], [0x5a, "ram"]);
  write(0, 0x70); // read status: ready
  assertEquals([read(0), mem.find(BASE)?.region.kind], [0x80, "io"]);
  write(0, 0x98); // CFI query (JESD68: "QRY", then the command set)
  assertEquals([read(0x10), read(0x11), read(0x12), read(0x13)], [0x51, 0x52, 0x59, 0x01]);
  // 2^14 bytes, one region of 4 blocks of 16 × 256 bytes
  assertEquals([read(0x27), read(0x2c), read(0x2d, 4)], [14, 1, 0x00100003]);
  write(0, 0x90);
  assertEquals(read(0), 0);
  write(0, 0xff);
  assertEquals(read(0, 4), 0x5a5a5a5a);
});

Deno.test("bytes are programmed and blocks of 4 KiB erased, in the image too", () => {
  const { read, write, image } = rig();
  write(0x1234, 0x40, 0xa5);
  assertEquals(read(0x1234), 0x80);
  write(0x1234, 0x20, 0xd0);
  write(0x2000, 0x10, 0x01, 0xff);
  assertEquals([read(0x0fff), read(0x1000), read(0x1fff), read(0x2000)], [0x5a, 0xff, 0xff, 0x01]);
  assertEquals([image[0x0fff], image[0x1234], image[0x2000], image[0x2001]], [
    ...[0x5a, 0xff, 0x01, 0x5a],
  ]);
});

Deno.test("the write buffer takes count + 1 bytes and stores them on confirmation", () => {
  const { read, write, image } = rig();
  write(0x300, 0xe8);
  assertEquals(read(0x300) & 0x80, 0x80); // the buffer is available
  write(0x300, 3);
  [1, 2, 3, 4].forEach((b, n) => write(0x300 + n, b));
  write(0x300, 0xd0);
  assertEquals(read(0x300), 0x80);
  write(0x300, 0xff);
  assertEquals([read(0x300, 4), read(0x304)], [0x04030201, 0x5a]);
  assertEquals([...image.subarray(0x2ff, 0x305)], [0x5a, 1, 2, 3, 4, 0x5a]);
});

Deno.test("a buffer write outside its block, and a bad sequence, set error bits", () => {
  const { read, write } = rig();
  write(0x300, 0xe8, 1, 0x11);
  write(0x900, 0x22);
  write(0x300, 0xd0);
  assertEquals(read(0) & 0x10, 0x10);
  write(0, 0x50);
  write(0, 0x20, 0x12); // erase without confirmation
  write(0, 0x70);
  assertEquals(read(0), 0xb0);
  write(0, 0x50, 0x70);
  assertEquals(read(0), 0x80);
});

Deno.test("a read-only chip refuses to change", () => {
  const { read, write, image } = rig(true);
  write(0, 0x40, 0x00);
  assertEquals(read(0), 0x90);
  write(0, 0x50, 0x20, 0xd0);
  assertEquals(read(0), 0xa0);
  write(0, 0xff);
  assertEquals([read(0), image[0]], [0x5a, 0x5a]);
});

Deno.test("any sequence of writes leaves the chip answering; a reset shows the array", () => {
  const { chip, read, write } = rig();
  let seed = 1;
  const next = () => (seed = (Math.imul(seed, 1103515245) + 12345) >>> 0) >>> 8;
  for (let i = 0; i < 3000; i++) {
    if (i % 3) write(next() % SIZE, next() & 0xff);
    else read((next() % SIZE) & ~3, 4);
  }
  const saved = chip.save(), seen = read(0);
  chip.reset();
  write(0, 0x40, 0x77, 0xff);
  assertEquals(read(0), 0x77);
  chip.load(saved);
  if (seen !== read(0)) assertEquals(read(0), 0x77);
});
