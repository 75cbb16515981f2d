/** MultiProcessor Specification 1.4: the floating pointer and the configuration table. */

export interface MpCpu {
  readonly apicId: number;
  readonly bsp: boolean;
}

/** One function's interrupt pin: device (slot), pin 0–3, and the I/O APIC input it reaches. */
export interface MpPciInterrupt {
  readonly bus: number;
  readonly slot: number;
  readonly pin: number;
  readonly gsi: number;
}

export interface MpMachine {
  readonly cpus: readonly MpCpu[];
  /** CPUID 1: EAX (stepping, model, family) and EDX. */
  readonly signature: number;
  readonly features: number;
  readonly ioapicId: number;
  /** Numbers of the PCI buses; empty for ISA only. */
  readonly pciBuses: readonly number[];
  readonly pciInterrupts: readonly MpPciInterrupt[];
  /** The timer is wired to input 2 instead of 0. */
  readonly irq0Override: boolean;
}

const LOCAL_APIC = 0xfee00000, IO_APIC = 0xfec00000;
const APIC_VERSION = 0x14, IOAPIC_VERSION = 0x11;
const INT = 0, NMI = 1, EXTINT = 3;

function sum(b: number[]): number {
  return -b.reduce((a, x) => a + x, 0) & 0xff;
}

const le16 = (v: number) => [v & 0xff, (v >> 8) & 0xff];
const le32 = (v: number) => [v & 0xff, (v >>> 8) & 0xff, (v >>> 16) & 0xff, (v >>> 24) & 0xff];
const text = (s: string) => [...s].map((c) => c.charCodeAt(0));

/** The configuration table ("PCMP"). */
export function buildMpConfig(m: MpMachine): Uint8Array {
  const entries: number[][] = [];
  for (const cpu of m.cpus) {
    entries.push([
      ...[0, cpu.apicId, APIC_VERSION, 1 | (cpu.bsp ? 2 : 0)],
      ...le32(m.signature),
      ...le32(m.features),
      ...le32(0),
      ...le32(0),
    ]);
  }
  const isa = m.pciBuses.length === 0 ? 0 : Math.max(...m.pciBuses) + 1;
  for (const bus of m.pciBuses) entries.push([1, bus, ...text("PCI   ")]);
  entries.push([1, isa, ...text("ISA   ")]);
  entries.push([2, m.ioapicId, IOAPIC_VERSION, 1, ...le32(IO_APIC)]);

  const pciGsis = new Set(m.pciInterrupts.map((p) => p.gsi));
  for (const p of m.pciInterrupts) {
    entries.push([
      ...[3, INT, 0, 0, p.bus, (p.slot << 2) | p.pin],
      ...[m.ioapicId, p.gsi],
    ]);
  }
  for (let irq = 0; irq < 16; irq++) {
    if (pciGsis.has(irq)) continue;
    if (m.irq0Override && irq === 2) continue;
    const pin = m.irq0Override && irq === 0 ? 2 : irq;
    entries.push([3, INT, 0, 0, isa, irq, m.ioapicId, pin]);
  }
  entries.push([4, EXTINT, 0, 0, isa, 0, 0, 0]);
  entries.push([4, NMI, 0, 0, isa, 0, 0xff, 1]);

  const body = entries.flat();
  const table = [
    ...text("PCMP"),
    ...le16(44 + body.length),
    ...[4, 0],
    ...text("QENO    PC          "),
    ...le32(0),
    ...le16(0),
    ...le16(entries.length),
    ...le32(LOCAL_APIC),
    ...le16(0),
    ...[0, 0],
    ...body,
  ];
  table[7] = sum(table);
  return Uint8Array.from(table);
}

/** The floating pointer structure that leads to a configuration table at physical `address`. */
export function buildMpPointer(address: number): Uint8Array {
  const p = [...text("_MP_"), ...le32(address), 1, 4, 0, 0, 0, 0, 0, 0];
  p[10] = sum(p);
  return Uint8Array.from(p);
}
