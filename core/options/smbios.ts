/** `-smbios`: structures from files, and fields of the structures that firmware gets. */
import type { CommandLine } from "./command_line.ts";
import { fail, strerror } from "./host.ts";
import { checkBool, checkNumber, type Opts, type OptsList, type OptType } from "./qemu_opts.ts";
import { parseUuid } from "./settings.ts";

export const SMBIOS_OPTS: OptsList = { name: "smbios" };

const MAX_TYPE = 127;
/** Bytes of a structure's header: DSP0134 6.1.2. */
const HEADER = 4;
const DEFAULT_CPU_SPEED = 2000;

/** A port connector, type 8. */
export interface SmbiosConnector {
  readonly internal: string | undefined;
  readonly external: string | undefined;
  readonly connectorType: number;
  readonly portType: number;
}

/** An onboard device, type 41. */
export interface SmbiosOnboard {
  readonly designation: string | undefined;
  /** Value of "device type" without the enabled bit. */
  readonly kind: number;
  readonly instance: number;
  /** Id of a PCI device. */
  readonly pcidev: string | undefined;
}

/** All `-smbios` options together. */
export interface SmbiosOptions {
  /** Structures from files, in order; they come first. */
  readonly binaries: Uint8Array[];
  /** Types of those, which are not made besides. */
  readonly binaryTypes: Set<number>;
  /** The texts given for types 0 to 4 and 17, by QEMU's names; a type may be named without any. */
  readonly texts: Map<number, Map<string, string>>;
  /** Type 0: major and minor release, and whether the firmware is UEFI. */
  release: readonly [number, number] | undefined;
  uefi: boolean;
  /** Type 4: what stands in place of CPUID; MHz. */
  processorId: bigint;
  maxSpeed: number;
  currentSpeed: number;
  /** Type 17: MT/s. */
  memorySpeed: number;
  readonly connectors: SmbiosConnector[];
  /** Type 11. */
  readonly oemStrings: Uint8Array[];
  readonly onboard: SmbiosOnboard[];
}

export function noSmbios(): SmbiosOptions {
  return {
    binaries: [],
    binaryTypes: new Set(),
    texts: new Map(),
    release: undefined,
    uefi: false,
    processorId: 0n,
    maxSpeed: DEFAULT_CPU_SPEED,
    currentSpeed: DEFAULT_CPU_SPEED,
    memorySpeed: 0,
    connectors: [],
    oemStrings: [],
    onboard: [],
  };
}

/** Texts of each type that can be given, and its other values. */
const TEXTS: Readonly<Record<number, readonly string[]>> = {
  0: ["vendor", "version", "date"],
  1: ["manufacturer", "product", "version", "serial", "sku", "family"],
  2: ["manufacturer", "product", "version", "serial", "asset", "location"],
  3: ["manufacturer", "version", "serial", "asset", "sku"],
  4: ["sock_pfx", "manufacturer", "version", "serial", "asset", "part"],
  17: ["loc_pfx", "bank", "manufacturer", "serial", "asset", "part"],
};
const OTHERS: Readonly<Record<number, Readonly<Record<string, OptType>>>> = {
  0: { release: "string", uefi: "bool" },
  1: { uuid: "string" },
  2: {},
  3: {},
  4: { "max-speed": "number", "current-speed": "number", "processor-id": "number" },
  8: {
    internal_reference: "string",
    external_reference: "string",
    connector_type: "number",
    port_type: "number",
  },
  11: { value: "string", path: "string" },
  17: { speed: "number" },
  41: { designation: "string", kind: "string", instance: "number", pcidev: "string" },
};
/** Device types, DSP0134 7.42.2: the first is 1. */
const KINDS = [
  ...["other", "unknown", "video", "scsi", "ethernet", "tokenring", "sound", "pata", "sata", "sas"],
];

/** Adds one option. Throws UserError with QEMU's words. */
export function addSmbios(c: CommandLine, arg: string, loc: string): void {
  const opts = c.groups.parse(SMBIOS_OPTS, arg, loc, false);
  const file = opts.get("file"), type = opts.get("type");
  if (file !== undefined) addFile(c.smbios, opts, file);
  else if (type !== undefined) addFields(c, opts, type);
  else fail(loc, "Must specify type= or file=");
}

function addFile(s: SmbiosOptions, opts: Opts, path: string): void {
  const { loc } = opts;
  for (const [key] of opts.entries) if (key !== "file") fail(loc, `Invalid parameter '${key}'`);
  let data: Uint8Array | undefined;
  try {
    data = Deno.readFileSync(path);
  } catch {
    // Said below.
  }
  if (data === undefined || data.length < HEADER) fail(loc, `Cannot read SMBIOS file ${path}`);
  const type = data[0];
  if (type <= MAX_TYPE) {
    if (s.texts.has(type)) {
      fail(loc, `can't load type ${type} struct, fields already specified!`);
    }
    s.binaryTypes.add(type);
  }
  s.binaries.push(data);
}

