/** Turns a `-cpu` value into a model: versions, features, what they need of each other, levels. */
import type { CpuModel } from "../../accel.ts";
import { UserError } from "../../errors.ts";
import {
  allFeatures,
  describeWord,
  featureName,
  featurePlace,
  paravirtual,
  type Word,
  wordAt,
} from "./features.ts";
import { Model, notInMax, tcgFeatures } from "./model.ts";
import { findModel, type VersionSpec } from "./models.ts";
import { DEFAULT_PARAVIRTUAL, offeredParavirtual } from "./paravirtual.ts";
import { BOOLEANS, BOOLEANS_OF_MAX, readBoolean } from "./properties.ts";

export interface ResolvedModel {
  readonly model: CpuModel;
  /** Warnings to print for each CPU: features asked for that the accelerator has not. */
  readonly warnings: string[];
}

const DEFAULT = "qemu64";

/** What `max` and `host` leave out unless told otherwise: another host may not have it. */
const UNMIGRATABLE: readonly string[] = ["invtsc"];

/** Words that mean nothing without a feature, which then takes them away. */
const DEPENDENCIES: readonly (readonly [feature: string, words: readonly Word[]])[] = [
  ["arch-capabilities", ["IA32_ARCH_CAPABILITIES"]],
  ["core-capability", ["IA32_CORE_CAPABILITIES"]],
  ["pdcm", ["IA32_PERF_CAPABILITIES"]],
  ["vmx", [
    "IA32_VMX_TRUE_PROCBASED_CTLS",
    "IA32_VMX_PROCBASED_CTLS2",
    "IA32_VMX_TRUE_PINBASED_CTLS",
    "IA32_VMX_TRUE_EXIT_CTLS",
    "IA32_VMX_TRUE_ENTRY_CTLS",
    "IA32_VMX_MISC",
    "IA32_VMX_EPT_VPID_CAP",
    "IA32_VMX_BASIC",
    "IA32_VMX_VMFUNC",
  ]],
  ["svm", ["8000000a.edx"]],
  ["intel-pt", ["14.ecx"]],
];

/** The parts of a `-cpu` value behind the model. */
interface Properties {
  readonly values: ReadonlyMap<string, string>;
  readonly on: ReadonlySet<string>;
  /** Features asked for by name, on or off. */
  readonly named: ReadonlySet<string>;
  readonly off: ReadonlySet<string>;
}

/** `key=value` in their order, then every `+feature`, then every `-feature`, as QEMU applies them. */
function readProperties(parts: readonly string[], missing: (key: string) => UserError): Properties {
  const values = new Map<string, string>();
  const on = new Set<string>(), off = new Set<string>(), named = new Set<string>();
  const set = (feature: string, enabled: boolean) => {
    named.add(feature);
    (enabled ? on : off).add(feature);
    (enabled ? off : on).delete(feature);
  };
  const signed: Record<string, string[]> = { "+": [], "-": [] };
  for (const part of parts) {
    if (part === "") continue;
    if (part[0] === "+" || part[0] === "-") {
      signed[part[0]].push(part.slice(1));
      continue;
    }
    const eq = part.indexOf("=");
    const key = eq < 0 ? part : part.slice(0, eq), value = eq < 0 ? "on" : part.slice(eq + 1);
    const feature = featureName(key);
    if (feature === undefined) values.set(key.replaceAll("_", "-"), value);
    else set(feature, readBoolean(value) ?? true);
  }
  for (const sign of ["+", "-"]) {
    for (const name of signed[sign]) {
      const feature = featureName(name), key = name.replaceAll("_", "-");
      if (feature !== undefined) set(feature, sign === "+");
      else if (BOOLEANS.has(key) || BOOLEANS_OF_MAX.has(key) || paravirtual(name)) {
        values.set(key, sign === "+" ? "on" : "off");
      } else throw missing(name);
    }
  }
  return { values, on, off, named };
}

/** Highest leaves, and subleaf of leaf 7. */
interface Levels {
  readonly basic: number;
  readonly extended: number;
  readonly centaur: number;
  readonly seven: number;
}

/** The highest leaves that a feature's word needs. */
function leavesOf(features: ReadonlySet<string>): Levels {
  let centaur = 0, basic = 0, extended = 0;
  if (features.has("intel-pt")) basic = 0x14;
  if (features.has("svm")) extended = 0x8000000a;
  for (const f of features) {
    const at = wordAt(featurePlace(f).word);
    if ("msr" in at) continue;
    if (at.leaf >= 0xc0000000) centaur = Math.max(centaur, at.leaf);
    else if (at.leaf >= 0x80000000) extended = Math.max(extended, at.leaf);
    else basic = Math.max(basic, at.leaf);
  }
  const seven = [...features].some((f) => featurePlace(f).word === "7/1.eax") ? 1 : 0;
  return { basic, extended, centaur, seven };
}

/**
 * Parses `-cpu MODEL,+f,-f,f=on|off,family=,model=,stepping=,vendor=,model-id=,level=…`.
 * @param text undefined for the default model, of which nobody wants to hear what is missing
 * @param available features of the accelerator
 * @param warn hears of what is missing before `enforce` throws
 * @param kvm the guest expects KVM: it gets the paravirtual features that KVM gives by default
 * @throws UserError with QEMU's words for an unknown model or property
 */
