/**
 * Measures the software CPU on one loop: tier 0 and, with `regions`, tier 1.
 *
 *     deno run -A tests/bench/staging.ts [tier0|regions] [slices]
 *
 * Prints millions of guest instructions per second of process CPU time for each slice of 300 million;
 * the first ones include compilation.
 */
import process from "node:process";
import { ManualClock } from "../../core/clock.ts";
import { AddressSpace } from "../../core/memory/address_space.ts";
import { GuestMemory } from "../../core/memory/guest_memory.ts";
import { ramRegion } from "../../core/memory/region.ts";
import { TcgVm } from "../../core/tcg/vm.ts";

// deno-fmt-ignore
const LOOP = [
  0xb9, 0x00, 0x94, 0x35, 0x77, // mov ecx, 2000000000
  0xbe, 0x00, 0x00, 0x02, 0x00, // mov esi, 0x20000
  0x31, 0xc0,                   // xor eax, eax
  0x8b, 0x56, 0x04,             // l: mov edx, [esi+4]
  0x01, 0xd0,                   // add eax, edx
  0x31, 0xc8,                   // xor eax, ecx
  0x8d, 0x1c, 0x48,             // lea ebx, [eax+ecx*2]
  0x49,                         // dec ecx
  0x75, 0xf3,                   // jnz l
  0xf4,                         // hlt
];
const SLICE = 300_000_000;

const [kind = "regions", slices = "10"] = Deno.args;
if (kind !== "tier0" && kind !== "regions") {
  console.error("usage: staging.ts [tier0|regions] [slices]");
  Deno.exit(1);
}
const memory = new GuestMemory(80 << 20);
const mem = new AddressSpace("memory", 2 ** 40, 0xff), io = new AddressSpace("I/O", 65536, 0xff);
const ram = memory.allocBlock("ram", 1 << 20);
mem.map(ramRegion("ram", ram), 0);
const vm = new TcgVm({ memory, mem, io, clock: new ManualClock() });
vm.regions = kind === "regions";
const model = {
  name: "bench",
  cpuid: () => ({ eax: 0, ebx: 0, ecx: 0, edx: 0 }),
  has: () => true,
};
const cpu = vm.createVcpu({ index: 0, apicId: 0, bsp: true, model });
const flat = {
  base: 0n,
  limit: 0xffffffff,
  s: 1,
  dpl: 0,
  present: 1,
  avl: 0,
  l: 0,
  db: 1,
  g: 1,
  unusable: 0,
};
const data = { ...flat, selector: 16, type: 3 };
const cs = { ...flat, selector: 8, type: 11 };
cpu.setSregs({ cr0: 0x11n, cs, ds: data, es: data, ss: data, fs: data, gs: data });
ram.u8.set(LOOP, 0x1000);
cpu.setRegs({ rip: 0x1000n, rsp: 0x8000n, rflags: 2n });

for (let n = 0; n < Number(slices); n++) {
  const before = process.cpuUsage().user, count = cpu.instructions;
  const exit = cpu.run(SLICE);
  const us = process.cpuUsage().user - before;
  console.log(`${kind}: ${((cpu.instructions - count) / us).toFixed(0)} M/s`);
  if (exit.reason !== "interrupted") break;
}
