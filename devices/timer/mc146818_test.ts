import { assert, assertEquals } from "@std/assert";
import { ManualClock } from "../../core/clock.ts";
import { readOps, writeOps } from "../../core/memory/address_space.ts";
import { Mc146818 } from "./mc146818.ts";

function setup(at = Date.UTC(2023, 11, 31, 23, 59, 58), slew = false) {
  const clock = new ManualClock(at);
  let irq = false, rises = 0;
  const rtc = new Mc146818(clock, {
    set: (l) => {
      if (l && !irq) rises++;
      irq = l;
    },
  }, { slew });
  const get = (reg: number) => {
    writeOps(rtc.ports.ops, 0, 1, reg);
    return readOps(rtc.ports.ops, 1, 1);
  };
  const set = (reg: number, v: number) => {
    writeOps(rtc.ports.ops, 0, 1, reg);
    writeOps(rtc.ports.ops, 1, 1, v);
  };
  return {
    rtc,
    clock,
    get,
    set,
    irq: () => irq,
    rises: () => rises,
    /** year, month, date, hours, minutes, seconds, as they stand in the registers */
    time: () => [0x32, 9, 8, 7, 4, 2, 0].map((r) => get(r).toString(16)).join(" "),
    ms: (n: number) => clock.advance(n * 1e6),
  };
}

Deno.test("rtc: power-on registers and the running calendar", () => {
  const { get, time, ms } = setup();
  assertEquals([get(0x0a), get(0x0b), get(0x0c), get(0x0d)], [0x26, 0x02, 0, 0x80]);
  assertEquals(time(), "20 23 12 31 23 59 58");
  assertEquals(get(6), 1, "a Sunday");
  ms(1999);
  assertEquals(time(), "20 23 12 31 23 59 59");
  ms(1);
  assertEquals(time(), "20 24 1 1 0 0 0");
  assertEquals(get(6), 2);
});

Deno.test("rtc: port 70h reads FFh and its bit 7 is the NMI mask", () => {
  const { rtc, get } = setup();
  const masks: boolean[] = [];
  rtc.onNmiMask = (m) => masks.push(m);
  writeOps(rtc.ports.ops, 0, 1, 0x8d);
  assertEquals(readOps(rtc.ports.ops, 1, 1), 0x80);
  assertEquals(readOps(rtc.ports.ops, 0, 1), 0xff);
  get(0);
  assertEquals(masks, [true, false]);
});

Deno.test("rtc: binary and 12-hour formats", () => {
  const { get, set, ms } = setup();
  set(0x0b, 0x06);
  assertEquals([get(9), get(7), get(4), get(2), get(0x32)], [23, 31, 23, 59, 20]);
  set(0x0b, 0x00);
  assertEquals(get(4), 0x91, "11 pm");
  ms(2000);
  assertEquals(get(4), 0x12, "midnight is 12 am");
  ms(12 * 3600_000);
  assertEquals(get(4), 0x92, "noon is 12 pm");
  set(0x0b, 0x04);
  assertEquals(get(4), 0x8c);
});

Deno.test("rtc: SET freezes the registers; clearing it starts from what was written", () => {
  const { get, set, time, ms, rtc } = setup();
  ms(300);
  set(0x0b, 0x82);
  ms(5000);
  assertEquals(time(), "20 23 12 31 23 59 58");
  for (const [r, v] of [[0x32, 0x19], [9, 0x99], [8, 2], [7, 0x28], [4, 0x23], [2, 0x59]]) {
    set(r, v);
  }
  set(0, 0x59);
  assertEquals(get(0x0a) & 0x80, 0);
  set(0x0b, 0x02);
  assertEquals(time(), "19 99 2 28 23 59 59");
  ms(699);
  assertEquals(time(), "19 99 2 28 23 59 59");
  ms(1);
  assertEquals(time(), "19 99 3 1 0 0 0");
  assertEquals(rtc.seconds, Date.UTC(1999, 2, 1) / 1000);
});

