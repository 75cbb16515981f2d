/** Alignment checks in 64-bit and compatibility mode. SDM volume 3, 6.15, interrupt 17. */
import * as o from "../../firmware/asm/operand.ts";
import { dword, mem, qword } from "../../firmware/asm/operand.ts";
import { done, fault, noted, pageFault, Pf, Vec } from "./check.ts";
import { At, CR0, type Kernel64, Msr, Sel } from "./kernel64.ts";

const { al, ax, ds, eax, rax, rbx, rcx, rsi, rdi, rsp } = o;
const AC = fault(Vec.AC), AM = 0x40000, FLAG = 0x40000;
/** Aligned memory of ring 3. */
const DATA = At.USER + At.SCRATCH;

export function alignment(k: Kernel64): void {
  const { i, a } = k;
  k.section("3: 6.15 (#AC)");
  const user = (body: () => void, bits: 32 | 64 = 64) => {
    k.setCr0(CR0 | AM);
    k.user(body, { flags: FLAG | 2, bits });
  };
  /** An access through RBX, `offset` bytes behind an aligned place. */
  const at = (name: string, offset: number, wrong: boolean, emit: () => void) =>
    k.check(`${wrong ? "#AC" : "no #AC"}: ${name}`, wrong ? AC : done(), () =>
      user(() => {
        i.mov(rbx, DATA + offset);
        k.at();
        emit();
      }));
  const code = (...bytes: number[]) => () => a.db(...bytes);

  at("a word at an odd address", 1, true, () => i.mov(ax, o.word(rbx)));
  at("a word at a multiple of 2", 2, false, () => i.mov(ax, o.word(rbx)));
  at("a dword at a multiple of 2", 2, true, () => i.mov(dword(rbx), eax));
  at("a dword at a multiple of 4", 4, false, () => i.mov(dword(rbx), eax));
  at("a qword at a multiple of 4", 4, true, () => i.mov(rax, qword(rbx)));
  at("a qword at a multiple of 8", 8, false, () => i.mov(rax, qword(rbx)));
  at("a byte anywhere", 7, false, () => i.mov(al, o.byte(rbx)));
  at("ADD to memory", 1, true, () => i.add(dword(rbx), eax));
  at("LOCK XADD", 1, true, () => (i.lock(), i.xadd(dword(rbx), eax)));
  at("CMPXCHG8B at a multiple of 4", 4, true, code(0x0f, 0xc7, 0x0b));
  at("BT of a dword string", 2, true, code(0x0f, 0xa3, 0x03));
  at("FLD of a double at a multiple of 4", 4, true, code(0xdd, 0x03));
  at("FLD of 80 bits at a multiple of 4", 4, true, code(0xdb, 0x2b));
  at("FLD of 80 bits at a multiple of 8", 8, false, code(0xdb, 0x2b, 0xdd, 0xd8));
  at("FILD of a word at an odd address", 1, true, code(0xdf, 0x03));
  at("FNSTENV at a multiple of 2", 2, true, code(0xd9, 0x33));
  at("FNSTENV of 16 bits at a multiple of 2", 2, false, code(0x66, 0xd9, 0x33));
  at("FNSAVE at a multiple of 4", 4, false, code(0xdd, 0x33));
  at("MOVQ to MMX at a multiple of 4", 4, true, code(0x0f, 0x6f, 0x03));
  at("MOVSD at a multiple of 4", 4, true, code(0xf2, 0x0f, 0x10, 0x03));
  at("MOVSS at a multiple of 4", 4, false, code(0xf3, 0x0f, 0x10, 0x03));
  at("MOVUPS at a multiple of 8", 8, false, code(0x0f, 0x10, 0x03));
  at("a selector at an odd address", 1, true, code(0x8e, 0x03));
  at("SGDT at a multiple of 4", 4, true, () => a.db(0x0f, 0x01, 0x03));
  at("SGDT, both parts of it aligned", 6, false, () => a.db(0x0f, 0x01, 0x03));
  k.check("MOVAPS at an odd address under AC", fault(Vec.GP), () =>
    user(() => {
      i.mov(rbx, DATA + 1);
      k.at();
      a.db(0x0f, 0x28, 0x03);
    }));
  k.section("2: VGATHERDPS, VMASKMOV", "avx2");
  const avx = (name: string, ...bytes: number[]) =>
    k.check(`no #AC: ${name}`, done(), () => {
      k.setCr4([18]);
      i.mov(eax, 7);
      i.xor(o.ecx, o.ecx);
      i.xor(o.edx, o.edx);
      a.db(0x0f, 0x01, 0xd1);
      user(() => {
        i.mov(rbx, DATA + 1);
        // VPCMPEQD ymm1, ymm1, ymm1; VPXOR xmm2, xmm2, xmm2.
        a.db(0xc5, 0xf5, 0x76, 0xc9, 0xc5, 0xe9, 0xef, 0xd2, ...bytes);
      });
    });
  avx("VGATHERDPS", 0xc4, 0xe2, 0x71, 0x92, 0x04, 0x13);
  avx("VMASKMOVPS", 0xc4, 0xe2, 0x71, 0x2c, 0x03);

  k.section("3: 6.15 (#AC)");
  const stack = (name: string, wrong: boolean, emit: () => void) =>
    k.check(`${wrong ? "#AC" : "no #AC"}: ${name}`, wrong ? AC : done(), () =>
      user(() => {
        i.mov(rsp, DATA + 0x104);
        k.at();
        emit();
      }));
  stack("PUSH", true, () => i.push(rax));
  stack("POP", true, () => i.pop(rax));
  stack("CALL", true, () => (i.call("next"), i.nop()));
  stack("RET", true, () => i.ret());
  stack("PUSHF", true, () => i.pushfq());
  stack("ENTER whose frame is aligned, and its end is not", true, () => {
    i.mov(rsp, DATA + 0x100);
    k.at();
    i.enter(4, 0);
  });
  k.check("no #AC: INT, whose frame is the supervisor's", done(0), () =>
    user(() => {
      i.mov(rsp, DATA + 0x101);
      k.note(0);
    }));
  k.check("#AC: PUSH of 32 bits in compatibility mode", AC, () =>
    user(() => {
      i.mov(o.esp, DATA + 0x102);
      k.at();
      i.push(eax);
    }, 32));
  k.check("no #AC: PUSH of 32 bits at a multiple of 4", done(), () =>
    user(() => {
      i.mov(o.esp, DATA + 0x104);
      i.push(eax);
    }, 32));
  k.check("#AC: REP MOVSD comes to its first element", { ...AC, notes: [3n] }, () =>
    user(() => {
      i.mov(rsi, DATA);
      i.mov(rdi, DATA + 0x101);
      i.mov(rcx, 3);
      k.note(rcx);
      k.at();
      i.rep();
      i.movsd();
    }));

  k.section("3: 6.9, 6.15 (#AC)");
  const lab = (name: string, offset: number, expect: ReturnType<typeof fault>) =>
    k.check(name, expect, () => {
      k.page(1, 5);
      user(() => {
        i.mov(rbx, At.LAB + 0x2000 + offset);
        k.at();
        i.mov(eax, dword(rbx));
      });
    });
  lab("#AC: before the page fault of the same access", 2, AC);
  lab("a page fault of an aligned access under AC", 0, pageFault(Pf.U | Pf.P, At.LAB + 0x2000));
  k.check(
    "#GP for an address that is not canonical comes before #AC",
    fault(Vec.GP),
    () =>
      user(() => {
        i.mov(rbx, (1n << 63n) + 1n);
        k.at();
        i.mov(rax, qword(rbx));
      }),
  );
  k.check("not canonical: PUSH under AC", fault(Vec.SS), () =>
    user(() => {
      i.mov(rsp, (1n << 63n) + 1n);
      k.at();
      i.push(rax);
    }));

  k.section("3: 2.3, 2.5, 6.15 (#AC)");
  const odd = () => i.mov(eax, dword(DATA + 1));
  k.check("no #AC: without CR0.AM", done(), () => k.user(odd, { flags: FLAG | 2 }));
  k.check("no #AC: without EFLAGS.AC", done(), () => {
    k.setCr0(CR0 | AM);
    k.user(odd);
  });
  k.check("no #AC: in ring 0", done(), () => {
    k.setCr0(CR0 | AM);
    i.push(FLAG | 2);
    i.popfq();
    i.mov(eax, dword(At.SCRATCH + 1));
  });
  k.check("#AC: begins and ends with POPF", done(0, noted(Vec.AC), 0), () => {
    k.setCr0(CR0 | AM);
    k.user(() => {
      const set = (flags: number) => (i.push(flags), i.popfq());
      k.attempt(odd);
      set(FLAG | 2);
      k.attempt(odd);
      set(2);
      k.attempt(odd);
    });
  });
  k.check("#AC: begins with SYSRET", AC, () => {
    const to = a.unique("to");
    k.setCr0(CR0 | AM);
    k.descriptor(0x28, 0x00affb000000ffffn);
    k.descriptor(0x20, 0x00cff3000000ffffn);
    k.setMsr(Msr.STAR, 0x0018n << 48n | BigInt(Sel.CODE) << 32n);
    i.lea(rcx, mem(to));
    i.add(rcx, At.USER);
    i.mov(o.r11, FLAG | 2);
    a.db(0x48);
    i.sysret();
    a.label(to);
    odd();
  });
  k.check("#AC: its frame has AC, and its handler runs without checks", {
    ...AC,
    flags: [FLAG, FLAG],
  }, () => user(odd));
  k.check("no #AC: a descriptor table at an odd address", done(), () => {
    // The GDT as it is, one byte higher.
    i.mov(rsi, At.GDT + 0xff);
    i.mov(rdi, At.GDT + 0x100);
    i.mov(rcx, 0x100);
    i.std();
    i.rep();
    i.movsb();
    i.cld();
    i.mov(o.word(At.SCRATCH), 0xff);
    k.put(At.SCRATCH + 2, At.GDT + 1);
    i.lgdt(mem(At.SCRATCH));
    user(() => {
      i.mov(eax, Sel.USER_DATA);
      i.mov(ds, eax);
    });
  });
}
