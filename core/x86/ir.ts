/**
 * Guest-level nodes: what semantics functions emit besides plain WebAssembly. A tier's lowering gives
 * them their meaning; passes over a shape or a region look for them.
 */
import { Expr, GUEST, I32, I64, type TypeMap, wrap } from "../wasm/expr.ts";
import { opInfo, type ValType } from "../wasm/opcodes.ts";
import type { FunctionBuilder, Local } from "../wasm/func.ts";

/** Operation numbers of guest-level expressions and statements. */
export const G = {
  /** Load of vCPU state. data: {@link StateRef}; imm: load instruction. */
  STATE: GUEST + 1,
  /** Immediate operand. imm: 0 immediate, 1 displacement. Type i32 or i64. */
  IMM: GUEST + 2,
  /** The vCPU's base address. */
  CPU: GUEST + 3,
  /** RIP of this instruction (i64), and of the next one. */
  IP: GUEST + 4,
  NEXT_IP: GUEST + 5,
  /** Condition `imm` (0–15, Jcc encoding) on the flags: i32 0 or 1. */
  COND: GUEST + 6,
  /** One flag as i32 0 or 1. data: "cf" | "pf" | "af" | "zf" | "sf" | "of". */
  FLAG: GUEST + 7,
  /** The record or instruction handle passed to helpers: i32. */
  REC: GUEST + 8,

  // statements
  /** Store to vCPU state. args: value; data: StateStore. */
  SET_STATE: GUEST + 20,
  /** Flags from an operation. args by kind; data: {@link FlagUpdate}. */
  SET_FLAGS: GUEST + 21,
  /** Guest memory read. args: linear address; data: {@link MemAccess}. */
  LOAD: GUEST + 22,
  /** Guest memory write. args: linear address, value; data: MemAccess without target. */
  STORE: GUEST + 23,
  /** Host address for a read-modify-write. args: linear address; data: MemAccess with `host`. */
  PROBE: GUEST + 24,
  /** Completes a read-modify-write begun by PROBE. args: host address; data: size in bytes. */
  COMMIT: GUEST + 25,
  /** Exception: leaves the instruction. args: error code if any; data: vector. */
  RAISE: GUEST + 26,
  /** Ends the block: goes to a constant target. args: target RIP (i64). data: same page or not. */
  JUMP: GUEST + 27,
  /** Ends the block: goes to a computed target. args: target RIP (i64). */
  JUMP_DYN: GUEST + 28,
  /** Calls a TypeScript helper; leaves the instruction when it says so. data: {@link HelperCall}. */
  HELPER: GUEST + 29,
  /**
   * Tests budget and kicks inside a long-running instruction (REP), which leaves there and resumes
   * at its beginning. args: i32, rounds done since the last one.
   */
  CHECKPOINT: GUEST + 30,
  /** Leaves to the run loop after the instruction: interrupts or the mode may have changed. */
  EXIT: GUEST + 31,
  /** A segment's limit check failed for an access. data: segment number. */
  SEG_FAULT: GUEST + 32,
} as const;

/**
 * A place in the vCPU's state: operand slot `slot` (0–3) of the instruction, or at a fixed `offset`.
 * Slots are what lets tier 0 share one handler among all registers; `offset` is always right for
 * the instruction at hand.
 */
export interface StateRef {
  readonly slot: number;
  readonly offset: number;
  /** Bytes from the beginning of the slot's register; `offset` includes them. */
  readonly plus?: number;
}

export interface StateStore extends StateRef {
  /** Store instruction number. */
  readonly op: number;
}

/**
 * `add`, `adc`: a, b, result; `sub`, `sbb`: a, b, result; `inc`, `dec`: a, result (CF kept);
 * `logic`: result; `explicit`: result, cf, of, af (each 0 or 1); `cf`: cf only;
 * `cfof`: cf, of (each 0 or 1); `all`: an EFLAGS value, of which the six arithmetic flags are taken; `zf`: zf only.
 */
export type FlagKind =
  | "add"
  | "adc"
  | "sub"
  | "sbb"
  | "inc"
  | "dec"
  | "logic"
  | "explicit"
  | "cf"
  | "cfof"
  | "zf"
  | "all";

export interface FlagUpdate {
  readonly kind: FlagKind;
  readonly bits: 8 | 16 | 32 | 64;
}

export interface MemAccess {
  /** Bytes: 1, 2, 4, 8, 16 or 32. */
  readonly bytes: number;
  /** Load or store instruction number. */
  readonly op: number;
  /** Where a load's result, or a probe's host address, goes. */
  readonly target?: Local<ValType>;
  /** PROBE: read, write, or (default) both. */
  readonly access?: "r" | "w" | "rw";
  /** PROBE: what follows up to the page's end is accessed in place too, or the bounce buffer given. */
  readonly run?: boolean;
  /** The access is made with supervisor privilege whatever the CPL (descriptor tables, TSS). */
  readonly system?: boolean;
  /** The access is made by the stack pointer: to the page of others like it, most likely. */
  readonly stack?: boolean;
}

/** Helper number `id` of the table in `core/x86/helpers.ts`. */
export interface HelperCall {
  readonly name: string;
  /** The block ends behind the instruction; RIP is then what the helper left. */
  readonly ends: boolean;
  /**
   * Nothing of the instruction comes after the helper. The block goes on unless the helper has changed
   * the mode or asked for the run loop; RIP is then what the helper left.
   */
  readonly soft?: boolean;
  /** For a tier that has an emitted version of the helper: IRET's operand size in bytes. */
  readonly bytes?: number;
}

export function state<T extends ValType>(type: T, op: number, ref: StateRef): TypeMap[T] {
  return wrap(type, G.STATE, [], op, ref) as TypeMap[T];
}

export function cond(cc: number): I32 {
  return new I32(G.COND, [], cc);
}

export function flag(name: "cf" | "pf" | "af" | "zf" | "sf" | "of"): I32 {
  return new I32(G.FLAG, [], 0, name);
}

export const cpuPtr = (): I32 => new I32(G.CPU, []);
export const recPtr = (): I32 => new I32(G.REC, []);
export const ip = (): I64 => new I64(G.IP, []);
export const nextIp = (): I64 => new I64(G.NEXT_IP, []);

/** Appends a guest statement. */
export function guest(f: FunctionBuilder, op: number, args: readonly Expr[], data?: unknown): void {
  f.guest(op, args, data);
}

/** Names for `-d op`. */
export const guestNames = new Map<number, string>(
  Object.entries(G).map(([k, v]) => [v as number, k.toLowerCase()]),
);

/** One line per node, for `-d op`. */
export function describe(e: Expr): string {
  const name = guestNames.get(e.op) ?? opInfo.get(e.op)?.name ?? String(e.op);
  const data = e.data === undefined ? "" : ` ${JSON.stringify(e.data)}`;
  const imm = e.imm === 0 ? "" : ` ${e.imm}`;
  return e.args.length === 0
    ? `(${name}${imm}${data})`
    : `(${name}${imm}${data} ${e.args.map(describe).join(" ")})`;
}
