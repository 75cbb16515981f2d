import { assertEquals } from "@std/assert";
import { AddressSpace } from "../memory/address_space.ts";
import { GuestMemory } from "../memory/guest_memory.ts";
import { ioRegion, ramRegion } from "../memory/region.ts";
import { walk } from "./walk.ts";

const PG = 0x80000001n;

function space() {
  const memory = new GuestMemory(1 << 20), ram = memory.allocBlock("ram", 1 << 20);
  const mem = new AddressSpace("memory", 2 ** 36, 0);
  mem.map(ramRegion("ram", ram), 0);
  const at = (address: number, value: bigint) => ram.view.setBigUint64(address, value, true);
  return { mem, ram, at };
}

Deno.test("without paging linear is physical, 32 bits wide", () => {
  const { mem } = space();
  const s = { cr0: 1n, cr3: 0n, cr4: 0n, efer: 0n };
  assertEquals(walk(mem, s, 0x1_2345_6789n), 0x23456789);
});

Deno.test("two levels: 4 KiB, 4 MiB with PSE, PSE-36, absent", () => {
  const { mem, ram } = space();
  const s = { cr0: PG, cr3: 0x1000n, cr4: 0x10n, efer: 0n };
  ram.view.setUint32(0x1000, 0x2003, true);
  ram.view.setUint32(0x2000 + 4 * 7, 0x55003, true);
  ram.view.setUint32(0x1000 + 4 * 0x300, 0x00c00083, true);
  ram.view.setUint32(0x1000 + 4 * 0x301, 0x00c02083, true);
  assertEquals(walk(mem, s, 0x7abcn), 0x55abc);
  assertEquals(walk(mem, s, 0xc0012345n), 0xc12345);
  assertEquals(walk(mem, s, 0xc0412345n), 0x1_00c1_2345);
  assertEquals(walk(mem, s, 0x8000n), undefined);
  assertEquals(walk(mem, s, 0x40000000n), undefined);
});

Deno.test("PAE: the pointer table is 32-byte aligned, 2 MiB pages", () => {
  const { mem, at } = space();
  const s = { cr0: PG, cr3: 0x1020n, cr4: 0x20n, efer: 0n };
  at(0x1020 + 8 * 3, 0x2001n);
  at(0x2000 + 8 * 1, 0x8000_0000_0000_3003n); // NX
  at(0x3000 + 8 * 2, 0x4_5555_5003n);
  at(0x2000 + 8 * 2, 0x4_0060_0083n);
  assertEquals(walk(mem, s, 0xc0202abcn), 0x4_5555_5abc);
  assertEquals(walk(mem, s, 0xc0412345n), 0x4_0061_2345);
  assertEquals(walk(mem, s, 0x0n), undefined);
});

Deno.test("four and five levels, 1 GiB pages, canonical addresses", () => {
  const { mem, at } = space();
  const s = { cr0: PG, cr3: 0x1000n, cr4: 0x20n, efer: 0x500n };
  at(0x1000 + 8 * 511, 0x2003n);
  at(0x2000 + 8 * 510, 0x3003n);
  at(0x3000, 0xa0_0000_0083n - 0x80_0000_0000n);
  at(0x2000 + 8 * 511, 0xc000_0083n);
  assertEquals(walk(mem, s, 0xffff_ffff_8012_3456n), 0x20_0012_3456);
  assertEquals(walk(mem, s, 0xffff_ffff_ffff_ffffn), 0xffff_ffff);
  assertEquals(walk(mem, s, 0x0000_ffff_ffff_ffffn), undefined);
  at(0x5000, 0x1003n);
  const la57 = { ...s, cr3: 0x5000n, cr4: 0x1020n };
  assertEquals(walk(mem, la57, 0x0000_ffff_8012_3456n), 0x20_0012_3456);
});

Deno.test("tables in device registers are not read", () => {
  const { mem } = space();
  let reads = 0;
  const dev = ioRegion("dev", 4096, { read: () => ++reads, write: () => {} });
  mem.map(dev, 0x10000000);
  const s = { cr0: PG, cr3: 0x10000000n, cr4: 0n, efer: 0n };
  assertEquals(walk(mem, s, 0n), undefined);
  assertEquals(reads, 0);
});
