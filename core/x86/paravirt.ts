/**
 * KVM's paravirtual registers for a software vCPU: kvmclock, which gives the time as a scale and an
 * offset of the time-stamp counter in guest memory, and the end of interrupts by a flag in guest memory.
 * Linux, Documentation/virt/kvm/x86/msr.rst; structures as in asm/pvclock-abi.h.
 */
import type { CpuModel, EoiFlag, InterruptSource } from "../accel.ts";
import type { AddressSpace } from "../memory/address_space.ts";
import { log, LogItem, logMask } from "../log.ts";

/** MSR indexes. The first two are the older names of the two that follow. */
export const KvmMsr = {
  WALL_CLOCK: 0x11,
  SYSTEM_TIME: 0x12,
  WALL_CLOCK_NEW: 0x4b564d00,
  SYSTEM_TIME_NEW: 0x4b564d01,
  PV_EOI_EN: 0x4b564d04,
} as const;

const ENABLED = 1n;
/** struct pvclock_vcpu_time_info, and its flags. */
const TIME_INFO_BYTES = 32;
const Flag = { TSC_STABLE: 1, GUEST_STOPPED: 2 } as const;
/** struct pvclock_wall_clock. */
const WALL_CLOCK_BYTES = 12;

/** What the registers need of the vCPU and its machine. */
export interface ParavirtHost {
  readonly model: CpuModel;
  readonly phys: AddressSpace;
  readonly apic: InterruptSource | undefined;
  /** One moment: ns since power-on, and this vCPU's time-stamp counter. */
  sample(): { readonly ns: number; readonly tsc: bigint };
  /** Frequency of the time-stamp counter. */
  readonly tscKhz: number;
  /** The date in ms since 1970 (UTC). */
  wallTime(): number;
  /** The time-stamp counters of all vCPUs agree. */
  readonly tscStable: boolean;
}

/**
 * How nanoseconds follow from ticks: ((ticks << shift) * multiplier) >> 32, with a right shift where
 * `shift` is negative.
 * @param khz ticks per millisecond, above 0
 */
export function clockScale(khz: number): { multiplier: number; shift: number } {
  const ratio = 1e6 / khz, shift = Math.floor(Math.log2(ratio)) + 1;
  return { multiplier: Math.min(0xffffffff, Math.round(ratio * 2 ** (32 - shift))), shift };
}

export class Paravirt implements EoiFlag {
  #systemTime = 0n;
  #wallClock = 0n;
  #eoi = 0n;
  readonly #info = new DataView(new ArrayBuffer(TIME_INFO_BYTES));

  constructor(readonly host: ParavirtHost) {}

  /** Whether this CPU model has the register. */
  has(index: number): boolean {
    switch (index) {
      case KvmMsr.WALL_CLOCK:
      case KvmMsr.SYSTEM_TIME:
      case KvmMsr.WALL_CLOCK_NEW:
      case KvmMsr.SYSTEM_TIME_NEW:
        return this.host.model.has("kvmclock");
      case KvmMsr.PV_EOI_EN:
        return this.host.model.has("kvm-pv-eoi");
    }
    return false;
  }

  /** Power-on reset. */
  reset(): void {
    this.#systemTime = this.#wallClock = 0n;
    this.init();
  }

  /** INIT resets the local APIC, and with it how its interrupts end. */
  init(): void {
    this.#setEoi(0n);
  }

  read(index: number): bigint {
    switch (index) {
      case KvmMsr.WALL_CLOCK:
      case KvmMsr.WALL_CLOCK_NEW:
        return this.#wallClock;
      case KvmMsr.PV_EOI_EN:
        return this.#eoi;
      default:
        return this.#systemTime;
    }
  }

