/**
 * PCI configuration at POST: bus numbers, base addresses, interrupt lines.
 * PCI Local Bus Specification 3.0 chapter 6; PCI-to-PCI Bridge Architecture 1.2.
 */
import type { FrameContext } from "./frame.ts";

const CONFIG_ADDRESS = 0xcf8, CONFIG_DATA = 0xcfc;

export const Pci = {
  VENDOR_ID: 0x00,
  DEVICE_ID: 0x02,
  COMMAND: 0x04,
  CLASS_REVISION: 0x08,
  HEADER_TYPE: 0x0e,
  BAR0: 0x10,
  PRIMARY_BUS: 0x18,
  SECONDARY_BUS: 0x19,
  SUBORDINATE_BUS: 0x1a,
  IO_BASE: 0x1c,
  IO_LIMIT: 0x1d,
  MEMORY_BASE: 0x20,
  MEMORY_LIMIT: 0x22,
  PREF_BASE: 0x24,
  PREF_LIMIT: 0x26,
  PREF_BASE_UPPER: 0x28,
  PREF_LIMIT_UPPER: 0x2c,
  IO_BASE_UPPER: 0x30,
  IO_LIMIT_UPPER: 0x32,
  ROM_ADDRESS: 0x30,
  BRIDGE_ROM_ADDRESS: 0x38,
  INTERRUPT_LINE: 0x3c,
  INTERRUPT_PIN: 0x3d,
  BRIDGE_CONTROL: 0x3e,
} as const;

export const PciCommand = { IO: 1, MEMORY: 2, MASTER: 4, SERR: 0x100 } as const;

/** `bdf`: bus × 256 + device × 8 + function. */
export function configAddress(bdf: number, reg: number): number {
  return (0x80000000 | (bdf << 8) | (reg & 0xfc)) >>> 0;
}

export function readConfig(c: FrameContext, bdf: number, reg: number, size: 1 | 2 | 4): number {
  c.outl(CONFIG_ADDRESS, configAddress(bdf, reg));
  const port = CONFIG_DATA + (reg & 3);
  return size === 1 ? c.inb(port) : size === 2 ? c.inw(port) : c.inl(port);
}

export function writeConfig(
  c: FrameContext,
  bdf: number,
  reg: number,
  size: 1 | 2 | 4,
  value: number,
): void {
  c.outl(CONFIG_ADDRESS, configAddress(bdf, reg));
  const port = CONFIG_DATA + (reg & 3);
  if (size === 1) c.outb(port, value);
  else if (size === 2) c.outw(port, value);
  else c.outl(port, value);
}

/** A function found on a bus. */
export interface PciFunction {
  readonly bdf: number;
  readonly vendor: number;
  readonly device: number;
  /** 24-bit class code. */
  readonly classCode: number;
  readonly headerType: number;
  /** Of a bridge. */
  readonly secondary: PciBusInfo | undefined;
}

export interface PciBusInfo {
  readonly number: number;
  readonly functions: PciFunction[];
}

/** Functions of a bus that is already numbered (or has no bridges). */
export function scanBus(c: FrameContext, bus: number): Omit<PciFunction, "secondary">[] {
  const found: Omit<PciFunction, "secondary">[] = [];
  for (let dev = 0; dev < 32; dev++) {
    for (let fn = 0; fn < 8; fn++) {
      const bdf = (bus << 8) | (dev << 3) | fn;
      const id = readConfig(c, bdf, Pci.VENDOR_ID, 4);
      if ((id & 0xffff) === 0xffff || (id & 0xffff) === 0) {
        if (fn === 0) break;
        continue;
      }
      const headerType = readConfig(c, bdf, Pci.HEADER_TYPE, 1);
      found.push({
        bdf,
        vendor: id & 0xffff,
        device: id >>> 16,
        classCode: readConfig(c, bdf, Pci.CLASS_REVISION, 4) >>> 8,
        headerType: headerType & 0x7f,
      });
      if (fn === 0 && (headerType & 0x80) === 0) break;
    }
  }
  return found;
}

/** Numbers all buses behind `bus` and returns the tree. `next` is the first free bus number. */
export function enumerate(c: FrameContext, bus = 0, next = { bus: 1 }): PciBusInfo {
  const functions = scanBus(c, bus).map((f): PciFunction => {
    if (f.headerType !== 1 || next.bus > 255) return { ...f, secondary: undefined };
    const secondary = next.bus++;
    writeConfig(c, f.bdf, Pci.PRIMARY_BUS, 1, bus);
    writeConfig(c, f.bdf, Pci.SECONDARY_BUS, 1, secondary);
    writeConfig(c, f.bdf, Pci.SUBORDINATE_BUS, 1, 0xff);
    const child = enumerate(c, secondary, next);
    writeConfig(c, f.bdf, Pci.SUBORDINATE_BUS, 1, next.bus - 1);
    return { ...f, secondary: child };
  });
  return { number: bus, functions };
}

/** All functions of a tree, parents before children. */
export function* allFunctions(root: PciBusInfo): Generator<PciFunction> {
  for (const f of root.functions) {
    yield f;
    if (f.secondary) yield* allFunctions(f.secondary);
  }
}

/**
 * OpenFirmware path of a function, as fw_cfg's files name it, with each device's name left open:
 * `/pci@i0cf8/*@5/*@1,2` is function 2 of device 1 behind the bridge that is device 5.
 */
export function pciPath(c: FrameContext, bdf: number): string {
  const slot = (bdf >> 3) & 31, fn = bdf & 7;
  const name = `*@${slot.toString(16)}${fn ? `,${fn}` : ""}`;
  const bus = bdf >> 8, bridge = bus === 0 ? undefined : bridgeTo(c, bus);
  return `${bridge === undefined ? "/pci@i0cf8" : pciPath(c, bridge)}/${name}`;
}

/** The bridge whose secondary bus is `bus`. A bus has a higher number than those above it. */
function bridgeTo(c: FrameContext, bus: number): number | undefined {
  for (const f of everyFunction(c, bus - 1)) {
    if (f.headerType === 1 && readConfig(c, f.bdf, Pci.SECONDARY_BUS, 1) === bus) return f.bdf;
  }
}

/** All functions on numbered buses 0 to `last`. */
export function* everyFunction(c: FrameContext, last: number) {
  for (let bus = 0; bus <= last; bus++) yield* scanBus(c, bus);
}
