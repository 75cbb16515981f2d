import { assertEquals, assertStringIncludes } from "@std/assert";
import { DriveImpl } from "../../core/block/drive.ts";
import { MemoryBackend } from "../../core/block/memory.ts";
import { ManualClock } from "../../core/clock.ts";
import type { DeviceOptions } from "../../core/options/config.ts";
import { VirtioBlk } from "../../devices/virtio/virtio_blk.ts";
import { VirtioMmio } from "../../devices/virtio/virtio_mmio.ts";
import { guestRam } from "../../devices/virtio/virtio_rig.ts";
import { AddressSpace } from "../../core/memory/address_space.ts";
import { pollTransfer, startTransfer } from "./ata.ts";
import { pathMatches, readBootEntry } from "./boot_list.ts";
import type { DriveInfo } from "./drives.ts";
import { type BiosMachine, FrameContext } from "./frame.ts";
import { Bda, Private, PRIVATE_BASE } from "./layout.ts";
import { BiosRig, memoryDrive } from "./rig.ts";
import { findVirtioDrives } from "./virtio_detect.ts";

/** Every sector begins with its own number plus `mark`. */
function numbered(sectors: number, mark = 0): Uint8Array {
  const b = new Uint8Array(sectors * 512), v = new DataView(b.buffer);
  for (let n = 0; n < sectors; n++) v.setUint32(n * 512, n + mark, true);
  return b;
}

/** A PC with a function for each of `disks`: its sectors, and properties of the function. */
function rig(...disks: [bytes: Uint8Array, props?: Record<string, string>][]) {
  const drives = disks.map(([bytes], n) => memoryDrive(`d${n}`, "disk", bytes));
  const devices: DeviceOptions[] = disks.map(([, props = {}], n) => ({
    driver: props.driver ?? "virtio-blk-pci",
    id: props.id ?? `v${n}`,
    props: new Map(
      Object.entries({ ...props.driver ? {} : { drive: `d${n}` }, ...props }).filter(([k]) =>
        k !== "driver" && k !== "id"
      ),
    ),
    loc: "",
  }));
  const r = new BiosRig({ devices, drive: (id) => drives.find((d) => d.name === id) });
  return r.post();
}

/** Packet of functions 42h–44h at 0:3000. */
function packet(r: BiosRig, count: number, segment: number, offset: number, lba: number): void {
  r.mem.write(0x3000, 4, 0x10 | (count << 16));
  r.mem.write(0x3004, 4, ((segment << 16) | offset) >>> 0);
  r.mem.write(0x3008, 4, lba);
  r.mem.write(0x300c, 4, 0);
}

const INTERFACES: [string, Record<string, string>][] = [
  ["transitional", {}],
  ["modern", { "disable-legacy": "on" }],
  ["modern, a page for each notification", { "page-per-vq": "on" }],
  ["legacy", { "disable-modern": "on" }],
  ["legacy, the largest queue", { "disable-modern": "on", "queue-size": "1024" }],
  ["modern, a queue that just suffices", { "disable-legacy": "on", "queue-size": "4" }],
];

for (const [name, props] of INTERFACES) {
  Deno.test(`virtio disk, ${name}: read, write, many requests`, () => {
    const bytes = numbered(20480), r = rig([bytes, props]);
    assertEquals(r.mem.read(Bda.diskCount, 1), 1);
    packet(r, 200, 0x2000, 1, 1000);
    const c = r.call(0x13, { ax: 0x4200, dx: 0x80, si: 0x3000 });
    assertEquals([c.ah, c.carry, r.read16(0x3002)], [0, false, 200]);
    for (const n of [0, 1, 127, 128, 199]) assertEquals(r.read32(0x20001 + 512 * n), 1000 + n);
    r.mem.write(0x20000, 4, 0xcafe);
    packet(r, 1, 0x2000, 0, 19);
    assertEquals(r.call(0x13, { ax: 0x4300, dx: 0x80, si: 0x3000 }).ah, 0);
    assertEquals(new DataView(bytes.buffer).getUint32(19 * 512, true), 0xcafe);
    // More requests than any ring has entries.
    for (let n = 0; n < 1100; n++) {
      packet(r, 1, 0x2000, 0, 20 + n);
      assertEquals(r.call(0x13, { ax: 0x4200, dx: 0x80, si: 0x3000 }).ah, 0);
      assertEquals(r.read32(0x20000), 20 + n);
    }
    packet(r, 1, 0x2000, 0, 20480);
    assertEquals(r.call(0x13, { ax: 0x4200, dx: 0x80, si: 0x3000 }).ah, 1);
  });
}

