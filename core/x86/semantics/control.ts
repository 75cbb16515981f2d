/** Near control transfer, flag control and what ends a block. Intel SDM volume 1, chapter 7.3.8. */
import { type AnyInt, I32, I64 } from "../../wasm/expr.ts";
import { Gpr } from "../insn.ts";
import * as S from "../state.ts";
import { Fl, Vec } from "../state.ts";
import { type Bits, define, type Emit } from "./emit.ts";

/** A value of `bits` bits as an IP: zero-extended i64 or i32. */
function cutIp(e: Emit, v: AnyInt): AnyInt {
  return e.opSize === 16 ? e.let(v.and(0xffff)) : v;
}

function returnAddress(e: Emit): AnyInt {
  const next = e.nextIp();
  if (e.opSize === 64) return e.let(next);
  return e.let(e.opSize === 16 ? next.wrap().and(0xffff) : next.wrap());
}

function count(e: Emit): { bits: Bits; left: AnyInt } {
  const bits = e.i.addrSize;
  const c = e.gpr(Gpr.RCX, bits).sub(1);
  return { bits, left: e.let(bits === 16 ? c.and(0xffff) : c) };
}

function loop(also: (e: Emit) => I32 | undefined) {
  return (e: Emit): void => {
    const { bits, left } = count(e);
    e.checkRelTarget();
    e.setGpr(Gpr.RCX, bits, left);
    const extra = also(e);
    const go = left.ne(0);
    e.f.if(extra ? e.let(go).and(extra) : go, () => e.jumpRel());
  };
}

export function controlSemantics(): void {
  define("Jcc", (e) =>
    e.f.if(e.cond(e.i.cond), () => {
      e.checkRelTarget();
      e.jumpRel();
    }));
  define("JCXZ", (e) =>
    e.f.if(e.gpr(Gpr.RCX, e.i.addrSize).eqz(), () => {
      e.checkRelTarget();
      e.jumpRel();
    }));
  define("LOOP", loop(() => undefined));
  define("LOOPE", loop((e) => e.flag("zf")));
  define("LOOPNE", loop((e) => e.let(e.flag("zf").eqz())));
  define("JMP_NEAR_REL", (e) => {
    e.checkRelTarget();
    e.jumpRel();
    e.ended = true;
  });
  define("JMP_NEAR_IND", (e) => {
    const target = cutIp(e, e.rd(0, e.opSize));
    e.checkTarget(target);
    e.jumpTo(target);
    e.ended = true;
  });
  define("CALL_NEAR_REL", (e) => {
    e.checkRelTarget();
    e.push(returnAddress(e), e.opSize);
    e.jumpRel();
    e.ended = true;
  });
  define("CALL_NEAR_IND", (e) => {
    const target = e.rd(0, e.opSize);
    e.checkTarget(target);
    e.push(returnAddress(e), e.opSize);
    e.jumpTo(target);
    e.ended = true;
  });
  define("RET_NEAR", (e) => {
    const target = e.peek(e.opSize);
    e.checkTarget(target);
    const bytes = e.opSize >> 3;
    const extra = e.operands.length > 0 ? e.imm(16) as unknown as I32 : undefined;
    const step: AnyInt = extra === undefined
      ? e.stackBits === 64 ? I64.of(bytes) : I32.of(bytes)
      : e.stackBits === 64
      ? extra.extend_u().add(bytes)
      : extra.add(bytes);
    e.addSp(e.let(step));
    e.jumpTo(target);
    e.ended = true;
  });
  define("CLC", (e) => e.flagsCf(I32.of(0)));
  define("STC", (e) => e.flagsCf(I32.of(1)));
  define("CMC", (e) => e.flagsCf(e.let(e.flag("cf").xor(1))));
  define("CLD", (e) => e.setField(4, S.FLAG_SYS, e.sysFlags().and(~Fl.DF)));
  define("STD", (e) => e.setField(4, S.FLAG_SYS, e.sysFlags().or(Fl.DF)));
  define(["UD2", "UD1", "UD0"], (e) => {
    e.raise(Vec.UD);
    e.ended = true;
  });
}
