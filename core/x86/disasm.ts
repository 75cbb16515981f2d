/**
 * The disassembler: AT&T text as QEMU 7.2 prints it through Capstone for HMP `x /i` and `-d in_asm`.
 *
 * Capstone names an instruction with its size suffix always, prints numbers above 9 in hexadecimal
 * and separates operands with ", ". Names and forms follow what QEMU prints, not the AT&T manuals;
 * where Capstone decodes wrongly (SSE instructions with a prefix in 16-bit code, `push` of a byte
 * with 66h, RDPID…) the instruction that is there is printed.
 */
import {
  type DecodeMode,
  type ImmOperand,
  type MemOperand,
  type Operand,
  type RegOperand,
  Seg,
} from "./insn.ts";
import { decode, type DecodedInsn } from "./decoder.ts";
import { Mandatory } from "./table/row.ts";

type Bits = DecodeMode["bits"];

const names64 = ["rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi"];
const names8 = ["al", "cl", "dl", "bl", "spl", "bpl", "sil", "dil"];
const names8High = ["ah", "ch", "dh", "bh"];
const segNames = ["es", "cs", "ss", "ds", "fs", "gs"];

function gprName(reg: number, size: number, high = false): string {
  if (size === 8) return high ? names8High[reg] : reg < 8 ? names8[reg] : `r${reg}b`;
  if (reg >= 8) return size === 64 ? `r${reg}` : size === 32 ? `r${reg}d` : `r${reg}w`;
  const name = names64[reg];
  return size === 64 ? name : size === 32 ? `e${name.slice(1)}` : name.slice(1);
}

const vectorLetter = (size: number): string => size === 512 ? "z" : size === 256 ? "y" : "x";

function registerText(o: RegOperand): string {
  switch (o.kind) {
    case "gpr":
      return `%${gprName(o.reg, o.size, o.high)}`;
    case "sreg":
      return `%${segNames[o.reg]}`;
    case "creg":
      return `%cr${o.reg}`;
    case "dreg":
      return `%dr${o.reg}`;
    case "st":
      return `%st(${o.reg})`;
    case "mm":
      return `%mm${o.reg}`;
    case "xmm":
      return `%${vectorLetter(o.size)}mm${o.reg}`;
    case "k":
      return `%k${o.reg}`;
  }
}

/** A number the way Capstone prints it: decimal to 9, then hexadecimal. */
function number(n: bigint): string {
  if (n < 0n) return `-${number(-n)}`;
  return n > 9n ? `0x${n.toString(16)}` : n.toString();
}

function signed64(lo: number, hi: number): bigint {
  return BigInt.asIntN(64, BigInt(hi) << 32n | BigInt(lo >>> 0));
}

/** What prefixes say that changes nothing but the text. */
interface IdlePrefixes {
  /** The last segment override, -1: none. In 64-bit code those but FS and GS do nothing. */
  readonly segment: number;
  /** F2h in front of a near branch: MPX's BND. */
  readonly f2: boolean;
}

const NO_PREFIXES: IdlePrefixes = { segment: -1, f2: false };
const SEGMENT_BYTES = [0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65];

function idlePrefixes(bytes: Uint8Array, at: number, bits: Bits): IdlePrefixes {
  let segment = -1, f2 = false;
  for (let i = at;; i++) {
    const b = bytes[i], s = SEGMENT_BYTES.indexOf(b);
    if (s >= 0) segment = s;
    else if (b === 0xf2) f2 = true;
    else if (b !== 0x66 && b !== 0x67 && b !== 0xf0 && b !== 0xf3) {
      if (bits !== 64 || (b & 0xf0) !== 0x40) return { segment, f2 };
    }
  }
}

const branches = /^(Jcc|JCXZ|CALL_NEAR|JMP_NEAR|RET_)/;

function memText(o: MemOperand, insn: DecodedInsn, bits: Bits, idle: IdlePrefixes): string {
  let text = "";
  const stringDest = o.seg === Seg.ES && o.base === 7 && fixedString.has(insn.row.name);
  if (stringDest) {
    if (bits !== 64) text = "%es:";
  } else if (insn.segOverride >= 0) text = `%${segNames[insn.segOverride]}:`;
  else if (bits === 64 && idle.segment >= 0) text = `%${segNames[idle.segment]}:`;
  const disp = signed64(o.disp, o.dispHi);
  if (o.base < 0 && o.index < 0 && !o.rip) {
    return text + number(disp < 0n ? BigInt.asUintN(bits, disp) : disp);
  }
  if (disp !== 0n) text += number(disp);
  if (o.rip) return `${text}(%${o.addrSize === 64 ? "rip" : "eip"})`;
  const vector = insn.row.operandSpecs.find((s) => s.vsib !== 0);
  text += "(";
  if (o.base >= 0) text += `%${gprName(o.base, o.addrSize)}`;
  if (o.index >= 0) {
    const index = vector
      ? `${vectorLetter(vector.vsib)}mm${o.index}`
      : gprName(o.index, o.addrSize);
    text += `, %${index}`;
    if (o.scale > 0) text += `, ${1 << o.scale}`;
  }
  return text + ")";
}

