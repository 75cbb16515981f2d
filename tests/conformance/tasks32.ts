/** Hardware tasks, 32-bit and PAE paging, virtual-8086 mode. SDM volume 3, chapters 4, 7 and 20. */
import * as o from "../../firmware/asm/operand.ts";
import { dword, far, mem } from "../../firmware/asm/operand.ts";
import { done, END, type Expect, fault, pageFault, Pf, Vec } from "./check.ts";
import { At, descriptor, flat, type Kernel32, Sel } from "./kernel32.ts";
import { task } from "./segments32.ts";

const { ax, cr0, cr4, ds, eax, ebx, ecx, esp } = o;
const GP0 = fault(Vec.GP);
const { LAB } = At, NX = 1n << 63n;

export function tasks(k: Kernel32): void {
  const { i, a } = k;
  k.section("3: 7.3, 7.4");
  const noteWord = (at: number) => (i.movzx(eax, o.word(at)), k.note());
  const busy = (selector: number) => {
    i.movzx(eax, o.byte(At.GDT + selector + 5));
    i.and(eax, 2);
    k.note();
  };
  const within = (body: () => void): string => {
    const to = a.unique("task"), over = a.unique("over");
    i.jmp(over);
    a.label(to);
    body();
    a.label(over);
    return to;
  };
  const flags = (mask: number) => {
    i.pushfd();
    i.pop(eax);
    i.and(eax, mask);
    k.note();
  };
  k.check(
    "CALL of a TSS and back by IRET: NT, link, busy bits, TS",
    done(0x4000, Sel.TSS, 2, 2, 8, 0, 0, 2),
    () => {
      const to = within(() => {
        flags(0x4000);
        noteWord(At.TSS2);
        busy(Sel.TSS);
        busy(Sel.TSS2);
        i.mov(eax, cr0);
        i.and(eax, 8);
        k.note();
        i.iretd();
      });
      task(k, At.TSS2, to);
      i.call(far(Sel.TSS2, 0));
      flags(0x4000);
      busy(Sel.TSS2);
      busy(Sel.TSS);
    },
  );
  k.check("JMP to a TSS: no NT, the old task is free", done(0, 0, 2), () => {
    const to = within(() => {
      flags(0x4000);
      busy(Sel.TSS);
      busy(Sel.TSS2);
      i.int(0x30);
    });
    task(k, At.TSS2, to);
    i.jmp(far(Sel.TSS2, 0));
  });
  k.check("the registers are saved and loaded", done(0x1234, 0x99, 0x5678), () => {
    const to = within(() => {
      i.mov(eax, ebx);
      k.note();
      i.mov(eax, dword(At.TSS + 0x34));
      k.note();
      i.iretd();
    });
    task(k, At.TSS2, to);
    i.mov(dword(At.TSS2 + 0x34), 0x1234);
    i.mov(ebx, 0x99);
    i.call(far(Sel.TSS2, 0));
    i.mov(ebx, dword(At.TSS2 + 0x24));
    i.mov(eax, 0x5678);
    k.note();
  });
  const bad = (name: string, expect: Expect, selector: number, make: () => void) => {
    k.check(`task switch: ${name}`, expect, () => {
      make();
      if (expect.vector === Vec.GP || expect.vector === Vec.NP) k.at();
      i.jmp(far(selector, 0));
    });
  };
  bad("a busy TSS", fault(Vec.GP, Sel.TSS), Sel.TSS, () => {});
  bad(
    "a TSS that is not present",
    fault(Vec.NP, Sel.TSS2),
    Sel.TSS2,
    () => k.descriptor(Sel.TSS2, descriptor(At.TSS2, 0x67, 0x09)),
  );
  bad(
    "a TSS that is too small",
    fault(Vec.TS, Sel.TSS2),
    Sel.TSS2,
    () => k.descriptor(Sel.TSS2, descriptor(At.TSS2, 0x66, 0x89)),
  );
  bad("RPL above the TSS's DPL", fault(Vec.GP, Sel.TSS2), Sel.TSS2 | 3, () => {});
  // The new task's stack may not be there yet: the fault comes through a task gate.
  const into = (
    name: string,
    vector: number,
    error: number,
    options: Parameters<typeof task>[3],
    make = () => {},
  ) =>
    k.check(`new task: ${name}`, done(error, 0), () => {
      make();
      k.gateAt(At.IDT + 8 * vector, 0, Sel.TSS3, 0x85);
      task(k, At.TSS3, "fault.task");
      task(k, At.TSS2, "report", options);
      i.jmp(far(Sel.TSS2, 0));
    });
  into("CS null", Vec.TS, 0, { cs: 0 });
  into("CS of data", Vec.TS, Sel.DATA, { cs: Sel.DATA });
  into("CS with another RPL than its DPL", Vec.TS, Sel.USER & ~3, { cs: Sel.USER & ~3 });
  into(
    "CS not present",
    Vec.NP,
    Sel.FREE,
    { cs: Sel.FREE },
    () => k.descriptor(Sel.FREE, flat(0x1b)),
  );
  into("LDT of data", Vec.TS, Sel.DATA, { ldt: Sel.DATA });
  into("LDT with TI", Vec.TS, 0x6c, { ldt: Sel.LDT | 4 });
  into(
    "DS of execute-only code",
    Vec.TS,
    Sel.FREE,
    { ds: Sel.FREE },
    () => k.descriptor(Sel.FREE, flat(0x99)),
  );
  into(
    "DS not present",
    Vec.NP,
    Sel.FREE,
    { ds: Sel.FREE },
    () => k.descriptor(Sel.FREE, flat(0x13)),
  );
  k.check("a debug trap on entry: T", { vector: Vec.DB }, () => {
    task(k, At.TSS2, "stop", { trap: 1 });
    i.jmp(far(Sel.TSS2, 0));
  });
  k.check("JMP to a 16-bit TSS", done(0x1234), () => {
    const to = within(() => {
      k.note(ebx);
      i.int(0x30);
    });
    // EIP has 16 bits there: code below 64 KiB jumps on.
    i.mov(o.byte(0x8000), 0xe9);
    i.mov(eax, to);
    i.sub(eax, 0x8005);
    i.mov(dword(0x8001), eax);
    i.mov(o.word(At.TSS16 + 0x0e), 0x8000);
    i.mov(o.word(At.TSS16 + 0x10), 2);
    i.mov(o.word(At.TSS16 + 0x18), 0x1234);
    i.mov(o.word(At.TSS16 + 0x1a), 0x7f00);
    i.mov(o.word(At.TSS16 + 0x22), Sel.DATA);
    i.mov(o.word(At.TSS16 + 0x24), Sel.CODE);
    i.mov(o.word(At.TSS16 + 0x26), Sel.DATA);
    i.mov(o.word(At.TSS16 + 0x28), Sel.DATA);
    i.mov(o.word(At.TSS16 + 0x2a), 0);
    i.mov(ebx, 0);
    i.jmp(far(Sel.TSS16, 0));
  });
  k.check("INT through a task gate and back", done(1, 2), () => {
    const to = within(() => {
      k.note(1);
      i.iretd();
    });
    task(k, At.TSS2, to);
    k.gateAt(At.IDT + 8 * 0x33, 0, Sel.TSS2, 0x85);
    i.int(0x33);
    k.note(2);
  });
  k.check(
    "an exception through a task gate: its error code is on the new stack",
    done(0xf8, At.STACK2),
    () => {
      const to = within(() => {
        i.pop(eax);
        k.note();
        k.note(esp);
        i.int(0x30);
      });
      task(k, At.TSS2, to);
      k.gateAt(At.IDT + 8 * 13, 0, Sel.TSS2, 0x85);
      i.mov(eax, 0xf8);
      i.mov(ds, eax);
    },
  );
  k.check("a task gate to a busy TSS", fault(Vec.GP, Sel.TSS), () => {
    k.gateAt(At.IDT + 8 * 0x33, 0, Sel.TSS, 0x85);
    k.at();
    i.int(0x33);
  });
  k.check("a task gate in the GDT", done(1), () => {
    const to = within(() => {
      k.note(1);
      i.int(0x30);
    });
    task(k, At.TSS2, to);
    k.gateAt(At.GDT + Sel.GATE, 0, Sel.TSS2, 0xe5);
    k.user(() => i.jmp(far(Sel.GATE, 0)));
  });
  k.check("#DF through a task gate", done(0), () => {
    const to = within(() => {
      i.pop(eax);
      k.note();
      i.int(0x30);
    });
    task(k, At.TSS2, to);
    k.gateAt(At.IDT + 8 * 8, 0, Sel.TSS2, 0x85);
    k.gate(13, "report", 0x8e, 0);
    i.mov(eax, 0xf8);
    i.mov(ds, eax);
  });
  virtual8086(k);
}

