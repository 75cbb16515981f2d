import { assertEquals } from "@std/assert";
import { ManualClock } from "../../core/clock.ts";
import type { IrqLine } from "../../core/device.ts";
import { AddressSpace } from "../../core/memory/address_space.ts";
import { GuestMemory } from "../../core/memory/guest_memory.ts";
import { ioRegion, ramRegion } from "../../core/memory/region.ts";
import { I440fxHost } from "./i440fx.ts";
import { Piix3 } from "./piix3.ts";
import { Piix4Pm } from "./piix4_pm.ts";

function rig() {
  const memory = new GuestMemory(1 << 22);
  const mem = new AddressSpace("memory", 2 ** 36, 0), io = new AddressSpace("I/O", 65536, 0xff);
  const clock = new ManualClock();
  const ram = memory.allocBlock("pc.ram", 2 << 20), bios = memory.allocBlock("pc.bios", 0x20000);
  mem.map(ramRegion("pc.ram", ram), 0);
  bios.u8.fill(0xb1);
  ram.u8.fill(0x11);
  const lowRoms = [{ base: 0xe0000, region: ramRegion("isa-bios", bios, { readonly: true }) }];
  const host = new I440fxHost({ mem, io, ram, ramSize: 128 << 20, lowRoms });
  const levels = new Array<boolean>(16).fill(false);
  const irqs: IrqLine[] = levels.map((_, i) => ({ set: (l) => void (levels[i] = l) }));
  const events: string[] = [];
  const piix3 = host.bus.plug(new Piix3(irqs, () => void events.push("reset")), 8);
  host.pirq = piix3.pirq;
  host.config.resetControl = piix3;
  const pm = host.bus.plug(
    new Piix4Pm({
      clock,
      io,
      sci: irqs[9],
      shutdown: () => void events.push("shutdown"),
      suspend: () => void events.push("suspend"),
      smi: () => void events.push("smi"),
      smmEnabled: true,
    }),
    11,
  );
  const put = (devfn: number, reg: number, v: number) => {
    io.write(0xcf8, 4, (0x80000000 | (devfn << 8) | (reg & 0xfc)) >>> 0);
    io.write(0xcfc + (reg & 3), 1, v);
  };
  const get = (devfn: number, reg: number) => {
    io.write(0xcf8, 4, (0x80000000 | (devfn << 8) | reg) >>> 0);
    return io.read(0xcfc, 4);
  };
  return { mem, io, clock, ram, host, piix3, pm, levels, events, put, get };
}

/** What Debian's QEMU 7.2 shows for `-M pc -m 128` without serial ports, non-zero double words. */
const QEMU_CONFIG: Record<number, Record<number, number>> = {
  0x00: { 0x00: 0x12378086, 0x08: 0x06000002, 0x2c: 0x11001af4, 0x54: 0x10000000, 0x70: 0x20000 },
  0x08: {
    0x00: 0x70008086,
    0x04: 0x02000000,
    0x08: 0x06010000,
    0x0c: 0x00800000,
    0x2c: 0x11001af4,
    0x4c: 0x0003004d,
    0x60: 0x80808080,
    0x68: 0x00000200,
    0x70: 0x00000080,
    0x74: 0x0c0c0000,
    0x78: 0x00000002,
    0xa0: 0x00000008,
    0xa8: 0x0000000f,
  },
  0x0b: {
    0x00: 0x71138086,
    0x04: 0x02800000,
    0x08: 0x06800003,
    0x2c: 0x11001af4,
    0x3c: 0x00000100,
    0x40: 0x00000001,
    0x5c: 0x10000000,
    0x60: 0x60000000,
    0x90: 0x0000b101,
    0xd0: 0x00090000,
  },
};

Deno.test("i440FX, PIIX3, PIIX4: configuration space after reset equals QEMU's", () => {
  const r = rig();
  for (const [devfn, expected] of Object.entries(QEMU_CONFIG)) {
    const actual: Record<number, number> = {};
    for (let reg = 0; reg < 256; reg += 4) {
      const v = r.get(Number(devfn), reg);
      if (v !== 0) actual[reg] = v;
    }
    assertEquals(actual, expected, devfn);
  }
});

