/** What a software vCPU is waiting for or has pending, and how events are taken and delivered. */
import type { MpState } from "../accel.ts";
import { log, LogItem, logMask } from "../log.ts";
import { setControlRegister } from "../x86/control.ts";
import { type Cpu, GuestFault } from "../x86/cpu.ts";
import { deliver, deliverInterrupt, hasErrorCode } from "../x86/events.ts";
import { Seg } from "../x86/insn.ts";
import { resetCpu } from "../x86/reset.ts";
import { enterSmm, SMBASE_RESET } from "../x86/smm.ts";
import * as S from "../x86/state.ts";
import { Fl, Vec } from "../x86/state.ts";
import type { DebugUnit } from "./debug.ts";
import { EVENT } from "./lower.ts";
import type { TcgVcpu } from "./vcpu.ts";
import type { TcgVm } from "./vm.ts";

/** INTR, NMI, SMI, INIT and SIPI of one vCPU, and the state that they find it in. */
export class VcpuEvents {
  mpState: MpState = "uninitialized";
  nmiBlocked = false;
  /** A triple fault has happened that the run loop has not reported yet. */
  shutdown = false;
  readonly #vcpu: TcgVcpu;
  readonly #cpu: Cpu;
  readonly #vm: TcgVm;
  #intr = false;
  #nmi = false;
  #smi = false;
  /** NMIs were blocked when the SMI came: RSM leaves them so. */
  #smiInsideNmi = false;
  #init = false;
  #sipi = -1;
  readonly #debug: DebugUnit;

  constructor(vcpu: TcgVcpu, debug: DebugUnit) {
    this.#vcpu = vcpu;
    this.#cpu = vcpu.cpu;
    this.#vm = vcpu.vm;
    this.#debug = debug;
  }

  /** Power-on reset. The level of INTR is the interrupt controller's. */
  reset(): void {
    this.mpState = this.#vcpu.options.bsp ? "runnable" : "uninitialized";
    this.#nmi =
      this.#smi =
      this.#init =
      this.nmiBlocked =
      this.shutdown =
        false;
    this.#sipi = -1;
    this.#smiInsideNmi = false;
  }

  setIntr(level: boolean): void {
    this.#intr = level;
    if (level) this.wake();
    else this.#notePending();
  }

  nmi(): void {
    this.#nmi = true;
    this.wake();
  }

  smi(): void {
    this.#smi = true;
    this.wake();
  }

  init(): void {
    this.#init = true;
    this.#sipi = -1;
    this.wake();
  }

