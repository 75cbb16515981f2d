/**
 * A host file descriptor that is polled without blocking the program: `poll` waits on a helper
 * thread, reads and writes happen on the main thread when they are known not to block.
 */
import { ByteQueue } from "./byte_queue.ts";
import {
  EAGAIN,
  EINTR,
  errno,
  errnoError,
  libc,
  O_NONBLOCK,
  POLLERR,
  POLLHUP,
  POLLIN,
  POLLOUT,
} from "./libc.ts";

const F_GETFL = 3;
const F_SETFL = 4;
const MAX_QUEUED = 1 << 20;
const EFD_CLOEXEC = 0o2000000;

/** What a descriptor reports; all calls come on the main thread. */
export interface HostFdHandler {
  /** Bytes have come; the next ones are read when the promise has settled. */
  data(bytes: Uint8Array): Promise<void> | undefined;
  /** End of file, or the other side of a terminal is closed. Return ms to wait before looking again, or nothing to stop reading. */
  hangup(): number | undefined;
  /** The first time, and again after {@link hangup}, that the descriptor works. */
  ready?(): void;
}

export class HostFd {
  readonly #wake: number;
  #queue = new ByteQueue(MAX_QUEUED);
  #closing = false;
  #reading = true;
  #paused = false;
  #up = false;
  #loop: Promise<void>;

  /** Takes over `writeFd` (for a pair of FIFOs a second descriptor) and `fd`. */
  constructor(
    readonly fd: number,
    private readonly handler: HostFdHandler,
    private readonly writeFd = fd,
  ) {
    for (const f of new Set([fd, writeFd])) {
      libc().fcntl(f, F_SETFL, libc().fcntl(f, F_GETFL, 0) | O_NONBLOCK);
    }
    this.#wake = libc().eventfd(0, EFD_CLOEXEC);
    if (this.#wake < 0) throw errnoError("eventfd");
    this.#loop = this.#run();
  }

  /** The descriptor works: somebody is on the other side. */
  get up(): boolean {
    return this.#up;
  }

  /** Queues bytes; what nobody takes is dropped beyond a mebibyte, or when the other side goes. */
  write(bytes: Uint8Array): void {
    if (this.#closing) return;
    const idle = this.#queue.length === 0;
    this.#queue.push(bytes);
    if (idle && this.#writeSome()) this.#kick();
  }

  /** Delivers what is queued, as far as the other side takes it now, and closes. */
  async close(): Promise<void> {
    if (this.#closing) return;
    this.#writeSome();
    this.#closing = true;
    this.#kick();
    await this.#loop;
    for (const f of new Set([this.fd, this.writeFd, this.#wake])) libc().close(f);
  }

  #kick(): void {
    libc().write(this.#wake, new BigUint64Array([1n]), 8n);
  }

  /** True when bytes are left. */
  #writeSome(): boolean {
    while (this.#queue.length > 0) {
      const head = this.#queue.peek();
      const n = Number(libc().write(this.writeFd, head, BigInt(head.length)));
      if (n < 0) {
        const e = errno();
        if (e === EINTR) continue;
        if (e === EAGAIN) return true;
        this.#queue.clear();
        return false;
      }
      this.#queue.drop(n);
    }
    return false;
  }

  async #run(): Promise<void> {
    const buffer = new Uint8Array(4096);
    let wait = -1;
    while (!this.#closing) {
      const set = new Int32Array(6); // struct pollfd: fd, events | revents << 16
      set[0] = this.#wake;
      set[1] = POLLIN;
      set[2] = this.#reading && !this.#paused && wait < 0 ? this.fd : -1;
      set[3] = POLLIN;
      set[4] = this.#queue.length > 0 && wait < 0 ? this.writeFd : -1;
      set[5] = POLLOUT;
      await libc().poll_wait(set, 3n, wait);
      if (this.#closing) return;
      if (set[1] >> 16 !== 0) libc().read(this.#wake, new BigUint64Array(1), 8n);
      else if (wait >= 0) wait = -1;
      if (set[5] >> 16 !== 0) this.#writeSome();
      const got = set[3] >> 16;
      if (got === 0) continue;
      wait = this.#readSome(buffer, got);
    }
  }

  /** Reads once; returns the poll timeout until the next look, -1 for none. */
  #readSome(buffer: Uint8Array<ArrayBuffer>, got: number): number {
    let n = 0;
    if (got & POLLIN) {
      n = Number(libc().read(this.fd, buffer, BigInt(buffer.length)));
      if (n < 0) {
        const e = errno();
        if (e === EAGAIN || e === EINTR) return -1;
        n = 0;
      }
    } else if (!(got & (POLLHUP | POLLERR))) {
      return -1;
    }
    if (n === 0) {
      this.#up = false;
      this.#queue.clear();
      const again = this.handler.hangup();
      if (again === undefined) this.#reading = false;
      return again ?? -1;
    }
    this.markUp();
    const held = this.handler.data(buffer.slice(0, n));
    if (held) {
      this.#paused = true;
      held.then(() => {
        this.#paused = false;
        this.#kick();
      });
    }
    return -1;
  }

  /** Notes that the other side is there. */
  markUp(): void {
    if (this.#up) return;
    this.#up = true;
    this.handler.ready?.();
  }
}

/** The conditions that hold on `fd` now, of those in `events` (errors are always included). */
export function pollNow(fd: number, events: number): number {
  const set = new Int32Array([fd, events]);
  libc().poll(set, 1n, 0);
  return set[1] >> 16;
}
