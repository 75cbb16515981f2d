/**
 * Rows of the opcode table: what a line of the tables in this folder means and how it is parsed.
 *
 * A line is `opcode | operation operands | flags` in the notation of the Intel SDM, volume 2,
 * chapter 3.1.1. `docs/adding-an-instruction.md` explains the few shorthands.
 */
import type { OpcodeRow, OpSize } from "../insn.ts";

/** Sizes in bits for an effective operand size of 16, 32 and 64. */
export type SizeTriple = readonly [OpSize, OpSize, OpSize];

/** Where an operand's number or value stands in the encoding. */
export const enum Role {
  /** Not encoded: a fixed register, the constant 1 or a string operand. */
  Fixed,
  /** ModRM.reg, extended by REX.R or VEX.R. */
  Reg,
  /** ModRM.rm, register or memory. */
  Rm,
  /** Low three bits of the opcode (or of the fixed ModRM byte), extended by REX.B. */
  Opcode,
  /** VEX.vvvv. */
  Vvvv,
  /** Bits 7:4 of the last immediate byte. */
  Is4,
  /** Immediate bytes after ModRM, SIB and displacement. */
  Imm,
}

export type RegKind = "gpr" | "sreg" | "creg" | "dreg" | "st" | "mm" | "xmm" | "k";

/** One operand of a row, resolved from the SDM's notation. */
export interface OperandSpec {
  /** As written, such as `r/mv`. */
  readonly text: string;
  readonly kind: RegKind | "mem" | "imm" | "rel" | "far" | "moffs" | "one";
  readonly role: Role;
  /** Register kind of the register form; undefined when there is only a memory form. */
  readonly reg: RegKind | undefined;
  /** Width of the register form, the immediate as the operation sees it, or the displacement. */
  readonly sizes: SizeTriple;
  /** Width of the memory form; undefined when there is only a register form. */
  readonly memSizes: SizeTriple | undefined;
  /** Register number of a {@link Role.Fixed} register, base GPR of a fixed memory operand. */
  readonly fixed: number;
  /** Fixed memory operand through ES that no prefix overrides (`[rDI]` of string instructions). */
  readonly es: boolean;
  /** Bytes of an immediate in the encoding, for an operand size of 16, 32 and 64. */
  readonly bytes: readonly [number, number, number];
  /** The immediate is sign-extended. */
  readonly signed: boolean;
  /** `vm32x`, `vm64y`…: SIB index is a vector register of this many bits; 0 otherwise. */
  readonly vsib: 0 | 128 | 256 | 512;
}

/** Mandatory prefix of a row. */
export const enum Mandatory {
  /** Prefixes keep their ordinary meaning. */
  Any,
  /** `NP`: none of 66, F2, F3. */
  None,
  P66,
  F3,
  F2,
  /** `NFx`: neither F2 nor F3; 66 is the operand size. */
  NoRep,
}

/** Opcode maps. The VEX and EVEX maps follow the legacy ones in the same order. */
export const enum OpMap {
  One,
  M0F,
  M0F38,
  M0F3A,
  Vex0F,
  Vex0F38,
  Vex0F3A,
  /** `0F 0F /r xx`: the opcode byte is last. */
  Now3D,
  Evex0F,
  Evex0F38,
  Evex0F3A,
}
/** Number of opcode maps. */
export const OP_MAPS = 11;

/** What EVEX rows have besides. Intel SDM volume 2, chapter 2.7. */
export interface EvexRow {
  /** `{k1}`: a mask is allowed, or must be there (gathers, scatters). */
  readonly masking: "none" | "optional" | "required";
  /** `{z}` */
  readonly zeroing: boolean;
  /** `m32bcst`: bits of the element that may stand for a whole memory operand, or 0. */
  readonly broadcast: 0 | 32 | 64;
  /** `{er}`: rounding may be part of a register form; `{sae}`: only the suppression of exceptions. */
  readonly rounding: boolean;
  readonly sae: boolean;
  /** Bytes of the destination's elements that mask bits belong to, and of the sources'. */
  readonly element: 1 | 2 | 4 | 8;
  readonly source: 1 | 2 | 4 | 8;
  /** Elements can raise floating-point exceptions: those left out must not. */
  readonly float: boolean;
  /** Elements of a memory operand that are left out are not accessed. */
  readonly suppress: boolean;
  /** What an 8-bit displacement counts in: bytes of the memory operand, unless given here. */
  readonly disp8: number;
}

