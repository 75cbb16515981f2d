import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import type { Chardev, ChardevPort } from "../../core/chardev/chardev.ts";
import type { Drive } from "../../core/block/block.ts";
import { UserError } from "../../core/errors.ts";
import type { DeviceOptions } from "../../core/options/config.ts";
import { apicIdOf } from "./pc.ts";
import type { Lapic } from "../irq/lapic.ts";
import { pcRig, TEST_CPU } from "./pc_rig.ts";

function chardev(label: string): Chardev & { out: number[] } {
  const out: number[] = [];
  const c: Chardev & { out: number[] } = {
    label,
    filename: "null",
    out,
    attach: (): ChardevPort => ({
      chardev: c,
      write: (b) => void out.push(...b),
      acceptInput: () => {},
      setParams: () => {},
      detach: () => {},
    }),
    close: () => Promise.resolve(),
  };
  return c;
}

function device(driver: string, props: Record<string, string> = {}, id?: string): DeviceOptions {
  return { driver, id, props: new Map(Object.entries(props)), loc: `-device ${driver}` };
}

/** Debian's QEMU 7.2: `-M pc -nodefaults -vga std`, `info pci` before the first instruction. */
const QEMU_INFO_PCI = `  Bus  0, device   0, function 0:
    Host bridge: PCI device 8086:1237
      PCI subsystem 1af4:1100
      id ""
  Bus  0, device   1, function 0:
    ISA bridge: PCI device 8086:7000
      PCI subsystem 1af4:1100
      id ""
  Bus  0, device   1, function 1:
    IDE controller: PCI device 8086:7010
      PCI subsystem 1af4:1100
      BAR4: I/O at 0xffffffffffffffff [0x000e].
      id ""
  Bus  0, device   1, function 3:
    Bridge: PCI device 8086:7113
      PCI subsystem 1af4:1100
      IRQ 0, pin A
      id ""
  Bus  0, device   2, function 0:
    VGA controller: PCI device 1234:1111
      PCI subsystem 1af4:1100
      BAR0: 32 bit prefetchable memory at 0xffffffffffffffff [0x00fffffe].
      BAR2: 32 bit memory at 0xffffffffffffffff [0x00000ffe].
      BAR6: 32 bit memory at 0xffffffffffffffff [0x0000fffe].
      id ""
`;

Deno.test("pc: info pci equals QEMU's", () => {
  const r = pcRig({ vga: "std", romFile: () => new Uint8Array(39936) });
  assertEquals(r.board.infoPci(), QEMU_INFO_PCI);
});

Deno.test("pc: enumeration by configuration mechanism 1 finds the same functions", () => {
  const r = pcRig({ vga: "std" });
  const found: string[] = [];
  for (let devfn = 0; devfn < 256; devfn++) {
    const id = r.configRead(devfn, 0);
    if (id !== 0xffffffff) found.push(`${devfn >> 3}.${devfn & 7} ${id.toString(16)}`);
  }
  assertEquals(found, [
    "0.0 12378086",
    "1.0 70008086",
    "1.1 70108086",
    "1.3 71138086",
    "2.0 11111234",
  ]);
});

Deno.test("pc: firmware is at both places, shadowing works through PAM", () => {
  const r = pcRig();
  const { mem } = r.env;
  assertEquals(
    [0xfffc0000, 0xffffffff, 0xe0000, 0xf0000, 0xc0000].map((a) => mem.read(a, 1)),
    [0xb0, 0xb3, 0xb2, 0xb3, 0],
  );
  r.configWrite(0, 0x58, 0x00003000);
  mem.write(0xf0000, 1, 0x55);
  assertEquals([mem.read(0xf0000, 1), mem.read(0xffff0000, 1)], [0x55, 0xb3]);
});

