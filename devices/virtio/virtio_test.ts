import { assert, assertEquals } from "@std/assert";
import { ManualClock } from "../../core/clock.ts";
import { irqLine } from "../../core/device.ts";
import { deviceRig, DriverQueue, guestRam } from "./virtio_rig.ts";
import { VirtioBalloon } from "./virtio_balloon.ts";
import { VirtioMmio } from "./virtio_mmio.ts";
import { bit, Feature } from "./virtio_regs.ts";
import { VirtioRng } from "./virtio_rng.ts";

const BASE = 0xfeb00000;
const counting = () => {
  let n = 0;
  return { fill: (b: Uint8Array) => b.forEach((_, i) => b[i] = n++) };
};

function window(legacy: boolean) {
  const mem = guestRam(), levels: boolean[] = [];
  const mmio = new VirtioMmio(mem, irqLine((l) => void levels.push(l)), legacy, BASE);
  mem.map(mmio.region, BASE);
  const get = (at: number) => mem.read(BASE + at, 4);
  const put = (at: number, value: number) => mem.write(BASE + at, 4, value);
  return { mem, mmio, levels, get, put };
}

Deno.test("an empty window has device type 0", () => {
  for (const legacy of [true, false]) {
    const { get } = window(legacy);
    // "virt", version, type, "QEMU"
    assertEquals([0, 4, 8, 12].map(get), [0x74726976, legacy ? 1 : 2, 0, 0x554d4551]);
  }
});

Deno.test("virtio-mmio version 2: negotiation, queue, interrupt, reset", () => {
  const { mem, mmio, levels, get, put } = window(false);
  const device = new VirtioRng({ clock: new ManualClock(), rng: counting() });
  mmio.plug(device);
  assertEquals([8, 0x34].map(get), [4, 8]);
  put(0x70, 3);
  // Accepting nothing leaves FEATURES_OK off: 3.1.1, step 6.
  put(0x70, 0x0b);
  assertEquals(get(0x70), 3);
  put(0x14, 1);
  assertEquals(get(0x10), 0x101);
  put(0x24, 1);
  put(0x20, 1);
  put(0x70, 0x0b);
  assertEquals(get(0x70), 0x0b);
  const q = new DriverQueue(mem, 4, 0x1000);
  put(0x30, 0);
  put(0x38, 4);
  for (const [at, address] of [[0x80, q.desc], [0x90, q.avail], [0xa0, q.used]]) put(at, address);
  put(0x44, 1);
  put(0x70, 0x0f);
  assertEquals(
    mmio.notifyRanges().map(({ space, address, size, datamatch }) => [
      space,
      address,
      size,
      datamatch,
    ]),
    [["mem", BASE + 0x50, 4, 0]],
  );
  const [at] = q.chain(0, [5]);
  q.offer(0);
  put(0x50, 0);
  assertEquals(q.take(), [0, 5]);
  assertEquals([...q.bytes(at, 5)], [0, 1, 2, 3, 4]);
  assertEquals([get(0x60), levels], [1, [true]]);
  put(0x64, 1);
  assertEquals([get(0x60), levels], [0, [true, false]]);
  put(0x70, 0);
  assertEquals([get(0x70), get(0x44)], [0, 0]);
  assertEquals(mmio.notifyRanges(), []);
});

Deno.test("virtio-mmio version 1: page frame numbers and the legacy layout", () => {
  const { mem, mmio, levels, get, put } = window(true);
  const device = new VirtioRng({ clock: new ManualClock(), rng: counting() });
  mmio.plug(device);
  // NOTIFY_ON_EMPTY, ANY_LAYOUT, INDIRECT_DESC, EVENT_IDX
  assertEquals(get(0x10), 0x39000000);
  put(0x14, 1);
  assertEquals(get(0x10), 0, "no features beyond 31");
  put(0x70, 3);
  put(0x24, 0);
  put(0x20, 0);
  put(0x28, 4096);
  const q = new DriverQueue(mem, 8, 0x3000);
  put(0x30, 0);
  put(0x38, 8);
  put(0x3c, 4096);
  put(0x40, 3);
  assertEquals(get(0x40), 3);
  put(0x70, 7);
  q.chain(0, [16]);
  q.offer(0);
  put(0x50, 0);
  assertEquals(q.take(), [0, 16]);
  assertEquals(levels, [true]);
  put(0x40, 0); // the driver takes the queue away: everything begins anew
  assertEquals([get(0x70), get(0x60)], [0, 0]);
});

