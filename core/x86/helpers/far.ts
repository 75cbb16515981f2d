/**
 * Far control transfer: CALL, JMP and RET between segments, gates and tasks, software interrupts, IRET,
 * fast system calls. Intel SDM volume 2 under their names; volume 3, chapter 5.8.
 */
import { Attr, type Cpu, defineHelper } from "../cpu.ts";
import { isCanonical } from "../canonical.ts";
import { deliverInterrupt, innerStack, Pusher } from "../events.ts";
import { stackOfLevel, writeFrame } from "../events_long.ts";
import { type FarOperand, type Insn, Seg } from "../insn.ts";
import {
  checkStackSegment,
  type Descriptor,
  descriptorAddress,
  dplOf,
  dropPrivilegedSegments,
  isCode,
  isConforming,
  isPresent,
  isSystem,
  loadNull,
  markAccessed,
  readDescriptor,
  typeOf,
} from "../segments.ts";
import * as S from "../state.ts";
import { Fl, Vec } from "../state.ts";
import { switchTask } from "../tasks.ts";
import { readFar } from "./segments.ts";

function farTarget(cpu: Cpu, i: Insn): { selector: number; offset: number | bigint } {
  const o = i.operands[0];
  if (o.kind === "far") {
    const f = o as FarOperand;
    return { selector: f.selector, offset: f.offset >>> 0 };
  }
  return readFar(cpu, i, 0);
}

function setCs(cpu: Cpu, selector: number, d: Descriptor, cpl: number): void {
  cpu.setSegment(Seg.CS, (selector & 0xfffc) | cpl, d.base, d.limit, markAccessed(cpu, d));
  if (cpu.cpl !== cpl) cpu.setCpl(cpl);
  else cpu.updateMode();
}

/** Raises #GP(0) when an offset is outside the segment it goes to. */
function checkOffset(cpu: Cpu, d: Descriptor, offset: number | bigint): void {
  if (cpu.lma && d.attr & Attr.L) {
    if (!isCanonical(cpu, BigInt(offset))) cpu.gp(0);
  } else if (Number(offset) > d.limit) cpu.gp(0);
}

function checkCode(cpu: Cpu, selector: number, d: Descriptor): void {
  const error = selector & 0xfffc;
  if (isConforming(d)) {
    if (dplOf(d) > cpu.cpl) cpu.gp(error);
  } else if ((selector & 3) > cpu.cpl || dplOf(d) !== cpu.cpl) cpu.gp(error);
  if (!isPresent(d)) cpu.fault(Vec.NP, error);
  if (cpu.lma && d.attr & Attr.L && d.attr & Attr.DB) cpu.gp(error);
}

function pushBytes(i: Insn): 2 | 4 {
  return i.opSize === 16 ? 2 : 4;
}

function currentStack(cpu: Cpu): Pusher {
  return new Pusher(cpu, Seg.SS, cpu.reg32(4), (cpu.attr(Seg.SS) & Attr.DB) !== 0);
}

/** Goes to selector:offset in real or virtual-8086 mode. */
function goUnprotected(cpu: Cpu, selector: number, offset: number): void {
  if (cpu.vm86) cpu.setSegmentVm86(Seg.CS, selector);
  else cpu.setSegmentReal(Seg.CS, selector);
  cpu.eip = offset;
}

function jumpFar(cpu: Cpu, i: Insn): void {
  const { selector, offset } = farTarget(cpu, i);
  if (!cpu.protectedMode) {
    if (Number(offset) > cpu.segLimit(Seg.CS)) cpu.gp(0);
    return goUnprotected(cpu, selector, Number(offset));
  }
  if ((selector & 0xfffc) === 0) cpu.gp(0);
  const d = readDescriptor(cpu, selector);
  if (isCode(d)) {
    checkCode(cpu, selector, d);
    checkOffset(cpu, d, offset);
    setCs(cpu, selector, d, cpu.cpl);
    cpu.rip = BigInt(offset);
    return;
  }
  if (!isSystem(d)) cpu.gp(selector & 0xfffc);
  gateOrTask(cpu, selector, d, "jmp");
}

