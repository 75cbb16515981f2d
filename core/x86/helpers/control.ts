/** Control and debug registers, MSRs, CPUID, caches, HLT, flags images. Intel SDM volume 2. */
import { setControlRegister } from "../control.ts";
import { type Cpu, defineHelper } from "../cpu.ts";
import { overridden } from "../cpuid_override.ts";
import { Dr6, Dr7, reportDebug } from "../debug.ts";
import { type Insn, type MemOperand, Seg } from "../insn.ts";
import { Msr, readMsr, writeMsr } from "../msr.ts";
import * as S from "../state.ts";
import { Fl, Vec } from "../state.ts";
import { flagMask } from "./far.ts";
import { checkUmip } from "./segments.ts";
import { xsaveLeaf } from "./xsave.ts";

function readControl(cpu: Cpu, n: number): bigint {
  switch (n) {
    case 0:
      return cpu.get64(S.CR0);
    case 2:
      return cpu.get64(S.CR2);
    case 3:
      return cpu.get64(S.CR3);
    case 4:
      return cpu.get64(S.CR4);
    case 8:
      return BigInt(cpu.env.apic?.tpr ?? 0);
    default:
      return cpu.ud();
  }
}

function movControl(cpu: Cpu, i: Insn): void {
  const [a, b] = i.operands;
  cpu.env.countExit("cr");
  if (a.kind === "creg") {
    const value = BigInt(cpu.readOperand(i, 1));
    switch (a.reg) {
      case 0:
      case 2:
      case 3:
      case 4:
        return setControlRegister(cpu, a.reg, value);
      case 8:
        if (value > 15n) cpu.gp(0);
        cpu.env.apic?.setTpr(Number(value));
        return;
      default:
        cpu.ud();
    }
  }
  cpu.writeOperand(i, 0, readControl(cpu, (b as { reg: number }).reg));
}

/** DR4 and DR5 are DR6 and DR7 unless CR4.DE makes them undefined. SDM volume 3, 17.2.2. */
function debugNumber(cpu: Cpu, n: number): number {
  if (n !== 4 && n !== 5) return n;
  if (cpu.cr4 & 8) cpu.ud();
  return n + 2;
}

type Reg = { reg: number };

function movDebug(cpu: Cpu, i: Insn): void {
  const [a, b] = i.operands, n = debugNumber(cpu, ((a.kind === "dreg" ? a : b) as Reg).reg);
  // General detect: any access faults while DR7.GD is set.
  if (cpu.get32(S.DR + 56) & Dr7.GD) {
    reportDebug(cpu, Dr6.BD);
    cpu.set32(S.FLAG_SYS, cpu.get32(S.FLAG_SYS) | Fl.RF);
    cpu.fault(Vec.DB);
  }
  if (a.kind !== "dreg") return cpu.writeOperand(i, 0, cpu.get64(S.DR + 8 * n));
  let v = BigInt(cpu.readOperand(i, 1));
  if (n >= 6 && v >> 32n) cpu.gp(0);
  if (n === 6) v = (v & BigInt(Dr6.ALL)) | 0xffff0ff0n;
  if (n === 7) v = (v & 0xffff23ffn) | 0x400n;
  cpu.set64(S.DR + 8 * n, v);
  if (n !== 6) cpu.env.debugChanged();
}

function pushf(cpu: Cpu, i: Insn): void {
  let fl = cpu.flags & ~(Fl.RF | Fl.VM);
  if (cpu.vm86 && cpu.iopl !== 3) {
    if (!(cpu.cr4 & 1) || i.opSize !== 16) cpu.gp(0);
    // VME: the image shows VIF as IF and IOPL 3.
    fl = (fl & ~Fl.IF) | Fl.IOPL | (fl & Fl.VIF ? Fl.IF : 0);
  }
  const bytes = (i.opSize >> 3) as 2 | 4 | 8;
  const sp = cpu.sp();
  const top = typeof sp === "bigint"
    ? BigInt.asUintN(64, sp - BigInt(bytes))
    : cpu.stackBits === 16
    ? (sp - bytes) & 0xffff
    : (sp - bytes) >>> 0;
  const lin = cpu.linear(Seg.SS, top, bytes, true);
  if (bytes === 8) cpu.env.mem.write64(lin, BigInt(fl & 0xfcffff));
  else cpu.env.mem.write(lin, bytes, fl & (bytes === 2 ? 0xffff : 0xfcffff));
  cpu.setSp(top);
}

