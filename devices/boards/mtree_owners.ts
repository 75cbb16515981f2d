/** Who owns a memory region, by QEMU's paths: what `info mtree -o` adds to each line. */
import type { DeviceNode } from "../../core/qdev.ts";
import type { PcBoard } from "./pc.ts";

/** Device types by the names of their regions. */
const OF_TYPE: Readonly<Record<string, string>> = {
  "vga-lowmem": "VGA",
  "vga.vram": "VGA",
  "vga.mmio": "VGA",
  vga: "VGA",
  vbe: "VGA",
  hpet: "hpet",
  "smram-region": "i440FX",
  "smram-low": "i440FX",
  "dma-chan": "i8257",
  "dma-cont": "i8257",
  "dma-page": "i8257",
  pic: "isa-i8259",
  elcr: "isa-i8259",
  pit: "isa-pit",
  pcspk: "isa-pcspk",
  "i8042-data": "i8042",
  "i8042-cmd": "i8042",
  rtc: "mc146818rtc",
  "rtc-index": "mc146818rtc",
  port92: "port92",
  fdc: "isa-fdc",
  vmport: "vmport",
  serial: "isa-serial",
  parallel: "isa-parallel",
  "acpi-evt": "PIIX4_PM",
  "acpi-cnt": "PIIX4_PM",
  "acpi-tmr": "PIIX4_PM",
  "acpi-gpe0": "PIIX4_PM",
  "acpi-smi": "PIIX4_PM",
  "apm-io": "PIIX4_PM",
  "pm-smbus": "PIIX4_PM",
  "piix3-reset-control": "PIIX3",
  "lpc-reset-control": "ICH9-LPC",
  "pci-testdev-mmio": "pci-testdev",
  "pci-testdev-portio": "pci-testdev",
};

/** Devices of which the second one begins at this port. */
const SECOND: Readonly<Record<string, (port: number) => boolean>> = {
  i8257: (port) => port >= 0xc0 || (port >= 0x88 && port <= 0x8f),
  "isa-i8259": (port) => port === 0xa0 || port === 0x4d1,
};

/** Parts of the board whose paths do not follow from the tree of devices. */
const NAMED: Readonly<Record<string, (host: string) => string>> = {
  fwcfg: () => "/machine/fw_cfg",
  "fwcfg.dma": () => "/machine/fw_cfg",
  "pci-conf-idx": (host) => host,
  "pci-conf-data": (host) => host,
  "pam-pci": (host) => host,
  "pam-ram": (host) => host,
  "pam-rom": (host) => host,
  ioapic: (host) => `${host}/ioapic`,
  "apic-msi": () => "/machine/unattached/device[0]/lapic",
  smram: () => "/machine/unattached/device[0]",
};

/** A region by its name and the address at which it begins. */
export type OwnerOf = (name: string, start: number | bigint) => string;

/** For a board as it is now; the text begins with a space. */
export function regionOwners(b: PcBoard): OwnerOf {
  const byType = new Map<string, DeviceNode[]>();
  for (const d of b.root.walkDevices()) {
    byType.set(d.type, [d, ...byType.get(d.type) ?? []]);
  }
  const q35 = b.config.family === "q35", host = q35 ? "/machine/q35" : "/machine/i440fx";
  return (name, start) => {
    if (name === "pc.ram") return " owner:{obj path=/objects/pc.ram}";
    if (q35 && /^(pam|smram)/.test(name)) return ` owner:{dev path=${host}/mch}`;
    const named = NAMED[name];
    if (named !== undefined) return ` owner:{dev path=${named(host)}}`;
    const asPiix = OF_TYPE[name], type = q35 && asPiix === "PIIX4_PM" ? "ICH9-LPC" : asPiix;
    const list = type === undefined ? undefined : byType.get(type);
    const port = Number(start);
    const device =
      list?.find((d) =>
        d.spec.props.some((p) => p.name === "iobase") && d.number("iobase") === port
      ) ?? list?.[SECOND[type]?.(port) ? 1 : 0];
    if (device === undefined || device.path === "") {
      return " parent:{obj path=/machine/unattached}";
    }
    return ` owner:{dev ${device.id === "" ? "path" : "id"}=${device.id || device.path}}`;
  };
}
