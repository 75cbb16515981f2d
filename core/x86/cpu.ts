/**
 * A vCPU's state seen from TypeScript: what helpers, event delivery, the monitor and the accelerator
 * work on. Hot code never comes here; it reads the same bytes from WebAssembly.
 */
import type { CpuModel, FpuErrorLine, VcpuOptions } from "../accel.ts";
import type { AddressSpace } from "../memory/address_space.ts";
import type { GuestMemory } from "../memory/guest_memory.ts";
import type { Breakpoint } from "./debug.ts";
import { type Insn, type MemOperand, type Operand, Seg } from "./insn.ts";
import { isCanonical } from "./canonical.ts";
import { MsrFile } from "./msr_file.ts";
import * as S from "./state.ts";
import { Fl, FL_ARITH, Mode, Vec } from "./state.ts";

/** A linear address or an offset: a number (unsigned, 32 bits) outside 64-bit mode, else a bigint. */
export type Lin = number | bigint;

/**
 * An exception of the guest, thrown by helpers and caught where the instruction began. Never an
 * error of ours. `error` is -1 for vectors without an error code.
 */
export class GuestFault {
  /** @param here the instruction has had its effect: RIP is where the handler returns to */
  constructor(readonly vector: number, readonly error: number, readonly here = false) {}
}

/** Guest memory by linear address, with the privilege and paging of a vCPU. Faults are thrown. */
export interface LinearMemory {
  /** Reads 1, 2 or 4 bytes, unsigned. `system`: with supervisor privilege whatever the CPL. */
  read(lin: Lin, bytes: 1 | 2 | 4, system?: boolean): number;
  write(lin: Lin, bytes: 1 | 2 | 4, value: number, system?: boolean): void;
  read64(lin: Lin, system?: boolean): bigint;
  write64(lin: Lin, value: bigint, system?: boolean): void;
  /** Raises the faults that a write of `bytes` would, changing nothing. */
  checkWrite(lin: Lin, bytes: number, system?: boolean): void;
  checkRead(lin: Lin, bytes: number, system?: boolean): void;
  /**
   * Forgets all cached translations (CR3, CR0, CR4 changes).
   * @param keepGlobal those of global pages stay
   */
  flush(keepGlobal?: boolean): void;
  /** Forgets those of one page (INVLPG). */
  flushPage(lin: Lin): void;
  /**
   * CR3 has been written: uses the translations of its process-context identifier.
   * @param keep those cached before may be used again
   */
  switchContext(keep: boolean): void;
  /** INVPCID: forgets a page, all but global pages, or all but global pages of every context. */
  flushContextPage(pcid: number, lin: Lin): void;
  flushContext(pcid: number): void;
  flushContexts(): void;
  /** AC is clear again: user pages are no longer the supervisor's under SMAP. */
  closeUserPages(): void;
}

/** What the rest of the vCPU offers to helpers. */
export interface CpuEnv {
  readonly mem: LinearMemory;
  /** Physical memory and port space of the machine. */
  readonly phys: AddressSpace;
  readonly io: AddressSpace;
  /** Time-stamp counter now, before IA32_TSC_ADJUST and offset. */
  tsc(): bigint;
  /** PAUSE: this vCPU waits for another one, which should get its turn. */
  pause(): void;
  /** The machine has no other vCPU, whose stores could end a wait. */
  readonly alone: boolean;
  /** Ends the instruction in HLT. */
  halt(): void;
  /** Events of the outside world may now be deliverable: the run loop looks after this instruction. */
  eventsChanged(): void;
  /** RSM has ended system management mode so. */
  resume(how: "running" | "halted" | "shutdown"): void;
  /** The debug registers or CR4.DE have changed. */
  debugChanged(): void;
  /** Counts a VM exit by KVM's reason name. */
  countExit(reason: string): void;
  /** 64 random bits for RDRAND and RDSEED. */
  random(): bigint;
  /** Local APIC seen by MSRs and CR8, or undefined without one. */
  readonly apic: import("../accel.ts").InterruptSource | undefined;
  /** KVM's paravirtual registers, where the CPU model has any. */
  readonly paravirt?: import("./paravirt.ts").Paravirt;
  /** The offset of the time-stamp counter has been written. */
  tscChanged?(): void;
  /** CPUID for this vCPU. */
  cpuid(leaf: number, subleaf: number): { eax: number; ebx: number; ecx: number; edx: number };
  readonly model: CpuModel;
  readonly options: VcpuOptions;
  /** Absent: without CR0.NE, x87 errors are ignored. */
  readonly fpuError?: FpuErrorLine;
}

