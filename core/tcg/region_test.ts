import { assert, assertEquals } from "../std/assert.ts";
import type { TcgVcpu } from "./vcpu.ts";
import { bareVcpu, flatSregs } from "./testbed.ts";
import type { TcgVm } from "./vm.ts";

const RAM = 0x24000, CODE = 0x1000, DATA = 0x20000, STACK = 0x8000, HANDLER = 0x3000;
const GDT = 0x500, IDT = 0x600, PD = 0x10000, PT = 0x11000, LONG = 0x14000;

class Machine {
  readonly vm: TcgVm;
  readonly ram: Uint8Array;
  readonly cpu: TcgVcpu;

  constructor(regions: boolean) {
    const bed = bareVcpu(RAM);
    this.vm = bed.vm;
    this.ram = bed.ram.u8;
    this.cpu = bed.cpu;
    this.vm.regions = regions;
    this.vm.samplePeriod = 1;
  }

  /** Runs `code` from its beginning until it halts, in short slices; returns the instruction count. */
  run(
    code: readonly number[],
    paging = false,
    slice = 60,
    long: boolean | "compatibility" = false,
  ): number {
    this.vm.memoryChanged();
    this.ram.fill(0);
    for (let n = 0; n < 0x4000; n++) this.ram[DATA + n] = (n * 37) >> 3;
    this.ram.set(code, CODE);
    this.ram[HANDLER] = 0xf4;
    const v = new DataView(this.ram.buffer, this.ram.byteOffset, this.ram.length);
    v.setBigUint64(GDT + 8, long ? 0x00af9b000000ffffn : 0x00cf9b000000ffffn, true);
    v.setBigUint64(GDT + 16, 0x00cf93000000ffffn, true);
    // Each exception goes to a HLT of its own, with everything about it on the stack.
    for (let n = 0; n < 32; n++) {
      this.ram[HANDLER + n] = 0xf4;
      v.setUint32(IDT + 8 * n, (8 << 16) | (HANDLER + n), true);
      v.setUint32(IDT + 8 * n + 4, 0x8e00, true);
    }
    v.setUint32(PD, PT | 3, true);
    for (let n = 0; n < 256; n++) v.setUint32(PT + 4 * n, (n << 12) | 3, true);
    v.setUint32(PT + 4 * ((DATA + 0x1000) >> 12), 0, true);
    if (long) {
      longTables(v, paging);
      for (let n = 0; n < 32; n++) {
        v.setUint32(IDT + 16 * n, (8 << 16) | (HANDLER + n), true);
        v.setUint32(IDT + 16 * n + 4, 0x8e00, true);
        v.setBigUint64(IDT + 16 * n + 8, 0n, true);
      }
    }
    const cpu = this.cpu;
    cpu.reset();
    const flat = flatSregs(), data = flat.ds;
    cpu.setSregs({
      efer: long ? 0x500n : 0n,
      cr4: long ? 0x20n : 0n,
      cr0: paging || long ? 0x80000011n : 0x11n,
      cr3: BigInt(long ? LONG : PD),
      gdt: { base: BigInt(GDT), limit: 23 },
      idt: { base: BigInt(IDT), limit: 511 },
      cs: { ...flat.cs, l: long === true ? 1 : 0, db: long === true ? 0 : 1 },
      ds: data,
      es: data,
      ss: data,
      fs: data,
      gs: data,
    });
    cpu.setRegs({
      rip: BigInt(CODE),
      rsp: BigInt(STACK),
      rflags: 2n,
      rax: 0x12345678n,
      rcx: 0n,
      rdx: 0x9abcdef0n,
      rbx: 0x7fffffffn,
      rbp: 0x80000000n,
      rsi: BigInt(DATA),
      rdi: 0xffff8001n,
      ...long && {
        r8: 0x123456789abcdef0n,
        r9: 0xffffffff80000001n,
        r10: 1n,
        r11: 0x8000000000000000n,
        r12: 0n,
        r13: 0x7fffffffffffffffn,
        r14: BigInt(DATA),
        r15: 0xfedcba9876543210n,
      },
    });
    const before = cpu.instructions;
    for (let n = 0; n < 5000; n++) {
      const exit = cpu.run(slice);
      if (exit.reason === "hlt") return cpu.instructions - before;
      assertEquals(exit.reason, "interrupted");
    }
    throw new Error(`no end: ${JSON.stringify(code)}`);
  }
}

