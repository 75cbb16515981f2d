/**
 * A ROM that goes to long mode and provokes one exception after another, or shows a result; it prints a
 * line for each on port E9h and leaves by port F4h.
 */
import { Assembler, type Instructions } from "../../firmware/asm/assembler.ts";
import * as o from "../../firmware/asm/operand.ts";
import { dword, far, mem, qword, sym } from "../../firmware/asm/operand.ts";

const { al, ax, cr0, cr3, cr4, cs, ds, eax, ecx, edi, edx, es, esi, sp, ss } = o;
const { rax, rbx, rcx, rdi, rdx, rsp, r11, r15 } = o;

const ROM = 0xf0000, GDT = 0x500, TSS = 0x700, PAGES = 0x10000, NOTE = 0x1000;
const STACK = 0x8000, RSP0 = 0x9000, IST1 = 0xa000;
const Sel = {
  CODE32: 0x10,
  DATA: 0x18,
  CODE: 0x20,
  USER32: 0x2b,
  USER_DATA: 0x33,
  USER: 0x3b,
} as const;
const TSS_SELECTOR = 0x40, GATE = 0x50, VECTORS = 0x41;
/** Linear pages of 2 MiB: user, no execution, absent, read-only, with protection key 5, and low memory again for the user. */
const USER = 0x200000, NX = 0x400000, ABSENT = 0x600000, READ_ONLY = 0x800000, KEY5 = 0xa00000;
const ALIAS = 0xc00000;
const HOLE = 0x0000800000000000n;
const WITH_ERROR = new Set([8, 10, 11, 12, 13, 14, 17]);
const EFER = 0xc0000080, STAR = 0xc0000081, LSTAR = 0xc0000082, FMASK = 0xc0000084;

export interface LongRom {
  readonly image: Uint8Array;
  /** What each printed line is about. */
  readonly names: readonly string[];
}

export function longRom(): LongRom {
  const names: string[] = [];
  const a = new Assembler(16, ROM), { i } = a;
  const low = (label: string) => sym(label, -ROM);

  a.label("start");
  i.cli();
  i.xor(ax, ax);
  for (const s of [ds, es, ss]) i.mov(s, ax);
  i.mov(sp, STACK);
  i.cld();
  i.xor(eax, eax);
  i.mov(edi, GDT);
  i.mov(ecx, 0x3000);
  a.db(0xf3, 0xaa); // rep stosb
  i.mov(esi, low("gdt"));
  i.mov(edi, GDT);
  i.mov(ecx, 0x60);
  a.label("copy");
  i.mov(al, o.byte(cs, esi));
  i.mov(o.byte(edi), al);
  i.inc(esi);
  i.inc(edi);
  i.dec(ecx);
  i.jnz("copy");
  i.mov(dword(TSS + 4), RSP0);
  i.mov(dword(TSS + 0x24), IST1);
  i.mov(ax, PAGES >> 4);
  i.mov(es, ax);
  i.xor(edi, edi);
  i.xor(eax, eax);
  i.mov(ecx, 0x3000);
  a.db(0xf3, 0xaa);
  i.mov(dword(es, 0), PAGES + 0x1007);
  i.mov(dword(es, 0x1000), PAGES + 0x2007);
  [0x83, USER | 0x87, NX | 0x83, 0, READ_ONLY | 0x81, KEY5 | 0x87, 0x87].forEach((e, n) =>
    i.mov(dword(es, 0x2000 + 8 * n), e)
  );
  i.mov(dword(es, 0x2014), 0x80000000);
  i.mov(dword(es, 0x202c), 5 << 27);
  i.lgdt(mem(cs, low("gdtr")));
  i.mov(eax, 0x6a0);
  i.mov(cr4, eax);
  i.mov(eax, PAGES);
  i.mov(cr3, eax);
  i.mov(ecx, EFER);
  i.mov(eax, 0x901);
  i.xor(edx, edx);
  i.wrmsr();
  i.mov(eax, 0x80010033);
  i.mov(cr0, eax);
  i.jmp(far(Sel.CODE, "long", 4));
  a.bits(64);
  a.label("long");
  i.lidt(mem("idtr"));
  i.mov(eax, TSS_SELECTOR);
  i.ltr(ax);
  i.mov(eax, Sel.DATA);
  for (const s of [ds, es, ss]) i.mov(s, eax);
  i.mov(rsp, STACK);
  checks(a, names);
  i.mov(al, 0);
  i.out(0xf4, al);
  a.label("stop");
  i.hlt();
  i.jmp("stop");

  printing(a);
  for (let v = 0; v < VECTORS; v++) {
    a.label(`stub.${v}`);
    if (!WITH_ERROR.has(v)) i.push(0);
    i.push(v);
    i.jmp("common");
  }
  a.align(8);
  a.label("idt");
  for (let v = 0; v < VECTORS; v++) {
    const ist = v === 8 || v === 12 || v === 0x3e ? 1 : 0, dpl = v === 0x3f ? 0 : 3;
    a.dw(low(`stub.${v}`), Sel.CODE, 0x8e00 | dpl << 13 | ist, ROM >> 16);
    a.dq(0);
  }
  a.label("idtr");
  a.dw(VECTORS * 16 - 1);
  a.dq("idt");
  a.align(8);
  a.label("gdt");
  const flat = [0x00af9b000000ffffn, 0x00cffb000000ffffn, 0x00cff3000000ffffn, 0x00affb000000ffffn];
  a.dq(0n, 0x00009b0f0000ffffn, 0x00cf9b000000ffffn, 0x00cf93000000ffffn, ...flat);
  a.dq(0x0000890000000067n | BigInt(TSS) << 16n, 0n);
  // A call gate to `gate`.
  a.dw(low("gate"), Sel.CODE, 0xec00, ROM >> 16);
  a.dq(0);
  a.label("gdtr");
  a.dw(0x5f);
  a.dd(GDT);
  a.bits(16);
  a.org(ROM + 0xfff0);
  i.jmp(far(0xf000, low("start")));
  a.org(ROM + 0x10000);
  return { image: a.assemble().bytes, names };
}

