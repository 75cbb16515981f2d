/** NUMA tables: SRAT and SLIT, ACPI Specification 6.3, 5.2.16 and 5.2.17. */

/** What the tables say of a machine. */
export interface NumaTables {
  /** Bytes of RAM of each node, in the order of addresses. */
  readonly nodes: readonly { readonly size: number; readonly cpus: readonly number[] }[];
  readonly distances: readonly (readonly number[])[] | undefined;
  /** Local APIC ID of each CPU. */
  readonly apicIds: readonly number[];
  /** Bytes of RAM below the PCI hole. */
  readonly below4g: number;
}

export interface MemoryRange {
  readonly base: number;
  readonly length: number;
  readonly node: number;
}

const HOLE_640K = 0xa0000, HOLE_END = 0x100000, FOUR_GIB = 2 ** 32;
const ENABLED = 1;

/** Where the nodes' memory lies: video memory and the PCI hole are cut out. */
export function memoryRanges(m: NumaTables): MemoryRange[] {
  const out: MemoryRange[] = [];
  let next = 0;
  m.nodes.forEach(({ size }, node) => {
    // RAM offsets [next, next + size) of the node, as pieces of the three places RAM can be seen at.
    const pieces = [[0, HOLE_640K, 0], [HOLE_END, m.below4g, 0]];
    pieces.push([m.below4g, Infinity, FOUR_GIB - m.below4g]);
    for (const [first, end, shift] of pieces) {
      const from = Math.max(next, first), to = Math.min(next + size, end);
      if (to > from) out.push({ base: from + shift, length: to - from, node });
    }
    next += size;
  });
  return out;
}

class Bytes {
  readonly list: number[] = [];
  put(size: number, value: number): this {
    for (let n = 0; n < size; n++) this.list.push(Math.floor(value / 256 ** n) % 256);
    return this;
  }
}

/** Body of the System Resource Affinity Table, revision 1. */
export function sratBody(m: NumaTables): number[] {
  const b = new Bytes().put(4, 1).put(8, 0);
  m.apicIds.forEach((apicId, cpu) => {
    const node = Math.max(0, m.nodes.findIndex((n) => n.cpus.includes(cpu)));
    if (apicId < 255) {
      b.put(1, 0).put(1, 16).put(1, node).put(1, apicId).put(4, ENABLED).put(8, 0);
    } else b.put(1, 2).put(1, 24).put(2, 0).put(4, node).put(4, apicId).put(4, ENABLED).put(8, 0);
  });
  const memory = (r: MemoryRange, flags: number) =>
    b.put(1, 1).put(1, 40).put(4, r.node).put(2, 0).put(8, r.base).put(8, r.length).put(4, 0)
      .put(4, flags).put(8, 0);
  const ranges = memoryRanges(m);
  for (const r of ranges) memory(r, ENABLED);
  // As many entries as a machine with a hole may need, so that the size does not tell.
  for (let n = ranges.length; n < m.nodes.length + 2; n++) {
    memory({ base: 0, length: 0, node: 0 }, 0);
  }
  return b.list;
}

/** Body of the System Locality Information Table, revision 1. */
export function slitBody(distances: readonly (readonly number[])[]): number[] {
  return new Bytes().put(8, distances.length).list.concat(distances.flat());
}
