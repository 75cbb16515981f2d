/**
 * Delivery of interrupts and exceptions in long mode: 16-byte gates, interrupt stacks, a stack frame
 * that always has SS:RSP and begins at a multiple of 16. Intel SDM volume 3, 6.14.
 */
import { isCanonical } from "./canonical.ts";
import { Attr, type Cpu, type Lin } from "./cpu.ts";
import type { EventSource } from "./events.ts";
import { Seg } from "./insn.ts";
import {
  descriptorAddress,
  dplOf,
  isCode,
  isConforming,
  isPresent,
  loadNull,
  markAccessed,
  parseDescriptor,
  tableEntry,
} from "./segments.ts";
import * as S from "./state.ts";
import { Fl, Vec } from "./state.ts";

const INTERRUPT_GATE = 14, TRAP_GATE = 15;
/** Offsets in the 64-bit TSS. */
const TSS_RSP0 = 4, TSS_IST1 = 0x24;
/** Vectors whose frame has an error code: DF, TS, NP, SS, GP, PF, AC. */
const WITH_ERROR = (1 << Vec.DF) | (1 << Vec.TS) | (1 << Vec.NP) | (1 << Vec.SS) | (1 << Vec.GP) |
  (1 << Vec.PF) | (1 << Vec.AC);

/** RSP for privilege `cpl` of the 64-bit TSS. Raises #TS. */
export function stackOfLevel(cpu: Cpu, cpl: number, ext = 0): bigint {
  return stackAt(cpu, TSS_RSP0 + 8 * cpl, ext);
}

/** An RSP stored in the 64-bit TSS. Raises #TS. */
function stackAt(cpu: Cpu, offset: number, ext: number): bigint {
  if (offset + 7 > cpu.segLimit(S.TR)) cpu.fault(Vec.TS, (cpu.selector(S.TR) & 0xfffc) | ext);
  return cpu.env.mem.read64(tableEntry(cpu, cpu.segBase(S.TR), offset), true);
}

/** Writes a frame below `top`, first value highest, and gives its address; changes no registers. */
export function writeFrame(
  cpu: Cpu,
  top: bigint,
  frame: readonly bigint[],
  system: boolean,
  ext: number,
): bigint {
  const bottom = BigInt.asUintN(64, top - 8n * BigInt(frame.length));
  if (!isCanonical(cpu, bottom) || !isCanonical(cpu, BigInt.asUintN(64, top - 1n))) {
    cpu.fault(Vec.SS, ext);
  }
  const mem = cpu.env.mem;
  let at = top;
  for (const v of frame) {
    at = BigInt.asUintN(64, at - 8n);
    mem.write64(at, v, system);
  }
  return bottom;
}

/** Event delivery in long mode; the caller recomputes the translation mode. */
export function deliverLong(cpu: Cpu, vector: number, error: number, source: EventSource): void {
  const mem = cpu.env.mem, ext = source === "software" ? 0 : 1, cpl = cpu.cpl;
  const gateError = vector * 8 + 2 + ext;
  if (vector * 16 + 15 > (cpu.get32(S.IDTR_LIMIT) & 0xffff)) cpu.gp(gateError);
  const at = tableEntry(cpu, cpu.get64(S.IDTR_BASE), vector * 16) as bigint;
  const lo = mem.read(at, 4, true), hi = mem.read(at + 4n, 4, true);
  const type = (hi >>> 8) & 0x1f;
  if (type !== INTERRUPT_GATE && type !== TRAP_GATE) cpu.gp(gateError);
  if (source === "software" && ((hi >>> 13) & 3) < cpl) cpu.gp(gateError);
  if (!(hi & 0x8000)) cpu.fault(Vec.NP, gateError);
  const above = mem.read(at + 8n, 4, true);
  const target = (BigInt(above) << 32n) | BigInt(((lo & 0xffff) | (hi & 0xffff0000)) >>> 0);

  const selector = lo >>> 16, codeError = (selector & 0xfffc) | ext;
  if ((selector & 0xfffc) === 0) cpu.gp(ext);
  const where = descriptorAddress(cpu, selector);
  if (where === undefined) cpu.gp(codeError);
  const code = parseDescriptor(
    selector,
    where,
    mem.read(where, 4, true),
    mem.read(addTo(where, 4), 4, true),
  );
  if (!isCode(code) || dplOf(code) > cpl) cpu.gp(codeError);
  if ((code.attr & (Attr.L | Attr.DB)) !== Attr.L) cpu.gp(codeError);
  if (!isPresent(code)) cpu.fault(Vec.NP, codeError);
  const inner = !isConforming(code) && dplOf(code) < cpl;
  const newCpl = inner ? dplOf(code) : cpl;
  const ist = hi & 7;
  let top = ist !== 0
    ? stackAt(cpu, TSS_IST1 + 8 * (ist - 1), ext)
    : inner
    ? stackOfLevel(cpu, newCpl, ext)
    : cpu.reg64(4);
  top &= ~15n;

  const flags = cpu.flags >>> 0;
  const saved = source === "exception" && vector !== Vec.DB ? flags | Fl.RF : flags;
  const frame = [
    BigInt(cpu.selector(Seg.SS)),
    cpu.reg64(4),
    BigInt(saved),
    BigInt(cpu.selector(Seg.CS)),
    cpu.rip,
  ];
  if (source === "exception" && vector < 32 && (WITH_ERROR >> vector) & 1) {
    frame.push(BigInt(error >>> 0));
  }
  const rsp = writeFrame(cpu, top, frame, newCpl !== 3, ext);
  if (!isCanonical(cpu, target)) cpu.gp(ext);

  const attr = markAccessed(cpu, code);
  if (inner) {
    cpu.setCpl(newCpl);
    loadNull(cpu, Seg.SS, newCpl);
  }
  cpu.setReg64(4, rsp);
  cpu.setSegment(Seg.CS, (selector & 0xfffc) | newCpl, code.base, code.limit, attr);
  cpu.rip = target;
  const clear = Fl.TF | Fl.NT | Fl.RF | Fl.VM | (type === INTERRUPT_GATE ? Fl.IF : 0);
  cpu.setFlags(0, clear);
}

function addTo(lin: Lin, n: number): Lin {
  return typeof lin === "bigint" ? lin + BigInt(n) : lin + n;
}
