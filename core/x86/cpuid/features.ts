/**
 * CPUID feature bits by QEMU's names. Intel SDM volume 2, CPUID; AMD APM volume 3, appendix E.
 */

/** The feature words: which leaf, subleaf and register. */
export type Word =
  | "1.edx"
  | "1.ecx"
  | "7.ebx"
  | "7.ecx"
  | "7.edx"
  | "d1.eax"
  | "80000001.edx"
  | "80000001.ecx"
  | "80000007.edx"
  | "80000008.ebx"
  | "6.eax";

const names: Record<Word, string> = {
  // From bit 0 up; "-" where there is no feature.
  "1.edx":
    "fpu vme de pse tsc msr pae mce cx8 apic - sep mtrr pge mca cmov pat pse36 pn clflush - " +
    "ds acpi mmx fxsr sse sse2 ss ht tm ia64 pbe",
  "1.ecx": "pni pclmulqdq dtes64 monitor ds-cpl vmx smx est tm2 ssse3 cid - fma cx16 xtpr pdcm - " +
    "pcid dca sse4.1 sse4.2 x2apic movbe popcnt tsc-deadline aes xsave osxsave avx f16c rdrand " +
    "hypervisor",
  "7.ebx": "fsgsbase tsc-adjust sgx bmi1 hle avx2 - smep bmi2 erms invpcid rtm - - mpx - avx512f " +
    "avx512dq rdseed adx smap avx512ifma pcommit clflushopt clwb intel-pt avx512pf avx512er " +
    "avx512cd sha-ni avx512bw avx512vl",
  "7.ecx": "- avx512vbmi umip pku ospke waitpkg avx512vbmi2 - gfni vaes vpclmulqdq avx512vnni " +
    "avx512bitalg - avx512-vpopcntdq - la57 - - - - - rdpid - bus-lock-detect cldemote - movdiri " +
    "movdir64b - sgxlc pks",
  "7.edx": "- - avx512-4vnniw avx512-4fmaps fsrm - - - avx512-vp2intersect - md-clear - - - " +
    "serialize - tsx-ldtrk - - arch-lbr - - amx-bf16 avx512-fp16 amx-tile amx-int8 spec-ctrl stibp " +
    "- arch-capabilities core-capability ssbd",
  "d1.eax": "xsaveopt xsavec xgetbv1 xsaves xfd",
  "80000001.edx":
    "- - - - - - - - - - - syscall - - - - - - - mp nx - mmxext - - fxsr-opt pdpe1gb " +
    "rdtscp - lm 3dnowext 3dnow",
  "80000001.ecx": "lahf-lm cmp-legacy svm extapic cr8legacy abm sse4a misalignsse 3dnowprefetch " +
    "osvw ibs xop skinit wdt - lwp fma4 tce - nodeid-msr - tbm topoext perfctr-core perfctr-nb",
  "80000007.edx": "- - - - - - - - invtsc",
  "80000008.ebx": "clzero - xsaveerptr - - - - - - wbnoinvd",
  "6.eax": "- - arat",
};

/** Other spellings that QEMU takes. */
const aliases: Record<string, string> = {
  sse3: "pni",
  "sse4-1": "sse4.1",
  "sse4_1": "sse4.1",
  "sse4-2": "sse4.2",
  "sse4_2": "sse4.2",
  pclmuldq: "pclmulqdq",
  xd: "nx",
  i64: "lm",
  ffxsr: "fxsr-opt",
  fxsr_opt: "fxsr-opt",
  lahf_lm: "lahf-lm",
  sha: "sha-ni",
  lzcnt: "abm",
  ds_cpl: "ds-cpl",
  cmp_legacy: "cmp-legacy",
  tsc_adjust: "tsc-adjust",
  prefetchw: "3dnowprefetch",
};

const places = new Map<string, { word: Word; bit: number }>();
for (const [word, list] of Object.entries(names) as [Word, string][]) {
  list.split(/\s+/).forEach((name, bit) => {
    if (name !== "-") places.set(name, { word, bit });
  });
}

/** Canonical name of a feature, or undefined. */
export function featureName(name: string): string | undefined {
  const n = aliases[name] ?? aliases[name.replaceAll("_", "-")] ?? name.replaceAll("_", "-");
  return places.has(n) ? n : undefined;
}

export function featurePlace(name: string): { word: Word; bit: number } {
  return places.get(name)!;
}

/** Every feature name in the order of words and bits. */
export function allFeatures(): string[] {
  return [...places.keys()];
}
