/**
 * CPUID feature bits by QEMU's names. Intel SDM volume 2, CPUID; AMD APM volume 3, appendix E.
 */

/** A register whose bits are features: of a CPUID leaf, or a model-specific register. */
export type Word = keyof typeof words;

export type Place =
  | { leaf: number; subleaf: number; reg: "eax" | "ebx" | "ecx" | "edx" }
  | { msr: number };

const cpuid = (leaf: number, reg: "eax" | "ebx" | "ecx" | "edx", subleaf = 0): Place => ({
  leaf,
  subleaf,
  reg,
});

/** Where the words are, in the order of QEMU's warnings. */
const words = {
  "1.edx": cpuid(1, "edx"),
  "1.ecx": cpuid(1, "ecx"),
  "7.ebx": cpuid(7, "ebx"),
  "7.ecx": cpuid(7, "ecx"),
  "7.edx": cpuid(7, "edx"),
  "7/1.eax": cpuid(7, "eax", 1),
  "80000001.edx": cpuid(0x80000001, "edx"),
  "80000001.ecx": cpuid(0x80000001, "ecx"),
  "80000007.edx": cpuid(0x80000007, "edx"),
  "80000008.ebx": cpuid(0x80000008, "ebx"),
  "c0000001.edx": cpuid(0xc0000001, "edx"),
  "8000000a.edx": cpuid(0x8000000a, "edx"),
  "d/1.eax": cpuid(0xd, "eax", 1),
  "6.eax": cpuid(6, "eax"),
  IA32_ARCH_CAPABILITIES: { msr: 0x10a },
  IA32_CORE_CAPABILITIES: { msr: 0xcf },
  IA32_PERF_CAPABILITIES: { msr: 0x345 },
  IA32_VMX_TRUE_PROCBASED_CTLS: { msr: 0x48e },
  IA32_VMX_PROCBASED_CTLS2: { msr: 0x48b },
  IA32_VMX_TRUE_PINBASED_CTLS: { msr: 0x48d },
  IA32_VMX_TRUE_EXIT_CTLS: { msr: 0x48f },
  IA32_VMX_TRUE_ENTRY_CTLS: { msr: 0x490 },
  IA32_VMX_MISC: { msr: 0x485 },
  IA32_VMX_EPT_VPID_CAP: { msr: 0x48c },
  IA32_VMX_BASIC: { msr: 0x480 },
  IA32_VMX_VMFUNC: { msr: 0x491 },
  "14.ecx": cpuid(0x14, "ecx"),
  "12.eax": cpuid(0x12, "eax"),
  "12.ebx": cpuid(0x12, "ebx"),
  "12/1.eax": cpuid(0x12, "eax", 1),
} satisfies Record<string, Place>;

