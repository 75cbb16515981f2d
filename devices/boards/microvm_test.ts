import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import type { Vm } from "../../core/accel.ts";
import { ManualClock } from "../../core/clock.ts";
import { UserError } from "../../core/errors.ts";
import { AddressSpace } from "../../core/memory/address_space.ts";
import { GuestMemory } from "../../core/memory/guest_memory.ts";
import type { AccessSize } from "../../core/memory/region.ts";
import type { DeviceOptions } from "../../core/options/config.ts";
import { DriverQueue } from "../virtio/virtio_rig.ts";
import type { MachineEnv } from "./env.ts";
import {
  GED_BASE,
  GED_REGISTERS,
  MicrovmBoard,
  type MicrovmConfig,
  microvmMemoryBytes,
  VIRTIO_MMIO_BASE,
} from "./microvm.ts";
import { bareConfig } from "./pc_config.ts";
import { TEST_CPU, TestVm } from "./pc_rig.ts";

function device(driver: string, props: Record<string, string> = {}): DeviceOptions {
  return { driver, id: undefined, props: new Map(Object.entries(props)), loc: "" };
}

function rig(overrides: Partial<MicrovmConfig> = {}) {
  const config: MicrovmConfig = {
    ...bareConfig({
      ramSize: 16 << 20,
      cpuModel: TEST_CPU,
      bios: new Uint8Array(0x10000).fill(0xb0),
    }),
    pit: true,
    pic: true,
    rtc: true,
    isaSerial: true,
    ioapic2: true,
    loadsOptionRoms: true,
    ...overrides,
  };
  const memory = new GuestMemory(microvmMemoryBytes(config));
  const mem = new AddressSpace("memory", 2 ** 36, 0), io = new AddressSpace("I/O", 65536, 0xff);
  const events: string[] = [], clock = new ManualClock(), vm = new TestVm(events, []);
  const env: MachineEnv = {
    memory,
    mem,
    io,
    clock,
    vm: vm as Vm,
    currentVcpu: () => vm.vcpus[0],
    requestReset: (reason) => void events.push(reason),
    requestShutdown: (reason) => void events.push(reason),
    requestSuspend: () => {},
    exit: (status) => void events.push(`exit ${status}`),
    panicked: (event) => void events.push(event),
  };
  const board = new MicrovmBoard(config, env);
  events.length = 0;
  return { board, mem, io, events, clock };
}

// QEMU 7.2: info mtree of -M microvm with acpi on and off.
Deno.test("windows and their interrupts follow from ACPI and the second I/O APIC", () => {
  const layout = (o: Partial<MicrovmConfig>) => {
    const { board } = rig({ ...o, devices: [device("virtio-rng-device")] });
    return [board.windows.length, ...board.usedWindows().map((w) => [w.address, w.gsi]).flat()];
  };
  assertEquals(layout({}), [24, 0xfeb02e00, 47]);
  assertEquals(layout({ ioapic2: false }), [8, 0xfeb00e00, 23]);
  assertEquals(layout({ acpi: false }), [8, 0xfeb00e00, 12]);
});

Deno.test("a kernel without ACPI is told of the windows as QEMU does it", () => {
  const { board } = rig({
    acpi: false,
    devices: [device("virtio-rng-device"), device("virtio-balloon-device")],
  });
  assertEquals(
    board.kernelParameters(),
    " virtio_mmio.device=512@0xfeb00e00:12 virtio_mmio.device=512@0xfeb00c00:11",
  );
});

Deno.test("a device on a window interrupts by the second I/O APIC", () => {
  const { board, mem } = rig({ devices: [device("virtio-rng-device")] });
  const at = VIRTIO_MMIO_BASE + 23 * 0x200, put = (r: number, v: number) => mem.write(at + r, 4, v);
  assertEquals(mem.read(at + 8, 4), 4);
  assertEquals(mem.read(VIRTIO_MMIO_BASE + 8, 4), 0);
  const q = new DriverQueue(mem, 8, 0x10000);
  put(0x70, 3);
  put(0x28, 4096);
  put(0x38, 8);
  put(0x40, 0x10);
  put(0x70, 7);
  q.chain(0, [8]);
  q.offer(0);
  put(0x50, 0);
  assertEquals(q.take(), [0, 8]);
  assertEquals(board.irqs.ioapic2!.state.lines, 1 << 23);
  put(0x64, 1);
  assertEquals(board.irqs.ioapic2!.state.lines, 0);
});

