/** What CPUID answers for a resolved `-cpu` value. QEMU's answers where it models the leaf. */
import type { CpuidEnv, CpuModel } from "../../accel.ts";
import {
  cacheParameters,
  type Caches,
  cachesOf,
  descriptor,
  l1Word,
  l2Word,
  l3Word,
} from "./caches.ts";
import { featurePlace, type Word } from "./features.ts";
import type { VersionSpec } from "./models.ts";
import { paravirtualLeaf, paravirtualSignature } from "./paravirtual.ts";
import { xsaveLeaf } from "./xsave_leaf.ts";

export { cpuHelp } from "./help.ts";
export { resolveCpu, type ResolvedModel } from "./resolve.ts";

export interface CpuidResult {
  eax: number;
  ebx: number;
  ecx: number;
  edx: number;
}

/** Features that the software accelerator implements. What a model has beyond them is left out. */
export const tcgFeatures: ReadonlySet<string> = new Set(
  ("fpu vme de pse tsc msr pae mce cx8 apic sep mtrr pge mca cmov pat pse36 clflush acpi mmx fxsr " +
    "sse sse2 ss pni ssse3 movbe popcnt monitor hypervisor nx mmxext 3dnowprefetch abm arat " +
    "sse4.1 sse4.2 sse4a aes pclmulqdq sha-ni " +
    "lm syscall lahf-lm cx16 fsgsbase erms pcid invpcid smep smap umip pku la57 rdtscp rdpid rdrand " +
    "rdseed xsave xsaveopt xsavec xgetbv1 pdpe1gb clflushopt clwb adx " +
    "x2apic tsc-deadline invtsc avx avx2 fma f16c bmi1 bmi2 vaes vpclmulqdq gfni 3dnow 3dnowext " +
    "avx512f avx512cd avx512bw avx512dq avx512vl")
    .split(
      " ",
    ),
);

/**
 * Features that `max` leaves out under tcg, for those who ask: C libraries choose 512-bit routines
 * where they are, and WebAssembly computes on 128 bits at a time.
 */
export const notInMax: ReadonlySet<string> = new Set(
  [...tcgFeatures].filter((f) => f.startsWith("avx512")),
);

/** What `-cpu` settles besides the features. */
export interface ModelOptions {
  readonly vendor: string;
  readonly family: number;
  readonly model: number;
  readonly stepping: number;
  readonly modelId: string;
  /** Highest leaves; a basic one below 1Fh rises to it with several dies. */
  readonly level: number;
  readonly levelFixed: boolean;
  readonly xlevel: number;
  readonly xlevel2: number;
  /** Highest subleaf of leaf 7. */
  readonly level7: number;
  /** Physical address bits, 32 to 52. */
  readonly physBits: number;
  readonly l3: boolean;
  /** Leaf 0Bh. */
  readonly topologyLeaf: boolean;
  /** Leaves 40000000h and 40000001h. */
  readonly signature: boolean;
  /** KVM's paravirtual features, in place of the signature that tells of QEMU's TCG. */
  readonly paravirtual?: ReadonlySet<string>;
  /** {@link VersionSpec.caches} instead of the traditional ones. */
  readonly ownCaches: boolean;
}

const FEATURES_OF_LEAF_1_IN_80000001 = 0x0183f3ff;
const AMD = "AuthenticAMD", INTEL = "GenuineIntel";
const APIC = 1 << 9, HTT = 1 << 28, OSXSAVE = 1 << 27, CMP_LEGACY = 1 << 1;
const ZERO: Readonly<CpuidResult> = { eax: 0, ebx: 0, ecx: 0, edx: 0 };

const bits = (n: number): number => Math.ceil(Math.log2(Math.max(1, n)));

/** Where the parts of an APIC ID begin. */
function apicIdLayout(env: CpuidEnv) {
  const dies = env.dies ?? 1, core = bits(env.threads), die = core + bits(env.cores);
  return { dies, core, die, package: die + bits(dies) };
}

export class Model implements CpuModel {
  readonly name: string;
  readonly #words = new Map<Word, number>();

  constructor(
    name: string,
    readonly spec: VersionSpec,
    readonly options: ModelOptions,
    readonly features: ReadonlySet<string>,
  ) {
    this.name = name;
    for (const f of features) {
      const { word, bit } = featurePlace(f);
      if (bit < 32) this.#words.set(word, (this.#words.get(word) ?? 0) | (1 << bit));
    }
  }

  has(feature: string): boolean {
    return this.features.has(feature) || feature === "clflush" && this.features.has("sse2") ||
      this.options.paravirtual?.has(feature) === true;
  }

