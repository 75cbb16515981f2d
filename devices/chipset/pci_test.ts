import { assert, assertEquals, assertThrows } from "@std/assert";
import { AddressSpace } from "../../core/memory/address_space.ts";
import { GuestMemory } from "../../core/memory/guest_memory.ts";
import { ioRegion, ramRegion } from "../../core/memory/region.ts";
import { PciBus, PciDevice, type PciUpstream } from "./pci.ts";
import { PciBridge } from "./pci_bridge.ts";
import { PciHostConfig } from "./pci_host.ts";
import { infoPci } from "./pci_info.ts";

class Card extends PciDevice<{ reg: number }> {
  override readonly type = "test-card";
  constructor(memory?: GuestMemory, pin = 1) {
    super({ vendor: 0x1234, device: 0x5678, classCode: 0x020000, interruptPin: pin }, () => ({
      reg: 0,
    }));
    const ops = {
      read: () => this.state.reg,
      write: (_o: number, _s: number, v: number) => void (this.state.reg = v),
    };
    this.addBar(0, "io", ioRegion("card-io", 32, ops));
    this.addBar(1, "mem", ioRegion("card-mem", 0x1000, ops));
    this.addBar(2, "mem", ioRegion("card-mem64", 0x4000, ops), { is64: true, prefetchable: true });
    if (memory) {
      const image = new Uint8Array(3000).fill(0x5a);
      this.addRom(memory.allocBlock("card.rom", 4096), image);
    }
    this.addCapability(0x05, 14);
    this.addCapability(0x11, 12);
  }
}

function rig() {
  const memory = new GuestMemory(1 << 20);
  const mem = new AddressSpace("memory", 2 ** 36, 0), io = new AddressSpace("I/O", 65536, 0xff);
  const irqs: boolean[] = [false, false, false, false];
  const up: PciUpstream = {
    setInterrupt: (n, level) => void (irqs[n] = level),
    route: (devfn, pin) => ((devfn >> 3) + pin) & 3,
    forwards: () => true,
  };
  const bus = new PciBus("pci.0", mem, io, up);
  const host = new PciHostConfig(bus);
  io.map(host.region, 0xcf8);
  const select = (devfn: number, reg: number) =>
    io.write(0xcf8, 4, (0x80000000 | (devfn << 8) | reg) >>> 0);
  const get = (devfn: number, reg: number) => (select(devfn, reg), io.read(0xcfc, 4));
  const put = (devfn: number, reg: number, v: number) => {
    select(devfn, reg);
    io.write(0xcfc, 4, v);
  };
  return { memory, mem, io, irqs, bus, host, select, get, put };
}

Deno.test("mechanism 1: absent functions read as ones, CF8 takes only double words", () => {
  const r = rig();
  r.bus.plug(new Card(), 0x18);
  assertEquals(r.get(0x18, 0), 0x56781234);
  assertEquals(r.get(0x20, 0), 0xffffffff);
  assertEquals(r.io.read(0xcf8, 4), 0x80002000);
  r.io.write(0xcf8, 1, 0x55);
  assertEquals(r.io.read(0xcf8, 4), 0x80002000);
  r.io.write(0xcf8, 4, 0x00001800);
  assertEquals(r.io.read(0xcfc, 4), 0xffffffff, "enable bit clear");
  r.select(0x18, 0);
  assertEquals(r.io.read(0xcfe, 2), 0x5678);
  assertEquals(r.io.read(0xcfd, 1), 0x12);
  assertEquals(r.io.read(0xcfd, 2), 0x7812);
});

