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

/** Descriptors: the usual four, and variations that the emitted code may not take for them. */
function descriptors(long: boolean, rnd: Random): bigint[] {
  const code = long ? 0x00af9b000000ffffn : 0x00cf9b000000ffffn, data = 0x00cf93000000ffffn;
  const user = 3n << 45n;
  const out = [0n, code, data, code | user, data | user];
  for (let n = ODD; n < 16; n++) {
    const d = out[1 + rnd(4)];
    out.push(d ^ (1n << BigInt([40, 41, 42, 43, 45, 46, 47, 53, 54, 55, 16, 3, 56][rnd(13)])));
  }
  return out;
}

/** Fills both machines' memory alike. */
function prepare(machines: readonly Machine[], long: boolean, rnd: Random): void {
  const bytes = new Uint8Array(RAM), v = new DataView(bytes.buffer);
  descriptors(long, rnd).forEach((d, n) => v.setBigUint64(GDT + 8 * n, d, true));
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
function enter(m: Machine, long: boolean, cpl: number, rsp: bigint, flags: number): void {
  const data = segment(0xc093, cpl ? 8 * USER_DATA | 3 : 8 * KERNEL_DATA);
  m.cpu.reset();
  m.cpu.setSregs({
    cr3: BigInt(TABLES),
    cr4: long ? 0x20n : 0n,
    efer: long ? 0x500n : 0n,
    cr0: 0x80050011n,
    gdt: { base: BigInt(GDT), limit: 8 * 16 - 1 },
    idt: { base: BigInt(IDT), limit: 40 * (long ? 16 : 8) - 1 },
    tr: { ...segment(0x808b, 0x80), s: 0, base: BigInt(TSS), limit: 0x67 },
    cs: segment(long ? 0xa09b : 0xc09b, cpl ? 8 * USER_CODE | 3 : 8 * KERNEL_CODE),
    ss: data,
    ds: data,
    es: data,
    fs: data,
    gs: data,
  });
  m.cpu.setRegs({ rip: 0x7123n, rsp, rflags: BigInt(flags | 2) });
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

function checkDelivery(long: boolean, rounds: number): void {
  const rnd = random(long ? 64 : 32), a = machine(), b = machine();
  let quick = 0, total = 0;
  for (let round = 0; round < rounds; round++) {
    prepare([a, b], long, rnd);
    for (let n = 0; n < 20; n++) {
      const cpl = rnd(2) ? 3 : 0, source = rnd(3), vector = rnd(5) ? rnd(32) : rnd(48);
      const rsp = BigInt(STACKS + rnd(0x8000)), flags = (rnd(65536) << 5 | rnd(32)) & FLAGS;
      const nt = rnd(9) === 0 ? 0x4000 : 0;
      for (const m of [a, b]) enter(m, long, cpl, rsp, flags | nt);
      const withError = source === EVENT.EXCEPTION && hasErrorCode.has(vector);
      const error = withError ? rnd(64) : -1, before = state(a);
      const what = `${long} round ${round}.${n}: vector ${vector} source ${source} cpl ${cpl}`;
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
    sameMemory(a, b, `${long} round ${round}`);
  }
  assert(quick > total / 4 && quick < total, `${quick} of ${total}`);
}

function checkIret(long: boolean, rounds: number): void {
  const rnd = random(long ? 640 : 320), a = machine(), b = machine();
  const opSize = long ? 64 : 32, insn = { opSize, operands: [] } as unknown as Insn;
  let quick = 0, total = 0;
  for (let round = 0; round < rounds; round++) {
    prepare([a, b], long, rnd);
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
        enter(m, long, 0, BigInt(sp), 0x202);
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
            if (long) v.setUint32(sp + w * k + 4, 0, true);
          };
        [0x7000 + n, cs, flags, 0x9000 + 16 * n, ss].forEach((x, k) => put(k, x));
      }
      if (rnd(20) === 0 && long) {
        for (const m of [a, b]) m.ram.view.setUint32(sp + 4, 0x8000, true);
      }
      const what = `${long} round ${round}.${n}: cs ${cs} ss ${ss} flags ${flags.toString(16)}`;
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

Deno.test("emitted SYSCALL and SYSRET agree with TypeScript", () => {
  const rnd = random(7), a = machine(), b = machine();
  const insn = { opSize: 64, operands: [] } as unknown as Insn;
  let quick = 0, total = 0;
  for (let n = 0; n < 400; n++) {
    // With AC it is TypeScript that begins and ends alignment checks.
    const ac = rnd(8) === 0 ? S.Fl.AC : 0;
    const back = rnd(2) === 1, flags = (rnd(65536) << 6 | rnd(64)) & 0x387fd5 | ac;
    const mask = BigInt(rnd(4) ? 0x257fd5 : rnd(65536) << 6 | rnd(64));
    const star = BigInt(rnd(65536)) << 48n | BigInt(rnd(65536)) << 32n;
    const ip = rnd(6) ? BigInt(rnd(65536)) : 0x800000000000n;
    for (const m of [a, b]) {
      enter(m, true, back ? 0 : 3, 0x8000n, flags & ~0x100);
      m.cpu.setMsr(0xc0000080, 0x501n);
      m.cpu.setMsr(0xc0000081, star);
      m.cpu.setMsr(0xc0000082, 0xffffffff81000000n);
      m.cpu.setMsr(0xc0000084, mask);
      m.cpu.setRegs({ rcx: ip, r11: BigInt(flags) });
    }
    const before = state(a), what = `${n}: ${back} ${flags.toString(16)} ${mask.toString(16)}`;
    const rt = a.vm.runtime, base = a.cpu.cpu.base;
    total++;
    if ((back ? rt.sysret(base) : rt.syscall(base)) === 0) {
      assertEquals(state(a), before, what);
      continue;
    }
    quick++;
    assert(reference(() => helperOf(back ? "SYSRET" : "SYSCALL")(b.cpu.cpu, insn)), what);
    assertEquals(state(a), state(b), what);
  }
  assert(quick > total / 2 && quick < total, `${quick} of ${total}`);
});

Deno.test("emitted SYSENTER and SYSEXIT agree with TypeScript", () => {
  const rnd = random(9), a = machine(), b = machine();
  const insn = { opSize: 32, operands: [] } as unknown as Insn;
  let quick = 0, total = 0;
  for (let n = 0; n < 200; n++) {
    const back = rnd(2) === 1, long = rnd(8) === 0;
    const ac = rnd(8) === 0 ? S.Fl.AC : 0;
    const flags = (rnd(65536) << 6 | rnd(64)) & 0x387fd5 & ~0x100 | ac;
    const cs = BigInt(rnd(6) ? rnd(65536) : rnd(4)), word = () => BigInt(rnd(65536)) << 8n;
    const [sp, ip, rcx, rdx] = [word(), word(), word(), word() | 1n << 40n];
    for (const m of [a, b]) {
      enter(m, long, back ? 0 : 3, 0x8000n, flags);
      m.cpu.setMsr(0x174, cs);
      m.cpu.setMsr(0x175, sp);
      m.cpu.setMsr(0x176, ip);
      m.cpu.setRegs({ rcx, rdx });
    }
    const before = state(a), what = `${n}: ${back} ${flags.toString(16)} ${cs.toString(16)}`;
    const rt = a.vm.runtime, base = a.cpu.cpu.base;
    total++;
    if ((back ? rt.sysexit(base) : rt.sysenter(base)) === 0) {
      assertEquals(state(a), before, what);
      continue;
    }
    quick++;
    assert(reference(() => helperOf(back ? "SYSEXIT" : "SYSENTER")(b.cpu.cpu, insn)), what);
    assertEquals(state(a), state(b), what);
  }
  assert(quick > total / 2 && quick < total, `${quick} of ${total}`);
});

for (const long of [false, true]) {
  const mode = long ? "64-bit" : "32-bit";
  Deno.test(`emitted event delivery agrees with TypeScript: ${mode}`, () => {
    checkDelivery(long, 25);
  });
  Deno.test(`emitted IRET agrees with TypeScript: ${mode}`, () => checkIret(long, 25));
}
