/**
 * Which EVEX encodings and mask-register instructions exist, and how long they are: the decoder
 * compared with the host processor over random prefixes, opcodes and ModRM, in 32-bit and 64-bit mode.
 *
 *     deno run -A tests/oracle/evex_decode.ts [ENCODINGS [SEED]]
 */
import { decode, type DecodedInsn } from "../../core/x86/decoder.ts";
import { random } from "../../core/x86/table/sample.ts";
import { CODE, DATA, HLT, Native, newState } from "./native.ts";
import { hostFlags } from "./simd_native.ts";

const UD = 6;

/** Opcodes of extensions that a host may have and the table has not: VNNI, IFMA, VBMI, BITALG, FP16… */
function isOther(map: number, byte: number): boolean {
  // With 0F AE processors take CLWB for what it is, EVEX prefix and all: no instruction of the SDM's.
  if (map > 3 || map === 1 && byte === 0xae) return true;
  if (map === 2) {
    return [0x50, 0x51, 0x52, 0x53, 0x54, 0x55, 0x62, 0x63, 0x68, 0x8f, 0xb4, 0xb5].includes(
      byte,
    ) ||
      byte >= 0x70 && byte <= 0x73 ||
      [0x8d, 0x75, 0x7d, 0x83, 0x72, 0xc6, 0xc7, 0xc8].includes(byte) ||
      byte >= 0xc9 && byte <= 0xcd;
  }
  return map === 3 && (byte >= 0x70 && byte <= 0x73 || byte === 0xc2);
}

export interface EvexDecodeOptions {
  /** Encodings tried in each mode. */
  readonly count: number;
  readonly seed: number;
}

export interface EvexDecodeResult {
  cases: number;
  /** Of them, encodings that exist. */
  valid: number;
  differences: string[];
}

function lacks(insn: DecodedInsn, flags: ReadonlySet<string>): boolean {
  const { cpuid, also } = insn.row;
  const has = (f: string | undefined) => f === undefined || flags.has(f.replace(/[.-]/, "_"));
  return !has(cpuid) || !has(also);
}

/** Compares; memory operands are at [RBX + small], or at [RBX + vector] for gathers and scatters. */
export function compareEvex(o: EvexDecodeOptions): EvexDecodeResult {
  const flags = hostFlags(), native = new Native(), rnd = random(o.seed);
  const before = newState(), after = newState();
  const result: EvexDecodeResult = { cases: 0, valid: 0, differences: [] };
  before.gpr[3] = before.gpr[7] = BigInt(DATA + 0x1000);
  before.gpr[4] = BigInt(DATA + 0x2000);
  const bytes = new Uint8Array(16);
  const mostly = (usual: number, odd: number, among = 6) => rnd(among) === 0 ? odd : usual;
  try {
    for (const bits of [32, 64] as const) {
      for (let n = 0; n < o.count; n++) {
        const map = mostly(1 + rnd(3), rnd(16), 20), byte = rnd(256);
        if (isOther(map & 7, byte)) continue;
        bytes.fill(HLT);
        // Outside 64-bit mode the two highest bits make it an EVEX prefix.
        const high = bits === 32 ? 0xc0 : mostly(0xc0, rnd(4) << 6);
        bytes[0] = 0x62;
        bytes[1] = high | mostly(0x30, rnd(4) << 4) | map;
        bytes[2] = rnd(2) << 7 | mostly(15, rnd(16), 2) << 3 | mostly(4, 0, 40) | rnd(4);
        bytes[3] = mostly(0, 0x80) | rnd(4) << 5 | mostly(0, 0x10, 4) | mostly(8, 0) |
          mostly(0, 1, 3);
        bytes[4] = byte;
        const kind = rnd(4), reg = rnd(8) << 3;
        bytes[5] = (kind === 0 ? 3 : kind === 1 ? 4 : kind === 2 ? 0x43 : 0xc1) | reg;
        // The index is number 6, with base RBX; or a displacement of 1.
        if (kind === 1) bytes[6] = 0x33;
        else if (kind === 2) bytes[6] = 1;
        native.code.fill(HLT, 0, 32);
        native.code.set(bytes);
        native.run(CODE, bits, before, after);
        const insn = decode(native.code, 0, 32, { bits });
        const ours = typeof insn === "string" ? 0 : insn.length;
        result.cases++;
        if (typeof insn === "object") {
          if (lacks(insn, flags)) continue;
          result.valid++;
        }
        // An instruction that faulted otherwise exists; its length is not told.
        const moved = Number(after.rip) - CODE;
        const theirs = after.vector === UD ? 0 : moved > 0 ? moved : ours || -1;
        if (ours === theirs) continue;
        const hex = [...bytes].map((b) => b.toString(16).padStart(2, "0")).join(" ");
        const name = typeof insn === "object" ? `${insn.row.opcode} ${insn.row.syntax}` : insn;
        result.differences.push(`${bits}: ${hex.slice(0, 30)}: ${ours} (${name}), host ${theirs}`);
      }
    }
  } finally {
    native.close();
  }
  return result;
}

if (import.meta.main) {
  const [count = "200000", seed = "1"] = Deno.args;
  const r = compareEvex({ count: Number(count), seed: Number(seed) });
  for (const d of r.differences.slice(0, 60)) console.log(d);
  console.log(`${r.cases} encodings, ${r.valid} exist, ${r.differences.length} differences`);
  if (r.differences.length > 0) Deno.exit(1);
}
