import { assertEquals } from "@std/assert";
import { ManualClock } from "../../core/clock.ts";
import { AddressSpace } from "../../core/memory/address_space.ts";
import { GuestMemory } from "../../core/memory/guest_memory.ts";
import { ramRegion } from "../../core/memory/region.ts";
import { PciBus } from "../../devices/chipset/pci.ts";
import { PciHostConfig } from "../../devices/chipset/pci_host.ts";
import { IsaVga } from "../../devices/display/vga_isa.ts";
import { PciVga } from "../../devices/display/vga_pci.ts";
import { FrameContext } from "../bios/frame.ts";
import { initialize, int10 } from "./services.ts";

const NAMES = ["ax", "bx", "cx", "dx", "di", "es"] as const;
type Registers = Partial<Record<typeof NAMES[number], number>>;

function rig(kind: "pci" | "isa" = "pci", megabytes = 16) {
  const memory = new GuestMemory(20 << 20);
  const mem = new AddressSpace("memory", 2 ** 32, 0xff), io = new AddressSpace("I/O", 65536, 0xff);
  mem.map(ramRegion("pc.ram", memory.allocBlock("pc.ram", 0xa0000)), 0);
  const options = {
    mem,
    io,
    clock: new ManualClock(),
    vram: memory.allocBlock("vga.vram", megabytes << 20),
  };
  let card: PciVga | IsaVga;
  if (kind === "pci") {
    const bus = new PciBus("pci.0", mem, io, {
      setInterrupt: () => {},
      route: () => 0,
      forwards: () => true,
    });
    io.map(new PciHostConfig(bus).region, 0xcf8);
    const pci = card = bus.plug(new PciVga(options), 0x10);
    pci.configWrite(0x10, 4, 0xfd000000);
    pci.configWrite(0x18, 4, 0xfebf0000);
    pci.configWrite(4, 2, 3);
  } else card = new IsaVga(options);
  const c = new FrameContext({ mem, io });
  initialize(c);
  const call = (r: Registers) => {
    for (const n of NAMES) c[n] = r[n] ?? 0;
    int10(c);
    return c;
  };
  const hex = (at: number, n: number) =>
    Array.from({ length: n }, (_, i) => mem.read(at + i, 1).toString(16).padStart(2, "0")).join("");
  return { mem, io, card, call, hex };
}

/** VBE modes of Debian's QEMU 7.2.22 with 16 MiB (its vgabios-stdvga), without the standard ones. */
const QEMU_MODES = "100 101 102 103 104 105 106 107 10d 10e 10f 110 111 112 113 114 115 116 117 " +
  "118 119 11a 11b 11c 11d 11e 11f 140 141 142 143 144 145 146 147 148 149 14a 14b 14c 175 176 " +
  "177 178 179 17a 17b 17c 17d 17e 17f 180 181 182 183 184 185 186 187 188 189 18a 18b 18c 18d " +
  "18e 18f 190 191 192 193 194 195 196 197 198 199";

/** Mode information blocks of the same, bytes 16 to 61. */
const QEMU_INFO: [number, string][] = [
  [
    0x101,
    "80028002e001081001080104003201000000000000000000000000fd000000000000800200000000000000000000",
  ],
  [
    0x10d,
    "80024001c8000810010f0106007f01050a05050500010f00000000fd00000000000080020000050a05050500010f",
  ],
  [
    0x112,
    "80078002e001081001180106001001081008080800000000000000fd000000000000800700000810080808000000",
  ],
  [
    0x117,
    "000800040003081001100106000901050b06050500000000000000fd00000000000000080000050b060505000000",
  ],
  [
    0x144,
    "001000040003081001200106000401081008080800081802000000fd000000000000001000000810080808000818",
  ],
];

Deno.test("controller information: signature, version, memory, QEMU's mode list", () => {
  const r = rig();
  r.mem.write(0x2000, 4, 0x32454256);
  const c = r.call({ ax: 0x4f00, es: 0x200, di: 0 });
  assertEquals(c.ax, 0x004f);
  assertEquals(r.hex(0x2000, 6), "564553410003");
  assertEquals(r.mem.read(0x2000 + 18, 2), 256);
  const list = r.mem.read(0x2000 + 16, 2) * 16 + r.mem.read(0x2000 + 14, 2), modes: string[] = [];
  for (let at = list; r.mem.read(at, 2) !== 0xffff; at += 2) {
    modes.push(r.mem.read(at, 2).toString(16));
  }
  assertEquals(modes.join(" "), QEMU_MODES);
});

