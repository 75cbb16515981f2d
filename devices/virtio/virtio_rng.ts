/** Virtio entropy device: VIRTIO specification 1.2, 5.4. */
import type { Clock, Timer } from "../../core/clock.ts";
import { type CommonFeatures, VirtioDevice } from "./virtio_device.ts";
import { DeviceId } from "./virtio_regs.ts";
import type { Virtqueue } from "./virtqueue.ts";

const QUEUE_SIZE = 8;
/** Bytes given for one request at most: a driver may be given fewer than it has asked for. */
const MOST = 65536;

/** Where the numbers come from: `rng-random`, `rng-builtin`. */
export interface RngBackend {
  fill(bytes: Uint8Array): void;
}

export interface VirtioRngOptions {
  readonly clock: Clock;
  readonly rng: RngBackend;
  /** At most so many bytes in each period. */
  readonly maxBytes?: number;
  /** Milliseconds, at least 1. */
  readonly period?: number;
  readonly common?: CommonFeatures;
}

export interface VirtioRngState {
  /** Bytes left in this period. */
  quota: number;
  /** When the next one begins, ns; undefined while nobody waits. */
  nextPeriod: number | undefined;
}

export class VirtioRng extends VirtioDevice<VirtioRngState> {
  override readonly type = "virtio-rng-device";
  override readonly shortName = "virtio-rng";
  override readonly deviceId = DeviceId.rng;
  readonly #rng: RngBackend;
  readonly #maxBytes: number;
  readonly #period: number;
  readonly #buffer = new Uint8Array(4096);
  readonly #timer: Timer;

  constructor(options: VirtioRngOptions) {
    const maxBytes = options.maxBytes ?? Number.MAX_SAFE_INTEGER;
    super(options.clock, () => ({ quota: maxBytes, nextPeriod: undefined }), 0, options.common);
    this.#rng = options.rng;
    this.#maxBytes = maxBytes;
    this.#period = (options.period ?? 65536) * 1e6;
    this.#timer = options.clock.timer(() => {
      this.state.quota = this.#maxBytes;
      this.state.nextPeriod = undefined;
      this.#serve(this.queues[0]);
    });
    this.addQueue(QUEUE_SIZE, (q) => this.#serve(q));
  }

  protected override deviceFeatures(): bigint {
    return 0n;
  }

  #serve(q: Virtqueue): void {
    if (!this.driverOk) return;
    const s = this.state;
    if (s.quota <= 0) {
      if (s.nextPeriod === undefined && !q.empty) this.#startPeriod();
      return;
    }
    let served = false;
    q.drain((c) => {
      if (s.quota <= 0) {
        q.unpop(c);
        return false;
      }
      const wanted = Math.min(c.inLength, MOST, s.quota);
      let done = 0;
      while (done < wanted) {
        const part = this.#buffer.subarray(0, Math.min(this.#buffer.length, wanted - done));
        this.#rng.fill(part);
        done += c.write(done, part);
      }
      if (this.#maxBytes !== Number.MAX_SAFE_INTEGER) s.quota -= wanted;
      q.push(c, wanted);
      served = true;
    });
    if (served) q.signal();
    if (this.#maxBytes !== Number.MAX_SAFE_INTEGER && s.nextPeriod === undefined) {
      this.#startPeriod();
    }
  }

  #startPeriod(): void {
    this.state.nextPeriod = this.clock.now() + this.#period;
    this.#timer.arm(this.state.nextPeriod);
  }

  protected override onDriverOk(): void {
    this.#serve(this.queues[0]);
  }

  protected override onReset(): void {
    this.#timer.cancel();
  }

  protected override onLoad(): void {
    this.#timer.cancel();
    if (this.state.nextPeriod !== undefined) this.#timer.arm(this.state.nextPeriod);
  }
}
