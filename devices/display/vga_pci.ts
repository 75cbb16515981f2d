/**
 * `VGA`: QEMU's standard PCI VGA, 1234:1111. BAR 0 is display memory, BAR 2 the registers without
 * ports (QEMU docs/specs/standard-vga): EDID at 0, 3C0–3DF at 400h, DISPI at 500h, QEMU's at 600h.
 */
import type { Clock } from "../../core/clock.ts";
import type { DirtyLog, DirtyPages } from "../../core/display/dirty.ts";
import type { DisplaySource, TextScreen } from "../../core/display/display.ts";
import type { Picture } from "../../core/display/picture.ts";
import type { AddressSpace } from "../../core/memory/address_space.ts";
import type { RamBlock } from "../../core/memory/guest_memory.ts";
import { type AccessSize, ioRegion } from "../../core/memory/region.ts";
import { PciDevice } from "../chipset/pci.ts";
import { type EdidOptions, makeEdid } from "./edid.ts";
import { Vga } from "./vga.ts";
import { mapLegacyVga } from "./vga_legacy.ts";
import { initialVgaState, type VgaState } from "./vga_state.ts";

const MMIO_SIZE = 0x1000;
const MMIO_VGA = 0x400, MMIO_DISPI = 0x500, MMIO_QEMU = 0x600;
/** QEMU extended register 1: byte order of the framebuffer. */
const LITTLE_ENDIAN = 0x1e1e1e1e;

export interface PciVgaOptions {
  /** The spaces the legacy ports and the A0000 window are placed in. */
  readonly mem: AddressSpace;
  readonly io: AddressSpace;
  readonly clock: Clock;
  /** Display memory; `vgamem_mb` MiB, default 16. */
  readonly vram: RamBlock;
  /** Expansion ROM: the VGA BIOS and the block it goes to, of `romSize(image.length)` bytes. */
  readonly rom?: { readonly block: RamBlock; readonly image: Uint8Array };
  readonly edid?: EdidOptions | false;
  /** Tells what the guest writes to display memory; without it pictures are compared. */
  readonly dirtyLog?: DirtyLog;
}

export class PciVga extends PciDevice<VgaState> implements DisplaySource {
  override readonly type: string = "VGA";
  readonly vga: Vga;
  readonly #edid: Uint8Array;
  readonly #unmapLegacy: () => void;
  readonly #unwatch: () => void;

  constructor(o: PciVgaOptions) {
    super({ vendor: 0x1234, device: 0x1111, revision: 2, classCode: 0x030000 }, initialVgaState);
    const dirty: DirtyPages | undefined = o.dirtyLog?.watch(o.vram);
    this.#unwatch = () => dirty && o.dirtyLog?.unwatch(dirty);
    this.vga = new Vga(o.vram, o.clock, dirty);
    this.vga.adopt(this.state);
    this.#edid = o.edid === false ? new Uint8Array(0) : makeEdid(o.edid);
    this.addBar(0, "mem", this.vga.framebuffer, { prefetchable: true });
    this.addBar(
      2,
      "mem",
      ioRegion("vga.mmio", MMIO_SIZE, {
        read: (offset, size) => this.#read(offset, size),
        write: (offset, size, value) => this.#write(offset, size, value),
      }),
    );
    if (o.rom !== undefined) this.addRom(o.rom.block, o.rom.image);
    this.#unmapLegacy = mapLegacyVga(this.vga, o.mem, o.io);
  }

  surface(): Picture {
    return this.vga.surface();
  }

  text(): TextScreen | undefined {
    return this.vga.text();
  }

  override detach(): void {
    this.#unmapLegacy();
    this.#unwatch();
    super.detach();
  }

  protected override onReset(): void {
    this.vga.adopt(this.state);
  }

  protected override onLoad(): void {
    this.vga.adopt(this.state);
  }

  #read(offset: number, size: AccessSize): number {
    if (offset < MMIO_VGA) return bytes(size, (i) => this.#edid[offset + i] ?? 0);
    if (offset < MMIO_VGA + 0x20) {
      return bytes(size, (i) => this.vga.readPort(0x3c0 + offset + i - MMIO_VGA));
    }
    if (offset >= MMIO_DISPI && offset < MMIO_DISPI + 22) {
      const index = offset - MMIO_DISPI >> 1, low = this.vga.readDispi(index);
      if (size === 4) return (low | this.vga.readDispi(index + 1) << 16) >>> 0;
      return offset & 1 ? low >> 8 : low;
    }
    if (offset === MMIO_QEMU) return 8; // bytes of QEMU's extended registers
    if (offset === MMIO_QEMU + 4) return LITTLE_ENDIAN;
    return 0;
  }

  #write(offset: number, size: AccessSize, value: number): void {
    if (offset >= MMIO_VGA && offset < MMIO_VGA + 0x20) {
      for (let i = 0; i < size; i++) {
        this.vga.writePort(0x3c0 + offset + i - MMIO_VGA, value >>> 8 * i & 0xff);
      }
    } else if (offset >= MMIO_DISPI && offset < MMIO_DISPI + 22 && !(offset & 1)) {
      const index = offset - MMIO_DISPI >> 1;
      this.vga.writeDispi(index, value & 0xffff);
      if (size === 4) this.vga.writeDispi(index + 1, value >>> 16);
    }
  }
}

function bytes(size: AccessSize, byte: (i: number) => number): number {
  let value = 0;
  for (let i = 0; i < size; i++) value |= byte(i) << 8 * i;
  return value >>> 0;
}
