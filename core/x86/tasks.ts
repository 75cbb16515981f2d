/** Hardware task switches. Intel SDM volume 3, chapter 7. */
import { reloadPdptes, setControlRegister, usesPdptes, validPdptes } from "./control.ts";
import { Attr, type Cpu, GuestFault } from "./cpu.ts";
import { debugTrap, Dr6, Dr7 } from "./debug.ts";
import { Seg } from "./insn.ts";
import {
  type Descriptor,
  dplOf,
  isCode,
  isConforming,
  isData,
  isPresent,
  isSystem,
  loadNull,
  markAccessed,
  readDescriptor,
  typeOf,
} from "./segments.ts";
import * as S from "./state.ts";
import { Fl, Vec } from "./state.ts";

export type TaskSwitchKind = "gate" | "jmp" | "call" | "iret";

const TSS16 = 1, TSS16_BUSY = 3, TSS32 = 9, TSS32_BUSY = 11;

/** Offsets in the two TSS formats; size is their minimum limit. */
const WIDE = {
  size: 0x67,
  cr3: 0x1c,
  eip: 0x20,
  eflags: 0x24,
  regs: 0x28,
  segs: 0x48,
  segStep: 4,
  ldt: 0x60,
  trap: 0x64,
};
const NARROW = {
  size: 0x2b,
  cr3: -1,
  eip: 0x0e,
  eflags: 0x10,
  regs: 0x12,
  segs: 0x22,
  segStep: 2,
  ldt: 0x2a,
  trap: -1,
};

/**
 * Switches to the task of a TSS selector. Faults before the switch are raised in the old task; those of
 * loading the new task's segments in the new one, as the processor does.
 * @param selector of the TSS, or for `gate` of what a task gate holds
 * @param ext 1 when an external event is being delivered (EXT bit of error codes)
 */
export function switchTask(cpu: Cpu, selector: number, kind: TaskSwitchKind, ext = 0): void {
  const error = (selector & 0xfffc) | ext;
  const vector = kind === "iret" ? Vec.TS : Vec.GP;
  if (selector & 4) cpu.fault(vector, error);
  const d = readDescriptor(cpu, selector, vector);
  const type = typeOf(d);
  const wantBusy = kind === "iret";
  const ok = isSystem(d) &&
    (wantBusy ? type === TSS16_BUSY || type === TSS32_BUSY : type === TSS16 || type === TSS32);
  if (!ok) cpu.fault(vector, error);
  if (!isPresent(d)) cpu.fault(Vec.NP, error);
  const wide = (type & 8) !== 0, layout = wide ? WIDE : NARROW;
  if (d.limit < layout.size) cpu.fault(Vec.TS, error);
  const oldWide = (cpu.attr(S.TR) & 8) !== 0, old = oldWide ? WIDE : NARROW;
  const mem = cpu.env.mem;
  const oldBase = cpu.segBase32(S.TR), base = d.base;
  const size = oldWide ? 4 : 2;
  if (cpu.segLimit(S.TR) < old.size) cpu.fault(Vec.TS, cpu.selector(S.TR) & 0xfffc);

  // Everything that can page-fault is touched first.
  mem.checkRead(base, layout.size + 1, true);
  mem.checkWrite(oldBase + old.eip, old.ldt - old.eip, true);
  const at = (o: number) => (base + o) >>> 0;
  const word = (o: number) => wide ? mem.read(at(o), 4, true) : mem.read(at(o), 2, true);
  const next = {
    cr3: wide ? mem.read(at(WIDE.cr3), 4, true) : 0,
    eip: word(layout.eip),
    eflags: word(layout.eflags),
    regs: Array.from({ length: 8 }, (_, i) => word(layout.regs + i * (wide ? 4 : 2))),
    segs: Array.from(
      { length: wide ? 6 : 4 },
      (_, i) => mem.read(at(layout.segs + i * layout.segStep), 2, true),
    ),
    ldt: mem.read(at(layout.ldt), 2, true),
    trap: wide ? mem.read(at(WIDE.trap), 2, true) & 1 : 0,
  };

  // PAE paging's PDPTEs come with another CR3.
  const pdptes = wide && usesPdptes(cpu) && BigInt(next.cr3) !== cpu.cr3;
  if (pdptes && !validPdptes(cpu, BigInt(next.cr3))) cpu.gp(0);

  // Busy bits: the old task's is cleared by JMP and IRET, the new one's is set by all but IRET.
  const setBusy = (where: Descriptor["at"], busy: boolean) => {
    const byte = typeof where === "bigint" ? where + 5n : where + 5;
    const v = mem.read(byte, 1, true);
    mem.write(byte, 1, busy ? v | 2 : v & ~2, true);
  };
  const oldSelector = cpu.selector(S.TR);
  let flags = cpu.flags;
  if (kind === "jmp" || kind === "iret") setBusy(readDescriptor(cpu, oldSelector).at, false);
  if (kind === "iret") flags &= ~Fl.NT;

  // Save the old task.
  const save = (o: number, v: number) => mem.write((oldBase + o) >>> 0, size, v, true);
  save(old.eip, cpu.eip);
  save(old.eflags, flags);
  for (let n = 0; n < 8; n++) save(old.regs + n * size, cpu.reg32(n));
  for (let n = 0; n < (oldWide ? 6 : 4); n++) {
    mem.write((oldBase + old.segs + n * old.segStep) >>> 0, 2, cpu.selector(n), true);
  }
  if (kind === "call" || kind === "gate") mem.write(at(0), 2, oldSelector, true);
  if (kind !== "iret") setBusy(d.at, true);

  // Load the new one. From here on faults belong to it.
  cpu.setSegment(S.TR, selector, base, d.limit, d.attr | 2);
  cpu.set64(S.CR0, BigInt((cpu.cr0 | 8) >>> 0));
  if (wide && cpu.cr0 & 0x80000000) setControlRegister(cpu, 3, BigInt(next.cr3), true);
  if (pdptes) reloadPdptes(cpu);
  cpu.eip = next.eip;
  for (let n = 0; n < 8; n++) {
    if (wide) cpu.setReg32(n, next.regs[n]);
    else cpu.setReg16(n, next.regs[n]);
  }
  let newFlags = wide ? next.eflags : (cpu.flags & 0xffff0000) | next.eflags;
  if (kind === "call" || kind === "gate") newFlags |= Fl.NT;
  cpu.setFlags(newFlags | 2);
  cpu.set32(S.DR + 56, cpu.get32(S.DR + 56) & ~Dr7.LOCAL);
  cpu.env.debugChanged();
  try {
    enterTask(cpu, next, newFlags);
  } catch (e) {
    // The switch has happened: the handler returns to the new task's first instruction.
    throw e instanceof GuestFault ? new GuestFault(e.vector, e.error, true) : e;
  }
}

