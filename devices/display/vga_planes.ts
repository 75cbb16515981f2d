/**
 * The VGA's path between the CPU and display memory: address decoding of the A0000–BFFFF window,
 * odd/even and chain-4 addressing, latches, read modes 0–1 and write modes 0–3.
 *
 * Display memory is kept with the four planes interleaved: byte 4n+p is plane p at offset n, where n
 * counts steps of the CRTC's address counter. Odd/even and chain-4 accesses are stored in the same
 * counter order (chain-4 is then linear, one byte per pixel), so that word and doubleword display
 * addressing needs no extra shuffling.
 */
import type { DirtyPages } from "../../core/display/dirty.ts";
import type { AccessSize, IoOps } from "../../core/memory/region.ts";
import * as R from "./vga_state.ts";

/** Bits 0–3 spread to four bytes of all ones or all zeros: plane masks. */
const SPREAD = Int32Array.from(
  { length: 16 },
  (_, i) =>
    (i & 1 ? 0xff : 0) | (i & 2 ? 0xff00 : 0) | (i & 4 ? 0xff0000 : 0) | (i & 8 ? -1 << 24 : 0),
);

const PLANAR = 0, ODD_EVEN = 1, CHAIN_4 = 2;

/** Where (part of) the legacy window is plain storage: bytes of `vga.vram` seen at A0000. */
export interface LinearWindow {
  /** Bytes from A0000. */
  readonly windowOffset: number;
  /** Bytes from the start of display memory, a multiple of 4096. */
  readonly vramOffset: number;
  readonly size: number;
}

/** Register access of the window at A0000, 128 KiB; offsets count from A0000. */
export class VgaPlanes implements IoOps {
  readonly maxAccess: AccessSize = 4;
  readonly #vram: Uint8Array;
  readonly #vram32: Int32Array;
  readonly #dwordMask: number;
  /** A byte for each 4 KiB of display memory. */
  readonly #dirty: Uint8Array;
  #s: R.VgaState;

  #windowBase = 0;
  #windowSize = 0;
  #bankOffset = 0;
  #writeAddressing = PLANAR;
  #readAddressing = PLANAR;
  #writeMode = 0;
  /** Write mode 0 with nothing between the CPU byte and the planes. */
  #plainWrite = false;
  #readMode = 0;
  #readMap = 0;
  #mapMask = 0;
  #rotate = 0;
  #logic = 0;
  #bitMask = 0;
  #setReset = 0;
  #enableSetReset = 0;
  #colorCompare = 0;
  #colorCare = 0;

  constructor(dirty: DirtyPages, state: R.VgaState) {
    const vram = dirty.block;
    this.#dirty = dirty.pages;
    this.#vram = vram.u8;
    this.#vram32 = new Int32Array(vram.u8.buffer, vram.u8.byteOffset, vram.size >> 2);
    // Sizes are powers of two, so that a mask keeps every index inside.
    this.#dwordMask = (vram.size >> 2) - 1;
    this.#s = state;
  }

  /** Takes over the registers: after each write to one of them, and when the state was replaced. */
  configure(s: R.VgaState): void {
    this.#s = s;
    const { seq, gc } = s;
    const dispi = (s.dispi[R.DISPI_ENABLE] & R.DISPI_ENABLED) !== 0;
    const packed = dispi && s.dispi[R.DISPI_BPP] !== 4;
    const map = dispi ? 1 : gc[R.GC_MISCELLANEOUS] >> 2 & 3;
    this.#windowBase = map < 2 ? 0 : map === 2 ? 0x10000 : 0x18000;
    this.#windowSize = map === 0 ? 0x20000 : map === 1 ? 0x10000 : 0x8000;
    if (!(s.misc & 0x02) && !dispi) this.#windowSize = 0;
    this.#bankOffset = dispi ? s.dispiBank << 16 : 0;

    const mode = gc[R.GC_GRAPHICS_MODE];
    const chain4 = packed || (seq[R.SEQ_MEMORY_MODE] & 0x08) !== 0;
    this.#readAddressing = chain4 ? CHAIN_4 : mode & 0x10 ? ODD_EVEN : PLANAR;
    this.#writeAddressing = chain4 ? CHAIN_4 : seq[R.SEQ_MEMORY_MODE] & 0x04 ? PLANAR : ODD_EVEN;
    this.#mapMask = packed ? 15 : seq[R.SEQ_MAP_MASK] & 15;
    this.#readMap = gc[R.GC_READ_MAP_SELECT] & 3;
    this.#readMode = mode >> 3 & 1;
    this.#writeMode = mode & 3;
    this.#rotate = gc[R.GC_DATA_ROTATE] & 7;
    this.#logic = gc[R.GC_DATA_ROTATE] >> 3 & 3;
    this.#bitMask = gc[R.GC_BIT_MASK] * 0x01010101 | 0;
    this.#setReset = SPREAD[gc[R.GC_SET_RESET] & 15];
    this.#enableSetReset = SPREAD[gc[R.GC_ENABLE_SET_RESET] & 15];
    this.#colorCompare = SPREAD[gc[R.GC_COLOR_COMPARE] & 15];
    this.#colorCare = SPREAD[gc[R.GC_COLOR_DONT_CARE] & 15];
    this.#plainWrite = packed || this.#writeMode === 0 && this.#bitMask === -1 &&
        this.#logic === 0 && this.#rotate === 0 && this.#enableSetReset === 0;
    if (packed) this.#readMode = 0;
  }

