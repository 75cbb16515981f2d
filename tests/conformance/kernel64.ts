/**
 * A kernel in 64-bit mode with 4- or 5-level paging. Before every check it puts back descriptor tables,
 * TSS, paging structures, control registers and MSRs, so that a check may change them all.
 */
import * as o from "../../firmware/asm/operand.ts";
import { dword, far, mem, qword, type Reg, sym } from "../../firmware/asm/operand.ts";
import { WITH_ERROR } from "./check.ts";
import { type Body, DEBUGCON, EXIT, Kernel, type LeaveOut } from "./kernel.ts";

const { al, ax, cr0, cr2, cr3, cr4, ds, eax, ecx, edi, edx, es, esi, esp, fs, gs, ss } = o;
const { rax, rcx, rdi, rdx, rsi, rsp } = o;

/** Linear and physical addresses of what the kernel works with. */
export const At = {
  GDT: 0x10000,
  LDT: 0x10800,
  TSS: 0x11000,
  IDT: 0x12000,
  PML5: 0x13000,
  PML4: 0x14000,
  PDPT: 0x15000,
  PD: 0x16000,
  /** Page table of the laboratory's pages. */
  PT: 0x17000,
  USER_PD: 0x18000,
  TABLES_END: 0x19000,
  STACK: 0x30000,
  RSP0: 0x32000,
  IST1: 0x34000,
  IST2: 0x36000,
  USER_STACK: 0x38000,
  VARS: 0x3a000,
  /** Memory for checks, a page each. */
  SCRATCH: 0x40000,
  /** Pages of 4 KiB that checks give other attributes; full of RET instructions. */
  LAB: 0x800000,
  /** Low memory again, for ring 3. */
  USER: 0x40000000,
  APIC: 0xfee00000,
  IOAPIC: 0xfec00000,
} as const;
const LAB_PAGES = 16;
const INDEX = At.VARS, ENTRY = At.VARS + 8, AT = At.VARS + 16, RECOVER = At.VARS + 24;
/** Bit 0: end interrupts at the local APIC; bit 1: by its MSR; bit 2: count them for each CPU. */
export const EOI = At.VARS + 32;
export const NOTE_COUNT = At.VARS + 40;
/** What the vector {@link JOB_VECTOR} calls, where CPUs count. */
export const JOB = At.VARS + 48;
export const JOB_VECTOR = 0xf1;
/** Interrupts by CPU. */
export const SEEN = At.VARS + 0x80;
const NOTES = At.VARS + 0x100;
export const MAX_NOTES = 64;

export const Sel = {
  CODE32: 0x08,
  DATA: 0x10,
  CODE: 0x18,
  USER32: 0x23,
  USER_DATA: 0x2b,
  USER: 0x33,
  TSS: 0x38,
  /** For checks: free 16-byte places. */
  FREE: 0x50,
  FREE2: 0x60,
  CONFORMING: 0x70,
  RING1: 0x79,
} as const;
export const GDT_LIMIT = 0xff;

export const Msr = {
  APIC_BASE: 0x1b,
  TSC_DEADLINE: 0x6e0,
  SYSENTER_CS: 0x174,
  SYSENTER_ESP: 0x175,
  SYSENTER_EIP: 0x176,
  PAT: 0x277,
  DEBUGCTL: 0x1d9,
  EFER: 0xc0000080,
  STAR: 0xc0000081,
  LSTAR: 0xc0000082,
  CSTAR: 0xc0000083,
  FMASK: 0xc0000084,
  FS_BASE: 0xc0000100,
  GS_BASE: 0xc0000101,
  KERNEL_GS_BASE: 0xc0000102,
  TSC_AUX: 0xc0000103,
} as const;
export const Cr4 = {
  VME: 0,
  PVI: 1,
  TSD: 2,
  DE: 3,
  PSE: 4,
  PAE: 5,
  MCE: 6,
  PGE: 7,
  PCE: 8,
  OSFXSR: 9,
  OSXMMEXCPT: 10,
  UMIP: 11,
  LA57: 12,
  VMXE: 13,
  FSGSBASE: 16,
  PCIDE: 17,
  OSXSAVE: 18,
  SMEP: 20,
  SMAP: 21,
  PKE: 22,
} as const;
/** PG AM WP NE ET MP PE; no AM. */
export const CR0 = 0x80010033;
/** NXE LMA LME SCE. */
export const EFER = 0xd01;
const CR4 = 1 << Cr4.PAE | 1 << Cr4.PGE | 1 << Cr4.OSFXSR | 1 << Cr4.OSXMMEXCPT;
/** Vectors with a DPL of 3: INT3, INTO and the kernel's own. */
const OPEN = new Set([3, 4, 0x30, 0x31, 0x32]);
/** Interrupts begin here: they note their vector, end it at the local APIC, and return. */
export const IRQ = 0x40;