Deno.test("a window in use goes on after a load", () => {
  const a = window(false);
  const device = new VirtioRng({ clock: new ManualClock(), rng: counting() });
  a.mmio.plug(device);
  device.transport.memory();
  const q = new DriverQueue(a.mem, 8, 0x1000);
  Object.assign(device.queues[0].state, { desc: q.desc, avail: q.avail, used: q.used });
  a.put(0x24, 1);
  a.put(0x20, 1);
  a.put(0x70, 0x0f);
  a.put(0x44, 1);
  const saved = a.mmio.save();
  a.mmio.reset();
  assertEquals(a.get(0x44), 0);
  a.mmio.load(saved);
  q.chain(0, [4]);
  q.offer(0);
  a.put(0x50, 0);
  assertEquals(q.take(), [0, 4]);
});

Deno.test("random numbers: at most so many in a period", () => {
  const clock = new ManualClock();
  const device = new VirtioRng({ clock, rng: counting(), maxBytes: 10, period: 100 });
  const { queues: [q] } = deviceRig(device, 1);
  for (let n = 0; n < 3; n++) {
    q.chain(n, [8]);
    q.offer(n);
  }
  device.notifyQueue(0);
  assertEquals([q.take(), q.take(), q.take()], [[0, 8], [1, 2], undefined]);
  clock.advance(99e6);
  assertEquals(q.take(), undefined);
  const saved = device.save();
  device.load(saved);
  clock.advance(1e6);
  assertEquals(q.take(), [2, 8]);
});

Deno.test("a buffer as large as memory gets a part of it, and no more time", () => {
  const device = new VirtioRng({ clock: new ManualClock(), rng: counting() });
  const { queues: [q] } = deviceRig(device, 1);
  q.descriptor(0, 0, 0x100000, 2);
  q.descriptor(0, 0x80000, 0x80000, 2);
  q.offer(0);
  device.notifyQueue(0);
  assertEquals(q.take(), [0, 65536]);
});

Deno.test("balloon: a target is announced, the guest's answer counts", () => {
  const changes: number[] = [];
  const device = new VirtioBalloon({
    clock: new ManualClock(),
    ramSize: 128 << 20,
    onChange: (bytes) => void changes.push(bytes),
  });
  const { queues: [inflate, , stats], interrupts } = deviceRig(device, 3);
  assertEquals(device.actual, 128 << 20);
  device.setTarget(64 << 20);
  assertEquals(interrupts.length, 1);
  assertEquals(device.isr & 2, 2);
  assertEquals(device.readConfig(0, 4), 16384);
  inflate.chain(0, [new Uint8Array(1024)]);
  inflate.offer(0);
  device.notifyQueue(0);
  assertEquals(inflate.take(), [0, 0]);
  device.writeConfig(4, 4, 16384);
  assertEquals([device.actual, changes], [64 << 20, [64 << 20]]);
  device.setTarget(2 ** 40);
  assertEquals(device.readConfig(0, 4), 0, "never more than there is");
  // The first statistics buffer stays; the next gives it company no longer than needed.
  const stat = new Uint8Array(10);
  new DataView(stat.buffer).setUint16(0, 4, true);
  new DataView(stat.buffer).setBigUint64(2, 77n, true);
  stats.chain(0, [stat]);
  stats.offer(0);
  device.notifyQueue(2);
  assertEquals(stats.take(), undefined);
  assertEquals(device.state.stats.get(4), 77n);
  device.writeConfig(4, 4, 0xffffffff);
  assertEquals(device.actual, 0, "a lie does not make memory negative");
});

Deno.test("features: the legacy ones are not offered to modern drivers", () => {
  const device = new VirtioRng({ clock: new ManualClock(), rng: counting() });
  const legacy = bit(Feature.NOTIFY_ON_EMPTY) | bit(Feature.ANY_LAYOUT);
  assertEquals(device.modernFeatures & legacy, 0n);
  assertEquals(device.legacyFeatures & legacy, legacy);
  assert(device.modernFeatures & bit(Feature.VERSION_1));
});
