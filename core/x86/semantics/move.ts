/** Data movement and stack operations. Intel SDM volume 1, chapter 7.3.1. */
import { type AnyInt, I32, I64, load as rawLoad } from "../../wasm/expr.ts";
import { Gpr, type MemOperand, Seg } from "../insn.ts";
import * as S from "../state.ts";
import { Vec } from "../state.ts";
import { type Bits, define, type Emit } from "./emit.ts";

/** Zero-extended value of `from` bits as the integer type of `to` bits. */
export function zeroExtend(v: AnyInt, from: Bits, to: Bits): AnyInt {
  return to === 64 && from !== 64 ? (v as unknown as I32).extend_u() : v;
}

/** Sign-extends a zero-extended value; the result is cut to `to` bits and zero-extended. */
export function signExtend(v: AnyInt, from: Bits, to: Bits): AnyInt {
  if (from === 64) return v;
  const x = v as unknown as I32;
  const s = from === 8 ? x.extend8_s() : from === 16 ? x.extend16_s() : x;
  if (to === 64) return s.extend_s();
  return to === 16 ? s.and(0xffff) : to === 8 ? s.and(0xff) : s;
}

function swapBytes32(v: I32): I32 {
  return v.rotl(8).and(0x00ff00ff).or(v.rotr(8).and(0xff00ff00));
}

function swapBytes(e: Emit, v: AnyInt, bits: Bits): AnyInt {
  if (bits === 16) {
    const x = v as unknown as I32;
    return x.shl(8).or(x.shr_u(8)).and(0xffff);
  }
  if (bits === 32) return swapBytes32(v as unknown as I32);
  const x = v as unknown as I64;
  const lo = e.let(swapBytes32(e.let(x.wrap())));
  const hi = e.let(swapBytes32(e.let(x.shr_u(32).wrap())));
  return lo.extend_u().shl(32).or(hi.extend_u());
}

function push(e: Emit): void {
  const bits = e.opSize;
  const o = e.operands[0];
  e.push(o.kind === "imm" ? e.imm(bits) : e.rd(0, bits), bits);
}

function pop(e: Emit): void {
  const bits = e.opSize, v = e.peek(bits);
  if (!e.isMem(0)) {
    e.addSp(bits >> 3);
    return e.wr(0, v);
  }
  // An address that uses rSP sees it already incremented.
  const m = e.operands[0] as MemOperand;
  let ea = e.ea(0);
  if (m.base === Gpr.RSP) ea = e.let(ea.add(bits >> 3));
  e.store(e.linear(m.seg, ea, bits >> 3, true), v, (bits >> 3) as 2 | 4 | 8);
  e.addSp(bits >> 3);
}

function pusha(e: Emit): void {
  const bits = e.opSize as 16 | 32, bytes = (bits >> 3) as 2 | 4;
  const sp = e.sp();
  const wrap = (v: AnyInt) => e.let(e.stackBits === 16 ? v.and(0xffff) : v);
  for (let n = 0; n < 8; n++) {
    const at = wrap(sp.sub((n + 1) * bytes));
    e.store(e.linear(Seg.SS, at, bytes, true), n === Gpr.RSP ? sp : e.gpr(n, bits), bytes);
  }
  e.setSp(wrap(sp.sub(8 * bytes)));
}

function popa(e: Emit): void {
  const bits = e.opSize as 16 | 32, bytes = bits >> 3;
  const values: AnyInt[] = [];
  for (let n = 0; n < 8; n++) values.push(e.peek(bits, (7 - n) * bytes));
  for (let n = 0; n < 8; n++) if (n !== Gpr.RSP) e.setGpr(n, bits, values[n]);
  e.addSp(8 * bytes);
}

function leave(e: Emit): void {
  const bits = e.opSize, bp = e.gpr(Gpr.RBP, e.stackBits);
  const v = e.load(e.linear(Seg.SS, bp, bits >> 3, false), (bits >> 3) as 2 | 4 | 8) as AnyInt;
  const sp = e.let(bp.add(bits >> 3));
  e.setSp(e.stackBits === 16 ? sp.and(0xffff) : sp);
  e.setGpr(Gpr.RBP, bits, v);
}

