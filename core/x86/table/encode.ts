/**
 * The encoder: a row and chosen operands to bytes. The inverse of the decoder, for test generators
 * (the processor oracle) and for the decoder's own tests. Intel SDM volume 2, chapter 2.
 */
import type { Evex, MemOperand, Operand } from "../insn.ts";
import { Seg } from "../insn.ts";
import { Mandatory, OpMap, Role, type TableRow } from "./row.ts";

type Bits = 16 | 32 | 64;

/** What to encode. Operands are in the row's order; those the encoding fixes may be left out. */
export interface EncodeRequest {
  readonly row: TableRow;
  /** Mode the bytes are meant for. */
  readonly bits: Bits;
  /** Default: the mode's own size for this row. */
  readonly opSize?: Bits;
  /** Default: that of the memory operands, else the mode's. */
  readonly addrSize?: Bits;
  readonly operands?: readonly (Operand | undefined)[];
  readonly lock?: boolean;
  readonly rep?: 0 | 0xf2 | 0xf3;
  /** Segment override prefix; -1 and undefined for none. */
  readonly segOverride?: number;
  /** Condition 0–15 for rows with `condition`. */
  readonly cond?: number;
  /** VEX.L or EVEX.L'L for rows that leave it free. */
  readonly vectorBits?: 0 | 128 | 256 | 512;
  /** For EVEX rows; default: no mask, no broadcast, MXCSR's rounding. */
  readonly evex?: Evex;
}

/** One way to fill in a row: an operand size and whether ModRM.rm is a register or memory. */
export interface RowForm {
  readonly opSize: Bits;
  /** `none` when the row has no r/m operand. */
  readonly rm: "reg" | "mem" | "none";
}

/** Whether a row exists in a mode. */
export function rowValid(row: TableRow, bits: Bits): boolean {
  return bits === 16 ? row.valid.bits16 : bits === 32 ? row.valid.bits32 : row.valid.bits64;
}

/** Whether the effective operand size changes what a row does. */
export function sizeSensitive(row: TableRow): boolean {
  if (row.vex || row.prefix === Mandatory.P66) return false;
  if (row.operandSpecs.some((s) => differs(s.sizes) || (s.memSizes && differs(s.memSizes)))) {
    return true;
  }
  return sizedByName.has(row.name);
}

function differs(sizes: readonly number[]): boolean {
  return sizes[0] !== sizes[1];
}

/** Operations without sized operands that obey the operand size nevertheless. */
const sizedByName = new Set(
  ("PUSHA POPA PUSHF POPF PUSH_SREG POP_SREG CBW CWD ENTER LEAVE RET_NEAR RET_FAR IRET Jcc " +
    "JMP_NEAR_REL LOOP LOOPE LOOPNE JCXZ LGDT LIDT").split(" "),
);

/** Operand size without 66h and REX.W. */
export function defaultOpSize(row: TableRow, bits: Bits): Bits {
  if (bits === 64) return row.default64 || row.w === 1 ? 64 : 32;
  return row.prefix === Mandatory.P66 || row.vex ? 32 : bits;
}

/** Every form of a row in a mode that differs in meaning. */
export function rowForms(row: TableRow, bits: Bits): RowForm[] {
  if (!rowValid(row, bits)) return [];
  const rm = row.operandSpecs.find((s) => s.role === Role.Rm);
  const kinds: RowForm["rm"][] = [];
  if (rm === undefined) kinds.push("none");
  else {
    if (row.mod !== "mem" && rm.reg !== undefined) kinds.push("reg");
    if (row.mod !== "reg" && !row.modIgnored && rm.memSizes !== undefined) kinds.push("mem");
  }
  const sizes = new Set<Bits>([defaultOpSize(row, bits)]);
  if (sizeSensitive(row)) {
    if (bits !== 64) {
      sizes.add(16);
      sizes.add(32);
    } else if (!row.forced64) {
      sizes.add(16);
      if (!row.default64) sizes.add(32);
      if (row.w !== 0) sizes.add(64);
    }
  }
  if (bits === 64 && row.w < 0 && row.operandSpecs.some(widensWithW)) sizes.add(64);
  return kinds.flatMap((k) => [...sizes].map((opSize): RowForm => ({ opSize, rm: k })));
}

function widensWithW(s: TableRow["operandSpecs"][number]): boolean {
  return s.sizes[1] !== s.sizes[2] || (s.memSizes !== undefined && s.memSizes[1] !== s.memSizes[2]);
}

const escapes: Record<OpMap, readonly number[]> = {
  [OpMap.One]: [],
  [OpMap.M0F]: [0x0f],
  [OpMap.M0F38]: [0x0f, 0x38],
  [OpMap.M0F3A]: [0x0f, 0x3a],
  [OpMap.Now3D]: [0x0f, 0x0f],
  [OpMap.Vex0F]: [1],
  [OpMap.Vex0F38]: [2],
  [OpMap.Vex0F3A]: [3],
  [OpMap.Evex0F]: [1],
  [OpMap.Evex0F38]: [2],
  [OpMap.Evex0F3A]: [3],
};
const mandatoryByte = new Map([[Mandatory.P66, 0x66], [Mandatory.F3, 0xf3], [Mandatory.F2, 0xf2]]);

