/**
 * PCI devices and buses: configuration space, base address registers, INTx wires.
 * PCI Local Bus Specification 3.0, chapters 2.2.6 (interrupts) and 6 (configuration space).
 */
import type { Device, DeviceState } from "../../core/device.ts";
import { log } from "../../core/log.ts";
import type { AddressSpace, Mapping } from "../../core/memory/address_space.ts";
import type { RamBlock } from "../../core/memory/guest_memory.ts";
import { type AccessSize, ramRegion, type Region } from "../../core/memory/region.ts";
import * as R from "./pci_regs.ts";

/** The read-only identification registers. */
export interface PciIds {
  readonly vendor: number;
  readonly device: number;
  readonly revision?: number;
  /** 24 bits: base class, sub-class, programming interface. */
  readonly classCode: number;
  /** Default 1af4:1100, as QEMU gives every device without one of its own. */
  readonly subsystemVendor?: number;
  readonly subsystem?: number;
  /** INTx pin: 1 (A) to 4 (D), 0 for none. */
  readonly interruptPin?: number;
}

/** A base address register. `index` 6 is the expansion ROM. */
export interface PciBar {
  readonly index: number;
  /** Offset of the register in configuration space. */
  readonly register: number;
  readonly space: "io" | "mem";
  readonly prefetchable: boolean;
  readonly is64: boolean;
  /** Bytes, a power of two. */
  readonly size: number;
  readonly region: Region;
  /** Where it is mapped now, or undefined. */
  address: number | undefined;
  mapping: Mapping | undefined;
}

export interface PciState<S> {
  config: Uint8Array<ArrayBuffer>;
  irq: boolean;
  state: S;
}

/** `00:01.3` without the bus: slot and function of a devfn. */
export function devfnName(devfn: number): string {
  return `${(devfn >> 3).toString(16).padStart(2, "0")}.${devfn & 7}`;
}

/**
 * A PCI function. Subclasses fill in registers with {@link initConfig8} and friends, add BARs and
 * capabilities in their constructor, and override {@link onConfigWrite} for side effects.
 */
export abstract class PciDevice<S extends object = object> implements Device {
  abstract readonly type: string;
  /** The device's own state, beside configuration space. */
  state: S;
  /** 256 bytes of configuration space as the guest reads it. */
  readonly config = new Uint8Array(256);
  readonly configView = new DataView(this.config.buffer);
  /** Bits a configuration write changes. */
  readonly wmask = new Uint8Array(256);
  /** Bits that writing 1 clears. */
  readonly w1cmask = new Uint8Array(256);
  readonly bars: PciBar[] = [];
  bus: PciBus | undefined;
  /** Slot × 8 + function; -1 while not plugged in. */
  devfn = -1;
  /** The user's `id=`, or empty. */
  id = "";

  readonly #defaults = new Uint8Array(256);
  readonly #used = new Uint8Array(256);
  #irq = false;

  constructor(ids: PciIds, protected readonly initial: () => S, headerType: 0 | 1 = 0) {
    this.state = initial();
    this.initConfig16(R.PCI_VENDOR_ID, ids.vendor);
    this.initConfig16(R.PCI_DEVICE_ID, ids.device);
    this.initConfig8(R.PCI_REVISION_ID, ids.revision ?? 0);
    this.initConfig8(R.PCI_CLASS_PROG, ids.classCode & 0xff);
    this.initConfig16(R.PCI_CLASS_DEVICE, ids.classCode >> 8);
    this.initConfig8(R.PCI_HEADER_TYPE, headerType);
    this.initConfig8(R.PCI_INTERRUPT_PIN, ids.interruptPin ?? 0);
    if (headerType === 0) {
      this.initConfig16(R.PCI_SUBSYSTEM_VENDOR_ID, ids.subsystemVendor ?? 0x1af4);
      this.initConfig16(R.PCI_SUBSYSTEM_ID, ids.subsystem ?? 0x1100);
    }
    this.wmask[R.PCI_CACHE_LINE_SIZE] = 0xff;
    this.wmask[R.PCI_INTERRUPT_LINE] = 0xff;
    this.setMask16(
      R.PCI_COMMAND,
      R.PCI_COMMAND_IO | R.PCI_COMMAND_MEMORY | R.PCI_COMMAND_MASTER | R.PCI_COMMAND_SERR |
        R.PCI_COMMAND_INTX_DISABLE,
    );
    this.w1cmask[R.PCI_STATUS + 1] = R.PCI_STATUS_W1C >> 8;
    // Device-specific registers are plain storage until a subclass or a capability says otherwise.
    this.wmask.fill(0xff, R.PCI_HEADER_SIZE);
  }

