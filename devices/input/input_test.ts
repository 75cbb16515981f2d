import { assertEquals } from "@std/assert";
import { irqLine } from "../../core/device.ts";
import { type Key, KEY_NUMBERS, KEYS } from "../../core/display/keys.ts";
import { I8042 } from "./i8042.ts";
import { Ps2Keyboard } from "./ps2_keyboard.ts";
import { Ps2Mouse } from "./ps2_mouse.ts";
import { SCANCODES, translateSet2 } from "./scancodes.ts";

function rig() {
  const keyboard = new Ps2Keyboard(), mouse = new Ps2Mouse(), log: string[] = [];
  const line = (name: string) => irqLine((level) => log.push(`${level ? "+" : "-"}${name}`));
  const c = new I8042({
    keyboard,
    mouse,
    irq1: line("irq1"),
    irq12: line("irq12"),
    a20: line("a20"),
    onReset: () => log.push("reset"),
  });
  const status = () => c.commandPort.ops.read(0, 1);
  const read = () => c.dataPort.ops.read(0, 1);
  const data = (...bytes: number[]) => bytes.forEach((b) => c.dataPort.ops.write(0, 1, b));
  const command = (b: number, ...bytes: number[]) => {
    c.commandPort.ops.write(0, 1, b);
    data(...bytes);
  };
  /** Everything the output buffer gives, in hex; `m` before bytes of the mouse. */
  const drain = () => {
    const out: string[] = [];
    while (status() & 1) out.push((status() & 0x20 ? "m" : "") + read().toString(16));
    return out.join(" ");
  };
  const aux = (...bytes: number[]) =>
    bytes.map((b) => {
      command(0xd4, b);
      return drain();
    }).join(" ");
  const stroke = (key: Key) => {
    keyboard.keyEvent(key, true);
    const down = drain();
    keyboard.keyEvent(key, false);
    return `${down}/${drain()}`;
  };
  return { keyboard, mouse, c, log, status, read, data, command, drain, aux, stroke };
}

/** What QEMU 7.2.22 sends for some keys: translated, set 2, set 3 (recorded from `sendkey`). */
const QEMU: [Key, string, string, string][] = [
  ["a", "1e/9e", "1c/f0 1c", "1c/f0 1c"],
  ["f7", "41/c1", "83/f0 83", "37/f0 37"],
  ["alt_r", "e0 38/e0 b8", "e0 11/e0 f0 11", "39/f0 39"],
  ["left", "e0 4b/e0 cb", "e0 6b/e0 f0 6b", "61/f0 61"],
  ["kp_enter", "e0 1c/e0 9c", "e0 5a/e0 f0 5a", "79/f0 79"],
  ["backslash", "2b/ab", "5d/f0 5d", "5c/f0 5c"],
  ["print", "e0 2a e0 37/e0 b7 e0 aa", "e0 12 e0 7c/e0 f0 7c e0 f0 12", "57/f0 57"],
  ["pause", "e1 1d 45 e1 9d c5/", "e1 14 77 e1 f0 14 f0 77/", "62/f0 62"],
  ["katakanahiragana", "70/f0", "13/f0 13", "87/f0 87"],
  ["power", "e0 5e/e0 de", "e0 37/e0 f0 37", "/"],
  ["menu", "/", "/", "91/f0 91"],
];

Deno.test("scancodes of all three sets are those QEMU sends", () => {
  const r = rig();
  for (const [key, translated, set2, set3] of QEMU) {
    r.command(0x60, 0x61);
    r.data(0xff);
    r.drain();
    assertEquals(r.stroke(key), translated, key);
    r.command(0x60, 0x20);
    assertEquals(r.stroke(key), set2, key);
    r.data(0xf0);
    r.drain();
    r.data(3);
    r.drain();
    assertEquals(r.stroke(key), set3, key);
  }
});

Deno.test("Print with Alt is SysRq, Pause with Ctrl is Break", () => {
  const r = rig();
  r.command(0x60, 0x61);
  const held = (modifier: Key, key: Key) => {
    r.keyboard.keyEvent(modifier, true);
    r.drain();
    const s = r.stroke(key);
    r.keyboard.keyEvent(modifier, false);
    r.drain();
    return s;
  };
  assertEquals(held("shift", "print"), "e0 37/e0 b7");
  assertEquals(held("ctrl_r", "print"), "e0 37/e0 b7");
  assertEquals(held("alt", "print"), "b8 38 54/d4 b8 38");
  assertEquals(held("alt_r", "sysrq"), "e0 b8 e0 38 54/d4 e0 b8 e0 38");
  assertEquals(held("ctrl", "pause"), "e0 46 e0 c6/");
  assertEquals(held("alt", "pause"), "e1 1d 45 e1 9d c5/");
});

