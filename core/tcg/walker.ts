/**
 * The memory slow path of emitted code, itself emitted: it walks the page tables, fills the TLB, sets
 * accessed and dirty bits, joins the parts of an access that crosses a page, stores beside translated
 * code, and raises the page faults of absent pages and missing rights. With device registers, tables
 * above 4 GiB (unless the memory is a memory64), reserved bits, protection keys or a store into translated code it changes nothing that
 * matters and asks {@link Mmu}, the authority, to do the access again. Intel SDM volume 3, chapter 4.
 */
import { type AddressType, type AnyInt, asAddress, I32, load } from "../wasm/expr.ts";
import { call, type Callee, FunctionBuilder, type Label, type Local } from "../wasm/func.ts";
import type { ModuleBuilder } from "../wasm/module.ts";
import type { ValType } from "../wasm/opcodes.ts";
import * as S from "../x86/state.ts";
import { Bank, Fl, Mode } from "../x86/state.ts";
import { ACCESS, hostAt, loadAddend, low32, tlbEntry } from "./lower.ts";
import { GRANULE_SHIFT, Page, WORD_PAGE_SHIFT } from "./physmap.ts";

/** Where the tables of {@link PhysMap} and the block table lie in the shared memory. */
export interface WalkerTables {
  readonly blocks: number;
  readonly pages: number;
  /** How many pages have a word; the one behind them is 0. */
  readonly count: number;
  readonly granules: number;
}

/**
 * What an access wants of a translation. The low two bits give the TLB entry's tag. An implicit access
 * is one to system data, where EFLAGS.AC does not override SMAP.
 */
export const WANT = { READ: 0, WRITE: 1, EXEC: 2, USER: 4, IMPLICIT: 8 } as const;

const callee = (name: string, ...params: ValType[]): Callee => ({
  name,
  type: { params, results: ["i32"] },
});

/**
 * (cpu, linear low, linear high, {@link WANT}) → the page's word of {@link PhysMap}, with the TLB
 * filled; 0 when TypeScript must look.
 */
export const FILL = callee("fill", "i32", "i32", "i32", "i32");
/** (storage address, bytes) → 1 when translated code may have been made from one of them. */
export const CODE_IN: Record<AddressType, Callee> = {
  i32: callee("codeIn", "i32", "i32"),
  i64: callee("codeIn", "i64", "i32"),
};
/** (word of the page, storage address, value) → 1 when a paging-structure word was written. */
const MARK: Record<AddressType, Callee> = {
  i32: callee("mark", "i32", "i32", "i32"),
  i64: callee("mark", "i32", "i64", "i32"),
};

const CR0_WP = 0x10000, CR0_PG = 0x80000000;
const CR4_PSE = 0x10, CR4_PAE = 0x20, CR4_PGE = 0x80, CR4_LA57 = 0x1000;
const CR4_SMEP = 0x100000, CR4_SMAP = 0x200000, CR4_PKE = 0x400000;
const EFER_NXE = 0x800;
/** Bits of a paging-structure entry. */
const PTE = { P: 1, RW: 2, US: 4, A: 0x20, D: 0x40, PS: 0x80, G: 0x100 } as const;

/** The storage address `offset` bytes into the page of a word of {@link PhysMap}. */
export function pageHost(host: AddressType, word: I32, offset: I32): AnyInt {
  return host === "i64"
    ? word.shr_u(WORD_PAGE_SHIFT).extend_u().shl(12).add(offset.extend_u())
    : word.and(-4096).add(offset);
}

/**
 * Adds the functions that this file emits besides `probe`, `look` and `commit`.
 * @param host what storage addresses are
 */
export function addWalker(m: ModuleBuilder, host: AddressType, tables: WalkerTables): void {
  const codeIn = CODE_IN[host], mark = MARK[host];
  const f = new FunctionBuilder(codeIn.name, codeIn.type);
  emitCodeIn(f, host, tables);
  m.add(f, undefined, codeIn.name, codeIn);
  const g = new FunctionBuilder(mark.name, mark.type);
  emitMark(g, host);
  m.add(g, undefined, mark.name, mark);
  const h = new FunctionBuilder(FILL.name, FILL.type);
  new FillEmitter(h, host, tables).emit();
  m.add(h, undefined, FILL.name, FILL);
}

