import { assert, assertEquals } from "@std/assert";
import type { FpuErrorLine } from "../../accel.ts";
import { ext, X87Bed } from "../../../tests/oracle/x87_bed.ts";
import { st } from "../helpers/x87.ts";
import * as S from "../state.ts";
import { Vec } from "../state.ts";

const CODE = 0x6000, DATA = 0x80000;

/** Runs a program that ends in HLT, in the bed's mode; EDX points at DATA. */
function run(bed: X87Bed, ...program: number[][]): void {
  bed.ram.set([...program.flat(), 0xf4], CODE);
  bed.vm.cache.flush();
  bed.vm.current = undefined;
  bed.vcpu.mpState = "runnable";
  bed.vcpu.setRegs({ rip: BigInt(CODE) });
  assertEquals(bed.vcpu.run(1000).reason, "hlt");
}
/** The vector raised by the last of several instructions, each run on its own. */
function steps(bed: X87Bed, ...list: number[][]): number | undefined {
  let vector: number | undefined;
  for (const bytes of list) {
    assertEquals(vector, undefined);
    bed.prepare(bytes);
    vector = bed.step();
  }
  return vector;
}
const st0 = (bed: X87Bed, i = 0) => {
  const v = st(bed.cpu, i);
  return ext(v.h, v.l);
};
const data = (bed: X87Bed) => new DataView(bed.ram.buffer, bed.ram.byteOffset + DATA, 1024);

const FNINIT = [0xdb, 0xe3], FLD1 = [0xd9, 0xe8], FLDZ = [0xd9, 0xee], FLDPI = [0xd9, 0xeb];
const FADD_SELF = [0xdc, 0xc0], FDIVP = [0xde, 0xf9], FSQRT = [0xd9, 0xfa], FWAIT = [0x9b];
const FLDCW = [0xd9, 0x2a], FNSTENV = [0xd9, 0x32], FLDENV = [0xd9, 0x22], FPREM = [0xd9, 0xf8];
const FXSAVE = [0x0f, 0xae, 0x02], FXRSTOR = [0x0f, 0xae, 0x0a], FNCLEX = [0xdb, 0xe2];

Deno.test("x87: results known from elsewhere", () => {
  const bed = new X87Bed();
  // 1 / (1 + 1 + 1) needs 64 bits: AAAAAAAAAAAAAAAB with the last bit rounded up.
  run(bed, FNINIT, FLD1, FLD1, FADD_SELF, [0xd8, 0xc1], [0xd8, 0xf9]);
  assertEquals(st0(bed), "3ffd:aaaaaaaaaaaaaaab");
  assertEquals(bed.cpu.get32(S.FSW) & 0x23f, 0x220);
  run(bed, FNINIT, FLD1, FADD_SELF, FSQRT);
  assertEquals(st0(bed), "3fff:b504f333f9de6484");
  run(bed, FNINIT, FLDPI);
  assertEquals(st0(bed), "4000:c90fdaa22168c235");
  // With precision control 53 bits the same root is the double's.
  data(bed).setUint16(0, 0x27f, true);
  run(bed, FNINIT, FLDCW, FLD1, FADD_SELF, FSQRT);
  assertEquals(st0(bed), "3fff:b504f333f9de6800");
});

Deno.test("x87: FPREM leaves the quotient's low bits in C0, C3 and C1", () => {
  const bed = new X87Bed();
  data(bed).setInt16(0, 47, true);
  data(bed).setInt16(2, 10, true);
  // 47 = 4 × 10 + 7: bits 100.
  run(bed, FNINIT, [0xdf, 0x42, 2], [0xdf, 0x02], FPREM, [0xdf, 0x5a, 4]);
  assertEquals(data(bed).getInt16(4, true), 7);
  assertEquals(bed.cpu.get32(S.FSW) & 0x4700, 0x100);
});