/** Attribute word bits of a segment cache, as `SEG_ATTR` holds them. */
export const Attr = {
  TYPE: 0xf,
  S: 1 << 4,
  DPL_SHIFT: 5,
  DPL: 3 << 5,
  P: 1 << 7,
  AVL: 1 << 12,
  L: 1 << 13,
  DB: 1 << 14,
  G: 1 << 15,
  /** Ours: the cache holds a null selector. */
  UNUSABLE: 1 << 16,
} as const;

const CR0_AM = 0x40000;

const JUMP_LISTS = [
  [S.Bank.JC_LIST, S.Bank.JC_COUNT],
  [S.Bank.JC_GLOBALS, S.Bank.JC_GLOBAL_COUNT],
] as const;

export class Cpu {
  readonly view: DataView<SharedArrayBuffer>;
  readonly i32: Int32Array<SharedArrayBuffer>;
  readonly u8: Uint8Array<SharedArrayBuffer>;
  readonly u16: Uint16Array<SharedArrayBuffer>;
  /** Set by the accelerator before the first instruction. */
  env!: CpuEnv;
  /** Model-specific registers without a home in the state, by index. */
  readonly msrs: MsrFile;
  /** System-management mode. */
  smm = false;
  /** Base of the state save area and the entry point of SMIs. */
  smbase = 0x30000;
  /** DR6 bits of debug traps that are due when the current instruction is done. */
  debugTraps = 0;
  /** Enabled breakpoints on ports. */
  portBreakpoints: readonly Breakpoint[] = [];
  /** There are fetch breakpoints, which RF masks. Without them RF is let go at once. */
  fetchBreakpoints = false;
  /** The accelerator wants the next instruction to run alone. Call {@link updateMode} after a change. */
  alone = false;

  /** @param base byte offset of the state in the shared memory, a multiple of 64 */
  constructor(readonly memory: GuestMemory, readonly base: number) {
    this.view = new DataView(memory.buffer, base, S.STATE_BYTES);
    this.i32 = new Int32Array(memory.buffer, base, S.STATE_BYTES >> 2);
    this.u8 = new Uint8Array(memory.buffer, base, S.STATE_BYTES);
    this.msrs = new MsrFile(this.view);
    this.u16 = new Uint16Array(memory.buffer, base, S.STATE_BYTES >> 1);
    for (let n = 0; n < S.BANKS; n++) {
      const jc = (S.BANK + n * S.Bank.BYTES + S.Bank.JC) >> 2;
      this.i32[jc] = this.i32[jc + (S.JC_BYTES >> 2)] = 1;
    }
  }

  // ---- fields

  get32(at: number): number {
    return this.i32[at >> 2];
  }
  set32(at: number, v: number): void {
    this.i32[at >> 2] = v;
  }
  /** Unsigned. */
  getU32(at: number): number {
    return this.i32[at >> 2] >>> 0;
  }
  get64(at: number): bigint {
    return this.view.getBigUint64(at, true);
  }
  set64(at: number, v: bigint): void {
    this.view.setBigUint64(at, v, true);
  }

  // ---- general registers