  /** Sets a register's power-on value (and its present one). For constructors. */
  protected initConfig8(offset: number, value: number): void {
    this.#defaults[offset] = this.config[offset] = value;
  }

  protected initConfig16(offset: number, value: number): void {
    this.initConfig8(offset, value & 0xff);
    this.initConfig8(offset + 1, (value >> 8) & 0xff);
  }

  protected initConfig32(offset: number, value: number): void {
    this.initConfig16(offset, value & 0xffff);
    this.initConfig16(offset + 2, value >>> 16);
  }

  protected setMask16(offset: number, mask: number): void {
    this.wmask[offset] = mask & 0xff;
    this.wmask[offset + 1] = (mask >> 8) & 0xff;
  }

  protected setMask32(offset: number, mask: number): void {
    this.setMask16(offset, mask & 0xffff);
    this.setMask16(offset + 2, mask >>> 16);
  }

  /** Marks the function as one of several in its slot. */
  setMultifunction(): void {
    this.initConfig8(
      R.PCI_HEADER_TYPE,
      this.config[R.PCI_HEADER_TYPE] | R.PCI_HEADER_MULTI_FUNCTION,
    );
  }

  /**
   * Adds base address register `index` (0–5) for `region`, whose size must be a power of two
   * (at least 4 for I/O, 16 for memory). A 64-bit one takes the next register as well.
   */
  protected addBar(
    index: number,
    space: "io" | "mem",
    region: Region,
    opts: { prefetchable?: boolean; is64?: boolean } = {},
  ): void {
    const { prefetchable = false, is64 = false } = opts;
    this.#addBar(index, R.PCI_BASE_ADDRESS_0 + 4 * index, space, region, prefetchable, is64);
  }

