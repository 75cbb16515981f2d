/**
 * How option parsing speaks: errors with QEMU's location prefix, warnings, printed help, and the
 * early end that help and `-version` ask for.
 */
import { UserError } from "../errors.ts";

export { strerror } from "../errno.ts";

/** The outside world of a parse: where text goes and what the program is called. */
export interface OptionsHost {
  programName: string;
  stdout(text: string): void;
  stderr(text: string): void;
}

/** Writes to the process's own streams. */
export function processHost(programName: string): OptionsHost {
  const enc = new TextEncoder();
  const write = (to: { writeSync(p: Uint8Array): number }, text: string) => {
    try {
      for (let b = enc.encode(text); b.length > 0;) b = b.subarray(to.writeSync(b));
    } catch {
      // Whoever was to read it has gone, as in `-help | head`.
    }
  };
  return {
    programName,
    stdout: (t) => write(Deno.stdout, t),
    stderr: (t) => write(Deno.stderr, t),
  };
}

/** Puts what `prefix` gives at the time before every message that names the program. */
export function prefixMessages(host: OptionsHost, prefix: () => string): void {
  const name = host.programName;
  Object.defineProperty(host, "programName", { get: () => prefix() + name });
}

/** Not an error: what was asked for has been printed, the program ends with `status`. */
export class EarlyExit extends Error {
  override name = "EarlyExit";
  constructor(readonly status: number) {
    super(`exit ${status}`);
  }
}

/**
 * An error printed as it is, without the program's name in front: QEMU's boards print `qemu: …` in
 * a few places.
 */
export class BareUserError extends UserError {
  override name = "BareUserError";
}

/** Begins the location of a line of a file; no word of a command line can have it. */
const IN_FILE = "\0";

/** Where in a configuration file something stands: messages are `PROGRAM:PATH:LINE: …`. */
export function fileLocation(path: string, line: number): string {
  return `${IN_FILE}${path}:${line}`;
}

/** A message with the program's name in front. */
export function headed(programName: string, message: string): string {
  return message.startsWith(IN_FILE)
    ? `${programName}:${message.slice(IN_FILE.length)}`
    : `${programName}: ${message}`;
}

/** Puts `LOC: ` before a message; an empty location adds nothing. */
export function located(loc: string, message: string): string {
  return loc === "" ? message : `${loc}: ${message}`;
}

/** Throws a {@link UserError} located at `loc`. `hint` follows on lines of its own. */
export function fail(loc: string, message: string, hint?: string): never {
  throw new UserError(located(loc, message), 1, hint);
}

/** Prints `PROGRAM: LOC: MESSAGE`, as QEMU's error_report does, and goes on. */
export function report(host: OptionsHost, loc: string, message: string): void {
  host.stderr(`${headed(host.programName, located(loc, message))}\n`);
}

/** Prints `PROGRAM: LOC: warning: MESSAGE` and the hint. */
export function warn(host: OptionsHost, loc: string, message: string, hint?: string): void {
  report(host, loc, `warning: ${message}`);
  if (hint) host.stderr(hint.endsWith("\n") ? hint : hint + "\n");
}

/** What a {@link UserError} looks like on stderr. */
export function formatUserError(e: UserError, programName: string): string {
  const first = e instanceof BareUserError ? e.message : headed(programName, e.message);
  if (!e.hint) return first + "\n";
  const hint = e.hint.startsWith("info: ") ? `${programName}: ${e.hint}` : e.hint;
  return first + "\n" + (hint.endsWith("\n") ? hint : hint + "\n");
}
