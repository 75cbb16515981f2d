import { assert, assertEquals } from "../std/assert.ts";
import { GuestFault, helperOf } from "../x86/cpu.ts";
import { deliver, deliverInterrupt, hasErrorCode } from "../x86/events.ts";
import type { Insn } from "../x86/insn.ts";
import * as S from "../x86/state.ts";
import { EVENT } from "./lower.ts";
import { bareVcpu } from "./testbed.ts";

const RAM = 0x80000, GDT = 0x3000, IDT = 0x4000, TSS = 0x5000, TABLES = 0x10000, STACKS = 0x20000;

const machine = () => bareVcpu(RAM);
type Machine = ReturnType<typeof machine>;

/** Deterministic random numbers. */
function random(seed: number) {
  return (n: number): number => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % n;
  };
}
type Random = (n: number) => number;

const KERNEL_CODE = 1, KERNEL_DATA = 2, USER_CODE = 3, USER_DATA = 4, ODD = 5;

/** What code is: of 32 bits, of 64, or programs' of 32 under a kernel's of 64. */
type Kind = "32-bit" | "64-bit" | "compatibility";

/** Descriptors: the usual four, and variations that the emitted code may not take for them. */
function descriptors(kind: Kind, rnd: Random): bigint[] {
  const narrow = 0x00cf9b000000ffffn, wide = 0x00af9b000000ffffn, data = 0x00cf93000000ffffn;
  const code = kind === "32-bit" ? narrow : wide, program = kind === "64-bit" ? wide : narrow;
  const user = 3n << 45n;
  const out = [0n, code, data, program | user, data | user];
  for (let n = ODD; n < 16; n++) {
    const d = out[1 + rnd(4)];
    out.push(d ^ (1n << BigInt([40, 41, 42, 43, 45, 46, 47, 53, 54, 55, 16, 3, 56][rnd(13)])));
  }
  return out;
}

/** Fills both machines' memory alike. */
function prepare(machines: readonly Machine[], kind: Kind, rnd: Random): void {
  const bytes = new Uint8Array(RAM), v = new DataView(bytes.buffer), long = kind !== "32-bit";
  descriptors(kind, rnd).forEach((d, n) => v.setBigUint64(GDT + 8 * n, d, true));
  const step = long ? 16 : 8;
  for (let n = 0; n < 48; n++) {
    const selector = 8 * (rnd(8) ? KERNEL_CODE : rnd(17)), at = IDT + step * n;
    const type = rnd(2) ? 14 : rnd(6) ? 15 : rnd(16), dpl = rnd(2) ? 3 : 0;
    v.setUint32(at, (selector << 16) | 0x6000 | rnd(4096), true);
    v.setUint8(at + 4, long && rnd(3) === 0 ? rnd(8) : 0);
    v.setUint8(at + 5, (rnd(12) ? 0x80 : 0) | (dpl << 5) | type);
    v.setUint16(at + 6, rnd(4), true);
    if (long) v.setUint32(at + 8, rnd(6) ? 0xffff8000 : rnd(2) ? 0 : 0x1234567, true);
  }
  for (let at = 0; at < 0x68; at += 8) {
    const stack = STACKS + rnd(0x8000);
    v.setUint32(TSS + at + 4, rnd(3) ? stack & ~15 : stack, true);
    v.setUint32(TSS + at + 8, long ? 0 : 8 * KERNEL_DATA, true);
  }
  if (!long) v.setUint32(TSS + 8, 8 * (rnd(6) ? KERNEL_DATA : rnd(16)), true);
  // Linear is physical, but for some stack pages.
  const pt = TABLES + (long ? 0x3000 : 0x1000), size = long ? 8 : 4;
  v.setUint32(TABLES, (TABLES + 0x1000) | 7, true);
  if (long) {
    v.setUint32(TABLES + 0x1000, (TABLES + 0x2000) | 7, true);
    v.setUint32(TABLES + 0x2000, pt | 7, true);
  }
  for (let n = 0; n < RAM >> 12; n++) {
    const stack = n >= STACKS >> 12 && n < (STACKS >> 12) + 8;
    v.setUint32(pt + size * n, (n << 12) | (stack && rnd(8) === 0 ? rnd(8) & ~2 : 7), true);
  }
  for (const m of machines) m.ram.u8.set(bytes);
}

