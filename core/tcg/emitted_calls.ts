/** What emitted code calls in TypeScript, and how the faults of these calls leave it. */
import { throughStack } from "../x86/canonical.ts";
import { type Cpu, GuestFault } from "../x86/cpu.ts";
import type { Insn } from "../x86/insn.ts";
import * as S from "../x86/state.ts";
import { Exit, Rec, Vec } from "../x86/state.ts";
import { RunAlone } from "./debug.ts";
import { SOFT_HELPER } from "./lower.ts";
import type { Mmu } from "./mmu.ts";
import type { TcgVm } from "./vm.ts";

/**
 * One vCPU's side of `RuntimeHost`. Nothing thrown passes through emitted code: a call that fails
 * writes the exit to the state, from where the run loop goes on.
 */
export class EmittedCalls {
  /** An error of ours that stops the machine. */
  fatal: string | undefined;
  readonly #words: Int32Array;
  readonly #view: DataView;
  readonly #insns: TcgVm["cache"]["insns"];
  readonly #helpers: TcgVm["shapes"]["helpers"];

  constructor(readonly cpu: Cpu, readonly mmu: Mmu, vm: TcgVm) {
    this.#words = new Int32Array(vm.memory.buffer);
    this.#view = vm.memory.view;
    this.#insns = vm.cache.insns;
    this.#helpers = vm.shapes.helpers;
  }

  /** The host address for an access (see `walker.ts`), or 0 when the instruction must be left. */
  probeSlow(rec: number, lo: number, hi: number, access: number): number {
    try {
      return this.mmu.probe(lo, hi, access);
    } catch (e) {
      const notCanonical = e instanceof GuestFault && e.vector === Vec.GP;
      this.#faulted(notCanonical ? this.#addressFault(rec, lo, hi) : e, rec);
      return 0;
    }
  }

  /** The fault of an access to a non-canonical address. */
  #addressFault(rec: number, lo: number, hi: number): GuestFault {
    const cpu = this.cpu, i = this.#insns.exact(rec);
    const lin = BigInt.asUintN(64, (BigInt(hi) << 32n) | BigInt(lo >>> 0));
    if (i !== undefined) this.#setNext(rec, i.length);
    const stack = i !== undefined && throughStack(cpu, i, lin);
    return new GuestFault(stack ? Vec.SS : Vec.GP, 0);
  }

  /** Carries out the write that is in the bounce buffer. */
  commit(rec: number): void {
    try {
      this.mmu.commit();
    } catch (e) {
      this.#faulted(e, rec);
    }
  }

  /** Runs a helper; non-zero when the instruction must be left. */
  helper(rec: number, id: number): number {
    const cpu = this.cpu, i = this.#insns.get(rec)!;
    if (id & SOFT_HELPER) return this.#helperSoft(rec, id & ~SOFT_HELPER, i);
    this.#setNext(rec, i.length);
    const mode = cpu.mode;
    try {
      this.#helpers[id](cpu, i);
      if (cpu.mode === mode && cpu.get32(S.SHADOW) === 0 && cpu.debugTraps === 0) return 0;
      // The bytes behind may mean something else now, or the next instruction runs alone.
      cpu.rip = cpu.nextRip;
      cpu.set32(S.EXIT, Exit.LOOKUP);
      cpu.set32(S.EXIT_REC, rec);
      return 1;
    } catch (e) {
      this.#faulted(e, rec);
      return 1;
    }
  }

  /** A helper that is all of its instruction: goes on in the block unless the run loop is wanted. */
  #helperSoft(rec: number, id: number, i: Insn): number {
    const cpu = this.cpu, mode = cpu.mode;
    this.#leaveBehind(rec, i.length);
    try {
      this.#helpers[id](cpu, i);
      if (cpu.mode !== mode || cpu.get32(S.KICK) !== 0) return 1;
      return cpu.get32(S.SHADOW) === 0 && cpu.debugTraps === 0 ? 0 : 1;
    } catch (e) {
      this.#faulted(e, rec);
      return 1;
    }
  }

  /** Runs the helper of an instruction that ends its block. */
  helperEnd(rec: number, id: number): void {
    const cpu = this.cpu, i = this.#insns.get(rec)!;
    this.#leaveBehind(rec, i.length);
    try {
      this.#helpers[id](cpu, i);
    } catch (e) {
      this.#faulted(e, rec);
    }
  }

  /** Sets the RIP behind the instruction of a record, for its helper. */
  #setNext(rec: number, length: number): void {
    const cpu = this.cpu, words = this.#words, at = (rec + Rec.IP) >> 2;
    const lo = (words[at] + length) | 0;
    cpu.nextLo = lo;
    const carry = lo >= 0 && words[at] < 0 ? 1 : 0;
    cpu.nextHi = cpu.long ? (words[at + 1] + carry) | 0 : 0;
  }

  /** The same, and makes it where the run loop goes on unless the helper decides otherwise. */
  #leaveBehind(rec: number, length: number): void {
    const i32 = this.cpu.i32;
    this.#setNext(rec, length);
    i32[S.RIP >> 2] = this.cpu.nextLo;
    i32[(S.RIP >> 2) + 1] = this.cpu.nextHi;
    i32[S.EXIT >> 2] = Exit.LOOKUP;
    i32[S.EXIT_REC >> 2] = rec;
  }

  #faulted(e: unknown, rec: number): void {
    const cpu = this.cpu;
    cpu.set32(S.EXIT_REC, rec);
    if (e === RunAlone.instance) {
      cpu.alone = true;
      cpu.rip = this.#view.getBigUint64(rec + Rec.IP, true);
      cpu.set32(S.EXIT, Exit.RETRY);
      return;
    }
    if (e instanceof GuestFault) {
      cpu.set32(S.EXIT, e.here ? Exit.FAULT_HERE : Exit.EXCEPTION);
      cpu.set32(S.EXC_VECTOR, e.vector);
      cpu.set32(S.EXC_ERROR, e.error);
      return;
    }
    // An error of ours: the machine stops, the process lives.
    this.fatal = String((e as Error)?.stack ?? e);
    cpu.rip = this.#view.getBigUint64(rec + Rec.IP, true);
    cpu.set32(S.EXIT, Exit.RETRY);
    cpu.set32(S.KICK, -0x80000000);
  }
}
