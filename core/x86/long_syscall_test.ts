/** Fast system calls, segment bases and far returns of long mode by vendor. Intel SDM, AMD APM. */
import type { Assembler } from "../../firmware/asm/assembler.ts";
import * as o from "../../firmware/asm/operand.ts";
import { qword } from "../../firmware/asm/operand.ts";
import { assertEquals } from "../std/assert.ts";
import { At, LongBed, Sel } from "./long_bed.ts";
import { Fl, Vec } from "./state.ts";

const { rax, rbx, rcx, rdx, rsp, rdi, r9, r11, eax, ecx, gs } = o;
const STAR = 0xc0000081, LSTAR = STAR + 1, CSTAR = STAR + 2, FMASK = STAR + 3;
const GS_BASE = 0xc0000101, KERNEL_GS_BASE = GS_BASE + 1;
const SYSENTER_CS = 0x174, SYSENTER_ESP = 0x175, SYSENTER_EIP = 0x176;
const KERNEL = 0x2000, KERNEL32 = 0x2800;
const HOLE = 0x0000800000000000n;
const SYSRETQ = [0x48, 0x0f, 0x07], SYSEXITQ = [0x48, 0x0f, 0x35];

const intel = new LongBed("GenuineIntel"), amd = new LongBed("AuthenticAMD");

function prepare(b: LongBed): LongBed {
  b.reset();
  // With a null GS its base outlives returns to CPL 3.
  b.vcpu.setSregs({ gs: { ...b.vcpu.getSregs().gs, selector: 0, unusable: 1 } });
  b.vcpu.setMsr(STAR, (BigInt(Sel.USER_CODE32) << 48n) | (BigInt(Sel.CODE) << 32n));
  b.vcpu.setMsr(LSTAR, BigInt(KERNEL));
  b.vcpu.setMsr(CSTAR, BigInt(KERNEL32));
  b.vcpu.setMsr(FMASK, 0x40700n);
  return b;
}

function toUser(a: Assembler, cs: number = Sel.USER_CODE) {
  const { i } = a;
  i.push(Sel.USER_DATA);
  i.push(At.USER_STACK);
  i.push(0x40ed7);
  i.push(cs);
  i.push(At.USER_CODE);
  i.iretq();
}

