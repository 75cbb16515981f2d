/** Finds the code that is worth a region: looks from time to time at where a vCPU is. */
import { type Cpu, GuestFault } from "../x86/cpu.ts";
import type { Mmu } from "./mmu.ts";
import type { TcgVm } from "./vm.ts";

/** Samples at the same address that make the code there worth a region. */
const HOT = 2;
/** How many times rarer than at first samples are taken when they find nothing new. */
const RAREST = 32;

/** The samples of one vCPU. */
export class Sampler {
  /** The vCPU's count of instructions at which the next sample is due. */
  due = 0;
  /** Instructions between two samples. */
  #period = 1;

  constructor(readonly cpu: Cpu, readonly mmu: Mmu, readonly vm: TcgVm) {}

  /** A sample of where the vCPU is after so many instructions: a block met again and again is hot. */
  sample(instructions: number): void {
    const { cpu, vm } = this;
    try {
      const block = vm.cache.lookup(cpu, this.mmu);
      // Code that stays in tier 0 is worth looking at more often.
      const grown = this.#period + (this.#period >> 3) + 1, period = vm.samplePeriod;
      this.#period = block.tried
        ? Math.min(grown, RAREST * period)
        : Math.max(this.#period - (this.#period >> 2), Math.min(grown, period));
      this.due = instructions + this.#period;
      if (block.tried) return;
      block.samples = (block.samples ?? 0) + 1;
      if (block.samples < HOT) return;
      block.tried = vm.compiler.request(cpu, block);
      this.#period = vm.samplePeriod;
      this.due = instructions + this.#period;
    } catch (e) {
      // The fault happens when the code is executed, if it is.
      if (!(e instanceof GuestFault)) throw e;
    }
  }
}
