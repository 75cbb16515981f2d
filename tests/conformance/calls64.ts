/** SYSCALL, SYSENTER, debug exceptions and the XSAVE instructions in 64-bit mode. */
import * as o from "../../firmware/asm/operand.ts";
import { dword, mem, qword } from "../../firmware/asm/operand.ts";
import { done, END, type Expect, fault, pageFault, Vec } from "./check.ts";
import { At, Cr4, EFER, type Kernel64, Msr, Sel } from "./kernel64.ts";

const { al, eax, ecx, edx, rax, rbx, rcx, rdi, rdx, rsp, r11, ss } = o;
const HOLE = 1n << 63n;
const GP0 = fault(Vec.GP), UD = fault(Vec.UD);

export function calls(k: Kernel64): void {
  systemCalls(k);
  systemEnter(k);
}

/** RAX becomes a label's address plus `add`, and goes to an MSR. */
function setMsrTo(k: Kernel64, msr: number, label: string): void {
  const { i } = k;
  i.lea(rax, mem(label));
  i.mov(rdx, rax);
  i.shr(rdx, 32);
  i.mov(ecx, msr);
  i.wrmsr();
}

function systemCalls(k: Kernel64): void {
  const { i, a } = k;
  const STAR = BigInt(Sel.CODE) << 32n | 0x1bn << 48n;
  const enter = (handler: () => void, mask = 0) => {
    const to = a.unique("to"), over = a.unique("over");
    i.jmp(over);
    a.label(to);
    handler();
    a.label(over);
    // The stack segment that SYSCALL loads: notes return to it.
    k.descriptor(Sel.CODE + 8, 0x00cf93000000ffffn);
    k.setMsr(Msr.STAR, STAR);
    k.setMsr(Msr.FMASK, mask);
    setMsrTo(k, Msr.LSTAR, to);
  };
  const noteSelectors = () => {
    for (const s of [o.cs, ss]) {
      i.mov(eax, s);
      i.mov(rbx, rax);
      i.mov(eax, o.ebx);
      i.push(rax);
    }
  };
  k.section("2: SYSCALL");
  k.check(
    "SYSCALL: CS, SS, R11, RSP, flags by FMASK",
    done(Sel.CODE, Sel.CODE + 8, 0x246, At.USER + At.USER_STACK, 0),
    () => {
      enter(() => {
        i.mov(rdi, rsp);
        i.pushfq();
        i.pop(o.rbp);
        i.and(o.ebp, 0x200);
        i.mov(rsp, At.STACK - 0x1000);
        noteSelectors();
        i.pop(rcx);
        i.pop(rdx);
        for (const r of [rdx, rcx, r11, rdi, o.rbp]) {
          i.mov(rax, r);
          k.note();
        }
        i.int(0x30);
      }, 0x200);
      k.user(() => {
        i.xor(eax, eax);
        i.syscall();
      }, { flags: 0x202 });
    },
  );
  k.check("SYSCALL: RCX is the next instruction", {
    ...done(),
    sp: BigInt(At.USER + At.USER_STACK),
  }, () => {
    enter(() => {
      i.cmp(rcx, rcx);
      a.db(0x48);
      i.sysret();
    });
    k.user(() => i.syscall());
  });
  k.check("SYSCALL without EFER.SCE", UD, () => {
    k.setMsr(Msr.EFER, EFER & ~1);
    k.at();
    i.syscall();
  });
  k.check(
    "SYSCALL in compatibility mode",
    UD,
    () => k.user(() => (k.at(), i.syscall()), { bits: 32 }),
  );
  k.check("LOCK SYSCALL", UD, () => (k.at(), a.db(0xf0, 0x0f, 0x05)));
  k.section("2: SYSRET");
  const back = (name: string, expect: Expect, body: () => void, w = true) =>
    k.check(`SYSRET: ${name}`, expect, () => {
      k.setMsr(Msr.STAR, STAR);
      i.mov(rcx, At.LAB);
      i.mov(r11, 2);
      body();
      if (expect.vector !== END) k.at();
      if (w) a.db(0x48);
      i.sysret();
    });
  back("without EFER.SCE", UD, () => (k.setMsr(Msr.EFER, EFER & ~1)));
  back("RCX that is not canonical", GP0, () => i.mov(rcx, HOLE));
  k.check("SYSRET to 64-bit mode: CS, SS, flags, RSP as it is", {
    ...{ vector: END, cs: 0x2b, ss: 0x23, sp: BigInt(At.STACK), flags: [0x257fd7, 0x240cd7] },
  }, () => {
    const to = a.unique("to");
    // STAR[63:48] + 16 and + 8.
    k.descriptor(0x28, 0x00affb000000ffffn);
    k.descriptor(0x20, 0x00cff3000000ffffn);
    k.setMsr(Msr.STAR, STAR);
    i.lea(rcx, mem(to));
    i.add(rcx, At.USER);
    i.mov(r11, 0x250cd7);
    a.db(0x48);
    i.sysret();
    a.label(to);
  });
  k.check("SYSRET to compatibility mode", { vector: END, cs: 0x1b, ss: 0x23 }, () => {
    const to = a.unique("to");
    k.descriptor(0x18, 0x00cffb000000ffffn);
    k.descriptor(0x20, 0x00cff3000000ffffn);
    // The gates' code segment is another one meanwhile.
    k.descriptor(Sel.FREE, 0x00af9b000000ffffn);
    k.gate(0x30, "stub.48", { dpl: 3, selector: Sel.FREE });
    k.setMsr(Msr.STAR, STAR);
    i.mov(ecx, to);
    i.add(ecx, At.USER);
    i.mov(r11, 2);
    i.sysret();
    a.bits(32);
    a.label(to);
    i.int(0x30);
    a.bits(64);
  });
}

