/**
 * Partial remainders and scaling in extended precision: exact operations that precision control does
 * not touch. Intel SDM volume 2, FPREM, FPREM1, FSCALE.
 */
import { I32, I64 } from "../../wasm/expr.ts";
import { call } from "../../wasm/func.ts";
import { type Binary, binary } from "./softfloat_arith.ts";
import type { FunctionBuilder } from "../../wasm/func.ts";
import {
  BIAS,
  divWide,
  fpuInvalid,
  fpuRound,
  fsw,
  INTEGER_BIT,
  isInfinity,
  isZero,
  put,
  putOperand,
  setFsw,
  Sw,
  var32,
  var64,
} from "./softfloat.ts";

const QUOTIENT = Sw.C0 | Sw.C1 | Sw.C2 | Sw.C3;

/** Puts the low three bits of a quotient into C0, C3 and C1, and `partial` (0 or 1) into C2. */
function setQuotient(f: FunctionBuilder, cpu: I32, q: I32, partial: I32): void {
  const bits = q.and(4).shl(6).or(q.and(2).shl(13)).or(q.and(1).shl(9)).or(partial.shl(10));
  setFsw(f, cpu, fsw(cpu).and(~QUOTIENT).or(bits));
}

function remainder(name: string, nearest: boolean) {
  const zero = I32.of(0);
  return binary(name, (f, o, denormal) => {
    const { cpu, dst, ah, al, bh, bl } = o;
    f.if(isInfinity(ah, al).or(isZero(bh, bl)), () => {
      f.return(call(fpuInvalid, "i32", cpu, dst));
    });
    f.if(isZero(ah, al).or(isInfinity(bh, bl)), () => {
      denormal();
      putOperand(f, dst, ah, al);
      setQuotient(f, cpu, zero, zero);
      f.return(zero);
    });
  }, (f, o) => {
    const { cpu, dst } = o;
    const sign = var32(f, o.ah.and(0x8000));
    const sa = f.let(o.sa.get()), sb = f.let(o.sb.get());
    const d = f.let(o.ea.get().sub(o.eb.get()));
    const exp = var32(f, o.eb.get()), r = f.local("i64"), q = f.local("i64");
    const partial = f.local("i32");
    f.if(d.lt_s(0), () => {
      r.set(sa);
      exp.set(o.ea.get());
      if (nearest) {
        f.if(d.eq(-1).and(sa.gt_u(sb)), () => {
          r.set(sb.shl(1).sub(sa));
          q.set(I64.of(1));
          sign.set(sign.get().xor(0x8000));
        });
      }
    }, () => {
      const n = var32(f, d);
      f.if(d.ge_s(64), () => {
        // Takes 32 to 63 bits off the exponent's difference; the rest is left for the next round.
        n.set(d.and(31).or(32));
        partial.set(I32.of(1));
        exp.set(exp.get().add(d).sub(n.get()));
      });
      const wide = f.let(n.get().extend_u());
      const hi = f.let(n.get().select(sa.shr_u(wide.neg()), I64.of(0)));
      const lo = f.let(sa.shl(wide));
      const div = divWide(f, hi, lo, sb);
      q.set(div.q);
      r.set(div.r);
      if (nearest) {
        const twice = f.let(div.r.shl(1));
        const above = f.let(
          div.r.lt_s(0).or(twice.gt_u(sb)).or(twice.eq(sb).and(div.q.wrap().and(1))),
        );
        f.if(partial.get().eqz().and(above), () => {
          r.set(sb.sub(div.r));
          q.set(div.q.add(1));
          sign.set(sign.get().xor(0x8000));
        });
      }
    });
    f.if(r.get().eqz(), () => put(f, dst, o.ah.and(0x8000), I64.of(0)), () => {
      const n = f.let(r.get().clz());
      f.call(
        fpuRound,
        cpu,
        dst,
        sign.get(),
        exp.get().sub(n.wrap()),
        r.get().shl(n),
        I64.of(0),
        zero,
      );
    });
    setQuotient(
      f,
      cpu,
      partial.get().select(zero, q.get().wrap()),
      partial.get(),
    );
  });
}

/** (cpu, dst, dividend, divisor, 0) → suppressed; C0, C3, C1: quotient, C2: incomplete. */
export const fpuRem = remainder("fpuRem", false).callee;
export const fpuRem1 = remainder("fpuRem1", true).callee;

function scaled(f: FunctionBuilder, o: Binary): void {
  const n = var32(f, I32.of(0));
  const e = f.let(o.eb.get().sub(BIAS));
  f.if(e.ge_s(0), () => {
    f.if(e.gt_s(16), () => n.set(I32.of(0x1ffff)), () => {
      n.set(o.sb.get().shr_u(I32.of(63).sub(e).extend_u()).wrap());
    });
    f.if(o.bh.and(0x8000), () => n.set(n.get().neg()));
  });
  const sig = var64(f, o.sa.get());
  f.call(
    fpuRound,
    o.cpu,
    o.dst,
    o.ah.and(0x8000),
    o.ea.get().add(n.get()),
    sig.get(),
    I64.of(0),
    I32.of(0),
  );
}

/** (cpu, dst, value, scale, 0) → suppressed: value × 2 to the truncated scale. */
export const fpuScale = binary("fpuScale", (f, o, denormal) => {
  const { cpu, dst, ah, al, bh, bl } = o;
  const sign = f.let(ah.and(0x8000));
  f.if(isInfinity(bh, bl), () => {
    const down = f.let(bh.and(0x8000));
    f.if(down.select(isInfinity(ah, al), isZero(ah, al)), () => {
      f.return(call(fpuInvalid, "i32", cpu, dst));
    });
    denormal();
    f.if(
      down,
      () => put(f, dst, sign, I64.of(0)),
      () => put(f, dst, sign.or(0x7fff), INTEGER_BIT),
    );
    f.return(I32.of(0));
  });
  f.if(isInfinity(ah, al).or(isZero(ah, al)).or(isZero(bh, bl)), () => {
    denormal();
    putOperand(f, dst, ah, al);
    f.return(I32.of(0));
  });
}, scaled).callee;
