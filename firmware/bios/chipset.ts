/**
 * Chip set set-up at POST: shadow RAM, interrupt routing, power management base addresses. For the
 * 440FX/PIIX3/PIIX4 (datasheets 290549, 290550, 290562) and the Q35/ICH9 (316966, 316972).
 */
import type { FrameContext } from "./frame.ts";
import { ROM_BASE, ROM_SIZE } from "./layout.ts";
import {
  allFunctions,
  Pci,
  type PciBusInfo,
  type PciFunction,
  readConfig,
  writeConfig,
} from "./pci.ts";

const INTEL = 0x8086;
const I440FX = 0x1237, Q35_MCH = 0x29c0;
const PIIX3_ISA = 0x7000, PIIX3_IDE = 0x7010, PIIX4_PM = 0x7113;
const ICH9_LPC = 0x2918, ICH9_SMBUS = 0x2930, ICH9_AHCI = 0x2922;

/** Power management I/O base that every table and driver here assumes. */
export const PM_BASE = 0x600;
export const SMBUS_BASE = 0x700;
/** Q35: memory-mapped configuration and root complex registers. */
export const PCIEXBAR = 0xb0000000;
const PCIEXBAR_SIZE = 0x10000000;
const RCBA = 0xfed1c000, RCBA_SIZE = 0x4000;
/** Interrupts behind PIRQA–D. */
export const PIRQ_IRQS = [10, 10, 11, 11] as const;

/** First PAM register of the host bridge, or undefined where nothing can be shadowed. */
function pamBase(c: FrameContext): number | undefined {
  const id = readConfig(c, 0, Pci.VENDOR_ID, 4);
  if ((id & 0xffff) !== INTEL) return undefined;
  return id >>> 16 === I440FX ? 0x59 : id >>> 16 === Q35_MCH ? 0x90 : undefined;
}

/** Copies the ROM over itself into RAM and makes C0000–FFFFF writable RAM. */
export function shadowRom(c: FrameContext): void {
  const pam = pamBase(c);
  if (pam === undefined) return;
  const rom = new Uint8Array(ROM_SIZE);
  c.readBytes(ROM_BASE, rom);
  writeConfig(c, 0, pam, 1, 0x30);
  for (let n = 1; n <= 6; n++) writeConfig(c, 0, pam + n, 1, 0x33);
  c.writeBytes(ROM_BASE, rom);
}

/**
 * Write-protects F0000–FFFFF and the option ROMs below `romEnd`. The rest of C0000–EFFFF stays
 * writable: the BIOS's variables are there.
 */
export function protectShadow(c: FrameContext, romEnd: number): void {
  const pam = pamBase(c);
  if (pam === undefined) return;
  for (let n = 0; n < 10; n++) {
    if (0xc4000 + n * 0x4000 > romEnd) break;
    const reg = pam + 1 + (n >> 1), old = readConfig(c, 0, reg, 1);
    const mask = n & 1 ? 0xf0 : 0x0f, readOnly = n & 1 ? 0x10 : 0x01;
    writeConfig(c, 0, reg, 1, (old & ~mask) | readOnly);
  }
  writeConfig(c, 0, pam, 1, 0x10);
}

/**
 * After a reset that kept RAM: shows C0000–FFFFF of it again. False when it does not hold this BIOS.
 */
export function reopenShadow(c: FrameContext): boolean {
  const pam = pamBase(c);
  if (pam === undefined) return false;
  const rom = new Uint8Array(16), ram = new Uint8Array(16);
  c.readBytes(0xffff0, rom);
  writeConfig(c, 0, pam, 1, 0x10);
  for (let n = 1; n <= 6; n++) writeConfig(c, 0, pam + n, 1, 0x33);
  c.readBytes(0xffff0, ram);
  return rom.every((b, n) => b === ram[n]);
}

/** True for the Q35: its memory window and routing differ. */
export function isQ35(c: FrameContext): boolean {
  return readConfig(c, 0, Pci.VENDOR_ID, 4) === ((Q35_MCH << 16) | INTEL);
}

/** Address space that the chip set takes for itself, end exclusive. */
export function chipsetRanges(c: FrameContext): [number, number][] {
  if (!isQ35(c)) return [];
  return [[PCIEXBAR, PCIEXBAR + PCIEXBAR_SIZE], [RCBA, RCBA + RCBA_SIZE]];
}