/** SDM volume 3, 20: virtual-8086 mode, with its code at {@link At.REAL}. */
function virtual8086(k: Kernel32): void {
  const { i } = k, VM = 0x20002, SEG = At.REAL >> 4;
  const run = (
    name: string,
    expect: Expect,
    bytes: readonly number[],
    options: { flags?: number; make?: () => void; at?: number } = {},
  ) =>
    k.check(`V86: ${name}`, expect, () => {
      options.make?.();
      bytes.forEach((b, n) => i.mov(o.byte(At.REAL + n), b));
      for (const v of [SEG, SEG, SEG, SEG]) i.push(v);
      i.push(SEG);
      i.push(0x8000);
      i.push(VM | (options.flags ?? 0));
      i.push(SEG);
      i.push(0);
      i.iretd();
    });
  const IOPL3 = 0x3000, INT30 = [0xcd, 0x30];
  k.section("3: 20.2, 20.3");
  run("INT with IOPL below 3", GP0, INT30);
  run(
    "INT through the IDT with IOPL 3",
    { vector: END, cs: SEG, ss: SEG, sp: 0x8000n, frame: BigInt(At.ESP0 - 36) },
    INT30,
    { flags: IOPL3 },
  );
  run("CLI with IOPL below 3", GP0, [0xfa]);
  run("STI with IOPL below 3", GP0, [0xfb]);
  run("PUSHF with IOPL below 3", GP0, [0x9c]);
  run("POPF with IOPL below 3", GP0, [0x9d]);
  run("IRET with IOPL below 3", GP0, [0xcf]);
  run("CLI and STI with IOPL 3", { vector: END, flags: [0x200, 0x200] }, [0xfa, 0xfb, ...INT30], {
    flags: IOPL3,
  });
  run("HLT", GP0, [0xf4], { flags: IOPL3 });
  run("LGDT", GP0, [0x0f, 0x01, 0x16, 0, 0], { flags: IOPL3 });
  run("MOV from CR0", GP0, [0x0f, 0x20, 0xc0], { flags: IOPL3 });
  run("SLDT", fault(Vec.UD), [0x0f, 0x00, 0xc0], { flags: IOPL3 });
  run("LAR", fault(Vec.UD), [0x0f, 0x02, 0xc0], { flags: IOPL3 });
  run("ARPL", fault(Vec.UD), [0x63, 0xc0], { flags: IOPL3 });
  run("IN without a map, IOPL 3 does not help", GP0, [0xe4, 0x80], { flags: IOPL3 });
  run("segments are 16 times their selectors", { vector: END, notes: [BigInt(SEG)] }, [
    0x8c,
    0xd8,
    0x66,
    0x0f,
    0xb7,
    0xc0,
    0xcd,
    0x31,
    ...INT30,
  ], { flags: IOPL3 });
  run("a word at FFFFh", GP0, [0xa1, 0xff, 0xff], { flags: IOPL3 });
  run("a word at FFFFh of the stack", fault(Vec.SS), [0x36, 0xa1, 0xff, 0xff], { flags: IOPL3 });
  run("INT3 with IOPL below 3", fault(Vec.BP), [0xcc]);
  const am = { flags: IOPL3 | 0x40000, make: () => (i.mov(eax, k.cr0 | 0x40000), i.mov(cr0, eax)) };
  k.section("3: 6.15 (#AC), 20.3");
  run("#AC: a word at an odd address", fault(Vec.AC), [0xa1, 0x01, 0x90], am);
  run("a word at an even address under AC", { vector: END }, [0xa1, 0x02, 0x90, ...INT30], am);
  run("a word at an odd address under AC without CR0.AM", { vector: END }, [
    0xa1,
    0x01,
    0x90,
    ...INT30,
  ], { flags: am.flags });
  k.section("3: 20.2, 20.3");
  run("#UD in it: VM and segments on the stack", { ...fault(Vec.UD), flags: [0x20000, 0x20000] }, [
    0x0f,
    0x0b,
  ]);
  const vme = () => (i.mov(eax, k.cr4 | 1), i.mov(cr4, eax));
  k.section("3: 20.3.2", "vme");
  run("VME: CLI clears VIF; the INT behind it is #GP", { ...GP0, flags: [0x80200, 0x200] }, [
    0xfa,
    ...INT30,
  ], {
    flags: 0x80200,
    make: () => (vme(), redirect(k, true)),
  });
  run("VME: STI sets VIF; the INT behind it is #GP", { ...GP0, flags: [0x80000, 0x80000] }, [
    0xfb,
    ...INT30,
  ], {
    make: () => (vme(), redirect(k, true)),
  });
  run("VME: STI with VIP", GP0, [0xfb], { flags: 0x100000, make: vme });
}

