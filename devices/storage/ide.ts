/**
 * An IDE channel: command block, control block, interrupt line and up to two devices
 * (ATA/ATAPI-7 volume 2; PIIX3 datasheet 290550, 3.2.2).
 */
import { type Device, type DeviceState, type IrqLine, NO_IRQ } from "../../core/device.ts";
import { type AccessSize, type IoRegion, ioRegion } from "../../core/memory/region.ts";
import { Cmd, Control, DeviceReg, Reg, Status } from "./ata_regs.ts";
import type { AtaDevice, AtaState, IdeDma, IdePort } from "./ata_device.ts";

interface ChannelState {
  /** Device Control as last written. */
  control: number;
  /** Which device the Device register selects: 0 or 1. */
  selected: number;
}

export interface IdeChannelOptions {
  readonly irq?: IrqLine;
  /** Prefix of the region names, for `info mtree`. */
  readonly name?: string;
}

// deno-lint-ignore no-explicit-any -- a slot takes devices of any state type
type AnyDevice = AtaDevice<any>;

export class IdeChannel implements Device, IdePort {
  readonly type = "ide-bus";
  /** Eight ports: 1F0h–1F7h or 170h–177h in compatibility mode. */
  readonly command: IoRegion;
  /** One port: 3F6h or 376h. */
  readonly control: IoRegion;
  readonly slots: [AnyDevice | undefined, AnyDevice | undefined] = [undefined, undefined];
  /** Set by the bus master that serves the channel. */
  dma: IdeDma | undefined = undefined;
  /** Told of each rise of the interrupt, whatever nIEN lets through to the line. */
  onInterrupt: () => void = () => {};

  #state: ChannelState = { control: 0, selected: 0 };
  readonly #irq: IrqLine;
  #level = false;

  constructor(options: IdeChannelOptions = {}) {
    this.#irq = options.irq ?? NO_IRQ;
    const name = options.name ?? "ide";
    this.command = ioRegion(name, 8, {
      read: (offset, size) => this.#read(offset, size),
      write: (offset, size, value) => this.#write(offset, size, value),
    });
    this.control = ioRegion(name, 1, {
      read: () => this.#status(),
      write: (_o, _s, value) => this.#writeControl(value),
      maxAccess: 1,
    });
  }

  /** Puts a device into slot 0 (master) or 1 (slave). */
  attach(slot: 0 | 1, device: AnyDevice): void {
    if (this.slots[slot] !== undefined) throw new Error(`IDE unit ${slot} is in use`);
    this.slots[slot] = device;
    device.port = this;
    device.reset();
  }

