/** The same Linux here and under Debian's QEMU, asked the same questions. */
import { assertEquals } from "@std/assert";
import { ask, shell } from "./linux_shell.ts";
import { obtained, Session } from "./session.ts";

/** Minutes each: `deno task test:long`. */
const LONG = Deno.env.has("QENO_LONG");
/** Seconds until a prompt at most. */
const LIMIT = 900;
const QEMU = "qemu-system-x86_64";

async function haveQemu(): Promise<boolean> {
  try {
    return (await new Deno.Command(QEMU, { args: ["-version"], stdout: "null" }).output()).success;
  } catch {
    return false;
  }
}

/** Runs a guest, asks its shell and ends it. */
async function answers(args: string[], cpus: number, questions: string[], command?: string[]) {
  const s = new Session([...args, "-nographic"], command);
  try {
    await shell(s, cpus, LIMIT);
    const said: string[] = [];
    for (const q of questions) said.push(await ask(s, q));
    await s.type("poweroff\n");
    assertEquals(await s.status(), 0);
    return said;
  } finally {
    await s.stop();
  }
}

/**
 * A long test that starts one of Debian's amd64 kernels twice and compares what its shell says.
 *
 * @param machine options of the machine and its processors
 * @param cpus how many processors the kernel is to find
 * @param compare is given the answers to `questions`, in their order
 */
export function beside(
  name: string,
  machine: string[],
  cpus: number,
  flavour: "amd64" | "cloud",
  questions: string[],
  compare: (ours: string[], theirs: string[]) => void,
): void {
  Deno.test({
    name,
    ignore: !LONG,
    fn: async (t) => {
      if (!await haveQemu()) return console.log(`skipped (${t.name}): there is no ${QEMU}`);
      const boot = await obtained(t, async (get) => [
        ...["-kernel", await get(`linux${flavour}-kernel`)],
        ...["-initrd", await get(`linux${flavour}-initrd`), "-append", "console=ttyS0"],
      ]);
      if (boot === undefined) return;
      const args = [...machine, "-m", "384", ...boot];
      const theirs = await answers(args, cpus, questions, [QEMU, "-accel", "tcg"]);
      compare(await answers(args, cpus, questions), theirs);
    },
  });
}
