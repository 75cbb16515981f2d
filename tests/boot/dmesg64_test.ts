/** 64-bit Linux complains of nothing that it does not complain of under QEMU's TCG. */
import { assertEquals } from "@std/assert";
import { beside } from "./beside.ts";
import { complaints } from "./linux_shell.ts";

/** Said when the host has kept a virtual machine waiting, whichever it is. */
const LATE = [
  /^hrtimer: interrupt took N ns$/,
  /^clocksource: timekeeping watchdog on CPU\d+: \S+ retried N times/,
  /^sched: RT throttling activated$/,
];

const LINES = [
  ["cloud", "pc", 2],
  ["cloud", "q35", 1],
  ["amd64", "pc", 1],
  ["amd64", "q35", 2],
] as const;

for (const [flavour, machine, cpus] of LINES) {
  const title =
    `Debian's ${flavour} kernel on ${machine}, -smp ${cpus}: no complaint that QEMU has not`;
  const options = ["-M", machine, "-smp", String(cpus)];
  beside(title, options, cpus, flavour, ["dmesg -r"], ([ours], [theirs]) => {
    const known = new Set(complaints(theirs));
    const only = complaints(ours).filter((c) => !known.has(c) && !LATE.some((l) => l.test(c)));
    assertEquals(only, []);
  });
}
