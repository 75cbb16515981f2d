/**
 * Instructions met before, by their bytes: the same few thousand encodings make up most code, and each
 * is decoded and given its handler once.
 */
import type { DecodedInsn } from "../x86/decoder.ts";
import type { RelOperand } from "../x86/insn.ts";
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
}

const BUCKET_BITS = 13;
/** Templates in a bucket. */
const DEPTH = 4;
/** An entry: mode, length (0: empty), and the instruction's bytes, zero behind its end. */
const WORDS = 8;

/** What of word n belongs to an instruction of so many bytes. */
const masks = Int32Array.from({ length: 64 }, (_, k) => {
  const bytes = (k >> 2) - 4 * (k & 3);
  return bytes <= 0 ? 0 : bytes >= 4 ? -1 : (1 << (8 * bytes)) - 1;
});

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
      const w = n * WORDS, m = e[w + 1] << 2;
      if (e[w] !== mode || e[w + 2] !== (first & masks[m])) continue;
      if (e[w + 3] !== (view.getInt32(at + 4, true) & masks[m + 1])) continue;
      if (m > 32) {
        if (e[w + 4] !== (view.getInt32(at + 8, true) & masks[m + 2])) continue;
        if (e[w + 5] !== (view.getInt32(at + 12, true) & masks[m + 3])) continue;
      }
      return this.#templates[n];
    }
    return undefined;
  }

  clear(): void {
    this.#entries.fill(0);
    this.#templates.fill(undefined);
  }

  /** Remembers the instruction at `at`. */
  add(view: DataView, at: number, t: Template): void {
    const { length } = t.insn, known = this.#known[t.mode & 3], m = length << 2;
    const first = view.getInt32(at, true);
    if (length === 1) { for (let b = 0; b < 256; b++) known[(first & 0xff) | (b << 8)] = 1; }
    else known[first & 0xffff] = Math.min(length, 3);
    const bucket = this.#bucket(first, t.mode), e = this.#entries;
    let n = 0;
    while (n < DEPTH && e[(bucket + n) * WORDS + 1] !== 0) n++;
    if (n === DEPTH) n = this.#victim++ % DEPTH;
    const w = (bucket + n) * WORDS;
    e[w] = t.mode;
    e[w + 1] = length;
    for (let k = 0; k < 4; k++) e[w + 2 + k] = view.getInt32(at + 4 * k, true) & masks[m + k];
    this.#templates[bucket + n] = t;
  }
}