  get selectedDevice(): AnyDevice | undefined {
    return this.slots[this.#state.selected];
  }

  reset(): void {
    this.#state = { control: 0, selected: 0 };
    this.slots[0]?.reset();
    this.slots[1]?.reset();
    this.updateIrq();
  }

  save(): DeviceState {
    return { ...this.#state, devices: this.slots.map((d) => d?.save()) };
  }

  load(state: DeviceState): void {
    const s = state as ChannelState & { devices: (AtaState | undefined)[] };
    this.#state = { control: s.control, selected: s.selected };
    this.slots.forEach((d, i) => {
      if (d && s.devices[i]) d.load(s.devices[i]);
    });
    this.#level = false;
    this.#irq.set(false);
    this.updateIrq();
  }

  updateIrq(): void {
    const pending = this.selectedDevice?.state.intrq ?? false;
    const level = pending && (this.#state.control & Control.nIEN) === 0;
    if (level === this.#level) return;
    this.#level = level;
    if (level) this.onInterrupt();
    this.#irq.set(level);
  }

  #read(offset: number, size: AccessSize): number {
    const d = this.slots[this.#state.selected];
    if (offset === Reg.data) return d === undefined ? 0 : d.readData(size);
    if (size === 1) return this.#readRegister(offset);
    let value = 0;
    for (let i = 0; i < size && offset + i < 8; i++) {
      value |= this.#readRegister(offset + i) << (8 * i);
    }
    return value >>> 0;
  }

  #write(offset: number, size: AccessSize, value: number): void {
    if (offset === Reg.data) {
      this.slots[this.#state.selected]?.writeData(size, value);
      return;
    }
    for (let i = 0; i < size && offset + i < 8; i++) {
      this.#writeRegister(offset + i, (value >>> (8 * i)) & 0xff);
    }
  }

  #readRegister(offset: number): number {
    const selected = this.slots[this.#state.selected];
    // Device 0 answers for a missing device 1, with Status and Error zero.
    const d = selected ?? this.slots[0] ?? this.slots[1];
    if (d === undefined) return 0;
    const s = d.state, hob = (this.#state.control & Control.HOB) !== 0;
    switch (offset) {
      case Reg.features:
        return selected === undefined ? 0 : hob ? s.hobFeatures : s.error;
      case Reg.count:
        return hob ? s.hobCount : s.count;
      case Reg.lbaLow:
        return hob ? s.hobLow : s.lbaLow;
      case Reg.lbaMid:
        return hob ? s.hobMid : s.lbaMid;
      case Reg.lbaHigh:
        return hob ? s.hobHigh : s.lbaHigh;
      case Reg.device:
        return selected === undefined ? s.device | DeviceReg.DEV : s.device;
      default: {
        const status = this.#status();
        selected?.clearIrq();
        return status;
      }
    }
  }

  #status(): number {
    const d = this.selectedDevice;
    if (d === undefined) return 0;
    if (this.#state.control & Control.SRST) return Status.BSY | Status.DSC;
    return d.state.status;
  }

  #writeRegister(offset: number, value: number): void {
    if (offset === Reg.command) return this.#command(value);
    this.#state.control &= ~Control.HOB;
    for (let i = 0; i < 2; i++) {
      const d = this.slots[i];
      if (d === undefined) continue;
      const s = d.state;
      if (s.status & (Status.BSY | Status.DRQ) && offset !== Reg.device) continue;
      switch (offset) {
        case Reg.features:
          s.hobFeatures = s.features;
          s.features = value;
          break;
        case Reg.count:
          s.hobCount = s.count;
          s.count = value;
          break;
        case Reg.lbaLow:
          s.hobLow = s.lbaLow;
          s.lbaLow = value;
          break;
        case Reg.lbaMid:
          s.hobMid = s.lbaMid;
          s.lbaMid = value;
          break;
        case Reg.lbaHigh:
          s.hobHigh = s.lbaHigh;
          s.lbaHigh = value;
          break;
        case Reg.device:
          s.device = value | DeviceReg.OBSOLETE;
          break;
      }
    }
    if (offset === Reg.device) {
      this.#state.selected = value & DeviceReg.DEV ? 1 : 0;
      this.updateIrq();
    }
  }

  #command(code: number): void {
    if (this.#state.control & Control.SRST) return;
    this.#state.control &= ~Control.HOB;
    if (code === Cmd.EXECUTE_DEVICE_DIAGNOSTIC) {
      if (this.slots[0] === undefined && this.slots[1] === undefined) return;
      this.#select0();
      for (const d of this.slots) d?.diagnostic();
      this.updateIrq();
      this.slots[0]?.raiseIrq();
      return;
    }
    const d = this.selectedDevice;
    if (d === undefined) return;
    if (d.state.status & (Status.BSY | Status.DRQ) && code !== Cmd.DEVICE_RESET) return;
    d.clearIrq();
    d.command(code);
  }

  #writeControl(value: number): void {
    const was = this.#state.control;
    this.#state.control = value;
    if (was & ~value & Control.SRST) {
      this.#select0();
      for (const d of this.slots) d?.softReset();
    } else if (value & ~was & Control.SRST) {
      for (const d of this.slots) d?.clearIrq();
    }
    this.updateIrq();
  }

  #select0(): void {
    this.#state.selected = 0;
    for (const d of this.slots) if (d) d.state.device = DeviceReg.OBSOLETE;
  }
}