Deno.test("mode information as QEMU's VGA BIOS gives it", () => {
  const r = rig();
  for (const [mode, want] of QEMU_INFO) {
    assertEquals(r.call({ ax: 0x4f01, cx: mode, es: 0x200, di: 0 }).ax, 0x004f);
    assertEquals(r.mem.read(0x2000, 2), 0x00bb);
    const got = r.hex(0x2000 + 16, want.length / 2);
    // Number of images for VBE 3 banked and linear (bytes 52, 53) is not in QEMU's.
    assertEquals(got.slice(0, 72) + got.slice(76), want.slice(0, 72) + want.slice(76));
  }
  assertEquals(r.call({ ax: 0x4f01, cx: 0x999, es: 0x200 }).ax, 0x014f);
});

Deno.test("modes that do not fit in display memory are not there", () => {
  const r = rig("isa", 2);
  assertEquals(r.call({ ax: 0x4f01, cx: 0x118, es: 0x200 }).ax, 0x014f);
  assertEquals(r.call({ ax: 0x4f02, bx: 0x118 }).ax, 0x014f);
  assertEquals(r.call({ ax: 0x4f01, cx: 0x101, es: 0x200 }).ax, 0x004f);
  assertEquals(r.mem.read(0x2000 + 40, 4), 0xe0000000, "an ISA card's framebuffer");
});

Deno.test("setting modes: banked, linear, kept memory, back to text", () => {
  const r = rig();
  assertEquals(r.call({ ax: 0x4f02, bx: 0x4118 }).ax, 0x004f);
  assertEquals([r.card.surface().width, r.card.surface().height], [1024, 768]);
  assertEquals(r.call({ ax: 0x4f03 }).bx, 0x4118);
  r.mem.write(0xfd000000 + 3 * (1024 * 5 + 7), 4, 0x00ff8040);
  assertEquals(r.card.surface().pixels[1024 * 5 + 7], 0xff8040);
  assertEquals(r.call({ ax: 0x4f05, dx: 1 }).ax, 0x034f, "no banks with the linear framebuffer");
  r.call({ ax: 0x4f02, bx: 0xc118 });
  assertEquals(r.card.surface().pixels[1024 * 5 + 7], 0xff8040);
  r.call({ ax: 0x4f02, bx: 0x0101 });
  assertEquals(r.call({ ax: 0x4f05, dx: 4 }).ax, 0x004f);
  r.mem.write(0xa0000, 1, 1);
  assertEquals(r.card.surface().pixels[4 * 65536], 0x0000a8, "blue in the default palette");
  assertEquals(r.call({ ax: 0x4f05, bx: 0x0100 }).dx, 4);
  assertEquals(r.call({ ax: 0x4f05, dx: 300 }).ax, 0x014f);
  assertEquals(r.call({ ax: 0x4f02, bx: 3 }).ax, 0x004f);
  assertEquals([r.card.text()!.columns, r.call({ ax: 0x4f03 }).bx], [80, 3]);
  assertEquals(r.call({ ax: 0x4f02, bx: 0x1ff }).ax, 0x014f);
  assertEquals(r.call({ ax: 0x4f02, bx: 0x4102 }).ax, 0x014f, "planar has no linear framebuffer");
});

Deno.test("16-colour modes are planar at A0000", () => {
  const r = rig();
  assertEquals(r.call({ ax: 0x4f02, bx: 0x102 }).ax, 0x004f);
  assertEquals([r.card.surface().width, r.card.surface().height], [800, 600]);
  r.io.write(0x3c4, 2, 0x0402); // plane 2: red
  r.mem.write(0xa0000 + 100 * 10 + 1, 1, 0x80);
  assertEquals(r.card.surface().pixels[800 * 10 + 8], 0xa80000);
  assertEquals(r.call({ ax: 0x4f06, bx: 1 }).bx, 100);
});

