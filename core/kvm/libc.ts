/**
 * The few libc functions KVM needs, through Deno FFI, with errno. Linux x86-64; glibc and musl.
 * Each thread that uses it loads its own copy, since errno is per thread.
 */

const symbols = {
  open: { parameters: ["buffer", "i32", "i32"], result: "i32" },
  close: { parameters: ["i32"], result: "i32" },
  ioctl: { parameters: ["i32", "u32", "u64"], result: "i32" },
  // A pointer of null is a whole zero register, which KVM_RUN insists on, without a bigint.
  ioctl_none: { name: "ioctl", parameters: ["i32", "u32", "pointer"], result: "i32" },
  ioctl_buffer: { name: "ioctl", parameters: ["i32", "u32", "buffer"], result: "i32" },
  mmap: { parameters: ["usize", "usize", "i32", "i32", "i32", "i64"], result: "pointer" },
  munmap: { parameters: ["pointer", "usize"], result: "i32" },
  eventfd: { parameters: ["u32", "i32"], result: "i32" },
  epoll_create1: { parameters: ["i32"], result: "i32" },
  epoll_ctl: { parameters: ["i32", "i32", "i32", "buffer"], result: "i32" },
  read: { parameters: ["i32", "buffer", "usize"], result: "isize" },
  write: { parameters: ["i32", "buffer", "usize"], result: "isize" },
  getpid: { parameters: [], result: "i32" },
  syscall: { parameters: ["usize", "usize", "usize", "usize"], result: "isize" },
  pthread_sigmask: { parameters: ["i32", "buffer", "buffer"], result: "i32" },
  sigtimedwait: { parameters: ["buffer", "pointer", "buffer"], result: "i32" },
  timer_create: { parameters: ["i32", "buffer", "buffer"], result: "i32" },
  timer_settime: { parameters: ["usize", "i32", "buffer", "pointer"], result: "i32" },
  timer_delete: { parameters: ["usize"], result: "i32" },
  clock_gettime: { parameters: ["i32", "buffer"], result: "i32" },
  strerror: { parameters: ["i32"], result: "pointer" },
  __errno_location: { parameters: [], result: "pointer" },
} as const;

type Lib = Deno.DynamicLibrary<typeof symbols>;

export const Errno = {
  ENOENT: 2,
  EINTR: 4,
  EAGAIN: 11,
  EACCES: 13,
  EFAULT: 14,
  EINVAL: 22,
} as const;

const O_RDWR_CLOEXEC = 0o2000002;
const PROT_READ_WRITE = 3;
const MAP_SHARED = 1;
const SYS_gettid = 186n;
const SYS_tgkill = 234n;
const SIG_BLOCK = 0;
const CLOCK_MONOTONIC = 1;
const SIGEV_THREAD_ID = 4;

/** The real-time signal that ends KVM_RUN. Above what glibc and musl keep for themselves. */
export const KICK_SIGNAL = 40;

/** What `Deno.build` says of a host. */
export type Host = Pick<typeof Deno.build, "os" | "arch">;

export class Libc {
  readonly c: Lib["symbols"];
  readonly #errno: Deno.UnsafePointerView;
  readonly tid: number;

  /** @param name under which it was found */
  private constructor(lib: Lib, readonly name: string) {
    this.c = lib.symbols;
    this.#errno = new Deno.UnsafePointerView(this.c.__errno_location()!);
    this.tid = Number(this.c.syscall(SYS_gettid, 0n, 0n, 0n));
  }

  static #loaded: Libc | undefined;

