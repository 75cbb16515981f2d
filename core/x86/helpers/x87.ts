/**
 * The x87 seen from TypeScript: what helpers of rare instructions are made of, and the reporting of
 * pending exceptions. Intel SDM volume 1, chapter 8 and appendix D.
 */
import { type Cpu, defineHelper, GuestFault } from "../cpu.ts";
import { Seg } from "../insn.ts";
import { FOP_STALE, Sw, WRAP } from "../semantics/softfloat.ts";
import * as S from "../state.ts";
import { bitLength } from "./x87_math.ts";
import { Vec } from "../state.ts";

/** An extended value: sign and exponent in 16 bits, and the significand with its integer bit. */
export interface Ext {
  readonly h: number;
  readonly l: bigint;
}

export const INTEGER = 1n << 63n;
export const QUIET = 1n << 62n;
export const DEFAULT_NAN: Ext = { h: 0xffff, l: INTEGER | QUIET };
export const ONE: Ext = { h: 0x3fff, l: INTEGER };

export const isUnsupported = (v: Ext): boolean => (v.h & 0x7fff) !== 0 && v.l < INTEGER;
export const isNan = (v: Ext): boolean => (v.h & 0x7fff) === 0x7fff && v.l > INTEGER;
export const isSnan = (v: Ext): boolean => isNan(v) && (v.l & QUIET) === 0n;
export const isInfinity = (v: Ext): boolean => (v.h & 0x7fff) === 0x7fff && v.l === INTEGER;
export const isZero = (v: Ext): boolean => (v.h & 0x7fff) === 0 && v.l === 0n;
export const isDenormal = (v: Ext): boolean => (v.h & 0x7fff) === 0 && v.l !== 0n;

/** Physical number of ST(i). */
export function physical(cpu: Cpu, i: number): number {
  return (cpu.get32(S.FTOP) + i) & 7;
}
export function isEmpty(cpu: Cpu, i: number): boolean {
  return ((cpu.get32(S.FEMPTY) >> physical(cpu, i)) & 1) !== 0;
}
/** ST(i), whatever its tag. */
export function st(cpu: Cpu, i: number): Ext {
  const at = S.FPR + 16 * physical(cpu, i);
  return { h: cpu.view.getUint16(at + 8, true), l: cpu.get64(at) };
}
/** Writes ST(i) and marks it full. */
export function setSt(cpu: Cpu, i: number, v: Ext): void {
  const n = physical(cpu, i), at = S.FPR + 16 * n;
  cpu.set64(at, v.l);
  cpu.view.setUint16(at + 8, v.h, true);
  cpu.set32(S.FEMPTY, cpu.get32(S.FEMPTY) & ~(1 << n));
}
/** Pushes without looking whether there is room. */
export function push(cpu: Cpu, v: Ext): void {
  cpu.set32(S.FTOP, physical(cpu, -1));
  setSt(cpu, 0, v);
}
export function pop(cpu: Cpu): void {
  const n = physical(cpu, 0);
  cpu.set32(S.FEMPTY, cpu.get32(S.FEMPTY) | (1 << n));
  cpu.set32(S.FTOP, (n + 1) & 7);
}

export function setC1(cpu: Cpu, on: boolean): void {
  cpu.set32(S.FSW, (cpu.get32(S.FSW) & ~Sw.C1) | (on ? Sw.C1 : 0));
}

/** Collects exceptions; true when one of them is unmasked. */
export function raise(cpu: Cpu, flags: number): boolean {
  const open = flags & ~cpu.get32(S.FCW) & 0x3f;
  let sw = cpu.get32(S.FSW) | flags;
  if (open !== 0) {
    sw |= Sw.ES | Sw.B;
    cpu.set32(S.FOP, FOP_STALE | 0);
  }
  cpu.set32(S.FSW, sw);
  return open !== 0;
}

/** Stack underflow or overflow; true when the instruction must have no result. */
export function stackFault(cpu: Cpu, overflow: boolean): boolean {
  setC1(cpu, overflow);
  return raise(cpu, Sw.IE | Sw.SF);
}

/** ES and B follow the exceptions and their masks, as after a load of either word. */
export function updateSummary(cpu: Cpu): void {
  const sw = cpu.get32(S.FSW) & ~(Sw.ES | Sw.B);
  cpu.set32(S.FSW, sw & ~cpu.get32(S.FCW) & 0x3f ? sw | Sw.ES | Sw.B : sw);
}

/**
 * A NaN among `operands`, propagated as the x87 does, or the default NaN for an unsupported encoding.
 * `undefined`: there is none. "none": an unmasked exception suppresses the result.
 */
export function propagate(cpu: Cpu, ...operands: Ext[]): Ext | "none" | undefined {
  if (operands.some(isUnsupported)) return raise(cpu, Sw.IE) ? "none" : DEFAULT_NAN;
  const nans = operands.filter(isNan);
  if (nans.length === 0) return undefined;
  if (nans.some(isSnan) && raise(cpu, Sw.IE)) return "none";
  let best = nans[0];
  for (const v of nans.slice(1)) {
    const s = isSnan(best), t = isSnan(v);
    if (s !== t ? s : v.l > best.l || (v.l === best.l && v.h < best.h)) best = v;
  }
  return { h: best.h, l: best.l | QUIET };
}

