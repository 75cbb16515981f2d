/** One MMX, SSE or AVX instruction at a time on the software CPU, on the contexts of `simd_native.ts`. */
import { ManualClock } from "../../core/clock.ts";
import { AddressSpace } from "../../core/memory/address_space.ts";
import { GuestMemory } from "../../core/memory/guest_memory.ts";
import { ramRegion } from "../../core/memory/region.ts";
import type { TcgVcpu } from "../../core/tcg/vcpu.ts";
import { tcgMemory, TcgVm } from "../../core/tcg/vm.ts";
import type { Cpu } from "../../core/x86/cpu.ts";
import * as S from "../../core/x86/state.ts";
import { Exit } from "../../core/x86/state.ts";
import { Ctx, DATA_BYTES, Fx, hasAvx512, hostFlags, vectorAt } from "./simd_native.ts";

const CODE = 0x10000, TABLES = 0x8000;
/** Guest address of the data that memory operands point into. */
export const DATA = 0x4000;

const model = {
  name: "test",
  cpuid: () => ({ eax: 0, ebx: 0, ecx: 0, edx: 0 }),
  has: () => true,
};

/** A vCPU with flat segments in 32-bit or 64-bit mode, SSE and AVX enabled and CR4.OSXMMEXCPT set. */
export class SimdBed {
  readonly vm: TcgVm;
  readonly vcpu: TcgVcpu;
  readonly cpu: Cpu;
  readonly ram: Uint8Array<SharedArrayBuffer>;
  /** The host has upper halves of vector registers to compare with. */
  readonly upper = hostFlags().has("avx");
  /** All of the registers of AVX-512 are loaded and compared. */
  wide = false;
  #next = CODE;
  #rec = 0;

  constructor(readonly bits: 32 | 64 = 32) {
    const memory = new GuestMemory(tcgMemory(1) + (4 << 20));
    const mem = new AddressSpace("memory", 2 ** 40, 0xff),
      io = new AddressSpace("I/O", 65536, 0xff);
    const ram = memory.allocBlock("ram", 4 << 20);
    mem.map(ramRegion("ram", ram), 0);
    this.ram = ram.u8;
    this.vm = new TcgVm({ memory, mem, io, clock: new ManualClock() });
    this.vcpu = this.vm.createVcpu({ index: 0, apicId: 0, bsp: true, model }) as TcgVcpu;
    this.cpu = this.vcpu.cpu;
    const long = bits === 64;
    // Identity mapping of the first GiB by a large page.
    ram.view.setUint32(TABLES, TABLES + 0x1003, true);
    ram.view.setUint32(TABLES + 0x1000, 0x83, true);
    const flat = { base: 0n, limit: 0xffffffff, s: 1, dpl: 0, present: 1, avl: 0, g: 1 };
    const data = { ...flat, l: 0, db: 1, unusable: 0, selector: 16, type: 3 };
    this.cpu.set64(S.XCR0, hasAvx512() ? 0xe7n : 7n);
    this.vcpu.setSregs({
      cr3: BigInt(TABLES),
      cr4: long ? 0x40620n : 0x40600n,
      efer: long ? 0x500n : 0n,
      cr0: long ? 0x80000031n : 0x31n,
      cs: { ...data, l: long ? 1 : 0, db: long ? 0 : 1, selector: 8, type: 11 },
      ds: data,
      es: data,
      ss: data,
      fs: data,
      gs: data,
    });
  }

