/**
 * The machine: run states and the transitions between them, virtual time, and the loop that gives the
 * vCPUs their turns and the host's event loop its own.
 */
import { setImmediate } from "node:timers";
import type { Accelerator, Vcpu, Vm, VmExit } from "./accel.ts";
import { MachineClock, type MachineClockOptions } from "./machine_clock.ts";
import { AddressSpace } from "./memory/address_space.ts";
import type { GuestMemory } from "./memory/guest_memory.ts";
import { VcpuLoops } from "./vcpu_loops.ts";

/** QEMU's run states (QAPI `RunState`). */
export type RunState =
  | "prelaunch"
  | "running"
  | "paused"
  | "shutdown"
  | "suspended"
  | "internal-error"
  | "io-error"
  | "guest-panicked"
  | "debug"
  | "save-vm"
  | "restore-vm"
  | "inmigrate"
  | "postmigrate"
  | "finish-migrate"
  | "watchdog";

/** QAPI `ShutdownCause` names that occur here. */
export type Cause =
  | "guest-reset"
  | "guest-shutdown"
  | "guest-panic"
  | "host-qmp-quit"
  | "host-qmp-system-reset"
  | "host-signal"
  | "host-ui"
  | "subsystem-reset";

/** What observers (QMP, display) are told. */
export type MachineEvent =
  | { event: "RESUME" }
  | { event: "STOP" }
  | { event: "RESET"; guest: boolean; reason: Cause }
  | { event: "SHUTDOWN"; guest: boolean; reason: Cause }
  | { event: "POWERDOWN" }
  | { event: "SUSPEND" }
  | { event: "WAKEUP" }
  | { event: "GUEST_PANICKED"; action: "pause" | "poweroff" | "run" }
  | { event: "GUEST_CRASHLOADED"; action: "run" };

/** What to do when the guest asks for it: `-action`, `-no-reboot`, `-no-shutdown`. */
export interface MachineActions {
  reboot: "reset" | "shutdown";
  shutdown: "poweroff" | "pause";
  panic: "pause" | "shutdown" | "exit-failure" | "none";
}

export interface MachineOptions {
  readonly memory: GuestMemory;
  readonly clock: MachineClockOptions;
  readonly actions: MachineActions;
  /** Under `-icount` with `sleep=off`, idle time is skipped instead of waited for. */
  readonly skipIdle?: boolean;
}

/** Instructions of one turn of a vCPU. */
const SLICE = 100_000;
/** ms between visits to the host's event loop while a vCPU is busy. */
const EVENT_LOOP_EVERY = 4;
/** ms that an idle machine sleeps at most: a safety net, events wake it at once. */
const MAX_SLEEP = 1000;

