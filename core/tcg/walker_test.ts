import { AddressSpace } from "../memory/address_space.ts";
import { GuestMemory, type RamBlock } from "../memory/guest_memory.ts";
import { ioRegion, ramRegion } from "../memory/region.ts";
import { assert, assertEquals } from "../std/assert.ts";
import { reloadPdptes } from "../x86/control.ts";
import { Cpu, type CpuEnv, GuestFault } from "../x86/cpu.ts";
import * as S from "../x86/state.ts";
import { ACCESS } from "./lower.ts";
import { Mmu } from "./mmu.ts";
import { PhysMap } from "./physmap.ts";
import { buildRuntime, type RuntimeExports } from "./runtime.ts";
import { WANT } from "./walker.ts";

const RAM = 0x40000, ROM = 0x80000, DEVICE = 0x90000, VRAM = 0xa0000;
const PG = 0x80000000, WP = 0x10000;

/**
 * A vCPU's memory with a machine around it; `emitted`: accesses begin in WebAssembly; `far`: in a
 * memory64 whose 4 GiB line goes through RAM, which is seen a second time above the guest's 4 GiB.
 */
class Bed {
  readonly cpu: Cpu;
  readonly mmu: Mmu;
  readonly map: PhysMap;
  readonly ram: RamBlock;
  readonly rom: RamBlock;
  readonly vram: RamBlock;
  readonly memory: GuestMemory;
  readonly words: Int32Array;
  readonly rt: RuntimeExports;
  readonly log: string[] = [];
  slow = 0;
  #fault = "";

  constructor(readonly emitted: boolean, readonly far = false) {
    const memory = this.memory = far ? new GuestMemory(2 ** 32 + RAM) : new GuestMemory(16 << 20);
    this.words = new Int32Array(memory.buffer);
    const space = new AddressSpace("memory", 2 ** 40, 0xff);
    this.map = new PhysMap(memory, space);
    this.cpu = new Cpu(memory, memory.alloc(S.STATE_BYTES, 4096));
    if (far) {
      memory.allocBlock("behind", memory.buffer.byteLength - (2 ** 32 - 0x8000 + RAM));
    }
    this.ram = memory.allocBlock("ram", RAM);
    if (far) space.map(ramRegion("alias", this.ram), 2 ** 32);
    this.rom = memory.allocBlock("rom", 0x8000);
    this.vram = memory.allocBlock("vram", 0x8000);
    space.map(ramRegion("ram", this.ram), 0);
    space.map(ramRegion("rom", this.rom, { readonly: true }), ROM);
    space.map(ramRegion("vram", this.vram, { dirtyLog: true }), VRAM);
    const ops = {
      read: (at: number, size: number) => (this.log.push(`r${at},${size}`), at * 7 + size),
      write: (at: number, size: number, v: number) => void this.log.push(`w${at},${size},${v}`),
    };
    space.map(ioRegion("device", 0x4000, ops), DEVICE);
    this.map.rebuild();
    this.cpu.env = {
      model: { name: "test", cpuid: () => undefined, has: () => true },
    } as unknown as CpuEnv;
    this.mmu = new Mmu(this.cpu, this.map, {
      invalidate: (host, n) => void this.log.push(`code ${host},${n}`),
    });
    this.cpu.env = { ...this.cpu.env, mem: this.mmu, phys: space };
    this.cpu.set32(S.A20_MASK, -1);
    this.cpu.setCpl(0);
    const pages = memory.buffer.byteLength / 65536;
    const { pages: count, granules } = this.map;
    const tables = { pages: this.map.offset, count, granules, blocks: 0 };
    const module = new WebAssembly.Module(
      buildRuntime({ initial: pages, maximum: pages, address: memory.address }, tables),
    );
    const env = {
      memory: memory.memory,
      table: new WebAssembly.Table({ initial: 1, element: "anyfunc" }),
      probeSlow: (_cpu: number, _rec: number, lo: number, hi: number, access: number) => {
        this.slow++;
        return this.#typescript(lo, hi, access);
      },
      commitSlow: () => this.mmu.commit(),
      helper: () => 0,
      helperEnd: () => {},
    };
    this.rt = new WebAssembly.Instance(module, { env }).exports as unknown as RuntimeExports;
  }

