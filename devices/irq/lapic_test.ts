import { assert, assertEquals } from "@std/assert";
import { ManualClock } from "../../core/clock.ts";
import { AddressSpace } from "../../core/memory/address_space.ts";
import type { AccessSize } from "../../core/memory/region.ts";
import { ApicBus } from "./apic_bus.ts";
import { LAPIC_STATE_SIZE } from "./lapic.ts";
import { Reg } from "./lapic_registers.ts";

/** A machine of `n` processors whose pins are written to `events`. */
function machine(n = 1, enable = true) {
  const clock = new ManualClock();
  const events: string[] = [];
  const intr: boolean[] = [];
  let current = 0, picVector = -1;
  const bus = new ApicBus({
    clock,
    currentVcpu: () => current,
    picAcknowledge: () => {
      bus.lint0.set(false);
      return picVector;
    },
  });
  const space = new AddressSpace("memory", 2 ** 40, 0);
  bus.attach(space);
  const memory = new SharedArrayBuffer(LAPIC_STATE_SIZE * n);
  for (let index = 0; index < n; index++) {
    const on = (what: string) => () => void events.push(`${what}${index}`);
    bus.add(
      {
        index,
        apicId: index,
        setIntr: (l) => intr[index] = l,
        nmi: on("nmi"),
        smi: on("smi"),
        init: on("init"),
        sipi: (v) => events.push(`sipi${index}:${v.toString(16)}`),
      },
      index === 0,
      { memory: { buffer: memory, offset: index * LAPIC_STATE_SIZE } },
    );
  }
  const on = <T>(cpu: number, f: () => T): T => {
    const before = current;
    current = cpu;
    const result = f();
    current = before;
    return result;
  };
  const rd = (reg: number, cpu = 0) => on(cpu, () => space.read(0xfee00000 + reg, 4));
  const wr = (reg: number, v: number, cpu = 0) =>
    on(cpu, () => space.write(0xfee00000 + reg, 4, v));
  if (enable) { for (let i = 0; i < n; i++) wr(Reg.SVR, 0x1ff, i); }
  return {
    bus,
    clock,
    space,
    intr,
    rd,
    wr,
    on,
    lapic: bus.lapics[0],
    lapics: bus.lapics,
    access: (at: number, size: AccessSize, cpu = 0) => on(cpu, () => space.read(at, size)),
    pic: (vector: number) => {
      picVector = vector;
      bus.lint0.set(true);
    },
    /** What has happened on pins since the last call. */
    events: () => events.splice(0),
    /** Vectors taken without EOI. */
    drain: (cpu = 0) => {
      const got: number[] = [];
      while (intr[cpu] && got.length < 20) got.push(bus.lapics[cpu].acknowledge());
      return got;
    },
  };
}

Deno.test("lapic: values after power-on are those of the SDM, table 11-1 ff.", () => {
  const { rd, lapic, lapics } = machine(2, false);
  assertEquals(rd(Reg.ID, 1), 0x01000000);
  assertEquals(rd(Reg.VERSION), 0x00050014);
  assertEquals([rd(Reg.TPR), rd(Reg.PPR), rd(Reg.LDR)], [0, 0, 0]);
  assertEquals(rd(Reg.DFR), 0xffffffff);
  assertEquals(rd(Reg.SVR), 0xff);
  for (const r of [0x320, 0x330, 0x340, 0x350, 0x360, 0x370]) assertEquals(rd(r), 0x10000);
  assertEquals(lapic.apicBase, 0xfee00900n);
  assertEquals(lapics[1].apicBase, 0xfee00800n);
});

Deno.test("lapic: each processor sees its own page, narrow reads included", () => {
  const { rd, wr, access } = machine(2);
  wr(Reg.TPR, 0x20, 0);
  wr(Reg.TPR, 0x50, 1);
  assertEquals([rd(Reg.TPR, 0), rd(Reg.TPR, 1)], [0x20, 0x50]);
  assertEquals(access(0xfee00023, 1, 1), 1, "the ID's high byte");
  assertEquals(access(0xfee00032, 2, 1), 5);
  assertEquals(rd(Reg.TPR + 4), 0);
});

