/**
 * What can be told of an instruction's statements: whether it may begin again after any of its accesses
 * to guest memory, and which operand slots it uses.
 */
import { CALL, CALL_INDIRECT, type Expr } from "../wasm/expr.ts";
import type { Stmt } from "../wasm/func.ts";
import { G, type MemAccess, type StateRef } from "../x86/ir.ts";

class Walk {
  /** Accesses to guest memory. */
  accesses = 0;
  /** It calls something, loops or leaves by itself. */
  plain = true;
  /** Every access comes before all changes of guest state, but for stores that would be made again. */
  ordered = true;
  readonly slots = new Set<number>();
  #stored = false;
  #changed = false;

  expr(x: Expr): void {
    if (x.op === CALL || x.op === CALL_INDIRECT) this.plain = false;
    if (x.op === G.STATE) this.slots.add((x.data as StateRef).slot);
    for (const a of x.args) this.expr(a);
  }

  #access(d: MemAccess, store: boolean): void {
    this.accesses++;
    if (d.system || d.run) this.plain = false;
    if (this.#changed || (this.#stored && !store)) this.ordered = false;
    if (store) this.#stored = true;
  }

  stmts(list: readonly Stmt[]): void {
    for (const s of list) {
      switch (s.k) {
        case "set":
        case "drop":
          this.expr(s.value);
          break;
        case "store":
          this.expr(s.addr);
          this.expr(s.value);
          this.#changed = true;
          break;
        case "fence":
        case "tailIndirect":
          break;
        case "if":
          this.expr(s.cond);
          this.stmts(s.then);
          this.stmts(s.else);
          break;
        case "guest":
          this.#guest(s);
          break;
        default:
          this.plain = false;
      }
    }
  }

  #guest(s: Stmt & { k: "guest" }): void {
    for (const a of s.args) this.expr(a);
    switch (s.op) {
      case G.LOAD:
      case G.PROBE:
        return this.#access(s.data as MemAccess, false);
      case G.STORE:
        return this.#access(s.data as MemAccess, true);
      case G.SET_STATE:
        this.slots.add((s.data as StateRef).slot);
        this.#changed = true;
        return;
      case G.SET_FLAGS:
        this.#changed = true;
        return;
      case G.HELPER:
      case G.CHECKPOINT:
        this.plain = false;
    }
  }
}

function walk(stmts: readonly Stmt[]): Walk {
  const w = new Walk();
  w.stmts(stmts);
  return w;
}

/** Whether an instruction can be left at any of its accesses and done again from its beginning. */
export function isRestartable(stmts: readonly Stmt[]): boolean {
  return walk(stmts).ordered;
}

/**
 * Whether a handler accesses memory and does nothing that needs a frame or cannot be repeated. Of two
 * accesses each might have the other's TLB entry taken away, and the instruction begin again for ever.
 */
export function canBeQuick(stmts: readonly Stmt[]): boolean {
  const w = walk(stmts);
  return w.accesses === 1 && w.plain && w.ordered;
}

/** How many of a record's operand slots statements use. */
export function slotsUsed(stmts: readonly Stmt[]): number {
  const { slots } = walk(stmts);
  slots.delete(-1);
  return slots.size;
}