  #word(w: Word): number {
    return this.#words.get(w) ?? 0;
  }

  #caches(leaf: "leaf2" | "leaf4" | "amd"): Caches {
    return cachesOf(this.options.ownCaches ? this.spec.caches : undefined, leaf);
  }

  #signature(): number {
    const { family, model, stepping } = this.options;
    const base = Math.min(family, 15), ext = Math.max(0, family - 15);
    return (ext << 20) | ((model >> 4) << 16) | (base << 8) | ((model & 15) << 4) | stepping;
  }

  #level(env: CpuidEnv): number {
    const { level, levelFixed, vendor } = this.options;
    const dies = (env.dies ?? 1) > 1 && vendor === INTEL && !levelFixed;
    return dies ? Math.max(level, 0x1f) : level;
  }

  cpuid(leaf: number, subleaf: number, env: CpuidEnv): CpuidResult {
    leaf >>>= 0;
    const { xlevel, xlevel2, vendor } = this.options, level = this.#level(env);
    const limit = leaf >= 0xc0000000
      ? xlevel2
      : leaf >= 0x80000000
      ? xlevel
      : leaf >= 0x40000000
      ? 0x40000001
      : level;
    // Leaves beyond the maximum answer as the highest basic leaf. SDM volume 2, CPUID.
    if (leaf > limit) leaf = level;
    if (leaf >= 0x80000000) return this.#extended(leaf, subleaf, env);
    const logical = env.cores * env.threads, amd = vendor === AMD;
    switch (leaf) {
      case 0:
        return vendorLeaf(level, vendor);
      case 1: {
        let edx = this.#word("1.edx"), ecx = this.#word("1.ecx");
        let ebx = (env.apicId << 24) | (8 << 8);
        if (!env.apicEnabled) edx &= ~APIC;
        if (logical > 1) {
          ebx |= (logical & 255) << 16;
          edx |= HTT;
        }
        if (env.osxsave) ecx |= OSXSAVE;
        return { eax: this.#signature(), ebx, ecx, edx };
      }
      case 2: {
        if (amd) return { ...ZERO };
        const { data, instruction, l2, l3 } = this.#caches("leaf2");
        const edx = descriptor(data) << 16 | descriptor(instruction) << 8 | descriptor(l2);
        return { eax: 1, ebx: 0, ecx: this.options.l3 ? descriptor(l3) : 0, edx };
      }
      case 4:
        return amd ? { ...ZERO } : this.#cacheLeaf(subleaf, env);
      case 5:
        return { ...ZERO, ecx: 3 };
      case 6:
        return { ...ZERO, eax: this.#word("6.eax") };
      case 7:
        if (subleaf === 1 && this.#word("7/1.eax") !== 0) {
          return { ...ZERO, eax: this.#word("7/1.eax") };
        }
        if (subleaf !== 0) return { ...ZERO };
        return {
          eax: this.options.level7,
          ebx: this.#word("7.ebx"),
          ecx: this.#word("7.ecx"),
          edx: this.#word("7.edx"),
        };
      case 0xb:
        return this.options.topologyLeaf ? topologyLeaf(subleaf, env) : { ...ZERO };
      case 0xd:
        return xsaveLeaf(this, this.#word("d/1.eax"), subleaf);
      case 0x1f:
        return diesLeaf(subleaf, env);
      case 0x40000000:
        if (this.options.paravirtual !== undefined) return paravirtualSignature();
        return this.options.signature ? signature() : { ...ZERO };
      case 0x40000001:
        if (this.options.paravirtual !== undefined) {
          return paravirtualLeaf(this.options.paravirtual);
        }
    }
    return { ...ZERO };
  }

  #extended(leaf: number, subleaf: number, env: CpuidEnv): CpuidResult {
    const { xlevel, xlevel2, vendor, physBits } = this.options;
    const logical = env.cores * env.threads, layout = apicIdLayout(env);
    switch (leaf) {
      case 0x80000000:
        return vendorLeaf(xlevel, vendor);
      case 0x80000001: {
        let edx = this.#word("80000001.edx"), ecx = this.#word("80000001.ecx");
        if (vendor === AMD) edx |= this.#word("1.edx") & FEATURES_OF_LEAF_1_IN_80000001;
        if (logical > 1 && vendor !== INTEL) ecx |= CMP_LEGACY;
        return { eax: this.#signature(), ebx: 0, ecx, edx };
      }
      case 0x80000002:
      case 0x80000003:
      case 0x80000004:
        return nameLeaf(this.options.modelId, leaf - 0x80000002);
      case 0x80000005: {
        const { data, instruction } = this.#caches("amd"), tlb = 0x01ff01ff;
        return { eax: tlb, ebx: tlb, ecx: l1Word(data), edx: l1Word(instruction) };
      }
      case 0x80000006: {
        const { l2, l3 } = this.#caches("amd");
        const edx = this.options.l3 ? l3Word(l3) : 0;
        return { eax: 0, ebx: 0x42004200, ecx: l2Word(l2), edx };
      }
      case 0x80000007:
        return { ...ZERO, edx: this.#word("80000007.edx") };
      case 0x80000008: {
        const linear = this.has("la57") ? 57 : 48;
        return {
          eax: this.has("lm") ? linear << 8 | physBits : physBits,
          ebx: this.#word("80000008.ebx"),
          ecx: logical > 1 ? (logical - 1) & 255 | layout.package << 12 : 0,
          edx: 0,
        };
      }
      case 0x8000000a:
        // Revision 1, 16 address space identifiers.
        return this.has("svm")
          ? { eax: 1, ebx: 0x10, ecx: 0, edx: this.#word("8000000a.edx") }
          : { ...ZERO };
      case 0x8000001d: {
        const { data, instruction, l2, l3 } = this.#caches("amd");
        const c = [data, instruction, l2, l3][subleaf];
        if (c === undefined) return { ...ZERO };
        return cacheParameters(c, c.level === 3 ? logical : env.threads, 1);
      }
      case 0x8000001e: {
        const core = (env.apicId >> layout.core) & (1 << layout.die - layout.core) - 1;
        const die = (env.apicId >> layout.die) & (1 << layout.package - layout.die) - 1;
        const socket = env.apicId >> layout.package;
        return {
          eax: env.apicId,
          ebx: (env.threads - 1) << 8 | core & 255,
          ecx: (layout.dies - 1) << 8 | (socket * layout.dies + die) & 255,
          edx: 0,
        };
      }
      case 0xc0000000:
        return { ...ZERO, eax: xlevel2 };
      case 0xc0000001:
        return { ...ZERO, edx: this.#word("c0000001.edx") };
    }
    return { ...ZERO };
  }

  #cacheLeaf(subleaf: number, env: CpuidEnv): CpuidResult {
    const { data, instruction, l2, l3 } = this.#caches("leaf4");
    switch (subleaf) {
      case 0:
        return cacheParameters(data, 1, env.cores);
      case 1:
        return cacheParameters(instruction, 1, env.cores);
      case 2:
        return cacheParameters(l2, env.threads, env.cores);
      case 3:
        if (this.options.l3) return cacheParameters(l3, 1 << apicIdLayout(env).die, env.cores);
    }
    return { ...ZERO };
  }
}

function word(s: string, at: number): number {
  let v = 0;
  for (let i = 3; i >= 0; i--) v = (v << 8) | (at + i < s.length ? s.charCodeAt(at + i) & 255 : 0);
  return v;
}

function vendorLeaf(max: number, vendor: string): CpuidResult {
  return { eax: max | 0, ebx: word(vendor, 0), edx: word(vendor, 4), ecx: word(vendor, 8) };
}

/** Leaf 40000000h, in the order EBX, ECX, EDX. */
function signature(): CpuidResult {
  const s = "TCGTCGTCGTCG";
  return { eax: 0x40000001, ebx: word(s, 0), ecx: word(s, 4), edx: word(s, 8) };
}

function nameLeaf(id: string, n: number): CpuidResult {
  const at = 16 * n;
  return {
    eax: word(id, at),
    ebx: word(id, at + 4),
    ecx: word(id, at + 8),
    edx: word(id, at + 12),
  };
}

/** Leaf 0Bh: threads of a core, logical processors of a package. */
function topologyLeaf(subleaf: number, env: CpuidEnv): CpuidResult {
  const at = apicIdLayout(env), edx = env.apicId, ecx = subleaf & 0xff;
  if (subleaf === 0) return { eax: at.core, ebx: env.threads, ecx: ecx | 1 << 8, edx };
  if (subleaf === 1) {
    return { eax: at.package, ebx: env.cores * env.threads, ecx: ecx | 2 << 8, edx };
  }
  return { eax: 0, ebx: 0, ecx, edx };
}

/** Leaf 1Fh, which only processors of several dies have: as leaf 0Bh, with dies between. */
function diesLeaf(subleaf: number, env: CpuidEnv): CpuidResult {
  const at = apicIdLayout(env), { cores, threads, apicId: edx } = env, ecx = subleaf & 0xff;
  if (at.dies < 2) return { ...ZERO };
  if (subleaf === 0) return { eax: at.core, ebx: threads, ecx: ecx | 1 << 8, edx };
  if (subleaf === 1) return { eax: at.die, ebx: cores * threads, ecx: ecx | 2 << 8, edx };
  if (subleaf === 2) {
    return { eax: at.package, ebx: at.dies * cores * threads, ecx: ecx | 5 << 8, edx };
  }
  return { eax: 0, ebx: 0, ecx, edx };
}
