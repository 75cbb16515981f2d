/**
 * Virtio over MMIO: a window of 512 bytes with the registers of VIRTIO specification 1.2, 4.2.2
 * (version 2), or of its legacy interface, 4.2.4 (version 1).
 */
import type { Device, DeviceState, IrqLine } from "../../core/device.ts";
import { log } from "../../core/log.ts";
import type { AddressSpace } from "../../core/memory/address_space.ts";
import { type AccessSize, ioRegion } from "../../core/memory/region.ts";
import type { NotifyRange, NotifySource } from "./notify.ts";
import type { VirtioDevice, VirtioTransport } from "./virtio_device.ts";
import { Status } from "./virtio_regs.ts";

export const VIRTIO_MMIO_SIZE = 0x200;
const MAGIC = 0x74726976, VENDOR = 0x554d4551; // "virt", "QEMU"

/** Register offsets. */
const R = {
  MAGIC: 0x00,
  VERSION: 0x04,
  DEVICE_ID: 0x08,
  VENDOR_ID: 0x0c,
  DEVICE_FEATURES: 0x10,
  DEVICE_FEATURES_SEL: 0x14,
  DRIVER_FEATURES: 0x20,
  DRIVER_FEATURES_SEL: 0x24,
  GUEST_PAGE_SIZE: 0x28,
  QUEUE_SEL: 0x30,
  QUEUE_NUM_MAX: 0x34,
  QUEUE_NUM: 0x38,
  QUEUE_ALIGN: 0x3c,
  QUEUE_PFN: 0x40,
  QUEUE_READY: 0x44,
  QUEUE_NOTIFY: 0x50,
  INTERRUPT_STATUS: 0x60,
  INTERRUPT_ACK: 0x64,
  STATUS: 0x70,
  QUEUE_DESC_LOW: 0x80,
  QUEUE_DESC_HIGH: 0x84,
  QUEUE_DRIVER_LOW: 0x90,
  QUEUE_DRIVER_HIGH: 0x94,
  QUEUE_DEVICE_LOW: 0xa0,
  QUEUE_DEVICE_HIGH: 0xa4,
  SHM_LEN_LOW: 0xb0,
  SHM_BASE_HIGH: 0xbc,
  QUEUE_RESET: 0xc0,
  CONFIG_GENERATION: 0xfc,
  CONFIG: 0x100,
} as const;

interface MmioState {
  deviceFeaturesSel: number;
  driverFeaturesSel: number;
  /** Written halves of the accepted features. */
  driverFeatures: [number, number];
  queueSel: number;
  /** Legacy: bytes of a page in QueuePFN. */
  pageSize: number;
  /** Legacy: alignment of each queue's device area. */
  align: number[];
}

const initial = (): MmioState => ({
  deviceFeaturesSel: 0,
  driverFeaturesSel: 0,
  driverFeatures: [0, 0],
  queueSel: 0,
  pageSize: 4096,
  align: [],
});

export class VirtioMmio implements Device, VirtioTransport, NotifySource {
  readonly type = "virtio-mmio";
  device: VirtioDevice | undefined;
  onNotifyRanges: () => void = () => {};
  readonly region = ioRegion("virtio-mmio", VIRTIO_MMIO_SIZE, {
    read: (offset, size) => this.#read(offset, size),
    write: (offset, size, value) => this.#write(offset, size, value),
  });
  #state = initial();

  /**
   * @param legacy version 1, QEMU's `force-legacy`
   * @param address where the window is, for {@link notifyRanges}
   */
  constructor(
    private readonly mem: AddressSpace,
    private readonly irq: IrqLine,
    readonly legacy: boolean,
    readonly address: number,
  ) {}

  /** Puts a device into the window. */
  plug(device: VirtioDevice): void {
    this.device = device;
    device.transport = this;
    device.legacyOnly = this.legacy;
  }

  memory(): AddressSpace {
    return this.mem;
  }

