/** x2APIC mode and the TSC deadline: Intel SDM volume 3A, 11.12 and 11.5.4.1. */
import { assert, assertEquals } from "@std/assert";
import { ManualClock } from "../../core/clock.ts";
import { AddressSpace } from "../../core/memory/address_space.ts";
import { ApicBus } from "./apic_bus.ts";
import type { ApicFeatures } from "./lapic.ts";
import { Reg } from "./lapic_registers.ts";

const EN = 0xfee00800n, EXTD = 0xfee00c00n, BSP = 0x100n;
const DEADLINE = 0x6e0;

const both: ApicFeatures = { x2apic: true, tscDeadline: true };

/** Processors with the given APIC IDs; the TSC runs at `khz` and is `tsc.offset` ahead. */
function machine(ids: readonly number[], features = both, khz = 2e6) {
  const clock = new ManualClock(), events: string[] = [], intr: boolean[] = [];
  const tsc = { offset: 0n };
  let current = 0;
  const bus = new ApicBus({ clock, currentVcpu: () => current, picAcknowledge: () => -1 });
  const space = new AddressSpace("memory", 2 ** 40, 0);
  bus.attach(space);
  const guestTsc = {
    read: () => BigInt(Math.floor(clock.now() * khz / 1e6)) + tsc.offset,
    khz,
  };
  ids.forEach((apicId, index) => {
    const on = (what: string) => () => void events.push(`${what}${index}`);
    bus.add(
      {
        index,
        apicId,
        guestTsc,
        setIntr: (l) => intr[index] = l,
        nmi: on("nmi"),
        smi: on("smi"),
        init: on("init"),
        sipi: (v) => events.push(`sipi${index}:${v.toString(16)}`),
      },
      index === 0,
      features,
    );
  });
  return {
    bus,
    clock,
    space,
    tsc,
    lapics: bus.lapics,
    /** All of them into x2APIC mode, and enabled. */
    enter() {
      for (const l of bus.lapics) {
        assert(l.setApicBase(EXTD | (l.bsp ? BSP : 0n)));
        assert(l.writeMsr(0x80f, 0x1ffn));
      }
    },
    page: (at: number, cpu = 0) => {
      current = cpu;
      return space.read(0xfee00000 + at, 4);
    },
    events: () => events.splice(0),
    /** Which processors have taken the vector since the last call. */
    takers: (vector: number) =>
      bus.lapics.filter((l) => {
        if (l.acknowledge() !== vector) return false;
        l.writeMsr(0x80b, 0n);
        return true;
      }).map((l) => l.cpu.index),
  };
}

Deno.test("x2apic: which changes of IA32_APIC_BASE are allowed (SDM figure 11-27)", () => {
  const { lapics: [l] } = machine([0]);
  const off = 0xfee00000n, invalid = 0xfee00400n;
  const go = (value: bigint) => l.setApicBase(value | BSP);
  assert(!go(invalid), "EXTD without EN");
  assert(go(EXTD) && l.x2apic);
  assertEquals(l.apicBase, EXTD | BSP);
  assert(!go(EN), "x2APIC to xAPIC");
  assert(!go(invalid));
  assert(go(EXTD), "the same again");
  assert(go(off) && !l.enabled && !l.x2apic);
  assert(!go(EXTD), "disabled to x2APIC");
  assert(go(EN) && go(EXTD));
  l.reset();
  assertEquals([l.x2apic, l.apicBase], [false, EN | BSP]);
});

Deno.test("x2apic: a processor without it refuses EXTD and the MSRs", () => {
  const { lapics: [l] } = machine([0], {});
  assert(!l.setApicBase(EXTD | BSP));
  for (const msr of [0x802, 0x803, 0x830, DEADLINE]) {
    assertEquals(l.readMsr(msr), undefined);
    assert(!l.writeMsr(msr, 0n));
  }
});

