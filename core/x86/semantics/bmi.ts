/**
 * BMI1, BMI2 and ADX: bit manipulation and carry chains in general registers. Intel SDM volume 2.
 * LZCNT, TZCNT and POPCNT are in `bits.ts`. AF and PF, which the manual leaves undefined, are cleared
 * as processors do.
 */
import { type AnyInt, I32, I64 } from "../../wasm/expr.ts";
import { Gpr } from "../insn.ts";
import { type Bits, define, type Emit } from "./emit.ts";
import { multiply64 } from "./arithmetic.ts";
import { selectInt } from "./move.ts";

/** ZF and SF of the result, CF as given, OF, AF and PF clear. */
function flags(e: Emit, bits: Bits, r: AnyInt, cf: I32): void {
  const sf = bits === 64 ? (r.shr_u(63) as unknown as I64).wrap() : r.shr_u(31) as unknown as I32;
  e.flagsAll(e.let(r.eqz().shl(6).or(sf.shl(7)).or(cf)));
}

/** BLSR, BLSMSK and BLSI: `f` of the operand and of what it works with. */
function lowest(name: string, f: (v: AnyInt) => AnyInt, carryOfZero: boolean): void {
  define(name, (e) => {
    const bits = e.size(0), v = e.rd(1), r = e.let(f(v)), zero = e.let(v.eqz());
    e.wr(0, r);
    flags(e, bits, r, carryOfZero ? zero : e.let(zero.eqz()));
  });
}

/** Shifts by a register that leave the flags alone. */
function shiftX(name: string, f: (v: AnyInt, n: AnyInt) => AnyInt): void {
  define(name, (e) => {
    const bits = e.size(0), n = e.let(e.rd(2).and(bits - 1));
    e.wr(0, e.let(f(e.rd(1), n)));
  });
}

/** ADCX, ADOX: addition with a carry of its own. */
function addChain(name: string, flag: "cf" | "of"): void {
  define(name, (e) => {
    const bits = e.size(0), a = e.rd(0), b = e.rd(1), c = e.flag(flag);
    const carry: AnyInt = bits === 64 ? e.let(c.extend_u()) : c;
    const part = e.let(a.add(b as never));
    const r = e.let(part.add(carry as never));
    const out = e.let(part.lt_u(a as never).or(r.lt_u(part as never)));
    e.wr(0, r);
    if (flag === "cf") e.flagsCf(out);
    else e.flagsCfOf(e.flag("cf"), out);
  });
}

/** PEXT and PDEP walk the mask's bits from the lowest. */
function walk(name: string, deposit: boolean): void {
  define(name, (e) => {
    const bits = e.size(0);
    const wide = (v: AnyInt) =>
      bits === 64 ? v as unknown as I64 : e.let((v as unknown as I32).extend_u());
    const src = wide(e.rd(1));
    const mask = e.local("i64"), one = e.local("i64"), r = e.local("i64");
    mask.set(wide(e.rd(2)));
    one.set(I64.of(1));
    r.set(I64.of(0));
    e.f.block((done) =>
      e.f.loop((again) => {
        e.f.brIf(done, mask.get().eqz());
        const low = e.let(mask.get().and(mask.get().neg()));
        const [from, to] = deposit ? [one.get(), low] : [low, one.get()];
        e.f.if(src.and(from).ne(0), () => r.set(r.get().or(to)));
        mask.set(mask.get().xor(low));
        one.set(one.get().shl(1));
        e.f.br(again);
      })
    );
    e.wr(0, e.let((bits === 64 ? r.get() : r.get().wrap()) as unknown as AnyInt));
  });
}

export function bmiSemantics(): void {
  define("ANDN", (e) => {
    const bits = e.size(0), r = e.let(e.rd(1).not().and(e.rd(2) as never));
    e.wr(0, r);
    flags(e, bits, r, I32.of(0));
  });
  lowest("BLSR", (v) => v.and(v.sub(1) as never), true);
  lowest("BLSMSK", (v) => v.xor(v.sub(1) as never), true);
  lowest("BLSI", (v) => v.and(v.neg() as never), false);
  define("BZHI", (e) => {
    const bits = e.size(0), v = e.rd(1), n = e.let(e.rd(2).and(0xff));
    const over = e.let(n.gt_u(bits - 1));
    const kept = v.and(v.constant(1).shl(n as never).sub(1) as never);
    const r = e.let(selectInt(over, v, e.let(kept)));
    e.wr(0, r);
    flags(e, bits, r, over);
  });
  define("BEXTR", (e) => {
    const bits = e.size(0), v = e.rd(1), control = e.rd(2);
    const start = e.let(control.and(0xff)), length = e.let(control.shr_u(8).and(0xff));
    const moved = e.let(selectInt(start.gt_u(bits - 1), v.constant(0), v.shr_u(start as never)));
    const kept = moved.and(v.constant(1).shl(length as never).sub(1) as never);
    const r = e.let(selectInt(length.gt_u(bits - 1), moved, e.let(kept)));
    e.wr(0, r);
    e.flagsAll(e.let(r.eqz().shl(6)));
  });
  define("MULX", (e) => {
    const bits = e.size(0), a = e.gpr(Gpr.RDX, bits), b = e.rd(2);
    let lo: AnyInt, hi: AnyInt;
    if (bits === 64) [lo, hi] = multiply64(e, a as unknown as I64, b as unknown as I64, false);
    else {
      const p = e.let((a as unknown as I32).extend_u().mul((b as unknown as I32).extend_u()));
      lo = e.let(p.wrap());
      hi = e.let(p.shr_u(32).wrap());
    }
    // The high half wins when both destinations are the same register.
    e.wr(1, lo);
    e.wr(0, hi);
  });
  shiftX("SHLX", (v, n) => v.shl(n as never));
  shiftX("SHRX", (v, n) => v.shr_u(n as never));
  shiftX("SARX", (v, n) => v.shr_s(n as never));
  define("RORX", (e) => {
    const bits = e.size(0), n = e.let((e.imm(8) as unknown as I32).and(bits - 1));
    e.wr(0, e.let(e.rd(1).rotr((bits === 64 ? e.let(n.extend_u()) : n) as never)));
  });
  walk("PEXT", false);
  walk("PDEP", true);
  addChain("ADCX", "cf");
  addChain("ADOX", "of");
}
