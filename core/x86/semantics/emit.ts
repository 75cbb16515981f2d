/**
 * What a semantics function sees: the operands of one instruction as typed expressions, and the
 * guest-level effects it may cause. It runs at translation time and cannot tell which tier it is
 * emitting for.
 *
 * Order matters in two ways. A value read with `rd`, `gpr`, `load`… is bound when it is read, so
 * later effects do not change it. And every access that can fault comes before the first change of
 * guest state that would have to be undone: memory first, registers and flags last.
 */
import {
  type AddressType,
  type AnyInt,
  asAddress,
  type Expr,
  F32,
  F64,
  I32,
  I64,
  load as rawLoad,
  V128,
} from "../../wasm/expr.ts";
import { call, type Callee, type FunctionBuilder, type Local } from "../../wasm/func.ts";
import { opcode, type ValType } from "../../wasm/opcodes.ts";
import { Gpr, type Insn, type MemOperand, type Operand, Seg } from "../insn.ts";
import * as ir from "../ir.ts";
import { G } from "../ir.ts";
import * as S from "../state.ts";
import { Mode } from "../state.ts";
import type { Masking } from "./evex.ts";

export type Bits = 8 | 16 | 32 | 64;
/** A linear address: i32 outside 64-bit mode, i64 in it. */
export type Addr = I32 | I64;

const LOAD_INT: Record<number, number> = {
  1: opcode("i32.load8_u"),
  2: opcode("i32.load16_u"),
  4: opcode("i32.load"),
  8: opcode("i64.load"),
  16: opcode("v128.load"),
};
const STORE_INT: Record<number, number> = {
  1: opcode("i32.store8"),
  2: opcode("i32.store16"),
  4: opcode("i32.store"),
  8: opcode("i64.store"),
  16: opcode("v128.store"),
};
/** What the address of an access of so many bytes must be a multiple of while alignment is checked. */
const ALIGNMENT: Readonly<Record<number, number>> = { 2: 2, 4: 4, 8: 8, 10: 8 };
const TYPE_OF: Record<number, ValType> = { 1: "i32", 2: "i32", 4: "i32", 8: "i64", 16: "v128" };
const LOAD_F32 = opcode("f32.load");
const LOAD_F64 = opcode("f64.load");

/** What {@link Emit.rdPart} gives for so many bytes. */
type PartOf<B> = B extends 16 ? V128 : B extends 8 ? I64 : I32;

/** State offset of a register operand. */
export function regOffset(o: Operand & { reg: number }): number {
  switch ((o as { kind: string }).kind) {
    case "gpr":
      return S.GPR + 8 * o.reg + ((o as { high?: boolean }).high ? 1 : 0);
    case "xmm":
      return S.XMM + S.XMM_SIZE * o.reg;
    case "mm":
      return S.FPR + 16 * o.reg;
    case "k":
      return S.K + 8 * o.reg;
    default:
      return 0;
  }
}

/** The operand slots of an instruction: state offsets in the order slots are numbered. */
export interface Slots {
  readonly offsets: number[];
  /** Slot of each operand (-1: none). */
  readonly operand: number[];
  base: number;
  index: number;
}

/** Numbers the operand slots: register operands in order, then base and index of the memory operand. */
export function assignSlots(i: Insn): Slots {
  const s: Slots = { offsets: [], operand: [], base: -1, index: -1 };
  const add = (offset: number) => s.offsets.push(offset) - 1;
  for (const o of i.operands) {
    const slotted = o.kind === "gpr" || o.kind === "xmm" || o.kind === "mm" || o.kind === "k";
    if (slotted && s.offsets.length < 4) {
      s.operand.push(add(regOffset(o)));
    } else s.operand.push(-1);
  }
  for (const o of i.operands) {
    if (o.kind !== "mem" || s.base >= 0 || s.index >= 0) continue;
    if (o.base >= 0 && s.offsets.length < 4) s.base = add(S.GPR + 8 * o.base);
    if (o.index >= 0 && s.offsets.length < 4) s.index = add(S.GPR + 8 * o.index);
  }
  return s;
}