Deno.test("lapic: self IPI, IRR to ISR, EOI", () => {
  const { rd, wr, lapic, intr } = machine();
  wr(Reg.ICR_LOW, 0x40000 | 0x4000 | 0x31);
  assertEquals(rd(Reg.IRR + 0x10), 1 << 17);
  assertEquals(intr[0], true);
  assertEquals(lapic.acknowledge(), 0x31);
  assertEquals([rd(Reg.IRR + 0x10), rd(Reg.ISR + 0x10), intr[0]], [0, 1 << 17, false]);
  assertEquals(rd(Reg.PPR), 0x30);
  assertEquals(lapic.acknowledge(), -1);
  wr(Reg.EOI, 0);
  assertEquals([rd(Reg.ISR + 0x10), rd(Reg.PPR)], [0, 0]);
});

Deno.test("lapic: priority classes nest; the same class waits", () => {
  const { wr, bus, drain } = machine();
  bus.deliver(0, false, 0, 0x51, false);
  assertEquals(drain(), [0x51]);
  bus.deliver(0, false, 0, 0x5f, false);
  bus.deliver(0, false, 0, 0x41, false);
  assertEquals(drain(), []);
  bus.deliver(0, false, 0, 0xf0, false);
  assertEquals(drain(), [0xf0]);
  wr(Reg.EOI, 0);
  wr(Reg.EOI, 0);
  assertEquals(drain(), [0x5f]);
  wr(Reg.EOI, 0);
  assertEquals(drain(), [0x41]);
});

Deno.test("lapic: TPR and CR8 hold back their class and below", () => {
  const { rd, wr, bus, lapic, drain } = machine();
  lapic.setTpr(4);
  assertEquals(rd(Reg.TPR), 0x40);
  bus.deliver(0, false, 0, 0x4f, false);
  assertEquals(drain(), []);
  bus.deliver(0, false, 0, 0x50, false);
  assertEquals(drain(), [0x50]);
  wr(Reg.EOI, 0);
  wr(Reg.TPR, 0x3f);
  assertEquals([lapic.tpr, lapic.ppr], [3, 0x3f]);
  assertEquals(drain(), [0x4f]);
});

Deno.test("lapic: physical destinations", () => {
  const { wr, drain, rd } = machine(3);
  wr(Reg.ICR_HIGH, 2 << 24);
  wr(Reg.ICR_LOW, 0x4030);
  assertEquals([drain(0), drain(1), drain(2)], [[], [], [0x30]]);
  wr(Reg.ICR_HIGH, 0xff000000);
  wr(Reg.ICR_LOW, 0x4040);
  assertEquals([drain(0), drain(1), drain(2)], [[0x40], [0x40], [0x40]]);
  wr(Reg.ICR_HIGH, 9 << 24);
  wr(Reg.ICR_LOW, 0x4050);
  assertEquals([drain(0), drain(1), drain(2)], [[], [], []]);
  assertEquals(rd(Reg.ICR_LOW) & 0x1000, 0, "delivery is immediate");
});

Deno.test("lapic: logical destinations, flat and cluster", () => {
  const { bus, wr, drain } = machine(3);
  for (let i = 0; i < 3; i++) wr(Reg.LDR, 1 << (24 + i), i);
  bus.deliver(0x05, true, 0, 0x30, false);
  assertEquals([drain(0), drain(1), drain(2)], [[0x30], [], [0x30]]);
  for (let i = 0; i < 3; i++) {
    wr(Reg.EOI, 0, i);
    wr(Reg.DFR, 0x0fffffff, i);
  }
  wr(Reg.LDR, 0x11000000, 0); // cluster 1, member 0
  wr(Reg.LDR, 0x12000000, 1); // cluster 1, member 1
  wr(Reg.LDR, 0x21000000, 2); // cluster 2, member 0
  bus.deliver(0x13, true, 0, 0x31, false);
  assertEquals([drain(0), drain(1), drain(2)], [[0x31], [0x31], []]);
  bus.deliver(0x21, true, 0, 0x42, false);
  assertEquals([drain(0), drain(1), drain(2)], [[], [], [0x42]]);
  bus.deliver(0xff, true, 0, 0x53, false);
  assertEquals([drain(0), drain(1), drain(2)], [[0x53], [0x53], [0x53]]);
});

