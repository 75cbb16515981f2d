/** One x87 instruction at a time on the software CPU, on the same cases as `x87_native.ts`. */
import { ManualClock } from "../../core/clock.ts";
import { AddressSpace } from "../../core/memory/address_space.ts";
import { GuestMemory } from "../../core/memory/guest_memory.ts";
import { ramRegion } from "../../core/memory/region.ts";
import type { TcgVcpu } from "../../core/tcg/vcpu.ts";
import { tcgMemory, TcgVm } from "../../core/tcg/vm.ts";
import type { Cpu } from "../../core/x86/cpu.ts";
import { settleFop } from "../../core/x86/helpers/x87.ts";
import { setStatusWord, statusWord } from "../../core/x86/helpers/x87_env.ts";
import { Sw } from "../../core/x86/semantics/softfloat.ts";
import * as S from "../../core/x86/state.ts";
import { Exit, Vec } from "../../core/x86/state.ts";
import { Case, MEMORY_BYTES } from "./x87_native.ts";

const CODE = 0x1000, OPERAND = 0x80000;

const model = {
  name: "test",
  cpuid: () => ({ eax: 0, ebx: 0, ecx: 0, edx: 0 }),
  has: () => true,
};

/** Where the host's instruction and operand are, for FIP and FDP. */
export interface HostPointers {
  readonly ip: bigint;
  readonly operand: bigint;
}

/** A vCPU in flat 32-bit protected mode with CR0.NE, 1 MiB of RAM and SSE enabled. */
export class X87Bed {
  readonly vm: TcgVm;
  readonly vcpu: TcgVcpu;
  readonly cpu: Cpu;
  readonly ram: Uint8Array;
  #next = CODE;
  #rec = 0;

  constructor() {
    const memory = new GuestMemory(tcgMemory(1) + (4 << 20));
    const mem = new AddressSpace("memory", 2 ** 40, 0xff),
      io = new AddressSpace("I/O", 65536, 0xff);
    const ram = memory.allocBlock("ram", 1 << 20);
    mem.map(ramRegion("ram", ram), 0);
    this.ram = ram.u8;
    this.vm = new TcgVm({ memory, mem, io, clock: new ManualClock() });
    this.vcpu = this.vm.createVcpu({ index: 0, apicId: 0, bsp: true, model }) as TcgVcpu;
    this.cpu = this.vcpu.cpu;
    const flat = { base: 0n, limit: 0xffffffff, s: 1, dpl: 0, present: 1, avl: 0, l: 0, db: 1 };
    const seg = (selector: number, type: number) => ({
      ...flat,
      g: 1,
      unusable: 0,
      selector,
      type,
    });
    const data = seg(16, 3);
    this.vcpu.setSregs({
      cr0: 0x31n,
      cr4: 0x200n,
      cs: seg(8, 11),
      ds: data,
      es: data,
      ss: data,
      fs: data,
      gs: data,
    });
    this.cpu.setReg32(2, OPERAND);
  }

