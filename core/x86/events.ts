/**
 * Delivery of interrupts and exceptions through the interrupt vector table, IDT gates and tasks.
 * Intel SDM volume 3, chapter 6, and 20.3 for virtual-8086 mode.
 */
import { log, LogItem, logMask } from "../log.ts";
import { isContributory } from "./control.ts";
import { Attr, type Cpu, GuestFault } from "./cpu.ts";
import { enterDebugHandler } from "./debug.ts";
import { Seg } from "./insn.ts";
import {
  checkStackSegment,
  type Descriptor,
  dplOf,
  isCode,
  isConforming,
  isPresent,
  loadNull,
  markAccessed,
  readDescriptor,
  tableAt,
} from "./segments.ts";
import * as S from "./state.ts";
import { Fl, Vec } from "./state.ts";
import { deliverLong } from "./events_long.ts";
import { switchTask } from "./tasks.ts";

/** What caused an event: decides privilege checks and the error code's EXT bit. */
export type EventSource = "external" | "exception" | "software";

/** Vectors whose frame has an error code. */
export const hasErrorCode: ReadonlySet<number> = new Set<number>([
  Vec.DF,
  Vec.TS,
  Vec.NP,
  Vec.SS,
  Vec.GP,
  Vec.PF,
  Vec.AC,
]);

/**
 * Delivers an exception, and the double fault that a fault in its delivery becomes. RIP is that of
 * the instruction to return to.
 * @param error error code, or -1 for vectors without one
 * @returns false after a triple fault
 */
export function deliver(cpu: Cpu, vector: number, error: number): boolean {
  for (;;) {
    if (logMask & LogItem.int) logException(cpu, vector, error);
    // Faults set RF in the saved flags, so that a code breakpoint is not met again.
    try {
      deliverEvent(cpu, vector, error, "exception");
      return true;
    } catch (e) {
      if (!(e instanceof GuestFault)) throw e;
      if (vector === Vec.DF) return false;
      const double = (isContributory(vector) && isContributory(e.vector)) ||
        (vector === Vec.PF && (e.vector === Vec.PF || isContributory(e.vector)));
      if (double) {
        vector = Vec.DF;
        error = 0;
      } else {
        vector = e.vector;
        // The fault was met while delivering an event: its error code says EXT.
        error = e.error >= 0 && e.vector !== Vec.PF ? e.error | 1 : e.error;
      }
    }
  }
}

/** Delivers an external interrupt, NMI, or (software) INT n. */
export function deliverInterrupt(cpu: Cpu, vector: number, software: boolean): void {
  deliverEvent(cpu, vector, -1, software ? "software" : "external");
}

/** Events logged so far: QEMU numbers them. */
let logged = 0;

function logException(cpu: Cpu, vector: number, error: number): void {
  const hex = (v: number | bigint, n: number) => v.toString(16).padStart(n, "0");
  const wide = (v: bigint) => hex(v, 16);
  const pc = cpu.long ? cpu.rip : BigInt.asUintN(32, cpu.rip + cpu.segBase(Seg.CS));
  const last = vector === Vec.PF
    ? `CR2=${wide(cpu.get64(S.CR2))}`
    : `env->regs[R_EAX]=${wide(cpu.reg64(0))}`;
  log(
    "int",
    `check_exception old: 0xffffffff new 0x${vector.toString(16)}\n` +
      `${String(logged++).padStart(6)}: v=${hex(vector, 2)} ` +
      `e=${hex(error < 0 ? 0 : error, 4)} i=0 cpl=${cpu.cpl} ` +
      `IP=${hex(cpu.selector(Seg.CS), 4)}:${wide(cpu.rip)} pc=${wide(pc)} ` +
      `SP=${hex(cpu.selector(Seg.SS), 4)}:${wide(cpu.reg64(4))} ${last}`,
  );
}

function deliverEvent(cpu: Cpu, vector: number, error: number, source: EventSource): void {
  if (!cpu.pe) deliverReal(cpu, vector);
  else if (cpu.lma) deliverLong(cpu, vector, error, source);
  else deliverProtected(cpu, vector, error, source);
  if (vector === Vec.DB && source !== "software") enterDebugHandler(cpu);
  cpu.set32(S.SHADOW, 0);
  cpu.updateMode();
}