function segment(attr: number, selector: number) {
  return {
    selector,
    base: 0n,
    limit: 0xffffffff,
    type: attr & 15,
    s: 1,
    dpl: selector & 3,
    present: 1,
    avl: 0,
    l: (attr >> 13) & 1,
    db: (attr >> 14) & 1,
    g: (attr >> 15) & 1,
    unusable: 0,
  };
}

/** Registers of a program at privilege `cpl`; `flags` without TF. */
function enter(m: Machine, kind: Kind, cpl: number, rsp: bigint, flags: number): void {
  const data = segment(0xc093, cpl ? 8 * USER_DATA | 3 : 8 * KERNEL_DATA);
  const long = kind !== "32-bit", narrow = kind !== "64-bit" && (!long || cpl === 3);
  m.cpu.reset();
  m.cpu.setSregs({
    cr3: BigInt(TABLES),
    cr4: long ? 0x20n : 0n,
    efer: long ? 0x500n : 0n,
    cr0: 0x80050011n,
    gdt: { base: BigInt(GDT), limit: 8 * 16 - 1 },
    idt: { base: BigInt(IDT), limit: 40 * (long ? 16 : 8) - 1 },
    tr: { ...segment(0x808b, 0x80), s: 0, base: BigInt(TSS), limit: 0x67 },
    cs: segment(narrow ? 0xc09b : 0xa09b, cpl ? 8 * USER_CODE | 3 : 8 * KERNEL_CODE),
    ss: data,
    ds: data,
    es: data,
    fs: data,
    gs: data,
  });
  m.cpu.setRegs({ rip: 0x7123n, rsp, rflags: BigInt(flags | 2) });
  // Jumps of this mode, and none of the other privilege.
  m.cpu.cpu.flushJumpCaches(true);
}

/** The vCPU's state, except for what the run loop alone looks at. */
function state(m: Machine): string {
  const c = m.cpu.cpu, out: string[] = [];
  for (let at = 0; at < 0x360; at += 4) {
    if (at === S.KICK || (at >= S.EXIT && at <= S.EXC_ERROR)) continue;
    if (at >= S.FLAG_RES && at < S.FLAG_SYS) continue;
    out.push(`${at.toString(16)}:${c.get32(at)}`);
  }
  return `${c.flags} ${out.join(" ")}`;
}

function sameMemory(a: Machine, b: Machine, what: string): void {
  for (let k = 0; k < RAM; k++) {
    if (a.ram.u8[k] !== b.ram.u8[k]) {
      assertEquals(`${k.toString(16)} ${a.ram.u8[k]}`, `${k.toString(16)} ${b.ram.u8[k]}`, what);
    }
  }
}

/** Runs it as `core/x86` does; false when it faults. */
function reference(f: () => unknown): boolean {
  try {
    return f() !== false;
  } catch (e) {
    if (e instanceof GuestFault) return false;
    throw e;
  }
}

const FLAGS = 0x40ad5;

function checkDelivery(kind: Kind, rounds: number): void {
  const rnd = random(kind.length * 8), a = machine(), b = machine();
  let quick = 0, total = 0;
  for (let round = 0; round < rounds; round++) {
    prepare([a, b], kind, rnd);
    for (let n = 0; n < 20; n++) {
      const cpl = rnd(2) ? 3 : 0, source = rnd(3), vector = rnd(5) ? rnd(32) : rnd(48);
      const rsp = BigInt(STACKS + rnd(0x8000)), flags = (rnd(65536) << 5 | rnd(32)) & FLAGS;
      const nt = rnd(9) === 0 ? 0x4000 : 0;
      for (const m of [a, b]) enter(m, kind, cpl, rsp, flags | nt);
      const withError = source === EVENT.EXCEPTION && hasErrorCode.has(vector);
      const error = withError ? rnd(64) : -1, before = state(a);
      const what = `${kind} round ${round}.${n}: vector ${vector} source ${source} cpl ${cpl}`;
      const done = a.vm.runtime.deliver(a.cpu.cpu.base, vector, error, source);
      total++;
      if (done === 0) {
        assertEquals(state(a), before, what);
        continue;
      }
      quick++;
      assert(
        reference(() =>
          source === EVENT.EXCEPTION
            ? deliver(b.cpu.cpu, vector, error)
            : deliverInterrupt(b.cpu.cpu, vector, source === EVENT.SOFTWARE)
        ),
        what,
      );
      assertEquals(state(a), state(b), what);
    }
    // What only one of them did not do is done again by both: bring the page tables in line.
    const tables = (m: Machine) => m.ram.u8.subarray(TABLES, STACKS);
    tables(b).set(tables(a));
    sameMemory(a, b, `${kind} round ${round}`);
  }
  assert(quick > total / 4 && quick < total, `${quick} of ${total}`);
}

