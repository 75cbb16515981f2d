/**
 * LPC interface bridge of the Intel ICH9 (82801IB), datasheet 316972, chapter 13: interrupt routing
 * (PIRQA–H, D25IR–D31IR), power management, APM ports, reset control, root complex registers.
 */
import type { Clock } from "../../core/clock.ts";
import type { IrqLine } from "../../core/device.ts";
import { log } from "../../core/log.ts";
import type { AddressSpace, Mapping } from "../../core/memory/address_space.ts";
import { type AccessSize, ioRegion } from "../../core/memory/region.ts";
import { Ich9Pm, type Ich9PmState, initialIch9Pm } from "./ich9_pm.ts";
import { PciDevice } from "./pci.ts";
import type { ResetControl } from "./pci_host.ts";
import { PCI_STATUS } from "./pci_regs.ts";

const PMBASE = 0x40, ACPI_CNTL = 0x44, PIRQA_ROUT = 0x60, PIRQE_ROUT = 0x68, LPC_EN = 0x82;
const GEN_PMCON_1 = 0xa0, RCBA = 0xf0;
const PIRQ_DISABLE = 0x80, PIRQ_IRQ = 0x0f;
const ACPI_EN = 0x80, SCI_IRQ_SEL = 0x07;
/** SCI by SCI_IRQ_SEL; the other values are reserved. */
const SCI_GSI: Readonly<Record<number, number>> = { 0: 9, 1: 10, 2: 11, 4: 20, 5: 21 };
const RCBA_ENABLE = 1, RCBA_MASK = 0xffffc000, RCBA_SIZE = 0x4000;
const SMI_LOCK = 0x10;

/** Root complex registers. */
const D31IR = 0x3140, D25IR = 0x3150, GCS = 0x3410;
const GCS_DEFAULT = 0x20, GCS_NO_REBOOT = 0x20, DIR_DEFAULT = 0x3210;
/** Interrupt route registers by slot; slot 30 is the bridge to PCI and has none. */
const ROUTES: Readonly<Record<number, number>> = {
  31: D31IR,
  29: 0x3144,
  28: 0x3146,
  27: 0x3148,
  26: 0x314c,
  25: D25IR,
};

const APM_ACPI_ENABLE = 0x02, APM_ACPI_DISABLE = 0x03;
const RC_CPU_RESET = 0x04, RC_STORED = 0x0a;
/** SLP_TYP values, as the DSDT announces them. */
export const ICH9_S3 = 1, ICH9_S4 = 2, ICH9_S5 = 0;
/** Over RAM (0), the memory-mapped configuration space and PAM's segments (1). */
const RCRB_PRIORITY = 1.25;
/** GSI of PIRQA. */
const PIRQ_GSI = 16;

export interface Ich9LpcOptions {
  readonly clock: Clock;
  readonly mem: AddressSpace;
  readonly io: AddressSpace;
  /** Global system interrupts 0–23 as seen by a device that shares them. */
  readonly gsis: readonly IrqLine[];
  readonly shutdown: () => void;
  readonly suspend: () => void;
  readonly reset: () => void;
  /** The APM port or the watchdog asks for an SMI. */
  readonly smi: () => void;
  readonly smmEnabled: boolean;
  /** Strap: the watchdog does not reset the machine; default true. */
  readonly noReboot?: boolean;
  /** Which of LPT1, COM1, COM2 exist: shown by the decode enable bits. */
  readonly parallel?: boolean;
  readonly serial?: readonly [boolean, boolean];
  /** SLP_TYP that means S4; default 2. */
  readonly s4Value?: number;
}

export interface Ich9LpcState {
  /** Levels of the pins of all slots: bit `pin` of byte `slot`. */
  pins: Uint8Array;
  chip: Uint8Array<ArrayBuffer>;
  apmControl: number;
  apmStatus: number;
  resetControl: number;
  pm: Ich9PmState;
}

export class Ich9Lpc extends PciDevice<Ich9LpcState> implements ResetControl {
  override readonly type = "ICH9-LPC";
  readonly pm: Ich9Pm;
  readonly #o: Ich9LpcOptions;
  readonly #rcrb;
  #rcrbMapping: Mapping | undefined;
  /** GSIs held high by PIRQs, and by the SCI. */
  #driven = 0;
  #sci = false;