function systemEnter(k: Kernel64): void {
  const { i, a } = k;
  k.section("2: SYSENTER, SYSEXIT");
  k.check("SYSENTER with CS 0", GP0, () => (k.at(), i.sysenter()));
  k.check(
    "SYSENTER: CS, SS, RSP, RIP of 64 bits, IF",
    done(Sel.CODE, Sel.CODE + 8, At.STACK - 0x800, 0),
    () => {
      const to = a.unique("to"), over = a.unique("over");
      i.jmp(over);
      a.label(to);
      i.mov(rdi, rsp);
      i.pushfq();
      i.pop(o.rbp);
      i.and(o.ebp, 0x200);
      i.mov(ecx, ss);
      i.mov(eax, o.cs);
      k.note();
      k.note(ecx);
      for (const r of [rdi, o.rbp]) k.note(r);
      i.int(0x30);
      a.label(over);
      k.descriptor(Sel.CODE + 8, 0x00cf93000000ffffn);
      k.setMsr(Msr.SYSENTER_CS, Sel.CODE);
      k.setMsr(Msr.SYSENTER_ESP, At.STACK - 0x800);
      setMsrTo(k, Msr.SYSENTER_EIP, to);
      k.user(() => i.sysenter(), { flags: 0x202 });
    },
  );
  k.check("SYSEXIT with CS 0", GP0, () => (k.at(), i.sysexit()));
  for (const [name, r] of [["RCX", rcx], ["RDX", rdx]] as const) {
    k.check(`SYSEXIT to 64-bit mode with ${name} that is not canonical`, GP0, () => {
      k.setMsr(Msr.SYSENTER_CS, Sel.CODE);
      for (const x of [rcx, rdx]) i.mov(x, At.LAB);
      i.mov(r, HOLE);
      k.at();
      a.db(0x48);
      i.sysexit();
    });
  }
  k.check("SYSEXIT to 64-bit mode", {
    vector: END,
    cs: 0x3b,
    ss: 0x43,
    sp: BigInt(At.USER + At.USER_STACK - 64),
  }, () => {
    const to = a.unique("to");
    k.descriptor(0x38, 0x00affb000000ffffn, 0x00cff3000000ffffn);
    // CS + 32 and + 40.
    k.setMsr(Msr.SYSENTER_CS, Sel.CODE);
    i.mov(rcx, At.USER + At.USER_STACK - 64);
    i.lea(rdx, mem(to));
    i.add(rdx, At.USER);
    a.db(0x48);
    i.sysexit();
    a.label(to);
  });
}

