/** The program: command line to machine. Entry point of bundles and compiled binaries. */
import { runProgram } from "./core/options/program.ts";
import { startMonitors } from "./core/monitor/start.ts";
import { launch } from "./devices/boards/launch.ts";
import { firmware } from "./firmware/provider.ts";

/** Runs the program on its arguments and returns the status to exit with. */
export function main(): Promise<number> {
  return runProgram(
    Deno.args,
    (config, hooks) => launch(config, hooks, { firmware, startMonitors }),
  );
}

if (import.meta.main) Deno.exit(await main());
