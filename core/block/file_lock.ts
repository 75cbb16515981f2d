/**
 * Advisory image locks, interoperable with QEMU's (docs/system/images, "image locking"): open file
 * description locks on single bytes. A user holds byte 100+p for each permission p it uses, and byte
 * 200+p for each it does not share; it must find the opposite bytes free. Where libc can't be
 * called, there is no locking (as QEMU's `locking=auto`).
 */
import { UserError } from "../errors.ts";

const F_OFD_GETLK = 36, F_OFD_SETLK = 37, F_RDLCK = 0, F_WRLCK = 1, F_UNLCK = 2;
const O_RDONLY = 0, O_CLOEXEC = 0o2000000;
const PERM_BASE = 100, SHARED_BASE = 200;

/** Permissions in QEMU's bit order, with the names its messages use. */
const permNames = ["consistent read", "write", "write unchanged", "resize"] as const;
const CONSISTENT_READ = 0, WRITE = 1, RESIZE = 3;

interface Libc {
  open(path: BufferSource, flags: number, mode: number): number;
  close(fd: number): number;
  fcntl(fd: number, cmd: number, arg: BufferSource): number;
}

let libc: Libc | null | undefined;

function getLibc(): Libc | null {
  if (libc !== undefined) return libc;
  libc = null;
  if (Deno.build.os === "linux") {
    try {
      libc = Deno.dlopen("libc.so.6", {
        open: { parameters: ["buffer", "i32", "i32"], result: "i32" },
        close: { parameters: ["i32"], result: "i32" },
        fcntl: { parameters: ["i32", "i32", "buffer"], result: "i32" },
      }).symbols as unknown as Libc;
    } catch {
      // No FFI permission or no glibc.
    }
  }
  return libc;
}

/** `struct flock` of x86-64 and arm64 Linux for one byte. */
function flock(type: number, start: number): DataView<ArrayBuffer> {
  const v = new DataView(new ArrayBuffer(32));
  v.setInt16(0, type, true);
  v.setBigInt64(8, BigInt(start), true);
  v.setBigInt64(16, 1n, true);
  return v;
}

/** A held set of locks. */
export class ImageLock {
  #fd: number;
  private constructor(fd: number) {
    this.#fd = fd;
  }

  /**
   * Locks `filename` for a reader, or for a writer that shares the image with nobody. Returns
   * undefined where locking is not possible; throws UserError when another process is in the way.
   */
  static take(filename: string, write: boolean): ImageLock | undefined {
    const c = getLibc();
    if (c === null) return undefined;
    const fd = c.open(new TextEncoder().encode(filename + "\0"), O_RDONLY | O_CLOEXEC, 0);
    if (fd < 0) return undefined;
    const used = write ? [CONSISTENT_READ, WRITE] : [CONSISTENT_READ];
    const unshared = [WRITE, RESIZE];
    const fail = (message: string): never => {
      c.close(fd);
      throw new UserError(message, 1, `Is another process using the image [${filename}]?`);
    };
    const hold = (at: number) => c.fcntl(fd, F_OFD_SETLK, flock(F_RDLCK, at)) === 0;
    const taken = (at: number) => {
      const v = flock(F_WRLCK, at);
      return c.fcntl(fd, F_OFD_GETLK, v) === 0 && v.getInt16(0, true) !== F_UNLCK;
    };
    for (const p of used) {
      if (!hold(PERM_BASE + p)) {
        c.close(fd);
        return undefined; // a file system without locks
      }
    }
    for (const p of unshared) hold(SHARED_BASE + p);
    for (const p of used) {
      if (taken(SHARED_BASE + p)) fail(`Failed to get "${permNames[p]}" lock`);
    }
    for (const p of unshared) {
      if (taken(PERM_BASE + p)) fail(`Failed to get shared "${permNames[p]}" lock`);
    }
    return new ImageLock(fd);
  }

  release(): void {
    if (this.#fd >= 0) getLibc()?.close(this.#fd);
    this.#fd = -1;
  }
}
