/** `-cpu MODEL,+feature,-feature,key=value`: known names and values, before a vCPU is made of them. */
import { UserError } from "../errors.ts";
import { featureName, paravirtual } from "../x86/cpuid/features.ts";
import { findModel } from "../x86/cpuid/models.ts";
import { BOOLEANS, BOOLEANS_OF_MAX, INTEGERS, SMALL_INTEGERS } from "../x86/cpuid/properties.ts";
import { type OptionsHost, warn } from "./host.ts";
import { parseBool, parseInt64, parseUint64 } from "./numbers.ts";

/**
 * Checks a `-cpu` value. `software`: the accelerator cannot pass the host's CPU through. Throws UserError with QEMU's words.
 */
export function checkCpu(text: string, software: boolean, host: OptionsHost): void {
  if (text === "") throw new UserError("-cpu option cannot be empty");
  const [name, ...parts] = text.split(",");
  if (name !== "host" && findModel(name) === undefined) {
    throw new UserError(`unable to find CPU model '${name}'`);
  }
  warnAmbiguous(parts, host);
  const type = `${name}-x86_64-cpu`;
  const missing = (key: string) => `Property '${type}.${key}' not found`;
  for (const part of parts) {
    if (part === "" || part[0] === "+" || part[0] === "-") continue;
    const eq = part.indexOf("=");
    const key = eq < 0 ? part : part.slice(0, eq);
    const value = eq < 0 ? "on" : part.slice(eq + 1);
    const problem = checkProperty(name, key, value) ?? "";
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
    if ((part[0] === "+" || part[0] === "-") && !isSwitch(name, feature)) {
      throw new UserError(missing(feature));
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

function isSwitch(model: string, written: string): boolean {
  const key = written.replaceAll("_", "-");
  return featureName(written) !== undefined || paravirtual(key) || BOOLEANS.has(key) ||
    (BOOLEANS_OF_MAX.has(key) && (model === "max" || model === "host"));
}

/** What is wrong with a property, or undefined. */
function checkProperty(model: string, written: string, value: string): string | undefined {
  const key = written.replaceAll("_", "-");
  if (isSwitch(model, written)) {
    return parseBool(value) === undefined
      ? `Parameter '${written}' expects 'on' or 'off'`
      : undefined;
  }
  const max = SMALL_INTEGERS.get(key);
  if (max !== undefined) {
    const v = parseInt64(value);
    if (typeof v === "string") return `Parameter '${key}' expects int64`;
    return v < 0n || v > BigInt(max)
      ? `Property .${key} doesn't take value ${v} (minimum: 0, maximum: ${max})`
      : undefined;
  }
  const type = INTEGERS.get(key);
  if (type !== undefined) {
    const v = type === "int64" ? parseInt64(value) : parseUint64(value);
    const fits = typeof v !== "string" && (type !== "uint32_t" || v < 1n << 32n);
    return fits
      ? undefined
      : `Parameter '${key}' expects ${
        type === "uint32_t" && typeof v === "string" ? "uint64" : type
      }`;
  }
  if (key === "vendor") {
    return value.length === 12 ? undefined : `Property '.vendor' doesn't take value '${value}'`;
  }
  if (key === "hv-no-nonarch-coresharing") {
    return ["on", "off", "auto"].includes(value)
      ? undefined
      : `Parameter '${key}' does not accept value '${value}'`;
  }
  return key === "model-id" || key === "hv-vendor-id" ? undefined : "missing";
}
