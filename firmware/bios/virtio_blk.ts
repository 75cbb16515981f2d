/**
 * Disks behind virtio: VIRTIO specification 1.2, 5.2. One request at a time, in a virtqueue that all
 * disks share: the disk that is asked gets it, and the one that had it is reset. A transfer is started,
 * then polled until it is done, as in ata.ts.
 */
import { DriveFlag, type DriveInfo } from "./drives.ts";
import type { FrameContext } from "./frame.ts";
import { Private, PRIVATE_BASE } from "./layout.ts";
import { allocate } from "./table_space.ts";
import {
  openPci,
  openWindow,
  RING_ALIGN,
  type VirtioPort,
  VirtioStatus,
  type Virtqueue,
} from "./virtio.ts";

/** Device type (5.2.1). */
export const BLOCK_DEVICE = 2;
/** Feature bits (5.2.3, 6). */
const F_GEOMETRY = 1 << 4, F_RO = 1 << 5, F_BLK_SIZE = 1 << 6;
const F_VERSION_1 = 1 << 0, F_ACCESS_PLATFORM = 1 << 1; // of word 1
/** Offsets in the configuration (5.2.4). */
const Config = { CAPACITY: 0, CYLINDERS: 16, HEADS: 18, SECTORS: 19, BLK_SIZE: 20 } as const;
/** Requests (5.2.6). */
const T_IN = 0, T_OUT = 1, S_OK = 0;
/** Descriptor and ring flags (2.7.5, 2.7.6). */
const NEXT = 1, WRITABLE = 2, NO_INTERRUPT = 1;

const REQUEST = PRIVATE_BASE + Private.virtioRequest, STATUS = PRIVATE_BASE + Private.virtioStatus;
const OWNER = PRIVATE_BASE + Private.virtioOwner;
const RING = PRIVATE_BASE + Private.virtioRing, RING_SIZE = PRIVATE_BASE + Private.virtioRingSize;
/** Entries that the queue has where the BIOS may choose: a transfer in virtual-8086 mode fits. */
const QUEUE_SIZE = 64;
/** A request of one piece takes three. */
const QUEUE_LEAST = 4;
const PAGE = 4096;
const TRIES = 5000;

export type VirtioProgress = "busy" | "done" | "error";

export function isVirtio(d: DriveInfo): boolean {
  return (d.flags & DriveFlag.virtio) !== 0;
}

/** What names a disk among all: the function's number, or the window's address. */
function keyOf(d: DriveInfo): number {
  return d.bdf === 0xffff ? ((d.ctl << 16) | d.cmd) >>> 0 : d.bdf;
}

function open(c: FrameContext, key: number): VirtioPort | undefined {
  return key < 0x10000 ? openPci(c, key) : openWindow(c, key)?.port;
}

/** The three parts one after the other; the used ring begins at a multiple of `align`. */
function layOut(base: number, size: number, align: number): Virtqueue {
  const available = base + 16 * size;
  const used = Math.ceil((available + 6 + 2 * size) / align) * align;
  return { size, descriptors: base, available, used };
}

/** The queue as this device has to have it; undefined when it cannot be had. */
function queueFor(c: FrameContext, port: VirtioPort): Virtqueue | undefined {
  const max = port.queueMax();
  if (max < QUEUE_LEAST) return undefined;
  if (!port.fixedQueue) {
    const size = Math.min(QUEUE_SIZE, 2 ** Math.floor(Math.log2(max)));
    return layOut(PRIVATE_BASE + Private.virtioQueue, size, RING_ALIGN);
  }
  const ring = c.read32(RING);
  return ring !== 0 && ringBytes(max) <= c.read32(RING_SIZE) ? layOut(ring, max, PAGE) : undefined;
}

function ringBytes(size: number): number {
  return layOut(0, size, PAGE).used + 6 + 8 * size;
}

/** Takes memory for the queue of a function with legacy ports only, whose size it dictates. */
function reserveRing(c: FrameContext, port: VirtioPort): void {
  if (!port.fixedQueue) return;
  const bytes = ringBytes(port.queueMax());
  if (bytes <= c.read32(RING_SIZE)) return;
  const at = allocate(c, "high", bytes, PAGE);
  if (at === undefined) return;
  c.write32(RING, at);
  c.write32(RING_SIZE, bytes);
}

function reset(port: VirtioPort): boolean {
  port.setStatus(0);
  for (let n = 0; n < TRIES; n++) if (port.status() === 0) return true;
  return false;
}

/** Resets the device and settles features (3.1.1, steps 1 to 6); gives those of word 0. */
function negotiate(port: VirtioPort): number | undefined {
  const { ACKNOWLEDGE, DRIVER, FEATURES_OK } = VirtioStatus;
  if (!reset(port)) return undefined;
  port.setStatus(ACKNOWLEDGE);
  port.setStatus(ACKNOWLEDGE | DRIVER);
  const accepted = port.features(0) & (F_GEOMETRY | F_RO | F_BLK_SIZE);
  port.acceptFeatures(0, accepted);
  if (!port.modern) return accepted;
  const high = port.features(1);
  if ((high & F_VERSION_1) === 0) return undefined;
  port.acceptFeatures(1, high & (F_VERSION_1 | F_ACCESS_PLATFORM));
  port.setStatus(ACKNOWLEDGE | DRIVER | FEATURES_OK);
  return port.status() & FEATURES_OK ? accepted : undefined;
}

