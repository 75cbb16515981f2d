/** `-cpu` under KVM: what the host has, in QEMU's words where it has less than was asked for. */
import type { CpuModel } from "../accel.ts";
import { UserError } from "../errors.ts";
import { allFeatures } from "../x86/cpuid/features.ts";
import { resolveCpu, type ResolvedModel, tcgFeatures } from "../x86/cpuid/model.ts";
import { LAPIC_FEATURES, missingFeatures } from "./features.ts";

const DEFAULT = "qemu64";
/** What QEMU changes in its models under KVM, unless it is asked otherwise. */
const KVM_DEFAULTS = ["acpi=off", "monitor=off", "svm=off", "x2apic=on"];

/** What KVM shows of its paravirtual features to a machine that may have to go on without it. */
const PORTABLE_PARAVIRTUAL = "kvm=on,kvmclock=off,kvmclock-stable-bit=off,kvm-pv-eoi=off".split(
  ",",
);

/** The part of `KvmAccelerator` that matters here. */
interface Host {
  readonly features: ReadonlySet<string>;
  /** Its CPUID vendor, which every model takes over, as in QEMU. */
  readonly vendor?: string;
}

/**
 * Resolves a `-cpu` value for KVM.
 * @param text the value, or undefined for the default model
 * @param host a `KvmAccelerator`
 * @param portable the machine may have to go on under tcg: models other than `host` get no feature
 * that tcg has not, and none of KVM's own LAPIC
 * @throws UserError for an unknown model or property, or under `enforce`
 */
export function resolveKvmCpu(
  text: string | undefined,
  host: Host,
  portable: boolean,
  warn: (line: string) => void = () => {},
): ResolvedModel {
  const [name, ...props] = (text ?? "").split(",");
  const whole = name === "host" || name === "max";
  const plain = props.filter((p) => !/^enforce(=|$)/.test(p));
  if (!whole) plain.unshift(...KVM_DEFAULTS);
  if (!whole && host.vendor !== undefined) plain.unshift(`vendor=${host.vendor}`);
  const as = (model: string, list: string[]) => [model, ...list].join(",");
  const asked = whole
    ? resolveCpu(as("max", plain), host.features)
    : resolveCpu(as(name || DEFAULT, plain), new Set(allFeatures()));
  const warnings = whole
    ? asked.warnings.map((w) => w.replace("TCG doesn't", "host doesn't"))
    : missingFeatures(asked.model, host.features);
  const enforce = props.findLast((p) => /^enforce(=|$)/.test(p));
  if (enforce !== undefined && !/=(off|no|false|n)$/.test(enforce) && warnings.length > 0) {
    for (const w of warnings) warn(w);
    throw new UserError("Host doesn't support requested features");
  }
  if (props.some((p) => /^check=(off|no|false|n)$/.test(p))) warnings.length = 0;
  if (whole) {
    const { model } = asked;
    return { model: name === "host" ? renamed(model, "host") : model, warnings };
  }
  const common = portable
    ? new Set([...host.features].filter((f) => tcgFeatures.has(f) && !LAPIC_FEATURES.includes(f)))
    : host.features;
  if (portable && !/^(off|no|false|n)$/.test(valueOf(props, "kvm") ?? "")) {
    plain.push(...PORTABLE_PARAVIRTUAL);
  }
  return { model: resolveCpu(as(name || DEFAULT, plain), common).model, warnings };
}

function valueOf(props: readonly string[], key: string): string | undefined {
  return props.findLast((p) => p.startsWith(`${key}=`))?.slice(key.length + 1);
}

function renamed(model: CpuModel, name: string): CpuModel {
  return {
    name,
    has: (feature) => model.has(feature),
    cpuid: (leaf, subleaf, env) => model.cpuid(leaf, subleaf, env),
  };
}
