/**
 * One KVM vCPU run on the calling thread, with its interrupt controller in user space. A timer
 * signal, blocked in the thread and let through inside KVM_RUN only, bounds each run.
 */
import type {
  DebugRegs,
  ExitCounts,
  Fpu,
  InterruptSource,
  MpState,
  Regs,
  Sregs,
  Vcpu,
  VcpuOptions,
  VmExit,
} from "../accel.ts";
import { log } from "../log.ts";
import { Exit, exitNames, GuestDbg, Req, Run } from "./abi.ts";
import { buildCpuid, type CpuidEntry, encodeCpuid2, parseCpuid2 } from "./cpuid.ts";
import { dispatchIo, dispatchMmio, internalErrorText } from "./dispatch.ts";
import { Errno, type Libc, signalSet, type ThreadTimer } from "./libc.ts";
import { MsrBank } from "./msrs.ts";
import {
  readDebugRegs,
  readFpu,
  readRegs,
  readSregs,
  resetFpu,
  resetRegs,
  resetSregs,
  Size,
  SREGS_INTERRUPT_BITMAP,
  startupSegment,
  Struct,
  writeDebugRegs,
  writeFpu,
  writeRegs,
  writeSregs,
} from "./structs.ts";
import type { KvmVm } from "./vm.ts";
import { walk } from "./walk.ts";

/** The real-time signal that ends KVM_RUN. Above what glibc and musl keep for themselves. */
export const KICK_SIGNAL = 40;
/** The longest stay in one `run`, in ns. */
const SLICE_NS = 2_000_000;
const RFLAGS_IF = 0x200n;
const APIC_BASE_DEFAULT = 0xfee00800n, APIC_BASE_BSP = 0x100n;
const NO_ENTRY: CpuidEntry = {
  leaf: 0,
  subleaf: 0,
  indexed: false,
  eax: 0,
  ebx: 0,
  ecx: 0,
  edx: 0,
};
const INTERRUPTED: VmExit = { reason: "interrupted" };
const HLT: VmExit = { reason: "hlt" };
const SHUTDOWN: VmExit = { reason: "shutdown" };

/** What {@link KvmVcpu.saveEvents} gives: everything outside the register groups. */
export interface KvmEvents {
  events: Uint8Array;
  xsave: Uint8Array;
  xcrs: Uint8Array;
  msrs: [number, bigint][];
  mpState: MpState;
  tpr: bigint;
}

const enum IoPending {
  None,
  /** The device has (or is getting) the data: completing the instruction is safe at any time. */
  Write,
  /** The device is still being asked. */
  Read,
  /** Done; the next KVM_RUN retires the instruction. */
  Retire,
}

export class KvmVcpu implements Vcpu {
  readonly index: number;
  readonly apicId: number;
  readonly instructions = 0;
  interruptSource: InterruptSource | undefined;
  readonly fd: number;
  readonly cpuidEntries: readonly CpuidEntry[];
  readonly #libc: Libc;
  readonly #bsp: boolean;
  readonly #pointer: Deno.PointerObject;
  /** The mapped `struct kvm_run`. */
  readonly runPage: DataView<ArrayBuffer>;
  readonly #timer: ThreadTimer;
  readonly #kickSet = signalSet(KICK_SIGNAL);
  readonly #counts = new Float64Array(exitNames.length);
  readonly #msrs: MsrBank;
  readonly #regs = new Struct(Size.REGS);
  readonly #sregs = new Struct(Size.SREGS);
  readonly #fpu = new Struct(Size.FPU);
  readonly #debug = new Struct(Size.DEBUGREGS);
  readonly #word = new Struct(4);
  #intr = false;
  #kicked = false;
  #nmiPending = false;
  #mp: MpState = "runnable";
  #io = IoPending.None;
  /** Completing an instruction produced another exit, not yet looked at. */
  #exitWaiting = false;
  #closed = false;

