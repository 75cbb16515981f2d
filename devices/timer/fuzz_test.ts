// Random register accesses to the interrupt, timer and DMA chips, wired as on a PC: whatever a guest
// does, they neither throw nor hang, every read is a valid unsigned value, and a saved state loads.
import { assert, assertEquals } from "@std/assert";
import { ManualClock } from "../../core/clock.ts";
import { AddressSpace } from "../../core/memory/address_space.ts";
import { GuestMemory } from "../../core/memory/guest_memory.ts";
import { type AccessSize, ramRegion } from "../../core/memory/region.ts";
import { ApicBus } from "../irq/apic_bus.ts";
import { infoIrq, infoLapic, infoPic } from "../irq/describe.ts";
import { GsiRouter } from "../irq/gsi.ts";
import { I8259 } from "../irq/i8259.ts";
import { IoApic } from "../irq/ioapic.ts";
import { Dma8237 } from "../misc/dma8237.ts";
import { PcSpeaker } from "../misc/pcspeaker.ts";
import { Port92 } from "../misc/port92.ts";
import { Hpet } from "./hpet.ts";
import { I8254 } from "./i8254.ts";
import { Mc146818 } from "./mc146818.ts";

/** xorshift32. */
function random(seed: number): (below: number) => number {
  let x = seed;
  return (below) => {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    return (x >>> 0) % below;
  };
}

function pc() {
  const clock = new ManualClock(), memory = new GuestMemory(1 << 20);
  const mem = new AddressSpace("memory", 2 ** 32, 0), io = new AddressSpace("I/O", 65536, 0xff);
  mem.map(ramRegion("ram", memory.allocBlock("pc.ram", 1 << 19)), 0);
  const turn = { vcpu: 0 };
  const bus: ApicBus = new ApicBus({
    clock,
    currentVcpu: () => turn.vcpu,
    picAcknowledge: () => pic.acknowledge(),
  });
  const pic = new I8259(bus.lint0), ioapic = new IoApic(bus), gsi = new GsiRouter(pic, ioapic);
  const none = () => {}, pins = { setIntr: none, nmi: none, smi: none, init: none, sipi: none };
  for (const index of [0, 1]) bus.add({ index, apicId: index, ...pins }, index === 0);
  const lines = Array.from({ length: 24 }, (_, n) => gsi.line(n));
  const hpet = new Hpet({ clock, lines, onLegacy: (on) => pit.setIrqEnabled(!on) });
  const pit: I8254 = new I8254(clock, hpet.legacyInput("pit"));
  const rtc = new Mc146818(clock, hpet.legacyInput("rtc"));
  const speaker = new PcSpeaker(pit, clock), dma = new Dma8237(mem);
  const port92 = new Port92({ a20: none, reset: none });
  bus.attach(mem);
  mem.map(ioapic.region, 0xfec00000);
  mem.map(hpet.region, 0xfed00000);
  io.map(dma.channels1, 0x00);
  io.map(dma.control1, 0x08);
  io.map(dma.channels2, 0xc0);
  io.map(dma.control2, 0xd0);
  io.map(dma.pages, 0x81);
  io.map(pic.masterPorts, 0x20);
  io.map(pic.slavePorts, 0xa0);
  io.map(pic.elcr1, 0x4d0);
  io.map(pic.elcr2, 0x4d1);
  io.map(pit.ports, 0x40);
  io.map(speaker.port, 0x61);
  io.map(rtc.ports, 0x70);
  io.map(port92.port, 0x92);
  // Interrupt controllers last: loading or resetting a source moves its line.
  const devices = [hpet, pit, rtc, speaker, dma, port92, pic, ioapic, ...bus.lapics];
  return { clock, mem, io, turn, bus, pic, ioapic, gsi, devices, dma };
}

const PORTS = [
  ...Array.from({ length: 16 }, (_, i) => i),
  ...Array.from({ length: 32 }, (_, i) => 0xc0 + i),
  ...Array.from({ length: 15 }, (_, i) => 0x81 + i),
  ...[0x20, 0x21, 0xa0, 0xa1, 0x4d0, 0x4d1, 0x40, 0x41, 0x42, 0x43, 0x61, 0x70, 0x71, 0x92],
];
const WINDOWS = [0xfec00000, 0xfed00000, 0xfee00000];

function scribble(
  m: ReturnType<typeof pc>,
  rnd: (below: number) => number,
  times: number,
  still = false,
): void {
  const size = (): AccessSize => ([1, 2, 4] as const)[rnd(3)];
  for (let i = 0; i < times; i++) {
    m.turn.vcpu = rnd(16) === 0 ? -1 : rnd(2);
    const value = rnd(3) === 0 ? rnd(256) : rnd(2 ** 32);
    const [space, at] = rnd(2) === 0
      ? [m.io, PORTS[rnd(PORTS.length)]]
      : [m.mem, WINDOWS[rnd(3)] + (rnd(8) === 0 ? rnd(0x1000) : rnd(0x50) * 16)];
    if (rnd(4) === 0) {
      const s = size(), v = space.read(at, s);
      assert(Number.isInteger(v) && v >= 0 && v < 2 ** (8 * s), `${at.toString(16)}: ${v}`);
    } else space.write(at, size(), value);
    if (!still && rnd(8) === 0) m.clock.advance(rnd(4) === 0 ? rnd(20_000_000) : rnd(2000));
    if (rnd(8) === 0) {
      const v = m.bus.lapics[rnd(2)].acknowledge();
      assert(v >= -1 && v <= 255 && Number.isInteger(v), `vector ${v}`);
    }
    if (rnd(64) === 0) m.dma.channel(rnd(8)).transfer(new Uint8Array(64), 0, 64);
  }
}

function chips(m: ReturnType<typeof pc>): string {
  return infoPic(m.pic, m.ioapic) + m.bus.lapics.map(infoLapic).join("");
}

Deno.test("random accesses to every register neither throw nor hang", () => {
  const m = pc();
  scribble(m, random(0x2545f491), 20_000);
  assert((chips(m) + infoIrq(m.pic, m.gsi)).length > 1000);
});

Deno.test("a state saved in the middle of anything loads and saves again the same", () => {
  const m = pc(), rnd = random(0x1234567);
  for (let round = 0; round < 5; round++) {
    scribble(m, rnd, 500);
    const saved = m.devices.map((d) => d.save()), text = chips(m);
    scribble(m, rnd, 100, true);
    m.devices.forEach((d, i) => d.load(saved[i]));
    assertEquals(chips(m), text);
    assertEquals(m.devices.map((d) => d.save()), saved);
    m.devices.forEach((d) => d.reset());
  }
});
