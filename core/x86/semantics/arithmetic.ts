/** Integer arithmetic and logic. Intel SDM volume 1, chapter 7.3.2 and 7.3.5. */
import { type AnyInt, I32, I64 } from "../../wasm/expr.ts";
import { call } from "../../wasm/func.ts";
import { Gpr } from "../insn.ts";
import { Vec } from "../state.ts";
import { type Bits, define, type Emit } from "./emit.ts";
import { divU128 } from "./lib_int.ts";
import { cut, signExtend } from "./move.ts";

/** Carry as an integer of the operand's type. */
function carry(e: Emit, bits: Bits): AnyInt {
  const c = e.flag("cf");
  return bits === 64 ? e.let(c.extend_u()) : c;
}

function binary(
  name: string,
  op: (e: Emit, bits: Bits, a: AnyInt, b: AnyInt) => AnyInt,
  write = true,
): void {
  define(name, (e) => {
    const bits = e.size(0), b = e.rd(1, bits);
    const apply = (a: AnyInt) => op(e, bits, a, b);
    if (write) e.rmw(0, apply);
    else apply(e.rd(0));
  });
}

function logic(name: string, f: (a: AnyInt, b: AnyInt) => AnyInt): void {
  binary(name, (e, bits, a, b) => {
    const r = e.let(f(a, b));
    e.flagsLogic(bits, r);
    return r;
  });
}

/** Full product of two 64-bit integers: [low, high]. */
export function multiply64(e: Emit, a: I64, b: I64, signed: boolean): [I64, I64] {
  const mask = 0xffffffffn;
  const al = e.let(a.and(mask)), ah = e.let(a.shr_u(32));
  const bl = e.let(b.and(mask)), bh = e.let(b.shr_u(32));
  const ll = e.let(al.mul(bl)), lh = e.let(al.mul(bh)), hl = e.let(ah.mul(bl));
  const mid = e.let(ll.shr_u(32).add(lh.and(mask)).add(hl.and(mask)));
  let hi: I64 = ah.mul(bh).add(lh.shr_u(32)).add(hl.shr_u(32)).add(mid.shr_u(32));
  if (signed) hi = hi.sub(a.shr_s(63).and(b)).sub(b.shr_s(63).and(a));
  return [e.let(a.mul(b)), e.let(hi)];
}

/** Product of two operands of `bits` bits: low and high half, zero-extended. */
function multiply(e: Emit, bits: Bits, a: AnyInt, b: AnyInt, signed: boolean): [AnyInt, AnyInt] {
  if (bits === 64) return multiply64(e, a as unknown as I64, b as unknown as I64, signed);
  if (bits === 32) {
    const wide = (v: AnyInt) =>
      signed ? (v as unknown as I32).extend_s() : (v as unknown as I32).extend_u();
    const p = e.let(wide(a).mul(wide(b)));
    return [e.let(p.wrap()), e.let(p.shr_u(32).wrap())];
  }
  const wide = (v: AnyInt) => signed ? signExtend(v, bits, 32) : v;
  const p = e.let(wide(a).mul(wide(b) as never));
  return [e.let(cut(p, bits)), e.let(cut(p.shr_u(bits), bits))];
}

function mulFlags(e: Emit, bits: Bits, lo: AnyInt, hi: AnyInt, signed: boolean): void {
  const expected = signed
    ? bits === 64
      ? lo.shr_s(63)
      : bits === 32
      ? lo.shr_s(31)
      : cut(signExtend(lo, bits, 32).shr_s(31), bits)
    : lo.constant(0);
  const over = e.let(hi.ne(expected as never));
  // Processors clear ZF: a bit that neither SF nor PF depends on keeps the result from being 0.
  const shown = bits === 8
    ? signExtend(lo, 8, 16).or(0x100 as never)
    : lo.or(lo.constant(0x100) as never);
  e.flagsExplicit(bits === 8 ? 16 : bits, e.let(shown), over, over, I32.of(0));
}

function mulWide(signed: boolean) {
  return (e: Emit): void => {
    const bits = e.size(0);
    const [lo, hi] = multiply(e, bits, e.gpr(Gpr.RAX, bits), e.rd(0), signed);
    if (bits === 8) e.setGpr(Gpr.RAX, 16, (lo as unknown as I32).or((hi as unknown as I32).shl(8)));
    else {
      e.setGpr(Gpr.RAX, bits, lo);
      e.setGpr(Gpr.RDX, bits, hi);
    }
    mulFlags(e, bits, lo, hi, signed);
  };
}

function imul(e: Emit, a: AnyInt, b: AnyInt): void {
  const bits = e.size(0);
  const [lo, hi] = multiply(e, bits, a, b, true);
  e.wr(0, lo);
  mulFlags(e, bits, lo, hi, true);
}