/** What an EVEX prefix adds to the texts of operands, destination first. */
function decorate(texts: string[], insn: DecodedInsn): string[] {
  const { evex, operands, row } = insn;
  if (evex === undefined) return texts;
  if (evex.broadcast) {
    const n = operands.findIndex((o) => o.kind === "mem");
    const count = insn.vectorBits / 8 / Math.max(row.evex!.element, row.evex!.source);
    texts[n] += `{1to${count}}`;
  }
  if (evex.mask !== 0) texts[0] += ` {%k${evex.mask}}${evex.zeroing ? " {z}" : ""}`;
  if (!evex.sae) return texts;
  // In AT&T order this stands first, or behind an immediate.
  const mode = evex.rounding < 0 ? "{sae}" : `{${["rn", "rd", "ru", "rz"][evex.rounding]}-sae}`;
  const at = operands.at(-1)?.kind === "imm" ? texts.length - 1 : texts.length;
  return [...texts.slice(0, at), mode, ...texts.slice(at)];
}

const fixedString = new Set(["MOVS", "CMPS", "STOS", "SCAS", "INS"]);

const logical = new Set(["AND", "OR", "XOR"]);

/** Bytes and 64-bit values are signed, AND, OR, XOR and full-size immediates are not. */
function immText(o: ImmOperand, insn: DecodedInsn): string {
  const value = signed64(o.value, o.valueHi);
  const name = insn.row.name;
  if (name === "ENTER" || name === "XABORT" || name === "RORX") {
    return `$${number(BigInt.asIntN(o.size, value))}`;
  }
  if (name === "RET_FAR" && insn.opSize === 64) return `$${number(BigInt.asIntN(o.size, value))}`;
  const spec = insn.row.operandSpecs[insn.operands.indexOf(o)];
  const unsigned = logical.has(name) || spec.text === "immv" ||
    o.size < 64 && spec.text !== "simm8";
  return `$${number(unsigned ? BigInt.asUintN(o.size, value) : value)}`;
}

/** Suffix for an operand or address size. */
const suffixOf: Record<number, string> = { 8: "b", 16: "w", 32: "l", 64: "q" };

const conditions = ("o no b ae e ne be a s ns p np l ge le g").split(" ");

/** Suffix from the first operand with a general size. */
const bySize = new Set(
  ("ADD OR ADC SBB AND SUB XOR CMP INC DEC PUSH POP TEST XCHG MOV LEA ROL ROR RCL RCR SHL SHR SAR " +
    "NOT NEG MUL IMUL1 IMUL2 IMUL3 DIV IDIV SHLD SHRD BT BTS BTR BTC BSF BSR CMPXCHG XADD BSWAP " +
    "POPCNT TZCNT LZCNT MOVBE INS OUTS MOVS CMPS STOS LODS SCAS LAR LSL LSS LES LDS LFS LGS " +
    "LLDT LTR SMSW LMSW RDRAND RDSEED RDFSBASE RDGSBASE WRFSBASE WRGSBASE VMREAD VMWRITE MOVNTI " +
    "MOV_CR MOV_DR PUSH_SREG POP_SREG CMOVcc").split(" "),
);
/** Suffix from the effective operand size. */
const byOpSize = new Set(
  ("PUSHA POPA PUSHF POPF IRET RET_NEAR RET_FAR SGDT SIDT LGDT LIDT CALL_NEAR_REL CALL_NEAR_IND " +
    "JMP_NEAR_IND CALL_FAR_PTR CALL_FAR_MEM JMP_FAR_PTR JMP_FAR_MEM PUSH_SREG POP_SREG PUSH POP")
    .split(" "),
);
const renamed: Record<string, string> = {
  IMUL1: "imul",
  IMUL2: "imul",
  IMUL3: "imul",
  MOV_SREG: "mov",
  MOV_CR: "mov",
  MOV_DR: "mov",
  PUSH_SREG: "push",
  POP_SREG: "pop",
  CALL_NEAR_REL: "call",
  CALL_NEAR_IND: "call",
  CALL_FAR_PTR: "lcall",
  CALL_FAR_MEM: "lcall",
  JMP_NEAR_REL: "jmp",
  JMP_NEAR_IND: "jmp",
  JMP_FAR_PTR: "ljmp",
  JMP_FAR_MEM: "ljmp",
  RET_NEAR: "ret",
  RET_FAR: "lret",
  FWAIT: "wait",
  XLAT: "xlatb",
  UD1: "ud2b",
  PUSHA: "pusha",
  POPA: "popa",
  CWD: "cwd",
  FNENI: "feni8087_nop",
  FNDISI: "fdisi8087_nop",
  FNSETPM: "fsetpm",
};

