/** Descriptors and segment register loads. Intel SDM volume 3, chapters 3.4 and 5. */
import { Attr, type Cpu, type Lin } from "./cpu.ts";
import { Seg } from "./insn.ts";
import * as S from "./state.ts";
import { Vec } from "./state.ts";

/** A segment or system descriptor, taken apart. */
export interface Descriptor {
  readonly selector: number;
  /** Linear address of the descriptor, for setting the accessed or busy bit. */
  readonly at: Lin;
  readonly base: number;
  /** In bytes. */
  readonly limit: number;
  /** {@link Attr} bits. */
  readonly attr: number;
  readonly lo: number;
  readonly hi: number;
}

export const typeOf = (d: { attr: number }): number => d.attr & Attr.TYPE;
export const dplOf = (d: { attr: number }): number => (d.attr >> 5) & 3;
export const isPresent = (d: { attr: number }): boolean => (d.attr & Attr.P) !== 0;
export const isSystem = (d: { attr: number }): boolean => (d.attr & Attr.S) === 0;
export const isCode = (d: { attr: number }): boolean => (d.attr & (Attr.S | 8)) === (Attr.S | 8);
export const isData = (d: { attr: number }): boolean => (d.attr & (Attr.S | 8)) === Attr.S;
export const isConforming = (d: { attr: number }): boolean => (d.attr & 4) !== 0;

/** Linear address of the descriptor a selector names, or undefined outside its table. */
export function descriptorAddress(cpu: Cpu, selector: number, bytes = 8): Lin | undefined {
  const offset = selector & 0xfff8;
  if (selector & 4) {
    if (cpu.attr(S.LDTR) & Attr.UNUSABLE || !(cpu.attr(S.LDTR) & Attr.P)) return undefined;
    if (offset + bytes - 1 > cpu.segLimit(S.LDTR)) return undefined;
    return tableAt(cpu, S.SEGS + S.SEG_SIZE * S.LDTR + S.SEG_BASE, offset);
  }
  if (offset + bytes - 1 > (cpu.get32(S.GDTR_LIMIT) & 0xffff)) return undefined;
  return tableAt(cpu, S.GDTR_BASE, offset);
}

/** {@link tableEntry} of the table whose base is kept at state offset `at`. */
export function tableAt(cpu: Cpu, at: number, offset: number): Lin {
  return cpu.lma ? tableEntry(cpu, cpu.get64(at), offset) : (cpu.get32(at) + offset) >>> 0;
}

/** Linear address `base + offset`: a bigint when descriptors tables may lie above 4 GiB. */
export function tableEntry(cpu: Cpu, base: bigint, offset: number): Lin {
  return cpu.lma
    ? BigInt.asUintN(64, base + BigInt(offset))
    : (Number(base & 0xffffffffn) + offset) >>> 0;
}

export function parseDescriptor(selector: number, at: Lin, lo: number, hi: number): Descriptor {
  const limit20 = (lo & 0xffff) | (hi & 0xf0000);
  const attr = (hi >>> 8) & 0xf0ff;
  return {
    selector,
    at,
    base: ((lo >>> 16) | ((hi & 0xff) << 16) | (hi & 0xff000000)) >>> 0,
    limit: attr & Attr.G ? ((limit20 << 12) | 0xfff) >>> 0 : limit20,
    attr,
    lo,
    hi,
  };
}

/**
 * Reads the descriptor of `selector` from its table, with supervisor privilege. Raises `vector` with
 * the selector as error code when it lies outside the table; `ext` is the error code's EXT bit.
 */
export function readDescriptor(
  cpu: Cpu,
  selector: number,
  vector: number = Vec.GP,
  ext: 0 | 1 = 0,
): Descriptor {
  const at = descriptorAddress(cpu, selector);
  if (at === undefined) cpu.fault(vector, (selector & 0xfffc) | ext);
  return parseDescriptor(
    selector,
    at,
    cpu.env.mem.read(at, 4, true),
    cpu.env.mem.read(typeof at === "bigint" ? at + 4n : at + 4, 4, true),
  );
}

