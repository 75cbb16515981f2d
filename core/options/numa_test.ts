/** `-numa` and memory backends. Outcomes were compared with QEMU 7.2's, line by line. */
import { assertEquals, assertThrows } from "@std/assert";
import { UserError } from "../errors.ts";
import { formatUserError, type OptionsHost } from "./host.ts";
import { parseCommandLine } from "./parse.ts";

function host(): OptionsHost & { errors: string } {
  return {
    programName: "qemu",
    errors: "",
    stdout() {},
    stderr(t) {
      this.errors += t;
    },
  };
}

const BACKENDS =
  "-object memory-backend-ram,id=a,size=96M -object memory-backend-ram,id=b,size=32M ";

function numa(line: string, on = host()) {
  return parseCommandLine((BACKENDS + line).trim().split(" "), on).numa;
}

function message(line: string): string {
  const e = assertThrows(() => parseCommandLine(line.split(" "), host()), UserError);
  return formatUserError(e, "qemu").trimEnd();
}

Deno.test("nodes have their CPUs and memory", () => {
  const text = "-smp 4 -numa node,cpus=0,cpus=2-3,memdev=a -numa node,cpus=1,memdev=b";
  assertEquals(numa(text), {
    nodes: [
      { size: 96 << 20, cpus: [0, 2, 3], memdev: "a" },
      { size: 32 << 20, cpus: [1], memdev: "b" },
    ],
    distances: undefined,
  });
  assertEquals(numa(""), undefined);
});

Deno.test("CPUs nobody has placed follow their sockets", () => {
  const text = "-smp 4,sockets=2,cores=2 -numa node,memdev=a -numa node,memdev=b";
  assertEquals(numa(text)!.nodes.map((n) => n.cpus), [[0, 1], [2, 3]]);
});

Deno.test("a partial placement puts the rest in node 0 and warns", () => {
  const on = host();
  const text = "-smp 3,sockets=3 -numa node,memdev=a -numa node,cpus=1,memdev=b";
  assertEquals(numa(text, on)!.nodes.map((n) => n.cpus), [[0, 2], [1]]);
  assertEquals(
    on.errors.split("\n")[0],
    "qemu: warning: CPU(s) not present in any NUMA nodes: CPU 0 [socket-id: 0, core-id: 0, " +
      "thread-id: 0], CPU 2 [socket-id: 2, core-id: 0, thread-id: 0]",
  );
});

Deno.test("distances: one direction will do", () => {
  const nodes = "-numa node,memdev=a -numa node,memdev=b ";
  assertEquals(numa(nodes + "-numa dist,src=0,dst=1,val=20")!.distances, [[10, 20], [20, 10]]);
  const both = "-numa dist,src=0,dst=1,val=20 -numa dist,src=1,dst=0,val=30";
  assertEquals(numa(nodes + both)!.distances, [[10, 20], [30, 10]]);
});

Deno.test("mistakes have QEMU's words", () => {
  const cases: [string, string][] = [
    ["-numa foo", "-numa foo: Parameter 'type' does not accept value 'foo'"],
    ["-numa node,nodeid=999", "-numa node,nodeid=999: Max number of NUMA nodes reached: 999"],
    ["-numa node,nodeid=1", "numa: Node ID missing: 0"],
    ["-numa node,nodeid=0 -numa node,nodeid=0", "-numa node,nodeid=0: Duplicate NUMA nodeid: 0"],
    [
      "-smp 2 -numa node,cpus=5",
      "-numa node,cpus=5: CPU index (5) should be smaller than maxcpus (2)",
    ],
    [
      "-smp 2 -numa node,cpus=3-1",
      "-numa node,cpus=3-1: Parameter 'cpus' expects a uint64 value or range",
    ],
    ["-numa node,memdev=zz", "-numa node,memdev=zz: memdev=zz is ambiguous"],
    ["-numa node", "total memory for NUMA nodes (0x0) should equal RAM size (0x8000000)"],
    ["-object foo,id=x", "-object foo,id=x: Parameter 'qom-type' does not accept value 'foo'"],
    [
      "-object memory-backend-ram,id=x",
      "-object memory-backend-ram,id=x: Parameter 'size' is missing",
    ],
    [
      "-numa node -numa dist,src=0,dst=0,val=20",
      "-numa dist,src=0,dst=0,val=20: Local distance of node 0 should be 10.",
    ],
  ];
  for (const [line, expected] of cases) assertEquals(message(line), `qemu: ${expected}`);
});
