/**
 * Split virtqueues: VIRTIO specification 1.2, 2.7. Everything in a ring is the guest's word, so every
 * index, length and address is checked; what breaks the rules ends in `fault`, after which nothing is
 * taken from the queue any more.
 */
import type { AddressSpace } from "../../core/memory/address_space.ts";

const DESC_SIZE = 16;
const DESC_F_NEXT = 1, DESC_F_WRITE = 2, DESC_F_INDIRECT = 4;
const AVAIL_F_NO_INTERRUPT = 1;
/** The longest queue the specification allows is 32768; QEMU's devices stop at 1024. */
export const QUEUE_MAX = 1024;
/** Bytes of all buffers of a chain together (2.7.5.2). */
const CHAIN_MAX = 2 ** 32;

/** What a queue needs of its device. */
export interface QueueHost {
  /** Guest memory, or undefined while the device may not reach it. */
  memory(): AddressSpace | undefined;
  /** The driver broke the rules: the device needs a reset. */
  fault(reason: string): void;
  readonly broken: boolean;
  /** VIRTIO_F_EVENT_IDX has been negotiated. */
  readonly eventIdx: boolean;
  /** VIRTIO_F_NOTIFY_ON_EMPTY has been negotiated. */
  readonly notifyOnEmpty: boolean;
  /** Interrupts the driver on behalf of a queue with this vector. */
  interruptQueue(vector: number): void;
  /** Calls `f` soon, after other work of the machine has had its turn. */
  later(f: () => void): void;
}

/** Guest-visible state and the device's place in the rings. */
export interface QueueState {
  size: number;
  ready: boolean;
  /** Guest-physical addresses of descriptor table, driver area and device area. */
  desc: number;
  avail: number;
  used: number;
  /** Index of the next available entry to take, and of the next used entry to fill. */
  lastAvail: number;
  usedIndex: number;
  /** Used index when the driver was interrupted last; meaningful when {@link signalledValid}. */
  signalled: number;
  signalledValid: boolean;
  /** MSI-X vector. */
  vector: number;
  /** Chains taken and not given back: heads in the order of {@link lastAvail}. */
  inFlight: number[];
}

interface Buffer {
  readonly address: number;
  readonly length: number;
}

/** A descriptor chain that the driver has made available. */
export class Chain {
  /** Buffers the device reads, and their bytes together. */
  readonly out: Buffer[] = [];
  outLength = 0;
  /** Buffers the device writes. */
  readonly in: Buffer[] = [];
  inLength = 0;

  constructor(
    readonly queue: Virtqueue,
    readonly head: number,
    private readonly mem: AddressSpace,
  ) {}

  /** Copies device-readable bytes from `offset` on into `into`; gives how many there were. */
  read(offset: number, into: Uint8Array): number {
    return this.#walk(this.out, offset, into, (a, part) => this.mem.readBytes(a, part));
  }

  /** Copies `from` to the device-writable bytes from `offset` on; gives how many there was room for. */
  write(offset: number, from: Uint8Array): number {
    return this.#walk(this.in, offset, from, (a, part) => this.mem.writeBytes(a, part));
  }

  #walk(
    list: readonly Buffer[],
    offset: number,
    bytes: Uint8Array,
    copy: (address: number, part: Uint8Array) => void,
  ): number {
    let done = 0;
    for (const b of list) {
      if (done === bytes.length) break;
      if (offset >= b.length) {
        offset -= b.length;
        continue;
      }
      const n = Math.min(b.length - offset, bytes.length - done);
      copy(b.address + offset, bytes.subarray(done, done + n));
      done += n;
      offset = 0;
    }
    return done;
  }
}

export class Virtqueue {
  state: QueueState;
  readonly #descriptor = new DataView(new ArrayBuffer(DESC_SIZE));
  readonly #descriptorBytes = new Uint8Array(this.#descriptor.buffer);

  /** @param maxSize entries when the driver does not choose fewer; a power of two, or 0 for no queue */
  constructor(
    private readonly host: QueueHost,
    readonly index: number,
    readonly maxSize: number,
    private readonly handle: (q: Virtqueue) => void,
  ) {
    this.state = initialQueue(maxSize);
  }