function emitCodeIn(f: FunctionBuilder, type: AddressType, tables: WalkerTables): void {
  const host: AnyInt = f.param(0, type), bytes = f.param(1, "i32");
  const bit = (at: AnyInt): I32 =>
    load("i32.load", at.shr_u(12).shl(2), tables.granules)
      .shr_u(low32(at.shr_u(GRANULE_SHIFT)).and(31));
  // An access is shorter than a granule: its ends tell.
  f.return(bit(host).or(bit(f.let(host.add(asAddress(type, bytes)).sub(1)))).and(1));
}

function emitMark(f: FunctionBuilder, type: AddressType): void {
  const word = f.param(0, "i32"), host = f.param(1, type);
  f.if(word.and(Page.READONLY).ne(0), () => f.return(I32.of(0)));
  f.if(word.and(Page.CODE).ne(0), () => {
    f.if(call(CODE_IN[type], "i32", host, I32.of(4)), () => f.return(I32.of(0)));
  });
  f.store("i32.store", host, f.param(2, "i32"));
  f.return(I32.of(1));
}

class FillEmitter {
  readonly #cpu: I32;
  readonly #lo: I32;
  readonly #hi: I32;
  readonly #want: I32;
  readonly #cr4: Local<"i32">;
  /** Entries on the way ANDed together: U/S and R/W; their upper halves ORed: NX. */
  readonly #rights: Local<"i32">;
  readonly #nx: Local<"i32">;
  /** Upper half of the last entry: its protection key. */
  readonly #high: Local<"i32">;
  /** Storage word and address of the last entry, and its low half. */
  readonly #word: Local<"i32">;
  readonly #at: Local<AddressType>;
  readonly #entry: Local<"i32">;
  /** 32-bit paging: the entry above a page's; `at` is 0 when its accessed bit need not be set. */
  readonly #upper: { word: Local<"i32">; at: Local<AddressType>; entry: Local<"i32"> };
  /** Physical addresses are as wide as those of storage: what needs more is TypeScript's. */
  readonly #phys: Local<AddressType>;
  readonly #flags: Local<"i32">;
  readonly #write: Local<"i32">;
  readonly #exec: Local<"i32">;
  /** A user page that the supervisor may touch only while AC is set. */
  readonly #smap: Local<"i32">;

  constructor(
    readonly f: FunctionBuilder,
    readonly host: AddressType,
    readonly tables: WalkerTables,
  ) {
    this.#cpu = f.param(0, "i32");
    this.#lo = f.param(1, "i32");
    this.#hi = f.param(2, "i32");
    this.#want = f.param(3, "i32");
    const l = () => f.local("i32"), a = () => f.local(host);
    [this.#cr4, this.#rights, this.#nx, this.#word, this.#at] = [l(), l(), l(), l(), a()];
    [this.#entry, this.#phys, this.#flags, this.#write, this.#exec] = [l(), a(), l(), l(), l()];
    this.#upper = { word: l(), at: a(), entry: l() };
    [this.#smap, this.#high] = [l(), l()];
  }

  #giveUp(): void {
    this.f.return(I32.of(0));
  }
  #giveUpIf(cond: I32): void {
    this.f.if(cond, () => this.#giveUp());
  }
  /** The access faults when `cond`. 32-bit paging sets accessed bits together with the leaf's. */
  #faultIf(cond: I32, present: 0 | 1): void {
    this.f.if(cond, () => {
      // A fetch's error code depends on more.
      this.#giveUpIf(this.#want.and(WANT.EXEC).ne(0));
      const error = this.#want.and(WANT.WRITE).shl(1).or(this.#want.and(WANT.USER)).or(present);
      this.f.store("i32.store", this.#cpu, error, S.WALK_ERROR);
      this.#giveUp();
    });
  }
  #markUpper(): void {
    const { word, at, entry } = this.#upper;
    this.f.if(at.get().ne(0), () => {
      const marked = entry.get().or(PTE.A);
      this.#giveUpIf(call(MARK[this.host], "i32", word.get(), at.get(), marked).eqz());
    });
  }
  #state(at: number): I32 {
    return load("i32.load", this.#cpu, at);
  }
  /** The word of the page at a physical address. */
  #pageWord(phys: AnyInt): I32 {
    const page = phys.shr_u(12);
    if (page.type === "i32") return load("i32.load", page.shl(2), this.tables.pages);
    const n = this.f.let(low32(page)), count = I32.of(this.tables.count);
    return load("i32.load", n.lt_u(count).select(n, count).shl(2), this.tables.pages);
  }
  #a20(phys: AnyInt): AnyInt {
    const { host } = this;
    return phys.and(
      host === "i64" ? load("i64.load32_s", this.#cpu, S.A20_MASK) : this.#state(S.A20_MASK),
    );
  }

