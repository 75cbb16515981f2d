/**
 * The register groups of a KVM vCPU. Every access first calls {@link VcpuRegisters.settle}: KVM
 * finishes a port or memory instruction only at the next KVM_RUN.
 */
import type { DebugRegs, Fpu, Regs, Sregs } from "../accel.ts";
import { Req, Run } from "./abi.ts";
import type { Libc } from "./libc.ts";
import type { CpuidEntry } from "./cpuid.ts";
import { MsrBank } from "./msrs.ts";
import {
  readDebugRegs,
  readPdptes,
  readRegs,
  readSregs,
  Size,
  SREGS_INTERRUPT_BITMAP,
  Struct,
  writeDebugRegs,
  writePdptes,
  writeRegs,
  writeSregs,
} from "./structs.ts";
import {
  makeXcrs,
  readXcr0,
  readXstate,
  writeXstate,
  type XstateLayout,
  xstateLayout,
} from "./xstate.ts";

const RFLAGS = 136, RFLAGS_IF = 0x200n;
const CR0_PG = 1n << 31n, CR4_PAE = 1n << 5n, EFER_LMA = 1n << 10n;

/** PAE paging, whose PDPTEs are in registers. */
function usesPdptes(s: Sregs): boolean {
  return (s.cr0 & CR0_PG) !== 0n && (s.cr4 & CR4_PAE) !== 0n && (s.efer & EFER_LMA) === 0n;
}

export abstract class VcpuRegisters {
  protected readonly msrs: MsrBank;
  readonly #regs = new Struct(Size.REGS);
  readonly #sregs = new Struct(Size.SREGS);
  readonly #sregs2 = new Struct(Size.SREGS2);
  readonly #xsave = new Struct(Size.XSAVE);
  readonly #xcrs = new Struct(Size.XCRS);
  readonly #layout: XstateLayout;
  readonly #hasXcrs: boolean;
  readonly #debug = new Struct(Size.DEBUGREGS);

  /**
   * @param fd of the vCPU
   * @param runPage its mapped `struct kvm_run`
   * @param supported KVM_GET_SUPPORTED_CPUID
   */
  constructor(
    protected readonly libc: Libc,
    readonly fd: number,
    protected readonly runPage: DataView<ArrayBuffer>,
    msrIndexes: readonly number[],
    supported: readonly CpuidEntry[],
  ) {
    this.#layout = xstateLayout(supported);
    this.#hasXcrs = libc.ioctlBuffer(fd, Req.GET_XCRS, this.#xcrs.u8) >= 0;
    this.msrs = new MsrBank(libc, fd, msrIndexes);
  }

  /** Makes the register state that of an instruction boundary, with nobody inside KVM_RUN. */
  protected abstract settle(): void;

  /** An ioctl that only a broken host refuses. */
  protected must(request: number, arg: Uint8Array<ArrayBuffer>, name: string): void {
    const r = this.libc.ioctlBuffer(this.fd, request, arg);
    if (r < 0) throw new Error(`${name} failed: ${this.libc.strerror(-r)}`);
  }

  getRegs(): Regs {
    this.settle();
    this.must(Req.GET_REGS, this.#regs.u8, "KVM_GET_REGS");
    return readRegs(this.#regs);
  }

  setRegs(r: Partial<Regs>): void {
    this.settle();
    this.must(Req.GET_REGS, this.#regs.u8, "KVM_GET_REGS");
    writeRegs(this.#regs, r);
    this.must(Req.SET_REGS, this.#regs.u8, "KVM_SET_REGS");
    this.distrustWindow(this.#regs.u64(RFLAGS));
  }

  /** After a change from outside KVM must say anew whether the guest can take an interrupt. */
  protected distrustWindow(rflags: bigint): void {
    this.runPage.setUint8(Run.READY_FOR_INTERRUPT_INJECTION, 0);
    this.runPage.setUint8(Run.IF_FLAG, (rflags & RFLAGS_IF) !== 0n ? 1 : 0);
  }

  getSregs(): Sregs {
    this.settle();
    this.must(Req.GET_SREGS, this.#sregs.u8, "KVM_GET_SREGS");
    const s = readSregs(this.#sregs);
    const pdptes = usesPdptes(s) && this.#hasSregs2() ? readPdptes(this.#sregs2) : undefined;
    return pdptes === undefined ? s : { ...s, pdptes };
  }

  /** Reads `struct kvm_sregs2`, which KVM has since Linux 5.14. */
  #hasSregs2(): boolean {
    return this.libc.ioctlBuffer(this.fd, Req.GET_SREGS2, this.#sregs2.u8) >= 0;
  }

  setSregs(s: Partial<Sregs>): void {
    this.writeSregs(s, false);
  }

  /** The special registers as they are in the middle of a port or memory instruction. */
  protected peekSregs(): Sregs {
    this.must(Req.GET_SREGS, this.#sregs.u8, "KVM_GET_SREGS");
    return readSregs(this.#sregs);
  }

  /** @param dropInterrupt forgets a vector that was given to KVM and is not delivered yet */
  protected writeSregs(s: Partial<Sregs>, dropInterrupt: boolean): void {
    this.settle();
    this.must(Req.GET_SREGS, this.#sregs.u8, "KVM_GET_SREGS");
    if (dropInterrupt) this.#sregs.u8.fill(0, SREGS_INTERRUPT_BITMAP);
    writeSregs(this.#sregs, s);
    this.must(Req.SET_SREGS, this.#sregs.u8, "KVM_SET_SREGS");
    // Without this KVM reads the PDPTEs from memory, which may have others by now.
    if (s.pdptes === undefined || !this.#hasSregs2() || !usesPdptes(readSregs(this.#sregs2))) {
      return;
    }
    writePdptes(this.#sregs2, s.pdptes);
    this.must(Req.SET_SREGS2, this.#sregs2.u8, "KVM_SET_SREGS2");
  }

  getFpu(): Fpu {
    this.settle();
    this.must(Req.GET_XSAVE, this.#xsave.u8, "KVM_GET_XSAVE");
    const fpu = readXstate(this.#xsave, this.#layout);
    if (!this.#hasXcrs) return fpu;
    this.must(Req.GET_XCRS, this.#xcrs.u8, "KVM_GET_XCRS");
    return { ...fpu, xcr0: readXcr0(this.#xcrs) };
  }

  setFpu(f: Partial<Fpu>): void {
    this.settle();
    if (f.xcr0 !== undefined && this.#hasXcrs) {
      this.must(Req.SET_XCRS, makeXcrs(f.xcr0).u8, "KVM_SET_XCRS");
    }
    this.must(Req.GET_XSAVE, this.#xsave.u8, "KVM_GET_XSAVE");
    writeXstate(this.#xsave, this.#layout, f);
    this.must(Req.SET_XSAVE, this.#xsave.u8, "KVM_SET_XSAVE");
  }

  getDebugRegs(): DebugRegs {
    this.settle();
    this.must(Req.GET_DEBUGREGS, this.#debug.u8, "KVM_GET_DEBUGREGS");
    return readDebugRegs(this.#debug);
  }

  setDebugRegs(d: DebugRegs): void {
    this.settle();
    this.#debug.u8.fill(0);
    writeDebugRegs(this.#debug, d);
    this.must(Req.SET_DEBUGREGS, this.#debug.u8, "KVM_SET_DEBUGREGS");
  }

  getMsr(index: number): bigint | undefined {
    this.settle();
    return this.msrs.get(index);
  }

  setMsr(index: number, value: bigint): boolean {
    this.settle();
    return this.msrs.set(index, value);
  }
}
