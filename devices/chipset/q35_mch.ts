/**
 * Intel 82G33/Q35 memory controller hub, datasheet 316966: host bridge of QEMU's `q35` machine. PAM,
 * system management RAM (compatible, TSEG, QEMU's SMBASE area), and the memory-mapped configuration
 * space of PCI Express (PCIEXBAR).
 */
import type { AddressSpace, Mapping } from "../../core/memory/address_space.ts";
import { type AccessSize, type IoRegion, ioRegion } from "../../core/memory/region.ts";
import { Pam, type PamOptions } from "./pam.ts";
import { PciBus, PciDevice, type PciUpstream } from "./pci.ts";
import { PciHostConfig } from "./pci_host.ts";
import { CompatibleSmram, lockSmram, SMRAM_DEFAULT, smramEnabled, smramOpen } from "./smram.ts";

/** QEMU's own registers: size of the extended TSEG in MiB, and a switch for RAM at 30000h. */
const EXT_TSEG_MBYTES = 0x50, F_SMBASE = 0x9c;
const PCIEXBAR = 0x60;
const PAM0 = 0x90, PAM6 = 0x96, SMRAM = 0x9d, ESMRAMC = 0x9e;

const PCIEXBAR_DEFAULT = 0xb0000000;
const PCIEXBAREN = 1, PCIEXBAR_LENGTH = 6, PCIEXBAR_LENGTH_SHIFT = 1;
/** PCIEXBAR's address bits 35–26; the length decides how many of the low ones count. */
const ADDRESS_MASK_HIGH = 0x0f, MIB = 1 << 20;

const T_EN = 0x01, TSEG_SIZE = 0x06, D_LOCK = 0x10;
/** Cache bits of ESMRAMC, always set: SMRAM is write-back nowhere. */
const ESMRAMC_FIXED = 0x38;
const EXT_TSEG_QUERY = 0xffff;
const SMBASE_QUERY = 0xff, SMBASE_IS_RAM = 0x01, SMBASE_LOCKED = 0x02;
const SMBASE_AREA = 0x30000, SMBASE_SIZE = 0x20000;

/** Over RAM (0) and BARs, under PAM's segments (1) and the APIC window. */
const ECAM_PRIORITY = 0.25, TSEG_PRIORITY = 0.75, SMBASE_PRIORITY = 0.8;

export interface Q35Options extends PamOptions {
  readonly io: AddressSpace;
  /** Bytes of RAM below 4 GiB: TSEG is at its end. */
  readonly lowRam: number;
  /** Size of the extended TSEG, MiB; 16 as QEMU has it. */
  readonly extTsegMbytes?: number;
}

/** Function 0 of slot 0. */
export class Q35Mch extends PciDevice {
  override readonly type = "mch";
  readonly #pam: Pam;
  readonly #smram: CompatibleSmram;
  readonly #o: Q35Options;
  readonly #ecam: readonly IoRegion[];
  #ecamMapping: Mapping | undefined;
  /** Covers TSEG (or the SMBASE area) while no vCPU is in system management mode. */
  #tseg: Mapping | undefined;
  #smbase: Mapping | undefined;
  #smm = false;

  constructor(o: Q35Options, ecam: readonly IoRegion[]) {
    super({ vendor: 0x8086, device: 0x29c0, classCode: 0x060000 }, () => ({}));
    this.#o = o;
    this.#ecam = ecam;
    this.initConfig16(EXT_TSEG_MBYTES, o.extTsegMbytes ?? 16);
    this.initConfig32(PCIEXBAR, PCIEXBAR_DEFAULT);
    this.initConfig8(SMRAM, SMRAM_DEFAULT);
    this.initConfig8(ESMRAMC, ESMRAMC_FIXED);
    this.#pam = new Pam(o, this.config, PAM0);
    this.#smram = new CompatibleSmram(o.mem, o.ram);
    this.#update();
  }

