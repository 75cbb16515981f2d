/**
 * One port of an AHCI controller (Serial ATA AHCI 1.3.1, chapters 3.3 and 5): takes commands from the
 * list in memory, hands them to an ATA or ATAPI device, moves data along the PRD table and posts the
 * device's frames. Queued commands run one after the other, as a device may choose to.
 */
import { log } from "../../core/log.ts";
import * as R from "./ahci_regs.ts";
import type { AtaDevice, AtaState, IdeDma, IdePort } from "./ata_device.ts";
import { Cmd, Control, DeviceReg, Status } from "./ata_regs.ts";

// deno-lint-ignore no-explicit-any -- a port takes devices of any state type
type AnyDevice = AtaDevice<any>;

/** What a port needs of its controller: memory as a bus master sees it, and interrupts. */
export interface AhciHost {
  /** False when the address cannot be reached. */
  dmaRead(address: number, into: Uint8Array): boolean;
  dmaWrite(address: number, from: Uint8Array): boolean;
  /** PxIS or PxIE of a port has changed; `raised`: an enabled bit has just been set. */
  portChanged(raised: boolean): void;
}

/** A command that has been taken from the list. */
interface Command {
  slot: number;
  ncq: boolean;
  atapi: boolean;
  /** Address of the command table. */
  table: number;
  prdtLength: number;
  /** Where in the PRD table the transfer is: entry, and bytes of it that are done. */
  prd: number;
  offset: number;
  moved: number;
  fis: Uint8Array;
}

export interface AhciPortState {
  clb: number;
  clbu: number;
  fb: number;
  fbu: number;
  is: number;
  ie: number;
  cmd: number;
  tfd: number;
  sig: number;
  sctl: number;
  serr: number;
  sact: number;
  ci: number;
  /** The device runs this command. */
  current: Command | undefined;
  /** Queued commands that wait. */
  queue: Command[];
  /** A software reset frame with SRST has come, the one without has not. */
  srst: boolean;
  /** An error stopped the list until software clears PxCMD.ST. */
  halted: boolean;
}

function initialState(): AhciPortState {
  return {
    clb: 0,
    clbu: 0,
    fb: 0,
    fbu: 0,
    is: 0,
    ie: 0,
    cmd: R.CMD_SUD | R.CMD_POD,
    tfd: R.TFD_NONE,
    sig: R.SIG_NONE,
    sctl: 0,
    serr: 0,
    sact: 0,
    ci: 0,
    current: undefined,
    queue: [],
    srst: false,
    halted: false,
  };
}

export class AhciPort implements IdePort {
  state = initialState();
  device: AnyDevice | undefined;
  readonly dma: IdeDma;
  readonly #host: AhciHost;
  #pumping = false;
  #again = false;

  constructor(host: AhciHost) {
    this.#host = host;
    const command = () => this.state.current;
    this.dma = {
      get started() {
        return command() !== undefined;
      },
      toMemory: (from, length) => this.#move(from, length, true),
      fromMemory: (into, length) => this.#move(into, length, false),
      end() {},
    };
  }

  attach(device: AnyDevice): void {
    if (this.device !== undefined) throw new Error("SATA port is in use");
    this.device = device;
    device.port = this;
    device.reset();
    this.reset();
  }

