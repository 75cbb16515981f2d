/** XSAVE and XRSTOR in their forms: against the host processor, and what the SDM says they refuse. */
import * as o from "../../../firmware/asm/operand.ts";
import { assertEquals } from "../../std/assert.ts";
import { random } from "../table/sample.ts";
import { At, LongBed } from "../long_bed.ts";
import * as S from "../state.ts";
import { Vec } from "../state.ts";

const AREA_BYTES = 1024, FIRST = 0x20000, SECOND = 0x21000, OUT = 0x22000;
const CR4 = 0x6a0n | 1n << 18n, PKE = 1n << 22n;
const COMPACTED = 1n << 63n;
const { rax, rdi, eax, ecx, edx } = o;

/** XRSTOR64 [RDI] of everything, XRSTOR64 [RSI] with ECX, the saving with RCX >> 32 to [R8]. */
const SAVES = {
  xsave64: [0x49, 0x0f, 0xae, 0x20],
  xsaveopt64: [0x49, 0x0f, 0xae, 0x30],
  xsavec64: [0x49, 0x0f, 0xc7, 0x20],
};
function sequence(save: readonly number[], end: readonly number[]): number[] {
  return [
    ...[0x49, 0x89, 0xd0], // mov r8, rdx
    ...[0x31, 0xd2], // xor edx, edx
    ...[0xb8, 7, 0, 0, 0], // mov eax, 7
    ...[0x48, 0x0f, 0xae, 0x2f], // xrstor64 [rdi]
    ...[0x89, 0xc8], // mov eax, ecx
    ...[0x48, 0x0f, 0xae, 0x2e], // xrstor64 [rsi]
    ...[0x48, 0xc1, 0xe9, 0x20], // shr rcx, 32
    ...[0x89, 0xc8], // mov eax, ecx
    ...save,
    ...[0xdb, 0xe3], // fninit
    ...[0x68, 0x80, 0x1f, 0, 0, 0x0f, 0xae, 0x14, 0x24, 0x58], // push; ldmxcsr [rsp]; pop rax
    ...end,
  ];
}

type Rnd = ReturnType<typeof random>;

/** A random area whose components are none of them in their initial configuration. */
function image(rnd: Rnd, present: number, compacted: number): Uint8Array {
  const u8 = new Uint8Array(AREA_BYTES), v = new DataView(u8.buffer);
  for (let n = 0; n < AREA_BYTES; n++) u8[n] = rnd(255) + 1;
  v.setUint16(0, rnd(0x10000) & 0x1f3f | 0x40, true);
  if (rnd(2)) {
    // No exception that is not masked.
    v.setUint16(2, v.getUint16(2, true) & (0x7f40 | v.getUint16(0, true) & 0x3f), true);
  }
  v.setUint8(5, 0);
  v.setUint16(6, rnd(0x800), true);
  v.setBigUint64(8, BigInt(rnd(0x7fffffff)), true);
  v.setBigUint64(16, BigInt(rnd(0x7fffffff)), true);
  v.setUint32(24, rnd(0x10000), true);
  u8.fill(0, 512, 576);
  v.setBigUint64(512, BigInt(present), true);
  if (compacted >= 0) v.setBigUint64(520, BigInt(compacted) | COMPACTED, true);
  return u8;
}

/** The host through FFI; undefined where it cannot do this. */
function host() {
  if (Deno.build.os !== "linux" || Deno.build.arch !== "x86_64") return undefined;
  if (Deno.permissions.querySync({ name: "ffi" }).state !== "granted") return undefined;
  const cpuinfo = Deno.readTextFileSync("/proc/cpuinfo");
  if (!/\bavx\b/.test(cpuinfo) || !/\bxsavec\b/.test(cpuinfo)) return undefined;
  const libc = Deno.dlopen("libc.so.6", {
    mmap: { parameters: ["pointer", "usize", "i32", "i32", "i32", "i64"], result: "pointer" },
    munmap: { parameters: ["pointer", "usize"], result: "i32" },
  });
  const size = 0x5000n, map = libc.symbols.mmap(null, size, 7, 0x22, -1, 0n)!;
  const at = Deno.UnsafePointer.value(map);
  const u8 = new Uint8Array(Deno.UnsafePointerView.getArrayBuffer(map, Number(size)));
  return {
    run(
      save: readonly number[],
      first: Uint8Array,
      second: Uint8Array,
      out: Uint8Array,
      masks: bigint,
    ) {
      u8.set(sequence(save, [0xc3]));
      u8.set(first, 0x1000);
      u8.set(second, 0x2000);
      u8.set(out, 0x3000);
      new Deno.UnsafeFnPointer(map as Deno.PointerObject<never>, {
        parameters: ["u64", "u64", "u64", "u64"],
        result: "void",
      }).call(at + 0x1000n, at + 0x2000n, at + 0x3000n, masks);
      return u8.slice(0x3000, 0x3000 + AREA_BYTES);
    },
    close() {
      libc.symbols.munmap(map, size);
      libc.close();
    },
  };
}

const bed = new LongBed();

