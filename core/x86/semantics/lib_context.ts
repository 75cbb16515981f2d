/**
 * MOV to CR3 and INVLPG as library functions, for the common cases: what `core/tcg/mmu.ts` does for the
 * others. Intel SDM volume 3, 4.10.4.
 */
import { I32, I64, load } from "../../wasm/expr.ts";
import type { FunctionBuilder } from "../../wasm/func.ts";
import { library } from "../library.ts";
import * as S from "../state.ts";
import { Bank, JC_STATE, JUMP_MODE, Mode } from "../state.ts";

const CR4_PAE = 0x20, CR4_PCIDE = 0x20000;
/** A physical address of more bits is refused. */
const PHYSICAL_BITS = 40;

/** Runs `body` for each number in one of a bank's lists, and empties the list. */
function drain(
  f: FunctionBuilder,
  bank: I32,
  list: number,
  count: number,
  body: (n: I32) => void,
): void {
  const at = f.local("i32"), end = f.local("i32");
  at.set(bank);
  end.set(bank.add(load("i32.load", bank, count).shl(1)));
  f.block((done) => {
    f.loop((again) => {
      f.brIf(done, at.get().ge_u(end.get()));
      body(f.let(load("i32.load16_u", at.get(), list)));
      at.set(at.get().add(2));
      f.br(again);
    });
  });
  f.store("i32.store", bank, I32.of(0), count);
}

/** Forgets a bank's translations but those of global pages. */
function flushBank(f: FunctionBuilder, bank: I32): void {
  drain(f, bank, Bank.TLB_LIST, Bank.TLB_COUNT, (n) => {
    const listed = f.let(bank.add(n)), entry = f.let(bank.add(n.shl(5)));
    f.store(
      "i32.store8",
      listed,
      load("i32.load8_u", listed, Bank.TLB_LISTED).and(~1),
      Bank.TLB_LISTED,
    );
    f.if(load("i32.load", entry, S.TLB_PHYS).and(S.TLB_FLAGS.GLOBAL).eqz(), () => {
      for (const tag of [S.TLB_READ, S.TLB_WRITE, S.TLB_EXEC]) {
        f.store("i32.store", entry, I32.of(-1), tag);
      }
      f.store("i32.store", entry, I32.of(0), S.TLB_PHYS);
    });
  });
  f.fill(bank.add(Bank.CHUNKS), I32.of(0), I32.of(128));
  drain(f, bank, Bank.JC_LIST, Bank.JC_COUNT, (n) => {
    const entry = f.let(bank.add(n.shl(4)));
    const state = f.let(load("i32.load", entry, Bank.JC + 12).and(~JC_STATE.LISTED));
    f.store("i32.store", entry, state, Bank.JC + 12);
    f.if(state.and(JC_STATE.GLOBAL).eqz(), () => {
      const empty = n.and(S.JC_ENTRIES - 1).eqz().extend_u();
      f.store("i64.store", entry, empty, Bank.JC);
    });
  });
}

/**
 * (cpu, value) → 1 when CR3 was written and its context's translations are in use; 0 when the
 * instruction is TypeScript's. What follows must find its code anew.
 */
