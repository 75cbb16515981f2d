/**
 * Flags inside a region: an update stays pending, as its kind and operands, until something needs the
 * flags. Most updates are overwritten unread; most reads are a compare of two operands. From one
 * instruction to the next a pending update is a form, which is a number, and two values.
 */
import { type Expr, I32, I64 } from "../wasm/expr.ts";
import type { FunctionBuilder } from "../wasm/func.ts";
import type { FlagKind, FlagUpdate } from "../x86/ir.ts";
import * as S from "../x86/state.ts";
import { condExpr, flagExpr, flagValues } from "./lower.ts";

/** Flags as FLAG_RES and FLAG_AUX hold them. */
export interface Packed {
  readonly res: I64;
  readonly aux: I32;
}

/** What the flags are at a point of a region. */
export type FlagState =
  /** In the region's two flag locals. */
  | { readonly kind: "packed" }
  /** Whatever the region's form local says. */
  | { readonly kind: "any" }
  /** Not computed yet. `cf` is what INC and DEC leave in CF: 0 or 1. */
  | {
    readonly kind: "pending";
    readonly update: FlagUpdate;
    readonly args: readonly Expr[];
    readonly cf: I32 | undefined;
  };

export const PACKED: FlagState = { kind: "packed" };
export const ANY: FlagState = { kind: "any" };

/** Updates that need the flags before them for more than CF. */
const PARTIAL = new Set<FlagKind>(["cf", "cfof", "zf"]);

/** Whether the update sets all six flags, or all but CF. */
export function canWait(u: FlagUpdate): boolean {
  return !PARTIAL.has(u.kind);
}

/** Whether the update sets all six flags. */
export function isFull(u: FlagUpdate): boolean {
  return !PARTIAL.has(u.kind) && u.kind !== "inc" && u.kind !== "dec";
}

/** Forms: 0 is packed flags, the others are a kind of update and its width. */
const KINDS = ["add", "sub", "logic", "inc", "dec"] as const;
const WIDTHS = [8, 16, 32, 64] as const;
type Waiting = typeof KINDS[number];

/** The flags of `s` in packed form; temporaries are made with `bind`. */
export function packFlags(
  s: FlagState,
  old: Packed,
  bind: (v: I32) => I32,
): Packed {
  if (s.kind === "packed") return old;
  if (s.kind === "any") throw new Error("flags of no known form");
  const { cf } = s;
  const v = flagValues(
    s.update,
    s.args,
    () => old.res,
    () => cf === undefined ? old.aux : cf.shl(31),
    bind,
  );
  return { res: v.res ?? old.res, aux: v.aux };
}

/** Operand `n` with its sign in the highest bit. */
function high(s: FlagState & { kind: "pending" }, n: number): I32 | I64 {
  const a = s.args[n] as I32 | I64;
  return s.update.bits < 32 ? (a as I32).shl(32 - s.update.bits) : a;
}

/** CF of `s`, 0 or 1. */
export function carryOf(s: FlagState, old: Packed, bind: (v: I32) => I32): I32 {
  if (s.kind !== "pending") return old.aux.shr_u(31);
  switch (s.update.kind) {
    case "logic":
      return I32.of(0);
    case "sub":
      return (high(s, 0) as I32).lt_u(high(s, 1) as I32);
    case "add":
      return (high(s, 2) as I32).lt_u(high(s, 0) as I32);
    case "explicit":
      return s.args[1] as I32;
    case "inc":
    case "dec":
      return s.cf!;
  }
  return bind(packFlags(s, old, bind).aux).shr_u(31);
}

/** One flag of `s`, 0 or 1. */
export function flagOf(name: string, s: FlagState, old: Packed, bind: (v: I32) => I32): I32 {
  if (name === "cf") return carryOf(s, old, bind);
  if (s.kind === "pending") {
    const r = resultOf(s);
    if (r !== undefined && name === "zf") return r.eqz();
    if (r !== undefined && name === "sf") return (r as I32).lt_s(0);
  }
  const p = packFlags(s, old, bind);
  return flagExpr(name, () => p.res, once(p.aux, bind));
}

/** Result of the operation with its sign in the highest bit, for the kinds where one argument is it. */
function resultOf(s: FlagState & { kind: "pending" }): I32 | I64 | undefined {
  const at: Partial<Record<FlagKind, number>> = {
    add: 2,
    adc: 2,
    sub: 2,
    sbb: 2,
    inc: 1,
    dec: 1,
    logic: 0,
    explicit: 0,
  };
  const n = at[s.update.kind];
  return n === undefined ? undefined : high(s, n);
}

function once(v: I32, bind: (v: I32) => I32): () => I32 {
  const b = bind(v);
  return () => b;
}

