/** CPUID feature names against what the host's KVM supports: `-cpu host`, and QEMU's warnings. */
import type { CpuModel } from "../accel.ts";
import {
  allFeatures,
  describeWord,
  featurePlace,
  type Place,
  type Word,
  wordAt,
} from "../x86/cpuid/features.ts";
import type { CpuidEntry } from "./cpuid.ts";

/** Machine features, there whatever the host's list says. */
const OWN = new Set(["hypervisor", "ht"]);
/** What KVM serves only with its own LAPIC. */
export const LAPIC_FEATURES: readonly string[] = ["x2apic", "tsc-deadline"];

/** Where a feature word is in a CPUID table; undefined for a model-specific register. */
export function wordPlace(word: Word): Exclude<Place, { msr: number }> | undefined {
  const at = wordAt(word);
  return "msr" in at ? undefined : at;
}

/** QEMU's names of all features in KVM's supported CPUID. */
export function supportedFeatures(supported: readonly CpuidEntry[]): ReadonlySet<string> {
  const found = new Set<string>(OWN);
  for (const name of allFeatures()) {
    const { word, bit } = featurePlace(name), at = wordPlace(word);
    if (at === undefined) continue;
    const entry = supported.find((e) => e.leaf === at.leaf && e.subleaf === at.subleaf);
    if (entry !== undefined && (entry[at.reg] >>> bit) & 1) found.add(name);
  }
  return found;
}

/** The vendor string of leaf 0, if it has twelve characters as vendors have. */
export function vendorOf(supported: readonly CpuidEntry[]): string | undefined {
  const e = supported.find((o) => o.leaf === 0);
  if (e === undefined) return undefined;
  const bytes = [e.ebx, e.edx, e.ecx].flatMap((w) => [0, 8, 16, 24].map((n) => w >>> n & 255));
  return bytes.includes(0) ? undefined : String.fromCharCode(...bytes);
}

/** `-cpu host`: everything that KVM supports. CPUID comes from KVM's list itself. */
export function makeHostModel(features: ReadonlySet<string>): CpuModel {
  return {
    name: "host",
    has: (feature) => features.has(feature),
    cpuid: () => ({ eax: 0, ebx: 0, ecx: 0, edx: 0 }),
  };
}

/** A line per feature that the model has and the host has not, in QEMU's words. */
export function missingFeatures(model: CpuModel, features: ReadonlySet<string>): string[] {
  if (model.name === "host" || model.name === "max") return [];
  const missing = allFeatures().filter((name) =>
    wordPlace(featurePlace(name).word) !== undefined && model.has(name) && !features.has(name)
  );
  return missing.map((name) => {
    const { word, bit } = featurePlace(name);
    return "warning: host doesn't support requested feature: " +
      `${describeWord(word)}.${name} [bit ${bit}]`;
  });
}
