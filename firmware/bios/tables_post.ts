/** POST's part of the tables: ACPI and SMBIOS from fw_cfg, MP and PCI routing from what was found. */
import { buildMpConfig, buildMpPointer, type MpPciInterrupt } from "../tables/mp.ts";
import { buildPir } from "../tables/pir.ts";
import { isQ35 } from "./chipset.ts";
import type { FrameContext } from "./frame.ts";
import { FwCfg, fwCfgPresent, item16, readFile, readItem } from "./fwcfg.ts";
import { Private, PRIVATE_BASE } from "./layout.ts";
import { runTableLoader } from "./linker_loader.ts";
import { allFunctions, Pci, type PciBusInfo, readConfig } from "./pci.ts";
import { PCI_IRQ_MASK } from "./pcibios.ts";
import { allocate, checksum } from "./table_space.ts";

const IRQ0_OVERRIDE_KEY = 0x8002;

/** CPUs that exist at power-on, and the most there can be. */
export function cpuCounts(c: FrameContext): { present: number; max: number } {
  if (!fwCfgPresent(c)) return { present: 1, max: 1 };
  const present = Math.max(1, item16(c, FwCfg.nbCpus));
  return { present, max: Math.max(present, item16(c, FwCfg.maxCpus)) };
}

function place(c: FrameContext, bytes: Uint8Array): number | undefined {
  const at = allocate(c, "fseg", bytes.length, 16) ?? allocate(c, "high", bytes.length, 16);
  if (at !== undefined) c.writeBytes(at, bytes);
  return at;
}

export function placeAcpi(c: FrameContext): void {
  c.write32(PRIVATE_BASE + Private.rsdp, runTableLoader(c) ?? 0);
}

/** The routing of an ISA-and-PCI machine with a PIIX or ICH9. */
export function placeInterruptTables(c: FrameContext, root: PciBusInfo): void {
  const { max } = cpuCounts(c);
  const buses = new Set([0]), interrupts: MpPciInterrupt[] = [], slots = new Map<number, number>();
  for (const f of allFunctions(root)) {
    buses.add(f.bdf >> 8);
    const pin = readConfig(c, f.bdf, Pci.INTERRUPT_PIN, 1);
    if (pin < 1 || pin > 4) continue;
    const bus = f.bdf >> 8, slot = (f.bdf >> 3) & 31;
    const gsi = readConfig(c, f.bdf, Pci.INTERRUPT_LINE, 1);
    if (gsi > 15 || interrupts.some((i) => i.bus === bus && i.slot === slot && i.pin === pin - 1)) {
      continue;
    }
    interrupts.push({ bus, slot, pin: pin - 1, gsi });
  }
  for (let slot = 1; slot < 32; slot++) slots.set(slot, isQ35(c) ? slot & 3 : (slot - 1) & 3);
  const cpuid = PRIVATE_BASE + Private.cpuid;
  if (c.read32(cpuid + 12) & 0x200) {
    const bsp = c.read32(cpuid + 4) >>> 24;
    const config = place(
      c,
      buildMpConfig({
        cpus: Array.from({ length: Math.min(max, 254) }, (_, n) => ({ apicId: n, bsp: n === bsp })),
        signature: c.read32(cpuid),
        features: c.read32(cpuid + 12),
        ioapicId: 0,
        pciBuses: root.functions.length === 0 ? [] : [...buses].sort((a, b) => a - b),
        pciInterrupts: interrupts,
        irq0Override: fwCfgPresent(c) && readItem(c, IRQ0_OVERRIDE_KEY, 1)[0] !== 0,
      }),
    );
    if (config !== undefined) place(c, buildMpPointer(config));
  }
  const router = [...allFunctions(root)].find((f) => f.classCode >> 8 === 0x0601);
  if (router !== undefined) {
    place(
      c,
      buildPir({
        router: router.bdf,
        routerId: readConfig(c, router.bdf, Pci.VENDOR_ID, 4),
        slots: [...slots].map(([slot, first]) => ({ slot, first })),
        irqMask: PCI_IRQ_MASK,
      }),
    );
  }
}

/** SMBIOS type 0 for this BIOS, handle 0. DMTF DSP0134 7.1. */
function biosInformation(): Uint8Array {
  const strings = "qeno\0" + "qeno BIOS\0" + "06/06/2026\0\0";
  const b = new Uint8Array(24 + strings.length), v = new DataView(b.buffer);
  b.set([0, 24, 0, 0, 1, 2]);
  v.setUint16(6, 0xe800, true);
  b[8] = 3;
  v.setUint32(10, 0x00000008, true); // characteristics are not supported
  b.set([0, 0x04, 1, 0, 0xff, 0xff], 18); // virtual machine; release 1.0
  b.set(new TextEncoder().encode(strings), 24);
  return b;
}

/** Entry point 2.1 ("_SM_", 31 bytes) or 3.0 ("_SM3_", 24 bytes) with its tables. */
export function placeSmbios(c: FrameContext): void {
  const anchor = readFile(c, "etc/smbios/smbios-anchor", 64)?.slice();
  let tables = readFile(c, "etc/smbios/smbios-tables", 65536);
  if (anchor === undefined || tables === undefined) return;
  const v = new DataView(anchor.buffer, anchor.byteOffset, anchor.byteLength);
  const v3 = String.fromCharCode(...anchor.subarray(0, 5)) === "_SM3_";
  if (!v3 && (String.fromCharCode(...anchor.subarray(0, 4)) !== "_SM_" || anchor.length < 31)) {
    return;
  }
  if (!hasType0(tables)) {
    const type0 = biosInformation(), all = new Uint8Array(type0.length + tables.length);
    all.set(type0);
    all.set(tables, type0.length);
    tables = all;
    if (v3) v.setUint32(12, tables.length, true);
    else {
      v.setUint16(22, tables.length, true);
      v.setUint16(28, v.getUint16(28, true) + 1, true);
      v.setUint16(8, Math.max(v.getUint16(8, true), type0.length), true);
    }
  }
  const at = place(c, tables);
  if (at === undefined) return;
  if (v3) {
    v.setBigUint64(16, BigInt(at), true);
    anchor[5] = 0;
    anchor[5] = checksum(anchor.subarray(0, anchor[6]));
  } else {
    v.setUint32(24, at, true);
    anchor[21] = 0;
    anchor[21] = checksum(anchor.subarray(16, 31));
    anchor[4] = 0;
    anchor[4] = checksum(anchor.subarray(0, anchor[5]));
  }
  place(c, anchor);
}

function hasType0(tables: Uint8Array): boolean {
  for (let at = 0; at + 4 <= tables.length;) {
    if (tables[at] === 0) return true;
    if (tables[at + 1] < 4) return false;
    at += tables[at + 1];
    while (at + 1 < tables.length && (tables[at] !== 0 || tables[at + 1] !== 0)) at++;
    at += 2;
  }
  return false;
}
