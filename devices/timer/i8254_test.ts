import { assert, assertEquals } from "@std/assert";
import { ManualClock } from "../../core/clock.ts";
import { readOps, writeOps } from "../../core/memory/address_space.ts";
import { I8254, PIT_HZ, pitTicks, pitTime } from "./i8254.ts";

function setup() {
  const clock = new ManualClock();
  const edges: number[] = [];
  let irq = false;
  const pit = new I8254(clock, {
    set: (l) => {
      if (l && !irq) edges.push(pitTicks(clock.now()));
      irq = l;
    },
  });
  const outb = (at: number, v: number) => writeOps(pit.ports.ops, at, 1, v);
  const inb = (at: number) => readOps(pit.ports.ops, at, 1);
  const tick = () => pitTicks(clock.now());
  edges.length = 0;
  return {
    pit,
    clock,
    outb,
    inb,
    tick,
    irq: () => irq,
    edges: () => edges.splice(0),
    /** Advances by whole clock pulses. */
    pulses: (n: number) => clock.advance(pitTime(tick() + n) - clock.now()),
    /** Programs channel `n` with an LSB/MSB count. */
    program: (n: number, mode: number, count: number, bcd = 0) => {
      outb(3, n << 6 | 0x30 | mode << 1 | bcd);
      outb(n, count & 0xff);
      outb(n, count >> 8);
    },
    /** Latches and reads channel `n`. */
    count: (n: number) => {
      outb(3, n << 6);
      return inb(n) | inb(n) << 8;
    },
    status: (n: number) => {
      outb(3, 0xe0 | 2 << n);
      return inb(n);
    },
  };
}

type Pit = ReturnType<typeof setup>;

/** OUT of channel 2 at each of the next `n` pulses, as H and L. */
function wave(p: Pit, n: number): string {
  let s = "";
  for (let i = 0; i < n; i++) {
    p.pulses(1);
    s += p.pit.output(2) ? "H" : "L";
  }
  return s;
}

Deno.test("i8254: ticks and times are exact and each other's inverse", () => {
  assertEquals(pitTicks(1e9), PIT_HZ);
  assertEquals(pitTicks(3600e9), 3600 * PIT_HZ);
  assertEquals([pitTicks(838), pitTicks(839)], [0, 1]);
  for (const t of [1, 2, 65536, 1193181, 1193183, 86400 * 100 * PIT_HZ + 12345]) {
    assertEquals([pitTicks(pitTime(t)), pitTicks(pitTime(t) - 1)], [t, t - 1]);
  }
});

Deno.test("i8254 mode 0: OUT rises N+1 pulses after the count is written", () => {
  const p = setup();
  p.pit.setGate(2, true);
  p.program(2, 0, 4);
  assertEquals(p.pit.output(2), false);
  assertEquals(wave(p, 7), "LLLLHHH");
  p.outb(2, 3); // the first byte of a new count lowers OUT and stops the counter
  assertEquals(wave(p, 3), "LLL");
  p.outb(2, 0);
  assertEquals(wave(p, 5), "LLLHH");
});

Deno.test("i8254 mode 0: a low gate suspends counting", () => {
  const p = setup();
  p.pit.setGate(2, true);
  p.program(2, 0, 10);
  p.pulses(4);
  assertEquals(p.count(2), 7);
  p.pit.setGate(2, false);
  p.pulses(100);
  assertEquals(p.count(2), 7);
  p.pit.setGate(2, true);
  assertEquals(wave(p, 8), "LLLLLLHH");
  p.pulses(1);
  assertEquals(p.count(2), 0xfffe, "the counter wraps and goes on");
});

Deno.test("i8254 mode 1: hardware retriggerable one-shot", () => {
  const p = setup();
  p.program(2, 1, 3);
  assertEquals(wave(p, 5), "HHHHH");
  p.pit.setGate(2, true);
  assertEquals([p.pit.output(2), wave(p, 5)], [true, "LLLHH"]);
  p.pit.setGate(2, false);
  p.pit.setGate(2, true);
  assertEquals(wave(p, 2), "LL");
  p.pit.setGate(2, false);
  p.pit.setGate(2, true);
  assertEquals(wave(p, 5), "LLLHH", "retriggered: the pulse is extended");
});

