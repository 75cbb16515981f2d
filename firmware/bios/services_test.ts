import { assert, assertEquals } from "@std/assert";
import { BaseChardev } from "../../core/chardev/base.ts";
import type { ChardevOptions } from "../../core/chardev/options.ts";
import { Flag } from "./frame.ts";
import { keymap } from "./keymap.ts";
import { Bda, Private, PRIVATE_BASE } from "./layout.ts";
import { BiosRig, type Registers } from "./rig.ts";
import { TICKS_PER_DAY } from "./timer.ts";

type KeyName = Parameters<BiosRig["pc"]["board"]["keyboard"]["keyEvent"]>[0];

function type(r: BiosRig, ...keys: KeyName[]): void {
  for (const key of keys) {
    r.pc.board.keyboard.keyEvent(key, true);
    r.tick();
    r.pc.board.keyboard.keyEvent(key, false);
    r.tick();
  }
}

/** With a modifier held. */
function chord(r: BiosRig, modifier: KeyName, key: KeyName): void {
  r.pc.board.keyboard.keyEvent(modifier, true);
  r.tick();
  type(r, key);
  r.pc.board.keyboard.keyEvent(modifier, false);
  r.tick();
}

const key = (r: BiosRig, ah = 0) => r.call(0x16, { ax: ah << 8 }).ax;

Deno.test("INT 16h: keys typed come back as IBM's table has them", () => {
  const r = new BiosRig().post();
  type(r, "a", "esc", "f1", "ret");
  chord(r, "shift", "a");
  chord(r, "ctrl", "c");
  chord(r, "alt", "x");
  chord(r, "shift", "1");
  assertEquals(
    Array.from({ length: 8 }, () => key(r)),
    [0x1e61, 0x011b, 0x3b00, 0x1c0d, 0x1e41, 0x2e03, 0x2d00, 0x0221],
  );
});

Deno.test("INT 16h/10h shows the grey keys' E0, 00h hides it and F11", () => {
  const r = new BiosRig().post();
  type(r, "up", "up", "kp_enter");
  assertEquals([key(r, 0x10), key(r), key(r, 0x10)], [0x48e0, 0x4800, 0xe00d]);
  type(r, "f11", "b");
  assertEquals(key(r, 0x00), 0x3062);
  type(r, "f11");
  assertEquals(key(r, 0x10), 0x8500);
});

Deno.test("INT 16h/01h: ZF without a key, the key stays; 02h and 12h: shift states", () => {
  const r = new BiosRig().post();
  const none = r.call(0x16, { ax: 0x0100 });
  assert(none.zero);
  type(r, "z");
  const some = r.call(0x16, { ax: 0x0100, flags: Flag.ZF });
  assertEquals([some.zero, some.ax], [false, 0x2c7a]);
  assertEquals(key(r), 0x2c7a);
  r.pc.board.keyboard.keyEvent("ctrl_r", true);
  r.tick();
  type(r, "caps_lock");
  assertEquals(r.call(0x16, { ax: 0x0200 }).al, 0x44);
  assertEquals(r.call(0x16, { ax: 0x1200 }).ax, 0x0444);
  r.pc.board.keyboard.keyEvent("ctrl_r", false);
  r.tick();
  type(r, "a");
  assertEquals(key(r), 0x1e41);
});

Deno.test("INT 16h/00h waits for the keyboard's interrupt", () => {
  const r = new BiosRig().post();
  const timer = r.pc.clock.timer(() => r.pc.board.keyboard.keyEvent("q", true));
  timer.arm(r.pc.clock.now() + 200_000_000);
  assertEquals(r.call(0x16, { ax: 0 }).ax, 0x1071);
});

/** A terminal that sends as fast as it is let. */
class Terminal extends BaseChardev {
  readonly filename = "terminal";
  constructor() {
    super({ id: "serial0", backend: "null" } as ChardevOptions);
  }
  protected transmit(): void {}
  type(text: string): void {
    void this.input(new TextEncoder().encode(text));
  }
}

Deno.test("a pasted text arrives whole by the mirrored serial port, sequences too", () => {
  const terminal = new Terminal();
  const r = new BiosRig({ serials: [terminal], nographic: true }).post();
  const text = "echo a line that is longer than FIFO and key buffer together\r";
  terminal.type(text + "\x1b[A\x1b[B".repeat(12) + "x");
  const got = Array.from({ length: text.length }, () => String.fromCharCode(key(r) & 0xff));
  assertEquals(got.join(""), text);
  const arrows = Array.from({ length: 24 }, () => key(r));
  assertEquals(arrows, Array.from({ length: 12 }, () => [0x4800, 0x5000]).flat());
  assertEquals(key(r) & 0xff, "x".charCodeAt(0));
});

