/**
 * Runs the conformance set and tells what differs from the manual.
 *
 *     deno task conformance [-- [NAME_REGEXP [EMULATOR...]]]
 *
 * NAME_REGEXP chooses kernels; EMULATOR is tier=0, tier=1 or qemu. Status 1 when something differs
 * that is not known of QEMU.
 */
import { type Emulator, haveQemu, type Report, run } from "./run.ts";
import { suites } from "./suites.ts";
import { judgeOurs, judgeQemu, leaveOut } from "./known.ts";

/** Runs the kernel of that name. */
export async function runOn(name: string, on: Emulator): Promise<Report & { note: string }> {
  if (on !== "qemu") {
    const kernel = suites[name]();
    return judgeOurs(kernel, await run(kernel, on));
  }
  const kernel = suites[name](leaveOut);
  return judgeQemu(kernel, await run(kernel, on));
}

async function main(): Promise<void> {
  const [pattern = ".*", ...asked] = Deno.args.filter((a) => a !== "--");
  const emulators = asked.length > 0
    ? asked as Emulator[]
    : ["tier=0", "tier=1", ...await haveQemu() ? ["qemu"] : []] as Emulator[];
  let bad = 0, checks = 0;
  for (const name of Object.keys(suites)) {
    if (!new RegExp(`^(${pattern})$`).test(name)) continue;
    checks += suites[name]().checks.length;
    for (const on of emulators) {
      const start = performance.now(), r = await runOn(name, on);
      const seconds = ((performance.now() - start) / 1000).toFixed(1);
      console.log(
        `${name} on ${on}: ${r.ran} checks, ${r.failures.length} differences${r.note}, ${seconds} s`,
      );
      for (const f of r.failures) console.log(`  ${f.check.name} (SDM ${f.check.sdm}): ${f.what}`);
      bad += r.failures.length;
    }
  }
  console.log(`${checks} checks, ${bad} differences`);
  if (bad > 0) Deno.exit(1);
}

if (import.meta.main) await main();
