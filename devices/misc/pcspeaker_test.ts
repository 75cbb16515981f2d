import { assertEquals } from "@std/assert";
import { ManualClock } from "../../core/clock.ts";
import { NO_IRQ } from "../../core/device.ts";
import { readOps, writeOps } from "../../core/memory/address_space.ts";
import { I8254, pitTime } from "../timer/i8254.ts";
import { PcSpeaker } from "./pcspeaker.ts";

function setup() {
  const clock = new ManualClock(), pit = new I8254(clock, NO_IRQ), tones: number[] = [];
  const speaker = new PcSpeaker(pit, clock, { tone: (hz) => tones.push(Math.round(hz)) });
  return {
    clock,
    pit,
    speaker,
    tones,
    inb: () => readOps(speaker.port.ops, 0, 1),
    outb: (v: number) => writeOps(speaker.port.ops, 0, 1, v),
    pitOut: (at: number, v: number) => writeOps(pit.ports.ops, at, 1, v),
  };
}

Deno.test("pcspk: the gate lets channel 2 run, its output is bit 5", () => {
  const { clock, inb, outb, pitOut } = setup();
  pitOut(3, 0xb0);
  pitOut(2, 100);
  pitOut(2, 0);
  clock.advance(1e6);
  assertEquals(inb() & 0x23, 0x00);
  outb(0x01);
  clock.advance(pitTime(101));
  assertEquals(inb() & 0x23, 0x21);
});

Deno.test("pcspk: the refresh bit toggles about every 15 µs", () => {
  const { clock, inb } = setup();
  let toggles = 0, last = inb() & 0x10;
  for (let i = 0; i < 1000; i++) {
    clock.advance(1000);
    const now = inb() & 0x10;
    if (now !== last) toggles++;
    last = now;
  }
  assertEquals(toggles, 66); // 1 ms / 15.085 µs
});

Deno.test("pcspk: only bits 0 to 3 are kept", () => {
  const { inb, outb } = setup();
  outb(0xfc);
  assertEquals(inb() & 0xcf, 0x0c);
});

Deno.test("pcspk: tones reach the back end on each change", () => {
  const { outb, pitOut, tones, speaker } = setup();
  pitOut(3, 0xb6);
  pitOut(2, 1193 & 0xff);
  pitOut(2, 1193 >> 8);
  outb(0x03);
  pitOut(2, 2386 & 0xff);
  pitOut(2, 2386 >> 8);
  outb(0x01);
  outb(0x03);
  speaker.reset();
  assertEquals(tones, [1000, 500, 0, 500, 0]);
});

Deno.test("pcspk: save and load restore gate and tone", () => {
  const { outb, pitOut, pit, tones, speaker } = setup();
  pitOut(3, 0xb6);
  pitOut(2, 1193 & 0xff);
  pitOut(2, 1193 >> 8);
  outb(0x03);
  const saved = speaker.save();
  speaker.reset();
  speaker.load(saved);
  assertEquals([pit.gate(2), tones], [true, [1000, 0, 1000]]);
});
