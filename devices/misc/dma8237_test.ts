import { assertEquals } from "@std/assert";
import { AddressSpace, readOps, writeOps } from "../../core/memory/address_space.ts";
import { GuestMemory } from "../../core/memory/guest_memory.ts";
import { ioRegion, ramRegion } from "../../core/memory/region.ts";
import { Dma8237 } from "./dma8237.ts";

function setup() {
  const memory = new GuestMemory(2 << 20), block = memory.allocBlock("pc.ram", 1 << 20);
  const space = new AddressSpace("memory", 2 ** 32, 0);
  space.map(ramRegion("ram", block), 0);
  const dma = new Dma8237(space);
  // As on a PC: the second controller's registers are on even ports only.
  const port = (at: number) =>
    at < 8
      ? { r: dma.channels1, at }
      : at < 0x10
      ? { r: dma.control1, at: at - 8 }
      : at < 0x90
      ? { r: dma.pages, at: at - 0x81 }
      : at < 0xd0
      ? { r: dma.channels2, at: at - 0xc0 }
      : { r: dma.control2, at: at - 0xd0 };
  const outb = (p: number, v: number) => writeOps(port(p).r.ops, port(p).at, 1, v);
  const inb = (p: number) => readOps(port(p).r.ops, port(p).at, 1);
  return {
    dma,
    ram: block.u8,
    space,
    outb,
    inb,
    /** Programs channel 2 as a floppy driver does. */
    program: (mode: number, physical: number, bytes: number) => {
      outb(0x0a, 6);
      outb(0x0c, 0);
      outb(0x0b, mode | 2);
      outb(0x04, physical & 0xff);
      outb(0x04, (physical >> 8) & 0xff);
      outb(0x81, physical >> 16);
      outb(0x05, (bytes - 1) & 0xff);
      outb(0x05, (bytes - 1) >> 8);
      outb(0x0a, 2);
    },
  };
}

const bytes = (n: number, from = 1) => Uint8Array.from({ length: n }, (_, i) => from + i);

Deno.test("dma: a floppy read lands in memory, with terminal count, status and mask", () => {
  const { dma, ram, program, inb } = setup();
  program(0x44, 0x12300, 512);
  const c = dma.channel(2), data = bytes(600);
  assertEquals([c.direction, c.remaining, c.ready], ["write", 512, true]);
  assertEquals(c.transfer(data, 0, 100), 100);
  assertEquals([c.terminalCount, c.remaining], [false, 412]);
  assertEquals(c.transfer(data, 100, 500), 412);
  assertEquals(c.terminalCount, true);
  assertEquals(ram.slice(0x12300, 0x12500), data.slice(0, 512));
  assertEquals([ram[0x122ff], ram[0x12500]], [0, 0]);
  assertEquals([inb(8), inb(8)], [0x04, 0x00], "reading the status clears TC");
  assertEquals([inb(0x0f), c.ready, c.transfer(data, 0, 1)], [0x0f, false, 0]);
});

Deno.test("dma: a memory-to-device transfer fills the device's buffer", () => {
  const { dma, ram, program } = setup();
  ram.set(bytes(16), 0x8000);
  program(0x48, 0x8000, 16);
  const data = new Uint8Array(20);
  assertEquals(dma.channel(2).transfer(data, 2, 18), 16);
  assertEquals(data.slice(2, 18), bytes(16));
});

Deno.test("dma: verify counts but moves nothing; type 3 is illegal", () => {
  const { dma, ram, program } = setup();
  program(0x40, 0x8000, 16);
  assertEquals([dma.channel(2).transfer(bytes(16), 0, 16), ram[0x8000]], [16, 0]);
  assertEquals(dma.channel(2).terminalCount, true);
  program(0x4c, 0x8000, 16);
  assertEquals([dma.channel(2).direction, dma.channel(2).transfer(bytes(16), 0, 16)], [
    "illegal",
    0,
  ]);
});

Deno.test("dma: addresses wrap within the page", () => {
  const { dma, ram, program } = setup();
  program(0x44, 0x1fffc, 8);
  dma.channel(2).transfer(bytes(8), 0, 8);
  assertEquals(ram.slice(0x1fffc, 0x20000), bytes(4));
  assertEquals(ram.slice(0x10000, 0x10004), bytes(4, 5));
  assertEquals(ram[0x20000], 0);
});

Deno.test("dma: decrementing addresses", () => {
  const { dma, ram, program } = setup();
  program(0x64, 0x5003, 4);
  dma.channel(2).transfer(bytes(4), 0, 4);
  assertEquals([...ram.slice(0x5000, 0x5004)], [4, 3, 2, 1]);
});

