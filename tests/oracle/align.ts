/**
 * Alignment checks (#AC): which misaligned operands each instruction complains of, against the host
 * processor, whose kernel sets CR0.AM. The integer instructions are compared with all they do by
 * `deno task oracle --ac`; here are those of x87, MMX, SSE and AVX, and images of state.
 *
 *     deno run -A tests/oracle/align.ts [NAME_REGEXP]
 */
import { encode, rowForms } from "../../core/x86/table/encode.ts";
import { Role, type TableRow } from "../../core/x86/table/row.ts";
import { random, sample } from "../../core/x86/table/sample.ts";
import { opcodeTable } from "../../core/x86/table/table.ts";
import { semanticsOf } from "../../core/x86/semantics/emit.ts";
import * as S from "../../core/x86/state.ts";
import { Fl, Vec } from "../../core/x86/state.ts";
import { CODE, DATA, DATA_BYTES, HLT, Native, newState } from "./native.ts";
import { hostFlags } from "./simd_native.ts";
import { UserBed } from "./user_bed.ts";
import { isIntegerRow } from "./user_cases.ts";

const AT = DATA + 0x1000, MXCSR = CODE + 0x800;
/** Offsets of operands in a cache line: all small powers of two, and up to and over its end. */
const OFFSETS = [0, 1, 2, 4, 6, 8, 10, 12, 16, 20, 24, 32, 48, 56, 60, 61, 62, 63];

/** What an instruction did: `A` #AC, `.` its work, else another exception. */
function outcome(vector: number, ip: bigint): string {
  if (vector === Vec.AC) return "A";
  return vector === Vec.GP && ip !== BigInt(CODE) ? "." : vector === Vec.GP ? "G" : `<${vector}>`;
}

/** FNINIT, LDMXCSR of what is at {@link MXCSR}, HLT: the host program's own. */
const after = (bits: 32 | 64): number[] => {
  const at = [MXCSR & 255, MXCSR >> 8 & 255, MXCSR >> 16 & 255, MXCSR >>> 24];
  return [0xdb, 0xe3, 0x0f, 0xae, ...(bits === 64 ? [0x14, 0x25] : [0x15]), ...at, HLT];
};

/** Rows without an access, and those that would load what the host program cannot do without. */
const EXCLUDED = /^(PREFETCH|CLFLUSH|CLWB|MONITOR|INVPCID|XRSTOR|FXRSTOR|XSAVES)/;

/** State images, which stand among the system instructions. */
const IMAGES = /^(FX|X)SAVE|^(LD|ST)MXCSR$/;
/** Rows whose operand is at rDI. */
const BY_RDI = /^V?MASKMOV(Q|DQU)$/;

/** MOV EAX, 5; KMOVW k1, EAX. */
const PARTIAL = [0xb8, 5, 0, 0, 0, 0xc5, 0xf8, 0x92, 0xc8];

/** What comes before: the index of a gather is 0 and its mask ones, other masks take a part. */
function vectors(request: ReturnType<typeof sample>, bits: 32 | 64): number[] {
  const mem = request.operands!.find((o) => o?.kind === "mem");
  if (/^VP?MASKMOV/.test(request.row.name)) {
    // VPCMPEQD ymm0, ymm0, ymm0; VPSLLDQ ymm0, ymm0, 12.
    return [0xc5, 0xfd, 0x76, 0xc0, 0xc5, 0xfd, 0x73, 0xf8, 12];
  }
  if (request.evex?.mask === 1 && request.row.evex!.masking === "optional") return PARTIAL;
  if (mem?.kind !== "mem" || mem.index < 0) return [];
  // VPXOR ymm, ymm, ymm; VPCMPEQD of the last operand with itself.
  const zero = (n: number, op: number) =>
    bits === 64 || n < 8
      ? [0xc4, 0xe1 ^ (n & 8 ? 0xa0 : 0), 0x7d ^ (n & 15) << 3, op, 0xc0 | (n & 7) * 9]
      : [];
  const last = request.operands![2];
  if (request.evex) {
    // VPXORD zmm, zmm, zmm; KXNORW k, k, k.
    const n = mem.index, k = request.evex.mask;
    const p0 = 0xf1 ^ (n & 8 ? 0xa0 : 0) ^ (n & 16 ? 0x50 : 0);
    const p1 = 0x7d ^ (n & 15) << 3, p2 = 0x48 ^ (n & 16 ? 8 : 0);
    return [0x62, p0, p1, p2, 0xef, 0xc0 | (n & 7) * 9, 0xc5, 0xfc ^ k << 3, 0x46, 0xc0 | k * 9];
  }
  return [...zero(mem.index, 0xef), ...(last?.kind === "xmm" ? zero(last.reg, 0x76) : [])];
}