  reset(): void {
    this.state = initialQueue(this.maxSize);
  }

  /** The driver has finished setting the queue up. Rings outside RAM are a fault. */
  enable(): void {
    const s = this.state, mem = this.host.memory();
    s.ready = true;
    if (mem === undefined) return;
    const ok = isRam(mem, s.desc, DESC_SIZE * s.size) && isRam(mem, s.avail, 6 + 2 * s.size) &&
      isRam(mem, s.used, 6 + 8 * s.size, true);
    if (!ok) this.host.fault(`queue ${this.index} is not in RAM`);
  }

  /** A driver's notification: calls the device's handler. */
  notify(): void {
    if (this.state.ready && !this.host.broken) this.handle(this);
  }

  /** Whether the driver has made nothing available that has not been taken. */
  get empty(): boolean {
    const s = this.state, mem = this.host.memory();
    if (!s.ready || this.host.broken || mem === undefined) return true;
    return mem.read(s.avail + 2, 2) === s.lastAvail;
  }

  /** Takes the next chain, or undefined when there is none. */
  pop(): Chain | undefined {
    const s = this.state, mem = this.host.memory();
    if (!s.ready || this.host.broken || mem === undefined) return undefined;
    const pending = (mem.read(s.avail + 2, 2) - s.lastAvail) & 0xffff;
    if (pending === 0) return undefined;
    if (pending > s.size) return this.#fault(`${pending} entries available`);
    if (s.inFlight.length >= s.size) return this.#fault("more chains in use than entries");
    const head = mem.read(s.avail + 4 + 2 * (s.lastAvail % s.size), 2);
    const chain = this.#chain(mem, head);
    if (chain === undefined) return undefined;
    s.lastAvail = (s.lastAvail + 1) & 0xffff;
    s.inFlight.push(head);
    if (this.host.eventIdx) this.#writeAvailEvent(mem);
    return chain;
  }

  /**
   * Handles chains until there are none or `take` says false; a driver that keeps adding gets its turn
   * meanwhile.
   */
  drain(take: (c: Chain) => boolean | void): void {
    for (let n = 0; n < 2 * this.state.size; n++) {
      const c = this.pop();
      if (c === undefined || take(c) === false) return;
    }
    this.host.later(() => this.notify());
  }

  /** Puts the chain taken last back, as if it had not been taken. */
  unpop(c: Chain): void {
    const s = this.state;
    if (s.inFlight.at(-1) !== c.head) return;
    s.inFlight.pop();
    s.lastAvail = (s.lastAvail - 1) & 0xffff;
  }

  /** Chains that were taken before a save, once more, in their order. */
  *taken(): Generator<Chain> {
    const mem = this.host.memory();
    if (mem === undefined) return;
    for (const head of [...this.state.inFlight]) {
      const c = this.#chain(mem, head);
      if (c !== undefined) yield c;
    }
  }

  /** Gives a chain back with `written` bytes in it. {@link signal} tells the driver. */
  push(c: Chain, written: number): void {
    const s = this.state, mem = this.host.memory();
    const at = s.inFlight.indexOf(c.head);
    // A reset in the meantime has taken the chain away.
    if (at < 0) return;
    s.inFlight.splice(at, 1);
    if (!s.ready || this.host.broken || mem === undefined) return;
    const entry = s.used + 4 + 8 * (s.usedIndex % s.size);
    mem.write(entry, 4, c.head);
    mem.write(entry + 4, 4, written);
    s.usedIndex = (s.usedIndex + 1) & 0xffff;
    mem.write(s.used + 2, 2, s.usedIndex);
  }

