/** The differentiated definition block of a PC with the 440FX chip set. ACPI 6.3 chapters 5 to 9. */
import * as aml from "./aml.ts";
import type { Aml } from "./aml.ts";
import type { AcpiMachine } from "./acpi.ts";
import { hpet, isaDevices, pirqLink, processors, sleepStates } from "./dsdt_parts.ts";

const LINKS = ["LNKA", "LNKB", "LNKC", "LNKD"];

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

function links(): Aml[] {
  const list = LINKS.map((n, index) => pirqLink(n, index, aml.ref(`\\_SB.PCI0.ISA.PRQ${index}`)));
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
  return aml.device(
    "ISA",
    aml.name("_ADR", aml.integer(0x00010000)),
    aml.operationRegion("P40C", aml.Space.pciConfig, 0x60, 4),
    aml.field("P40C", 1, [["PRQ0", 8], ["PRQ1", 8], ["PRQ2", 8], ["PRQ3", 8]]),
    ...isaDevices(m),
  );
}
