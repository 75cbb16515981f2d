/**
 * Which model-specific registers a CPU model has, beside those with an effect of their own (msr.ts).
 * Intel SDM volume 4 and AMD APM volume 2, appendix A, with the BKDGs of families 0Fh to 17h; what a
 * virtual machine answers in place of a platform's wiring is what KVM and QEMU 7.2 answer.
 */
import type { CpuModel } from "../accel.ts";
import type { Cpu } from "./cpu.ts";
import { overrideReset, OVERRIDES } from "./cpuid_override.ts";

/** What decides which registers exist. */
export interface MsrModel {
  readonly amd: boolean;
  readonly intel: boolean;
  /** Family and model with their extensions, as CPUID's users compute them. */
  readonly family: number;
  readonly model: number;
  /** MAXPHYADDR. */
  readonly physBits: number;
  /** Highest basic leaf of CPUID. */
  readonly maxLeaf: number;
  /** CPUID.06H:ECX. */
  readonly power: number;
  has(feature: string): boolean;
}

export interface MsrRow {
  readonly index: number;
  /** Number of registers from `index` up; 1 when absent. */
  readonly count?: number;
  readonly name: string;
  /** The model has it; always when absent. */
  readonly when?: (m: MsrModel) => boolean;
  /** Value after reset; 0 when absent. */
  readonly reset?: bigint | ((m: MsrModel, cpu: Cpu) => bigint);
  /**
   * What a write does: keeps any value (absent), keeps what the predicate accepts and refuses the rest
   * with #GP, is ignored, or always raises #GP.
   */
  readonly write?: ((v: bigint, m: MsrModel, cpu: Cpu) => boolean) | "ignore" | "gp";
  /** Reading raises #GP. */
  readonly writeOnly?: boolean;
}

/** Variable-range MTRRs and machine-check banks offered. */
export const MTRR_PAIRS = 8, MCE_BANKS = 10;

const ALL_ONES = 0xffffffffffffffffn;

const typeOk = (t: bigint): boolean => t === 0n || t === 1n || (t >= 4n && t <= 6n);
const patOk = (v: bigint): boolean => eachByte(v, (b) => typeOk(b) || b === 7n);
const fixedOk = (v: bigint): boolean => eachByte(v, typeOk);
function eachByte(v: bigint, ok: (b: bigint) => boolean): boolean {
  for (let i = 0n; i < 64n; i += 8n) if (!ok((v >> i) & 0xffn)) return false;
  return true;
}
/** Canonical for the widest addresses the processor has, whether CR4.LA57 is set or not. SDM 4, 2.1. */
export const canonical = (v: bigint, m: { has(feature: string): boolean }): boolean =>
  BigInt.asUintN(64, BigInt.asIntN(m.has("la57") ? 57 : 48, v)) === v;
const low32 = (v: bigint): boolean => v >> 32n === 0n;
const only = (mask: bigint) => (v: bigint): boolean => (v & ~mask) === 0n;
const has = (...features: string[]) => (m: MsrModel): boolean => features.some((f) => m.has(f));
const intel = (family: number) => (m: MsrModel): boolean => m.intel && m.family >= family;
/** Intel's numbering of the Core family: Nehalem and later. */
const nehalem = (m: MsrModel): boolean => m.intel && m.family === 6 && m.model >= 0x1a;
const p6 = (m: MsrModel): boolean => m.intel && m.family === 6;
/** Long mode makes any model one of family 0Fh, whatever its number says (`max`). */
const amd = (family: number) => (m: MsrModel): boolean =>
  m.amd && (m.family >= family || (family <= 15 && m.has("lm")));

/** HWCR.McStatusWrEn: machine-check status may be written with any value. */
const HWCR = 0xc0010015, HWCR_MC_STATUS_WR_EN = 1n << 18n;

