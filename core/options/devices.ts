/**
 * Device types `-device` and `-global` can name: bus, help text, properties with their types. A
 * board creates what is listed here; names that QEMU has and this program lacks are refused as
 * QEMU refuses a name it does not know.
 */
import type { DeviceOptions, DriveOptions, MachineOptions } from "./config.ts";
import { EarlyExit, fail, type OptionsHost, report } from "./host.ts";
import { UserError } from "../errors.ts";
import { parseBool, parseInt64, parseSize, parseUint64 } from "./numbers.ts";
import { isHelp, type Opts } from "./qemu_opts.ts";
import { virtioTypes } from "./virtio_devices.ts";

type PropType =
  | "uint8"
  | "uint16"
  | "uint32"
  | "uint64"
  | "int32"
  | "bool"
  | "str"
  | "size"
  /** `slot.function` in hexadecimal. */
  | "pci-addr"
  | "chardev"
  | "drive"
  | "OnOffAuto"
  | "BlockdevOnError"
  | "BiosAtaTranslation"
  | "FdcDriveType"
  | "LostTickPolicy"
  | "int64"
  /** The id of an object. */
  | "link"
  /** Nothing a user can set. */
  | "readonly";

export interface Prop {
  type: PropType;
  /** The word in help when it is not the type's name. */
  word?: string;
  /** A switch of something that is not there. */
  onlyOff?: boolean;
  /** The preset is a number too large for one: help prints it as it is. */
  bare?: boolean;
  /** As help prints it; absent: nothing about a default. */
  preset?: string | number | boolean;
  text?: string;
}

export interface DeviceType {
  name: string;
  bus: "ISA" | "PCI" | "IDE" | "floppy-bus" | "System" | "virtio-bus" | "virtio-serial-bus";
  category: string;
  description?: string;
  alias?: string;
  props: Readonly<Record<string, Prop>>;
  /** False: part of every board, cannot be added. */
  pluggable: boolean;
}

const ON_OFF_AUTO: Prop = { type: "OnOffAuto", preset: "auto", text: "on/off/auto" };
const ON_ERROR: Prop = {
  type: "BlockdevOnError",
  preset: "auto",
  text: "Error handling policy, report/ignore/enospc/stop/auto",
};
const BLOCK_SIZE: Prop = {
  type: "size",
  preset: 0,
  text: "A power of two between 512 B and 2 MiB",
};
const FD_TYPE: Prop = {
  type: "FdcDriveType",
  preset: "auto",
  text: "FDC drive type, 144/288/120/none/auto",
};
const CHARDEV: Prop = { type: "chardev", text: "ID of a chardev to use as a backend" };
const u32 = (preset: number): Prop => ({ type: "uint32", preset });

const BLOCK: Record<string, Prop> = {
  "account-failed": ON_OFF_AUTO,
  "account-invalid": ON_OFF_AUTO,
  backend_defaults: ON_OFF_AUTO,
  discard_granularity: { type: "size", preset: 4294967295 },
  drive: { type: "drive", text: "Node name or ID of a block device to use as a backend" },
  logical_block_size: BLOCK_SIZE,
  min_io_size: { type: "size", preset: 0 },
  opt_io_size: { type: "size", preset: 0 },
  physical_block_size: BLOCK_SIZE,
  "share-rw": { type: "bool", preset: false },
  unit: u32(4294967295),
  "write-cache": ON_OFF_AUTO,
};

const IDE: Record<string, Prop> = {
  ...BLOCK,
  bootindex: { type: "int32" },
  model: { type: "str" },
  rerror: ON_ERROR,
  serial: { type: "str" },
  ver: { type: "str" },
  werror: ON_ERROR,
  wwn: { type: "uint64", preset: 0 },
};

const PCI: Record<string, Prop> = {
  "acpi-index": u32(0),
  addr: {
    type: "pci-addr",
    preset: -1,
    text: "Slot and optional function number, example: 06.0 or 06",
  },
  failover_pair_id: { type: "str" },
  multifunction: { type: "bool", preset: false, text: "on/off" },
  rombar: u32(1),
  romfile: { type: "str" },
  romsize: u32(4294967295),
  "x-pcie-extcap-init": { type: "bool", preset: true, text: "on/off" },
  "x-pcie-lnksta-dllla": { type: "bool", preset: true, text: "on/off" },
};

