/** The kernels of the conformance set. */
import type { Kernel, LeaveOut } from "./kernel.ts";
import { Kernel64 } from "./kernel64.ts";
import { localApic, x2apic } from "./apic64.ts";
import { ioApic } from "./ioapic64.ts";
import { Kernel32 } from "./kernel32.ts";
import { segments } from "./segments32.ts";
import { pagingLegacy, tasks } from "./tasks32.ts";
import { calls, debug, xsave } from "./calls64.ts";
import { TEST_DEVICES, testDevices } from "./testdev32.ts";
import { control } from "./control64.ts";
import { smp } from "./smp64.ts";
import { alignment } from "./align64.ts";
import { instructionFaults } from "./faults64.ts";
import { implicitAccess, protectionKeys } from "./keys64.ts";
import { segmentLoads, systemSegments } from "./selectors64.ts";
import { gates } from "./gates64.ts";
import { pdptes } from "./pdptes32.ts";
import { accessRights } from "./paging64.ts";
import { translation } from "./translation64.ts";

function kernel<K extends Kernel>(k: K, ...suites: ((k: K) => void)[]): K {
  for (const s of suites) s(k);
  return k;
}

/** By name; some checks may be left out. */
export const suites: Readonly<Record<string, (leaveOut?: LeaveOut) => Kernel>> = {
  paging4: (w) =>
    kernel(new Kernel64(w), accessRights, translation, protectionKeys, implicitAccess),
  paging5: (w) => kernel(new Kernel64(w, 5), accessRights, translation, implicitAccess),
  system: (w) =>
    kernel(
      new Kernel64(w),
      control,
      instructionFaults,
      alignment,
      gates,
      segmentLoads,
      systemSegments,
      calls,
      debug,
      xsave,
    ),
  apic: (w) => kernel(new Kernel64(w, 4, ["-device", "pc-testdev"]), localApic, x2apic, ioApic),
  smp: (w) => kernel(new Kernel64(w, 4, ["-smp", "4"]), smp),
  legacy: (w) => kernel(new Kernel32(w), segments, tasks),
  devices: (w) => kernel(new Kernel32(w, "none", TEST_DEVICES), testDevices),
  paging32: (w) => kernel(new Kernel32(w, "two"), pagingLegacy),
  pae: (w) => kernel(new Kernel32(w, "pae"), pagingLegacy, pdptes),
};
