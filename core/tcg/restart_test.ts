import { assertEquals } from "../std/assert.ts";
import { bareVcpu, flatSregs } from "./testbed.ts";

const CODE = 0x1000, NEAR = 0x5000, FAR = NEAR + 0x400000;

/** Runs instructions and HLT in flat protected mode on a little more than 4 MiB. */
function run(code: readonly number[], regs: Record<string, bigint>, data: [number, number][]) {
  const { vm, ram, cpu } = bareVcpu(0x410000);
  vm.memoryChanged();
  ram.u8.set([...code, 0xf4], CODE);
  const v = new DataView(ram.u8.buffer, ram.u8.byteOffset, ram.u8.length);
  for (const [at, value] of data) v.setUint32(at, value, true);
  cpu.reset();
  const flat = flatSregs();
  cpu.setSregs({ ...flat, fs: flat.ds, gs: flat.ds });
  cpu.setRegs({ rip: BigInt(CODE), rflags: 2n, ...regs });
  let reason = "interrupted";
  for (let n = 0; n < 20 && reason === "interrupted"; n++) reason = cpu.run(100).reason;
  assertEquals(reason, "hlt");
  return { v, cpu };
}

Deno.test("two accesses of an instruction may need the same TLB entry", () => {
  // push dword [esi]; pop dword [edi]
  const { v, cpu } = run([0xff, 0x36, 0x8f, 0x07], {
    rsi: BigInt(FAR + 0x10),
    rdi: BigInt(FAR + 0x20),
    rsp: BigInt(NEAR + 0x100),
  }, [[FAR + 0x10, 0x12345678]]);
  assertEquals(v.getUint32(NEAR + 0xfc, true), 0x12345678);
  assertEquals(v.getUint32(FAR + 0x20, true), 0x12345678);
  assertEquals(cpu.getRegs().rsp, BigInt(NEAR + 0x100));
});

Deno.test("string instructions copy and compare between pages of one TLB entry", () => {
  // movsd; sub esi, 4; sub edi, 4; cmpsd; sete al
  const { v, cpu } = run([0xa5, 0x83, 0xee, 4, 0x83, 0xef, 4, 0xa7, 0x0f, 0x94, 0xc0], {
    rsi: BigInt(NEAR + 8),
    rdi: BigInt(FAR + 8),
    rax: 0n,
  }, [[NEAR + 8, 0xcafe1234]]);
  assertEquals(v.getUint32(FAR + 8, true), 0xcafe1234);
  assertEquals(cpu.getRegs().rax, 1n);
});

Deno.test("an access across pages, and one beside code, are made by the slow handler", () => {
  // mov eax, [esi]; mov [edi], eax; add dword [edi], 1; with edi in the code's page
  const { v, cpu } = run([0x8b, 0x06, 0x89, 0x07, 0x83, 0x07, 0x01], {
    rsi: BigInt(NEAR + 0xffe),
    rdi: BigInt(CODE + 0x800),
  }, [[NEAR + 0xffe, 0x89abcdef]]);
  assertEquals(cpu.getRegs().rax, 0x89abcdefn);
  assertEquals(v.getUint32(CODE + 0x800, true), 0x89abcdf0);
});
