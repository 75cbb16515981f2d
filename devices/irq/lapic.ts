/**
 * The local APIC of one processor in xAPIC and x2APIC mode: Intel SDM volume 3A, chapter 11 ("Advanced
 * Programmable Interrupt Controller"), in the P6/Pentium 4 variant that QEMU models (version 14h,
 * six LVT entries, 1 GHz timer bus).
 *
 * All state lives in {@link LAPIC_STATE_SIZE} bytes of memory given at construction: first the 1 KiB
 * register page laid out as the hardware (and KVM_GET_LAPIC) has it, each register in the first
 * dword of 16 bytes, then the words that no register shows.
 */
import type { EoiFlag, InterruptSource, Vcpu } from "../../core/accel.ts";
import type { Clock } from "../../core/clock.ts";
import type { Device, DeviceState } from "../../core/device.ts";
import { log } from "../../core/log.ts";
import {
  ApicError,
  Delivery,
  LVT_LEVEL,
  LVT_MASKED,
  LVT_REMOTE_IRR,
  LVT_TSC_DEADLINE,
  LVT_WRITABLE,
  Reg,
  SVR_ENABLE,
} from "./lapic_registers.ts";
import { LapicTimer } from "./lapic_timer.ts";
import { readX2apic, writeX2apic, type X2apicRegisters } from "./x2apic.ts";

export const APIC_BASE_DEFAULT = 0xfee00000;
const APIC_BASE_ENABLE = 0x800;
const APIC_BASE_EXTD = 0x400;
const APIC_BASE_BSP = 0x100;

/** Bytes of state: the register page, then what no register shows. */
export const LAPIC_STATE_SIZE = 1088;
/** Words after the register page. */
const Word = {
  baseLow: 256,
  baseHigh: 257,
  errors: 258,
  lint: 259,
  extInt: 260,
  arb: 261,
} as const;
const VERSION = 0x00050014;
const IA32_TSC_DEADLINE = 0x6e0;
/** A destination that is every processor, in x2APIC's width. */
export const BROADCAST = 0xffffffff;

/** What a local APIC drives: its processor's pins. */
export type ApicCpu =
  & Pick<Vcpu, "index" | "apicId" | "setIntr" | "nmi" | "smi" | "init" | "sipi">
  & Pick<Vcpu, "guestTsc">;

/** What a local APIC needs of the world outside its processor. */
export interface ApicWires {
  /** Sends the interrupt command that `source` has in its ICR. */
  sendIpi(source: Lapic): void;
  /** A level-triggered interrupt has ended: I/O APICs want to know. */
  broadcastEoi(vector: number): void;
  /** INTA cycle to the 8259 pair. */
  picAcknowledge(): number;
  /** IA32_APIC_BASE has changed. */
  baseChanged(): void;
}

/** What a processor's CPUID says of its local APIC. */
export interface ApicFeatures {
  readonly x2apic?: boolean;
  /** The processor must have {@link Vcpu.guestTsc}. */
  readonly tscDeadline?: boolean;
  /** Physical address bits: IA32_APIC_BASE bits above are reserved. Default 40. */
  readonly physBits?: number;
}

export interface LapicOptions extends ApicFeatures {
  readonly cpu: ApicCpu;
  readonly bsp: boolean;
  readonly clock: Clock;
  readonly wires: ApicWires;
  /** {@link LAPIC_STATE_SIZE} bytes at `offset`, a multiple of 8. */
  readonly buffer: ArrayBufferLike;
  readonly offset: number;
}

export class Lapic implements Device, InterruptSource, X2apicRegisters {
  readonly type = "apic";
  readonly cpu: ApicCpu;
  readonly bsp: boolean;
  readonly #bytes: Uint8Array;
  readonly #r: Uint32Array;
  readonly #timer: LapicTimer;
  readonly #wires: ApicWires;
  readonly #baseReserved: bigint;
  readonly #tscDeadline: boolean;
  #intr = false;
  eoiFlag: EoiFlag | undefined;
  /** The flag is set for the vector in service, which the guest may have ended by it. */
  #eoiArmed = false;

