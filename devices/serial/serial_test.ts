import { assertEquals } from "@std/assert";
import type { Chardev, ChardevPort } from "../../core/chardev/chardev.ts";
import { ManualClock } from "../../core/clock.ts";
import type { IrqLine } from "../../core/device.ts";
import { ParallelPort } from "./parallel.ts";
import { Uart16550 } from "./uart16550.ts";

function host() {
  const out: number[] = [];
  const params: Parameters<ChardevPort["setParams"]>[0][] = [];
  let accepted = 0;
  const port: ChardevPort = {
    chardev: undefined as unknown as Chardev,
    write: (b) => void out.push(...b),
    acceptInput: () => void accepted++,
    setParams: (p) => void params.push(p),
    detach: () => {},
  };
  return { out, params, port, accepted: () => accepted };
}

function line(): IrqLine & { level: boolean; edges: number } {
  return {
    level: false,
    edges: 0,
    set(l) {
      if (l && !this.level) this.edges++;
      this.level = l;
    },
  };
}

function uart(paced = false) {
  const clock = new ManualClock(), irq = line(), h = host();
  const u = new Uart16550({ clock, irq, paced });
  u.attach(h.port);
  return { clock, irq, h, u };
}

const bytes = (s: string) => new TextEncoder().encode(s);

Deno.test("16550: power-on values of the datasheet's reset table", () => {
  const { u } = uart();
  assertEquals([1, 2, 3, 5, 7].map((r) => u.read(r)), [0, 1, 0, 0x60, 0]);
  u.write(7, 0xa5);
  assertEquals(u.read(7), 0xa5);
});

Deno.test("16550: divisor latch sets the speed", () => {
  const { u, h } = uart();
  u.write(3, 0x83);
  u.write(0, 3);
  u.write(1, 0);
  u.write(3, 0x1f);
  assertEquals(u.read(3), 0x1f);
  assertEquals(h.params.at(-1), { speed: 38400, parity: "E", dataBits: 8, stopBits: 2 });
});

Deno.test("16550: transmits at once; THRE interrupt is cleared by reading IIR", () => {
  const { u, h, irq } = uart();
  u.write(1, 0x02);
  assertEquals([irq.level, u.read(2), irq.level, u.read(2)], [true, 0x02, false, 0x01]);
  u.write(0, 0x41);
  assertEquals([h.out, irq.level, u.read(5)], [[0x41], true, 0x60]);
  u.write(0, 0x42);
  assertEquals([h.out, irq.edges], [[0x41, 0x42], 3]);
  u.write(1, 0);
  assertEquals(irq.level, false);
});

Deno.test("16550: without FIFO one character at a time", () => {
  const { u, h, irq } = uart();
  assertEquals(u.canReceive(), 1);
  u.receive(bytes("a"));
  assertEquals([u.canReceive(), irq.level, u.read(5) & 1], [0, false, 1]);
  u.write(1, 0x01);
  assertEquals([irq.level, u.read(2)], [true, 0x04]);
  const before = h.accepted();
  assertEquals([u.read(0), irq.level, u.read(5) & 1, h.accepted()], [0x61, false, 0, before + 1]);
  assertEquals(u.read(0), 0x61, "RBR keeps its last character");
});

Deno.test("16550: FIFO trigger level, then the time-out interrupt", () => {
  const { u, irq, clock } = uart();
  u.write(3, 0x83);
  u.write(0, 1);
  u.write(1, 0);
  u.write(3, 0x03);
  u.write(2, 0x81); // trigger at 8
  u.write(1, 0x01);
  assertEquals(u.canReceive(), 16);
  u.receive(bytes("1234567"));
  assertEquals([irq.level, u.read(2)], [false, 0xc1]);
  clock.advance(300_000); // under 4 characters of 10 bits at 115200 baud: 347 us
  assertEquals(irq.level, false);
  clock.advance(60_000);
  assertEquals([irq.level, u.read(2)], [true, 0xcc]);
  assertEquals([u.read(0), irq.level], [0x31, false]);
  u.receive(bytes("89"));
  assertEquals([irq.level, u.read(2)], [true, 0xc4]);
  for (const c of "23456789") assertEquals(u.read(0), c.charCodeAt(0));
  assertEquals([u.read(5), irq.level], [0x60, false]);
  clock.advance(1e9);
  assertEquals(irq.level, false);
});

Deno.test("16550: overrun and break are reported once, in the line status", () => {
  const { u, irq } = uart();
  u.write(1, 0x05);
  u.receive(bytes("a"));
  u.receive(bytes("b"));
  assertEquals([u.read(2), u.read(5), u.read(2), u.read(0)], [0x06, 0x63, 0x04, 0x62]);
  u.event("break");
  assertEquals([irq.level, u.read(5), u.read(5), u.read(0)], [true, 0x71, 0x61, 0]);
  u.write(2, 0x01);
  u.receive(bytes("x"));
  u.event("break");
  assertEquals(u.read(5), 0xe1, "the break is not at the head yet");
  u.read(0);
  assertEquals(u.read(5), 0xf1);
});

Deno.test("16550: loopback returns characters and modem outputs (Linux' autoconfig test)", () => {
  const { u, h } = uart();
  u.write(4, 0x1a);
  assertEquals(u.read(6) & 0xf0, 0x90);
  u.write(0, 0x55);
  assertEquals([u.read(0), h.out.length, u.canReceive()], [0x55, 0, 0]);
  u.write(4, 0x1e);
  u.write(4, 0x1a);
  assertEquals(u.read(6), 0x94, "trailing edge of RI");
  u.write(4, 0x00);
  assertEquals(u.read(6), 0xb2);
});

Deno.test("16550: enabling the FIFO empties it, FCR cannot be read back", () => {
  const { u } = uart();
  u.receive(bytes("a"));
  u.write(2, 0xc1);
  assertEquals([u.read(5) & 1, u.read(2)], [0, 0xc1]);
  u.write(2, 0);
  assertEquals(u.read(2), 0x01);
});

Deno.test("16550: paced transmission takes the line's time", () => {
  const { u, h, clock, irq } = uart(true);
  u.write(3, 0x03);
  u.write(2, 0x01);
  u.write(1, 0x02);
  for (const c of bytes("abc")) u.write(0, c);
  assertEquals([h.out, u.read(5)], [[], 0x00]);
  clock.advance(1_100_000); // divisor 12: 9600 baud, 1.04 ms a character
  assertEquals([h.out, u.read(5)], [[0x61], 0x00]);
  const saved = u.save();
  clock.advance(1_050_000);
  assertEquals([h.out.length, u.read(5), irq.level], [2, 0x20, true]);
  clock.advance(1_050_000);
  assertEquals([h.out, u.read(5)], [[0x61, 0x62, 0x63], 0x60]);
  u.load(saved);
  clock.advance(1);
  assertEquals(h.out.length, 4, "a loaded deadline that has passed fires");
});

Deno.test("parallel: strobe sends the byte, acknowledge interrupts", () => {
  const clock = new ManualClock(), irq = line(), h = host();
  const p = new ParallelPort(clock, irq);
  p.attach(h.port);
  assertEquals([p.read(0), p.read(1), p.read(2)], [0xff, 0xd9, 0xcc]);
  p.write(0, 0x41);
  p.write(2, 0x1c);
  p.write(2, 0x1d);
  p.write(2, 0x1c);
  assertEquals([h.out, p.read(1), irq.level], [[0x41], 0x59, false]);
  clock.advance(5000);
  assertEquals([irq.level, p.read(1), irq.level], [true, 0xd9, false]);
});
