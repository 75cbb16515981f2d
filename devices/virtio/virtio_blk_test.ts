import { assert, assertEquals } from "@std/assert";
import { type BlockBackend, BlockError } from "../../core/block/block.ts";
import { DriveImpl, type DriveOptions } from "../../core/block/drive.ts";
import { MemoryBackend } from "../../core/block/memory.ts";
import { ManualClock } from "../../core/clock.ts";
import { VirtioBlk, type VirtioBlkOptions } from "./virtio_blk.ts";
import { bit, Feature, Status } from "./virtio_regs.ts";
import { deviceRig, type DriverQueue, type Part } from "./virtio_rig.ts";

const T = { IN: 0, OUT: 1, SCSI: 2, FLUSH: 4, GET_ID: 8, DISCARD: 11, WRITE_ZEROES: 13 };
const OK = 0, IOERR = 1, UNSUPP = 2;
const WITHOUT_EVENTS = ~bit(Feature.EVENT_IDX);

/** A back end whose operations finish when the test says so. */
class Slow extends MemoryBackend {
  waiting: (() => void)[] = [];
  override read(offset: number, into: Uint8Array): undefined {
    return this.#later(() => super.read(offset, into)) as unknown as undefined;
  }
  #later(f: () => void): Promise<void> {
    return new Promise((resolve) => this.waiting.push(() => (f(), resolve())));
  }
}

function rig(
  options: Partial<VirtioBlkOptions> = {},
  medium: BlockBackend = new MemoryBackend(new Uint8Array(1 << 20)),
  driveOptions: Partial<DriveOptions> = {},
) {
  const stops: string[] = [];
  const drive = new DriveImpl("d0", { kind: "disk", medium, ...driveOptions }, {
    stopOnError: (d) => void stops.push(d.name),
    nextNodeName: () => "#block1",
  });
  const geometry = { cylinders: 2, heads: 16, sectors: 63 };
  const device = new VirtioBlk({ clock: new ManualClock(), drive, geometry, ...options });
  const r = deviceRig(device, 1, device.modernFeatures & WITHOUT_EVENTS);
  return { ...r, q: r.queues[0], drive, medium, stops };
}

function header(type: number, sector: number): Uint8Array {
  const b = new Uint8Array(16), v = new DataView(b.buffer);
  v.setUint32(0, type, true);
  v.setBigUint64(8, BigInt(sector), true);
  return b;
}

function range(sector: number, sectors: number, flags = 0): Uint8Array {
  const b = new Uint8Array(16), v = new DataView(b.buffer);
  v.setBigUint64(0, BigInt(sector), true);
  v.setUint32(8, sectors, true);
  v.setUint32(12, flags, true);
  return b;
}

let head = 0;
/** Makes a request available; gives where its parts are. */
function offer(q: DriverQueue, type: number, sector: number, ...parts: Part[]): number[] {
  head = (head + 4) & 63;
  const at = q.chain(head, [header(type, sector), ...parts, 1]);
  q.offer(head);
  return at;
}

/** Carries a request out; gives its status and the parts' addresses. */
function request(r: ReturnType<typeof rig>, type: number, sector: number, ...parts: Part[]) {
  const at = offer(r.q, type, sector, ...parts);
  r.device.notifyQueue(0);
  assert(r.q.take() !== undefined);
  return { status: r.q.bytes(at.at(-1)!, 1)[0], at };
}

Deno.test("sectors are read and written, in buffers of any size", () => {
  const r = rig();
  const data = new Uint8Array(1024).map((_, n) => n * 7);
  assertEquals(request(r, T.OUT, 3, data.slice(0, 100), data.slice(100)).status, OK);
  const { status, at } = request(r, T.IN, 3, 1000, 24);
  assertEquals(status, OK);
  assertEquals([...r.q.bytes(at[1], 1000), ...r.q.bytes(at[2], 24)], [...data]);
  const { rdOps, wrOps, rdBytes, wrBytes } = r.drive.stats;
  assertEquals([rdOps, wrOps, rdBytes, wrBytes], [1, 1, 1024, 1024]);
});

Deno.test("what a disk refuses", () => {
  const r = rig({ logicalBlockSize: 4096, physicalBlockSize: 4096 });
  assertEquals(request(r, T.IN, 2048, 4096).status, IOERR, "behind the end");
  assertEquals(request(r, T.IN, 2040, 8192).status, IOERR, "across the end");
  assertEquals(request(r, T.IN, 2 ** 50, 4096).status, IOERR, "far away");
  assertEquals(request(r, T.IN, 1, 4096).status, IOERR, "not on a block");
  assertEquals(request(r, T.IN, 0, 512).status, IOERR, "part of a block");
  assertEquals(request(r, T.SCSI, 0, 512).status, UNSUPP);
  assertEquals(request(r, 99, 0).status, UNSUPP);
  assertEquals(request(r, T.OUT, 0, new Uint8Array(4096)).status, OK);
});

Deno.test("a read-only medium shows it and takes no writes", () => {
  const r = rig({}, new MemoryBackend(new Uint8Array(65536), { readonly: true }));
  assert(r.device.modernFeatures & bit(5));
  assertEquals(request(r, T.OUT, 0, new Uint8Array(512)).status, IOERR);
  assertEquals(request(r, T.WRITE_ZEROES, 0, range(0, 1)).status, IOERR);
});

Deno.test("the identifier is the serial, padded with zeros", () => {
  const r = rig({ serial: "disk one" });
  const { at, status } = request(r, T.GET_ID, 0, 20);
  assertEquals(status, OK);
  assertEquals(new TextDecoder().decode(r.q.bytes(at[1], 20)), "disk one".padEnd(20, "\0"));
});