Deno.test("dma: auto-initialize starts over and leaves the channel unmasked", () => {
  const { dma, program, inb } = setup();
  program(0x54, 0x6000, 4);
  const c = dma.channel(2);
  assertEquals([c.transfer(bytes(10), 0, 10), c.terminalCount], [4, true]);
  assertEquals([c.remaining, c.ready], [4, true]);
  assertEquals([c.transfer(bytes(10), 4, 2), c.terminalCount], [2, false]);
  assertEquals([inb(4), inb(4), inb(5), inb(5)], [0x02, 0x60, 1, 0]);
});

Deno.test("dma: word channels address and count words, page bit 0 is ignored", () => {
  const { dma, ram, outb, inb } = setup();
  outb(0xd6, 0x45); // channel 5, single, write
  outb(0xd8, 0);
  outb(0xc4, 0x34);
  outb(0xc4, 0x12);
  outb(0xc6, 1);
  outb(0xc6, 0);
  outb(0x8b, 0x03);
  outb(0xd4, 1);
  const c = dma.channel(5);
  assertEquals(c.remaining, 4);
  assertEquals(c.transfer(bytes(9), 0, 3), 2, "whole words only");
  assertEquals(c.transfer(bytes(9), 2, 7), 2);
  assertEquals(ram.slice(0x22468, 0x2246c), bytes(4));
  assertEquals([inb(0xd0), inb(0xde)], [0x02, 0x0f]);
});

Deno.test("dma: a request waits for the mask and the controller", () => {
  const { dma, outb, inb, program } = setup();
  const c = dma.channel(2);
  let served = 0;
  c.onService = () => served++;
  c.request(true);
  assertEquals([served, inb(8)], [0, 0x40]);
  outb(8, 4); // controller off
  program(0x44, 0, 4);
  assertEquals(served, 0);
  outb(8, 0);
  assertEquals(served, 1);
  c.request(false);
  c.request(true);
  assertEquals(served, 2);
  outb(0x0d, 0);
  assertEquals([inb(0x0f), c.ready], [0x0f, false], "master clear masks all");
});

Deno.test("dma: software requests show in the status and call the device", () => {
  const { dma, outb, inb, program } = setup();
  let served = 0;
  dma.channel(2).onService = () => served++;
  program(0x84, 0, 4);
  outb(9, 6);
  assertEquals([served, inb(8)], [1, 0x40]);
  dma.channel(2).transfer(bytes(4), 0, 4);
  assertEquals(inb(8), 0x04, "terminal count ends it");
});

Deno.test("dma: memory to memory over channels 0 and 1", () => {
  const { ram, outb, inb } = setup();
  ram.set(bytes(8), 0x1000);
  outb(0x0c, 0);
  for (const [p, v] of [[0, 0x00], [0, 0x10], [2, 0x00], [2, 0x20], [3, 7], [3, 0]]) outb(p, v);
  outb(0x0b, 0x88);
  outb(0x0b, 0x85);
  outb(8, 1);
  outb(9, 4);
  assertEquals(ram.slice(0x2000, 0x2009), Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8, 0));
  assertEquals([inb(8), inb(0x0d)], [0x02, 8]);
});

Deno.test("dma: the byte pointer and page registers", () => {
  const { outb, inb } = setup();
  outb(0x0c, 0);
  outb(0, 0x34);
  outb(0, 0x12);
  assertEquals([inb(0), inb(0)], [0x34, 0x12]);
  inb(0);
  outb(0x0c, 0);
  assertEquals(inb(0), 0x34);
  for (let p = 0x81; p <= 0x8f; p++) outb(p, p);
  for (let p = 0x81; p <= 0x8f; p++) assertEquals(inb(p), p);
});

Deno.test("dma: cascade never transfers; device registers as a target are harmless", () => {
  const { dma, outb, space, program } = setup();
  outb(0xd6, 0xc0);
  outb(0xd4, 0);
  assertEquals([dma.channel(4).ready, dma.channel(4).transfer(bytes(4), 0, 4)], [false, 0]);
  const written: number[] = [];
  space.map(
    ioRegion("dev", 16, { read: () => 0x5a, write: (_o, _s, v) => written.push(v) }),
    0xa00000,
  );
  program(0x44, 0xa00000, 2);
  dma.channel(2).transfer(bytes(2), 0, 2);
  assertEquals(written, [1, 2]);
});

Deno.test("dma: save, load, reset", () => {
  const { dma, program, ram } = setup();
  program(0x44, 0x7000, 8);
  dma.channel(2).transfer(bytes(3), 0, 3);
  const saved = dma.save();
  dma.reset();
  assertEquals(dma.channel(2).ready, false);
  dma.load(saved);
  assertEquals(dma.channel(2).transfer(bytes(8, 4), 0, 8), 5);
  assertEquals(ram.slice(0x7000, 0x7008), bytes(8));
});
