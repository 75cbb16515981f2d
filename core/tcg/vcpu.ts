/** The software accelerator's vCPU: register groups, events, and the run loop around emitted code. */
import type {
  CpuidEnv,
  DebugRegs,
  ExitCounts,
  Fpu,
  GuestTsc,
  InterruptSource,
  MpState,
  Regs,
  Segment,
  Sregs,
  Vcpu,
  VcpuOptions,
  VmExit,
} from "../accel.ts";
import { log, LogItem, logMask } from "../log.ts";
import { throughStack } from "../x86/canonical.ts";
import { Attr, Cpu, type CpuEnv, GuestFault } from "../x86/cpu.ts";
import { debugTrap, Dr6, reportDebug, singleStepsBranches } from "../x86/debug.ts";
import { deliver, deliverInterrupt, hasErrorCode } from "../x86/events.ts";
import { type Insn, Seg } from "../x86/insn.ts";
import { readMsr, writeMsr } from "../x86/msr.ts";
import { hostRandom, repeatableRandom } from "../x86/random.ts";
import { resetCpu } from "../x86/reset.ts";
import { enterSmm, SMBASE_RESET } from "../x86/smm.ts";
import * as S from "../x86/state.ts";
import { Exit, Fl, Mode, Rec, Vec } from "../x86/state.ts";
import { setControlRegister, setEfer } from "../x86/control.ts";
import { EVENT, SOFT_HELPER } from "./lower.ts";
import type { TcgVm } from "./vm.ts";
import { DebugUnit, linearIp, RunAlone } from "./debug.ts";
import { Mmu } from "./mmu.ts";
import { compileRegion } from "./region.ts";
import type { Block } from "./translate.ts";

/** Samples at the same address that make the code there worth a region. */
const HOT = 4;
/** How many times rarer than at first samples are taken when they find nothing new. */
const RAREST = 8;

const REG_NAMES = [
  "rax",
  "rcx",
  "rdx",
  "rbx",
  "rsp",
  "rbp",
  "rsi",
  "rdi",
  "r8",
  "r9",
  "r10",
  "r11",
  "r12",
  "r13",
  "r14",
  "r15",
] as const;

/** Instructions that may end with another TF, which then decides on the trap. */
const BY_NEW_TF = new Set(["INT", "INT1", "INT3", "INTO", "SYSCALL", "SYSRET"]);

/** String instructions, which a REP prefix repeats. */
const STRINGS = new Set(["MOVS", "STOS", "LODS", "CMPS", "SCAS", "INS", "OUTS"]);
const repeats = (i: Insn): boolean => i.rep !== 0 && STRINGS.has(i.row.name);

const SEG_NAMES = ["es", "cs", "ss", "ds", "fs", "gs", "ldt", "tr"] as const;

export class TcgVcpu implements Vcpu {
  readonly index: number;
  readonly apicId: number;
  readonly cpu: Cpu;
  readonly mmu: Mmu;
  readonly exits: ExitCounts = new Map();
  readonly guestTsc: GuestTsc;
  interruptSource: InterruptSource | undefined;
  mpState: MpState = "uninitialized";
  readonly #words: Int32Array;
  #instructions = 0;
  #budgetStart = 0;
  /** What of the slice's budget is kept back until the next sample. */
  #reserve = 0;
  /** Instructions between two samples. */
  #period = 1;
  /** Value of {@link instructions} at which the next sample is due. */
  #sampleAt = 0;
  #intr = false;
  #nmi = false;
  #nmiBlocked = false;
  #smi = false;
  /** NMIs were blocked when the SMI came: RSM leaves them so. */
  #smiInsideNmi = false;
  #init = false;
  #sipi = -1;
  #interrupted = false;
  readonly #debug: DebugUnit;
  #fatal: string | undefined;