Deno.test("write zeroes and discard: one range, flags by the specification", () => {
  const r = rig();
  r.medium.write(0, new Uint8Array(4096).fill(9));
  assertEquals(request(r, T.WRITE_ZEROES, 0, range(1, 2, 1)).status, OK);
  const now = new Uint8Array(2048);
  r.medium.read(0, now);
  assertEquals([now[511], now[512], now[1535], now[1536]], [9, 0, 0, 9]);
  assertEquals(request(r, T.DISCARD, 0, range(0, 2)).status, OK);
  assertEquals(request(r, T.DISCARD, 0, range(0, 2, 1)).status, UNSUPP);
  assertEquals(request(r, T.WRITE_ZEROES, 0, range(0, 2, 2)).status, UNSUPP);
  assertEquals(request(r, T.WRITE_ZEROES, 0, range(2047, 2)).status, IOERR);
  assertEquals(request(r, T.WRITE_ZEROES, 0, range(0, 0xffffffff)).status, IOERR);
  assertEquals(request(r, T.WRITE_ZEROES, 0, range(0, 1), range(4, 1)).status, UNSUPP);
  const off = rig({ discard: false, writeZeroes: false });
  assertEquals(request(off, T.DISCARD, 0, range(0, 1)).status, UNSUPP);
});

for (const [what, parts] of [["a header", [8, 1]], ["a status byte", [16]]] as const) {
  Deno.test(`a request without ${what} is the driver's fault`, () => {
    const r = rig();
    r.q.chain(0, parts.map((n, i) => i === 0 ? new Uint8Array(n) : n));
    r.q.offer(0);
    r.device.notifyQueue(0);
    assert(r.device.status & Status.NEEDS_RESET);
  });
}

Deno.test("the cache: flushed with each write when the driver has switched it off", () => {
  const r = rig();
  assertEquals(r.device.readConfig(32, 1), 1);
  request(r, T.OUT, 0, new Uint8Array(512));
  assertEquals(r.drive.stats.flushOps, 0);
  request(r, T.FLUSH, 0);
  assertEquals(r.drive.stats.flushOps, 1);
  r.device.writeConfig(32, 1, 0);
  request(r, T.OUT, 0, new Uint8Array(512));
  assertEquals(r.drive.stats.flushOps, 2);
});

Deno.test("a driver that knows no flush gets durable writes", () => {
  const drive = new DriveImpl("d0", {
    kind: "disk",
    medium: new MemoryBackend(new Uint8Array(65536)),
  }, { stopOnError: () => {}, nextNodeName: () => "" });
  const geometry = { cylinders: 2, heads: 16, sectors: 63 };
  const device = new VirtioBlk({ clock: new ManualClock(), drive, geometry });
  const r = deviceRig(device, 1, bit(Feature.VERSION_1));
  r.queues[0].chain(0, [header(T.OUT, 0), new Uint8Array(512), 1]);
  r.queues[0].offer(0);
  device.notifyQueue(0);
  assertEquals(drive.stats.flushOps, 1);
});

Deno.test("a failing back end: reported, ignored, or stopping the machine until it runs again", () => {
  class Full extends MemoryBackend {
    full = true;
    override write(offset: number, from: Uint8Array): undefined {
      if (this.full) throw new BlockError("ENOSPC", "No space left on device");
      return super.write(offset, from);
    }
  }
  const report = rig({}, new Full(new Uint8Array(65536)), { werror: "report" });
  assertEquals(request(report, T.OUT, 0, new Uint8Array(512)).status, IOERR);
  const ignore = rig({}, new Full(new Uint8Array(65536)), { werror: "ignore" });
  assertEquals(request(ignore, T.OUT, 0, new Uint8Array(512)).status, OK);
  const medium = new Full(new Uint8Array(65536)), stop = rig({}, medium, { werror: "enospc" });
  const at = offer(stop.q, T.OUT, 0, new Uint8Array(512).fill(3));
  stop.device.notifyQueue(0);
  assertEquals([stop.q.take(), stop.stops], [undefined, ["d0"]]);
  medium.full = false;
  stop.drive.resume();
  assert(stop.q.take() !== undefined);
  assertEquals([stop.q.bytes(at.at(-1)!, 1)[0], medium.bytes[0]], [OK, 3]);
});

Deno.test("a slow back end: requests overlap, a reset forgets them, a load starts them again", async () => {
  const medium = new Slow(new Uint8Array(65536).fill(4)), r = rig({}, medium);
  const turn = async () => {
    for (const go of medium.waiting.splice(0)) go();
    for (let n = 0; n < 8; n++) await Promise.resolve();
  };
  const first = offer(r.q, T.IN, 0, 512);
  offer(r.q, T.GET_ID, 0, 20);
  r.device.notifyQueue(0);
  assertEquals(r.q.take()?.[1], 21); // the second overtakes the first
  assertEquals(r.q.take(), undefined);
  const saved = r.device.save();
  r.device.reset();
  await turn();
  assertEquals(r.q.take(), undefined);
  r.device.load(saved);
  await turn();
  assertEquals(r.q.take()?.[1], 513);
  assertEquals(r.q.bytes(first[1], 1)[0], 4);
});

Deno.test("a transfer longer than the device's buffer", () => {
  const bytes = new Uint8Array(1 << 20).map((_, n) => n >> 8);
  const r = rig({}, new MemoryBackend(bytes));
  const at = offer(r.q, T.IN, 0, 600 * 1024);
  r.device.notifyQueue(0);
  assertEquals(r.q.take()?.[1], 600 * 1024 + 1);
  assertEquals(r.q.bytes(at[1], 600 * 1024), bytes.subarray(0, 600 * 1024));
});
