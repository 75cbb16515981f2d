/**
 * Instructions met before, by their bytes: the same few thousand encodings make up most code, and each
 * is decoded and given its handler once. Where an instruction's displacement or immediate does nothing but
 * stand in its record, one template serves for all values.
 */
import { type DecodedInsn, layout } from "../x86/decoder.ts";
import type { RelOperand } from "../x86/insn.ts";
import { immediateMatters } from "../x86/semantics/emit.ts";
import type { Shape } from "./shapes.ts";

/** A decoded instruction that is allowed in `mode`, and what all its records have in common. */
export interface Template {
  readonly mode: number;
  readonly insn: DecodedInsn;
  /** Its branch target, if it has one. */
  readonly rel: RelOperand | undefined;
  /** Handler; of a jump, when it leaves its page and when it does not. */
  readonly shapes: [away: Shape | undefined, near: Shape | undefined];
  /** The record without handler, IP, index and target. */
  readonly words: Int32Array;
  /** What differs among the instructions it stands for: `insn` is one of them. */
  readonly fields: Fields;
}

/** The bytes that a record takes over from the instruction, so that a template need not decide them. */
export interface Fields {
  /** Bytes that decide what the instruction is: opcode with prefixes, ModRM and SIB. */
  readonly head: number;
  /** Length of the displacement, which begins behind the head. 0: there is none or it is fixed. */
  readonly displacement: number;
  /** Where the immediate or branch distance is, and its length; 0: there is none or it is fixed. */
  readonly at: number;
  readonly immediate: number;
  /** Its highest bit is extended. */
  readonly signed: boolean;
}

/** The fields of the instruction just decoded, whose handler is `shape`. */
export function fieldsOf(i: DecodedInsn, shape: Shape): Fields {
  const { displacement: head, immediate: at, signed } = layout;
  const fixed: Fields = { head, displacement: 0, at, immediate: 0, signed };
  const { row } = i, bytes = i.length - at;
  if (shape.helps || row.vex || row.evex !== undefined || immediateMatters(row.name)) return fixed;
  let displacement = 0, immediate = 0;
  for (const o of i.operands) {
    if (o.kind === "mem") {
      const absolute = o.base < 0 && o.index < 0 && !o.rip;
      // A displacement of 0 has handlers of its own; one without ModRM is left alone.
      if (o.addrSize === 16 || (at === head ? absolute : o.disp === 0)) return fixed;
      displacement = at - head;
    } else if (o.kind === "imm" || o.kind === "rel") {
      if (immediate !== 0 || (bytes !== 1 && bytes !== 2 && bytes !== 4)) return fixed;
      immediate = bytes;
    } else if (o.kind === "far") return fixed;
  }
  if (immediate === 0 && bytes !== 0) return fixed;
  return {
    head,
    displacement,
    at,
    immediate,
    signed: signed || i.operands.some((o) => o.kind === "rel"),
  };
}

const BUCKET_BITS = 13;
/** Templates in a bucket. */
const DEPTH = 4;
/** An entry: mode, length (0: empty), and four words of bytes and as many of what decides in them. */
const WORDS = 10;

export class Templates {
  readonly #entries = new Int32Array((DEPTH * WORDS) << BUCKET_BITS);
  readonly #templates: (Template | undefined)[] = Array(DEPTH << BUCKET_BITS).fill(undefined);
  /** By code size and first two bytes: 1 or 2 when these decide the whole instruction, else 3. */
  readonly #known = [0, 1, 2].map(() => new Uint8Array(65536));
  #victim = 0;

  #bucket(first: number, mode: number): number {
    const known = this.#known[mode & 3][first & 0xffff];
    const key = known === 1 ? first & 0xff : known === 2 ? first & 0xffff : first & 0xffffff;
    const h = Math.imul(key ^ Math.imul(mode, 0x85ebca6b), 0x9e3779b1);
    return (h >>> (32 - BUCKET_BITS)) * DEPTH;
  }

  /** The instruction of `mode` that begins at `at`; 16 bytes from there can be read. */
  find(view: DataView, at: number, mode: number): Template | undefined {
    const e = this.#entries, first = view.getInt32(at, true);
    const bucket = this.#bucket(first, mode);
    for (let n = bucket; n < bucket + DEPTH; n++) {
      const w = n * WORDS;
      if (e[w] !== mode || e[w + 2] !== (first & e[w + 6])) continue;
      if (e[w + 3] !== (view.getInt32(at + 4, true) & e[w + 7])) continue;
      if (e[w + 1] > 8) {
        if (e[w + 4] !== (view.getInt32(at + 8, true) & e[w + 8])) continue;
        if (e[w + 5] !== (view.getInt32(at + 12, true) & e[w + 9])) continue;
      }
      const t = this.#templates[n]!, { displacement, head } = t.fields;
      if (displacement !== 0 && number(view, at + head, displacement, true) === 0) continue;
      return t;
    }
    return undefined;
  }

  clear(): void {
    this.#entries.fill(0);
    this.#templates.fill(undefined);
  }

  /** Remembers the instruction at `at`. */
  add(view: DataView, at: number, t: Template): void {
    const { length } = t.insn, { head, displacement, at: from, immediate } = t.fields;
    const known = this.#known[t.mode & 3], first = view.getInt32(at, true);
    if (head === 1) { for (let b = 0; b < 256; b++) known[(first & 0xff) | (b << 8)] = 1; }
    else known[first & 0xffff] = Math.min(head, 3);
    const bucket = this.#bucket(first, t.mode), e = this.#entries;
    let n = 0;
    while (n < DEPTH && e[(bucket + n) * WORDS + 1] !== 0) n++;
    if (n === DEPTH) n = this.#victim++ % DEPTH;
    const w = (bucket + n) * WORDS;
    e[w] = t.mode;
    e[w + 1] = length;
    const open = (k: number) =>
      (k >= head && k < head + displacement) || (k >= from && k < from + immediate);
    for (let k = 0; k < 4; k++) {
      let mask = 0;
      for (let b = 4 * k; b < 4 * k + 4 && b < length; b++) {
        if (!open(b)) mask |= 0xff << (8 * (b & 3));
      }
      e[w + 2 + k] = view.getInt32(at + 4 * k, true) & mask;
      e[w + 6 + k] = mask;
    }
    this.#templates[bucket + n] = t;
  }
}

/** A number of 1, 2 or 4 bytes. */
export function number(view: DataView, at: number, bytes: number, signed: boolean): number {
  if (bytes === 1) return signed ? view.getInt8(at) : view.getUint8(at);
  if (bytes === 4) return view.getInt32(at, true);
  return signed ? view.getInt16(at, true) : view.getUint16(at, true);
}
