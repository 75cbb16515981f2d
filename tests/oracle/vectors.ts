/** The x87, MMX and SSE part of `deno task oracle`: their own comparisons, and what they leave out. */
import { decode } from "../../core/x86/decoder.ts";
import { rowForms } from "../../core/x86/table/encode.ts";
import type { TableRow } from "../../core/x86/table/row.ts";
import { SimdFuzz, simdRows } from "./simd_fuzz.ts";
import { X87Bed } from "./x87_bed.ts";
import { Random } from "./x87_cases.ts";
import { forms } from "./x87_forms.ts";
import { BATCH, fuzz, kinds } from "./x87_fuzz.ts";
import { NativeX87 } from "./x87_native.ts";

export interface VectorTotals {
  readonly rows: ReadonlySet<TableRow>;
  forms: number;
  /** Of MMX, SSE and AVX, and of x87. */
  cases: number;
  x87: number;
  differences: number;
}

/** The table's row of an x87 encoding. */
export function rowOf(bytes: readonly number[]): TableRow | undefined {
  const u8 = Uint8Array.from([...bytes, ...new Array(16).fill(0)]);
  const i = decode(u8, 0, u8.length, { bits: 32 });
  return typeof i === "object" ? i.row as TableRow : undefined;
}

/** Runs them all; `rounds` states for each encoding. */
export function compareVectors(
  rounds: number,
  seed: number,
  print: (line: string) => void,
  modes: readonly (32 | 64)[] = [32, 64],
): VectorTotals {
  const rows = new Set<TableRow>();
  const t: VectorTotals = { rows, forms: 0, cases: 0, x87: 0, differences: 0 };
  for (const bits of modes) {
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
      t.x87 += rounds;
    }
    t.forms++;
    const row = rowOf(form.bytes);
    if (row) rows.add(row);
  }
  native.close();
  return t;
}