  constructor(o: Ich9LpcOptions) {
    super(
      { vendor: 0x8086, device: 0x2918, revision: 2, classCode: 0x060100 },
      () => ({
        pins: new Uint8Array(32),
        chip: initialChip(o.noReboot ?? true),
        apmControl: 0,
        apmStatus: 0,
        resetControl: 0,
        pm: initialIch9Pm(o.smmEnabled),
      }),
    );
    this.#o = o;
    this.setMultifunction();
    this.initConfig16(PCI_STATUS, 0);
    this.initConfig32(PMBASE, 1);
    this.setMask32(PMBASE, 0xff80);
    this.setMask32(RCBA, RCBA_MASK | RCBA_ENABLE);
    for (let n = 0; n < 4; n++) {
      this.initConfig8(PIRQA_ROUT + n, PIRQ_DISABLE);
      this.initConfig8(PIRQE_ROUT + n, PIRQ_DISABLE);
    }
    const [com1, com2] = o.serial ?? [false, false];
    this.initConfig8(LPC_EN, (com1 ? 1 : 0) | (com2 ? 2 : 0) | (o.parallel ? 4 : 0));
    this.pm = new Ich9Pm({
      clock: o.clock,
      io: o.io,
      sci: { set: (level) => this.#setSci(level) },
      sleep: (type) => this.#sleep(type),
      smi: o.smi,
      reset: o.reset,
      noReboot: () => (this.#chip(GCS) & GCS_NO_REBOOT) !== 0,
      smmEnabled: o.smmEnabled,
    });
    this.pm.reset();
    this.#rcrb = ioRegion("lpc-rcrb-mmio", RCBA_SIZE, {
      read: (offset, size) => this.#readChip(offset, size),
      write: (offset, size, value) => this.#writeChip(offset, size, value),
    });
    o.io.map(
      ioRegion("apm-io", 2, {
        maxAccess: 1,
        read: (offset) => offset === 0 ? this.state.apmControl : this.state.apmStatus,
        write: (offset, _size, value) => this.#apm(offset, value),
      }),
      0xb2,
    );
    this.#place();
  }

  // Interrupts

  /** PIRQ 0–7 (A–H) that pin 0–3 of a slot is wired to. */
  pirqOf(slot: number, pin: number): number {
    const register = ROUTES[slot];
    if (register !== undefined) return (this.#chip(register) >> (4 * pin)) & 7;
    return slot === 30 ? 4 + pin : ((slot + pin) & 3) + 4;
  }

  /** ISA interrupt PIRQ `n` is routed to for the 8259s, or undefined when disabled. */
  isaIrqOf(n: number): number | undefined {
    const r = this.config[n < 4 ? PIRQA_ROUT + n : PIRQE_ROUT + n - 4];
    return r & PIRQ_DISABLE ? undefined : r & PIRQ_IRQ;
  }

  setPin(slot: number, pin: number, level: boolean): void {
    const bit = 1 << pin;
    this.state.pins[slot] = level ? this.state.pins[slot] | bit : this.state.pins[slot] & ~bit;
    this.#drive();
  }

  /** GSI of the SCI, or undefined for a reserved setting. */
  get sciGsi(): number | undefined {
    return SCI_GSI[this.config[ACPI_CNTL] & SCI_IRQ_SEL];
  }

  #setSci(level: boolean): void {
    this.#sci = level;
    this.#drive();
  }

  /** A PIRQ reaches its own input of the I/O APIC always, and an ISA interrupt if it is routed. */
  #drive(): void {
    let gsis = 0;
    for (let slot = 0; slot < 32; slot++) {
      const pins = this.state.pins[slot];
      for (let pin = 0; pins >> pin !== 0; pin++) {
        if (((pins >> pin) & 1) === 0) continue;
        const pirq = this.pirqOf(slot, pin), isa = this.isaIrqOf(pirq);
        gsis |= 1 << (PIRQ_GSI + pirq);
        if (isa !== undefined) gsis |= 1 << isa;
      }
    }
    const sci = this.sciGsi;
    if (this.#sci && sci !== undefined) gsis |= 1 << sci;
    const changed = gsis ^ this.#driven;
    this.#driven = gsis;
    for (let n = 0; n < this.#o.gsis.length; n++) {
      if (changed & (1 << n)) this.#o.gsis[n].set((gsis & (1 << n)) !== 0);
    }
  }

