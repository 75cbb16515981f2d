/**
 * The one shared `WebAssembly.Memory` of a machine: guest RAM, ROMs, video RAM, CPU states, TLBs and
 * translated records all live in it, so that emulated code, device models, vCPU Workers and KVM
 * work on the same bytes. It is created at its full size and therefore never moves.
 */

const PAGE = 65536;

/** A named, page-aligned piece of guest-visible storage (RAM, ROM image, video RAM). */
export interface RamBlock {
  /** QEMU's name of the block, such as `pc.ram`, `pc.bios`, `vga.vram`. */
  readonly name: string;
  /** Byte offset in the shared memory, a multiple of 4096. */
  readonly offset: number;
  /** Size in bytes, a multiple of 4096. */
  readonly size: number;
  /** View of the block's bytes. */
  readonly u8: Uint8Array<SharedArrayBuffer>;
  /** View for multi-byte access; pass `true` for little endian. */
  readonly view: DataView<SharedArrayBuffer>;
}

export class GuestMemory {
  readonly memory: WebAssembly.Memory;
  readonly buffer: SharedArrayBuffer;
  /** All of the memory. Offsets into it are what wasm code uses as addresses. */
  readonly u8: Uint8Array<SharedArrayBuffer>;
  readonly view: DataView<SharedArrayBuffer>;
  readonly blocks: RamBlock[] = [];
  #next = 4096; // offset 0 stays unused: a host address of 0 means "none"

  /** @param size bytes available to {@link alloc} and {@link allocBlock} together, below 4 GiB */
  constructor(size: number) {
    const pages = Math.ceil(size / PAGE) + 1;
    if (pages > 65536) throw new RangeError("guest memory above 4 GiB");
    this.memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
    this.buffer = this.memory.buffer as unknown as SharedArrayBuffer;
    this.u8 = new Uint8Array(this.buffer);
    this.view = new DataView(this.buffer);
  }

  /** Reserves `size` zeroed bytes for internal use and returns their offset. */
  alloc(size: number, align = 64): number {
    const at = Math.ceil(this.#next / align) * align;
    if (at + size > this.buffer.byteLength) throw new RangeError("guest memory exhausted");
    this.#next = at + size;
    return at;
  }

  /** Makes a zeroed block of guest-visible storage, rounded up to whole 4 KiB pages. */
  allocBlock(name: string, size: number): RamBlock {
    const rounded = Math.ceil(size / 4096) * 4096;
    const offset = this.alloc(rounded, 4096);
    const block: RamBlock = {
      name,
      offset,
      size: rounded,
      u8: new Uint8Array(this.buffer, offset, rounded),
      view: new DataView(this.buffer, offset, rounded),
    };
    this.blocks.push(block);
    return block;
  }
}