function littleEndian(out: number[], value: number, bytes: number, high = 0): void {
  for (let i = 0; i < bytes; i++) out.push(i < 4 ? value >>> 8 * i & 255 : high >>> 8 * i & 255);
}

/**
 * Encodes one instruction.
 *
 * @throws Error when the operands do not fit the row or the mode, such as AH with a REX prefix.
 */
export function encode(request: EncodeRequest): Uint8Array {
  const { row, bits } = request;
  const operands = request.operands ?? [];
  if (!rowValid(row, bits)) throw new Error(`${row.opcode} does not exist in ${bits}-bit mode`);
  const opSize = request.opSize ?? defaultOpSize(row, bits);
  const mem = operands.find((o): o is MemOperand => o?.kind === "mem");
  const addrSize = request.addrSize ?? mem?.addrSize ?? bits;
  const sizeIndex = opSize >> 5;

  let rex = row.w === 1 ? 8 : 0;
  // EVEX: what the fifth bits of the numbers are.
  let highReg = 0, highIndex = 0;
  let anyRex = false, high = false;
  let opcode = row.byte;
  let modrm = row.fixedModrm >= 0 ? row.fixedModrm : row.digit >= 0 ? row.digit << 3 : 0;
  let vvvv = 0;
  let tail: number[] = [];
  const immediates: number[] = [];
  if (row.condition) opcode += request.cond ?? 0;
  if (row.mod === "reg" || row.modIgnored) modrm |= 0xc0;

  row.operandSpecs.forEach((spec, i) => {
    const operand = operands[i];
    if (spec.role === Role.Fixed) return;
    if (operand === undefined) throw new Error(`${row.syntax}: operand ${i} is missing`);
    if (operand.kind === "imm") {
      if (spec.kind !== "imm") throw new Error(`${row.syntax}: operand ${i} is no immediate`);
      littleEndian(immediates, operand.value, spec.bytes[sizeIndex], operand.valueHi);
      return;
    }
    if (operand.kind === "rel") {
      littleEndian(immediates, operand.value, spec.bytes[sizeIndex]);
      return;
    }
    if (operand.kind === "far") {
      littleEndian(immediates, operand.offset, spec.bytes[sizeIndex] - 2);
      littleEndian(immediates, operand.selector, 2);
      return;
    }
    if (operand.kind === "mem") {
      if (spec.kind === "moffs") {
        littleEndian(immediates, operand.disp, addrSize >> 3, operand.dispHi);
        return;
      }
      if (spec.role !== Role.Rm || spec.memSizes === undefined) {
        throw new Error(`${row.syntax}: operand ${i} cannot be memory`);
      }
      const unit = row.evex === undefined
        ? 1
        : request.evex?.broadcast
        ? row.evex.broadcast >> 3
        : row.evex.disp8 || (spec.vsib ? row.evex.element : spec.memSizes[sizeIndex] >> 3);
      const form = encodeMemory(operand, addrSize, bits, spec.vsib !== 0, unit);
      if (spec.vsib !== 0) highIndex = operand.index >> 4 & 1;
      modrm |= form.modrm;
      tail = form.tail;
      rex |= form.rex;
      return;
    }
    if (spec.reg !== operand.kind) {
      throw new Error(`${row.syntax}: operand ${i} is ${operand.kind}`);
    }
    let n = operand.reg;
    if (operand.kind === "gpr" && operand.size === 8) {
      if (operand.high) {
        high = true;
        n += 4;
      } else if (n > 3) anyRex = true;
    }
    const extension = n >> 3 & 1;
    switch (spec.role) {
      case Role.Reg:
        modrm |= (n & 7) << 3;
        rex |= extension << 2;
        highReg = n >> 4 & 1;
        break;
      case Role.Rm:
        modrm |= 0xc0 | n & 7;
        rex |= extension | (n >> 4 & 1) << 1;
        break;
      case Role.Opcode:
        if (row.fixedSpan === 8) modrm |= n & 7;
        else opcode += n & 7;
        rex |= extension;
        break;
      case Role.Vvvv:
        vvvv = n;
        break;
      case Role.Is4:
        immediates.push(n << 4);
        break;
      case Role.Imm:
        throw new Error(`${row.syntax}: operand ${i} is an immediate`);
    }
  });

  const out: number[] = [];
  if (request.lock) out.push(0xf0);
  if (request.segOverride !== undefined && request.segOverride >= 0) {
    const seg = request.segOverride;
    out.push(seg >= Seg.FS ? 0x60 + seg : 0x26 + 8 * seg);
  }
  if (addrSize !== bits) {
    if (addrSize === (bits === 64 ? 16 : 64)) {
      throw new Error(`${addrSize}-bit addresses in ${bits}-bit mode`);
    }
    out.push(0x67);
  }
  if (row.evex !== undefined) {
    if (row.w < 0 && bits === 64 && opSize === 64) rex |= 8;
    out.push(...evexPrefix(request, rex, vvvv, highReg, highIndex, modrm >= 0xc0));
  } else if (row.vex) {
    if (row.w < 0 && bits === 64 && opSize === 64) rex |= 8;
    const l = row.l >= 0 ? row.l : request.vectorBits === 256 ? 1 : 0;
    const pp = [0, 0, 1, 2, 3][row.prefix] ?? 0;
    const map = escapes[row.map][0];
    const low = (~vvvv & 15) << 3 | l << 2 | pp;
    if (map === 1 && (rex & 0b1011) === 0) out.push(0xc5, (rex & 4 ? 0 : 0x80) | low);
    else out.push(0xc4, (~rex & 7) << 5 | map, (rex & 8) << 4 | low);
  } else {
    if (request.rep) out.push(request.rep);
    const wide = opSize === 64 && defaultOpSize(row, bits) !== 64;
    if (wide) rex |= 8;
    if (opSize !== 64 && opSize !== defaultOpSize(row, bits)) out.push(0x66);
    const mandatory = mandatoryByte.get(row.prefix);
    if (mandatory !== undefined) out.push(mandatory);
    if (rex !== 0 || anyRex) {
      if (bits !== 64) throw new Error(`${row.syntax}: needs REX outside 64-bit mode`);
      if (high) throw new Error(`${row.syntax}: AH, CH, DH, BH with REX`);
      out.push(0x40 | rex);
    }
    out.push(...escapes[row.map]);
  }
  if (row.map !== OpMap.Now3D) out.push(opcode);
  if (row.modrm) out.push(modrm, ...tail);
  out.push(...immediates);
  if (row.map === OpMap.Now3D) out.push(opcode);
  return Uint8Array.from(out);
}

