/**
 * The accelerator interface, shaped like `/dev/kvm`: an Accelerator makes a Vm, a Vm makes Vcpus,
 * `Vcpu.run()` executes guest code until something needs the machine. `core/tcg` and `core/kvm`
 * implement it; boards and devices cannot tell which one they run on.
 */
import type { GuestMemory } from "./memory/guest_memory.ts";
import type { AddressSpace } from "./memory/address_space.ts";
import type { IoOps } from "./memory/region.ts";
import type { Clock } from "./clock.ts";
import type { Device } from "./device.ts";

/** A segment register, fields as `struct kvm_segment`. */
export interface Segment {
  selector: number;
  base: bigint;
  /** Byte granular: already scaled by 4 KiB when G is set. */
  limit: number;
  /** 4-bit type field. */
  type: number;
  s: number;
  dpl: number;
  present: number;
  avl: number;
  l: number;
  db: number;
  g: number;
  unusable: number;
}

export interface TableRegister {
  base: bigint;
  limit: number;
}

/** General registers in KVM's order, each an unsigned 64-bit value. */
export interface Regs {
  rax: bigint;
  rbx: bigint;
  rcx: bigint;
  rdx: bigint;
  rsi: bigint;
  rdi: bigint;
  rsp: bigint;
  rbp: bigint;
  r8: bigint;
  r9: bigint;
  r10: bigint;
  r11: bigint;
  r12: bigint;
  r13: bigint;
  r14: bigint;
  r15: bigint;
  rip: bigint;
  rflags: bigint;
}

export interface Sregs {
  cs: Segment;
  ds: Segment;
  es: Segment;
  fs: Segment;
  gs: Segment;
  ss: Segment;
  tr: Segment;
  ldt: Segment;
  gdt: TableRegister;
  idt: TableRegister;
  cr0: bigint;
  cr2: bigint;
  cr3: bigint;
  cr4: bigint;
  cr8: bigint;
  efer: bigint;
  /** IA32_APIC_BASE. */
  apicBase: bigint;
  /**
   * The four page-directory-pointer entries that PAE paging (CR0.PG, CR4.PAE, no EFER.LMA) uses. When
   * they are not given they are read from where CR3 points. SDM volume 3, 4.4.1.
   */
  pdptes?: readonly bigint[];
}

/** x87 and SSE state, as FXSAVE keeps it, and what XSAVE adds to it. */
export interface Fpu {
  /** Eight 80-bit registers ST0..ST7, 16 bytes each (10 used). */
  fpr: Uint8Array;
  fcw: number;
  fsw: number;
  /** Abridged tag byte: bit n set when physical register n holds a value. */
  ftwx: number;
  lastOpcode: number;
  lastIp: bigint;
  lastDp: bigint;
  /** XMM0..XMM15, 16 bytes each. */
  xmm: Uint8Array;
  mxcsr: number;
  /** Bits 255:128 of YMM0..YMM15, 16 bytes each, where the vCPU has them. */
  ymmHigh?: Uint8Array;
  /** AVX-512: k0..k7; bits 511:256 of ZMM0..ZMM15; ZMM16..ZMM31. 64, 512 and 1024 bytes. */
  opmask?: Uint8Array;
  zmmHigh?: Uint8Array;
  hi16Zmm?: Uint8Array;
  pkru?: number;
  /** XCR0, where the vCPU has XSAVE. */
  xcr0?: bigint;
}

export interface DebugRegs {
  db: [bigint, bigint, bigint, bigint];
  dr6: bigint;
  dr7: bigint;
}

/** Multiprocessing state, as KVM_GET_MP_STATE names it. */
export type MpState = "runnable" | "uninitialized" | "init-received" | "halted" | "sipi-received";

/**
 * What the vCPU's interrupt controller (its LAPIC, or the 8259 pair where there is none) offers it.
 * The vCPU asks between instructions while its INTR line is high and IF allows.
 */