/** Types a user can add, by category in the order of `-device help`. */
const USER_TYPES: DeviceType[] = [
  {
    name: "pci-bridge",
    bus: "PCI",
    category: "Controller/Bridge/Hub",
    description: "Standard PCI Bridge",
    props: {
      ...PCI,
      "bus-reserve": u32(4294967295),
      chassis_nr: { type: "uint8", preset: 0 },
      "io-reserve": { type: "size", preset: "18446744073709551615" },
      "mem-reserve": { type: "size", preset: "18446744073709551615" },
      msi: ON_OFF_AUTO,
      "pref32-reserve": { type: "size", preset: "18446744073709551615" },
      "pref64-reserve": { type: "size", preset: "18446744073709551615" },
      shpc: { type: "bool", preset: true, text: "on/off" },
    },
    pluggable: true,
  },
  {
    name: "floppy",
    bus: "floppy-bus",
    category: "Storage",
    description: "virtual floppy drive",
    props: { ...BLOCK, "drive-type": FD_TYPE },
    pluggable: true,
  },
  {
    name: "ich9-ahci",
    bus: "PCI",
    category: "Storage",
    alias: "ahci",
    props: PCI,
    pluggable: true,
  },
  {
    name: "ide-cd",
    bus: "IDE",
    category: "Storage",
    description: "virtual IDE CD-ROM",
    props: IDE,
    pluggable: true,
  },
  {
    name: "ide-hd",
    bus: "IDE",
    category: "Storage",
    description: "virtual IDE disk",
    props: {
      ...IDE,
      "bios-chs-trans": {
        type: "BiosAtaTranslation",
        preset: "auto",
        text: "Logical CHS translation algorithm, auto/none/lba/large/rechs",
      },
      cyls: u32(0),
      heads: u32(0),
      lcyls: u32(0),
      lheads: u32(0),
      lsecs: u32(0),
      rotation_rate: { type: "uint16", preset: 0 },
      secs: u32(0),
    },
    pluggable: true,
  },
  {
    name: "isa-parallel",
    bus: "ISA",
    category: "Input",
    props: { chardev: CHARDEV, index: u32(4294967295), iobase: u32(4294967295), irq: u32(7) },
    pluggable: true,
  },
  {
    name: "isa-serial",
    bus: "ISA",
    category: "Input",
    props: {
      baudbase: u32(115200),
      chardev: CHARDEV,
      index: u32(4294967295),
      iobase: u32(4294967295),
      irq: u32(4294967295),
      wakeup: { type: "bool", preset: false },
    },
    pluggable: true,
  },
  {
    name: "VGA",
    bus: "PCI",
    category: "Display",
    props: {
      ...PCI,
      "big-endian-framebuffer": { type: "bool" },
      edid: { type: "bool", preset: true, text: "on/off" },
      "global-vmstate": { type: "bool", preset: false },
      mmio: { type: "bool", preset: true, text: "on/off" },
      "qemu-extended-regs": { type: "bool", preset: true, text: "on/off" },
      refresh_rate: u32(0),
      vgamem_mb: u32(16),
      xmax: u32(0),
      xres: u32(0),
      ymax: u32(0),
      yres: u32(0),
    },
    pluggable: true,
  },
  {
    name: "isa-debug-exit",
    bus: "ISA",
    category: "Misc",
    props: { iobase: u32(0x501), iosize: u32(2) },
    pluggable: true,
  },
  {
    name: "isa-debugcon",
    bus: "ISA",
    category: "Misc",
    props: { chardev: CHARDEV, iobase: u32(0xe9), readback: u32(0xe9) },
    pluggable: true,
  },
  { name: "pc-testdev", bus: "ISA", category: "Misc", props: {}, pluggable: true },
  {
    name: "pci-testdev",
    bus: "PCI",
    category: "Misc",
    description: "PCI Test Device",
    props: { ...PCI, membar: { type: "size", preset: 0 } },
    pluggable: true,
  },
  {
    name: "pvpanic",
    bus: "ISA",
    category: "Misc",
    props: { events: { type: "uint8", preset: 3 }, ioport: { type: "uint16", preset: 0x505 } },
    pluggable: true,
  },
  ...virtioTypes({ pci: PCI, block: BLOCK, chardev: CHARDEV, onError: ON_ERROR }),
];

const PCI_PARTS = ["PIIX3", "PIIX4_PM", "i440FX", "mch", "ICH9-LPC", "ICH9-SMB"];
const ICH9_LPC: Record<string, Prop> = {
  disable_s3: { type: "uint8" },
  disable_s4: { type: "uint8" },
  noreboot: { type: "bool", preset: true },
  s4_val: { type: "uint8" },
};

