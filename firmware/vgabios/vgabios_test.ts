import { assert, assertEquals } from "@std/assert";
import { ManualClock } from "../../core/clock.ts";
import { screenText } from "../../core/display/cp437.ts";
import { AddressSpace } from "../../core/memory/address_space.ts";
import { GuestMemory } from "../../core/memory/guest_memory.ts";
import { ramRegion } from "../../core/memory/region.ts";
import { PciBus } from "../../devices/chipset/pci.ts";
import { PciHostConfig } from "../../devices/chipset/pci_host.ts";
import { PciVga } from "../../devices/display/vga_pci.ts";
import { FrameContext } from "../bios/frame.ts";
import { makeFont } from "./font.ts";
import { ROM } from "./layout.ts";
import { MODE_NUMBERS } from "./modes.ts";
import { RECORDED } from "./recorded_modes.ts";
import { makeVgaRom } from "./rom.ts";
import { initialize, int10 } from "./services.ts";

const NAMES = ["ax", "bx", "cx", "dx", "si", "di", "bp", "es", "ds"] as const;
type Registers = Partial<Record<typeof NAMES[number], number>>;

function rig() {
  const memory = new GuestMemory(20 << 20);
  const mem = new AddressSpace("memory", 2 ** 32, 0xff), io = new AddressSpace("I/O", 65536, 0xff);
  mem.map(ramRegion("pc.ram", memory.allocBlock("pc.ram", 0xa0000)), 0);
  const rom = memory.allocBlock("vga.rom", ROM.size);
  rom.u8.set(makeVgaRom());
  mem.map(ramRegion("vga.rom", rom, { readonly: true }), 0xc0000);
  const bus = new PciBus("pci.0", mem, io, {
    setInterrupt: () => {},
    route: () => 0,
    forwards: () => true,
  });
  io.map(new PciHostConfig(bus).region, 0xcf8);
  const vram = memory.allocBlock("vga.vram", 16 << 20);
  const card = bus.plug(new PciVga({ mem, io, clock: new ManualClock(), vram }), 0x10);
  card.configWrite(0x10, 4, 0xfd000000);
  card.configWrite(4, 2, 3);
  const c = new FrameContext({ mem, io });
  initialize(c);
  const call = (r: Registers) => {
    for (const n of NAMES) c[n] = r[n] ?? 0;
    int10(c);
    return c;
  };
  const bytes = (at: number, n: number) => Array.from({ length: n }, (_, i) => mem.read(at + i, 1));
  const teletype = (text: string, color = 7) => {
    for (const ch of text) call({ ax: 0x0e00 | ch.charCodeAt(0), bx: color });
  };
  const screen = () => screenText(card.text()!).split("\n");
  return { mem, io, card, call, bytes, teletype, screen };
}

type Rig = ReturnType<typeof rig>;

function readIndexed(r: Rig, port: number, count: number): number[] {
  return Array.from({ length: count }, (_, i) => {
    r.io.write(port, 1, i);
    return r.io.read(port + 1, 1);
  });
}

/** Everything a mode set programs, in the order of the recorded rows. */
function registers(r: Rig): string {
  const misc = r.io.read(0x3cc, 1), crtc = misc & 1 ? 0x3d4 : 0x3b4;
  const attr = Array.from({ length: 21 }, (_, i) => {
    r.io.read(crtc + 6, 1);
    r.io.write(0x3c0, 1, i);
    const v = r.io.read(0x3c1, 1);
    r.io.read(crtc + 6, 1);
    r.io.write(0x3c0, 1, 0x20);
    return v;
  });
  const all = [
    misc,
    ...readIndexed(r, 0x3c4, 5),
    ...readIndexed(r, crtc, 0x19),
    ...readIndexed(r, 0x3ce, 9),
    ...attr,
  ];
  return all.map((v) => v.toString(16).padStart(2, "0")).join("");
}

Deno.test("mode sets program what QEMU's VGA BIOS programs, and show its picture sizes", () => {
  const r = rig();
  for (const [mode, size, want] of RECORDED) {
    r.call({ ax: mode });
    assertEquals(registers(r), want, `mode ${mode.toString(16)}`);
    const { width, height } = r.card.surface();
    assertEquals(`${width}x${height}`, size, `mode ${mode.toString(16)}`);
  }
});