export class Machine {
  readonly memory: GuestMemory;
  readonly mem = new AddressSpace("memory", 2 ** 48, 0xff);
  readonly io = new AddressSpace("I/O", 0x10000, 0xff);
  readonly clock: MachineClock;
  readonly actions: MachineActions;
  vm!: Vm;
  accelerator!: Accelerator;
  #state: RunState = "prelaunch";
  #current: Vcpu | undefined;
  #reset: Cause | undefined;
  #shutdown: Cause | undefined;
  #suspend = false;
  #status: number | undefined;
  #wake: (() => void) | undefined;
  /** What the accelerator was last told by `setRunning`. */
  #vmRunning = false;
  readonly #loops = new VcpuLoops({
    vcpus: () => this.vm.vcpus,
    shouldRun: () => this.#state === "running" && !this.#pending(),
    handle: (v, exit) => this.#handle(v, exit),
    ended: () => this.wake(),
  });
  readonly #observers: ((e: MachineEvent) => void)[] = [];
  /** Resets all devices; set by whoever built the board. vCPUs have been reset before it runs. */
  onReset: () => void = () => {};
  /** The guest is asked to power down (ACPI power button). */
  onPowerButton: () => void = () => {};
  /** An accelerator's failure, printed where QEMU prints it. */
  onInternalError: (vcpu: Vcpu, message: string) => void = () => {};
  /** A vCPU met a gdb breakpoint or finished a step. */
  onDebug: (vcpu: Vcpu, exit: VmExit & { reason: "debug" }) => void = () => {};

  constructor(readonly opts: MachineOptions) {
    this.memory = opts.memory;
    this.actions = { ...opts.actions };
    this.clock = new MachineClock(opts.clock);
    this.clock.queue.onEarlier = () => this.wake();
    this.clock.instructions = () => {
      let n = 0;
      for (const v of this.vm.vcpus) n += v.instructions;
      return n;
    };
  }

  /** Chooses the accelerator; its Vm shares this machine's memory and address spaces. */
  useAccelerator(a: Accelerator, kernelIrqchip: "off" | "split" | "on" = "off"): void {
    this.accelerator = a;
    const { memory, mem, io, clock } = this;
    this.vm = a.createVm({ memory, mem, io, clock, kernelIrqchip });
  }

  get runState(): RunState {
    return this.#state;
  }
  get running(): boolean {
    return this.#state === "running";
  }

  observe(f: (e: MachineEvent) => void): void {
    this.#observers.push(f);
  }
  #tell(e: MachineEvent): void {
    for (const f of this.#observers) f(e);
  }

  // ---- asked for by devices and monitors

  /** The vCPU whose access is being served, or undefined when a device or the monitor makes it. */
  currentVcpu(): Vcpu | undefined {
    return this.#current ?? this.vm.current;
  }

  /** Starts or resumes. Does nothing after a shutdown or an internal error until a reset. */
  start(): void {
    if (this.#state === "running") return;
    this.#state = "running";
    this.clock.start();
    this.#tell({ event: "RESUME" });
    this.wake();
  }

  /** Pauses, entering `state`. */
  stop(state: RunState = "paused"): void {
    if (this.#state !== "running") {
      if (state !== "paused") this.#state = state;
      return;
    }
    this.#state = state;
    this.clock.stop();
    this.#kickAll();
    this.#tell({ event: "STOP" });
  }

  requestReset(reason: Cause): void {
    if (this.actions.reboot === "shutdown" && reason === "guest-reset") {
      return this.requestShutdown(reason);
    }
    this.#reset = reason;
    this.#kickAll();
  }
  requestShutdown(reason: Cause): void {
    this.#shutdown = reason;
    this.#kickAll();
  }
  requestSuspend(): void {
    this.#suspend = true;
    this.#kickAll();
  }
  /** Leaves ACPI S3. */
  wakeup(): void {
    if (this.#state !== "suspended") return;
    this.#tell({ event: "WAKEUP" });
    this.#doReset("guest-reset");
    this.start();
  }
  requestPowerdown(): void {
    this.#tell({ event: "POWERDOWN" });
    this.onPowerButton();
    this.wake();
  }
  /** Ends the process with `status`. */
  exit(status: number): void {
    this.#status ??= status;
    this.#kickAll();
  }
  panicked(event: "panicked" | "crash-loaded"): void {
    if (event === "crash-loaded") {
      return this.#tell({ event: "GUEST_CRASHLOADED", action: "run" });
    }
    switch (this.actions.panic) {
      case "none":
        return this.#tell({ event: "GUEST_PANICKED", action: "run" });
      case "exit-failure":
        this.#tell({ event: "GUEST_PANICKED", action: "poweroff" });
        return this.exit(1);
      case "pause":
        this.#tell({ event: "GUEST_PANICKED", action: "pause" });
        return this.stop("guest-panicked");
      case "shutdown":
        this.#tell({ event: "GUEST_PANICKED", action: "pause" });
        this.stop("guest-panicked");
        this.#tell({ event: "GUEST_PANICKED", action: "poweroff" });
        return this.requestShutdown("guest-panic");
    }
  }

  /** Something has changed that a sleeping or busy loop must look at. */
  wake(): void {
    this.#wake?.();
  }

  #kickAll(): void {
    for (const v of this.vm?.vcpus ?? []) v.kick();
    this.wake();
  }

  // ---- the loop

  /** Runs until the process is to end; gives its exit status. */
  async run(): Promise<number> {
    let lastYield = performance.now();
    while (this.#status === undefined) {
      if (this.#loops.running && (this.#state !== "running" || this.#pending())) {
        await this.#loops.stop();
      }
      this.#requests();
      if (this.#status !== undefined) break;
      this.#tellVm(this.#state === "running");
      if (this.#state !== "running") {
        await this.#sleep(MAX_SLEEP);
        continue;
      }
      this.clock.queue.run(this.clock.now());
      if (this.#threaded()) {
        if (this.#pending() || this.#state !== "running") continue;
        this.#loops.start();
        const next = this.clock.queue.next;
        const ms = next === undefined ? MAX_SLEEP : (next - this.clock.now()) / 1e6;
        await this.#sleep(Math.min(ms, MAX_SLEEP));
        continue;
      }
      const busy = this.#turn();
      if (this.#state !== "running" || this.#pending()) continue;
      if (!busy) {
        await this.#idle();
        lastYield = performance.now();
      } else if (performance.now() - lastYield >= EVENT_LOOP_EVERY) {
        await new Promise<void>((r) => setImmediate(r));
        lastYield = performance.now();
      }
    }
    return this.#status;
  }

  /** Several vCPUs, or ones that halt inside the accelerator, run in threads where they can. */
  #threaded(): boolean {
    const { vcpus, irqchip } = this.vm;
    return (vcpus.length > 1 || irqchip !== undefined) && !this.clock.icount &&
      vcpus.every((v) => v.runAsync !== undefined);
  }

  #tellVm(running: boolean): void {
    if (running === this.#vmRunning) return;
    this.#vmRunning = running;
    this.vm.setRunning?.(running);
  }

  #pending(): boolean {
    return this.#status !== undefined || this.#reset !== undefined ||
      this.#shutdown !== undefined || this.#suspend;
  }

  #requests(): void {
    if (this.#shutdown !== undefined) {
      const reason = this.#shutdown;
      this.#shutdown = undefined;
      const guest = reason.startsWith("guest");
      this.#tell({ event: "SHUTDOWN", guest, reason });
      if (
        this.actions.shutdown === "pause" && reason !== "host-qmp-quit" && reason !== "host-signal"
      ) {
        this.stop("shutdown");
      } else this.#status = 0;
    }
    if (this.#reset !== undefined && this.#status === undefined) {
      const reason = this.#reset;
      this.#reset = undefined;
      this.#doReset(reason);
      // A machine that had shut down or failed goes on only when it is told to.
      if (this.#state !== "running" && this.#state !== "prelaunch" && this.#state !== "paused") {
        this.#state = "prelaunch";
      }
    }
    if (this.#suspend) {
      this.#suspend = false;
      this.stop("suspended");
      this.#tell({ event: "SUSPEND" });
    }
  }

  #doReset(reason: Cause): void {
    for (const v of this.vm.vcpus) v.reset();
    this.onReset();
    this.#tell({ event: "RESET", guest: reason.startsWith("guest"), reason });
  }

  /** Resets everything before the first start. */
  powerOn(): void {
    for (const v of this.vm.vcpus) v.reset();
    this.onReset();
  }

  /** Gives each vCPU one slice; false when all are halted. */
  #turn(): boolean {
    let busy = false;
    const vcpus = this.vm.vcpus;
    for (let i = 0; i < vcpus.length; i++) {
      const v = vcpus[i];
      const budget = this.clock.icount
        ? Math.min(SLICE, this.clock.instructionsToDeadline())
        : SLICE;
      this.#current = v;
      let exit: VmExit;
      try {
        exit = v.run(budget);
      } finally {
        this.#current = undefined;
      }
      if (exit.reason !== "hlt") busy = true;
      this.#handle(v, exit);
      if (this.#pending() || this.#state !== "running") return true;
      if (i + 1 < vcpus.length) this.clock.queue.run(this.clock.now());
    }
    return busy;
  }

  #handle(v: Vcpu, exit: VmExit): void {
    switch (exit.reason) {
      case "hlt":
      case "interrupted":
        return;
      case "shutdown":
        return this.requestReset("guest-reset");
      case "debug":
        this.stop("debug");
        return this.onDebug(v, exit);
      case "internal-error":
        this.stop("internal-error");
        return this.onInternalError(v, exit.message);
    }
  }

  /** All vCPUs are halted: waits for the next timer or an outside event. */
  async #idle(): Promise<void> {
    const next = this.clock.queue.next;
    if (next === undefined) {
      await this.#sleep(MAX_SLEEP);
      return;
    }
    const ms = (next - this.clock.now()) / 1e6;
    if (this.clock.icount) {
      if (!this.opts.skipIdle && ms > 1) {
        const woken = await this.#sleep(ms);
        if (woken && (this.clock.queue.next ?? Infinity) < next) return;
      } else await new Promise<void>((r) => setImmediate(r));
      return this.clock.skipTo(next);
    }
    if (ms > 0.5) await this.#sleep(Math.min(ms, MAX_SLEEP));
    else await new Promise<void>((r) => setImmediate(r));
  }

  /** Sleeps until {@link wake} or `ms` have passed; true when woken. */
  #sleep(ms: number): Promise<boolean> {
    return new Promise((resolve) => {
      const done = (woken: boolean) => {
        clearTimeout(timer);
        this.#wake = undefined;
        resolve(woken);
      };
      const timer = setTimeout(() => done(false), Math.max(0, Math.floor(ms)));
      this.#wake = () => done(true);
    });
  }
}
