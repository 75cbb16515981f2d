/**
 * Tier 0 handlers: one WebAssembly function per instruction shape (operation, sizes, operand kinds,
 * and what of the translation mode the semantics depend on), made the first time a shape is met.
 */
import { I32 } from "../wasm/expr.ts";
import { FunctionBuilder } from "../wasm/func.ts";
import { type MemoryLimits, ModuleBuilder } from "../wasm/module.ts";
import { helperOf } from "../x86/cpu.ts";
import type { Insn, OpcodeRow } from "../x86/insn.ts";
import { buildLibrary } from "../x86/library.ts";
import { Emit, immediateMatters, semanticsOf } from "../x86/semantics/emit.ts";
import * as S from "../x86/state.ts";
import { Mode, Vec } from "../x86/state.ts";
import { G } from "../x86/ir.ts";
import { dispatchNext, HANDLER, Tier0Lowering } from "./lower.ts";
import { canBeQuick } from "./restart.ts";
import { RUNTIME, type RuntimeImports } from "./runtime.ts";

/** A handler's place in the function table and what the translator must know of it. */
export interface Shape {
  readonly index: number;
  /** The block ends behind an instruction of this shape. */
  readonly ends: boolean;
  /** It may call a helper, which looks at the instruction itself. */
  readonly helps: boolean;
}

/** A handler to be compiled. */
interface Handler {
  readonly f: FunctionBuilder;
  readonly low: Tier0Lowering;
  readonly ends: boolean;
}

/** The same and its place in the table. */
interface Waiting extends Handler {
  readonly index: number;
}

/**
 * Handlers in small modules that are worth being compiled again as one. Every module has pages of
 * code of its own: a processor going from module to module misses in its instruction caches.
 */
const PACK = 192;

/** Mode bits that change what semantics emit; CPL and limits are looked at when running. */
const MODE_KEY = Mode.CODE_MASK | Mode.SS32 | Mode.FLAT | Mode.CS_FLAT | Mode.PE | Mode.VM86 |
  Mode.LONG | Mode.ALIGN;
const FPU_KEY = Mode.FPU_TRAP | Mode.SSE_UD | Mode.SSE_NM | Mode.WAIT_NM | Mode.AVX_UD |
  Mode.AVX512;

const modeMasks = new Map<OpcodeRow, number>();

/** The mode bits that semantics of a row may look at. */
function modeMask(row: OpcodeRow): number {
  let mask = modeMasks.get(row);
  if (mask === undefined) {
    mask = MODE_KEY;
    if (row.cpuid !== undefined || /^(F|WAIT|CLTS)/.test(row.name)) mask |= FPU_KEY;
    if (/^(J|CALL|RET|LOOP|STI)|^(MOVS|STOS|MOV_CR)$/.test(row.name)) mask |= Mode.SINGLE;
    modeMasks.set(row, mask);
  }
  return mask;
}

const rowIds = new Map<object, number>();
function rowId(row: object): number {
  let id = rowIds.get(row);
  if (id === undefined) rowIds.set(row, id = rowIds.size);
  return id;
}

/**
 * Operations so frequent that their 32-bit forms get a handler for each choice of registers: it reads
 * them at fixed offsets, half again as fast as through the record's slots.
 */
const FREQUENT = new Set([
  "MOV",
  "MOVZX",
  "ADD",
  "SUB",
  "CMP",
  "TEST",
  "AND",
  "OR",
  "XOR",
  "LEA",
  "INC",
  "DEC",
  "PUSH",
  "POP",
  "SHL",
  "SHR",
  "SAR",
  "ADC",
]);
/** Above so many handlers new ones are shared among registers again. */
const MAX_SPECIAL = 8000;

/** Whether an instruction's handler is made for its very registers. */
export function isSpecial(i: Insn, mode: number, count: number): boolean {
  return count < MAX_SPECIAL && (mode & Mode.CODE_MASK) !== 0 && i.opSize === 32 &&
    i.addrSize === 32 && FREQUENT.has(i.row.name);
}

