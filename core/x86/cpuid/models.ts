/**
 * CPU models by QEMU's names. Family, model, stepping, levels and feature sets are those that QEMU 7.2
 * tells of each (QMP `query-cpu-model-expansion`), so that guests take the same decisions.
 */
import type { CacheSet } from "./caches.ts";

export type Vendor = "GenuineIntel" | "AuthenticAMD" | "HygonGenuine" | "";

export interface ModelSpec {
  readonly name: string;
  readonly vendor: Vendor;
  /** Highest basic and extended leaf; features may raise them. */
  readonly level: number;
  readonly xlevel: number;
  readonly family: number;
  readonly model: number;
  readonly stepping: number;
  readonly modelId: string;
  /** The model whose first version's features {@link features} changes. */
  readonly like?: string;
  /** Feature names; `+name` and `-name` with {@link like}; `*` for all that the accelerator has. */
  readonly features: string;
  readonly caches?: CacheSet;
  /** Versions 2, 3 …, each a change to the one before. The model's own name means version 1. */
  readonly versions?: readonly ModelVersion[];
  /** What `-cpu help` prints behind the name, where there is no version 1. */
  readonly description?: string;
}

export interface ModelVersion {
  /** Another name of this version. */
  readonly alias?: string;
  /** What `-cpu help` adds in brackets. */
  readonly note?: string;
  readonly modelId?: string;
  readonly model?: number;
  readonly stepping?: number;
  readonly change: string;
}

