/**
 * General registers as WebAssembly locals of a region: 32 bits wide where the code is 32-bit, whose
 * instructions leave bits 63:32 alone or clear them, 64 bits in 64-bit code.
 */
import { type Expr, I32, I64, load } from "../wasm/expr.ts";
import type { FunctionBuilder, Local } from "../wasm/func.ts";
import { opInfo, type ValType } from "../wasm/opcodes.ts";
import * as S from "../x86/state.ts";

/** What a load or store instruction moves. */
interface Move {
  readonly type: ValType;
  readonly bits: number;
  readonly signed: boolean;
}

const moves = new Map<number, Move>();

/** Reads the name of a memory instruction: `i32.load8_s`, `i64.store`. */
function moveOf(op: number): Move {
  let m = moves.get(op);
  if (m === undefined) {
    const [, type, width, sign] = /^([if]\d+|v128)\.(?:load|store)(\d*)(?:_([su]))?$/.exec(
      opInfo.get(op)!.name,
    )!;
    const own = Number(/\d+$/.exec(type)![0]);
    m = { type: type as ValType, bits: width ? Number(width) : own, signed: sign === "s" };
    moves.set(op, m);
  }
  return m;
}

export class RegionRegs {
  readonly #narrow: (Local<"i32"> | undefined)[] = [];
  readonly #wide: (Local<"i64"> | undefined)[] = [];
  /** Bytes of state that hold the registers an instruction of this mode can name. */
  readonly end: number;

  /** @param used bit n: register n has a local */
  constructor(f: FunctionBuilder, used: number, readonly long: boolean) {
    this.end = long ? 128 : 64;
    for (let n = 0; n < this.end >> 3; n++) {
      const has = (used & (1 << n)) !== 0;
      this.#narrow.push(has && !long ? f.local("i32") : undefined);
      this.#wide.push(has && long ? f.local("i64") : undefined);
    }
  }

  /** Reads the registers from the vCPU state. */
  prologue(cpu: I32): void {
    this.#narrow.forEach((l, n) => l?.set(load("i32.load", cpu, S.GPR + 8 * n)));
    this.#wide.forEach((l, n) => l?.set(load("i64.load", cpu, S.GPR + 8 * n)));
  }

  /** A register's value, as wide as its local. */
  get(n: number): Expr {
    return (this.#wide[n] ?? this.#narrow[n])!.get();
  }

  /** Whether a place in the state is a register held here. */
  holds(offset: number): boolean {
    return offset < this.end &&
      (this.#wide[offset >> 3] ?? this.#narrow[offset >> 3]) !== undefined;
  }

  /** What load instruction `op` would read at `offset` of the state. */
  read(offset: number, op: number): Expr {
    const m = moveOf(op), shift = 8 * (offset & 7);
    const wide = this.#wide[offset >> 3]?.get().shr_u(shift);
    const v = wide === undefined ? this.#narrow[offset >> 3]!.get().shr_u(shift) : wide.wrap();
    if (m.type === "i64" && m.bits === 64) return wide ?? v.extend_u();
    let low: I32;
    if (m.bits === 8) low = m.signed ? v.extend8_s() : v.and(0xff);
    else if (m.bits === 16) low = m.signed ? v.extend16_s() : v.and(0xffff);
    else low = v;
    if (m.type === "i32") return low;
    return m.signed ? low.extend_s() : low.extend_u();
  }

  /** What store instruction `op` would write at `offset` of the state. */
  write(offset: number, op: number, value: Expr): void {
    const m = moveOf(op), shift = 8 * (offset & 7), n = offset >> 3;
    const wide = this.#wide[n], narrow = this.#narrow[n];
    if (wide !== undefined) {
      const v = value.type === "i64" ? value as I64 : (value as I32).extend_u();
      if (m.bits === 64) return wide.set(v);
      const mask = (1n << BigInt(m.bits)) - 1n;
      const part = I64.of(mask << BigInt(shift));
      wide.set(wide.get().and(part.xor(-1)).or(v.and(I64.of(mask)).shl(shift)));
      return;
    }
    const v = value.type === "i64" ? (value as I64).wrap() : value as I32;
    if (m.bits >= 32) return narrow!.set(v);
    const mask = (1 << m.bits) - 1;
    narrow!.set(narrow!.get().and(~(mask << shift)).or(v.and(mask).shl(shift)));
  }
}