/** SDM volume 3, 17: what tests/kvm/debug_test.ts does not say beside QEMU is left to it. */
export function debug(k: Kernel64): void {
  const { i, a } = k, BS = 0x4000, FIXED = 0xffff0ff0;
  const dr7 = (v: number) => {
    i.mov(eax, v);
    i.mov(o.dr7, rax);
  };
  /** Ends the check with DR6 as its note. */
  const own = () => {
    const to = a.unique("own"), over = a.unique("over");
    k.gate(Vec.DB, to);
    i.jmp(over);
    a.label(to);
    i.push(rax);
    i.mov(rax, o.dr6);
    k.note();
    i.pop(rax);
    i.push(0);
    i.push(Vec.DB);
    i.jmp("common");
    a.label(over);
  };
  const db = (dr6: number, flags?: readonly [number, number]): Expect => ({
    ...fault(Vec.DB, 0, (FIXED | dr6) >>> 0),
    ...flags === undefined ? {} : { flags },
  });
  k.section("3: 17.3.1");
  k.check("TF: behind the instruction that follows POPF", db(BS, [0x100, 0x100]), () => {
    own();
    i.push(0x102);
    i.popfq();
    i.nop();
    k.at();
    i.nop();
  });
  k.check("INT1: DR6 stays", db(0), () => {
    own();
    a.db(0xf1);
    k.at();
    i.nop();
  });
  k.check("a fetch breakpoint is a fault", db(1, [0x10000, 0]), () => {
    const to = a.unique("to");
    own();
    i.lea(rax, mem(to));
    i.mov(o.dr0, rax);
    dr7(0x402);
    k.at();
    a.label(to);
    i.nop();
  });
  k.check("RF in IRET's image lets the instruction through", done(), () => {
    const to = a.unique("to");
    i.lea(rax, mem(to));
    i.mov(o.dr0, rax);
    dr7(0x402);
    i.push(Sel.DATA);
    i.push(At.STACK);
    i.push(0x10002);
    i.push(Sel.CODE);
    i.push(rax);
    i.lea(rax, mem(to));
    i.mov(qword(rsp), rax);
    i.iretq();
    a.label(to);
    i.nop();
  });
  for (
    const [name, type, bytes, emit, hit] of [
      ["a write", 1, 3, () => i.mov(dword(At.SCRATCH), eax), true],
      ["a read", 1, 3, () => i.mov(eax, dword(At.SCRATCH)), false],
      ["a read, of either", 3, 3, () => i.mov(eax, dword(At.SCRATCH)), true],
      ["a byte of it", 3, 3, () => i.mov(al, o.byte(At.SCRATCH + 3)), true],
      ["a byte behind it", 3, 3, () => i.mov(al, o.byte(At.SCRATCH + 4)), false],
      ["a qword that reaches in", 3, 0, () => i.mov(rax, qword(At.SCRATCH - 7)), true],
      ["8 bytes: the last", 3, 2, () => i.mov(al, o.byte(At.SCRATCH + 7)), true],
    ] as const
  ) {
    k.check(`a data breakpoint: ${name}`, hit ? db(2) : done(), () => {
      own();
      i.mov(eax, At.SCRATCH);
      i.mov(o.dr1, rax);
      dr7(0x400 | 8 | type << 20 | bytes << 22);
      emit();
      if (hit) k.at();
      i.nop();
    });
  }
  k.check("DR7.GD: MOV from DR0 is a fault with BD, and GD is cleared", {
    ...db(0x2000),
    notes: [0xffff2ff0n],
  }, () => {
    own();
    dr7(0x2400);
    k.at();
    i.mov(rax, o.dr6);
  });
  k.check("an I/O breakpoint needs CR4.DE", db(4), () => {
    own();
    k.setCr4([Cr4.DE]);
    i.mov(eax, 0x80);
    i.mov(o.dr2, rax);
    dr7(0x400 | 0x20 | 2 << 24);
    i.out(0x80, al);
    k.at();
    i.nop();
  });
}

