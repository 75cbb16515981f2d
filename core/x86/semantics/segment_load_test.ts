import { assert, assertEquals } from "../../std/assert.ts";
import { bareVcpu } from "../../tcg/testbed.ts";
import { GuestFault } from "../cpu.ts";
import { loadSegment } from "../segments.ts";
import * as S from "../state.ts";

const CODE = 0x1000, HANDLER = 0x2000, GDT = 0x3000, IDT = 0x4000, STACK = 0x8000, TSS = 0x5000;
const ENTRIES = 64;

type Kind = "real" | "protected" | "64-bit";

const machine = () => bareVcpu(1 << 20);
type Machine = ReturnType<typeof machine>;

/** Deterministic random numbers. */
function random(seed: number) {
  return (n: number): number => {
    seed = (Math.imul(seed, 1664525) + 1013904223) | 0;
    return Math.floor(((seed >>> 4) / 2 ** 28) * n);
  };
}

/** Brings a machine into a mode, with descriptors; the data segments hold what `data` names. */
function setup(m: Machine, kind: Kind, gdt: readonly bigint[], cpl: number, data: number): void {
  const { cpu, ram } = m, v = ram.view;
  ram.u8.fill(0);
  gdt.forEach((d, n) => v.setBigUint64(GDT + 8 * n, d, true));
  const long = kind === "64-bit", step = long ? 16 : 8;
  for (let n = 0; n < 32; n++) {
    ram.u8[HANDLER + n] = 0xf4;
    v.setUint32(IDT + step * n, (8 << 16) | (HANDLER + n), true);
    v.setUint32(IDT + step * n + 4, 0xee00, true);
  }
  // Linear is physical, by 2 MiB pages.
  v.setUint32(0x10000, 0x11007, true);
  v.setUint32(0x11000, 0x12007, true);
  v.setUint32(0x12000, 0x87, true);
  v.setUint32(TSS + 4, STACK, true);
  v.setUint32(TSS + 8, 16, true);
  cpu.reset();
  const code = kind === "real" ? 0 : long ? 0xa09b : 0xc09b;
  const seg = (attr: number, selector: number, limit = 0xffffffff) => ({
    selector,
    base: 0n,
    limit,
    type: attr & 15,
    s: 1,
    dpl: cpl,
    present: 1,
    avl: 0,
    l: (attr >> 13) & 1,
    db: (attr >> 14) & 1,
    g: (attr >> 15) & 1,
    unusable: 0,
  });
  if (kind === "real") {
    cpu.setSregs({ cs: { ...seg(0x9b, 0, 0xffff), dpl: 0 } });
  } else {
    const flat = seg(0xc093, 16), odd = { ...flat, limit: 0xfffff, base: 0x1230n };
    cpu.setSregs({
      cr3: 0x10000n,
      cr4: long ? 0x20n : 0n,
      efer: long ? 0x500n : 0n,
      cr0: long ? 0x80000011n : 0x11n,
      gdt: { base: BigInt(GDT), limit: 8 * ENTRIES - 1 },
      idt: { base: BigInt(IDT), limit: 32 * step - 1 },
      cs: seg(code, 8 | cpl),
      tr: { ...seg(0x808b, 24, 0x67), s: 0, base: BigInt(TSS) },
      ss: flat,
      ds: data ? odd : flat,
      es: flat,
      fs: odd,
      gs: flat,
    });
  }
  cpu.setRegs({ rip: BigInt(CODE), rsp: BigInt(STACK), rflags: 2n });
}

/** MOV to ES, DS, FS, GS from AX, and POP of them. */
const MOV: Record<number, number[]> = { 0: [0xc0], 3: [0xd8], 4: [0xe0], 5: [0xe8] };
const POP: Record<number, number[]> = { 0: [0x07], 3: [0x1f], 4: [0x0f, 0xa1], 5: [0x0f, 0xa9] };

function describe(m: Machine, fault: string): string {
  const c = m.cpu.cpu, words: number[] = [];
  for (let at = S.SEGS; at < S.SEGS + 6 * S.SEG_SIZE; at += 4) {
    // CS and SS belong to the exception.
    const n = (at - S.SEGS) / S.SEG_SIZE | 0;
    if (n !== 1 && n !== 2) words.push(c.get32(at));
  }
  return `${fault} mode ${fault ? 0 : c.mode} ${words}`;
}

