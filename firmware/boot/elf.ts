/** ELF executables for i386: System V ABI, Object Files. */

export class ElfError extends Error {
  override name = "ElfError";
}

export const isElf = (b: Uint8Array): boolean =>
  b[0] === 0x7f && b[1] === 0x45 && b[2] === 0x4c && b[3] === 0x46;

const PT_LOAD = 1, EM_386 = 3;

/** Segments by physical address, in one block from the lowest on. Throws {@link ElfError}. */
export function loadElf32(
  image: Uint8Array,
): { entry: number; address: number; data: Uint8Array } {
  const v = new DataView(image.buffer, image.byteOffset, image.byteLength);
  if (image.length < 52 || !isElf(image)) throw new ElfError("not an ELF file");
  if (image[4] !== 1 || image[5] !== 1 || v.getUint16(18, true) !== EM_386) {
    throw new ElfError("not for i386");
  }
  const entry = v.getUint32(24, true), phoff = v.getUint32(28, true);
  const size = v.getUint16(42, true), count = v.getUint16(44, true);
  if (size < 32 || phoff + size * count > image.length) throw new ElfError("bad program headers");
  const segments = [];
  for (let n = 0; n < count; n++) {
    const at = phoff + n * size, get = (o: number) => v.getUint32(at + o, true);
    if (get(0) !== PT_LOAD || get(20) === 0) continue;
    const segment = {
      offset: get(4),
      virtual: get(8),
      physical: get(12),
      fileSize: get(16),
      memSize: get(20),
    };
    if (segment.offset + segment.fileSize > image.length || segment.fileSize > segment.memSize) {
      throw new ElfError("segment outside the file");
    }
    segments.push(segment);
  }
  if (segments.length === 0) throw new ElfError("nothing to load");
  const low = Math.min(...segments.map((s) => s.physical));
  const high = Math.max(...segments.map((s) => s.physical + s.memSize));
  if (high > 2 ** 32 || high - low > 0x40000000) throw new ElfError("segments too far apart");
  const data = new Uint8Array(high - low);
  for (const s of segments) {
    data.set(image.subarray(s.offset, s.offset + s.fileSize), s.physical - low);
  }
  // An entry given as a virtual address becomes the physical one of its segment.
  const home = segments.find((s) => entry >= s.virtual && entry < s.virtual + s.memSize);
  return {
    entry: home === undefined ? entry : entry - home.virtual + home.physical,
    address: low,
    data,
  };
}
