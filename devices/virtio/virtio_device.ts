/**
 * What all virtio devices share, whatever carries them: features, status, queues, configuration
 * space. VIRTIO specification 1.2, chapters 2 and 3.
 */
import type { Clock, Timer } from "../../core/clock.ts";
import type { Device, DeviceState } from "../../core/device.ts";
import { log } from "../../core/log.ts";
import type { AddressSpace } from "../../core/memory/address_space.ts";
import type { AccessSize } from "../../core/memory/region.ts";
import { type QueueHost, type QueueState, Virtqueue } from "./virtqueue.ts";
import { bit, Feature, Isr, LEGACY_FEATURES, NO_VECTOR, Status } from "./virtio_regs.ts";

/** What carries a device: a PCI function or a window of registers. */
export interface VirtioTransport {
  /** Guest memory as the device reaches it now. */
  memory(): AddressSpace | undefined;
  /** Interrupt status has changed; `vector` is that of a new cause, or undefined. */
  interrupt(vector: number | undefined): void;
  /** Queue layouts, readiness or their number have changed. */
  queuesChanged(): void;
}

/** Features that a user can switch off. */
export interface CommonFeatures {
  readonly indirectDesc: boolean;
  readonly eventIdx: boolean;
  readonly notifyOnEmpty: boolean;
  readonly anyLayout: boolean;
  readonly queueReset: boolean;
}

export const ALL_COMMON: CommonFeatures = {
  indirectDesc: true,
  eventIdx: true,
  notifyOnEmpty: true,
  anyLayout: true,
  queueReset: true,
};

export interface VirtioState<S> {
  status: number;
  /** Accepted by the driver. */
  features: bigint;
  isr: number;
  configVector: number;
  generation: number;
  queues: QueueState[];
  device: S;
}

const NOWHERE: VirtioTransport = {
  memory: () => undefined,
  interrupt: () => {},
  queuesChanged: () => {},
};

export abstract class VirtioDevice<S extends object = object> implements Device, QueueHost {
  /** Such as `virtio-blk-device`. */
  abstract readonly type: string;
  /** Such as `virtio-blk`: in names of memory regions and in `info virtio`. */
  abstract readonly shortName: string;
  abstract readonly deviceId: number;
  readonly queues: Virtqueue[] = [];
  /** The device's own state. */
  state: S;
  status = 0;
  features = 0n;
  isr = 0;
  configVector = NO_VECTOR;
  generation = 0;
  eventIdx = false;
  notifyOnEmpty = false;
  broken = false;
  transport: VirtioTransport = NOWHERE;
  /** The transport has only the legacy interface: set when it takes the device. */
  legacyOnly = false;
  #later: Timer | undefined;
  readonly #waiting = new Set<() => void>();

  /** @param configSize bytes of the configuration space */
  constructor(
    protected readonly clock: Clock,
    protected readonly initial: () => S,
    readonly configSize: number,
    private readonly common: CommonFeatures = ALL_COMMON,
  ) {
    this.state = initial();
    this.config = new Uint8Array(configSize);
    this.configView = new DataView(this.config.buffer);
  }

  /** The configuration space as the driver reads it; {@link updateConfig} fills it in. */
  protected readonly config: Uint8Array<ArrayBuffer>;
  protected readonly configView: DataView<ArrayBuffer>;

  /** Adds the next queue. */
  protected addQueue(maxSize: number, handle: (q: Virtqueue) => void): Virtqueue {
    const q = new Virtqueue(this, this.queues.length, maxSize, handle);
    this.queues.push(q);
    return q;
  }

  /** Features of this kind of device, without those of every device. */
  protected abstract deviceFeatures(): bigint;

  /** All that is offered to a driver of the legacy interface. */
  get legacyFeatures(): bigint {
    const f = this.common;
    let v = this.deviceFeatures();
    if (f.notifyOnEmpty) v |= bit(Feature.NOTIFY_ON_EMPTY);
    if (f.anyLayout) v |= bit(Feature.ANY_LAYOUT);
    if (f.indirectDesc) v |= bit(Feature.INDIRECT_DESC);
    if (f.eventIdx) v |= bit(Feature.EVENT_IDX);
    return v;
  }

  /** All that is offered to others. */
  get modernFeatures(): bigint {
    return (this.legacyFeatures & ~LEGACY_FEATURES) | bit(Feature.VERSION_1) |
      (this.common.queueReset ? bit(Feature.RING_RESET) : 0n);
  }

  hasFeature(n: number): boolean {
    return (this.features & bit(n)) !== 0n;
  }

  /** The driver accepts features; those that were not offered are left out. */
  setFeatures(wanted: bigint, offered: bigint): void {
    if (this.status & Status.FEATURES_OK) return;
    this.features = wanted & offered;
    this.#cacheFeatures();
  }

