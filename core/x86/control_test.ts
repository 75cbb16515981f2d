/** What writes of control registers check, and what they leave when they fault. */
import { assertEquals } from "../std/assert.ts";
import { bareVcpu, flatSregs } from "../tcg/testbed.ts";
import { setControlRegister } from "./control.ts";
import { GuestFault } from "./cpu.ts";

const PDPT = 0x4000, OTHER = 0x5000;

function vector(f: () => void): number {
  try {
    f();
  } catch (e) {
    if (e instanceof GuestFault) return e.vector;
    throw e;
  }
  return -1;
}

Deno.test("PDPTEs with reserved bits are refused, and CR3 and CR4 keep their values", () => {
  const { ram, cpu } = bareVcpu(1 << 20);
  cpu.setSregs(flatSregs());
  const c = cpu.cpu;
  setControlRegister(c, 4, 0x20n);
  setControlRegister(c, 3, BigInt(PDPT));
  setControlRegister(c, 0, 0x80000011n);
  const load = (entry: bigint) => {
    ram.view.setBigUint64(OTHER + 24, entry, true);
    return vector(() => setControlRegister(c, 3, BigInt(OTHER)));
  };
  // SDM volume 3, 4.4.1: bits 2:1, 8:5 and those above the physical address are reserved.
  for (const bit of [1n, 2n, 5n, 8n, 52n, 63n]) {
    assertEquals(load(1n | 1n << bit), 13, `bit ${bit}`);
    assertEquals(c.cr3, BigInt(PDPT));
  }
  assertEquals(load(~1n), -1, "an absent one may have any");
  assertEquals(load(0xe19n), -1, "PWT, PCD and ignored bits");
  assertEquals(c.cr3, BigInt(OTHER));
  ram.view.setBigUint64(OTHER, 3n, true);
  assertEquals(vector(() => setControlRegister(c, 4, 0xa0n)), 13, "CR4.PGE changes");
  assertEquals(c.cr4, 0x20);
});
