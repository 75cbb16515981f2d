/**
 * A PCI-to-PCI bridge as QEMU's `pci-bridge` (1b36:0001): type 1 header, windows, a secondary bus.
 * PCI-to-PCI Bridge Architecture Specification 1.2, chapter 3.
 */
import type { AddressSpace } from "../../core/memory/address_space.ts";
import type { AccessSize } from "../../core/memory/region.ts";
import { PciBus, PciDevice, type PciUpstream } from "./pci.ts";
import * as R from "./pci_regs.ts";

export interface BridgeWindow {
  base: number;
  /** The last address passed down; below `base` when the window is closed. */
  limit: number;
}

export interface PciBridgeOptions {
  readonly mem: AddressSpace;
  readonly io: AddressSpace;
  /** Name of the secondary bus, such as `pci.1`. */
  readonly busName: string;
  /** Position of the secondary bus among the machine's buses: 1 and up. */
  readonly busIndex: number;
}

export class PciBridge extends PciDevice {
  override readonly type = "pci-bridge";
  readonly secondary: PciBus;

  constructor(o: PciBridgeOptions) {
    super({ vendor: 0x1b36, device: 0x0001, classCode: 0x060400, interruptPin: 1 }, () => ({}), 1);
    this.initConfig16(R.PCI_STATUS, R.PCI_STATUS_66MHZ | R.PCI_STATUS_FAST_BACK);
    this.wmask.fill(0xff, R.PCI_PRIMARY_BUS, R.PCI_SUBORDINATE_BUS + 2); // and latency timer
    this.wmask[R.PCI_IO_BASE] = this.wmask[R.PCI_IO_LIMIT] = 0xf0;
    this.w1cmask[R.PCI_SEC_STATUS + 1] = R.PCI_STATUS_W1C >> 8;
    for (
      const at of [
        R.PCI_MEMORY_BASE,
        R.PCI_MEMORY_LIMIT,
        R.PCI_PREF_MEMORY_BASE,
        R.PCI_PREF_MEMORY_LIMIT,
      ]
    ) this.setMask16(at, 0xfff0);
    this.setMask32(R.PCI_PREF_BASE_UPPER32, 0xffffffff);
    this.setMask32(R.PCI_PREF_LIMIT_UPPER32, 0xffffffff);
    this.initConfig16(R.PCI_PREF_MEMORY_BASE, 1);
    this.initConfig16(R.PCI_PREF_MEMORY_LIMIT, 1);
    this.setMask16(R.PCI_BRIDGE_CONTROL, 0x0fff);
    this.secondary = new PciBus(o.busName, o.mem, o.io, this.#upstream(), o.busIndex);
    this.secondary.bridge = this;
  }

  /** The three windows as programmed. */
  get windows(): { io: BridgeWindow; mem: BridgeWindow; prefetch: BridgeWindow } {
    const v = this.configView;
    const high = (at: number) => v.getUint32(at, true) * 2 ** 32;
    const top = (at: number) => (v.getUint16(at, true) & 0xfff0) * 0x10000;
    return {
      io: {
        base: (v.getUint8(R.PCI_IO_BASE) & 0xf0) << 8,
        limit: ((v.getUint8(R.PCI_IO_LIMIT) & 0xf0) << 8) | 0xfff,
      },
      mem: { base: top(R.PCI_MEMORY_BASE), limit: top(R.PCI_MEMORY_LIMIT) + 0xfffff },
      prefetch: {
        base: top(R.PCI_PREF_MEMORY_BASE) + high(R.PCI_PREF_BASE_UPPER32),
        limit: top(R.PCI_PREF_MEMORY_LIMIT) + high(R.PCI_PREF_LIMIT_UPPER32) + 0xfffff,
      },
    };
  }

  /** What the secondary bus sees of this bridge. Pins rotate with the slot (specification 9.1). */
  #upstream(): PciUpstream {
    return {
      forwards: (space, first, last) => this.#forwards(space, first, last),
      route: (devfn, pin) => (pin + (devfn >> 3)) & 3,
      setInterrupt: (pin, level) => this.bus?.setPin(this.devfn, pin, level),
    };
  }

  /** A window passes a range that lies in it as a whole, while the command register allows it. */
  #forwards(space: "io" | "mem", first: number, last: number): boolean {
    const w = this.windows;
    const enable = space === "io" ? R.PCI_COMMAND_IO : R.PCI_COMMAND_MEMORY;
    if (!(this.command & enable) || this.bus === undefined) return false;
    const inside = (b: BridgeWindow) => first >= b.base && last <= b.limit;
    if (space === "io" ? !inside(w.io) : !inside(w.mem) && !inside(w.prefetch)) return false;
    return this.bus.forwards(space, first, last, false);
  }

  protected override onConfigWrite(offset: number, size: AccessSize): void {
    const end = offset + size;
    this.secondary.number = this.config[R.PCI_SECONDARY_BUS];
    const control = R.PCI_BRIDGE_CONTROL;
    if (
      offset <= control && end > control && (this.config[control] & R.PCI_BRIDGE_CTL_BUS_RESET)
    ) this.secondary.reset();
    if (offset < R.PCI_IO_LIMIT_UPPER16 + 2 && end > R.PCI_COMMAND) this.#moveChildren();
  }

  #moveChildren(): void {
    for (const d of this.secondary.present()) {
      d.updateMappings();
      if (d instanceof PciBridge) d.#moveChildren();
    }
  }

  protected override onReset(): void {
    this.secondary.number = 0;
    this.secondary.reset();
    this.#moveChildren();
  }

  protected override onLoad(): void {
    this.secondary.number = this.config[R.PCI_SECONDARY_BUS];
    this.#moveChildren();
  }
}
