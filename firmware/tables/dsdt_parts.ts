/** What the differentiated definition blocks of both chip sets have in common. ACPI 6.3 chapters 5 to 9. */
import * as aml from "./aml.ts";
import type { Aml } from "./aml.ts";
import type { AcpiMachine } from "./acpi.ts";

/** Interrupts that a PIRQ link may use. */
const LINK_IRQS = [5, 10, 11];

/**
 * A PCI interrupt link with a PIRQ route control register `reg` behind it: bit 7 disables, bits 3–0 are
 * the IRQ (PIIX3 datasheet 290550, 2.2.9; ICH9 datasheet 316972, 13.1.14).
 */
export function pirqLink(name: string, uid: number, reg: Aml): Aml {
  return aml.device(
    name,
    aml.name("_HID", aml.eisaId("PNP0C0F")),
    aml.name("_UID", aml.integer(uid)),
    aml.name("_PRS", aml.resourceTemplate(aml.interrupt(...LINK_IRQS))),
    aml.method(
      "_STA",
      0,
      false,
      aml.when(aml.and(reg, aml.integer(0x80)), aml.ret(aml.integer(0x09))),
      aml.ret(aml.integer(0x0b)),
    ),
    aml.method("_DIS", 0, false, aml.or(reg, aml.integer(0x80), reg)),
    aml.method(
      "_CRS",
      0,
      true,
      aml.name("PRR0", aml.resourceTemplate(aml.interrupt(0))),
      aml.createDWordField(aml.ref("PRR0"), 5, "PRRI"),
      aml.when(
        aml.equal(aml.and(reg, aml.integer(0x80)), aml.integer(0)),
        aml.store(aml.and(reg, aml.integer(0x0f)), aml.ref("PRRI")),
      ),
      aml.ret(aml.ref("PRR0")),
    ),
    aml.method(
      "_SRS",
      1,
      true,
      aml.createDWordField(aml.arg(0), 5, "PRRI"),
      aml.store(aml.ref("PRRI"), reg),
    ),
  );
}

/** The devices of a PC/AT behind the ISA bridge. */
export function isaDevices(m: AcpiMachine): Aml[] {
  const devices: Aml[] = [];
  const legacy = (n: string, hid: string, uid: number | undefined, ...resources: Aml[]) =>
    devices.push(aml.device(
      n,
      aml.name("_HID", aml.eisaId(hid)),
      uid === undefined ? [] : aml.name("_UID", aml.integer(uid)),
      aml.name("_STA", aml.integer(0x0f)),
      aml.name("_CRS", aml.resourceTemplate(...resources)),
    ));
  legacy("RTC", "PNP0B00", undefined, aml.io(0x70, 8, 0x10), aml.irqNoFlags(8));
  if (m.keyboard) {
    legacy("KBD", "PNP0303", undefined, aml.io(0x60, 1), aml.io(0x64, 1), aml.irqNoFlags(1));
    legacy("MOU", "PNP0F13", undefined, aml.irqNoFlags(12));
  }
  if (m.floppy) {
    legacy(
      "FDC0",
      "PNP0700",
      undefined,
      aml.io(0x3f2, 4, 0),
      aml.io(0x3f7, 1, 0),
      aml.irqNoFlags(6),
      aml.dma(2),
    );
  }
  m.parallels.forEach(({ port, irq }, n) =>
    legacy(`LPT${n + 1}`, "PNP0400", n + 1, aml.io(port, 8, 8), aml.irqNoFlags(irq))
  );
  m.serials.forEach(({ port, irq }, n) =>
    legacy(`COM${n + 1}`, "PNP0501", n + 1, aml.io(port, 8), aml.irqNoFlags(irq))
  );
  return devices;
}

export function processors(m: AcpiMachine): Aml {
  const list = m.cpus.map((_, n) =>
    aml.device(
      `C${n.toString(16).toUpperCase().padStart(3, "0")}`,
      aml.name("_HID", aml.string("ACPI0007")),
      aml.name("_UID", aml.integer(n)),
      aml.name("_STA", aml.integer(m.cpus[n].present ? 0x0f : 0)),
    )
  );
  return aml.device(
    "CPUS",
    aml.name("_HID", aml.string("ACPI0010")),
    aml.name("_CID", aml.eisaId("PNP0A05")),
    ...list,
  );
}

export function hpet(): Aml {
  return aml.device(
    "HPET",
    aml.name("_HID", aml.eisaId("PNP0103")),
    aml.name("_UID", aml.integer(0)),
    aml.name("_STA", aml.integer(0x0f)),
    aml.name("_CRS", aml.resourceTemplate(aml.memory32Fixed(0xfed00000, 0x400, false))),
  );
}

/** SLP_TYP values of PIIX4 and ICH9: 0 is soft off, 1 suspend to RAM. */
export function sleepStates(m: AcpiMachine): Aml {
  const state = (n: number, type: number) =>
    aml.name(
      `\\_S${n}`,
      aml.pkg(aml.integer(type), aml.integer(type), aml.integer(0), aml.integer(0)),
    );
  return [
    ...(m.s3 ? state(3, 1) : []),
    ...(m.s4Type === undefined ? [] : state(4, m.s4Type)),
    ...state(5, 0),
  ];
}
