import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { bundle } from "./bundle.ts";

async function inTempDir(f: (dir: string) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir();
  try {
    await f(dir);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

/** Runs with nothing of this process's environment but a path. */
async function run(dir: string, file: string, args: string[], env: Record<string, string> = {}) {
  const out = await new Deno.Command(file, {
    args,
    cwd: dir,
    clearEnv: true,
    env: { PATH: "/usr/bin:/bin", ...env },
    stdin: "null",
  }).output();
  return {
    code: out.code,
    stdout: new TextDecoder().decode(out.stdout),
    stderr: new TextDecoder().decode(out.stderr),
  };
}

/** Runs a machine without a disk until its firmware says so, ends it with Ctrl-a x. */
async function boot(dir: string, file: string, env: Record<string, string>): Promise<number> {
  const child = new Deno.Command(file, {
    args: ["-nographic", "-m", "32"],
    cwd: dir,
    clearEnv: true,
    env: { PATH: "/usr/bin:/bin", ...env },
    stdin: "piped",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const writer = child.stdin.getWriter();
  let text = "", asked = false;
  for await (const chunk of child.stdout.pipeThrough(new TextDecoderStream())) {
    text += chunk;
    if (asked || !text.includes("No bootable device")) continue;
    asked = true;
    await writer.write(new TextEncoder().encode("\x01x"));
  }
  assertStringIncludes(text, "No bootable device");
  await writer.close().catch(() => {});
  return (await child.status).code;
}

// Slow: compresses a whole Deno, some seconds.
Deno.test("the bundle runs from an empty directory with nothing installed", () =>
  inTempDir(async (dir) => {
    await bundle(`${dir}/qemu-system-x86_64`);
    const empty = `${dir}/empty`, home = `${dir}/home`;
    Deno.mkdirSync(empty);
    Deno.mkdirSync(home);
    const [first, second] = await Promise.all(
      [0, 1].map(() => run(empty, `${dir}/qemu-system-x86_64`, ["-version"], { HOME: home })),
    );
    for (const out of [first, second]) {
      assertEquals([out.code, out.stderr], [0, ""]);
      assertStringIncludes(out.stdout, "QEMU emulator version");
    }
    assertEquals(await boot(empty, `${dir}/qemu-system-x86_64`, { HOME: home }), 0);
    const cached = [...Deno.readDirSync(`${home}/.cache/qeno`)].map((e) => e.name);
    assertEquals(cached.length, 1, "two first runs at once leave one copy");
    assert(/^[0-9a-f]{24}$/.test(cached[0]));
    Deno.symlinkSync(`${dir}/qemu-system-x86_64`, `${dir}/kvm`);
    const bad = await run(empty, `${dir}/kvm`, ["-m", "a b"], { XDG_CACHE_HOME: `${home}/.cache` });
    assertEquals(bad.code, 1);
    assertStringIncludes(bad.stderr, "kvm: -m a b: Parameter 'size' expects a non-negative number");
    assertEquals([...Deno.readDirSync(empty)].length, 0);
  }));

Deno.test("compile says what it needs when denort is not one", () =>
  inTempDir(async (dir) => {
    const script = new URL("compile.ts", import.meta.url).pathname;
    const out = await run(dir, Deno.execPath(), ["run", "-A", script, `${dir}/out`], {
      DENORT_BIN: `${dir}/none`,
      HOME: dir,
    });
    assertEquals(out.code, 1);
    assertStringIncludes(out.stderr, `DENORT_BIN names ${dir}/none, which is not there.`);
    assertStringIncludes(out.stderr, "deno task bundle");
  }));