  constructor(readonly vm: TcgVm, readonly options: VcpuOptions) {
    this.index = options.index;
    this.apicId = options.apicId;
    const base = vm.memory.alloc(S.STATE_BYTES, 4096);
    this.#words = new Int32Array(vm.memory.buffer);
    this.cpu = new Cpu(vm.memory, base);
    this.mmu = new Mmu(this.cpu, vm.phys, vm.cache);
    this.mmu.onMmio = () => this.#count("mmio");
    this.mmu.onRemap = () => this.cpu.set32(S.KICK, -0x80000000);
    this.guestTsc = {
      read: () => BigInt.asUintN(64, BigInt(vm.tsc()) + (this.cpu.msrs.get(0x10) ?? 0n)),
      get khz() {
        return vm.tscKhz;
      },
    };
    this.#debug = new DebugUnit(this.cpu, vm.cache);
    this.mmu.watches = this.#debug.watches;
    const count = (r: string) => this.#count(r);
    const apic = () => this.interruptSource;
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
      resume: (how) => this.#resume(how),
      eventsChanged: () => this.cpu.set32(S.KICK, -0x80000000),
      countExit: count,
      cpuid: (leaf, subleaf) => this.cpuid(leaf, subleaf),
      get fpuError() {
        return vm.fpuError;
      },
    };
    this.cpu.env = env;
    this.cpu.onIret = () => {
      this.#nmiBlocked = false;
    };
    this.reset();
  }

  #count(reason: string): void {
    this.exits.set(reason, (this.exits.get(reason) ?? 0) + 1);
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
    this.mpState = this.options.bsp ? "runnable" : "uninitialized";
    this.#nmi =
      this.#smi =
      this.#init =
      this.#nmiBlocked =
        false;
    this.#sipi = -1;
    this.#smiInsideNmi = false;
    this.#fatal = undefined;
    if (logMask & LogItem.cpu_reset) log("cpu_reset", `CPU Reset (CPU ${this.index})`);
  }

  // ---- events

  setIntr(level: boolean): void {
    this.#intr = level;
    if (level) this.#wake();
    else this.#notePending();
  }
  nmi(): void {
    this.#nmi = true;
    this.#wake();
  }
  smi(): void {
    this.#smi = true;
    this.#wake();
  }
  init(): void {
    this.#init = true;
    this.#sipi = -1;
    this.#wake();
  }
  sipi(vector: number): void {
    if (this.mpState !== "init-received" && !this.#init) return;
    this.#sipi = vector;
    this.#wake();
  }
  kick(): void {
    this.#interrupted = true;
    this.#wake();
  }
  #wake(): void {
    this.cpu.set32(S.KICK, -0x80000000);
    this.#notePending();
    if (this.vm.current !== this) this.vm.onEvent?.();
  }
  /** Tells emitted code whether setting IF must come to the run loop. */
  #notePending(): void {
    const pending = this.#intr || this.#nmi || this.#smi || this.#init;
    this.cpu.set32(S.PENDING, pending ? 1 : 0);
  }

  /** Something would run: not halted, or an event is waiting that ends the halt. */
  get runnable(): boolean {
    if (this.mpState === "runnable" || (this.#init && !this.cpu.smm)) return true;
    if (this.mpState === "halted") {
      if ((this.#nmi && !this.#nmiBlocked) || (this.#smi && !this.cpu.smm)) return true;
      return this.#intr && (this.cpu.get32(S.FLAG_SYS) & Fl.IF) !== 0;
    }
    return this.mpState === "init-received" && this.#sipi >= 0;
  }

  /** Takes pending events that can be taken now; true when the vCPU can execute. */
  #takeEvents(): boolean {
    const cpu = this.cpu;
    if (this.#init && !cpu.smm) {
      this.#init = false;
      const cr0 = cpu.cr0 & 0x60000000;
      resetCpu(cpu, true);
      this.#debug.update();
      setControlRegister(cpu, 0, BigInt((cr0 | 0x10) >>> 0), true);
      this.mmu.flush();
      this.mpState = this.options.bsp ? "runnable" : "init-received";
    }
    if (this.mpState === "init-received") {
      if (this.#sipi < 0) return false;
      cpu.setSegment(Seg.CS, this.#sipi << 8, this.#sipi << 12, 0xffff, cpu.attr(Seg.CS));
      cpu.eip = 0;
      this.#sipi = -1;
      this.mpState = "runnable";
    }
    if (this.mpState === "uninitialized") return false;
    const flags = cpu.get32(S.FLAG_SYS);
    const shadow = cpu.get32(S.SHADOW) !== 0;
    if (this.#smi && !cpu.smm && !shadow && !this.#debug.step) {
      this.#smi = false;
      this.#notePending();
      this.#count("smi");
      this.#smiInsideNmi = this.#nmiBlocked;
      this.#nmiBlocked = true;
      this.vm.showSmram(true);
      enterSmm(cpu, this.mpState === "halted");
      this.mpState = "runnable";
      return true;
    }
    if (this.#debug.step) {
      // The stub steps through the program, not into its interrupt handlers.
    } else if (this.#nmi && !this.#nmiBlocked && !shadow) {
      this.#nmi = false;
      this.#notePending();
      this.#nmiBlocked = true;
      this.mpState = "runnable";
      this.#deliver(() => deliverInterrupt(cpu, Vec.NMI, false));
    } else if (this.#intr && flags & Fl.IF && !shadow && this.interruptSource) {
      const vector = this.interruptSource.acknowledge();
      if (vector >= 0) {
        this.#count("irq_injections");
        if (logMask & LogItem.int) {
          log("int", `Servicing hardware INT=0x${vector.toString(16).padStart(2, "0")}`);
        }
        this.mpState = "runnable";
        if (this.vm.runtime.deliver(cpu.base, vector, -1, EVENT.EXTERNAL) === 0) {
          this.#deliver(() => deliverInterrupt(cpu, vector, false));
        }
      }
    }
    return this.mpState === "runnable";
  }

  #resume(how: "running" | "halted" | "shutdown"): void {
    if (how === "shutdown") {
      this.#shutdown = true;
      return;
    }
    this.vm.showSmram(false);
    this.#nmiBlocked = this.#smiInsideNmi;
    this.#smiInsideNmi = false;
    if (how === "halted") this.mpState = "halted";
    this.#wake();
  }

  /** Runs an event delivery; a triple fault ends in `shutdown`. */
  #deliver(f: () => void): void {
    try {
      f();
    } catch (e) {
      if (e instanceof GuestFault) this.#exception(e.vector, e.error);
      else throw e;
    }
  }

  #shutdown = false;

  #exception(vector: number, error: number): void {
    this.#count("exceptions");
    if (!(logMask & LogItem.int)) {
      const code = hasErrorCode.has(vector) ? error : -1;
      if (this.vm.runtime.deliver(this.cpu.base, vector, code, EVENT.EXCEPTION) !== 0) return;
    }
    if (!deliver(this.cpu, vector, error)) this.#shutdown = true;
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
    const debug = this.#debug;
    vm.showSmram(cpu.smm);
    try {
      for (;;) {
        cpu.set32(S.KICK, 0);
        if (cpu.debugTraps !== 0 && cpu.get32(S.SHADOW) !== S.SHADOW_SS) {
          this.#debugTrap();
          continue;
        }
        if (stepped) return this.#debugExit(Dr6.BS);
        if (!this.#takeEvents()) return { reason: "hlt" };
        if (cpu.debugTraps !== 0 && cpu.get32(S.SHADOW) !== S.SHADOW_SS) continue;
        if (this.#shutdown) {
          this.#shutdown = false;
          return { reason: "shutdown" };
        }
        if (this.#fatal) return { reason: "internal-error", message: this.#fatal };
        if (this.#interrupted || cpu.get32(S.BUDGET) <= 0) {
          if (
            vm.regions && !this.#interrupted && !cache.hasBreakpoints &&
            this.instructions >= this.#sampleAt
          ) this.#sample();
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
            this.#exception(Vec.DB, -1);
            stepped = debug.step;
            linkFrom = 0;
            continue;
          }
        }
        if (debug.step) cpu.alone = true;
        if (shadow !== 0 || cpu.alone) cpu.updateMode();
        const single = (cpu.mode & Mode.SINGLE) !== 0;
        let block: Block;
        try {
          block = cache.lookup(cpu, this.mmu);
        } catch (e) {
          if (!(e instanceof GuestFault)) throw e;
          this.#exception(e.vector, e.error);
          stepped = debug.step;
          linkFrom = 0;
          continue;
        }
        if (linkFrom !== 0) {
          // An event may have come in between: then this is not where the jump goes.
          const target = block.ip === linkIp && block.cs === linkCs && block.mode === linkMode;
          if (target && cache.stats.flushes === linkFlushes) cache.link(linkFrom, block);
          linkFrom = 0;
        }
        const traps = cpu.debugTraps;
        cpu.set32(S.IRET_SLOW, this.#nmiBlocked || debug.breaks || debug.step ? 1 : 0);
        if (single) {
          // RF holds for one instruction; repetitions come back after each round.
          if (rf) cpu.set32(S.FLAG_SYS, cpu.get32(S.FLAG_SYS) & ~Fl.RF);
          cpu.set32(S.KICK, -0x80000000);
        } else {
          this.#cacheJump(block);
          this.mmu.alone = false;
        }
        vm.enter(cpu.base, block.rec);
        this.mmu.alone = true;
        const exit = cpu.get32(S.EXIT);
        const rec = cpu.get32(S.EXIT_REC);
        const index = vm.memory.view.getUint16(rec + Rec.INDEX, true);
        let done = index + 1;
        if (exit === Exit.RETRY || exit === Exit.EXCEPTION || exit === Exit.BREAK) done = index;
        cpu.set32(S.BUDGET, cpu.get32(S.BUDGET) - done);
        if (exit === Exit.RETRY || exit === Exit.BREAK) {
          // The instruction has not run: what held for it still does.
          if (rf) cpu.setFlags(Fl.RF, Fl.RF);
          cpu.debugTraps = traps;
          if (exit === Exit.BREAK) cpu.alone = true;
          continue;
        }
        if (single) this.#endAlone(shadow);
        if (exit === Exit.EXCEPTION || exit === Exit.FAULT_HERE) {
          if (exit === Exit.EXCEPTION) {
            cpu.rip = vm.memory.view.getBigUint64(rec + Rec.IP, true);
            cpu.debugTraps = traps;
          }
          this.#exception(cpu.get32(S.EXC_VECTOR), cpu.get32(S.EXC_ERROR));
          stepped = debug.step;
          continue;
        }
        if (exit === Exit.LINK) {
          linkFrom = rec;
          linkFlushes = cache.stats.flushes;
          linkIp = cpu.rip;
          linkCs = cpu.segBase(Seg.CS);
          linkMode = block.mode;
        }
        if (single) this.#afterAlone(block, tf);
        else if (debug.breaks) this.#amidRepetition(rec);
        stepped = debug.step;
      }
    } finally {
      this.#instructions += this.#budgetStart - this.#reserve - cpu.get32(S.BUDGET);
      vm.current = undefined;
      vm.showSmram(false);
    }
  }

  /** An instruction has run alone: what held for it only is over. */
  #endAlone(shadow: number): void {
    const cpu = this.cpu;
    if (shadow !== 0) cpu.set32(S.SHADOW, 0);
    cpu.alone = false;
    cpu.updateMode();
  }

  /** Single-step traps. SDM volume 3, 17.3.1.4. */
  #afterAlone(block: Block, tf: boolean): void {
    const { cpu } = this, i = this.vm.cache.insns.get(block.rec);
    if (i === undefined) return;
    const next = this.#next(block.rec, i.length);
    if (repeats(i) && cpu.rip === block.ip) {
      if (BigInt(cpu.reg(1, i.addrSize)) === 0n) cpu.rip = next;
      else if (this.#debug.breaks) cpu.setFlags(Fl.RF, Fl.RF);
    }
    if (!tf || cpu.get32(S.SHADOW) === S.SHADOW_SS) return;
    // Gates clear TF and with it the trap; SYSCALL and SYSRET trap by the flag they leave.
    if (BY_NEW_TF.has(i.row.name) && !(cpu.get32(S.FLAG_SYS) & Fl.TF)) return;
    if (singleStepsBranches(cpu) && cpu.rip === next) return;
    debugTrap(cpu, Dr6.BS);
  }

  /** A fetch breakpoint is not met again by the rest of an interrupted repetition. */
  #amidRepetition(rec: number): void {
    const { cpu, vm } = this, i = vm.cache.insns.get(rec);
    if (i === undefined || !repeats(i)) return;
    if (cpu.rip === vm.memory.view.getBigUint64(rec + Rec.IP, true)) cpu.setFlags(Fl.RF, Fl.RF);
  }

  /** Delivers the debug traps that are due. */
  #debugTrap(): void {
    const cpu = this.cpu;
    reportDebug(cpu, cpu.debugTraps);
    cpu.debugTraps = 0;
    if (this.mpState === "halted") this.mpState = "runnable";
    this.#exception(Vec.DB, -1);
  }

  #debugExit(bits: number): VmExit {
    this.#count("debug");
    return { reason: "debug", dr6: BigInt((0xffff0ff0 | bits) >>> 0), pc: linearIp(this.cpu) };
  }

  /** Lets emitted code have the next part of the slice's budget. */
  #refill(): void {
    const n = this.vm.regions
      ? Math.min(this.#reserve, Math.max(1, this.#sampleAt - this.instructions))
      : this.#reserve;
    this.#reserve -= n;
    this.cpu.set32(S.BUDGET, this.cpu.get32(S.BUDGET) + n);
  }

  /** A sample of where the vCPU is: a block met again and again is hot. */
  #sample(): void {
    const { cpu, vm } = this;
    try {
      const block = vm.cache.lookup(cpu, this.mmu);
      this.#period = Math.min(this.#period + (this.#period >> 3) + 1, RAREST * vm.samplePeriod);
      this.#sampleAt = this.instructions + this.#period;
      if (block.tried) return;
      block.samples = (block.samples ?? 0) + 1;
      if (block.samples < HOT) return;
      block.tried = true;
      this.#period = vm.samplePeriod;
      this.#sampleAt = this.instructions + this.#period;
      compileRegion(vm.cache, vm.shapes, cpu, block);
    } catch (e) {
      // The fault happens when the code is executed, if it is.
      if (!(e instanceof GuestFault)) throw e;
    }
  }

  #cacheJump(block: Block): void {
    const cpu = this.cpu, lo = cpu.i32[S.RIP >> 2];
    const lin = cpu.long ? lo : (lo + cpu.segBase32(Seg.CS)) | 0;
    // Of an instruction that crosses a page, the second one may not be global.
    cpu.cacheJump(block.rec, block.ranges.length === 1 && this.mmu.isGlobal(lin));
  }

  // ---- called from emitted code

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
    const cpu = this.cpu, i = this.vm.cache.insns.get(rec);
    const lin = BigInt.asUintN(64, (BigInt(hi) << 32n) | BigInt(lo >>> 0));
    if (i !== undefined) this.#setNext(rec, i.length);
    const stack = i !== undefined && throughStack(cpu, i, lin);
    return new GuestFault(stack ? Vec.SS : Vec.GP, 0);
  }

  commit(rec: number): void {
    try {
      this.mmu.commit();
    } catch (e) {
      this.#faulted(e, rec);
    }
  }

  /** Runs a helper; non-zero when the instruction must be left. */
  helper(rec: number, id: number): number {
    const cpu = this.cpu, i = this.vm.cache.insns.get(rec)!;
    if (id & SOFT_HELPER) return this.#helperSoft(rec, id & ~SOFT_HELPER, i);
    this.#setNext(rec, i.length);
    const mode = cpu.mode;
    try {
      this.vm.shapes.helpers[id](cpu, i);
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
      this.vm.shapes.helpers[id](cpu, i);
      if (cpu.mode !== mode || cpu.get32(S.KICK) !== 0) return 1;
      return cpu.get32(S.SHADOW) === 0 && cpu.debugTraps === 0 ? 0 : 1;
    } catch (e) {
      this.#faulted(e, rec);
      return 1;
    }
  }

  helperEnd(rec: number, id: number): void {
    const cpu = this.cpu, i = this.vm.cache.insns.get(rec)!;
    this.#leaveBehind(rec, i.length);
    try {
      this.vm.shapes.helpers[id](cpu, i);
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

  #next(rec: number, length: number): bigint {
    const ip = this.vm.memory.view.getBigUint64(rec + Rec.IP, true) + BigInt(length);
    return this.cpu.long ? ip : ip & 0xffffffffn;
  }

  #faulted(e: unknown, rec: number): void {
    const cpu = this.cpu;
    cpu.set32(S.EXIT_REC, rec);
    if (e === RunAlone.instance) {
      cpu.alone = true;
      cpu.rip = this.vm.memory.view.getBigUint64(rec + Rec.IP, true);
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
    this.#fatal = String((e as Error)?.stack ?? e);
    cpu.rip = this.vm.memory.view.getBigUint64(rec + Rec.IP, true);
    cpu.set32(S.EXIT, Exit.RETRY);
    cpu.set32(S.KICK, -0x80000000);
  }

  // ---- register groups

  getRegs(): Regs {
    const r = { rip: this.cpu.rip, rflags: BigInt(this.cpu.flags >>> 0) } as Regs;
    REG_NAMES.forEach((name, n) => r[name] = this.cpu.reg64(n));
    return r;
  }

  setRegs(r: Partial<Regs>): void {
    REG_NAMES.forEach((name, n) => {
      const v = r[name];
      if (v !== undefined) this.cpu.setReg64(n, BigInt.asUintN(64, v));
    });
    if (r.rip !== undefined) {
      // A port handler may send the vCPU elsewhere in the middle of a block.
      this.cpu.rip = BigInt.asUintN(64, r.rip);
      this.cpu.set32(S.KICK, -0x80000000);
    }
    if (r.rflags !== undefined) {
      const { cpu } = this, flags = Number(r.rflags & 0xffffffffn);
      cpu.setFlags(flags);
      // The debug registers may come later.
      cpu.set32(S.FLAG_SYS, cpu.get32(S.FLAG_SYS) | (flags & Fl.RF));
      cpu.updateMode();
    }
  }

  #segment(n: number): Segment {
    const a = this.cpu.attr(n);
    return {
      selector: this.cpu.selector(n),
      base: this.cpu.segBase(n),
      limit: this.cpu.segLimit(n),
      type: a & 15,
      s: (a >> 4) & 1,
      dpl: (a >> 5) & 3,
      present: (a >> 7) & 1,
      avl: (a >> 12) & 1,
      l: (a >> 13) & 1,
      db: (a >> 14) & 1,
      g: (a >> 15) & 1,
      unusable: a & Attr.UNUSABLE ? 1 : 0,
    };
  }

  #setSegment(n: number, s: Segment): void {
    const attr = s.type | (s.s << 4) | (s.dpl << 5) | (s.present << 7) | (s.avl << 12) |
      (s.l << 13) | (s.db << 14) | (s.g << 15) | (s.unusable ? Attr.UNUSABLE : 0);
    this.cpu.setSegment(n, s.selector, s.base, s.limit, attr);
  }

  getSregs(): Sregs {
    const cpu = this.cpu;
    const s = {
      gdt: { base: cpu.get64(S.GDTR_BASE), limit: cpu.get32(S.GDTR_LIMIT) },
      idt: { base: cpu.get64(S.IDTR_BASE), limit: cpu.get32(S.IDTR_LIMIT) },
      cr0: cpu.get64(S.CR0),
      cr2: cpu.get64(S.CR2),
      cr3: cpu.get64(S.CR3),
      cr4: cpu.get64(S.CR4),
      cr8: BigInt(this.interruptSource?.tpr ?? 0),
      efer: cpu.get64(S.EFER),
      apicBase: this.interruptSource?.apicBase ?? 0n,
    } as Sregs;
    SEG_NAMES.forEach((name, n) => s[name] = this.#segment(n));
    return s;
  }

  setSregs(s: Partial<Sregs>): void {
    const cpu = this.cpu;
    if (s.gdt) {
      cpu.set64(S.GDTR_BASE, s.gdt.base);
      cpu.set32(S.GDTR_LIMIT, s.gdt.limit);
    }
    if (s.idt) {
      cpu.set64(S.IDTR_BASE, s.idt.base);
      cpu.set32(S.IDTR_LIMIT, s.idt.limit);
    }
    if (s.cr2 !== undefined) cpu.set64(S.CR2, s.cr2);
    if (s.efer !== undefined) setEfer(cpu, s.efer, true);
    if (s.cr4 !== undefined) setControlRegister(cpu, 4, s.cr4, true);
    if (s.cr3 !== undefined) setControlRegister(cpu, 3, s.cr3, true);
    if (s.cr0 !== undefined) setControlRegister(cpu, 0, s.cr0, true);
    if (s.cr8 !== undefined) this.interruptSource?.setTpr(Number(s.cr8));
    if (s.apicBase !== undefined) this.interruptSource?.setApicBase(s.apicBase);
    SEG_NAMES.forEach((name, n) => {
      const v = s[name];
      if (v !== undefined) this.#setSegment(n, v);
    });
    if (s.ss || s.cs) {
      const pe = (cpu.cr0 & 1) !== 0;
      const vm = (cpu.get32(S.FLAG_SYS) & Fl.VM) !== 0;
      cpu.setCpl(!pe ? 0 : vm ? 3 : (cpu.attr(Seg.SS) >> 5) & 3);
    }
    cpu.updateMode();
    this.mmu.flush();
  }

  getFpu(): Fpu {
    const cpu = this.cpu, top = cpu.get32(S.FTOP), empty = cpu.get32(S.FEMPTY);
    const fpr = new Uint8Array(128), xmm = new Uint8Array(256), ymmHigh = new Uint8Array(256);
    for (let i = 0; i < 8; i++) {
      const at = S.FPR + 16 * ((top + i) & 7);
      fpr.set(cpu.u8.subarray(at, at + 10), 16 * i);
    }
    for (let i = 0; i < 16; i++) {
      const at = S.XMM + S.XMM_SIZE * i;
      xmm.set(cpu.u8.subarray(at, at + 16), 16 * i);
      ymmHigh.set(cpu.u8.subarray(at + 16, at + 32), 16 * i);
    }
    return {
      fpr,
      xmm,
      fcw: cpu.get32(S.FCW) & 0xffff,
      fsw: (cpu.get32(S.FSW) & ~0x3800 | (top << 11)) & 0xffff,
      ftwx: ~empty & 0xff,
      lastOpcode: cpu.get32(S.FOP) & 0x7ff,
      lastIp: cpu.get64(S.FIP),
      lastDp: cpu.get64(S.FDP),
      mxcsr: cpu.getU32(S.MXCSR),
      ymmHigh,
      pkru: cpu.getU32(S.PKRU),
      xcr0: cpu.get64(S.XCR0),
    };
  }

  setFpu(f: Partial<Fpu>): void {
    const cpu = this.cpu;
    if (f.fcw !== undefined) cpu.set32(S.FCW, f.fcw);
    if (f.fsw !== undefined) {
      cpu.set32(S.FSW, f.fsw & ~0x3800);
      cpu.set32(S.FTOP, (f.fsw >> 11) & 7);
    }
    if (f.ftwx !== undefined) cpu.set32(S.FEMPTY, ~f.ftwx & 0xff);
    const top = cpu.get32(S.FTOP);
    if (f.fpr) {
      for (let i = 0; i < 8; i++) {
        cpu.u8.set(f.fpr.subarray(16 * i, 16 * i + 10), S.FPR + 16 * ((top + i) & 7));
      }
    }
    if (f.xmm) {
      for (let i = 0; i < 16; i++) {
        cpu.u8.set(f.xmm.subarray(16 * i, 16 * i + 16), S.XMM + S.XMM_SIZE * i);
      }
    }
    if (f.ymmHigh) {
      for (let i = 0; i < 16; i++) {
        cpu.u8.set(f.ymmHigh.subarray(16 * i, 16 * i + 16), S.XMM + S.XMM_SIZE * i + 16);
      }
    }
    if (f.pkru !== undefined) {
      cpu.set32(S.PKRU, f.pkru);
      cpu.env.mem.flush();
    }
    if (f.xcr0 !== undefined) {
      cpu.set64(S.XCR0, f.xcr0);
      cpu.updateMode();
    }
    if (f.lastOpcode !== undefined) cpu.set32(S.FOP, f.lastOpcode);
    if (f.lastIp !== undefined) cpu.set64(S.FIP, f.lastIp);
    if (f.lastDp !== undefined) cpu.set64(S.FDP, f.lastDp);
    if (f.mxcsr !== undefined) cpu.set32(S.MXCSR, f.mxcsr);
  }

  getDebugRegs(): DebugRegs {
    const dr = (n: number) => this.cpu.get64(S.DR + 8 * n);
    return { db: [dr(0), dr(1), dr(2), dr(3)], dr6: dr(6), dr7: dr(7) };
  }
  setDebugRegs(d: DebugRegs): void {
    d.db.forEach((v, n) => this.cpu.set64(S.DR + 8 * n, v));
    this.cpu.set64(S.DR + 48, d.dr6);
    this.cpu.set64(S.DR + 56, d.dr7);
    this.#debug.update();
  }

  getMsr(index: number): bigint | undefined {
    try {
      return readMsr(this.cpu, index);
    } catch (e) {
      if (e instanceof GuestFault) return undefined;
      throw e;
    }
  }
  setMsr(index: number, value: bigint): boolean {
    try {
      writeMsr(this.cpu, index, value);
      return true;
    } catch (e) {
      if (e instanceof GuestFault) return false;
      throw e;
    }
  }

  saveEvents(): unknown {
    return {
      intr: this.#intr,
      nmi: this.#nmi,
      nmiBlocked: this.#nmiBlocked,
      smi: this.#smi,
      smm: this.cpu.smm,
      smbase: this.cpu.smbase,
      smiInsideNmi: this.#smiInsideNmi,
      init: this.#init,
      sipi: this.#sipi,
      shadow: this.cpu.get32(S.SHADOW),
      debugTraps: this.cpu.debugTraps,
      mpState: this.mpState,
    };
  }
  loadEvents(state: unknown): void {
    const s = state as Record<string, number | boolean | string>;
    this.#intr = s.intr as boolean;
    this.#nmi = s.nmi as boolean;
    this.#nmiBlocked = s.nmiBlocked as boolean;
    this.#smi = s.smi as boolean;
    this.cpu.smm = (s.smm ?? false) as boolean;
    this.cpu.smbase = (s.smbase ?? SMBASE_RESET) as number;
    this.#smiInsideNmi = (s.smiInsideNmi ?? false) as boolean;
    this.#init = s.init as boolean;
    this.#sipi = s.sipi as number;
    this.cpu.set32(S.SHADOW, s.shadow as number);
    this.cpu.debugTraps = (s.debugTraps ?? 0) as number;
    this.mpState = s.mpState as MpState;
    this.cpu.updateMode();
  }

  translate(linear: bigint): number | undefined {
    return this.mmu.peek(linear);
  }

  cpuid(leaf: number, subleaf: number) {
    const env: CpuidEnv = {
      apicId: this.apicId,
      ...this.vm.topology,
      osxsave: (this.cpu.cr4 & 0x40000) !== 0,
      apicEnabled: this.interruptSource !== undefined &&
        (this.interruptSource.apicBase & 0x800n) !== 0n,
    };
    return this.options.model.cpuid(leaf, subleaf, env);
  }

  setGuestDebug(d: { step: boolean; breakpoints: bigint[] }): void {
    this.#debug.setGuestDebug(d);
  }
}