Deno.test("lapic: lowest priority goes to one processor, the least busy", () => {
  const { bus, wr, drain } = machine(2);
  wr(Reg.TPR, 0x20, 0);
  bus.deliver(0xff, false, 1, 0x61, false);
  assertEquals([drain(0), drain(1)], [[], [0x61]]);
  bus.deliver(0xff, false, 1, 0x71, false);
  assertEquals([drain(0), drain(1)], [[0x71], []], "the other one is at 60h now");
  wr(Reg.SVR, 0xff, 0);
  wr(Reg.SVR, 0xff, 1);
  assertEquals(bus.deliver(0xff, false, 1, 0x71, false), false);
});

Deno.test("lapic: NMI, SMI, INIT, SIPI and the shorthands", () => {
  const { wr, rd, events } = machine(3);
  wr(Reg.ICR_HIGH, 1 << 24);
  wr(Reg.ICR_LOW, 0x4400);
  wr(Reg.ICR_LOW, 0x4200);
  wr(Reg.ICR_LOW, 0xc500);
  wr(Reg.ICR_LOW, 0x8500); // de-assert
  wr(Reg.ICR_LOW, 0x469f);
  assertEquals(events(), ["nmi1", "smi1", "init1", "sipi1:9f"]);
  assertEquals([rd(Reg.SVR, 1), rd(Reg.SVR, 2)], [0xff, 0x1ff], "INIT resets the APIC");
  assertEquals(rd(Reg.ID, 1), 0x01000000);
  wr(Reg.ICR_LOW, 0xc4400); // all but self
  assertEquals(events(), ["nmi1", "nmi2"]);
  wr(Reg.ICR_LOW, 0x84400, 1); // all with self
  assertEquals(events(), ["nmi0", "nmi1", "nmi2"]);
  wr(Reg.ICR_LOW, 0x44400, 2); // self
  assertEquals(events(), ["nmi2"]);
});

Deno.test("lapic: INIT de-assert copies IDs to the arbitration IDs", () => {
  const { wr, lapics } = machine(2);
  assertEquals(lapics[1].arbitrationId, 0);
  wr(Reg.ICR_LOW, 0x88500);
  assertEquals(lapics[1].arbitrationId, 1);
});

Deno.test("lapic: software disable masks the LVT, holds IRR and still takes NMI and INIT", () => {
  const { bus, wr, rd, intr, events, drain } = machine();
  wr(Reg.LVT_LINT0, 0x700);
  bus.deliver(0, false, 0, 0x33, false);
  wr(Reg.SVR, 0xff);
  assertEquals([rd(Reg.LVT_LINT0), intr[0], rd(Reg.IRR + 0x10)], [0x10700, false, 1 << 19]);
  wr(Reg.LVT_LINT0, 0x700);
  assertEquals(rd(Reg.LVT_LINT0), 0x10700, "the mask can't be cleared");
  assertEquals(bus.deliver(0, false, 0, 0x34, false), false);
  assertEquals(bus.deliver(0, false, 4, 0, false), true);
  assertEquals(bus.deliver(0, false, 5, 0, false), true);
  assertEquals(events(), ["nmi0", "init0"]);
  wr(Reg.SVR, 0x1ff);
  assertEquals(drain(), [], "INIT has cleared IRR");
});

Deno.test("lapic: ExtINT on LINT0 takes the vector from the 8259", () => {
  const { wr, pic, intr, drain, bus, lapic } = machine();
  pic(0x08);
  assertEquals(intr[0], false, "masked after reset");
  wr(Reg.LVT_LINT0, 0x8700);
  assertEquals(intr[0], true);
  bus.deliver(0, false, 0, 0x55, false);
  assertEquals(drain(), [0x55, 0x08], "own vectors first; ExtINT ignores PPR");
  pic(0x70);
  bus.lint0.set(false);
  assertEquals([intr[0], lapic.acknowledge()], [false, -1]);
});

Deno.test("lapic: an ExtINT message asks the 8259 too, once", () => {
  const { bus, pic, drain, intr } = machine();
  pic(0x0b);
  bus.lint0.set(false);
  assertEquals(intr[0], false);
  bus.deliver(0, false, 7, 0, false);
  assertEquals(drain(), [0x0b]);
});

