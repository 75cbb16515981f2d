/** The human monitor on a character device: a line editor in front of the HMP interpreter. */
import type { Chardev, ChardevEvent, ChardevPort } from "../chardev/chardev.ts";
import { MuxChardev } from "../chardev/mux.ts";
import { QEMU_VERSION } from "../version.ts";
import { HmpInterpreter } from "./hmp/interpreter.ts";
import { Readline } from "./readline.ts";
import type { MonitorTarget } from "./target.ts";

const PROMPT = "(qemu) ";
/** Characters kept for a multiplexer that shows another front end; what is older goes first. */
const MAX_HELD_BACK = 1 << 20;

export class HumanMonitor {
  readonly #port: ChardevPort;
  readonly #readline: Readline;
  readonly #hmp: HmpInterpreter;
  /** Another front end of the multiplexer is shown: output waits. */
  #muxedOut: boolean;
  #heldBack = "";
  /** A peer has come and has been greeted. */
  #greeted = false;
  /** A command that takes time has not finished. */
  #busy = false;
  readonly #encoder = new TextEncoder();

  constructor(target: MonitorTarget, chardev: Chardev) {
    this.#readline = new Readline({
      print: (text) => this.#print(text),
      line: (text) => this.#line(text),
      complete: (text) => this.#hmp.complete(text),
    }, PROMPT);
    this.#hmp = new HmpInterpreter({
      target,
      print: (text) => this.#print(text),
      history: () => this.#readline.history,
    });
    this.#muxedOut = chardev instanceof MuxChardev;
    const frontend = {
      canReceive: () => this.#muxedOut || this.#busy || this.#hmp.quitting ? 0 : 1,
      receive: (bytes: Uint8Array) => bytes.forEach((b) => this.#readline.handleByte(b)),
      event: (ev: ChardevEvent) => this.#event(ev),
    };
    this.#port = chardev instanceof MuxChardev
      ? chardev.attachFirst(frontend)
      : chardev.attach(frontend);
  }

  #print(text: string): void {
    this.#heldBack += text.replaceAll("\n", "\r\n");
    if (this.#muxedOut) this.#heldBack = this.#heldBack.slice(-MAX_HELD_BACK);
    else this.#flush();
  }

  #flush(): void {
    if (this.#heldBack === "") return;
    // Line editing works on bytes: characters up to 255 are bytes as they were typed.
    const bytes = /[^\0-\xff]/.test(this.#heldBack)
      ? this.#encoder.encode(this.#heldBack)
      : Uint8Array.from(this.#heldBack, (c) => c.charCodeAt(0));
    this.#heldBack = "";
    this.#port.write(bytes);
  }

  #event(ev: ChardevEvent): void {
    switch (ev) {
      case "open":
        this.#print(
          `QEMU ${QEMU_VERSION} monitor - type 'help' for more information\n`,
        );
        this.#greeted = true;
        if (!this.#muxedOut) {
          this.#readline.restart();
          this.#prompt();
        }
        return;
      case "close":
        this.#greeted = false;
        return;
      case "mux-in":
        this.#muxedOut = false;
        if (this.#greeted) {
          this.#flush();
          this.#readline.restart();
          this.#prompt();
        }
        return;
      case "mux-out":
        if (this.#greeted && !this.#busy) this.#print("\n");
        this.#muxedOut = true;
    }
  }

  #prompt(): void {
    if (!this.#busy && !this.#hmp.quitting) this.#readline.showPrompt();
  }

  #line(text: string): void {
    const running = this.#hmp.execute(text);
    if (running === undefined) return this.#prompt();
    this.#busy = true;
    void running.then(() => {
      this.#busy = false;
      if (!this.#muxedOut) this.#prompt();
      this.#port.acceptInput();
    });
  }
}