/** What two instructions must have in common to share a handler; `special`: the registers too. */
export function shapeKey(i: Insn, mode: number, samePage: boolean, special = false): string {
  let key = `${rowId(i.row)} ${mode & modeMask(i.row)} ${i.opSize} ${i.addrSize} ${i.rep}` +
    ` ${i.cond} ${i.lock ? 1 : 0}${samePage ? 1 : 0}`;
  for (let n = 0; n < i.operands.length; n++) {
    const o = i.operands[n];
    switch (o.kind) {
      case "gpr":
        key += ` g${o.size}${o.high ? "h" : ""}`;
        break;
      case "mem":
        key += ` m${o.size},${o.seg},${o.base < 0 ? 0 : o.base === 4 ? 2 : 1},` +
          `${o.index < 0 ? "-" : o.scale},${o.disp === 0 && o.dispHi === 0 ? 0 : 1}${
            o.rip ? "r" : ""
          }${o.addrSize}`;
        // A fourth register (VBLENDV) or a vector index (gathers): the index has no slot.
        if (n > 0 && i.operands[n + 1]?.kind === "xmm") key += `x${o.index}`;
        break;
      case "imm":
        key += ` i${o.size}`;
        break;
      case "rel":
      case "far":
        key += ` ${o.kind}${o.size}`;
        break;
      case "xmm":
      case "mm":
      case "k":
        key += ` ${o.kind}${o.size}`;
        break;
      default:
        key += ` ${o.kind}${o.size}.${o.reg}`;
    }
  }
  if (i.evex !== undefined) {
    const { mask, zeroing, broadcast, rounding, sae } = i.evex;
    key += ` e${mask}${zeroing ? "z" : ""}${broadcast ? "b" : ""}${sae ? rounding : ""}`;
    // A vector index has no slot.
    if (/GATHER|SCATTER/.test(i.row.name)) {
      for (const o of i.operands) if (o.kind === "mem") key += ` v${o.index}`;
    }
  }
  if (special) {
    key += " s";
    for (const o of i.operands) {
      if (o.kind === "gpr") key += ` ${o.reg}`;
      else if (o.kind === "mem") key += ` ${o.base},${o.index}`;
    }
  }
  // Semantics may look for operands that are the same register (XOR r, r), or an immediate's value.
  const a = i.operands[0], b = i.operands[1];
  if (
    a !== undefined && b !== undefined && "reg" in a && "reg" in b && a.kind === b.kind &&
    a.reg === b.reg
  ) {
    key += " =";
  }
  if (immediateMatters(i.row.name)) {
    for (const o of i.operands) if (o.kind === "imm") key += ` #${o.value}`;
  }
  return key;
}

export class Shapes {
  readonly #shapes = new Map<string, Shape>();
  #waiting: Waiting[] = [];
  /** How to make the handlers again that are in small modules of their own. */
  #loose: (() => Waiting)[] = [];
  /** How to make the slow handlers that nobody has needed yet, by the number of the quick one. */
  readonly #slow = new Map<number, () => Handler>();
  readonly #helperIds = new Map<string, number>();
  /** Make handlers for the registers of frequent instructions. */
  specialise = false;
  /** Helpers by number. */
  readonly helpers: ReturnType<typeof helperOf>[] = [];
  #next: number;
  readonly #free: number[] = [];
  /** What emitted code calls. */
  readonly runtime: RuntimeImports;

  /** @param first first free index of the table */
  constructor(
    readonly table: WebAssembly.Table,
    readonly limits: MemoryLimits,
    readonly imports: WebAssembly.ModuleImports,
    first: number,
  ) {
    this.#next = first;
    this.runtime = RUNTIME[limits.address ?? "i32"];
  }

  /** Number of handlers made. */
  get count(): number {
    return this.#shapes.size;
  }

  helperId(name: string): number {
    let id = this.#helperIds.get(name);
    if (id === undefined) {
      id = this.helpers.push(helperOf(name)) - 1;
      this.#helperIds.set(name, id);
    }
    return id;
  }

