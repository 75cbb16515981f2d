/** 64-bit Linux complains of nothing that it does not complain of under QEMU's TCG. */
import { assertEquals } from "@std/assert";
import { beside } from "./beside.ts";
import { complaints } from "./linux_shell.ts";

for (const machine of ["pc", "q35"]) {
  for (const flavour of ["amd64", "cloud"] as const) {
    const title =
      `Debian's ${flavour} kernel on ${machine}, 2 vCPUs: no complaint that QEMU has not`;
    beside(title, ["-M", machine, "-smp", "2"], 2, flavour, ["dmesg -r"], ([ours], [theirs]) => {
      const known = new Set(complaints(theirs));
      assertEquals(complaints(ours).filter((c) => !known.has(c)), []);
    });
  }
}
