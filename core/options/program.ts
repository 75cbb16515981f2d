/**
 * The life of the program around its machine: command line, log, PID file, daemon, messages for
 * what goes wrong, the terminal put back.
 */
import { restoreTerminal } from "../chardev/terminal.ts";
import { errnoError, libc } from "../chardev/libc.ts";
import { UserError } from "../errors.ts";
import { setLogMask, setLogSink } from "../log.ts";
import type { MachineConfig } from "./config.ts";
import { isDaemon, leaveSession, reportReady, startDaemon } from "./daemon.ts";
import {
  EarlyExit,
  fail,
  formatUserError,
  type OptionsHost,
  processHost,
  strerror,
} from "./host.ts";
import { parseCommandLine } from "./parse.ts";
import { PidFile } from "./pidfile.ts";

export interface LaunchHooks {
  readonly host: OptionsHost;
  /**
   * The machine is built and about to run: under `-daemonize` the caller's shell gets its prompt
   * back, and the terminal is let go of.
   */
  initialised(): Promise<void>;
}

export type Launch = (config: MachineConfig, hooks: LaunchHooks) => Promise<number>;

const DEFAULT_NAME = "qemu-system-x86_64";

/** The name the program was called by: that of a link, or the usual one for a source file. */
export function programName(): string {
  const given = Deno.env.get("QENO_ARGV0") ??
    (Deno.build.standalone ? Deno.execPath() : decodeURI(new URL(Deno.mainModule).pathname));
  const name = given.slice(given.lastIndexOf("/") + 1);
  return name === "" || /\.(ts|js|mjs|tsx)$/.test(name) ? DEFAULT_NAME : name;
}

/**
 * Runs the program. User errors are printed in QEMU's form, anything else as one line (with a stack
 * when QENO_DEBUG is set); both give status 1.
 */
export async function runProgram(
  argv: readonly string[],
  launch: Launch,
): Promise<number> {
  const host = processHost(programName());
  let pidfile: PidFile | undefined;
  const crashed = (e: unknown) => {
    restoreTerminal();
    pidfile?.remove();
    Deno.exit(reportError(e, host));
  };
  globalThis.addEventListener("unhandledrejection", (e) => {
    e.preventDefault();
    crashed(e.reason);
  });
  globalThis.addEventListener("error", (e) => {
    e.preventDefault();
    crashed(e.error);
  });
  try {
    if (isDaemon()) leaveSession();
    const config = parseCommandLine(argv, host);
    if (config.processName) setProcessName(config.processName);
    openLog(config);
    if (config.daemonize && !isDaemon()) return await startDaemon(argv);
    if (config.pidfile !== undefined) pidfile = PidFile.create(config.pidfile);
    return await launch(config, { host, initialised: reportReady });
  } catch (e) {
    restoreTerminal();
    return reportError(e, host);
  } finally {
    restoreTerminal();
    pidfile?.remove();
  }
}

/** Prints what ended the program and gives its status. */
export function reportError(e: unknown, host: OptionsHost): number {
  if (e instanceof EarlyExit) return e.status;
  if (e instanceof UserError) {
    host.stderr(formatUserError(e, host.programName));
    return e.status;
  }
  if (Deno.env.has("QENO_DEBUG") && e instanceof Error) host.stderr(`${e.stack}\n`);
  const message = e instanceof Error ? `${e.name}: ${e.message}` : String(e);
  host.stderr(`${host.programName}: internal error: ${message.split("\n")[0]}\n`);
  return 1;
}

/** `-d` and `-D`: `%d` in the name is the process id. Throws UserError. */
export function openLog(config: Pick<MachineConfig, "logMask" | "logFile">): void {
  setLogMask(config.logMask);
  if (config.logFile === undefined) return;
  const path = config.logFile.replace("%d", String(Deno.pid));
  let file: Deno.FsFile;
  try {
    file = Deno.openSync(path, { write: true, create: true, truncate: true });
  } catch (e) {
    fail("", `Error opening logfile ${path}: ${strerror(e)}`);
  }
  const encoder = new TextEncoder();
  setLogSink((text) => {
    for (let b = encoder.encode(text); b.length > 0;) b = b.subarray(file.writeSync(b));
  });
}

/** What `ps` and `top` show, as far as the kernel's 15 bytes go. */
function setProcessName(name: string): void {
  const PR_SET_NAME = 15;
  if (libc().prctl(PR_SET_NAME, new TextEncoder().encode(name + "\0"), 0n, 0n, 0n) < 0) {
    fail("", `Change of process name not supported by your OS: ${strerror(errnoError("prctl"))}`);
  }
}