  constructor(private readonly vm: KvmVm, opts: VcpuOptions) {
    const { libc, accel } = vm;
    this.#libc = libc;
    this.index = opts.index;
    this.apicId = opts.apicId;
    this.#bsp = opts.bsp;
    this.fd = libc.ioctl(vm.fd, Req.CREATE_VCPU, opts.apicId);
    if (this.fd < 0) {
      throw new Error(
        `kvm_init_vcpu: kvm_create_vcpu failed (${opts.index}): ${libc.strerror(-this.fd)}`,
      );
    }
    const { pointer, buffer } = libc.map(this.fd, accel.runSize);
    this.#pointer = pointer;
    this.runPage = new DataView(buffer);
    libc.blockSignal(KICK_SIGNAL);
    const mask = new Struct(12); // kvm_signal_mask: length, then an empty set
    mask.view.setUint32(0, 8, true);
    libc.ioctlBuffer(this.fd, Req.SET_SIGNAL_MASK, mask.u8);
    this.#timer = libc.threadTimer(KICK_SIGNAL);
    const wanted = buildCpuid(opts.model, accel.supportedCpuid, {
      apicId: opts.apicId,
      ...accel.topology,
      osxsave: false,
      apicEnabled: true,
    }, false);
    this.#must(Req.SET_CPUID2, encodeCpuid2(wanted), "KVM_SET_CPUID2");
    this.cpuidEntries = this.#readCpuid() ?? wanted;
    this.#msrs = new MsrBank(libc, this.fd, accel.msrIndexes);
    this.reset();
  }

  get exits(): ExitCounts {
    const map: ExitCounts = new Map();
    this.#counts.forEach((n, i) => n > 0 && map.set(exitNames[i], n));
    return map;
  }

