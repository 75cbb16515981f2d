/** Loads of segment and system-segment registers in 64-bit mode. SDM volume 2; volume 3, 5.4. */
import * as o from "../../firmware/asm/operand.ts";
import { dword, mem, qword } from "../../firmware/asm/operand.ts";
import { done, END, type Expect, fault, Vec } from "./check.ts";
import { flat } from "./gates64.ts";
import { At, type Kernel64, Sel } from "./kernel64.ts";

const { ax, ds, eax, ebx, ecx, es, fs, gs, rax, ss } = o;
const HOLE = 1n << 63n;
const GP0 = fault(Vec.GP);

export function segmentLoads(k: Kernel64): void {
  const { i } = k;
  const gp = (selector: number) => fault(Vec.GP, selector & ~3);
  const load = (
    name: string,
    expect: Expect,
    to: o.Reg,
    selector: number,
    attr?: number,
    user = false,
  ) =>
    k.check(`${to.name.toUpperCase()}: ${name}${user ? ", ring 3" : ""}`, expect, () => {
      if (attr !== undefined) k.descriptor(Sel.FREE, flat(attr));
      const go = () => {
        i.mov(eax, selector);
        if (expect.vector !== END) k.at();
        i.mov(to, eax);
      };
      if (user) k.user(go);
      else go();
    });
  k.section("2: MOV; 3: 5.4, 5.5");
  for (const s of [ds, es, fs, gs]) {
    load("beyond the GDT", gp(0x100), s, 0x100);
    load("an LDT that is not there", fault(Vec.GP, 4), s, 4);
    load("not present", fault(Vec.NP, Sel.FREE), s, Sel.FREE, 0x13);
    load("code that cannot be read", gp(Sel.FREE), s, Sel.FREE, 0x99);
    load("a TSS", gp(Sel.TSS), s, Sel.TSS);
    load("null", done(), s, 0);
    load("null with RPL 3", done(), s, 3);
  }
  load("not present, system: #GP first", gp(Sel.FREE), ds, Sel.FREE, 0x02);
  load("DPL 0, RPL 3", gp(Sel.DATA), ds, Sel.DATA | 3);
  load("DPL 0", gp(Sel.DATA), ds, Sel.DATA, undefined, true);
  load("DPL 3, RPL 0", done(), ds, Sel.USER_DATA & ~3, undefined, true);
  load("code of DPL 0 that can be read", gp(Sel.FREE), ds, Sel.FREE, 0x9b, true);
  load("conforming code of DPL 0 that can be read", done(), ds, Sel.FREE | 3, 0x9f, true);
  load("null", GP0, ss, 0, undefined, true);
  load("null with RPL 3", GP0, ss, 3, undefined, true);
  load("null", done(), ss, 0);
  load("null with RPL 1", GP0, ss, 1);
  load("another RPL", gp(Sel.DATA), ss, Sel.DATA | 3);
  load("another DPL", gp(Sel.USER_DATA), ss, Sel.USER_DATA);
  load("read-only", gp(Sel.FREE), ss, Sel.FREE, 0x91);
  load("code", gp(Sel.FREE), ss, Sel.FREE, 0x9b);
  load("not present", fault(Vec.SS, Sel.FREE), ss, Sel.FREE, 0x13);
  load("expand down", done(), ss, Sel.FREE, 0x97);
  k.check("MOV to CS", fault(Vec.UD), () => (k.at(), k.a.db(0x8e, 0xc8)));
  k.check("the limit of DS does not matter in 64-bit mode", done(), () => {
    k.descriptor(Sel.FREE, 0x0040930000000000n);
    i.mov(eax, Sel.FREE);
    i.mov(ds, eax);
    i.mov(eax, dword(At.SCRATCH));
  });
  k.check("a null DS can be used in 64-bit mode", done(), () => {
    i.mov(eax, 0);
    i.mov(ds, eax);
    i.mov(eax, dword(At.SCRATCH));
  });
  k.check(
    "a null DS cannot be used in compatibility mode",
    GP0,
    () => k.user(() => (k.at(), i.mov(eax, dword(At.USER + At.SCRATCH))), { bits: 32 }),
  );
  k.check("a null FS base is 0 in 64-bit mode", done(0x1badb002), () => {
    i.mov(eax, 0);
    i.mov(fs, eax);
    i.mov(eax, dword(fs, 0x100000));
    k.note();
  });
  k.check("DS's limit counts in compatibility mode", GP0, () => {
    k.descriptor(Sel.FREE, 0x4040f30000000fffn);
    k.user(() => {
      i.mov(eax, Sel.FREE | 3);
      i.mov(ds, eax);
      i.mov(eax, dword(0xffc));
      k.at();
      i.mov(eax, dword(0xffd));
    }, { bits: 32 });
  });
  k.check("SS's limit counts in compatibility mode", fault(Vec.SS), () => {
    k.descriptor(Sel.FREE, 0x0040f30000000fffn);
    k.user(() => {
      k.at();
      i.push(eax);
    }, { bits: 32, ss: Sel.FREE | 3 });
  });
  k.section("2: LAR, LSL, VERR, VERW");
  const ask = (name: string, selector: number, attr: number, expected: number[], ring3 = false) =>
    k.check(`LAR, LSL, VERR, VERW: ${name}`, done(...expected), () => {
      k.descriptor(Sel.FREE, flat(attr), 0n);
      const go = () => {
        i.mov(ebx, selector);
        for (const lar of [true, false]) {
          i.mov(eax, 0x7777);
          if (lar) i.lar(eax, o.bx);
          else i.lsl(eax, o.bx);
          i.mov(ecx, 0);
          i.setz(o.cl);
          // LAR leaves bits 19:16 undefined.
          i.and(eax, lar ? 0xf0ffff : -1);
          k.note();
          k.note(ecx);
        }
        for (const op of [i.verr, i.verw]) {
          op(o.bx);
          i.mov(eax, 0);
          i.setz(o.al);
          k.note();
        }
      };
      if (ring3) k.user(go);
      else go();
    });
  const no = 0x7777;
  ask("data", Sel.FREE, 0x93, [0xc09300, 1, 0xffffffff, 1, 1, 1]);
  ask("read-only data", Sel.FREE, 0x91, [0xc09100, 1, 0xffffffff, 1, 1, 0]);
  ask("code", Sel.FREE, 0x9b, [0xc09b00, 1, 0xffffffff, 1, 1, 0]);
  ask("code that cannot be read", Sel.FREE, 0x99, [0xc09900, 1, 0xffffffff, 1, 0, 0]);
  ask("data with RPL above DPL", Sel.FREE | 3, 0x93, [no, 0, no, 0, 0, 0]);
  ask("conforming code with RPL above DPL", Sel.FREE | 3, 0x9f, [0xc09f00, 1, 0xffffffff, 1, 1, 0]);
  ask("data of ring 0 from ring 3", Sel.FREE, 0x93, [no, 0, no, 0, 0, 0], true);
  ask("a TSS", Sel.FREE, 0x89, [0xc08900, 1, 0xffffffff, 1, 0, 0]);
  ask("an LDT", Sel.FREE, 0x82, [0xc08200, 1, 0xffffffff, 1, 0, 0]);
  ask("a call gate: LAR alone", Sel.FREE, 0x8c, [0xc08c00, 1, no, 0, 0, 0]);
  ask("an interrupt gate", Sel.FREE, 0x8e, [no, 0, no, 0, 0, 0]);
  ask("a 16-bit TSS", Sel.FREE, 0x81, [no, 0, no, 0, 0, 0]);
  ask("not present", Sel.FREE, 0x13, [0xc01300, 1, 0xffffffff, 1, 1, 1]);
  ask("null", 0, 0x93, [no, 0, no, 0, 0, 0]);
  ask("beyond the GDT", 0x100, 0x93, [no, 0, no, 0, 0, 0]);
}