Deno.test("rtc: registers can be set while it runs; the weekday is the guest's own", () => {
  const { get, set, time, ms } = setup();
  set(9, 0x40);
  set(0x37, 0x21); // the PS/2 alias of the century
  assertEquals([time(), get(0x37)], ["21 40 12 31 23 59 58", 0x21]);
  set(6, 7);
  ms(2000);
  assertEquals([get(6), get(7)], [1, 1]);
});

Deno.test("rtc: values that are no date do no harm", () => {
  const { set, get, ms, rtc } = setup();
  for (let r = 0; r < 10; r++) set(r, 0xff);
  set(0x32, 0xff);
  ms(3000);
  assert(Number.isFinite(rtc.seconds));
  for (let r = 0; r < 10; r++) assert(get(r) <= 0xff);
});

Deno.test("rtc: UIP rises 2.2 ms before each update", () => {
  const { get, clock, ms, set } = setup();
  clock.advance(997_771_999);
  assertEquals(get(0x0a), 0x26);
  clock.advance(1);
  assertEquals(get(0x0a), 0xa6);
  clock.advance(2_227_999);
  assertEquals([get(0x0a), get(0)], [0xa6, 0x58]);
  clock.advance(1);
  assertEquals([get(0x0a), get(0)], [0x26, 0x59]);
  ms(999);
  set(0x0b, 0x82);
  assertEquals(get(0x0a), 0x26, "SET stops updates");
});

Deno.test("rtc: the update-ended interrupt; reading C acknowledges", () => {
  const { get, set, ms, irq, rises } = setup(Date.UTC(2024, 5, 1, 12));
  ms(1500);
  assertEquals([get(0x0c) & 0x10, irq()], [0x10, false], "the flag needs no enable");
  set(0x0b, 0x12);
  ms(499);
  assertEquals(irq(), false);
  ms(1);
  assertEquals([irq(), get(0x0c), irq(), get(0x0c)], [true, 0xd0, false, 0x00]);
  ms(3000);
  assertEquals(rises(), 2, "unacknowledged, it stays high");
  set(0x0b, 0x92);
  assertEquals(get(0x0b), 0x82, "SET clears UIE");
});

Deno.test("rtc: periodic rates of table 5", () => {
  const hz = [0, 256, 128, 8192, 4096, 2048, 1024, 512, 256, 128, 64, 32, 16, 8, 4, 2];
  for (let rs = 0; rs < 16; rs++) {
    const { get, set, clock, rises } = setup();
    set(0x0a, 0x20 | rs);
    set(0x0b, 0x42);
    get(0x0c);
    const before = rises();
    for (let i = 0; i < 1000; i++) {
      clock.advance(61_035 - (i & 1)); // faster than half the highest rate
      if (rises() > 0) get(0x0c);
    }
    const expected = hz[rs] * 61_034.5e-6;
    assert(Math.abs(rises() - before - expected) <= 1, `RS ${rs}: ${rises()} of ${expected}`);
  }
});

Deno.test("rtc: lost_tick_policy=slew brings missed ticks back as they are acknowledged", () => {
  for (const slew of [false, true]) {
    const { get, set, ms, rises } = setup(0, slew);
    set(0x0a, 0x26); // 1024 Hz
    set(0x0b, 0x42);
    get(0x0c);
    ms(10); // ten ticks, none read
    assertEquals(rises(), 1);
    for (let i = 0; i < 30; i++) get(0x0c);
    assertEquals(rises(), slew ? 10 : 1);
  }
});

Deno.test("rtc: slewing brings back 20 interrupts a tick, and converts what it owes", () => {
  const { get, set, ms, rises } = setup(0, true);
  set(0x0a, 0x26);
  set(0x0b, 0x42);
  get(0x0c);
  ms(100); // 102 ticks, 101 of them missed
  for (let i = 0; i < 50; i++) get(0x0c);
  assertEquals(rises(), 21);
  set(0x0a, 0x27); // 512 Hz: 81 missed become 40
  ms(2);
  for (let i = 0; i < 50; i++) get(0x0c);
  ms(2);
  for (let i = 0; i < 50; i++) get(0x0c);
  ms(2);
  for (let i = 0; i < 50; i++) get(0x0c);
  assertEquals(rises(), 21 + 3 + 40);
  set(0x0b, 0x02);
  set(0x0b, 0x42);
  ms(2);
  get(0x0c);
  get(0x0c);
  assertEquals(rises(), 21 + 3 + 40 + 1, "and then as usual");
});

