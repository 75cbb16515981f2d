/**
 * What a BIOS service handler sees of its caller: the caller's registers, its memory and the
 * machine's ports. A stub in ROM traps into TypeScript; the trap mechanism makes the context.
 */

/** Registers of the interrupted program. Getters give unsigned values; setters mask to the width. */
export interface BiosRegisters {
  al: number;
  ah: number;
  bl: number;
  bh: number;
  cl: number;
  ch: number;
  dl: number;
  dh: number;
  ax: number;
  bx: number;
  cx: number;
  dx: number;
  si: number;
  di: number;
  bp: number;
  sp: number;
  eax: number;
  ebx: number;
  ecx: number;
  edx: number;
  esi: number;
  edi: number;
  ebp: number;
  esp: number;
  /** Selectors. Setting one loads its base as real mode does (selector × 16). */
  cs: number;
  ds: number;
  es: number;
  fs: number;
  gs: number;
  ss: number;
}

export interface BiosContext extends BiosRegisters {
  /** CF, ZF and IF as the caller finds them after the service's IRET or RETF 2. */
  setCarry(on: boolean): void;
  setZero(on: boolean): void;
  setInterrupt(on: boolean): void;
  /** Those flags as the caller had them. */
  readonly carry: boolean;
  readonly zero: boolean;

  /**
   * Guest memory by linear address ({@link linear} of a segment and an offset), through the CPU's
   * paging if it is on, so that services called in virtual-8086 mode work. Little endian, unsigned.
   */
  read8(address: number): number;
  read16(address: number): number;
  read32(address: number): number;
  write8(address: number, value: number): void;
  write16(address: number, value: number): void;
  write32(address: number, value: number): void;

  /** The machine's port space: the same devices the guest's own IN and OUT reach. */
  inb(port: number): number;
  inw(port: number): number;
  inl(port: number): number;
  outb(port: number, value: number): void;
  outw(port: number, value: number): void;
  outl(port: number, value: number): void;
}

/** The linear address of `segment:offset` in real mode; the offset wraps at 64 KiB. */
export function linear(segment: number, offset: number): number {
  return ((segment & 0xffff) << 4) + (offset & 0xffff);
}
