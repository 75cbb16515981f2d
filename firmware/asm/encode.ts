/** Encodes one instruction: picks a form of {@link table} and writes its bytes (SDM volume 2, 2.1). */
import type { Bits } from "./assembler.ts";
import type { Mem, Operand, Reg, Size, Sym } from "./operand.ts";
import { table } from "./table.ts";

/** A mistake in an assembler source. */
export class EncodeError extends Error {
  override name = "EncodeError";
}

interface Form {
  readonly operands: readonly string[];
  readonly tokens: readonly string[];
}

const forms = new Map<string, Form[]>();

function formsOf(name: string): Form[] {
  let f = forms.get(name);
  if (f === undefined) {
    f = table[name].map((text) => {
      const [operands, encoding] = text.split(":");
      return {
        operands: operands === "" ? [] : operands.split(","),
        tokens: encoding.trim().split(" "),
      };
    });
    forms.set(name, f);
  }
  return f;
}

export interface Encoded {
  readonly bytes: Uint8Array;
  /** A short jump cannot reach its target. */
  readonly outOfRange: boolean;
}

interface Fixup {
  readonly at: number;
  readonly size: number;
  readonly value: Sym;
  /** Relative to the end of the instruction. */
  readonly relative: boolean;
}

const asSym = (name: string): Sym => ({
  kind: "sym",
  plus: name,
  minus: undefined,
  addend: 0,
  shift: 0,
});

const isReg = (o: Operand): o is Reg => typeof o === "object" && "num" in o;
const isMem = (o: Operand): o is Mem => typeof o === "object" && o.kind === "mem";
const isSymbolic = (o: Operand) =>
  typeof o === "string" || (typeof o === "object" && o.kind === "sym");

const classSize: Record<string, Size> = { "8": 1, "16": 2, "32": 4, "64": 8 };

/** The operand size `v` that the operands imply: a register's before a memory operand's. */
function operandSize(form: Form, operands: Operand[]): Size | undefined {
  let size: Size | undefined, memory: Size | undefined;
  for (let n = 0; n < operands.length; n++) {
    const o = operands[n];
    if (!/^(rv|rmv|Av)$/.test(form.operands[n])) continue;
    if (isReg(o)) {
      if (size !== undefined && o.size !== size) return undefined;
      size = o.size;
    } else if (isMem(o)) memory = o.size;
  }
  if (size !== undefined && memory !== undefined && size !== memory) return undefined;
  return size ?? memory;
}

function inRange(v: bigint, bits: number): boolean {
  const one = 1n << BigInt(bits);
  return v >= -(one >> 1n) && v < one;
}

function matchImmediate(cls: string, o: Operand, v: Size | undefined): boolean {
  if (isSymbolic(o)) return cls === "i8" || cls === "i" || /^(i16|i32|i64|iv|u32)$/.test(cls);
  if (typeof o !== "number" && typeof o !== "bigint") return false;
  const n = BigInt(o);
  switch (cls) {
    case "i8":
      return inRange(n, 8);
    case "s8": {
      const bits = (v ?? 4) * 8;
      const s = BigInt.asIntN(bits, n);
      return inRange(n, bits) && s >= -128n && s <= 127n;
    }
    case "i16":
      return inRange(n, 16);
    case "i":
    case "i32":
      return inRange(n, 32);
    case "u32":
      return n >= 0n && n < 1n << 32n;
    case "s32":
      return BigInt.asIntN(32, n) === n || BigInt.asUintN(64, BigInt.asIntN(32, n)) === n;
    case "i64":
      return inRange(n, 64);
    case "iv":
      return v === 8 ? BigInt.asIntN(32, n) === n : v !== undefined && inRange(n, v * 8);
  }
  return false;
}