Deno.test("the event device: power button, power off, reset", () => {
  const { board, mem, events } = rig();
  assertEquals(mem.read(GED_BASE, 4), 0);
  board.powerButton();
  assertEquals(mem.read(GED_BASE, 4), 2);
  assertEquals(mem.read(GED_BASE, 4), 0, "a read takes the event");
  mem.write(GED_REGISTERS, 1, 1 << 2 | 0x20);
  mem.write(GED_REGISTERS + 2, 1, 0x41);
  assertEquals(events, []);
  mem.write(GED_REGISTERS, 1, 5 << 2 | 0x20);
  mem.write(GED_REGISTERS + 2, 1, 0x42);
  assertEquals(events, ["guest-shutdown", "guest-reset"]);
});

Deno.test("parts that are switched off are not there", () => {
  const has = (o: Partial<MicrovmConfig>, port: number) => rig(o).io.find(port) !== undefined;
  for (const [name, port] of [["pit", 0x40], ["pic", 0x20], ["rtc", 0x70]] as const) {
    assert(has({}, port), name);
    assert(!has({ [name]: false }, port), name);
  }
  assert(!rig({ acpi: false }).board.infoQtree().includes("acpi-ged"));
});

Deno.test("firmware can be written, and is itself again after a reset", () => {
  const { board, mem } = rig();
  mem.write(0xf0000, 1, 0x55);
  assertEquals([mem.read(0xf0000, 1), mem.read(0xffff0000, 1)], [0x55, 0x55]);
  board.reset();
  assertEquals(mem.read(0xf0000, 1), 0xb0);
});

Deno.test("devices that have no bus here, and a window that is full: QEMU's words", () => {
  const words = (...devices: DeviceOptions[]) =>
    assertThrows(() => rig({ devices }), UserError).message;
  assertEquals(words(device("VGA")), "No 'PCI' bus found for device 'VGA'");
  const bus = { bus: "virtio-mmio-bus.3" };
  assertEquals(
    words(device("virtio-rng-device", bus), device("virtio-rng-device", bus)),
    "Bus 'virtio-mmio-bus.3' is full",
  );
  const many = Array.from({ length: 25 }, () => device("virtio-rng-device"));
  assertEquals(words(...many), "No 'virtio-bus' bus found for device 'virtio-rng-device'");
});

Deno.test("state is saved and loaded by id", () => {
  const a = rig({ devices: [device("virtio-rng-device")] });
  a.mem.write(VIRTIO_MMIO_BASE + 23 * 0x200 + 0x70, 4, 3);
  const saved = a.board.save();
  a.board.reset();
  a.board.load(saved);
  assertEquals(a.mem.read(VIRTIO_MMIO_BASE + 23 * 0x200 + 0x70, 4), 3);
  assertStringIncludes([...saved.keys()].join(), "virtio-mmio/23");
});

Deno.test("random register accesses neither throw nor hang", () => {
  const devices = ["rng", "balloon", "serial"].map((n) => device(`virtio-${n}-device`));
  const { board, mem, io, clock } = rig({ devices });
  let x = 7;
  const next = () => {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    return x >>> 0;
  };
  const sizes: AccessSize[] = [1, 2, 4];
  for (let n = 0; n < 20000; n++) {
    const space = next() & 3 ? mem : io;
    const ranges = space.flat.filter((f) => f.region.kind === "io");
    const range = ranges[next() % ranges.length];
    const at = range.start + next() % Math.min(range.end - range.start, 0x200);
    const size = sizes[next() % 3], value = next() & 1 ? next() & 0xff : next();
    if (next() & 1) space.write(at, size, value);
    else space.read(at, size);
    if (n % 64 === 0) clock.advance(next() % 100_000);
    if (n % 4096 === 0) board.load(board.save());
  }
  board.infoQtree();
  board.infoMtree(true);
});