function divide(e: Emit): void {
  const bits = e.size(0), d = e.rd(0);
  e.raiseIf(d.eqz(), Vec.DE);
  if (bits === 64) {
    const b = d as unknown as I64;
    const hi = e.gpr(Gpr.RDX, 64) as unknown as I64, lo = e.gpr(Gpr.RAX, 64) as unknown as I64;
    e.raiseIf(hi.ge_u(b), Vec.DE);
    const q = e.let(call(divU128, "i64", hi, lo, b));
    e.setGpr(Gpr.RAX, 64, q);
    e.setGpr(Gpr.RDX, 64, lo.sub(q.mul(b)));
    return;
  }
  const n = dividend(e, bits);
  const b = (d as unknown as I32).extend_u();
  const q = e.let(n.div_u(b));
  e.raiseIf(q.shr_u(bits).ne(0), Vec.DE);
  quotient(e, bits, q, e.let(n.rem_u(b)));
}

/** rDX:rAX (or AX) as an i64. */
function dividend(e: Emit, bits: Bits): I64 {
  if (bits === 8) return e.let((e.gpr(Gpr.RAX, 16) as unknown as I32).extend_u());
  const lo = (e.gpr(Gpr.RAX, bits) as unknown as I32).extend_u();
  const hi = (e.gpr(Gpr.RDX, bits) as unknown as I32).extend_u();
  return e.let(hi.shl(bits).or(lo));
}

function quotient(e: Emit, bits: Bits, q: I64, r: I64): void {
  if (bits === 8) {
    return e.setGpr(Gpr.RAX, 16, q.wrap().and(0xff).or(r.wrap().and(0xff).shl(8)));
  }
  e.setGpr(Gpr.RAX, bits, q.wrap());
  e.setGpr(Gpr.RDX, bits, r.wrap());
}

function divideSigned(e: Emit): void {
  const bits = e.size(0), d = e.rd(0);
  e.raiseIf(d.eqz(), Vec.DE);
  if (bits === 64) return divideSigned64(e, d as unknown as I64);
  let n = dividend(e, bits);
  if (bits === 8) n = e.let(n.extend16_s());
  if (bits === 16) n = e.let(n.extend32_s());
  const b = e.let((signExtend(d, bits, 32) as unknown as I32).extend_s());
  // -2^63 / -1 would trap in WebAssembly; its quotient does not fit either.
  if (bits === 32) e.raiseIf(b.eq(-1).and(n.eq(-0x8000000000000000n)), Vec.DE);
  const q = e.let(n.div_s(b));
  const fit = bits === 8 ? q.extend8_s() : bits === 16 ? q.extend16_s() : q.extend32_s();
  e.raiseIf(q.ne(fit), Vec.DE);
  quotient(e, bits, q, e.let(n.rem_s(b)));
}

function divideSigned64(e: Emit, b: I64): void {
  const hi = e.gpr(Gpr.RDX, 64) as unknown as I64, lo = e.gpr(Gpr.RAX, 64) as unknown as I64;
  const ns = e.let(hi.shr_s(63)), bs = e.let(b.shr_s(63));
  // Magnitudes.
  const nlo = e.let(lo.xor(ns).sub(ns));
  const borrow = e.let(ns.and(lo.eqz().extend_u()));
  const nhi = e.let(hi.xor(ns).add(borrow));
  const mag = e.let(b.xor(bs).sub(bs));
  e.raiseIf(nhi.ge_u(mag), Vec.DE);
  const q = e.let(call(divU128, "i64", nhi, nlo, mag));
  const r = e.let(nlo.sub(q.mul(mag)));
  const qs = e.let(ns.xor(bs));
  // The quotient's magnitude may be 2^63 only when it is negative.
  e.raiseIf(q.gt_u(qs.shr_u(63).add(0x7fffffffffffffffn)), Vec.DE);
  e.setGpr(Gpr.RAX, 64, q.xor(qs).sub(qs));
  e.setGpr(Gpr.RDX, 64, r.xor(ns).sub(ns));
}

