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

/** What ends ACPI S3. */
export type WakeCause = "power-button" | "rtc" | "other";

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

/** The slowest the guest believes its processor to be: ns an instruction, and one that asks a device. */
const INSTRUCTION_NS = 100, EXIT_NS = 2000;
/** ns of guest time that all vCPUs' turns together may take, and one turn at least. */
const ROUND_NS = 1_000_000, MIN_SLICE_NS = 250_000;
/** Instructions of one turn of a vCPU, at least and at most; under `-icount`, and before the first turn. */
const MIN_BUDGET = 1000, MAX_BUDGET = 10_000_000, FIRST_BUDGET = 100_000;
/** Speed is measured over as many turns as this takes (ns), short ones and late ones alike. */
const MEASURED_NS = 500_000;
/** A measurement counts as at most so many times the cost before: the host may have been away. */
const SURPRISE = 4;
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
  #wakeup: WakeCause | undefined;
  /** Host ns that an instruction takes, and the measurement in progress. */
  #cost = ROUND_NS / FIRST_BUDGET;
  readonly #measured = { ns: 0, instructions: 0 };
  /** When the turn in progress is to end at the latest, in virtual ns. */
  #sliceEnd = -Infinity;
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
  /** The guest has entered ACPI S3. */
  onSuspend: () => void = () => {};
  /** S3 has ended: vCPUs and devices have been reset. */
  onWakeup: (cause: WakeCause) => void = () => {};
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
    this.clock.queue.onEarlier = () => {
      if (this.#current && this.clock.queue.next! < this.#sliceEnd) this.#current.kick();
      this.wake();
    };
    this.clock.onLimit = () => this.#current?.kick();
    this.clock.instructions = () => {
      let n = 0;
      for (const v of this.vm.vcpus) n += v.instructions;
      return n;
    };
    this.clock.effort = () => {
      let ns = 0;
      for (const { instructions, exits } of this.vm.vcpus) {
        ns += instructions * INSTRUCTION_NS;
        ns += ((exits.get("io") ?? 0) + (exits.get("mmio") ?? 0)) * EXIT_NS;
      }
      return ns;
    };
  }

  /** Chooses the accelerator; its Vm shares this machine's memory and address spaces. */
  useAccelerator(a: Accelerator, kernelIrqchip: "off" | "split" | "on" = "off"): void {
    this.accelerator = a;
    const { memory, mem, io, clock } = this;
    this.vm = a.createVm({ memory, mem, io, clock, kernelIrqchip });
    this.vm.onEvent = () => this.wake();
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
  /** Leaves ACPI S3; does nothing in another state. */
  wakeup(cause: WakeCause = "other"): void {
    if (this.#state !== "suspended") return;
    this.#wakeup = cause;
    this.wake();
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
      if (this.#state === "suspended") {
        // Time goes on: the alarm, or a key, may end it.
        this.clock.idle();
        this.clock.fire();
        if (this.#state === "suspended" && !this.#pending()) await this.#idle();
        continue;
      }
      if (this.#state !== "running") {
        await this.#sleep(MAX_SLEEP);
        continue;
      }
      const emulated = this.vm.vcpus.every((v) => v.runAsync === undefined);
      if (!emulated) this.clock.free();
      this.clock.fire();
      if (this.#threaded()) {
        if (this.#pending() || this.#state !== "running") continue;
        this.#loops.start();
        const next = this.clock.queue.next;
        const ms = next === undefined ? MAX_SLEEP : (next - this.clock.now()) / 1e6;
        await this.#sleep(Math.min(ms, MAX_SLEEP));
        continue;
      }
      const busy = this.#turn(emulated);
      if (this.#state !== "running" || this.#pending()) continue;
      if (!busy && await this.#idle(emulated)) {
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
      this.#shutdown !== undefined || this.#suspend || this.#wakeup !== undefined;
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
      if (this.#state === "running") {
        this.#state = "suspended";
        this.onSuspend();
        this.#tell({ event: "SUSPEND" });
      }
    }
    if (this.#wakeup !== undefined) {
      const cause = this.#wakeup;
      this.#wakeup = undefined;
      if (this.#state === "suspended") {
        for (const v of this.vm.vcpus) v.reset();
        this.onReset();
        this.onWakeup(cause);
        this.#state = "running";
        this.#tell({ event: "WAKEUP" });
      }
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

  /**
   * Gives each vCPU one turn; false when all are halted.
   * @param emulated the vCPUs' instructions are executed here, at the pace of the clock
   */
  #turn(emulated: boolean): boolean {
    let busy = false;
    const { clock } = this, vcpus = this.vm.vcpus;
    const slice = Math.max(MIN_SLICE_NS, ROUND_NS / vcpus.length);
    for (let i = 0; i < vcpus.length; i++) {
      const exit = !emulated
        ? this.#enter(vcpus[i], FIRST_BUDGET)
        : clock.icount
        ? this.#countedTurn(vcpus[i])
        : this.#pacedTurn(vcpus[i], slice);
      if (exit.reason !== "hlt") busy = true;
      this.#handle(vcpus[i], exit);
      if (i + 1 < vcpus.length) clock.fire();
      if (this.#pending() || this.#state !== "running") return true;
    }
    return busy || (vcpus.length > 1 && vcpus.some((v) => v.runnable));
  }

  #enter(v: Vcpu, budget: number): VmExit {
    this.#current = v;
    try {
      return v.run(budget);
    } finally {
      this.#current = undefined;
    }
  }

  /** A turn under `-icount`: up to the next timer, to the instruction. */
  #countedTurn(v: Vcpu): VmExit {
    const budget = Math.min(FIRST_BUDGET, this.clock.instructionsToDeadline());
    this.#sliceEnd = this.clock.queue.next ?? Infinity;
    return this.#enter(v, budget);
  }

  /** A turn of at most `ns`, or up to the next timer, as many instructions as fit by experience. */
  #pacedTurn(v: Vcpu, ns: number): VmExit {
    const { clock } = this, before = v.instructions, time = clock.beginSlice(ns);
    this.#sliceEnd = clock.sliceEnd;
    const budget = Math.min(MAX_BUDGET, Math.max(MIN_BUDGET, Math.ceil(time / this.#cost)));
    const exit = this.#enter(v, budget);
    const spent = clock.endSlice();
    const m = this.#measured;
    m.ns += spent;
    m.instructions += v.instructions - before;
    if (m.ns >= MEASURED_NS && m.instructions >= MIN_BUDGET) {
      this.#cost += (Math.min(m.ns / m.instructions, SURPRISE * this.#cost) - this.#cost) / 4;
      m.ns = m.instructions = 0;
    }
    return exit;
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

  /** All vCPUs are halted: waits for the next timer or an outside event. False: did not wait. */
  async #idle(paced = true): Promise<boolean> {
    if (paced) this.clock.idle();
    const next = this.clock.queue.next;
    if (next === undefined) {
      await this.#sleep(MAX_SLEEP);
      return true;
    }
    const ms = (next - this.clock.now()) / 1e6;
    if (this.clock.icount) {
      if (!this.opts.skipIdle && ms > 1) {
        const woken = await this.#sleep(ms);
        if (woken && (this.clock.queue.next ?? Infinity) < next) return true;
      } else await new Promise<void>((r) => setImmediate(r));
      this.clock.skipTo(next);
      return true;
    }
    if (ms <= 0) return false;
    await this.#sleep(Math.min(Math.ceil(ms), MAX_SLEEP));
    return true;
  }

  /** Sleeps until {@link wake} or `ms` have passed; true when woken. */
  #sleep(ms: number): Promise<boolean> {
    return new Promise((resolve) => {
      const done = (woken: boolean) => {
        clearTimeout(timer);
        this.#wake = undefined;
        resolve(woken);
      };
      const timer = setTimeout(() => done(false), Math.max(0, ms));
      this.#wake = () => done(true);
    });
  }
}