Deno.test("lapic: LINT1 as NMI; LINT0 as a fixed level interrupt with remote IRR", () => {
  const { bus, wr, rd, events, drain } = machine();
  bus.nmi();
  assertEquals(events(), []);
  wr(Reg.LVT_LINT1, 0x400);
  bus.nmi();
  assertEquals(events(), ["nmi0"]);
  wr(Reg.LVT_LINT0, 0x8066);
  bus.lint0.set(true);
  assertEquals(drain(), [0x66]);
  assertEquals(rd(Reg.LVT_LINT0), 0xc066);
  assertEquals(rd(Reg.TMR + 0x30), 1 << 6);
  wr(Reg.EOI, 0);
  assertEquals(drain(), [0x66], "still high");
  bus.lint0.set(false);
  wr(Reg.EOI, 0);
  assertEquals([drain(), rd(Reg.LVT_LINT0)], [[], 0x8066]);
});

Deno.test("lapic: EOI of a level interrupt is broadcast, of an edge one not", () => {
  const { bus, wr, drain } = machine();
  const ended: number[] = [];
  bus.onEoi((v) => ended.push(v));
  bus.deliver(0, false, 0, 0x41, true);
  bus.deliver(0, false, 0, 0x61, false);
  assertEquals(drain(), [0x61]);
  wr(Reg.EOI, 0);
  assertEquals([ended.splice(0), drain()], [[], [0x41]]);
  wr(Reg.EOI, 0);
  assertEquals(ended, [0x41]);
  wr(Reg.EOI, 0);
  assertEquals(ended, [0x41], "nothing in service");
});

Deno.test("lapic: ESR shows errors after a write, and the error LVT fires", () => {
  const { wr, rd, bus, drain } = machine();
  wr(Reg.LVT_ERROR, 0xfe);
  wr(Reg.ICR_LOW, 0x4005); // send illegal vector
  assertEquals(rd(Reg.ESR), 0);
  wr(Reg.ESR, 0);
  assertEquals(rd(Reg.ESR), 0x20);
  bus.deliver(0, false, 0, 3, false); // receive illegal vector
  rd(0x3f0); // reserved register
  wr(Reg.ESR, 0);
  assertEquals(rd(Reg.ESR), 0xc0);
  assertEquals(drain(), [0xfe]);
  wr(Reg.ESR, 0);
  assertEquals(rd(Reg.ESR), 0);
});

Deno.test("lapic: an illegal error vector does not report itself", () => {
  const { wr, rd } = machine();
  wr(Reg.LVT_ERROR, 0x05);
  wr(0x2f0, 1);
  wr(Reg.ESR, 0);
  assertEquals(rd(Reg.ESR), 0x80);
});

Deno.test("lapic: divide configuration, SDM figure 11-10", () => {
  const { wr, lapic } = machine();
  const codes = [0b0000, 0b0001, 0b0010, 0b0011, 0b1000, 0b1001, 0b1010, 0b1011];
  assertEquals(
    codes.map((c) => (wr(Reg.TIMER_DIVIDE, c), lapic.divisor)),
    [2, 4, 8, 16, 32, 64, 128, 1],
  );
});

Deno.test("lapic: one-shot timer counts 1 ns ticks through the divider", () => {
  const { wr, rd, clock, drain } = machine();
  wr(Reg.LVT_TIMER, 0x40);
  wr(Reg.TIMER_DIVIDE, 0x3); // by 16
  wr(Reg.TIMER_INITIAL, 1000);
  clock.advance(15);
  assertEquals(rd(Reg.TIMER_CURRENT), 1000);
  clock.advance(1);
  assertEquals(rd(Reg.TIMER_CURRENT), 999);
  clock.advance(15983);
  assertEquals([rd(Reg.TIMER_CURRENT), drain()], [1, []]);
  clock.advance(1);
  assertEquals([rd(Reg.TIMER_CURRENT), drain()], [0, [0x40]]);
  wr(Reg.EOI, 0);
  clock.advance(1e9);
  assertEquals(drain(), []);
});

Deno.test("lapic: a one-shot count shorter than the time between two looks at the clock expires", () => {
  const { clock, wr, intr } = machine();
  const now = clock.now.bind(clock);
  let looks = 0;
  clock.now = () => now() + 1000 * looks++;
  wr(Reg.TIMER_DIVIDE, 3);
  wr(Reg.LVT_TIMER, 0x40);
  wr(Reg.TIMER_INITIAL, 62);
  clock.advance(1000 * looks);
  assert(intr[0]);
});

