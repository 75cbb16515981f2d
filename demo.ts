/**
 * `deno task demo`: the built-in demo guest on the terminal. The CD is made in memory and handed over
 * as a temporary file; further arguments are the program's.
 */
import { runProgram } from "./core/options/program.ts";
import { startMonitors } from "./core/monitor/start.ts";
import { launch } from "./devices/boards/launch.ts";
import { makeDemoIso } from "./firmware/demo/guest.ts";
import { firmware } from "./firmware/provider.ts";

const iso = Deno.makeTempFileSync({ prefix: "qeno-demo-", suffix: ".iso" });
let status: number;
try {
  Deno.writeFileSync(iso, makeDemoIso());
  console.log("Ctrl-a c: monitor and back (try info exits). Ctrl-a x: end. Ctrl-a h: help.\n");
  status = await runProgram(
    ["-smp", "2", "-cdrom", iso, "-nographic", ...Deno.args],
    (config, hooks) => launch(config, hooks, { firmware, startMonitors }),
  );
} finally {
  Deno.removeSync(iso);
}
Deno.exit(status);