const names: Record<Word, string> = {
  // From bit 0 up; "@n" goes on with bit n.
  "1.edx":
    "fpu vme de pse tsc msr pae mce cx8 apic @11 sep mtrr pge mca cmov pat pse36 pn clflush " +
    "@21 ds acpi mmx fxsr sse sse2 ss ht tm ia64 pbe",
  "1.ecx": "pni pclmulqdq dtes64 monitor ds-cpl vmx smx est tm2 ssse3 cid @12 fma cx16 xtpr pdcm " +
    "@17 pcid dca sse4.1 sse4.2 x2apic movbe popcnt tsc-deadline aes xsave @28 avx f16c " +
    "rdrand hypervisor",
  "7.ebx":
    "fsgsbase tsc-adjust sgx bmi1 hle avx2 @7 smep bmi2 erms invpcid rtm @14 mpx @16 avx512f " +
    "avx512dq rdseed adx smap avx512ifma pcommit clflushopt clwb intel-pt avx512pf avx512er " +
    "avx512cd sha-ni avx512bw avx512vl",
  "7.ecx": "@1 avx512vbmi umip pku @5 waitpkg avx512vbmi2 @8 gfni vaes vpclmulqdq avx512vnni " +
    "avx512bitalg @14 avx512-vpopcntdq @16 la57 @22 rdpid @24 bus-lock-detect cldemote @27 " +
    "movdiri movdir64b @30 sgxlc pks",
  "7.edx":
    "@2 avx512-4vnniw avx512-4fmaps fsrm @8 avx512-vp2intersect @10 md-clear @14 serialize " +
    "@16 tsx-ldtrk @19 arch-lbr @22 amx-bf16 avx512-fp16 amx-tile amx-int8 spec-ctrl stibp " +
    "@29 arch-capabilities core-capability ssbd",
  "7/1.eax": "@4 avx-vnni avx512-bf16",
  "80000001.edx": "@11 syscall @20 nx @22 mmxext @25 fxsr-opt pdpe1gb rdtscp @29 lm 3dnowext 3dnow",
  "80000001.ecx":
    "lahf-lm cmp-legacy svm extapic cr8legacy abm sse4a misalignsse 3dnowprefetch osvw ibs " +
    "xop skinit wdt @15 lwp fma4 tce @19 nodeid-msr @21 tbm topoext perfctr-core perfctr-nb",
  "80000007.edx": "@8 invtsc",
  "80000008.ebx":
    "clzero @2 xsaveerptr @9 wbnoinvd @12 ibpb @14 ibrs amd-stibp @24 amd-ssbd virt-ssbd " +
    "amd-no-ssb",
  "c0000001.edx": "@2 xstore xstore-en @6 xcrypt xcrypt-en ace2 ace2-en phe phe-en pmm pmm-en",
  "8000000a.edx":
    "npt lbrv svm-lock nrip-save tsc-scale vmcb-clean flushbyasid decodeassists @10 " +
    "pause-filter @12 pfthreshold avic @15 v-vmsave-vmload vgif @28 svme-addr-chk",
  "d/1.eax": "xsaveopt xsavec xgetbv1 xsaves xfd",
  "6.eax": "@2 arat",
  IA32_ARCH_CAPABILITIES:
    "rdctl-no ibrs-all rsba skip-l1dfl-vmentry ssb-no mds-no pschange-mc-no tsx-ctrl taa-no",
  IA32_CORE_CAPABILITIES: "@5 split-lock-detect",
  IA32_PERF_CAPABILITIES: "@13 full-width-write",
  IA32_VMX_TRUE_PROCBASED_CTLS:
    "@2 vmx-vintr-pending vmx-tsc-offset @7 vmx-hlt-exit @9 vmx-invlpg-exit vmx-mwait-exit " +
    "vmx-rdpmc-exit vmx-rdtsc-exit @15 vmx-cr3-load-noexit vmx-cr3-store-noexit @19 " +
    "vmx-cr8-load-exit vmx-cr8-store-exit vmx-flexpriority vmx-vnmi-pending vmx-movdr-exit " +
    "vmx-io-exit vmx-io-bitmap @27 vmx-mtf vmx-msr-bitmap vmx-monitor-exit vmx-pause-exit " +
    "vmx-secondary-ctls",
  IA32_VMX_PROCBASED_CTLS2:
    "vmx-apicv-xapic vmx-ept vmx-desc-exit vmx-rdtscp-exit vmx-apicv-x2apic vmx-vpid " +
    "vmx-wbinvd-exit vmx-unrestricted-guest vmx-apicv-register vmx-apicv-vid vmx-ple " +
    "vmx-rdrand-exit vmx-invpcid-exit vmx-vmfunc vmx-shadow-vmcs vmx-encls-exit " +
    "vmx-rdseed-exit vmx-pml @20 vmx-xsaves @25 vmx-tsc-scaling",
  IA32_VMX_TRUE_PINBASED_CTLS:
    "vmx-intr-exit @3 vmx-nmi-exit @5 vmx-vnmi vmx-preemption-timer vmx-posted-intr",
  IA32_VMX_TRUE_EXIT_CTLS:
    "@2 vmx-exit-nosave-debugctl @12 vmx-exit-load-perf-global-ctrl @15 vmx-exit-ack-intr @18 " +
    "vmx-exit-save-pat vmx-exit-load-pat vmx-exit-save-efer vmx-exit-load-efer " +
    "vmx-exit-save-preemption-timer vmx-exit-clear-bndcfgs @25 vmx-exit-clear-rtit-ctl @29 " +
    "vmx-exit-load-pkrs",
  IA32_VMX_TRUE_ENTRY_CTLS:
    "@2 vmx-entry-noload-debugctl @9 vmx-entry-ia32e-mode @13 vmx-entry-load-perf-global-ctrl " +
    "vmx-entry-load-pat vmx-entry-load-efer vmx-entry-load-bndcfgs @18 vmx-entry-load-rtit-ctl " +
    "@22 vmx-entry-load-pkrs",
  IA32_VMX_MISC:
    "@5 vmx-store-lma vmx-activity-hlt vmx-activity-shutdown vmx-activity-wait-sipi @29 " +
    "vmx-vmwrite-vmexit-fields vmx-zero-len-inject",
  IA32_VMX_EPT_VPID_CAP:
    "vmx-ept-execonly @6 vmx-page-walk-4 vmx-page-walk-5 @16 vmx-ept-2mb vmx-ept-1gb @20 " +
    "vmx-invept vmx-eptad vmx-ept-advanced-exitinfo @25 vmx-invept-single-context " +
    "vmx-invept-all-context @32 vmx-invvpid @40 vmx-invvpid-single-addr @42 " +
    "vmx-invvpid-all-context vmx-invept-single-context-noglobals",
  IA32_VMX_BASIC: "@54 vmx-ins-outs vmx-true-ctls",
  IA32_VMX_VMFUNC: "vmx-eptp-switching",
  "14.ecx": "@31 intel-pt-lip",
  "12.eax": "sgx1 sgx2",
  "12.ebx": "sgx-exinfo",
  "12/1.eax": "@1 sgx-debug sgx-mode64 @4 sgx-provisionkey sgx-tokenkey @7 sgx-kss",
};

