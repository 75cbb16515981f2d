/**
 * String instructions and their REP forms. A repetition commits its registers each round, so that a
 * fault or the end of a slice in the middle leaves the instruction ready to go on. Within a page of
 * plain storage MOVS and STOS move whole runs at a time. Intel SDM volume 1, chapter 7.3.9.
 */
import { type AnyInt, type Expr, I32, I64, load as rawLoad } from "../../wasm/expr.ts";
import type { Label } from "../../wasm/func.ts";
import { Gpr, type MemOperand, Seg } from "../insn.ts";
import * as S from "../state.ts";
import { Fl } from "../state.ts";
import { type Addr, type Bits, define, type Emit } from "./emit.ts";
import { cut } from "./move.ts";

type Bytes = 1 | 2 | 4 | 8;

const LOAD = { 1: "i32.load8_u", 2: "i32.load16_u", 4: "i32.load", 8: "i64.load" } as const;
const STORE = { 1: "i32.store8", 2: "i32.store16", 4: "i32.store", 8: "i64.store" } as const;

/** Register rSI, rDI or rCX at the address size. */
const reg = (e: Emit, n: number): AnyInt => e.gpr(n, e.i.addrSize);

function setReg(e: Emit, n: number, v: AnyInt): void {
  e.setGpr(n, e.i.addrSize, e.i.addrSize === 16 ? v.and(0xffff) : v);
}

/** +bytes or -bytes by DF, as an integer of the address type. */
function step(e: Emit, bytes: Bytes): AnyInt {
  // DF is bit 10: 0 or -2·bytes added to bytes.
  const down = e.sysFlags().and(Fl.DF).shr_u(10).mul(2 * bytes);
  const s = I32.of(bytes).sub(down);
  return e.let(e.i.addrSize === 64 ? s.extend_s() : s);
}

function sourceSeg(e: Emit): number {
  for (const o of e.operands) {
    if (o.kind === "mem" && o.base === Gpr.RSI) return (o as MemOperand).seg;
  }
  return Seg.DS;
}

/** Bytes of one element. */
function elementBytes(e: Emit): Bytes {
  for (const o of e.operands) if (o.kind === "mem") return (o.size >> 3) as Bytes;
  throw new Error("string instruction without a memory operand");
}

/**
 * Runs `once` for REP as long as rCX is not 0; `once` ends with `again` or leaves through `stop`.
 * Registers of 32-bit addresses in 64-bit mode lose their upper halves even when nothing is repeated or
 * the first access faults: on processors RCX and, in MOVS and STOS, the pointers.
 */
function repeat(
  e: Emit,
  pointers: readonly number[],
  once: (again: Label, stop: Label) => void,
): void {
  if (e.long && e.i.addrSize === 32) {
    for (const n of [Gpr.RCX, ...pointers]) setReg(e, n, reg(e, n));
  }
  e.f.block((stop) => {
    e.f.loop((again) => {
      e.f.brIf(stop, reg(e, Gpr.RCX).eqz());
      once(again, stop);
    });
  });
}

function countDown(e: Emit, n: AnyInt | number = 1): void {
  setReg(e, Gpr.RCX, e.let(reg(e, Gpr.RCX).sub(n as never)));
}

const src = (e: Emit, bytes: Bytes): Addr => e.linear(sourceSeg(e), reg(e, Gpr.RSI), bytes, false);
const dst = (e: Emit, bytes: Bytes, write: boolean): Addr =>
  e.linear(Seg.ES, reg(e, Gpr.RDI), bytes, write);

function advance(e: Emit, n: number, by: AnyInt): void {
  setReg(e, n, e.let(reg(e, n).add(by as never)));
}

/**
 * Whole runs can be moved when no segment check is needed and addresses do not wrap at 64 KiB; not
 * under single-step, whose traps come behind each round.
 */
