/**
 * Programmable attribute map (PAM) of Intel's host bridges: which parts of C0000–FFFFF are RAM, for
 * reads and for writes apart. 82441FX datasheet 290549, 3.2.19; Q35 MCH datasheet 316966, 5.1.22.
 */
import type { AddressSpace, Mapping } from "../../core/memory/address_space.ts";
import type { RamBlock } from "../../core/memory/guest_memory.ts";
import {
  type IoOps,
  ioRegion,
  type RamRegion,
  ramRegion,
  type Region,
} from "../../core/memory/region.ts";

const PAM_READ = 1, PAM_WRITE = 2;
/** Over RAM (0). */
const PAM_PRIORITY = 1;

/** Segments in the order of the PAM nibbles: PAM0's high one, then low and high of PAM1 to PAM6. */
const SEGMENTS: readonly { base: number; size: number; register: number; shift: number }[] = [
  { base: 0xf0000, size: 0x10000, register: 0, shift: 4 },
  ...Array.from({ length: 12 }, (_, i) => ({
    base: 0xc0000 + i * 0x4000,
    size: 0x4000,
    register: 1 + (i >> 1),
    shift: i & 1 ? 4 : 0,
  })),
];

/** Read-only memory visible below 1 MiB while PAM sends reads to PCI. */
export interface LowRom {
  readonly base: number;
  readonly region: RamRegion;
}

export interface PamOptions {
  readonly mem: AddressSpace;
  /** RAM from address 0. At least 1 MiB of it is needed for shadowing. */
  readonly ram: RamBlock;
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

/** All segments of a host bridge. */
export class Pam {
  readonly #segments: Segment[];

  /** @param pam0 offset of register PAM0 in `config`; six more follow it */
  constructor(
    { mem, ram, lowRoms }: PamOptions,
    private readonly config: Uint8Array,
    private readonly pam0: number,
  ) {
    this.#segments = SEGMENTS.map(({ base, size }) =>
      new Segment(mem, ram, base, size, romSlice(lowRoms, base, size))
    );
  }

  /** Attribute of each segment (bit 0 reads, bit 1 writes go to RAM), F0000 first. */
  get attributes(): number[] {
    return SEGMENTS.map((s) =>
      (this.config[this.pam0 + s.register] >> s.shift) & (PAM_READ | PAM_WRITE)
    );
  }

  segments(): { base: number; size: number; attribute: number }[] {
    const { attributes } = this;
    return SEGMENTS.map(({ base, size }, i) => ({ base, size, attribute: attributes[i] }));
  }

  /** Shows what the registers say. */
  update(): void {
    this.attributes.forEach((a, i) => this.#segments[i].set(a as Attribute));
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