Deno.test("mode 3 leaves the BIOS data area as other VGA BIOSes do", () => {
  const r = rig();
  assertEquals(r.bytes(0x449, 5), [3, 80, 0, 0, 0x10]);
  assertEquals(r.bytes(0x460, 5), [7, 6, 0, 0xd4, 3]);
  assertEquals(r.bytes(0x484, 7), [24, 16, 0, 0x60, 0xf9, 0x51, 8]);
  assertEquals(r.mem.read(0x42, 2), 0xc000);
  assertEquals([r.mem.read(4 * 0x43, 2), r.mem.read(4 * 0x43 + 2, 2)], [ROM.font16, 0xc000]);
  r.call({ ax: 0x0092 });
  assertEquals(r.bytes(0x487, 1), [0xe0], "bit 7: memory kept");
  assertEquals([r.call({ ax: 0x0f00 }).ax], [0x5092]);
  assertEquals(r.call({ ax: 0x0012 }).al, 0x20);
  assertEquals(r.call({ ax: 0x0006 }).al, 0x3f);
  assertEquals(r.call({ ax: 0x0003 }).al, 0x30);
  r.call({ ax: 0x0055 });
  assertEquals(r.call({ ax: 0x0f00 }).al, 3, "an unknown mode changes nothing");
});

Deno.test("teletype: control characters, wrapping, scrolling, cursor", () => {
  const r = rig();
  r.teletype("one\r\ntwo\bX\x07!\r\n");
  assertEquals(r.screen().slice(0, 2), ["one", "twX!"]);
  r.teletype("x".repeat(81));
  assertEquals(r.screen().slice(2, 4), ["x".repeat(80), "x"]);
  assertEquals(r.card.text()!.cursor, { row: 3, column: 1 });
  for (let i = 0; i < 30; i++) r.teletype(`\r\nline ${i}`);
  assertEquals(r.screen()[24], "line 29");
  assertEquals(r.screen()[0], "line 5");
  assertEquals(r.card.text()!.cursor, { row: 24, column: 7 });
});

Deno.test("cursor, pages, characters with attributes, scrolling windows", () => {
  const r = rig();
  r.call({ ax: 0x0200, bx: 0x0100, dx: 0x0510 });
  const c = r.call({ ax: 0x0300, bx: 0x0100 });
  assertEquals([c.cx, c.dx], [0x0607, 0x0510]);
  r.call({ ax: 0x0941, bx: 0x011e, cx: 3 });
  r.call({ ax: 0x0a42, bx: 0x0155, cx: 1 });
  assertEquals(r.call({ ax: 0x0800, bx: 0x0100 }).ax, 0x1e42, "0Ah keeps the attribute");
  assertEquals(r.screen()[5], "", "page 0 is shown");
  r.call({ ax: 0x0501 });
  assertEquals(r.screen()[5], " ".repeat(16) + "BAA");
  assertEquals(r.card.text()!.cursor, { row: 5, column: 16 });
  r.call({ ax: 0x0601, bx: 0x2000, cx: 0x0411, dx: 0x0612 });
  assertEquals(r.screen()[4], " ".repeat(17) + "AA");
  assertEquals(r.screen()[5], " ".repeat(16) + "B");
  assertEquals(r.card.text()!.attrs[6 * 80 + 17], 0x20);
  r.call({ ax: 0x0700, bx: 0x0700, cx: 0, dx: 0x184f });
  assertEquals(r.screen().join(""), "");
  r.call({ ax: 0x0100, cx: 0x2000 });
  assertEquals(r.card.text()!.cursor, undefined);
  r.call({ ax: 0x0100, cx: 0x0607 });
  assertEquals(readIndexed(r, 0x3d4, 12).slice(10), [13, 14]);
  r.call({ ax: 0x0100, cx: 0x0007 });
  assertEquals(readIndexed(r, 0x3d4, 12).slice(10), [0, 15]);
});

