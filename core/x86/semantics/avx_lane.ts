/**
 * VEX forms of SSE instructions. Nothing is written twice: the SSE semantics run once for each 128-bit
 * lane on a view of the instruction in which operand 0 is the first source. What they write to it is
 * kept, and goes to the destination when all lanes are done and no exception is left to come.
 */
import { type AnyInt, I32, type I64, type V128 } from "../../wasm/expr.ts";
import type { ImmOperand, Insn, Operand } from "../insn.ts";
import type { TableRow } from "../table/row.ts";
import { Mode } from "../state.ts";
import { avx, loadLanes, memoryBytes, wrLanes } from "./avx_common.ts";
import { type Bits, Emit, immediateMatters, semanticsOf, type Slots } from "./emit.ts";
import { harmless, harmlessLow, loadSource, wrMask } from "./evex.ts";
import { finish } from "./sse_float.ts";
import { low32, low64, ZERO } from "./sse_common.ts";

/** How a VEX form follows from the SSE one. */
export interface Derivation {
  /** Operands are destination, first source, second source. */
  readonly nds?: boolean;
  /** 3: the destination is a source too, before the others. */
  readonly sources?: 3;
  /** Bytes of the (second) source that belong to one lane: default 16; 0 when all lanes share it. */
  readonly stride?: number;
  /** Lanes give 64 bits each, which stand together in the low lane of the result. */
  readonly narrow?: boolean;
  /** Bits by which the upper lane's immediate is shifted. */
  readonly immediateBits?: number;
  /** Emitted behind the SSE semantics. */
  readonly after?: (e: Emit) => void;
}

/** Bytes `n`… of a vector, zeros above. */
function bytesFrom(v: V128, n: number): V128 {
  return n === 0
    ? v
    : v.shuffle(ZERO, Array.from({ length: 16 }, (_, i) => i + n < 16 ? i + n : 16));
}

/** An instruction as the semantics of one lane see it. */
class Lane extends Emit {
  /** What the lane's semantics have written to the vector destination. */
  result: V128 | undefined;

  /**
   * @param lane 0 to 3
   * @param stride see {@link Derivation}
   * @param memory operand `memoryAt` when it is in memory and has been read
   */
  constructor(
    outer: Emit,
    view: Insn,
    slots: Slots,
    readonly lane: number,
    readonly stride: number,
    readonly memory: readonly V128[] | undefined,
    readonly memoryAt: number,
  ) {
    const mode = outer.mode & ~(Mode.SSE_UD | Mode.SSE_NM | Mode.FPU_TRAP);
    super(outer.f, view, mode, outer.host, slots);
    this.fpExceptions = outer.fpExceptions;
    this.masking = outer.masking;
  }

