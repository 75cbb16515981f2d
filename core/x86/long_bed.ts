/**
 * A machine in long mode for tests: page tables, descriptor tables and one HLT per exception, so that
 * a test is some code and a look at the registers and the stack afterwards.
 */
import { Assembler } from "../../firmware/asm/assembler.ts";
import type { CpuModel } from "../accel.ts";
import { ManualClock } from "../clock.ts";
import { AddressSpace } from "../memory/address_space.ts";
import { GuestMemory } from "../memory/guest_memory.ts";
import { ramRegion } from "../memory/region.ts";
import type { TcgVcpu } from "../tcg/vcpu.ts";
import { TcgVm } from "../tcg/vm.ts";
import type { Cpu } from "./cpu.ts";
import * as S from "./state.ts";

/** Physical and, unless a test changes the tables, linear addresses. */
export const At = {
  GDT: 0x500,
  TSS: 0x700,
  LDT: 0x780,
  CODE: 0x1000,
  /** HLTs, one per vector. */
  HANDLERS: 0x3000,
  /** The interrupt table; also where a test may have its own handlers. */
  IDT: 0x4000,
  /** Supervisor stacks: current, of the TSS for ring 0, the first two interrupt stacks. */
  STACK: 0x8000,
  STACK0: 0x9000,
  IST1: 0xa000,
  IST2: 0xb000,
  DATA: 0xc000,
  PML5: 0xf000,
  PML4: 0x10000,
  PDPT: 0x11000,
  PD: 0x12000,
  PT: 0x13000,
  /** From here up to `USER_END` pages are the user's. */
  USER_CODE: 0x40000,
  USER_DATA: 0x50000,
  USER_STACK: 0x60000,
  USER_END: 0x80000,
  RAM: 0x200000,
} as const;

/** Selectors. */
export const Sel = {
  CODE: 0x08,
  DATA: 0x10,
  USER_CODE32: 0x1b,
  USER_DATA: 0x23,
  USER_CODE: 0x2b,
  CODE32: 0x30,
  TSS: 0x40,
  LDT: 0x50,
  GATE: 0x60,
} as const;

const flat = { base: 0n, limit: 0xffffffff, s: 1, dpl: 0, present: 1, avl: 0, g: 1, unusable: 0 };

/** What stopped the code. */
export interface Stop {
  /** Vector of the exception or interrupt, -1 for the code's own HLT, -2 for a triple fault. */
  readonly vector: number;
  /** Of the frame on the stack: error code (when the vector has one), RIP, CS, flags, RSP, SS. */
  readonly error: number;
  readonly rip: bigint;
  readonly cs: number;
  readonly flags: number;
  readonly rsp: bigint;
  readonly ss: number;
  readonly cr2: bigint;
}

const WITH_ERROR = new Set([8, 10, 11, 12, 13, 14, 17]);

export class LongBed {
  readonly vm: TcgVm;
  readonly vcpu: TcgVcpu;
  readonly cpu: Cpu;
  readonly ram: Uint8Array;
  readonly view: DataView;

  /** @param without features that the CPU has not; all others it has */
  constructor(vendor: "GenuineIntel" | "AuthenticAMD" = "GenuineIntel", without: string[] = []) {
    const memory = new GuestMemory(80 << 20);
    const mem = new AddressSpace("memory", 2 ** 40, 0xff),
      io = new AddressSpace("I/O", 65536, 0xff);
    const block = memory.allocBlock("ram", At.RAM);
    mem.map(ramRegion("ram", block), 0);
    this.ram = block.u8;
    this.view = block.view;
    this.vm = new TcgVm({ memory, mem, io, clock: new ManualClock() });
    const none = { eax: 0, ebx: 0, ecx: 0, edx: 0 };
    const model: CpuModel = {
      name: "test",
      cpuid: (leaf) =>
        leaf === 0 ? { ...none, ebx: vendor === "GenuineIntel" ? 0x756e6547 : 0x68747541 } : none,
      has: (f) => !without.includes(f),
    };
    this.vcpu = this.vm.createVcpu({ index: 0, apicId: 0, bsp: true, model }) as TcgVcpu;
    this.cpu = this.vcpu.cpu;
    this.reset();
  }

