/**
 * The device types of this program: names, buses, descriptions and properties as QEMU 7.2 has them
 * (its `info qdm` and `info qtree`). Boards make {@link DeviceNode}s from it.
 */
import {
  type DeviceCategory,
  DeviceNode,
  type DeviceTypeSpec,
  type PropFormat,
  type PropSpec,
  type PropValue,
} from "../core/qdev.ts";
import { virtioSpecs } from "./virtio/types.ts";

const prop = (format: PropFormat) => (name: string, value: PropValue): PropSpec => ({
  name,
  format,
  value,
});
const int = prop("int"), size = prop("size"), bool = prop("bool"), raw = prop("raw");
const text = prop("str");
/** A string, empty unless set. */
const str = (name: string, value = ""): PropSpec => text(name, value);

const UNSET32 = 0xffffffff;
const UNSET64 = 0xffffffffffffffffn;

/** Of every PCI device, behind its own. */
const PCI: readonly PropSpec[] = [
  raw("addr", "00.0"),
  str("romfile"),
  int("romsize", UNSET32),
  int("rombar", 1),
  bool("multifunction", false),
  bool("x-pcie-lnksta-dllla", true),
  bool("x-pcie-extcap-init", true),
  str("failover_pair_id"),
  int("acpi-index", 0),
];

const BLOCK: readonly PropSpec[] = [
  str("drive"),
  str("backend_defaults", "auto"),
  size("logical_block_size", 512),
  size("physical_block_size", 512),
  size("min_io_size", 0),
  size("opt_io_size", 0),
  size("discard_granularity", UNSET32),
  str("write-cache", "auto"),
  bool("share-rw", false),
  str("account-invalid", "auto"),
  str("account-failed", "auto"),
];

const IDE: readonly PropSpec[] = [
  ...BLOCK.map((p) => p.name === "discard_granularity" ? size(p.name, 512) : p),
  str("rerror", "auto"),
  str("werror", "auto"),
  str("ver", "2.5+"),
  int("wwn", 0),
  str("serial"),
  str("model"),
];

const VGA_COMMON: readonly PropSpec[] = [
  bool("edid", true),
  int("xres", 1280),
  int("yres", 800),
  int("xmax", 0),
  int("ymax", 0),
  int("refresh_rate", 0),
  bool("global-vmstate", false),
];

interface Extra {
  readonly wires?: readonly string[];
  readonly description?: string;
  readonly alias?: string;
}

/** A type that users can add. */
function user(
  name: string,
  bus: string,
  category: DeviceCategory,
  props: readonly PropSpec[],
  extra: Extra = {},
): DeviceTypeSpec {
  return { name, bus, category, user: true, wires: [], props, ...extra };
}

/** A type that only boards create. */
function part(
  name: string,
  bus: string | undefined,
  props: readonly PropSpec[],
  extra: Extra & { readonly category?: DeviceCategory } = {},
): DeviceTypeSpec {
  return { name, bus, category: "Uncategorized", user: false, wires: [], props, ...extra };
}

