/**
 * Measures what the software CPU does outside emitted straight-line code: TLB misses, page crossings,
 * stores beside code, port I/O, interrupts, control registers, segment loads, flags.
 *
 *     deno run -A tests/bench/slow_paths.ts [NAME…]
 *
 * Each line: the best of several slices, in nanoseconds of process CPU time per operation, with the
 * cost of the loop around it taken off.
 */
import process from "node:process";
import { ManualClock } from "../../core/clock.ts";
import { AddressSpace } from "../../core/memory/address_space.ts";
import { GuestMemory } from "../../core/memory/guest_memory.ts";
import { ioRegion, ramRegion } from "../../core/memory/region.ts";
import { tcgMemory, TcgVm } from "../../core/tcg/vm.ts";
import { Assembler } from "../../firmware/asm/assembler.ts";
import {
  al,
  cr3,
  ds,
  dword,
  dx,
  eax,
  ebp,
  ebx,
  ecx,
  edi,
  edx,
  esi,
  mem as at,
  r15,
  rbx,
  rsi,
} from "../../firmware/asm/operand.ts";

const RAM = 48 << 20, CODE = 0x1000, HANDLER = 0x3000, GDT = 0x500, IDT = 0x4000, TSS = 0x700;
const PD = 0x10000, PML4 = 0x20000, PT = 0x100000, DATA = 0x800000, MMIO = RAM - 0x1000;
const STACK = 0x8000, USER_STACK = 0x9000;

type Code = (a: Assembler) => void;

/** `setup` once, then `body` in a loop; EBP counts, ESI starts at DATA. */
interface Case {
  readonly name: string;
  /** Operations in one round of the body. */
  readonly ops?: number;
  readonly body: Code;
  readonly setup?: Code;
  /** 3: the loop runs in user mode. */
  readonly cpl?: 3;
  readonly long?: true;
  /** With `long`: the loop is 32-bit code. */
  readonly compat?: true;
}

const stride = (step: number, access: Code): Code => (a) => {
  access(a);
  a.i.add(esi, step);
  a.i.and(esi, 0x0fffffff);
  a.i.or(esi, DATA);
};

/** A string instruction with REP over 1024 doublewords. */
const runs = (opcode: number): { setup: Code; body: Code } => ({
  setup: (a) => a.i.xor(eax, eax),
  body: (a) => {
    a.i.mov(esi, DATA);
    a.i.mov(edi, DATA + 0x10000);
    a.i.mov(ecx, 1024);
    a.db(0xf3, opcode);
  },
});

