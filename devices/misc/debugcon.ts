/**
 * Bochs' debug console: bytes written to its port go to a chardev. Port E9h (`isa-debugcon`), or 402h
 * where SeaBIOS and OVMF write their log. Reading gives E9h, by which firmware detects it.
 */
import type { ChardevFrontend, ChardevPort } from "../../core/chardev/chardev.ts";
import type { Device, DeviceState } from "../../core/device.ts";
import { ioRegion } from "../../core/memory/region.ts";

export class DebugCon implements Device, ChardevFrontend {
  readonly type = "isa-debugcon";
  readonly region = ioRegion("isa-debugcon", 1, {
    maxAccess: 1,
    read: () => this.readback,
    write: (_offset, _size, value) => this.#port?.write(new Uint8Array([value])),
  });
  #port: ChardevPort | undefined;

  /** @param readback what a read of the port gives (`readback=`) */
  constructor(private readonly readback = 0xe9) {}

  attach(port: ChardevPort): void {
    this.#port = port;
  }
  get chardev(): ChardevPort | undefined {
    return this.#port;
  }
  canReceive(): number {
    return 0;
  }
  receive(): void {}
  event(): void {}
  reset(): void {}
  save(): DeviceState {
    return {};
  }
  load(): void {}
}
