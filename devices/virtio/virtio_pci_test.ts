import { assert, assertEquals } from "@std/assert";
import { type PcRig, pcRig } from "../boards/pc_rig.ts";
import { MemoryBackend } from "../../core/block/memory.ts";
import type { Drive } from "../../core/block/block.ts";
import type { AccessSize } from "../../core/memory/region.ts";
import type { DeviceOptions } from "../../core/options/config.ts";
import { DriveImpl } from "../../core/block/drive.ts";
import { DriverQueue } from "./virtio_rig.ts";
import { VirtioPci } from "./virtio_pci.ts";

const DEVFN = 0x20; // slot 4
const PORTS = 0xc000, TABLE = 0xfebf0000, BAR4 = 0xfebf4000;

function disk(bytes = 4 << 20): Drive {
  const host = { stopOnError: () => {}, nextNodeName: () => "#block" };
  return new DriveImpl(
    "d0",
    { kind: "disk", medium: new MemoryBackend(new Uint8Array(bytes)) },
    host,
  );
}

/** A PC with a virtio disk in slot 4, its BARs placed and everything enabled. */
function withDisk(props: Record<string, string> = {}): { r: PcRig; dev: VirtioPci; drive: Drive } {
  const drive = disk();
  const o: DeviceOptions = {
    driver: "virtio-blk-pci",
    id: undefined,
    props: new Map(Object.entries({ drive: "d0", addr: "04.0", ...props })),
    loc: "",
  };
  const r = pcRig({ devices: [o], drive: (id) => id === "d0" ? drive : undefined });
  r.configWrite(DEVFN, 0x10, PORTS);
  r.configWrite(DEVFN, 0x14, TABLE);
  r.configWrite(DEVFN, 0x20, BAR4);
  r.configWrite(DEVFN, 0x24, 0);
  r.configWrite(DEVFN, 0x04, 7);
  const dev = r.board.chipset.bus.devices[DEVFN] as unknown as VirtioPci;
  return { r, dev, drive };
}

function dwords(r: PcRig, from: number, to: number): number[] {
  const list: number[] = [];
  for (let at = from; at < to; at += 4) list.push(r.configRead(DEVFN, at) >>> 0);
  return list;
}

// Recorded from QEMU 7.2: xp of the function's configuration space behind q35's PCIEXBAR.
const QEMU_CAPABILITIES = [
  ...[0x01100009, 0x00000004, 0x00000000, 0x00001000],
  ...[0x03104009, 0x00000004, 0x00001000, 0x00001000],
  ...[0x04105009, 0x00000004, 0x00002000, 0x00001000],
  ...[0x02146009, 0x00000004, 0x00003000, 0x00001000, 0x00000004],
  ...[0x05147009, 0x00000000, 0x00000000, 0x00000000, 0x00000000],
  ...[0x00018411, 0x00000001, 0x00000801],
];

Deno.test("configuration space of a transitional disk is QEMU's", () => {
  const { r } = withDisk();
  assertEquals(r.configRead(DEVFN, 0), 0x10011af4);
  assertEquals(r.configRead(DEVFN, 8), 0x01000000);
  assertEquals(r.configRead(DEVFN, 0x2c) >>> 0, 0x00021af4);
  assertEquals(r.configRead(DEVFN, 0x34), 0x98);
  assertEquals(r.configRead(DEVFN, 0x3c) >> 8, 1);
  assertEquals(dwords(r, 0x40, 0xa4), QEMU_CAPABILITIES);
  // BAR sizes: 128 ports, 4 KiB, 16 KiB.
  for (const [bar, size] of [[0x10, 0x80], [0x14, 0x1000], [0x20, 0x4000]]) {
    r.configWrite(DEVFN, bar, 0xffffffff);
    assertEquals(-(r.configRead(DEVFN, bar) & ~15) & (bar === 0x10 ? 0xffff : ~0), size);
  }
});

