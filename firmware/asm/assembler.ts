/**
 * A small x86 assembler for 16-, 32- and 64-bit code: instructions from {@link table}, labels,
 * data, alignment. Jumps take their short form when the target is near enough. Where x86 has several
 * encodings of one instruction it chooses as NASM does; the tests compare the two.
 */
import { encode, type Encoded, EncodeError } from "./encode.ts";
import type { Operand, Sym } from "./operand.ts";
import { table } from "./table.ts";

type Cond =
  | ("o" | "no" | "b" | "c" | "nae" | "ae" | "nb" | "nc" | "z" | "e" | "nz" | "ne" | "be" | "na")
  | ("a" | "nbe" | "s" | "ns" | "p" | "pe" | "np" | "po" | "l" | "nge" | "ge" | "nl" | "le")
  | ("ng" | "g" | "nle");

/** Every instruction the assembler knows, prefixes included. */
export type Mnemonic =
  | ("add" | "or" | "adc" | "sbb" | "and" | "sub" | "xor" | "cmp" | "mov" | "test" | "xchg" | "lea")
  | ("movzx" | "movsx" | "movsxd" | "inc" | "dec" | "not" | "neg" | "mul" | "imul" | "div" | "idiv")
  | ("rol" | "ror" | "rcl" | "rcr" | "shl" | "shr" | "sal" | "sar" | "shld" | "shrd" | "bt" | "bts")
  | ("btr" | "btc" | "bsf" | "bsr" | "bswap" | "cmpxchg" | "xadd" | "cmpxchg8b")
  | `j${Cond}`
  | `set${Cond}`
  | `cmov${Cond}`
  | ("jmp" | "call" | "jmpf" | "callf" | "ret" | "retf" | "retfw" | "retfd" | "iret" | "iretw")
  | (
    | "iretd"
    | "iretq"
    | "loop"
    | "loope"
    | "loopne"
    | "jcxz"
    | "jecxz"
    | "push"
    | "pushw"
    | "pushd"
  )
  | ("pop" | "pushaw" | "pushad" | "popaw" | "popad" | "pushf" | "pushfw" | "pushfd" | "pushfq")
  | ("popf" | "popfw" | "popfd" | "popfq" | "enter" | "leave" | "int" | "in" | "out")
  | `${"movs" | "cmps" | "stos" | "lods" | "scas"}${"b" | "w" | "d" | "q"}`
  | `${"ins" | "outs"}${"b" | "w" | "d"}`
  | ("cbw" | "cwde" | "cdqe" | "cwd" | "cdq" | "cqo" | "nop" | "pause" | "hlt" | "cmc" | "clc")
  | ("stc" | "cli" | "sti" | "cld" | "std" | "lahf" | "sahf" | "xlatb" | "int3" | "into" | "daa")
  | ("das" | "aaa" | "aas" | "salc" | "cpuid" | "rdtsc" | "rdtscp" | "rdmsr" | "wrmsr" | "rdpmc")
  | ("invd" | "wbinvd" | "clts" | "ud2" | "rsm" | "sysenter" | "sysexit" | "syscall" | "sysret")
  | ("swapgs" | "monitor" | "mwait" | "vmcall" | "mfence" | "lfence" | "sfence" | "fninit")
  | ("fnclex" | "fwait" | "emms" | "lock" | "rep" | "repe" | "repne" | "aam" | "aad" | "lgdt")
  | ("lidt" | "sgdt" | "sidt" | "lgdtd" | "lidtd" | "lmsw" | "smsw" | "invlpg" | "sldt" | "str")
  | ("lldt" | "ltr" | "verr" | "verw" | "lar" | "lsl" | "arpl" | "bound" | "les" | "lds" | "lss")
  | ("lfs" | "lgs" | "fxsave" | "fxrstor" | "fnstcw" | "fldcw" | "fnstsw" | "fild" | "fistp");

/** One function per mnemonic: `i.mov(ax, 1)`. */
export type Instructions = { readonly [M in Mnemonic]: (...operands: Operand[]) => void };

/** Code size. */
export type Bits = 16 | 32 | 64;

type Item =
  | {
    kind: "ins";
    name: string;
    operands: Operand[];
    bits: Bits;
    long: boolean;
    /** Its bytes, once known, when no operand has a symbol. */
    fixed: Uint8Array | undefined;
  }
  | { kind: "bytes"; bytes: Uint8Array }
  | { kind: "data"; size: 2 | 4 | 8; value: Sym }
  | { kind: "label"; name: string }
  | { kind: "align"; to: number; fill: number }
  | { kind: "org"; address: number };

/** What {@link Assembler.assemble} gives. */
export interface Assembled {
  /** The image; its first byte is at the assembler's origin. */
  readonly bytes: Uint8Array;
  /** Every label's address. */
  readonly labels: ReadonlyMap<string, number>;
}

/** True when an operand's value depends on where labels are. */
function symbolic(o: Operand): boolean {
  if (typeof o === "string") return true;
  if (typeof o !== "object" || "num" in o) return false;
  return o.kind !== "mem" || typeof o.disp !== "number";
}

const ascii = (text: string) => Uint8Array.from(text, (c) => c.charCodeAt(0));

export class Assembler {
  readonly i: Instructions;
  #items: Item[] = [];
  #bits: Bits;
  #unique = 0;

