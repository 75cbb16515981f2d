/**
 * Virtio over PCI: VIRTIO specification 1.2, 4.1. A function is modern (capabilities that point into
 * BAR 4), legacy (registers in the ports of BAR 0, 4.1.4.10) or both, with MSI-X in BAR 1 or INTx.
 * Capability order, BARs and identifiers are those of QEMU's functions.
 */
import type { DeviceState } from "../../core/device.ts";
import { log } from "../../core/log.ts";
import type { AddressSpace } from "../../core/memory/address_space.ts";
import { type AccessSize, ioRegion } from "../../core/memory/region.ts";
import {
  initialMsix,
  Msix,
  MSIX_SIZE,
  type MsixState,
  PCI_CAP_MSIX,
  touchesMsixControl,
} from "../chipset/msix.ts";
import { type PciBar, PciDevice } from "../chipset/pci.ts";
import { PCI_COMMAND, PCI_COMMAND_MASTER } from "../chipset/pci_regs.ts";
import type { NotifyRange, NotifySource } from "./notify.ts";
import { half } from "./virtio_mmio.ts";
import type { VirtioDevice, VirtioTransport } from "./virtio_device.ts";
import { bit, DeviceId, Feature, NO_VECTOR, Status } from "./virtio_regs.ts";

const VIRTIO_VENDOR = 0x1af4;
/** Transitional functions: 1000h and up in an order of its own (4.1.2.1); others 1040h + type. */
const TRANSITIONAL: Readonly<Record<number, number>> = {
  [DeviceId.net]: 0x1000,
  [DeviceId.block]: 0x1001,
  [DeviceId.balloon]: 0x1002,
  [DeviceId.console]: 0x1003,
  [DeviceId.rng]: 0x1005,
};
const MODERN_BASE = 0x1040;

const PCI_CAP_VENDOR = 0x09;
/** cfg_type of the capabilities, and where in BAR 4 each structure is. */
const Cfg = { COMMON: 1, NOTIFY: 2, ISR: 3, DEVICE: 4, PCI: 5 } as const;
const STRUCTURE = 0x1000;
const LEGACY_BAR = 0, MSIX_BAR = 1, MODERN_BAR = 4;
const COMMON_AT = 0, ISR_AT = STRUCTURE, DEVICE_AT = 2 * STRUCTURE, NOTIFY_AT = 3 * STRUCTURE;
/** The most queues a function of QEMU can have: with a page for each, BAR 4 has room for them. */
const QUEUES_MAX = 1024;
const NOTIFY_MULTIPLIER = 4;
/** Offsets in the PCI configuration access capability. */
const PCI_CFG = { BAR: 4, OFFSET: 8, LENGTH: 12, DATA: 16, SIZE: 20 } as const;

/** Common configuration structure (4.1.4.3). */
const C = {
  DEVICE_FEATURE_SELECT: 0x00,
  DEVICE_FEATURE: 0x04,
  DRIVER_FEATURE_SELECT: 0x08,
  DRIVER_FEATURE: 0x0c,
  CONFIG_MSIX_VECTOR: 0x10,
  NUM_QUEUES: 0x12,
  DEVICE_STATUS: 0x14,
  CONFIG_GENERATION: 0x15,
  QUEUE_SELECT: 0x16,
  QUEUE_SIZE: 0x18,
  QUEUE_MSIX_VECTOR: 0x1a,
  QUEUE_ENABLE: 0x1c,
  QUEUE_NOTIFY_OFF: 0x1e,
  QUEUE_DESC: 0x20,
  QUEUE_DRIVER: 0x28,
  QUEUE_DEVICE: 0x30,
  QUEUE_NOTIFY_DATA: 0x38,
  QUEUE_RESET: 0x3a,
} as const;

/** Legacy ports (4.1.4.10). */
const L = {
  DEVICE_FEATURES: 0,
  DRIVER_FEATURES: 4,
  QUEUE_ADDRESS: 8,
  QUEUE_SIZE: 12,
  QUEUE_SELECT: 14,
  QUEUE_NOTIFY: 16,
  STATUS: 18,
  ISR: 19,
  CONFIG_VECTOR: 20,
  QUEUE_VECTOR: 22,
} as const;
const LEGACY_HEADER = 20, LEGACY_HEADER_MSIX = 24, LEGACY_ALIGN = 4096;

export interface VirtioPciState {
  deviceFeatureSelect: number;
  driverFeatureSelect: number;
  driverFeature: [number, number];
  queueSelect: number;
  msix: MsixState;
  device: DeviceState;
}