  /** A vCPU enters or leaves system management mode. */
  setSmm(active: boolean): void {
    this.#smm = this.#smram.smm = active;
    this.#update();
  }

  get smramOpen(): boolean {
    return smramOpen(this.config[SMRAM]);
  }

  /** System management mode has SMRAM. */
  get smramEnabled(): boolean {
    return smramEnabled(this.config[SMRAM]);
  }

  segments(): { base: number; size: number; attribute: number }[] {
    return this.#pam.segments();
  }

  /** Base and size of the memory-mapped configuration space, or undefined while it is off. */
  get pciexbar(): { base: number; size: number } | undefined {
    const low = this.configView.getUint32(PCIEXBAR, true);
    if ((low & PCIEXBAREN) === 0) return undefined;
    const length = (low & PCIEXBAR_LENGTH) >> PCIEXBAR_LENGTH_SHIFT;
    if (length > 2) return undefined; // reserved
    const size = (256 >> length) * MIB;
    const high = this.config[PCIEXBAR + 4] & ADDRESS_MASK_HIGH;
    const base = (low & 0xfc000000) >>> 0;
    return { base: base - base % size + high * 2 ** 32, size };
  }

  /** Base and size of TSEG, or undefined while it is off. */
  get tseg(): { base: number; size: number } | undefined {
    const esmramc = this.config[ESMRAMC];
    if ((esmramc & T_EN) === 0) return undefined;
    const size = [1, 2, 8, this.#o.extTsegMbytes ?? 16][(esmramc & TSEG_SIZE) >> 1] * MIB;
    return size > this.#o.lowRam ? undefined : { base: this.#o.lowRam - size, size };
  }

  override configWrite(offset: number, size: AccessSize, value: number): void {
    const smram = this.config[SMRAM], esmramc = this.config[ESMRAMC];
    const tseg = this.configView.getUint16(EXT_TSEG_MBYTES, true), smbase = this.config[F_SMBASE];
    super.configWrite(offset, size, value);
    const end = offset + size;
    this.config[SMRAM] = lockSmram(smram, this.config[SMRAM]);
    this.config[ESMRAMC] = smram & D_LOCK
      ? esmramc
      : (this.config[ESMRAMC] & (T_EN | TSEG_SIZE)) | ESMRAMC_FIXED;
    if (offset < EXT_TSEG_MBYTES + 2 && end > EXT_TSEG_MBYTES) this.#writeExtTseg(tseg);
    if (offset <= F_SMBASE && end > F_SMBASE) this.#writeSmbase(smbase);
    if (
      (offset <= PAM6 && end > PAM0) || (offset < PCIEXBAR + 8 && end > PCIEXBAR) ||
      (offset <= ESMRAMC && end > F_SMBASE)
    ) this.#update();
  }

  /** Software writes FFFFh to ask for the size, and reads it; other values change nothing. */
  #writeExtTseg(before: number): void {
    const v = this.configView, asked = v.getUint16(EXT_TSEG_MBYTES, true) === EXT_TSEG_QUERY;
    v.setUint16(EXT_TSEG_MBYTES, asked ? this.#o.extTsegMbytes ?? 16 : before, true);
  }

  /** FFh asks whether RAM at 30000h can be had (01h); then 01h shows it, 02h locks it for SMM. */
  #writeSmbase(before: number): void {
    const value = this.config[F_SMBASE];
    if (before === SMBASE_LOCKED) this.config[F_SMBASE] = before;
    else if (value === SMBASE_QUERY) this.config[F_SMBASE] = SMBASE_IS_RAM;
    else if (value !== SMBASE_LOCKED && value !== SMBASE_IS_RAM) this.config[F_SMBASE] = 0;
  }

