/**
 * The firmware configuration device: QEMU's docs/specs/fw_cfg.rst. A selector and a data port on
 * I/O ports 510h/511h and a DMA address register at 514h give firmware named blobs.
 */
import { StatefulDevice } from "../../core/device.ts";
import { UserError } from "../../core/errors.ts";
import { log } from "../../core/log.ts";
import type { AddressSpace } from "../../core/memory/address_space.ts";
import { ioRegion } from "../../core/memory/region.ts";

/** Selector keys of the traditional interface. */
export const FwCfgKey = {
  SIGNATURE: 0x00,
  ID: 0x01,
  UUID: 0x02,
  RAM_SIZE: 0x03,
  NOGRAPHIC: 0x04,
  NB_CPUS: 0x05,
  MACHINE_ID: 0x06,
  KERNEL_ADDR: 0x07,
  KERNEL_SIZE: 0x08,
  KERNEL_CMDLINE: 0x09,
  INITRD_ADDR: 0x0a,
  INITRD_SIZE: 0x0b,
  BOOT_DEVICE: 0x0c,
  NUMA: 0x0d,
  BOOT_MENU: 0x0e,
  MAX_CPUS: 0x0f,
  KERNEL_ENTRY: 0x10,
  KERNEL_DATA: 0x11,
  INITRD_DATA: 0x12,
  CMDLINE_ADDR: 0x13,
  CMDLINE_SIZE: 0x14,
  CMDLINE_DATA: 0x15,
  SETUP_ADDR: 0x16,
  SETUP_SIZE: 0x17,
  SETUP_DATA: 0x18,
  FILE_DIR: 0x19,
  FILE_FIRST: 0x20,
  ACPI_TABLES: 0x8000,
  SMBIOS_ENTRIES: 0x8001,
  IRQ0_OVERRIDE: 0x8002,
  E820_TABLE: 0x8003,
  HPET: 0x8004,
} as const;

const KEY_INVALID = 0xffff;
const ID_TRADITIONAL = 1, ID_DMA = 2;
const DMA_ERROR = 0x01, DMA_READ = 0x02, DMA_SKIP = 0x04, DMA_SELECT = 0x08, DMA_WRITE = 0x10;
/** Of QEMU's fw_cfg_io device: `x-file-slots`. */
const FILE_SLOTS = 0x20;
/** With its terminating NUL. */
const FILE_NAME_SIZE = 56;
const DIRECTORY_ENTRY_SIZE = 64;
const DMA_SIGNATURE = [0x51454d55, 0x20434647]; // "QEMU CFG"

/** Contents of an item: fixed bytes, or made anew each time firmware selects it. */
export type FwCfgData = Uint8Array | (() => Uint8Array);

export interface FwCfgFile {
  readonly name: string;
  readonly data: FwCfgData;
  /** Firmware may overwrite it through DMA; told after each write. */
  readonly onWrite?: (data: Uint8Array, offset: number, length: number) => void;
}

export interface FwCfgState {
  key: number;
  offset: number;
  dmaAddressHigh: number;
  /** Contents of files that firmware has written. */
  written: Map<string, Uint8Array>;
}

export class FwCfg extends StatefulDevice<FwCfgState> {
  override readonly type = "fw_cfg_io";
  /** Ports 510h (selector, word write) and 511h (data, byte read). */
  readonly region = ioRegion("fwcfg", 2, {
    read: (_offset, size) => size === 1 ? this.#readByte() : 0,
    write: (_offset, size, value) => {
      if (size === 2) this.#select(value);
    },
    maxAccess: 2,
  });
  /** Ports 514h–51Bh: the big-endian address of a DMA descriptor. */
  readonly dmaRegion = ioRegion("fwcfg.dma", 8, {
    minAccess: 4,
    read: (offset) => swap32(DMA_SIGNATURE[offset >> 2]),
    write: (offset, _size, value) => {
      if (offset === 0) this.state.dmaAddressHigh = swap32(value);
      else this.#dma(swap32(value));
    },
  });

  readonly #items = new Map<number, FwCfgData>();
  #files: FwCfgFile[] = [];
  /** The selected item's bytes, taken when it was selected. */
  #current: Uint8Array | undefined;

