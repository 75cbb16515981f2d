/**
 * Power management registers of the ICH9's LPC function, datasheet 316972, 13.8: a block of 128 ports
 * with the ACPI registers, SMI control and the TCO watchdog.
 */
import type { Clock } from "../../core/clock.ts";
import type { IrqLine } from "../../core/device.ts";
import type { AddressSpace, Mapping } from "../../core/memory/address_space.ts";
import { ioRegion } from "../../core/memory/region.ts";
import { AcpiPm, type AcpiPmState, initialAcpiPm } from "./acpi_pm.ts";
import { initialTco, Tco, type TcoState } from "./ich9_tco.ts";

/** Ports of the block. */
export const PM_SIZE = 128;
const PM1_STS = 0x00, PM1_CNT = 0x04, PM1_TMR = 0x08, GPE0_STS = 0x20, SMI_EN = 0x30, TCO = 0x60;
const GPE0_LENGTH = 16, GPE0_EN = GPE0_LENGTH / 2;
const APMC_EN = 0x00000020, TCO_EN = 0x00002000, GBL_SMI_EN = 0x00000001;
const TCO_STS = 0x00002000, APM_STS = 0x00000020;
/** Bits of SMI_STS that nothing but writing a one clears. */
const SMI_EN_TCO = TCO_EN;

/** Software may place the block over other ports: below them all, and never equal to a BAR. */
const PLACED = -0.5;

export interface Ich9PmState {
  pm: AcpiPmState;
  tco: TcoState;
  /** Bytes of GPE0_EN above the events there are: they only store. */
  gpeHigh: Uint8Array<ArrayBuffer>;
  smiEn: number;
  smiSts: number;
}

export interface Ich9PmOptions {
  readonly clock: Clock;
  readonly io: AddressSpace;
  readonly sci: IrqLine;
  /** SLP_EN was written with this SLP_TYP. */
  readonly sleep: (type: number) => void;
  readonly smi: () => void;
  readonly reset: () => void;
  /** GCS.NO_REBOOT. */
  readonly noReboot: () => boolean;
  /** False marks SMM as set up already, so that firmware leaves it alone. */
  readonly smmEnabled: boolean;
}

export function initialIch9Pm(smmEnabled: boolean): Ich9PmState {
  return {
    pm: initialAcpiPm(),
    tco: initialTco(),
    gpeHigh: new Uint8Array(GPE0_LENGTH / 2),
    smiEn: smmEnabled ? 0 : APMC_EN,
    smiSts: 0,
  };
}

export class Ich9Pm {
  readonly pm: AcpiPm;
  readonly tco: Tco;
  gpeHigh = new Uint8Array(GPE0_LENGTH / 2);
  smiEn = 0;
  smiSts = 0;
  /** GEN_PMCON_1.SMI_LOCK: GBL_SMI_EN keeps its value. */
  smiLocked = false;
  #mappings: Mapping[] = [];
  readonly #gpe = ioRegion("acpi-gpe0", GPE0_LENGTH, {
    maxAccess: 1,
    read: (offset) => this.#readGpe(offset),
    write: (offset, _size, value) => this.#writeGpe(offset, value),
  });
  readonly #smi = ioRegion("acpi-smi", 8, {
    minAccess: 4,
    read: (offset) => offset === 0 ? this.smiEn : this.smiSts,
    write: (offset, _size, value) => this.#writeSmi(offset, value),
  });

  constructor(private readonly o: Ich9PmOptions) {
    this.pm = new AcpiPm({ clock: o.clock, sci: o.sci, sleep: o.sleep });
    this.tco = new Tco({
      clock: o.clock,
      reset: o.reset,
      noReboot: o.noReboot,
      smi: () => this.#tcoSmi(),
    });
  }

  /** Sixteen events exist; the bytes above them have enable bits only. */
  #readGpe(offset: number): number {
    const half = offset & (GPE0_EN - 1), enable = offset >= GPE0_EN;
    if (half < 2) return this.pm.gpeRegion.ops.read((enable ? 2 : 0) + half, 1);
    return enable ? this.gpeHigh[half] : 0;
  }

  #writeGpe(offset: number, value: number): void {
    const half = offset & (GPE0_EN - 1), enable = offset >= GPE0_EN;
    if (half < 2) this.pm.gpeRegion.ops.write((enable ? 2 : 0) + half, 1, value);
    else if (enable) this.gpeHigh[half] = value;
  }

  #writeSmi(offset: number, value: number): void {
    if (offset !== 0) {
      this.smiSts = (this.smiSts & ~value) >>> 0;
      return;
    }
    const keep = this.smiLocked ? GBL_SMI_EN : 0;
    const tcoLocked = (this.tco.state.cnt1 & 0x1000) !== 0 ? SMI_EN_TCO : 0;
    const mask = keep | tcoLocked;
    this.smiEn = ((value & ~mask) | (this.smiEn & mask)) >>> 0;
  }

  /** A write to APMC makes an SMI where that is enabled. */
  apm(): void {
    if ((this.smiEn & APMC_EN) === 0) return;
    this.smiSts |= APM_STS;
    if (this.o.smmEnabled) this.o.smi();
  }

  #tcoSmi(): void {
    if ((this.smiEn & TCO_EN) === 0) return;
    this.smiSts |= TCO_STS;
    if (this.smiEn & GBL_SMI_EN && this.o.smmEnabled) this.o.smi();
  }

  /** Where the block is decoded. */
  get base(): number | undefined {
    return this.#mappings[0]?.base;
  }

  /** Decodes the block at `base`, or nowhere. */
  place(base: number | undefined): void {
    const { io } = this.o;
    if (this.#mappings[0]?.base === base) return;
    io.transaction(() => {
      for (const m of this.#mappings) io.unmap(m);
      this.#mappings = base === undefined ? [] : [
        io.map(this.pm.eventRegion, base + PM1_STS, PLACED),
        io.map(this.pm.controlRegion, base + PM1_CNT, PLACED),
        io.map(this.pm.timerRegion, base + PM1_TMR, PLACED),
        io.map(this.#gpe, base + GPE0_STS, PLACED),
        io.map(this.#smi, base + SMI_EN, PLACED),
        io.map(this.tco.region, base + TCO, PLACED),
      ];
    });
  }

  reset(): void {
    this.pm.reset();
    this.tco.reset();
    const s = initialIch9Pm(this.o.smmEnabled);
    this.gpeHigh = s.gpeHigh;
    this.smiEn = s.smiEn;
    this.smiSts = s.smiSts;
    this.smiLocked = false;
  }

  save(): Ich9PmState {
    return {
      pm: this.pm.state,
      tco: this.tco.state,
      gpeHigh: this.gpeHigh,
      smiEn: this.smiEn,
      smiSts: this.smiSts,
    };
  }

  load(s: Ich9PmState): void {
    this.pm.load(s.pm);
    this.tco.load(s.tco);
    this.gpeHigh = s.gpeHigh.slice();
    this.smiEn = s.smiEn;
    this.smiSts = s.smiSts;
  }
}
