/**
 * Doorbells: registers of a device where a write means "look at your queue" and nothing else, such as
 * those of virtio. KVM turns a write into a count of an eventfd (KVM_IOEVENTFD, Linux
 * `Documentation/virt/kvm/api.rst`), and the vCPU goes on at once. A thread waits for all of them
 * with epoll and wakes the main thread, where the device lives.
 *
 * To wire a device: hand `vm.setDoorbells?.(device, ranges)` the ranges that are decoded now, again
 * after each change of them (a BAR moved, memory decoding off), and an empty list when the device goes.
 * The device's ordinary write handler stays: it serves tcg, vCPUs on the main thread, and ranges that
 * KVM has refused. Its interrupts are best sent by `KernelIrqchip.signalMsi` or a line, which cost
 * the main thread one system call; a thread of its own may use {@link KvmIrqchip.irqfd}.
 */
import type { Doorbell } from "../accel.ts";
import { Req } from "./abi.ts";
import { KICK_SIGNAL, type Libc } from "./libc.ts";
import type { Seat } from "./pace.ts";
import { Struct } from "./structs.ts";

/** `struct kvm_ioeventfd`: datamatch 0, addr 8, len 16, fd 20, flags 24; 64 bytes. */
const FLAG_DATAMATCH = 1, FLAG_PIO = 2, FLAG_DEASSIGN = 4;
const EFD_NONBLOCK_CLOEXEC = 0o2004000, EPOLL_CLOEXEC = 0o2000000;
const EPOLL_CTL_ADD = 1, EPOLLIN = 1;
/** Words shared with the thread: see {@link doorbellThread}; then a bit for each slot. */
const RUNG = 0, ENDED = 1, SEATED = 2, BITS = 3;
/** Doorbells at a time; KVM allows about a thousand devices on each of its buses. */
const SLOTS = 512;
/** The slot whose ringing ends the thread. */
const QUIT = SLOTS;

/**
 * The thread's program; it becomes the source text of a Worker and uses nothing from outside its
 * braces. Events carry the slot in the upper half of their data and the descriptor in the lower.
 */
function doorbellThread(): void {
  const RUNG = 0, ENDED = 1, SEATED = 2, BITS = 3, EVENTS = 64, SYS_TGKILL = 234n;
  addEventListener("message", (event) => {
    const { libc, epoll, words, quit, signal } = (event as MessageEvent).data as {
      libc: string;
      epoll: number;
      words: Int32Array;
      quit: number;
      signal: number;
    };
    const c = Deno.dlopen(libc, {
      epoll_wait: { parameters: ["i32", "buffer", "i32", "i32"], result: "i32" },
      read: { parameters: ["i32", "buffer", "usize"], result: "isize" },
      getpid: { parameters: [], result: "i32" },
      syscall: { parameters: ["usize", "usize", "usize", "usize"], result: "isize" },
    }).symbols;
    const events = new DataView(new ArrayBuffer(12 * EVENTS)),
      bytes = new Uint8Array(events.buffer);
    const count = new Uint8Array(8), pid = BigInt(c.getpid());
    for (let over = false; !over;) {
      const n = c.epoll_wait(epoll, bytes, EVENTS, -1);
      for (let i = 0; i < n; i++) {
        const fd = events.getInt32(12 * i + 4, true), slot = events.getInt32(12 * i + 8, true);
        if (slot === quit) over = true;
        else if (Number(c.read(fd, count, 8n)) === 8) {
          Atomics.or(words, BITS + (slot >> 5), 1 << (slot & 31));
        }
      }
      Atomics.store(words, RUNG, 1);
      Atomics.notify(words, RUNG);
      const main = Atomics.load(words, SEATED); // the main thread may be in a guest
      if (main !== 0) c.syscall(SYS_TGKILL, pid, BigInt(main), BigInt(signal));
    }
    Atomics.store(words, ENDED, 1);
    Atomics.notify(words, ENDED);
    close();
  });
}

interface Slot {
  readonly index: number;
  readonly fd: number;
  /** What rings here now. */
  bell: Doorbell | undefined;
}

export class Doorbells {
  readonly #words = new Int32Array(new SharedArrayBuffer(4 * (BITS + SLOTS / 32)));
  readonly #owners = new Map<object, Slot[]>();
  /** Slots keep their descriptors: the thread may have an event of one that was freed just now. */
  readonly #slots: Slot[] = [];
  readonly #arg = new Struct(64);
  readonly #count = new Uint8Array(8);
  #epoll = -1;
  #quit = -1;
  #closed = false;

  constructor(
    private readonly libc: Libc,
    private readonly vmFd: number,
    private readonly seat: Seat,
  ) {}

