/**
 * What all VEX-coded vector semantics share: the exceptions that come before an instruction, 128 and
 * 256-bit operands as lists of 128-bit lanes. Intel SDM volume 1, chapter 14, volume 2, chapter 2.3.
 */
import { type AnyInt, I32, I64, load, V128 } from "../../wasm/expr.ts";
import type { MemOperand } from "../insn.ts";
import { Mode, Vec } from "../state.ts";
import { type Addr, define, type Emit } from "./emit.ts";
import {
  beginEvex,
  harmless,
  harmlessLow,
  loadSource,
  merged,
  storeMasked,
  withoutExceptions,
} from "./evex.ts";
import type { Format } from "./lib_sse.ts";
import { alignedAddress, ZERO } from "./sse_common.ts";
import { rdScalar } from "./sse_float.ts";

/** Whether AVX instructions run in this translation mode; when not, the exception has been emitted. */
export function avxEnabled(e: Emit): boolean {
  if (e.mode & Mode.AVX_UD) e.raise(Vec.UD);
  else if (e.mode & Mode.SSE_NM) e.raise(Vec.NM);
  else return true;
  return false;
}

/** Defines VEX-coded and EVEX-coded vector instructions. */
export function avx(
  names: string | readonly string[],
  s: (e: Emit) => void,
  opts?: { readonly byImmediate?: boolean },
): void {
  define(names, (e) => {
    const { evex } = e.i;
    if (evex === undefined) {
      if (avxEnabled(e)) s(e);
    } else if (beginEvex(e)) {
      if (evex.sae) withoutExceptions(e, evex.rounding, () => s(e));
      else s(e);
    }
  }, opts);
}

/** 128-bit lanes of vector operand n, or of the vector that a broadcast element stands for: 1, 2 or 4. */
export function laneCount(e: Emit, n: number): number {
  const { size } = e.operands[n];
  if (e.masking === undefined || !e.isMem(n)) return size === 256 ? 2 : size === 512 ? 4 : 1;
  return Math.max(1, memoryBytes(e, n) >> 4);
}

/** Bytes of memory operand n of an EVEX encoding, or of what a broadcast element stands for. */
export function memoryBytes(e: Emit, n: number): number {
  return e.i.evex!.broadcast ? e.masking!.count * e.masking!.row.source : e.operands[n].size >> 3;
}

/** 32 bytes of guest memory. */
function loadWide(e: Emit, lin: Addr): V128[] {
  const host = e.probeAs(lin, 32, "r");
  return [e.let(load("v128.load", host)), e.let(load("v128.load", host, 16))];
}

function storeWide(e: Emit, lin: Addr, v: readonly V128[]): void {
  const host = e.probeAs(lin, 32, "w");
  e.f.store("v128.store", host, v[0], 0);
  e.f.store("v128.store", host, v[1], 16);
  e.commit(host, 32);
}

/** Memory operand n of 128 or 256 bits; `aligned`: #GP(0) when it is not aligned to its size. */
export function loadLanes(e: Emit, n: number, aligned = false): V128[] {
  if (e.masking !== undefined) return loadSource(e, n, memoryBytes(e, n), aligned);
  const bytes = laneCount(e, n) === 2 ? 32 : 16;
  const lin = aligned ? alignedAddress(e, n, false, bytes) : e.lin(n, bytes, false);
  return bytes === 32 ? loadWide(e, lin) : [e.let(e.load(lin, 16) as V128)];
}

/** Vector operand n, register or memory, of 128 or 256 bits. */
export function rdLanes(e: Emit, n: number): V128[] {
  const v = e.isMem(n)
    ? loadLanes(e, n)
    : Array.from({ length: laneCount(e, n) }, (_, l) => e.rdPart(n, 16 * l, 16));
  if (e.masking === undefined) return v;
  return v.map((x, l) => harmless(e, x, l * 16 / e.masking!.row.source));
}

/** The low number of operand n of a scalar operation, as a bit pattern. */
export function rdScalarSource(e: Emit, t: Format, n: number): I64 {
  const m = e.masking;
  if (m?.bits === undefined) return rdScalar(e, t, n);
  if (!e.isMem(n)) return harmlessLow(e, rdScalar(e, t, n));
  const [v] = loadSource(e, n, t.bits >> 3, false);
  return harmlessLow(e, e.let(t.bits === 64 ? v.lane64(0) : v.lane32(0).extend_u()));
}

/** Clears vector register operand n from its byte `at` up, as encodings that are not legacy ones do. */
export function clearAbove(e: Emit, n: number, at: number): void {
  const end = e.mode & Mode.AVX512 ? 64 : 32;
  for (; at < end; at += 16) e.wrPart(n, at, ZERO, 16);
}

/** Writes vector operand n. A register's bits above the written ones become 0. */
export function wrLanes(e: Emit, n: number, v: readonly V128[], aligned = false): void {
  if (!e.isMem(n)) {
    const values = v.map((x, l) => e.let(merged(e, n, l, x)));
    values.forEach((x, l) => e.wrPart(n, 16 * l, x, 16));
    return clearAbove(e, n, 16 * v.length);
  }
  if (e.masking !== undefined) {
    return storeMasked(e, n, e.operands[n].size >> 3, aligned, () => v);
  }
  const bytes = v.length === 2 ? 32 : 16;
  const values = v.map((x) => e.let(x));
  const lin = aligned ? alignedAddress(e, n, true, bytes) : e.lin(n, bytes, true);
  if (bytes === 32) storeWide(e, lin, values);
  else e.store(lin, values[0], 16);
}

/** Linear address of element `at` bytes into memory operand n. */
export function elementAddress(
  e: Emit,
  n: number,
  ea: AnyInt,
  at: number,
  bytes: number,
  write: boolean,
): Addr {
  const m = e.operands[n] as MemOperand;
  let a = ea.add(at);
  if (a.type === "i64" || m.addrSize === 32) a = e.let(a);
  else a = e.let(a.and(0xffff));
  return e.linear(m.seg, a, bytes, write);
}

/** The sign bit of element `n` of `bytes` in a list of bit masks, one for each lane. */
export function maskBit(masks: readonly I32[], n: number, bytes: 4 | 8): I32 {
  const per = 16 / bytes;
  return masks[Math.floor(n / per)].and(1 << n % per);
}

/** Sign bits of the elements of each lane. */
export function signBits(e: Emit, v: readonly V128[], bytes: 4 | 8): I32[] {
  return v.map((x) => e.let(x.reduce(bytes === 8 ? "i64x2.bitmask" : "i32x4.bitmask")));
}

/** Lanes of one constant byte. */
export const bytesOf = (b: number): V128 => {
  const half = BigInt(b) * 0x0101010101010101n;
  return V128.of(half, half);
};

/** Element `n` of `bytes` of a list of lanes, replaced. */
export function withElement(
  v: V128,
  n: number,
  bytes: 4 | 8,
  x: AnyInt,
): V128 {
  return bytes === 8
    ? v.withLane("i64x2", n & 1, x as unknown as I64)
    : v.withLane("i32x4", n & 3, x as unknown as I32);
}
