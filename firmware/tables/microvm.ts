/**
 * ACPI tables of the microvm board: a hardware-reduced machine (ACPI Specification 6.3, 4.1) whose
 * events come from a generic event device (5.6.9), with virtio-mmio windows as its devices.
 */
import type { AcpiMachine } from "./acpi.ts";
import * as aml from "./aml.ts";
import type { Aml } from "./aml.ts";

export interface MicrovmTables {
  /** Virtio-mmio windows with a device in them. */
  readonly windows: readonly {
    readonly index: number;
    readonly address: number;
    readonly gsi: number;
  }[];
  /** Address of the second I/O APIC, which begins at interrupt 24. */
  readonly ioapic2: number | undefined;
  readonly rtc: boolean;
  readonly ged: {
    readonly gsi: number;
    /** Event selector, and the sleep and reset registers. */
    readonly events: number;
    readonly registers: number;
  };
}

const WINDOW_SIZE = 0x200, POWER_DOWN = 2, RESET_VALUE = 0x42;

function le(value: number, bytes: number): number[] {
  return Array.from({ length: bytes }, (_, n) => Math.floor(value / 2 ** (8 * n)) & 0xff);
}

/** `Interrupt (ResourceConsumer, …, ActiveHigh, Exclusive)`. */
function exclusive(gsi: number, edge: boolean): Aml {
  return [0x89, ...le(6, 2), edge ? 0x03 : 0x01, 1, ...le(gsi, 4)];
}

export function buildMicrovmDsdt(m: AcpiMachine, t: MicrovmTables): Aml {
  const devices: Aml[] = [
    aml.device(
      "FWCF",
      aml.name("_HID", aml.string("QEMU0002")),
      aml.name("_STA", aml.integer(0x0b)),
      aml.name("_CRS", aml.resourceTemplate(aml.io(0x510, 12))),
    ),
  ];
  m.serials.forEach(({ port, irq }, n) =>
    devices.push(aml.device(
      `COM${n + 1}`,
      aml.name("_HID", aml.eisaId("PNP0501")),
      aml.name("_UID", aml.integer(n + 1)),
      aml.name("_STA", aml.integer(0x0f)),
      aml.name("_CRS", aml.resourceTemplate(aml.io(port, 8, 0), aml.irqNoFlags(irq))),
    ))
  );
  if (t.rtc) {
    devices.push(aml.device(
      "RTC",
      aml.name("_HID", aml.eisaId("PNP0B00")),
      aml.name("_CRS", aml.resourceTemplate(aml.io(0x70, 8), aml.irqNoFlags(8))),
    ));
  }
  devices.push(eventDevice(t.ged));
  devices.push(aml.device(
    "PWRB",
    aml.name("_HID", aml.string("PNP0C0C")),
    aml.name("_UID", aml.integer(0)),
  ));
  for (const w of t.windows) {
    devices.push(aml.device(
      `VR${String(w.index).padStart(2, "0")}`,
      aml.name("_HID", aml.string("LNRO0005")),
      aml.name("_UID", aml.integer(w.index)),
      aml.name("_CCA", aml.integer(1)),
      aml.name(
        "_CRS",
        aml.resourceTemplate(
          aml.memory32Fixed(w.address, WINDOW_SIZE, true),
          exclusive(w.gsi, false),
        ),
      ),
    ));
  }
  return [
    ...aml.scope("\\_SB", ...devices),
    ...aml.name(
      "\\_S5",
      aml.pkg(aml.integer(5), aml.integer(0), aml.integer(0), aml.integer(0)),
    ),
  ];
}

function eventDevice(ged: MicrovmTables["ged"]): Aml {
  const powerDown = aml.integer(POWER_DOWN);
  return aml.device(
    "GED",
    aml.name("_HID", aml.string("ACPI0013")),
    aml.name("_UID", aml.string("GED")),
    aml.name("_CRS", aml.resourceTemplate(exclusive(ged.gsi, true))),
    aml.operationRegion("EREG", aml.Space.memory, ged.events, 4),
    aml.field("EREG", 3, [["ESEL", 32]]),
    aml.method(
      "_EVT",
      1,
      true,
      aml.store(aml.ref("ESEL"), aml.local(0)),
      aml.when(
        aml.equal(aml.and(aml.local(0), powerDown), powerDown),
        [0x86, ...aml.ref("\\_SB.PWRB"), ...aml.integer(0x80)], // Notify
      ),
    ),
  );
}

/** Generic address structure of a byte in memory. */
function byteRegister(address: number): number[] {
  return [0, 8, 0, 0, ...le(address, 8)];
}

/** Fixed ACPI Description Table, revision 5: 268 bytes with its header, hardware reduced. */
export function microvmFadt(t: MicrovmTables): Aml {
  // Offsets here count from the end of the header.
  const body = new Array<number>(268 - 36).fill(0);
  const put = (at: number, bytes: readonly number[]) =>
    bytes.forEach((b, n) => body[at - 36 + n] = b);
  const resetSupported = 1 << 10, hardwareReduced = 1 << 20;
  put(112, le(resetSupported | hardwareReduced, 4));
  put(116, byteRegister(t.ged.registers + 2));
  put(128, [RESET_VALUE]);
  put(244, byteRegister(t.ged.registers));
  put(256, byteRegister(t.ged.registers + 1));
  return body;
}

/** Multiple APIC Description Table. */
export function microvmMadt(m: AcpiMachine, t: MicrovmTables): Aml {
  const w = [...le(0xfee00000, 4), ...le(1, 4)];
  m.cpus.forEach((cpu, uid) => {
    if (cpu.apicId < 255) w.push(0, 8, uid, cpu.apicId, ...le(cpu.present ? 1 : 0, 4));
    else w.push(9, 16, 0, 0, ...le(cpu.apicId, 4), ...le(cpu.present ? 1 : 0, 4), ...le(uid, 4));
  });
  w.push(1, 12, m.ioapicId, 0, ...le(0xfec00000, 4), ...le(0, 4));
  if (t.ioapic2 !== undefined) w.push(1, 12, m.ioapicId + 1, 0, ...le(t.ioapic2, 4), ...le(24, 4));
  w.push(4, 6, 0xff, 0, 0, 1);
  return w;
}
