/**
 * Intel 82441FX PCI and memory controller (PMC) of the 440FX chip set, datasheet 290549: host bridge,
 * programmable attribute map (PAM) and system management RAM control.
 */
import type { IrqLine } from "../../core/device.ts";
import type { AddressSpace, Mapping } from "../../core/memory/address_space.ts";
import type { RamBlock } from "../../core/memory/guest_memory.ts";
import {
  type AccessSize,
  type IoOps,
  ioRegion,
  type RamRegion,
  ramRegion,
  type Region,
} from "../../core/memory/region.ts";
import { PciBus, PciDevice, type PciUpstream } from "./pci.ts";
import { PciHostConfig } from "./pci_host.ts";

const DRAM_ROW_BOUNDARY = 0x57;
const PAM0 = 0x59, PAM6 = 0x5f;
const SMRAM = 0x72;
const PAM_READ = 1, PAM_WRITE = 2;
const SMRAM_D_OPEN = 0x40, SMRAM_D_CLOSED = 0x20, SMRAM_D_LOCK = 0x10, SMRAM_ENABLE = 0x08;
const SMRAM_C_BASE_A0000 = 0x02;

/** Segments in the order of the PAM nibbles: PAM0's high one, then low and high of PAM1 to PAM6. */
const SEGMENTS: readonly { base: number; size: number; register: number; shift: number }[] = [
  { base: 0xf0000, size: 0x10000, register: PAM0, shift: 4 },
  ...Array.from({ length: 12 }, (_, i) => ({
    base: 0xc0000 + i * 0x4000,
    size: 0x4000,
    register: PAM0 + 1 + (i >> 1),
    shift: i & 1 ? 4 : 0,
  })),
];

/**
 * Over RAM (0). Display adapters place their window at A0000 (1 and 2) over the hole in RAM there,
 * and SMRAM, while it is visible, covers them.
 */
const PAM_PRIORITY = 1, VIDEO_HOLE_PRIORITY = 0.5, SMRAM_PRIORITY = 3;

/** Read-only memory visible below 1 MiB while PAM sends reads to PCI. */
export interface LowRom {
  readonly base: number;
  readonly region: RamRegion;
}

export interface I440fxOptions {
  readonly mem: AddressSpace;
  readonly io: AddressSpace;
  /** RAM from address 0. At least 1 MiB of it is needed for shadowing. */
  readonly ram: RamBlock;
  /** Bytes of RAM, for the register that coreboot reads. */
  readonly ramSize: number;
  readonly lowRoms: readonly LowRom[];
}

/** Which of a segment's four attribute settings is in force: RE | WE. */
type Attribute = 0 | 1 | 2 | 3;

class Segment {
  readonly #mappings: (Mapping | undefined)[];

  /** All four views exist from the start; exactly one (or for plain RAM none) is enabled. */
  constructor(
    private readonly mem: AddressSpace,
    ram: RamBlock,
    base: number,
    size: number,
    rom: RamRegion | undefined,
  ) {
    const shadow: IoOps = {
      read: () => 0xffffffff,
      write: (offset, access, value) => {
        const at = base + offset;
        if (access === 1) ram.view.setUint8(at, value);
        else if (access === 2) ram.view.setUint16(at, value, true);
        else ram.view.setUint32(at, value, true);
        mem.ramWritten(ram.offset + at, access);
      },
    };
    const hole: IoOps = { read: () => 0xffffffff, write: () => {} };
    const pci = rom ?? ioRegion("pam-pci", size, hole);
    const readOnly = ramRegion("pam-rom", ram, { size, blockOffset: base, readonly: true });
    const writeOnly: Region = rom
      ? { ...rom, name: "pam-shadow", writeOps: shadow }
      : ioRegion("pam-shadow", size, shadow);
    const place = (region: Region) => mem.map(region, base, PAM_PRIORITY, false);
    this.#mappings = [place(pci), place(readOnly), place(writeOnly), undefined];
  }