  // Root complex registers

  #chip(offset: number): number {
    const { chip } = this.state;
    return chip[offset] | (chip[offset + 1] << 8);
  }

  #readChip(offset: number, size: AccessSize): number {
    let value = 0;
    for (let i = 0; i < size; i++) value += (this.state.chip[offset + i] ?? 0xff) * 2 ** (8 * i);
    return value;
  }

  #writeChip(offset: number, size: AccessSize, value: number): void {
    const { chip } = this.state;
    for (let i = 0; i < size && offset + i < chip.length; i++) {
      chip[offset + i] = (value >>> (8 * i)) & 0xff;
    }
    if (offset + size > D31IR && offset < D25IR + 2) this.#drive();
  }

  // Power management

  #sleep(type: number): void {
    const { shutdown, suspend, s4Value } = this.#o;
    if (type === ICH9_S3) suspend();
    else if (type === ICH9_S5 || type === (s4Value ?? ICH9_S4)) shutdown();
    else log("guest_errors", `${this.type}: sleep type ${type}`);
  }

  #apm(offset: number, value: number): void {
    if (offset === 1) {
      this.state.apmStatus = value;
      return;
    }
    this.state.apmControl = value;
    if (value === APM_ACPI_ENABLE) this.pm.pm.setAcpiEnabled(true);
    else if (value === APM_ACPI_DISABLE) this.pm.pm.setAcpiEnabled(false);
    this.pm.apm();
  }

  powerButton(): void {
    this.pm.pm.powerButton();
  }

  // CF9h

  read(): number {
    return this.state.resetControl;
  }

  write(value: number): void {
    this.state.resetControl = value & RC_STORED;
    if (value & RC_CPU_RESET) this.#o.reset();
  }

  override configWrite(offset: number, size: AccessSize, value: number): void {
    const locked = this.config[GEN_PMCON_1] & SMI_LOCK;
    super.configWrite(offset, size, value);
    this.config[GEN_PMCON_1] |= locked; // only a reset unlocks
  }

  protected override onConfigWrite(_offset: number, _size: AccessSize): void {
    this.pm.smiLocked = (this.config[GEN_PMCON_1] & SMI_LOCK) !== 0;
    this.#place();
    this.#drive();
  }

  /** Decodes the PM ports and the root complex registers where configuration space puts them. */
  #place(): void {
    const base = this.configView.getUint16(PMBASE, true) & 0xff80;
    this.pm.place((this.config[ACPI_CNTL] & ACPI_EN) && base !== 0 ? base : undefined);
    const rcba = this.configView.getUint32(RCBA, true), { mem } = this.#o;
    const at = (rcba & RCBA_MASK) >>> 0;
    const wanted = rcba & RCBA_ENABLE && at !== 0 ? at : undefined;
    if (this.#rcrbMapping?.base === wanted) return;
    mem.transaction(() => {
      if (this.#rcrbMapping) mem.unmap(this.#rcrbMapping);
      this.#rcrbMapping = wanted === undefined
        ? undefined
        : mem.map(this.#rcrb, wanted, RCRB_PRIORITY);
    });
  }

  protected override onReset(): void {
    this.pm.reset();
    this.#place();
    this.#drive();
  }

  override save() {
    this.state.pm = this.pm.save();
    return super.save();
  }

  protected override onLoad(): void {
    this.pm.load(this.state.pm);
    this.pm.smiLocked = (this.config[GEN_PMCON_1] & SMI_LOCK) !== 0;
    this.#place();
    this.#drive();
  }
}

function initialChip(noReboot: boolean): Uint8Array<ArrayBuffer> {
  const chip = new Uint8Array(RCBA_SIZE), v = new DataView(chip.buffer);
  for (const at of Object.values(ROUTES)) v.setUint16(at, DIR_DEFAULT, true);
  v.setUint32(GCS, noReboot ? GCS_DEFAULT : GCS_DEFAULT & ~GCS_NO_REBOOT, true);
  return chip;
}
