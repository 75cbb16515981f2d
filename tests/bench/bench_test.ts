import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { parseArguments } from "./bench.ts";
import { measure, RunFailed } from "./measure.ts";
import { median, table } from "./table.ts";

Deno.test("bench arguments", () => {
  const all = parseArguments([]);
  assertEquals([all.kinds, all.runs, all.only], [["linux", "linux64", "micro"], 1, [
    "qeno",
    "v86",
    "qemu",
  ]]);
  const some = parseArguments(["--only", "qemu,qeno", "micro", "--runs", "3", "--tier0"]);
  assertEquals(some, {
    kinds: ["micro"],
    runs: 3,
    only: ["qeno", "qemu"],
    tier: "0",
    timeout: 600,
  });
  assertThrows(() => parseArguments(["--only", "bochs"]), Error, "no such peer: bochs");
  assertThrows(() => parseArguments(["--runs", "0"]), Error, "not a positive number: 0");
  assertThrows(() => parseArguments(["--runs"]), Error, "--runs needs a value");
  assertThrows(() => parseArguments(["fast"]), Error, "unknown argument: fast");
});

Deno.test("minimum, median and ratios of several runs", () => {
  assertEquals([median([3, 1, 2]), median([4, 1, 2, 3])], [2, 2.5]);
  const columns = [
    { name: "a, tier 0", runs: [[1, 20], [3, 10], [2, 30]] },
    { name: "b 1.0", runs: [[4, 5], [4, 5], [4, 5]] },
  ];
  assertEquals(
    table(["one", "two"], columns),
    `|           |   a, tier 0 |       b 1.0 | a / b |
| --------- | ----------: | ----------: | ----: |
| one       | 1.00 (2.00) | 4.00 (4.00) |  0.25 |
| two       | 10.0 (20.0) | 5.00 (5.00) |  2.00 |
| whole run | 13.0 (21.0) | 9.00 (9.00) |  1.44 |`,
  );
});

const phases = [{ name: "one", marker: "M one" }, { name: "two", marker: "M two" }];
const shell = (text: string) => ["sh", "-c", text];

Deno.test("phases are told by their markers, in order", async () => {
  const said = "echo noise; echo M two early; echo M one 1f; echo M oneself; printf 'M two\\r\\n'";
  const { seconds, remarks } = await measure(shell(`${said}; exec sleep 1000`), phases, 60);
  assertEquals([seconds.length, remarks], [2, ["1f", ""]]);
});

Deno.test("a guest that ends early is told with its last words", async () => {
  const run = measure(shell("echo M one; echo Kernel panic"), phases, 60);
  await assertRejects(() => run, RunFailed, "ended in phase two: Kernel panic");
});
