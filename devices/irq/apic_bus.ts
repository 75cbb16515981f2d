/**
 * What connects the local APICs: interrupt messages between them, from I/O APICs and from PCI
 * devices (MSI), and the one MMIO window in which each processor sees its own registers. Intel SDM
 * volume 3A, 11.6 ("Issuing Interprocessor Interrupts") and 11.11 ("Message Signalled Interrupts").
 */
import type { Clock } from "../../core/clock.ts";
import type { IrqLine } from "../../core/device.ts";
import type { AddressSpace, Mapping } from "../../core/memory/address_space.ts";
import { type IoRegion, ioRegion } from "../../core/memory/region.ts";
import {
  APIC_BASE_DEFAULT,
  type ApicCpu,
  type ApicFeatures,
  type ApicWires,
  Lapic,
  LAPIC_STATE_SIZE,
} from "./lapic.ts";
import { Delivery, Reg } from "./lapic_registers.ts";

/** Priority of the APIC windows over what lies below, as QEMU's. */
const WINDOW_PRIORITY = 4096;
const PAGE = 0x1000;

export interface ApicBusOptions {
  readonly clock: Clock;
  /** Index of the vCPU whose access is being served, or -1 when it is a device's. */
  readonly currentVcpu: () => number;
  /** INTA cycle to the 8259 pair. */
  readonly picAcknowledge: () => number;
}

export class ApicBus implements ApicWires {
  readonly lapics: Lapic[] = [];
  /** To every LINT0 pin: the 8259's INT goes here. */
  readonly lint0: IrqLine = {
    set: (level) => {
      this.#lint0 = level;
      for (const l of this.lapics) l.setLint(0, level);
    },
  };
  /** FEE00000h–FEEFFFFFh: the default register page and, above it, the MSI window. */
  readonly region: IoRegion = this.#window("apic-msi", APIC_BASE_DEFAULT, 0x100000);
  readonly #o: ApicBusOptions;
  readonly #eoiListeners: ((vector: number) => void)[] = [];
  readonly #moved = new Map<number, Mapping>();
  #space: AddressSpace | undefined;
  #lint0 = false;

  constructor(o: ApicBusOptions) {
    this.#o = o;
  }