const general: MsrRow[] = [
  { index: 0x000, count: 2, name: "IA32_P5_MC_ADDR, IA32_P5_MC_TYPE" },
  {
    index: 0x08b,
    name: "IA32_BIOS_SIGN_ID",
    when: (m) => m.intel || m.amd,
    reset: (m) => m.amd ? 0x01000065n : 0x100000000n,
    write: "ignore",
  },
  { index: 0x174, name: "IA32_SYSENTER_CS", when: has("sep") },
  {
    index: 0x175,
    count: 2,
    name: "IA32_SYSENTER_ESP, IA32_SYSENTER_EIP",
    when: has("sep"),
    write: (v, m) => !m.has("lm") || canonical(v, m),
  },
  {
    index: 0x17a,
    name: "IA32_MCG_STATUS",
    when: has("mca"),
    write: only(0xfn),
  },
  { index: 0x17b, name: "IA32_MCG_CTL", when: has("mca"), reset: ALL_ONES },
  { index: 0x1a0, name: "IA32_MISC_ENABLE", reset: 1n },
  {
    index: 0x1d9,
    name: "IA32_DEBUGCTL",
    when: (m) => m.family >= 6,
    write: only(0x7fc3n),
  },
  { index: 0x1db, count: 4, name: "LASTBRANCHFROMIP to LASTINTTOIP", when: (m) => m.family >= 6 },
  {
    index: 0x277,
    name: "IA32_PAT",
    when: has("pat"),
    reset: 0x0007040600070406n,
    write: patOk,
  },
  {
    index: 0x2ff,
    name: "IA32_MTRR_DEF_TYPE",
    when: has("mtrr"),
    write: (v) => (v & ~0xcffn) === 0n && typeOk(v & 0xffn),
  },
  { index: 0x250, name: "IA32_MTRR_FIX64K", when: has("mtrr"), write: fixedOk },
  { index: 0x258, count: 2, name: "IA32_MTRR_FIX16K", when: has("mtrr"), write: fixedOk },
  { index: 0x268, count: 8, name: "IA32_MTRR_FIX4K", when: has("mtrr"), write: fixedOk },
  { index: 0xc0000081, name: "IA32_STAR", when: has("syscall", "lm") },
  {
    index: 0xc0000082,
    count: 2,
    name: "IA32_LSTAR, IA32_CSTAR",
    when: has("lm"),
    write: canonical,
  },
  { index: 0xc0000084, name: "IA32_FMASK", when: has("lm"), write: low32 },
  { index: 0xc0000102, name: "IA32_KERNEL_GS_BASE", when: has("lm"), write: canonical },
  { index: 0xc0000103, name: "IA32_TSC_AUX", when: has("rdtscp", "rdpid"), write: low32 },
  { index: 0x0d90, name: "IA32_BNDCFGS", when: has("mpx"), write: canonical },
  { index: 0x0da0, name: "IA32_XSS", when: has("xsaves"), write: (v) => v === 0n },
  { index: 0x03b, name: "IA32_TSC_ADJUST", when: has("tsc-adjust") },
  {
    index: 0x048,
    name: "IA32_SPEC_CTRL",
    when: has("spec-ctrl", "stibp", "ssbd", "amd-ssbd", "ibrs", "amd-stibp"),
    write: only(7n),
  },
  {
    index: 0x049,
    name: "IA32_PRED_CMD",
    when: has("spec-ctrl", "ibpb"),
    writeOnly: true,
    write: only(1n),
  },
  {
    index: 0x10a,
    name: "IA32_ARCH_CAPABILITIES",
    when: has("arch-capabilities"),
    write: "gp",
  },
  {
    index: 0x10b,
    name: "IA32_FLUSH_CMD",
    when: has("flush-l1d"),
    writeOnly: true,
    write: only(1n),
  },
];

// Variable-range MTRRs alternate base and mask.
for (let i = 0; i < MTRR_PAIRS; i++) {
  general.push({
    index: 0x200 + 2 * i,
    name: `IA32_MTRR_PHYSBASE${i}`,
    when: has("mtrr"),
    write: (v, m) => typeOk(v & 0xffn) && (v & 0xf00n) === 0n && v >> BigInt(m.physBits) === 0n,
  }, {
    index: 0x201 + 2 * i,
    name: `IA32_MTRR_PHYSMASK${i}`,
    when: has("mtrr"),
    write: (v, m) => (v & 0x7ffn) === 0n && v >> BigInt(m.physBits) === 0n,
  });
}
// Machine-check banks: control, status, address, miscellaneous.
for (let i = 0; i < MCE_BANKS; i++) {
  const zero = (v: bigint) => v === 0n;
  general.push(
    { index: 0x400 + 4 * i, name: `IA32_MC${i}_CTL`, when: has("mca"), reset: ALL_ONES },
    {
      index: 0x401 + 4 * i,
      name: `IA32_MC${i}_STATUS`,
      when: has("mca"),
      write: (v, m, cpu) =>
        v === 0n || (m.amd && ((cpu.msrs.get(HWCR) ?? 0n) & HWCR_MC_STATUS_WR_EN) !== 0n),
    },
    { index: 0x402 + 4 * i, name: `IA32_MC${i}_ADDR`, when: has("mca"), write: zero },
    { index: 0x403 + 4 * i, name: `IA32_MC${i}_MISC`, when: has("mca"), write: zero },
  );
}

