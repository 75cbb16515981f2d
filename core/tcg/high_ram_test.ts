/**
 * Guest RAM far up in the shared memory, whose offsets are negative as 32-bit numbers, and RAM above
 * 4 GiB: code, data, page tables, instructions and stores across pages, self-modifying code.
 */
import { ManualClock } from "../clock.ts";
import { AddressSpace } from "../memory/address_space.ts";
import { GuestMemory } from "../memory/guest_memory.ts";
import { ramRegion } from "../memory/region.ts";
import { assert, assertEquals } from "../std/assert.ts";
import { flatSregs } from "./testbed.ts";
import type { TcgVcpu } from "./vcpu.ts";
import { tcgMemory, TcgVm } from "./vm.ts";

const GIB = 2 ** 30, SIZE = 2.5 * GIB;
/** Where the tests work, as an offset into RAM; past 2 GiB in the shared memory. */
const FAR = 0x90000000;
/** The far part is seen there too. */
const HIGH = 0x120000000;

function machine() {
  const memory = new GuestMemory(SIZE + tcgMemory(1) + (8 << 20));
  const mem = new AddressSpace("memory", 2 ** 40, 0xff), io = new AddressSpace("I/O", 65536, 0xff);
  const vm = new TcgVm({ memory, mem, io, clock: new ManualClock() });
  const model = {
    name: "test",
    cpuid: () => ({ eax: 0, ebx: 0, ecx: 0, edx: 0 }),
    has: () => true,
  };
  const cpu = vm.createVcpu({ index: 0, apicId: 0, bsp: true, model }) as TcgVcpu;
  const ram = memory.allocBlock("pc.ram", SIZE);
  mem.map(ramRegion("low", ram, { size: 2 * GIB }), 0);
  mem.map(ramRegion("far", ram, { blockOffset: 2 * GIB }), 2 * GIB);
  // An alias, so that both addresses are the same storage.
  mem.map(ramRegion("high", ram, { blockOffset: FAR, size: 1 << 28 }), HIGH);
  return { cpu, ram, mem, memory };
}

const { cs, ds, es, ss } = flatSregs();
const flat = { cs, ds, es, ss, fs: ds, gs: ds };

function run(cpu: TcgVcpu): string {
  for (let n = 0; n < 50; n++) {
    const exit = cpu.run(1000);
    if (exit.reason !== "interrupted") return exit.reason;
  }
  return "endless";
}

function code(text: string): number[] {
  return text.trim().split(/\s+/).map((b) => parseInt(b, 16));
}

Deno.test("code, data and stores beyond 2 GiB of the shared memory", () => {
  const { cpu, ram, memory } = machine();
  assert(ram.offset + FAR >= 2 ** 31);
  assert(cpu.cpu.base < 2 ** 31 && memory.blocks.length === 1);
  const at = FAR + 0xfea;
  // mov [90002ffe], eax; mov ebx, [90002ffe]; mov byte [90001011], 42h; jmp 90001010
  ram.u8.set(
    code("a3 fe 2f 00 90 8b 1d fe 2f 00 90 c6 05 11 10 00 90 42 e9 0f 00 00 00"),
    at,
  );
  ram.u8.set(code("b1 00 f4"), FAR + 0x1010); // mov cl, 0 (written over); hlt
  cpu.reset();
  cpu.setSregs({ cr0: 0x11n, ...flat });
  cpu.setRegs({ rip: BigInt(at), rax: 0x12345678n, rsp: BigInt(FAR + 0x8000), rflags: 2n });
  assertEquals(run(cpu), "hlt");
  assertEquals(ram.view.getUint32(FAR + 0x2ffe, true), 0x12345678);
  const { rbx, rcx } = cpu.getRegs();
  assertEquals([rbx, rcx & 0xffn], [0x12345678n, 0x42n]);
  // Again, with what was translated there.
  ram.u8[FAR + 0x1011] = 0;
  cpu.setRegs({ rip: BigInt(FAR + 0x1010) });
  cpu.mpState = "runnable";
  cpu.vm.memoryChanged();
  assertEquals(run(cpu), "hlt");
  assertEquals(cpu.getRegs().rcx & 0xffn, 0n);
});

Deno.test("PAE maps what lies above 4 GiB, tables included", () => {
  const { cpu, ram } = machine();
  const PDPT = 0x1000, PD = 0x2000, PT = FAR + 0x10000, CODE = 0x4000;
  const entry = (offset: number, phys: number, flags: number) =>
    ram.view.setBigUint64(offset, BigInt(phys) | BigInt(flags), true);
  entry(PDPT, PD, 1);
  entry(PD, 0, 0x83); // the first 2 MiB, as they are
  entry(PD + 8, HIGH + 0x200000, 0x83); // linear 200000h: a large page above 4 GiB
  entry(PD + 16, HIGH + (PT - FAR), 3); // linear 400000h: a table above 4 GiB
  for (let n = 0; n < 4; n++) entry(PT + 8 * n, HIGH + 0x1000 * n, 3);
  // inc dword [200123h]; mov [400ffeh], eax; mov eax, [401100h]; call 402000h; hlt
  ram.u8.set(
    code("ff 05 23 01 20 00 a3 fe 0f 40 00 a1 00 11 40 00 e8 eb df 3f 00 f4"),
    CODE,
  );
  ram.u8.set(code("41 c3"), FAR + 0x2000); // inc ecx; ret
  ram.view.setUint32(FAR + 0x1100, 0xcafe, true);
  cpu.reset();
  cpu.setSregs({ cr0: 0x80000011n, cr3: BigInt(PDPT), cr4: 0x20n, ...flat });
  cpu.setRegs({ rip: BigInt(CODE), rax: 0x89abcdefn, rcx: 0n, rsp: 0x8000n, rflags: 2n });
  assertEquals(run(cpu), "hlt");
  assertEquals(ram.view.getUint32(FAR + 0x200123, true), 1);
  assertEquals(ram.view.getUint32(FAR + 0xffe, true), 0x89abcdef);
  const { rax, rcx } = cpu.getRegs();
  assertEquals([rax, rcx], [0xcafen, 1n]);
  // Accessed and dirty bits went to the table above 4 GiB.
  assertEquals(ram.view.getUint32(PT, true) & 0x60, 0x60);
  // Code there was translated, not fetched byte by byte: a store into it is noticed.
  ram.u8.set(code("49 c3"), FAR + 0x2000);
  cpu.vm.memoryChanged();
  cpu.setRegs({ rip: BigInt(CODE) });
  cpu.mpState = "runnable";
  assertEquals(run(cpu), "hlt");
  assertEquals(cpu.getRegs().rcx, 0n);
});
