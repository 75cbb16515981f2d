/**
 * Intel 82371SB (PIIX3) PCI-to-ISA bridge, datasheet 290550: function 0. Routes PIRQA–PIRQD to ISA
 * interrupts (PIRQRC, 2.2.9) and resets the machine through CF9h (RC, 2.5.9).
 */
import type { IrqLine } from "../../core/device.ts";
import type { AccessSize } from "../../core/memory/region.ts";
import { PciDevice } from "./pci.ts";
import type { ResetControl } from "./pci_host.ts";
import { PCI_STATUS, PCI_STATUS_DEVSEL_MEDIUM } from "./pci_regs.ts";

const PIRQRCA = 0x60, PIRQRCD = 0x63;
const PIRQ_DISABLE = 0x80;
const RC_CPU_RESET = 0x04, RC_SYSTEM_RESET = 0x02;

/** Registers with a value after power-on that is not 0. */
const POWER_ON: readonly (readonly [number, number])[] = [
  [0x4c, 0x4d], // ISA I/O recovery timer
  [0x4e, 0x03], // X-bus chip select
  [PIRQRCA, PIRQ_DISABLE],
  [PIRQRCA + 1, PIRQ_DISABLE],
  [PIRQRCA + 2, PIRQ_DISABLE],
  [PIRQRCD, PIRQ_DISABLE],
  [0x69, 0x02], // top of memory
  [0x70, 0x80], // motherboard device IRQ route
  [0x76, 0x0c],
  [0x77, 0x0c], // motherboard device DMA
  [0x78, 0x02], // programmable chip select
  [0xa0, 0x08], // SMI control
  [0xa8, 0x0f],
];

export interface Piix3State {
  /** Levels of PIRQA–PIRQD as bits 0–3. */
  pirqLevels: number;
  resetControl: number;
}

export class Piix3 extends PciDevice<Piix3State> implements ResetControl {
  override readonly type = "PIIX3";
  /** Inputs for the host bridge. */
  readonly pirq: readonly IrqLine[];
  #driven = 0;

  /**
   * @param irqs the 16 ISA interrupt lines as seen by a device that shares them
   * @param requestReset what a write of bit 2 to CF9h does
   */
  constructor(
    private readonly irqs: readonly IrqLine[],
    private readonly requestReset: () => void,
  ) {
    super(
      { vendor: 0x8086, device: 0x7000, classCode: 0x060100 },
      () => ({ pirqLevels: 0, resetControl: 0 }),
    );
    this.setMultifunction();
    this.initConfig16(PCI_STATUS, PCI_STATUS_DEVSEL_MEDIUM);
    for (const [at, value] of POWER_ON) this.initConfig8(at, value);
    this.pirq = [0, 1, 2, 3].map((n) => ({ set: (level) => this.#setPirq(n, level) }));
  }

  /** The ISA interrupt PIRQ `n` is routed to, or undefined when disabled. */
  route(n: number): number | undefined {
    const r = this.config[PIRQRCA + n];
    return r & PIRQ_DISABLE || r > 15 ? undefined : r;
  }

  #setPirq(n: number, level: boolean): void {
    const s = this.state;
    s.pirqLevels = level ? s.pirqLevels | (1 << n) : s.pirqLevels & ~(1 << n);
    this.#drive();
  }

  #drive(): void {
    let driven = 0;
    for (let n = 0; n < 4; n++) {
      const irq = this.route(n);
      if (irq !== undefined && (this.state.pirqLevels & (1 << n))) driven |= 1 << irq;
    }
    const changed = driven ^ this.#driven;
    this.#driven = driven;
    for (let irq = 0; irq < 16; irq++) {
      if (changed & (1 << irq)) this.irqs[irq].set((driven & (1 << irq)) !== 0);
    }
  }

  read(): number {
    return this.state.resetControl;
  }

  write(value: number): void {
    this.state.resetControl = value & RC_SYSTEM_RESET;
    if (value & RC_CPU_RESET) this.requestReset();
  }

  protected override onConfigWrite(offset: number, size: AccessSize): void {
    if (offset <= PIRQRCD && offset + size > PIRQRCA) this.#drive();
  }

  protected override onReset(): void {
    this.#drive();
  }

  protected override onLoad(): void {
    this.#drive();
  }
}
