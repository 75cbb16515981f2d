/**
 * One KVM vCPU: run either on the calling thread, bounded by a timer signal, or in a thread of its
 * own. Interrupts come from user space, or from KVM's LAPIC (kernel-irqchip).
 */
import type { ExitCounts, InterruptSource, MpState, Vcpu, VcpuOptions, VmExit } from "../accel.ts";
import { UserError } from "../errors.ts";
import { log, LogItem, logMask } from "../log.ts";
import { Exit, exitNames, mpStates, Req, Run } from "./abi.ts";
import { buildCpuid, type CpuidEntry, encodeCpuid2, NO_ENTRY, parseCpuid2 } from "./cpuid.ts";
import { GuestDebug } from "./debug.ts";
import { dispatchIo, dispatchMmio } from "./dispatch.ts";
import { Errno, KICK_SIGNAL, signalSet, type ThreadTimer } from "./libc.ts";
import { describeExit, failure } from "./exits.ts";
import { Pace } from "./pace.ts";
import { clearNmiPending, makeEvents, readEvents, type VcpuEvents } from "./events.ts";
import { resetFpu, resetRegs, resetSregs, Size, startupSegment, Struct } from "./structs.ts";
import { VcpuThread } from "./thread.ts";
import { eventLoopTurn } from "./turn.ts";
import { VcpuRegisters } from "./vcpu_regs.ts";
import type { KvmVm } from "./vm.ts";
import { walk } from "./walk.ts";
import { isKernelCode, usesIdt32 } from "./weak_host.ts";

/** The longest stay in one `run`, in ns. */
const SLICE_NS = 2_000_000;
/** The shortest: a guest has to get somewhere between two timers that are always due. */
const SLICE_MIN_NS = 100_000;
/** Slices without an exit after which a host that emulates kernel code is left: half a second. */
const QUIET_SLICES = 250;
/** How long `runAsync` handles exits before it lets the event loop do other things, in ms. */
const TURN_MS = 3;
const APIC_BASE_DEFAULT = 0xfee00800n, APIC_BASE_BSP = 0x100n;
const BP_VECTOR = 3;
const LAPIC_LINT0 = 0x350, LVT_MASKED = 0x10000;
const INTERRUPTED: VmExit = { reason: "interrupted" };
const HLT: VmExit = { reason: "hlt" };
const SHUTDOWN: VmExit = { reason: "shutdown" };

const enum IoPending {
  None,
  /** The device has (or is getting) the data: completing the instruction is safe at any time. */
  Write,
  /** The device is still being asked. */
  Read,
  /** Done; the next KVM_RUN retires the instruction. */
  Retire,
}

export class KvmVcpu extends VcpuRegisters implements Vcpu {
  readonly index: number;
  readonly apicId: number;
  readonly instructions = 0;
  interruptSource: InterruptSource | undefined;
  readonly cpuidEntries: readonly CpuidEntry[];
  readonly #bsp: boolean;
  /** KVM keeps LAPIC, multiprocessing state and halting to itself. */
  readonly #kernelLapic: boolean;
  readonly #pointer: Deno.PointerObject;
  readonly #timer: ThreadTimer;
  readonly #kickSet = signalSet(KICK_SIGNAL);
  readonly #counts = new Float64Array(exitNames.length);
  readonly #word = new Struct(4);
  readonly #initialLapic: Uint8Array<ArrayBuffer> | undefined;
  #thread: VcpuThread | undefined;
  /** Ends the wait of a halted vCPU in runAsync. */
  #wake: (() => void) | undefined;
  #intr = false;
  #kicked = false;
  #nmiPending = false;
  #mp: MpState = "runnable";
  #io = IoPending.None;
  /** Completing an instruction produced another exit, not yet looked at. */
  #exitWaiting = false;
  #closed = false;
  readonly #pace: Pace;
  readonly #debug: GuestDebug;
  /** The timer of this slice on the main thread is armed. */
  #sliceOpen = false;
  /** When it goes off, in ms. */
  #sliceEnd = 0;
  /** Slices since the last exit: see {@link KvmVcpu.#emulated}. */
  #quiet = 0;
  /** Inside `run` or `runAsync`. */
  #busy = false;
  #apicBaseLow = 0;
  #apicBaseHigh = 0;