  /** The handler of an instruction; {@link flush} must run before it is executed. */
  get(i: Insn, mode: number, samePage: boolean): Shape {
    const special = this.specialise && isSpecial(i, mode, this.#shapes.size);
    const key = shapeKey(i, mode, samePage, special);
    let s = this.#shapes.get(key);
    if (s === undefined) {
      s = semanticsOf(i.row.name) === undefined
        ? this.raising(Vec.UD, -1)
        : this.#queue((slow) => this.#make(i, mode, samePage, special, slow));
      this.#shapes.set(key, s);
    }
    return s;
  }

  /** The handler that raises `vector` for the instruction of its record. */
  raising(vector: number, error: number): Shape {
    const key = `raise ${vector} ${error}`;
    let s = this.#shapes.get(key);
    if (s === undefined) {
      s = this.#queue(() => {
        const f = new FunctionBuilder(key, HANDLER);
        f.tail(
          this.runtime.raise,
          f.param(0, "i32"),
          f.param(1, "i32"),
          f.param(0, "i32").constant(vector),
          f.param(0, "i32").constant(error),
        );
        return { f, low: new Tier0Lowering(f, this.runtime, false, false, () => 0), ends: true };
      });
      this.#shapes.set(key, s);
    }
    return s;
  }

  /** @param slow number of the slow handler, if there is to be a quick one that leaves to it */
  #make(i: Insn, mode: number, samePage: boolean, special: boolean, slow?: number): Handler {
    const semantics = semanticsOf(i.row.name)!;
    const f = new FunctionBuilder(i.row.syntax, HANDLER);
    const e = new Emit(f, i, mode, this.runtime.host);
    if (i.row.privilege === "cpl0") e.raiseIf(e.field32(S.CPL).ne(0), Vec.GP, I32.of(0));
    semantics(e);
    if (!e.ended) dispatchNext(f);
    const low = new Tier0Lowering(
      f,
      this.runtime,
      samePage,
      (mode & Mode.SINGLE) !== 0,
      (name) => this.helperId(name),
      special,
      (mode & Mode.LONG) !== 0,
      slow !== undefined && canBeQuick(f.body) ? slow : undefined,
    );
    return { f, low, ends: e.ended };
  }

  #queue(make: (slow?: number) => Handler): Shape {
    const index = this.#next++, made = make(index + 1), { slow } = made.low;
    if (slow !== undefined) {
      this.#next++;
      this.#slow.set(index, () => make());
    }
    this.#waiting.push({ ...made, index });
    this.#loose.push(() => ({ ...make(slow), index }));
    return { index, ends: made.ends, helps: made.f.guestOps.has(G.HELPER) };
  }

  /** Makes the slow handler that goes with handler `index`. */
  makeSlow(index: number): void {
    const make = this.#slow.get(index);
    if (make === undefined) return;
    this.#slow.delete(index);
    const again = () => ({ ...make(), index: index + 1 });
    this.#waiting.push(again());
    this.#loose.push(again);
    this.flush();
  }

  /** Puts the handler that a module exports as `name` into the table. */
  install(module: WebAssembly.Module, name: string): number {
    this.#provide(module);
    const instance = new WebAssembly.Instance(module, { env: this.imports });
    const index = this.#free.pop() ?? this.#next++;
    if (index >= this.table.length) this.table.grow(1024);
    this.table.set(index, instance.exports[name] as CallableFunction);
    return index;
  }

  /** Gives back an index that {@link install} gave. */
  release(index: number): void {
    this.#free.push(index);
  }

  /** Builds the library functions that a module is the first to import. */
  #provide(module: WebAssembly.Module): void {
    const names = WebAssembly.Module.imports(module).map((i) => i.name);
    const functions = buildLibrary(names, (name) => name in this.imports);
    if (functions.length === 0) return;
    const m = new ModuleBuilder(this.limits);
    for (const l of functions) m.add(l.f, undefined, l.name, l.callee);
    const instance = new WebAssembly.Instance(new WebAssembly.Module(m.encode()), {
      env: this.imports,
    });
    Object.assign(this.imports, instance.exports);
  }

  /** Compiles the handlers asked for since the last call and installs them. */
  flush(): void {
    if (this.#waiting.length === 0) return;
    if (this.#loose.length >= PACK) {
      this.#waiting = this.#loose.map((make) => make());
      this.#loose = [];
    }
    const m = new ModuleBuilder(this.limits);
    for (const w of this.#waiting) m.add(w.f, w.low, `h${w.index}`);
    const module = new WebAssembly.Module(m.encode());
    this.#provide(module);
    const instance = new WebAssembly.Instance(module, { env: this.imports });
    if (this.#next > this.table.length) {
      this.table.grow(Math.max(1024, this.#next - this.table.length));
    }
    for (const w of this.#waiting) {
      this.table.set(w.index, instance.exports[`h${w.index}`] as CallableFunction);
      if (this.#slow.has(w.index)) {
        this.table.set(w.index + 1, this.imports.unmade as CallableFunction);
      }
    }
    this.#waiting = [];
  }
}
