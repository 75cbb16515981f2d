/** The options that set one thing each: memory, boot order, clock, instruction counting, actions. */
import type {
  ActionOptions,
  BootOptions,
  IcountOptions,
  MemoryOptions,
  RtcOptions,
} from "./config.ts";
import { fail, type OptionsHost } from "./host.ts";
import type { Keyval } from "./keyval.ts";
import type { MachineType } from "./machines.ts";
import { parseBool, parseInt64, parseSize, parseUint64 } from "./numbers.ts";
import { type Opts, warnHexSuffix } from "./qemu_opts.ts";

/** One dictionary-valued machine property: each key read once, unknown ones refused. */
class StructReader {
  #seen = new Set<string>();
  constructor(private readonly name: string, private readonly dict: Keyval | undefined) {}

  string(key: string): string | undefined {
    this.#seen.add(key);
    const v = this.dict?.get(key);
    if (v instanceof Map) fail("", `Parameters '${this.name}.${key}.*' are unexpected`);
    return v;
  }

  bool(key: string): boolean | undefined {
    const v = this.string(key);
    if (v === undefined) return undefined;
    return parseBool(v) ?? fail("", `Parameter '${this.name}.${key}' expects 'on' or 'off'`);
  }

  integer(key: string): number | undefined {
    const v = this.string(key);
    if (v === undefined) return undefined;
    const n = parseInt64(v);
    if (typeof n === "string") fail("", `Parameter '${this.name}.${key}' expects integer`);
    return Number(n);
  }

  size(key: string, host: OptionsHost): bigint | undefined {
    const v = this.string(key);
    if (v === undefined) return undefined;
    const s = parseSize(v);
    if (typeof s === "string") fail("", `Parameter '${this.name}.${key}' expects size`);
    if (s.hexSuffix) warnHexSuffix(host, "", v);
    return s.bytes;
  }