  #update(): void {
    const { mem } = this.#o;
    mem.transaction(() => {
      this.#pam.update();
      this.#smram.update(this.config[SMRAM]);
      this.#placeEcam();
      this.#coverSmram();
    });
  }

  #placeEcam(): void {
    const { mem } = this.#o, bar = this.pciexbar, m = this.#ecamMapping;
    if (m?.base === bar?.base && m?.region.size === bar?.size) return;
    if (m !== undefined) mem.unmap(m);
    this.#ecamMapping = undefined;
    const region = this.#ecam.find((r) => r.size === bar?.size);
    if (bar === undefined || region === undefined || bar.base === 0) return;
    this.#ecamMapping = mem.map(region, bar.base, ECAM_PRIORITY);
  }

  /** TSEG and a locked SMBASE area are hidden from everybody but SMM code. */
  #coverSmram(): void {
    const tseg = this.#smm ? undefined : this.tseg;
    this.#tseg = this.#cover(
      this.#tseg,
      "tseg-blackhole",
      tseg?.base,
      tseg?.size ?? 0,
      TSEG_PRIORITY,
    );
    const locked = !this.#smm && this.config[F_SMBASE] === SMBASE_LOCKED;
    this.#smbase = this.#cover(
      this.#smbase,
      "smbase-blackhole",
      locked ? SMBASE_AREA : undefined,
      SMBASE_SIZE,
      SMBASE_PRIORITY,
    );
  }

  #cover(
    old: Mapping | undefined,
    name: string,
    base: number | undefined,
    size: number,
    priority: number,
  ): Mapping | undefined {
    const { mem } = this.#o;
    if (old?.base === base && (base === undefined || old?.region.size === size)) return old;
    if (old !== undefined) mem.unmap(old);
    if (base === undefined) return undefined;
    const hole = ioRegion(name, size, { read: () => 0xffffffff, write: () => {} });
    return mem.map(hole, base, priority);
  }

  protected override onReset(): void {
    this.#smm = this.#smram.smm = false;
    this.#update();
  }

  protected override onLoad(): void {
    this.#update();
  }
}

/** The host bridge with its root bus, configuration ports and memory-mapped configuration space. */
export class Q35Host implements PciUpstream {
  readonly type = "q35-pcihost";
  readonly bus: PciBus;
  readonly config: PciHostConfig;
  readonly bridge: Q35Mch;
  /** Interrupt pin 0–3 of a slot; the LPC bridge decides which PIRQ that is. */
  setPin: (slot: number, pin: number, level: boolean) => void = () => {};

  constructor(o: Q35Options) {
    this.bus = new PciBus("pcie.0", o.mem, o.io, this);
    this.config = new PciHostConfig(this.bus);
    const ecam = [256, 128, 64].map((mib) => this.#ecamRegion(mib * MIB));
    this.bridge = this.bus.plug(new Q35Mch(o, ecam), 0);
    o.io.map(this.config.region, 0xcf8);
  }

  /** Enhanced configuration access: bus, device and function are bits 27–12 of the address. */
  #ecamRegion(size: number): IoRegion {
    return ioRegion("pcie-mmcfg-mmio", size, {
      read: (offset, access) => {
        const dev = this.bus.find(offset >>> 20, (offset >>> 12) & 0xff), at = offset & 0xfff;
        if (dev === undefined || at + access > dev.config.length) {
          return access === 4 ? 0xffffffff : access === 2 ? 0xffff : 0xff;
        }
        return dev.configRead(at, access);
      },
      write: (offset, access, value) => {
        const dev = this.bus.find(offset >>> 20, (offset >>> 12) & 0xff), at = offset & 0xfff;
        if (dev === undefined || at + access > dev.config.length) return;
        dev.configWrite(at, access, value);
      },
    });
  }

  route(devfn: number, pin: number): number {
    return (devfn >> 3) * 4 + pin;
  }

  setInterrupt(wire: number, level: boolean): void {
    this.setPin(wire >> 2, wire & 3, level);
  }

  forwards(): boolean {
    return true;
  }
}