  /** The part of the window that behaves as plain storage now, or undefined. */
  get linear(): LinearWindow | undefined {
    const plain = this.#writeAddressing === CHAIN_4 && this.#plainWrite && this.#mapMask === 15 &&
      this.#readMode === 0 && this.#windowBase === 0 && this.#windowSize > 0;
    if (!plain) return undefined;
    const size = Math.min(this.#windowSize, this.#vram.length - this.#bankOffset);
    return size <= 0 ? undefined : { windowOffset: 0, vramOffset: this.#bankOffset, size };
  }

  read(offset: number, size: AccessSize): number {
    if (size === 1) return this.#read8(offset);
    const low = this.#read8(offset) | this.#read8(offset + 1) << 8;
    if (size === 2) return low;
    return (low | this.#read8(offset + 2) << 16 | this.#read8(offset + 3) << 24) >>> 0;
  }

  write(offset: number, size: AccessSize, value: number): void {
    this.#write8(offset, value & 0xff);
    if (size === 1) return;
    this.#write8(offset + 1, value >>> 8 & 0xff);
    if (size === 2) return;
    this.#write8(offset + 2, value >>> 16 & 0xff);
    this.#write8(offset + 3, value >>> 24);
  }

  #read8(offset: number): number {
    let addr = offset - this.#windowBase;
    if (addr < 0 || addr >= this.#windowSize) return 0xff;
    addr += this.#bankOffset;
    let index = addr, plane = this.#readMap;
    if (this.#readAddressing === CHAIN_4) {
      index = addr >> 2;
      plane = addr & 3;
    } else if (this.#readAddressing === ODD_EVEN) {
      index = addr >> 1;
      plane = plane & 2 | addr & 1;
    }
    const latch = this.#vram32[index & this.#dwordMask];
    this.#s.latch[0] = latch;
    if (this.#readMode === 0) return latch >>> 8 * plane & 0xff;
    const d = (latch ^ this.#colorCompare) & this.#colorCare;
    return ~(d | d >>> 8 | d >>> 16 | d >>> 24) & 0xff;
  }

  #write8(offset: number, value: number): void {
    let addr = offset - this.#windowBase;
    if (addr < 0 || addr >= this.#windowSize) return;
    addr += this.#bankOffset;
    let index = addr, map = this.#mapMask;
    if (this.#writeAddressing === CHAIN_4) {
      index = addr >> 2;
      map &= 1 << (addr & 3);
    } else if (this.#writeAddressing === ODD_EVEN) {
      index = addr >> 1;
      map &= addr & 1 ? 0b1010 : 0b0101;
    }
    index &= this.#dwordMask;
    const planes = SPREAD[map];
    const data = this.#plainWrite ? value * 0x01010101 : this.#combine(value);
    this.#vram32[index] = this.#vram32[index] & ~planes | data & planes;
    this.#dirty[index >> 10] = 1;
  }

  /** What the four planes get for a CPU byte: the graphics controller's data path. */
  #combine(value: number): number {
    const latch = this.#s.latch[0];
    let data: number, mask = this.#bitMask;
    switch (this.#writeMode) {
      case 1:
        return latch;
      case 2:
        data = SPREAD[value & 15];
        break;
      case 3:
        mask &= this.#rotated(value) * 0x01010101;
        data = this.#setReset;
        break;
      default:
        data = this.#rotated(value) * 0x01010101;
        data = data & ~this.#enableSetReset | this.#setReset & this.#enableSetReset;
    }
    switch (this.#logic) {
      case 1:
        data &= latch;
        break;
      case 2:
        data |= latch;
        break;
      case 3:
        data ^= latch;
    }
    return data & mask | latch & ~mask;
  }

  #rotated(value: number): number {
    return (value >> this.#rotate | value << 8 - this.#rotate) & 0xff;
  }
}
