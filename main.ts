/** The program: command line to machine. Entry point of bundles and compiled binaries. */
import { runProgram } from "./core/options/program.ts";
import { launch } from "./devices/boards/launch.ts";

/** Runs the program on its arguments and returns the status to exit with. */
export function main(): Promise<number> {
  return runProgram(Deno.args, launch);
}

if (import.meta.main) Deno.exit(await main());
