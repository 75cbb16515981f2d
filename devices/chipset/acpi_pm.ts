/**
 * ACPI fixed hardware registers: PM1 event and control blocks, power management timer, general purpose
 * event block 0. ACPI Specification 6.3, sections 4.8.3 and 4.8.4.
 */
import type { Clock, Timer } from "../../core/clock.ts";
import type { IrqLine } from "../../core/device.ts";
import { ioRegion } from "../../core/memory/region.ts";

/** Hz. */
export const PM_TIMER_FREQUENCY = 3579545;
const TIMER_MASK = 0xffffff;
/** TMR_STS is set whenever this bit of the timer changes. */
const TIMER_HALF = 0x800000;

export const PM1_TMR = 0x0001, PM1_GBL = 0x0020, PM1_PWRBTN = 0x0100, PM1_RTC = 0x0400;
const PM1_BM = 0x0010, PM1_SLPBTN = 0x0200, PM1_WAK = 0x8000;
const STS_W1C = PM1_TMR | PM1_BM | PM1_GBL | PM1_PWRBTN | PM1_SLPBTN | PM1_RTC | PM1_WAK;
const SCI_SOURCES = PM1_TMR | PM1_GBL | PM1_PWRBTN | PM1_SLPBTN | PM1_RTC;
const CNT_SCI_EN = 0x0001, CNT_SLP_EN = 0x2000, CNT_SLP_TYP_SHIFT = 10;

export interface AcpiPmState {
  pm1Sts: number;
  pm1En: number;
  pm1Cnt: number;
  gpeSts: number;
  gpeEn: number;
  /** When the timer's bit 23 changes next (ns), once somebody has asked for TMR_STS. */
  overflowAt: number;
}

export interface AcpiPmOptions {
  readonly clock: Clock;
  readonly sci: IrqLine;
  /** SLP_EN was written with this SLP_TYP. */
  readonly sleep: (type: number) => void;
}

export function initialAcpiPm(): AcpiPmState {
  return { pm1Sts: 0, pm1En: 0, pm1Cnt: 0, gpeSts: 0, gpeEn: 0, overflowAt: 0 };
}

/** The registers, independent of where a chip set puts them. */
export class AcpiPm {
  readonly eventRegion = ioRegion("acpi-evt", 4, {
    minAccess: 2,
    maxAccess: 2,
    read: (offset) => offset === 0 ? this.#readSts() : this.state.pm1En,
    write: (offset, _size, value) => {
      if (offset === 0) this.#clearSts(value);
      else {
        this.state.pm1En = value;
        this.update();
      }
    },
  });
  readonly controlRegion = ioRegion("acpi-cnt", 2, {
    minAccess: 2,
    maxAccess: 2,
    read: () => this.state.pm1Cnt,
    write: (_offset, _size, value) => this.#writeCnt(value),
  });
  readonly timerRegion = ioRegion("acpi-tmr", 4, {
    minAccess: 4,
    read: () => this.timerValue,
    write: () => {},
  });
  /** Two status bytes, two enable bytes. */
  readonly gpeRegion = ioRegion("acpi-gpe0", 4, {
    maxAccess: 1,
    read: (offset) =>
      (offset < 2 ? this.state.gpeSts >> (8 * offset) : this.state.gpeEn >> (8 * (offset - 2))) &
      0xff,
    write: (offset, _size, value) => this.#writeGpe(offset, value),
  });

  state = initialAcpiPm();
  readonly #timer: Timer;

  constructor(private readonly opts: AcpiPmOptions) {
    this.#timer = opts.clock.timer(() => this.update());
  }

  /** Ticks of the free-running counter since power-on. */
  #ticks(): number {
    const ns = this.opts.clock.now();
    const s = Math.floor(ns / 1e9);
    return s * PM_TIMER_FREQUENCY + Math.floor((ns - s * 1e9) * PM_TIMER_FREQUENCY / 1e9);
  }

  /** The 24-bit timer as the guest reads it. */
  get timerValue(): number {
    return this.#ticks() % (TIMER_MASK + 1);
  }

  #nextOverflow(): number {
    const half = Math.floor(this.#ticks() / TIMER_HALF) + 1;
    return Math.ceil(half * TIMER_HALF / PM_TIMER_FREQUENCY * 1e9);
  }

  #readSts(): number {
    if (this.opts.clock.now() >= this.state.overflowAt) this.state.pm1Sts |= PM1_TMR;
    return this.state.pm1Sts;
  }

  #clearSts(value: number): void {
    const s = this.state;
    if (this.#readSts() & value & PM1_TMR) s.overflowAt = this.#nextOverflow();
    s.pm1Sts &= ~(value & STS_W1C);
    this.update();
  }

  #writeCnt(value: number): void {
    this.state.pm1Cnt = value & ~CNT_SLP_EN;
    if (value & CNT_SLP_EN) this.opts.sleep((value >> CNT_SLP_TYP_SHIFT) & 7);
  }

  #writeGpe(offset: number, value: number): void {
    const s = this.state, shift = 8 * (offset & 1);
    if (offset < 2) s.gpeSts &= ~(value << shift);
    else s.gpeEn = (s.gpeEn & ~(0xff << shift)) | (value << shift);
    this.update();
  }

  /** Drives SCI and arms the timer for the next TMR_STS if that interrupts. */
  update(): void {
    const s = this.state;
    const pm1 = this.#readSts() & s.pm1En & SCI_SOURCES;
    this.opts.sci.set(pm1 !== 0 || (s.gpeSts & s.gpeEn) !== 0);
    if ((s.pm1En & PM1_TMR) && !(s.pm1Sts & PM1_TMR)) this.#timer.arm(s.overflowAt);
    else this.#timer.cancel();
  }

  /** Sets general purpose event `n` (0–15). */
  raiseGpe(n: number): void {
    this.state.gpeSts |= 1 << n;
    this.update();
  }

  /** A press of the power button: seen by a guest that has enabled it. */
  powerButton(): void {
    if (this.state.pm1En & PM1_PWRBTN) {
      this.state.pm1Sts |= PM1_PWRBTN;
      this.update();
    }
  }

  /** Whether the guest listens to the power button. */
  get powerButtonEnabled(): boolean {
    return (this.state.pm1En & PM1_PWRBTN) !== 0;
  }

  /** The machine has left S3, because of the power button, the alarm, or something else. */
  wake(cause: "power-button" | "rtc" | "other"): void {
    this.state.pm1Sts |= PM1_WAK |
      (cause === "rtc" ? PM1_RTC : PM1_PWRBTN);
    this.update();
  }

  /** SCI_EN: whether the operating system (rather than SMM) owns power management. */
  setAcpiEnabled(on: boolean): void {
    this.state.pm1Cnt = on ? this.state.pm1Cnt | CNT_SCI_EN : this.state.pm1Cnt & ~CNT_SCI_EN;
  }

  reset(): void {
    this.state = initialAcpiPm();
    this.state.overflowAt = this.#nextOverflow();
    this.#timer.cancel();
    this.update();
  }

  load(state: AcpiPmState): void {
    this.state = structuredClone(state);
    this.update();
  }
}
