/** What 64-bit Linux finds out about its processors is what it finds under QEMU's TCG. */
import { assertEquals } from "@std/assert";
import { beside } from "./beside.ts";

/**
 * Linux's names for features that only one of the two processors has: docs/cpu-models.md. It finds
 * some of them by other signs as well.
 */
const DIFFERENT = new Set(
  ("3dnowprefetch avx512f avx512cd avx512bw avx512dq avx512vl gfni invpcid invpcid_single pcid " +
    "rdpid rdseed sha_ni tsc_deadline_timer vme vpclmulqdq x2apic xsavec " +
    "cr8_legacy mpx npt pcommit svm vgif").split(" "),
);

const CPUINFO = "grep -vE 'MHz|bogomips' /proc/cpuinfo";
const TOPOLOGY = "cd /sys/devices/system/cpu; grep -rs . cpu*/topology cpu*/cache | sort; cd /";

for (
  const line of [
    "4",
    "4,sockets=2,cores=2",
    "4,sockets=1,cores=2,threads=2",
    "4,sockets=2,dies=1,cores=1,threads=2 -cpu EPYC",
    "2,cores=2 -cpu Nehalem",
    "4,cores=4 -cpu Skylake-Client",
  ]
) {
  const [smp, ...cpu] = line.split(" ");
  const machine = ["-M", "q35", "-smp", smp, ...cpu];
  const title = `-smp ${line}: /proc/cpuinfo and topology as under QEMU`;
  beside(title, machine, Number(smp[0]), "cloud", [CPUINFO, TOPOLOGY], (ours, theirs) => {
    const both = (f: string) => !DIFFERENT.has(f);
    const split = (text: string) => {
      const flags = /^flags\s*: (.*)$/m.exec(text)?.[1].split(" ") ?? [];
      // Bugs follow from flags.
      return { flags, rest: text.replaceAll(/^flags.*$|^bugs.*$/gm, "") };
    };
    const [a, b] = [split(ours[0]), split(theirs[0])];
    assertEquals(a.rest, b.rest);
    assertEquals(a.flags.filter(both), b.flags.filter(both));
    assertEquals(ours[1], theirs[1]);
  });
}
