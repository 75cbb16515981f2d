/** Runs kernels of the conformance set on qeno and on Debian's QEMU, and judges their lines. */
import { type Check, differences, parseLine } from "./check.ts";
import type { Kernel } from "./kernel.ts";

export const QEMU = "qemu-system-x86_64";
const CLI = decodeURIComponent(new URL("../../cli.ts", import.meta.url).pathname);
const OPTIONS =
  "-M pc -m 64 -cpu max,vendor=GenuineIntel -display none -nodefaults -no-reboot -debugcon stdio " +
  "-device isa-debug-exit,iobase=0xf4,iosize=1";
/** Status that the kernels end with. */
const STATUS = 1;
/** A kernel that prints nothing for so long hangs. */
const SILENT_MS = 60_000;

export type Emulator = "tier=0" | "tier=1" | "qemu";

export interface Failure {
  readonly check: Check;
  readonly what: string;
}

export interface Report {
  readonly ran: number;
  readonly failures: Failure[];
}

export async function haveQemu(): Promise<boolean> {
  try {
    return (await new Deno.Command(QEMU, { args: ["--version"], stdout: "null" }).output()).success;
  } catch (e) {
    if (e instanceof Deno.errors.NotFound) return false;
    throw e;
  }
}

async function output(on: Emulator, args: readonly string[]): Promise<[string, number]> {
  const own = ["run", "-A", "--no-check", CLI, "-accel", `tcg,${on}`];
  const command = on === "qemu"
    ? new Deno.Command(QEMU, { args: ["-accel", "tcg", ...args], stdout: "piped", stderr: "piped" })
    : new Deno.Command(Deno.execPath(), {
      args: [...own, ...args],
      stdout: "piped",
      stderr: "piped",
    });
  const child = command.spawn();
  const kill = () => child.kill("SIGKILL");
  let timer = setTimeout(kill, SILENT_MS), printed = "";
  const errors = new Response(child.stderr).text(), decoder = new TextDecoder();
  for await (const chunk of child.stdout) {
    printed += decoder.decode(chunk, { stream: true });
    clearTimeout(timer);
    timer = setTimeout(kill, SILENT_MS);
  }
  const { code } = await child.status;
  clearTimeout(timer);
  return [printed + await errors, code];
}

/** Runs a kernel and compares every check with what it expects. */
export async function run(kernel: Kernel, on: Emulator): Promise<Report> {
  const dir = await Deno.makeTempDir();
  try {
    const image = `${dir}/kernel`;
    await Deno.writeFile(image, kernel.image());
    const [text, code] = await output(on, [
      ...OPTIONS.split(" "),
      ...kernel.options,
      ...["-kernel", image],
    ]);
    return judge(kernel.checks, text, code);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

/** Holds printed lines against the checks. */
export function judge(checks: readonly Check[], text: string, code: number): Report {
  const failures: Failure[] = [], seen = new Set<number>();
  const other: string[] = [];
  for (const line of text.split("\n")) {
    const o = parseLine(line);
    const check = o === undefined ? undefined : checks[o.index];
    if (o === undefined || check === undefined) {
      if (line.trim() !== "") other.push(line);
      continue;
    }
    seen.add(o.index);
    const what = differences(check, o);
    if (what !== "") failures.push({ check, what });
  }
  const missing = checks.filter((_, n) => !seen.has(n));
  if (missing.length > 0) {
    const last = other.slice(-12).join(" | ").slice(0, 1200);
    const count = missing.length === 1 ? "" : ` with ${missing.length - 1} others`;
    failures.push({ check: missing[0], what: `did not report${count} (status ${code}) ${last}` });
  }
  if (code !== STATUS && seen.size === checks.length) {
    failures.push({ check: checks[checks.length - 1], what: `then ended with status ${code}` });
  }
  return { ran: seen.size, failures };
}
