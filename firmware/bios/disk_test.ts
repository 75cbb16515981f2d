import { assert, assertEquals } from "@std/assert";
import { makeIso } from "../demo/iso9660.ts";
import { writeEmulation } from "./eltorito.ts";
import { FrameContext } from "./frame.ts";
import { translateGeometry } from "./ide_detect.ts";
import { Bda } from "./layout.ts";
import { BiosRig, memoryDrive } from "./rig.ts";

/** Every sector begins with its own number. */
function numbered(sectors: number, size = 512): Uint8Array {
  const b = new Uint8Array(sectors * size), v = new DataView(b.buffer);
  for (let n = 0; n < sectors; n++) v.setUint32(n * size, n, true);
  return b;
}

function diskRig(sectors = 20480) {
  const bytes = numbered(sectors);
  const r = new BiosRig({
    drives: [{ drive: memoryDrive("hd", "disk", bytes), interface: "ide", bus: 0, unit: 0 }],
  }).post();
  return { r, bytes };
}

/** Packet of functions 42h–44h at 0:3000. */
function packet(r: BiosRig, count: number, segment: number, offset: number, lba: number): void {
  r.mem.write(0x3000, 4, 0x10 | (count << 16));
  r.mem.write(0x3004, 4, ((segment << 16) | offset) >>> 0);
  r.mem.write(0x3008, 4, lba);
  r.mem.write(0x300c, 4, 0);
}

Deno.test("INT 13h/08h and 02h: 10 MiB disk by cylinder, head, sector", () => {
  const { r } = diskRig();
  // QEMU gives such a disk 20 cylinders, 16 heads, 63 sectors; SeaBIOS keeps the last cylinder.
  const p = r.call(0x13, { ax: 0x0800, dx: 0x80 });
  assertEquals([p.ah, p.dl, p.dh, p.cl & 63, p.ch, p.carry], [0, 1, 15, 63, 18, false]);
  // cylinder 2, head 3, sector 5: LBA (2*16+3)*63+4
  const c = r.call(0x13, { ax: 0x0204, bx: 0x100, cx: 0x0205, dx: 0x0380, es: 0x2000, flags: 1 });
  assertEquals([c.ah, c.al, c.carry], [0, 4, false]);
  for (let n = 0; n < 4; n++) {
    assertEquals(r.read32(0x20100 + 512 * n), (2 * 16 + 3) * 63 + 4 + n);
  }
  assertEquals(r.mem.read(Bda.diskCount, 1), 1);
});

Deno.test("INT 13h refuses sectors that are not there and drives that do not exist", () => {
  const { r } = diskRig();
  const cases = [
    { ax: 0x0200, cx: 1, dx: 0x80 }, // no sectors
    { ax: 0x0201, cx: 0, dx: 0x80 }, // sector 0
    { ax: 0x0201, cx: 1, dx: 0x1080 }, // head 16
    { ax: 0x0201, cx: 0xffff, dx: 0x0f80 }, // behind the last cylinder
    { ax: 0x0201, cx: 1, dx: 0x81 },
  ];
  for (const regs of cases) {
    const c = r.call(0x13, regs);
    assertEquals([c.ah, c.carry], [1, true], JSON.stringify(regs));
  }
});

Deno.test("INT 13h/41h, 42h, 43h, 48h: packets, beyond 64 KiB in one call, and writing", () => {
  const { r, bytes } = diskRig();
  const e = r.call(0x13, { ax: 0x4100, bx: 0x55aa, dx: 0x80 });
  assertEquals([e.ah, e.bx, e.cx & 1, e.carry], [0x30, 0xaa55, 1, false]);
  packet(r, 200, 0x2000, 0, 1000);
  const c = r.call(0x13, { ax: 0x4200, dx: 0x80, si: 0x3000 });
  assertEquals([c.ah, c.carry, r.read16(0x3002)], [0, false, 200]);
  for (const n of [0, 1, 127, 128, 199]) assertEquals(r.read32(0x20000 + 512 * n), 1000 + n);
  // An odd buffer cannot be reached by bus master DMA.
  packet(r, 3, 0x2000, 1, 7);
  assertEquals(r.call(0x13, { ax: 0x4200, dx: 0x80, si: 0x3000 }).ah, 0);
  assertEquals([r.read32(0x20001), r.read32(0x20201), r.read32(0x20401)], [7, 8, 9]);
  r.mem.write(0x20000, 4, 0xcafe);
  packet(r, 1, 0x2000, 0, 19);
  assertEquals(r.call(0x13, { ax: 0x4300, dx: 0x80, si: 0x3000 }).ah, 0);
  assertEquals(new DataView(bytes.buffer).getUint32(19 * 512, true), 0xcafe);
  packet(r, 2, 0x2000, 0, 20479);
  const bad = r.call(0x13, { ax: 0x4200, dx: 0x80, si: 0x3000 });
  assertEquals([bad.ah, bad.carry, r.read16(0x3002)], [1, true, 0]);
  r.mem.write(0x4000, 2, 0x1e);
  assertEquals(r.call(0x13, { ax: 0x4800, dx: 0x80, si: 0x4000 }).ah, 0);
  assertEquals([r.read16(0x4000), r.read32(0x4010), r.read16(0x4018)], [0x1e, 20480, 512]);
});