Deno.test("pc: CMOS equals QEMU's for -m 64 and -m 512", () => {
  const cmos = (mib: number, cpus = 1) => {
    const r = pcRig({ ramSize: mib << 20, cpus });
    const at = (i: number) => (r.outb(0x70, i), r.inb(0x71));
    return [0x15, 0x16, 0x17, 0x18, 0x30, 0x31, 0x34, 0x35, 0x38, 0x3d, 0x5b, 0x5f].map(at);
  };
  assertEquals(cmos(64), [0x80, 2, 0, 0xfc, 0, 0xfc, 0, 3, 0x30, 0x12, 0, 0]);
  assertEquals(cmos(512, 2), [0x80, 2, 0xff, 0xff, 0xff, 0xff, 0, 0x1f, 0x30, 0x12, 0, 1]);
});

Deno.test("pc: -boot once lasts until the first reset; bad orders get QEMU's words", () => {
  const boot = {
    order: "n",
    once: "d",
    menu: false,
    strict: false,
    splash: undefined,
    splashTime: undefined,
    rebootTimeout: undefined,
  };
  const r = pcRig({ boot });
  const at = (i: number) => (r.outb(0x70, i), r.inb(0x71));
  assertEquals([at(0x3d), at(0x38)], [0x03, 0x00]);
  r.board.reset();
  assertEquals(at(0x3d), 0x03, "still the first start");
  r.clock.advance(1);
  r.board.reset();
  assertEquals(at(0x3d), 0x04);
  assertThrows(() => r.board.setBootOrder("abcd"), UserError, "Too many boot devices for PC");
  assertThrows(() => r.board.setBootOrder("z"), UserError, "Invalid boot device 'z'");
  assertThrows(() => r.board.setBootOrder("e"), UserError, "Invalid boot device for PC: 'e'");
});

Deno.test("pc: fw_cfg has QEMU's items", () => {
  const r = pcRig({ cpus: 2, topology: { sockets: 2, dies: 1, cores: 1, threads: 1, maxcpus: 4 } });
  const fw = r.board.fwCfg;
  assertEquals(fw.fileNames, [
    "bios-geometry",
    "bootorder",
    "etc/boot-fail-wait",
    "etc/e820",
    "etc/system-states",
  ]);
  assertEquals([...fw.fileContents("etc/system-states")!], [0x80, 0, 0, 0x81, 0x82, 0x80]);
  const read = (key: number, n: number) => {
    r.env.io.write(0x510, 2, key);
    return Array.from({ length: n }, () => r.inb(0x511));
  };
  assertEquals(read(3, 8), [0, 0, 0, 2, 0, 0, 0, 0]);
  assertEquals([read(5, 2), read(0xf, 2), read(0xc, 2)], [[2, 0], [4, 0], [0x63, 0]]);
  assertEquals(read(0x8004, 13), [1, 1, 0xa2, 0x86, 0x80, 0, 0, 0xd0, 0xfe, 0, 0, 0, 0]);
});

Deno.test("pc: etc/e820 begins with AMD's HyperTransport, as QEMU's, where addresses reach it", () => {
  const zero = { eax: 0, ebx: 0, ecx: 0, edx: 0 };
  const map = (vendor: number, bits: number) => {
    const cpuid = (leaf: number) =>
      leaf === 0 ? { ...zero, ebx: vendor } : leaf === 0x80000008 ? { ...zero, eax: bits } : zero;
    const { board } = pcRig({ cpuModel: { ...TEST_CPU, cpuid } });
    return [...board.fwCfg.fileContents("etc/e820")!].map((b) => b.toString(16).padStart(2, "0"))
      .join("");
  };
  const ram = "0000000000000000000000020000000001000000";
  assertEquals(map(0x68747541, 48), "00000000fd000000000000000300000002000000" + ram);
  assertEquals(map(0x68747541, 39), ram);
  assertEquals(map(0x756e6547, 48), ram);
});

