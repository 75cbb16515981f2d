/**
 * The floppy disk controller 82078 (Intel datasheet 290468) at its AT ports, with two drives: DMA
 * through channel 2 and programmed I/O. Mechanics take no time; the interrupts come all the same.
 */
import type { Drive } from "../../core/block/block.ts";
import { type Device, type DeviceState, type IrqLine, NO_IRQ } from "../../core/device.ts";
import { log } from "../../core/log.ts";
import { type IoRegion, ioRegion } from "../../core/memory/region.ts";
import type { DmaChannel } from "../misc/dma8237.ts";
import {
  CONFIG,
  decodeCommand,
  DOR,
  DSR,
  type FdcCommand,
  MSR,
  ST0,
  ST1,
  ST2,
  ST3,
} from "./fdc_regs.ts";
import { type FdcState, initialState, type Operation, SECTOR } from "./fdc_state.ts";
import { FloppyDrive } from "./floppy_drive.ts";

/** SFR of VERSION and PART ID: an 82078 in 82077AA mode. */
const VERSION = 0x90, PART_ID = 0x41;

export interface FdcOptions {
  readonly irq?: IrqLine;
  /** Channel 2 of the DMA controller; without one only programmed I/O moves data. */
  readonly dma?: DmaChannel;
  /** Drives A and B. */
  readonly drives: readonly [Drive | undefined, Drive | undefined];
  /** QOM path of the device for `info block`. */
  readonly path?: string;
}

export class FloppyController implements Device {
  readonly type = "isa-fdc";
  /** Five ports: 3F1h–3F5h. SRA at 3F0h belongs to PS/2 mode. */
  readonly ports: IoRegion;
  /** One port, 3F7h: DIR and CCR. */
  readonly dir: IoRegion;
  readonly drives: readonly (FloppyDrive | undefined)[];

  #state = initialState();
  readonly #irq: IrqLine;
  readonly #dma: DmaChannel | undefined;
  #epoch = 0;
  #pumping = false;

  constructor(options: FdcOptions) {
    this.#irq = options.irq ?? NO_IRQ;
    this.#dma = options.dma;
    this.drives = options.drives.map((d) => d && new FloppyDrive(d, options.path ?? d.name));
    if (this.#dma) this.#dma.onService = () => this.#pump();
    this.ports = ioRegion("fdc", 5, {
      maxAccess: 1,
      read: (offset) => this.#read(offset + 1),
      write: (offset, _size, value) => this.#write(offset + 1, value),
    });
    this.dir = ioRegion("fdc", 1, {
      maxAccess: 1,
      read: () => this.#readDir(),
      write: (_offset, _size, value) => {
        this.#state.rate = value & DSR.RATE;
      },
    });
    this.#shareDriveStates();
  }

  reset(): void {
    this.#forget();
    this.#state = initialState();
    this.#shareDriveStates();
    this.#dma?.request(false);
    this.#irq.set(false);
  }

  save(): DeviceState {
    return structuredClone(this.#state);
  }

  load(state: DeviceState): void {
    this.#epoch++;
    this.#state = structuredClone(state) as FdcState;
    this.#shareDriveStates();
    this.#updateIrq();
    this.#dma?.request(false);
    if (this.#state.phase === "execute") this.#requestDma();
  }

  /** Types of drives A and B for the RTC's CMOS byte 10h. */
  get cmosType(): number {
    return (this.drives[0]?.type ?? 0) << 4 | (this.drives[1]?.type ?? 0);
  }

  #shareDriveStates(): void {
    this.drives.forEach((d, i) => {
      if (d) d.state = this.#state.drives[i];
    });
  }

  get #nonDma(): boolean {
    return (this.#state.headLoad & 1) !== 0 || this.#dma === undefined;
  }

  /** @param register offset from 3F0h */
  #read(register: number): number {
    const s = this.#state;
    switch (register) {
      case 1:
        return s.srb;
      case 2:
        return s.dor;
      case 3:
        return s.tdr;
      case 4:
        return this.#mainStatus();
      default:
        return this.#readFifo();
    }
  }

  #write(register: number, value: number): void {
    const s = this.#state;
    switch (register) {
      case 2:
        return this.#writeDor(value);
      case 3:
        s.tdr = value & 3;
        return;
      case 4:
        s.rate = value & DSR.RATE;
        if ((value & DSR.SWRESET) !== 0) {
          this.#softReset();
          this.#leaveReset();
        }
        return;
      case 5:
        return this.#writeFifo(value);
    }
  }