  /**
   * Makes the local APIC of a processor. `memory` is where its state lives, for sharing with other
   * threads: {@link LAPIC_STATE_SIZE} bytes at a multiple of 8; private when left out.
   */
  add(
    cpu: ApicCpu,
    bsp: boolean,
    opts: ApicFeatures & { memory?: { buffer: ArrayBufferLike; offset: number } } = {},
  ): Lapic {
    const { memory: given, ...features } = opts;
    const memory = given ?? { buffer: new ArrayBuffer(LAPIC_STATE_SIZE), offset: 0 };
    const { clock } = this.#o;
    const lapic = new Lapic({ cpu, bsp, clock, wires: this, ...memory, ...features });
    this.lapics[cpu.index] = lapic;
    lapic.setLint(0, this.#lint0);
    return lapic;
  }

  /** Maps {@link region}, and register pages elsewhere while IA32_APIC_BASE asks for them. */
  attach(space: AddressSpace): void {
    this.#space = space;
    space.map(this.region, APIC_BASE_DEFAULT, WINDOW_PRIORITY);
    this.baseChanged();
  }

  /** `f` hears of every level-triggered vector that a processor has ended. */
  onEoi(f: (vector: number) => void): void {
    this.#eoiListeners.push(f);
  }

  /**
   * Delivers a message to the processors that `dest` names, or to the one of them with the lowest
   * priority.
   * @param dest 8-bit APIC ID (physical, FFh for all) or MDA (logical); 32-bit when `wide`
   * @param mode a {@link Delivery} mode
   * @param level trigger mode
   * @returns whether some processor took it
   */
  deliver(
    dest: number,
    logical: boolean,
    mode: number,
    vector: number,
    level: boolean,
    wide = false,
  ): boolean {
    if (mode === Delivery.lowestPriority) {
      let best: Lapic | undefined;
      for (const l of this.lapics) {
        if (!l.softwareEnabled || !l.matches(dest, logical, wide)) continue;
        if (best === undefined || l.ppr < best.ppr) best = l;
      }
      return best !== undefined && best.accept(mode, vector, level);
    }
    let taken = false;
    for (const l of this.lapics) {
      if (l.matches(dest, logical, wide) && l.accept(mode, vector, level)) taken = true;
    }
    return taken;
  }

  /** A PCI device's message: a 32-bit write of `data` to `address` in FEEx_xxxxh. */
  msi(address: number, data: number): void {
    const dest = (address >>> 12) & 0xff, logical = (address & 4) !== 0;
    this.deliver(dest, logical, (data >> 8) & 7, data & 0xff, (data & 0x8000) !== 0);
  }

  /** A pulse on every LINT1 pin: what the NMI button, or HMP `nmi`, does. */
  nmi(): void {
    for (const l of this.lapics) {
      l.setLint(1, true);
      l.setLint(1, false);
    }
  }

  sendIpi(source: Lapic): void {
    const icr = source.reg(Reg.ICR_LOW), mode = (icr >> 8) & 7, vector = icr & 0xff;
    const level = (icr & 0x8000) !== 0, assert = (icr & 0x4000) !== 0;
    if (mode === Delivery.init && level && !assert) {
      for (const l of this.lapics) l.synchronizeArbitration();
      return;
    }
    const shorthand = (icr >> 18) & 3;
    if (shorthand === 0) {
      const high = source.reg(Reg.ICR_HIGH), wide = source.x2apic;
      const dest = wide ? high : high >>> 24;
      this.deliver(dest, (icr & 0x800) !== 0, mode, vector, level, wide);
      return;
    }
    if (shorthand === 1) {
      source.accept(mode, vector, level);
      return;
    }
    if (mode === Delivery.lowestPriority && shorthand === 2) {
      this.deliver(0xff, false, mode, vector, level);
      return;
    }
    for (const l of this.lapics) {
      if (shorthand === 2 || l !== source) l.accept(mode, vector, level);
    }
  }

  broadcastEoi(vector: number): void {
    for (const f of this.#eoiListeners) f(vector);
  }

  picAcknowledge(): number {
    return this.#o.picAcknowledge();
  }

  baseChanged(): void {
    const space = this.#space;
    if (space === undefined) return;
    const wanted = new Set<number>();
    for (const l of this.lapics) {
      if (l.enabled && !l.x2apic && l.baseAddress !== APIC_BASE_DEFAULT) wanted.add(l.baseAddress);
    }
    for (const [base, mapping] of this.#moved) {
      if (wanted.has(base)) continue;
      space.unmap(mapping);
      this.#moved.delete(base);
    }
    for (const base of wanted) {
      if (this.#moved.has(base) || base + PAGE > space.size) continue;
      const page = this.#window("apic", base, PAGE);
      this.#moved.set(base, space.map(page, base, WINDOW_PRIORITY + 1));
    }
  }

  /** The current vCPU's APIC, if its registers are to be seen at `base`. */
  #at(base: number): Lapic | undefined {
    const l = this.lapics[this.#o.currentVcpu()];
    return l !== undefined && l.enabled && !l.x2apic && l.baseAddress === base ? l : undefined;
  }

  #window(name: string, base: number, size: number): IoRegion {
    return ioRegion(name, size, {
      minAccess: 4,
      read: (offset) => {
        const l = offset < PAGE ? this.#at(base) : undefined;
        return l === undefined ? 0xffffffff : l.read(offset);
      },
      write: (offset, _size, value) => {
        // Messages share the page: its first 16 bytes, reserved in an APIC, are destination 0.
        if (offset >= 16 && offset < PAGE && this.#o.currentVcpu() >= 0) {
          this.#at(base)?.write(offset, value);
        } else if (base === APIC_BASE_DEFAULT) this.msi(base + offset, value);
      },
    });
  }
}
