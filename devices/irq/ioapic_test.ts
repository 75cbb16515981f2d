import { assertEquals } from "@std/assert";
import { ManualClock } from "../../core/clock.ts";
import { readOps, writeOps } from "../../core/memory/address_space.ts";
import { ApicBus } from "./apic_bus.ts";
import { GsiRouter } from "./gsi.ts";
import { I8259 } from "./i8259.ts";
import { IoApic } from "./ioapic.ts";
import { Reg } from "./lapic_registers.ts";

function machine(n = 1) {
  const events: string[] = [];
  const intr: boolean[] = [];
  const bus: ApicBus = new ApicBus({
    clock: new ManualClock(),
    currentVcpu: () => 0,
    picAcknowledge: () => pic.acknowledge(),
  });
  const pic = new I8259(bus.lint0);
  const ioapic = new IoApic(bus);
  for (let index = 0; index < n; index++) {
    const on = (what: string) => () => void events.push(`${what}${index}`);
    const lapic = bus.add({
      index,
      apicId: index,
      setIntr: (l) => intr[index] = l,
      nmi: on("nmi"),
      smi: on("smi"),
      init: on("init"),
      sipi: on("sipi"),
    }, index === 0);
    lapic.write(Reg.SVR, 0x1ff);
  }
  const rd = (reg: number) => {
    writeOps(ioapic.region.ops, 0, 4, reg);
    return readOps(ioapic.region.ops, 0x10, 4);
  };
  const wr = (reg: number, v: number) => {
    writeOps(ioapic.region.ops, 0, 4, reg);
    writeOps(ioapic.region.ops, 0x10, 4, v);
  };
  return {
    bus,
    pic,
    ioapic,
    rd,
    wr,
    events: () => events.splice(0),
    entry: (pin: number, low: number, dest = 0) => {
      wr(0x11 + 2 * pin, dest << 24);
      wr(0x10 + 2 * pin, low);
    },
    low: (pin: number) => rd(0x10 + 2 * pin),
    pulse: (pin: number) => {
      ioapic.pin(pin).set(true);
      ioapic.pin(pin).set(false);
    },
    drain: (cpu = 0) => {
      const got: number[] = [];
      while (intr[cpu] && got.length < 20) got.push(bus.lapics[cpu].acknowledge());
      return got;
    },
    eoi: (cpu = 0) => bus.lapics[cpu].write(Reg.EOI, 0),
  };
}

Deno.test("ioapic: registers after reset and their writable bits", () => {
  const { rd, wr, ioapic } = machine();
  assertEquals(rd(1), 0x00170020);
  assertEquals([rd(0), rd(2)], [0, 0]);
  wr(0, 0xffffffff);
  assertEquals([rd(0), rd(2)], [0x0f000000, 0x0f000000]);
  assertEquals([rd(0x10), rd(0x11), rd(0x3e)], [0x10000, 0, 0x10000]);
  wr(0x10, 0xffffffff);
  assertEquals(rd(0x10), 0x1afff, "delivery status and remote IRR are read-only");
  wr(0x11, 0xff000000);
  assertEquals(rd(0x11), 0xff000000);
  assertEquals([rd(0x40), rd(3), rd(0xff)], [0, 0, 0]);
  assertEquals(readOps(ioapic.region.ops, 0, 4), 0xff);
  assertEquals(readOps(ioapic.region.ops, 0x20, 4), 0);
});

Deno.test("ioapic: an edge delivers once; edges on a masked pin are lost", () => {
  const { entry, pulse, drain, eoi, ioapic } = machine();
  pulse(4);
  entry(4, 0x34);
  assertEquals(drain(), []);
  ioapic.pin(4).set(true);
  ioapic.pin(4).set(true);
  assertEquals(drain(), [0x34]);
  eoi();
  assertEquals(drain(), []);
  ioapic.pin(4).set(false);
  ioapic.pin(4).set(true);
  assertEquals(drain(), [0x34]);
});

Deno.test("ioapic: a level interrupt sets remote IRR and comes again after EOI while high", () => {
  const { entry, low, drain, eoi, ioapic } = machine();
  entry(10, 0x8055);
  ioapic.pin(10).set(true);
  assertEquals([drain(), low(10)], [[0x55], 0xc055]);
  eoi();
  assertEquals([drain(), low(10)], [[0x55], 0xc055]);
  ioapic.pin(10).set(false);
  assertEquals(low(10), 0xc055, "only EOI ends it");
  eoi();
  assertEquals([drain(), low(10)], [[], 0x8055]);
});

Deno.test("ioapic: a level held while masked is delivered on unmasking", () => {
  const { entry, drain, ioapic } = machine();
  ioapic.pin(11).set(true);
  entry(11, 0x18066);
  assertEquals(drain(), []);
  entry(11, 0x8066);
  assertEquals(drain(), [0x66]);
});