Deno.test("without the legacy interface, without the modern one", () => {
  const modern = withDisk({ "disable-legacy": "on" }).r;
  assertEquals(modern.configRead(DEVFN, 0), 0x10421af4);
  assertEquals(modern.configRead(DEVFN, 8) & 0xff, 1);
  assertEquals(modern.configRead(DEVFN, 0x10), 0);
  const legacy = withDisk({ "disable-modern": "on" }).r;
  assertEquals(legacy.configRead(DEVFN, 0), 0x10011af4);
  assertEquals(legacy.configRead(DEVFN, 0x20), 0);
  assertEquals(legacy.configRead(DEVFN, 0x34), 0x40); // MSI-X alone
});

Deno.test("registers before a driver comes are QEMU's", () => {
  const { r } = withDisk();
  const { io, mem } = r.env;
  assertEquals(io.read(PORTS, 4), 0x79006e54);
  assertEquals(io.read(PORTS + 12, 2), 256);
  // Capacity, geometry and limits, at port 20 while MSI-X is off.
  assertEquals(io.read(PORTS + 20, 4), 0x2000);
  const device = (at: number) => mem.read(BAR4 + 0x2000 + at, 4);
  assertEquals([0x00, 0x0c, 0x10, 0x14].map(device), [0x2000, 0xfe, 0x3f100008, 0x200]);
  assertEquals([0x24, 0x28, 0x2c, 0x30, 0x34].map(device), [0x3fffff, 1, 1, 0x3fffff, 1]);
  assertEquals(device(0x38), 0xffffffff); // only its first byte is there
  mem.write(BAR4, 4, 1);
  assertEquals(mem.read(BAR4 + 4, 4), 0x101);
  assertEquals(mem.read(BAR4 + 0x10, 4), 0x0001ffff);
});

/** Writes a field of the common configuration. */
function common(r: PcRig, at: number, size: AccessSize, value: number): void {
  r.env.mem.write(BAR4 + at, size, value);
}

/** Negotiates everything and sets queue 0 up; `legacy` by the ports. */
function start(r: PcRig, legacy = false): DriverQueue {
  const { io, mem } = r.env;
  const q = new DriverQueue(mem, 256, 0x100000, 0x110000);
  if (legacy) {
    io.write(PORTS + 18, 1, 3);
    io.write(PORTS + 4, 4, io.read(PORTS, 4) & ~(1 << 30) & ~(1 << 29));
    io.write(PORTS + 14, 2, 0);
    io.write(PORTS + 8, 4, q.desc / 4096);
    io.write(PORTS + 18, 1, 7);
    return q;
  }
  common(r, 0x14, 1, 3);
  for (const half of [0, 1]) {
    common(r, 0x00, 4, half);
    common(r, 0x08, 4, half);
    const offered = mem.read(BAR4 + 4, 4);
    common(r, 0x0c, 4, half ? offered : offered & ~(1 << 29));
  }
  common(r, 0x14, 1, 0x0b);
  assertEquals(mem.read(BAR4 + 0x14, 1), 0x0b);
  common(r, 0x16, 2, 0);
  common(r, 0x1a, 2, 1);
  common(r, 0x20, 4, q.desc);
  common(r, 0x28, 4, q.avail);
  common(r, 0x30, 4, q.used);
  common(r, 0x1c, 2, 1);
  common(r, 0x14, 1, 0x0f);
  return q;
}

/** A read of sector `sector`; gives the address of its status byte and of the data. */
function read(q: DriverQueue, head: number, sector: number): { data: number; status: number } {
  const header = new Uint8Array(16);
  new DataView(header.buffer).setUint32(8, sector, true);
  const [, data, status] = q.chain(head, [header, 512, 1]);
  q.offer(head);
  return { data, status };
}

