/** What the monitor says of PCI devices: `info pci`, and the lines behind a device in `info qtree`. */
import { devfnName, type PciBar, type PciBus, type PciDevice } from "./pci.ts";
import { PciBridge } from "./pci_bridge.ts";
import * as R from "./pci_regs.ts";

const UNMAPPED = 0xffffffffffffffffn;

function hex(v: number | bigint, digits: number): string {
  return v.toString(16).padStart(digits, "0");
}

/** First and last address; both wrap like 64-bit numbers while the BAR is unmapped. */
function range(bar: PciBar): [bigint, bigint] {
  const first = bar.address === undefined ? UNMAPPED : BigInt(bar.address);
  return [first, BigInt.asUintN(64, first + BigInt(bar.size) - 1n)];
}

function ids(dev: PciDevice, at: number): string {
  return `${hex(dev.configView.getUint16(at, true), 4)}:${
    hex(dev.configView.getUint16(at + 2, true), 4)
  }`;
}

function className(dev: PciDevice, radix?: 10): string {
  return R.pciClassName(dev.configView.getUint16(R.PCI_CLASS_DEVICE, true), radix);
}

/** Behind a PCI device's properties in `info qtree`. */
export function pciDetails(dev: PciDevice): string[] {
  const bus = hex(dev.bus?.number ?? 0, 2);
  const lines = [
    `class ${className(dev)}, addr ${bus}:${devfnName(dev.devfn)}, pci id ${
      ids(dev, R.PCI_VENDOR_ID)
    } (sub ${ids(dev, R.PCI_SUBSYSTEM_VENDOR_ID)})`,
  ];
  for (const bar of sorted(dev.bars)) {
    const [first, last] = range(bar);
    const kind = bar.space === "io" ? "i/o" : "mem";
    lines.push(`bar ${bar.index}: ${kind} at 0x${hex(first, 1)} [0x${hex(last, 1)}]`);
  }
  return lines;
}

function sorted(bars: readonly PciBar[]): PciBar[] {
  return [...bars].sort((a, b) => a.index - b.index);
}

/** What `info pci` prints for a bus and the buses behind it. */
export function infoPci(bus: PciBus): string {
  return bus.present().map((d) => deviceText(d, bus)).join("");
}

function deviceText(dev: PciDevice, bus: PciBus): string {
  const v = dev.configView;
  const pad = (n: number, width: number) => String(n).padStart(width);
  let text = `  Bus ${pad(bus.number, 2)}, device ${pad(dev.devfn >> 3, 3)}, function ` +
    `${dev.devfn & 7}:\n    ${className(dev, 10)}: PCI device ${ids(dev, R.PCI_VENDOR_ID)}\n`;
  const bridge = dev instanceof PciBridge ? dev : undefined;
  if (!bridge) text += `      PCI subsystem ${ids(dev, R.PCI_SUBSYSTEM_VENDOR_ID)}\n`;
  const pin = v.getUint8(R.PCI_INTERRUPT_PIN);
  if (pin !== 0) {
    text += `      IRQ ${v.getUint8(R.PCI_INTERRUPT_LINE)}, pin ${String.fromCharCode(64 + pin)}\n`;
  }
  if (bridge) text += bridgeText(bridge);
  for (const bar of sorted(dev.bars)) text += barText(bar);
  text += `      id "${dev.id}"\n`;
  // A bus that software has not numbered yet cannot be looked into.
  return bridge && bridge.secondary.number !== 0 ? text + infoPci(bridge.secondary) : text;
}

function barText(bar: PciBar): string {
  const [first, last] = range(bar);
  if (bar.space === "io") {
    return `      BAR${bar.index}: I/O at 0x${hex(first, 4)} [0x${hex(last, 4)}].\n`;
  }
  return `      BAR${bar.index}: ${bar.is64 ? 64 : 32} bit${
    bar.prefetchable ? " prefetchable" : ""
  } memory at 0x${hex(first, 8)} [0x${hex(last, 8)}].\n`;
}

function bridgeText(b: PciBridge): string {
  const v = b.configView, w = b.windows;
  return `      BUS ${v.getUint8(R.PCI_PRIMARY_BUS)}.\n` +
    `      secondary bus ${v.getUint8(R.PCI_SECONDARY_BUS)}.\n` +
    `      subordinate bus ${v.getUint8(R.PCI_SUBORDINATE_BUS)}.\n` +
    `      IO range [0x${hex(w.io.base, 4)}, 0x${hex(w.io.limit, 4)}]\n` +
    `      memory range [0x${hex(w.mem.base, 8)}, 0x${hex(w.mem.limit, 8)}]\n` +
    `      prefetchable memory range [0x${hex(w.prefetch.base, 8)}, 0x${
      hex(w.prefetch.limit, 8)
    }]\n`;
}
