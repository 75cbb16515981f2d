/** Long mode: mode changes, events, privilege, paging. Expected answers are those of the SDM. */
import { assert, assertEquals } from "../std/assert.ts";
import * as o from "../../firmware/asm/operand.ts";
import type { Assembler, Instructions } from "../../firmware/asm/assembler.ts";
import { dword, mem, qword } from "../../firmware/asm/operand.ts";
import { At, LongBed, Sel } from "./long_bed.ts";
import * as S from "./state.ts";
import { Fl, Vec } from "./state.ts";

const { rax, rbx, rcx, rsp, eax, ecx, edx, ax, ds, cr0, cr3, cr4 } = o;
const HOLE = 0x0000800000000000n;
const bed = new LongBed();

/** A clean machine. */
function fresh(): LongBed {
  bed.reset();
  return bed;
}

/** Code that goes to CPL 3 at USER_CODE with a 64-bit code segment. */
function toUser(a: Assembler, cs: number = Sel.USER_CODE) {
  const { i } = a;
  i.push(Sel.USER_DATA);
  i.push(At.USER_STACK);
  i.push(0x202);
  i.push(cs);
  i.push(At.USER_CODE);
  i.iretq();
}

Deno.test("real mode to long mode, through compatibility mode, and back", () => {
  const b = fresh();
  b.vcpu.reset();
  b.put(0x2000, (a) => {
    const { i } = a;
    i.cli();
    i.xor(ax, ax);
    i.mov(ds, ax);
    i.mov(o.ss, ax);
    i.mov(o.sp, 0x7000);
    i.lgdt(mem("gdtr"));
    i.mov(eax, 0x6a0);
    i.mov(cr4, eax);
    i.mov(eax, At.PML4);
    i.mov(cr3, eax);
    i.mov(ecx, 0xc0000080);
    i.mov(eax, 0x900);
    i.xor(edx, edx);
    i.wrmsr();
    i.mov(eax, 0x80000011);
    i.mov(cr0, eax);
    // Compatibility mode, still 16-bit code.
    i.rdmsr();
    i.mov(dword(0x7000), eax);
    a.db(0xea);
    a.dw("long", Sel.CODE);
    a.bits(64);
    a.label("long");
    i.mov(rax, 0x123456789abcdef0n);
    i.mov(qword(0x7008), rax);
    i.mov(ecx, 0xc0000080);
    i.rdmsr();
    i.mov(dword(0x7004), eax);
    i.push(Sel.CODE32);
    i.lea(rax, mem("compat"));
    i.push(rax);
    a.db(0x48);
    i.retf();
    a.bits(32);
    a.label("compat");
    // INC and DEC are back, REX prefixes gone.
    a.db(0x40);
    i.mov(eax, cr0);
    i.and(eax, 0x7fffffff);
    i.mov(cr0, eax);
    i.mov(ecx, 0xc0000080);
    i.rdmsr();
    i.mov(dword(0x7010), eax);
    i.hlt();
    a.align(8);
    a.label("gdtr");
    a.dw(0x7f);
    a.dd(At.GDT);
  }, 16);
  b.vcpu.setSregs({ cs: { ...b.vcpu.getSregs().cs, selector: 0, base: 0n } });
  b.cpu.rip = 0x2000n;
  assertEquals(b.run().vector, -1);
  assertEquals(b.view.getUint32(0x7000, true), 0xd00, "LMA in compatibility mode");
  assertEquals(b.view.getUint32(0x7004, true), 0xd00);
  assertEquals(b.q(0x7008), 0x123456789abcdef0n);
  assertEquals(b.view.getUint32(0x7010, true), 0x900, "LMA clear without paging");
  assertEquals(b.cpu.lma, false);
});

