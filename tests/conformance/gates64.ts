/** Events, IRET and far transfers in 64-bit mode. SDM volume 3, 5.8 and 6.14; volume 2, INT n, IRET. */
import * as o from "../../firmware/asm/operand.ts";
import { dword, mem, qword } from "../../firmware/asm/operand.ts";
import { done, END, type Expect, fault, pageFault, Vec } from "./check.ts";
import { At, type Kernel64, Sel } from "./kernel64.ts";

const { ax, ds, eax, ecx, es, fs, gs, rax, rsp, ss } = o;
const HOLE = 1n << 63n;
const GP0 = fault(Vec.GP);
/** Vector that checks give other gates, and its error code as one of the IDT. */
const TRY = 0x33, IDT = TRY * 8 + 2;
const STUB = `stub.${TRY}`;
/** Flat descriptors: base 0, limit 4 GiB. */
export const flat = (attr: number) => 0x00cf0000_0000ffffn | BigInt(attr) << 40n;
const long = (attr: number) => 0x00af0000_0000ffffn | BigInt(attr) << 40n;

export function gates(k: Kernel64): void {
  interruptGates(k);
  stacks(k);
  returns(k);
  farTransfers(k);
}

function interruptGates(k: Kernel64): void {
  const { i } = k;
  const bad = (name: string, expect: Expect, make: () => void, user = false) =>
    k.check(`INT: ${name}`, expect, () => {
      make();
      const go = () => (k.at(), i.int(TRY));
      if (user) k.user(go);
      else go();
    });
  k.section("3: 6.12, 6.13; 2: INT n");
  bad("gate with DPL 0 from ring 3", fault(Vec.GP, IDT), () => {}, true);
  bad("gate with DPL 2 from ring 3", fault(Vec.GP, IDT), () => k.gate(TRY, STUB, { dpl: 2 }), true);
  bad("gate that is not present", fault(Vec.NP, IDT), () => k.gate(TRY, STUB, { present: 0 }));
  bad(
    "gate that is not present, DPL 0, from ring 3: DPL first",
    fault(Vec.GP, IDT),
    () => k.gate(TRY, STUB, { present: 0 }),
    true,
  );
  for (const type of [0, 1, 2, 4, 5, 6, 7, 9, 11, 12]) {
    bad(`gate of type ${type}`, fault(Vec.GP, IDT), () => k.gate(TRY, STUB, { type, dpl: 3 }));
  }
  bad("code selector null", GP0, () => k.gate(TRY, STUB, { selector: 0 }));
  bad("code selector null with RPL 3", GP0, () => k.gate(TRY, STUB, { selector: 3 }));
  bad(
    "code selector beyond the GDT",
    fault(Vec.GP, 0x100),
    () => k.gate(TRY, STUB, { selector: 0x100 }),
  );
  bad(
    "code selector of an LDT that is not there",
    fault(Vec.GP, 0x1c),
    () => k.gate(TRY, STUB, { selector: 0x1c }),
  );
  bad(
    "code selector of data",
    fault(Vec.GP, Sel.DATA),
    () => k.gate(TRY, STUB, { selector: Sel.DATA }),
  );
  bad(
    "code selector of 32-bit code",
    fault(Vec.GP, Sel.CODE32),
    () => k.gate(TRY, STUB, { selector: Sel.CODE32 }),
  );
  bad("code segment with L and D", fault(Vec.GP, Sel.FREE), () => {
    k.descriptor(Sel.FREE, 0x00ef9b000000ffffn);
    k.gate(TRY, STUB, { selector: Sel.FREE });
  });
  bad("code segment that is not present", fault(Vec.NP, Sel.FREE), () => {
    k.descriptor(Sel.FREE, long(0x1b));
    k.gate(TRY, STUB, { selector: Sel.FREE });
  });
  bad(
    "code segment of ring 3 from ring 0",
    fault(Vec.GP, Sel.USER & ~3),
    () => k.gate(TRY, STUB, { selector: Sel.USER }),
  );
  bad("target that is not canonical", GP0, () => {
    k.gate(TRY, STUB);
    i.mov(dword(At.IDT + 16 * TRY + 8), 0x80000000);
  });
  k.check("INT: the code selector's RPL does not matter", { vector: TRY, cs: Sel.CODE }, () => {
    k.gate(TRY, STUB, { selector: Sel.CODE | 3 });
    i.int(TRY);
    k.at();
    i.nop();
  });
  k.check("INT: beyond the IDT", fault(Vec.GP, 0xff * 8 + 2), () => {
    i.mov(o.word(At.SCRATCH), 0xfef);
    i.mov(qword(At.SCRATCH + 2), At.IDT);
    i.lidt(mem(At.SCRATCH));
    k.at();
    i.int(0xff);
  });
  k.check("an exception through a gate that is not present: EXT", fault(Vec.NP, 6 * 8 + 3), () => {
    k.gate(Vec.UD, "stub.6", { present: 0 });
    k.at();
    i.ud2();
  });
  k.check("an exception through a gate of another type: EXT", fault(Vec.GP, 6 * 8 + 3), () => {
    k.gate(Vec.UD, "stub.6", { type: 5 });
    k.at();
    i.ud2();
  });
  k.check("an exception whose code segment is data: EXT", fault(Vec.GP, Sel.DATA | 1), () => {
    k.gate(Vec.UD, "stub.6", { selector: Sel.DATA });
    k.at();
    i.ud2();
  });
  k.check("INT3 through a gate that is not present: no EXT", fault(Vec.NP, 3 * 8 + 2), () => {
    k.gate(Vec.BP, "stub.3", { present: 0, dpl: 3 });
    k.at();
    i.int3();
  });
  k.check("INT3 from ring 3 needs DPL 3", fault(Vec.GP, 3 * 8 + 2), () => {
    k.gate(Vec.BP, "stub.3");
    k.user(() => (k.at(), i.int3()));
  });
  k.check(
    "INT1 (F1) needs no DPL",
    { vector: Vec.DB, error: 0 },
    () => k.user(() => (k.a.db(0xf1), k.at(), i.nop())),
  );
  k.check(
    "an exception from ring 3 needs no DPL",
    fault(Vec.UD),
    () => k.user(() => (k.at(), i.ud2())),
  );
  const image = 0x250cd7 & ~0x10000;
  k.section("3: 6.12.1.3, 6.14");
  k.check("flags are saved whole", { vector: TRY, flags: [0x257fd7, 0x244ed7 & ~0x100] }, () => {
    k.gate(TRY, STUB);
    i.push(0x244ed7);
    i.popfq();
    i.int(TRY);
    void image;
  });
  for (const [name, type, left] of [["interrupt", 14, 0], ["trap", 15, 0x200]] as const) {
    k.check(`flags behind an ${name} gate: IF, NT, TF`, done(left), () => {
      const own = k.a.unique("own"), over = k.a.unique("over");
      k.gate(TRY, own, { type });
      i.jmp(over);
      k.a.label(own);
      i.pushfq();
      i.pop(rax);
      i.and(eax, 0x4300);
      k.note();
      i.int(0x30);
      k.a.label(over);
      i.push(0x4202);
      i.popfq();
      i.int(TRY);
    });
  }
  k.check("#UD saves RF, NT and IF", { ...fault(Vec.UD), flags: [0x14200, 0x14000] }, () => {
    i.push(0x4002);
    i.popfq();
    i.ud2();
  });
  k.check("a conforming handler keeps ring 3 and its stack, aligned", {
    ...{ vector: END, cs: Sel.USER, ss: Sel.USER_DATA },
    notes: [BigInt(Sel.CONFORMING | 3), BigInt(At.USER + At.USER_STACK - 32 - 40)],
  }, () => {
    const own = k.a.unique("own"), over = k.a.unique("over");
    k.gate(TRY, own, { selector: Sel.CONFORMING, dpl: 3 });
    i.bts(dword(At.IDT + 16 * TRY + 4), 30);
    i.jmp(over);
    k.a.label(own);
    i.mov(eax, o.cs);
    k.note();
    k.note(rsp);
    i.iretq();
    k.a.label(over);
    k.user(() => {
      i.sub(rsp, 17);
      i.int(TRY);
    });
  });
}

