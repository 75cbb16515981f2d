/**
 * QEMU's `microvm` machine: processors, memory, interrupt controllers, a serial port and windows for
 * virtio devices; no PCI. With ACPI it is a hardware-reduced machine with a generic event device.
 * Addresses and interrupts: QEMU 7.2's docs/system/i386/microvm.rst and its `info mtree`.
 */
import type { Vcpu } from "../../core/accel.ts";
import type { Device, DeviceState } from "../../core/device.ts";
import { InputRouter } from "../../core/display/input.ts";
import { UserError } from "../../core/errors.ts";
import type { FirmwareBoard } from "../../core/firmware.ts";
import type { RamBlock } from "../../core/memory/guest_memory.ts";
import type { MonitorBalloon } from "../../core/monitor/target.ts";
import { ramRegion } from "../../core/memory/region.ts";
import type { DeviceOptions } from "../../core/options/config.ts";
import { fail, located } from "../../core/options/host.ts";
import { BusNode, type DeviceNode, deviceTypeList, infoQtree } from "../../core/qdev.ts";
import { AcpiGed, GedEvent } from "../chipset/acpi_ged.ts";
import { infoIrq, infoLapic, infoPic } from "../irq/describe.ts";
import { DebugCon } from "../misc/debugcon.ts";
import { FwCfg, FwCfgKey } from "../misc/fw_cfg.ts";
import { IsaDebugExit } from "../misc/isa_debug_exit.ts";
import { PvPanic } from "../misc/pvpanic.ts";
import { DEVICE_TYPES, findType, makeNode, setFromText } from "../registry.ts";
import { ISA_SERIAL_PORTS, Uart16550 } from "../serial/uart16550.ts";
import { I8254 } from "../timer/i8254.ts";
import { Mc146818 } from "../timer/mc146818.ts";
import { type MmioWindow, VirtioSlots } from "../virtio/plug.ts";
import { VIRTIO_MMIO_SIZE, VirtioMmio } from "../virtio/virtio_mmio.ts";
import { loadDevices, saveDevices } from "./device_states.ts";
import type { MachineEnv } from "./env.ts";
import { infoMicrovmFlat, infoMicrovmMtree, infoMicrovmRoms } from "./microvm_info.ts";
import { IOAPIC2_BASE, makeMicrovmInterrupts, type MicrovmInterrupts } from "./microvm_irq.ts";
import { apicIdOf } from "./pc.ts";
import { IOAPIC_BASE } from "./pc_irq.ts";
import * as cmos from "./pc_cmos.ts";
import type { PcConfig } from "./pc_config.ts";
import {
  type BootEntry,
  bootOrderFile,
  type DiskGeometry,
  e820,
  E820_RAM,
  geometryFile,
} from "./pc_fwcfg.ts";

/** RAM ends here at the latest, and goes on at 4 GiB. */
const LOW_RAM_END = 0xc0000000;
export const VIRTIO_MMIO_BASE = 0xfeb00000;
export const GED_BASE = 0xfea00000, GED_REGISTERS = GED_BASE + 0x200, GED_IRQ = 9;
const ISA_BIOS_SIZE = 0x20000;
/** Windows, and the interrupt of the first, by which interrupt controllers there are. */
const WITH_IOAPIC2 = { windows: 24, irq: 24 };
const WITH_ACPI = { windows: 8, irq: 16 };
const WITHOUT_ACPI = { windows: 8, irq: 5 };

export interface MicrovmConfig extends PcConfig {
  readonly pit: boolean;
  readonly pic: boolean;
  readonly rtc: boolean;
  readonly isaSerial: boolean;
  readonly ioapic2: boolean;
  /** Option ROMs are offered to the firmware. */
  readonly loadsOptionRoms: boolean;
}

/** Guest-visible storage a configuration takes. */
export function microvmMemoryBytes(c: PcConfig): number {
  return Math.max(c.ramSize, 1 << 20) + c.bios.length + (1 << 18);
}

