/** Starts the monitors of a configuration on their character devices. */
import { UserError } from "../errors.ts";
import { HumanMonitor } from "./human.ts";
import type { MonitorTarget } from "./target.ts";

/** Attaches a monitor to the character device of each `-mon`. Throws UserError. */
export function startMonitors(target: MonitorTarget): void {
  for (const m of target.config.monitors) {
    const chardev = target.chardevs.get(m.chardev);
    if (chardev === undefined) throw new UserError(`chardev "${m.chardev}" not found`);
    if (m.mode === "readline") new HumanMonitor(target, chardev);
  }
}