export const setCr3 = library(
  "setCr3",
  { params: ["i32", "i64"], results: ["i32"] },
  (f) => {
    const cpu = f.param(0, "i32"), value = f.local("i64");
    const no = (cond: I32) => f.if(cond, () => f.return(I32.of(0)));
    const mode = f.let(load("i32.load", cpu, S.MODE)), cr4 = f.let(load("i32.load", cpu, S.CR4));
    value.set(f.param(1, "i64"));
    // PAE paging reads its four top entries now.
    no(mode.and(Mode.LONG).eqz().and(cr4.and(CR4_PAE).ne(0)));
    no(load("i32.load", cpu, S.SMAP_PAGES).ne(0));
    const tagged = f.let(cr4.and(CR4_PCIDE).ne(0)), keep = f.local("i32"), pcid = f.local("i32");
    f.if(tagged, () => {
      keep.set(value.get().shr_u(63).wrap());
      value.set(value.get().shl(1).shr_u(1));
      pcid.set(value.get().wrap().and(0xfff));
    });
    no(value.get().shr_u(PHYSICAL_BITS).ne(0));
    const bank = f.local("i32");
    bank.set(load("i32.load", cpu, S.TLB_SYS_PTR));
    f.if(load("i32.load", bank.get(), Bank.PCID).ne(pcid.get()), () => {
      const end = f.let(cpu.add(S.STATE_BYTES));
      bank.set(cpu.add(S.BANK));
      f.block((found) => {
        f.loop((again) => {
          f.brIf(found, load("i32.load", bank.get(), Bank.PCID).eq(pcid.get()));
          bank.set(bank.get().add(Bank.BYTES));
          f.brIf(again, bank.get().lt_u(end));
        });
        f.return(I32.of(0));
      });
      const key = f.let(mode.and(JUMP_MODE)),
        was = f.let(load("i32.load", bank.get(), Bank.JC_MODE));
      no(was.ne(key).and(was.ne(-1)));
      f.store("i32.store", bank.get(), key, Bank.JC_MODE);
      const now = f.let(load("i32.load", cpu, S.BANK_CLOCK).add(1));
      f.store("i32.store", cpu, now, S.BANK_CLOCK);
      f.store("i32.store", bank.get(), now, Bank.STAMP);
      f.store("i32.store", cpu, bank.get(), S.TLB_SYS_PTR);
      f.store("i32.store", cpu, bank.get(), S.TLB_PTR);
      f.store("i32.store", cpu, bank.get().add(Bank.JC), S.JC_PTR);
    });
    f.store("i64.store", cpu, value.get(), S.CR3);
    f.if(keep.get().eqz(), () => flushBank(f, bank.get()));
    f.return(I32.of(1));
  },
);

/**
 * (cpu, linear address) → 1 when the page's translations are forgotten: only small ones are cached,
 * and no code of it.
 */
export const invlpg = library(
  "invlpg",
  { params: ["i32", "i64"], results: ["i32"] },
  (f) => {
    const cpu = f.param(0, "i32"), lo = f.let(f.param(1, "i64").wrap());
    const current = f.let(load("i32.load", cpu, S.TLB_SYS_PTR)),
      end = f.let(cpu.add(S.STATE_BYTES));
    const bit = f.let(lo.shr_u(22).xor(f.param(1, "i64").shr_u(32).wrap()).and(1023));
    const chunk = f.let(bit.shr_u(5).shl(2));
    const page = f.let(lo.shr_u(12)), bank = f.local("i32");
    const slot = f.let(page.and(S.TLB_ENTRIES - 1).shl(5));
    const banks = (body: () => void) => {
      bank.set(cpu.add(S.BANK));
      f.loop((again) => {
        f.if(load("i32.load", bank.get(), Bank.PCID).ge_s(0), body);
        bank.set(bank.get().add(Bank.BYTES));
        f.brIf(again, bank.get().lt_u(end));
      });
    };
    banks(() => {
      const at = f.let(bank.get().add(chunk));
      const large = load("i32.load", at, Bank.CHUNKS).or(load("i32.load", at, Bank.GLOBAL_CHUNKS));
      const code = load(
        "i32.load8_u",
        bank.get().add(page.and(S.JC_PAGES_ENTRIES - 1)),
        Bank.JC_PAGES,
      );
      f.if(
        load("i32.load", bank.get(), Bank.HUGE_USED).or(large.shr_u(bit).and(1)).or(code).ne(0),
        () => f.return(I32.of(0)),
      );
    });
    banks(() => {
      for (const tlb of [0, S.TLB_BYTES]) {
        const entry = f.let(bank.get().add(slot).add(tlb));
        const global = load("i32.load", entry, S.TLB_PHYS).and(S.TLB_FLAGS.GLOBAL).ne(0);
        f.if(bank.get().eq(current).or(global), () => {
          for (const tag of [S.TLB_READ, S.TLB_WRITE, S.TLB_EXEC]) {
            f.store("i32.store", entry, I32.of(-1), tag);
          }
        });
      }
    });
    f.return(I32.of(1));
  },
);

/** Keeps an expression of the width that library functions take. */
export function wide(v: I32 | I64): I64 {
  return v.type === "i64" ? v : v.extend_u();
}
