/**
 * ACPI tables (ACPI Specification 6.3 chapter 5, IA-PC HPET Specification 1.0a, WAET) as firmware
 * gets them: one blob, the RSDP, and the linker-loader script that puts addresses in.
 */
import type { Aml } from "./aml.ts";
import { buildDsdt } from "./dsdt.ts";
import { buildQ35Dsdt } from "./dsdt_q35.ts";
import { LinkerScript } from "./linker_script.ts";
import { buildMicrovmDsdt, microvmFadt, microvmMadt, type MicrovmTables } from "./microvm.ts";
import { type NumaTables, slitBody, sratBody } from "./numa.ts";

/** A plain description of the machine. */
export interface AcpiMachine {
  readonly cpus: readonly { readonly apicId: number; readonly present: boolean }[];
  readonly ioapicId: number;
  readonly hpet: boolean;
  readonly keyboard: boolean;
  readonly floppy: boolean;
  readonly serials: readonly { readonly port: number; readonly irq: number }[];
  readonly parallels: readonly { readonly port: number; readonly irq: number }[];
  /** First byte of PCI memory below 4 GiB; it ends at FEBFFFFFh. */
  readonly pciMemStart: number;
  /** PCI memory above 4 GiB, end exclusive. */
  readonly pciMem64?: { readonly start: number; readonly end: number };
  /** The chip set decides on the PCI root, the interrupts and the power management ports. */
  readonly chipset?: "piix" | "ich9";
  /** ICH9: base of the memory-mapped configuration space of buses 0–255. */
  readonly pciexbar?: number;
  readonly numa?: NumaTables;
  /** A machine of this kind has neither chip set nor PCI. */
  readonly microvm?: MicrovmTables;
  readonly s3: boolean;
  /** SLP_TYP of S4, undefined when there is no S4. */
  readonly s4Type: number | undefined;
  /** `-machine x-oem-id=`, `x-oem-table-id=`: at most 6 and 8 characters. */
  readonly oemId?: string;
  readonly oemTableId?: string;
  /** Complete tables of the user's, which come last; a microvm does without. */
  readonly userTables?: readonly Uint8Array[];
}

/** Power management ports of the PIIX4 as our BIOS and SeaBIOS set them up. */
interface PmPorts {
  readonly event: number;
  readonly control: number;
  readonly timer: number;
  readonly gpe0: number;
  /** Bytes: status and enable registers together. */
  readonly gpe0Length: number;
  readonly sci: number;
  readonly smiCommand: number;
  readonly acpiEnable: number;
  readonly acpiDisable: number;
}

export const PM_PORTS: PmPorts = {
  event: 0x600,
  control: 0x604,
  timer: 0x608,
  gpe0: 0xafe0,
  gpe0Length: 4,
  sci: 9,
  smiCommand: 0xb2,
  acpiEnable: 0xf1,
  acpiDisable: 0xf0,
};

/** Those of the ICH9. */
export const ICH9_PM_PORTS: PmPorts = {
  ...PM_PORTS,
  gpe0: 0x620,
  gpe0Length: 16,
  acpiEnable: 0x02,
  acpiDisable: 0x03,
};

export const ACPI_TABLES = "etc/acpi/tables";
export const ACPI_RSDP = "etc/acpi/rsdp";
export const TABLE_LOADER = "etc/table-loader";

/** The three fw_cfg files. */
export interface AcpiFiles {
  readonly tables: Uint8Array;
  readonly rsdp: Uint8Array;
  readonly loader: Uint8Array;
}

class Writer {
  readonly bytes: number[] = [];
  u8(...v: number[]): this {
    this.bytes.push(...v);
    return this;
  }
  u16(v: number): this {
    return this.u8(v & 0xff, (v >> 8) & 0xff);
  }
  u32(v: number): this {
    return this.u16(v & 0xffff).u16(v >>> 16);
  }
  u64(v: number): this {
    return this.u32(v % 2 ** 32).u32(Math.floor(v / 2 ** 32));
  }
  text(s: string, length: number): this {
    for (let n = 0; n < length; n++) this.u8(n < s.length ? s.charCodeAt(n) : 0x20);
    return this;
  }
  zeros(n: number): this {
    while (n-- > 0) this.u8(0);
    return this;
  }
  /** Generic address structure in port space. */
  gas(port: number, bits: number, access: number): this {
    return this.u8(1, bits, 0, access).u64(port);
  }
}

