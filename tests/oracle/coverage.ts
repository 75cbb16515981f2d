/** Which user-mode rows of the opcode table the oracle does not compare, and why. */
import { allSemantics } from "../../core/x86/semantics/all.ts";
import { semanticsOf } from "../../core/x86/semantics/emit.ts";
import type { TableRow } from "../../core/x86/table/row.ts";
import { opcodeTable } from "../../core/x86/table/table.ts";
import { hostFlags, isIntegerRow, whyNot } from "./user_cases.ts";
import { rowOf } from "./vectors.ts";
import { transcendental } from "./x87_forms.ts";

/** Rows of user mode in a mode of the CPU. */
export function userRows(bits: 32 | 64): TableRow[] {
  return opcodeTable.filter((r) =>
    r.privilege !== "cpl0" && (bits === 32 ? r.valid.bits32 : r.valid.bits64)
  );
}

/** Linux's names of features, where they are not the table's with underscores. */
const linux: Record<string, string> = { sse3: "pni", "sha-ni": "sha_ni", "3dnowext": "3dnowext" };

/** Vector rows that are not compared though the host has them. */
const vector: readonly (readonly [RegExp, string])[] = [
  [/^V?LDMXCSR$/, "reserved bits raise #GP: unit tests"],
  [/^([LMS]FENCE|PREFETCH.*)$/, "does nothing that can be seen"],
  [/^VZERO(ALL|UPPER)$/, "unit tests"],
];

/** Why a row is not compared; undefined for one that should be. */
export function reasonOf(row: TableRow, have: ReadonlySet<string>): string | undefined {
  if (isIntegerRow(row)) return whyNot(row, have);
  if (row.cpuid !== undefined) {
    const name = linux[row.cpuid] ?? row.cpuid.replace(/[.-]/g, "_");
    if (row.cpuid !== "fpu" && !have.has(name)) return `the host lacks ${row.cpuid}`;
  }
  return vector.find(([names]) => names.test(row.name))?.[1];
}

/** Lines about the user-mode rows that are not in `done`. */
export function describe(bits: 32 | 64, done: ReadonlySet<TableRow>): string[] {
  allSemantics();
  const have = hostFlags(), rows = userRows(bits);
  const ulp = new Set(transcendental.map((f) => rowOf(f.bytes)));
  const left = new Map<string, TableRow[]>();
  let exact = 0, near = 0;
  for (const row of rows) {
    if (done.has(row)) exact++;
    else if (ulp.has(row)) near++;
    else {
      const why = reasonOf(row, have) ??
        (semanticsOf(row.name) === undefined
          ? "the software CPU does not have it"
          : "NOT COMPARED WITHOUT A REASON");
      left.set(why, [...left.get(why) ?? [], row]);
    }
  }
  const out = [
    `${bits}-bit mode: ${rows.length} user-mode rows; ${exact} compared, ${near} more within one ` +
    `unit in the last place, ${rows.length - exact - near} not compared:`,
  ];
  for (const [why, some] of left) {
    out.push(`  ${why}: ${some.map((r) => `${r.name} (${r.opcode})`).join(", ")}`);
  }
  return out;
}
