/**
 * Parallel NOR flash with the Intel command set 01h behind an 8-bit bus, as QEMU's `cfi.pflash01`:
 * Intel 28F640J3 datasheet 290667 (commands, status register), JEDEC JESD68 (CFI query table).
 */
import { driveIo } from "../../core/block/io.ts";
import type { Drive } from "../../core/block/block.ts";
import type { Device, DeviceState } from "../../core/device.ts";
import { log } from "../../core/log.ts";
import type { AddressSpace, Mapping } from "../../core/memory/address_space.ts";
import type { RamBlock } from "../../core/memory/guest_memory.ts";
import {
  type AccessSize,
  type IoOps,
  ioRegion,
  type RamRegion,
  ramRegion,
} from "../../core/memory/region.ts";

/** Bytes of an erase block. */
export const FLASH_SECTOR = 4096;
/** Bytes of the write buffer, as CFI announces them. */
const BUFFER_SIZE = 256;

const READ_ARRAY = 0xff, READ_IDENTIFIER = 0x90, READ_QUERY = 0x98, READ_STATUS = 0x70;
const CLEAR_STATUS = 0x50, BLOCK_ERASE = 0x20, PROGRAM = 0x40, PROGRAM_ALT = 0x10;
const WRITE_BUFFER = 0xe8, LOCK_SETUP = 0x60, CONFIRM = 0xd0, LOCK = 0x01;
/** Also returns to reading the array, though the datasheet names only FFh. */
const READ_ARRAY_ALT: readonly number[] = [0x00, 0xf0];

const READY = 0x80, ERASE_ERROR = 0x20, PROGRAM_ERROR = 0x10;

/** What the next write cycle is. */
type Cycle = "command" | "data" | "count" | "buffer" | "confirm";

interface FlashState {
  /** The command that decides what reads give. */
  command: number;
  cycle: Cycle;
  status: number;
  /** Bytes of the write buffer still to come, and where the first went. */
  left: number;
  start: number;
  buffer: Uint8Array;
  /** Which bytes of the sector at `start` the buffer holds. */
  filled: Uint8Array;
}

function initialState(): FlashState {
  return {
    command: READ_ARRAY,
    cycle: "command",
    status: READY,
    left: 0,
    start: 0,
    buffer: new Uint8Array(BUFFER_SIZE),
    filled: new Uint8Array(BUFFER_SIZE),
  };
}

export interface CfiFlashOptions {
  /** Region name: `system.flash0`. */
  readonly name: string;
  /** Holds the contents already; its size is a multiple of {@link FLASH_SECTOR}. */
  readonly block: RamBlock;
  /** Changes go here at once. */
  readonly drive: Drive;
  /** Programming and erasing fail. */
  readonly readonly: boolean;
  readonly mem: AddressSpace;
}

export class CfiFlash implements Device {
  readonly type = "cfi.pflash01";
  readonly array: RamRegion;
  state = initialState();
  readonly #o: CfiFlashOptions;
  readonly #query: Uint8Array;
  readonly #registers;
  #mappings: { array: Mapping; registers: Mapping } | undefined;

  constructor(options: CfiFlashOptions) {
    this.#o = options;
    const { name, block } = options;
    this.#query = queryTable(block.size);
    const ops: IoOps = {
      read: (offset, size) => this.#read(offset, size),
      write: (offset, size, value) => {
        for (let i = 0; i < size; i++) this.#write(offset + i, (value >>> (8 * i)) & 0xff);
      },
    };
    this.array = ramRegion(name, block, { readonly: true, writeOps: ops });
    this.#registers = ioRegion(name, block.size, ops);
  }

  get size(): number {
    return this.#o.block.size;
  }

  /** Puts the chip at `base` under anything of a priority above `priority`. */
  map(base: number, priority: number): void {
    const { mem } = this.#o;
    this.#mappings = {
      array: mem.map(this.array, base, priority),
      registers: mem.map(this.#registers, base, priority, false),
    };
  }

  reset(): void {
    this.state = initialState();
    this.#show();
  }

  save(): DeviceState {
    return structuredClone(this.state);
  }

  load(state: DeviceState): void {
    this.state = structuredClone(state) as FlashState;
    this.#show();
  }

