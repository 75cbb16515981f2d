/**
 * The PC's coprocessor error latch: FERR# of the processor to IRQ 13, and port F0h, which clears the
 * interrupt and asserts IGNNE# until the error is gone. Intel SDM volume 1, appendix D, figure D-1;
 * in a PIIX3 or ICH9 it is part of the south bridge (register "Coprocessor Error").
 */
import type { FpuErrorLine } from "../../core/accel.ts";
import { type IrqLine, StatefulDevice } from "../../core/device.ts";
import { ioRegion } from "../../core/memory/region.ts";

interface LatchState {
  /** FERR# is asserted. */
  ferr: boolean;
  /** The latch behind FERR#'s edge: drives IRQ 13. */
  irq: boolean;
  ignne: boolean;
}

export class FpuErrorLatch extends StatefulDevice<LatchState> implements FpuErrorLine {
  readonly type = "ioportF0";
  /** One port, F0h. */
  readonly region = ioRegion("ioportF0", 1, {
    read: () => 0xff,
    write: () => this.#acknowledge(),
  });

  /** @param irq interrupt request 13 */
  constructor(private readonly irq: IrqLine) {
    super(() => ({ ferr: false, irq: false, ignne: false }));
  }

  raise(): boolean {
    const s = this.state;
    if (!s.ferr) {
      s.ferr = s.irq = true;
      this.irq.set(true);
    }
    return s.ignne;
  }

  clear(): void {
    this.state.ferr = this.state.ignne = false;
  }

  #acknowledge(): void {
    const s = this.state;
    s.irq = false;
    this.irq.set(false);
    s.ignne = s.ferr;
  }

  protected override onReset(): void {
    this.irq.set(false);
  }
  protected override onLoad(): void {
    this.irq.set(this.state.irq);
  }
}