/** Condition `cc` (Jcc encoding) on `s`, 0 or 1. */
export function condOf(cc: number, s: FlagState, old: Packed, bind: (v: I32) => I32): I32 {
  if (s.kind === "pending") {
    const direct = directCond(cc, s);
    if (direct !== undefined) return direct;
    if (cc >> 1 === 1) {
      const c = carryOf(s, old, bind);
      return cc & 1 ? c.eqz() : c;
    }
  }
  const p = packFlags(s, old, bind);
  return condExpr(cc, () => p.res, once(p.aux, bind));
}

/** The condition as a compare of the operation's operands or of its result with zero. */
function directCond(cc: number, s: FlagState & { kind: "pending" }): I32 | undefined {
  if (s.update.kind === "sub") {
    const a = high(s, 0) as I32, b = high(s, 1) as I32;
    switch (cc) {
      case 2:
        return a.lt_u(b);
      case 3:
        return a.ge_u(b);
      case 4:
        return a.eq(b);
      case 5:
        return a.ne(b);
      case 6:
        return a.le_u(b);
      case 7:
        return a.gt_u(b);
      case 12:
        return a.lt_s(b);
      case 13:
        return a.ge_s(b);
      case 14:
        return a.le_s(b);
      case 15:
        return a.gt_s(b);
    }
  }
  const r = resultOf(s) as I32 | undefined;
  if (r === undefined) return undefined;
  switch (cc) {
    case 4:
      return r.eqz();
    case 5:
      return r.ne(0);
    case 8:
      return r.lt_s(0);
    case 9:
      return r.ge_s(0);
  }
  if (s.update.kind !== "logic") return undefined;
  // CF and OF are 0.
  switch (cc) {
    case 6:
      return r.eqz();
    case 7:
      return r.ne(0);
    case 12:
      return r.lt_s(0);
    case 13:
      return r.ge_s(0);
    case 14:
      return r.le_s(0);
    case 15:
      return r.gt_s(0);
  }
  return undefined;
}

/** A pending update as a form and its values; undefined: it must be packed. */
export function carry(s: FlagState): { form: number; values: readonly Expr[] } | undefined {
  if (s.kind !== "pending") return undefined;
  const { update: { kind, bits }, args: a } = s;
  const n = KINDS.indexOf(kind as Waiting);
  if (n < 0) return undefined;
  const form = 1 + n * WIDTHS.length + WIDTHS.indexOf(bits);
  switch (kind as Waiting) {
    case "add":
    case "sub":
      return { form, values: [a[0], a[1]] };
    case "logic":
      return { form, values: [a[0]] };
    default:
      return { form, values: [a[1], s.cf!] };
  }
}

/** The state that {@link carry} gave `form` for; `word` reads value n in the width of a local. */
export function carried(form: number, word: (n: number) => I32 | I64): FlagState {
  if (form === 0) return PACKED;
  const kind = KINDS[Math.floor((form - 1) / WIDTHS.length)];
  const bits = WIDTHS[(form - 1) % WIDTHS.length];
  const narrow = (v: I32 | I64): I32 => v.type === "i64" ? (v as I64).wrap() : v as I32;
  // Both widths have the operations used here.
  const value = (n: number): I32 => bits === 64 ? word(n) as never : narrow(word(n));
  const pending = (args: I32[], cf?: I32): FlagState => ({
    kind: "pending",
    update: { kind, bits },
    args,
    cf,
  });
  switch (kind) {
    case "add":
      return pending([value(0), value(1), value(0).add(value(1))]);
    case "sub":
      return pending([value(0), value(1), value(0).sub(value(1))]);
    case "logic":
      return pending([value(0)]);
    case "inc":
      return pending([value(0).sub(1), value(0)], narrow(word(1)));
    case "dec":
      return pending([value(0).add(1), value(0)], narrow(word(1)));
  }
}

/**
 * Body of the library's `flags`: (cpu, form, two values, FLAG_RES, FLAG_AUX) stores what the flags of a
 * form are; packed ones are the last two arguments.
 */
export function emitFlags(f: FunctionBuilder): void {
  const cpu = f.param(0, "i32"), form = f.param(1, "i32");
  const values = [f.param(2, "i64"), f.param(3, "i64")];
  const old: Packed = { res: f.param(4, "i64"), aux: f.param(5, "i32") };
  const store = (p: Packed) => {
    f.store("i64.store", cpu, p.res, S.FLAG_RES);
    f.store("i32.store", cpu, p.aux, S.FLAG_AUX);
    f.return();
  };
  for (let n = 1; n <= KINDS.length * WIDTHS.length; n++) {
    f.if(form.eq(n), () => store(packFlags(carried(n, (k) => values[k]), old, (v) => f.let(v))));
  }
  store(old);
}