function canRun(e: Emit, ...segs: number[]): boolean {
  return (e.mode & S.Mode.SINGLE) === 0 && e.i.addrSize !== 16 &&
    (e.long || segs.every((s) => e.isFlat(s)));
}

const low = (a: Expr): I32 => a.type === "i64" ? (a as I64).wrap() : a as I32;

/** Elements of `bytes` from a linear address to the end of its page. */
function leftInPage(a: Addr, bytes: Bytes): I32 {
  return I32.of(4096).sub(low(a).and(4095)).shr_u(Math.log2(bytes));
}

function min(e: Emit, a: I32, b: I32): I32 {
  return e.let(a.lt_u(b).select(a, b));
}

/** rCX cut to 2^20, so that one run stays short enough for interrupts. */
function countLow(e: Emit): I32 {
  const c = reg(e, Gpr.RCX);
  const max = c.constant(1 << 20);
  return e.let(low(c.lt_u(max as never).select(c, max)));
}

function asAddr(e: Emit, v: I32): AnyInt {
  return e.i.addrSize === 64 ? e.let(v.extend_u()) : v;
}

function movs(e: Emit): void {
  const bytes = elementBytes(e);
  const single = (by: AnyInt) => {
    const v = e.load(src(e, bytes), bytes) as AnyInt;
    e.store(dst(e, bytes, true), v, bytes);
    advance(e, Gpr.RSI, by);
    advance(e, Gpr.RDI, by);
  };
  if (e.i.rep === 0) return single(step(e, bytes));
  const by = step(e, bytes);
  repeat(e, [Gpr.RSI, Gpr.RDI], (again) => {
    if (canRun(e, sourceSeg(e), Seg.ES)) {
      const from = src(e, bytes), to = dst(e, bytes, true);
      e.f.if(e.let(by.gt_s(0)), () => {
        const count = min(
          e,
          countLow(e),
          min(e, e.let(leftInPage(from, bytes)), e.let(leftInPage(to, bytes))),
        );
        e.f.if(count.gt_u(1), () => {
          const bounce = e.let(e.hostBytes(e.cpu().add(S.BOUNCE)));
          const sh = e.probeAs(from, bytes, "r", true);
          e.f.if(sh.ne(bounce), () => {
            const dh = e.probeAs(to, bytes, "w", true);
            e.f.if(dh.eq(bounce), () => {
              e.f.store(STORE[bytes], dh, rawLoad(LOAD[bytes] as "i32.load", sh));
              e.commit(dh, bytes);
              advance(e, Gpr.RSI, by);
              advance(e, Gpr.RDI, by);
              countDown(e);
              e.checkpoint();
              e.f.br(again);
            });
            const length = e.let(count.shl(Math.log2(bytes)));
            // A destination just above its source repeats what was copied: element by element.
            e.f.if(dh.sub(sh).lt_u(e.hostBytes(length)), () => {
              const at = e.local("i32");
              at.set(I32.of(0));
              e.f.loop((more) => {
                const here = () => e.hostBytes(at.get());
                const v = rawLoad(LOAD[bytes] as "i32.load", e.let(sh.add(here())));
                e.f.store(STORE[bytes], e.let(dh.add(here())), v);
                at.set(at.get().add(bytes));
                e.f.brIf(more, at.get().lt_u(length));
              });
            }, () => e.f.copy(dh, sh, length));
            const moved = asAddr(e, length);
            advance(e, Gpr.RSI, moved);
            advance(e, Gpr.RDI, moved);
            countDown(e, asAddr(e, count));
            e.checkpoint(count);
            e.f.br(again);
          });
        });
      });
    }
    single(by);
    countDown(e);
    e.checkpoint();
    e.f.br(again);
  });
}

