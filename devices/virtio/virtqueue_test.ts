import { assert, assertEquals } from "@std/assert";
import { ManualClock } from "../../core/clock.ts";
import { VirtioDevice } from "./virtio_device.ts";
import { bit, Feature, Status } from "./virtio_regs.ts";
import { type DeviceRig, deviceRig, RAM_SIZE } from "./virtio_rig.ts";
import type { Chain } from "./virtqueue.ts";

/** Answers each chain with its readable bytes in its writable ones, unless told to keep it. */
class Echo extends VirtioDevice {
  override readonly type = "echo";
  override readonly shortName = "echo";
  override readonly deviceId = 0;
  keep = false;
  kept: Chain[] = [];
  constructor() {
    super(new ManualClock(), () => ({}), 0);
    this.addQueue(64, (q) =>
      q.drain((c) => {
        if (this.keep) return void this.kept.push(c);
        const bytes = new Uint8Array(c.outLength);
        c.read(0, bytes);
        q.push(c, c.write(0, bytes));
        q.signal();
      }));
  }
  protected override deviceFeatures(): bigint {
    return 0n;
  }
}

const VERSION_1 = bit(Feature.VERSION_1);
const EVENT_IDX = bit(Feature.EVENT_IDX);

function echo(features = VERSION_1): DeviceRig<Echo> {
  return deviceRig(new Echo(), 1, features);
}

const text = (s: string) => new TextEncoder().encode(s);

for (const indirect of [false, true]) {
  Deno.test(`a chain of several buffers, ${indirect ? "in an indirect table" : "direct"}`, () => {
    const { device, queues: [q], interrupts } = echo();
    const at = q.chain(3, [text("hello "), text("world"), 4, 100], indirect);
    q.offer(3);
    device.notifyQueue(0);
    assertEquals(q.take(), [3, 11]);
    assertEquals(q.take(), undefined);
    assertEquals(q.bytes(at[2], 4), text("hell"));
    assertEquals(q.bytes(at[3], 7), text("o world"));
    assertEquals(interrupts, [0]);
    assertEquals(device.isr, 1);
  });
}

Deno.test("indices wrap at 65536", () => {
  const { device, queues: [q] } = echo();
  const s = device.queues[0].state;
  q.startAt(65534);
  Object.assign(s, { lastAvail: 65534, usedIndex: 65534 });
  for (let n = 0; n < 5; n++) {
    q.chain(n, [text(`${n}`)]);
    q.offer(n);
    device.notifyQueue(0);
    assertEquals(q.take(), [n, 0]);
  }
  assertEquals(q.usedIndex, 3);
});

Deno.test("without event indices the driver's flag holds interrupts back", () => {
  const { device, mem, queues: [q], interrupts } = echo();
  mem.write(q.avail, 2, 1);
  q.chain(0, [text("a")]);
  q.offer(0);
  device.notifyQueue(0);
  assertEquals(q.take(), [0, 0]);
  assertEquals(interrupts, []);
  mem.write(q.avail, 2, 0);
  q.offer(0);
  device.notifyQueue(0);
  assertEquals(interrupts.length, 1);
});

Deno.test("with event indices an interrupt comes when the used index passes the driver's mark", () => {
  const { device, mem, queues: [q], interrupts } = echo(VERSION_1 | EVENT_IDX);
  const usedEvent = q.avail + 4 + 2 * q.size, availEvent = q.used + 4 + 8 * q.size;
  const one = (n: number) => {
    q.chain(n, [text("a")]);
    q.offer(n);
    device.notifyQueue(0);
  };
  one(0); // the first is told in any case
  assertEquals(interrupts.length, 1);
  assertEquals(mem.read(availEvent, 2), 1);
  mem.write(usedEvent, 2, 3);
  one(1);
  one(2);
  assertEquals(interrupts.length, 1);
  one(3);
  assertEquals(interrupts.length, 2);
  one(4);
  assertEquals(interrupts.length, 2);
  assertEquals(mem.read(availEvent, 2), 5);
});

Deno.test("a legacy driver that asks is told when the queue has run empty", () => {
  const features = bit(Feature.NOTIFY_ON_EMPTY);
  const { device, mem, queues: [q], interrupts } = echo(features);
  mem.write(q.avail, 2, 1);
  q.chain(0, [text("a")]);
  q.offer(0);
  device.notifyQueue(0);
  assertEquals(interrupts.length, 1);
});