  set(attribute: Attribute): void {
    this.#mappings.forEach((m, i) => {
      if (m !== undefined && i !== attribute) this.mem.setEnabled(m, false);
    });
    const m = this.#mappings[attribute];
    if (m !== undefined) this.mem.setEnabled(m, true);
  }
}

/** Function 0 of slot 0. */
export class I440fx extends PciDevice {
  override readonly type = "i440FX";
  readonly #segments: Segment[];
  readonly #smram: Mapping;
  #smm = false;

  constructor(private readonly opts: I440fxOptions) {
    super({ vendor: 0x8086, device: 0x1237, revision: 2, classCode: 0x060000 }, () => ({}));
    this.initConfig8(DRAM_ROW_BOUNDARY, Math.min(255, opts.ramSize >> 23));
    this.initConfig8(SMRAM, SMRAM_C_BASE_A0000);
    const { mem, ram, lowRoms } = opts;
    this.#segments = SEGMENTS.map(({ base, size }) =>
      new Segment(mem, ram, base, size, romSlice(lowRoms, base, size))
    );
    const hole = ioRegion("smram-region", 0x20000, { read: () => 0xffffffff, write: () => {} });
    mem.map(hole, 0xa0000, VIDEO_HOLE_PRIORITY);
    this.#smram = mem.map(
      ramRegion("smram-low", ram, { blockOffset: 0xa0000, size: 0x20000 }),
      0xa0000,
      SMRAM_PRIORITY,
      false,
    );
    this.#update();
  }

  /**
   * A vCPU enters or leaves system management mode: between the two, SMRAM at A0000 is RAM if it
   * is enabled.
   */
  setSmm(active: boolean): void {
    this.#smm = active;
    this.#update();
  }

  get smramVisible(): boolean {
    const smram = this.config[SMRAM];
    if (smram & SMRAM_D_OPEN) return true;
    return this.#smm && (smram & SMRAM_ENABLE) !== 0 && (smram & SMRAM_D_CLOSED) === 0;
  }

  /** Whether SMRAM is shown to everybody. */
  get smramOpen(): boolean {
    return (this.config[SMRAM] & SMRAM_D_OPEN) !== 0;
  }

  /** The PAM segments with their attributes (bit 0 reads, bit 1 writes go to RAM). */
  segments(): { base: number; size: number; attribute: number }[] {
    const attributes = this.pamAttributes;
    return SEGMENTS.map(({ base, size }, i) => ({ base, size, attribute: attributes[i] }));
  }

  /** Attribute of each segment, F0000 first. */
  get pamAttributes(): number[] {
    return SEGMENTS.map((s) => (this.config[s.register] >> s.shift) & (PAM_READ | PAM_WRITE));
  }

  override configWrite(offset: number, size: AccessSize, value: number): void {
    const smram = this.config[SMRAM];
    super.configWrite(offset, size, value);
    if (smram & SMRAM_D_LOCK) {
      this.config[SMRAM] = smram;
    } else if (this.config[SMRAM] & SMRAM_D_LOCK) {
      // Locking closes the space for good: only a reset opens it again.
      this.config[SMRAM] &= ~SMRAM_D_OPEN;
    }
    const end = offset + size;
    if ((offset <= PAM6 && end > PAM0) || (offset <= SMRAM && end > SMRAM)) this.#update();
  }

  #update(): void {
    const { mem } = this.opts;
    mem.transaction(() => {
      this.pamAttributes.forEach((a, i) => this.#segments[i].set(a as Attribute));
      mem.setEnabled(this.#smram, this.smramVisible);
    });
  }

  protected override onReset(): void {
    this.#smm = false;
    this.#update();
  }

  protected override onLoad(): void {
    this.#update();
  }
}

function romSlice(roms: readonly LowRom[], base: number, size: number): RamRegion | undefined {
  for (const { base: at, region } of roms) {
    if (base >= at && base + size <= at + region.size) {
      return { ...region, size, blockOffset: region.blockOffset + base - at };
    }
  }
  return undefined;
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
