/**
 * What every back end shares: one front end, input held back until the front end can take it, and
 * the `logfile=` copy of the output.
 */
import { fail, located, strerror } from "../options/host.ts";
import { UserError } from "../errors.ts";
import type { Chardev, ChardevEvent, ChardevFrontend, ChardevPort } from "./chardev.ts";
import type { ChardevOptions } from "./options.ts";

export interface LineParams {
  speed: number;
  parity: "N" | "E" | "O";
  dataBits: number;
  stopBits: number;
}

/** `logfile=`: a copy of all output. */
export class OutputLog {
  #file: Deno.FsFile;
  private constructor(file: Deno.FsFile) {
    this.#file = file;
  }

  /** Throws UserError when the file cannot be made. */
  static open(options: ChardevOptions): OutputLog | undefined {
    const { logfile: path, logappend: append, loc } = options;
    if (path === undefined) return undefined;
    try {
      return new OutputLog(
        Deno.openSync(path, { write: true, create: true, append, truncate: !append }),
      );
    } catch (e) {
      fail(loc, `Could not create '${path}': ${strerror(e)}`);
    }
  }

  write(bytes: Uint8Array): void {
    writeAllSync(this.#file, bytes);
  }

  close(): void {
    this.#file.close();
  }
}

/** Writes everything; a full disk or a vanished reader loses the rest, as a serial line would. */
export function writeAllSync(to: { writeSync(b: Uint8Array): number }, bytes: Uint8Array): void {
  try {
    for (let at = 0; at < bytes.length;) at += to.writeSync(bytes.subarray(at));
  } catch {
    // Nobody is there to read it.
  }
}

export abstract class BaseChardev implements Chardev {
  readonly label: string;
  /** A peer is there: front ends that attach are told `open` at once. */
  protected connected = false;
  #frontend: ChardevFrontend | undefined;
  #pending: Uint8Array[] = [];
  #drained: (() => void) | undefined;
  #log: OutputLog | undefined;

  constructor(protected readonly options: ChardevOptions, label = options.id) {
    this.label = label;
    this.#log = OutputLog.open(options);
  }

  abstract get filename(): string;

  /** Sends bytes to the host. Must not block for long and must not throw. */
  protected abstract transmit(bytes: Uint8Array): void;

  /** Releases what is open; called once, after {@link transmit} has had everything. */
  protected release(): Promise<void> | void {}

  protected setLineParams(_p: LineParams): void {}

  /** A front end has come or gone. */
  protected frontendChanged(_attached: boolean): void {}

  attach(fe: ChardevFrontend): ChardevPort {
    if (this.#frontend) throw new UserError(`Device '${this.label}' is in use`);
    this.#frontend = fe;
    this.frontendChanged(true);
    const current = () => this.#frontend === fe;
    const port: ChardevPort = {
      chardev: this,
      write: (bytes) => {
        if (current()) this.send(bytes);
      },
      acceptInput: () => {
        if (current()) this.#flush();
      },
      setParams: (p) => {
        if (current()) this.setLineParams(p);
      },
      detach: () => {
        if (!current()) return;
        this.#frontend = undefined;
        this.#release();
        this.frontendChanged(false);
      },
    };
    if (this.connected) queueMicrotask(() => current() && this.connected && fe.event("open"));
    return port;
  }

  sendBreak(): void {
    this.event("break");
  }

  /** Writes to the log and to the host. */
  send(bytes: Uint8Array): void {
    this.#log?.write(bytes);
    this.transmit(bytes);
  }

  /**
   * Hands bytes from the host to the front end. The promise settles when it has taken them all (at
   * once when there is no front end: they are lost), so that a reader that waits for it holds the
   * peer back.
   */
  protected input(bytes: Uint8Array): Promise<void> | undefined {
    if (!this.#frontend) return undefined;
    this.#pending.push(bytes);
    this.#flush();
    if (this.#pending.length === 0) return undefined;
    return new Promise((resolve) => {
      const before = this.#drained;
      this.#drained = () => {
        before?.();
        resolve();
      };
    });
  }

  protected event(ev: ChardevEvent): void {
    if (ev === "open") this.connected = true;
    if (ev === "close") {
      this.connected = false;
      this.#release();
    }
    this.#frontend?.event(ev);
  }

  #flush(): void {
    while (this.#frontend && this.#pending.length > 0) {
      const space = this.#frontend.canReceive();
      if (space <= 0) return;
      const head = this.#pending[0];
      if (head.length <= space) {
        this.#pending.shift();
        this.#frontend.receive(head);
      } else {
        this.#pending[0] = head.subarray(space);
        this.#frontend.receive(head.subarray(0, space));
      }
    }
    if (this.#pending.length === 0) this.#release();
  }

  #release(): void {
    this.#pending.length = 0;
    const done = this.#drained;
    this.#drained = undefined;
    done?.();
  }

  async close(): Promise<void> {
    this.#frontend = undefined;
    this.#release();
    await this.release();
    this.#log?.close();
    this.#log = undefined;
  }

  /** A UserError of this back end's option. */
  protected error(message: string, hint?: string): UserError {
    return new UserError(located(this.options.loc, message), 1, hint);
  }
}
