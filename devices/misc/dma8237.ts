/**
 * The PC AT's two 8237A DMA controllers (Intel datasheet 231466) with their page registers: channels
 * 0–3 move bytes within 64 KiB pages, channels 5–7 move words within 128 KiB pages, channel 4 is the
 * cascade. A transfer is made by its device, which calls {@link DmaChannel.transfer} while it holds
 * DREQ; single, demand and block mode differ only in who may use the bus in between, which nothing
 * here can see.
 */
import { type Device, StatefulDevice } from "../../core/device.ts";
import { log } from "../../core/log.ts";
import type { AddressSpace } from "../../core/memory/address_space.ts";
import { type IoRegion, ioRegion } from "../../core/memory/region.ts";

/** Which way the guest has programmed a channel: `write` is device to memory. */
export type DmaDirection = "verify" | "write" | "read" | "illegal";

/** What a device sees of its channel. */
export interface DmaChannel {
  /** Drives DREQ. {@link onService} is called, now or later, when the channel can serve it. */
  request(level: boolean): void;
  /** Called when DREQ (or a software request) is up and the channel is neither masked nor off. */
  onService: () => void;
  /** Whether {@link transfer} would move anything now. */
  readonly ready: boolean;
  readonly direction: DmaDirection;
  /** Bytes left until terminal count. */
  readonly remaining: number;
  /**
   * Moves up to `length` bytes between `data` (from `at`) and memory in the programmed direction;
   * verify moves none but counts. Stops at terminal count: see {@link terminalCount}. Word channels
   * move even numbers.
   * @returns the number of bytes, 0 when masked or disabled
   */
  transfer(data: Uint8Array, at: number, length: number): number;
  /** TC: the last {@link transfer} that moved anything reached the end of the count. */
  readonly terminalCount: boolean;
}

interface ChannelState {
  baseAddress: number;
  baseCount: number;
  address: number;
  /** Transfers left, minus one. */
  count: number;
  mode: number;
  page: number;
  terminalCount: boolean;
}

interface ControllerState {
  channels: ChannelState[];
  command: number;
  /** Bits per channel. */
  mask: number;
  dreq: number;
  software: number;
  reached: number;
  /** The byte pointer: the next access is to the high byte. */
  highByte: boolean;
  temporary: number;
}

export interface DmaState {
  controllers: ControllerState[];
  /** Page registers without a channel: plain storage. */
  scratch: Uint8Array;
}

const COMMAND_MEM_TO_MEM = 0x01, COMMAND_HOLD = 0x02, COMMAND_DISABLE = 0x04;
const MODE_AUTOINIT = 0x10, MODE_DECREMENT = 0x20, MODE_CASCADE = 0xc0;
const DIRECTIONS: readonly DmaDirection[] = ["verify", "write", "read", "illegal"];
/** Channel of each page register at 81h + n, or -1. 8Fh belongs to refresh (channel 4). */
const PAGE_CHANNEL = [2, 3, 1, -1, -1, -1, 0, -1, 6, 7, 5, -1, -1, -1, 4];

function powerOn(): ControllerState {
  return {
    channels: Array.from({ length: 4 }, () => ({
      baseAddress: 0,
      baseCount: 0,
      address: 0,
      count: 0,
      mode: 0,
      page: 0,
      terminalCount: false,
    })),
    command: 0,
    mask: 15,
    dreq: 0,
    software: 0,
    reached: 0,
    highByte: false,
    temporary: 0,
  };
}

export class Dma8237 extends StatefulDevice<DmaState> implements Device {
  readonly type = "i8257";
  /** Address and count registers of channels 0–3: ports 00h–07h. */
  readonly channels1: IoRegion = this.#channelPorts(0);
  /** Command registers of controller 1: ports 08h–0Fh. */
  readonly control1: IoRegion = this.#controlPorts(0);
  /** Channels 4–7: ports C0h–CFh, one register on every second. */
  readonly channels2: IoRegion = this.#channelPorts(1);
  /** Ports D0h–DFh. */
  readonly control2: IoRegion = this.#controlPorts(1);
  /** Ports 81h–8Fh. */
  readonly pages: IoRegion = ioRegion("dma-page", PAGE_CHANNEL.length, {
    maxAccess: 1,
    read: (offset) => this.#page(offset)?.page ?? this.state.scratch[offset],
    write: (offset, _size, value) => {
      const c = this.#page(offset);
      if (c === undefined) this.state.scratch[offset] = value;
      else c.page = value;
    },
  });
  readonly #memory: AddressSpace;
  readonly #channels: Channel[];

