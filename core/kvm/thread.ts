/**
 * A thread that does nothing but KVM_RUN. The main thread tells it to through a mailbox in shared
 * memory and does everything else itself, while the thread waits: dispatching accesses, injecting
 * interrupts, reading registers.
 *
 * The kick: the thread has {@link KICK_SIGNAL} blocked, except inside KVM_RUN (KVM_SET_SIGNAL_MASK).
 * A signal sent while it is on its way there stays pending and ends that KVM_RUN at once, so none is
 * lost and there is no handler to run. It is then taken away by sigtimedwait.
 */
import { KICK_SIGNAL, type Libc, signalSet } from "./libc.ts";

/** Mailbox words. */
const COMMAND = 0, DONE = 1, RESULT = 2, TID = 3, GUEST_US = 4;
const RUN = 1, QUIT = 2;
const EIO = 5;
/** How often the main thread looks for an answer before it goes back to its event loop. */
const SPINS = 200;

/**
 * The thread's program. It becomes the source text of a Worker, so that a bundle needs no second
 * file; therefore it uses nothing from outside its braces.
 */
function vcpuThread(): void {
  const COMMAND = 0, DONE = 1, RESULT = 2, TID = 3, GUEST_US = 4, IDLE = 0, QUIT = 2, EINTR = 4;
  const SYS_GETTID = 186n, KVM_RUN = 0xae80, SPINS = 2000;
  addEventListener("message", (event) => {
    const { libc, fd, mailbox, signals } = (event as MessageEvent).data as {
      libc: string;
      fd: number;
      mailbox: Int32Array;
      signals: Uint8Array<ArrayBuffer>;
    };
    const c = Deno.dlopen(libc, {
      ioctl: { parameters: ["i32", "u32", "pointer"], result: "i32" },
      sigtimedwait: { parameters: ["buffer", "pointer", "buffer"], result: "i32" },
      syscall: { parameters: ["usize"], result: "isize" },
      __errno_location: { parameters: [], result: "pointer" },
    }).symbols;
    const errno = new Deno.UnsafePointerView(c.__errno_location()!);
    const noWait = new Uint8Array(16);
    Atomics.store(mailbox, TID, Number(c.syscall(SYS_GETTID)));
    Atomics.notify(mailbox, TID);
    for (;;) {
      for (let i = 0; i < SPINS && Atomics.load(mailbox, COMMAND) === IDLE; i++);
      Atomics.wait(mailbox, COMMAND, IDLE);
      if (Atomics.exchange(mailbox, COMMAND, IDLE) === QUIT) break;
      const entered = performance.now();
      let r = c.ioctl(fd, KVM_RUN, null);
      Atomics.store(mailbox, GUEST_US, (performance.now() - entered) * 1000);
      if (r < 0) {
        r = -errno.getInt32(0);
        if (r === -EINTR) c.sigtimedwait(signals, null, noWait);
      }
      Atomics.store(mailbox, RESULT, r);
      Atomics.store(mailbox, DONE, 1);
      Atomics.notify(mailbox, DONE);
    }
    close();
  });
}

export class VcpuThread {
  readonly #mailbox = new Int32Array(new SharedArrayBuffer(20));
  readonly #worker: Worker;
  #running = false;
  #signalled = false;
  #failure: string | undefined;

  /** Starts the thread for the vCPU `fd`. */
  constructor(private readonly libc: Libc, fd: number) {
    const source = new Blob([`(${vcpuThread})()`], { type: "text/javascript" });
    const url = URL.createObjectURL(source);
    this.#worker = new Worker(url, { type: "module", name: `kvm-vcpu-${fd}` });
    this.#worker.onerror = (e) => {
      e.preventDefault();
      this.#failure = e.message;
      Atomics.store(this.#mailbox, RESULT, -EIO);
      for (const word of [TID, DONE]) {
        Atomics.store(this.#mailbox, word, -1);
        Atomics.notify(this.#mailbox, word);
      }
    };
    this.#worker.postMessage({
      libc: libc.name,
      fd,
      mailbox: this.#mailbox,
      signals: signalSet(KICK_SIGNAL),
    });
  }

  /** Resolves when the thread takes commands. Rejects when it could not start. */
  async ready(): Promise<void> {
    const w = Atomics.waitAsync(this.#mailbox, TID, 0);
    if (w.async) await w.value;
    if (this.#failure !== undefined) throw new Error(`kvm: vCPU thread: ${this.#failure}`);
  }

  /** Between {@link resume} and the end of that KVM_RUN. */
  get running(): boolean {
    return this.#running;
  }

  /** Lets the thread, which is {@link ready}, enter KVM_RUN. */
  resume(): void {
    this.#running = true;
    this.#signalled = false;
    Atomics.store(this.#mailbox, DONE, 0);
    Atomics.store(this.#mailbox, COMMAND, RUN);
    Atomics.notify(this.#mailbox, COMMAND);
  }

  /** Waits in the event loop for the end of KVM_RUN. False when it has ended by now already. */
  wait(): false | Promise<unknown> {
    for (let i = 0; i < SPINS; i++) if (Atomics.load(this.#mailbox, DONE) !== 0) return false;
    const w = Atomics.waitAsync(this.#mailbox, DONE, 0);
    return w.async && w.value;
  }

  /** Makes KVM_RUN end soon. */
  interrupt(): void {
    if (!this.#running || this.#signalled || Atomics.load(this.#mailbox, DONE) !== 0) return;
    this.#signalled = true;
    this.libc.tgkill(Atomics.load(this.#mailbox, TID), KICK_SIGNAL);
  }

  /** Interrupts KVM_RUN and waits for its end on the calling thread. */
  stop(): void {
    if (!this.#running) return;
    this.interrupt();
    Atomics.wait(this.#mailbox, DONE, 0);
  }

  /** The result of the KVM_RUN that has ended: 0 or a negative errno. */
  collect(): number {
    this.#running = false;
    return Atomics.load(this.#mailbox, RESULT);
  }

  /** How long that KVM_RUN has taken, in ms. */
  get guestMs(): number {
    return Atomics.load(this.#mailbox, GUEST_US) / 1000;
  }

  /** Ends the thread. */
  close(): void {
    this.stop();
    Atomics.store(this.#mailbox, COMMAND, QUIT);
    Atomics.notify(this.#mailbox, COMMAND);
    this.#worker.terminate();
  }
}
