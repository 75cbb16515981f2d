/**
 * Bus-master IDE: one 16-byte register block for two channels (Intel PIIX3 datasheet 290550, 3.3;
 * SFF-8038i 1.0). The data moves along the guest's PRD table.
 */
import type { Device, DeviceState } from "../../core/device.ts";
import { log } from "../../core/log.ts";
import type { AddressSpace } from "../../core/memory/address_space.ts";
import { type IoRegion, ioRegion } from "../../core/memory/region.ts";
import type { IdeDma } from "./ata_device.ts";
import type { IdeChannel } from "./ide.ts";

/** BMICx bits. */
const START = 0x01, TO_MEMORY = 0x08;
/** BMISx bits. */
const ACTIVE = 0x01, ERROR = 0x02, INTERRUPT = 0x04, CAPABLE = 0x60;
/** A PRD table must lie within 64 KiB: as many entries at the most. */
const MAX_PRDS = 65536 / 8;
const END_OF_TABLE = 0x80000000;

interface BusMasterState {
  command: number;
  status: number;
  /** BMIDTPx. */
  table: number;
  /** Entries fetched since START. */
  fetched: number;
  /** What is left of the current entry. */
  address: number;
  length: number;
  last: boolean;
}

function initialState(): BusMasterState {
  return {
    command: 0,
    status: 0,
    table: 0,
    fetched: 0,
    address: 0,
    length: 0,
    last: false,
  };
}

class BusMasterChannel implements IdeDma {
  state = initialState();

  constructor(private readonly channel: IdeChannel, private readonly mem: AddressSpace) {
    channel.dma = this;
    channel.onInterrupt = () => {
      this.state.status |= INTERRUPT;
    };
  }

  /** The direction bit is not compared with the command's: the device leads (as in QEMU). */
  get started(): boolean {
    return (this.state.command & START) !== 0;
  }

  read(offset: number): number {
    const s = this.state;
    switch (offset) {
      case 0:
        return s.command;
      case 2:
        return s.status;
      case 4:
      case 5:
      case 6:
      case 7:
        return (s.table >>> (8 * (offset - 4))) & 0xff;
      default:
        return 0xff;
    }
  }

  write(offset: number, value: number): void {
    const s = this.state;
    switch (offset) {
      case 0:
        this.#writeCommand(value);
        break;
      case 2:
        s.status = (value & CAPABLE) | (s.status & ACTIVE) |
          (s.status & ~value & (ERROR | INTERRUPT));
        break;
      case 4:
      case 5:
      case 6:
      case 7: {
        const shift = 8 * (offset - 4);
        s.table = ((s.table & ~(0xff << shift)) | (value << shift)) & ~3;
        break;
      }
    }
  }

  toMemory(from: Uint8Array, length: number): number {
    let done = 0;
    for (; done < length && this.#entry();) {
      const n = Math.min(length - done, this.state.length);
      this.mem.writeBytes(this.state.address, from.subarray(done, done + n));
      this.#advance(n);
      done += n;
    }
    return done;
  }

  fromMemory(into: Uint8Array, length: number): number {
    let done = 0;
    for (; done < length && this.#entry();) {
      const n = Math.min(length - done, this.state.length);
      this.mem.readBytes(this.state.address, into.subarray(done, done + n));
      this.#advance(n);
      done += n;
    }
    return done;
  }

  end(): void {
    const s = this.state;
    // A table longer than the transfer leaves ACTIVE set (SFF-8038i 3.1, status register).
    if (s.length === 0 && s.last) s.status &= ~ACTIVE;
  }

  /** The device gave up before the end of its transfer. */
  stop(): void {
    this.state.status &= ~ACTIVE;
  }

  #writeCommand(value: number): void {
    const s = this.state;
    const was = s.command;
    s.command = value & (START | TO_MEMORY);
    if ((was & START) !== 0 && (value & START) === 0) s.status &= ~ACTIVE;
    if ((was & START) !== 0 || (value & START) === 0) return;
    s.status |= ACTIVE;
    s.fetched = 0;
    s.length = 0;
    s.last = false;
    const d = this.channel.selectedDevice;
    if (d?.state.dmaPending) d.runDma();
  }

  /** Makes sure that the current entry has bytes left; false at the end of the table. */
  #entry(): boolean {
    const s = this.state;
    if ((s.command & START) === 0) return false;
    if (s.length > 0) return true;
    if (s.last || s.fetched >= MAX_PRDS) {
      if (!s.last) log("guest_errors", "bmdma: PRD table without end");
      s.last = true;
      s.status &= ~ACTIVE;
      return false;
    }
    const at = (s.table & 0xffff0000) + ((s.table + 8 * s.fetched) & 0xffff);
    s.fetched++;
    s.address = (this.mem.read(at >>> 0, 4) & ~1) >>> 0;
    const word = this.mem.read((at + 4) >>> 0, 4);
    s.length = word & 0xfffe || 0x10000;
    s.last = (word & END_OF_TABLE) !== 0;
    return true;
  }

  #advance(n: number): void {
    this.state.length -= n;
    this.state.address = (this.state.address + n) >>> 0;
  }
}

export interface BusMasterOptions {
  readonly channels: readonly [IdeChannel, IdeChannel];
  /** What the PCI function's DMA reaches. */
  readonly mem: AddressSpace;
}

/** Bus-master registers of both channels; makes itself the channels' DMA engine. */
export class BusMasterIde implements Device {
  readonly type = "bmdma";
  /** BAR 4: 16 ports. */
  readonly region: IoRegion;
  readonly #halves: readonly BusMasterChannel[];

  constructor(options: BusMasterOptions) {
    this.#halves = options.channels.map((c) => new BusMasterChannel(c, options.mem));
    this.region = ioRegion("bmdma", 16, {
      read: (offset) => this.#halves[offset >> 3].read(offset & 7),
      write: (offset, _size, value) => this.#halves[offset >> 3].write(offset & 7, value),
      maxAccess: 1,
    });
  }

  reset(): void {
    for (const h of this.#halves) h.state = initialState();
  }

  save(): DeviceState {
    return this.#halves.map((h) => structuredClone(h.state));
  }

  load(state: DeviceState): void {
    const list = state as BusMasterState[];
    this.#halves.forEach((h, i) => h.state = structuredClone(list[i]));
  }
}
