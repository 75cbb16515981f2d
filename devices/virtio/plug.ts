/** Makes virtio devices of `-device` options and puts them where they belong. */
import type { Drive } from "../../core/block/block.ts";
import type { Chardev } from "../../core/chardev/chardev.ts";
import type { Clock } from "../../core/clock.ts";
import type { InputRouter } from "../../core/display/input.ts";
import { UserError } from "../../core/errors.ts";
import type { DeviceOptions } from "../../core/options/config.ts";
import { fail } from "../../core/options/host.ts";
import { BusNode, type DeviceNode } from "../../core/qdev.ts";
import type { PciDevice } from "../chipset/pci.ts";
import { setFromText } from "../registry.ts";
import { guessGeometry } from "../storage/geometry.ts";
import { MSIX_MAX } from "../chipset/msix.ts";
import { builtinRng } from "./rng_backend.ts";
import { VirtioBalloon } from "./virtio_balloon.ts";
import { VirtioBlk } from "./virtio_blk.ts";
import { type InputKind, VirtioInput } from "./virtio_input.ts";
import type { CommonFeatures, VirtioDevice } from "./virtio_device.ts";
import type { VirtioMmio } from "./virtio_mmio.ts";
import { VirtioPci } from "./virtio_pci.ts";
import { type RngBackend, VirtioRng } from "./virtio_rng.ts";
import { type SerialPort, VirtioSerial } from "./virtio_serial.ts";
import { QUEUE_MAX } from "./virtqueue.ts";

const UNSET = 0xffffffff, UNSET_QUEUES = 0xffff;
const MAX_SERIAL_PORTS = 511, MAX_VIRTIO_QUEUES = 1024;
const BALLOON_CLASS = 0x00ff00, RNG_CLASS = 0x00ff00;
const BLK_CLASS = 0x010000, SERIAL_CLASS = 0x078000;

/** A virtio-mmio window of a board, with its bus in the tree. */
export interface MmioWindow {
  readonly mmio: VirtioMmio;
  readonly bus: BusNode;
}

/** The board's side. */
export interface VirtioHost {
  readonly clock: Clock;
  /** Bytes. */
  readonly ramSize: number;
  readonly cpus: number;
  /** Where keyboards, mice and tablets get their events. */
  readonly input: InputRouter;
  drive(id: string): Drive | undefined;
  chardev(id: string): Chardev | undefined;
  rng(id: string): RngBackend | undefined;
  /** A node of `type` with `-global` values applied. */
  makeNode(type: string, id?: string): DeviceNode;
  /** Plugs a function in where `bus=` and `addr=` say; absent on a board without PCI. */
  addPci?(dev: PciDevice, node: DeviceNode, bus: string | undefined, loc: string): void;
  /** Makes a disk bootable. */
  addBootEntry?(path: string, index: number): void;
  /** Tells firmware of the geometry that the properties of a disk's node ask for. */
  addGeometry?(path: string, node: DeviceNode): void;
  readonly windows?: readonly MmioWindow[];
  warn(text: string): void;
}

interface SerialBus {
  readonly name: string;
  readonly device: VirtioSerial;
  readonly bus: BusNode;
}

export class VirtioSlots {
  /** The balloon, of which there can be one. */
  balloon: VirtioBalloon | undefined;
  readonly devices: { readonly device: VirtioDevice; readonly node: DeviceNode }[] = [];
  readonly #serials: SerialBus[] = [];

  constructor(private readonly host: VirtioHost) {}

  /** Whether `type` is made here. */
  static handles(type: string): boolean {
    const kinds = "blk|serial|balloon|rng|keyboard|mouse|tablet";
    return new RegExp(`^virt(io-(${kinds})-(pci|device)|console$|serialport$)`).test(type);
  }

  /** Makes what `o` asks for; `node` has its path and the user's values. Throws UserError. */
  plug(o: DeviceOptions, node: DeviceNode): void {
    const { type } = node;
    if (type === "virtconsole" || type === "virtserialport") this.#addPort(o, node);
    else if (type.endsWith("-device")) this.#addDevice(o, node);
    else this.#addFunction(o, node);
  }