/** Prints RAX as hexadecimal digits and a space; keeps nothing but RBX, RSI, RDI, RBP, R8 to R15. */
function printing(a: Assembler): void {
  const { i } = a;
  a.label("hex");
  i.mov(rdx, rax);
  i.mov(ecx, 16);
  a.label("digit");
  i.rol(rdx, 4);
  i.mov(eax, edx);
  i.and(al, 15);
  i.add(al, 0x30);
  i.cmp(al, 0x3a);
  i.jb("decimal");
  i.add(al, 0x27);
  a.label("decimal");
  i.out(0xe9, al);
  i.dec(ecx);
  i.jnz("digit");
  i.mov(al, 0x20);
  i.out(0xe9, al);
  i.ret();

  // Every event: vector, error code, CS, SS, RSP, flags, the handler's stack, CR2.
  a.label("common");
  i.mov(rdi, rsp);
  for (const at of [0, 8, 24, 48, 40, 32]) {
    i.mov(rax, qword(rdi, at));
    // Arithmetic flags and RF are left out.
    if (at === 32) i.and(rax, 0x47700);
    i.call("hex");
  }
  i.mov(rax, rdi);
  i.call("hex");
  i.mov(rax, o.cr2);
  i.call("hex");
  i.mov(rax, rbx);
  i.call("hex");
  i.mov(al, 10);
  i.out(0xe9, al);
  i.mov(eax, Sel.DATA);
  for (const x of [ds, es, ss]) i.mov(x, eax);
  i.mov(rsp, STACK);
  i.xor(ecx, ecx);
  i.mov(o.cr2, rcx);
  i.jmp(r15);

  a.label("gate");
  i.mov(rbx, qword(rsp, 24));
  a.db(0x48);
  i.retf();
}