const cases: readonly Case[] = [
  { name: "empty loop", body: () => {} },
  { name: "load, TLB hit", body: (a) => a.i.mov(eax, at(esi)) },
  { name: "load, TLB miss", body: stride(4096, (a) => a.i.mov(eax, at(esi))) },
  { name: "load, TLB miss, user", cpl: 3, body: stride(4096, (a) => a.i.mov(eax, at(esi))) },
  { name: "store, TLB miss", body: stride(4096, (a) => a.i.mov(at(esi), eax)) },
  { name: "load across pages", body: (a) => a.i.mov(eax, at(esi, 0xffe)) },
  { name: "store across pages", body: (a) => a.i.mov(at(esi, 0xffe), eax) },
  { name: "store beside code", body: (a) => a.i.mov(dword(CODE + 0xe00), eax) },
  { name: "load, device register", body: (a) => a.i.mov(eax, dword(MMIO)) },
  { name: "store, device register", body: (a) => a.i.mov(dword(MMIO), eax) },
  {
    name: "out",
    setup: (a) => a.i.mov(dx, 0x80),
    body: (a) => a.i.out(dx, al),
  },
  { name: "in", setup: (a) => a.i.mov(dx, 0x80), body: (a) => a.i.in(al, dx) },
  { name: "int + iret", body: (a) => a.i.int(0x40) },
  { name: "int + iret from user", cpl: 3, body: (a) => a.i.int(0x40) },
  { name: "page fault + iret", body: (a) => a.i.mov(eax, dword(0x7ff00000)) },
  {
    name: "mov cr3",
    setup: (a) => a.i.mov(eax, cr3),
    body: (a) => a.i.mov(cr3, eax),
  },
  {
    name: "mov cr3 + 32 pages",
    setup: (a) => a.i.mov(ebx, cr3),
    body: (a) => {
      a.i.mov(cr3, ebx);
      for (let n = 0; n < 32; n++) a.i.mov(eax, at(esi, 4096 * n));
    },
  },
  { name: "invlpg", body: (a) => a.i.invlpg(at(esi)) },
  {
    name: "call + ret + invlpg",
    body: (a) => {
      a.i.invlpg(at(esi));
      a.i.call("sub");
    },
  },
  { name: "mov ds", setup: (a) => a.i.mov(eax, ds), body: (a) => a.i.mov(ds, eax) },
  {
    name: "push ds + pop ds",
    body: (a) => {
      a.i.push(ds);
      a.i.pop(ds);
    },
  },
  {
    name: "cli + sti",
    body: (a) => {
      a.i.cli();
      a.i.sti();
    },
  },
  {
    name: "pushf + cli + popf",
    body: (a) => {
      a.i.pushf();
      a.i.cli();
      a.i.popf();
    },
  },
  { name: "rdtsc", body: (a) => a.i.rdtsc() },
  { name: "cpuid", body: (a) => a.i.cpuid() },
  { name: "rdmsr", setup: (a) => a.i.mov(ecx, 0x174), body: (a) => a.i.rdmsr() },
  {
    name: "wrmsr",
    setup: (a) => {
      a.i.mov(ecx, 0x174);
      a.i.xor(eax, eax);
      a.i.xor(edx, edx);
    },
    body: (a) => a.i.wrmsr(),
  },
  { name: "clts", body: (a) => a.i.clts() },
  {
    name: "sysenter + sysexit",
    cpl: 3,
    body: (a) => {
      a.db(0xe8, 0, 0, 0, 0, 0x5a); // call next; next: pop edx
      a.db(0x83, 0xc2, 0x08); // add edx, 8: behind SYSENTER
      a.db(0x89, 0xe1, 0x0f, 0x34); // mov ecx, esp; sysenter
    },
  },
  { name: "rep stosd, 4 KiB", ...runs(0xab) },
  { name: "rep movsd, 4 KiB", ...runs(0xa5) },
  {
    name: "fxsave + fxrstor",
    body: (a) => {
      a.i.fxsave(at(esi));
      a.i.fxrstor(at(esi));
    },
  },
  {
    name: "64-bit: xsavec + xrstor, SSE and AVX",
    long: true,
    setup: (a) => {
      a.i.mov(eax, 7);
      a.i.xor(edx, edx);
      // vpcmpeqd ymm0, ymm0, ymm0
      a.db(0xc5, 0xfd, 0x76, 0xc0);
    },
    body: (a) => {
      a.db(0x48, 0x0f, 0xc7, 0x26); // xsavec64 [rsi]
      a.db(0x48, 0x0f, 0xae, 0x2e); // xrstor64 [rsi]
    },
  },
  {
    name: "64-bit: wrmsr, another",
    long: true,
    setup: (a) => {
      a.i.mov(ecx, 0x174);
      a.i.xor(eax, eax);
      a.i.xor(edx, edx);
    },
    body: (a) => a.i.wrmsr(),
  },
  { name: "64-bit: rdtscp", long: true, body: (a) => a.i.rdtscp() },
  {
    name: "64-bit: wrmsr, GS base",
    long: true,
    setup: (a) => {
      a.i.mov(ecx, 0xc0000102);
      a.i.xor(eax, eax);
      a.i.xor(edx, edx);
    },
    body: (a) => a.i.wrmsr(),
  },
  {
    name: "64-bit: mov cr3 between PCIDs + 32 pages",
    long: true,
    setup: (a) => {
      a.i.mov(rbx, cr3);
      // bts rbx, 63
      a.db(0x48, 0x0f, 0xba, 0xeb, 63);
    },
    body: (a) => {
      a.db(0x48, 0x83, 0xf3, 0x01); // xor rbx, 1
      a.i.mov(cr3, rbx);
      for (let n = 0; n < 32; n++) a.i.mov(eax, at(rsi, 4096 * n));
    },
  },
  { name: "64-bit: load, TLB miss", long: true, body: stride(4096, (a) => a.i.mov(eax, at(rsi))) },
  { name: "64-bit: int + iretq", long: true, body: (a) => a.i.int(0x40) },
  { name: "64-bit: int + iretq from user", long: true, cpl: 3, body: (a) => a.i.int(0x40) },
  { name: "64-bit: page fault + iretq", long: true, body: (a) => a.i.mov(ebx, at(r15)) },
  { name: "64-bit: syscall + sysretq", long: true, cpl: 3, body: (a) => a.i.syscall() },
  {
    name: "compat: int + iretq",
    ...{ long: true, compat: true, cpl: 3 },
    body: (a) => a.i.int(0x40),
  },
  {
    name: "compat: page fault + iretq",
    ...{ long: true, compat: true, cpl: 3 },
    setup: (a) => a.i.mov(edi, 0x7ff00000),
    body: (a) => a.db(0x8b, 0x5f, 0), // mov ebx, [edi], of 3 bytes
  },
  {
    name: "compat: syscall + sysretl",
    ...{ long: true, compat: true, cpl: 3 },
    body: (a) => a.i.syscall(),
  },
  {
    name: "64-bit: pushfq + cli + popfq",
    long: true,
    body: (a) => {
      a.i.pushfq();
      a.i.cli();
      a.i.popfq();
    },
  },
  {
    name: "64-bit: mov cr3 + 32 pages",
    long: true,
    setup: (a) => a.i.mov(rbx, cr3),
    body: (a) => {
      a.i.mov(cr3, rbx);
      for (let n = 0; n < 32; n++) a.i.mov(eax, at(rsi, 4096 * n));
    },
  },
];