export const models: readonly ModelSpec[] = [
  {
    name: "qemu32",
    vendor: "GenuineIntel",
    level: 4,
    xlevel: 0x80000004,
    family: 6,
    model: 6,
    stepping: 3,
    modelId: "QEMU Virtual CPU version 2.5+",
    features: "fpu de pse tsc msr pae mce cx8 apic sep pge cmov pat mmx fxsr sse sse2 pni",
  },
  {
    name: "qemu64",
    vendor: "AuthenticAMD",
    level: 13,
    xlevel: 0x8000000a,
    family: 15,
    model: 107,
    stepping: 1,
    modelId: "QEMU Virtual CPU version 2.5+",
    like: "qemu32",
    features: "+mtrr +mca +pse36 +clflush +cx16 +syscall +nx +lm +lahf-lm +svm",
  },
  {
    name: "kvm32",
    vendor: "GenuineIntel",
    level: 5,
    xlevel: 0x80000008,
    family: 15,
    model: 6,
    stepping: 1,
    modelId: "Common 32-bit KVM processor",
    like: "qemu32",
    features: "+vme +mtrr +mca +pse36 +clflush",
  },
  {
    name: "kvm64",
    vendor: "GenuineIntel",
    level: 13,
    xlevel: 0x80000008,
    family: 15,
    model: 6,
    stepping: 1,
    modelId: "Common KVM processor",
    like: "qemu64",
    features: "+vme -lahf-lm -svm",
  },
  {
    name: "486",
    vendor: "GenuineIntel",
    level: 1,
    xlevel: 0,
    family: 4,
    model: 8,
    stepping: 0,
    modelId: "",
    features: "fpu vme pse",
  },
  {
    name: "pentium",
    vendor: "GenuineIntel",
    level: 1,
    xlevel: 0,
    family: 5,
    model: 4,
    stepping: 3,
    modelId: "",
    like: "486",
    features: "+de +tsc +msr +mce +cx8 +apic +mmx",
  },
  {
    name: "pentium2",
    vendor: "GenuineIntel",
    level: 2,
    xlevel: 0,
    family: 6,
    model: 5,
    stepping: 2,
    modelId: "",
    like: "kvm32",
    features: "-clflush -sse -sse2 -pni",
  },
  {
    name: "pentium3",
    vendor: "GenuineIntel",
    level: 3,
    xlevel: 0,
    family: 6,
    model: 7,
    stepping: 3,
    modelId: "",
    like: "pentium2",
    features: "+sse",
  },
  {
    name: "athlon",
    vendor: "AuthenticAMD",
    level: 2,
    xlevel: 0x80000008,
    family: 6,
    model: 2,
    stepping: 3,
    modelId: "QEMU Virtual CPU version 2.5+",
    like: "pentium3",
    features: "+sse2 +mmxext +3dnowext +3dnow",
  },
  {
    name: "coreduo",
    vendor: "GenuineIntel",
    level: 10,
    xlevel: 0x80000008,
    family: 6,
    model: 14,
    stepping: 8,
    modelId: "Genuine Intel(R) CPU           T2600  @ 2.16GHz",
    like: "kvm32",
    features: "+acpi +ss +monitor +nx -pse36",
  },
  {
    name: "n270",
    vendor: "GenuineIntel",
    level: 10,
    xlevel: 0x80000008,
    family: 6,
    model: 28,
    stepping: 2,
    modelId: "Intel(R) Atom(TM) CPU N270   @ 1.60GHz",
    like: "coreduo",
    features: "+ssse3 +movbe +lahf-lm",
  },
  {
    name: "core2duo",
    vendor: "GenuineIntel",
    level: 10,
    xlevel: 0x80000008,
    family: 6,
    model: 15,
    stepping: 11,
    modelId: "Intel(R) Core(TM)2 Duo CPU     T7700  @ 2.40GHz",
    like: "kvm64",
    features: "+acpi +ss +monitor +ssse3 +lahf-lm",
  },
  {
    name: "Conroe",
    vendor: "GenuineIntel",
    level: 10,
    xlevel: 0x80000008,
    family: 6,
    model: 15,
    stepping: 3,
    modelId: "Intel Celeron_4x0 (Conroe/Merom Class Core 2)",
    like: "kvm64",
    features: "+ssse3 +lahf-lm -cx16",
  },
  {
    name: "Penryn",
    vendor: "GenuineIntel",
    level: 10,
    xlevel: 0x80000008,
    family: 6,
    model: 23,
    stepping: 3,
    modelId: "Intel Core 2 Duo P9xxx (Penryn Class Core 2)",
    like: "Conroe",
    features: "+cx16 +sse4.1",
  },
  {
    name: "Nehalem",
    vendor: "GenuineIntel",
    level: 11,
    xlevel: 0x80000008,
    family: 6,
    model: 26,
    stepping: 3,
    modelId: "Intel Core i7 9xx (Nehalem Class Core i7)",
    like: "Penryn",
    features: "+sse4.2 +popcnt",
    versions: [
      {
        alias: "Nehalem-IBRS",
        modelId: "Intel Core i7 9xx (Nehalem Core i7, IBRS update)",
        change: "+spec-ctrl",
      },
    ],
  },
  {
    name: "Westmere",
    vendor: "GenuineIntel",
    level: 11,
    xlevel: 0x80000008,
    family: 6,
    model: 44,
    stepping: 1,
    modelId: "Westmere E56xx/L56xx/X56xx (Nehalem-C)",
    like: "Nehalem",
    features: "+pclmulqdq +aes +arat",
    versions: [
      {
        alias: "Westmere-IBRS",
        modelId: "Westmere E56xx/L56xx/X56xx (IBRS update)",
        change: "+spec-ctrl",
      },
    ],
  },
  {
    name: "SandyBridge",
    vendor: "GenuineIntel",
    level: 13,
    xlevel: 0x80000008,
    family: 6,
    model: 42,
    stepping: 1,
    modelId: "Intel Xeon E312xx (Sandy Bridge)",
    like: "Westmere",
    features: "+x2apic +tsc-deadline +xsave +avx +rdtscp +xsaveopt",
    versions: [
      {
        alias: "SandyBridge-IBRS",
        modelId: "Intel Xeon E312xx (Sandy Bridge, IBRS update)",
        change: "+spec-ctrl",
      },
    ],
  },
  {
    name: "IvyBridge",
    vendor: "GenuineIntel",
    level: 13,
    xlevel: 0x80000008,
    family: 6,
    model: 58,
    stepping: 9,
    modelId: "Intel Xeon E3-12xx v2 (Ivy Bridge)",
    like: "SandyBridge",
    features: "+f16c +rdrand +fsgsbase +smep +erms",
    versions: [
      {
        alias: "IvyBridge-IBRS",
        modelId: "Intel Xeon E3-12xx v2 (Ivy Bridge, IBRS)",
        change: "+spec-ctrl",
      },
    ],
  },
  {
    name: "Haswell",
    vendor: "GenuineIntel",
    level: 13,
    xlevel: 0x80000008,
    family: 6,
    model: 60,
    stepping: 4,
    modelId: "Intel Core Processor (Haswell)",
    like: "IvyBridge",
    features: "+fma +pcid +movbe +bmi1 +hle +avx2 +bmi2 +invpcid +rtm +abm",
    versions: [
      {
        alias: "Haswell-noTSX",
        modelId: "Intel Core Processor (Haswell, no TSX)",
        stepping: 1,
        change: "-hle -rtm",
      },
      {
        alias: "Haswell-IBRS",
        modelId: "Intel Core Processor (Haswell, IBRS)",
        stepping: 4,
        change: "+hle +rtm +spec-ctrl",
      },
      {
        alias: "Haswell-noTSX-IBRS",
        modelId: "Intel Core Processor (Haswell, no TSX, IBRS)",
        stepping: 1,
        change: "-hle -rtm",
      },
    ],
  },
  {
    name: "Broadwell",
    vendor: "GenuineIntel",
    level: 13,
    xlevel: 0x80000008,
    family: 6,
    model: 61,
    stepping: 2,
    modelId: "Intel Core Processor (Broadwell)",
    like: "Haswell",
    features: "+rdseed +adx +smap +3dnowprefetch",
    versions: [
      {
        alias: "Broadwell-noTSX",
        modelId: "Intel Core Processor (Broadwell, no TSX)",
        change: "-hle -rtm",
      },
      {
        alias: "Broadwell-IBRS",
        modelId: "Intel Core Processor (Broadwell, IBRS)",
        change: "+hle +rtm +spec-ctrl",
      },
      {
        alias: "Broadwell-noTSX-IBRS",
        modelId: "Intel Core Processor (Broadwell, no TSX, IBRS)",
        change: "-hle -rtm",
      },
    ],
  },
  {
    name: "Skylake-Client",
    vendor: "GenuineIntel",
    level: 13,
    xlevel: 0x80000008,
    family: 6,
    model: 94,
    stepping: 3,
    modelId: "Intel Core Processor (Skylake)",
    like: "Broadwell",
    features: "+xsavec +xgetbv1",
    versions: [
      {
        alias: "Skylake-Client-IBRS",
        modelId: "Intel Core Processor (Skylake, IBRS)",
        change: "+spec-ctrl",
      },
      {
        alias: "Skylake-Client-noTSX-IBRS",
        modelId: "Intel Core Processor (Skylake, IBRS, no TSX)",
        change: "-hle -rtm",
      },
      { note: "IBRS, XSAVES, no TSX", change: "+xsaves" },
    ],
  },
  {
    name: "Skylake-Server",
    vendor: "GenuineIntel",
    level: 13,
    xlevel: 0x80000008,
    family: 6,
    model: 85,
    stepping: 4,
    modelId: "Intel Xeon Processor (Skylake)",
    like: "Skylake-Client",
    features: "+avx512f +avx512dq +clflushopt +clwb +avx512cd +avx512bw +avx512vl +pku +pdpe1gb",
    versions: [
      {
        alias: "Skylake-Server-IBRS",
        modelId: "Intel Xeon Processor (Skylake, IBRS)",
        change: "+spec-ctrl -clflushopt",
      },
      {
        alias: "Skylake-Server-noTSX-IBRS",
        modelId: "Intel Xeon Processor (Skylake, IBRS, no TSX)",
        change: "-hle -rtm",
      },
      { note: "IBRS, EPT switching, no TSX", change: "" },
      { note: "IBRS, XSAVES, EPT switching, no TSX", change: "+xsaves" },
    ],
  },
  {
    name: "Cascadelake-Server",
    vendor: "GenuineIntel",
    level: 13,
    xlevel: 0x80000008,
    family: 6,
    model: 85,
    stepping: 6,
    modelId: "Intel Xeon Processor (Cascadelake)",
    like: "Skylake-Server",
    features: "+avx512vnni +spec-ctrl +ssbd",
    versions: [
      {
        note: "ARCH_CAPABILITIES",
        change: "+arch-capabilities +rdctl-no +ibrs-all +skip-l1dfl-vmentry +mds-no",
      },
      { alias: "Cascadelake-Server-noTSX", note: "ARCH_CAPABILITIES, no TSX", change: "-hle -rtm" },
      { note: "ARCH_CAPABILITIES, EPT switching, no TSX", change: "" },
      { note: "ARCH_CAPABILITIES, EPT switching, XSAVES, no TSX", change: "+xsaves" },
    ],
  },
  {
    name: "Cooperlake",
    vendor: "GenuineIntel",
    level: 13,
    xlevel: 0x80000008,
    family: 6,
    model: 85,
    stepping: 10,
    modelId: "Intel Xeon Processor (Cooperlake)",
    like: "Cascadelake-Server",
    features: "+stibp +arch-capabilities +avx512-bf16 +rdctl-no +ibrs-all +skip-l1dfl-vmentry " +
      "+mds-no +pschange-mc-no +taa-no",
    versions: [
      { note: "XSAVES", change: "+xsaves" },
    ],
  },
  {
    name: "Icelake-Server",
    vendor: "GenuineIntel",
    level: 13,
    xlevel: 0x80000008,
    family: 6,
    model: 134,
    stepping: 0,
    modelId: "Intel Xeon Processor (Icelake)",
    like: "Cascadelake-Server",
    features: "+avx512vbmi +umip +avx512vbmi2 +gfni +vaes +vpclmulqdq +avx512bitalg " +
      "+avx512-vpopcntdq +la57 +wbnoinvd",
    versions: [
      { alias: "Icelake-Server-noTSX", note: "no TSX", change: "-hle -rtm" },
      {
        change:
          "+arch-capabilities +rdctl-no +ibrs-all +skip-l1dfl-vmentry +mds-no +pschange-mc-no +taa-no",
      },
      { model: 106, change: "+avx512ifma +sha-ni +rdpid +fsrm" },
      { note: "XSAVES", change: "+xsaves" },
      { note: "5-level EPT", change: "" },
    ],
  },
  {
    name: "KnightsMill",
    vendor: "GenuineIntel",
    level: 13,
    xlevel: 0x80000008,
    family: 6,
    model: 133,
    stepping: 0,
    modelId: "Intel Xeon Phi Processor (Knights Mill)",
    like: "Broadwell",
    features: "+ss +avx512f +avx512pf +avx512er +avx512cd +avx512-vpopcntdq +avx512-4vnniw " +
      "+avx512-4fmaps +pdpe1gb -pcid -hle -invpcid -rtm -smap",
  },
  {
    name: "Denverton",
    vendor: "GenuineIntel",
    level: 21,
    xlevel: 0x80000008,
    family: 6,
    model: 95,
    stepping: 1,
    modelId: "Intel Atom Processor (Denverton)",
    like: "IvyBridge",
    features: "+monitor +movbe +mpx +rdseed +smap +clflushopt +sha-ni +spec-ctrl " +
      "+arch-capabilities +ssbd +pdpe1gb +3dnowprefetch +xsavec +xgetbv1 +rdctl-no " +
      "+skip-l1dfl-vmentry -avx -f16c",
    versions: [
      { note: "no MPX, no MONITOR", change: "-monitor -mpx" },
      { note: "XSAVES, no MPX, no MONITOR", change: "+xsaves" },
    ],
  },
  {
    name: "Snowridge",
    vendor: "GenuineIntel",
    level: 27,
    xlevel: 0x80000008,
    family: 6,
    model: 134,
    stepping: 1,
    modelId: "Intel Atom Processor (SnowRidge)",
    like: "Denverton",
    features: "+clwb +umip +gfni +cldemote +movdiri +movdir64b +core-capability " +
      "+split-lock-detect -rdctl-no -skip-l1dfl-vmentry",
    versions: [
      { modelId: "Intel Atom Processor (Snowridge, no MPX)", change: "-mpx" },
      { note: "XSAVES, no MPX", change: "+xsaves" },
      {
        note: "no split lock detect, no core-capability",
        change: "-core-capability -split-lock-detect",
      },
    ],
  },
  {
    name: "Opteron_G1",
    vendor: "AuthenticAMD",
    level: 5,
    xlevel: 0x80000008,
    family: 15,
    model: 6,
    stepping: 1,
    modelId: "AMD Opteron 240 (Gen 1 Class Opteron)",
    like: "kvm64",
    features: "-cx16",
  },
  {
    name: "Opteron_G2",
    vendor: "AuthenticAMD",
    level: 5,
    xlevel: 0x80000008,
    family: 15,
    model: 6,
    stepping: 1,
    modelId: "AMD Opteron 22xx (Gen 2 Class Opteron)",
    like: "qemu64",
    features: "+vme",
  },
  {
    name: "Opteron_G3",
    vendor: "AuthenticAMD",
    level: 5,
    xlevel: 0x80000008,
    family: 16,
    model: 2,
    stepping: 3,
    modelId: "AMD Opteron 23xx (Gen 3 Class Opteron)",
    like: "Opteron_G2",
    features: "+monitor +popcnt +rdtscp +abm +sse4a +misalignsse",
  },
  {
    name: "Opteron_G4",
    vendor: "AuthenticAMD",
    level: 13,
    xlevel: 0x8000001a,
    family: 21,
    model: 1,
    stepping: 2,
    modelId: "AMD Opteron 62xx class CPU",
    like: "Westmere",
    features: "+xsave +avx +pdpe1gb +rdtscp +svm +abm +sse4a +misalignsse +3dnowprefetch +xop " +
      "+fma4 +npt +nrip-save -arat",
  },
  {
    name: "Opteron_G5",
    vendor: "AuthenticAMD",
    level: 13,
    xlevel: 0x8000001a,
    family: 21,
    model: 2,
    stepping: 0,
    modelId: "AMD Opteron 63xx class CPU",
    like: "Opteron_G4",
    features: "+fma +f16c +tbm",
  },
  {
    name: "phenom",
    vendor: "AuthenticAMD",
    level: 5,
    xlevel: 0x8000001a,
    family: 16,
    model: 2,
    stepping: 3,
    modelId: "AMD Phenom(tm) 9550 Quad-Core Processor",
    like: "Opteron_G3",
    features: "+mmxext +fxsr-opt +pdpe1gb +3dnowext +3dnow +npt -misalignsse",
  },
  {
    name: "EPYC",
    vendor: "AuthenticAMD",
    level: 13,
    xlevel: 0x8000001e,
    family: 23,
    model: 1,
    stepping: 2,
    modelId: "AMD EPYC Processor",
    like: "Skylake-Client",
    features: "+monitor +clflushopt +sha-ni +mmxext +fxsr-opt +pdpe1gb +svm +cr8legacy +sse4a " +
      "+misalignsse +osvw +topoext +npt +nrip-save -pcid -x2apic -tsc-deadline -hle " +
      "-erms -invpcid -rtm",
    caches: "epyc",
    versions: [
      { alias: "EPYC-IBPB", modelId: "AMD EPYC Processor (with IBPB)", change: "+ibpb" },
      { modelId: "AMD EPYC Processor", change: "+perfctr-core +clzero +xsaveerptr +xsaves" },
    ],
  },
  {
    name: "EPYC-Rome",
    vendor: "AuthenticAMD",
    level: 13,
    xlevel: 0x8000001e,
    family: 23,
    model: 49,
    stepping: 0,
    modelId: "AMD EPYC-Rome Processor",
    like: "EPYC",
    features: "+clwb +umip +rdpid +perfctr-core +clzero +xsaveerptr +wbnoinvd +ibpb +amd-stibp " +
      "+xsaves",
    caches: "epyc-rome",
    versions: [
      { change: "+ibrs +amd-ssbd" },
    ],
  },
  {
    name: "EPYC-Milan",
    vendor: "AuthenticAMD",
    level: 13,
    xlevel: 0x8000001e,
    family: 25,
    model: 1,
    stepping: 1,
    modelId: "AMD EPYC-Milan Processor",
    like: "EPYC-Rome",
    features: "+pcid +erms +invpcid +pku +fsrm +ibrs +amd-ssbd +svme-addr-chk",
    caches: "epyc-milan",
  },
  {
    name: "Dhyana",
    vendor: "HygonGenuine",
    level: 13,
    xlevel: 0x8000001e,
    family: 24,
    model: 0,
    stepping: 1,
    modelId: "Hygon Dhyana Processor",
    like: "EPYC",
    features: "+ibpb -pclmulqdq -aes -sha-ni",
    caches: "epyc",
    versions: [
      { note: "XSAVES", change: "+xsaves" },
    ],
  },
  {
    name: "base",
    vendor: "",
    level: 0,
    xlevel: 0,
    family: 0,
    model: 0,
    stepping: 0,
    modelId: "",
    features: "",
    description: "base CPU model type with no features enabled",
  },
  {
    name: "max",
    vendor: "AuthenticAMD",
    level: 13,
    xlevel: 0x8000000a,
    family: 15,
    model: 107,
    stepping: 1,
    modelId: "QEMU TCG CPU version 2.5+",
    features: "*",
    description: "Enables all features supported by the accelerator in the current host",
  },
];

