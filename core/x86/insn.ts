/** A decoded instruction: what the decoder yields and the disassembler and the translator read. */

/** General register numbers in encoding order; R8–R15 follow. */
export const enum Gpr {
  RAX,
  RCX,
  RDX,
  RBX,
  RSP,
  RBP,
  RSI,
  RDI,
}

/** Segment register numbers in encoding order. */
export const enum Seg {
  ES,
  CS,
  SS,
  DS,
  FS,
  GS,
}

/**
 * Width of an operand in bits. 80 is x87 extended, 48/64/80 also far pointers (`m16:16` = 32);
 * 112 and 224 are x87 environments, 752 and 864 FSAVE areas (16 and 32-bit), 4096 is FXSAVE's.
 */
export type OpSize =
  | 0
  | 8
  | 16
  | 32
  | 48
  | 64
  | 80
  | 112
  | 128
  | 224
  | 256
  | 512
  | 752
  | 864
  | 4096;

export interface RegOperand {
  /** gpr; segment; control; debug; x87 stack ST(i); MMX; XMM/YMM/ZMM (by size); AVX-512 mask. */
  readonly kind: "gpr" | "sreg" | "creg" | "dreg" | "st" | "mm" | "xmm" | "k";
  readonly size: OpSize;
  readonly reg: number;
  /** AH, CH, DH or BH: `reg` is then 0–3 and the operand is bits 15:8. */
  readonly high: boolean;
}

export interface MemOperand {
  readonly kind: "mem";
  /** Width of the access; 0 when the instruction only takes the address (LEA, INVLPG). */
  readonly size: OpSize;
  /** Effective segment after overrides and the stack default. */
  readonly seg: Seg;
  /** GPR numbers or -1. For RIP-relative both are -1 and `rip` is set. */
  readonly base: number;
  readonly index: number;
  /** Shift count 0–3. */
  readonly scale: number;
  /** Displacement, sign-extended to 64 bits as two signed 32-bit halves. */
  readonly disp: number;
  readonly dispHi: number;
  readonly rip: boolean;
  /** Address size in bits: the sum is truncated to it. */
  readonly addrSize: 16 | 32 | 64;
}

/** An immediate, sign- or zero-extended as the instruction defines, in two signed 32-bit halves. */
export interface ImmOperand {
  readonly kind: "imm";
  readonly size: OpSize;
  readonly value: number;
  readonly valueHi: number;
}

/** A branch displacement relative to the next instruction, signed. */
export interface RelOperand {
  readonly kind: "rel";
  readonly size: OpSize;
  readonly value: number;
}

/** A direct far pointer `ptr16:16` or `ptr16:32`. */
export interface FarOperand {
  readonly kind: "far";
  readonly size: OpSize;
  readonly selector: number;
  readonly offset: number;
}

export type Operand = RegOperand | MemOperand | ImmOperand | RelOperand | FarOperand;

/** What the processor is doing when it meets the bytes. */
export interface DecodeMode {
  /** 16: real, virtual-8086 or 16-bit segment; 32: CS.D set; 64: CS.L in long mode. */
  readonly bits: 16 | 32 | 64;
}

/** One row of the opcode table: one encoding of one operation. */
export interface OpcodeRow {
  /** Operation: the key of its semantics function, such as `ADD`, `MOVSXD`, `FLD`. */
  readonly name: string;
  /** The SDM's instruction column, such as `ADD r/m16, imm8`. */
  readonly syntax: string;
  /** The SDM's opcode column, such as `83 /0 ib` or `NP 0F 58 /r` or `VEX.128.66.0F.WIG 58 /r`. */
  readonly opcode: string;
  /** CPUID feature by QEMU's name that must be present, or undefined for the base set. */
  readonly cpuid: string | undefined;
  /** A second feature that must be present (`avx512vl` of shorter vectors). */
  readonly also: string | undefined;
  /** LOCK prefix allowed with a memory destination. */
  readonly lock: boolean;
  /** Only at CPL 0 (`cpl0`), subject to IOPL (`iopl`), or unrestricted. */
  readonly privilege: "cpl0" | "iopl" | undefined;
  /** Modes the row exists in. */
  readonly valid: { readonly bits16: boolean; readonly bits32: boolean; readonly bits64: boolean };
  /** Not in real or virtual-8086 mode (#UD), such as ARPL, LAR, LTR. */
  readonly protectedOnly: boolean;
  /** Operand size in 64-bit mode: fixed or default 64 (`push`, near branches), else undefined. */
  readonly default64: boolean;
  /** VMX exit reason name when intercepted, if any. */
  readonly vmx: string | undefined;
  /** Which REP prefixes mean something: `rep` (MOVS…), `repz` (CMPS, SCAS), or none. */
  readonly rep: "rep" | "repz" | undefined;
}

/** What an EVEX prefix says besides the operands. Intel SDM volume 2, chapter 2.7. */
export interface Evex {
  /** Number of the mask register, 0 for none. */
  readonly mask: number;
  /** Elements left out become 0 and do not stay. */
  readonly zeroing: boolean;
  /** The memory operand is one element, for all. */
  readonly broadcast: boolean;
  /** Rounding control of this instruction, or -1 for MXCSR's. */
  readonly rounding: -1 | 0 | 1 | 2 | 3;
  /** Exceptions are neither flagged nor raised. */
  readonly sae: boolean;
}

export interface Insn {
  readonly row: OpcodeRow;
  /** Bytes, 1–15. */
  readonly length: number;
  /** Effective operand size of the instruction (prefix 66h and REX.W applied). */
  readonly opSize: 16 | 32 | 64;
  readonly addrSize: 16 | 32 | 64;
  readonly operands: readonly Operand[];
  readonly lock: boolean;
  /** 0, 0xf2 or 0xf3: the last repeat prefix when it is not part of the opcode. */
  readonly rep: 0 | 0xf2 | 0xf3;
  /** Segment override in force or -1 (string instructions' source, branch hints). */
  readonly segOverride: number;
  /** VEX/EVEX vector length in bits, 0 for legacy encodings. */
  readonly vectorBits: 0 | 128 | 256 | 512;
  /** Undefined for other encodings. */
  readonly evex?: Evex;
  /** Condition code 0–15 of Jcc, SETcc, CMOVcc; -1 otherwise. */
  readonly cond: number;
}
