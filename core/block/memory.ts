/** A disk in memory: built-in media and tests. */
import { type BlockBackend, BlockError } from "./block.ts";

export class MemoryBackend implements BlockBackend {
  readonly format: string;
  readonly filename: string;
  readonly readonly: boolean;
  readonly size: number;

  /** @param bytes the contents; written in place unless `readonly`. Padded to whole sectors. */
  constructor(
    readonly bytes: Uint8Array,
    options: { readonly?: boolean; filename?: string; format?: string } = {},
  ) {
    this.readonly = options.readonly ?? false;
    this.filename = options.filename ?? "null-co://";
    this.format = options.format ?? "raw";
    if (bytes.length % 512 !== 0) {
      this.bytes = new Uint8Array(Math.ceil(bytes.length / 512) * 512);
      this.bytes.set(bytes);
    }
    this.size = this.bytes.length;
  }

  read(offset: number, into: Uint8Array): undefined {
    this.#check(offset, into.length);
    into.set(this.bytes.subarray(offset, offset + into.length));
  }

  write(offset: number, from: Uint8Array): undefined {
    this.#check(offset, from.length);
    if (this.readonly) throw new BlockError("EROFS", "Read-only file system");
    this.bytes.set(from, offset);
  }

  flush(): undefined {}
  close(): void {}

  allocated(): number {
    return this.size;
  }

  #check(offset: number, length: number): void {
    if (offset < 0 || offset + length > this.size) {
      throw new BlockError("EIO", "Input/output error");
    }
  }
}
