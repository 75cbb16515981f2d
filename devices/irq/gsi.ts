/**
 * Global system interrupts of a PC: each IRQ wire fans out to the 8259 pair and to the I/O APIC,
 * and guests listen to whichever they have set up (ACPI specification, 5.2.13). GSI 0–15 are the
 * ISA IRQs, with IRQ 0 on I/O APIC pin 2; GSI 16–23 reach the I/O APIC only.
 *
 * A board resets and loads its interrupt controllers after the devices that drive them (8259s, then
 * I/O APIC, then local APICs): a source that changes state moves its line, and the controller's own
 * state must have the last word.
 */
import type { IrqLine } from "../../core/device.ts";
import type { I8259 } from "./i8259.ts";
import { type IoApic, IOAPIC_PINS } from "./ioapic.ts";

export class GsiRouter {
  /** Sources that hold each GSI high. */
  readonly #raised: number[] = new Array(IOAPIC_PINS).fill(0);
  /** Rising edges on each GSI, for the I/O APIC's part of `info irq`, which counts before routing. */
  readonly counts: number[] = new Array(IOAPIC_PINS).fill(0);

  /** @param ioapic left out on machines without one */
  constructor(private readonly pic: I8259, private readonly ioapic?: IoApic) {}

  /**
   * A new source on GSI `n` (0–23). Several sources of one GSI are OR-ed, as PCI interrupts that
   * share a wire are.
   */
  line(n: number): IrqLine {
    let mine = false;
    return {
      set: (level) => {
        if (level === mine) return;
        mine = level;
        this.#raised[n] += level ? 1 : -1;
        if (this.#raised[n] === (level ? 1 : 0)) this.#drive(n, level);
      },
    };
  }

  #drive(n: number, level: boolean): void {
    if (level) this.counts[n]++;
    if (n < 16) this.pic.input(n).set(level);
    // Pin 2 is IRQ 0's, and the HPET's when it is routed there: on the 8259s IRQ 2 is the cascade.
    if (n === 0 || n === 2) this.ioapic?.pin(2).set(this.#raised[0] + this.#raised[2] > 0);
    else this.ioapic?.pin(n).set(level);
  }
}