  run(_budget: number): VmExit {
    if (this.#mp === "uninitialized" || this.#mp === "init-received") return HLT;
    const run = this.runPage;
    if (this.#mp === "halted") {
      const wake = this.#nmiPending || (this.#intr && run.getUint8(Run.IF_FLAG) !== 0);
      if (!wake) return HLT;
      this.#mp = "runnable";
    }
    this.#timer.arm(SLICE_NS);
    for (;;) {
      if (this.#kicked) {
        this.#kicked = false;
        return INTERRUPTED;
      }
      if (this.#mp !== "runnable") return HLT;
      if (this.#exitWaiting) this.#exitWaiting = false;
      else {
        this.#beforeRun();
        const r = this.#libc.ioctl(this.fd, Req.RUN);
        this.#io = IoPending.None;
        this.#afterRun();
        if (r < 0) {
          if (r !== -Errno.EINTR && r !== -Errno.EAGAIN) {
            return {
              reason: "internal-error",
              message: `error: kvm run failed ${this.#libc.strerror(-r)}\n`,
            };
          }
          this.#libc.eatSignal(this.#kickSet);
          this.#counts[Exit.INTR]++;
          this.#kicked = false;
          return INTERRUPTED;
        }
      }
      const exit = this.#handle(run.getUint32(Run.EXIT_REASON, true));
      if (exit !== undefined) return exit;
    }
  }

  /** Offers the pending interrupt, or asks KVM to exit when the guest can take it. */
  #beforeRun(): void {
    const run = this.runPage;
    if (this.#nmiPending) {
      this.#nmiPending = false;
      this.#libc.ioctl(this.fd, Req.NMI);
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
        this.#libc.ioctlBuffer(this.fd, Req.INTERRUPT, this.#word.u8);
      }
    }
    run.setUint8(Run.REQUEST_INTERRUPT_WINDOW, this.#intr ? 1 : 0);
    run.setUint8(Run.CR8, source.tpr);
  }

  #afterRun(): void {
    const source = this.interruptSource;
    if (source === undefined) return;
    const run = this.runPage, tpr = run.getUint8(Run.CR8);
    if (tpr !== source.tpr) source.setTpr(tpr);
    const low = run.getUint32(Run.APIC_BASE, true), high = run.getUint32(Run.APIC_BASE + 4, true);
    if (low !== this.#apicBaseLow || high !== this.#apicBaseHigh) {
      this.#apicBaseLow = low;
      this.#apicBaseHigh = high;
      source.setApicBase(run.getBigUint64(Run.APIC_BASE, true));
    }
  }
  #apicBaseLow = 0;
  #apicBaseHigh = 0;

  #handle(reason: number): VmExit | undefined {
    const run = this.runPage;
    if (reason < this.#counts.length) this.#counts[reason]++;
    switch (reason) {
      case Exit.IO:
        this.#io = run.getUint8(Run.IO_DIRECTION) === 1 ? IoPending.Write : IoPending.Read;
        if (this.#io === IoPending.Write && run.getUint32(Run.IO_COUNT, true) > 1) {
          this.#io = IoPending.Read; // the data page must stay until all of it is written
        }
        dispatchIo(run, this.vm.io);
        this.#dispatched();
        return undefined;
      case Exit.MMIO:
        this.#io = run.getUint8(Run.MMIO_IS_WRITE) && run.getUint32(Run.MMIO_LEN, true) <= 4
          ? IoPending.Write
          : IoPending.Read;
        dispatchMmio(run, this.vm.mem);
        this.#dispatched();
        return undefined;
      case Exit.HLT:
        this.#mp = "halted";
        if (this.#nmiPending || (this.#intr && run.getUint8(Run.IF_FLAG) !== 0)) {
          this.#mp = "runnable";
          return undefined;
        }
        return HLT;
      case Exit.IRQ_WINDOW_OPEN:
      case Exit.SET_TPR:
        return undefined;
      case Exit.INTR:
        return INTERRUPTED;
      case Exit.SHUTDOWN:
        return SHUTDOWN;
      case Exit.DEBUG:
        return {
          reason: "debug",
          dr6: run.getBigUint64(Run.DEBUG_DR6, true),
          pc: run.getBigUint64(Run.DEBUG_PC, true),
        };
      case Exit.INTERNAL_ERROR:
        return { reason: "internal-error", message: internalErrorText(run) };
      case Exit.FAIL_ENTRY: {
        const why = run.getBigUint64(Run.HW_EXIT_REASON, true).toString(16);
        return {
          reason: "internal-error",
          message: `KVM: entry failed, hardware error 0x${why}\n`,
        };
      }
      case Exit.UNKNOWN: {
        const why = run.getBigUint64(Run.HW_EXIT_REASON, true).toString(16).padStart(16, "0");
        return { reason: "internal-error", message: `KVM: unknown exit, hardware reason ${why}\n` };
      }
      default:
        return { reason: "internal-error", message: `KVM: unknown exit reason ${reason}\n` };
    }
  }

  #dispatched(): void {
    if (this.#io !== IoPending.None) this.#io = IoPending.Retire;
  }

  /**
   * Makes the register state that of an instruction boundary. After a port or memory exit the
   * instruction retires at the next KVM_RUN; with `immediate_exit` that is all that run does. While
   * a device is still being read there is no result yet, and the state stays that of the
   * instruction's start.
   */
  #settle(): void {
    if (this.#io !== IoPending.Write && this.#io !== IoPending.Retire) return;
    this.#io = IoPending.None;
    this.runPage.setUint8(Run.IMMEDIATE_EXIT, 1);
    const r = this.#libc.ioctl(this.fd, Req.RUN);
    this.runPage.setUint8(Run.IMMEDIATE_EXIT, 0);
    if (r >= 0) this.#exitWaiting = true;
  }

  kick(): void {
    this.#kicked = true; // the caller is on the vCPU's own thread: it is not inside KVM_RUN
  }

  setIntr(level: boolean): void {
    this.#intr = level;
  }

  nmi(): void {
    this.#nmiPending = true;
  }

  smi(): void {
    if (this.#libc.ioctl(this.fd, Req.SMI) < 0) log("unimp", "kvm: this host has no SMM");
  }

  init(): void {
    const fpu = this.getFpu();
    this.#resetRegisters();
    this.setFpu(fpu);
    this.#mp = this.#bsp ? "runnable" : "init-received";
  }

  sipi(vector: number): void {
    if (this.#mp !== "init-received" && this.#mp !== "uninitialized") return;
    this.setSregs({ cs: startupSegment(vector & 0xff) });
    this.setRegs({ rip: 0n });
    this.#mp = "runnable";
  }

  reset(): void {
    this.#resetRegisters();
    this.setFpu(resetFpu());
    this.#msrs.reset();
    this.#mp = this.#bsp ? "runnable" : "uninitialized";
  }

  /** What RESET and INIT have in common (SDM vol. 3A, table 10-1). */
  #resetRegisters(): void {
    this.#settle();
    this.#exitWaiting = false;
    this.#nmiPending = false;
    const events = new Struct(Size.VCPU_EVENTS);
    this.#libc.ioctlBuffer(this.fd, Req.SET_VCPU_EVENTS, events.u8);
    this.#must(Req.GET_SREGS, this.#sregs.u8, "KVM_GET_SREGS");
    this.#sregs.u8.fill(0, SREGS_INTERRUPT_BITMAP);
    const apicBase = this.interruptSource?.apicBase ??
      (APIC_BASE_DEFAULT | 0xfee00000n | (this.#bsp ? APIC_BASE_BSP : 0n));
    writeSregs(this.#sregs, { ...resetSregs(), apicBase, cr8: 0n });
    this.#must(Req.SET_SREGS, this.#sregs.u8, "KVM_SET_SREGS");
    this.#apicBaseLow = Number(apicBase & 0xffffffffn);
    this.#apicBaseHigh = Number(apicBase >> 32n);
    this.setRegs(resetRegs(this.cpuid(1, 0).eax));
    this.setDebugRegs({ db: [0n, 0n, 0n, 0n], dr6: 0xffff0ff0n, dr7: 0x400n });
  }

  /** The table as KVM has amended it, where it tells. */
  #readCpuid(): CpuidEntry[] | undefined {
    const bytes = encodeCpuid2(new Array(256).fill(NO_ENTRY));
    const r = this.#libc.ioctlBuffer(this.fd, Req.GET_CPUID2, bytes);
    return r < 0 ? undefined : parseCpuid2(bytes);
  }

  getRegs(): Regs {
    this.#settle();
    this.#must(Req.GET_REGS, this.#regs.u8, "KVM_GET_REGS");
    return readRegs(this.#regs);
  }

  setRegs(r: Partial<Regs>): void {
    this.#settle();
    this.#must(Req.GET_REGS, this.#regs.u8, "KVM_GET_REGS");
    writeRegs(this.#regs, r);
    this.#must(Req.SET_REGS, this.#regs.u8, "KVM_SET_REGS");
    this.#distrustWindow(this.#regs.u64(136));
  }

  /** After a change from outside KVM must say anew whether the guest can take an interrupt. */
  #distrustWindow(rflags: bigint): void {
    this.runPage.setUint8(Run.READY_FOR_INTERRUPT_INJECTION, 0);
    this.runPage.setUint8(Run.IF_FLAG, (rflags & RFLAGS_IF) !== 0n ? 1 : 0);
  }

  getSregs(): Sregs {
    this.#settle();
    this.#must(Req.GET_SREGS, this.#sregs.u8, "KVM_GET_SREGS");
    return readSregs(this.#sregs);
  }

  setSregs(s: Partial<Sregs>): void {
    this.#settle();
    this.#must(Req.GET_SREGS, this.#sregs.u8, "KVM_GET_SREGS");
    writeSregs(this.#sregs, s);
    this.#must(Req.SET_SREGS, this.#sregs.u8, "KVM_SET_SREGS");
  }

  getFpu(): Fpu {
    this.#settle();
    this.#must(Req.GET_FPU, this.#fpu.u8, "KVM_GET_FPU");
    return readFpu(this.#fpu);
  }

  setFpu(f: Partial<Fpu>): void {
    this.#settle();
    this.#must(Req.GET_FPU, this.#fpu.u8, "KVM_GET_FPU");
    writeFpu(this.#fpu, f);
    this.#must(Req.SET_FPU, this.#fpu.u8, "KVM_SET_FPU");
  }

  getDebugRegs(): DebugRegs {
    this.#settle();
    this.#must(Req.GET_DEBUGREGS, this.#debug.u8, "KVM_GET_DEBUGREGS");
    return readDebugRegs(this.#debug);
  }

  setDebugRegs(d: DebugRegs): void {
    this.#settle();
    this.#debug.u8.fill(0);
    writeDebugRegs(this.#debug, d);
    this.#must(Req.SET_DEBUGREGS, this.#debug.u8, "KVM_SET_DEBUGREGS");
  }

  getMsr(index: number): bigint | undefined {
    this.#settle();
    return this.#msrs.get(index);
  }

  setMsr(index: number, value: bigint): boolean {
    this.#settle();
    return this.#msrs.set(index, value);
  }

  get mpState(): MpState {
    return this.#mp;
  }

  set mpState(state: MpState) {
    this.#mp = state;
  }

  saveEvents(): KvmEvents {
    this.#settle();
    const events = new Struct(Size.VCPU_EVENTS), xsave = new Struct(Size.XSAVE);
    const xcrs = new Struct(Size.XCRS);
    this.#must(Req.GET_VCPU_EVENTS, events.u8, "KVM_GET_VCPU_EVENTS");
    this.#must(Req.GET_XSAVE, xsave.u8, "KVM_GET_XSAVE");
    this.#libc.ioctlBuffer(this.fd, Req.GET_XCRS, xcrs.u8);
    return {
      events: events.u8,
      xsave: xsave.u8,
      xcrs: xcrs.u8,
      msrs: this.#msrs.save(),
      mpState: this.#mp,
      tpr: BigInt(this.runPage.getUint8(Run.CR8)),
    };
  }

  loadEvents(state: unknown): void {
    this.#settle();
    const s = state as KvmEvents;
    this.#libc.ioctlBuffer(this.fd, Req.SET_XCRS, new Uint8Array(s.xcrs));
    this.#must(Req.SET_XSAVE, new Uint8Array(s.xsave), "KVM_SET_XSAVE");
    this.#msrs.load(s.msrs);
    this.#mp = s.mpState;
    this.#must(Req.SET_VCPU_EVENTS, new Uint8Array(s.events), "KVM_SET_VCPU_EVENTS");
    this.#distrustWindow(this.getRegs().rflags);
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
    this.#settle();
    const s = new Struct(Size.GUEST_DEBUG);
    let control = 0, dr7 = 0x400;
    if (d.step || d.breakpoints.length > 0) control |= GuestDbg.ENABLE;
    if (d.step) control |= GuestDbg.SINGLESTEP;
    d.breakpoints.slice(0, 4).forEach((address, i) => {
      control |= GuestDbg.USE_HW_BP;
      s.setU64(8 + 8 * i, address);
      dr7 |= 2 << (2 * i);
    });
    s.view.setUint32(0, control, true);
    s.setU64(8 + 8 * 7, BigInt(dr7));
    this.#must(Req.SET_GUEST_DEBUG, s.u8, "KVM_SET_GUEST_DEBUG");
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#timer.close();
    this.#libc.unmap(this.#pointer, this.vm.accel.runSize);
    this.#libc.close(this.fd);
  }

  #must(request: number, arg: Uint8Array<ArrayBuffer>, name: string): void {
    const r = this.#libc.ioctlBuffer(this.fd, request, arg);
    if (r < 0) throw new Error(`${name} failed: ${this.#libc.strerror(-r)}`);
  }
}
