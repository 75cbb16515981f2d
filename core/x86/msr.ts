/** Model-specific registers. Intel SDM volume 4; names as there. */
import { setEfer } from "./control.ts";
import type { Cpu } from "./cpu.ts";
import { Seg } from "./insn.ts";
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
  IA32_EFER: 0xc0000080,
  IA32_STAR: 0xc0000081,
  IA32_LSTAR: 0xc0000082,
  IA32_CSTAR: 0xc0000083,
  IA32_FMASK: 0xc0000084,
  IA32_FS_BASE: 0xc0000100,
  IA32_GS_BASE: 0xc0000101,
  IA32_KERNEL_GS_BASE: 0xc0000102,
  IA32_TSC_AUX: 0xc0000103,
} as const;

/** Variable-range MTRRs and machine-check banks offered. */
const MTRR_PAIRS = 8, MCE_BANKS = 10;

const FIXED_MTRRS = new Set([
  0x250,
  0x258,
  0x259,
  0x268,
  0x269,
  0x26a,
  0x26b,
  0x26c,
  0x26d,
  0x26e,
  0x26f,
]);

/** Registers that keep what is written: index → value after reset and a check of a new value. */
function plain(cpu: Cpu, index: number): { reset: bigint; ok: (v: bigint) => boolean } | undefined {
  const any = () => true;
  const has = (f: string) => cpu.env.model.has(f);
  switch (index) {
    case Msr.IA32_SYSENTER_CS:
    case Msr.IA32_SYSENTER_ESP:
    case Msr.IA32_SYSENTER_EIP:
      return has("sep") ? { reset: 0n, ok: any } : undefined;
    case Msr.IA32_PAT:
      return has("pat") ? { reset: 0x0007040600070406n, ok: patOk } : undefined;
    case Msr.IA32_MTRR_DEF_TYPE:
      return has("mtrr")
        ? { reset: 0n, ok: (v) => (v & ~0xcffn) === 0n && typeOk(v & 7n) }
        : undefined;
    case Msr.IA32_MISC_ENABLE:
      return { reset: 1n, ok: any };
    case Msr.IA32_FEATURE_CONTROL:
      return has("vmx") ? { reset: 0n, ok: any } : undefined;
    case Msr.IA32_TSC_ADJUST:
      return has("tsc-adjust") ? { reset: 0n, ok: any } : undefined;
    case Msr.IA32_BIOS_SIGN_ID:
      return { reset: 0x100000000n, ok: any };
    case Msr.IA32_MCG_STATUS:
    case Msr.IA32_MCG_CTL:
      return has("mca")
        ? { reset: index === Msr.IA32_MCG_CTL ? ~0n & 0xffffffffffffffffn : 0n, ok: any }
        : undefined;
    case Msr.IA32_STAR:
      return has("syscall") || has("lm") ? { reset: 0n, ok: any } : undefined;
    case Msr.IA32_LSTAR:
    case Msr.IA32_CSTAR:
    case Msr.IA32_KERNEL_GS_BASE:
      return has("lm") ? { reset: 0n, ok: canonical } : undefined;
    case Msr.IA32_FMASK:
      return has("lm") ? { reset: 0n, ok: (v) => v >> 32n === 0n } : undefined;
    case Msr.IA32_TSC_AUX:
      return has("rdtscp") || has("rdpid") ? { reset: 0n, ok: (v) => v >> 32n === 0n } : undefined;
  }
  if (has("mtrr")) {
    if (index >= 0x200 && index < 0x200 + 2 * MTRR_PAIRS) return { reset: 0n, ok: any };
    if (FIXED_MTRRS.has(index)) return { reset: 0n, ok: fixedOk };
  }
  if (has("mca") && index >= 0x400 && index < 0x400 + 4 * MCE_BANKS) {
    return { reset: index % 4 === 0 ? 0xffffffffffffffffn : 0n, ok: any };
  }
  return undefined;
}

const typeOk = (t: bigint): boolean => t === 0n || t === 1n || (t >= 4n && t <= 6n);
const patOk = (v: bigint): boolean => eachByte(v, (b) => typeOk(b) || b === 7n);
const fixedOk = (v: bigint): boolean => eachByte(v, typeOk);
function eachByte(v: bigint, ok: (b: bigint) => boolean): boolean {
  for (let i = 0n; i < 64n; i += 8n) if (!ok((v >> i) & 0xffn)) return false;
  return true;
}
const canonical = (v: bigint): boolean => BigInt.asUintN(64, BigInt.asIntN(48, v)) === v;

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
    case Msr.IA32_MTRRCAP:
      return cpu.env.model.has("mtrr") ? BigInt(MTRR_PAIRS | 0x500) : cpu.gp();
    case Msr.IA32_MCG_CAP:
      return cpu.env.model.has("mca") ? BigInt(MCE_BANKS | 0x100) : cpu.gp();
    case Msr.IA32_PLATFORM_ID:
    case Msr.IA32_P5_MC_ADDR:
    case Msr.IA32_P5_MC_TYPE:
      return 0n;
  }
  if (index >= 0x800 && index < 0x900 && apic) return apic.readMsr(index) ?? cpu.gp();
  const p = plain(cpu, index);
  if (p === undefined) cpu.gp();
  return cpu.msrs.get(index) ?? p.reset;
}

/** Writes an MSR; raises #GP(0) for one this CPU has not and for values it refuses. */
export function writeMsr(cpu: Cpu, index: number, value: bigint): void {
  const apic = cpu.env.apic;
  switch (index) {
    case Msr.IA32_TSC:
      cpu.msrs.set(Msr.IA32_TSC, BigInt.asUintN(64, value - cpu.env.tsc()));
      return;
    case Msr.IA32_TSC_ADJUST:
      if (cpu.env.model.has("tsc-adjust")) {
        const old = cpu.msrs.get(index) ?? 0n, offset = cpu.msrs.get(Msr.IA32_TSC) ?? 0n;
        cpu.msrs.set(Msr.IA32_TSC, BigInt.asUintN(64, offset + value - old));
      }
      break;
    case Msr.IA32_APIC_BASE:
      if (!apic || !apic.setApicBase(value)) cpu.gp();
      return;
    case Msr.IA32_EFER:
      return setEfer(cpu, value);
    case Msr.IA32_FS_BASE:
    case Msr.IA32_GS_BASE:
      if (!cpu.env.model.has("lm") || !canonical(value)) cpu.gp();
      cpu.set64(S.SEGS + S.SEG_SIZE * (index === Msr.IA32_FS_BASE ? Seg.FS : Seg.GS), value);
      return;
    case Msr.IA32_BIOS_UPDT_TRIG:
      return;
    case Msr.IA32_MTRRCAP:
    case Msr.IA32_MCG_CAP:
    case Msr.IA32_PLATFORM_ID:
      return cpu.gp();
  }
  if (index >= 0x800 && index < 0x900 && apic) {
    if (!apic.writeMsr(index, value)) cpu.gp();
    return;
  }
  const p = plain(cpu, index);
  if (p === undefined || !p.ok(value)) cpu.gp();
  cpu.msrs.set(index, value);
}