function popf(cpu: Cpu, i: Insn): void {
  const bytes = (i.opSize >> 3) as 2 | 4 | 8;
  const lin = cpu.linear(Seg.SS, cpu.sp(), bytes, false);
  const v = bytes === 8
    ? Number(cpu.env.mem.read64(lin) & 0xffffffffn)
    : cpu.env.mem.read(lin, bytes);
  let mask = flagMask(cpu, i.opSize);
  let value = v & ~(Fl.RF | Fl.VIF | Fl.VIP);
  if (i.opSize !== 16) mask |= Fl.RF;
  mask &= ~(Fl.VIF | Fl.VIP);
  if (cpu.vm86) {
    mask &= ~Fl.IOPL;
    if (cpu.iopl !== 3) {
      if (!(cpu.cr4 & 1) || i.opSize !== 16) cpu.gp(0);
      if (v & Fl.TF || (v & Fl.IF && cpu.flags & Fl.VIP)) cpu.gp(0);
      mask = (mask & ~Fl.IF) | Fl.VIF;
      value = (value & ~Fl.VIF) | (v & Fl.IF ? Fl.VIF : 0);
    } else mask |= Fl.IF;
  }
  const sp = cpu.sp();
  cpu.setSp(typeof sp === "bigint" ? sp + BigInt(bytes) : sp + bytes);
  cpu.setFlags(value, mask);
}

/** CLI and STI where IOPL alone does not decide: virtual-8086 mode and CR4.PVI. SDM 20.3, 20.4. */
function interruptFlag(on: boolean) {
  return (cpu: Cpu): void => {
    const virtual = (cpu.vm86 && (cpu.cr4 & 1) !== 0) ||
      (!cpu.vm86 && cpu.cpl === 3 && (cpu.cr4 & 2) !== 0);
    if (!cpu.pe || (cpu.vm86 ? cpu.iopl === 3 : cpu.cpl <= cpu.iopl)) {
      const was = cpu.get32(S.FLAG_SYS) & Fl.IF;
      cpu.setFlags(on ? Fl.IF : 0, Fl.IF);
      if (on && !was) cpu.set32(S.SHADOW, 1);
    } else if (virtual) {
      if (on && cpu.flags & Fl.VIP) cpu.gp(0);
      cpu.setFlags(on ? Fl.VIF : 0, Fl.VIF);
    } else cpu.gp(0);
  };
}

function cpuid(cpu: Cpu): void {
  cpu.env.countExit("cpuid");
  const leaf = cpu.reg32(0), subleaf = cpu.reg32(1);
  let r = cpu.env.cpuid(leaf, subleaf);
  // Bits that follow the CPU's state: OSPKE, and the sizes of XSAVE's area.
  if (leaf === 7 && subleaf === 0 && cpu.cr4 & 0x400000) r = { ...r, ecx: r.ecx | 0x10 };
  if (leaf === 13) r = xsaveLeaf(cpu, subleaf);
  r = overridden(cpu, leaf, subleaf, r);
  cpu.setReg32(0, r.eax);
  cpu.setReg32(3, r.ebx);
  cpu.setReg32(1, r.ecx);
  cpu.setReg32(2, r.edx);
}

function enter(cpu: Cpu, i: Insn): void {
  const size = cpu.readOperand32(i, 0, 16), level = cpu.readOperand32(i, 1, 8) & 31;
  const bytes = (i.opSize >> 3) as 2 | 4 | 8, bits = cpu.stackBits;
  const mask = bits === 64 ? (1n << 64n) - 1n : bits === 32 ? 0xffffffffn : 0xffffn;
  let sp = BigInt(cpu.sp());
  const at = (v: bigint) => bits === 64 ? v : Number(v);
  const push = (v: bigint) => {
    sp = (sp - BigInt(bytes)) & mask;
    const lin = cpu.linear(Seg.SS, at(sp), bytes, true);
    if (bytes === 8) cpu.env.mem.write64(lin, v);
    else cpu.env.mem.write(lin, bytes, Number(v & 0xffffffffn));
  };
  push(cpu.reg64(5) & (bytes === 2 ? 0xffffn : bytes === 4 ? 0xffffffffn : mask));
  const frame = sp;
  let bp = BigInt(cpu.reg(5, bits));
  for (let n = 1; n < level; n++) {
    bp = (bp - BigInt(bytes)) & mask;
    const lin = cpu.linear(Seg.SS, at(bp), bytes, false);
    push(bytes === 8 ? cpu.env.mem.read64(lin) : BigInt(cpu.env.mem.read(lin, bytes)));
  }
  if (level > 0) push(frame);
  sp = (sp - BigInt(size)) & mask;
  // The final stack pointer must be aligned and writable, or nothing has happened.
  cpu.checkAlignment(at(sp), bytes);
  const last = cpu.linear(Seg.SS, at(sp), 1, true);
  cpu.env.mem.checkWrite(last, 1);
  cpu.setReg(5, i.opSize === 16 ? 16 : bits === 64 ? 64 : i.opSize, frame);
  cpu.setSp(at(sp));
}

