/**
 * AVX, AVX2, FMA, F16C, AES, SHA and BMI in a running Linux: four processes that keep values in vector
 * registers over context switches on two vCPUs, against the host's own run of the same program. On the
 * way: KVM's clock as the guest sees it, and the flags of `/proc/cpuinfo` beside QEMU's.
 */
import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { gzip, makeCpio } from "../guests/cpio.ts";
import type { guest } from "../guests/guests.ts";
import { booting } from "./session.ts";

const source = new URL("avx_guest.c", import.meta.url).pathname;
const GCC = "-O2 -static -mavx2 -mfma -mf16c -maes -mpclmul -msha -mbmi -mbmi2 -mlzcnt -mpopcnt";
/** What the host must have, as `/proc/cpuinfo` names it. */
const NEEDED = "avx2 fma f16c aes pclmulqdq bmi1 bmi2 abm popcnt".split(" ");

/** Builds the program; a reason to skip where that cannot be. */
async function build(dir: string): Promise<{ program: string; sha: boolean } | { reason: string }> {
  let flags = "";
  try {
    flags = /^flags\s*:(.*)$/m.exec(await Deno.readTextFile("/proc/cpuinfo"))?.[1] ?? "";
  } catch { /* Not Linux. */ }
  const list = flags.trim().split(" "), missing = NEEDED.filter((f) => !list.includes(f));
  if (missing.length > 0) return { reason: `the host's processor has no ${missing.join(", ")}` };
  const program = `${dir}/avx`;
  try {
    const { success } = await new Deno.Command("gcc", {
      args: [...GCC.split(" "), source, "-o", program],
      stderr: "null",
    }).output();
    if (success) return { program, sha: list.includes("sha_ni") };
  } catch { /* No gcc. */ }
  return { reason: "no gcc that builds static programs" };
}

const sums = (text: string) => [...text.matchAll(/SUM \d [0-9a-f]{16}/g)].map((m) => m[0]);

for (
  const { cpu, sha } of [
    { cpu: "max,kvm=on", sha: true },
    { cpu: "Haswell,check=off", sha: false },
  ]
) {
  Deno.test(`AVX in a running Linux under -cpu ${cpu}`, async (t) => {
    const dir = await Deno.makeTempDir();
    try {
      const built = await build(dir);
      if ("reason" in built) return console.log(`skipped (${t.name}): ${built.reason}`);
      // The host's run must be possible too.
      const args = sha && built.sha ? ["sha"] : [];
      const host = await new Deno.Command(built.program, { args }).output();
      const expected = sums(new TextDecoder().decode(host.stdout));
      assertEquals(expected.length, 4);
      const initrd = `${dir}/initrd.gz`;
      await Deno.writeFile(
        initrd,
        await gzip(makeCpio([
          { path: "dev/console", device: [5, 1], mode: 0o600 },
          { path: "init", data: await Deno.readFile(built.program) },
        ])),
      );
      const machine = async (get: typeof guest) => [
        ...["-accel", "tcg", "-cpu", cpu, "-smp", "2", "-m", "256", "-nographic", "-no-reboot"],
        ...["-kernel", await get("linuxcloud-kernel"), "-initrd", initrd],
        ...["-append", `console=ttyS0 quiet panic=-1 -- ${args.join(" ")}`],
      ];
      await booting(t, machine, async (s) => {
        await s.expect(/^END/m);
        assertEquals(await s.status(), 0);
        assertEquals(sums(s.text), expected);
        const flags = /^FLAGS flags\s*:(.*)$/m.exec(s.text)![1].trim().split(" ");
        for (const f of ["avx", "avx2", "fma", "f16c", "bmi1", "bmi2", "xsave", "pcid"]) {
          assertEquals(flags.includes(f), true, f);
        }
        assertEquals(flags.includes("sha_ni"), sha);
        if (!cpu.includes("kvm=on")) {
          assertEquals(s.text.includes("DMESG"), false);
          return;
        }
        assertStringIncludes(s.text, "CLOCKSOURCE kvm-clock");
        assertMatch(s.text, /DMESG.*Hypervisor detected: KVM/);
        assertMatch(s.text, /DMESG.*kvm-clock: Using msrs 4b564d01 and 4b564d00/);
        assertMatch(s.text, /DMESG.*kvm-clock: using sched offset of \d+ cycles/);
      });
    } finally {
      await Deno.remove(dir, { recursive: true });
    }
  });
}