  /** Translates `instruction` followed by UD2, which ends every run. */
  prepare(instruction: Uint8Array): void {
    const at = this.#next;
    this.#next += 32;
    if (this.#next > this.ram.length) throw new Error("too many instructions for one bed");
    this.ram.set([...instruction, 0x0f, 0x0b], at);
    this.cpu.rip = BigInt(at);
    this.vm.current = this.vcpu;
    this.#rec = this.vm.cache.lookup(this.cpu, this.vcpu.mmu).rec;
  }

  /** Runs the prepared instruction once; the vector it raised, or undefined. */
  step(): number | undefined {
    this.vm.enter(this.cpu.base, this.#rec);
    // A helper that ends the block has done all of the instruction.
    if (this.cpu.get32(S.EXIT) === Exit.LOOKUP) return undefined;
    if (this.cpu.get32(S.EXIT) !== Exit.EXCEPTION) throw new Error("unexpected exit");
    return this.cpu.get32(S.EXIT_REC) === this.#rec ? this.cpu.get32(S.EXC_VECTOR) : undefined;
  }

  /** Prepares and runs; the vector raised, or undefined. */
  run(...instruction: number[]): number | undefined {
    this.prepare(Uint8Array.from(instruction));
    return this.step();
  }

  xmm(n: number): [lo: bigint, hi: bigint] {
    const at = S.XMM + S.XMM_SIZE * n;
    return [this.cpu.get64(at), this.cpu.get64(at + 8)];
  }
  setXmm(n: number, lo: bigint, hi: bigint): void {
    this.cpu.set64(S.XMM + S.XMM_SIZE * n, lo);
    this.cpu.set64(S.XMM + S.XMM_SIZE * n + 8, hi);
  }

  /** Loads a context; `pointers` are general registers that address data: their offset in it. */
  load(view: DataView<ArrayBuffer>, pointers: ReadonlyMap<number, number>): void {
    const cpu = this.cpu, v = cpu.view;
    const fsw = view.getUint16(Fx.FSW, true), top = fsw >> 11 & 7;
    cpu.set32(S.FCW, view.getUint16(Fx.FCW, true));
    cpu.set32(S.FSW, fsw & ~0x3800);
    cpu.set32(S.FTOP, top);
    cpu.set32(S.FEMPTY, ~view.getUint8(Fx.FTW) & 0xff);
    cpu.set32(S.MXCSR, view.getUint32(Fx.MXCSR, true));
    for (let i = 0; i < 8; i++) {
      const to = S.FPR + 16 * ((top + i) & 7), from = Fx.ST + 16 * i;
      v.setBigUint64(to, view.getBigUint64(from, true), true);
      v.setUint16(to + 8, view.getUint16(from + 8, true), true);
    }
    for (let i = 0; i < 16; i++) {
      const to = S.XMM + S.XMM_SIZE * i, from = Fx.XMM + 16 * i;
      v.setBigUint64(to, view.getBigUint64(from, true), true);
      v.setBigUint64(to + 8, view.getBigUint64(from + 8, true), true);
      const upper = Fx.YMM + 16 * i;
      v.setBigUint64(to + 16, view.getBigUint64(upper, true), true);
      v.setBigUint64(to + 24, view.getBigUint64(upper + 8, true), true);
    }
    if (this.wide) {
      for (let n = 0; n < 32; n++) {
        for (let q = n < 16 ? 4 : 0; q < 8; q++) {
          const at = S.XMM + S.XMM_SIZE * n + 8 * q;
          v.setBigUint64(at, view.getBigUint64(vectorAt(n, q), true), true);
        }
      }
      for (let n = 0; n < 8; n++) {
        v.setBigUint64(S.K + 8 * n, view.getBigUint64(Fx.K + 8 * n, true), true);
      }
    }
    for (let r = 0; r < 8; r++) {
      if (r === 4) continue;
      const p = pointers.get(r);
      if (p !== undefined) cpu.setReg64(r, BigInt(DATA + p));
      else if (this.bits === 64) cpu.setReg64(r, view.getBigUint64(Ctx.GPR_IN + 8 * r, true));
      else cpu.setReg32(r, view.getUint32(Ctx.GPR_IN + 8 * r, true));
    }
    cpu.setFlags(view.getUint32(Ctx.FLAGS_IN, true) & 0x8d5 | 2);
    for (let i = 0; i < DATA_BYTES; i++) this.ram[DATA + i] = view.getUint8(Ctx.DATA + i);
  }

  /** What differs between the vCPU now and the native outcome, or "" when nothing does. */
  compare(
    view: DataView<ArrayBuffer>,
    pointers: ReadonlyMap<number, number>,
    flagMask = 0x8d5,
  ): string {
    const cpu = this.cpu, v = cpu.view, out: string[] = [];
    const note = (what: string, ours: number | bigint, theirs: number | bigint) => {
      if (ours !== theirs) out.push(`${what} ${ours.toString(16)} not ${theirs.toString(16)}`);
    };
    const top = cpu.get32(S.FTOP);
    note("FSW", cpu.get32(S.FSW) | top << 11, view.getUint16(Ctx.OUT + Fx.FSW, true));
    note("FTW", ~cpu.get32(S.FEMPTY) & 0xff, view.getUint8(Ctx.OUT + Fx.FTW));
    note("MXCSR", cpu.get32(S.MXCSR), view.getUint32(Ctx.OUT + Fx.MXCSR, true));
    for (let i = 0; i < 8; i++) {
      const at = S.FPR + 16 * ((top + i) & 7), from = Ctx.OUT + Fx.ST + 16 * i;
      note(`ST${i}`, v.getBigUint64(at, true), view.getBigUint64(from, true));
      note(`ST${i}.e`, v.getUint16(at + 8, true), view.getUint16(from + 8, true));
    }
    // The host always runs in 64-bit mode.
    for (let i = 0; i < (this.bits === 64 ? 16 : 8); i++) {
      const at = S.XMM + S.XMM_SIZE * i, from = Ctx.OUT + Fx.XMM + 16 * i;
      note(`X${i}.lo`, v.getBigUint64(at, true), view.getBigUint64(from, true));
      note(`X${i}.hi`, v.getBigUint64(at + 8, true), view.getBigUint64(from + 8, true));
      if (!this.upper) continue;
      const upper = Ctx.OUT + Fx.YMM + 16 * i;
      note(`Y${i}.lo`, v.getBigUint64(at + 16, true), view.getBigUint64(upper, true));
      note(`Y${i}.hi`, v.getBigUint64(at + 24, true), view.getBigUint64(upper + 8, true));
    }
    if (this.wide) {
      for (let n = 0; n < (this.bits === 64 ? 32 : 8); n++) {
        for (let q = n < 16 ? 4 : 0; q < 8; q++) {
          const ours = v.getBigUint64(S.XMM + S.XMM_SIZE * n + 8 * q, true);
          const theirs = view.getBigUint64(Ctx.OUT + vectorAt(n, q), true);
          if (ours !== theirs) note(`Z${n}.${q}`, ours, theirs);
        }
      }
      for (let n = 0; n < 8; n++) {
        const theirs = view.getBigUint64(Ctx.OUT + Fx.K + 8 * n, true);
        note(`K${n}`, v.getBigUint64(S.K + 8 * n, true), theirs);
      }
    }
    for (let r = 0; r < 8; r++) {
      if (r === 4 || pointers.has(r)) continue;
      const theirs = view.getBigUint64(Ctx.GPR_OUT + 8 * r, true);
      if (this.bits === 64) note(`R${r}`, cpu.reg64(r), theirs);
      else note(`R${r}`, cpu.reg32(r), Number(theirs & 0xffffffffn));
    }
    note("flags", cpu.flags & flagMask, view.getUint32(Ctx.FLAGS_OUT, true) & flagMask);
    for (let i = 0; i < DATA_BYTES; i++) {
      note(`mem+${i}`, this.ram[DATA + i], view.getUint8(Ctx.DATA + i));
    }
    return out.join(", ");
  }
}
