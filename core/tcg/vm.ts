/** The software accelerator: one translation cache and function table for all vCPUs of a machine. */
import type { Accelerator, FpuErrorLine, Vcpu, VcpuOptions, Vm, VmOptions } from "../accel.ts";
import type { AddressSpace } from "../memory/address_space.ts";
import type { GuestMemory } from "../memory/guest_memory.ts";
import { allSemantics } from "../x86/semantics/all.ts";
import * as S from "../x86/state.ts";
import { PhysMap, physMapBytes } from "./physmap.ts";
import { BlockTable } from "./block_table.ts";
import { buildRuntime, type RuntimeExports, type RuntimeHost } from "./runtime.ts";
import { RegionCompiler } from "./region_compiler.ts";
import { Shapes } from "./shapes.ts";
import { TranslationCache } from "./translate.ts";
import { TcgVcpu } from "./vcpu.ts";

/** Memory for translated records. */
const ARENA_BYTES = 48 << 20;
/** Time-stamp counter frequency in Hz: 1 GHz, so that a tick is a nanosecond. */
export const TSC_HZ = 1_000_000_000;

export class TcgVm implements Vm {
  readonly memory: GuestMemory;
  readonly mem: AddressSpace;
  readonly io: AddressSpace;
  readonly vcpus: TcgVcpu[] = [];
  readonly phys: PhysMap;
  readonly shapes: Shapes;
  readonly cache: TranslationCache;
  readonly enter: RuntimeExports["enter"];
  readonly runtime: RuntimeExports;
  /** The vCPU that is executing. */
  current: TcgVcpu | undefined;
  fpuError: FpuErrorLine | undefined;
  onEvent?: () => void;
  onSmm?: (active: boolean) => void;
  #smram = false;
  /** Compile hot code into regions (tier 1). Set before the guest runs. */
  get regions(): boolean {
    return !this.shapes.specialise;
  }
  set regions(on: boolean) {
    // What a handler for each choice of registers gains is worth its warming up in tier 0 alone.
    this.shapes.specialise = !on;
  }
  /** Instructions between two looks at where a vCPU is, while they find new hot code. */
  samplePeriod = 8191;
  readonly compiler: RegionCompiler;
  /** As `-smp` gives it, for CPUID. */
  topology: Topology = { sockets: 1, cores: 1, threads: 1 };
  #a20 = true;
  readonly #byBase = new Map<number, TcgVcpu>();

  constructor(readonly opts: VmOptions) {
    allSemantics();
    this.memory = opts.memory;
    this.mem = opts.mem;
    this.io = opts.io;
    const pages = this.memory.buffer.byteLength / 65536;
    const limits = { initial: pages, maximum: pages, address: this.memory.address };
    const table = new WebAssembly.Table({ initial: 4096, element: "anyfunc" });
    const host: RuntimeHost = {
      probeSlow: (cpu, rec, lo, hi, access) => this.#of(cpu).calls.probeSlow(rec, lo, hi, access),
      commitSlow: (cpu, rec) => this.#of(cpu).calls.commit(rec),
      helper: (cpu, rec, id) => this.#of(cpu).calls.helper(rec, id),
      helperEnd: (cpu, rec, id) => this.#of(cpu).calls.helperEnd(rec, id),
      hostTsc: () => this.tsc(),
    };
    this.phys = new PhysMap(this.memory, this.mem);
    const blocks = new BlockTable(this.memory);
    const tables = {
      pages: this.phys.offset,
      count: this.phys.pages,
      granules: this.phys.granules,
      blocks: blocks.offset,
    };
    const env: Record<string, WebAssembly.ImportValue> = {
      memory: this.memory.memory,
      table,
      ...host as unknown as Record<string, WebAssembly.ImportValue>,
    };
    const rt = new WebAssembly.Instance(new WebAssembly.Module(buildRuntime(limits, tables)), {
      env,
    })
      .exports as unknown as RuntimeExports;
    for (const [name, f] of Object.entries(rt)) env[name] = f as WebAssembly.ImportValue;
    this.enter = rt.enter;
    this.runtime = rt;
    table.set(1, rt.stale);
    table.set(2, rt.next);
    table.set(3, rt.nextPage);
    table.set(4, rt.nextSingle);
    table.set(5, rt.breakpoint);
    this.shapes = new Shapes(table, limits, env, 8);
    this.cache = new TranslationCache(
      this.memory,
      this.phys,
      this.shapes,
      blocks,
      { stale: 1, next: 2, nextPage: 3, nextSingle: 4, breakpoint: 5 },
      ARENA_BYTES,
    );
    this.compiler = new RegionCompiler(this.cache, this.shapes, limits);
    this.mem.onMapChange(() => {
      this.phys.rebuild();
      for (const v of this.vcpus) v.mmu.flush();
    });
    this.mem.onRamWrite((offset, length) => {
      if (this.phys.codeIn(offset, length)) this.cache.invalidate(offset, length);
    });
  }

