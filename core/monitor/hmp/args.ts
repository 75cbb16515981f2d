/**
 * Arguments of HMP commands. A command describes them as QEMU's tables do: `name:T`, separated by
 * commas, T being
 *
 * - `s` string, `F` file name, `B` block device: a word, or quoted with escapes;
 * - `O` options as one word, `S` the rest of the line;
 * - `i` 32-bit and `l` 64-bit integer expression; `b` on or off;
 * - `o` size with a unit (MiB when there is none), `M` megabytes;
 * - `/` format of `x`, `p` and `i`: `/` count format size;
 * - `-X` the option -X, `-Xs` the option -X with a value.
 *
 * A `?` behind the type makes an argument optional, a `.` one that begins with a dot.
 */
import { UserError } from "../../errors.ts";
import { parseSize } from "../../options/numbers.ts";
import { isSpace, parseExpression, type RegisterReader, Scanner } from "./expr.ts";

/** How values are printed. */
export interface Format {
  count: number;
  /** One of `o d u x i c`. */
  format: string;
  /** Bytes: 1, 2, 4, 8; -1 for instructions when none was given. */
  size: number;
}

/** What a format letter or size that is not given falls back to: what the command before used. */
export interface FormatDefaults {
  format: string;
  size: number;
}

/** Parsed arguments by name. */
export class Args {
  readonly #values = new Map<string, string | bigint | boolean | Format>();

  set(name: string, value: string | bigint | boolean | Format): void {
    this.#values.set(name, value);
  }
  /** A string argument, or undefined when it was left out. */
  text(name: string): string | undefined {
    return this.#values.get(name) as string | undefined;
  }
  /** A string argument that is not optional. */
  string(name: string): string {
    return this.#values.get(name) as string;
  }
  /** An integer argument, signed 64-bit, or undefined. */
  integer(name: string): bigint | undefined {
    return this.#values.get(name) as bigint | undefined;
  }
  /** An integer argument that is not optional. */
  number(name: string): bigint {
    return this.#values.get(name) as bigint;
  }
  flag(name: string): boolean {
    return this.#values.get(name) === true;
  }
  get format(): Format {
    return this.#values.get("fmt") as Format;
  }
}

/** A mistake in the arguments; the text has its own line ends. */
export class ArgumentError extends Error {}

export interface ParseContext {
  /** The command's name as its table has it, aliases and all. */
  readonly name: string;
  readonly register: RegisterReader;
  readonly defaults: FormatDefaults;
}

interface Spec {
  readonly key: string;
  readonly type: string;
  /** Behind the type letter. */
  readonly rest: string;
}

function specs(argsType: string): Spec[] {
  if (argsType === "") return [];
  return argsType.split(",").map((item) => {
    const [key, type] = item.split(":");
    return { key, type: type[0], rest: type.slice(1) };
  });
}

/** Type letter of the nth argument (from 0), options not counted; undefined: there is no such one. */
export function argumentType(argsType: string, n: number): string | undefined {
  return specs(argsType).filter((s) => s.type !== "-")[n]?.type;
}

/** Parses what stands behind a command's name. Throws {@link ArgumentError}. */
export function parseArgs(argsType: string, text: string, at: number, c: ParseContext): Args {
  const s = new Scanner(text, at), args = new Args(), all = specs(argsType);
  for (let i = 0; i < all.length; i++) {
    const spec = all[i];
    s.skipSpace();
    switch (spec.type) {
      case "F":
      case "B":
      case "s": {
        if (spec.rest === "?" && s.done) break;
        args.set(spec.key, wordArgument(s, spec, c));
        break;
      }
      case "S":
        if (s.done) {
          if (spec.rest === "?") break;
          throw new ArgumentError(`${c.name}: string expected\n`);
        }
        args.set(spec.key, s.text.slice(s.at));
        s.at = s.text.length;
        break;
      case "/":
        args.set(spec.key, format(s, c.defaults));
        break;
      case "i":
      case "l":
        if (spec.rest === "?" && s.done) break;
        if (spec.rest === ".") {
          if (s.char !== ".") break;
          s.at++;
          s.skipSpace();
        }
        args.set(spec.key, integer(s, spec, c));
        break;
      case "O": {
        const got = word(s);
        if (typeof got !== "string" && got.complaint !== "") {
          throw new ArgumentError(got.complaint);
        }
        args.set(spec.key, typeof got === "string" ? got : "");
        break;
      }
      case "o":
        if (spec.rest === "?" && s.done) break;
        args.set(spec.key, size(s));
        break;
      case "M": {
        const megabytes = integer(s, spec, c);
        if (megabytes < 0n) throw new ArgumentError("enter a positive value\n");
        args.set(spec.key, megabytes << 20n);
        break;
      }
      case "b":
        args.set(spec.key, onOff(s));
        break;
      case "-":
        option(s, spec, all.slice(i + 1), c, args);
        break;
    }
  }
  s.skipSpace();
  if (!s.done) throw new ArgumentError(`${c.name}: extraneous characters at the end of line\n`);
  return args;
}

