/**
 * AVX-512 operations that move elements across lanes: permutations, alignment, compression and
 * expansion, narrowing, conflict detection. Those of many elements go through memory, one by one, in
 * library functions. Intel SDM volume 2.
 */
import { I32, load, type V128 } from "../../wasm/expr.ts";
import { call, type FunctionBuilder } from "../../wasm/func.ts";
import { library } from "../library.ts";
import * as S from "../state.ts";
import { avx, laneCount, rdLanes, wrLanes } from "./avx_common.ts";
import type { Emit } from "./emit.ts";
import { eachBit, element, filled, loadSource, setElement, spill, storeMasked } from "./evex.ts";
import { conflicts } from "./evex_int.ts";
import { imm8, lanes, ZERO } from "./sse_common.ts";

type Bytes = 1 | 2 | 4 | 8;
const BY_IMMEDIATE = { byImmediate: true };
const LOG: Record<Bytes, number> = { 1: 0, 2: 1, 4: 2, 8: 3 };

const loadOf = (bytes: Bytes, at: I32) =>
  bytes === 8
    ? load("i64.load", at)
    : load(bytes === 4 ? "i32.load" : bytes === 2 ? "i32.load16_u" : "i32.load8_u", at);
const storeOf: Record<Bytes, string> = {
  1: "i32.store8",
  2: "i32.store16",
  4: "i32.store",
  8: "i64.store",
};

const place = (e: Emit, k: number): I32 => e.cpu().add(S.ELEMENTS + 64 * k);

function loop(f: FunctionBuilder, count: I32, body: (i: I32) => void): void {
  const i = f.local("i32");
  i.set(I32.of(0));
  f.loop((again) => {
    body(i.get());
    i.set(i.get().add(1));
    f.brIf(again, i.get().lt_u(count));
  });
}

/** (table, indices, results, count, mask of indices): elements of the table by number. */
const permute = Object.fromEntries(([2, 4, 8] as const).map((bytes) => [
  bytes,
  library(
    `evexPermute${bytes}`,
    { params: ["i32", "i32", "i32", "i32", "i32"], results: ["i32"] },
    (f) => {
      const log = LOG[bytes];
      loop(f, f.param(3, "i32"), (i) => {
        const at = f.let(i.shl(log));
        const index = load(bytes === 2 ? "i32.load16_u" : "i32.load", f.param(1, "i32").add(at));
        const from = f.param(0, "i32").add(index.and(f.param(4, "i32")).shl(log));
        f.store(storeOf[bytes], f.param(2, "i32").add(at), loadOf(bytes, from));
      });
      f.return(I32.of(0));
    },
  ),
]));

/** Elements of one table or of two by the numbers of an index vector. */
function pick(e: Emit, bytes: 2 | 4 | 8, table: readonly V128[], index: readonly V128[]): void {
  const count = index.length * 16 / bytes, entries = table.length * 16 / bytes;
  // Places 0 and 1 are neighbours.
  spill(e, 0, table);
  spill(e, 2, index);
  e.f.drop(
    call(
      permute[bytes],
      "i32",
      place(e, 0),
      place(e, 2),
      place(e, 3),
      I32.of(count),
      I32.of(entries - 1),
    ),
  );
  wrLanes(e, 0, filled(e, 3, index.length));
}

/** VPERMD and its like: the index is the first source. */
function permuteOne(bytes: 2 | 4 | 8): (e: Emit) => void {
  return (e) => {
    const table = rdLanes(e, 2);
    pick(e, bytes, table, rdLanes(e, 1));
  };
}

/** VPERMI2 and VPERMT2: the destination is the index, or the first table. */
function permuteTwo(bytes: 2 | 4 | 8, overwritesIndex: boolean): (e: Emit) => void {
  return (e) => {
    const second = rdLanes(e, 2), first = rdLanes(e, overwritesIndex ? 1 : 0);
    pick(e, bytes, [...first, ...second], rdLanes(e, overwritesIndex ? 0 : 1));
  };
}

/** VPERMQ, VPERMPD: by a vector, or by an immediate within each 256 bits. */
export function quadwordsEvex(e: Emit): void {
  if (e.operands[2].kind !== "imm") return permuteOne(8)(e);
  const imm = imm8(e), v = rdLanes(e, 1), r: V128[] = [];
  for (let l = 0; l < v.length; l += 2) {
    for (const n of [0, 4]) {
      r.push(e.let(v[l].shuffle(v[l + 1], lanes(8, [imm >> n & 3, imm >> n + 2 & 3]))));
    }
  }
  wrLanes(e, 0, r);
}