export interface InterruptSource {
  /** INTA: takes the highest deliverable vector (0–255), or -1 when the request has gone away. */
  acknowledge(): number;
  /** Task priority as CR8 shows it (0–15). */
  readonly tpr: number;
  setTpr(value: number): void;
  /** IA32_APIC_BASE as the guest reads it, and writes: false asks for #GP. */
  readonly apicBase: bigint;
  setApicBase(value: bigint): boolean;
  /** x2APIC MSRs 0x800–0x8ff and IA32_TSC_DEADLINE (0x6e0): undefined or false asks for #GP. */
  readMsr(index: number): bigint | undefined;
  writeMsr(index: number, value: bigint): boolean;
  /** The guest has written its time-stamp counter, which IA32_TSC_DEADLINE compares with. */
  tscChanged?(): void;
  /** Set while the guest has asked for another way to end interrupts. */
  eoiFlag?: EoiFlag;
  /** The machine stops: whatever the guest has done by {@link eoiFlag} is done here. */
  settleEoi?(): void;
}

/** A flag in guest memory by which a guest may end an interrupt without a write to its LAPIC. */
export interface EoiFlag {
  /** Sets it: the guest clears it instead of that write. False where it cannot be set. */
  arm(): boolean;
  /** The guest has cleared it. */
  ended(): boolean;
  /** Clears it: the guest writes to its LAPIC. */
  disarm(): void;
}

/** The time-stamp counter as a guest reads it. */
export interface GuestTsc {
  read(): bigint;
  /** Ticks per millisecond. */
  readonly khz: number;
}

/**
 * Why `run` came back. Port and memory accesses do not come back: the accelerator dispatches them to
 * the Vm's address spaces itself (tcg by a plain call in mid-instruction, kvm after the exit).
 */
export type VmExit =
  | { reason: "interrupted" } // budget used up, kicked, or run() was asked to return
  | { reason: "hlt" } // halted with nothing pending; run again when something is
  | { reason: "shutdown" } // triple fault
  | { reason: "debug"; dr6: bigint; pc: bigint } // gdb breakpoint or step
  | { reason: "internal-error"; message: string }; // the accelerator gave up: the VM is paused

/** Exit counts by KVM's names (`io`, `mmio`, `hlt`, `irq_window`, `exceptions`…) for `info exits`. */
export type ExitCounts = Map<string, number>;

export interface Vcpu {
  readonly index: number;
  /** APIC ID. */
  readonly apicId: number;
  /** Under an accelerator that leaves TSC deadlines to the board's local APIC. */
  readonly guestTsc?: GuestTsc;
  /**
   * Executes until an exit. Under tcg at most `budget` instructions; kvm ignores it.
   * Halted: returns `hlt` at once unless an event is pending.
   */
  run(budget: number): VmExit;
  /**
   * Where the vCPU can run in a thread of its own: runs there until an exit, with accesses dispatched
   * on the calling thread between turns of the event loop. A halted vCPU waits inside, so `hlt` does
   * not come back; `kick()` ends it with `interrupted`. One call at a time, not mixed with `run`.
   */
  runAsync?(): Promise<VmExit>;
  /** Where `run` comes back from a halt: whether it would execute something now. */
  readonly runnable?: boolean;
  /** Makes a running `run` return `interrupted` soon. Any thread, any time. */
  kick(): void;
  /** Instructions retired since creation (tcg), for `-icount`. */
  readonly instructions: number;

  /** Level of the INTR input from the interrupt controller. Rising wakes a halted vCPU. */
  setIntr(level: boolean): void;
  /** Edge-triggered events from the interrupt controller or the machine. */
  nmi(): void;
  smi(): void;
  /** INIT: the vCPU resets (not its caches or FPU) and waits for a SIPI unless it is the BSP. */
  init(): void;
  /** Start-up IPI: a vCPU waiting for it starts at vector × 4 KiB. Ignored otherwise. */
  sipi(vector: number): void;
  /** Power-on reset. The BSP becomes runnable at F000:FFF0, others wait for INIT/SIPI. */
  reset(): void;
  interruptSource: InterruptSource | undefined;