Deno.test("BARs are sized, mapped by the command register, moved and unmapped", () => {
  const r = rig();
  r.bus.plug(new Card(r.memory), 0x18);
  const sizes = [0x10, 0x14, 0x18, 0x1c, 0x20, 0x30].map((reg) => {
    r.put(0x18, reg, 0xffffffff);
    return r.get(0x18, reg);
  });
  assertEquals(sizes, [0xffffffe1, 0xfffff000, 0xffffc00c, 0xffffffff, 0, 0xfffff001]);
  r.put(0x18, 0x10, 0xc001);
  r.put(0x18, 0x14, 0xe0000000);
  r.put(0x18, 0x18, 0xe0100000);
  r.put(0x18, 0x1c, 0x2);
  r.put(0x18, 0x30, 0xe0200001);
  assertEquals(r.mem.find(0xe0000000), undefined);
  r.put(0x18, 0x04, 3);
  r.io.write(0xc01f, 1, 0x42);
  assertEquals(r.mem.read(0xe0000ffc, 4), 0x42);
  assertEquals(r.mem.read(0x2e0103ffc, 4), 0x42);
  assertEquals(r.mem.read(0xe0200000, 2), 0x5a5a);
  assertEquals(r.mem.read(0xe0200000 + 3000, 1), 0);
  r.mem.write(0xe0200000, 1, 1);
  assertEquals(r.mem.read(0xe0200000, 1), 0x5a, "ROM");
  r.put(0x18, 0x14, 0xd0000000);
  assertEquals(r.mem.find(0xe0000000), undefined);
  assertEquals(r.mem.find(0xd0000000)?.region.name, "card-mem");
  r.put(0x18, 0x04, 0);
  assertEquals(r.mem.flat.length, 0);
  assertEquals(r.io.find(0xc000), undefined);
});

Deno.test("BARs placed on each other, on nothing or at the edges never throw", () => {
  const r = rig();
  r.bus.plug(new Card(), 0x18);
  r.bus.plug(new Card(), 0x20);
  for (const devfn of [0x18, 0x20]) {
    r.put(devfn, 0x04, 7);
    for (const v of [0, 0xd0000000, 0xfffffff0, 0xfffe0000, 0xffff]) {
      for (const reg of [0x10, 0x14, 0x18, 0x1c]) r.put(devfn, reg, v);
    }
  }
  r.put(0x18, 0x14, 0xd0000000);
  r.put(0x20, 0x14, 0xd0000000);
  assertEquals(r.mem.find(0xd0000000)?.region.name, "card-mem");
});

Deno.test("read-only, writable and write-1-to-clear bits", () => {
  const r = rig();
  const card = r.bus.plug(new Card(), 0x18);
  r.put(0x18, 0x00, 0);
  r.put(0x18, 0x08, 0);
  r.put(0x18, 0x2c, 0);
  assertEquals(r.get(0x18, 0x00), 0x56781234);
  assertEquals(r.get(0x18, 0x08), 0x02000000);
  assertEquals(r.get(0x18, 0x2c), 0x11001af4);
  r.put(0x18, 0x3c, 0xffffffff);
  assertEquals(r.get(0x18, 0x3c), 0x1ff);
  card.config[7] = 0xf9;
  r.put(0x18, 0x04, 0x10000000);
  assertEquals(card.config[7], 0xe9);
  card.reset();
  assertEquals(r.get(0x18, 0x3c), 0x100);
});

Deno.test("capabilities form a list whose bytes are read-only", () => {
  const r = rig();
  const card = r.bus.plug(new Card(), 0x18);
  assertEquals(card.findCapability(0x05), 0x40);
  assertEquals(card.findCapability(0x11), 0x50);
  assertEquals(card.findCapability(0x10), 0);
  r.put(0x18, 0x40, 0xffffffff);
  assertEquals(r.get(0x18, 0x40), 0x00000005);
  assertEquals(r.get(0x18, 0x34) & 0xff, 0x50);
  assert(r.get(0x18, 0x04) & 0x100000);
  r.put(0x18, 0x60, 0x12345678);
  assertEquals(r.get(0x18, 0x60), 0x12345678);
});

Deno.test("INTx: swizzled, shared, and cut off by command bit 10", () => {
  const r = rig();
  const a = r.bus.plug(new Card(), 0x18), b = r.bus.plug(new Card(undefined, 1), 0x38);
  a.setInterrupt(true);
  b.setInterrupt(true);
  assertEquals(r.irqs, [false, false, false, true]);
  a.setInterrupt(false);
  assertEquals(r.irqs[3], true);
  assert(b.config[6] & 8);
  r.put(0x38, 0x04, 0x400);
  assertEquals(r.irqs[3], false);
  assert(b.config[6] & 8);
  r.put(0x38, 0x04, 0);
  assertEquals(r.irqs[3], true);
  r.bus.unplug(b);
  assertEquals(r.irqs[3], false);
  assertEquals(r.get(0x38, 0), 0xffffffff);
});

