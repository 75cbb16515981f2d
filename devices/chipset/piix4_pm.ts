/**
 * Power management function of the Intel 82371AB (PIIX4), datasheet 290562, chapter 7: ACPI registers,
 * SMBus host, and the APM control port that software uses to ask SMM for ACPI mode.
 */
import type { Clock } from "../../core/clock.ts";
import type { IrqLine } from "../../core/device.ts";
import { log } from "../../core/log.ts";
import type { AddressSpace, Mapping } from "../../core/memory/address_space.ts";
import { type AccessSize, ioRegion } from "../../core/memory/region.ts";
import { AcpiPm, type AcpiPmState, initialAcpiPm } from "./acpi_pm.ts";
import { PciDevice } from "./pci.ts";
import { PCI_STATUS, PCI_STATUS_DEVSEL_MEDIUM, PCI_STATUS_FAST_BACK } from "./pci_regs.ts";
import { initialSmbus, SmbusEeprom, SmbusHost, type SmbusState } from "./smbus.ts";

const PMBA = 0x40, DEVACTB_APMC = 0x5b, PMREGMISC = 0x80, SMBBA = 0x90, SMBHSTCFG = 0xd2;
const APMC_EN = 0x02;
const EXTENSIONS: readonly [number, number][] = [[0x5f, 0x10], [0x63, 0x60]];
const GPE_BASE = 0xafe0;
const APM_BASE = 0xb2;
const APM_ACPI_ENABLE = 0xf1, APM_ACPI_DISABLE = 0xf0;

/** SLP_TYP values, as the DSDT announces them. */
export const SLEEP_S5 = 0, SLEEP_S3 = 1, SLEEP_S4 = 2;

export interface Piix4PmOptions {
  readonly clock: Clock;
  readonly io: AddressSpace;
  /** ISA interrupt 9. */
  readonly sci: IrqLine;
  readonly shutdown: () => void;
  readonly suspend: () => void;
  /** APMC was written while it makes SMIs. */
  readonly smi: () => void;
  /** False marks SMM as set up already, so that firmware leaves it alone. */
  readonly smmEnabled: boolean;
  readonly smbIoBase?: number;
  /** SLP_TYP that means S4; default 2. */
  readonly s4Value?: number;
  /** Which of LPT1, COM1, COM2 exist: shown in configuration space. */
  readonly parallel?: boolean;
  readonly serial?: readonly [boolean, boolean];
}

export interface Piix4PmState {
  pm: AcpiPmState;
  smbus: SmbusState;
  eeproms: { data: Uint8Array; pointer: number }[];
  apmControl: number;
  apmStatus: number;
}

export class Piix4Pm extends PciDevice<Piix4PmState> {
  override readonly type = "PIIX4_PM";
  readonly pm: AcpiPm;
  readonly smbus = new SmbusHost();
  readonly eeproms = Array.from({ length: 8 }, () => new SmbusEeprom());
  #mappings: Mapping[] = [];
  #smbusMapping: Mapping | undefined;

  constructor(private readonly opts: Piix4PmOptions) {
    super(
      { vendor: 0x8086, device: 0x7113, revision: 3, classCode: 0x068000, interruptPin: 1 },
      () => ({
        pm: initialAcpiPm(),
        smbus: initialSmbus(),
        eeproms: [],
        apmControl: 0,
        apmStatus: 0,
      }),
    );
    this.initConfig16(PCI_STATUS, PCI_STATUS_FAST_BACK | PCI_STATUS_DEVSEL_MEDIUM);
    this.initConfig8(PMBA, 1);
    for (const [at, value] of EXTENSIONS) this.initConfig8(at, value);
    if (opts.parallel) this.initConfig8(0x5f, 0x90);
    const [com1, com2] = opts.serial ?? [false, false];
    this.initConfig8(0x67, (com1 ? 0x08 : 0) | (com2 ? 0x90 : 0));
    this.initConfig32(SMBBA, (opts.smbIoBase ?? 0xb100) | 1);
    this.initConfig8(SMBHSTCFG, 0x09);
    if (!opts.smmEnabled) this.initConfig8(DEVACTB_APMC, APMC_EN);
    this.eeproms.forEach((e, i) => this.smbus.devices.set(0x50 + i, e));
    this.pm = new AcpiPm({
      clock: opts.clock,
      sci: opts.sci,
      sleep: (type) => this.#sleep(type),
    });
    this.pm.reset();
    opts.io.map(this.pm.gpeRegion, GPE_BASE);
    opts.io.map(
      ioRegion("apm-io", 2, {
        maxAccess: 1,
        read: (offset) => offset === 0 ? this.state.apmControl : this.state.apmStatus,
        write: (offset, _size, value) => this.#apm(offset, value),
      }),
      APM_BASE,
    );
    this.#place();
  }