const FEATURE_CONTROL_LOCK = 1n;

const intelRows: readonly MsrRow[] = [
  // Family 5.
  { index: 0x00e, name: "TR12", when: (m) => m.intel && m.family === 5 },
  { index: 0x011, count: 3, name: "CESR, CTR0, CTR1", when: (m) => m.intel && m.family === 5 },
  // Family 6 and later.
  { index: 0x017, name: "IA32_PLATFORM_ID", write: "gp" },
  { index: 0x02a, name: "EBL_CR_POWERON", when: intel(6) },
  {
    index: 0x02c,
    name: "EBC_FREQUENCY_ID",
    when: (m) => m.intel && m.family === 15,
    reset: 1n << 24n,
    write: "gp",
  },
  { index: 0x034, name: "SMI_COUNT", when: nehalem, write: "gp" },
  {
    index: 0x03a,
    name: "IA32_FEATURE_CONTROL",
    when: has("vmx", "smx"),
    write: (_v, _m, cpu) => ((cpu.msrs.get(0x3a) ?? 0n) & FEATURE_CONTROL_LOCK) === 0n,
  },
  { index: 0x040, count: 8, name: "LASTBRANCH_n_FROM_IP", when: p6 },
  { index: 0x060, count: 8, name: "LASTBRANCH_n_TO_IP", when: p6 },
  // Performance counters that do not count: CPUID reports no architectural ones.
  { index: 0x0c1, count: 2, name: "PERFCTR0, PERFCTR1", when: p6, write: "ignore" },
  { index: 0x186, count: 2, name: "PERFEVTSEL0, PERFEVTSEL1", when: p6, write: "ignore" },
  { index: 0x0cd, name: "FSB_FREQ", when: p6, reset: 3n, write: "gp" },
  { index: 0x0ce, name: "PLATFORM_INFO", when: nehalem, write: "gp" },
  { index: 0x0cf, name: "IA32_CORE_CAPABILITIES", when: has("core-capability"), write: "gp" },
  { index: 0x0e1, name: "IA32_UMWAIT_CONTROL", when: has("waitpkg"), write: low32 },
  { index: 0x0e2, name: "PKG_CST_CONFIG_CONTROL", when: nehalem, write: only(0x1effffffn) },
  { index: 0x0e7, count: 2, name: "IA32_MPERF, IA32_APERF", when: (m) => (m.power & 1) !== 0 },
  { index: 0x119, name: "BBL_CR_CTL", when: p6 },
  { index: 0x11e, name: "BBL_CR_CTL3", when: p6, reset: 0xbe702111n },
  // CPUID faulting is not offered by PLATFORM_INFO, so that only 0 can be written.
  { index: 0x140, name: "MISC_FEATURES_ENABLES", when: nehalem, write: (v) => v === 0n },
  { index: 0x198, name: "IA32_PERF_STATUS", when: p6, reset: (4n << 40n) | 1000n, write: "gp" },
  { index: 0x199, name: "IA32_PERF_CTL", when: p6 },
  { index: 0x19a, name: "IA32_CLOCK_MODULATION", when: has("acpi"), write: only(0x1fn) },
  { index: 0x19b, name: "IA32_THERM_INTERRUPT", when: has("acpi"), write: only(0x1ffffffn) },
  { index: 0x19c, name: "IA32_THERM_STATUS", when: has("acpi"), write: "ignore" },
  { index: 0x19d, name: "THERM2_CTL", when: p6 },
  { index: 0x1a2, name: "TEMPERATURE_TARGET", when: nehalem, reset: 100n << 16n },
  { index: 0x1a4, name: "MISC_FEATURE_CONTROL", when: nehalem, write: only(0xfn) },
  { index: 0x1a6, count: 2, name: "OFFCORE_RSP_0, OFFCORE_RSP_1", when: nehalem },
  { index: 0x1aa, name: "MISC_PWR_MGMT", when: nehalem },
  { index: 0x1ad, name: "TURBO_RATIO_LIMIT", when: nehalem, write: "gp" },
  {
    index: 0x1b0,
    name: "IA32_ENERGY_PERF_BIAS",
    when: (m) => (m.power & 8) !== 0,
    write: only(0xfn),
  },
  { index: 0x1c8, count: 2, name: "LBR_SELECT, LASTBRANCH_TOS", when: p6 },
  { index: 0x1e0, name: "ROB_CR_BKUPTMPDR6", when: p6 },
  { index: 0x1fc, name: "POWER_CTL", when: nehalem },
  { index: 0x345, name: "IA32_PERF_CAPABILITIES", when: has("pdcm"), write: "gp" },
  { index: 0x600, name: "IA32_DS_AREA", when: has("ds"), write: canonical },
  { index: 0x680, count: 16, name: "LASTBRANCH_n_FROM_IP", when: nehalem },
  { index: 0x6c0, count: 16, name: "LASTBRANCH_n_TO_IP", when: nehalem },
];