  /** Loads libc, once per thread. Throws where there is none that fits, or FFI is not allowed. */
  static load(host: Host = Deno.build): Libc {
    if (host.os !== "linux" || host.arch !== "x86_64") {
      throw new Error("Function not implemented"); // ENOSYS
    }
    if (Libc.#loaded) return Libc.#loaded;
    let last: unknown;
    for (const name of ["libc.so.6", "libc.musl-x86_64.so.1", "libc.so"]) {
      try {
        return Libc.#loaded = new Libc(Deno.dlopen(name, symbols), name);
      } catch (e) {
        if (e instanceof Deno.errors.NotCapable) {
          throw new Error("Permission denied (run with --allow-ffi)");
        }
        last = e;
      }
    }
    throw last;
  }

  /** errno of this thread's last failed call. */
  get errno(): number {
    return this.#errno.getInt32(0);
  }

  strerror(errno: number): string {
    const p = this.c.strerror(errno);
    return p === null ? `error ${errno}` : new Deno.UnsafePointerView(p).getCString();
  }

  /** Opens a device for reading and writing; negative errno on failure. */
  open(path: string): number {
    const fd = this.c.open(new TextEncoder().encode(path + "\0"), O_RDWR_CLOEXEC, 0);
    return fd < 0 ? -this.errno : fd;
  }

  close(fd: number): void {
    this.c.close(fd);
  }

  /** ioctl with a plain number; negative errno on failure. */
  ioctl(fd: number, request: number, arg = 0): number {
    const r = arg === 0
      ? this.c.ioctl_none(fd, request, null)
      : this.c.ioctl(fd, request, BigInt(arg));
    return r < 0 ? -this.errno : r;
  }

  /** ioctl with a structure; negative errno on failure. */
  ioctlBuffer(fd: number, request: number, arg: Uint8Array<ArrayBuffer>): number {
    const r = this.c.ioctl_buffer(fd, request, arg);
    return r < 0 ? -this.errno : r;
  }

  /** Maps `length` bytes of `fd` shared, readable and writable. */
  map(fd: number, length: number): { pointer: Deno.PointerObject; buffer: ArrayBuffer } {
    const pointer = this.c.mmap(0n, BigInt(length), PROT_READ_WRITE, MAP_SHARED, fd, 0n);
    if (pointer === null || Deno.UnsafePointer.value(pointer) === 0xffffffffffffffffn) {
      throw new Error(`mmap: ${this.strerror(this.errno)}`);
    }
    return { pointer, buffer: Deno.UnsafePointerView.getArrayBuffer(pointer, length) };
  }

  unmap(pointer: Deno.PointerObject, length: number): void {
    this.c.munmap(pointer, BigInt(length));
  }

  /** Blocks a signal in this thread. Threads started later inherit that. */
  blockSignal(signal: number): void {
    this.c.pthread_sigmask(SIG_BLOCK, signalSet(signal), new Uint8Array(128));
  }

  readonly #noWait = new Uint8Array(16);
  /** Takes a pending blocked signal away, if there is one. */
  eatSignal(set: Uint8Array<ArrayBuffer>): void {
    this.c.sigtimedwait(set, null, this.#noWait);
  }

  /** Sends a signal to one thread of this process. */
  tgkill(tid: number, signal: number): void {
    this.c.syscall(SYS_tgkill, BigInt(this.c.getpid()), BigInt(tid), BigInt(signal));
  }

  /** CLOCK_MONOTONIC in ns. */
  monotonic(): bigint {
    const t = new BigInt64Array(2);
    this.c.clock_gettime(CLOCK_MONOTONIC, new Uint8Array(t.buffer));
    return t[0] * 1_000_000_000n + t[1];
  }

  /** A timer that sends `signal` to the calling thread. */
  threadTimer(signal: number): ThreadTimer {
    const sigevent = new Uint8Array(64), v = new DataView(sigevent.buffer);
    v.setInt32(8, signal, true);
    v.setInt32(12, SIGEV_THREAD_ID, true);
    v.setInt32(16, this.tid, true);
    const id = new BigUint64Array(1);
    if (this.c.timer_create(CLOCK_MONOTONIC, sigevent, new Uint8Array(id.buffer)) !== 0) {
      throw new Error(`timer_create: ${this.strerror(this.errno)}`);
    }
    return new ThreadTimer(this, id[0]);
  }
}

/** A one-shot POSIX timer on the monotonic clock. */
export class ThreadTimer {
  readonly #spec = new BigInt64Array(4);
  readonly #bytes = new Uint8Array(this.#spec.buffer);
  constructor(readonly libc: Libc, readonly id: bigint) {}
  /** Fires once after `ns`; 0 disarms. Allocates only the bigint. */
  arm(ns: number): void {
    this.#spec[3] = BigInt(ns);
    this.libc.c.timer_settime(this.id, 0, this.#bytes, null);
  }
  close(): void {
    this.libc.c.timer_delete(this.id);
  }
}

/** A glibc `sigset_t` (128 bytes) with one member. */
export function signalSet(signal: number): Uint8Array<ArrayBuffer> {
  const set = new Uint8Array(128);
  set[(signal - 1) >> 3] = 1 << ((signal - 1) & 7);
  return set;
}