  sipi(vector: number): void {
    if (this.mpState !== "init-received" && !this.#init) return;
    this.#sipi = vector;
    this.wake();
  }

  /** Brings a running vCPU back to its run loop, and tells of one that may have to run. */
  wake(): void {
    this.#cpu.set32(S.KICK, -0x80000000);
    this.#notePending();
    if (this.#vm.current !== this.#vcpu) this.#vm.onEvent?.();
  }

  /** Tells emitted code whether setting IF must come to the run loop. */
  #notePending(): void {
    const pending = this.#intr || this.#nmi || this.#smi || this.#init;
    this.#cpu.set32(S.PENDING, pending ? 1 : 0);
  }

  /** Something would run: not halted, or an event is waiting that ends the halt. */
  get runnable(): boolean {
    if (this.mpState === "runnable" || (this.#init && !this.#cpu.smm)) return true;
    if (this.mpState === "halted") {
      if ((this.#nmi && !this.nmiBlocked) || (this.#smi && !this.#cpu.smm)) return true;
      return this.#intr && (this.#cpu.get32(S.FLAG_SYS) & Fl.IF) !== 0;
    }
    return this.mpState === "init-received" && this.#sipi >= 0;
  }

  /** Takes pending events that can be taken now; true when the vCPU can execute. */
  take(): boolean {
    const cpu = this.#cpu;
    if (this.#init && !cpu.smm) {
      this.#init = false;
      const cr0 = cpu.cr0 & 0x60000000;
      resetCpu(cpu, true);
      this.#debug.update();
      setControlRegister(cpu, 0, BigInt((cr0 | 0x10) >>> 0), true);
      this.#vcpu.mmu.flush();
      this.#vcpu.paravirt.init();
      this.mpState = this.#vcpu.options.bsp ? "runnable" : "init-received";
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
      this.#vcpu.count("smi");
      this.#smiInsideNmi = this.nmiBlocked;
      this.nmiBlocked = true;
      this.#vm.showSmram(true);
      enterSmm(cpu, this.mpState === "halted");
      this.mpState = "runnable";
      return true;
    }
    if (this.#debug.step) {
      // The stub steps through the program, not into its interrupt handlers.
    } else if (this.#nmi && !this.nmiBlocked && !shadow) {
      this.#nmi = false;
      this.#notePending();
      this.nmiBlocked = true;
      this.mpState = "runnable";
      this.#deliver(() => deliverInterrupt(cpu, Vec.NMI, false));
    } else if (this.#intr && flags & Fl.IF && !shadow && this.#vcpu.interruptSource) {
      const vector = this.#vcpu.interruptSource.acknowledge();
      if (vector >= 0) {
        this.#vcpu.count("irq_injections");
        if (logMask & LogItem.int) {
          log("int", `Servicing hardware INT=0x${vector.toString(16).padStart(2, "0")}`);
        }
        this.mpState = "runnable";
        if (this.#vm.runtime.deliver(cpu.base, vector, -1, EVENT.EXTERNAL) === 0) {
          this.#deliver(() => deliverInterrupt(cpu, vector, false));
        }
      }
    }
    return this.mpState === "runnable";
  }

  /** RSM has been carried out, or has failed. */
  resume(how: "running" | "halted" | "shutdown"): void {
    if (how === "shutdown") {
      this.shutdown = true;
      return;
    }
    this.#vm.showSmram(false);
    this.nmiBlocked = this.#smiInsideNmi;
    this.#smiInsideNmi = false;
    if (how === "halted") this.mpState = "halted";
    this.wake();
  }

  /** Runs an event delivery; a triple fault ends in `shutdown`. */
  #deliver(f: () => void): void {
    try {
      f();
    } catch (e) {
      if (e instanceof GuestFault) this.exception(e.vector, e.error);
      else throw e;
    }
  }

  /** Delivers an exception; `error` is -1 without an error code. */
  exception(vector: number, error: number): void {
    this.#vcpu.count("exceptions");
    if (!(logMask & LogItem.int)) {
      const code = hasErrorCode.has(vector) ? error : -1;
      if (this.#vm.runtime.deliver(this.#cpu.base, vector, code, EVENT.EXCEPTION) !== 0) return;
    }
    if (!deliver(this.#cpu, vector, error)) this.shutdown = true;
  }

  /** For {@link TcgVcpu.saveEvents}. */
  save(): unknown {
    return {
      intr: this.#intr,
      nmi: this.#nmi,
      nmiBlocked: this.nmiBlocked,
      smi: this.#smi,
      smm: this.#cpu.smm,
      smbase: this.#cpu.smbase,
      smiInsideNmi: this.#smiInsideNmi,
      init: this.#init,
      sipi: this.#sipi,
      shadow: this.#cpu.get32(S.SHADOW),
      debugTraps: this.#cpu.debugTraps,
      mpState: this.mpState,
    };
  }

  load(state: unknown): void {
    const s = state as Record<string, number | boolean | string>;
    this.#intr = s.intr as boolean;
    this.#nmi = s.nmi as boolean;
    this.nmiBlocked = s.nmiBlocked as boolean;
    this.#smi = s.smi as boolean;
    this.#cpu.smm = (s.smm ?? false) as boolean;
    this.#cpu.smbase = (s.smbase ?? SMBASE_RESET) as number;
    this.#smiInsideNmi = (s.smiInsideNmi ?? false) as boolean;
    this.#init = s.init as boolean;
    this.#sipi = s.sipi as number;
    this.#cpu.set32(S.SHADOW, s.shadow as number);
    this.#cpu.debugTraps = (s.debugTraps ?? 0) as number;
    this.mpState = s.mpState as MpState;
    this.#cpu.updateMode();
  }
}