/** Parts of the boards: `-global` and help know them, `-device` cannot add them. */
const BOARD_TYPES: DeviceType[] = [
  {
    name: "isa-fdc",
    bus: "ISA",
    category: "Storage",
    description: "virtual floppy controller",
    props: {
      bootindexA: { type: "int32" },
      bootindexB: { type: "int32" },
      dma: u32(2),
      fallback: { ...FD_TYPE, preset: "288" },
      fdtypeA: FD_TYPE,
      fdtypeB: FD_TYPE,
      iobase: u32(0x3f0),
      irq: u32(6),
    },
    pluggable: false,
  },
  { name: "piix3-ide", bus: "PCI", category: "Storage", props: PCI, pluggable: false },
  {
    name: "virtio-mmio",
    bus: "System",
    category: "Misc",
    props: {
      "force-legacy": { type: "bool", preset: true },
      format_transport_address: { type: "bool", preset: true },
      ioeventfd: { type: "bool", preset: true, text: "on/off" },
    },
    pluggable: false,
  },
  ...[
    "PIIX3",
    "PIIX4_PM",
    "i440FX",
    "i440FX-pcihost",
    "q35-pcihost",
    "mch",
    "ICH9-LPC",
    "ICH9-SMB",
    "hpet",
    "isa-pcspk",
    "isa-pit",
    "isa-i8259",
    "i8257",
    "ioapic",
    "fw_cfg_io",
    "fw_cfg_mem",
    "i8042",
    "mc146818rtc",
    "port92",
    "vmport",
  ].map((name): DeviceType => ({
    name,
    bus: PCI_PARTS.includes(name) ? "PCI" : "ISA",
    category: "Misc",
    props: name === "PIIX4_PM"
      ? {
        ...PCI,
        disable_s3: { type: "uint8", preset: 0 },
        disable_s4: { type: "uint8", preset: 0 },
        s4_val: { type: "uint8", preset: 2 },
      }
      : name === "ICH9-LPC"
      ? { ...PCI, ...ICH9_LPC }
      : PCI_PARTS.includes(name)
      ? PCI
      : name === "mc146818rtc"
      ? {
        base_year: { type: "int32", preset: 1980 },
        lost_tick_policy: { type: "LostTickPolicy", preset: "discard" },
      }
      : name === "hpet"
      ? { timers: { type: "uint8", preset: 3 }, msi: { type: "bool", preset: false } }
      : {},
    pluggable: false,
  })),
];

export const DEVICE_TYPES: readonly DeviceType[] = [...USER_TYPES, ...BOARD_TYPES];

/** What `-device` and `device_add` can name. */
export const PLUGGABLE_NAMES: readonly string[] = USER_TYPES.map((t) => t.name);

export function findDeviceType(name: string): DeviceType | undefined {
  return DEVICE_TYPES.find((t) => t.name === name || t.alias === name);
}

const CATEGORY_TITLES = ["Controller/Bridge/Hub", "Storage", "Input", "Display", "Misc"];

/** What `-device help` prints. */
export function deviceListHelp(): string {
  return CATEGORY_TITLES.map((category) => {
    const types = USER_TYPES.filter((t) => t.category === category).sort((a, b) =>
      a.name.toLowerCase() < b.name.toLowerCase() ? -1 : 1
    );
    const lines = types.map((t) =>
      `name "${t.name}", bus ${t.bus}` +
      (t.alias ? `, alias "${t.alias}"` : "") + (t.description ? `, desc "${t.description}"` : "")
    );
    return `${category} devices:\n${lines.join("\n")}\n`;
  }).join("\n");
}

/** What `-device TYPE,help` prints. */
export function devicePropsHelp(t: DeviceType): string {
  const names = Object.keys(t.props);
  if (names.length === 0) return `There are no options for ${t.name}.\n`;
  const lines = names.map((name) => {
    const p = t.props[name];
    const word = p.word !== undefined
      ? p.word
      : p.type === "pci-addr"
      ? "int32"
      : p.type === "chardev" || p.type === "drive"
      ? "str"
      : p.type;
    let tail = p.text ?? "";
    if (p.preset !== undefined) {
      const quoted = typeof p.preset === "string" && p.type !== "size" && !p.bare;
      const preset = quoted ? `"${p.preset}"` : String(p.preset);
      tail += ` (default: ${preset})`;
    }
    const head = `  ${name}=<${word}>`;
    return tail === "" ? head : `${head.padEnd(24)} - ${tail}`;
  });
  return `${t.name} options:\n${lines.sort().join("\n")}\n`;
}