function checks(a: Assembler, names: string[]): void {
  const { i } = a;
  /** Runs code in ring 0; ends with INT 30h, which shows RBX, when nothing stops it. */
  const check = (name: string, body: (i: Instructions) => void) => {
    names.push(name);
    const after = `after.${names.length}`;
    i.lea(r15, mem(after));
    i.mov(rbx, 0);
    body(i);
    i.int(0x30);
    a.label(after);
  };
  /** The same in ring 3, in 64-bit or 32-bit code. */
  const user = (name: string, body: (i: Instructions) => void, bits: 32 | 64 = 64) => {
    const code = `user.${names.length}`;
    check(name, () => {
      i.push(Sel.USER_DATA);
      i.push(USER + 0x8000);
      i.push(0x202);
      i.push(bits === 64 ? Sel.USER : Sel.USER32);
      i.lea(rax, mem(code));
      i.add(rax, ALIAS);
      i.push(rax);
      i.iretq();
      a.bits(bits);
      a.label(code);
      body(i);
      if (bits === 32) {
        i.int(0x30);
        a.bits(64);
      }
    });
  };
  const setCr4 = (bit: number, on = true) => {
    i.mov(rax, cr4);
    if (on) i.bts(rax, bit);
    else i.btr(rax, bit);
    i.mov(cr4, rax);
  };
  const setMsr = (index: number, value: bigint) => {
    i.mov(ecx, index);
    i.mov(eax, Number(value & 0xffffffffn));
    i.mov(edx, Number(value >> 32n));
    i.wrmsr();
  };
  const load = (at: number | bigint) => {
    i.mov(rax, at);
    i.mov(rbx, mem(rax));
  };
  const store = (at: number | bigint) => {
    i.mov(rax, at);
    i.mov(mem(rax), rax);
  };
  const jump = (at: number | bigint) => {
    i.mov(rax, at);
    i.jmp(rax);
  };

  check("INT 3Eh: on an interrupt stack", () => i.int(0x3e));
  check("INT from an odd stack", () => (i.sub(rsp, 5), i.int(0x30)));
  user("INT 30h from ring 3", () => {});
  user("INT 3Fh from ring 3: DPL 0", () => i.int(0x3f));
  check("INT 7Fh: beyond the table", () => i.int(0x7f));
  check("UD2", () => i.ud2());
  check("read of an absent page", () => load(ABSENT + 8));
  check("write of an absent page", () => store(ABSENT + 8));
  user("read of an absent page, ring 3", () => load(ABSENT));
  user("read of a supervisor page, ring 3", () => load(0x1000));
  user("write of a supervisor page, ring 3", () => store(0x1000));
  check("write of a read-only page", () => store(READ_ONLY));
  check("fetch from a page without execution", () => jump(NX));
  check("reading it is allowed", () => load(NX));
  check("an access across the end of the lower half", () => load(HOLE - 4n));
  check("an address in the hole", () => load(HOLE));
  check("through RBP it is a stack fault", () => (i.mov(o.rbp, HOLE), i.mov(rbx, mem(o.rbp))));
  check("a jump into the hole", () => jump(HOLE));
  check("a push to the hole", () => (i.mov(rsp, HOLE), i.push(rax)));
  check("IRETQ with a null SS for ring 3", () => {
    i.push(0);
    i.push(USER);
    i.push(2);
    i.push(Sel.USER);
    i.push(USER);
    i.iretq();
  });
  check("IRETQ with NT", () => {
    i.pushfq();
    i.bts(qword(rsp), 14);
    i.popfq();
    i.iretq();
  });
  check("a null SS in ring 0", () => (i.xor(eax, eax), i.mov(ss, eax)));
  check("CS loaded by MOV", () => a.db(0x8e, 0xc8));
  check("LTR of a busy TSS", () => (i.mov(eax, TSS_SELECTOR), i.ltr(ax)));
  check("a far jump to a TSS", () => {
    i.mov(dword(NOTE), 0);
    i.mov(dword(NOTE + 4), TSS_SELECTOR);
    i.jmpf(dword(NOTE));
  });
  user("a call gate: RSP in it", () => {
    i.mov(rax, USER);
    i.mov(dword(rax, 4), GATE);
    i.callf(dword(rax));
  });
  check("EFER reads", () => (i.mov(ecx, EFER), i.rdmsr(), i.mov(rbx, rax)));
  check("SGDT's limit", () => (i.sgdt(mem(NOTE)), i.movzx(o.ebx, o.word(NOTE))));
  user("compatibility mode", () => {
    i.mov(eax, Sel.USER_DATA);
    i.mov(ds, eax);
    a.db(0x40, 0x40); // INC EAX twice
    i.push(eax);
    i.mov(o.ebx, dword(o.esp));
  }, 32);
  user("SYSRET in ring 3", () => a.db(0x48, 0x0f, 0x07));
  check("WRMSR of STAR, LSTAR, FMASK", () => {
    setMsr(STAR, (0x28n << 48n) | (BigInt(Sel.CODE) << 32n));
    i.lea(rax, mem("syscall"));
    i.mov(rdx, rax);
    i.shr(rdx, 32);
    i.mov(ecx, LSTAR);
    i.wrmsr();
    setMsr(FMASK, 0x40700n);
  });
  user("SYSCALL and SYSRET", () => {
    i.mov(r11, 0);
    i.syscall();
    i.int(0x30);
    a.label("syscall");
    i.mov(rbx, r11);
    i.and(rbx, 0x47700);
    a.db(0x48, 0x0f, 0x07);
  });
  check("SYSCALL without SCE", () => {
    setMsr(EFER, 0x900n);
    i.syscall();
  });
  check("RDFSBASE without CR4.FSGSBASE", () => a.db(0xf3, 0x48, 0x0f, 0xae, 0xc3));
  check("WRFSBASE and RDFSBASE", () => {
    setCr4(16);
    i.mov(rax, 0xffff888812345678n);
    a.db(0xf3, 0x48, 0x0f, 0xae, 0xd0);
    a.db(0xf3, 0x48, 0x0f, 0xae, 0xc3);
  });
  user("SWAPGS in ring 3", () => i.swapgs());
  user("CLAC in ring 3", () => a.db(0x0f, 0x01, 0xca));
  check("SMEP: a fetch from a user page", () => {
    setCr4(20);
    jump(USER);
  });
  check("SMAP: a read of a user page", () => {
    setCr4(21);
    load(USER);
  });
  check("SMAP: STAC allows it", () => {
    a.db(0x0f, 0x01, 0xcb);
    load(USER);
    a.db(0x0f, 0x01, 0xca);
    i.mov(rbx, 1);
  });
  check("SMAP: CLAC ends it", () => {
    a.db(0x0f, 0x01, 0xcb);
    load(USER);
    a.db(0x0f, 0x01, 0xca);
    store(USER);
  });
  user("UMIP: SGDT in ring 3", () => {
    i.mov(rax, USER);
    i.sgdt(mem(rax));
  });
  check("CR4.UMIP", () => setCr4(11));
  user("UMIP on: SGDT in ring 3", () => {
    i.mov(rax, USER);
    i.sgdt(mem(rax));
  });
  check("RDPKRU without CR4.PKE", () => (i.xor(ecx, ecx), a.db(0x0f, 0x01, 0xee)));
  check("CR4.PKE, without SMAP", () => (setCr4(22), setCr4(21, false)));
  const pkru = (v: number) => {
    i.mov(eax, v);
    i.xor(ecx, ecx);
    i.xor(edx, edx);
    a.db(0x0f, 0x01, 0xef);
  };
  check("PKRU: access disabled", () => (pkru(1 << 10), load(KEY5)));
  check("PKRU: write disabled", () => (pkru(2 << 10), store(KEY5)));
  check("PKRU: reading allowed", () => (load(KEY5), i.mov(rbx, 2)));
  check("XGETBV without CR4.OSXSAVE", () => (i.xor(ecx, ecx), a.db(0x0f, 0x01, 0xd0)));
  const xsetbv = (v: number) => {
    i.mov(eax, v);
    i.xor(ecx, ecx);
    i.xor(edx, edx);
    a.db(0x0f, 0x01, 0xd1);
  };
  check("CR4.OSXSAVE", () => setCr4(18));
  check("XCR0 without x87", () => xsetbv(2));
  check("XCR0 with AVX alone", () => xsetbv(5));
  check("XCR0 of 3", () => {
    xsetbv(3);
    i.xor(ecx, ecx);
    a.db(0x0f, 0x01, 0xd0);
    i.mov(rbx, rax);
  });
  check("XRSTOR from an odd address", () => {
    i.mov(rdi, 0x1008);
    i.mov(eax, 3);
    i.xor(edx, edx);
    a.db(0x48, 0x0f, 0xae, 0x2f);
  });
  check("XSAVE: XSTATE_BV", () => {
    a.db(0xdb, 0xe3, 0x66, 0x0f, 0x76, 0xc0); // FNINIT; PCMPEQD XMM0, XMM0
    i.mov(rdi, 0x1000);
    i.mov(qword(rdi, 512), 0);
    i.mov(eax, 3);
    i.xor(edx, edx);
    a.db(0x48, 0x0f, 0xae, 0x27);
    i.mov(rbx, qword(rdi, 512));
    i.and(rbx, 2);
  });
}
