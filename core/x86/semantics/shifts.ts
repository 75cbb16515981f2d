/**
 * Shifts and rotates. Intel SDM volume 2; flags the manual leaves undefined follow Intel's processors:
 * whatever the count, OF is that of a shift of the operand by one. Only ROL and ROR
 * of a register by an immediate greater than 1 keep OF.
 */
import { type AnyInt, I32, I64 } from "../../wasm/expr.ts";
import { Gpr } from "../insn.ts";
import { type Bits, define, type Emit } from "./emit.ts";
import { cut, signExtend } from "./move.ts";

/** The shift count: operand n masked to 5 bits (6 for 64-bit operands), as an i32. */
function countOf(e: Emit, n: number, bits: Bits): I32 {
  const c = e.operands[n].kind === "gpr"
    ? e.gpr(Gpr.RCX, 8) as unknown as I32
    : e.imm(8) as unknown as I32;
  return e.let(c.and(bits === 64 ? 63 : 31));
}

/** A count as an integer of the operand's type. */
function wide(e: Emit, c: I32, bits: Bits): AnyInt {
  return bits === 64 ? e.let(c.extend_u()) : c;
}

function narrow(v: AnyInt): I32 {
  return v.type === "i64" ? (v as unknown as I64).wrap() : v as unknown as I32;
}

function msb(v: AnyInt, bits: Bits): I32 {
  return narrow(v.shr_u(bits - 1)).and(1);
}

type Shifted = { r: AnyInt; cf: I32; of: I32 };
type Shift = (e: Emit, bits: Bits, a: AnyInt, c: I32) => Shifted;

/**
 * Defines an operation by what it gives for a count that is not 0: a count of 0 changes no flag but
 * writes the operand back. `flags` sets those the operation has.
 */
function counted(
  name: string,
  f: Shift,
  flags: (e: Emit, bits: Bits, r: AnyInt, cf: I32, of: I32) => void,
): void {
  define(name, (e) => {
    const bits = e.size(0), c = countOf(e, 1, bits);
    e.rmw(0, (a) => {
      const { r, cf, of } = f(e, bits, a, c);
      const result = e.let(r);
      e.f.if(c.ne(0), () => flags(e, bits, result, e.let(cf), e.let(of)));
      return result;
    });
  });
}

/** Shifts set ZF, SF and PF from the result and clear AF; rotates change CF and OF alone. */
const shift = (name: string, f: Shift): void =>
  counted(name, f, (e, bits, r, cf, of) => e.flagsExplicit(bits, r, cf, of, I32.of(0)));
const rotate = (name: string, f: Shift): void =>
  counted(name, f, (e, _bits, _r, cf, of) => e.flagsCfOf(cf, of));

/** Bit `bits - 1` of an operand before and after a shift to the left by one differ. */
function signMoves(a: AnyInt, bits: Bits): I32 {
  return msb(a, bits).xor(narrow(a.shr_u(bits - 2)).and(1));
}

/** Bit `bits - 1` and the bit that a shift to the right by one puts there differ. */
function signTaken(a: AnyInt, bits: Bits, from: I32): I32 {
  return msb(a, bits).xor(from);
}

/** OF of ROL and ROR. */
function rotateOf(e: Emit, c: I32, of: I32): I32 {
  const keeps = e.operands[1].kind === "imm" && !e.isMem(0);
  return keeps ? c.eq(1).select(e.let(of), e.flag("of")) : of;
}

export function shiftSemantics(): void {
  shift("SHL", (e, bits, a, c) => {
    const n = wide(e, c, bits);
    const r = e.let(cut(a.shl(n as never), bits));
    // The last bit out: bit `bits - c` of the operand.
    const cf = bits === 64
      ? narrow(a.shr_u(n.constant(64).sub(n as never) as never)).and(1)
      : (a as unknown as I32).extend_u().shl(c.extend_u()).shr_u(bits).wrap().and(1);
    const carry = e.let(cf);
    return { r, cf: carry, of: signMoves(a, bits) };
  });
  shift("SHR", (e, bits, a, c) => {
    const n = wide(e, c, bits);
    const r = e.let(a.shr_u(n as never));
    const cf = narrow(a.shr_u(n.sub(1) as never)).and(1);
    return { r, cf, of: msb(a, bits) };
  });
  shift("SAR", (e, bits, a, c) => {
    const s = e.let(bits === 64 ? a : signExtend(a, bits, 32));
    const n = wide(e, c, bits);
    const r = cut(s.shr_s(n as never), bits);
    const cf = narrow(s.shr_s(n.sub(1) as never)).and(1);
    return { r, cf, of: I32.of(0) };
  });
  rotate("ROL", (e, bits, a, c) => {
    const r = e.let(rotateLeft(e, bits, a, c));
    const cf = e.let(narrow(r).and(1));
    return { r, cf, of: rotateOf(e, c, signMoves(a, bits)) };
  });
  rotate("ROR", (e, bits, a, c) => {
    const r = e.let(
      bits >= 32
        ? a.rotr(wide(e, c, bits) as never)
        : rotateLeft(e, bits, a, e.let(I32.of(bits).sub(c.and(bits - 1)))),
    );
    const of = rotateOf(e, c, signTaken(a, bits, narrow(a).and(1)));
    return { r, cf: msb(r, bits), of };
  });
  rotate("RCL", (e, bits, a, c) => throughCarry(e, bits, a, c, true));
  rotate("RCR", (e, bits, a, c) => throughCarry(e, bits, a, c, false));
  doubleShift("SHLD", true);
  doubleShift("SHRD", false);
}