/** VALIGND, VALIGNQ: elements of the second source, then of the first, from element `imm` on. */
function align(bytes: 4 | 8): (e: Emit) => void {
  return (e) => {
    const b = rdLanes(e, 2), a = rdLanes(e, 1), all = [...b, ...a];
    const per = 16 / bytes, shift = imm8(e) & a.length * per - 1;
    const first = Math.floor(shift / per), within = shift % per;
    wrLanes(
      e,
      0,
      a.map((_, l) => {
        const order = Array.from({ length: per }, (_, n) => n + within);
        if (within === 0) return all[first + l];
        return e.let(all[first + l].shuffle(all[first + l + 1], lanes(bytes, order)));
      }),
    );
  };
}

/** VSHUFF32X4 and its like: lanes, the lower half from the first source. */
function shuffleLanes(e: Emit): void {
  const imm = imm8(e), b = rdLanes(e, 2), a = rdLanes(e, 1);
  const bits = a.length === 4 ? 2 : 1;
  wrLanes(
    e,
    0,
    a.map((_, l) => (l < a.length / 2 ? a : b)[imm >> l * bits & a.length - 1]),
  );
}

// ---- compression and expansion

const popcount = (e: Emit, count: number) => {
  const bits = e.masking!.bits!;
  return e.let((count < 64 ? bits.and((1n << BigInt(count)) - 1n) : bits).popcnt());
};

/** The chosen elements side by side. */
function compress(bytes: 4 | 8): (e: Emit) => void {
  return (e) => {
    const m = e.masking!, v = rdLanes(e, 1);
    if (m.bits === undefined) return wrLanes(e, 0, v);
    const n = popcount(e, m.count), done = e.local("i32");
    // Which elements of the result are written: the lowest ones.
    const low = e.let(n.constant(1).shl(n).sub(1));
    spill(e, 2, v);
    spill(e, 3, v.map(() => ZERO));
    done.set(I32.of(0));
    eachBit(e, m.bits, m.count, (i) => {
      setElement(e, 3, done.get(), element(e, 2, e.let(i.shl(LOG[bytes])), bytes), bytes);
      done.set(done.get().add(bytes));
    });
    e.masking = { ...m, bits: e.let(low.or(-1n << BigInt(m.count))) };
    const r = filled(e, 3, v.length);
    if (e.isMem(0)) storeMasked(e, 0, 16 * v.length, false, () => r);
    else wrLanes(e, 0, r);
  };
}

/** Elements that stand side by side to the chosen places. */
function expand(bytes: 4 | 8): (e: Emit) => void {
  return (e) => {
    const m = e.masking!, count = laneCount(e, 0);
    if (m.bits === undefined) return wrLanes(e, 0, rdLanes(e, 1));
    const next = e.local("i32");
    if (e.isMem(1)) {
      // Only as many elements as are chosen are read.
      const n = popcount(e, m.count), low = e.let(n.constant(1).shl(n).sub(1));
      e.masking = { ...m, bits: low.or(-1n << BigInt(m.count)) };
      spill(e, 2, loadSource(e, 1, 16 * count, false));
      e.masking = m;
    } else spill(e, 2, rdLanes(e, 1));
    spill(e, 3, Array(count).fill(ZERO));
    next.set(I32.of(0));
    eachBit(e, m.bits, m.count, (i) => {
      setElement(e, 3, e.let(i.shl(LOG[bytes])), element(e, 2, next.get(), bytes), bytes);
      next.set(next.get().add(bytes));
    });
    wrLanes(e, 0, filled(e, 3, count));
  };
}

// ---- narrowing