  #typescript(lo: number, hi: number, access: number): number {
    try {
      return this.mmu.probe(lo, hi, access);
    } catch (e) {
      if (!(e instanceof GuestFault)) throw e;
      this.#fault = `fault ${e.vector} ${e.error} ${this.cpu.get64(S.CR2)}`;
      return 0;
    }
  }

  /** Makes an access as emitted code does; gives what it saw. */
  access(lo: number, hi: number, access: number, pattern: number): string {
    this.#fault = "";
    const lin = (BigInt.asUintN(32, BigInt(hi)) << 32n) | BigInt(lo >>> 0);
    const base = this.cpu.base, n = access & 0xff;
    const host = this.emitted
      ? Number((this.rt.probe as (...a: unknown[]) => number | bigint)(base, 0, lin, access))
      : this.#typescript(lo, hi, access);
    if (host === 0) {
      if (this.#fault !== "") return this.#fault;
      assertEquals(this.cpu.get32(S.EXIT), S.Exit.EXCEPTION);
      const vector = this.cpu.get32(S.EXC_VECTOR), error = this.cpu.get32(S.EXC_ERROR);
      return `fault ${vector} ${error} ${this.cpu.get64(S.CR2)}`;
    }
    const seen = access & ACCESS.READ ? [...this.memory.u8.subarray(host, host + n)].join() : "";
    if (access & ACCESS.WRITE) {
      for (let k = 0; k < n; k++) this.memory.u8[host + k] = pattern + k;
      if (host === base + S.BOUNCE) {
        if (this.emitted) this.rt.commit(base, 0);
        else this.mmu.commit();
      }
    }
    return `ok ${seen}`;
  }

  /** A fetch's translation. */
  fetch(lo: number, hi: number, user: boolean): string {
    this.#fault = "";
    if (this.emitted) {
      const want = WANT.EXEC | (user ? WANT.USER : 0);
      if (this.rt.fill(this.cpu.base, lo, hi, want) !== 0) {
        return String(this.mmu.translate(lo, hi, "exec", user));
      }
    }
    try {
      return String(this.mmu.translate(lo, hi, "exec", user));
    } catch (e) {
      if (!(e instanceof GuestFault)) throw e;
      return `fault ${e.vector} ${e.error} ${this.cpu.get64(S.CR2)}`;
    }
  }
}

/** Deterministic random numbers. */
function random(seed: number) {
  return (n: number): number => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % n;
  };
}

type Mode = "none" | "32-bit" | "PAE" | "4-level" | "5-level";

interface Setup {
  mode: Mode;
  cr0: number;
  cr4: number;
  efer: number;
  ac: boolean;
  pkru: number;
  a20: number;
}

function setup(b: Bed, s: Setup): void {
  const cpu = b.cpu;
  cpu.set64(S.CR0, BigInt((s.cr0 | 1 | (s.mode === "none" ? 0 : PG)) >>> 0));
  cpu.set64(S.CR3, 0x1000n);
  cpu.set64(S.CR4, BigInt(s.cr4 >>> 0));
  cpu.set64(S.EFER, BigInt(s.efer));
  cpu.set32(S.FLAG_SYS, s.ac ? S.Fl.AC : 0);
  cpu.set32(S.PKRU, s.pkru);
  cpu.set32(S.A20_MASK, s.a20);
  const code = s.mode === "4-level" || s.mode === "5-level" ? 0x20 : 0x40;
  cpu.setSegment(1, 8, 0, 0xffffffff, 0x809b | (code === 0x20 ? 1 << 13 : 1 << 14));
  cpu.updateMode();
}

