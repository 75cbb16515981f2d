import { assertEquals } from "@std/assert";
import { readOps, writeOps } from "../../core/memory/address_space.ts";
import type { IoRegion } from "../../core/memory/region.ts";
import { I8259 } from "./i8259.ts";
import { PicSource } from "./pic_source.ts";

const inb = (r: IoRegion, at: number) => readOps(r.ops, at, 1);
const outb = (r: IoRegion, at: number, v: number) => writeOps(r.ops, at, 1, v);

/** A pair set up as the IBM PC AT BIOS does: vectors 08h and 70h, everything unmasked. */
function setup(icw4 = 0x01, icw1 = 0x11) {
  let int = false;
  const pic = new I8259({ set: (l) => int = l });
  for (const [r, base, icw3] of [[pic.masterPorts, 8, 4], [pic.slavePorts, 0x70, 2]] as const) {
    outb(r, 0, icw1);
    outb(r, 1, base);
    if (!(icw1 & 2)) outb(r, 1, icw3);
    outb(r, 1, icw4);
    outb(r, 1, 0);
  }
  const pulse = (n: number) => {
    pic.input(n).set(true);
    pic.input(n).set(false);
  };
  return {
    pic,
    pulse,
    int: () => int,
    /** Every request is served at once, without EOI in between. */
    drain: () => {
      const got: number[] = [];
      while (int && got.length < 20) got.push(pic.acknowledge());
      return got;
    },
    eoi: (n = 0) => outb(n < 8 ? pic.masterPorts : pic.slavePorts, 0, 0x20),
  };
}

const irr = (r: IoRegion) => (outb(r, 0, 0x0a), inb(r, 0));
const isr = (r: IoRegion) => (outb(r, 0, 0x0b), inb(r, 0));

Deno.test("i8259: an edge raises INT and acknowledging moves it from IRR to ISR", () => {
  const { pic, int } = setup();
  assertEquals(int(), false);
  pic.input(1).set(true);
  assertEquals(int(), true);
  assertEquals(irr(pic.masterPorts), 0x02);
  assertEquals(pic.acknowledge(), 0x09);
  assertEquals(int(), false);
  assertEquals([irr(pic.masterPorts), isr(pic.masterPorts)], [0, 0x02]);
  outb(pic.masterPorts, 0, 0x20);
  assertEquals(isr(pic.masterPorts), 0);
  assertEquals(int(), false, "a line that stays high is no new edge");
});

Deno.test("i8259: nesting lets only higher priorities in", () => {
  const { pic, pulse, int, drain, eoi } = setup();
  pulse(3);
  assertEquals(drain(), [0x0b]);
  pulse(5);
  assertEquals(int(), false);
  pulse(1);
  assertEquals(drain(), [0x09]);
  eoi();
  assertEquals(isr(pic.masterPorts), 0x08, "non-specific EOI ends the highest one");
  eoi();
  assertEquals(drain(), [0x0d]);
});

Deno.test("i8259: slave requests come through IR2 and sit between IRQ 1 and IRQ 3", () => {
  const { pic, pulse, drain, eoi } = setup();
  pulse(3);
  pulse(14);
  pulse(8);
  assertEquals(irr(pic.masterPorts), 0x0c);
  assertEquals(irr(pic.slavePorts), 0x41);
  assertEquals(drain(), [0x70]);
  assertEquals(isr(pic.masterPorts), 0x04);
  eoi(8);
  assertEquals(drain(), [], "the master's IR2 is still in service");
  eoi();
  assertEquals(drain(), [0x76]);
});

Deno.test("i8259: special fully nested mode lets a slave interrupt itself", () => {
  const { pulse, drain } = setup(0x11);
  pulse(12);
  assertEquals(drain(), [0x74]);
  pulse(9);
  assertEquals(drain(), [0x71]);
  pulse(13);
  assertEquals(drain(), [], "lower priority on the same slave");
});

Deno.test("i8259: without SFNM a second slave request waits for the master's EOI", () => {
  const { pulse, drain, eoi } = setup();
  pulse(12);
  assertEquals(drain(), [0x74]);
  pulse(9);
  assertEquals(drain(), []);
  eoi();
  assertEquals(drain(), [0x71]);
});

Deno.test("i8259: automatic EOI leaves nothing in service, on the slave either", () => {
  const { pic, pulse, drain } = setup(0x03);
  pulse(6);
  pulse(15);
  pulse(10);
  pulse(4);
  assertEquals(drain(), [0x72, 0x77, 0x0c, 0x0e]);
  assertEquals([isr(pic.masterPorts), isr(pic.slavePorts)], [0, 0]);
});

Deno.test("i8259: rotation in automatic EOI mode makes the served input the lowest", () => {
  const { pic, pulse, drain } = setup(0x03);
  outb(pic.masterPorts, 0, 0x80);
  pulse(3);
  assertEquals(drain(), [0x0b]);
  pulse(3);
  pulse(1);
  pulse(4);
  assertEquals(drain(), [0x0c, 0x09, 0x0b]);
  outb(pic.masterPorts, 0, 0x00);
  pulse(3);
  pulse(4);
  assertEquals(drain(), [0x0c, 0x0b], "clearing the mode keeps the order as it is");
});