Deno.test("scan line length, display start, as recorded from QEMU", () => {
  const r = rig();
  r.call({ ax: 0x4f02, bx: 0x101 });
  const line = (bl: number, cx = 0) => {
    const c = r.call({ ax: 0x4f06, bx: bl, cx });
    return [c.ax, c.bx, c.cx, c.dx];
  };
  assertEquals(line(1), [0x4f, 0x280, 0x280, 0x6666]);
  assertEquals(line(2, 1000), [0x4f, 0x3e8, 0x3e8, 0x4189]);
  assertEquals(line(3).slice(0, 1), [0x4f]);
  const start = (bl: number, cx = 0, dx = 0) => {
    const c = r.call({ ax: 0x4f07, bx: bl, cx, dx });
    return [c.ax, c.cx, c.dx];
  };
  assertEquals(start(0, 10, 20), [0x4f, 10, 20]);
  assertEquals(start(1), [0x4f, 10, 20]);
  r.mem.write(0xfd000000 + 20 * 1000 + 10, 1, 15);
  assertEquals(r.card.surface().pixels[0], 0xffffff);
  assertEquals(start(0, 0, 0xffff)[0], 0x14f);
  assertEquals(start(1), [0x4f, 10, 20], "unchanged after a failure");
});

Deno.test("DAC width and palette", () => {
  const r = rig();
  r.call({ ax: 0x4f02, bx: 0x4101 });
  assertEquals(r.call({ ax: 0x4f08, bx: 1 }).bh, 6);
  assertEquals(r.call({ ax: 0x4f08, bx: 0x0800 }).bh, 8);
  r.mem.write(0x2000, 4, 0x00c08040);
  assertEquals(r.call({ ax: 0x4f09, cx: 1, dx: 7, es: 0x200 }).ax, 0x004f);
  r.mem.write(0xfd000000, 1, 7);
  assertEquals(r.card.surface().pixels[0], 0xc08040);
  r.call({ ax: 0x4f09, bx: 1, cx: 1, dx: 7, es: 0x210 });
  assertEquals(r.mem.read(0x2100, 4), 0x00c08040);
  assertEquals(r.call({ ax: 0x4f09, cx: 10, dx: 250, es: 0x200 }).ax, 0x014f);
  r.call({ ax: 0x4f02, bx: 0x4112 });
  assertEquals(r.call({ ax: 0x4f08, bx: 0x0800 }).ax, 0x034f);
});

Deno.test("save and restore bring a VBE mode back; 4F0Ah and beyond are absent", () => {
  const r = rig();
  r.call({ ax: 0x4f02, bx: 0x4115 });
  r.call({ ax: 0x4f06, bx: 0, cx: 832 });
  r.call({ ax: 0x4f07, bx: 0, cx: 16, dx: 3 });
  const blocks = r.call({ ax: 0x4f04, cx: 15 }).bx;
  assertEquals(blocks < 20, true);
  r.call({ ax: 0x4f04, dx: 1, cx: 15, es: 0x300 });
  r.call({ ax: 3 });
  r.call({ ax: 0x4f04, dx: 2, cx: 15, es: 0x300 });
  assertEquals([r.card.surface().width, r.call({ ax: 0x4f03 }).bx], [800, 0x4115]);
  const c = r.call({ ax: 0x4f07, bx: 1 });
  assertEquals([c.cx, c.dx, r.call({ ax: 0x4f06, bx: 1 }).cx], [16, 3, 832]);
  for (const fn of [0x4f0a, 0x4f0b, 0x4f20]) assertEquals(r.call({ ax: fn }).ax, 0x0100);
});

Deno.test("4F15h copies the monitor's EDID", () => {
  const r = rig();
  assertEquals(r.call({ ax: 0x4f15 }).bx, 0x0103);
  assertEquals(r.call({ ax: 0x4f15, bx: 1, es: 0x200 }).ax, 0x004f);
  assertEquals(r.hex(0x2000, 8), "00ffffffffffff00");
  assertEquals(r.mem.read(0x2000 + 56, 1) | (r.mem.read(0x2000 + 58, 1) & 0xf0) << 4, 1280);
  assertEquals(r.call({ ax: 0x4f15, bx: 1, dx: 1, es: 0x200 }).ax, 0x014f);
  assertEquals(rig("isa", 8).call({ ax: 0x4f15 }).ax, 0x014f);
});
