import { assert, assertEquals } from "@std/assert";
import { ManualClock } from "../../core/clock.ts";
import { readOps, writeOps } from "../../core/memory/address_space.ts";
import { Hpet } from "./hpet.ts";

function setup(routes?: number) {
  const clock = new ManualClock();
  const events: string[] = [], levels: boolean[] = new Array(24).fill(false);
  const lines = levels.map((_, gsi) => ({
    set: (l: boolean) => {
      if (l && !levels[gsi]) events.push(`${gsi}@${clock.now()}`);
      levels[gsi] = l;
    },
  }));
  const legacy: boolean[] = [];
  const hpet = new Hpet({ clock, lines, routes, onLegacy: (on) => legacy.push(on) });
  return {
    clock,
    hpet,
    levels,
    legacy,
    rd: (at: number) => readOps(hpet.region.ops, at, 4),
    wr: (at: number, v: number) => writeOps(hpet.region.ops, at, 4, v),
    /** Rising edges since the last call, as GSI@ns. */
    events: () => events.splice(0),
  };
}

Deno.test("hpet: registers after reset are those QEMU 7.2 shows (xp /8wx 0xfed00100)", () => {
  const { rd } = setup();
  assertEquals([rd(0x00), rd(0x04)], [0x8086a201, 0x00989680]);
  for (const at of [0x10, 0x14, 0x20, 0xf0, 0xf4]) assertEquals(rd(at), 0);
  for (const at of [0x100, 0x120, 0x140]) {
    assertEquals([rd(at), rd(at + 4)], [0x30, 4]);
    assertEquals([rd(at + 8), rd(at + 12)], [0xffffffff, 0xffffffff]);
  }
  assertEquals([rd(0x160), rd(0x3fc), rd(0x110)], [0, 0, 0]);
});

Deno.test("hpet: the main counter counts 10 ns ticks while enabled and can be set while not", () => {
  const { rd, wr, clock } = setup();
  clock.advance(12345);
  assertEquals(rd(0xf0), 0);
  wr(0xf0, 0xfffffff0);
  wr(0xf4, 7);
  wr(0x10, 1);
  clock.advance(154);
  assertEquals([rd(0xf0), rd(0xf4)], [0xffffffff, 7]);
  clock.advance(10);
  assertEquals([rd(0xf0), rd(0xf4)], [0, 8]);
  wr(0xf0, 55);
  assertEquals(rd(0xf0), 0, "not while it runs");
  wr(0x10, 0);
  clock.advance(1000);
  assertEquals([rd(0xf0), rd(0xf4)], [0, 8]);
});

Deno.test("hpet: one-shot, edge, in I/O APIC routing", () => {
  const { wr, clock, events, rd } = setup();
  wr(0x140, 2 << 9 | 4);
  assertEquals(rd(0x140), 2 << 9 | 0x34);
  wr(0x148, 1000);
  wr(0x14c, 0);
  wr(0x10, 1);
  clock.advance(1e6);
  assertEquals(events(), ["2@10000"]);
});

Deno.test("hpet: a route outside Tn_INT_ROUTE_CAP does not stick", () => {
  const { wr, rd } = setup(0xff0104);
  wr(0x100, 23 << 9);
  wr(0x100, 5 << 9);
  assertEquals([rd(0x100), rd(0x104)], [23 << 9 | 0x30, 0xff0104]);
});

Deno.test("hpet: legacy replacement, periodic timer 0 set up as Linux does", () => {
  const { wr, rd, clock, events, legacy } = setup();
  wr(0x10, 3);
  assertEquals(legacy, [true]);
  wr(0x100, 0x4 | 0x8 | 0x40 | 0x100);
  wr(0x108, 100_000); // first match
  wr(0x108, 50_000); // period
  clock.advance(2_000_000);
  assertEquals(events(), ["0@1000000", "0@1500000", "0@2000000"]);
  assertEquals(rd(0x108), 250_000, "the comparator shows the next match");
});