export class Emit {
  readonly slots: Slots;
  readonly operands: readonly Operand[];
  /** The block ends with this instruction. */
  ended = false;

  /**
   * Set while the 128-bit lanes of a wider operation are emitted one after the other: floating-point
   * exceptions are then only noted here, and accounted for when all lanes are done. `possible`: some
   * lane has code that notes them.
   */
  fpExceptions: { readonly met: Local<"i32">; possible: boolean } | undefined;
  /** The mask of an EVEX encoding. */
  masking: Masking | undefined;

  /**
   * @param host what storage addresses are in the machine's memory
   * @param slots where registers come from, when `i` is a view of another instruction
   */
  constructor(
    readonly f: FunctionBuilder,
    readonly i: Insn,
    readonly mode: number,
    readonly host: AddressType,
    slots: Slots = assignSlots(i),
  ) {
    this.slots = slots;
    this.operands = i.operands;
  }

  /** Operand size of the instruction in bits. */
  get opSize(): 16 | 32 | 64 {
    return this.i.opSize;
  }
  get long(): boolean {
    return (this.mode & Mode.CODE_MASK) === 2;
  }
  get protectedMode(): boolean {
    return (this.mode & Mode.PE) !== 0;
  }
  get vm86(): boolean {
    return (this.mode & Mode.VM86) !== 0;
  }
  /** Width of the stack pointer in bits. */
  get stackBits(): 16 | 32 | 64 {
    return this.long ? 64 : this.mode & Mode.SS32 ? 32 : 16;
  }

  let<E extends Expr>(e: E): E {
    return this.f.let(e);
  }

  // ---- state