/** A disk of zeros that takes no memory. */
class Blank extends MemoryBackend {
  override readonly size: number;
  constructor(mib: number) {
    super(new Uint8Array(512));
    this.size = mib * 2 ** 20;
  }
  override read(_offset: number, into: Uint8Array): undefined {
    into.fill(0);
  }
}

/** What Debian's SeaBIOS 1.16.2 answers on QEMU 7.2, by size of the disk in MiB. */
const GEOMETRY: [mib: number, cx: number, dx: number, sectors: number, edd: number[]][] = [
  [1, 0x003f, 0x0f01, 0x3f0, [2, 2, 16, 63]],
  [10, 0x123f, 0x0f01, 0x4ad0, [2, 20, 16, 63]],
  [600, 0x5fbf, 0x1f01, 0x12b400, [2, 1219, 16, 63]],
  [4096, 0x08bf, 0xfe01, 0x7fb6c9, [2, 8322, 16, 63]],
  [20000, 0xfeff, 0xfe01, 0xfac53f, [0, 16383, 16, 63]],
];

Deno.test("virtio disk: INT 13h/08h, 15h, 41h, 48h as SeaBIOS answers", () => {
  for (const [mib, cx, dx, sectors, edd] of GEOMETRY) {
    const drive = new DriveImpl("d", { kind: "disk", medium: new Blank(mib) }, {
      stopOnError: () => {},
      nextNodeName: () => "#block000",
    });
    const r = new BiosRig({
      devices: [{
        driver: "virtio-blk-pci",
        id: undefined,
        props: new Map([["drive", "d"], ["addr", "5.2"]]),
        loc: "",
      }, {
        driver: "virtio-rng-pci",
        id: undefined,
        props: new Map([["addr", "5"], ["multifunction", "on"]]),
        loc: "",
      }],
      drive: () => drive,
    }).post();
    const p = r.call(0x13, { ax: 0x0800, bx: 0x1234, dx: 0x80 });
    assertEquals([p.ax, p.bx, p.cx, p.dx, p.carry], [0, 0x1234, cx, dx, false], `${mib}`);
    const type = r.call(0x13, { ax: 0x1500, dx: 0x80 });
    assertEquals([type.ah, type.cx * 65536 + type.dx], [3, sectors]);
    const e = r.call(0x13, { ax: 0x4100, bx: 0x55aa, dx: 0x80 });
    assertEquals([e.ah, e.bx, e.cx], [0x30, 0xaa55, 7]);
    r.mem.write(0x4000, 2, 0x42);
    assertEquals(r.call(0x13, { ax: 0x4800, dx: 0x80, si: 0x4000 }).ah, 0);
    const at = 0x4000;
    const got = [r.read16(at + 2), r.read32(at + 4), r.read32(at + 8), r.read32(at + 12)];
    assertEquals(got, edd);
    assertEquals([r.read32(at + 16), r.read16(at + 24)], [mib * 2048, 512]);
    assertEquals([r.read32(at + 26), r.read16(at + 30)], [0xffffffff, 0xbedd]);
    assertEquals(new TextDecoder().decode(r.bytes(at + 36, 12)), "PCI SCSI    ");
    assertEquals([...r.bytes(at + 48, 16)], [0, 5, 2, ...new Array(13).fill(0)]);
  }
});