  constructor(o: LapicOptions) {
    this.cpu = o.cpu;
    this.bsp = o.bsp;
    this.#bytes = new Uint8Array(o.buffer, o.offset, LAPIC_STATE_SIZE);
    this.#r = new Uint32Array(o.buffer, o.offset, LAPIC_STATE_SIZE / 4);
    this.#timer = new LapicTimer({
      buffer: o.buffer,
      offset: o.offset,
      clock: o.clock,
      tsc: o.cpu.guestTsc,
      fire: (vector) => {
        if (this.softwareEnabled) this.#request(vector, false);
      },
    });
    this.#wires = o.wires;
    this.#baseReserved = BigInt.asUintN(64, -1n << BigInt(o.physBits ?? 40)) |
      (o.x2apic ? 0x2ffn : 0x6ffn);
    this.#tscDeadline = (o.tscDeadline ?? false) && o.cpu.guestTsc !== undefined;
    this.reset();
  }

  /** Register by byte offset in the page, without side effects. */
  reg(offset: number): number {
    return this.#r[offset >> 2];
  }

  get id(): number {
    const id = this.#r[Reg.ID >> 2];
    return this.x2apic ? id : id >>> 24;
  }

  /** IA32_APIC_BASE.EXTD: the registers are MSRs, and IDs and destinations have 32 bits. */
  get x2apic(): boolean {
    return (this.#r[Word.baseLow] & APIC_BASE_EXTD) !== 0;
  }

  /** IA32_APIC_BASE.EN: when clear, LINT0 and LINT1 are the processor's INTR and NMI pins. */
  get enabled(): boolean {
    return (this.#r[Word.baseLow] & APIC_BASE_ENABLE) !== 0;
  }

  /** SVR bit 8. */
  get softwareEnabled(): boolean {
    return (this.#r[Reg.SVR >> 2] & SVR_ENABLE) !== 0;
  }

  /** Arbitration ID, which an INIT level de-assert sets to the APIC ID. No register shows it. */
  get arbitrationId(): number {
    return this.#r[Word.arb];
  }

  synchronizeArbitration(): void {
    this.#r[Word.arb] = this.id;
  }

  /** Physical address of the register page. */
  get baseAddress(): number {
    return this.#r[Word.baseHigh] * 2 ** 32 + ((this.#r[Word.baseLow] & 0xfffff000) >>> 0);
  }

  // --- reset, save, load

  reset(): void {
    const r = this.#r;
    r[Word.baseLow] = APIC_BASE_DEFAULT | APIC_BASE_ENABLE | (this.bsp ? APIC_BASE_BSP : 0);
    r[Word.baseHigh] = 0;
    r[Reg.ID >> 2] = this.cpu.apicId << 24;
    this.#resetRegisters();
    this.cpu.setIntr(this.#intr);
    this.#wires.baseChanged();
  }

  /** The ID and what follows from it, in the form that the mode has. SDM volume 3A, 11.12.10.2. */
  #setId(): void {
    const id = this.cpu.apicId;
    if (this.x2apic) {
      this.#r[Reg.ID >> 2] = id;
      this.#r[Reg.LDR >> 2] = (id >>> 4) << 16 | 1 << (id & 15);
    } else this.#r[Reg.ID >> 2] = id << 24;
  }

  /** What an INIT does: everything but ID, IA32_APIC_BASE and the pins. */
  #resetRegisters(): void {
    const r = this.#r, id = r[Reg.ID >> 2];
    this.#eoiArmed = false;
    r.fill(0, 0, Word.baseLow);
    r[Reg.ID >> 2] = id;
    if (this.x2apic) this.#setId();
    r[Reg.VERSION >> 2] = VERSION;
    r[Reg.DFR >> 2] = 0xffffffff;
    r[Reg.SVR >> 2] = 0xff;
    for (const at of LVT_WRITABLE.keys()) r[at >> 2] = LVT_MASKED;
    r[Word.errors] = 0;
    r[Word.extInt] = 0;
    r[Word.arb] = 0;
    this.#timer.reset();
    this.#update();
  }

  save(): DeviceState {
    this.settleEoi();
    this.#timer.settle();
    return this.#bytes.slice();
  }

  load(state: DeviceState): void {
    this.#bytes.set((state as Uint8Array).subarray(0, LAPIC_STATE_SIZE));
    this.#eoiArmed = false;
    this.#timer.arm();
    this.#update();
    this.cpu.setIntr(this.#intr);
    this.#wires.baseChanged();
  }

  // --- InterruptSource

  acknowledge(): number {
    this.settleEoi();
    const vector = this.#pending();
    if (vector >= 0) {
      Atomics.and(this.#r, (Reg.IRR >> 2) + ((vector >> 5) << 2), ~(1 << (vector & 31)));
      this.#r[(Reg.ISR >> 2) + ((vector >> 5) << 2)] |= 1 << (vector & 31);
      this.#update();
      this.#armEoi(vector);
      return vector;
    }
    if (!this.#extIntRequested()) return -1;
    this.#r[Word.extInt] = 0;
    const external = this.#wires.picAcknowledge();
    this.#update();
    return external;
  }

  get tpr(): number {
    return (this.#r[Reg.TPR >> 2] >> 4) & 15;
  }

  setTpr(value: number): void {
    this.settleEoi();
    this.#r[Reg.TPR >> 2] = (value & 15) << 4;
    this.#update();
  }

  get apicBase(): bigint {
    return (BigInt(this.#r[Word.baseHigh]) << 32n) | BigInt(this.#r[Word.baseLow]);
  }

  setApicBase(value: bigint): boolean {
    if (value & this.#baseReserved) return false;
    // EXTD needs EN, comes after it, and only goes with it. SDM volume 3A, 11.12.5.
    const was = this.enabled, wasX2 = this.x2apic;
    const on = (value & BigInt(APIC_BASE_ENABLE)) !== 0n;
    const x2 = (value & BigInt(APIC_BASE_EXTD)) !== 0n;
    if (x2 && !(on && was) || wasX2 && on && !x2) return false;
    this.#r[Word.baseLow] = Number(value & 0xffffffffn);
    this.#r[Word.baseHigh] = Number(value >> 32n);
    if (x2 !== wasX2) {
      this.#setId();
      this.#r[Reg.ICR_HIGH >> 2] = 0;
    }
    if (was && !on) this.#resetRegisters();
    else this.#update();
    this.#wires.baseChanged();
    return true;
  }

  readMsr(index: number): bigint | undefined {
    if (index === IA32_TSC_DEADLINE) return this.#tscDeadline ? this.#timer.deadline : undefined;
    return this.x2apic ? readX2apic(this, index) : undefined;
  }

  writeMsr(index: number, value: bigint): boolean {
    if (index !== IA32_TSC_DEADLINE) return this.x2apic && writeX2apic(this, index, value);
    if (!this.#tscDeadline) return false;
    this.#timer.setDeadline(value);
    return true;
  }

  lvtWritable(offset: number): number | undefined {
    const bits = LVT_WRITABLE.get(offset);
    return offset === Reg.LVT_TIMER && this.#tscDeadline ? bits! | LVT_TSC_DEADLINE : bits;
  }

  command(low: number, destination: number): void {
    this.#r[Reg.ICR_HIGH >> 2] = destination;
    this.#r[Reg.ICR_LOW >> 2] = low;
    this.#sendIpi();
  }

  // --- register page

  /** A 32-bit read of the page; registers without a side-effect-free value are 0. */
  read(offset: number): number {
    this.settleEoi();
    switch (offset) {
      case Reg.PPR:
        return this.ppr;
      case Reg.APR:
      case Reg.EOI:
      case Reg.RRD:
        return 0;
      case Reg.TIMER_CURRENT:
        return this.currentCount;
      case Reg.ID:
      case Reg.VERSION:
      case Reg.TPR:
      case Reg.LDR:
      case Reg.DFR:
      case Reg.SVR:
      case Reg.ESR:
      case Reg.ICR_LOW:
      case Reg.ICR_HIGH:
      case Reg.TIMER_INITIAL:
      case Reg.TIMER_DIVIDE:
        return this.#r[offset >> 2];
    }
    const bitmap = offset >= Reg.ISR && offset < Reg.ESR, lvt = LVT_WRITABLE.has(offset);
    if ((bitmap && (offset & 15) === 0) || lvt) return this.#r[offset >> 2];
    if ((offset & 15) === 0) this.#illegalRegister("read", offset);
    return 0;
  }

  /** A 32-bit write to the page. */
  write(offset: number, value: number): void {
    this.settleEoi();
    const r = this.#r, at = offset >> 2;
    switch (offset) {
      case Reg.ID:
      case Reg.LDR:
        r[at] = value & 0xff000000;
        break;
      case Reg.TPR:
        r[at] = value & 0xff;
        this.#update();
        break;
      case Reg.EOI:
        this.#endOfInterrupt();
        break;
      case Reg.DFR:
        r[at] = value | 0x0fffffff;
        break;
      case Reg.SVR:
        r[at] = value & 0x1ff;
        if (!(value & SVR_ENABLE)) this.#maskAllLvts();
        this.#update();
        break;
      case Reg.ESR:
        r[at] = r[Word.errors];
        r[Word.errors] = 0;
        break;
      case Reg.ICR_LOW:
        r[at] = value & 0xccfff;
        this.#sendIpi();
        break;
      case Reg.ICR_HIGH:
        r[at] = value & 0xff000000;
        break;
      case Reg.TIMER_INITIAL:
        this.#timer.setInitial(value);
        break;
      case Reg.TIMER_DIVIDE:
        this.#timer.setDivide(value);
        break;
      default:
        this.#writeOther(offset, value);
    }
  }

  #writeOther(offset: number, value: number): void {
    const writable = this.lvtWritable(offset);
    if (writable === undefined) {
      // Read-only registers swallow writes; the reserved ones are errors.
      const readOnly = offset === Reg.VERSION || offset === Reg.APR || offset === Reg.PPR ||
        offset === Reg.RRD || offset === Reg.TIMER_CURRENT ||
        (offset >= Reg.ISR && offset < Reg.ESR);
      if (!readOnly && (offset & 15) === 0) this.#illegalRegister("write", offset);
      return;
    }
    value &= writable;
    if (!this.softwareEnabled) value |= LVT_MASKED;
    if (offset === Reg.LVT_TIMER) this.#timer.setEntry(value);
    else this.#r[offset >> 2] = value | (this.#r[offset >> 2] & LVT_REMOTE_IRR);
    this.#update();
  }

  #illegalRegister(what: string, offset: number): void {
    log("guest_errors", `apic: ${what} of reserved register 0x${offset.toString(16)}`);
    this.#error(ApicError.illegalRegister);
  }

  // --- priorities

  /** Processor priority: the higher of TPR and the vector in service (0–255). */
  get ppr(): number {
    const tpr = this.#r[Reg.TPR >> 2], isr = this.#highest(Reg.ISR);
    const service = isr < 0 ? 0 : isr & 0xf0;
    return (tpr & 0xf0) >= service ? tpr : service;
  }

  /** The highest vector set in ISR, TMR or IRR, or -1. */
  #highest(bitmap: number): number {
    const r = this.#r, base = bitmap >> 2;
    for (let i = 7; i >= 0; i--) {
      const word = r[base + (i << 2)];
      if (word !== 0) return (i << 5) + 31 - Math.clz32(word);
    }
    return -1;
  }

  /** The vector that the processor would take now, or -1. */
  #pending(): number {
    if (!this.enabled || !this.softwareEnabled) return -1;
    const irr = this.#highest(Reg.IRR);
    return irr >= 0 && irr >> 4 > this.ppr >> 4 ? irr : -1;
  }

  #extIntRequested(): boolean {
    const r = this.#r;
    if (r[Word.extInt] !== 0) return true;
    if (!(r[Word.lint] & 1)) return false;
    if (!this.enabled) return true;
    const lvt = r[Reg.LVT_LINT0 >> 2];
    return !(lvt & LVT_MASKED) && ((lvt >> 8) & 7) === Delivery.extInt;
  }

  #update(): void {
    const intr = this.#pending() >= 0 || this.#extIntRequested();
    if (intr === this.#intr) return;
    this.#intr = intr;
    this.cpu.setIntr(intr);
  }

  // --- messages from the bus

  /**
   * Whether a message to `dest` is for this processor. `wide`: it has 32 bits, from an ICR in x2APIC
   * mode, instead of 8.
   */
  matches(dest: number, logical: boolean, wide = false): boolean {
    if (!this.enabled) return false;
    if (wide ? dest === BROADCAST : dest === 0xff && !(logical && this.x2apic)) return true;
    if (!logical) return dest === this.id;
    if (this.x2apic) {
      const own = this.#r[Reg.LDR >> 2];
      return own >>> 16 === dest >>> 16 && (own & dest & 0xffff) !== 0;
    }
    if (dest > 0xff) return false;
    const ldr = this.#r[Reg.LDR >> 2] >>> 24;
    switch (this.#r[Reg.DFR >> 2] >>> 28) {
      case 0xf:
        return (ldr & dest) !== 0;
      case 0x0:
        return ldr >> 4 === dest >> 4 && (ldr & dest & 15) !== 0;
    }
    return false;
  }

  /**
   * Takes a message of the given {@link Delivery} mode. `level` is its trigger mode. False when this
   * APIC refuses it (fixed interrupts while software-disabled, anything while disabled).
   */
  accept(mode: number, vector: number, level: boolean): boolean {
    if (!this.enabled) return false;
    switch (mode) {
      case Delivery.fixed:
      case Delivery.lowestPriority:
        if (!this.softwareEnabled) return false;
        this.#request(vector, level);
        return true;
      case Delivery.smi:
        this.cpu.smi();
        return true;
      case Delivery.nmi:
        this.cpu.nmi();
        return true;
      case Delivery.init:
        this.#resetRegisters();
        this.cpu.init();
        this.cpu.setIntr(this.#intr);
        return true;
      case Delivery.startup:
        this.cpu.sipi(vector);
        return true;
      case Delivery.extInt:
        this.#r[Word.extInt] = 1;
        this.#update();
        return true;
    }
    return false;
  }

  #request(vector: number, level: boolean): void {
    this.settleEoi();
    if (vector < 16) return this.#error(ApicError.receiveIllegalVector);
    const word = (vector >> 5) << 2, bit = 1 << (vector & 31);
    if (level) Atomics.or(this.#r, (Reg.TMR >> 2) + word, bit);
    else Atomics.and(this.#r, (Reg.TMR >> 2) + word, ~bit);
    Atomics.or(this.#r, (Reg.IRR >> 2) + word, bit);
    this.#update();
  }

  #endOfInterrupt(): void {
    const vector = this.#highest(Reg.ISR);
    if (vector < 0) return;
    const word = (vector >> 5) << 2, bit = 1 << (vector & 31);
    this.#r[(Reg.ISR >> 2) + word] &= ~bit;
    if (this.#r[(Reg.TMR >> 2) + word] & bit) {
      this.#wires.broadcastEoi(vector);
      this.#endLevelLint(0, vector);
      this.#endLevelLint(1, vector);
    }
    this.#update();
  }

  /**
   * Lets the guest end the interrupt it has just taken by its flag, where nobody has to know when: an
   * edge with no other interrupt waiting for its end.
   */
  #armEoi(vector: number): void {
    if (this.eoiFlag === undefined || this.#highest(Reg.IRR) >= 0) return;
    if (this.#r[(Reg.TMR >> 2) + ((vector >> 5) << 2)] & (1 << (vector & 31))) return;
    this.#eoiArmed = this.eoiFlag.arm();
  }

  /** Before anything that depends on what is in service: carries out what the flag says. */
  settleEoi(): void {
    if (!this.#eoiArmed) return;
    this.#eoiArmed = false;
    if (this.eoiFlag === undefined) return;
    if (this.eoiFlag.ended()) this.#endOfInterrupt();
    else this.eoiFlag.disarm();
  }

  #sendIpi(): void {
    const icr = this.#r[Reg.ICR_LOW >> 2], mode = (icr >> 8) & 7;
    if (mode <= Delivery.lowestPriority && (icr & 0xff) < 16) {
      return this.#error(ApicError.sendIllegalVector);
    }
    this.#wires.sendIpi(this);
  }

  #error(bit: number): void {
    this.#r[Word.errors] |= bit;
    const lvt = this.#r[Reg.LVT_ERROR >> 2];
    // An LVT error vector that is itself illegal must not report itself for ever.
    if (!(lvt & LVT_MASKED) && (lvt & 0xff) >= 16) this.#request(lvt & 0xff, false);
  }

  // --- local interrupts

  /** Drives pin LINT0 (the 8259's INT) or LINT1 (the NMI button and error lines). */
  setLint(pin: 0 | 1, level: boolean): void {
    const bit = 1 << pin, was = (this.#r[Word.lint] & bit) !== 0;
    if (level === was) return;
    this.#r[Word.lint] ^= bit;
    if (level) this.#assertLint(pin);
    this.#update();
  }

  #assertLint(pin: 0 | 1): void {
    if (!this.enabled) {
      if (pin === 1) this.cpu.nmi();
      return;
    }
    const at = (pin === 0 ? Reg.LVT_LINT0 : Reg.LVT_LINT1) >> 2, lvt = this.#r[at];
    if (lvt & LVT_MASKED) return;
    const mode = (lvt >> 8) & 7, level = (lvt & LVT_LEVEL) !== 0 && mode === Delivery.fixed;
    // ExtINT follows the pin's level, see #extIntRequested.
    if (mode === Delivery.extInt) return;
    if (level) {
      if (lvt & LVT_REMOTE_IRR) return;
      this.#r[at] |= LVT_REMOTE_IRR;
    }
    this.#deliverLocal(mode, lvt & 0xff, level);
  }

  /** The level-triggered LINT pin whose interrupt has ended asks again if it is still high. */
  #endLevelLint(pin: 0 | 1, vector: number): void {
    const at = (pin === 0 ? Reg.LVT_LINT0 : Reg.LVT_LINT1) >> 2, lvt = this.#r[at];
    if (!(lvt & LVT_REMOTE_IRR) || (lvt & 0xff) !== vector) return;
    this.#r[at] &= ~LVT_REMOTE_IRR;
    if (this.#r[Word.lint] & (1 << pin)) this.#assertLint(pin);
  }

  /** A thermal or performance-counter event, by its LVT register. */
  localEvent(lvtOffset: typeof Reg.LVT_THERMAL | typeof Reg.LVT_PERF): void {
    const lvt = this.#r[lvtOffset >> 2];
    if (!this.enabled || lvt & LVT_MASKED) return;
    // A delivered counter overflow masks its entry (SDM 11.5.1).
    if (lvtOffset === Reg.LVT_PERF) this.#r[lvtOffset >> 2] |= LVT_MASKED;
    this.#deliverLocal((lvt >> 8) & 7, lvt & 0xff, false);
  }

  #deliverLocal(mode: number, vector: number, level: boolean): void {
    if (mode === Delivery.init || mode === Delivery.startup) return;
    this.accept(mode, vector, level);
  }

  #maskAllLvts(): void {
    for (const at of LVT_WRITABLE.keys()) this.#r[at >> 2] |= LVT_MASKED;
    this.#timer.masked();
  }

  // --- timer

  /** Timer bus ticks (ns) per count: 1, 2, 4 … 128. */
  get divisor(): number {
    return this.#timer.divisor;
  }

  /** TIMER_CURRENT. */
  get currentCount(): number {
    return this.#timer.currentCount;
  }

  /** The guest has moved its TSC: a deadline comes sooner or later than it was to. */
  tscChanged(): void {
    this.#timer.tscChanged();
  }
}