Deno.test("i8254 mode 1: a new count waits for the next trigger", () => {
  const p = setup();
  p.program(2, 1, 2);
  p.pit.setGate(2, true);
  p.pulses(1);
  p.outb(2, 4);
  p.outb(2, 0);
  assertEquals(p.status(2) & 0x40, 0x40, "null count");
  assertEquals(wave(p, 3), "LHH");
  p.pit.setGate(2, false);
  p.pit.setGate(2, true);
  assertEquals(wave(p, 6), "LLLLHH");
  assertEquals(p.status(2) & 0x40, 0);
});

Deno.test("i8254 mode 2: low for the last of every N pulses", () => {
  const p = setup();
  p.pit.setGate(2, true);
  p.program(2, 2, 4);
  assertEquals(wave(p, 9), "HHHLHHHLH");
  assertEquals(p.count(2), 4);
  p.pulses(3);
  assertEquals(p.count(2), 1);
});

Deno.test("i8254 mode 2: a new count begins with the next period, the gate reloads", () => {
  const p = setup();
  p.pit.setGate(2, true);
  p.program(2, 2, 5);
  p.pulses(2);
  p.outb(2, 3);
  p.outb(2, 0);
  assertEquals(wave(p, 9), "HHLHHLHHL");
  p.pit.setGate(2, false);
  assertEquals(wave(p, 3), "HHH");
  p.pit.setGate(2, true);
  assertEquals(wave(p, 4), "HHLH");
});

Deno.test("i8254 mode 3: even and odd square waves", () => {
  const p = setup();
  p.pit.setGate(2, true);
  p.program(2, 3, 4);
  assertEquals(wave(p, 9), "HHLLHHLLH");
  p.program(2, 3, 5);
  assertEquals(wave(p, 11), "HHHLLHHHLLH");
});

Deno.test("i8254 mode 3: counts by two, odd counts from N-1", () => {
  const p = setup();
  p.pit.setGate(2, true);
  const read = (n: number) => {
    const got: number[] = [];
    for (let i = 0; i < n; i++) {
      p.pulses(1);
      got.push(p.count(2));
    }
    return got;
  };
  p.program(2, 3, 4);
  assertEquals(read(6), [4, 2, 4, 2, 4, 2]);
  p.program(2, 3, 5);
  assertEquals(read(10), [4, 2, 0, 4, 2, 4, 2, 0, 4, 2]);
});

Deno.test("i8254 mode 3: a new count takes effect at the end of the half, the gate stops high", () => {
  const p = setup();
  p.pit.setGate(2, true);
  p.program(2, 3, 4);
  p.pulses(1);
  p.outb(2, 8);
  p.outb(2, 0);
  assertEquals(wave(p, 10), "HLLLLHHHHL");
  p.pit.setGate(2, false);
  assertEquals(wave(p, 3), "HHH");
  p.pit.setGate(2, true);
  assertEquals(wave(p, 6), "HHHHLL");
});

Deno.test("i8254 modes 4 and 5: one low pulse, by software and by trigger", () => {
  const p = setup();
  p.pit.setGate(2, true);
  p.program(2, 4, 3);
  assertEquals(wave(p, 6), "HHHLHH");
  p.pit.setGate(2, false);
  p.program(2, 5, 3);
  assertEquals(wave(p, 6), "HHHHHH");
  p.pit.setGate(2, true);
  assertEquals(wave(p, 6), "HHHLHH");
});

Deno.test("i8254: BCD counts decimal digits, 0 means 10000", () => {
  const p = setup();
  p.pit.setGate(2, true);
  p.program(2, 0, 0x1000, 1);
  p.pulses(2);
  assertEquals(p.count(2), 0x0999);
  p.program(2, 2, 0, 1);
  p.pulses(1);
  assertEquals(p.count(2), 0);
  p.pulses(1);
  assertEquals(p.count(2), 0x9999);
  p.program(2, 0, 0xffff, 1); // no decimal digits: harmless
  p.pulses(5);
  assert(p.count(2) <= 0x9999);
});

Deno.test("i8254: LSB-only and MSB-only access", () => {
  const p = setup();
  p.pit.setGate(2, true);
  p.outb(3, 0x90); // channel 2, LSB only, mode 0
  p.outb(2, 0x20);
  p.pulses(1);
  assertEquals([p.inb(2), p.inb(2)], [0x20, 0x20]);
  p.outb(3, 0xa0); // MSB only
  p.outb(2, 0x03);
  p.pulses(1);
  assertEquals([p.inb(2), p.inb(2)], [0x03, 0x03]);
  p.pulses(1);
  assertEquals(p.inb(2), 0x02);
});