Deno.test("lcyls=, lheads=, lsecs=: the geometry is the user's, where INT 13h can tell it", () => {
  // Cylinders, heads, sectors given, and what is served: SeaBIOS's on QEMU.
  const cases: [given: number[], served: number[]][] = [
    [[100, 3, 7], [100, 3, 7]],
    [[100, 255, 63], [100, 255, 63]],
    [[1025, 16, 63], [1024, 16, 63]],
    [[100, 256, 63], [20, 16, 63]],
    [[100, 16, 64], [20, 16, 63]],
    [[100, 16, 0], [20, 16, 63]],
  ];
  for (const [[lcyls, lheads, lsecs], [cylinders, heads, sectors]] of cases) {
    const props = { lcyls: `${lcyls}`, lheads: `${lheads}`, lsecs: `${lsecs}` };
    const r = rig([numbered(2048)], [numbered(20480), props]);
    const p = r.call(0x13, { ax: 0x0800, dx: 0x81 });
    assertEquals(
      [(p.ch | (p.cl & 0xc0) << 2) + 2, p.dh + 1, p.cl & 63],
      [cylinders, heads, sectors],
      String([lcyls, lheads, lsecs]),
    );
  }
});

Deno.test("virtio disks share the queue: each is asked in turn", () => {
  const r = rig([numbered(2048, 0x10000)], [numbered(2048, 0x20000), { "disable-modern": "on" }], [
    numbered(2048, 0x30000),
    { "disable-legacy": "on" },
  ]);
  assertEquals(r.mem.read(Bda.diskCount, 1), 3);
  for (const [dl, lba] of [[0x80, 1], [0x81, 2], [0x82, 3], [0x80, 4], [0x81, 5], [0x81, 6]]) {
    packet(r, 1, 0x2000, 0, lba);
    assertEquals(r.call(0x13, { ax: 0x4200, dx: dl, si: 0x3000 }).ah, 0);
    assertEquals(r.read32(0x20000), (dl - 0x7f) * 0x10000 + lba);
  }
});

Deno.test("a virtio disk that a program has reset is set up again", () => {
  for (const off of ["disable-legacy", "disable-modern"]) {
    const r = rig([numbered(2048), { [off]: "on" }]);
    const read = (lba: number) => {
      packet(r, 1, 0x2000, 0, lba);
      const c = r.call(0x13, { ax: 0x4200, dx: 0x80, si: 0x3000 });
      return [c.ah, r.read32(0x20000)];
    };
    assertEquals(read(7), [0, 7]);
    // Without its addresses there is no answer, but no wait for one either.
    for (const bar of [0x10, 0x20, 0x24]) r.pc.configWrite(2 << 3, bar, 0);
    assertEquals(read(8)[0], 0x80);
  }
  const r = rig([numbered(2048), { "disable-modern": "on" }]);
  const ports = r.pc.configRead(2 << 3, 0x10) & 0xfffc;
  r.pc.outb(ports + 18, 0);
  packet(r, 1, 0x2000, 0, 9);
  assertEquals(r.call(0x13, { ax: 0x4200, dx: 0x80, si: 0x3000 }).ah, 0);
  assertEquals(r.read32(0x20000), 9);
});

Deno.test("disks with other blocks than 512 bytes are left alone, as by SeaBIOS", () => {
  const r = rig(
    [numbered(2048), { logical_block_size: "4096", physical_block_size: "4096" }],
    [numbered(2048, 0x5000)],
  );
  assertEquals(r.mem.read(Bda.diskCount, 1), 1);
  packet(r, 1, 0x2000, 0, 3);
  r.call(0x13, { ax: 0x4200, dx: 0x80, si: 0x3000 });
  assertEquals(r.read32(0x20000), 0x5003);
});

Deno.test("boot list: SeaBIOS's names, bootindex, behind a bridge too", () => {
  const bridge = { driver: "pci-bridge", id: "b", chassis_nr: "1", addr: "9" };
  const none = new Uint8Array(0);
  const r = rig(
    [none, bridge],
    [numbered(2048), { addr: "6", bootindex: "2" }],
    [numbered(2048), { addr: "7" }],
    [numbered(2048), { bus: "b", addr: "3", bootindex: "1" }],
  );
  const c = new FrameContext(r.pc.env);
  assertEquals([0, 1, 2].map((n) => readBootEntry(c, n).text), [
    "Virtio disk PCI:01:03.0",
    "Virtio disk PCI:00:06.0",
    "Virtio disk PCI:00:07.0",
  ]);
  const order = r.pc.board.fwCfg.fileContents("bootorder");
  assertStringIncludes(
    new TextDecoder().decode(order),
    "/pci@i0cf8/pci-bridge@9/scsi@3/disk@0,0\n/pci@i0cf8/scsi@6/disk@0,0",
  );
});

