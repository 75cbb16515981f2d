/**
 * Compares MMX, SSE and AVX instructions of the software CPU with the host processor: random registers
 * salted with edge cases, all rounding modes, DAZ, FTZ, masked and unmasked exceptions.
 *
 *     deno run -A tests/oracle/simd_fuzz.ts [NAME_REGEXP [ROUNDS [SEED [ENCODINGS [MODE]]]]]
 *
 * MODE: `32` or `64` for one mode of the CPU only, `u` for unmasked exceptions.
 */
import type { MemOperand, Operand } from "../../core/x86/insn.ts";
import { encode, type EncodeRequest, rowForms } from "../../core/x86/table/encode.ts";
import type { TableRow } from "../../core/x86/table/row.ts";
import { type Random, random, sample } from "../../core/x86/table/sample.ts";
import { opcodeTable } from "../../core/x86/table/table.ts";
import { semanticsOf } from "../../core/x86/semantics/emit.ts";
import { SimdBed } from "./simd_bed.ts";
import { cancel, smallIndices } from "./simd_inputs.ts";
import { Ctx, DATA_BYTES, Fx, hasAvx512, hostFlags, NativeSimd, vectorAt } from "./simd_native.ts";

/** CPUID features whose rows are tested; a host without one would stop with SIGILL. */
export const FEATURES =
  ("mmx sse sse2 pni ssse3 sse4.1 sse4.2 aes pclmulqdq sha-ni avx avx2 fma f16c " +
    "vaes vpclmulqdq gfni avx512f avx512cd avx512bw avx512dq").split(" ");

/** Features of {@link FEATURES} that the host has. */
export function hostFeatures(): Set<string> {
  const flags = hostFlags();
  return new Set(
    [...FEATURES, "avx512vl"].filter((f) =>
      flags.has(f.replace(/[.-]/, "_")) && (!f.startsWith("avx512") || hasAvx512())
    ),
  );
}

/** Instructions of the features that are not register or memory computation. */
const EXCLUDED = /^(LFENCE|MFENCE|SFENCE|PREFETCH|V?LDMXCSR|CLFLUSH|PAUSE)/;

/** Rows to test, in table order. */
export function simdRows(): TableRow[] {
  const have = hostFeatures();
  return opcodeTable.filter((r) =>
    r.cpuid !== undefined && have.has(r.cpuid) && !EXCLUDED.test(r.name) &&
    (!r.vex || have.has("avx")) && (r.also === undefined || have.has(r.also))
  );
}

/** Operands worth more than a random one: 64-bit patterns. */
const edge64: bigint[] = [
  0n,
  1n,
  0x7fn,
  0x80n,
  0xffn,
  0x8000n,
  0x7fff8000ffff0001n,
  0x7fffffff80000000n,
  0x8000000000000000n,
  0x8000000080000000n,
  0x7fffffffffffffffn,
  0xffffffffffffffffn,
  0xff80ff807f7f0180n,
];

function f64(v: number): bigint {
  const d = new DataView(new ArrayBuffer(8));
  d.setFloat64(0, v);
  return d.getBigUint64(0);
}

/** Values at which conversions and roundings change. */
const decimals = [
  0,
  0.5,
  1,
  1.5,
  2.5,
  3,
  2 ** 23,
  2 ** 24 + 1,
  2 ** 31 - 1,
  2 ** 31 - 0.5,
  2 ** 31,
];
decimals.push(2 ** 32, 2 ** 52 + 1, 2 ** 53, 2 ** 62, 2 ** 63, 2 ** 64, 1e300, 1e-300, 1 / 3);

function random64(rnd: Random): bigint {
  return BigInt(rnd(0x1_0000_0000)) << 32n | BigInt(rnd(0x1_0000_0000));
}