  reg8(n: number, high = false): number {
    return this.u8[8 * n + (high ? 1 : 0)];
  }
  reg16(n: number): number {
    return this.view.getUint16(8 * n, true);
  }
  /** Unsigned. */
  reg32(n: number): number {
    return this.i32[2 * n] >>> 0;
  }
  reg64(n: number): bigint {
    return this.view.getBigUint64(8 * n, true);
  }
  setReg8(n: number, v: number, high = false): void {
    this.u8[8 * n + (high ? 1 : 0)] = v;
  }
  setReg16(n: number, v: number): void {
    this.view.setUint16(8 * n, v, true);
  }
  /** Clears bits 63:32. */
  setReg32(n: number, v: number): void {
    this.i32[2 * n] = v;
    this.i32[2 * n + 1] = 0;
  }
  setReg64(n: number, v: bigint): void {
    this.view.setBigUint64(8 * n, v, true);
  }
  /** By width; unsigned. 64-bit values as bigint. */
  reg(n: number, bits: number): number | bigint {
    return bits === 64
      ? this.reg64(n)
      : bits === 32
      ? this.reg32(n)
      : bits === 16
      ? this.reg16(n)
      : this.reg8(n);
  }
  setReg(n: number, bits: number, v: number | bigint): void {
    if (bits === 64) this.setReg64(n, BigInt.asUintN(64, BigInt(v)));
    else if (bits === 32) this.setReg32(n, Number(v));
    else if (bits === 16) this.setReg16(n, Number(v));
    else this.setReg8(n, Number(v));
  }

  get rip(): bigint {
    return this.view.getBigUint64(S.RIP, true);
  }
  set rip(v: bigint) {
    this.view.setBigUint64(S.RIP, v, true);
  }
  /** Low 32 bits, unsigned. */
  get eip(): number {
    return this.i32[S.RIP >> 2] >>> 0;
  }
  set eip(v: number) {
    this.i32[S.RIP >> 2] = v;
    this.i32[(S.RIP >> 2) + 1] = 0;
  }

  // ---- mode

  get mode(): number {
    return this.i32[S.MODE >> 2];
  }
  get long(): boolean {
    return (this.mode & Mode.CODE_MASK) === 2;
  }
  /** EFER.LMA. */
  get lma(): boolean {
    return (this.mode & Mode.LONG) !== 0;
  }
  get pe(): boolean {
    return (this.mode & Mode.PE) !== 0;
  }
  get vm86(): boolean {
    return (this.mode & Mode.VM86) !== 0;
  }
  /** Protected mode without VM86: descriptors are used. */
  get protectedMode(): boolean {
    return (this.mode & (Mode.PE | Mode.VM86)) === Mode.PE;
  }
  get cpl(): number {
    return this.i32[S.CPL >> 2];
  }
  setCpl(v: number): void {
    this.i32[S.CPL >> 2] = v;
    this.setBank(this.bank);
    this.updateMode();
  }
  /** Offset in the state of the {@link S.Bank} in use. */
  get bank(): number {
    const at = this.i32[S.TLB_SYS_PTR >> 2];
    return at === 0 ? S.BANK : at - this.base;
  }
  /** Uses another bank; its jump caches must be those of the mode. */
  setBank(bank: number): void {
    const i32 = this.i32, at = this.base + bank, user = this.cpl === 3 ? 1 : 0;
    i32[S.TLB_SYS_PTR >> 2] = at + S.Bank.TLB;
    i32[S.TLB_PTR >> 2] = at + S.Bank.TLB + user * S.TLB_BYTES;
    i32[S.JC_PTR >> 2] = at + S.Bank.JC + user * S.JC_BYTES;
  }
  /** Stack pointer width in bits. */
  get stackBits(): 16 | 32 | 64 {
    return this.long ? 64 : this.mode & Mode.SS32 ? 32 : 16;
  }

  get cr0(): number {
    return this.i32[S.CR0 >> 2] >>> 0;
  }
  get cr3(): bigint {
    return this.get64(S.CR3);
  }
  get cr4(): number {
    return this.i32[S.CR4 >> 2] >>> 0;
  }
  get efer(): number {
    return this.i32[S.EFER >> 2] >>> 0;
  }

