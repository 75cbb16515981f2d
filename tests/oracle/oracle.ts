/**
 * Compares every user-mode integer instruction of the software CPU with the host processor, in 32-bit
 * and 64-bit mode: random and edge operands, all general registers, all arithmetic flags including
 * those the manual leaves undefined, memory, the next IP, the vector and its error code.
 *
 *     deno task oracle [NAME_REGEXP [ROUNDS [SEED [ENCODINGS]]]] [--bits=32|64]
 *         [--only=integer,vectors,vex] [--ac] [--coverage]
 *
 * Without a name the x87, MMX, SSE and AVX comparisons and that of VEX decoding follow. `--coverage`
 * names every user-mode row of the opcode table that is not compared, and why.
 */
import type { TableRow } from "../../core/x86/table/row.ts";
import { type Random, random } from "../../core/x86/table/sample.ts";
import { rowForms } from "../../core/x86/table/encode.ts";
import { opcodeTable } from "../../core/x86/table/table.ts";
import { semanticsOf } from "../../core/x86/semantics/emit.ts";
import { Fl } from "../../core/x86/state.ts";
import {
  CODE,
  CODE_BYTES,
  DATA,
  DATA_BYTES,
  HLT,
  Native,
  newState,
  whyNoNative,
} from "./native.ts";
import {
  draw,
  fill,
  hostFlags,
  isIntegerRow,
  placed,
  type TestCase,
  whyNot,
  WINDOW,
  WINDOW_BYTES,
} from "./user_cases.ts";
import { likeHost, undefinedMask, undefinedResult } from "./undefined.ts";
import { UserBed } from "./user_bed.ts";
import { compareVectors } from "./vectors.ts";
import { describe } from "./coverage.ts";
import { compareVex } from "./vex_decode.ts";

/** Distance between instructions: room for jumps to land on HLT. */
const STEP = 512;
/** CF PF AF ZF SF DF OF, NT, AC, ID. */
const FLAGS = 0xcd5 | Fl.NT | Fl.AC | Fl.ID;

export interface RowResult {
  readonly row: TableRow;
  readonly bits: 32 | 64;
  /** Why the row was not compared. */
  skipped?: string;
  forms: number;
  coveredForms: number;
  encodings: number;
  cases: number;
  faults: number;
  differences: number;
  /** The first ones. */
  examples: string[];
}

const hex = (u8: Uint8Array): string =>
  [...u8].map((b) => b.toString(16).padStart(2, "0")).join(" ");

/** Whether two stretches of memory are equal; all numbers are multiples of 4. */
function sameWords(a: Uint8Array, at: number, b: Uint8Array, bt: number, bytes: number): boolean {
  const x = new Int32Array(a.buffer, a.byteOffset + at, bytes >> 2);
  const y = new Int32Array(b.buffer, b.byteOffset + bt, bytes >> 2);
  for (let n = 0; n < x.length; n++) if (x[n] !== y[n]) return false;
  return true;
}

export interface OracleOptions {
  /** States per encoding, encodings per form. */
  readonly rounds: number;
  readonly encodings: number;
  readonly seed: number;
  /** Half of the states have EFLAGS.AC set, so that accesses must be aligned. */
  readonly alignment?: boolean;
}

/** Both processors. */
export class Oracle {
  readonly native = new Native();
  readonly bed = new UserBed();
  /** The host's undefined flags are ours, so that they can be compared. */
  readonly strict = likeHost(this.native);
  readonly #have = hostFlags();
  readonly #before = newState();
  readonly #ours = newState();
  readonly #theirs = newState();
  readonly #image = new Uint8Array(DATA_BYTES);
  readonly #window = new DataView(this.#image.buffer, WINDOW - DATA, WINDOW_BYTES);
  #at = CODE;

  close(): void {
    this.native.close();
  }