  /** Presses the power button. */
  powerButton(): void {
    this.pm.powerButton();
  }

  #sleep(type: number): void {
    if (type === SLEEP_S3) this.opts.suspend();
    else if (type === SLEEP_S5 || type === (this.opts.s4Value ?? SLEEP_S4)) this.opts.shutdown();
    else log("guest_errors", `PIIX4_PM: sleep type ${type}`);
  }

  #apm(offset: number, value: number): void {
    if (offset === 1) {
      this.state.apmStatus = value;
      return;
    }
    this.state.apmControl = value;
    if (value === APM_ACPI_ENABLE) this.pm.setAcpiEnabled(true);
    else if (value === APM_ACPI_DISABLE) this.pm.setAcpiEnabled(false);
    if (this.opts.smmEnabled && (this.config[DEVACTB_APMC] & APMC_EN)) this.opts.smi();
  }

  /** Base of the PM registers while they are decoded, or undefined. */
  get pmBase(): number | undefined {
    const base = this.configView.getUint16(PMBA, true) & 0xffc0;
    return (this.config[PMREGMISC] & 1) && base !== 0 ? base : undefined;
  }

  /** Base of the SMBus host's registers as configured. */
  get smbBase(): number {
    return this.configView.getUint16(SMBBA, true) & 0xffc0;
  }

  /** Decodes the two I/O blocks where configuration space puts them. */
  #place(): void {
    const { io } = this.opts, { pm } = this;
    const base = this.pmBase;
    const { smbBase } = this;
    const smb = (this.config[SMBHSTCFG] & 1) && smbBase !== 0 ? smbBase : undefined;
    io.transaction(() => {
      if (this.#mappings[0]?.base !== base) {
        for (const m of this.#mappings) io.unmap(m);
        this.#mappings = base === undefined ? [] : [
          io.map(pm.eventRegion, base, PLACED),
          io.map(pm.controlRegion, base + 4, PLACED),
          io.map(pm.timerRegion, base + 8, PLACED),
        ];
      }
      if (this.#smbusMapping?.base !== smb) {
        if (this.#smbusMapping) io.unmap(this.#smbusMapping);
        this.#smbusMapping = smb === undefined
          ? undefined
          : io.map(this.smbus.region, smb, PLACED + 0.1);
      }
    });
  }

  protected override onConfigWrite(_offset: number, _size: AccessSize): void {
    this.#place();
  }

  protected override onReset(): void {
    this.pm.reset();
    this.smbus.state = this.state.smbus;
    this.#place();
  }

  override save() {
    this.state.pm = this.pm.state;
    this.state.smbus = this.smbus.state;
    this.state.eeproms = this.eeproms.map((e) => ({ data: e.data, pointer: e.pointer }));
    return super.save();
  }

  protected override onLoad(): void {
    this.pm.load(this.state.pm);
    this.smbus.state = this.state.smbus;
    this.state.eeproms.forEach((e, i) => {
      this.eeproms[i].data.set(e.data);
      this.eeproms[i].pointer = e.pointer;
    });
    this.#place();
  }
}

/** Software may place the blocks over other ports: below them all, and never equal to a BAR. */
const PLACED = -0.5;
