/** `isa-vga`: the standard VGA of machines without PCI, with its framebuffer at E0000000. */
import type { Clock } from "../../core/clock.ts";
import { StatefulDevice } from "../../core/device.ts";
import type { DirtyLog } from "../../core/display/dirty.ts";
import type { DisplaySource, TextScreen } from "../../core/display/display.ts";
import type { Picture } from "../../core/display/picture.ts";
import type { AddressSpace } from "../../core/memory/address_space.ts";
import type { RamBlock } from "../../core/memory/guest_memory.ts";
import { Vga } from "./vga.ts";
import { mapLegacyVga } from "./vga_legacy.ts";
import { initialVgaState, type VgaState } from "./vga_state.ts";

/** Where an ISA card's linear framebuffer is. */
export const ISA_VGA_FRAMEBUFFER = 0xe0000000;

export interface IsaVgaOptions {
  readonly mem: AddressSpace;
  readonly io: AddressSpace;
  readonly clock: Clock;
  /** Display memory: QEMU's default is 8 MiB for `isa-vga`. */
  readonly vram: RamBlock;
  /** Tells what the guest writes to display memory; without it pictures are compared. */
  readonly dirtyLog?: DirtyLog;
}

export class IsaVga extends StatefulDevice<VgaState> implements DisplaySource {
  override readonly type: string = "isa-vga";
  readonly vga: Vga;

  constructor(o: IsaVgaOptions) {
    super(initialVgaState);
    this.vga = new Vga(o.vram, o.clock, o.dirtyLog?.watch(o.vram));
    this.vga.adopt(this.state);
    mapLegacyVga(this.vga, o.mem, o.io);
    o.mem.map(this.vga.framebuffer, ISA_VGA_FRAMEBUFFER);
  }

  surface(): Picture {
    return this.vga.surface();
  }

  text(): TextScreen | undefined {
    return this.vga.text();
  }

  protected override onReset(): void {
    this.vga.adopt(this.state);
  }

  protected override onLoad(): void {
    this.vga.adopt(this.state);
  }
}