  constructor(private readonly mem: AddressSpace) {
    super(() => ({ key: 0, offset: 0, dmaAddressHigh: 0, written: new Map() }));
    this.addString(FwCfgKey.SIGNATURE, "QEMU", false);
    this.add32(FwCfgKey.ID, ID_TRADITIONAL | ID_DMA);
    this.add(FwCfgKey.FILE_DIR, () => this.#directory());
  }

  /** Adds (or replaces) the item of a traditional key. */
  add(key: number, data: FwCfgData): void {
    this.#items.set(key, data);
  }

  add16(key: number, value: number): void {
    this.add(key, new Uint8Array([value & 0xff, (value >> 8) & 0xff]));
  }

  add32(key: number, value: number): void {
    const b = new Uint8Array(4);
    new DataView(b.buffer).setUint32(0, value, true);
    this.add(key, b);
  }

  add64(key: number, value: number | bigint): void {
    const b = new Uint8Array(8);
    new DataView(b.buffer).setBigUint64(0, BigInt(value), true);
    this.add(key, b);
  }

  addString(key: number, text: string, terminate = true): void {
    this.add(key, new TextEncoder().encode(terminate ? text + "\0" : text));
  }

  /**
   * Adds a named file. Throws UserError for a name of more than 55 bytes, a duplicate, or when the
   * directory is full.
   */
  addFile(name: string, data: FwCfgData, onWrite?: FwCfgFile["onWrite"]): void {
    if (new TextEncoder().encode(name).length >= FILE_NAME_SIZE) {
      throw new UserError(`name too long (max. ${FILE_NAME_SIZE - 1} char)`);
    }
    if (this.#files.some((f) => f.name === name)) {
      throw new UserError(`duplicate fw_cfg file name: ${name}`);
    }
    if (this.#files.length >= FILE_SLOTS) throw new UserError("no free fw_cfg file slot");
    this.#files.push({ name, data, onWrite });
    this.#files.sort((a, b) => a.name < b.name ? -1 : 1);
  }

  /** Adds a file or replaces its contents. */
  setFile(name: string, data: FwCfgData, onWrite?: FwCfgFile["onWrite"]): void {
    this.#files = this.#files.filter((f) => f.name !== name);
    this.state.written.delete(name);
    this.addFile(name, data, onWrite);
  }

  hasFile(name: string): boolean {
    return this.#files.some((f) => f.name === name);
  }

  /** Contents of a file as firmware would read it now. */
  fileContents(name: string): Uint8Array | undefined {
    const f = this.#files.find((f) => f.name === name);
    return f && this.#contents(f);
  }

  get fileNames(): string[] {
    return this.#files.map((f) => f.name);
  }

  #contents(f: FwCfgFile): Uint8Array {
    return this.state.written.get(f.name) ?? bytesOf(f.data);
  }

  #directory(): Uint8Array {
    const dir = new Uint8Array(4 + this.#files.length * DIRECTORY_ENTRY_SIZE);
    const view = new DataView(dir.buffer);
    view.setUint32(0, this.#files.length);
    this.#files.forEach((f, i) => {
      const at = 4 + i * DIRECTORY_ENTRY_SIZE;
      view.setUint32(at, this.#contents(f).length);
      view.setUint16(at + 4, FwCfgKey.FILE_FIRST + i);
      dir.set(new TextEncoder().encode(f.name), at + 8);
    });
    return dir;
  }

  #fileOf(key: number): FwCfgFile | undefined {
    return this.#files[key - FwCfgKey.FILE_FIRST];
  }

  #lookup(key: number): Uint8Array | undefined {
    const file = this.#fileOf(key);
    if (file !== undefined) return this.#contents(file);
    const item = this.#items.get(key);
    return item === undefined ? undefined : bytesOf(item);
  }

  #select(key: number): void {
    this.state.offset = 0;
    this.#current = this.#lookup(key);
    this.state.key = this.#current === undefined ? KEY_INVALID : key;
  }

  #data(): Uint8Array | undefined {
    if (this.#current === undefined) this.#current = this.#lookup(this.state.key);
    return this.#current;
  }

  #readByte(): number {
    const data = this.#data();
    if (data === undefined || this.state.offset >= data.length) return 0;
    return data[this.state.offset++];
  }

  /** Runs the descriptor whose address's low half has just been written. */
  #dma(low: number): void {
    const address = this.state.dmaAddressHigh * 2 ** 32 + low;
    this.state.dmaAddressHigh = 0;
    const descriptor = new Uint8Array(16), view = new DataView(descriptor.buffer);
    this.mem.readBytes(address, descriptor);
    const control = view.getUint32(0), length = view.getUint32(4);
    const target = view.getUint32(8) * 2 ** 32 + view.getUint32(12);
    const ok = this.#transfer(control, length, target);
    view.setUint32(0, ok ? 0 : DMA_ERROR);
    this.mem.writeBytes(address, descriptor.subarray(0, 4));
  }

  #transfer(control: number, length: number, target: number): boolean {
    if (control & DMA_SELECT) this.#select(control >>> 16);
    const s = this.state, data = this.#data();
    const available = data === undefined
      ? 0
      : Math.min(length, Math.max(0, data.length - s.offset));
    if (control & DMA_READ) {
      if (available > 0) {
        this.mem.writeBytes(target, data!.subarray(s.offset, s.offset + available));
      }
      this.#clear(target + available, length - available);
      s.offset += available;
      return true;
    }
    if (control & DMA_WRITE) return this.#write(length, target);
    if (control & DMA_SKIP) s.offset += available;
    return true;
  }

  /** A read beyond an item's end gives zeros, as far as there is RAM to take them. */
  #clear(target: number, length: number): void {
    while (length > 0) {
      const range = this.mem.find(target);
      if (range === undefined || range.region.kind !== "ram") return;
      const n = Math.min(length, range.end - target, 65536);
      this.mem.writeBytes(target, new Uint8Array(n));
      target += n;
      length -= n;
    }
  }

  #write(length: number, target: number): boolean {
    const s = this.state, file = this.#fileOf(s.key), data = this.#data();
    if (file?.onWrite === undefined || data === undefined || s.offset + length > data.length) {
      log("guest_errors", `fw_cfg: write of ${length} bytes to item 0x${s.key.toString(16)}`);
      return false;
    }
    const copy = data.slice(), offset = s.offset;
    this.mem.readBytes(target, copy.subarray(offset, offset + length));
    s.written.set(file.name, copy);
    this.#current = copy;
    s.offset += length;
    file.onWrite(copy, offset, length);
    return true;
  }

  protected override onReset(): void {
    this.#current = undefined;
  }

  protected override onLoad(): void {
    this.#current = undefined;
    for (const f of this.#files) {
      const data = this.state.written.get(f.name);
      if (data !== undefined) f.onWrite?.(data, 0, data.length);
    }
  }
}

function bytesOf(data: FwCfgData): Uint8Array {
  return typeof data === "function" ? data() : data;
}

function swap32(v: number): number {
  return ((v >>> 24) | ((v >>> 8) & 0xff00) | ((v << 8) & 0xff0000) | (v << 24)) >>> 0;
}