/** A model in one of its versions. */
export interface VersionSpec extends ModelSpec {
  readonly version: number;
  /** All of its features. */
  readonly set: ReadonlySet<string>;
}

/** Applies `+name` and `-name`; a bare name adds. */
function change(set: Set<string>, text: string): Set<string> {
  for (const word of text.split(" ")) {
    if (word[0] === "-") set.delete(word.slice(1));
    else if (word !== "") set.add(word.replace("+", ""));
  }
  return set;
}

function firstVersion(m: ModelSpec): VersionSpec {
  const base = m.like === undefined ? [] : firstVersion(models.find((o) => o.name === m.like)!).set;
  return { ...m, version: 1, set: change(new Set(base), m.features) };
}

/** The model of a name, `NAME-vN` or an alias; undefined when there is none. */
export function findModel(name: string): VersionSpec | undefined {
  for (const m of models) {
    if (m.name !== name && !name.startsWith(m.name)) continue;
    let spec = firstVersion(m);
    if (name === m.name || name === `${m.name}-v1` && m.description === undefined) return spec;
    for (const v of m.versions ?? []) {
      const { version, set } = spec;
      const { modelId = spec.modelId, model = spec.model, stepping = spec.stepping } = v;
      spec = {
        ...spec,
        modelId,
        model,
        stepping,
        version: version + 1,
        set: change(new Set(set), v.change),
      };
      if (name === v.alias || name === `${m.name}-v${spec.version}`) return spec;
    }
  }
  return undefined;
}

/** Every name that {@link findModel} knows. */
export function modelNames(): string[] {
  return models.flatMap((m) =>
    m.description !== undefined ? [m.name] : [
      m.name,
      `${m.name}-v1`,
      ...(m.versions ?? []).flatMap((
        v,
        n,
      ) => [...(v.alias ? [v.alias] : []), `${m.name}-v${n + 2}`]),
    ]
  );
}