Deno.test("x87: packed decimal", () => {
  const bed = new X87Bed();
  data(bed).setBigInt64(0, -123456789012345678n, true);
  run(bed, FNINIT, [0xdf, 0x2a], [0xdf, 0x72, 16], [0xdf, 0x62, 16], [0xdf, 0x7a, 32]);
  assertEquals(data(bed).getBigUint64(16, true), 0x3456789012345678n);
  assertEquals(data(bed).getUint16(24, true), 0x8012);
  assertEquals(data(bed).getBigInt64(32, true), -123456789012345678n);
});

Deno.test("x87: an unmasked exception waits for the next waiting instruction", () => {
  const bed = new X87Bed();
  data(bed).setUint16(0, 0x37b, true);
  assertEquals(steps(bed, FNINIT, FLDCW, FLD1, FLDZ, FDIVP), undefined);
  // The divide is suppressed: both operands are still there.
  assertEquals(st0(bed), "0000:0000000000000000");
  assertEquals(st0(bed, 1), "3fff:8000000000000000");
  assertEquals(bed.cpu.get32(S.FSW) & 0x8084, 0x8084);
  assertEquals(steps(bed, FNSTENV.with(1, 0x72).concat(16)), undefined);
  // FOP is the opcode without its five upper bits: DE F9.
  assertEquals(data(bed).getUint32(16 + 16, true) >>> 16, 0x6f9);
  data(bed).setUint16(0, 0x37b, true);
  // FNSTENV has masked everything; unmasked again, the exception is there again.
  assertEquals(steps(bed, FLDCW, FWAIT), Vec.MF);
  assertEquals(steps(bed, FLD1), Vec.MF);
  assertEquals(steps(bed, FNCLEX, FLD1), undefined);
});

Deno.test("x87: without CR0.NE the error goes out on FERR#", () => {
  const bed = new X87Bed();
  const calls: string[] = [];
  let ignne = false;
  const fpuError: FpuErrorLine = {
    raise: () => (calls.push("raise"), ignne),
    clear: () => void calls.push("clear"),
  };
  bed.vm.fpuError = fpuError;
  bed.vcpu.setSregs({ cr0: 0x11n });
  data(bed).setUint16(0, 0x37b, true);
  assertEquals(steps(bed, FNINIT, FLDCW, FLD1, FLDZ, FDIVP), undefined);
  assertEquals(calls, []);
  // The processor stops at the waiting instruction and offers to take an interrupt there.
  bed.ram.set([...FLD1, 0xf4], CODE);
  bed.vm.current = undefined;
  bed.vcpu.mpState = "runnable";
  bed.vcpu.setRegs({ rip: BigInt(CODE) });
  assertEquals(bed.vcpu.run(50).reason, "interrupted");
  assertEquals(bed.cpu.rip, BigInt(CODE));
  assert(calls.length > 0 && calls.every((c) => c === "raise"));
  ignne = true;
  assertEquals(bed.vcpu.run(50).reason, "hlt");
  assertEquals(st0(bed), "3fff:8000000000000000");
  calls.length = 0;
  assertEquals(steps(bed, FNCLEX), undefined);
  assertEquals(calls, ["clear"]);
});

Deno.test("x87: #NM follows CR0.EM, TS and MP", () => {
  const bed = new X87Bed();
  const vectors = (cr0: bigint) => {
    bed.vcpu.setSregs({ cr0 });
    return [FLD1, FNINIT, FWAIT, FXSAVE].map((i) => steps(bed, i));
  };
  assertEquals(vectors(0x31n), [undefined, undefined, undefined, undefined]);
  assertEquals(vectors(0x35n), [Vec.NM, Vec.NM, undefined, Vec.NM]);
  assertEquals(vectors(0x39n), [Vec.NM, Vec.NM, undefined, Vec.NM]);
  assertEquals(vectors(0x3bn), [Vec.NM, Vec.NM, Vec.NM, Vec.NM]);
  assertEquals(vectors(0x33n), [undefined, undefined, undefined, undefined]);
});