  emit(): void {
    const f = this.f, lo = this.#lo, want = this.#want;
    f.store("i32.store", this.#cpu, I32.of(-1), S.WALK_ERROR);
    // Data breakpoints are TypeScript's.
    this.#giveUpIf(this.#state(S.WATCHED).ne(0));
    // Pages that AC has opened must be closed first.
    this.#giveUpIf(want.and(WANT.IMPLICIT).ne(0).and(this.#state(S.SMAP_PAGES).ne(0)));
    const bank = f.let(this.#state(S.TLB_SYS_PTR));
    const entry = f.let(
      want.and(WANT.USER).ne(0).select(I32.of(S.TLB_ENTRIES), I32.of(0))
        .add(lo.shr_u(12).and(S.TLB_ENTRIES - 1)),
    );
    const slot = f.let(bank.add(entry.shl(5)));
    const page = f.let(lo.and(-4096));
    this.#hit(slot, page);

    f.block((translated) => {
      f.if(this.#state(S.CR0).and(CR0_PG).eqz(), () => {
        this.#phys.set(this.#wide(lo));
        this.#write.set(I32.of(1));
        this.#exec.set(I32.of(1));
        f.br(translated);
      });
      this.#cr4.set(this.#state(S.CR4));
      this.#rights.set(I32.of(-1));
      f.block((leaf) => {
        f.if(this.#cr4.get().and(CR4_PAE).eqz(), () => {
          this.#twoLevels();
          f.br(leaf);
        });
        this.#eightByteLevels(leaf);
      });
      this.#leaf();
    });

    const phys = f.let(this.#a20(this.#phys.get()));
    const word = f.let(this.#pageWord(phys));
    this.#enter(bank, entry, slot, page, phys, word);
    f.return(word);
  }

  /** A valid translation stands in the TLB: pages with code, page crossings and pages without storage. */
  #hit(slot: I32, page: I32): void {
    const f = this.f;
    const at = f.let(slot.add(this.#want.and(3).shl(3)));
    const tag = f.let(load("i32.load", at));
    f.if(tag.and(~(S.TLB_CODE | S.TLB_SLOW)).eq(page), () => {
      const same = this.#state(S.MODE).and(Mode.LONG).eqz()
        .or(load("i32.load", at, 4).eq(this.#hi));
      f.if(same, () => {
        const p = f.let(load("i32.load", slot, S.TLB_PHYS).and(S.TLB_PAGE_MASK));
        this.#giveUpIf(p.ge_u(this.host === "i64" ? this.tables.count : 1 << 20));
        const word = f.let(load("i32.load", p.shl(2), this.tables.pages));
        // A page whose code is gone gets an entry that stores go through again.
        f.if(
          tag.and(S.TLB_CODE).eqz().or(word.and(Page.CODE).ne(0)),
          () => f.return(word),
        );
      });
    });
  }

  /** Reads the entry at `phys` into {@link #word} and {@link #at}. */
  #find(phys: AnyInt): void {
    const at = this.f.let(this.#a20(phys));
    this.#word.set(this.#pageWord(at));
    this.#giveUpIf(this.#word.get().eqz());
    this.#at.set(pageHost(this.host, this.#word.get(), low32(at).and(0xfff)) as I32);
  }

  /** A physical address below 4 GiB. */
  #wide(phys: I32): I32 {
    return asAddress(this.host, phys) as I32;
  }

  /** 32-bit paging: SDM 4.3. */
  #twoLevels(): void {
    const f = this.f, lo = this.#lo;
    this.#find(this.#wide(this.#state(S.CR3).and(-4096).add(lo.shr_u(22).shl(2))));
    const pde = f.let(load("i32.load", this.#at.get()));
    this.#faultIf(pde.and(PTE.P).eqz(), 0);
    this.#rights.set(pde);
    this.#entry.set(pde);
    f.if(
      pde.and(PTE.PS).ne(0).and(this.#cr4.get().and(CR4_PSE).ne(0)),
      () => {
        // Bit 21 is reserved; bits 20:13 are address bits 39:32.
        this.#giveUpIf(pde.and(0x3fe000).ne(0));
        this.#phys.set(this.#wide(pde.and(0xffc00000).or(lo.and(0x3fffff))));
        this.#flags.set(I32.of(S.TLB_FLAGS.LARGE));
      },
      () => {
        this.#markLater();
        this.#find(this.#wide(pde.and(-4096).add(lo.shr_u(12).and(0x3ff).shl(2))));
        const pte = f.let(load("i32.load", this.#at.get()));
        this.#faultIf(pte.and(PTE.P).eqz(), 0);
        this.#rights.set(this.#rights.get().and(pte));
        this.#entry.set(pte);
        this.#phys.set(this.#wide(pte.and(-4096).or(lo.and(0xfff))));
      },
    );
  }

  /** The last entry's accessed bit is to be set when the leaf has been found good. */
  #markLater(): void {
    const { word, at, entry } = this.#upper;
    this.f.if(this.#entry.get().and(PTE.A).eqz(), () => {
      word.set(this.#word.get());
      at.set(this.#at.get());
      entry.set(this.#entry.get());
    });
  }

  /** PAE and 4-level paging: SDM 4.4, 4.5. */
  #eightByteLevels(leaf: Label): void {
    const f = this.f, lo = this.#lo, hi = this.#hi, far = this.host === "i64";
    const table = f.local(this.host);
    /** Physical address bits 39:32 of what an entry names, where they are not TypeScript's. */
    const above = far ? 0xff : 0;
    /** The physical address in the last entry: its bits that are in `mask`, 32 bits wide. */
    const named = (mask: number): AnyInt => {
      const low = this.#entry.get().and(mask);
      return far ? low.extend_u().or(this.#high.get().and(above).extend_u().shl(32)) : low;
    };
    const nxOff = f.let(this.#state(S.EFER).and(EFER_NXE).eqz());
    /** Bits 62:32 of an entry that must be 0 here. */
    const reserved = f.local("i32");
    /** Reads an entry. */
    const take = (index: I32) => {
      this.#find((table.get() as AnyInt).add(this.#wide(index.shl(3))));
      this.#entry.set(load("i32.load", this.#at.get()));
      this.#high.set(load("i32.load", this.#at.get(), 4));
      const high = this.#high.get();
      this.#faultIf(this.#entry.get().and(PTE.P).eqz(), 0);
      // Reserved, or an address that is too high, or NX while it is off.
      this.#giveUpIf(high.and(reserved.get()).or(high.shr_u(31).and(nxOff)).ne(0));
      this.#rights.set(this.#rights.get().and(this.#entry.get()));
      this.#nx.set(this.#nx.get().or(high));
    };
    /** Goes down a level from an entry that names a table. */
    const descend = () => {
      f.if(this.#entry.get().and(PTE.A).eqz(), () => {
        const marked = this.#entry.get().or(PTE.A);
        this.#giveUpIf(
          call(MARK[this.host], "i32", this.#word.get(), this.#at.get(), marked).eqz(),
        );
      });
      table.set(named(-4096) as I32);
    };
    const large = (bits: number, flag: number) => {
      f.if(this.#entry.get().and(PTE.PS).ne(0), () => {
        const inside = 2 ** bits - 1;
        this.#giveUpIf(this.#entry.get().and(inside & ~0x1fff).ne(0));
        this.#phys.set(named(~inside).or(this.#wide(lo.and(inside))) as I32);
        this.#flags.set(I32.of(flag));
        f.br(leaf);
      });
    };

    f.if(this.#state(S.MODE).and(Mode.LONG).ne(0), () => {
      reserved.set(I32.of(0x000fffff & ~above));
      const five = f.let(this.#cr4.get().and(CR4_LA57).ne(0));
      this.#giveUpIf(
        this.#state(S.CR3 + 4).and(0xfffff & ~above).ne(0)
          .or(hi.shr_s(five.select(I32.of(24), I32.of(15))).ne(hi.shr_s(31))),
      );
      table.set(
        far
          ? load("i64.load", this.#cpu, S.CR3).and(0xff_ffff_f000n) as AnyInt as I32
          : this.#state(S.CR3).and(-4096),
      );
      f.if(five, () => {
        take(hi.shr_u(16).and(0x1ff));
        this.#giveUpIf(this.#entry.get().and(PTE.PS).ne(0));
        descend();
      });
      take(hi.shr_u(7).and(0x1ff));
      this.#giveUpIf(this.#entry.get().and(PTE.PS).ne(0));
      descend();
      take(hi.shl(2).or(lo.shr_u(30)).and(0x1ff));
      this.#giveUpIf(
        this.#entry.get().and(PTE.PS).ne(0).and(this.#state(S.HUGE_PAGES).eqz()),
      );
      large(30, S.TLB_FLAGS.HUGE);
      descend();
    }, () => {
      reserved.set(I32.of(0x7fffffff & ~above));
      // The page-directory-pointer entries are in registers; they have neither rights nor an accessed bit.
      const pdpte = f.let(this.#cpu.add(lo.shr_u(30).shl(3)));
      this.#entry.set(load("i32.load", pdpte, S.PDPTE));
      this.#high.set(load("i32.load", pdpte, S.PDPTE + 4));
      this.#faultIf(this.#entry.get().and(PTE.P).eqz(), 0);
      this.#giveUpIf(this.#high.get().and(reserved.get()).ne(0));
      table.set(named(-4096) as I32);
    });
    take(lo.shr_u(21).and(0x1ff));
    large(21, S.TLB_FLAGS.LARGE);
    descend();
    take(lo.shr_u(12).and(0x1ff));
    this.#phys.set(named(-4096).or(this.#wide(lo.and(0xfff))) as I32);
  }

  /** Checks the rights, sets accessed and dirty bits. SDM 4.6, 4.8. */
  #leaf(): void {
    const f = this.f, want = this.#want, entry = this.#entry;
    const user = f.let(want.and(WANT.USER).ne(0));
    const write = f.let(want.and(WANT.WRITE).ne(0));
    const exec = f.let(want.and(WANT.EXEC).ne(0));
    const us = f.let(this.#rights.get().and(PTE.US).ne(0));
    // Supervisor stores ignore R/W while CR0.WP is clear.
    const writable = f.let(
      this.#rights.get().and(PTE.RW).ne(0)
        .or(user.or(this.#state(S.CR0).and(CR0_WP)).eqz()),
    );
    this.#exec.set(
      this.#nx.get().shr_u(31)
        .or(this.#cr4.get().and(CR4_SMEP).ne(0).and(us).and(user.eqz())).eqz(),
    );
    const keys = this.#state(S.MODE).and(Mode.LONG).ne(0).and(us);
    f.if(this.#cr4.get().and(CR4_PKE).ne(0).and(keys), () => {
      // Pages whose key takes rights away are TypeScript's.
      const key = this.#high.get().shr_u(27).and(15);
      this.#giveUpIf(this.#state(S.PKRU).shr_u(key.shl(1)).and(3).ne(0));
    });
    this.#faultIf(user.and(us.eqz()).or(write.and(writable.eqz())), 1);
    this.#giveUpIf(exec.and(this.#exec.get().eqz()));
    f.if(this.#cr4.get().and(CR4_SMAP).ne(0).and(us).and(user.eqz()), () => {
      // With AC clear nothing but code may be fetched, and the data tags stay empty: too rare for here.
      this.#giveUpIf(this.#state(S.FLAG_SYS).and(Fl.AC).eqz().or(want.and(WANT.IMPLICIT).ne(0)));
      this.#giveUpIf(this.#state(S.SMAP_PAGES).ge_u(S.SMAP_LIST_ENTRIES));
      this.#smap.set(I32.of(1));
    });
    this.#markUpper();
    const mark = f.let(entry.get().or(PTE.A).or(write.select(I32.of(PTE.D), I32.of(0))));
    f.if(mark.ne(entry.get()), () => {
      this.#giveUpIf(call(MARK[this.host], "i32", this.#word.get(), this.#at.get(), mark).eqz());
    });
    f.if(mark.and(PTE.G).ne(0).and(this.#cr4.get().and(CR4_PGE).ne(0)), () => {
      this.#flags.set(this.#flags.get().or(S.TLB_FLAGS.GLOBAL));
    });
    // Until a first write sets the dirty bit, writes keep coming here.
    this.#write.set(mark.and(PTE.D).ne(0).and(writable));
  }

  /** Names the entry in the list of its kind, as {@link Mmu} does. */
  #list(bank: I32, entry: I32): void {
    const f = this.f;
    const global = f.let(this.#flags.get().and(S.TLB_FLAGS.GLOBAL).ne(0));
    const bit = f.let(global.add(1)), listed = f.let(bank.add(entry));
    const was = f.let(load("i32.load8_u", listed, Bank.TLB_LISTED));
    f.if(was.and(bit).eqz(), () => {
      f.store("i32.store8", listed, was.or(bit), Bank.TLB_LISTED);
      const counter = f.let(bank.add(global.shl(2)));
      const count = f.let(load("i32.load", counter, Bank.TLB_COUNT));
      f.store("i32.store", counter, count.add(1), Bank.TLB_COUNT);
      const list = bank.add(global.mul(Bank.TLB_GLOBALS - Bank.TLB_LIST));
      f.store("i32.store16", list.add(count.shl(1)), entry, Bank.TLB_LIST);
    });
    f.if(this.#flags.get().and(S.TLB_FLAGS.LARGE | S.TLB_FLAGS.HUGE).ne(0), () => {
      const chunks = bank.add(global.mul(Bank.GLOBAL_CHUNKS - Bank.CHUNKS));
      const chunk = f.let(this.#lo.shr_u(22).xor(this.#hi).and(1023));
      const at = f.let(chunks.add(chunk.shr_u(5).shl(2)));
      const bits = load("i32.load", at, Bank.CHUNKS).or(I32.of(1).shl(chunk));
      f.store("i32.store", at, bits, Bank.CHUNKS);
      f.if(this.#flags.get().and(S.TLB_FLAGS.HUGE).ne(0), () => {
        f.store("i32.store", bank, I32.of(1), Bank.HUGE_USED);
      });
    });
  }

  /** Fills the TLB entry as {@link Mmu} does. */
  #enter(bank: I32, entry: I32, slot: I32, page: I32, phys: AnyInt, word: I32): void {
    const f = this.f, cpu = this.#cpu, hi = this.#hi;
    this.#list(bank, entry);
    f.if(this.#smap.get(), () => {
      const count = f.let(load("i32.load", cpu, S.SMAP_PAGES));
      f.store("i32.store16", cpu.add(count.shl(1)), entry, S.SMAP_LIST);
      f.store("i32.store", cpu, count.add(1), S.SMAP_PAGES);
    });
    const slow = f.let(word.eqz().select(I32.of(S.TLB_SLOW), I32.of(0)));
    const slowWrite = word.and(Page.READONLY).ne(0).select(
      I32.of(S.TLB_SLOW),
      word.and(Page.CODE).ne(0).select(I32.of(S.TLB_CODE), slow),
    );
    const tag = (may: I32, low: I32) => may.select(page.or(low), I32.of(-1));
    f.store("i32.store", slot, page.or(slow), S.TLB_READ);
    f.store("i32.store", slot, tag(this.#write.get(), slowWrite), S.TLB_WRITE);
    f.store("i32.store", slot, tag(this.#exec.get(), slow), S.TLB_EXEC);
    for (const at of [S.TLB_READ, S.TLB_WRITE, S.TLB_EXEC]) f.store("i32.store", slot, hi, at + 4);
    const addend = this.host === "i64"
      ? word.shr_u(WORD_PAGE_SHIFT).sub(page.shr_u(12))
      : word.and(-4096).sub(page);
    f.store("i32.store", slot, addend, S.TLB_ADDEND);
    f.store("i32.store", slot, low32(phys.shr_u(12)).or(this.#flags.get()), S.TLB_PHYS);
  }
}

/**
 * Body of `look`: (cpu, linear address, access) → the host address of bytes that can be accessed in
 * place, or 0: the guest has seen nothing then.
 */
export function emitLook(f: FunctionBuilder, type: AddressType): void {
  const cpu = f.param(0, "i32"), lin = f.param(1, "i64"), access = f.param(2, "i32");
  const lo = f.let(lin.wrap()), offset = f.let(lo.and(0xfff)), bytes = f.let(access.and(0xff));
  const none = asAddress(type, I32.of(0));
  f.if(offset.add(bytes).gt_u(4096), () => f.return(none));
  const write = f.let(access.and(ACCESS.WRITE).ne(0));
  const entry = f.let(tlbEntry(cpu, lo));
  const tag = load("i64.load", entry.add(write.shl(3)), S.TLB_READ);
  f.if(tag.eq(lin.and(-4096)), () => f.return(hostAt(type, lo, loadAddend(type, entry))));
  const user = load("i32.load", cpu, S.CPL).eq(3);
  const word = f.let(
    call(FILL, "i32", cpu, lo, lin.shr_u(32).wrap(), write.or(user.shl(2))),
  );
  f.if(word.eqz(), () => f.return(none));
  const host = f.let(pageHost(type, word, offset));
  f.if(write, () => {
    f.if(word.and(Page.READONLY).ne(0), () => f.return(none));
    f.if(word.and(Page.CODE).ne(0), () => {
      f.if(call(CODE_IN[type], "i32", host, bytes), () => f.return(none));
    });
  });
  f.return(host);
}

/**
 * Body of `probe`: the host address for an access that missed the TLB, in place where that can be.
 * @param type what host addresses are
 * @param slow (cpu, rec, linear low, linear high, access) → host address: TypeScript's
 */
export function emitProbe(f: FunctionBuilder, type: AddressType, slow: Callee): void {
  const cpu = f.param(0, "i32"), rec = f.param(1, "i32"), lin = f.param(2, "i64");
  const access = f.param(3, "i32");
  const lo = f.let(lin.wrap()), hi = f.let(lin.shr_u(32).wrap());
  const bytes = f.let(access.and(0xff)), offset = f.let(lo.and(0xfff));
  const write = f.let(access.and(ACCESS.WRITE).ne(0));
  const user = load("i32.load", cpu, S.CPL).eq(3).and(access.and(ACCESS.SYSTEM).eqz());
  const implicit = access.and(ACCESS.SYSTEM | ACCESS.WRITE).eq(ACCESS.SYSTEM);
  const want = f.let(
    write.or(user.shl(2)).or(implicit.select(I32.of(WANT.IMPLICIT), I32.of(0))),
  );

  /** Leaves by `no` unless the page's bytes from `host` may be written in place. */
  const inPlace = (word: I32, host: AnyInt, n: I32, no: Label) => {
    f.if(write.and(word.and(Page.READONLY | Page.CODE).ne(0)), () => {
      f.brIf(no, word.and(Page.READONLY).or(access.and(ACCESS.RUN)).ne(0));
      f.brIf(no, call(CODE_IN[type], "i32", host, n));
    });
  };

  f.block((no) => {
    const at = f.local("i32");
    const long = load("i32.load", cpu, S.MODE).and(Mode.CODE_MASK).eq(2);
    // Where an access changes the upper half, canonical form is to be looked at first.
    f.brIf(no, lo.ge_u(0xfffff000).and(offset.add(bytes).gt_u(4096)).and(long));
    f.block((failed) => {
      at.set(lo);
      const word = f.let(call(FILL, "i32", cpu, lo, hi, want));
      f.brIf(failed, word.eqz());
      const host = f.let(pageHost(type, word, offset));
      f.if(offset.add(bytes).le_u(4096), () => {
        inPlace(word, host, bytes, no);
        f.return(host);
      });
      const first = f.let(I32.of(4096).sub(offset)), rest = f.let(bytes.sub(first));
      at.set(lo.and(-4096).add(4096));
      const word2 = f.let(call(FILL, "i32", cpu, at.get(), hi, want));
      f.brIf(failed, word2.eqz());
      const host2 = f.let(pageHost(type, word2, I32.of(0)));
      inPlace(word, host, first, no);
      inPlace(word2, host2, rest, no);
      // Neighbours in the shared memory need no joining.
      f.if(host.add(asAddress(type, first)).eq(host2), () => f.return(host));
      const bounce = f.let(asAddress(type, cpu.add(S.BOUNCE)));
      f.if(access.and(ACCESS.READ).ne(0), () => {
        f.copy(bounce, host, first);
        f.copy(bounce.add(asAddress(type, first)), host2, rest);
      });
      f.if(write, () => {
        if (type === "i64") {
          f.store("i32.store", cpu, I32.of(1), S.BOUNCE_TO);
          f.store("i64.store", cpu, host, S.BOUNCE_FAR);
          f.store("i64.store", cpu, host2, S.BOUNCE_FAR2);
        } else {
          f.store("i32.store", cpu, host, S.BOUNCE_TO);
          f.store("i32.store", cpu, host2, S.BOUNCE_TO2);
        }
        f.store("i32.store", cpu, first, S.BOUNCE_FIRST);
        f.store("i32.store", cpu, bytes, S.BOUNCE_BYTES);
      });
      f.return(bounce);
    });
    const error = f.let(load("i32.load", cpu, S.WALK_ERROR));
    f.brIf(no, error.lt_s(0));
    f.store("i32.store", cpu, at.get(), S.CR2);
    f.store("i32.store", cpu, hi, S.CR2 + 4);
    f.store("i32.store", cpu, rec, S.EXIT_REC);
    f.store("i32.store", cpu, I32.of(S.Vec.PF), S.EXC_VECTOR);
    f.store("i32.store", cpu, error, S.EXC_ERROR);
    f.store("i32.store", cpu, I32.of(S.Exit.EXCEPTION), S.EXIT);
    f.return(asAddress(type, I32.of(0)));
  });
  if (type === "i64") f.return(call(slow, "f64", cpu, rec, lo, hi, access).toI64_sat_s());
  else f.tail(slow, cpu, rec, lo, hi, access);
}

/** Body of `commit`: carries out the write in the bounce buffer. `slow`: (cpu, rec), TypeScript's. */
export function emitCommit(f: FunctionBuilder, type: AddressType, slow: Callee): void {
  const cpu = f.param(0, "i32"), rec = f.param(1, "i32");
  const to = f.let(load("i32.load", cpu, S.BOUNCE_TO));
  f.if(to.eqz(), () => f.tail(slow, cpu, rec));
  const first = f.let(load("i32.load", cpu, S.BOUNCE_FIRST)), from = f.let(cpu.add(S.BOUNCE));
  const far = type === "i64";
  f.copy(far ? load("i64.load", cpu, S.BOUNCE_FAR) : to, from, first);
  f.copy(
    far ? load("i64.load", cpu, S.BOUNCE_FAR2) : load("i32.load", cpu, S.BOUNCE_TO2),
    from.add(first),
    load("i32.load", cpu, S.BOUNCE_BYTES).sub(first),
  );
}
