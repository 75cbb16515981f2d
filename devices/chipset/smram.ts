/**
 * Compatible SMRAM of Intel's host bridges: RAM behind the video window at A0000–BFFFF for system
 * management mode. SMRAM register: 82441FX datasheet 290549, 3.2.24; Q35 datasheet 316966, 5.1.30.
 */
import type { AddressSpace, Mapping } from "../../core/memory/address_space.ts";
import type { RamBlock } from "../../core/memory/guest_memory.ts";
import { ioRegion, ramRegion } from "../../core/memory/region.ts";

const D_OPEN = 0x40, D_CLOSED = 0x20, D_LOCK = 0x10, G_SMRAME = 0x08;
/** C_BASE_SEG is fixed at A0000. */
export const SMRAM_DEFAULT = 0x02;

/**
 * Display adapters place their window at A0000 (1 and 2) over the hole in RAM there, and SMRAM, while
 * it is visible, covers them.
 */
const VIDEO_HOLE_PRIORITY = 0.5, SMRAM_PRIORITY = 3;

/** Whether a register value shows SMRAM to everybody. */
export function smramOpen(register: number): boolean {
  return (register & D_OPEN) !== 0;
}

/** Whether a register value lets system management mode have SMRAM. */
export function smramEnabled(register: number): boolean {
  return (register & G_SMRAME) !== 0;
}

/**
 * What is in the register after a write made `now` of `before`: nothing changes once it is locked, and
 * locking closes the space for good. Only a reset opens it again.
 */
export function lockSmram(before: number, now: number): number {
  if (before & D_LOCK) return before;
  return now & D_LOCK ? now & ~D_OPEN : now;
}

export class CompatibleSmram {
  /** A vCPU is in system management mode. */
  smm = false;
  readonly #mapping: Mapping;

  constructor(private readonly mem: AddressSpace, ram: RamBlock) {
    const hole = ioRegion("smram-region", 0x20000, { read: () => 0xffffffff, write: () => {} });
    mem.map(hole, 0xa0000, VIDEO_HOLE_PRIORITY);
    const region = ramRegion("smram-low", ram, { blockOffset: 0xa0000, size: 0x20000 });
    this.#mapping = mem.map(region, 0xa0000, SMRAM_PRIORITY, false);
  }

  visible(register: number): boolean {
    if (register & D_OPEN) return true;
    return this.smm && (register & G_SMRAME) !== 0 && (register & D_CLOSED) === 0;
  }

  update(register: number): void {
    this.mem.setEnabled(this.#mapping, this.visible(register));
  }
}