  /** The array is plain memory while it is being read; otherwise reads are register reads. */
  #show(): void {
    const m = this.#mappings;
    if (m === undefined) return;
    const array = this.state.command === READ_ARRAY && this.state.cycle === "command";
    this.#o.mem.transaction(() => {
      this.#o.mem.setEnabled(m.array, array);
      this.#o.mem.setEnabled(m.registers, !array);
    });
  }

  #read(offset: number, size: AccessSize): number {
    let value = 0;
    for (let i = 0; i < size; i++) value += this.#readByte(offset + i) * 2 ** (8 * i);
    return value;
  }

  #readByte(offset: number): number {
    switch (this.state.command) {
      case READ_ARRAY:
        return this.#o.block.u8[offset];
      case READ_IDENTIFIER:
        return 0; // manufacturer and device codes are not set; no block is locked
      case READ_QUERY:
        return this.#query[offset & 0xff];
      default:
        return this.state.status;
    }
  }

  #write(offset: number, value: number): void {
    const s = this.state;
    switch (s.cycle) {
      case "command":
        this.#command(offset, value);
        break;
      case "data":
        this.#second(offset, value);
        break;
      case "count":
        s.left = value + 1;
        s.start = -1;
        s.filled.fill(0);
        s.cycle = "buffer";
        break;
      case "buffer":
        this.#fill(offset, value);
        break;
      case "confirm":
        this.#commitBuffer(value);
        break;
    }
    this.#show();
  }

  #command(offset: number, value: number): void {
    const s = this.state;
    switch (value) {
      case CLEAR_STATUS:
        s.status = READY;
        s.command = READ_ARRAY;
        break;
      case READ_STATUS:
      case READ_IDENTIFIER:
      case READ_QUERY:
      case READ_ARRAY:
        s.command = value;
        break;
      case BLOCK_ERASE:
      case PROGRAM:
      case PROGRAM_ALT:
      case LOCK_SETUP:
        s.command = value;
        s.cycle = "data";
        break;
      case WRITE_BUFFER:
        s.status |= READY; // the buffer is available
        s.command = value;
        s.cycle = "count";
        break;
      default:
        if (!READ_ARRAY_ALT.includes(value)) {
          log(
            "guest_errors",
            `${this.type}: unimplemented command 0x${value.toString(16)} at 0x${
              offset.toString(16)
            }`,
          );
        }
        s.command = READ_ARRAY;
    }
  }

  /** The second cycle of a two-cycle command. Reads give the status from then on. */
  #second(offset: number, value: number): void {
    const s = this.state, command = s.command;
    s.cycle = "command";
    if (command === PROGRAM || command === PROGRAM_ALT) {
      s.status |= READY;
      this.#program(offset, Uint8Array.of(value), undefined);
    } else if (value === READ_ARRAY) {
      s.command = READ_ARRAY;
      return;
    } else if (command === BLOCK_ERASE) {
      if (value !== CONFIRM) return this.#sequenceError();
      this.#erase(offset);
    } else if (value !== CONFIRM && value !== LOCK) {
      return this.#sequenceError();
    }
    s.command = READ_STATUS;
  }

  #sequenceError(): void {
    log("guest_errors", `${this.type}: bad command sequence`);
    this.state.status |= ERASE_ERROR | PROGRAM_ERROR;
    this.state.command = READ_ARRAY;
  }

  #erase(offset: number): void {
    const s = this.state, at = offset - offset % FLASH_SECTOR;
    s.status |= READY;
    if (this.#o.readonly) {
      s.status |= ERASE_ERROR;
      return;
    }
    this.#o.block.u8.fill(0xff, at, at + FLASH_SECTOR);
    this.#stored(at, FLASH_SECTOR);
  }

  /** One byte into the write buffer, whose place the first byte's address gives. */
  #fill(offset: number, value: number): void {
    const s = this.state;
    if (s.start < 0) s.start = offset - offset % BUFFER_SIZE;
    const at = offset - s.start;
    if (at >= 0 && at < BUFFER_SIZE) {
      s.buffer[at] = value;
      s.filled[at] = 1;
    } else {
      log("guest_errors", `${this.type}: write outside the buffer's block`);
      s.status |= PROGRAM_ERROR;
    }
    if (--s.left === 0) s.cycle = "confirm";
  }

  #commitBuffer(value: number): void {
    const s = this.state;
    s.cycle = "command";
    s.command = READ_STATUS;
    if (value !== CONFIRM || s.status & PROGRAM_ERROR) {
      if (value !== CONFIRM) this.#sequenceError();
      return;
    }
    s.status |= READY;
    this.#program(s.start, s.buffer, s.filled);
  }

  /** Programming puts the data in as it is (QEMU's chip can turn 0 into 1 as well). */
  #program(offset: number, data: Uint8Array, mask: Uint8Array | undefined): void {
    if (this.#o.readonly) {
      this.state.status |= PROGRAM_ERROR;
      return;
    }
    const { u8 } = this.#o.block;
    let length = 0;
    for (let i = 0; i < data.length && offset + i < u8.length; i++) {
      if (mask === undefined || mask[i] !== 0) u8[offset + i] = data[i];
      length = i + 1;
    }
    this.#stored(offset, length);
  }

  /** Tells the accelerator, and writes the sectors of 512 bytes that changed to the image. */
  #stored(offset: number, length: number): void {
    const { block, mem, drive } = this.#o;
    mem.ramWritten(block.offset + offset, length);
    const from = offset - offset % 512, to = Math.min(block.size, roundUp(offset + length, 512));
    driveIo(drive, "write", from, block.u8.slice(from, to), () => {}, (e) => {
      log("guest_errors", `${this.type}: ${e.message}`);
      this.state.status |= PROGRAM_ERROR;
    });
  }
}

function roundUp(v: number, to: number): number {
  return Math.ceil(v / to) * to;
}

/** Offsets 10h to 3Fh of the CFI query (JESD68 chapter 3; extended table of Intel AP-646). */
function queryTable(size: number): Uint8Array {
  const q = new Uint8Array(256), blocks = size / FLASH_SECTOR - 1;
  q.set([0x51, 0x52, 0x59], 0x10); // "QRY"
  q[0x13] = 0x01; // primary command set: Intel extended
  q[0x15] = 0x31; // its table
  q.set([0x45, 0x55], 0x1b); // Vcc 4.5 to 5.5 V, no Vpp
  q.set([0x07, 0x07, 0x0a], 0x1f); // typical 128 µs a program or buffer write, 1 s an erase
  q.set([0x04, 0x04, 0x04], 0x23); // the longest are 16 times that
  q[0x27] = Math.floor(Math.log2(size));
  q[0x28] = 0x02; // 8- and 16-bit bus
  q[0x2a] = Math.log2(BUFFER_SIZE);
  q[0x2c] = 1; // one region of equal blocks
  q.set([blocks & 0xff, (blocks >> 8) & 0xff], 0x2d);
  q.set([(FLASH_SECTOR >> 8) & 0xff, FLASH_SECTOR >> 16], 0x2f);
  q.set([0x50, 0x52, 0x49, 0x31, 0x30], 0x31); // "PRI", version 1.0
  q[0x3f] = 0x01; // one protection field
  return q;
}