/** A virtio window as firmware describes it. */
export interface MicrovmWindow {
  readonly index: number;
  readonly address: number;
  readonly gsi: number;
}

export class MicrovmBoard {
  readonly ram: RamBlock;
  readonly bios: RamBlock;
  readonly ramSplit: { readonly below4g: number; readonly above4g: number };
  readonly irqs: MicrovmInterrupts;
  readonly vcpus: Vcpu[] = [];
  readonly pit: I8254 | undefined;
  readonly rtc: Mc146818 | undefined;
  readonly serial: Uart16550 | undefined;
  readonly ged: AcpiGed | undefined;
  readonly fwCfg: FwCfg;
  readonly input: InputRouter;
  readonly display = undefined;
  readonly virtio: VirtioSlots;
  readonly windows: MmioWindow[] = [];
  readonly root = new BusNode("main-system-bus", "System");
  readonly isaNode = new BusNode("isa.0", "ISA");

  readonly #devices: { id: string; device: Device }[] = [];
  readonly #bootEntries: BootEntry[] = [];
  readonly #geometries: DiskGeometry[] = [];
  readonly #firstIrq: number;
  #unattached: number;
  #anonymous = 0;

  constructor(readonly config: MicrovmConfig, readonly env: MachineEnv) {
    const c = config, { memory, mem, io, clock } = env;
    const acpi = c.acpi ?? true;
    this.irqs = makeMicrovmInterrupts(env, { pic: c.pic, ioapic2: acpi && c.ioapic2 });
    this.#unattached = c.cpus;
    for (let i = 0; i < c.cpus; i++) this.#addVcpu(i);

    this.ram = memory.allocBlock("microvm.ram", Math.max(c.ramSize, 1 << 20));
    const below4g = Math.min(this.ram.size, LOW_RAM_END), above4g = this.ram.size - below4g;
    this.ramSplit = { below4g, above4g };
    mem.map(ramRegion("ram-below-4g", this.ram, { size: below4g }), 0);
    if (above4g > 0) {
      const high = ramRegion("ram-above-4g", this.ram, { size: above4g, blockOffset: below4g });
      mem.map(high, 2 ** 32);
    }
    // The firmware can be written: there is nothing here that could shadow it.
    if (c.bios.length === 0 || c.bios.length % 65536 !== 0 || c.bios.length > 1 << 24) {
      throw new UserError("could not load PC BIOS: its size is not a multiple of 64 KiB");
    }
    this.bios = memory.allocBlock("pc.bios", c.bios.length);
    const isaSize = Math.min(this.bios.size, ISA_BIOS_SIZE);
    mem.map(ramRegion("pc.bios", this.bios), 2 ** 32 - this.bios.size);
    const isaBios = ramRegion("isa-bios", this.bios, {
      size: isaSize,
      blockOffset: this.bios.size - isaSize,
    });
    mem.map(isaBios, 0x100000 - isaSize, 1);

    this.fwCfg = this.#keep("fw_cfg", new FwCfg(mem));
    io.map(this.fwCfg.region, 0x510);
    io.map(this.fwCfg.dmaRegion, 0x514);
    this.root.add(this.node("fw_cfg_io"));
    this.#fillFwCfg();

    const bridge = this.root.add(this.node("isabus-bridge"));
    bridge.addBus(this.isaNode);
    if (c.pic) {
      this.isaNode.add(
        this.node("isa-i8259").set("iobase", 0x20).set("elcr_addr", 0x4d0).set("elcr_mask", 0xf8)
          .set("master", true),
      );
      this.isaNode.add(
        this.node("isa-i8259").set("iobase", 0xa0).set("elcr_addr", 0x4d1).set("elcr_mask", 0xde),
      );
    }
    this.#addIoApicNode(IOAPIC_BASE);
    if (this.irqs.ioapic2) this.#addIoApicNode(IOAPIC2_BASE);

    const layout = this.irqs.ioapic2 ? WITH_IOAPIC2 : acpi ? WITH_ACPI : WITHOUT_ACPI;
    this.#firstIrq = layout.irq;
    for (let n = 0; n < layout.windows; n++) this.#addWindow(n);
    if (acpi) this.ged = this.#addGed();

    if (c.pit && env.vm.irqchip?.mode !== "on") {
      this.pit = this.#keep("isa-pit", new I8254(clock, this.irqs.line(0)));
      io.map(this.pit.ports, 0x40);
    }
    if (c.pit) this.isaNode.add(this.node("isa-pit").set("iobase", 0x40));
    if (c.rtc) {
      this.rtc = this.#keep("mc146818rtc", new Mc146818(clock, this.irqs.line(8), { slew: false }));
      io.map(this.rtc.ports, 0x70);
      this.isaNode.add(this.node("mc146818rtc"));
      cmos.setMemory(this.rtc, below4g, above4g);
      cmos.setCpuCount(this.rtc, c.cpus);
    }
    const [com1] = c.serials;
    if (c.isaSerial && com1 !== undefined) {
      this.serial = this.#addSerial(this.node("isa-serial").set("index", 0), com1, "");
    }
    this.input = new InputRouter(clock);
    this.virtio = new VirtioSlots({
      clock,
      ramSize: c.ramSize,
      cpus: c.cpus,
      input: this.input,
      drive: c.drive,
      chardev: c.chardev,
      rng: (id) => c.rng?.(id),
      makeNode: (type, id) => this.userNode(type, id),
      windows: this.windows,
      addBootEntry: (path, index) => this.addBootEntry(path, index),
      addGeometry: (path, node) => this.addGeometry(path, node),
      warn: (text) => c.warn?.(text),
    });
    for (const o of c.devices) this.#plug(o);
    this.#resetAll();
  }

