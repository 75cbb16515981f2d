/** What is compared with QEMU: CPU models and topologies, and the leaves asked of each. */
import { modelNames } from "./models.ts";

const range = (first: number, last: number): number[] =>
  Array.from({ length: last - first + 1 }, (_, n) => first + n);
const each = (leaf: number, subleaves: number): [number, number][] =>
  range(0, subleaves).map((n) => [leaf, n]);

export const fixtureLeaves: readonly (readonly [leaf: number, subleaf: number])[] = [
  ...range(0, 3).map((leaf) => [leaf, 0] as const),
  ...each(4, 4),
  [5, 0],
  [6, 0],
  ...each(7, 1),
  ...range(8, 10).map((leaf) => [leaf, 0] as const),
  ...each(0xb, 2),
  ...each(0xd, 2),
  [0xd, 9],
  ...each(0x1f, 3),
  ...[0x15, 0x16, 0x20, 0x40000000, 0x40000001, 0x40000100].map((leaf) => [leaf, 0] as const),
  ...range(0x80000000, 0x8000000a).map((leaf) => [leaf, 0] as const),
  ...[0x80000019, 0x8000001a, 0x80000020, 0xc0000000].map((leaf) => [leaf, 0] as const),
  ...each(0x8000001d, 4),
  [0x8000001e, 0],
];

const TOPOLOGIES = [
  "4,sockets=1,cores=2,threads=2",
  "3,sockets=1,cores=3,threads=1",
  "12,sockets=2,dies=2,cores=3,threads=1",
];

/** Every model version alone, and some in other topologies or with other properties. */
export function fixtureSetups(): { cpu: string; smp: string }[] {
  const alone = modelNames().filter((n) => /-v\d+$/.test(n) || n === "base" || n === "max");
  const shaped = ["qemu64", "pentium3", "EPYC", "EPYC-Milan", "Icelake-Server", "phenom"];
  const changed = [
    "qemu64,l3-cache=off",
    "EPYC,l3-cache=off",
    "Haswell,cpuid-0xb=off,tcg-cpuid=off",
    "EPYC-Rome,legacy-cache=on",
    "pentium3,+lm,phys-bits=36",
    "n270,family=21,model=19,stepping=7,vendor=HygonGenuine,model-id=A_model",
    "qemu32,level=5,xlevel=0x80000001",
    "EPYC,topoext=off,hypervisor=off",
    "kvm64,+smep,min-level=2",
    "pentium2,+avx2,+xsave",
    "Nehalem,+la57,min-xlevel=0x80000020",
  ];
  return [
    ...alone.map((cpu) => ({ cpu, smp: "1" })),
    ...shaped.flatMap((cpu) => TOPOLOGIES.map((smp) => ({ cpu, smp }))),
    ...changed.map((cpu) => ({ cpu, smp: "1" })),
  ];
}