interface Incoming {
  readonly eip: number;
  readonly segs: readonly number[];
  readonly ldt: number;
  readonly trap: number;
}

/** Loads the descriptors of the new task. */
function enterTask(cpu: Cpu, next: Incoming, newFlags: number): void {
  // Selectors are visible at once; their descriptors are loaded after, with checks.
  const vm = (newFlags & Fl.VM) !== 0;
  for (let n = 0; n < next.segs.length; n++) loadNull(cpu, n, next.segs[n]);
  for (let n = next.segs.length; n < 6; n++) loadNull(cpu, n, 0);
  loadLdt(cpu, next.ldt);
  if (vm) {
    cpu.setCpl(3);
    for (let n = 0; n < 6; n++) cpu.setSegmentVm86(n, next.segs[n] ?? 0);
  } else loadTaskSegments(cpu, next.segs);
  if (next.eip > cpu.segLimit(Seg.CS)) cpu.gp(0);
  if (next.trap) debugTrap(cpu, Dr6.BT);
  cpu.updateMode();
}

function loadLdt(cpu: Cpu, selector: number): void {
  const unusable = Attr.UNUSABLE;
  if ((selector & 0xfffc) === 0) return cpu.setSegment(S.LDTR, selector, 0, 0, unusable);
  if (selector & 4) cpu.fault(Vec.TS, selector & 0xfffc);
  const d = readDescriptor(cpu, selector, Vec.TS);
  if (!isSystem(d) || typeOf(d) !== 2 || !isPresent(d)) cpu.fault(Vec.TS, selector & 0xfffc);
  cpu.setSegment(S.LDTR, selector, d.base, d.limit, d.attr);
}

function loadTaskSegments(cpu: Cpu, segs: readonly number[]): void {
  const cs = segs[Seg.CS], cpl = cs & 3;
  cpu.setCpl(cpl);
  const ts = (sel: number): never => cpu.fault(Vec.TS, sel & 0xfffc);
  if ((cs & 0xfffc) === 0) ts(cs);
  const code = readDescriptor(cpu, cs, Vec.TS);
  if (!isCode(code)) ts(cs);
  if (isConforming(code) ? dplOf(code) > cpl : dplOf(code) !== cpl) ts(cs);
  if (!isPresent(code)) cpu.fault(Vec.NP, cs & 0xfffc);
  cpu.setSegment(Seg.CS, cs, code.base, code.limit, markAccessed(cpu, code));

  const ss = segs[Seg.SS];
  if ((ss & 0xfffc) === 0) ts(ss);
  const stack = readDescriptor(cpu, ss, Vec.TS);
  if (!isData(stack) || !(stack.attr & 2) || dplOf(stack) !== cpl || (ss & 3) !== cpl) ts(ss);
  if (!isPresent(stack)) cpu.fault(Vec.SS, ss & 0xfffc);
  cpu.setSegment(Seg.SS, ss, stack.base, stack.limit, markAccessed(cpu, stack));

  for (const n of [Seg.DS, Seg.ES, Seg.FS, Seg.GS]) {
    const sel = segs[n] ?? 0;
    if ((sel & 0xfffc) === 0) {
      loadNull(cpu, n, sel);
      continue;
    }
    const d = readDescriptor(cpu, sel, Vec.TS);
    if (isSystem(d) || (isCode(d) && !(d.attr & 2))) ts(sel);
    if (!(isCode(d) && isConforming(d)) && dplOf(d) < Math.max(sel & 3, cpl)) ts(sel);
    if (!isPresent(d)) cpu.fault(Vec.NP, sel & 0xfffc);
    cpu.setSegment(n, sel, d.base, d.limit, markAccessed(cpu, d));
  }
}
