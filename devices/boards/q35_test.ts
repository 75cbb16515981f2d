import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { type PcRig, pcRig } from "./pc_rig.ts";

// Bus 0: MCH 00.0; LPC 1F.0, AHCI 1F.2, SMBus 1F.3
const MCH = 0, LPC = 0xf8, AHCI = 0xfa, SMBUS = 0xfb;
const q35 = (o: Parameters<typeof pcRig>[0] = {}) => pcRig({ family: "q35", ...o });

function config(r: PcRig, devfn: number): number[] {
  return Array.from({ length: 64 }, (_, n) => r.configRead(devfn, 4 * n) >>> 0);
}

/** Registers that are not zero, as offset and value. */
function nonZero(values: readonly number[]): [number, number][] {
  return values.flatMap((v, n): [number, number][] => v === 0 ? [] : [[4 * n, v]]);
}

Deno.test("configuration space after power-on is QEMU 7.2's", () => {
  const r = q35();
  assertEquals(nonZero(config(r, MCH)), [
    [0x00, 0x29c08086],
    [0x08, 0x06000000],
    [0x2c, 0x11001af4],
    [0x50, 0x00000010], // EXT_TSEG_MBYTES
    [0x60, 0xb0000000], // PCIEXBAR, off
    [0x9c, 0x00380200], // SMRAM 02h, ESMRAMC 38h
  ]);
  assertEquals(nonZero(config(r, LPC)), [
    [0x00, 0x29188086],
    [0x08, 0x06010002],
    [0x0c, 0x00800000],
    [0x2c, 0x11001af4],
    [0x40, 0x00000001], // PMBASE
    [0x60, 0x80808080],
    [0x68, 0x80808080],
  ]);
  assertEquals(nonZero(config(r, AHCI)), [
    [0x00, 0x29228086],
    [0x04, 0x00100000],
    [0x08, 0x01060102],
    [0x0c, 0x00800000],
    [0x20, 0x00000001],
    [0x2c, 0x11001af4],
    [0x34, 0x00000080],
    [0x3c, 0x00000100],
    [0x80, 0x0080a805], // MSI, then SATA
    [0x90, 0x00000040],
    [0xa8, 0x00100012],
    [0xac, 0x00000048],
  ]);
  assertEquals(nonZero(config(r, SMBUS)), [
    [0x00, 0x29308086],
    [0x08, 0x0c050002],
    [0x0c, 0x00800000],
    [0x20, 0x00000001],
    [0x2c, 0x11001af4],
    [0x3c, 0x00000100],
  ]);
});

Deno.test("PCIEXBAR shows configuration space in memory, for 256, 128 or 64 buses", () => {
  const r = q35(), { mem } = r.env;
  assertEquals(mem.find(0xb0000000), undefined);
  r.configWrite(MCH, 0x60, 0xb0000001);
  assertEquals(mem.read(0xb0000000 + (LPC << 12), 4), 0x29188086);
  assertEquals(mem.read(0xb0000000 + (AHCI << 12) + 2, 2), 0x2922);
  assertEquals(mem.read(0xb0000000 + (2 << 12), 4), 0xffffffff); // nothing there
  assertEquals(mem.read(0xb0000000 + (LPC << 12) + 0x100, 4), 0xffffffff); // a PCI function
  mem.write(0xb0000000 + (LPC << 12) + 0x40, 4, 0x601);
  assertEquals(r.configRead(LPC, 0x40), 0x601);
  assertEquals(mem.find(0xbfffffff)?.region.name, "pcie-mmcfg-mmio");
  r.configWrite(MCH, 0x60, 0xe8000005); // 64 MiB
  assertEquals([mem.find(0xb0000000), mem.find(0xebffffff)?.region.name, mem.find(0xec000000)], [
    ...[undefined, "pcie-mmcfg-mmio", undefined],
  ]);
});

Deno.test("PAM and SMRAM work as on the 440FX, at the MCH's offsets", () => {
  const r = q35(), { mem } = r.env;
  assertEquals(mem.read(0xffff0, 1), 0xb3); // the firmware's last 64 KiB
  r.configWrite(MCH, 0x90, 0x00000030);
  mem.write(0xffff0, 1, 0x5a);
  assertEquals(mem.read(0xffff0, 1), 0x5a);
  assertEquals(mem.read(0xa0000, 1), 0xff);
  r.configWrite(MCH, 0x9c, 0x00384a00); // D_OPEN
  mem.write(0xa0000, 1, 0x77);
  r.configWrite(MCH, 0x9c, 0x00381a00); // G_SMRAME, D_LCK
  assertEquals(mem.read(0xa0000, 1), 0xff);
  r.configWrite(MCH, 0x9c, 0x00384a00);
  assertEquals([r.configRead(MCH, 0x9c) >>> 8 & 0xff, mem.read(0xa0000, 1)], [0x1a, 0xff]);
  r.board.setSmm(true);
  assertEquals(mem.read(0xa0000, 1), 0x77);
});