Deno.test("hpet: timer 1 stands in for the RTC; PIT and RTC are cut off and come back", () => {
  const { wr, hpet, clock, events, levels, legacy } = setup();
  const pit = hpet.legacyInput("pit"), rtc = hpet.legacyInput("rtc");
  pit.set(true);
  assertEquals(events(), ["0@0"]);
  wr(0x10, 3);
  assertEquals(levels[0], false);
  pit.set(false);
  pit.set(true);
  rtc.set(true);
  assertEquals(events(), []);
  wr(0x120, 4);
  wr(0x128, 500);
  wr(0x12c, 0);
  clock.advance(10_000);
  assertEquals(events(), ["8@5000"]);
  wr(0x10, 1);
  assertEquals([events(), legacy], [["0@10000", "8@10000"], [true, false]]);
});

Deno.test("hpet: level mode holds its line until the status bit is cleared", () => {
  const { wr, rd, clock, levels } = setup();
  wr(0x100, 2 << 9 | 2 | 4);
  wr(0x108, 100);
  wr(0x10c, 0);
  wr(0x10, 1);
  clock.advance(999);
  assertEquals([levels[2], rd(0x20)], [false, 0]);
  clock.advance(1);
  assertEquals([levels[2], rd(0x20)], [true, 1]);
  wr(0x20, 6);
  assertEquals(levels[2], true, "other bits");
  wr(0x20, 1);
  assertEquals([levels[2], rd(0x20)], [false, 0]);
});

Deno.test("hpet: without INT_ENB a level timer still sets its status bit", () => {
  const { wr, rd, clock, levels } = setup();
  wr(0x100, 2 << 9 | 2);
  wr(0x108, 100);
  wr(0x10c, 0);
  wr(0x10, 1);
  clock.advance(1000);
  assertEquals([rd(0x20), levels[2]], [1, false]);
  wr(0x100, 2 << 9 | 2 | 4);
  assertEquals(levels[2], true);
  wr(0x10, 0);
  assertEquals(levels[2], false, "ENABLE_CNF gates every interrupt");
});

Deno.test("hpet: a 32-bit timer compares the low half and comes round", () => {
  const { wr, clock, events } = setup();
  wr(0xf4, 5);
  wr(0x140, 2 << 9 | 4 | 0x100);
  wr(0x148, 200);
  wr(0x14c, 9); // no upper half in 32-bit mode
  wr(0x10, 1);
  clock.advance(50e9);
  assertEquals(events(), ["2@2000", `2@${2000 + 2 ** 32 * 10}`]);
});

Deno.test("hpet: a comparator written just too late fires at once; an old one waits", () => {
  const { wr, clock, events } = setup();
  wr(0x10, 1);
  clock.advance(10_000);
  wr(0x140, 2 << 9 | 4);
  wr(0x148, 1005);
  clock.advance(100);
  assertEquals(events(), [], "the upper half is still all ones");
  wr(0x148, 1015);
  wr(0x14c, 0);
  clock.advance(200);
  wr(0x148, 1018);
  clock.advance(100);
  assertEquals(events(), ["2@10150", "2@10300"]);
  wr(0x140, 2 << 9);
  wr(0x140, 2 << 9 | 4);
  clock.advance(1e9);
  assertEquals(events(), []);
});

Deno.test("hpet: tiny periods neither hang nor flood", () => {
  const { wr, clock, events } = setup();
  wr(0x10, 1);
  wr(0x140, 2 << 9 | 0x14c);
  wr(0x148, 1);
  wr(0x148, 1);
  clock.advance(1e6);
  const n = events().length;
  assert(n >= 99 && n <= 101, `${n} in 1 ms`);
});

Deno.test("hpet: reset stops everything; save and load carry on", () => {
  const { wr, rd, hpet, clock, events, legacy, levels } = setup();
  wr(0x10, 3);
  wr(0x100, 0x14c);
  wr(0x108, 1000);
  wr(0x108, 1000);
  clock.advance(15_000);
  const saved = hpet.save();
  hpet.legacyInput("pit").set(true);
  hpet.reset();
  assertEquals([rd(0x10), rd(0x100), rd(0xf0), levels[0]], [0, 0x30, 0, true]);
  assertEquals(legacy, [true, false]);
  hpet.legacyInput("pit").set(false);
  events();
  clock.advance(1000);
  hpet.load(saved);
  clock.advance(5000);
  assertEquals([events(), rd(0xf0)], [["0@20000"], 2100]);
});
