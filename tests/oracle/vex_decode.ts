/**
 * Which VEX encodings exist, and how long they are: the decoder compared with the host processor over
 * prefixes, opcodes and ModRM, in 32-bit and 64-bit mode.
 *
 *     deno run -A tests/oracle/vex_decode.ts
 */
import { decode } from "../../core/x86/decoder.ts";
import { random } from "../../core/x86/table/sample.ts";
import { CODE, DATA, HLT, Native, newState } from "./native.ts";
import { hostFlags } from "./simd_native.ts";

const UD = 6;

/** Opcodes not run: VLDMXCSR would change the process's own MXCSR. */
const isLeftOut = (map: number, byte: number): boolean => map === 1 && byte === 0xae;

/** Unused; a register; unused in 32-bit mode, if the highest bit is ignored there. */
const VVVV = [15, 10, 7];

export interface VexOptions {
  /** One of so many encodings is tried. */
  readonly every: number;
  readonly seed: number;
}

export interface VexResult {
  cases: number;
  /** Of them, encodings that exist. */
  valid: number;
  differences: string[];
}

/** Compares; memory operands are at [RBX], or at [RBX + vector] for gathers. */
export function compareVex(o: VexOptions): VexResult {
  const flags = hostFlags(), native = new Native(), rnd = random(o.seed);
  const before = newState(), after = newState();
  const result: VexResult = { cases: 0, valid: 0, differences: [] };
  before.gpr[3] = before.gpr[7] = BigInt(DATA + 0x1000);
  before.gpr[4] = BigInt(DATA + 0x2000);
  const bytes = new Uint8Array(16);
  const one = (bits: 32 | 64): void => {
    native.code.fill(HLT, 0, 32);
    native.code.set(bytes);
    native.run(CODE, bits, before, after);
    const insn = decode(native.code, 0, 32, { bits });
    const ours = typeof insn === "string" ? 0 : insn.length;
    result.cases++;
    if (typeof insn === "object") {
      const feature = insn.row.cpuid?.replace(/[.-]/, "_");
      if (feature !== undefined && feature !== "abm" && !flags.has(feature)) return;
      result.valid++;
    }
    // An instruction that faulted otherwise exists; its length is not told.
    const moved = Number(after.rip) - CODE;
    const theirs = after.vector === UD ? 0 : moved > 0 ? moved : ours || -1;
    if (ours === theirs) return;
    const hex = [...bytes].map((b) => b.toString(16).padStart(2, "0")).join(" ");
    const name = typeof insn === "object" ? insn.row.opcode : insn;
    result.differences.push(`${bits}: ${hex}: ${ours} (${name}), host ${theirs}`);
  };
  try {
    for (const bits of [32, 64] as const) {
      for (let map = 0; map <= 4; map++) {
        for (let byte = 0; byte < 256; byte++) {
          if (isLeftOut(map, byte)) continue;
          // vvvv used or not, W, L, mandatory prefix; ModRM.reg; register, memory, gather.
          for (let n = 0; n < 48 * 8 * 3; n++) {
            if (rnd(o.every) !== 0) continue;
            const w = n & 1, l = n >> 1 & 1, pp = n >> 2 & 3, vvvv = VVVV[(n >> 4) % 3];
            const rest = Math.floor(n / 48), reg = rest & 7, kind = rest >> 3;
            bytes.fill(HLT);
            bytes[0] = 0xc4;
            bytes[1] = 0xe0 | map;
            bytes[2] = w << 7 | vvvv << 3 | l << 2 | pp;
            bytes[3] = byte;
            bytes[4] = (kind === 0 ? 0xc1 : kind === 1 ? 3 : 4) | reg << 3;
            // The index is XMM6, which the destination may be as well.
            if (kind === 2) bytes[5] = 0x33;
            // VZEROUPPER and VZEROALL have no ModRM.
            if (map === 1 && byte === 0x77) bytes.fill(HLT, 4);
            one(bits);
          }
        }
      }
    }
    // Prefixes before VEX: #UD, segment and address size excepted.
    for (const bits of [32, 64] as const) {
      for (const prefix of [0x66, 0xf2, 0xf3, 0xf0, 0x48, 0x2e, 0x36, 0x3e, 0x26, 0x65, 0x67]) {
        if (prefix === 0x48 && bits === 32) continue;
        for (const code of [[0xc5, 0xf8, 0x58, 0xc1], [0xc4, 0xe1, 0x78, 0x58, 0xc1]]) {
          bytes.fill(HLT);
          bytes.set([prefix, ...code]);
          one(bits);
        }
      }
    }
  } finally {
    native.close();
  }
  return result;
}

if (import.meta.main) {
  const r = compareVex({ every: 1, seed: 1 });
  for (const d of r.differences.slice(0, 60)) console.log(d);
  console.log(`${r.cases} encodings, ${r.valid} exist, ${r.differences.length} differences`);
  if (r.differences.length > 0) Deno.exit(1);
}