  done(): void {
    for (const key of this.dict?.keys() ?? []) {
      if (!this.#seen.has(key)) fail("", `Parameter '${this.name}.${key}' is unexpected`);
    }
  }
}

/** The machine property `memory` from `-m`: a number without a suffix is MiB. */
export function memoryProperty(opts: Opts | undefined): Keyval {
  const prop: Keyval = new Map();
  if (!opts) return prop;
  const size = opts.get("size");
  if (size !== undefined && (opts.size("size") ?? 0n) !== 0n) {
    prop.set("size", /[0-9]$/.test(size) ? `${size}M` : size);
  }
  const maxmem = opts.get("maxmem");
  if (maxmem !== undefined) prop.set("max-size", maxmem);
  const slots = opts.get("slots");
  if (slots !== undefined) prop.set("slots", slots);
  return prop;
}

/** Checks memory sizes against each other. */
export function resolveMemory(
  dict: Keyval | undefined,
  machine: MachineType,
  host: OptionsHost,
): MemoryOptions {
  const reader = new StructReader("memory", dict);
  const given = reader.size("size", host);
  const max = reader.size("max-size", host);
  const slotsText = reader.string("slots");
  let slots = 0n;
  if (slotsText !== undefined) {
    const n = parseUint64(slotsText);
    if (typeof n === "string") fail("", "Parameter 'memory.slots' expects uint64");
    slots = n;
  }
  reader.done();
  const size = given || BigInt(machine.defaultRam);
  const hex = (n: bigint) => `0x${n.toString(16)}`;
  if (slotsText !== undefined && max === undefined) fail("", "slots specified but no max-size");
  if (max !== undefined) {
    if (max < size) {
      fail(
        "",
        `invalid value of maxmem: maximum memory size (${hex(max)}) must be at least ` +
          `the initial memory size (${hex(size)})`,
      );
    }
    if (slots > 0n && max === size) {
      fail(
        "",
        "invalid value of maxmem: memory slots were specified but maximum memory size " +
          `(${hex(max)}) is equal to the initial memory size (${hex(size)})`,
      );
    }
  }
  if (slots > 256n) fail("", `unsupported amount of memory slots: ${slots}`);
  return { size: Number(size), slots: Number(slots), maxmem: Number(max ?? size) };
}

function checkBootDevices(order: string): void {
  const seen = new Set<string>();
  for (const c of order) {
    if (c < "a" || c > "p") fail("", `Invalid boot device '${c}'`);
    if (seen.has(c)) fail("", `Boot device '${c}' was given twice`);
    seen.add(c);
  }
}

/** Reads the machine property `boot`. */
export function resolveBoot(dict: Keyval | undefined): BootOptions {
  const reader = new StructReader("boot", dict);
  const boot: BootOptions = {
    order: reader.string("order"),
    once: reader.string("once"),
    menu: reader.bool("menu") ?? false,
    splash: reader.string("splash"),
    splashTime: reader.integer("splash-time"),
    rebootTimeout: reader.integer("reboot-timeout"),
    strict: reader.bool("strict") ?? false,
  };
  reader.done();
  if (boot.order !== undefined) checkBootDevices(boot.order);
  if (boot.once !== undefined) checkBootDevices(boot.once);
  return boot;
}

/** What the pc board's firmware interface can express of {@link BootOptions}. */
export function checkPcBoot(boot: BootOptions): void {
  const order = boot.once ?? boot.order ?? "";
  if (order.length > 3) fail("", "Too many boot devices for PC");
  for (const c of order) {
    if (!"abcdn".includes(c)) fail("", `Invalid boot device for PC: '${c}'`);
  }
  const { splashTime, rebootTimeout } = boot;
  if (splashTime !== undefined && (splashTime < 0 || splashTime > 0xffff)) {
    fail("", "splash-time is invalid,it should be a value between 0 and 65535");
  }
  if (rebootTimeout !== undefined && (rebootTimeout < -1 || rebootTimeout > 0xffff)) {
    fail("", "reboot timeout is invalid,it should be a value between -1 and 65535");
  }
}

/** `-rtc`: a date is UTC, days and months beyond their range carry over. */
export function resolveRtc(opts: Opts | undefined): RtcOptions {
  const rtc: RtcOptions = {
    base: "utc",
    datetime: undefined,
    clock: "host",
    driftfix: "none",
  };
  const base = opts?.get("base");
  if (base === "localtime") {
    rtc.base = "localtime";
  } else if (base !== undefined && base !== "utc") {
    const full = /^\s*(\d+)-(\d+)-(\d+)T(\d+):(\d+):(\d+)/.exec(base);
    const m = full ?? /^\s*(\d+)-(\d+)-(\d+)/.exec(base);
    if (!m) {
      fail(
        "",
        "invalid datetime format",
        "valid formats: '2006-06-17T16:01:21' or '2006-06-17'",
      );
    }
    const n = m.slice(1).map(Number);
    rtc.base = "datetime";
    rtc.datetime = Date.UTC(n[0], n[1] - 1, n[2], n[3] ?? 0, n[4] ?? 0, n[5] ?? 0);
  }
  const clock = opts?.get("clock") ?? "host";
  if (clock !== "host" && clock !== "rt" && clock !== "vm") {
    fail("", `invalid option value '${clock}'`);
  }
  rtc.clock = clock;
  const driftfix = opts?.get("driftfix") ?? "none";
  if (driftfix !== "none" && driftfix !== "slew") fail("", `invalid option value '${driftfix}'`);
  rtc.driftfix = driftfix;
  return rtc;
}

/** `-icount`; undefined when instruction counting is off. */
export function resolveIcount(opts: Opts | undefined): IcountOptions | undefined {
  if (!opts) return undefined;
  const { loc } = opts;
  const rr = opts.get("rr");
  if (rr !== undefined) {
    if (rr !== "record" && rr !== "replay") fail(loc, `Invalid icount rr option: ${rr}`);
    if (!opts.has("rrfile")) fail(loc, "File name not specified for replay");
    fail(loc, "Record/replay is not supported in this build");
  }
  const shift = opts.get("shift");
  if (shift === undefined || shift === "") {
    if (opts.has("align")) fail(loc, "Please specify shift option when using align");
    return undefined;
  }
  const align = opts.bool("align", false);
  const sleep = opts.bool("sleep", true);
  if (align && !sleep) fail(loc, "align=on and sleep=off are incompatible");
  if (shift === "auto") return { shift: "auto", align, sleep };
  const n = parseInt64(shift);
  if (typeof n === "string" || n < 0n || n > 10n) fail(loc, "icount: Invalid shift value");
  return { shift: Number(n), align, sleep };
}

const ACTIONS: { readonly [K in keyof ActionOptions]: readonly ActionOptions[K][] } = {
  reboot: ["reset", "shutdown"],
  shutdown: ["poweroff", "pause"],
  panic: ["pause", "shutdown", "exit-failure", "none"],
  watchdog: ["reset", "shutdown", "poweroff", "inject-nmi", "pause", "debug", "none"],
};

/** `-action`, `-no-reboot`, `-no-shutdown`, `-watchdog-action` together. */
export function resolveActions(opts: Opts | undefined): ActionOptions {
  const actions: ActionOptions = {
    reboot: "reset",
    shutdown: "poweroff",
    panic: "shutdown",
    watchdog: "reset",
  };
  for (const [key, value] of opts?.entries ?? []) checkAction(key, value, opts!.loc, actions);
  return actions;
}

/** Checks one action and notes it in `into`. */
export function checkAction(key: string, value: string, loc: string, into: ActionOptions): void {
  const known = ACTIONS[key as keyof ActionOptions] as readonly string[];
  if (!known.includes(value)) fail(loc, `Parameter '${key}' does not accept value '${value}'`);
  (into as unknown as Record<string, string>)[key] = value;
}

const VGA_NAMES: Record<string, string> = {
  none: "no graphic card",
  std: "standard VGA",
  cirrus: "Cirrus VGA",
  vmware: "VMWare SVGA",
  qxl: "QXL VGA",
  tcx: "TCX framebuffer",
  cg3: "CG3 framebuffer",
  virtio: "Virtio VGA",
};

/** What `-vga help` prints. */
export function vgaHelp(): string {
  return `${"none".padEnd(20)} ${VGA_NAMES.none}\n` +
    `${"std".padEnd(20)} ${VGA_NAMES.std} (default)\n`;
}

/** `-vga TYPE[,retrace=dumb|precise]`. */
export function resolveVga(text: string): "std" | "none" {
  const name = Object.keys(VGA_NAMES).find((n) => text.startsWith(n));
  if (name === undefined) fail("", `unknown vga type: ${text}`);
  if (name !== "std" && name !== "none") fail("", `${VGA_NAMES[name]} not available`);
  if (!/^(,retrace=(dumb|precise))*$/.test(text.slice(name.length))) {
    fail("", `unknown vga type: ${text}`);
  }
  return name;
}

/** `8-4-4-4-12` hexadecimal digits, lower case in the result. */
export function parseUuid(
  text: string,
  loc: string,
  otherwise = "failed to parse UUID string: wrong format",
): string {
  if (!/^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i.test(text)) {
    fail(loc, otherwise);
  }
  return text.toLowerCase();
}
