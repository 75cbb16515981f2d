/** Port 92h: system control port A of the PS/2, with fast A20 and fast reset (PIIX3, 2.5.7). */
import { StatefulDevice } from "../../core/device.ts";
import { type IoRegion, ioRegion } from "../../core/memory/region.ts";

const FAST_INIT = 0x01, A20 = 0x02;

export interface Port92Hooks {
  /** The A20 bit has been written. The board combines it with the keyboard controller's. */
  a20(enabled: boolean): void;
  /** Bit 0 has gone from 0 to 1: reset the processors, or the machine as QEMU does. */
  reset(): void;
}

export interface Port92State {
  outport: number;
}

export class Port92 extends StatefulDevice<Port92State> {
  readonly type = "port92";
  readonly port: IoRegion = ioRegion("port92", 1, {
    maxAccess: 1,
    read: () => this.state.outport,
    write: (_offset, _size, value) => {
      const rises = (value & ~this.state.outport & FAST_INIT) !== 0;
      this.state.outport = value;
      this.#hooks.a20((value & A20) !== 0);
      if (rises) this.#hooks.reset();
    },
  });
  readonly #hooks: Port92Hooks;

  constructor(hooks: Port92Hooks) {
    super(() => ({ outport: 0 }));
    this.#hooks = hooks;
  }

  protected override onLoad(): void {
    this.#hooks.a20((this.state.outport & A20) !== 0);
  }
}