  /** On a virtio-mmio window: the one named, or the last that is free. */
  #addDevice(o: DeviceOptions, node: DeviceNode): void {
    const windows = this.host.windows ?? [], name = o.props.get("bus");
    const window = name === undefined
      ? windows.findLast((w) => w.mmio.device === undefined)
      : windows.find((w) => w.bus.name === name);
    if (window === undefined) {
      fail(
        o.loc,
        name === undefined
          ? `No 'virtio-bus' bus found for device '${node.type}'`
          : `Bus '${name}' not found`,
      );
    }
    if (window.mmio.device !== undefined) fail(o.loc, `Bus '${window.bus.name}' is full`);
    const device = this.#make(node, o, node.id === "" ? undefined : `${node.id}.0`, 1);
    window.mmio.plug(device);
    if (device instanceof VirtioBlk && window.mmio.legacy) node.set("any_layout", false);
    window.bus.add(node);
    if (device instanceof VirtioBlk) {
      const at = window.mmio.address.toString(16).padStart(16, "0");
      this.#makeBootable(o, node, `/virtio-mmio@${at}`);
    }
  }

  #addFunction(o: DeviceOptions, node: DeviceNode): void {
    const { host } = this, { addPci } = host;
    if (addPci === undefined) fail(o.loc, `No 'PCI' bus found for device '${node.type}'`);
    const inner = host.makeNode(node.spec.backend!);
    inner.path = `${node.path}/virtio-backend`;
    for (const [name, value] of o.props) setFromText(inner, name, value);
    const [legacy, modern] = modes(node, inner.type);
    if (!legacy && !modern) {
      fail(
        o.loc,
        "device cannot work as neither modern nor legacy mode is enabled",
        "Set either disable-modern or disable-legacy to off",
      );
    }
    const device = this.#make(inner, o, node.id === "" ? undefined : `${node.id}.0`, host.cpus);
    const pci = new VirtioPci({
      type: node.type,
      device,
      classCode: classCode(device, node),
      legacy,
      modern,
      vectors: this.#vectors(node, device, o),
      pagePerVq: node.flag("page-per-vq"),
    });
    addPci.call(host, pci, node, o.props.get("bus"), o.loc);
    node.addBus(new BusNode("virtio-bus", "virtio-pci-bus")).add(inner);
    if (device instanceof VirtioBlk) {
      this.#makeBootable(o, inner, pci.bus!.firmwarePath("scsi", pci.devfn));
    }
  }

  /** Tells firmware what is asked for of the disk of the device at `path`. */
  #makeBootable(o: DeviceOptions, node: DeviceNode, path: string): void {
    const bootindex = Number(o.props.get("bootindex") ?? -1), disk = `${path}/disk@0,0`;
    if (bootindex >= 0) this.host.addBootEntry?.(disk, bootindex);
    this.host.addGeometry?.(disk, node);
  }

  /** How many MSI-X vectors a function gets; too many for a table are none, as in QEMU. */
  #vectors(node: DeviceNode, device: VirtioDevice, o: DeviceOptions): number {
    if (!has(node, "vectors")) return 0;
    let vectors = node.number("vectors");
    if (vectors === UNSET) vectors = device.queues.length + 1;
    if (vectors > MSIX_MAX) {
      this.host.warn(`${o.loc}: warning: unable to init msix vectors to ${vectors}`);
      vectors = 0;
    }
    node.set("vectors", vectors);
    return vectors;
  }

  #make(
    node: DeviceNode,
    o: DeviceOptions,
    serialBus: string | undefined,
    queues: number,
  ): VirtioDevice {
    const device = this.#makeKind(node, o, serialBus, queues);
    this.devices.unshift({ device, node });
    return device;
  }

  #makeKind(
    node: DeviceNode,
    o: DeviceOptions,
    serialBus: string | undefined,
    queues: number,
  ): VirtioDevice {
    switch (node.type) {
      case "virtio-blk-device":
        return this.#makeBlk(node, o, queues);
      case "virtio-serial-device":
        return this.#makeSerial(node, o, serialBus);
      case "virtio-rng-device":
        return this.#makeRng(node, o);
      case "virtio-keyboard-device":
        return this.#makeInput(node, "keyboard");
      case "virtio-mouse-device":
        return this.#makeInput(node, "mouse");
      case "virtio-tablet-device":
        return this.#makeInput(node, "tablet");
      default:
        return this.#makeBalloon(node, o);
    }
  }

  #makeBlk(node: DeviceNode, o: DeviceOptions, queues: number): VirtioBlk {
    const id = o.props.get("drive"), { loc } = o;
    const drive = id === undefined ? undefined : this.host.drive(id);
    if (drive === undefined) fail(loc, "drive property not set");
    if (drive.attachedTo !== undefined) {
      const automatic = drive.interface !== undefined && drive.interface !== "none";
      fail(
        loc,
        `Drive '${id}' is already in use ` +
          (automatic
            ? "because it has been automatically connected to another device (did you need " +
              "'if=none' in the drive options?)"
            : "by another device"),
      );
    }
    if (drive.medium === undefined) fail(loc, "Device needs media, but drive is empty");
    const wanted = node.number("num-queues"), queueSize = node.number("queue-size");
    if (wanted === 0) fail(loc, "num-queues property must be larger than 0");
    const numQueues = wanted === UNSET_QUEUES ? Math.min(queues, MAX_VIRTIO_QUEUES) : wanted;
    if (numQueues > MAX_VIRTIO_QUEUES) {
      fail(loc, `num-queues property must be less than or equal to ${MAX_VIRTIO_QUEUES}`);
    }
    if (queueSize <= 2 || queueSize > QUEUE_MAX || (queueSize & (queueSize - 1)) !== 0) {
      const rule = "must be a power of 2 (max 1024)";
      fail(loc, `invalid queue-size property (${queueSize}), ${rule}`);
    }
    const sizes = blockSizes(node, loc);
    const geometry = geometryOf(node, drive);
    for (const name of ["max-discard-sectors", "max-write-zeroes-sectors"]) {
      const v = node.number(name);
      if (v < 1 || v > 4194303) {
        fail(loc, `invalid ${name} property (${v}), must be between 1 and 4194303`);
      }
    }
    try {
      drive.attach?.({
        path: node.id || node.path,
        writes: !drive.medium.readonly,
        removable: false,
        needsMedium: true,
      });
    } catch (e) {
      if (e instanceof UserError) fail(loc, e.message);
      throw e;
    }
    const serial = node.text("serial") || drive.serial || "";
    node.set("drive", drive.name).set("num-queues", numQueues);
    return new VirtioBlk({
      clock: this.host.clock,
      drive,
      geometry,
      serial,
      ...sizes,
      numQueues,
      queueSize,
      segMaxAdjust: node.flag("seg-max-adjust"),
      configWce: node.flag("config-wce"),
      discard: node.flag("discard"),
      writeZeroes: node.flag("write-zeroes"),
      maxDiscardSectors: node.number("max-discard-sectors"),
      maxWriteZeroesSectors: node.number("max-write-zeroes-sectors"),
      common: commonFeatures(node),
    });
  }

  #makeSerial(node: DeviceNode, o: DeviceOptions, bus: string | undefined): VirtioSerial {
    const maxPorts = node.number("max_ports");
    if (maxPorts === 0) fail(o.loc, "Maximum number of serial ports not specified");
    if (maxPorts > MAX_SERIAL_PORTS) fail(o.loc, `maximum ports supported: ${MAX_SERIAL_PORTS}`);
    const device = new VirtioSerial({
      clock: this.host.clock,
      maxPorts,
      emergencyWrite: node.flag("emergency-write"),
      common: commonFeatures(node),
    });
    const name = bus ?? `virtio-serial-bus.${this.#serials.length}`;
    const busNode = node.addBus(new BusNode(name, "virtio-serial-bus"));
    this.#serials.push({ name, device, bus: busNode });
    return device;
  }

  #makeRng(node: DeviceNode, o: DeviceOptions): VirtioRng {
    const period = node.number("period"), id = o.props.get("rng");
    if (period === 0) fail(o.loc, "'period' parameter expects a positive integer");
    const rng = id === undefined ? builtinRng : this.host.rng(id);
    if (rng === undefined) fail(o.loc, `Device '${id}' not found`);
    const most = BigInt(node.get("max-bytes"));
    return new VirtioRng({
      clock: this.host.clock,
      rng,
      period,
      maxBytes: most >= BigInt(Number.MAX_SAFE_INTEGER) ? undefined : Number(most),
      common: commonFeatures(node),
    });
  }

  #makeInput(node: DeviceNode, kind: InputKind): VirtioInput {
    return new VirtioInput({
      clock: this.host.clock,
      kind,
      input: this.host.input,
      serial: node.text("serial"),
      wheel: kind === "keyboard" ? undefined : node.flag("wheel-axis"),
      common: commonFeatures(node),
    });
  }

  #makeBalloon(node: DeviceNode, o: DeviceOptions): VirtioBalloon {
    if (this.balloon !== undefined) fail(o.loc, "Only one balloon device is supported");
    this.balloon = new VirtioBalloon({
      clock: this.host.clock,
      ramSize: this.host.ramSize,
      deflateOnOom: node.flag("deflate-on-oom"),
      pagePoison: node.flag("page-poison"),
      common: commonFeatures(node),
    });
    return this.balloon;
  }

  /** Forgets what was inside a function that has left; anything else is not known here. */
  remove(node: DeviceNode): void {
    for (const inner of node.buses.flatMap((b) => b.devices)) {
      const at = this.devices.findIndex((d) => d.node === inner);
      if (at < 0) continue;
      const [{ device }] = this.devices.splice(at, 1);
      device.reset();
      device.release();
      if (device === this.balloon) this.balloon = undefined;
      const serial = this.#serials.findIndex((s) => s.device === device);
      if (serial >= 0) this.#serials.splice(serial, 1);
    }
  }

  // Ports of virtio-serial

  #addPort(o: DeviceOptions, node: DeviceNode): void {
    const name = o.props.get("bus"), { loc } = o;
    const to = name === undefined
      ? this.#serials.at(-1)
      : this.#serials.find((s) => s.name === name);
    if (to === undefined) {
      fail(
        loc,
        name === undefined
          ? `No 'virtio-serial-bus' bus found for device '${node.type}'`
          : `Bus '${name}' not found`,
      );
    }
    const port = this.#makePort(to.device, node, loc), id = o.props.get("chardev");
    const chardev = id === undefined ? undefined : this.host.chardev(id);
    node.set("nr", port.id).set("chardev", chardev?.label ?? "");
    node.details = () => [port.describe()];
    to.bus.add(node);
    if (chardev === undefined) return;
    try {
      port.attach(chardev);
    } catch (e) {
      if (e instanceof UserError) {
        fail(loc, `Property '${node.type}.chardev' can't take value '${id}': ${e.message}`);
      }
      throw e;
    }
  }

  #makePort(device: VirtioSerial, node: DeviceNode, loc: string): SerialPort {
    const isConsole = node.type === "virtconsole", name = node.text("name");
    let id = node.number("nr");
    if (!isConsole && id === 0) {
      fail(
        loc,
        "Port number 0 on virtio-serial devices reserved for virtconsole devices for backward " +
          "compatibility.",
      );
    }
    if (id !== UNSET && device.ports.has(id)) {
      fail(loc, `virtio-serial-bus: A port already exists at id ${id}`);
    }
    const ports = this.#serials.flatMap((s) => [...s.device.ports.values()]);
    if (name !== "" && ports.some((p) => p.name === name)) {
      fail(loc, `virtio-serial-bus: A port already exists by name ${name}`);
    }
    if (id === UNSET) {
      // The first console is port 0, which is nobody else's.
      id = isConsole && !device.ports.has(0) ? 0 : 1;
      while (device.ports.has(id)) id++;
      if (id >= device.maxPorts && device.maxPorts === 1) {
        fail(loc, "virtio-serial-bus: Maximum port limit for this device reached");
      }
    }
    if (id >= device.maxPorts) {
      const most = device.maxPorts - 1;
      fail(loc, `virtio-serial-bus: Out-of-range port id specified, max. allowed: ${most}`);
    }
    return device.addPort(id, isConsole, name);
  }

  /** What `info virtio` prints. */
  infoVirtio(): string {
    return this.devices.map(({ device, node }) => `${node.path} [${device.shortName}]\n`).join("");
  }
}

