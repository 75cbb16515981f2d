/**
 * `key=value,key2,nokey` options checked against a list of known keys: QEMU's QemuOpts. A comma in
 * a value is written twice; the first value may go without its key.
 */
import { EarlyExit, fail, type OptionsHost, warn } from "./host.ts";
import { parseBool, parseSize, parseUint64 } from "./numbers.ts";

export type OptType = "string" | "bool" | "number" | "size";

/** A group of options of one shape, such as all `-chardev`s. */
export interface OptsList {
  /** Appears in `Duplicate ID` messages and in help. */
  readonly name: string;
  /** The key of a first value without one. */
  readonly implied?: string;
  /** All uses of the option add to one set of values. */
  readonly merge?: boolean;
  /** Known keys; undefined accepts any key as a string. */
  readonly keys?: Readonly<Record<string, OptType>>;
  /** Help text of single keys. */
  readonly help?: Readonly<Record<string, string>>;
}

/** One parsed option. A key given twice has its last value. */
export class Opts {
  /** Every `key=value` in order. */
  readonly entries: [string, string][] = [];
  constructor(readonly list: OptsList, readonly id: string | undefined, public loc: string) {}

  get(key: string): string | undefined {
    for (let i = this.entries.length - 1; i >= 0; i--) {
      if (this.entries[i][0] === key) return this.entries[i][1];
    }
    return undefined;
  }

  has(key: string): boolean {
    return this.get(key) !== undefined;
  }

  bool(key: string, otherwise: boolean): boolean {
    const v = this.get(key);
    return v === undefined ? otherwise : checkBool(this.loc, key, v);
  }

  number(key: string): bigint | undefined {
    const v = this.get(key);
    return v === undefined ? undefined : checkNumber(this.loc, key, v);
  }

  size(key: string): bigint | undefined {
    const v = this.get(key);
    return v === undefined ? undefined : checkSize(this.loc, key, v);
  }

  set(key: string, value: string): void {
    this.entries.push([key, value]);
  }
}

/** `on`/`off` or QEMU's message about `key`. */
export function checkBool(loc: string, key: string, value: string): boolean {
  return parseBool(value) ?? fail(loc, `Parameter '${key}' expects 'on' or 'off'`);
}

/** A 64-bit number or QEMU's message about `key`. */
export function checkNumber(loc: string, key: string, value: string): bigint {
  const v = parseUint64(value);
  if (v === "range") fail(loc, `Value '${value}' is too large for parameter '${key}'`);
  if (v === "syntax") fail(loc, `Parameter '${key}' expects a number`);
  return v;
}

export const SIZE_HINT =
  "Optional suffix k, M, G, T, P or E means kilo-, mega-, giga-, tera-, peta-\n" +
  "and exabytes, respectively.";

/** A size in bytes or QEMU's message about `key`; warns of `0x…M` when given a host. */
export function checkSize(loc: string, key: string, value: string, host?: OptionsHost): bigint {
  const v = parseSize(value);
  if (v === "range") fail(loc, `Value '${value}' is out of range for parameter '${key}'`);
  if (v === "syntax") {
    fail(loc, `Parameter '${key}' expects a non-negative number below 2^64`, SIZE_HINT);
  }
  if (v.hexSuffix && host) warnHexSuffix(host, loc, value);
  return v.bytes;
}

export function warnHexSuffix(host: OptionsHost, loc: string, value: string): void {
  warn(host, loc, `Using a multiplier suffix on hex numbers is deprecated: ${value}`);
}

/** Letters, digits, `-`, `.`, `_`, beginning with a letter. */
export function idWellformed(id: string): boolean {
  return /^[A-Za-z][A-Za-z0-9._-]*$/.test(id);
}

export function isHelp(text: string): boolean {
  return text === "help" || text === "?";
}

/** A value up to a single comma: the text with doubled commas undone, and where the comma is. */
export function takeValue(text: string, from: number): { value: string; end: number } {
  let value = "";
  let i = from;
  for (; i < text.length; i++) {
    if (text[i] === ",") {
      if (text[i + 1] !== ",") break;
      i++;
    }
    value += text[i];
  }
  return { value, end: i };
}

/** One piece of an option's text. */
export interface OptsPair {
  key: string;
  value: string;
  /** How it was written when it had no value: `key` or `nokey`. */
  flag: string | undefined;
}