Deno.test("INT 16h/05h stuffs keys until the buffer is full", () => {
  const r = new BiosRig().post();
  let stored = 0;
  while (r.call(0x16, { ax: 0x0500, cx: 0x4100 + stored }).al === 0) stored++;
  assertEquals(stored, 15);
  assertEquals([key(r), key(r)], [0x4100, 0x4101]);
});

Deno.test("Ctrl-Alt-Del asks for a reset and marks it warm", () => {
  const r = new BiosRig().post();
  r.pc.board.keyboard.keyEvent("ctrl", true);
  r.tick();
  chord(r, "alt", "delete");
  assertEquals(r.read16(Bda.resetFlag), 0x1234);
  assert(r.pc.events.includes("guest-reset"), r.pc.events.join());
});

Deno.test("the key table has no holes in the main block", () => {
  for (let scan = 1; scan <= 0x39; scan++) {
    const modifier = [0x1d, 0x2a, 0x36, 0x38].includes(scan);
    assertEquals(keymap.has(scan), !modifier, scan.toString(16));
  }
});

Deno.test("INT 08h counts 18.2 ticks a second and marks midnight", () => {
  const r = new BiosRig().post();
  r.call(0x1a, { ax: 0x0100, cx: 0, dx: 100 });
  for (let n = 0; n < 200; n++) {
    r.pc.clock.advance(10_000_000);
    r.tick();
  }
  const t = r.call(0x1a, { ax: 0 });
  assert(t.dx >= 135 && t.dx <= 137, `${t.dx}`);
  const last = TICKS_PER_DAY - 1;
  r.call(0x1a, { ax: 0x0100, cx: last >>> 16, dx: last & 0xffff });
  r.call(0x08);
  const midnight = r.call(0x1a, { ax: 0 });
  assertEquals([midnight.cx, midnight.dx, midnight.al], [0, 0, 1]);
  assertEquals(r.call(0x1a, { ax: 0 }).al, 0);
});

Deno.test("INT 1Ah/02h and 04h: the clock in BCD", () => {
  const r = new BiosRig().post(); // 1 January 2020, and what POST took
  const d = r.call(0x1a, { ax: 0x0400, flags: 1 });
  assertEquals([d.ch, d.cl, d.dh, d.dl, d.carry], [0x20, 0x20, 0x01, 0x01, false]);
  r.call(0x1a, { ax: 0x0300, cx: 0x2359, dx: 0x5800 });
  const t = r.call(0x1a, { ax: 0x0200 });
  assertEquals([t.ch, t.cl], [0x23, 0x59]);
});

Deno.test("INT 15h/86h waits as long as it is told", () => {
  const r = new BiosRig().post();
  const start = r.pc.clock.now();
  const c = r.call(0x15, { ax: 0x8600, cx: 1, dx: 0xe848, flags: 1 }); // 124 ms
  assertEquals(c.carry, false);
  const ms = (r.pc.clock.now() - start) / 1e6;
  assert(ms >= 110 && ms <= 160, `${ms}`);
});

Deno.test("INT 15h: memory sizes by E820h, E801h, 88h and INT 12h", () => {
  const r = new BiosRig().post(); // 32 MiB, 128 KiB of it reserved
  assertEquals(r.call(0x12).ax, 639);
  const e801 = r.call(0x15, { ax: 0xe801 });
  assertEquals([e801.ax, e801.bx], [0x3c00, (32 - 16) * 16 - 2]);
  assertEquals(r.call(0x15, { ax: 0x8800 }).ax, 31 * 1024 - 128);
  const ranges: number[][] = [];
  let ebx = 0;
  do {
    const c = r.call(0x15, { ax: 0xe820, ebx, ecx: 24, edx: 0x534d4150, di: 0x8000 });
    assertEquals([c.carry, c.eax, c.ecx], [false, 0x534d4150, 20]);
    ranges.push([r.read32(0x8000), r.read32(0x8008), r.read32(0x8010)]);
    ebx = c.ebx;
  } while (ebx !== 0);
  assertEquals(ranges.length, 6);
  assertEquals(ranges[3], [0x100000, 0x1ee0000, 1]);
  assert(r.call(0x15, { ax: 0xe820, ebx: 6, ecx: 20, edx: 0x534d4150 }).carry);
  assertEquals(r.call(0x15, { ax: 0x2402 }).al, 1);
  const c0 = r.call(0x15, { ax: 0xc000 });
  assertEquals([c0.es, c0.bx, c0.ah], [0xf000, 0xe6f5, 0]);
  assertEquals(r.mem.read(0xfe6f5 + 2, 1), 0xfc);
  assertEquals(r.call(0x15, { ax: 0x5300, flags: 0 }).carry, true);
});

