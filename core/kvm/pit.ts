/**
 * Ports 40h–43h of KVM's in-kernel 8254 for accesses from this side of the fence: firmware services
 * and the monitor. (The guest's own never get here.) `struct kvm_pit_state2` in uapi `asm/kvm.h`;
 * the chip: Intel 231164.
 */
import type { AccessSize, IoOps } from "../memory/region.ts";
import { Req } from "./abi.ts";
import type { Libc } from "./libc.ts";
import { Size, Struct } from "./structs.ts";

const PIT_HZ = 1193182;
/** Layout of one channel. */
const CHANNEL = 24, COUNT = 0, RW_MODE = 12, MODE = 13, BCD = 14, LOAD_TIME = 16;
const LOW = 1, HIGH = 2, LOW_HIGH = 3;

interface Access {
  /** What the control word chose: LOW, HIGH or LOW_HIGH. */
  rw: number;
  mode: number;
  bcd: number;
  /** The low byte of a LOW_HIGH write, once it is there. */
  low: number | undefined;
  /** A latched count, or the second byte of a LOW_HIGH read. */
  latched: number | undefined;
  second: boolean;
}

export class KernelPit implements IoOps {
  readonly maxAccess = 1 as AccessSize;
  readonly #state = new Struct(Size.PIT_STATE2);
  readonly #channels: Access[] = [0, 1, 2].map(() => ({
    rw: LOW_HIGH,
    mode: 0,
    bcd: 0,
    low: undefined,
    latched: undefined,
    second: false,
  }));

  constructor(private readonly libc: Libc, private readonly vmFd: number) {}

  read(offset: number): number {
    if (offset > 2) return 0;
    const c = this.#channels[offset];
    const value = c.latched ?? this.#count(offset);
    if (c.rw === LOW || c.rw === HIGH) {
      c.latched = undefined;
      return (c.rw === LOW ? value : value >> 8) & 0xff;
    }
    c.second = !c.second;
    if (c.second) {
      c.latched = value;
      return value & 0xff;
    }
    c.latched = undefined;
    return (value >> 8) & 0xff;
  }

  write(offset: number, _size: AccessSize, value: number): void {
    if (offset === 3) return this.#control(value);
    const c = this.#channels[offset];
    if (c.rw === LOW) this.#load(offset, value);
    else if (c.rw === HIGH) this.#load(offset, value << 8);
    else if (c.low === undefined) c.low = value;
    else {
      const low = c.low;
      c.low = undefined;
      this.#load(offset, low | value << 8);
    }
  }

  #control(value: number): void {
    const n = value >> 6, rw = (value >> 4) & 3;
    if (n === 3) return; // read-back: a status nobody here asks for
    const c = this.#channels[n];
    if (rw === 0) {
      c.latched ??= this.#count(n);
      return;
    }
    const mode = (value >> 1) & 7;
    Object.assign(c, {
      rw,
      mode: mode > 5 ? mode - 4 : mode,
      bcd: value & 1,
      low: undefined,
      latched: undefined,
      second: false,
    });
  }

  /** KVM starts every channel anew when its state is set: phases of the others move, rates do not. */
  #load(n: number, value: number): void {
    this.#get();
    const c = this.#channels[n], v = this.#state.view, at = CHANNEL * n;
    v.setUint32(at + COUNT, value === 0 ? 0x10000 : value, true);
    v.setUint8(at + RW_MODE, c.rw);
    v.setUint8(at + MODE, c.mode);
    v.setUint8(at + BCD, c.bcd);
    this.libc.ioctlBuffer(this.vmFd, Req.SET_PIT2, this.#state.u8);
  }

  /** The counter now, from its loading time. KVM keeps none for channel 0: right rate, any phase. */
  #count(n: number): number {
    this.#get();
    const v = this.#state.view, at = CHANNEL * n, start = v.getUint32(at + COUNT, true) || 0x10000;
    const ns = this.libc.monotonic() - v.getBigInt64(at + LOAD_TIME, true);
    const ticks = Number(ns * BigInt(PIT_HZ) / 1_000_000_000n);
    const left = v.getUint8(at + MODE) === 3 ? start - 2 * ticks % start : start - ticks % start;
    return left & 0xffff;
  }

  #get(): void {
    this.libc.ioctlBuffer(this.vmFd, Req.GET_PIT2, this.#state.u8);
  }
}
