/**
 * Whole-machine boots through the command line, judged by what the guest prints on its serial port.
 * Guests come from Debian packages; where they cannot be had the tests say so and are skipped.
 */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { guest, GuestUnavailable, INIT_MARKER } from "../guests/guests.ts";

/** A running machine with its serial port on pipes. */
class Session {
  text = "";
  readonly #child: Deno.ChildProcess;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  readonly #readers: Promise<void>[];
  #changed: () => void = () => {};
  ended = false;

  constructor(args: readonly string[]) {
    this.#child = new Deno.Command(Deno.execPath(), {
      args: [
        "run",
        "-A",
        "--no-check",
        new URL("../../main.ts", import.meta.url).pathname,
        ...args,
      ],
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    this.#writer = this.#child.stdin.getWriter();
    const read = async (s: ReadableStream<Uint8Array>) => {
      const decoder = new TextDecoder();
      for await (const chunk of s) {
        this.text += decoder.decode(chunk, { stream: true });
        this.#changed();
      }
    };
    this.#readers = [read(this.#child.stdout), read(this.#child.stderr)];
    Promise.all(this.#readers).then(() => {
      this.ended = true;
      this.#changed();
    });
  }

  /** Waits until `pattern` occurs behind position `from`; gives the position behind it. */
  async expect(pattern: RegExp, from = 0): Promise<number> {
    for (;;) {
      const m = pattern.exec(this.text.slice(from));
      if (m) return from + m.index + m[0].length;
      assert(!this.ended, `ended before ${pattern}:\n${this.text.slice(-2000)}`);
      await new Promise<void>((r) => this.#changed = r);
    }
  }

  async type(text: string): Promise<void> {
    await this.#writer.write(new TextEncoder().encode(text));
  }

  async status(): Promise<number> {
    const { code } = await this.#child.status;
    await Promise.all(this.#readers);
    return code;
  }

  async stop(): Promise<void> {
    if (!this.ended) this.#child.kill("SIGKILL");
    await this.#writer.close().catch(() => {});
    await this.#child.status;
    await Promise.all(this.#readers);
  }
}

async function booting(
  t: Deno.TestContext,
  args: (get: typeof guest) => Promise<string[]> | string[],
  body: (s: Session) => Promise<void>,
): Promise<void> {
  let list: string[];
  try {
    list = await args(guest);
  } catch (e) {
    if (!(e instanceof GuestUnavailable)) throw e;
    console.log(`skipped (${t.name}): ${e.message}`);
    return;
  }
  const s = new Session(list);
  try {
    await body(s);
  } finally {
    await s.stop();
  }
}

Deno.test("our firmware says when nothing can be booted", async (t) => {
  await booting(t, () => ["-nographic", "-m", "32"], async (s) => {
    await s.expect(/No bootable device/);
  });
});

Deno.test("Debian's SeaBIOS runs its power-on self test", async (t) => {
  await booting(
    t,
    async (get) => ["-nographic", "-m", "32", "-bios", await get("seabios")],
    async (s) => {
      await s.expect(/SeaBIOS \(version/);
      await s.expect(/No bootable device/);
    },
  );
});

/** Boots to a shell take minutes under tier 0: `deno task test:long` runs them. */
const LONG = Deno.env.has("QENO_LONG");

Deno.test("isolinux loads a Linux kernel from CD, which starts", { ignore: !LONG }, async (t) => {
  await booting(
    t,
    async (get) => ["-nographic", "-m", "256", "-cdrom", await get("linux686-iso")],
    async (s) => {
      await s.expect(/ISOLINUX/);
      await s.expect(/Linux version/);
    },
  );
});

Deno.test({
  name: "a Linux ISO boots on two vCPUs to a shell and powers off",
  ignore: !LONG,
  fn: async (t) => {
    await booting(
      t,
      async (get) => ["-nographic", "-smp", "2", "-m", "256", "-cdrom", await get("linux686-iso")],
      async (s) => {
        let at = await s.expect(new RegExp(`${INIT_MARKER} cpus=2`));
        at = await s.expect(/# /, at);
        await s.type("echo answer $((6 * 7)) $(nproc)\n");
        at = await s.expect(/answer 42 2\r?\n/, at);
        await s.type("poweroff\n");
        assertEquals(await s.status(), 0);
        assertMatch(s.text, /Power down/);
      },
    );
  },
});

Deno.test(
  "-kernel starts a bzImage with an initrd and a command line",
  { ignore: !LONG },
  async (t) => {
    await booting(
      t,
      async (get) => [
        "-nographic",
        "-no-reboot",
        "-m",
        "128",
        "-kernel",
        await get("linux686-kernel"),
        "-initrd",
        await get("linux686-initrd"),
        "-append",
        "console=ttyS0 panic=-1 qeno.marker=hello",
      ],
      async (s) => {
        const at = await s.expect(/Linux version/);
        await s.expect(/Kernel command line: .*qeno\.marker=hello/, at);
      },
    );
  },
);
