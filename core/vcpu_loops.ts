/** vCPUs that run in threads of their own (`Vcpu.runAsync`): a loop for each, started and stopped. */
import type { Vcpu, VmExit } from "./accel.ts";

export interface VcpuLoopsHost {
  vcpus(): readonly Vcpu[];
  /** Whether a vCPU that has come back shall go on. */
  shouldRun(): boolean;
  /** An exit; called before {@link shouldRun} is asked again. */
  handle(vcpu: Vcpu, exit: VmExit): void;
  /** A loop has ended: the accelerator has changed under it, or {@link shouldRun} said no. */
  ended(): void;
}

export class VcpuLoops {
  readonly #running = new Map<Vcpu, Promise<void>>();

  constructor(private readonly host: VcpuLoopsHost) {}

  get running(): boolean {
    return this.#running.size > 0;
  }

  /** Starts the loop of each vCPU that has none. */
  start(): void {
    for (const v of this.host.vcpus()) {
      if (!this.#running.has(v)) this.#running.set(v, this.#loop(v));
    }
  }

  #stopping = false;

  /**
   * Gets every vCPU out of its run and ends all loops, also when {@link VcpuLoopsHost.shouldRun} comes
   * to say yes again meanwhile: {@link start} is for that.
   */
  async stop(): Promise<void> {
    this.#stopping = true;
    for (const v of this.#running.keys()) v.kick();
    await Promise.all(this.#running.values());
    this.#stopping = false;
  }

  async #loop(v: Vcpu): Promise<void> {
    try {
      while (!this.#stopping && this.host.shouldRun() && v.runAsync !== undefined) {
        this.host.handle(v, await v.runAsync());
      }
    } finally {
      this.#running.delete(v);
      this.host.ended();
    }
  }
}
