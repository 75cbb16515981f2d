import { assertEquals } from "@std/assert";
import { DATA, SimdBed } from "../../../tests/oracle/simd_bed.ts";
import * as S from "../state.ts";
import { Vec } from "../state.ts";
import { multiply } from "./lib_sse_crypto.ts";

const CR0 = 0x31n, CR0_TS = 8n, CR0_EM = 4n;
const OSFXSR = 0x200n, OSXSAVE = 0x40000n;
const EBX = 3, ESI = 6, EDI = 7;

const ADDPS = [0x0f, 0x58, 0xc1];
const VADDPS = [0xc5, 0xf4, 0x58, 0xc2]; // ymm0, ymm1, ymm2
const VADDPS_128 = [0xc5, 0xf0, 0x58, 0xc2];
const VAESENC = [0xc4, 0xe2, 0x71, 0xdc, 0xc2];
const ANDN = [0xc4, 0xe2, 0x70, 0xf2, 0xc2];
const VZEROUPPER = [0xc5, 0xf8, 0x77];
const VLDMXCSR = [0xc5, 0xf8, 0xae, 0x13]; // [ebx]

function lane(bed: SimdBed, n: number, l: number): [bigint, bigint] {
  const at = S.XMM + S.XMM_SIZE * n + 16 * l;
  return [bed.cpu.get64(at), bed.cpu.get64(at + 8)];
}
function setLane(bed: SimdBed, n: number, l: number, lo: bigint, hi: bigint): void {
  const at = S.XMM + S.XMM_SIZE * n + 16 * l;
  bed.cpu.set64(at, lo);
  bed.cpu.set64(at + 8, hi);
}
const dwords = (a: number, b: number) => BigInt(b >>> 0) << 32n | BigInt(a >>> 0);

Deno.test("CR0, CR4 and XCR0 decide over AVX; CR4.OSFXSR and CR0.EM do not", () => {
  const vectors = (cr0: bigint, cr4: bigint, xcr0: bigint) => {
    const bed = new SimdBed();
    bed.cpu.set64(S.XCR0, xcr0);
    bed.vcpu.setSregs({ cr0: CR0 | cr0, cr4 });
    bed.cpu.setReg32(EBX, DATA);
    return [VADDPS, VADDPS_128, VAESENC, VZEROUPPER, VLDMXCSR, ANDN].map((i) => bed.run(...i));
  };
  const none = undefined, { UD, NM } = Vec;
  const all = (v: number | undefined) => [v, v, v, v, v, none];
  assertEquals(vectors(0n, OSFXSR | OSXSAVE, 7n), all(none));
  assertEquals(vectors(CR0_EM, OSXSAVE, 7n), all(none));
  assertEquals(vectors(0n, OSFXSR, 7n), all(UD));
  assertEquals(vectors(0n, OSXSAVE, 3n), all(UD));
  assertEquals(vectors(0n, OSXSAVE, 5n), all(UD));
  assertEquals(vectors(CR0_TS, OSXSAVE, 7n), all(NM));
  assertEquals(vectors(CR0_TS, OSXSAVE, 1n), all(UD));
});

Deno.test("VEX does not exist in real and virtual-8086 mode", () => {
  const bed = new SimdBed();
  bed.vcpu.setSregs({ cr0: 0x30n });
  assertEquals(bed.run(...VADDPS), Vec.UD);
  assertEquals(bed.run(...ANDN), Vec.UD);
});

Deno.test("legacy SSE keeps bits 255:128, VEX.128 clears them, VZEROUPPER stops at the last register", () => {
  const bed = new SimdBed(32);
  setLane(bed, 0, 1, 5n, 6n);
  setLane(bed, 8, 1, 7n, 8n);
  bed.run(...ADDPS);
  assertEquals(lane(bed, 0, 1), [5n, 6n]);
  bed.run(...VADDPS_128);
  assertEquals(lane(bed, 0, 1), [0n, 0n]);
  bed.run(...VZEROUPPER);
  assertEquals(lane(bed, 8, 1), [7n, 8n], "32-bit mode has eight registers");
  const long = new SimdBed(64);
  setLane(long, 8, 1, 7n, 8n);
  long.run(...VZEROUPPER);
  assertEquals(lane(long, 8, 1), [0n, 0n]);
});

