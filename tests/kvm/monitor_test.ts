/** The human monitor over a machine that runs on KVM. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { kvmTest } from "./harness.ts";
import { FLAT_GDT, makeRom, OURS, QEMU, qemuTest, Session, withFile } from "./session.ts";

const MACHINE = ["-nodefaults", "-m", "16", "-bios"];

/** Enters flat 32-bit protected mode and jumps to FED40000h, where there is neither RAM nor device. */
const INTO_NOTHING = makeRom(
  `
  fa                          ; cli
  66 b8 78 56 34 12           ; mov eax, 12345678h
  2e 66 0f 01 16 40 00        ; lgdt cs:[40h]
  0f 20 c3 80 cb 01 0f 22 c3  ; mov ebx, cr0; or bl, 1; mov cr0, ebx
  66 ea 00 00 d4 fe 08 00     ; jmp 8:fed40000h`,
  FLAT_GDT,
);

qemuTest(
  "after an emulation failure the machine is paused and the monitor is alive",
  () =>
    withFile(INTO_NOTHING, async (rom) => {
      const seen = await Promise.all([QEMU, OURS].map(async (program) => {
        await using s = new Session(program, ["-accel", "kvm", ...MACHINE, rom]);
        await s.until(() => /^Code=.*\n/m.test(s.stderr), "the dump");
        const status = await s.command("info status");
        const kvm = await s.command("info kvm");
        const registers = await s.command("info registers");
        const memory = await s.command("xp /2wx 0xffff0");
        const cont = await s.command("cont");
        const after = await s.command("info status");
        await s.command("system_reset");
        const reset = await s.poll("info status", (a) => !a[0].includes("internal-error"));
        return { status, kvm, registers, memory, cont, after, reset, code: await s.quit() };
      }));
      const [theirs, ours] = seen;
      assertEquals(theirs.status, ["VM status: paused (internal-error)"]);
      assertEquals(ours, theirs);
    }),
);

qemuTest("info kvm and info registers of a machine that has not begun", async () => {
  const seen = await Promise.all([QEMU, OURS].map(async (program) => {
    await using s = new Session(program, ["-accel", "kvm", "-nodefaults", "-m", "16", "-S"]);
    const answers = [];
    for (const c of ["info kvm", "info status", "info registers", "info lapic", "info pic"]) {
      answers.push([c, ...await s.command(c)]);
    }
    return { answers, code: await s.quit() };
  }));
  assertEquals(seen[1], seen[0]);
});

/** Writes port 80h a thousand times, then spins without exits. */
const THOUSAND = makeRom("b9 e8 03 e6 80 e2 fc eb fe");