for (const b of [intel, amd]) {
  const vendor = b === intel ? "Intel" : "AMD";

  Deno.test(`${vendor}: SYSCALL, SWAPGS and SYSRET, there and back`, () => {
    prepare(b);
    b.vcpu.setMsr(GS_BASE, 0x1111n);
    b.vcpu.setMsr(KERNEL_GS_BASE, BigInt(At.DATA));
    b.put(KERNEL, (a) => {
      const { i } = a;
      i.swapgs();
      i.mov(qword(gs, 8), rsp);
      i.mov(rsp, At.STACK0);
      i.pushfq();
      i.pop(rbx);
      i.mov(rdx, rcx);
      i.mov(r9, r11);
      i.mov(rax, o.ss);
      i.mov(qword(At.DATA + 16), rax);
      i.mov(rax, o.cs);
      i.mov(qword(At.DATA + 24), rax);
      i.mov(rsp, qword(gs, 8));
      i.swapgs();
      a.db(...SYSRETQ);
    });
    b.put(At.USER_CODE, ({ i }) => {
      i.syscall();
      i.int(0x40);
    });
    const s = b.start(toUser);
    assertEquals([s.vector, s.cs, s.ss, s.rsp], [
      0x40,
      Sel.USER_CODE,
      Sel.USER_DATA,
      BigInt(At.USER_STACK),
    ]);
    assertEquals(b.cpu.reg64(2), BigInt(At.USER_CODE + 2), "RCX: behind SYSCALL");
    assertEquals(b.cpu.reg64(9), 0x40ed7n, "R11: the flags");
    assertEquals(b.cpu.reg64(3), 0x8d7n, "FMASK clears TF, IF, DF, AC");
    assertEquals([b.q(At.DATA + 16), b.q(At.DATA + 24)], [BigInt(Sel.DATA), BigInt(Sel.CODE)]);
    assertEquals(b.q(At.DATA + 8), BigInt(At.USER_STACK), "through the kernel's GS");
    assertEquals(s.flags, 0x40ed7);
    assertEquals(b.vcpu.getMsr(GS_BASE), 0x1111n);
    assertEquals(b.vcpu.getMsr(KERNEL_GS_BASE), BigInt(At.DATA));
    assertEquals(b.vcpu.getRegs().rflags & BigInt(Fl.VM), 0n);
  });

  Deno.test(`${vendor}: SYSCALL without EFER.SCE; SYSRET above CPL 0`, () => {
    prepare(b);
    b.vcpu.setMsr(0xc0000080, 0xd00n);
    b.put(At.USER_CODE, ({ i }) => i.syscall());
    assertEquals(b.start(toUser).vector, Vec.UD);
    prepare(b);
    b.put(At.USER_CODE, (a) => a.db(...SYSRETQ));
    const s = b.start(toUser);
    assertEquals([s.vector, s.error], [Vec.GP, 0]);
  });

  Deno.test(`${vendor}: SYSRET with a target that is not canonical`, () => {
    prepare(b);
    const s = b.start((a) => {
      a.i.mov(rcx, HOLE);
      a.i.mov(r11, 0x202);
      a.i.mov(rsp, 0);
      b.gate(Vec.GP, At.HANDLERS + Vec.GP, 1);
      a.db(...SYSRETQ);
    });
    assertEquals([s.vector, s.error], [Vec.GP, 0]);
    // Intel's processors fault in ring 0 on the user's stack pointer.
    assertEquals(s.cs, vendor === "Intel" ? Sel.CODE : Sel.USER_CODE);
    assertEquals(s.rip, vendor === "Intel" ? s.rip : HOLE);
  });

  Deno.test(`${vendor}: SYSCALL from compatibility mode`, () => {
    prepare(b);
    b.put(KERNEL32, (a) => {
      a.i.mov(rbx, rcx);
      a.db(0x0f, 0x07);
    });
    b.put(At.USER_CODE, ({ i }) => {
      i.syscall();
      i.int(0x40);
    }, 32);
    const s = b.start((a) => toUser(a, Sel.USER_CODE32));
    if (vendor === "Intel") {
      assertEquals([s.vector, s.rip], [Vec.UD, BigInt(At.USER_CODE)]);
    } else {
      assertEquals([s.vector, s.cs, s.ss], [0x40, Sel.USER_CODE32, Sel.USER_DATA]);
      assertEquals(b.cpu.reg64(3), BigInt(At.USER_CODE + 2));
    }
  });

  Deno.test(`${vendor}: SYSENTER and SYSEXIT in long mode`, () => {
    prepare(b);
    b.vcpu.setMsr(SYSENTER_CS, BigInt(Sel.CODE));
    b.vcpu.setMsr(SYSENTER_ESP, BigInt(At.STACK0));
    b.vcpu.setMsr(SYSENTER_EIP, BigInt(KERNEL));
    b.put(KERNEL, (a) => {
      const { i } = a;
      i.mov(rbx, rsp);
      i.mov(rax, o.cs);
      i.mov(rcx, At.USER_STACK - 64);
      i.mov(rdx, At.USER_CODE + 2);
      a.db(...SYSEXITQ);
    });
    b.put(At.USER_CODE, ({ i }) => {
      i.sysenter();
      i.int(0x40);
    });
    const s = b.start(toUser);
    if (vendor === "AMD") return assertEquals([s.vector, s.cs], [Vec.UD, Sel.USER_CODE]);
    assertEquals([s.vector, s.rsp], [0x40, BigInt(At.USER_STACK - 64)]);
    assertEquals([s.cs, s.ss], [Sel.CODE + 32 | 3, Sel.CODE + 40 | 3]);
    assertEquals([b.cpu.reg64(3), b.cpu.reg64(0)], [BigInt(At.STACK0), BigInt(Sel.CODE)]);
    b.put(At.USER_CODE, ({ i }) => i.sysenter());
    b.vcpu.setMsr(SYSENTER_CS, 3n);
    const t = b.start(toUser);
    assertEquals([t.vector, t.error], [Vec.GP, 0], "a null selector");
  });
}