Deno.test("only moves that say so need alignment, to the width of the operand", () => {
  const bed = new SimdBed();
  const at = (offset: number, ...insn: number[]) => {
    bed.cpu.setReg32(EBX, DATA + offset);
    return bed.run(...insn);
  };
  for (const op of [0x28, 0x29, 0x2b]) {
    assertEquals(at(16, 0xc5, 0xf8, op, 0x03), undefined);
    assertEquals(at(8, 0xc5, 0xf8, op, 0x03), Vec.GP);
    assertEquals(at(32, 0xc5, 0xfc, op, 0x03), undefined);
    assertEquals(at(16, 0xc5, 0xfc, op, 0x03), Vec.GP);
  }
  assertEquals(at(1, 0xc5, 0xf4, 0x58, 0x03), undefined);
  assertEquals(at(1, 0xc4, 0xe2, 0x7d, 0x2a, 0x03), Vec.GP, "VMOVNTDQA");
});

/** A bed whose data segment ends `bytes` behind DATA. */
function limited(bytes: number): SimdBed {
  const bed = new SimdBed();
  const ds = bed.vcpu.getSregs().ds;
  bed.vcpu.setSregs({ ds: { ...ds, limit: DATA + bytes - 1, g: 0 } });
  bed.cpu.setReg32(EBX, DATA);
  return bed;
}

Deno.test("masked moves do not touch elements left out, and store nothing before a fault", () => {
  const bed = limited(20);
  for (let i = 0; i < 32; i++) bed.ram[DATA + i] = i;
  setLane(bed, 1, 0, dwords(0x80000000, 0), dwords(-1, 0x7fffffff));
  setLane(bed, 1, 1, dwords(0x80000000, 0), 0n);
  // VMASKMOVPS ymm0, ymm1, [ebx]
  assertEquals(bed.run(0xc4, 0xe2, 0x75, 0x2c, 0x03), undefined);
  assertEquals([...lane(bed, 0, 0), ...lane(bed, 0, 1)], [
    0x03020100n,
    0x0b0a0908n,
    0x13121110n,
    0n,
  ]);
  assertEquals(bed.run(0xc5, 0xfc, 0x10, 0x03), Vec.GP, "a whole load is beyond the limit");
  setLane(bed, 0, 0, -1n, -1n);
  setLane(bed, 0, 1, -1n, -1n);
  // VMASKMOVPS [ebx], ymm1, ymm0
  assertEquals(bed.run(0xc4, 0xe2, 0x75, 0x2e, 0x03), undefined);
  const memory = () => [...bed.ram.subarray(DATA, DATA + 20)].map((b) => b === 0xff);
  const expected = Array.from({ length: 20 }, (_, i) => [0, 2, 4].includes(i >> 2));
  assertEquals(memory(), expected);
  setLane(bed, 1, 0, dwords(0, -1), 0n);
  setLane(bed, 1, 1, dwords(0, -1), 0n);
  assertEquals(bed.run(0xc4, 0xe2, 0x75, 0x2e, 0x03), Vec.GP);
  assertEquals(bed.run(0xc4, 0xe2, 0x75, 0x2c, 0x03), Vec.GP);
  assertEquals(memory(), expected);
});

Deno.test("a gather keeps what it has loaded when it faults, and goes on from there", () => {
  const bed = limited(16);
  for (let i = 0; i < 64; i++) bed.ram[DATA + i] = i;
  // Indices 3, 1, 4, 2: the third is beyond the limit.
  setLane(bed, 2, 0, dwords(3, 1), dwords(4, 2));
  setLane(bed, 0, 0, 0x1111111122222222n, 0x3333333344444444n);
  setLane(bed, 1, 0, -1n, dwords(0x80000000, 0x90000001));
  setLane(bed, 1, 1, 5n, 6n);
  // VPGATHERDD xmm0, [ebx + xmm2 * 4], xmm1
  const gather = [0xc4, 0xe2, 0x71, 0x90, 0x04, 0x93];
  assertEquals(bed.run(...gather), Vec.GP);
  assertEquals(lane(bed, 0, 0), [0x070605040f0e0d0cn, 0x3333333344444444n]);
  // The upper halves are cleared and the mask is made whole even so.
  assertEquals([...lane(bed, 1, 0), ...lane(bed, 1, 1)], [0n, 0xffffffffffffffffn, 0n, 0n]);
  bed.vcpu.setSregs({ ds: { ...bed.vcpu.getSregs().ds, limit: 0xffffffff, g: 1 } });
  // What is done is not loaded again.
  bed.ram.fill(0, DATA, DATA + 8);
  assertEquals(bed.run(...gather), undefined);
  assertEquals(lane(bed, 0, 0), [0x070605040f0e0d0cn, 0x0b0a090813121110n]);
  assertEquals([...lane(bed, 1, 0), ...lane(bed, 1, 1), ...lane(bed, 0, 1)], [
    0n,
    0n,
    0n,
    0n,
    0n,
    0n,
  ]);
});

