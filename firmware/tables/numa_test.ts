import { assertEquals } from "@std/assert";
import { memoryRanges, type NumaTables, slitBody, sratBody } from "./numa.ts";

const MIB = 2 ** 20, GIB = 2 ** 30;

function machine(sizes: readonly number[], below4g = sizes.reduce((a, b) => a + b)): NumaTables {
  return {
    nodes: sizes.map((size, n) => ({ size, cpus: [2 * n, 2 * n + 1] })),
    distances: undefined,
    apicIds: sizes.flatMap((_, n) => [2 * n, 2 * n + 1]),
    below4g,
  };
}

Deno.test("memory of nodes: without video memory, in the order of addresses", () => {
  assertEquals(memoryRanges(machine([64 * MIB, 64 * MIB])), [
    { base: 0, length: 0xa0000, node: 0 },
    { base: MIB, length: 63 * MIB, node: 0 },
    { base: 64 * MIB, length: 64 * MIB, node: 1 },
  ]);
});

Deno.test("a node across the PCI hole has memory on both sides", () => {
  assertEquals(memoryRanges(machine([2 * GIB, 2 * GIB], 3 * GIB)).slice(1), [
    { base: MIB, length: 2 * GIB - MIB, node: 0 },
    { base: 2 * GIB, length: GIB, node: 1 },
    { base: 4 * GIB, length: GIB, node: 1 },
  ]);
  assertEquals(memoryRanges(machine([3 * GIB, GIB], 3 * GIB)).slice(2), [
    { base: 4 * GIB, length: GIB, node: 1 },
  ]);
});

Deno.test("SRAT: 16 bytes a CPU, 40 a range, room for two more ranges than nodes", () => {
  const m = machine([64 * MIB, 64 * MIB]), bytes = sratBody(m);
  assertEquals(bytes.length, 12 + 4 * 16 + 4 * 40);
  // CPU 3: type 0, node 1, APIC ID 3, enabled.
  assertEquals(bytes.slice(12 + 48, 12 + 56), [0, 16, 1, 3, 1, 0, 0, 0]);
  const range = bytes.slice(12 + 64 + 80, 12 + 64 + 120);
  assertEquals(range.slice(0, 8), [1, 40, 1, 0, 0, 0, 0, 0]);
  assertEquals(range.slice(8, 24), [0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0]);
  assertEquals(range[28], 1);
  assertEquals(bytes.slice(-12, -8), [0, 0, 0, 0], "the last one is not enabled");
});

Deno.test("SRAT: APIC IDs that need x2APIC", () => {
  const bytes = sratBody({ ...machine([GIB]), apicIds: [254, 300] });
  assertEquals(bytes.slice(12, 16), [0, 16, 0, 254]);
  assertEquals(bytes.slice(28, 40), [2, 24, 0, 0, 0, 0, 0, 0, 0x2c, 1, 0, 0]);
});

Deno.test("SLIT: number of nodes, then rows", () => {
  assertEquals(slitBody([[10, 20], [21, 10]]), [2, 0, 0, 0, 0, 0, 0, 0, 10, 20, 21, 10]);
});
