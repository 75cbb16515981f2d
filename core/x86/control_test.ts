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

Deno.test("PDPTEs stay as they were loaded, and are part of the vCPU's state", () => {
  const { ram, cpu } = bareVcpu(1 << 20);
  const { view } = ram, c = cpu.cpu, DIR = 0x6000;
  view.setBigUint64(PDPT, BigInt(DIR | 1), true);
  view.setBigUint64(OTHER, BigInt(DIR | 1), true);
  view.setBigUint64(OTHER + 8, BigInt(DIR | 1), true);
  view.setUint32(DIR, 0xe3, true);
  cpu.setSregs(flatSregs());
  assertEquals(cpu.getSregs().pdptes, undefined);
  setControlRegister(c, 4, 0x20n);
  setControlRegister(c, 3, BigInt(PDPT));
  setControlRegister(c, 0, 0x80000011n);
  const entry = BigInt(DIR | 1), none = [entry, 0n, 0n, 0n], both = [entry, entry, 0n, 0n];
  assertEquals(cpu.getSregs().pdptes, none);
  view.setBigUint64(PDPT, 0n, true);
  assertEquals(c.env.mem.read(0x1234, 4), 0);
  assertEquals(cpu.mmu.peek(0x12345n), 0x12345);
  // One that is refused leaves them alone.
  view.setBigUint64(OTHER + 16, 3n, true);
  assertEquals(vector(() => setControlRegister(c, 3, BigInt(OTHER))), 13);
  assertEquals(cpu.getSregs().pdptes, none);
  view.setBigUint64(OTHER + 16, 0n, true);
  setControlRegister(c, 3, BigInt(OTHER));
  assertEquals(cpu.getSregs().pdptes, both);
  assertEquals(cpu.mmu.peek(0x40012345n), 0x12345);

  // Another vCPU takes them over, whatever memory has by then.
  const saved = cpu.getSregs();
  const to = bareVcpu(1 << 20);
  to.ram.u8.set(ram.u8.subarray(0, 1 << 20));
  to.ram.view.setBigUint64(OTHER + 8, 0n, true);
  to.cpu.setSregs(saved);
  assertEquals(to.cpu.getSregs().pdptes, both);
  assertEquals(to.cpu.mmu.peek(0x40012345n), 0x12345);
  // One that does not tell them gets those in memory.
  to.cpu.setSregs({ ...saved, pdptes: undefined });
  assertEquals(to.cpu.getSregs().pdptes, none);
  assertEquals(to.cpu.mmu.peek(0x40012345n), undefined);
});