Deno.test("a legacy driver reads a sector and gets INTx, which reading the ISR takes away", () => {
  const { r, dev, drive } = withDisk();
  drive.medium!.write(512, new Uint8Array(512).fill(0x5a));
  const q = start(r, true), { data, status } = read(q, 0, 1);
  r.env.io.write(PORTS + 16, 2, 0);
  assertEquals(q.take(), [0, 513]);
  assertEquals([...q.bytes(data, 2), ...q.bytes(status, 1)], [0x5a, 0x5a, 0]);
  assert(dev.interruptLevel);
  assertEquals(r.env.io.read(PORTS + 19, 1), 1);
  assert(!dev.interruptLevel);
});

Deno.test("a modern driver gets MSI-X messages; masked ones wait in the pending bits", () => {
  const { r, dev } = withDisk();
  const messages: [number, number][] = [];
  r.board.chipset.bus.msi = (address, data) => void messages.push([address, data]);
  const { mem } = r.env;
  mem.write(TABLE + 16, 4, 0xfee00000);
  mem.write(TABLE + 16 + 8, 4, 0x41);
  mem.write(TABLE + 16 + 12, 4, 0);
  r.configWrite(DEVFN, 0x98, 0x80010000 | r.configRead(DEVFN, 0x98));
  const q = start(r), notify = () => mem.write(BAR4 + 0x3000, 2, 0);
  read(q, 0, 0);
  notify();
  assertEquals(messages, [[0xfee00000, 0x41]]);
  assert(!dev.interruptLevel);
  mem.write(TABLE + 16 + 12, 4, 1);
  read(q, 3, 0);
  notify();
  assertEquals(messages.length, 1);
  assertEquals(mem.read(TABLE + 0x800, 4), 2);
  mem.write(TABLE + 16 + 12, 4, 0);
  assertEquals(messages.length, 2);
  assertEquals(mem.read(TABLE + 0x800, 4), 0);
  // A vector the function does not have is none.
  common(r, 0x1a, 2, 7);
  assertEquals(mem.read(BAR4 + 0x1a, 2), 0xffff);
});

Deno.test("vectors=0 leaves INTx to a modern driver", () => {
  const { r, dev } = withDisk({ vectors: "0" });
  assertEquals(r.configRead(DEVFN, 0x34), 0x84);
  const q = start(r);
  read(q, 0, 0);
  r.env.mem.write(BAR4 + 0x3000, 2, 0);
  assert(dev.interruptLevel);
  assertEquals(r.env.mem.read(BAR4 + 0x1000, 1), 1);
  assert(!dev.interruptLevel);
});

Deno.test("without bus mastering nothing is read or written", () => {
  const { r } = withDisk();
  const q = start(r);
  r.configWrite(DEVFN, 4, 3);
  read(q, 0, 0);
  r.env.mem.write(BAR4 + 0x3000, 2, 0);
  assertEquals(q.take(), undefined);
  r.configWrite(DEVFN, 4, 7);
  r.env.mem.write(BAR4 + 0x3000, 2, 0);
  assertEquals(q.take(), [0, 513]);
});

Deno.test("configuration space gives access to the registers (capability 5)", () => {
  const { r } = withDisk();
  const access = (offset: number, length: number) => {
    r.configWrite(DEVFN, 0x88, 4);
    r.configWrite(DEVFN, 0x8c, offset);
    r.configWrite(DEVFN, 0x90, length);
  };
  access(0x2000, 4);
  assertEquals(r.configRead(DEVFN, 0x94), 0x2000);
  access(0x14, 1);
  r.configWrite(DEVFN, 0x94, 3);
  assertEquals(r.env.mem.read(BAR4 + 0x14, 1), 3);
  access(0x3ffe, 4); // not aligned, and behind the end
  r.configWrite(DEVFN, 0x94, 0);
  assertEquals(r.env.mem.read(BAR4 + 0x14, 1), 3);
});

Deno.test("notification ranges follow BARs and queues", () => {
  const { r, dev } = withDisk();
  assertEquals(dev.notifyRanges(), []);
  let told = 0;
  dev.onNotifyRanges = () => told++;
  start(r);
  const ranges = dev.notifyRanges().map(({ space, address, size, datamatch }) => ({
    space,
    address,
    size,
    datamatch,
  }));
  assertEquals(ranges, [
    { space: "mem", address: BAR4 + 0x3000, size: 2, datamatch: undefined },
    { space: "io", address: PORTS + 16, size: 2, datamatch: 0 },
  ]);
  assert(told > 0);
  r.configWrite(DEVFN, 4, 4);
  assertEquals(dev.notifyRanges(), []);
});

