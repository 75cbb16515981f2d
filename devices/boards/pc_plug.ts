/** Devices that are added to the PC: by the board for its default options, by `-device` for users. */
import type { Drive } from "../../core/block/block.ts";
import type { Chardev, ChardevFrontend, ChardevPort } from "../../core/chardev/chardev.ts";
import type { Device } from "../../core/device.ts";
import { DirtyLog } from "../../core/display/dirty.ts";
import { UserError } from "../../core/errors.ts";
import type { IoRegion } from "../../core/memory/region.ts";
import type { DeviceOptions } from "../../core/options/config.ts";
import { fail, located } from "../../core/options/host.ts";
import { parseBool } from "../../core/options/numbers.ts";
import { BusNode, type DeviceNode } from "../../core/qdev.ts";
import { type PciBus, type PciDevice, romSize } from "../chipset/pci.ts";
import { PciBridge } from "../chipset/pci_bridge.ts";
import { Ich9Ahci } from "../chipset/ich9_ahci.ts";
import { PciVga } from "../display/vga_pci.ts";
import { DebugCon } from "../misc/debugcon.ts";
import { IsaDebugExit } from "../misc/isa_debug_exit.ts";
import { PcTestDev } from "../misc/pc_testdev.ts";
import { PciTestDev } from "../misc/pci_testdev.ts";
import { PvPanic } from "../misc/pvpanic.ts";
import { findType, setFromText } from "../registry.ts";
import { ISA_PARALLEL_PORTS, ParallelPort } from "../serial/parallel.ts";
import { ISA_SERIAL_PORTS, Uart16550 } from "../serial/uart16550.ts";
import { AtaDisk } from "../storage/ata_disk.ts";
import { AtapiCdrom } from "../storage/atapi.ts";
import { FloppyController } from "../storage/fdc.ts";
import type { Geometry } from "../storage/geometry.ts";
import { VirtioPci } from "../virtio/virtio_pci.ts";
import { VirtioSlots } from "../virtio/plug.ts";
import type { DiskBus } from "./chipset.ts";
import { ahciBuses } from "./ich9_chipset.ts";
import type { PcBoard } from "./pc.ts";
import { autoTranslation, type Translation } from "./pc_cmos.ts";
import type { PcDrive } from "./pc_config.ts";

const UNSET = 0xffffffff;
const FD = "floppy-bus";
/** `drive-type` by CMOS type. */
const FLOPPY_TYPES: Readonly<Record<number, string>> = { 2: "120", 4: "144", 5: "288" };
const VGA_ROM = "vgabios-stdvga.bin";

interface Disk {
  readonly geometry: Geometry;
  readonly translation: Translation;
}

export class PcSlots {
  readonly #board: PcBoard;
  readonly serials: Uart16550[] = [];
  readonly parallels: ParallelPort[] = [];
  /** Buses that PCI devices can name with `bus=`. */
  readonly #pciBuses = new Map<string, { bus: PciBus; node: BusNode }>();
  /** Where disks can be: the board's, then those of controllers that users add. */
  readonly diskBuses: DiskBus[] = [];
  readonly #disks: (Disk | undefined)[] = [undefined, undefined, undefined, undefined];
  readonly virtio: VirtioSlots;
  #empty: Map<DeviceOptions, Drive> | undefined;
  /** What the displays know of writes to their memory. */
  readonly #dirtyLog: DirtyLog;
  #isaPriority = 0;
  #anonymous = 0;

  constructor(board: PcBoard) {
    this.#board = board;
    this.#dirtyLog = new DirtyLog(board.env.vm, board.env.mem);
    const { bus, pciNode } = board.chipset;
    this.#pciBuses.set(bus.name, { bus, node: pciNode });
    const { config, env } = board;
    this.virtio = new VirtioSlots({
      clock: env.clock,
      ramSize: config.ramSize,
      cpus: config.cpus,
      get input() {
        return board.input;
      },
      drive: config.drive,
      chardev: config.chardev,
      rng: (id) => config.rng?.(id),
      makeNode: (type, id) => board.userNode(type, id),
      addPci: (dev, node, bus, loc) => {
        this.#addPci(dev, node, bus, loc);
        if (!(dev instanceof VirtioPci) || !ioeventfd(node)) return;
        dev.onNotifyRanges = () => env.vm.setDoorbells?.(dev, dev.notifyRanges());
      },
      addBootEntry: (path, index) => board.addBootEntry(path, index),
      addGeometry: (path, node) => board.addGeometry(path, node),
      warn: (text) => config.warn?.(text),
    });
  }