Deno.test("lapic: periodic timer reloads; writing 0 stops it", () => {
  const { wr, rd, clock, drain } = machine();
  wr(Reg.TIMER_DIVIDE, 0xb);
  wr(Reg.LVT_TIMER, 0x20040);
  wr(Reg.TIMER_INITIAL, 1_000_000);
  for (let i = 0; i < 3; i++) {
    clock.advance(999_999);
    assertEquals([rd(Reg.TIMER_CURRENT), drain()], [1, []]);
    clock.advance(1);
    assertEquals([rd(Reg.TIMER_CURRENT), drain()], [1_000_000, [0x40]]);
    wr(Reg.EOI, 0);
  }
  wr(Reg.TIMER_INITIAL, 0);
  clock.advance(1e7);
  assertEquals([rd(Reg.TIMER_CURRENT), drain()], [0, []]);
});

Deno.test("lapic: a masked timer counts silently; unmasking keeps its phase", () => {
  const { wr, rd, clock, drain } = machine();
  wr(Reg.TIMER_DIVIDE, 0xb);
  wr(Reg.LVT_TIMER, 0x30040);
  wr(Reg.TIMER_INITIAL, 100_000);
  clock.advance(250_000);
  assertEquals([rd(Reg.TIMER_CURRENT), drain()], [50_000, []]);
  wr(Reg.LVT_TIMER, 0x20040);
  clock.advance(49_999);
  assertEquals(drain(), []);
  clock.advance(1);
  assertEquals(drain(), [0x40]);
});

Deno.test("lapic: changing divider or mode in mid-count keeps the count", () => {
  const { wr, rd, clock, drain } = machine();
  wr(Reg.TIMER_DIVIDE, 0xb);
  wr(Reg.LVT_TIMER, 0x20040);
  wr(Reg.TIMER_INITIAL, 100_000);
  clock.advance(160_000);
  assertEquals(drain(), [0x40]);
  wr(Reg.EOI, 0);
  wr(Reg.LVT_TIMER, 0x40);
  assertEquals(rd(Reg.TIMER_CURRENT), 40_000);
  wr(Reg.TIMER_DIVIDE, 0x0);
  assertEquals(rd(Reg.TIMER_CURRENT), 40_000);
  clock.advance(79_999);
  assertEquals([rd(Reg.TIMER_CURRENT), drain()], [1, []]);
  clock.advance(1);
  assertEquals([rd(Reg.TIMER_CURRENT), drain()], [0, [0x40]]);
});

Deno.test("lapic: absurdly short periods neither hang nor flood", () => {
  const { wr, clock, lapic, intr } = machine();
  wr(Reg.TIMER_DIVIDE, 0xb);
  wr(Reg.LVT_TIMER, 0x20040);
  wr(Reg.TIMER_INITIAL, 1);
  let taken = 0;
  for (let i = 0; i < 1000; i++) {
    clock.advance(1000);
    if (!intr[0]) continue;
    lapic.acknowledge();
    wr(Reg.EOI, 0);
    taken++;
  }
  assert(taken >= 99 && taken <= 101, `${taken} interrupts in 1 ms`);
});

Deno.test("lapic: IA32_APIC_BASE disables, moves and refuses reserved bits", () => {
  const { lapic, lapics, rd, wr, access, space, on, intr, bus } = machine(2);
  assertEquals(lapic.setApicBase(0xfee00d00n), false, "x2APIC");
  assertEquals(lapic.setApicBase(0xfee00901n), false);
  assertEquals(lapic.setApicBase((1n << 40n) | 0xfee00900n), false);
  assertEquals(lapic.setApicBase(0xd0000900n), true);
  assertEquals(access(0xd0000030, 4), 0x50014);
  assertEquals(rd(Reg.VERSION, 0), 0xffffffff);
  assertEquals(rd(Reg.VERSION, 1), 0x50014);
  assertEquals(access(0xd0000030, 4, 1), 0xffffffff);
  assertEquals(lapic.setApicBase(0xfee00100n), true);
  assertEquals(access(0xd0000030, 4), 0, "unmapped again");
  assertEquals(rd(Reg.VERSION), 0xffffffff);
  on(0, () => space.write(0xfee000f0, 4, 0x1ff));
  assertEquals(lapic.softwareEnabled, false);
  assertEquals(bus.deliver(0, false, 4, 0, false), false, "a disabled APIC hears nothing");
  bus.lint0.set(true);
  assertEquals([intr[0], lapics[1].acknowledge()], [true, -1], "LINT0 is INTR now");
  assertEquals(lapic.setApicBase(0xfee00900n), true);
  assertEquals([rd(Reg.SVR), intr[0]], [0xff, false]);
  wr(Reg.SVR, 0x1ff);
  assertEquals(rd(Reg.SVR), 0x1ff);
});