/** Answers `-device help` and `-device TYPE,help`; true when there was something to answer. */
export function deviceHelp(opts: Opts, host: OptionsHost): boolean {
  const driver = opts.get("driver");
  if (driver !== undefined && isHelp(driver)) {
    host.stdout(deviceListHelp());
    return true;
  }
  if (driver === undefined || !opts.entries.some(([k]) => isHelp(k))) return false;
  const type = findDeviceType(driver);
  if (type) host.stdout(devicePropsHelp(type));
  else report(host, opts.loc, `Device '${driver}' not found`);
  return true;
}

/** What a device's properties can refer to. */
export interface DeviceContext {
  chardevs: ReadonlySet<string>;
  drives: readonly Pick<DriveOptions, "id">[];
  /** Which board's buses there are; default `pc`. */
  family?: MachineOptions["family"];
  /** Users add disk controllers, whose buses the board knows. */
  moreDiskBuses?: boolean;
  /** Ids of objects that devices can refer to. */
  objects?: ReadonlySet<string>;
}

/** Checks one `-device`. Throws UserError with QEMU's words. */
export function resolveDevice(opts: Opts, context: DeviceContext): DeviceOptions {
  const { loc } = opts;
  const driver = opts.get("driver");
  if (driver === undefined) fail(loc, "Parameter 'driver' is missing");
  const type = findDeviceType(driver);
  if (!type) fail(loc, `'${driver}' is not a valid device model name`);
  if (!type.pluggable) fail(loc, "Parameter 'driver' expects a pluggable device type");
  const props = new Map<string, string>();
  for (const [name, value] of opts.entries) {
    if (name === "driver") continue;
    if (name === "bus") {
      checkBus(type, value, loc, context);
    } else {
      const prop = Object.hasOwn(type.props, name) ? type.props[name] : undefined;
      if (!prop) fail(loc, `Property '${type.name}.${name}' not found`);
      checkProp(type, name, prop.type, value, loc, context);
      if (prop.onlyOff && parseBool(value)) {
        fail(loc, `Property '${type.name}.${name}' cannot be switched on in this build`);
      }
    }
    props.set(name, value);
  }
  checkNeeds(type, props, loc);
  return { driver: type.name, id: opts.id, props, loc };
}

/** What a device cannot do without. */
function checkNeeds(type: DeviceType, props: ReadonlyMap<string, string>, loc: string): void {
  const index = props.get("index");
  if (type.name === "isa-serial" && index !== undefined && BigInt(index.trim()) > 3n) {
    fail(loc, "Max. supported number of ISA serial ports is 4.");
  }
  if (type.name === "isa-parallel" && !props.has("chardev")) {
    fail(loc, "Can't create parallel device, empty char device");
  }
  if (type.name === "isa-debugcon" && !props.has("chardev")) {
    fail(loc, "Can't create debugcon device, empty char device");
  }
  if (type.name === "ide-hd" && !props.has("drive")) fail(loc, "No drive specified");
  const unit = props.get("unit");
  if (type.bus === "IDE" && unit !== undefined && BigInt(unit.trim()) > 1n) {
    fail(loc, `Can't create IDE unit ${BigInt(unit.trim())}, bus supports only 2 units`);
  }
}

/** Buses of every board, by QEMU's names. */
const BUSES: Record<string, DeviceType["bus"]> = {
  "isa.0": "ISA",
  "floppy-bus.0": "floppy-bus",
  "main-system-bus": "System",
};

function busKind(name: string, family: MachineOptions["family"]): DeviceType["bus"] | undefined {
  if (Object.hasOwn(BUSES, name)) return BUSES[name];
  if (family === "microvm") return undefined;
  const q35 = family === "q35";
  if (name === (q35 ? "pcie.0" : "pci.0")) return "PCI";
  return (q35 ? /^ide\.[0-5]$/ : /^ide\.[01]$/).test(name) ? "IDE" : undefined;
}

function checkBus(
  type: DeviceType,
  name: string,
  loc: string,
  { family = "pc", moreDiskBuses = false }: DeviceContext,
): void {
  const kind = busKind(name, family);
  // Buses of bridges and controllers are known when these are there.
  if (!kind && (type.bus === "PCI" || (type.bus === "IDE" && moreDiskBuses))) return;
  if (!kind && (type.bus === "virtio-bus" || type.bus === "virtio-serial-bus")) return;
  if (!kind) fail(loc, `Bus '${name}' not found`);
  if (kind !== type.bus) fail(loc, `Device '${type.name}' can't go on ${kind} bus`);
}