function checkIret(kind: Kind, rounds: number): void {
  const long = kind !== "32-bit", compat = kind === "compatibility";
  const rnd = random(kind.length * 80), a = machine(), b = machine();
  const opSize = long ? 64 : 32, insn = { opSize, operands: [] } as unknown as Insn;
  let quick = 0, total = 0;
  for (let round = 0; round < rounds; round++) {
    prepare([a, b], kind, rnd);
    for (let n = 0; n < 20; n++) {
      const sp = STACKS + rnd(0x8000) & ~(long ? 7 : 3), w = long ? 8 : 4;
      const outer = rnd(2) === 1;
      const cs = rnd(8) ? (outer ? 8 * USER_CODE | 3 : 8 * KERNEL_CODE) : rnd(128);
      const ss = rnd(8)
        ? (outer ? 8 * USER_DATA | 3 : long && rnd(2) ? 0 : 8 * KERNEL_DATA)
        : rnd(128);
      // RF is dropped at once: nobody watches fetches here.
      const flags = (rnd(65536) << 6 | rnd(64)) & 0x3c7fff & (rnd(5) ? ~0x4100 : -1);
      const keep = rnd(3) === 0;
      for (const m of [a, b]) {
        enter(m, kind, 0, BigInt(sp), 0x202);
        // A program's own segments, or some that it may not keep.
        if (!keep && long) {
          const none = { ...segment(0, 0), present: 0, s: 0, type: 0, unusable: 1 };
          m.cpu.setSregs({ ds: none, es: none, fs: none, gs: none });
        } else if (!keep) {
          const data = segment(0xc093, 8 * USER_DATA | 3);
          m.cpu.setSregs({ ds: data, es: data, fs: data, gs: data });
        }
        const v = m.ram.view,
          put = (k: number, x: number) => {
            if (sp + w * k + 8 <= RAM) v.setUint32(sp + w * k, x, true);
            if (long) v.setUint32(sp + w * k + 4, compat && k === 3 ? 0x12345 : 0, true);
          };
        [0x7000 + n, cs, flags, 0x9000 + 16 * n, ss].forEach((x, k) => put(k, x));
      }
      if (rnd(20) === 0 && long) {
        for (const m of [a, b]) m.ram.view.setUint32(sp + 4, 0x8000, true);
      }
      const what = `${kind} round ${round}.${n}: cs ${cs} ss ${ss} flags ${flags.toString(16)}`;
      const before = state(a);
      total++;
      if (a.vm.runtime.iret(a.cpu.cpu.base, w) === 0) {
        assertEquals(state(a), before, what);
        continue;
      }
      quick++;
      const c = b.cpu.cpu;
      assert(reference(() => helperOf("IRET")(c, insn)), what);
      c.setFlags(0, S.Fl.RF);
      assertEquals(state(a), state(b), what);
    }
  }
  assert(quick > total / 5 && quick < total, `${quick} of ${total}`);
}

type Call = "SYSCALL" | "SYSRET" | "SYSENTER" | "SYSEXIT";

