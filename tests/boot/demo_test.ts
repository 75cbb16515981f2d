/** `deno task demo` as a user runs it: the built-in guest on its CD under the built-in BIOS. */
import { assertEquals, assertStringIncludes } from "@std/assert";

const root = new URL("../../", import.meta.url);

/** The demo with its terminal as pipes: waits for texts, types lines. */
class Session {
  readonly #process: Deno.ChildProcess;
  readonly #input: WritableStreamDefaultWriter<Uint8Array>;
  readonly #done: Promise<void>;
  output = "";
  #changed: () => void = () => {};

  constructor(...args: string[]) {
    this.#process = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--quiet", new URL("demo.ts", root).pathname, ...args],
      stdin: "piped",
      stdout: "piped",
      stderr: "null",
    }).spawn();
    this.#input = this.#process.stdin.getWriter();
    this.#done = this.#collect();
  }

  async #collect(): Promise<void> {
    const decoder = new TextDecoder();
    for await (const chunk of this.#process.stdout) {
      this.output += decoder.decode(chunk, { stream: true });
      this.#changed();
    }
    this.#changed();
  }

  /** Resolves when `text` has been printed behind `from`; fails after a generous time. */
  async expect(text: string, from = 0): Promise<void> {
    const late = new Promise<never>((_, reject) => {
      const t = setTimeout(() => reject(new Error(`no "${text}" in:\n${this.output}`)), 120_000);
      Deno.unrefTimer(t);
    });
    while (!this.output.slice(from).includes(text)) {
      await Promise.race([new Promise<void>((r) => this.#changed = r), late]);
    }
  }

  /** Types a line and waits for the next prompt; gives what was printed in between. */
  async command(line: string): Promise<string> {
    const from = this.output.length;
    await this.#input.write(new TextEncoder().encode(line + "\r"));
    await this.expect("\n> ", from);
    return this.output.slice(from).replaceAll("\r", "");
  }

  /** Types a line after which the program ends; gives its status. */
  async last(line: string): Promise<number> {
    await this.#input.write(new TextEncoder().encode(line + "\r"));
    const { code } = await this.#process.status;
    await this.#done;
    await this.#input.close().catch(() => {});
    return code;
  }
}

Deno.test("the demo guest boots, runs two processors, reads its CD and powers off", async () => {
  const s = new Session();
  await s.expect("\n> ");
  const boot = s.output.replaceAll("\r", "");
  assertStringIncludes(boot, "qeno BIOS");
  assertStringIncludes(boot, "Booting from DVD/CD...");
  assertStringIncludes(boot, "Processors running: 2");
  assertStringIncludes(boot, "page fault at 40003000: page mapped to frame 00100000");
  assertStringIncludes(boot, "reading it back at physical 00100000: 12345678");
  assertStringIncludes(boot, "Hello from the CD.");
  assertStringIncludes(await s.command("help"), "poweroff");
  const ticks = (text: string) =>
    [...text.matchAll(/^ +(\d+) +(\d+) +(\d+) +(\d+)$/gm)].map((m) => m.slice(1).map(Number));
  const before = ticks(await s.command("cpus"));
  assertEquals(before.map((row) => row.slice(0, 2)), [[0, 0], [1, 1]]);
  await s.command("exits");
  const after = ticks(await s.command("cpus"));
  for (const n of [0, 1]) {
    assertEquals(after[n][2] > before[n][2], true, "timer interrupts go on on both");
  }
  assertEquals(after[1][3], 2, "two inter-processor interrupts have arrived");
  assertStringIncludes(await s.command("ls"), "README.TXT");
  assertStringIncludes(await s.command("cat exits.txt"), "What is a VM exit?");
  assertStringIncludes(await s.command("cat nothing"), "No such file.");
  assertStringIncludes(await s.command("mem"), "129920 KiB RAM");
  assertEquals(await s.last("poweroff"), 0);
});

Deno.test("the demo guest's reboot ends the program under -no-reboot", async () => {
  const s = new Session("-no-reboot", "-smp", "1");
  await s.expect("\n> ");
  assertStringIncludes(s.output, "Processors running: 1");
  assertEquals(await s.last("reboot"), 0);
});
