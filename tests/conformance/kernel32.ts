/**
 * A kernel in 32-bit protected mode: without paging, or with 32-bit or PAE paging. Before every check it
 * puts back descriptor tables, task-state segments, paging structures and control registers.
 */
import * as o from "../../firmware/asm/operand.ts";
import { dword, far, mem, type Reg, sym } from "../../firmware/asm/operand.ts";
import { WITH_ERROR } from "./check.ts";
import { type Body, DEBUGCON, EXIT, Kernel, type LeaveOut } from "./kernel.ts";

const { al, ax, cr0, cr2, cr3, cr4, ds, eax, ebx, ecx, edi, edx, es, esi, esp, fs, gs, ss } = o;

export const At = {
  GDT: 0x10000,
  LDT: 0x10800,
  /** The kernel's task and three others, the last of 16 bits. */
  TSS: 0x11000,
  TSS2: 0x11200,
  TSS3: 0x11400,
  TSS16: 0x11600,
  IDT: 0x12000,
  /** Page directory: of 32-bit paging, or of PAE. */
  PD: 0x13000,
  PT: 0x14000,
  PDPT: 0x15000,
  TABLES_END: 0x16000,
  STACK: 0x30000,
  ESP0: 0x32000,
  ESP1: 0x33000,
  STACK2: 0x34000,
  USER_STACK: 0x38000,
  VARS: 0x3a000,
  SCRATCH: 0x40000,
  /** Code of virtual-8086 mode. */
  REAL: 0x20000,
  LAB: 0x800000,
} as const;
export const Sel = {
  CODE: 0x08,
  DATA: 0x10,
  USER: 0x1b,
  USER_DATA: 0x23,
  TSS: 0x28,
  TSS2: 0x30,
  TSS3: 0x38,
  TSS16: 0x40,
  CODE16: 0x48,
  CONFORMING: 0x50,
  RING1: 0x59,
  RING1_DATA: 0x61,
  LDT: 0x68,
  /** For checks. */
  FREE: 0x70,
  FREE2: 0x78,
  GATE: 0x80,
} as const;
export const GDT_LIMIT = 0x9f;
/** PG is added with paging. WP NE ET MP PE. */
const CR0 = 0x10033;
/** OSFXSR, OSXMMEXCPT; PSE or PAE. */
const CR4 = { none: 0x600, two: 0x610, pae: 0x620 } as const;
export type Paging = keyof typeof CR4;
const VARS = At.VARS;
const INDEX = VARS, ENTRY = VARS + 4, AT = VARS + 8, RECOVER = VARS + 12, NOTE_COUNT = VARS + 16;
const NOTES = VARS + 0x100, MAX_NOTES = 64, LAB_PAGES = 16;
const OPEN = new Set([3, 4, 0x30, 0x31, 0x32]);

/** A descriptor of base and limit; `attr` is access byte and, in bits 15:12, G D L AVL. */
export function descriptor(base: number, limit: number, attr: number): bigint {
  const b = BigInt(base >>> 0), l = BigInt(limit);
  return (l & 0xffffn) | (b & 0xffffffn) << 16n | BigInt(attr & 0xff) << 40n |
    (l >> 16n & 15n) << 48n | BigInt(attr >> 12 & 15) << 52n | b >> 24n << 56n;
}
/** Flat: 4 GiB, 32 bits. */
export const flat = (access: number): bigint => descriptor(0, 0xfffff, 0xc000 | access);

export class Kernel32 extends Kernel {
  constructor(
    leaveOut?: LeaveOut,
    readonly paging: Paging = "none",
    options: readonly string[] = [],
  ) {
    super(leaveOut, options);
    this.#enter();
    this.#next();
    this.#handlers();
  }

  get cr0(): number {
    return (CR0 | (this.paging === "none" ? 0 : 0x80000000)) >>> 0;
  }
  get cr4(): number {
    return CR4[this.paging];
  }

