import { assertEquals } from "@std/assert";
import { flatten, flatViews } from "./flatview.ts";
import type { MtreeNode } from "./mtree.ts";

function node(name: string, start: number, end: number, more: Partial<MtreeNode> = {}): MtreeNode {
  return { start, end, priority: 0, kind: "i/o", name, ...more };
}

Deno.test("a higher priority covers, what lies behind goes on with its offset", () => {
  const root = node("system", 0, 0xffff, {
    children: [
      node("ram", 0, 0x7fff, { kind: "ram" }),
      node("window", 0x1000, 0x1fff, { priority: 1 }),
    ],
  });
  assertEquals(
    flatViews([{ names: ["memory", "cpu-memory-0"], root, targets: new Map() }]),
    `FlatView #0
 AS "memory", root: system
 AS "cpu-memory-0", root: system
 Root memory region: system
  0000000000000000-0000000000000fff (prio 0, ram): ram
  0000000000001000-0000000000001fff (prio 1, i/o): window
  0000000000002000-0000000000007fff (prio 0, ram): ram @0000000000002000

`,
  );
});

Deno.test("an alias shows its target, containers by what is in them", () => {
  const pci = node("pci", 0, 0xffff, {
    children: [node("bar", 0x8000, 0x8fff), node("low", 0x9000, 0x9fff)],
  });
  const root = node("system", 0, 0xffff, {
    children: [
      node("upper", 0x100, 0x1ff, { alias: { of: "ram", start: 0x300 }, kind: "ram" }),
      node("again", 0x200, 0x2ff, { alias: { of: "ram", start: 0x400 }, kind: "ram" }),
      node("view", 0x4000, 0x57ff, { alias: { of: "pci", start: 0x8800 } }),
    ],
  });
  const ranges = flatten({ names: [], root, targets: new Map([["pci", pci]]) });
  assertEquals(ranges.map((r) => [r.start, r.end, r.name, r.offset]), [
    [0x100n, 0x2ffn, "ram", 0x300n],
    [0x4000n, 0x47ffn, "bar", 0x800n],
    [0x4800n, 0x57ffn, "low", 0n],
  ]);
});

Deno.test("a region that answers where no child does fills the gaps", () => {
  const root = node("io", 0, 0xff, { backed: true, children: [node("uart", 0x10, 0x17)] });
  const ranges = flatten({ names: [], root, targets: new Map() });
  assertEquals(ranges.map((r) => [r.start, r.end, r.name, r.offset]), [
    [0n, 0xfn, "io", 0n],
    [0x10n, 0x17n, "uart", 0n],
    [0x18n, 0xffn, "io", 0x18n],
  ]);
});
