/**
 * The instruction decoder: bytes to {@link Insn}, driven by the opcode table.
 * Intel SDM volume 2, chapter 2 (instruction format) and appendix A (opcode maps).
 *
 * At load each row becomes a cell entry by mode, map and opcode byte. Opcodes whose rows differ by
 * mandatory prefix, ModRM or W get a look-up array, filled as combinations are met, so that decoding
 * does no searching in the steady state.
 */
import type {
  DecodeMode,
  Evex,
  FarOperand,
  ImmOperand,
  Insn,
  MemOperand,
  Operand,
  OpSize,
  RegOperand,
  RelOperand,
} from "./insn.ts";
import { Seg } from "./insn.ts";
import { displacementUnit, evexOf, rmNumber, VECTOR_BITS } from "./decode_evex.ts";
import { Mandatory, OP_MAPS, OpMap, type RegKind, Role, type TableRow } from "./table/row.ts";
import { opcodeTable } from "./table/table.ts";

/**
 * Why there is no instruction:
 * - `short`: more bytes than `avail` are needed; fetch on (a fault there is a fetch fault) and retry.
 * - `invalid`: #UD.
 * - `toolong`: over 15 bytes, #GP(0).
 */
export type DecodeFault = "short" | "invalid" | "toolong";

/** An {@link Insn} as the decoder makes it: its row is a table row. */
export interface DecodedInsn extends Insn {
  readonly row: TableRow;
}

/** Longest instruction in bytes. */
export const MAX_INSN_LENGTH = 15;

// Prefix classes by first byte. REX only exists in 64-bit mode.
const enum Pfx {
  None,
  OpSize,
  AddrSize,
  Lock,
  Rep,
  Seg,
  Rex,
}

function prefixTable(bits: 16 | 32 | 64): Uint8Array {
  const t = new Uint8Array(256);
  t[0x66] = Pfx.OpSize;
  t[0x67] = Pfx.AddrSize;
  t[0xf0] = Pfx.Lock;
  t[0xf2] = t[0xf3] = Pfx.Rep;
  for (const b of [0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65]) t[b] = Pfx.Seg;
  if (bits === 64) t.fill(Pfx.Rex, 0x40, 0x50);
  return t;
}
const PREFIXES = [prefixTable(16), prefixTable(32), prefixTable(64)];

/** ES, CS, SS, DS are ignored in 64-bit mode; a preceding FS or GS stays in force. */
function segmentOf(byte: number, bits: number, previous: number): number {
  if (byte >= 0x64) return byte - 0x64 + Seg.FS;
  return bits === 64 ? previous : (byte - 0x26) >> 3;
}

// ---- interned register operands ---------------------------------------------------------------

function regs(kind: RegKind, size: OpSize, count: number): RegOperand[] {
  return Array.from({ length: count }, (_, reg) => ({ kind, size, reg, high: false }));
}
const GPR8 = regs("gpr", 8, 16);
const GPR8_LEGACY: RegOperand[] = GPR8.slice(0, 4).concat(
  Array.from({ length: 4 }, (_, reg) => ({ kind: "gpr", size: 8, reg, high: true })),
);
const GPR16 = regs("gpr", 16, 16);
const GPR32 = regs("gpr", 32, 16);
const GPR64 = regs("gpr", 64, 16);
const SREG = regs("sreg", 16, 6);
const CREG = [regs("creg", 32, 9), regs("creg", 64, 9)];
const DREG = [regs("dreg", 32, 8), regs("dreg", 64, 8)];
const ST = regs("st", 80, 8);
const MM = regs("mm", 64, 8);
const XMM = regs("xmm", 128, 32);
const YMM = regs("xmm", 256, 32);
const ZMM = regs("xmm", 512, 32);
const K = regs("k", 64, 8);

/** CR0, CR2, CR3, CR4, CR8 exist. */
const CR_EXISTS = 0b1_0001_1101;