Deno.test("a fifth register is that of the instruction", () => {
  const bed = new SimdBed();
  for (let i = 0; i < 64; i++) bed.ram[DATA + i] = i;
  setLane(bed, 3, 0, -1n, -1n);
  bed.cpu.setReg32(EBX, DATA);
  bed.cpu.setReg32(ESI, 1);
  bed.cpu.setReg32(EDI, 2);
  // VBLENDVPS xmm0, xmm1, [ebx + esi * 8], xmm3; the same with edi
  bed.run(0xc4, 0xe3, 0x71, 0x4a, 0x04, 0xf3, 0x30);
  assertEquals(lane(bed, 0, 0)[0], 0x0f0e0d0c0b0a0908n);
  bed.run(0xc4, 0xe3, 0x71, 0x4a, 0x04, 0xfb, 0x30);
  assertEquals(lane(bed, 0, 0)[0], 0x1716151413121110n);
});

const hash = (n: number) => BigInt.asUintN(64, BigInt(n + 1) * 0x9e3779b97f4a7c15n);

Deno.test("256-bit AES, PCLMULQDQ and GFNI work on each lane as the 128-bit forms do", () => {
  const wide: [number[], number[]][] = [
    [[0xc4, 0xe2, 0x75, 0xdc, 0xc2], [0x66, 0x0f, 0x38, 0xdc, 0xc2]],
    [[0xc4, 0xe2, 0x75, 0xdf, 0xc2], [0x66, 0x0f, 0x38, 0xdf, 0xc2]],
    [[0xc4, 0xe3, 0x75, 0x44, 0xc2, 0x10], [0x66, 0x0f, 0x3a, 0x44, 0xc2, 0x10]],
    [[0xc4, 0xe2, 0x75, 0xcf, 0xc2], [0x66, 0x0f, 0x38, 0xcf, 0xc2]],
    [[0xc4, 0xe3, 0xf5, 0xce, 0xc2, 0x9a], [0x66, 0x0f, 0x3a, 0xce, 0xc2, 0x9a]],
    [[0xc4, 0xe3, 0xf5, 0xcf, 0xc2, 0x9a], [0x66, 0x0f, 0x3a, 0xcf, 0xc2, 0x9a]],
  ];
  const bed = new SimdBed();
  for (const [vex, legacy] of wide) {
    for (let l = 0; l < 2; l++) {
      for (const n of [1, 2]) setLane(bed, n, l, hash(4 * l + n), hash(4 * l + n + 2));
    }
    assertEquals(bed.run(...vex), undefined);
    const ours = [lane(bed, 0, 0), lane(bed, 0, 1)];
    const apart = [0, 1].map((l) => {
      setLane(bed, 0, 0, ...lane(bed, 1, l));
      setLane(bed, 2, 0, ...lane(bed, 2, l));
      assertEquals(bed.run(...legacy), undefined);
      return lane(bed, 0, 0);
    });
    assertEquals(ours, apart, vex.map((b) => b.toString(16)).join(" "));
  }
});

Deno.test("GFNI: products, and the AES S-box as an affine transformation of inverses", () => {
  const bed = new SimdBed();
  for (let a = 0; a < 256; a += 5) {
    setLane(bed, 0, 0, BigInt(a) * 0x0101010101010101n, 0n);
    setLane(bed, 1, 0, 0x01020310305380ffn, 0n);
    bed.run(0x66, 0x0f, 0x38, 0xcf, 0xc1);
    const bytes = [0xff, 0x80, 0x53, 0x30, 0x10, 3, 2, 1].map((b) => BigInt(multiply(a, b)));
    assertEquals(lane(bed, 0, 0)[0], bytes.reduceRight((v, b) => v << 8n | b));
  }
  for (let n = 0; n < 16; n++) {
    const x = BigInt(16 * n) * 0x0101010101010101n;
    const [lo, hi] = [x + 0x0706050403020100n, x + 0x0f0e0d0c0b0a0908n];
    setLane(bed, 0, 0, lo, hi);
    setLane(bed, 1, 0, 0xf1e3c78f1f3e7cf8n, 0xf1e3c78f1f3e7cf8n);
    bed.run(0x66, 0x0f, 0x3a, 0xcf, 0xc1, 0x63);
    const box = lane(bed, 0, 0);
    // AESENCLAST moves rows before: PSHUFB puts them back.
    setLane(bed, 2, 0, lo, hi);
    setLane(bed, 3, 0, 0n, 0n);
    bed.run(0x66, 0x0f, 0x38, 0xdd, 0xd3);
    setLane(bed, 4, 0, 0x0b0e0104070a0d00n, 0x0306090c0f020508n);
    bed.run(0x66, 0x0f, 0x38, 0x00, 0xd4);
    assertEquals(box, lane(bed, 2, 0));
  }
});

