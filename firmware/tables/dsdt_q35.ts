/**
 * The differentiated definition block of a PC with the Q35 and ICH9 chip set: a PCI Express root bus
 * whose interrupts reach the I/O APIC at inputs 16–23, or the 8259s through eight links. ACPI 6.3
 * chapters 5 to 9; PCI Firmware Specification 3.0, 4.5 (_OSC).
 */
import * as aml from "./aml.ts";
import type { Aml } from "./aml.ts";
import type { AcpiMachine } from "./acpi.ts";
import { hpet, isaDevices, pirqLink, processors, sleepStates } from "./dsdt_parts.ts";

/** PIRQA–H. */
const LETTERS = [..."ABCDEFGH"];
/** I/O APIC input of PIRQA. */
const PIRQ_GSI = 16;
const ECAM_SIZE = 0x10000000;
const PCI_HOST_UUID = [
  ...[0x5b, 0x4d, 0xdb, 0x33, 0xf7, 0x1f, 0x1c, 0x40],
  ...[0x96, 0x57, 0x74, 0x41, 0xc0, 0x3d, 0xd7, 0x66],
];
/** _OSC: everything but native hot plug and SHPC may be taken over by the operating system. */
const OSC_CONTROL = 0x1c;

export function buildQ35Dsdt(m: AcpiMachine): Aml {
  return [
    ...aml.name("PICF", aml.integer(0)),
    ...aml.method("\\_PIC", 1, false, aml.store(aml.arg(0), aml.ref("PICF"))),
    ...aml.scope(
      "\\_SB",
      pciRoot(m),
      ...LETTERS.map((c, n) => pirqLink(`LNK${c}`, n, aml.ref(`\\_SB.PCI0.ISA.PRQ${c}`))),
      ecamResources(m),
      processors(m),
      ...(m.hpet ? [hpet()] : []),
    ),
    ...sleepStates(m),
  ];
}

/** PIRQ that a pin of a slot is wired to as long as software leaves D25IR–D31IR alone. */
function pirq(slot: number, pin: number): number {
  if (slot >= 25 && slot !== 30) return pin;
  return slot === 30 ? 4 + pin : ((slot + pin) & 3) + 4;
}

function routing(apic: boolean): Aml {
  const entries: Aml[] = [];
  for (let slot = 0; slot < 32; slot++) {
    for (let pin = 0; pin < 4; pin++) {
      const n = pirq(slot, pin);
      entries.push(aml.pkg(
        aml.integer(slot * 0x10000 + 0xffff),
        aml.integer(pin),
        apic ? aml.integer(0) : aml.ref(`\\_SB.LNK${LETTERS[n]}`),
        aml.integer(apic ? PIRQ_GSI + n : 0),
      ));
    }
  }
  return aml.pkg(...entries);
}

function pciRoot(m: AcpiMachine): Aml {
  return aml.device(
    "PCI0",
    aml.name("_HID", aml.eisaId("PNP0A08")),
    aml.name("_CID", aml.eisaId("PNP0A03")),
    aml.name("_ADR", aml.integer(0)),
    aml.name("_UID", aml.integer(0)),
    osc(),
    aml.name("PRTP", routing(false)),
    aml.name("PRTA", routing(true)),
    aml.method(
      "_PRT",
      0,
      false,
      aml.when(
        aml.equal(aml.ref("PICF"), aml.integer(0)),
        aml.ret(aml.ref("PRTP")),
      ),
      aml.ret(aml.ref("PRTA")),
    ),
    aml.name(
      "_CRS",
      aml.resourceTemplate(
        aml.wordBus(0, 0xff),
        aml.io(0xcf8, 8),
        aml.wordIo(0x0000, 0x0cf7),
        aml.wordIo(0x0d00, 0xffff),
        aml.dwordMemory(0x000a0000, 0x000bffff, true),
        ...windows(m).map(([first, last]) => aml.dwordMemory(first, last, false)),
        m.pciMem64 ? aml.qwordMemory(m.pciMem64.start, m.pciMem64.end - 1) : [],
      ),
    ),
    isaBridge(m),
  );
}

/** PCI memory below 4 GiB with the memory-mapped configuration space cut out. */
function windows(m: AcpiMachine): [number, number][] {
  const base = m.pciexbar ?? 0, end = base + ECAM_SIZE - 1, start = m.pciMemStart;
  const last = 0xfebfffff;
  if (base === 0 || end < start || base > last) return [[start, last]];
  const list: [number, number][] = [];
  if (base > start) list.push([start, base - 1]);
  if (end < last) list.push([Math.max(start, end + 1), last]);
  return list;
}

/** _OSC: grants what is asked for within {@link OSC_CONTROL}; another UUID or revision is refused. */
function osc(): Aml {
  return aml.method(
    "_OSC",
    4,
    false,
    aml.createDWordField(aml.arg(3), 0, "CDW1"),
    aml.when(
      aml.equal(aml.arg(0), aml.buffer(PCI_HOST_UUID)),
      aml.createDWordField(aml.arg(3), 4, "CDW2"),
      aml.createDWordField(aml.arg(3), 8, "CDW3"),
      aml.store(aml.ref("CDW3"), aml.local(0)),
      aml.and(aml.local(0), aml.integer(OSC_CONTROL), aml.local(0)),
      aml.when(
        aml.not(aml.equal(aml.arg(1), aml.integer(1))),
        aml.or(aml.ref("CDW1"), aml.integer(0x08), aml.ref("CDW1")),
      ),
      aml.when(
        aml.not(aml.equal(aml.ref("CDW3"), aml.local(0))),
        aml.or(aml.ref("CDW1"), aml.integer(0x10), aml.ref("CDW1")),
      ),
      aml.store(aml.local(0), aml.ref("CDW3")),
      aml.ret(aml.arg(3)),
    ),
    aml.or(aml.ref("CDW1"), aml.integer(0x04), aml.ref("CDW1")),
    aml.ret(aml.arg(3)),
  );
}

/** The memory-mapped configuration space, reserved as a motherboard resource. */
function ecamResources(m: AcpiMachine): Aml {
  return aml.device(
    "DRAC",
    aml.name("_HID", aml.eisaId("PNP0C01")),
    aml.name(
      "_CRS",
      aml.resourceTemplate(
        m.pciexbar === undefined ? [] : aml.memory32Fixed(m.pciexbar, ECAM_SIZE, true),
      ),
    ),
  );
}

/** PIRQA–D_ROUT are registers 60h–63h, PIRQE–H_ROUT 68h–6Bh. */
function isaBridge(m: AcpiMachine): Aml {
  const units: [string, number][] = LETTERS.map((c) => [`PRQ${c}`, 8]);
  units.splice(4, 0, ["", 32]);
  return aml.device(
    "ISA",
    aml.name("_ADR", aml.integer(0x001f0000)),
    aml.operationRegion("PIRQ", aml.Space.pciConfig, 0x60, 0x0c),
    aml.field("PIRQ", 1, units),
    ...isaDevices(m),
  );
}
