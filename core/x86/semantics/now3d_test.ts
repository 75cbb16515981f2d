/** 3DNow! by the examples and definitions of AMD's manuals. */
import * as o from "../../../firmware/asm/operand.ts";
import { assertEquals } from "../../std/assert.ts";
import { At, LongBed } from "../long_bed.ts";
import * as S from "../state.ts";

const bed = new LongBed();
const MM0 = S.FPR, SRC = At.DATA;

/** MM0 after `0F 0F /r op` with MM0 and a source in memory. */
function run(op: number, dst: bigint, src: bigint): bigint {
  bed.reset();
  bed.view.setBigUint64(SRC, src, true);
  bed.view.setBigUint64(SRC + 8, dst, true);
  const s = bed.start((a) => {
    a.i.mov(o.rdi, SRC);
    a.db(0x0f, 0x6f, 0x47, 8); // MOVQ MM0, [RDI+8]
    a.db(0x0f, 0x0f, 0x07, op); // op MM0, [RDI]
    a.i.hlt();
  });
  assertEquals(s.vector, -1);
  assertEquals(bed.cpu.get32(S.FEMPTY), 0, "all registers are in use");
  return bed.cpu.get64(MM0);
}

function floats(...v: [number, number]): bigint {
  return new BigUint64Array(Float32Array.from(v).buffer)[0];
}
function words(...v: number[]): bigint {
  return new BigUint64Array(Int16Array.from(v).buffer)[0];
}
function dwords(...v: number[]): bigint {
  return new BigUint64Array(Int32Array.from(v).buffer)[0];
}

Deno.test("3DNow! arithmetic and comparisons", () => {
  const a = floats(3, -0.5), b = floats(1.25, 8);
  assertEquals(run(0x9e, a, b), floats(4.25, 7.5), "PFADD");
  assertEquals(run(0x9a, a, b), floats(1.75, -8.5), "PFSUB");
  assertEquals(run(0xaa, a, b), floats(-1.75, 8.5), "PFSUBR");
  assertEquals(run(0xb4, a, b), floats(3.75, -4), "PFMUL");
  assertEquals(run(0x94, a, b), floats(1.25, -0.5), "PFMIN");
  assertEquals(run(0xa4, a, b), floats(3, 8), "PFMAX");
  assertEquals(run(0xb0, a, floats(3, 1)), dwords(-1, 0), "PFCMPEQ");
  assertEquals(run(0x90, a, floats(3, 1)), dwords(-1, 0), "PFCMPGE");
  assertEquals(run(0xa0, a, floats(2, -1)), dwords(-1, -1), "PFCMPGT");
  assertEquals(run(0xae, a, b), floats(2.5, 9.25), "PFACC");
  assertEquals(run(0x8a, a, b), floats(3.5, -6.75), "PFNACC");
  assertEquals(run(0x8e, a, b), floats(3.5, 9.25), "PFPNACC");
});

Deno.test("3DNow! conversions saturate and truncate", () => {
  assertEquals(run(0x0d, 0n, dwords(-7, 1 << 24)), floats(-7, 1 << 24), "PI2FD");
  assertEquals(run(0x1d, 0n, floats(-2.75, 3e9)), dwords(-2, 0x7fffffff), "PF2ID");
  assertEquals(run(0x0c, 0n, words(-3, 99, 5, 99)), floats(-3, 5), "PI2FW");
  assertEquals(run(0x1c, 0n, floats(-40000, 12.9)), dwords(-32768, 12), "PF2IW");
});

Deno.test("3DNow! reciprocals, and the integer operations", () => {
  assertEquals(run(0x96, 0n, floats(4, 9)), floats(0.25, 0.25), "PFRCP");
  assertEquals(run(0x97, 0n, floats(16, 9)), floats(0.25, 0.25), "PFRSQRT");
  assertEquals(run(0x97, 0n, floats(-16, 9)), floats(-0.25, -0.25), "PFRSQRT keeps the sign");
  assertEquals(run(0xb7, words(0x4000, -1, 300, 7), words(6, 1, 300, 0)), words(2, 0, 1, 0));
  assertEquals(run(0xbf, 0x00ff_0102_0304_0506n, 0x01ff_0202_0204_0507n), 0x01ff_0202_0304_0507n);
  assertEquals(run(0xbb, 0n, dwords(1, 2)), dwords(2, 1), "PSWAPD");
});

Deno.test("FEMMS leaves all registers empty", () => {
  bed.reset();
  bed.start((a) => {
    a.db(0x0f, 0xef, 0xc0, 0x0f, 0x0e); // PXOR MM0, MM0; FEMMS
    a.i.hlt();
  });
  assertEquals(bed.cpu.get32(S.FEMPTY), 0xff);
});
