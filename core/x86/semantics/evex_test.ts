/** AVX-512's state and what its masks keep from faulting: facts of the SDM, volumes 1 and 2. */
import { assert, assertEquals } from "../../std/assert.ts";
import { SimdBed } from "../../../tests/oracle/simd_bed.ts";
import * as S from "../state.ts";
import { Vec } from "../state.ts";

const AREA = 0x5000, RBX = 3;
const VADDPS_ZMM = [0x62, 0xf1, 0x6c, 0x48, 0x58, 0xcb]; // vaddps zmm1, zmm2, zmm3
const KNOTW = [0xc5, 0xf8, 0x44, 0xca]; // knotw k1, k2

function bed(xcr0 = 0xe7n): SimdBed {
  const b = new SimdBed(64);
  b.cpu.set64(S.XCR0, xcr0);
  b.cpu.updateMode();
  return b;
}

const zmm = (n: number, q: number) => S.XMM + S.XMM_SIZE * n + 8 * q;

Deno.test("AVX-512 instructions need their state in XCR0, whose three bits go together", () => {
  for (const xcr0 of [7n, 3n]) {
    const b = bed(xcr0);
    assertEquals(b.run(...VADDPS_ZMM), Vec.UD);
    assertEquals(b.run(...KNOTW), Vec.UD);
  }
  const b = bed();
  assertEquals(b.run(...VADDPS_ZMM), undefined);
  assertEquals(b.run(...KNOTW), undefined);
  const xsetbv = (value: number) => {
    b.cpu.setReg32(0, value);
    b.cpu.setReg32(1, 0);
    b.cpu.setReg32(2, 0);
    return b.run(0x0f, 0x01, 0xd1);
  };
  for (const value of [0x27, 0x47, 0xe3, 0xe1]) assertEquals(xsetbv(value), Vec.GP);
});

Deno.test("XSAVE and XRSTOR: components 5 to 7 in the standard and the compacted area", () => {
  // Where they lie behind AVX: SDM volume 1, 13.4.3 and 13.5.
  const forms = [
    { save: [0x48, 0x0f, 0xae, 0x23], at: [1088, 1152, 1664] }, // xsave64 [rbx]
    { save: [0x48, 0x0f, 0xc7, 0x23], at: [832, 896, 1408] }, // xsavec64 [rbx]
  ];
  for (const { save, at } of forms) {
    const b = bed(), { cpu } = b;
    for (let n = 0; n < 32; n++) {
      for (let q = 0; q < 8; q++) cpu.set64(zmm(n, q), BigInt(1000 * n + q + 1));
    }
    for (let n = 0; n < 8; n++) cpu.set64(S.K + 8 * n, BigInt(n + 77));
    cpu.setReg64(RBX, BigInt(AREA));
    cpu.setReg32(0, 0xe7);
    cpu.setReg32(2, 0);
    b.ram.fill(0, AREA, AREA + 4096);
    assertEquals(b.run(...save), undefined);
    const view = new DataView(b.ram.buffer, b.ram.byteOffset + AREA, 4096);
    const word = (offset: number) => view.getBigUint64(offset, true);
    assertEquals(word(512) & 0xe6n, 0xe6n);
    assertEquals([word(at[0]), word(at[0] + 56)], [77n, 84n]);
    assertEquals([word(at[1]), word(at[1] + 32 * 15 + 24)], [5n, 15008n]);
    assertEquals([word(at[2]), word(at[2] + 64 * 15 + 56)], [16001n, 31008n]);
    // Back again, and to the initial values.
    for (let n = 0; n < 32; n++) cpu.set64(zmm(n, 7), 0n);
    cpu.set64(S.K, 0n);
    assertEquals(b.run(0x48, 0x0f, 0xae, 0x2b), undefined); // xrstor64 [rbx]
    assertEquals(
      [cpu.get64(S.K), cpu.get64(zmm(3, 7)), cpu.get64(zmm(30, 7))],
      [77n, 3008n, 30008n],
    );
    view.setBigUint64(512, 3n, true);
    assertEquals(b.run(0x48, 0x0f, 0xae, 0x2b), undefined);
    assertEquals(
      [cpu.get64(S.K), cpu.get64(zmm(3, 4)), cpu.get64(zmm(30, 7)), cpu.get64(zmm(3, 0))],
      [0n, 0n, 0n, 3001n],
    );
  }
});

Deno.test("elements left out do not fault, whole vectors and permutations do", () => {
  const b = bed(), { cpu } = b;
  // Memory ends at 1 GiB: the upper half of the operand is not there.
  cpu.setReg64(RBX, BigInt(0x40000000 - 32));
  const load = [0x62, 0xf1, 0x7e, 0x49, 0x6f, 0x0b]; // vmovdqu32 zmm1{k1}, [rbx]
  const store = [0x62, 0xf1, 0x7e, 0x49, 0x7f, 0x0b]; // vmovdqu32 [rbx]{k1}, zmm1
  const add = [0x62, 0xf1, 0x6d, 0x49, 0xfe, 0x0b]; // vpaddd zmm1{k1}, zmm2, [rbx]
  const permute = [0x62, 0xf2, 0x6d, 0x49, 0x36, 0x0b]; // vpermd zmm1{k1}, zmm2, [rbx]
  const expand = [0x62, 0xf2, 0x7d, 0x49, 0x89, 0x0b]; // vpexpandd zmm1{k1}, [rbx]
  const gather = [0x62, 0xf2, 0x7d, 0x49, 0x90, 0x0c, 0xa3]; // vpgatherdd zmm1{k1}, [rbx + 4 * zmm4]
  for (let q = 0; q < 8; q++) cpu.set64(zmm(4, q), BigInt(2 * q) | BigInt(2 * q + 1) << 32n);
  const run = (mask: bigint, code: number[]) => {
    cpu.set64(S.K + 8, mask);
    return b.run(...code);
  };
  for (const code of [load, store, add, gather]) {
    assertEquals(run(0xffn, code), undefined);
    assertEquals(run(0x1ffn, code), Vec.PF);
  }
  assertEquals(run(0x1n, permute), Vec.PF);
  // A part of a vector is accessed as a whole too, though nothing may be stored.
  cpu.setReg64(RBX, BigInt(0x40000000 - 8));
  assertEquals(run(0n, [0x62, 0xf3, 0x7d, 0x49, 0x39, 0x0b, 1]), Vec.PF); // vextracti32x4 [rbx]{k1}, zmm1, 1
  cpu.setReg64(RBX, BigInt(0x40000000 - 32));
  // Eight elements in memory, wherever they go.
  assertEquals(run(0xff00n, expand), undefined);
  assertEquals(run(0xff80n, expand), Vec.PF);
  // A gather keeps what it has done: the mask says how far it came.
  assertEquals(run(0x1f0n, gather), Vec.PF);
  assertEquals(cpu.get64(S.K + 8), 0x100n);
  assert(b.cpu.get64(S.CR2) >= 0x40000000n);
});