/** Where translated code is: page and bytes. */
type Code = readonly [page: number, from: number, to: number][];

function prepare(b: Bed, bytes: Uint8Array, rom: Uint8Array, code: Code): void {
  b.ram.u8.set(bytes);
  b.rom.u8.set(rom);
  b.vram.u8.fill(0x55);
  for (let p = 0; p < RAM >> 12; p++) b.map.setCode(b.ram.offset + p * 4096, false);
  for (const [page, from, to] of code) {
    const at = b.ram.offset + page * 4096;
    b.map.setCode(at, true);
    b.map.addCode(at + from, at + to);
  }
  reloadPdptes(b.cpu);
  b.mmu.flush();
  b.slow = 0;
  b.log.length = 0;
}

/** Random tables in the first pages of RAM and ROM: the entries of each page point to any of them. */
function tables(
  rnd: (n: number) => number,
  mode: Mode,
  tidy: boolean,
  size: number,
  far: boolean,
): Uint8Array {
  const pae = mode === "PAE", wide = mode !== "32-bit" && mode !== "none";
  const out = new Uint8Array(size), v = new DataView(out.buffer);
  for (let at = 0; at < size; at += wide ? 8 : 4) {
    if (at >= 0x10000 && rnd(8) !== 0) continue;
    const where = tidy ? 9 : rnd(wide ? 80 : 24);
    const page = where === 0
      ? DEVICE + 0x1000 * rnd(3)
      : where === 1
      ? ROM + 0x1000 * rnd(4)
      : where === 2
      ? VRAM + 0x1000 * rnd(4)
      : where === 3
      ? 0x7000000
      : 0x1000 * (1 + rnd(rnd(4) ? 15 : 40));
    // With more levels to go through, each goes wrong more rarely.
    const seldom = wide ? 5 : 1;
    let e = page | (rnd(12 * seldom) === 0 && !tidy ? 0 : 1);
    for (const bit of [2, 4]) if (rnd(5 * seldom) !== 0) e |= bit;
    if (rnd(2)) e |= 0x20;
    if (rnd(2)) e |= 0x40;
    if (rnd(6 * seldom) === 0) e = (e & ~(rnd(4) ? 0x1fe000 : 0)) | 0x80;
    if (rnd(2)) e |= 0x100;
    if (rnd(9) === 0) e |= 0xe00;
    // The four page-directory-pointer entries of PAE refuse more bits.
    if (pae && at >= 0x1000 && at < 0x1020 && rnd(8) !== 0) e &= ~0x1e6;
    v.setUint32(at, e, true);
    if (!wide) continue;
    let high = far && rnd(3) === 0 ? 1 : 0;
    if (rnd(60) === 0) high |= 0x80000000;
    if (rnd(200) === 0) high |= 1 << rnd(32);
    if (rnd(6) === 0 && !pae) high |= rnd(16) << 27;
    v.setUint32(at + 4, high, true);
  }
  return out;
}

/** Where the two differ between these offsets from the vCPU's state. */
function differ(a: Bed, b: Bed, from: number, to: number): string {
  const start = (a.cpu.base + from) / 4, n = (to - from) / 4;
  const x = a.words, y = b.words;
  for (let k = start; k < start + n; k++) {
    if (x[k] !== y[k]) return `${from + 4 * (k - start)}: ${x[k]} ${y[k]}`;
  }
  return "";
}