Deno.test("CHS translation: none, LBA assisted, large", () => {
  const physical = { cylinders: 16383, heads: 16, sectors: 63 };
  assertEquals(translateGeometry(0, { cylinders: 20, heads: 16, sectors: 63 }, 20480), {
    cylinders: 20,
    heads: 16,
    sectors: 63,
  });
  // 20 GiB: more than 1024 × 255 × 63
  assertEquals(translateGeometry(1, physical, 41943040), {
    cylinders: 1024,
    heads: 255,
    sectors: 63,
  });
  // 4 GiB: 8388608 / 63 = 133152 tracks need 255 heads
  assertEquals(translateGeometry(1, physical, 8388608), {
    cylinders: 522,
    heads: 255,
    sectors: 63,
  });
  assertEquals(translateGeometry(2, { cylinders: 4000, heads: 16, sectors: 63 }, 4032000), {
    cylinders: 1000,
    heads: 64,
    sectors: 63,
  });
});

function cdRig(bytes: Uint8Array) {
  return new BiosRig({
    drives: [{ drive: memoryDrive("cd", "cdrom", bytes), interface: "ide", bus: 1, unit: 0 }],
  }).post();
}

Deno.test("a CD reads in blocks of 2048 bytes as drive E0h", () => {
  const r = cdRig(numbered(300, 2048));
  packet(r, 70, 0x2000, 0, 100);
  const c = r.call(0x13, { ax: 0x4200, dx: 0xe0, si: 0x3000 });
  assertEquals([c.ah, c.carry], [0, false]);
  for (const n of [0, 31, 32, 69]) assertEquals(r.read32(0x20000 + 2048 * n), 100 + n);
  assertEquals(r.call(0x13, { ax: 0x4300, dx: 0xe0, si: 0x3000 }).ah, 0x03);
  r.mem.write(0x4000, 2, 0x1a);
  r.call(0x13, { ax: 0x4800, dx: 0xe0, si: 0x4000 });
  assertEquals(r.read16(0x4018), 2048);
});

Deno.test("El Torito without emulation: the image at its segment, DL the CD, 4Bh tells", () => {
  const image = new Uint8Array(5000).fill(0x90);
  const r = cdRig(makeIso({
    volumeId: "T",
    files: [{ path: "boot.bin", data: image }],
    boot: { entries: [{ path: "boot.bin", emulation: "none", loadSectors: 8 }] },
  }));
  const c = r.call(0x19);
  assertEquals([c.cs, c.ip, c.dl], [0, 0x7c00, 0xe0]);
  assertEquals([r.mem.read(0x7c00, 1), r.mem.read(0x8bff, 1)], [0x90, 0x90]);
  assertEquals(r.call(0x13, { ax: 0x4b01, dx: 0xe0, si: 0x4000 }).ah, 0);
  assertEquals([r.mem.read(0x4000, 1), r.mem.read(0x4002, 1), r.read16(0x400e)], [0x13, 0xe0, 8]);
});

Deno.test("El Torito floppy emulation: drive 0 is the image, by 512-byte sectors", () => {
  const image = numbered(2880);
  image.set([0x55, 0xaa], 510);
  const r = cdRig(makeIso({
    volumeId: "T",
    files: [{ path: "floppy.img", data: image }],
    boot: { entries: [{ path: "floppy.img", emulation: "floppy" }] },
  }));
  const c = r.call(0x19);
  assertEquals([c.cs, c.ip, c.dl], [0, 0x7c00, 0]);
  const g = r.call(0x13, { ax: 0x0800, dx: 0 });
  assertEquals([g.cl & 63, g.ch, g.dh, g.bl], [18, 79, 1, 4]);
  // Cylinder 1, head 1, sectors 2 to 16: neither end on a CD block.
  const read = r.call(0x13, { ax: 0x020f, bx: 0, cx: 0x0102, dx: 0x0100, es: 0x2000 });
  assertEquals([read.ah, read.al], [0, 15]);
  for (let n = 0; n < 15; n++) assertEquals(r.read32(0x20000 + 512 * n), 3 * 18 + 1 + n);
  assertEquals(r.call(0x13, { ax: 0x0301, cx: 1, dx: 0, es: 0x2000 }).ah, 0x03);
  // Terminated: drive 0 is no more.
  assertEquals(r.call(0x13, { ax: 0x4b00, dx: 0, si: 0x4000 }).ah, 0);
  assert(r.call(0x13, { ax: 0x0201, cx: 1, dx: 0, es: 0x2000 }).carry);
});

