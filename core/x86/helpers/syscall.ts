/**
 * Fast system calls and the segment bases of 64-bit mode: SYSCALL, SYSRET, SYSENTER, SYSEXIT, SWAPGS.
 * Intel SDM volume 2 under their names; AMD APM volume 3 where the vendors differ.
 */
import { isCanonical } from "../canonical.ts";
import { Attr, type Cpu, defineHelper } from "../cpu.ts";
import { type Insn, Seg } from "../insn.ts";
import { Msr, readMsr } from "../msr.ts";
import { Fl } from "../state.ts";

const EFER_SCE = 1;
/** "Genu", the first register of the vendor string. */
const INTEL = 0x756e6547;

const intelModels = new WeakMap<object, boolean>();

/** Whether the CPU model says it is Intel's; all others follow AMD's rules. */
export function isIntel(cpu: Cpu): boolean {
  const model = cpu.env.model;
  let v = intelModels.get(model);
  if (v === undefined) {
    v = (cpu.env.cpuid(0, 0).ebx | 0) === INTEL;
    intelModels.set(model, v);
  }
  return v;
}

const FLAT = Attr.G | Attr.P | Attr.S;

/** Loads CS and SS with the flat segments that fast system calls imply, and the privilege. */
function flatSegments(cpu: Cpu, cpl: 0 | 3, cs: number, ss: number, long: boolean): void {
  const dpl = cpl << Attr.DPL_SHIFT;
  cpu.setCpl(cpl);
  cpu.setSegment(Seg.CS, cs, 0, 0xffffffff, FLAT | dpl | (long ? Attr.L : Attr.DB) | 11);
  cpu.setSegment(Seg.SS, ss, 0, 0xffffffff, FLAT | dpl | Attr.DB | 3);
}

function syscall(cpu: Cpu): void {
  if (!(cpu.efer & EFER_SCE)) cpu.ud();
  // Intel's has no SYSCALL outside 64-bit mode; AMD's has, in protected mode.
  if (!cpu.long && (isIntel(cpu) || !cpu.pe || cpu.vm86)) cpu.ud();
  const star = readMsr(cpu, Msr.IA32_STAR);
  const cs = Number(star >> 32n) & 0xfffc, ss = (cs + 8) & 0xffff;
  if (!cpu.lma) {
    cpu.setReg32(1, Number(cpu.rip & 0xffffffffn));
    cpu.setFlags(0, Fl.VM | Fl.IF | Fl.RF);
    flatSegments(cpu, 0, cs, ss, false);
    cpu.rip = star & 0xffffffffn;
    return;
  }
  const target = readMsr(cpu, cpu.long ? Msr.IA32_LSTAR : Msr.IA32_CSTAR);
  const mask = Number(readMsr(cpu, Msr.IA32_FMASK) & 0xffffffffn);
  cpu.setReg64(1, cpu.rip);
  cpu.setReg64(11, BigInt((cpu.flags & ~Fl.RF) >>> 0));
  cpu.setFlags(0, (mask | Fl.RF) & ~2);
  flatSegments(cpu, 0, cs, ss, true);
  cpu.rip = target;
}

function sysret(cpu: Cpu, i: Insn): void {
  if (!(cpu.efer & EFER_SCE) || !cpu.pe || cpu.vm86) cpu.ud();
  const intel = isIntel(cpu);
  if (intel && !cpu.long) cpu.ud();
  const star = readMsr(cpu, Msr.IA32_STAR);
  const base = Number(star >> 48n) & 0xfffc, ss = (base + 8) & 0xfffc | 3;
  const wide = i.opSize === 64;
  const target = wide ? cpu.reg64(1) : BigInt(cpu.reg32(1));
  // Intel's faults here, in ring 0; AMD's when the target is fetched.
  if (wide && intel && !isCanonical(cpu, target)) cpu.gp(0);
  if (cpu.lma) cpu.setFlags(Number(cpu.reg64(11) & 0x3c7fd7n), ~Fl.VM);
  else cpu.setFlags(Fl.IF, Fl.IF);
  flatSegments(cpu, 3, (wide ? base + 16 : base) & 0xfffc | 3, ss, wide);
  cpu.rip = target;
  cpu.env.eventsChanged();
}

function sysenter(cpu: Cpu): void {
  const long = cpu.lma;
  if (long && !isIntel(cpu)) cpu.ud();
  const cs = Number(readMsr(cpu, Msr.IA32_SYSENTER_CS) & 0xfffcn);
  if (cs === 0) cpu.gp(0);
  const sp = readMsr(cpu, Msr.IA32_SYSENTER_ESP), ip = readMsr(cpu, Msr.IA32_SYSENTER_EIP);
  cpu.setFlags(0, Fl.VM | Fl.IF | Fl.RF);
  flatSegments(cpu, 0, cs, (cs + 8) & 0xffff, long);
  cpu.setReg64(4, long ? sp : sp & 0xffffffffn);
  cpu.rip = long ? ip : ip & 0xffffffffn;
}

function sysexit(cpu: Cpu, i: Insn): void {
  if (cpu.lma && !isIntel(cpu)) cpu.ud();
  const cs = Number(readMsr(cpu, Msr.IA32_SYSENTER_CS) & 0xfffcn);
  if (cs === 0) cpu.gp(0);
  const long = i.opSize === 64;
  const sp = cpu.reg64(1), ip = cpu.reg64(2);
  if (long && (!isCanonical(cpu, sp) || !isCanonical(cpu, ip))) cpu.gp(0);
  const selector = (cs + (long ? 32 : 16)) & 0xfffc | 3;
  flatSegments(cpu, 3, selector, (selector + 8) & 0xffff, long);
  cpu.setReg64(4, long ? sp : sp & 0xffffffffn);
  cpu.rip = long ? ip : ip & 0xffffffffn;
}

export function syscallHelpers(): void {
  defineHelper("SYSCALL", syscall);
  defineHelper("SYSRET", sysret);
  defineHelper("SYSENTER", sysenter);
  defineHelper("SYSEXIT", sysexit);
}