/** The pieces of `text` in order; `implied` names a first value without a key. */
export function* splitOpts(text: string, implied?: string): Generator<OptsPair> {
  for (let at = 0; at < text.length;) {
    let stop = at;
    while (stop < text.length && text[stop] !== "=" && text[stop] !== ",") stop++;
    if (text[stop] === "=") {
      const v = takeValue(text, stop + 1);
      yield { key: text.slice(at, stop), value: v.value, flag: undefined };
      at = v.end + 1;
    } else if (implied !== undefined) {
      const v = takeValue(text, at);
      yield { key: implied, value: v.value, flag: undefined };
      at = v.end + 1;
    } else {
      const flag = text.slice(at, stop);
      const off = flag.startsWith("no");
      yield { key: off ? flag.slice(2) : flag, value: off ? "off" : "on", flag };
      at = stop + 1;
    }
    implied = undefined;
  }
}

/** The lists of one command line, filled as its options are read. */
export class OptsGroups {
  #groups = new Map<string, Opts[]>();
  constructor(private readonly host: OptionsHost) {}

  /** All options of `list` in order. */
  all(list: OptsList): Opts[] {
    let g = this.#groups.get(list.name);
    if (!g) this.#groups.set(list.name, g = []);
    return g;
  }

  find(list: OptsList, id: string | undefined): Opts | undefined {
    return this.all(list).find((o) => o.id === id);
  }

  /** Makes an empty option, or gives the existing one of a merged list. */
  create(list: OptsList, id: string | undefined, loc: string): Opts {
    if (list.merge) {
      if (id !== undefined) fail(loc, "Invalid parameter 'id'");
      const old = this.find(list, undefined);
      if (old) return old;
    } else if (id !== undefined) {
      if (!idWellformed(id)) {
        fail(
          loc,
          "Parameter 'id' expects an identifier",
          "Identifiers consist of letters, digits, '-', '.', '_', starting with a letter.",
        );
      }
      if (this.find(list, id)) fail(loc, `Duplicate ID '${id}' for ${list.name}`);
    }
    const opts = new Opts(list, id, loc);
    this.all(list).push(opts);
    return opts;
  }

  /**
   * Parses `text` and adds it to `list`. `help` among the keys prints the known keys and ends with
   * status 1, as QEMU does; in a list that takes any key it is one. `permitAbbrev` lets the first value go without the implied key.
   * Throws UserError for an unknown key, a bad value, a bad or repeated id.
   */
  parse(list: OptsList, text: string, loc: string, permitAbbrev = true, warnFlags = true): Opts {
    const idAt = /(?:^|,)id=/.exec(text);
    const id = idAt ? takeValue(text, idAt.index + idAt[0].length).value : undefined;
    const opts = this.create(list, id, loc);
    const before = opts.entries.length;
    const drop = () => {
      opts.entries.length = before;
      const g = this.all(list);
      if (!list.merge) g.splice(g.indexOf(opts), 1);
    };
    try {
      for (const { key, value, flag } of splitOpts(text, permitAbbrev ? list.implied : undefined)) {
        const help = flag !== undefined && isHelp(flag);
        if (help && list.keys) {
          this.host.stdout(optsHelp(list));
          throw new EarlyExit(1);
        }
        if (flag !== undefined && warnFlags && !help) {
          const message = `short-form boolean option '${flag}' deprecated`;
          warn(this.host, loc, message, `Please use ${key}=${value} instead`);
        }
        if (key !== "id") this.add(opts, key, value, loc);
      }
    } catch (e) {
      drop();
      throw e;
    }
    return opts;
  }

  /** Takes an option of a list without merging away again. */
  drop(opts: Opts): void {
    const g = this.all(opts.list), n = g.indexOf(opts);
    if (n >= 0) g.splice(n, 1);
  }

  /** Adds one checked pair. Throws UserError for an unknown key or a bad value. */
  add(opts: Opts, key: string, value: string, loc = opts.loc): void {
    const { list } = opts;
    if (list.keys) {
      if (!Object.hasOwn(list.keys, key)) fail(loc, `Invalid parameter '${key}'`);
      const type = list.keys[key];
      if (type === "bool") checkBool(loc, key, value);
      else if (type === "number") checkNumber(loc, key, value);
      else if (type === "size") checkSize(loc, key, value, this.host);
    }
    opts.entries.push([key, value]);
  }
}

const TYPE_WORD: Record<OptType, string> = {
  string: "<str>",
  bool: "<bool (on/off)>",
  number: "<num>",
  size: "<size>",
};

/** What `help` as a key prints: the keys in order, with types and help texts. */
export function optsHelp(list: OptsList): string {
  const keys = Object.entries(list.keys ?? {}).map(([key, type]) => {
    const help = list.help?.[key];
    const line = `  ${key}=${TYPE_WORD[type]}`;
    return help ? `${line.padEnd(24)} - ${help}` : line;
  }).sort();
  const title = keys.length > 0
    ? `${list.name} options:`
    : `There are no options for ${list.name}.`;
  return [title, ...keys].join("\n") + "\n";
}
