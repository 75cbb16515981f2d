/**
 * MOV and POP to a segment register: the loads that kernels make at every entry and exit, and real-mode
 * code all the time, are emitted; the rest (LDT, code segments, faults, accessed bits) runs in the
 * helper. Intel SDM volume 3, 3.4 and 5.
 */
import { type AnyInt, I32, I64 } from "../../wasm/expr.ts";
import { Attr } from "../cpu.ts";
import { Seg } from "../insn.ts";
import * as S from "../state.ts";
import { Mode, Vec } from "../state.ts";
import { define, type Emit } from "./emit.ts";

/** Bits of a descriptor's upper half. */
const ACCESSED = 1 << 8, WRITABLE = 1 << 9, EXPAND_DOWN = 1 << 10, CODE = 1 << 11;
const SYSTEM = 1 << 12, PRESENT = 1 << 15, GRANULARITY = 1 << 23;
/** What is emitted: present data that grows up and has been accessed. */
const KIND = PRESENT | SYSTEM | CODE | EXPAND_DOWN | ACCESSED;
const PLAIN_DATA = PRESENT | SYSTEM | ACCESSED;

function segmentAt(n: number): number {
  return S.SEGS + S.SEG_SIZE * n;
}

/** FLAT is about DS, ES and SS outside 64-bit mode: a load that would change it is the helper's. */
function decidesFlat(e: Emit, n: number): boolean {
  return !e.long && (n === Seg.DS || n === Seg.ES);
}

/** Base is selector × 16; limit and rights stay, which are those of 64 KiB of data. */
function loadReal(e: Emit, n: number, selector: I32, slow: () => void): void {
  const at = segmentAt(n);
  const low = e.field64(at + S.SEG_RLO).or(e.field64(at + S.SEG_WLO));
  const high = e.field64(at + S.SEG_RHI), writeHigh = e.field64(at + S.SEG_WHI);
  e.f.if(low.ne(0).or(high.ne(0xffff)).or(writeHigh.ne(0xffff)), slow);
  e.setField(8, at + S.SEG_BASE, selector.shl(4).extend_u());
  e.setField(4, at + S.SEG_SELECTOR, selector);
}

function loadNull(e: Emit, n: number, selector: I32): void {
  const at = segmentAt(n);
  e.setField(8, at + S.SEG_BASE, I64.of(0));
  e.setField(4, at + S.SEG_LIMIT, I32.of(0));
  e.setField(4, at + S.SEG_ATTR, I32.of(Attr.UNUSABLE));
  e.setField(4, at + S.SEG_SELECTOR, selector);
  for (const [from, to] of [[S.SEG_RLO, S.SEG_RHI], [S.SEG_WLO, S.SEG_WHI]]) {
    e.setField(8, at + from, I64.of(1));
    e.setField(8, at + to, I64.of(0));
  }
}

function loadFromGdt(e: Emit, n: number, selector: I32, slow: () => void): void {
  const at = segmentAt(n);
  const counts = decidesFlat(e, n), flatMode = (e.mode & Mode.FLAT) !== 0;
  const offset = e.let(selector.and(0xfff8));
  const gdt = e.field64(S.GDTR_BASE);
  const outside = offset.add(7).gt_u(e.field32(S.GDTR_LIMIT).and(0xffff));
  const odd = selector.and(4).ne(0).or(outside);
  e.f.if(e.long ? odd : odd.or(gdt.shr_u(32).ne(0)), slow);
  // User pages that AC has opened are closed to the descriptor table.
  e.f.if(e.field32(S.SMAP_PAGES).ne(0), slow);
  const where = e.let(gdt.add(offset.extend_u()));
  const word = (by: number): I32 =>
    e.loadSystem(e.long ? e.let(where.add(by)) : e.let(where.wrap().add(by)), 4);
  const lo = word(0), hi = word(4);
  const dpl = e.let(hi.shr_u(13).and(3));
  e.f.if(
    hi.and(KIND).ne(PLAIN_DATA).or(dpl.lt_u(selector.and(3))).or(dpl.lt_u(e.field32(S.CPL))),
    slow,
  );
  const pages = e.let(lo.and(0xffff).or(hi.and(0xf0000)));
  const limit = e.let(
    hi.and(GRANULARITY).ne(0).select(pages.shl(12).or(0xfff), pages),
  );
  const base = e.let(lo.shr_u(16).or(hi.and(0xff).shl(16)).or(hi.and(0xff000000)));
  const writable = e.let(hi.and(WRITABLE).ne(0));
  if (counts) {
    const flat = base.eqz().and(limit.eq(-1)).and(writable);
    e.f.if(flatMode ? flat.eqz() : flat, slow);
  }
  e.setField(8, at + S.SEG_BASE, base.extend_u());
  e.setField(4, at + S.SEG_LIMIT, limit);
  e.setField(4, at + S.SEG_ATTR, hi.shr_u(8).and(0xf0ff));
  e.setField(4, at + S.SEG_SELECTOR, selector);
  e.setField(8, at + S.SEG_RLO, I64.of(0));
  e.setField(8, at + S.SEG_RHI, limit.extend_u());
  e.setField(8, at + S.SEG_WLO, writable.eqz().extend_u());
  e.setField(8, at + S.SEG_WHI, writable.select(limit, I32.of(0)).extend_u());
}

/** Loads ES, DS, FS or GS, or has helper `name` do the whole instruction. */
function loadSegment(e: Emit, n: number, selector: I32, name: string): void {
  const slow = () => e.helperBranch(name);
  if (!e.protectedMode || e.vm86) return loadReal(e, n, selector, slow);
  const flat = decidesFlat(e, n) && (e.mode & Mode.FLAT) !== 0;
  e.f.if(
    selector.and(0xfffc).eqz(),
    () => flat ? slow() : loadNull(e, n, selector),
    () => loadFromGdt(e, n, selector, slow),
  );
}

export function segmentLoadSemantics(): void {
  define("MOV_SREG", (e) => {
    const [a, b] = e.operands;
    if (a.kind === "sreg") {
      if (a.reg === Seg.CS) return e.raise(Vec.UD);
      // The instruction behind a load of SS is in its shadow.
      if (a.reg === Seg.SS) return e.helper("MOV_SREG");
      return loadSegment(e, a.reg, e.let(e.rd(1, 16) as I32), "MOV_SREG");
    }
    const n = (b as { reg: number }).reg;
    const sel = e.let(e.field32(segmentAt(n) + S.SEG_SELECTOR).and(0xffff));
    if (a.kind === "mem") e.store(e.lin(0, 2, true), sel, 2);
    else e.wr(0, e.size(0) === 64 ? sel.extend_u() : sel);
  });
  define("POP_SREG", (e) => {
    const n = (e.operands[0] as { reg: number }).reg;
    if (n === Seg.SS) return e.helper("POP_SREG");
    const bytes = e.opSize >> 3;
    const selector = e.load(e.linear(Seg.SS, e.sp(), bytes, false), 2) as AnyInt as I32;
    loadSegment(e, n, selector, "POP_SREG");
    e.addSp(bytes);
  });
}