/** Rows to compare: those the host has with a memory operand. */
function rows(match: RegExp): TableRow[] {
  const flags = hostFlags();
  const has = (f?: string) => f === undefined || flags.has(f.replace(/[.-]/, "_"));
  return opcodeTable.filter((r) =>
    (!isIntegerRow(r) || IMAGES.test(r.name)) && match.test(r.name) && !EXCLUDED.test(r.name) &&
    has(r.cpuid) &&
    has(r.also) && r.privilege === undefined && semanticsOf(r.name) !== undefined &&
    (BY_RDI.test(r.name) ||
      r.operandSpecs.some((s) => s.role === Role.Rm && s.memSizes !== undefined))
  );
}

export interface AlignResult {
  cases: number;
  /** Of them with #AC. */
  checks: number;
  forms: number;
  differences: string[];
}

export function compareAlignment(match = /^/): AlignResult {
  const native = new Native(), bed = new UserBed(), rnd = random(5);
  const before = newState(), theirs = newState(), ours = newState();
  const result: AlignResult = { cases: 0, checks: 0, forms: 0, differences: [] };
  new DataView(native.code.buffer, native.code.byteOffset).setUint32(MXCSR - CODE, 0x1f80, true);
  bed.ram.set([0x80, 0x1f, 0, 0], MXCSR);
  try {
    for (const bits of [32, 64] as const) {
      for (const row of rows(match)) {
        for (const form of rowForms(row, bits)) {
          if (form.rm !== "mem" && !BY_RDI.test(row.name)) continue;
          for (const broadcast of row.evex?.broadcast ? [false, true] : [false]) {
            one(row, form, bits, broadcast, 0);
            if (row.evex?.masking === "optional") one(row, form, bits, broadcast, 1);
          }
        }
      }
    }
  } finally {
    native.close();
  }
  return result;

  function one(
    row: TableRow,
    form: ReturnType<typeof rowForms>[number],
    bits: 32 | 64,
    broadcast: boolean,
    k: number,
  ): void {
    const drawn = sample(rnd, row, form, bits, {
      prefixes: false,
      gprs: [0, 1, 2],
      memory: (size, vsib) => ({
        kind: "mem",
        size: broadcast ? row.evex!.broadcast : size,
        seg: 3,
        base: 3,
        index: vsib ? 5 : -1,
        scale: 0,
        disp: 0,
        dispHi: 0,
        rip: false,
        addrSize: bits,
      }),
    });
    const mask = row.evex?.masking === "required" ? 1 : k;
    const none = { zeroing: false, rounding: -1, sae: false } as const;
    const request = row.evex ? { ...drawn, evex: { ...none, mask, broadcast } } : drawn;
    if (/^VP?MASKMOV/.test(row.name)) {
      request.operands!.forEach((o, n) => {
        if (n === 1) Object.assign(o!, { reg: 0 });
      });
    }
    const insn = encode(request), head = vectors(request, bits);
    const code = [...head, ...insn, ...after(bits)];
    native.code.fill(HLT, 0, 64);
    native.code.set(code);
    bed.vm.cache.flush();
    bed.ram.fill(HLT, CODE, CODE + 64);
    bed.ram.set(code, CODE);
    before.gpr.fill(0n);
    before.gpr[4] = BigInt(DATA + DATA_BYTES - 256);
    before.flags = Fl.AC;
    const found = ["", ""];
    for (const offset of OFFSETS) {
      before.gpr[3] = before.gpr[7] = BigInt(AT + offset);
      native.data.fill(0);
      bed.ram.fill(0, DATA, DATA + DATA_BYTES);
      if (row.name === "LDMXCSR" || row.name === "VLDMXCSR") {
        const v = new DataView(native.data.buffer, native.data.byteOffset + AT + offset - DATA);
        v.setUint32(0, 0x1f80, true);
        bed.ram.set([0x80, 0x1f], AT + offset);
      }
      native.run(CODE, bits, before, theirs);
      bed.cpu.set32(S.FCW, 0x37f);
      bed.cpu.set32(S.FSW, 0);
      bed.cpu.set32(S.FEMPTY, 0xff);
      bed.cpu.set32(S.MXCSR, 0x1f80);
      bed.run(CODE, bits, before, ours);
      const ip = BigInt(head.length);
      found[0] += outcome(theirs.vector, theirs.rip - ip);
      found[1] += outcome(ours.vector, ours.rip - ip);
    }
    result.forms++;
    result.cases += OFFSETS.length;
    result.checks += found[0].split("A").length - 1;
    if (found[0] !== found[1]) {
      const bytes = [...insn].map((b) => b.toString(16).padStart(2, "0")).join(" ");
      result.differences.push(
        `${bits}: ${row.syntax}${broadcast ? " bcst" : ""}${k ? " masked" : ""} [${bytes}]: ${
          found[1]
        } not ${found[0]}`,
      );
    }
  }
}

if (import.meta.main) {
  const r = compareAlignment(new RegExp(`^(${Deno.args[0] ?? ".*"})$`));
  for (const d of r.differences) console.log(d);
  console.log(
    `${r.forms} forms, ${r.cases} cases, ${r.checks} with #AC, ${r.differences.length} differences`,
  );
  if (r.differences.length > 0) Deno.exit(1);
}
