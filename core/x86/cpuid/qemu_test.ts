/**
 * CPUID of every model beside Debian's QEMU 7.2.22 under TCG, from qemu_7_2.json, which
 * tests/kvm/cpuid_rom.ts writes.
 */
import { assertEquals } from "../../std/assert.ts";
import type { CpuidEnv } from "../../accel.ts";
import { allFeatures, featurePlace, wordAt } from "./features.ts";
import { fixtureLeaves, fixtureSetups } from "./fixture.ts";
import { resolveCpu, tcgFeatures } from "./model.ts";
import { modelNames } from "./models.ts";

type Answer = readonly [number, number, number, number];
const REGISTERS = ["eax", "ebx", "ecx", "edx"] as const;

const recorded = new Map(
  Object.entries(
    JSON.parse(await Deno.readTextFile(new URL("qemu_7_2.json", import.meta.url))) as Record<
      string,
      string[]
    >,
  ).map(([setup, lines]) => [
    setup,
    lines.map((l) => l.split(" ").map((w) => parseInt(w, 16)) as unknown as Answer),
  ]),
);

function theirs(setup: string, leaf: number, subleaf: number): Answer {
  const n = fixtureLeaves.findIndex(([l, s]) => l === leaf && s === subleaf);
  return recorded.get(setup)![n];
}

/** Features that QEMU's TCG has: those of its `max`, where a leaf shows them. */
const qemuFeatures = new Set(
  allFeatures().filter((f) => {
    const { word, bit } = featurePlace(f), at = wordAt(word);
    if (
      "msr" in at || !fixtureLeaves.some(([l, s]) => l === at.leaf && s === at.subleaf)
    ) return false;
    return theirs("max 1", at.leaf, at.subleaf)[REGISTERS.indexOf(at.reg)] >>> bit & 1;
  }),
);

/** Bits of a register that both software CPUs can have, or that are no feature. */
function common(leaf: number, subleaf: number, register: number, amd: boolean): number {
  let mask = -1;
  for (const f of allFeatures()) {
    const { word, bit } = featurePlace(f), at = wordAt(word);
    if ("msr" in at || qemuFeatures.has(f) === tcgFeatures.has(f)) continue;
    const here = at.leaf === leaf && at.subleaf === subleaf && REGISTERS[register] === at.reg;
    const alias = amd && word === "1.edx" && leaf === 0x80000001 && register === 3;
    if (here || alias) mask &= ~(1 << bit);
  }
  // HTT and CmpLegacy follow the topology, whatever the feature list says.
  if (leaf === 1 && register === 3) mask |= 1 << 28;
  if (leaf === 0x80000001 && register === 2) mask |= 2;
  return mask;
}

function topology(smp: string): CpuidEnv {
  const value = (key: string) => Number(new RegExp(`${key}=(\\d+)`).exec(smp)?.[1] ?? 1);
  const [sockets, dies, cores, threads] = ["sockets", "dies", "cores", "threads"].map(value);
  return { apicId: 0, sockets, dies, cores, threads, osxsave: false, apicEnabled: true };
}

Deno.test("the comparison covers every model version", () => {
  const setups = fixtureSetups().map(({ cpu, smp }) => `${cpu} ${smp}`);
  assertEquals([...recorded.keys()], setups);
  assertEquals(setups.filter((s) => recorded.get(s)!.length !== fixtureLeaves.length), []);
  const versions = modelNames().filter((n) => /-v\d+$/.test(n));
  assertEquals(versions.filter((v) => !recorded.has(`${v} 1`)), []);
});

Deno.test("CPUID of every model answers as QEMU's, but for what only one of the two can do", () => {
  const differences: string[] = [];
  const leaf = (n: number) => n.toString(16);
  for (const { cpu, smp } of fixtureSetups()) {
    const { model } = resolveCpu(cpu), env = topology(smp), amd = model.options.vendor[0] === "A";
    const level = model.cpuid(0, 0, env).eax >>> 0;
    const xlevel = model.cpuid(0x80000000, 0, env).eax >>> 0;
    for (const [n, subleaf] of fixtureLeaves) {
      const ours = model.cpuid(n, subleaf, env), answer = theirs(`${cpu} ${smp}`, n, subleaf);
      const beyond = n >= 0xc0000000 ||
        (n >= 0x80000000 ? model.options.xlevel < n : n >= 0x40000000 ? n > 0x40000001 : n > level);
      if (beyond) {
        assertEquals(ours, model.cpuid(level, subleaf, env), `${cpu} ${leaf(n)} beyond ${xlevel}`);
        continue;
      }
      // QEMU tells the sizes of what the model has, filtered features too.
      if (n === 0xd && (cpu === "max" || ["mpx", "avx512f"].some((f) => model.spec.set.has(f)))) {
        continue;
      }
      // SVM's leaf is there with SVM.
      if (n === 0x8000000a && !tcgFeatures.has("svm")) continue;
      REGISTERS.forEach((r, i) => {
        const mask = common(n, subleaf, i, amd);
        const a = (ours[r] & mask) >>> 0, b = (answer[i] & mask) >>> 0;
        if (a !== b) {
          differences.push(`${cpu} ${smp} ${leaf(n)}.${subleaf}.${r} ${leaf(a)} ${leaf(b)}`);
        }
      });
    }
  }
  assertEquals(differences, []);
});

Deno.test("what only one of the two software CPUs has", () => {
  const only = (a: ReadonlySet<string>, b: ReadonlySet<string>) => [...a].filter((f) => !b.has(f));
  assertEquals(
    only(qemuFeatures, tcgFeatures).sort().join(" "),
    "cr8legacy mpx npt pcommit pks svm svme-addr-chk vgif",
  );
  assertEquals(
    only(tcgFeatures, qemuFeatures).sort().join(" "),
    "3dnowprefetch avx512bw avx512cd avx512dq avx512f avx512vl gfni invpcid invtsc pcid rdpid rdseed sha-ni tsc-deadline vme vpclmulqdq x2apic xsavec",
  );
});
