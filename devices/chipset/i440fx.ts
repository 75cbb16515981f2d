/**
 * Intel 82441FX PCI and memory controller (PMC) of the 440FX chip set, datasheet 290549: host bridge,
 * programmable attribute map (PAM) and system management RAM control.
 */
import type { IrqLine } from "../../core/device.ts";
import type { AddressSpace } from "../../core/memory/address_space.ts";
import type { AccessSize } from "../../core/memory/region.ts";
import { Pam, type PamOptions } from "./pam.ts";
import { PciBus, PciDevice, type PciUpstream } from "./pci.ts";
import { PciHostConfig } from "./pci_host.ts";
import { CompatibleSmram, lockSmram, SMRAM_DEFAULT, smramEnabled, smramOpen } from "./smram.ts";

const DRAM_ROW_BOUNDARY = 0x57;
const PAM0 = 0x59, PAM6 = 0x5f;
const SMRAM = 0x72;

export interface I440fxOptions extends PamOptions {
  readonly io: AddressSpace;
  /** Bytes of RAM, for the register that coreboot reads. */
  readonly ramSize: number;
}

/** Function 0 of slot 0. */
export class I440fx extends PciDevice {
  override readonly type = "i440FX";
  readonly #pam: Pam;
  readonly #smram: CompatibleSmram;

  constructor(private readonly opts: I440fxOptions) {
    super({ vendor: 0x8086, device: 0x1237, revision: 2, classCode: 0x060000 }, () => ({}));
    this.initConfig8(DRAM_ROW_BOUNDARY, Math.min(255, opts.ramSize >> 23));
    this.initConfig8(SMRAM, SMRAM_DEFAULT);
    this.#pam = new Pam(opts, this.config, PAM0);
    this.#smram = new CompatibleSmram(opts.mem, opts.ram);
    this.#update();
  }

  /**
   * A vCPU enters or leaves system management mode: between the two, SMRAM at A0000 is RAM if it
   * is enabled.
   */
  setSmm(active: boolean): void {
    this.#smram.smm = active;
    this.#update();
  }

  get smramVisible(): boolean {
    return this.#smram.visible(this.config[SMRAM]);
  }

  /** Whether SMRAM is shown to everybody. */
  get smramOpen(): boolean {
    return smramOpen(this.config[SMRAM]);
  }

  /** System management mode has SMRAM. */
  get smramEnabled(): boolean {
    return smramEnabled(this.config[SMRAM]);
  }

  /** The PAM segments with their attributes (bit 0 reads, bit 1 writes go to RAM). */
  segments(): { base: number; size: number; attribute: number }[] {
    return this.#pam.segments();
  }

  /** Attribute of each segment, F0000 first. */
  get pamAttributes(): number[] {
    return this.#pam.attributes;
  }

  override configWrite(offset: number, size: AccessSize, value: number): void {
    const smram = this.config[SMRAM];
    super.configWrite(offset, size, value);
    this.config[SMRAM] = lockSmram(smram, this.config[SMRAM]);
    const end = offset + size;
    if ((offset <= PAM6 && end > PAM0) || (offset <= SMRAM && end > SMRAM)) this.#update();
  }

  #update(): void {
    this.opts.mem.transaction(() => {
      this.#pam.update();
      this.#smram.update(this.config[SMRAM]);
    });
  }

  protected override onReset(): void {
    this.#smram.smm = false;
    this.#update();
  }

  protected override onLoad(): void {
    this.#update();
  }
}

/** The host bridge with its root bus and configuration ports. */
export class I440fxHost implements PciUpstream {
  readonly type = "i440FX-pcihost";
  readonly bus: PciBus;
  readonly config: PciHostConfig;
  readonly bridge: I440fx;
  /** PIRQA to PIRQD, connected by the ISA bridge. */
  pirq: readonly IrqLine[] = [];

  constructor(opts: I440fxOptions) {
    this.bus = new PciBus("pci.0", opts.mem, opts.io, this);
    this.config = new PciHostConfig(this.bus);
    this.bridge = this.bus.plug(new I440fx(opts), 0);
    opts.io.map(this.config.region, 0xcf8);
  }

  /** Slots rotate over the four wires; slot 1 (the ISA bridge's) has INTA on PIRQA. */
  route(devfn: number, pin: number): number {
    return (pin + (devfn >> 3) - 1) & 3;
  }

  setInterrupt(wire: number, level: boolean): void {
    this.pirq[wire]?.set(level);
  }

  forwards(): boolean {
    return true;
  }
}
