/** The opcode table: every family's rows, parsed once at load. */
import { parseRows, type TableRow } from "./row.ts";
import { integerRows } from "./integer.ts";
import { systemRows } from "./system.ts";

const families: readonly (readonly [string, string])[] = [
  ["integer", integerRows],
  ["system", systemRows],
];

/** All rows in table order; a row's `id` is its index. */
export const opcodeTable: readonly TableRow[] = parseAll();

function parseAll(): TableRow[] {
  const rows: TableRow[] = [];
  for (const [family, text] of families) rows.push(...parseRows(text, family, rows.length));
  return rows;
}
