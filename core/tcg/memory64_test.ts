/**
 * A sparse machine of 6 GiB against one of 4 MiB: the same code sees the same linear addresses, whose
 * pages lie above 4 GiB of storage in one machine and at its bottom in the other.
 */
import { Assembler } from "../../firmware/asm/assembler.ts";
import * as o from "../../firmware/asm/operand.ts";
import type { RamBlock } from "../memory/guest_memory.ts";
import { assert, assertEquals } from "../std/assert.ts";
import { bareVcpu } from "./testbed.ts";
import type { TcgVcpu } from "./vcpu.ts";
import type { TcgVm } from "./vm.ts";

const GIB = 2 ** 30, PAGE = 4096;
/** Linear addresses: where each program begins, and the first of the pages below. */
const CODE = 0x1000, WINDOW = 0x40000000;
const HALT = 0x3000, GDT = 0x500, IDT = 0x600;
/** Linear pages of the window: neighbours in storage, strangers, low, the last, code that crosses. */
const W = Array.from({ length: 9 }, (_, n) => WINDOW + n * PAGE);

class Bed {
  readonly vm: TcgVm;
  readonly cpu: TcgVcpu;
  readonly ram: RamBlock;
  /** Physical addresses of the window's pages. */
  readonly pages: readonly number[];
  readonly #tables: number;

  constructor(readonly far: boolean, readonly regions: boolean) {
    const bed = bareVcpu(far ? 6 * GIB : 4 << 20);
    [this.vm, this.cpu, this.ram] = [bed.vm, bed.cpu, bed.ram];
    this.vm.regions = regions;
    this.vm.samplePeriod = 1;
    const line = 2 ** 32 - this.ram.offset;
    this.pages = far
      ? [
        ...[line - PAGE, line, 5 * GIB, 4.5 * GIB, 0x50000],
        ...[6 * GIB - PAGE, 5.5 * GIB, 5.25 * GIB, 5.5 * GIB + PAGE],
      ]
      : [0x100000, 0x101000, 0x110000, 0x108000, 0x50000, 0x120000, 0x130000, 0x128000, 0x131000];
    this.#tables = far ? 5 * GIB + 0x100000 : 0x200000;
  }

  /** Runs `program` from CODE until it halts; gives the registers and the window's bytes. */
  run(
    program: (a: Assembler) => void,
  ): { regs: string; window: string; view(n: number): DataView } {
    const { ram, cpu } = this, v = ram.view;
    this.vm.memoryChanged();
    const window = this.pages.map((p) => ram.u8.subarray(p, p + PAGE));
    window.forEach((w, n) => w.forEach((_, k) => w[k] = (k * 31 + n * 7) >> 1));
    ram.u8.fill(0, 0, 0x8000);
    const a = new Assembler(64, CODE);
    program(a);
    ram.u8.set(a.assemble().bytes, CODE);
    const t = this.#tables, [pml4, pdpt, low, high, pt] = [0, 1, 2, 3, 4].map((n) => t + n * PAGE);
    const put = (at: number, phys: number) => v.setBigUint64(at, BigInt(phys) + 3n, true);
    put(pml4, pdpt);
    put(pdpt, low);
    put(pdpt + 8, high);
    v.setBigUint64(low, 0x83n, true);
    put(high, pt);
    this.pages.forEach((p, n) => put(pt + 8 * n, p));
    v.setBigUint64(GDT + 8, 0x00af9b000000ffffn, true);
    v.setBigUint64(GDT + 16, 0x00cf93000000ffffn, true);
    for (let n = 0; n < 32; n++) {
      ram.u8[HALT + n] = 0xf4;
      v.setBigUint64(IDT + 16 * n, BigInt(0x8e00) << 32n | BigInt((8 << 16) | (HALT + n)), true);
    }
    cpu.reset();
    const flat = {
      base: 0n,
      limit: 0xffffffff,
      s: 1,
      dpl: 0,
      present: 1,
      avl: 0,
      g: 1,
      unusable: 0,
    };
    const data = { ...flat, l: 0, db: 1, selector: 16, type: 3 };
    cpu.setSregs({
      ...{ efer: 0x500n, cr4: 0x40620n, cr0: 0x80000013n, cr3: BigInt(pml4) },
      gdt: { base: BigInt(GDT), limit: 23 },
      idt: { base: BigInt(IDT), limit: 511 },
      cs: { ...flat, l: 1, db: 0, selector: 8, type: 11 },
      ...{ ds: data, es: data, ss: data, fs: data, gs: data },
    });
    cpu.setFpu({ xcr0: 7n });
    const zero = Object.fromEntries(
      "rax rcx rdx rbx rbp rsi rdi r8 r9 r10 r11 r12 r13 r14 r15".split(" ").map((r) => [r, 0n]),
    );
    cpu.setRegs({ ...zero, rip: BigInt(CODE), rsp: BigInt(W[5] + 0x800), rflags: 2n });
    for (let n = 0; n < 3000; n++) {
      const exit = cpu.run(80);
      if (exit.reason !== "hlt") {
        assertEquals(exit.reason, "interrupted");
        continue;
      }
      const vector = Number(cpu.getRegs().rip) - 1 - HALT;
      assert(vector < 0 || vector > 31, `exception ${vector}`);
      const regs = Object.entries(cpu.getRegs()).map(([k, x]) => `${k} ${x.toString(16)}`);
      return {
        regs: regs.join("\n"),
        window: window.map((w) => w.join()).join("\n"),
        view: (k) => new DataView(window[k].buffer, window[k].byteOffset, PAGE),
      };
    }
    throw new Error("no end");
  }
}

