/** This program and Debian's QEMU as a user runs them: a monitor on pipes, ROMs made from code. */
import { hex, kvmMissing } from "./harness.ts";

export const QEMU = "/usr/bin/qemu-system-x86_64";
export const OURS = new URL("../../cli.ts", import.meta.url).pathname;

/** Why the two cannot be compared here, or undefined. */
export const qemuMissing: string | undefined = (() => {
  if (kvmMissing !== undefined) return kvmMissing;
  try {
    Deno.statSync(QEMU);
    return undefined;
  } catch {
    return `no ${QEMU}`;
  }
})();

/** A test of both programs under KVM: skipped, with the reason in its name, where that cannot be. */
export function qemuTest(name: string, fn: () => Promise<void>): void {
  const ignore = qemuMissing !== undefined;
  Deno.test({ name: ignore ? `${name} [skipped: ${qemuMissing}]` : name, ignore, fn });
}

/** One running program with its human monitor on stdio. */
export class Session implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  readonly #done: Promise<unknown>;
  readonly #timer: ReturnType<typeof setTimeout>;
  #out = "";
  #more: () => void = () => {};
  /** All of stderr so far. */
  stderr = "";
  #ended = false;

  /**
   * @param ms after which the program is killed
   * @param env of the program, beside what it inherits
   */
  constructor(
    program: string,
    args: readonly string[],
    ms = 30_000,
    env: Record<string, string> = {},
  ) {
    this.#child = new Deno.Command(program, {
      args: ["-display", "none", "-monitor", "stdio", ...args],
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
      env: { DENO_NO_UPDATE_CHECK: "1", ...env },
    }).spawn();
    this.#writer = this.#child.stdin.getWriter();
    this.#timer = setTimeout(() => this.kill(), ms);
    const read = async (s: ReadableStream<Uint8Array>, take: (text: string) => void) => {
      const decoder = new TextDecoder();
      for await (const chunk of s) {
        take(decoder.decode(chunk, { stream: true }));
        this.#more();
      }
    };
    this.#done = Promise.all([
      read(this.#child.stdout, (t) => this.#out += t),
      read(this.#child.stderr, (t) => this.stderr += t),
    ]).finally(() => {
      this.#ended = true;
      this.#more();
    });
  }

  get pid(): number {
    return this.#child.pid;
  }

  /** Until `there` holds. Throws when the program has ended before. */
  async until(there: () => boolean, what = "what was expected"): Promise<void> {
    while (!there()) {
      if (this.#ended) {
        throw new Error(`ended without ${what}:\n${this.#out.slice(-800)}\n${this.stderr}`);
      }
      await new Promise<void>((resolve) => this.#more = resolve);
    }
  }

  /** The lines that a monitor command prints, in front of the next prompt. */
  async command(line: string): Promise<string[]> {
    await this.until(() => this.#out.endsWith("(qemu) "), "a prompt");
    const from = this.#out.length;
    await this.#writer.write(new TextEncoder().encode(line + "\n"));
    await this.until(() => this.#out.slice(from).endsWith("\n(qemu) "), `an answer to ${line}`);
    const answer = this.#out.slice(from).replaceAll("\r", "").split("\n");
    return answer.slice(1, -1);
  }

  /** Asks until the answer holds; the last one. */
  async poll(line: string, there: (answer: string[]) => boolean): Promise<string[]> {
    for (;;) {
      const answer = await this.command(line);
      if (there(answer)) return answer;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  /** `quit`; gives the exit status. */
  async quit(): Promise<number> {
    await this.until(() => this.#out.endsWith("(qemu) "), "a prompt");
    await this.#writer.write(new TextEncoder().encode("quit\n"));
    return await this.end();
  }

  /** The exit status, once the program has ended by itself. */
  async end(): Promise<number> {
    await this.#done;
    return (await this.#child.status).code;
  }

  kill(): void {
    try {
      this.#child.kill("SIGKILL");
    } catch { // has ended
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.kill();
    clearTimeout(this.#timer);
    await this.#done;
    await this.#child.status;
    await this.#writer.close().catch(() => {});
  }
}

/** A 64 KiB ROM with code at F000:0 (hex, or `{ offset: hex }`) and a jump to it at the reset vector. */
export function makeRom(code: string, parts: Record<number, string> = {}): Uint8Array {
  const rom = new Uint8Array(0x10000);
  rom.set(hex(code));
  rom.set(hex("ea 00 00 00 f0"), 0xfff0); // jmp f000:0
  for (const [at, text] of Object.entries(parts)) rom.set(hex(text), Number(at));
  return rom;
}

/** `fn` gets the name of a file with these contents. */
export async function withFile<T>(
  bytes: Uint8Array,
  fn: (file: string) => Promise<T>,
): Promise<T> {
  const file = await Deno.makeTempFile({ suffix: ".bin" });
  try {
    await Deno.writeFile(file, bytes);
    return await fn(file);
  } finally {
    await Deno.remove(file);
  }
}

/** Flat code and data segments 8 and 16, by `lgdt cs:[40h]`. */
export const FLAT_GDT: Record<number, string> = {
  0x40: "17 00 00 01 0f 00", // three entries at F0100h
  0x108: "ff ff 00 00 00 9b cf 00  ff ff 00 00 00 93 cf 00",
};