/** An {@link OpcodeRow} with what the decoder, disassembler, encoder and test generator need. */
export interface TableRow extends OpcodeRow {
  /** Index into the table. */
  readonly id: number;
  /** Table file it came from: `integer`, `system`, `x87`… */
  readonly family: string;
  /** Mnemonic to print when it is not the operation's name. */
  readonly mnemonic: string;
  readonly map: OpMap;
  /** First opcode byte value (after the map's escape bytes). */
  readonly byte: number;
  /** Number of consecutive opcode bytes: 8 for `+r`, 16 for `+cc`, else 1. */
  readonly span: 1 | 8 | 16;
  /** `+cc`: the low four bits of the opcode are the condition. */
  readonly condition: boolean;
  readonly prefix: Mandatory;
  /** REX.W or VEX.W demanded: 0, 1, or -1 for any. */
  readonly w: -1 | 0 | 1;
  /** VEX.L or EVEX.L'L demanded: 0, 1, 2, or -1 for any (and for legacy rows). */
  readonly l: -1 | 0 | 1 | 2;
  /** VEX or EVEX. */
  readonly vex: boolean;
  /** For EVEX rows only. */
  readonly evex: EvexRow | undefined;
  /** A ModRM byte follows. */
  readonly modrm: boolean;
  /** ModRM.reg as opcode extension, or -1. */
  readonly digit: number;
  /** Whole ModRM byte as opcode extension, or -1; with {@link fixedSpan} 8 its low bits are free. */
  readonly fixedModrm: number;
  readonly fixedSpan: 1 | 8;
  /** ModRM.mod must select memory, must be 3, or is free. */
  readonly mod: "mem" | "reg" | "any";
  /** ModRM.mod is ignored and taken as 3 (MOV to and from CRn, DRn). */
  readonly modIgnored: boolean;
  /** Operand size is 64 in 64-bit mode whatever the prefixes say. */
  readonly forced64: boolean;
  /** Only when REX.B is clear (NOP, PAUSE at 90). */
  readonly noB: boolean;
  /** VEX.W is ignored outside 64-bit mode although `w` is given. */
  readonly wig32: boolean;
  /**
   * Operation to perform instead of #UD when the CPUID feature is missing, because the prefix that
   * selects the row was a hint before (LZCNT is BSR, TZCNT is BSF). Operands are the same.
   */
  readonly fallback: string | undefined;
  /** Another, undocumented or redundant encoding of an operation that has a regular row. */
  readonly alias: boolean;
  readonly operandSpecs: readonly OperandSpec[];
}

const V: SizeTriple = [16, 32, 64];
const Z: SizeTriple = [16, 32, 32];
const Y: SizeTriple = [32, 32, 64];
const fixedSize = (n: number): SizeTriple => [n as OpSize, n as OpSize, n as OpSize];

/** Memory operands whose notation is not `m` and a number. */
const memNames: Record<string, SizeTriple> = {
  "": fixedSize(0),
  v: V,
  z: Z,
  y: Y,
  "16:z": [32, 48, 48],
  "16:v": [32, 48, 80],
  "16&s": [48, 48, 80],
  "v&v": [32, 64, 0],
  "14/28byte": [112, 224, 224],
  "94/108byte": [752, 864, 864],
  "512byte": fixedSize(4096),
  byte: fixedSize(8),
};

const fixedRegs: Record<string, [RegKind, number, SizeTriple]> = {
  AL: ["gpr", 0, fixedSize(8)],
  AX: ["gpr", 0, fixedSize(16)],
  EAX: ["gpr", 0, fixedSize(32)],
  rAX: ["gpr", 0, V],
  eAX: ["gpr", 0, Z],
  CL: ["gpr", 1, fixedSize(8)],
  DX: ["gpr", 2, fixedSize(16)],
  "ST(0)": ["st", 0, fixedSize(80)],
  "ST(1)": ["st", 1, fixedSize(80)],
  "<XMM0>": ["xmm", 0, fixedSize(128)],
  ES: ["sreg", 0, fixedSize(16)],
  CS: ["sreg", 1, fixedSize(16)],
  SS: ["sreg", 2, fixedSize(16)],
  DS: ["sreg", 3, fixedSize(16)],
  FS: ["sreg", 4, fixedSize(16)],
  GS: ["sreg", 5, fixedSize(16)],
};

