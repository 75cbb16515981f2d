/** `-cpu MODEL,+feature,-feature,key=value`: known names and values, before a vCPU is made of them. */
import { UserError } from "../errors.ts";
import { featureName } from "../x86/cpuid/features.ts";
import { models } from "../x86/cpuid/models.ts";
import { type OptionsHost, warn } from "./host.ts";
import { parseBool, parseInt64, parseUint64 } from "./numbers.ts";

/** Keys besides features: numbers with their greatest values, 64-bit numbers, switches. */
const NUMBERS: Record<string, number> = { family: 255 + 15, model: 255, stepping: 15 };
const UINT64 = ["level", "xlevel", "xlevel2", "min-level", "min-xlevel", "phys-bits"];
const SWITCHES = [
  ...["check", "enforce", "migratable", "host-cache-info", "l3-cache", "kvm", "pmu"],
  ...["x-force-features", "tcg-cpuid", "host-phys-bits", "kvm-no-smi-migration"],
  ...["full-cpuid-auto-level", "fill-mtrr-mask", "lmce", "cpuid-0xb"],
];

/**
 * Checks a `-cpu` value. `software`: the accelerator cannot pass the host's CPU through. Throws UserError with QEMU's words.
 */
export function checkCpu(text: string, software: boolean, host: OptionsHost): void {
  if (text === "") throw new UserError("-cpu option cannot be empty");
  const [name, ...parts] = text.split(",");
  const known = name === "host" ||
    models.some((m) => m.name === name || `${m.name}-v1` === name);
  if (!known) throw new UserError(`unable to find CPU model '${name}'`);
  warnAmbiguous(parts, host);
  const type = `${name}-x86_64-cpu`;
  const missing = (key: string) => `Property '${type}.${key}' not found`;
  for (const part of parts) {
    if (part === "" || part[0] === "+" || part[0] === "-") continue;
    const eq = part.indexOf("=");
    const key = eq < 0 ? part : part.slice(0, eq);
    const value = eq < 0 ? "on" : part.slice(eq + 1);
    const problem = checkProperty(key, value) ?? "";
    if (problem !== "") {
      const why = problem === "missing" ? missing(key) : problem;
      throw new UserError(`can't apply global ${type}.${key}=${value}: ${why}`);
    }
  }
  if (name === "host" && software) {
    throw new UserError("CPU model 'host' requires KVM or HVF");
  }
  for (const part of parts) {
    const feature = part.slice(1);
    if ((part[0] === "+" || part[0] === "-") && featureName(feature) === undefined) {
      if (!SWITCHES.includes(feature.replaceAll("_", "-"))) throw new UserError(missing(feature));
    }
  }
}

/** Tells of features that are given both as `+f` or `-f` and as `f=`. */
function warnAmbiguous(parts: readonly string[], host: OptionsHost): void {
  const signed = parts.filter((p) => p[0] === "+" || p[0] === "-");
  let ambiguous = false;
  for (const part of parts) {
    const name = part.split("=", 1)[0];
    for (const sign of ["+", "-"]) {
      if (!signed.includes(sign + name)) continue;
      const value = part.includes("=") ? part.slice(name.length + 1) : "on";
      const both = `"${sign}${name}" and "${name}=${value}"`;
      warn(host, "", `Ambiguous CPU model string. Don't mix both ${both}`);
      ambiguous = true;
    }
  }
  if (ambiguous) {
    warn(
      host,
      "",
      "Compatibility of ambiguous CPU model strings won't be kept on future QEMU versions",
    );
  }
}

/** What is wrong with a property, or undefined. */
function checkProperty(written: string, value: string): string | undefined {
  const key = written.replaceAll("_", "-");
  if (featureName(written) !== undefined || SWITCHES.includes(key)) {
    return parseBool(value) === undefined
      ? `Parameter '${written}' expects 'on' or 'off'`
      : undefined;
  }
  if (Object.hasOwn(NUMBERS, key)) {
    const v = parseInt64(value);
    if (typeof v === "string") return `Parameter '${key}' expects int64`;
    const max = NUMBERS[key];
    return v < 0n || v > BigInt(max)
      ? `Property .${key} doesn't take value ${v} (minimum: 0, maximum: ${max})`
      : undefined;
  }
  if (UINT64.includes(key)) {
    return typeof parseUint64(value) === "string" ? `Parameter '${key}' expects uint64` : undefined;
  }
  if (key === "vendor") {
    return value.length === 12 ? undefined : `Property '.vendor' doesn't take value '${value}'`;
  }
  if (key === "tsc-frequency") {
    return typeof parseInt64(value) === "string"
      ? "Parameter 'tsc-frequency' expects int64"
      : undefined;
  }
  return key === "model-id" || key.startsWith("hv-") ? undefined : "missing";
}