// 0 to 7 for CMPPS, all 32 for VCMPPS.
const comparisons =
  ("eq lt le unord neq nlt nle ord eq_uq nge ngt false neq_oq ge gt true eq_os lt_oq " +
    "le_oq unord_s neq_us nlt_uq nle_uq ord_s eq_us nge_uq ngt_uq false_os neq_os ge_oq gt_oq true_us")
    .split(" ");

/** The comparison of CMPPS and its like, which Capstone makes part of the name. */
function predicateOf(insn: DecodedInsn): string | undefined {
  const last = insn.operands[insn.operands.length - 1];
  if (/^VPCMPU?[BWDQ]$/.test(insn.row.name) && last?.kind === "imm") {
    // 3 and 7 are always false and always true: they have no name.
    return last.value < 8 && (last.value & 3) !== 3 ? comparisons[last.value] : undefined;
  }
  const m = /^(V?)CMP[PS][SD]$/.exec(insn.row.name);
  if (m === null || last?.kind !== "imm") return undefined;
  return last.value < (m[1] ? 32 : 8) ? comparisons[last.value] : undefined;
}

function mnemonic(insn: DecodedInsn, bits: Bits): string {
  const { row, operands, opSize } = insn;
  const name = row.name;
  const suffix = suffixOf[opSize];
  switch (name) {
    case "CBW":
      return opSize === 16 ? "cbtw" : opSize === 32 ? "cwtl" : "cltq";
    case "CWD":
      return opSize === 16 ? "cwtd" : opSize === 32 ? "cltd" : "cqto";
    case "MOVZX":
    case "MOVSX": {
      const from = suffixOf[operands[1].size];
      return `${name.toLowerCase().slice(0, 4)}${from}${suffixOf[operands[0].size]}`;
    }
    case "MOVSXD":
      return "movslq";
    case "Jcc":
      return `j${conditions[insn.cond]}`;
    case "SETcc":
      return `set${conditions[insn.cond]}`;
    case "CMOVcc":
      return `cmov${conditions[insn.cond]}${suffix}`;
    case "JCXZ":
      return insn.addrSize === 64 ? "jrcxz" : insn.addrSize === 32 ? "jecxz" : "jcxz";
    case "MOV_SREG":
      return `mov${opSize !== 64 && operands.some((o) => o.kind === "mem") ? "w" : suffix}`;
    case "SLDT":
    case "STR":
      return name.toLowerCase() + (operands[0].kind === "mem" ? "w" : suffix);
    case "CRC32":
      return `crc32${suffixOf[operands[1].size]}`;
    case "VCVTPD2PS":
    case "VCVTPD2DQ":
    case "VCVTTPD2DQ": {
      const source = insn.vectorBits === 256 ? "y" : operands[1].kind === "mem" ? "x" : "";
      return name.toLowerCase() + source;
    }
    case "MOVQ":
      return row.operandSpecs.some((s) => s.text === "r/m64") ? "movd" : "movq";
    case "SYSRET":
      return opSize === 64 ? "sysretq" : "sysretl";
    case "IN":
    case "OUT": {
      const accumulator = operands[name === "IN" ? 0 : 1];
      return name.toLowerCase() + suffixOf[accumulator.size];
    }
    case "ROL":
      if (
        row.operandSpecs[1].kind === "one" && opSize === 32 && row.operandSpecs[0].text === "r/mv"
      ) {
        return operands[0].kind === "mem" ? "roll" : "rol";
      }
      break;
    case "NOP":
      if (row.mnemonic !== "NOP") return row.mnemonic.toLowerCase();
      if (operands.length > 0 && operands[0].kind === "mem") {
        return `nop${opSize === 16 ? "w" : "l"}`;
      }
      return "nop";
    case "MOV":
      if (row.operandSpecs.some((s) => s.kind === "moffs")) {
        return `${bits === 64 ? "movabs" : "mov"}${suffixOf[operands[0].size]}`;
      }
      if (opSize === 64 && row.operandSpecs[1].text === "immv") return "movabsq";
      break;
    case "SHL":
      if (row.alias) return `sal${suffixOf[operands[0].size]}`;
      break;
  }
  if (row.family === "x87") return x87Mnemonic(insn);
  const predicate = predicateOf(insn);
  if (predicate !== undefined) return name.toLowerCase().replace("cmp", `cmp${predicate}`);
  let text = renamed[row.mnemonic] ?? row.mnemonic.toLowerCase();
  if (bySize.has(name)) {
    const sized = operands.find((o) =>
      o.size in suffixOf && !(name === "OUTS" && o.kind === "gpr")
    );
    text += byOpSize.has(name) || sized === undefined ? suffix : suffixOf[sized.size];
  } else if (byOpSize.has(name)) text += suffix;
  else {
    const general = row.operandSpecs.findIndex((s) => s.text === "r/my");
    if (general >= 0) text += suffixOf[operands[general].size];
  }
  return text;
}