  #of(base: number): TcgVcpu {
    const c = this.current;
    return c !== undefined && c.cpu.base === base ? c : this.#byBase.get(base)!;
  }

  /** Shows SMRAM or hides it. */
  showSmram(on: boolean): void {
    if (on === this.#smram) return;
    this.#smram = on;
    this.onSmm?.(on);
  }

  tscKhz = TSC_HZ / 1000;

  /** Time-stamp counter in ticks. */
  tsc(ns = this.opts.clock.now()): number {
    return this.tscKhz === 1e6 ? ns : Math.floor(ns * (this.tscKhz / 1e6));
  }

  /** The time-stamp counters of all vCPUs agree. */
  get tscStable(): boolean {
    const first = this.vcpus[0]?.tscOffset;
    return this.vcpus.every((v) => v.tscOffset === first);
  }

  setRunning(running: boolean): void {
    for (const v of this.vcpus) {
      if (running) v.paravirt.refresh(true);
      else v.interruptSource?.settleEoi?.();
    }
  }

  createVcpu(opts: VcpuOptions): Vcpu {
    const v = new TcgVcpu(this, opts);
    this.vcpus.push(v);
    this.#byBase.set(v.cpu.base, v);
    this.cache.mmus.push(v.mmu);
    v.cpu.set32(S.A20_MASK, this.#a20 ? -1 : ~(1 << 20));
    return v;
  }

  setA20(enabled: boolean): void {
    if (this.#a20 === enabled) return;
    this.#a20 = enabled;
    for (const v of this.vcpus) {
      v.cpu.set32(S.A20_MASK, enabled ? -1 : ~(1 << 20));
      v.mmu.flush();
    }
  }

  memoryChanged(): void {
    this.cache.flush();
    for (const v of this.vcpus) v.mmu.flush();
  }

  close(): void {
    this.compiler.close();
  }
}

/** Sockets, dies of a socket, cores of a die, threads of a core. */
export interface Topology {
  readonly sockets: number;
  readonly dies?: number;
  readonly cores: number;
  readonly threads: number;
}

/** The highest tier to run code on: 0 for threaded code alone, 1 for regions as well. */
export type Tier = 0 | 1;

/**
 * The software accelerator with `-accel tcg,tier=`; without it {@link TcgVm.regions} decides.
 * @param threaded regions are made in a thread of their own
 */
export function tcgAccelerator(tier?: Tier, topology?: Topology, threaded = false): Accelerator {
  return {
    name: "tcg",
    createVm: (opts) => {
      const vm = new TcgVm(opts);
      if (tier !== undefined) vm.regions = tier === 1;
      vm.compiler.threaded = threaded;
      if (topology !== undefined) vm.topology = topology;
      return vm;
    },
  };
}

export const tcg: Accelerator = tcgAccelerator();

/**
 * Bytes of the shared memory that the accelerator needs besides guest storage.
 * @param storage bytes of that: above 4 GiB the maps of pages grow with it
 */
export function tcgMemory(vcpus: number, storage = 0): number {
  const maps = physMapBytes(Math.max(2 ** 32, storage + 2 ** 29));
  return ARENA_BYTES + maps + vcpus * (S.STATE_BYTES + 8192) + (1 << 20) - 4096;
}
