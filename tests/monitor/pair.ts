/** One HMP script through this program and through Debian's QEMU 7.2, for tests that compare. */

export const MAIN = new URL("../../main.ts", import.meta.url).pathname;
export const QEMU = "qemu-system-x86_64";

function qemuMissing(): boolean {
  try {
    const { stdout } = new Deno.Command(QEMU, { args: ["-version"] }).outputSync();
    return !new TextDecoder().decode(stdout).includes(" 7.2.");
  } catch {
    return true;
  }
}
/** QEMU 7.2 is not here: there is nothing to compare with. */
export const ignore = qemuMissing();

export interface Session {
  readonly output: string;
  readonly status: number;
}

/** A machine with nothing in it but its board. */
export const BARE = ["-M", "pc", "-m", "16", "-nodefaults", "-nographic"];

/** Types `script` into the monitor of a machine. */
export async function monitor(command: string[], args: string[], script: string): Promise<Session> {
  const child = new Deno.Command(command[0], {
    args: [...command.slice(1), "-monitor", "stdio", ...args],
    stdin: "piped",
    stdout: "piped",
    stderr: "null",
  }).spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(script));
  const { code, stdout } = await child.output();
  await writer.close().catch(() => {});
  return { output: new TextDecoder().decode(stdout), status: code };
}

export async function both(args: string[], script: string): Promise<[Session, Session]> {
  return await Promise.all([
    monitor([QEMU], args, script),
    monitor([Deno.execPath(), "run", "-A", MAIN], args, script),
  ]);
}

/** The output without what echoing typed characters adds. */
export function answers(output: string): string[] {
  return output.replaceAll("\r", "").split("\n").map((line) =>
    line.startsWith("(qemu) ")
      ? "(qemu) " + line.split("\x1b[K").at(-2)?.replaceAll("\x1b[D", "").trimStart()
      : line
  );
}

/** The commands whose answers are not the same, with both answers. */
export function differences(ours: readonly string[], theirs: readonly string[]): string {
  const byCommand = (lines: readonly string[]) => lines.join("\n").split(/^(?=\(qemu\) )/m);
  const own = byCommand(ours), wanted = byCommand(theirs), wrong: string[] = [];
  for (let i = 0; i < Math.max(own.length, wanted.length); i++) {
    if (own[i] !== wanted[i]) wrong.push(`QEMU: ${wanted[i]}\nhere: ${own[i]}`);
  }
  return wrong.join("\n");
}
