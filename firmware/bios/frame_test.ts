import { assertEquals } from "@std/assert";
import { AddressSpace } from "../../core/memory/address_space.ts";
import { GuestMemory } from "../../core/memory/guest_memory.ts";
import { ramRegion } from "../../core/memory/region.ts";
import { Action, FrameContext } from "./frame.ts";

function machine() {
  const memory = new GuestMemory(1 << 20);
  const block = memory.allocBlock("pc.ram", 65536);
  const mem = new AddressSpace("memory", 2 ** 32, 0xff);
  mem.map(ramRegion("ram", block), 0);
  const io = new AddressSpace("I/O", 65536, 0xff);
  return { mem, io, block };
}

Deno.test("registers are views of the frame in guest memory", () => {
  const m = machine();
  const c = new FrameContext(m);
  // eax at 34 in PUSHAD's order: the highest of the eight
  m.block.view.setUint32(0x7000 + 0x34, 0x11223344, true);
  m.block.view.setUint16(0x7000 + 0x40, 0x0202, true);
  c.load(0x7000);
  assertEquals([c.al, c.ah, c.ax, c.eax], [0x44, 0x33, 0x3344, 0x11223344]);
  c.ah = 0x86;
  c.ebx = 0xdeadbeef;
  c.setCarry(true);
  c.setZero(true);
  c.store();
  assertEquals(m.block.view.getUint32(0x7000 + 0x34, true), 0x11228644);
  assertEquals(m.block.view.getUint32(0x7000 + 0x28, true), 0xdeadbeef);
  assertEquals(m.block.view.getUint16(0x7000 + 0x40, true), 0x0243);
});

Deno.test("a nested interrupt keeps its registers in the frame", () => {
  const c = new FrameContext(machine());
  c.load(0x100);
  c.interrupt(0x15, 3, 0x4f1c);
  assertEquals([c.action, c.phase, c.arg(0), c.arg(1)], [Action.interrupt | 0x1500, 3, 0x4f1c, 0]);
});

Deno.test("a virtual-8086 caller's memory goes through its page tables", () => {
  const m = machine();
  const c = new FrameContext({
    ...m,
    translate: (l) => (l & ~0xfff) === 0x2000 ? 0x5000 + (l & 0xfff) : l,
  });
  c.write16(0x1fff, 0xabcd);
  assertEquals([m.block.u8[0x1fff], m.block.u8[0x5000]], [0xcd, 0xab]);
  const out = new Uint8Array(4);
  c.readBytes(0x1ffe, out);
  assertEquals([...out], [0, 0xcd, 0xab, 0]);
});