  #addBar(
    index: number,
    register: number,
    space: "io" | "mem",
    region: Region,
    prefetchable: boolean,
    is64: boolean,
  ): void {
    const size = region.size;
    if (size < (space === "io" ? 4 : 16) || 2 ** Math.round(Math.log2(size)) !== size) {
      throw new RangeError(`${this.type}: BAR ${index} of ${size} bytes`);
    }
    this.bars.push({
      index,
      register,
      space,
      prefetchable,
      is64,
      size,
      region,
      address: undefined,
      mapping: undefined,
    });
    const rom = index === 6;
    const flags = rom ? 0 : space === "io" ? 1 : (prefetchable ? 8 : 0) | (is64 ? 4 : 0);
    this.initConfig32(register, flags);
    this.setMask32(register, (size > 2 ** 31 ? 0 : -size | (rom ? 1 : 0)) >>> 0);
    if (is64) {
      this.initConfig32(register + 4, 0);
      this.setMask32(register + 4, size > 2 ** 32 ? -(size / 2 ** 32) >>> 0 : 0xffffffff);
    }
  }

  /**
   * Adds the expansion ROM with `image` in `block`, a block whose size is a power of two and not
   * less than 2 KiB ({@link romSize} of the image).
   */
  protected addRom(block: RamBlock, image: Uint8Array, size = romSize(image.length)): void {
    block.u8.set(image.subarray(0, size));
    const register = (this.config[R.PCI_HEADER_TYPE] & 0x7f) === 1
      ? R.PCI_BRIDGE_ROM_ADDRESS
      : R.PCI_ROM_ADDRESS;
    this.#addBar(
      6,
      register,
      "mem",
      ramRegion(block.name, block, { size, readonly: true }),
      false,
      false,
    );
  }

  /**
   * Puts a capability at the head of the list and returns its offset. Its `size` bytes (header
   * included) become read-only; make some writable afterwards. Without `at`, the first free place.
   */
  protected addCapability(id: number, size: number, at?: number): number {
    const padded = (size + 3) & ~3;
    if (at === undefined) {
      at = R.PCI_HEADER_SIZE;
      while (at + padded <= 256 && this.#used.subarray(at, at + padded).some((b) => b)) at += 4;
    }
    if (at + padded > 256) throw new RangeError(`${this.type}: no room for capability ${id}`);
    this.#used.fill(1, at, at + padded);
    this.wmask.fill(0, at, at + padded);
    this.initConfig8(at, id);
    this.initConfig8(at + 1, this.config[R.PCI_CAPABILITY_LIST]);
    this.initConfig8(R.PCI_CAPABILITY_LIST, at);
    this.initConfig8(R.PCI_STATUS, this.config[R.PCI_STATUS] | R.PCI_STATUS_CAP_LIST);
    return at;
  }

  /** Offset of capability `id`, or 0. */
  findCapability(id: number): number {
    let at = this.config[R.PCI_CAPABILITY_LIST];
    for (let n = 0; at >= R.PCI_HEADER_SIZE && n < 48; n++) {
      if (this.config[at] === id) return at;
      at = this.config[at + 1] & ~3;
    }
    return 0;
  }

  get command(): number {
    return this.configView.getUint16(R.PCI_COMMAND, true);
  }

  get isMultifunction(): boolean {
    return (this.config[R.PCI_HEADER_TYPE] & R.PCI_HEADER_MULTI_FUNCTION) !== 0;
  }

  /** A configuration read of 1, 2 or 4 bytes that does not cross a double word. */
  configRead(offset: number, size: AccessSize): number {
    const v = this.configView;
    return size === 1
      ? v.getUint8(offset)
      : size === 2
      ? v.getUint16(offset, true)
      : v.getUint32(offset, true);
  }

  /** A configuration write of 1, 2 or 4 bytes that does not cross a double word. */
  configWrite(offset: number, size: AccessSize, value: number): void {
    for (let i = 0; i < size; i++) {
      const at = offset + i, byte = (value >>> (8 * i)) & 0xff, mask = this.wmask[at];
      this.config[at] = ((this.config[at] & ~mask) | (byte & mask)) &
        ~(byte & this.w1cmask[at]);
    }
    const end = offset + size;
    if (
      (offset < R.PCI_BASE_ADDRESS_0 + 24 && end > R.PCI_COMMAND) ||
      (offset < R.PCI_BRIDGE_ROM_ADDRESS + 4 && end > R.PCI_ROM_ADDRESS)
    ) {
      this.updateMappings();
    }
    if (offset <= R.PCI_COMMAND + 1 && end > R.PCI_COMMAND) this.#driveIrq();
    this.onConfigWrite(offset, size);
  }

  /** Called after a configuration write has changed {@link config}. */
  protected onConfigWrite(_offset: number, _size: AccessSize): void {}

  /** The level of the INTx pin. Command bit 10 disconnects it; status bit 3 shows it anyway. */
  setInterrupt(level: boolean): void {
    if (level === this.#irq) return;
    this.#irq = level;
    this.#driveIrq();
  }

  get interruptLevel(): boolean {
    return this.#irq;
  }

  #driveIrq(): void {
    const status = this.config[R.PCI_STATUS];
    this.config[R.PCI_STATUS] = this.#irq
      ? status | R.PCI_STATUS_INTERRUPT
      : status & ~R.PCI_STATUS_INTERRUPT;
    this.#drivePin(this.#irq && (this.command & R.PCI_COMMAND_INTX_DISABLE) === 0);
  }

  #drivePin(level: boolean): void {
    const pin = this.config[R.PCI_INTERRUPT_PIN];
    if (pin >= 1 && pin <= 4) this.bus?.setPin(this.devfn, pin - 1, level);
  }

  /** Maps, moves and unmaps the BARs as the registers and the command register say. */
  updateMappings(): void {
    const bus = this.bus;
    if (bus === undefined) return;
    for (const bar of this.bars) {
      const address = this.#barAddress(bar, bus);
      if (address === bar.address) continue;
      const space = bar.space === "io" ? bus.io : bus.mem;
      space.transaction(() => {
        if (bar.mapping !== undefined) space.unmap(bar.mapping);
        bar.address = address;
        bar.mapping = address === undefined
          ? undefined
          : space.map(bar.region, address, bus.priority(bar.space, this.devfn, bar.index));
      });
      this.onBarMoved(bar);
    }
  }

  /** Called when a BAR has been mapped, moved or unmapped. */
  protected onBarMoved(_bar: PciBar): void {}

  #barAddress(bar: PciBar, bus: PciBus): number | undefined {
    const enable = bar.space === "io" ? R.PCI_COMMAND_IO : R.PCI_COMMAND_MEMORY;
    if ((this.command & enable) === 0) return undefined;
    const low = this.configView.getUint32(bar.register, true);
    if (bar.index === 6 && (low & R.PCI_ROM_ADDRESS_ENABLE) === 0) return undefined;
    const high = bar.is64 ? this.configView.getUint32(bar.register + 4, true) : 0;
    const raw = low + high * 2 ** 32;
    const base = raw - raw % bar.size, last = base + bar.size - 1;
    // Address 0 and the top of the space are what software leaves while it sizes a BAR.
    if (base === 0 || (!bar.is64 && last >= 0xffffffff)) return undefined;
    const space = bar.space === "io" ? bus.io : bus.mem;
    if (last >= space.size) return undefined;
    return bus.forwards(bar.space, base, last, bar.prefetchable) ? base : undefined;
  }

  /** Reads guest memory as a bus master; false (and `into` untouched) while mastering is off. */
  dmaRead(address: number, into: Uint8Array): boolean {
    if (this.bus === undefined || !(this.command & R.PCI_COMMAND_MASTER)) return this.#refuseDma();
    this.bus.mem.readBytes(address, into);
    return true;
  }

  /** Writes guest memory as a bus master; false while mastering is off. */
  dmaWrite(address: number, from: Uint8Array): boolean {
    if (this.bus === undefined || !(this.command & R.PCI_COMMAND_MASTER)) return this.#refuseDma();
    this.bus.mem.writeBytes(address, from);
    return true;
  }

  #refuseDma(): boolean {
    log("guest_errors", `${this.type}: DMA with bus mastering disabled`);
    return false;
  }

  reset(): void {
    this.setInterrupt(false);
    this.config.set(this.#defaults);
    this.updateMappings();
    this.state = this.initial();
    this.onReset();
  }

  save(): PciState<S> {
    return {
      config: this.config.slice(),
      irq: this.#irq,
      state: structuredClone(this.state),
    };
  }

  load(state: DeviceState): void {
    const s = state as PciState<S>;
    this.#drivePin(false);
    this.config.set(s.config);
    this.#irq = s.irq;
    this.updateMappings();
    this.state = structuredClone(s.state);
    this.onLoad();
    this.#driveIrq();
  }

  /** Further power-on work: timers and output lines. {@link state} is fresh. */
  protected onReset(): void {}
  /** Re-arms and re-drives what follows from a loaded {@link state}. */
  protected onLoad(): void {}

  /** Takes the device off the bus: its BARs vanish, its interrupt pin falls. */
  detach(): void {
    this.setInterrupt(false);
    this.config[R.PCI_COMMAND] &= ~(R.PCI_COMMAND_IO | R.PCI_COMMAND_MEMORY);
    this.updateMappings();
    this.bus = undefined;
    this.devfn = -1;
  }
}

