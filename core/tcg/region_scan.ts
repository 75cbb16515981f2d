/**
 * Finds what a region is made of: the instructions reachable from its entry by direct branches inside
 * the page, each as the statements of its semantics, and what they do with registers.
 */
import type { AddressType, Expr } from "../wasm/expr.ts";
import { I32 } from "../wasm/expr.ts";
import type { FunctionBuilder, Stmt } from "../wasm/func.ts";
import { opcode, type ValType } from "../wasm/opcodes.ts";
import type { Insn } from "../x86/insn.ts";
import { type FlagUpdate, G, type MemAccess, type StateRef, type StateStore } from "../x86/ir.ts";
import { Emit, semanticsOf } from "../x86/semantics/emit.ts";
import * as S from "../x86/state.ts";
import { Mode, Vec } from "../x86/state.ts";
import { isFull } from "./region_flags.ts";
import { isRestartable } from "./restart.ts";

/** How an instruction ends its basic block. */
export type Terminator =
  | { readonly kind: "jump"; readonly target: bigint }
  | { readonly kind: "cond"; readonly cond: I32; readonly target: bigint }
  | { readonly kind: "dynamic"; readonly target: Expr };

export interface RegionInsn {
  readonly insn: Insn;
  readonly ip: bigint;
  readonly next: bigint;
  readonly imm: bigint;
  readonly disp: number;
  /** Effects, without the terminator. */
  readonly stmts: readonly Stmt[];
  readonly end: Terminator | undefined;
  /** Temporaries that are assigned in one place only. */
  readonly once: ReadonlySet<number>;
  /** Temporaries that not every path assigns: they begin as zero each time. */
  readonly zeroed: readonly { readonly local: number; readonly type: ValType }[];
  readonly flags: FlagUse;
}

/** What an instruction does with the six arithmetic flags, in this order. */
export interface FlagUse {
  /** It may be left to tier 0, which then sees the flags before it. */
  readonly exits: boolean;
  /** It needs some of them. */
  readonly reads: boolean;
  /** It sets all of them. */
  readonly sets: boolean;
}

/** General registers by bit number. */
export interface RegUse {
  used: number;
  written: number;
  wide: number;
}

const STORE64 = opcode("i64.store");

export function hasFlagUpdate(stmts: readonly Stmt[]): boolean {
  return stmts.some((s) =>
    s.k === "guest"
      ? s.op === G.SET_FLAGS
      : s.k === "if" && (hasFlagUpdate(s.then) || hasFlagUpdate(s.else))
  );
}

/** State that regions keep elsewhere or that decides how code is translated. */
function offLimits(offset: number, write: boolean, registers: number): boolean {
  if (offset >= registers && offset < S.FLAG_SYS) return true;
  if (offset === S.FLAG_SYS) return false;
  if (offset < 0xb8) return true;
  return write && offset < S.FPR;
}

class Scan {
  ok = true;
  readonly flags = { exits: false, reads: false, sets: false };
  readonly sets = new Map<number, number>();
  readonly zeroed = new Map<number, ValType>();
  #depth = 0;
  /** @param registers bytes of state that are general registers of the mode */
  constructor(readonly use: RegUse, readonly registers: number) {}

  expr(x: Expr): void {
    if (x.op === G.CPU || x.op === G.REC) this.ok = false;
    if (x.op === G.FLAG || x.op === G.COND) this.flags.reads = true;
    if (x.op === G.STATE) {
      const { offset } = x.data as StateRef;
      if (offset < this.registers) this.use.used |= 1 << (offset >> 3);
      else if (offLimits(offset, false, this.registers)) this.ok = false;
    }
    for (const a of x.args) this.expr(a);
  }

  #set(local: number, type: ValType): void {
    if (this.#depth > 0 && !this.sets.has(local)) this.zeroed.set(local, type);
    this.sets.set(local, (this.sets.get(local) ?? 0) + 1);
  }

  stmts(list: readonly Stmt[]): void {
    for (const s of list) {
      switch (s.k) {
        case "set":
          this.#set(s.local, s.value.type);
          this.expr(s.value);
          break;
        case "drop":
          this.expr(s.value);
          break;
        case "store":
          this.expr(s.addr);
          this.expr(s.value);
          break;
        case "fence":
          break;
        case "if":
          this.expr(s.cond);
          this.#depth++;
          this.stmts(s.then);
          this.stmts(s.else);
          this.#depth--;
          break;
        case "guest":
          this.#guest(s);
          break;
        default:
          this.ok = false;
      }
    }
  }

