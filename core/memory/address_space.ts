/**
 * A physical (or I/O port) address space: regions placed at addresses, flattened into a sorted list
 * of ranges. Overlap is an error unless the priorities differ; the higher priority wins.
 */
import { log } from "../log.ts";
import type { AccessSize, IoOps, Region } from "./region.ts";

/** A region placed at an address. Made by {@link AddressSpace.map}. */
export interface Mapping {
  readonly region: Region;
  readonly base: number;
  readonly priority: number;
  enabled: boolean;
}

/** A maximal run of addresses that reach the same region; `offset` is the region's at `start`. */
export interface FlatRange {
  readonly start: number;
  /** One past the last address. */
  readonly end: number;
  readonly region: Region;
  readonly offset: number;
}

/** Told when the flat list has changed: the accelerator flushes its TLBs or moves memory slots. */
export type MapListener = () => void;
/** Told when a device has written guest storage: `offset` is into the shared memory. */
export type RamWriteListener = (offset: number, length: number) => void;

export class AddressSpace {
  readonly mappings: Mapping[] = [];
  #flat: FlatRange[] = [];
  #stale = false;
  #depth = 0;
  #hint = 0;
  readonly #mapListeners: MapListener[] = [];
  readonly #writeListeners: RamWriteListener[] = [];

  /**
   * @param name `memory` or `I/O`, as `info mtree` prints it
   * @param size number of addresses
   * @param unmapped what a read of nothing gives, per byte
   */
  constructor(readonly name: string, readonly size: number, readonly unmapped: 0 | 0xff) {}

  /** Places a region. Throws on an overlap with an enabled mapping of the same priority. */
  map(region: Region, base: number, priority = 0, enabled = true): Mapping {
    const m: Mapping = { region, base, priority, enabled };
    if (enabled) this.#refuseOverlap(m);
    this.mappings.push(m);
    this.#changed();
    return m;
  }

  unmap(m: Mapping): void {
    const i = this.mappings.indexOf(m);
    if (i < 0) return;
    this.mappings.splice(i, 1);
    this.#changed();
  }

  setEnabled(m: Mapping, enabled: boolean): void {
    if (m.enabled === enabled) return;
    m.enabled = enabled;
    this.#changed();
  }

