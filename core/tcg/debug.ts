/**
 * Breakpoints of a vCPU under the software accelerator: those of the guest's debug registers and those
 * of the gdb stub. Fetch breakpoints end translations at their address; pages with data breakpoints
 * are accessed through the slow path only. Nothing of it costs anything while there are none.
 */
import type { Cpu } from "../x86/cpu.ts";
import { type Breakpoint, breakpoints, type DataBreakpoint } from "../x86/debug.ts";
import { Seg } from "../x86/insn.ts";
import * as S from "../x86/state.ts";
import type { TranslationCache } from "./translate.ts";

/** Thrown by an access that meets a data breakpoint where the trap cannot follow at once. */
export class RunAlone {
  static readonly instance = new RunAlone();
}

interface Watch {
  /** Linear page, low and high half, signed. */
  readonly lo: number;
  readonly hi: number;
  /** Bytes [from, to) of the page. */
  readonly from: number;
  readonly to: number;
  readonly reads: boolean;
  readonly bit: number;
}

/** Data breakpoints, by page. */
export class WatchList {
  #list: readonly Watch[] = [];

  set(data: readonly DataBreakpoint[]): void {
    this.#list = data.map((d) => {
      const from = Number(d.address & 0xfffn);
      return {
        lo: Number(BigInt.asIntN(32, d.address)) & ~0xfff,
        hi: Number(BigInt.asIntN(32, d.address >> 32n)),
        from,
        to: from + d.length,
        reads: d.reads,
        bit: d.bit,
      };
    });
  }

  /** Whether the page of a linear address has any. */
  covers(lo: number, hi: number): boolean {
    for (const w of this.#list) if (w.lo === (lo & ~0xfff) && w.hi === hi) return true;
    return false;
  }

  /** DR6 bits of those that an access of `bytes` meets. */
  hits(lo: number, hi: number, bytes: number, write: boolean): number {
    const at = lo & 0xfff, page = lo & ~0xfff, next = (page + 4096) | 0;
    let bits = 0;
    for (const w of this.#list) {
      if (!write && !w.reads) continue;
      const shift = w.lo === page && w.hi === hi
        ? 0
        : at + bytes > 4096 && w.lo === next && w.hi === (next === 0 ? (hi + 1) | 0 : hi)
        ? 4096
        : -1;
      if (shift >= 0 && at < w.to + shift && w.from + shift < at + bytes) bits |= w.bit;
    }
    return bits;
  }
}

/** Linear address of the next instruction. */
export function linearIp(cpu: Cpu): bigint {
  return cpu.long ? cpu.rip : BigInt.asUintN(32, cpu.rip + cpu.segBase(Seg.CS));
}

export class DebugUnit {
  /** Of the gdb stub. */
  step = false;
  #guest: readonly bigint[] = [];
  #fetch: readonly Breakpoint[] = [];
  #armed: readonly bigint[] = [];
  #pages: readonly bigint[] = [];
  readonly watches = new WatchList();

  constructor(readonly cpu: Cpu, readonly cache: TranslationCache) {}

  /** There are fetch breakpoints. */
  get breaks(): boolean {
    return this.#armed.length !== 0;
  }

  setGuestDebug(d: { step: boolean; breakpoints: readonly bigint[] }): void {
    this.step = d.step;
    this.#guest = d.breakpoints.map((b) => BigInt.asUintN(64, b));
    this.update();
  }

  /** The debug registers, CR4.DE or the stub's breakpoints have changed. */
  update(): void {
    const { cpu } = this, { fetch, data, ports } = breakpoints(cpu);
    cpu.portBreakpoints = ports;
    cpu.fetchBreakpoints = fetch.length !== 0;
    this.#fetch = fetch;
    const armed = [...new Set([...fetch.map((b) => b.address), ...this.#guest])];
    for (const a of armed) if (!this.#armed.includes(a)) this.cache.armBreakpoint(a);
    for (const a of this.#armed) if (!armed.includes(a)) this.cache.disarmBreakpoint(a);
    this.#armed = armed;
    this.watches.set(data);
    cpu.set32(S.WATCHED, data.length);
    const pages = data.map((d) => d.address & ~0xfffn);
    for (const p of new Set([...pages, ...this.#pages])) {
      if (pages.includes(p) !== this.#pages.includes(p)) cpu.env.mem.flushPage(p);
    }
    this.#pages = pages;
  }

  /** Number of the stub's breakpoint at the next instruction; -1 without one. */
  guestBreakpoint(): number {
    return this.#guest.length === 0 ? -1 : this.#guest.indexOf(linearIp(this.cpu));
  }

  /** DR6 bits of the guest's breakpoints at the next instruction. */
  fetchHits(): number {
    if (this.#fetch.length === 0) return 0;
    const lin = linearIp(this.cpu);
    let bits = 0;
    for (const b of this.#fetch) if (b.address === lin) bits |= b.bit;
    return bits;
  }
}
