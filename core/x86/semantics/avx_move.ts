/**
 * AVX and AVX2 data movement: moves, broadcasts, insertion and extraction of lanes, sign masks and
 * tests, VZEROUPPER and VZEROALL. Intel SDM volume 2.
 */
import { type I32, V128 } from "../../wasm/expr.ts";
import { Mode } from "../state.ts";
import { avx, loadLanes, rdLanes, wrLanes } from "./avx_common.ts";
import type { Emit } from "./emit.ts";
import { imm8, setXmm, wrGpr, ZERO } from "./sse_common.ts";

const BY_IMMEDIATE = { byImmediate: true };

/** One lane of the first source replaced. */
function insertLane(e: Emit): void {
  const high = (imm8(e) & 1) !== 0;
  const part = rdLanes(e, 2)[0], whole = rdLanes(e, 1);
  wrLanes(e, 0, high ? [whole[0], part] : [part, whole[1]]);
}

function extractLane(e: Emit): void {
  wrLanes(e, 0, [e.rdPart(1, 16 * (imm8(e) & 1), 16)]);
}

/** Sign bits of all elements, to a general register. */
function signMask(shape: "i8x16" | "i32x4" | "i64x2", count: number): (e: Emit) => void {
  return (e) => {
    const [low, high] = rdLanes(e, 1).map((v) => v.reduce(`${shape}.bitmask`));
    wrGpr(e, 0, e.let(high ? low.or(high.shl(count)) : low));
  };
}

/** ZF: no bit of `chosen` in both; CF: none in the second operand alone. */
function test(chosen: V128 | undefined): (e: Emit) => void {
  return (e) => {
    const b = rdLanes(e, 1), a = rdLanes(e, 0);
    const any = (f: (n: number) => V128): I32 => {
      const all = b.map((_, n) => f(n)).reduce((x, y) => x.or(y));
      return (chosen ? all.and(chosen) : all).reduce("v128.any_true");
    };
    const zf = any((n) => b[n].and(a[n])).eqz(), cf = any((n) => b[n].andnot(a[n])).eqz();
    e.flagsAll(e.let(zf.shl(6).or(cf)));
  };
}

/** Registers that exist in the mode. */
const registers = (e: Emit): number => e.long ? 16 : 8;

/** Clears register n from its byte `at` up. */
function clear(e: Emit, n: number, at: number): void {
  for (const end = e.mode & Mode.AVX512 ? 64 : 32; at < end; at += 16) setXmm(e, n, ZERO, at);
}

export function avxMoveSemantics(): void {
  avx(["VMOVAPS", "VMOVAPD", "VMOVDQA"], (e) => {
    wrLanes(e, 0, e.isMem(1) ? loadLanes(e, 1, true) : rdLanes(e, 1), true);
  });
  avx(["VMOVUPS", "VMOVUPD", "VMOVDQU", "VLDDQU"], (e) => wrLanes(e, 0, rdLanes(e, 1)));
  avx(["VMOVNTPS", "VMOVNTPD", "VMOVNTDQ"], (e) => wrLanes(e, 0, rdLanes(e, 1), true));
  avx("VMOVNTDQA", (e) => wrLanes(e, 0, loadLanes(e, 1, true)));

  avx(["VBROADCASTF128", "VBROADCASTI128"], (e) => {
    const [v] = loadLanes(e, 1);
    wrLanes(e, 0, [v, v]);
  });
  avx(["VINSERTF128", "VINSERTI128"], insertLane, BY_IMMEDIATE);
  avx(["VEXTRACTF128", "VEXTRACTI128"], extractLane, BY_IMMEDIATE);

  avx("VMOVMSKPS", signMask("i32x4", 4));
  avx("VMOVMSKPD", signMask("i64x2", 2));
  avx("VPMOVMSKB", signMask("i8x16", 16));
  avx("VPTEST", test(undefined));
  avx("VTESTPS", test(V128.of(0x8000000080000000n, 0x8000000080000000n)));
  avx("VTESTPD", test(V128.of(1n << 63n, 1n << 63n)));

  avx("VZEROUPPER", (e) => {
    for (let n = 0; n < registers(e); n++) clear(e, n, 16);
  });
  avx("VZEROALL", (e) => {
    for (let n = 0; n < registers(e); n++) clear(e, n, 0);
  });
}