  /** Interrupts the driver if it wants to know of what was given back. */
  signal(): void {
    const s = this.state, mem = this.host.memory();
    if (!s.ready || this.host.broken || mem === undefined) return;
    if (this.#wanted(mem)) this.host.interruptQueue(s.vector);
  }

  #wanted(mem: AddressSpace): boolean {
    const s = this.state;
    if (this.host.notifyOnEmpty && s.inFlight.length === 0 && this.empty) return true;
    if (!this.host.eventIdx) return (mem.read(s.avail, 2) & AVAIL_F_NO_INTERRUPT) === 0;
    const { signalled, signalledValid } = s;
    s.signalled = s.usedIndex;
    s.signalledValid = true;
    if (!signalledValid) return true;
    const event = mem.read(s.avail + 4 + 2 * s.size, 2);
    return ((s.usedIndex - event - 1) & 0xffff) < ((s.usedIndex - signalled) & 0xffff);
  }

  #writeAvailEvent(mem: AddressSpace): void {
    const s = this.state;
    mem.write(s.used + 4 + 8 * s.size, 2, s.lastAvail);
  }

  #fault(reason: string): undefined {
    this.host.fault(`queue ${this.index}: ${reason}`);
  }

  #chain(mem: AddressSpace, head: number): Chain | undefined {
    const s = this.state, d = this.#descriptor;
    if (head >= s.size) return this.#fault(`descriptor ${head} of ${s.size}`);
    const chain = new Chain(this, head, mem);
    let table = s.desc, limit = s.size, index = head, indirect = false;
    for (let n = 0;; n++) {
      if (n >= limit) return this.#fault("descriptors form a loop");
      mem.readBytes(table + DESC_SIZE * index, this.#descriptorBytes);
      const address = d.getUint32(0, true) + d.getUint32(4, true) * 2 ** 32;
      const length = d.getUint32(8, true), flags = d.getUint16(12, true);
      if (flags & DESC_F_INDIRECT) {
        const entries = length / DESC_SIZE;
        if (indirect || length === 0 || length % DESC_SIZE !== 0 || entries > 65536) {
          return this.#fault(`indirect table of ${length} bytes`);
        }
        if (!isRam(mem, address, length)) return this.#fault("indirect table is not in RAM");
        [table, index, indirect] = [address, 0, true];
        // What came before in the direct table counts, too: a chain has at most QUEUE_MAX parts.
        limit = n + 1 + Math.min(entries, QUEUE_MAX);
        this.#indirectEntries = entries;
        continue;
      }
      if (!this.#add(mem, chain, address, length, (flags & DESC_F_WRITE) !== 0)) return undefined;
      if (!(flags & DESC_F_NEXT)) return chain;
      index = d.getUint16(14, true);
      if (index >= (indirect ? this.#indirectEntries : s.size)) {
        return this.#fault(`next descriptor ${index}`);
      }
    }
  }
  #indirectEntries = 0;

  #add(
    mem: AddressSpace,
    chain: Chain,
    address: number,
    length: number,
    write: boolean,
  ): boolean {
    if (length === 0) this.#fault("empty buffer");
    else if (!write && chain.in.length > 0) this.#fault("readable buffer behind a writable one");
    else if (chain.inLength + chain.outLength + length > CHAIN_MAX) this.#fault("chain too long");
    else if (!isRam(mem, address, length, write)) {
      this.#fault(`buffer 0x${address.toString(16)} of ${length} bytes is not in RAM`);
    } else {
      (write ? chain.in : chain.out).push({ address, length });
      if (write) chain.inLength += length;
      else chain.outLength += length;
      return true;
    }
    return false;
  }
}

function initialQueue(size: number): QueueState {
  return {
    size,
    ready: false,
    desc: 0,
    avail: 0,
    used: 0,
    lastAvail: 0,
    usedIndex: 0,
    signalled: 0,
    signalledValid: false,
    vector: 0xffff,
    inFlight: [],
  };
}

/** Whether all of a range is storage (and, if `write`, takes writes). */
function isRam(mem: AddressSpace, address: number, length: number, write = false): boolean {
  if (address > Number.MAX_SAFE_INTEGER - length) return false;
  for (let at = address; at < address + length;) {
    const r = mem.find(at);
    if (r === undefined || r.region.kind !== "ram" || (write && r.region.readonly)) return false;
    at = r.end;
  }
  return true;
}