Deno.test("El Torito disk emulation takes its geometry from the partition table", () => {
  const image = numbered(63 * 16 * 2);
  image.set([0x80, 1, 1, 0, 6, 15, 63, 1], 446);
  image.set([0x55, 0xaa], 510);
  const r = cdRig(makeIso({
    volumeId: "T",
    files: [{ path: "hd.img", data: image }],
    boot: { entries: [{ path: "hd.img", emulation: "hd" }] },
  }));
  assertEquals(r.call(0x19).dl, 0x80);
  const g = r.call(0x13, { ax: 0x0800, dx: 0x80 });
  assertEquals([g.cl & 63, g.ch, g.dh, g.dl], [63, 1, 15, 1]);
  assertEquals(r.call(0x13, { ax: 0x0201, cx: 0x0103, dx: 0x0280, es: 0x2000 }).ah, 0);
  assertEquals(r.read32(0x20000), (1 * 16 + 2) * 63 + 2);
});

Deno.test("a hostile emulation record or packet does not throw", () => {
  const r = cdRig(numbered(20, 2048));
  const c = new FrameContext(r.pc.env);
  writeEmulation(c, {
    active: true,
    media: 9,
    drive: 0x80,
    row: 15,
    block: 0xffffffff,
    catalog: 0,
    loadSegment: 0,
    loadCount: 0,
    cylinders: 0xffff,
    heads: 255,
    sectorsPerTrack: 63,
  });
  r.call(0x13, { ax: 0x0201, cx: 1, dx: 0x80 });
  packet(r, 0xffff, 0xffff, 0xffff, 0xffffffff);
  for (let ah = 0; ah < 0x60; ah++) {
    for (const dl of [0, 1, 0x80, 0xe0, 0xff]) {
      r.call(0x13, { ax: (ah << 8) | 1, cx: 0xffff, dx: 0xff00 | dl, si: 0x3000, es: 0xffff });
    }
  }
});

Deno.test("a real floppy: parameters, reading across a head, writing, protection", () => {
  const bytes = numbered(2880);
  bytes.set([0x55, 0xaa], 510);
  const r = new BiosRig({
    drives: [{ drive: memoryDrive("fd", "floppy", bytes), interface: "floppy", bus: 0, unit: 0 }],
  }).post();
  const g = r.call(0x13, { ax: 0x0800, dx: 0 });
  assertEquals([g.carry, g.bl, g.ch, g.cl, g.dh, g.dl], [false, 4, 79, 18, 1, 1]);
  // 15 sectors from cylinder 2, head 0, sector 10 on: nine there, six on head 1.
  const c = r.call(0x13, { ax: 0x020f, bx: 0, cx: 0x020a, dx: 0, es: 0x2000 });
  assertEquals([c.ah, c.al, c.carry], [0, 15, false]);
  for (let n = 0; n < 15; n++) assertEquals(r.read32(0x20000 + 512 * n), 2 * 36 + 9 + n);
  r.mem.write(0x20000, 4, 0xbeef);
  assertEquals(r.call(0x13, { ax: 0x0301, cx: 0x4f12, dx: 0x0100, es: 0x2000 }).ah, 0);
  assertEquals(new DataView(bytes.buffer).getUint32(2879 * 512, true), 0xbeef);
  // A buffer that crosses 64 KiB is the caller's mistake.
  assertEquals(r.call(0x13, { ax: 0x0202, bx: 0xff00, cx: 1, dx: 0, es: 0x2000 }).ah, 0x09);
  assertEquals(r.call(0x13, { ax: 0x0201, cx: 0x0013, dx: 0, es: 0x2000 }).ah, 0x04);
  const boot = r.call(0x19);
  assertEquals([boot.ip, boot.dl], [0x7c00, 0]);
});