/** A number as C's strtoul reads it with base 0: as far as it goes. */
function leadingNumber(text: string): number {
  const m = /^\s*([+-]?)(0[xX][0-9a-fA-F]+|0[0-7]*|[1-9][0-9]*)/.exec(text);
  if (m === null) return 0;
  const n = /^0[0-7]+$/.test(m[2]) ? parseInt(m[2], 8) : Number(m[2]);
  return m[1] === "-" && n !== 0 ? Infinity : n;
}

function addFields(c: CommandLine, opts: Opts, typeText: string): void {
  const s = c.smbios, { loc } = opts, type = leadingNumber(typeText);
  if (type > MAX_TYPE) fail(loc, "out of range!");
  if (s.binaryTypes.has(type)) fail(loc, "can't add fields, binary file already loaded!");
  const others = OTHERS[type];
  if (others === undefined) {
    fail(loc, `Don't know how to build fields for SMBIOS type ${type}`);
  }
  const names = TEXTS[type] ?? [];
  for (const [key, value] of opts.entries) {
    const kind = key === "type" ? "number" : names.includes(key) ? "string" : others[key];
    if (kind === undefined) fail(loc, `Invalid parameter '${key}'`);
    if (kind === "number") checkNumber(loc, key, value);
    if (kind === "bool") checkBool(loc, key, value);
  }
  const texts = s.texts.get(type) ?? new Map<string, string>();
  s.texts.set(type, texts);
  for (const name of names) {
    const value = opts.get(name);
    if (value !== undefined) texts.set(name, value);
  }
  const number = (key: string, otherwise: number) =>
    Number(BigInt.asUintN(32, opts.number(key) ?? BigInt(otherwise)));
  switch (type) {
    case 0:
      s.release = parseRelease(opts) ?? s.release;
      s.uefi = opts.bool("uefi", false);
      return;
    case 1: {
      const uuid = opts.get("uuid");
      if (uuid !== undefined) c.uuid = parseUuid(uuid, loc, "Invalid UUID");
      return;
    }
    case 4:
      s.processorId = opts.number("processor-id") ?? 0n;
      s.maxSpeed = cpuSpeed(opts, "max-speed");
      s.currentSpeed = cpuSpeed(opts, "current-speed");
      return;
    case 8:
      s.connectors.push({
        internal: opts.get("internal_reference"),
        external: opts.get("external_reference"),
        connectorType: number("connector_type", 0) & 0xff,
        portType: number("port_type", 0) & 0xff,
      });
      return;
    case 11:
      for (const [key, value] of opts.entries) {
        if (key === "value") s.oemStrings.push(new TextEncoder().encode(value));
        if (key === "path") s.oemStrings.push(readText(value, loc));
      }
      return;
    case 17:
      s.memorySpeed = number("speed", 0) & 0xffff;
      return;
    case 41: {
      const kind = opts.get("kind"), index = kind === undefined ? 0 : KINDS.indexOf(kind);
      if (index < 0) fail(loc, `invalid parameter value: ${kind}`);
      s.onboard.push({
        designation: opts.get("designation"),
        kind: index + 1,
        instance: number("instance", 1) & 0xff,
        pcidev: opts.get("pcidev"),
      });
    }
  }
}

/** `release=MAJOR.MINOR`, each a byte, read as scanf's `%hhu.%hhu` does. */
function parseRelease(opts: Opts): [number, number] | undefined {
  const text = opts.get("release");
  if (text === undefined) return undefined;
  const m = /^\s*([+-]?\d+)\.\s*([+-]?\d+)/.exec(text);
  if (m === null) fail(opts.loc, "Invalid release");
  const byte = (digits: string) => Number(BigInt.asUintN(8, BigInt(digits.replace("+", ""))));
  return [byte(m[1]), byte(m[2])];
}

function cpuSpeed(opts: Opts, key: string): number {
  const speed = opts.number(key) ?? BigInt(DEFAULT_CPU_SPEED);
  if (speed > 0xffffn) fail(opts.loc, "SMBIOS CPU speed is too large (> 65535)");
  return Number(speed);
}

/** The text of a file, for type 11. */
function readText(path: string, loc: string): Uint8Array {
  let data: Uint8Array;
  try {
    data = Deno.readFileSync(path);
  } catch (e) {
    const why = strerror(e), directory = why === "Is a directory";
    fail(
      loc,
      directory ? `Unable to read from ${path}: ${why}` : `Could not open '${path}': ${why}`,
    );
  }
  if (data.includes(0)) fail(loc, `NUL in OEM strings value in ${path}`);
  return data;
}