/** A floating-point number of `exp` exponent and `sig` fraction bits, often an unusual one. */
function randomFloat(rnd: Random, exp: number, sig: number): bigint {
  const sign = BigInt(rnd(2)) << BigInt(exp + sig);
  const top = (1 << exp) - 1, bias = top >> 1;
  const fraction = () => {
    switch (rnd(6)) {
      case 0:
        return 0n;
      case 1:
        return (1n << BigInt(sig)) - 1n;
      case 2:
        return 1n << BigInt(rnd(sig));
      case 3:
        // Few significant bits, for exact results and ties.
        return BigInt(rnd(8)) << BigInt(sig - 3 - rnd(2));
      default:
        return random64(rnd) & (1n << BigInt(sig)) - 1n;
    }
  };
  const e = (): number => {
    switch (rnd(10)) {
      case 0:
        return 0;
      case 1:
        return top;
      case 2:
        return 1 + rnd(3);
      case 3:
        return top - 1 - rnd(3);
      case 4:
        return rnd(top + 1);
      case 5:
        return bias + rnd(sig + 4);
      default:
        return bias - 4 + rnd(9);
    }
  };
  return sign | BigInt(e()) << BigInt(sig) | fraction();
}

/** A quadword of operands for any kind of operation. */
export function randomWord(rnd: Random): bigint {
  switch (rnd(8)) {
    case 0:
      return random64(rnd);
    case 1:
      return edge64[rnd(edge64.length)];
    case 2: {
      const v = decimals[rnd(decimals.length)];
      return f64(rnd(2) ? v : -v);
    }
    case 3:
    case 4:
      return randomFloat(rnd, 11, 52);
    case 5:
      // A product or sum of such numbers is near a limit.
      return BigInt(rnd(2)) << 63n | BigInt([0x3fe, 0x3ff, 0x400, 0x001, 0x200][rnd(5)]) << 52n |
        random64(rnd) >> 12n;
    default:
      return randomFloat(rnd, 8, 23) | randomFloat(rnd, 8, 23) << 32n;
  }
}

/** VEX rows whose memory operand must be aligned. */
const ALIGNED = /^VMOV(AP|DQA|NT)/;
const SCATTERED = /GATHER|SCATTER/;
const RSI = 6;

export interface FuzzOptions {
  /** Runs of each encoding. */
  readonly rounds: number;
  readonly seed: number;
  /** Encodings tried of each form: registers, immediates. */
  readonly encodings: number;
  /** Mode of the software CPU. */
  readonly bits: 32 | 64;
  /** Exceptions may be unmasked. */
  readonly unmasked?: boolean;
}

export interface FuzzResult {
  cases: number;
  encodings: number;
  differences: string[];
}

const hex = (u8: Uint8Array): string =>
  [...u8].map((b) => b.toString(16).padStart(2, "0")).join(" ");

/** Both machines, for many rows. */
export class SimdFuzz {
  readonly native = new NativeSimd();
  bed: SimdBed;
  #used = 0;

  constructor(readonly bits: 32 | 64) {
    this.bed = new SimdBed(bits);
  }

  close(): void {
    this.native.close();
  }

  /** Compares the forms of a row. */
  row(row: TableRow, o: FuzzOptions): FuzzResult {
    const result: FuzzResult = { cases: 0, encodings: 0, differences: [] };
    if (semanticsOf(row.name) === undefined) {
      result.differences.push(`${row.syntax}: no semantics`);
      return result;
    }
    const rnd = random(o.seed);
    for (const form of rowForms(row, o.bits)) {
      for (let n = 0; n < o.encodings; n++) {
        const offset = { at: 0 };
        const index = rnd(o.bits !== 64 ? 8 : row.evex ? 32 : 16), scale = rnd(4);
        // RSI as an index, and a displacement, where alignment does not matter.
        const far = row.vex && !ALIGNED.test(row.name) && rnd(3) === 0;
        const disp = far ? rnd(16) - 8 : 0;
        const memory =
          (bits: 32 | 64) => (size: MemOperand["size"], vsib: boolean): MemOperand => ({
            kind: "mem",
            size,
            seg: 3,
            base: 3,
            index: vsib ? index : far ? RSI : -1,
            scale: vsib || far ? scale : 0,
            disp: vsib ? 0 : disp,
            dispHi: vsib ? 0 : disp >> 31,
            rip: false,
            addrSize: bits,
          });
        const limits = (bits: 32 | 64) => ({
          memory: memory(bits),
          gprs: [0, 1, 2, 5, 6],
          prefixes: false,
        });
        const vectorBits = rnd(3) === 0 && row.evex ? 512 : rnd(2) ? 256 : 128;
        const request = { ...sample(rnd, row, form, o.bits, limits(o.bits)), vectorBits } as const;
        const wide: EncodeRequest = o.bits === 64 ? request : {
          ...request,
          bits: 64,
          addrSize: 64,
          operands: request.operands?.map((x) =>
            x?.kind === "mem" ? { ...x, addrSize: 64 as const } : x
          ),
        };
        let ours: Uint8Array, theirs: Uint8Array;
        try {
          ours = encode(request);
          theirs = encode(wide);
        } catch {
          continue;
        }
        // Beds have room for so many instructions.
        if (++this.#used % 100000 === 0) this.bed = new SimdBed(this.bits);
        this.bed.prepare(ours);
        this.native.prepare(theirs);
        result.encodings++;
        offset.at = /MASKMOV|MOVU|MOVDQU|LDDQU|PCMP.STR/.test(row.name) ? rnd(32) : 16 * rnd(3);
        if (ALIGNED.test(row.name)) offset.at = /512|ZMM|zmm/.test(row.syntax) ? 0 : offset.at & 32;
        else if (far) offset.at = 8 + rnd(16);
        else if (row.vex || !/m128/.test(row.syntax)) offset.at = rnd(64);
        if (SCATTERED.test(row.name)) offset.at = 64;
        for (let k = 0; k < o.rounds; k++) {
          const why = this.#one(rnd, row, offset.at, o, request.operands ?? []);
          result.cases++;
          if (why !== "") {
            result.differences.push(`${row.syntax} [${hex(ours)}]: ${why}`);
            if (result.differences.length > 20) return result;
          }
        }
      }
    }
    return result;
  }

  /** Whether a row has to do with registers that only AVX-512 has. */
  #isWide(row: TableRow): boolean {
    return row.cpuid!.startsWith("avx512") || row.evex !== undefined;
  }

