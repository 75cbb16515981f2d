/** `-accel`, `-machine accel=` and `-enable-kvm`: which accelerators to try, and their properties. */
import type { AcceleratorOptions } from "./config.ts";
import { fail, located, type OptionsHost, report } from "./host.ts";
import { parseBool, parseInt64, parseUint64 } from "./numbers.ts";
import type { Opts } from "./qemu_opts.ts";
import { UserError } from "../errors.ts";

export const ACCELERATORS = ["tcg", "kvm"] as const;

/** What `-accel help` prints. */
export function acceleratorHelp(): string {
  return "Accelerators supported in QEMU binary:\n" + ACCELERATORS.map((a) => a + "\n").join("");
}

type Check = (value: string, name: string, loc: string) => void;

const uint64: Check = (v, name, loc) => {
  if (typeof parseUint64(v) === "string") fail(loc, `Parameter '${name}' expects uint64`);
};
const int64: Check = (v, name, loc) => {
  if (typeof parseInt64(v) === "string") fail(loc, `Parameter '${name}' expects int64`);
};
const bool: Check = (v, name, loc) => {
  if (parseBool(v) === undefined) fail(loc, `Parameter '${name}' expects 'on' or 'off'`);
};
const oneOf = (...words: string[]): Check => (v, name, loc) => {
  if (!words.includes(v)) fail(loc, `Parameter '${name}' does not accept value '${v}'`);
};

const PROPS: Record<AcceleratorOptions["name"], Record<string, Check>> = {
  tcg: {
    thread: (v, _name, loc) => {
      if (v !== "single" && v !== "multi") fail(loc, `Invalid 'thread' setting ${v}`);
    },
    "tb-size": uint64,
    "split-wx": bool,
    tier: oneOf("0", "1"), // ours
  },
  kvm: {
    "kernel-irqchip": oneOf("on", "off", "split"),
    "kvm-shadow-mem": int64,
    "dirty-ring-size": uint64,
    "notify-vmexit": oneOf("run", "internal-error", "disable"),
    "notify-window": uint64,
  },
};

export interface AcceleratorChoice {
  accels: AcceleratorOptions[];
  enableKvm: boolean;
  accelFallback: boolean;
}

/**
 * The accelerators to try in order. `list` is `accel=` of the machine, `fromEnableKvm` whether
 * `-enable-kvm` set it. Unknown names are reported and skipped; when none is left the last one is
 * the error.
 * @param kernelIrqchip of `-machine`, which `-accel kvm,kernel-irqchip=` overrides
 */
export function resolveAccelerators(
  opts: readonly Opts[],
  list: string | undefined,
  fromEnableKvm: boolean,
  icount: boolean,
  host: OptionsHost,
  kernelIrqchip?: string,
): AcceleratorChoice {
  if (opts.length > 0 && list !== undefined) {
    fail("", 'The -accel and "-machine accel=" options are incompatible');
  }
  const fallback = /kvm$/.test(host.programName) ? "kvm:tcg" : "tcg:kvm";
  const wanted = opts.length > 0
    ? opts.map((o) => ({ name: o.get("accel")!, entries: o.entries, loc: o.loc }))
    : (list ?? fallback).split(":").filter((n, _i, all) => n !== "" || all.length > 1)
      .map((name) => ({ name, entries: [] as [string, string][], loc: "" }));
  const accels: AcceleratorOptions[] = [];
  const unknown: string[] = [];
  for (const { name, entries, loc } of wanted) {
    if (name !== "tcg" && name !== "kvm") {
      unknown.push(located(loc, `invalid accelerator ${name}`));
      continue;
    }
    const props = new Map<string, string>();
    if (name === "kvm" && kernelIrqchip !== undefined) {
      const key = "kernel-irqchip";
      PROPS.kvm[key](
        kernelIrqchip,
        key,
        located(loc, `can't apply global kvm-accel.${key}=${kernelIrqchip}`),
      );
      props.set(key, kernelIrqchip);
    }
    for (const [key, value] of entries) {
      if (key === "accel") continue;
      if (!Object.hasOwn(PROPS[name], key)) fail(loc, `Property '${name}-accel.${key}' not found`);
      PROPS[name][key](value, key, loc);
      props.set(key, value);
    }
    if (name === "tcg" && icount && props.get("thread") === "multi") {
      fail(loc, "No MTTCG when icount is enabled");
    }
    accels.push({ name, props, loc });
  }
  if (accels.length === 0) {
    const last = unknown.pop();
    for (const m of unknown) report(host, "", m);
    throw new UserError(last ?? "no accelerator found");
  }
  for (const m of unknown) report(host, "", m);
  const enableKvm = fromEnableKvm && opts.length === 0;
  if (icount && accels[0].name === "kvm" && !enableKvm) {
    fail("", "-icount is not allowed with hardware virtualization");
  }
  if (enableKvm) accels.push({ name: "tcg", props: new Map(), loc: "" });
  return { accels, enableKvm, accelFallback: unknown.length > 0 };
}