  /** Long mode at CPL 0 with fresh tables and zeros elsewhere. */
  reset(): void {
    this.vm.memoryChanged();
    this.vcpu.reset();
    this.ram.fill(0);
    const q = (at: number, v: bigint) => this.view.setBigUint64(at, v, true);
    q(At.PML5, BigInt(At.PML4 | 7));
    q(At.PML4, BigInt(At.PDPT | 7));
    // The same memory at 0xffff800000000000.
    q(At.PML4 + 8 * 256, BigInt(At.PDPT | 7));
    q(At.PDPT, BigInt(At.PD | 7));
    q(At.PD, BigInt(At.PT | 7));
    for (let page = 0; page < At.RAM; page += 4096) {
      const user = page >= At.USER_CODE && page < At.USER_END;
      this.map(page, page | (user ? 7 : 3));
    }
    const descriptors = [
      0n,
      0x00af9b000000ffffn,
      0x00cf93000000ffffn,
      0x00cffb000000ffffn,
      0x00cff3000000ffffn,
      0x00affb000000ffffn,
      0x00cf9b000000ffffn,
      0n,
      0x0000890000000067n | BigInt(At.TSS) << 16n,
      0n,
      0x000082000000007fn | BigInt(At.LDT) << 16n,
      0n,
    ];
    descriptors.forEach((d, n) => q(At.GDT + 8 * n, d));
    q(At.TSS + 4, BigInt(At.STACK0));
    q(At.TSS + 0x24, BigInt(At.IST1));
    q(At.TSS + 0x2c, BigInt(At.IST2));
    for (let n = 0; n < 256; n++) {
      this.ram[At.HANDLERS + n] = 0xf4;
      this.gate(n, At.HANDLERS + n);
    }
    const data = { ...flat, l: 0, db: 1, type: 3, selector: Sel.DATA as number };
    this.vcpu.setSregs({
      gdt: { base: BigInt(At.GDT), limit: 0x7f },
      idt: { base: BigInt(At.IDT), limit: 0xfff },
      cr4: 0x6a0n,
      cr3: BigInt(At.PML4),
      efer: 0xd01n,
      cr0: 0x80010033n,
      cs: { ...flat, l: 1, db: 0, type: 11, selector: Sel.CODE },
      ds: data,
      es: data,
      ss: data,
      fs: data,
      gs: data,
      tr: { ...data, base: BigInt(At.TSS), limit: 0x67, s: 0, g: 0, type: 11, selector: Sel.TSS },
      ldt: { ...data, base: BigInt(At.LDT), limit: 0x7f, s: 0, g: 0, type: 2, selector: Sel.LDT },
    });
    this.vcpu.setRegs({ rip: BigInt(At.CODE), rsp: BigInt(At.STACK), rflags: 2n });
    for (let n = 0; n < 16; n++) if (n !== 4) this.cpu.setReg64(n, 0n);
  }

  /** Sets the page table entry of a linear page below 2 MiB. */
  map(page: number, entry: number | bigint): void {
    this.view.setBigUint64(At.PT + (page >> 12) * 8, BigInt(entry), true);
    this.vcpu?.mmu.flush();
  }

  /** A 64-bit interrupt gate. */
  gate(vector: number, target: number | bigint, ist = 0, dpl = 3, type = 14): void {
    const t = BigInt(target), at = At.IDT + 16 * vector;
    const lo = (t & 0xffffn) | (BigInt(Sel.CODE) << 16n) | (BigInt(ist) << 32n) |
      (BigInt(0x80 | (dpl << 5) | type) << 40n) | ((t >> 16n & 0xffffn) << 48n);
    this.view.setBigUint64(at, lo, true);
    this.view.setBigUint64(at + 8, t >> 32n, true);
  }

  /** Assembles at an address. */
  put(
    at: number,
    code: (a: Assembler) => void,
    bits: 16 | 32 | 64 = 64,
  ): ReadonlyMap<string, number> {
    const a = new Assembler(bits, at);
    code(a);
    const { bytes, labels } = a.assemble();
    this.ram.set(bytes, at);
    this.vm.cache.flush();
    return labels;
  }

  /** Runs until a HLT. */
  run(budget = 20000): Stop {
    this.vcpu.mpState = "runnable";
    const exit = this.vcpu.run(budget);
    const cpu = this.cpu, none = { error: 0, cs: 0, flags: 0, rsp: 0n, ss: 0, cr2: 0n };
    if (exit.reason === "shutdown") return { ...none, vector: -2, rip: cpu.rip };
    if (exit.reason !== "hlt") {
      const why = "message" in exit ? exit.message : "";
      throw new Error(`${exit.reason} ${why} at ${cpu.rip.toString(16)}`);
    }
    const vector = Number(cpu.rip) - 1 - At.HANDLERS;
    if (vector < 0 || vector > 255) return { ...none, vector: -1, rip: cpu.rip };
    let at = Number(cpu.reg64(4) & 0xffffffffn);
    const pop = () => this.view.getBigUint64((at += 8) - 8, true);
    const error = WITH_ERROR.has(vector) ? Number(pop()) : 0;
    const rip = pop(), cs = Number(pop()), flags = Number(pop()), rsp = pop(), ss = Number(pop());
    return { vector, error, rip, cs, flags, rsp, ss, cr2: cpu.get64(S.CR2) };
  }

  /** Puts code at {@link At.CODE} and runs it from there. */
  start(code: (a: Assembler) => void): Stop {
    this.put(At.CODE, code);
    this.cpu.rip = BigInt(At.CODE);
    return this.run();
  }

  q(at: number): bigint {
    return this.view.getBigUint64(at, true);
  }
}