  /** Reads vCPU state at a fixed offset. */
  field(bytes: 1 | 2 | 4 | 8, offset: number): AnyInt {
    return this.let(
      ir.state(TYPE_OF[bytes], LOAD_INT[bytes], { slot: -1, offset }) as unknown as AnyInt,
    );
  }
  field32(offset: number): I32 {
    return this.field(4, offset) as I32;
  }
  field64(offset: number): I64 {
    return this.field(8, offset) as I64;
  }
  setField(bytes: 1 | 2 | 4 | 8, offset: number, v: AnyInt): void {
    this.#setState(STORE_INT[bytes], { slot: -1, offset }, v);
  }
  #setState(op: number, ref: ir.StateRef, v: Expr): void {
    this.f.guest(G.SET_STATE, [v], { op, ...ref } satisfies ir.StateStore);
  }

  /** General register `n`, zero-extended into an i32 (8 to 32 bits; 8 is the low byte) or an i64. */
  gpr(n: number, bits: Bits): AnyInt {
    return this.field((bits >> 3) as 1 | 2 | 4 | 8, S.GPR + 8 * n);
  }
  gpr32(n: number): I32 {
    return this.gpr(n, 32) as I32;
  }
  /** Writes a general register; 32-bit writes clear bits 63:32. */
  setGpr(n: number, bits: Bits, v: AnyInt): void {
    this.#setGprRef({ slot: -1, offset: S.GPR + 8 * n }, bits, v);
  }
  #setGprRef(ref: ir.StateRef, bits: number, v: AnyInt): void {
    if (bits === 32) this.#setState(STORE_INT[8], ref, (v as unknown as I32).extend_u());
    else this.#setState(STORE_INT[bits >> 3], ref, v);
  }

  // ---- operands

  #ref(n: number, plus = 0): ir.StateRef {
    return {
      slot: this.slots.operand[n],
      offset: regOffset(this.operands[n] as Operand & { reg: number }) + plus,
      plus,
    };
  }

  isMem(n: number): boolean {
    return this.operands[n].kind === "mem";
  }

  /** Bits of operand n. */
  size(n: number): Bits {
    return this.operands[n].size as Bits;
  }

  /** Both operands are the same register, so that e.g. XOR is known to give 0. */
  sameReg(a: number, b: number): boolean {
    const x = this.operands[a], y = this.operands[b];
    return x.kind === y.kind && x.kind === "gpr" && x.reg === (y as typeof x).reg &&
      x.high === (y as typeof x).high && x.size === y.size;
  }

  /**
   * Reads operand n: register, memory or immediate. `bits` (default the operand's size) gives the
   * width; an immediate is cut to it. Result: i32, zero-extended, up to 32 bits; else i64.
   */
  rd(n: number, bits: Bits = this.size(n)): AnyInt {
    const o = this.operands[n];
    switch (o.kind) {
      case "gpr":
        return this.let(
          ir.state(TYPE_OF[bits >> 3], LOAD_INT[bits >> 3], this.#ref(n)) as unknown as AnyInt,
        );
      case "imm":
        return this.imm(bits);
      case "mem":
        return this.load(this.lin(n, bits >> 3, false), (bits >> 3) as 1 | 2 | 4 | 8);
      default:
        throw new Error(`${this.i.row.syntax}: operand ${n} is not an integer`);
    }
  }
  rd32(n: number): I32 {
    return this.rd(n, Math.min(this.size(n), 32) as Bits) as I32;
  }

  /** The immediate, cut to `bits`. */
  imm(bits: Bits): AnyInt {
    return bits === 64
      ? new I64(G.IMM, [], 0, 64)
      : bits === 32
      ? new I32(G.IMM, [], 0, 32)
      : this.let(new I32(G.IMM, [], 0, 32).and(bits === 8 ? 0xff : 0xffff));
  }

  /** Writes operand n. A memory write may fault: do it before changing registers or flags. */
  wr(n: number, v: AnyInt): void {
    const o = this.operands[n];
    if (o.kind === "gpr") this.#setGprRef(this.#ref(n), o.size, v);
    else if (o.kind === "mem") {
      this.store(this.lin(n, o.size >> 3, true), v, (o.size >> 3) as 1 | 2 | 4 | 8);
    } else throw new Error(`${this.i.row.syntax}: operand ${n} cannot be written`);
  }

  /**
   * Reads operand n, computes, writes back. All faults of the access (read and write) come before
   * `compute` runs, so that it may change flags and registers.
   */
  rmw(n: number, compute: (old: AnyInt) => AnyInt): void {
    const o = this.operands[n];
    if (o.kind !== "mem") return this.wr(n, compute(this.rd(n)));
    this.rmwAt(this.lin(n, o.size >> 3, true), (o.size >> 3) as 1 | 2 | 4 | 8, compute);
  }

  /** The read-modify-write of `rmw` at a linear address. */
  rmwAt(lin: Addr, bytes: 1 | 2 | 4 | 8, compute: (old: AnyInt) => AnyInt): void {
    this.checkAlignment(lin, ALIGNMENT[bytes]);
    const host = this.f.local(this.host);
    this.f.guest(G.PROBE, [lin], { bytes, op: 0, target: host } satisfies ir.MemAccess);
    const old = this.let(rawLoad(LOAD_NAME[bytes] as "i32.load", host.get()) as unknown as AnyInt);
    const v = this.let(compute(old));
    this.f.store(STORE_NAME[bytes], host.get(), v);
    this.f.guest(G.COMMIT, [host.get()], bytes);
  }

  // ---- memory

  /** Effective address of memory operand n (the offset in its segment), truncated to the address size. */
  ea(n: number): AnyInt {
    const m = this.operands[n] as MemOperand;
    if (m.addrSize === 64) {
      let a: I64 = new I64(G.IMM, [], 1, 64);
      if (m.base >= 0) a = this.#areg64(m.base, this.slots.base).add(a);
      if (m.index >= 0) a = a.add(this.#areg64(m.index, this.slots.index).shl(m.scale));
      if (m.rip) a = ir.nextIp().add(a);
      return this.let(a);
    }
    let a: I32 = new I32(G.IMM, [], 1, 32);
    const hasDisp = m.disp !== 0 || (m.base < 0 && m.index < 0);
    if (!hasDisp) a = I32.of(0);
    if (m.index >= 0) a = this.#areg32(m.index, this.slots.index).shl(m.scale).add(a);
    if (m.base >= 0) a = this.#areg32(m.base, this.slots.base).add(a);
    if (m.rip) a = ir.nextIp().wrap().add(a);
    if (m.addrSize === 16) a = a.and(0xffff);
    return this.let(a);
  }
  #areg32(n: number, slot: number): I32 {
    return ir.state("i32", LOAD_INT[4], { slot, offset: S.GPR + 8 * n });
  }
  #areg64(n: number, slot: number): I64 {
    return ir.state("i64", LOAD_INT[8], { slot, offset: S.GPR + 8 * n });
  }

  /**
   * Linear address of memory operand n for an access of `bytes`; raises #GP or #SS when the segment
   * does not allow it.
   */
  lin(n: number, bytes: number, write: boolean): Addr {
    const m = this.operands[n] as MemOperand;
    return this.linear(m.seg, this.ea(n), bytes, write);
  }

  /** Linear address of `offset` in segment `seg`; checks as {@link lin}. */
  linear(seg: number, offset: AnyInt, bytes: number, write: boolean): Addr {
    if (this.long) {
      const off = offset.type === "i64" ? offset as I64 : (offset as unknown as I32).extend_u();
      if (seg !== Seg.FS && seg !== Seg.GS) return off;
      return this.let(off.add(this.field64(S.SEGS + S.SEG_SIZE * seg + S.SEG_BASE)));
    }
    const off = offset.type === "i64" ? (offset as I64).wrap() : offset as unknown as I32;
    if (this.isFlat(seg)) return off;
    const at = S.SEGS + S.SEG_SIZE * seg;
    const lo = write ? S.SEG_WLO : S.SEG_RLO, hi = write ? S.SEG_WHI : S.SEG_RHI;
    const wide = this.let(off.extend_u());
    this.f.ifRare(
      wide.lt_s(this.field64(at + lo)).or(wide.add(bytes - 1).gt_s(this.field64(at + hi))),
      () => this.f.guest(G.SEG_FAULT, [], seg),
    );
    return this.let(off.add(this.field32(at + S.SEG_BASE)));
  }

  /** Whether accesses through `seg` need no base and no check in this translation mode. */
  isFlat(seg: number): boolean {
    if (seg === Seg.FS || seg === Seg.GS) return false;
    if (seg === Seg.CS) return false;
    return (this.mode & Mode.FLAT) !== 0;
  }

  /**
   * While alignment is checked, raises #AC unless `lin` is a multiple of `align`, a power of two. That
   * comes before page faults; what is not canonical is left to the access. SDM volume 3, 6.15, #AC.
   */
  checkAlignment(lin: Addr, align = 1): void {
    if (!(this.mode & Mode.ALIGN) || align === 1) return;
    const at = this.#stable(lin);
    const low = at.type === "i64" ? (at as I64).wrap() : at as I32;
    const raise = () => this.raise(S.Vec.AC, I32.of(0));
    this.f.ifRare(low.and(align - 1), () => {
      if (this.long) this.f.if(this.#strays(at as I64).eqz(), raise);
      else raise();
    });
  }
  /** Whether an address is not canonical. */
  #strays(v: I64): I32 {
    // 48 bits, or 57 with CR4.LA57 (bit 12).
    const unused = this.let(I64.of(16).sub(this.field64(S.CR4).shr_u(12).and(1).mul(9)));
    return v.shl(unused).shr_s(unused).ne(v);
  }

  /**
   * Guest memory read: i32 (1, 2, 4 bytes, zero-extended), i64 (8) or v128 (16).
   * @param align for {@link checkAlignment}; 1 where the access is a part of an operand
   */
  load<B extends 1 | 2 | 4 | 8 | 16>(
    lin: Addr,
    bytes: B,
    align: number = ALIGNMENT[bytes],
  ): B extends 16 ? V128 : AnyInt {
    return this.#load(
      lin,
      bytes,
      LOAD_INT[bytes],
      TYPE_OF[bytes],
      false,
      align,
    ) as unknown as B extends 16 ? V128 : AnyInt;
  }
  /** Reads 4 bytes with supervisor privilege: descriptor tables, task-state segments. */
  loadSystem(lin: Addr, bytes: 4): I32 {
    const target = this.f.local("i32");
    this.f.guest(
      G.LOAD,
      [this.#stable(lin)],
      { bytes, op: LOAD_INT[bytes], target, system: true } satisfies ir.MemAccess,
    );
    return target.get();
  }
  loadF32(lin: Addr): F32 {
    return this.#load(lin, 4, LOAD_F32, "f32") as F32;
  }
  loadF64(lin: Addr): F64 {
    return this.#load(lin, 8, LOAD_F64, "f64") as F64;
  }
  #load(
    lin: Addr,
    bytes: number,
    op: number,
    type: ValType,
    stack = false,
    align = ALIGNMENT[bytes],
  ): Expr {
    this.checkAlignment(lin, align);
    const target = this.f.local(type);
    this.f.guest(G.LOAD, [this.#stable(lin)], { bytes, op, target, stack } satisfies ir.MemAccess);
    return target.get() as Expr;
  }

  /** Guest memory write of an i32 (low 1, 2 or 4 bytes), i64 or v128; `align` as {@link load} has it. */
  store(
    lin: Addr,
    v: AnyInt | V128,
    bytes: 1 | 2 | 4 | 8 | 16,
    stack = false,
    align: number = ALIGNMENT[bytes],
  ): void {
    this.checkAlignment(lin, align);
    this.f.guest(
      G.STORE,
      [this.#stable(lin), this.let(v as Expr)],
      { bytes, op: STORE_INT[bytes], stack } satisfies ir.MemAccess,
    );
  }
  #stable(lin: Addr): Addr {
    return this.let(lin as Expr) as Addr;
  }

  /**
   * Host address of `bytes` guest bytes that may be read and written until {@link commit}: for
   * accesses wider than a register or written piecewise. Faults here.
   */
  probe(lin: Addr, bytes: number): AnyInt {
    this.checkAlignment(lin, ALIGNMENT[bytes]);
    const host = this.f.local(this.host);
    this.f.guest(
      G.PROBE,
      [this.#stable(lin)],
      { bytes, op: 0, target: host } satisfies ir.MemAccess,
    );
    return host.get();
  }
  /**
   * Like {@link probe} for reading or writing only: device registers are then not read, or not written.
   * @param run unless the result is the bounce buffer, what follows in the page is accessed in place too
   * @param align as {@link load} has it
   */
  probeAs(
    lin: Addr,
    bytes: number,
    access: "r" | "w",
    run = false,
    align: number = ALIGNMENT[bytes],
  ): AnyInt {
    this.checkAlignment(lin, align);
    const host = this.f.local(this.host);
    this.f.guest(
      G.PROBE,
      [this.#stable(lin)],
      { bytes, op: 0, target: host, access, run } satisfies ir.MemAccess,
    );
    return host.get();
  }
  commit(host: AnyInt, bytes: number): void {
    this.f.guest(G.COMMIT, [host], bytes);
  }
  /** Whether {@link probe} gave the bounce buffer. */
  isBounce(host: AnyInt): I32 {
    return host.eq(this.hostBytes(this.cpu().add(S.BOUNCE)));
  }
  /** A number of bytes, to be added to a host address or compared with a distance of two. */
  hostBytes(n: I32): AnyInt {
    return asAddress(this.host, n);
  }

  // ---- vector registers

  /** Vector operand n: register or 128-bit memory (no alignment check: see `aligned`). */
  rdV(n: number): V128 {
    const o = this.operands[n];
    if (o.kind === "mem") return this.load(this.lin(n, 16, false), 16) as V128;
    return this.let(ir.state("v128", LOAD_INT[16], this.#ref(n)));
  }
  wrV(n: number, v: V128): void {
    const o = this.operands[n];
    if (o.kind === "mem") this.store(this.lin(n, 16, true), v, 16);
    else this.#setState(STORE_INT[16], this.#ref(n), v);
  }
  /** The low `bytes` of a vector or MMX register operand, or memory of that size, as an integer. */
  rdLow<B extends 4 | 8>(n: number, bytes: B): B extends 8 ? I64 : I32 {
    const o = this.operands[n];
    const v = o.kind === "mem"
      ? this.load(this.lin(n, bytes, false), bytes)
      : this.let(ir.state(TYPE_OF[bytes], LOAD_INT[bytes], this.#ref(n)));
    return v as unknown as B extends 8 ? I64 : I32;
  }
  /** Writes the low bytes of a vector register and keeps the rest, or writes memory. */
  wrLow(n: number, v: AnyInt, bytes: 4 | 8): void {
    const o = this.operands[n];
    if (o.kind === "mem") this.store(this.lin(n, bytes, true), v, bytes);
    else this.#setState(STORE_INT[bytes], this.#ref(n), v);
  }
  /** `bytes` of vector register operand n from its byte `at`: i32 (zero-extended), i64 or v128. */
  rdPart<B extends 1 | 2 | 4 | 8 | 16>(n: number, at: number, bytes: B): PartOf<B> {
    const v = ir.state(TYPE_OF[bytes], LOAD_INT[bytes], this.#ref(n, at));
    return this.let(v as Expr) as unknown as PartOf<B>;
  }
  /** Writes `bytes` of vector register operand n at its byte `at` and keeps the rest. */
  wrPart(n: number, at: number, v: AnyInt | V128, bytes: 4 | 8 | 16): void {
    this.#setState(STORE_INT[bytes], this.#ref(n, at), v);
  }

  // ---- stack

  /** Stack pointer, zero-extended. */
  sp(): AnyInt {
    return this.gpr(Gpr.RSP, this.stackBits);
  }
  setSp(v: AnyInt): void {
    this.setGpr(Gpr.RSP, this.stackBits, v);
  }
  #wrapSp(v: AnyInt): AnyInt {
    return this.let(this.stackBits === 16 ? v.and(0xffff) : v);
  }
  push(v: AnyInt, bits: Bits): void {
    const sp = this.#wrapSp(this.sp().sub(bits >> 3));
    this.store(this.linear(Seg.SS, sp, bits >> 3, true), v, (bits >> 3) as 2 | 4 | 8, true);
    this.setSp(sp);
  }
  /** Reads the top of the stack without moving the pointer; `skip` bytes above it. */
  peek(bits: Bits, skip = 0): AnyInt {
    const sp = this.#wrapSp(this.sp().add(skip));
    const bytes = (bits >> 3) as 2 | 4 | 8, lin = this.linear(Seg.SS, sp, bytes, false);
    return this.#load(lin, bytes, LOAD_INT[bytes], TYPE_OF[bytes], true) as AnyInt;
  }
  /** Moves the stack pointer by `bytes`. */
  addSp(bytes: number | AnyInt): void {
    this.setSp(this.#wrapSp(this.sp().add(bytes as never)));
  }

  // ---- flags

  flagsAdd(bits: Bits, a: AnyInt, b: AnyInt, r: AnyInt): void {
    this.#flags("add", bits, a, b, r);
  }
  flagsAdc(bits: Bits, a: AnyInt, b: AnyInt, r: AnyInt): void {
    this.#flags("adc", bits, a, b, r);
  }
  flagsSub(bits: Bits, a: AnyInt, b: AnyInt, r: AnyInt): void {
    this.#flags("sub", bits, a, b, r);
  }
  flagsSbb(bits: Bits, a: AnyInt, b: AnyInt, r: AnyInt): void {
    this.#flags("sbb", bits, a, b, r);
  }
  flagsInc(bits: Bits, a: AnyInt, r: AnyInt): void {
    this.#flags("inc", bits, a, r);
  }
  flagsDec(bits: Bits, a: AnyInt, r: AnyInt): void {
    this.#flags("dec", bits, a, r);
  }
  /** CF = OF = AF = 0; ZF, SF, PF from r. */
  flagsLogic(bits: Bits, r: AnyInt): void {
    this.#flags("logic", bits, r);
  }
  /** ZF, SF, PF from r; the others given as i32 0 or 1. */
  flagsExplicit(bits: Bits, r: AnyInt, cf: I32, of: I32, af: I32): void {
    this.#flags("explicit", bits, r, cf, of, af);
  }
  /** CF alone changes. */
  flagsCf(cf: I32): void {
    this.#flags("cf", 32, cf);
  }
  /** CF and OF alone change (i32 0 or 1). */
  flagsCfOf(cf: I32, of: I32): void {
    this.#flags("cfof", 32, cf, of);
  }
  /** ZF alone changes (i32 0 or 1). */
  flagsZf(zf: I32): void {
    this.#flags("zf", 32, zf);
  }
  /** All six arithmetic flags from an EFLAGS image. */
  flagsAll(image: I32): void {
    this.#flags("all", 32, image);
  }
  #flags(kind: ir.FlagKind, bits: Bits, ...args: AnyInt[]): void {
    this.f.guest(
      G.SET_FLAGS,
      args.map((a) => this.let(a as Expr)),
      { kind, bits } satisfies ir.FlagUpdate,
    );
  }
  flag(name: "cf" | "pf" | "af" | "zf" | "sf" | "of"): I32 {
    return this.let(ir.flag(name));
  }
  cond(cc: number): I32 {
    return ir.cond(cc);
  }
  /** The arithmetic flags at their EFLAGS positions (bit 1 not set). */
  arithFlags(): I32 {
    return this.let(
      ir.flag("cf").or(ir.flag("pf").shl(2)).or(ir.flag("af").shl(4)).or(ir.flag("zf").shl(6))
        .or(ir.flag("sf").shl(7)).or(ir.flag("of").shl(11)),
    );
  }
  /** FLAG_SYS: IF, DF, IOPL… at their EFLAGS positions. */
  sysFlags(): I32 {
    return this.field32(S.FLAG_SYS);
  }

  // ---- control

  /** Raises an exception for this instruction. Nothing after it is executed. */
  raise(vector: number, error?: I32): void {
    this.f.guest(G.RAISE, error ? [error] : [], vector);
  }
  /** Raises when `cond`. */
  raiseIf(cond: I32, vector: number, error?: I32): void {
    this.f.ifRare(cond, () => this.raise(vector, error));
  }
  /** Goes to the target of the instruction's relative operand. */
  jumpRel(): void {
    this.f.guest(G.JUMP, [new I64(G.IMM, [], 0, 64)]);
  }
  /**
   * Goes to an offset in CS; the caller has cut it to the operand size and called
   * {@link checkTarget} before changing state.
   */
  jumpTo(target: AnyInt): void {
    const t = target.type === "i64" ? target as I64 : (target as unknown as I32).extend_u();
    this.f.guest(G.JUMP_DYN, [this.let(t)]);
  }
  /** #GP(0) when a near target is beyond the CS limit (legacy) or not canonical (64-bit). */
  checkTarget(target: AnyInt): void {
    const t = target.type === "i64" ? target as I64 : (target as unknown as I32).extend_u();
    if (this.long) {
      this.raiseIf(this.#strays(this.let(t)), S.Vec.GP, I32.of(0));
    } else if (!(this.mode & Mode.CS_FLAT)) {
      const limit = this.field32(S.SEGS + S.SEG_SIZE * Seg.CS + S.SEG_LIMIT).extend_u();
      this.raiseIf(this.let(t).gt_u(limit), S.Vec.GP, I32.of(0));
    }
  }
  /** Target check for relative jumps, which are constants of the translation. */
  checkRelTarget(): void {
    if (this.long || this.mode & Mode.CS_FLAT) return;
    this.checkTarget(new I64(G.IMM, [], 0, 64));
  }
  nextIp(): I64 {
    return ir.nextIp();
  }
  ip(): I64 {
    return ir.ip();
  }
  /**
   * Runs helper `name` of `core/x86/helpers`. With `ends` the block ends: RIP is then the next
   * instruction unless the helper has set it.
   */
  helper(name: string, ends = false): void {
    if (ends) this.ended = true;
    this.f.guest(G.HELPER, [], { name, ends } satisfies ir.HelperCall);
  }
  /**
   * Runs helper `name` as the whole of the instruction. The block goes on unless the mode has changed
   * or the run loop is wanted (KICK); the helper may set RIP only together with that.
   */
  helperWhole(name: string): void {
    this.f.guest(G.HELPER, [], { name, ends: false, soft: true } satisfies ir.HelperCall);
  }
  /** Inside a branch: hands the whole instruction to a helper and leaves; the rest is the common case. */
  helperBranch(name: string): void {
    this.f.guest(G.HELPER, [], { name, ends: true } satisfies ir.HelperCall);
  }
  /** Inside a branch: leaves to the run loop behind this instruction. */
  exitBranch(): void {
    this.f.guest(G.EXIT, []);
  }
  /** Leaves to the run loop behind this instruction. */
  exit(): void {
    this.ended = true;
    this.f.guest(G.EXIT, []);
  }
  /** Between the repetitions of a REP instruction: leaves when the slice is over, to resume later. */
  checkpoint(rounds: I32 = I32.of(1)): void {
    this.f.guest(G.CHECKPOINT, [rounds]);
  }
  /** Calls a function of the wasm run-time library. */
  call<T extends "i32" | "i64" | "f32" | "f64" | "v128">(c: Callee, type: T, ...args: Expr[]) {
    return this.let(call(c, type, ...args) as Expr) as ReturnType<typeof call<T>>;
  }
  cpu(): I32 {
    return ir.cpuPtr();
  }
  local<T extends ValType>(type: T): Local<T> {
    return this.f.local(type);
  }
}

const LOAD_NAME: Record<number, string> = {
  1: "i32.load8_u",
  2: "i32.load16_u",
  4: "i32.load",
  8: "i64.load",
};
const STORE_NAME: Record<number, string> = {
  1: "i32.store8",
  2: "i32.store16",
  4: "i32.store",
  8: "i64.store",
};

/** Emits one instruction. */
export type Semantics = (e: Emit) => void;

const table = new Map<string, Semantics>();

const immediates = new Set<string>();

/**
 * Registers the semantics of an operation by its row name. With `byImmediate` they may look at the
 * immediate's value while emitting (shuffle orders): each value is then a shape of its own.
 */
export function define(
  names: string | readonly string[],
  s: Semantics,
  opts: { byImmediate?: boolean } = {},
): void {
  for (const n of typeof names === "string" ? [names] : names) {
    if (table.has(n)) throw new Error(`semantics of ${n} defined twice`);
    table.set(n, s);
    if (opts.byImmediate) immediates.add(n);
  }
}

/** Whether shapes of operation `name` differ by immediate. */
export function immediateMatters(name: string): boolean {
  return immediates.has(name);
}

/** The semantics of operation `name`, or undefined when there is none: #UD. */
export function semanticsOf(name: string): Semantics | undefined {
  return table.get(name);
}

/** Names that have semantics: for the coverage report. */
export function definedNames(): string[] {
  return [...table.keys()];
}
