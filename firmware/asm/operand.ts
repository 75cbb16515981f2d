/** Operands of the assembler: registers, memory, immediates and symbols, by the SDM's names. */

/** Operand size in bytes. */
export type Size = 1 | 2 | 4 | 8;

export type RegKind = "gpr" | "sreg" | "cr" | "dr";

/** A register. `num` is its 3- or 4-bit encoding. */
export interface Reg {
  readonly kind: RegKind;
  readonly name: string;
  readonly num: number;
  readonly size: Size;
  /** AH, CH, DH, BH: not usable together with a REX prefix. */
  readonly high: boolean;
}

/** A value known when all labels are placed: `plus` − `minus` + `addend`. */
export interface Sym {
  readonly kind: "sym";
  readonly plus: string;
  readonly minus: string | undefined;
  readonly addend: number;
  /** Shift right after the sum, for segment and descriptor parts. */
  readonly shift: number;
}

export interface Mem {
  readonly kind: "mem";
  /** Access size, where no register operand tells it. */
  readonly size: Size | undefined;
  readonly seg: Reg | undefined;
  readonly base: Reg | undefined;
  readonly index: Reg | undefined;
  readonly scale: 1 | 2 | 4 | 8;
  readonly disp: number | Sym;
  /** Address size in bytes when no register tells it (default: the mode's). */
  readonly addrSize: 2 | 4 | 8 | undefined;
}

/** Immediate far pointer, seg:off. */
export interface Far {
  readonly kind: "far";
  readonly seg: number | Sym;
  readonly off: number | string | Sym;
  /** Offset size in bytes (default: the mode's operand size). */
  readonly size: 2 | 4 | undefined;
}

/** A string is a label: a branch target, or its address as an immediate. */
export type Operand = Reg | Mem | Sym | Far | number | bigint | string;

function regs(kind: RegKind, size: Size, names: string, first = 0): Reg[] {
  return names.split(" ").map((name, i) => ({ kind, name, size, num: first + i, high: false }));
}

export const [al, cl, dl, bl] = regs("gpr", 1, "al cl dl bl");
export const [ah, ch, dh, bh] = regs("gpr", 1, "ah ch dh bh", 4).map((r) => ({
  ...r,
  high: true,
}));
export const [spl, bpl, sil, dil] = regs("gpr", 1, "spl bpl sil dil", 4);
export const [ax, cx, dx, bx, sp, bp, si, di] = regs("gpr", 2, "ax cx dx bx sp bp si di");
export const [eax, ecx, edx, ebx, esp, ebp, esi, edi] = regs(
  "gpr",
  4,
  "eax ecx edx ebx esp ebp esi edi",
);
export const [rax, rcx, rdx, rbx, rsp, rbp, rsi, rdi] = regs(
  "gpr",
  8,
  "rax rcx rdx rbx rsp rbp rsi rdi",
);
export const [r8, r9, r10, r11, r12, r13, r14, r15] = regs(
  "gpr",
  8,
  "r8 r9 r10 r11 r12 r13 r14 r15",
  8,
);
export const [r8d, r9d, r10d, r11d, r12d, r13d, r14d, r15d] = regs(
  "gpr",
  4,
  "r8d r9d r10d r11d r12d r13d r14d r15d",
  8,
);
export const [r8w, r9w, r10w, r11w, r12w, r13w, r14w, r15w] = regs(
  "gpr",
  2,
  "r8w r9w r10w r11w r12w r13w r14w r15w",
  8,
);
export const [r8b, r9b, r10b, r11b, r12b, r13b, r14b, r15b] = regs(
  "gpr",
  1,
  "r8b r9b r10b r11b r12b r13b r14b r15b",
  8,
);
export const [es, cs, ss, ds, fs, gs] = regs("sreg", 2, "es cs ss ds fs gs");
export const [cr0, cr1, cr2, cr3, cr4] = regs("cr", 4, "cr0 cr1 cr2 cr3 cr4");
export const [dr0, dr1, dr2, dr3, dr4, dr5, dr6, dr7] = regs(
  "dr",
  4,
  "dr0 dr1 dr2 dr3 dr4 dr5 dr6 dr7",
);

/** One term of an address: a register, a register times a scale, a displacement or a label. */
export type AddressTerm = Reg | [Reg, 1 | 2 | 4 | 8] | number | string | Sym;

function build(size: Size | undefined, terms: AddressTerm[]): Mem {
  let seg: Reg | undefined, base: Reg | undefined, index: Reg | undefined;
  let scale: 1 | 2 | 4 | 8 = 1, disp: number | Sym = 0;
  for (const t of terms) {
    if (typeof t === "number") disp = typeof disp === "number" ? disp + t : offset(disp, t);
    else if (typeof t === "string") disp = sym(t, typeof disp === "number" ? disp : 0);
    else if (Array.isArray(t)) [index, scale] = t;
    else if (t.kind === "sym") disp = offset(t, typeof disp === "number" ? disp : 0);
    else if (t.kind === "sreg") seg = t;
    else if (base === undefined) base = t;
    else if (index === undefined) index = t;
    else throw new Error("three registers in an address");
  }
  return { kind: "mem", size, seg, base, index, scale, disp, addrSize: undefined };
}

/** Memory whose size the other operand tells: `mem(es, bx, si, 4)`. */
export const mem = (...terms: AddressTerm[]): Mem => build(undefined, terms);
export const byte = (...terms: AddressTerm[]): Mem => build(1, terms);
export const word = (...terms: AddressTerm[]): Mem => build(2, terms);
export const dword = (...terms: AddressTerm[]): Mem => build(4, terms);
export const qword = (...terms: AddressTerm[]): Mem => build(8, terms);

/** The same memory operand with 2-, 4- or 8-byte addressing. */
export function addressSize(m: Mem, size: 2 | 4 | 8): Mem {
  return { ...m, addrSize: size };
}

/** `name + addend`, or `name - minus + addend`; then shifted right by `shift` bits. */
export function sym(name: string, addend = 0, minus?: string, shift = 0): Sym {
  return { kind: "sym", plus: name, minus, addend, shift };
}

function offset(s: Sym, by: number): Sym {
  return { ...s, addend: s.addend + by };
}

export function far(seg: number | Sym, off: number | string | Sym, size?: 2 | 4): Far {
  return { kind: "far", seg, off, size };
}