Deno.test("rtc: enabling an interrupt whose flag is up raises the line", () => {
  const { get, set, ms, irq } = setup();
  ms(100);
  assertEquals(irq(), false);
  set(0x0b, 0x42);
  assertEquals([irq(), get(0x0c) & 0xc0], [true, 0xc0]);
});

Deno.test("rtc: the alarm, exact and with don't-care bytes", () => {
  const { get, set, ms, irq } = setup();
  const alarm = (h: number, m: number, s: number) => {
    set(5, h);
    set(3, m);
    set(1, s);
    get(0x0c);
  };
  set(0x0b, 0x22);
  alarm(0x00, 0x00, 0x01);
  ms(2999);
  assertEquals(irq(), false);
  ms(1);
  assertEquals([irq(), get(0x0c) & 0xb0], [true, 0xb0]);
  alarm(0xc0, 0xff, 0x30); // half past every minute
  ms(28_999);
  assertEquals(irq(), false);
  ms(1);
  assertEquals(irq(), true);
  get(0x0c);
  ms(60_000);
  assertEquals(irq(), true);
  alarm(0xff, 0xff, 0xff); // every second
  ms(1000);
  assertEquals(irq(), true);
});

Deno.test("rtc: an alarm in 12-hour format", () => {
  const { get, set, ms, irq } = setup(Date.UTC(2024, 0, 1, 12, 59, 59));
  set(0x0b, 0x20);
  set(5, 0x81); // 1 pm
  set(3, 0);
  set(1, 0);
  get(0x0c);
  ms(1000);
  assertEquals([get(4), irq()], [0x81, true]);
});

Deno.test("rtc: a stopped divider holds the time; the first update comes after half a second", () => {
  const { get, set, ms } = setup();
  set(0x0a, 0x76);
  ms(3000);
  assertEquals(get(0), 0x58);
  set(0x0a, 0x26);
  ms(499);
  assertEquals(get(0), 0x58);
  ms(1);
  assertEquals(get(0), 0x59);
});

Deno.test("rtc: CMOS RAM keeps what board and guest put there, over a reset too", () => {
  const { rtc, get, set, irq, ms } = setup();
  rtc.setCmos(0x15, 0x80);
  set(0x7f, 0x5a);
  set(0x0d, 0x00);
  set(0x0b, 0x72);
  ms(1000);
  assertEquals(irq(), true);
  rtc.reset();
  assertEquals([get(0x15), get(0x7f), get(0x0d)], [0x80, 0x5a, 0x80]);
  assertEquals([get(0x0b), get(0x0c), irq()], [0x02, 0, false]);
  assertEquals([rtc.cmos(0x15), rtc.cmos(0), get(0)], [0x80, 0x59, 0x59]);
});

Deno.test("rtc: a jump of the wall clock is followed, with the guest's offset", () => {
  const { clock, rtc, get, set } = setup();
  set(9, 0x33);
  let jump = 0;
  const wall = clock.wallTime.bind(clock);
  clock.wallTime = () => wall() + jump;
  const before = rtc.seconds, offsets: number[] = [];
  rtc.onTimeSet = (o) => offsets.push(o);
  jump = 3600_500;
  assertEquals(rtc.seconds, before + 3600);
  assertEquals([get(9), get(4)], [0x34, 0x00]);
  set(9, 0x24);
  assertEquals(offsets, [0], "back to the wall's year");
});

Deno.test("rtc: save and load", () => {
  const { clock, rtc, get, set, ms, irq } = setup();
  set(9, 0x30);
  set(0x0b, 0x12);
  ms(200);
  const saved = rtc.save();
  set(9, 0x50);
  set(0x0b, 0x02);
  rtc.load(saved);
  assertEquals(get(9), 0x30);
  clock.advance(800e6);
  assertEquals(irq(), true);
});