Deno.test("INT 15h/87h moves blocks above 1 MiB", () => {
  const r = new BiosRig().post();
  const descriptor = (at: number, base: number) => {
    r.mem.write(at, 2, 0xffff);
    r.mem.write(at + 2, 2, base & 0xffff);
    r.mem.write(at + 4, 1, (base >> 16) & 0xff);
    r.mem.write(at + 7, 1, base >>> 24);
  };
  descriptor(0x3010, 0x20000);
  descriptor(0x3018, 0x1234568);
  r.mem.write(0x20000, 4, 0x11223344);
  r.mem.write(0x20004, 2, 0x5566);
  const c = r.call(0x15, { ax: 0x8700, cx: 3, si: 0x3000, flags: 1 });
  assertEquals([c.ah, c.carry], [0, false]);
  assertEquals([r.read32(0x1234568), r.read16(0x123456c)], [0x11223344, 0x5566]);
});

Deno.test("INT 15h/C2h: the mouse's packets reach the program's handler", () => {
  const r = new BiosRig().post();
  const seen: number[][] = [];
  r.onCall = (c) => seen.push([0, 1, 2, 3].map((n) => c.arg(n)));
  assertEquals(r.call(0x15, { ax: 0xc205, bx: 0x0300 }).ah, 0);
  assertEquals(r.call(0x15, { ax: 0xc207, bx: 0x1234, es: 0x2000 }).ah, 0);
  assertEquals(r.call(0x15, { ax: 0xc200, bx: 0x0100 }).ah, 0);
  r.pc.board.mouse.move(5, -3, 0);
  for (let n = 0; n < 10; n++) {
    r.pc.clock.advance(10_000_000);
    r.tick();
  }
  assertEquals(r.calls.filter((c) => c !== "int 1c"), ["2000:1234"]);
  // Y counts upwards on a PS/2 mouse.
  assertEquals(seen, [[0x08, 5, 3, 0]]);
});

Deno.test("INT 1Ah/B1h: the PCI BIOS finds and reads", () => {
  const r = new BiosRig({ vga: "std" }).post();
  const present = r.call(0x1a, { ax: 0xb101 });
  assertEquals([present.ah, present.edx, present.bx], [0, 0x20494350, 0x0210]);
  const find = (regs: Registers) => r.call(0x1a, regs);
  const vga = find({ ax: 0xb102, cx: 0x1111, dx: 0x1234, si: 0 });
  assertEquals([vga.ah, vga.bx, vga.carry], [0, 2 << 3, false]);
  assertEquals(find({ ax: 0xb102, cx: 0x1111, dx: 0x1234, si: 1 }).ah, 0x86);
  assertEquals(find({ ax: 0xb102, cx: 0x1111, dx: 0xffff }).ah, 0x83);
  assertEquals(r.call(0x1a, { ax: 0xb109, bx: 2 << 3, di: 2 }).cx, 0x1111);
  assertEquals(r.call(0x1a, { ax: 0xb109, bx: 2 << 3, di: 3 }).ah, 0x87);
  r.call(0x1a, { ax: 0xb10b, bx: 2 << 3, di: 0x3c, cx: 0x55 });
  assertEquals(r.call(0x1a, { ax: 0xb108, bx: 2 << 3, di: 0x3c }).cl, 0x55);
  assertEquals(r.call(0x1a, { ax: 0xb17f }).ah, 0x81);
});

Deno.test("an interrupt nobody wants is acknowledged and masked", () => {
  const r = new BiosRig().post();
  r.pc.outb(0x21, r.pc.inb(0x21) & ~0x80);
  const line = r.pc.board.irqs.line(7);
  line.set(true);
  r.tick();
  line.set(false);
  assertEquals(r.pc.inb(0x21) & 0x80, 0x80);
  r.pc.outb(0x20, 0x0b);
  assertEquals(r.pc.inb(0x20), 0);
});

Deno.test("no service throws or hangs, whatever its registers", () => {
  const r = new BiosRig().post();
  const values = [0, 1, 0x7fff, 0xffff, 0x55aa];
  for (const n of [0x11, 0x12, 0x14, 0x15, 0x16, 0x17, 0x1a, 0x40]) {
    for (let ah = 0; ah < 256; ah += n === 0x15 || n === 0x1a ? 1 : 3) {
      if (n === 0x16 && (ah & 0xef) === 0) continue; // waits for a key, as it should
      if (n === 0x15 && ah === 0x86) continue;
      const v = values[(ah + n) % values.length];
      r.call(n, { ax: (ah << 8) | (v & 0xff), bx: v, cx: v, dx: v, si: v, di: v, es: v, ds: v });
    }
  }
  assertEquals(r.read16(PRIVATE_BASE + Private.e820Count) > 3, true);
});
