/**
 * Linear to physical through guest page tables, for monitor and debugger: no privilege checks, no
 * accessed or dirty bits. SDM vol. 3A, chapter 4. KVM_TRANSLATE would do, but cannot tell a page
 * that is not there from a host KVM that has no page tables of its own for the guest's mode.
 */
import type { AddressSpace } from "../memory/address_space.ts";
import type { Sregs } from "../accel.ts";

const CR0_PG = 1n << 31n, CR4_PSE = 1n << 4n, CR4_PAE = 1n << 5n, CR4_LA57 = 1n << 12n;
const EFER_LMA = 1n << 10n;
const PRESENT = 1n, LARGE = 1n << 7n;
const FRAME = 0xf_ffff_ffff_f000n;

/** The physical address, or undefined where nothing is mapped. */
export function walk(
  mem: AddressSpace,
  s: Pick<Sregs, "cr0" | "cr3" | "cr4" | "efer">,
  linear: bigint,
): number | undefined {
  if ((s.cr0 & CR0_PG) === 0n) return Number(linear & 0xffffffffn);
  if ((s.cr4 & CR4_PAE) === 0n) return walk32(mem, s, linear & 0xffffffffn);
  const long = (s.efer & EFER_LMA) !== 0n;
  if (!long) {
    const at = (s.cr3 & 0xffffffe0n) + 8n * ((linear >> 30n) & 3n);
    const pdpte = entry64(mem, at);
    if ((pdpte & PRESENT) === 0n) return undefined;
    return descend(mem, pdpte & FRAME, linear & 0xffffffffn, 21n);
  }
  const top = (s.cr4 & CR4_LA57) !== 0n ? 48n : 39n;
  const sign = linear >> (top + 8n), ones = (1n << (56n - top)) - 1n;
  if (sign !== 0n && sign !== ones) return undefined; // not canonical
  return descend(mem, s.cr3 & FRAME, linear, top);
}

/** Follows 8-byte entries from the table that `shift` selects in, down to a page. */
function descend(
  mem: AddressSpace,
  table: bigint,
  linear: bigint,
  shift: bigint,
): number | undefined {
  for (;; shift -= 9n) {
    const entry = entry64(mem, table + 8n * ((linear >> shift) & 511n));
    if ((entry & PRESENT) === 0n) return undefined;
    if (shift === 12n || (shift <= 30n && (entry & LARGE) !== 0n)) {
      const offset = (1n << shift) - 1n;
      return Number((entry & FRAME & ~offset) | (linear & offset));
    }
    table = entry & FRAME;
  }
}

function walk32(
  mem: AddressSpace,
  s: Pick<Sregs, "cr3" | "cr4">,
  linear: bigint,
): number | undefined {
  const pde = entry32(mem, (s.cr3 & 0xfffff000n) + 4n * (linear >> 22n));
  if ((pde & PRESENT) === 0n) return undefined;
  if ((pde & LARGE) !== 0n && (s.cr4 & CR4_PSE) !== 0n) {
    const high = (pde >> 13n) & 0xffn; // PSE-36: bits 20:13 are physical 39:32
    return Number((high << 32n) | (pde & 0xffc00000n) | (linear & 0x3fffffn));
  }
  const pte = entry32(mem, (pde & 0xfffff000n) + 4n * ((linear >> 12n) & 1023n));
  if ((pte & PRESENT) === 0n) return undefined;
  return Number((pte & 0xfffff000n) | (linear & 0xfffn));
}

/** Entries outside RAM count as not present: reading a device here would have side effects. */
function entry32(mem: AddressSpace, at: bigint): bigint {
  const address = Number(at);
  return mem.find(address)?.region.kind === "ram" ? BigInt(mem.read(address, 4)) : 0n;
}

function entry64(mem: AddressSpace, at: bigint): bigint {
  return entry32(mem, at) | (entry32(mem, at + 4n) << 32n);
}
