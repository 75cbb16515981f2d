/** The opcode table: every family's rows, parsed once at load. */
import { parseRows, type TableRow } from "./row.ts";
import { integerRows } from "./integer.ts";
import { systemRows } from "./system.ts";
import { x87Rows } from "./x87.ts";
import { mmxRows } from "./mmx.ts";
import { sseRows } from "./sse.ts";
import { sse2Rows } from "./sse2.ts";
import { sse3Rows } from "./sse3.ts";
import { sse4Rows } from "./sse4.ts";
import { cryptoRows } from "./crypto.ts";
import { bmiRows } from "./bmi.ts";
import { avxRows } from "./avx.ts";
import { avx2Rows } from "./avx2.ts";
import { avx512Rows } from "./avx512.ts";
import { fmaRows } from "./fma.ts";

const families: readonly (readonly [string, string])[] = [
  ["integer", integerRows],
  ["system", systemRows],
  ["x87", x87Rows],
  ["mmx", mmxRows],
  ["sse", sseRows],
  ["sse2", sse2Rows],
  ["sse3", sse3Rows],
  ["sse4", sse4Rows],
  ["crypto", cryptoRows],
  ["bmi", bmiRows],
  ["avx", avxRows],
  ["avx2", avx2Rows],
  ["fma", fmaRows],
  ["avx512", avx512Rows],
];

/** All rows in table order; a row's `id` is its index. */
export const opcodeTable: readonly TableRow[] = parseAll();

function parseAll(): TableRow[] {
  const rows: TableRow[] = [];
  for (const [family, text] of families) rows.push(...parseRows(text, family, rows.length));
  return rows;
}
