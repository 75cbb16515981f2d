/**
 * Registers with which a hypervisor hides features from its paravirtual guests: CPUID reports what they
 * say, what the processor can do does not change.
 *
 * AMD's override a leaf: BKDG for family 10h (31116), MSRC001_1004 and 1005; BKDG for family 15h (42301),
 * 1002 and 1003. Intel's mask it: "Virtualization Technology FlexMigration" (323850), for the models
 * from Nehalem to Sandy Bridge.
 */
import type { Cpu } from "./cpu.ts";
import type { CpuidResult } from "./cpuid/model.ts";
import type { MsrModel } from "./msr_table.ts";

/** A register: its bits 63:32 and 31:0 stand for one output register of a leaf each. */
interface Override {
  readonly index: number;
  readonly name: string;
  readonly leaf: number;
  readonly high: keyof CpuidResult | undefined;
  readonly low: keyof CpuidResult;
  /** Bits are only cleared; otherwise they are replaced. */
  readonly mask: boolean;
  readonly when: (m: MsrModel) => boolean;
}

const k8 = (m: MsrModel) => m.amd && m.has("lm");
const amd = (
  index: number,
  name: string,
  leaf: number,
  high: Override["high"],
  low: Override["low"],
  when: Override["when"] = () => true,
): Override => ({
  ...{ index, name, leaf, high, low, mask: false },
  when: (m) => k8(m) && when(m),
});

const core = (...models: number[]) => (m: MsrModel) =>
  m.intel && m.family === 6 && models.includes(m.model);
const nehalem = core(0x1a, 0x1e, 0x1f, 0x25, 0x2c, 0x2e, 0x2f), sandyBridge = core(0x2a, 0x2d);
const intel = (index: number, leaf: number, when: Override["when"]): Override => ({
  ...{ index, name: "CPUID_MASK", leaf, mask: true, when },
  ...(leaf === 0xd ? { high: undefined, low: "eax" } : { high: "edx", low: "ecx" }),
});

export const OVERRIDES: readonly Override[] = [
  amd(0xc0011002, "CPUID_7_FEATURES", 7, "eax", "ebx", (m) => m.maxLeaf >= 7),
  amd(0xc0011003, "CPUID_PWR_THERM", 6, undefined, "ecx", (m) => m.power !== 0),
  amd(0xc0011004, "CPUID_FEATURES", 1, "ecx", "edx"),
  amd(0xc0011005, "CPUID_EXT_FEATURES", 0x80000001, "ecx", "edx"),
  intel(0x130, 1, nehalem),
  intel(0x131, 0x80000001, nehalem),
  intel(0x132, 1, sandyBridge),
  intel(0x133, 0x80000001, sandyBridge),
  intel(0x134, 0xd, sandyBridge),
];

/** OSXSAVE and APIC follow the processor's state; a register can only hide them. */
const OSXSAVE = 1 << 27, APIC = 1 << 9, XSAVE = 1 << 26;

/** What a register holds after reset: all ones, or what its leaf reports with all its state on. */
export function overrideReset(o: Override, cpu: Cpu): bigint {
  if (o.mask) return 0xffffffffffffffffn;
  const r = cpu.env.cpuid(o.leaf, 0);
  let high = o.high === undefined ? 0 : r[o.high], low = r[o.low];
  if (o.leaf === 1 && high & XSAVE) high |= OSXSAVE;
  if (o.leaf === 1 || o.leaf === 0x80000001) low |= APIC;
  return BigInt(high >>> 0) << 32n | BigInt(low >>> 0);
}

/** A leaf's answer `r` as the registers written so far have it. */
export function overridden(cpu: Cpu, leaf: number, subleaf: number, r: CpuidResult): CpuidResult {
  if (leaf === 7 && subleaf !== 0 || leaf === 0xd && subleaf !== 1) return r;
  for (const o of OVERRIDES) {
    // Only what the model has can have been written.
    const v = o.leaf === leaf >>> 0 ? cpu.msrs.get(o.index) : undefined;
    if (v === undefined) continue;
    const low = Number(v & 0xffffffffn) | 0, high = Number(v >> 32n) | 0;
    const answer = { ...r };
    answer[o.low] = o.mask ? r[o.low] & low : low;
    if (o.high !== undefined) answer[o.high] = o.mask ? r[o.high] & high : high;
    if (leaf === 1) answer.ecx &= r.ecx | ~OSXSAVE;
    if (leaf === 1 || leaf >>> 0 === 0x80000001) answer.edx &= r.edx | ~APIC;
    return answer;
  }
  return r;
}