Deno.test("x2apic: IDs have 32 bits, the logical one follows", () => {
  const { lapics, enter, page } = machine([0, 0x25]);
  assertEquals(page(Reg.ID, 1), 0x25000000);
  enter();
  assertEquals(lapics[1].readMsr(0x802), 0x25n);
  assertEquals(lapics[1].readMsr(0x80d), 0x00020020n);
  assertEquals(page(Reg.ID, 1), 0xffffffff, "the page is gone");
  assert(lapics[1].accept(5, 0, false), "INIT keeps the mode and the IDs");
  assertEquals([lapics[1].readMsr(0x802), lapics[1].readMsr(0x80d)], [0x25n, 0x00020020n]);
  assertEquals(lapics[1].readMsr(0x80f), 0xffn);
  assert(lapics[1].setApicBase(0xfee00000n) && lapics[1].setApicBase(EN));
  assertEquals(page(Reg.ID, 1), 0x25000000);
});

Deno.test("x2apic: which registers can be read and written, and with what", () => {
  const { lapics: [l], enter } = machine([0]);
  assertEquals(l.readMsr(0x802), undefined, "not in xAPIC mode");
  enter();
  const readable = [], writable = [];
  for (let msr = 0x800; msr < 0x900; msr++) {
    if (l.readMsr(msr) !== undefined) readable.push(msr);
    if (l.writeMsr(msr, 0n)) writable.push(msr);
  }
  const range = (a: number, b: number) => Array.from({ length: b - a + 1 }, (_, n) => a + n);
  assertEquals(readable, [
    ...[0x802, 0x803, 0x808, 0x80a, 0x80d, 0x80f],
    ...range(0x810, 0x828),
    ...[0x830, ...range(0x832, 0x839), 0x83e],
  ]);
  assertEquals(writable, [
    ...[0x808, 0x80b, 0x80f, 0x828, 0x830, ...range(0x832, 0x838), 0x83e, 0x83f],
  ]);
  const refused: [number, bigint][] = [
    [0x808, 0x100n],
    [0x808, 1n << 32n],
    [0x80b, 1n],
    [0x80f, 0x1000n],
    [0x828, 1n],
    [0x830, 0x2000n],
    [0x830, 0x100000n],
    [0x832, 0x80000n],
    [0x835, 0x20000n],
    [0x83e, 4n],
    [0x83f, 0x100n],
  ];
  for (const [msr, value] of refused) assert(!l.writeMsr(msr, value), msr.toString(16));
  assert(l.writeMsr(0x835, 0x15700n), "read-only bits may come back");
  assertEquals(l.readMsr(0x835), 0x10700n);
});

Deno.test("x2apic: interrupts by 32-bit ID, cluster, shorthand, to all and to oneself", () => {
  const { lapics, enter, takers, events } = machine([0, 1, 0x12, 0xff]);
  enter();
  const send = (low: number, dest: number) =>
    assert(lapics[0].writeMsr(0x830, BigInt(dest >>> 0) << 32n | BigInt(low)));
  send(0x4041, 0x12);
  assertEquals(takers(0x41), [2]);
  assertEquals(lapics[0].readMsr(0x830), 0x12_0000_4041n);
  send(0x4041, 0xff);
  assertEquals(takers(0x41), [3], "FFh is an ID");
  send(0x4041, -1);
  assertEquals(takers(0x41), [0, 1, 2, 3]);
  send(0x4841, 0x3);
  assertEquals(takers(0x41), [0, 1]);
  send(0x4841, 0x10004);
  assertEquals(takers(0x41), [2]);
  send(0x4841, 0xf8000);
  assertEquals(takers(0x41), [3]);
  send(0xc4041, 0);
  assertEquals(takers(0x41), [1, 2, 3]);
  assert(lapics[1].writeMsr(0x83f, 0x51n));
  assertEquals(takers(0x51), [1]);
  send(0x4500, 1);
  send(0x4609, 1);
  assertEquals(events(), ["init1", "sipi1:9"]);
});

