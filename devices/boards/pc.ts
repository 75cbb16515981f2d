/**
 * QEMU's `pc` machine (pc-i440fx-7.2): i440FX and PIIX3 with the devices of a PC/AT on the ISA bus.
 * Ports and interrupts: IBM PC/AT Technical Reference; memory map: 82441FX datasheet 290549.
 */
import type { Vcpu } from "../../core/accel.ts";
import type { Device, DeviceState, IrqLine } from "../../core/device.ts";
import type { DisplaySource } from "../../core/display/display.ts";
import { InputRouter } from "../../core/display/input.ts";
import { UserError } from "../../core/errors.ts";
import type { DeviceOptions } from "../../core/options/config.ts";
import type { RamBlock } from "../../core/memory/guest_memory.ts";
import type { MonitorBalloon } from "../../core/monitor/target.ts";
import { ioRegion, ramRegion } from "../../core/memory/region.ts";
import { BusNode, type DeviceNode, deviceTypeList, infoQtree } from "../../core/qdev.ts";
import type { LowRom } from "../chipset/pam.ts";
import { devfnName, type PciDevice } from "../chipset/pci.ts";
import { infoPci, pciDetails } from "../chipset/pci_info.ts";
import { I8042 } from "../input/i8042.ts";
import { Ps2Keyboard } from "../input/ps2_keyboard.ts";
import { Ps2Mouse } from "../input/ps2_mouse.ts";
import { infoIrq, infoLapic, infoPic } from "../irq/describe.ts";
import { Dma8237 } from "../misc/dma8237.ts";
import { FpuErrorLatch } from "../misc/fpu_error.ts";
import { FwCfg, FwCfgKey } from "../misc/fw_cfg.ts";
import { PcSpeaker } from "../misc/pcspeaker.ts";
import { Port92 } from "../misc/port92.ts";
import { Vmport } from "../misc/vmport.ts";
import { DEVICE_TYPES, makeNode, setFromText } from "../registry.ts";
import { ISA_SERIAL_PORTS } from "../serial/uart16550.ts";
import type { FloppyController } from "../storage/fdc.ts";
import { Hpet } from "../timer/hpet.ts";
import { I8254 } from "../timer/i8254.ts";
import { Mc146818 } from "../timer/mc146818.ts";
import { loadDevices, saveDevices } from "./device_states.ts";
import type { Chipset } from "./chipset.ts";
import type { MachineEnv } from "./env.ts";
import { Ich9Chipset } from "./ich9_chipset.ts";
import * as cmos from "./pc_cmos.ts";
import type { PcConfig } from "./pc_config.ts";
import {
  type BootEntry,
  bootOrderFile,
  type DiskGeometry,
  fillFwCfg,
  geometryFile,
} from "./pc_fwcfg.ts";
import { firmwareBytes, type FirmwareRom, mapFirmware } from "./firmware_rom.ts";
import { infoFlatViews, infoMtree, infoRoms } from "./pc_info.ts";
import { makeInterrupts, type PcInterrupts } from "./pc_irq.ts";
import { type RamSplit, splitRam } from "./pc_ram.ts";
import { PcSlots } from "./pc_plug.ts";
import { PiixChipset } from "./piix_chipset.ts";

const PC_ROM_SIZE = 0x20000;
const DEFAULT_BOOT_ORDER = "cad";
/** CMOS byte that tells firmware why it starts, and its value for a resume from S3. */
const SHUTDOWN_STATUS = 0x0f, SHUTDOWN_RESUME = 0xfe;

/** Guest-visible storage a configuration takes, for the size of {@link MachineEnv.memory}. */
export function pcMemoryBytes(c: PcConfig): number {
  const vgaMegabytes = Number(
    c.globals.findLast((g) => g.driver === "VGA" && g.property === "vgamem_mb")?.value ?? 16,
  ) || 16;
  const displays = (c.vga === "std" ? 1 : 0) + c.devices.filter((d) => d.driver === "VGA").length;
  const page = 0x10000;
  return Math.max(c.ramSize, 1 << 20) + firmwareBytes(c) + PC_ROM_SIZE + 8 * page +
    displays * (Math.max(vgaMegabytes, 16) * (1 << 20) + 0x80000);
}

/** Builds the machine and puts it into the state after power-on. Throws UserError. */
export function createPc(config: PcConfig, env: MachineEnv): PcBoard {
  return new PcBoard(config, env);
}

