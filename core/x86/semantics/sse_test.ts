import { assertEquals } from "@std/assert";
import { DATA, SimdBed } from "../../../tests/oracle/simd_bed.ts";
import * as S from "../state.ts";
import { Vec } from "../state.ts";

const CR0 = 0x31n, CR0_EM = 4n, CR0_TS = 8n;
const OSFXSR = 0x200n, OSXMMEXCPT = 0x400n;
const EBX = 3;

const ADDPS = [0x0f, 0x58, 0xc1];
const PADDB_MM = [0x0f, 0xfc, 0xc1];
const EMMS = [0x0f, 0x77];
const MOVQ2DQ = [0xf3, 0x0f, 0xd6, 0xc1];
const CRC32 = [0xf2, 0x0f, 0x38, 0xf1, 0xc1];

Deno.test("CR0 and CR4 decide over SSE and MMX", () => {
  const vectors = (cr0: bigint, cr4: bigint) => {
    const bed = new SimdBed();
    bed.vcpu.setSregs({ cr0: CR0 | cr0, cr4 });
    return [ADDPS, PADDB_MM, EMMS, MOVQ2DQ, CRC32].map((i) => bed.run(...i));
  };
  const none = undefined, { UD, NM } = Vec;
  assertEquals(vectors(0n, OSFXSR), [none, none, none, none, none]);
  assertEquals(vectors(0n, 0n), [UD, none, none, UD, none]);
  assertEquals(vectors(CR0_TS, OSFXSR), [NM, NM, NM, NM, none]);
  assertEquals(vectors(CR0_EM, OSFXSR), [UD, UD, UD, UD, none]);
  assertEquals(vectors(CR0_EM | CR0_TS, OSFXSR), [UD, UD, UD, UD, none]);
});

Deno.test("a pending x87 exception is raised by MMX and not by SSE", () => {
  const bed = new SimdBed();
  bed.cpu.set32(S.FSW, 0x8081);
  assertEquals(bed.run(...PADDB_MM), Vec.MF);
  assertEquals(bed.run(...MOVQ2DQ), Vec.MF);
  assertEquals(bed.run(...EMMS), Vec.MF);
  assertEquals(bed.run(...ADDPS), undefined);
  // CVTPI2PD, from a register and from memory
  bed.cpu.setReg32(EBX, DATA);
  assertEquals(bed.run(0x66, 0x0f, 0x2a, 0xc1), Vec.MF);
  assertEquals(bed.run(0x66, 0x0f, 0x2a, 0x03), undefined);
});

Deno.test("MMX writes set the exponent and enter the MMX state, EMMS leaves it", () => {
  const bed = new SimdBed();
  bed.cpu.set32(S.FTOP, 5);
  bed.cpu.set32(S.FEMPTY, 0xff);
  bed.cpu.set64(S.FPR + 8, 0n);
  assertEquals(bed.run(...PADDB_MM), undefined);
  assertEquals([bed.cpu.get32(S.FTOP), bed.cpu.get32(S.FEMPTY)], [0, 0]);
  assertEquals(bed.cpu.view.getUint16(S.FPR + 8, true), 0xffff);
  bed.cpu.set32(S.FTOP, 3);
  bed.run(...EMMS);
  assertEquals([bed.cpu.get32(S.FTOP), bed.cpu.get32(S.FEMPTY)], [0, 0xff]);
});

Deno.test("aligned operands", () => {
  const bed = new SimdBed();
  const at = (offset: number, ...insn: number[]) => {
    bed.cpu.setReg32(EBX, DATA + offset);
    return bed.run(...insn);
  };
  for (
    const aligned of [
      [0x0f, 0x28, 0x03], // MOVAPS xmm0, [ebx]
      [0x66, 0x0f, 0x7f, 0x03], // MOVDQA [ebx], xmm0
      [0x0f, 0x2b, 0x03], // MOVNTPS
      [0x66, 0x0f, 0x38, 0x2a, 0x03], // MOVNTDQA
      [0x0f, 0x58, 0x03], // ADDPS
      [0x66, 0x0f, 0xd1, 0x03], // PSRLW
      [0x66, 0x0f, 0x70, 0x03, 0x1b], // PSHUFD
    ]
  ) {
    assertEquals(at(8, ...aligned), Vec.GP);
    assertEquals(bed.cpu.get32(S.EXC_ERROR), 0);
    assertEquals(at(16, ...aligned), undefined);
  }
  for (
    const unaligned of [
      [0x0f, 0x10, 0x03], // MOVUPS
      [0xf3, 0x0f, 0x7f, 0x03], // MOVDQU [ebx], xmm0
      [0xf2, 0x0f, 0xf0, 0x03], // LDDQU
      [0xf2, 0x0f, 0x58, 0x03], // ADDSD
      [0x66, 0x0f, 0x3a, 0x63, 0x03, 0x00], // PCMPISTRI
    ]
  ) assertEquals(at(3, ...unaligned), undefined);
});

