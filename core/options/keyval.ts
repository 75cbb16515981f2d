/**
 * `a=1,b.c=2` as nested dictionaries: the syntax of `-machine`, `-smp`, `-boot`, `-display` and
 * other options whose values become object properties. Every key but a first implied one needs `=`.
 */
import { fail } from "./host.ts";
import { isHelp } from "./qemu_opts.ts";

export interface Keyval extends Map<string, string | Keyval> {}

/** Length of the QAPI name at the start of `s`: a letter, then letters, digits, `-`, `_`. */
function nameLength(s: string): number {
  return /^(__[A-Za-z0-9.-]+_)?[A-Za-z][A-Za-z0-9_-]*/.exec(s)?.[0].length ?? 0;
}

/**
 * Adds the pairs of `text` to `into`. Later values replace earlier ones. Returns whether `help` (or
 * `?`) stood among the keys. Throws UserError for a malformed key or a missing `=`.
 */
export function parseKeyval(
  into: Keyval,
  text: string,
  implied: string | undefined,
  loc: string,
): boolean {
  let help = false;
  for (let at = 0; at < text.length;) {
    let stop = at;
    while (stop < text.length && text[stop] !== "=" && text[stop] !== ",") stop++;
    const word = text.slice(at, stop);
    if (stop > at && text[stop] !== "=" && isHelp(word)) {
      help = true;
    } else if (stop > at && text[stop] !== "=" && implied !== undefined) {
      into.set(implied, word);
    } else {
      const path = splitKey(word, loc);
      if (text[stop] !== "=") fail(loc, `Expected '=' after parameter '${word}'`);
      let value = "";
      for (stop++; stop < text.length; stop++) {
        if (text[stop] === "," && text[++stop] !== ",") {
          stop--;
          break;
        }
        value += text[stop];
      }
      put(into, path, value, loc);
    }
    implied = undefined;
    at = stop + 1;
  }
  return help;
}

function splitKey(key: string, loc: string): string[] {
  const path: string[] = [];
  for (let rest = key;;) {
    const index = path.length > 0 ? /^[0-9]+/.exec(rest)?.[0].length ?? 0 : 0;
    const length = index || nameLength(rest);
    if (length === 0 || (length < rest.length && rest[length] !== ".")) {
      fail(loc, `Invalid parameter '${key}'`);
    }
    path.push(rest.slice(0, length));
    if (length === rest.length) return path;
    rest = rest.slice(length + 1);
  }
}

function put(into: Keyval, path: string[], value: string, loc: string): void {
  let dict = into;
  path.slice(0, -1).forEach((part, i) => {
    let next = dict.get(part);
    if (next === undefined) dict.set(part, next = new Map());
    if (typeof next === "string") inconsistent(path.slice(0, i + 1), loc);
    dict = next;
  });
  const last = path[path.length - 1];
  if (dict.get(last) instanceof Map) inconsistent(path, loc);
  dict.set(last, value);
}

function inconsistent(path: string[], loc: string): never {
  fail(loc, `Parameters '${path.join(".")}.*' used inconsistently`);
}

/** Merges `from` into `into`, dictionary by dictionary. */
export function mergeKeyval(into: Keyval, from: Keyval, loc: string, path: string[] = []): void {
  for (const [key, value] of from) {
    const old = into.get(key);
    if (value instanceof Map) {
      if (typeof old === "string") inconsistent([...path, key], loc);
      if (old === undefined) into.set(key, new Map(value));
      else mergeKeyval(old, value, loc, [...path, key]);
    } else {
      if (old instanceof Map) inconsistent([...path, key], loc);
      into.set(key, value);
    }
  }
}