Deno.test("x2apic: messages from devices keep their 8-bit destinations", () => {
  const { bus, enter, takers } = machine([0, 1, 0x12]);
  enter();
  bus.msi(0xfee12000, 0x61);
  assertEquals(takers(0x61), [2]);
  bus.msi(0xfeeff000, 0x61);
  assertEquals(takers(0x61), [0, 1, 2]);
  bus.msi(0xfee02004, 0x61);
  assertEquals(takers(0x61), [1], "logical, cluster 0");
  bus.msi(0xfeeff004, 0x61);
  assertEquals(takers(0x61), [0, 1], "eight processors of cluster 0, not all");
});

/** TSC-deadline mode with vector 71h. */
function armed(khz = 2e6) {
  const m = machine([0], both, khz);
  m.enter();
  const [l] = m.lapics;
  assert(l.writeMsr(0x832, 0x40071n));
  return { ...m, l, set: (v: bigint) => assert(l.writeMsr(DEADLINE, v)) };
}

Deno.test("lapic: a TSC deadline interrupts once, when the TSC gets there", () => {
  const { l, clock, set, takers } = armed();
  set(2000n);
  assertEquals(l.readMsr(DEADLINE), 2000n);
  clock.advance(999);
  assertEquals(takers(0x71), []);
  clock.advance(1);
  assertEquals(takers(0x71), [0]);
  assertEquals(l.readMsr(DEADLINE), 0n);
  clock.advance(10_000);
  assertEquals(takers(0x71), []);
  set(5n);
  assertEquals(takers(0x71), [0], "one that is over interrupts at once");
  set(1_000_000n);
  set(0n);
  clock.advance(1_000_000);
  assertEquals(takers(0x71), [], "0 disarms");
});

Deno.test("lapic: a deadline never interrupts early, whatever the TSC's frequency", () => {
  for (const khz of [999_999, 1e6, 2_394_567]) {
    const { clock, set, takers, bus } = armed(khz);
    for (const ticks of [1n, 7n, 1001n, 123_457n]) {
      const tsc = bus.lapics[0].cpu.guestTsc!, target = tsc.read() + ticks;
      set(target);
      for (let n = 0; n < 200_000 && takers(0x71).length === 0; n++) clock.advance(1);
      assert(tsc.read() >= target && tsc.read() < target + 10n, `${khz} ${ticks}`);
    }
  }
});

Deno.test("lapic: a TSC that is moved takes the deadline along", () => {
  const { l, clock, tsc, set, takers } = armed();
  set(20_000n);
  tsc.offset = -10_000n;
  clock.advance(10_000);
  assertEquals(takers(0x71), [], "looked at again");
  clock.advance(5_000);
  assertEquals(takers(0x71), [0]);
  set(1_000_000n);
  tsc.offset = 1_000_000n;
  l.tscChanged();
  assertEquals(takers(0x71), [0]);
});

Deno.test("lapic: the deadline is for its timer mode alone, which stops the counter", () => {
  const { l, clock, set, takers } = armed();
  assert(l.writeMsr(0x838, 1000n));
  assertEquals([l.readMsr(0x838), l.readMsr(0x839)], [0n, 0n]);
  set(20_000n);
  assert(l.writeMsr(0x832, 0x71n), "to one-shot mode");
  assertEquals(l.readMsr(DEADLINE), 0n);
  set(100n);
  assertEquals(l.readMsr(DEADLINE), 0n, "writes are ignored there");
  clock.advance(100_000);
  assertEquals(takers(0x71), []);
  assert(l.writeMsr(0x838, 1000n));
  assert(l.writeMsr(0x832, 0x40071n), "back: the count stops");
  clock.advance(100_000);
  assertEquals(takers(0x71), []);
  assert(l.writeMsr(0x832, 0x50071n), "masked");
  set(l.cpu.guestTsc!.read() + 100n);
  clock.advance(1000);
  assertEquals([takers(0x71), l.readMsr(DEADLINE)], [[], 0n]);
});

Deno.test("lapic: a deadline, and x2APIC mode, survive save and load", () => {
  const { l, set } = armed(), other = machine([0]);
  set(2000n);
  other.lapics[0].load(l.save());
  assert(other.lapics[0].x2apic);
  assertEquals(other.lapics[0].readMsr(DEADLINE), 2000n);
  other.clock.advance(1000);
  assertEquals(other.takers(0x71), [0]);
});
