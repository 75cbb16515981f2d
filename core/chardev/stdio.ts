/** The program's standard input and output. */
import { BaseChardev, writeAllSync } from "./base.ts";
import type { ChardevOptions } from "./options.ts";
import { enterRawMode, restoreTerminal } from "./terminal.ts";
import { fail } from "../options/host.ts";

let inUse = false;

export class StdioChardev extends BaseChardev {
  #reading = false;

  /** @param daemonized the program has no terminal to share */
  constructor(
    options: Extract<ChardevOptions, { backend: "stdio" }>,
    label?: string,
    daemonized = false,
  ) {
    if (daemonized) fail(options.loc, "cannot use stdio with -daemonize");
    if (inUse) fail(options.loc, "cannot use stdio by multiple character devices");
    super(options, label);
    inUse = true;
    enterRawMode(options.signal);
    this.connected = true;
  }

  /** Reads only when there is somebody to take it: what is typed early waits in the pipe. */
  protected override frontendChanged(attached: boolean): void {
    if (!attached || this.#reading) return;
    this.#reading = true;
    void this.#read();
  }

  get filename(): string {
    return "stdio";
  }

  async #read(): Promise<void> {
    const buffer = new Uint8Array(4096);
    try {
      for (let n; inUse && (n = await Deno.stdin.read(buffer)) !== null;) {
        await this.input(buffer.slice(0, n));
      }
    } catch {
      // Standard input is closed.
    }
    if (inUse) this.event("close");
  }

  protected override transmit(bytes: Uint8Array): void {
    writeAllSync(Deno.stdout, bytes);
  }

  protected override release(): void {
    inUse = false;
    restoreTerminal();
  }
}
