/**
 * Instructions of cryptography that processors at hand may lack. SHA-1, SHA-256 and AES are guest
 * programs whose results must be those of `node:crypto` (FIPS 180-4, FIPS 197); each form of VAES,
 * VPCLMULQDQ and GFNI is held against its definition, written here with single bits.
 */
import { createCipheriv, createHash } from "node:crypto";
import { assert, assertEquals } from "@std/assert";
import { DATA, SimdBed } from "../../../tests/oracle/simd_bed.ts";
import type { Evex, MemOperand, Operand } from "../insn.ts";
import * as S from "../state.ts";
import { encode } from "../table/encode.ts";
import { type Random, random } from "../table/sample.ts";
import { opcodeTable } from "../table/table.ts";
import type { TableRow } from "../table/row.ts";

/** Where a program's input is, addressed by RSI; what it keeps, by RBX; and its code. */
const INPUT = 0x100000, WORK = DATA, CODE = 0x200000;
const RBX = 3, RSI = 6;
const HLT = 0xf4;

function bytes(rnd: Random, n: number): Uint8Array {
  return Uint8Array.from({ length: n }, () => rnd(256));
}
const hex = (u8: Uint8Array): string =>
  [...u8].map((b) => b.toString(16).padStart(2, "0")).join("");

const xmm = (reg: number, size: 128 | 256 | 512 = 128): Operand => ({
  kind: "xmm",
  size,
  reg,
  high: false,
});
const imm = (value: number): Operand => ({ kind: "imm", size: 8, value, valueHi: 0 });
function memory(base: number, disp: number, size: MemOperand["size"] = 128): MemOperand {
  const rest = { seg: 3, index: -1, scale: 0, dispHi: 0, rip: false, addrSize: 64 } as const;
  return { kind: "mem", size, base, disp, ...rest };
}

/** The row of an operation with vectors of `size`: its EVEX form, its VEX form, or neither. */
function rowOf(name: string, size = 128, coding: "legacy" | "vex" | "evex" = "legacy"): TableRow {
  const vector = `${size === 128 ? "x" : size === 256 ? "y" : "z"}mm1`;
  const row = opcodeTable.find((r) =>
    r.name === name && r.syntax.includes(` ${vector}`) && (r.evex !== undefined) ===
      (coding === "evex") &&
    r.vex === (coding !== "legacy")
  );
  assert(row !== undefined, `${name} ${size} ${coding}`);
  return row;
}

/** A guest program in 64-bit mode, instruction by instruction. */
class Program {
  readonly #code: number[] = [];

  /** @param spill takes sources from memory instead of registers, where it says so */
  constructor(readonly bed: SimdBed, readonly spill: () => boolean) {}

