/**
 * Debian's amd64 kernels on both boards, from each medium, with 1, 2 and 4 vCPUs: they reach their
 * shell, find the processors that `-smp` asks for, and power off through ACPI.
 */
import { assertEquals, assertMatch } from "@std/assert";
import { ask, shell } from "./linux_shell.ts";
import { booting } from "./session.ts";
import type { guest } from "../guests/guests.ts";

/** All of them: `deno task test:long`. */
const LONG = Deno.env.has("QENO_LONG");
/** Seconds until a prompt at most. */
const LIMIT = 900;

/** "generic" is the kernel for any PC, "cloud" the one for virtual machines. */
const KERNELS = { generic: "linuxamd64", cloud: "linuxcloud" } as const;
type Kernel = keyof typeof KERNELS;

/** A way to start a kernel: the options for it, and what COM1 shows before the kernel runs. */
interface Medium {
  readonly options: (get: typeof guest, kernel: Kernel) => Promise<string[]>;
  readonly shows: RegExp;
}

const MEDIA = {
  isolinux: {
    options: async (get, kernel) => ["-cdrom", await get(`${KERNELS[kernel]}-iso`)],
    shows: /ISOLINUX/,
  },
  GRUB: {
    options: async (get, kernel) => ["-cdrom", await get(`${KERNELS[kernel]}-grub`)],
    shows: /GRUB/,
  },
  "-kernel": {
    options: async (get, kernel) => [
      ...["-kernel", await get(`${KERNELS[kernel]}-kernel`)],
      ...["-initrd", await get(`${KERNELS[kernel]}-initrd`), "-append", "console=ttyS0"],
    ],
    shows: /Booting from ROM/,
  },
} satisfies Record<string, Medium>;
type MediumName = keyof typeof MEDIA;

const BOARDS = ["pc", "q35"] as const;
type Board = typeof BOARDS[number];

/** Processors as `lscpu` counts them. */
interface Topology {
  readonly sockets: number;
  /** In each socket. */
  readonly cores: number;
  /** In each core. */
  readonly threads: number;
}

/** `-smp` and what it means; QEMU's boards prefer cores over sockets and threads. */
const SMP: readonly [string, Topology][] = [
  ["1", { sockets: 1, cores: 1, threads: 1 }],
  ["2", { sockets: 1, cores: 2, threads: 1 }],
  ["4", { sockets: 1, cores: 4, threads: 1 }],
];
const SHAPED: readonly [string, Topology, ...string[]][] = [
  ["4,sockets=2,cores=2", { sockets: 2, cores: 2, threads: 1 }],
  // The default model is of a family that has cores only.
  ["4,cores=2,threads=2", { sockets: 1, cores: 2, threads: 2 }, "-cpu", "Nehalem"],
];

const IDS = "physical_package_id core_id thread_siblings_list";
/** For each processor a line of the files {@link IDS}. */
const SHOW_IDS =
  `cd /sys/devices/system/cpu; for c in cpu[0-9]*/topology; do (cd $c; echo $(cat ${IDS})); done; cd /`;

function counted(ids: string): Topology {
  const lines = ids.trimEnd().split("\n").map((l) => l.split(" "));
  const sockets = new Set(lines.map(([socket]) => socket)).size;
  const cores = new Set(lines.map(([socket, core]) => `${socket} ${core}`)).size;
  assertEquals(new Set(lines.map(([, , siblings]) => siblings)).size, cores, "thread siblings");
  return { sockets, cores: cores / sockets, threads: lines.length / cores };
}

function boots(
  medium: MediumName,
  kernel: Kernel,
  board: Board,
  [smp, topology, ...options]: readonly [string, Topology, ...string[]],
): void {
  Deno.test(`${medium} boots the ${kernel} kernel on ${board}, -smp ${smp}, to a shell`, (t) =>
    booting(t, async (get) => [
      ...["-M", board, "-smp", smp, "-m", "384", "-nographic", ...options],
      ...await MEDIA[medium].options(get, kernel),
    ], async (s) => {
      const cpus = parseInt(smp);
      await shell(s, cpus, LIMIT, await s.expect(MEDIA[medium].shows, 0, LIMIT));
      assertEquals(await ask(s, "uname -m; nproc"), `x86_64\n${cpus}\n`);
      assertEquals(await ask(s, "grep -c ^processor /proc/cpuinfo"), `${cpus}\n`);
      assertEquals(counted(await ask(s, SHOW_IDS)), topology);
      await s.type("poweroff\n");
      assertEquals(await s.status(), 0);
      assertMatch(s.text, /ACPI: PM: Preparing to enter system sleep state S5[^]*Power down/);
    }));
}

if (!LONG) boots("GRUB", "cloud", "pc", SMP[0]);
else {
  // Every medium, kernel and board together; every number with each two of them.
  (Object.keys(MEDIA) as MediumName[]).forEach((medium, m) => {
    (Object.keys(KERNELS) as Kernel[]).forEach((kernel, k) => {
      BOARDS.forEach((board, b) => boots(medium, kernel, board, SMP[(m + k + b) % SMP.length]));
    });
  });
  boots("-kernel", "cloud", "pc", SHAPED[0]);
  boots("-kernel", "cloud", "q35", SHAPED[1]);
}
