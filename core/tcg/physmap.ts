/**
 * Guest physical pages as emitted code and the MMU see them: one word per 4 KiB page up to where RAM
 * can lie (what had to make room for PCI is from 4 GiB on). A word has flags in its low bits; above
 * them the page's offset in the shared memory, or in a memory64 the number of its page there. It is 0
 * where an access must be dispatched through the address space (device registers, holes, partial pages).
 */
import type { AddressSpace, FlatRange } from "../memory/address_space.ts";
import type { GuestMemory } from "../memory/guest_memory.ts";

export const Page = {
  /** Storage is behind the page. */
  RAM: 1,
  /** Writes do not reach the storage. */
  READONLY: 2,
  /** Translations of code in this page exist: writes are watched. */
  CODE: 4,
  /** Writes are recorded (video RAM). */
  DIRTY_LOG: 8,
} as const;

/** In a memory64's words the page number begins at this bit. */
export const WORD_PAGE_SHIFT = 8;

/** Guest pages that get a word: of 8 GiB, or up to where so much memory can end above the hole. */
function mappedPages(bytes: number): number {
  return bytes <= 2 ** 32 ? 1 << 21 : Math.ceil((bytes + 2 ** 32) / 4096);
}

/** Bytes of shared memory that the tables of a {@link PhysMap} take, in a memory of `bytes`. */
export function physMapBytes(bytes: number): number {
  return mappedPages(bytes) * 4 + 4096 + bytes / 1024;
}

function equal(a: FlatRange, b: FlatRange): boolean {
  return a.start === b.start && a.end === b.end && a.region === b.region && a.offset === b.offset;
}

/** Stores beside translated code are told from stores into it by pieces of this many bytes. */
export const GRANULE_SHIFT = 7;
export const GRANULE = 1 << GRANULE_SHIFT;

/** Number of the storage page that holds an address of the shared memory, which may exceed 32 bits. */
export function storagePage(host: number): number {
  return (host / 4096) | 0;
}

function granule(host: number): number {
  return (host / GRANULE) | 0;
}

export class PhysMap {
  /** Guest pages that have a word; in a memory64's table a word of 0 follows. */
  readonly pages: number;
  readonly table: Uint32Array<SharedArrayBuffer>;
  /** The memory has 64-bit addresses. */
  readonly #far: boolean;
  /** Offset of the table in the shared memory. */
  readonly offset: number;
  /** Pages of storage that hold translated code, by storage page number. */
  readonly #code: Uint8Array;
  /**
   * A bit for each {@link GRANULE} bytes of the shared memory: translated code was made from them. A
   * page has one word.
   */
  readonly #granules: Uint32Array<SharedArrayBuffer>;
  /** Offset of these bits in the shared memory. */
  readonly granules: number;

  constructor(readonly memory: GuestMemory, readonly space: AddressSpace) {
    this.#far = memory.address === "i64";
    this.pages = mappedPages(memory.buffer.byteLength);
    this.offset = memory.alloc(4 * this.pages + (this.#far ? 4 : 0), 4096);
    this.table = new Uint32Array(memory.buffer, this.offset, this.pages);
    const pages = Math.ceil(memory.buffer.byteLength / 4096);
    this.#code = new Uint8Array(pages);
    this.granules = memory.alloc(pages * 4);
    this.#granules = new Uint32Array(memory.buffer, this.granules, pages);
    this.rebuild();
  }

  /** The flat list that the table shows. */
  #flat: readonly FlatRange[] = [];

  /** Follows a change of the address space's flat list: where it differs from before. */
  rebuild(): void {
    const before = this.#flat, flat = this.#flat = this.space.flat;
    let same = 0;
    while (same < flat.length && same < before.length && equal(flat[same], before[same])) same++;
    let tail = 0;
    while (
      same + tail < flat.length && same + tail < before.length &&
      equal(flat[flat.length - 1 - tail], before[before.length - 1 - tail])
    ) tail++;
    const from = same === 0 ? 0 : flat[same - 1].end;
    const to = tail === 0 ? this.pages * 4096 : flat[flat.length - tail].start;
    const low = Math.floor(from / 4096), high = Math.min(Math.ceil(to / 4096), this.pages);
    if (low >= high) return;
    this.table.fill(0, low, high);
    for (const r of flat) {
      if (r.region.kind !== "ram" || r.end <= low * 4096 || r.start >= high * 4096) continue;
      const first = Math.max(low, Math.ceil(r.start / 4096));
      const end = Math.min(Math.floor(r.end / 4096), high);
      const flags = Page.RAM | (r.region.readonly ? Page.READONLY : 0) |
        (r.region.dirtyLog ? Page.DIRTY_LOG : 0);
      const delta = r.region.block.offset + r.region.blockOffset + r.offset - r.start;
      if (delta & 0xfff) continue;
      for (let p = first; p < end; p++) {
        const host = p * 4096 + delta, page = host / 4096;
        this.table[p] = (this.#far ? page << WORD_PAGE_SHIFT : host) | flags |
          (this.#code[page] ? Page.CODE : 0);
      }
    }
  }

  /** The word of a physical address; 0 above all RAM and where nothing is stored. */
  lookup(phys: number): number {
    return phys < this.pages * 4096 ? this.table[Math.floor(phys / 4096)] : 0;
  }

  /** Where the page of a word begins in the shared memory. */
  host(word: number): number {
    return this.#far ? (word >>> WORD_PAGE_SHIFT) * 4096 : (word & ~0xfff) >>> 0;
  }

  /** Marks the storage page at `host` as holding translated code, or not any more. */
  setCode(host: number, on: boolean): void {
    const page = storagePage(host);
    if (!on) this.#granules[page] = 0;
    if (this.#code[page] === (on ? 1 : 0)) return;
    this.#code[page] = on ? 1 : 0;
    // A storage page may be seen at several physical addresses (BIOS aliases).
    for (const r of this.space.flat) {
      if (r.region.kind !== "ram") continue;
      const start = r.region.block.offset + r.region.blockOffset + r.offset;
      const at = page * 4096 - start;
      if (at < 0 || at >= r.end - r.start) continue;
      const p = Math.floor((r.start + at) / 4096);
      if (p >= this.pages || this.table[p] === 0) continue;
      if (on) this.table[p] |= Page.CODE;
      else this.table[p] &= ~Page.CODE;
    }
  }

  hasCode(host: number): boolean {
    return this.#code[storagePage(host)] !== 0;
  }

  /** Notes that translated code was made from storage bytes [start, end) of one page. */
  addCode(start: number, end: number): void {
    if (end <= start) return;
    const first = (start >>> GRANULE_SHIFT) & 31, last = ((end - 1) >>> GRANULE_SHIFT) & 31;
    this.#granules[storagePage(start)] |= (-1 << first) & (-1 >>> (31 - last));
  }

  /** Forgets what {@link addCode} noted of the storage page at `host`. */
  clearCode(host: number): void {
    this.#granules[storagePage(host)] = 0;
  }

  /** Whether translated code was perhaps made from one of `length` storage bytes (at least 1). */
  codeIn(host: number, length: number): boolean {
    const bits = this.#granules;
    const last = granule(host + length - 1);
    for (let g = granule(host); g <= last; g++) {
      if ((bits[g >>> 5] >>> (g & 31)) & 1) return true;
    }
    return false;
  }
}
