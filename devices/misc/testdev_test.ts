/** The devices of conformance suites. Expected values were read from QEMU 7.2's monitor. */
import { assertEquals } from "@std/assert";
import type { AccessSize } from "../../core/memory/region.ts";
import { pcRig } from "../boards/pc_rig.ts";

function device(driver: string, props: [string, string][] = []) {
  const rig = pcRig({ devices: [{ driver, id: undefined, props: new Map(props), loc: "" }] });
  const { io, mem } = rig.env;
  return {
    ...rig,
    mem,
    out: (port: number, size: AccessSize, value: number) => io.write(port, size, value),
    in: (port: number, size: AccessSize) => io.read(port, size),
  };
}

Deno.test("pc-testdev: scratch bytes keep their lanes", () => {
  const d = device("pc-testdev");
  d.out(0xe0, 4, 0x12345678);
  assertEquals([d.in(0xe1, 1), d.in(0xe2, 2), d.in(0xe0, 4)], [0x56, 0x1234, 0x12345678]);
  d.out(0xe2, 1, 0xaa);
  assertEquals([d.in(0xe0, 4), d.in(0xe8, 4)], [0x12aa5678, 0x12aa5678]);
  d.out(0xe9, 2, 0xbeef);
  assertEquals([d.in(0xe8, 4), d.in(0xeb, 1), d.in(0xe4, 4)], [0x12beef78, 0x12, 0]);
});

Deno.test("pc-testdev: interrupt lines and memory", () => {
  const d = device("pc-testdev");
  const irr = () => {
    d.out(0x20, 1, 0x0a);
    return d.in(0x20, 1);
  };
  d.out(0x2005, 1, 1);
  assertEquals(irr() & 0x20, 0x20);
  d.out(0x2005, 1, 0);
  d.mem.write(0xff000010, 4, 0xdeadbeef);
  assertEquals([d.mem.read(0xff000012, 2), d.mem.read(0xff00ffff, 1)], [0xdead, 0]);
});

Deno.test("pci-testdev: headers, and what counts as a write", () => {
  const d = device("pci-testdev", [["addr", "4"]]), devfn = 4 << 3;
  assertEquals(
    [d.configRead(devfn, 0), d.configRead(devfn, 8), d.configRead(devfn, 0x3c)],
    [0x00051b36, 0x00ff0000, 0],
  );
  const sized = [0x10, 0x14, 0x18].map((bar) => {
    d.configWrite(devfn, bar, 0xffffffff);
    return d.configRead(devfn, bar);
  });
  assertEquals(sized, [0xfffff000, 0xffffff01, 0]);
  d.configWrite(devfn, 0x10, 0xe1000000);
  d.configWrite(devfn, 0x14, 0xc000);
  d.configWrite(devfn, 4, 3);
  const count = () => d.in(0xc00c, 4);

  d.out(0xc000, 1, 0);
  assertEquals([d.in(0xc000, 4), d.in(0xc004, 4), d.in(0xc008, 4)], [0x103, 0x83, 0xfa]);
  const name = new Uint8Array(24);
  d.mem.readBytes(0xe1000010, name);
  assertEquals(new TextDecoder().decode(name).replace(/\0+$/, ""), "portio-no-eventfd");
  d.out(0xc083, 1, 0xfa);
  d.out(0xc083, 1, 0xfb);
  assertEquals(count(), 1);
  d.out(0xc083, 2, 0xfa);
  assertEquals(count(), 2);

  // Any data; a single byte is taken by the event, a wider write is not.
  d.out(0xc000, 1, 1);
  assertEquals([d.in(0xc000, 1), d.in(0xc004, 4)], [4, 0x84]);
  d.out(0xc084, 1, 0x55);
  assertEquals(count(), 0);
  d.out(0xc084, 2, 0x55);
  assertEquals(count(), 1);

  d.out(0xc000, 1, 2);
  d.out(0xc085, 1, 0xfa);
  d.out(0xc085, 2, 0x00fa); // unaligned: two single bytes
  assertEquals(count(), 0);

  // There is no test 9.
  d.out(0xc000, 1, 9);
  assertEquals(d.in(0xc000, 1), 0);

  d.mem.write(0xe1000000, 1, 0);
  d.mem.write(0xe1000800, 1, 0xfa);
  assertEquals([d.mem.read(0xe1000004, 4), d.mem.read(0xe100000c, 4)], [0x800, 1]);
});

Deno.test("pci-testdev: membar is a 64-bit prefetchable BAR", () => {
  const d = device("pci-testdev", [["addr", "4"], ["membar", "1G"]]), devfn = 4 << 3;
  d.configWrite(devfn, 0x18, 0xffffffff);
  d.configWrite(devfn, 0x1c, 0xffffffff);
  assertEquals([d.configRead(devfn, 0x18), d.configRead(devfn, 0x1c)], [0xc000000c, 0xffffffff]);
});
