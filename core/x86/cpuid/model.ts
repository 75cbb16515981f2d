/** Turns a `-cpu` value into what CPUID answers. */
import type { CpuidEnv, CpuModel } from "../../accel.ts";
import { UserError } from "../../errors.ts";
import { allFeatures, featureName, featurePlace, type Word } from "./features.ts";
import { models, type ModelSpec } from "./models.ts";

export interface CpuidResult {
  eax: number;
  ebx: number;
  ecx: number;
  edx: number;
}

/** Features that the software accelerator implements. What a model has beyond them is left out. */
export const tcgFeatures: ReadonlySet<string> = new Set(
  ("fpu vme de pse tsc msr pae mce cx8 apic sep mtrr pge mca cmov pat pse36 clflush acpi mmx fxsr " +
    "sse sse2 ss ht pni ssse3 movbe popcnt monitor hypervisor nx mmxext 3dnowprefetch abm arat " +
    "sse4.1 sse4.2 sse4a aes pclmulqdq sha-ni " +
    "lm syscall lahf-lm cx16 fsgsbase pcid invpcid smep smap umip pku la57 rdtscp rdpid rdrand " +
    "rdseed xsave xsaveopt xsavec xgetbv1 pdpe1gb clflushopt clwb adx " +
    "avx avx2 fma f16c bmi1 bmi2 vaes vpclmulqdq gfni 3dnow 3dnowext").split(" "),
);

export interface ResolvedModel {
  readonly model: CpuModel;
  /** Warnings to print: features asked for that the accelerator has not. */
  readonly warnings: string[];
}

const DEFAULT = "qemu64";

/**
 * Parses `-cpu MODEL,+f,-f,f=on|off,family=,model=,stepping=,vendor=,model-id=,level=…`.
 * @param available features of the accelerator
 * @throws UserError with QEMU's words for an unknown model or property
 */
export function resolveCpu(
  text: string | undefined,
  available: ReadonlySet<string> = tcgFeatures,
): ResolvedModel {
  const [name, ...props] = (text ?? DEFAULT).split(",");
  const base = models.find((m) => m.name === name || `${m.name}-v1` === name);
  if (base === undefined) throw new UserError(`unable to find CPU model '${name}'`);
  const max = base.features === "*";
  const wanted = new Set(max ? [...available] : base.features.split(" "));
  const spec: { -readonly [K in keyof ModelSpec]: ModelSpec[K] } = { ...base };
  const explicit = new Set<string>();
  const off = new Set<string>();
  let enforce = false, check = true;
  const set = (raw: string, on: boolean): void => {
    const f = featureName(raw);
    if (f === undefined) {
      throw new UserError(
        `can't apply global ${name}-x86_64-cpu.${raw}=${on ? "on" : "off"}: ` +
          `Property '${name}-x86_64-cpu.${raw}' not found`,
      );
    }
    if (on) {
      wanted.add(f);
      explicit.add(f);
      off.delete(f);
    } else {
      wanted.delete(f);
      off.add(f);
    }
  };
  for (const p of props) {
    if (p === "") continue;
    if (p[0] === "+" || p[0] === "-") {
      set(p.slice(1), p[0] === "+");
      continue;
    }
    const eq = p.indexOf("=");
    const key = eq < 0 ? p : p.slice(0, eq), value = eq < 0 ? "on" : p.slice(eq + 1);
    const bool = () => {
      if (["on", "yes", "true", "y"].includes(value)) return true;
      if (["off", "no", "false", "n"].includes(value)) return false;
      throw new UserError(
        `can't apply global ${name}-x86_64-cpu.${key}=${value}: Parameter '${key}' expects 'on' or 'off'`,
      );
    };
    const num = () => {
      const v = Number(value);
      if (!Number.isInteger(v) || v < 0 || value === "") {
        throw new UserError(
          `can't apply global ${name}-x86_64-cpu.${key}=${value}: Parameter '${key}' expects a number`,
        );
      }
      return v;
    };
    switch (key) {
      case "enforce":
        enforce = bool();
        break;
      case "check":
        check = bool();
        break;
      case "family":
      case "model":
      case "stepping":
      case "level":
      case "xlevel":
        spec[key] = num();
        break;
      case "vendor":
        if (value.length !== 12) {
          throw new UserError(`Property 'vendor' doesn't take value '${value}'`);
        }
        spec.vendor = value as ModelSpec["vendor"];
        break;
      case "model-id":
      case "model_id":
        spec.modelId = value;
        break;
      case "migratable":
      case "host-cache-info":
      case "l3-cache":
      case "kvm":
      case "pmu":
      case "x-force-features":
      case "tcg-cpuid":
        bool();
        break;
      case "phys-bits":
      case "host-phys-bits":
      case "host-phys-bits-limit":
        break;
      default:
        set(key, bool());
    }
  }
  const warnings: string[] = [];
  const have = new Set<string>();
  for (const f of wanted) {
    if (available.has(f)) have.add(f);
    else if (explicit.has(f) && check) {
      const { word, bit } = featurePlace(f);
      warnings.push(
        `warning: TCG doesn't support requested feature: CPUID.${wordName(word)}.${f} [bit ${bit}]`,
      );
    }
  }
  if (enforce && warnings.length > 0) {
    throw new UserError("TCG doesn't support requested features");
  }
  if (!off.has("hypervisor") && available.has("hypervisor")) have.add("hypervisor");
  return { model: new Model(spec, have), warnings };
}