Deno.test("a region of AVX instructions computes what single handlers do", () => {
  const loop = [
    [0xc5, 0xfd, 0xfe, 0xc1], // vpaddd ymm0, ymm0, ymm1
    [0xc4, 0xe2, 0x6d, 0x36, 0xd0], // vpermd ymm2, ymm2, ymm0
    [0xc4, 0xe2, 0x75, 0x47, 0xda], // vpsllvd ymm3, ymm1, ymm2
    [0xc5, 0xfe, 0x7f, 0x1b], // vmovdqu [ebx], ymm3
    [0xc4, 0xe2, 0x6d, 0x8c, 0x63, 0x04], // vpmaskmovd ymm4, ymm2, [ebx+4]
    [0xc4, 0xe2, 0x7d, 0x8e, 0x63, 0x20], // vpmaskmovd [ebx+32], ymm0, ymm4
    [0xc5, 0xd5, 0x76, 0xed], // vpcmpeqd ymm5, ymm5, ymm5
    [0xc4, 0xe2, 0x55, 0x90, 0x34, 0xbb], // vpgatherdd ymm6, [ebx+ymm7*4], ymm5
    [0xc4, 0xe3, 0x6d, 0x4c, 0x04, 0x33, 0x60], // vpblendvb ymm0, ymm2, [ebx+esi], ymm6
    [0xc5, 0xf1, 0x73, 0xd1, 0x05], // vpsrlq xmm1, xmm1, 5
    [0xc5, 0xf5, 0xef, 0xc8], // vpxor ymm1, ymm1, ymm0
    [0xc5, 0xfd, 0xd7, 0xc1], // vpmovmskb eax, ymm1
    [0xc5, 0xf9, 0x6e, 0xc8], // vmovd xmm1, eax
  ].flat();
  const outcome = (regions: boolean) => {
    const bed = new SimdBed(32), at = 0x20000;
    bed.vm.regions = regions;
    for (let n = 0; n < 8; n++) {
      for (const l of [0, 1]) setLane(bed, n, l, hash(2 * n + l), hash(2 * n + l + 40));
    }
    for (const l of [0, 1]) setLane(bed, 7, l, dwords(l, 3), dwords(7 - l, 2));
    for (let n = 0; n < 96; n++) bed.ram[DATA + n] = n * 41;
    const back = -(loop.length + 7);
    const code = [...loop, 0x49, 0x0f, 0x85, back & 255, back >> 8 & 255, 0xff, 0xff, 0xf4];
    bed.ram.set(code, at);
    bed.cpu.rip = BigInt(at);
    bed.cpu.setReg32(1, 5000);
    bed.cpu.setReg32(EBX, DATA);
    bed.cpu.setReg32(ESI, 9);
    bed.vcpu.mpState = "runnable";
    for (let n = 0; n < 100000 && bed.cpu.reg32(1) !== 0; n++) bed.vcpu.run(997);
    assertEquals(bed.cpu.reg32(1), 0);
    const registers = [0, 1, 2, 3, 4, 5, 6, 7].map((n) => [lane(bed, n, 0), lane(bed, n, 1)]);
    return {
      regions: bed.vm.cache.stats.regions,
      registers,
      data: [...bed.ram.subarray(DATA, DATA + 96)],
    };
  };
  const plain = outcome(false), staged = outcome(true);
  assertEquals(plain.regions, 0);
  assertEquals(staged.regions > 0, true, "a region was made");
  assertEquals({ ...staged, regions: 0 }, plain);
});
