/**
 * CPU models by QEMU's names. Family, model, stepping and feature sets are what QEMU 7.2 reports for
 * each (`-cpu NAME` under `info cpus`/CPUID), so that guests take the same decisions.
 */

export interface ModelSpec {
  readonly name: string;
  readonly vendor: "GenuineIntel" | "AuthenticAMD";
  readonly level: number;
  readonly xlevel: number;
  readonly family: number;
  readonly model: number;
  readonly stepping: number;
  readonly modelId: string;
  readonly features: string;
  /** What `-cpu help` prints behind the name. */
  readonly description: string;
}

const I486 = "fpu vme pse";
const PENTIUM = I486 + " de tsc msr mce cx8 mmx";
const PENTIUM2 = PENTIUM + " pae sep mtrr pge mca cmov pat pse36 fxsr";
const PENTIUM3 = PENTIUM2 + " sse";
const PPRO = "fpu de pse tsc msr mce cx8 pge cmov pat fxsr mmx sse sse2 pae sep apic";
const QEMU_ID = "QEMU Virtual CPU version 2.5+";

export const models: readonly ModelSpec[] = [
  {
    name: "486",
    vendor: "GenuineIntel",
    level: 1,
    xlevel: 0,
    family: 4,
    model: 8,
    stepping: 0,
    modelId: "",
    features: I486,
    description: "",
  },
  {
    name: "athlon",
    vendor: "AuthenticAMD",
    level: 2,
    xlevel: 0x80000008,
    family: 6,
    model: 2,
    stepping: 3,
    modelId: QEMU_ID,
    features: PPRO + " pse36 vme mtrr mca mmxext",
    description: QEMU_ID,
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
    features: PPRO + " mtrr clflush mca pse36 vme acpi ss pni ssse3 cx16 lm syscall nx lahf-lm",
    description: "Intel(R) Core(TM)2 Duo CPU     T7700  @ 2.40GHz",
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
    features: PPRO + " vme mtrr clflush mca acpi ss pni monitor nx",
    description: "Genuine Intel(R) CPU           T2600  @ 2.16GHz",
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
    features: PPRO + " vme mtrr clflush mca pse36 pni",
    description: "Common 32-bit KVM processor",
  },
  {
    name: "kvm64",
    vendor: "GenuineIntel",
    level: 0xd,
    xlevel: 0x80000008,
    family: 15,
    model: 6,
    stepping: 1,
    modelId: "Common KVM processor",
    features: PPRO + " vme mtrr clflush mca pse36 lm syscall nx pni cx16",
    description: "Common KVM processor",
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
    features: PPRO + " mtrr clflush mca vme acpi ss pni monitor ssse3 movbe nx lahf-lm",
    description: "Intel(R) Atom(TM) CPU N270   @ 1.60GHz",
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
    features: PENTIUM,
    description: "",
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
    features: PENTIUM2,
    description: "",
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
    features: PENTIUM3,
    description: "",
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
    features: PPRO + " mtrr clflush mca pse36 vme ht pni monitor cx16 popcnt lm syscall nx " +
      "3dnowext 3dnow mmxext fxsr-opt pdpe1gb rdtscp lahf-lm svm abm sse4a",
    description: "AMD Phenom(tm) 9550 Quad-Core Processor",
  },
  {
    name: "qemu32",
    vendor: "GenuineIntel",
    level: 4,
    xlevel: 0x80000004,
    family: 6,
    model: 6,
    stepping: 3,
    modelId: QEMU_ID,
    features: PPRO + " pni",
    description: QEMU_ID,
  },
  {
    name: "qemu64",
    vendor: "AuthenticAMD",
    level: 0xd,
    xlevel: 0x8000000a,
    family: 15,
    model: 107,
    stepping: 1,
    modelId: QEMU_ID,
    features: PPRO + " mtrr clflush mca pse36 pni cx16 lm syscall nx lahf-lm svm",
    description: QEMU_ID,
  },
  {
    name: "max",
    vendor: "AuthenticAMD",
    level: 0xd,
    xlevel: 0x8000000a,
    family: 6,
    model: 6,
    stepping: 3,
    modelId: "QEMU TCG CPU version 2.5+",
    features: "*",
    description: "Enables all features supported by the accelerator in the current host",
  },
];