export class PcBoard {
  readonly ram: RamBlock;
  readonly ramSplit: RamSplit;
  readonly firmware: FirmwareRom;
  readonly optionRom: RamBlock;
  readonly irqs: PcInterrupts;
  readonly vcpus: Vcpu[] = [];
  readonly chipset: Chipset;
  readonly pit: I8254;
  readonly rtc: Mc146818;
  readonly hpet: Hpet | undefined;
  readonly dma: Dma8237;
  readonly speaker: PcSpeaker;
  readonly fdc: FloppyController | undefined;
  readonly keyboard = new Ps2Keyboard();
  readonly mouse = new Ps2Mouse();
  readonly i8042: I8042 | undefined;
  readonly port92: Port92;
  readonly fwCfg: FwCfg;
  readonly vmport: Vmport | undefined;
  readonly input: InputRouter;
  /** The first display adapter, for `screendump` and viewers. */
  display: DisplaySource | undefined;
  /** Root of `info qtree`. */
  readonly root = new BusNode("main-system-bus", "System");
  readonly slots: PcSlots;

  readonly #devices: { id: string; device: Device }[] = [];
  readonly #bootEntries: BootEntry[] = [];
  readonly #geometries: DiskGeometry[] = [];
  #unattached: number;
  #bootOrder: string;
  #bootOnce: string | undefined;

