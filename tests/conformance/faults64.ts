/** Faults of instructions themselves in 64-bit mode. SDM volume 3, 6.15. */
import * as o from "../../firmware/asm/operand.ts";
import { dword, mem, qword } from "../../firmware/asm/operand.ts";
import { done, fault, Vec } from "./check.ts";
import { At, CR0, Cr4, type Kernel64, Sel } from "./kernel64.ts";

const { ax, eax, ecx, edx, rax, rbx, rcx, rsp } = o;
const GP = fault(Vec.GP), UD = fault(Vec.UD);

/** SDM volume 3, 6.15: faults of instructions themselves. */
export function instructionFaults(k: Kernel64): void {
  const { i, a } = k;
  k.section("2: B.2; 1: 3.4");
  for (const op of [0x06, 0x07, 0x0e, 0x16, 0x17, 0x1e, 0x1f, 0x27, 0x2f, 0x37, 0x3f, 0x60, 0x61]) {
    k.check(`opcode ${op.toString(16)} in 64-bit mode`, UD, () => (k.at(), a.db(op, 0x90, 0x90)));
  }
  for (const op of [0x62, 0x82, 0x9a, 0xc4, 0xce, 0xd4, 0xd5, 0xd6, 0xea]) {
    k.check(
      `opcode ${op.toString(16)} in 64-bit mode`,
      UD,
      () => (k.at(), a.db(op, 0xc0, 0, 0, 0, 0, 0x10, 0)),
    );
  }
  k.section("2: UD");
  k.check("UD0", UD, () => (k.at(), a.db(0x0f, 0xff, 0xc0)));
  k.check("UD1", UD, () => (k.at(), a.db(0x0f, 0xb9, 0xc0)));
  k.check("UD2", { ...UD, flags: [0x10000, 0x10000] }, () => (k.at(), i.ud2()));
  k.section("2: LOCK");
  k.check("LOCK NOP", UD, () => (k.at(), a.db(0xf0, 0x90)));
  k.check("LOCK ADD register", UD, () => (k.at(), a.db(0xf0, 0x01, 0xc0)));
  k.check("LOCK MOV", UD, () => (k.at(), a.db(0xf0, 0x89, 0x04, 0x24)));
  k.check("LOCK CMP", UD, () => (k.at(), a.db(0xf0, 0x39, 0x04, 0x24)));
  k.check("LOCK INC", done(), () => (i.lock(), i.inc(dword(At.SCRATCH))));
  k.section("3: 6.15 (#GP)");
  k.check("an instruction of 16 bytes", GP, () => (k.at(), a.db(...Array(15).fill(0x66), 0x90)));
  k.check("an instruction of 15 bytes", done(), () => a.db(...Array(14).fill(0x66), 0x90));
  k.section("1: 3.3.7.1");
  const hole = 1n << 63n;
  const canonical: [string, () => void, number][] = [
    ["a read through RAX", () => i.mov(rbx, mem(rax)), Vec.GP],
    ["a write through RAX", () => i.mov(mem(rax), rbx), Vec.GP],
    ["a read through RBP", () => (i.mov(o.rbp, rax), k.at(), i.mov(rbx, mem(o.rbp))), Vec.SS],
    ["a read through SS:RAX, whose prefix is ignored", () => i.mov(rbx, mem(o.ss, rax)), Vec.GP],
    ["a read through FS", () => i.mov(rbx, mem(o.fs, rax)), Vec.GP],
    ["JMP", () => i.jmp(rax), Vec.GP],
    ["CALL", () => i.call(rax), Vec.GP],
    ["RET", () => (i.push(rax), k.at(), i.ret()), Vec.GP],
    ["PUSH", () => (i.mov(rsp, rax), k.at(), i.push(rbx)), Vec.SS],
    ["POP", () => (i.mov(rsp, rax), k.at(), i.pop(rbx)), Vec.SS],
    ["CMPXCHG16B", () => (k.at(), a.db(0x48, 0x0f, 0xc7, 0x08)), Vec.GP],
    ["FLD", () => a.db(0xd9, 0x00), Vec.GP],
    ["MOVUPS", () => a.db(0x0f, 0x10, 0x00), Vec.GP],
    ["CLFLUSH", () => a.db(0x0f, 0xae, 0x38), Vec.GP],
    ["LODSB", () => (i.mov(o.rsi, rax), k.at(), i.lodsb()), Vec.GP],
    ["ENTER", () => (i.mov(rsp, rax), k.at(), i.enter(16, 0)), Vec.SS],
    ["LEAVE", () => (i.mov(o.rbp, rax), k.at(), i.leave()), Vec.SS],
  ];
  for (const [name, emit, vector] of canonical) {
    k.check(`not canonical: ${name}`, fault(vector), () => {
      for (const v of [Vec.GP, Vec.SS]) k.gate(v, `stub.${v}`, { ist: 1 });
      i.mov(rax, hole);
      k.at();
      emit();
    });
  }
  k.check("PREFETCHT0 of an address that is not canonical", done(), () => {
    i.mov(rax, hole);
    a.db(0x0f, 0x18, 0x08);
  });
  k.check("LEA of an address that is not canonical", done(hole), () => {
    i.mov(rax, hole);
    i.lea(rax, mem(rax));
    k.note();
  });
  k.check("REP MOVSB of nothing at an address that is not canonical", done(), () => {
    i.mov(rax, hole);
    i.mov(o.rsi, rax);
    i.mov(o.rdi, rax);
    i.rep();
    i.movsb();
  });
  k.section("2: CMPXCHG16B, MOVAPS");
  k.check("CMPXCHG16B of an odd address", GP, () => {
    i.mov(eax, At.SCRATCH + 8);
    k.at();
    a.db(0x48, 0x0f, 0xc7, 0x08);
  });
  k.check(
    "MOVAPS of an odd address",
    GP,
    () => (i.mov(eax, At.SCRATCH + 8), k.at(), a.db(0x0f, 0x28, 0x00)),
  );
  k.check(
    "MOVAPS of an odd address, through RSP",
    GP,
    () => (i.push(0), k.at(), a.db(0x0f, 0x28, 0x04, 0x24)),
  );
  k.check(
    "FXSAVE of an odd address",
    GP,
    () => (i.mov(eax, At.SCRATCH + 8), k.at(), i.fxsave(mem(rax))),
  );
  k.section("3: 6.15 (#DE, #BP)");
  k.check(
    "DIV by 0",
    { ...fault(Vec.DE), flags: [0x10000, 0x10000] },
    () => (i.mov(ecx, 0), k.at(), i.div(ecx)),
  );
  k.check("IDIV that overflows", fault(Vec.DE), () => {
    i.mov(eax, 0x80000000);
    i.cdq();
    i.mov(ecx, -1);
    k.at();
    i.idiv(ecx);
  });
  k.check(
    "INT3 is a trap",
    { ...fault(Vec.BP), flags: [0x10000, 0] },
    () => (i.int3(), k.at(), i.nop()),
  );
  k.check("INT 3 of two bytes", fault(Vec.BP), () => (a.db(0xcd, 3), k.at(), i.nop()));
  k.check("INT 13 pushes no error code", { vector: Vec.GP, error: Sel.CODE }, () => {
    // What is taken for the error code is RIP's place, and so on.
    i.mov(rsp, At.STACK);
    const { a } = k, own = a.unique("own"), over = a.unique("over");
    k.gate(13, own);
    i.jmp(over);
    a.label(own);
    i.mov(rax, qword(rsp, 8));
    i.mov(rcx, rsp);
    i.push(Sel.CODE);
    i.push(13);
    i.jmp("common");
    a.label(over);
    i.int(13);
  });
  fpu(k);
}