function prepare(pke = 0n): void {
  bed.reset();
  bed.vcpu.setSregs({ cr4: CR4 | pke });
  bed.cpu.set64(S.XCR0, 7n | (pke ? 0x200n : 0n));
}

const native = host();

Deno.test({
  name: "XSAVE, XSAVEOPT, XSAVEC and XRSTOR match the host processor",
  ignore: native === undefined,
  fn() {
    const rnd = random(64), differences: string[] = [];
    for (const [name, save] of Object.entries(SAVES)) {
      for (let k = 0; k < 64; k++) {
        const form = rnd(2) ? rnd(8) : -1;
        const first = image(rnd, 7, -1);
        const second = image(rnd, rnd(8) & (form < 0 ? 7 : form), form);
        const out = new Uint8Array(AREA_BYTES).map(() => rnd(256));
        // XSAVE keeps what the header says of other components.
        new DataView(out.buffer).setBigUint64(512, BigInt(rnd(8)), true);
        const masks = BigInt(rnd(8)) | BigInt(rnd(8)) << 32n;
        const theirs = native!.run(save, first, second, out, masks);
        prepare();
        bed.ram.set(sequence(save, [0xf4]), At.CODE);
        bed.ram.set(first, FIRST);
        bed.ram.set(second, SECOND);
        bed.ram.set(out, OUT);
        bed.cpu.setReg64(7, BigInt(FIRST));
        bed.cpu.setReg64(6, BigInt(SECOND));
        bed.cpu.setReg64(2, BigInt(OUT));
        bed.cpu.setReg64(1, masks);
        const s = bed.run();
        if (s.vector !== -1) differences.push(`${name} ${k}: vector ${s.vector}`);
        for (let n = 0; n < AREA_BYTES; n++) {
          if (bed.ram[OUT + n] !== theirs[n]) {
            differences.push(
              `${name} form ${form} masks ${masks.toString(16)}: byte ${n} ` +
                `${bed.ram[OUT + n]} not ${theirs[n]}`,
            );
            break;
          }
        }
      }
    }
    native!.close();
    assertEquals(differences, []);
  },
});

/** Runs an instruction on [RDI] with a mask; `area` may change the image first. */
function refuse(code: readonly number[], area: (v: DataView) => void, at = FIRST): number[] {
  prepare();
  bed.ram.set(image(random(1), 7, -1), FIRST);
  area(new DataView(bed.ram.buffer, bed.ram.byteOffset + FIRST, AREA_BYTES));
  const s = bed.start((a) => {
    a.i.mov(rdi, at);
    a.i.mov(eax, 7);
    a.i.xor(edx, edx);
    a.db(...code);
    a.i.hlt();
  });
  return s.vector === -1 ? [-1] : [s.vector, s.error];
}

const XRSTOR = [0x48, 0x0f, 0xae, 0x2f], XSAVE = [0x48, 0x0f, 0xae, 0x27];
const XRSTORS = [0x48, 0x0f, 0xc7, 0x1f];

Deno.test("XRSTOR refuses bad headers, bad MXCSR and unaligned areas", () => {
  const none = () => {};
  assertEquals(refuse(XRSTOR, none), [-1]);
  assertEquals(refuse(XRSTOR, none, FIRST + 16), [Vec.GP, 0]);
  assertEquals(refuse(XSAVE, none, FIRST + 32), [Vec.GP, 0]);
  assertEquals(refuse(XRSTOR, (v) => v.setUint32(24, 0x10000, true)), [Vec.GP, 0], "MXCSR");
  assertEquals(refuse(XRSTOR, (v) => v.setUint8(512, 15)), [Vec.GP, 0], "not in XCR0");
  assertEquals(refuse(XRSTOR, (v) => v.setUint8(520, 1)), [Vec.GP, 0], "XCOMP_BV without bit 63");
  assertEquals(refuse(XRSTOR, (v) => v.setUint8(528, 1)), [Vec.GP, 0], "reserved");
  const compacted = (mask: number) => (v: DataView) =>
    v.setBigUint64(520, BigInt(mask) | COMPACTED, true);
  assertEquals(refuse(XRSTOR, compacted(7)), [-1]);
  assertEquals(refuse(XRSTOR, compacted(3)), [Vec.GP, 0], "XSTATE_BV beyond XCOMP_BV");
  assertEquals(refuse(XRSTOR, compacted(15)), [Vec.GP, 0], "XCOMP_BV beyond XCR0");
  assertEquals(refuse(XRSTORS, none), [Vec.GP, 0], "XRSTORS wants the compacted form");
  assertEquals(refuse(XRSTORS, compacted(7)), [-1]);
});