export function systemSegments(k: Kernel64): void {
  const { i } = k;
  const gp = (selector: number) => fault(Vec.GP, selector);
  const load = (
    name: string,
    expect: Expect,
    which: "lldt" | "ltr",
    selector: number,
    low?: bigint,
    high = 0n,
  ) =>
    k.check(`${which.toUpperCase()}: ${name}`, expect, () => {
      if (low !== undefined) k.descriptor(Sel.FREE, low, high);
      i.mov(eax, selector);
      if (expect.vector !== END) k.at();
      i[which](ax);
    });
  const ldt = 0x0000820000000fffn, tss = 0x0000890000000067n;
  k.section("2: LLDT, LTR");
  load("null", done(), "lldt", 0);
  load("null with RPL 3", done(), "lldt", 3);
  load("TI", gp(Sel.FREE | 4), "lldt", Sel.FREE | 4);
  load("beyond the GDT", gp(0x100), "lldt", 0x100);
  load("of data", gp(Sel.DATA), "lldt", Sel.DATA);
  load("a TSS", gp(Sel.TSS), "lldt", Sel.TSS);
  load("not present", fault(Vec.NP, Sel.FREE), "lldt", Sel.FREE, ldt & ~(1n << 47n));
  load("upper type not 0", gp(Sel.FREE), "lldt", Sel.FREE, ldt, 1n << 40n);
  load("base not canonical", { vector: Vec.GP }, "lldt", Sel.FREE, ldt, 0x80000000n);
  load("an LDT", done(), "lldt", Sel.FREE, ldt);
  load("the upper half beyond the limit", gp(0xf8), "lldt", 0xf8, 0n);
  load("null", GP0, "ltr", 0);
  load("TI", gp(Sel.FREE | 4), "ltr", Sel.FREE | 4);
  load("beyond the GDT", gp(0x100), "ltr", 0x100);
  load("of data", gp(Sel.DATA), "ltr", Sel.DATA);
  load("busy", gp(Sel.TSS), "ltr", Sel.TSS);
  load("16-bit", gp(Sel.FREE), "ltr", Sel.FREE, 0x0000810000000067n);
  load("not present", fault(Vec.NP, Sel.FREE), "ltr", Sel.FREE, tss & ~(1n << 47n));
  load("upper type not 0", gp(Sel.FREE), "ltr", Sel.FREE, tss, 1n << 40n);
  load("base not canonical", { vector: Vec.GP }, "ltr", Sel.FREE, tss, 0x80000000n);
  k.check("LTR sets the busy bit", done(0x8b), () => {
    k.descriptor(Sel.FREE, tss | BigInt(At.TSS) << 16n, 0n);
    i.mov(eax, Sel.FREE);
    i.ltr(ax);
    i.movzx(eax, o.byte(At.GDT + Sel.FREE + 5));
    k.note();
  });
  k.check("LIDT of a base that is not canonical", GP0, () => {
    k.put(At.SCRATCH, 0xfffn);
    i.mov(rax, HOLE);
    i.mov(qword(At.SCRATCH + 2), rax);
    k.at();
    i.lidt(mem(At.SCRATCH));
  });
  k.check("LGDT of a base that is not canonical", GP0, () => {
    k.put(At.SCRATCH, 0xfffn);
    i.mov(rax, HOLE);
    i.mov(qword(At.SCRATCH + 2), rax);
    k.at();
    i.lgdt(mem(At.SCRATCH));
  });
}