const baseRegs: Record<string, number> = { rAX: 0, rBX: 3, rSI: 6, rDI: 7, "DS:rDI": 7 };

const immediates: Record<
  string,
  ["imm" | "rel" | "far", SizeTriple, [number, number, number], boolean]
> = {
  imm8: ["imm", fixedSize(8), [1, 1, 1], false],
  imm16: ["imm", fixedSize(16), [2, 2, 2], false],
  simm8: ["imm", V, [1, 1, 1], true],
  immz: ["imm", V, [2, 4, 4], true],
  immv: ["imm", V, [2, 4, 8], true],
  imm32: ["imm", fixedSize(32), [4, 4, 4], true],
  rel8: ["rel", fixedSize(8), [1, 1, 1], true],
  relz: ["rel", Z, [2, 4, 4], true],
  "ptr16:z": ["far", [32, 48, 48], [4, 6, 6], false],
};

function memSizesOf(text: string): SizeTriple | undefined {
  if (text in memNames) return memNames[text];
  const m = /^(\d+)(fp|int|bcd)?$/.exec(text);
  return m ? fixedSize(Number(m[1])) : undefined;
}

function regOf(text: string): [RegKind, SizeTriple] | undefined {
  const m = /^r(8|16|32|64|v|y|z)[ab]?$/.exec(text);
  if (m) {
    return ["gpr", m[1] === "v" ? V : m[1] === "y" ? Y : m[1] === "z" ? Z : fixedSize(+m[1])];
  }
  if (/^mm\d?$/.test(text)) return ["mm", fixedSize(64)];
  if (/^xmm\d?$/.test(text)) return ["xmm", fixedSize(128)];
  if (/^ymm\d?$/.test(text)) return ["xmm", fixedSize(256)];
  if (/^zmm\d?$/.test(text)) return ["xmm", fixedSize(512)];
  if (/^k\d?$/.test(text)) return ["k", fixedSize(64)];
  if (text === "ST(i)") return ["st", fixedSize(80)];
  if (text === "Sreg") return ["sreg", fixedSize(16)];
  if (text === "CRn") return ["creg", Y];
  if (text === "DRn") return ["dreg", Y];
  return undefined;
}

type Draft = { -readonly [K in keyof OperandSpec]: OperandSpec[K] };

const drafts = new Map<string, readonly [Draft, Role | undefined]>();

/** Parses one operand; `role` is still open (`undefined`) where the encoding must tell. */
function parseOperand(text: string): [Draft, Role | undefined] {
  let d = drafts.get(text);
  if (d === undefined) drafts.set(text, d = draftOf(text));
  return [{ ...d[0] }, d[1]];
}