Deno.test("i8254: a latched count stays until it is read; unlatched reads are live", () => {
  const p = setup();
  p.pit.setGate(2, true);
  p.program(2, 2, 0x1234);
  p.pulses(1);
  p.outb(3, 0x80);
  p.pulses(0x34);
  p.outb(3, 0x80);
  assertEquals([p.inb(2), p.inb(2)], [0x34, 0x12]);
  assertEquals([p.inb(2), p.inb(2)], [0x00, 0x12]);
});

Deno.test("i8254: read-back latches status first, then count, of several channels", () => {
  const p = setup();
  p.pit.setGate(2, true);
  p.program(2, 2, 100);
  p.program(1, 0, 50);
  p.pulses(1);
  p.outb(3, 0xc0 | 0x0c);
  assertEquals(p.inb(2), 0x80 | 0x30 | 2 << 1);
  assertEquals([p.inb(2), p.inb(2)], [100, 0]);
  assertEquals(p.inb(1), 0x30);
  assertEquals([p.inb(1), p.inb(1)], [50, 0]);
  p.outb(3, 0xb7); // channel 2, mode 3, BCD, no count yet
  assertEquals(p.status(2), 0x80 | 0x40 | 0x30 | 3 << 1 | 1);
});

Deno.test("i8254: mode bits 6 and 7 are modes 2 and 3", () => {
  const p = setup();
  p.pit.setGate(2, true);
  p.program(2, 6, 4);
  assertEquals(wave(p, 5), "HHHLH");
  assertEquals(p.status(2) & 0x0e, 6 << 1);
});

Deno.test("i8254: channel 0 interrupts at exact ticks in modes 0, 2 and 3", () => {
  const p = setup();
  p.pulses(10);
  p.program(0, 2, 1000);
  p.edges();
  p.pulses(3500);
  assertEquals(p.edges(), [1011, 2011, 3011]);
  p.program(0, 3, 101);
  const t = p.tick();
  p.edges();
  p.pulses(350);
  assertEquals(p.edges(), [t + 102, t + 203, t + 304]);
  p.program(0, 0, 20);
  const u = p.tick();
  assertEquals(p.irq(), false);
  p.edges();
  p.pulses(100);
  assertEquals([p.edges(), p.irq()], [[u + 21], true]);
});

Deno.test("i8254: the power-on rate is 18.2 Hz", () => {
  const p = setup();
  p.clock.advance(10e9);
  assertEquals(p.edges().length, 182);
});

Deno.test("i8254: tiny counts neither hang nor flood", () => {
  const p = setup();
  for (const m of [0, 1, 2, 3, 4, 5]) {
    for (const count of [1, 2, 3]) {
      p.program(0, m, count);
      p.edges();
      p.clock.advance(1e6);
      assert(p.edges().length <= 101);
    }
  }
});

Deno.test("i8254: silenced for the HPET, channel 0 keeps counting", () => {
  const p = setup();
  p.program(0, 2, 1000);
  p.pit.setIrqEnabled(false);
  assertEquals(p.irq(), false);
  p.edges();
  p.pulses(2501);
  assertEquals([p.edges(), p.count(0)], [[], 500]);
  p.pit.setIrqEnabled(true);
  p.edges();
  p.pulses(500);
  assertEquals(p.edges(), [p.tick()]);
});

Deno.test("i8254: frequency of the speaker's channel", () => {
  const p = setup();
  p.program(2, 3, 1193);
  assertEquals(p.pit.frequency(2), 0, "gate low");
  p.pit.setGate(2, true);
  assertEquals(Math.round(p.pit.frequency(2)), 1000);
});

Deno.test("i8254: save and load, reset", () => {
  const p = setup();
  p.program(0, 2, 1000);
  p.pulses(500);
  const saved = p.pit.save();
  p.pit.reset();
  assertEquals(p.status(0) & 0x3f, 0x36);
  p.pit.load(saved);
  p.edges();
  p.pulses(501);
  assertEquals(p.edges(), [p.tick()]);
  assertEquals(p.count(0), 1000);
});
