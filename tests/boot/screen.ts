/** A machine seen through its monitor: the text on its VGA screen is read, keys are sent to it. */
import { assert } from "@std/assert";

const ROWS = 25, COLUMNS = 80, TEXT_MEMORY = 0xb8000;
/** The characters of code page 437 that look like an ASCII one need no table; others become dots. */
const printable = (c: number) => c >= 32 && c < 127 ? String.fromCharCode(c) : c === 0 ? " " : ".";
/** Milliseconds between two looks at the screen. */
const PAUSE = 200;
/** Milliseconds after which a text is given up: far beyond any machine that works. */
const GIVE_UP = 240_000;

const PROMPT = "\n(qemu) ";

/** Names for `sendkey` of what a US keyboard types with its shift key. */
const SHIFTED: Record<string, string> = { ":": "semicolon", "_": "minus", "(": "9", ")": "0" };
const PLAIN: Record<string, string> = {
  " ": "spc",
  "\n": "ret",
  "\x1b": "esc",
  "-": "minus",
  "=": "equal",
  "/": "slash",
  ".": "dot",
};

function keyName(ch: string): string {
  if (SHIFTED[ch] !== undefined) return `shift-${SHIFTED[ch]}`;
  return PLAIN[ch] ?? (/[A-Z]/.test(ch) ? `shift-${ch.toLowerCase()}` : ch);
}

export class ScreenSession {
  readonly #child: Deno.ChildProcess;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  readonly #errors: Promise<string>;
  readonly #done: Promise<void>;
  #output = "";
  #ended = false;
  #changed: () => void = () => {};

  constructor(args: readonly string[]) {
    const main = decodeURIComponent(new URL("../../main.ts", import.meta.url).pathname);
    this.#child = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--no-check", main, "-display", "none", "-monitor", "stdio", ...args],
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    this.#writer = this.#child.stdin.getWriter();
    this.#errors = new Response(this.#child.stderr).text();
    this.#done = this.#collect();
  }

  async #collect(): Promise<void> {
    const decoder = new TextDecoder();
    for await (const chunk of this.#child.stdout) {
      this.#output += decoder.decode(chunk, { stream: true }).replaceAll("\r", "");
      this.#changed();
    }
    this.#ended = true;
    this.#changed();
  }

  /** Waits for the monitor's prompt; gives what was printed before it and forgets it. */
  async #answer(): Promise<string> {
    while (!this.#output.endsWith(PROMPT)) {
      if (this.#ended) {
        throw new Error(`the machine ended:\n${this.#output.slice(-1000)}${await this.#errors}`);
      }
      await new Promise<void>((r) => this.#changed = r);
    }
    const text = this.#output;
    this.#output = "";
    return text;
  }

  #greeted: Promise<string> | undefined;

  /** Runs a monitor command and gives its answer. */
  async command(line: string): Promise<string> {
    await (this.#greeted ??= this.#answer());
    await this.#writer.write(new TextEncoder().encode(line + "\n"));
    const text = await this.#answer();
    return text.slice(text.indexOf("\n") + 1, -PROMPT.length + 1);
  }

  /** Where in text memory the screen begins, in characters: consoles scroll by moving it. */
  async #start(): Promise<number> {
    const crtc = async (index: number) => {
      await this.command(`o /b 0x3d4 ${index}`);
      return Number(/= (0x[0-9a-f]+)/.exec(await this.command("i /b 0x3d5"))?.[1] ?? 0);
    };
    return await crtc(0x0c) << 8 | await crtc(0x0d);
  }

  /** The text screen, 25 lines without what follows the last character. */
  async screen(): Promise<string> {
    const at = TEXT_MEMORY + 2 * await this.#start();
    const dump = await this.command(`xp /${ROWS * COLUMNS / 2}wx 0x${at.toString(16)}`);
    const words = [...dump.matchAll(/0x([0-9a-f]{8})/g)].map((m) => parseInt(m[1], 16));
    const cells = words.flatMap((w) => [w & 0xff, w >>> 16 & 0xff]);
    const lines: string[] = [];
    for (let row = 0; row < ROWS; row++) {
      const line = cells.slice(row * COLUMNS, (row + 1) * COLUMNS);
      lines.push(line.map(printable).join("").trimEnd());
    }
    return lines.join("\n");
  }

  /** Looks at the screen until `pattern` is on it, for `limit` ms at most; gives the screen. */
  async expect(pattern: RegExp, limit = GIVE_UP): Promise<string> {
    const start = performance.now();
    for (;;) {
      const screen = await this.screen();
      if (pattern.test(screen)) return screen;
      assert(performance.now() - start < limit, `no ${pattern} on the screen:\n${screen}`);
      await new Promise((r) => setTimeout(r, PAUSE));
    }
  }

  /** Types a text of printable ASCII characters, new lines and escapes. */
  async type(text: string): Promise<void> {
    for (const ch of text) await this.command(`sendkey ${keyName(ch)} 20`);
  }

  /** Presses a key by its name for `sendkey`. */
  async press(key: string): Promise<void> {
    await this.command(`sendkey ${key}`);
  }

  /** Waits for the machine's end; gives its exit status. */
  async status(): Promise<number> {
    const { code } = await this.#child.status;
    await this.#done;
    return code;
  }

  async stop(): Promise<void> {
    if (!this.#ended) this.#child.kill("SIGKILL");
    await this.#writer.close().catch(() => {});
    await this.#child.status;
    await Promise.all([this.#done, this.#errors]);
  }
}
