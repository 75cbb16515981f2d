/**
 * `info mem` and `info tlb`: the guest's page tables as a list of ranges and of pages. Layouts as
 * QEMU 7.2 prints them; table formats: Intel SDM volume 3A, chapter 4.
 */
import type { Vcpu } from "../../accel.ts";
import type { AddressSpace } from "../../memory/address_space.ts";

const P = 1n, RW = 2n, US = 4n, PS = 0x80n, NX = 1n << 63n;
const CR0_PG = 1n << 31n, CR4_PSE = 1n << 4n, CR4_PAE = 1n << 5n, CR4_LA57 = 1n << 12n;
const EFER_LMA = 1n << 10n;
const FRAME = 0xf_ffff_ffff_f000n;

/** A mapped page: its entry, and the rights that all levels together leave (P, RW, US). */
interface Page {
  readonly linear: bigint;
  readonly size: bigint;
  readonly entry: bigint;
  readonly rights: bigint;
}

interface Paging {
  /** Width of linear addresses. */
  readonly bits: bigint;
  /** Bits of an entry that `info tlb` shows as the physical address, by page size. */
  mask(size: bigint): bigint;
  pages(): Generator<Page>;
}

function paging(vcpu: Vcpu, mem: AddressSpace): Paging | undefined {
  const { cr0, cr3, cr4, efer } = vcpu.getSregs();
  if (!(cr0 & CR0_PG)) return undefined;
  const read = (table: bigint, index: bigint, wide: boolean): bigint => {
    const at = Number(table + index * (wide ? 8n : 4n));
    const low = BigInt(mem.read(at, 4));
    return wide ? low | BigInt(mem.read(at + 4, 4)) << 32n : low;
  };
  function* level(table: bigint, at: bigint, shift: bigint, rights: bigint): Generator<Page> {
    const wide = (cr4 & CR4_PAE) !== 0n, index = wide ? 9n : 10n;
    // The four entries on top of PAE have no rights and no size.
    const pdpt = wide && !(efer & EFER_LMA) && shift === 30n;
    for (let i = 0n; i < (pdpt ? 4n : 1n << index); i++) {
      const entry = read(table, i, wide);
      if (!(entry & P)) continue;
      const linear = at + (i << shift), left = pdpt ? rights : rights & entry;
      const large = !pdpt && (entry & PS) !== 0n &&
        (wide ? shift <= 30n : (cr4 & CR4_PSE) !== 0n);
      if (shift === 12n) yield { linear, size: 4096n, entry: entry & ~PS, rights: left };
      else if (large) yield { linear, size: 1n << shift, entry, rights: left };
      else yield* level(entry & FRAME, linear, shift - index, left);
    }
  }
  const all = P | RW | US;
  if (!(cr4 & CR4_PAE)) {
    return {
      bits: 32n,
      mask: (size) => ~(size === 4096n ? 0xfffn : 0x1fffffn),
      pages: () => level(cr3 & ~0xfffn & 0xffffffffn, 0n, 22n, all),
    };
  }
  if (!(efer & EFER_LMA)) {
    return {
      bits: 32n,
      mask: (size) => ~(size === 4096n ? 0xfffn : 0xfffffn),
      pages: () => level(cr3 & 0xffffffe0n, 0n, 30n, all),
    };
  }
  const la57 = (cr4 & CR4_LA57) !== 0n;
  return {
    bits: la57 ? 57n : 48n,
    mask: (size) => 0x3_ffff_ffff_f000n & ~(size - 1n),
    pages: () => level(cr3 & FRAME, 0n, la57 ? 48n : 39n, all),
  };
}

function canonical(v: bigint, bits: bigint): string {
  if (bits > 32n) v = BigInt.asUintN(64, BigInt.asIntN(Number(bits), v));
  return v.toString(16).padStart(16, "0");
}

/** Lines of `info tlb`. */
export function* infoTlb(vcpu: Vcpu, mem: AddressSpace): Generator<string> {
  const tables = paging(vcpu, mem);
  if (tables === undefined) return yield "PG disabled\n";
  const flags: [bigint, string][] = [
    [NX, "X"],
    [0x100n, "G"],
    [PS, "P"],
    [0x40n, "D"],
    [0x20n, "A"],
    [0x10n, "C"],
    [0x08n, "T"],
    [US, "U"],
    [RW, "W"],
  ];
  for (const { linear, size, entry } of tables.pages()) {
    const letters = flags.map(([bit, letter]) => entry & bit ? letter : "-").join("");
    const physical = BigInt.asUintN(64, entry & tables.mask(size));
    yield `${canonical(linear, tables.bits)}: ${
      physical.toString(16).padStart(16, "0")
    } ${letters}\n`;
  }
}

/** Lines of `info mem`: neighbouring pages with the same rights are one range. */
export function* infoMem(vcpu: Vcpu, mem: AddressSpace): Generator<string> {
  const tables = paging(vcpu, mem);
  if (tables === undefined) return yield "PG disabled\n";
  const { bits } = tables;
  let start = 0n, end = -1n, rights = 0n;
  const line = () =>
    `${canonical(start, bits)}-${canonical(end, bits)} ${
      (end - start).toString(16).padStart(16, "0")
    } ${rights & US ? "u" : "-"}r${rights & RW ? "w" : "-"}\n`;
  for (const p of tables.pages()) {
    if (p.linear === end && p.rights === rights) {
      end += p.size;
      continue;
    }
    if (rights !== 0n) yield line();
    start = p.linear;
    end = start + p.size;
    rights = p.rights;
  }
  if (rights !== 0n) yield line();
}
