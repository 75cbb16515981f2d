import { assertEquals } from "../std/assert.ts";
import { bareVcpu, flatSregs } from "./testbed.ts";

const CODE = 0x1000;
/** MOV ECX, 200000; loop: ADD EDX, 3; XOR EDX, ECX; DEC ECX; JNZ loop; HLT */
const LOOP = [0xb9, 0x40, 0x0d, 0x03, 0, 0x83, 0xc2, 3, 0x31, 0xca, 0x49, 0x75, 0xf8, 0xf4];

function result(): number {
  let edx = 0;
  for (let ecx = 200000; ecx > 0; ecx--) edx = ((edx + 3) ^ ecx) | 0;
  return edx >>> 0;
}

function machine(threaded: boolean) {
  const bed = bareVcpu(0x20000), { vm, ram, cpu } = bed;
  vm.regions = true;
  vm.samplePeriod = 1;
  vm.compiler.threaded = threaded;
  ram.u8.set(LOOP, CODE);
  cpu.setSregs(flatSregs());
  cpu.setRegs({ rip: BigInt(CODE), rsp: 0x8000n, rflags: 2n, rdx: 0n });
  return bed;
}

/** Lets the thread's answers in until there is none to come. */
async function settle(vm: ReturnType<typeof machine>["vm"]): Promise<void> {
  while (vm.compiler.pending > 0) await new Promise((done) => setTimeout(done, 1));
}

Deno.test("a region comes from the thread while the code runs, and runs like the rest", async () => {
  const { vm, cpu } = machine(true);
  for (let n = 0; n < 50 && vm.compiler.pending === 0; n++) {
    assertEquals(cpu.run(100).reason, "interrupted");
  }
  await settle(vm);
  const regions = vm.cache.stats.regions;
  assertEquals(cpu.run(1e7).reason, "hlt");
  assertEquals(Number(cpu.getRegs().rdx), result());
  assertEquals(regions > 0, true, "a region was made");
  vm.close();
});

Deno.test("the same region is made at once without the thread", () => {
  const { vm, cpu } = machine(false);
  assertEquals(cpu.run(1e7).reason, "hlt");
  assertEquals(Number(cpu.getRegs().rdx), result());
  assertEquals(vm.cache.stats.regions > 0, true);
  assertEquals(vm.compiler.pending, 0);
});

Deno.test("a region of code that has changed meanwhile is not put into place", async () => {
  const { vm, ram, cpu } = machine(true);
  for (let n = 0; n < 50 && vm.compiler.pending === 0; n++) cpu.run(100);
  assertEquals(vm.compiler.pending > 0, true);
  // A device writes over the immediate of ADD: the loop adds 1 from here on.
  ram.u8[CODE + 7] = 1;
  vm.cache.invalidate(ram.offset + CODE + 7, 1);
  await settle(vm);
  assertEquals(vm.cache.stats.regions, 0);
  vm.close();
  vm.regions = false;
  const { rdx, rcx } = cpu.getRegs();
  let edx = Number(rdx);
  assertEquals(Number(cpu.getRegs().rip), CODE + 5);
  assertEquals(cpu.run(1e7).reason, "hlt");
  for (let ecx = Number(rcx); ecx > 0; ecx--) edx = ((edx + 1) ^ ecx) | 0;
  assertEquals(Number(cpu.getRegs().rdx), edx >>> 0);
});
