/**
 * VGA-compatible display controller with the Bochs DISPI extension: what QEMU calls standard VGA,
 * independent of the bus it sits on (see vga_pci.ts and vga_isa.ts). Registers as in IBM's
 * "PS/2 Hardware Interface Technical Reference", Video Subsystem; DISPI as in Bochs' vbe_display_api.
 */
import type { Clock } from "../../core/clock.ts";
import { DirtyPages } from "../../core/display/dirty.ts";
import type { DisplaySource, TextScreen } from "../../core/display/display.ts";
import type { Picture } from "../../core/display/picture.ts";
import { log } from "../../core/log.ts";
import type { RamBlock } from "../../core/memory/guest_memory.ts";
import {
  type AccessSize,
  type IoRegion,
  ioRegion,
  type RamRegion,
  ramRegion,
} from "../../core/memory/region.ts";
import { readDispi, writeDispi } from "./vga_dispi.ts";
import { type LinearWindow, VgaPlanes } from "./vga_planes.ts";
import { VgaRenderer } from "./vga_render.ts";
import { Retrace } from "./vga_retrace.ts";
import * as R from "./vga_state.ts";

/** Bits that exist in each register; the rest read as 0. */
const SEQ_BITS = [0x03, 0x3d, 0x0f, 0x3f, 0x0e, 0, 0, 0xff];
const GC_BITS = [0x0f, 0x0f, 0x0f, 0x1f, 0x03, 0x7b, 0x0f, 0x0f, 0xff];
const ATTR_BITS = [...new Array<number>(16).fill(0x3f), 0xef, 0xff, 0x3f, 0x0f, 0x0f];

/** A run of legacy ports and where it belongs. */
export interface PortRange {
  readonly port: number;
  readonly region: IoRegion;
}

export class Vga implements DisplaySource {
  state = R.initialVgaState();
  /** The legacy memory window, 128 KiB at A0000. */
  readonly window: IoRegion;
  /** Display memory from its first byte. */
  readonly framebuffer: RamRegion;
  /** Legacy ports: 3B4–3B5, 3BA, 3C0–3CF, 3D4–3D5, 3DA. */
  readonly ports: readonly PortRange[];
  /** DISPI: 16-bit index at 1CE and 16-bit data at 1CF (and 1D0, for hosts that must align). */
  readonly dispiPorts: PortRange;
  /**
   * Called when the part of {@link window} that is plain storage has changed (chain-4 and packed
   * DISPI modes): a bus may map display memory there instead, for speed.
   */
  onWindowChange: (linear: LinearWindow | undefined) => void = () => {};

  readonly #dirty: DirtyPages;
  readonly #planes: VgaPlanes;
  readonly #retrace: Retrace;
  readonly #renderer: VgaRenderer;
  #linear: LinearWindow | undefined;