Deno.test("translating set 2 gives set 1 for every key, and key numbers are set 1", () => {
  for (const key of KEYS) {
    const [set1, set2] = SCANCODES[key];
    if (set2 !== 0) assertEquals(translateSet2(set2 & 0xff), set1 & 0xff, key);
    if (["print", "sysrq", "pause"].includes(key)) continue;
    assertEquals(KEY_NUMBERS[key], set1 & 0x7f | (set1 > 0xff ? 0x80 : 0), key);
  }
});

Deno.test("8042: self tests, command byte, RAM, ports", () => {
  const r = rig();
  assertEquals(r.status(), 0x18);
  r.command(0xaa);
  assertEquals([r.status(), r.drain()], [0x1d, "55"]);
  r.command(0xab);
  assertEquals(r.drain(), "0");
  r.command(0xa9);
  assertEquals(r.drain(), "0");
  r.command(0x20);
  assertEquals(r.drain(), "3");
  r.command(0x60, 0x47);
  r.command(0x20);
  assertEquals(r.drain(), "47");
  r.command(0x6a, 0x5a);
  r.command(0x2a);
  assertEquals(r.drain(), "5a");
  r.command(0xc0);
  assertEquals(r.drain(), "80");
  r.command(0xa7);
  r.command(0x20);
  assertEquals(r.drain(), "67", "port disable bits show in the command byte");
  r.command(0xd0);
  assertEquals(r.drain(), "cf");
  r.command(0xd3, 0x77);
  assertEquals([r.status() & 0x20, r.drain()], [0x20, "m77"]);
});

Deno.test("8042: A20 and reset", () => {
  const r = rig();
  r.c.reset();
  r.log.length = 0;
  r.command(0xd1, 0xcd);
  r.command(0xdf);
  r.command(0xdd);
  r.command(0xd1, 0xcf);
  r.command(0xd1, 0xce);
  r.command(0xfe);
  r.command(0xff);
  r.command(0xf1);
  assertEquals(r.log, ["-a20", "+a20", "-a20", "+a20", "reset", "reset"]);
});

Deno.test("8042: one edge per byte, on the right line, if enabled", () => {
  const r = rig();
  r.command(0x60, 0x43);
  r.keyboard.keyEvent("left", true);
  assertEquals(r.log, ["+irq1"]);
  r.read();
  assertEquals(r.log, ["+irq1", "-irq1", "+irq1"]);
  r.read();
  r.log.length = 0;
  r.command(0xd4, 0xf4);
  assertEquals(r.log, ["+irq12"]);
  r.drain();
  r.log.length = 0;
  r.command(0x60, 0x40);
  r.keyboard.keyEvent("a", true);
  assertEquals([r.log.length, r.drain()], [0, "1e"]);
});

Deno.test("8042: a disabled port keeps its data, a command opens it again", () => {
  const r = rig();
  r.command(0x60, 0x41);
  r.command(0xad);
  r.keyboard.keyEvent("a", true);
  assertEquals(r.drain(), "");
  r.command(0xae);
  assertEquals(r.drain(), "1e");
  r.command(0xad);
  r.data(0xee);
  assertEquals(r.drain(), "ee");
});

Deno.test("keyboard commands: id, echo, LEDs, scancode set, resend, unknown", () => {
  const r = rig(), leds: number[] = [];
  r.keyboard.onLeds = (l) => leds.push(l);
  const send = (...b: number[]) =>
    b.map((x) => {
      r.data(x);
      return r.drain();
    }).join(" ");
  assertEquals(send(0xff), "fa aa");
  assertEquals(send(0xf2), "fa ab 83");
  r.command(0x60, 0x41);
  assertEquals(send(0xf2), "fa ab 41", "the 8042 translates the id as well");
  r.command(0x60, 0x01);
  assertEquals(send(0xee), "ee");
  assertEquals(send(0xed, 5), "fa fa");
  assertEquals(leds.at(-1), 5);
  assertEquals(send(0xf0, 0), "fa fa 2");
  assertEquals(send(0xf0, 3, 0xf0, 0), "fa fa fa fa 3");
  assertEquals(send(0xfe), "3");
  assertEquals(send(0xf0, 4), "fa fe");
  assertEquals(send(0x12), "fe");
  assertEquals(send(0xf3, 0x20), "fa fa");
  assertEquals(send(0xf5), "fa");
  assertEquals(r.stroke("a"), "/", "scanning is off");
  assertEquals(send(0xf4), "fa");
  assertEquals(r.stroke("a"), "1c/f0 1c");
});

Deno.test("keyboard queue: 16 bytes, whole keys are dropped, replies still fit", () => {
  const r = rig();
  r.command(0x60, 0x10);
  for (let i = 0; i < 20; i++) r.keyboard.keyEvent("left", true);
  r.command(0x60, 0x00);
  assertEquals(r.drain(), new Array(8).fill("e0 6b").join(" "));
});