// ---- compiled rows and cells ------------------------------------------------------------------

const enum Op {
  Reg,
  Rm,
  OpReg,
  Vvvv,
  Is4,
  Fixed,
  One,
  FixedMem,
  Imm,
  Rel,
  Far,
  Moffs,
}

interface CompiledOperand {
  readonly op: Op;
  readonly kind: RegKind | undefined;
  readonly sizes: readonly [OpSize, OpSize, OpSize];
  readonly memSizes: readonly [OpSize, OpSize, OpSize];
  readonly bytes: readonly [number, number, number];
  readonly signed: boolean;
  readonly fixed: number;
  readonly es: boolean;
}

interface CompiledRow {
  readonly row: TableRow;
  readonly operands: readonly CompiledOperand[];
  /** The 66h prefix selects the row and is not an operand size prefix. */
  readonly eats66: boolean;
  /** F2h or F3h selects the row and is not a repeat prefix. */
  readonly eatsRep: boolean;
  readonly default64: boolean;
  readonly forced64: boolean;
  readonly hasRm: boolean;
  readonly vsib: boolean;
  readonly vvvv: boolean;
  /** What an 8-bit displacement of an EVEX encoding counts in, in bytes; and with broadcast. */
  readonly disp8: number;
}

interface Cell {
  readonly candidates: readonly CompiledRow[];
  readonly modrm: boolean;
  /** The one row, when nothing but the opcode byte selects it. */
  readonly only: CompiledRow | undefined;
  /** By selection key: index into candidates, -1 for none, -2 for not yet known. */
  lut: Int8Array | undefined;
}

const ONE: ImmOperand = { kind: "imm", size: 8, value: 1, valueHi: 0 };
const NO_OPERANDS: readonly Operand[] = [];
const NO_SIZES: readonly [OpSize, OpSize, OpSize] = [0, 0, 0];

function compile(row: TableRow): CompiledRow {
  const operands = row.operandSpecs.map((s): CompiledOperand => {
    const op = s.kind === "one"
      ? Op.One
      : s.kind === "moffs"
      ? Op.Moffs
      : s.kind === "rel"
      ? Op.Rel
      : s.kind === "far"
      ? Op.Far
      : s.role === Role.Reg
      ? Op.Reg
      : s.role === Role.Rm
      ? Op.Rm
      : s.role === Role.Opcode
      ? Op.OpReg
      : s.role === Role.Vvvv
      ? Op.Vvvv
      : s.role === Role.Is4
      ? Op.Is4
      : s.role === Role.Imm
      ? Op.Imm
      : s.kind === "mem"
      ? Op.FixedMem
      : Op.Fixed;
    return {
      op,
      kind: s.reg,
      sizes: s.sizes,
      memSizes: s.memSizes ?? NO_SIZES,
      bytes: s.bytes,
      signed: s.signed,
      fixed: s.fixed,
      es: s.es,
    };
  });
  return {
    row,
    operands,
    eats66: row.prefix === Mandatory.P66 && !row.vex,
    eatsRep: (row.prefix === Mandatory.F2 || row.prefix === Mandatory.F3) && !row.vex,
    default64: row.default64,
    forced64: row.forced64,
    hasRm: row.modrm && row.fixedModrm < 0 && !row.modIgnored,
    vsib: row.operandSpecs.some((s) => s.vsib !== 0),
    vvvv: row.operandSpecs.some((s) => s.role === Role.Vvvv),
    disp8: row.evex === undefined ? 1 : displacementUnit(row, row.evex),
  };
}

/** Rows that ask for more are tried first. */
function specificity(row: TableRow): number {
  return (row.fixedModrm >= 0 ? 16 : 0) + (row.prefix !== Mandatory.Any ? 8 : 0) +
    (row.w >= 0 ? 4 : 0) + (row.digit >= 0 ? 2 : 0) + (row.noB ? 1 : 0);
}