/** SDM volume 1, 13. */
export function xsave(k: Kernel64): void {
  const { i, a } = k, AREA = At.SCRATCH + 0x1000;
  const xcr0 = (v: number, index = 0) => {
    k.setCr4([Cr4.OSXSAVE]);
    i.mov(eax, v);
    i.mov(ecx, index);
    i.xor(edx, edx);
    k.at();
    a.db(0x0f, 0x01, 0xd1);
  };
  const op = (bytes: number[], mask: number) => {
    i.mov(rdi, AREA);
    i.mov(eax, mask);
    i.xor(edx, edx);
    k.at();
    a.db(...bytes);
  };
  const XSAVE = [0x48, 0x0f, 0xae, 0x27], XRSTOR = [0x48, 0x0f, 0xae, 0x2f];
  const XSAVEOPT = [0x48, 0x0f, 0xae, 0x37], XSAVEC = [0x48, 0x0f, 0xc7, 0x27];
  const clear = (fill = 0) => {
    i.mov(rdi, AREA);
    i.mov(ecx, 0x200);
    i.mov(eax, fill);
    i.rep();
    i.stosq();
  };
  const header = (bv: bigint, compact = 0n, rest = 0n) => {
    clear();
    k.put(AREA + 512, bv);
    k.put(AREA + 520, compact);
    k.put(AREA + 528, rest);
    i.mov(dword(AREA), 0x37f);
    i.mov(dword(AREA + 24), 0x1f80);
  };
  k.section("2: XSETBV, XGETBV", "xsave");
  for (
    const [name, v] of [["without x87", 2], ["of 0", 0], ["of AVX without SSE", 5], [
      "with bit 63",
      -1,
    ]] as const
  ) {
    k.check(`XCR0 ${name}`, GP0, () => {
      if (v >= 0) return xcr0(v);
      k.setCr4([Cr4.OSXSAVE]);
      i.mov(eax, 3);
      i.mov(edx, 0x80000000);
      i.mov(ecx, 0);
      k.at();
      a.db(0x0f, 0x01, 0xd1);
    });
  }
  k.check("XCR1 is not there", GP0, () => xcr0(3, 1));
  k.check("XGETBV gives XCR0", done(7), () => {
    xcr0(7);
    i.mov(ecx, 0);
    a.db(0x0f, 0x01, 0xd0);
    k.note();
  });
  k.check("XGETBV of XCR2", GP0, () => (xcr0(3), i.mov(ecx, 2), k.at(), a.db(0x0f, 0x01, 0xd0)));
  k.check("XGETBV without CR4.OSXSAVE", UD, () => (i.mov(ecx, 0), k.at(), a.db(0x0f, 0x01, 0xd0)));
  k.check("XSAVE without CR4.OSXSAVE", UD, () => op(XSAVE, 3));
  k.check("CPUID.OSXSAVE is CR4's bit", done(0, 1), () => {
    const ask = () => {
      i.mov(eax, 1);
      i.cpuid();
      i.mov(eax, ecx);
      i.shr(eax, 27);
      i.and(eax, 1);
      k.note();
    };
    ask();
    k.setCr4([Cr4.OSXSAVE]);
    ask();
  });
  k.section("1: 13.7, 13.8", "xsave");
  k.check(
    "XSAVE at an odd address",
    GP0,
    () => (xcr0(3), i.mov(rdi, AREA + 16), i.mov(eax, 3), k.at(), a.db(...XSAVE)),
  );
  k.check("XSAVE under TS", fault(Vec.NM), () => (xcr0(3), k.setCr0(0x8001003b), op(XSAVE, 3)));
  k.check(
    "XSAVE writes XSTATE_BV, and only what is asked",
    done(2, 0x7777777777777777n, 0x1f80),
    () => {
      xcr0(7);
      clear();
      k.put(AREA, 0x7777777777777777n);
      a.db(0xdb, 0xe3, 0x66, 0x0f, 0x76, 0xc0); // FNINIT; PCMPEQD XMM0, XMM0
      op(XSAVE, 2);
      i.mov(rax, qword(AREA + 512));
      i.and(eax, 2);
      k.note();
      i.mov(rax, qword(AREA));
      k.note();
      i.mov(eax, dword(AREA + 24));
      k.note();
    },
  );
  const refused = (name: string, bv: bigint, compact = 0n, rest = 0n) =>
    k.check(`XRSTOR: ${name}`, GP0, () => {
      xcr0(7);
      header(bv, compact, rest);
      op(XRSTOR, 7);
    });
  refused("XSTATE_BV with a bit that XCR0 has not", 1n << 9n);
  refused("XSTATE_BV with bit 63", 1n << 63n);
  refused("header byte 16 not 0", 3n, 0n, 1n);
  refused("XCOMP_BV not 0 in the standard form", 3n, 3n);
  k.check("XRSTOR: MXCSR with a reserved bit", GP0, () => {
    xcr0(7);
    header(2n);
    i.mov(dword(AREA + 24), 0x11f80);
    op(XRSTOR, 7);
  });
  k.check("XRSTOR initializes what XSTATE_BV lacks", done(0, 0), () => {
    xcr0(7);
    a.db(0x66, 0x0f, 0x76, 0xc0); // PCMPEQD XMM0, XMM0
    header(0n);
    op(XRSTOR, 7);
    a.db(0x66, 0x48, 0x0f, 0x7e, 0xc0); // MOVQ RAX, XMM0
    k.note();
    i.fnstsw(o.ax);
    i.and(eax, 0xffff);
    k.note();
  });
  k.check("XRSTOR leaves what is not asked for", done(-1), () => {
    xcr0(7);
    a.db(0x66, 0x0f, 0x76, 0xc0);
    header(0n);
    op(XRSTOR, 1);
    a.db(0x66, 0x48, 0x0f, 0x7e, 0xc0);
    k.note();
  });
  k.check("XSAVE and XRSTOR keep XMM and YMM", done(-1, -1), () => {
    xcr0(7);
    a.db(0xc5, 0xfd, 0x76, 0xc0); // VPCMPEQD YMM0, YMM0, YMM0
    clear();
    op(XSAVE, 7);
    a.db(0xc5, 0xfc, 0x77); // VZEROALL
    op(XRSTOR, 7);
    a.db(0x66, 0x48, 0x0f, 0x7e, 0xc0);
    k.note();
    a.db(0xc4, 0xe3, 0x7d, 0x39, 0xc1, 1); // VEXTRACTI128 XMM1, YMM0, 1
    a.db(0x66, 0x48, 0x0f, 0x7e, 0xc8); // MOVQ RAX, XMM1
    k.note();
  }, { needs: "avx" });
  k.section("2: XSAVEOPT", "xsaveopt");
  k.check(
    "XSAVEOPT at an odd address",
    GP0,
    () => (xcr0(3), i.mov(rdi, AREA + 16), i.mov(eax, 3), k.at(), a.db(...XSAVEOPT)),
  );
  k.check("XSAVEOPT saves", done(-1), () => {
    xcr0(3);
    a.db(0x66, 0x0f, 0x76, 0xc0);
    clear();
    op(XSAVEOPT, 3);
    i.mov(rax, qword(AREA + 160));
    k.note();
  });
  k.section("2: XSAVEC", "xsavec");
  k.check("XSAVEC: XCOMP_BV has bit 63 and what was asked", done(1n << 63n | 7n), () => {
    xcr0(7);
    clear();
    op(XSAVEC, 7);
    i.mov(rax, qword(AREA + 520));
    k.note();
  });
  k.check("XSAVEC leaves what is in its initial state out, AVX at 576", done(0, -1), () => {
    xcr0(7);
    a.db(0xdb, 0xe3, 0xc5, 0xfc, 0x77, 0xc5, 0xfd, 0x76, 0xc0); // FNINIT; VZEROALL; VPCMPEQD YMM0
    clear();
    op(XSAVEC, 4);
    i.mov(rax, qword(AREA + 160));
    k.note();
    i.mov(rax, qword(AREA + 576));
    k.note();
  });
  k.check("XRSTOR of the compacted form", done(-1), () => {
    xcr0(7);
    a.db(0x66, 0x0f, 0x76, 0xc0);
    clear();
    op(XSAVEC, 7);
    a.db(0x66, 0x0f, 0xef, 0xc0); // PXOR XMM0, XMM0
    op(XRSTOR, 7);
    a.db(0x66, 0x48, 0x0f, 0x7e, 0xc0);
    k.note();
  });
  refused("XCOMP_BV without a bit of XSTATE_BV", 7n, 1n << 63n | 3n);
  refused("XCOMP_BV with a bit that XCR0 has not", 3n, 1n << 63n | 0x203n);
  k.section("1: 13.5", "xsave");
  k.check("XSAVE to an absent page", pageFault(2, At.LAB), () => {
    xcr0(3);
    k.page(0, 0);
    i.mov(rdi, At.LAB);
    i.mov(eax, 3);
    i.xor(edx, edx);
    k.at();
    a.db(...XSAVE);
  });
}