  /**
   * Recomputes {@link S.MODE} from CR0, CR4, XCR0, EFER, flags and segments. {@link settleJumps} sees to
   * the jump caches before code of another mode runs.
   */
  updateMode(): void {
    const cr0 = this.cr0, cr4 = this.cr4, fl = this.i32[S.FLAG_SYS >> 2];
    let m = 0;
    const cs = this.attr(Seg.CS), ss = this.attr(Seg.SS);
    const lma = (this.efer & 0x400) !== 0;
    if (cr0 & 1) m |= Mode.PE;
    if (lma) m |= Mode.LONG;
    if (fl & Fl.VM) m |= Mode.VM86;
    if (lma && cs & Attr.L) m |= 2 | Mode.FLAT | Mode.CS_FLAT;
    else {
      if (cs & Attr.DB) m |= 1;
      if (ss & Attr.DB) m |= Mode.SS32;
      if (this.isFlat(Seg.DS) && this.isFlat(Seg.ES) && this.isFlat(Seg.SS)) m |= Mode.FLAT;
      if (this.segLimit(Seg.CS) === 0xffffffff && this.segBaseIs0(Seg.CS)) m |= Mode.CS_FLAT;
    }
    if (cr0 & 0xc) m |= Mode.FPU_TRAP;
    if (!(cr4 & 0x200) || cr0 & 4) m |= Mode.SSE_UD;
    if (cr0 & 8) m |= Mode.SSE_NM;
    if (!(cr4 & 0x40000) || (this.i32[S.XCR0 >> 2] & 6) !== 6) m |= Mode.AVX_UD;
    else if ((this.i32[S.XCR0 >> 2] & 0xe6) === 0xe6) m |= Mode.AVX512;
    if ((cr0 & 0xa) === 0xa) m |= Mode.WAIT_NM;
    if (this.cpl === 3) {
      m |= Mode.CPL3;
      if (fl & Fl.AC && cr0 & CR0_AM) m |= Mode.ALIGN;
    }
    if (fl & (Fl.TF | Fl.RF) || this.i32[S.SHADOW >> 2] !== 0 || this.alone) m |= Mode.SINGLE;
    this.i32[S.MODE >> 2] = m;
  }

  /**
   * Makes computed jumps to the current RIP at this privilege go on with record `rec`.
   * @param global the code's page is global
   */
  cacheJump(rec: number, global: boolean): void {
    const i32 = this.i32, bank = this.bank, lo = i32[S.RIP >> 2];
    let hi = i32[(S.RIP >> 2) + 1], mid = (lo >>> 11) | (hi << 21), lin = lo;
    if ((this.mode & Mode.CODE_MASK) !== 2) {
      mid = lo >>> 11;
      lin = hi = (lo + this.segBase32(Seg.CS)) | 0;
    }
    const n = ((lo ^ mid) & (S.JC_ENTRIES - 1)) + (this.cpl === 3 ? S.JC_ENTRIES : 0);
    const e = (bank + S.Bank.JC + n * S.JC_ENTRY) >> 2;
    i32[e] = lo;
    i32[e + 1] = hi;
    i32[e + 2] = rec;
    const listed = global ? S.JC_STATE.LISTED_GLOBAL : S.JC_STATE.LISTED;
    const was = i32[e + 3] & (S.JC_STATE.LISTED | S.JC_STATE.LISTED_GLOBAL);
    if (!(was & listed)) {
      const count = (bank + (global ? S.Bank.JC_GLOBAL_COUNT : S.Bank.JC_COUNT)) >> 2;
      const list = bank + (global ? S.Bank.JC_GLOBALS : S.Bank.JC_LIST);
      this.u16[(list >> 1) + i32[count]++] = n;
    }
    i32[e + 3] = was | listed | (global ? S.JC_STATE.GLOBAL : 0);
    this.u8[bank + S.Bank.JC_PAGES + ((lin >>> 12) & (S.JC_PAGES_ENTRIES - 1))] = 1;
  }

  /** Empties the jump caches of the bank in use, of all banks where `all` asks. */
  flushJumpCaches(all = false): void {
    if (!all) return this.flushJumpsOf(this.bank, false);
    for (let n = 0; n < S.BANKS; n++) this.flushJumpsOf(S.BANK + n * S.Bank.BYTES, false);
  }

  /** Empties the jump caches of a bank; `keepGlobal`: except for code in global pages. */
  flushJumpsOf(bank: number, keepGlobal: boolean): void {
    const { Bank } = S, i32 = this.i32;
    this.#dropList(bank, Bank.JC_LIST, Bank.JC_COUNT, S.JC_STATE.LISTED, keepGlobal);
    if (keepGlobal) return;
    this.#dropList(bank, Bank.JC_GLOBALS, Bank.JC_GLOBAL_COUNT, S.JC_STATE.LISTED_GLOBAL, false);
    this.u8.fill(0, bank + Bank.JC_PAGES, bank + Bank.JC_PAGES + S.JC_PAGES_ENTRIES);
    const at = (bank + Bank.JC_MODE) >> 2;
    i32[at] = i32[at + 1] = -1;
    // The code that is running goes on using its own.
    if (bank === this.bank) i32[at + (this.cpl === 3 ? 1 : 0)] = this.#jumpMode;
  }