  #enter(): void {
    const { a, i } = this;
    a.label("start");
    i.cli();
    i.cld();
    i.mov(al, 0xff);
    i.out(0x21, al);
    i.out(0xa1, al);
    i.mov(edi, At.VARS);
    i.mov(ecx, 0x400);
    i.xor(eax, eax);
    i.rep();
    i.stosd();
    i.mov(dword(INDEX), 0xffffffff);
    this.#templates();
    i.lgdt(mem("gdtr"));
    i.jmp(far(Sel.CODE, "next"));
    a.label("next");
    i.mov(eax, Sel.DATA);
    for (const s of [ss, ds, es]) i.mov(s, eax);
    i.mov(esp, At.STACK);
    i.cld();
  }

  #templates(): void {
    const { i } = this;
    i.mov(esi, "templates");
    i.mov(edi, At.GDT);
    i.mov(ecx, (At.TABLES_END - At.GDT) / 4);
    i.rep();
    i.movsd();
  }

  #next(): void {
    const { a, i } = this;
    i.inc(dword(INDEX));
    i.mov(eax, dword(INDEX));
    i.cmp(eax, dword("count"));
    i.jae("finish");
    i.shl(eax, 4);
    i.mov(ecx, dword(eax, "table"));
    i.mov(dword(ENTRY), ecx);
    i.mov(ecx, dword(eax, sym("table", 8)));
    i.mov(dword(AT), ecx);
    for (const at of [RECOVER, NOTE_COUNT]) i.mov(dword(at), 0);
    i.mov(eax, CR0);
    i.mov(cr0, eax);
    this.#templates();
    i.mov(edi, At.LAB);
    i.mov(ecx, LAB_PAGES << 10);
    i.mov(eax, 0xc3c3c3c3);
    i.rep();
    i.stosd();
    i.mov(eax, this.cr4);
    i.mov(cr4, eax);
    if (this.paging === "pae") this.setEfer(0x800);
    i.mov(eax, this.paging === "pae" ? At.PDPT : At.PD);
    i.mov(cr3, eax);
    if (this.paging !== "none") {
      i.mov(eax, this.cr0);
      i.mov(cr0, eax);
    }
    i.lgdt(mem("gdtr"));
    i.lidt(mem("idtr"));
    // CS may be another one of the same kind.
    i.jmp(far(Sel.CODE, "same"));
    a.label("same");
    i.mov(eax, Sel.TSS);
    i.ltr(ax);
    i.xor(eax, eax);
    i.lldt(ax);
    for (const s of [fs, gs]) i.mov(s, eax);
    i.mov(cr2, eax);
    i.mov(eax, 0x400);
    i.mov(o.dr7, eax);
    i.mov(eax, 0xffff0ff0);
    i.mov(o.dr6, eax);
    i.push(2);
    i.push(Sel.CODE);
    i.push(dword(ENTRY));
    for (const r of [eax, ebx, ecx, edx, esi, edi, o.ebp]) i.mov(r, 0);
    i.iretd();

    a.label("finish");
    i.mov(al, 0);
    i.out(EXIT, al);
    a.label("stop");
    i.hlt();
    i.jmp("stop");
  }

  #handlers(): void {
    const { a, i } = this;
    for (let v = 0; v < 256; v++) {
      a.label(`stub.${v}`);
      if (!WITH_ERROR.has(v)) i.push(0);
      i.push(v);
      i.jmp("common");
    }
    const EAX = 36, VECTOR = 40, ERROR = 44, IP = 48, CS = 52, FLAGS = 56, SP = 60, SS = 64;
    a.label("common");
    i.pushad();
    i.push(ds);
    i.push(es);
    i.mov(eax, Sel.DATA);
    i.mov(ds, eax);
    i.mov(es, eax);
    i.cld();
    i.mov(eax, dword(esp, VECTOR));
    i.cmp(eax, 0x30);
    i.je("report");
    i.cmp(eax, 0x31);
    i.je("told");
    i.cmp(eax, 0x32);
    i.je("attempt");
    i.mov(ecx, dword(RECOVER));
    i.test(ecx, ecx);
    i.je("report");
    i.mov(dword(esp, IP), ecx);
    i.mov(edx, eax);
    i.or(edx, 0x80000000);
    i.mov(eax, dword(esp, ERROR));
    i.jmp("keep");
    a.label("attempt");
    i.mov(eax, dword(esp, EAX));
    i.mov(dword(RECOVER), eax);
    i.jmp("return");
    a.label("told");
    i.mov(eax, dword(esp, EAX));
    i.mov(edx, 0);
    a.label("keep");
    i.mov(dword(RECOVER), 0);
    i.mov(ecx, dword(NOTE_COUNT));
    i.cmp(ecx, MAX_NOTES);
    i.jae("return");
    i.inc(dword(NOTE_COUNT));
    i.mov(dword([ecx, 8], NOTES), eax);
    i.mov(dword([ecx, 8], NOTES + 4), edx);
    a.label("return");
    i.pop(es);
    i.pop(ds);
    i.popad();
    i.add(esp, 8);
    i.iretd();

    a.label("report");
    i.mov(esi, esp);
    const value = (load: () => void) => {
      load();
      i.call("hex");
    };
    const field = (at: number) => value(() => i.mov(edx, dword(ss, esi, at)));
    value(() => i.mov(edx, dword(INDEX)));
    field(VECTOR);
    field(ERROR);
    value(() => {
      i.mov(edx, dword(ss, esi, IP));
      i.sub(edx, dword(AT));
    });
    field(CS);
    // From an outer ring or virtual-8086 mode SS and ESP are in the frame.
    i.mov(edi, dword(ss, esi, CS));
    i.and(edi, 3);
    i.test(dword(ss, esi, FLAGS), 0x20000);
    i.jz("not.vm");
    i.mov(edi, 3);
    a.label("not.vm");
    i.mov(edx, ss);
    i.mov(ecx, edi);
    i.test(ecx, ecx);
    i.jz("same.ss");
    i.movzx(edx, o.word(ss, esi, SS));
    a.label("same.ss");
    i.call("hex");
    i.lea(edx, mem(esi, SP));
    i.test(edi, edi);
    i.jz("same.sp");
    i.mov(edx, dword(ss, esi, SP));
    a.label("same.sp");
    i.call("hex");
    field(FLAGS);
    value(() => i.mov(edx, cr2));
    value(() => {
      i.mov(ecx, dword(ss, esi, VECTOR));
      i.bt(dword("with_error"), ecx);
      i.cmc();
      i.mov(eax, 0);
      i.adc(eax, eax);
      i.lea(edx, mem(esi, [eax, 4], ERROR));
    });
    i.xor(edi, edi);
    a.label("notes");
    i.cmp(edi, dword(NOTE_COUNT));
    i.jae("line");
    // Both halves: an attempt's note has an upper one.
    i.mov(edx, dword([edi, 8], NOTES + 4));
    i.test(edx, edx);
    i.jz("low");
    i.mov(ecx, 8);
    i.call("digits");
    i.mov(edx, dword([edi, 8], NOTES));
    i.mov(ecx, 8);
    i.call("digits");
    i.mov(al, 0x20);
    i.out(DEBUGCON, al);
    i.jmp("noted");
    a.label("low");
    i.mov(edx, dword([edi, 8], NOTES));
    i.call("hex");
    a.label("noted");
    i.inc(edi);
    i.jmp("notes");
    a.label("line");
    i.mov(al, 10);
    i.out(DEBUGCON, al);
    i.jmp("next");

    // EDX with as many digits as it has, and a space.
    a.label("hex");
    i.mov(ecx, 8);
    a.label("hex.skip");
    i.cmp(ecx, 1);
    i.je("hex.all");
    i.mov(eax, edx);
    i.shr(eax, 28);
    i.jnz("hex.all");
    i.shl(edx, 4);
    i.dec(ecx);
    i.jmp("hex.skip");
    a.label("hex.all");
    i.call("digits");
    i.mov(al, 0x20);
    i.out(DEBUGCON, al);
    i.ret();
    a.label("digits"); // the upper ECX digits of EDX
    i.mov(eax, edx);
    i.shr(eax, 28);
    i.add(al, 0x30);
    i.cmp(al, 0x3a);
    i.jb("digit");
    i.add(al, 0x27);
    a.label("digit");
    i.out(DEBUGCON, al);
    i.shl(edx, 4);
    i.dec(ecx);
    i.jnz("digits");
    i.ret();
    a.align(32);
    a.label("with_error");
    const bits = new Uint8Array(32);
    for (const v of WITH_ERROR) bits[v >> 3] |= 1 << (v & 7);
    a.db(bits);
  }

  protected override leave(): void {
    this.a.bits(32);
  }

  /** Runs code in ring 3 (or 1, by the selectors); INT 30h ends it. */
  user(body: Body, options: { flags?: number; ss?: number; cs?: number } = {}): void {
    const { a, i } = this, code = a.unique("user");
    i.push(options.ss ?? Sel.USER_DATA);
    i.push(At.USER_STACK);
    i.push(options.flags ?? 2);
    i.push(options.cs ?? Sel.USER);
    i.push(code);
    i.mov(eax, options.ss ?? Sel.USER_DATA);
    i.mov(ds, eax);
    i.mov(es, eax);
    i.iretd();
    a.label(code);
    body(i);
  }

  note(value?: Reg | number): void {
    if (value !== undefined && value !== eax) this.i.mov(eax, value);
    this.i.int(0x31);
  }
  attempt(body: Body): void {
    const { a, i } = this, behind = a.unique("behind");
    i.mov(eax, behind);
    i.int(0x32);
    i.mov(eax, 0);
    body(i);
    i.mov(eax, 0);
    i.int(0x31);
    a.label(behind);
  }

  setEfer(value: number): void {
    const { i } = this;
    i.mov(ecx, 0xc0000080);
    i.mov(eax, value);
    i.xor(edx, edx);
    i.wrmsr();
  }
  put(at: number, value: bigint): void {
    const v = BigInt.asUintN(64, value);
    this.i.mov(dword(at), Number(v & 0xffffffffn));
    this.i.mov(dword(at + 4), Number(v >> 32n));
  }
  /** A descriptor in the GDT. */
  descriptor(selector: number, value: bigint): void {
    this.put(At.GDT + (selector & ~7), value);
  }
  /** A gate to a label, in the IDT or the GDT. EAX changes. */
  gateAt(at: number, label: string | number, selector: number, attr: number, count = 0): void {
    const { i } = this;
    i.mov(eax, label);
    i.mov(o.word(at), ax);
    i.shr(eax, 16);
    i.mov(o.word(at + 6), ax);
    i.mov(o.word(at + 2), selector);
    i.mov(o.word(at + 4), attr << 8 | count);
  }
  gate(vector: number, label: string | number, attr = 0x8e, selector: number = Sel.CODE): void {
    this.gateAt(At.IDT + 8 * vector, label, selector, attr);
  }
  /** Page `n` of the laboratory. */
  page(n: number, flags: number | bigint): void {
    const entry = BigInt(flags) | BigInt(At.LAB + 4096 * n);
    if (this.paging === "pae") this.put(At.PT + 8 * n, entry);
    else this.i.mov(dword(At.PT + 4 * n), Number(entry));
    this.i.invlpg(mem(At.LAB + 4096 * n));
  }

  protected override build(): Uint8Array {
    const { a } = this;
    this.table();
    a.label("count");
    a.dd(this.checks.length);
    a.align(8);
    a.label("gdtr");
    a.dw(GDT_LIMIT);
    a.dd(At.GDT);
    a.align(8);
    a.label("idtr");
    a.dw(0x7ff);
    a.dd(At.IDT);
    a.align(16);
    a.label("templates");
    a.db(tables());
    for (let n = 0; n < 256; n++) {
      const attr = 0x8e00 | (OPEN.has(n) ? 3 : 0) << 13;
      a.dw(sym(`stub.${n}`), Sel.CODE, attr, sym(`stub.${n}`, 0, undefined, 16));
    }
    a.zeros(At.PD - At.IDT - 256 * 8);
    a.db(structures(this.paging));
    a.label("image.end");
    return a.assemble().bytes;
  }
}

