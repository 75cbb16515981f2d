/**
 * TCO watchdog of the ICH9, datasheet 316972, 13.9: a countdown in ticks of 0.6 s that resets the
 * machine when it runs out twice, unless the NO_REBOOT strap is set.
 */
import type { Clock, Timer } from "../../core/clock.ts";
import { ioRegion } from "../../core/memory/region.ts";

const TCO_RLD = 0x00, TCO_DAT_IN = 0x02, TCO_DAT_OUT = 0x03, TCO1_STS = 0x04, TCO2_STS = 0x06;
const TCO1_CNT = 0x08, TCO2_CNT = 0x0a, TCO_MESSAGE1 = 0x0c, TCO_MESSAGE2 = 0x0d, TCO_WDCNT = 0x0e;
const SW_IRQ_GEN = 0x10, TCO_TMR = 0x12;
const STS_TIMEOUT = 0x0008, STS_SW_TCO_SMI = 0x0002, STS_TCO_INT = 0x0004;
const STS2_SECOND_TO = 0x0002, STS2_BOOT = 0x0004;
const CNT_LOCK = 0x1000, CNT_HALT = 0x0800;
/** ns. */
const TICK = 600_000_000;
const TIMER_MASK = 0x3ff;

export interface TcoState {
  reload: number;
  dataIn: number;
  dataOut: number;
  sts1: number;
  sts2: number;
  cnt1: number;
  cnt2: number;
  message1: number;
  message2: number;
  wdcnt: number;
  swIrqGen: number;
  timer: number;
  /** When the countdown ends next (ns), -1 while it is halted. */
  expires: number;
  /** It has run out once already. */
  second: boolean;
}

export function initialTco(): TcoState {
  return {
    reload: 0,
    dataIn: 0,
    dataOut: 0,
    sts1: 0,
    sts2: 0,
    cnt1: 0,
    cnt2: 0x0008,
    message1: 0,
    message2: 0,
    wdcnt: 0,
    swIrqGen: 0x03,
    timer: 0x0004,
    expires: -1,
    second: false,
  };
}

export interface TcoOptions {
  readonly clock: Clock;
  /** Resets the machine; not called while NO_REBOOT is set. */
  readonly reset: () => void;
  /** GCS bit 5. */
  readonly noReboot: () => boolean;
  /** TCO interrupts as SMI: sets TCO_STS and raises SMI if enabled. */
  readonly smi: () => void;
}

export class Tco {
  state = initialTco();
  readonly #timer: Timer;
  readonly region = ioRegion("sm-tco", 32, {
    minAccess: 1,
    maxAccess: 4,
    read: (offset, size) => this.#gather(offset, size),
    write: (offset, size, value) => this.#scatter(offset, size, value),
  });

  constructor(private readonly o: TcoOptions) {
    this.#timer = o.clock.timer(() => this.#expired());
  }

  /** Fields are 1 or 2 bytes wide; wider accesses cover several. */
  #gather(offset: number, size: number): number {
    let value = 0;
    for (let i = 0; i < size; i++) {
      const at = offset + i, field = FIELD_OF[at] ?? at;
      value += ((this.#read(field) >> (8 * (at - field))) & 0xff) * 2 ** (8 * i);
    }
    return value;
  }

  #scatter(offset: number, size: number, value: number): void {
    for (let i = 0; i < size;) {
      const at = offset + i, field = FIELD_OF[at] ?? at;
      const whole = FIELD_OF[at + 1] === at && i + 1 < size;
      const byte = (value >>> (8 * i)) & 0xff;
      if (whole) this.#write(at, (value >>> (8 * i)) & 0xffff);
      else {
        // Half a field: the other half as it is, and for bits that writing clears, zero.
        const shift = 8 * (at - field);
        const rest = W1C.has(field) ? 0 : this.#read(field) & ~(0xff << shift);
        this.#write(field, rest | (byte << shift));
      }
      i += whole ? 2 : 1;
    }
  }