Deno.test("XSETBV and XGETBV: what XCR0 may be, CR4.OSXSAVE, privilege of CPUID's answers", () => {
  const set = (value: number, index = 0) => {
    prepare();
    const s = bed.start((a) => {
      a.i.mov(ecx, index);
      a.i.mov(eax, value);
      a.i.xor(edx, edx);
      a.db(0x0f, 0x01, 0xd1);
      a.i.hlt();
    });
    return s.vector === -1 ? Number(bed.cpu.get64(S.XCR0)) : -s.vector;
  };
  assertEquals(set(1), 1);
  assertEquals(set(7), 7);
  assertEquals(set(0x207), 0x207);
  assertEquals(set(0x2e7), 0x2e7);
  assertEquals(set(0xe3), -Vec.GP, "AVX-512 without AVX");
  assertEquals(set(0x67), -Vec.GP, "AVX-512 in part");
  assertEquals(set(6), -Vec.GP, "x87 always");
  assertEquals(set(5), -Vec.GP, "AVX without SSE");
  assertEquals(set(0xf), -Vec.GP, "MPX");
  assertEquals(set(7, 1), -Vec.GP);
  bed.reset();
  assertEquals(bed.start((a) => a.db(0x0f, 0x01, 0xd0)).vector, Vec.UD, "without CR4.OSXSAVE");
  prepare();
  bed.start((a) => {
    a.i.xor(ecx, ecx);
    a.db(0x0f, 0x01, 0xd0);
    a.i.hlt();
  });
  assertEquals([bed.cpu.reg64(0), bed.cpu.reg64(2)], [7n, 0n]);
  prepare();
  bed.start((a) => {
    a.i.mov(eax, 13);
    a.i.xor(ecx, ecx);
    a.i.cpuid();
    a.i.hlt();
  });
  const leaf0 = [bed.cpu.reg64(0), bed.cpu.reg64(3), bed.cpu.reg64(1)];
  prepare();
  bed.start((a) => {
    a.i.mov(eax, 13);
    a.i.mov(ecx, 1);
    a.i.cpuid();
    a.i.hlt();
  });
  // XSAVEOPT, XSAVEC, XGETBV with ECX 1, XSAVES; the compacted size.
  assertEquals([bed.cpu.reg64(0), bed.cpu.reg64(3)], [15n, 832n]);
  // x87, SSE, AVX, AVX-512, PKRU offered; 832 bytes for what is on, 2696 for all.
  assertEquals(leaf0, [0x2e7n, 832n, 2696n]);
});

Deno.test("PKRU is saved and restored, and takes effect", () => {
  prepare(PKE);
  const DATA = At.USER_DATA;
  const s = bed.start((a) => {
    const { i } = a;
    i.mov(rdi, FIRST);
    i.mov(eax, 2);
    i.xor(ecx, ecx);
    i.xor(edx, edx);
    a.db(0x0f, 0x01, 0xef); // WRPKRU
    i.mov(eax, 0x200);
    a.db(...XSAVE);
    i.mov(eax, 1);
    a.db(0x0f, 0x01, 0xef);
    i.mov(eax, 0x200);
    a.db(...XRSTOR);
    a.db(0x0f, 0x01, 0xee); // RDPKRU
    i.mov(o.dword(At.DATA), eax);
    i.mov(rax, o.mem(DATA));
    i.mov(o.mem(DATA), rax);
  });
  assertEquals(bed.view.getUint32(At.DATA, true), 2);
  assertEquals(bed.q(FIRST + 512), 0x200n);
  assertEquals(bed.view.getUint32(FIRST + 2688, true), 2);
  assertEquals([s.vector, s.error], [Vec.PF, 0x23], "WD of key 0");
});

Deno.test("an area across pages gets what one inside a page gets, by the helper", () => {
  const helpers = bed.vm.shapes.helpers, calls: string[] = [];
  for (const name of ["XSAVEC", "XSAVE", "XRSTOR", "FXSAVE", "FXRSTOR"]) {
    const id = bed.vm.shapes.helperId(name), helper = helpers[id];
    helpers[id] = (cpu, i) => {
      calls.push(name);
      helper(cpu, i);
    };
  }
  const fxrstor = [0x48, 0x0f, 0xae, 0x0f], fxsave = [0x48, 0x0f, 0xae, 0x07];
  const xsavec = [0x48, 0x0f, 0xc7, 0x27], xsave = [0x48, 0x0f, 0xae, 0x27];
  const xrstor = [0x48, 0x0f, 0xae, 0x2f];
  for (const [load, save] of [[xrstor, xsavec], [xrstor, xsave], [fxrstor, fxsave]]) {
    const seen: Uint8Array[] = [];
    for (const to of [SECOND, SECOND + 0x1000 - 256]) {
      prepare();
      bed.ram.set(image(random(5), 7, -1), FIRST);
      // Exceptions that are masked, and TOP 5: an unmasked one is the helper's.
      bed.view.setUint32(FIRST, 0x2841_037f, true);
      calls.length = 0;
      assertEquals(
        bed.start((a) => {
          a.i.mov(rdi, FIRST);
          a.i.mov(eax, 7);
          a.i.xor(edx, edx);
          a.db(...load);
          a.i.mov(rdi, to);
          a.db(...save);
          a.i.hlt();
        }).vector,
        -1,
      );
      assertEquals(calls.length, to === SECOND ? 0 : 1);
      seen.push(bed.ram.slice(to, to + 832));
    }
    assertEquals(seen[0], seen[1]);
  }
});
