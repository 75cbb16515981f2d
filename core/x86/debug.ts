/**
 * Debug registers: the breakpoints they describe and how a debug exception is reported. Intel SDM
 * volume 3, chapter 17.2 and 17.3.
 */
import type { Cpu } from "./cpu.ts";
import * as S from "./state.ts";

/** DR6: B0–B3 in bits 3:0, then the causes without an address. */
export const Dr6 = { B: 0xf, BD: 1 << 13, BS: 1 << 14, BT: 1 << 15, ALL: 0xe00f } as const;
export const Dr7 = { LOCAL: 0x155, GD: 1 << 13 } as const;

const IA32_DEBUGCTL = 0x1d9, DEBUGCTL_LBR = 1n, DEBUGCTL_BTF = 2n;
const CR4_DE = 8;

/** A breakpoint on instruction fetch, data or ports: addresses [address, address + length). */
export interface Breakpoint {
  /** Its bit of DR6. */
  readonly bit: number;
  /** Linear address, or port number. A multiple of `length`. */
  readonly address: bigint;
  readonly length: number;
}

export interface DataBreakpoint extends Breakpoint {
  /** Reading counts too. */
  readonly reads: boolean;
}

export interface Breakpoints {
  readonly fetch: readonly Breakpoint[];
  readonly data: readonly DataBreakpoint[];
  readonly ports: readonly Breakpoint[];
}

const NONE: Breakpoints = { fetch: [], data: [], ports: [] };
const LENGTHS = [1, 2, 8, 4] as const;

/** The enabled breakpoints of DR0–DR3. Undefined combinations are no breakpoints. */
export function breakpoints(cpu: Cpu): Breakpoints {
  const dr7 = cpu.get32(S.DR + 56);
  if ((dr7 & 0xff) === 0) return NONE;
  const fetch: Breakpoint[] = [], data: DataBreakpoint[] = [], ports: Breakpoint[] = [];
  for (let n = 0; n < 4; n++) {
    if (((dr7 >> (2 * n)) & 3) === 0) continue;
    const control = (dr7 >>> (16 + 4 * n)) & 15, kind = control & 3;
    const length = LENGTHS[control >> 2], bit = 1 << n;
    const address = cpu.get64(S.DR + 8 * n) & ~BigInt(length - 1);
    if (kind === 0) {
      if (length === 1) fetch.push({ bit, address, length });
    } else if (kind !== 2) data.push({ bit, address, length, reads: kind === 3 });
    else if (cpu.cr4 & CR4_DE) ports.push({ bit, address, length });
  }
  return { fetch, data, ports };
}

/** Notes a debug trap: DR6 bits to report when the current instruction is done. */
export function debugTrap(cpu: Cpu, bits: number): void {
  cpu.debugTraps |= bits;
  cpu.env.eventsChanged();
}

/** An access to `bytes` ports from `port` was made: notes the breakpoints it met. */
export function portAccessed(cpu: Cpu, port: number, bytes: number): void {
  for (const b of cpu.portBreakpoints) {
    const at = Number(b.address & 0xffffffffn);
    if (port < at + b.length && at < port + bytes) debugTrap(cpu, b.bit);
  }
}

/** Puts the causes of a debug exception into DR6. */
export function reportDebug(cpu: Cpu, bits: number): void {
  let dr6 = cpu.get32(S.DR + 48);
  if (bits & Dr6.B) dr6 &= ~Dr6.B;
  cpu.set32(S.DR + 48, dr6 | bits);
}

/** What the delivery of any #DB does besides: the handler may use the debug registers. */
export function enterDebugHandler(cpu: Cpu): void {
  cpu.set32(S.DR + 56, cpu.get32(S.DR + 56) & ~Dr7.GD);
  const control = cpu.msrs.get(IA32_DEBUGCTL);
  if (control !== undefined) {
    cpu.msrs.set(IA32_DEBUGCTL, control & ~(DEBUGCTL_LBR | DEBUGCTL_BTF));
  }
}

/** TF traps only behind taken branches. */
export function singleStepsBranches(cpu: Cpu): boolean {
  return ((cpu.msrs.get(IA32_DEBUGCTL) ?? 0n) & DEBUGCTL_BTF) !== 0n;
}