function check(kind: Kind, seed: number, rounds: number): void {
  const rnd = random(seed), a = machine(), b = machine();
  let faults = 0, loads = 0;
  for (let round = 0; round < rounds; round++) {
    const gdt = Array.from({ length: ENTRIES }, () => {
      const accessed = rnd(5) ? 1n : 0n, kindBits = rnd(3) ? 0x12n : BigInt(rnd(32));
      const access = accessed | (kindBits & 0x1en) | BigInt(rnd(4) << 5) | (rnd(9) ? 0x80n : 0n);
      const flat = rnd(2) === 0;
      const limit = flat ? 0xfffffn : BigInt(rnd(0x100000)), flags = BigInt(rnd(16));
      const base = flat ? 0n : BigInt(rnd(0x10000)) << 12n | 0x77n;
      return (limit & 0xffffn) | (base & 0xffffffn) << 16n | access << 40n |
        (limit >> 16n) << 48n | (flat ? flags | 8n : flags) << 52n | (base >> 24n) << 56n;
    });
    gdt[1] = kind === "64-bit" ? 0x00af9b000000ffffn : 0x00cf9b000000ffffn;
    gdt[2] = 0x00cf93000000ffffn;
    const cpl = kind === "protected" && round % 3 === 0 ? 3 : 0;
    for (const m of [a, b]) setup(m, kind, gdt, cpl, round & 1);
    const { cs, ss } = a.cpu.getSregs();
    for (let n = 0; n < 24; n++) {
      const seg = [0, 3, 4, 5][rnd(4)], pop = rnd(2) === 1 && (kind !== "64-bit" || seg > 3);
      const selector = rnd(12) === 0 ? rnd(4) : rnd(kind === "real" ? 65536 : 8 * ENTRIES + 16);
      a.cpu.setRegs({ rax: BigInt(selector), rip: BigInt(CODE), rsp: BigInt(STACK) });
      a.ram.view.setUint32(STACK, selector, true);
      const bytes = pop ? POP[seg] : [0x8e, ...MOV[seg]];
      // The same code bytes are seldom translated anew: each choice has a place of its own.
      const at = CODE + 16 * (seg + (pop ? 8 : 0));
      a.ram.u8.set([...bytes, 0xeb, 0xfe], at);
      a.cpu.setRegs({ rip: BigInt(at) });
      a.cpu.run(20);
      const rip = Number(a.cpu.getRegs().rip);
      let got = "";
      if (rip > HANDLER && rip <= HANDLER + 32) {
        const sp = Number(a.cpu.getRegs().rsp);
        a.cpu.setSregs({ cs, ss });
        got = `fault ${rip - HANDLER - 1} ${a.ram.view.getUint32(sp, true)}`;
      } else assertEquals(rip, at + bytes.length);
      let want = "";
      try {
        loadSegment(b.cpu.cpu, seg, selector);
      } catch (e) {
        assert(e instanceof GuestFault);
        want = `fault ${e.vector} ${e.error}`;
      }
      const what = `${kind} seed ${seed} round ${round}.${n}: ${pop ? "pop" : "mov"} ${seg}, ` +
        selector.toString(16);
      assertEquals(describe(a, got), describe(b, want), what);
      if (got === "") {
        loads++;
        const step = !pop ? 0 : kind === "real" ? 2 : kind === "64-bit" ? 8 : 4;
        assertEquals(a.cpu.getRegs().rsp, BigInt(STACK + step), what);
      } else faults++;
      a.cpu.mpState = "runnable";
    }
    // The accessed bits.
    const table = (m: Machine) => [...m.ram.u8.subarray(GDT, GDT + 8 * ENTRIES)].join();
    assertEquals(table(a), table(b));
  }
  assert(loads > rounds * 5 && (kind === "real" || faults > rounds * 4), `${loads} ${faults}`);
}

for (const kind of ["real", "protected", "64-bit"] as const) {
  Deno.test(`emitted loads of segment registers agree with the helper: ${kind}`, () => {
    check(kind, kind.length * 31, 25);
  });
}