export class Kernel64 extends Kernel {
  readonly la57: boolean;

  constructor(
    leaveOut?: LeaveOut,
    levels: 4 | 5 = 4,
    options: readonly string[] = [],
  ) {
    super(leaveOut, options);
    this.la57 = levels === 5;
    this.#enter();
    this.#next();
    this.#handlers();
  }

  get cr4(): number {
    return CR4 | (this.la57 ? 1 << Cr4.LA57 : 0);
  }

  #enter(): void {
    const { a, i } = this;
    a.label("start");
    i.cli();
    i.cld();
    i.mov(esp, At.STACK);
    this.#templates(4);
    // The interrupt controllers of the PC/AT stay out of it.
    i.mov(al, 0xff);
    i.out(0x21, al);
    i.out(0xa1, al);
    i.mov(edi, At.VARS);
    i.mov(ecx, 0x400);
    i.xor(eax, eax);
    i.rep();
    i.stosd();
    i.lgdt(mem("gdtr"));
    i.mov(eax, this.cr4);
    i.mov(cr4, eax);
    i.mov(eax, this.la57 ? At.PML5 : At.PML4);
    i.mov(cr3, eax);
    i.mov(ecx, Msr.EFER);
    i.mov(eax, EFER & ~0x400);
    i.xor(edx, edx);
    i.wrmsr();
    i.mov(eax, CR0);
    i.mov(cr0, eax);
    i.jmp(far(Sel.CODE, "long"));
    a.bits(64);
    a.label("long");
    i.mov(dword(INDEX), 0xffffffff);
    i.jmp("next");
  }

  #templates(size: 4 | 8): void {
    const { i } = this;
    i.mov(esi, "templates");
    i.mov(edi, At.GDT);
    i.mov(ecx, (At.TABLES_END - At.GDT) / size);
    i.rep();
    if (size === 8) i.movsq();
    else i.movsd();
  }

  #next(): void {
    const { a, i } = this;
    a.label("next");
    i.mov(rsp, At.STACK);
    i.inc(dword(INDEX));
    i.mov(eax, dword(INDEX));
    i.cmp(eax, dword("count"));
    i.jae("finish");
    i.shl(eax, 4);
    i.mov(rcx, qword(rax, "table"));
    i.mov(qword(ENTRY), rcx);
    i.mov(rcx, qword(rax, sym("table", 8)));
    i.mov(qword(AT), rcx);
    i.cld();
    i.xor(eax, eax);
    for (const at of [RECOVER, EOI, NOTE_COUNT, SEEN, SEEN + 8]) i.mov(qword(at), rax);
    // Without PGE first, so that no global translation is left.
    i.mov(eax, this.cr4 & ~(1 << Cr4.PGE));
    i.mov(cr4, rax);
    this.#templates(8);
    i.mov(eax, this.la57 ? At.PML5 : At.PML4);
    i.mov(cr3, rax);
    i.mov(eax, this.cr4);
    i.mov(cr4, rax);
    i.mov(eax, CR0);
    i.mov(cr0, rax);
    i.mov(edi, At.LAB);
    i.mov(ecx, LAB_PAGES << 9);
    i.mov(rax, 0xc3c3c3c3c3c3c3c3n);
    i.rep();
    i.stosq();
    i.lgdt(mem("gdtr"));
    i.lidt(mem("idtr"));
    for (
      const [msr, value] of [
        [Msr.EFER, EFER],
        [Msr.FS_BASE, 0],
        [Msr.GS_BASE, 0],
        [Msr.KERNEL_GS_BASE, 0],
        [Msr.STAR, 0],
        [Msr.LSTAR, 0],
        [Msr.FMASK, 0],
        [Msr.SYSENTER_CS, 0],
        [Msr.SYSENTER_ESP, 0],
        [Msr.SYSENTER_EIP, 0],
      ]
    ) {
      i.mov(ecx, msr);
      i.mov(eax, value);
      i.xor(edx, edx);
      i.wrmsr();
    }
    i.mov(eax, Sel.TSS);
    i.ltr(ax);
    i.xor(eax, eax);
    i.lldt(ax);
    for (const s of [fs, gs]) i.mov(s, eax);
    i.mov(eax, Sel.DATA);
    for (const s of [ds, es, ss]) i.mov(s, eax);
    i.mov(eax, 0x400);
    i.mov(o.dr7, rax);
    i.mov(eax, 0xffff0ff0);
    i.mov(o.dr6, rax);
    i.xor(eax, eax);
    i.mov(cr2, rax);
    this.cr8(rax);
    // IRET lets NMIs in again.
    i.push(Sel.DATA);
    i.push(At.STACK);
    i.push(2);
    i.push(Sel.CODE);
    i.push(qword(ENTRY));
    for (const r of Object.values(registers)) i.mov(r, 0);
    i.iretq();

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
    const VECTOR = 40, ERROR = 48, IP = 56;
    a.label("common");
    for (const r of [rax, rcx, rdx, rsi, rdi]) i.push(r);
    i.mov(eax, dword(rsp, VECTOR));
    i.cmp(eax, IRQ);
    i.jae("irq");
    i.cmp(eax, 2);
    i.jne("exception");
    i.test(o.byte(EOI), 4);
    i.jnz("irq");
    a.label("exception");
    i.cmp(eax, 0x30);
    i.je("report");
    i.cmp(eax, 0x31);
    i.je("told");
    i.cmp(eax, 0x32);
    i.je("attempt");
    i.mov(rcx, qword(RECOVER));
    i.test(rcx, rcx);
    i.je("report");
    i.mov(qword(rsp, IP), rcx);
    i.shl(rax, 32);
    i.mov(ecx, dword(rsp, ERROR));
    i.or(rax, rcx);
    i.bts(rax, 63);
    i.mov(qword(RECOVER), 0);
    i.jmp("keep");
    a.label("attempt");
    i.mov(rax, qword(rsp, 32));
    i.mov(qword(RECOVER), rax);
    i.jmp("return");
    a.label("irq");
    i.test(o.byte(EOI), 4);
    i.jz("irq.1");
    // Each CPU counts its own.
    i.mov(edx, At.APIC);
    i.mov(ecx, dword(rdx, 0x20));
    i.shr(ecx, 24);
    i.lock();
    i.inc(dword([rcx, 4], SEEN));
    i.mov(dword(rdx, 0xb0), 0);
    i.cmp(eax, JOB_VECTOR);
    i.jne("return");
    i.call(qword(JOB));
    i.jmp("return");
    a.label("irq.1");
    i.test(o.byte(EOI), 1);
    i.je("irq.2");
    i.mov(edx, At.APIC);
    i.mov(dword(rdx, 0xb0), 0);
    a.label("irq.2");
    i.test(o.byte(EOI), 2);
    i.je("keep");
    i.mov(esi, eax);
    i.mov(ecx, 0x80b);
    i.xor(eax, eax);
    i.xor(edx, edx);
    i.wrmsr();
    i.mov(eax, esi);
    i.jmp("keep");
    a.label("told");
    i.mov(rax, qword(rsp, 32));
    i.mov(qword(RECOVER), 0);
    a.label("keep");
    i.mov(ecx, 1);
    i.lock();
    i.xadd(dword(NOTE_COUNT), ecx);
    i.cmp(ecx, MAX_NOTES);
    i.jae("return");
    i.mov(qword([rcx, 8], NOTES), rax);
    a.label("return");
    for (const r of [rdi, rsi, rdx, rcx, rax]) i.pop(r);
    i.add(rsp, 16);
    i.iretq();

    a.label("report");
    i.mov(rdi, rsp);
    const value = (load: () => void) => {
      load();
      i.call("hex");
    };
    value(() => i.mov(edx, dword(INDEX)));
    value(() => i.mov(rdx, qword(rdi, VECTOR)));
    value(() => i.mov(rdx, qword(rdi, ERROR)));
    value(() => {
      i.mov(rdx, qword(rdi, IP));
      i.sub(rdx, qword(AT));
    });
    for (const at of [8, 32, 24, 16]) value(() => i.mov(rdx, qword(rdi, IP + at)));
    value(() => i.mov(rdx, cr2));
    value(() => {
      i.lea(rdx, mem(rdi, ERROR));
      // Where there is no error code the frame begins with the IP.
      i.mov(ecx, dword(rdi, VECTOR));
      i.bt(dword("with_error"), ecx);
      i.cmc();
      i.mov(eax, 0);
      i.adc(eax, eax);
      i.lea(rdx, mem(rdx, [rax, 8]));
    });
    i.xor(esi, esi);
    a.label("notes");
    i.cmp(esi, dword(NOTE_COUNT));
    i.jae("line");
    i.cmp(esi, MAX_NOTES);
    i.jae("line");
    value(() => i.mov(rdx, qword([rsi, 8], NOTES)));
    i.inc(esi);
    i.jmp("notes");
    a.label("line");
    i.mov(al, 10);
    i.out(DEBUGCON, al);
    i.jmp("next");

    // RDX with as many digits as it has, and a space.
    a.label("hex");
    i.mov(ecx, 16);
    a.label("hex.skip");
    i.cmp(ecx, 1);
    i.je("hex.digit");
    i.mov(rax, rdx);
    i.shr(rax, 60);
    i.jnz("hex.digit");
    i.shl(rdx, 4);
    i.dec(ecx);
    i.jmp("hex.skip");
    a.label("hex.digit");
    i.mov(rax, rdx);
    i.shr(rax, 60);
    i.add(al, 0x30);
    i.cmp(al, 0x3a);
    i.jb("hex.out");
    i.add(al, 0x27);
    a.label("hex.out");
    i.out(DEBUGCON, al);
    i.shl(rdx, 4);
    i.dec(ecx);
    i.jnz("hex.digit");
    i.mov(al, 0x20);
    i.out(DEBUGCON, al);
    i.ret();
    a.align(32);
    a.label("with_error");
    const bits = new Uint8Array(32);
    for (const v of WITH_ERROR) bits[v >> 3] |= 1 << (v & 7);
    a.db(bits);
  }

  protected override leave(): void {
    this.a.bits(64);
  }

  /** Runs code in ring 3; INT 30h ends it. The stack is `USER_STACK` in the user's memory. */
  user(
    body: Body,
    options: { bits?: 32 | 64; flags?: number; ss?: number; cs?: number } = {},
  ): void {
    const { a, i } = this, code = a.unique("user"), { bits = 64, flags = 2 } = options;
    i.push(options.ss ?? Sel.USER_DATA);
    i.push(At.USER + At.USER_STACK);
    i.push(flags);
    i.push(options.cs ?? (bits === 64 ? Sel.USER : Sel.USER32));
    i.lea(rax, mem(code));
    i.add(rax, At.USER);
    i.push(rax);
    i.mov(eax, 0);
    i.iretq();
    a.bits(bits);
    a.label(code);
    this.alias = At.USER;
    body(i);
  }

  /** Notes RAX, or a value moved there first. In any ring; RAX is all that changes. */
  note(value?: Reg | number | bigint): void {
    if (value !== undefined && value !== rax && value !== eax) {
      this.i.mov(typeof value === "object" ? { ...rax, size: value.size } : rax, value);
    }
    this.i.int(0x31);
  }

  /** Notes whether `body` raises an exception; it goes on behind it. RAX changes. */
  attempt(body: Body): void {
    const { a, i } = this, behind = a.unique("behind");
    i.lea(rax, mem(behind));
    i.int(0x32);
    i.mov(eax, 0);
    body(i);
    i.mov(eax, 0);
    i.int(0x31);
    a.label(behind);
  }

  setMsr(index: number, value: number | bigint): void {
    const { i } = this, v = BigInt.asUintN(64, BigInt(value));
    i.mov(ecx, index);
    i.mov(eax, Number(v & 0xffffffffn));
    i.mov(edx, Number(v >> 32n));
    i.wrmsr();
  }
  /** RAX becomes the MSR's value. */
  getMsr(index: number): void {
    const { i } = this;
    i.mov(ecx, index);
    i.rdmsr();
    i.shl(rdx, 32);
    i.or(rax, rdx);
  }
  /** Loads CR4 with the kernel's value and these bits changed. */
  setCr4(set: readonly number[], clear: readonly number[] = []): void {
    const value = set.reduce((v, b) => v | 1 << b, this.cr4);
    this.i.mov(eax, clear.reduce((v, b) => v & ~(1 << b), value));
    this.i.mov(cr4, rax);
  }
  setCr0(value: number): void {
    this.i.mov(eax, value >>> 0);
    this.i.mov(cr0, rax);
  }
  /** MOV CR8, register (RAX to RDI). */
  cr8(r: Reg): void {
    this.a.db(0x44, 0x0f, 0x22, 0xc0 | r.num);
  }
  /** A 64-bit store of a constant. RAX changes. */
  put(at: number, value: number | bigint): void {
    const { i } = this, v = BigInt.asUintN(64, BigInt(value));
    i.mov(dword(at), Number(v & 0xffffffffn));
    i.mov(dword(at + 4), Number(v >> 32n));
  }
  /** Gives page `n` of the laboratory this entry (its address is added) and drops its translation. */
  page(n: number, flags: number | bigint): void {
    this.put(At.PT + 8 * n, BigInt(flags) | BigInt(At.LAB + 4096 * n));
    this.i.invlpg(mem(At.LAB + 4096 * n));
  }
  /** A segment or system descriptor in the GDT. */
  descriptor(selector: number, low: bigint, high?: bigint): void {
    this.put(At.GDT + (selector & ~7), low);
    if (high !== undefined) this.put(At.GDT + (selector & ~7) + 8, high);
  }
  /** An IDT gate to a label. RAX changes. */
  gate(vector: number, label: string, options: GateOptions = {}): void {
    const { i } = this, at = At.IDT + 16 * vector;
    const { selector = Sel.CODE, type = 14, dpl = 0, ist = 0, present = 1 } = options;
    i.mov(eax, label);
    i.mov(o.word(at), ax);
    i.shr(eax, 16);
    i.mov(o.word(at + 6), ax);
    i.mov(o.word(at + 2), selector);
    i.mov(o.word(at + 4), present << 15 | dpl << 13 | type << 8 | ist);
  }

  protected override build(): Uint8Array {
    const { a } = this;
    this.table();
    a.label("count");
    a.dd(this.checks.length);
    a.align(8);
    a.label("gdtr");
    a.dw(GDT_LIMIT);
    a.dq(At.GDT);
    a.align(8);
    a.label("idtr");
    a.dw(0xfff);
    a.dq(At.IDT);
    a.align(16);
    a.label("templates");
    a.db(memory(At.GDT, At.IDT, descriptors));
    for (let n = 0; n < 256; n++) {
      const attr = 0x8e00 | (OPEN.has(n) ? 3 : 0) << 13;
      a.dw(sym(`stub.${n}`), Sel.CODE, attr, sym(`stub.${n}`, 0, undefined, 16));
      a.dq(0);
    }
    a.db(memory(At.PML5, At.TABLES_END, pages));
    a.label("image.end");
    return a.assemble().bytes;
  }
}

