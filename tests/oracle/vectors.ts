/** The x87, MMX and SSE part of `deno task oracle`: their own comparisons, and what they leave out. */
import { decode } from "../../core/x86/decoder.ts";
import { semanticsOf } from "../../core/x86/semantics/emit.ts";
import { allSemantics } from "../../core/x86/semantics/all.ts";
import { rowForms } from "../../core/x86/table/encode.ts";
import type { TableRow } from "../../core/x86/table/row.ts";
import { opcodeTable } from "../../core/x86/table/table.ts";
import { SimdFuzz, simdRows } from "./simd_fuzz.ts";
import { isIntegerRow } from "./user_cases.ts";
import { X87Bed } from "./x87_bed.ts";
import { Random } from "./x87_cases.ts";
import { forms, transcendental } from "./x87_forms.ts";
import { BATCH, fuzz, kinds } from "./x87_fuzz.ts";
import { NativeX87 } from "./x87_native.ts";

export interface VectorTotals {
  readonly rows: ReadonlySet<TableRow>;
  forms: number;
  cases: number;
  differences: number;
}

function rowOf(bytes: readonly number[]): TableRow | undefined {
  const u8 = Uint8Array.from([...bytes, ...new Array(16).fill(0)]);
  const i = decode(u8, 0, u8.length, { bits: 32 });
  return typeof i === "object" ? i.row as TableRow : undefined;
}

/** Runs them all; `rounds` states for each encoding. */
export function compareVectors(
  rounds: number,
  seed: number,
  print: (line: string) => void,
): VectorTotals {
  const rows = new Set<TableRow>();
  const t: VectorTotals = { rows, forms: 0, cases: 0, differences: 0 };
  for (const bits of [32, 64] as const) {
    const simd = new SimdFuzz(bits);
    for (const row of simdRows()) {
      if (!(bits === 32 ? row.valid.bits32 : row.valid.bits64)) continue;
      const r = simd.row(row, { rounds, seed, encodings: 2, bits, unmasked: true });
      rows.add(row);
      t.forms += rowForms(row, bits).length;
      t.cases += r.cases;
      t.differences += r.differences.length;
      for (const d of r.differences.slice(0, 2)) print(`${bits}: ${d}`);
    }
    simd.close();
  }
  const native = new NativeX87(BATCH), bed = new X87Bed(), random = new Random(seed);
  for (const form of forms) {
    for (const kind of kinds) {
      t.differences += fuzz(native, bed, form, rounds, random, kind, print);
      t.cases += rounds;
    }
    t.forms++;
    const row = rowOf(form.bytes);
    if (row) rows.add(row);
  }
  native.close();
  return t;
}

/** Rows of the vector and x87 families that were not compared, by reason. */
export function leftOut(done: ReadonlySet<TableRow>): Map<string, TableRow[]> {
  allSemantics();
  const ulp = new Set(transcendental.map((f) => rowOf(f.bytes)));
  const out = new Map<string, TableRow[]>();
  for (const row of opcodeTable) {
    if (isIntegerRow(row) || done.has(row)) continue;
    const why = ulp.has(row)
      ? "compared within one unit in the last place (x87_host_test)"
      : semanticsOf(row.name) === undefined
      ? "the software CPU does not have it"
      : "state control, unit tests, or a feature that the host lacks";
    out.set(why, [...out.get(why) ?? [], row]);
  }
  return out;
}