Deno.test("what long mode refuses: CR0.PG, CR4.PAE, EFER.LME, LA57", () => {
  const b = fresh();
  const gp = (what: string, code: (i: Instructions) => void) => {
    b.reset();
    const s = b.start((a) => code(a.i));
    assertEquals([s.vector, s.error], [Vec.GP, 0], what);
  };
  gp("CR0.PG cleared in 64-bit mode", (i) => {
    i.mov(rax, cr0);
    i.btr(rax, 31);
    i.mov(cr0, rax);
  });
  gp("CR0 above 31", (i) => {
    i.mov(rax, cr0);
    i.bts(rax, 32);
    i.mov(cr0, rax);
  });
  gp("CR4.PAE cleared", (i) => {
    i.mov(rax, cr4);
    i.btr(rax, 5);
    i.mov(cr4, rax);
  });
  gp("CR4.LA57 toggled", (i) => {
    i.mov(rax, cr4);
    i.bts(rax, 12);
    i.mov(cr4, rax);
  });
  gp("EFER.LME cleared while paging", (i) => {
    i.mov(ecx, 0xc0000080);
    i.rdmsr();
    i.btr(eax, 8);
    i.wrmsr();
  });
  gp("CR3 above the physical address", (i) => {
    i.mov(rax, cr3);
    i.bts(rax, 51);
    i.mov(cr3, rax);
  });
  gp("CR3 bit 63 without PCIDs", (i) => {
    i.mov(rax, cr3);
    i.bts(rax, 63);
    i.mov(cr3, rax);
  });
  gp("CR4.PCIDE with a PCID in CR3", (i) => {
    i.mov(rax, cr3);
    i.or(rax, 5);
    i.mov(cr3, rax);
    i.mov(rax, cr4);
    i.bts(rax, 17);
    i.mov(cr4, rax);
  });
  gp("LSTAR not canonical", (i) => {
    i.mov(ecx, 0xc0000082);
    i.mov(eax, 0);
    i.mov(edx, 1 << 24);
    i.wrmsr();
  });
});

Deno.test("CR3 with PCIDs: bit 63 keeps nothing in the register", () => {
  const b = fresh();
  const s = b.start(({ i }) => {
    i.mov(rax, cr4);
    i.bts(rax, 17);
    i.mov(cr4, rax);
    i.mov(rax, cr3);
    i.or(rax, 5);
    i.bts(rax, 63);
    i.mov(cr3, rax);
    i.mov(rbx, cr3);
    i.hlt();
  });
  assertEquals(s.vector, -1);
  assertEquals(b.cpu.reg64(3), BigInt(At.PML4 | 5));
});

Deno.test("a page fault on an interrupt stack: alignment, SS:RSP, error code, CR2", () => {
  const b = fresh();
  b.gate(Vec.PF, At.HANDLERS + Vec.PF, 2);
  b.map(At.DATA, 0);
  const s = b.start(({ i }) => {
    i.sub(rsp, 4);
    i.mov(rax, At.DATA + 0x123);
    i.stc();
    i.mov(mem(rax), rcx);
    i.hlt();
  });
  assertEquals([s.vector, s.error, s.cr2], [Vec.PF, 2, BigInt(At.DATA + 0x123)]);
  assertEquals(s.rsp, BigInt(At.STACK - 4), "RSP before");
  assertEquals([s.cs, s.ss], [Sel.CODE, Sel.DATA]);
  assertEquals(s.flags & 0x10001, 0x10001, "RF is set in the image of a fault");
  assertEquals(b.cpu.reg64(4), BigInt(At.IST2 - 48), "six words below the interrupt stack");
  assertEquals(b.cpu.selector(2), Sel.DATA, "SS stays when the privilege does");
  assertEquals(b.vcpu.getRegs().rflags & BigInt(Fl.RF), 0n);
});

Deno.test("an exception from CPL 3 takes the stack of the TSS and a null SS", () => {
  const b = fresh();
  b.put(At.USER_CODE, ({ i }) => {
    i.mov(rax, At.DATA);
    i.mov(rbx, mem(rax));
  });
  const s = b.start(toUser);
  assertEquals([s.vector, s.error, s.cr2], [Vec.PF, 5, BigInt(At.DATA)]);
  assertEquals([s.cs, s.ss, s.rsp], [Sel.USER_CODE, Sel.USER_DATA, BigInt(At.USER_STACK)]);
  assertEquals(b.cpu.reg64(4), BigInt(At.STACK0 - 48));
  assertEquals(b.cpu.selector(2), 0);
  assertEquals(b.cpu.cpl, 0);
});

