import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { buildAcpi } from "../tables/acpi.ts";
import { Bda, Fn, Private, PRIVATE_BASE } from "./layout.ts";
import { BiosRig, memoryDrive } from "./rig.ts";

Deno.test("POST fills the interrupt table and the data area", () => {
  const r = new BiosRig({ drives: [] }).post();
  // The PC/AT's addresses: INT 13h, 16h, 19h, the IRET of unused vectors.
  assertEquals(r.read32(4 * 0x13), 0xf000e3fe);
  assertEquals(r.read32(4 * 0x16), 0xf000e82e);
  assertEquals(r.read32(4 * 0x19), 0xf000e6f2);
  assertEquals(r.read32(4 * 0x4a), 0xf000ff53);
  assertEquals(r.read32(4 * 0x1e), 0xf000efc7);
  assertEquals(r.read16(Bda.memoryKiB), 639);
  assertEquals(r.read16(Bda.ebdaSegment), 0x9fc0);
  assertEquals(r.read16(Bda.kbdHead), 0x1e);
});

Deno.test("the ROM has the signatures that programs look for", () => {
  const r = new BiosRig().post();
  const top = r.bytes(0xffff0, 16);
  assertEquals([...top.subarray(0, 5)], [0xea, 0x5b, 0xe0, 0x00, 0xf0]);
  assertEquals(top[14], 0xfc);
  for (
    const [signature, length] of [["_32_", 16], ["$PnP", 0x21], ["_MP_", 16], ["$PIR", 0]] as const
  ) {
    let found = 0;
    for (let at = 0xf0000; at < 0x100000; at += 16) {
      const b = r.bytes(at, 4);
      if (String.fromCharCode(...b) !== signature) continue;
      const size = length || r.read16(at + 6);
      assertEquals(r.bytes(at, size).reduce((a, x) => a + x, 0) & 0xff, 0, signature);
      found++;
    }
    assertEquals(found, 1, signature);
  }
});

Deno.test("PCI: base addresses where SeaBIOS puts them, interrupt lines, power management ports", () => {
  // `info pci` of Debian's QEMU with `-nic none`; its VGA ROM is a BAR of 64 KiB.
  const r = new BiosRig({ vga: "std", romFile: () => new Uint8Array(0x9c00) }).post();
  const vga = 2 << 3;
  assertEquals(r.pc.configRead(vga, 0x10) & ~0xf, 0xfd000000 | 0);
  assertEquals(r.pc.configRead(vga, 0x18) & ~0xf, 0xfebf0000 | 0);
  assertEquals(r.pc.configRead(9, 0x20), 0xc001);
  assertEquals(r.pc.configRead(11, 0x40) & 0xffff, 0x0601);
  assertEquals(r.pc.configRead(11, 0x3c) & 0xff, 9);
  assertEquals(r.pc.configRead(8, 0x60) >>> 0, 0x0b0b0a0a);
  assertEquals(r.pc.inb(0x4d1), 0x0c);
});

Deno.test("shadow RAM: the F segment is protected, the BIOS's variables are writable", () => {
  const r = new BiosRig().post();
  const before = r.mem.read(0xfe05b, 1);
  r.mem.write(0xfe05b, 1, before ^ 0xff);
  assertEquals(r.mem.read(0xfe05b, 1), before);
  r.mem.write(0xec000 + 0x3ff0, 1, 0x5a);
  assertEquals(r.mem.read(0xec000 + 0x3ff0, 1), 0x5a);
});

Deno.test("the memory map covers RAM, reserves the BIOS and leaves the adapter area out", () => {
  const r = new BiosRig().post();
  const count = r.read16(PRIVATE_BASE + Private.e820Count);
  const map = Array.from({ length: count }, (_, n) => {
    const at = PRIVATE_BASE + Private.e820 + 20 * n;
    return [r.read32(at), r.read32(at + 8), r.read32(at + 16)];
  });
  assertEquals(map, [
    [0, 0x9fc00, 1],
    [0x9fc00, 0x400, 2],
    [0xec000, 0x14000, 2],
    [0x100000, 0x1ee0000, 1],
    [0x1fe0000, 0x20000, 2],
    [0xfffc0000, 0x40000, 2],
  ]);
});