/** GDT to the last TSS. */
function tables(): Uint8Array {
  const v = new DataView(new ArrayBuffer(At.IDT - At.GDT));
  const gdt = (selector: number, value: bigint) => v.setBigUint64(selector & ~7, value, true);
  gdt(Sel.CODE, flat(0x9b));
  gdt(Sel.DATA, flat(0x93));
  gdt(Sel.USER, flat(0xfb));
  gdt(Sel.USER_DATA, flat(0xf3));
  gdt(Sel.TSS, descriptor(At.TSS, 0x67, 0x89));
  gdt(Sel.TSS2, descriptor(At.TSS2, 0x67, 0x89));
  gdt(Sel.TSS3, descriptor(At.TSS3, 0x67, 0x89));
  gdt(Sel.TSS16, descriptor(At.TSS16, 0x2b, 0x81));
  gdt(Sel.CODE16, descriptor(0x100000, 0xfffff, 0x8000 | 0x9b));
  gdt(Sel.CONFORMING, flat(0x9f));
  gdt(Sel.RING1, flat(0xbb));
  gdt(Sel.RING1_DATA, flat(0xb3));
  gdt(Sel.LDT, descriptor(At.LDT, 0x3f, 0x82));
  const ldt = At.LDT - At.GDT;
  v.setBigUint64(ldt + 8, flat(0x93), true);
  const main = At.TSS - At.GDT;
  v.setUint32(main + 4, At.ESP0, true);
  v.setUint32(main + 8, Sel.DATA, true);
  v.setUint32(main + 12, At.ESP1, true);
  v.setUint32(main + 16, Sel.RING1_DATA, true);
  v.setUint16(main + 0x66, 0x68, true);
  return new Uint8Array(v.buffer);
}

/** Paging structures: low memory for everyone, the laboratory in pages of 4 KiB. */
function structures(paging: Paging): Uint8Array {
  const v = new DataView(new ArrayBuffer(At.TABLES_END - At.PD));
  const pt = At.PT - At.PD, pdpt = At.PDPT - At.PD;
  if (paging === "pae") {
    for (let n = 0; n < 8; n++) v.setUint32(8 * n, n << 21 | 0xe7, true);
    v.setUint32(8 * (At.LAB >> 21), At.PT | 0x27, true);
    for (let n = 0; n < LAB_PAGES; n++) v.setUint32(pt + 8 * n, At.LAB + 4096 * n | 3, true);
    v.setUint32(pdpt, At.PD | 1, true);
  } else {
    for (let n = 0; n < 4; n++) v.setUint32(4 * n, n << 22 | 0xe7, true);
    v.setUint32(4 * (At.LAB >> 22), At.PT | 0x27, true);
    for (let n = 0; n < LAB_PAGES; n++) v.setUint32(pt + 4 * n, At.LAB + 4096 * n | 3, true);
  }
  return new Uint8Array(v.buffer);
}