export function resolveCpu(
  text: string | undefined,
  available: ReadonlySet<string> = tcgFeatures,
  warn: (line: string) => void = () => {},
  kvm = false,
): ResolvedModel & { readonly model: Model } {
  const [name, ...parts] = (text ?? DEFAULT).split(",");
  const spec = findModel(name);
  if (spec === undefined) throw new UserError(`unable to find CPU model '${name}'`);
  const p = readProperties(
    parts,
    (key) => new UserError(`Property '${name}-x86_64-cpu.${key}' not found`),
  );
  const flag = (key: string, normally: boolean) => {
    const value = p.values.get(key);
    return value === undefined ? normally : readBoolean(value) ?? normally;
  };
  const wanted = new Set(spec.features === "*" ? available : spec.set);
  if (spec.features === "*" && flag("migratable", true)) {
    for (const f of UNMIGRATABLE) wanted.delete(f);
  }
  if (spec.features === "*" && available === tcgFeatures) {
    for (const f of notInMax) wanted.delete(f);
  }
  for (const f of p.on) wanted.add(f);
  for (const f of p.off) wanted.delete(f);
  if (!p.off.has("hypervisor") && name !== "base") wanted.add("hypervisor");

  const complaints = new Map<string, string>();
  for (const [feature, words] of DEPENDENCIES) {
    if (wanted.has(feature)) continue;
    for (const f of [...wanted]) {
      if (!words.includes(featurePlace(f).word)) continue;
      wanted.delete(f);
      if (p.named.has(f)) {
        complaints.set(f, "This feature depends on other features that were not requested");
      }
    }
  }
  const levels = leavesOf(wanted);
  const have = new Set<string>();
  for (const f of wanted) {
    if (available.has(f)) have.add(f);
    else complaints.set(f, "TCG doesn't support requested feature");
  }
  const enforce = flag("enforce", false);
  const dependent = (p.values.get("hv-vendor-id") ?? "").length > 12
    ? ["warning: hv-vendor-id truncated to 12 characters"]
    : [];
  const unsupported: string[] = [];
  for (const f of allFeatures()) {
    const complaint = complaints.get(f);
    if (complaint === undefined) continue;
    const { word, bit } = featurePlace(f);
    (complaint.startsWith("This") ? dependent : unsupported)
      .push(`warning: ${complaint}: ${describeWord(word)}.${f} [bit ${bit}]`);
  }
  if (enforce && complaints.size > 0) {
    for (const line of [...dependent, ...unsupported]) warn(line);
    throw new UserError("TCG doesn't support requested features");
  }
  const check = flag("check", true) && text !== undefined;
  return {
    model: makeModel(name, spec, p, have, wanted, levels, flag, kvm),
    warnings: [...dependent, ...(check ? unsupported : [])],
  };
}

function makeModel(
  name: string,
  spec: VersionSpec,
  p: Properties,
  have: ReadonlySet<string>,
  wanted: ReadonlySet<string>,
  levels: Levels,
  flag: (key: string, normally: boolean) => boolean,
  kvm: boolean,
): Model {
  const number = (key: string, normally: number) => {
    const value = p.values.get(key);
    return value === undefined ? normally : Number(value);
  };
  const vendor = p.values.get("vendor") ?? spec.vendor;
  const long = have.has("lm"), asked = number("phys-bits", 0);
  if (long && asked !== 0 && (asked < 32 || asked > 52)) {
    throw new UserError(`phys-bits should be between 32 and 52  (but is ${asked})`);
  }
  if (!long && asked !== 0) throw new UserError("phys-bits is not user-configurable in 32 bit");
  const ownCaches = !flag("legacy-cache", spec.caches === undefined);
  if (ownCaches && spec.caches === undefined) {
    throw new UserError(`CPU model '${spec.name}' doesn't support legacy-cache=off`);
  }
  const raised = flag("full-cpuid-auto-level", true);
  const basic = Math.max(number("min-level", spec.level), raised ? levels.basic : 0);
  const extended = Math.max(number("min-xlevel", spec.xlevel), raised ? levels.extended : 0);
  return new Model(name, spec, {
    vendor,
    family: number("family", spec.family),
    model: number("model", spec.model),
    stepping: number("stepping", spec.stepping),
    modelId: p.values.get("model-id") ?? spec.modelId,
    level: number("level", basic),
    levelFixed: p.values.has("level"),
    xlevel: number("xlevel", extended),
    xlevel2: number("xlevel2", levels.centaur),
    level7: number("level-func7", levels.seven),
    physBits: long ? asked || 40 : wanted.has("pse36") ? 36 : 32,
    l3: flag("l3-cache", true),
    topologyLeaf: flag("cpuid-0xb", true),
    signature: flag("tcg-cpuid", true),
    paravirtual: paravirtualFeatures(p.values, flag, kvm),
    ownCaches,
  }, have);
}

/**
 * KVM's paravirtual features: those of `+kvmclock` and the like, with `kvm=on` or where the guest
 * expects KVM what it has by default. Undefined for none, which is how a plain TCG starts; `kvm=off`
 * hides them all.
 */
function paravirtualFeatures(
  values: ReadonlyMap<string, string>,
  flag: (key: string, normally: boolean) => boolean,
  kvm: boolean,
): ReadonlySet<string> | undefined {
  const hidden = !flag("kvm", true), expected = kvm || values.has("kvm");
  const have = new Set<string>();
  for (const f of offeredParavirtual) {
    if (flag(f, expected && DEFAULT_PARAVIRTUAL.has(f))) have.add(f);
  }
  return hidden || (have.size === 0 && !expected) ? undefined : have;
}