export const DEVICE_TYPES: readonly DeviceTypeSpec[] = [
  // Chip set
  part("i440FX-pcihost", "System", [
    size("pci-hole64-size", 2147483648),
    int("short_root_bus", 0),
    bool("x-pci-hole64-fix", true),
    bool("x-config-reg-migration-enabled", true),
    bool("bypass-iommu", false),
  ]),
  part("i440FX", "PCI", PCI, { description: "Host bridge" }),
  part("q35-pcihost", "System", [
    int("MCFG", UNSET64),
    size("pci-hole64-size", 34359738368),
    int("short_root_bus", 0),
    size("below-4g-mem-size", 0),
    size("above-4g-mem-size", 0),
    bool("x-pci-hole64-fix", true),
    bool("x-config-reg-migration-enabled", true),
    bool("bypass-iommu", false),
  ]),
  part("mch", "PCI", [int("extended-tseg-mbytes", 16), bool("smbase-smram", true), ...PCI], {
    description: "Host bridge",
  }),
  part("ICH9-LPC", "PCI", [
    bool("noreboot", true),
    bool("smm-compat", false),
    bool("x-smi-broadcast", true),
    bool("x-smi-cpu-hotplug", true),
    bool("x-smi-cpu-hotunplug", true),
    ...PCI,
  ], { description: "ICH9 LPC bridge", wires: ['gpio-out "gsi" 24'] }),
  part("ICH9-SMB", "PCI", PCI, { description: "ICH9 SMBUS Bridge" }),
  part("PIIX3", "PCI", PCI, { description: "ISA bridge" }),
  part("PIIX4_PM", "PCI", [
    int("smb_io_base", 0xb100),
    int("disable_s3", 0),
    int("disable_s4", 0),
    int("s4_val", 2),
    bool("acpi-pci-hotplug-with-bridge-support", true),
    bool("acpi-root-pci-hotplug", true),
    bool("memory-hotplug-support", true),
    bool("smm-compat", false),
    bool("smm-enabled", true),
    bool("x-not-migrate-acpi-index", false),
    ...PCI,
  ], { description: "PM", wires: ['gpio-out "smi-irq" 1', 'gpio-out "" 1'] }),
  user("pci-bridge", "PCI", "Controller/Bridge/Hub", [
    int("chassis_nr", 0),
    str("msi", "auto"),
    bool("shpc", true),
    int("bus-reserve", UNSET32),
    size("io-reserve", UNSET64),
    size("mem-reserve", UNSET64),
    size("pref32-reserve", UNSET64),
    size("pref64-reserve", UNSET64),
    ...PCI,
  ], { description: "Standard PCI Bridge" }),
  part("smbus-eeprom", "i2c-bus", [int("address", 0)], { category: "Misc" }),
  part("fw_cfg_io", "System", [
    bool("dma_enabled", true),
    int("x-file-slots", 32),
    bool("acpi-mr-restore", true),
  ]),

  // Interrupts and timers
  part("apic", undefined, [int("id", 0), int("version", 20), bool("vapic", true)]),
  part("ioapic", "System", [int("version", 32)], { wires: ['gpio-in "" 24'] }),
  part("isa-i8259", "ISA", [
    int("iobase", UNSET32),
    int("elcr_addr", UNSET32),
    int("elcr_mask", 0xff),
    bool("master", false),
  ], { wires: ['gpio-in "" 8', 'gpio-out "" 1'] }),
  part("isa-pit", "ISA", [int("iobase", UNSET32)], { wires: ['gpio-in "" 1', 'gpio-out "" 1'] }),
  part("hpet", "System", [
    int("timers", 3),
    bool("msi", false),
    int("hpet-intcap", 4),
    bool("hpet-offset-saved", true),
  ], { wires: ['gpio-in "" 2', 'gpio-out "" 1', 'gpio-out "sysbus-irq" 32'] }),
  user("mc146818rtc", "ISA", "Misc", [
    int("base_year", 0),
    int("iobase", 0x70),
    int("irq", 8),
    str("lost_tick_policy", "discard"),
  ], { wires: ['gpio-out "" 1'] }),
  part("i8257", "ISA", [
    int("base", 0),
    int("page-base", 0x80),
    int("pageh-base", -1),
    int("dshift", 0),
  ]),
  part("isa-pcspk", "ISA", [str("audiodev"), int("iobase", 0x61), bool("migrate", true)], {
    category: "Sound",
  }),
  part("port92", "ISA", [], { wires: ['gpio-out "a20" 1'] }),
  part("vmport", "ISA", [
    bool("x-read-set-eax", true),
    bool("x-signal-unsupported-cmd", true),
    bool("x-report-vmx-type", true),
    bool("x-cmds-v2", true),
    int("vmware-vmx-version", 6),
    int("vmware-vmx-type", 2),
  ]),

  // Input
  user("i8042", "ISA", "Input", [
    bool("extended-state", true),
    bool("kbd-throttle", false),
    int("kbd-irq", 1),
    int("mouse-irq", 12),
  ], {
    wires: [
      'gpio-in "ps2-mouse-input-irq" 1',
      'gpio-in "ps2-kbd-input-irq" 1',
      'gpio-out "" 2',
      'gpio-out "a20" 1',
    ],
  }),
  part("ps2-kbd", "System", [], { category: "Input", wires: ['gpio-out "" 1'] }),
  part("ps2-mouse", "System", [], { category: "Input", wires: ['gpio-out "" 1'] }),

  // Storage
  user("piix3-ide", "PCI", "Storage", PCI),
  user("ich9-ahci", "PCI", "Storage", PCI, { alias: "ahci" }),
  user("ide-hd", "IDE", "Storage", [
    ...IDE,
    int("cyls", 0),
    int("heads", 0),
    int("secs", 0),
    int("lcyls", 0),
    int("lheads", 0),
    int("lsecs", 0),
    str("bios-chs-trans", "auto"),
    int("rotation_rate", 0),
    int("unit", UNSET32),
  ], { description: "virtual IDE disk" }),
  user("ide-cd", "IDE", "Storage", [...IDE, int("unit", UNSET32)], {
    description: "virtual IDE CD-ROM",
  }),
  user("isa-fdc", "ISA", "Storage", [
    int("iobase", 0x3f0),
    int("irq", 6),
    int("dma", 2),
    str("fdtypeA", "auto"),
    str("fdtypeB", "auto"),
    str("fallback", "288"),
  ], { description: "virtual floppy controller" }),
  user("floppy", "floppy-bus", "Storage", [
    int("unit", UNSET32),
    ...BLOCK,
    str("drive-type", "auto"),
  ], { description: "virtual floppy drive" }),

  // Serial and parallel ports
  user("isa-serial", "ISA", "Input", [
    int("index", UNSET32),
    int("iobase", UNSET32),
    int("irq", UNSET32),
  ]),
  user("isa-parallel", "ISA", "Input", [
    int("index", UNSET32),
    int("iobase", UNSET32),
    int("irq", 7),
    str("chardev"),
  ]),

  // Display
  user("VGA", "PCI", "Display", [
    int("vgamem_mb", 16),
    bool("mmio", true),
    bool("qemu-extended-regs", true),
    ...VGA_COMMON,
    ...PCI,
  ]),

  // Tests, debugging, paravirtual odds and ends
  user("isa-debug-exit", "ISA", "Misc", [int("iobase", 0x501), int("iosize", 2)]),
  user("isa-debugcon", "ISA", "Misc", [int("iobase", 0xe9), str("chardev"), int("readback", 0xe9)]),
  user("pvpanic", "ISA", "Misc", [int("ioport", 0x505), int("events", 3)]),
  user("pc-testdev", "ISA", "Misc", []),
  user("pci-testdev", "PCI", "Misc", [size("membar", 0), ...PCI], {
    description: "PCI Test Device",
  }),
  ...virtioSpecs({ pci: PCI, block: BLOCK }),
];