function x87Mnemonic(insn: DecodedInsn): string {
  const { row, operands } = insn;
  let text = renamed[row.mnemonic] ?? row.mnemonic.toLowerCase();
  const spec = row.operandSpecs[0];
  if (operands.length === 0 || operands[0].kind !== "mem") {
    // Capstone keeps the AT&T assembler's exchange of FSUB and FSUBR with a register destination.
    const m = row.byte === 0xde || row.byte === 0xdc ? /^(fsub|fdiv)(r?)(p?)$/.exec(text) : null;
    if (m) text = m[1] + (m[2] ? "" : "r") + m[3];
    return text;
  }
  if (spec.text.endsWith("int")) {
    text += { 16: "s", 32: "l", 64: "ll" }[operands[0].size as 16 | 32 | 64];
  } else if (spec.text.endsWith("fp")) {
    text += { 32: "s", 64: "l", 80: "t" }[operands[0].size as 32 | 64 | 80];
  }
  return text;
}

/** Operands that Capstone does not print. */
const implicit = /^<XMM0>$|\[DS:rDI\]$/;
/** Operations whose operands Capstone leaves out. */
const noOperands = new Set(["UD0", "UD1", "XLAT"]);
const starred = new Set(["CALL_NEAR_IND", "JMP_NEAR_IND", "CALL_FAR_MEM", "JMP_FAR_MEM"]);

/** Implicit operands of SVM instructions, which Capstone prints. */
function svmOperands(name: string, addrSize: number): string[] {
  const rax = `%${gprName(0, addrSize)}`;
  if (name === "INVLPGA") return ["%ecx", rax];
  return name === "SKINIT" ? ["%eax"] : /^VM(RUN|LOAD|SAVE)$/.test(name) ? [rax] : [];
}

function operandTexts(
  insn: DecodedInsn,
  address: bigint,
  bits: Bits,
  idle: IdlePrefixes,
): string[] {
  const { row, operands } = insn;
  if (noOperands.has(row.name)) return [];
  if (row.cpuid === "svm") return svmOperands(row.name, bits === 64 ? 64 : 32);
  let list: readonly Operand[] = operands.filter((_, i) =>
    !implicit.test(row.operandSpecs[i].text)
  );
  if (row.family === "x87") list = x87Operands(insn);
  if (/^AA[MD]$/.test(row.name) && (operands[0] as ImmOperand).value === 10) return [];
  if (predicateOf(insn) !== undefined) list = list.slice(0, -1);
  if (row.name === "NOP" && list.length === 2 && list[0].kind === "mem") list = [list[0]];
  const texts = list.map((o, i) => operandText(printedAs(o, i, insn), insn, address, bits, idle));
  if (row.name === "ENTER") return texts;
  return decorate(texts, insn).reverse();
}

const ST0: RegOperand = { kind: "st", size: 80, reg: 0, high: false };

/** Capstone leaves ST(0) out, but for DC, FCMOVcc and the redundant encodings. */
function x87Operands({ row, operands }: DecodedInsn): readonly Operand[] {
  if (row.alias && operands.length === 1) {
    return row.name === "FSTP" ? [operands[0], ST0] : [ST0, operands[0]];
  }
  if (operands.length < 2 || row.byte === 0xdc || row.name.startsWith("FCMOV")) return operands;
  return [row.operandSpecs[0].text === "ST(i)" ? operands[0] : operands[1]];
}

