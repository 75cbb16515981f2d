/** A machine started through the command line, its serial port on pipes, for tests of boots. */
import { assert } from "@std/assert";
import { guest, GuestUnavailable } from "../guests/guests.ts";

/** This program, as a command. */
const OURS = [
  Deno.execPath(),
  "run",
  "-A",
  "--no-check",
  new URL("../../main.ts", import.meta.url).pathname,
];

/** A running machine with its serial port on pipes. */
export class Session {
  text = "";
  readonly #child: Deno.ChildProcess;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  readonly #readers: Promise<void>[];
  #changed: () => void = () => {};
  ended = false;

  /** @param command what to run with `args`: this program, unless it is said */
  constructor(args: readonly string[], command: readonly string[] = OURS) {
    this.#child = new Deno.Command(command[0], {
      args: [...command.slice(1), ...args],
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

  /**
   * Waits until `pattern` occurs behind position `from`; gives the position behind it. Fails when
   * the machine ends before, or after `seconds` if they are given.
   */
  async expect(pattern: RegExp, from = 0, seconds = Infinity): Promise<number> {
    const end = performance.now() + seconds * 1000;
    for (;;) {
      const m = pattern.exec(this.text.slice(from));
      if (m) return from + m.index + m[0].length;
      const last = () => this.text.slice(-2000);
      assert(!this.ended, `ended before ${pattern}:\n${last()}`);
      const left = end - performance.now();
      assert(left > 0, `no ${pattern} in ${seconds} s:\n${last()}`);
      let timer: ReturnType<typeof setTimeout> | undefined;
      await new Promise<void>((r) => {
        this.#changed = r;
        if (left < Infinity) timer = setTimeout(r, left);
      });
      clearTimeout(timer);
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

/** What `make` makes of guests; undefined, and said so, where one of them cannot be had. */
export async function obtained<T>(
  t: Deno.TestContext,
  make: (get: typeof guest) => Promise<T> | T,
): Promise<T | undefined> {
  try {
    return await make(guest);
  } catch (e) {
    if (!(e instanceof GuestUnavailable)) throw e;
    console.log(`skipped (${t.name}): ${e.message}`);
  }
}

/** Runs `body` on a machine; says so and skips where a guest cannot be had. */
export async function booting(
  t: Deno.TestContext,
  args: (get: typeof guest) => Promise<string[]> | string[],
  body: (s: Session) => Promise<void>,
): Promise<void> {
  const list = await obtained(t, args);
  if (list === undefined) return;
  const s = new Session(list);
  try {
    await body(s);
  } finally {
    await s.stop();
  }
}