function wordArgument(s: Scanner, spec: Spec, c: ParseContext): string {
  const got = word(s);
  if (typeof got === "string") return got;
  const what = spec.type === "F" ? "filename" : spec.type === "B" ? "block device name" : "string";
  throw new ArgumentError(`${got.complaint}${c.name}: ${what} expected\n`);
}

/** A word, or a quoted string with the escapes \n \r \\ \' \". */
export function word(s: Scanner): string | { complaint: string } {
  s.skipSpace();
  if (s.done) return { complaint: "" };
  let out = "";
  if (s.char !== '"') {
    for (; !s.done && !isSpace(s.char); s.at++) out += s.char;
    return out;
  }
  const escapes: Record<string, string> = { n: "\n", r: "\r", "\\": "\\", "'": "'", '"': '"' };
  for (s.at++; !s.done && s.char !== '"'; s.at++) {
    if (s.char !== "\\") {
      out += s.char;
      continue;
    }
    s.at++;
    const c = escapes[s.char];
    if (c === undefined) return { complaint: `unsupported escape code: '\\${s.char}'\n` };
    out += c;
  }
  if (s.done) return { complaint: "unterminated string\n" };
  s.at++;
  return out;
}

/** The words of a line; quoted ones are one word. A complaint when one of those is malformed. */
export function splitWords(line: string): string[] | { complaint: string } {
  const s = new Scanner(line, 0), out: string[] = [];
  for (;;) {
    const w = word(s);
    if (typeof w === "string") out.push(w);
    else return w.complaint === "" ? out : w;
  }
}

function format(s: Scanner, defaults: FormatDefaults): Format {
  if (s.char !== "/") {
    const size = defaults.format === "i" ? -1 : defaults.size;
    return { count: 1, format: defaults.format, size };
  }
  s.at++;
  const digits = /^[0-9]*/.exec(s.text.slice(s.at))![0];
  s.at += digits.length;
  const count = digits === "" ? 1 : Number(BigInt.asIntN(32, BigInt(digits)));
  const sizes: Record<string, number> = { b: 1, h: 2, w: 4, g: 8 };
  let letter = "", size = -1;
  for (; !s.done; s.at++) {
    if ("oduxic".includes(s.char)) letter = s.char;
    else if (sizes[s.char] !== undefined) size = sizes[s.char];
    else break;
  }
  if (!s.done && !isSpace(s.char)) {
    throw new ArgumentError(`invalid char in format: '${s.char}'\n`);
  }
  if (letter === "") letter = defaults.format;
  if (letter !== "i") {
    if (size < 0) size = defaults.size;
    defaults.size = size;
  }
  defaults.format = letter;
  return { count, format: letter, size };
}

function integer(s: Scanner, spec: Spec, c: ParseContext): bigint {
  let value: bigint;
  try {
    value = parseExpression(s, c.register);
  } catch (e) {
    if (e instanceof UserError) throw new ArgumentError(`${e.message}\n`);
    throw e;
  }
  if (spec.type === "i" && BigInt.asUintN(64, value) >> 32n) {
    throw new ArgumentError(`'${c.name}' has failed: integer is for 32-bit values\n`);
  }
  return value;
}

/** Bytes: a decimal number with a unit, MiB when there is none. */
function size(s: Scanner): bigint {
  const m = /^(\d+(?:\.\d*)?|0[xX][0-9a-fA-F]+)([kKmMgGtTpPeEbB]?)/.exec(s.text.slice(s.at));
  const parsed = m === null ? "syntax" : parseSize(m[0], "M");
  if (typeof parsed === "string" || parsed.bytes >> 63n) throw new ArgumentError("invalid size\n");
  s.at += m![0].length;
  return parsed.bytes;
}

function onOff(s: Scanner): boolean {
  const from = s.at;
  while (!s.done && !isSpace(s.char)) s.at++;
  const text = s.text.slice(from, s.at);
  if (text === "on" || text === "off") return text === "on";
  throw new ArgumentError("Expected 'on' or 'off'\n");
}

function option(s: Scanner, spec: Spec, later: Spec[], c: ParseContext, args: Args): void {
  const letter = spec.rest[0];
  if (s.char !== "-") return;
  const given = s.text.charAt(s.at + 1);
  if (given !== letter) {
    // It may be an option that comes later in the list.
    if (given !== "" && later.some((o) => o.type === "-" && o.rest[0] === given)) return;
    // QEMU prints the line's end as a character, which cuts its message short.
    throw new ArgumentError(`${c.name}: unsupported option -${given === "" ? "" : given + "\n"}`);
  }
  s.at += 2;
  if (spec.rest[1] !== "s") {
    args.set(spec.key, true);
    return;
  }
  const value = word(s);
  if (typeof value !== "string") {
    throw new ArgumentError(`${value.complaint}${c.name}: value expected for -${letter}\n`);
  }
  args.set(spec.key, value);
}
