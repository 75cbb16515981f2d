/**
 * Which EVEX instructions leave memory alone where their mask says so: the table's word (`nf`) against
 * the host processor, with operands that are there in part or not at all.
 *
 *     deno run -A tests/oracle/evex_faults.ts
 */
import { encode, rowForms } from "../../core/x86/table/encode.ts";
import { Role, type TableRow } from "../../core/x86/table/row.ts";
import { random, sample } from "../../core/x86/table/sample.ts";
import { opcodeTable } from "../../core/x86/table/table.ts";
import { CODE, DATA, DATA_BYTES, HLT, Native, newState } from "./native.ts";
import { hostFlags } from "./simd_native.ts";

const PF = 14;
/** Behind the last byte of memory. */
const END = DATA + DATA_BYTES;

/** Rows whose memory operand must be aligned. */
const ALIGNED = /^VMOV(AP|DQA)/;

/** Compares rows; gives how many were tried, and what differs. */
export function compareFaults(): { cases: number; differences: string[] } {
  const native = new Native(), flags = hostFlags(), rnd = random(3);
  const before = newState(), after = newState(), differences: string[] = [];
  let cases = 0;
  before.gpr[4] = BigInt(DATA + 0x1000);
  /** Whether `insn` faults on a page with this mask in k1 and RBX at `at`. */
  const faults = (insn: Uint8Array, at: number, mask: bigint): boolean => {
    native.code.fill(HLT, 0, 32);
    native.code.set([0xc4, 0xe1, 0xfb, 0x92, 0xc8, ...insn]); // kmovq k1, rax
    before.gpr[0] = BigInt.asUintN(64, mask);
    before.gpr[3] = BigInt(at);
    native.run(CODE, 64, before, after);
    cases++;
    return after.vector === PF;
  };
  const memory = (row: TableRow, broadcast: boolean): Uint8Array | undefined => {
    const form = rowForms(row, 64).find((f) => f.rm === "mem");
    if (form === undefined) return undefined;
    const request = sample(rnd, row, form, 64, {
      prefixes: false,
      memory: (size) => ({
        kind: "mem",
        size: broadcast ? row.evex!.broadcast : size,
        seg: 3,
        base: 3,
        index: -1,
        scale: 0,
        disp: 0,
        dispHi: 0,
        rip: false,
        addrSize: 64,
      }),
    });
    const evex = { mask: 1, zeroing: false, broadcast, rounding: -1, sae: false } as const;
    return encode({ ...request, evex });
  };
  try {
    for (const row of opcodeTable) {
      const { evex } = row;
      if (evex === undefined || evex.masking !== "optional") continue;
      const has = (f?: string) => f === undefined || flags.has(f.replace(/[.-]/, "_"));
      const rm = row.operandSpecs.find((s) => s.role === Role.Rm);
      if (!has(row.cpuid) || !has(row.also) || rm?.memSizes === undefined || rm.vsib) continue;
      const tell = (what: string, expected: boolean, found: boolean) => {
        if (expected !== found) differences.push(`${row.opcode} ${row.syntax}: ${what}: ${found}`);
      };
      const whole = memory(row, false)!, bytes = rm.memSizes[1] >> 3;
      tell("without any element", !evex.suppress, faults(whole, END, 0n));
      const count = row.l < 0 ? 1 : Math.floor((16 << row.l) / Math.max(evex.element, evex.source));
      const sparse = /^V(P?BROADCAST|EXTRACT|INSERT)/.test(row.name);
      if (count > 1 && !sparse && !ALIGNED.test(row.name)) {
        const half = (1n << BigInt(count / 2)) - 1n;
        tell("with the lower half", !evex.suppress, faults(whole, END - bytes / 2, half));
        tell("with one element more", true, faults(whole, END - bytes / 2, half * 2n + 1n));
      }
      if (evex.broadcast === 0) continue;
      tell("broadcast to none", !evex.suppress, faults(memory(row, true)!, END, 0n));
      tell("broadcast to one", true, faults(memory(row, true)!, END, 1n));
    }
  } finally {
    native.close();
  }
  return { cases, differences };
}

if (import.meta.main) {
  const r = compareFaults();
  for (const d of r.differences) console.log(d);
  console.log(`${r.cases} cases, ${r.differences.length} differences`);
  if (r.differences.length > 0) Deno.exit(1);
}