export interface VirtioPciOptions {
  /** QEMU's name of the function, such as `virtio-blk-pci`. */
  readonly type: string;
  readonly device: VirtioDevice;
  /** Class code, 24 bits. */
  readonly classCode: number;
  readonly legacy: boolean;
  readonly modern: boolean;
  /** MSI-X vectors; 0 leaves INTx alone. */
  readonly vectors: number;
  /** A page of notification addresses for each queue. */
  readonly pagePerVq?: boolean;
}

export class VirtioPci extends PciDevice<VirtioPciState> implements VirtioTransport, NotifySource {
  override readonly type: string;
  readonly device: VirtioDevice;
  readonly modern: boolean;
  readonly legacy: boolean;
  readonly msix: Msix | undefined;
  onNotifyRanges: () => void = () => {};
  readonly #multiplier: number;
  readonly #pciCfg: number = 0;

  constructor(options: VirtioPciOptions) {
    const { device, legacy, modern, vectors } = options;
    const transitional = TRANSITIONAL[device.deviceId];
    const old = legacy && transitional !== undefined;
    super(
      {
        vendor: VIRTIO_VENDOR,
        device: old ? transitional : MODERN_BASE + device.deviceId,
        revision: old ? 0 : 1,
        classCode: options.classCode,
        subsystemVendor: VIRTIO_VENDOR,
        subsystem: old ? device.deviceId : 0x1100,
        interruptPin: 1,
      },
      () => ({
        deviceFeatureSelect: 0,
        driverFeatureSelect: 0,
        driverFeature: [0, 0],
        queueSelect: 0,
        msix: initialMsix(vectors),
        device: undefined,
      }),
    );
    this.type = options.type;
    this.device = device;
    this.legacy = legacy;
    this.modern = modern;
    this.#multiplier = options.pagePerVq ? STRUCTURE : NOTIFY_MULTIPLIER;
    device.transport = this;
    device.legacyOnly = !modern;
    if (modern) this.#pciCfg = this.#addModern();
    if (vectors > 0) {
      const at = this.addCapability(PCI_CAP_MSIX, MSIX_SIZE);
      for (const [offset, size, value] of Msix.registers(vectors, MSIX_BAR)) {
        if (size === 2) this.initConfig16(at + offset, value);
        else this.initConfig32(at + offset, value);
      }
      this.msix = new Msix(this.type, this, at, vectors, () => this.state.msix);
      this.addBar(MSIX_BAR, "mem", this.msix.region);
    }
    if (legacy) {
      const header = vectors > 0 ? LEGACY_HEADER_MSIX : LEGACY_HEADER;
      const size = 2 ** Math.ceil(Math.log2(header + device.configSize));
      const region = ioRegion("virtio-pci", size, {
        read: (offset, size) => this.#readLegacy(offset, size),
        write: (offset, size, value) => this.#writeLegacy(offset, size, value),
      });
      this.addBar(LEGACY_BAR, "io", region);
    }
  }

  /** Capabilities and BAR 4; gives the offset of the configuration access capability. */
  #addModern(): number {
    const notifySize = this.#multiplier === STRUCTURE ? STRUCTURE * QUEUES_MAX : STRUCTURE;
    const structures: [type: number, at: number, size: number, bytes: number][] = [
      [Cfg.COMMON, COMMON_AT, STRUCTURE, 16],
      [Cfg.ISR, ISR_AT, STRUCTURE, 16],
      [Cfg.DEVICE, DEVICE_AT, STRUCTURE, 16],
      [Cfg.NOTIFY, NOTIFY_AT, notifySize, 20],
    ];
    for (const [type, offset, size, bytes] of structures) {
      const at = this.#addVendorCapability(type, bytes);
      this.initConfig8(at + 4, MODERN_BAR);
      this.initConfig32(at + 8, offset);
      this.initConfig32(at + 12, size);
      if (type === Cfg.NOTIFY) this.initConfig32(at + 16, this.#multiplier);
    }
    const at = this.#addVendorCapability(Cfg.PCI, PCI_CFG.SIZE);
    this.wmask[at + PCI_CFG.BAR] = 0xff;
    this.wmask.fill(0xff, at + PCI_CFG.OFFSET, at + PCI_CFG.SIZE);
    const size = 2 ** Math.ceil(Math.log2(NOTIFY_AT + notifySize));
    const part = (name: string, offset: number, size: number) => ({
      name: `virtio-pci-${name}-${this.device.shortName}`,
      offset,
      size,
    });
    const region = {
      ...ioRegion("virtio-pci", size, {
        read: (offset, size) => this.#readModern(offset, size),
        write: (offset, size, value) => this.#writeModern(offset, size, value),
      }),
      parts: [
        part("common", COMMON_AT, STRUCTURE),
        part("isr", ISR_AT, STRUCTURE),
        part("device", DEVICE_AT, STRUCTURE),
        part("notify", NOTIFY_AT, notifySize),
      ],
    };
    this.addBar(MODERN_BAR, "mem", region, { prefetchable: true, is64: true });
    return at;
  }

