/** The registers that PAE paging has its page-directory-pointer entries in. SDM volume 3, 4.4.1. */
import * as o from "../../firmware/asm/operand.ts";
import { dword, far, mem } from "../../firmware/asm/operand.ts";
import { done, type Expect, fault, noted, pageFault, Vec } from "./check.ts";
import { At, type Kernel32, Sel } from "./kernel32.ts";
import { task } from "./segments32.ts";

const { cr0, cr3, cr4, eax, ecx } = o;
const GP0 = fault(Vec.GP);
const PGE = 0x80, PSE = 0x10, SMEP = 0x100000;
const PG = 0x80000000, CD = 0x40000000, NW = 0x20000000, WP = 0x10000, TS = 8;
/** What the second entry maps, when there is one: low memory again. */
const SECOND = 0x40000000;
const MAGIC = 0x1badb002, IMAGE = 0x100000;

export function pdptes(k: Kernel32): void {
  const { i } = k;
  const second = () => k.put(At.PDPT + 8, BigInt(At.PD | 1));
  const load = (value: number, register = cr3) => (i.mov(eax, value >>> 0), i.mov(register, eax));
  /** Another table, like the first but for its second entry. */
  const other = (entry: bigint) => {
    k.put(At.SCRATCH, BigInt(At.PD | 1));
    k.put(At.SCRATCH + 8, entry);
    k.put(At.SCRATCH + 16, 0n);
    k.put(At.SCRATCH + 24, 0n);
  };
  const seen = () => (k.at(), i.mov(eax, dword(SECOND + IMAGE)), k.note());
  const VISIBLE = done(MAGIC), HIDDEN = pageFault(0, SECOND + IMAGE);

  k.section("3: 4.4.1");
  for (const bit of [1, 2, 5, 6, 7, 8, 52, 62, 63]) {
    k.check(`pae: a PDPTE with reserved bit ${bit}`, GP0, () => {
      other(1n | 1n << BigInt(bit));
      i.mov(eax, At.SCRATCH);
      k.at();
      i.mov(cr3, eax);
    });
  }
  k.check("pae: a PDPTE with PWT, PCD and ignored bits", VISIBLE, () => {
    other(BigInt(At.PD | 0xe19));
    load(At.SCRATCH);
    seen();
  });
  k.check("pae: an absent PDPTE with other bits", done(), () => {
    k.put(At.PDPT + 8, 0xfffffffffffffffen);
    load(At.PDPT);
  });
  k.check("pae: a MOV to CR3 that faults changes nothing", {
    ...HIDDEN,
    notes: [noted(Vec.GP), BigInt(At.PDPT)],
  }, () => {
    other(BigInt(At.PD | 1));
    k.put(At.SCRATCH + 16, 3n);
    k.attempt(() => load(At.SCRATCH));
    i.mov(eax, cr3);
    k.note();
    seen();
  });

  const visible = (name: string, expect: Expect, make: () => void, needs?: string) =>
    k.check(`pae: ${name}`, expect, () => {
      second();
      make();
      seen();
    }, needs === undefined ? {} : { needs });
  visible("PDPTEs are not read by walks", HIDDEN, () => {});
  visible("PDPTEs are not loaded by INVLPG", HIDDEN, () => i.invlpg(mem(SECOND + IMAGE)));
  visible("PDPTEs are loaded by MOV to CR3", VISIBLE, () => load(At.PDPT));
  visible("PDPTEs are loaded when CR4.PGE changes", VISIBLE, () => load(k.cr4 ^ PGE, cr4));
  visible("PDPTEs are loaded when CR4.PSE changes", VISIBLE, () => load(k.cr4 ^ PSE, cr4));
  visible("PDPTEs are loaded when CR4.SMEP changes", VISIBLE, () => {
    // Code and stack are in pages of everyone.
    k.put(At.PD, 0xe3n);
    i.invlpg(mem(0));
    load(k.cr4 ^ SMEP, cr4);
  }, "smep");
  visible("PDPTEs are not loaded when CR4.TSD and CR4.DE change", HIDDEN, () => {
    load(k.cr4 ^ 0xc, cr4);
  });
  visible("PDPTEs are not loaded by MOV to CR4 of the same value", HIDDEN, () => load(k.cr4, cr4));
  visible("PDPTEs are loaded when CR0.CD changes", VISIBLE, () => load(k.cr0 | CD, cr0));
  visible("PDPTEs are loaded when CR0.NW changes", VISIBLE, () => {
    k.put(At.PDPT + 8, 0n);
    load(k.cr0 | CD, cr0);
    second();
    load(k.cr0 | CD | NW, cr0);
  });
  visible("PDPTEs are not loaded when CR0.WP and CR0.TS change", HIDDEN, () => {
    load((k.cr0 ^ WP) | TS, cr0);
  });
  visible("PDPTEs are loaded when CR0.PG is set", VISIBLE, () => {
    load(k.cr0 & ~PG, cr0);
    load(k.cr0, cr0);
  });
  k.check("pae: an entry taken away in memory is still there", done(MAGIC), () => {
    second();
    load(At.PDPT);
    k.put(At.PDPT + 8, 0n);
    i.invlpg(mem(SECOND + IMAGE));
    seen();
  });
  k.check("pae: and so is the one that code runs by", done(MAGIC), () => {
    k.put(At.PDPT, 0n);
    i.invlpg(mem(IMAGE));
    i.mov(eax, dword(IMAGE));
    k.note();
  });

  const refused = (name: string, register: typeof cr0, value: number, before: number) =>
    k.check(`pae: ${name} with a PDPTE that is not valid`, {
      ...HIDDEN,
      notes: [noted(Vec.GP), BigInt(before)],
    }, () => {
      second();
      k.put(At.PDPT + 16, 3n);
      k.attempt(() => load(value, register));
      i.mov(eax, register);
      k.note();
      seen();
    });
  refused("CR4.PGE changed", cr4, k.cr4 ^ PGE, k.cr4);
  refused("CR0.CD changed", cr0, k.cr0 | CD, k.cr0);
  k.check("pae: CR0.PG set with a PDPTE that is not valid", done(noted(Vec.GP), 0), () => {
    load(k.cr0 & ~PG, cr0);
    k.put(At.PDPT + 16, 3n);
    k.attempt(() => load(k.cr0, cr0));
    i.mov(eax, cr0);
    i.shr(eax, 31);
    k.note();
  });

  const switched = (name: string, expect: Expect, cr3Of: number) =>
    k.check(`pae: a task switch ${name}`, expect, () => {
      const { a } = k, to = a.unique("task"), over = a.unique("over");
      i.jmp(over);
      a.label(to);
      k.at();
      i.mov(eax, dword(SECOND + IMAGE));
      k.note();
      i.int(0x30);
      a.label(over);
      task(k, At.TSS2, to);
      other(BigInt(At.PD | 1));
      second();
      i.mov(ecx, cr3Of);
      i.mov(dword(At.TSS2 + 0x1c), ecx);
      i.jmp(far(Sel.TSS2, 0));
    });
  switched("to another CR3 loads PDPTEs", VISIBLE, At.SCRATCH);
  switched("with the same CR3 does not load PDPTEs", HIDDEN, At.PDPT);
}
