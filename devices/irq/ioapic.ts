/**
 * The 82093AA I/O APIC (datasheet 290566) with 24 inputs, version 20h as QEMU's default: that is
 * the ICH variant, whose EOI register ends level interrupts directly (82801DB datasheet, 9.5.5).
 */
import { type IrqLine, StatefulDevice } from "../../core/device.ts";
import { log } from "../../core/log.ts";
import { type IoRegion, ioRegion } from "../../core/memory/region.ts";
import { Delivery } from "./lapic_registers.ts";

export const IOAPIC_PINS = 24;

const IOREGSEL = 0x00, IOWIN = 0x10, EOIR = 0x40;
const IOAPICID = 0x00, IOAPICVER = 0x01, IOAPICARB = 0x02, IOREDTBL = 0x10;

/** Bits of a redirection entry's low half. */
export const Redirection = {
  vector: 0xff,
  deliveryMode: 0x700,
  logical: 0x800,
  deliveryStatus: 0x1000,
  activeLow: 0x2000,
  remoteIrr: 0x4000,
  level: 0x8000,
  masked: 0x10000,
} as const;

/** Where messages go and EOIs come from: an `ApicBus`, or local APICs inside the accelerator. */
export interface IoApicBus {
  /** Whether some processor took it. Parameters as a redirection entry has them. */
  deliver(dest: number, logical: boolean, mode: number, vector: number, level: boolean): boolean;
  /** `f` is called with the vector of every level-triggered interrupt that a processor has ended. */
  onEoi(f: (vector: number) => void): void;
}

export interface IoApicState {
  /** IOAPICID, bits 27–24. */
  id: number;
  ioregsel: number;
  /** Redirection entries, low and high halves. */
  low: number[];
  high: number[];
  /** Requests: latched edges, and levels as they are. Bit n for pin n. */
  irr: number;
  /** Levels of the pins. */
  lines: number;
}

export class IoApic extends StatefulDevice<IoApicState> {
  readonly type = "ioapic";
  readonly region: IoRegion = ioRegion("ioapic", 0x1000, {
    minAccess: 4,
    read: (offset) => this.#read(offset),
    write: (offset, _size, value) => this.#write(offset, value),
  });
  readonly #pins: IrqLine[];
  readonly #bus: IoApicBus;

  /**
   * @param bus carries the messages to the local APICs and their EOIs back
   * @param version as IOAPICVER shows it
   */
  constructor(bus: IoApicBus, readonly version = 0x20) {
    super(() => ({
      id: 0,
      ioregsel: 0,
      low: new Array(IOAPIC_PINS).fill(Redirection.masked),
      high: new Array(IOAPIC_PINS).fill(0),
      irr: 0,
      lines: 0,
    }));
    this.#bus = bus;
    this.#pins = Array.from({ length: IOAPIC_PINS }, (_, n) => ({
      set: (level: boolean) => this.#set(n, level),
    }));
    bus.onEoi((vector) => this.eoi(vector));
  }

  /** Input INTIN`n`, 0–23. High is asserted whatever the entry's polarity says, as on QEMU. */
  pin(n: number): IrqLine {
    return this.#pins[n];
  }

  /** A processor has ended the level-triggered `vector`. */
  eoi(vector: number): void {
    const { low } = this.state;
    for (let n = 0; n < IOAPIC_PINS; n++) {
      const e = low[n];
      if ((e & 0xff) !== vector || !(e & Redirection.level) || !(e & Redirection.remoteIrr)) {
        continue;
      }
      low[n] = e & ~Redirection.remoteIrr;
      this.#service(n);
    }
  }

  /** Levels on the pins outlive a reset: they are their drivers'. */
  override reset(): void {
    const lines = this.state.lines;
    super.reset();
    this.state.lines = lines;
  }

  #set(n: number, level: boolean): void {
    const s = this.state, bit = 1 << n, was = (s.lines & bit) !== 0;
    if (level === was) return;
    s.lines ^= bit;

    const e = s.low[n];
    if (e & Redirection.level) {
      s.irr = level ? s.irr | bit : s.irr & ~bit;
    } else {
      // An edge on a masked pin is lost (82093AA, 3.2.4).
      if (!level || e & Redirection.masked) return;
      s.irr |= bit;
    }
    this.#service(n);
  }

  #service(n: number): void {
    const s = this.state, bit = 1 << n, e = s.low[n];
    if (!(s.irr & bit) || e & Redirection.masked) return;
    const mode = (e & Redirection.deliveryMode) >> 8;
    // SMI, NMI, INIT and ExtINT are edges even if the entry says level.
    const level = (e & Redirection.level) !== 0 && mode <= Delivery.lowestPriority;
    if (level && e & Redirection.remoteIrr) return;
    if (!level) s.irr &= ~bit;
    if (mode === Delivery.startup || mode === 3) {
      log("guest_errors", `ioapic: reserved delivery mode ${mode} on pin ${n}`);
      return;
    }
    const logical = (e & Redirection.logical) !== 0, dest = s.high[n] >>> 24;
    const taken = this.#bus.deliver(dest, logical, mode, e & 0xff, level);
    if (level && taken) s.low[n] |= Redirection.remoteIrr;
  }

  #read(offset: number): number {
    const s = this.state;
    if (offset === IOREGSEL) return s.ioregsel;
    if (offset !== IOWIN) return 0;
    switch (s.ioregsel) {
      case IOAPICID:
      case IOAPICARB:
        return s.id;
      case IOAPICVER:
        return this.version | (IOAPIC_PINS - 1) << 16;
    }
    const n = (s.ioregsel - IOREDTBL) >> 1;
    if (n < 0 || n >= IOAPIC_PINS) {
      log("guest_errors", `ioapic: read of register 0x${s.ioregsel.toString(16)}`);
      return 0;
    }
    return s.ioregsel & 1 ? s.high[n] : s.low[n];
  }

  #write(offset: number, value: number): void {
    const s = this.state;
    if (offset === IOREGSEL) s.ioregsel = value & 0xff;
    else if (offset === EOIR) this.eoi(value & 0xff);
    else if (offset === IOWIN) this.#writeWindow(value);
  }

  #writeWindow(value: number): void {
    const s = this.state;
    if (s.ioregsel === IOAPICID) {
      s.id = value & 0x0f000000;
      return;
    }
    if (s.ioregsel === IOAPICVER || s.ioregsel === IOAPICARB) return;
    const n = (s.ioregsel - IOREDTBL) >> 1;
    if (n < 0 || n >= IOAPIC_PINS) {
      log("guest_errors", `ioapic: write of register 0x${s.ioregsel.toString(16)}`);
      return;
    }
    if (s.ioregsel & 1) {
      s.high[n] = value;
      return;
    }
    const readOnly = Redirection.remoteIrr | Redirection.deliveryStatus, was = s.low[n];
    let e = (value & 0x1ffff & ~readOnly) | (was & readOnly);
    // Turning an entry to edge drops its remote IRR: how software ends a stuck level interrupt.
    if (!(e & Redirection.level)) e &= ~Redirection.remoteIrr;
    s.low[n] = e;
    const bit = 1 << n;
    if (e & Redirection.level) s.irr = (s.irr & ~bit) | (s.lines & bit);
    else if (was & Redirection.level) s.irr &= ~bit;
    this.#service(n);
  }
}