  // ISA

  /** Users may put a device on ports that others use; it then hides them. */
  #mapIsa(region: IoRegion, base: number, loc: string): void {
    if (base + region.size > 65536) fail(loc, `I/O ports ${base.toString(16)}h are out of range`);
    this.#board.env.io.map(region, base, loc === "" ? 0 : (this.#isaPriority += 2 ** -10));
  }

  #attach(frontend: ChardevFrontend & { attach(p: ChardevPort): void }, chardev: Chardev): void {
    frontend.attach(chardev.attach(frontend));
  }

  /** A COM port; unset properties follow from `index=`, which counts up. */
  addSerial(node: DeviceNode, chardev: Chardev | undefined, loc: string): Uart16550 {
    const { irqs, env } = this.#board;
    let index = node.number("index");
    if (index === UNSET) index = this.serials.length;
    const standard = ISA_SERIAL_PORTS[index];
    if (standard === undefined) {
      fail(loc, `Max. supported number of ISA serial ports is ${ISA_SERIAL_PORTS.length}.`);
    }
    const iobase = pick(node.number("iobase"), standard.iobase);
    const irq = pick(node.number("irq"), standard.irq);
    node.set("index", index).set("iobase", iobase).set("irq", irq);
    const uart = new Uart16550({ clock: env.clock, irq: irqs.line(isaIrq(irq, loc)) });
    this.#mapIsa(uart.region, iobase, loc);
    if (chardev) this.#attach(uart, chardev);
    this.#board.keep(`isa-serial/${this.serials.length}`, uart);
    this.serials.push(uart);
    this.#board.isaNode.add(node);
    return uart;
  }

  addParallel(node: DeviceNode, chardev: Chardev, loc: string): ParallelPort {
    const { irqs, env } = this.#board;
    let index = node.number("index");
    if (index === UNSET) index = this.parallels.length;
    const standard = ISA_PARALLEL_PORTS[index];
    if (standard === undefined) {
      fail(loc, `Max. supported number of parallel ports is ${ISA_PARALLEL_PORTS.length}.`);
    }
    const iobase = pick(node.number("iobase"), standard.iobase);
    node.set("index", index).set("iobase", iobase).set("chardev", chardev.label);
    const port = new ParallelPort(env.clock, irqs.line(isaIrq(node.number("irq"), loc)));
    this.#mapIsa(port.region, iobase, loc);
    this.#attach(port, chardev);
    this.#board.keep(`isa-parallel/${this.parallels.length}`, port);
    this.parallels.push(port);
    this.#board.isaNode.add(node);
    return port;
  }

  #addIsa(node: DeviceNode, device: Device & { region: IoRegion }, base: number, loc: string) {
    this.#mapIsa(device.region, base, loc);
    this.#board.keep(`${device.type}@${base.toString(16)}`, device);
    this.#board.isaNode.add(node);
  }

  #addDebugCon(node: DeviceNode, chardev: Chardev | undefined, loc: string): void {
    if (chardev === undefined) fail(loc, "Can't create debugcon device, empty char device");
    const con = new DebugCon(node.number("readback"));
    this.#addIsa(node, con, node.number("iobase"), loc);
    this.#attach(con, chardev);
  }

  #addPvPanic(node: DeviceNode, loc: string): void {
    const port = node.number("ioport"), { env, fwCfg } = this.#board;
    this.#addIsa(node, new PvPanic((e) => env.panicked(e), node.number("events")), port, loc);
    if (!fwCfg.hasFile("etc/pvpanic-port")) {
      fwCfg.addFile("etc/pvpanic-port", new Uint8Array([port & 0xff, port >> 8]));
    }
  }

  // PCI

  /** Plugs `dev` in where `addr=` and `bus=` say. */
  #addPci(dev: PciDevice, node: DeviceNode, busName: string | undefined, loc: string): void {
    const { bus, node: busNode } = this.#pciBuses.get(busName ?? this.#board.chipset.bus.name)!;
    const addr = node.text("addr");
    const devfn = addr === "00.0" ? undefined : parseDevfn(addr);
    const other = devfn === undefined ? undefined : bus.devices[devfn];
    if (devfn !== undefined && other !== undefined) {
      const id = other.id === "" ? "(null)" : other.id;
      fail(
        loc,
        `PCI: slot ${devfn >> 3} function ${devfn & 7} not available for ${node.type}, in use by ` +
          `${other.type},id=${id}`,
      );
    }
    try {
      bus.plug(dev, devfn);
    } catch {
      fail(loc, `PCI: no slot/function available for ${node.type}, all in use or reserved`);
    }
    this.#board.addPci(dev, node, bus.name, busNode);
  }

  /** The standard VGA adapter. The first display added is the one that viewers show. */
  addVga(node: DeviceNode, busName: string | undefined, loc: string): PciVga {
    const { config, env, fwCfg } = this.#board;
    const { memory, mem, io, clock } = env;
    const megabytes = Math.min(512, Math.max(1, node.number("vgamem_mb")));
    const vram = memory.allocBlock("vga.vram", 2 ** Math.ceil(Math.log2(megabytes)) * (1 << 20));
    const name = node.text("romfile") || VGA_ROM;
    const image = config.romFile(name);
    if (image === undefined && node.text("romfile") !== "") {
      fail(loc, `failed to find romfile "${name}"`);
    }
    let rom: { block: ReturnType<typeof memory.allocBlock>; image: Uint8Array } | undefined;
    if (image !== undefined && node.number("rombar") === 0) {
      fwCfg.setFile(`vgaroms/${name}`, image);
    } else if (image !== undefined) {
      rom = { block: memory.allocBlock("vga.rom", romSize(image.length)), image };
    }
    if (image !== undefined) node.set("romfile", name).set("romsize", romSize(image.length));
    const vga = new PciVga({
      mem,
      io,
      clock,
      vram,
      rom,
      dirtyLog: this.#dirtyLog,
      edid: node.flag("edid") ? { xres: node.number("xres"), yres: node.number("yres") } : false,
    });
    this.#addPci(vga, node, busName, loc);
    this.#board.display ??= vga;
    return vga;
  }

  #addBridge(node: DeviceNode, busName: string | undefined, loc: string): void {
    const { mem, io } = this.#board.env, index = this.#pciBuses.size;
    if (node.number("chassis_nr") === 0) {
      fail(
        loc,
        "Bridge chassis not specified. Each bridge is required to be assigned a unique " +
          "chassis id > 0.",
      );
    }
    const name = node.id === "" ? `pci.${index}` : node.id;
    const bridge = new PciBridge({ mem, io, busName: name, busIndex: index });
    this.#addPci(bridge, node, busName, loc);
    bridge.bus!.children.push(bridge.secondary);
    bridge.secondary.msi = (address, data) => this.#board.irqs.msi(address, data);
    const busNode = node.addBus(new BusNode(name, "PCI"));
    this.#pciBuses.set(name, { bus: bridge.secondary, node: busNode });
  }

  // Storage

  /** The floppy controller with the drives of `-fda`, `-drive if=floppy` and `-device floppy`. */
  addFloppyController(): FloppyController | undefined {
    const { config, env, dma, irqs, chipset } = this.#board;
    if (!chipset.alwaysFloppy && config.drives.every((d) => d.interface !== "floppy")) {
      const extra = config.devices.find((o) => o.driver === "floppy");
      if (extra) fail(extra.loc, "No 'floppy-bus' bus found for device 'floppy'");
      return undefined;
    }
    const node = this.#board.node("isa-fdc"),
      busNode = node.addBus(new BusNode("floppy-bus.0", FD));
    const drives: [Drive | undefined, Drive | undefined] = [undefined, undefined];
    const nodes: (DeviceNode | undefined)[] = [undefined, undefined];
    const place = (drive: Drive, unit: number, node: DeviceNode) => {
      drives[unit] = drive;
      nodes[unit] = busNode.add(node.set("unit", unit).set("drive", drive.name));
    };
    for (const d of config.drives) {
      if (d.interface === "floppy") place(d.drive, d.unit, this.#board.node("floppy"));
    }
    for (const o of config.devices) {
      if (o.driver !== "floppy") continue;
      const node = this.#userNode(o), wanted = node.number("unit");
      const unit = wanted === UNSET ? drives.indexOf(undefined) : wanted;
      if (unit < 0 || unit > 1) {
        fail(o.loc, `Can't create floppy unit ${Math.max(unit, 2)}, bus supports only 2 units`);
      }
      if (drives[unit] !== undefined) fail(o.loc, `Floppy unit ${unit} is in use`);
      place(this.#driveOf(o), unit, node);
      this.#board.addBootEntry(
        `${chipset.isaPath}/fdc@03f0/floppy@${unit}`,
        Number(o.props.get("bootindex") ?? -1),
      );
    }
    const fdc = new FloppyController({
      irq: irqs.line(node.number("irq")),
      dma: dma.channel(node.number("dma")),
      drives,
    });
    const iobase = node.number("iobase");
    env.io.map(fdc.ports, iobase + 1);
    env.io.map(fdc.dir, iobase + 7);
    nodes.forEach((n, unit) => {
      if (n === undefined) return;
      drives[unit]!.attachedTo = n.id || n.path;
      n.set("drive-type", () => FLOPPY_TYPES[fdc.drives[unit]!.type] ?? "none");
    });
    this.#board.keep("isa-fdc", fdc);
    this.#board.isaNode.add(node);
    return fdc;
  }

  /** A drive that was asked for with `-hda`, `-cdrom` or `-drive if=ide`. */
  addIdeDrive(d: PcDrive): void {
    const node = this.#board.node(d.drive.kind === "cdrom" ? "ide-cd" : "ide-hd");
    this.#plugIde(node, d.drive, d.bus, d.unit);
  }

  #plugIde(node: DeviceNode, drive: Drive, bus: number, unit: number): void {
    const position = 2 * bus + unit;
    const serial = node.text("serial") || drive.serial || `QM0000${position + 1}`;
    node.set("drive", drive.name).set("unit", unit).set("serial", serial);
    const common = {
      drive,
      serial,
      model: node.text("model") || undefined,
      version: node.text("ver"),
      wwn: BigInt(node.get("wwn")),
      path: node.id || node.path,
    };
    const to = this.diskBuses[bus], { queueDepth } = to;
    if (node.type === "ide-cd") to.attach(unit, new AtapiCdrom(common));
    else {
      const disk = new AtaDisk({ ...common, geometry: userGeometry(node), queueDepth });
      to.attach(unit, disk);
      const { geometry } = disk, chosen = node.text("bios-chs-trans");
      const translation = chosen === "auto" ? autoTranslation(geometry) : chosen as Translation;
      if (position < this.#disks.length) this.#disks[position] = { geometry, translation };
      node.set("cyls", geometry.cylinders).set("heads", geometry.heads)
        .set("secs", geometry.sectors).set("bios-chs-trans", translation);
    }
    to.node.add(node);
  }

  /** `-device ide-hd` and `ide-cd`: on the bus and unit named, or the first that is free. */
  #addIde(node: DeviceNode, o: DeviceOptions): void {
    const busName = o.props.get("bus"), buses = this.diskBuses;
    // Without bus=, QEMU takes the bus it made last that has fewer than two devices.
    const bus = busName !== undefined
      ? buses.findIndex((b) => b.node.name === busName)
      : buses.findLastIndex((b) => b.units.filter((u) => u !== undefined).length < 2);
    const to = buses[bus];
    if (to === undefined) {
      fail(
        o.loc,
        busName === undefined
          ? `No 'IDE' bus found for device '${node.type}'`
          : `Bus '${busName}' not found`,
      );
    }
    const wanted = node.number("unit");
    const unit = wanted !== UNSET ? wanted : to.units[0] === undefined ? 0 : 1;
    if (unit >= to.units.length) {
      fail(o.loc, `Can't create IDE unit ${unit}, bus supports only ${to.units.length} units`);
    }
    if (to.units[unit] !== undefined) fail(o.loc, `IDE unit ${unit} is in use`);
    const drive = this.#driveOf(o);
    this.#plugIde(node, drive, bus, unit);
    this.#board.addBootEntry(to.path(unit), Number(o.props.get("bootindex") ?? -1));
    if (node.type === "ide-hd") this.#board.addGeometry(to.path(unit), node);
  }

  #driveOf(o: DeviceOptions): Drive {
    const id = o.props.get("drive");
    const drive = id === undefined ? this.#emptyDrives().get(o) : this.#board.config.drive(id);
    if (drive === undefined) fail(o.loc, "No drive specified");
    return drive;
  }

  /** Drives for the CD-ROMs and floppies that were given none, in the order of the devices. */
  #emptyDrives(): ReadonlyMap<DeviceOptions, Drive> {
    if (this.#empty !== undefined) return this.#empty;
    const made = this.#empty = new Map<DeviceOptions, Drive>();
    const { devices, emptyDrive } = this.#board.config;
    for (const o of devices) {
      const kind = o.driver === "ide-cd" ? "cdrom" : o.driver === "floppy" ? "floppy" : undefined;
      if (kind === undefined || o.props.has("drive")) continue;
      const drive = emptyDrive?.(kind);
      if (drive !== undefined) made.set(o, drive);
    }
    return made;
  }

  /** Geometry and translation of the IDE disks, for CMOS. */
  diskGeometries(): readonly (Disk | undefined)[] {
    return this.#disks;
  }

  // -device

  plugAll(devices: readonly DeviceOptions[]): void {
    for (const o of devices) {
      try {
        this.#plug(o);
      } catch (e) {
        if (e instanceof UserError && o.loc !== "" && !e.message.startsWith(o.loc)) {
          throw new UserError(located(o.loc, e.message), e.status, e.hint);
        }
        throw e;
      }
    }
  }

  /** Adds a PCI function to a running machine. Throws UserError with QEMU's words. */
  hotplug(o: DeviceOptions): void {
    const root = this.#board.chipset.bus.name, name = o.props.get("bus") ?? root;
    const { bus } = this.#pciBuses.get(name) ?? {};
    if (bus === undefined) throw new UserError(`Bus '${name}' not found`);
    // The root complex of q35 is no hot-plug bus.
    if (name === "pcie.0") throw new UserError(`Bus '${name}' does not support hotplugging`);
    if (o.id !== undefined && this.#board.pluggedIds().includes(o.id)) {
      throw new UserError(`Duplicate device ID '${o.id}'`);
    }
    const addr = o.props.get("addr");
    if (addr !== undefined) checkFunction(bus, parseDevfn(addr), o);
    this.#plug(o);
  }

  /** Devices that are to leave, with the bus they are on. */
  readonly #leaving = new Map<DeviceNode, BusNode>();

  /** Asks a device to leave; it does at the next reset. Throws UserError with QEMU's words. */
  unplug(id: string): void {
    const node = [...this.#board.root.walkDevices()].find((d) =>
      d.id !== "" && (d.id === id || d.path === id)
    );
    if (node === undefined) throw new UserError(`Device '${id}' not found`);
    if (this.#leaving.has(node)) {
      throw new UserError(`Device ${id} is already in the process of unplug`);
    }
    const bus = node.bus!;
    if (bus.type !== "PCI") {
      throw new UserError(`Bus '${bus.name}' does not support hotplugging`);
    }
    if (node.type === "VGA") {
      throw new UserError(`Device '${node.type}' does not support hotplugging`);
    }
    this.#leaving.set(node, bus);
  }

  /** Takes away what {@link unplug} was asked for. */
  finishUnplugging(): void {
    for (const [node, busNode] of this.#leaving) {
      const { bus } = this.#pciBuses.get(busNode.name)!;
      const dev = bus.present().find((d) => d.id === node.id);
      if (dev === undefined) continue;
      this.#board.forget(dev);
      bus.unplug(dev);
      this.virtio.remove(node);
      busNode.remove(node);
    }
    this.#leaving.clear();
  }

  #userNode(o: DeviceOptions): DeviceNode {
    const node = this.#board.userNode(o.driver, o.id);
    node.path = o.id === undefined
      ? `/machine/peripheral-anon/device[${this.#anonymous++}]`
      : `/machine/peripheral/${o.id}`;
    for (const [name, value] of o.props) setFromText(node, name, value);
    return node;
  }

  #plug(o: DeviceOptions): void {
    const spec = findType(o.driver);
    if (spec === undefined) fail(o.loc, `'${o.driver}' is not a valid device model name`);
    if (spec.name === "floppy") return; // with its controller
    const node = this.#userNode(o);
    const bus = o.props.get("bus"), { config, env } = this.#board;
    const chardev = () => {
      const id = o.props.get("chardev");
      return id === undefined ? undefined : config.chardev(id);
    };
    if (spec.bus === "PCI" && bus !== undefined && !this.#pciBuses.has(bus)) {
      fail(o.loc, `Bus '${bus}' not found`);
    }
    if (VirtioSlots.handles(spec.name)) return this.virtio.plug(o, node);
    switch (spec.name) {
      case "VGA":
        this.addVga(node, bus, o.loc);
        break;
      case "pci-bridge":
        this.#addBridge(node, bus, o.loc);
        break;
      case "pci-testdev": {
        const membar = node.number("membar");
        if (membar !== 0 && (membar < 16 || 2 ** Math.round(Math.log2(membar)) !== membar)) {
          fail(o.loc, "membar must be a power of two");
        }
        this.#addPci(new PciTestDev(membar), node, bus, o.loc);
        break;
      }
      case "ich9-ahci": {
        const ahci = new Ich9Ahci(), first = this.diskBuses.length;
        this.#addPci(ahci, node, bus, o.loc);
        const name = (n: number) => node.id === "" ? `ide.${first + n}` : `${node.id}.${n}`;
        this.diskBuses.push(...ahciBuses(ahci, node, name));
        break;
      }
      case "ide-hd":
      case "ide-cd":
        this.#addIde(node, o);
        break;
      case "isa-serial":
        this.addSerial(node, chardev(), o.loc);
        break;
      case "isa-parallel": {
        const c = chardev();
        if (c === undefined) fail(o.loc, "Can't create parallel device, empty char device");
        this.addParallel(node, c, o.loc);
        break;
      }
      case "isa-debugcon":
        this.#addDebugCon(node, chardev(), o.loc);
        break;
      case "isa-debug-exit": {
        const device = new IsaDebugExit((s) => env.exit(s), node.number("iosize"));
        this.#addIsa(node, device, node.number("iobase"), o.loc);
        break;
      }
      case "pvpanic":
        this.#addPvPanic(node, o.loc);
        break;
      case "pc-testdev": {
        const device = new PcTestDev((n) => this.#board.irqs.line(n));
        device.map(env.mem, env.io);
        this.#board.keep("pc-testdev", device);
        this.#board.isaNode.add(node);
        break;
      }
      default:
        fail(o.loc, "Parameter 'driver' expects a pluggable device type");
    }
  }
}