Deno.test("MXCSR: reserved bits, and #XM or #UD for an unmasked exception", () => {
  const bed = new SimdBed();
  const ldmxcsr = (v: number) => {
    new DataView(bed.ram.buffer).setUint32(bed.ram.byteOffset + DATA, v, true);
    bed.cpu.setReg32(EBX, DATA);
    return bed.run(0x0f, 0xae, 0x13);
  };
  assertEquals(ldmxcsr(0x1_0000), Vec.GP);
  assertEquals(ldmxcsr(0xffff), undefined);
  assertEquals(bed.cpu.get32(S.MXCSR), 0xffff);
  const DIVSD = [0xf2, 0x0f, 0x5e, 0xc1];
  const divide = () => {
    ldmxcsr(0x1f80 & ~0x200);
    bed.setXmm(0, 0x3ff0000000000000n, 7n);
    bed.setXmm(1, 0n, 0n);
    const vector = bed.run(...DIVSD);
    return [vector, bed.cpu.get32(S.MXCSR), bed.xmm(0)[0]];
  };
  assertEquals(divide(), [Vec.XM, 0x1d84, 0x3ff0000000000000n]);
  bed.vcpu.setSregs({ cr4: OSFXSR });
  assertEquals(divide(), [Vec.UD, 0x1d84, 0x3ff0000000000000n]);
  bed.vcpu.setSregs({ cr4: OSFXSR | OSXMMEXCPT });
  assertEquals(divide(), [Vec.XM, 0x1d84, 0x3ff0000000000000n]);
});

Deno.test("EXTRQ and INSERTQ: length in bits 5:0, index in bits 13:8", () => {
  const bed = new SimdBed();
  bed.setXmm(0, 0x0123456789abcdefn, 0x55n);
  bed.run(0x66, 0x0f, 0x78, 0xc0, 16, 8);
  assertEquals(bed.xmm(0)[0], 0xabcdn);
  bed.setXmm(0, 0x0123456789abcdefn, 0x55n);
  bed.setXmm(1, 0x0420n, 0n);
  bed.run(0x66, 0x0f, 0x79, 0xc1);
  assertEquals(bed.xmm(0)[0], 0x789abcden);
  bed.setXmm(0, 0xffffffffffffffffn, 0x55n);
  bed.setXmm(1, 0x0123456789abcdefn, 0n);
  bed.run(0xf2, 0x0f, 0x78, 0xc1, 12, 20);
  assertEquals(bed.xmm(0)[0], 0xffffffffdeffffffn);
  bed.setXmm(1, 0x0123456789abcdefn, 0x0408n);
  bed.run(0xf2, 0x0f, 0x79, 0xc1);
  assertEquals(bed.xmm(0)[0], 0xffffffffdefffeffn);
});

// ---- SHA, which few processors have: digests of one block, by the schedule of Intel's SHA extensions paper.

/** The padded block of a short message as sixteen big-endian words. */
function block(message: string): number[] {
  const bytes = new Uint8Array(64), text = new TextEncoder().encode(message);
  bytes.set(text);
  bytes[text.length] = 0x80;
  new DataView(bytes.buffer).setUint32(60, text.length * 8);
  return Array.from({ length: 16 }, (_, n) => new DataView(bytes.buffer).getUint32(4 * n));
}

/** Sets a vector from its words, highest first, and reads it. */
function setWords(bed: SimdBed, n: number, w: readonly number[]): void {
  const pair = (hi: number, lo: number) => BigInt(hi >>> 0) << 32n | BigInt(lo >>> 0);
  bed.setXmm(n, pair(w[2], w[3]), pair(w[0], w[1]));
}
function words(bed: SimdBed, n: number): number[] {
  const [lo, hi] = bed.xmm(n);
  return [hi >> 32n, hi, lo >> 32n, lo].map((v) => Number(BigInt.asUintN(32, v)));
}

const hex = (w: readonly number[]): string =>
  w.map((v) => (v >>> 0).toString(16).padStart(8, "0")).join("");

async function digest(algorithm: string, message: string): Promise<string> {
  const d = await crypto.subtle.digest(algorithm, new TextEncoder().encode(message));
  return [...new Uint8Array(d)].map((b) => b.toString(16).padStart(2, "0")).join("");
}