/** A fast system call, or the way back of one, from code of `kind`; `size` of its operand. */
function checkCall(name: Call, kind: Kind, size: 32 | 64, least: number): void {
  const rnd = random(name.length * 7 + size + kind.length), a = machine(), b = machine();
  const back = name === "SYSRET" || name === "SYSEXIT";
  const insn = { opSize: size, operands: [] } as unknown as Insn;
  let quick = 0;
  const total = 120;
  for (let n = 0; n < total; n++) {
    // With AC it is TypeScript that begins and ends alignment checks.
    const ac = rnd(8) === 0 ? S.Fl.AC : 0;
    const flags = (rnd(65536) << 6 | rnd(64)) & 0x387fd5 & ~0x100 | ac;
    const mask = BigInt(rnd(4) ? 0x257fd5 : rnd(65536) << 6 | rnd(64));
    const word = () => BigInt(rnd(65536)) << 8n;
    const star = word() << 40n | word() << 24n;
    const [sp, ip, rdx] = [word() | 1n << 40n, word() | 1n << 41n, word() | 1n << 40n];
    const rcx = rnd(6) ? word() : 0x800000000000n | word(),
      cs = BigInt(rnd(6) ? rnd(65536) : rnd(4));
    const amd = rnd(2);
    for (const m of [a, b]) {
      enter(m, kind, back ? 0 : 3, 0x8000n, flags);
      if (kind !== "32-bit") m.cpu.setMsr(0xc0000080, 0x501n);
      m.cpu.setMsr(0xc0000081, star);
      m.cpu.setMsr(0xc0000082, 0xffffffff81000000n);
      m.cpu.setMsr(0xc0000083, 0xffffffff82000000n);
      m.cpu.setMsr(0xc0000084, mask);
      m.cpu.setMsr(0x174, cs);
      m.cpu.setMsr(0x175, sp);
      m.cpu.setMsr(0x176, ip);
      m.cpu.setRegs({ rcx, rdx, r11: BigInt(flags & 0xffffff) });
      const model = amd ? MODELS.amd : MODELS.intel;
      Object.assign(m.cpu.cpu.env, { model, cpuid: () => model.cpuid() });
      m.cpu.cpu.set32(S.AMD_CALLS, amd);
    }
    const before = state(a), what = `${n}: ${amd} ${flags.toString(16)} ${mask.toString(16)} ${cs}`;
    const rt = a.vm.runtime, base = a.cpu.cpu.base;
    const done = {
      SYSCALL: () => rt.syscall(base),
      SYSRET: () => size === 64 ? rt.sysret(base) : rt.sysret32(base),
      SYSENTER: () => rt.sysenter(base),
      SYSEXIT: () => rt.sysexit(base),
    }[name]();
    if (done === 0) {
      assertEquals(state(a), before, what);
      continue;
    }
    quick++;
    assert(reference(() => helperOf(name)(b.cpu.cpu, insn)), what);
    assertEquals(state(a), state(b), what);
  }
  assert(quick > total * least && quick < total, `${quick} of ${total}`);
}

const vendor = (name: string, ebx: number) => ({
  name,
  cpuid: () => ({ eax: 0, ebx, ecx: 0, edx: 0 }),
  has: () => true,
});
const MODELS = { intel: vendor("Intel", 0x756e6547), amd: vendor("AMD", 0x68747541) };

for (
  const [name, kind, size, least] of [
    ["SYSCALL", "64-bit", 64, 0.5],
    ["SYSCALL", "compatibility", 32, 0.2],
    ["SYSRET", "64-bit", 64, 0.5],
    ["SYSRET", "compatibility", 32, 0.5],
    ["SYSENTER", "32-bit", 32, 0.5],
    ["SYSENTER", "64-bit", 64, 0.2],
    ["SYSENTER", "compatibility", 32, 0.2],
    ["SYSEXIT", "32-bit", 32, 0.5],
  ] as const
) {
  Deno.test(`emitted ${name} of ${size} bits agrees with TypeScript: ${kind}`, () => {
    checkCall(name, kind, size, least);
  });
}

for (const kind of ["32-bit", "64-bit", "compatibility"] as const) {
  Deno.test(`emitted event delivery agrees with TypeScript: ${kind}`, () => {
    checkDelivery(kind, 25);
  });
  Deno.test(`emitted IRET agrees with TypeScript: ${kind}`, () => checkIret(kind, 25));
}

Deno.test("jump caches of another mode keep an emitted return back", () => {
  const m = machine(), rnd = random(1), rt = m.vm.runtime, base = m.cpu.cpu.base;
  prepare([m], "64-bit", rnd);
  enter(m, "64-bit", 0, BigInt(STACKS), 0x202);
  const none = { ...segment(0, 0), present: 0, s: 0, type: 0, unusable: 1 };
  m.cpu.setSregs({ ds: none, es: none, fs: none, gs: none });
  [0x7000, 8 * USER_CODE | 3, 0x202, 0x9000, 8 * USER_DATA | 3].forEach((x, k) => {
    m.ram.view.setBigUint64(STACKS + 8 * k, BigInt(x), true);
  });
  const user = S.BANK + S.Bank.JC_MODE + 4, c = m.cpu.cpu;
  c.set32(user, 1);
  assertEquals(rt.iret(base, 8), 0);
  c.set32(user, -1);
  assertEquals(rt.iret(base, 8), 1);
  assertEquals(c.get32(user), c.mode & S.JUMP_MODE);
});