const beds: Bed[] = [];
for (const far of [false, true]) {
  for (const regions of [false, true]) beds.push(new Bed(far, regions));
}

/** Runs `program` in all beds; they must agree. Gives what the 6 GiB machine saw with regions. */
function same(program: (a: Assembler) => void) {
  const all = beds.map((b) => b.run(program));
  for (const r of all) {
    assertEquals(r.regs, all[0].regs);
    assertEquals(r.window, all[0].window);
  }
  return all[3];
}

/** A loop around `body` that counts RCX down: long enough to become a region. */
function loop(a: Assembler, body: () => void, times = 200): void {
  a.i.mov(o.ecx, times);
  a.label("again");
  body();
  a.i.dec(o.ecx);
  a.i.jnz("again");
  a.i.hlt();
}

Deno.test("the memory is as wide as RAM asks for, states below RAM", () => {
  assertEquals(beds.map((b) => b.vm.memory.address), ["i32", "i32", "i64", "i64"]);
  const { ram, cpu } = beds[3];
  assert(cpu.cpu.base < ram.offset && ram.offset + ram.size > 2 ** 32 + 2 * GIB);
});

Deno.test("loads, stores and locked operations on pages above 4 GiB of storage", () => {
  const r = same((a) => {
    const { i } = a;
    i.mov(o.ebx, W[2]);
    loop(a, () => {
      i.mov(o.rax, o.qword(o.rbx, 0x100));
      i.add(o.qword(o.rbx, 0x108), o.rax);
      i.lock();
      i.inc(o.dword(W[5]));
      i.mov(o.edx, 3);
      i.lock();
      i.xadd(o.qword(W[1], 8), o.rdx);
      i.mov(o.byte(W[3], [o.rcx, 1]), o.cl);
      i.push(o.rax);
      i.pop(o.rsi);
      i.lock();
      i.cmpxchg(o.qword(W[2], 0x20), o.rdx);
    });
  });
  assertEquals(r.view(5).getUint8(0), 17 + 200);
});

Deno.test("accesses across pages: over storage's 4 GiB line, between strangers, from high to low", () => {
  same((a) => {
    const { i } = a;
    i.mov(o.rax, 0x1122334455667788n);
    loop(a, () => {
      for (const page of [W[1], W[3], W[4], W[5]]) {
        i.mov(o.qword(page, -3), o.rax);
        i.add(o.rdi, o.qword(page, -5));
        i.add(o.dword(page, -2), o.ecx);
        a.db(0xdb, 0x2c, 0x25); // fld tbyte [page - 7]
        a.dd(page - 7);
        a.db(0xdb, 0x3c, 0x25); // fstp tbyte [page - 9]
        a.dd(page - 9);
      }
      i.rol(o.rax, 7);
    }, 50);
  });
});