const ENUMS: Partial<Record<PropType, readonly string[]>> = {
  OnOffAuto: ["on", "off", "auto"],
  BlockdevOnError: ["report", "ignore", "enospc", "stop", "auto"],
  BiosAtaTranslation: ["auto", "none", "lba", "large", "rechs"],
  FdcDriveType: ["144", "288", "120", "none", "auto"],
  LostTickPolicy: ["discard", "delay", "merge", "slew"],
};

const RANGES: Partial<Record<PropType, [bigint, bigint, string]>> = {
  uint8: [0n, 0xffn, "uint8_t"],
  uint16: [0n, 0xffffn, "uint16_t"],
  uint32: [0n, 0xffffffffn, "uint32_t"],
  int32: [-0x80000000n, 0x7fffffffn, "int32_t"],
};

function checkProp(
  type: DeviceType,
  name: string,
  kind: PropType,
  value: string,
  loc: string,
  context: DeviceContext,
): void {
  const range = RANGES[kind];
  const values = ENUMS[kind];
  if (range) {
    const v = kind === "int32" ? parseInt64(value) : parseUint64(value);
    if (typeof v === "string") fail(loc, `Parameter '${name}' expects integer`);
    if (v < range[0] || v > range[1]) fail(loc, `Parameter '${name}' expects ${range[2]}`);
  } else if (values) {
    if (!values.includes(value)) {
      fail(loc, `Parameter '${name}' does not accept value '${value}'`);
    }
  } else if (kind === "link") {
    if (!context.objects?.has(value)) fail(loc, `Device '${value}' not found`);
  } else if (kind === "readonly") {
    fail(loc, `Property '${type.name}.${name}' is read-only`);
  } else if (kind === "int64") {
    if (typeof parseInt64(value) === "string") fail(loc, `Parameter '${name}' expects int64`);
  } else if (kind === "uint64") {
    if (typeof parseUint64(value) === "string") fail(loc, `Parameter '${name}' expects integer`);
  } else if (kind === "bool") {
    if (parseBool(value) === undefined) fail(loc, `Parameter '${name}' expects 'on' or 'off'`);
  } else if (kind === "size") {
    if (typeof parseSize(value) === "string") fail(loc, `Parameter '${name}' expects size`);
  } else if (kind === "pci-addr") {
    const m = /^\s*(?:0x)?([0-9a-f]{1,2})(?:\.(?:0x)?([0-9a-f]))?$/i.exec(value);
    if (!m || parseInt(m[1], 16) > 31 || parseInt(m[2] ?? "0", 16) > 7) {
      fail(loc, `Property '${type.name}.${name}' doesn't take value '${value}'`);
    }
  } else if (kind === "chardev") {
    // A COM port's properties belong to the UART inside it.
    const owner = type.name === "isa-serial" ? "serial" : type.name;
    if (!context.chardevs.has(value)) {
      fail(loc, `Property '${owner}.${name}' can't find value '${value}'`);
    }
  } else if (kind === "drive") {
    // A virtio function's properties belong to the device inside it.
    const owner = type.name.replace(/^(virtio-blk)-pci.*/, "$1-device");
    if (!context.drives.some((d) => d.id === value)) {
      fail(loc, `Property '${owner}.${name}' can't find value '${value}'`);
    }
  }
}

/** Checks a `-global` for a part of the board, whose value counts for sure. Throws UserError. */
export function checkGlobal(type: DeviceType, property: string, value: string): void {
  const prefix = `can't apply global ${type.name}.${property}=${value}`;
  const prop = Object.hasOwn(type.props, property) ? type.props[property] : undefined;
  if (!prop) fail("", `${prefix}: Property '${type.name}.${property}' not found`);
  try {
    checkProp(type, property, prop.type, value, "", { chardevs: new Set(), drives: [] });
  } catch (e) {
    if (!(e instanceof UserError)) throw e;
    const integer = prop.type === "int32" ? "int64" : "uint64";
    throw new UserError(
      `${prefix}: ${e.message.replace(/expects integer$/, `expects ${integer}`)}`,
    );
  }
}

/** Answers help for every `-device` that asks; ends with status 0 if one did. */
export function answerDeviceHelp(all: readonly Opts[], host: OptionsHost): void {
  for (const opts of all) if (deviceHelp(opts, host)) throw new EarlyExit(0);
}
