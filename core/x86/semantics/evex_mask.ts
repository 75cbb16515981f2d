/** AVX-512 instructions on mask registers, of 8, 16, 32 and 64 bits. Intel SDM volume 2. */
import { type AnyInt, type I32, I64 } from "../../wasm/expr.ts";
import { Mode, Vec } from "../state.ts";
import { define, type Emit } from "./emit.ts";
import { imm8 } from "./sse_common.ts";

type Size = 8 | 16 | 32 | 64;

/** Defines instructions on mask registers: VEX encodings that need AVX-512 state. */
function mask(name: string, s: (e: Emit) => void, opts?: { readonly byImmediate?: boolean }): void {
  define(name, (e) => {
    if (!(e.mode & Mode.AVX512)) e.raise(Vec.UD);
    else if (e.mode & Mode.SSE_NM) e.raise(Vec.NM);
    else s(e);
  }, opts);
}

const ones = (bits: Size): bigint => (1n << BigInt(bits)) - 1n;
const cut = (v: I64, bits: Size): I64 => bits === 64 ? v : v.and(ones(bits));
const rdK = (e: Emit, n: number, bits: Size): I64 => e.let(cut(e.rdPart(n, 0, 8), bits));

function wrK(e: Emit, n: number, v: I64): void {
  e.wrPart(n, 0, e.let(v), 8);
}

const LOGIC: Record<string, (a: I64, b: I64) => I64> = {
  KAND: (a, b) => a.and(b),
  KANDN: (a, b) => a.not().and(b),
  KOR: (a, b) => a.or(b),
  KXNOR: (a, b) => a.xor(b).not(),
  KXOR: (a, b) => a.xor(b),
  KADD: (a, b) => a.add(b),
};

/** KMOV: mask registers, general registers, memory. */
function move(bits: Size): (e: Emit) => void {
  const bytes = bits >> 3 as 1 | 2 | 4 | 8;
  const wide = (v: AnyInt): I64 =>
    v.type === "i64" ? v as unknown as I64 : (v as unknown as I32).extend_u();
  return (e) => {
    if (e.isMem(0)) {
      const v = e.rdPart(1, 0, 8) as I64;
      const low = bits === 64 ? v as unknown as AnyInt : v.wrap() as unknown as AnyInt;
      return e.store(e.lin(0, bytes, true), low, bytes);
    }
    if (e.operands[0].kind === "gpr") {
      const v = rdK(e, 1, bits);
      return e.wr(0, e.let(bits === 64 ? v as unknown as AnyInt : v.wrap() as unknown as AnyInt));
    }
    if (e.isMem(1)) return wrK(e, 0, wide(e.load(e.lin(1, bytes, false), bytes)));
    if (e.operands[1].kind === "gpr") {
      return wrK(e, 0, cut(wide(e.rd(1, bits === 64 ? 64 : 32)), bits));
    }
    wrK(e, 0, rdK(e, 1, bits));
  };
}

export function evexMaskSemantics(): void {
  for (const [s, bits] of [["B", 8], ["W", 16], ["D", 32], ["Q", 64]] as const) {
    for (const [name, op] of Object.entries(LOGIC)) {
      mask(name + s, (e) => wrK(e, 0, cut(op(rdK(e, 1, bits), rdK(e, 2, bits)), bits)));
    }
    mask(`KNOT${s}`, (e) => wrK(e, 0, cut(rdK(e, 1, bits).not(), bits)));
    mask(`KMOV${s}`, move(bits));
    for (const left of [true, false]) {
      mask(`KSHIFT${left ? "L" : "R"}${s}`, (e) => {
        const n = imm8(e), v = rdK(e, 1, bits);
        if (n >= bits) return wrK(e, 0, I64.of(0));
        wrK(e, 0, left ? cut(v.shl(n), bits) : v.shr_u(n));
      }, { byImmediate: true });
    }
    // ZF: all zeros; CF: all ones.
    mask(`KORTEST${s}`, (e) => {
      const v = e.let(rdK(e, 0, bits).or(rdK(e, 1, bits)));
      e.flagsAll(e.let(v.eqz().shl(6).or(v.eq(bits === 64 ? -1n : ones(bits)))));
    });
    mask(`KTEST${s}`, (e) => {
      const a = rdK(e, 0, bits), b = rdK(e, 1, bits);
      e.flagsAll(e.let(a.and(b).eqz().shl(6).or(a.not().and(b).eqz())));
    });
  }
  for (const [s, half] of [["BW", 8], ["WD", 16], ["DQ", 32]] as const) {
    mask(`KUNPCK${s}`, (e) => wrK(e, 0, rdK(e, 1, half).shl(half).or(rdK(e, 2, half))));
  }
}