const plain = new Machine(false), staged = new Machine(true);

function firstDifference(a: Uint8Array, b: Uint8Array): number {
  for (let n = 0; n < a.length; n++) if (a[n] !== b[n]) return n;
  return -1;
}

/** Four-level tables that map the first 2 MiB to themselves, 8 KiB from PD on. */
function longTables(v: DataView, hole: boolean): void {
  v.setBigUint64(LONG, BigInt(LONG + 0x1000) | 3n, true);
  v.setBigUint64(LONG + 0x1000, BigInt(LONG + 0x2000) | 3n, true);
  v.setBigUint64(LONG + 0x2000, BigInt(LONG + 0x3000) | 3n, true);
  for (let n = 0; n < 512; n++) {
    const absent = hole && n === (DATA + 0x1000) >> 12;
    v.setBigUint64(LONG + 0x3000 + 8 * n, absent ? 0n : BigInt(n << 12) | 3n, true);
  }
}

/** Runs the program both ways and compares everything; returns how many regions were made. */
function same(
  code: readonly number[],
  paging = false,
  slice = 60,
  long: boolean | "compatibility" = false,
): number {
  const before = staged.vm.cache.stats.regions;
  const n = plain.run(code, paging, slice, long), m = staged.run(code, paging, slice, long);
  const what = code.map((b) => b.toString(16).padStart(2, "0")).join(" ");
  assertEquals(staged.cpu.getRegs(), plain.cpu.getRegs(), what);
  assertEquals(staged.cpu.getSregs().cr2, plain.cpu.getSregs().cr2, what);
  assertEquals(firstDifference(staged.ram, plain.ram), -1, `memory differs: ${what}`);
  assertEquals(m, n, `instructions: ${what}`);
  return staged.vm.cache.stats.regions - before;
}

const le32 = (v: number) => [v & 255, (v >> 8) & 255, (v >> 16) & 255, (v >>> 24) & 255];
const movEcx = (v: number) => [0xb9, ...le32(v)];
/** `body` `n` times, counted in ECX by DEC. */
const counted = (n: number, body: readonly number[]) => [
  ...movEcx(n),
  ...body,
  0x49,
  0x0f,
  0x85,
  ...le32(-(body.length + 7)),
  0xf4,
];

/** A small linear congruential generator: programs are the same in every run. */
function random(seed: number): (n: number) => number {
  let s = seed >>> 0;
  return (n) => {
    s = (Math.imul(s, 1664525) + 1013904223) >>> 0;
    return Math.floor(s / 65536) % n;
  };
}

/** A random instruction that leaves ECX, ESP and ESI alone. */
function randomInsn(r: (n: number) => number): number[] {
  const R = [0, 2, 3, 5, 7], R8 = [0, 2, 3, 4, 6, 7];
  const reg = () => R[r(R.length)], reg8 = () => R8[r(R8.length)];
  const rr = (a: number, b: number) => 0xc0 | (a << 3) | b;
  const ALU = [0x01, 0x29, 0x31, 0x21, 0x09, 0x39, 0x85, 0x11, 0x19];
  const disp = () => r(30) * (r(4) === 0 ? 1 : 4);
  const mem = (g: number) => [0x46 | (g << 3), disp()];
  switch (r(24)) {
    case 0:
    case 1:
    case 2:
      return [ALU[r(9)], rr(reg(), reg())];
    case 3:
      return [[0x00, 0x28, 0x30, 0x38, 0x10, 0x18, 0x84][r(7)], rr(reg8(), reg8())];
    case 4:
      return [0x66, ALU[r(9)], rr(reg(), reg())];
    case 5:
      return [(r(2) ? 0x40 : 0x48) + reg()];
    case 6:
      return [0xfe, rr(r(2), reg8())];
    case 7:
      return [0xc1, rr([4, 5, 7, 0, 1, 2, 3][r(7)], reg()), r(33)];
    case 8:
      return [0xd3, rr([4, 5, 7, 0, 1, 2, 3][r(7)], reg())];
    case 9:
      return [0x8b, ...mem(reg())];
    case 10:
      return [0x89, ...mem(reg())];
    case 11:
      return [[0x01, 0x29, 0x11, 0x39][r(4)], ...mem(reg())];
    case 12:
      return [[0x03, 0x2b, 0x3b, 0x13][r(4)], ...mem(reg())];
    case 13:
      return [0x0f, 0x90 | r(16), rr(0, reg8())];
    case 14:
      return [0x0f, 0x40 | r(16), rr(reg(), reg())];
    case 15: {
      const skipped = randomInsn(r);
      return [0x70 | r(16), skipped.length, ...skipped];
    }
    case 16: {
      const a = reg();
      return [0x50 + reg(), ...randomInsn(r), 0x58 + a];
    }
    case 17:
      return [0x8d, 0x44 | (reg() << 3), (r(4) << 6) | (reg() << 3) | 5, r(256)];
    case 18:
      return [0x0f, 0xaf, rr(reg(), reg())];
    case 19:
      return [0x0f, [0xb6, 0xbe][r(2)], rr(reg(), reg8())];
    case 20:
      return [0xf7, rr(2 + r(2), reg())];
    case 21:
      return [[0xf5, 0xf8, 0xf9, 0x98, 0x99, 0xfc, 0x9f, 0x9e][r(8)]];
    case 22:
      return [0x0f, 0xa3, rr(reg(), reg())];
    default:
      return [0x83, rr(r(8), reg()), r(256)];
  }
}

