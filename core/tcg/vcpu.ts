/** The software accelerator's vCPU: the run loop around emitted code, and what it consists of. */
import type {
  CpuidEnv,
  DebugRegs,
  ExitCounts,
  Fpu,
  GuestTsc,
  InterruptSource,
  MpState,
  Regs,
  Sregs,
  Vcpu,
  VcpuOptions,
  VmExit,
} from "../accel.ts";
import { log, LogItem, logMask } from "../log.ts";
import { Cpu, type CpuEnv, GuestFault } from "../x86/cpu.ts";
import { Dr6, reportDebug } from "../x86/debug.ts";
import { Seg } from "../x86/insn.ts";
import { Paravirt } from "../x86/paravirt.ts";
import { hostRandom, repeatableRandom } from "../x86/random.ts";
import { resetCpu } from "../x86/reset.ts";
import * as S from "../x86/state.ts";
import { Exit, Fl, Mode, Rec, Vec } from "../x86/state.ts";
import { DebugUnit, linearIp } from "./debug.ts";
import { EmittedCalls } from "./emitted_calls.ts";
import { Mmu } from "./mmu.ts";
import { Sampler } from "./sampler.ts";
import { amidRepetition, endAlone, trapAfterAlone } from "./single_step.ts";
import type { Block } from "./translate.ts";
import { VcpuEvents } from "./vcpu_events.ts";
import {
  readDebugRegs,
  readFpu,
  readRegs,
  readSregs,
  tryReadMsr,
  tryWriteMsr,
  writeDebugRegs,
  writeFpu,
  writeRegs,
  writeSregs,
} from "./vcpu_state.ts";
import type { TcgVm } from "./vm.ts";