const BY_NAME = new Map(DEVICE_TYPES.map((t) => [t.name, t]));

/** A type by its name or alias. */
export function findType(name: string): DeviceTypeSpec | undefined {
  return BY_NAME.get(name) ?? DEVICE_TYPES.find((t) => t.alias === name);
}

/** A node of a known type. Throws on a type that is not in the table. */
export function makeNode(type: string, id?: string): DeviceNode {
  const spec = findType(type);
  if (spec === undefined) throw new RangeError(`unknown device type ${type}`);
  return new DeviceNode(spec, id);
}

/** Writes a user's text into a property, read as the property's format asks. */
export function setFromText(node: DeviceNode, name: string, value: string): void {
  const spec = node.spec.props.find((p) => p.name === name);
  if (spec === undefined) return;
  node.set(name, parseProp(spec.format, value));
}

function parseProp(format: PropFormat, value: string): PropValue {
  switch (format) {
    case "bool":
      return ["on", "yes", "true", "y"].includes(value);
    case "int":
      return Number(value.trim());
    case "size": {
      const m = /^\s*([0-9.]+|0x[0-9a-f]+)\s*([bkmgtpe]?)/i.exec(value);
      if (m === null) return 0;
      const power = "bkmgtpe".indexOf(m[2].toLowerCase() || "b");
      return Math.floor(Number(m[1]) * 1024 ** power);
    }
    default:
      return value;
  }
}
