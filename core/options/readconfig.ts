/**
 * `-readconfig`: a file of sections `[group "id"]` with lines `key = "value"`, each section an option
 * of that group. Read as QEMU's scanf patterns read it: what stands behind a value's closing quote is
 * ignored, and a line with one word is a key with an empty value.
 */
import { UserError } from "../errors.ts";
import { ACPI_OPTS } from "./acpitable.ts";
import type { CommandLine } from "./command_line.ts";
import { fail, fileLocation, strerror } from "./host.ts";
import { type Keyval, mergeKeyval } from "./keyval.ts";
import * as lists from "./lists.ts";
import type { Opts, OptsList } from "./qemu_opts.ts";
import { SMBIOS_OPTS } from "./smbios.ts";

/** Longest group, id and key; longest value; longest line. The rest of a line is one of its own. */
const WORD = 63, VALUE = 1023, LINE = 1023;

type Entries = Map<string, string>;

interface Section {
  readonly group: string;
  readonly entries: Entries;
}

/** Groups whose options are machine properties or objects: keys with dots are dictionaries. */
const STRUCTURED = ["object", "machine", "smp-opts", "boot-opts"];

/** Groups of which QEMU looks at its command line's options alone. */
const UNHEEDED: readonly OptsList[] = [
  lists.OPTION_ROM_OPTS,
  SMBIOS_OPTS,
  ACPI_OPTS,
  {
    name: "trace",
    implied: "enable",
    keys: { enable: "string", events: "string", file: "string" },
  },
];

/** Groups of options that are missing here. */
const MISSING = [
  ...["netdev", "nic", "fsdev", "tpmdev", "add-fd", "iscsi", "spice", "vnc", "plugin", "incoming"],
];

type Effect = (c: CommandLine, opts: Opts) => void;
/** What an option of a group does besides being one of the group. */
const EFFECTS: Readonly<Record<string, Effect>> = {
  chardev: (c, opts) => void c.chardevs.push(opts),
  mon: (c, opts) => void c.monitors.push(opts),
  accel: (_c, opts) => required(opts, "accel"),
  net(_c, opts) {
    required(opts, "type");
    if (opts.get("type") !== "none") fail(opts.loc, "Option not supported in this build");
  },
  global(_c, opts) {
    for (const key of ["driver", "property", "value"]) {
      if (!opts.has(key)) opts.set(key, "(null)");
    }
  },
};

function required(opts: Opts, key: string): void {
  if (!opts.has(key)) fail(opts.loc, `Parameter '${key}' is missing`);
}

/** Adds what the file `path` has. Throws UserError with QEMU's words. */
export function readConfig(c: CommandLine, path: string, loc: string): void {
  let text: string;
  try {
    text = Deno.readTextFileSync(path);
  } catch (e) {
    const why = strerror(e), directory = why === "Is a directory";
    fail(loc, directory ? `Cannot read config file: ${why}` : `Could not open '${path}': ${why}`);
  }
  let section: Section | undefined, at = "";
  const finish = () => {
    if (section !== undefined) apply(c, section, at);
  };
  let number = 0;
  for (const line of splitLines(text)) {
    number++;
    if (line[0] === "\n" || line[0] === "#") continue;
    const next = line[0] === "[" ? parseHeader(line) : undefined;
    if (next !== undefined) {
      finish();
      section = next;
      continue;
    }
    at = fileLocation(path, number);
    const pair = parsePair(line);
    if (pair === undefined) fail(at, "parse error");
    if (section === undefined) fail(at, "no group defined");
    section.entries.set(...pair);
  }
  finish();
}

function* splitLines(text: string): Generator<string> {
  for (let at = 0; at < text.length;) {
    const end = text.indexOf("\n", at);
    const stop = Math.min(end < 0 ? text.length : end + 1, at + LINE);
    yield text.slice(at, stop);
    at = stop;
  }
}

function parseHeader(line: string): Section | undefined {
  const word = `\\S{${WORD}}|\\S+(?=\\s)`;
  const named = new RegExp(`^\\[(${word})\\s*"([^"]{1,${WORD}})`).exec(line);
  if (named !== null) return { group: named[1], entries: new Map([["id", named[2]]]) };
  const plain = new RegExp(`^\\[([^\\]]{1,${WORD}})`).exec(line);
  return plain === null ? undefined : { group: plain[1], entries: new Map() };
}

function parsePair(line: string): [key: string, value: string] | undefined {
  const key = new RegExp(`^\\s*(\\S{1,${WORD}})`).exec(line);
  if (key === null) return undefined;
  const rest = line.slice(key[0].length);
  return [key[1], new RegExp(`^\\s*=\\s*"([^"]{1,${VALUE}})`).exec(rest)?.[1] ?? ""];
}

/** One whole section. Its errors go without hints, as in QEMU. */
function apply(c: CommandLine, { group, entries }: Section, loc: string): void {
  try {
    if (STRUCTURED.includes(group)) applyStructured(c, group, entries, loc);
    else applyGroup(c, group, entries, loc);
  } catch (e) {
    throw e instanceof UserError ? new UserError(e.message, e.status) : e;
  }
}

function applyGroup(c: CommandLine, group: string, entries: Entries, loc: string): void {
  const known = [...lists.OPTS_GROUPS, lists.NUMA_OPTS];
  const list = known.find((l) => l.name === group && !UNHEEDED.includes(l));
  const unheeded = UNHEEDED.find((l) => l.name === group);
  if (MISSING.includes(group)) fail(loc, "Option not supported in this build");
  if (list === undefined && unheeded === undefined) {
    fail(loc, `There is no option group '${group}'`);
  }
  const opts = c.groups.create(list ?? unheeded!, entries.get("id"), loc);
  for (const [key, value] of entries) if (key !== "id") c.groups.add(opts, key, value, loc);
  if (unheeded !== undefined) c.groups.drop(opts);
  EFFECTS[group]?.(c, opts);
}

function applyStructured(c: CommandLine, group: string, entries: Entries, loc: string): void {
  if (group === "object") {
    const opts = c.groups.create(lists.OBJECT_OPTS, entries.get("id"), loc);
    for (const [key, value] of entries) if (key !== "id") opts.set(key, value);
    if (!entries.has("id")) fail(loc, "Parameter 'id' is missing");
    return;
  }
  const dict = nest(entries, loc);
  if (group === "machine") {
    if (dict.has("accel")) c.accelFromEnableKvm = false;
    return mergeKeyval(c.machine, dict, loc);
  }
  mergeKeyval(c.machine, new Map([[group === "smp-opts" ? "smp" : "boot", dict]]), loc);
}

/** `a.b = "x"` is `b` in the dictionary `a`. */
function nest(entries: Entries, loc: string): Keyval {
  const keys = [...entries.keys()];
  if (keys.length > 0 && keys.every((k) => /^\d+$/.test(k))) {
    fail(loc, "Lists cannot be at top level of a configuration section");
  }
  const all: Keyval = new Map();
  for (const [key, value] of entries) {
    const path = key.split("."), last = path.pop()!;
    let one: Keyval = new Map([[last, value]]);
    for (const part of path.reverse()) one = new Map([[part, one]]);
    mergeKeyval(all, one, loc);
  }
  return all;
}