  // Construction

  node(type: string): DeviceNode {
    const node = this.userNode(type);
    node.path = `/machine/unattached/device[${this.#unattached++}]`;
    return node;
  }

  /** A node of `type` with `-global` values applied. */
  userNode(type: string, id?: string): DeviceNode {
    const node = makeNode(type, id);
    for (const g of this.config.globals) {
      if (g.driver !== type || !node.spec.props.some((p) => p.name === g.property)) continue;
      setFromText(node, g.property, g.value);
      g.used = true;
    }
    return node;
  }

  #keep<T extends Device>(id: string, device: T): T {
    if (this.#devices.some((d) => d.id === id)) throw new Error(`device id ${id} is taken`);
    this.#devices.push({ id, device });
    return device;
  }

  #addVcpu(index: number): void {
    const { cpuModel, topology } = this.config;
    const cpu = this.env.vm.createVcpu({
      index,
      apicId: apicIdOf(index, topology.cores, topology.threads, topology.dies),
      model: cpuModel,
      bsp: index === 0,
    });
    this.vcpus.push(cpu);
    this.irqs.addVcpu(cpu, index === 0, true);
  }

  #addIoApicNode(address: number): void {
    this.root.add(this.node("ioapic")).details = () => [mmio(address, 0x1000)];
  }

  #addWindow(index: number): void {
    const { mem } = this.env, node = this.root.add(this.node("virtio-mmio"));
    const address = VIRTIO_MMIO_BASE + VIRTIO_MMIO_SIZE * index;
    const irq = this.irqs.line(this.#firstIrq + index);
    const window = new VirtioMmio(mem, irq, node.flag("force-legacy"), address);
    const { vm } = this.env, doorbells = vm.setDoorbells !== undefined && node.flag("ioeventfd");
    node.set("ioeventfd", doorbells);
    if (doorbells) {
      window.onNotifyRanges = () => vm.setDoorbells?.(window, window.notifyRanges());
    }
    mem.map(window.region, address);
    this.#keep(`virtio-mmio/${index}`, window);
    node.details = () => [mmio(address, VIRTIO_MMIO_SIZE)];
    const bus = node.addBus(new BusNode(`virtio-mmio-bus.${index}`, "virtio-mmio-bus"));
    this.windows.push({ mmio: window, bus });
  }

  #addGed(): AcpiGed {
    const { env } = this;
    const ged = this.#keep(
      "acpi-ged-x86",
      new AcpiGed({
        irq: this.irqs.line(GED_IRQ),
        onReset: () => env.requestReset("guest-reset"),
        onPowerOff: () => env.requestShutdown("guest-shutdown"),
      }),
    );
    env.mem.map(ged.events, GED_BASE);
    env.mem.map(ged.registers, GED_REGISTERS);
    this.root.add(this.node("acpi-ged-x86")).details = () => [
      mmio(GED_BASE, 4),
      "mmio ffffffffffffffff/0000000000000018",
      mmio(GED_REGISTERS, 3),
    ];
    return ged;
  }

  #addSerial(
    node: DeviceNode,
    chardev: NonNullable<PcConfig["serials"][number]> | undefined,
    loc: string,
  ): Uart16550 {
    const index = node.number("index"), standard = ISA_SERIAL_PORTS[index];
    if (standard === undefined) {
      fail(loc, `Max. supported number of ISA serial ports is ${ISA_SERIAL_PORTS.length}.`);
    }
    const iobase = node.number("iobase"), irq = node.number("irq");
    node.set("iobase", iobase === UNSET ? standard.iobase : iobase);
    node.set("irq", irq === UNSET ? standard.irq : irq);
    if (node.number("irq") > 15) fail(loc, `IRQ ${node.number("irq")} is not an ISA interrupt`);
    const line = this.irqs.line(node.number("irq"));
    const uart = new Uart16550({ clock: this.env.clock, irq: line });
    this.#addIsa(node, uart, uart.region.size, node.number("iobase"), loc, () => {
      this.env.io.map(uart.region, node.number("iobase"));
    });
    if (chardev) uart.attach(chardev.attach(uart));
    return uart;
  }

  #addIsa(
    node: DeviceNode,
    device: Device,
    size: number,
    base: number,
    loc: string,
    map: () => void,
  ): void {
    if (base + size > 65536) fail(loc, `I/O ports ${base.toString(16)}h are out of range`);
    map();
    this.#keep(`${device.type}@${base.toString(16)}`, device);
    this.isaNode.add(node);
  }

  #fillFwCfg(): void {
    const { fwCfg: fw, config: c, ramSplit } = this;
    fw.add(FwCfgKey.UUID, c.uuid ?? new Uint8Array(16));
    fw.add64(FwCfgKey.RAM_SIZE, c.ramSize);
    fw.add16(FwCfgKey.NOGRAPHIC, c.nographic ? 1 : 0);
    fw.add16(FwCfgKey.NB_CPUS, c.cpus);
    fw.add16(FwCfgKey.MAX_CPUS, c.topology.maxcpus);
    fw.add16(FwCfgKey.BOOT_MENU, c.boot.menu ? 1 : 0);
    fw.add32(FwCfgKey.IRQ0_OVERRIDE, 1);
    const map: [number, number, number][] = [[0, ramSplit.below4g, E820_RAM]];
    if (ramSplit.above4g > 0) map.push([2 ** 32, ramSplit.above4g, E820_RAM]);
    fw.addFile("etc/e820", e820(map));
    fw.addFile("bios-geometry", () => geometryFile(this.#geometries));
    fw.addFile("bootorder", () => bootOrderFile(this.#bootEntries, c.boot.strict));
    const wait = new Uint8Array(4);
    new DataView(wait.buffer).setInt32(0, c.boot.rebootTimeout ?? -1, true);
    fw.addFile("etc/boot-fail-wait", wait);
    for (const rom of c.loadsOptionRoms ? c.optionRoms ?? [] : []) {
      fw.addFile(`genroms/${rom.name}`, rom.data);
      this.addBootEntry(`/rom@genroms/${rom.name}`, rom.bootindex);
    }
    for (const item of c.fwCfg ?? []) {
      try {
        fw.addFile(item.name, item.data);
      } catch (e) {
        if (e instanceof UserError) throw new UserError(`${item.loc}: ${e.message}`);
        throw e;
      }
    }
  }

  #plug(o: DeviceOptions): void {
    try {
      this.#plugOne(o);
    } catch (e) {
      if (e instanceof UserError && o.loc !== "" && !e.message.startsWith(o.loc)) {
        throw new UserError(located(o.loc, e.message), e.status, e.hint);
      }
      throw e;
    }
  }

  #plugOne(o: DeviceOptions): void {
    const { config: c, env, fwCfg } = this, spec = findType(o.driver);
    if (spec === undefined) fail(o.loc, `'${o.driver}' is not a valid device model name`);
    if (spec.bus !== "ISA" && !spec.bus?.startsWith("virtio-")) {
      fail(o.loc, `No '${spec.bus}' bus found for device '${spec.name}'`);
    }
    const node = this.userNode(o.driver, o.id);
    node.path = o.id === undefined
      ? `/machine/peripheral-anon/device[${this.#anonymous++}]`
      : `/machine/peripheral/${o.id}`;
    for (const [name, value] of o.props) setFromText(node, name, value);
    if (VirtioSlots.handles(spec.name)) return this.virtio.plug(o, node);
    const id = o.props.get("chardev"), chardev = id === undefined ? undefined : c.chardev(id);
    switch (spec.name) {
      case "isa-serial": {
        if (node.number("index") === UNSET) node.set("index", this.serial ? 1 : 0);
        this.#addSerial(node, chardev, o.loc);
        return;
      }
      case "isa-debug-exit": {
        const exit = new IsaDebugExit((s) => env.exit(s), node.number("iosize"));
        const base = node.number("iobase");
        this.#addIsa(node, exit, exit.region.size, base, o.loc, () => {
          env.io.map(exit.region, base);
        });
        return;
      }
      case "isa-debugcon": {
        if (chardev === undefined) fail(o.loc, "Can't create debugcon device, empty char device");
        const con = new DebugCon(node.number("readback")), base = node.number("iobase");
        this.#addIsa(node, con, con.region.size, base, o.loc, () => env.io.map(con.region, base));
        con.attach(chardev.attach(con));
        return;
      }
      case "pvpanic": {
        const base = node.number("ioport");
        const panic = new PvPanic((e) => env.panicked(e), node.number("events"));
        this.#addIsa(node, panic, panic.region.size, base, o.loc, () => {
          env.io.map(panic.region, base);
        });
        fwCfg.addFile("etc/pvpanic-port", new Uint8Array([base & 0xff, base >> 8]));
        return;
      }
    }
    fail(o.loc, `Device '${spec.name}' is not available on this board`);
  }

  /** The windows with a device in them, the last first, as firmware and kernels are told of them. */
  usedWindows(): MicrovmWindow[] {
    return this.windows.map(({ mmio }, index) => ({ mmio, index })).filter(({ mmio }) =>
      mmio.device !== undefined
    ).map(({ index }) => ({
      index,
      address: VIRTIO_MMIO_BASE + VIRTIO_MMIO_SIZE * index,
      gsi: this.#firstIrq + index,
    })).reverse();
  }

  /** What firmware needs to describe the machine. */
  firmwareView(): FirmwareBoard["microvm"] {
    return {
      windows: this.usedWindows(),
      ioapic2: this.irqs.ioapic2 && IOAPIC2_BASE,
      rtc: this.rtc !== undefined,
      serials: this.serial === undefined ? 0 : 1,
      ged: { gsi: GED_IRQ, events: GED_BASE, registers: GED_REGISTERS },
      optionRoms: this.config.loadsOptionRoms,
    };
  }

  /** What the windows in use are on a kernel's command line. */
  kernelParameters(): string {
    return this.usedWindows().map(({ address, gsi }) =>
      ` virtio_mmio.device=${VIRTIO_MMIO_SIZE}@0x${address.toString(16)}:${gsi}`
    ).join("");
  }

  /** Notes the geometry that properties of a disk ask for. */
  addGeometry(path: string, node: DeviceNode): void {
    const [cylinders, heads, sectors] = ["lcyls", "lheads", "lsecs"].map((n) => node.number(n));
    if (cylinders || heads || sectors) this.#geometries.push({ path, cylinders, heads, sectors });
  }

  addBootEntry(path: string, index: number): void {
    if (index < 0) return;
    if (this.#bootEntries.some((e) => e.index === index)) {
      throw new UserError(`The bootindex ${index} has already been used`);
    }
    this.#bootEntries.push({ path, index });
  }

  // What the machine does with the board

  get devices(): readonly { id: string; device: Device }[] {
    return [...this.irqs.devices, ...this.#devices];
  }

  get lowRamSize(): number {
    return this.ramSplit.below4g;
  }

  reset(): void {
    this.#resetAll();
  }

  #resetAll(): void {
    this.bios.u8.set(this.config.bios);
    this.env.mem.ramWritten(this.bios.offset, this.bios.size);
    const { mem, io } = this.env;
    mem.transaction(() =>
      io.transaction(() => {
        for (const { device } of this.devices) device.reset();
      })
    );
    this.env.vm.setA20(true);
  }

  /** State of all devices by id. RAM blocks and vCPUs are saved by the machine. */
  save(): Map<string, DeviceState> {
    return saveDevices(this.devices);
  }

  /** Throws UserError when `states` is of a machine with other devices. */
  load(states: ReadonlyMap<string, DeviceState>): void {
    loadDevices(this.devices, states);
  }

  /** `system_powerdown`. */
  powerButton(): void {
    this.ged?.send(GedEvent.powerDown);
  }

  /** There is no S3 here. */
  suspended(): void {}
  wake(): void {}

  nmi(): void {
    this.irqs.nmi();
  }

  setBootOrder(_order: string): void {
    throw new UserError("no function defined to set boot device list for this architecture");
  }

  plug(device: DeviceOptions): void {
    const spec = findType(device.driver), bus = device.props.get("bus");
    const name = bus ?? (spec?.bus === "ISA" ? "isa.0" : undefined);
    if (name === undefined) {
      throw new UserError(`No '${spec?.bus}' bus found for device '${device.driver}'`);
    }
    throw new UserError(`Bus '${name}' does not support hotplugging`);
  }
  unplug(id: string): void {
    const node = [...this.root.walkDevices()].find((d) =>
      d.id !== "" && (d.id === id || d.path === id)
    );
    if (node === undefined) throw new UserError(`Device '${id}' not found`);
    throw new UserError(`Bus '${node.bus!.name}' does not support hotplugging`);
  }
  pluggedIds(): string[] {
    return [...this.root.walkDevices()].map((d) => d.id).filter((id) => id !== "");
  }
  defaultBus(type: string): string | undefined {
    return [...this.root.walk()].filter((b) => b.type === type).at(-1)?.name;
  }

  infoQtree(): string {
    return infoQtree(this.root);
  }
  infoQdm(): string {
    return deviceTypeList(DEVICE_TYPES);
  }
  infoPci(): string {
    return "";
  }
  infoVirtio(): string {
    return this.virtio.infoVirtio();
  }
  get balloon(): MonitorBalloon | undefined {
    return this.virtio.balloon;
  }
  infoMtree(flat = false): string {
    return flat ? infoMicrovmFlat(this) : infoMicrovmMtree(this);
  }
  infoRoms(): string {
    return infoMicrovmRoms(this);
  }
  infoPic(): string {
    const { pic, ioapic } = this.irqs;
    return pic === undefined ? "" : infoPic(pic, ioapic);
  }
  infoIrq(): string {
    const { pic, gsi } = this.irqs;
    return pic === undefined ? "" : infoIrq(pic, gsi);
  }
  infoLapic(cpuIndex: number): string {
    return infoLapic(this.irqs.lapics[cpuIndex]);
  }
}

const UNSET = 0xffffffff;

/** A window of a system device in `info qtree`. */
function mmio(address: number, size: number): string {
  const hex = (v: number) => v.toString(16).padStart(16, "0");
  return `mmio ${hex(address)}/${hex(size)}`;
}