function stacks(k: Kernel64): void {
  const { i } = k;
  const at = (v: number) => BigInt(v);
  k.section("3: 6.14.2, 6.14.4, 6.14.5");
  k.check("the frame without a change of ring is aligned", {
    ...done(),
    frame: at(At.STACK - 16 - 40),
    sp: at(At.STACK - 5),
  }, () => i.sub(rsp, 5));
  k.check("an error code is below the aligned frame", {
    ...fault(Vec.GP, 0x100),
    frame: at(At.STACK - 48),
    sp: at(At.STACK),
  }, () => {
    i.mov(eax, 0x100);
    i.mov(ds, eax);
  });
  k.check("from ring 3 the frame is on RSP0", {
    ...{ ...done(), cs: Sel.USER, ss: Sel.USER_DATA, sp: at(At.USER + At.USER_STACK) },
    frame: at(At.RSP0 - 40),
  }, () => k.user(() => {}));
  k.check("RSP0 is aligned too", { ...done(), frame: at(At.RSP0 - 16 - 40) }, () => {
    k.put(At.TSS + 4, At.RSP0 - 3);
    k.user(() => {});
  });
  k.check("SS is null with RPL 0 in ring 0 after a change of ring", done(0), () => {
    const own = k.a.unique("own"), over = k.a.unique("over");
    k.gate(TRY, own, { dpl: 3 });
    i.jmp(over);
    k.a.label(own);
    i.mov(eax, ss);
    k.note();
    i.int(0x30);
    k.a.label(over);
    k.user(() => i.int(TRY));
  });
  k.check("DS, ES, FS, GS stay across a change of ring", done(Sel.USER_DATA, Sel.USER_DATA), () => {
    const own = k.a.unique("own"), over = k.a.unique("over");
    k.gate(TRY, own, { dpl: 3 });
    i.jmp(over);
    k.a.label(own);
    for (const s of [ds, fs]) {
      i.mov(eax, s);
      k.note();
    }
    i.int(0x30);
    k.a.label(over);
    k.user(() => {
      i.mov(eax, Sel.USER_DATA);
      i.mov(ds, eax);
      i.mov(fs, eax);
      i.int(TRY);
    });
  });
  k.check("IST1 from ring 0", { vector: TRY, frame: at(At.IST1 - 40), sp: at(At.STACK) }, () => {
    k.gate(TRY, STUB, { ist: 1 });
    i.int(TRY);
  });
  k.check(
    "IST2 from ring 3, with an error code",
    { ...fault(Vec.GP), frame: at(At.IST2 - 48) },
    () => {
      k.gate(Vec.GP, "stub.13", { ist: 2 });
      k.user(() => i.cli());
    },
  );
  k.check("IST again inside: the same stack", {
    vector: TRY,
    frame: at(At.IST1 - 40),
    sp: at(At.IST1 - 40),
  }, () => {
    const own = k.a.unique("own"), over = k.a.unique("over");
    k.gate(0x34, own, { ist: 1 });
    k.gate(TRY, STUB, { ist: 1 });
    i.jmp(over);
    k.a.label(own);
    i.int(TRY);
    k.a.label(over);
    i.int(0x34);
  });
  k.check("IST1 that is not canonical: #SS", fault(Vec.SS), () => {
    k.put(At.TSS + 0x24, HOLE);
    k.gate(TRY, STUB, { ist: 1 });
    k.at();
    i.int(TRY);
  });
  k.check("RSP0 that is not canonical: #SS on an interrupt stack", fault(Vec.SS), () => {
    k.put(At.TSS + 4, HOLE);
    k.gate(TRY, STUB, { dpl: 3 });
    k.gate(Vec.SS, "stub.12", { ist: 1 });
    k.user(() => (k.at(), i.int(TRY)));
  });
  k.check("an exception with RSP0 that is not canonical: #DF", fault(Vec.DF), () => {
    k.put(At.TSS + 4, HOLE);
    k.gate(Vec.DF, "stub.8", { ist: 1 });
    k.user(() => i.mov(ds, eax), {});
    // #SS inside #UD is no double fault by class; #GP is contributory.
    void 0;
  });
  const small = (limit: number) => {
    k.descriptor(Sel.TSS, BigInt(limit) | BigInt(At.TSS) << 16n | 0x89n << 40n, 0n);
    i.mov(eax, Sel.TSS);
    i.ltr(ax);
  };
  k.check("IST beyond the TSS's limit: #TS", fault(Vec.TS, Sel.TSS), () => {
    small(0x2a);
    k.gate(TRY, STUB, { ist: 1 });
    k.at();
    i.int(TRY);
  });
  k.check("the frame on an absent page: #PF on an interrupt stack", {
    ...pageFault(2, At.LAB + 4096 - 8),
    sp: at(At.STACK),
  }, () => {
    k.put(At.TSS + 0x24, At.LAB + 4096);
    k.gate(TRY, STUB, { ist: 1 });
    k.page(0, 0);
    k.at();
    i.int(TRY);
  });
  k.check("the IDT on an absent page: #DF when #PF is there too", fault(Vec.PF, 0), () => {
    // Only the tried gate lies on the absent page.
    const base = At.LAB + 4096 - 16 * TRY;
    i.mov(o.esi, At.IDT);
    i.mov(o.edi, base);
    i.mov(ecx, 32 * 2);
    i.rep();
    i.movsq();
    i.mov(o.word(At.SCRATCH), 0xfff);
    i.mov(qword(At.SCRATCH + 2), base);
    i.lidt(mem(At.SCRATCH));
    k.page(1, 0);
    k.at();
    i.int(TRY);
  });
  k.section("3: 6.15 (#DF)");
  k.check("#GP while delivering #GP: #DF, error code 0", fault(Vec.DF), () => {
    k.gate(Vec.GP, "stub.13", { selector: 0 });
    i.mov(eax, 0x100);
    i.mov(ds, eax);
  });
  k.check("#NP while delivering #UD is not #DF", fault(Vec.NP, 6 * 8 + 3), () => {
    k.gate(Vec.UD, "stub.6", { present: 0 });
    i.ud2();
  });
  k.check("#NP while delivering #NP: #DF", fault(Vec.DF), () => {
    k.gate(Vec.NP, "stub.11", { present: 0 });
    k.descriptor(Sel.FREE, flat(0x13));
    i.mov(eax, Sel.FREE);
    i.mov(ds, eax);
  });
  k.check("#GP while delivering #PF: #DF", fault(Vec.DF), () => {
    k.gate(Vec.PF, "stub.14", { selector: 0 });
    k.page(0, 0);
    i.mov(eax, dword(At.LAB));
  });
  k.check("#PF while delivering #GP is a #PF", { ...pageFault(2, At.LAB + 4096 - 8) }, () => {
    k.put(At.TSS + 0x24, At.LAB + 4096);
    k.gate(Vec.GP, "stub.13", { ist: 1 });
    k.page(0, 0);
    i.mov(eax, 0x100);
    i.mov(ds, eax);
  });
  k.check("#PF while delivering #PF: #DF", { ...fault(Vec.DF), frame: at(At.IST2 - 48) }, () => {
    k.put(At.TSS + 0x24, At.LAB + 4096);
    k.gate(Vec.PF, "stub.14", { ist: 1 });
    k.gate(Vec.DF, "stub.8", { ist: 2 });
    k.page(0, 0);
    i.mov(eax, dword(At.LAB));
  });
  k.check("#DE while delivering is contributory: #GP in #DE is #DF", fault(Vec.DF), () => {
    k.gate(Vec.DE, "stub.0", { selector: 0 });
    i.mov(ecx, 0);
    i.div(ecx);
  });
}