function compare(mode: Mode, seed: number, rounds: number, accesses: number, far: boolean) {
  const rnd = random(seed);
  const a = new Bed(true, far), b = new Bed(false, far);
  const wide = mode !== "32-bit" && mode !== "none";
  const ram = a.ram.offset - a.cpu.base;
  let slow = 0, total = 0, faults = 0, quick = 0, done = 0;
  for (let round = 0; round < rounds; round++) {
    const tidy = rnd(4) === 0;
    const bytes = tables(rnd, mode, tidy, RAM, far);
    const rom = tables(rnd, mode, tidy, 0x8000, far);
    const code: [number, number, number][] = [];
    for (let n = rnd(5); n > 0; n--) {
      const from = rnd(4000);
      code.push([rnd(32), from, from + 1 + rnd(95)]);
    }
    const bit = (m: number, of = 2) => rnd(of) === 0 ? m : 0;
    const s: Setup = {
      mode,
      cr0: bit(WP),
      cr4: bit(0x10) | bit(0x80) | bit(0x100000, 4) | bit(0x200000, 4) | bit(0x400000, 4) |
        (wide ? 0x20 : 0) | (mode === "5-level" ? 0x1000 : 0),
      efer: bit(0x800) | (wide && mode !== "PAE" ? 0x500 : 0),
      ac: rnd(2) === 0,
      pkru: rnd(3) === 0 ? (rnd(65536) << 16) | rnd(65536) : 0,
      a20: rnd(20) === 0 ? ~(1 << 20) : -1,
    };
    for (const m of [a, b]) {
      setup(m, s);
      prepare(m, bytes, rom, code);
    }
    const lins: [number, number][] = [];
    for (let n = 0; n < 12; n++) {
      const lo = (rnd(4) << 30) | (rnd(rnd(2) ? 4 : 512) << 21) | (rnd(rnd(2) ? 8 : 512) << 12);
      const high = mode === "4-level" || mode === "5-level";
      const hi = !high ? 0 : rnd(12) === 0 ? rnd(0x20000) : (rnd(2) ? -1 : 0) << 15 | rnd(64);
      lins.push([mode === "none" ? (rnd(2) ? rnd(0x3f) : rnd(0xb0)) << 12 : lo, hi]);
    }
    for (let n = 0; n < accesses; n++) {
      const [page, hi] = lins[rnd(lins.length)];
      const lo = page | (rnd(3) === 0 ? 4096 - rnd(20) & 0xfff : rnd(4096));
      const cpl = rnd(2) ? 3 : 0;
      const what = `${mode} seed ${seed} round ${round} access ${n}: ${hi}:${lo >>> 0} cpl ${cpl}`;
      for (const m of [a, b]) if (m.cpu.cpl !== cpl) m.cpu.setCpl(cpl);
      total++;
      const kind = rnd(8);
      if (kind === 0) {
        assertEquals(a.fetch(lo, hi, cpl === 3), b.fetch(lo, hi, cpl === 3), what);
      } else if (kind === 1 && rnd(4) === 0) {
        for (const m of [a, b]) m.mmu.flushPage((BigInt(hi) << 32n) | BigInt(lo >>> 0));
      } else if (kind === 2 && rnd(8) === 0) {
        for (const m of [a, b]) m.mmu.flush(true);
      } else {
        const access = [1, 2, 4, 8, 16, 10][rnd(6)] | [
          ACCESS.READ,
          ACCESS.WRITE,
          ACCESS.READ | ACCESS.WRITE,
        ][rnd(3)] | (rnd(6) === 0 ? ACCESS.SYSTEM : 0);
        const before = a.slow, pattern = rnd(256);
        const got = a.access(lo, hi, access, pattern);
        const message = `${what} access ${access.toString(16)}`;
        assertEquals(got, b.access(lo, hi, access, pattern), message);
        if (got.startsWith("fault")) {
          faults++;
          quick += a.slow === before ? 1 : 0;
        } else {
          done++;
          slow += a.slow - before;
        }
      }
      assertEquals(a.log, b.log, what);
      if (n % 16 !== 15 && n !== accesses - 1) continue;
      // The TLB, its lists and large-page bits; not the jump caches between them.
      assertEquals(differ(a, b, S.TLB, S.JC), "", `${what}: TLB`);
      assertEquals(differ(a, b, S.BANK + S.Bank.TLB_LIST, S.STATE_BYTES), "", `${what}: lists`);
      assertEquals(differ(a, b, ram, ram + RAM), "", `${what}: RAM`);
    }
    assertEquals(a.vram.u8, b.vram.u8);
    assertEquals(a.rom.u8, b.rom.u8);
  }
  return { slow, total, faults, quick, done };
}

