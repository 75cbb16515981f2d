/** The differentiated definition block of a PC with the 440FX chip set. ACPI 6.3 chapters 5 to 9. */
import * as aml from "./aml.ts";
import type { Aml } from "./aml.ts";
import type { AcpiMachine } from "./acpi.ts";

const LINKS = ["LNKA", "LNKB", "LNKC", "LNKD"];
/** Interrupts that a link may use. */
const LINK_IRQS = [5, 10, 11];

export function buildDsdt(m: AcpiMachine): Aml {
  return [
    ...aml.name("PICF", aml.integer(0)),
    ...aml.method("\\_PIC", 1, false, aml.store(aml.arg(0), aml.ref("PICF"))),
    ...aml.scope("\\_SB", pciRoot(m), ...links(), processors(m), ...(m.hpet ? [hpet()] : [])),
    ...sleepStates(m),
  ];
}

function pciRoot(m: AcpiMachine): Aml {
  return aml.device(
    "PCI0",
    aml.name("_HID", aml.eisaId("PNP0A03")),
    aml.name("_ADR", aml.integer(0)),
    aml.name("_UID", aml.integer(0)),
    aml.name("_PRT", routing()),
    aml.name(
      "_CRS",
      aml.resourceTemplate(
        aml.wordBus(0, 0xff),
        aml.io(0xcf8, 8),
        aml.wordIo(0x0000, 0x0cf7),
        aml.wordIo(0x0d00, 0xffff),
        aml.dwordMemory(0x000a0000, 0x000bffff, true),
        aml.dwordMemory(m.pciMemStart, 0xfebfffff, false),
        m.pciMem64 ? aml.qwordMemory(m.pciMem64.start, m.pciMem64.end - 1) : [],
      ),
    ),
    isaBridge(m),
  );
}

/** INTA# of slot 1 is the power management function: it always has IRQ 9. */
function routing(): Aml {
  const entries: Aml[] = [];
  for (let slot = 0; slot < 32; slot++) {
    for (let pin = 0; pin < 4; pin++) {
      const link = slot === 1 && pin === 0 ? "LNKS" : LINKS[(slot - 1 + pin) & 3];
      entries.push(aml.pkg(
        aml.integer(slot * 0x10000 + 0xffff),
        aml.integer(pin),
        aml.ref(`\\_SB.${link}`),
        aml.integer(0),
      ));
    }
  }
  return aml.pkg(...entries);
}

/** PIRQ route control registers 60h–63h: bit 7 disables, bits 3–0 are the IRQ. */
function links(): Aml[] {
  const prs = aml.resourceTemplate(aml.interrupt(...LINK_IRQS));
  const list = LINKS.map((n, index) => {
    const reg = aml.ref(`\\_SB.PCI0.ISA.PRQ${index}`);
    return aml.device(
      n,
      aml.name("_HID", aml.eisaId("PNP0C0F")),
      aml.name("_UID", aml.integer(index)),
      aml.name("_PRS", prs),
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
  });
  const fixed = aml.resourceTemplate(aml.interrupt(9));
  list.push(aml.device(
    "LNKS",
    aml.name("_HID", aml.eisaId("PNP0C0F")),
    aml.name("_UID", aml.integer(4)),
    aml.name("_PRS", fixed),
    aml.method("_STA", 0, false, aml.ret(aml.integer(0x0b))),
    aml.method("_DIS", 0, false),
    aml.name("_CRS", fixed),
    aml.method("_SRS", 1, false),
  ));
  return list;
}

function isaBridge(m: AcpiMachine): Aml {
  const devices: Aml[] = [
    aml.operationRegion("P40C", aml.Space.pciConfig, 0x60, 4),
    aml.field("P40C", 1, [["PRQ0", 8], ["PRQ1", 8], ["PRQ2", 8], ["PRQ3", 8]]),
  ];
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
  return aml.device("ISA", aml.name("_ADR", aml.integer(0x00010000)), ...devices);
}

function processors(m: AcpiMachine): Aml {
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

function hpet(): Aml {
  return aml.device(
    "HPET",
    aml.name("_HID", aml.eisaId("PNP0103")),
    aml.name("_UID", aml.integer(0)),
    aml.name("_STA", aml.integer(0x0f)),
    aml.name("_CRS", aml.resourceTemplate(aml.memory32Fixed(0xfed00000, 0x400, false))),
  );
}

/** SLP_TYP values of the PIIX4: 0 is soft off, 1 suspend to RAM. */
function sleepStates(m: AcpiMachine): Aml {
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