function deliverReal(cpu: Cpu, vector: number): void {
  const mem = cpu.env.mem;
  if (vector * 4 + 3 > (cpu.get32(S.IDTR_LIMIT) & 0xffff)) cpu.fault(Vec.GP, vector * 8 + 2);
  const at = tableAt(cpu, S.IDTR_BASE, vector * 4);
  const entry = mem.read(at, 4, true);
  const stack = new Pusher(cpu, Seg.SS, cpu.reg32(4), (cpu.attr(Seg.SS) & Attr.DB) !== 0);
  stack.push(cpu.flags & 0xffff, 2);
  stack.push(cpu.selector(Seg.CS), 2);
  stack.push(cpu.eip & 0xffff, 2);
  stack.done();
  cpu.setFlags(0, Fl.IF | Fl.TF | Fl.AC | Fl.RF);
  cpu.setSegmentReal(Seg.CS, entry >>> 16);
  cpu.eip = entry & 0xffff;
}

/** Pushes without moving the stack pointer until all pushes have succeeded. */
export class Pusher {
  #sp: number;
  readonly #mask: number;
  /**
   * @param base segment base when the stack segment is not loaded yet; else taken from `seg`
   * @param limit its highest offset
   */
  constructor(
    readonly cpu: Cpu,
    readonly seg: number,
    sp: number,
    wide: boolean,
    readonly other?: Descriptor,
  ) {
    this.#mask = wide ? 0xffffffff : 0xffff;
    this.#sp = sp >>> 0;
  }