  /** Runs `fn` with listeners told once, after it: for a register write that moves several regions. */
  transaction(fn: () => void): void {
    this.#depth++;
    try {
      fn();
    } finally {
      if (--this.#depth === 0 && this.#stale) this.#rebuild();
    }
  }

  onMapChange(f: MapListener): void {
    this.#mapListeners.push(f);
  }

  onRamWrite(f: RamWriteListener): void {
    this.#writeListeners.push(f);
  }

  /**
   * Tells the write listeners of a store made past this address space, as by a device that writes its
   * storage through a view. `offset` is into the shared memory.
   */
  ramWritten(offset: number, length: number): void {
    for (const f of this.#writeListeners) f(offset, length);
  }

  /** The flat list, sorted by address. */
  get flat(): readonly FlatRange[] {
    if (this.#stale) this.#rebuild();
    return this.#flat;
  }

  /** The range that holds `addr`, or undefined where nothing is mapped. */
  find(addr: number): FlatRange | undefined {
    if (this.#stale) this.#rebuild();
    const flat = this.#flat;
    const h = flat[this.#hint];
    if (h !== undefined && addr >= h.start && addr < h.end) return h;
    let lo = 0, hi = flat.length - 1;
    while (lo <= hi) {
      const mid = (lo + hi) >> 1;
      const r = flat[mid];
      if (addr < r.start) hi = mid - 1;
      else if (addr >= r.end) lo = mid + 1;
      else {
        this.#hint = mid;
        return r;
      }
    }
    return undefined;
  }

  /** Reads 1, 2 or 4 bytes, little endian, unsigned; unmapped bytes read as `unmapped`. */
  read(addr: number, size: AccessSize): number {
    const r = this.find(addr);
    if (r !== undefined && addr + size <= r.end) {
      const at = r.offset + addr - r.start;
      if (r.region.kind === "io") return readOps(r.region.ops, at, size);
      const v = r.region.block.view, o = r.region.blockOffset + at;
      return size === 1 ? v.getUint8(o) : size === 2 ? v.getUint16(o, true) : v.getUint32(o, true);
    }
    if (size === 1 || (r === undefined && this.find(addr + size - 1) === undefined)) {
      log(
        "guest_errors",
        `Invalid read at addr 0x${addr.toString(16).toUpperCase()}, size ${size}`,
      );
      return this.unmapped === 0 ? 0 : size === 4 ? 0xffffffff : size === 2 ? 0xffff : 0xff;
    }
    let value = 0;
    for (let i = 0; i < size; i++) value += this.read(addr + i, 1) * 2 ** (8 * i);
    return value;
  }

  /** Writes 1, 2 or 4 bytes; writes to nothing and to ROM are dropped. */
  write(addr: number, size: AccessSize, value: number): void {
    const r = this.find(addr);
    if (r !== undefined && addr + size <= r.end) {
      const at = r.offset + addr - r.start, region = r.region;
      if (region.kind === "io") return writeOps(region.ops, at, size, value);
      if (region.readonly) {
        if (region.writeOps) writeOps(region.writeOps, at, size, value);
        return;
      }
      const v = region.block.view, o = region.blockOffset + at;
      if (size === 1) v.setUint8(o, value);
      else if (size === 2) v.setUint16(o, value, true);
      else v.setUint32(o, value, true);
      for (const f of this.#writeListeners) f(region.block.offset + o, size);
      return;
    }
    if (size === 1 || (r === undefined && this.find(addr + size - 1) === undefined)) {
      log(
        "guest_errors",
        `Invalid write at addr 0x${addr.toString(16).toUpperCase()}, size ${size}`,
      );
      return;
    }
    for (let i = 0; i < size; i++) this.write(addr + i, 1, Math.floor(value / 2 ** (8 * i)) & 0xff);
  }

  /** Copies guest memory into `into`; device registers are read bytewise, holes as `unmapped`. */
  readBytes(addr: number, into: Uint8Array): void {
    for (let done = 0; done < into.length;) {
      const r = this.find(addr + done);
      if (r === undefined || r.region.kind === "io") {
        into[done] = this.read(addr + done, 1);
        done++;
        continue;
      }
      const n = Math.min(into.length - done, r.end - addr - done);
      const o = r.region.blockOffset + r.offset + addr + done - r.start;
      into.set(r.region.block.u8.subarray(o, o + n), done);
      done += n;
    }
  }

  /** Copies `from` into guest memory; ROM and holes swallow their part. */
  writeBytes(addr: number, from: Uint8Array): void {
    for (let done = 0; done < from.length;) {
      const r = this.find(addr + done);
      if (r === undefined || r.region.kind === "io" || r.region.writeOps !== undefined) {
        this.write(addr + done, 1, from[done]);
        done++;
        continue;
      }
      const n = Math.min(from.length - done, r.end - addr - done);
      if (!r.region.readonly) {
        const o = r.region.blockOffset + r.offset + addr + done - r.start;
        r.region.block.u8.set(from.subarray(done, done + n), o);
        for (const f of this.#writeListeners) f(r.region.block.offset + o, n);
      }
      done += n;
    }
  }

  #refuseOverlap(m: Mapping): void {
    const end = m.base + m.region.size;
    for (const o of this.mappings) {
      if (!o.enabled || o.priority !== m.priority) continue;
      if (m.base < o.base + o.region.size && o.base < end) {
        throw new Error(`${m.region.name} overlaps ${o.region.name} in ${this.name}`);
      }
    }
  }

  #changed(): void {
    this.#stale = true;
    if (this.#depth === 0) this.#rebuild();
  }

  #rebuild(): void {
    this.#stale = false;
    this.#hint = 0;
    const live = this.mappings.filter((m) => m.enabled).sort((a, b) => b.priority - a.priority);
    const cuts = new Set<number>();
    for (const m of live) {
      cuts.add(m.base);
      cuts.add(Math.min(m.base + m.region.size, this.size));
    }
    const points = [...cuts].sort((a, b) => a - b);
    const flat: FlatRange[] = [];
    for (let i = 0; i + 1 < points.length; i++) {
      const start = points[i], end = points[i + 1];
      const m = live.find((m) => m.base <= start && end <= m.base + m.region.size);
      if (m === undefined) continue;
      const offset = start - m.base, last = flat.at(-1);
      if (
        last !== undefined && last.region === m.region && last.end === start &&
        last.offset + start - last.start === offset
      ) flat[flat.length - 1] = { ...last, end };
      else flat.push({ start, end, region: m.region, offset });
    }
    this.#flat = flat;
    for (const f of this.#mapListeners) f();
  }
}

function mask(size: AccessSize): number {
  return size === 4 ? 0xffffffff : size === 2 ? 0xffff : 0xff;
}

/** One access to device registers, split or widened to what the device implements. */
export function readOps(ops: IoOps, at: number, size: AccessSize): number {
  const min = ops.minAccess ?? 1, max = ops.maxAccess ?? 4;
  if (size > max) {
    let value = 0;
    for (let i = 0; i < size; i += max) value += readOps(ops, at + i, max) * 2 ** (8 * i);
    return value;
  }
  if (size < min) {
    const shift = at & (min - 1);
    return ((ops.read(at - shift, min) >>> (8 * shift)) & mask(size)) >>> 0;
  }
  return (ops.read(at, size) & mask(size)) >>> 0;
}

/** The write counterpart of {@link readOps}. */
export function writeOps(ops: IoOps, at: number, size: AccessSize, value: number): void {
  const min = ops.minAccess ?? 1, max = ops.maxAccess ?? 4;
  if (size > max) {
    for (let i = 0; i < size; i += max) writeOps(ops, at + i, max, value >>> (8 * i));
    return;
  }
  value = (value & mask(size)) >>> 0;
  if (size < min) {
    const shift = at & (min - 1);
    return ops.write(at - shift, min, (value << (8 * shift)) >>> 0);
  }
  ops.write(at, size, value);
}
