/** What distinguishes QEMU's `pc` from its `q35` board: host bridge, south bridge, disk controller. */
import type { BusNode } from "../../core/qdev.ts";
import type { PciBus } from "../chipset/pci.ts";
import type { PciHostConfig } from "../chipset/pci_host.ts";
import type { AtaDevice } from "../storage/ata_device.ts";
import type { MtreeNode } from "./mtree.ts";
import type { SleepStates } from "./pc_fwcfg.ts";

// deno-lint-ignore no-explicit-any -- a bus takes devices of any state type
export type AnyAtaDevice = AtaDevice<any>;

/** A bus for disks: two units on an IDE channel, one on a SATA port. */
export interface DiskBus {
  readonly node: BusNode;
  /** What is at each unit. */
  readonly units: readonly (AnyAtaDevice | undefined)[];
  /** Queued commands a disk on it takes at a time. */
  readonly queueDepth: number;
  attach(unit: number, device: AnyAtaDevice): void;
  /** Device path of a unit, for `bootorder`. */
  path(unit: number): string;
}

/** The host bridge's side that both boards have: PAM and SMRAM. */
export interface HostBridge {
  /** A vCPU enters (or leaves) system management mode. */
  setSmm(active: boolean): void;
  /** PAM segments with their attributes (bit 0 reads, bit 1 writes go to RAM). */
  segments(): { base: number; size: number; attribute: number }[];
  readonly smramOpen: boolean;
  /** System management mode has SMRAM (G_SMRAME). */
  readonly smramEnabled: boolean;
}

/** Made after the firmware configuration device, with the root bus and the ISA bus in it. */
export interface Chipset {
  readonly bus: PciBus;
  readonly pciNode: BusNode;
  readonly isaNode: BusNode;
  readonly hostConfig: PciHostConfig;
  /** GSIs that HPET timers can have: Tn_INT_ROUTE_CAP. */
  readonly hpetRoutes: number;
  /** Display adapters come after disks and power management, not before. */
  readonly displayLast: boolean;
  /** A floppy controller is there without drives, too. */
  readonly alwaysFloppy: boolean;
  /** Device path of the ISA bridge, for `bootorder`. */
  readonly isaPath: string;
  readonly sleepStates: SleepStates;
  /** `info mtree`'s name of the port CF9h. */
  readonly resetControlName: string;
  /** Adds the disk controller, when the ISA devices are there, and gives its buses. */
  addDisks(): DiskBus[];
  /** Adds power management and the SMBus. */
  addPowerManagement(): void;
  powerButton(): void;
  /** Ends ACPI S3: shows the cause. */
  wake(cause: "power-button" | "rtc" | "other"): void;
  /** Decodes what the processor sees below 1 MiB and in system management mode. */
  readonly bridge: HostBridge;
  /** Base of the memory-mapped PCI configuration space, on a chip set that has one. */
  pciexbar?(): number | undefined;
  /** Containers of the port space in `info mtree` and what they cover. */
  portContainers(): MtreeNode[];
}
