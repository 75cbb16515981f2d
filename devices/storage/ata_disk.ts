/** An ATA disk (ATA/ATAPI-7 volume 1): PIO, multiple, DMA, 28- and 48-bit addresses, CHS. */
import { UserError } from "../../core/errors.ts";
import { driveIo } from "../../core/block/io.ts";
import { AtaDevice, type AtaDeviceOptions, BUFFER_SIZE, initialAtaState } from "./ata_device.ts";
import {
  type DiskIdentity,
  type DiskSettings,
  identifyDisk,
  MAX_MULTIPLE,
} from "./ata_identify.ts";
import { AtaError, Cmd, DeviceReg, Status } from "./ata_regs.ts";
import {
  SmartCommand,
  smartData,
  smartLog,
  type SmartState,
  smartThresholds,
} from "./ata_smart.ts";
import { type Geometry, guessGeometry } from "./geometry.ts";

const SECTOR = 512;
const DMA_SECTORS = BUFFER_SIZE / SECTOR;

interface DiskState extends DiskSettings, SmartState {
  /** The transfer under way: next sector, sectors left, sectors per DRQ block, 48-bit registers. */
  lba: number;
  remaining: number;
  block: number;
  lba48: boolean;
  /** Sectors of the DRQ block in the buffer. */
  inBuffer: number;
  powerMode: number;
}

export interface AtaDiskOptions extends AtaDeviceOptions {
  /** The default is guessed from the size and the partition table. */
  readonly geometry?: Geometry;
  /** QOM path for `info block`. */
  readonly path?: string;
  /** Queued commands it takes at a time, for a Serial ATA port; default 0. */
  readonly queueDepth?: number;
}

export class AtaDisk extends AtaDevice<DiskState> {
  readonly type = "ide-hd";
  readonly geometry: Geometry;
  readonly #id: DiskIdentity;