Deno.test("random loops give the same as in tier 0", () => {
  let regions = 0;
  for (let seed = 1; seed <= 80; seed++) {
    const r = random(seed * 7919);
    const body: number[] = [];
    for (let n = 3 + r(10); n > 0; n--) body.push(...randomInsn(r));
    regions += same(counted(60 + r(40), body), false, 40 + r(40));
  }
  assert(regions > 40, `only ${regions} regions`);
});

Deno.test("random loops of compatibility-mode code give the same as in tier 0", () => {
  let regions = 0;
  for (let seed = 1; seed <= 60; seed++) {
    const r = random(seed * 7919);
    const body: number[] = [];
    for (let n = 3 + r(10); n > 0; n--) body.push(...randomInsn(r));
    regions += same(counted(60 + r(40), body), false, 40 + r(40), "compatibility");
  }
  assert(regions > 40, `only ${regions} regions`);
});

Deno.test("random nested loops, entered in the middle", () => {
  let regions = 0;
  for (let seed = 1; seed <= 40; seed++) {
    const r = random(seed * 104729);
    const a = [...randomInsn(r), ...randomInsn(r)], b = [...randomInsn(r), ...randomInsn(r)];
    // Inner loop on the counter's low bits; every other time it begins at its second half.
    const inner = [...a, ...b, 0x49, 0xf6, 0xc1, 3];
    const body = [
      0xf6,
      0xc1,
      4,
      0x75,
      a.length,
      ...inner,
      0x75,
      -(inner.length + 2) & 255,
      ...randomInsn(r),
    ];
    const code = [...movEcx(321), ...body, 0x83, 0xf9, 8, 0x0f, 0x87];
    code.push(...le32(-(body.length + 9)), 0xf4);
    regions += same(code, false, 50 + r(30));
  }
  assert(regions > 20, `only ${regions} regions`);
});

Deno.test("a page fault in a loop is precise", () => {
  // add eax,[esi]; dec eax; adc edx,eax; add esi,12 until the page behind DATA that is not present
  const n = same(
    counted(100000, [0x03, 0x06, 0x48, 0x11, 0xc2, 0x83, 0xc6, 12]),
    true,
  );
  assert(n > 0);
  assertEquals(plain.cpu.getSregs().cr2, BigInt(DATA + 0x1008));
  assertEquals(plain.cpu.getRegs().rip, BigInt(HANDLER + 14 + 1));
  // The same with a store that crosses into the missing page, after a push.
  assert(
    same(counted(100000, [0x50, 0x29, 0x46, 0xfe, 0x5a, 0x83, 0xc6, 4]), true) > 0,
  );
});

Deno.test("a divide error in a loop is precise", () => {
  // xor edx,edx; mov eax,1000; lea ebx,[ecx-40]; div ebx
  const body = [0x31, 0xd2, 0xb8, ...le32(1000), 0x8d, 0x59, 0xd8, 0xf7, 0xf3];
  assert(same(counted(140, body)) > 0);
  assertEquals(plain.cpu.getRegs().rip, BigInt(HANDLER + 1));
});