export class TcgVcpu implements Vcpu {
  readonly index: number;
  readonly apicId: number;
  readonly cpu: Cpu;
  readonly mmu: Mmu;
  readonly exits: ExitCounts = new Map();
  readonly guestTsc: GuestTsc;
  readonly paravirt: Paravirt;
  interruptSource: InterruptSource | undefined;
  /** What emitted code calls. */
  readonly calls: EmittedCalls;
  #instructions = 0;
  #budgetStart = 0;
  /** What of the slice's budget is kept back until the next sample. */
  #reserve = 0;
  #interrupted = false;
  /** What CPUID has answered so far, and the state that the answers depend on. */
  readonly #cpuid = {
    known: new Map<number, ReturnType<Vcpu["cpuid"]>>(),
    osxsave: false,
    apicEnabled: false,
  };
  readonly #debug: DebugUnit;
  readonly #events: VcpuEvents;
  readonly #sampler: Sampler;

  constructor(readonly vm: TcgVm, readonly options: VcpuOptions) {
    this.index = options.index;
    this.apicId = options.apicId;
    const base = vm.memory.alloc(S.STATE_BYTES, 4096);
    this.cpu = new Cpu(vm.memory, base);
    this.mmu = new Mmu(this.cpu, vm.phys, vm.cache);
    this.mmu.onMmio = () => this.count("mmio");
    this.mmu.onRemap = () => this.cpu.set32(S.KICK, -0x80000000);
    this.guestTsc = {
      read: () => BigInt.asUintN(64, BigInt(vm.tsc()) + this.tscOffset),
      get khz() {
        return vm.tscKhz;
      },
    };
    this.#debug = new DebugUnit(this.cpu, vm.cache);
    this.mmu.watches = this.#debug.watches;
    this.#events = new VcpuEvents(this, this.#debug);
    this.#sampler = new Sampler(this.cpu, this.mmu, vm);
    this.calls = new EmittedCalls(this.cpu, this.mmu, vm);
    const count = (r: string) => this.count(r);
    const apic = () => this.interruptSource;
    this.paravirt = new Paravirt({
      model: options.model,
      phys: vm.mem,
      get apic() {
        return apic();
      },
      sample: () => {
        const ns = vm.opts.clock.now();
        return { ns, tsc: BigInt.asUintN(64, BigInt(vm.tsc(ns)) + this.tscOffset) };
      },
      get tscKhz() {
        return vm.tscKhz;
      },
      wallTime: () => vm.opts.clock.wallTime(),
      get tscStable() {
        return vm.tscStable;
      },
    });
    const env: CpuEnv = {
      mem: this.mmu,
      phys: vm.mem,
      io: vm.io,
      model: options.model,
      options,
      get apic() {
        return apic();
      },
      tsc: () => BigInt(vm.tsc()),
      paravirt: this.paravirt,
      tscChanged: () => {
        this.interruptSource?.tscChanged?.();
        for (const v of vm.vcpus) v.paravirt.refresh();
      },
      random: () =>
        vm.opts.clock.icount
          ? repeatableRandom(this.index, this.instructions, this.cpu.nextRip)
          : hostRandom(),
      get alone() {
        return vm.vcpus.length === 1;
      },
      pause: () => {
        if (vm.vcpus.length > 1) this.kick();
      },
      halt: () => {
        this.mpState = "halted";
      },
      debugChanged: () => {
        this.#debug.update();
        this.cpu.set32(S.IRET_SLOW, 1);
      },
      resume: (how) => this.#events.resume(how),
      eventsChanged: () => this.cpu.set32(S.KICK, -0x80000000),
      countExit: count,
      cpuid: (leaf, subleaf) => this.cpuid(leaf, subleaf),
      get fpuError() {
        return vm.fpuError;
      },
    };
    this.cpu.env = env;
    this.cpu.onIret = () => {
      this.#events.nmiBlocked = false;
    };
    this.reset();
  }

  /** Counts for {@link exits}. */
  count(reason: string): void {
    this.exits.set(reason, (this.exits.get(reason) ?? 0) + 1);
  }

  /** What the guest has added to its time-stamp counter. */
  get tscOffset(): bigint {
    return this.cpu.msrs.get(0x10) ?? 0n;
  }

  get instructions(): number {
    const running = this.vm.current === this
      ? this.#budgetStart - this.#reserve - this.cpu.get32(S.BUDGET)
      : 0;
    return this.#instructions + running;
  }

  reset(): void {
    resetCpu(this.cpu);
    this.mmu.flush();
    this.#debug.update();
    this.#events.reset();
    this.paravirt.reset();
    this.calls.fatal = undefined;
    if (logMask & LogItem.cpu_reset) log("cpu_reset", `CPU Reset (CPU ${this.index})`);
  }

  // ---- events

  get mpState(): MpState {
    return this.#events.mpState;
  }
  set mpState(state: MpState) {
    this.#events.mpState = state;
  }

  setIntr(level: boolean): void {
    this.#events.setIntr(level);
  }
  nmi(): void {
    this.#events.nmi();
  }
  smi(): void {
    this.#events.smi();
  }
  init(): void {
    this.#events.init();
  }
  sipi(vector: number): void {
    this.#events.sipi(vector);
  }
  kick(): void {
    this.#interrupted = true;
    this.#events.wake();
  }

  /** Something would run: not halted, or an event is waiting that ends the halt. */
  get runnable(): boolean {
    return this.#events.runnable;
  }

  // ---- run loop

  run(budget: number): VmExit {
    const cpu = this.cpu, vm = this.vm, cache = vm.cache;
    this.#budgetStart = this.#reserve = budget;
    cpu.set32(S.BUDGET, 0);
    this.#refill();
    this.#interrupted = false;
    vm.current = this;
    let linkFrom = 0, linkFlushes = 0, linkIp = 0n, linkCs = 0n, linkMode = 0, stepped = false;
    let linkAlone = false;
    const debug = this.#debug, events = this.#events;
    vm.showSmram(cpu.smm);
    try {
      for (;;) {
        cpu.set32(S.KICK, 0);
        if (cpu.debugTraps !== 0 && cpu.get32(S.SHADOW) !== S.SHADOW_SS) {
          this.#debugTrap();
          continue;
        }
        if (stepped) return this.#debugExit(Dr6.BS);
        if (!events.take()) return { reason: "hlt" };
        if (cpu.debugTraps !== 0 && cpu.get32(S.SHADOW) !== S.SHADOW_SS) continue;
        if (events.shutdown) {
          events.shutdown = false;
          return { reason: "shutdown" };
        }
        if (this.calls.fatal) return { reason: "internal-error", message: this.calls.fatal };
        if (this.#interrupted || cpu.get32(S.BUDGET) <= 0) {
          if (
            vm.regions && !this.#interrupted && !cache.hasBreakpoints &&
            this.instructions >= this.#sampler.due
          ) this.#sampler.sample(this.instructions);
          if (this.#interrupted || this.#reserve === 0) return { reason: "interrupted" };
          this.#refill();
          continue;
        }
        const tf = (cpu.get32(S.FLAG_SYS) & Fl.TF) !== 0;
        let rf = (cpu.get32(S.FLAG_SYS) & Fl.RF) !== 0;
        if (rf && !tf && !debug.breaks && !debug.step) {
          // Nothing looks at RF during the instruction: it need not run alone.
          cpu.set32(S.FLAG_SYS, cpu.get32(S.FLAG_SYS) & ~Fl.RF);
          cpu.updateMode();
          rf = false;
        }
        const shadow = cpu.get32(S.SHADOW);
        if (debug.breaks) {
          const n = debug.guestBreakpoint();
          if (n >= 0) return this.#debugExit(n < 4 ? 1 << n : 0);
          const hits = rf || shadow === S.SHADOW_SS ? 0 : debug.fetchHits();
          if (hits !== 0) {
            reportDebug(cpu, hits);
            events.exception(Vec.DB, -1);
            stepped = debug.step;
            linkFrom = 0;
            continue;
          }
        }
        if (debug.step) cpu.alone = true;
        if (shadow !== 0 || cpu.alone) cpu.updateMode();
        const single = (cpu.mode & Mode.SINGLE) !== 0;
        const alone = linkFrom !== 0 && linkAlone && cpu.rip === linkIp;
        let block: Block;
        try {
          block = cache.lookup(cpu, this.mmu, alone);
        } catch (e) {
          if (!(e instanceof GuestFault)) throw e;
          events.exception(e.vector, e.error);
          stepped = debug.step;
          linkFrom = 0;
          continue;
        }
        if (linkFrom !== 0) {
          // An event may have come in between: then this is not where the jump goes.
          const target = block.ip === linkIp && block.cs === linkCs &&
            (block.mode & ~Mode.ALONE) === linkMode;
          if (target && cache.stats.flushes === linkFlushes) cache.link(linkFrom, block);
          linkFrom = 0;
        }
        const traps = cpu.debugTraps;
        cpu.set32(S.IRET_SLOW, events.nmiBlocked || debug.breaks || debug.step ? 1 : 0);
        if (single) {
          // RF holds for one instruction; repetitions come back after each round.
          if (rf) cpu.set32(S.FLAG_SYS, cpu.get32(S.FLAG_SYS) & ~Fl.RF);
          cpu.set32(S.KICK, -0x80000000);
        } else {
          if (!alone) this.#cacheJump(block);
          this.mmu.alone = false;
        }
        vm.enter(cpu.base, block.rec);
        this.mmu.alone = true;
        const exit = cpu.get32(S.EXIT);
        const rec = cpu.get32(S.EXIT_REC);
        const index = vm.memory.view.getUint16(rec + Rec.INDEX, true);
        let done = index + 1;
        const retry = exit === Exit.RETRY || exit === Exit.BREAK || exit === Exit.UNMADE;
        if (retry || exit === Exit.EXCEPTION) done = index;
        cpu.set32(S.BUDGET, cpu.get32(S.BUDGET) - done);
        if (retry) {
          if (exit === Exit.UNMADE) {
            vm.shapes.makeSlow(vm.memory.view.getInt32(rec + Rec.HANDLER, true));
          }
          // The instruction has not run: what held for it still does.
          if (rf) cpu.setFlags(Fl.RF, Fl.RF);
          cpu.debugTraps = traps;
          if (exit === Exit.BREAK) cpu.alone = true;
          continue;
        }
        if (single) endAlone(cpu, shadow);
        if (exit === Exit.EXCEPTION || exit === Exit.FAULT_HERE) {
          if (exit === Exit.EXCEPTION) {
            cpu.rip = vm.memory.view.getBigUint64(rec + Rec.IP, true);
            cpu.debugTraps = traps;
          }
          events.exception(cpu.get32(S.EXC_VECTOR), cpu.get32(S.EXC_ERROR));
          stepped = debug.step;
          continue;
        }
        if (exit === Exit.LINK) {
          linkFrom = rec;
          linkFlushes = cache.stats.flushes;
          linkIp = cpu.rip;
          linkCs = cpu.segBase(Seg.CS);
          linkMode = block.mode & ~Mode.ALONE;
          linkAlone = vm.memory.view.getUint8(rec + Rec.ALONE) !== 0;
        }
        if (single) trapAfterAlone(cpu, vm, block, tf, debug.breaks);
        else if (debug.breaks) amidRepetition(cpu, vm, rec);
        stepped = debug.step;
      }
    } finally {
      this.#instructions += this.#budgetStart - this.#reserve - cpu.get32(S.BUDGET);
      vm.current = undefined;
      vm.showSmram(false);
    }
  }

  /** Delivers the debug traps that are due. */
  #debugTrap(): void {
    const cpu = this.cpu;
    reportDebug(cpu, cpu.debugTraps);
    cpu.debugTraps = 0;
    if (this.mpState === "halted") this.mpState = "runnable";
    this.#events.exception(Vec.DB, -1);
  }

  #debugExit(bits: number): VmExit {
    this.count("debug");
    return { reason: "debug", dr6: BigInt((0xffff0ff0 | bits) >>> 0), pc: linearIp(this.cpu) };
  }

  /** Lets emitted code have the next part of the slice's budget. */
  #refill(): void {
    const n = this.vm.regions
      ? Math.min(this.#reserve, Math.max(1, this.#sampler.due - this.instructions))
      : this.#reserve;
    this.#reserve -= n;
    this.cpu.set32(S.BUDGET, this.cpu.get32(S.BUDGET) + n);
  }

  #cacheJump(block: Block): void {
    const cpu = this.cpu, lo = cpu.i32[S.RIP >> 2];
    const lin = cpu.long ? lo : (lo + cpu.segBase32(Seg.CS)) | 0;
    // Of an instruction that crosses a page, the second one may not be global.
    cpu.cacheJump(block.rec, block.ranges.length === 1 && this.mmu.isGlobal(lin));
  }

  // ---- register groups

  getRegs(): Regs {
    return readRegs(this.cpu);
  }

  setRegs(r: Partial<Regs>): void {
    writeRegs(this.cpu, r);
  }

  getSregs(): Sregs {
    return readSregs(this.cpu, this.interruptSource);
  }

  setSregs(s: Partial<Sregs>): void {
    writeSregs(this.cpu, s, this.interruptSource);
    this.mmu.flush();
  }

  getFpu(): Fpu {
    return readFpu(this.cpu);
  }

  setFpu(f: Partial<Fpu>): void {
    writeFpu(this.cpu, f);
  }

  getDebugRegs(): DebugRegs {
    return readDebugRegs(this.cpu);
  }
  setDebugRegs(d: DebugRegs): void {
    writeDebugRegs(this.cpu, d);
    this.#debug.update();
  }

  getMsr(index: number): bigint | undefined {
    return tryReadMsr(this.cpu, index);
  }
  setMsr(index: number, value: bigint): boolean {
    return tryWriteMsr(this.cpu, index, value);
  }

  saveEvents(): unknown {
    return this.#events.save();
  }
  loadEvents(state: unknown): void {
    this.#events.load(state);
  }

  translate(linear: bigint): number | undefined {
    return this.mmu.peek(linear);
  }

  cpuid(leaf: number, subleaf: number) {
    const osxsave = (this.cpu.cr4 & 0x40000) !== 0;
    const apicEnabled = this.interruptSource !== undefined &&
      (this.interruptSource.apicBase & 0x800n) !== 0n;
    const answers = this.#cpuid, key = (leaf >>> 0) * 256 + (subleaf & 0xff);
    if (osxsave !== answers.osxsave || apicEnabled !== answers.apicEnabled) {
      answers.known.clear();
      answers.osxsave = osxsave;
      answers.apicEnabled = apicEnabled;
    }
    let r = answers.known.get(key);
    if (r === undefined || subleaf >>> 0 > 0xff) {
      const env: CpuidEnv = { apicId: this.apicId, ...this.vm.topology, osxsave, apicEnabled };
      r = this.options.model.cpuid(leaf, subleaf, env);
      if (subleaf >>> 0 <= 0xff && answers.known.size < 256) answers.known.set(key, r);
    }
    return r;
  }

  setGuestDebug(d: { step: boolean; breakpoints: bigint[] }): void {
    this.#debug.setGuestDebug(d);
  }
}