Deno.test("string operations run through pages wherever they lie", () => {
  const r = same((a) => {
    const { i } = a;
    a.db(0xfc);
    loop(a, () => {
      i.mov(o.r8d, o.ecx);
      i.mov(o.esi, W[0] + 0xf00);
      i.mov(o.edi, W[2] + 0xe01);
      i.mov(o.ecx, 0x400);
      i.rep();
      i.movsb();
      i.mov(o.eax, o.r8d);
      i.mov(o.edi, W[4] + 0xf80);
      i.mov(o.ecx, 0x200);
      i.rep();
      i.stosb();
      i.mov(o.edi, W[5] - 0x20);
      i.mov(o.ecx, 8);
      i.rep();
      i.stosq();
      i.mov(o.esi, W[2] + 0x10);
      i.mov(o.edi, W[2] + 0x13);
      i.mov(o.ecx, 0x40);
      i.rep();
      i.movsb();
      i.mov(o.ecx, o.r8d);
    }, 20);
  });
  assertEquals(r.view(5).getUint8(0x10), 1);
});

Deno.test("SSE and AVX registers are loaded from there and stored there", () => {
  same((a) => {
    const { i } = a;
    loop(a, () => {
      i.mov(o.ebx, W[2]);
      a.db(0xc5, 0xfd, 0x10, 0x43, 0x20); // vmovupd ymm0, [rbx + 20h]
      a.db(0xc5, 0xfd, 0xfe, 0x83);
      a.dd(0xff0); // vpaddd ymm0, ymm0, [rbx + ff0h]
      i.mov(o.edx, W[0]);
      a.db(0xc5, 0xfd, 0x11, 0x82);
      a.dd(0xfe8); // vmovupd [rdx + fe8h], ymm0
      a.db(0x0f, 0x10, 0x4b, 0x07); // movups xmm1, [rbx + 7]
      a.db(0x66, 0x0f, 0xef, 0x4b, 0x40); // pxor xmm1, [rbx + 40h]
      a.db(0x0f, 0x11, 0x8b);
      a.dd(0x2ff5); // movups [rbx + 2ff5h], xmm1
      a.db(0xf2, 0x0f, 0x10, 0x53, 0x08); // movsd xmm2, [rbx + 8]
      a.db(0xf2, 0x0f, 0x11, 0x52, 0x10); // movsd [rdx + 10h], xmm2
    });
  });
});

Deno.test("code runs up there, across a page, and may be written by itself and by others", () => {
  const r = same((a) => {
    const { i } = a;
    // W[6] + ffdh: mov eax, imm32 across the page's end; then ret. In W[7]: a routine of its own.
    const put = (at: number, ...bytes: number[]) => {
      bytes.forEach((b, n) => i.mov(o.byte(at, n), b));
    };
    put(W[6] + 0xffd, 0xb8, 0x01, 0x00, 0x00, 0x00, 0xc3);
    // inc byte [rip + 1]; mov dl, 0; ret
    put(W[8] + 0x100, 0xfe, 0x05, 0x01, 0, 0, 0, 0xb2, 0x00, 0xc3);
    i.mov(o.ebp, W[6] + 0xffd);
    i.mov(o.ebx, W[8] + 0x100);
    loop(a, () => {
      i.call(o.rbp);
      i.add(o.rsi, o.rax);
      i.call(o.rbx);
      i.add(o.rdi, o.rdx);
      i.inc(o.byte(W[6] + 0xffe)); // the first page's byte of the immediate
      i.inc(o.byte(W[7])); // the second page's
    }, 40);
  });
  assertEquals(/rdx ([0-9a-f]+)/.exec(r.regs)![1], "28");
});

Deno.test("a hot loop up there becomes a region, and goes when it is written", () => {
  const before = beds[3].vm.cache.stats.regions;
  same((a) => {
    const { i } = a;
    // mov ecx, 300; add rax, rcx; dec ecx; jnz; ret
    const code = [0xb9, 0x2c, 1, 0, 0, 0x48, 0x01, 0xc8, 0xff, 0xc9, 0x75, 0xf9, 0xc3];
    code.forEach((b, n) => i.mov(o.byte(W[8], n), b));
    i.mov(o.ebx, W[8]);
    i.call(o.rbx);
    i.mov(o.byte(W[8], 7), 0xca); // now add rdx, rcx
    i.call(o.rbx);
    i.hlt();
  });
  assert(beds[3].vm.cache.stats.regions > before);
});