  /** Compares the forms of a row in one mode. */
  row(row: TableRow, bits: 32 | 64, o: OracleOptions): RowResult {
    const forms = rowForms(row, bits);
    const r: RowResult = {
      row,
      bits,
      forms: forms.length,
      coveredForms: 0,
      encodings: 0,
      cases: 0,
      faults: 0,
      differences: 0,
      examples: [],
    };
    r.skipped = whyNot(row, this.#have) ??
      (semanticsOf(row.name) ? undefined : "the software CPU does not have it yet");
    if (r.skipped !== undefined) return r;
    const rnd = random(o.seed * 7919 + row.id * 31 + bits);
    for (const form of forms) {
      const first = r.encodings;
      for (let n = 0, tries = 0; n < o.encodings && tries < 8 * o.encodings; tries++) {
        const drawn = draw(rnd, row, form, bits);
        if (drawn === undefined) continue;
        n++;
        r.encodings++;
        const ip = this.#next(), c = placed(drawn, ip);
        this.#place(c, ip);
        for (let k = 0; k < o.rounds; k++) {
          this.#one(rnd, c, ip, r, o.alignment === true && rnd(2) !== 0);
        }
      }
      if (r.encodings > first) r.coveredForms++;
    }
    return r;
  }

  /** Where the next instruction goes, among HLTs. */
  #next(): number {
    this.#at += STEP;
    // A 16-bit jump there must not get into the data.
    if ((this.#at & 0xffff) >= 0x7000 && (this.#at & 0xffff) < 0xd000) this.#at += 0x6000;
    if (this.#at + 2 * STEP > CODE + CODE_BYTES) {
      this.#at = CODE + STEP;
      this.bed.vm.cache.flush();
      this.bed.ram.fill(HLT, CODE, CODE + CODE_BYTES);
      this.native.code.fill(HLT);
    }
    return this.#at + 256;
  }

  /** Puts the instruction into both memories. */
  #place(c: TestCase, ip: number): void {
    // A far pointer stands at the end of its instruction.
    if (c.row.syntax.includes("ptr16")) {
      const v = new DataView(c.bytes.buffer), n = c.form.opSize >> 3, at = c.bytes.length - 2 - n;
      if (n === 2) v.setUint16(at, ip + 32, true);
      else v.setUint32(at, ip + 32, true);
    }
    this.bed.ram.set(c.bytes, ip);
    this.native.code.set(c.bytes, ip - CODE);
  }

  #one(rnd: Random, c: TestCase, ip: number, r: RowResult, alignment: boolean): void {
    const before = this.#before, ours = this.#ours, theirs = this.#theirs;
    fill(rnd, c, ip, before, this.#window);
    if (alignment) before.flags |= Fl.AC;
    this.native.data.set(this.#image);
    this.bed.ram.set(this.#image, DATA);
    this.native.run(ip, c.bits, before, theirs);
    this.bed.run(ip, c.bits, before, ours);
    r.cases++;
    if (!this.strict && undefinedResult(c)) return;
    const flags = FLAGS & ~(this.strict ? 0 : undefinedMask(c.row));
    if (theirs.vector !== 13 || theirs.rip === BigInt(ip)) r.faults++;
    const out: string[] = [];
    const note = (what: string, a: number | bigint, b: number | bigint) => {
      if (a !== b) out.push(`${what} ${a.toString(16)} not ${b.toString(16)}`);
    };
    note("vector", ours.vector, theirs.vector);
    note("error", ours.error, theirs.error);
    note("ip", ours.rip - BigInt(ip), theirs.rip - BigInt(ip));
    note("flags", ours.flags & flags, theirs.flags & flags);
    const count = c.bits === 64 ? 16 : 8;
    const mask = c.bits === 64 ? 0xffffffffffffffffn : 0xffffffffn;
    for (let n = 0; n < count; n++) note(`R${n}`, ours.gpr[n] & mask, theirs.gpr[n] & mask);
    const a = this.bed.ram, b = this.native.data;
    const same = sameWords(a, WINDOW, b, WINDOW - DATA, WINDOW_BYTES);
    for (let n = 0; !same && n < WINDOW_BYTES; n++) {
      if (a[WINDOW + n] !== b[WINDOW - DATA + n]) {
        note(`mem+${n}`, a[WINDOW + n], b[WINDOW - DATA + n]);
        if (out.length > 12) break;
      }
    }
    if (out.length === 0) return;
    r.differences++;
    if (r.examples.length < 2) {
      const regs = [...before.gpr].slice(0, count).map((v) => v.toString(16)).join(" ");
      r.examples.push(
        `${c.bits}: ${c.row.syntax} [${hex(c.bytes)}]: ${out.join(", ")}; ` +
          `flags ${before.flags.toString(16)} regs ${regs}`,
      );
    }
  }
}

/** Every row of the general registers in both modes. */
export function compareAll(
  o: OracleOptions,
  match = /^/,
  each: (r: RowResult) => void = () => {},
  modes: readonly (32 | 64)[] = [32, 64],
): RowResult[] {
  const oracle = new Oracle(), results: RowResult[] = [];
  if (!oracle.strict) {
    console.log(
      "oracle: this host leaves other values in undefined flags; only defined ones count",
    );
  }
  try {
    for (const bits of modes) {
      for (const row of opcodeTable) {
        if (!isIntegerRow(row) || !match.test(row.name)) continue;
        if (bits === 32 ? !row.valid.bits32 : !row.valid.bits64) continue;
        const r = oracle.row(row, bits, o);
        results.push(r);
        each(r);
      }
    }
  } finally {
    oracle.close();
  }
  return results;
}

/** Options of the command line. */
interface Asked {
  readonly pattern: string;
  readonly options: OracleOptions;
  readonly modes: readonly (32 | 64)[];
  readonly parts: ReadonlySet<string>;
  readonly coverage: boolean;
}

function asked(): Asked {
  const words = Deno.args.filter((a) => a !== "--");
  const value = (name: string) =>
    words.find((w) => w.startsWith(`--${name}=`))?.slice(name.length + 3);
  const coverage = words.includes("--coverage");
  const plain = words.filter((w) => !w.startsWith("--"));
  const [pattern = ".*", rounds = coverage ? "4" : "60", seed = "1", encodings] = plain;
  const bits = value("bits");
  const everything = pattern === ".*" ? "integer,vectors,vex" : "integer";
  return {
    pattern,
    options: {
      alignment: words.includes("--ac"),
      rounds: Number(rounds),
      seed: Number(seed),
      encodings: Number(encodings ?? (coverage ? 1 : 6)),
    },
    modes: bits === undefined ? [32, 64] : [bits === "32" ? 32 : 64],
    parts: new Set((value("only") ?? (coverage ? "integer,vectors" : everything)).split(",")),
    coverage,
  };
}

function main(): void {
  const why = whyNoNative();
  if (why !== undefined) {
    console.log(`oracle: ${why}`);
    Deno.exit(1);
  }
  const { pattern, options: o, modes, parts, coverage } = asked();
  const done = new Set<TableRow>();
  let bad = 0;
  if (parts.has("integer")) {
    const results = compareAll(
      o,
      new RegExp(`^(${pattern})$`),
      (r) => r.examples.forEach((e) => console.log(e)),
      modes,
    );
    for (const bits of modes) {
      const some = results.filter((r) => r.bits === bits);
      const sum = (f: (r: RowResult) => number) => some.reduce((n, r) => n + f(r), 0);
      console.log(
        `general registers, ${bits}-bit mode: ${
          some.filter((r) => r.encodings > 0).length
        } of ${some.length} rows, ${sum((r) => r.coveredForms)} of ${sum((r) => r.forms)} forms, ${
          sum((r) => r.encodings)
        } encodings, ${sum((r) => r.cases)} cases (${sum((r) => r.faults)} with an exception), ${
          sum((r) => r.differences)
        } differences`,
      );
      bad += sum((r) => r.differences);
    }
    for (const r of results) if (r.encodings > 0) done.add(r.row);
  }
  if (parts.has("vectors")) {
    const t = compareVectors(o.rounds, o.seed, console.log, modes);
    bad += t.differences;
    console.log(
      `x87, MMX, SSE and AVX: ${t.rows.size} rows, ${t.forms} forms, ${t.cases} cases of MMX, SSE ` +
        `and AVX, ${t.x87} of x87, ${t.differences} differences`,
    );
    for (const row of t.rows) done.add(row);
  }
  if (parts.has("vex")) {
    const vex = compareVex({ every: 1, seed: o.seed });
    for (const d of vex.differences.slice(0, 20)) console.log(d);
    bad += vex.differences.length;
    console.log(
      `VEX decoding: ${vex.cases} encodings, ${vex.valid} of them exist, ` +
        `${vex.differences.length} differences`,
    );
  }
  if (coverage) { for (const bits of modes) for (const l of describe(bits, done)) console.log(l); }
  if (bad > 0) Deno.exit(1);
}

if (import.meta.main) main();
