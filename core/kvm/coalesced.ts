/**
 * Coalesced MMIO: writes to regions that can wait (the VGA window) are queued by KVM in a ring that
 * all vCPUs share, without an exit, and carried out at the next exit or when the display looks.
 * Linux `Documentation/virt/kvm/api.rst`: KVM_REGISTER_COALESCED_MMIO.
 */
import type { AddressSpace } from "../memory/address_space.ts";
import { Req } from "./abi.ts";
import { writeMmio } from "./dispatch.ts";
import type { Libc } from "./libc.ts";
import { Struct } from "./structs.ts";

const PAGE = 4096;
/** Ring page: two indices, then entries of address (8), length (4), port flag (4), data (8). */
const FIRST = 0, LAST = 4, ENTRIES = 8, ENTRY = 24, LENGTH = 8, DATA = 16;
const MAX = Math.floor((PAGE - ENTRIES) / ENTRY);

interface Zone {
  readonly start: number;
  readonly size: number;
}

export class CoalescedMmio {
  #zones: Zone[] = [];
  #ring: DataView<ArrayBuffer> | undefined;
  #draining = false;
  readonly #arg = new Struct(16);

  constructor(
    private readonly libc: Libc,
    private readonly vmFd: number,
    private readonly mem: AddressSpace,
  ) {
    mem.onMapChange(() => this.#update());
  }

  /** The ring is mapped with every vCPU; any will do. From here on zones are registered. */
  useRing(ring: DataView<ArrayBuffer>): void {
    if (this.#ring !== undefined) return;
    this.#ring = ring;
    this.#update();
  }

  /** The page of the ring is about to be unmapped. */
  close(): void {
    this.#ring = undefined;
  }

  /** Carries out what is queued, in order. */
  drain(): void {
    const ring = this.#ring;
    if (ring === undefined || this.#draining) return;
    const end = ring.getUint32(LAST, true);
    let at = ring.getUint32(FIRST, true);
    if (at === end) return;
    this.#draining = true;
    while (at !== end && this.#ring !== undefined) {
      const entry = ENTRIES + ENTRY * at;
      at = (at + 1) % MAX;
      const low = ring.getUint32(entry, true), high = ring.getUint32(entry + 4, true);
      const length = Math.min(ring.getUint32(entry + LENGTH, true), 8);
      writeMmio(ring, entry + DATA, this.mem, high * 2 ** 32 + low, length);
      ring.setUint32(FIRST, at, true);
    }
    this.#draining = false;
  }

  #update(): void {
    if (this.#ring === undefined) return;
    const wanted: Zone[] = [];
    for (const r of this.mem.flat) {
      if (r.region.kind !== "io" || !r.region.coalesced) continue;
      wanted.push({ start: r.start, size: r.end - r.start });
    }
    const has = (list: Zone[], z: Zone) =>
      list.some((o) => o.start === z.start && o.size === z.size);
    const gone = this.#zones.filter((z) => !has(wanted, z));
    if (gone.length > 0) this.drain();
    for (const z of gone) this.#set(Req.UNREGISTER_COALESCED_MMIO, z);
    for (const z of wanted) if (!has(this.#zones, z)) this.#set(Req.REGISTER_COALESCED_MMIO, z);
    this.#zones = wanted;
  }

  #set(request: number, z: Zone): void {
    this.#arg.setU64(0, BigInt(z.start));
    this.#arg.view.setUint32(8, z.size, true);
    this.libc.ioctlBuffer(this.vmFd, request, this.#arg.u8);
  }
}
