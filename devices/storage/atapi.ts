/**
 * An ATAPI CD/DVD-ROM drive: the PACKET command's protocol (ATA/ATAPI-7 volume 2, 11.8) with PIO and
 * DMA. The packets themselves are in `atapi_commands.ts`.
 */
import type { BlockError } from "../../core/block/block.ts";
import { driveIo } from "../../core/block/io.ts";
import { AtaDevice, type AtaDeviceOptions, type AtaState, initialAtaState } from "./ata_device.ts";
import { Asc, identifyPacket, SenseKey } from "./atapi_data.ts";
import { runPacket } from "./atapi_commands.ts";
import { Cmd, Reason, Status } from "./ata_regs.ts";
import { RAW_SECTOR, wrapMode1 } from "./cd_sector.ts";

/** Bytes of a command packet. */
const PACKET_SIZE = 12;
const CD_SECTOR = 2048;
/** Sectors fetched at a time; raw ones must fit the buffer too. */
const READ_AHEAD = 16;

export interface CdState extends AtaState {
  senseKey: number;
  asc: number;
  /** Host medium change: 1 "not present" is due, 2 "may have changed" is due, 0 reported. */
  changed: 0 | 1 | 2;
  newMedia: boolean;
  ejectRequest: boolean;
  /** The packet being run. */
  packet: Uint8Array;
  /** The packet asked for DMA. */
  dma: boolean;
  /** Byte count limit of a PIO packet. */
  limit: number;
  /** Reply bytes in the buffer, and how many have been handed out. */
  replyEnd: number;
  replyPos: number;
  /** A read under way: next sector, sectors left, bytes per sector (2048 or 2352). */
  lba: number;
  sectorsLeft: number;
  sectorSize: number;
  /** First sector in the buffer and how many, to repeat a read after a restore. */
  reading: number;
}

export interface AtapiCdromOptions extends AtaDeviceOptions {
  /** QOM path for `info block`. */
  readonly path?: string;
}

export class AtapiCdrom extends AtaDevice<CdState> {
  readonly type = "ide-cd";
  readonly id: { serial: string; version: string; model: string; wwn: bigint };

  /** Throws UserError when another process has locked the image. */
  constructor(options: AtapiCdromOptions) {
    const { drive } = options;
    super(options, () => ({
      ...initialAtaState(),
      senseKey: 0,
      asc: 0,
      changed: 0,
      newMedia: false,
      ejectRequest: false,
      packet: new Uint8Array(PACKET_SIZE),
      dma: false,
      limit: 0,
      replyEnd: 0,
      replyPos: 0,
      lba: 0,
      sectorsLeft: 0,
      sectorSize: CD_SECTOR,
      reading: 0,
    }));
    drive.attach?.({
      path: options.path ?? drive.name,
      writes: false,
      removable: true,
      hasTray: true,
    });
    this.id = {
      serial: options.serial ?? drive.serial ?? "QM00003",
      version: options.version ?? "2.5+",
      model: options.model ?? "QEMU DVD-ROM",
      wwn: options.wwn ?? 0n,
    };
    drive.onMediaChange = () => {
      const s = this.state;
      s.changed = 1;
      s.newMedia = !drive.trayOpen && drive.medium !== undefined;
      s.ejectRequest = false;
    };
    drive.onEjectRequest = (force) => {
      this.state.ejectRequest = true;
      if (force) drive.locked = false;
    };
  }

  /** Sectors of the medium the guest can reach, or undefined without one. */
  get sectors(): number | undefined {
    const m = this.drive.trayOpen ? undefined : this.drive.medium;
    return m === undefined ? undefined : Math.floor(m.size / CD_SECTOR);
  }

  override reset(): void {
    super.reset();
    this.drive.locked = false;
    this.state.status = Status.DRDY | Status.DSC;
  }

  setSignature(): void {
    const s = this.state;
    s.count = 1;
    s.lbaLow = 1;
    s.lbaMid = 0x14;
    s.lbaHigh = 0xeb;
    s.status = 0;
  }

