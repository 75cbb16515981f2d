/** The VGA hardware under a VGA BIOS nobody here wrote: Debian's `seabios` package. */
import { assert, assertEquals } from "@std/assert";
import { ManualClock } from "../../core/clock.ts";
import { screenText } from "../../core/display/cp437.ts";
import { AddressSpace } from "../../core/memory/address_space.ts";
import { GuestMemory } from "../../core/memory/guest_memory.ts";
import { ramRegion } from "../../core/memory/region.ts";
import { TcgVm } from "../../core/tcg/vm.ts";
import { resolveCpu } from "../../core/x86/cpuid/model.ts";
import { PciBus } from "../../devices/chipset/pci.ts";
import { PciHostConfig } from "../../devices/chipset/pci_host.ts";
import { PciVga } from "../../devices/display/vga_pci.ts";
import { Assembler } from "../asm/assembler.ts";
import { ax, bx, cx, di, ds, dx, es, far, sp, ss } from "../asm/operand.ts";

const IMAGE = "/usr/share/seabios/vgabios-stdvga.bin";

function installed(): boolean {
  try {
    return Deno.statSync(IMAGE).isFile;
  } catch {
    return false;
  }
}

/** The card at 00:02.0. */
const DEVFN = 0x10;

/** Runs real-mode code at F000:0000 on one vCPU until it halts. */
function machine(code: (a: Assembler) => void) {
  const memory = new GuestMemory(160 << 20), clock = new ManualClock();
  const mem = new AddressSpace("memory", 2 ** 36, 0xff), io = new AddressSpace("I/O", 65536, 0xff);
  mem.map(ramRegion("pc.ram", memory.allocBlock("pc.ram", 0x200000)), 0);
  const bus = new PciBus("pci.0", mem, io, {
    setInterrupt: () => {},
    route: () => 0,
    forwards: () => true,
  });
  io.map(new PciHostConfig(bus).region, 0xcf8);
  const vram = memory.allocBlock("vga.vram", 16 << 20);
  const card = bus.plug(new PciVga({ mem, io, clock, vram }), DEVFN);
  card.configWrite(0x10, 4, 0xfd000000);
  // BAR 2 stays unmapped: reading the EDID there takes big real mode, which is POST's business.
  card.configWrite(4, 2, 3);
  mem.writeBytes(0xc0000, Deno.readFileSync(IMAGE));

  const a = new Assembler(16, 0);
  a.i.mov(ax, 0);
  a.i.mov(ds, ax);
  a.i.mov(es, ax);
  a.i.mov(ss, ax);
  a.i.mov(sp, 0x7c00);
  a.i.mov(ax, DEVFN); // POST passes the bus, device and function of a PCI card
  a.i.call(far(0xc000, 3));
  code(a);
  a.i.hlt();
  mem.writeBytes(0xf0000, a.assemble().bytes);
  const reset = memory.allocBlock("bios", 4096);
  reset.u8.set([0xea, 0x00, 0x00, 0x00, 0xf0], 0xff0);
  mem.map(ramRegion("bios", reset, { readonly: true }), 0xfffff000, 1);

  const vm = new TcgVm({ memory, mem, io, clock });
  const cpu = vm.createVcpu({
    index: 0,
    apicId: 0,
    model: resolveCpu("qemu32").model,
    bsp: true,
  });
  vm.setA20(true);
  cpu.reset();
  let halted = false;
  for (let turn = 0; turn < 400 && !halted; turn++) {
    halted = cpu.run(100_000).reason === "hlt";
    clock.advance(1e6);
  }
  assert(halted, "the code has reached its HLT");
  return { mem, card };
}

Deno.test({
  name: "SeaBIOS's VGA BIOS: text, a planar mode, VBE with the linear framebuffer",
  ignore: !installed(),
  fn() {
    const text = machine((a) => {
      a.i.mov(ax, 0x0003);
      a.i.int(0x10);
      for (const c of "Hi\r\nyou") {
        a.i.mov(ax, 0x0e00 | c.charCodeAt(0));
        a.i.int(0x10);
      }
    });
    assertEquals(screenText(text.card.text()!).split("\n").slice(0, 2), ["Hi", "you"]);
    assertEquals(text.card.text()!.cursor, { row: 1, column: 3 });
    const shown = text.card.surface();
    assertEquals([shown.width, shown.height], [720, 400]);
    // The glyph of H has ink, in the grey of attribute 7.
    const cell = (dot: number) => shown.pixels[shown.width * 5 + dot];
    assertEquals(new Set([...Array(9).keys()].map(cell)), new Set([0, 0xa8a8a8]));

    const planar = machine((a) => {
      a.i.mov(ax, 0x0012);
      a.i.int(0x10);
      a.i.mov(ax, 0x0c0e);
      a.i.mov(bx, 0);
      a.i.mov(cx, 639);
      a.i.mov(dx, 479);
      a.i.int(0x10);
    });
    const s = planar.card.surface();
    assertEquals([s.width, s.height, s.pixels.at(-1), s.pixels[0]], [640, 480, 0xffff57, 0]);

    const vbe = machine((a) => {
      a.i.mov(ax, 0x4f01);
      a.i.mov(cx, 0x118);
      a.i.mov(di, 0x2000);
      a.i.int(0x10);
      a.i.mov(ax, 0x4f02);
      a.i.mov(bx, 0x4118);
      a.i.int(0x10);
    });
    assertEquals(vbe.mem.read(0x2000 + 40, 4), 0xfd000000);
    vbe.mem.write(0xfd000000 + 3 * (1024 * 767 + 1023), 2, 0x8040);
    const v = vbe.card.surface();
    assertEquals([v.width, v.height, v.pixels.at(-1)], [1024, 768, 0x008040]);
  },
});