export function controlHelpers(): void {
  defineHelper("MOV_CR", movControl);
  defineHelper("MOV_DR", movDebug);
  defineHelper("CLTS", (cpu) => {
    cpu.set64(S.CR0, BigInt((cpu.cr0 & ~8) >>> 0));
    cpu.updateMode();
  });
  defineHelper("SMSW", (cpu, i) => {
    checkUmip(cpu);
    cpu.writeOperand(i, 0, cpu.cr0, i.operands[0].kind === "mem" ? 16 : undefined);
  });
  defineHelper("LMSW", (cpu, i) => {
    // PE can be set but not cleared this way.
    const v = cpu.readOperand32(i, 0, 16) & 15, old = cpu.cr0;
    setControlRegister(cpu, 0, BigInt(((old & ~14) | v) >>> 0));
  });
  defineHelper("INVLPG", (cpu, i) => {
    const m = i.operands[0] as MemOperand;
    let lin = cpu.ea(m);
    if (typeof lin === "number") lin = (lin + cpu.segBase32(m.seg)) >>> 0;
    else if (m.seg === Seg.FS || m.seg === Seg.GS) lin += cpu.segBase(m.seg);
    cpu.env.mem.flushPage(lin);
  });
  defineHelper("HLT", (cpu) => {
    cpu.env.countExit("hlt");
    cpu.env.halt();
    cpu.env.eventsChanged();
  });
  defineHelper("PAUSE", (cpu) => cpu.env.pause());
  defineHelper("CPUID", cpuid);
  defineHelper("RDMSR", (cpu) => {
    cpu.env.countExit("rdmsr");
    const v = readMsr(cpu, cpu.reg32(1));
    cpu.setReg32(0, Number(v & 0xffffffffn));
    cpu.setReg32(2, Number(v >> 32n));
  });
  defineHelper("WRMSR", (cpu) => {
    cpu.env.countExit("wrmsr");
    const index = cpu.reg32(1);
    writeMsr(cpu, index, (BigInt(cpu.reg32(2)) << 32n) | BigInt(cpu.reg32(0)));
    // Of these only the local APIC's decide about events.
    if (
      index === Msr.IA32_APIC_BASE || index === Msr.IA32_TSC_DEADLINE ||
      (index >= 0x800 && index < 0x900)
    ) {
      cpu.env.eventsChanged();
    }
  });
  const tsc = (cpu: Cpu) => {
    // CR4.TSD keeps it from user code.
    if (cpu.cr4 & 4 && cpu.cpl !== 0 && cpu.pe) cpu.gp(0);
    const v = readMsr(cpu, 0x10);
    cpu.setReg32(0, Number(v & 0xffffffffn));
    cpu.setReg32(2, Number(v >> 32n));
  };
  defineHelper("RDTSC", tsc);
  defineHelper("RDTSCP", (cpu) => {
    tsc(cpu);
    cpu.setReg32(1, Number(cpu.msrs.get(0xc0000103) ?? 0n));
  });
  defineHelper("RDPMC", (cpu) => {
    if (!(cpu.cr4 & 0x100) && cpu.cpl !== 0 && cpu.pe) cpu.gp(0);
    // No counters are offered: every index is out of range.
    cpu.gp(0);
  });
  defineHelper("PUSHF", pushf);
  defineHelper("POPF", popf);
  defineHelper("CLI", interruptFlag(false));
  defineHelper("STI", interruptFlag(true));
  defineHelper("ENTER", enter);
  defineHelper("FLUSH", () => {});
  // Above CPL 0 MONITOR and MWAIT do not exist.
  defineHelper("MONITOR", (cpu, i) => {
    if (cpu.cpl !== 0) cpu.ud();
    if (cpu.reg32(1) !== 0) cpu.gp(0);
    // The address is checked as that of a byte that is read.
    const rax = cpu.reg64(0);
    const at = i.addrSize === 64 ? rax : Number(BigInt.asUintN(i.addrSize, rax));
    const seg = i.segOverride < 0 ? Seg.DS : i.segOverride;
    cpu.env.mem.checkRead(cpu.linear(seg, at, 1, false), 1);
  });
  defineHelper("MWAIT", (cpu) => {
    if (cpu.cpl !== 0) cpu.ud();
    if (cpu.reg32(1) & ~1) cpu.gp(0);
    // Stores are not watched, so that it may sleep only where an interrupt is all that can end it;
    // waking for no reason is allowed.
    if (!cpu.env.alone || !(cpu.get32(S.FLAG_SYS) & Fl.IF)) return cpu.env.pause();
    cpu.env.halt();
    cpu.env.eventsChanged();
  });
}