kvmTest(
  "info exits counts a known number by reason, and the rate since the last time",
  () =>
    withFile(THOUSAND, async (rom) => {
      await using s = new Session(OURS, ["-accel", "kvm", ...MACHINE, rom]);
      const io = (answer: string[]) => {
        assertMatch(answer[0], /^reason +CPU#0 +total +per s$/);
        return answer.find((l) => /^io /.test(l))?.split(/ +/).slice(1).map(Number) ?? [0, 0, 0];
      };
      const [cpu, total, rate] = io(await s.poll("info exits", (a) => io(a)[0] >= 1000));
      assertEquals([cpu, total], [1000, 1000]);
      assert(rate > 0);
      assertEquals(io(await s.command("info exits")), [1000, 1000, 0]);
      assertEquals(await s.quit(), 0);
    }),
);

kvmTest(
  "-d exec shows the KVM_RUN loop",
  () =>
    withFile(makeRom("b0 41 e6 80 e5 60 f4"), async (rom) => {
      const log = await Deno.makeTempFile();
      try {
        await using s = new Session(OURS, [
          ...["-enable-kvm", "-d", "exec", "-D", log],
          ...[...MACHINE, rom],
        ]);
        await s.poll("info registers", (a) => a.some((l) => l.includes("HLT=1")));
        assertEquals(await s.quit(), 0);
        const text = await Deno.readTextFile(log);
        assertEquals(
          text.split("\n").filter((l) => l.startsWith("KVM_RUN") && !/ signal/.test(l)),
          [
            "KVM_RUN cpu 0: io out port 0x0080 size 1 value 0x41",
            "KVM_RUN cpu 0: io in port 0x0060 size 2",
            "KVM_RUN cpu 0: hlt",
          ],
        );
      } finally {
        await Deno.remove(log);
      }
    }),
);

/**
 * Steps EAX = EAX * 1664525 + 3C6EF35Fh, adds it to EBX; every 256th time writes to port 80h. After
 * 200,000 steps it leaves EBX at 500h and halts.
 */
const COMPUTES = makeRom(`
  66 31 c0 66 31 db 66 b9 40 0d 03 00   ; xor eax, eax; xor ebx, ebx; mov ecx, 200000
  66 69 c0 0d 66 19 00                  ; next: imul eax, eax, 1664525
  66 05 5f f3 6e 3c 66 01 c3            ; add eax, 3c6ef35fh; add ebx, eax
  84 c9 75 02 e6 80                     ; test cl, cl; jnz skip; out 80h, al; skip:
  66 49 75 e6                           ; dec ecx; jnz next
  66 89 1e 00 05 fa f4                  ; mov [500h], ebx; cli; hlt`);

kvmTest(
  "accel kvm and accel tcg move a running machine to and fro without a wrong result",
  () =>
    withFile(COMPUTES, async (rom) => {
      await using s = new Session(OURS, ["-enable-kvm", ...MACHINE, rom], 60_000);
      const names = ["tcg", "kvm"];
      let moves = 0;
      for (; moves < 100; moves++) {
        const name = names[moves % 2];
        assertEquals(await s.command(`accel ${name}`), []);
        assertEquals(await s.command("info accel"), [`accelerator: ${name}`]);
        const enabled = name === "kvm" ? "enabled" : "disabled";
        assertEquals(await s.command("info kvm"), [`kvm support: ${enabled}`]);
      }
      await s.poll("info registers", (a) => a.some((l) => l.includes("HLT=1")));
      let eax = 0, ebx = 0;
      for (let i = 0; i < 200_000; i++) {
        eax = (Math.imul(eax, 1664525) + 0x3c6ef35f) | 0;
        ebx = (ebx + eax) | 0;
      }
      const hex = (ebx >>> 0).toString(16).padStart(8, "0");
      assertEquals(await s.command("xp /1wx 0x500"), [`0000000000000500: 0x${hex}`]);
      assertEquals(await s.command("accel xen"), ["Error: accelerator 'xen' is not available"]);
      assertEquals(await s.quit(), 0);
    }),
);

kvmTest(
  "-accel kvm has no reserve to move to, nor has a machine with KVM's controllers",
  async () => {
    for (
      const [args, error] of [
        [["-accel", "kvm"], "accelerator 'tcg' is not available"],
        [
          ["-enable-kvm", "-machine", "kernel-irqchip=on"],
          "the machine's interrupt controllers are KVM's (kernel-irqchip)",
        ],
      ] as const
    ) {
      await using s = new Session(OURS, [...args, "-nodefaults", "-m", "16", "-S"]);
      assertEquals(await s.command("accel tcg"), [`Error: ${error}`]);
      assertEquals(await s.command("info kvm"), ["kvm support: enabled"]);
      assertEquals(await s.quit(), 0);
    }
  },
);

/** Whether any process has this one's command line, or any file of its is left. */
function leftovers(marker: string): string[] {
  const found: string[] = [];
  for (const { name } of Deno.readDirSync("/proc")) {
    if (!/^\d+$/.test(name) || Number(name) === Deno.pid) continue;
    try {
      if (Deno.readTextFileSync(`/proc/${name}/cmdline`).includes(marker)) found.push(name);
    } catch { // has ended
    }
  }
  return found;
}

kvmTest(
  "kill -9 leaves no process, thread, lock or file behind",
  () =>
    withFile(makeRom("e6 80 eb fc"), async (rom) => {
      const disk = await Deno.makeTempFile({ suffix: ".img" });
      await Deno.truncate(disk, 1 << 20);
      const temporary = await Deno.makeTempDir();
      const args = [
        ...["-accel", "kvm", "-smp", "2", "-drive", `file=${disk},format=raw`],
        ...[...MACHINE, rom],
      ];
      try {
        for (let i = 0; i < 2; i++) { // the second time finds the disk unlocked and /dev/kvm free
          await using s = new Session(OURS, args, 60_000, { TMPDIR: temporary });
          await s.poll("info exits", (a) => a.some((l) => /^io /.test(l)));
          assert([...Deno.readDirSync(`/proc/${s.pid}/task`)].length > 1, "it had threads");
          assert(leftovers(rom).length > 0);
          s.kill();
          await s.end();
          assertEquals(leftovers(rom), []);
          assert(!existsSync(`/proc/${s.pid}`));
          assertEquals([...Deno.readDirSync(temporary)], []);
          assertEquals(s.stderr.includes("lock"), false, s.stderr);
        }
      } finally {
        await Deno.remove(disk);
        await Deno.remove(temporary, { recursive: true });
      }
    }),
);

function existsSync(path: string): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch {
    return false;
  }
}
