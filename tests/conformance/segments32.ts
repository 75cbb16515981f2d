/** Segmentation, gates and faults of 32-bit protected mode, and virtual-8086 mode. */
import * as o from "../../firmware/asm/operand.ts";
import { dword, far, mem } from "../../firmware/asm/operand.ts";
import { done, END, type Expect, fault, noted, Vec } from "./check.ts";
import { At, descriptor, flat, type Kernel32, Sel } from "./kernel32.ts";

const { al, ax, ds, eax, ebp, ebx, ecx, edx, es, esi, esp, fs, gs, ss } = o;
const GP0 = fault(Vec.GP), SS0 = fault(Vec.SS), UD = fault(Vec.UD);
const gp = (selector: number) => fault(Vec.GP, selector & ~3);
const POINTER = At.SCRATCH + 0x100;

export function segments(k: Kernel32): void {
  limits(k);
  loads(k);
  gates(k);
  callGates(k);
  returns(k);
  oldInstructions(k);
}

function limits(k: Kernel32): void {
  const { i } = k;
  const use = (name: string, expect: Expect, value: bigint, body: () => void, sreg = ds) =>
    k.check(`limit: ${name}`, expect, () => {
      k.descriptor(Sel.FREE, value);
      i.mov(eax, Sel.FREE);
      i.mov(sreg, eax);
      body();
    });
  const last = (body: () => void) => () => (k.at(), body());
  const bytes = descriptor(At.SCRATCH, 0xfff, 0x4093), down = descriptor(At.SCRATCH, 0xfff, 0x4097);
  const down16 = descriptor(At.SCRATCH, 0xfff, 0x0097);
  k.section("3: 5.3");
  use("the last byte", done(), bytes, () => i.mov(al, o.byte(0xfff)));
  use("one byte beyond", GP0, bytes, last(() => i.mov(al, o.byte(0x1000))));
  use("a dword's last byte beyond", GP0, bytes, last(() => i.mov(eax, dword(0xffd))));
  use("a dword to the last byte", done(), bytes, () => i.mov(eax, dword(0xffc)));
  use("a write beyond", GP0, bytes, last(() => i.mov(dword(0xffd), eax)));
  use("far beyond, around 4 GiB", GP0, bytes, last(() => i.mov(eax, dword(0xffffffff))));
  use("in FS", GP0, bytes, last(() => i.mov(eax, dword(fs, 0xffd))), fs);
  use("in ES, by STOSD", GP0, bytes, () => (i.mov(o.edi, 0xffd), k.at(), i.stosd()), es);
  use("in DS, by LODSD", GP0, bytes, () => (i.mov(esi, 0xffd), k.at(), i.lodsd()));
  use("expand down: inside the hole", GP0, down, last(() => i.mov(al, o.byte(0xfff))));
  use("expand down: the first byte", done(), down, () => i.mov(al, o.byte(0x1000)));
  use("expand down: begins in the hole", GP0, down, last(() => i.mov(eax, dword(0xffe))));
  use("expand down, 16 bits: up to FFFFh", done(), down16, () => i.mov(eax, dword(0xfffc)));
  use("expand down, 16 bits: beyond FFFFh", GP0, down16, last(() => i.mov(eax, dword(0xfffd))));
  use("limit 0 has one byte", done(noted(Vec.GP)), descriptor(At.SCRATCH, 0, 0x4093), () => {
    i.mov(al, o.byte(0));
    k.attempt(() => i.mov(al, o.byte(1)));
  });
  use(
    "pages: the last byte",
    done(),
    descriptor(At.SCRATCH, 0, 0xc093),
    () => i.mov(al, o.byte(0xfff)),
  );
  use(
    "pages: beyond",
    GP0,
    descriptor(At.SCRATCH, 0, 0xc093),
    last(() => i.mov(al, o.byte(0x1000))),
  );
  k.section("3: 5.5");
  use("a write to read-only data", GP0, flat(0x91), last(() => i.mov(dword(At.SCRATCH), eax)));
  use("a read of read-only data", done(), flat(0x91), () => i.mov(eax, dword(At.SCRATCH)));
  use("a write to code", GP0, flat(0x9b), last(() => i.mov(dword(At.SCRATCH), eax)));
  use("a read of code", done(), flat(0x9b), () => i.mov(eax, dword(At.SCRATCH)));
  k.check("a write through CS", GP0, () => (k.at(), i.mov(dword(o.cs, At.SCRATCH), eax)));
  k.check("a read through CS", done(), () => i.mov(eax, dword(o.cs, At.SCRATCH)));
  k.check("a read through CS that cannot be read", GP0, () => {
    const to = k.a.unique("to");
    k.descriptor(Sel.FREE, flat(0x99));
    i.jmp(far(Sel.FREE, to));
    k.a.label(to);
    k.at();
    i.mov(eax, dword(o.cs, At.SCRATCH));
  });
  for (const s of [ds, es, fs, gs]) {
    k.check(`a null ${s.name.toUpperCase()}`, GP0, () => {
      i.mov(eax, 0);
      i.mov(s, eax);
      k.at();
      i.mov(eax, dword(s, At.SCRATCH));
    });
  }
  k.check("a null DS before the absent page", GP0, () => {
    i.mov(eax, 3);
    i.mov(ds, eax);
    k.at();
    i.mov(eax, dword(0xffffffff));
  });
  /** A stack whose segment ends; the handler's task gate would be too much: the fault comes from ring 3. */
  const stack = (name: string, value: bigint, sp: number, body: () => void, expect: Expect = SS0) =>
    k.check(`stack: ${name}`, expect, () => {
      k.descriptor(Sel.FREE, value | 3n << 45n);
      k.user(() => {
        i.mov(eax, Sel.FREE | 3);
        i.mov(ss, eax);
        i.mov(esp, sp);
        if (expect.vector !== END) k.at();
        body();
      });
    });
  const small = descriptor(At.SCRATCH, 0xfff, 0x4093);
  stack("PUSH beyond the limit", small, 0x1004, () => i.push(eax));
  stack("PUSH below 0", small, 0, () => i.push(eax));
  stack("PUSH of the last dword", small, 0x1000, () => i.push(eax), done());
  stack("POP beyond the limit", small, 0xffd, () => i.pop(eax));
  stack("CALL below 0", small, 0, () => i.call("report"));
  stack("RET beyond the limit", small, 0xffe, () => i.ret());
  stack("through EBP", small, 0x1000, () => i.mov(eax, dword(ebp, 0x1000)));
  stack("ENTER", small, 2, () => i.enter(16, 0));
  stack("PUSHAD that does not fit", small, 31, () => i.pushad());
  stack(
    "16 bits: PUSH wraps at 64 KiB",
    descriptor(At.SCRATCH, 0xffff, 0x0093),
    0x10000,
    () => i.push(eax),
    done(),
  );
  stack("expand down", descriptor(At.SCRATCH, 0xfff, 0x4097), 0x1000, () => i.push(eax));
  k.section("3: 5.3, 6.15 (#GP)");
  k.check("a jump beyond CS's limit", GP0, () => {
    const to = k.a.unique("to");
    i.mov(dword(POINTER), 0x200000);
    k.descriptor(Sel.FREE, descriptor(0, 0x1ff, 0xc09b));
    i.jmp(far(Sel.FREE, to));
    k.a.label(to);
    k.at();
    i.jmp(dword(POINTER));
  });
  k.check("a far jump beyond the new CS's limit", GP0, () => {
    k.descriptor(Sel.FREE, descriptor(0, 0xfff, 0x409b));
    k.at();
    i.jmp(far(Sel.FREE, 0x1000));
  });
  k.check("code that runs to CS's limit: a fetch beyond", GP0, () => {
    const edge = At.SCRATCH + 0xfff;
    k.descriptor(Sel.FREE, descriptor(0, edge, 0x409b));
    i.mov(o.byte(edge), 0x90);
    i.jmp(far(Sel.FREE, edge));
  });
  k.check("an instruction of which a part is beyond CS's limit", GP0, () => {
    const edge = At.SCRATCH + 0xfff;
    k.descriptor(Sel.FREE, descriptor(0, edge, 0x409b));
    i.mov(o.byte(edge), 0xb8);
    i.jmp(far(Sel.FREE, edge));
  });
}