function wordName(w: Word): string {
  const [leaf, reg] = w.split(".");
  const n = leaf === "d1" ? "0DH" : leaf.length > 2 ? `${leaf}H` : `0${leaf}H`;
  return `${n}:${reg.toUpperCase()}`;
}

class Model implements CpuModel {
  readonly name: string;
  readonly #words = new Map<Word, number>();

  constructor(readonly spec: ModelSpec, readonly features: ReadonlySet<string>) {
    this.name = spec.name;
    for (const f of features) {
      const { word, bit } = featurePlace(f);
      this.#words.set(word, (this.#words.get(word) ?? 0) | (1 << bit));
    }
  }

  has(feature: string): boolean {
    return this.features.has(feature) || feature === "clflush" && this.features.has("sse2");
  }

  #word(w: Word): number {
    return this.#words.get(w) ?? 0;
  }

  #signature(): number {
    const { family, model, stepping } = this.spec;
    const base = Math.min(family, 15), ext = Math.max(0, family - 15);
    return (ext << 20) | ((model >> 4) << 16) | (base << 8) | ((model & 15) << 4) | stepping;
  }

  cpuid(leaf: number, subleaf: number, env: CpuidEnv): CpuidResult {
    leaf >>>= 0;
    const zero = { eax: 0, ebx: 0, ecx: 0, edx: 0 };
    const { level, xlevel, vendor } = this.spec;
    if (leaf >= 0x40000000 && leaf < 0x40000100) {
      if (!this.has("hypervisor")) return zero;
      if (leaf === 0x40000000) return text(0x40000001, "TCGTCGTCGTCG");
      return zero;
    }
    // Leaves beyond the maximum answer as the highest basic leaf.
    if (leaf >= 0x80000000 ? leaf > xlevel : leaf > level) leaf = level;
    const logical = env.cores * env.threads;
    switch (leaf) {
      case 0:
        return vendorLeaf(level, vendor);
      case 1: {
        let edx = this.#word("1.edx"), ecx = this.#word("1.ecx");
        let ebx = (env.apicId << 24) | (8 << 8);
        if (!env.apicEnabled) edx &= ~(1 << 9);
        if (logical > 1) {
          ebx |= Math.min(logical, 255) << 16;
          edx |= 1 << 28;
        }
        if (env.osxsave) ecx |= 1 << 27;
        return { eax: this.#signature(), ebx, ecx, edx };
      }
      case 2:
        return { eax: 1, ebx: 0, ecx: 0x4d, edx: 0x2c307d };
      case 4:
        return cacheLeaf(subleaf, env);
      case 5:
        return { eax: 0, ebx: 0, ecx: 3, edx: 0 };
      case 6:
        return { ...zero, eax: this.#word("6.eax") };
      case 7:
        return subleaf === 0
          ? {
            eax: 0,
            ebx: this.#word("7.ebx"),
            ecx: this.#word("7.ecx"),
            edx: this.#word("7.edx"),
          }
          : zero;
      case 0xb:
        return topologyLeaf(subleaf, env);
      case 0x80000000:
        return vendorLeaf(xlevel, vendor);
      case 0x80000001: {
        let edx = this.#word("80000001.edx"), ecx = this.#word("80000001.ecx");
        // AMD repeats the features of leaf 1 that its extended leaf had first.
        if (vendor === "AuthenticAMD") edx |= this.#word("1.edx") & 0x0183f3ff;
        if (logical > 1 && vendor === "AuthenticAMD") ecx |= 2;
        return { eax: this.#signature(), ebx: 0, ecx, edx };
      }
      case 0x80000002:
      case 0x80000003:
      case 0x80000004:
        return nameLeaf(this.spec.modelId, leaf - 0x80000002);
      case 0x80000005:
        return { eax: 0x01ff01ff, ebx: 0x01ff01ff, ecx: 0x40020140, edx: 0x40020140 };
      case 0x80000006:
        return { eax: 0, ebx: 0x42004200, ecx: 0x02008140, edx: 0x00808140 };
      case 0x80000007:
        return { ...zero, edx: this.#word("80000007.edx") };
      case 0x80000008:
        return {
          eax: this.has("lm")
            ? (this.has("la57") ? 57 : 48) << 8 | 40
            : this.has("pse36") || this.has("pae")
            ? 36
            : 32,
          ebx: this.#word("80000008.ebx"),
          ecx: logical > 1 ? logical - 1 : 0,
          edx: 0,
        };
    }
    return zero;
  }
}

function word(s: string, at: number): number {
  let v = 0;
  for (let i = 3; i >= 0; i--) v = (v << 8) | (at + i < s.length ? s.charCodeAt(at + i) & 255 : 0);
  return v;
}

function vendorLeaf(max: number, vendor: string): CpuidResult {
  return { eax: max | 0, ebx: word(vendor, 0), edx: word(vendor, 4), ecx: word(vendor, 8) };
}

function text(max: number, s: string): CpuidResult {
  return { eax: max, ebx: word(s, 0), ecx: word(s, 4), edx: word(s, 8) };
}

function nameLeaf(id: string, n: number): CpuidResult {
  const at = 16 * n;
  return {
    eax: word(id, at),
    ebx: word(id, at + 4),
    ecx: word(id, at + 8),
    edx: word(id, at + 12),
  };
}

const log2ceil = (n: number): number => Math.ceil(Math.log2(Math.max(1, n)));

/** Deterministic cache parameters: 32 KiB L1 data and instruction, 4 MiB L2, 16 MiB L3. */
function cacheLeaf(subleaf: number, env: CpuidEnv): CpuidResult {
  const caches = [
    { type: 1, level: 1, sets: 64, ways: 8, shared: 0 },
    { type: 2, level: 1, sets: 64, ways: 8, shared: 0 },
    { type: 3, level: 2, sets: 4096, ways: 16, shared: 0 },
    { type: 3, level: 3, sets: 16384, ways: 16, shared: env.cores * env.threads - 1 },
  ];
  const c = caches[subleaf];
  if (c === undefined) return { eax: 0, ebx: 0, ecx: 0, edx: 0 };
  const coreIds = (1 << log2ceil(env.cores)) - 1;
  return {
    eax: c.type | (c.level << 5) | (1 << 8) | (c.shared << 14) | (coreIds << 26),
    ebx: 63 | ((c.ways - 1) << 22),
    ecx: c.sets - 1,
    edx: c.level === 3 ? 6 : 1,
  };
}

/** Extended topology: SMT, then core. */
function topologyLeaf(subleaf: number, env: CpuidEnv): CpuidResult {
  const smt = log2ceil(env.threads), core = smt + log2ceil(env.cores);
  const ecx = (subleaf & 0xff) | (subleaf === 0 ? 1 << 8 : subleaf === 1 ? 2 << 8 : 0);
  const edx = env.apicId;
  if (subleaf === 0) return { eax: smt, ebx: env.threads, ecx, edx };
  if (subleaf === 1) return { eax: core, ebx: env.cores * env.threads, ecx, edx };
  return { eax: 0, ebx: 0, ecx, edx };
}

/** What `-cpu help` prints: QEMU's layout. */
export function cpuHelp(): string {
  const lines = ["Available CPUs:"];
  for (const m of [...models].sort((a, b) => a.name < b.name ? -1 : 1)) {
    lines.push(`x86 ${m.name.padEnd(20)}  ${m.description}`.trimEnd());
  }
  lines.push("", "Recognized CPUID flags:");
  let line = " ";
  for (const f of allFeatures().sort()) {
    if (line.length + f.length + 1 > 76) {
      lines.push(line);
      line = " ";
    }
    line += ` ${f}`;
  }
  lines.push(line);
  return lines.join("\n") + "\n";
}