Deno.test("ACPI tables arrive with addresses and checksums put in", () => {
  const r = new BiosRig();
  const acpi = buildAcpi({
    cpus: [{ apicId: 0, present: true }],
    ioapicId: 0,
    hpet: true,
    keyboard: true,
    floppy: false,
    serials: [],
    parallels: [],
    pciMemStart: 0xe0000000,
    s3: true,
    s4Type: 2,
  });
  const { fwCfg } = r.pc.board;
  fwCfg.setFile("etc/acpi/tables", acpi.tables);
  fwCfg.setFile("etc/acpi/rsdp", acpi.rsdp);
  fwCfg.setFile("etc/table-loader", acpi.loader);
  r.post();
  const rsdp = r.read32(PRIVATE_BASE + Private.rsdp);
  const sum = (at: number, n: number) => r.bytes(at, n).reduce((a, x) => a + x, 0) & 0xff;
  assert(rsdp >= 0xf0000 && rsdp < 0x100000);
  assertEquals([sum(rsdp, 20), sum(rsdp, 36)], [0, 0]);
  const rsdt = r.read32(rsdp + 16), signatures: string[] = [];
  assertEquals(sum(rsdt, r.read32(rsdt + 4)), 0);
  for (let at = rsdt + 36; at < rsdt + r.read32(rsdt + 4); at += 4) {
    const table = r.read32(at);
    assertEquals(sum(table, r.read32(table + 4)), 0);
    signatures.push(String.fromCharCode(...r.bytes(table, 4)));
  }
  assertEquals(signatures, ["FACP", "APIC", "HPET", "WAET"]);
});

Deno.test("application processors are waited for, and a missing one does not stop POST", () => {
  const r = new BiosRig({
    cpus: 2,
    topology: { sockets: 2, dies: 1, cores: 1, threads: 1, maxcpus: 2 },
  });
  r.aps = 1;
  r.post();
  // MP configuration table: two processor entries.
  let at = 0xf0000;
  while (String.fromCharCode(...r.bytes(at, 4)) !== "_MP_") at += 16;
  const table = r.read32(at + 4);
  assertEquals(String.fromCharCode(...r.bytes(table, 4)), "PCMP");
  assertEquals(r.bytes(table, r.read16(table + 4)).reduce((a, x) => a + x, 0) & 0xff, 0);
  assertEquals([r.bytes(table + 44, 1)[0], r.bytes(table + 64, 1)[0]], [0, 0]);
  assertEquals(r.bytes(table + 84, 1)[0], 1);
});

Deno.test("nothing to boot: says so and waits", () => {
  const r = new BiosRig().post();
  r.call(0x19, {}, 500, (c) => c.action === 1 && r.output.includes("No bootable device."));
  assertStringIncludes(r.output, "No bootable device.");
});

Deno.test("a disk with a boot sector is started at 0:7C00 with its number in DL", () => {
  const disk = new Uint8Array(1 << 20);
  disk.set([0x55, 0xaa], 510);
  disk[0] = 0xeb;
  const r = new BiosRig({
    drives: [{ drive: memoryDrive("hd", "disk", disk), interface: "ide", bus: 0, unit: 0 }],
  }).post();
  const c = r.call(0x19);
  assertStringIncludes(r.output, "Booting from Hard Disk...");
  assertEquals([c.cs, c.ip, c.dl, r.mem.read(0x7c00, 1)], [0, 0x7c00, 0x80, 0xeb]);
});

Deno.test("a disk without a signature is passed over", () => {
  const r = new BiosRig({
    drives: [{
      drive: memoryDrive("hd", "disk", new Uint8Array(1 << 20)),
      interface: "ide",
      bus: 0,
      unit: 0,
    }],
  }).post();
  r.call(0x19, {}, 500, (c) => c.action === 1 && r.output.includes("No bootable"));
  assertStringIncludes(r.output, "Boot failed: not a bootable disk");
});

