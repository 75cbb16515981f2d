/** The opcode table: every family's rows, parsed once at load. */
import { parseRows, type TableRow } from "./row.ts";
import { integerRows } from "./integer.ts";
import { systemRows } from "./system.ts";
import { x87Rows } from "./x87.ts";
import { mmxRows } from "./mmx.ts";
import { sseRows } from "./sse.ts";
import { sse2Rows } from "./sse2.ts";

const families: readonly (readonly [string, string])[] = [
  ["integer", integerRows],
  ["system", systemRows],
  ["x87", x87Rows],
  ["mmx", mmxRows],
  ["sse", sseRows],
  ["sse2", sse2Rows],
];

/** All rows in table order; a row's `id` is its index. */
export const opcodeTable: readonly TableRow[] = parseAll();

function parseAll(): TableRow[] {
  const rows: TableRow[] = [];
  for (const [family, text] of families) rows.push(...parseRows(text, family, rows.length));
  return rows;
}