  /**
   * @param bits code size to begin with
   * @param origin address of the first byte; 16-bit code uses the low 16 bits of addresses
   * @param fill byte for the gaps that {@link org} leaves
   */
  constructor(bits: Bits, readonly origin = 0, readonly fill = 0) {
    this.#bits = bits;
    const i: Record<string, (...operands: Operand[]) => void> = {};
    for (const name of Object.keys(table)) {
      i[name] = (...operands) => {
        this.#items.push({
          kind: "ins",
          name,
          operands,
          bits: this.#bits,
          long: false,
          fixed: undefined,
        });
      };
    }
    this.i = i as Instructions;
  }

  /** Code that follows is for this code size. */
  bits(bits: Bits): void {
    this.#bits = bits;
  }

  label(name: string): void {
    this.#items.push({ kind: "label", name });
  }

  /** A label name used nowhere else. */
  unique(stem: string): string {
    return `${stem}.${this.#unique++}`;
  }

  /** Bytes: numbers, and text in code page 437's ASCII part. */
  db(...values: (number | string | Uint8Array)[]): void {
    for (const v of values) {
      const bytes = typeof v === "number"
        ? Uint8Array.of(v)
        : typeof v === "string"
        ? ascii(v)
        : v.slice();
      this.#items.push({ kind: "bytes", bytes });
    }
  }
  dw(...values: (number | string | Sym)[]): void {
    this.#data(2, values);
  }
  dd(...values: (number | string | Sym)[]): void {
    this.#data(4, values);
  }
  dq(...values: (number | bigint | string | Sym)[]): void {
    this.#data(8, values);
  }
  zeros(count: number): void {
    this.#items.push({ kind: "bytes", bytes: new Uint8Array(count) });
  }
  align(to: number, fill = 0): void {
    this.#items.push({ kind: "align", to, fill });
  }
  /** Goes on at `address`; it is an error if code has already passed it. */
  org(address: number): void {
    this.#items.push({ kind: "org", address });
  }

  /** Throws {@link EncodeError} on an impossible instruction, unknown label or passed `org`. */
  assemble(): Assembled {
    let labels = new Map<string, number>();
    for (let pass = 0;; pass++) {
      const next = new Map<string, number>();
      const grown = this.#pass(labels, next, undefined, pass > 0);
      const moved = [...next].some(([k, v]) => labels.get(k) !== v);
      labels = next;
      if (!grown && !moved && pass > 0) break;
    }
    const parts: Uint8Array[] = [];
    this.#pass(labels, new Map(), parts, true);
    const bytes = new Uint8Array(parts.reduce((n, p) => n + p.length, 0));
    let at = 0;
    for (const p of parts) {
      bytes.set(p, at);
      at += p.length;
    }
    return { bytes, labels };
  }

  /** Lays everything out once; true when a short jump had to become a long one. */
  #pass(
    known: ReadonlyMap<string, number>,
    place: Map<string, number>,
    out: Uint8Array[] | undefined,
    grow: boolean,
  ): boolean {
    let at = this.origin, grown = false;
    const value = (s: Sym) => {
      const get = (name: string) => {
        const v = known.get(name);
        if (v === undefined && out !== undefined) throw new EncodeError(`unknown label ${name}`);
        return v ?? at;
      };
      const v = get(s.plus) - (s.minus === undefined ? 0 : get(s.minus)) + s.addend;
      return s.shift === 0 ? v : Math.floor(v / 2 ** s.shift);
    };
    const put = (bytes: Uint8Array) => {
      at += bytes.length;
      out?.push(bytes);
    };
    for (const item of this.#items) {
      switch (item.kind) {
        case "ins": {
          if (item.fixed !== undefined) {
            put(item.fixed);
            break;
          }
          const e: Encoded = encode(item.name, item.operands, item.bits, at, item.long, value);
          if (e.outOfRange && grow) {
            if (item.long) throw new EncodeError(`${item.name}: target out of range`);
            item.long = true;
            grown = true;
          }
          if (!item.operands.some(symbolic)) item.fixed = e.bytes;
          put(e.bytes);
          break;
        }
        case "bytes":
          put(item.bytes);
          break;
        case "data": {
          const b = new Uint8Array(8);
          new DataView(b.buffer).setBigInt64(0, BigInt(value(item.value)), true);
          put(b.subarray(0, item.size));
          break;
        }
        case "label":
          if (place.has(item.name)) throw new EncodeError(`label ${item.name} defined twice`);
          place.set(item.name, at);
          break;
        case "align":
          put(new Uint8Array((item.to - at % item.to) % item.to).fill(item.fill));
          break;
        case "org":
          if (at > item.address) {
            throw new EncodeError(
              `org 0x${item.address.toString(16)} lies behind 0x${at.toString(16)}`,
            );
          }
          put(new Uint8Array(item.address - at).fill(this.fill));
      }
    }
    return grown;
  }

  #data(size: 2 | 4 | 8, values: (number | bigint | string | Sym)[]): void {
    for (const v of values) {
      if (typeof v === "string") {
        this.#items.push({
          kind: "data",
          size,
          value: { kind: "sym", plus: v, minus: undefined, addend: 0, shift: 0 },
        });
      } else if (typeof v === "object") this.#items.push({ kind: "data", size, value: v });
      else {
        const b = new Uint8Array(8);
        new DataView(b.buffer).setBigInt64(0, BigInt(v), true);
        this.#items.push({ kind: "bytes", bytes: b.slice(0, size) });
      }
    }
  }
}