  constructor(memory: AddressSpace) {
    super(() => ({
      controllers: [powerOn(), powerOn()],
      scratch: new Uint8Array(PAGE_CHANNEL.length),
    }));
    this.#memory = memory;
    this.#channels = Array.from({ length: 8 }, (_, n) => new Channel(this, memory, n));
  }

  /** Channel 0–7; 4 is the cascade and never moves anything. */
  channel(n: number): DmaChannel {
    return this.#channels[n];
  }

  /** DREQ lines keep the levels their devices drive. */
  override reset(): void {
    const dreq = this.state.controllers.map((c) => c.dreq);
    super.reset();
    dreq.forEach((bits, k) => this.state.controllers[k].dreq = bits);
  }

  /** Tells the devices of channels that can be served. */
  serve(k: number): void {
    for (let n = 0; n < 4; n++) {
      const c = this.#channels[k * 4 + n];
      if (c.ready && c.requested) c.onService();
    }
  }

  #page(offset: number): ChannelState | undefined {
    const n = PAGE_CHANNEL[offset];
    return n < 0 ? undefined : this.state.controllers[n >> 2].channels[n & 3];
  }

  #channelPorts(k: number): IoRegion {
    return ioRegion("dma-chan", 8 << k, {
      maxAccess: 1,
      read: (offset) => this.#readChannel(k, offset >> k),
      write: (offset, _size, value) => this.#writeChannel(k, offset >> k, value),
    });
  }

  #controlPorts(k: number): IoRegion {
    return ioRegion("dma-cont", 8 << k, {
      maxAccess: 1,
      read: (offset) => this.#readControl(k, offset >> k),
      write: (offset, _size, value) => this.#writeControl(k, offset >> k, value),
    });
  }

  #readChannel(k: number, reg: number): number {
    const s = this.state.controllers[k], c = s.channels[reg >> 1];
    const value = reg & 1 ? c.count : c.address, high = s.highByte;
    s.highByte = !high;
    return high ? value >> 8 : value & 0xff;
  }

  #writeChannel(k: number, reg: number, value: number): void {
    const s = this.state.controllers[k], c = s.channels[reg >> 1], high = s.highByte;
    s.highByte = !high;
    const old = reg & 1 ? c.baseCount : c.baseAddress;
    const next = high ? (old & 0x00ff) | value << 8 : (old & 0xff00) | value;
    if (reg & 1) c.baseCount = c.count = next;
    else c.baseAddress = c.address = next;
  }

  #readControl(k: number, reg: number): number {
    const s = this.state.controllers[k];
    switch (reg) {
      case 0: {
        const status = s.reached | (s.dreq | s.software) << 4;
        s.reached = 0;
        return status;
      }
      case 5:
        return s.temporary;
      case 7:
        return s.mask;
    }
    return 0;
  }

  #writeControl(k: number, reg: number, value: number): void {
    const s = this.state.controllers[k], bit = 1 << (value & 3);
    switch (reg) {
      case 0:
        s.command = value;
        break;
      case 1:
        if (value & 4) s.software |= bit;
        else s.software &= ~bit;
        if (s.command & COMMAND_MEM_TO_MEM && s.software & 1) this.#memoryToMemory(s);
        break;
      case 2:
        if (value & 4) s.mask |= bit;
        else s.mask &= ~bit;
        break;
      case 3:
        s.channels[value & 3].mode = value;
        break;
      case 4:
        s.highByte = false;
        return;
      case 5:
        s.command =
          s.software =
          s.reached =
          s.temporary =
            0;
        s.mask = 15;
        s.highByte = false;
        return;
      case 6:
        s.mask = 0;
        break;
      case 7:
        s.mask = value & 15;
        break;
    }
    this.serve(k);
  }

  /** Block move from channel 0's address to channel 1's, as long as channel 1 counts. */
  #memoryToMemory(s: ControllerState): void {
    const from = s.channels[0], to = s.channels[1];
    if (s.command & COMMAND_DISABLE) return;
    const hold = (s.command & COMMAND_HOLD) !== 0;
    for (let left = to.count + 1; left > 0; left--) {
      s.temporary = this.#memory.read(from.page << 16 | from.address, 1);
      this.#memory.write(to.page << 16 | to.address, 1, s.temporary);
      if (!hold) from.address = step(from, 1);
      to.address = step(to, 1);
    }
    to.count = 0xffff;
    s.software &= ~1;
    this.reach(s, 1);
  }

  /** Channel `n` of controller `s` has counted out. */
  reach(s: ControllerState, n: number): void {
    const c = s.channels[n], bit = 1 << n;
    s.reached |= bit;
    s.software &= ~bit;
    if (c.mode & MODE_AUTOINIT) {
      c.address = c.baseAddress;
      c.count = c.baseCount;
    } else s.mask |= bit;
  }
}