Deno.test("save and load bring back registers, mappings and wires", () => {
  const r = rig();
  const card = r.bus.plug(new Card(r.memory), 0x18);
  r.put(0x18, 0x14, 0xe0000000);
  r.put(0x18, 0x04, 7);
  r.mem.write(0xe0000000, 4, 77);
  card.setInterrupt(true);
  const saved = card.save();
  card.reset();
  assertEquals([r.irqs[3], r.mem.find(0xe0000000), card.state.reg], [false, undefined, 0]);
  card.load(saved);
  assertEquals([r.irqs[3], r.mem.read(0xe0000000, 4)], [true, 77]);
});

Deno.test("DMA needs the bus master bit; a taken slot is refused", () => {
  const r = rig();
  r.mem.map(ramRegion("ram", r.memory.allocBlock("ram", 4096)), 0);
  const card = r.bus.plug(new Card(), 0x18);
  assertEquals(card.dmaWrite(16, new Uint8Array([1, 2])), false);
  r.put(0x18, 0x04, 4);
  assertEquals(card.dmaWrite(16, new Uint8Array([1, 2])), true);
  assertEquals(r.mem.read(16, 2), 0x201);
  assertThrows(() => r.bus.plug(new Card(), 0x18), RangeError);
});

Deno.test("bridge: configuration, windows and interrupts of the bus behind it", () => {
  const r = rig();
  const bridge = r.bus.plug(
    new PciBridge({ mem: r.mem, io: r.io, busName: "pci.1", busIndex: 1 }),
    0x18,
  );
  r.bus.children.push(bridge.secondary);
  const card = bridge.secondary.plug(new Card(), 0x08);
  const select = (bus: number, devfn: number, reg: number) =>
    r.io.write(0xcf8, 4, (0x80000000 | (bus << 16) | (devfn << 8) | reg) >>> 0);
  select(1, 8, 0);
  assertEquals(r.io.read(0xcfc, 4), 0xffffffff, "bus number not set");
  r.put(0x18, 0x18, 0x00010100);
  select(1, 8, 0);
  assertEquals(r.io.read(0xcfc, 4), 0x56781234);
  select(1, 8, 0x14);
  r.io.write(0xcfc, 4, 0xe0000000);
  select(1, 8, 4);
  r.io.write(0xcfc, 4, 7);
  assertEquals(r.mem.find(0xe0000000), undefined, "window closed");
  r.put(0x18, 0x20, 0xe000e000);
  r.put(0x18, 0x04, 7);
  assertEquals(r.mem.find(0xe0000000)?.region.name, "card-mem");
  r.put(0x18, 0x20, 0xd000d000);
  assertEquals(r.mem.find(0xe0000000), undefined);
  // INTA of slot 1 comes out on INTB of the bridge in slot 3: wire (3 + 1) & 3.
  card.setInterrupt(true);
  assertEquals(r.irqs, [true, false, false, false]);
  bridge.reset();
  assertEquals([r.irqs[0], card.command], [false, 0]);
});

Deno.test("info pci: layout of QEMU 7.2", () => {
  const r = rig();
  const card = r.bus.plug(new Card(r.memory), 0x18);
  card.id = "net0";
  r.put(0x18, 0x10, 0xc001);
  r.put(0x18, 0x04, 1);
  r.put(0x18, 0x3c, 11);
  assertEquals(
    infoPci(r.bus),
    `  Bus  0, device   3, function 0:
    Ethernet controller: PCI device 1234:5678
      PCI subsystem 1af4:1100
      IRQ 11, pin A
      BAR0: I/O at 0xc000 [0xc01f].
      BAR1: 32 bit memory at 0xffffffffffffffff [0x00000ffe].
      BAR2: 64 bit prefetchable memory at 0xffffffffffffffff [0x00003ffe].
      BAR6: 32 bit memory at 0xffffffffffffffff [0x00000ffe].
      id "net0"
`,
  );
});
