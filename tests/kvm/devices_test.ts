/**
 * Every kind of exit on a whole machine: the ROM of devices_rom.ts on this program and on Debian's
 * QEMU, under KVM and in software. What it sees is the same everywhere.
 */
import { assertEquals, assertStringIncludes } from "@std/assert";
import { devicesRom, EXIT_STATUS } from "./devices_rom.ts";
import { OURS, QEMU, qemuTest, withFile } from "./session.ts";

type Where = readonly [string, ...string[]];

const FEW: readonly Where[] = [
  [QEMU, "-accel", "kvm"],
  [OURS, "-accel", "kvm"],
  [OURS, "-enable-kvm"],
];
const ALL: readonly Where[] = [
  [QEMU, "-accel", "tcg"],
  ...FEW,
  [OURS, "-accel", "tcg"],
  [OURS, "-accel", "kvm,kernel-irqchip=split"],
  [OURS, "-accel", "kvm,kernel-irqchip=off"],
];

async function run(
  [program, ...args]: Where,
  rom: string,
  cpus: number,
): Promise<{ code: number; seen: string; stderr: string }> {
  const seen = await Deno.makeTempFile();
  try {
    const child = new Deno.Command(program, {
      args: [
        ...args,
        ...["-nodefaults", "-display", "none", "-m", "16", "-smp", String(cpus), "-bios", rom],
        ...["-no-reboot", "-device", "isa-debug-exit,iobase=0xf4,iosize=1"],
        ...["-debugcon", `file:${seen}`],
      ],
      stdout: "null",
      stderr: "piped",
      env: { DENO_NO_UPDATE_CHECK: "1" },
    }).spawn();
    const timer = setTimeout(() => child.kill("SIGKILL"), 30_000);
    const { code, stderr } = await child.output();
    clearTimeout(timer);
    return {
      code,
      seen: await Deno.readTextFile(seen),
      stderr: new TextDecoder().decode(stderr),
    };
  } finally {
    await Deno.remove(seen);
  }
}

for (const [cpus, places] of [[1, FEW], [4, ALL]] as const) {
  qemuTest(
    `each kind of exit, ${cpus} CPU${cpus > 1 ? "s" : ""}, beside QEMU`,
    () =>
      withFile(devicesRom(cpus, "exit"), async (rom) => {
        let right: string | undefined;
        for (const where of places) {
          const { code, seen, stderr } = await run(where, rom, cpus);
          const name = `${where.join(" ")}: ${stderr}`;
          right ??= seen;
          assertStringIncludes(seen, `others started 0000000${cpus - 1}`, name);
          assertStringIncludes(seen, "halted and woken", name);
          assertEquals([code, seen], [EXIT_STATUS, right], name);
        }
      }),
  );
}

qemuTest(
  "a triple fault ends the machine under -no-reboot, as under QEMU",
  () =>
    withFile(devicesRom(1, "triple-fault"), async (rom) => {
      for (const where of FEW) {
        const { code, seen } = await run(where, rom, 1);
        assertStringIncludes(seen, "others started 00000000", where.join(" "));
        assertEquals(code, 0, where.join(" "));
      }
    }),
);

qemuTest(
  "more CPUs than KVM recommends, and than it can have: QEMU's words",
  () =>
    withFile(devicesRom(1, "exit"), async (rom) => {
      for (const where of [["-accel", "kvm"], ["-machine", "accel=kvm"]]) {
        const words = async (program: string) => (await run([program, ...where], rom, 4)).stderr;
        assertEquals(await words(OURS), await words(QEMU));
      }
    }),
);
