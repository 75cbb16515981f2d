/**
 * 16550A UART: National Semiconductor PC16550D datasheet (TL/C/8652), as COM1–COM4 and behind PCI
 * serial cards. Characters leave for the host at once unless paced by the baud rate.
 */
import type { ChardevFrontend, ChardevPort } from "../../core/chardev/chardev.ts";
import type { Clock, Timer } from "../../core/clock.ts";
import { type IrqLine, StatefulDevice } from "../../core/device.ts";
import { type IoRegion, ioRegion } from "../../core/memory/region.ts";

// Register offsets (DLAB = 0).
const RBR_THR = 0, IER = 1, IIR_FCR = 2, LCR = 3, MCR = 4, LSR = 5, MSR = 6, SCR = 7;

const IER_RDI = 0x01, IER_THRI = 0x02, IER_RLSI = 0x04, IER_MSI = 0x08;
const IIR_NO_INT = 0x01, IIR_MSI = 0x00, IIR_THRI = 0x02, IIR_RDI = 0x04, IIR_RLSI = 0x06;
const IIR_CTI = 0x0c, IIR_FIFO = 0xc0;
const FCR_ENABLE = 0x01, FCR_RESET_RX = 0x02, FCR_RESET_TX = 0x04;
const LCR_STOP = 0x04, LCR_PARITY = 0x08, LCR_EVEN = 0x10, LCR_DLAB = 0x80;
const MCR_DTR = 0x01, MCR_RTS = 0x02, MCR_OUT1 = 0x04, MCR_OUT2 = 0x08, MCR_LOOP = 0x10;
const LSR_DR = 0x01, LSR_OE = 0x02, LSR_PE = 0x04, LSR_FE = 0x08, LSR_BI = 0x10;
const LSR_THRE = 0x20, LSR_TEMT = 0x40, LSR_FIFO_ERROR = 0x80;
const LSR_ERRORS = LSR_OE | LSR_PE | LSR_FE | LSR_BI;
const MSR_DELTAS = 0x0f, MSR_TERI = 0x04, MSR_CTS = 0x10, MSR_DSR = 0x20, MSR_RI = 0x40;
const MSR_DCD = 0x80;

const FIFO_SIZE = 16;
const TRIGGER_LEVELS = [1, 4, 8, 14];

export interface UartState {
  ier: number;
  fcr: number;
  lcr: number;
  mcr: number;
  /** Without DR and the error bits of the character at the head, which follow from `rx`. */
  lsr: number;
  msr: number;
  scr: number;
  divisor: number;
  /** Received characters, oldest first; bits 8–15 hold that character's LSR error bits. */
  rx: number[];
  /** What RBR shows once everything has been read. */
  rbr: number;
  /** Characters waiting behind the transmit shift register. */
  tx: number[];
  /** The character being shifted out, or -1. */
  tsr: number;
  threPending: boolean;
  timeoutPending: boolean;
  timeoutAt: number | undefined;
  txAt: number | undefined;
}

export interface UartOptions {
  readonly clock: Clock;
  readonly irq: IrqLine;
  /** Input clock divided by 16, in baud. Default 115200 (1.8432 MHz). */
  readonly baudBase?: number;
  /** Keep characters as long as the line would take, instead of transmitting at once. */
  readonly paced?: boolean;
  /** Type name; default `isa-serial`. */
  readonly type?: string;
}

export class Uart16550 extends StatefulDevice<UartState> implements ChardevFrontend {
  override readonly type: string;
  readonly region: IoRegion = ioRegion("serial", 8, {
    maxAccess: 1,
    read: (offset) => this.read(offset),
    write: (offset, _size, value) => this.write(offset, value),
  });
  readonly #clock: Clock;
  readonly #irq: IrqLine;
  readonly #baudBase: number;
  readonly #paced: boolean;
  readonly #timeout: Timer;
  readonly #txTimer: Timer;
  #port: ChardevPort | undefined;