Deno.test("FSBASE and GSBASE instructions: CR4.FSGSBASE, widths, canonical form, null selectors", () => {
  const b = prepare(intel);
  const WRFSBASE_RAX = [0xf3, 0x48, 0x0f, 0xae, 0xd0],
    RDFSBASE_RBX = [0xf3, 0x48, 0x0f, 0xae, 0xc3];
  const WRGSBASE_EAX = [0xf3, 0x0f, 0xae, 0xd8], RDGSBASE_RCX = [0xf3, 0x48, 0x0f, 0xae, 0xc9];
  assertEquals(b.start((a) => a.db(...RDFSBASE_RBX)).vector, Vec.UD);
  const enable = (a: Assembler) => {
    a.i.mov(rax, o.cr4);
    a.i.bts(rax, 16);
    a.i.mov(o.cr4, rax);
  };
  b.view.setBigUint64(At.DATA + 16, 0x1234n, true);
  const s = b.start((a) => {
    const { i } = a;
    enable(a);
    i.mov(rax, 0xffff800000000000n + BigInt(At.DATA));
    a.db(...WRFSBASE_RAX, ...RDFSBASE_RBX);
    i.mov(rdi, qword(o.fs, 16));
    i.mov(rax, -16);
    a.db(...WRGSBASE_EAX, ...RDGSBASE_RCX);
    i.hlt();
  });
  assertEquals(s.vector, -1);
  assertEquals(b.cpu.reg64(3), 0xffff800000000000n + BigInt(At.DATA));
  assertEquals(b.cpu.reg64(7), 0x1234n);
  assertEquals(b.cpu.reg64(1), 0xfffffff0n);
  const t = b.start((a) => {
    enable(a);
    a.i.mov(rax, HOLE);
    a.db(...WRFSBASE_RAX);
  });
  assertEquals([t.vector, t.error], [Vec.GP, 0]);
  // A null selector loaded into GS clears its base.
  b.start((a) => {
    a.i.xor(eax, eax);
    a.i.mov(gs, eax);
    a.i.hlt();
  });
  assertEquals(b.vcpu.getMsr(GS_BASE), 0n);
});

Deno.test("SWAPGS above CPL 0; RDTSCP and RDPID give TSC_AUX", () => {
  const b = prepare(intel);
  b.put(At.USER_CODE, ({ i }) => i.swapgs());
  const s = b.start(toUser);
  assertEquals([s.vector, s.error], [Vec.GP, 0]);
  b.vcpu.setMsr(0xc0000103, 0x77n);
  const t = b.start((a) => {
    a.i.rdtscp();
    a.db(0xf3, 0x0f, 0xc7, 0xfb); // RDPID RBX
    a.i.hlt();
  });
  assertEquals([t.vector, b.cpu.reg64(1), b.cpu.reg64(3)], [-1, 0x77n, 0x77n]);
});

Deno.test("a far return to an outer level drops data segments above it, and keeps bases of null ones", () => {
  const b = prepare(intel);
  b.vcpu.setMsr(GS_BASE, 0x5000n);
  b.put(At.USER_CODE, ({ i }) => i.int(0x40));
  const s = b.start((a) => {
    const { i } = a;
    i.xor(eax, eax);
    i.mov(gs, eax);
    i.mov(ecx, GS_BASE);
    i.mov(eax, 0x6000);
    i.xor(o.edx, o.edx);
    i.wrmsr();
    i.push(Sel.USER_DATA);
    i.push(At.USER_STACK);
    i.push(Sel.USER_CODE);
    i.push(At.USER_CODE);
    a.db(0x48);
    i.retf();
  });
  assertEquals([s.vector, s.cs, s.rsp], [0x40, Sel.USER_CODE, BigInt(At.USER_STACK)]);
  assertEquals([b.cpu.selector(3), b.cpu.selector(0)], [0, 0], "DS and ES were of ring 0");
  assertEquals(b.vcpu.getMsr(GS_BASE), 0x6000n);
});
