/** ELF executables for i386 and x86-64: System V ABI, Object Files. */

export class ElfError extends Error {
  override name = "ElfError";
}

export const isElf = (b: Uint8Array): boolean =>
  b[0] === 0x7f && b[1] === 0x45 && b[2] === 0x4c && b[3] === 0x46;

const PT_LOAD = 1, PT_NOTE = 4, EM_386 = 3, EM_X86_64 = 62;

interface Segment {
  readonly type: number;
  readonly offset: number;
  readonly virtual: bigint;
  readonly physical: number;
  readonly fileSize: number;
  readonly memSize: number;
}

export interface ElfImage {
  readonly entry: number;
  /** Physical address of {@link data}: everything to be loaded, in one block. */
  readonly address: number;
  readonly data: Uint8Array;
}

class ElfFile {
  readonly segments: Segment[] = [];
  readonly entry: bigint;

  constructor(readonly image: Uint8Array, bits: readonly (32 | 64)[]) {
    const v = new DataView(image.buffer, image.byteOffset, image.byteLength);
    if (image.length < 52 || !isElf(image)) throw new ElfError("not an ELF file");
    const wide = image[4] === 2, machine = v.getUint16(18, true);
    if ((image[4] !== 1 && !wide) || image[5] !== 1 || (wide && image.length < 64)) {
      throw new ElfError("bad class or byte order");
    }
    if (!bits.includes(wide ? 64 : 32) || machine !== (wide ? EM_X86_64 : EM_386)) {
      throw new ElfError("not for this processor");
    }
    const word = (at: number) => wide ? v.getBigUint64(at, true) : BigInt(v.getUint32(at, true));
    const number = (at: number) => Number(word(at));
    this.entry = word(24);
    const phoff = number(wide ? 32 : 28);
    const size = v.getUint16(wide ? 54 : 42, true), count = v.getUint16(wide ? 56 : 44, true);
    if (size < (wide ? 56 : 32) || phoff + size * count > image.length) {
      throw new ElfError("bad program headers");
    }
    for (let n = 0; n < count; n++) {
      const at = phoff + n * size;
      const [offset, virtual, physical, fileSize, memSize] = wide
        ? [8, 16, 24, 32, 40]
        : [4, 8, 12, 16, 20];
      const s: Segment = {
        type: v.getUint32(at, true),
        offset: number(at + offset),
        virtual: word(at + virtual),
        physical: number(at + physical),
        fileSize: number(at + fileSize),
        memSize: number(at + memSize),
      };
      if (s.type !== PT_LOAD && s.type !== PT_NOTE) continue;
      if (s.offset + s.fileSize > image.length || s.fileSize > s.memSize) {
        throw new ElfError("segment outside the file");
      }
      this.segments.push(s);
    }
  }

  load(): ElfImage {
    const segments = this.segments.filter((s) => s.type === PT_LOAD && s.memSize !== 0);
    if (segments.length === 0) throw new ElfError("nothing to load");
    const low = Math.min(...segments.map((s) => s.physical));
    const high = Math.max(...segments.map((s) => s.physical + s.memSize));
    if (high > 2 ** 32 || high - low > 0x40000000) throw new ElfError("segments too far apart");
    const data = new Uint8Array(high - low);
    for (const s of segments) {
      data.set(this.image.subarray(s.offset, s.offset + s.fileSize), s.physical - low);
    }
    // An entry given as a virtual address becomes the physical one of its segment.
    const home = segments.find((s) =>
      this.entry >= s.virtual && this.entry < s.virtual + BigInt(s.memSize)
    );
    const entry = home === undefined
      ? Number(this.entry)
      : Number(this.entry - home.virtual) + home.physical;
    return { entry, address: low, data };
  }

  /** The descriptor of the first note with this name and type. */
  note(name: string, type: number): Uint8Array | undefined {
    const wanted = new TextEncoder().encode(name + "\0");
    for (const s of this.segments.filter((s) => s.type === PT_NOTE)) {
      const b = this.image.subarray(s.offset, s.offset + s.fileSize);
      const v = new DataView(b.buffer, b.byteOffset, b.byteLength);
      for (let at = 0; at + 12 <= b.length;) {
        const nameSize = v.getUint32(at, true), size = v.getUint32(at + 4, true);
        const nameAt = at + 12, descAt = nameAt + Math.ceil(nameSize / 4) * 4;
        if (descAt + size > b.length) break;
        if (
          v.getUint32(at + 8, true) === type && nameSize === wanted.length &&
          wanted.every((c, n) => b[nameAt + n] === c)
        ) return b.subarray(descAt, descAt + size);
        at = descAt + Math.ceil(size / 4) * 4;
      }
    }
    return undefined;
  }
}

/** Segments of a 32-bit file by physical address. Throws {@link ElfError}. */
export function loadElf32(image: Uint8Array): ElfImage {
  return new ElfFile(image, [32]).load();
}

const XEN_ELFNOTE_PHYS32_ENTRY = 18;

/**
 * A 32- or 64-bit file with the entry its PVH note names; undefined without such a note.
 * Throws {@link ElfError}.
 */
export function loadPvhElf(image: Uint8Array): ElfImage | undefined {
  const file = new ElfFile(image, [32, 64]), loaded = file.load();
  const desc = file.note("Xen", XEN_ELFNOTE_PHYS32_ENTRY);
  if (desc === undefined || desc.length < 4) return undefined;
  const entry = new DataView(desc.buffer, desc.byteOffset).getUint32(0, true);
  return entry === 0 ? undefined : { ...loaded, entry };
}