  /** Where the lane's part of vector register operand n begins. */
  #at(n: number): number {
    return this.lane * (n === 1 ? this.stride : 16);
  }
  #memory(n: number): V128 | undefined {
    if (n !== this.memoryAt || this.memory === undefined) return undefined;
    const at = this.#at(n);
    return this.let(bytesFrom(this.memory[at >> 4], at & 15));
  }

  override rdV(n: number): V128 {
    const o = this.operands[n];
    const v = o.kind === "mem" ? this.#memory(n) ?? super.rdV(n) : this.rdPart(n, this.#at(n), 16);
    const { masking } = this;
    return masking === undefined ? v : harmless(this, v, this.#at(n) / masking.row.source);
  }
  override rdLow<B extends 4 | 8>(n: number, bytes: B): B extends 8 ? I64 : I32 {
    type R = B extends 8 ? I64 : I32;
    const { masking } = this, kind = this.operands[n].kind;
    // Several elements, of which some may be left out.
    if (masking?.bits !== undefined && masking.row.source < bytes && kind !== "gpr") {
      const v = kind === "xmm" ? this.rdPart(n, this.#at(n), 16) : this.#memory(n)!;
      const fine = harmless(this, v, this.#at(n) / masking.row.source);
      return this.let(bytes === 8 ? fine.lane64(0) : fine.lane32(0)) as R;
    }
    const fine = (x: R): R =>
      masking?.bits === undefined
        ? x
        : masking.count === 1
        ? harmlessLow(this, x as unknown as AnyInt) as unknown as R
        : x;
    if (kind === "xmm") return fine(this.rdPart(n, this.#at(n), bytes) as unknown as R);
    const v = this.#memory(n);
    if (v === undefined) return fine(super.rdLow(n, bytes) as unknown as R);
    return fine(this.let(bytes === 8 ? v.lane64(0) : v.lane32(0)) as R);
  }
  override rd(n: number, bits: Bits = this.size(n)): AnyInt {
    const v = bits === 16 ? this.#memory(n) : undefined;
    return v === undefined ? super.rd(n, bits) : this.let(v.lane32(0, "i16x8"));
  }
  override wrV(n: number, v: V128): void {
    if (this.isMem(n) && this.memory === undefined) super.wrV(n, v);
    else this.result = this.let(v);
  }
  override wrLow(n: number, v: AnyInt, bytes: 4 | 8): void {
    if (this.isMem(n)) super.wrLow(n, v, bytes);
    else {
      const shape = bytes === 8 ? "i64x2" : "i32x4";
      this.result = this.let(this.rdV(0).withLane(shape, 0, v));
    }
  }
}

const isVector = (o: Operand): boolean => o.kind === "xmm" || o.kind === "mem";

/** A source in memory, read once for all lanes; smaller ones too when there are two lanes. */
function readMemory(e: Emit, n: number, lanes: number): V128[] | undefined {
  const bits = e.operands[n].size;
  const m = e.masking;
  if (m !== undefined && (m.bits !== undefined || e.i.evex!.broadcast) && bits < 128) {
    return loadSource(e, n, memoryBytes(e, n), false);
  }
  if (bits >= 128) return loadLanes(e, n);
  if (lanes === 1) return undefined;
  return [e.let(bits === 64 ? low64(e.rdLow(n, 8)) : low32(e.rdLow(n, 4)))];
}

/** Emits `body`, the semantics of an SSE instruction, for each lane of a VEX one. */
function emitLanes(e: Emit, body: (e: Emit) => void, d: Derivation): void {
  const nds = d.nds === true && e.operands.length > 2;
  const from = nds ? e.operands.map((_, n) => n).slice(1) : e.operands.map((_, n) => n);
  const lanes = e.masking !== undefined
    ? lanesOf(e)
    : e.operands.some((o) => isVector(o) && o.size === 256)
    ? 2
    : 1;
  // EVEX has shifts of memory by an immediate: there the first source is in memory.
  const memoryAt = from.findIndex((n, at) => e.isMem(n) && (at > 0 || nds));
  const memory = memoryAt >= 0 ? readMemory(e, from[memoryAt], lanes) : undefined;
  const slots: Slots = { ...e.slots, operand: from.map((n) => e.slots.operand[n]) };
  if (lanes > 1) {
    e.fpExceptions = { met: e.local("i32"), possible: false };
    e.fpExceptions.met.set(I32.of(0));
  }
  const results: V128[] = [];
  for (let l = 0; l < lanes; l++) {
    const operands = from.map((n) => {
      const o = e.operands[n];
      return o.kind === "imm" ? laneImmediate(o, l * (d.immediateBits ?? 0)) : o;
    });
    const lane = new Lane(e, { ...e.i, operands }, slots, l, d.stride ?? 16, memory, memoryAt);
    body(lane);
    if (lane.result) results.push(lane.result);
  }
  const { fpExceptions } = e;
  e.fpExceptions = undefined;
  if (fpExceptions?.possible) e.f.if(fpExceptions.met.get(), () => finish(e));
  d.after?.(e);
  if (results.length === 0) return;
  if (e.operands[0].kind === "k") return wrMask(e, 0, results);
  if (!d.narrow || lanes === 1) return wrLanes(e, 0, results);
  const both = [0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23];
  const halves: V128[] = [];
  for (let l = 0; l < lanes; l += 2) halves.push(results[l].shuffle(results[l + 1], both));
  wrLanes(e, 0, halves);
}

/** Lanes that an EVEX instruction computes. */
function lanesOf(e: Emit): number {
  return e.masking!.count === 1 && (e.i.row as TableRow).l < 0 ? 1 : e.i.vectorBits / 128;
}

function laneImmediate(o: ImmOperand, shift: number): ImmOperand {
  return shift === 0 ? o : { ...o, value: (o.value & 0xff) >> shift };
}

/** Defines the VEX and EVEX form of the SSE instruction `name`: `V` and the same name, or `as`. */
export function derive(name: string, d: Derivation = {}, as = `V${name}`): void {
  avx(as, (e) => {
    const body = semanticsOf(name);
    if (body === undefined) throw new Error(`no semantics of ${name}`);
    emitLanes(e, body, d);
  }, { byImmediate: immediateMatters(name) });
}

/** Defines an instruction by what it does on 128 bits, written as for SSE. */
export function deriveBody(
  name: string,
  body: (e: Emit) => void,
  d: Derivation,
  opts?: { readonly byImmediate?: boolean },
): void {
  avx(name, (e) => emitLanes(e, body, d), opts);
}