function loads(k: Kernel32): void {
  const { i } = k;
  const load = (
    name: string,
    expect: Expect,
    to: o.Reg,
    selector: number,
    access?: number,
    user = false,
  ) =>
    k.check(`${to.name.toUpperCase()}: ${name}${user ? ", ring 3" : ""}`, expect, () => {
      if (access !== undefined) k.descriptor(Sel.FREE, flat(access));
      const go = () => {
        i.mov(eax, selector);
        if (expect.vector !== END) k.at();
        i.mov(to, eax);
      };
      if (user) k.user(go);
      else go();
    });
  k.section("2: MOV; 3: 5.4");
  load("null", GP0, ss, 0);
  load("null with RPL 3", GP0, ss, 3);
  load("another RPL", gp(Sel.DATA), ss, Sel.DATA | 3);
  load("read-only", gp(Sel.FREE), ss, Sel.FREE, 0x91);
  load("not present", fault(Vec.SS, Sel.FREE), ss, Sel.FREE, 0x13);
  load("DPL 0", gp(Sel.DATA), ds, Sel.DATA, undefined, true);
  load("an LDT that is not there", fault(Vec.GP, 0x0c), ds, 0x0c);
  load("execute-only", gp(Sel.FREE), es, Sel.FREE, 0x99);
  load("a gate", gp(Sel.FREE), es, Sel.FREE, 0x8c);
  load("not present", fault(Vec.NP, Sel.FREE), gs, Sel.FREE, 0x13);
  k.check("from the LDT", done(0x0c), () => {
    i.mov(eax, Sel.LDT);
    i.lldt(ax);
    i.mov(eax, 0x0c);
    i.mov(ds, eax);
    i.mov(eax, ds);
    k.note();
  });
  k.check("beyond the LDT", fault(Vec.GP, 0x44), () => {
    i.mov(eax, Sel.LDT);
    i.lldt(ax);
    i.mov(eax, 0x44);
    k.at();
    i.mov(ds, eax);
  });
  for (
    const [name, emit] of [["LDS", i.lds], ["LES", i.les], ["LSS", i.lss], ["LFS", i.lfs], [
      "LGS",
      i.lgs,
    ]] as const
  ) {
    k.check(`${name} that faults leaves its register`, done(noted(Vec.GP, 0xf8), 0x77), () => {
      i.mov(dword(POINTER), 0x1234);
      i.mov(dword(POINTER + 4), 0xf8);
      k.attempt(() => {
        i.mov(ebx, 0x77);
        emit(ebx, mem(POINTER));
      });
      k.note(ebx);
    });
    if (name !== "LDS" && name !== "LES") {
      k.check(`${name} of a register`, UD, () => {
        k.at();
        k.a.db(0x0f, name === "LSS" ? 0xb2 : name === "LFS" ? 0xb4 : 0xb5, 0xc0);
      });
    }
  }
  k.check("POP of a selector that faults leaves ESP", {
    ...fault(Vec.GP, 0xf8),
    sp: BigInt(At.STACK - 4),
  }, () => {
    i.push(0xf8);
    k.at();
    i.pop(ds);
  });
  k.check("MOV SS, POP SS in ring 1", done(), () =>
    k.user(() => {
      i.push(ss);
      i.pop(ss);
    }, { cs: Sel.RING1, ss: Sel.RING1_DATA }));
}