  #mainStatus(): number {
    const s = this.#state;
    if ((s.dor & DOR.RESET) === 0) return 0;
    switch (s.phase) {
      case "command":
        return MSR.RQM | (s.fifoLength > 0 ? MSR.CMDBSY : 0);
      case "result":
        return MSR.RQM | MSR.DIO | MSR.CMDBSY;
      case "busy":
        return MSR.CMDBSY;
      case "execute":
        if (!this.#nonDma) return MSR.CMDBSY;
        return MSR.RQM | MSR.NONDMA | MSR.CMDBSY | (s.operation === "read" ? MSR.DIO : 0);
    }
  }

  #readDir(): number {
    const d = this.drives[this.#state.dor & DOR.SELECT];
    return d?.state.changed ? 0x80 : 0x00;
  }

  #writeDor(value: number): void {
    const s = this.#state, was = s.dor;
    s.dor = value;
    s.srb = 0xc0 | (value >> 4 & 3) | (value & 1) << 5;
    if ((value & DOR.RESET) === 0) {
      if ((was & DOR.RESET) !== 0) this.#softReset();
    } else if ((was & DOR.RESET) === 0) this.#leaveReset();
    this.#updateIrq();
    if (s.phase === "execute") this.#requestDma();
  }

  /** What the drives are doing for the controller is nobody's any more. */
  #forget(): void {
    this.#epoch++;
    for (const d of this.drives) d?.drive.dropRetries?.();
  }

  #softReset(): void {
    const s = this.#state;
    this.#forget();
    s.phase = "command";
    s.fifoLength = 0;
    s.polls = 0;
    s.seekDone.fill(-1);
    s.irq = false;
    if (!s.lock) {
      s.config = 0x60;
      s.precompensation = 0;
    }
    this.#dma?.request(false);
    this.#updateIrq();
  }

  /** Polling finds all four drives changed (datasheet 5.2.4). */
  #leaveReset(): void {
    const s = this.#state;
    if (s.config & CONFIG.POLL) return;
    s.polls = 4;
    this.#raiseIrq();
  }

  #raiseIrq(): void {
    this.#state.irq = true;
    this.#updateIrq();
  }

  #clearIrq(): void {
    this.#state.irq = false;
    this.#updateIrq();
  }

  #updateIrq(): void {
    const s = this.#state;
    this.#irq.set(s.irq && (s.dor & DOR.DMAGATE) !== 0);
  }

  #readFifo(): number {
    const s = this.#state;
    if (s.phase === "result") {
      this.#clearIrq();
      const value = s.result[s.resultPos++];
      if (s.resultPos === s.resultLength) {
        s.phase = "command";
        s.fifoLength = 0;
      }
      return value;
    }
    if (s.phase === "execute" && this.#nonDma && s.operation === "read") {
      this.#clearIrq();
      const value = s.buffer[s.pos++];
      if (s.pos === s.length) this.#blockDone(false);
      return value;
    }
    return 0;
  }

  #writeFifo(value: number): void {
    const s = this.#state;
    if ((s.dor & DOR.RESET) === 0) return;
    if (s.phase === "execute" && this.#nonDma && s.operation !== "read") {
      this.#clearIrq();
      s.buffer[s.pos++] = value;
      if (s.pos === s.length) this.#blockDone(false);
      return;
    }
    if (s.phase !== "command") {
      log("guest_errors", `fdc: write of 0x${value.toString(16)} in ${s.phase} phase`);
      return;
    }
    s.fifo[s.fifoLength++] = value;
    const command = decodeCommand(s.fifo[0]);
    const enough = s.fifoLength > command.parameters ||
      (command.name === "DRIVE SPECIFICATION" && s.fifoLength > 1 && (value & 0x80) !== 0);
    if (enough) this.#execute(command, s.fifo);
  }

  /** Enters the result phase with `bytes`, or the command phase when there are none. */
  #results(...bytes: number[]): void {
    const s = this.#state;
    s.fifoLength = 0;
    s.resultPos = 0;
    s.resultLength = bytes.length;
    s.result.set(bytes);
    s.phase = bytes.length > 0 ? "result" : "command";
  }

  #execute(command: FdcCommand, p: Uint8Array): void {
    const s = this.#state;
    switch (command.name) {
      case "READ DATA":
      case "READ TRACK":
        return this.#startData("read", p);
      case "READ DELETED DATA":
        return this.#startData("read", p, true);
      case "WRITE DATA":
      case "WRITE DELETED DATA": // the mark is not kept
        return this.#startData("write", p);
      case "VERIFY":
        return this.#startData("verify", p);
      case "SCAN EQUAL":
      case "SCAN LOW OR EQUAL":
      case "SCAN HIGH OR EQUAL":
        return this.#startData("scan", p);
      case "FORMAT TRACK":
        return this.#startFormat(p);
      case "READ ID":
        return this.#readId(p);
      case "RECALIBRATE":
        return this.#seek(p[1] & 3, 0, true);
      case "SEEK":
        return this.#seek(p[1] & 3, p[2]);
      case "RELATIVE SEEK": {
        const track = this.drives[p[1] & 3]?.state.track ?? 0;
        return this.#seek(p[1] & 3, p[0] & 0x40 ? track + p[2] : track - p[2]);
      }
      case "SENSE INTERRUPT STATUS":
        return this.#senseInterrupt();
      case "SENSE DRIVE STATUS":
        return this.#senseDrive(p[1]);
      case "SPECIFY":
        s.timing = p[1];
        s.headLoad = p[2];
        return this.#results();
      case "CONFIGURE":
        s.config = p[2];
        s.precompensation = p[3];
        return this.#results();
      case "PERPENDICULAR MODE":
        if (p[1] & 0x80) {
          s.drives.forEach((d, i) => d.perpendicular = (p[1] & 4 << i) !== 0);
        }
        return this.#results();
      case "LOCK":
        s.lock = (p[0] & 0x80) !== 0;
        return this.#results(s.lock ? 0x10 : 0x00);
      case "DUMPREG":
        return this.#results(...this.#registers());
      case "SAVE":
        return this.#results(0, 0, ...this.#registers(), s.powerDown, 0, 0, 0);
      case "RESTORE":
        s.drives.forEach((d, i) => d.track = p[3 + i]);
        s.timing = p[7];
        s.headLoad = p[8];
        s.lastSector = p[9];
        s.lock = (p[10] & 0x80) !== 0;
        s.drives.forEach((d, i) => d.perpendicular = (p[10] & 4 << i) !== 0);
        s.config = p[11];
        s.precompensation = p[12];
        s.powerDown = p[13];
        return this.#results();
      case "POWERDOWN MODE":
        s.powerDown = p[1];
        return this.#results(p[1]);
      case "PART ID":
        return this.#results(PART_ID);
      case "VERSION":
        return this.#results(VERSION);
      case "OPTION":
        return this.#results();
      case "DRIVE SPECIFICATION":
        return p[s.fifoLength - 1] & 0x40 ? this.#results() : this.#results(0, 0);
      case "INVALID":
        log("guest_errors", `fdc: invalid command 0x${p[0].toString(16)}`);
        return this.#results(ST0.INVALID);
    }
  }

  /** DUMPREG's ten bytes. */
  #registers(): number[] {
    const s = this.#state;
    const perpendicular = s.drives.reduce((bits, d, i) => bits | (d.perpendicular ? 4 << i : 0), 0);
    return [
      s.drives[0].track,
      s.drives[1].track,
      0,
      0,
      s.timing,
      s.headLoad,
      s.lastSector,
      (s.lock ? 0x80 : 0) | perpendicular,
      s.config,
      s.precompensation,
    ];
  }

  #seek(unit: number, track: number, recalibrate = false): void {
    const s = this.#state, d = this.drives[unit];
    d?.seek(track);
    // Recalibrating a drive that is not there never finds track 0.
    s.seekDone[unit] = ST0.SE | unit |
      (d === undefined && recalibrate ? ST0.ABNORMAL | ST0.EC : 0);
    this.#results();
    this.#raiseIrq();
  }

  #senseInterrupt(): void {
    const s = this.#state;
    this.#clearIrq();
    if (s.polls > 0) {
      const unit = 4 - s.polls--;
      return this.#results(ST0.POLL | unit, s.drives[unit]?.track ?? 0);
    }
    const unit = s.seekDone.findIndex((st0) => st0 >= 0);
    if (unit < 0) return this.#results(ST0.INVALID);
    const st0 = s.seekDone[unit];
    s.seekDone[unit] = -1;
    this.#results(st0, s.drives[unit]?.track ?? 0);
    if (s.seekDone.some((st0) => st0 >= 0)) this.#raiseIrq();
  }

  #senseDrive(select: number): void {
    const unit = select & 3, d = this.drives[unit];
    let st3 = ST3.FIXED | select & 7;
    if (d && d.state.track === 0) st3 |= ST3.T0;
    if (d?.present && d.writeProtected) st3 |= ST3.WP;
    this.#results(st3);
  }

  #readId(p: Uint8Array): void {
    const s = this.#state, d = this.drives[p[1] & 3];
    s.unit = p[1] & 3;
    s.h = p[1] >> 2 & 1;
    s.c = d?.state.track ?? 0;
    s.n = 2;
    s.r = 1;
    if (d === undefined || !this.#readable(d) || !d.has(s.h, 1)) {
      return this.#finish(ST0.ABNORMAL, ST1.MA, 0);
    }
    s.r = d.state.nextId <= d.geometry.sectors ? d.state.nextId : 1;
    d.state.nextId = s.r + 1;
    this.#finish(0, 0, 0);
  }

  /** There is a medium, and the data rate is the one it was written with. */
  #readable(d: FloppyDrive): boolean {
    return d.present && d.geometry.rate === this.#state.rate;
  }

  #startData(operation: Operation, p: Uint8Array, deleted = false): void {
    const s = this.#state;
    s.operation = operation;
    s.unit = p[1] & 3;
    s.c = p[2];
    s.h = p[3];
    s.r = p[4];
    s.n = p[5];
    s.eot = s.lastSector = p[6];
    s.multiTrack = (p[0] & 0x80) !== 0;
    s.wholeTrack = (p[0] & 0x1f) === 0x02;
    s.deleted = deleted;
    s.sectorsLeft = operation === "verify" && p[1] & 0x80 ? p[8] || 256 : 0;
    s.scanMet = s.scanEqual = true;
    const d = this.drives[s.unit];
    if (d !== undefined && s.config & CONFIG.EIS && s.c !== d.state.track) d.seek(s.c);
    if (d === undefined || !this.#readable(d)) {
      return this.#finish(ST0.ABNORMAL, ST1.MA | ST1.ND, 0);
    }
    if (operation === "write" && d.writeProtected) return this.#finish(ST0.ABNORMAL, ST1.NW, 0);
    if (s.c !== d.state.track) return this.#finish(ST0.ABNORMAL, ST1.ND, ST2.WC);
    // All marks are normal: with SK a search for deleted ones passes the whole track.
    if (deleted && p[0] & 0x20) return this.#finish(ST0.ABNORMAL, ST1.EN, ST2.CM);
    if (s.wholeTrack) s.r = 1;
    this.#nextSector();
  }

  #startFormat(p: Uint8Array): void {
    const s = this.#state, d = this.drives[p[1] & 3];
    s.operation = "format";
    s.unit = p[1] & 3;
    s.h = p[1] >> 2 & 1;
    s.n = p[2];
    s.eot = s.lastSector = p[3];
    s.filler = p[5];
    s.r = 1;
    s.c = d?.state.track ?? 0;
    s.deleted = false;
    if (d === undefined || !d.present) return this.#finish(ST0.ABNORMAL, ST1.MA, 0);
    if (d.writeProtected) return this.#finish(ST0.ABNORMAL, ST1.NW, 0);
    if (s.n !== 2 || s.eot === 0 || !d.has(s.h, s.eot)) {
      return this.#finish(ST0.ABNORMAL, ST1.ND, 0);
    }
    s.length = 4; // C, H, R, N of each sector come from the host
    this.#offer();
  }

  /** Begins with the sector in C, H, R, N. */
  #nextSector(): void {
    const s = this.#state, d = this.drives[s.unit]!;
    if (s.n !== 2 || !d.has(s.h, s.r)) return this.#finish(ST0.ABNORMAL, ST1.ND, 0);
    s.length = SECTOR;
    if (s.operation === "read" || s.operation === "verify") return this.#medium("read");
    this.#offer();
  }

  /** Moves the buffer to or from the medium. */
  #medium(op: "read" | "write", sector = this.#state.r, tc = false): void {
    const s = this.#state, epoch = this.#epoch, d = this.drives[s.unit]!;
    s.phase = "busy";
    d.transfer(op, s.h, sector, s.buffer, () => {
      if (epoch !== this.#epoch) return;
      if (s.operation === "read") this.#offer();
      else this.#sectorDone(tc);
    }, () => {
      if (epoch === this.#epoch) this.#finish(ST0.ABNORMAL, op === "read" ? ST1.ND : ST1.NW, 0);
    });
  }

  /** Lets the host move the buffer's `length` bytes. */
  #offer(): void {
    const s = this.#state;
    s.pos = 0;
    s.phase = "execute";
    if (this.#nonDma) this.#raiseIrq();
    else this.#requestDma();
  }

  #requestDma(): void {
    if (this.#nonDma) return;
    const gate = (this.#state.dor & DOR.DMAGATE) !== 0;
    this.#dma!.request(gate);
    if (gate && this.#dma!.ready) this.#pump();
  }

  /** Moves as much through the DMA channel as it takes now. */
  #pump(): void {
    const s = this.#state;
    if (this.#pumping || this.#nonDma) return;
    this.#pumping = true;
    while (s === this.#state && s.phase === "execute" && (s.dor & DOR.DMAGATE) !== 0) {
      const n = this.#dma!.transfer(s.buffer, s.pos, s.length - s.pos);
      if (n === 0) break;
      s.pos += n;
      const tc = this.#dma!.terminalCount;
      if (tc || s.pos === s.length) this.#blockDone(tc);
    }
    this.#pumping = false;
  }

  /** The host has moved the buffer, or a part of it before terminal count. */
  #blockDone(tc: boolean): void {
    const s = this.#state;
    if (s.operation === "read") return this.#sectorDone(tc);
    s.buffer.fill(0, s.pos, s.length);
    if (s.operation === "scan") return this.#scan(tc);
    if (s.operation === "format") return this.#formatSector(tc);
    this.#medium("write", s.r, tc);
  }

  #formatSector(tc: boolean): void {
    const s = this.#state, sector = s.buffer[2];
    s.buffer.fill(s.filler);
    if (!this.drives[s.unit]!.has(s.h, sector)) return this.#sectorDone(tc);
    this.#medium("write", sector, tc);
  }

  /** Compares the host's sector with the medium's; FFh from the host matches anything. */
  #scan(tc: boolean): void {
    const s = this.#state, epoch = this.#epoch, disk = new Uint8Array(SECTOR);
    const order = decodeCommand(s.fifo[0]).name;
    s.phase = "busy";
    this.drives[s.unit]!.transfer("read", s.h, s.r, disk, () => {
      if (epoch !== this.#epoch) return;
      s.scanEqual = s.scanMet = true;
      for (let i = 0; i < s.length && s.scanEqual; i++) {
        const host = s.buffer[i];
        if (host === 0xff || host === disk[i]) continue;
        s.scanEqual = false;
        s.scanMet = order === "SCAN LOW OR EQUAL"
          ? disk[i] < host
          : order === "SCAN HIGH OR EQUAL" && disk[i] > host;
      }
      if (s.scanMet) return this.#finish(0, 0, s.scanEqual ? ST2.SH : 0);
      this.#sectorDone(tc);
    }, () => {
      if (epoch === this.#epoch) this.#finish(ST0.ABNORMAL, ST1.ND, 0);
    });
  }

  /** A sector is over: the ID registers move on (datasheet table 5-9), then the next one or the end. */
  #sectorDone(tc: boolean): void {
    const s = this.#state;
    const st2 = (s.operation === "scan" ? ST2.SN : 0) | (s.deleted ? ST2.CM : 0);
    const last = s.r >= s.eot;
    if (!last) s.r++;
    else {
      s.r = 1;
      if (!s.multiTrack || s.h === 1) s.c = (s.c + 1) & 0xff;
      if (s.multiTrack) s.h ^= 1;
    }
    if (s.operation === "format") {
      if (last) return this.#finish(0, 0, 0);
      if (tc) return this.#finish(ST0.ABNORMAL, ST1.OR, 0);
      return this.#offer();
    }
    if (tc || s.deleted) return this.#finish(0, 0, st2);
    if (s.sectorsLeft > 0 && --s.sectorsLeft === 0) return this.#finish(0, 0, st2);
    if (last && !(s.multiTrack && s.h === 1)) {
      // Programmed I/O has no terminal count: the last sector of the track stands for it.
      const ended = this.#nonDma || s.operation === "verify";
      return ended ? this.#finish(0, 0, st2) : this.#finish(ST0.ABNORMAL, ST1.EN, st2);
    }
    this.#nextSector();
  }

  /** Ends a data command: seven result bytes and an interrupt. */
  #finish(st0: number, st1: number, st2: number): void {
    const s = this.#state;
    this.#dma?.request(false);
    this.#results(st0 | (s.h & 1) << 2 | s.unit, st1, st2, s.c, s.h, s.r, s.n);
    this.#raiseIrq();
  }
}