function returns(k: Kernel64): void {
  const { i, a } = k;
  /** IRETQ with a frame; in ring 0. */
  const frame = (
    name: string,
    expect: Expect,
    f: { cs?: number; ss?: number; ip?: bigint; flags?: number },
    make = () => {},
  ) =>
    k.check(`IRETQ: ${name}`, expect, () => {
      make();
      i.push(f.ss ?? Sel.DATA);
      i.push(At.STACK);
      i.push(f.flags ?? 2);
      i.push(f.cs ?? Sel.CODE);
      i.mov(rax, f.ip ?? 0x100000n);
      i.push(rax);
      k.at();
      i.iretq();
    });
  const gp = (selector: number) => fault(Vec.GP, selector & ~3);
  k.section("2: IRET");
  frame("CS null", GP0, { cs: 0 });
  frame("CS null with RPL 3", GP0, { cs: 3 });
  frame("CS beyond the GDT", gp(0x100), { cs: 0x100 });
  frame("CS of an LDT that is not there", fault(Vec.GP, 0x1c), { cs: 0x1c });
  frame("CS of data", gp(Sel.DATA), { cs: Sel.DATA });
  frame("CS of ring 3's code with RPL 0", gp(Sel.USER), { cs: Sel.USER & ~3 });
  frame("CS of ring 0's code with RPL 3", gp(Sel.CODE), { cs: Sel.CODE | 3, ss: Sel.USER_DATA });
  frame(
    "CS conforming, DPL above RPL",
    gp(Sel.FREE),
    { cs: Sel.FREE },
    () => k.descriptor(Sel.FREE, long(0xff)),
  );
  frame(
    "CS that is not present",
    fault(Vec.NP, Sel.FREE),
    { cs: Sel.FREE },
    () => k.descriptor(Sel.FREE, long(0x1b)),
  );
  frame(
    "CS with L and D",
    gp(Sel.FREE),
    { cs: Sel.FREE },
    () => k.descriptor(Sel.FREE, 0x00ef9b000000ffffn),
  );
  frame("SS null for ring 3", GP0, { cs: Sel.USER, ss: 0 });
  frame("SS null with RPL 3 for ring 3", GP0, { cs: Sel.USER, ss: 3 });
  frame("SS null for ring 3's 32-bit code", GP0, { cs: Sel.USER32, ss: 3 });
  frame("SS null with RPL 1 for ring 0", GP0, { ss: 1 });
  frame("SS with another RPL than CS", gp(Sel.USER_DATA), { cs: Sel.USER, ss: Sel.USER_DATA & ~3 });
  frame("SS of another ring", gp(Sel.DATA), { cs: Sel.USER, ss: Sel.DATA | 3 });
  frame("SS of code", gp(Sel.USER), { cs: Sel.USER, ss: Sel.USER });
  frame(
    "SS that is read-only",
    gp(Sel.FREE),
    { cs: Sel.USER, ss: Sel.FREE | 3 },
    () => k.descriptor(Sel.FREE, flat(0xf1)),
  );
  frame(
    "SS that is not present",
    fault(Vec.SS, Sel.FREE),
    { cs: Sel.USER, ss: Sel.FREE | 3 },
    () => k.descriptor(Sel.FREE, flat(0x73)),
  );
  frame("RIP that is not canonical", GP0, { ip: HOLE });
  frame("RIP that is not canonical, for ring 3", GP0, {
    ip: HOLE,
    cs: Sel.USER,
    ss: Sel.USER_DATA,
  });
  frame("EIP beyond the limit in compatibility mode", GP0, {
    ip: 0x2000n,
    cs: Sel.FREE | 3,
    ss: Sel.USER_DATA,
  }, () => k.descriptor(Sel.FREE, 0x0040fb0000001fffn));
  k.check("IRETQ with NT", GP0, () => {
    i.push(0x4002);
    i.popfq();
    k.at();
    i.iretq();
  });
  k.check("IRETQ with null SS to ring 0", done(0), () => {
    const to = a.unique("to");
    i.push(0);
    i.push(At.STACK);
    i.push(2);
    i.push(Sel.CODE);
    i.lea(rax, mem(to));
    i.push(rax);
    i.iretq();
    a.label(to);
    i.mov(eax, ss);
    k.note();
  });
  k.check("IRETQ loads RSP and flags without a change of ring", {
    ...done(),
    sp: 0x2fff1n,
    flags: [0x200cd7, 0x200cd7],
  }, () => {
    const to = a.unique("to");
    i.push(Sel.DATA);
    i.push(0x2fff1);
    i.push(0x200cd7);
    i.push(Sel.CODE);
    i.lea(rax, mem(to));
    i.push(rax);
    i.iretq();
    a.label(to);
  });
  k.check("IRETD in 64-bit mode pops 4 bytes each", { ...done(), sp: BigInt(At.STACK) }, () => {
    const to = a.unique("to");
    i.sub(rsp, 20);
    i.mov(dword(rsp), to);
    i.mov(dword(rsp, 4), Sel.CODE);
    i.mov(dword(rsp, 8), 2);
    i.mov(dword(rsp, 12), At.STACK);
    i.mov(dword(rsp, 16), Sel.DATA);
    i.iretd();
    a.label(to);
  });
  k.check("IRETQ to ring 3 empties DS, ES, FS, GS of ring 0", done(0, 0, 0, 0), () => {
    i.mov(eax, Sel.DATA);
    for (const s of [fs, gs]) i.mov(s, eax);
    k.user(() => {
      for (const s of [ds, es, fs, gs]) {
        i.mov(eax, s);
        k.note();
      }
    });
  });
  k.check("IRETQ to ring 3 leaves segments of ring 3", done(Sel.USER_DATA), () => {
    i.mov(eax, Sel.USER_DATA);
    i.mov(ds, eax);
    k.user(() => {
      i.mov(eax, ds);
      k.note();
    });
  });
  k.check("IRETQ in ring 3 to ring 0", fault(Vec.GP, Sel.CODE), () =>
    k.user(() => {
      i.push(Sel.DATA);
      i.push(At.STACK);
      i.push(2);
      i.push(Sel.CODE);
      i.push(0);
      k.at();
      i.iretq();
    }));
  k.section("2: RET");
  const retf = (
    name: string,
    expect: Expect,
    cs: number,
    ip: bigint,
    more = () => {},
  ) =>
    k.check(`RETF: ${name}`, expect, () => {
      more();
      i.push(cs);
      i.mov(rax, ip);
      i.push(rax);
      k.at();
      a.db(0x48);
      i.retf();
    });
  retf("CS null", GP0, 0, 0x100000n);
  retf("CS of data", gp(Sel.DATA), Sel.DATA, 0x100000n);
  retf(
    "CS with L and D",
    gp(Sel.FREE),
    Sel.FREE,
    0n,
    () => k.descriptor(Sel.FREE, 0x00ef9b000000ffffn),
  );
  retf(
    "CS not present",
    fault(Vec.NP, Sel.FREE),
    Sel.FREE,
    0n,
    () => k.descriptor(Sel.FREE, long(0x1b)),
  );
  retf("RIP not canonical", GP0, Sel.CODE, HOLE);
  retf("to ring 3 with SS null", GP0, Sel.USER, 0x100000n, () => (i.push(3), i.push(0)));
  retf(
    "to ring 3 with SS of ring 0",
    gp(Sel.DATA),
    Sel.USER,
    0x100000n,
    () => (i.push(Sel.DATA | 3), i.push(0)),
  );
  k.check("RETF in ring 3 to ring 0", gp(Sel.CODE), () =>
    k.user(() => {
      i.push(Sel.CODE);
      i.push(0);
      k.at();
      a.db(0x48);
      i.retf();
    }));
  k.check("RETF 16 to ring 3 releases both stacks", {
    ...done(),
    sp: BigInt(At.USER + At.USER_STACK + 16),
  }, () => {
    const to = a.unique("to");
    i.push(Sel.USER_DATA);
    i.push(At.USER + At.USER_STACK);
    i.sub(rsp, 16);
    i.push(Sel.USER);
    i.lea(rax, mem(to));
    i.add(rax, At.USER);
    i.push(rax);
    a.db(0x48);
    i.retf(16);
    a.label(to);
  });
}