  #read(field: number): number {
    const s = this.state;
    switch (field) {
      case TCO_RLD:
        return s.expires < 0
          ? s.reload
          : Math.max(0, Math.ceil((s.expires - this.o.clock.now()) / TICK)) & TIMER_MASK;
      case TCO_DAT_IN:
        return s.dataIn;
      case TCO_DAT_OUT:
        return s.dataOut;
      case TCO1_STS:
        return s.sts1;
      case TCO2_STS:
        return s.sts2;
      case TCO1_CNT:
        return s.cnt1;
      case TCO2_CNT:
        return s.cnt2;
      case TCO_MESSAGE1:
        return s.message1;
      case TCO_MESSAGE2:
        return s.message2;
      case TCO_WDCNT:
        return s.wdcnt;
      case SW_IRQ_GEN:
        return s.swIrqGen;
      case TCO_TMR:
        return s.timer;
      default:
        return 0;
    }
  }

  #write(field: number, value: number): void {
    const s = this.state;
    switch (field) {
      case TCO_RLD: // any write: start over
        s.second = false;
        if ((s.cnt1 & CNT_HALT) === 0) this.#start();
        break;
      case TCO_DAT_IN:
        s.dataIn = value & 0xff;
        s.sts1 |= STS_SW_TCO_SMI;
        this.o.smi();
        break;
      case TCO_DAT_OUT:
        s.dataOut = value & 0xff;
        s.sts1 |= STS_TCO_INT;
        break;
      case TCO1_STS:
        s.sts1 &= ~value;
        break;
      case TCO2_STS:
        s.sts2 &= ~value;
        if (value & STS2_SECOND_TO) s.second = false;
        break;
      case TCO1_CNT: {
        const locked = s.cnt1 & CNT_LOCK;
        s.cnt1 = (value & (CNT_LOCK | CNT_HALT | 0x0300)) | locked;
        if (value & CNT_HALT) this.#halt();
        else if (s.expires < 0) this.#start();
        break;
      }
      case TCO2_CNT:
        s.cnt2 = value & 0x3f;
        break;
      case TCO_MESSAGE1:
        s.message1 = value & 0xff;
        break;
      case TCO_MESSAGE2:
        s.message2 = value & 0xff;
        break;
      case TCO_WDCNT:
        s.wdcnt = value & 0xff;
        break;
      case SW_IRQ_GEN:
        s.swIrqGen = value & 0x03;
        break;
      case TCO_TMR:
        s.timer = value & TIMER_MASK;
        break;
    }
  }

  #start(): void {
    const s = this.state;
    s.reload = s.timer;
    s.expires = this.o.clock.now() + Math.max(2, s.timer) * TICK;
    this.#timer.arm(s.expires);
  }

  #halt(): void {
    const s = this.state;
    if (s.expires >= 0) s.reload = this.#read(TCO_RLD);
    s.expires = -1;
    this.#timer.cancel();
  }

  #expired(): void {
    const s = this.state;
    s.sts1 |= STS_TIMEOUT;
    if (!s.second) {
      s.second = true;
      this.#start();
      this.o.smi();
      return;
    }
    s.second = false;
    s.sts2 |= STS2_SECOND_TO | STS2_BOOT;
    s.expires = -1;
    if (!this.o.noReboot()) this.o.reset();
  }

  reset(): void {
    this.state = initialTco();
    this.#timer.cancel();
  }

  load(state: TcoState): void {
    this.state = structuredClone(state);
    if (this.state.expires >= 0) this.#timer.arm(this.state.expires);
    else this.#timer.cancel();
  }
}

/** First byte of the two-byte fields, by the offset of each of their bytes. */
const FIELD_OF: Record<number, number> = {};
for (const at of [TCO_RLD, TCO1_STS, TCO2_STS, TCO1_CNT, TCO2_CNT, TCO_TMR]) {
  FIELD_OF[at] = FIELD_OF[at + 1] = at;
}
const W1C = new Set([TCO1_STS, TCO2_STS]);
