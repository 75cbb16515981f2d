/**
 * A vCPU's memory: the page walk, TLB filling and every access that emitted code cannot make in place
 * (device registers, page crossings, watched code pages, faults). Intel SDM volume 3, chapter 4.
 */
import type { AddressSpace } from "../memory/address_space.ts";
import type { AccessSize } from "../memory/region.ts";
import { type Cpu, GuestFault, type Lin, type LinearMemory } from "../x86/cpu.ts";
import { Seg } from "../x86/insn.ts";
import * as S from "../x86/state.ts";
import { Bank, Mode, Vec } from "../x86/state.ts";
import { debugTrap } from "../x86/debug.ts";
import { RunAlone, type WatchList } from "./debug.ts";
import { ACCESS } from "./lower.ts";
import { Page, type PhysMap } from "./physmap.ts";

/** Page-fault error code bits. */
const PF = { P: 1, W: 2, U: 4, RSVD: 8, I: 16, PK: 32 } as const;

const CR4_PCIDE = 0x20000;

/** The lists of TLB entries in use: of ordinary pages, of global ones. */
const LISTS = [
  [Bank.TLB_LIST, Bank.TLB_COUNT],
  [Bank.TLB_GLOBALS, Bank.TLB_GLOBAL_COUNT],
] as const;

interface Walk {
  phys: number;
  /** Data may be read without another walk. */
  read: boolean;
  write: boolean;
  exec: boolean;
  /** A user page that the supervisor may touch only while AC is set. */
  smap: boolean;
  /** {@link S.TLB_FLAGS} */
  flags: number;
}

export type AccessKind = "read" | "write" | "exec";

/** Told of a write into a page that holds translated code. */
export interface CodeWatcher {
  /** Bytes of storage were changed. */
  invalidate(host: number, length: number): void;
}

export class Mmu implements LinearMemory {
  readonly #space: AddressSpace;
  /** The memory has 64-bit addresses. */
  readonly #far: boolean;
  readonly #u32: Uint32Array;
  readonly #u8: Uint8Array;
  readonly #view: DataView;
  /** The write that is waiting in the bounce buffer. */
  readonly #pending = { phys: 0, phys2: 0, first: 0, bytes: 0 };
  /** Numbers of the supervisor's TLB entries made for user pages while AC overrode SMAP. */
  readonly #userPages: Uint16Array<SharedArrayBuffer>;

  /** Data breakpoints; looked at only while {@link S.WATCHED} says that there are any. */
  watches: WatchList | undefined;
  /**
   * A debug trap can follow what is running now. Otherwise an access that meets a data breakpoint
   * throws {@link RunAlone}.
   */
  alone = true;

  /** Counts device register accesses. */
  onMmio: () => void = () => {};
  /** Told when the mapping of the code that is executing may have changed. */
  onRemap: () => void = () => {};