Deno.test("-boot order= by CMOS: the CD comes before the disk", () => {
  const disk = new Uint8Array(1 << 20);
  disk.set([0x55, 0xaa], 510);
  const r = new BiosRig({
    boot: {
      order: "dc",
      once: undefined,
      menu: false,
      strict: false,
      splash: undefined,
      splashTime: undefined,
      rebootTimeout: undefined,
    },
    drives: [
      { drive: memoryDrive("hd", "disk", disk), interface: "ide", bus: 0, unit: 0 },
      { drive: memoryDrive("cd", "cdrom", undefined), interface: "ide", bus: 1, unit: 0 },
    ],
  }).post();
  const c = r.call(0x19);
  assertStringIncludes(r.output, "Booting from DVD/CD...");
  assertStringIncludes(r.output, "Boot failed: Could not read from CDROM");
  assertEquals(c.dl, 0x80);
});

Deno.test("the boot menu lists what there is and a digit chooses", () => {
  const disk = new Uint8Array(1 << 20);
  disk.set([0x55, 0xaa], 510);
  const second = disk.slice();
  second[0] = 0x90;
  const r = new BiosRig({
    boot: {
      order: undefined,
      once: undefined,
      menu: true,
      strict: false,
      splash: undefined,
      splashTime: undefined,
      rebootTimeout: undefined,
    },
    drives: [
      { drive: memoryDrive("hd0", "disk", disk), interface: "ide", bus: 0, unit: 0 },
      { drive: memoryDrive("hd1", "disk", second), interface: "ide", bus: 0, unit: 1 },
    ],
  });
  const { keyboard } = r.pc.board;
  let asked = false, chosen = false;
  const timer = r.pc.clock.timer(() => {
    const press = (code: "esc" | "2") => {
      keyboard.keyEvent(code, true);
      keyboard.keyEvent(code, false);
    };
    if (r.output.includes("Press ESC for boot menu.") && !asked) {
      asked = true;
      press("esc");
    } else if (r.output.includes("Select boot device:") && !chosen) {
      chosen = true;
      press("2");
    }
    timer.arm(r.pc.clock.now() + 20_000_000);
  });
  timer.arm(r.pc.clock.now() + 20_000_000);
  r.post();
  assertStringIncludes(r.output, "2. ata0-1: QEMU HARDDISK ATA-7 Hard-Disk (1 MiBytes)");
  const c = r.call(0x19);
  assertEquals([c.dl, r.mem.read(0x7c00, 1)], [0x81, 0x90]);
});

Deno.test("waking from S3: the FACS's vector is entered, RAM stays as it was", () => {
  const r = new BiosRig();
  const acpi = buildAcpi({
    cpus: [{ apicId: 0, present: true }],
    ioapicId: 0,
    hpet: false,
    keyboard: true,
    floppy: false,
    serials: [],
    parallels: [],
    pciMemStart: 0xe0000000,
    s3: true,
    s4Type: undefined,
  });
  const { fwCfg } = r.pc.board;
  fwCfg.setFile("etc/acpi/tables", acpi.tables);
  fwCfg.setFile("etc/acpi/rsdp", acpi.rsdp);
  fwCfg.setFile("etc/table-loader", acpi.loader);
  r.post();
  const fadt = r.read32(r.read32(r.read32(PRIVATE_BASE + Private.rsdp) + 16) + 36);
  r.mem.write(r.read32(fadt + 36) + 12, 4, 0x9a123);
  r.mem.write(0x5000, 4, 0x12345678);
  r.pc.board.reset();
  const c = r.call(Fn.post, { bx: 0xfe });
  assertEquals([c.cs * 16 + c.ip, r.read32(0x5000)], [0x9a123, 0x12345678]);
  assertEquals(r.pc.configRead(11, 0x40) & 0xffff, 0x0601);
  // With another shutdown code it is an ordinary start.
  r.pc.board.reset();
  assertEquals(r.call(Fn.post, { bx: 0 }, 10000).action, 3);
});