/** OEMID and OEM Table ID in a header. */
const OEM = 10, OEM_SIZE = 14;
/** Windows wants these named as the table with its licence is (Software Licensing Table, SLIC). */
const NAMED_AS_SLIC = ["FACP", "RSDT", "XSDT"];

function isSlic(table: Uint8Array): boolean {
  return new TextDecoder().decode(table.subarray(0, 4)) === "SLIC";
}

class TableSet {
  readonly bytes: number[] = [];
  readonly script = new LinkerScript();
  constructor(readonly m: AcpiMachine) {}

  /** Appends a table with its header and checksum; gives its offset. */
  add(signature: string, revision: number, body: Aml | Writer, align = 16): number {
    const content = body instanceof Writer ? body.bytes : body;
    while (this.bytes.length % align !== 0) this.bytes.push(0);
    const at = this.bytes.length;
    const header = new Writer().text(signature, 4).u32(36 + content.length).u8(revision, 0)
      .text(this.m.oemId ?? "QENO", 6).text(this.m.oemTableId ?? "QENOPC", 8).u32(1)
      .text("QENO", 4).u32(1);
    const slic = NAMED_AS_SLIC.includes(signature) ? this.m.userTables?.find(isSlic) : undefined;
    if (slic !== undefined) {
      header.bytes.splice(OEM, OEM_SIZE, ...slic.subarray(OEM, OEM + OEM_SIZE));
    }
    this.bytes.push(...header.bytes, ...content);
    return at;
  }

  raw(content: Aml, align: number): number {
    while (this.bytes.length % align !== 0) this.bytes.push(0);
    const at = this.bytes.length;
    this.bytes.push(...content);
    return at;
  }

  /** The field at `offset` holds an offset in the blob and becomes an address. */
  pointer(offset: number, size: 4 | 8, target: number): void {
    for (let n = 0; n < size; n++) {
      this.bytes[offset + n] = n < 4 ? (target >>> (8 * n)) & 0xff : 0;
    }
    this.script.addPointer(ACPI_TABLES, offset, size, ACPI_TABLES);
  }

  /** To be called after the table's pointers are declared. */
  checksum(at: number): void {
    const length = this.bytes[at + 4] | (this.bytes[at + 5] << 8) | (this.bytes[at + 6] << 16);
    this.script.addChecksum(ACPI_TABLES, at + 9, at, length);
  }
}

/** All tables of a machine. */
export function buildAcpi(m: AcpiMachine): AcpiFiles {
  const t = new TableSet(m);
  t.script.allocate(ACPI_RSDP, 16, "fseg");
  t.script.allocate(ACPI_TABLES, 64, "high");
  if (m.microvm !== undefined) return finish(m, t, microvmTables(m, t, m.microvm));
  const facs = t.raw(new Writer().text("FACS", 4).u32(64).zeros(56).bytes, 64);
  const ich9 = m.chipset === "ich9";
  const dsdt = t.add("DSDT", 1, ich9 ? buildQ35Dsdt(m) : buildDsdt(m));
  t.checksum(dsdt);
  const fadt = t.add("FACP", 3, fadtBody(ich9 ? ICH9_PM_PORTS : PM_PORTS));
  t.pointer(fadt + 36, 4, facs);
  t.pointer(fadt + 40, 4, dsdt);
  t.pointer(fadt + 132, 8, facs);
  t.pointer(fadt + 140, 8, dsdt);
  t.checksum(fadt);
  const rest = [t.add("APIC", 1, madtBody(m))];
  if (m.hpet) rest.push(t.add("HPET", 1, hpetBody()));
  if (m.numa !== undefined) {
    rest.push(t.add("SRAT", 1, sratBody(m.numa)));
    if (m.numa.distances !== undefined) rest.push(t.add("SLIT", 1, slitBody(m.numa.distances)));
  }
  if (m.pciexbar !== undefined) rest.push(t.add("MCFG", 1, mcfgBody(m.pciexbar)));
  rest.push(t.add("WAET", 1, new Writer().u32(2))); // the ACPI timer can be trusted
  for (const at of rest) t.checksum(at);
  for (const table of m.userTables ?? []) rest.push(t.raw([...table], 16));
  return finish(m, t, [fadt, ...rest]);
}