  /** Translates `instruction` followed by UD2, which ends every run. */
  prepare(instruction: readonly number[]): void {
    const at = this.#next;
    this.#next += 32;
    this.ram.set([...instruction, 0x0f, 0x0b], at);
    this.cpu.rip = BigInt(at);
    this.vm.current = this.vcpu;
    this.#rec = this.vm.cache.lookup(this.cpu, this.vcpu.mmu).rec;
  }
  /** Address of the prepared instruction. */
  get ip(): bigint {
    return this.vm.memory.view.getBigUint64(this.#rec + 16, true);
  }

  /** Runs the prepared instruction once; the vector it raised, or undefined. */
  step(): number | undefined {
    this.vm.enter(this.cpu.base, this.#rec);
    if (this.cpu.get32(S.EXIT) !== Exit.EXCEPTION) throw new Error("unexpected exit");
    const vector = this.cpu.get32(S.EXC_VECTOR);
    return vector === Vec.UD ? undefined : vector;
  }

  /** Loads the case at `at` of a batch into the vCPU. */
  load(u8: Uint8Array, view: DataView, at: number): void {
    const cpu = this.cpu;
    cpu.set32(S.FCW, view.getUint16(at, true));
    setStatusWord(cpu, view.getUint16(at + 2, true));
    cpu.set32(S.FEMPTY, ~u8[at + 4] & 0xff);
    cpu.set32(S.FOP, 0);
    cpu.set64(S.FIP, 0n);
    cpu.set64(S.FDP, 0n);
    cpu.set64(S.FCS, 0n);
    const top = cpu.get32(S.FTOP);
    for (let i = 0; i < 8; i++) {
      const to = S.FPR + 16 * ((top + i) & 7), from = at + 32 + 16 * i;
      cpu.set64(to, view.getBigUint64(from, true));
      cpu.view.setUint16(to + 8, view.getUint16(from + 8, true), true);
    }
    cpu.setFlags(Number(view.getBigUint64(at + Case.FLAGS, true)));
    cpu.setReg64(0, view.getBigUint64(at + Case.RAX, true));
    this.ram.set(u8.subarray(at + Case.MEMORY, at + Case.MEMORY + MEMORY_BYTES), OPERAND);
  }

  /** What differs between the vCPU now and the outcome in `view`, or "" when nothing does. */
  compare(view: DataView, at: number, memory: Uint8Array, host?: HostPointers): string {
    const cpu = this.cpu, out = at + Case.OUT, diff: string[] = [];
    const note = (what: string, ours: number | bigint, theirs: number | bigint) => {
      if (ours !== theirs) diff.push(`${what} ${ours.toString(16)} not ${theirs.toString(16)}`);
    };
    note("FCW", cpu.get32(S.FCW), view.getUint16(out, true));
    note("FSW", statusWord(cpu), view.getUint16(out + 2, true));
    note("FTW", ~cpu.get32(S.FEMPTY) & 0xff, view.getUint8(out + 4));
    const fip = cpu.get64(S.FIP);
    note("FIP", host && fip === this.ip ? host.ip : fip, view.getBigUint64(out + 8, true));
    // Newer processors keep opcode and data pointer of unmasked exceptions only.
    if (host && cpu.get32(S.FSW) & Sw.ES && view.getBigUint64(out + 8, true) !== 0n) {
      settleFop(cpu);
      note("FOP", cpu.get32(S.FOP) & 0x7ff, view.getUint16(out + 6, true));
      const fdp = view.getBigUint64(out + 16, true);
      if (fdp !== 0n) note("FDP", cpu.get64(S.FDP) - BigInt(OPERAND) + host.operand, fdp);
    }
    const top = cpu.get32(S.FTOP);
    for (let i = 0; i < 8; i++) {
      const r = S.FPR + 16 * ((top + i) & 7), from = out + 32 + 16 * i;
      const l = cpu.get64(r), h = cpu.view.getUint16(r + 8, true);
      const nl = view.getBigUint64(from, true), nh = view.getUint16(from + 8, true);
      if (l !== nl || h !== nh) {
        diff.push(`ST${i} ${ext(h, l)} not ${ext(nh, nl)}`);
      }
    }
    note("flags", cpu.flags & 0x8d5, Number(view.getBigUint64(at + Case.FLAGS_OUT, true)) & 0x8d5);
    note("RAX", cpu.reg64(0), view.getBigUint64(at + Case.RAX_OUT, true));
    for (let i = 0; i < MEMORY_BYTES; i += 8) {
      const a = new DataView(this.ram.buffer, this.ram.byteOffset + OPERAND + i, 8);
      const b = new DataView(memory.buffer, memory.byteOffset + i, 8);
      note(`mem+${i}`, a.getBigUint64(0, true), b.getBigUint64(0, true));
    }
    return diff.join(", ");
  }
}

export function ext(h: number, l: bigint): string {
  return `${h.toString(16).padStart(4, "0")}:${l.toString(16).padStart(16, "0")}`;
}
