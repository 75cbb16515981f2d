import { assert, assertEquals } from "../std/assert.ts";
import { bareVcpu, flatSregs } from "./testbed.ts";

const CODE = 0x1000, PD = 0x10000, PT = 0x11000, STACK = 0x8000;

/** Runs 32-bit code at CODE with all pages mapped to themselves, and counts returns to the run loop. */
function run(parts: Record<number, readonly number[]>) {
  const { vm, ram, cpu } = bareVcpu(0x20000);
  vm.regions = false;
  for (const [at, bytes] of Object.entries(parts)) ram.u8.set(bytes, Number(at));
  ram.view.setUint32(PD, PT | 3, true);
  for (let n = 0; n < 32; n++) ram.view.setUint32(PT + 4 * n, (n << 12) | 3, true);
  cpu.setSregs({ ...flatSregs(), cr0: 0x80000011n, cr3: BigInt(PD) });
  cpu.setRegs({ rip: BigInt(CODE), rsp: BigInt(STACK), rflags: 2n, rdx: 0n, rcx: 100n });
  let entered = 0;
  const enter = vm.enter;
  Object.assign(vm, {
    enter: (base: number, rec: number) => {
      entered++;
      enter(base, rec);
    },
  });
  assertEquals(cpu.run(100000).reason, "hlt");
  return { edx: Number(cpu.getRegs().rdx), entered };
}

const MOV_CR3 = [0x0f, 0x20, 0xd8, 0x0f, 0x22, 0xd8];
const RET = 0xc3, HLT = 0xf4;
const call = (from: number, to: number) => {
  const rel = to - from - 5;
  return [0xe8, rel & 0xff, (rel >> 8) & 0xff, (rel >> 16) & 0xff, (rel >> 24) & 0xff];
};
const addEdx = (n: number) => [0x81, 0xc2, n & 0xff, (n >> 8) & 0xff, 0, 0];
/** `loop` repeated ECX times, then HLT. */
function looped(body: readonly number[]): number[] {
  // DEC ECX; JNZ rel32
  const code = [...body, 0x49, 0x0f, 0x85];
  const rel = -(code.length + 4);
  return [...code, rel & 0xff, 0xff, 0xff, 0xff, HLT];
}

// MOV to CR3 itself goes to the run loop: once in each turn.
Deno.test("calls find their code again after a change of address space, without the run loop", () => {
  const r = run({
    [CODE]: looped([...MOV_CR3, ...call(CODE + 6, 0x3000)]),
    0x3000: [...addEdx(1), RET],
  });
  assertEquals(r.edx, 100);
  assert(r.entered < 120, `${r.entered} times`);
});

Deno.test("the same address leads to the code that is mapped there now", () => {
  // XOR DWORD [PT + 12], 7000h: page 3000h is storage 3000h and 4000h in turn.
  const swap = [0x81, 0x35, 0x0c, 0x10, 0x01, 0, 0, 0x70, 0, 0];
  const r = run({
    [CODE]: looped([...swap, ...MOV_CR3, ...call(CODE + 16, 0x3000)]),
    0x3000: [...addEdx(1), RET],
    0x4000: [...addEdx(0x100), RET],
  });
  assertEquals(r.edx, 50 * 0x101);
  assert(r.entered < 120, `${r.entered} times`);
});

Deno.test("code at one place of storage knows by which address it was called", () => {
  // XOR DWORD [PT + 20], 6000h: page 5000h is storage 3000h in turn. The callee adds its own page.
  const swap = [0x81, 0x35, 0x14, 0x10, 0x01, 0, 0, 0x60, 0, 0];
  // CALL next; POP EAX; SHR EAX, 12; ADD EDX, EAX; RET
  const where = [0xe8, 0, 0, 0, 0, 0x58, 0xc1, 0xe8, 12, 0x01, 0xc2, RET];
  const body = [...swap, ...MOV_CR3];
  const at = CODE + body.length;
  const r = run({
    [CODE]: looped([...body, ...call(at, 0x3000), ...call(at + 5, 0x5000)]),
    0x3000: where,
    0x5000: [...addEdx(0x1000), RET],
  });
  assertEquals(r.edx, 100 * 3 + 50 * 5 + 50 * 0x1000);
  assert(r.entered < 120, `${r.entered} times`);
});

Deno.test("code that is changed is found as it is now", () => {
  // INC BYTE [3002h]: the callee's immediate; it ran once before.
  const change = [0xfe, 0x05, 0x02, 0x30, 0, 0];
  const body = [...call(CODE, 0x3000), ...change, ...MOV_CR3];
  const r = run({
    [CODE]: looped([...body, ...call(CODE + body.length, 0x3000)]),
    0x3000: [...addEdx(0), RET],
  });
  // The byte wraps nowhere: 0, 1, 1, 2, 2, ... 99, 99, 100.
  assertEquals(r.edx, 100 * 100);
});
