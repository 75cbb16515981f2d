/**
 * What ATA disks and ATAPI devices share (ATA/ATAPI-7): the task file, the PIO data register, the
 * interrupt pending state, resets, and the hand-over to bus-master DMA.
 */
import type { Drive } from "../../core/block/block.ts";
import { AtaError, DeviceReg, Status } from "./ata_regs.ts";

/** Size of the transfer buffer: the largest DRQ block and the DMA step. */
export const BUFFER_SIZE = 65536;

/** The bus-master engine as a device sees it, made by `bmdma.ts`. */
export interface IdeDma {
  /** The guest has set START. */
  readonly started: boolean;
  /** Moves bytes into guest memory along the PRD table; fewer when the table ends. */
  toMemory(from: Uint8Array, length: number): number;
  /** Moves bytes out of guest memory along the PRD table; fewer when the table ends. */
  fromMemory(into: Uint8Array, length: number): number;
  /** The device ends its transfer: the engine goes idle if the table is used up too. */
  end(): void;
}

/** The channel as a device sees it. */
export interface IdePort {
  /** The device's interrupt pending state has changed. */
  updateIrq(): void;
  /** A command has ended without an interrupt. */
  idle?(): void;
  readonly dma: IdeDma | undefined;
}

/** The complete guest-visible state of a device. */
export interface AtaState {
  error: number;
  status: number;
  features: number;
  /** Command block registers and, in the `hob` ones, what was in them before the last write. */
  count: number;
  lbaLow: number;
  lbaMid: number;
  lbaHigh: number;
  hobFeatures: number;
  hobCount: number;
  hobLow: number;
  hobMid: number;
  hobHigh: number;
  device: number;
  /** Interrupt pending: cleared by reading Status, by a command and by resets. */
  intrq: boolean;
  buffer: Uint8Array;
  /** The part of `buffer` that the data register still moves. */
  pos: number;
  end: number;
  /** What happens when the data register has moved it; subclasses name their phases. */
  phase: string;
  /** A DMA command waits for the bus master. */
  dmaPending: boolean;
  /** Transfer modes set by SET FEATURES: 2.0-2 single, multiword, ultra; as IDENTIFY reports them. */
  mdmaMode: number;
  udmaMode: number;
}

export function initialAtaState(): AtaState {
  return {
    error: 0,
    status: Status.DRDY | Status.DSC,
    features: 0,
    count: 1,
    lbaLow: 1,
    lbaMid: 0,
    lbaHigh: 0,
    hobFeatures: 0,
    hobCount: 0,
    hobLow: 0,
    hobMid: 0,
    hobHigh: 0,
    device: DeviceReg.OBSOLETE,
    intrq: false,
    buffer: new Uint8Array(BUFFER_SIZE),
    pos: 0,
    end: 0,
    phase: "idle",
    dmaPending: false,
    mdmaMode: -1,
    udmaMode: 5,
  };
}

/** Values a user can give to a device. */
export interface AtaDeviceOptions {
  readonly drive: Drive;
  /** Up to 20 characters; the default is QEMU's `QM0000n`. */
  readonly serial?: string;
  /** Up to 40 characters. */
  readonly model?: string;
  /** Firmware revision, up to 8 characters. */
  readonly version?: string;
  /** World wide name, 0 for none. */
  readonly wwn?: bigint;
}

export abstract class AtaDevice<S extends AtaState = AtaState> {
  state: S;
  /** Set by the channel. */
  port: IdePort = { updateIrq() {}, dma: undefined };
  view: DataView;
  /** Counts resets, so that a late completion of the host finds itself outdated. */
  protected epoch = 0;
  #stepping = false;
  #again = false;

  abstract readonly type: string;
  readonly drive: Drive;

  constructor(options: AtaDeviceOptions, private readonly initial: () => S) {
    this.drive = options.drive;
    this.state = initial();
    this.view = viewOf(this.state.buffer);
  }

  /** Runs a command code (never while BSY, except DEVICE RESET). */
  abstract command(code: number): void;
  /** A controller that has moved `buffer[pos..end]` by itself, and set `pos`, goes on here. */
  transferred(): void {
    this.pioDone();
  }

  /** The data register has moved `buffer[0..end]`. */
  protected abstract pioDone(): void;
  /** The bus master is ready for the waiting DMA command. */
  abstract runDma(): void;
  /** Signature in the task file and status after a reset (ATA/ATAPI-7 9.12). */
  abstract setSignature(): void;

  /** Power-on and bus reset. */
  reset(): void {
    this.epoch++;
    this.drive.dropRetries?.();
    this.state = this.initial();
    this.view = viewOf(this.state.buffer);
    this.setSignature();
    this.state.status = Status.DRDY | Status.DSC;
  }