  getRegs(): Regs;
  setRegs(r: Partial<Regs>): void;
  getSregs(): Sregs;
  setSregs(s: Partial<Sregs>): void;
  getFpu(): Fpu;
  setFpu(f: Partial<Fpu>): void;
  getDebugRegs(): DebugRegs;
  setDebugRegs(d: DebugRegs): void;
  /** A model-specific register, or undefined when this CPU model has none of that index. */
  getMsr(index: number): bigint | undefined;
  /** False when the index or the value is not acceptable (#GP for a guest). */
  setMsr(index: number, value: bigint): boolean;
  mpState: MpState;
  /** Everything that is not in the groups above (pending events, interrupt shadow), for save/load. */
  saveEvents(): unknown;
  loadEvents(state: unknown): void;

  /**
   * The physical address a linear one maps to under the current paging, without side effects or
   * privilege checks; undefined when not present. For the monitor and the gdb stub.
   */
  translate(linear: bigint): number | undefined;
  /** CPUID as this vCPU's guest sees it. */
  cpuid(leaf: number, subleaf: number): { eax: number; ebx: number; ecx: number; edx: number };
  readonly exits: ExitCounts;
  /** Single-step and hardware breakpoints for the gdb stub; `debug` exits follow. */
  setGuestDebug(d: { step: boolean; breakpoints: bigint[] }): void;
}

/**
 * How x87 errors reach the interrupt controller when CR0.NE is 0: the processor's FERR# output and
 * IGNNE# input, which a PC connects to IRQ 13 and port F0h. Intel SDM volume 1, appendix D.
 */
export interface FpuErrorLine {
  /** Asserts FERR#. True when IGNNE# lets the processor go on with the error pending. */
  raise(): boolean;
  /** The error is gone: deasserts FERR#, and the PC's latch lets go of IGNNE#. */
  clear(): void;
}

/** A register where a write has no other meaning than that a device has something to look at. */
export interface Doorbell {
  readonly space: "mem" | "io";
  readonly address: number;
  /** Bytes of the write; others are no rings. */
  readonly size: 1 | 2 | 4 | 8;
  /** Only writes of this value are rings; absent: any. */
  readonly datamatch?: number;
  /** Called on the main thread, soon after one or more rings, between accesses of vCPUs. */
  notify(): void;
}

export interface Vm {
  readonly vcpus: readonly Vcpu[];
  createVcpu(opts: VcpuOptions): Vcpu;
  /** The vCPU whose access is being served now. */
  readonly current?: Vcpu;
  /** Set by the machine; called when a vCPU outside `run` has got an event it may have to run for. */
  onEvent?: () => void;
  /**
   * Called when the vCPU whose accesses come next is in system management mode, and when it is not
   * any more: the board shows SMRAM meanwhile. Only tcg has SMM.
   */
  onSmm?: (active: boolean) => void;
  /** A20 gate: when low, bit 20 of every physical address from the CPU is 0. */
  setA20(enabled: boolean): void;
  /** Set by a board that reports x87 errors as a PC does; asked when CR0.NE is 0. Only tcg has it. */
  fpuError?: FpuErrorLine;
  /** Interrupt controllers inside the accelerator, when {@link VmOptions.kernelIrqchip} asks. */
  readonly irqchip?: KernelIrqchip;
  /**
   * Reports and forgets the pages of `dirtyLog` regions that the guest has written since the last
   * call: `page` gets their offset in the shared memory. False when others may have been written as
   * well. Absent: the accelerator keeps no such log. Read by `DirtyLog` (core/display/dirty.ts) alone.
   */
  dirtyPages?(page: (offset: number) => void): boolean;
  /**
   * Tells which writes the device `owner` takes as doorbells now, in place of what it told before.
   * Such a write need not stop the vCPU, and may be told by {@link Doorbell.notify} in place of the
   * region's `write`. Absent: every write goes to its region.
   */
  setDoorbells?(owner: object, doorbells: readonly Doorbell[]): void;
  /**
   * Frequency of the guest's time-stamp counter, in kHz. An accelerator that makes the counter itself
   * takes another one, so that a guest which has measured it can go on there.
   */
  tscKhz?: number;
  /** Guest memory has been written by another accelerator: what was derived from it is forgotten. */
  memoryChanged?(): void;
  /** The machine stops or goes on, its vCPUs being outside `run`: time the guest reads stands still. */
  setRunning?(running: boolean): void;
  close(): void;
}