  constructor(private readonly vm: KvmVm, opts: VcpuOptions) {
    const { libc, accel } = vm;
    const fd = libc.ioctl(vm.fd, Req.CREATE_VCPU, opts.apicId);
    if (fd < 0) {
      throw new UserError(
        `kvm_init_vcpu: kvm_get_vcpu failed (${opts.index}): ${libc.strerror(-fd)}`,
      );
    }
    if (accel.runSize < 0) {
      const words = libc.strerror(-accel.runSize);
      throw new UserError(`kvm_init_vcpu: KVM_GET_VCPU_MMAP_SIZE failed: ${words}`);
    }
    const { pointer, buffer } = libc.map(fd, accel.runSize);
    super(libc, fd, new DataView(buffer), accel.msrIndexes, accel.supportedCpuid);
    this.#pointer = pointer;
    const ring = vm.ringOffset;
    if (ring > 0) vm.coalesced.useRing(new DataView(buffer, ring, 4096));
    this.index = opts.index;
    this.apicId = opts.apicId;
    this.#bsp = opts.bsp;
    this.#kernelLapic = vm.irqchip !== undefined;
    libc.blockSignal(KICK_SIGNAL);
    const mask = new Struct(12); // kvm_signal_mask: length, then an empty set
    mask.view.setUint32(0, 8, true);
    this.must(Req.SET_SIGNAL_MASK, mask.u8, "KVM_SET_SIGNAL_MASK");
    this.#timer = libc.threadTimer(KICK_SIGNAL);
    this.#pace = new Pace(vm.seat);
    this.#debug = new GuestDebug(libc, fd, vm.mem);
    const wanted = buildCpuid(
      opts.model,
      accel.supportedCpuid,
      {
        apicId: opts.apicId,
        ...accel.topology,
        osxsave: false,
        apicEnabled: true,
      },
      this.#kernelLapic,
      accel.portable,
    );
    const r = libc.ioctlBuffer(fd, Req.SET_CPUID2, encodeCpuid2(wanted));
    if (r < 0) {
      throw new UserError(
        `kvm_init_vcpu: kvm_arch_init_vcpu failed (${opts.index}): ${libc.strerror(-r)}`,
      );
    }
    this.cpuidEntries = this.#readCpuid() ?? wanted;
    if (this.#kernelLapic) {
      this.#initialLapic = new Uint8Array(Size.LAPIC);
      this.must(Req.GET_LAPIC, this.#initialLapic, "KVM_GET_LAPIC");
      // KVM has it open to the PIC; a processor has it masked (SDM vol. 3A, 11.4.7.1).
      new DataView(this.#initialLapic.buffer).setUint32(LAPIC_LINT0, LVT_MASKED, true);
    }
    this.reset();
  }

  get exits(): ExitCounts {
    const map: ExitCounts = new Map();
    this.#counts.forEach((n, i) => n > 0 && map.set(exitNames[i], n));
    return map;
  }

  run(_budget: number): VmExit {
    this.#sliceOpen = false;
    this.#enter();
    try {
      return this.#runHere();
    } finally {
      this.#leave();
    }
  }

  #runHere(): VmExit {
    for (;;) {
      if (this.#kicked || this.#closed) {
        this.#kicked = false;
        return INTERRUPTED;
      }
      if (this.#asleep()) return HLT;
      if (this.#exitWaiting) this.#exitWaiting = false;
      else {
        this.#beforeRun();
        const failure = this.#afterRun(this.#enterHere());
        if (failure === INTERRUPTED) return this.#emulated(1) ?? failure;
        if (failure !== undefined) return failure;
      }
      const exit = this.#handle(this.runPage.getUint32(Run.EXIT_REASON, true));
      if (exit !== undefined) return exit;
    }
  }

  async runAsync(): Promise<VmExit> {
    this.#enter();
    try {
      if (this.#thread === undefined) {
        this.#thread = new VcpuThread(this.libc, this.fd);
        await this.#thread.ready();
      }
      return await this.#runThere(this.#thread);
    } finally {
      this.#pace.leave();
      this.#leave();
    }
  }

  async #runThere(thread: VcpuThread): Promise<VmExit> {
    let now = performance.now(), turn = now;
    this.#sliceOpen = false;
    for (;;) {
      if (this.#kicked || this.#closed) {
        this.#kicked = false;
        return INTERRUPTED;
      }
      if (this.#asleep()) {
        this.#pace.leave();
        await new Promise<void>((resolve) => this.#wake = resolve);
        turn = now = performance.now();
        continue;
      }
      if (this.#exitWaiting) this.#exitWaiting = false;
      else {
        this.#beforeRun();
        let r: number;
        if (this.#pace.here) r = this.#enterHere();
        else {
          thread.resume();
          const ended = thread.wait();
          if (ended !== false) {
            await this.#quietly(thread, ended);
            turn = performance.now();
          }
          if (this.#closed) return INTERRUPTED;
          if (!thread.running) continue; // a reset or INIT has taken the exit away
          r = thread.collect();
        }
        const failure = this.#afterRun(r);
        if (failure === INTERRUPTED) { // only `kick` ends runAsync
          now = performance.now();
          // A signal left over from an earlier slice says nothing about this one.
          if (this.#pace.here && now >= this.#sliceEnd) this.#pace.sliceEnded(now);
          this.#sliceOpen = false;
          if (this.#pace.here) { // a signal may mean that there is something to do
            await eventLoopTurn();
            turn = performance.now();
          }
          const emulated = this.#emulated(this.#pace.here ? 1 : 0);
          if (emulated !== undefined) return emulated;
        } else if (failure !== undefined) return failure;
        if (failure !== undefined) continue;
      }
      const exit = this.#handle(this.runPage.getUint32(Run.EXIT_REASON, true));
      if (exit !== undefined && exit !== HLT && exit !== INTERRUPTED) return exit;
      now = performance.now();
      this.#pace.exit(now, this.#pace.here ? 0 : thread.guestMs);
      if (now - turn > TURN_MS) {
        await eventLoopTurn();
        turn = now = performance.now();
      }
    }
  }

  /** KVM_RUN on the main thread, bounded by the timer. */
  #enterHere(): number {
    if (!this.#sliceOpen) {
      const ns = this.#sliceNs();
      this.#sliceEnd = performance.now() + ns / 1e6;
      this.#timer.arm(ns);
      this.#sliceOpen = true;
    }
    const r = this.libc.ioctl(this.fd, Req.RUN);
    if (r === -Errno.EINTR) this.libc.eatSignal(this.#kickSet);
    return r;
  }

  /** Until the machine's next timer, within bounds. */
  #sliceNs(): number {
    const { clock } = this.vm, next = clock.queue?.next;
    if (next === undefined) return SLICE_NS;
    return Math.min(Math.max(next - clock.now(), SLICE_MIN_NS), SLICE_NS);
  }

  /** Waiting for SIPI, or halted with nothing pending. */
  #asleep(): boolean {
    if (this.#kernelLapic || this.#mp === "runnable") return false;
    if (this.#mp !== "halted") return true;
    const wake = this.#nmiPending || (this.#intr && this.runPage.getUint8(Run.IF_FLAG) !== 0);
    if (wake) this.#mp = "runnable";
    return !wake;
  }

  /** Something for the vCPU to look at: wakes it, or gets it out of the guest. */
  #attention(): void {
    this.#thread?.interrupt();
    const wake = this.#wake;
    this.#wake = undefined;
    wake?.();
  }

  /** Offers the pending interrupt, or asks KVM to exit when the guest can take it. */
  #beforeRun(): void {
    const run = this.runPage;
    this.#io = IoPending.None;
    if (this.#nmiPending) {
      this.#nmiPending = false;
      this.libc.ioctl(this.fd, Req.NMI);
    }
    const source = this.interruptSource;
    if (source === undefined) return;
    if (
      this.#intr && run.getUint8(Run.READY_FOR_INTERRUPT_INJECTION) !== 0 &&
      run.getUint8(Run.IF_FLAG) !== 0
    ) {
      const vector = source.acknowledge();
      if (vector >= 0) {
        this.#word.view.setUint32(0, vector, true);
        this.libc.ioctlBuffer(this.fd, Req.INTERRUPT, this.#word.u8);
      }
    }
    run.setUint8(Run.REQUEST_INTERRUPT_WINDOW, this.#intr ? 1 : 0);
    run.setUint8(Run.CR8, source.tpr);
  }

  /** @param r what KVM_RUN gave; the exit to return when it was not an exit to handle */
  #afterRun(r: number): VmExit | undefined {
    this.vm.coalesced.drain();
    const source = this.interruptSource, run = this.runPage;
    if (source !== undefined && !this.#kernelLapic) {
      const tpr = run.getUint8(Run.CR8);
      if (tpr !== source.tpr) source.setTpr(tpr);
      const low = run.getUint32(Run.APIC_BASE, true);
      const high = run.getUint32(Run.APIC_BASE + 4, true);
      if (low !== this.#apicBaseLow || high !== this.#apicBaseHigh) {
        this.#apicBaseLow = low;
        this.#apicBaseHigh = high;
        source.setApicBase(run.getBigUint64(Run.APIC_BASE, true));
      }
    }
    if (r >= 0) return undefined;
    if (r === -Errno.EINTR || r === -Errno.EAGAIN) {
      this.#counts[Exit.INTR]++;
      return INTERRUPTED;
    }
    return {
      reason: "internal-error",
      message: `error: kvm run failed ${this.libc.strerror(-r)}\n`,
    };
  }

  #handle(reason: number): VmExit | undefined {
    this.vm.current = this;
    this.#quiet = 0;
    try {
      return this.#handleExit(reason);
    } finally {
      this.vm.current = undefined;
    }
  }

  #handleExit(reason: number): VmExit | undefined {
    const run = this.runPage;
    if (reason < this.#counts.length) this.#counts[reason]++;
    if (logMask & LogItem.exec) log("exec", describeExit(this.index, reason, run));
    switch (reason) {
      case Exit.IO:
        this.#io = run.getUint8(Run.IO_DIRECTION) === 1 ? IoPending.Write : IoPending.Read;
        if (this.#io === IoPending.Write && run.getUint32(Run.IO_COUNT, true) > 1) {
          this.#io = IoPending.Read; // the data page must stay until all of it is written
        }
        dispatchIo(run, this.vm.io);
        this.#dispatched();
        return this.#beyondHost();
      case Exit.MMIO:
        this.#io = run.getUint8(Run.MMIO_IS_WRITE) && run.getUint32(Run.MMIO_LEN, true) <= 4
          ? IoPending.Write
          : IoPending.Read;
        dispatchMmio(run, this.vm.mem);
        this.#dispatched();
        return this.#beyondHost();
      case Exit.HLT:
        this.#mp = "halted";
        return this.#asleep() ? HLT : undefined;
      case Exit.IOAPIC_EOI:
        this.vm.irqchip?.onEoi(run.getUint8(Run.EOI_VECTOR));
        return undefined;
      case Exit.TPR_ACCESS:
      case Exit.IRQ_WINDOW_OPEN:
      case Exit.SET_TPR:
        return undefined;
      case Exit.INTR:
        return INTERRUPTED;
      case Exit.SHUTDOWN:
        return SHUTDOWN;
      case Exit.DEBUG:
        return this.#debugExit();
      case Exit.SYSTEM_EVENT:
        return SHUTDOWN;
      default:
        return failure(reason, run);
    }
  }

  #debugExit(): VmExit | undefined {
    const run = this.runPage, pc = run.getBigUint64(Run.DEBUG_PC, true);
    const breakpoint = run.getUint32(Run.DEBUG_EXCEPTION, true) === BP_VECTOR;
    if (breakpoint && !this.#debug.owns(pc)) {
      this.#debug.injectBreakpoint();
      return undefined;
    }
    return { reason: "debug", dr6: run.getBigUint64(Run.DEBUG_DR6, true), pc };
  }

  /** On a host without 32-bit paging: the guest is about to need it, as {@link usesIdt32} tells. */
  #beyondHost(): VmExit | undefined {
    if (!this.vm.leaveBeforePaging || !usesIdt32(this.peekSregs())) return undefined;
    return { reason: "internal-error", message: "KVM: this host cannot page 32-bit guests\n" };
  }

  /**
   * On such a host: the guest's kernel code has run long without an exit, which KVM emulates at a
   * small part of the speed of the accelerator in reserve.
   * @param slices that have gone by
   */
  #emulated(slices: number): VmExit | undefined {
    if (!this.vm.leaveBeforePaging || (this.#quiet += slices) < QUIET_SLICES) return undefined;
    this.#quiet = 0;
    if (!isKernelCode(this.peekSregs())) return undefined;
    return { reason: "internal-error", message: "KVM: this host emulates the guest's kernel\n" };
  }

  /** Waits for the vCPU's thread; on such a host not longer than it may run without an exit. */
  async #quietly(thread: VcpuThread, ended: Promise<unknown>): Promise<void> {
    if (!this.vm.leaveBeforePaging) return void await ended;
    const timer = setTimeout(() => {
      this.#quiet = QUIET_SLICES;
      thread.interrupt();
    }, QUIET_SLICES * SLICE_NS / 1e6);
    await ended;
    clearTimeout(timer);
  }

  #dispatched(): void {
    if (this.#io !== IoPending.None) this.#io = IoPending.Retire;
  }

  /**
   * Makes the register state that of an instruction boundary. After a port or memory exit the
   * instruction retires at the next KVM_RUN; with `immediate_exit` that is all that run does. While
   * a device is still being read there is no result yet, and the state stays that of the
   * instruction's start. A vCPU in its thread is stopped first; it goes on by itself afterwards.
   */
  protected settle(): void {
    const thread = this.#thread;
    if (thread?.running) thread.stop();
    if (this.#io !== IoPending.Write && this.#io !== IoPending.Retire) return;
    this.#io = IoPending.None;
    this.runPage.setUint8(Run.IMMEDIATE_EXIT, 1);
    let r: number;
    if (thread === undefined || this.#pace.here) r = this.libc.ioctl(this.fd, Req.RUN);
    else {
      thread.resume();
      thread.stop();
      r = thread.collect();
    }
    this.runPage.setUint8(Run.IMMEDIATE_EXIT, 0);
    if (r >= 0) this.#exitWaiting = true;
  }

  /**
   * For RESET and INIT: an exit nobody has looked at yet is dropped, its instruction retired. What it
   * would have read or written is lost, as it may be with an event between two instructions.
   */
  #abandon(): void {
    const thread = this.#thread;
    if (thread?.running) {
      thread.stop();
      thread.collect();
      this.#io = IoPending.Retire;
    }
    for (let i = 0; i < 1000; i++) {
      this.settle();
      if (!this.#exitWaiting) return;
      this.#exitWaiting = false;
      this.#io = IoPending.Retire;
    }
  }

  /** Gets the vCPU's thread out of the guest until the event loop next comes to it. */
  stop(): void {
    this.#thread?.stop();
  }

  kick(): void {
    this.#kicked = true;
    this.#attention();
  }

  setIntr(level: boolean): void {
    if (level === this.#intr) return;
    this.#intr = level;
    if (level) this.#attention();
  }

  nmi(): void {
    this.#nmiPending = true;
    this.#attention();
  }

  smi(): void {
    this.settle();
    if (this.libc.ioctl(this.fd, Req.SMI) < 0) log("unimp", "kvm: this host has no SMM");
    this.#attention();
  }

  init(): void {
    this.#abandon();
    const fpu = this.getFpu();
    this.#resetRegisters();
    this.setFpu(fpu);
    this.mpState = this.#bsp ? "runnable" : "init-received";
  }

  sipi(vector: number): void {
    const state = this.mpState;
    if (state !== "init-received" && state !== "uninitialized") return;
    this.setSregs({ cs: startupSegment(vector & 0xff) });
    this.setRegs({ rip: 0n });
    this.mpState = "runnable";
  }

  reset(): void {
    this.#resetRegisters();
    this.setFpu(resetFpu());
    this.msrs.reset();
    if (this.#initialLapic) this.must(Req.SET_LAPIC, this.#initialLapic, "KVM_SET_LAPIC");
    this.mpState = this.#bsp ? "runnable" : "uninitialized";
  }

  /** What RESET and INIT have in common (SDM vol. 3A, table 10-1). */
  #resetRegisters(): void {
    this.#abandon();
    this.#nmiPending = false;
    const events = new Uint8Array(Size.VCPU_EVENTS);
    this.libc.ioctlBuffer(this.fd, Req.SET_VCPU_EVENTS, events);
    const own = this.#kernelLapic ? undefined : this.interruptSource?.apicBase;
    const apicBase = own ?? (APIC_BASE_DEFAULT | (this.#bsp ? APIC_BASE_BSP : 0n));
    this.writeSregs({ ...resetSregs(), apicBase, cr8: 0n }, true);
    this.#apicBaseLow = Number(apicBase & 0xffffffffn);
    this.#apicBaseHigh = Number(apicBase >> 32n);
    this.setRegs(resetRegs(this.cpuid(1, 0).eax));
    this.setDebugRegs({ db: [0n, 0n, 0n, 0n], dr6: 0xffff0ff0n, dr7: 0x400n });
  }

  /** The table as KVM has amended it, where it tells. */
  #readCpuid(): CpuidEntry[] | undefined {
    const bytes = encodeCpuid2(new Array(256).fill(NO_ENTRY));
    const r = this.libc.ioctlBuffer(this.fd, Req.GET_CPUID2, bytes);
    return r < 0 ? undefined : parseCpuid2(bytes);
  }

  get mpState(): MpState {
    if (!this.#kernelLapic) return this.#mp;
    this.settle();
    const r = this.libc.ioctlBuffer(this.fd, Req.GET_MP_STATE, this.#word.u8);
    return r < 0 ? "runnable" : mpStates[this.#word.view.getUint32(0, true)] ?? "runnable";
  }

  set mpState(state: MpState) {
    this.#mp = state;
    if (this.#kernelLapic) {
      this.settle();
      this.#word.view.setUint32(0, mpStates.indexOf(state), true);
      this.must(Req.SET_MP_STATE, this.#word.u8, "KVM_SET_MP_STATE");
    }
    this.#attention();
  }

  /** KVM_GET_LAPIC, with KVM's own LAPIC. */
  lapicPage(): Uint8Array {
    this.settle();
    const page = new Uint8Array(Size.LAPIC);
    this.must(Req.GET_LAPIC, page, "KVM_GET_LAPIC");
    return page;
  }

  saveEvents(): VcpuEvents {
    const mpState = this.mpState; // first: reading it makes KVM deliver a pending INIT or SIPI
    this.settle();
    const group = (size: number, request: number, name: string) => {
      const bytes = new Uint8Array(size);
      this.must(request, bytes, name);
      return bytes;
    };
    const xsave = group(Size.XSAVE, Req.GET_XSAVE, "KVM_GET_XSAVE");
    const xcrs = group(Size.XCRS, Req.GET_XCRS, "KVM_GET_XCRS");
    const msrs = this.msrs.save();
    const lapic = this.#kernelLapic ? this.lapicPage() : undefined;
    const events = group(Size.VCPU_EVENTS, Req.GET_VCPU_EVENTS, "KVM_GET_VCPU_EVENTS");
    return {
      ...readEvents(events),
      nmi: this.#nmiPending || readEvents(events).nmi,
      intr: this.#intr,
      mpState,
      kvm: { events, xsave, xcrs, msrs, lapic },
    };
  }

  loadEvents(state: unknown): void {
    this.settle();
    const s = state as VcpuEvents;
    if (s.kvm !== undefined) {
      this.must(Req.SET_XCRS, new Uint8Array(s.kvm.xcrs), "KVM_SET_XCRS");
      this.must(Req.SET_XSAVE, new Uint8Array(s.kvm.xsave), "KVM_SET_XSAVE");
      this.msrs.load(s.kvm.msrs);
      if (s.kvm.lapic && this.#kernelLapic) {
        this.must(Req.SET_LAPIC, new Uint8Array(s.kvm.lapic), "KVM_SET_LAPIC");
      }
    }
    this.#intr = s.intr;
    this.#nmiPending = s.nmi;
    this.mpState = s.mpState;
    const events = s.kvm ? new Uint8Array(s.kvm.events) : makeEvents(s);
    clearNmiPending(events); // it is kept here, and given to KVM at the next run
    this.must(Req.SET_VCPU_EVENTS, events, "KVM_SET_VCPU_EVENTS");
    this.distrustWindow(this.getRegs().rflags);
  }

  /**
   * Ends the stay of a vCPU thread in the guest for good: handles the exit it came out with, so that
   * the register groups are all there is to know. What `run` would have returned, if anything.
   */
  park(): VmExit | undefined {
    for (let i = 0; i < 1000; i++) {
      const thread = this.#thread;
      if (thread?.running) {
        thread.stop();
        if (this.#afterRun(thread.collect()) !== undefined) continue;
      } else if (this.#exitWaiting) this.#exitWaiting = false;
      else {
        this.settle();
        if (!this.#exitWaiting) return undefined;
        continue;
      }
      const exit = this.#handle(this.runPage.getUint32(Run.EXIT_REASON, true));
      if (exit !== undefined && exit !== HLT && exit !== INTERRUPTED) return exit;
    }
    return undefined;
  }

  translate(linear: bigint): number | undefined {
    return walk(this.vm.mem, this.getSregs(), linear);
  }

  cpuid(leaf: number, subleaf: number): { eax: number; ebx: number; ecx: number; edx: number } {
    const e = this.cpuidEntries.find((e) =>
      e.leaf === leaf && (!e.indexed || e.subleaf === subleaf)
    );
    const { eax, ebx, ecx, edx } = e ?? { eax: 0, ebx: 0, ecx: 0, edx: 0 };
    return { eax, ebx, ecx, edx };
  }

  setGuestDebug(d: { step: boolean; breakpoints: bigint[] }): void {
    this.settle();
    this.#debug.set(d);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#thread?.close();
    this.#attention();
    if (!this.#busy) this.#release();
  }

  #enter(): void {
    this.#busy = true;
    if (this.#debug.hasSoftware) this.#debug.arm((linear) => this.translate(linear));
  }

  /** A device may close the machine from inside `run`: the mapping goes when `run` is left. */
  #leave(): void {
    this.#busy = false;
    this.#debug.disarm();
    if (this.#closed) this.#release();
  }

  #release(): void {
    this.#timer.close();
    this.libc.unmap(this.#pointer, this.vm.accel.runSize);
    this.libc.close(this.fd);
  }
}