/** The interrupt redirection map: INT 30h through the IDT (or the 8086's table). */
function redirect(k: Kernel32, idt: boolean): void {
  const { i } = k;
  // The I/O map begins behind the redirection map's 32 bytes.
  k.descriptor(Sel.TSS, descriptor(At.TSS, 0xff, 0x89));
  i.mov(eax, Sel.TSS);
  i.ltr(ax);
  i.mov(o.word(At.TSS + 0x66), 0x88);
  i.mov(o.byte(At.TSS + 0x68 + (0x30 >> 3)), idt ? 1 : 0);
}

/** Access rights and reserved bits of 32-bit and PAE paging. */
export function pagingLegacy(k: Kernel32): void {
  const { i } = k, pae = k.paging === "pae";
  const judge = (
    r: { p: boolean; w: boolean; u: boolean; nx: boolean },
    kind: string,
    user: boolean,
    wp: boolean,
  ): number | undefined => {
    let error = (user ? Pf.U : 0) | (kind === "write" ? Pf.W : 0) |
      (kind === "fetch" && pae ? Pf.I : 0);
    if (!r.p) return error;
    error |= Pf.P;
    if (user && !r.u) return error;
    if (kind === "fetch") return r.nx ? error : undefined;
    return kind === "write" && !r.w && (user || wp) ? error : undefined;
  };
  k.section(pae ? "3: 4.4, 4.6" : "3: 4.3, 4.6");
  const bools = [false, true];
  const access = (kind: string) => {
    i.mov(eax, LAB);
    if (kind === "fetch") return i.call(eax);
    k.at();
    if (kind === "read") i.mov(ecx, dword(eax));
    else i.mov(dword(eax), ecx);
  };
  for (const wp of [true, false]) {
    for (const p of bools) {
      for (const w of bools) {
        for (const u of bools) {
          for (const nx of pae ? bools : [false]) {
            for (const user of bools) {
              for (const kind of ["read", "write", "fetch"]) {
                const error = judge({ p, w, u, nx }, kind, user, wp);
                const what = p
                  ? `${u ? "U" : "S"}${w ? "W" : "R"}${nx ? " NX" : ""}`
                  : `absent ${w}${u}${nx}`;
                const name = `${k.paging}: ${kind} from ring ${user ? 3 : 0}: ${what}${
                  wp ? "" : ", no WP"
                }`;
                k.check(name, error === undefined ? done() : pageFault(error, LAB), () => {
                  const bits = (p ? 1n : 0n) | (w ? 2n : 0n) | (u ? 4n : 0n) | (nx ? NX : 0n);
                  k.page(0, bits);
                  if (!wp) (i.mov(eax, (k.cr0 & ~0x10000) >>> 0), i.mov(cr0, eax));
                  i.mov(ecx, 0xc3c3c3c3);
                  if (user) k.user(() => access(kind));
                  else access(kind);
                });
              }
            }
          }
        }
      }
    }
  }
  const entry = (n: number, value: bigint) =>
    pae ? k.put(At.PD + 8 * n, value) : i.mov(dword(At.PD + 4 * n), Number(value));
  const dir = LAB >> (pae ? 21 : 22);
  for (
    const [name, bits, user, kind, error] of [
      ["read-only", 5n, false, "write", 3],
      ["supervisor's", 3n, true, "read", 5],
      ["absent", 6n, true, "write", 6],
    ] as const
  ) {
    k.check(`${k.paging}: a page directory entry ${name}`, pageFault(error, LAB), () => {
      k.page(0, 7);
      entry(dir, bits | BigInt(At.PT));
      i.invlpg(mem(LAB));
      if (user) k.user(() => access(kind));
      else access(kind);
    });
  }
  k.check(`${k.paging}: a large page`, done(0x1badb002), () => {
    entry(dir, 0x83n);
    i.invlpg(mem(LAB));
    i.mov(eax, dword(LAB + 0x100000));
    k.note();
  });
  k.check(`${k.paging}: a large page's reserved bit`, pageFault(9, LAB), () => {
    entry(dir, pae ? 0x2083n : 0x200083n);
    i.invlpg(mem(LAB));
    access("read");
  });
  k.check(`${k.paging}: A and D`, done(0x23, 0x63), () => {
    k.page(0, 3);
    for (const emit of [() => i.mov(ecx, dword(LAB)), () => i.mov(dword(LAB), ecx)]) {
      emit();
      i.mov(eax, dword(At.PT));
      i.and(eax, 0xfff);
      k.note();
    }
  });
  if (!pae) {
    k.check("two: CR4.PAE set under paging with PDPTEs that are not valid", GP0, () => {
      i.mov(eax, 0x630);
      k.at();
      i.mov(cr4, eax);
    });
    return;
  }
  k.check(
    "pae: a PDPTE that is absent",
    pageFault(0, 0x40000000),
    () => (k.at(), i.mov(eax, dword(0x40000000))),
  );
  k.check(
    "pae: bit 62 of an entry is reserved",
    pageFault(9, LAB),
    () => (k.page(0, 3n | 1n << 62n), access("read")),
  );
  k.check("pae: bit 52 of a directory entry is reserved", pageFault(9, LAB), () => {
    entry(dir, BigInt(At.PT | 7) | 1n << 52n);
    i.invlpg(mem(LAB));
    access("read");
  });
  k.check("pae: NX without EFER.NXE is reserved", pageFault(9, LAB), () => {
    k.setEfer(0);
    k.page(0, 3n | NX);
    access("read");
  });
}
