import { assertEquals } from "@std/assert";
import { type AcpiMachine, buildAcpi } from "./acpi.ts";
import { microvmFadt, microvmMadt, type MicrovmTables } from "./microvm.ts";

const MACHINE: AcpiMachine = {
  cpus: [{ apicId: 0, present: true }],
  ioapicId: 0,
  hpet: false,
  keyboard: false,
  floppy: false,
  serials: [{ port: 0x3f8, irq: 4 }],
  parallels: [],
  pciMemStart: 0xc0000000,
  s3: false,
  s4Type: undefined,
};

// What QEMU 7.2 gives its guest, but for names and addresses of tables.
Deno.test("ACPI: the fixed table and the APIC table are QEMU's", () => {
  const tables: MicrovmTables = {
    windows: [],
    ioapic2: 0xfec10000,
    rtc: true,
    ged: { gsi: 9, events: 0xfea00000, registers: 0xfea00200 },
  };
  const fadt = microvmFadt(tables);
  const at = (from: number, to: number) => fadt.slice(from - 36, to - 36);
  assertEquals(fadt.length, 268 - 36);
  assertEquals(at(0x70, 0x81), [
    ...[0x00, 0x04, 0x10, 0x00, 0x00, 0x08, 0x00, 0x00, 0x02, 0x02, 0xa0, 0xfe, 0, 0, 0, 0],
    0x42,
  ]);
  assertEquals(at(0xf4, 0x10c), [
    ...[0x00, 0x08, 0x00, 0x00, 0x00, 0x02, 0xa0, 0xfe, 0, 0, 0, 0],
    ...[0x00, 0x08, 0x00, 0x00, 0x01, 0x02, 0xa0, 0xfe, 0, 0, 0, 0],
  ]);
  assertEquals(microvmMadt(MACHINE, tables), [
    ...[0x00, 0x00, 0xe0, 0xfe, 0x01, 0, 0, 0],
    ...[0x00, 0x08, 0x00, 0x00, 0x01, 0, 0, 0],
    ...[0x01, 0x0c, 0x00, 0x00, 0x00, 0x00, 0xc0, 0xfe, 0, 0, 0, 0],
    ...[0x01, 0x0c, 0x01, 0x00, 0x00, 0x00, 0xc1, 0xfe, 0x18, 0, 0, 0],
    ...[0x04, 0x06, 0xff, 0x00, 0x00, 0x01],
  ]);
});

Deno.test("ACPI: a window's device has QEMU's resources", () => {
  const microvm: MicrovmTables = {
    windows: [{ index: 23, address: 0xfeb02e00, gsi: 47 }],
    ioapic2: 0xfec10000,
    rtc: true,
    ged: { gsi: 9, events: 0xfea00000, registers: 0xfea00200 },
  };
  const { tables } = buildAcpi({ ...MACHINE, microvm });
  const at = find(tables, "VR23");
  // _HID "LNRO0005", _UID 17h, _CCA 1, _CRS: 32-bit memory, level-triggered exclusive interrupt 2Fh.
  const resources = [
    ...[0x08, ...ascii("_HID"), 0x0d, ...ascii("LNRO0005"), 0],
    ...[0x08, ...ascii("_UID"), 0x0a, 0x17],
    ...[0x08, ...ascii("_CCA"), 0x01],
    ...[0x08, ...ascii("_CRS"), 0x11, 0x1a, 0x0a, 0x17],
    ...[0x86, 9, 0, 1, 0x00, 0x2e, 0xb0, 0xfe, 0x00, 0x02, 0x00, 0x00],
    ...[0x89, 6, 0, 0x01, 1, 0x2f, 0, 0, 0, 0x79, 0],
  ];
  assertEquals([...tables.subarray(at + 4, at + 4 + resources.length)], resources);
});

const ascii = (s: string) => [...new TextEncoder().encode(s)];

function find(bytes: Uint8Array, text: string): number {
  const wanted = ascii(text);
  return bytes.findIndex((_, n) => wanted.every((b, k) => bytes[n + k] === b));
}
