/**
 * A machine that can change its accelerator while it is paused between two instructions: RAM is
 * shared, registers and events move. The board holds {@link SwitchVcpu}s and does not notice.
 */
import type {
  Accelerator,
  DebugRegs,
  Doorbell,
  ExitCounts,
  Fpu,
  FpuErrorLine,
  InterruptSource,
  KernelIrqchip,
  MpState,
  Regs,
  Sregs,
  Vcpu,
  VcpuOptions,
  Vm,
  VmExit,
  VmOptions,
} from "../accel.ts";
import { UserError } from "../errors.ts";
import { KvmAccelerator } from "./accel.ts";
import type { VcpuEvents } from "./events.ts";
import { KvmVcpu } from "./vcpu.ts";
import { KvmVm } from "./vm.ts";
import { isPaged32 } from "./weak_host.ts";

/** MSRs that both accelerators may have; one that either has not is passed over (SDM vol. 4). */
const MSRS: readonly number[] = [
  0x10, // IA32_TIME_STAMP_COUNTER
  0x174, // IA32_SYSENTER_CS, ESP, EIP
  0x175,
  0x176,
  0x1a0, // IA32_MISC_ENABLE
  0x277, // IA32_PAT
  0x2ff, // IA32_MTRR_DEF_TYPE
  ...Array.from({ length: 16 }, (_, i) => 0x200 + i), // variable ranges
  0x250, // fixed ranges
  0x258,
  0x259,
  ...Array.from({ length: 8 }, (_, i) => 0x268 + i),
  0xc0000081, // STAR, LSTAR, CSTAR, FMASK
  0xc0000082,
  0xc0000083,
  0xc0000084,
  0xc0000102, // KERNEL_GS_BASE
  0xc0000103, // TSC_AUX
];

/**
 * Copies all of a stopped vCPU to another one, which may be of another accelerator.
 * @returns a vector the processor has been given and not taken, which `to` cannot hold, or -1
 */
export function moveVcpu(from: Vcpu, to: Vcpu): number {
  const events = structuredClone(from.saveEvents()) as VcpuEvents;
  if (!(from instanceof KvmVcpu && to instanceof KvmVcpu)) delete events.kvm;
  to.setSregs(from.getSregs());
  to.setRegs(from.getRegs());
  to.setFpu(from.getFpu());
  for (const index of MSRS) {
    const value = from.getMsr(index);
    if (value !== undefined) to.setMsr(index, value);
  }
  to.setDebugRegs(from.getDebugRegs());
  to.loadEvents(events);
  return to instanceof KvmVcpu ? -1 : events.vector ?? -1;
}

/** A vCPU whose accelerator may change under it. */
export class SwitchVcpu implements Vcpu {
  /** This vCPU in every accelerator it has been in, for the counts. */
  readonly #all: Set<Vcpu>;
  #source: InterruptSource | undefined;
  #intr = false;
  /** A vector to be taken before the interrupt controller is asked again, or -1. */
  #vector = -1;
  /** An exit found while moving, for the next run. */
  pending: VmExit | undefined;

  /** @param now where it runs */
  constructor(private readonly vm: SwitchVm, readonly options: VcpuOptions, public now: Vcpu) {
    this.#all = new Set([now]);
  }

  get index(): number {
    return this.options.index;
  }
  get apicId(): number {
    return this.options.apicId;
  }
  get runnable(): boolean {
    return this.now.runnable ?? false;
  }

  /** Takes the state of the vCPU over to `next`. */
  moveTo(next: Vcpu): void {
    next.interruptSource = this.#source;
    const vector = moveVcpu(this.now, next);
    if (vector >= 0) this.#vector = vector;
    if (this.#vector >= 0) {
      next.interruptSource = this.#firstThisVector();
      next.setIntr(true);
    }
    this.now = next;
    this.#all.add(next);
  }

  /** Has been acknowledged already: it comes before whatever the controller offers now. */
  #firstThisVector(): InterruptSource {
    const own = this.#source;
    return {
      acknowledge: () => {
        const vector = this.#vector;
        this.#vector = -1;
        this.now.interruptSource = own;
        this.now.setIntr(this.#intr);
        return vector;
      },
      get tpr() {
        return own?.tpr ?? 0;
      },
      setTpr: (v) => own?.setTpr(v),
      get apicBase() {
        return own?.apicBase ?? 0xfee00900n;
      },
      setApicBase: (v) => own?.setApicBase(v) ?? true,
      readMsr: (i) => own?.readMsr(i),
      writeMsr: (i, v) => own?.writeMsr(i, v) ?? false,
    };
  }

  run(budget: number): VmExit {
    const exit = this.#waiting() ?? this.now.run(budget);
    return this.vm.rescue(this, exit) ?? exit;
  }

  get runAsync(): (() => Promise<VmExit>) | undefined {
    if (this.now.runAsync === undefined) return undefined;
    return async () => {
      const exit = this.#waiting() ?? await this.now.runAsync!();
      return this.vm.rescue(this, exit) ?? exit;
    };
  }

