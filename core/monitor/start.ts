/** Starts the monitors of a configuration on their character devices. */
import type { MonitorTarget } from "./target.ts";

export function startMonitors(_target: MonitorTarget): void {}