  /** False asks for #GP. */
  write(index: number, value: bigint): boolean {
    switch (index) {
      case KvmMsr.WALL_CLOCK:
      case KvmMsr.WALL_CLOCK_NEW:
        this.#wallClock = value;
        this.#writeWallClock();
        return true;
      case KvmMsr.PV_EOI_EN:
        // The flag is a word of 4 bytes; bit 1 is reserved.
        if (value & 2n || (value & ENABLED && !this.#ram(value & ~ENABLED, 4))) return false;
        this.#setEoi(value);
        return true;
      default:
        this.#systemTime = value;
        this.refresh();
        return true;
    }
  }

  /** The storage that a structure at a guest physical address lies in, or a message in the log. */
  #ram(address: bigint, bytes: number): number | undefined {
    const at = Number(address), r = this.host.phys.find(at);
    const fits = r !== undefined && r.region.kind !== "io" && !r.region.readonly &&
      at + bytes <= r.end;
    if (fits) return at;
    if (logMask & LogItem.guest_errors) {
      log("guest_errors", `kvm: structure at 0x${address.toString(16)} is not in RAM`);
    }
    return undefined;
  }

  /**
   * Writes the time anew for a guest that has asked for it: after its register, the counter or the
   * counter's frequency was written.
   * @param stopped the machine has been stopped: the guest's watchdogs should not count that time
   */
  refresh(stopped = false): void {
    if (!(this.#systemTime & ENABLED)) return;
    const { host } = this, at = this.#ram(this.#systemTime & ~ENABLED, TIME_INFO_BYTES);
    if (at === undefined) return;
    const v = this.#info, { ns, tsc } = host.sample(), scale = clockScale(host.tscKhz);
    const bytes = new Uint8Array(v.buffer);
    host.phys.readBytes(at, bytes);
    const version = v.getUint32(0, true), kept = v.getUint8(29) & Flag.GUEST_STOPPED;
    v.setBigUint64(8, tsc, true);
    v.setBigUint64(16, BigInt(ns), true);
    v.setUint32(24, scale.multiplier, true);
    v.setInt8(28, scale.shift);
    v.setUint8(
      29,
      (host.tscStable ? Flag.TSC_STABLE : 0) | (stopped ? Flag.GUEST_STOPPED : kept),
    );
    // Odd while it is being written; another vCPU may look at it.
    v.setUint32(0, version | 1, true);
    host.phys.writeBytes(at, bytes);
    host.phys.write(at, 4, ((version | 1) + 1) >>> 0);
  }

  /** The date at which the system time was 0. */
  #writeWallClock(): void {
    const { host } = this, at = this.#ram(this.#wallClock, WALL_CLOCK_BYTES);
    if (at === undefined) return;
    const start = BigInt(host.wallTime()) * 1_000_000n - BigInt(host.sample().ns);
    const version = host.phys.read(at, 4);
    host.phys.write(at, 4, (version | 1) >>> 0);
    host.phys.write(at + 4, 4, Number(BigInt.asUintN(32, start / 1_000_000_000n)));
    host.phys.write(at + 8, 4, Number(start % 1_000_000_000n));
    host.phys.write(at, 4, ((version | 1) + 1) >>> 0);
  }

  // ---- end of interrupt

  #setEoi(value: bigint): void {
    const { apic } = this.host;
    apic?.settleEoi?.();
    this.#eoi = value;
    if (apic) apic.eoiFlag = value & ENABLED ? this : undefined;
  }

  arm(): boolean {
    const at = this.#ram(this.#eoi & ~ENABLED, 4);
    if (at === undefined) return false;
    this.host.phys.write(at, 1, this.host.phys.read(at, 1) | 1);
    return true;
  }

  ended(): boolean {
    const at = this.#ram(this.#eoi & ~ENABLED, 4);
    return at !== undefined && (this.host.phys.read(at, 1) & 1) === 0;
  }

  disarm(): void {
    const at = this.#ram(this.#eoi & ~ENABLED, 4);
    if (at !== undefined) this.host.phys.write(at, 1, this.host.phys.read(at, 1) & ~1);
  }
}
