/**
 * Memory slots: keeps KVM's map of guest-physical memory equal to the RAM in an address space. What
 * is not in a slot (device registers, holes, RAM pieces smaller than a page) exits as MMIO.
 */
import type { AddressSpace, FlatRange } from "../memory/address_space.ts";
import type { GuestMemory, RamBlock } from "../memory/guest_memory.ts";
import { MemFlag, Req } from "./abi.ts";
import type { Libc } from "./libc.ts";
import { Size, Struct } from "./structs.ts";

const PAGE = 4096;
const MiB = 1 << 20;

/** One slot: page-aligned guest-physical range `[start, end)` backed by a block. */
export interface Slot {
  id: number;
  readonly start: number;
  readonly end: number;
  readonly block: RamBlock;
  /** Offset of `start` in the shared guest memory, a multiple of 4096. */
  readonly offset: number;
  readonly flags: number;
}

type Wanted = Omit<Slot, "id">;

/** The part of a flat range that whole pages can back, or undefined. */
function toSlot(r: FlatRange): Wanted | undefined {
  if (r.region.kind !== "ram") return undefined;
  const start = Math.ceil(r.start / PAGE) * PAGE, end = Math.floor(r.end / PAGE) * PAGE;
  const region = r.region, block = region.block;
  const offset = block.offset + region.blockOffset + r.offset + start - r.start;
  if (end <= start || offset % PAGE !== 0) return undefined;
  const flags = (region.readonly ? MemFlag.READONLY : 0) |
    (region.dirtyLog ? MemFlag.LOG_DIRTY_PAGES : 0);
  return { start, end, block, offset, flags };
}

/** With A20 low the second megabyte shows the first: what software tests for. */
function withA20Low(wanted: Wanted[]): Wanted[] {
  const out: Wanted[] = [];
  for (const w of wanted) {
    if (w.start < MiB) {
      const end = Math.min(w.end, MiB);
      out.push({ ...w, end }, { ...w, start: w.start + MiB, end: end + MiB });
    }
    if (w.end > 2 * MiB) {
      const start = Math.max(w.start, 2 * MiB);
      out.push({ ...w, start, offset: w.offset + start - w.start });
    }
  }
  return out;
}

export class Slots {
  readonly #live: Slot[] = [];
  readonly #free: number[] = [];
  #next = 0;
  readonly #arg = new Struct(Size.MEMORY_REGION);
  readonly #log = new Struct(16);
  readonly #host: bigint;
  #a20 = true;
  #closed = false;
  /** Pages in the dirty logs of slots that have gone since {@link dirtyPages} was called. */
  readonly #carried = new Set<number>();
  /** A dirty log could not be read. */
  #incomplete = false;

  /** @param stopVcpus gets every vCPU out of the guest, before a slot goes away under it */
  constructor(
    private readonly libc: Libc,
    private readonly vmFd: number,
    memory: GuestMemory,
    private readonly space: AddressSpace,
    private readonly limit: number,
    private readonly stopVcpus: () => void,
  ) {
    this.#host = Deno.UnsafePointer.value(Deno.UnsafePointer.of(memory.u8));
    space.onMapChange(() => this.update());
    this.update();
  }

  get live(): readonly Slot[] {
    return this.#live;
  }

  setA20(enabled: boolean): void {
    if (this.#a20 === enabled) return;
    this.#a20 = enabled;
    this.update();
  }

  /** Makes the slots equal to the flat list: first all removals, since KVM refuses overlaps. */
  update(): void {
    if (this.#closed) return;
    let wanted = this.space.flat.map(toSlot).filter((w) => w !== undefined);
    if (!this.#a20) wanted = withA20Low(wanted);
    const added = wanted.filter((w) => !this.#live.some((s) => same(s, w)));
    const gone = this.#live.some((s) => !wanted.some((w) => same(s, w)));
    if (gone) this.stopVcpus();
    for (let i = this.#live.length - 1; gone && i >= 0; i--) {
      const s = this.#live[i];
      if (wanted.some((w) => same(s, w))) continue;
      this.#readLog(s, (offset) => this.#carried.add(offset)); // KVM forgets it with the slot
      this.#set(s, 0);
      this.#free.push(s.id);
      this.#live.splice(i, 1);
    }
    for (const w of added) {
      const id = this.#free.pop() ?? this.#next++;
      if (id >= this.limit) throw new Error("kvm: out of memory slots");
      const s = { ...w, id };
      this.#set(s, w.end - w.start);
      this.#live.push(s);
    }
  }

  /** From here on the address space may change without KVM. */
  close(): void {
    this.#closed = true;
  }

  #set(s: Slot, size: number): void {
    const v = this.#arg.view;
    v.setUint32(0, s.id, true);
    v.setUint32(4, size === 0 ? 0 : s.flags, true);
    this.#arg.setU64(8, BigInt(s.start));
    this.#arg.setU64(16, BigInt(size));
    this.#arg.setU64(24, this.#host + BigInt(s.offset));
    const r = this.libc.ioctlBuffer(this.vmFd, Req.SET_USER_MEMORY_REGION, this.#arg.u8);
    if (r < 0) {
      throw new Error(
        `kvm_set_user_memory_region: KVM_SET_USER_MEMORY_REGION failed, slot=${s.id}, ` +
          `start=0x${s.start.toString(16)}, size=0x${size.toString(16)}: ${this.libc.strerror(-r)}`,
      );
    }
  }

  /**
   * Reads and clears KVM's dirty log of every logged slot: calls `page` with the offset in the
   * shared guest memory of each page the guest has written since the last call. False when KVM has
   * failed to tell.
   */
  dirtyPages(page: (offset: number) => void): boolean {
    for (const offset of this.#carried) page(offset);
    this.#carried.clear();
    for (const s of this.#live) this.#readLog(s, page);
    const complete = !this.#incomplete;
    this.#incomplete = false;
    return complete;
  }

  #readLog(s: Slot, page: (offset: number) => void): void {
    if (!(s.flags & MemFlag.LOG_DIRTY_PAGES)) return;
    const pages = (s.end - s.start) / PAGE;
    const bitmap = this.#bitmap(Math.ceil(pages / 64) * 8);
    this.#log.view.setUint32(0, s.id, true);
    this.#log.setU64(8, Deno.UnsafePointer.value(Deno.UnsafePointer.of(bitmap)));
    if (this.libc.ioctlBuffer(this.vmFd, Req.GET_DIRTY_LOG, this.#log.u8) < 0) {
      this.#incomplete = true;
      return;
    }
    for (let byte = 0; byte < bitmap.length; byte++) {
      for (let bits = bitmap[byte]; bits !== 0; bits &= bits - 1) {
        page(s.offset + (8 * byte + 31 - Math.clz32(bits & -bits)) * PAGE);
      }
    }
  }

  #bits = new Uint8Array(0);
  #bitmap(bytes: number): Uint8Array<ArrayBuffer> {
    if (this.#bits.length < bytes) this.#bits = new Uint8Array(bytes);
    return this.#bits.subarray(0, bytes).fill(0);
  }
}

function same(a: Wanted, b: Wanted): boolean {
  return a.start === b.start && a.end === b.end && a.offset === b.offset && a.flags === b.flags;
}
