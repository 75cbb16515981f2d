/**
 * The `-snapshot` overlay: writes go to a sparse temporary file that is unlinked as soon as it is
 * open, so that nothing is left behind however the process ends.
 */
import { UserError } from "../errors.ts";
import { type BlockBackend, BlockError } from "./block.ts";
import { RawFile } from "./raw.ts";
import { errnoWords } from "../errno.ts";
import { errnoOf } from "./host_errors.ts";
import { readAt, writeAt } from "./host_file.ts";

/** Copy-on-write unit in bytes. */
const CLUSTER = 4096;
/** Clusters per page of the allocation bitmap (4 KiB of bitmap: 128 MiB of disk). */
const BITMAP_PAGE = 32768;

/** `$TMPDIR`, else the place for large files where the system has it, else the system's choice. */
function temporaryDirectory(): string | undefined {
  const own = Deno.env.get("TMPDIR");
  if (own) return own;
  try {
    return Deno.statSync("/var/tmp").isDirectory ? "/var/tmp" : undefined;
  } catch {
    return undefined;
  }
}

export class SnapshotOverlay implements BlockBackend {
  readonly format = "qcow2";
  readonly readonly: boolean;
  readonly size: number;
  readonly filename: string;
  readonly #temp: Deno.FsFile;
  readonly #bitmap = new Map<number, Uint8Array>();
  #allocated = 0;
  #closed = false;

  /** @param readonly what the guest may do: the overlay of a CD stays read-only */
  constructor(readonly backing: BlockBackend, readonly_ = false) {
    this.size = backing.size;
    this.readonly = readonly_;
    const dir = temporaryDirectory();
    let path: string;
    try {
      path = Deno.makeTempFileSync({ dir, prefix: "vl." });
      this.#temp = Deno.openSync(path, { read: true, write: true });
      Deno.removeSync(path);
    } catch (e) {
      throw new UserError(
        `Could not open temporary file '${dir ?? ""}/vl.XXXXXX': ${errnoWords(errnoOf(e))}`,
      );
    }
    this.filename = `json:{"backing": {"driver": "${backing.format}", "file": ` +
      `{"driver": "file", "filename": ${JSON.stringify(backing.filename)}}}, ` +
      `"driver": "qcow2", "file": {"driver": "file", "filename": "${path}"}}`;
  }

  read(offset: number, into: Uint8Array): Promise<void> | undefined {
    this.#check(offset, into.length);
    let pending: Promise<void>[] | undefined;
    for (let done = 0; done < into.length;) {
      const at = offset + done;
      const own = this.#has(Math.floor(at / CLUSTER));
      let n = CLUSTER - at % CLUSTER;
      while (done + n < into.length && this.#has(Math.floor((at + n) / CLUSTER)) === own) {
        n += CLUSTER;
      }
      n = Math.min(n, into.length - done);
      const part = into.subarray(done, done + n);
      const r = own ? this.#readTemp(at, part) : this.backing.read(at, part);
      if (r !== undefined) (pending ??= []).push(r);
      done += n;
    }
    return pending && Promise.all(pending).then(() => {});
  }

  write(offset: number, from: Uint8Array): Promise<void> | undefined {
    this.#check(offset, from.length);
    if (this.readonly) throw new BlockError("EROFS", errnoWords("EROFS"));
    return this.#writeFrom(offset, from, 0);
  }

  flush(): undefined {}

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#temp.close();
    this.backing.close();
  }

  /** Copies all changed clusters to the image file, which is opened for writing meanwhile. */
  commit(): void {
    const base = this.backing.readonly ? this.#reopen() : this.backing;
    const buffer = new Uint8Array(CLUSTER);
    try {
      for (const [page, bits] of this.#bitmap) {
        for (let i = 0; i < BITMAP_PAGE; i++) {
          if ((bits[i >> 3] & (1 << (i & 7))) === 0) continue;
          const at = (page * BITMAP_PAGE + i) * CLUSTER;
          const part = buffer.subarray(0, Math.min(CLUSTER, this.size - at));
          this.#readTemp(at, part);
          if (base.write(at, part) !== undefined) {
            throw new BlockError("EINVAL", "Operation not supported");
          }
        }
      }
      base.flush();
    } finally {
      if (base !== this.backing) base.close();
    }
    this.#bitmap.clear();
    this.#allocated = 0;
    this.#temp.truncateSync(0);
  }

  #reopen(): BlockBackend {
    try {
      return new RawFile(this.backing.filename);
    } catch (e) {
      const reason = /: ([^:]*)$/.exec((e as Error).message)?.[1];
      throw new BlockError("EIO", reason ?? (e as Error).message);
    }
  }

  lock(_write: boolean): void {
    this.backing.lock?.(false);
  }

  allocated(): number {
    return this.#allocated;
  }

  /** Writes `from` starting at its byte `done`; goes on after a promise of the backing image. */
  #writeFrom(offset: number, from: Uint8Array, done: number): Promise<void> | undefined {
    while (done < from.length) {
      const at = offset + done, left = from.length - done;
      const cluster = Math.floor(at / CLUSTER), within = at % CLUSTER;
      if (within === 0 && left >= CLUSTER) {
        const n = left - left % CLUSTER;
        this.#writeTemp(at, from.subarray(done, done + n));
        for (let i = 0; i < n / CLUSTER; i++) this.#mark(cluster + i);
        done += n;
        continue;
      }
      const n = Math.min(CLUSTER - within, left);
      if (!this.#has(cluster)) {
        const start = cluster * CLUSTER, goOn = done;
        const old = new Uint8Array(Math.min(CLUSTER, this.size - start));
        const r = this.backing.read(start, old);
        if (r !== undefined) {
          return r.then(() => {
            this.#fill(cluster, old);
            return this.#writeFrom(offset, from, goOn);
          });
        }
        this.#fill(cluster, old);
      }
      this.#writeTemp(at, from.subarray(done, done + n));
      done += n;
    }
  }

  #fill(cluster: number, bytes: Uint8Array): void {
    if (this.#has(cluster)) return;
    this.#writeTemp(cluster * CLUSTER, bytes);
    this.#mark(cluster);
  }

  #readTemp(offset: number, into: Uint8Array): undefined {
    readAt(this.#temp, offset, into);
  }

  #writeTemp(offset: number, from: Uint8Array): void {
    writeAt(this.#temp, offset, from);
  }

  #has(cluster: number): boolean {
    const page = this.#bitmap.get(Math.floor(cluster / BITMAP_PAGE));
    const i = cluster % BITMAP_PAGE;
    return page !== undefined && (page[i >> 3] & (1 << (i & 7))) !== 0;
  }

  #mark(cluster: number): void {
    const key = Math.floor(cluster / BITMAP_PAGE), i = cluster % BITMAP_PAGE;
    let page = this.#bitmap.get(key);
    if (page === undefined) this.#bitmap.set(key, page = new Uint8Array(BITMAP_PAGE / 8));
    if ((page[i >> 3] & (1 << (i & 7))) !== 0) return;
    page[i >> 3] |= 1 << (i & 7);
    this.#allocated += CLUSTER;
  }

  #check(offset: number, length: number): void {
    if (offset < 0 || offset + length > this.size) throw new BlockError("EIO", errnoWords("EIO"));
  }
}