Deno.test("SHA-1 by SHA1RNDS4, SHA1NEXTE, SHA1MSG1 and SHA1MSG2", async () => {
  const bed = new SimdBed();
  const start = [0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0];
  const message = "The quick brown fox jumps over the lazy dog";
  const w = block(message);
  const schedule = [0, 4, 8, 12].map((n) => w.slice(n, n + 4));
  // XMM0: A to D. XMM1: the E of this group. XMM2: words.
  setWords(bed, 0, start);
  let abcd = words(bed, 0);
  for (let n = 0; n < 20; n++) {
    if (n >= 4) {
      setWords(bed, 3, schedule[n - 4]);
      setWords(bed, 4, schedule[n - 3]);
      bed.run(0x0f, 0x38, 0xc9, 0xdc); // SHA1MSG1 xmm3, xmm4
      setWords(bed, 4, schedule[n - 2]);
      bed.run(0x0f, 0xef, 0xc0); // PXOR mm0, mm0: leaves XMM registers alone
      bed.run(0x66, 0x0f, 0xef, 0xdc); // PXOR xmm3, xmm4
      setWords(bed, 4, schedule[n - 1]);
      bed.run(0x0f, 0x38, 0xca, 0xdc); // SHA1MSG2 xmm3, xmm4
      schedule.push(words(bed, 3));
    }
    setWords(bed, 2, schedule[n]);
    if (n === 0) {
      setWords(bed, 1, [start[4], 0, 0, 0]);
      bed.run(0x66, 0x0f, 0xfe, 0xca); // PADDD xmm1, xmm2
    } else {
      setWords(bed, 1, abcd);
      bed.run(0x0f, 0x38, 0xc8, 0xca); // SHA1NEXTE xmm1, xmm2
    }
    abcd = words(bed, 0);
    bed.run(0x0f, 0x3a, 0xcc, 0xc1, Math.floor(n / 5)); // SHA1RNDS4 xmm0, xmm1
  }
  setWords(bed, 1, abcd);
  setWords(bed, 2, [0, 0, 0, 0]);
  bed.run(0x0f, 0x38, 0xc8, 0xca);
  const state = [...words(bed, 0), words(bed, 1)[0]].map((v, n) => v + start[n]);
  assertEquals(hex(state), await digest("SHA-1", message));
});

Deno.test("SHA-256 by SHA256RNDS2, SHA256MSG1 and SHA256MSG2", async () => {
  const bed = new SimdBed();
  const message = "The quick brown fox jumps over the lazy dog.";
  const primes: number[] = [];
  for (let n = 2; primes.length < 64; n++) if (primes.every((p) => n % p)) primes.push(n);
  const fraction = (v: number) => Math.floor((v - Math.floor(v)) * 2 ** 32);
  const start = primes.slice(0, 8).map((p) => fraction(Math.sqrt(p)));
  const k = primes.map((p) => fraction(Math.cbrt(p)));
  // Words of a vector are in ascending order from the low end.
  const w = block(message);
  const up = (v: readonly number[]) => [v[3], v[2], v[1], v[0]];
  const schedule = [0, 4, 8, 12].map((n) => w.slice(n, n + 4));
  const [a, b, c, d, e, f, g, h] = start;
  let state = [[a, b, e, f], [c, d, g, h]];
  for (let n = 0; n < 16; n++) {
    if (n >= 4) {
      setWords(bed, 3, up(schedule[n - 4]));
      setWords(bed, 4, up(schedule[n - 3]));
      bed.run(0x0f, 0x38, 0xcc, 0xdc); // SHA256MSG1 xmm3, xmm4
      setWords(bed, 4, up([...schedule[n - 2].slice(1), schedule[n - 1][0]]));
      bed.run(0x66, 0x0f, 0xfe, 0xdc); // PADDD xmm3, xmm4
      setWords(bed, 4, up(schedule[n - 1]));
      bed.run(0x0f, 0x38, 0xcd, 0xdc); // SHA256MSG2 xmm3, xmm4
      schedule.push(up(words(bed, 3)));
    }
    for (const half of [0, 2]) {
      const wk = [0, 1].map((i) => schedule[n][half + i] + k[4 * n + half + i]);
      setWords(bed, 0, [0, 0, wk[1], wk[0]]);
      setWords(bed, 1, state[1]);
      setWords(bed, 2, state[0]);
      bed.run(0x0f, 0x38, 0xcb, 0xca); // SHA256RNDS2 xmm1, xmm2, <XMM0>
      state = [words(bed, 1), state[0]];
    }
  }
  const [abef, cdgh] = state;
  const end = [abef[0], abef[1], cdgh[0], cdgh[1], abef[2], abef[3], cdgh[2], cdgh[3]];
  assertEquals(hex(end.map((v, n) => v + start[n])), await digest("SHA-256", message));
});