  command(code: number): void {
    const s = this.state;
    s.error = 0;
    s.dmaPending = false;
    switch (code) {
      case Cmd.PACKET:
        return this.#packet();
      case Cmd.IDENTIFY_PACKET_DEVICE:
        identifyPacket(s.buffer, this.id, s);
        this.startPio(512, "lastIn");
        return this.raiseIrq();
      case Cmd.DEVICE_RESET:
        this.stopTransfer();
        this.setSignature();
        s.error = 1;
        s.senseKey = s.asc = 0;
        this.drive.locked = false;
        return this.port.updateIrq();
      case Cmd.READ_SECTORS:
      case Cmd.IDENTIFY_DEVICE:
        this.setSignature();
        return this.abort();
      case Cmd.SET_FEATURES:
        if (s.features === 0x03 && !this.setTransferMode(s.count)) return this.abort();
        if (![0x03, 0x05, 0x85, 0x66, 0xcc].includes(s.features)) return this.abort();
        return this.complete();
      case Cmd.CHECK_POWER_MODE:
      case Cmd.OLD_CHECK_POWER_MODE:
        s.count = 0xff;
        return this.complete();
      case Cmd.STANDBY_IMMEDIATE:
      case Cmd.OLD_STANDBY_IMMEDIATE:
      case Cmd.IDLE_IMMEDIATE:
      case Cmd.OLD_IDLE_IMMEDIATE:
      case Cmd.SLEEP:
      case Cmd.OLD_SLEEP:
      case Cmd.FLUSH_CACHE:
        return this.complete();
      default:
        return this.abort();
    }
  }

  protected pioDone(): void {
    const s = this.state;
    switch (s.phase) {
      case "packet":
        s.packet.set(s.buffer.subarray(0, PACKET_SIZE));
        s.phase = "run";
        s.status = Status.BSY;
        return runPacket(this);
      case "data":
        return this.#nextChunk();
      default:
        return this.complete(false);
    }
  }

  runDma(): void {
    this.state.dmaPending = false;
    this.state.status = Status.BSY;
    this.step(() => this.#dmaStep());
  }

  /** Ends the packet with GOOD status. */
  succeed(): void {
    const s = this.state;
    s.error = 0;
    s.status = Status.DRDY | Status.DSC;
    s.count = (s.count & ~7) | Reason.IO | Reason.CoD;
    s.phase = "idle";
    s.pos = s.end = 0;
    this.raiseIrq();
  }

  /** Ends the packet with CHECK CONDITION. */
  fail(key: number, asc: number): void {
    const s = this.state;
    s.error = key << 4;
    s.status = Status.DRDY | Status.ERR;
    s.count = (s.count & ~7) | Reason.IO | Reason.CoD;
    s.phase = "idle";
    s.pos = s.end = 0;
    s.senseKey = key;
    s.asc = asc;
    this.raiseIrq();
  }

  /** Aborts the PACKET command itself. */
  refuse(): void {
    this.abort();
  }

  /** Replies with the first `length` bytes of the buffer, at most `allocated` of them. */
  reply(length: number, allocated: number): void {
    const s = this.state;
    s.replyPos = 0;
    s.replyEnd = Math.min(length, allocated);
    s.sectorsLeft = 0;
    if (s.replyEnd === 0) return this.succeed();
    if (s.dma) this.#startDma();
    else this.#nextChunk();
  }

  /** Replies with sectors; 0 of them is no data phase. */
  readSectors(lba: number, count: number, sectorSize: 2048 | 2352): void {
    const s = this.state, total = this.sectors ?? 0;
    if (lba + count > total) {
      return this.fail(SenseKey.ILLEGAL_REQUEST, Asc.LOGICAL_BLOCK_OUT_OF_RANGE);
    }
    if (count === 0) return this.succeed();
    s.lba = lba;
    s.sectorsLeft = count;
    s.sectorSize = sectorSize;
    s.replyPos = s.replyEnd = 0;
    if (s.dma) this.#startDma();
    else this.#nextChunk();
  }

  override load(state: CdState): void {
    super.load(state);
    const s = this.state;
    if (s.phase !== "fetch") return;
    // A host read was under way: it is repeated when the machine runs.
    this.drive.retryOnResume?.(() =>
      this.#fetch(() => s.dma ? this.step(() => this.#dmaStep()) : this.#nextChunk())
    );
  }

  #packet(): void {
    const s = this.state;
    if (s.features & 0x02) return this.abort(); // overlapped commands
    s.dma = (s.features & 0x01) !== 0;
    if (s.dma && this.port.dma === undefined) return this.abort();
    s.limit = s.lbaHigh << 8 | s.lbaMid;
    if (s.limit === 0xffff) s.limit = 0xfffe;
    s.count = (s.count & ~7) | Reason.CoD;
    this.startPio(PACKET_SIZE, "packet");
  }

