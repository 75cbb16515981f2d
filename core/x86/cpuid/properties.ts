/** Properties of a CPU besides its features, by QEMU's names. */

const HYPER_V = "relaxed vapic time crash reset vpindex runtime synic stimer frequencies " +
  "reenlightenment tlbflush evmcs ipi stimer-direct avic apicv syndbg emsr-bitmap tlbflush-ext " +
  "tlbflush-direct passthrough enforce-cpuid xmm-input";

/** Switches. Those of Hyper-V and KVM mean nothing to a software CPU, as in QEMU. */
export const BOOLEANS: ReadonlySet<string> = new Set([
  ...["check", "enforce", "host-cache-info", "l3-cache", "legacy-cache", "kvm", "pmu", "lmce"],
  ...["x-force-features", "tcg-cpuid", "host-phys-bits", "kvm-no-smi-migration"],
  ...["full-cpuid-auto-level", "fill-mtrr-mask", "cpuid-0xb", "vmware-cpuid-freq"],
  ...["kvm-pv-enforce-cpuid", "start-powered-off", "x-intel-pt-auto-level"],
  ...["x-migrate-smi-count", "x-vendor-cpuid-only", "x-hv-synic-kvm-only"],
  ...HYPER_V.split(" ").map((name) => `hv-${name}`),
]);

/** Switches of `max` and `host` alone. */
export const BOOLEANS_OF_MAX: ReadonlySet<string> = new Set(["migratable"]);

export function readBoolean(value: string): boolean | undefined {
  if (["on", "yes", "true", "y"].includes(value)) return true;
  if (["off", "no", "false", "n"].includes(value)) return false;
  return undefined;
}

/** Integers of a bounded range: what the guest sees of the model. */
export const SMALL_INTEGERS: ReadonlyMap<string, number> = new Map([
  ["family", 255 + 15],
  ["model", 255],
  ["stepping", 15],
]);

/** uint32_t and wider, by the type that QEMU's messages name. */
export const INTEGERS: ReadonlyMap<string, "uint32_t" | "uint64" | "int64"> = new Map([
  ...["level", "xlevel", "xlevel2", "min-level", "min-xlevel", "min-xlevel2", "phys-bits"]
    .map((key) => [key, "uint32_t"] as const),
  ["level-func7", "uint32_t"],
  ["hv-spinlocks", "uint64"],
  ["host-phys-bits-limit", "uint64"],
  ["ucode-rev", "uint64"],
  ["lbr-fmt", "uint64"],
  ["hv-version-id-build", "uint32_t"],
  ["hv-version-id-snumber", "uint32_t"],
  ["hv-version-id-spack", "uint32_t"],
  ["tsc-frequency", "int64"],
]);
