/** Virtio block device: VIRTIO specification 1.2, 5.2. */
import type { Clock } from "../../core/clock.ts";
import type { Drive } from "../../core/block/block.ts";
import { driveIo } from "../../core/block/io.ts";
import type { Geometry } from "../storage/geometry.ts";
import { type CommonFeatures, VirtioDevice } from "./virtio_device.ts";
import { bit, DeviceId, Feature } from "./virtio_regs.ts";
import type { Chain, Virtqueue } from "./virtqueue.ts";

const F = {
  SEG_MAX: 2,
  GEOMETRY: 4,
  RO: 5,
  BLK_SIZE: 6,
  SCSI: 7,
  FLUSH: 9,
  TOPOLOGY: 10,
  CONFIG_WCE: 11,
  MQ: 12,
  DISCARD: 13,
  WRITE_ZEROES: 14,
} as const;

/** Request types. */
const T = { IN: 0, OUT: 1, FLUSH: 4, GET_ID: 8, DISCARD: 11, WRITE_ZEROES: 13 } as const;
/** Of a legacy driver: everything before is to be finished first. Requests are in order anyway. */
const BARRIER = 0x80000000;
const S_OK = 0, S_IOERR = 1, S_UNSUPP = 2;
const SECTOR = 512, HEADER = 16, ID_BYTES = 20;
const RANGE = 16, RANGE_UNMAP = 1;
/** Bytes moved at a time. */
const CHUNK = 1 << 18;
/** How many of these before the machine goes on with other things. */
const PARTS_IN_A_TURN = 256;

/** Offsets in the configuration space. */
const C = {
  CAPACITY: 0,
  SEG_MAX: 12,
  CYLINDERS: 16,
  HEADS: 18,
  SECTORS: 19,
  BLK_SIZE: 20,
  PHYSICAL_BLOCK_EXP: 24,
  MIN_IO_SIZE: 26,
  OPT_IO_SIZE: 28,
  WRITEBACK: 32,
  NUM_QUEUES: 34,
  MAX_DISCARD_SECTORS: 36,
  MAX_DISCARD_SEG: 40,
  DISCARD_SECTOR_ALIGNMENT: 44,
  MAX_WRITE_ZEROES_SECTORS: 48,
  MAX_WRITE_ZEROES_SEG: 52,
  WRITE_ZEROES_MAY_UNMAP: 56,
  /** Up to the last field of each feature that sizes the space. */
  END_TOPOLOGY: 36,
  END_DISCARD: 48,
  END_WRITE_ZEROES: 57,
} as const;

export interface VirtioBlkOptions {
  readonly clock: Clock;
  readonly drive: Drive;
  readonly geometry: Geometry;
  /** Up to 20 characters are shown. */
  readonly serial?: string;
  /** Bytes; powers of two from 512 on. */
  readonly logicalBlockSize?: number;
  readonly physicalBlockSize?: number;
  /** Bytes; 0 says nothing. */
  readonly minIoSize?: number;
  readonly optIoSize?: number;
  /** Bytes, or undefined for a logical block. */
  readonly discardGranularity?: number;
  readonly numQueues?: number;
  /** Entries, a power of two. */
  readonly queueSize?: number;
  readonly segMaxAdjust?: boolean;
  readonly configWce?: boolean;
  readonly discard?: boolean;
  readonly writeZeroes?: boolean;
  /** Sectors of 512 bytes. */
  readonly maxDiscardSectors?: number;
  readonly maxWriteZeroesSectors?: number;
  readonly common?: CommonFeatures;
}

export interface VirtioBlkState {
  /** The write cache is on: what is written becomes durable by a flush. */
  writeback: boolean;
}

export class VirtioBlk extends VirtioDevice<VirtioBlkState> {
  override readonly type = "virtio-blk-device";
  override readonly shortName = "virtio-blk";
  override readonly deviceId = DeviceId.block;
  readonly #o: VirtioBlkOptions;
  readonly #blockSize: number;
  readonly #header = new DataView(new ArrayBuffer(HEADER));
  readonly #headerBytes = new Uint8Array(this.#header.buffer);
  readonly #range = new DataView(new ArrayBuffer(RANGE));
  readonly #rangeBytes = new Uint8Array(this.#range.buffer);
  readonly #status = new Uint8Array(1);
  /** A buffer that no request uses now. */
  #spare: Uint8Array<ArrayBuffer> | undefined = new Uint8Array(CHUNK);
  /** Counts resets, so that what finishes late finds itself outdated. */
  #epoch = 0;

  constructor(options: VirtioBlkOptions) {
    const { discard = true, writeZeroes = true } = options;
    super(
      options.clock,
      () => ({ writeback: !options.drive.writeThrough }),
      writeZeroes ? C.END_WRITE_ZEROES : discard ? C.END_DISCARD : C.END_TOPOLOGY,
      options.common,
    );
    this.#o = options;
    this.#blockSize = options.logicalBlockSize ?? SECTOR;
    for (let n = 0; n < (options.numQueues ?? 1); n++) {
      this.addQueue(options.queueSize ?? 256, (q) => this.#serve(q));
    }
  }

  get #readonly(): boolean {
    return this.#o.drive.medium?.readonly ?? false;
  }

