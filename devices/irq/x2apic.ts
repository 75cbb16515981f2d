/**
 * The local APIC's registers as MSRs 800h–83Fh, in x2APIC mode. Intel SDM volume 3A, 11.12 ("Extended
 * XAPIC"), table 11-6.
 */
import { Reg } from "./lapic_registers.ts";

const FIRST = 0x800, LAST = 0x83f;
const SELF_IPI = 0x3f0;
const DELIVERY_STATUS = 0x1000, REMOTE_IRR = 0x4000;
/** ICR bits 13, 16, 17 and 20–31. */
const ICR_RESERVED = 0xfff32000;
const ICR_BUSY = 0x1000;

/** What the MSRs reach of a local APIC. */
export interface X2apicRegisters {
  read(offset: number): number;
  write(offset: number, value: number): void;
  /** Bits of an LVT entry that software may set; undefined for another register. */
  lvtWritable(offset: number): number | undefined;
  /** The interrupt command register as a whole. */
  command(low: number, destination: number): void;
}

/** Writable registers and the bits that may be set; LVT entries aside. */
const WRITABLE: ReadonlyMap<number, number> = new Map([
  [Reg.TPR, 0xff],
  [Reg.EOI, 0],
  [Reg.SVR, 0x1ff],
  [Reg.ESR, 0],
  [Reg.TIMER_INITIAL, 0xffffffff],
  [Reg.TIMER_DIVIDE, 0x0b],
  [SELF_IPI, 0xff],
]);

function readable(apic: X2apicRegisters, offset: number): boolean {
  switch (offset) {
    case Reg.ID:
    case Reg.VERSION:
    case Reg.TPR:
    case Reg.PPR:
    case Reg.LDR:
    case Reg.SVR:
    case Reg.ESR:
    case Reg.TIMER_INITIAL:
    case Reg.TIMER_CURRENT:
    case Reg.TIMER_DIVIDE:
      return true;
  }
  return (offset >= Reg.ISR && offset < Reg.ESR) ||
    apic.lvtWritable(offset) !== undefined;
}

/** @returns undefined for #GP */
export function readX2apic(apic: X2apicRegisters, index: number): bigint | undefined {
  if (index < FIRST || index > LAST) return undefined;
  const offset = (index - FIRST) << 4;
  if (offset === Reg.ICR_LOW) {
    const low = BigInt(apic.read(Reg.ICR_LOW) >>> 0);
    return BigInt(apic.read(Reg.ICR_HIGH) >>> 0) << 32n | low;
  }
  return readable(apic, offset) ? BigInt(apic.read(offset) >>> 0) : undefined;
}

/** @returns false for #GP: no such register, a read-only one, or reserved bits set */
export function writeX2apic(apic: X2apicRegisters, index: number, value: bigint): boolean {
  if (index < FIRST || index > LAST) return false;
  const offset = (index - FIRST) << 4, low = Number(value & 0xffffffffn);
  if (offset === Reg.ICR_LOW) {
    if (low & ICR_RESERVED) return false;
    apic.command(low & ~ICR_BUSY, Number(value >> 32n));
    return true;
  }
  if (value >> 32n) return false;
  const lvt = apic.lvtWritable(offset);
  // Read-only bits of an entry may come back as they were read.
  const allowed = lvt === undefined ? WRITABLE.get(offset) : lvt | DELIVERY_STATUS | REMOTE_IRR;
  if (allowed === undefined || low & ~allowed) return false;
  if (offset === SELF_IPI) apic.command(0x44000 | low, 0);
  else apic.write(offset, low);
  return true;
}
