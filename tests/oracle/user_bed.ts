/** User-mode instructions on the software CPU, at the addresses and selectors of `native.ts`. */
import { ManualClock } from "../../core/clock.ts";
import { AddressSpace } from "../../core/memory/address_space.ts";
import { GuestMemory } from "../../core/memory/guest_memory.ts";
import { ramRegion } from "../../core/memory/region.ts";
import type { TcgVcpu } from "../../core/tcg/vcpu.ts";
import { tcgMemory, TcgVm } from "../../core/tcg/vm.ts";
import { type Cpu, GuestFault } from "../../core/x86/cpu.ts";
import * as S from "../../core/x86/state.ts";
import { Exit } from "../../core/x86/state.ts";
import {
  type After,
  type Before,
  CODE,
  CODE_BYTES,
  DATA,
  DATA_BYTES,
  HLT,
  Selector,
} from "./native.ts";

const TABLES = 0x1000, GDT = CODE + CODE_BYTES, TSS = GDT + 0x1000, RAM = GDT + (2 << 20);
/** Offsets of a record's instruction pointer (`Rec.IP`). */
const REC_IP = 16;

const model = {
  name: "test",
  cpuid: () => ({ eax: 0, ebx: 0, ecx: 0, edx: 0 }),
  has: () => true,
};

/** A vCPU at CPL 3 with flat segments in 32-bit or 64-bit mode, under a 64-bit kernel's paging. */
export class UserBed {
  readonly vm: TcgVm;
  readonly vcpu: TcgVcpu;
  readonly cpu: Cpu;
  readonly ram: Uint8Array<SharedArrayBuffer>;
  #bits: 32 | 64 = 64;

  constructor() {
    const memory = new GuestMemory(tcgMemory(1) + (16 << 20));
    const mem = new AddressSpace("memory", 2 ** 40, 0xff),
      io = new AddressSpace("I/O", 65536, 0xff);
    const ram = memory.allocBlock("ram", RAM);
    mem.map(ramRegion("ram", ram), 0);
    this.ram = ram.u8;
    this.ram.fill(HLT, CODE, CODE + CODE_BYTES);
    this.vm = new TcgVm({ memory, mem, io, clock: new ManualClock() });
    this.vcpu = this.vm.createVcpu({ index: 0, apicId: 0, bsp: true, model }) as TcgVcpu;
    this.cpu = this.vcpu.cpu;
    this.cpu.set64(S.XCR0, 0xe7n);
    // What the host has mapped, at the same place.
    const map = (table: number, n: number, entry: number) =>
      ram.view.setUint32(TABLES + 0x1000 * table + 8 * n, entry, true);
    map(0, 0, TABLES + 0x1007);
    map(1, 0, TABLES + 0x2007);
    map(2, 0, TABLES + 0x3007);
    for (let at = DATA; at < DATA + DATA_BYTES; at += 4096) map(3, at >> 12, at | 0x67);
    for (let at = CODE; at < CODE + CODE_BYTES; at += 1 << 21) map(2, at >> 21, at | 0xe7);
    map(2, GDT >> 21, GDT | 0xe3);
    // No I/O permission map.
    ram.view.setUint16(TSS + 0x66, 0xffff, true);
    ram.view.setBigUint64(GDT + 0x20, 0x00cffb000000ffffn, true);
    ram.view.setBigUint64(GDT + 0x28, 0x00cff3000000ffffn, true);
    ram.view.setBigUint64(GDT + 0x30, 0x00affb000000ffffn, true);
    this.enter(64);
  }

  /** Puts the vCPU into a mode, as Linux runs its programs. */
  enter(bits: 32 | 64): void {
    this.#bits = bits;
    const flat = { base: 0n, limit: 0xffffffff, s: 1, dpl: 3, present: 1, avl: 0, g: 1 };
    const data = { ...flat, l: 0, db: 1, unusable: 0, selector: Selector.DATA as number, type: 3 };
    const none = { ...data, base: 0n, limit: 0, selector: 0, unusable: 1, present: 0 };
    const long = bits === 64;
    this.vcpu.setSregs({
      gdt: { base: BigInt(GDT), limit: 0x7f },
      cr3: BigInt(TABLES),
      cr4: 0x50620n,
      // NXE makes page faults tell a fetch.
      efer: 0xd00n,
      cr0: 0x80050033n,
      cs: {
        ...data,
        l: long ? 1 : 0,
        db: long ? 0 : 1,
        selector: long ? Selector.CODE64 : Selector.CODE32,
        type: 11,
      },
      ds: data,
      es: data,
      ss: data,
      tr: { ...data, base: BigInt(TSS), limit: 0x67, s: 0, dpl: 0, type: 11, selector: 0x40 },
      ldt: { ...none, type: 2, s: 0 },
      fs: none,
      gs: none,
    });
  }

  /** Runs what is at `ip` until HLT or a fault. */
  run(ip: number, bits: 32 | 64, before: Before, after: After): void {
    const cpu = this.cpu, vm = this.vm;
    if (
      bits !== this.#bits || cpu.cpl !== 3 || cpu.selector(3) !== Selector.DATA ||
      cpu.selector(1) !== (bits === 64 ? Selector.CODE64 : Selector.CODE32) ||
      cpu.selector(0) !== Selector.DATA || cpu.selector(2) !== Selector.DATA ||
      cpu.selector(5) !== 0
    ) this.enter(bits);
    for (let n = 0; n < 16; n++) cpu.setReg64(n, before.gpr[n]);
    cpu.setFlags(before.flags | 0x202);
    cpu.rip = BigInt(ip);
    vm.current = this.vcpu;
    after.vector = -1;
    after.error = 0;
    for (let n = 0; n < 64 && after.vector < 0; n++) {
      cpu.set32(S.BUDGET, 100000);
      cpu.set32(S.SHADOW, 0);
      try {
        const block = vm.cache.lookup(cpu, this.vcpu.mmu);
        vm.enter(cpu.base, block.rec);
        if (cpu.get32(S.EXIT) !== Exit.EXCEPTION) continue;
        after.vector = cpu.get32(S.EXC_VECTOR);
        after.error = cpu.get32(S.EXC_ERROR);
        cpu.rip = vm.memory.view.getBigUint64(cpu.get32(S.EXIT_REC) + REC_IP, true);
      } catch (e) {
        if (!(e instanceof GuestFault)) throw e;
        after.vector = e.vector;
        after.error = e.error;
      }
    }
    if (after.error < 0) after.error = 0;
    for (let n = 0; n < 16; n++) after.gpr[n] = cpu.reg64(n);
    after.flags = cpu.flags;
    after.rip = cpu.rip;
  }
}
