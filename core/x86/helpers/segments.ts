/** Segment and descriptor-table instructions. Intel SDM volume 2 under their names. */
import { isCanonical } from "../canonical.ts";
import { Attr, type Cpu, defineHelper, type Lin } from "../cpu.ts";
import { type Insn, type MemOperand, Seg } from "../insn.ts";
import {
  type Descriptor,
  descriptorAddress,
  dplOf,
  isCode,
  isConforming,
  isPresent,
  isSystem,
  loadSegment,
  parseDescriptor,
  readBaseHigh,
  readDescriptor,
  typeOf,
} from "../segments.ts";
import * as S from "../state.ts";
import { Fl, Vec } from "../state.ts";

const UMIP = 1 << 11;

/** SGDT, SIDT, SLDT, STR, SMSW fault above CPL 0 when CR4.UMIP is set. */
export function checkUmip(cpu: Cpu): void {
  if (cpu.cr4 & UMIP && cpu.cpl !== 0 && cpu.pe) cpu.gp(0);
}

function addTo(lin: Lin, n: number): Lin {
  return typeof lin === "bigint" ? BigInt.asUintN(64, lin + BigInt(n)) : (lin + n) >>> 0;
}

/** Far pointer operand n in memory: selector and offset. */
export function readFar(
  cpu: Cpu,
  i: Insn,
  n: number,
): { selector: number; offset: number | bigint } {
  const m = i.operands[n] as MemOperand;
  const bytes = i.opSize >> 3;
  const lin = cpu.linear(m.seg, cpu.ea(m), bytes + 2, false);
  const offset = bytes === 8 ? cpu.env.mem.read64(lin) : cpu.env.mem.read(lin, bytes as 2 | 4);
  return { offset, selector: cpu.env.mem.read(addTo(lin, bytes), 2) };
}

function loadFarPointer(n: number) {
  return (cpu: Cpu, i: Insn): void => {
    const { selector, offset } = readFar(cpu, i, 1);
    loadSegment(cpu, n, selector);
    cpu.writeOperand(i, 0, offset);
    if (n === Seg.SS) cpu.set32(S.SHADOW, S.SHADOW_SS);
  };
}

/** The descriptor that LAR, LSL, VERR, VERW look at, when it is visible; else undefined. */
function visible(cpu: Cpu, selector: number): Descriptor | undefined {
  if ((selector & 0xfffc) === 0) return undefined;
  const at = descriptorAddress(cpu, selector);
  if (at === undefined) return undefined;
  const d = parseDescriptor(
    selector,
    at,
    cpu.env.mem.read(at, 4, true),
    cpu.env.mem.read(addTo(at, 4), 4, true),
  );
  const conforming = isCode(d) && isConforming(d);
  if (!conforming && dplOf(d) < Math.max(cpu.cpl, selector & 3)) return undefined;
  return d;
}

/** System descriptor types LAR accepts, and of them those LSL does. */
const LAR_TYPES = new Set([1, 2, 3, 4, 5, 9, 11, 12]), LSL_TYPES = new Set([1, 2, 3, 9, 11]);
const LAR_LONG = new Set([2, 9, 11, 12]), LSL_LONG = new Set([2, 9, 11]);

function loadSystem(cpu: Cpu, selector: number, types: readonly number[]): Descriptor {
  const error = selector & 0xfffc;
  if (selector & 4) cpu.gp(error);
  const at = descriptorAddress(cpu, selector, cpu.lma ? 16 : 8);
  if (at === undefined) cpu.gp(error);
  const d = readDescriptor(cpu, selector);
  // In the upper half of a 16-byte descriptor the type must be 0.
  if (cpu.lma && cpu.env.mem.read(addTo(at, 12), 4, true) & 0x1f00) cpu.gp(error);
  if (!isSystem(d) || !types.includes(typeOf(d))) cpu.gp(error);
  if (!isPresent(d)) cpu.fault(Vec.NP, error);
  return d;
}