  #waiting(): VmExit | undefined {
    const exit = this.pending;
    this.pending = undefined;
    return exit;
  }

  get interruptSource(): InterruptSource | undefined {
    return this.#source;
  }
  set interruptSource(source: InterruptSource | undefined) {
    this.#source = source;
    if (this.#vector < 0) this.now.interruptSource = source;
  }
  get instructions(): number {
    let sum = 0;
    for (const v of this.#all) sum += v.instructions;
    return sum;
  }
  get exits(): ExitCounts {
    const sum: ExitCounts = new Map();
    for (const v of this.#all) {
      for (const [name, n] of v.exits) sum.set(name, (sum.get(name) ?? 0) + n);
    }
    return sum;
  }
  get mpState(): MpState {
    return this.now.mpState;
  }
  set mpState(state: MpState) {
    this.now.mpState = state;
  }
  kick(): void {
    this.now.kick();
  }
  setIntr(level: boolean): void {
    this.#intr = level;
    if (this.#vector < 0) this.now.setIntr(level);
  }
  nmi(): void {
    this.now.nmi();
  }
  smi(): void {
    this.now.smi();
  }
  init(): void {
    this.now.init();
  }
  sipi(vector: number): void {
    this.now.sipi(vector);
  }
  reset(): void {
    this.#vector = -1;
    this.now.interruptSource = this.#source;
    this.now.setIntr(this.#intr);
    this.now.reset();
  }
  getRegs(): Regs {
    return this.now.getRegs();
  }
  setRegs(r: Partial<Regs>): void {
    this.now.setRegs(r);
  }
  getSregs(): Sregs {
    return this.now.getSregs();
  }
  setSregs(s: Partial<Sregs>): void {
    this.now.setSregs(s);
  }
  getFpu(): Fpu {
    return this.now.getFpu();
  }
  setFpu(f: Partial<Fpu>): void {
    this.now.setFpu(f);
  }
  getDebugRegs(): DebugRegs {
    return this.now.getDebugRegs();
  }
  setDebugRegs(d: DebugRegs): void {
    this.now.setDebugRegs(d);
  }
  getMsr(index: number): bigint | undefined {
    return this.now.getMsr(index);
  }
  setMsr(index: number, value: bigint): boolean {
    return this.now.setMsr(index, value);
  }
  saveEvents(): unknown {
    return this.now.saveEvents();
  }
  loadEvents(state: unknown): void {
    this.now.loadEvents(state);
  }
  translate(linear: bigint): number | undefined {
    return this.now.translate(linear);
  }
  cpuid(leaf: number, subleaf: number): { eax: number; ebx: number; ecx: number; edx: number } {
    return this.now.cpuid(leaf, subleaf);
  }
  setGuestDebug(d: { step: boolean; breakpoints: bigint[] }): void {
    this.now.setGuestDebug(d);
  }
}

export class SwitchVm implements Vm {
  readonly vcpus: SwitchVcpu[] = [];
  /** Every accelerator the machine has run on keeps its Vm, for the way back. */
  readonly #vms = new Map<Accelerator, Vm>();
  #vm: Vm;
  #a20 = true;
  onEvent?: () => void;
  onSmm?: (active: boolean) => void;

  constructor(
    private accelerator: Accelerator,
    private readonly owner: SwitchAccelerator,
    readonly opts: VmOptions,
  ) {
    this.#vm = this.#make(accelerator);
    this.#vms.set(accelerator, this.#vm);
  }

  #make(accelerator: Accelerator): Vm {
    const vm = accelerator.createVm(this.opts);
    vm.onEvent = () => this.onEvent?.();
    vm.onSmm = (active) => this.onSmm?.(active);
    vm.fpuError = this.#fpuError;
    return vm;
  }

  #fpuError: FpuErrorLine | undefined;
  get fpuError(): FpuErrorLine | undefined {
    return this.#fpuError;
  }
  set fpuError(line: FpuErrorLine | undefined) {
    this.#fpuError = line;
    for (const vm of this.#vms.values()) vm.fpuError = line;
  }

  /** What the machine runs on now. */
  get name(): "tcg" | "kvm" {
    return this.accelerator.name;
  }

  get current(): Vcpu | undefined {
    const current = this.#vm.current;
    return current && this.vcpus.find((v) => v.now === current);
  }

  get irqchip(): KernelIrqchip | undefined {
    return this.#vm.irqchip;
  }

  createVcpu(options: VcpuOptions): Vcpu {
    const v = new SwitchVcpu(this, options, this.#vm.createVcpu(options));
    this.vcpus.push(v);
    if (this.owner.fallback && this.vcpus.length === 1) this.#watchHost();
    return v;
  }

  /** With a reserve, what the host's KVM is known not to run is left before it goes wrong. */
  #watchHost(): void {
    const vm = this.#vm;
    if (!(vm instanceof KvmVm) || vm.irqchip !== undefined) return;
    vm.leaveBeforePaging = !vm.accel.pages32;
  }

  setA20(enabled: boolean): void {
    this.#a20 = enabled;
    this.#vm.setA20(enabled);
  }

  get dirtyPages(): ((page: (offset: number) => void) => boolean) | undefined {
    const vm = this.#vm;
    return vm.dirtyPages && ((page) => {
      const complete = vm.dirtyPages!(page) && !this.#logBehind;
      this.#logBehind = false;
      return complete;
    });
  }
  /** The machine has run where its accelerator's dirty log does not reach. */
  #logBehind = false;

  readonly #doorbells = new Map<object, readonly Doorbell[]>();
  setDoorbells(owner: object, doorbells: readonly Doorbell[]): void {
    if (doorbells.length > 0) this.#doorbells.set(owner, doorbells);
    else this.#doorbells.delete(owner);
    this.#vm.setDoorbells?.(owner, doorbells);
  }

  get tscKhz(): number | undefined {
    return this.#vm.tscKhz;
  }

  setRunning(running: boolean): void {
    this.#vm.setRunning?.(running);
  }

  /**
   * Moves the machine to another accelerator. Its vCPUs must not be inside `run`; vCPU threads are
   * stopped here. An interrupt given to a vCPU and not yet taken stays with it. Interrupt
   * controllers inside the accelerator cannot move.
   * @throws UserError, and nothing has changed, when KVM is known not to run a vCPU's mode
   */
  switchTo(next: Accelerator): void {
    if (next === this.accelerator) return;
    if (this.#vm.irqchip !== undefined) throw new Error("kernel-irqchip state cannot leave KVM");
    for (const v of this.vcpus) {
      if (!(v.now instanceof KvmVcpu)) continue;
      v.pending = v.now.park() ?? v.pending;
      v.now.kick(); // ends a `runAsync`
    }
    if (next instanceof KvmAccelerator && !next.pages32) {
      const cpu = this.vcpus.findIndex((v) => isPaged32(v.getSregs()));
      if (cpu >= 0) throw new UserError(`KVM of this host cannot page 32-bit guests (CPU ${cpu})`);
    }
    const vm = this.#vms.get(next) ?? this.#make(next);
    this.#vms.set(next, vm);
    vm.memoryChanged?.();
    vm.setA20(this.#a20);
    if (next.name === "tcg") vm.tscKhz = this.#vm.tscKhz ?? vm.tscKhz;
    for (const [i, v] of this.vcpus.entries()) {
      v.moveTo(vm.vcpus[i] ?? vm.createVcpu(v.options));
    }
    for (const owner of this.#doorbells.keys()) this.#vm.setDoorbells?.(owner, []);
    for (const [owner, list] of this.#doorbells) vm.setDoorbells?.(owner, list);
    this.#vm = vm;
    this.#logBehind = true;
    this.accelerator = next;
  }

  /** HMP `accel kvm|tcg`, on a paused machine. Throws UserError when there is no such reserve. */
  switchToName(name: string): void {
    const next = this.owner.accelerators.find((a) => a.name === name);
    if (next === undefined) throw new UserError(`accelerator '${name}' is not available`);
    if (next !== this.accelerator && this.#vm.irqchip !== undefined) {
      throw new UserError("the machine's interrupt controllers are KVM's (kernel-irqchip)");
    }
    this.switchTo(next);
  }

  /**
   * After an internal error of KVM: goes on under the accelerator to fall back to, if there is one.
   * So it does after a shutdown on a weak host: if that was the guest's doing it comes again.
   */
  rescue(vcpu: SwitchVcpu, exit: VmExit): VmExit | undefined {
    const fallback = this.owner.fallback, vm = this.#vm;
    if (fallback === undefined || this.accelerator === fallback || vm.irqchip !== undefined) {
      return undefined;
    }
    if (exit.reason === "internal-error") this.owner.warn(exit.message);
    else if (exit.reason === "shutdown" && vm instanceof KvmVm && vm.leaveBeforePaging) {
      this.owner.warn("KVM: shutdown");
    } else return undefined;
    this.switchTo(fallback);
    vcpu.pending = undefined;
    return { reason: "interrupted" };
  }

  close(): void {
    for (const vm of this.#vms.values()) vm.close();
  }
}

/** `-enable-kvm`: KVM, with another accelerator in reserve for what the host's KVM cannot run. */
export class SwitchAccelerator implements Accelerator {
  /**
   * @param fallback takes the machine over after an internal error; undefined: the error stands
   * @param warn called once per such move, with KVM's message
   */
  constructor(
    private readonly first: Accelerator,
    readonly fallback: Accelerator | undefined,
    readonly warn: (message: string) => void,
  ) {}

  get name(): "tcg" | "kvm" {
    return this.first.name;
  }

  /** What the machine can run on. */
  get accelerators(): readonly Accelerator[] {
    return this.fallback ? [this.first, this.fallback] : [this.first];
  }

  createVm(opts: VmOptions): SwitchVm {
    return new SwitchVm(this.first, this, opts);
  }
}