  /** See {@link Vm.setDoorbells}. */
  set(owner: object, bells: readonly Doorbell[]): void {
    if (this.#closed) return;
    const old = this.#owners.get(owner) ?? [], kept: Slot[] = [];
    for (const slot of old) {
      const now = bells.find((b) => same(b, slot.bell!));
      if (now === undefined) this.#free(slot);
      else {
        slot.bell = now;
        kept.push(slot);
      }
    }
    for (const bell of bells) {
      if (kept.some((slot) => slot.bell === bell)) continue;
      const slot = this.#take(bell);
      if (slot !== undefined) kept.push(slot);
    }
    if (kept.length > 0) this.#owners.set(owner, kept);
    else this.#owners.delete(owner);
  }

  /** Doorbells that KVM has taken over. */
  get size(): number {
    let n = 0;
    for (const slots of this.#owners.values()) n += slots.length;
    return n;
  }

  /** Tells devices of what has been rung by now, without waiting for the thread. */
  drain(): void {
    for (const slot of this.#slots) {
      if (slot.bell !== undefined && this.#rung(slot)) slot.bell.notify();
    }
  }

  /** Ends the thread, and closes what it has used when it has ended. */
  close(): void {
    this.#closed = true;
    this.#owners.clear();
    this.seat.onTaken = undefined;
    for (const slot of this.#slots) slot.bell = undefined; // KVM's side goes with the VM
    if (this.#epoll < 0) return;
    this.libc.c.write(this.#quit, Uint8Array.of(1, 0, 0, 0, 0, 0, 0, 0), 8n);
    const closeAll = () => {
      for (const fd of [this.#epoll, this.#quit, ...this.#slots.map((s) => s.fd)]) {
        this.libc.close(fd);
      }
    };
    const ended = Atomics.waitAsync(this.#words, ENDED, 0);
    if (ended.async) ended.value.then(closeAll);
    else closeAll();
  }

  /** Takes a ring away: has the doorbell been rung since it was last asked? */
  #rung(slot: Slot): boolean {
    const bit = 1 << (slot.index & 31), word = BITS + (slot.index >> 5);
    const told = (Atomics.and(this.#words, word, ~bit) & bit) !== 0;
    return Number(this.libc.c.read(slot.fd, this.#count, 8n)) === 8 || told;
  }

  #take(bell: Doorbell): Slot | undefined {
    if (this.#epoll < 0) this.#start();
    const slot = this.#slots.find((s) => s.bell === undefined) ?? this.#addSlot();
    if (slot === undefined) return undefined;
    this.#rung(slot);
    if (this.#ioeventfd(slot, bell, 0) < 0) return undefined;
    slot.bell = bell;
    return slot;
  }

  #free(slot: Slot): void {
    const bell = slot.bell!;
    this.#ioeventfd(slot, bell, FLAG_DEASSIGN);
    slot.bell = undefined;
    if (this.#rung(slot)) queueMicrotask(() => bell.notify()); // it is not lost with the range
  }

  #ioeventfd(slot: Slot, bell: Doorbell, flags: number): number {
    const s = this.#arg, match = bell.datamatch;
    s.setU64(0, BigInt(match ?? 0));
    s.setU64(8, BigInt(bell.address));
    s.view.setUint32(16, bell.size, true);
    s.view.setInt32(20, slot.fd, true);
    flags |= (bell.space === "io" ? FLAG_PIO : 0) | (match === undefined ? 0 : FLAG_DATAMATCH);
    s.view.setUint32(24, flags, true);
    return this.libc.ioctlBuffer(this.vmFd, Req.IOEVENTFD, s.u8);
  }

  #addSlot(): Slot | undefined {
    if (this.#slots.length === SLOTS) return undefined;
    const fd = this.#eventfd(this.#slots.length);
    if (fd < 0) return undefined;
    const slot = { index: this.#slots.length, fd, bell: undefined };
    this.#slots.push(slot);
    return slot;
  }

  /** An eventfd that the thread waits for. */
  #eventfd(slot: number): number {
    const { c } = this.libc, fd = c.eventfd(0, EFD_NONBLOCK_CLOEXEC);
    if (fd < 0) return fd;
    const event = new DataView(new ArrayBuffer(12)); // struct epoll_event is packed
    event.setUint32(0, EPOLLIN, true);
    event.setInt32(4, fd, true);
    event.setInt32(8, slot, true);
    c.epoll_ctl(this.#epoll, EPOLL_CTL_ADD, fd, new Uint8Array(event.buffer));
    return fd;
  }

  #start(): void {
    const { libc } = this, words = this.#words;
    this.#epoll = libc.c.epoll_create1(EPOLL_CLOEXEC);
    this.#quit = this.#eventfd(QUIT);
    const source = new Blob([`(${doorbellThread})()`], { type: "text/javascript" });
    const worker = new Worker(URL.createObjectURL(source), {
      type: "module",
      name: "kvm-doorbells",
    });
    worker.postMessage({
      libc: libc.name,
      epoll: this.#epoll,
      words,
      quit: QUIT,
      signal: KICK_SIGNAL,
    });
    this.seat.onTaken = (taken) => Atomics.store(words, SEATED, taken ? libc.tid : 0);
    this.seat.onTaken(this.seat.taker !== undefined);
    this.#listen();
  }

  async #listen(): Promise<void> {
    const words = this.#words;
    while (!this.#closed) {
      const rung = Atomics.waitAsync(words, RUNG, 0);
      if (rung.async) await rung.value;
      Atomics.store(words, RUNG, 0);
      for (let w = 0; w < SLOTS / 32; w++) {
        let bits = Atomics.exchange(words, BITS + w, 0);
        for (; bits !== 0; bits &= bits - 1) {
          this.#slots[32 * w + 31 - Math.clz32(bits & -bits)].bell?.notify();
        }
      }
    }
  }
}

function same(a: Doorbell, b: Doorbell): boolean {
  return a.space === b.space && a.address === b.address && a.size === b.size &&
    a.datamatch === b.datamatch;
}