// What a driver must not do. Each leaves the device in need of a reset, and nothing else.
const BAD: Record<string, (r: DeviceRig<Echo>) => void> = {
  "a loop of descriptors": ({ queues: [q] }) => {
    q.descriptor(0, 0x8000, 4, 1, 1);
    q.descriptor(1, 0x8000, 4, 1, 0);
    q.offer(0);
  },
  "a head beyond the table": ({ queues: [q] }) => q.offer(64),
  "a next beyond the table": ({ queues: [q] }) => {
    q.descriptor(0, 0x8000, 4, 1, 64);
    q.offer(0);
  },
  "more available than fits": ({ mem, queues: [q] }) => mem.write(q.avail + 2, 2, 65),
  "an empty buffer": ({ queues: [q] }) => {
    q.descriptor(0, 0x8000, 0);
    q.offer(0);
  },
  "a readable buffer behind a writable one": ({ queues: [q] }) => {
    q.descriptor(0, 0x8000, 4, 3, 1);
    q.descriptor(1, 0x9000, 4);
    q.offer(0);
  },
  "a buffer that ends behind memory": ({ queues: [q] }) => {
    q.descriptor(0, RAM_SIZE - 2, 4);
    q.offer(0);
  },
  "a buffer at no address of this world": ({ queues: [q] }) => {
    q.descriptor(0, 2 ** 63, 4);
    q.offer(0);
  },
  "a buffer of 4 GiB": ({ queues: [q] }) => {
    q.descriptor(0, 0, 0xffffffff, 2);
    q.offer(0);
  },
  "an indirect table of odd length": ({ queues: [q] }) => {
    q.descriptor(0, 0x8000, 17, 4);
    q.offer(0);
  },
  "an indirect table without end": ({ queues: [q] }) => {
    q.descriptor(0, 0x8000, 0xfffffff0, 4);
    q.offer(0);
  },
  "an indirect table in an indirect table": ({ queues: [q] }) => {
    q.descriptor(0, 0x8000, 16, 4);
    q.descriptor(0, 0x9000, 16, 4, 0, 0x8000);
    q.offer(0);
  },
  "a loop in an indirect table": ({ queues: [q] }) => {
    q.descriptor(0, 0x8000, 32, 4);
    q.descriptor(0, 0x9000, 4, 1, 1, 0x8000);
    q.descriptor(1, 0x9000, 4, 1, 0, 0x8000);
    q.offer(0);
  },
};

for (const [what, spoil] of Object.entries(BAD)) {
  Deno.test(`a driver's fault: ${what}`, () => {
    const r = echo();
    spoil(r);
    r.device.notifyQueue(0);
    assert(r.device.status & Status.NEEDS_RESET);
    assertEquals(r.queues[0].usedIndex, 0);
    assertEquals(r.device.isr, 3, "the driver is told by a configuration interrupt");
    // Nothing goes on until a reset.
    r.queues[0].chain(5, [text("x")]);
    r.queues[0].offer(5);
    r.device.notifyQueue(0);
    assertEquals(r.queues[0].usedIndex, 0);
    r.device.setStatus(0, true);
    assertEquals([r.device.status, r.device.broken, r.device.isr], [0, false, 0]);
  });
}

Deno.test("rings outside memory are a fault", () => {
  const { device } = echo();
  const q = device.queues[0];
  q.reset();
  Object.assign(q.state, { size: 64, desc: RAM_SIZE - 64, avail: 0x1000, used: 0x2000 });
  q.enable();
  assert(device.status & Status.NEEDS_RESET);
});

Deno.test("random rings and descriptors never throw and always come back", () => {
  let x = 0x12345;
  const next = () => {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    return x >>> 0;
  };
  for (let round = 0; round < 400; round++) {
    const { device, mem, queues: [q] } = echo(round & 1 ? VERSION_1 | EVENT_IDX : VERSION_1);
    for (let n = 0; n < 64; n++) {
      const address = next() & 1 ? next() % RAM_SIZE : next() * (next() & 1 ? 1 : 65536);
      const length = next() & 3 ? next() % 5000 : next();
      q.descriptor(n, address, length, next() & 7, next() % 70);
      mem.write(q.avail + 4 + 2 * n, 2, next() % 66);
    }
    mem.write(q.avail + 2, 2, next() % 66);
    device.notifyQueue(0);
    device.notifyQueue(next());
  }
});

Deno.test("chains under way are known after a load; the place in the rings is kept", () => {
  const a = echo();
  a.device.keep = true;
  const at = a.queues[0].chain(0, [text("abc"), 3]);
  a.queues[0].offer(0);
  a.device.notifyQueue(0);
  assertEquals(a.device.kept.length, 1);
  const saved = a.device.save();
  a.device.reset();
  a.device.load(saved);
  const q = a.device.queues[0], [c] = [...q.taken()];
  const bytes = new Uint8Array(3);
  c.read(0, bytes);
  q.push(c, c.write(0, bytes));
  assertEquals(a.queues[0].take(), [0, 3]);
  assertEquals(a.queues[0].bytes(at[1], 3), text("abc"));
});