function gates(k: Kernel32): void {
  const { i, a } = k, TRY = 0x33, IDT = TRY * 8 + 2, STUB = `stub.${TRY}`;
  const bad = (name: string, expect: Expect, make: () => void, user = false) =>
    k.check(`INT: ${name}`, expect, () => {
      make();
      const go = () => (k.at(), i.int(TRY));
      if (user) k.user(go);
      else go();
    });
  k.section("3: 6.12, 6.13; 2: INT n");
  bad("DPL 0 from ring 3", fault(Vec.GP, IDT), () => {}, true);
  bad("not present", fault(Vec.NP, IDT), () => k.gate(TRY, STUB, 0x0e));
  for (const type of [0, 1, 2, 3, 4, 8, 9, 10, 11, 12, 13]) {
    bad(`a gate of type ${type}`, fault(Vec.GP, IDT), () => k.gate(TRY, STUB, 0x80 | type));
  }
  bad("a code descriptor in the IDT", fault(Vec.GP, IDT), () => k.gate(TRY, STUB, 0x9b));
  bad("selector null", GP0, () => k.gate(TRY, STUB, 0x8e, 0));
  bad("selector of data", gp(Sel.DATA), () => k.gate(TRY, STUB, 0x8e, Sel.DATA));
  bad("code of ring 3 from ring 0", gp(Sel.USER), () => k.gate(TRY, STUB, 0x8e, Sel.USER));
  bad("code that is not present", fault(Vec.NP, Sel.FREE), () => {
    k.descriptor(Sel.FREE, flat(0x1b));
    k.gate(TRY, STUB, 0x8e, Sel.FREE);
  });
  bad("offset beyond the code's limit", GP0, () => {
    k.descriptor(Sel.FREE, descriptor(0, 0xfff, 0x409b));
    k.gate(TRY, STUB, 0x8e, Sel.FREE);
  });
  k.check(
    "an exception's EXT bit",
    fault(Vec.NP, 6 * 8 + 3),
    () => (k.gate(6, "stub.6", 0x0e), k.at(), i.ud2()),
  );
  k.check(
    "an exception whose code is data: EXT",
    fault(Vec.GP, Sel.DATA | 1),
    () => (k.gate(6, "stub.6", 0x8e, Sel.DATA), k.at(), i.ud2()),
  );
  k.check("to ring 0: SS and ESP from the TSS", {
    ...done(),
    frame: BigInt(At.ESP0 - 20),
    sp: BigInt(At.USER_STACK),
    ss: Sel.USER_DATA,
    cs: Sel.USER,
  }, () => k.user(() => {}));
  k.check("to ring 1: SS and ESP of ring 1", done(Sel.RING1_DATA, At.ESP1 - 20), () => {
    const own = a.unique("own"), over = a.unique("over");
    k.gate(TRY, own, 0xee, Sel.RING1);
    i.jmp(over);
    a.label(own);
    i.mov(eax, ss);
    k.note();
    k.note(esp);
    i.int(0x30);
    a.label(over);
    k.user(() => i.int(TRY));
  });
  k.check(
    "ring 3 to conforming code stays in ring 3",
    done(Sel.CONFORMING | 3, At.USER_STACK - 12),
    () => {
      const own = a.unique("own"), over = a.unique("over");
      k.gate(TRY, own, 0xee, Sel.CONFORMING);
      i.jmp(over);
      a.label(own);
      i.mov(eax, o.cs);
      k.note();
      k.note(esp);
      i.int(0x30);
      a.label(over);
      k.user(() => i.int(TRY));
    },
  );
  for (const [name, attr, left] of [["interrupt", 0xee, 0], ["trap", 0xef, 0x200]] as const) {
    k.check(`${name} gate: IF, NT`, done(left), () => {
      const own = a.unique("own"), over = a.unique("over");
      k.gate(TRY, own, attr);
      i.jmp(over);
      a.label(own);
      i.pushfd();
      i.pop(eax);
      i.and(eax, 0x4300);
      k.note();
      i.int(0x30);
      a.label(over);
      i.push(0x4202);
      i.popfd();
      i.int(TRY);
    });
  }
  k.check("a 16-bit gate pushes words", done(At.STACK - 6, Sel.CODE), () => {
    const own = a.unique("own"), over = a.unique("over");
    // The offset of a 16-bit gate has 16 bits: code there jumps on.
    i.mov(o.byte(At.REAL & 0xffff | 0x8000), 0x90);
    i.mov(o.byte(0x8000), 0xe9);
    i.mov(eax, own);
    i.sub(eax, 0x8005);
    i.mov(dword(0x8001), eax);
    k.gate(TRY, 0x8000, 0x86);
    i.jmp(over);
    a.label(own);
    k.note(esp);
    i.movzx(eax, o.word(esp, 2));
    k.note();
    i.int(0x30);
    a.label(over);
    i.int(TRY);
  });
}

