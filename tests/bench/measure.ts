/** Runs a command and notes when the markers of its phases arrive. */

export interface Phase {
  readonly name: string;
  readonly marker: string;
}

export interface Measured {
  /** Seconds that each phase took, the first one from the start of the process. */
  readonly seconds: number[];
  /** What stands behind the markers on their lines. */
  readonly remarks: string[];
}

/** Why a run gave no times, for the user. */
export class RunFailed extends Error {
  override name = "RunFailed";
}

/**
 * Starts `command`, waits for the markers in their order, and ends the process with the last one.
 * Throws {@link RunFailed} when it ends before or takes more than `timeout` seconds.
 */
export async function measure(
  command: readonly string[],
  phases: readonly Phase[],
  timeout: number,
): Promise<Measured> {
  const start = performance.now();
  const child = new Deno.Command(command[0], {
    args: command.slice(1),
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const errors = new Response(child.stderr).text();
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    child.kill("SIGKILL");
  }, timeout * 1000);
  const seconds: number[] = [], remarks: string[] = [];
  let before = start, line = "", tail = "", running = true;
  const decoder = new TextDecoder();
  for await (const chunk of child.stdout) {
    const now = performance.now();
    line += decoder.decode(chunk, { stream: true });
    for (let end = line.indexOf("\n"); end >= 0; end = line.indexOf("\n")) {
      const text = line.slice(0, end).trim();
      line = line.slice(end + 1);
      if (text !== "") tail = text;
      const phase = phases[seconds.length];
      if (phase === undefined || !(text + " ").startsWith(phase.marker + " ")) continue;
      seconds.push((now - before) / 1000);
      remarks.push(text.slice(phase.marker.length).trim());
      before = now;
    }
    if (seconds.length === phases.length && running) {
      running = false;
      child.kill("SIGKILL");
    }
  }
  clearTimeout(timer);
  await child.status;
  if (seconds.length === phases.length) return { seconds, remarks };
  const what = `in phase ${phases[seconds.length].name}`;
  const last = (await errors).trim().split("\n").at(-1) || tail;
  throw new RunFailed(
    (late ? `not over after ${timeout} s, ${what}` : `ended ${what}`) + (last ? `: ${last}` : ""),
  );
}