  #one(
    rnd: Random,
    row: TableRow,
    offset: number,
    o: FuzzOptions,
    operands: readonly (Operand | undefined)[],
  ): string {
    const { view, u8 } = this.native;
    const mmx = /\bmm/.test(row.syntax) || row.name === "EMMS";
    view.setUint16(Fx.FCW, 0x37f, true);
    view.setUint16(Fx.FSW, mmx ? rnd(8) << 11 : 0, true);
    view.setUint8(Fx.FTW, rnd(256));
    let mxcsr = 0x1f80 | rnd(64) | rnd(4) << 13;
    if (rnd(2)) mxcsr = mxcsr & ~0x6000 | 0x20;
    if (rnd(4) === 0) mxcsr |= 0x40;
    if (rnd(4) === 0) mxcsr |= 0x8000;
    // Unmasked exceptions already flagged do not trap by themselves.
    if (o.unmasked && rnd(2)) mxcsr &= ~(rnd(64) << 7);
    view.setUint32(Fx.MXCSR, mxcsr, true);
    for (let i = 0; i < 8; i++) {
      view.setBigUint64(Fx.ST + 16 * i, randomWord(rnd), true);
      view.setBigUint64(Fx.ST + 16 * i + 8, BigInt(rnd(65536)), true);
    }
    const words: bigint[] = [];
    const word = (): bigint => {
      // Equal operands now and then.
      const w = words.length > 0 && rnd(8) === 0 ? words[rnd(words.length)] : randomWord(rnd);
      words.push(w);
      return w;
    };
    for (let i = 0; i < 32; i++) view.setBigUint64(Fx.XMM + 8 * i, word(), true);
    for (let i = 0; i < 32; i++) view.setBigUint64(Fx.YMM + 8 * i, word(), true);
    const wide = this.bed.wide = hasAvx512() && (this.#isWide(row) || rnd(16) === 0);
    if (wide) {
      for (let n = 0; n < 32; n++) {
        for (let q = n < 16 ? 4 : 0; q < 8; q++) view.setBigUint64(vectorAt(n, q), word(), true);
      }
      for (let n = 0; n < 8; n++) {
        const some = rnd(4) === 0 ? -1n : rnd(4) === 0 ? 0n : random64(rnd);
        view.setBigUint64(Fx.K + 8 * n, BigInt.asUintN(64, some), true);
      }
    }
    for (let i = 0; i < DATA_BYTES; i += 8) view.setBigUint64(Ctx.DATA + i, word(), true);
    if (/^VPS(LL|RL|RA)V/.test(row.name) && rnd(2)) {
      for (const at of [Fx.XMM, Fx.YMM]) {
        for (let i = 0; i < 64; i++) view.setUint32(at + 4 * i, rnd(35), true);
        for (let i = 0; i < 32; i++) {
          if (rnd(2)) view.setBigUint64(at + 8 * i, BigInt(rnd(70)), true);
        }
      }
    } else if (/^V?PS[LR]|^V?PCMPESTR/.test(row.name) && rnd(2)) {
      for (let i = 0; i < 16; i++) view.setBigUint64(Fx.XMM + 16 * i, BigInt(rnd(70)), true);
      for (let i = 0; i < 8; i++) view.setBigUint64(Fx.ST + 16 * i, BigInt(rnd(70)), true);
    }
    const memory = operands.find((x): x is MemOperand => x?.kind === "mem");
    if (SCATTERED.test(row.name)) smallIndices(view, rnd, memory!.index, /ERQ/.test(row.name));
    const far = memory?.index === RSI && !SCATTERED.test(row.name);
    if (/^VFN?M(ADD|SUB)/.test(row.name) && !far && rnd(2)) {
      cancel(view, rnd, operands, /D$/.test(row.name), offset);
    }
    for (let r = 0; r < 8; r++) {
      const small = rnd(3) === 0 ? BigInt(rnd(40)) : randomWord(rnd);
      view.setBigUint64(Ctx.GPR_IN + 8 * r, small, true);
    }
    if (far) view.setBigUint64(Ctx.GPR_IN + 8 * RSI, BigInt(rnd(8)), true);
    // Outside 64-bit mode only the lower halves exist.
    if (this.bits === 32) {
      for (let r = 0; r < 8; r++) view.setUint32(Ctx.GPR_IN + 8 * r + 4, 0, true);
    }
    const pointers = new Map([[3, offset], [7, offset]]);
    for (const [r, at] of pointers) {
      view.setBigUint64(Ctx.GPR_IN + 8 * r, this.native.base + BigInt(Ctx.DATA + at), true);
    }
    view.setBigUint64(Ctx.FLAGS_IN, BigInt(rnd(4096) & 0x8d5 | 0x202), true);
    this.bed.load(view, pointers);
    const before = () => {
      const registers = [0, 1, 2, 3, 4, 5, 6, 7].map((i) =>
        `X${i} ${view.getBigUint64(Fx.XMM + 16 * i + 8, true).toString(16)}:${
          view.getBigUint64(Fx.XMM + 16 * i, true).toString(16)
        }`
      );
      return `MXCSR ${mxcsr.toString(16)} ${registers.join(" ")} mem ${data}`;
    };
    const data = hex(u8.subarray(Ctx.DATA + offset, Ctx.DATA + offset + 16));
    this.native.run();
    const vector = this.bed.step();
    const signal = Number(view.getBigUint64(Ctx.SIGNAL, true));
    if ((vector === 19) !== (signal === 8) || (vector !== undefined && vector !== 19)) {
      return `vector ${vector}, signal ${signal}; ${before()}`;
    }
    const why = this.bed.compare(view, pointers);
    return why === "" ? "" : `${why}; ${before()}`;
  }
}

function main(): void {
  const [pattern = "", rounds = "300", seed = "1", encodings = "6", mode = ""] = Deno.args;
  const re = new RegExp(`^(${pattern || ".*"})$`);
  let cases = 0, encoded = 0, bad = 0, rows = 0;
  for (const bits of [32, 64] as const) {
    if (mode.includes("32") && bits === 64 || mode.includes("64") && bits === 32) continue;
    const fuzz = new SimdFuzz(bits);
    for (const row of simdRows()) {
      if (!re.test(row.name)) continue;
      rows++;
      const r = fuzz.row(row, {
        rounds: Number(rounds),
        seed: Number(seed),
        encodings: Number(encodings),
        bits,
        unmasked: mode.includes("u"),
      });
      cases += r.cases;
      encoded += r.encodings;
      bad += r.differences.length;
      for (const d of r.differences.slice(0, 2)) console.log(`${bits}: ${d}`);
    }
    fuzz.close();
  }
  console.log(`${rows} rows, ${encoded} encodings, ${cases} cases, ${bad} differences`);
  if (bad > 0) Deno.exit(1);
}

if (import.meta.main) main();
