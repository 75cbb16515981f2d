/**
 * The one shared `WebAssembly.Memory` of a machine: guest RAM, ROMs, video RAM, CPU states, TLBs and
 * translated records all live in it, so that emulated code, device models, vCPU Workers and KVM
 * work on the same bytes. It is created at its full size and therefore never moves. What does not fit
 * in 4 GiB is a memory64. Guest storage is taken from its end, all else from its beginning, where
 * 32-bit addresses reach it even if an accelerator comes after the RAM.
 */

const PAGE = 65536;
/** Bytes that a memory with 32-bit addresses can give to {@link GuestMemory}'s users. */
const MAX_WASM32 = 2 ** 32 - PAGE;
/** Bytes that the largest memory can give: V8 allows 16 GiB. */
export const MAX_MEMORY = 2 ** 34 - PAGE;

/** The descriptor of a shared memory of `pages` that does not grow. Source: WebAssembly JS Interface. */
/** What {@link GuestMemory} makes its memory from. */
export function memoryType(pages: number, address: "i32" | "i64"): WebAssembly.MemoryDescriptor {
  if (address === "i32") return { initial: pages, maximum: pages, shared: true };
  const bounds = { initial: BigInt(pages), maximum: BigInt(pages) };
  // TypeScript's type of the descriptor knows 32-bit memories alone.
  return { ...bounds, shared: true, address } as unknown as WebAssembly.MemoryDescriptor;
}

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
  /** Where guest storage begins. */
  #end: number;

  /** How wide its addresses are in emitted code: `i64` when they do not fit in 32 bits. */
  readonly address: "i32" | "i64";

  /**
   * @param size bytes available to {@link alloc} and {@link allocBlock} together
   * @param address `i64` for a memory64 even where 32-bit addresses would do. Throws RangeError when
   * the engine has no such memory, or the host no room for it.
   */
  constructor(size: number, address: "i32" | "i64" = size > MAX_WASM32 ? "i64" : "i32") {
    const pages = Math.ceil(size / PAGE) + 1;
    this.address = address;
    this.memory = new WebAssembly.Memory(memoryType(pages, address));
    this.buffer = this.memory.buffer as unknown as SharedArrayBuffer;
    this.u8 = new Uint8Array(this.buffer);
    this.view = new DataView(this.buffer);
    this.#end = this.buffer.byteLength;
  }

  /** Reserves `size` zeroed bytes below 4 GiB for internal use and returns their offset. */
  alloc(size: number, align = 64): number {
    const at = Math.ceil(this.#next / align) * align;
    if (at + size > Math.min(2 ** 32, this.#end)) throw new RangeError("guest memory exhausted");
    this.#next = at + size;
    return at;
  }

  /** Makes a zeroed block of guest-visible storage, rounded up to whole 4 KiB pages. */
  allocBlock(name: string, size: number): RamBlock {
    const rounded = Math.ceil(size / 4096) * 4096;
    const offset = this.#end - rounded;
    if (offset < this.#next) throw new RangeError("guest memory exhausted");
    this.#end = offset;
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
