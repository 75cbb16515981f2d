/** The states of a board's devices by id, for saving a machine and loading it. */
import type { Device, DeviceState } from "../../core/device.ts";
import { UserError } from "../../core/errors.ts";

interface Named {
  readonly id: string;
  readonly device: Device;
}

export function saveDevices(devices: readonly Named[]): Map<string, DeviceState> {
  return new Map(devices.map(({ id, device }) => [id, device.save()]));
}

/** Throws UserError, before anything is loaded, when `states` is of a machine with other devices. */
export function loadDevices(
  devices: readonly Named[],
  states: ReadonlyMap<string, DeviceState>,
): void {
  for (const { id } of devices) {
    if (!states.has(id)) throw new UserError(`Missing section for device '${id}'`);
  }
  for (const id of states.keys()) {
    if (!devices.some((d) => d.id === id)) {
      throw new UserError(`Unknown savevm section or instance '${id}'`);
    }
  }
  for (const { id, device } of devices) device.load(states.get(id));
}