Deno.test("ioapic: the EOI register and a turn to edge mode clear remote IRR", () => {
  const { entry, low, ioapic } = machine();
  entry(16, 0x8077);
  ioapic.pin(16).set(true);
  ioapic.pin(16).set(false);
  writeOps(ioapic.region.ops, 0x40, 4, 0x76);
  assertEquals(low(16), 0xc077, "another vector");
  writeOps(ioapic.region.ops, 0x40, 4, 0x77);
  assertEquals(low(16), 0x8077);
  ioapic.pin(16).set(true);
  entry(16, 0x10077);
  assertEquals(low(16), 0x10077);
  entry(16, 0x18077);
  assertEquals(low(16), 0x18077);
});

Deno.test("ioapic: destinations and lowest priority", () => {
  const { entry, pulse, drain, bus } = machine(2);
  entry(5, 0x41, 1);
  pulse(5);
  assertEquals([drain(0), drain(1)], [[], [0x41]]);
  bus.lapics[0].write(Reg.LDR, 0x01000000);
  bus.lapics[1].write(Reg.LDR, 0x02000000);
  entry(5, 0x952, 0x03);
  pulse(5);
  assertEquals([drain(0), drain(1)], [[0x52], []], "processor 1 is at priority 40h");
});

Deno.test("ioapic: NMI, SMI, INIT; reserved modes do nothing", () => {
  const { entry, pulse, events, ioapic, low } = machine();
  for (const mode of [2, 3, 4, 5, 6]) {
    entry(8, mode << 8 | 0x40);
    pulse(8);
  }
  assertEquals(events(), ["smi0", "nmi0", "init0"]);
  entry(9, 0x8400); // level NMI
  ioapic.pin(9).set(true);
  assertEquals([events(), low(9)], [["nmi0"], 0x8400]);
});

Deno.test("ioapic: ExtINT on pin 0 hands over to the 8259", () => {
  const { entry, pic, drain, ioapic } = machine();
  const m = pic.masterPorts.ops;
  for (const [at, v] of [[0, 0x11], [1, 0x20], [1, 4], [1, 1], [1, 0]]) writeOps(m, at, 1, v);
  entry(0, 0x700);
  pic.input(6).set(true);
  assertEquals(drain(), []);
  ioapic.pin(0).set(true);
  assertEquals(drain(), [0x26]);
});

Deno.test("ioapic: an interrupt nobody takes leaves no remote IRR behind", () => {
  const { entry, low, ioapic } = machine();
  entry(12, 0x8060, 9);
  ioapic.pin(12).set(true);
  assertEquals(low(12), 0x8060);
});

Deno.test("ioapic: save, load, reset", () => {
  const { entry, ioapic, low, drain, eoi } = machine();
  entry(10, 0x8055);
  ioapic.pin(10).set(true);
  const saved = ioapic.save();
  ioapic.reset();
  assertEquals(low(10), 0x10000);
  ioapic.load(saved);
  assertEquals([low(10), drain()], [0xc055, [0x55]]);
  eoi();
  assertEquals(drain(), [0x55]);
});

Deno.test("gsi: ISA IRQs reach both controllers, IRQ 0 on pin 2, higher GSIs the I/O APIC", () => {
  const { ioapic, pic } = machine();
  const gsi = new GsiRouter(pic, ioapic);
  for (const n of [0, 2, 1, 9, 18]) gsi.line(n).set(true);
  assertEquals(ioapic.state.lines, 1 << 2 | 1 << 1 | 1 << 9 | 1 << 18);
  assertEquals([pic.state.master.lines & ~4, pic.state.slave.lines], [0x03, 0x02]);
});

Deno.test("gsi: sources of one GSI are OR-ed", () => {
  const { ioapic, pic } = machine();
  const gsi = new GsiRouter(pic, ioapic);
  const a = gsi.line(11), b = gsi.line(11);
  a.set(true);
  b.set(true);
  a.set(false);
  a.set(false);
  assertEquals([ioapic.state.lines, pic.state.slave.lines], [1 << 11, 8]);
  b.set(false);
  assertEquals([ioapic.state.lines, pic.state.slave.lines, gsi.counts[11]], [0, 0, 1]);
});

Deno.test("gsi: pin 2 is high for IRQ 0 or GSI 2", () => {
  const { ioapic, pic } = machine();
  const gsi = new GsiRouter(pic, ioapic), irq0 = gsi.line(0), gsi2 = gsi.line(2);
  gsi2.set(true);
  assertEquals([ioapic.state.lines, pic.state.master.lines], [4, 0]);
  irq0.set(true);
  gsi2.set(false);
  assertEquals([ioapic.state.lines, pic.state.master.lines], [4, 1]);
  irq0.set(false);
  assertEquals(ioapic.state.lines, 0);
});
