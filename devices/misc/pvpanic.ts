/**
 * QEMU's pvpanic (docs/specs/pvpanic.txt): a guest's kernel says that it has crashed. Port 505h; a
 * read tells which events are understood.
 */
import type { Device, DeviceState } from "../../core/device.ts";
import { log } from "../../core/log.ts";
import { type IoRegion, ioRegion } from "../../core/memory/region.ts";

const PANICKED = 0x01, CRASH_LOADED = 0x02;

export type PvPanicEvent = "panicked" | "crash-loaded";

export class PvPanic implements Device {
  readonly type = "pvpanic";
  readonly region: IoRegion;

  /** @param events what a read gives (`events=`): bit 0 panicked, bit 1 crash loaded */
  constructor(notify: (event: PvPanicEvent) => void, readonly events = PANICKED | CRASH_LOADED) {
    this.region = ioRegion("pvpanic", 1, {
      maxAccess: 1,
      read: () => this.events,
      write: (_offset, _size, value) => {
        if (value & ~(PANICKED | CRASH_LOADED)) {
          log("guest_errors", `pvpanic: unknown event 0x${value.toString(16)}.`);
        }
        if (value & PANICKED) notify("panicked");
        else if (value & CRASH_LOADED) notify("crash-loaded");
      },
    });
  }

  reset(): void {}
  save(): DeviceState {
    return {};
  }
  load(): void {}
}