function draftOf(text: string): readonly [Draft, Role | undefined] {
  const spec: Draft = {
    text,
    kind: "imm",
    role: Role.Fixed,
    reg: undefined,
    sizes: fixedSize(0),
    memSizes: undefined,
    fixed: -1,
    es: false,
    bytes: [0, 0, 0],
    signed: false,
    vsib: 0,
  };
  if (text === "1") {
    spec.kind = "one";
    spec.sizes = fixedSize(8);
    return [spec, Role.Fixed];
  }
  const fixed = fixedRegs[text];
  if (fixed) {
    [spec.kind, spec.fixed, spec.sizes] = fixed;
    spec.reg = fixed[0];
    return [spec, Role.Fixed];
  }
  const imm = immediates[text];
  if (imm) {
    [spec.kind, spec.sizes, spec.bytes, spec.signed] = imm;
    return [spec, Role.Imm];
  }
  let m = /^moffs(8|v)$/.exec(text);
  if (m) {
    spec.kind = "moffs";
    spec.memSizes = m[1] === "8" ? fixedSize(8) : V;
    return [spec, Role.Imm];
  }
  m = /^m(.*)\[(.+)\]$/.exec(text);
  if (m) {
    spec.kind = "mem";
    spec.memSizes = memSizesOf(m[1]);
    spec.fixed = baseRegs[m[2]];
    spec.es = m[2] === "rDI";
    if (spec.memSizes === undefined || spec.fixed === undefined) throw new Error(text);
    return [spec, Role.Fixed];
  }
  m = /^vm(32|64)([xyz])$/.exec(text);
  if (m) {
    spec.kind = "mem";
    spec.memSizes = fixedSize(Number(m[1]));
    spec.vsib = m[2] === "x" ? 128 : m[2] === "y" ? 256 : 512;
    return [spec, Role.Rm];
  }
  m = /^r\/m(8|16|32|64|v|y|z)$/.exec(text);
  const pair = m ? ["r" + m[1], m[1]] : /^([^/]+)\/m(.*)$/.exec(text)?.slice(1);
  if (pair && regOf(pair[0])) {
    [spec.kind, spec.sizes] = regOf(pair[0])!;
    spec.reg = spec.kind as RegKind;
    spec.memSizes = memSizesOf(pair[1]);
    if (spec.memSizes === undefined) throw new Error(`bad operand ${text}`);
    return [spec, Role.Rm];
  }
  const reg = regOf(text);
  if (reg) {
    [spec.kind, spec.sizes] = reg;
    spec.reg = reg[0];
    const only = reg[0] === "sreg" || reg[0] === "creg" || reg[0] === "dreg";
    return [spec, only ? Role.Reg : undefined];
  }
  if (text.startsWith("m")) {
    spec.kind = "mem";
    spec.memSizes = memSizesOf(text.slice(1));
    if (spec.memSizes !== undefined) return [spec, Role.Rm];
  }
  throw new Error(`bad operand ${text}`);
}

/** Letters of the SDM's "Op/En" column, for rows whose operand order is not the usual one. */
const enRoles: Record<string, Role> = {
  R: Role.Reg,
  M: Role.Rm,
  V: Role.Vvvv,
  O: Role.Opcode,
  S: Role.Is4,
};

/** Gives the operands their places: `en` when stated, else the SDM's usual order. */
function assignRoles(
  drafts: [Draft, Role | undefined][],
  head: { span: number; fixedSpan: number; digit: number; slashR: boolean; vex: boolean },
  en: string | undefined,
): void {
  const open = drafts.filter(([, role]) => role === undefined);
  for (const [spec, role] of drafts) if (role !== undefined) spec.role = role;
  if (en !== undefined) {
    const encoded = drafts.filter(([spec, role]) =>
      role === undefined || spec.role === Role.Rm || spec.role === Role.Reg
    );
    encoded.forEach(([spec], i) => spec.role = enRoles[en[i]]);
    return;
  }
  const has = (role: Role) => drafts.some(([, r]) => r === role);
  const places: Role[] = [];
  if (head.span === 8 || head.fixedSpan === 8) places.push(Role.Opcode);
  if (head.slashR && !has(Role.Reg)) places.push(Role.Reg);
  const rmFree = (head.slashR || head.digit >= 0) && !has(Role.Rm) ? 1 : 0;
  if (head.vex && open.length > places.length + rmFree) places.push(Role.Vvvv);
  if (rmFree) places.push(Role.Rm);
  if (head.vex && open.length > places.length) places.push(Role.Is4);
  open.forEach(([spec], i) => {
    if (places[i] === undefined) throw new Error(`no place for operand ${spec.text}`);
    spec.role = places[i];
  });
}

/** Flags that are not CPUID features. */
const flagWords = new Set(
  "lock cpl0 iopl i64 o64 pm d64 f64 rep repz modany mem mod3 alias noB wig32 fp nf km".split(" "),
);
/** Bytes of elements, of the sources' elements, and the unit of displacements, of EVEX rows. */
const elementWord = /^([esn])([1248])$/;