Deno.test("mouse: packets as QEMU sends them", () => {
  const r = rig();
  r.command(0x60, 0x02);
  assertEquals(r.aux(0xff), "mfa maa m0");
  assertEquals(r.aux(0xe9), "mfa m0 m2 m64");
  r.mouse.move(9, 9, 0);
  assertEquals(r.drain(), "", "not enabled");
  assertEquals(r.aux(0xf4), "mfa");
  r.mouse.move(5, 3, 0);
  assertEquals(r.drain(), "m28 m5 mfd");
  r.mouse.move(-5, -300, 0);
  assertEquals(r.drain(), "m18 mfb m7f m8 m0 m7f m8 m0 m2e");
  r.mouse.buttons(1);
  r.mouse.buttons(2);
  r.mouse.buttons(4);
  r.mouse.buttons(0);
  assertEquals(r.drain(), "m9 m0 m0 ma m0 m0 mc m0 m0 m8 m0 m0");
  r.mouse.move(0, 0, 1);
  assertEquals(r.drain(), "", "no wheel");
});

Deno.test("mouse: wheel and Explorer protocols by their knocks", () => {
  const r = rig();
  r.command(0x60, 0x02);
  assertEquals(r.aux(0xf2), "mfa m0");
  r.aux(0xf3, 200, 0xf3, 100, 0xf3, 80);
  assertEquals(r.aux(0xf2), "mfa m3");
  r.aux(0xf4);
  r.mouse.move(5, 3, 1);
  assertEquals(r.drain(), "m28 m5 mfd mff");
  r.aux(0xf3, 200, 0xf3, 200, 0xf3, 80);
  assertEquals(r.aux(0xf2), "mfa m4");
  r.mouse.move(0, 0, 10);
  assertEquals(r.drain(), "m8 m0 m0 m9 m8 m0 m0 md");
  r.mouse.buttons(0x18);
  assertEquals(r.drain(), "m8 m0 m0 m30");
  assertEquals(r.aux(0xff, 0xf2), "mfa maa m0 mfa m0");
});

Deno.test("mouse: remote, wrap, scaling, resolution, status, resend", () => {
  const r = rig();
  r.command(0x60, 0x02);
  r.aux(0xf0, 0xf4);
  r.mouse.move(7, 0, 0);
  assertEquals(r.drain(), "");
  assertEquals(r.aux(0xeb), "mfa m8 m7 m0");
  assertEquals(r.aux(0xfe), "m8 m7 m0");
  assertEquals(r.aux(0xee, 0x12, 0xf4, 0xec), "mfa m12 mf4 mfa");
  assertEquals(r.aux(0xea, 0xe8, 3, 0xe7), "mfa mfa mfa mfa");
  r.mouse.buttons(1);
  r.drain();
  assertEquals(r.aux(0xe9), "mfa m34 m3 m64");
  r.mouse.move(3, 0, 0);
  r.mouse.move(20, 0, 0);
  assertEquals(r.drain(), "m9 m3 m0 m9 m28 m0");
  assertEquals(r.aux(0xf5), "mfa");
  r.mouse.move(1, 1, 0);
  assertEquals(r.drain(), "");
});

Deno.test("mouse: a slow guest gets all movement, in few packets", () => {
  const r = rig();
  r.command(0x60, 0x02);
  r.aux(0xf4);
  for (let i = 0; i < 100; i++) r.mouse.move(2, 0, 0);
  const dx = r.drain().split(" ").filter((_, i) => i % 3 === 1).map((x) =>
    parseInt(x.slice(1), 16)
  );
  assertEquals(dx.reduce((a, b) => a + b, 0), 200);
  assertEquals(dx.length < 12, true);
});

Deno.test("keyboard and controller states survive save and load", () => {
  const a = rig(), b = rig();
  a.command(0x60, 0x41);
  a.keyboard.keyEvent("left", true);
  a.mouse.send(0xf4);
  b.keyboard.load(a.keyboard.save());
  b.mouse.load(a.mouse.save());
  b.c.load(a.c.save());
  assertEquals(b.drain(), a.drain());
  b.mouse.move(1, 0, 0);
  assertEquals(b.drain(), "m8 m1 m0");
});

Deno.test("hostile bytes on both ports neither throw nor loop", () => {
  const r = rig();
  let seed = 1;
  const random = () => (seed = Math.imul(seed, 1664525) + 1013904223 >>> 0) >>> 24;
  for (let i = 0; i < 20000; i++) {
    if (random() & 1) r.data(random());
    else r.command(random());
    if (random() & 1) r.read();
    if (random() < 20) r.keyboard.keyEvent("pause", true);
    if (random() < 20) r.mouse.move(random() - 128, random() - 128, 1);
  }
  const { replies } = r.c.state;
  assertEquals(replies.length <= 16, true);
});