/** The address `units` transfers on, wrapping within 16 bits as the counter does. */
function step(c: ChannelState, units: number): number {
  return (c.mode & MODE_DECREMENT ? c.address - units : c.address + units) & 0xffff;
}

class Channel implements DmaChannel {
  onService: () => void = () => {};
  readonly #dma: Dma8237;
  readonly #memory: AddressSpace;
  readonly #k: number;
  readonly #n: number;
  /** 1 on the word controller: addresses and counts are in words. */
  readonly #shift: number;

  constructor(dma: Dma8237, memory: AddressSpace, n: number) {
    this.#dma = dma;
    this.#memory = memory;
    this.#k = n >> 2;
    this.#n = n & 3;
    this.#shift = n >> 2;
  }

  get #controller(): ControllerState {
    return this.#dma.state.controllers[this.#k];
  }

  get #state(): ChannelState {
    return this.#controller.channels[this.#n];
  }

  get requested(): boolean {
    const s = this.#controller;
    return ((s.dreq | s.software) & (1 << this.#n)) !== 0;
  }

  get ready(): boolean {
    const s = this.#controller;
    if (s.command & COMMAND_DISABLE || s.mask & (1 << this.#n)) return false;
    return (this.#state.mode & MODE_CASCADE) !== MODE_CASCADE;
  }

  get direction(): DmaDirection {
    return DIRECTIONS[(this.#state.mode >> 2) & 3];
  }

  get remaining(): number {
    return (this.#state.count + 1) << this.#shift;
  }

  get terminalCount(): boolean {
    return this.#state.terminalCount;
  }

  request(level: boolean): void {
    const s = this.#controller, bit = 1 << this.#n;
    if (level === ((s.dreq & bit) !== 0)) return;
    s.dreq ^= bit;
    if (level && this.ready) this.onService();
  }

  transfer(data: Uint8Array, at: number, length: number): number {
    const c = this.#state, shift = this.#shift;
    const units = Math.min(Math.min(length, data.length - at) >> shift, c.count + 1);
    if (units <= 0 || !this.ready) return 0;
    if (this.direction === "illegal") {
      log("guest_errors", `dma: illegal transfer type on channel ${this.#k * 4 + this.#n}`);
      return 0;
    }
    if (c.mode & MODE_DECREMENT) this.#moveDown(data, at, units);
    else this.#moveUp(data, at, units);
    c.address = step(c, units);
    c.count = (c.count - units) & 0xffff;
    c.terminalCount = c.count === 0xffff;
    if (c.terminalCount) this.#dma.reach(this.#controller, this.#n);
    return units << shift;
  }

  /** Physical address of a unit: the page does not take part in the count. */
  #physical(address: number): number {
    const page = this.#shift === 1 ? this.#state.page & 0xfe : this.#state.page;
    return (page << 16) + (address << this.#shift);
  }

  /** Copies in runs that end where the 16-bit address wraps. */
  #moveUp(data: Uint8Array, at: number, units: number): void {
    const { direction } = this;
    if (direction === "verify") return;
    let address = this.#state.address;
    while (units > 0) {
      const run = Math.min(units, 0x10000 - address), bytes = run << this.#shift;
      const piece = data.subarray(at, at + bytes), physical = this.#physical(address);
      if (direction === "write") this.#memory.writeBytes(physical, piece);
      else this.#memory.readBytes(physical, piece);
      address = 0;
      at += bytes;
      units -= run;
    }
  }

  #moveDown(data: Uint8Array, at: number, units: number): void {
    const { direction } = this, size = 1 << this.#shift;
    if (direction === "verify") return;
    for (let i = 0, address = this.#state.address; i < units; i++, at += size) {
      const physical = this.#physical(address);
      for (let b = 0; b < size; b++) {
        if (direction === "write") this.#memory.write(physical + b, 1, data[at + b]);
        else data[at + b] = this.#memory.read(physical + b, 1);
      }
      address = (address - 1) & 0xffff;
    }
  }
}