  constructor(readonly config: PcConfig, readonly env: MachineEnv) {
    const c = config;
    const { memory, mem, io, clock } = env;

    // Interrupts and processors, whose states lie below RAM in the shared memory: emitted code names
    // them by signed 32-bit numbers.
    this.irqs = makeInterrupts(env);
    for (let i = 0; i < c.cpus; i++) this.#addVcpu(i);

    // Memory
    this.ram = memory.allocBlock("pc.ram", Math.max(c.ramSize, 1 << 20));
    const { below4g, above4g } = this.ramSplit = splitRam(c);
    mem.map(ramRegion("ram-below-4g", this.ram, { size: below4g }), 0);
    if (above4g > 0) {
      const high = ramRegion("ram-above-4g", this.ram, { size: above4g, blockOffset: below4g });
      mem.map(high, 2 ** 32);
    }
    this.firmware = mapFirmware(c, env);
    this.firmware.flash.forEach((chip, n) => this.keep(`system.flash${n}`, chip));
    this.optionRom = memory.allocBlock("pc.rom", PC_ROM_SIZE);

    // QEMU counts its processors and `kvmvapic` first.
    this.#unattached = c.cpus + (c.cpuModel.has("apic") ? 1 : 0);

    // Firmware configuration and chip set
    this.fwCfg = new FwCfg(mem);
    io.map(this.fwCfg.region, 0x510);
    io.map(this.fwCfg.dmaRegion, 0x514);
    this.#keep("fw_cfg", this.fwCfg);
    this.root.add(this.node("fw_cfg_io"));

    this.chipset = c.family === "q35" ? new Ich9Chipset(this) : new PiixChipset(this);
    this.chipset.bus.msi = (address, data) => this.irqs.msi(address, data);

    // ISA devices
    this.dma = this.#keep("i8257", new Dma8237(mem));
    io.map(this.dma.channels1, 0x00);
    io.map(this.dma.control1, 0x08);
    io.map(this.dma.pages, 0x81);
    io.map(this.dma.channels2, 0xc0);
    io.map(this.dma.control2, 0xd0);
    this.isaNode.add(this.node("i8257"));
    this.isaNode.add(
      this.node("i8257").set("base", 0xc0).set("page-base", 0x88).set("dshift", 1),
    );
    this.isaNode.add(
      this.node("isa-i8259").set("iobase", 0x20).set("elcr_addr", 0x4d0).set("elcr_mask", 0xf8)
        .set("master", true),
    );
    this.isaNode.add(
      this.node("isa-i8259").set("iobase", 0xa0).set("elcr_addr", 0x4d1).set("elcr_mask", 0xde),
    );
    this.root.add(this.node("ioapic")).details = () => ["mmio 00000000fec00000/0000000000001000"];
    io.map(ioRegion("ioport80", 1, { read: () => 0xff, write: () => {} }), 0x80);
    const fpuError = this.#keep("ioportF0", new FpuErrorLatch(this.irqs.line(13)));
    io.map(fpuError.region, 0xf0);
    env.vm.fpuError = fpuError;
    env.vm.onSmm = (active) => this.setSmm(active);

    this.slots = new PcSlots(this);
    const addDisplay = () => {
      if (c.vga === "std") this.slots.addVga(this.node("VGA"), undefined, "");
    };
    if (!this.chipset.displayLast) addDisplay();

    if (c.hpet ?? true) {
      const gsis = Array.from({ length: 24 }, (_, n) => this.irqs.line(n));
      this.hpet = this.#keep(
        "hpet",
        new Hpet({
          clock,
          lines: gsis,
          routes: this.chipset.hpetRoutes,
          onLegacy: (on) => this.pit.setIrqEnabled(!on),
        }),
      );
      mem.map(this.hpet.region, 0xfed00000);
      const hpetNode = this.root.add(this.node("hpet"));
      hpetNode.set("hpet-intcap", this.chipset.hpetRoutes);
      hpetNode.details = () => ["mmio 00000000fed00000/0000000000000400"];
    }
    const rtcNode = this.isaNode.add(this.node("mc146818rtc"));
    const lostTicks = rtcNode.text("lost_tick_policy");
    if (lostTicks === "delay" || lostTicks === "merge") {
      throw new UserError("Invalid lost tick policy.");
    }
    this.rtc = this.#keep(
      "mc146818rtc",
      new Mc146818(clock, this.hpet?.legacyInput("rtc") ?? this.irqs.line(8), {
        slew: lostTicks === "slew",
      }),
    );
    this.rtc.onAlarm = () => env.wakeup?.("rtc");
    io.map(this.rtc.ports, 0x70);
    const ownPit = env.vm.irqchip?.mode !== "on";
    this.pit = this.#keep(
      "isa-pit",
      new I8254(clock, ownPit ? this.hpet?.legacyInput("pit") ?? this.irqs.line(0) : NOWHERE),
    );
    this.isaNode.add(this.node("isa-pit").set("iobase", 0x40));
    this.speaker = this.#keep("isa-pcspk", new PcSpeaker(this.pit, clock));
    if (ownPit) {
      io.map(this.pit.ports, 0x40);
      io.map(this.speaker.port, 0x61);
    }
    this.isaNode.add(this.node("isa-pcspk"));

    // QEMU takes more than there are ports and leaves the rest unconnected.
    c.serials.slice(0, ISA_SERIAL_PORTS.length).forEach((chardev, index) => {
      if (chardev) this.slots.addSerial(this.node("isa-serial").set("index", index), chardev, "");
    });
    c.parallels.forEach((chardev, index) => {
      if (chardev) {
        this.slots.addParallel(this.node("isa-parallel").set("index", index), chardev, "");
      }
    });

    this.fdc = this.slots.addFloppyController();

    this.input = new InputRouter(clock);
    this.input.onInput = () => env.wakeup?.("other");
    if (c.i8042 ?? true) {
      this.i8042 = new I8042({
        irq1: this.irqs.line(1),
        irq12: this.irqs.line(12),
        keyboard: this.keyboard,
        mouse: this.mouse,
        a20: { set: (level) => this.#setA20(level) },
        onReset: () => env.requestReset("guest-reset"),
      });
      this.#keep("ps2-kbd", this.keyboard);
      this.#keep("ps2-mouse", this.mouse);
      this.#keep("i8042", this.i8042);
      io.map(this.i8042.dataPort, 0x60);
      io.map(this.i8042.commandPort, 0x64);
      this.input.addKeyboard(this.keyboard);
      this.input.addMouse(this.mouse);
      this.isaNode.add(this.node("i8042"));
      this.root.add(this.node("ps2-kbd"));
      this.root.add(this.node("ps2-mouse"));
    }
    if (c.vmport ?? true) {
      this.vmport = this.#keep(
        "vmport",
        new Vmport({
          ramSize: c.ramSize,
          tscKhz: c.tscKhz ?? 1_000_000,
          uuid: c.uuid ?? new Uint8Array(16),
          currentVcpu: () => env.currentVcpu(),
        }),
      );
      io.map(this.vmport.region, 0x5658);
      this.isaNode.add(this.node("vmport"));
      if (this.i8042) this.#unattached++; // QEMU's vmmouse
    }
    this.port92 = this.#keep(
      "port92",
      new Port92({
        a20: (on) => this.#setA20(on),
        reset: () => env.requestReset("guest-reset"),
      }),
    );
    io.map(this.port92.port, 0x92);
    this.isaNode.add(this.node("port92"));

    // Disks and power management
    this.slots.diskBuses.push(...this.chipset.addDisks());
    for (const d of c.drives.filter((d) => d.interface === "ide")) this.slots.addIdeDrive(d);
    this.chipset.addPowerManagement();
    if (this.chipset.displayLast) addDisplay();
    const apicIds = this.vcpus.map((v) => v.apicId);
    fillFwCfg(this.fwCfg, c, this.ramSplit, apicIds, this.chipset.sleepStates);
    for (const rom of c.optionRoms ?? []) {
      this.addBootEntry(`/rom@genroms/${rom.name}`, rom.bootindex);
    }
    this.slots.plugAll(c.devices);

    cmos.setMemory(this.rtc, below4g, above4g);
    cmos.setCpuCount(this.rtc, c.cpus);
    const [a, b] = this.fdc?.drives ?? [];
    cmos.setFloppies(this.rtc, a?.type ?? 0, b?.type ?? 0);
    cmos.setDisks(this.rtc, this.slots.diskGeometries());
    this.#bootOrder = c.boot.order ?? DEFAULT_BOOT_ORDER;
    this.#bootOnce = c.boot.once;
    this.setBootOrder(this.#bootOnce ?? this.#bootOrder);
    this.fwCfg.addFile("bios-geometry", () => geometryFile(this.#geometries));
    this.fwCfg.addFile("bootorder", () => bootOrderFile(this.#bootEntries, c.boot.strict));
    this.#resetAll();
  }

  // Construction helpers, also for pc_plug.ts

  /** A node for a device of the board's own. */
  node(type: string): DeviceNode {
    const node = this.userNode(type);
    if (!NAMED_PARTS.has(type)) {
      node.path = `/machine/unattached/device[${this.#unattached++}]`;
    }
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
    this.keep(id, device);
    return device;
  }

  /** Makes a device part of reset, save and load, under an id that stays the same between runs. */
  keep(id: string, device: Device): void {
    if (this.#devices.some((d) => d.id === id)) throw new Error(`device id ${id} is taken`);
    this.#devices.push({ id, device });
  }

  /** Takes a device out of reset, save and load. */
  forget(device: Device): void {
    const i = this.#devices.findIndex((d) => d.device === device);
    if (i >= 0) this.#devices.splice(i, 1);
  }

  /** Puts a plugged-in PCI function into the tree, reset, save and load. */
  addPci(
    dev: PciDevice,
    node: DeviceNode,
    bus = this.chipset.bus.name,
    busNode = this.chipset.pciNode,
  ): DeviceNode {
    this.keep(`${bus}/${devfnName(dev.devfn)}/${dev.type}`, dev);
    dev.id = node.id;
    node.set("addr", devfnName(dev.devfn));
    node.details = () => pciDetails(dev);
    if (node.flag("multifunction")) dev.setMultifunction();
    return busNode.add(node);
  }

  get isaNode(): BusNode {
    return this.chipset.isaNode;
  }

  /** RAM below 4 GiB, bytes. */
  get lowRamSize(): number {
    return this.ramSplit.below4g;
  }

  /** What is seen below 1 MiB where PAM sends reads to PCI. */
  lowRoms(): LowRom[] {
    const { isaBios } = this.firmware;
    return [
      { base: 0xc0000, region: ramRegion("pc.rom", this.optionRom, { readonly: true }) },
      { base: 0x100000 - isaBios.size, region: isaBios },
    ];
  }

  /** A new source on each of the 16 ISA interrupts. */
  isaLines(): IrqLine[] {
    return Array.from({ length: 16 }, (_, n) => this.irqs.line(n));
  }

  /** Notes the geometry that properties of a disk ask for. */
  addGeometry(path: string, node: DeviceNode): void {
    const [cylinders, heads, sectors] = ["lcyls", "lheads", "lsecs"].map((n) => node.number(n));
    if (cylinders || heads || sectors) this.#geometries.push({ path, cylinders, heads, sectors });
  }

  /** Makes something bootable by `bootindex`; a negative index is none. */
  addBootEntry(path: string, index: number): void {
    if (index < 0) return;
    if (this.#bootEntries.some((e) => e.index === index)) {
      throw new UserError(`The bootindex ${index} has already been used`);
    }
    this.#bootEntries.push({ path, index });
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
    this.irqs.addVcpu(cpu, index === 0, cpuModel.has("apic"));
  }

  /** The two sources are not combined: what was written last holds, as on QEMU's board. */
  #setA20(enabled: boolean): void {
    this.env.vm.setA20(enabled);
  }

  // What the machine does with the board

  /** Every device with its stable id, in reset order. */
  get devices(): readonly { id: string; device: Device }[] {
    return [...this.irqs.devices, ...this.#devices];
  }

  /**
   * System reset of all devices; the machine resets the processors. RAM keeps its contents. A reset
   * before time has begun to run belongs to the start and leaves `-boot once` in force.
   */
  reset(): void {
    this.slots.finishUnplugging();
    if (this.#bootOnce !== undefined && this.env.clock.now() > 0) {
      this.#bootOnce = undefined;
      this.setBootOrder(this.#bootOrder);
    }
    this.#resetAll();
  }

  #resetAll(): void {
    const { mem, io } = this.env;
    mem.transaction(() =>
      io.transaction(() => {
        for (const { device } of this.devices) device.reset();
      })
    );
    this.#setA20(true);
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
    this.chipset.powerButton();
  }

  /** The machine has entered S3: firmware that starts next is to resume (CMOS shutdown status). */
  suspended(): void {
    this.rtc.setCmos(SHUTDOWN_STATUS, SHUTDOWN_RESUME);
  }

  /** Ends ACPI S3: the PM shows the cause; the caller has reset everything and runs the processors. */
  wake(cause: "power-button" | "rtc" | "other"): void {
    this.chipset.wake(cause);
  }

  /** HMP `nmi`. */
  nmi(): void {
    this.irqs.nmi();
  }

  /** A vCPU enters (or leaves) system management mode. */
  setSmm(active: boolean): void {
    this.chipset.bridge.setSmm(active);
  }

  /** `boot_set`, until the next change. Throws UserError with QEMU's words. */
  setBootOrder(order: string): void {
    cmos.setBootOrder(this.rtc, order, this.config.fdBootchk ?? true);
    this.fwCfg.add16(FwCfgKey.BOOT_DEVICE, order.charCodeAt(0) || 0);
  }

  // Devices that come and go

  plug(device: DeviceOptions): void {
    this.slots.hotplug(device);
  }
  unplug(id: string): void {
    this.slots.unplug(id);
  }
  pluggedIds(): string[] {
    return [...this.root.walkDevices()].map((d) => d.id).filter((id) => id !== "");
  }
  defaultBus(type: string): string | undefined {
    // The bus made last comes first, as QEMU finds it.
    return [...this.root.walk()].filter((b) => b.type === type).at(-1)?.name;
  }

  // Monitor texts

  infoQtree(): string {
    return infoQtree(this.root);
  }
  infoQdm(): string {
    return deviceTypeList(DEVICE_TYPES);
  }
  infoPci(): string {
    return infoPci(this.chipset.bus);
  }
  infoVirtio(): string {
    return this.slots.virtio.infoVirtio();
  }
  get balloon(): MonitorBalloon | undefined {
    return this.slots.virtio.balloon;
  }
  infoMtree(flat = false, owners = false): string {
    return flat ? infoFlatViews(this, owners) : infoMtree(this, owners);
  }
  infoRoms(): string {
    return infoRoms(this);
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

/** Parts of the board that have a place of their own in QEMU's object tree. */
const NAMED_PARTS = new Set([
  ...["fw_cfg_io", "i440FX-pcihost", "q35-pcihost", "mch", "ioapic", "ps2-kbd", "ps2-mouse"],
]);

const NOWHERE: IrqLine = { set() {} };

/** APIC ID of a vCPU: thread, core, die and package in bit fields wide enough for each. */
export function apicIdOf(index: number, cores: number, threads: number, dies = 1): number {
  const bits = (n: number) => Math.ceil(Math.log2(Math.max(1, n)));
  const thread = index % threads, core = Math.floor(index / threads) % cores;
  const die = Math.floor(index / (threads * cores)) % dies;
  const socket = Math.floor(index / (threads * cores * dies));
  const coreAt = bits(threads), dieAt = coreAt + bits(cores), socketAt = dieAt + bits(dies);
  return thread | (core << coreAt) | (die << dieAt) | (socket << socketAt);
}
