/**
 * 64-bit Linux from CDs, through GRUB and isolinux, on both boards and several vCPUs: it reaches its
 * shell, complains of nothing that it does not complain of under QEMU, and powers off through ACPI.
 */
import { assertEquals, assertMatch } from "@std/assert";
import type { GuestName } from "../guests/guests.ts";
import { ask, complaints, shell } from "./linux_shell.ts";
import { booting, obtained, Session } from "./session.ts";

/** All kernels, boards and numbers of vCPUs, and QEMU beside them: `deno task test:long`. */
const LONG = Deno.env.has("QENO_LONG");
/** Seconds until a prompt at most. */
const LIMIT = 900;
const QEMU = "qemu-system-x86_64";

async function haveQemu(): Promise<boolean> {
  try {
    return (await new Deno.Command(QEMU, { args: ["-version"], stdout: "null" }).output()).success;
  } catch {
    return false;
  }
}

interface Boot {
  readonly loader: "GRUB" | "isolinux";
  readonly guest: GuestName;
  readonly machine: "pc" | "q35";
  readonly cpus: number;
}

const EVERY_DAY: Boot[] = [{ loader: "GRUB", guest: "linuxcloud-grub", machine: "pc", cpus: 1 }];
const BOOTS: Boot[] = LONG
  ? (["pc", "q35"] as const).flatMap((machine) =>
    [1, 2, 4].flatMap((cpus): Boot[] => [
      { loader: "GRUB", guest: "linuxamd64-grub", machine, cpus },
      { loader: "GRUB", guest: "linuxcloud-grub", machine, cpus },
      { loader: "isolinux", guest: "linuxamd64-iso", machine, cpus },
    ])
  )
  : EVERY_DAY;

for (const b of BOOTS) {
  Deno.test(`${b.loader} boots ${b.guest} on ${b.machine}, ${b.cpus} vCPUs, to a shell`, (t) =>
    booting(t, async (get) => [
      ...["-M", b.machine, "-smp", String(b.cpus), "-m", "384", "-nographic"],
      ...["-cdrom", await get(b.guest)],
    ], async (s) => {
      const loader = b.loader === "GRUB" ? /GRUB/ : /ISOLINUX/;
      await shell(s, b.cpus, LIMIT, await s.expect(loader, 0, LIMIT));
      assertEquals(await ask(s, "uname -m; nproc"), `x86_64\n${b.cpus}\n`);
      await s.type("poweroff\n");
      assertEquals(await s.status(), 0);
      assertMatch(s.text, /reboot: Power down/);
    }));
}

/** Runs a guest, asks its shell and ends it. */
async function answers(args: string[], cpus: number, questions: string[], command?: string[]) {
  const s = new Session([...args, "-nographic"], command);
  try {
    await shell(s, cpus, LIMIT);
    const said: string[] = [];
    for (const q of questions) said.push(await ask(s, q));
    await s.type("poweroff\n");
    assertEquals(await s.status(), 0);
    return said;
  } finally {
    await s.stop();
  }
}

/** The same questions to the same Linux here and under QEMU. */
function beside(
  name: string,
  machine: string[],
  cpus: number,
  flavour: "amd64" | "cloud",
  questions: string[],
  compare: (ours: string[], theirs: string[]) => void,
): void {
  Deno.test({
    name,
    ignore: !LONG,
    fn: async (t) => {
      if (!await haveQemu()) return console.log(`skipped (${t.name}): there is no ${QEMU}`);
      const boot = await obtained(t, async (get) => [
        ...["-kernel", await get(`linux${flavour}-kernel`)],
        ...["-initrd", await get(`linux${flavour}-initrd`), "-append", "console=ttyS0"],
      ]);
      if (boot === undefined) return;
      const args = [...machine, "-m", "384", ...boot];
      const theirs = await answers(args, cpus, questions, [QEMU, "-accel", "tcg"]);
      compare(await answers(args, cpus, questions), theirs);
    },
  });
}

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
    // What QEMU's TCG cannot do is there as well: flags are compared one by one.
    const split = (text: string) => {
      const flags = /^flags\s*: (.*)$/m.exec(text)?.[1].split(" ") ?? [];
      return { flags, rest: text.replaceAll(/^flags.*$|^bugs.*$/gm, "") };
    };
    const [a, b] = [split(ours[0]), split(theirs[0])];
    assertEquals(a.rest, b.rest);
    assertEquals(b.flags.filter((f) => !a.flags.includes(f)), []);
    if (cpu.length === 0) assertEquals(a.flags, b.flags);
    assertEquals(ours[1], theirs[1]);
  });
}
