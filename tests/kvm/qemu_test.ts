/** Side by side with Debian's QEMU under KVM: what is printed, and the status, when things go wrong. */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { hex, kvmMissing } from "./harness.ts";

const QEMU = "/usr/bin/qemu-system-x86_64";
const OURS = new URL("../../cli.ts", import.meta.url).pathname;

const why = (() => {
  if (kvmMissing !== undefined) return kvmMissing;
  try {
    Deno.statSync(QEMU);
    return undefined;
  } catch {
    return `no ${QEMU}`;
  }
})();

function qemuTest(name: string, fn: () => Promise<void>): void {
  Deno.test({ name: why ? `${name} [skipped: ${why}]` : name, ignore: why !== undefined, fn });
}

interface Result {
  code: number;
  stderr: string;
}

async function command(name: string, args: string[], ms: number): Promise<Result> {
  const child = new Deno.Command(name, {
    args,
    stdin: "null",
    stdout: "null",
    stderr: "piped",
    env: { DENO_NO_UPDATE_CHECK: "1" },
  }).spawn();
  const timer = setTimeout(() => child.kill("SIGKILL"), ms);
  const { code, stderr } = await child.output();
  clearTimeout(timer);
  return { code, stderr: new TextDecoder().decode(stderr) };
}

/** The lines that matter: not QEMU's about signals, nor pure additions of newer hosts. */
const lines = (r: Result) =>
  r.stderr.split("\n").filter((l) => !l.includes("terminating on signal"));

/** Enters flat 32-bit protected mode and jumps to FED40000h, where there is neither RAM nor device. */
const INTO_NOTHING = `
  fa                          ; cli
  66 b8 78 56 34 12           ; mov eax, 12345678h
  2e 66 0f 01 16 40 00        ; lgdt cs:[40h]
  0f 20 c3 80 cb 01 0f 22 c3  ; mov ebx, cr0; or bl, 1; mov cr0, ebx
  66 ea 00 00 d4 fe 08 00     ; jmp 8:fed40000h`;

async function withRom(code: string, fn: (file: string) => Promise<void>): Promise<void> {
  const rom = new Uint8Array(0x10000), file = await Deno.makeTempFile({ suffix: ".bin" });
  rom.set(hex(code));
  rom.set(hex("17 00 00 01 0f 00"), 0x40); // GDT of three entries at F0100h
  rom.set(hex("ff ff 00 00 00 9b cf 00  ff ff 00 00 00 93 cf 00"), 0x108);
  rom.set(hex("ea 00 00 00 f0"), 0xfff0); // jmp f000:0
  await Deno.writeFile(file, rom);
  try {
    await fn(file);
  } finally {
    await Deno.remove(file);
  }
}

/** Until the code line of the dump is there; the paused machine is then killed. */
async function dumpOf(program: string, rom: string): Promise<string[]> {
  const child = new Deno.Command(program, {
    args: ["-accel", "kvm", "-bios", rom, "-display", "none", "-nodefaults", "-m", "16"],
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  }).spawn();
  const timer = setTimeout(() => child.kill("SIGKILL"), 20_000);
  let text = "";
  const decoder = new TextDecoder();
  for await (const chunk of child.stderr) {
    text += decoder.decode(chunk, { stream: true });
    if (/^Code=.*\n/m.test(text)) break;
  }
  try {
    child.kill("SIGKILL");
  } catch { // has ended
  }
  clearTimeout(timer);
  await child.status;
  return text.split("\n");
}

qemuTest(
  "an instruction that KVM cannot run: the same words and the same dump",
  () =>
    withRom(INTO_NOTHING, async (rom) => {
      const theirs = await dumpOf(QEMU, rom);
      assert(
        theirs.some((l) => l.startsWith("KVM internal error. Suberror: 1")),
        theirs.join("\n"),
      );
      assertEquals(await dumpOf(OURS, rom), theirs);
    }),
);

const root = Deno.uid() === 0;

for (
  const [what, hide] of [
    ["no KVM device behind /dev/kvm", "mount --bind /dev/null /dev/kvm"],
    ["no access to /dev/kvm", "mount --bind /proc/self/status /dev/kvm"],
  ] as const
) {
  Deno.test({
    name: why || !root ? `${what} [skipped: ${why ?? "needs root to hide it"}]` : what,
    ignore: why !== undefined || !root,
    fn: async () => {
      for (
        const args of [
          ["-accel", "kvm"],
          ["-machine", "accel=kvm"],
          ["-accel", "kvm", "-accel", "kvm"],
          ["-machine", "accel=kvm:kvm"],
        ]
      ) {
        const run = (program: string) =>
          command("unshare", [
            "-m",
            "sh",
            "-c",
            `${hide} && exec "$0" "$@"`,
            program,
            ...args,
            "-display",
            "none",
            "-S",
          ], 20_000);
        const theirs = await run(QEMU), ours = await run(OURS);
        assertStringIncludes(theirs.stderr, "failed to initialize kvm");
        assertEquals([ours.code, lines(ours)], [theirs.code, lines(theirs)], args.join(" "));
      }
    },
  });
}