Deno.test("i8259: set priority, specific EOI, rotate on either EOI", () => {
  const { pic, pulse, drain } = setup();
  outb(pic.masterPorts, 0, 0xc0 | 4); // IR4 lowest, IR5 highest
  pulse(0);
  pulse(5);
  assertEquals(pic.acknowledge(), 0x0d);
  assertEquals(drain(), []);
  outb(pic.masterPorts, 0, 0x60 | 5);
  assertEquals(drain(), [0x08]);
  pulse(7);
  assertEquals(drain(), [0x0f]);
  assertEquals(isr(pic.masterPorts), 0x81);
  outb(pic.masterPorts, 0, 0xa0); // rotate on non-specific EOI: IR7 is ended, then lowest
  assertEquals(isr(pic.masterPorts), 0x01);
  outb(pic.masterPorts, 0, 0xe0 | 0); // rotate on specific EOI of IR0: IR1 is highest
  assertEquals(isr(pic.masterPorts), 0);
  pulse(0);
  pulse(1);
  assertEquals(pic.acknowledge(), 0x09);
});

Deno.test("i8259: special mask mode lets lower priorities through and keeps masked ISR bits", () => {
  const { pic, pulse, drain } = setup();
  pulse(2);
  pulse(1);
  assertEquals(drain(), [0x09]);
  pulse(4);
  assertEquals(drain(), []);
  outb(pic.masterPorts, 1, 0x02);
  assertEquals(drain(), [], "masking alone does not free the lower levels");
  outb(pic.masterPorts, 0, 0x68);
  assertEquals(drain(), [0x0c]);
  outb(pic.masterPorts, 0, 0x20);
  assertEquals(isr(pic.masterPorts), 0x02, "non-specific EOI skips the masked bit");
  outb(pic.masterPorts, 0, 0x20);
  assertEquals(isr(pic.masterPorts), 0x02);
  outb(pic.masterPorts, 0, 0x61);
  assertEquals(isr(pic.masterPorts), 0);
});

Deno.test("i8259: a poll acknowledges like INTA and reports no request as 0", () => {
  const { pic, pulse, int } = setup();
  outb(pic.masterPorts, 0, 0x0c);
  assertEquals(inb(pic.masterPorts, 0), 0);
  pulse(6);
  outb(pic.masterPorts, 0, 0x0c);
  assertEquals(inb(pic.masterPorts, 0), 0x86);
  assertEquals(int(), false);
  assertEquals(isr(pic.masterPorts), 0x40);
  assertEquals(inb(pic.masterPorts, 0), 0x40, "polling is for one read only");
});

Deno.test("i8259: a request that is masked before INTA gives a spurious IR7 without ISR bit", () => {
  const { pic, pulse, int } = setup();
  pulse(3);
  outb(pic.masterPorts, 1, 0x08);
  assertEquals(int(), false);
  assertEquals(pic.acknowledge(), 0x0f);
  assertEquals(isr(pic.masterPorts), 0);
});

Deno.test("i8259: a spurious slave request is IRQ 15 and leaves IR2 in service", () => {
  const { pic } = setup();
  outb(pic.slavePorts, 1, 0xff);
  // A master whose IR2 is requested while the slave has nothing: put there through load().
  const s = pic.save();
  s.master.irr |= 4;
  s.master.lines |= 4;
  pic.state = s;
  assertEquals(pic.acknowledge(), 0x77);
  assertEquals(isr(pic.masterPorts), 0x04);
  assertEquals(isr(pic.slavePorts), 0);
});

Deno.test("i8259: ELCR level inputs follow the line and come again after EOI", () => {
  const { pic, drain, eoi, int } = setup();
  outb(pic.elcr2, 0, 0xff);
  outb(pic.elcr1, 0, 0xff);
  assertEquals([inb(pic.elcr1, 0), inb(pic.elcr2, 0)], [0xf8, 0xde]);
  pic.input(11).set(true);
  assertEquals(drain(), [0x73]);
  eoi(11);
  eoi();
  assertEquals(drain(), [0x73], "still high");
  eoi(11);
  pic.input(11).set(false);
  eoi();
  assertEquals([int(), irr(pic.slavePorts)], [false, 0]);
});

Deno.test("i8259: ICW1.LTIM makes every input level-triggered", () => {
  const { pic, int } = setup(0x01, 0x19);
  pic.input(0).set(true);
  assertEquals(int(), true);
  pic.input(0).set(false);
  assertEquals(int(), false);
});

Deno.test("i8259: ICW1 clears masks and edges; held lines need a new edge", () => {
  const { pic, int } = setup();
  pic.input(4).set(true);
  outb(pic.masterPorts, 1, 0xff);
  outb(pic.masterPorts, 0, 0x13); // SNGL, IC4: no ICW3
  outb(pic.masterPorts, 1, 0x2f);
  outb(pic.masterPorts, 1, 0x01);
  assertEquals(inb(pic.masterPorts, 1), 0);
  assertEquals(int(), false);
  pic.input(4).set(false);
  pic.input(4).set(true);
  assertEquals(pic.acknowledge(), 0x2c, "low bits of ICW2 are ignored");
});

Deno.test("i8259: save, load and reset", () => {
  const { pic, int, pulse } = setup();
  pulse(9);
  const saved = pic.save();
  assertEquals(pic.acknowledge(), 0x71);
  pic.load(saved);
  assertEquals(int(), true);
  pic.reset();
  assertEquals(int(), false);
  assertEquals([inb(pic.masterPorts, 0), inb(pic.masterPorts, 1)], [0, 0]);
  assertEquals(pic.counts[9], 1, "statistics outlive a reset");
});

Deno.test("pic source: takes a vector while INT is high, nothing otherwise", () => {
  const { pic, pulse } = setup();
  const source = new PicSource(pic);
  assertEquals(source.acknowledge(), -1);
  pulse(5);
  assertEquals([source.acknowledge(), source.acknowledge()], [0x0d, -1]);
  assertEquals([source.setApicBase(0xfee00800n), source.readMsr(0x802)], [false, undefined]);
});