/** Before anything is assigned: windows that the chip set itself takes. */
export function setUpHostBridge(c: FrameContext): void {
  if (!isQ35(c)) return;
  writeConfig(c, 0, 0x64, 4, 0);
  writeConfig(c, 0, 0x60, 4, PCIEXBAR | 1);
}

/** Device by device, after resources are assigned. */
export function setUpDevices(c: FrameContext, root: PciBusInfo): void {
  for (const f of allFunctions(root)) setUpDevice(c, f);
}

/** What a chip set function needs besides its resources. */
export function setUpDevice(c: FrameContext, f: PciFunction): void {
  if (f.vendor !== INTEL) return;
  switch (f.device) {
    case PIIX3_ISA:
      routePirqs(c, f, 0x60);
      break;
    case PIIX3_IDE:
      writeConfig(c, f.bdf, 0x40, 2, 0x8000); // IDETIM: decode the primary channel
      writeConfig(c, f.bdf, 0x42, 2, 0x8000);
      break;
    case PIIX4_PM:
      writeConfig(c, f.bdf, Pci.INTERRUPT_LINE, 1, 9);
      writeConfig(c, f.bdf, 0x40, 4, PM_BASE | 1); // PMBA
      writeConfig(c, f.bdf, 0x80, 1, 0x01); // PMREGMISC: I/O enable
      writeConfig(c, f.bdf, 0x90, 4, SMBUS_BASE | 1); // SMBBA
      writeConfig(c, f.bdf, 0xd2, 1, 0x09); // SMBHSTCFG: host enable, IRQ 9
      break;
    case ICH9_LPC:
      routePirqs(c, f, 0x60);
      for (let n = 0; n < 4; n++) writeConfig(c, f.bdf, 0x68 + n, 1, PIRQ_IRQS[n]);
      writeConfig(c, f.bdf, 0x40, 4, PM_BASE | 1); // PMBASE
      writeConfig(c, f.bdf, 0x44, 1, 0x80); // ACPI_CNTL: enable, SCI is IRQ 9
      writeConfig(c, f.bdf, 0xf0, 4, RCBA | 1);
      break;
    case ICH9_SMBUS:
      writeConfig(c, f.bdf, 0x20, 4, SMBUS_BASE | 1);
      writeConfig(c, f.bdf, 0x40, 1, 0x01); // HOSTC: HST_EN
      break;
    case ICH9_AHCI:
      writeConfig(c, f.bdf, 0x40, 2, 0x8000);
      writeConfig(c, f.bdf, 0x42, 2, 0x8000);
      break;
  }
}

function routePirqs(c: FrameContext, f: PciFunction, reg: number): void {
  const elcr = [0, 0];
  PIRQ_IRQS.forEach((irq, n) => {
    writeConfig(c, f.bdf, reg + n, 1, irq);
    elcr[irq >> 3] |= 1 << (irq & 7);
  });
  c.outb(0x4d0, elcr[0]);
  c.outb(0x4d1, elcr[1]);
}

/** The 8259 input behind a function's interrupt pin; children of bridges rotate by slot. */
export function assignIrqLines(c: FrameContext, root: PciBusInfo): void {
  const q35 = isQ35(c);
  const walk = (bus: PciBusInfo, swizzle: number) => {
    for (const f of bus.functions) {
      const slot = (f.bdf >> 3) & 31;
      const pin = readConfig(c, f.bdf, Pci.INTERRUPT_PIN, 1);
      if (pin >= 1 && pin <= 4 && !(f.vendor === INTEL && f.device === PIIX4_PM)) {
        const line = bus === root ? rootPirq(q35, slot, pin - 1) : (slot + pin - 1 + swizzle) & 3;
        writeConfig(c, f.bdf, Pci.INTERRUPT_LINE, 1, PIRQ_IRQS[line]);
      }
      if (f.secondary) {
        walk(f.secondary, bus === root ? rootPirq(q35, slot, 0) : (slot + swizzle) & 3);
      }
    }
  };
  walk(root, 0);
}

/** PIRQ number (0–3 for A–D; E–H share their interrupts) of a slot and pin on the root bus. */
function rootPirq(q35: boolean, slot: number, pin: number): number {
  if (!q35) return (slot - 1 + pin) & 3;
  return slot < 25 ? (slot + pin) & 3 : pin;
}
