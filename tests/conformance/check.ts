/**
 * What a check of the conformance set is, and the line that its kernel prints for it on port E9h: the
 * check's number, then, all in hexadecimal, vector, error code, the saved IP's distance from the marked
 * instruction, CS, SS, SP and flags of the frame, CR2, the frame's address, and the check's notes.
 */

/** A check that ran to its end: INT 30h. */
export const END = 0x30;
/** Where the kernels are loaded; names of QEMU's `-cpu max` that some checks need. */
export const LOAD = 0x100000;

/** What a check expects; fields that are not given are not compared. */
export interface Expect {
  readonly vector: number;
  readonly error?: number;
  readonly cr2?: bigint;
  readonly cs?: number;
  readonly ss?: number;
  readonly sp?: bigint;
  /** Mask and value. */
  readonly flags?: readonly [number, number];
  /** Address of the frame, where the error code or IP is. */
  readonly frame?: bigint;
  readonly notes?: readonly bigint[];
}

export interface Check {
  readonly name: string;
  /** Intel SDM: volume and section. */
  readonly sdm: string;
  readonly expect: Expect;
  /** The instruction that the saved IP must be at was marked. */
  marked: boolean;
  /** A CPUID feature, by QEMU's name, that the check is about. */
  readonly needs?: string;
}

type Value = number | bigint;
const wide = (v: Value) => BigInt.asUintN(64, BigInt(v));

/** Nothing stops it; its notes. */
export const done = (...notes: Value[]): Expect => ({ vector: END, notes: notes.map(wide) });
export const fault = (vector: number, error = 0, ...notes: Value[]): Expect => ({
  vector,
  error,
  notes: notes.map(wide),
});
export const pageFault = (error: number, cr2: Value, ...notes: Value[]): Expect => ({
  ...fault(Vec.PF, error, ...notes),
  cr2: wide(cr2),
});
/** The note of an attempt that raised an exception; one that did not notes 0. */
export const noted = (vector: number, error = 0): bigint =>
  1n << 63n | BigInt(vector) << 32n | BigInt(error);

export const Vec = {
  DE: 0,
  DB: 1,
  NMI: 2,
  BP: 3,
  OF: 4,
  BR: 5,
  UD: 6,
  NM: 7,
  DF: 8,
  TS: 10,
  NP: 11,
  SS: 12,
  GP: 13,
  PF: 14,
  MF: 16,
  AC: 17,
  MC: 18,
  XM: 19,
} as const;
/** Vectors that push an error code. */
export const WITH_ERROR: ReadonlySet<number> = new Set([8, 10, 11, 12, 13, 14, 17, 21]);

/** Page-fault error code. SDM volume 3, 4.7. */
export const Pf = { P: 1, W: 2, U: 4, RSVD: 8, I: 16, PK: 32 } as const;

/** A line that a kernel printed. */
export interface Outcome {
  readonly index: number;
  readonly vector: number;
  readonly error: number;
  readonly distance: bigint;
  readonly cs: number;
  readonly ss: number;
  readonly sp: bigint;
  readonly flags: number;
  readonly cr2: bigint;
  readonly frame: bigint;
  readonly notes: readonly bigint[];
}

export function parseLine(line: string): Outcome | undefined {
  if (!/^([0-9a-f]+ ?){10,}$/.test(line)) return undefined;
  const v = line.trim().split(" ").map((x) => BigInt(`0x${x}`));
  return {
    index: Number(v[0]),
    vector: Number(v[1]),
    error: Number(v[2] & 0xffffffffn),
    distance: BigInt.asIntN(64, v[3]),
    cs: Number(v[4]),
    ss: Number(v[5]),
    sp: v[6],
    flags: Number(v[7] & 0xffffffffn),
    cr2: v[8],
    frame: v[9],
    notes: v.slice(10),
  };
}

const hex = (v: number | bigint) => v.toString(16);
const names = new Map<number, string>(Object.entries(Vec).map(([n, v]) => [v, `#${n}`]));

function event(vector: number, error: number): string {
  if (vector === END) return "end";
  return `${names.get(vector) ?? `INT ${hex(vector)}h`}${
    WITH_ERROR.has(vector) ? `(${hex(error)})` : ""
  }`;
}

/** How the outcome differs from what is expected; empty when it does not. */
export function differences(c: Check, o: Outcome): string {
  const e = c.expect, out: string[] = [];
  if (o.vector !== e.vector || (e.error !== undefined && o.error !== e.error)) {
    out.push(`${event(o.vector, o.error)} not ${event(e.vector, e.error ?? 0)}`);
  } else if (c.marked && o.vector !== END && o.distance !== 0n) out.push(`IP off by ${o.distance}`);
  const note = (name: string, ours: number | bigint, expected: number | bigint | undefined) => {
    if (expected !== undefined && ours !== expected) {
      out.push(`${name} ${hex(ours)} not ${hex(expected)}`);
    }
  };
  note("CR2", o.cr2, e.cr2);
  note("CS", o.cs, e.cs);
  note("SS", o.ss, e.ss);
  note("SP", o.sp, e.sp);
  note("frame at", o.frame, e.frame);
  if (e.flags !== undefined) note("flags", (o.flags & e.flags[0]) >>> 0, e.flags[1] >>> 0);
  const show = (n: readonly bigint[]) => `[${n.map(hex).join(" ")}]`;
  if (e.notes !== undefined && show(e.notes) !== show(o.notes)) {
    out.push(`notes ${show(o.notes)} not ${show(e.notes)}`);
  }
  return out.join(", ");
}