function callFar(cpu: Cpu, i: Insn): void {
  const { selector, offset } = farTarget(cpu, i);
  const bytes = pushBytes(i);
  if (!cpu.protectedMode) {
    const p = currentStack(cpu);
    p.push(cpu.selector(Seg.CS), bytes);
    p.push(cpu.eip, bytes);
    if (Number(offset) > cpu.segLimit(Seg.CS)) cpu.gp(0);
    p.done();
    return goUnprotected(cpu, selector, Number(offset));
  }
  if ((selector & 0xfffc) === 0) cpu.gp(0);
  const d = readDescriptor(cpu, selector);
  if (isCode(d)) {
    checkCode(cpu, selector, d);
    if (cpu.long) {
      checkOffset(cpu, d, offset);
      pushLong(cpu, [BigInt(cpu.selector(Seg.CS)), cpu.rip], i.opSize >> 3);
    } else {
      const p = currentStack(cpu);
      p.push(cpu.selector(Seg.CS), bytes);
      p.push(cpu.eip, bytes);
      checkOffset(cpu, d, offset);
      p.done();
    }
    setCs(cpu, selector, d, cpu.cpl);
    cpu.rip = BigInt(offset);
    return;
  }
  if (!isSystem(d)) cpu.gp(selector & 0xfffc);
  gateOrTask(cpu, selector, d, "call");
}

/** Pushes values on the 64-bit stack; nothing changes when one faults. */
function pushLong(cpu: Cpu, values: readonly bigint[], bytes: number): void {
  let sp = cpu.reg64(4);
  for (const v of values) {
    sp = BigInt.asUintN(64, sp - BigInt(bytes));
    const lin = cpu.linear(Seg.SS, sp, bytes, true);
    if (bytes === 8) cpu.env.mem.write64(lin, v);
    else cpu.env.mem.write(lin, bytes as 2 | 4, Number(v & 0xffffffffn));
  }
  cpu.setReg64(4, sp);
}

const CALL16 = 4, TASK_GATE = 5, CALL32 = 12;