Deno.test("pc: the PIT interrupts through the PIC; INTA gives the vector", () => {
  const r = pcRig();
  for (const [port, v] of [[0x20, 0x11], [0x21, 8], [0x21, 4], [0x21, 1], [0x21, 0xfe]]) {
    r.outb(port, v);
  }
  const lapic = r.board.irqs.lapics[0] as Lapic;
  r.outb(0x43, 0x34);
  r.outb(0x40, 0xa9);
  r.outb(0x40, 0x04);
  assertEquals(r.intr[0], false, "LINT0 is masked after reset");
  r.env.mem.write(0xfee000f0, 4, 0x1ff);
  r.env.mem.write(0xfee00350, 4, 0x700);
  r.clock.advance(2_000_000);
  assertEquals([r.intr[0], lapic.acknowledge()], [true, 8]);
});

Deno.test("pc: requests to the machine", () => {
  const r = pcRig({
    smm: true,
    devices: [device("isa-debug-exit"), device("pvpanic")],
  });
  r.outb(0xcf9, 6);
  r.outb(0x64, 0xfe);
  r.outb(0x92, 1);
  r.outb(0x501, 0x10);
  r.outb(0x505, 1);
  assertEquals(r.events.filter((e) => !e.startsWith("a20")), [
    "guest-reset",
    "guest-reset",
    "guest-reset",
    "exit 33",
    "panicked",
  ]);
  r.events.length = 0;
  r.configWrite(11, 0x40, 0x601);
  r.configWrite(11, 0x80, 1);
  r.env.io.write(0x604, 2, 0x2400);
  r.env.io.write(0x604, 2, 0x2000);
  r.configWrite(11, 0x58, 0x02000000);
  r.outb(0xb2, 1);
  r.outb(0x92, 2);
  r.outb(0x92, 0);
  assertEquals(r.events, ["suspend", "guest-shutdown", "smi 0", "a20 true", "a20 false"]);
  r.board.nmi();
  assertEquals(r.inb(0x505), 3);
});

Deno.test("pc: serial and parallel ports, by default options and by -device", () => {
  const com1 = chardev("serial0"), lpt = chardev("parallel0"), extra = chardev("x");
  const log = chardev("log");
  const r = pcRig({
    serials: [com1],
    parallels: [lpt],
    chardev: (id) => id === "x" ? extra : id === "log" ? log : undefined,
    devices: [
      device("isa-serial", { chardev: "x" }, "com2"),
      device("isa-debugcon", { chardev: "log", iobase: "0x402" }),
    ],
  });
  r.outb(0x3f8, 0x41);
  r.outb(0x2f8, 0x42);
  r.outb(0x402, 0x43);
  r.outb(0x378, 0x44);
  r.outb(0x37a, 0x0d);
  assertEquals([com1.out, extra.out, log.out, lpt.out], [[0x41], [0x42], [0x43], [0x44]]);
  assertEquals([r.inb(0x402), r.inb(0x3e8)], [0xe9, 0xff]);
  const tree = r.board.infoQtree();
  assertStringIncludes(tree, `dev: isa-serial, id "com2"\n            index = 1 (0x1)\n`);
  assertThrows(
    () => pcRig({ devices: [device("isa-serial", { index: "9" })] }),
    UserError,
    "-device isa-serial: Max. supported number of ISA serial ports is 4.",
  );
});

Deno.test("pc: -device VGA: address, conflict, -global", () => {
  const r = pcRig({
    globals: [{ driver: "VGA", property: "vgamem_mb", value: "32", used: false }],
    devices: [device("VGA", { addr: "5" }, "v")],
  });
  assertEquals(r.configRead(0x28, 0), 0x11111234);
  r.configWrite(0x28, 0x10, 0xffffffff);
  assertEquals(r.configRead(0x28, 0x10), 0xfe000008);
  assert(r.board.display);
  assert(r.board.config.globals[0].used);
  assertThrows(
    () => pcRig({ devices: [device("VGA", { addr: "1.0" })] }),
    UserError,
    "PCI: slot 1 function 0 not available for VGA, in use by PIIX3,id=(null)",
  );
});

