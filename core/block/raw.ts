/** Raw images: regular files and block devices, through synchronous host I/O. */
import { UserError } from "../errors.ts";
import { type BlockBackend, BlockError } from "./block.ts";
import { ImageLock } from "./file_lock.ts";
import { probeFormat } from "./format.ts";
import { errnoWords } from "../errno.ts";
import { errnoOf, toBlockError } from "./host_errors.ts";
import { readAt, writeAt } from "./host_file.ts";

export const SECTOR = 512;

export interface RawOptions {
  readonly readonly?: boolean;
  /**
   * The format was guessed: a write that would make the first sector look like another format is
   * refused, since the guest could otherwise point the next start at any host file.
   */
  readonly probed?: boolean;
  /** Name of the format, for `format=file`. */
  readonly format?: string;
}

export class RawFile implements BlockBackend {
  readonly format: string;
  readonly size: number;
  readonly readonly: boolean;
  readonly #file: Deno.FsFile;
  readonly #probed: boolean;
  /** Bytes really in the file; the padding of the last sector lies beyond. */
  #length: number;
  #lock: ImageLock | undefined;
  #closed = false;

  /** Opens an existing file. Throws UserError with QEMU's words. */
  constructor(readonly filename: string, options: RawOptions = {}) {
    this.format = options.format ?? "raw";
    this.readonly = options.readonly ?? false;
    this.#probed = options.probed ?? false;
    try {
      if (Deno.statSync(filename).isDirectory) {
        throw new UserError(`'file' driver requires '${filename}' to be a regular file`);
      }
      this.#file = Deno.openSync(filename, { read: true, write: !this.readonly });
    } catch (e) {
      if (e instanceof UserError) throw e;
      throw new UserError(`Could not open '${filename}': ${errnoWords(errnoOf(e))}`);
    }
    try {
      this.#length = this.#file.seekSync(0, Deno.SeekMode.End);
    } catch {
      this.#length = 0; // a character device
    }
    this.size = Math.ceil(this.#length / SECTOR) * SECTOR;
  }

  lock(write: boolean): void {
    this.#lock?.release();
    this.#lock = undefined;
    this.#lock = ImageLock.take(this.filename, write);
  }

  read(offset: number, into: Uint8Array): undefined {
    this.#check(offset, into.length);
    readAt(this.#file, offset, into);
  }

  write(offset: number, from: Uint8Array): undefined {
    this.#check(offset, from.length);
    if (this.readonly) throw new BlockError("EROFS", errnoWords("EROFS"));
    if (this.#probed && offset < SECTOR) this.#refuseOtherFormat(offset, from);
    writeAt(this.#file, offset, from);
    this.#length = Math.max(this.#length, offset + from.length);
  }

  flush(): undefined {
    if (this.readonly) return;
    try {
      this.#file.syncDataSync();
    } catch (e) {
      throw toBlockError(e);
    }
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#lock?.release();
    this.#file.close();
  }

  allocated(): number {
    const s = this.#file.statSync();
    return s.blocks === null ? s.size : s.blocks * 512;
  }

  #check(offset: number, length: number): void {
    if (offset < 0 || offset + length > this.size) throw new BlockError("EIO", errnoWords("EIO"));
  }

  #refuseOtherFormat(offset: number, from: Uint8Array): void {
    const head = new Uint8Array(SECTOR);
    if (offset > 0 || from.length < SECTOR) this.read(0, head);
    head.set(from.subarray(0, SECTOR - offset), offset);
    if (probeFormat(head) !== "raw") throw new BlockError("EPERM", errnoWords("EPERM"));
  }
}
