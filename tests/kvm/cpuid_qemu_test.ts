/** CPUID of a whole machine beside Debian's QEMU: what follows `-smp`. */
import { assertEquals } from "../../core/std/assert.ts";
import { cpuidRom } from "./cpuid_rom.ts";
import { runRom } from "./rom_pair.ts";

const LEAVES = [
  ...[0, 1, 2, 3].map((n) => [4, n] as const),
  ...[0xb, 0x1f].flatMap((leaf) => [0, 1, 2, 3].map((n) => [leaf, n] as const)),
  [0, 0],
  [0x80000008, 0],
] as const;

Deno.test("sockets, dies, cores and threads reach CPUID", async () => {
  const smp = "16,sockets=2,dies=2,cores=2,threads=2";
  const { ours, theirs } = await runRom(cpuidRom(LEAVES), "-cpu", "kvm64", "-smp", smp);
  assertEquals(ours.length, LEAVES.length);
  // Leaf 1Fh, level 2: the eight logical processors of a package.
  assertEquals(ours[10].trim(), "00000003 00000008 00000502 00000000");
  if (theirs !== undefined) assertEquals(ours, theirs);
});