Deno.test("pc: save and load restore a machine; reset brings the power-on state back", () => {
  const a = pcRig({ vga: "std" }), b = pcRig({ vga: "std" });
  const fresh = a.board.save();
  a.configWrite(0x10, 0x10, 0xe0000000);
  a.configWrite(0x10, 0x04, 3);
  a.configWrite(0, 0x58, 0x3000);
  a.outb(0x21, 0x5a);
  a.outb(0x3f8 + 7, 1);
  b.board.load(a.board.save());
  assertEquals([b.inb(0x21), b.configRead(0x10, 0x10)], [0x5a, 0xe0000008]);
  assertEquals(b.env.mem.find(0xe0000000)?.region.name, "vga.vram");
  assertEquals(b.env.mem.find(0xf0000)?.region.name, "ram-below-4g");
  b.board.reset();
  assertEquals([b.inb(0x21), b.env.mem.find(0xe0000000)], [0, undefined]);
  for (const [id, state] of b.board.save()) assertEquals(state, fresh.get(id), id);
  assertThrows(
    () => pcRig().board.load(a.board.save()),
    UserError,
    "Unknown savevm section or instance",
  );
});

function drive(name: string, kind: Drive["kind"], sectors: number): Drive {
  const data = new Uint8Array(sectors * 512);
  if (sectors > 0) data.set([0x11, 0x22, 0x33]);
  return {
    name,
    kind,
    medium: sectors === 0 ? undefined : {
      size: data.length,
      readonly: false,
      filename: name,
      format: "raw",
      read: (offset, into) => void into.set(data.subarray(offset, offset + into.length)),
      write: () => undefined,
      flush: () => undefined,
      close: () => {},
    },
    locked: false,
    trayOpen: false,
    onMediaChange: undefined,
    attachedTo: undefined,
    werror: "report",
    rerror: "report",
    serial: undefined,
    ejectFromGuest: () => {},
    stats: { rdBytes: 0, wrBytes: 0, rdOps: 0, wrOps: 0, flushOps: 0 },
  };
}

Deno.test("pc: drives: CMOS types, IDE interrupt and data, the tree", () => {
  // CMOS bytes from Debian's QEMU with a 100 MiB disk, a 20 GiB disk and a 1.44 MB floppy.
  const big = drive("big", "disk", 2048);
  (big.medium as { size: number }).size = 20 * 2 ** 30;
  const hda = drive("ide0-hd0", "disk", 204800), fda = drive("floppy0", "floppy", 2880);
  const r = pcRig({
    drives: [
      { drive: hda, interface: "ide", bus: 0, unit: 0 },
      { drive: drive("ide1-cd0", "cdrom", 0), interface: "ide", bus: 1, unit: 0 },
      { drive: fda, interface: "floppy", bus: 0, unit: 0 },
    ],
    drive: (id) => id === "big" ? big : undefined,
    devices: [device("ide-hd", { drive: "big", bus: "ide.0", bootindex: "1" })],
  });
  const at = (i: number) => (r.outb(0x70, i), r.inb(0x71));
  assertEquals([0x10, 0x12, 0x14, 0x19, 0x1a, 0x39].map(at), [0x40, 0xff, 7, 0x2f, 0x2f, 4]);
  assertEquals(
    Array.from({ length: 18 }, (_, i) => at(0x1b + i)),
    [0xcb, 0, 0x10, 0xff, 0xff, 0xc8, 0xcb, 0, 0x3f, 0xff, 0x3f, 0x10, 0xff, 0xff, 0xc8, 0xff]
      .concat([0x3f, 0x3f]),
  );
  r.outb(0x4d1, 0);
  for (const [p, v] of [[0x1f6, 0xe0], [0x1f2, 1], [0x1f3, 0], [0x1f4, 0], [0x1f5, 0]]) {
    r.outb(p, v);
  }
  r.outb(0x1f7, 0x20);
  assertEquals(r.env.io.read(0x1f0, 2), 0x2211);
  assertEquals(r.board.irqs.pic!.state.slave.irr & 0x40, 0x40);
  const tree = r.board.infoQtree();
  for (
    const line of ['drive = "ide1-cd0"', 'serial = "QM00002"', 'bios-chs-trans = "lba"']
  ) assertStringIncludes(tree, ` ${line}\n`);
  assertStringIncludes(tree, 'drive-type = "144"');
  assertEquals(
    new TextDecoder().decode(r.board.fwCfg.fileContents("bootorder")),
    "/pci@i0cf8/ide@1,1/drive@0/disk@1\0",
  );
  assertThrows(
    () => pcRig({ devices: [device("ide-hd", {})] }),
    UserError,
    "-device ide-hd: No drive specified",
  );
});

