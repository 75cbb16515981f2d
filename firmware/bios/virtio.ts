/**
 * A virtio device as its driver reaches it: VIRTIO specification 1.2, chapter 4. By PCI (4.1) with the
 * modern structures or the legacy ports, or by a window of registers in memory (4.2). Only queue 0 is
 * of interest here, and it is polled.
 */
import type { FrameContext } from "./frame.ts";
import { Pci, readConfig } from "./pci.ts";

export const VIRTIO_VENDOR = 0x1af4;

/** Device status bits (2.1). */
export const VirtioStatus = {
  ACKNOWLEDGE: 1,
  DRIVER: 2,
  DRIVER_OK: 4,
  FEATURES_OK: 8,
  NEEDS_RESET: 64,
} as const;

/** A split virtqueue (2.7): its entries, a power of two, and the addresses of its three parts. */
export interface Virtqueue {
  readonly size: number;
  readonly descriptors: number;
  readonly available: number;
  readonly used: number;
}

export interface VirtioPort {
  /** Features are 64 bits and settled by FEATURES_OK; otherwise there are 32 (2.2.3). */
  readonly modern: boolean;
  /** The size of the queue is the device's, and the used ring begins on a page of its own (2.7.2). */
  readonly fixedQueue: boolean;
  status(): number;
  setStatus(value: number): void;
  /** 32 bits of what the device offers; `word` 1 are features 32 to 63. */
  features(word: 0 | 1): number;
  acceptFeatures(word: 0 | 1, value: number): void;
  /** The most entries that queue 0 can have; 0 without such a queue. */
  queueMax(): number;
  /** Whether queue 0 is set up and, as far as can be told, `q`. */
  hasQueue(q: Virtqueue): boolean;
  setUpQueue(q: Virtqueue): void;
  /** Tells the device of new requests in queue 0. */
  notify(): void;
  /** Takes the device's interrupt back, if it has raised one in spite of being polled. */
  takeInterrupt(): void;
  /** A field of the device's own configuration. */
  config(offset: number, size: 1 | 2 | 4): number;
}

/** Offsets in the common configuration structure (4.1.4.3). */
const Common = {
  DEVICE_FEATURE_SELECT: 0x00,
  DEVICE_FEATURE: 0x04,
  DRIVER_FEATURE_SELECT: 0x08,
  DRIVER_FEATURE: 0x0c,
  DEVICE_STATUS: 0x14,
  QUEUE_SELECT: 0x16,
  QUEUE_SIZE: 0x18,
  QUEUE_ENABLE: 0x1c,
  QUEUE_NOTIFY_OFF: 0x1e,
  QUEUE_DESC: 0x20,
  QUEUE_DRIVER: 0x28,
  QUEUE_DEVICE: 0x30,
} as const;

/** Legacy ports (4.1.4.10). The configuration follows, as long as MSI-X is off. */
const Port = {
  DEVICE_FEATURES: 0,
  DRIVER_FEATURES: 4,
  QUEUE_ADDRESS: 8,
  QUEUE_SIZE: 12,
  QUEUE_SELECT: 14,
  QUEUE_NOTIFY: 16,
  DEVICE_STATUS: 18,
  ISR: 19,
  CONFIG: 20,
} as const;
const PAGE = 4096;

/** Registers of a window (4.2.2, 4.2.4). */
const Mmio = {
  MAGIC: 0x000,
  VERSION: 0x004,
  DEVICE_ID: 0x008,
  DEVICE_FEATURES: 0x010,
  DEVICE_FEATURES_SEL: 0x014,
  DRIVER_FEATURES: 0x020,
  DRIVER_FEATURES_SEL: 0x024,
  GUEST_PAGE_SIZE: 0x028,
  QUEUE_SEL: 0x030,
  QUEUE_NUM_MAX: 0x034,
  QUEUE_NUM: 0x038,
  QUEUE_ALIGN: 0x03c,
  QUEUE_PFN: 0x040,
  QUEUE_READY: 0x044,
  QUEUE_NOTIFY: 0x050,
  INTERRUPT_STATUS: 0x060,
  INTERRUPT_ACK: 0x064,
  STATUS: 0x070,
  QUEUE_DESC: 0x080,
  QUEUE_DRIVER: 0x090,
  QUEUE_DEVICE: 0x0a0,
  CONFIG: 0x100,
} as const;
const MAGIC = 0x74726976; // "virt"