/** CPUID features a row may ask for, by QEMU's `-cpu` names. */
export const featureNames: ReadonlySet<string> = new Set(
  ("fpu tsc msr cx8 sep cmov clflush mmx fxsr sse sse2 pni ssse3 sse4.1 sse4.2 popcnt movbe aes " +
    "pclmulqdq xsave xsaveopt xsavec xsaves rdrand fma f16c avx avx2 bmi1 bmi2 adx rdseed smap " +
    "clflushopt clwb sha-ni lahf-lm abm 3dnow 3dnowext 3dnowprefetch rdtscp syscall lm monitor vmx " +
    "smx svm fsgsbase invpcid rdpid pku rtm cx16 vaes vpclmulqdq gfni sse4a mmxext " +
    "avx512f avx512cd avx512bw avx512dq avx512vl").split(" "),
);

const mandatoryWords: Record<string, Mandatory> = {
  NP: Mandatory.None,
  NFx: Mandatory.NoRep,
  "66": Mandatory.P66,
  F3: Mandatory.F3,
  F2: Mandatory.F2,
};
const vexPrefix: Record<string, Mandatory> = {
  NP: Mandatory.None,
  "66": Mandatory.P66,
  F3: Mandatory.F3,
  F2: Mandatory.F2,
};
const vexMaps: Record<string, OpMap> = {
  "0F": OpMap.Vex0F,
  "0F38": OpMap.Vex0F38,
  "0F3A": OpMap.Vex0F3A,
};
const evexMaps: Record<string, OpMap> = {
  "0F": OpMap.Evex0F,
  "0F38": OpMap.Evex0F38,
  "0F3A": OpMap.Evex0F3A,
};

interface Head {
  prefix: Mandatory;
  w: -1 | 0 | 1;
  l: -1 | 0 | 1 | 2;
  vex: boolean;
  evex: boolean;
  map: OpMap;
  byte: number;
  span: 1 | 8 | 16;
  condition: boolean;
  slashR: boolean;
  digit: number;
  fixedModrm: number;
  fixedSpan: 1 | 8;
}

/** Parses the opcode column. */
function parseOpcode(text: string): Head {
  const head: Head = {
    prefix: Mandatory.Any,
    w: -1,
    l: -1,
    vex: false,
    evex: false,
    map: OpMap.One,
    byte: -1,
    span: 1,
    condition: false,
    slashR: false,
    digit: -1,
    fixedModrm: -1,
    fixedSpan: 1,
  };
  const words = text.split(" ");
  const hex: number[] = [];
  let at = 0;
  for (; at < words.length; at++) {
    const word = words[at];
    // After VEX an F2 or F3 is the opcode.
    if (word in mandatoryWords && !head.vex) head.prefix = mandatoryWords[word];
    else if (word === "REX.W") head.w = 1;
    else if (/^E?VEX\./.test(word)) parseVex(word, head);
    else break;
  }
  if (at === words.length) throw new Error(`no opcode in ${text}`);
  for (; at < words.length; at++) {
    const word = words[at];
    const m = /^([0-9A-F]{2})(\+(r[bvwdo]|cc|i))?$/.exec(word);
    if (m) {
      hex.push(parseInt(m[1], 16));
      if (m[3] === "cc") [head.span, head.condition] = [16, true];
      else if (m[3] === "i") head.fixedSpan = 8;
      else if (m[3] !== undefined) head.span = 8;
    } else if (word === "/r") head.slashR = true;
    else if (/^\/[0-7]$/.test(word)) head.digit = Number(word[1]);
    else if (!/^(i[bwdzvo]|c[bwdpz]|\/is4)$/.test(word)) throw new Error(`bad opcode ${text}`);
  }
  if (!head.vex && hex[0] === 0x0f && hex.length > 1) {
    const escape = hex[1];
    head.map = escape === 0x38
      ? OpMap.M0F38
      : escape === 0x3a
      ? OpMap.M0F3A
      : escape === 0x0f
      ? OpMap.Now3D
      : OpMap.M0F;
    hex.splice(0, head.map === OpMap.M0F ? 1 : 2);
  }
  head.byte = hex[0];
  if (hex.length === 2) head.fixedModrm = hex[1];
  if (hex.length === 0 || hex.length > 2) throw new Error(`bad opcode ${text}`);
  return head;
}