Deno.test("13h writes strings with one attribute or one each", () => {
  const r = rig();
  [..."Hi\r\nyou"].forEach((ch, i) => r.mem.write(0x2000 + i, 1, ch.charCodeAt(0)));
  r.call({ ax: 0x1301, bx: 0x004f, cx: 7, dx: 0x0302, es: 0x200, bp: 0 });
  assertEquals(r.screen().slice(3, 5), ["  Hi", "you"]);
  assertEquals(r.card.text()!.attrs[3 * 80 + 2], 0x4f);
  assertEquals(r.card.text()!.cursor, { row: 4, column: 3 });
  [0x41, 0x17, 0x42, 0x71].forEach((v, i) => r.mem.write(0x2000 + i, 1, v));
  r.call({ ax: 0x1302, bx: 0, cx: 2, dx: 0, es: 0x200, bp: 0 });
  assertEquals([r.screen()[0], ...r.card.text()!.attrs.subarray(0, 2)], ["AB", 0x17, 0x71]);
  assertEquals(r.card.text()!.cursor, { row: 4, column: 3 }, "AL bit 0 clear: cursor stays");
});

const GRAPHICS: [number, number, number, number][] = [
  [0x04, 320, 200, 3],
  [0x06, 640, 200, 1],
  [0x0d, 320, 200, 15],
  [0x0e, 640, 200, 15],
  [0x10, 640, 350, 15],
  [0x12, 640, 480, 15],
  [0x13, 320, 200, 15],
];

Deno.test("pixels in every graphics mode: written, read back, shown, XORed, clipped", () => {
  const r = rig();
  for (const [mode, width, height, colors] of GRAPHICS) {
    r.call({ ax: mode });
    const points = [[0, 0], [width - 1, 0], [7, height - 1], [width - 1, height - 1], [
      width >> 1,
      height >> 1,
    ]];
    const color = (i: number) => colors - i % Math.min(colors, 2);
    points.forEach(([x, y], i) => r.call({ ax: 0x0c00 | color(i), cx: x, dx: y }));
    points.forEach(([x, y], i) =>
      assertEquals(r.call({ ax: 0x0d00, cx: x, dx: y }).al, color(i), `mode ${mode}`)
    );
    const s = r.card.surface(), zoomY = s.height / height, zoomX = s.width / width;
    assert(s.pixels[0] !== 0, `mode ${mode}: the pixel is on the screen`);
    assertEquals(s.pixels[zoomX * 2], 0);
    assert(s.pixels[s.width * (zoomY * (height - 1)) + zoomX * (width - 1)] !== 0);
    if (mode !== 0x13) {
      r.call({ ax: 0x0c81, cx: 0, dx: 0 });
      assertEquals(r.call({ ax: 0x0d00 }).al, colors ^ 1);
    }
    r.call({ ax: 0x0c01, cx: 0xfff0, dx: 0xffff });
    assertEquals(r.call({ ax: 0x0d00, cx: 0xfff0, dx: 0xffff }).al, 0);
  }
});

Deno.test("characters in every graphics mode are drawn, recognised, XORed away and scrolled", () => {
  const r = rig();
  for (const [mode, width, , colors] of GRAPHICS) {
    r.call({ ax: mode });
    const last = width / 8 - 1;
    for (const char of [0x41, 0xdb, 0x80, 0xe1]) {
      r.call({ ax: 0x0200, dx: 0x0300 | last });
      r.call({ ax: 0x0900 | char, bx: colors & 0x7f, cx: 1 });
      assertEquals(r.call({ ax: 0x0800 }).al, char, `mode ${mode.toString(16)}`);
    }
    r.call({ ax: 0x0602, bx: 0, cx: 0, dx: 0x1800 | last });
    r.call({ ax: 0x0200, dx: 0x0100 | last });
    assertEquals(r.call({ ax: 0x0800 }).al, 0xe1, `mode ${mode.toString(16)} scrolled`);
    if (mode !== 0x13) {
      r.call({ ax: 0x09e1, bx: 0x80 | colors & 0x7f, cx: 1 });
      assertEquals(r.call({ ax: 0x0800 }).al, 0, "XORed with itself");
    }
    r.teletype("\r\nAB", colors & 0x7f);
    r.call({ ax: 0x0200, dx: 0x0201 });
    assertEquals(r.call({ ax: 0x0800 }).al, 0x42);
  }
});

