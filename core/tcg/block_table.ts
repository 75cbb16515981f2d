/**
 * Where emitted code finds translations without the run loop: a table of blocks by the storage address
 * of their first byte. It outlives every change of the address space, for which the jump caches are
 * emptied, and holds far more than they do.
 */
import type { GuestMemory } from "../memory/guest_memory.ts";
import { type AddressType, I32, I64, load } from "../wasm/expr.ts";
import { call, type Callee, FunctionBuilder } from "../wasm/func.ts";
import type { ModuleBuilder } from "../wasm/module.ts";
import * as S from "../x86/state.ts";
import { Mode } from "../x86/state.ts";
import { hostAt, loadAddend, low32 } from "./lower.ts";
import { FILL, WANT } from "./walker.ts";

const ENTRIES = 1 << 15, SIZE = 32;
/**
 * Offsets in an entry: storage address (0: empty), translation mode, IP, first record, and the storage
 * address's upper half, which counts in a memory64.
 */
const HOST = 0, MODE = 4, IP = 8, REC = 16, HOST_HIGH = 20;

/** What of the vCPU's mode a block does not depend on. */
export const MODE_ANY = Mode.CPL3;

/** What the table has to know of a block. */
export interface TableBlock {
  readonly rec: number;
  readonly host: number;
  readonly mode: number;
  readonly key: { readonly ip: number; readonly ipHi: number };
}

export class BlockTable {
  /** Where it lies in the shared memory. */
  readonly offset: number;
  readonly #i32: Int32Array;

  constructor(memory: GuestMemory) {
    this.offset = memory.alloc(ENTRIES * SIZE, 64);
    this.#i32 = new Int32Array(memory.buffer, this.offset, ENTRIES * SIZE / 4);
  }

  #at(b: TableBlock): number {
    const { host } = b;
    return ((host ^ (host >>> 15) ^ (b.key.ip >>> 9)) & (ENTRIES - 1)) * (SIZE / 4);
  }

  put(b: TableBlock): void {
    const e = this.#at(b), i32 = this.#i32;
    i32[e + HOST / 4] = b.host;
    i32[e + HOST_HIGH / 4] = b.host / 2 ** 32;
    i32[e + MODE / 4] = b.mode;
    i32[e + IP / 4] = b.key.ip;
    i32[e + IP / 4 + 1] = b.key.ipHi;
    i32[e + REC / 4] = b.rec;
  }

  drop(b: TableBlock): void {
    const e = this.#at(b);
    if (this.#i32[e + REC / 4] === b.rec) {
      this.#i32[e + HOST / 4] = this.#i32[e + HOST_HIGH / 4] = 0;
    }
  }

  clear(): void {
    this.#i32.fill(0);
  }
}

/**
 * (cpu, RIP, its entry of the jump cache) → the record to go on with, which the jump cache then has
 * too; 0 when the run loop must look. Code with a base or a limit is the run loop's.
 */
export const FIND: Callee = {
  name: "find",
  type: { params: ["i32", "i64", "i32"], results: ["i32"] },
};

/**
 * Adds {@link FIND} for the table at `offset`.
 * @param type what storage addresses are
 */
export function addFind(m: ModuleBuilder, type: AddressType, offset: number): void {
  const f = new FunctionBuilder(FIND.name, FIND.type);
  const cpu = f.param(0, "i32"), rip = f.param(1, "i64"), jump = f.param(2, "i32");
  const mode = f.let(load("i32.load", cpu, S.MODE));
  f.if(mode.and(2 | Mode.CS_FLAT).eqz(), () => f.return(I32.of(0)));
  const lo = f.let(rip.wrap()), page = f.let(rip.and(I64.of(-4096)));
  const entry = f.let(
    load("i32.load", cpu, S.TLB_PTR).add(lo.shr_u(12).and(S.TLB_ENTRIES - 1).shl(5)),
  );
  const hit = (): I32 => load("i64.load", entry, S.TLB_EXEC).eq(page);
  const user = f.let(load("i32.load", cpu, S.CPL).eq(3));
  f.ifRare(hit().eqz(), () => {
    const want = user.shl(2).or(WANT.EXEC);
    f.if(call(FILL, "i32", cpu, lo, rip.shr_u(32).wrap(), want).eqz(), () => {
      f.return(I32.of(0));
    });
    f.if(hit().eqz(), () => f.return(I32.of(0)));
  });
  const full = f.let(hostAt(type, lo, loadAddend(type, entry)));
  const host = f.let(low32(full));
  const b = f.let(host.xor(host.shr_u(15)).xor(lo.shr_u(9)).and(ENTRIES - 1).mul(SIZE).add(offset));
  let place = load("i32.load", b, HOST).eq(host);
  if (full.type === "i64") {
    place = place.and(load("i64.load32_u", b, HOST_HIGH).eq((full as I64).shr_u(32)));
  }
  const same = place.and(load("i32.load", b, MODE).eq(mode.and(~MODE_ANY)))
    .and(load("i64.load", b, IP).eq(rip));
  f.ifRare(same.eqz(), () => f.return(I32.of(0)));

  const legacy = f.let(mode.and(2).eqz());
  f.store("i64.store", jump, rip.or(legacy.select(rip.shl(32), I64.of(0))));
  const rec = f.let(load("i32.load", b, REC));
  f.store("i32.store", jump, rec, 8);
  const bank = f.let(load("i32.load", cpu, S.TLB_SYS_PTR));
  const global = f.let(load("i32.load", entry, S.TLB_PHYS).and(S.TLB_FLAGS.GLOBAL).ne(0));
  const listed = f.let(
    global.select(I32.of(S.JC_STATE.LISTED_GLOBAL), I32.of(S.JC_STATE.LISTED)),
  );
  const was = f.let(load("i32.load", jump, 12).and(S.JC_STATE.LISTED | S.JC_STATE.LISTED_GLOBAL));
  f.if(was.and(listed).eqz(), () => {
    const counter = f.let(bank.add(global.shl(2)));
    const count = f.let(load("i32.load", counter, S.Bank.JC_COUNT));
    const list = bank.add(global.mul(S.Bank.JC_GLOBALS - S.Bank.JC_LIST));
    const n = jump.sub(bank.add(S.Bank.JC)).shr_u(4);
    f.store("i32.store16", list.add(count.shl(1)), n, S.Bank.JC_LIST);
    f.store("i32.store", counter, count.add(1), S.Bank.JC_COUNT);
  });
  const state = was.or(listed).or(global.select(I32.of(S.JC_STATE.GLOBAL), I32.of(0)));
  f.store("i32.store", jump, state, 12);
  const at = bank.add(lo.shr_u(12).and(S.JC_PAGES_ENTRIES - 1));
  f.store("i32.store8", at, I32.of(1), S.Bank.JC_PAGES);
  f.return(rec);
  m.add(f, undefined, FIND.name, FIND);
}
