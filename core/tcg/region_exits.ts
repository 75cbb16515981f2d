/**
 * The way out of a region: one piece of code at the function's end brings the vCPU state up to date and
 * goes on to the run-time library. Each of the many places where the hot code may have to leave says where to
 * by a local or two and branches there, which keeps it small.
 */
import { I32, I64, load } from "../wasm/expr.ts";
import type { FunctionBuilder, Label, Local } from "../wasm/func.ts";
import * as S from "../x86/state.ts";
import { followLink } from "./lower.ts";
import type { RegionRegs } from "./region_regs.ts";
import type { RuntimeImports } from "./runtime.ts";

/** A general register that a region may have changed. */
export interface ExitRegister {
  /** Encoding number. */
  readonly n: number;
  /** Bits 63:32 are to be cleared. */
  readonly wide: boolean;
}

/** The flags where no basic block knows more: see `region_flags.ts`. */
export interface FlagLocals {
  readonly res: Local<"i64">;
  readonly aux: Local<"i32">;
  readonly form: Local<"i32">;
  readonly values: readonly (Local<"i32"> | Local<"i64">)[];
}

export class RegionExits {
  /** Record that is left by, if not 0, and else the RIP. */
  readonly #rec: Local<"i32">;
  readonly #rip: Local<"i64">;
  /** Instructions left in the slice. */
  readonly budget: Local<"i32">;
  #label: Label | undefined;

  constructor(readonly f: FunctionBuilder, readonly rt: RuntimeImports) {
    this.#rec = f.local("i32");
    this.#rip = f.local("i64");
    this.budget = f.local("i32");
  }

  /**
   * Emits the region: `body`, from which all ways lead out, and what they come to.
   * @param written registers to be written back
   */
  around(
    body: () => void,
    regs: RegionRegs,
    written: readonly ExitRegister[],
    flags: FlagLocals,
  ): void {
    const { f, budget } = this, cpu = f.param(0, "i32"), entry = f.param(1, "i32");
    f.block((label) => {
      this.#label = label;
      budget.set(load("i32.load", cpu, S.BUDGET));
      body();
    });
    const form = flags.form.get();
    f.if(form.eqz(), () => {
      f.store("i64.store", cpu, flags.res.get(), S.FLAG_RES);
      f.store("i32.store", cpu, flags.aux.get(), S.FLAG_AUX);
    }, () => this.storeFlags(flags));
    for (const { n, wide } of written) {
      const v = regs.get(n);
      if (v.type === "i64") f.store("i64.store", cpu, v, S.GPR + 8 * n);
      else if (wide) f.store("i64.store", cpu, (v as I32).extend_u(), S.GPR + 8 * n);
      else f.store("i32.store", cpu, v, S.GPR + 8 * n);
    }
    // The record left by is the first of its block: the jump takes one off the budget for it.
    f.store("i32.store", cpu, budget.get().add(1), S.BUDGET);
    const rec = this.#rec.get();
    f.if(rec.ne(0), () => followLink(f, this.rt.jumpSlow, cpu, rec));
    f.tail(this.rt.jump, cpu, entry, this.#rip.get());
  }

  /** Stores the flags of any form. */
  storeFlags({ form, values, res, aux }: FlagLocals): void {
    const [a, b] = values.map((l) => {
      const v = l.get() as I32 | I64;
      return v.type === "i32" ? (v as I32).extend_u() : v;
    });
    const cpu = this.f.param(0, "i32");
    this.f.call(this.rt.flags, cpu, form.get(), a, b, res.get(), aux.get());
  }

  /** Leaves after `done` instructions that are not yet taken off the budget. */
  #out(done: number): void {
    if (done !== 0) this.budget.set(this.budget.get().sub(done));
    this.f.br(this.#label!);
  }

  /** Leaves for `rip`. */
  leave(rip: I64, done: number): void {
    this.#rip.set(rip);
    this.#out(done);
  }

  /** Leaves by the link of record `rec` for the RIP that stands there. */
  link(rec: number, done: number): void {
    this.#rec.set(I32.of(rec));
    this.#out(done);
  }
}