  constructor(opts: UartOptions) {
    super(() => ({
      ier: 0,
      fcr: 0,
      lcr: 0,
      mcr: MCR_OUT2,
      lsr: LSR_THRE | LSR_TEMT,
      msr: MSR_DCD | MSR_DSR | MSR_CTS,
      scr: 0,
      divisor: 12,
      rx: [],
      rbr: 0,
      tx: [],
      tsr: -1,
      threPending: false,
      timeoutPending: false,
      timeoutAt: undefined,
      txAt: undefined,
    }));
    this.type = opts.type ?? "isa-serial";
    this.#clock = opts.clock;
    this.#irq = opts.irq;
    this.#baudBase = opts.baudBase ?? 115200;
    this.#paced = opts.paced ?? false;
    this.#timeout = this.#clock.timer(() => this.#receiveTimeout());
    this.#txTimer = this.#clock.timer(() => this.#shiftedOut());
  }

  /** Connects the host side; without one, output is dropped. */
  attach(port: ChardevPort): void {
    this.#port = port;
    this.#setParams();
  }

  get chardev(): ChardevPort | undefined {
    return this.#port;
  }

  read(offset: number): number {
    const s = this.state;
    switch (offset & 7) {
      case RBR_THR:
        return s.lcr & LCR_DLAB ? s.divisor & 0xff : this.#readRbr();
      case IER:
        return s.lcr & LCR_DLAB ? s.divisor >> 8 : s.ier;
      case IIR_FCR: {
        const iir = this.#iir();
        if ((iir & 0x0f) === IIR_THRI) {
          s.threPending = false;
          this.#update();
        }
        return iir;
      }
      case LCR:
        return s.lcr;
      case MCR:
        return s.mcr;
      case LSR:
        return this.#readLsr();
      case MSR: {
        const msr = s.msr;
        s.msr &= ~MSR_DELTAS;
        this.#update();
        return msr;
      }
      default:
        return s.scr;
    }
  }

  write(offset: number, value: number): void {
    const s = this.state;
    switch (offset & 7) {
      case RBR_THR:
        if (s.lcr & LCR_DLAB) {
          s.divisor = (s.divisor & 0xff00) | value;
          this.#setParams();
        } else this.#writeThr(value);
        break;
      case IER:
        if (s.lcr & LCR_DLAB) {
          s.divisor = (s.divisor & 0x00ff) | (value << 8);
          this.#setParams();
        } else this.#writeIer(value & 0x0f);
        break;
      case IIR_FCR:
        this.#writeFcr(value);
        break;
      case LCR:
        s.lcr = value;
        this.#setParams();
        break;
      case MCR:
        s.mcr = value & 0x1f;
        this.#modemLines();
        break;
      case LSR:
      case MSR:
        break; // factory test only
      case SCR:
        s.scr = value;
        break;
    }
  }

  // Receiver

  canReceive(): number {
    const s = this.state;
    if (s.mcr & MCR_LOOP) return 0;
    return Math.max(0, (s.fcr & FCR_ENABLE ? FIFO_SIZE : 1) - s.rx.length);
  }

  receive(bytes: Uint8Array): void {
    for (const b of bytes) this.#push(b);
    this.#update();
  }

  event(ev: "open" | "close" | "break" | "mux-in" | "mux-out"): void {
    if (ev !== "break") return;
    this.#push(LSR_BI << 8);
    this.#update();
  }