/** Whether a node's type has the property. */
function has(node: DeviceNode, name: string): boolean {
  return node.spec.props.some((p) => p.name === name);
}

/** Legacy and modern interface of a function. */
function modes(node: DeviceNode, inside: string): [legacy: boolean, modern: boolean] {
  if (!has(node, "disable-legacy")) return [!node.type.endsWith("-non-transitional"), true];
  // Input devices are younger than the legacy interface.
  const young = /^virtio-(keyboard|mouse|tablet)-/.test(inside);
  if (young) node.set("disable-legacy", "on").set("disable-modern", false);
  const legacy = node.text("disable-legacy") !== "on";
  node.set("disable-legacy", legacy ? "off" : "on");
  return [legacy, !node.flag("disable-modern")];
}

const INPUT_CLASSES = { keyboard: 0x090000, mouse: 0x090200, tablet: 0x098000 } as const;

function classCode(device: VirtioDevice, node: DeviceNode): number {
  if (device instanceof VirtioInput) return INPUT_CLASSES[device.kind];
  const standard = device instanceof VirtioBlk
    ? BLK_CLASS
    : device instanceof VirtioSerial
    ? SERIAL_CLASS
    : device instanceof VirtioBalloon
    ? BALLOON_CLASS
    : RNG_CLASS;
  if (!has(node, "class")) return standard;
  const wanted = node.number("class");
  if (device instanceof VirtioSerial && wanted === 0) node.set("class", standard >> 8);
  return wanted === 0 ? standard : (wanted & 0xffff) << 8;
}