Deno.test("PAM: reads and writes go to ROM or RAM separately", () => {
  const r = rig();
  const probe = () => {
    r.ram.u8[0xf0000] = 0x11;
    const before = r.mem.read(0xf0000, 1);
    r.mem.write(0xf0000, 1, 0x77);
    return [before, r.mem.read(0xf0000, 1), r.ram.u8[0xf0000]];
  };
  assertEquals(probe(), [0xb1, 0xb1, 0x11], "PCI");
  r.put(0, 0x59, 0x10);
  assertEquals(probe(), [0x11, 0x11, 0x11], "read-only RAM");
  r.put(0, 0x59, 0x20);
  assertEquals(probe(), [0xb1, 0xb1, 0x77], "write-only RAM");
  r.put(0, 0x59, 0x30);
  assertEquals(probe(), [0x11, 0x77, 0x77], "RAM");
  // PAM5's high nibble is E4000 alone.
  r.put(0, 0x5e, 0x30);
  assertEquals([0xe3fff, 0xe4000, 0xe7fff, 0xe8000].map((a) => r.mem.read(a, 1)), [
    0xb1,
    0x11,
    0x11,
    0xb1,
  ]);
  assertEquals(r.mem.read(0xc0000, 1), 0xff, "no ROM");
  r.put(0, 0x5a, 0x02);
  r.mem.write(0xc0000, 4, 0x04030201);
  assertEquals([r.mem.read(0xc0000, 1), r.ram.u8[0xc0003]], [0xff, 4]);
  r.host.bridge.reset();
  assertEquals(probe(), [0xb1, 0xb1, 0x11]);
});

Deno.test("PAM: shadow writes are announced like any other store", () => {
  const r = rig();
  const seen: number[] = [];
  r.mem.onRamWrite((offset) => void seen.push(offset - r.ram.offset));
  r.put(0, 0x59, 0x20);
  r.mem.write(0xf1234, 2, 1);
  assertEquals(seen, [0xf1234]);
});

Deno.test("SMRAM: D_OPEN, SMM, D_CLS and D_LCK decide who is at A0000", () => {
  const r = rig();
  const video = ioRegion("vga-lowmem", 0x20000, { read: () => 0x56, write: () => {} });
  r.mem.map(video, 0xa0000, 1);
  const at = () => r.mem.read(0xa0000, 1);
  assertEquals(at(), 0x56);
  r.put(0, 0x72, 0x4a);
  assertEquals(at(), 0x11);
  r.put(0, 0x72, 0x0a);
  assertEquals(at(), 0x56);
  r.host.bridge.setSmm(true);
  assertEquals(at(), 0x11);
  r.put(0, 0x72, 0x2a);
  assertEquals(at(), 0x56);
  r.host.bridge.setSmm(false);
  r.put(0, 0x72, 0x5a);
  assertEquals(r.get(0, 0x70) >>> 16, 0x1a, "locking closes");
  r.put(0, 0x72, 0x42);
  assertEquals([r.get(0, 0x70) >>> 16, at()], [0x1a, 0x56]);
});

Deno.test("PIIX3: PIRQ routing, sharing and disabling", () => {
  const r = rig();
  r.put(8, 0x60, 11);
  r.put(8, 0x63, 11);
  r.host.setInterrupt(0, true);
  r.host.setInterrupt(3, true);
  assertEquals(r.levels[11], true);
  r.host.setInterrupt(0, false);
  assertEquals(r.levels[11], true);
  r.put(8, 0x63, 10);
  assertEquals([r.levels[10], r.levels[11]], [true, false]);
  r.put(8, 0x63, 0x8a);
  assertEquals(r.levels[10], false);
  // INTA of slot 1 is PIRQA, of slot 3 PIRQC.
  assertEquals([r.host.route(0x08, 0), r.host.route(0x18, 0), r.host.route(0x20, 1)], [0, 2, 0]);
});