function xchg(e: Emit): void {
  const b = e.rd(1);
  if (!e.isMem(0)) {
    const a = e.rd(0);
    e.wr(0, b);
    return e.wr(1, a);
  }
  let old: AnyInt | undefined;
  e.rmw(0, (v) => {
    old = v;
    return b;
  });
  e.wr(1, old!);
}

function xadd(e: Emit): void {
  const bits = e.size(0), b = e.rd(1);
  let old: AnyInt | undefined, sum: AnyInt | undefined;
  const add = (v: AnyInt) => {
    old = v;
    sum = e.let(cut(v.add(b), bits));
    return sum;
  };
  if (e.isMem(0)) {
    e.rmw(0, add);
    e.wr(1, old!);
  } else {
    // The destination is written last: XADD r, r with one register leaves the sum.
    add(e.rd(0));
    e.wr(1, old!);
    e.wr(0, sum!);
  }
  e.flagsAdd(bits, old!, b, sum!);
}

/** Cuts an i32 to 8 or 16 bits; wider values stay. */
export function cut(v: AnyInt, bits: Bits): AnyInt {
  return bits === 8 ? v.and(0xff) : bits === 16 ? v.and(0xffff) : v;
}

function cmpxchg(e: Emit): void {
  const bits = e.size(0), acc = e.gpr(Gpr.RAX, bits), src = e.rd(1);
  let old: AnyInt | undefined;
  const change = (v: AnyInt) => {
    old = v;
    // The destination is always written, with its old value when the comparison fails.
    return selectInt(v.eq(acc), src, v);
  };
  if (e.isMem(0)) e.rmw(0, change);
  else {
    const v = e.rd(0);
    old = v;
    e.f.if(v.eq(acc), () => e.wr(0, src));
  }
  e.f.if(old!.ne(acc), () => e.setGpr(Gpr.RAX, bits, old!));
  e.flagsSub(bits, acc, old!, e.let(cut(acc.sub(old!), bits)));
}

export function selectInt(c: I32, a: AnyInt, b: AnyInt): AnyInt {
  return c.select(a, b);
}

function cmpxchg8b(e: Emit): void {
  const pair = (hi: number, lo: number) =>
    e.let(
      (e.gpr(hi, 32) as I32).extend_u().shl(32).or((e.gpr(lo, 32) as I32).extend_u()),
    );
  const acc = pair(Gpr.RDX, Gpr.RAX), src = pair(Gpr.RCX, Gpr.RBX);
  let old: I64 | undefined;
  e.rmwAt(e.lin(0, 8, true), 8, (v) => {
    old = v as unknown as I64;
    return old.eq(acc).select(src, old);
  });
  const equal = e.let(old!.eq(acc));
  e.f.if(equal.eqz(), () => {
    e.setGpr(Gpr.RAX, 32, old!.wrap());
    e.setGpr(Gpr.RDX, 32, old!.shr_u(32).wrap());
  });
  e.flagsZf(equal);
}

function cmpxchg16b(e: Emit): void {
  const q = (n: number) => e.gpr(n, 64) as unknown as I64;
  const accLo = q(Gpr.RAX), accHi = q(Gpr.RDX);
  const at = e.let(e.lin(0, 16, true) as I64);
  e.raiseIf(at.and(15).ne(0), Vec.GP, I32.of(0));
  const host = e.probe(at, 16), above = e.let(host.add(8));
  const lo = e.let(rawLoad("i64.load", host)), hi = e.let(rawLoad("i64.load", above));
  const equal = e.let(lo.eq(accLo).and(hi.eq(accHi)));
  e.f.store("i64.store", host, e.let(equal.select(q(Gpr.RBX), lo)));
  e.f.store("i64.store", above, e.let(equal.select(q(Gpr.RCX), hi)));
  e.commit(host, 16);
  e.f.if(equal.eqz(), () => {
    e.setGpr(Gpr.RAX, 64, lo);
    e.setGpr(Gpr.RDX, 64, hi);
  });
  e.flagsZf(equal);
}