Deno.test("palette: attribute registers, DAC blocks, paging, grey summing", () => {
  const r = rig();
  r.call({ ax: 0x1000, bx: 0x2a05 });
  assertEquals(r.call({ ax: 0x1007, bx: 5 }).bh, 0x2a);
  r.call({ ax: 0x1001, bx: 0x0300 });
  assertEquals(r.call({ ax: 0x1008 }).bh, 3);
  for (let i = 0; i < 17; i++) r.mem.write(0x3000 + i, 1, 16 - i);
  r.call({ ax: 0x1002, es: 0x300, dx: 0 });
  r.call({ ax: 0x1009, es: 0x310, dx: 0 });
  assertEquals(r.bytes(0x3100, 17), r.bytes(0x3000, 17));
  r.call({ ax: 0x1010, bx: 200, cx: 0x0a0b, dx: 0x0900 });
  const c = r.call({ ax: 0x1015, bx: 200 });
  assertEquals([c.dh, c.ch, c.cl], [9, 10, 11]);
  r.call({ ax: 0x1012, bx: 10, cx: 3, es: 0x300, dx: 0 });
  r.call({ ax: 0x1017, bx: 10, cx: 3, es: 0x320, dx: 0 });
  assertEquals(r.bytes(0x3200, 9), [16, 15, 14, 13, 12, 11, 10, 9, 8]);
  r.call({ ax: 0x101b, bx: 200, cx: 1 });
  assertEquals(r.call({ ax: 0x1015, bx: 200 }).dh, 10, "0.30·9 + 0.59·10 + 0.11·11");
  r.call({ ax: 0x1013, bx: 0x0100 });
  r.call({ ax: 0x1013, bx: 0x0901 });
  assertEquals(r.call({ ax: 0x101a }).bx, 0x0901);
  r.call({ ax: 0x1003, bx: 0 });
  assertEquals(registers(r).slice(2 * (40 + 16), 2 * (40 + 17)), "84", "blink off, P5-P4 select");
  r.call({ ax: 0x1018, bx: 0x0f });
  assertEquals(r.call({ ax: 0x1019 }).bl, 0x0f);
});

Deno.test("fonts: 8×8 gives 50 rows, user glyphs, pointers of 1130h", () => {
  const r = rig();
  r.call({ ax: 0x1112, bx: 0 });
  assertEquals([r.card.text()!.rows, r.mem.read(0x484, 1), r.mem.read(0x485, 1)], [50, 49, 8]);
  for (let i = 0; i < 60; i++) r.teletype(`\r\n${i}`);
  assertEquals(r.screen()[49], "59");
  r.call({ ax: 0x1114, bx: 0 });
  assertEquals(r.card.text()!.rows, 25);
  for (let i = 0; i < 16; i++) r.mem.write(0x3000 + i, 1, 0xaa);
  r.call({ ax: 0x1100, bx: 0x1000, cx: 1, dx: 0x41, es: 0x300, bp: 0 });
  assertEquals(r.card.vga.vram.u8[4 * (32 * 0x41 + 15) + 2], 0xaa);
  assertEquals(r.card.vga.vram.u8[4 * (32 * 0x42 + 2) + 2], makeFont(16)[16 * 0x42 + 2]);
  const font = (bh: number) => {
    const c = r.call({ ax: 0x1130, bx: bh << 8 });
    return [c.es, c.bp, c.cx, c.dl];
  };
  assertEquals(font(6), [0xc000, ROM.font16, 16, 24]);
  assertEquals(font(3), [0xc000, ROM.font8, 16, 24]);
  assertEquals(font(0), [0xc000, ROM.font8 + 1024, 16, 24]);
  r.call({ ax: 0x0004 });
  assertEquals(font(1), [0xc000, ROM.font8, 8, 24]);
});