function parseVex(word: string, head: Head): void {
  head.vex = true;
  head.evex = word.startsWith("EVEX.");
  head.prefix = Mandatory.None;
  const maps = head.evex ? evexMaps : vexMaps;
  for (const part of word.split(".").slice(1)) {
    if (part === "128" || part === "LZ" || part === "L0") head.l = 0;
    else if (part === "256" || part === "L1") head.l = 1;
    else if (part === "512" && head.evex) head.l = 2;
    else if (part === "W0") head.w = 0;
    else if (part === "W1") head.w = 1;
    else if (part in maps) head.map = maps[part];
    else if (part in vexPrefix) head.prefix = vexPrefix[part];
    else if (part !== "LIG" && part !== "WIG") throw new Error(`bad VEX field ${part} in ${word}`);
  }
}

/** Parses one line. `id` is the index it will have in the whole table. */
export function parseRow(line: string, family: string, id: number): TableRow {
  const [opcode, syntax, flagText = ""] = line.split("|").map((s) => s.trim().replace(/ +/g, " "));
  try {
    return buildRow(opcode, syntax, flagText, family, id);
  } catch (e) {
    throw new Error(`opcode table, ${family}: "${line}": ${(e as Error).message}`);
  }
}

function buildRow(
  opcode: string,
  syntax: string,
  flagText: string,
  family: string,
  id: number,
): TableRow {
  const flags = new Set<string>();
  const values: Record<string, string> = {};
  const elements: Record<string, number> = {};
  let cpuid: string | undefined, also: string | undefined;
  for (const word of flagText.split(" ").filter((w) => w !== "")) {
    const eq = word.indexOf("=");
    if (eq > 0) values[word.slice(0, eq)] = word.slice(eq + 1);
    else if (flagWords.has(word)) flags.add(word);
    else if (featureNames.has(word)) cpuid === undefined ? cpuid = word : also = word;
    else if (elementWord.test(word)) elements[word[0]] = Number(word[1]);
    else throw new Error(`unknown flag ${word}`);
  }
  const head = parseOpcode(opcode);
  const space = syntax.indexOf(" ");
  const name = space < 0 ? syntax : syntax.slice(0, space);
  const written = space < 0 ? "" : syntax.slice(space + 1);
  const operandTexts = written === ""
    ? []
    : written.replace(EVEX_DECORATIONS, "").split(",").map((s) => s.trim());
  const drafts = operandTexts.map(parseOperand);
  assignRoles(drafts, head, values.en);
  const specs: OperandSpec[] = drafts.map(([spec]) => spec);
  const rm = specs.find((s) => s.role === Role.Rm);
  const mod = flags.has("mem")
    ? "mem"
    : flags.has("mod3") || head.fixedModrm >= 0
    ? "reg"
    : rm === undefined || flags.has("modany")
    ? "any"
    : rm.memSizes === undefined
    ? "reg"
    : rm.reg === undefined
    ? "mem"
    : "any";
  const only64 = flags.has("o64") || (head.w === 1 && !head.vex);
  const default64 = flags.has("d64") || flags.has("f64");
  return {
    id,
    family,
    name,
    mnemonic: values.as ?? name,
    syntax,
    opcode,
    cpuid,
    also,
    lock: flags.has("lock"),
    privilege: flags.has("cpl0") ? "cpl0" : flags.has("iopl") ? "iopl" : undefined,
    valid: { bits16: !only64, bits32: !only64, bits64: !flags.has("i64") },
    protectedOnly: flags.has("pm") || head.vex,
    default64,
    vmx: values.vmx,
    rep: flags.has("rep") ? "rep" : flags.has("repz") ? "repz" : undefined,
    map: head.map,
    byte: head.byte,
    span: head.span,
    condition: head.condition,
    prefix: head.prefix,
    w: head.w,
    l: head.l,
    vex: head.vex,
    evex: head.evex ? evexRow(written, flags, elements) : undefined,
    modrm: head.slashR || head.digit >= 0 || head.fixedModrm >= 0,
    digit: head.digit,
    fixedModrm: head.fixedModrm,
    fixedSpan: head.fixedSpan,
    mod,
    modIgnored: flags.has("modany"),
    forced64: flags.has("f64"),
    noB: flags.has("noB"),
    wig32: flags.has("wig32"),
    fallback: values.else,
    alias: flags.has("alias"),
    operandSpecs: specs,
  };
}