/** Magnitude of a finite number as an integer times a power of two; zero has m = 0. */
export function unpack(v: Ext): { negative: boolean; m: bigint; e: number } {
  return {
    negative: v.h >= 0x8000,
    m: v.l,
    e: ((v.h & 0x7fff) || 1) - 0x3fff - 63,
  };
}

/**
 * Rounds m × 2^e (m > 0) to extended precision by the rounding control alone. Flags, C1 and the
 * responses to overflow and underflow are those of an arithmetic instruction.
 * @param inexact the value is not exact: something below the last bit of m is left out
 */
export function round(
  cpu: Cpu,
  negative: boolean,
  m: bigint,
  e: number,
  inexact: boolean,
): Ext {
  // Room for the bits below the result, the last of them sticky.
  const length = bitLength(m);
  if (length < 70) {
    m <<= BigInt(70 - length);
    e -= 70 - length;
  }
  if (inexact) m |= 1n;
  const rc = (cpu.get32(S.FCW) >> 10) & 3, sign = negative ? 0x8000 : 0;
  const masks = cpu.get32(S.FCW);
  /** m / 2^n rounded. */
  const cut = (n: number) => {
    const wide = BigInt(n), rest = m & ((1n << wide) - 1n), half = 1n << (wide - 1n);
    let q = m >> wide;
    const up = rc === 0
      ? rest > half || (rest === half && (q & 1n) === 1n)
      : rest !== 0n && (rc === 1 ? negative : rc === 2 ? !negative : false);
    if (up) q++;
    return { q, up, exact: rest === 0n };
  };
  const total = bitLength(m);
  let r = cut(total - 64);
  let exp = e + total - 1 + 0x3fff;
  if (r.q >> 64n) {
    r = { ...r, q: r.q >> 1n };
    exp++;
  }
  let flags = r.exact ? 0 : Sw.PE;
  if (exp <= 0) {
    if (!(masks & Sw.UE)) {
      flags |= Sw.UE;
      exp += WRAP;
    } else {
      // Below 2^-16382 the unit in the last place is that of the denormals.
      const shift = -16445 - e;
      r = cut(Math.max(shift, 1));
      flags = r.exact ? 0 : Sw.PE | Sw.UE;
      exp = Number(r.q >> 63n);
    }
  } else if (exp >= 0x7fff) {
    if (!(masks & Sw.OE)) {
      flags |= Sw.OE;
      exp -= WRAP;
    } else {
      const away = rc === 0 || rc === (negative ? 1 : 2);
      setC1(cpu, away);
      raise(cpu, Sw.OE | Sw.PE);
      return away ? { h: sign | 0x7fff, l: INTEGER } : { h: sign | 0x7ffe, l: (1n << 64n) - 1n };
    }
  }
  setC1(cpu, r.up);
  if (flags) raise(cpu, flags);
  return { h: sign | exp, l: r.q };
}

// ---- pending exceptions

/**
 * Fetches the opcode of the last instruction that raised an unmasked exception into FOP: it is read
 * from the code at FIP when first needed.
 */
export function settleFop(cpu: Cpu): void {
  if ((cpu.get32(S.FOP) & FOP_STALE) === 0) return;
  cpu.set32(S.FOP, 0);
  const ip = cpu.get64(S.FIP);
  const base = !cpu.long && cpu.selector(Seg.CS) === cpu.get32(S.FCS) ? cpu.segBase32(Seg.CS) : 0;
  const byte = (n: number) =>
    cpu.env.mem.read(
      cpu.long ? BigInt.asUintN(64, ip + BigInt(n)) : (Number(ip & 0xffffffffn) + base + n) >>> 0,
      1,
    );
  try {
    for (let n = 0; n < 14; n++) {
      const b = byte(n);
      if ((b & 0xf8) === 0xd8) {
        cpu.set32(S.FOP, ((b & 7) << 8) | byte(n + 1));
        return;
      }
    }
  } catch (e) {
    // The code may have been unmapped since.
    if (!(e instanceof GuestFault)) throw e;
  }
}

const CR0_NE = 0x20;

/**
 * A waiting instruction meets a pending exception: #MF, or without CR0.NE the interrupt by way of
 * FERR#. SCRATCH tells whether the processor must stop at this instruction until it comes.
 */
defineHelper("x87Pending", (cpu) => {
  settleFop(cpu);
  if (cpu.cr0 & CR0_NE) cpu.fault(Vec.MF);
  const line = cpu.env.fpuError;
  cpu.set32(S.SCRATCH, line === undefined || line.raise() ? 0 : 1);
});

/** Meets the instruction again, after whatever interrupt is taken first. */
defineHelper("x87Freeze", (cpu, i) => {
  const ip = cpu.nextRip - BigInt(i.length);
  cpu.rip = cpu.long ? BigInt.asUintN(64, ip) : ip & 0xffffffffn;
});

/** FNINIT or FNCLEX has removed a pending exception. */
export function errorCleared(cpu: Cpu): void {
  if (!(cpu.cr0 & CR0_NE)) cpu.env.fpuError?.clear();
}
defineHelper("x87Cleared", errorCleared);