const COMPILED = opcodeTable.map(compile);
const CELLS: (Cell | undefined)[][] = [16, 32, 64].map((bits) => {
  const lists: CompiledRow[][] = Array.from({ length: OP_MAPS * 256 }, () => []);
  for (const compiled of COMPILED) {
    const { row } = compiled, { valid } = row;
    if (!(bits === 16 ? valid.bits16 : bits === 32 ? valid.bits32 : valid.bits64)) continue;
    for (let i = 0; i < row.span; i++) lists[row.map * 256 + row.byte + i].push(compiled);
  }
  return lists.map((list): Cell | undefined => {
    if (list.length === 0) return undefined;
    list.sort((a, b) => specificity(b.row) - specificity(a.row));
    const modrm = list[0].row.modrm;
    if (list.some((c) => c.row.modrm !== modrm)) {
      throw new Error(`opcode table: ModRM or not? ${list.map((c) => c.row.opcode).join(", ")}`);
    }
    const r = list[0].row;
    const plain = list.length === 1 && r.prefix === Mandatory.Any && r.w < 0 && r.l < 0 &&
      !r.vex && r.digit < 0 && r.fixedModrm < 0 && r.mod === "any" && !r.noB;
    return {
      candidates: list,
      modrm,
      only: plain ? list[0] : undefined,
      // Those of EVEX opcodes are made when they are first met.
      lut: plain || r.evex ? undefined : new Int8Array(modrm ? 4096 : 16).fill(-2),
    };
  });
});

/** Prefix classes of the selection key. */
const enum Key {
  None,
  P66,
  F3,
  F2,
}

/**
 * Selection key: bits 1:0 {@link Key}, bit 2 W, bit 3 L (or REX.B of an opcode without ModRM),
 * bits 11:4 ModRM, bit 12 the upper bit of EVEX.L'L.
 */
function select(cell: Cell, key: number, bits: number): number {
  const cls = key & 3, w = key >> 2 & 1, l = key >> 3 & 1 | key >> 11 & 2, modrm = key >> 4 & 255;
  for (let i = 0; i < cell.candidates.length; i++) {
    const r = cell.candidates[i].row;
    switch (r.prefix) {
      case Mandatory.Any:
        break;
      case Mandatory.None:
        if (cls !== Key.None) continue;
        break;
      case Mandatory.P66:
        if (cls !== Key.P66) continue;
        break;
      case Mandatory.F3:
        if (cls !== Key.F3) continue;
        break;
      case Mandatory.F2:
        if (cls !== Key.F2) continue;
        break;
      case Mandatory.NoRep:
        if (cls >= Key.F3) continue;
        break;
    }
    if (r.w >= 0 && r.w !== w && !(r.wig32 && bits !== 64)) continue;
    if (r.vex && r.l >= 0 && r.l !== l) continue;
    if (r.noB && l === 1) continue;
    if (r.digit >= 0 && r.digit !== (modrm >> 3 & 7)) continue;
    if (r.fixedModrm >= 0 && (modrm & ~(r.fixedSpan - 1)) !== r.fixedModrm) continue;
    if (r.mod === "mem" ? modrm >= 0xc0 : r.mod === "reg" && modrm < 0xc0) continue;
    return i;
  }
  return -1;
}

// ---- ModRM memory forms -----------------------------------------------------------------------

const BASE16 = [3, 3, 5, 5, 6, 7, 5, 3];
const INDEX16 = [6, 7, 6, 7, -1, -1, -1, -1];

// Result of memoryForm: plain variables, so that decoding allocates only what it returns.
let memPos = 0, memDispAt = 0, memBase = -1, memIndex = -1, memScale = 0, memDisp = 0;
let memRip = false, memStack = false;

function signed32(bytes: Uint8Array, p: number): number {
  return bytes[p] | bytes[p + 1] << 8 | bytes[p + 2] << 16 | bytes[p + 3] << 24;
}
function signed16(bytes: Uint8Array, p: number): number {
  return (bytes[p] | bytes[p + 1] << 8) << 16 >> 16;
}
function signed8(bytes: Uint8Array, p: number): number {
  return bytes[p] << 24 >> 24;
}

