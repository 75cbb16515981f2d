// The expected texts were printed by Debian's QEMU 7.2.22, `-M pc -smp 2`, for a ROM that made the
// same register writes.
import { assertEquals, assertStringIncludes } from "@std/assert";
import { ManualClock } from "../../core/clock.ts";
import { AddressSpace, writeOps } from "../../core/memory/address_space.ts";
import { ApicBus } from "./apic_bus.ts";
import { infoIrq, infoLapic, infoPic } from "./describe.ts";
import { GsiRouter } from "./gsi.ts";
import { I8259 } from "./i8259.ts";
import { IoApic } from "./ioapic.ts";

function machine() {
  const clock = new ManualClock(), mem = new AddressSpace("memory", 2 ** 32, 0);
  const bus: ApicBus = new ApicBus({
    clock,
    currentVcpu: () => 0,
    picAcknowledge: () => pic.acknowledge(),
  });
  const pic = new I8259(bus.lint0), ioapic = new IoApic(bus), gsi = new GsiRouter(pic, ioapic);
  const none = () => {};
  for (const index of [0, 1]) {
    const pins = { setIntr: none, nmi: none, smi: none, init: none, sipi: none };
    bus.add({ index, apicId: index, ...pins }, index === 0);
  }
  bus.attach(mem);
  mem.map(ioapic.region, 0xfec00000);
  return {
    bus,
    clock,
    gsi,
    pic,
    ioapic,
    apic: (at: number, v: number) => mem.write(0xfee00000 + at, 4, v),
    redir: (reg: number, v: number) => {
      mem.write(0xfec00000, 4, reg);
      mem.write(0xfec00010, 4, v);
    },
    out: (offset: number, v: number) => writeOps(pic.masterPorts.ops, offset, 1, v),
  };
}

Deno.test("describe: after power-on", () => {
  const { pic, ioapic, bus, gsi } = machine();
  let expected = "ioapic0: ver=0x20 id=0x00 sel=0x00\n";
  for (let n = 0; n < 24; n++) {
    expected += `  pin ${String(n).padEnd(2)} 0x0000000000010000 dest=0 vec=0   active-hi edge  ` +
      "masked fixed  physical\n";
  }
  expected += `  IRR      (none)
  Remote IRR (none)
pic1: irr=00 imr=00 isr=00 hprio=0 irq_base=00 rr_sel=0 elcr=00 fnm=0
pic0: irr=00 imr=00 isr=00 hprio=0 irq_base=00 rr_sel=0 elcr=00 fnm=0
`;
  assertEquals(infoPic(pic, ioapic), expected);
  assertEquals(
    infoLapic(bus.lapics[1]),
    `dumping local APIC state for CPU 1 

LVT0	 0x00010000 active-hi edge  masked                      Fixed  (vec 0)
LVT1	 0x00010000 active-hi edge  masked                      Fixed  (vec 0)
LVTPC	 0x00010000 active-hi edge  masked                      Fixed  (vec 0)
LVTERR	 0x00010000 active-hi edge  masked                      Fixed  (vec 0)
LVTTHMR	 0x00010000 active-hi edge  masked                      Fixed  (vec 0)
LVTT	 0x00010000 active-hi edge  masked         one-shot     Fixed  (vec 0)
Timer	 DCR=0x0 (divide by 2) initial_count = 0 current_count = 0
SPIV	 0x000000ff APIC disabled, focus=off, spurious vec 255
ICR	 0x00000000 physical edge de-assert no-shorthand
ICR2	 0x00000000 cpu 0 (APIC ID)
ESR	 0x00000000
ISR	 (none)
IRR	 (none)

APR 0x00 TPR 0x00 DFR 0x0f LDR 0x00 PPR 0x00
`,
  );
  assertEquals(infoIrq(pic, gsi), "IRQ statistics for ioapic:\nIRQ statistics for isa-i8259:\n");
  assertEquals(infoLapic(), "local apic state not available\n");
});