function farTransfers(k: Kernel64): void {
  const { i, a } = k;
  const gp = (selector: number) => fault(Vec.GP, selector & ~3);
  const POINTER = At.SCRATCH + 0x100;
  const pointer = (selector: number, offset: number | string = 0) => {
    i.mov(eax, offset);
    i.mov(dword(POINTER), eax);
    i.mov(dword(POINTER + 4), selector);
  };
  const callGate = (
    label: string,
    options: { selector?: number; attr?: number; high?: number; upper?: number } = {},
  ) => {
    const at = At.GDT + Sel.FREE2;
    i.mov(eax, label);
    i.mov(o.word(at), ax);
    i.shr(eax, 16);
    i.mov(o.word(at + 6), ax);
    i.mov(o.word(at + 2), options.selector ?? Sel.CODE);
    i.mov(o.word(at + 4), (options.attr ?? 0xec) << 8);
    i.mov(dword(at + 8), options.high ?? 0);
    i.mov(dword(at + 12), options.upper ?? 0);
  };
  const both = (name: string, expect: Expect, make: () => void) => {
    for (const [verb, emit] of [["CALL", i.callf], ["JMP", i.jmpf]] as const) {
      k.check(`far ${verb}: ${name}`, expect, () => {
        make();
        k.at();
        emit(dword(POINTER));
      });
    }
  };
  k.section("2: CALL, JMP");
  both("selector null", GP0, () => pointer(0));
  both("beyond the GDT", gp(0x100), () => pointer(0x100));
  both("of data", gp(Sel.DATA), () => pointer(Sel.DATA));
  both("code of ring 3", gp(Sel.USER), () => pointer(Sel.USER));
  both("code with RPL 3", gp(Sel.CODE), () => pointer(Sel.CODE | 3));
  both(
    "conforming code of ring 1",
    gp(Sel.FREE),
    () => (k.descriptor(Sel.FREE, long(0xbf)), pointer(Sel.FREE)),
  );
  both(
    "code that is not present",
    fault(Vec.NP, Sel.FREE),
    () => (k.descriptor(Sel.FREE, long(0x1b)), pointer(Sel.FREE)),
  );
  both(
    "code with L and D",
    gp(Sel.FREE),
    () => (k.descriptor(Sel.FREE, 0x00ef9b000000ffffn), pointer(Sel.FREE)),
  );
  both("a TSS", gp(Sel.TSS), () => pointer(Sel.TSS));
  both(
    "an LDT's descriptor",
    gp(Sel.FREE),
    () => (k.descriptor(Sel.FREE, flat(0x82), 0n), pointer(Sel.FREE)),
  );
  both(
    "a task gate",
    gp(Sel.FREE),
    () => (k.descriptor(Sel.FREE, flat(0x85), 0n), pointer(Sel.FREE)),
  );
  both(
    "an interrupt gate",
    gp(Sel.FREE),
    () => (k.descriptor(Sel.FREE, flat(0x8e), 0n), pointer(Sel.FREE)),
  );
  both(
    "a call gate that is not present",
    fault(Vec.NP, Sel.FREE2),
    () => (callGate("report", { attr: 0x6c }), pointer(Sel.FREE2)),
  );
  both(
    "a call gate whose upper type is not 0",
    gp(Sel.FREE2),
    () => (callGate("report", { upper: 0x100 }), pointer(Sel.FREE2)),
  );
  both(
    "a call gate with RPL above its DPL",
    gp(Sel.FREE2),
    () => (callGate("report", { attr: 0x8c }), pointer(Sel.FREE2 | 1)),
  );
  both(
    "a call gate to data",
    gp(Sel.DATA),
    () => (callGate("report", { selector: Sel.DATA }), pointer(Sel.FREE2)),
  );
  both("a call gate to null", GP0, () => (callGate("report", { selector: 0 }), pointer(Sel.FREE2)));
  both(
    "a call gate to 32-bit code",
    gp(Sel.CODE32),
    () => (callGate("report", { selector: Sel.CODE32 }), pointer(Sel.FREE2)),
  );
  both(
    "a call gate to code of ring 3",
    gp(Sel.USER),
    () => (callGate("report", { selector: Sel.USER }), pointer(Sel.FREE2)),
  );
  both(
    "a call gate to an address that is not canonical",
    GP0,
    () => (callGate("report", { high: 0x80000000 }), pointer(Sel.FREE2)),
  );
  for (const [verb, emit] of [["CALL", i.callf], ["JMP", i.jmpf]] as const) {
    k.check(`far ${verb} by a gate of DPL 0 from ring 3`, gp(Sel.FREE2), () => {
      callGate("report", { attr: 0x8c });
      pointer(Sel.FREE2);
      k.user(() => (k.at(), emit(dword(At.USER + POINTER))));
    });
    k.check(`far ${verb} through a gate without a change of ring`, {
      ...done(),
      sp: BigInt(At.STACK - (verb === "CALL" ? 16 : 0)),
    }, () => {
      const to = a.unique("to");
      callGate(to);
      pointer(Sel.FREE2);
      emit(dword(POINTER));
      a.label(to);
    });
  }
  k.check("far JMP by a gate to ring 0 from ring 3", gp(Sel.CODE), () => {
    callGate("report");
    pointer(Sel.FREE2);
    k.user(() => (k.at(), i.jmpf(dword(At.USER + POINTER))));
  });
  k.check("far CALL by a gate from ring 3 and back", {
    ...done(At.RSP0 - 32, 0, Sel.USER, At.USER + At.USER_STACK, Sel.USER_DATA, Sel.CODE),
    ...{ cs: Sel.USER, ss: Sel.USER_DATA, sp: BigInt(At.USER + At.USER_STACK) },
  }, () => {
    const to = a.unique("to"), over = a.unique("over");
    callGate(to);
    pointer(Sel.FREE2);
    i.jmp(over);
    a.label(to);
    k.note(rsp);
    i.mov(eax, ss);
    k.note();
    for (const at of [8, 16, 24]) {
      i.mov(rax, qword(rsp, at));
      k.note();
    }
    i.mov(eax, o.cs);
    k.note();
    a.db(0x48);
    i.retf();
    a.label(over);
    k.user(() => i.callf(dword(At.USER + POINTER)));
  });
  k.check("far CALL by a gate with RSP0 that is not canonical", fault(Vec.SS), () => {
    callGate("report");
    pointer(Sel.FREE2);
    k.put(At.TSS + 4, HOLE);
    k.gate(Vec.SS, "stub.12", { ist: 1 });
    k.user(() => (k.at(), i.callf(dword(At.USER + POINTER))));
  });
  k.check("far CALL of conforming code from ring 3 keeps the ring", {
    ...done(),
    cs: Sel.CONFORMING | 3,
  }, () => {
    const to = a.unique("to");
    i.mov(eax, to);
    i.add(eax, At.USER);
    i.mov(dword(POINTER), eax);
    i.mov(dword(POINTER + 4), Sel.CONFORMING);
    k.user(() => {
      i.callf(dword(At.USER + POINTER));
      a.label(to);
    });
  });
  k.check("far JMP to 32-bit code and back", done(32), () => {
    const there = a.unique("there"), back = a.unique("back");
    pointer(Sel.CODE32, there);
    i.jmpf(dword(POINTER));
    a.bits(32);
    a.label(there);
    a.db(0x48, 0xb8, 32, 0, 0, 0); // DEC EAX; MOV EAX, 32: a REX prefix it would be in 64-bit mode
    i.jmp(o.far(Sel.CODE, back));
    a.bits(64);
    a.label(back);
    k.note();
  });
  k.check("far JMP with REX.W takes 64 bits of offset", GP0, () => {
    i.mov(dword(POINTER), 0);
    i.mov(dword(POINTER + 4), 0x80000000);
    i.mov(dword(POINTER + 8), Sel.CODE);
    k.at();
    i.jmpf(qword(POINTER));
  });
}