  protected override deviceFeatures(): bigint {
    const o = this.#o;
    const on: number[] = [F.SEG_MAX, F.GEOMETRY, F.TOPOLOGY, F.BLK_SIZE, F.FLUSH];
    if (o.configWce ?? true) on.push(F.CONFIG_WCE);
    if ((o.numQueues ?? 1) > 1) on.push(F.MQ);
    if (this.#readonly) on.push(F.RO);
    if (o.discard ?? true) on.push(F.DISCARD);
    if (o.writeZeroes ?? true) on.push(F.WRITE_ZEROES);
    // QEMU offers SCSI commands to legacy drivers, and then refuses each.
    if (this.legacyOnly) on.push(F.SCSI);
    return on.reduce((mask, n) => mask | bit(n), 0n);
  }

  override get legacyFeatures(): bigint {
    const all = super.legacyFeatures;
    return this.legacyOnly ? all & ~bit(Feature.ANY_LAYOUT) : all;
  }

  protected override updateConfig(): void {
    const o = this.#o, v = this.configView, block = this.#blockSize;
    const put32 = (at: number, value: number) => {
      if (at + 4 <= this.configSize) v.setUint32(at, value, true);
    };
    v.setBigUint64(C.CAPACITY, BigInt(Math.floor((o.drive.medium?.size ?? 0) / SECTOR)), true);
    v.setUint32(C.SEG_MAX, o.segMaxAdjust ?? true ? (o.queueSize ?? 256) - 2 : 126, true);
    v.setUint16(C.CYLINDERS, o.geometry.cylinders, true);
    v.setUint8(C.HEADS, o.geometry.heads);
    v.setUint8(C.SECTORS, o.geometry.sectors);
    v.setUint32(C.BLK_SIZE, block, true);
    v.setUint8(C.PHYSICAL_BLOCK_EXP, Math.log2((o.physicalBlockSize ?? block) / block));
    v.setUint16(C.MIN_IO_SIZE, (o.minIoSize ?? 0) / block, true);
    v.setUint32(C.OPT_IO_SIZE, (o.optIoSize ?? 0) / block, true);
    v.setUint8(C.WRITEBACK, this.state.writeback ? 1 : 0);
    v.setUint16(C.NUM_QUEUES, o.numQueues ?? 1, true);
    put32(C.MAX_DISCARD_SECTORS, o.maxDiscardSectors ?? MAX_SECTORS);
    put32(C.MAX_DISCARD_SEG, 1);
    put32(C.DISCARD_SECTOR_ALIGNMENT, (o.discardGranularity ?? block) / SECTOR);
    put32(C.MAX_WRITE_ZEROES_SECTORS, o.maxWriteZeroesSectors ?? MAX_SECTORS);
    put32(C.MAX_WRITE_ZEROES_SEG, 1);
    if (this.configSize > C.WRITE_ZEROES_MAY_UNMAP) v.setUint8(C.WRITE_ZEROES_MAY_UNMAP, 1);
  }

  protected override onConfigWrite(offset: number, size: number): void {
    if (offset > C.WRITEBACK || offset + size <= C.WRITEBACK) return;
    if (this.hasFeature(F.CONFIG_WCE)) this.state.writeback = this.config[C.WRITEBACK] !== 0;
  }

  /** A driver that knows neither flush nor the cache switch expects writes to be durable. */
  override setStatus(value: number, modern: boolean): void {
    super.setStatus(value, modern);
    if (!this.driverOk) return;
    if (!this.hasFeature(F.CONFIG_WCE)) this.state.writeback = this.hasFeature(F.FLUSH);
  }

  // Requests

  #serve(q: Virtqueue): void {
    q.drain((c) => this.#request(c));
  }

  #request(c: Chain): void {
    if (c.outLength < HEADER || c.inLength < 1) {
      return this.fault("request without header or status");
    }
    c.read(0, this.#headerBytes);
    const h = this.#header, type = (h.getUint32(0, true) & ~BARRIER) >>> 0;
    const sector = h.getUint32(8, true) + h.getUint32(12, true) * 2 ** 32;
    switch (type) {
      case T.IN:
        return this.#transfer(c, "read", sector, c.inLength - 1);
      case T.OUT:
        return this.#transfer(c, "write", sector, c.outLength - HEADER);
      case T.FLUSH:
        return this.#flush(c);
      case T.GET_ID: {
        const id = new Uint8Array(Math.min(ID_BYTES, c.inLength - 1));
        new TextEncoder().encodeInto(this.#o.serial ?? "", id);
        c.write(0, id);
        return this.#finish(c, S_OK);
      }
      case T.DISCARD:
      case T.WRITE_ZEROES:
        return this.#freeOrZero(c, type);
    }
    this.#finish(c, S_UNSUPP);
  }

  /** Status in the last writable byte; as written count all writable bytes, as QEMU does. */
  #finish(c: Chain, status: number): void {
    this.#status[0] = status;
    c.write(c.inLength - 1, this.#status);
    c.queue.push(c, c.inLength);
    c.queue.signal();
  }

  #inRange(sector: number, bytes: number): boolean {
    const offset = sector * SECTOR;
    return bytes % this.#blockSize === 0 && offset % this.#blockSize === 0 &&
      offset + bytes <= (this.#o.drive.medium?.size ?? 0);
  }

  #transfer(c: Chain, op: "read" | "write", sector: number, bytes: number): void {
    if (!this.#inRange(sector, bytes)) return this.#finish(c, S_IOERR);
    if (op === "write" && this.#readonly) return this.#finish(c, S_IOERR);
    const buffer = this.#spare ?? new Uint8Array(CHUNK);
    this.#spare = undefined;
    const { drive } = this.#o, epoch = this.#epoch;
    this.#inParts(bytes, (at, length, done, fail) => {
      const part = buffer.subarray(0, length);
      if (op === "write") c.read(HEADER + at, part);
      driveIo(drive, op, sector * SECTOR + at, part, () => {
        if (op === "read" && epoch === this.#epoch) c.write(at, part);
        done();
      }, fail);
    }, (ok) => {
      this.#spare = buffer;
      if (ok && op === "write" && !this.state.writeback) this.#flush(c);
      else this.#finish(c, ok ? S_OK : S_IOERR);
    });
  }

  /**
   * Carries out `part` for all of `total` bytes, in order, without recursion while the host answers at
   * once; others get their turn in between. After a reset neither `part` nor `end` is called any more.
   */
  #inParts(
    total: number,
    part: (at: number, length: number, done: () => void, fail: () => void) => void,
    end: (ok: boolean) => void,
  ): void {
    const epoch = this.#epoch;
    let at = 0, parts = 0, running = false, again = false;
    const next = () => {
      again = true;
      if (running) return;
      running = true;
      while (again && epoch === this.#epoch) {
        again = false;
        if (at >= total) {
          end(true);
          break;
        }
        if (++parts % PARTS_IN_A_TURN === 0) {
          this.later(next);
          break;
        }
        const length = Math.min(CHUNK, total - at);
        const done = () => {
          at += length;
          next();
        };
        part(at, length, done, () => epoch === this.#epoch && end(false));
      }
      running = false;
    };
    next();
  }

  #flush(c: Chain): void {
    const epoch = this.#epoch;
    const end = (status: number) => {
      if (epoch === this.#epoch) this.#finish(c, status);
    };
    driveIo(this.#o.drive, "flush", 0, undefined, () => end(S_OK), () => end(S_IOERR));
  }

  #freeOrZero(c: Chain, type: number): void {
    const discard = type === T.DISCARD, o = this.#o;
    if (!(discard ? o.discard ?? true : o.writeZeroes ?? true) || this.#readonly) {
      return this.#finish(c, this.#readonly ? S_IOERR : S_UNSUPP);
    }
    const length = c.outLength - HEADER;
    if (length < RANGE) return this.fault("discard or write zeroes without a range");
    if (length > RANGE) return this.#finish(c, S_UNSUPP);
    c.read(HEADER, this.#rangeBytes);
    const r = this.#range, sector = r.getUint32(0, true) + r.getUint32(4, true) * 2 ** 32;
    const sectors = r.getUint32(8, true), flags = r.getUint32(12, true);
    const max = (discard ? o.maxDiscardSectors : o.maxWriteZeroesSectors) ?? MAX_SECTORS;
    if (sectors > max || !this.#inRange(sector, sectors * SECTOR)) return this.#finish(c, S_IOERR);
    if (flags & ~RANGE_UNMAP || (discard && flags !== 0)) return this.#finish(c, S_UNSUPP);
    const epoch = this.#epoch;
    const end = (status: number) => {
      if (epoch === this.#epoch) this.#finish(c, status);
    };
    const start = sector * SECTOR, bytes = sectors * SECTOR;
    if (discard) {
      // Freed storage is a hint: a host that cannot free it has done no harm.
      driveIo(o.drive, "discard", start, undefined, () => end(S_OK), () => end(S_OK), bytes);
    } else {
      const zeros = new Uint8Array(CHUNK);
      this.#inParts(bytes, (at, length, done, fail) => {
        driveIo(o.drive, "write", start + at, zeros.subarray(0, length), done, fail);
      }, (ok) => this.#finish(c, ok ? S_OK : S_IOERR));
    }
  }

  protected override onReset(): void {
    this.#epoch++;
    this.#o.drive.dropRetries?.();
  }

  override release(): void {
    this.#o.drive.attachedTo = undefined;
  }

  /** Requests that were under way when the state was saved are carried out once more. */
  protected override onLoad(): void {
    this.#epoch++;
    for (const q of this.queues) for (const c of q.taken()) this.#request(c);
  }
}

/** The largest range whose bytes a 32-bit number of the block layer holds. */
const MAX_SECTORS = 4194303;