  raw(...code: number[]): void {
    this.#code.push(...code);
  }
  add(name: string, ...operands: (Operand | undefined)[]): void {
    const row = opcodeTable.find((r) =>
      r.name === name && !r.vex && r.evex === undefined && / xmm1/.test(r.syntax)
    )!;
    const source = operands[1];
    if (source?.kind === "xmm" && row.operandSpecs[1].memSizes?.[1] === 128 && this.spill()) {
      this.store(source.reg, 16 * source.reg);
      operands[1] = memory(RBX, 16 * source.reg);
    }
    this.raw(...encode({ row, bits: 64, operands }));
  }
  /** MOVDQU [rbx + disp], xmm. */
  store(reg: number, disp: number): void {
    this.raw(0xf3, ...(reg > 7 ? [0x44] : []), 0x0f, 0x7f, 0x83 | (reg & 7) << 3);
    this.raw(disp & 255, disp >> 8, 0, 0);
  }
  load(reg: number, base: number, disp: number): void {
    this.add("MOVDQU", xmm(reg), memory(base, disp));
  }
  /** Runs it to its end. */
  run(): void {
    const { bed } = this;
    bed.ram.set([...this.#code, HLT], CODE);
    bed.vm.cache.flush();
    bed.cpu.rip = BigInt(CODE);
    bed.vcpu.mpState = "runnable";
    assertEquals(bed.vcpu.run(1_000_000).reason, "hlt");
  }
  vector(n: number): Uint8Array {
    const at = S.XMM + S.XMM_SIZE * n;
    return this.bed.cpu.u8.slice(at, at + 16);
  }
}

function program(rnd: Random): Program {
  const bed = new SimdBed(64);
  bed.cpu.setReg64(RBX, BigInt(WORK));
  bed.cpu.setReg64(RSI, BigInt(INPUT));
  return new Program(bed, () => rnd(2) === 0);
}

/** A message with its padding: whole blocks of 64 bytes. FIPS 180-4, 5.1.1. */
function padded(message: Uint8Array): Uint8Array {
  const out = new Uint8Array((message.length + 8 >> 6) * 64 + 64);
  out.set(message);
  out[message.length] = 0x80;
  new DataView(out.buffer).setUint32(out.length - 4, 8 * message.length);
  return out;
}

function digestOf(
  message: Uint8Array,
  state: readonly (readonly number[])[],
  order: readonly number[],
  rnd: Random,
  block: (p: Program, at: number) => void,
  finish: (v: (n: number) => number[]) => number[],
): string {
  const p = program(rnd), input = padded(message), { ram, cpu } = p.bed;
  ram.set(input, INPUT);
  // XMM7: the order of bytes.
  cpu.u8.set(order, S.XMM + S.XMM_SIZE * 7);
  state.forEach((w, n) => w.forEach((x, k) => cpu.set32(S.XMM + S.XMM_SIZE * n + 4 * k, x | 0)));
  for (let at = 0; at < input.length; at += 64) block(p, at);
  p.run();
  const words = finish((n) => [...new Uint32Array(p.vector(n).buffer)]);
  return words.map((w) => (w >>> 0).toString(16).padStart(8, "0")).join("");
}

const SHA1 = [0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0];

/** XMM0: A to D, A highest; XMM1: E, highest. XMM2: the other E; XMM3–6: words. */
function sha1Block(p: Program, at: number): void {
  const w = (n: number) => xmm(3 + n % 4);
  p.add("MOVDQA", xmm(8), xmm(0));
  p.add("MOVDQA", xmm(9), xmm(1));
  for (let n = 0; n < 20; n++) {
    if (n < 4) {
      p.load(3 + n, RSI, at + 16 * n);
      p.add("PSHUFB", w(n), xmm(7));
    } else {
      p.add("SHA1MSG1", w(n), w(n - 3));
      p.add("PXOR", w(n), w(n - 2));
      p.add("SHA1MSG2", w(n), w(n - 1));
    }
    const e = 1 + n % 2, other = 3 - e;
    if (n === 0) p.add("PADDD", xmm(e), w(n));
    else p.add("SHA1NEXTE", xmm(e), w(n));
    p.add("MOVDQA", xmm(other), xmm(0));
    p.add("SHA1RNDS4", xmm(0), xmm(e), imm(Math.floor(n / 5)));
  }
  p.add("SHA1NEXTE", xmm(1), xmm(9));
  p.add("PADDD", xmm(0), xmm(8));
}

Deno.test("SHA-1 of random messages, computed by the guest", () => {
  const rnd = random(1), order = Array.from({ length: 16 }, (_, n) => 15 - n);
  for (const length of [0, 3, 55, 56, 64, 119, ...Array.from({ length: 6 }, () => rnd(300))]) {
    const message = bytes(rnd, length), [a, b, c, d, e] = SHA1;
    const ours = digestOf(message, [[d, c, b, a], [0, 0, 0, e]], order, rnd, sha1Block, (v) => {
      const [d, c, b, a] = v(0);
      return [a, b, c, d, v(1)[3]];
    });
    assertEquals(ours, createHash("sha1").update(message).digest("hex"), `${length} bytes`);
  }
});

const PRIMES: number[] = [];
for (let n = 2; PRIMES.length < 64; n++) if (PRIMES.every((p) => n % p)) PRIMES.push(n);
const fraction = (v: number) => Math.floor((v - Math.floor(v)) * 2 ** 32);
const SHA256 = PRIMES.slice(0, 8).map((p) => fraction(Math.sqrt(p)));
const SHA256_K = PRIMES.map((p) => fraction(Math.cbrt(p)));
/** Where the constants are, from WORK. */
const K_AT = 0x400;

/** XMM1: A B E F, A highest; XMM2: C D G H. XMM3–6: words, the first lowest. */
function sha256Block(p: Program, at: number): void {
  const w = (n: number) => xmm(3 + n % 4);
  p.add("MOVDQA", xmm(8), xmm(1));
  p.add("MOVDQA", xmm(9), xmm(2));
  for (let n = 0; n < 16; n++) {
    if (n < 4) {
      p.load(3 + n, RSI, at + 16 * n);
      p.add("PSHUFB", w(n), xmm(7));
    } else {
      p.add("MOVDQA", xmm(10), w(n - 1));
      p.add("PALIGNR", xmm(10), w(n - 2), imm(4));
      p.add("SHA256MSG1", w(n), w(n - 3));
      p.add("PADDD", w(n), xmm(10));
      p.add("SHA256MSG2", w(n), w(n - 1));
    }
    p.add("MOVDQA", xmm(0), w(n));
    p.add("PADDD", xmm(0), memory(RBX, K_AT + 16 * n));
    p.add("SHA256RNDS2", xmm(2), xmm(1), undefined);
    p.add("PSHUFD", xmm(0), xmm(0), imm(0x0e));
    p.add("SHA256RNDS2", xmm(1), xmm(2), undefined);
  }
  p.add("PADDD", xmm(1), xmm(8));
  p.add("PADDD", xmm(2), xmm(9));
}

Deno.test("SHA-256 of random messages, computed by the guest", () => {
  const rnd = random(2), order = Array.from({ length: 16 }, (_, n) => n ^ 3);
  for (const length of [0, 3, 55, 56, 64, 119, ...Array.from({ length: 6 }, () => rnd(300))]) {
    const message = bytes(rnd, length), [a, b, c, d, e, f, g, h] = SHA256;
    const state = [[0, 0, 0, 0], [f, e, b, a], [h, g, d, c]];
    const block = (p: Program, at: number) => {
      const { ram } = p.bed, v = new DataView(ram.buffer, ram.byteOffset + WORK + K_AT);
      SHA256_K.forEach((k, n) => v.setUint32(4 * n, k, true));
      sha256Block(p, at);
    };
    const ours = digestOf(message, state, order, rnd, block, (v) => {
      const [f, e, b, a] = v(1), [h, g, d, c] = v(2);
      return [a, b, c, d, e, f, g, h];
    });
    assertEquals(ours, createHash("sha256").update(message).digest("hex"), `${length} bytes`);
  }
});

/** Makes the round keys of AES-128 in XMM1–11: FIPS 197, 5.2. */
function expand128(p: Program): void {
  let rcon = 1;
  for (let n = 1; n <= 10; n++) {
    p.add("AESKEYGENASSIST", xmm(12), xmm(n), imm(rcon));
    p.add("PSHUFD", xmm(12), xmm(12), imm(0xff));
    p.add("MOVDQA", xmm(n + 1), xmm(n));
    // Each word gets those before it.
    p.add("MOVDQA", xmm(13), xmm(n));
    for (let k = 0; k < 3; k++) {
      p.raw(0x66, 0x41, 0x0f, 0x73, 0xfd, 4); // pslldq xmm13, 4
      p.add("PXOR", xmm(n + 1), xmm(13));
    }
    p.add("PXOR", xmm(n + 1), xmm(12));
    rcon = rcon << 1 ^ (rcon & 0x80 ? 0x11b : 0);
  }
}

Deno.test("AES-128 both ways, computed by the guest", () => {
  const rnd = random(3);
  for (let n = 0; n < 12; n++) {
    const key = bytes(rnd, 16), plain = bytes(rnd, 16), p = program(rnd);
    p.bed.ram.set(key, INPUT);
    p.bed.ram.set(plain, INPUT + 16);
    p.load(1, RSI, 0);
    expand128(p);
    p.load(0, RSI, 16);
    p.add("PXOR", xmm(0), xmm(1));
    for (let k = 2; k < 11; k++) p.add("AESENC", xmm(0), xmm(k));
    p.add("AESENCLAST", xmm(0), xmm(11));
    // And back, by the equivalent inverse cipher.
    p.add("MOVDQA", xmm(14), xmm(0));
    p.add("PXOR", xmm(14), xmm(11));
    for (let k = 10; k > 1; k--) {
      p.add("AESIMC", xmm(12), xmm(k));
      p.add("AESDEC", xmm(14), xmm(12));
    }
    p.add("AESDECLAST", xmm(14), xmm(1));
    p.run();
    const cipher = createCipheriv("aes-128-ecb", key, null).setAutoPadding(false);
    assertEquals(hex(p.vector(0)), cipher.update(plain, undefined, "hex"));
    assertEquals(hex(p.vector(14)), hex(plain));
  }
});

// ---- forms of several lanes

interface Form {
  readonly size: 128 | 256 | 512;
  readonly coding: "vex" | "evex";
}
const FORMS: readonly Form[] = [
  { size: 128, coding: "vex" },
  { size: 256, coding: "vex" },
  { size: 128, coding: "evex" },
  { size: 256, coding: "evex" },
  { size: 512, coding: "evex" },
];

function wideBed(): SimdBed {
  const bed = new SimdBed(64);
  bed.cpu.set64(S.XCR0, 0xe7n);
  bed.cpu.updateMode();
  bed.cpu.setReg64(RBX, BigInt(WORK));
  return bed;
}

/** Runs one form on two sources, from registers or the second from memory; gives the result. */
function wide(
  bed: SimdBed,
  rnd: Random,
  name: string,
  form: Form,
  a: Uint8Array,
  b: Uint8Array,
  value?: number,
  evex: Partial<Evex> = {},
  old = a,
): Uint8Array<ArrayBuffer> {
  const { size, coding } = form, row = rowOf(name, size, coding), { u8 } = bed.cpu;
  const high = coding === "evex" ? 31 : 15, [d, x, y] = [1 + rnd(4), 5 + rnd(4), high - rnd(3)];
  const at = (n: number) => S.XMM + S.XMM_SIZE * n;
  for (const n of [d, x, y]) u8.fill(0xee, at(n), at(n) + 64);
  u8.set(old, at(d));
  u8.set(a, at(x));
  u8.set(b, at(y));
  const fromMemory = evex.broadcast === true || rnd(2) === 0;
  bed.ram.set(b, WORK);
  const mask = { mask: 0, zeroing: false, broadcast: false, rounding: -1, sae: false, ...evex };
  const source = fromMemory ? memory(RBX, 0, evex.broadcast ? 64 : size) : xmm(y, size);
  const operands = [xmm(d, size), xmm(x, size), source];
  if (value !== undefined) operands.push(imm(value));
  const insn = encode({
    row,
    bits: 64,
    operands,
    ...coding === "evex" ? { evex: mask as Evex } : {},
  });
  assertEquals(bed.run(...insn), undefined, row.syntax);
  // What is above is cleared.
  const above = u8.subarray(at(d) + size / 8, at(d) + 64);
  assert(above.every((v) => v === 0), row.syntax);
  return new Uint8Array(u8.subarray(at(d), at(d) + size / 8));
}

Deno.test("VAES on all lanes of all forms", () => {
  const rnd = random(4), bed = wideBed(), p = program(rnd), { u8 } = bed.cpu;
  const key = bytes(rnd, 16);
  p.bed.ram.set(key, INPUT);
  p.load(1, RSI, 0);
  expand128(p);
  p.run();
  const keys = Array.from({ length: 11 }, (_, n) => p.vector(n + 1));
  const inverse = keys.map((k) => {
    u8.set(k, S.XMM + S.XMM_SIZE);
    bed.run(0x66, 0x0f, 0x38, 0xdb, 0xc1); // aesimc xmm0, xmm1
    return u8.slice(S.XMM, S.XMM + 16);
  });
  for (const form of FORMS) {
    const size = form.size / 8, plain = bytes(rnd, size);
    const all = (k: Uint8Array) => Uint8Array.from({ length: size }, (_, n) => k[n & 15]);
    let v = plain.map((x, n) => x ^ keys[0][n & 15]);
    for (let n = 1; n < 10; n++) v = wide(bed, rnd, "VAESENC", form, v, all(keys[n]));
    v = wide(bed, rnd, "VAESENCLAST", form, v, all(keys[10]));
    const cipher = createCipheriv("aes-128-ecb", key, null).setAutoPadding(false);
    assertEquals(hex(v), cipher.update(plain, undefined, "hex"));
    v = v.map((x, n) => x ^ keys[10][n & 15]);
    for (let n = 9; n > 0; n--) v = wide(bed, rnd, "VAESDEC", form, v, all(inverse[n]));
    v = wide(bed, rnd, "VAESDECLAST", form, v, all(keys[0]));
    assertEquals(hex(v), hex(plain));
  }
});

Deno.test("VPCLMULQDQ on all lanes of all forms: products of polynomials", () => {
  const rnd = random(5), bed = wideBed();
  for (const form of FORMS) {
    for (const value of [0x00, 0x01, 0x10, 0x11, 0xee]) {
      const a = bytes(rnd, form.size / 8), b = bytes(rnd, form.size / 8);
      const x = new BigUint64Array(a.buffer), y = new BigUint64Array(b.buffer);
      const expected = new BigUint64Array(form.size / 64);
      for (let l = 0; l < expected.length; l += 2) {
        const p = x[l + (value & 1)], q = y[l + (value >> 4 & 1)];
        let product = 0n;
        for (let n = 0n; n < 64n; n++) if (q >> n & 1n) product ^= p << n;
        expected.set([product & (1n << 64n) - 1n, product >> 64n], l);
      }
      const ours = wide(bed, rnd, "VPCLMULQDQ", form, a, b, value);
      assertEquals(hex(ours), hex(new Uint8Array(expected.buffer)));
    }
  }
});

/** A product in GF(2^8) modulo x^8 + x^4 + x^3 + x + 1: SDM volume 2, GF2P8MULB. */
function times(a: number, b: number): number {
  let r = 0;
  for (let n = 0; n < 8; n++) if (b >> n & 1) r ^= a << n;
  for (let n = 14; n >= 8; n--) if (r >> n & 1) r ^= 0x11b << n - 8;
  return r;
}
const INVERSE = Array.from(
  { length: 256 },
  (_, x) => Math.max(0, Array.from({ length: 256 }, (_, y) => times(x, y)).indexOf(1)),
);

/** Bit n of the result is the parity of byte 7-n of the matrix AND x, XOR bit n of `c`. */
function affine(x: number, matrix: Uint8Array, c: number): number {
  let r = 0;
  for (let n = 0; n < 8; n++) {
    let bits = matrix[7 - n] & x, parity = c >> n & 1;
    for (; bits !== 0; bits >>= 1) parity ^= bits & 1;
    r |= parity << n;
  }
  return r;
}

function galois(name: string, a: Uint8Array, b: Uint8Array, value: number): Uint8Array {
  return a.map((x, n) => {
    if (name.endsWith("MULB")) return times(x, b[n]);
    const matrix = b.subarray(n & ~7, (n & ~7) + 8);
    return affine(name.includes("INV") ? INVERSE[x] : x, matrix, value);
  });
}
const GALOIS = ["GF2P8MULB", "GF2P8AFFINEQB", "GF2P8AFFINEINVQB"] as const;

Deno.test("GFNI: the legacy forms, of every byte", () => {
  const rnd = random(6), bed = new SimdBed(64), { u8 } = bed.cpu;
  for (const name of GALOIS) {
    for (let n = 0; n < 256; n += 16) {
      const a = Uint8Array.from({ length: 16 }, (_, k) => n + k), b = bytes(rnd, 16);
      const value = rnd(256);
      u8.set(a, S.XMM + S.XMM_SIZE);
      u8.set(b, S.XMM + 2 * S.XMM_SIZE);
      const operands = [xmm(1), xmm(2), ...name.endsWith("MULB") ? [] : [imm(value)]];
      const insn = encode({ row: rowOf(name), bits: 64, operands });
      assertEquals(bed.run(...insn), undefined);
      const ours = u8.slice(S.XMM + S.XMM_SIZE, S.XMM + S.XMM_SIZE + 16);
      assertEquals(hex(ours), hex(galois(name, a, b, value)), name);
    }
  }
});

Deno.test("GFNI: VEX and EVEX forms, with masks and broadcasts", () => {
  const rnd = random(7), bed = wideBed();
  for (const form of FORMS) {
    for (const name of GALOIS) {
      for (let round = 0; round < 12; round++) {
        const n = form.size / 8, a = bytes(rnd, n), old = bytes(rnd, n), value = rnd(256);
        let b = bytes(rnd, n);
        const product = name.endsWith("MULB"), evex: { -readonly [K in keyof Evex]?: Evex[K] } = {};
        let bits = -1n;
        if (form.coding === "evex") {
          evex.mask = rnd(3) === 0 ? 0 : 1 + rnd(7);
          evex.zeroing = evex.mask !== 0 && rnd(2) === 0;
          evex.broadcast = !product && rnd(3) === 0;
          if (evex.broadcast) b = b.map((_, k) => b[k & 7]);
          const some = BigInt(rnd(2 ** 32)) << 32n | BigInt(rnd(2 ** 32));
          if (evex.mask !== 0) {
            bits = some;
            bed.cpu.set64(S.K + 8 * evex.mask, bits);
          }
        }
        const ours = wide(bed, rnd, `V${name}`, form, a, b, product ? undefined : value, evex, old);
        const expected = galois(name, a, b, value).map((v, k) =>
          bits >> BigInt(k) & 1n ? v : evex.zeroing ? 0 : old[k]
        );
        assertEquals(hex(ours), hex(expected), `${name} ${form.size} ${form.coding}`);
      }
    }
  }
});