Deno.test("TSEG at the end of RAM is seen in system management mode only", () => {
  const r = q35(), { mem } = r.env, top = 32 << 20;
  mem.write(top - 0x1000, 4, 0x12345678);
  r.configWrite(MCH, 0x9c, 0x00390200); // ESMRAMC: T_EN, 1 MiB
  assertEquals([mem.read(top - 0x1000, 4), mem.read(top - 0x100004, 4)], [0xffffffff, 0]);
  r.board.setSmm(true);
  assertEquals(mem.read(top - 0x1000, 4), 0x12345678);
  r.board.setSmm(false);
  assertEquals(mem.read(top - 0x1000, 4), 0xffffffff);
  // Asking for the size of the extended TSEG
  r.configWrite(MCH, 0x50, 0xffff);
  assertEquals(r.configRead(MCH, 0x50) & 0xffff, 16);
  r.configWrite(MCH, 0x9c, 0x003f0200); // extended: 16 MiB
  assertEquals([mem.read(top - (16 << 20), 4), mem.read(top - (16 << 20) - 4, 4)], [
    ...[0xffffffff, 0],
  ]);
});

Deno.test("power management: PMBASE, ACPI enable by APM, timer, S5 and reset", () => {
  const r = q35(), { io } = r.env;
  assertEquals(io.read(0x608, 4), 0xffffffff);
  r.configWrite(LPC, 0x40, 0x601);
  r.configWrite(LPC, 0x44, 0x80);
  assertEquals(io.read(0x604, 2), 0);
  r.outb(0xb2, 0x02);
  assertEquals(io.read(0x604, 2), 1); // SCI_EN
  r.outb(0xb2, 0x03);
  assertEquals(io.read(0x604, 2), 0);
  const before = io.read(0x608, 4);
  r.clock.advance(1e9);
  assertEquals(io.read(0x608, 4) - before, 3579545);
  io.write(0x628, 1, 0xff); // GPE0_EN
  io.write(0x62f, 1, 0x5a);
  assertEquals([io.read(0x628, 1), io.read(0x62f, 1), io.read(0x620, 1)], [0xff, 0x5a, 0]);
  io.write(0x604, 2, 0x2000); // SLP_TYP 0 is S5
  assertEquals(r.events, ["guest-shutdown"]);
  r.outb(0xcf9, 0x06);
  assertEquals([r.events[1], r.inb(0xcf9)], ["guest-reset", 0x02]);
});

Deno.test("the watchdog resets the machine after two timeouts, unless NO_REBOOT is set", () => {
  for (const noReboot of [false, true]) {
    const r = q35(), { io, mem } = r.env;
    r.configWrite(LPC, 0x40, 0x601);
    r.configWrite(LPC, 0x44, 0x80);
    r.configWrite(LPC, 0xf0, 0xfed1c001); // RCBA
    assertEquals(mem.read(0xfed1c000 + 0x3410, 4), 0x20); // GCS.NO_REBOOT
    if (!noReboot) mem.write(0xfed1c000 + 0x3410, 4, 0);
    io.write(0x672, 2, 10); // TCO_TMR: 6 s
    io.write(0x660, 2, 1); // reload
    assertEquals(io.read(0x660, 2), 10);
    r.clock.advance(5e9);
    assertEquals([io.read(0x664, 2) & 8, r.events.length], [0, 0]);
    r.clock.advance(2e9);
    assertEquals([io.read(0x664, 2) & 8, r.events.length], [8, 0]);
    r.clock.advance(6e9);
    assertEquals([io.read(0x666, 2) & 2, r.events], [2, noReboot ? [] : ["guest-reset"]]);
  }
});

Deno.test("interrupts: PIRQs by D31IR and by slot, to the 8259s and to inputs 16-23", () => {
  const r = q35(), { mem, io } = r.env;
  const { irqs } = r.board;
  io.write(0x20, 1, 0x11); // ICW1 to 4 of both: vectors 20h and 28h, level by ELCR
  for (const v of [0x20, 4, 1]) io.write(0x21, 1, v);
  io.write(0xa0, 1, 0x11);
  for (const v of [0x28, 2, 1]) io.write(0xa1, 1, v);
  io.write(0x4d1, 1, 0x0c);
  r.configWrite(LPC, 0x60, 0x80800b0a); // PIRQA to 10, B to 11
  const ahci = r.board.chipset.bus.devices[AHCI]!;
  ahci.setInterrupt(true); // INTA of slot 31: PIRQA
  const irr = () => {
    io.write(0xa0, 1, 0x0a);
    return io.read(0xa0, 1);
  };
  assertEquals([irr(), irqs.gsi!.counts[16], irqs.gsi!.counts[17]], [0x04, 1, 0]);
  // D31IR moves it to PIRQB while it is high
  r.configWrite(LPC, 0xf0, 0xfed1c001);
  assertEquals(mem.read(0xfed1c000 + 0x3140, 2), 0x3210);
  mem.write(0xfed1c000 + 0x3140, 2, 0x3211);
  assertEquals([irr() & 0x0c, irqs.gsi!.counts[17]], [0x08, 1]);
  ahci.setInterrupt(false);
  assertEquals(irr() & 0x0c, 0);
});