const ROUNDS: readonly (readonly [mode: Mode, rounds: number, far?: boolean])[] = [
  ["none", 12],
  ["32-bit", 40],
  ["PAE", 40],
  ["4-level", 50],
  ["5-level", 6],
  ["none", 4, true],
  ["32-bit", 10, true],
  ["PAE", 20, true],
  ["4-level", 30, true],
  ["5-level", 6, true],
];
for (const [mode, rounds, far = false] of ROUNDS) {
  Deno.test(`the emitted walk agrees with TypeScript: ${mode}${far ? ", memory64" : ""}`, () => {
    const r = compare(mode, mode.length * 7919, rounds, 60, far);
    assert(r.done > r.total / 8, `only ${r.done} of ${r.total} accesses were made`);
    if (mode !== "none") assert(r.faults > r.total / 20, `${r.faults} faults`);
    if (mode !== "none" && mode !== "5-level") {
      assert(r.quick > r.faults / 3, `only ${r.quick} of ${r.faults} faults were raised at once`);
    }
    // What succeeds in plain storage stays out of TypeScript: the rest is devices, code and ROM.
    if (mode !== "5-level") assert(r.slow < r.done / 2, `${r.slow} slow of ${r.done}`);
  });
}

/** A bed with one 32-bit page table that maps linear page n to physical page `pages[n]`. */
function mapped(pages: readonly number[], flags = 7): Bed {
  const b = new Bed(true);
  setup(b, { mode: "32-bit", cr0: WP, cr4: 0x90, efer: 0, ac: false, pkru: 0, a20: -1 });
  const v = b.ram.view;
  v.setUint32(0x1000, 0x2007, true);
  pages.forEach((p, n) => v.setUint32(0x2000 + 4 * n, (p << 12) | flags, true));
  b.mmu.flush();
  return b;
}

Deno.test("accessed and dirty bits are set by what needs them", () => {
  const b = mapped([8, 9]);
  const pte = (n: number) => b.ram.view.getUint32(0x2000 + 4 * n, true) & 0x60;
  b.access(0, 0, 4 | ACCESS.READ, 0);
  assertEquals([pte(0), pte(1)], [0x20, 0]);
  b.access(0, 0, 4 | ACCESS.WRITE, 0);
  b.access(0x1000, 0, 4 | ACCESS.WRITE, 0);
  assertEquals([pte(0), pte(1)], [0x60, 0x60]);
  assertEquals(b.ram.view.getUint32(0x1000, true) & 0x60, 0x20);
  assertEquals(b.slow, 0);
});

Deno.test("a store beside translated code stays out of TypeScript, one into it does not", () => {
  const b = mapped([8]);
  b.map.setCode(b.ram.offset + 0x8000, true);
  b.map.addCode(b.ram.offset + 0x8100, b.ram.offset + 0x8104);
  b.access(0x80, 0, 4 | ACCESS.WRITE, 1);
  b.access(0x180, 0, 4 | ACCESS.WRITE, 1);
  assertEquals([b.slow, b.log.length], [0, 0]);
  // The granule of the code, but not its bytes: TypeScript looks closer, and asks the watcher.
  b.access(0x17c, 0, 8 | ACCESS.WRITE, 1);
  b.access(0x100, 0, 4 | ACCESS.READ | ACCESS.WRITE, 1);
  assertEquals([b.slow, b.log.length], [2, 2]);
  assertEquals([...b.ram.u8.subarray(0x8180, 0x8184)], [5, 6, 7, 8]);
  // Without code stores go through the TLB again.
  b.map.setCode(b.ram.offset + 0x8000, false);
  b.access(0x100, 0, 4 | ACCESS.WRITE, 1);
  assertEquals(b.slow, 2);
  assertEquals(b.cpu.get32(S.TLB + S.TLB_WRITE), 0);
});