function measure(c: Case, base: number): number {
  const memory = new GuestMemory(RAM + tcgMemory(1) + (8 << 20));
  const mem = new AddressSpace("memory", 2 ** 40, 0xff), io = new AddressSpace("I/O", 65536, 0xff);
  const ram = memory.allocBlock("ram", RAM);
  const ops = { read: () => 0, write: () => {} };
  mem.map(ramRegion("ram", ram), 0);
  mem.map(ioRegion("device", 4096, ops), MMIO, 1);
  io.map(ioRegion("port", 4, ops), 0x80);
  const vm = new TcgVm({ memory, mem, io, clock: new ManualClock() });
  const model = {
    name: "bench",
    cpuid: () => ({ eax: 0, ebx: 0, ecx: 0, edx: 0 }),
    has: () => true,
  };
  const cpu = vm.createVcpu({ index: 0, apicId: 0, bsp: true, model });
  const bits = c.long ? 64 : 32, step = c.long ? 16 : 8;
  const a = new Assembler(c.compat ? 32 : bits, CODE);
  a.i.mov(esi, DATA);
  c.setup?.(a);
  a.i.mov(ebp, 0x7fffffff);
  a.label("again");
  c.body(a);
  a.i.dec(ebp);
  a.i.jnz("again");
  a.label("sub");
  a.i.ret();
  ram.u8.set(a.assemble().bytes, CODE);
  const v = ram.view;
  const handlers = new Assembler(bits, HANDLER);
  if (c.long) handlers.i.iretq();
  else handlers.i.iretd();
  handlers.align(16);
  // The page fault's handler steps over the MOV (5 or 3 bytes) and drops the error code.
  if (c.long) {
    handlers.db(0x83, 0x44, 0x24, 0x08, 0x03); // add dword [rsp+8], 3
    handlers.db(0x48, 0x83, 0xc4, 0x08); // add rsp, 8
    handlers.i.iretq();
  } else {
    handlers.db(0x83, 0x44, 0x24, 0x04, 0x05); // add dword [esp+4], 5
    handlers.db(0x83, 0xc4, 0x04); // add esp, 4
    handlers.i.iretd();
  }
  handlers.align(32);
  handlers.db(0x48, 0x0f, 0x07); // sysretq
  handlers.align(16);
  handlers.db(0x0f, 0x35); // sysexit
  handlers.align(16);
  handlers.db(0x0f, 0x07); // sysretl
  ram.u8.set(handlers.assemble().bytes, HANDLER);
  const descriptors = c.long
    ? [0x00af9b000000ffffn, 0x00cf93000000ffffn, 0x00affb000000ffffn, 0x00cff3000000ffffn]
    : [0x00cf9b000000ffffn, 0x00cf93000000ffffn, 0x00cffb000000ffffn, 0x00cff3000000ffffn];
  if (c.compat) descriptors[2] = 0x00cffb000000ffffn;
  // SYSRET wants its stack segment below its code segment.
  descriptors.push(0x00affb000000ffffn);
  descriptors.forEach((d, n) => v.setBigUint64(GDT + 8 + 8 * n, d, true));
  for (let n = 0; n < 0x41; n++) {
    v.setUint32(IDT + step * n, (8 << 16) | (n === 14 ? HANDLER + 16 : HANDLER), true);
    v.setUint32(IDT + step * n + 4, 0xee00, true);
  }
  v.setUint32(TSS + 4, STACK, true);
  v.setUint32(TSS + 8, c.long ? 0 : 16, true);
  // Linear addresses up to 256 MiB lie over the 40 MiB behind DATA again and again.
  const pages = (RAM - DATA) / 4096 - 64;
  for (let n = 0; n < 64; n++) v.setUint32(PD + 4 * n, (PT + 4096 * n) | 7, true);
  for (let n = 0; n < 65536; n++) {
    const p = n * 4096 < DATA ? n : (DATA >> 12) + (n - (DATA >> 12)) % pages;
    v.setUint32(PT + 4 * n, ((n === MMIO / 4096 ? n : p) << 12) | 7, true);
  }
  if (c.long) {
    v.setUint32(PML4, (PML4 + 0x1000) | 7, true);
    v.setUint32(PML4 + 0x1000, (PML4 + 0x2000) | 7, true);
    // The same page tables, read as 8-byte entries.
    for (let n = 0; n < 128; n++) v.setUint32(PML4 + 0x2000 + 8 * n, (PT + 4096 * n) | 7, true);
    for (let n = 65535; n >= 0; n--) {
      const e = v.getUint32(PT + 4 * n, true);
      v.setUint32(PT + 8 * n, e, true);
      v.setUint32(PT + 8 * n + 4, 0, true);
    }
  }
  const flat = {
    base: 0n,
    limit: 0xffffffff,
    s: 1,
    present: 1,
    avl: 0,
    l: 0,
    db: 1,
    g: 1,
    unusable: 0,
  };
  const dpl = c.cpl ?? 0, rpl = dpl, shift = dpl ? 16 : 0;
  const data = { ...flat, dpl, selector: (16 + shift) | rpl, type: 3 };
  cpu.setSregs({
    cr0: 0x80010011n,
    cr3: BigInt(c.long ? PML4 : PD),
    cr4: c.long ? 0x602a0n : 0x280n,
    efer: c.long ? 0x501n : 0n,
    gdt: { base: BigInt(GDT), limit: 47 },
    idt: { base: BigInt(IDT), limit: 0x41 * step - 1 },
    tr: { ...flat, s: 0, dpl: 0, selector: 8, type: 11, base: BigInt(TSS), limit: 0x67 },
    cs: {
      ...flat,
      dpl,
      selector: (8 + shift) | rpl,
      type: 11,
      ...(c.long && !c.compat ? { l: 1, db: 0 } : {}),
    },
    ds: data,
    es: data,
    ss: data,
    fs: data,
    gs: data,
  });
  cpu.setFpu({ xcr0: 7n });
  cpu.setMsr(0x174, 8n);
  cpu.setMsr(0x175, BigInt(STACK));
  cpu.setMsr(0x176, BigInt(HANDLER + 48));
  cpu.setMsr(0xc0000081, (0x18n << 48n) | (8n << 32n));
  cpu.setMsr(0xc0000082, BigInt(HANDLER + 32));
  cpu.setMsr(0xc0000083, BigInt(HANDLER + 64));
  cpu.setRegs({
    r15: 0x7ff00000n,
    rip: BigInt(CODE),
    rsp: BigInt(dpl ? USER_STACK : STACK),
    rflags: dpl ? 0x3002n : 2n,
  });
  let best = Infinity, slice = 20000;
  for (let n = 0; n < 12; n++) {
    const counter = () => Number(cpu.getRegs().rbp);
    const from = n === 0 ? 0x7fffffff : counter();
    const before = process.cpuUsage().user;
    cpu.run(slice);
    const us = process.cpuUsage().user - before;
    const rounds = from - counter();
    if (rounds > 0 && n > 1) best = Math.min(best, 1000 * us / rounds);
    // Slices of some 50 ms.
    slice = Math.min(
      50_000_000,
      Math.max(slice, Math.round(slice * Math.min(8, 50_000 / (us + 1)))),
    );
  }
  return best - base;
}

const wanted = Deno.args;
const base = measure(cases[0], 0);
console.log(`${"loop alone".padEnd(28)} ${base.toFixed(1).padStart(9)} ns`);
for (const c of cases.slice(1)) {
  if (wanted.length > 0 && !wanted.some((w) => c.name.includes(w))) continue;
  const ns = measure(c, base);
  console.log(`${c.name.padEnd(28)} ${ns.toFixed(1).padStart(9)} ns`);
}