/** The upper half of a 16-byte system descriptor's base, in long mode. */
export function readBaseHigh(cpu: Cpu, d: Descriptor): bigint {
  const at = typeof d.at === "bigint" ? d.at + 8n : d.at + 8;
  return BigInt(cpu.env.mem.read(at, 4, true)) << 32n;
}

/** Sets the accessed bit of a code or data descriptor in memory and gives the attributes with it. */
export function markAccessed(cpu: Cpu, d: Descriptor): number {
  if (!(d.attr & 1)) {
    const at = typeof d.at === "bigint" ? d.at + 5n : d.at + 5;
    cpu.env.mem.write(at, 1, (d.attr & 0xff) | 1, true);
  }
  return d.attr | 1;
}

/** Makes the cache of a data segment register hold a null selector. */
export function loadNull(cpu: Cpu, n: number, selector: number): void {
  cpu.setSegment(n, selector, 0, 0, Attr.UNUSABLE | (n === Seg.SS ? (cpu.cpl << 5) : 0));
}

/**
 * MOV/POP to a segment register, LDS and the like: checks as the current mode demands and loads.
 * Raises #GP, #SS, #NP with the selector.
 */
export function loadSegment(cpu: Cpu, n: number, selector: number): void {
  if (!cpu.pe) return cpu.setSegmentReal(n, selector);
  if (cpu.vm86) return cpu.setSegmentVm86(n, selector);
  const rpl = selector & 3, cpl = cpu.cpl;
  if ((selector & 0xfffc) === 0) {
    if (n === Seg.SS && !(cpu.long && cpl !== 3 && rpl === cpl)) cpu.gp(0);
    return loadNull(cpu, n, selector);
  }
  const error = selector & 0xfffc;
  const d = readDescriptor(cpu, selector);
  if (n === Seg.SS) {
    if (rpl !== cpl || !isData(d) || !(d.attr & 2) || dplOf(d) !== cpl) cpu.gp(error);
    if (!isPresent(d)) cpu.fault(Vec.SS, error);
  } else {
    if (isSystem(d) || (isCode(d) && !(d.attr & 2))) cpu.gp(error);
    if (!(isCode(d) && isConforming(d)) && dplOf(d) < Math.max(rpl, cpl)) cpu.gp(error);
    if (!isPresent(d)) cpu.fault(Vec.NP, error);
  }
  const attr = markAccessed(cpu, d);
  cpu.setSegment(n, selector, d.base, d.limit, attr);
}

/**
 * Loads SS for a change to privilege `cpl` (through a TSS or a far return). Raises `vector` (#TS for
 * a stack switch, #GP for a return) with the selector, #SS when not present.
 */
export function checkStackSegment(
  cpu: Cpu,
  selector: number,
  cpl: number,
  vector: number,
  ext: 0 | 1 = 0,
): Descriptor {
  const error = (selector & 0xfffc) | ext;
  if ((selector & 0xfffc) === 0) cpu.fault(vector, ext);
  const d = readDescriptor(cpu, selector, vector, ext);
  if ((selector & 3) !== cpl || dplOf(d) !== cpl || !isData(d) || !(d.attr & 2)) {
    cpu.fault(vector, error);
  }
  if (!isPresent(d)) cpu.fault(Vec.SS, error);
  return d;
}

/** Data segment registers that a less privileged CPL may not keep become null. SDM, RET. */
export function dropPrivilegedSegments(cpu: Cpu): void {
  for (const n of [Seg.ES, Seg.DS, Seg.FS, Seg.GS]) {
    const a = cpu.attr(n);
    if (a & Attr.UNUSABLE) continue;
    const conforming = (a & 0x1c) === 0x1c;
    if (!conforming && ((a >> 5) & 3) < cpu.cpl) loadNull(cpu, n, 0);
  }
}