/** What EVEX operands have behind them. */
const EVEX_DECORATIONS = /\{\w+\}|\/m\d+bcst/g;

function evexRow(
  operands: string,
  flags: ReadonlySet<string>,
  elements: Readonly<Record<string, number>>,
): EvexRow {
  const broadcast = Number(/m(\d+)bcst/.exec(operands)?.[1] ?? 0) as EvexRow["broadcast"];
  const rounding = operands.includes("{er}"), sae = rounding || operands.includes("{sae}");
  const masked = /\{k\d\}/.test(operands);
  const source = elements.s ?? (broadcast / 8 || elements.e), element = elements.e ?? source;
  if (masked && element === undefined) throw new Error("no element size");
  return {
    masking: !masked ? "none" : flags.has("km") ? "required" : "optional",
    zeroing: operands.includes("{z}"),
    broadcast,
    rounding,
    sae,
    element: (element ?? 8) as EvexRow["element"],
    source: (source ?? 8) as EvexRow["source"],
    float: sae || flags.has("fp"),
    suppress: !flags.has("nf"),
    disp8: elements.n ?? 0,
  };
}

/**
 * Vector lengths of a row with `EVEX.VL` (or `EVEX.VH`, from 256 bits): register and memory names for
 * a whole vector (`vmm`, `mV`), half, a quarter and an eighth of it, and vectors of indices.
 */
const LENGTHS = [
  {
    bits: 128,
    v: "xmm",
    V: 128,
    h: "xmm",
    H: 64,
    q: "xmm",
    Q: 32,
    o: "xmm",
    O: 16,
    x: "x",
    X: "x",
  },
  {
    bits: 256,
    v: "ymm",
    V: 256,
    h: "xmm",
    H: 128,
    q: "xmm",
    Q: 64,
    o: "xmm",
    O: 32,
    x: "y",
    X: "x",
  },
  {
    bits: 512,
    v: "zmm",
    V: 512,
    h: "ymm",
    H: 256,
    q: "xmm",
    Q: 128,
    o: "xmm",
    O: 64,
    x: "z",
    X: "y",
  },
] as const;

/** The rows that a line stands for: one, or one for each vector length. */
function expand(line: string): string[] {
  const m = /EVEX\.V([LH])\./.exec(line);
  if (m === null) return [line];
  const [opcode, syntax, flags] = line.split("|");
  const float = /\{(er|sae)\}/.test(syntax);
  return LENGTHS.slice(m[1] === "H" ? 1 : 0).map((n) => {
    let operands = syntax
      .replace(/\b([vhqo])mm(?=\d)/g, (_, k: "v" | "h" | "q" | "o") => n[k])
      .replace(/\bm([VHQO])\b/g, (_, k: "V" | "H" | "Q" | "O") => `m${n[k]}`)
      .replace(/\bvm(32|64)([VH])\b/g, (_, w, k) => `vm${w}${k === "V" ? n.x : n.X}`);
    // Only the longest vectors leave room for a rounding control in the prefix.
    if (n.bits < 512) operands = operands.replace(/\{(er|sae)\}/g, "");
    const head = opcode.replace(/EVEX\.V[LH]\./, `EVEX.${n.bits}.`);
    return `${head}|${operands}|${flags}${float ? " fp" : ""}${n.bits < 512 ? " avx512vl" : ""}`;
  });
}

/** Parses a family's text: one row a line, or several; blank lines and `;` comments skipped. */
export function parseRows(text: string, family: string, firstId: number): TableRow[] {
  const rows: TableRow[] = [];
  for (const line of text.split("\n")) {
    const body = line.split(";")[0].trim();
    if (body === "") continue;
    for (const one of expand(body)) rows.push(parseRow(one, family, firstId + rows.length));
  }
  return rows;
}