/** Size of the ROM BAR that holds `bytes` bytes: a power of two, at least 2 KiB. */
export function romSize(bytes: number): number {
  return Math.max(2048, 2 ** Math.ceil(Math.log2(bytes)));
}

/** What a bus needs from above: the host bridge, or a PCI-to-PCI bridge. */
export interface PciUpstream {
  /** The four (or more) interrupt wires of this bus; `input` is what {@link route} gave. */
  setInterrupt(input: number, level: boolean): void;
  /** Which upstream wire a pin (0 = INTA) of a function is connected to. */
  route(devfn: number, pin: number): number;
  /** Whether a range of addresses is passed down to this bus. */
  forwards(space: "io" | "mem", first: number, last: number, prefetchable: boolean): boolean;
}

/** A PCI bus: up to 32 slots of 8 functions. */
export class PciBus {
  readonly devices: (PciDevice | undefined)[] = new Array(256).fill(undefined);
  readonly children: PciBus[] = [];
  /** Delivers a message-signalled interrupt. The board connects it to the interrupt controllers. */
  msi: (address: number, data: number) => void = () => {};
  /** Bus number; 0 for the root, set by software for a secondary bus. */
  number = 0;
  /** Whose secondary bus this is; undefined for a root. */
  bridge: PciDevice | undefined;
  readonly #counts: number[] = [];
  readonly #pins = new Uint8Array(256);