/** Base of an LDT or TSS; #GP when it is not canonical. */
function systemBase(cpu: Cpu, d: Descriptor): bigint {
  if (!cpu.lma) return BigInt(d.base);
  const base = BigInt(d.base) | readBaseHigh(cpu, d);
  if (!isCanonical(cpu, base)) cpu.gp(d.selector & 0xfffc);
  return base;
}

function storeTable(at: { base: number; limit: number }) {
  return (cpu: Cpu, i: Insn): void => {
    checkUmip(cpu);
    const m = i.operands[0] as MemOperand;
    const bytes = cpu.long ? 10 : 6;
    const lin = cpu.linear(m.seg, cpu.ea(m), bytes, true);
    // A word and what follows it: SDM volume 3, 3.5.1.
    cpu.checkAlignment(lin, 2);
    cpu.checkAlignment(addTo(lin, 2), bytes - 2);
    cpu.env.mem.checkWrite(lin, bytes);
    cpu.env.mem.write(lin, 2, cpu.get32(at.limit) & 0xffff);
    const base = cpu.get64(at.base);
    if (cpu.long) cpu.env.mem.write64(addTo(lin, 2), base);
    else cpu.env.mem.write(addTo(lin, 2), 4, Number(base & 0xffffffffn));
  };
}

function loadTable(at: { base: number; limit: number }) {
  return (cpu: Cpu, i: Insn): void => {
    const m = i.operands[0] as MemOperand;
    const lin = cpu.linear(m.seg, cpu.ea(m), cpu.long ? 10 : 6, false);
    const limit = cpu.env.mem.read(lin, 2);
    let base: bigint;
    if (cpu.long) {
      base = cpu.env.mem.read64(addTo(lin, 2));
      if (!isCanonical(cpu, base)) cpu.gp(0);
    } else {
      const v = cpu.env.mem.read(addTo(lin, 2), 4);
      base = BigInt(i.opSize === 16 ? v & 0xffffff : v);
    }
    cpu.set32(at.limit, limit);
    cpu.set64(at.base, base);
  };
}

const GDTR = { base: S.GDTR_BASE, limit: S.GDTR_LIMIT };
const IDTR = { base: S.IDTR_BASE, limit: S.IDTR_LIMIT };

