/**
 * SMBus host controller of the 82371AB (PIIX4) and ICH families (PIIX4 datasheet 290562, 7.2), and
 * the serial EEPROMs QEMU puts behind it.
 */
import { ioRegion } from "../../core/memory/region.ts";

const HSTSTS = 0x00, HSTCNT = 0x02, HSTCMD = 0x03, HSTADD = 0x04, HSTDAT0 = 0x05, HSTDAT1 = 0x06;
const BLKDAT = 0x07, AUXCTL = 0x0d;
const STS_INTR = 0x02, STS_DEV_ERR = 0x04;
const STS_W1C = 0x9e;
const CNT_START = 0x40, CNT_KILL = 0x02;
const PROTOCOL_SHIFT = 2;
const QUICK = 0, BYTE = 1, BYTE_DATA = 2, WORD_DATA = 3, BLOCK = 5;
const BLOCK_MAX = 32;

/** A device on the bus. Each call is one transaction. */
export interface SmbusDevice {
  /** A receive-byte, or the bytes after `command` was sent. */
  read(command: number | undefined, length: number): number[];
  write(command: number, data: readonly number[]): void;
}

/** A 24C02: 256 bytes, an address pointer that moves on by itself. */
export class SmbusEeprom implements SmbusDevice {
  readonly data = new Uint8Array(256);
  pointer = 0;

  read(command: number | undefined, length: number): number[] {
    if (command !== undefined) this.pointer = command;
    return Array.from({ length }, () => this.data[this.pointer++ & 0xff]);
  }

  write(command: number, data: readonly number[]): void {
    this.pointer = command;
    for (const b of data) this.data[this.pointer++ & 0xff] = b;
  }
}

export interface SmbusState {
  status: number;
  control: number;
  command: number;
  address: number;
  data0: number;
  data1: number;
  auxControl: number;
  block: Uint8Array;
  index: number;
}

export function initialSmbus(): SmbusState {
  return {
    status: 0,
    control: 0,
    command: 0,
    address: 0,
    data0: 0,
    data1: 0,
    auxControl: 0,
    block: new Uint8Array(BLOCK_MAX),
    index: 0,
  };
}

export class SmbusHost {
  state = initialSmbus();
  readonly devices = new Map<number, SmbusDevice>();
  readonly region = ioRegion("pm-smbus", 64, {
    maxAccess: 1,
    read: (offset) => this.#read(offset),
    write: (offset, _size, value) => this.#write(offset, value),
  });

  #read(offset: number): number {
    const s = this.state;
    switch (offset) {
      case HSTSTS:
        return s.status;
      case HSTCNT:
        s.index = 0; // reading HSTCNT rewinds the block buffer
        return s.control & ~CNT_START;
      case HSTCMD:
        return s.command;
      case HSTADD:
        return s.address;
      case HSTDAT0:
        return s.data0;
      case HSTDAT1:
        return s.data1;
      case BLKDAT: {
        const v = s.block[s.index];
        s.index = (s.index + 1) % BLOCK_MAX;
        return v;
      }
      case AUXCTL:
        return s.auxControl;
      default:
        return 0;
    }
  }

  #write(offset: number, value: number): void {
    const s = this.state;
    switch (offset) {
      case HSTSTS:
        s.status &= ~(value & STS_W1C);
        break;
      case HSTCNT:
        s.control = value;
        if (value & CNT_KILL) s.status = 0;
        else if (value & CNT_START) this.#transaction();
        break;
      case HSTCMD:
        s.command = value;
        break;
      case HSTADD:
        s.address = value;
        break;
      case HSTDAT0:
        s.data0 = value;
        break;
      case HSTDAT1:
        s.data1 = value;
        break;
      case BLKDAT:
        s.block[s.index] = value;
        s.index = (s.index + 1) % BLOCK_MAX;
        break;
      case AUXCTL:
        s.auxControl = value & 3;
        break;
    }
  }

  /** Transactions finish at once; firmware that polls sees INTR (or DEV_ERR) immediately. */
  #transaction(): void {
    const s = this.state, device = this.devices.get(s.address >> 1);
    const reading = (s.address & 1) !== 0;
    const ok = device !== undefined &&
      this.#run(device, (s.control >> PROTOCOL_SHIFT) & 7, reading);
    s.status |= ok ? STS_INTR : STS_DEV_ERR | STS_INTR;
  }

  #run(device: SmbusDevice, protocol: number, reading: boolean): boolean {
    const s = this.state;
    switch (protocol) {
      case QUICK:
        return true;
      case BYTE:
        if (reading) s.data0 = device.read(undefined, 1)[0];
        else device.write(s.command, []);
        return true;
      case BYTE_DATA:
        if (reading) s.data0 = device.read(s.command, 1)[0];
        else device.write(s.command, [s.data0]);
        return true;
      case WORD_DATA:
        if (reading) [s.data0, s.data1] = device.read(s.command, 2);
        else device.write(s.command, [s.data0, s.data1]);
        return true;
      case BLOCK:
        if (reading) {
          const [length, ...bytes] = device.read(s.command, BLOCK_MAX + 1);
          s.data0 = Math.min(length, BLOCK_MAX);
          s.block.set(bytes.slice(0, s.data0));
        } else {
          const length = Math.min(s.data0, BLOCK_MAX);
          device.write(s.command, [length, ...s.block.subarray(0, length)]);
        }
        s.index = 0;
        return true;
      default:
        return false;
    }
  }
}