function evexPrefix(
  { row, evex, vectorBits = 0 }: EncodeRequest,
  rex: number,
  vvvv: number,
  highReg: number,
  highIndex: number,
  register: boolean,
): number[] {
  const pp = [0, 0, 1, 2, 3][row.prefix] ?? 0;
  const length = row.l >= 0 ? row.l : vectorBits === 512 ? 2 : vectorBits === 256 ? 1 : 0;
  const special = evex !== undefined && (register ? evex.sae : evex.broadcast);
  const l = special && register && evex.rounding >= 0 ? evex.rounding : length;
  return [
    0x62,
    (~rex & 7) << 5 | (highReg ? 0 : 16) | escapes[row.map][0],
    (rex & 8) << 4 | (~vvvv & 15) << 3 | 4 | pp,
    (evex?.zeroing ? 0x80 : 0) | l << 5 | (special ? 16 : 0) | (vvvv & 16 || highIndex ? 0 : 8) |
    (evex?.mask ?? 0),
  ];
}

/** 16-bit addressing forms by ModRM.rm: base, index. */
const forms16 = ["3,6", "3,7", "5,6", "5,7", "6,-1", "7,-1", "5,-1", "3,-1"];

/** ModRM without the reg field, then SIB and displacement, and REX.X and REX.B. */
function encodeMemory(
  mem: MemOperand,
  addrSize: Bits,
  bits: Bits,
  vsib: boolean,
  unit: number,
): { modrm: number; tail: number[]; rex: number } {
  const tail: number[] = [];
  const { base, index, disp } = mem;
  const short = disp / unit, isShort = short === short << 24 >> 24;
  if (addrSize === 16) {
    if (base < 0 && index < 0) {
      littleEndian(tail, disp, 2);
      return { modrm: 6, tail, rex: 0 };
    }
    const rm = forms16.indexOf(`${base},${index}`);
    if (rm < 0) throw new Error("no such 16-bit address");
    const mod = disp === 0 && rm !== 6 ? 0 : isShort ? 1 : 2;
    littleEndian(tail, mod === 1 ? short : disp, mod);
    return { modrm: mod << 6 | rm, tail, rex: 0 };
  }
  if (mem.rip) {
    if (bits !== 64) throw new Error("RIP-relative outside 64-bit mode");
    littleEndian(tail, disp, 4);
    return { modrm: 5, tail, rex: 0 };
  }
  const needSib = index >= 0 || base < 0 && bits === 64 || base >= 0 && (base & 7) === 4 || vsib;
  const rex = (base >= 8 ? 1 : 0) | (index >= 0 && index & 8 ? 2 : 0);
  if (rex !== 0 && bits !== 64) throw new Error("R8 to R15 outside 64-bit mode");
  if (index === 4 && !vsib) throw new Error("RSP as index");
  const mod = base < 0 ? 0 : disp === 0 && (base & 7) !== 5 ? 0 : isShort ? 1 : 2;
  if (needSib) {
    tail.push(mem.scale << 6 | (index < 0 ? 4 : index & 7) << 3 | (base < 0 ? 5 : base & 7));
  }
  littleEndian(tail, mod === 1 ? short : disp, base < 0 || mod === 2 ? 4 : mod);
  return { modrm: mod << 6 | (needSib ? 4 : base < 0 ? 5 : base & 7), tail, rex };
}
