/** The kernels of the conformance set. */
import type { Kernel } from "./kernel.ts";
import { Kernel64 } from "./kernel64.ts";
import { accessRights } from "./paging64.ts";
import { implicitAccess, protectionKeys, translation } from "./translation64.ts";

function kernel<K extends Kernel>(k: K, ...suites: ((k: K) => void)[]): K {
  for (const s of suites) s(k);
  return k;
}

/** By name; without the checks of some CPUID features. */
export const suites: Readonly<Record<string, (without?: ReadonlySet<string>) => Kernel>> = {
  paging4: (w) =>
    kernel(new Kernel64(w), accessRights, translation, protectionKeys, implicitAccess),
  paging5: (w) => kernel(new Kernel64(w, 5), accessRights, translation, implicitAccess),
};