function gateOrTask(
  cpu: Cpu,
  selector: number,
  d: Descriptor,
  kind: "jmp" | "call",
): void {
  const error = selector & 0xfffc, type = typeOf(d);
  if (dplOf(d) < Math.max(cpu.cpl, selector & 3)) cpu.gp(error);
  switch (type) {
    case 1:
    case 9:
      if (cpu.lma) cpu.gp(error);
      if (!isPresent(d)) cpu.fault(Vec.NP, error);
      return switchTask(cpu, selector, kind);
    case TASK_GATE:
      if (cpu.lma) cpu.gp(error);
      if (!isPresent(d)) cpu.fault(Vec.NP, error);
      return switchTask(cpu, d.lo >>> 16, kind);
    case CALL16:
    case CALL32:
      break;
    default:
      cpu.gp(error);
  }
  if (cpu.lma && type !== CALL32) cpu.gp(error);
  if (!isPresent(d)) cpu.fault(Vec.NP, error);
  if (cpu.lma) return longGate(cpu, selector, d, kind);
  const wide = type === CALL32;
  const target = d.lo >>> 16;
  const offset = wide ? ((d.lo & 0xffff) | (d.hi & 0xffff0000)) >>> 0 : d.lo & 0xffff;
  if ((target & 0xfffc) === 0) cpu.gp(0);
  const code = readDescriptor(cpu, target);
  const codeError = target & 0xfffc;
  if (!isCode(code) || dplOf(code) > cpu.cpl) cpu.gp(codeError);
  if (!isPresent(code)) cpu.fault(Vec.NP, codeError);
  const bytes = wide ? 4 : 2;
  if (kind === "jmp") {
    if (!isConforming(code) && dplOf(code) !== cpu.cpl) cpu.gp(codeError);
    if (offset > code.limit) cpu.gp(0);
    setCs(cpu, target, code, cpu.cpl);
    cpu.eip = offset;
    return;
  }
  if (isConforming(code) || dplOf(code) === cpu.cpl) {
    const p = currentStack(cpu);
    p.push(cpu.selector(Seg.CS), bytes);
    p.push(cpu.eip, bytes);
    if (offset > code.limit) cpu.gp(0);
    p.done();
    setCs(cpu, target, code, cpu.cpl);
    cpu.eip = offset;
    return;
  }
  // To an inner level: a new stack, with the parameters copied.
  const cpl = dplOf(code);
  const top = innerStack(cpu, cpl);
  const ss = checkStackSegment(cpu, top.ss, cpl, Vec.TS);
  const p = new Pusher(cpu, Seg.SS, top.sp, (ss.attr & Attr.DB) !== 0, ss);
  p.push(cpu.selector(Seg.SS), bytes);
  p.push(cpu.reg32(4), bytes);
  const count = d.hi & 31;
  const oldWide = (cpu.attr(Seg.SS) & Attr.DB) !== 0;
  for (let k = count - 1; k >= 0; k--) {
    const at = (cpu.reg32(4) + k * bytes) & (oldWide ? -1 : 0xffff);
    p.push(cpu.env.mem.read(cpu.linear(Seg.SS, at >>> 0, bytes, false), bytes), bytes);
  }
  p.push(cpu.selector(Seg.CS), bytes);
  p.push(cpu.eip, bytes);
  if (offset > code.limit) cpu.gp(0);
  cpu.setSegment(Seg.SS, (top.ss & 0xfffc) | cpl, ss.base, ss.limit, markAccessed(cpu, ss));
  if (ss.attr & Attr.DB) cpu.setReg32(4, p.sp);
  else cpu.setReg16(4, p.sp & 0xffff);
  setCs(cpu, target, code, cpl);
  cpu.eip = offset;
}

/** Call gates of long mode: 16-byte descriptors to 64-bit code. SDM volume 3, 5.8.3.1. */
function longGate(cpu: Cpu, selector: number, d: Descriptor, kind: "jmp" | "call"): void {
  const whole = descriptorAddress(cpu, selector, 16);
  if (whole === undefined) cpu.gp(selector & 0xfffc);
  const at = BigInt(whole), mem = cpu.env.mem;
  const high = mem.read(at + 8n, 4, true);
  // The upper half must not look like a descriptor itself.
  if (mem.read(at + 12n, 4, true) & 0x1f00) cpu.gp(selector & 0xfffc);
  const target = d.lo >>> 16;
  const offset = (BigInt(high) << 32n) | BigInt(((d.lo & 0xffff) | (d.hi & 0xffff0000)) >>> 0);
  if ((target & 0xfffc) === 0) cpu.gp(0);
  const code = readDescriptor(cpu, target), error = target & 0xfffc;
  if (!isCode(code) || dplOf(code) > cpu.cpl) cpu.gp(error);
  if (!(code.attr & Attr.L) || code.attr & Attr.DB) cpu.gp(error);
  if (!isPresent(code)) cpu.fault(Vec.NP, error);
  const inner = !isConforming(code) && dplOf(code) < cpu.cpl;
  if (kind === "jmp" && inner) cpu.gp(error);
  if (!isCanonical(cpu, offset)) cpu.gp(0);
  const cpl = inner ? dplOf(code) : cpu.cpl;
  if (kind === "call") {
    const frame = [BigInt(cpu.selector(Seg.CS)), cpu.rip];
    if (inner) frame.unshift(BigInt(cpu.selector(Seg.SS)), cpu.reg64(4));
    const top = inner ? stackOfLevel(cpu, cpl) : cpu.reg64(4);
    const bottom = writeFrame(cpu, top, frame, cpl !== 3, 0);
    if (inner) {
      cpu.setCpl(cpl);
      loadNull(cpu, Seg.SS, cpl);
    }
    cpu.setReg64(4, bottom);
  }
  setCs(cpu, target, code, cpl);
  cpu.rip = offset;
}

