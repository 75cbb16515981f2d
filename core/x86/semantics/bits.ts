/** Bit tests and scans. Intel SDM volume 2. */
import { type AnyInt, I32, type I64 } from "../../wasm/expr.ts";
import type { MemOperand } from "../insn.ts";
import { type Bits, define } from "./emit.ts";
import { selectInt } from "./move.ts";

type Change = (v: AnyInt, bit: AnyInt) => AnyInt;

/** BT and its relatives: CF is the bit; `change` gives the new operand. */
function bitTest(name: string, change: Change | undefined): void {
  define(name, (e) => {
    const bits = e.size(0);
    const index = e.operands[1].kind === "imm" ? e.imm(8) : e.rd(1);
    const low = e.let(index.and(bits - 1));
    const n = e.operands[1].kind === "imm" && bits === 64
      ? e.let((low as unknown as I32).extend_u() as unknown as AnyInt)
      : low;
    const apply = (v: AnyInt): AnyInt => {
      const bit = v.shr_u(n as never).and(1);
      const cf = e.let(bits === 64 ? (bit as unknown as I64).wrap() : bit as unknown as I32);
      e.flagsCf(cf);
      return change ? e.let(change(v, e.let(n.constant(1).shl(n as never)))) : v;
    };
    if (!e.isMem(0) || e.operands[1].kind === "imm") {
      if (change) e.rmw(0, apply);
      else apply(e.rd(0));
      return;
    }
    // A register index reaches beyond the operand: it is signed and counts from its address.
    const m = e.operands[0] as MemOperand;
    const shift = bits === 64 ? 6 : bits === 32 ? 5 : 4;
    const bytes = (bits >> 3) as 2 | 4 | 8;
    const signed = bits === 16
      ? (index as unknown as I32).extend16_s() as unknown as AnyInt
      : index;
    const step = e.let(signed.shr_s(shift).shl(shift - 3));
    const ea = e.ea(0);
    const delta: AnyInt = ea.type === step.type
      ? step
      : ea.type === "i64"
      ? (step as unknown as I32).extend_s() as unknown as AnyInt
      : (step as unknown as I64).wrap() as unknown as AnyInt;
    let at = e.let(ea.add(delta as never));
    if (m.addrSize === 16) at = e.let(at.and(0xffff));
    const lin = e.linear(m.seg, at, bytes, change !== undefined);
    if (change) e.rmwAt(lin, bytes, apply);
    else apply(e.load(lin, bytes) as AnyInt);
  });
}

function scan(name: string, reverse: boolean): void {
  define(name, (e) => {
    const bits = e.size(0), v = e.rd(1), old = e.rd(0);
    const zero = e.let(v.eqz());
    const at = reverse ? v.constant(bits === 64 ? 63 : 31).sub(v.clz() as never) : v.ctz();
    const r = e.let(selectInt(zero, old, at));
    // A source of 0 leaves all 64 bits of the destination alone.
    e.f.if(zero.eqz(), () => e.wr(0, r));
    e.flagsExplicit(
      bits,
      e.let(selectInt(zero, v.constant(0), r.or(v.constant(1).shl(8) as never))),
      I32.of(0),
      I32.of(0),
      I32.of(0),
    );
  });
}

/** LZCNT, TZCNT: defined for 0. */
function countZeros(name: string, leading: boolean): void {
  define(name, (e) => {
    const bits = e.size(0), v = e.rd(1);
    let r: AnyInt;
    if (leading) r = bits === 16 ? v.clz().sub(16) : v.clz();
    else r = bits === 16 ? v.or(0x10000).ctz() : v.ctz();
    const n = e.let(r);
    e.wr(0, n);
    // Processors clear PF and SF too.
    e.flagsAll(e.let(n.eqz().shl(6).or(v.eqz())));
  });
}

export function bitSemantics(): void {
  bitTest("BT", undefined);
  bitTest("BTS", (v, b) => v.or(b as never));
  bitTest("BTR", (v, b) => v.and(b.not() as never));
  bitTest("BTC", (v, b) => v.xor(b as never));
  scan("BSF", false);
  scan("BSR", true);
  countZeros("LZCNT", true);
  countZeros("TZCNT", false);
  define("POPCNT", (e) => {
    const bits: Bits = e.size(0), v = e.rd(1), r = e.let(v.popcnt());
    e.wr(0, r);
    // Only ZF follows the source; all others are cleared.
    e.flagsAll(e.let(v.eqz().shl(6)));
    void bits;
  });
}
