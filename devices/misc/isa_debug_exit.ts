/** QEMU's `isa-debug-exit`: a write of V ends the emulator with status (V << 1) | 1. */
import type { Device, DeviceState } from "../../core/device.ts";
import { type IoRegion, ioRegion } from "../../core/memory/region.ts";

export class IsaDebugExit implements Device {
  readonly type = "isa-debug-exit";
  readonly region: IoRegion;

  /**
   * @param exit called with the process's exit status, 0–255
   * @param iosize ports taken: 1 to 4
   */
  constructor(exit: (status: number) => void, iosize = 2) {
    this.region = ioRegion("isa-debug-exit", iosize, {
      read: () => 0,
      write: (_offset, _size, value) => exit(((value << 1) | 1) & 0xff),
    });
  }

  reset(): void {}
  save(): DeviceState {
    return {};
  }
  load(): void {}
}