/** Reads the stack upwards without moving the pointer until `done`. */
class Popper {
  #sp: number | bigint;
  constructor(readonly cpu: Cpu, readonly bytes: 2 | 4 | 8) {
    this.#sp = cpu.sp();
  }
  pop(): number | bigint {
    const cpu = this.cpu, lin = cpu.linear(Seg.SS, this.#sp, this.bytes, false);
    const v = this.bytes === 8 ? cpu.env.mem.read64(lin) : cpu.env.mem.read(lin, this.bytes);
    this.skip(this.bytes);
    return v;
  }
  popNumber(): number {
    const v = this.pop();
    return typeof v === "number" ? v : Number(BigInt.asUintN(32, v));
  }
  skip(n: number): void {
    const bits = this.cpu.stackBits;
    this.#sp = typeof this.#sp === "bigint"
      ? BigInt.asUintN(64, this.#sp + BigInt(n))
      : bits === 16
      ? (this.#sp + n) & 0xffff
      : (this.#sp + n) >>> 0;
  }
  done(): void {
    this.cpu.setSp(this.#sp);
  }
}

function returnFar(cpu: Cpu, i: Insn): void {
  const bytes = (i.opSize >> 3) as 2 | 4 | 8;
  const extra = i.operands.length > 0 ? cpu.readOperand32(i, 0, 16) : 0;
  const p = new Popper(cpu, bytes);
  const ip = p.pop(), selector = p.popNumber() & 0xffff;
  if (!cpu.protectedMode) {
    if (Number(ip) > cpu.segLimit(Seg.CS)) cpu.gp(0);
    p.skip(extra);
    p.done();
    return goUnprotected(cpu, selector, Number(ip));
  }
  p.skip(extra);
  outward(cpu, selector, ip, p, extra);
}

/** The privilege part that far RET and IRET share: to the same or an outer level. */
function outward(
  cpu: Cpu,
  selector: number,
  ip: number | bigint,
  p: Popper,
  extra: number,
  flags?: number,
  mask = 0,
  alwaysStack = false,
): void {
  const error = selector & 0xfffc, rpl = selector & 3;
  if (error === 0) cpu.gp(0);
  const d = readDescriptor(cpu, selector);
  if (!isCode(d) || rpl < cpu.cpl) cpu.gp(error);
  if (isConforming(d) ? dplOf(d) > rpl : dplOf(d) !== rpl) cpu.gp(error);
  if (!isPresent(d)) cpu.fault(Vec.NP, error);
  if (cpu.lma && (d.attr & (Attr.L | Attr.DB)) === (Attr.L | Attr.DB)) cpu.gp(error);
  if (rpl === cpu.cpl && !alwaysStack) {
    checkOffset(cpu, d, ip);
    p.done();
    if (flags !== undefined) cpu.setFlags(flags, mask);
    setCs(cpu, selector, d, rpl);
    if (typeof ip === "number") cpu.eip = ip;
    else cpu.rip = ip;
    return;
  }
  const sp = p.pop(), ssSel = p.popNumber() & 0xffff;
  let ss: Descriptor | undefined;
  if ((ssSel & 0xfffc) === 0) {
    // A null SS is allowed on the way to 64-bit code above CPL 3.
    if (!(cpu.lma && d.attr & Attr.L && rpl !== 3 && (ssSel & 3) === rpl)) cpu.gp(0);
  } else ss = checkStackSegment(cpu, ssSel, rpl, Vec.GP);
  checkOffset(cpu, d, ip);
  if (flags !== undefined) cpu.setFlags(flags, mask);
  const outer = rpl !== cpu.cpl;
  setCs(cpu, selector, d, rpl);
  if (ss) cpu.setSegment(Seg.SS, ssSel, ss.base, ss.limit, markAccessed(cpu, ss));
  else loadNull(cpu, Seg.SS, ssSel);
  if (cpu.long) cpu.setReg64(4, BigInt.asUintN(64, BigInt(sp) + BigInt(extra)));
  else if (cpu.stackBits === 32) cpu.setReg32(4, low(sp) + extra);
  else cpu.setReg16(4, (low(sp) + extra) & 0xffff);
  if (typeof ip === "number") cpu.eip = ip;
  else cpu.rip = ip;
  if (outer) dropPrivilegedSegments(cpu);
}

/** The low 32 bits of what a stack held. */
function low(v: number | bigint): number {
  return typeof v === "number" ? v : Number(BigInt.asUintN(32, v));
}

/** Flags that IRET and POPF may change at a privilege level. */
export function flagMask(cpu: Cpu, bits: number): number {
  let mask = Fl.CF | Fl.PF | Fl.AF | Fl.ZF | Fl.SF | Fl.TF | Fl.DF | Fl.OF | Fl.NT;
  if (bits !== 16) mask |= Fl.RF | Fl.AC | Fl.ID;
  if (!cpu.pe || cpu.cpl <= cpu.iopl) mask |= Fl.IF;
  if (cpu.cpl === 0) mask |= Fl.IOPL | (bits !== 16 ? Fl.VIF | Fl.VIP : 0);
  return mask;
}

function iret(cpu: Cpu, i: Insn): void {
  cpu.env.eventsChanged();
  cpu.onIret?.();
  const bytes = (i.opSize >> 3) as 2 | 4 | 8;
  if (!cpu.pe) return iretReal(cpu, bytes);
  if (cpu.vm86) return iretVm86(cpu, bytes);
  if (cpu.get32(S.FLAG_SYS) & Fl.NT) {
    if (cpu.lma) cpu.gp(0);
    return switchTask(cpu, cpu.env.mem.read(cpu.segBase32(S.TR), 2, true), "iret");
  }
  const p = new Popper(cpu, bytes);
  const ip = p.pop(), selector = p.popNumber() & 0xffff, flags = p.popNumber();
  if (bytes === 4 && flags & Fl.VM && cpu.cpl === 0 && !cpu.lma) {
    return iretToVm86(cpu, Number(ip), selector, flags, p);
  }
  const mask = flagMask(cpu, i.opSize);
  outward(cpu, selector, ip, p, 0, flags, mask, cpu.long);
}

function iretReal(cpu: Cpu, bytes: 2 | 4 | 8): void {
  const p = new Popper(cpu, bytes);
  const ip = p.popNumber(), selector = p.popNumber() & 0xffff, flags = p.popNumber();
  if (ip > cpu.segLimit(Seg.CS)) cpu.gp(0);
  p.done();
  cpu.setSegmentReal(Seg.CS, selector);
  cpu.eip = ip;
  const mask = flagMask(cpu, bytes * 8) & ~(Fl.VIF | Fl.VIP);
  cpu.setFlags(flags, mask);
}

function iretVm86(cpu: Cpu, bytes: 2 | 4 | 8): void {
  const vme = (cpu.cr4 & 1) !== 0;
  if (cpu.iopl !== 3 && !(vme && bytes === 2)) cpu.gp(0);
  const p = new Popper(cpu, bytes);
  const ip = p.popNumber(), selector = p.popNumber() & 0xffff, flags = p.popNumber();
  if (ip > 0xffff) cpu.gp(0);
  if (cpu.iopl !== 3) {
    // VME: IF stands for VIF; a pending virtual interrupt or TF must reach the monitor.
    if (flags & Fl.TF || (flags & Fl.IF && cpu.get32(S.FLAG_SYS) & Fl.VIP)) cpu.gp(0);
    p.done();
    const mask = flagMask(cpu, 16) & ~(Fl.IF | Fl.IOPL);
    cpu.setFlags((flags & mask) | (flags & Fl.IF ? Fl.VIF : 0), mask | Fl.VIF);
  } else {
    p.done();
    cpu.setFlags(flags, (flagMask(cpu, bytes * 8) | Fl.IF) & ~(Fl.IOPL | Fl.VIF | Fl.VIP));
  }
  cpu.setSegmentVm86(Seg.CS, selector);
  cpu.eip = ip;
}

function iretToVm86(cpu: Cpu, ip: number, cs: number, flags: number, p: Popper): void {
  const sp = p.popNumber(), ss = p.popNumber();
  const [es, ds, fs, gs] = [p.popNumber(), p.popNumber(), p.popNumber(), p.popNumber()];
  cpu.setFlags(flags, -1);
  cpu.setCpl(3);
  const segs = [es, cs, ss, ds, fs, gs];
  for (let n = 0; n < 6; n++) cpu.setSegmentVm86(n, segs[n] & 0xffff);
  cpu.setReg32(4, sp);
  cpu.eip = ip & 0xffff;
  cpu.updateMode();
}

/** INT n in virtual-8086 mode: through the task's own vector table when VME allows. SDM 20.3. */
function vm86Interrupt(cpu: Cpu, vector: number): boolean {
  if (cpu.cr4 & 1) {
    const base = cpu.segBase32(S.TR), mem = cpu.env.mem;
    const map = mem.read((base + 0x66) >>> 0, 2, true);
    const at = map - 32 + (vector >> 3);
    if (at >= 0 && at <= cpu.segLimit(S.TR)) {
      const bit = mem.read((base + at) >>> 0, 1, true) & (1 << (vector & 7));
      if (!bit) {
        const entry = mem.read(vector * 4, 4, true);
        let flags = cpu.flags & 0xffff;
        if (cpu.iopl !== 3) {
          flags = (flags & ~Fl.IF) | Fl.IOPL | (cpu.flags & Fl.VIF ? Fl.IF : 0);
        }
        const p = new Pusher(cpu, Seg.SS, cpu.reg32(4), false);
        p.push(flags, 2);
        p.push(cpu.selector(Seg.CS), 2);
        p.push(cpu.eip, 2);
        cpu.setReg16(4, p.sp & 0xffff);
        cpu.setFlags(0, Fl.TF | (cpu.iopl === 3 ? Fl.IF : Fl.VIF));
        cpu.setSegmentVm86(Seg.CS, entry >>> 16);
        cpu.eip = entry & 0xffff;
        return true;
      }
    }
  }
  if (cpu.iopl !== 3) cpu.gp(0);
  return false;
}

/** Runs INT n; faults are raised for the instruction itself, so RIP goes back meanwhile. */
function softwareInterrupt(cpu: Cpu, vector: number, privileged: boolean): void {
  if (privileged && cpu.vm86 && vm86Interrupt(cpu, vector)) return;
  deliverInterrupt(cpu, vector, true);
}

export function farHelpers(): void {
  defineHelper("JMP_FAR", jumpFar);
  defineHelper("CALL_FAR", callFar);
  defineHelper("RET_FAR", returnFar);
  defineHelper("IRET", iret);
  defineHelper("INT", (cpu, i) => softwareInterrupt(cpu, cpu.readOperand32(i, 0, 8), true));
  defineHelper("INT3", (cpu) => softwareInterrupt(cpu, Vec.BP, false));
  defineHelper("INT1", (cpu) => deliverInterrupt(cpu, Vec.DB, false));
  defineHelper("INTO", (cpu) => {
    if (cpu.flags & Fl.OF) softwareInterrupt(cpu, Vec.OF, false);
  });
}