/** ModRM (mod below 3), SIB and displacement starting at `pos`, SDM tables 2-1 to 2-3. */
function memoryForm(
  bytes: Uint8Array,
  pos: number,
  modrm: number,
  rex: number,
  addrSize: number,
  bits: number,
  vsib: boolean,
): void {
  const mod = modrm >> 6, rm = modrm & 7;
  memBase = memIndex = -1;
  memScale = memDisp = 0;
  memRip = memStack = false;
  if (addrSize === 16) {
    memDispAt = pos;
    if (mod === 0 && rm === 6) {
      memDisp = signed16(bytes, pos);
      memPos = pos + 2;
      return;
    }
    memBase = BASE16[rm];
    memIndex = INDEX16[rm];
    memStack = memBase === 5;
  } else {
    let base = rm;
    if (rm === 4) {
      const sib = bytes[pos++];
      base = sib & 7;
      memScale = sib >> 6 & 3;
      memIndex = sib >> 3 & 7 | (rex & 2) << 2;
      if (memIndex === 4 && !vsib) memIndex = -1;
    }
    memDispAt = pos;
    if (mod === 0 && base === 5) {
      memRip = rm === 5 && bits === 64;
      memDisp = signed32(bytes, pos);
      memPos = pos + 4;
      return;
    }
    memStack = base === 4 || base === 5;
    memBase = base | (rex & 1) << 3;
    if (rex & 1) memStack = false;
  }
  if (mod === 1) {
    memDisp = signed8(bytes, pos);
    pos++;
  } else if (mod === 2) {
    if (addrSize === 16) {
      memDisp = signed16(bytes, pos);
      pos += 2;
    } else {
      memDisp = signed32(bytes, pos);
      pos += 4;
    }
  }
  memPos = pos;
}

// ---- hints that became instructions ------------------------------------------------------------

const fallbackRows = new Map<TableRow, TableRow>();
for (const row of opcodeTable) {
  if (row.fallback === undefined) continue;
  const plain = opcodeTable.find((r) =>
    r.name === row.fallback && r.map === row.map && r.byte === row.byte
  );
  if (plain === undefined) throw new Error(`opcode table: ${row.opcode}: no row ${row.fallback}`);
  fallbackRows.set(row, plain);
}

/**
 * What a processor without the row's CPUID feature makes of the bytes: TZCNT is BSF there, LZCNT is
 * BSR, since the prefix is ignored. Undefined when it is #UD.
 */
export function withoutFeature(insn: DecodedInsn): DecodedInsn | undefined {
  const row = fallbackRows.get(insn.row);
  return row === undefined ? undefined : { ...insn, row, rep: 0xf3 };
}

// ---- decode -----------------------------------------------------------------------------------

function registerOperand(
  kind: RegKind,
  reg: number,
  size: number,
  anyRex: boolean,
): RegOperand | undefined {
  switch (kind) {
    case "gpr":
      if (size === 32) return GPR32[reg];
      if (size === 64) return GPR64[reg];
      if (size === 16) return GPR16[reg];
      return anyRex || reg > 7 ? GPR8[reg] : GPR8_LEGACY[reg];
    case "xmm":
      return size === 256 ? YMM[reg] : size === 512 ? ZMM[reg] : XMM[reg];
    case "k":
      return reg < 8 ? K[reg] : undefined;
    case "mm":
      return MM[reg & 7];
    case "st":
      return ST[reg & 7];
    case "sreg":
      return SREG[reg & 7];
    case "creg":
      return reg < 9 && (CR_EXISTS >> reg & 1) !== 0 ? CREG[size === 64 ? 1 : 0][reg] : undefined;
    case "dreg":
      return reg < 8 ? DREG[size === 64 ? 1 : 0][reg] : undefined;
  }
}