Deno.test("pc: info mtree shows QEMU's lines", () => {
  const r = pcRig({ vga: "std" });
  r.configWrite(0x10, 0x10, 0xfd000000);
  r.configWrite(0x10, 0x04, 3);
  r.configWrite(0, 0x58, 0x1000);
  const text = r.board.infoMtree();
  for (
    const line of [
      "    0000000000000000-0000000001ffffff (prio 0, ram): alias ram-below-4g @pc.ram " +
      "0000000000000000-0000000001ffffff",
      "    0000000000000000-ffffffffffffffff (prio -1, i/o): pci",
      "      00000000000a0000-00000000000bffff (prio 1, i/o): vga-lowmem",
      "      00000000000e0000-00000000000fffff (prio 1, rom): alias isa-bios @pc.bios " +
      "0000000000020000-000000000003ffff",
      "      00000000fd000000-00000000fdffffff (prio 1, ram): vga.vram",
      "    00000000000a0000-00000000000bffff (prio 1, i/o): alias smram-region @pci " +
      "00000000000a0000-00000000000bffff",
      "    00000000000f0000-00000000000fffff (prio 1, ram): alias pam-rom @pc.ram " +
      "00000000000f0000-00000000000fffff",
      "    00000000fee00000-00000000feefffff (prio 4096, i/o): apic-msi",
      "    0000000000000cf9-0000000000000cf9 (prio 1, i/o): piix3-reset-control",
      "    000000000000b100-000000000000b13f (prio 0, i/o): pm-smbus",
    ]
  ) assertStringIncludes(text, line + "\n");
});

Deno.test("pc: bad sizes are refused", () => {
  assertThrows(() => pcRig({ bios: new Uint8Array(1000) }), UserError, "multiple of 64 KiB");
});

Deno.test("APIC IDs leave room for each level of the topology", () => {
  assertEquals([0, 1, 2, 3].map((i) => apicIdOf(i, 1, 1)), [0, 1, 2, 3]);
  assertEquals([0, 1, 2, 3, 4].map((i) => apicIdOf(i, 3, 1)), [0, 1, 2, 4, 5]);
  assertEquals([0, 1, 2, 5].map((i) => apicIdOf(i, 3, 2)), [0, 1, 2, 5]);
  assertEquals(apicIdOf(6, 3, 2), 8);
});

Deno.test("info roms: files, the firmware, then tables, as QEMU 7.2 lays them out", () => {
  const { board } = pcRig({ biosName: "bios-256k.bin" });
  board.fwCfg.addFile("genroms/linuxboot_dma.bin", new Uint8Array(0x600));
  board.fwCfg.addFile("etc/acpi/rsdp", new Uint8Array(20));
  board.fwCfg.addFile("etc/acpi/tables", new Uint8Array(0x12345));
  assertEquals(
    board.infoRoms(),
    'fw=genroms/linuxboot_dma.bin size=0x000600 name="linuxboot_dma.bin"\n' +
      'addr=00000000fffc0000 size=0x040000 mem=rom name="bios-256k.bin"\n' +
      '/rom@etc/acpi/tables size=0x012345 name="etc/acpi/tables"\n' +
      '/rom@etc/acpi/rsdp size=0x000014 name="etc/acpi/rsdp"\n',
  );
});