Deno.test("PIIX3: CF9 resets, and does not disturb CONFIG_ADDRESS", () => {
  const r = rig();
  r.io.write(0xcf8, 4, 0x80000800);
  r.io.write(0xcf9, 1, 2);
  assertEquals([r.io.read(0xcf9, 1), r.events], [2, []]);
  r.io.write(0xcf9, 1, 6);
  assertEquals([r.events, r.io.read(0xcfc, 4)], [["reset"], 0x70008086]);
});

Deno.test("PIIX4 PM: base register, timer rate, overflow status and SCI", () => {
  const r = rig();
  assertEquals(r.io.find(0x608), undefined);
  r.put(0xb, 0x41, 0x06);
  r.put(0xb, 0x80, 1);
  assertEquals(r.io.read(0x608, 4), 0);
  r.clock.advance(1e9);
  assertEquals(r.io.read(0x608, 4), 3579545);
  r.io.write(0x602, 2, 1);
  assertEquals([r.io.read(0x600, 2), r.levels[9]], [0, false]);
  r.clock.advance(1.4e9); // bit 23 changes every 2.3435 s
  assertEquals([r.io.read(0x600, 2), r.levels[9]], [1, true]);
  r.io.write(0x600, 2, 1);
  assertEquals([r.io.read(0x600, 2), r.levels[9]], [0, false]);
  r.clock.advance(2.4e9);
  assertEquals(r.levels[9], true);
  assertEquals(r.io.read(0x608, 4), Math.floor(4.8 * 3579545) % 0x1000000);
  r.put(0xb, 0x80, 0);
  assertEquals(r.io.find(0x608), undefined);
});

Deno.test("PIIX4 PM: power button, sleep states, ACPI mode through APM", () => {
  const r = rig();
  r.put(0xb, 0x41, 0x06);
  r.put(0xb, 0x80, 1);
  r.pm.powerButton();
  assertEquals(r.io.read(0x600, 2), 0, "nobody listens");
  r.io.write(0x602, 2, 0x100);
  r.pm.powerButton();
  assertEquals([r.io.read(0x600, 2), r.levels[9]], [0x100, true]);
  r.io.write(0x600, 2, 0x100);
  assertEquals(r.levels[9], false);
  r.io.write(0xb2, 1, 0xf1);
  assertEquals([r.io.read(0x604, 2), r.events], [1, []]);
  r.put(0xb, 0x5b, 2);
  r.io.write(0xb2, 1, 0xf0);
  assertEquals([r.io.read(0x604, 2), r.events], [0, ["smi"]]);
  r.io.write(0x604, 2, 0x2400);
  r.io.write(0x604, 2, 0x2000);
  assertEquals([r.events, r.io.read(0x604, 2)], [["smi", "suspend", "shutdown"], 0]);
  r.pm.pm.wake("power-button");
  assertEquals(r.io.read(0x600, 2), 0x8100);
});

Deno.test("PIIX4 PM: GPE block and SMBus EEPROMs", () => {
  const r = rig();
  r.io.write(0xafe2, 1, 4);
  r.pm.pm.raiseGpe(2);
  assertEquals([r.io.read(0xafe0, 2), r.levels[9]], [4, true]);
  r.io.write(0xafe0, 1, 4);
  assertEquals(r.levels[9], false);

  const byteData = (address: number, command: number, value = 0) => {
    r.io.write(0xb100, 1, 0xff);
    r.io.write(0xb104, 1, address);
    r.io.write(0xb103, 1, command);
    r.io.write(0xb105, 1, value);
    r.io.write(0xb102, 1, 0x48);
    return r.io.read(0xb100, 1);
  };
  assertEquals(byteData(0xa0, 5, 0x99), 2);
  assertEquals([byteData(0xa1, 5), r.io.read(0xb105, 1)], [2, 0x99]);
  assertEquals(byteData(0x61, 0), 6, "no such device");
  const saved = r.pm.save();
  byteData(0xa0, 5, 1);
  r.pm.load(saved);
  byteData(0xa1, 5);
  assertEquals(r.io.read(0xb105, 1), 0x99);
});