Deno.test("lapic: MSI writes, by devices to any destination and to the page's first bytes", () => {
  const { space, on, drain } = machine(2);
  on(-1, () => space.write(0xfee01000, 4, 0x0041));
  assertEquals([drain(0), drain(1)], [[], [0x41]]);
  on(-1, () => space.write(0xfee00000, 4, 0x4042));
  on(1, () => space.write(0xfee00000, 4, 0x4052));
  assertEquals([drain(0), drain(1)], [[0x52], []]);
  on(-1, () => space.write(0xfeeff000, 4, 0x0066));
  assertEquals([drain(0), drain(1)], [[0x66], [0x66]]);
});

Deno.test("lapic: registers are a KVM_GET_LAPIC page in the memory given", () => {
  const { wr, lapics } = machine(2);
  wr(Reg.TPR, 0x70, 1);
  const state = lapics[1].save() as Uint8Array;
  const view = new DataView(state.buffer, state.byteOffset);
  assertEquals(view.getUint32(Reg.TPR, true), 0x70);
  assertEquals(view.getUint32(Reg.ID, true), 0x01000000);
});

Deno.test("lapic: save and load bring timer, requests and pins back", () => {
  const { wr, clock, lapic, drain, intr, events } = machine();
  wr(Reg.TIMER_DIVIDE, 0xb);
  wr(Reg.LVT_TIMER, 0x40);
  wr(Reg.TIMER_INITIAL, 50_000);
  wr(Reg.ICR_LOW, 0x44050);
  clock.advance(10_000);
  const saved = lapic.save();
  lapic.reset();
  assertEquals(intr[0], false);
  clock.advance(10_000);
  lapic.load(saved);
  assertEquals(drain(), [0x50]);
  wr(Reg.EOI, 0);
  clock.advance(29_999);
  assertEquals(drain(), []);
  clock.advance(1);
  assertEquals(drain(), [0x40]);
  assertEquals(events(), []);
});

Deno.test("a guest ends interrupts by its flag, or by a write when another one waits", () => {
  const m = machine(), { lapic, rd } = m, ISR = Reg.ISR + 0x10, ISR4 = Reg.ISR + 0x20;
  let flag = 0;
  lapic.eoiFlag = {
    arm: () => (flag = 1) === 1,
    ended: () => flag === 0,
    disarm: () => flag = 0,
  };
  const take = (vector: number, level = false) => {
    lapic.accept(0, vector, level);
    assertEquals(lapic.acknowledge(), vector);
  };
  // Alone and by edge: the flag tells that no write is needed.
  take(0x31);
  assertEquals(flag, 1);
  flag = 0;
  assertEquals(rd(ISR), 0);
  // Another one comes first: the flag goes, and the write that follows ends the first.
  take(0x31);
  lapic.accept(0, 0x32, false);
  assertEquals([flag, m.intr[0]], [0, false]);
  m.wr(Reg.EOI, 0);
  assertEquals([rd(ISR), m.intr[0]], [0, true]);
  assertEquals(lapic.acknowledge(), 0x32);
  // A higher one inside: its flag ends it, and the write of the outer one ends that.
  assertEquals(flag, 1);
  take(0x45);
  assertEquals(flag, 1);
  flag = 0;
  m.wr(Reg.EOI, 0);
  assertEquals([rd(ISR), rd(ISR4)], [0, 0]);
  // I/O APICs have to know of the end of a level.
  take(0x33, true);
  assertEquals(flag, 0);
  m.wr(Reg.EOI, 0);
  // A guest that writes all the same.
  take(0x34);
  m.wr(Reg.EOI, 0);
  assertEquals([flag, rd(ISR)], [0, 0]);
  // What is saved has the interrupt in service, and nothing in guest memory.
  take(0x35);
  const saved = lapic.save();
  assertEquals(flag, 0);
  lapic.load(saved);
  assertEquals(rd(ISR), 1 << 0x15);
});