  #addVendorCapability(type: number, bytes: number): number {
    const at = this.addCapability(PCI_CAP_VENDOR, bytes);
    this.initConfig8(at + 2, bytes);
    this.initConfig8(at + 3, type);
    return at;
  }

  // VirtioTransport

  memory(): AddressSpace | undefined {
    return this.command & PCI_COMMAND_MASTER ? this.bus?.mem : undefined;
  }

  interrupt(vector: number | undefined): void {
    const { msix } = this;
    if (msix?.enabled) {
      this.setInterrupt(false);
      if (vector !== undefined && vector !== NO_VECTOR) msix.send(vector);
    } else this.setInterrupt(this.device.isr !== 0);
  }

  queuesChanged(): void {
    this.onNotifyRanges();
  }

  protected override onBarMoved(_bar: PciBar): void {
    this.onNotifyRanges();
  }

  notifyRanges(): NotifyRange[] {
    const base = (index: number) => this.bars.find((b) => b.index === index)?.address;
    const ports = base(LEGACY_BAR), memory = base(MODERN_BAR);
    const list: NotifyRange[] = [];
    for (const q of this.device.queues) {
      if (!q.state.ready) continue;
      const notify = () => q.notify();
      if (memory !== undefined) {
        const address = memory + NOTIFY_AT + this.#multiplier * q.index;
        list.push({ space: "mem", address, size: 2, notify });
      }
      if (ports !== undefined) {
        const address = ports + L.QUEUE_NOTIFY;
        list.push({ space: "io", address, size: 2, datamatch: q.index, notify });
      }
    }
    return list;
  }

  // Configuration space

  override configRead(offset: number, size: AccessSize): number {
    const at = this.#pciCfg;
    if (at !== 0 && offset >= at + PCI_CFG.DATA && offset < at + PCI_CFG.SIZE) {
      const window = this.#window();
      if (window !== undefined) {
        this.configView.setUint32(
          at + PCI_CFG.DATA,
          this.#readModern(window.offset, window.length),
          true,
        );
      }
    }
    return super.configRead(offset, size);
  }

  protected override onConfigWrite(offset: number, size: AccessSize): void {
    const at = this.#pciCfg, { msix } = this;
    if (at !== 0 && offset < at + PCI_CFG.SIZE && offset + size > at + PCI_CFG.DATA) {
      const window = this.#window();
      if (window !== undefined) {
        const value = this.configView.getUint32(at + PCI_CFG.DATA, true);
        const mask = 2 ** (8 * window.length) - 1;
        this.#writeModern(window.offset, window.length, (value & mask) >>> 0);
      }
    }
    if (msix !== undefined && touchesMsixControl(msix.at, offset, size)) {
      msix.update();
      this.interrupt(undefined);
    }
  }

  /** What the configuration access capability points at, if it is something. */
  #window(): { offset: number; length: AccessSize } | undefined {
    const at = this.#pciCfg, v = this.configView;
    const offset = v.getUint32(at + PCI_CFG.OFFSET, true);
    const length = v.getUint32(at + PCI_CFG.LENGTH, true);
    const size = this.bars.find((b) => b.index === MODERN_BAR)?.size ?? 0;
    const valid = v.getUint8(at + PCI_CFG.BAR) === MODERN_BAR &&
      (length === 1 || length === 2 || length === 4) && offset % length === 0 &&
      offset + length <= size;
    return valid ? { offset, length: length as AccessSize } : undefined;
  }

  // Modern structures

  #readModern(offset: number, size: AccessSize): number {
    if (offset >= NOTIFY_AT) return 0;
    if (offset >= DEVICE_AT) return this.device.readConfig(offset - DEVICE_AT, size);
    if (offset >= ISR_AT) return offset === ISR_AT ? this.#takeIsr() : 0;
    // Narrow reads of wide fields, as some drivers make them.
    const at = offset < C.CONFIG_MSIX_VECTOR || offset >= C.QUEUE_DESC
      ? offset & ~3
      : offset === C.DEVICE_STATUS || offset === C.CONFIG_GENERATION
      ? offset
      : offset & ~1;
    const value = this.#readCommon(at) >>> (8 * (offset - at));
    if (size === 4 && at >= C.CONFIG_MSIX_VECTOR && at < C.QUEUE_DESC) {
      return (value | this.#readModern(offset + 2, 2) << 16) >>> 0;
    }
    if (size === 2 && at === C.DEVICE_STATUS) return value | this.device.generation << 8;
    return size === 4 ? value : value & (2 ** (8 * size) - 1);
  }

  #takeIsr(): number {
    const { device } = this, value = device.isr;
    device.isr = 0;
    this.interrupt(undefined);
    return value;
  }

  #readCommon(at: number): number {
    const { device: d, state: s } = this, q = d.queues[s.queueSelect];
    switch (at) {
      case C.DEVICE_FEATURE_SELECT:
        return s.deviceFeatureSelect;
      case C.DEVICE_FEATURE:
        return s.deviceFeatureSelect > 1
          ? 0
          : Number((d.modernFeatures >> BigInt(32 * s.deviceFeatureSelect)) & 0xffffffffn);
      case C.DRIVER_FEATURE_SELECT:
        return s.driverFeatureSelect;
      case C.DRIVER_FEATURE:
        return s.driverFeature[s.driverFeatureSelect] ?? 0;
      case C.CONFIG_MSIX_VECTOR:
        return d.configVector;
      case C.NUM_QUEUES:
        return d.queues.length;
      case C.DEVICE_STATUS:
        return d.status;
      case C.CONFIG_GENERATION:
        return d.generation;
      case C.QUEUE_SELECT:
        return s.queueSelect;
    }
    if (q === undefined) return 0;
    const t = q.state, high = (v: number) => Math.floor(v / 2 ** 32) >>> 0;
    switch (at) {
      case C.QUEUE_SIZE:
        return t.size;
      case C.QUEUE_MSIX_VECTOR:
        return t.vector;
      case C.QUEUE_ENABLE:
        return t.ready ? 1 : 0;
      case C.QUEUE_NOTIFY_OFF:
        return q.index;
      case C.QUEUE_DESC:
        return t.desc % 2 ** 32;
      case C.QUEUE_DESC + 4:
        return high(t.desc);
      case C.QUEUE_DRIVER:
        return t.avail % 2 ** 32;
      case C.QUEUE_DRIVER + 4:
        return high(t.avail);
      case C.QUEUE_DEVICE:
        return t.used % 2 ** 32;
      case C.QUEUE_DEVICE + 4:
        return high(t.used);
    }
    return 0;
  }

  #writeModern(offset: number, size: AccessSize, value: number): void {
    const { device: d } = this;
    if (offset >= NOTIFY_AT) {
      const index = Math.floor((offset - NOTIFY_AT) / this.#multiplier);
      return d.notifyQueue(index);
    }
    if (offset >= DEVICE_AT) return d.writeConfig(offset - DEVICE_AT, size, value);
    if (offset >= ISR_AT) return;
    this.#writeCommon(offset, value);
  }

  #writeCommon(at: number, value: number): void {
    const { device: d, state: s } = this, q = d.queues[s.queueSelect];
    switch (at) {
      case C.DEVICE_FEATURE_SELECT:
        s.deviceFeatureSelect = value;
        return;
      case C.DRIVER_FEATURE_SELECT:
        s.driverFeatureSelect = value;
        return;
      case C.DRIVER_FEATURE: {
        if (s.driverFeatureSelect > 1) return;
        s.driverFeature[s.driverFeatureSelect] = value;
        const all = BigInt(s.driverFeature[0]) | BigInt(s.driverFeature[1]) << 32n;
        return d.setFeatures(all, d.modernFeatures);
      }
      case C.CONFIG_MSIX_VECTOR:
        d.configVector = this.#vector(value);
        return;
      case C.DEVICE_STATUS:
        return this.#setStatus(value & 0xff, true);
      case C.QUEUE_SELECT:
        s.queueSelect = value & 0xffff;
        return;
    }
    if (q === undefined) return;
    const t = q.state;
    switch (at) {
      case C.QUEUE_MSIX_VECTOR:
        t.vector = this.#vector(value);
        return;
      case C.QUEUE_ENABLE:
        if (value === 1) {
          q.enable();
          this.queuesChanged();
        }
        return;
      case C.QUEUE_RESET:
        if (value === 1) {
          q.reset();
          this.queuesChanged();
        }
        return;
    }
    if (t.ready) return;
    switch (at) {
      case C.QUEUE_SIZE:
        if (value > 0 && value <= q.maxSize && (value & (value - 1)) === 0) t.size = value;
        else log("guest_errors", `${this.type}: queue size ${value}`);
        return;
      case C.QUEUE_DESC:
      case C.QUEUE_DESC + 4:
        t.desc = half(t.desc, at !== C.QUEUE_DESC, value);
        return;
      case C.QUEUE_DRIVER:
      case C.QUEUE_DRIVER + 4:
        t.avail = half(t.avail, at !== C.QUEUE_DRIVER, value);
        return;
      case C.QUEUE_DEVICE:
      case C.QUEUE_DEVICE + 4:
        t.used = half(t.used, at !== C.QUEUE_DEVICE, value);
        return;
    }
  }

  #vector(value: number): number {
    return this.msix !== undefined && value < this.msix.vectors ? value : NO_VECTOR;
  }

  #setStatus(value: number, modern: boolean): void {
    this.device.setStatus(value, modern);
    if (value === 0) {
      const { msix } = this.state;
      this.state = { ...this.initial(), msix };
    }
  }

  // Legacy ports

  #configAt(): number {
    return this.msix?.enabled ? LEGACY_HEADER_MSIX : LEGACY_HEADER;
  }

  #readLegacy(offset: number, size: AccessSize): number {
    const { device: d, state: s } = this, q = d.queues[s.queueSelect];
    const config = this.#configAt();
    if (offset >= config) return d.readConfig(offset - config, size);
    switch (offset) {
      case L.DEVICE_FEATURES:
        return Number((d.legacyFeatures | bit(Feature.BAD_FEATURE)) & 0xffffffffn);
      case L.DRIVER_FEATURES:
        return Number(d.features & 0xffffffffn);
      case L.QUEUE_ADDRESS:
        return q ? Math.floor(q.state.desc / LEGACY_ALIGN) >>> 0 : 0;
      case L.QUEUE_SIZE:
        return q?.maxSize ?? 0;
      case L.QUEUE_SELECT:
        return s.queueSelect;
      case L.STATUS:
        return d.status;
      case L.ISR:
        return this.#takeIsr();
      case L.CONFIG_VECTOR:
        return d.configVector;
      case L.QUEUE_VECTOR:
        return q?.state.vector ?? NO_VECTOR;
    }
    return 2 ** (8 * size) - 1;
  }

  #writeLegacy(offset: number, size: AccessSize, value: number): void {
    const { device: d, state: s } = this, q = d.queues[s.queueSelect];
    const config = this.#configAt();
    if (offset >= config) return d.writeConfig(offset - config, size, value);
    switch (offset) {
      case L.DRIVER_FEATURES: {
        // A driver that accepts what it cannot know accepts nothing in truth.
        const wanted = BigInt(value);
        d.setFeatures(wanted & bit(Feature.BAD_FEATURE) ? 0n : wanted, d.legacyFeatures);
        return;
      }
      case L.QUEUE_ADDRESS: {
        if (q === undefined) return;
        if (value === 0) {
          this.#setStatus(0, false);
          return;
        }
        const t = q.state;
        t.desc = value * LEGACY_ALIGN;
        t.avail = t.desc + 16 * t.size;
        t.used = Math.ceil((t.avail + 6 + 2 * t.size) / LEGACY_ALIGN) * LEGACY_ALIGN;
        q.enable();
        return this.queuesChanged();
      }
      case L.QUEUE_SELECT:
        if (value < QUEUES_MAX) s.queueSelect = value;
        return;
      case L.QUEUE_NOTIFY:
        return d.notifyQueue(value);
      case L.STATUS:
        // Old drivers never enable bus mastering.
        if (value & Status.DRIVER_OK && !(this.command & PCI_COMMAND_MASTER)) {
          this.configWrite(PCI_COMMAND, 2, this.command | PCI_COMMAND_MASTER);
        }
        return this.#setStatus(value & 0xff, false);
      case L.CONFIG_VECTOR:
        d.configVector = this.#vector(value);
        return;
      case L.QUEUE_VECTOR:
        if (q !== undefined) q.state.vector = this.#vector(value);
        return;
    }
    log("guest_errors", `${this.type}: write of port ${offset}`);
  }

  // Device

  protected override onReset(): void {
    this.device.reset();
  }

  override save() {
    this.state.device = this.device.save();
    return super.save();
  }

  protected override onLoad(): void {
    if (this.state.device !== undefined) this.device.load(this.state.device);
  }
}
