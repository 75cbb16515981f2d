/** The driver's side of virtio for tests: guest memory, split rings laid out in it, and chains. */
import { ManualClock } from "../../core/clock.ts";
import { AddressSpace } from "../../core/memory/address_space.ts";
import { GuestMemory } from "../../core/memory/guest_memory.ts";
import { ramRegion } from "../../core/memory/region.ts";
import type { VirtioDevice, VirtioTransport } from "./virtio_device.ts";
import { Status } from "./virtio_regs.ts";

export const RAM_SIZE = 1 << 20;
const DESC_F_NEXT = 1, DESC_F_WRITE = 2, DESC_F_INDIRECT = 4;

/** Buffers of a chain: bytes for the device to read, or a length for it to write. */
export type Part = Uint8Array | number;

/** Guest memory of 1 MiB. */
export function guestRam() {
  const memory = new GuestMemory(RAM_SIZE + (1 << 16));
  const mem = new AddressSpace("memory", 2 ** 36, 0);
  mem.map(ramRegion("ram", memory.allocBlock("ram", RAM_SIZE)), 0);
  return mem;
}

/** One queue as a driver has it: rings at `at`, buffers behind them. */
export class DriverQueue {
  readonly desc: number;
  readonly avail: number;
  readonly used: number;
  #free: number;
  #next = 0;
  #seen = 0;

  constructor(
    readonly mem: AddressSpace,
    readonly size: number,
    at: number,
    buffers = at + 0x4000,
  ) {
    this.desc = at;
    this.avail = at + 16 * size;
    this.used = Math.ceil((this.avail + 6 + 2 * size) / 4096) * 4096;
    this.#free = buffers;
  }

  descriptor(n: number, address: number, length: number, flags = 0, next = 0, table = this.desc) {
    const at = table + 16 * n;
    this.mem.write(at, 4, address % 2 ** 32);
    this.mem.write(at + 4, 4, Math.floor(address / 2 ** 32));
    this.mem.write(at + 8, 4, length);
    this.mem.write(at + 12, 2, flags);
    this.mem.write(at + 14, 2, next);
  }

  alloc(bytes: number): number {
    const at = this.#free;
    this.#free += Math.ceil(bytes / 16) * 16;
    return at;
  }

  /** Writes descriptors for `parts` from number `head` on; gives the buffers' addresses. */
  chain(head: number, parts: readonly Part[], indirect = false): number[] {
    const table = indirect ? this.alloc(16 * parts.length) : this.desc;
    const first = indirect ? 0 : head;
    const at = parts.map((p, n) => {
      const length = typeof p === "number" ? p : p.length, address = this.alloc(length);
      if (typeof p !== "number") this.mem.writeBytes(address, p);
      const flags = (typeof p === "number" ? DESC_F_WRITE : 0) |
        (n + 1 < parts.length ? DESC_F_NEXT : 0);
      this.descriptor(first + n, address, length, flags, first + n + 1, table);
      return address;
    });
    if (indirect) this.descriptor(head, table, 16 * parts.length, DESC_F_INDIRECT);
    return at;
  }

  /** Makes the chain that begins at `head` available. */
  offer(head: number): void {
    this.mem.write(this.avail + 4 + 2 * (this.#next % this.size), 2, head);
    this.#next = (this.#next + 1) & 0xffff;
    this.mem.write(this.avail + 2, 2, this.#next);
  }

  /** Both rings go on from index `n`, as after long use. */
  startAt(n: number): void {
    this.#next = this.#seen = n;
    this.mem.write(this.avail + 2, 2, n);
    this.mem.write(this.used + 2, 2, n);
  }

  get usedIndex(): number {
    return this.mem.read(this.used + 2, 2);
  }

  /** The next used entry, or undefined: head and length. */
  take(): [head: number, length: number] | undefined {
    if (this.#seen === this.usedIndex) return undefined;
    const at = this.used + 4 + 8 * (this.#seen % this.size);
    this.#seen = (this.#seen + 1) & 0xffff;
    return [this.mem.read(at, 4), this.mem.read(at + 4, 4)];
  }

  bytes(address: number, length: number): Uint8Array {
    const b = new Uint8Array(length);
    this.mem.readBytes(address, b);
    return b;
  }
}

export interface DeviceRig<D extends VirtioDevice> {
  readonly device: D;
  readonly mem: AddressSpace;
  readonly queues: DriverQueue[];
  /** Vectors of the interrupts so far; undefined where the status only changed. */
  readonly interrupts: (number | undefined)[];
}

/** A device without a real transport, negotiated and ready, with `count` queues set up. */
export function deviceRig<D extends VirtioDevice>(
  device: D,
  count: number,
  features = device.modernFeatures,
): DeviceRig<D> {
  const mem = guestRam(), interrupts: (number | undefined)[] = [];
  const transport: VirtioTransport = {
    memory: () => mem,
    interrupt: (vector) => void (device.isr !== 0 && interrupts.push(vector)),
    queuesChanged: () => {},
  };
  device.transport = transport;
  device.setStatus(Status.ACKNOWLEDGE | Status.DRIVER, true);
  device.setFeatures(features, device.modernFeatures | features);
  device.setStatus(Status.ACKNOWLEDGE | Status.DRIVER | Status.FEATURES_OK, true);
  const queues = device.queues.slice(0, count).map((q, n) => {
    const d = new DriverQueue(mem, Math.min(q.maxSize, 64), 0x1000 + n * 0x10000);
    Object.assign(q.state, { size: d.size, desc: d.desc, avail: d.avail, used: d.used, vector: n });
    q.enable();
    return d;
  });
  device.setStatus(0x0f, true);
  return { device, mem, queues, interrupts };
}

export const testClock = () => new ManualClock();