  push(v: number, bytes: 2 | 4): void {
    const low = ((this.#sp - bytes) & this.#mask) >>> 0;
    const cpu = this.cpu;
    let lin: number;
    if (this.other) {
      const d = this.other;
      const down = (d.attr & 0xc) === 4;
      const hi = down ? (d.attr & Attr.DB ? 0xffffffff : 0xffff) : d.limit;
      const lo = down ? d.limit + 1 : 0;
      if (low < lo || low + bytes - 1 > hi) cpu.fault(Vec.SS, d.selector & 0xfffc);
      lin = (d.base + low) >>> 0;
      cpu.env.mem.write(lin, bytes, v, dplOf(d) !== 3);
    } else {
      lin = cpu.linear(this.seg, low, bytes, true) as number;
      cpu.env.mem.write(lin, bytes, v);
    }
    this.#sp = ((this.#sp & ~this.#mask) | low) >>> 0;
  }

  get sp(): number {
    return this.#sp;
  }

  /** Stores the stack pointer. */
  done(): void {
    this.cpu.setReg32(4, this.#sp);
  }
}

/** Gate types of the 32-bit IDT. */
const TASK_GATE = 5, INT16 = 6, TRAP16 = 7, INT32 = 14, TRAP32 = 15;
const GATES = (1 << TASK_GATE) | (1 << INT16) | (1 << TRAP16) | (1 << INT32) | (1 << TRAP32);

function deliverProtected(cpu: Cpu, vector: number, error: number, source: EventSource): void {
  const mem = cpu.env.mem;
  const ext = source === "software" ? 0 : 1;
  const gateError = vector * 8 + 2 + ext;
  if (vector * 8 + 7 > (cpu.get32(S.IDTR_LIMIT) & 0xffff)) cpu.gp(gateError);
  const at = tableAt(cpu, S.IDTR_BASE, vector * 8) as number;
  const lo = mem.read(at, 4, true), hi = mem.read((at + 4) >>> 0, 4, true);
  const type = (hi >>> 8) & 0x1f, dpl = (hi >>> 13) & 3;
  if (((GATES >> type) & 1) === 0) cpu.gp(gateError);
  if (source === "software" && dpl < cpu.cpl) cpu.gp(gateError);
  if (!(hi & 0x8000)) cpu.fault(Vec.NP, gateError);
  const withError = source === "exception" && hasErrorCode.has(vector);

  if (type === TASK_GATE) {
    switchTask(cpu, lo >>> 16, "gate", ext);
    if (withError) {
      const wide = (cpu.attr(S.TR) & 8) !== 0;
      const p = new Pusher(cpu, Seg.SS, cpu.reg32(4), (cpu.attr(Seg.SS) & Attr.DB) !== 0);
      p.push(error, wide ? 4 : 2);
      p.done();
    }
    return;
  }

  const selector = lo >>> 16;
  const bytes = type >= INT32 ? 4 : 2;
  const target = bytes === 4 ? ((lo & 0xffff) | (hi & 0xffff0000)) >>> 0 : lo & 0xffff;
  if ((selector & 0xfffc) === 0) cpu.gp(ext);
  const code = readDescriptor(cpu, selector, Vec.GP, ext);
  const codeError = (selector & 0xfffc) | ext;
  const cpl = cpu.cpl, vm = cpu.vm86;
  if (!isCode(code) || dplOf(code) > cpl) cpu.gp(codeError);
  if (!isPresent(code)) cpu.fault(Vec.NP, codeError);

  const flags = cpu.flags;
  const saved = source === "exception" && vector !== Vec.DB ? flags | Fl.RF : flags;
  const inner = !isConforming(code) && dplOf(code) < cpl;
  const oldSs = cpu.selector(Seg.SS), oldSp = cpu.reg32(4);
  let stack: Pusher;
  let newCpl = cpl, ss: Descriptor | undefined, ssSelector = 0;
  if (inner) {
    newCpl = dplOf(code);
    if (vm && newCpl !== 0) cpu.gp(codeError);
    const top = innerStack(cpu, newCpl, ext);
    ssSelector = top.ss;
    ss = checkStackSegment(cpu, top.ss, newCpl, Vec.TS, ext);
    stack = new Pusher(cpu, Seg.SS, top.sp, (ss.attr & Attr.DB) !== 0, ss);
    if (vm) {
      for (const n of [Seg.GS, Seg.FS, Seg.DS, Seg.ES]) stack.push(cpu.selector(n), bytes);
    }
    stack.push(oldSs, bytes);
    stack.push(oldSp, bytes);
  } else {
    if (vm) cpu.gp(codeError);
    stack = new Pusher(cpu, Seg.SS, oldSp, (cpu.attr(Seg.SS) & Attr.DB) !== 0);
  }
  stack.push(saved, bytes);
  stack.push(cpu.selector(Seg.CS), bytes);
  stack.push(cpu.eip, bytes);
  if (withError) stack.push(error, bytes);
  if (target > code.limit) cpu.gp(ext);

  // Nothing below faults except by the accessed bits, whose pages have been read already.
  const codeAttr = markAccessed(cpu, code);
  if (ss) {
    const ssAttr = markAccessed(cpu, ss);
    if (vm) {
      cpu.setFlags(0, Fl.VM);
      for (const n of [Seg.GS, Seg.FS, Seg.DS, Seg.ES]) loadNull(cpu, n, 0);
    }
    cpu.setSegment(Seg.SS, (ssSelector & 0xfffc) | newCpl, ss.base, ss.limit, ssAttr);
  }
  const wide = (cpu.attr(Seg.SS) & Attr.DB) !== 0;
  if (wide) cpu.setReg32(4, stack.sp);
  else cpu.setReg16(4, stack.sp & 0xffff);
  cpu.setSegment(Seg.CS, (selector & 0xfffc) | newCpl, code.base, code.limit, codeAttr);
  cpu.setCpl(newCpl);
  cpu.eip = target;
  const clear = Fl.TF | Fl.NT | Fl.RF | Fl.VM | (type === INT16 || type === INT32 ? Fl.IF : 0);
  cpu.setFlags(0, clear);
}

/** Stack pointer and segment for privilege `cpl` from the current TSS. Raises #TS. */
export function innerStack(cpu: Cpu, cpl: number, ext: 0 | 1 = 0): { ss: number; sp: number } {
  const wide = (cpu.attr(S.TR) & 8) !== 0;
  const base = cpu.segBase32(S.TR), limit = cpu.segLimit(S.TR), mem = cpu.env.mem;
  const error = (cpu.selector(S.TR) & 0xfffc) | ext;
  if (wide) {
    const at = 4 + 8 * cpl;
    if (at + 5 > limit) cpu.fault(Vec.TS, error);
    return {
      sp: mem.read((base + at) >>> 0, 4, true),
      ss: mem.read((base + at + 4) >>> 0, 2, true),
    };
  }
  const at = 2 + 4 * cpl;
  if (at + 3 > limit) cpu.fault(Vec.TS, error);
  return {
    sp: mem.read((base + at) >>> 0, 2, true),
    ss: mem.read((base + at + 2) >>> 0, 2, true),
  };
}
