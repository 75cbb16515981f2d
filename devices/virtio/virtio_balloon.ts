/**
 * Virtio memory balloon: VIRTIO specification 1.2, 5.5. The guest gives pages away by number; the
 * machine's memory is one piece that never shrinks, so that a given page merely keeps its contents.
 */
import type { Clock } from "../../core/clock.ts";
import { type CommonFeatures, VirtioDevice } from "./virtio_device.ts";
import { bit, DeviceId } from "./virtio_regs.ts";
import type { Chain, Virtqueue } from "./virtqueue.ts";

const F = { STATS_VQ: 1, DEFLATE_ON_OOM: 2, PAGE_POISON: 4 } as const;
const C = { NUM_PAGES: 0, ACTUAL: 4, FREE_PAGE_HINT_CMD_ID: 8, POISON_VAL: 12, SIZE: 16 } as const;
const QUEUE_SIZE = 128, PAGE = 4096;
/** A statistic: tag (2 bytes), value (8 bytes). */
const STAT = 10, STATS_MAX = 64;

export interface VirtioBalloonOptions {
  readonly clock: Clock;
  /** Bytes of guest memory. */
  readonly ramSize: number;
  readonly deflateOnOom?: boolean;
  readonly pagePoison?: boolean;
  /** Told when the guest has changed how much memory it has, in bytes. */
  readonly onChange?: (actual: number) => void;
  readonly common?: CommonFeatures;
}

export interface VirtioBalloonState {
  /** Pages of 4 KiB that the guest is to give away, and that it says it has given. */
  numPages: number;
  actual: number;
  poison: number;
  /** Statistics by tag, as the guest has last sent them. */
  stats: Map<number, bigint>;
}

export class VirtioBalloon extends VirtioDevice<VirtioBalloonState> {
  override readonly type = "virtio-balloon-device";
  override readonly shortName = "virtio-balloon";
  override readonly deviceId = DeviceId.balloon;
  readonly #o: VirtioBalloonOptions;

  constructor(options: VirtioBalloonOptions) {
    super(
      options.clock,
      () => ({ numPages: 0, actual: 0, poison: 0, stats: new Map<number, bigint>() }),
      C.SIZE,
      options.common,
    );
    this.#o = options;
    this.addQueue(QUEUE_SIZE, (q) => this.#pages(q));
    this.addQueue(QUEUE_SIZE, (q) => this.#pages(q));
    this.addQueue(QUEUE_SIZE, (q) => this.#statistics(q));
  }

  protected override deviceFeatures(): bigint {
    return bit(F.STATS_VQ) | (this.#o.deflateOnOom ? bit(F.DEFLATE_ON_OOM) : 0n) |
      (this.#o.pagePoison ?? true ? bit(F.PAGE_POISON) : 0n);
  }

  /** Bytes that the guest has, as far as it has said. */
  get actual(): number {
    return this.#o.ramSize - Math.min(this.state.actual * PAGE, this.#o.ramSize);
  }

  /** Asks the guest to keep `bytes`: HMP `balloon`. */
  setTarget(bytes: number): void {
    const target = Math.min(bytes, this.#o.ramSize);
    this.state.numPages = Math.floor((this.#o.ramSize - target) / PAGE);
    this.configChanged();
  }

  /** Inflated or deflated pages: their numbers say nothing that this machine could use. */
  #pages(q: Virtqueue): void {
    let any = false;
    q.drain((c) => {
      q.push(c, 0);
      any = true;
    });
    if (any) q.signal();
  }

  /** The guest sends its statistics; the buffer goes back when new ones are wanted. */
  #statistics(q: Virtqueue): void {
    for (let c = q.pop(); c !== undefined; c = q.pop()) {
      const held = q.state.inFlight.length > 1;
      this.#take(c);
      // One buffer is to stay here; a driver that sends another gets it back.
      if (!held) continue;
      q.push(c, 0);
      q.signal();
    }
  }

  #take(c: Chain): void {
    const count = Math.min(STATS_MAX, Math.floor(c.outLength / STAT));
    const bytes = new Uint8Array(count * STAT), v = new DataView(bytes.buffer);
    c.read(0, bytes);
    for (let n = 0; n < count; n++) {
      this.state.stats.set(v.getUint16(STAT * n, true), v.getBigUint64(STAT * n + 2, true));
    }
  }

  protected override updateConfig(): void {
    const v = this.configView, s = this.state;
    v.setUint32(C.NUM_PAGES, s.numPages, true);
    v.setUint32(C.ACTUAL, s.actual, true);
    v.setUint32(C.POISON_VAL, s.poison, true);
  }

  protected override onConfigWrite(offset: number): void {
    const v = this.configView, s = this.state;
    if (offset >= C.ACTUAL && offset < C.ACTUAL + 4) {
      s.actual = v.getUint32(C.ACTUAL, true);
      this.#o.onChange?.(this.actual);
    }
    if (offset >= C.POISON_VAL) s.poison = v.getUint32(C.POISON_VAL, true);
  }
}