Deno.test("the stack of an event begins at a multiple of 16, also without a change of privilege", () => {
  const b = fresh();
  const s = b.start(({ i }) => {
    i.sub(rsp, 7);
    i.int(0x30);
  });
  assertEquals([s.vector, s.rsp], [0x30, BigInt(At.STACK - 7)]);
  assertEquals(b.cpu.reg64(4), BigInt(At.STACK - 16 - 40));
});

Deno.test("interrupt gates of long mode: type, presence, privilege, table limit, code segment", () => {
  const b = fresh();
  const int = (vector: number) => {
    b.put(At.CODE, ({ i }) => i.int(vector));
    b.cpu.rip = BigInt(At.CODE);
    b.cpu.setReg64(4, BigInt(At.STACK));
    const s = b.run();
    return [s.vector, s.error];
  };
  b.gate(0x40, 0, 0, 3, 6);
  assertEquals(int(0x40), [Vec.GP, 0x40 * 8 + 2], "a 16-bit gate");
  b.gate(0x40, 0, 0, 3, 5);
  assertEquals(int(0x40), [Vec.GP, 0x40 * 8 + 2], "a task gate");
  b.ram[At.IDT + 0x400 + 5] = 0x0e;
  assertEquals(int(0x40), [Vec.NP, 0x40 * 8 + 2]);
  b.gate(0x40, At.HANDLERS + 0x40);
  b.view.setUint16(At.IDT + 0x402, Sel.CODE32, true);
  assertEquals(int(0x40), [Vec.GP, Sel.CODE32], "no 64-bit code");
  b.view.setUint16(At.IDT + 0x402, 0, true);
  assertEquals(int(0x40), [Vec.GP, 0]);
  b.cpu.set32(S.IDTR_LIMIT, 0x41 * 16 - 2);
  assertEquals(int(0x40), [Vec.GP, 0x40 * 8 + 2], "beyond the limit");
  b.reset();
  b.gate(0x40, HOLE);
  assertEquals(int(0x40), [Vec.GP, 0], "a target that is not canonical");
  b.reset();
  b.gate(0x40, At.HANDLERS + 0x40, 0, 0);
  b.put(At.USER_CODE, ({ i }) => i.int(0x40));
  const s = b.start(toUser);
  assertEquals([s.vector, s.error], [Vec.GP, 0x40 * 8 + 2], "DPL below CPL");
});

Deno.test("a trap gate keeps IF, an interrupt gate clears it", () => {
  const b = fresh();
  b.gate(0x40, At.HANDLERS + 0x40, 0, 3, 15);
  b.start(({ i }) => {
    i.sti();
    i.int(0x40);
  });
  assert(b.vcpu.getRegs().rflags & 0x200n);
  b.reset();
  b.start(({ i }) => {
    i.sti();
    i.int(0x40);
  });
  assertEquals(b.vcpu.getRegs().rflags & 0x200n, 0n);
});

Deno.test("IRETQ pops SS:RSP without a change of privilege, and takes a null SS above CPL 3", () => {
  const b = fresh();
  const t = b.start((a) => {
    const { i } = a;
    i.push(0);
    i.push(0x7ff8);
    i.push(0x4d7);
    i.push(Sel.CODE);
    i.lea(rax, mem("next"));
    i.push(rax);
    i.iretq();
    a.label("next");
    i.hlt();
  });
  assertEquals(t.vector, -1);
  assertEquals(b.cpu.reg64(4), 0x7ff8n);
  assertEquals(b.cpu.selector(2), 0);
  assertEquals(b.vcpu.getRegs().rflags, 0x4d7n);
});