  /**
   * @param vram display memory: a power of two, 256 KiB to 256 MiB. Saved with the RAM blocks.
   * @param dirty what tells of its changes; without it the adapter finds them by comparing
   */
  constructor(readonly vram: RamBlock, clock: Clock, dirty = new DirtyPages(vram)) {
    if (vram.size & vram.size - 1) throw new RangeError("display memory size not a power of two");
    this.#dirty = dirty;
    this.#planes = new VgaPlanes(dirty, this.state);
    this.#retrace = new Retrace(clock);
    this.#renderer = new VgaRenderer(dirty, clock);
    this.window = { ...ioRegion("vga-lowmem", 0x20000, this.#planes), coalesced: true };
    this.framebuffer = ramRegion("vga.vram", vram, { dirtyLog: true });
    const legacy = (port: number, size: number): PortRange => ({
      port,
      region: ioRegion("vga", size, {
        maxAccess: 1,
        read: (offset) => this.readPort(port + offset),
        write: (offset, _size, value) => this.writePort(port + offset, value),
      }),
    });
    this.ports = [
      legacy(0x3b4, 2),
      legacy(0x3ba, 1),
      legacy(0x3c0, 16),
      legacy(0x3d4, 2),
      legacy(0x3da, 1),
    ];
    this.dispiPorts = {
      port: 0x1ce,
      region: ioRegion("vbe", 4, {
        read: (offset, size) => this.#readDispiPort(offset, size),
        write: (offset, _size, value) => this.#writeDispiPort(offset, value),
      }),
    };
    this.#configure();
  }

  /**
   * Takes over another set of registers: a fresh one at reset, a saved one at load. Display memory
   * is a RAM block and saved with the others.
   */
  adopt(state: R.VgaState): void {
    this.state = state;
    this.#dirty.markAll();
    this.#configure();
  }

  surface(): Picture {
    return this.#renderer.surface(this.state, this.#retrace.frameNs(this.state));
  }

  text(): TextScreen | undefined {
    return this.#renderer.text(this.state);
  }

  /** Scan lines that the last {@link surface} had to draw. */
  get linesDrawn(): number {
    return this.#renderer.drawn;
  }

  /** The part of the legacy window that is plain storage now. */
  get linearWindow(): LinearWindow | undefined {
    return this.#linear;
  }

  /** One byte from a legacy port, 3B4–3DA. */
  readPort(port: number): number {
    const s = this.state;
    if (this.#absent(port)) return 0xff;
    switch (port) {
      case 0x3c0:
        return s.attrDataNext ? 0 : s.attrIndex;
      case 0x3c1:
        return s.attr[s.attrIndex & 0x1f];
      case 0x3c2:
        return 0; // Input Status 0: no switch sense, no interrupt pending
      case 0x3c4:
        return s.seqIndex;
      case 0x3c5:
        return s.seq[s.seqIndex];
      case 0x3c6:
        return s.pelMask;
      case 0x3c7:
        return s.dacState;
      case 0x3c8:
        return s.dacIndex;
      case 0x3c9:
        return this.#readDac();
      case 0x3ca:
        return s.featureControl;
      case 0x3cc:
        return s.misc;
      case 0x3ce:
        return s.gcIndex;
      case 0x3cf:
        return s.gc[s.gcIndex];
      case 0x3b4:
      case 0x3d4:
        return s.crtcIndex;
      case 0x3b5:
      case 0x3d5:
        return s.crtc[s.crtcIndex];
      case 0x3ba:
      case 0x3da:
        s.attrDataNext = false;
        return this.#retrace.status(s);
      default:
        return 0;
    }
  }

  /** One byte to a legacy port, 3B4–3DA. */
  writePort(port: number, value: number): void {
    const s = this.state;
    if (this.#absent(port)) return;
    switch (port) {
      case 0x3c0:
        this.#writeAttribute(value);
        break;
      case 0x3c2:
        s.misc = value & ~0x10;
        this.#configure();
        break;
      case 0x3c4:
        s.seqIndex = value & 7;
        break;
      case 0x3c5:
        s.seq[s.seqIndex] = value & SEQ_BITS[s.seqIndex];
        this.#configure();
        break;
      case 0x3c6:
        s.pelMask = value;
        break;
      case 0x3c7:
      case 0x3c8:
        s.dacIndex = value;
        s.dacComponent = 0;
        s.dacState = port === 0x3c7 ? 3 : 0;
        break;
      case 0x3c9:
        this.#writeDac(value);
        break;
      case 0x3ce:
        s.gcIndex = value & 15;
        break;
      case 0x3cf:
        s.gc[s.gcIndex] = value & (GC_BITS[s.gcIndex] ?? 0);
        this.#planes.configure(s);
        this.#checkWindow();
        break;
      case 0x3b4:
      case 0x3d4:
        s.crtcIndex = value;
        break;
      case 0x3b5:
      case 0x3d5:
        this.#writeCrtc(s.crtcIndex, value);
        break;
      case 0x3ba:
      case 0x3da:
        s.featureControl = value & 0x10;
        break;
      default:
        log("guest_errors", `vga: write of 0x${value.toString(16)} to port 0x${port.toString(16)}`);
    }
  }

  /** A DISPI register by number. */
  readDispi(index: number): number {
    return readDispi(this.state.dispi, index, this.vram.size);
  }

  writeDispi(index: number, value: number): void {
    const d = this.state.dispi;
    if (writeDispi(this.state, index, value & 0xffff, this.vram.size)) {
      const bytes = d[R.DISPI_YRES] * d[R.DISPI_VIRT_WIDTH] * (d[R.DISPI_BPP] + 7 >> 3);
      const end = d[R.DISPI_BPP] === 4 ? bytes / 2 : bytes;
      this.vram.u8.fill(0, 0, end);
      this.#dirty.mark(0, end);
    }
    this.#planes.configure(this.state);
    this.#checkWindow();
  }

  /** CRTC and Input Status 1 answer at 3Bx or at 3Dx, as Misc Output bit 0 says. */
  #absent(port: number): boolean {
    const color = (this.state.misc & 1) !== 0;
    return port < 0x3c0 ? color : port >= 0x3d0 && !color;
  }

  #writeAttribute(value: number): void {
    const s = this.state;
    if (s.attrDataNext) {
      const index = s.attrIndex & 0x1f;
      if (index < ATTR_BITS.length) s.attr[index] = value & ATTR_BITS[index];
    } else {
      s.attrIndex = value & 0x3f;
    }
    s.attrDataNext = !s.attrDataNext;
  }

  #writeCrtc(index: number, value: number): void {
    const { crtc } = this.state;
    if (index <= 7 && crtc[R.CRTC_VERTICAL_RETRACE_END] & 0x80) {
      // Registers 0–7 are protected, but for the line compare bit.
      if (index === R.CRTC_OVERFLOW) crtc[index] = crtc[index] & ~0x10 | value & 0x10;
      return;
    }
    crtc[index] = value;
    this.#retrace.invalidate();
  }

  #readDac(): number {
    const s = this.state, value = s.dac[3 * s.dacIndex + s.dacComponent];
    this.#nextDacComponent();
    return value;
  }

  #writeDac(value: number): void {
    const s = this.state;
    s.dacLatch[s.dacComponent] = s.dispi[R.DISPI_ENABLE] & R.DISPI_8BIT_DAC ? value : value & 0x3f;
    if (s.dacComponent === 2) s.dac.set(s.dacLatch, 3 * s.dacIndex);
    this.#nextDacComponent();
  }

  #nextDacComponent(): void {
    const s = this.state;
    if (++s.dacComponent < 3) return;
    s.dacComponent = 0;
    s.dacIndex = s.dacIndex + 1 & 0xff;
  }

  #readDispiPort(offset: number, size: AccessSize): number {
    const value = offset === 0 ? this.state.dispiIndex : this.readDispi(this.state.dispiIndex);
    return size === 1 ? value & 0xff : value;
  }

  #writeDispiPort(offset: number, value: number): void {
    if (offset === 0) this.state.dispiIndex = value & 0xffff;
    else this.writeDispi(this.state.dispiIndex, value);
  }

  #configure(): void {
    this.#planes.configure(this.state);
    this.#retrace.invalidate();
    this.#checkWindow();
  }

  #checkWindow(): void {
    const a = this.#linear, b = this.#planes.linear;
    if (a?.vramOffset === b?.vramOffset && a?.size === b?.size) return;
    this.#linear = b;
    this.onWindowChange(b);
  }
}
