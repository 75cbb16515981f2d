/** The conformance set on qeno, and on QEMU where it is installed. */
import { assert, assertEquals } from "@std/assert";
import { done, fault, noted, pageFault, parseLine, Vec } from "./check.ts";
import { dword, mem, qword, rax } from "../../firmware/asm/operand.ts";
import { runOn } from "./conformance.ts";
import type { Kernel } from "./kernel.ts";
import { At, Kernel32 } from "./kernel32.ts";
import { At as At64, Kernel64 } from "./kernel64.ts";
import { type Emulator, haveQemu, judge, run } from "./run.ts";
import { suites } from "./suites.ts";

const qemu = await haveQemu();
if (!qemu) {
  console.log("qemu-system-x86_64 is not installed: the conformance set is not held against it");
}

/** Both tiers in the long run; otherwise each kernel has one of them. */
const both = Deno.env.get("QENO_LONG") !== undefined;

Object.keys(suites).forEach((name, n) => {
  const tiers: Emulator[] = both ? ["tier=0", "tier=1"] : [n % 2 === 0 ? "tier=1" : "tier=0"];
  const on: Emulator[] = qemu ? [...tiers, "qemu"] : tiers;
  Deno.test(`conformance: ${name} on ${on.join(", ")}`, async () => {
    const texts: string[] = [];
    for (const e of on) {
      const r = await runOn(name, e);
      assert(r.ran > 0, `${e}: nothing reported`);
      for (const f of r.failures) {
        texts.push(`${e}: ${f.check.name} (SDM ${f.check.sdm}): ${f.what}`);
      }
    }
    assertEquals(texts, []);
  });
});

/** Under -no-reboot the machine ends with status 0 where a processor shuts down. SDM 3: 6.15 (#DF). */
Deno.test("conformance: a fault while #DF is delivered shuts the machine down", async () => {
  const kernels: [string, () => Kernel][] = [
    ["32-bit mode, no IDT", () => {
      const k = new Kernel32();
      k.check("shutdown", done(), (i) => {
        i.mov(dword(At.SCRATCH), 0);
        i.mov(dword(At.SCRATCH + 4), 0);
        i.lidt(mem(At.SCRATCH));
        i.ud2();
      });
      return k;
    }],
    ["64-bit mode, an IDT on absent pages", () => {
      const k = new Kernel64();
      k.check("shutdown", done(), (i) => {
        k.put(At64.SCRATCH, 0xfffn);
        i.mov(rax, 1n << 40n);
        i.mov(qword(At64.SCRATCH + 2), rax);
        i.lidt(mem(At64.SCRATCH));
        i.int3();
      });
      return k;
    }],
  ];
  for (const [name, make] of kernels) {
    for (const e of qemu ? ["tier=0", "qemu"] as const : ["tier=0"] as const) {
      const r = await run(make(), e);
      assertEquals(r.ran, 0, `${name}, ${e}`);
      assert(r.failures[0].what.startsWith("did not report (status 0)"), r.failures[0].what);
    }
  }
});

Deno.test("a kernel's lines are judged", () => {
  const make = (name: string, expect: ReturnType<typeof done>) => ({
    name,
    sdm: "",
    expect,
    marked: true,
  });
  const checks = [
    make("a", done(1, 2)),
    make("b", fault(Vec.GP, 8)),
    make("c", pageFault(2, 0x1000)),
    make("d", done()),
  ];
  const good = [
    "0 30 0 5 8 10 9000 2 0 8fe0 1 2",
    "1 d 8 0 8 10 9000 2 0 8fe0",
    "2 e 2 0 8 10 9000 2 1000 8fe0",
    "3 30 0 0 8 10 9000 2 0 8fe0",
  ];
  const what = (lines: string[], code = 1) =>
    judge(checks, lines.join(" \n"), code).failures.map((f) => `${f.check.name}: ${f.what}`);
  assertEquals(what(good), []);
  const but = (n: number, line: string) => good.with(n, line);
  assertEquals(what(but(0, "0 30 0 5 8 10 9000 2 0 8fe0 1 3")), ["a: notes [1 3] not [1 2]"]);
  assertEquals(what(but(1, "1 d 9 0 8 10 9000 2 0 8fe0")), ["b: #GP(9) not #GP(8)"]);
  assertEquals(what(but(1, "1 d 8 2 8 10 9000 2 0 8fe0")), ["b: IP off by 2"]);
  assertEquals(what(but(1, "1 30 0 2 8 10 9000 2 0 8fe0")), ["b: end not #GP(8)"]);
  assertEquals(what(but(2, "2 e 2 0 8 10 9000 2 2000 8fe0")), ["c: CR2 2000 not 1000"]);
  assertEquals(what(good.slice(0, 3), 0), ["d: did not report (status 0) "]);
  assertEquals(what(good, 0), ["d: then ended with status 0"]);
  assertEquals(parseLine("Booting from ROM.."), undefined);
  assertEquals(noted(Vec.PF, 2), 0x8000000e00000002n);
});