function matches(form: Form, n: number, o: Operand, v: Size | undefined, bits: Bits): boolean {
  const cls = form.operands[n];
  if (cls === "lab") return isSymbolic(o);
  if (cls === "far") return typeof o === "object" && o.kind === "far";
  if (/^[isu](8|16|32|64|v)?$/.test(cls)) return matchImmediate(cls, o, v);
  if (cls === "1") return o === 1;
  if (isReg(o)) {
    if (cls === "sreg" || cls === "cr" || cls === "dr") return o.kind === cls;
    if (cls === o.name) return true;
    if (o.kind !== "gpr") return false;
    if (cls === "Av") return o.num === 0 && o.size === v;
    if (cls === "rv" || cls === "rmv") return o.size === v && o.size > 1;
    const m = /^r(m)?(8|16|32|64)$/.exec(cls);
    return m !== null && classSize[m[2]] === o.size;
  }
  if (isMem(o)) {
    if (cls === "moffs") {
      return bits !== 64 && o.base === undefined && o.index === undefined;
    }
    if (cls === "m") return true;
    if (cls === "m0") return o.size === undefined;
    if (cls === "rmv") return v !== undefined && v > 1;
    const m = /^r?m(8|16|32|64)$/.exec(cls);
    if (m === null) return false;
    if (o.size !== undefined) return o.size === classSize[m[1]];
    return form.operands.some((c) =>
      (m[1] === "8" && (c === "r8" || c === "al")) || (m[1] === "16" && c === "sreg")
    );
  }
  return false;
}

class Encoder {
  prefix: number[] = [];
  rex = 0;
  needRex = false;
  opcode: number[] = [];
  tail: number[] = [];
  fixups: { at: number; size: number; value: Sym; relative: boolean }[] = [];

  constructor(readonly bits: Bits) {}

  imm(size: number, o: Operand, relative = false): void {
    const at = this.tail.length;
    let n = 0n;
    if (typeof o === "string") this.fixups.push({ at, size, value: asSym(o), relative });
    else if (typeof o === "object") this.fixups.push({ at, size, value: o as Sym, relative });
    else n = BigInt.asUintN(64, BigInt(o));
    for (let i = 0; i < size; i++) this.tail.push(Number((n >> BigInt(8 * i)) & 0xffn));
  }

  disp(size: number, d: number | Sym, relative = false): void {
    this.imm(size, d, relative);
  }

  segment(seg: Reg | undefined): void {
    if (seg !== undefined) this.prefix.push([0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65][seg.num]);
  }

  addressPrefix(size: number): void {
    if (size * 8 === this.bits) return;
    if ((this.bits === 64 && size === 2) || (this.bits !== 64 && size === 8)) {
      throw new EncodeError(`${size * 8}-bit address in ${this.bits}-bit code`);
    }
    this.prefix.push(0x67);
  }

  modrm(reg: number, rm: Reg | Mem): void {
    if (reg > 7) this.rex |= 4;
    const r = (reg & 7) << 3;
    if (isReg(rm)) {
      if (rm.num > 7) this.rex |= 1;
      this.tail.push(0xc0 | r | (rm.num & 7));
      return;
    }
    this.segment(rm.seg);
    const size = rm.base?.size ?? rm.index?.size ?? rm.addrSize ?? this.bits / 8;
    this.addressPrefix(size);
    if (size === 2) this.#address16(r, rm);
    else this.#address32(r, rm, size);
  }

