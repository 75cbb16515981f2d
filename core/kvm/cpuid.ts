/** CPUID tables for KVM_SET_CPUID2, from a CPU model or from what the host's KVM supports. */
import type { CpuidEnv, CpuModel } from "../accel.ts";
import { allFeatures, featurePlace } from "../x86/cpuid/features.ts";
import { wordPlace } from "./features.ts";

export interface CpuidEntry {
  leaf: number;
  subleaf: number;
  /** KVM_CPUID_FLAG_SIGNIFCANT_INDEX: the sub-leaf matters. */
  indexed: boolean;
  eax: number;
  ebx: number;
  ecx: number;
  edx: number;
}

export const NO_ENTRY: CpuidEntry = {
  leaf: 0,
  subleaf: 0,
  indexed: false,
  eax: 0,
  ebx: 0,
  ecx: 0,
  edx: 0,
};

type Reg = "eax" | "ebx" | "ecx" | "edx";

const HEADER = 8, ENTRY = 40;
const FEATURE_X2APIC = 1 << 21, FEATURE_TSC_DEADLINE = 1 << 24, FEATURE_HYPERVISOR = 1 << 31;
const FEATURE_HTT = 1 << 28;
const PV_UNHALT = 1 << 7, ASYNC_PF = 1 << 4, ASYNC_PF_INT = 1 << 14, PV_IPI = 1 << 11;
/** Port 80h needs no delay: the one paravirtual feature that is not kept up by KVM itself. */
const NOP_IO_DELAY = 1 << 1;
/** "KVMKVMKVM\0\0\0" in EBX, ECX, EDX. */
const KVM_SIGNATURE = [0x4b4d564b, 0x564b4d56, 0x4d];

/** Registers that hold feature bits: a model's are cut to what KVM supports. */
const featureWords: readonly (readonly [number, number, Reg])[] = [
  [1, 0, "ecx"],
  [1, 0, "edx"],
  [6, 0, "eax"],
  [7, 0, "ebx"],
  [7, 0, "ecx"],
  [7, 0, "edx"],
  [7, 1, "eax"],
  [7, 1, "edx"],
  [0xd, 0, "eax"],
  [0xd, 0, "edx"],
  [0xd, 1, "eax"],
  [0x80000001, 0, "ecx"],
  [0x80000001, 0, "edx"],
  [0x80000007, 0, "edx"],
  [0x80000008, 0, "ebx"],
  [0x8000000a, 0, "edx"],
];

/** Feature bits that are the machine's, not the processor's: KVM need not list them. */
const ownBits: Record<string, number> = { "1.ecx": FEATURE_HYPERVISOR, "1.edx": FEATURE_HTT };

export function parseCpuid2(bytes: Uint8Array<ArrayBuffer>): CpuidEntry[] {
  const v = new DataView(bytes.buffer, bytes.byteOffset), out: CpuidEntry[] = [];
  const count = v.getUint32(0, true);
  for (let i = 0; i < count; i++) {
    const at = HEADER + ENTRY * i, u = (o: number) => v.getUint32(at + o, true);
    out.push({
      leaf: u(0),
      subleaf: u(4),
      indexed: (u(8) & 1) !== 0,
      eax: u(12),
      ebx: u(16),
      ecx: u(20),
      edx: u(24),
    });
  }
  return out;
}

export function encodeCpuid2(entries: readonly CpuidEntry[]): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(HEADER + ENTRY * entries.length), v = new DataView(bytes.buffer);
  v.setUint32(0, entries.length, true);
  entries.forEach((e, i) => {
    const words = [e.leaf, e.subleaf, e.indexed ? 1 : 0, e.eax, e.ebx, e.ecx, e.edx];
    words.forEach((w, j) => v.setUint32(HEADER + ENTRY * i + 4 * j, w, true));
  });
  return bytes;
}

/** A model that stands for `-cpu host` where nobody asks for features by name. */
export const hostModel: CpuModel = {
  name: "host",
  cpuid: () => ({ eax: 0, ebx: 0, ecx: 0, edx: 0 }),
  has: () => true,
};

/** Features in an entry that `-cpu host,-feature` has taken away. */
function* takenAway(model: CpuModel, e: CpuidEntry): Generator<[number, Reg]> {
  for (const name of allFeatures()) {
    const { word, bit } = featurePlace(name), at = wordPlace(word);
    if (at?.leaf === e.leaf && at.subleaf === e.subleaf && !model.has(name)) yield [bit, at.reg];
  }
}