  #cacheFeatures(): void {
    this.eventIdx = this.hasFeature(Feature.EVENT_IDX);
    this.notifyOnEmpty = this.hasFeature(Feature.NOTIFY_ON_EMPTY);
  }

  // Status

  /** A write of the status register; 0 resets. @param modern the driver negotiates by FEATURES_OK */
  setStatus(value: number, modern: boolean): void {
    if (value === 0) return this.reset();
    // Without VERSION_1 the driver has not understood this interface.
    if (modern && !this.hasFeature(Feature.VERSION_1)) value &= ~Status.FEATURES_OK;
    const old = this.status;
    this.status = (value & 0xff) | (old & Status.NEEDS_RESET);
    if ((this.status & ~old & Status.DRIVER_OK) !== 0) this.onDriverOk();
  }

  fault(reason: string): void {
    if (this.broken) return;
    log("guest_errors", `${this.type}: ${reason}`);
    this.broken = true;
    this.status |= Status.NEEDS_RESET;
    if (this.hasFeature(Feature.VERSION_1)) this.configChanged();
  }

  protected get driverOk(): boolean {
    return (this.status & Status.DRIVER_OK) !== 0 && !this.broken;
  }

  /** The driver is ready. */
  protected onDriverOk(): void {}

  // Queues and interrupts

  memory(): AddressSpace | undefined {
    return this.transport.memory();
  }

  interruptQueue(vector: number): void {
    this.isr |= Isr.QUEUE;
    this.transport.interrupt(vector);
  }

  /** The configuration has changed by itself: tells a driver that is there. */
  configChanged(): void {
    this.generation = (this.generation + 1) & 0xff;
    if (!(this.status & Status.DRIVER_OK)) return;
    this.isr |= Isr.QUEUE | Isr.CONFIG;
    this.transport.interrupt(this.configVector);
  }

  /** The driver has written a queue's notification register. */
  notifyQueue(index: number): void {
    this.queues[index]?.notify();
  }

  later(f: () => void): void {
    this.#waiting.add(f);
    this.#later ??= this.clock.timer(() => {
      const list = [...this.#waiting];
      this.#waiting.clear();
      for (const g of list) g();
    });
    // Not now: whoever runs timers would run it before anything else.
    this.#later.arm(this.clock.now() + 1000);
  }

  // Configuration space

  /** Fills {@link config}. */
  protected updateConfig(): void {}

  /** The driver has written `size` bytes of {@link config} at `offset`. */
  protected onConfigWrite(_offset: number, _size: number): void {}

  /** Beyond its end configuration space reads as ones. */
  readConfig(offset: number, size: AccessSize): number {
    if (offset + size > this.configSize) return size === 4 ? 0xffffffff : 2 ** (8 * size) - 1;
    this.updateConfig();
    const v = this.configView;
    return size === 1
      ? v.getUint8(offset)
      : size === 2
      ? v.getUint16(offset, true)
      : v.getUint32(offset, true);
  }

  writeConfig(offset: number, size: AccessSize, value: number): void {
    if (offset + size > this.configSize) return;
    this.updateConfig();
    for (let i = 0; i < size; i++) this.config[offset + i] = value >>> (8 * i);
    this.onConfigWrite(offset, size);
  }

  // Device

  reset(): void {
    this.status = 0;
    this.features = 0n;
    this.isr = 0;
    this.configVector = NO_VECTOR;
    this.broken = false;
    this.#cacheFeatures();
    this.#later?.cancel();
    this.#waiting.clear();
    for (const q of this.queues) q.reset();
    this.state = this.initial();
    this.onReset();
    this.transport.queuesChanged();
    this.transport.interrupt(undefined);
  }

  protected onReset(): void {}

  /** The device is taken away: back ends are free again. It has been reset. */
  release(): void {}

  save(): VirtioState<S> {
    const { status, features, isr, configVector, generation } = this;
    return structuredClone({
      status,
      features,
      isr,
      configVector,
      generation,
      queues: this.queues.map((q) => q.state),
      device: this.state,
    });
  }

  load(state: DeviceState): void {
    const s = structuredClone(state) as VirtioState<S>;
    this.status = s.status;
    this.features = s.features;
    this.isr = s.isr;
    this.configVector = s.configVector;
    this.generation = s.generation;
    this.broken = (s.status & Status.NEEDS_RESET) !== 0;
    this.#cacheFeatures();
    this.#later?.cancel();
    this.#waiting.clear();
    this.queues.forEach((q, n) => q.state = s.queues[n]);
    this.state = s.device;
    this.transport.queuesChanged();
    this.onLoad();
    // What was put off when the state was saved.
    for (const q of this.queues) if (q.state.ready) this.later(() => q.notify());
  }

  /** Takes up again what was going on: chains that the state has in flight, timers. */
  protected onLoad(): void {}
}