  /** The end of a software reset: modes and settings stay. */
  softReset(): void {
    this.stopTransfer();
    this.setSignature();
    this.state.error = 1;
  }

  /** EXECUTE DEVICE DIAGNOSTIC: passed. */
  diagnostic(): void {
    this.stopTransfer();
    this.setSignature();
    this.state.error = 1;
  }

  save(): S {
    return structuredClone(this.state);
  }

  load(state: S): void {
    this.epoch++;
    this.state = structuredClone(state);
    this.view = viewOf(this.state.buffer);
  }

  readData(size: 1 | 2 | 4): number {
    const s = this.state, p = s.pos;
    if (p + size > s.end || (s.status & Status.DRQ) === 0) return 0;
    const v = size === 2
      ? this.view.getUint16(p, true)
      : size === 4
      ? this.view.getUint32(p, true)
      : s.buffer[p];
    if ((s.pos = p + size) === s.end) this.pioDone();
    return v;
  }

  writeData(size: 1 | 2 | 4, value: number): void {
    const s = this.state, p = s.pos;
    if (p + size > s.end || (s.status & Status.DRQ) === 0) return;
    if (size === 2) this.view.setUint16(p, value, true);
    else if (size === 4) this.view.setUint32(p, value, true);
    else s.buffer[p] = value;
    if ((s.pos = p + size) === s.end) this.pioDone();
  }

  raiseIrq(): void {
    this.state.intrq = true;
    this.port.updateIrq();
  }

  clearIrq(): void {
    if (!this.state.intrq) return;
    this.state.intrq = false;
    this.port.updateIrq();
  }

  /** Offers `length` bytes at the buffer's start to the data register. */
  protected startPio(length: number, phase: string): void {
    const s = this.state;
    s.pos = 0;
    s.end = length;
    s.phase = phase;
    s.status = Status.DRDY | Status.DSC | Status.DRQ;
  }

  /** Ends a command without error; `irq` unless it was a PIO data-in. */
  protected complete(irq = true): void {
    const s = this.state;
    s.status = Status.DRDY | Status.DSC;
    s.phase = "idle";
    s.pos = s.end = 0;
    if (irq) this.raiseIrq();
    else this.port.idle?.();
  }

  /** Ends a command with an error. */
  protected abort(error: number = AtaError.ABRT): void {
    const s = this.state;
    s.status = Status.DRDY | Status.ERR;
    s.error = error;
    s.phase = "idle";
    s.pos = s.end = 0;
    s.dmaPending = false;
    this.raiseIrq();
  }

  /** Forgets the transfer under way. */
  protected stopTransfer(): void {
    const s = this.state;
    this.epoch++;
    this.drive.dropRetries?.();
    s.dmaPending = false;
    s.phase = "idle";
    s.pos = s.end = 0;
    s.intrq = false;
  }

  /** A DMA command is set up: it runs now or when the guest sets START. */
  protected waitForDma(phase: string): void {
    const s = this.state;
    s.phase = phase;
    s.dmaPending = true;
    s.status = Status.DRDY | Status.DSC | Status.DRQ;
    if (this.port.dma?.started) this.runDma();
  }

  /** Runs `once`, and again for each `step` called meanwhile: a loop, however host I/O completes. */
  protected step(once: () => void): void {
    if (this.#stepping) {
      this.#again = true;
      return;
    }
    this.#stepping = true;
    do {
      this.#again = false;
      once();
    } while (this.#again);
    this.#stepping = false;
  }

  /** SET FEATURES subcommand 03h: transfer mode in the count register. False when not supported. */
  protected setTransferMode(value: number): boolean {
    const s = this.state;
    switch (value >> 3) {
      case 0: // PIO default
      case 1: // PIO flow control
        s.mdmaMode = s.udmaMode = -1;
        return true;
      case 4:
        if ((value & 7) > 2) return false;
        s.mdmaMode = value & 7;
        s.udmaMode = -1;
        return true;
      case 8:
        if ((value & 7) > 5) return false;
        s.udmaMode = value & 7;
        s.mdmaMode = -1;
        return true;
      default:
        return false;
    }
  }
}

function viewOf(b: Uint8Array): DataView {
  return new DataView(b.buffer, b.byteOffset, b.byteLength);
}

/** Puts an ATA string (byte-swapped pairs, space padded) into IDENTIFY words `from..to`. */
export function putString(words: DataView, from: number, to: number, text: string): void {
  for (let i = 0; i < (to - from + 1) * 2; i++) {
    const c = i < text.length ? text.charCodeAt(i) & 0xff : 0x20;
    words.setUint8(from * 2 + (i ^ 1), c);
  }
}