Deno.test("a loop that changes its own code runs the new code at once", () => {
  // add eax, imm32 whose low byte the store before it sets: mov [imm], cl every 128th time
  const body = [0xf6, 0xc1, 0x7f, 0x75, 6, 0x88, 0x0d, 0, 0, 0, 0, 0x05, 1, 0, 0, 0];
  const at = CODE + 5 + 12;
  body.splice(7, 4, ...le32(at));
  assert(same(counted(1000, body)) > 0);
  // Each time, also the instruction right behind the store.
  const each = [0xc1, 0xc8, 1, 0x88, 0x0d, ...le32(CODE + 5 + 10), 0x05, 1, 0, 0, 0];
  same(counted(300, each));
});

Deno.test("calls and returns leave and enter regions", () => {
  // call f; add eax,edx ... f: xor edx,ecx; mov edi,8; l: add eax,edx; dec edi; jnz l; ret
  const body = [0xe8, 10, 0, 0, 0, 0x01, 0xd0];
  const f = [0x31, 0xca, 0xbf, 8, 0, 0, 0, 0x01, 0xd0, 0x4f, 0x75, 0xfb, 0xc3];
  assert(same([...counted(500, body), ...f]) > 0);
});

Deno.test("a shift whose count is sometimes 0 keeps all flags then", () => {
  // or eax,15; add al,1 (sets AF); shl edx,cl; lahf; add ebx,eax
  const body = [0x83, 0xc8, 15, 0x04, 1, 0xd3, 0xe2, 0x9f, 0x01, 0xc3];
  assert(same(counted(200, body)) > 0);
});

/** A random 64-bit instruction that leaves RCX, RSP, RSI, R9 and R14 alone. */
function randomInsn64(r: (n: number) => number): number[] {
  const R = [0, 2, 3, 5, 7, 8, 10, 11, 12, 13, 15];
  const reg = () => R[r(R.length)];
  const rex = (w: number, g: number, b: number) => 0x40 | (w << 3) | (g >> 3 << 2) | (b >> 3);
  const rr = (a: number, b: number) => 0xc0 | ((a & 7) << 3) | (b & 7);
  const ALU = [0x01, 0x29, 0x31, 0x21, 0x09, 0x39, 0x85, 0x11, 0x19];
  const w = r(3) === 0 ? 0 : 1;
  const a = reg(), b = reg();
  // [rsi+disp8] or [r14+disp8]
  const base = r(2) === 0 ? 6 : 14;
  const mem = (g: number, at = r(30) * (r(4) === 0 ? 1 : 8) & 0x7f) => [0x46 | ((g & 7) << 3), at];
  switch (r(26)) {
    case 0:
    case 1:
    case 2:
      return [rex(w, a, b), ALU[r(9)], rr(a, b)];
    case 3:
      return [rex(0, a, b), [0x00, 0x28, 0x30, 0x38, 0x10, 0x18, 0x84, 0x88][r(8)], rr(a, b)];
    case 4:
      return [0x66, rex(0, a, b), ALU[r(9)], rr(a, b)];
    case 5:
      return [rex(w, 0, b), 0xff, rr(r(2), b)];
    case 6:
      return [[0x00, 0x28, 0x30, 0x38][r(4)], rr([0, 2, 3, 4, 6, 7][r(6)], [0, 2, 3, 7][r(4)])];
    case 7:
      return [rex(w, 0, b), 0xc1, rr([4, 5, 7, 0, 1, 2, 3][r(7)], b), r(66)];
    case 8:
      return [rex(w, 0, b), 0xd3, rr([4, 5, 7, 0, 1, 2, 3][r(7)], b)];
    case 9:
    case 10:
      return [rex(w, a, base), 0x8b, ...mem(a)];
    case 11:
      return [rex(w, a, base), 0x89, ...mem(a)];
    case 12:
      return [rex(w, a, base), [0x01, 0x29, 0x11, 0x39][r(4)], ...mem(a)];
    case 13:
      return [rex(w, a, base), [0x03, 0x2b, 0x3b, 0x13][r(4)], ...mem(a)];
    case 14:
      return [rex(0, 0, b), 0x0f, 0x90 | r(16), rr(0, b)];
    case 15:
      return [rex(w, a, b), 0x0f, 0x40 | r(16), rr(a, b)];
    case 16: {
      const skipped = randomInsn64(r);
      return [0x70 | r(16), skipped.length, ...skipped];
    }
    case 17:
      return [rex(0, 0, b), 0x50 | (b & 7), ...randomInsn64(r), rex(0, 0, a), 0x58 | (a & 7)];
    case 18:
      return [
        rex(w, a, b),
        0x8d,
        0x80 | ((a & 7) << 3) | (b & 7),
        ...[b].flatMap((n) => (n & 7) === 4 ? [0x24] : []),
        ...le32(r(65536) * 65521),
      ];
    case 19:
      return [rex(w, a, b), 0x0f, 0xaf, rr(a, b)];
    case 20:
      return [rex(w, a, b), 0x0f, [0xb6, 0xbe, 0xb7, 0xbf][r(4)], rr(a, b)];
    case 21:
      return [rex(1, a, b), 0x63, rr(a, b)];
    case 22:
      return [rex(w, 0, b), 0xf7, rr(2 + r(2), b)];
    case 23:
      return [rex(w, 0, b), 0xb8 | (b & 7), ...le32(r(65536) * 65521), ...w ? le32(r(65536)) : []];
    case 24:
      return [rex(w, 0, b), 0x0f, 0xc8 | (b & 7)];
    default:
      return [rex(w, 0, b), 0x83, rr(r(8), b), r(256)];
  }
}