  #push(char: number): void {
    const s = this.state;
    if (s.fcr & FCR_ENABLE) {
      if (s.rx.length >= FIFO_SIZE) s.lsr |= LSR_OE;
      else s.rx.push(char);
      this.#armTimeout();
    } else {
      if (s.rx.length > 0) s.lsr |= LSR_OE;
      s.rx[0] = char;
    }
  }

  #readRbr(): number {
    const s = this.state;
    const head = s.rx.shift();
    if (head !== undefined) {
      s.rbr = head & 0xff;
      s.timeoutPending = false;
      this.#armTimeout();
      this.#update();
      if (!(s.mcr & MCR_LOOP)) this.#port?.acceptInput();
    }
    return s.rbr;
  }

  /** Four character times without a read or a new character make a time-out interrupt. */
  #armTimeout(): void {
    const s = this.state;
    if (s.rx.length === 0 || !(s.fcr & FCR_ENABLE)) {
      s.timeoutAt = undefined;
      this.#timeout.cancel();
      return;
    }
    s.timeoutAt = this.#clock.now() + 4 * this.#charTime();
    this.#timeout.arm(s.timeoutAt);
  }

  #receiveTimeout(): void {
    const s = this.state;
    s.timeoutAt = undefined;
    if (s.rx.length === 0) return;
    s.timeoutPending = true;
    this.#update();
  }

  #lsr(): number {
    const s = this.state;
    let lsr = s.lsr;
    if (s.rx.length > 0) lsr |= LSR_DR | (s.rx[0] >> 8);
    if ((s.fcr & FCR_ENABLE) && s.rx.some((c) => c > 0xff)) lsr |= LSR_FIFO_ERROR;
    return lsr;
  }

  #readLsr(): number {
    const s = this.state;
    const lsr = this.#lsr();
    s.lsr &= ~LSR_OE;
    if (s.rx.length > 0) s.rx[0] &= 0xff;
    if (lsr & LSR_ERRORS) this.#update();
    return lsr;
  }

  // Transmitter

  #writeThr(value: number): void {
    const s = this.state;
    if (!(s.fcr & FCR_ENABLE)) s.tx.length = 0;
    if (s.tx.length < FIFO_SIZE) s.tx.push(value);
    s.threPending = false;
    s.lsr &= ~(LSR_THRE | LSR_TEMT);
    this.#update();
    if (s.tsr < 0) this.#shiftNext();
  }

  #shiftNext(): void {
    const s = this.state;
    while (s.tx.length > 0) {
      s.tsr = s.tx.shift()!;
      if (s.tx.length === 0) {
        s.lsr |= LSR_THRE;
        s.threPending = true;
      }
      if (this.#paced) {
        s.txAt = this.#clock.now() + this.#charTime();
        this.#txTimer.arm(s.txAt);
        this.#update();
        return;
      }
      this.#emit(s.tsr);
      s.tsr = -1;
    }
    s.lsr |= LSR_TEMT;
    this.#update();
  }

  #shiftedOut(): void {
    const s = this.state;
    s.txAt = undefined;
    if (s.tsr >= 0) this.#emit(s.tsr);
    s.tsr = -1;
    this.#shiftNext();
  }

  #emit(char: number): void {
    if (this.state.mcr & MCR_LOOP) this.#push(char);
    else this.#port?.write(new Uint8Array([char]));
  }

  // Control

  #writeIer(value: number): void {
    const s = this.state;
    const raised = value & ~s.ier;
    s.ier = value;
    // Enabling the THRE interrupt while THR is empty makes one at once: drivers kick output so.
    if (raised & IER_THRI) s.threPending = (s.lsr & LSR_THRE) !== 0;
    this.#update();
  }

  #writeFcr(value: number): void {
    const s = this.state;
    if ((value ^ s.fcr) & FCR_ENABLE) value |= FCR_RESET_RX | FCR_RESET_TX;
    if (value & FCR_RESET_RX) {
      s.rx.length = 0;
      s.timeoutPending = false;
      this.#armTimeout();
    }
    if (value & FCR_RESET_TX) {
      s.tx.length = 0;
      s.lsr |= LSR_THRE;
      if (s.tsr < 0) s.lsr |= LSR_TEMT;
      s.threPending = true;
    }
    s.fcr = value & FCR_ENABLE ? value & 0xc9 : 0;
    this.#update();
    if ((value & FCR_RESET_RX) && !(s.mcr & MCR_LOOP)) this.#port?.acceptInput();
  }

  /** In loopback the four outputs are wired to the four inputs; otherwise the peer is always ready. */
  #modemLines(): void {
    const s = this.state;
    let lines = MSR_DCD | MSR_DSR | MSR_CTS;
    if (s.mcr & MCR_LOOP) {
      lines = (s.mcr & MCR_RTS ? MSR_CTS : 0) | (s.mcr & MCR_DTR ? MSR_DSR : 0) |
        (s.mcr & MCR_OUT1 ? MSR_RI : 0) | (s.mcr & MCR_OUT2 ? MSR_DCD : 0);
    }
    const changed = (lines ^ s.msr) & 0xf0;
    // TERI records only the trailing edge of RI.
    const teri = changed & MSR_RI && !(lines & MSR_RI) ? MSR_TERI : 0;
    s.msr = lines | (s.msr & MSR_DELTAS) | ((changed >> 4) & ~MSR_TERI) | teri;
    this.#update();
    if (!(s.mcr & MCR_LOOP)) this.#port?.acceptInput();
  }

  #iir(): number {
    const s = this.state;
    const fifo = s.fcr & FCR_ENABLE;
    const level = fifo ? TRIGGER_LEVELS[s.fcr >> 6] : 1;
    let id = IIR_NO_INT;
    if ((s.ier & IER_RLSI) && (this.#lsr() & LSR_ERRORS)) id = IIR_RLSI;
    else if ((s.ier & IER_RDI) && s.rx.length >= level) id = IIR_RDI;
    else if ((s.ier & IER_RDI) && s.timeoutPending && s.rx.length > 0) id = IIR_CTI;
    else if ((s.ier & IER_THRI) && s.threPending) id = IIR_THRI;
    else if ((s.ier & IER_MSI) && (s.msr & MSR_DELTAS)) id = IIR_MSI;
    return id | (fifo ? IIR_FIFO : 0);
  }

  #update(): void {
    this.#irq.set((this.#iir() & IIR_NO_INT) === 0);
  }

  /** Start, data, parity and stop bits of one character. */
  #frameBits(): number {
    const lcr = this.state.lcr;
    return 1 + 5 + (lcr & 3) + (lcr & LCR_PARITY ? 1 : 0) + (lcr & LCR_STOP ? 2 : 1);
  }

  /** Duration of one character in ns. A divisor of 0 counts as 65536, as the counter does. */
  #charTime(): number {
    return (this.state.divisor || 0x10000) * this.#frameBits() * 1e9 / this.#baudBase;
  }

  #setParams(): void {
    const { lcr, divisor } = this.state;
    if (divisor === 0) return;
    this.#port?.setParams({
      speed: Math.floor(this.#baudBase / divisor),
      parity: !(lcr & LCR_PARITY) ? "N" : lcr & LCR_EVEN ? "E" : "O",
      dataBits: 5 + (lcr & 3),
      stopBits: lcr & LCR_STOP ? 2 : 1,
    });
  }

  protected override onReset(): void {
    this.#timeout.cancel();
    this.#txTimer.cancel();
    this.#update();
    this.#port?.acceptInput();
  }

  protected override onLoad(): void {
    const { timeoutAt, txAt } = this.state;
    if (timeoutAt === undefined) this.#timeout.cancel();
    else this.#timeout.arm(timeoutAt);
    if (txAt === undefined) this.#txTimer.cancel();
    else this.#txTimer.arm(txAt);
    this.#setParams();
    this.#update();
  }
}

/** Port base and IRQ of COM1 to COM4. */
export const ISA_SERIAL_PORTS: readonly { iobase: number; irq: number }[] = [
  { iobase: 0x3f8, irq: 4 },
  { iobase: 0x2f8, irq: 3 },
  { iobase: 0x3e8, irq: 4 },
  { iobase: 0x2e8, irq: 3 },
];
