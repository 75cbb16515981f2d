/** Back ends without a peer: null, file, ring buffer. */
import { fail, strerror } from "../options/host.ts";
import { BaseChardev, writeAllSync } from "./base.ts";
import type { ChardevOptions } from "./options.ts";

/** Swallows output and never says anything. */
export class NullChardev extends BaseChardev {
  get filename(): string {
    return "null";
  }
  protected override transmit(): void {}
}

type FileOptions = Extract<ChardevOptions, { backend: "file" }>;

/** Output to a file, which is emptied first unless `append=on`. */
export class FileChardev extends BaseChardev {
  #file: Deno.FsFile;
  #reading: Promise<void> | undefined;
  #closed = false;

  constructor(options: FileOptions, label?: string) {
    super(options, label);
    const { path, append, loc } = options;
    try {
      if (Deno.statSync(path).isDirectory) fail(loc, `Could not open '${path}': Is a directory`);
    } catch (e) {
      if (!(e instanceof Deno.errors.NotFound)) throw e;
    }
    try {
      this.#file = Deno.openSync(path, { write: true, create: true, append, truncate: !append });
    } catch (e) {
      fail(loc, `Could not open '${path}': ${strerror(e)}`);
    }
    this.connected = true;
    if (options.inputPath !== undefined) this.#read(options.inputPath, loc);
  }

  get filename(): string {
    return "file";
  }

  #read(path: string, loc: string): void {
    let file: Deno.FsFile;
    try {
      file = Deno.openSync(path);
    } catch (e) {
      fail(loc, `Could not open '${path}': ${strerror(e)}`);
    }
    this.#reading = (async () => {
      const buffer = new Uint8Array(4096);
      for (let n; !this.#closed && (n = file.readSync(buffer)) !== null;) {
        await this.input(buffer.slice(0, n));
      }
      file.close();
    })();
  }

  protected override transmit(bytes: Uint8Array): void {
    writeAllSync(this.#file, bytes);
  }

  protected override async release(): Promise<void> {
    this.#closed = true;
    await this.#reading;
    this.#file.close();
  }
}

type RingOptions = Extract<ChardevOptions, { backend: "ringbuf" | "memory" }>;

/** Keeps the last `size` bytes of output for the monitor's `ringbuf_read`. */
export class RingbufChardev extends BaseChardev {
  #buffer: Uint8Array;
  #produced = 0;
  #consumed = 0;

  constructor(options: RingOptions, label?: string) {
    super(options, label);
    this.#buffer = new Uint8Array(options.size);
    this.connected = true;
  }

  get filename(): string {
    return "ringbuf";
  }

  /** Bytes waiting to be read. */
  get count(): number {
    return this.#produced - this.#consumed;
  }

  protected override transmit(bytes: Uint8Array): void {
    const size = this.#buffer.length;
    for (const b of bytes) {
      this.#buffer[this.#produced++ & (size - 1)] = b;
      if (this.#produced - this.#consumed > size) this.#consumed = this.#produced - size;
    }
    // Counters are rebased so that they stay exact integers.
    if (this.#consumed >= 2 ** 40) {
      this.#produced -= this.#consumed - (this.#consumed & (size - 1));
      this.#consumed &= size - 1;
    }
  }

  /** Takes at most `max` of the oldest bytes out. */
  read(max: number): Uint8Array {
    const n = Math.min(max, this.count);
    const out = new Uint8Array(n);
    for (let i = 0; i < n; i++) out[i] = this.#buffer[this.#consumed++ & (this.#buffer.length - 1)];
    return out;
  }

  /** Puts bytes in from the monitor's `ringbuf_write`; they are read back with {@link read}. */
  write(bytes: Uint8Array): void {
    this.transmit(bytes);
  }
}