/** Makes the device use the BIOS's queue, which a program may have changed. */
function prepare(c: FrameContext, key: number, port: VirtioPort): Virtqueue | undefined {
  const { DRIVER_OK, NEEDS_RESET } = VirtioStatus;
  const owner = c.read32(OWNER), q = queueFor(c, port);
  const running = (port.status() & (DRIVER_OK | NEEDS_RESET)) === DRIVER_OK;
  if (q !== undefined && owner === key && running && port.hasQueue(q)) return q;
  if (owner !== 0 && owner !== key) open(c, owner)?.setStatus(0);
  c.write32(OWNER, 0);
  if (negotiate(port) === undefined) return undefined;
  const fresh = queueFor(c, port);
  if (fresh === undefined) return undefined;
  c.writeBytes(
    fresh.descriptors,
    new Uint8Array(fresh.used + 6 + 8 * fresh.size - fresh.descriptors),
  );
  c.write16(fresh.available, NO_INTERRUPT);
  port.setUpQueue(fresh);
  port.setStatus(port.status() | DRIVER_OK);
  c.write32(OWNER, key);
  return fresh;
}

/** Pieces of `length` bytes at linear `address` that lie together in physical memory. */
function pieces(c: FrameContext, address: number, length: number): [at: number, size: number][] {
  if (c.machine.translate === undefined) return [[address, length]];
  const list: [number, number][] = [];
  while (length > 0) {
    const size = Math.min(length, PAGE - (address % PAGE)), at = c.physical(address);
    const last = list.at(-1);
    if (last !== undefined && last[0] + last[1] === at) last[1] += size;
    else list.push([at, size]);
    address += size;
    length -= size;
  }
  return list;
}

/** Starts reading (or writing) `count` sectors of 512 bytes at `lba` to linear `address`. */
export function startVirtioTransfer(
  c: FrameContext,
  d: DriveInfo,
  lba: number,
  count: number,
  address: number,
  write: boolean,
): boolean {
  const key = keyOf(d), port = open(c, key), q = port && prepare(c, key, port);
  if (q === undefined) return false;
  const data = pieces(c, address, count * 512);
  if (data.length + 2 > q.size) return false;
  c.write32(REQUEST, write ? T_OUT : T_IN);
  c.write32(REQUEST + 4, 0);
  c.write32(REQUEST + 8, lba % 2 ** 32);
  c.write32(REQUEST + 12, Math.floor(lba / 2 ** 32));
  c.write8(STATUS, 0xff);
  const describe = (n: number, at: number, size: number, flags: number) => {
    const entry = q.descriptors + 16 * n;
    c.write32(entry, at % 2 ** 32);
    c.write32(entry + 4, Math.floor(at / 2 ** 32));
    c.write32(entry + 8, size);
    c.write16(entry + 12, flags);
    c.write16(entry + 14, flags & NEXT ? n + 1 : 0);
  };
  describe(0, REQUEST, 16, NEXT);
  data.forEach(([at, size], n) => describe(1 + n, at, size, NEXT | (write ? 0 : WRITABLE)));
  describe(1 + data.length, STATUS, 1, WRITABLE);
  const index = c.read16(q.available + 2);
  c.write16(q.available + 4 + 2 * (index % q.size), 0);
  c.write16(q.available + 2, (index + 1) & 0xffff);
  port!.notify();
  return true;
}

export function pollVirtio(c: FrameContext, d: DriveInfo): VirtioProgress {
  const key = keyOf(d), port = open(c, key), q = port && queueFor(c, port);
  if (q === undefined || c.read32(OWNER) !== key) return "error";
  if (c.read16(q.used + 2) !== c.read16(q.available + 2)) {
    return port!.status() & VirtioStatus.NEEDS_RESET ? "error" : "busy";
  }
  port!.takeInterrupt();
  return c.read8(STATUS) === S_OK ? "done" : "error";
}

/** What POST asks of a disk. */
export interface VirtioDisk {
  /** Of 512 bytes. */
  readonly sectors: number;
  /** The geometry that the device tells; zeros when it does not. */
  readonly cylinders: number;
  readonly heads: number;
  readonly sectorsPerTrack: number;
}

/** Asks a disk what it is, and leaves it reset. Undefined when the BIOS cannot serve it. */
export function identifyVirtio(c: FrameContext, port: VirtioPort): VirtioDisk | undefined {
  const features = negotiate(port);
  if (features !== undefined) reserveRing(c, port);
  const usable = features !== undefined && queueFor(c, port) !== undefined &&
    ((features & F_BLK_SIZE) === 0 || port.config(Config.BLK_SIZE, 4) === 512);
  const told = usable && (features & F_GEOMETRY) !== 0;
  const disk = usable
    ? {
      sectors: port.config(Config.CAPACITY, 4) + port.config(Config.CAPACITY + 4, 4) * 2 ** 32,
      cylinders: told ? port.config(Config.CYLINDERS, 2) : 0,
      heads: told ? port.config(Config.HEADS, 1) : 0,
      sectorsPerTrack: told ? port.config(Config.SECTORS, 1) : 0,
    }
    : undefined;
  reset(port);
  return disk;
}