/** Other spellings that QEMU takes. */
const aliases: Record<string, string> = {
  sse3: "pni",
  "sse4-1": "sse4.1",
  "sse4-2": "sse4.2",
  pclmuldq: "pclmulqdq",
  xd: "nx",
  i64: "lm",
  ffxsr: "fxsr-opt",
};

/** KVM's paravirtual features: settled by what the host's KVM has. */
const PARAVIRTUAL = new Set(
  ("kvmclock kvmclock-stable-bit kvm-asyncpf kvm-asyncpf-int kvm-hint-dedicated kvm-mmu " +
    "kvm-msi-ext-dest-id kvm-nopiodelay kvm-poll-control kvm-pv-eoi kvm-pv-ipi " +
    "kvm-pv-sched-yield kvm-pv-tlb-flush kvm-pv-unhalt kvm-steal-time").split(" "),
);

const places = new Map<string, { word: Word; bit: number }>();
for (const [word, list] of Object.entries(names) as [Word, string][]) {
  let bit = 0;
  for (const name of list.split(" ")) {
    if (name[0] === "@") bit = Number(name.slice(1));
    else places.set(name, { word, bit: bit++ });
  }
}

/** Canonical name of a feature, or undefined. */
export function featureName(name: string): string | undefined {
  const dashed = name.replaceAll("_", "-"), n = aliases[dashed] ?? dashed;
  return places.has(n) ? n : undefined;
}

export function featurePlace(name: string): { word: Word; bit: number } {
  return places.get(name)!;
}

/** Every feature name, those of model-specific registers too, in the order of words and bits. */
export function allFeatures(): string[] {
  return [...places.keys()];
}

/** The names that `-cpu help` lists; two of them stand for two bits and come twice. */
export function recognizedFlags(): string[] {
  return [...places.keys(), ...PARAVIRTUAL, "kvmclock", "vmx-invept-single-context"].sort();
}

/** Where a word is. */
export function wordAt(word: Word): Place {
  return words[word];
}

/** A word as QEMU's warnings name it: `CPUID.07H:EBX`, `MSR(10AH)`. */
export function describeWord(word: Word): string {
  const at = wordAt(word), hex = (n: number) => n.toString(16).toUpperCase();
  if ("msr" in at) return `MSR(${hex(at.msr)}H)`;
  return `CPUID.${hex(at.leaf).padStart(2, "0")}H:${at.reg.toUpperCase()}`;
}

/** Whether this is a feature of KVM's paravirtual interface, which only KVM decides on. */
export function paravirtual(name: string): boolean {
  return PARAVIRTUAL.has(name.replaceAll("_", "-"));
}