/** Where the used ring of a window's legacy queue may begin. */
export const RING_ALIGN = 256;

const CAPABILITIES = 0x34, CAP_VENDOR = 0x09;
/** cfg_type of the capabilities that matter (4.1.4). */
const Cfg = { COMMON: 1, NOTIFY: 2, ISR: 3, DEVICE: 4 } as const;

/** A function's interface: the modern one where it has it, as SeaBIOS chooses. */
export function openPci(c: FrameContext, bdf: number): VirtioPort | undefined {
  const found = structures(c, bdf);
  const common = found.get(Cfg.COMMON), notify = found.get(Cfg.NOTIFY);
  const isr = found.get(Cfg.ISR), device = found.get(Cfg.DEVICE);
  if (common && notify && isr && device) {
    const at = [common, notify, isr, device].map((s) => s.address);
    return modernPort(c, at[0], at[1], notify.multiplier, at[2], at[3]);
  }
  const bar = readConfig(c, bdf, Pci.BAR0, 4);
  return bar & 1 && bar & 0xfffc ? legacyPort(c, bar & 0xfffc) : undefined;
}

/** The first structure of each type that lies in memory. */
function structures(c: FrameContext, bdf: number) {
  const found = new Map<number, { address: number; multiplier: number }>();
  let at = readConfig(c, bdf, CAPABILITIES, 1) & 0xfc;
  for (let n = 0; at !== 0 && n < 48; n++, at = readConfig(c, bdf, at + 1, 1) & 0xfc) {
    if (readConfig(c, bdf, at, 1) !== CAP_VENDOR) continue;
    const type = readConfig(c, bdf, at + 3, 1), bar = readConfig(c, bdf, at + 4, 1);
    const base = bar < 6 ? memoryBar(c, bdf, bar) : 0;
    if (base === 0 || found.has(type)) continue;
    const address = base + readConfig(c, bdf, at + 8, 4);
    const multiplier = type === Cfg.NOTIFY ? readConfig(c, bdf, at + 16, 4) : 0;
    found.set(type, { address, multiplier });
  }
  return found;
}

/** Address of a BAR in memory, 0 if it is not. */
function memoryBar(c: FrameContext, bdf: number, bar: number): number {
  const low = readConfig(c, bdf, Pci.BAR0 + 4 * bar, 4);
  if (low & 1) return 0;
  const high = (low & 6) === 4 && bar < 5 ? readConfig(c, bdf, Pci.BAR0 + 4 * bar + 4, 4) : 0;
  return high * 2 ** 32 + ((low & 0xfffffff0) >>> 0);
}

function modernPort(
  c: FrameContext,
  common: number,
  notify: number,
  multiplier: number,
  isr: number,
  device: number,
): VirtioPort {
  const { mem } = c.machine;
  const write64 = (at: number, value: number) => {
    mem.write(at, 4, value % 2 ** 32);
    mem.write(at + 4, 4, Math.floor(value / 2 ** 32));
  };
  const queue = (at: number, size: 2 | 4) => {
    mem.write(common + Common.QUEUE_SELECT, 2, 0);
    return mem.read(common + at, size);
  };
  return {
    modern: true,
    fixedQueue: false,
    status: () => mem.read(common + Common.DEVICE_STATUS, 1),
    setStatus: (value) => mem.write(common + Common.DEVICE_STATUS, 1, value),
    features(word) {
      mem.write(common + Common.DEVICE_FEATURE_SELECT, 4, word);
      return mem.read(common + Common.DEVICE_FEATURE, 4);
    },
    acceptFeatures(word, value) {
      mem.write(common + Common.DRIVER_FEATURE_SELECT, 4, word);
      mem.write(common + Common.DRIVER_FEATURE, 4, value);
    },
    queueMax: () => queue(Common.QUEUE_SIZE, 2),
    hasQueue: (q) =>
      queue(Common.QUEUE_ENABLE, 2) === 1 && queue(Common.QUEUE_DESC, 4) === q.descriptors,
    setUpQueue(q) {
      mem.write(common + Common.QUEUE_SELECT, 2, 0);
      mem.write(common + Common.QUEUE_SIZE, 2, q.size);
      write64(common + Common.QUEUE_DESC, q.descriptors);
      write64(common + Common.QUEUE_DRIVER, q.available);
      write64(common + Common.QUEUE_DEVICE, q.used);
      mem.write(common + Common.QUEUE_ENABLE, 2, 1);
    },
    notify: () => mem.write(notify + multiplier * queue(Common.QUEUE_NOTIFY_OFF, 2), 2, 0),
    takeInterrupt: () => void mem.read(isr, 1),
    config: (offset, size) => mem.read(device + offset, size),
  };
}