Deno.test("alternate select and display combination answer as QEMU's", () => {
  const r = rig();
  assertEquals(r.call({ ax: 0x1a00 }).bx, 8);
  assertEquals(r.call({ ax: 0x1a00 }).al, 0x1a);
  const c = r.call({ ax: 0x1200, bx: 0x10 });
  assertEquals([c.ax, c.bx, c.cx], [0x1200, 0x0003, 0x0009]);
  assertEquals(r.call({ ax: 0x1200, bx: 0x77 }).ax, 0x1200);
  for (const bl of [0x30, 0x31, 0x32, 0x33, 0x34, 0x36]) {
    assertEquals(r.call({ ax: 0x1200, bx: bl }).al, 0x12);
  }
  r.call({ ax: 0x1200, bx: 0x30 });
  r.call({ ax: 3 });
  assertEquals([r.card.surface().height, r.mem.read(0x485, 1)], [400, 8], "200 lines, doubled");
  r.call({ ax: 0x1201, bx: 0x30 });
  r.call({ ax: 3 });
  assertEquals([r.card.surface().height, r.mem.read(0x485, 1)], [350, 14]);
  r.call({ ax: 0x1b00, es: 0x400, di: 0 });
  assertEquals([r.mem.read(0x4022, 1), r.mem.read(0x4023, 2), r.mem.read(0x402a, 1)], [25, 14, 1]);
});

Deno.test("save and restore: registers, data area and DAC come back", () => {
  const r = rig();
  r.teletype("hello");
  const before = registers(r), bda = r.bytes(0x449, 30);
  const blocks = r.call({ ax: 0x1c00, cx: 7 }).bx;
  assert(blocks >= 13 && blocks <= 16);
  r.call({ ax: 0x1c01, cx: 7, es: 0x500, bx: 0 });
  r.call({ ax: 0x0013 });
  r.call({ ax: 0x1c02, cx: 7, es: 0x500, bx: 0 });
  assertEquals(registers(r), before);
  assertEquals(r.bytes(0x449, 30), bda);
  assertEquals(r.card.state.dac[3 * 63], 63);
});

Deno.test("the ROM: signature, checksum, PCI data structure, fonts", () => {
  const rom = makeVgaRom(), view = new DataView(rom.buffer);
  assertEquals([rom[0], rom[1], rom[2] * 512], [0x55, 0xaa, rom.length]);
  assertEquals(rom.reduce((a, b) => a + b, 0) & 0xff, 0);
  const pci = view.getUint16(0x18, true);
  assertEquals(new TextDecoder().decode(rom.subarray(pci, pci + 4)), "PCIR");
  assertEquals([view.getUint16(pci + 4, true), view.getUint16(pci + 6, true)], [0x1234, 0x1111]);
  assertEquals([...rom.subarray(pci + 0x0d, pci + 0x10)], [0, 0, 3]);
  assertEquals(rom.subarray(ROM.font8, ROM.font8 + 2048), makeFont(8));
});

Deno.test("fonts: every character is drawn, printable ones differ, boxes join", () => {
  for (const height of [8, 14, 16] as const) {
    const font = makeFont(height), glyphs = new Set<string>();
    for (let i = 0; i < 256; i++) {
      const glyph = font.subarray(i * height, (i + 1) * height);
      glyphs.add(glyph.join());
      const blank = [0x00, 0x20, 0xff].includes(i);
      assertEquals(glyph.every((b) => b === 0), blank, `${height}: ${i.toString(16)}`);
    }
    // All different but the three blanks.
    assertEquals(glyphs.size >= 252, true, `${height}: ${glyphs.size}`);
    const row = (char: number, y: number) => font[char * height + y];
    for (const vertical of [0xb3, 0xc3, 0xc5, 0xb4]) {
      assertEquals([row(vertical, 0), row(vertical, height - 1)], [0x18, 0x18]);
    }
    const line = (height >> 1) - 1;
    assertEquals(row(0xc4, line), 0xff);
    for (const right of [0xc0, 0xc3, 0xda]) assertEquals(row(right, line) & 0x1f, 0x1f);
  }
});

Deno.test("all standard modes can be set one after the other", () => {
  const r = rig();
  for (const mode of [...MODE_NUMBERS, ...MODE_NUMBERS.toReversed()]) {
    r.call({ ax: mode });
    assertEquals(r.call({ ax: 0x0f00 }).al, mode);
    const s = r.card.surface();
    assert(s.width >= 320 && s.height >= 200);
  }
});
