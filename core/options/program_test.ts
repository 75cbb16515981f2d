import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { libc, O_NOCTTY, O_RDWR, openFd, TERMIOS_SIZE } from "../chardev/libc.ts";
import { PtyChardev } from "../chardev/fd_backends.ts";
import { uuidBytes } from "./files.ts";

const CLI = new URL("../../cli.ts", import.meta.url).pathname;
const PROGRAM = new URL("./program.ts", import.meta.url).href;
const REGISTRY = new URL("../chardev/registry.ts", import.meta.url).href;

async function inTempDir(f: (dir: string) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir();
  try {
    await f(dir);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

async function run(program: string, args: string[], env: Record<string, string> = {}) {
  const out = await new Deno.Command(program, { args, env, stdin: "null" }).output();
  return {
    code: out.code,
    stdout: new TextDecoder().decode(out.stdout),
    stderr: new TextDecoder().decode(out.stderr),
  };
}

/** A program whose machine is `body`, with `config`, `hooks` and `registry` at hand. */
function fakeProgram(dir: string, body: string): string {
  const path = `${dir}/fake.ts`;
  Deno.writeTextFileSync(
    path,
    `import { runProgram } from ${JSON.stringify(PROGRAM)};
import { ChardevRegistry } from ${JSON.stringify(REGISTRY)};
Deno.exit(await runProgram(Deno.args, async (config, hooks) => {
  const registry = new ChardevRegistry({
    host: hooks.host,
    mux: { terminate() {}, commitAll() {}, now: () => 0 },
    daemonize: config.daemonize,
  });
  void registry;
  ${body}
}));
`,
  );
  return path;
}

Deno.test("the command runs through a link and takes its name", () =>
  inTempDir(async (dir) => {
    const link = `${dir}/qemu-system-i386`;
    Deno.symlinkSync(CLI, link);
    const [good, bad, own] = await Promise.all([
      run(link, ["--version"]),
      run(link, ["-smp", "3,cores=2"]),
      run(CLI, ["-nosuch"]),
    ]);
    assertEquals([good.code, good.stderr], [0, ""]);
    assertMatch(good.stdout, /^QEMU emulator version 7\.2\.[0-9]+ \(qeno [0-9.]+\)\n/);
    assertEquals([bad.code, bad.stdout], [1, ""]);
    assertMatch(bad.stderr, /^qemu-system-i386: Invalid CPU topology: product of the hierarchy/);
    assertEquals(own.stderr, "qemu-system-x86_64: -nosuch: invalid option\n");
  }));

Deno.test("what is not the user's fault is one line, with a stack only for debugging", () =>
  inTempDir(async (dir) => {
    const path = fakeProgram(dir, `throw new RangeError("boom\\nsecond line");`);
    const plain = await run(Deno.execPath(), ["run", "-A", path]);
    assertEquals([plain.code, plain.stdout], [1, ""]);
    assertEquals(plain.stderr, "qemu-system-x86_64: internal error: RangeError: boom\n");
    const debug = await run(Deno.execPath(), ["run", "-A", path], { QENO_DEBUG: "1" });
    assertStringIncludes(debug.stderr, "fake.ts");
    const later = fakeProgram(
      dir,
      `setTimeout(() => { throw new Error("late"); }, 1); return new Promise(() => {});`,
    );
    const out = await run(Deno.execPath(), ["run", "-A", later]);
    assertEquals(out.code, 1);
    assertEquals(out.stderr, "qemu-system-x86_64: internal error: Error: late\n");
  }));

Deno.test("-pidfile: written, locked while it runs, removed at the end", () =>
  inTempDir(async (dir) => {
    const path = fakeProgram(
      dir,
      `console.log(Deno.readTextFileSync(${JSON.stringify(dir + "/pid")}), Deno.pid);
       const other = await new Deno.Command(Deno.execPath(), {
         args: ["run", "-A", Deno.mainModule, "-pidfile", ${JSON.stringify(dir + "/pid")}],
       }).output();
       console.log(new TextDecoder().decode(other.stderr));
       return 7;`,
    );
    const out = await run(Deno.execPath(), ["run", "-A", path, "-pidfile", `${dir}/pid`]);
    const [written, pid] = out.stdout.split(/\s+/);
    assertEquals([out.code, written], [7, pid]);
    assertStringIncludes(
      out.stdout,
      "qemu-system-x86_64: cannot create PID file: Cannot lock pid file: " +
        "Resource temporarily unavailable\n",
    );
    assertEquals([...Deno.readDirSync(dir)].map((e) => e.name), ["fake.ts"]);
  }));

Deno.test("-daemonize: the caller returns when the machine is ready, or has failed", () =>
  inTempDir(async (dir) => {
    const path = fakeProgram(
      dir,
      `if (config.name === "bad") throw new Error("no machine");
       await hooks.initialised();
       const stat = Deno.readTextFileSync("/proc/self/stat").split(" ");
       Deno.writeTextFileSync(${JSON.stringify(dir + "/daemon")},
         [Deno.cwd(), stat[5] === String(Deno.pid), Deno.stdout.isTerminal()].join());
       Deno.renameSync(${JSON.stringify(dir + "/daemon")}, ${JSON.stringify(dir + "/done")});
       return 0;`,
    );
    const good = await run(Deno.execPath(), [
      "run",
      "-A",
      path,
      "-daemonize",
      "-pidfile",
      `${dir}/p`,
    ]);
    assertEquals(good, { code: 0, stdout: "", stderr: "" });
    const exists = (name: string) => [...Deno.readDirSync(dir)].some((e) => e.name === name);
    while (!exists("done")) await new Promise((r) => setTimeout(r, 5));
    assertEquals(Deno.readTextFileSync(`${dir}/done`), "/,true,false");
    while (exists("p")) await new Promise((r) => setTimeout(r, 5));
    const bad = await run(Deno.execPath(), ["run", "-A", path, "-daemonize", "-name", "bad"]);
    assertEquals(bad.code, 1);
    assertEquals(bad.stderr, "qemu-system-x86_64: internal error: Error: no machine\n");
    const usage = await run(Deno.execPath(), ["run", "-A", path, "-daemonize", "-m", "x"]);
    assertEquals(usage.code, 1);
    assertStringIncludes(usage.stderr, "-m x: Parameter 'size' expects");
  }));

Deno.test("-D takes the log, %d is the process", () =>
  inTempDir(async (dir) => {
    const log = new URL("../log.ts", import.meta.url).href;
    const path = fakeProgram(
      dir,
      `const { log } = await import(${JSON.stringify(log)});
       log("int", "logged"); log("mmu", "not logged"); console.log(Deno.pid); return 0;`,
    );
    const out = await run(Deno.execPath(), ["run", "-A", path, "-d", "int", "-D", `${dir}/l%d`]);
    assertEquals(out.stderr, "");
    assertEquals(Deno.readTextFileSync(`${dir}/l${out.stdout.trim()}`), "logged\n");
  }));

/** ECHO and ISIG of a terminal. */
function modes(fd: number): { echo: boolean; signals: boolean; output: boolean } {
  const t = new Uint8Array(TERMIOS_SIZE);
  assertEquals(libc().tcgetattr(fd, t), 0);
  const view = new DataView(t.buffer);
  const lflag = view.getUint32(12, true);
  return {
    echo: (lflag & 0o10) !== 0,
    signals: (lflag & 1) !== 0,
    output: (view.getUint32(4, true) & 1) !== 0,
  };
}

Deno.test("stdio: the terminal is raw while it runs and restored however it ends", () =>
  inTempDir(async (dir) => {
    for (
      const [option, signals, end] of [
        ["stdio", true, "return 3;"],
        ["mon:stdio", false, `throw new Error("crash");`],
        ["mon:stdio", false, "Deno.exit(4);"],
      ] as const
    ) {
      const pty = new PtyChardev(
        {
          backend: "pty",
          id: "t",
          mux: false,
          monitor: false,
          logfile: undefined,
          logappend: false,
          loc: "",
          failureNote: undefined,
        },
        "t",
        10,
      );
      let typed = "";
      let wake = () => {};
      const port = pty.attach({
        canReceive: () => 1024,
        receive: (b) => {
          typed += new TextDecoder().decode(b);
          wake();
        },
        event: () => {},
      });
      const until = async (text: string) => {
        while (!typed.includes(text)) await new Promise<void>((r) => wake = r);
      };
      const slave = openFd(pty.path, O_RDWR | O_NOCTTY);
      // A terminal as a shell leaves it.
      const stty = await run("/bin/sh", ["-c", `stty sane < ${pty.path}`]);
      assertEquals(stty.code, 0);
      assertEquals(modes(slave), { echo: true, signals: true, output: true });
      const path = fakeProgram(
        dir,
        `await registry.createAll(config.chardevs);
         const port = registry.get("serial0").attach({
           canReceive: () => 64,
           receive(b) {
             port.write(new TextEncoder().encode("<" + [...b] + ">"));
             if (b.includes(0x71)) go();
           },
           event() {},
         });
         port.write(new TextEncoder().encode("ready"));
         let go = () => {};
         await new Promise((r) => go = r);
         ${end}`,
      );
      const child = new Deno.Command("/bin/sh", {
        args: [
          "-c",
          `exec ${Deno.execPath()} run -A ${path} -nodefaults -serial ${option} ` +
          `< ${pty.path} > ${pty.path} 2>&1`,
        ],
      }).spawn();
      await until("ready");
      assertEquals(modes(slave), { echo: false, signals, output: true });
      port.write(new TextEncoder().encode("\r"));
      await until("<13>");
      port.write(new TextEncoder().encode("q"));
      const status = await child.status;
      assertEquals(status.code, end.startsWith("return") ? 3 : end.startsWith("throw") ? 1 : 4);
      assertEquals(modes(slave), { echo: true, signals: true, output: true });
      libc().close(slave);
      await pty.close();
    }
  }));

Deno.test("a UUID's bytes are in the order of its digits", () => {
  assertEquals([...uuidBytes("00112233-4455-6677-8899-aabbccddeeff")].map((b) => b.toString(16)), [
    ...["0", "11", "22", "33", "44", "55", "66", "77", "88", "99", "aa", "bb", "cc", "dd", "ee"],
    "ff",
  ]);
  assert(uuidBytes(undefined).every((b) => b === 0));
});
