/** Model-specific registers. Intel SDM volume 4; names as there. */
import { setEfer } from "./control.ts";
import type { Cpu } from "./cpu.ts";
import { log, LogItem, logMask } from "../log.ts";
import { Seg } from "./insn.ts";
import { canonical, findMsr, MCE_BANKS, msrModel, MTRR_PAIRS } from "./msr_table.ts";
import * as S from "./state.ts";

export const Msr = {
  IA32_P5_MC_ADDR: 0,
  IA32_P5_MC_TYPE: 1,
  IA32_TSC: 0x10,
  IA32_PLATFORM_ID: 0x17,
  IA32_APIC_BASE: 0x1b,
  IA32_FEATURE_CONTROL: 0x3a,
  IA32_TSC_ADJUST: 0x3b,
  IA32_BIOS_UPDT_TRIG: 0x79,
  IA32_BIOS_SIGN_ID: 0x8b,
  IA32_MTRRCAP: 0xfe,
  IA32_SYSENTER_CS: 0x174,
  IA32_SYSENTER_ESP: 0x175,
  IA32_SYSENTER_EIP: 0x176,
  IA32_MCG_CAP: 0x179,
  IA32_MCG_STATUS: 0x17a,
  IA32_MCG_CTL: 0x17b,
  IA32_MISC_ENABLE: 0x1a0,
  IA32_MTRR_PHYSBASE0: 0x200,
  IA32_MTRR_FIX64K_00000: 0x250,
  IA32_MTRR_FIX4K_F8000: 0x26f,
  IA32_PAT: 0x277,
  IA32_MTRR_DEF_TYPE: 0x2ff,
  IA32_MC0_CTL: 0x400,
  IA32_TSC_DEADLINE: 0x6e0,
  IA32_EFER: 0xc0000080,
  IA32_STAR: 0xc0000081,
  IA32_LSTAR: 0xc0000082,
  IA32_CSTAR: 0xc0000083,
  IA32_FMASK: 0xc0000084,
  IA32_FS_BASE: 0xc0000100,
  IA32_GS_BASE: 0xc0000101,
  IA32_KERNEL_GS_BASE: 0xc0000102,
  IA32_TSC_AUX: 0xc0000103,
  SMM_BASE: 0xc0010111,
} as const;

const MCG_CTL_P = 1 << 8, MCG_SER_P = 1 << 24;
const HWCR = 0xc0010015, HWCR_SMM_LOCK = 1n;

/** AMD's family 0Fh and later show SMBASE in a register. */
function hasSmmBase(cpu: Cpu): boolean {
  const m = msrModel(cpu.env.model);
  return m.amd && m.family >= 15;
}

/** The local APIC's registers: x2APIC mode and IA32_TSC_DEADLINE. SDM volume 3, 10.12 and 10.5.4.1. */
function ofApic(cpu: Cpu, index: number): boolean {
  if (index === Msr.IA32_TSC_DEADLINE) return cpu.env.model.has("tsc-deadline");
  return index >= 0x800 && index < 0x900 && cpu.env.model.has("x2apic");
}

function refused(cpu: Cpu, what: string, index: number): never {
  if (logMask & LogItem.guest_errors) {
    log("guest_errors", `${what}: MSR 0x${index.toString(16)} at 0x${cpu.rip.toString(16)}: #GP`);
  }
  return cpu.gp();
}

