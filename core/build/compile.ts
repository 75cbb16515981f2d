/**
 * `deno task compile [FILE]`: a single binary by `deno compile`. That needs `denort`, the runtime part
 * of Deno, which it downloads, or takes from the file that DENORT_BIN names.
 */
import { fail, UsageError } from "./report.ts";

const ROOT = new URL("../../", import.meta.url);
const TIMEOUT = 300_000;

const INSTEAD = "`deno task bundle` makes a single self-contained file without it.";

/** Modules that are loaded by URL at run time, which `deno compile` cannot see. */
function workers(): string[] {
  const found: string[] = [];
  const walk = (dir: string) => {
    for (const e of Deno.readDirSync(new URL(dir, ROOT))) {
      if (e.isDirectory) walk(`${dir}/${e.name}`);
      else if (/worker\.ts$/.test(e.name)) found.push(`${dir}/${e.name}`);
    }
  };
  for (const dir of ["core", "devices", "firmware"]) walk(dir);
  return found.sort();
}

async function run(program: string, args: string[]): Promise<{ ok: boolean; text: string }> {
  const child = new Deno.Command(program, {
    args,
    cwd: ROOT,
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
    env: { NO_COLOR: "1", DENO_NO_UPDATE_CHECK: "1" },
    signal: AbortSignal.timeout(TIMEOUT),
  });
  const out = await child.output();
  const text = new TextDecoder().decode(out.stdout) + new TextDecoder().decode(out.stderr);
  return { ok: out.success, text };
}

/** Makes the binary and tries it. Throws UsageError that says what to do. */
export async function compile(output: string): Promise<void> {
  const denort = Deno.env.get("DENORT_BIN");
  if (denort !== undefined) {
    try {
      Deno.statSync(denort);
    } catch {
      throw new UsageError(`DENORT_BIN names ${denort}, which is not there. ${INSTEAD}`);
    }
  }
  const include = workers().flatMap((w) => ["--include", w]);
  const args = ["compile", "-A", "--no-check", ...include, "--output", output, "main.ts"];
  const made = await run(Deno.execPath(), args);
  if (!made.ok) {
    const lines = made.text.split("\n");
    const why = lines.find((l) => /error sending request/.test(l)) ??
      lines.find((l) => l.startsWith("error:")) ?? made.text;
    throw new UsageError(
      `deno compile failed: ${
        why.replace(/^\s*([0-9]+|error):/, "").trim()
      }\nIt needs denort of version ${Deno.version.deno}: where it ` +
        `cannot be downloaded, set DENORT_BIN to one. ${INSTEAD}`,
    );
  }
  const path = output.startsWith("/") ? output : new URL(output, ROOT).pathname;
  const tried = await run(path, ["-version"]);
  if (!tried.text.startsWith("QEMU emulator version")) {
    Deno.removeSync(path);
    const from = denort === undefined ? "the denort of this Deno" : `${denort} (DENORT_BIN)`;
    throw new UsageError(`The binary does not run: ${from} is not a working denort. ${INSTEAD}`);
  }
}

if (import.meta.main) {
  const output = Deno.args[0] ?? "dist/qeno";
  try {
    await compile(output);
    console.log(output);
  } catch (e) {
    fail("compile", e);
  }
}
