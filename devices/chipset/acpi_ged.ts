/**
 * ACPI generic event device of a hardware-reduced machine (ACPI Specification 6.3, 5.6.9), as QEMU's
 * `acpi-ged-x86` has it: an event selector that a read clears, and sleep and reset registers (4.8.3.7,
 * 4.8.3.6). Interrupts come as pulses.
 */
import { type IrqLine, StatefulDevice } from "../../core/device.ts";
import { log } from "../../core/log.ts";
import { ioRegion } from "../../core/memory/region.ts";

/** Bits of the event selector. */
export const GedEvent = { powerDown: 2 } as const;
/** Offsets of the registers, and what they take. */
const SLEEP_CONTROL = 0, RESET = 2, SLP_TYP_SHIFT = 2, SLP_EN = 0x20;
export const GED_S5 = 5, GED_RESET_VALUE = 0x42;

export interface GedState {
  selector: number;
}

export interface GedHost {
  readonly irq: IrqLine;
  onReset(): void;
  onPowerOff(): void;
}

export class AcpiGed extends StatefulDevice<GedState> {
  override readonly type = "acpi-ged-x86";
  readonly events = ioRegion("acpi-ged", 4, {
    read: (offset) => {
      if (offset !== 0) return 0;
      const { selector } = this.state;
      this.state.selector = 0;
      return selector;
    },
    write: () => {},
  });
  readonly registers = ioRegion("acpi-ged-regs", 3, {
    maxAccess: 1,
    read: () => 0,
    write: (offset, _size, value) => this.#write(offset, value),
  });

  constructor(private readonly host: GedHost) {
    super(() => ({ selector: 0 }));
  }

  #write(offset: number, value: number): void {
    if (offset === RESET && value === GED_RESET_VALUE) return this.host.onReset();
    if (offset !== SLEEP_CONTROL || !(value & SLP_EN)) return;
    const type = (value >> SLP_TYP_SHIFT) & 7;
    if (type === GED_S5) this.host.onPowerOff();
    else log("guest_errors", `acpi-ged: sleep type ${type}`);
  }

  /** Shows the guest an event: {@link GedEvent}. */
  send(event: number): void {
    this.state.selector |= event;
    this.host.irq.set(true);
    this.host.irq.set(false);
  }
}