function stos(e: Emit): void {
  const bytes = elementBytes(e), bits = (bytes * 8) as Bits;
  const v = e.gpr(Gpr.RAX, bits);
  const single = (by: AnyInt) => {
    e.store(dst(e, bytes, true), v, bytes);
    advance(e, Gpr.RDI, by);
  };
  const by = step(e, bytes);
  if (e.i.rep === 0) return single(by);
  repeat(e, [Gpr.RDI], (again) => {
    if (canRun(e, Seg.ES)) {
      const to = dst(e, bytes, true);
      e.f.if(e.let(by.gt_s(0)), () => {
        const count = min(e, countLow(e), e.let(leftInPage(to, bytes)));
        e.f.if(count.gt_u(1), () => {
          const dh = e.probeAs(to, bytes, "w", true);
          e.f.if(e.isBounce(dh), () => {
            e.f.store(STORE[bytes], dh, v);
            e.commit(dh, bytes);
            advance(e, Gpr.RDI, by);
            countDown(e);
            e.checkpoint();
            e.f.br(again);
          });
          const length = e.let(count.shl(Math.log2(bytes)));
          if (bytes === 1) e.f.fill(dh, v as unknown as I32, length);
          else {
            // Zeros, which kernels clear pages with, are filled in at once.
            e.f.if(e.let(v.eqz()), () => e.f.fill(dh, I32.of(0), length), () => {
              const at = e.local(e.host), end = e.let(dh.add(e.hostBytes(length)));
              at.set(dh as I32);
              e.f.loop((more) => {
                e.f.store(STORE[bytes], at.get(), v);
                at.set(at.get().add(bytes));
                e.f.brIf(more, (at.get() as AnyInt).lt_u(end));
              });
            });
          }
          advance(e, Gpr.RDI, asAddr(e, length));
          countDown(e, asAddr(e, count));
          e.checkpoint(count);
          e.f.br(again);
        });
      });
    }
    single(by);
    countDown(e);
    e.checkpoint();
    e.f.br(again);
  });
}

function lods(e: Emit): void {
  const bytes = elementBytes(e), bits = (bytes * 8) as Bits, by = step(e, bytes);
  const single = () => {
    const v = e.load(src(e, bytes), bytes) as AnyInt;
    e.setGpr(Gpr.RAX, bits, v);
    advance(e, Gpr.RSI, by);
  };
  if (e.i.rep === 0) return single();
  repeat(e, [], (again) => {
    single();
    countDown(e);
    e.checkpoint();
    e.f.br(again);
  });
}

/** CMPS and SCAS: repeat while equal (F3) or different (F2). */
function compare(e: Emit, once: () => void): void {
  if (e.i.rep === 0) return once();
  repeat(e, [], (again, stop) => {
    once();
    countDown(e);
    e.f.brIf(stop, e.i.rep === 0xf3 ? e.flag("zf").eqz() : e.flag("zf"));
    e.checkpoint();
    e.f.br(again);
  });
}

function cmps(e: Emit): void {
  const bytes = elementBytes(e), bits = (bytes * 8) as Bits, by = step(e, bytes);
  compare(e, () => {
    const a = e.load(src(e, bytes), bytes) as AnyInt;
    const b = e.load(dst(e, bytes, false), bytes) as AnyInt;
    e.flagsSub(bits, a, b, e.let(cut(a.sub(b as never), bits)));
    advance(e, Gpr.RSI, by);
    advance(e, Gpr.RDI, by);
  });
}

function scas(e: Emit): void {
  const bytes = elementBytes(e), bits = (bytes * 8) as Bits, by = step(e, bytes);
  compare(e, () => {
    const a = e.gpr(Gpr.RAX, bits);
    const b = e.load(dst(e, bytes, false), bytes) as AnyInt;
    e.flagsSub(bits, a, b, e.let(cut(a.sub(b as never), bits)));
    advance(e, Gpr.RDI, by);
  });
}

export function stringSemantics(): void {
  define("MOVS", movs);
  define("STOS", stos);
  define("LODS", lods);
  define("CMPS", cmps);
  define("SCAS", scas);
}