  /** COMRESET: the device starts anew; registers that software set up stay. */
  #comReset(): void {
    const s = this.state, d = this.device;
    s.current = undefined;
    s.queue = [];
    s.srst = s.halted = false;
    s.ci = s.sact = 0;
    if (d === undefined) {
      s.tfd = R.TFD_NONE;
      s.sig = R.SIG_NONE;
      return;
    }
    d.reset();
    this.#signature();
  }

  #signature(): void {
    const s = this.state, t = this.device!.state as AtaState;
    s.tfd = t.status | (t.error << 8);
    s.sig = ((t.lbaHigh << 24) | (t.lbaMid << 16) | (t.lbaLow << 8) | t.count) >>> 0;
  }

  reset(): void {
    this.state = initialState();
    this.#comReset();
  }

  save(): AhciPortState & { device: AtaState | undefined } {
    return { ...structuredClone(this.state), device: this.device?.save() };
  }

  load(saved: AhciPortState & { device: AtaState | undefined }): void {
    const { device, ...state } = structuredClone(saved);
    this.state = state;
    if (this.device && device) this.device.load(device);
  }

  // Registers

  read(offset: number): number {
    const s = this.state;
    switch (offset) {
      case R.Px.CLB:
        return s.clb;
      case R.Px.CLBU:
        return s.clbu;
      case R.Px.FB:
        return s.fb;
      case R.Px.FBU:
        return s.fbu;
      case R.Px.IS:
        return s.is;
      case R.Px.IE:
        return s.ie;
      case R.Px.CMD:
        return this.#command();
      case R.Px.TFD:
        return s.tfd;
      case R.Px.SIG:
        return s.sig;
      case R.Px.SSTS:
        return this.device === undefined ? 0 : R.SSTS_PRESENT;
      case R.Px.SCTL:
        return s.sctl;
      case R.Px.SERR:
        return s.serr;
      case R.Px.SACT:
        return s.sact;
      case R.Px.CI:
        return s.ci;
      default:
        return 0;
    }
  }

  /** CR and FR follow ST and FRE at once; CCS is the command being run. */
  #command(): number {
    const { cmd, current } = this.state;
    return (cmd | (cmd & R.CMD_ST ? R.CMD_CR : 0) | (cmd & R.CMD_FRE ? R.CMD_FR : 0) |
      ((current?.slot ?? 0) << R.CMD_CCS_SHIFT)) >>> 0;
  }

  write(offset: number, value: number): void {
    const s = this.state;
    switch (offset) {
      case R.Px.CLB:
        s.clb = (value & ~0x3ff) >>> 0;
        break;
      case R.Px.CLBU:
        s.clbu = value;
        break;
      case R.Px.FB:
        s.fb = (value & ~0xff) >>> 0;
        break;
      case R.Px.FBU:
        s.fbu = value;
        break;
      case R.Px.IS:
        s.is = (s.is & ~value) >>> 0;
        this.#host.portChanged(false);
        break;
      case R.Px.IE:
        s.ie = (value & R.IE_MASK) >>> 0;
        this.#host.portChanged(false);
        break;
      case R.Px.CMD:
        this.#writeCommand(value);
        break;
      case R.Px.SCTL:
        this.#writeSctl(value);
        break;
      case R.Px.SERR:
        s.serr = (s.serr & ~value) >>> 0;
        break;
      case R.Px.SACT:
        if (s.cmd & R.CMD_ST) s.sact = (s.sact | value) >>> 0;
        break;
      case R.Px.CI:
        if ((s.cmd & R.CMD_ST) === 0) break;
        s.ci = (s.ci | value) >>> 0;
        this.#pump();
        break;
    }
  }

  #writeCommand(value: number): void {
    const s = this.state, was = s.cmd;
    s.cmd = (value & R.CMD_WRITABLE) >>> 0;
    if (value & R.CMD_CLO) s.tfd &= ~(Status.BSY | Status.DRQ);
    if (was & ~s.cmd & R.CMD_ST) {
      // The list stops: what was in it is forgotten (AHCI 10.3.2), and an error with it.
      s.ci = s.sact = 0;
      s.current = undefined;
      s.queue = [];
      s.halted = false;
    }
    if (s.cmd & ~was & R.CMD_FRE && this.device !== undefined) this.#post(this.#d2h(false));
    if (s.cmd & ~was & R.CMD_ST) this.#pump();
  }

  #writeSctl(value: number): void {
    const s = this.state, was = s.sctl & R.SCTL_DET;
    s.sctl = value & 0xfff;
    if (was === R.SCTL_DET_INIT && (value & R.SCTL_DET) === 0) {
      this.#comReset();
      if (this.device !== undefined) this.#post(this.#d2h(false));
    }
  }

  // Commands

  /** The device has changed its state: data is ready, or a command has ended. */
  updateIrq(): void {
    if (this.device?.state.intrq) this.device.clearIrq();
    this.#pump();
  }

  /** A command has ended without an interrupt of the device's. */
  idle(): void {
    this.#pump();
  }

  /** Goes on as far as it is possible now: a loop, however the host's I/O completes. */
  #pump(): void {
    this.#again = true;
    if (this.#pumping) return;
    this.#pumping = true;
    while (this.#again) {
      this.#again = false;
      this.#step();
    }
    this.#pumping = false;
  }

  #step(): void {
    const s = this.state, d = this.device;
    if (d === undefined || d.state.status & Status.BSY) return;
    if (s.current === undefined) {
      if (s.halted || (s.cmd & R.CMD_ST) === 0) return;
      // Software dropped a command in the middle of a PIO transfer: the device forgets it too.
      if (d.state.status & Status.DRQ) d.softReset();
      this.#next(d);
      return;
    }
    if (d.state.status & Status.DRQ && d.state.pos < d.state.end) this.#pio(d, s.current);
    else this.#finish(d, s.current);
    this.#again = true;
  }

  /** Takes the next command: all queued ones off the list, then the first that waits. */
  #next(d: AnyDevice): void {
    const s = this.state;
    for (let slot = 0; slot < 32 && s.ci !== 0; slot++) {
      const bit = (1 << slot) >>> 0;
      if ((s.ci & bit) === 0) continue;
      const c = this.#fetch(slot);
      if (c === undefined) {
        s.halted = true;
        return;
      }
      if (c.ncq) {
        // The device takes a queued command with a frame that clears BSY (Serial ATA 13.6.4).
        s.ci = (s.ci & ~bit) >>> 0;
        s.queue.push(c);
        this.#post(this.#d2h(false));
        continue;
      }
      if (s.queue.length > 0) continue;
      this.#again = true;
      return this.#start(d, c);
    }
    const c = s.queue.shift();
    if (c === undefined) return;
    this.#again = true;
    this.#startQueued(d, c);
  }

  #fetch(slot: number): Command | undefined {
    const s = this.state, header = new Uint8Array(R.HEADER_SIZE);
    const at = s.clb + s.clbu * 2 ** 32 + slot * R.HEADER_SIZE;
    if (!this.#host.dmaRead(at, header)) return this.#busError();
    const v = new DataView(header.buffer), flags = v.getUint32(0, true);
    const table = (v.getUint32(8, true) & ~0x7f) >>> 0;
    const command: Command = {
      slot,
      ncq: false,
      atapi: (flags & R.CH_ATAPI) !== 0,
      table: table + v.getUint32(12, true) * 2 ** 32,
      prdtLength: flags >>> R.CH_PRDTL_SHIFT,
      prd: 0,
      offset: 0,
      moved: 0,
      fis: new Uint8Array(R.TABLE_ACMD),
    };
    if (!this.#host.dmaRead(command.table, command.fis)) return this.#busError();
    const { fis } = command;
    command.ncq = (fis[1] & R.FIS_C) !== 0 && this.device?.type === "ide-hd" &&
      (fis[2] === R.READ_FPDMA_QUEUED || fis[2] === R.WRITE_FPDMA_QUEUED);
    return command;
  }

  #busError(): undefined {
    log("guest_errors", "ahci: command list or table cannot be reached");
    this.#interrupt(R.IS_HBFS);
    return undefined;
  }

  #start(d: AnyDevice, c: Command): void {
    const s = this.state, { fis } = c;
    if (fis[0] !== R.FIS_H2D || (fis[1] & 0x0f) !== 0) {
      log("guest_errors", `ahci: unknown frame ${fis[0].toString(16)} ${fis[1].toString(16)}`);
      s.ci = (s.ci & ~(1 << c.slot)) >>> 0;
      return;
    }
    if ((fis[1] & R.FIS_C) === 0) return this.#control(d, c);
    s.current = c;
    const t = d.state as AtaState;
    t.features = fis[3];
    [t.lbaLow, t.lbaMid, t.lbaHigh] = fis.subarray(4, 7);
    [t.hobLow, t.hobMid, t.hobHigh] = fis.subarray(8, 11);
    t.device = (fis[7] & ~DeviceReg.DEV) | DeviceReg.OBSOLETE;
    t.hobFeatures = fis[11];
    t.count = fis[12];
    t.hobCount = fis[13];
    s.tfd = Status.BSY | (s.tfd & 0xff00);
    if (fis[2] === Cmd.EXECUTE_DEVICE_DIAGNOSTIC) {
      d.diagnostic();
      d.raiseIrq();
    } else d.command(fis[2]);
  }

  /** READ and WRITE FPDMA QUEUED, as the DMA command that does the same. */
  #startQueued(d: AnyDevice, c: Command): void {
    const s = this.state, { fis } = c, t = d.state as AtaState;
    s.current = c;
    [t.lbaLow, t.lbaMid, t.lbaHigh] = fis.subarray(4, 7);
    [t.hobLow, t.hobMid, t.hobHigh] = fis.subarray(8, 11);
    t.count = fis[3];
    t.hobCount = fis[11];
    t.device = DeviceReg.OBSOLETE | DeviceReg.LBA;
    d.command(fis[2] === R.READ_FPDMA_QUEUED ? Cmd.READ_DMA_EXT : Cmd.WRITE_DMA_EXT);
  }

  /** A frame that carries the device control register: software reset (Serial ATA 11.4). */
  #control(d: AnyDevice, c: Command): void {
    const s = this.state, srst = (c.fis[15] & Control.SRST) !== 0;
    s.ci = (s.ci & ~(1 << c.slot)) >>> 0;
    if (s.srst && !srst) {
      d.softReset();
      d.state.device = DeviceReg.OBSOLETE;
      d.state.status = Status.DRDY | Status.DSC;
      this.#signature();
      this.#post(this.#d2h(false));
    } else if (srst) s.tfd = (s.tfd & 0xff00) | Status.BSY;
    s.srst = srst;
  }

  /** Moves the block that the device offers or wants through its data register. */
  #pio(d: AnyDevice, c: Command): void {
    const t = d.state as AtaState, length = t.end - t.pos;
    const bytes = t.buffer.subarray(t.pos, t.end);
    if (t.phase === "packet") {
      this.#host.dmaRead(c.table + R.TABLE_ACMD, bytes);
    } else {
      const out = t.phase === "writePio" || t.phase === "logOut";
      const done = this.#move(bytes, length, !out);
      if (done < length) log("guest_errors", "ahci: PRD table shorter than the data");
      this.#postPioSetup(t, length, out);
    }
    t.pos = t.end;
    d.transferred();
  }

  #finish(d: AnyDevice, c: Command): void {
    const s = this.state, t = d.state as AtaState, bit = (1 << c.slot) >>> 0;
    const failed = (t.status & Status.ERR) !== 0;
    s.current = undefined;
    if (failed) s.halted = true;
    if (c.ncq) {
      if (!failed) s.sact = (s.sact & ~bit) >>> 0;
      this.#postSdb(t, failed ? 0 : bit);
      return;
    }
    const header = s.clb + s.clbu * 2 ** 32 + c.slot * R.HEADER_SIZE, count = new Uint8Array(4);
    new DataView(count.buffer).setUint32(0, c.moved, true);
    this.#host.dmaWrite(header + 4, count);
    // After an error the command stays on the list, for software to see which one it was.
    if (!failed) s.ci = (s.ci & ~bit) >>> 0;
    this.#post(this.#d2h(true));
    this.#interrupt(R.IS_DHRS | (failed ? R.IS_TFES : 0));
  }

  // Frames

  #registers(f: Uint8Array, t: AtaState): void {
    f[2] = t.status;
    f[3] = t.error;
    f.set([t.lbaLow, t.lbaMid, t.lbaHigh, t.device, t.hobLow, t.hobMid, t.hobHigh], 4);
    f[12] = t.count;
    f[13] = t.hobCount;
  }

  /** Register – device to host. Takes the device's status over into PxTFD. */
  #d2h(interrupt: boolean): { at: number; frame: Uint8Array } {
    const f = new Uint8Array(20), t = this.device!.state as AtaState;
    f[0] = R.FIS_D2H;
    f[1] = interrupt ? R.FIS_I : 0;
    this.#registers(f, t);
    this.state.tfd = t.status | (t.error << 8);
    return { at: R.RX_D2H, frame: f };
  }

  #postPioSetup(t: AtaState, length: number, out: boolean): void {
    const f = new Uint8Array(20);
    f[0] = R.FIS_PIO_SETUP;
    f[1] = R.FIS_I | (out ? 0 : R.FIS_D);
    this.#registers(f, t);
    f[15] = t.status & ~Status.DRQ;
    f[16] = length & 0xff;
    f[17] = (length >> 8) & 0xff;
    this.state.tfd = t.status | (t.error << 8);
    this.#post({ at: R.RX_PIO_SETUP, frame: f });
    this.#interrupt(R.IS_PSS);
  }

  /** Set device bits: which queued commands have ended. */
  #postSdb(t: AtaState, finished: number): void {
    const f = new Uint8Array(8);
    f[0] = R.FIS_SDB;
    f[1] = R.FIS_I;
    f[2] = t.status & 0x77;
    f[3] = t.error;
    new DataView(f.buffer).setUint32(4, finished, true);
    this.state.tfd = t.status | (t.error << 8);
    this.#post({ at: R.RX_SDB, frame: f });
    this.#interrupt(R.IS_SDBS | (t.status & Status.ERR ? R.IS_TFES : 0));
  }

  #post({ at, frame }: { at: number; frame: Uint8Array }): void {
    const s = this.state;
    if (s.cmd & R.CMD_FRE) this.#host.dmaWrite(s.fb + s.fbu * 2 ** 32 + at, frame);
  }

  #interrupt(bits: number): void {
    const s = this.state;
    s.is = (s.is | bits) >>> 0;
    this.#host.portChanged((bits & s.ie) !== 0);
  }

  // Data

  /** Moves up to `length` bytes along the PRD table; fewer when it ends. */
  #move(bytes: Uint8Array, length: number, toMemory: boolean): number {
    const c = this.state.current, prd = new Uint8Array(R.PRD_SIZE), v = new DataView(prd.buffer);
    if (c === undefined) return 0;
    let done = 0;
    while (done < length && c.prd < c.prdtLength) {
      if (!this.#host.dmaRead(c.table + R.TABLE_PRDT + c.prd * R.PRD_SIZE, prd)) break;
      const size = (v.getUint32(12, true) & R.PRD_DBC) + 1;
      if (c.offset >= size) {
        c.prd++;
        c.offset = 0;
        continue;
      }
      const n = Math.min(size - c.offset, length - done);
      const at = v.getUint32(0, true) + v.getUint32(4, true) * 2 ** 32 + c.offset;
      const part = bytes.subarray(done, done + n);
      if (!(toMemory ? this.#host.dmaWrite(at, part) : this.#host.dmaRead(at, part))) break;
      done += n;
      c.offset += n;
    }
    c.moved += done;
    return done;
  }
}