  /**
   * @param name QEMU's bus name, such as `pci.0`
   * @param index position among all buses of the machine: it orders overlapping BARs
   */
  constructor(
    readonly name: string,
    readonly mem: AddressSpace,
    readonly io: AddressSpace,
    readonly upstream: PciUpstream,
    readonly index = 0,
  ) {}

  /** Plugs `dev` in at `devfn`, or at function 0 of the first free slot from 1. Throws when taken. */
  plug<T extends PciDevice>(dev: T, devfn?: number): T {
    if (devfn === undefined) {
      devfn = 8;
      while (devfn < 256 && this.#slotUsed(devfn)) devfn += 8;
    }
    if (devfn < 0 || devfn > 255) throw new RangeError(`no free slot on ${this.name}`);
    if (this.devices[devfn] !== undefined) {
      throw new RangeError(`${this.name} ${devfnName(devfn)} is taken`);
    }
    this.devices[devfn] = dev as PciDevice;
    dev.bus = this;
    dev.devfn = devfn;
    dev.updateMappings();
    return dev;
  }

  #slotUsed(devfn: number): boolean {
    return this.devices.slice(devfn & ~7, (devfn & ~7) + 8).some((d) => d !== undefined);
  }

  unplug(dev: PciDevice): void {
    if (dev.bus !== this) return;
    const devfn = dev.devfn;
    dev.detach();
    this.devices[devfn] = undefined;
  }

  /** The functions present, in devfn order. */
  present(): PciDevice[] {
    return this.devices.filter((d) => d !== undefined);
  }

  /**
   * The device with bus number `bus` at `devfn` on this bus or below it. Software numbers buses
   * as it likes, loops included, hence the depth.
   */
  find(bus: number, devfn: number, depth = 0): PciDevice | undefined {
    if (bus === this.number) return this.devices[devfn];
    if (depth > 8) return undefined;
    for (const c of this.children) {
      const d = c.number !== 0 ? c.find(bus, devfn, depth + 1) : undefined;
      if (d !== undefined) return d;
    }
    return undefined;
  }

  /** Level of interrupt pin `pin` (0 = INTA) of a function. Wires are shared, hence the counting. */
  setPin(devfn: number, pin: number, level: boolean): void {
    const bit = 1 << pin;
    if (((this.#pins[devfn] & bit) !== 0) === level) return;
    this.#pins[devfn] ^= bit;
    const wire = this.upstream.route(devfn, pin);
    const count = (this.#counts[wire] ?? 0) + (level ? 1 : -1);
    this.#counts[wire] = count;
    this.upstream.setInterrupt(wire, count > 0);
  }

  forwards(space: "io" | "mem", first: number, last: number, prefetchable: boolean): boolean {
    return this.upstream.forwards(space, first, last, prefetchable);
  }

  /**
   * BARs lie under RAM (priority 0) and over the firmware ROM (-1), in port space over the board's
   * own ports (0). Software may place two on top of each other, so that no two have one priority.
   */
  priority(space: "io" | "mem", devfn: number, bar: number): number {
    const order = (((this.index & 0xff) << 11) | (devfn << 3) | bar) / 2 ** 21;
    return space === "io" ? 1 + order : -0.5 + order;
  }

  /** Bus number × 256 + devfn of the device with this id, on this bus or below. */
  addressOf(id: string): number | undefined {
    const dev = this.present().find((d) => d.id === id);
    if (dev !== undefined) return this.number * 256 + dev.devfn;
    for (const child of this.children) {
      const at = child.addressOf(id);
      if (at !== undefined) return at;
    }
  }

  /** OpenFirmware path of the device `name` at `devfn`, as `bootorder` names it. */
  firmwarePath(name: string, devfn: number): string {
    const above = this.bridge?.bus?.firmwarePath(this.bridge.type, this.bridge.devfn);
    const fn = devfn & 7;
    return `${above ?? "/pci@i0cf8"}/${name}@${(devfn >> 3).toString(16)}${fn ? `,${fn}` : ""}`;
  }

  /** Bus reset: every function, and through bridges the buses below. */
  reset(): void {
    for (const d of this.present()) d.reset();
  }
}