Deno.test("a saved function goes on where it was; a reset takes it back", () => {
  const { r, drive } = withDisk();
  drive.medium!.write(0, new Uint8Array(512).fill(7));
  const q = start(r), saved = r.board.save();
  r.board.reset();
  assertEquals(r.env.mem.read(BAR4 + 0x14, 1), 0);
  r.board.load(saved);
  assertEquals(r.env.mem.read(BAR4 + 0x14, 1), 0x0f);
  const { data } = read(q, 0, 0);
  r.env.mem.write(BAR4 + 0x3000, 2, 0);
  assertEquals(q.take(), [0, 513]);
  assertEquals(q.bytes(data, 1)[0], 7);
});

Deno.test("a function can come to a running machine, and frees its drive when it leaves", () => {
  const drive = disk();
  const r = pcRig({ drive: (id) => id === "d0" ? drive : undefined });
  const device: DeviceOptions = {
    driver: "virtio-blk-pci",
    id: "v",
    props: new Map([["drive", "d0"]]),
    loc: "",
  };
  r.board.plug(device);
  assertEquals(r.board.infoVirtio(), "/machine/peripheral/v/virtio-backend [virtio-blk]\n");
  assertEquals(drive.attachedTo, "/machine/peripheral/v/virtio-backend");
  r.board.unplug("v");
  r.board.reset();
  assertEquals([r.board.infoVirtio(), drive.attachedTo], ["", undefined]);
  r.board.plug(device);
  assertEquals(drive.attachedTo, "/machine/peripheral/v/virtio-backend");
});

Deno.test("info mtree names the structures behind a BAR as QEMU does", () => {
  const tree = withDisk().r.board.infoMtree();
  const lines = tree.split("\n").filter((l) => /virtio-pci-|msix/.test(l)).map((l) => l.trim());
  assertEquals([...new Set(lines)].sort(), [
    "00000000febf0000-00000000febf001f (prio 0, i/o): msix-table",
    "00000000febf0000-00000000febf0fff (prio 1, i/o): virtio-blk-pci-msix",
    "00000000febf0800-00000000febf0807 (prio 0, i/o): msix-pba",
    "00000000febf4000-00000000febf4fff (prio 0, i/o): virtio-pci-common-virtio-blk",
    "00000000febf5000-00000000febf5fff (prio 0, i/o): virtio-pci-isr-virtio-blk",
    "00000000febf6000-00000000febf6fff (prio 0, i/o): virtio-pci-device-virtio-blk",
    "00000000febf7000-00000000febf7fff (prio 0, i/o): virtio-pci-notify-virtio-blk",
  ]);
});

Deno.test("random accesses to all registers neither throw nor hang", () => {
  const { r } = withDisk();
  let x = 99;
  const next = () => {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    return x >>> 0;
  };
  const sizes: AccessSize[] = [1, 2, 4];
  for (let n = 0; n < 20000; n++) {
    const size = sizes[next() % 3], value = next() & 1 ? next() & 0xf : next();
    const pick = next() % 5;
    const at = pick === 0
      ? BAR4 + (next() & 3) * 0x1000 + next() % 0x80
      : pick === 1
      ? TABLE + next() % 0x900
      : PORTS + next() % 0x80;
    const space = pick < 2 ? r.env.mem : r.env.io;
    if (pick === 4) r.configWrite(DEVFN, 0x40 + (next() % 0x68 & ~3), value);
    else if (next() & 1) space.write(at, size, value);
    else space.read(at, size);
    if (n % 500 === 0) r.clock.advance(5000);
    if (n % 5000 === 0) r.board.load(r.board.save());
  }
});