function rotateLeft(e: Emit, bits: Bits, a: AnyInt, c: I32): AnyInt {
  if (bits >= 32) return a.rotl(wide(e, c, bits) as never);
  const n = e.let(c.and(bits - 1));
  const x = a as unknown as I32;
  return cut(x.shl(n).or(x.shr_u(I32.of(bits).sub(n))), bits);
}

/** RCL and RCR: rotation of the operand and CF together. */
function throughCarry(e: Emit, bits: Bits, a: AnyInt, c: I32, left: boolean) {
  const old = e.flag("cf");
  if (bits === 64) {
    const x = a as unknown as I64, n = e.let(c.extend_u());
    const back = e.let(I64.of(64).sub(n));
    // The two halves of the 65-bit rotation; shifting by one more is done in two steps.
    const r = e.let(
      c.eqz().select(
        x,
        left
          ? x.shl(n).or(old.extend_u().shl(n.sub(1))).or(x.shr_u(1).shr_u(back))
          : x.shr_u(n).or(old.extend_u().shl(back)).or(x.shl(1).shl(back)),
      ),
    );
    const out = left ? x.shr_u(back) : x.shr_u(n.sub(1));
    const cf = e.let(c.eqz().select(old, out.wrap().and(1)));
    return { r, cf, of: left ? signMoves(a, 64) : signTaken(a, 64, old) };
  }
  const width = bits + 1;
  const n = bits === 32 ? c : e.let(c.rem_u(width));
  const n64 = e.let(n.extend_u());
  const v = e.let((a as unknown as I32).extend_u().or(old.extend_u().shl(bits)));
  const back = I64.of(width).sub(n64);
  const t = e.let(left ? v.shl(n64).or(v.shr_u(back)) : v.shr_u(n64).or(v.shl(back)));
  const r = e.let(cut(t.wrap(), bits));
  const cf = e.let(t.shr_u(bits).wrap().and(1));
  const of = e.let(left ? signMoves(a, bits) : signTaken(a, bits, old));
  // A whole turn changes nothing.
  return { r, cf, of: bits === 32 ? of : n.eqz().select(e.flag("of"), of) };
}

function doubleShift(name: string, left: boolean): void {
  define(name, (e) => {
    const bits = e.size(0), c = countOf(e, 2, bits), src = e.rd(1);
    e.rmw(0, (a) => {
      const n = wide(e, c, bits);
      let r: AnyInt, cf: I32;
      if (bits === 16) {
        // Counts above 16 go on into the destination again.
        const d = (a as unknown as I32).extend_u(), s = (src as unknown as I32).extend_u();
        const all = e.let(d.shl(32).or(s.shl(16)).or(d));
        const n64 = e.let(c.extend_u());
        const t = e.let(left ? all.shl(n64) : all.shr_u(n64));
        r = (left ? t.shr_u(32) : t).wrap().and(0xffff);
        cf = left ? t.shr_u(48).wrap().and(1) : all.shr_u(n64.sub(1)).wrap().and(1);
      } else {
        const back = n.constant(bits).sub(n as never);
        const zero = c.eqz();
        const other = left ? src.shr_u(back as never) : src.shl(back as never);
        const main = left ? a.shl(n as never) : a.shr_u(n as never);
        r = zero.select(a, main.or(other as never));
        cf = left
          ? narrow(a.shr_u(back as never)).and(1)
          : narrow(a.shr_u(n.sub(1) as never)).and(1);
      }
      const result = e.let(r);
      const of = left ? signMoves(a, bits) : signTaken(a, bits, narrow(src).and(1));
      e.f.if(c.ne(0), () => e.flagsExplicit(bits, result, e.let(cf), e.let(of), I32.of(0)));
      return result;
    });
  });
}