/** Reads an MSR; raises #GP(0) for one this CPU has not. */
export function readMsr(cpu: Cpu, index: number): bigint {
  const apic = cpu.env.apic;
  switch (index) {
    case Msr.IA32_TSC:
      return BigInt.asUintN(64, cpu.env.tsc() + (cpu.msrs.get(Msr.IA32_TSC) ?? 0n));
    case Msr.IA32_APIC_BASE:
      return apic ? apic.apicBase : cpu.gp();
    case Msr.IA32_EFER:
      return cpu.env.model.has("nx") || cpu.env.model.has("lm") || cpu.env.model.has("syscall")
        ? cpu.get64(S.EFER)
        : cpu.gp();
    case Msr.IA32_FS_BASE:
      return cpu.env.model.has("lm") ? cpu.segBase(Seg.FS) : cpu.gp();
    case Msr.IA32_GS_BASE:
      return cpu.env.model.has("lm") ? cpu.segBase(Seg.GS) : cpu.gp();
    case Msr.SMM_BASE:
      if (hasSmmBase(cpu)) return BigInt(cpu.smbase >>> 0);
      break;
    case Msr.IA32_MTRRCAP:
      return cpu.env.model.has("mtrr") ? BigInt(MTRR_PAIRS | 0x500) : cpu.gp();
    case Msr.IA32_MCG_CAP:
      return cpu.env.model.has("mca") ? BigInt(MCE_BANKS | MCG_CTL_P | MCG_SER_P) : cpu.gp();
  }
  if (apic && ofApic(cpu, index)) return apic.readMsr(index) ?? refused(cpu, "RDMSR", index);
  if (cpu.env.paravirt?.has(index)) return cpu.env.paravirt.read(index);
  const m = msrModel(cpu.env.model), row = findMsr(m, index);
  if (row === undefined || row.writeOnly) refused(cpu, "RDMSR", index);
  const { reset = 0n } = row;
  return cpu.msrs.get(index) ?? (typeof reset === "bigint" ? reset : reset(m, cpu));
}

/** Writes an MSR; raises #GP(0) for one this CPU has not and for values it refuses. */
export function writeMsr(cpu: Cpu, index: number, value: bigint): void {
  const apic = cpu.env.apic;
  switch (index) {
    case Msr.IA32_TSC: {
      const offset = value - cpu.env.tsc(), old = cpu.msrs.get(Msr.IA32_TSC) ?? 0n;
      cpu.msrs.set(Msr.IA32_TSC, BigInt.asUintN(64, offset));
      // A write moves TSC_ADJUST by as much. SDM volume 3, 18.17.3.
      const adjust = cpu.msrs.get(Msr.IA32_TSC_ADJUST) ?? 0n;
      cpu.msrs.set(Msr.IA32_TSC_ADJUST, BigInt.asUintN(64, adjust + offset - old));
      cpu.env.tscChanged?.();
      return;
    }
    case Msr.IA32_TSC_ADJUST:
      if (cpu.env.model.has("tsc-adjust")) {
        const old = cpu.msrs.get(index) ?? 0n, offset = cpu.msrs.get(Msr.IA32_TSC) ?? 0n;
        cpu.msrs.set(Msr.IA32_TSC, BigInt.asUintN(64, offset + value - old));
        cpu.env.tscChanged?.();
      }
      break;
    case Msr.IA32_APIC_BASE:
      if (!apic || !apic.setApicBase(value)) cpu.gp();
      return;
    case Msr.IA32_EFER:
      return setEfer(cpu, value);
    case Msr.IA32_FS_BASE:
    case Msr.IA32_GS_BASE:
      if (!cpu.env.model.has("lm") || !canonical(value, cpu.env.model)) cpu.gp();
      cpu.set64(S.SEGS + S.SEG_SIZE * (index === Msr.IA32_FS_BASE ? Seg.FS : Seg.GS), value);
      return;
    case Msr.SMM_BASE:
      if (!hasSmmBase(cpu) || value >> 32n || ((cpu.msrs.get(HWCR) ?? 0n) & HWCR_SMM_LOCK)) break;
      cpu.smbase = Number(value);
      return;
    case Msr.IA32_BIOS_UPDT_TRIG:
      return;
    case Msr.IA32_MTRRCAP:
    case Msr.IA32_MCG_CAP:
      return refused(cpu, "WRMSR", index);
  }
  if (apic && ofApic(cpu, index)) {
    if (!apic.writeMsr(index, value)) refused(cpu, "WRMSR", index);
    return;
  }
  if (cpu.env.paravirt?.has(index)) {
    if (!cpu.env.paravirt.write(index, value)) refused(cpu, "WRMSR", index);
    return;
  }
  const m = msrModel(cpu.env.model), row = findMsr(m, index);
  if (row === undefined || row.write === "gp") refused(cpu, "WRMSR", index);
  if (row.write === "ignore") return;
  if (row.write !== undefined && !row.write(value, m, cpu)) refused(cpu, "WRMSR", index);
  if (!row.writeOnly) cpu.msrs.set(index, value);
}