  interrupt(): void {
    this.irq.set((this.device?.isr ?? 0) !== 0);
  }

  queuesChanged(): void {
    this.onNotifyRanges();
  }

  notifyRanges(): NotifyRange[] {
    return (this.device?.queues ?? []).filter((q) => q.state.ready).map((q) => ({
      space: "mem",
      address: this.address + R.QUEUE_NOTIFY,
      size: 4,
      datamatch: q.index,
      notify: () => q.notify(),
    }));
  }

  #read(offset: number, size: AccessSize): number {
    const d = this.device, s = this.#state;
    if (d === undefined) {
      // An empty window: a device of type 0.
      return offset === R.MAGIC
        ? MAGIC
        : offset === R.VERSION
        ? this.#version
        : offset === R.VENDOR_ID
        ? VENDOR
        : 0;
    }
    if (offset >= R.CONFIG) return d.readConfig(offset - R.CONFIG, size);
    if (size !== 4) return this.#bad(`read of ${size} bytes at ${offset}`);
    const q = d.queues[s.queueSel];
    switch (offset) {
      case R.MAGIC:
        return MAGIC;
      case R.VERSION:
        return this.#version;
      case R.DEVICE_ID:
        return d.deviceId;
      case R.VENDOR_ID:
        return VENDOR;
      case R.DEVICE_FEATURES: {
        const sel = s.deviceFeaturesSel;
        if (this.legacy) return sel === 0 ? Number(d.legacyFeatures & 0xffffffffn) : 0;
        return sel > 1 ? 0 : Number((d.modernFeatures >> BigInt(32 * sel)) & 0xffffffffn);
      }
      case R.QUEUE_NUM_MAX:
        return q?.maxSize ?? 0;
      case R.QUEUE_PFN:
        return this.legacy && q ? Math.floor(q.state.desc / s.pageSize) : 0;
      case R.QUEUE_READY:
        return !this.legacy && q?.state.ready ? 1 : 0;
      case R.INTERRUPT_STATUS:
        return d.isr;
      case R.STATUS:
        return d.status;
      case R.CONFIG_GENERATION:
        return this.legacy ? 0 : d.generation;
      case R.QUEUE_RESET:
        return 0;
    }
    // No shared memory regions: a length of all ones.
    if (offset >= R.SHM_LEN_LOW && offset <= R.SHM_BASE_HIGH) return 0xffffffff;
    return this.#bad(`read at ${offset}`);
  }

  get #version(): number {
    return this.legacy ? 1 : 2;
  }

  #write(offset: number, size: AccessSize, value: number): void {
    const d = this.device, s = this.#state;
    if (d === undefined) return;
    if (offset >= R.CONFIG) return d.writeConfig(offset - R.CONFIG, size, value);
    if (size !== 4) return void this.#bad(`write of ${size} bytes at ${offset}`);
    const q = d.queues[s.queueSel];
    switch (offset) {
      case R.DEVICE_FEATURES_SEL:
        s.deviceFeaturesSel = value;
        return;
      case R.DRIVER_FEATURES_SEL:
        s.driverFeaturesSel = value;
        return;
      case R.DRIVER_FEATURES:
        return this.#setFeatures(d, value);
      case R.QUEUE_SEL:
        if (value < d.queues.length || !this.legacy) s.queueSel = value;
        return;
      case R.QUEUE_NOTIFY:
        return d.notifyQueue(value);
      case R.INTERRUPT_ACK:
        d.isr &= ~value;
        return this.interrupt();
      case R.STATUS:
        d.setStatus(value & 0xff, !this.legacy);
        if ((value & 0xff) === 0) this.#state = initial();
        return;
      case R.QUEUE_NUM:
        // A power of two, no more than there is room for.
        if (q && value > 0 && value <= q.maxSize && (value & (value - 1)) === 0) {
          q.state.size = value;
          if (this.legacy && q.state.desc !== 0) this.#layOut(s.queueSel);
        }
        return;
    }
    if (this.legacy) this.#writeLegacy(offset, value);
    else this.#writeModern(offset, value);
  }

  #setFeatures(d: VirtioDevice, value: number): void {
    const s = this.#state, sel = s.driverFeaturesSel;
    if (sel > 1 || (this.legacy && sel !== 0)) return;
    s.driverFeatures[sel] = value;
    const all = BigInt(s.driverFeatures[0]) | BigInt(s.driverFeatures[1]) << 32n;
    d.setFeatures(all, this.legacy ? d.legacyFeatures : d.modernFeatures);
  }

  #writeLegacy(offset: number, value: number): void {
    const s = this.#state, d = this.device!, q = d.queues[s.queueSel];
    switch (offset) {
      case R.GUEST_PAGE_SIZE:
        if (value > 0 && (value & (value - 1)) === 0) s.pageSize = value;
        return;
      case R.QUEUE_ALIGN:
        if (value > 0 && (value & (value - 1)) === 0) s.align[s.queueSel] = value;
        return;
      case R.QUEUE_PFN:
        if (!q) return;
        if (value === 0) {
          // The driver takes everything back.
          d.reset();
          return;
        }
        q.state.desc = value * s.pageSize;
        return this.#layOut(s.queueSel);
    }
    this.#bad(`write at ${offset}`);
  }

  /** The legacy layout: 2.7.2. */
  #layOut(index: number): void {
    const q = this.device!.queues[index], t = q.state;
    const align = this.#state.align[index] ?? 4096;
    t.avail = t.desc + 16 * t.size;
    t.used = Math.ceil((t.avail + 6 + 2 * t.size) / align) * align;
    q.enable();
    this.queuesChanged();
  }

  #writeModern(offset: number, value: number): void {
    const s = this.#state, q = this.device!.queues[s.queueSel];
    switch (offset) {
      case R.QUEUE_READY:
        if (!q) return;
        if (value & 1) q.enable();
        else q.state.ready = false;
        return this.queuesChanged();
      case R.QUEUE_RESET:
        if (q && value & 1) q.reset();
        return this.queuesChanged();
    }
    if (!q || q.state.ready) return;
    const t = q.state;
    switch (offset) {
      case R.QUEUE_DESC_LOW:
      case R.QUEUE_DESC_HIGH:
        t.desc = half(t.desc, offset === R.QUEUE_DESC_HIGH, value);
        return;
      case R.QUEUE_DRIVER_LOW:
      case R.QUEUE_DRIVER_HIGH:
        t.avail = half(t.avail, offset === R.QUEUE_DRIVER_HIGH, value);
        return;
      case R.QUEUE_DEVICE_LOW:
      case R.QUEUE_DEVICE_HIGH:
        t.used = half(t.used, offset === R.QUEUE_DEVICE_HIGH, value);
        return;
    }
    this.#bad(`write at ${offset}`);
  }

  #bad(what: string): number {
    log("guest_errors", `virtio-mmio: ${what}`);
    return 0;
  }

  /** Whether the driver has got as far as using the device. */
  get inUse(): boolean {
    return ((this.device?.status ?? 0) & Status.DRIVER_OK) !== 0;
  }

  reset(): void {
    this.#state = initial();
    this.device?.reset();
    this.irq.set(false);
  }

  save(): { mmio: MmioState; device: DeviceState } {
    return { mmio: structuredClone(this.#state), device: this.device?.save() };
  }

  load(state: DeviceState): void {
    const s = state as { mmio: MmioState; device: DeviceState };
    this.#state = structuredClone(s.mmio);
    if (this.device && s.device !== undefined) this.device.load(s.device);
    this.interrupt();
  }
}

/** A 64-bit address with one half replaced. */
export function half(address: number, high: boolean, value: number): number {
  return high
    ? address % 2 ** 32 + value * 2 ** 32
    : Math.floor(address / 2 ** 32) * 2 ** 32 + value;
}