Deno.test("IRETQ: what it refuses", () => {
  const b = fresh();
  const iret = (ip: bigint, cs: number, rsp_: number, ss: number, flags = 2) => {
    b.reset();
    const s = b.start(({ i }) => {
      i.push(ss);
      i.push(rsp_);
      i.push(flags);
      i.push(cs);
      i.mov(rax, ip);
      i.push(rax);
      i.iretq();
    });
    assertEquals(s.rip, BigInt(b.ram.lastIndexOf(0x48, At.CODE + 40)), "RIP of the IRETQ");
    return [s.vector, s.error];
  };
  const user = BigInt(At.USER_CODE);
  assertEquals(iret(user, Sel.USER_CODE, At.USER_STACK, 0), [Vec.GP, 0], "null SS at CPL 3");
  assertEquals(iret(HOLE, Sel.CODE, At.STACK, Sel.DATA), [Vec.GP, 0], "not canonical");
  assertEquals(iret(0x1000n, 0, At.STACK, Sel.DATA), [Vec.GP, 0], "null CS");
  assertEquals(iret(0x1000n, Sel.DATA, At.STACK, Sel.DATA), [Vec.GP, Sel.DATA], "CS is data");
  assertEquals(iret(user, Sel.USER_CODE, 0, Sel.DATA), [Vec.GP, Sel.DATA], "SS of another level");
  b.reset();
  const s = b.start(({ i }) => {
    i.pushfq();
    i.bts(qword(rsp), 14);
    i.popfq();
    i.iretq();
  });
  assertEquals([s.vector, s.error], [Vec.GP, 0], "NT");
});

Deno.test("compatibility mode: 32-bit user code, its addresses and its way into the kernel", () => {
  const b = fresh();
  // The kernel touches high addresses whose low halves are those of the user's.
  b.put(At.USER_CODE, (a) => {
    const { i } = a;
    i.mov(eax, Sel.USER_DATA);
    i.mov(ds, eax);
    i.mov(eax, dword(At.USER_DATA));
    a.db(0x40); // INC EAX here, a REX prefix in 64-bit code
    i.push(eax);
    i.mov(ecx, 0xffffffff);
    i.lea(edx, mem(ecx, 2));
    i.int(0x40);
  }, 32);
  b.view.setUint32(At.USER_DATA, 0x11223344, true);
  const s = b.start((a) => toUser(a, Sel.USER_CODE32));
  assertEquals([s.vector, s.cs, s.ss], [0x40, Sel.USER_CODE32, Sel.USER_DATA]);
  assertEquals(s.rsp, BigInt(At.USER_STACK - 4));
  assertEquals(b.view.getUint32(At.USER_STACK - 4, true), 0x11223345);
  assertEquals(b.cpu.reg64(2), 1n, "addresses wrap at 4 GiB");
  assertEquals(b.cpu.selector(1), Sel.CODE);
});

Deno.test("a translation of a high address is none of its low half in compatibility mode", () => {
  const b = fresh();
  // 0xffff800000000000 + x is mapped to x; linear x itself is not mapped here.
  b.map(At.DATA, 0);
  b.view.setBigUint64(At.PML4 + 8 * 257, BigInt(0x20000 | 7), true);
  b.view.setBigUint64(0x20000, BigInt(0x21000 | 7), true);
  b.view.setBigUint64(0x21000, BigInt(0x22000 | 7), true);
  b.view.setBigUint64(0x22000 + 8 * (At.DATA >> 12), BigInt(At.DATA | 3), true);
  const s = b.start((a) => {
    const { i } = a;
    i.mov(rbx, 0xffff808000000000n + BigInt(At.DATA));
    i.mov(rcx, mem(rbx));
    i.push(Sel.CODE32);
    i.lea(rax, mem("compat"));
    i.push(rax);
    a.db(0x48);
    i.retf();
    a.bits(32);
    a.label("compat");
    i.mov(eax, dword(At.DATA));
    i.hlt();
  });
  assertEquals([s.vector, s.error, s.cr2], [Vec.PF, 0, BigInt(At.DATA)]);
});