  #dispMod(m: Mem, wide: number): 0 | 1 | 2 {
    if (typeof m.disp !== "number") return 2;
    const d = wide === 2 ? (m.disp << 16) >> 16 : m.disp | 0;
    return d === 0 ? 0 : d >= -128 && d <= 127 ? 1 : 2;
  }

  #address16(r: number, m: Mem): void {
    const names = [m.base?.name, m.index?.name].filter((n) => n !== undefined).sort().join("+");
    if (names === "") {
      this.tail.push(r | 6);
      return this.disp(2, m.disp);
    }
    const rm = ["bx+si", "bx+di", "bp+si", "bp+di", "si", "di", "bp", "bx"].indexOf(names);
    if (rm < 0 || m.scale !== 1) throw new EncodeError(`no 16-bit address ${names}`);
    let mod = this.#dispMod(m, 2);
    if (rm === 6 && mod === 0) mod = 1;
    this.tail.push((mod << 6) | r | rm);
    if (mod !== 0) this.disp(mod, m.disp);
  }

  #address32(r: number, m: Mem, size: number): void {
    let { base, index, scale } = m;
    if (index?.num === 4 && scale === 1 && base !== undefined) [base, index] = [index, base];
    if (index?.num === 4) throw new EncodeError(`${index.name} cannot be an index`);
    if (base !== undefined && index !== undefined && base.size !== index.size) {
      throw new EncodeError("address of two sizes");
    }
    if (index !== undefined && base === undefined && scale === 1) {
      [base, index] = [index, undefined];
    } else if (index !== undefined && base === undefined && scale === 2) {
      base = index;
      scale = 1;
    }
    if (base !== undefined && base.num > 7) this.rex |= 1;
    if (index !== undefined && index.num > 7) this.rex |= 2;
    const ss = [1, 2, 4, 8].indexOf(scale) << 6;
    if (base === undefined) {
      if (index !== undefined) this.tail.push(r | 4, ss | ((index.num & 7) << 3) | 5);
      else if (this.bits !== 64) this.tail.push(r | 5);
      else if (typeof m.disp !== "number") {
        this.tail.push(r | 5);
        return this.disp(4, m.disp, true);
      } else this.tail.push(r | 4, 0x25);
      return this.disp(4, m.disp);
    }
    let mod = this.#dispMod(m, size);
    if ((base.num & 7) === 5 && mod === 0) mod = 1;
    if (index !== undefined || (base.num & 7) === 4) {
      const x = index === undefined ? 4 : index.num & 7;
      this.tail.push((mod << 6) | r | 4, ss | (x << 3) | (base.num & 7));
    } else this.tail.push((mod << 6) | r | (base.num & 7));
    if (mod !== 0) this.disp(mod === 1 ? 1 : 4, m.disp);
  }
}