Deno.test("x87: the environment's layouts", () => {
  const bed = new X87Bed();
  const at = CODE + FNINIT.length + FLD1.length;
  // FADD m64 at DATA, then both environments.
  const program = [FNINIT, FLD1, [0xdc, 0x02], FNSTENV.with(1, 0x72).concat(32), [
    0x66,
    0xd9,
    0x72,
    64,
  ]];
  data(bed).setFloat64(0, 1, true);
  run(bed, ...program);
  const wide = () => Array.from({ length: 7 }, (_, n) => data(bed).getUint32(32 + 4 * n, true));
  const narrow = () => Array.from({ length: 7 }, (_, n) => data(bed).getUint16(64 + 2 * n, true));
  const tags = 0x3fff;
  assertEquals(wide(), [0xffff037f, 0xffff3800, 0xffff3fff, at, 8, DATA, 0xffff0010]);
  assertEquals(narrow(), [0x37f, 0x3800, tags, at, 8, DATA & 0xffff, 0x10]);

  // Real mode: linear addresses and the opcode in two pieces. CS = 600h, DS = 8000h.
  const real = new X87Bed();
  const seg = (selector: number, type: number) => ({
    base: BigInt(selector * 16),
    limit: 0xffff,
    s: 1,
    dpl: 0,
    present: 1,
    avl: 0,
    l: 0,
    db: 0,
    g: 0,
    unusable: 0,
    selector,
    type,
  });
  real.vcpu.setSregs({ cr0: 0x30n, cs: seg(0x600, 3), ds: seg(0x8000, 3), ss: seg(0x7000, 3) });
  real.vcpu.setRegs({ rbx: 0x100n });
  data(real).setFloat64(0x100, 1, true);
  real.ram.set([
    ...[0xdb, 0xe3], // fninit
    ...[0xd9, 0xe8], // fld1
    ...[0xdc, 0x07], // fadd qword [bx]
    ...[0xd9, 0x36, 0x40, 0], // fnstenv [40h]
    ...[0x66, 0xd9, 0x36, 0x20, 0], // 32-bit fnstenv [20h]
    0xf4,
  ], 0x6000);
  real.vcpu.setRegs({ rip: 0n });
  real.vm.current = undefined;
  assertEquals(real.vcpu.run(100).reason, "hlt");
  const words = Array.from({ length: 7 }, (_, n) => data(real).getUint16(0x40 + 2 * n, true));
  assertEquals(words, [0x37f, 0x3800, tags, 0x6004, 0, 0x0100, 0x8000]);
  const dwords = Array.from({ length: 7 }, (_, n) => data(real).getUint32(0x20 + 4 * n, true));
  assertEquals(dwords.slice(3).map((v) => v & 0xffff), [0x6004, 0, 0x0100, 0x8000]);
  assertEquals([dwords[4], dwords[6]], [0, 0x8000]);
});

Deno.test("x87: FLDENV takes back what FNSTENV stored", () => {
  const bed = new X87Bed();
  run(bed, FNINIT, FLD1, FLDPI, FNSTENV, FNINIT, FLDENV);
  assertEquals(bed.cpu.get32(S.FTOP), 6);
  assertEquals(bed.cpu.get32(S.FEMPTY), 0x3f);
  assertEquals(st0(bed), "4000:c90fdaa22168c235");
});