  /** Offers the next part of the reply to the data register. */
  #nextChunk(): void {
    const s = this.state;
    if (s.replyPos === s.replyEnd) {
      if (s.sectorsLeft === 0) return this.succeed();
      return this.#fetch(() => this.#nextChunk());
    }
    let n = Math.min(s.replyEnd - s.replyPos, s.limit);
    if (n < s.replyEnd - s.replyPos && (n & 1) !== 0) n--;
    if (n === 0) return this.abort();
    s.lbaMid = n & 0xff;
    s.lbaHigh = n >> 8;
    s.count = (s.count & ~7) | Reason.IO;
    s.status = Status.DRDY | Status.DSC | Status.DRQ;
    s.phase = "data";
    s.pos = s.replyPos;
    // The data register moves words: an odd end is rounded up.
    s.end = s.replyPos + n + (n & 1);
    s.replyPos += n;
    this.raiseIrq();
  }

  /** Reads the next sectors of the medium into the buffer. */
  #fetch(done: () => void): void {
    const s = this.state, epoch = this.epoch;
    const n = Math.min(s.sectorsLeft, READ_AHEAD);
    s.status = Status.BSY;
    s.phase = "fetch";
    s.pos = s.end = 0;
    if (this.sectors === undefined) return this.fail(SenseKey.NOT_READY, Asc.MEDIUM_NOT_PRESENT);
    const raw = s.sectorSize === RAW_SECTOR;
    // Raw sectors are spread out from the buffer's end, where the plain ones are read to.
    const at = raw ? s.buffer.length - n * CD_SECTOR : 0;
    driveIo(
      this.drive,
      "read",
      s.lba * CD_SECTOR,
      s.buffer.subarray(at, at + n * CD_SECTOR),
      () => {
        if (epoch !== this.epoch) return;
        for (let i = 0; raw && i < n; i++) {
          const from = at + i * CD_SECTOR, to = i * RAW_SECTOR;
          s.buffer.copyWithin(to + 16, from, from + CD_SECTOR);
          wrapMode1(s.buffer, to, s.lba + i);
        }
        s.lba += n;
        s.sectorsLeft -= n;
        s.replyPos = 0;
        s.replyEnd = n * s.sectorSize;
        done();
      },
      (e) => {
        if (epoch === this.epoch) this.#readFailed(e);
      },
    );
  }

  #readFailed(e: BlockError): void {
    if (e.code === "ENOMEDIUM") return this.fail(SenseKey.NOT_READY, Asc.MEDIUM_NOT_PRESENT);
    this.fail(SenseKey.MEDIUM_ERROR, Asc.UNRECOVERED_READ_ERROR);
  }

  #startDma(): void {
    this.state.count = (this.state.count & ~7) | Reason.IO;
    this.waitForDma("dmaData");
  }

  #dmaStep(): void {
    const s = this.state, dma = this.port.dma!;
    if (s.replyPos < s.replyEnd) {
      const n = s.replyEnd - s.replyPos;
      const short = dma.toMemory(s.buffer.subarray(s.replyPos, s.replyEnd), n) < n;
      s.replyPos = s.replyEnd;
      if (short) s.sectorsLeft = 0; // the guest wanted no more
    }
    if (s.sectorsLeft > 0) return this.#fetch(() => this.step(() => this.#dmaStep()));
    dma.end();
    this.succeed();
  }
}
