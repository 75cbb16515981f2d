/**
 * QEMU's `pc-testdev`, the helper of KVM's unit tests: four scratch bytes at E0h, seen also at E8h
 * where they are taken one by one, a register that takes page addresses at E4h, interrupt lines at 2000h, 64 KiB of scratch memory at FF000000h.
 */
import type { DeviceState, IrqLine } from "../../core/device.ts";
import { StatefulDevice } from "../../core/device.ts";
import type { AddressSpace } from "../../core/memory/address_space.ts";
import { ioRegion } from "../../core/memory/region.ts";

const IRQ_LINES = 24;
const MEMORY_SIZE = 0x10000, MEMORY_BASE = 0xff000000;

export interface PcTestDevState {
  port: number;
  memory: Uint8Array;
  levels: boolean[];
}

export class PcTestDev extends StatefulDevice<PcTestDevState> {
  override readonly type = "pc-testdev";
  readonly #lines: readonly IrqLine[];

  /** @param line gives a source on a global system interrupt (0–23) */
  constructor(line: (gsi: number) => IrqLine) {
    super(() => ({
      port: 0,
      memory: new Uint8Array(MEMORY_SIZE),
      levels: new Array<boolean>(IRQ_LINES).fill(false),
    }));
    this.#lines = Array.from({ length: IRQ_LINES }, (_, n) => line(n));
  }

  map(mem: AddressSpace, io: AddressSpace): void {
    const mask = (size: number) => 0xffffffff >>> (32 - 8 * size);
    const scratch = {
      read: (offset: number, size: number) => (this.state.port >>> (8 * offset)) & mask(size),
      write: (offset: number, size: number, value: number) => {
        const lanes = mask(size) << (8 * offset);
        this.state.port = ((this.state.port & ~lanes) | (value << (8 * offset))) >>> 0;
      },
    };
    io.map(ioRegion("pc-testdev-ioport", 4, scratch), 0xe0);
    io.map(ioRegion("pc-testdev-flush-page", 4, { read: () => 0, write: () => {} }), 0xe4);
    io.map(ioRegion("pc-testdev-ioport-byte", 4, { ...scratch, maxAccess: 1 }), 0xe8);
    io.map(
      ioRegion("pc-testdev-irq-line", IRQ_LINES, {
        maxAccess: 1,
        read: () => 0,
        write: (offset, _size, value) => {
          this.state.levels[offset] = value !== 0;
          this.#lines[offset].set(value !== 0);
        },
      }),
      0x2000,
    );
    mem.map(
      ioRegion("pc-testdev-iomem", MEMORY_SIZE, {
        maxAccess: 1,
        read: (offset) => this.state.memory[offset],
        write: (offset, _size, value) => {
          this.state.memory[offset] = value;
        },
      }),
      MEMORY_BASE,
      -0.9,
    );
  }

  #drive(): void {
    this.#lines.forEach((l, n) => l.set(this.state.levels[n]));
  }

  protected override onReset(): void {
    this.#drive();
  }

  override load(state: DeviceState): void {
    super.load(state);
    this.#drive();
  }
}