type Put = (at: number, ...values: bigint[]) => void;

/** Bytes of guest memory from `from` to `to`, as `fill` puts quadwords there. */
function memory(from: number, to: number, fill: (put: Put) => void): Uint8Array {
  const bytes = new Uint8Array(to - from), v = new DataView(bytes.buffer);
  fill((at, ...values) =>
    values.forEach((q, n) => v.setBigUint64(at - from + 8 * n, BigInt.asUintN(64, q), true))
  );
  return bytes;
}

function descriptors(put: Put): void {
  put(At.GDT, 0n, 0x00cf9b000000ffffn, 0x00cf93000000ffffn, 0x00af9b000000ffffn);
  put(At.GDT + 0x20, 0x00cffb000000ffffn, 0x00cff3000000ffffn, 0x00affb000000ffffn);
  put(At.GDT + Sel.TSS, 0x0000890000000067n | BigInt(At.TSS) << 16n);
  put(At.GDT + Sel.CONFORMING, 0x00af9f000000ffffn, 0x00afbb000000ffffn);
  put(At.TSS + 4, BigInt(At.RSP0), BigInt(At.RSP0 - 0x800));
  put(At.TSS + 0x24, BigInt(At.IST1), BigInt(At.IST2));
  put(At.TSS + 0x60, 0x68n << 48n);
}

