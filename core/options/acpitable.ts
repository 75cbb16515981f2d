/** `-acpitable`: tables that users add to those of the firmware. ACPI Specification 6.3, 5.2.6. */
import type { CommandLine } from "./command_line.ts";
import { fail, strerror, warn } from "./host.ts";
import { parseUint64 } from "./numbers.ts";
import type { Opts, OptsList } from "./qemu_opts.ts";

export const ACPI_OPTS: OptsList = { name: "acpi", implied: "data" };

/** Fields of the header, in QEMU's order: their offsets and sizes in bytes. */
const FIELDS: Readonly<
  Record<string, readonly [kind: "text" | "number", at: number, size: number]>
> = {
  sig: ["text", 0, 4],
  rev: ["number", 8, 1],
  oem_id: ["text", 10, 6],
  oem_table_id: ["text", 16, 8],
  oem_rev: ["number", 24, 4],
  asl_compiler_id: ["text", 28, 4],
  asl_compiler_rev: ["number", 32, 4],
};
const HEADER = 36, LENGTH = 4, CHECKSUM = 9, MAX = 0xffff;

/** The header of a table that is given as data alone. */
function defaultHeader(): Uint8Array {
  const b = new Uint8Array(HEADER);
  b.set(new TextEncoder().encode("QEMU"));
  b[8] = 1;
  b.set(new TextEncoder().encode("QEMUQEQEMUQEMU"), 10);
  b[24] = 1;
  b.set(new TextEncoder().encode("QEMU"), 28);
  b[32] = 1;
  return b;
}

/** Adds one table, complete with its checksum. Throws UserError with QEMU's words. */
export function addAcpiTable(c: CommandLine, arg: string, loc: string): void {
  const opts = c.groups.parse(ACPI_OPTS, arg, loc);
  const fields = new Map<string, Uint8Array>();
  for (const key of Object.keys(FIELDS)) {
    const bytes = field(opts, key);
    if (bytes !== undefined) fields.set(key, bytes);
  }
  const unknown = opts.entries.find(([key]) =>
    !Object.hasOwn(FIELDS, key) && key !== "file" && key !== "data"
  );
  if (unknown !== undefined) fail(loc, `Invalid parameter '${unknown[0]}'`);
  const file = opts.get("file"), data = opts.get("data");
  if ((file === undefined) === (data === undefined)) {
    fail(loc, "'-acpitable' requires one of 'data' or 'file'");
  }
  const blob = readFiles(file ?? data!, loc);
  if (file !== undefined && blob.length < HEADER) {
    fail(
      loc,
      "ACPI table claiming to have header is too short, " +
        `available: ${blob.length}, expected: ${HEADER}`,
    );
  }
  const table = file !== undefined ? blob : Uint8Array.of(...defaultHeader(), ...blob);
  if (table.length > MAX) {
    fail(loc, `ACPI table too big, requested: ${table.length}, max: ${MAX}`);
  }
  const view = new DataView(table.buffer), said = view.getUint32(LENGTH, true);
  if (file !== undefined && said !== table.length) {
    const sizes = `header says ${said}, actual size ${table.length} bytes`;
    warn(c.host, loc, `ACPI table has wrong length, ${sizes}`);
  }
  if (file === undefined && fields.size === 0) {
    warn(c.host, loc, "ACPI table: no headers are specified");
  }
  for (const [key, bytes] of fields) table.set(bytes, FIELDS[key][1]);
  view.setUint32(LENGTH, table.length, true);
  table[CHECKSUM] = 0;
  table[CHECKSUM] = -table.reduce((a, b) => a + b, 0) & 0xff;
  c.acpiTables.push(table);
}

/** A header field's bytes: texts are cut, or filled with zeros. */
function field(opts: Opts, key: string): Uint8Array | undefined {
  const [kind, , size] = FIELDS[key], text = opts.get(key);
  if (text === undefined) return undefined;
  const bytes = new Uint8Array(size);
  if (kind === "text") {
    bytes.set(new TextEncoder().encode(text).subarray(0, size));
    return bytes;
  }
  const n = parseUint64(text);
  if (typeof n === "string" || /^\s*-/.test(text)) {
    fail(opts.loc, `Parameter '${key}' expects a uint64 value`);
  }
  if (n >= 1n << BigInt(8 * size)) fail(opts.loc, `Parameter '${key}' expects uint${8 * size}_t`);
  for (let i = 0; i < size; i++) bytes[i] = Number((n >> BigInt(8 * i)) & 0xffn);
  return bytes;
}

/** The files of a list with colons, one behind the other. */
function readFiles(paths: string, loc: string): Uint8Array<ArrayBuffer> {
  if (paths === "") fail(loc, "'-acpitable' requires at least one pathname");
  const parts = paths.split(":").map((path) => {
    try {
      return Deno.readFileSync(path);
    } catch (e) {
      const why = strerror(e), how = why === "Is a directory" ? "read" : "open";
      fail(loc, `can't ${how} file ${path}: ${why}`);
    }
  });
  const all = new Uint8Array(parts.reduce((n, p) => n + p.length, 0));
  let at = 0;
  for (const p of parts) {
    all.set(p, at);
    at += p.length;
  }
  return all;
}