  /** Throws UserError when the drive is empty, read-only or locked by another process. */
  constructor(options: AtaDiskOptions) {
    const { drive } = options;
    drive.attach?.({
      path: options.path ?? drive.name,
      writes: true,
      removable: false,
      needsMedium: true,
    });
    const medium = drive.medium;
    if (medium === undefined) throw new UserError("Device needs media, but drive is empty");
    const geometry = options.geometry ?? guessGeometry(medium);
    super(options, () => ({
      ...initialAtaState(),
      heads: geometry.heads,
      sectorsPerTrack: geometry.sectors,
      multiple: MAX_MULTIPLE,
      writeCache: true,
      smart: true,
      autosave: true,
      selfTests: [],
      lba: 0,
      remaining: 0,
      block: 1,
      lba48: false,
      inBuffer: 0,
      powerMode: 0xff,
    }));
    this.geometry = geometry;
    this.#id = {
      serial: options.serial ?? drive.serial ?? "QM00001",
      version: options.version ?? "2.5+",
      model: options.model ?? "QEMU HARDDISK",
      wwn: options.wwn ?? 0n,
      geometry,
      sectors: Math.floor(medium.size / SECTOR),
      queueDepth: options.queueDepth,
    };
  }

  get sectors(): number {
    return this.#id.sectors;
  }

  setSignature(): void {
    const s = this.state;
    s.count = 1;
    s.lbaLow = 1;
    s.lbaMid = s.lbaHigh = 0;
    s.status = Status.DRDY | Status.DSC;
  }

  command(code: number): void {
    const s = this.state;
    s.status = Status.DRDY;
    s.error = 0;
    s.dmaPending = false;
    switch (code) {
      case Cmd.READ_SECTORS:
      case Cmd.READ_SECTORS_NORETRY:
        return this.#readPio(false, 1);
      case Cmd.READ_SECTORS_EXT:
        return this.#readPio(true, 1);
      case Cmd.READ_MULTIPLE:
        return this.#readPio(false, s.multiple);
      case Cmd.READ_MULTIPLE_EXT:
        return this.#readPio(true, s.multiple);
      case Cmd.WRITE_SECTORS:
      case Cmd.WRITE_SECTORS_NORETRY:
      case Cmd.WRITE_VERIFY:
        return this.#writePio(false, 1);
      case Cmd.WRITE_SECTORS_EXT:
        return this.#writePio(true, 1);
      case Cmd.WRITE_MULTIPLE:
        return this.#writePio(false, s.multiple);
      case Cmd.WRITE_MULTIPLE_EXT:
        return this.#writePio(true, s.multiple);
      case Cmd.READ_DMA:
      case Cmd.READ_DMA_NORETRY:
        return this.#dma(false, "dmaRead");
      case Cmd.READ_DMA_EXT:
        return this.#dma(true, "dmaRead");
      case Cmd.WRITE_DMA:
      case Cmd.WRITE_DMA_NORETRY:
        return this.#dma(false, "dmaWrite");
      case Cmd.WRITE_DMA_EXT:
        return this.#dma(true, "dmaWrite");
      case Cmd.DATA_SET_MANAGEMENT:
        return this.#dataSetManagement();
      case Cmd.READ_VERIFY:
      case Cmd.READ_VERIFY_NORETRY:
        return this.#verify(false);
      case Cmd.READ_VERIFY_EXT:
        return this.#verify(true);
      case Cmd.READ_NATIVE_MAX:
        return this.#readNativeMax(false);
      case Cmd.READ_NATIVE_MAX_EXT:
        return this.#readNativeMax(true);
      case Cmd.FLUSH_CACHE:
      case Cmd.FLUSH_CACHE_EXT:
        return this.#flush();
      case Cmd.SMART:
        return this.#smart();
      case Cmd.SET_FEATURES:
        return this.#setFeatures();
      case Cmd.SET_MULTIPLE_MODE:
        return this.#setMultiple();
      case Cmd.IDENTIFY_DEVICE:
        identifyDisk(s.buffer, this.#id, s);
        this.startPio(SECTOR, "lastIn");
        return this.raiseIrq();
      case Cmd.INITIALIZE_DEVICE_PARAMETERS:
        if (s.count !== 0) {
          s.heads = (s.device & 0x0f) + 1;
          s.sectorsPerTrack = s.count;
        }
        return this.complete();
      case Cmd.CHECK_POWER_MODE:
      case Cmd.OLD_CHECK_POWER_MODE:
        s.count = s.powerMode;
        return this.complete();
      case Cmd.STANDBY_IMMEDIATE:
      case Cmd.OLD_STANDBY_IMMEDIATE:
      case Cmd.STANDBY:
      case Cmd.OLD_STANDBY:
      case Cmd.SLEEP:
      case Cmd.OLD_SLEEP:
      case Cmd.IDLE_IMMEDIATE:
      case Cmd.OLD_IDLE_IMMEDIATE:
      case Cmd.IDLE:
      case Cmd.OLD_IDLE:
        s.status = Status.DRDY;
        return this.raiseIrq();
      case Cmd.RECALIBRATE:
      case Cmd.SECURITY_FREEZE_LOCK:
        return this.complete();
      default:
        if ((code & 0xf0) === Cmd.SEEK) return this.complete();
        return this.abort();
    }
  }

  protected pioDone(): void {
    const s = this.state;
    switch (s.phase) {
      case "readPio":
        if (s.remaining === 0) return this.complete(false);
        return this.#readBlock();
      case "writePio":
        return this.#writeBlock();
      case "logOut":
        return this.complete();
      default:
        return this.complete(false);
    }
  }

  runDma(): void {
    const { phase } = this.state;
    this.state.dmaPending = false;
    this.state.status = Status.BSY;
    if (phase === "dmaRead") this.step(() => this.#dmaReadStep());
    else if (phase === "trim") this.#trim();
    else this.step(() => this.#dmaWriteStep());
  }

  /**
   * Takes the start sector and count out of the task file into `lba` and `remaining`; false after
   * ending the command when they reach beyond the disk.
   */
  #setRange(lba48: boolean): boolean {
    const s = this.state;
    s.lba48 = lba48;
    s.remaining = lba48 ? (s.hobCount << 8 | s.count) || 65536 : s.count || 256;
    s.lba = this.#address(lba48);
    if (s.lba >= 0 && s.lba + s.remaining <= this.sectors) return true;
    this.abort();
    return false;
  }

  #address(lba48: boolean): number {
    const s = this.state;
    if ((s.device & DeviceReg.LBA) === 0) {
      const cylinder = s.lbaHigh << 8 | s.lbaMid, head = s.device & 0x0f;
      if (s.lbaLow === 0) return -1;
      return (cylinder * s.heads + head) * s.sectorsPerTrack + s.lbaLow - 1;
    }
    const low = s.lbaHigh << 16 | s.lbaMid << 8 | s.lbaLow;
    if (!lba48) return (s.device & 0x0f) * 2 ** 24 + low;
    return (s.hobHigh << 16 | s.hobMid << 8 | s.hobLow) * 2 ** 24 + low;
  }

  /** Writes the next sector's address and the sectors left back to the task file. */
  #updateTaskFile(): void {
    const s = this.state;
    s.count = s.remaining & 0xff;
    s.hobCount = s.lba48 ? (s.remaining >> 8) & 0xff : s.hobCount;
    if ((s.device & DeviceReg.LBA) === 0) {
      const track = Math.floor(s.lba / s.sectorsPerTrack);
      const cylinder = Math.floor(track / s.heads);
      s.lbaLow = s.lba % s.sectorsPerTrack + 1;
      s.lbaMid = cylinder & 0xff;
      s.lbaHigh = (cylinder >> 8) & 0xff;
      s.device = (s.device & 0xf0) | (track % s.heads & 0x0f);
      return;
    }
    const low = s.lba % 2 ** 24, high = Math.floor(s.lba / 2 ** 24);
    s.lbaLow = low & 0xff;
    s.lbaMid = (low >> 8) & 0xff;
    s.lbaHigh = (low >> 16) & 0xff;
    if (s.lba48) {
      s.hobLow = high & 0xff;
      s.hobMid = (high >> 8) & 0xff;
      s.hobHigh = (high >> 16) & 0xff;
    } else s.device = (s.device & 0xf0) | (high & 0x0f);
  }

  /** Drive I/O on the transfer's next `n` sectors through the buffer. */
  #transfer(op: "read" | "write", n: number, done: () => void): void {
    const s = this.state, epoch = this.epoch;
    s.status = Status.BSY;
    const fail = () => {
      if (epoch !== this.epoch) return;
      this.#updateTaskFile();
      this.abort(op === "read" ? AtaError.UNC : AtaError.ABRT);
      this.port.dma?.end();
    };
    driveIo(
      this.drive,
      op,
      s.lba * SECTOR,
      s.buffer.subarray(0, n * SECTOR),
      () => {
        if (epoch !== this.epoch) return;
        s.lba += n;
        s.remaining -= n;
        this.#updateTaskFile();
        if (op === "read" || s.writeCache) return done();
        driveIo(this.drive, "flush", 0, undefined, () => {
          if (epoch === this.epoch) done();
        }, fail);
      },
      fail,
    );
  }

  /** Requests that the host had not finished when the state was saved start again. */
  override load(state: DiskState): void {
    super.load(state);
    const s = this.state;
    if ((s.status & Status.BSY) === 0) return;
    this.drive.retryOnResume?.(() => {
      if (s !== this.state) return;
      if (s.phase === "flush") this.#flush();
      else if (s.phase === "readPio") this.#readBlock();
      else if (s.phase === "writePio") this.#writeBlock();
      else if (s.phase === "dmaRead") this.step(() => this.#dmaReadStep());
      else if (s.phase === "dmaWrite") this.#dmaWriteBuffer(); // its data has left the guest
    });
  }

  #readPio(lba48: boolean, block: number): void {
    if (block === 0) return this.abort();
    if (!this.#setRange(lba48)) return;
    this.state.block = block;
    this.state.phase = "readPio";
    this.#readBlock();
  }

  #readBlock(): void {
    const s = this.state, n = Math.min(s.block, s.remaining);
    this.#transfer("read", n, () => {
      this.startPio(n * SECTOR, "readPio");
      this.raiseIrq();
    });
  }

  #writePio(lba48: boolean, block: number): void {
    if (block === 0) return this.abort();
    if (!this.#setRange(lba48)) return;
    this.state.block = block;
    this.#offerBlock();
  }

  #offerBlock(): void {
    const s = this.state;
    s.inBuffer = Math.min(s.block, s.remaining);
    this.startPio(s.inBuffer * SECTOR, "writePio");
  }

  #writeBlock(): void {
    this.#transfer("write", this.state.inBuffer, () => {
      if (this.state.remaining === 0) return this.complete();
      this.#offerBlock();
      this.raiseIrq();
    });
  }

  #dma(lba48: boolean, phase: "dmaRead" | "dmaWrite"): void {
    if (this.port.dma === undefined) return this.abort();
    if (this.#setRange(lba48)) this.waitForDma(phase);
  }

  #dmaReadStep(): void {
    const s = this.state, n = Math.min(s.remaining, DMA_SECTORS);
    this.#transfer("read", n, () => {
      if (this.port.dma!.toMemory(s.buffer, n * SECTOR) < n * SECTOR) return this.#shortTable();
      this.#dmaNext(() => this.#dmaReadStep());
    });
  }

  #dmaWriteStep(): void {
    const s = this.state, n = Math.min(s.remaining, DMA_SECTORS);
    if (this.port.dma!.fromMemory(s.buffer, n * SECTOR) < n * SECTOR) return this.#shortTable();
    this.#dmaWriteBuffer();
  }

  #dmaWriteBuffer(): void {
    const n = Math.min(this.state.remaining, DMA_SECTORS);
    this.#transfer("write", n, () => this.#dmaNext(() => this.#dmaWriteStep()));
  }

  #dmaNext(again: () => void): void {
    if (this.state.remaining > 0) return this.step(again);
    this.port.dma!.end();
    this.complete();
  }

  /** The PRD table ended early: no interrupt, the guest's driver times out (SFF-8038i 3.1). */
  #shortTable(): void {
    this.port.dma!.end();
    this.complete(false);
  }

  #verify(lba48: boolean): void {
    if (this.#setRange(lba48)) this.complete();
  }

  #readNativeMax(lba48: boolean): void {
    const s = this.state, was = s.lba48;
    if (this.sectors === 0) return this.abort();
    s.lba48 = lba48;
    const { remaining, count, hobCount } = s;
    s.lba = this.sectors - 1;
    if (!lba48) s.lba = Math.min(s.lba, 0x0fffffff);
    s.device |= DeviceReg.LBA;
    this.#updateTaskFile();
    s.lba48 = was;
    s.remaining = remaining;
    s.count = count;
    s.hobCount = hobCount;
    this.complete();
  }

  #flush(): void {
    const s = this.state, epoch = this.epoch;
    s.status = Status.BSY;
    s.phase = "flush";
    driveIo(this.drive, "flush", 0, undefined, () => {
      if (epoch === this.epoch) this.complete();
    }, () => {
      if (epoch === this.epoch) this.abort();
    });
  }

  #setMultiple(): void {
    const s = this.state, n = s.count;
    if (n > MAX_MULTIPLE || (n & (n - 1)) !== 0) return this.abort();
    s.multiple = n;
    this.complete();
  }

  #setFeatures(): void {
    const s = this.state;
    switch (s.features) {
      case 0x02: // enable write cache
        s.writeCache = true;
        return this.complete();
      case 0x82: { // disable write cache
        s.writeCache = false;
        return this.#flush();
      }
      case 0x03:
        return this.setTransferMode(s.count) ? this.complete() : this.abort();
      case 0x05: // advanced power management
      case 0x85:
      case 0x42: // automatic acoustic management
      case 0xc2:
      case 0x66: // keep or revert settings over a software reset
      case 0xcc:
      case 0x67:
      case 0x69:
      case 0x96:
      case 0x9a:
      case 0xaa: // read look-ahead
      case 0x55:
        return this.complete();
      default:
        return this.abort();
    }
  }

  #smart(): void {
    const s = this.state;
    if (s.lbaHigh !== 0xc2 || s.lbaMid !== 0x4f) return this.abort();
    if (!s.smart && s.features !== SmartCommand.ENABLE) return this.abort();
    switch (s.features) {
      case SmartCommand.ENABLE:
      case SmartCommand.DISABLE:
        s.smart = s.features === SmartCommand.ENABLE;
        return this.complete();
      case SmartCommand.ATTRIBUTE_AUTOSAVE:
        if (s.count !== 0x00 && s.count !== 0xf1) return this.abort();
        s.autosave = s.count !== 0;
        return this.complete();
      case SmartCommand.RETURN_STATUS: // healthy: the signature stays as it is
        return this.complete();
      case SmartCommand.READ_DATA:
        smartData(s.buffer, s);
        break;
      case SmartCommand.READ_THRESHOLDS:
        smartThresholds(s.buffer);
        break;
      case SmartCommand.READ_LOG:
        if (!smartLog(s.buffer, s.lbaLow, s)) return this.abort();
        break;
      case SmartCommand.EXECUTE_OFFLINE:
        if (![0, 1, 2].includes(s.lbaLow & 0x7f) && s.lbaLow !== 0x7f) return this.abort();
        if (s.lbaLow !== 0x7f) s.selfTests = [...s.selfTests, s.lbaLow].slice(-21);
        return this.complete();
      default:
        return this.abort();
    }
    this.startPio(SECTOR, "lastIn");
    this.raiseIrq();
  }

  #dataSetManagement(): void {
    const s = this.state;
    if ((s.features & 1) === 0 || this.port.dma === undefined) return this.abort();
    s.remaining = (s.hobCount << 8 | s.count) || 65536;
    if (s.remaining * SECTOR > BUFFER_SIZE) return this.abort();
    this.waitForDma("trim");
  }

  /** TRIM: 8-byte entries of 48-bit address and 16-bit count (ACS-2 7.5.3). */
  #trim(): void {
    const s = this.state, bytes = s.remaining * SECTOR;
    if (this.port.dma!.fromMemory(s.buffer, bytes) < bytes) return this.#shortTable();
    for (let at = 0; at < bytes; at += 8) {
      const count = this.view.getUint16(at + 6, true);
      const lba = this.view.getUint32(at, true) + this.view.getUint16(at + 4, true) * 2 ** 32;
      if (count === 0) continue;
      if (lba + count > this.sectors) {
        this.port.dma!.end();
        return this.abort(AtaError.IDNF | AtaError.ABRT);
      }
      const ignore = () => {}; // a hint: failure changes nothing
      driveIo(this.drive, "discard", lba * SECTOR, undefined, ignore, ignore, count * SECTOR);
    }
    this.port.dma!.end();
    this.complete();
  }
}