/** Adds the tables of a hardware-reduced machine and gives their offsets. */
function microvmTables(m: AcpiMachine, t: TableSet, machine: MicrovmTables): number[] {
  const dsdt = t.add("DSDT", 2, buildMicrovmDsdt(m, machine));
  t.checksum(dsdt);
  const fadt = t.add("FACP", 5, microvmFadt(machine));
  t.pointer(fadt + 40, 4, dsdt);
  t.pointer(fadt + 140, 8, dsdt);
  const madt = t.add("APIC", m.cpus.some((c) => c.apicId >= 255) ? 3 : 1, microvmMadt(m, machine));
  for (const at of [fadt, madt]) t.checksum(at);
  return [fadt, madt];
}

/** Adds what lists the other tables. */
function finish(m: AcpiMachine, t: TableSet, list: readonly number[]): AcpiFiles {
  const rsdt = t.add("RSDT", 1, new Writer().zeros(4 * list.length));
  list.forEach((at, n) => t.pointer(rsdt + 36 + 4 * n, 4, at));
  t.checksum(rsdt);
  const xsdt = t.add("XSDT", 1, new Writer().zeros(8 * list.length));
  list.forEach((at, n) => t.pointer(xsdt + 36 + 8 * n, 8, at));
  t.checksum(xsdt);

  const rsdp = new Writer().text("RSD PTR ", 8).u8(0).text(m.oemId ?? "QENO", 6).u8(2).u32(rsdt)
    .u32(36).u64(xsdt).u8(0, 0, 0, 0);
  t.script.addPointer(ACPI_RSDP, 16, 4, ACPI_TABLES);
  t.script.addPointer(ACPI_RSDP, 24, 8, ACPI_TABLES);
  t.script.addChecksum(ACPI_RSDP, 8, 0, 20);
  t.script.addChecksum(ACPI_RSDP, 32, 0, 36);
  while (t.bytes.length % 4096 !== 0) t.bytes.push(0);
  return {
    tables: Uint8Array.from(t.bytes),
    rsdp: Uint8Array.from(rsdp.bytes),
    loader: t.script.bytes(),
  };
}

/** Fixed ACPI Description Table, revision 3: 244 bytes. */
function fadtBody(p: PmPorts): Writer {
  // WBINVD, C1, no fixed sleep button, RTC wakes from S4, reset register, platform timer.
  const flags = (1 << 0) | (1 << 2) | (1 << 5) | (1 << 7) | (1 << 10) | (1 << 15);
  return new Writer()
    .u32(0).u32(0) // FIRMWARE_CTRL, DSDT
    .u8(1, 0).u16(p.sci) // INT_MODEL, preferred profile, SCI_INT
    .u32(p.smiCommand).u8(p.acpiEnable, p.acpiDisable, 0, 0)
    .u32(p.event).u32(0).u32(p.control).u32(0).u32(0).u32(p.timer).u32(p.gpe0).u32(0)
    .u8(4, 2, 0, 4, p.gpe0Length, 0, 0, 0)
    .u16(0xfff).u16(0xfff) // no C2, no C3
    .u16(0).u16(0).u8(0, 0, 0, 0, 0x32) // RTC century
    .u16(0x0003).u8(0) // legacy devices and an 8042
    .u32(flags)
    .gas(0xcf9, 8, 1).u8(0x06).zeros(3)
    .u64(0).u64(0) // X_FIRMWARE_CTRL, X_DSDT
    .gas(p.event, 32, 2).zeros(12).gas(p.control, 16, 2).zeros(12).zeros(12)
    .gas(p.timer, 32, 3).gas(p.gpe0, 8 * p.gpe0Length, 1).zeros(12);
}

function madtBody(m: AcpiMachine): Writer {
  const w = new Writer().u32(0xfee00000).u32(1); // there are 8259s as well
  m.cpus.forEach((cpu, uid) => w.u8(0, 8, uid, cpu.apicId).u32(cpu.present ? 1 : 0));
  w.u8(1, 12, m.ioapicId, 0).u32(0xfec00000).u32(0);
  w.u8(2, 10, 0, 0).u32(2).u16(0); // the timer is on input 2
  for (const irq of [5, 9, 10, 11]) w.u8(2, 10, 0, irq).u32(irq).u16(0x000d);
  return w.u8(4, 6, 0xff).u16(0).u8(1); // NMI on LINT1 of all
}

/** PCI Firmware Specification 3.0, 4.1.2: segment 0, buses 0 to 255. */
function mcfgBody(base: number): Writer {
  return new Writer().u64(0).u64(base).u16(0).u8(0, 0xff).u32(0);
}

function hpetBody(): Writer {
  return new Writer().u32(0x8086a201).u8(0, 0, 0, 0).u64(0xfed00000).u8(0).u16(0).u8(0);
}
