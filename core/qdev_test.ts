import { assertEquals, assertThrows } from "@std/assert";
import {
  BusNode,
  DeviceNode,
  type DeviceTypeSpec,
  formatProp,
  humanSize,
  infoQtree,
} from "./qdev.ts";

Deno.test("property values as QEMU 7.2's info qtree writes them", () => {
  // Copied from `info qtree` of Debian's QEMU.
  assertEquals(formatProp("int", 1008), "1008 (0x3f0)");
  assertEquals(formatProp("int", -1), "-1 (0xffffffffffffffff)");
  assertEquals(formatProp("int", 4294967295), "4294967295 (0xffffffff)");
  assertEquals(formatProp("size", 2147483648), "2147483648 (2 GiB)");
  assertEquals(formatProp("size", 4294967295), "4294967295 (4 GiB)");
  assertEquals(formatProp("size", 512), "512 (512 B)");
  assertEquals(formatProp("size", 0), "0 (0 B)");
  assertEquals(formatProp("str", "auto"), '"auto"');
  assertEquals(formatProp("bool", false), "false");
  assertEquals(formatProp("raw", "01.3"), "01.3");
  assertEquals([999, 1000, 1474560].map(humanSize), ["999 B", "0.977 KiB", "1.41 MiB"]);
});

Deno.test("info qtree: newest device first, buses inside their device", () => {
  const spec: DeviceTypeSpec = {
    name: "bridge",
    bus: "System",
    category: "Misc",
    user: false,
    wires: ['gpio-out "" 1'],
    props: [{ name: "size", format: "int", value: 3 }],
  };
  const root = new BusNode("main-system-bus", "System");
  root.add(new DeviceNode({ ...spec, name: "plain", wires: [], props: [] }));
  const d = root.add(new DeviceNode(spec, "b1").set("size", () => 4));
  d.details = () => ["mmio 1/2"];
  const inner = d.addBus(new BusNode("in.0", "IN"));
  inner.add(new DeviceNode({ ...spec, name: "leaf", wires: [], props: [] }));
  assertEquals(
    infoQtree(root),
    `bus: main-system-bus
  type System
  dev: bridge, id "b1"
    gpio-out "" 1
    size = 4 (0x4)
    mmio 1/2
    bus: in.0
      type IN
      dev: leaf, id ""
  dev: plain, id ""
`,
  );
  assertEquals([...root.walkDevices()].map((n) => n.type), ["bridge", "plain", "leaf"]);
  assertThrows(() => d.get("nothing"), RangeError);
});