/** Accessed and dirty everywhere but in the laboratory. */
function pages(put: Put): void {
  put(At.PML5, BigInt(At.PML4 | 0x27));
  put(At.PML4, BigInt(At.PDPT | 0x27));
  put(At.PDPT, BigInt(At.PD | 0x27), BigInt(At.USER_PD | 0x27));
  // The APICs: a page of 1 GiB, not cached.
  put(At.PDPT + 24, 0xc00000f3n);
  put(At.PD, 0xe3n, 0x2000e3n, 0x4000e3n, 0x6000e3n, BigInt(At.PT | 0x27));
  put(At.PD + 40, 0xa000e3n, 0xc000e3n, 0xe000e3n);
  for (let n = 0; n < LAB_PAGES; n++) put(At.PT + 8 * n, BigInt(At.LAB + 4096 * n | 3));
  put(At.USER_PD, 0xe7n, 0x2000e7n);
}

export interface GateOptions {
  readonly selector?: number;
  readonly type?: number;
  readonly dpl?: number;
  readonly ist?: number;
  readonly present?: number;
}

const registers = {
  ...{ rax, rcx, rdx, rbx: o.rbx, rbp: o.rbp, rsi, rdi, r8: o.r8, r9: o.r9, r10: o.r10 },
  ...{ r11: o.r11, r12: o.r12, r13: o.r13, r14: o.r14, r15: o.r15 },
};