/**
 * KVM's own interrupt controllers. `on`: PIC pair, IOAPIC, PIT and a LAPIC per vCPU are KVM's, and
 * the board has none of its own. `split`: the LAPICs are KVM's; the board's IOAPIC sends messages
 * here, its PIC drives `setIntr` of the first vCPU. INIT, SIPI and HLT then stay inside KVM.
 */
export interface KernelIrqchip extends Device {
  readonly mode: "on" | "split";
  /** `on`: level of a global system interrupt; 0–15 reach PIC and IOAPIC, 16–23 the IOAPIC. */
  setIrqLine(gsi: number, level: boolean): void;
  /** Delivers a message-signalled interrupt (address 0xfeexxxxx); false when no vCPU takes it. */
  signalMsi(address: number, data: number): boolean;
  /** `split`: what an IOAPIC pin sends (undefined: masked), so that KVM reports its EOIs. */
  setRoute(pin: number, message: { address: number; data: number } | undefined): void;
  /** `on`: raw state of PIC master (0), slave (1) or IOAPIC (2), as KVM_GET_IRQCHIP gives it. */
  chip(id: 0 | 1 | 2): Uint8Array;
  setChip(id: 0 | 1 | 2, state: Uint8Array): void;
  /** Registers of a vCPU's LAPIC, each in the first dword of 16 bytes, as KVM_GET_LAPIC gives them. */
  lapic(index: number): Uint8Array;
  /** `on`: ports 40h–43h of the PIT, for accesses that are not the guest's. */
  readonly pitPorts?: IoOps;
  /** `split`: called with the vector of a level-triggered interrupt that a vCPU has ended. */
  onEoi: (vector: number) => void;
}

export interface VcpuOptions {
  readonly index: number;
  readonly apicId: number;
  /** CPU model and features after `-cpu` parsing. */
  readonly model: CpuModel;
  /** Bootstrap processor: runs after reset. */
  readonly bsp: boolean;
}

/** A resolved CPU model: what CPUID answers. Made by `core/x86/cpuid`. */
export interface CpuModel {
  readonly name: string;
  /** CPUID for a vCPU: topology and APIC ID come from `env`. Undefined leaves answer zeros. */
  cpuid(leaf: number, subleaf: number, env: CpuidEnv): {
    eax: number;
    ebx: number;
    ecx: number;
    edx: number;
  };
  /** Feature flag by QEMU's name (`sse2`, `pae`, `nx`). */
  has(feature: string): boolean;
}

export interface CpuidEnv {
  readonly apicId: number;
  readonly cores: number;
  readonly threads: number;
  readonly sockets: number;
  /** Dies of a socket, 1 when left out; `cores` are those of a die. */
  readonly dies?: number;
  /** CR4.OSXSAVE, CR4.PKE, APIC enable: bits that follow the CPU's state. */
  readonly osxsave: boolean;
  readonly apicEnabled: boolean;
}

export interface VmOptions {
  readonly memory: GuestMemory;
  /** Physical addresses. */
  readonly mem: AddressSpace;
  /** I/O ports. */
  readonly io: AddressSpace;
  readonly clock: Clock;
  /** Default `off`: all interrupt controllers are the board's. Only kvm has others. */
  readonly kernelIrqchip?: "off" | "split" | "on";
}

export interface Accelerator {
  readonly name: "tcg" | "kvm";
  createVm(opts: VmOptions): Vm;
}
