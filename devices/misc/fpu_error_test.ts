import { assertEquals } from "@std/assert";
import { AddressSpace } from "../../core/memory/address_space.ts";
import { FpuErrorLatch } from "./fpu_error.ts";

function rig() {
  const levels: boolean[] = [];
  const latch = new FpuErrorLatch({ set: (l) => void levels.push(l) });
  const io = new AddressSpace("I/O", 65536, 0xff);
  io.map(latch.region, 0xf0);
  return { latch, io, levels };
}

Deno.test("coprocessor error: interrupt, acknowledge, IGNNE# until the error is gone", () => {
  const { latch, io, levels } = rig();
  assertEquals(latch.raise(), false);
  assertEquals(latch.raise(), false);
  assertEquals(levels, [true]);
  io.write(0xf0, 1, 0);
  assertEquals(levels, [true, false]);
  // The handler may now use waiting instructions before it clears the exception.
  assertEquals(latch.raise(), true);
  assertEquals(levels, [true, false]);
  latch.clear();
  assertEquals(latch.raise(), false);
  assertEquals(levels, [true, false, true]);
});

Deno.test("coprocessor error: a write without an error has no effect on the next one", () => {
  const { latch, io } = rig();
  io.write(0xf0, 1, 0);
  assertEquals(latch.raise(), false);
});

Deno.test("coprocessor error: save, load and reset drive the line", () => {
  const { latch, levels } = rig();
  latch.raise();
  const saved = latch.save();
  latch.reset();
  assertEquals(levels.at(-1), false);
  latch.load(saved);
  assertEquals(levels.at(-1), true);
});