Deno.test("FXSAVE and FXRSTOR: layout, alignment, MXCSR", () => {
  const bed = new X87Bed(), d = data(bed);
  for (let i = 0; i < 512; i += 4) d.setUint32(i, 0xaaaaaaaa, true);
  for (let n = 0; n < 16; n++) bed.cpu.set64(S.XMM + S.XMM_SIZE * n, BigInt(n + 1));
  run(bed, FNINIT, FLD1, FLDPI, FXSAVE);
  assertEquals(d.getUint16(0, true), 0x37f);
  assertEquals(d.getUint16(2, true), 0x3000);
  assertEquals(d.getUint16(4, true), 0xc0);
  assertEquals(d.getUint32(8, true), CODE + 4);
  assertEquals(d.getUint32(12, true), 8);
  assertEquals(d.getUint32(24, true), 0x1f80);
  assertEquals(d.getUint32(28, true), 0xffff);
  assertEquals(d.getBigUint64(32, true), 0xc90fdaa22168c235n);
  assertEquals(d.getBigUint64(40, true), 0x4000n);
  assertEquals(d.getBigUint64(160 + 16 * 7, true), 8n);
  // Outside 64-bit mode XMM8 and up are not there.
  assertEquals(d.getUint32(160 + 16 * 8, true), 0xaaaaaaaa);
  d.setBigUint64(160 + 16 * 3, 99n, true);
  run(bed, FNINIT, FXRSTOR);
  assertEquals(st0(bed, 1), "3fff:8000000000000000");
  assertEquals(bed.cpu.get64(S.XMM + 3 * S.XMM_SIZE), 99n);
  // Unaligned, and a reserved bit of MXCSR.
  assertEquals(steps(bed, [0x0f, 0xae, 0x42, 8]), Vec.GP);
  d.setUint32(24, 0x10000, true);
  assertEquals(steps(bed, FXRSTOR), Vec.GP);
});

Deno.test("FXSAVE in 64-bit mode: sixteen XMM registers, and 64-bit pointers with REX.W", () => {
  const bed = new X87Bed(), d = data(bed);
  // One 2 MiB page, mapped at 0 and at FFFFFFFF80000000h.
  const table = new DataView(bed.ram.buffer, bed.ram.byteOffset);
  table.setBigUint64(0x10000, 0x11003n, true);
  table.setBigUint64(0x10ff8, 0x11003n, true);
  table.setBigUint64(0x11000, 0x12003n, true);
  table.setBigUint64(0x11ff0, 0x12003n, true);
  table.setBigUint64(0x12000, 0x83n, true);
  const flat = { base: 0n, limit: 0xffffffff, s: 1, dpl: 0, present: 1, avl: 0, g: 1, unusable: 0 };
  bed.vcpu.setSregs({
    cr3: 0x10000n,
    cr4: 0x220n,
    efer: 0x500n,
    cr0: 0x80000031n,
    cs: { ...flat, selector: 8, type: 11, l: 1, db: 0 },
  });
  const high = 0xffffffff80000000n;
  for (let n = 0; n < 16; n++) bed.cpu.set64(S.XMM + S.XMM_SIZE * n, BigInt(n + 1));
  bed.vcpu.setRegs({ rdx: high + BigInt(DATA), rip: high + BigInt(CODE) });
  // FNINIT, FLD1, FADD m64, FXSAVE, FXSAVE64 at +512.
  d.setFloat64(0, 1, true);
  bed.ram.set(
    [...FNINIT, ...FLD1, 0xdc, 0x02, ...FXSAVE, 0x48, 0x0f, 0xae, 0x82, 0, 2, 0, 0, 0xf4],
    CODE,
  );
  bed.vm.current = undefined;
  bed.vcpu.mpState = "runnable";
  assertEquals(bed.vcpu.run(100).reason, "hlt");
  const ip = high + BigInt(CODE + 4);
  assertEquals(d.getBigUint64(8, true), ip & 0xffffffffn);
  assertEquals(d.getBigUint64(16, true), BigInt(DATA) + (high & 0xffffffffn));
  assertEquals(d.getBigUint64(512 + 8, true), ip);
  assertEquals(d.getBigUint64(512 + 16, true), high + BigInt(DATA));
  assertEquals(d.getBigUint64(160 + 16 * 15, true), 16n);
});