/** `body` `n` times, counted in ECX. */
const counted64 = (n: number, body: readonly number[]) => [
  ...movEcx(n),
  ...body,
  0xff,
  0xc9,
  0x0f,
  0x85,
  ...le32(-(body.length + 8)),
  0xf4,
];

Deno.test("random loops of 64-bit code give the same as in tier 0", () => {
  let regions = 0;
  for (let seed = 1; seed <= 120; seed++) {
    const r = random(seed * 6007);
    const body: number[] = [];
    for (let n = 3 + r(10); n > 0; n--) body.push(...randomInsn64(r));
    regions += same(counted64(60 + r(40), body), false, 40 + r(40), true);
  }
  assert(regions > 80, `only ${regions} regions`);
});

Deno.test("a page fault in a loop of 64-bit code is precise", () => {
  // add rax,[r14]; dec rax; adc rdx,rax; add r14,24 until the page that is not present
  const body = [0x49, 0x03, 0x06, 0x48, 0xff, 0xc8, 0x48, 0x11, 0xc2, 0x49, 0x83, 0xc6, 24];
  assert(same(counted64(100000, body), true, 60, true) > 0);
  assertEquals(plain.cpu.getSregs().cr2, BigInt(DATA + 0x1008));
  assertEquals(plain.cpu.getRegs().rip, BigInt(HANDLER + 14 + 1));
  // A RIP-relative store that changes an immediate of the loop: mov [rip+1], cl; add eax, imm32
  const each = [0x88, 0x0d, 1, 0, 0, 0, 0x05, 1, 0, 0, 0];
  same(counted64(300, each), false, 60, true);
});

Deno.test("REP STOS and REP MOVS over a page drop what was translated further on in it", () => {
  const F = 0x2800, rel = (at: number) => le32(F - (CODE + at + 5));
  for (const movs of [false, true]) {
    const code = [0x66, 0xc7, 0x05, ...le32(F), 0x40, 0xc3]; // mov word [F], "inc eax; ret"
    code.push(0x31, 0xc0); // xor eax,eax
    code.push(0xe8, ...rel(code.length));
    // A page of "dec eax; dec eax; dec eax; ret" over it, from 384 bytes before.
    code.push(0xb8, ...le32(0xc3484848 | 0), 0xbf, ...le32(DATA), 0xb9, ...le32(256), 0xf3, 0xab);
    code.push(0xbe, ...le32(DATA), 0xbf, ...le32(F - 384), 0xb9, ...le32(256));
    code.push(0xf3, movs ? 0xa5 : 0xab);
    code.push(0xb8, ...le32(10), 0xe8, ...rel(code.length + 5), 0xf4);
    plain.run(code);
    assertEquals(plain.cpu.getRegs().rax, 7n, movs ? "REP MOVS" : "REP STOS");
  }
});