function legacyPort(c: FrameContext, base: number): VirtioPort {
  const queue = (at: number) => {
    c.outw(base + Port.QUEUE_SELECT, 0);
    return at;
  };
  return {
    modern: false,
    fixedQueue: true,
    status: () => c.inb(base + Port.DEVICE_STATUS),
    setStatus: (value) => c.outb(base + Port.DEVICE_STATUS, value),
    features: (word) => word === 0 ? c.inl(base + Port.DEVICE_FEATURES) : 0,
    acceptFeatures(word, value) {
      if (word === 0) c.outl(base + Port.DRIVER_FEATURES, value);
    },
    queueMax: () => c.inw(queue(base + Port.QUEUE_SIZE)),
    hasQueue: (q) => c.inl(queue(base + Port.QUEUE_ADDRESS)) === q.descriptors / PAGE,
    setUpQueue: (q) => c.outl(queue(base + Port.QUEUE_ADDRESS), q.descriptors / PAGE),
    notify: () => c.outw(base + Port.QUEUE_NOTIFY, 0),
    takeInterrupt: () => void c.inb(base + Port.ISR),
    config(offset, size) {
      const at = base + Port.CONFIG + offset;
      return size === 1 ? c.inb(at) : size === 2 ? c.inw(at) : c.inl(at);
    },
  };
}

/** The device in a window at `base`: its type, and how to reach it. Undefined for no window. */
export function openWindow(
  c: FrameContext,
  base: number,
): { readonly deviceId: number; readonly port: VirtioPort } | undefined {
  const { mem } = c.machine;
  if (mem.read(base + Mmio.MAGIC, 4) !== MAGIC) return undefined;
  const version = mem.read(base + Mmio.VERSION, 4);
  if (version !== 1 && version !== 2) return undefined;
  const modern = version === 2;
  const read = (at: number) => mem.read(base + at, 4);
  const write = (at: number, value: number) => mem.write(base + at, 4, value);
  const write64 = (at: number, value: number) => {
    write(at, value % 2 ** 32);
    write(at + 4, Math.floor(value / 2 ** 32));
  };
  const queue = (at: number) => {
    write(Mmio.QUEUE_SEL, 0);
    return at;
  };
  const port: VirtioPort = {
    modern,
    fixedQueue: false,
    status: () => read(Mmio.STATUS),
    setStatus: (value) => write(Mmio.STATUS, value),
    features(word) {
      write(Mmio.DEVICE_FEATURES_SEL, word);
      return read(Mmio.DEVICE_FEATURES);
    },
    acceptFeatures(word, value) {
      write(Mmio.DRIVER_FEATURES_SEL, word);
      write(Mmio.DRIVER_FEATURES, value);
    },
    queueMax: () => read(queue(Mmio.QUEUE_NUM_MAX)),
    // A modern window does not tell its addresses.
    hasQueue: (q) =>
      modern
        ? read(queue(Mmio.QUEUE_READY)) === 1
        : read(queue(Mmio.QUEUE_PFN)) === q.descriptors / PAGE,
    setUpQueue(q) {
      write(queue(Mmio.QUEUE_NUM), q.size);
      if (modern) {
        write64(Mmio.QUEUE_DESC, q.descriptors);
        write64(Mmio.QUEUE_DRIVER, q.available);
        write64(Mmio.QUEUE_DEVICE, q.used);
        return write(Mmio.QUEUE_READY, 1);
      }
      write(Mmio.GUEST_PAGE_SIZE, PAGE);
      write(Mmio.QUEUE_ALIGN, RING_ALIGN);
      write(Mmio.QUEUE_PFN, q.descriptors / PAGE);
    },
    notify: () => write(Mmio.QUEUE_NOTIFY, 0),
    takeInterrupt() {
      const pending = read(Mmio.INTERRUPT_STATUS);
      if (pending) write(Mmio.INTERRUPT_ACK, pending);
    },
    config: (offset, size) => mem.read(base + Mmio.CONFIG + offset, size),
  };
  return { deviceId: read(Mmio.DEVICE_ID), port };
}