  constructor(readonly cpu: Cpu, readonly map: PhysMap, readonly code: CodeWatcher) {
    this.#space = map.space;
    this.#far = map.memory.address === "i64";
    this.#u32 = new Uint32Array(map.memory.buffer);
    this.#u8 = map.memory.u8;
    this.#view = map.memory.view;
    this.#userPages = new Uint16Array(
      map.memory.buffer,
      cpu.base + S.SMAP_LIST,
      S.SMAP_LIST_ENTRIES,
    );
    for (let b = S.BANK; b < S.STATE_BYTES; b += Bank.BYTES) {
      for (let n = 0; n < 2 * S.TLB_ENTRIES; n++) {
        const e = (b + n * S.TLB_ENTRY) >> 2;
        cpu.i32[e] = cpu.i32[e + 2] = cpu.i32[e + 4] = -1;
      }
      cpu.i32[(b + Bank.PCID) >> 2] = -1;
    }
    cpu.i32[(S.BANK + Bank.PCID) >> 2] = 0;
  }

  // ---- TLB

  flush(keepGlobal = false): void {
    const cpu = this.cpu, i32 = cpu.i32, bank = cpu.bank;
    this.closeUserPages();
    if (keepGlobal) this.#flushBank(bank, true);
    else {
      for (let b = S.BANK; b < S.STATE_BYTES; b += Bank.BYTES) {
        this.#flushBank(b, false);
        i32[(b + Bank.PCID) >> 2] = -1;
      }
      i32[(bank + Bank.PCID) >> 2] = this.#pcid();
    }
    this.onRemap();
  }

  /** The process-context identifier in CR3. */
  #pcid(): number {
    return this.cpu.cr4 & CR4_PCIDE ? this.cpu.i32[S.CR3 >> 2] & 0xfff : 0;
  }

  switchContext(keep: boolean): void {
    const cpu = this.cpu, i32 = cpu.i32, pcid = this.#pcid();
    let bank = cpu.bank;
    this.closeUserPages();
    if (i32[(bank + Bank.PCID) >> 2] !== pcid) {
      bank = this.#bankOf(pcid);
      if (bank < 0) {
        bank = this.#oldestBank();
        i32[(bank + Bank.PCID) >> 2] = pcid;
        keep = false;
      }
      i32[(bank + Bank.STAMP) >> 2] = ++i32[S.BANK_CLOCK >> 2];
      cpu.setBank(bank);
      cpu.settleJumps();
    }
    if (!keep) this.#flushBank(bank, true);
    this.onRemap();
  }

  /** The bank of a process-context identifier, or -1. */
  #bankOf(pcid: number): number {
    for (let b = S.BANK; b < S.STATE_BYTES; b += Bank.BYTES) {
      if (this.cpu.i32[(b + Bank.PCID) >> 2] === pcid) return b;
    }
    return -1;
  }

  /** A bank that is not in use, or the one that has been left for the longest time. */
  #oldestBank(): number {
    const i32 = this.cpu.i32, now = i32[S.BANK_CLOCK >> 2];
    let oldest = S.BANK, most = -1;
    for (let b = S.BANK; b < S.STATE_BYTES; b += Bank.BYTES) {
      if (i32[(b + Bank.PCID) >> 2] < 0) return b;
      const age = (now - i32[(b + Bank.STAMP) >> 2]) >>> 0;
      if (age > most) {
        most = age;
        oldest = b;
      }
    }
    return oldest;
  }

  flushContext(pcid: number): void {
    const bank = this.#bankOf(pcid);
    if (bank < 0) return;
    const current = bank === this.cpu.bank;
    if (current) this.closeUserPages();
    this.#flushBank(bank, true);
    if (current) this.onRemap();
  }

  flushContexts(): void {
    this.closeUserPages();
    for (let b = S.BANK; b < S.STATE_BYTES; b += Bank.BYTES) {
      if (this.cpu.i32[(b + Bank.PCID) >> 2] >= 0) this.#flushBank(b, true);
    }
    this.onRemap();
  }

  #flushBank(bank: number, keepGlobal: boolean): void {
    this.#flushList(bank, Bank.TLB_LIST, Bank.TLB_COUNT, 1, keepGlobal);
    this.cpu.u8.fill(0, bank + Bank.CHUNKS, bank + Bank.CHUNKS + 128);
    if (!keepGlobal) {
      this.#flushList(bank, Bank.TLB_GLOBALS, Bank.TLB_GLOBAL_COUNT, 2, false);
      this.cpu.u8.fill(0, bank + Bank.GLOBAL_CHUNKS, bank + Bank.GLOBAL_CHUNKS + 128);
      this.cpu.i32[(bank + Bank.HUGE_USED) >> 2] = 0;
    }
    this.cpu.flushJumpsOf(bank, keepGlobal);
  }

  /** Empties the entries that a list names; `bit`: theirs in {@link Bank.TLB_LISTED}. */
  #flushList(bank: number, list: number, count: number, bit: number, keepGlobal: boolean): void {
    const { i32, u16, u8 } = this.cpu, at = (bank + list) >> 1;
    const end = at + i32[(bank + count) >> 2];
    for (let k = at; k < end; k++) {
      const n = u16[k], e = (bank + n * S.TLB_ENTRY) >> 2;
      u8[bank + Bank.TLB_LISTED + n] &= ~bit;
      if (keepGlobal && i32[e + 7] & S.TLB_FLAGS.GLOBAL) continue;
      i32[e] = i32[e + 2] = i32[e + 4] = -1;
      i32[e + 7] = 0;
    }
    i32[(bank + count) >> 2] = 0;
  }

  closeUserPages(): void {
    const i32 = this.cpu.i32, count = i32[S.SMAP_PAGES >> 2], bank = this.cpu.bank;
    for (let k = 0; k < count; k++) {
      const e = (bank + this.#userPages[k] * S.TLB_ENTRY) >> 2;
      i32[e] = i32[e + 2] = -1;
    }
    i32[S.SMAP_PAGES >> 2] = 0;
  }

  flushPage(lin: Lin): void {
    const [lo, hi] = split(lin), cpu = this.cpu, current = cpu.bank;
    const mask = this.#flushPageOf(current, lo, hi, false);
    for (let b = S.BANK; b < S.STATE_BYTES; b += Bank.BYTES) {
      if (b !== current && cpu.i32[(b + Bank.PCID) >> 2] >= 0) this.#flushPageOf(b, lo, hi, true);
    }
    const ip = cpu.i32[S.RIP >> 2] + (cpu.long ? 0 : cpu.segBase32(Seg.CS));
    if (((ip ^ lo) & mask & ~0xfff) === 0 || ((ip - 15 ^ lo) & mask & ~0xfff) === 0) {
      this.onRemap();
    }
  }

  flushContextPage(pcid: number, lin: Lin): void {
    const bank = this.#bankOf(pcid);
    if (bank === this.cpu.bank) this.flushPage(lin);
    else if (bank >= 0) this.#flushPageOf(bank, ...split(lin), false);
  }

  /**
   * Drops a bank's translations of a page; gives the mask of the linear addresses that are concerned.
   * @param globals only those of global pages, as far as that can be told
   */
  #flushPageOf(bank: number, lo: number, hi: number, globals: boolean): number {
    const cpu = this.cpu, i32 = cpu.i32, n = (lo >>> 12) & (S.TLB_ENTRIES - 1);
    this.#drop(bank, n, globals);
    this.#drop(bank, n + S.TLB_ENTRIES, globals);
    let mask = ~0xfff;
    const chunk = chunkOf(lo, hi), word = (chunk >>> 5) << 2;
    const large = i32[(bank + Bank.GLOBAL_CHUNKS + word) >> 2] |
      (globals ? 0 : i32[(bank + Bank.CHUNKS + word) >> 2]);
    if (i32[(bank + Bank.HUGE_USED) >> 2] !== 0) {
      // Which 1 GiB page an entry is of is not kept: all of them go.
      this.#dropLarge(bank, 0, 0);
      mask = 0;
    } else if ((large >>> (chunk & 31)) & 1) this.#dropLarge(bank, lo, mask = ~0x3fffff);
    cpu.flushJumps(bank, lo, mask);
    return mask;
  }

  /** Makes an entry miss; what keeps its place in the list stays. */
  #drop(bank: number, n: number, globals: boolean): void {
    const e = (bank + n * S.TLB_ENTRY) >> 2, i32 = this.cpu.i32;
    if (globals && !(i32[e + 7] & S.TLB_FLAGS.GLOBAL)) return;
    i32[e] = i32[e + 2] = i32[e + 4] = -1;
  }

  /** Drops entries of large pages whose address agrees with `lo` in `mask`; 1 GiB pages for mask 0. */
  #dropLarge(bank: number, lo: number, mask: number): void {
    const { i32, u16 } = this.cpu, kind = S.TLB_FLAGS.HUGE | S.TLB_FLAGS.LARGE;
    for (const [list, count] of LISTS) {
      const at = (bank + list) >> 1, end = at + i32[(bank + count) >> 2];
      for (let k = at; k < end; k++) {
        const n = u16[k], e = (bank + n * S.TLB_ENTRY) >> 2;
        if (i32[e + 7] & kind && ((i32[e] ^ lo) & mask) === 0) this.#drop(bank, n, false);
      }
    }
  }

  /** Takes write permission from TLB entries of a storage page that now holds translated code. */
  watchCode(host: number): void {
    const { i32, u16 } = this.cpu, page = host - (host % 4096);
    for (let bank = S.BANK; bank < S.STATE_BYTES; bank += Bank.BYTES) {
      if (i32[(bank + Bank.PCID) >> 2] < 0) continue;
      for (const [list, count] of LISTS) {
        const at = (bank + list) >> 1, end = at + i32[(bank + count) >> 2];
        for (let k = at; k < end; k++) {
          const e = (bank + u16[k] * S.TLB_ENTRY) >> 2;
          const tag = i32[e + (S.TLB_WRITE >> 2)];
          if (tag & 0xfff) continue;
          if (this.#at(tag, i32[e + (S.TLB_ADDEND >> 2)]) === page) {
            i32[e + (S.TLB_WRITE >> 2)] = tag | S.TLB_CODE;
          }
        }
      }
    }
  }

  /** Notes that entry `n` of the bank in use has got the translation of a page of this kind. */
  #list(bank: number, n: number, lo: number, hi: number, flags: number): void {
    const { i32, u16, u8 } = this.cpu, at = bank + Bank.TLB_LISTED + n;
    const global = (flags & S.TLB_FLAGS.GLOBAL) !== 0, bit = global ? 2 : 1;
    if (!(u8[at] & bit)) {
      const [list, count] = LISTS[global ? 1 : 0];
      u8[at] |= bit;
      u16[((bank + list) >> 1) + i32[(bank + count) >> 2]++] = n;
    }
    if (!(flags & (S.TLB_FLAGS.LARGE | S.TLB_FLAGS.HUGE))) return;
    const chunks = bank + (global ? Bank.GLOBAL_CHUNKS : Bank.CHUNKS);
    const chunk = chunkOf(lo, hi);
    i32[(chunks >> 2) + (chunk >>> 5)] |= 1 << (chunk & 31);
    if (flags & S.TLB_FLAGS.HUGE) i32[(bank + Bank.HUGE_USED) >> 2] = 1;
  }

  /**
   * Makes a TLB entry for an access and returns the physical address, or throws #PF, or #GP(0) when
   * the address is not canonical (the caller knows when that is #SS).
   * `user`: checked with user privilege; `implicit`: AC does not override SMAP.
   */
  #fill(lo: number, hi: number, kind: AccessKind, user: boolean, implicit: boolean): number {
    const cpu = this.cpu;
    if (hi !== 0 && !isCanonical(hi, cpu.cr4)) throw new GuestFault(Vec.GP, 0);
    const w = this.#walk(lo, hi, kind, user, implicit);
    const word = this.map.lookup(w.phys);
    const n = ((lo >>> 12) & (S.TLB_ENTRIES - 1)) + (user ? S.TLB_ENTRIES : 0);
    const bank = cpu.bank, e = (bank + n * S.TLB_ENTRY) >> 2;
    const i32 = cpu.i32, tag = lo & ~0xfff;
    this.#list(bank, n, lo, hi, w.flags);
    const watched = i32[S.WATCHED >> 2] !== 0 && this.watches!.covers(lo, hi);
    const slowExec = word === 0 ? S.TLB_SLOW : 0, slow = watched ? S.TLB_SLOW : slowExec;
    const slowWrite = word & Page.READONLY ? S.TLB_SLOW : word & Page.CODE ? S.TLB_CODE : slow;
    if (w.smap && w.read) {
      const count = i32[S.SMAP_PAGES >> 2];
      if (count < S.SMAP_LIST_ENTRIES) {
        this.#userPages[count] = n;
        i32[S.SMAP_PAGES >> 2] = count + 1;
      } else w.read = w.write = false;
    }
    i32[e] = w.read ? tag | slow : -1;
    i32[e + 2] = w.write ? tag | slowWrite : -1;
    i32[e + 4] = w.exec ? tag | slowExec : -1;
    i32[e + 1] = i32[e + 3] = i32[e + 5] = hi;
    const host = this.map.host(word);
    i32[e + 6] = this.#far ? host / 4096 - (tag >>> 12) : host - tag;
    i32[e + 7] = Math.floor(w.phys / 4096) | w.flags;
    return w.phys;
  }

  /** The storage address that a TLB entry gives for the low half of a linear address. */
  #at(lo: number, addend: number): number {
    return this.#far ? (lo >>> 0) + addend * 4096 : (lo + addend) >>> 0;
  }

  // ---- page walk

  readonly #result: Walk = {
    phys: 0,
    read: false,
    write: false,
    exec: false,
    smap: false,
    flags: 0,
  };

  #fault(lo: number, hi: number, error: number): never {
    this.cpu.view.setUint32(S.CR2, lo, true);
    this.cpu.view.setUint32(S.CR2 + 4, hi, true);
    throw new GuestFault(Vec.PF, error);
  }

  /** Reads a paging-structure word at a physical address. */
  #readPhys32(phys: number): number {
    const w = this.map.lookup(phys);
    return w !== 0 ? this.#u32[(this.map.host(w) + (phys % 4096)) / 4] : this.#space.read(phys, 4);
  }
  #writePhys32(phys: number, v: number): void {
    const w = this.map.lookup(phys);
    if (w === 0 || w & (Page.READONLY | Page.CODE)) this.#space.write(phys, 4, v >>> 0);
    else this.#u32[(this.map.host(w) + (phys % 4096)) / 4] = v;
  }

  #a20(phys: number): number {
    const mask = this.cpu.i32[S.A20_MASK >> 2];
    return mask === -1 ? phys : phys - (phys >>> 0) + ((phys & mask) >>> 0);
  }

  #walk(lo: number, hi: number, kind: AccessKind, user: boolean, implicit: boolean): Walk {
    const cpu = this.cpu, r = this.#result;
    const cr0 = cpu.cr0;
    if (!(cr0 & 0x80000000)) {
      r.phys = this.#a20(lo >>> 0);
      r.read = r.write = r.exec = true;
      r.smap = false;
      r.flags = 0;
      return r;
    }
    const cr4 = cpu.cr4, wp = (cr0 & 0x10000) !== 0;
    const open = !implicit && (cpu.i32[S.FLAG_SYS >> 2] & S.Fl.AC) !== 0;
    const write = kind === "write";
    const nxOn = (cpu.efer & 0x800) !== 0;
    const pae = (cr4 & 0x20) !== 0;
    let error = (write ? PF.W : 0) | (user ? PF.U : 0);
    if (kind === "exec" && ((nxOn && pae) || cr4 & 0x100000)) error |= PF.I;
    let us = true, rw = true, nx = false, key = 0;
    let phys: number, leafAt = 0, leaf = 0, leafSize = 4096;
    const smep = (cr4 & 0x100000) !== 0;

    if (!pae) {
      const pdeAt = this.#a20((cpu.i32[S.CR3 >> 2] & ~0xfff) + ((lo >>> 22) << 2) >>> 0);
      let pde = this.#readPhys32(pdeAt);
      if (!(pde & 1)) this.#fault(lo, hi, error);
      us = (pde & 4) !== 0;
      rw = (pde & 2) !== 0;
      if (pde & 0x80 && cr4 & 0x10) {
        if (pde & 0x200000) this.#fault(lo, hi, error | PF.P | PF.RSVD);
        leafAt = pdeAt;
        leaf = pde;
        leafSize = 0x400000;
        phys = ((pde & 0xffc00000) >>> 0) + ((pde >>> 13) & 0xff) * 0x100000000 +
          (lo & 0x3fffff);
      } else {
        const pteAt = this.#a20(((pde & ~0xfff) + (((lo >>> 12) & 0x3ff) << 2)) >>> 0);
        const pte = this.#readPhys32(pteAt);
        if (!(pte & 1)) this.#fault(lo, hi, error);
        us = us && (pte & 4) !== 0;
        rw = rw && (pte & 2) !== 0;
        leafAt = pteAt;
        leaf = pte;
        phys = ((pte & ~0xfff) >>> 0) + (lo & 0xfff);
        this.#check(lo, hi, kind, user, us, rw, nx, wp, smep, open, error);
        if (!(pde & 0x20)) this.#writePhys32(pdeAt, pde |= 0x20);
      }
    } else {
      // PAE and long mode: 8-byte entries. Tables by (address, index) from the top.
      let table: number, level: number;
      if (cpu.lma) {
        table = (cpu.i32[S.CR3 >> 2] & ~0xfff) >>> 0;
        table += (cpu.i32[(S.CR3 >> 2) + 1] & 0xfffff) * 0x100000000;
        level = cr4 & 0x1000 ? 5 : 4;
      } else {
        // The highest level is in registers, without rights or an accessed bit.
        const at = (S.PDPTE >> 2) + 2 * (lo >>> 30), pdpte = cpu.i32[at];
        if (!(pdpte & 1)) this.#fault(lo, hi, error);
        table = ((pdpte & ~0xfff) >>> 0) + (cpu.i32[at + 1] & 0xff) * 0x100000000;
        level = 2;
      }
      for (;;) {
        const index = level === 5
          ? (hi >>> 16) & 0x1ff
          : level === 4
          ? (hi >>> 7) & 0x1ff
          : level === 3
          ? ((hi << 2) | (lo >>> 30)) & 0x1ff
          : level === 2
          ? (lo >>> 21) & 0x1ff
          : (lo >>> 12) & 0x1ff;
        const at = this.#a20(table + index * 8);
        const elo = this.#readPhys32(at), ehi = this.#readPhys32(at + 4);
        if (!(elo & 1)) this.#fault(lo, hi, error);
        // Bits 62:52 are ignored in long mode and reserved in PAE; physical addresses have 40 bits.
        const reserved = cpu.lma ? 0x000fff00 : 0x7fffff00;
        if (ehi & reserved || (ehi & 0x80000000 && !nxOn)) {
          this.#fault(lo, hi, error | PF.P | PF.RSVD);
        }
        key = (ehi >>> 27) & 15;
        const next = ((elo & ~0xfff) >>> 0) + (ehi & 0xff) * 0x100000000;
        us = us && (elo & 4) !== 0;
        rw = rw && (elo & 2) !== 0;
        nx = nx || (ehi & 0x80000000) !== 0;
        const large = (elo & 0x80) !== 0 &&
          (level === 2 || (level === 3 && cpu.env.model.has("pdpe1gb")));
        if (large || level === 1) {
          leafAt = at;
          leaf = elo;
          leafSize = level === 1 ? 4096 : level === 2 ? 0x200000 : 0x40000000;
          if (level === 3) cpu.i32[S.HUGE_PAGES >> 2] = 1;
          if (large && elo & (leafSize - 1) & ~0x1fff) {
            this.#fault(lo, hi, error | PF.P | PF.RSVD);
          }
          phys = next - (next % leafSize) + ((lo & (leafSize - 1)) >>> 0);
          break;
        }
        // PS where a table must follow: level 4 and 5, and level 3 without 1 GiB pages.
        if (elo & 0x80 && level >= 3) this.#fault(lo, hi, error | PF.P | PF.RSVD);
        if (!(elo & 0x20)) this.#writePhys32(at, elo | 0x20);
        table = next;
        level--;
      }
    }
    // Protection keys are for data in user pages, in long mode.
    const keys = us && cr4 & 0x400000 && cpu.lma ? cpu.i32[S.PKRU >> 2] >>> (2 * key) : 0;
    const noWrite = (keys & 2) !== 0 && (user || wp);
    const denied = kind !== "exec" && (keys & 1 || (write && noWrite));
    if (denied) error |= PF.PK;
    this.#check(lo, hi, kind, user, us, rw, nx, wp, smep, open, error);
    if (denied) this.#fault(lo, hi, error | PF.P);
    const mark = leaf | 0x20 | (write ? 0x40 : 0);
    if (mark !== leaf) this.#writePhys32(leafAt, mark);
    r.flags = (leaf & 0x100 && cr4 & 0x80 ? S.TLB_FLAGS.GLOBAL : 0) |
      (leafSize === 4096 ? 0 : leafSize > 0x400000 ? S.TLB_FLAGS.HUGE : S.TLB_FLAGS.LARGE);
    r.phys = this.#a20(phys);
    // Until a first write sets the dirty bit, writes keep coming to the slow path.
    r.smap = !user && us && (cr4 & 0x200000) !== 0;
    r.read = !(keys & 1) && !(r.smap && !open);
    r.write = (mark & 0x40) !== 0 && (rw || (!user && !wp)) && r.read && !noWrite;
    r.exec = !nx && !(smep && !user && us);
    return r;
  }

  #check(
    lo: number,
    hi: number,
    kind: AccessKind,
    user: boolean,
    us: boolean,
    rw: boolean,
    nx: boolean,
    wp: boolean,
    smep: boolean,
    open: boolean,
    error: number,
  ): void {
    if (user && !us) this.#fault(lo, hi, error | PF.P);
    if (kind === "write" && !rw && (user || wp)) this.#fault(lo, hi, error | PF.P);
    if (kind === "exec" && (nx || (smep && !user && us))) this.#fault(lo, hi, error | PF.P);
    // SMAP: supervisor data accesses to user pages need AC.
    if (!user && us && kind !== "exec" && this.cpu.cr4 & 0x200000 && !open) {
      this.#fault(lo, hi, error | PF.P);
    }
  }

  /**
   * Physical address for an access, filling the TLB; throws #PF.
   * @param implicit to system data: EFLAGS.AC does not override SMAP (SDM volume 3, 4.6.1)
   */
  translate(
    lo: number,
    hi: number,
    kind: AccessKind,
    user: boolean,
    implicit = false,
  ): number {
    if (implicit && this.cpu.i32[S.SMAP_PAGES >> 2] !== 0) this.closeUserPages();
    const e = (this.cpu.bank + (user ? S.TLB_BYTES : 0) +
      ((lo >>> 12) & (S.TLB_ENTRIES - 1)) * S.TLB_ENTRY) >> 2;
    const i32 = this.cpu.i32;
    const t = e + (kind === "read" ? 0 : kind === "write" ? 2 : 4);
    if (
      (i32[t] & ~(S.TLB_CODE | S.TLB_SLOW)) === (lo & ~0xfff) &&
      (!this.cpu.lma || i32[t + 1] === hi)
    ) return (i32[e + 7] & S.TLB_PAGE_MASK) * 4096 + (lo & 0xfff);
    return this.#fill(lo, hi, kind, user, implicit);
  }

  /** Whether the page that the current privilege executes at a linear address is global. */
  isGlobal(lo: number): boolean {
    const e = (this.cpu.bank + (this.cpu.cpl === 3 ? S.TLB_BYTES : 0) +
      ((lo >>> 12) & (S.TLB_ENTRIES - 1)) * S.TLB_ENTRY) >> 2;
    const i32 = this.cpu.i32;
    return i32[e + (S.TLB_EXEC >> 2)] === (lo & ~0xfff) &&
      (i32[e + 7] & S.TLB_FLAGS.GLOBAL) !== 0;
  }

  /** Translation without side effects or privilege checks; undefined when not mapped. */
  peek(lin: bigint): number | undefined {
    const cpu = this.cpu, lo = Number(BigInt.asIntN(32, lin));
    if (!(cpu.cr0 & 0x80000000)) return this.#a20(lo >>> 0);
    const read = (p: number) => this.#readPhys32(this.#a20(p));
    if (!(cpu.cr4 & 0x20)) {
      const pde = read(((cpu.i32[S.CR3 >> 2] & ~0xfff) + ((lo >>> 22) << 2)) >>> 0);
      if (!(pde & 1)) return undefined;
      if (pde & 0x80 && cpu.cr4 & 0x10) {
        return ((pde & 0xffc00000) >>> 0) + ((pde >>> 13) & 0xff) * 0x100000000 + (lo & 0x3fffff);
      }
      const pte = read(((pde & ~0xfff) + (((lo >>> 12) & 0x3ff) << 2)) >>> 0);
      return pte & 1 ? ((pte & ~0xfff) >>> 0) + (lo & 0xfff) : undefined;
    }
    let level = cpu.lma ? (cpu.cr4 & 0x1000 ? 5 : 4) : 2;
    let table = Number(cpu.cr3 & 0xffffffffff000n);
    if (!cpu.lma) {
      const at = (S.PDPTE >> 2) + 2 * (lo >>> 30);
      if (!(cpu.i32[at] & 1)) return undefined;
      table = ((cpu.i32[at] & ~0xfff) >>> 0) + (cpu.i32[at + 1] & 0xff) * 0x100000000;
    }
    for (;; level--) {
      const shift = 12 + 9 * (level - 1);
      const index = Number((BigInt.asUintN(64, lin) >> BigInt(shift)) & 0x1ffn);
      const elo = read(table + index * 8), ehi = read(table + index * 8 + 4);
      if (!(elo & 1)) return undefined;
      const next = ((elo & ~0xfff) >>> 0) + (ehi & 0xfffff) * 0x100000000;
      const large = (elo & 0x80) !== 0 && (level === 2 || level === 3);
      if (level === 1 || large) {
        const size = 2 ** shift;
        return next - (next % size) + Number(BigInt.asUintN(shift, lin));
      }
      table = next;
    }
  }

  // ---- slow path of emitted code

  /**
   * Host address for an access of emitted code: in place when it can be, else the bounce buffer,
   * filled when the access reads. Throws {@link GuestFault}.
   */
  probe(lo: number, hi: number, access: number): number {
    const bytes = access & 0xff;
    const user = this.cpu.cpl === 3 && !(access & ACCESS.SYSTEM);
    const write = (access & ACCESS.WRITE) !== 0;
    // Privileged writes are of stack frames too, and descriptors are read before they are written.
    const implicit = !write && (access & ACCESS.SYSTEM) !== 0;
    const kind: AccessKind = write ? "write" : "read";
    const inPage = 4096 - (lo & 0xfff);
    const p = this.#pending;
    const watched = this.cpu.i32[S.WATCHED >> 2] !== 0 && this.#watch(lo, hi, access, kind, user);
    if (bytes <= inPage) {
      const phys = this.translate(lo, hi, kind, user, implicit);
      const word = this.map.lookup(phys), host = this.map.host(word) + (lo & 0xfff);
      if (word !== 0 && !watched && !(write && word & Page.READONLY)) {
        if (!(write && word & Page.CODE)) return host;
        if (!(access & ACCESS.RUN) && !this.map.codeIn(host, bytes)) return host;
      }
      p.phys = phys;
      p.first = bytes;
    } else {
      const next = (lo & ~0xfff) + 4096 | 0;
      const hi2 = next === 0 && this.cpu.long ? hi + 1 | 0 : hi;
      // Both ends must be canonical before either is translated.
      if (hi2 !== hi && !isCanonical(hi2, this.cpu.cr4)) throw new GuestFault(Vec.GP, 0);
      const phys = this.translate(lo, hi, kind, user, implicit);
      p.phys2 = this.translate(next, hi2, kind, user, implicit);
      p.phys = phys;
      p.first = inPage;
    }
    p.bytes = bytes;
    this.cpu.i32[S.BOUNCE_TO >> 2] = 0;
    const at = this.cpu.base + S.BOUNCE;
    if (access & ACCESS.READ) {
      this.#readPhys(p.phys, at, p.first);
      if (p.first < bytes) this.#readPhys(p.phys2, at + p.first, bytes - p.first);
    }
    return at;
  }

  /**
   * Looks for data breakpoints of an access, after its faults. True when its page has any, and must
   * not be accessed in place.
   */
  #watch(lo: number, hi: number, access: number, kind: AccessKind, user: boolean): boolean {
    const bytes = access & 0xff, write = kind === "write";
    this.translate(lo, hi, kind, user);
    if (bytes > 4096 - (lo & 0xfff)) {
      const next = (lo & ~0xfff) + 4096 | 0;
      this.translate(next, next === 0 && this.cpu.long ? hi + 1 : hi, kind, user);
    }
    const hits = this.watches!.hits(lo, hi, bytes, write);
    if (hits !== 0) {
      if (!this.alone) throw RunAlone.instance;
      debugTrap(this.cpu, hits);
    }
    return this.watches!.covers(lo, hi);
  }

  /** Carries out the write in the bounce buffer. */
  commit(): void {
    const p = this.#pending, at = this.cpu.base + S.BOUNCE;
    this.#writePhys(p.phys, at, p.first);
    if (p.first < p.bytes) this.#writePhys(p.phys2, at + p.first, p.bytes - p.first);
  }

  /** Copies from a physical address that does not cross a page into the shared memory at `to`. */
  #readPhys(phys: number, to: number, n: number): void {
    const word = this.map.lookup(phys);
    if (word !== 0) {
      const from = this.map.host(word) + (phys % 4096);
      this.#u8.copyWithin(to, from, from + n);
      return;
    }
    this.onMmio();
    for (let i = 0; i < n;) {
      const size = sizeFor(n - i);
      const v = this.#space.read(phys + i, size);
      if (size === 4) this.#view.setUint32(to + i, v, true);
      else if (size === 2) this.#view.setUint16(to + i, v, true);
      else this.#u8[to + i] = v;
      i += size;
    }
  }

  #writePhys(phys: number, from: number, n: number): void {
    const word = this.map.lookup(phys);
    if (word !== 0 && !(word & Page.READONLY)) {
      const to = this.map.host(word) + (phys % 4096);
      this.#u8.copyWithin(to, from, from + n);
      if (word & Page.CODE && this.map.codeIn(to, n)) this.code.invalidate(to, n);
      return;
    }
    if (word === 0) this.onMmio();
    for (let i = 0; i < n;) {
      const size = sizeFor(n - i);
      const v = size === 4
        ? this.#view.getUint32(from + i, true)
        : size === 2
        ? this.#view.getUint16(from + i, true)
        : this.#u8[from + i];
      this.#space.write(phys + i, size, v);
      i += size;
    }
  }

  // ---- accesses of helpers

  read(lin: Lin, bytes: 1 | 2 | 4, system = false): number {
    const at = this.#host(lin, bytes, ACCESS.READ, system);
    if (bytes === 1) return this.#u8[at];
    if (bytes === 2) return this.#view.getUint16(at, true);
    return at & 3 ? this.#view.getUint32(at, true) : this.#u32[at / 4];
  }
  write(lin: Lin, bytes: 1 | 2 | 4, value: number, system = false): void {
    const at = this.#host(lin, bytes, ACCESS.WRITE, system);
    if (bytes === 1) this.#u8[at] = value;
    else if (bytes === 2) this.#view.setUint16(at, value, true);
    else if (at & 3) this.#view.setUint32(at, value, true);
    else this.#u32[at / 4] = value;
    if (at === this.cpu.base + S.BOUNCE) this.commit();
  }
  read64(lin: Lin, system = false): bigint {
    return this.#view.getBigUint64(this.#host(lin, 8, ACCESS.READ, system), true);
  }
  write64(lin: Lin, value: bigint, system = false): void {
    const at = this.#host(lin, 8, ACCESS.WRITE, system);
    this.#view.setBigUint64(at, value, true);
    if (at === this.cpu.base + S.BOUNCE) this.commit();
  }
  checkWrite(lin: Lin, bytes: number, system = false): void {
    this.#check2(lin, bytes, "write", system);
  }
  checkRead(lin: Lin, bytes: number, system = false): void {
    this.#check2(lin, bytes, "read", system);
  }
  #check2(lin: Lin, bytes: number, kind: AccessKind, system: boolean): void {
    const user = this.cpu.cpl === 3 && !system;
    const [lo, hi] = split(lin);
    const implicit = system && kind === "read";
    this.translate(lo, hi, kind, user, implicit);
    const last = split(typeof lin === "bigint" ? lin + BigInt(bytes - 1) : lin + bytes - 1);
    if ((last[0] ^ lo) & ~0xfff) this.translate(last[0] & ~0xfff, last[1], kind, user, implicit);
  }
  /** Storage address of an access, or the bounce buffer: what emitted code does inline, then `probe`. */
  #host(lin: Lin, bytes: number, access: number, system: boolean): number {
    let lo: number, hi = 0;
    if (typeof lin === "number") lo = lin | 0;
    else {
      lo = Number(BigInt.asIntN(32, lin));
      hi = Number(BigInt.asIntN(32, lin >> 32n));
    }
    const cpu = this.cpu, i32 = cpu.i32;
    if (cpu.mode & Mode.ALIGN && lo & (bytes - 1) && !system) throw new GuestFault(Vec.AC, 0);
    if (system && i32[S.SMAP_PAGES >> 2] !== 0) {
      return this.probe(lo, hi, bytes | access | ACCESS.SYSTEM);
    }
    const e = (cpu.bank + (cpu.cpl === 3 && !system ? S.TLB_BYTES : 0) +
      ((lo >>> 12) & (S.TLB_ENTRIES - 1)) * S.TLB_ENTRY) >> 2;
    const t = e + (access & ACCESS.WRITE ? S.TLB_WRITE >> 2 : 0);
    if (i32[t] === ((lo + bytes - 1) & ~0xfff) && (i32[t + 1] === hi || !cpu.lma)) {
      return this.#at(lo, i32[e + (S.TLB_ADDEND >> 2)]);
    }
    return this.probe(lo, hi, bytes | access | (system ? ACCESS.SYSTEM : 0));
  }
}

function sizeFor(n: number): AccessSize {
  return n >= 4 ? 4 : n >= 2 ? 2 : 1;
}

/** Whether the upper half of a linear address repeats the highest bit that paging uses. */
function isCanonical(hi: number, cr4: number): boolean {
  const shift = cr4 & 0x1000 ? 24 : 15;
  return hi >> shift === hi >> 31;
}

/** Which bit of {@link Bank.CHUNKS} is an address's. */
function chunkOf(lo: number, hi: number): number {
  return ((lo >>> 22) ^ hi) & 1023;
}

/** Low and high half of a linear address, signed. */
function split(lin: Lin): [number, number] {
  if (typeof lin === "number") return [lin | 0, 0];
  return [Number(BigInt.asIntN(32, lin)), Number(BigInt.asIntN(32, lin >> 32n))];
}
