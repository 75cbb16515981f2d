/** Where QEMU 7.2's TCG does not do what the manual says, and what it does not have. */
import type { Kernel } from "./kernel.ts";
import type { Failure, Report } from "./run.ts";

/** CPUID features that TCG of QEMU 7.2 lacks: checks of them are left out there. */
export const LACKS: ReadonlySet<string> = new Set([
  "pcid",
  "invpcid",
  "x2apic",
  "tsc-deadline",
  "xsavec",
  "xsaves",
]);

/** Checks by name, and why QEMU's answer is another. */
export const known: readonly (readonly [RegExp, string])[] = [
  [
    /^P.*E with (reserved|bit 7)|^a page of . .iB with reserved|: (S|U)(R|W) NX, no NXE$/,
    "a reserved bit's error code lacks P",
  ],
  [/^SMAP: an LDT in a user page, despite AC$/, "AC overrides SMAP for implicit accesses too"],
];

/**
 * Takes out of a report what is known of QEMU; what is known but did not show counts as a failure, so
 * that this table stays true.
 */
export function judgeQemu(kernel: Kernel, r: Report): Report & { note: string } {
  const failures: Failure[] = [];
  const reason = (name: string) => known.find(([names]) => names.test(name))?.[1];
  const excused = new Set<string>();
  for (const f of r.failures) {
    if (reason(f.check.name) === undefined) failures.push(f);
    else excused.add(f.check.name);
  }
  for (const check of kernel.checks) {
    const why = reason(check.name);
    if (why !== undefined && !excused.has(check.name)) {
      failures.push({ check, what: `as the manual says, though qemu_known.ts has: ${why}` });
    }
  }
  const note = `, ${excused.size} known of QEMU, ${kernel.leftOut} of features it lacks left out`;
  return { ran: r.ran, failures, note };
}
