import { assertEquals } from "@std/assert";
import { readOps, writeOps } from "../../core/memory/address_space.ts";
import { Port92 } from "./port92.ts";

function setup() {
  const events: string[] = [];
  const device = new Port92({
    a20: (on) => events.push(on ? "A20" : "a20"),
    reset: () => events.push("reset"),
  });
  return {
    device,
    events: () => events.splice(0),
    inb: () => readOps(device.port.ops, 0, 1),
    outb: (v: number) => writeOps(device.port.ops, 0, 1, v),
  };
}

Deno.test("port92: bit 1 is A20", () => {
  const { inb, outb, events } = setup();
  assertEquals(inb(), 0);
  outb(0x02);
  assertEquals([inb(), events()], [0x02, ["A20"]]);
  outb(0x00);
  assertEquals(events(), ["a20"]);
});

Deno.test("port92: a rising bit 0 resets once", () => {
  const { outb, events } = setup();
  outb(0x03);
  outb(0x03);
  assertEquals(events(), ["A20", "reset", "A20"]);
  outb(0x02);
  outb(0x03);
  assertEquals(events(), ["A20", "A20", "reset"]);
});

Deno.test("port92: load drives A20 again", () => {
  const { device, outb, events } = setup();
  outb(0x02);
  const saved = device.save();
  device.reset();
  events();
  device.load(saved);
  assertEquals(events(), ["A20"]);
});