/** What a decode that failed after `used` bytes reports. */
function fault(used: number, avail: number, otherwise: DecodeFault): DecodeFault {
  if (used <= avail && used <= MAX_INSN_LENGTH) return otherwise;
  return avail < MAX_INSN_LENGTH ? "short" : "toolong";
}

/**
 * Of the last decoded instruction: where its ModRM displacement and what comes behind it (immediates)
 * begin, which is the same place when it has no displacement; and whether its immediate is
 * sign-extended.
 */
export const layout = { displacement: 0, immediate: 0, signed: false };

/**
 * Decodes the instruction at `bytes[at]`, of which `avail` bytes may be looked at (up to the end of
 * a page, a segment or a buffer). Faults: {@link DecodeFault}. CPUID features, CPL, IOPL and
 * `protectedOnly` are left to the caller, which finds them in the row.
 *
 * @param bytes whole guest memory, or a small window of a page crossing
 */
export function decode(
  bytes: Uint8Array,
  at: number,
  avail: number,
  mode: DecodeMode,
): DecodedInsn | DecodeFault {
  const bits = mode.bits;
  const modeIndex = bits >> 5;
  const prefixes = PREFIXES[modeIndex];
  let pos = at;
  let opsize = false, adsize = false, lock = false;
  let rep: 0 | 0xf2 | 0xf3 = 0;
  let segOverride = -1;
  let rex = 0;
  let b = 0;
  prefix: for (;;) {
    if (pos - at >= avail || pos - at >= MAX_INSN_LENGTH) {
      return fault(pos - at + 1, avail, "short");
    }
    b = bytes[pos++];
    switch (prefixes[b]) {
      case Pfx.None:
        break prefix;
      case Pfx.OpSize:
        opsize = true;
        rex = 0;
        break;
      case Pfx.AddrSize:
        adsize = true;
        rex = 0;
        break;
      case Pfx.Lock:
        lock = true;
        rex = 0;
        break;
      case Pfx.Rep:
        rep = b as 0xf2 | 0xf3;
        rex = 0;
        break;
      case Pfx.Seg:
        segOverride = segmentOf(b, bits, segOverride);
        rex = 0;
        break;
      case Pfx.Rex:
        rex = b;
        break;
    }
  }

  // Opcode map and byte. `rex` keeps W, R, X, B of VEX in its low bits as well.
  let map: OpMap = OpMap.One;
  let cls: number = rep === 0xf3 ? Key.F3 : rep === 0xf2 ? Key.F2 : opsize ? Key.P66 : Key.None;
  let vex = false;
  let vvvv = 0, namesVvvv = false;
  let vexL = 0;
  // EVEX: the third payload byte, with 100h for one that is there.
  let evexBits = 0;
  if (b === 0x0f) {
    map = OpMap.M0F;
    b = bytes[pos++];
    if (b === 0x38) {
      map = OpMap.M0F38;
      b = bytes[pos++];
    } else if (b === 0x3a) {
      map = OpMap.M0F3A;
      b = bytes[pos++];
    } else if (b === 0x0f) {
      map = OpMap.Now3D;
    }
  } else if ((b === 0xc4 || b === 0xc5) && (bits === 64 || (bytes[pos] & 0xc0) === 0xc0)) {
    if (lock || rep !== 0 || opsize || rex !== 0) return fault(pos + 1 - at, avail, "invalid");
    vex = true;
    let last = bytes[pos++];
    rex = last & 0x80 ? 0 : 4;
    let m = 1;
    if (b === 0xc4) {
      m = last & 31;
      rex |= (last & 0x40 ? 0 : 2) | (last & 0x20 ? 0 : 1);
      last = bytes[pos++];
      rex |= last >> 4 & 8;
    }
    if (bits !== 64) rex &= 8;
    if (m < 1 || m > 3) return fault(pos - at, avail, "invalid");
    map = OpMap.Vex0F + m - 1;
    // Outside 64-bit mode the highest bit is ignored, but not where the field must be unused.
    vvvv = ~(last >> 3) & (bits === 64 ? 15 : 7);
    namesVvvv = (last & 0x78) !== 0x78;
    vexL = last >> 2 & 1;
    cls = last & 3;
    b = bytes[pos++];
  } else if (b === 0x62 && (bits === 64 || (bytes[pos] & 0xc0) === 0xc0)) {
    if (lock || rep !== 0 || opsize || rex !== 0) return fault(pos + 1 - at, avail, "invalid");
    vex = true;
    const p0 = bytes[pos], p1 = bytes[pos + 1], p2 = bytes[pos + 2];
    pos += 3;
    // R, X, B at their REX places, R' at bit 4.
    rex = (p0 & 0x80 ? 0 : 4) | (p0 & 0x40 ? 0 : 2) | (p0 & 0x20 ? 0 : 1) | (p0 & 0x10 ? 0 : 16);
    rex |= p1 >> 4 & 8;
    if (bits !== 64) rex &= 8;
    const m = p0 & 15;
    // Outside 64-bit mode V' must not be there.
    if (m < 1 || m > 3 || (p1 & 4) === 0 || bits !== 64 && (p2 & 8) === 0) {
      return fault(pos - at, avail, "invalid");
    }
    map = OpMap.Evex0F + m - 1;
    vvvv = ~(p1 >> 3) & 15 | (p2 & 8 ? 0 : 16);
    if (bits !== 64) vvvv &= 7;
    namesVvvv = (p1 & 0x78) !== 0x78;
    vexL = p2 >> 5 & 3;
    evexBits = p2 | 0x100;
    cls = p1 & 3;
    b = bytes[pos++];
  }
  if (pos - at > avail) return fault(pos - at, avail, "invalid");

  // Row.
  let modrm = 0xc0;
  let cell: Cell | undefined;
  const addrSize: 16 | 32 | 64 = bits === 64
    ? (adsize ? 32 : 64)
    : (bits === 32) !== adsize
    ? 32
    : 16;
  let memoryDone = false;
  if (map === OpMap.Now3D) {
    // The opcode byte comes last: ModRM, SIB and displacement have the usual form.
    modrm = bytes[pos++];
    if (modrm < 0xc0) {
      memoryForm(bytes, pos, modrm, rex, addrSize, bits, false);
      pos = memPos;
    }
    memoryDone = true;
    if (pos - at >= avail) return fault(pos + 1 - at, avail, "invalid");
    b = bytes[pos++];
    cell = CELLS[modeIndex][map << 8 | b];
    if (cell === undefined) return fault(pos - at, avail, "invalid");
  } else {
    cell = CELLS[modeIndex][map << 8 | b];
    if (cell === undefined) return "invalid";
    if (cell.modrm) {
      if (pos - at >= avail) return fault(pos + 1 - at, avail, "invalid");
      modrm = bytes[pos++];
    }
  }
  let compiled = cell.only;
  if (compiled === undefined) {
    const lut = cell.lut ??= new Int8Array(8192).fill(-2);
    let key = cls | rex >> 1 & 4;
    if (evexBits !== 0) {
      // With a rounding control, L'L is not the length, which is the longest.
      const l = (evexBits & 0x10) !== 0 && modrm >= 0xc0 ? 2 : vexL;
      if (l === 3) return fault(pos - at, avail, "invalid");
      key |= modrm << 4 | (l & 1) << 3 | (l & 2) << 11;
    } else if (cell.modrm) key |= modrm << 4 | vexL << 3;
    else key |= vex ? vexL << 3 : (rex & 1) << 3;
    let n = lut[key];
    if (n === -2) {
      n = select(cell, cell.modrm ? key : key | 0xc00, bits);
      lut[key] = n;
    }
    if (n < 0) return fault(pos - at, avail, "invalid");
    compiled = cell.candidates[n];
  }
  const row = compiled.row;

  // Sizes.
  const eats66 = compiled.eats66;
  let opSize: 16 | 32 | 64;
  if (bits === 64) {
    opSize = (rex & 8) !== 0 || compiled.forced64
      ? 64
      : opsize && !eats66
      ? 16
      : compiled.default64
      ? 64
      : 32;
  } else {
    opSize = eats66 || vex || (bits === 32) !== opsize ? 32 : 16;
  }
  const sizeIndex = opSize >> 5;
  if (compiled.hasRm && modrm < 0xc0 && !memoryDone) {
    memoryForm(bytes, pos, modrm, rex, addrSize, bits, compiled.vsib);
    if (compiled.vsib && ((modrm & 7) !== 4 || addrSize === 16)) {
      return fault(memPos - at, avail, "invalid");
    }
    pos = memPos;
  }
  if (namesVvvv && !compiled.vvvv) return fault(pos - at, avail, "invalid");
  let evex: Evex | undefined, broadcast = false;
  if (evexBits !== 0) {
    evex = evexOf(row.evex!, evexBits, modrm);
    if (evex === undefined || (vvvv & 16) !== 0 && !compiled.vvvv && !compiled.vsib) {
      return fault(pos - at, avail, "invalid");
    }
    broadcast = evex.broadcast;
    if (modrm >> 6 === 1) {
      memDisp = Math.imul(memDisp, broadcast ? row.evex!.broadcast >> 3 : compiled.disp8);
    }
    if (compiled.vsib) memIndex |= vvvv & 16;
  }

  layout.immediate = pos - at;
  layout.displacement = compiled.hasRm && modrm < 0xc0 && !memoryDone ? memDispAt - at : pos - at;

  // Operands.
  const specs = compiled.operands;
  const count = specs.length;
  let operands: readonly Operand[] = NO_OPERANDS;
  if (count !== 0) {
    const list: Operand[] = new Array(count);
    for (let i = 0; i < count; i++) {
      const spec = specs[i];
      let operand: Operand | undefined;
      switch (spec.op) {
        case Op.Reg:
          operand = registerOperand(
            spec.kind!,
            modrm >> 3 & 7 | (rex & 4) << 1 | rex & 16,
            spec.sizes[sizeIndex],
            rex !== 0,
          );
          break;
        case Op.Rm:
          operand = modrm >= 0xc0 || row.modIgnored
            ? registerOperand(
              spec.kind!,
              rmNumber(spec.kind!, modrm, rex, evexBits),
              spec.sizes[sizeIndex],
              rex !== 0,
            )
            : {
              kind: "mem",
              size: broadcast ? row.evex!.broadcast : spec.memSizes[sizeIndex],
              seg: segOverride >= 0 ? segOverride : memStack ? Seg.SS : Seg.DS,
              base: memBase,
              index: memIndex,
              scale: memScale,
              disp: memDisp,
              dispHi: memDisp >> 31,
              rip: memRip,
              addrSize,
            } satisfies MemOperand;
          break;
        case Op.OpReg:
          operand = registerOperand(
            spec.kind!,
            (cell.modrm ? modrm & 7 : b & 7) | (rex & 1) << 3,
            spec.sizes[sizeIndex],
            rex !== 0,
          );
          break;
        case Op.Vvvv:
          operand = registerOperand(spec.kind!, vvvv, spec.sizes[sizeIndex], true);
          break;
        case Op.Is4:
          operand = registerOperand(
            spec.kind!,
            bytes[pos++] >> 4 & (bits === 64 ? 15 : 7),
            spec.sizes[sizeIndex],
            true,
          );
          break;
        case Op.Fixed:
          operand = registerOperand(spec.kind!, spec.fixed, spec.sizes[sizeIndex], false);
          break;
        case Op.One:
          operand = ONE;
          break;
        case Op.FixedMem:
          operand = {
            kind: "mem",
            size: spec.memSizes[sizeIndex],
            seg: spec.es ? Seg.ES : segOverride >= 0 ? segOverride : Seg.DS,
            base: spec.fixed,
            index: -1,
            scale: 0,
            disp: 0,
            dispHi: 0,
            rip: false,
            addrSize,
          } satisfies MemOperand;
          break;
        case Op.Imm: {
          const n = spec.bytes[sizeIndex];
          layout.signed = spec.signed;
          let value: number, valueHi: number;
          if (n === 1) value = spec.signed ? signed8(bytes, pos) : bytes[pos];
          else if (n === 2) {
            value = spec.signed ? signed16(bytes, pos) : signed16(bytes, pos) & 0xffff;
          } else value = signed32(bytes, pos);
          valueHi = value >> 31;
          if (n === 8) valueHi = signed32(bytes, pos + 4);
          pos += n;
          operand = {
            kind: "imm",
            size: spec.sizes[sizeIndex],
            value,
            valueHi,
          } satisfies ImmOperand;
          break;
        }
        case Op.Rel: {
          const n = spec.bytes[sizeIndex];
          operand = {
            kind: "rel",
            size: spec.sizes[sizeIndex],
            value: n === 1
              ? signed8(bytes, pos)
              : n === 2
              ? signed16(bytes, pos)
              : signed32(bytes, pos),
          } satisfies RelOperand;
          pos += n;
          break;
        }
        case Op.Far: {
          const n = spec.bytes[sizeIndex];
          operand = {
            kind: "far",
            size: spec.sizes[sizeIndex],
            offset: n === 4 ? signed16(bytes, pos) & 0xffff : signed32(bytes, pos) >>> 0,
            selector: signed16(bytes, pos + n - 2) & 0xffff,
          } satisfies FarOperand;
          pos += n;
          break;
        }
        case Op.Moffs: {
          const n = addrSize >> 3;
          const disp = n === 2 ? signed16(bytes, pos) & 0xffff : signed32(bytes, pos);
          operand = {
            kind: "mem",
            size: spec.memSizes[sizeIndex],
            seg: segOverride >= 0 ? segOverride : Seg.DS,
            base: -1,
            index: -1,
            scale: 0,
            disp,
            dispHi: n === 8 ? signed32(bytes, pos + 4) : 0,
            rip: false,
            addrSize,
          } satisfies MemOperand;
          pos += n;
          break;
        }
      }
      // A register that does not exist: CR1, CR5, segment 6…
      if (operand === undefined) return fault(pos - at, avail, "invalid");
      list[i] = operand;
    }
    operands = list;
  }

  const length = pos - at;
  if (length > avail || length > MAX_INSN_LENGTH) return fault(length, avail, "short");
  if (lock && (!row.lock || operands[0].kind !== "mem")) return "invalid";
  if (evex !== undefined && evex.zeroing && operands[0].kind === "mem") return "invalid";
  // Gathers: destination, index and mask are three registers.
  if (compiled.vsib) {
    const destination = modrm >> 3 & 7 | (rex & 4) << 1 | rex & 16;
    if (evex !== undefined) {
      if (operands[0].kind !== "mem" && destination === memIndex) return "invalid";
    } else if (destination === memIndex || destination === vvvv || vvvv === memIndex) {
      return "invalid";
    }
  }
  // MOV CS, r/m16 does not exist.
  if (row.byte === 0x8e && row.map === OpMap.One && (modrm >> 3 & 7) === Seg.CS) return "invalid";
  return {
    row,
    length,
    opSize,
    addrSize,
    operands,
    lock,
    rep: compiled.eatsRep ? 0 : rep,
    segOverride,
    vectorBits: !vex ? 0 : row.l < 0 ? (vexL ? 256 : 128) : VECTOR_BITS[row.l],
    evex,
    cond: row.condition ? b & 15 : -1,
  };
}