const amdRows: readonly MsrRow[] = [
  // Family 5 (K6).
  { index: 0xc0000082, name: "WHCR", when: (m) => m.amd && m.family === 5 },
  { index: 0xc0000085, name: "UWCCR", when: (m) => m.amd && m.family === 5 },
  {
    index: 0xc00000e7,
    count: 2,
    name: "MPERF_RO, APERF_RO",
    when: (m) => m.amd && (m.power & 1) !== 0,
    write: "gp",
  },
  // Family 6 (K7) and later. The performance counters do not count.
  { index: 0xc0010000, count: 8, name: "PERF_CTLn, PERF_CTRn", when: amd(6), write: "ignore" },
  { index: 0xc0010010, name: "SYSCFG", when: amd(6), write: low32 },
  {
    index: HWCR,
    name: "HWCR",
    when: amd(6),
    // TscFreqSel: the time-stamp counter runs at the P0 frequency.
    reset: (m) => m.family >= 0x10 && m.has("invtsc") ? 1n << 24n : 0n,
  },
  { index: 0xc0010016, count: 4, name: "IORR_BASEn, IORR_MASKn", when: amd(6) },
  { index: 0xc001001a, name: "TOP_MEM", when: amd(6) },
  {
    index: 0xc001001b,
    name: "CLK_CTL",
    when: (m) => m.amd && m.family === 6,
    reset: 0x20000000n,
  },
  { index: 0xc001001d, name: "TOP_MEM2", when: amd(6) },
  { index: 0xc001001e, name: "MANID", when: amd(15), write: "gp" },
  { index: 0xc001001f, name: "NB_CFG", when: amd(15) },
  { index: 0xc0010020, name: "PATCH_LOADER", when: amd(6), writeOnly: true, write: "ignore" },
  { index: 0xc0010022, name: "MC_EXCP_REDIR", when: amd(15) },
  { index: 0xc0010041, count: 2, name: "FIDVID_CTL, COFVID_STATUS", when: amd(6), write: "ignore" },
  { index: 0xc0010044, count: 8, name: "MCn_CTL_MASK", when: amd(15) },
  { index: 0xc0010050, count: 5, name: "SMI_ON_IO_TRAP_n, _CTL_STS", when: amd(15) },
  { index: 0xc0010055, name: "INT_PENDING", when: amd(15) },
  { index: 0xc0010056, name: "SMI_TRIGGER_IO_CYCLE", when: amd(15) },
  {
    index: 0xc0010058,
    name: "MMIO_CONF_BASE",
    when: amd(0x10),
    // The board has no configuration space there that could be moved or switched on.
    write: (v) => v === 0n,
  },
  { index: 0xc0010061, name: "PSTATE_CUR_LIMIT", when: amd(0x10), write: "gp" },
  { index: 0xc0010062, name: "PSTATE_CTL", when: amd(0x10), write: only(7n) },
  { index: 0xc0010063, name: "PSTATE_STATUS", when: amd(0x10), write: "gp" },
  { index: 0xc0010064, count: 8, name: "PSTATE_n", when: amd(0x10) },
  { index: 0xc0010071, name: "COFVID_STATUS", when: amd(0x10), write: "gp" },
  { index: 0xc0010112, count: 2, name: "SMM_ADDR, SMM_MASK", when: amd(15) },
  { index: 0xc0010114, name: "VM_CR", when: (m) => m.amd && m.has("svm"), write: only(0x1fn) },
  { index: 0xc0010115, name: "IGNNE", when: amd(15), write: only(1n) },
  {
    index: 0xc0010117,
    name: "VM_HSAVE_PA",
    when: (m) => m.amd && m.has("svm"),
    write: (v, m) => (v & 0xfffn) === 0n && v >> BigInt(m.physBits) === 0n,
  },
  { index: 0xc001011f, name: "VIRT_SPEC_CTRL", when: has("virt-ssbd"), write: only(4n) },
  { index: 0xc0010140, count: 2, name: "OSVW_ID_LENGTH, OSVW_STATUS", when: has("osvw") },
  {
    index: 0xc0010200,
    count: 12,
    name: "PERF_CTLn, PERF_CTRn",
    when: has("perfctr-core"),
    write: "ignore",
  },
  { index: 0xc0010230, count: 12, name: "L2I", when: has("perfctr-l2"), write: "ignore" },
  { index: 0xc0010240, count: 8, name: "NB_PERF", when: has("perfctr-nb"), write: "ignore" },
  { index: 0xc001100c, name: "NODE_ID", when: has("nodeid-msr") },
  { index: 0xc0011019, count: 3, name: "DR1_ADDR_MASK to DR3_ADDR_MASK", when: has("dbext") },
  { index: 0xc0011027, name: "DR0_ADDR_MASK", when: has("dbext") },
  { index: 0xc0011020, count: 4, name: "LS_CFG, IC_CFG, DC_CFG, BU_CFG", when: amd(15) },
  { index: 0xc0011028, count: 6, name: "FP_CFG, DE_CFG, BU_CFG2 … LS_CFG2", when: amd(15) },
];