function callGates(k: Kernel32): void {
  const { i, a } = k;
  const pointer = (selector: number, offset: number | string = 0) => {
    i.mov(dword(POINTER), offset);
    i.mov(dword(POINTER + 4), selector);
  };
  const gate = (label: string | number, attr = 0xec, count = 0, selector: number = Sel.CODE) =>
    k.gateAt(At.GDT + Sel.GATE, label, selector, attr, count);
  const both = (name: string, expect: Expect, make: () => void) => {
    for (const [verb, emit] of [["CALL", i.callf], ["JMP", i.jmpf]] as const) {
      k.check(`far ${verb}: ${name}`, expect, () => {
        make();
        k.at();
        emit(dword(POINTER));
      });
    }
  };
  k.section("2: CALL, JMP; 3: 5.8");
  both("null", GP0, () => pointer(0));
  both("beyond the GDT", gp(0xf8), () => pointer(0xf8));
  both("data", gp(Sel.DATA), () => pointer(Sel.DATA));
  both("code of ring 3", gp(Sel.USER), () => pointer(Sel.USER));
  both("code with RPL 3", gp(Sel.CODE), () => pointer(Sel.CODE | 3));
  both(
    "not present",
    fault(Vec.NP, Sel.FREE),
    () => (k.descriptor(Sel.FREE, flat(0x1b)), pointer(Sel.FREE)),
  );
  both("an LDT", gp(Sel.LDT), () => pointer(Sel.LDT));
  both("an interrupt gate", gp(Sel.GATE), () => (gate("report", 0x8e), pointer(Sel.GATE)));
  both(
    "a gate that is not present",
    fault(Vec.NP, Sel.GATE),
    () => (gate("report", 0x6c), pointer(Sel.GATE)),
  );
  both(
    "a gate with RPL above DPL",
    gp(Sel.GATE),
    () => (gate("report", 0x8c), pointer(Sel.GATE | 1)),
  );
  both(
    "a gate to data",
    gp(Sel.DATA),
    () => (gate("report", 0xec, 0, Sel.DATA), pointer(Sel.GATE)),
  );
  both("a gate to null", GP0, () => (gate("report", 0xec, 0, 0), pointer(Sel.GATE)));
  both(
    "a gate to code of ring 3",
    gp(Sel.USER),
    () => (gate("report", 0xec, 0, Sel.USER), pointer(Sel.GATE)),
  );
  both("a busy TSS", gp(Sel.TSS), () => pointer(Sel.TSS));
  k.check("a gate of DPL 0 from ring 3", gp(Sel.GATE), () => {
    gate("report", 0x8c);
    pointer(Sel.GATE);
    k.user(() => (k.at(), i.callf(dword(POINTER))));
  });
  k.check("far JMP by a gate to ring 0 from ring 3", gp(Sel.CODE), () => {
    gate("report");
    pointer(Sel.GATE);
    k.user(() => (k.at(), i.jmpf(dword(POINTER))));
  });
  for (const count of [0, 1, 3, 31]) {
    k.check(`a gate copies ${count} parameters, and RETF releases them`, {
      ...done(
        At.ESP0 - 16 - 4 * count,
        count === 0 ? Sel.USER : 0x1000 + count - 1,
        At.USER_STACK - 4 * count,
        Sel.USER_DATA,
      ),
      sp: BigInt(At.USER_STACK),
    }, () => {
      const own = a.unique("own"), over = a.unique("over");
      gate(own, 0xec, count);
      pointer(Sel.GATE);
      i.jmp(over);
      a.label(own);
      k.note(esp);
      // The last parameter pushed is the lowest; without any, CS is looked at.
      i.mov(eax, dword(esp, count === 0 ? 4 : 8));
      k.note();
      i.mov(eax, dword(esp, 8 + 4 * count));
      k.note();
      i.mov(eax, dword(esp, 12 + 4 * count));
      k.note();
      i.retf(4 * count);
      a.label(over);
      k.user(() => {
        for (let n = 0; n < count; n++) i.push(0x1000 + n);
        i.callf(dword(POINTER));
      });
    });
  }
  k.check("a 16-bit gate copies words", done(At.ESP0 - 12, 0x5678, 0x1234), () => {
    const own = a.unique("own"), over = a.unique("over");
    i.mov(o.byte(0x8000), 0xe9);
    i.mov(eax, own);
    i.sub(eax, 0x8005);
    i.mov(dword(0x8001), eax);
    gate(0x8000, 0xe4, 2);
    pointer(Sel.GATE);
    i.jmp(over);
    a.label(own);
    k.note(esp);
    for (const at of [4, 6]) {
      i.movzx(eax, o.word(esp, at));
      k.note();
    }
    i.int(0x30);
    a.label(over);
    k.user(() => {
      i.pushw(0x1234);
      i.pushw(0x5678);
      i.callf(dword(POINTER));
    });
  });
  k.check(
    "a gate without a change of ring copies nothing",
    { ...done(), sp: BigInt(At.STACK - 8) },
    () => {
      const to = a.unique("to");
      gate(to, 0xec, 5);
      pointer(Sel.GATE);
      i.callf(dword(POINTER));
      a.label(to);
    },
  );
  k.check("conforming code keeps the ring", { ...done(), cs: Sel.CONFORMING | 3 }, () => {
    const to = a.unique("to");
    pointer(Sel.CONFORMING, to);
    k.user(() => {
      i.callf(dword(POINTER));
      a.label(to);
    });
  });
  const stack = (name: string, expect: Expect, make: () => void) =>
    k.check(`stack switch: ${name}`, expect, () => {
      gate("report");
      pointer(Sel.GATE);
      // Ring 1's gates have no change of ring for the fault, whose handler is in ring 1 too.
      make();
      for (const v of [Vec.TS, Vec.SS, Vec.NP, Vec.GP]) {
        k.gateAt(At.IDT + 8 * v, 0, Sel.TSS2, 0xe5);
      }
      task(k, At.TSS2, "fault.task");
      k.user(() => (k.at(), i.callf(dword(POINTER))));
    });
  /** The faults come through a task gate, to a task that says what has been pushed. */
  const sent = (vector: number, error: number) => done(error, vector);
  a.label("fault.task");
  i.pop(eax);
  i.int(0x31);
  i.mov(eax, 0);
  i.int(0x31);
  i.int(0x30);
  const dpl0 = (error: number) => ({ ...sent(0, error) });
  stack("SS0 null", dpl0(0), () => i.mov(dword(At.TSS + 8), 0));
  stack("SS0 with RPL 3", dpl0(Sel.DATA), () => i.mov(dword(At.TSS + 8), Sel.DATA | 3));
  stack(
    "SS0 read-only",
    dpl0(Sel.FREE),
    () => (k.descriptor(Sel.FREE, flat(0x91)), i.mov(dword(At.TSS + 8), Sel.FREE)),
  );
  stack("SS0 of code", dpl0(Sel.CODE), () => i.mov(dword(At.TSS + 8), Sel.CODE));
  stack("SS0 beyond the GDT", dpl0(0xf8), () => i.mov(dword(At.TSS + 8), 0xf8));
  stack(
    "SS0 not present",
    dpl0(Sel.FREE),
    () => (k.descriptor(Sel.FREE, flat(0x13)), i.mov(dword(At.TSS + 8), Sel.FREE)),
  );
  stack("SS0 without room", dpl0(Sel.FREE), () => {
    k.descriptor(Sel.FREE, descriptor(0, 0xfff, 0x4093));
    i.mov(dword(At.TSS + 8), Sel.FREE);
    i.mov(dword(At.TSS + 4), 8);
  });
}