function commonFeatures(node: DeviceNode): CommonFeatures {
  return {
    indirectDesc: node.flag("indirect_desc"),
    eventIdx: node.flag("event_idx"),
    notifyOnEmpty: node.flag("notify_on_empty"),
    anyLayout: node.flag("any_layout"),
    queueReset: node.flag("queue_reset"),
  };
}

function geometryOf(node: DeviceNode, drive: Drive) {
  const [cylinders, heads, sectors] = ["cyls", "heads", "secs"].map((n) => node.number(n));
  const g = cylinders && heads && sectors
    ? { cylinders, heads, sectors }
    : guessGeometry(drive.medium!);
  node.set("cyls", g.cylinders).set("heads", g.heads).set("secs", g.sectors);
  return g;
}

/** Block sizes by QEMU's rules. */
function blockSizes(node: DeviceNode, loc: string) {
  for (const name of ["logical_block_size", "physical_block_size"]) {
    const v = node.number(name);
    if (v === 0) node.set(name, 512);
    else if (v < 512 || v > 2 ** 21) {
      fail(
        loc,
        `Property .${name} doesn't take value ${v} (minimum: 512, maximum: ${2 ** 21})`,
      );
    } else if ((v & (v - 1)) !== 0) {
      fail(loc, `Property .${name} doesn't take value '${v}', it's not a power of 2`);
    }
  }
  const logicalBlockSize = node.number("logical_block_size");
  const physicalBlockSize = node.number("physical_block_size");
  if (logicalBlockSize > physicalBlockSize) {
    fail(loc, "logical_block_size > physical_block_size not supported");
  }
  const granularity = node.number("discard_granularity");
  for (const name of ["min_io_size", "opt_io_size"]) {
    if (node.number(name) % logicalBlockSize !== 0) {
      fail(loc, `${name} must be a multiple of logical_block_size`);
    }
  }
  if (granularity !== UNSET && granularity % logicalBlockSize !== 0) {
    fail(loc, "discard_granularity must be a multiple of logical_block_size");
  }
  const reported = node.flag("report-discard-granularity") && granularity !== UNSET;
  return {
    logicalBlockSize,
    physicalBlockSize,
    minIoSize: node.number("min_io_size"),
    optIoSize: node.number("opt_io_size"),
    discardGranularity: reported && granularity > 0 ? granularity : logicalBlockSize,
  };
}