/** (elements, results, count, 0 cut, 1 saturate signed, 2 saturate unsigned). */
function narrowing(from: 2 | 4 | 8, to: 1 | 2 | 4) {
  return library(
    `evexNarrow${from}${to}`,
    { params: ["i32", "i32", "i32", "i32"], results: ["i32"] },
    (f) => {
      const kind = f.param(3, "i32"), bits = BigInt(8 * to);
      loop(f, f.param(2, "i32"), (i) => {
        const at = f.param(0, "i32").add(i.shl(LOG[from]));
        const signed = f.let(
          from === 8
            ? load("i64.load", at)
            : from === 4
            ? load("i32.load", at).extend_s()
            : load("i32.load16_s", at).extend_s(),
        );
        const v = f.local("i64");
        v.set(signed);
        f.if(kind.eq(1), () => {
          const max = (1n << bits - 1n) - 1n, min = -(1n << bits - 1n);
          f.if(signed.gt_s(max), () => v.set(signed.constant(max)));
          f.if(signed.lt_s(min), () => v.set(signed.constant(min)));
        });
        f.if(kind.eq(2), () => {
          const cut = from === 8 ? signed : signed.and((1n << BigInt(8 * from)) - 1n);
          f.if(cut.gt_u((1n << bits) - 1n), () => v.set(signed.constant(-1)));
        });
        f.store(storeOf[to], f.param(1, "i32").add(i.shl(LOG[to])), v.get().wrap());
      });
      f.return(I32.of(0));
    },
  );
}

function narrow(from: 2 | 4 | 8, to: 1 | 2 | 4, kind: number): (e: Emit) => void {
  const lib = narrowings[`${from}${to}`];
  return (e) => {
    const m = e.masking!, v = rdLanes(e, 1);
    spill(e, 2, v);
    spill(e, 3, v.map(() => ZERO));
    e.f.drop(call(lib, "i32", place(e, 2), place(e, 3), I32.of(m.count), I32.of(kind)));
    const bytes = m.count * to, r = filled(e, 3, Math.max(1, bytes >> 4));
    if (e.isMem(0)) storeSmall(e, bytes, r);
    else wrLanes(e, 0, r);
  };
}

/** As {@link storeMasked}, down to two bytes. */
function storeSmall(e: Emit, bytes: number, v: readonly V128[]): void {
  const m = e.masking!;
  if (bytes > 2 || m.bits !== undefined) return storeMasked(e, 0, bytes, false, () => v);
  e.store(e.lin(0, 2, true), v[0].lane32(0), 2);
}

const narrowings = Object.fromEntries(
  ([[2, 1], [4, 1], [8, 1], [4, 2], [8, 2], [8, 4]] as const).map(
    ([from, to]) => [`${from}${to}`, narrowing(from, to)],
  ),
);

function conflict(bytes: 4 | 8): (e: Emit) => void {
  return (e) => {
    const v = rdLanes(e, 1);
    spill(e, 2, v);
    const count = I32.of(v.length * 16 / bytes);
    e.f.drop(call(conflicts[bytes], "i32", place(e, 2), place(e, 3), count));
    wrLanes(e, 0, filled(e, 3, v.length));
  };
}

export function evexPermuteSemantics(): void {
  avx("VPERMW", permuteOne(2));
  for (const [s, bytes] of [["W", 2], ["D", 4], ["Q", 8], ["PS", 4], ["PD", 8]] as const) {
    avx(`VPERMI2${s}`, permuteTwo(bytes, true));
    avx(`VPERMT2${s}`, permuteTwo(bytes, false));
  }
  avx("VALIGND", align(4), BY_IMMEDIATE);
  avx("VALIGNQ", align(8), BY_IMMEDIATE);
  avx(["VSHUFF32X4", "VSHUFF64X2", "VSHUFI32X4", "VSHUFI64X2"], shuffleLanes, BY_IMMEDIATE);
  avx(["VCOMPRESSPS", "VPCOMPRESSD"], compress(4));
  avx(["VCOMPRESSPD", "VPCOMPRESSQ"], compress(8));
  avx(["VEXPANDPS", "VPEXPANDD"], expand(4));
  avx(["VEXPANDPD", "VPEXPANDQ"], expand(8));
  avx("VPCONFLICTD", conflict(4));
  avx("VPCONFLICTQ", conflict(8));
  const sizes = [["WB", 2, 1], ["DB", 4, 1], ["QB", 8, 1], ["DW", 4, 2], ["QW", 8, 2], [
    "QD",
    8,
    4,
  ]];
  for (const [s, from, to] of sizes as [string, 2 | 4 | 8, 1 | 2 | 4][]) {
    ["", "S", "US"].forEach((kind, n) => avx(`VPMOV${kind}${s}`, narrow(from, to, n)));
  }
}

/** VPERMD, VPERMPS of EVEX encodings. */
export const acrossLanesEvex = permuteOne(4);