const prints32 = new Set(["PEXTRW", "PMOVMSKB", "MOVMSKPS", "MOVMSKPD", "PEXTRB", "EXTRACTPS"]);

/** Registers whose name Capstone takes from the instruction rather than from the access. */
function printedAs(o: Operand, i: number, insn: DecodedInsn): Operand {
  if (o.kind !== "gpr") return o;
  const name = insn.row.name.replace(/^V(?=P?(EXTR|MOVMSK))/, "");
  if (name === "MOV_SREG") return { ...o, size: insn.opSize };
  if (name === "MOVSXD" && i === 0) return { ...o, size: 64 };
  if (prints32.has(name)) return { ...o, size: 32 };
  return o;
}

function operandText(
  o: Operand,
  insn: DecodedInsn,
  address: bigint,
  bits: Bits,
  idle: IdlePrefixes,
): string {
  const star = starred.has(insn.row.name) ? "*" : "";
  switch (o.kind) {
    case "mem":
      return star + memText(o, insn, bits, idle);
    case "imm":
      return immText(o, insn);
    case "rel": {
      const target = address + BigInt(insn.length) + BigInt(o.value);
      // CALL and JMP rel16 and rel32 wrap as the operand size does, the others as the mode does.
      const near = o.size !== 8 && /^(CALL|JMP)_NEAR_REL$/.test(insn.row.name);
      return number(BigInt.asUintN(near ? insn.opSize : bits, target));
    }
    case "far":
      return `$0x${o.selector.toString(16)}:$0x${o.offset.toString(16)}`;
    default:
      return star + registerText(o);
  }
}

/** Instruction text such as `addl     %edx, 0x40(%rbx, %rsi)`, mnemonic padded to 8 and a space. */
export function disassemble(
  insn: DecodedInsn,
  address: bigint,
  bits: Bits,
  idle: IdlePrefixes = NO_PREFIXES,
): string {
  let name = mnemonic(insn, bits);
  if (insn.lock) name = `lock ${name}`;
  else if (insn.rep !== 0 && insn.row.prefix === Mandatory.Any && insn.row.rep !== undefined) {
    name = `${insn.rep === 0xf2 ? "repne" : insn.row.rep === "rep" ? "rep" : "repe"} ${name}`;
  } else if (idle.f2 && branches.test(insn.row.name)) name = `bnd ${name}`;
  return `${name.padEnd(8)} ${operandTexts(insn, address, bits, idle).join(", ")}`;
}

/** One line or more of a listing. */
export interface ListedInsn {
  readonly address: bigint;
  /** Bytes it takes; 1 when they are no instruction. */
  readonly length: number;
  readonly text: string;
}

/** Disassembles at `bytes[at]`; bytes that are no instruction list as `.byte`. */
export function disassembleAt(
  bytes: Uint8Array,
  at: number,
  avail: number,
  address: bigint,
  bits: Bits,
): ListedInsn {
  const insn = decode(bytes, at, avail, { bits });
  if (typeof insn !== "string") {
    return {
      address,
      length: insn.length,
      text: disassemble(insn, address, bits, idlePrefixes(bytes, at, bits)),
    };
  }
  return { address, length: 1, text: `.byte    0x${bytes[at].toString(16).padStart(2, "0")}` };
}

/** Bytes that QEMU shows on a line before it continues on the next. */
const BYTES_PER_LINE = 8;

/**
 * Lines as HMP `x /i` and `-d in_asm` print them, without line ends:
 * `0x000f0278:  48 69 d2 11 00 00 00     imulq    $0x11, %rdx, %rdx`; a long instruction takes
 * a second line with the rest of its bytes.
 */
export function listingLines(line: ListedInsn, bytes: Uint8Array, at: number): string[] {
  const lines: string[] = [];
  for (let i = 0; i < line.length; i += BYTES_PER_LINE) {
    const part = bytes.subarray(at + i, at + Math.min(i + BYTES_PER_LINE, line.length));
    const address = (line.address + BigInt(i)).toString(16).padStart(8, "0");
    const hex = Array.from(part, (b) => ` ${b.toString(16).padStart(2, "0")}`).join("");
    lines.push(
      `0x${address}: ${i === 0 ? `${hex.padEnd(3 * BYTES_PER_LINE)}  ${line.text}` : hex}`,
    );
  }
  return lines;
}