/** Bytes of one form, or undefined when it does not take these operands. */
function tryForm(
  form: Form,
  operands: Operand[],
  bits: Bits,
  at: number,
  long: boolean,
  value: (s: Sym) => number,
): Encoded | undefined {
  if (form.operands.length !== operands.length) return undefined;
  const has = (t: string) => form.tokens.includes(t);
  if (bits === 64 && has("n64")) return undefined;
  if (long && has("rel8") && formsHaveLong(form)) return undefined;
  let v = operandSize(form, operands);
  if (form.operands.includes("s8") && v === undefined) v = bits === 16 ? 2 : 4;
  if (operands.some((o, n) => !matches(form, n, o, v, bits))) return undefined;
  if (has("X") && bits === 64 && v === 4 && operands.every((o) => isReg(o) && o.num === 0)) {
    return undefined;
  }

  const e = new Encoder(bits);
  const mode = bits === 16 ? 2 : 4;
  let size: Size = mode;
  if (has("o16")) size = 2;
  else if (has("o32")) size = 4;
  else if (has("o64")) size = 8;
  else if (!has("Z")) {
    if (v !== undefined && !form.operands.every((c) => c === "s8")) size = v;
    else {
      for (const c of form.operands.toReversed()) {
        const m = /^(?:ax|(e)ax|rm?(16|32|64))$/.exec(c);
        if (m) size = m[2] ? classSize[m[2]] : m[1] ? 4 : 2;
      }
    }
  }
  const far = operands.find((o) => typeof o === "object" && o.kind === "far");
  if (far !== undefined && typeof far === "object" && far.kind === "far" && far.size) {
    size = far.size;
  }
  const default64 = bits === 64 && has("d64");
  if (size === 8) {
    if (bits !== 64) return undefined;
    if (!default64) e.rex |= 8;
  } else if (size !== mode && !has("Z")) e.prefix.push(0x66);
  if (has("Z") && !default64 && form.operands.includes("rm64")) e.rex |= 8;

  const rmAt = form.operands.findIndex((c) => /^(rm|m)(?!offs)/.test(c));
  const regAt = form.operands.findIndex((c, n) =>
    n !== rmAt && /^(r(8|16|32|64|v)|sreg|cr|dr)$/.test(c)
  );
  const reg = regAt < 0 ? undefined : operands[regAt] as Reg;
  const immediates = operands.filter((_, n) => /^[isu](8|16|32|64|v)?$/.test(form.operands[n]));
  for (const o of operands) {
    if (!isReg(o) || o.kind !== "gpr" || o.size !== 1) continue;
    if (!o.high && o.num >= 4 && o.num < 8) e.needRex = true;
  }
  let outOfRange = false;
  for (const t of form.tokens) {
    if (/^[0-9a-f]{2}$/.test(t)) e.opcode.push(parseInt(t, 16));
    else if (t === "/r") {
      // mov between r32 and CR/DR: the general register is in r/m, the other one in reg.
      if (rmAt < 0) {
        const special = operands.find((o) => isReg(o) && o.kind !== "gpr") as Reg;
        const general = operands.find((o) => isReg(o) && o.kind === "gpr") as Reg;
        e.modrm(special.num, general);
      } else e.modrm(reg!.num, operands[rmAt] as Reg | Mem);
    } else if (t === "/R") e.modrm(reg!.num, reg!);
    else if (/^\/\d$/.test(t)) {
      const rm = rmAt >= 0 ? operands[rmAt] : reg!;
      e.modrm(Number(t[1]), rm as Reg | Mem);
    } else if (t === "+r") {
      const r = operands.find((o, n) => isReg(o) && /^r/.test(form.operands[n])) as Reg;
      if (r.num > 7) e.rex |= 1;
      e.opcode[e.opcode.length - 1] |= r.num & 7;
    } else if (t === "ib") e.imm(1, immediates.shift()!);
    else if (t === "iw") e.imm(2, immediates.shift()!);
    else if (t === "id") e.imm(4, immediates.shift()!);
    else if (t === "iq") e.imm(8, immediates.shift()!);
    else if (t === "iv" || t === "iD") e.imm(Math.min(size, 4), immediates.shift()!);
    else if (t === "rel8") e.imm(1, operands[0], true);
    else if (t === "relv") e.imm(mode, operands[0], true);
    else if (t === "moffs") {
      const m = operands.find(isMem)!;
      e.segment(m.seg);
      const n = m.addrSize ?? bits / 8;
      e.addressPrefix(n);
      e.disp(n, m.disp);
    } else if (t === "far" && typeof far === "object" && far.kind === "far") {
      e.imm(size, far.off);
      e.imm(2, far.seg);
    } else if (t === "a16" || t === "a32") e.addressPrefix(t === "a16" ? 2 : 4);
  }
  if (e.rex !== 0 || e.needRex) {
    if (bits !== 64) return undefined;
    if (operands.some((o) => isReg(o) && o.high)) return undefined;
    e.rex |= 0x40;
  }
  // NASM's order: mandatory and group-1 prefixes are part of the opcode or separate instructions;
  // a segment override comes first, then operand size, then address size.
  const rank = (p: number) => p === 0x66 ? 1 : p === 0x67 ? 2 : 0;
  e.prefix.sort((a, b) => rank(a) - rank(b));
  const head = [...e.prefix, ...(e.rex ? [e.rex] : []), ...e.opcode];
  const bytes = Uint8Array.from([...head, ...e.tail]);
  for (const f of e.fixups as Fixup[]) {
    let x = value(f.value);
    if (f.relative) x -= at + bytes.length;
    if (f.relative && f.size === 1 && (x < -128 || x > 127)) outOfRange = true;
    const n = BigInt.asUintN(64, BigInt(x));
    for (let i = 0; i < f.size; i++) {
      bytes[head.length + f.at + i] = Number((n >> BigInt(8 * i)) & 0xffn);
    }
  }
  return { bytes, outOfRange };
}

/** LOOP and JCXZ have no long form to grow into. */
function formsHaveLong(form: Form): boolean {
  return !/^(a16|a32|e[012])$/.test(form.tokens[0]);
}

/**
 * Encodes `name operands` at address `at`. `value` resolves symbols (any number while labels are
 * still moving). Throws {@link EncodeError} when no form takes the operands.
 */
export function encode(
  name: string,
  operands: Operand[],
  bits: Bits,
  at: number,
  long: boolean,
  value: (s: Sym) => number,
): Encoded {
  let best: Encoded | undefined;
  for (const form of formsOf(name)) {
    const e = tryForm(form, operands, bits, at, long, value);
    if (e !== undefined && (best === undefined || e.bytes.length < best.bytes.length)) best = e;
  }
  if (best === undefined) {
    const show = operands.map((o) =>
      typeof o === "object" ? "name" in o ? o.name : o.kind : String(o)
    );
    throw new EncodeError(`no ${bits}-bit form of ${name} ${show.join(", ")}`);
  }
  return best;
}