/** QEMU's property: an accelerator may take the device's doorbells over. */
function ioeventfd(node: DeviceNode): boolean {
  return node.spec.props.some((p) => p.name === "ioeventfd") && node.flag("ioeventfd");
}

function pick(value: number, standard: number): number {
  return value === UNSET ? standard : value;
}

function isaIrq(irq: number, loc: string): number {
  if (irq > 15) fail(loc, `IRQ ${irq} is not an ISA interrupt`);
  return irq;
}

/** What a running guest could not find: functions of a slot whose function 0 does not tell of them. */
function checkFunction(bus: PciBus, devfn: number, o: DeviceOptions): void {
  const slot = devfn >> 3, fn = devfn & 7, first = bus.devices[devfn & ~7];
  if (bus.devices[devfn] !== undefined) return; // said of the slot itself
  if (fn !== 0 && first !== undefined) {
    throw new UserError(
      `PCI: slot ${slot} function 0 already occupied by ${first.type}, new func ${o.driver} ` +
        "cannot be exposed to guest.",
    );
  }
  if (fn !== 0 || parseBool(o.props.get("multifunction") ?? "off")) return;
  for (let f = 1; f < 8; f++) {
    if (bus.devices[devfn + f] === undefined) continue;
    const hex = slot.toString(16);
    throw new UserError(
      `PCI: ${hex}.0 indicates single function, but ${hex}.${f} is already populated.`,
    );
  }
}

/** `SLOT[.FUNCTION]`, hexadecimal, already checked. */
function parseDevfn(text: string): number {
  const [slot, fn = "0"] = text.trim().split(".");
  return (parseInt(slot, 16) << 3) | parseInt(fn, 16);
}

/** `cyls=`, `heads=` and `secs=` when all are given. */
function userGeometry(node: DeviceNode): Geometry | undefined {
  const [cylinders, heads, sectors] = ["cyls", "heads", "secs"].map((n) => node.number(n));
  return cylinders && heads && sectors ? { cylinders, heads, sectors } : undefined;
}