  #guest(s: Stmt & { k: "guest" }): void {
    s.args.forEach((a) => this.expr(a));
    switch (s.op) {
      case G.SET_STATE: {
        const d = s.data as StateStore;
        if (d.offset < this.registers) {
          const bit = 1 << (d.offset >> 3);
          this.use.used |= bit;
          this.use.written |= bit;
          if (d.op === STORE64) this.use.wide |= bit;
        } else if (offLimits(d.offset, true, this.registers)) this.ok = false;
        return;
      }
      case G.STORE:
      case G.LOAD:
      case G.PROBE: {
        this.flags.exits = true;
        const { target: t, system, run } = s.data as MemAccess;
        if (system || run) this.ok = false;
        if (t === undefined) return;
        this.#set(t.index, t.type);
        // Assigned by a load: never a constant.
        this.sets.set(t.index, 2);
        return;
      }
      case G.SET_FLAGS:
        if (this.#depth > 0 || !isFull(s.data as FlagUpdate)) this.flags.reads = true;
        else this.flags.sets = true;
        return;
      case G.RAISE:
      case G.SEG_FAULT:
        this.flags.exits = true;
        return;
      case G.COMMIT:
        return;
      default:
        this.ok = false;
    }
  }
}

/** The instruction at `ip` as part of a region; undefined when only tier 0 can run it. */
export function scanInsn(
  f: FunctionBuilder,
  insn: Insn,
  mode: number,
  ip: bigint,
  use: RegUse,
  host: AddressType,
): RegionInsn | undefined {
  const semantics = semanticsOf(insn.row.name);
  const rel = insn.operands.find((o) => o.kind === "rel");
  if (semantics === undefined || insn.operands.some((o) => o.kind === "far")) return undefined;
  const long = (mode & Mode.CODE_MASK) === 2;
  if (rel !== undefined && insn.opSize === 16) return undefined;
  const stmts: Stmt[] = [];
  f.collect(stmts, () => {
    const e = new Emit(f, insn, mode, host);
    if (insn.row.privilege === "cpl0") e.raiseIf(e.field32(S.CPL).ne(0), Vec.GP, I32.of(0));
    semantics(e);
  });
  const mask = long ? 0xffffffffffffffffn : 0xffffffffn;
  const next = (ip + BigInt(insn.length)) & mask;
  let imm = 0n, disp = 0;
  for (const o of insn.operands) {
    if (o.kind === "imm") {
      imm = (BigInt(o.valueHi) << 32n) | BigInt(o.value >>> 0);
      break;
    }
  }
  for (const o of insn.operands) if (o.kind === "mem") disp = o.disp;
  if (rel !== undefined) imm = (next + BigInt(rel.value as number)) & mask;

  let end: Terminator | undefined;
  const last = stmts.at(-1);
  if (last?.k === "guest" && last.op === G.JUMP) end = { kind: "jump", target: imm };
  else if (last?.k === "guest" && last.op === G.JUMP_DYN) {
    end = { kind: "dynamic", target: last.args[0] };
  } else if (last?.k === "if" && last.else.length === 0 && last.then.length === 1) {
    const s = last.then[0];
    if (s.k === "guest" && s.op === G.JUMP) {
      end = { kind: "cond", cond: last.cond as I32, target: imm };
    }
  }
  if (end !== undefined) stmts.pop();

  const own: RegUse = { used: 0, written: 0, wide: 0 };
  const scan = new Scan(own, long ? 128 : 64);
  scan.stmts(stmts);
  if (end?.kind === "cond") scan.expr(end.cond);
  if (end?.kind === "dynamic") scan.expr(end.target);
  if (!scan.ok || !isRestartable(stmts)) return undefined;
  use.used |= own.used;
  use.written |= own.written;
  use.wide |= own.wide;
  const once = new Set([...scan.sets].filter(([, n]) => n === 1).map(([l]) => l));
  const zeroed = [...scan.zeroed].map(([local, type]) => ({ local, type }));
  return { insn, ip, next, imm, disp, stmts, end, once, zeroed, flags: scan.flags };
}
