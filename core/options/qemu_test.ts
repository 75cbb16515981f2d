/**
 * Command lines side by side with QEMU 7.2: this program must print the same and exit with the same
 * status. QEMU's answers are recorded; where QEMU 7.2 is installed a sample is asked again, or all of
 * them with QENO_SIDE_BY_SIDE=all.
 */
import { assertEquals } from "@std/assert";
import { BlockGraph } from "../block/graph.ts";
import { ChardevRegistry } from "../chardev/registry.ts";
import { UserError } from "../errors.ts";
import { EarlyExit, formatUserError, located, type OptionsHost } from "./host.ts";
import { loadFirmware, loadFwCfgItem, loadInitrd, loadKernel } from "./files.ts";
import { parseCommandLine } from "./parse.ts";
import { openLog } from "./program.ts";
import {
  haveQemu,
  inImageDir,
  type Kind,
  KINDS,
  type Outcome,
  QEMU,
  quiet,
  RECORD,
  record,
  type Recorded,
  split,
} from "./qemu_lines.ts";

/** This program up to the point where the machine would be built. */
async function runOwn(args: string[], cwd: string): Promise<Outcome> {
  const out: Outcome = { stdout: "", stderr: "", status: 0 };
  const host: OptionsHost = {
    programName: QEMU,
    stdout: (t) => void (out.stdout += t),
    stderr: (t) => void (out.stderr += t),
  };
  const before = Deno.cwd();
  Deno.chdir(cwd);
  const registry = new ChardevRegistry({
    host,
    mux: { terminate() {}, commitAll() {}, now: () => 0 },
  });
  const graph = new BlockGraph({ warn: (t) => void (out.stderr += t + "\n") });
  try {
    const config = parseCommandLine(args, host);
    // Said when the accelerator works, by core/kvm/choose.ts.
    if (config.accelFallback) {
      out.stderr += `${QEMU}: falling back to ${config.accels[0].name}\n`;
    }
    openLog({ ...config, logMask: 0 });
    await registry.createAll(config.chardevs);
    for (const d of config.drives) {
      try {
        graph.add(d);
      } catch (e) {
        if (!(e instanceof UserError)) throw e;
        throw new UserError(located(d.loc, e.message), e.status, e.hint);
      }
    }
    loadFirmware(config);
    if (config.kernel !== undefined) loadKernel(config.kernel);
    if (config.initrd !== undefined) loadInitrd(config.initrd);
    config.fwCfg.forEach(loadFwCfgItem);
  } catch (e) {
    if (e instanceof EarlyExit) {
      out.status = e.status;
    } else if (e instanceof UserError) {
      out.stderr += formatUserError(e, QEMU);
      out.status = e.status;
    } else {
      throw e;
    }
  } finally {
    Deno.chdir(before);
    await registry.closeAll();
    for (const d of graph.drives) d.close();
  }
  return out;
}

const recorded: Record<Kind, Recorded> = JSON.parse(Deno.readTextFileSync(RECORD));
/** Debian's build stumbles over display adapters it lacks. */
const QUIRK = /^qemu-system-x86_64: type is NULL\n/gm;

/** Every line must end as recorded. */
function compare(kind: Kind, more: string[] = []): () => Promise<void> {
  return () =>
    inImageDir(async (dir) => {
      const wrong: string[] = [];
      for (const line of KINDS[kind].lines) {
        const q = recorded[kind][line];
        const own = await runOwn([...more, ...quiet(split(line))], dir);
        const same = q && own.status === q.status && own.stderr === q.stderr.replace(QUIRK, "") &&
          (q.stdout === undefined || own.stdout === q.stdout);
        if (same) continue;
        const show = (o: Partial<Outcome> | undefined) =>
          `${o?.status}: ${o?.stderr}${KINDS[kind].stdout ? o?.stdout : ""}`;
        wrong.push(`${line}\n  QEMU ${show(q)}\n  own  ${show(own)}`);
      }
      assertEquals(wrong.join("\n"), "");
    });
}

Deno.test("bad command lines: QEMU's messages and status", compare("bad"));
Deno.test("accepted command lines: QEMU's warnings", compare("warned", ["-S"]));
Deno.test("help: QEMU's status and messages", compare("help"));
Deno.test("help about keys and properties: QEMU's words", compare("sameHelp"));

const ignore = !(await haveQemu());
const STEP = Deno.env.get("QENO_SIDE_BY_SIDE") === "all" ? 1 : 25;

Deno.test({
  name: "what is recorded is what QEMU 7.2 says" + (ignore ? " (skipped: needs QEMU 7.2)" : ""),
  ignore,
  fn: async () => {
    for (const kind of Object.keys(KINDS) as Kind[]) {
      const sample = KINDS[kind].lines.filter((_, i) => i % STEP === 0);
      const wanted = Object.fromEntries(sample.map((l) => [l, recorded[kind][l]]));
      assertEquals(await record(kind, sample), wanted);
    }
  },
});