Deno.test("AHCI interrupts come as messages when MSI is on", () => {
  const r = q35(), { mem } = r.env, sent: [number, number][] = [];
  r.board.chipset.bus.msi = (address, data) => void sent.push([address, data]);
  r.configWrite(AHCI, 0x24, 0xfebf0000);
  r.configWrite(AHCI, 0x04, 0x6);
  assertEquals(mem.read(0xfebf0000, 4), 0xc0141f05); // CAP
  r.configWrite(AHCI, 0x84, 0xfee01000);
  r.configWrite(AHCI, 0x8c, 0x4041);
  r.configWrite(AHCI, 0x80, 0x00810000);
  assertEquals(r.configRead(AHCI, 0x80) >>> 16, 0x81);
  const hba = r.board.chipset.bus.devices[AHCI] as unknown as {
    hba: { ports: { state: { is: number } }[] };
  };
  hba.hba.ports[2].state.is = 1;
  mem.write(0xfebf0000 + 0x214, 4, 1); // P2IE
  mem.write(0xfebf0000 + 4, 4, 2); // GHC.IE
  assertEquals([sent, mem.read(0xfebf0008, 4)], [[[0xfee01000, 0x4041]], 4]);
  assertEquals(r.configRead(AHCI, 0x04) >>> 16 & 8, 0); // the pin is not used
  // The index/data pair reaches the same registers
  r.configWrite(AHCI, 0x20, 0xc041);
  r.configWrite(AHCI, 0x04, 0x7);
  r.env.io.write(0xc050, 4, 0x0c);
  assertEquals(r.env.io.read(0xc054, 4), 0x3f); // PI
});

Deno.test("the SMBus host answers in BAR 4 while HOSTC enables it", () => {
  const r = q35(), { io } = r.env;
  r.configWrite(SMBUS, 0x20, 0x701);
  r.configWrite(SMBUS, 0x04, 1);
  assertEquals(io.read(0x700, 1), 0xff);
  r.configWrite(SMBUS, 0x40, 1);
  assertEquals(io.read(0x700, 1), 0);
  io.write(0x704, 1, 0xa1); // read a byte from the EEPROM at 50h
  io.write(0x703, 1, 0);
  io.write(0x702, 1, 0x48);
  assertEquals(io.read(0x700, 1), 0x02); // INTR
});

Deno.test("monitor: the tree of devices has QEMU's names", () => {
  const r = q35({ vga: "std" });
  const tree = r.board.infoQtree();
  for (
    const line of [
      "dev: q35-pcihost",
      "MCFG = 18446744073709551615 (0xffffffffffffffff)",
      "bus: pcie.0",
      "type PCIE",
      "dev: ICH9-LPC",
      'gpio-out "gsi" 24',
      "noreboot = true",
      "dev: mch",
      "extended-tseg-mbytes = 16 (0x10)",
      "class SATA controller, addr 00:1f.2, pci id 8086:2922 (sub 1af4:1100)",
      "bus: ide.5",
      "hpet-intcap = 16711940 (0xff0104)",
      "class VGA controller, addr 00:01.0",
    ]
  ) assertStringIncludes(tree, line);
  assert(!tree.includes("isa-fdc"));
  r.configWrite(LPC, 0x40, 0x601);
  r.configWrite(LPC, 0x44, 0x80);
  const mtree = r.board.infoMtree();
  assertStringIncludes(
    mtree,
    "    0000000000000600-000000000000067f (prio 0, i/o): ich9-pm\n" +
      "      0000000000000600-0000000000000603 (prio 0, i/o): acpi-evt\n",
  );
  assertStringIncludes(mtree, "(prio 1, i/o): lpc-reset-control\n");
});

Deno.test("state survives save and load, and random accesses do no harm", () => {
  const a = q35(), b = q35();
  let seed = 99;
  const next = () => (seed = (Math.imul(seed, 1103515245) + 12345) >>> 0) >>> 4;
  for (let i = 0; i < 6000; i++) {
    const devfn = [MCH, LPC, AHCI, SMBUS][next() & 3];
    if (i % 3 === 0) a.configWrite(devfn, next() & 0xfc, next() << (next() & 7));
    else if (i % 3 === 1) a.env.io.write(next() & 0x7ff, 1, next() & 0xff);
    else a.env.mem.read(0xfed1c000 + (next() & 0x3ffc), 4);
  }
  const saved = a.board.save();
  b.board.load(saved);
  for (const devfn of [MCH, LPC, AHCI, SMBUS]) assertEquals(config(b, devfn), config(a, devfn));
  a.board.reset();
  assertEquals(nonZero(config(a, LPC)).length, 7);
});