function fpu(k: Kernel64): void {
  const { i, a } = k;
  const NM = fault(Vec.NM), TS = 8, EM = 4, MP = 2;
  const x87 = () => a.db(0xd9, 0xe8),
    sse = () => a.db(0x0f, 0x57, 0xc0),
    mmx = () => a.db(0x0f, 0xef, 0xc0);
  k.section("3: 2.5, 13.1");
  const table: [string, number, () => void, typeof NM | undefined][] = [
    ["FLD1 under TS", CR0 | TS, x87, NM],
    ["FLD1 under EM", CR0 | EM, x87, NM],
    ["XORPS under TS", CR0 | TS, sse, NM],
    ["XORPS under EM", CR0 | EM, sse, UD],
    ["PXOR of MMX under TS", CR0 | TS, mmx, NM],
    ["PXOR of MMX under EM", CR0 | EM, mmx, UD],
    ["XORPS under EM and TS", CR0 | EM | TS, sse, UD],
    ["FWAIT under TS and MP", CR0 | TS | MP, () => i.fwait(), NM],
    ["FWAIT under TS", (CR0 | TS) & ~MP, () => i.fwait(), undefined],
    ["FWAIT under MP", CR0 | MP, () => i.fwait(), undefined],
    ["FXSAVE under TS", CR0 | TS, () => i.fxsave(mem(At.SCRATCH)), NM],
    ["FXSAVE under EM", CR0 | EM, () => i.fxsave(mem(At.SCRATCH)), NM],
    ["LDMXCSR under TS", CR0 | TS, () => a.db(0x0f, 0xae, 0x14, 0x24), NM],
    ["MOVNTI under TS", CR0 | TS, () => a.db(0x0f, 0xc3, 0x04, 0x24), undefined],
    ["SFENCE under EM", CR0 | EM, () => i.sfence(), undefined],
    ["CRC32 under EM", CR0 | EM, () => a.db(0xf2, 0x0f, 0x38, 0xf1, 0xc0), undefined],
    ["POPCNT under EM", CR0 | EM, () => a.db(0xf3, 0x0f, 0xb8, 0xc0), undefined],
  ];
  for (const [name, value, emit, expect] of table) {
    k.check(name, expect ?? done(), () => {
      i.push(0x1f80);
      k.setCr0(value);
      if (expect !== undefined) k.at();
      emit();
    });
  }
  k.check("XORPS without CR4.OSFXSR", UD, () => (k.setCr4([], [Cr4.OSFXSR]), k.at(), sse()));
  k.check(
    "PXOR of MMX without CR4.OSFXSR",
    done(),
    () => (k.setCr4([], [Cr4.OSFXSR]), mmx(), i.emms()),
  );
  k.check(
    "LDMXCSR with a reserved bit",
    GP,
    () => (i.push(0x11f80), k.at(), a.db(0x0f, 0xae, 0x14, 0x24)),
  );
  const unmasked = () => {
    i.push(0x1d80); // ZM clear
    a.db(0x0f, 0xae, 0x14, 0x24, 0x0f, 0x57, 0xc0); // LDMXCSR; XORPS XMM0, XMM0
    i.mov(eax, 0x3f800000);
    a.db(0x66, 0x0f, 0x6e, 0xc8); // MOVD XMM1, EAX
    k.at();
    a.db(0xf3, 0x0f, 0x5e, 0xc8); // DIVSS XMM1, XMM0
  };
  const masked = () => (i.push(0x1f80), a.db(0x0f, 0xae, 0x14, 0x24));
  k.section("3: 6.15 (#XM, #MF)");
  k.check("a SIMD exception", fault(Vec.XM), unmasked);
  k.check(
    "a SIMD exception without CR4.OSXMMEXCPT",
    UD,
    () => (k.setCr4([], [Cr4.OSXMMEXCPT]), unmasked()),
  );
  k.check(
    "a masked SIMD exception",
    done(),
    () => (masked(), a.db(0x0f, 0x57, 0xc0, 0xf3, 0x0f, 0x53, 0xc8)),
  );
  const pending = () => {
    i.fninit();
    i.push(0x37b); // ZM clear
    i.fldcw(mem(rsp));
    a.db(0xd9, 0xe8, 0xd9, 0xee, 0xde, 0xf9); // FLD1; FLDZ; FDIVP
  };
  k.check(
    "#MF comes with the next x87 instruction",
    fault(Vec.MF),
    () => (pending(), i.nop(), k.at(), x87()),
  );
  k.check("#MF comes with FWAIT", fault(Vec.MF), () => (pending(), k.at(), i.fwait()));
  k.check("#MF comes with an MMX instruction", fault(Vec.MF), () => (pending(), k.at(), mmx()));
  k.check("FNSTSW, FNINIT and FNCLEX raise no #MF", done(0xb084), () => {
    pending();
    i.mov(eax, 0);
    i.fnstsw(ax);
    k.note();
    i.fnclex();
    x87();
    i.fninit();
  });
  k.check("SSE instructions raise no #MF", done(), () => (pending(), sse(), i.fninit()));
  k.section("2: 2.4; 3: 2.6", "avx");
  const avx = () => a.db(0xc5, 0xf8, 0x57, 0xc0); // VXORPS XMM0, XMM0, XMM0
  k.check("AVX without CR4.OSXSAVE", UD, () => (k.at(), avx()));
  const xcr0 = (v: number) => {
    k.setCr4([Cr4.OSXSAVE]);
    i.mov(eax, v);
    i.xor(ecx, ecx);
    i.xor(edx, edx);
    a.db(0x0f, 0x01, 0xd1);
  };
  k.check("AVX without XCR0[2]", UD, () => (xcr0(3), k.at(), avx()));
  k.check("AVX", done(), () => (xcr0(7), avx()));
  k.check("AVX under TS", NM, () => (xcr0(7), k.setCr0(CR0 | TS), k.at(), avx()));
  k.check("AVX under EM", done(), () => (xcr0(7), k.setCr0(CR0 | EM), avx()));
  k.check("VEX after 66", UD, () => (xcr0(7), k.at(), a.db(0x66, 0xc5, 0xf8, 0x57, 0xc0)));
  k.check("VEX after REX", UD, () => (xcr0(7), k.at(), a.db(0x48, 0xc5, 0xf8, 0x57, 0xc0)));
  k.check("VEX after LOCK", UD, () => (xcr0(7), k.at(), a.db(0xf0, 0xc5, 0xf8, 0x57, 0xc0)));
  k.check("BMI needs no XCR0", done(), () => a.db(0xc4, 0xe2, 0x78, 0xf2, 0xc0), { needs: "bmi1" });
}
