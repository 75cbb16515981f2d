/**
 * Flags inside a region: an update stays pending, as its kind and operands, until something needs the
 * flags. Most updates are overwritten unread; most reads are a compare of two operands.
 */
import { type Expr, I32, type I64 } from "../wasm/expr.ts";
import type { FlagKind, FlagUpdate } from "../x86/ir.ts";
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
  /** Not computed yet. `cf` is what INC and DEC leave in CF: 0 or 1. */
  | {
    readonly kind: "pending";
    readonly update: FlagUpdate;
    readonly args: readonly I32[];
    readonly cf: I32 | undefined;
  };

export const PACKED: FlagState = { kind: "packed" };

/** Updates that need the flags before them for more than CF. */
const PARTIAL = new Set<FlagKind>(["cf", "cfof", "zf"]);

/** Whether the update can wait: it sets all six flags, or all but CF, from 32-bit operands. */
export function canWait(u: FlagUpdate): boolean {
  return u.bits !== 64 && !PARTIAL.has(u.kind);
}

/** Whether the update sets all six flags. */
export function isFull(u: FlagUpdate): boolean {
  return !PARTIAL.has(u.kind) && u.kind !== "inc" && u.kind !== "dec";
}

/** The flags of `s` in packed form; temporaries are made with `bind`. */
export function packFlags(s: FlagState, old: Packed, bind: (v: I32) => I32): Packed {
  if (s.kind === "packed") return old;
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

/** CF of `s`, 0 or 1. */
export function carryOf(s: FlagState, old: Packed, bind: (v: I32) => I32): I32 {
  if (s.kind === "packed") return old.aux.shr_u(31);
  const a = s.args, up = 32 - s.update.bits;
  switch (s.update.kind) {
    case "logic":
      return I32.of(0);
    case "sub":
      return a[0].shl(up).lt_u(a[1].shl(up));
    case "add":
      return a[2].shl(up).lt_u(a[0].shl(up));
    case "explicit":
      return a[1];
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
    const r = resultOf(s.update, s.args);
    if (r !== undefined && name === "zf") return r.eqz();
    if (r !== undefined && name === "sf") return r.shr_u(31);
  }
  const p = packFlags(s, old, bind);
  return flagExpr(name, () => p.res, once(p.aux, bind));
}

/** Result of the operation in the high bits of an i32, for the kinds where one argument is it. */
function resultOf(u: FlagUpdate, args: readonly I32[]): I32 | undefined {
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
  const n = at[u.kind];
  return n === undefined ? undefined : args[n].shl(32 - u.bits);
}

function once(v: I32, bind: (v: I32) => I32): () => I32 {
  const b = bind(v);
  return () => b;
}

/** Condition `cc` (Jcc encoding) on `s`, 0 or 1. */
export function condOf(cc: number, s: FlagState, old: Packed, bind: (v: I32) => I32): I32 {
  if (s.kind === "pending") {
    const direct = directCond(cc, s.update, s.args);
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
function directCond(cc: number, u: FlagUpdate, args: readonly I32[]): I32 | undefined {
  const up = 32 - u.bits;
  if (u.kind === "sub") {
    const a = args[0].shl(up), b = args[1].shl(up);
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
  const r = resultOf(u, args);
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
  if (u.kind !== "logic") return undefined;
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

/**
 * How a pending update crosses from one basic block to the next: under `key`, with `values` copied to
 * the region's carrier locals. `undefined`: it must be packed first.
 */
export function carry(s: FlagState): { key: string; values: readonly I32[] } | undefined {
  if (s.kind === "packed") return { key: "", values: [] };
  const { update: u, args: a } = s;
  const key = `${u.kind}${u.bits}`;
  switch (u.kind) {
    case "add":
    case "sub":
      return { key, values: [a[0], a[1]] };
    case "logic":
      return { key, values: [a[0]] };
    case "inc":
    case "dec":
      return s.cf!.isConst
        ? { key: `${key} ${s.cf!.imm}`, values: [a[1]] }
        : { key, values: [a[1], s.cf!] };
  }
  return undefined;
}

/** The state that {@link carry} gave `key` for, with its values in `c`. */
export function carried(key: string, c: (n: number) => I32): FlagState {
  if (key === "") return PACKED;
  const m = /^([a-z]+)(\d+)(?: (\d))?$/.exec(key)!;
  const update: FlagUpdate = { kind: m[1] as FlagKind, bits: Number(m[2]) as 8 | 16 | 32 };
  const pending = (args: I32[], cf?: I32): FlagState => ({ kind: "pending", update, args, cf });
  switch (update.kind) {
    case "add":
      return pending([c(0), c(1), c(0).add(c(1))]);
    case "sub":
      return pending([c(0), c(1), c(0).sub(c(1))]);
    case "logic":
      return pending([c(0)]);
    case "inc":
      return pending([c(0).sub(1), c(0)], m[3] ? I32.of(Number(m[3])) : c(1));
    default:
      return pending([c(0).add(1), c(0)], m[3] ? I32.of(Number(m[3])) : c(1));
  }
}

/** Arguments of a guest flag statement as 32-bit values. */
export const asI32 = (args: readonly Expr[]): readonly I32[] => args as readonly I32[];