Deno.test("describe: info pic of a programmed machine", () => {
  const { pic, ioapic, redir, apic, gsi, out } = machine();
  apic(0xf0, 0x1ff);
  apic(0x80, 0xf3);
  redir(0x14, 0xa051);
  redir(0x21, 0x23000000);
  redir(0x20, 0x951);
  redir(0x23, 0xff000000);
  redir(0x22, 0x12751);
  [0x10251, 0x10351, 0x10451, 0x10551, 0x10651].forEach((v, i) => redir(0x24 + 2 * i, v));
  redir(0, 0x05000000);
  redir(0x2d, 0);
  for (const [at, v] of [[0, 0x11], [1, 0x20], [1, 4], [1, 0x11], [1, 0], [0, 0xc2], [0, 0x0b]]) {
    out(at, v);
  }
  writeOps(pic.elcr1.ops, 0, 1, 0xff);
  writeOps(pic.elcr2.ops, 0, 1, 0xff);
  gsi.line(0).set(true);
  const text = infoPic(pic, ioapic);
  assertStringIncludes(text, "ioapic0: ver=0x20 id=0x05 sel=0x2d (redir[14])\n");
  const pins = `
  pin 2  0x000000000000e051 dest=0 vec=81  active-lo level        fixed  physical
  pin 8  0x2300000000000951 dest=23 vec=81  active-hi edge         lowest logical
  pin 9  0xff00000000012751 dest=f vec=81  active-lo edge  masked extINT physical
  pin 10 0x0000000000010251 dest=0 vec=81  active-hi edge  masked SMI    physical
  pin 11 0x0000000000010351 dest=0 vec=81  active-hi edge  masked ...    physical
  pin 12 0x0000000000010451 dest=0 vec=81  active-hi edge  masked NMI    physical
  pin 13 0x0000000000010551 dest=0 vec=81  active-hi edge  masked INIT   physical
  pin 14 0x0000000000010651 dest=0 vec=81  active-hi edge  masked ...    physical
`;
  for (const line of pins.trim().split("\n")) assertStringIncludes(text, line + "\n");
  assertEquals(
    text.slice(text.indexOf("  IRR")),
    `  IRR      2  
  Remote IRR 2  
pic1: irr=00 imr=00 isr=00 hprio=0 irq_base=00 rr_sel=0 elcr=de fnm=0
pic0: irr=01 imr=00 isr=00 hprio=3 irq_base=20 rr_sel=1 elcr=f8 fnm=1
`,
  );
  for (let i = 0; i < 17; i++) {
    const l = gsi.line(3);
    l.set(true);
    l.set(false);
  }
  assertEquals(
    infoIrq(pic, gsi),
    "IRQ statistics for ioapic:\n 0: 1\n 3: 17\nIRQ statistics for isa-i8259:\n 0: 1\n 3: 17\n",
  );
});

Deno.test("describe: info lapic, cluster model, periodic timer, level interrupt pending", () => {
  const { bus, apic, clock } = machine();
  apic(0xf0, 0x3ff);
  apic(0x80, 0xf3);
  apic(0x350, 0x1a733);
  apic(0x360, 0x400);
  apic(0x340, 0x2fe);
  apic(0x330, 0x20fa);
  apic(0x370, 0xfe);
  apic(0x3e0, 0xa);
  apic(0x320, 0x30040);
  apic(0x380, 0x10000);
  clock.advance((65536 - 23929) * 128);
  apic(0xd0, 0x13000000);
  apic(0xe0, 0x0fffffff);
  apic(0x300, 0x44031);
  apic(0x310, 0x15000000);
  apic(0x300, 0x4831);
  bus.deliver(0, false, 0, 81, true);
  // QEMU keeps thermal-LVT bit 13, which the SDM (figure 11-8) leaves reserved.
  assertEquals(
    infoLapic(bus.lapics[0]).replace("0x000000fa active-hi", "0x000020fa active-lo"),
    `dumping local APIC state for CPU 0 

LVT0	 0x0001a733 active-lo level masked                      ExtINT (vec 51)
LVT1	 0x00000400 active-hi edge                              NMI   
LVTPC	 0x000002fe active-hi edge                              SMI    (vec 254)
LVTERR	 0x000000fe active-hi edge                              Fixed  (vec 254)
LVTTHMR	 0x000020fa active-lo edge                              Fixed  (vec 250)
LVTT	 0x00030040 active-hi edge  masked         periodic     Fixed  (vec 64)
Timer	 DCR=0xa (divide by 128) initial_count = 65536 current_count = 23929
SPIV	 0x000001ff APIC enabled, focus=off, spurious vec 255
ICR	 0x00004831 logical edge assert no-shorthand
ICR2	 0x15000000 cluster 1 mask 0101 (APIC ID)
ESR	 0x00000000
ISR	 (none)
IRR	 49 81(level) 

APR 0x00 TPR 0xf3 DFR 0x00 LDR 0x13(cluster 1: id 3) PPR 0xf3
`,
  );
});

Deno.test("describe: info lapic, flat model, something in service, shorthand", () => {
  const { bus, apic } = machine();
  apic(0xf0, 0x10f);
  apic(0xd0, 0x05000000);
  apic(0x310, 0x85000000);
  apic(0x300, 0x4861);
  assertEquals(bus.lapics[0].acknowledge(), 97);
  apic(0x300, 0x4862);
  apic(0x300, 0x4832);
  const text = infoLapic(bus.lapics[0]);
  assertStringIncludes(
    text,
    `SPIV	 0x0000010f APIC enabled, focus=off, spurious vec 15
ICR	 0x00004832 logical edge assert no-shorthand
ICR2	 0x85000000 mask 10000101 (APIC ID)
ESR	 0x00000000
ISR	 97 
IRR	 50 98 

APR 0x00 TPR 0x00 DFR 0x0f LDR 0x05 PPR 0x60
`,
  );
  apic(0x300, 0xc4400);
  assertStringIncludes(
    infoLapic(bus.lapics[0]),
    "ICR	 0x000c4400 physical edge assert all\nICR2	 0x85000000\n",
  );
});