Deno.test("device paths: a name left open stands for any", () => {
  const path = "/pci@i0cf8/*@5/*@1,2/disk@0,0";
  assertEquals(pathMatches("/pci@i0cf8/pci-bridge@5/scsi@1,2/disk@0,0", path), true);
  assertEquals(pathMatches("/pci@i0cf8/pci-bridge@5/scsi@1,2", path), true);
  assertEquals(pathMatches("/pci@i0cf8/pci-bridge@5/scsi@1/disk@0,0", path), false);
  assertEquals(pathMatches("/pci@i0cf8/scsi@5", "/pci@i0cf8/*@15"), false);
  assertEquals(pathMatches("/rom@genroms/x", path), false);
});

/** A machine without PCI, with a disk in a window. */
function windowMachine(bytes: Uint8Array, forceLegacy: boolean) {
  const mem = guestRam(), io = new AddressSpace("I/O", 65536, 0xff), base = 0xfeb00a00;
  const window = new VirtioMmio(mem, { set: () => {} }, forceLegacy, base);
  window.plug(
    new VirtioBlk({
      clock: new ManualClock(),
      drive: memoryDrive("d", "disk", bytes),
      geometry: { cylinders: 20, heads: 16, sectors: 63 },
    }),
  );
  mem.map(window.region, base);
  return { mem, io };
}

function transfer(c: FrameContext, d: DriveInfo, lba: number, count: number, to: number): void {
  assertEquals(startTransfer(c, d, lba, count, to, false), true);
  let p = pollTransfer(c, d);
  for (let n = 0; n < 100 && p === "busy"; n++) p = pollTransfer(c, d);
  assertEquals(p, "done");
}

for (const legacy of [true, false]) {
  Deno.test(`virtio disk in a window of version ${legacy ? 1 : 2}`, () => {
    const c = new FrameContext(windowMachine(numbered(20480), legacy));
    const [d, ...rest] = findVirtioDrives(c, 0);
    assertEquals(rest, []);
    assertEquals([d.text, d.path], [
      "Virtio disk mmio:0xfeb00a00",
      "/virtio-mmio@00000000feb00a00/disk@0,0",
    ]);
    assertEquals([d.info.cylinders, d.info.heads, d.info.sectorsPerTrack], [20, 16, 63]);
    for (let n = 0; n < 70; n++) {
      transfer(c, d.info, 100 + n, 2, 0x20000);
      assertEquals([c.read32(0x20000), c.read32(0x20200)], [100 + n, 101 + n]);
    }
  });
}

Deno.test("virtio disk: under paging a transfer takes the pages where they are", () => {
  const machine: BiosMachine = {
    ...windowMachine(numbered(20480), false),
    // Pages of 20000h–2FFFFh lie in reverse order at 40000h.
    translate: (at) => at >> 16 === 2 ? 0x4f000 - (at & 0xf000) + (at & 0xfff) : at,
  };
  const c = new FrameContext(machine);
  const [d] = findVirtioDrives(c, 0);
  transfer(c, d.info, 500, 100, 0x20000);
  assertEquals([0, 8, 99].map((n) => c.read32(0x20000 + 512 * n)), [500, 508, 599]);
  assertEquals([machine.mem.read(0x4f000, 4), machine.mem.read(0x4e000, 4)], [500, 508]);
});

Deno.test("a spoiled queue ends in a status, whatever the device makes of it", () => {
  const r = rig([numbered(2048)]);
  const read = () => {
    packet(r, 1, 0x2000, 0, 1);
    return r.call(0x13, { ax: 0x4200, dx: 0x80, si: 0x3000 }).ah;
  };
  assertEquals(read(), 0);
  for (const key of [1, 0xffff, 0x12345678, 0xffffffff]) {
    r.mem.write(PRIVATE_BASE + Private.virtioOwner, 4, key);
    assertEquals(read(), 0);
  }
  r.mem.write(PRIVATE_BASE + Private.virtioQueue + 16 * 64 + 2, 2, 0x1234);
  const status = read();
  assertEquals(status === 0x0c || status === 0, true);
});