/** Fills a 32-bit TSS: a task in ring 0 that begins at a label. EAX changes. */
export function task(
  k: Kernel32,
  at: number,
  label: string,
  options: { flags?: number; cs?: number; ss?: number; ds?: number; ldt?: number; trap?: number } =
    {},
): void {
  const { i } = k;
  i.mov(dword(at + 0x1c), k.paging === "pae" ? At.PDPT : At.PD);
  i.mov(eax, label);
  i.mov(dword(at + 0x20), eax);
  i.mov(dword(at + 0x24), options.flags ?? 2);
  i.mov(dword(at + 0x38), At.STACK2);
  i.mov(dword(at + 0x48), options.ds ?? Sel.DATA);
  i.mov(dword(at + 0x4c), options.cs ?? Sel.CODE);
  i.mov(dword(at + 0x50), options.ss ?? Sel.DATA);
  i.mov(dword(at + 0x54), options.ds ?? Sel.DATA);
  i.mov(dword(at + 0x60), options.ldt ?? 0);
  i.mov(dword(at + 0x64), 0x680000 | (options.trap ?? 0));
}

function returns(k: Kernel32): void {
  const { i, a } = k;
  const frame = (
    name: string,
    expect: Expect,
    f: { cs?: number; ss?: number; flags?: number; ip?: number },
    make = () => {},
  ) =>
    k.check(`IRETD: ${name}`, expect, () => {
      make();
      i.push(f.ss ?? Sel.USER_DATA);
      i.push(At.USER_STACK);
      i.push(f.flags ?? 2);
      i.push(f.cs ?? Sel.USER);
      i.push(f.ip ?? 0x100000);
      k.at();
      i.iretd();
    });
  k.section("2: IRET");
  frame("CS null", GP0, { cs: 0 });
  frame("CS of data", gp(Sel.DATA), { cs: Sel.DATA });
  frame("CS of ring 3 with RPL 0", gp(Sel.USER), { cs: Sel.USER & ~3 });
  frame("CS of ring 0 with RPL 3", gp(Sel.CODE), { cs: Sel.CODE | 3 });
  frame(
    "CS not present",
    fault(Vec.NP, Sel.FREE),
    { cs: Sel.FREE | 3 },
    () => k.descriptor(Sel.FREE, flat(0x7b)),
  );
  frame("SS null", GP0, { ss: 0 });
  frame("SS with RPL 0", gp(Sel.USER_DATA), { ss: Sel.USER_DATA & ~3 });
  frame("SS of ring 0", gp(Sel.DATA), { ss: Sel.DATA | 3 });
  frame(
    "SS not present",
    fault(Vec.SS, Sel.FREE),
    { ss: Sel.FREE | 3 },
    () => k.descriptor(Sel.FREE, flat(0x73)),
  );
  frame(
    "EIP beyond the limit",
    GP0,
    { cs: Sel.FREE | 3, ip: 0x1000 },
    () => k.descriptor(Sel.FREE, descriptor(0, 0xfff, 0x40fb)),
  );
  k.check("IRETD in ring 3 to ring 0", gp(Sel.CODE), () =>
    k.user(() => {
      i.push(2);
      i.push(Sel.CODE);
      i.push(0);
      k.at();
      i.iretd();
    }));
  k.check("IRETD empties segments of ring 0", done(0, 0, Sel.USER_DATA), () => {
    i.mov(eax, Sel.DATA);
    for (const s of [fs, gs]) i.mov(s, eax);
    k.user(() => {
      for (const s of [fs, gs, ds]) {
        i.mov(eax, s);
        k.note();
      }
    });
  });
  k.check("RETF to ring 3 with parameters", { ...done(), sp: BigInt(At.USER_STACK + 8) }, () => {
    const to = a.unique("to");
    i.push(Sel.USER_DATA);
    i.push(At.USER_STACK);
    i.sub(esp, 8);
    i.push(Sel.USER);
    i.push(to);
    i.retf(8);
    a.label(to);
  });
  k.check("RETF in ring 3 to ring 0", gp(Sel.CODE), () =>
    k.user(() => {
      i.push(Sel.CODE);
      i.push(0);
      k.at();
      i.retf();
    }));
  k.check("IRETD with NT and no busy task behind it", fault(Vec.TS, Sel.TSS2), () => {
    i.mov(o.word(At.TSS), Sel.TSS2);
    i.push(0x4002);
    i.popfd();
    k.at();
    i.iretd();
  });
}