export function arithmeticSemantics(): void {
  binary("ADD", (e, bits, a, b) => {
    const r = e.let(cut(a.add(b as never), bits));
    e.flagsAdd(bits, a, b, r);
    return r;
  });
  binary("ADC", (e, bits, a, b) => {
    const r = e.let(cut(a.add(b as never).add(carry(e, bits) as never), bits));
    e.flagsAdc(bits, a, b, r);
    return r;
  });
  binary("SUB", (e, bits, a, b) => {
    const r = e.let(cut(a.sub(b as never), bits));
    e.flagsSub(bits, a, b, r);
    return r;
  });
  binary("SBB", (e, bits, a, b) => {
    const r = e.let(cut(a.sub(b as never).sub(carry(e, bits) as never), bits));
    e.flagsSbb(bits, a, b, r);
    return r;
  });
  binary(
    "CMP",
    (e, bits, a, b) => {
      const r = e.let(cut(a.sub(b as never), bits));
      e.flagsSub(bits, a, b, r);
      return r;
    },
    false,
  );
  logic("AND", (a, b) => a.and(b as never));
  logic("OR", (a, b) => a.or(b as never));
  logic("XOR", (a, b) => a.xor(b as never));
  binary(
    "TEST",
    (e, bits, a, b) => {
      const r = e.let(a.and(b as never));
      e.flagsLogic(bits, r);
      return r;
    },
    false,
  );
  define("INC", (e) =>
    e.rmw(0, (a) => {
      const bits = e.size(0), r = e.let(cut(a.add(1), bits));
      e.flagsInc(bits, a, r);
      return r;
    }));
  define("DEC", (e) =>
    e.rmw(0, (a) => {
      const bits = e.size(0), r = e.let(cut(a.sub(1), bits));
      e.flagsDec(bits, a, r);
      return r;
    }));
  define("NEG", (e) =>
    e.rmw(0, (a) => {
      const bits = e.size(0), r = e.let(cut(a.neg(), bits));
      e.flagsSub(bits, a.constant(0), a, r);
      return r;
    }));
  define("NOT", (e) => e.rmw(0, (a) => e.let(cut(a.not(), e.size(0)))));
  define("MUL", mulWide(false));
  define("IMUL1", mulWide(true));
  define("IMUL2", (e) => imul(e, e.rd(0), e.rd(1)));
  define("IMUL3", (e) => imul(e, e.rd(1), e.rd(2, e.size(0))));
  define("DIV", divide);
  define("IDIV", divideSigned);
  bcd();
}

/** Decimal adjustment: SDM volume 2, DAA, DAS, AAA, AAS, AAM, AAD. */
function bcd(): void {
  const decimal = (subtract: boolean) => (e: Emit) => {
    const al = e.gpr(Gpr.RAX, 8) as unknown as I32;
    const cf = e.flag("cf"), af = e.flag("af");
    const low = e.let(al.and(15).gt_u(9).or(af));
    const high = e.let(al.gt_u(0x99).or(cf));
    const delta = e.let(low.mul(6).add(high.mul(0x60)));
    const r = e.let((subtract ? al.sub(delta) : al.add(delta)).and(0xff));
    // A borrow of the low adjustment of DAS also sets CF.
    const c = subtract ? e.let(high.or(low.and(al.lt_u(6)))) : high;
    e.setGpr(Gpr.RAX, 8, r);
    e.flagsExplicit(8, r, c, I32.of(0), low);
  };
  define("DAA", decimal(false));
  define("DAS", decimal(true));
  const ascii = (subtract: boolean) => (e: Emit) => {
    const ax = e.gpr(Gpr.RAX, 16) as unknown as I32;
    const adjust = e.let(ax.and(15).gt_u(9).or(e.flag("af")));
    const step = adjust.mul(0x106);
    const r = e.let((subtract ? ax.sub(step) : ax.add(step)).and(0xffff));
    e.setGpr(Gpr.RAX, 16, r.and(0xff0f));
    e.flagsExplicit(8, e.let(r.and(0x0f)), adjust, I32.of(0), adjust);
  };
  define("AAA", ascii(false));
  define("AAS", ascii(true));
  define("AAM", (e) => {
    const base = e.imm(8) as unknown as I32;
    e.raiseIf(base.eqz(), Vec.DE);
    const al = e.gpr(Gpr.RAX, 8) as unknown as I32;
    const r = e.let(al.rem_u(base));
    e.setGpr(Gpr.RAX, 16, al.div_u(base).shl(8).or(r));
    e.flagsExplicit(8, r, I32.of(0), I32.of(0), I32.of(0));
  });
  define("AAD", (e) => {
    const base = e.imm(8) as unknown as I32;
    const ax = e.gpr(Gpr.RAX, 16) as unknown as I32;
    const al = e.let(ax.and(0xff)), add = e.let(ax.shr_u(8).mul(base).and(0xff));
    const r = e.let(al.add(add).and(0xff));
    e.setGpr(Gpr.RAX, 16, r);
    e.flagsAdd(8, al, add, r);
  });
  define("SALC", (e) => e.setGpr(Gpr.RAX, 8, e.flag("cf").neg().and(0xff)));
}
