/**
 * The tree of buses and devices as the monitor shows it (`info qtree`), and the form in which device
 * types and their properties are described. Layout as QEMU 7.2 prints it.
 */

/** How a property is written: by `info qtree`, and by the user. */
export type PropFormat = "int" | "size" | "bool" | "str" | "raw";

export type PropValue = string | number | bigint | boolean;

/** A property a device type has. */
export interface PropSpec {
  readonly name: string;
  readonly format: PropFormat;
  readonly value: PropValue;
}

/** A device type: what `info qdm` says, and what an instance starts from. */
export interface DeviceTypeSpec {
  readonly name: string;
  /** Type of the bus it plugs into; undefined for devices that sit on none. */
  readonly bus: string | undefined;
  readonly category: DeviceCategory;
  readonly alias?: string;
  readonly description?: string;
  /** Whether `-device` can create it. */
  readonly user: boolean;
  /** Lines of `info qtree` about interrupt and similar wires, such as `gpio-out "" 1`. */
  readonly wires: readonly string[];
  /** In the order of `info qtree`. */
  readonly props: readonly PropSpec[];
  /** The type of the device inside, whose properties users can give to this one. */
  readonly backend?: string;
}

/** In the order in which `-device help` prints them. */
export const DEVICE_CATEGORIES = [
  "Controller/Bridge/Hub",
  "USB",
  "Storage",
  "Network",
  "Input",
  "Display",
  "Sound",
  "Misc",
  "CPU",
  "Watchdog",
  "Uncategorized",
] as const;
export type DeviceCategory = (typeof DEVICE_CATEGORIES)[number];

/** A device in the tree. */
export class DeviceNode {
  /** The user's `id=`, or empty. */
  readonly id: string;
  readonly buses: BusNode[] = [];
  bus: BusNode | undefined;
  readonly #values = new Map<string, PropValue | (() => PropValue)>();
  /** QOM path, such as `/machine/unattached/device[3]`. */
  path = "";
  /** Lines printed behind the properties (a PCI device's class and BARs, a system device's MMIO). */
  details: () => string[] = () => [];

  constructor(readonly spec: DeviceTypeSpec, id = "") {
    this.id = id;
    for (const p of spec.props) this.#values.set(p.name, p.value);
  }

  get type(): string {
    return this.spec.name;
  }

  /** Gives a property its value; one that changes by itself is given as a function. */
  set(name: string, value: PropValue | (() => PropValue)): this {
    this.#values.set(name, value);
    return this;
  }

  /** A property's present value. Throws on a name the type does not have. */
  get(name: string): PropValue {
    const v = this.#values.get(name);
    if (v === undefined) throw new RangeError(`${this.type} has no property ${name}`);
    return typeof v === "function" ? v() : v;
  }

  /** {@link get} of a number (or a size, or an address). */
  number(name: string): number {
    return Number(this.get(name));
  }

  /** {@link get} of a switch. */
  flag(name: string): boolean {
    return this.get(name) === true;
  }

  text(name: string): string {
    return String(this.get(name));
  }

  addBus(bus: BusNode): BusNode {
    this.buses.unshift(bus);
    return bus;
  }
}

/** A bus in the tree. */
export class BusNode {
  /** Newest first, as QEMU prints them. */
  readonly devices: DeviceNode[] = [];

  /** @param type such as `PCI`, `ISA`, `System` */
  constructor(readonly name: string, readonly type: string) {}

  add(node: DeviceNode): DeviceNode {
    this.devices.unshift(node);
    node.bus = this;
    return node;
  }

  remove(node: DeviceNode): void {
    const i = this.devices.indexOf(node);
    if (i >= 0) this.devices.splice(i, 1);
    node.bus = undefined;
  }

  /** This bus and all below it, depth first. */
  *walk(): Generator<BusNode> {
    yield this;
    for (const d of this.devices) for (const b of d.buses) yield* b.walk();
  }

  /** Every device on this bus and below it. */
  *walkDevices(): Generator<DeviceNode> {
    for (const b of this.walk()) yield* b.devices;
  }
}

/** What `info qtree` prints for the tree below (and with) `root`. */
export function infoQtree(root: BusNode): string {
  const lines: string[] = [];
  printBus(root, 0, lines);
  return lines.join("\n") + "\n";
}

function printBus(bus: BusNode, indent: number, lines: string[]): void {
  const pad = " ".repeat(indent);
  lines.push(`${pad}bus: ${bus.name}`, `${pad}  type ${bus.type}`);
  for (const d of bus.devices) printDevice(d, indent + 2, lines);
}

function printDevice(d: DeviceNode, indent: number, lines: string[]): void {
  const pad = " ".repeat(indent), inner = " ".repeat(indent + 2);
  lines.push(`${pad}dev: ${d.type}, id "${d.id}"`);
  for (const w of d.spec.wires) lines.push(inner + w);
  for (const p of d.spec.props) {
    lines.push(`${inner}${p.name} = ${formatProp(p.format, d.get(p.name))}`);
  }
  for (const l of d.details()) lines.push(inner + l);
  for (const b of d.buses) printBus(b, indent + 2, lines);
}

/** A value as `info qtree` shows it: `1008 (0x3f0)`, `512 (512 B)`, `true`, `"auto"`. */
export function formatProp(format: PropFormat, value: PropValue): string {
  switch (format) {
    case "bool":
    case "raw":
      return String(value);
    case "str":
      return `"${value}"`;
    case "int": {
      const v = BigInt(value);
      return `${v} (0x${BigInt.asUintN(64, v).toString(16)})`;
    }
    case "size":
      return `${value} (${humanSize(Number(value))})`;
  }
}

const SIZE_UNITS = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];

/** Bytes with three significant digits and a binary unit: `512 B`, `1.44 MiB`, `4 GiB`. */
export function humanSize(bytes: number): string {
  // The unit changes at 1000, not at 1024, so that three digits are always enough.
  let unit = 0;
  while (unit < SIZE_UNITS.length - 1 && bytes / 2 ** (10 * unit) >= 1000) unit++;
  return `${Number((bytes / 2 ** (10 * unit)).toPrecision(3))} ${SIZE_UNITS[unit]}B`;
}

/** What `info qdm` prints (`-device help` with `userOnly`). */
export function deviceTypeList(types: readonly DeviceTypeSpec[], userOnly = false): string {
  const sections: string[] = [];
  for (const category of DEVICE_CATEGORIES) {
    const lines = types.filter((t) => t.category === category && (t.user || !userOnly))
      .sort((a, b) => compareNames(a.name, b.name)).map(typeLine);
    if (lines.length > 0) sections.push(`${category} devices:\n${lines.join("\n")}\n`);
  }
  return sections.join("\n");
}

function typeLine(t: DeviceTypeSpec): string {
  return `name "${t.name}"` + (t.bus === undefined ? "" : `, bus ${t.bus}`) +
    (t.alias === undefined ? "" : `, alias "${t.alias}"`) +
    (t.description === undefined ? "" : `, desc "${t.description}"`) + (t.user ? "" : ", no-user");
}

/** Without regard to case, as QEMU sorts type names. */
function compareNames(a: string, b: string): number {
  const x = a.toLowerCase(), y = b.toLowerCase();
  return x < y ? -1 : x > y ? 1 : 0;
}