function oldInstructions(k: Kernel32): void {
  const { i, a } = k;
  k.section("2: BOUND, INTO, AAM, ARPL");
  k.check("BOUND outside", fault(Vec.BR), () => {
    k.put(POINTER, 5n << 32n | 1n);
    i.mov(eax, 6);
    k.at();
    i.bound(eax, mem(POINTER));
  });
  k.check(
    "BOUND inside",
    done(),
    () => (k.put(POINTER, 5n << 32n | 1n), i.mov(eax, 5), i.bound(eax, mem(POINTER))),
  );
  k.check("INTO with OF is a trap", fault(Vec.OF), () => {
    i.mov(al, 0x7f);
    i.add(al, 1);
    i.into();
    k.at();
    i.nop();
  });
  k.check("INTO without OF", done(), () => i.into());
  k.check("AAM 0", fault(Vec.DE), () => (k.at(), i.aam(0)));
  k.check("ARPL", done(Sel.DATA | 3, 1), () => {
    i.mov(eax, Sel.DATA);
    i.mov(ecx, 3);
    i.arpl(ax, o.cx);
    i.mov(edx, 0);
    i.setz(o.dl);
    k.note();
    k.note(edx);
  });
  k.check("16-bit code: EIP has 16 bits", { ...done(), cs: Sel.CODE16 }, () => {
    const to = a.unique("to");
    k.descriptor(Sel.CODE16, descriptor(At.REAL, 0xffff, 0x009b));
    void to;
    i.mov(dword(At.REAL), 0x30cd);
    i.jmp(far(Sel.CODE16, 0));
  });
  for (
    const [name, bytes] of [["LOCK NOP", [0xf0, 0x90]], ["SYSCALL", [0x0f, 0x05]], ["MOV CS", [
      0x8e,
      0xc8,
    ]], ["UD2", [0x0f, 0x0b]]] as const
  ) {
    k.check(`32-bit ${name}`, UD, () => (k.at(), a.db(...bytes)));
  }
  k.section("2: SYSENTER, SYSEXIT");
  const msr = (index: number, value: number) => {
    i.mov(ecx, index);
    i.mov(eax, value);
    i.xor(edx, edx);
    i.wrmsr();
  };
  k.check("SYSENTER with CS 0", GP0, () => (msr(0x174, 0), k.at(), i.sysenter()));
  k.check("SYSENTER with CS 3", GP0, () => (msr(0x174, 3), k.at(), i.sysenter()));
  k.check("SYSENTER: CS, SS, ESP, EIP, IF, VM", done(Sel.CODE, Sel.DATA, At.STACK2, 0x3000), () => {
    const to = a.unique("to"), over = a.unique("over");
    i.jmp(over);
    a.label(to);
    i.pushfd();
    i.pop(ebx);
    i.and(ebx, 0x23300);
    for (const s of [o.cs, ss]) {
      i.mov(eax, s);
      i.push(eax);
    }
    i.pop(edx);
    i.pop(ecx);
    i.mov(esi, esp);
    i.mov(eax, Sel.DATA);
    i.mov(ds, eax);
    for (const r of [ecx, edx, esi, ebx]) k.note(r);
    i.int(0x30);
    a.label(over);
    msr(0x174, Sel.CODE | 3);
    msr(0x175, At.STACK2);
    i.mov(ecx, 0x176);
    i.mov(eax, to);
    i.wrmsr();
    k.user(() => i.sysenter(), { flags: 0x3202 });
  });
  k.check(
    "SYSEXIT in ring 3",
    GP0,
    () => (msr(0x174, Sel.CODE), k.user(() => (k.at(), i.sysexit()))),
  );
  k.check("SYSEXIT with CS 0", GP0, () => (msr(0x174, 0), k.at(), i.sysexit()));
  k.check("SYSEXIT: CS, SS, ESP, EIP", {
    ...done(),
    cs: Sel.USER,
    ss: Sel.USER_DATA,
    sp: BigInt(At.USER_STACK - 64),
  }, () => {
    const to = a.unique("to");
    msr(0x174, Sel.CODE);
    i.mov(ecx, At.USER_STACK - 64);
    i.mov(edx, to);
    i.sysexit();
    a.label(to);
  });
}