Deno.test("addresses that are not canonical: #SS through the stack, else #GP", () => {
  const b = fresh();
  const fault = (code: (i: Instructions) => void) => {
    b.reset();
    const s = b.start(({ i }) => {
      i.mov(rax, HOLE - 4n);
      code(i);
    });
    return [s.vector, s.error];
  };
  b.gate(Vec.SS, At.HANDLERS + Vec.SS);
  assertEquals(fault((i) => i.mov(rbx, mem(rax))), [Vec.GP, 0], "crossing into the hole");
  assertEquals(fault((i) => i.mov(mem(rax, 8), rbx)), [Vec.GP, 0]);
  assertEquals(fault((i) => i.jmp(rax)), [Vec.PF, 0x10], "the last canonical page");
  assertEquals(
    fault((i) => {
      i.add(rax, 4);
      i.jmp(rax);
    }),
    [Vec.GP, 0],
  );
  assertEquals(
    fault((i) => {
      i.mov(o.rbp, rax);
      i.mov(rbx, mem(o.rbp, 8));
    }),
    [Vec.SS, 0],
    "RBP is based on the stack",
  );
  // The handler's own stack has to be good.
  const withIst = (code: (i: Instructions) => void) => {
    b.reset();
    b.gate(Vec.SS, At.HANDLERS + Vec.SS, 1);
    b.gate(Vec.GP, At.HANDLERS + Vec.GP, 1);
    const s = b.start(({ i }) => {
      i.mov(rax, HOLE + 8n);
      i.mov(rbx, At.DATA);
      code(i);
    });
    return [s.vector, s.error];
  };
  assertEquals(
    withIst((i) => {
      i.mov(rsp, rax);
      i.push(rbx);
    }),
    [Vec.SS, 0],
  );
  assertEquals(
    withIst((i) => {
      i.mov(rsp, rax);
      i.pop(rbx);
    }),
    [Vec.SS, 0],
  );
  assertEquals(
    withIst((i) => {
      i.mov(rsp, rax);
      i.call(qword(rbx));
    }),
    [Vec.SS, 0],
    "the pointer is good, the stack is not",
  );
  assertEquals(withIst((i) => i.push(qword(rax))), [Vec.GP, 0], "the operand, not the stack");
});

Deno.test("a 64-bit call gate to ring 0 and the far return from it", () => {
  const b = fresh();
  const gate = (target: bigint, type = 0xc, high = 0n) => {
    const at = At.GDT + Sel.GATE;
    b.view.setBigUint64(
      at,
      (target & 0xffffn) | (BigInt(Sel.CODE) << 16n) | (BigInt(0xe0 | type) << 40n) |
        ((target >> 16n & 0xffffn) << 48n),
      true,
    );
    b.view.setBigUint64(at + 8, target >> 32n | high, true);
  };
  gate(0x2000n);
  b.put(0x2000, (a) => {
    a.i.mov(rbx, rsp);
    a.db(0x48);
    a.i.retf();
  });
  b.put(At.USER_CODE, (a) => {
    const { i } = a;
    i.mov(rax, At.USER_DATA);
    i.mov(dword(rax, 4), Sel.GATE);
    i.callf(dword(rax));
    i.int(0x40);
  });
  let s = b.start(toUser);
  assertEquals([s.vector, s.cs, s.ss], [0x40, Sel.USER_CODE, Sel.USER_DATA]);
  assertEquals(s.rsp, BigInt(At.USER_STACK));
  assertEquals(b.cpu.reg64(3), BigInt(At.STACK0 - 32), "SS, RSP, CS, RIP on the stack of ring 0");
  gate(0x2000n, 4);
  s = b.start(toUser);
  assertEquals([s.vector, s.error], [Vec.GP, Sel.GATE], "no 16-bit gates");
  gate(0x2000n, 12, 0x100n << 32n);
  s = b.start(toUser);
  assertEquals([s.vector, s.error], [Vec.GP, Sel.GATE], "a type in the upper half");
  gate(HOLE);
  s = b.start(toUser);
  assertEquals([s.vector, s.error], [Vec.GP, 0], "a target that is not canonical");
});