const cpuidRows = OVERRIDES.map((o): MsrRow => ({
  index: o.index,
  name: o.name,
  when: o.when,
  reset: (_m, cpu) => overrideReset(o, cpu),
}));

const byIndex = new Map<number, MsrRow[]>();
for (const row of [...general, ...intelRows, ...amdRows, ...cpuidRows]) {
  for (let i = 0; i < (row.count ?? 1); i++) {
    const rows = byIndex.get(row.index + i);
    if (rows) rows.push(row);
    else byIndex.set(row.index + i, [row]);
  }
}

const known = new WeakMap<CpuModel, MsrModel>();

/** The facts about a model that its registers depend on. */
export function msrModel(model: CpuModel): MsrModel {
  let m = known.get(model);
  if (m === undefined) known.set(model, m = readModel(model));
  return m;
}

function readModel(model: CpuModel): MsrModel {
  const env = {
    apicId: 0,
    cores: 1,
    threads: 1,
    sockets: 1,
    osxsave: false,
    apicEnabled: true,
  };
  const vendor = model.cpuid(0, 0, env), signature = model.cpuid(1, 0, env).eax;
  const base = (signature >> 8) & 15;
  const family = base === 15 ? 15 + ((signature >> 20) & 0xff) : base;
  const extended = base === 15 || (base === 6 && vendor.ebx === 0x756e6547);
  const wide = model.cpuid(0x80000000, 0, env).eax >>> 0 >= 0x80000008;
  return {
    intel: vendor.ebx === 0x756e6547, // "Genu"
    amd: vendor.ebx === 0x68747541 || vendor.ebx === 0x6f677948, // "Auth", "Hygo"
    family,
    model: ((signature >> 4) & 15) | (extended ? ((signature >> 16) & 15) << 4 : 0),
    physBits: wide ? model.cpuid(0x80000008, 0, env).eax & 0xff : 36,
    maxLeaf: vendor.eax,
    power: vendor.eax >= 6 ? model.cpuid(6, 0, env).ecx : 0,
    has: (f) => model.has(f),
  };
}

/** The register at `index`, if `m` has it. */
export function findMsr(m: MsrModel, index: number): MsrRow | undefined {
  const rows = byIndex.get(index);
  return rows?.find((r) => r.when === undefined || r.when(m));
}