Deno.test("an access across pages joins and splits its bytes", () => {
  const b = mapped([12, 8, 9]);
  b.ram.u8.set([1, 2], 0xcffe);
  b.ram.u8.set([3, 4], 0x8000);
  assertEquals(b.access(0xffe, 0, 4 | ACCESS.READ, 0), "ok 1,2,3,4");
  assertEquals(b.access(0xffd, 0, 4 | ACCESS.WRITE, 10), "ok ");
  assertEquals([...b.ram.u8.subarray(0xcffd, 0xd000)], [10, 11, 12]);
  assertEquals([...b.ram.u8.subarray(0x8000, 0x8002)], [13, 4]);
  // Neighbours in storage.
  b.access(0x1ffc, 0, 8 | ACCESS.READ | ACCESS.WRITE, 20);
  assertEquals([...b.ram.u8.subarray(0x8ffc, 0x9004)], [20, 21, 22, 23, 24, 25, 26, 27]);
  assertEquals(b.slow, 0);
  // The second page is missing: nothing is written.
  assertEquals(b.access(0x2ffe, 0, 4 | ACCESS.WRITE, 30), "fault 14 2 12288");
  assertEquals([...b.ram.u8.subarray(0x9ffe, 0xa000)], [0, 0]);
});

Deno.test("global pages outlive a CR3 write, INVLPG reaches all of a large page", () => {
  const b = mapped([8, 9]);
  const read = (lin: number) => b.cpu.get32(S.TLB + (lin >>> 12) * S.TLB_ENTRY);
  b.ram.view.setUint32(0x2004, 0x9107, true);
  b.access(0, 0, 1 | ACCESS.READ, 0);
  b.access(0x1000, 0, 1 | ACCESS.READ, 0);
  b.mmu.flush(true);
  assertEquals([read(0), read(0x1000)], [-1, 0x1000]);
  b.mmu.flush();
  assertEquals([read(0), read(0x1000)], [-1, -1]);
  // A 4 MiB page at 4 MiB.
  b.ram.view.setUint32(0x1004, 0x87, true);
  b.access(0x400000, 0, 1 | ACCESS.READ, 0);
  b.access(0x401000, 0, 1 | ACCESS.READ, 0);
  b.access(0x2000, 0, 1 | ACCESS.READ, 0);
  b.mmu.flushPage(0x41f000);
  assertEquals([read(0), read(0x1000)], [-1, -1]);
  assertEquals(b.slow, 0);
});

Deno.test("jump caches forget single pages and keep global code", () => {
  const b = mapped([8, 9]), cpu = b.cpu;
  const put = (eip: number, global: boolean) => {
    cpu.eip = eip;
    cpu.cacheJump(0x1230, global);
  };
  const entry = (eip: number) => S.JC + ((eip ^ (eip >>> 11)) & (S.JC_ENTRIES - 1)) * S.JC_ENTRY;
  const has = (eip: number) =>
    cpu.get32(entry(eip)) === eip && cpu.get32(entry(eip) + 4) === eip &&
    cpu.get32(entry(eip) + 8) === 0x1230;
  const all = [0x1008, 0x2010, 0x2020, 0];
  all.forEach((eip, n) => put(eip, n === 1));
  assertEquals(all.map(has), [true, true, true, true]);
  b.mmu.flushPage(0x1000);
  assertEquals(all.map(has), [false, true, true, true]);
  b.mmu.flush(true);
  assertEquals(all.map(has), [false, true, false, false]);
  b.mmu.flush();
  assertEquals(all.map(has), [false, false, false, false]);
  // No jump target has the tag of an empty entry.
  assertEquals(cpu.get32(S.JC), 1);
  put(0, false);
  cpu.flushJumpCaches();
  assertEquals([cpu.get32(S.JC), cpu.get32(S.JC + S.JC_BYTES)], [1, 1]);
});