  get #jumpMode(): number {
    return this.i32[S.MODE >> 2] & S.JUMP_MODE;
  }

  /** After a change of mode, privilege or bank: the jump cache may have been filled in another mode. */
  settleJumps(): void {
    const bank = this.bank, at = (bank + S.Bank.JC_MODE + (this.cpl === 3 ? 4 : 0)) >> 2;
    const mode = this.#jumpMode, was = this.i32[at];
    if (was === mode) return;
    if (was !== -1) this.flushJumpsOf(bank, false);
    this.i32[at] = mode;
  }

  #dropList(bank: number, list: number, count: number, listed: number, keepGlobal: boolean): void {
    const i32 = this.i32, u16 = this.u16, at = (bank + list) >> 1;
    const end = at + i32[(bank + count) >> 2];
    for (let k = at; k < end; k++) {
      const n = u16[k], e = (bank + S.Bank.JC + n * S.JC_ENTRY) >> 2, state = i32[e + 3] & ~listed;
      i32[e + 3] = state;
      if (!keepGlobal || !(state & S.JC_STATE.GLOBAL)) this.#emptyJump(n, e);
    }
    i32[(bank + count) >> 2] = 0;
  }

  #emptyJump(n: number, e: number): void {
    this.i32[e] = (n & (S.JC_ENTRIES - 1)) === 0 ? 1 : 0;
    this.i32[e + 1] = 0;
    this.i32[e + 3] &= ~S.JC_STATE.GLOBAL;
  }

  /** Forgets a bank's jumps to code at linear addresses that agree with `lin` in the bits of `mask`. */
  flushJumps(bank: number, lin: number, mask: number): void {
    const { Bank } = S, i32 = this.i32, u16 = this.u16;
    const page = bank + Bank.JC_PAGES + ((lin >>> 12) & (S.JC_PAGES_ENTRIES - 1));
    if (mask === ~0xfff && this.u8[page] === 0) return;
    let others = 0;
    const modes = (bank + Bank.JC_MODE) >> 2;
    // Where the linear address is in an entry of the supervisor's, and of the user's.
    const half = (i32[modes] & Mode.CODE_MASK) === 2 ? 0 : 1;
    const userHalf = (i32[modes + 1] & Mode.CODE_MASK) === 2 ? 0 : 1;
    for (const [list, count] of JUMP_LISTS) {
      const at = (bank + list) >> 1, end = at + i32[(bank + count) >> 2];
      for (let k = at; k < end; k++) {
        const n = u16[k], e = (bank + Bank.JC + n * S.JC_ENTRY) >> 2;
        const differs = i32[e + (n < S.JC_ENTRIES ? half : userHalf)] ^ lin;
        if ((differs & mask) === 0) this.#emptyJump(n, e);
        else if (((differs >>> 12) & (S.JC_PAGES_ENTRIES - 1)) === 0) others = 1;
      }
    }
    if (mask === ~0xfff) this.u8[page] = others;
  }

  // ---- segments

  segBase(n: number): bigint {
    return this.get64(S.SEGS + S.SEG_SIZE * n + S.SEG_BASE);
  }
  /** Low 32 bits of the base, unsigned. */
  segBase32(n: number): number {
    return this.i32[(S.SEGS + S.SEG_SIZE * n + S.SEG_BASE) >> 2] >>> 0;
  }
  segBaseIs0(n: number): boolean {
    const at = (S.SEGS + S.SEG_SIZE * n + S.SEG_BASE) >> 2;
    return this.i32[at] === 0 && this.i32[at + 1] === 0;
  }
  segLimit(n: number): number {
    return this.i32[(S.SEGS + S.SEG_SIZE * n + S.SEG_LIMIT) >> 2] >>> 0;
  }
  attr(n: number): number {
    return this.i32[(S.SEGS + S.SEG_SIZE * n + S.SEG_ATTR) >> 2];
  }
  selector(n: number): number {
    return this.i32[(S.SEGS + S.SEG_SIZE * n + S.SEG_SELECTOR) >> 2] & 0xffff;
  }

  /** Base 0, full limit, readable and writable. */
  isFlat(n: number): boolean {
    // The upper bounds have 32 bits.
    const i32 = this.i32, at = (S.SEGS + S.SEG_SIZE * n) >> 2;
    return i32[at + (S.SEG_WHI >> 2)] === -1 && i32[at + (S.SEG_RHI >> 2)] === -1 &&
      i32[at + (S.SEG_LIMIT >> 2)] === -1 && i32[at] === 0 && i32[at + 1] === 0;
  }

  /**
   * Fills a segment cache and what derives from it. The descriptor has been checked.
   * @param limit in bytes, unsigned
   * @param attr {@link Attr} bits
   */
  setSegment(
    n: number,
    selector: number,
    base: bigint | number,
    limit: number,
    attr: number,
  ): void {
    const at = S.SEGS + S.SEG_SIZE * n;
    if (typeof base === "bigint") this.set64(at + S.SEG_BASE, base);
    else {
      this.i32[(at + S.SEG_BASE) >> 2] = base;
      this.i32[((at + S.SEG_BASE) >> 2) + 1] = 0;
    }
    this.set32(at + S.SEG_LIMIT, limit | 0);
    this.set32(at + S.SEG_ATTR, attr);
    this.set32(at + S.SEG_SELECTOR, selector);
    let lo = 1, hi = 0;
    if (!(attr & Attr.UNUSABLE) && attr & Attr.P && attr & Attr.S) {
      const expandDown = (attr & 0xc) === 4;
      lo = expandDown ? (limit >>> 0) + 1 : 0;
      hi = expandDown ? (attr & Attr.DB ? 0xffffffff : 0xffff) : limit >>> 0;
    }
    // Real mode does not look at the type: writing through CS is allowed.
    const real = !(this.cr0 & 1), code = (attr & 8) !== 0;
    const readable = real || !code || (attr & 2) !== 0;
    const writable = real || (!code && (attr & 2) !== 0);
    this.#setBound(at + S.SEG_RLO, readable ? lo : 1);
    this.#setBound(at + S.SEG_RHI, readable ? hi : 0);
    this.#setBound(at + S.SEG_WLO, writable ? lo : 1);
    this.#setBound(at + S.SEG_WHI, writable ? hi : 0);
    if (n === Seg.CS) {
      // Jump caches are tagged with linear address and IP; the limit is what they cannot see.
      this.flushJumpCachesIfLimited(limit);
    }
    if (n <= Seg.DS) this.updateMode();
  }

  /** Recomputes what segment caches derive from CR0.PE. */
  refreshSegments(): void {
    for (let n = 0; n < 6; n++) {
      this.setSegment(n, this.selector(n), this.segBase(n), this.segLimit(n), this.attr(n));
    }
  }

  #lastLimit = -1;
  flushJumpCachesIfLimited(limit: number): void {
    if (limit === this.#lastLimit) return;
    this.#lastLimit = limit;
    this.flushJumpCaches(true);
  }

  /** Loads a segment as real mode does: base is selector × 16; limit and attributes stay. */
  setSegmentReal(n: number, selector: number): void {
    this.setSegment(n, selector, selector << 4, this.segLimit(n), realAttr(this.attr(n)));
  }
  /** Loads a segment as virtual-8086 mode does. */
  setSegmentVm86(n: number, selector: number): void {
    this.setSegment(n, selector, selector << 4, 0xffff, Attr.P | Attr.S | Attr.DPL | 3);
  }

  // ---- flags

  /** RFLAGS as PUSHF sees it, without the RF and VM masking of PUSHF. */
  get flags(): number {
    const aux = this.i32[S.FLAG_AUX >> 2], at = S.FLAG_RES >> 2;
    const lo = this.i32[at], hi = this.i32[at + 1];
    let p = (lo ^ (aux >>> 8)) & 0xff;
    p ^= p >> 4;
    const pf = (0x9669 >> (p & 15)) & 1;
    return (aux >>> 31) | 2 | (pf << 2) | ((aux << 1) & Fl.AF) | ((lo | hi) === 0 ? Fl.ZF : 0) |
      ((((hi >>> 31) ^ aux) & 1) << 7) | (((aux ^ (aux << 1)) >>> 31) << 11) |
      this.i32[S.FLAG_SYS >> 2];
  }

  /** Writes the flags selected by `mask`; bit 1 always reads 1. */
  setFlags(value: number, mask = -1): void {
    const v = (this.flags & ~mask) | (value & mask);
    if (mask & FL_ARITH) {
      const zf = (v & Fl.ZF) !== 0;
      // A result of 0 has even parity and no sign; 1 has odd parity.
      const natural = zf ? Fl.PF : 0;
      const pdb = (v & Fl.PF) === natural ? 0 : 1 << 8;
      const cf = v & 1, of = (v >> 11) & 1;
      this.i32[S.FLAG_RES >> 2] = zf ? 0 : 1;
      this.i32[(S.FLAG_RES >> 2) + 1] = 0;
      this.i32[S.FLAG_AUX >> 2] = (cf << 31) | ((cf ^ of) << 30) | ((v & Fl.AF) >> 1) | pdb |
        ((v >> 7) & 1);
    }
    const old = this.i32[S.FLAG_SYS >> 2];
    const sys = v & ~(FL_ARITH | 2) & (this.fetchBreakpoints ? 0x3f7fd5 : 0x3e7fd5);
    this.i32[S.FLAG_SYS >> 2] = sys & ~0x8028;
    if ((old ^ sys) & (Fl.TF | Fl.RF | Fl.VM | Fl.AC)) this.updateMode();
    if (old & ~sys & Fl.AC && this.i32[S.SMAP_PAGES >> 2] !== 0) this.env.mem.closeUserPages();
    if ((old ^ sys) & (Fl.IF | Fl.TF | Fl.VM | Fl.VIF | Fl.VIP)) this.env?.eventsChanged();
  }

  get iopl(): number {
    return (this.i32[S.FLAG_SYS >> 2] >> 12) & 3;
  }

  // ---- faults

  /** Raises an exception for the current instruction. */
  fault(vector: number, error = -1): never {
    throw new GuestFault(vector, error);
  }
  gp(error = 0): never {
    throw new GuestFault(Vec.GP, error);
  }
  ud(): never {
    throw new GuestFault(Vec.UD, -1);
  }
  /** Raises #AC when alignment is checked and `lin` is not a multiple of `align`, a power of two. */
  checkAlignment(lin: Lin, align: number): void {
    if (!(this.mode & Mode.ALIGN)) return;
    if (Number(BigInt.asUintN(16, BigInt(lin))) & (align - 1)) this.fault(Vec.AC, 0);
  }

  // ---- operands of an instruction run by a helper

  /** Effective address of a memory operand: the offset in its segment. */
  ea(m: MemOperand): Lin {
    if (m.addrSize === 64) {
      let a = BigInt.asIntN(64, (BigInt(m.dispHi) << 32n) | BigInt(m.disp >>> 0));
      if (m.base >= 0) a += this.reg64(m.base);
      if (m.index >= 0) a += this.reg64(m.index) << BigInt(m.scale);
      if (m.rip) a += this.nextRip;
      return BigInt.asUintN(64, a);
    }
    let a = m.disp;
    if (m.base >= 0) a += this.i32[2 * m.base];
    if (m.index >= 0) a += this.i32[2 * m.index] << m.scale;
    if (m.rip) a += this.nextLo;
    return m.addrSize === 16 ? a & 0xffff : a >>> 0;
  }

  /** Told when IRET runs: NMIs may come again. Set by the accelerator. */
  onIret: (() => void) | undefined;

  /** Low and high half of {@link nextRip}, signed. Set by the accelerator. */
  nextLo = 0;
  nextHi = 0;
  /** RIP behind the instruction a helper runs for. */
  get nextRip(): bigint {
    return (BigInt(this.nextHi >>> 0) << 32n) | BigInt(this.nextLo >>> 0);
  }

  /**
   * Linear address of `bytes` at `offset` in segment `n`, checked against limit and type.
   * Raises #SS(0) for SS, else #GP(0).
   */
  linear(n: number, offset: Lin, bytes: number, write: boolean): Lin {
    if (this.long) {
      let a = BigInt(offset);
      if (n === Seg.FS || n === Seg.GS) a = BigInt.asUintN(64, a + this.segBase(n));
      const last = BigInt.asUintN(64, a + BigInt(bytes - 1));
      if (!isCanonical(this, a) || !isCanonical(this, last)) {
        this.fault(n === Seg.SS ? Vec.SS : Vec.GP, 0);
      }
      return a;
    }
    const off = Number(offset), at = S.SEGS + S.SEG_SIZE * n;
    const i32 = this.i32, low = (at + (write ? S.SEG_WLO : S.SEG_RLO)) >> 2;
    const high = (at + (write ? S.SEG_WHI : S.SEG_RHI)) >> 2;
    const lo = i32[low + 1] * 0x100000000 + (i32[low] >>> 0), hi = i32[high] >>> 0;
    if (off < lo || off + bytes - 1 > hi) this.fault(n === Seg.SS ? Vec.SS : Vec.GP, 0);
    return (off + i32[(at + S.SEG_BASE) >> 2]) >>> 0;
  }

  /** A segment bound has at most 33 bits. */
  #setBound(at: number, v: number): void {
    this.i32[at >> 2] = v;
    this.i32[(at >> 2) + 1] = v >= 0x100000000 ? 1 : 0;
  }

  /** Reads an operand of up to 64 bits; 64-bit ones as bigint, all unsigned. */
  readOperand(i: Insn, n: number, bits: number = i.operands[n].size): number | bigint {
    const o: Operand = i.operands[n];
    switch (o.kind) {
      case "gpr":
        return bits === 8 ? this.reg8(o.reg, o.high) : this.reg(o.reg, bits);
      case "imm":
        return bits === 64
          ? BigInt.asUintN(64, (BigInt(o.valueHi) << 32n) | BigInt(o.value >>> 0))
          : bits === 32
          ? o.value >>> 0
          : o.value & (bits === 16 ? 0xffff : 0xff);
      case "sreg":
        return this.selector(o.reg);
      case "mem": {
        const lin = this.linear(o.seg, this.ea(o), bits >> 3, false);
        return bits === 64
          ? this.env.mem.read64(lin)
          : this.env.mem.read(lin, (bits >> 3) as 1 | 2 | 4);
      }
      default:
        throw new Error(`operand ${n} of ${i.row.syntax}`);
    }
  }
  /** Operand as an unsigned number of at most 32 bits. */
  readOperand32(i: Insn, n: number, bits?: number): number {
    return Number(this.readOperand(i, n, bits));
  }

  writeOperand(i: Insn, n: number, v: number | bigint, bits: number = i.operands[n].size): void {
    const o: Operand = i.operands[n];
    if (o.kind === "gpr") {
      if (bits === 8) this.setReg8(o.reg, Number(v), o.high);
      else this.setReg(o.reg, bits, v);
    } else if (o.kind === "mem") {
      const lin = this.linear(o.seg, this.ea(o), bits >> 3, true);
      if (bits === 64) this.env.mem.write64(lin, BigInt.asUintN(64, BigInt(v)));
      else this.env.mem.write(lin, (bits >> 3) as 1 | 2 | 4, Number(v));
    } else throw new Error(`operand ${n} of ${i.row.syntax}`);
  }

  // ---- stack

  /** Current stack pointer, unsigned. */
  sp(): Lin {
    return this.reg(4, this.stackBits);
  }
  setSp(v: Lin): void {
    this.setReg(4, this.stackBits, v);
  }
}

function realAttr(attr: number): number {
  return attr & Attr.UNUSABLE ? Attr.P | Attr.S | 3 : attr;
}

/** A helper: runs one instruction in TypeScript. Throws {@link GuestFault} to raise an exception. */
export type Helper = (cpu: Cpu, i: Insn) => void;

const helpers = new Map<string, Helper>();

/** Registers a helper for `Emit.helper(name)`. */
export function defineHelper(name: string, h: Helper): void {
  if (helpers.has(name)) throw new Error(`helper ${name} defined twice`);
  helpers.set(name, h);
}

export function helperOf(name: string): Helper {
  const h = helpers.get(name);
  if (h === undefined) throw new Error(`no helper ${name}`);
  return h;
}