export function moveSemantics(): void {
  define(["MOV", "MOVNTI"], (e) => e.wr(0, e.rd(1, e.size(0))));
  define("MOVZX", (e) => e.wr(0, zeroExtend(e.rd(1), e.size(1), e.size(0))));
  define(["MOVSX", "MOVSXD"], (e) => e.wr(0, signExtend(e.rd(1), e.size(1), e.size(0))));
  define("LEA", (e) => {
    const ea = e.ea(1), bits = e.size(0);
    if (bits === 64) e.wr(0, ea.type === "i64" ? ea : (ea as unknown as I32).extend_u());
    else e.wr(0, ea.type === "i64" ? (ea as unknown as I64).wrap() : ea);
  });
  define("XCHG", xchg);
  define("XADD", xadd);
  define("CMPXCHG", cmpxchg);
  define("CMPXCHG8B", cmpxchg8b);
  define("CMPXCHG16B", cmpxchg16b);
  define("BSWAP", (e) => {
    // BSWAP r16 is undefined by the manual; processors clear the register.
    const bits = e.size(0);
    e.wr(0, bits === 16 ? I32.of(0) : swapBytes(e, e.rd(0), bits));
  });
  define("MOVBE", (e) => {
    const bits = e.size(0);
    e.wr(0, swapBytes(e, e.rd(1), bits));
  });
  define("PUSH", push);
  define("POP", pop);
  define("PUSHA", pusha);
  define("POPA", popa);
  define("LEAVE", leave);
  define("PUSH_SREG", (e) => {
    const bits = e.opSize, n = (e.operands[0] as { reg: number }).reg;
    const sel = e.let(e.field32(S.SEGS + S.SEG_SIZE * n + S.SEG_SELECTOR).and(0xffff));
    if (bits !== 32) return e.push(bits === 64 ? sel.extend_u() : sel, bits);
    // Processors write only the low word of the slot.
    const sp = e.let(e.stackBits === 16 ? e.sp().sub(4).and(0xffff) : e.sp().sub(4));
    e.store(e.linear(Seg.SS, sp, 2, true), sel, 2);
    e.setSp(sp);
  });
  define("CBW", (e) => {
    const bits = e.opSize, half = (bits >> 1) as Bits;
    e.setGpr(Gpr.RAX, bits, signExtend(e.gpr(Gpr.RAX, half), half, bits));
  });
  define("CWD", (e) => {
    const bits = e.opSize, a = e.gpr(Gpr.RAX, bits);
    const sign = bits === 64
      ? a.shr_s(63)
      : bits === 32
      ? a.shr_s(31)
      : (a as unknown as I32).extend16_s().shr_s(15).and(0xffff);
    e.setGpr(Gpr.RDX, bits, sign);
  });
  define("CMOVcc", (e) => {
    // The source is read (and may fault) whatever the condition; 32-bit forms always clear 63:32.
    const v = e.rd(1);
    const old = e.rd(0);
    e.wr(0, selectInt(e.cond(e.i.cond), v, old));
  });
  define("SETcc", (e) => e.wr(0, e.let(e.cond(e.i.cond))));
  define("XLAT", (e) => {
    const m = e.operands[0] as MemOperand;
    const al = e.gpr(Gpr.RAX, 8) as I32;
    const base = e.gpr(Gpr.RBX, m.addrSize);
    const at = m.addrSize === 64
      ? (base as unknown as I64).add(al.extend_u())
      : m.addrSize === 32
      ? base.add(al as never)
      : (base as unknown as I32).add(al).and(0xffff);
    e.setGpr(Gpr.RAX, 8, e.load(e.linear(m.seg, e.let(at as never), 1, false), 1));
  });
  define("LAHF", (e) => e.setField(1, 1, e.arithFlags().and(0xd5).or(2)));
  define("SAHF", (e) => {
    const ah = e.let(e.field(1, 1) as I32);
    e.flagsAll(e.let(ah.and(0xd5).or(e.flag("of").shl(11))));
  });
  define([
    "NOP",
    "PREFETCH",
    "PREFETCHW",
    "PREFETCHNTA",
    "PREFETCHT0",
    "PREFETCHT1",
    "PREFETCHT2",
    "LFENCE",
    "MFENCE",
    "SFENCE",
  ], () => {});
}