/** What KVM lists, completed with this machine's topology. */
function hostEntries(
  model: CpuModel,
  supported: readonly CpuidEntry[],
  env: CpuidEnv,
): CpuidEntry[] {
  const logical = env.cores * env.threads, out: CpuidEntry[] = [];
  for (const e of supported) {
    if (e.leaf === 0xb || e.leaf === 0x1f || e.leaf === 4 && e.subleaf > 3) continue;
    const c = { ...e };
    for (const [bit, reg] of takenAway(model, e)) c[reg] = (c[reg] & ~(1 << bit)) >>> 0;
    if (e.leaf === 1) {
      c.ebx = ((env.apicId << 24) | (logical << 16) | (8 << 8)) >>> 0;
      if (model.has("hypervisor")) c.ecx = (c.ecx | FEATURE_HYPERVISOR) >>> 0;
      if (logical > 1) c.edx = (c.edx | FEATURE_HTT) >>> 0;
    } else if (e.leaf === 4 && (e.eax & 0x1f) !== 0) {
      const shared = e.subleaf === 3 ? logical : env.threads;
      c.eax = ((e.eax & 0x3fff) | ((shared - 1) << 14) | ((env.cores - 1) << 26)) >>> 0;
    }
    out.push(c);
  }
  out.push({ leaf: 4, subleaf: 4, indexed: true, eax: 0, ebx: 0, ecx: 0, edx: 0 });
  const bits = (n: number) => Math.ceil(Math.log2(n));
  const level = (subleaf: number, eax: number, ebx: number, type: number): CpuidEntry => ({
    leaf: 0xb,
    subleaf,
    indexed: true,
    eax,
    ebx,
    ecx: (type << 8) | subleaf,
    edx: env.apicId,
  });
  const smt = bits(env.threads);
  out.push(
    level(0, smt, env.threads, 1),
    level(1, smt + bits(env.cores) + bits(env.dies ?? 1), logical, 2),
    level(2, 0, 0, 0),
  );
  return out;
}

/** Every leaf and sub-leaf that a model answers, cut to what KVM supports. */
function modelEntries(
  model: CpuModel,
  supported: readonly CpuidEntry[],
  env: CpuidEnv,
): CpuidEntry[] {
  const out: CpuidEntry[] = [];
  const put = (leaf: number, subleaf: number, indexed: boolean): CpuidEntry => {
    const e = { leaf, subleaf, indexed, ...model.cpuid(leaf, subleaf, env) };
    out.push(e);
    return e;
  };
  const range = (first: number) => {
    const max = Math.min(model.cpuid(first, 0, env).eax >>> 0, first + 0x3f);
    for (let leaf = first; leaf <= max; leaf++) {
      if (leaf === 4) {
        for (let i = 0; i < 16 && (put(4, i, true).eax & 0x1f) !== 0; i++);
      } else if (leaf === 7) {
        const last = Math.min(put(7, 0, true).eax, 15);
        for (let i = 1; i <= last; i++) put(7, i, true);
      } else if (leaf === 0xb || leaf === 0x1f) {
        for (let i = 0; i < 8 && (put(leaf, i, true).ecx & 0xff00) !== 0; i++);
      } else if (leaf === 0xd) {
        put(leaf, 0, true);
        put(leaf, 1, true);
        for (let i = 2; i < 64; i++) {
          if ((model.cpuid(leaf, i, env).eax >>> 0) !== 0) put(leaf, i, true);
        }
      } else if (leaf === 0xf || leaf === 0x10 || leaf === 0x12 || leaf === 0x14) {
        put(leaf, 0, true);
        put(leaf, 1, true);
      } else put(leaf, 0, false);
    }
  };
  range(0);
  range(0x80000000);
  for (const [leaf, subleaf, reg] of featureWords) {
    const mine = out.find((e) => e.leaf === leaf && e.subleaf === subleaf);
    if (mine === undefined) continue;
    const theirs = supported.find((e) => e.leaf === leaf && e.subleaf === subleaf);
    const own = ownBits[`${leaf}.${reg}`] ?? 0;
    mine[reg] = (mine[reg] & ((theirs?.[reg] ?? 0) | own)) >>> 0;
  }
  if (out.some((e) => e.leaf === 1 && e.ecx & FEATURE_HYPERVISOR)) {
    out.push(...supported.filter((e) => e.leaf >= 0x40000000 && e.leaf < 0x40000100));
  }
  return out;
}

/**
 * The CPUID table of one vCPU.
 * @param lapicInKernel false takes away what only KVM's own LAPIC can serve
 * @param portable takes away what KVM keeps up in guest memory (kvmclock, steal time, PV EOI), since
 * the machine may have to go on without KVM
 */
export function buildCpuid(
  model: CpuModel,
  supported: readonly CpuidEntry[],
  env: CpuidEnv,
  lapicInKernel: boolean,
  portable = false,
): CpuidEntry[] {
  const entries = model.name === "host" || model.name === "max"
    ? hostEntries(model, supported, env)
    : modelEntries(model, supported, env);
  for (const e of entries) {
    if (e.leaf === 0x40000000) {
      [e.ebx, e.ecx, e.edx] = KVM_SIGNATURE;
      e.eax = 0x40000001;
    } else if (portable && e.leaf === 0x40000001) {
      e.eax &= NOP_IO_DELAY;
      e.edx = 0;
    } else if (!lapicInKernel && e.leaf === 0x40000001) {
      e.eax = (e.eax & ~(PV_UNHALT | ASYNC_PF | ASYNC_PF_INT | PV_IPI)) >>> 0;
    } else if (!lapicInKernel && e.leaf === 1) {
      e.ecx = (e.ecx & ~(FEATURE_X2APIC | FEATURE_TSC_DEADLINE)) >>> 0;
    }
  }
  return entries;
}