export function segmentHelpers(): void {
  defineHelper("MOV_SREG", (cpu, i) => {
    const n = (i.operands[0] as { reg: number }).reg;
    loadSegment(cpu, n, cpu.readOperand32(i, 1, 16));
    if (n === Seg.SS) cpu.set32(S.SHADOW, S.SHADOW_SS);
  });
  defineHelper("POP_SREG", (cpu, i) => {
    const n = (i.operands[0] as { reg: number }).reg;
    const bytes = i.opSize >> 3;
    const lin = cpu.linear(Seg.SS, cpu.sp(), bytes, false);
    loadSegment(cpu, n, cpu.env.mem.read(lin, 2));
    addSp(cpu, bytes);
    if (n === Seg.SS) cpu.set32(S.SHADOW, S.SHADOW_SS);
  });
  defineHelper("LES", loadFarPointer(Seg.ES));
  defineHelper("LDS", loadFarPointer(Seg.DS));
  defineHelper("LSS", loadFarPointer(Seg.SS));
  defineHelper("LFS", loadFarPointer(Seg.FS));
  defineHelper("LGS", loadFarPointer(Seg.GS));
  defineHelper("SGDT", storeTable(GDTR));
  defineHelper("SIDT", storeTable(IDTR));
  defineHelper("LGDT", loadTable(GDTR));
  defineHelper("LIDT", loadTable(IDTR));
  const storeSelector = (n: number) => (cpu: Cpu, i: Insn) => {
    checkUmip(cpu);
    const mem = i.operands[0].kind === "mem";
    cpu.writeOperand(i, 0, cpu.selector(n), mem ? 16 : undefined);
  };
  defineHelper("SLDT", storeSelector(S.LDTR));
  defineHelper("STR", storeSelector(S.TR));
  defineHelper("LLDT", (cpu, i) => {
    const sel = cpu.readOperand32(i, 0, 16);
    if ((sel & 0xfffc) === 0) return cpu.setSegment(S.LDTR, sel, 0, 0, Attr.UNUSABLE);
    const d = loadSystem(cpu, sel, [2]);
    cpu.setSegment(S.LDTR, sel, systemBase(cpu, d), d.limit, d.attr);
  });
  defineHelper("LTR", (cpu, i) => {
    const sel = cpu.readOperand32(i, 0, 16);
    if ((sel & 0xfffc) === 0) cpu.gp(0);
    const d = loadSystem(cpu, sel, cpu.lma ? [9] : [1, 9]), base = systemBase(cpu, d);
    cpu.env.mem.write(addTo(d.at, 5), 1, (d.attr & 0xff) | 2, true);
    cpu.setSegment(S.TR, sel, base, d.limit, d.attr | 2);
  });
  defineHelper("LAR", (cpu, i) => {
    const d = visible(cpu, cpu.readOperand32(i, 1, 16));
    const ok = d && (!isSystem(d) || (cpu.lma ? LAR_LONG : LAR_TYPES).has(typeOf(d)));
    // The manual leaves bits 19:16 undefined; processors give the limit's.
    if (ok) cpu.writeOperand(i, 0, d.hi & (i.opSize === 16 ? 0xff00 : 0xffff00));
    cpu.setFlags(ok ? Fl.ZF : 0, Fl.ZF);
  });
  defineHelper("LSL", (cpu, i) => {
    const d = visible(cpu, cpu.readOperand32(i, 1, 16));
    const ok = d && (!isSystem(d) || (cpu.lma ? LSL_LONG : LSL_TYPES).has(typeOf(d)));
    if (ok) cpu.writeOperand(i, 0, d.limit);
    cpu.setFlags(ok ? Fl.ZF : 0, Fl.ZF);
  });
  defineHelper("VERR", (cpu, i) => {
    const d = visible(cpu, cpu.readOperand32(i, 0, 16));
    const ok = d && !isSystem(d) && (!isCode(d) || (d.attr & 2) !== 0);
    cpu.setFlags(ok ? Fl.ZF : 0, Fl.ZF);
  });
  defineHelper("VERW", (cpu, i) => {
    const d = visible(cpu, cpu.readOperand32(i, 0, 16));
    const ok = d && !isSystem(d) && !isCode(d) && (d.attr & 2) !== 0;
    cpu.setFlags(ok ? Fl.ZF : 0, Fl.ZF);
  });
  defineHelper("ARPL", (cpu, i) => {
    const dst = cpu.readOperand32(i, 0, 16), src = cpu.readOperand32(i, 1, 16);
    const lower = (dst & 3) < (src & 3);
    if (lower) cpu.writeOperand(i, 0, (dst & ~3) | (src & 3), 16);
    cpu.setFlags(lower ? Fl.ZF : 0, Fl.ZF);
  });
  defineHelper("BOUND", (cpu, i) => {
    const m = i.operands[1] as MemOperand, bytes = (i.opSize >> 3) as 2 | 4;
    const lin = cpu.linear(m.seg, cpu.ea(m), 2 * bytes, false);
    const signed = (v: number) => bytes === 2 ? (v << 16) >> 16 : v | 0;
    const v = signed(cpu.readOperand32(i, 0));
    const lo = signed(cpu.env.mem.read(lin, bytes));
    const hi = signed(cpu.env.mem.read(addTo(lin, bytes), bytes));
    if (v < lo || v > hi) cpu.fault(Vec.BR);
  });
}

/** Moves the stack pointer. */
export function addSp(cpu: Cpu, bytes: number): void {
  const sp = cpu.sp();
  cpu.setSp(typeof sp === "bigint" ? sp + BigInt(bytes) : sp + bytes);
}