Deno.test("MONITOR, LLDT and LTR check addresses", () => {
  const HOLE = 1n << 63n;
  const b = fresh();
  let s = b.start(({ i }) => (i.mov(rax, HOLE), i.mov(o.ecx, 0), i.monitor()));
  assertEquals([s.vector, s.error], [Vec.GP, 0]);
  b.reset();
  s = b.start(({ i }) => (i.mov(o.eax, At.DATA), i.mov(o.ecx, 0), i.monitor(), i.int(0x40)));
  assertEquals(s.vector, 0x40);
  for (const [which, at] of [["lldt", Sel.LDT], ["ltr", Sel.TSS]] as const) {
    b.reset();
    b.view.setUint8(At.GDT + at + 5, which === "ltr" ? 0x89 : 0x82);
    b.view.setUint32(At.GDT + at + 8, 0x80000000, true);
    s = b.start(({ i }) => (i.mov(o.eax, at), i[which](o.ax)));
    assertEquals([s.vector, s.error], [Vec.GP, at], which);
    assertEquals(b.view.getUint8(At.GDT + at + 5) & 2, which === "ltr" ? 0 : 2, "not made busy");
  }
});

Deno.test("no task switches: a far jump to a TSS is #GP; LTR and LLDT take 16-byte descriptors", () => {
  const b = fresh();
  b.ram[At.GDT + Sel.TSS + 5] = 0x89;
  let s = b.start(({ i }) => {
    i.mov(dword(At.DATA), 0);
    i.mov(dword(At.DATA + 4), Sel.TSS);
    i.jmpf(dword(At.DATA));
  });
  assertEquals([s.vector, s.error], [Vec.GP, Sel.TSS]);
  b.reset();
  b.view.setUint32(At.GDT + Sel.TSS + 8, 0xffff8000, true);
  b.view.setUint32(At.GDT + Sel.LDT + 8, 0xffff8000, true);
  s = b.start(({ i }) => {
    i.mov(ax, Sel.TSS);
    i.ltr(ax);
    i.mov(ax, Sel.LDT);
    i.lldt(ax);
    i.int(0x41);
  });
  assertEquals(s.vector, 0x41);
  assertEquals(b.cpu.segBase(S.TR), (0xffff8000n << 32n) | BigInt(At.TSS));
  assertEquals(b.cpu.segBase(S.LDTR), (0xffff8000n << 32n) | BigInt(At.LDT));
  assertEquals(b.ram[At.GDT + Sel.TSS + 5], 0x8b, "busy");
  s = b.start(({ i }) => {
    i.mov(ax, Sel.TSS);
    i.ltr(ax);
  });
  assertEquals([s.vector, s.error], [Vec.GP, Sel.TSS], "a busy TSS");
});

Deno.test("a fault that cannot be delivered is a double fault, then the end", () => {
  const b = fresh();
  b.gate(Vec.DF, At.HANDLERS + Vec.DF, 1);
  const s = b.start(({ i }) => {
    i.xor(rsp, rsp);
    i.push(rax);
  });
  // RSP wraps to an address that is not mapped; the page fault finds no stack either.
  assertEquals([s.vector, s.error], [Vec.DF, 0]);
  b.reset();
  assertEquals(b.start(({ i }) => (i.xor(rsp, rsp), i.push(rax))).vector, -2);
});

Deno.test("loads of 32 bits clear the upper half; RIP-relative and 32-bit addresses", () => {
  const b = fresh();
  b.view.setBigUint64(At.DATA, 0x8877665544332211n, true);
  const s = b.start((a) => {
    const { i } = a;
    i.mov(rax, -1);
    i.mov(eax, dword(At.DATA));
    i.mov(rbx, mem("here"));
    i.mov(rcx, 0x7fffffff00000000n + BigInt(At.DATA));
    i.mov(rcx, o.addressSize(mem(ecx), 4));
    // MOV RAX, moffs64 reaches beyond 32 bits.
    i.push(rax);
    a.db(0x48, 0xa1);
    a.dq(0xffff800000000000n + BigInt(At.DATA));
    i.hlt();
    a.label("here");
    a.dq(0x1234567812345678n);
  });
  assertEquals(s.vector, -1);
  assertEquals(b.q(At.STACK - 8), 0x44332211n);
  assertEquals(b.cpu.reg64(3), 0x1234567812345678n);
  assertEquals(b.cpu.reg64(1), 0x8877665544332211n);
  assertEquals(b.cpu.reg64(0), 0x8877665544332211n);
});
