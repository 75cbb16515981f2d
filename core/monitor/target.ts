/** What a monitor (HMP, QMP, gdb) acts on. Boards implement it; `core` does not know them. */
import type { BlockGraph } from "../block/graph.ts";
import type { ChardevRegistry } from "../chardev/registry.ts";
import type { DisplaySource } from "../display/display.ts";
import type { InputRouter } from "../display/input.ts";
import type { Machine } from "../machine.ts";
import type { BusNode } from "../qdev.ts";
import type { DeviceOptions, MachineConfig } from "../options/config.ts";

/** The board's side: texts of `info` commands in QEMU's layout, and what commands do to it. */
export interface MonitorBoard {
  infoQtree(): string;
  /** The bus at the top of the tree of devices. */
  readonly root: BusNode;
  infoQdm(): string;
  infoPci(): string;
  /**
   * @param flat as ranges of addresses (`-f`) instead of a tree
   * @param owners with the path of the device that has each region (`-o`)
   */
  infoMtree(flat?: boolean, owners?: boolean): string;
  infoRoms(): string;
  infoPic(): string;
  infoIrq(): string;
  infoLapic(cpuIndex: number): string;
  /** `nmi`. */
  nmi(): void;
  /** `boot_set`. Throws UserError. */
  setBootOrder(order: string): void;
  /** `device_add` of what has been checked but for its place. Throws UserError. */
  plug(device: DeviceOptions): void;
  /** `device_del`: the device leaves at the next system reset. Throws UserError. */
  unplug(id: string): void;
  /** Ids of the devices that users have added. */
  pluggedIds(): string[];
  /** The bus that a device of a bus type gets when it names none. */
  defaultBus(type: string): string | undefined;
  readonly input: InputRouter;
  readonly display: DisplaySource | undefined;
  /** The memory balloon, if there is one. */
  readonly balloon?: MonitorBalloon;
  /** `info virtio`; empty without such devices. */
  infoVirtio?(): string;
}

export interface MonitorBalloon {
  /** Bytes that the guest has now. */
  readonly actual: number;
  /** Asks the guest to keep so many bytes. */
  setTarget(bytes: number): void;
}

export interface MonitorTarget {
  readonly config: MachineConfig;
  readonly machine: Machine;
  readonly board: MonitorBoard;
  readonly blocks: BlockGraph;
  readonly chardevs: ChardevRegistry;
  /** Warning to the user that is not a command's answer. */
  warn(text: string): void;
}
