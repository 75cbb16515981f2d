/**
 * Which pages of display memory have changed since a picture of it was drawn. Writes by devices and
 * by the adapter itself are noted as they happen. Writes by the guest's processors come from the
 * accelerator's dirty log where it keeps one (KVM), and otherwise from a comparison with a copy of
 * what was last seen, so that code which stores into display memory pays nothing for it.
 */
import type { Vm } from "../accel.ts";
import type { AddressSpace } from "../memory/address_space.ts";
import type { RamBlock } from "../memory/guest_memory.ts";

/** Changes are told by pieces of this many bytes (a power of two), as KVM's dirty log has them. */
export const PAGE = 4096;
const SHIFT = 12, PAGE_WORDS = PAGE / 4;

/** Hands a machine's dirty log, which can be read only once, to all that watch display memory. */
export class DirtyLog {
  readonly #watchers: DirtyPages[] = [];

  constructor(private readonly vm: Pick<Vm, "dirtyPages">, mem: AddressSpace) {
    mem.onRamWrite((offset, length) => this.#written(offset, length));
  }

  /** Watches a block. All of it counts as changed to begin with. */
  watch(block: RamBlock): DirtyPages {
    const watcher = new DirtyPages(block, this);
    this.#watchers.push(watcher);
    return watcher;
  }

  /** Ends {@link watch}: the watcher goes on by comparing. */
  unwatch(watcher: DirtyPages): void {
    const i = this.#watchers.indexOf(watcher);
    if (i >= 0) this.#watchers.splice(i, 1);
  }

  /**
   * Marks in every watcher what the accelerator's log has. False when there is no such log, or
   * `watcher` is not watched: it has to compare.
   */
  read(watcher: DirtyPages): boolean {
    if (!this.#watchers.includes(watcher)) return false;
    const complete = this.vm.dirtyPages?.((offset) => this.#written(offset, PAGE));
    if (complete === undefined) return false;
    if (!complete) { for (const w of this.#watchers) w.markAll(); }
    return true;
  }

  #written(offset: number, length: number): void {
    for (const w of this.#watchers) {
      const at = offset - w.block.offset;
      if (at < w.block.size && at + length > 0) w.mark(at, length);
    }
  }
}

export class DirtyPages {
  /**
   * A byte for each page of the block, not 0 when the page may have changed since {@link clear}.
   * The adapter sets them for its own writes; those of others are in after {@link update}.
   */
  readonly pages: Uint8Array;
  readonly #words: Int32Array;
  /** Pages as they were when last compared, where {@link #known}. */
  #copy: Int32Array | undefined;
  readonly #known: Uint8Array;
  #comparing = false;

  /** @param log undefined: every page is compared */
  constructor(readonly block: RamBlock, private readonly log?: DirtyLog) {
    const pages = block.size / PAGE;
    this.pages = new Uint8Array(pages).fill(1);
    this.#known = new Uint8Array(pages);
    this.#words = new Int32Array(block.u8.buffer, block.u8.byteOffset, block.size >> 2);
  }

  /** Notes a write of `length` bytes at `offset` of the block; parts outside of it are ignored. */
  mark(offset: number, length: number): void {
    const end = Math.min(offset + length, this.block.size);
    for (let at = Math.max(offset, 0) >> SHIFT; at << SHIFT < end; at++) this.pages[at] = 1;
  }

  markAll(): void {
    this.pages.fill(1);
  }

  /**
   * Brings {@link pages} up to date, at least those that hold bytes `start` to `end` − 1 of the
   * block. To be called before these bytes are read: what is written later is told the next time.
   */
  update(start: number, end: number): void {
    if (this.log?.read(this)) {
      if (this.#comparing) this.markAll();
      this.#comparing = false;
      return;
    }
    if (!this.#comparing) {
      // The copy, if there is one, is older than the log's last report.
      this.#known.fill(0);
      this.#comparing = true;
    }
    this.#copy ??= new Int32Array(this.#words.length);
    const last = Math.min(end, this.block.size) - 1 >> SHIFT;
    for (let page = Math.max(start, 0) >> SHIFT; page <= last; page++) this.#compare(page);
  }

  /** All changes have been drawn. */
  clear(): void {
    this.pages.fill(0);
  }

  #compare(page: number): void {
    const words = this.#words, copy = this.#copy!, end = (page + 1) * PAGE_WORDS;
    let at = page * PAGE_WORDS;
    if (this.#known[page]) {
      while (at < end && words[at] === copy[at]) at++;
      if (at === end) return;
    }
    this.#known[page] = this.pages[page] = 1;
    for (; at < end; at++) copy[at] = words[at];
  }
}
