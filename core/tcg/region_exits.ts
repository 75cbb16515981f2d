/**
 * The ways out of a region's hot code: functions of the region's module that bring the vCPU state up to
 * date and go on to the run-time library. The hot code hands them its registers and pending flags
 * as arguments, which keeps the many places where it may have to leave small.
 */
import { type Expr, I32, I64 } from "../wasm/expr.ts";
import { call, type Callee, FunctionBuilder, type FuncType } from "../wasm/func.ts";
import type { ModuleBuilder } from "../wasm/module.ts";
import type { ValType } from "../wasm/opcodes.ts";
import * as S from "../x86/state.ts";
import { followLink } from "./lower.ts";
import { carried, carry, type FlagState, type Packed, packFlags } from "./region_flags.ts";
import type { RuntimeImports } from "./runtime.ts";

/** A general register that a region may have changed. */
export interface ExitRegister {
  /** Encoding number. */
  readonly n: number;
  /** Bits 63:32 are to be cleared. */
  readonly wide: boolean;
}

type Way = "probe" | "leave" | "link" | "raise";

/** What each way out has before the state, behind the vCPU's address. */
const OWN: Record<Way, readonly ValType[]> = {
  /** record, linear address (i64 in 64-bit code), access */
  probe: ["i32", "i32", "i32"],
  /** entry record, RIP */
  leave: ["i32", "i64"],
  /** record that jumps */
  link: ["i32"],
  /** record, vector, error code */
  raise: ["i32", "i32", "i32"],
};
/** flag form and its two values, FLAG_RES, FLAG_AUX, budget */
const STATE: readonly ValType[] = ["i32", "i32", "i32", "i64", "i32", "i32"];

export class RegionExits {
  readonly #forms = new Map<string, number>();
  readonly #ways = new Map<Way, Callee>();

  /** @param long 64-bit code: linear addresses and registers are i64 */
  constructor(
    readonly rt: RuntimeImports,
    readonly registers: readonly ExitRegister[],
    readonly long: boolean,
  ) {}

  /** The function of a way out; {@link add} must follow. */
  way(way: Way): Callee {
    let c = this.#ways.get(way);
    if (c === undefined) {
      const type: FuncType = {
        params: ["i32", ...this.#own(way), ...STATE, ...this.registers.map(() => this.#word)],
        results: way === "probe" ? [this.rt.host] : [],
      };
      this.#ways.set(way, c = { name: way, type });
    }
    return c;
  }

  get #word(): "i32" | "i64" {
    return this.long ? "i64" : "i32";
  }

  #own(way: Way): readonly ValType[] {
    return way === "probe" ? ["i32", this.#word, "i32"] : OWN[way];
  }

  /**
   * The state as arguments of {@link way}.
   * @param values the registers' values, in their order
   */
  args(
    flags: FlagState,
    packed: Packed,
    budget: I32,
    values: readonly Expr[],
    bind: (v: I32) => I32,
  ): Expr[] {
    const c = carry(flags);
    if (c === undefined) {
      const p = packFlags(flags, packed, bind);
      return [I32.of(0), I32.of(0), I32.of(0), p.res, p.aux, budget, ...values];
    }
    const [a = I32.of(0), b = I32.of(0)] = c.values;
    return [I32.of(this.#form(c.key)), a, b, packed.res, packed.aux, budget, ...values];
  }

  #form(key: string): number {
    if (key === "") return 0;
    let n = this.#forms.get(key);
    if (n === undefined) this.#forms.set(key, n = this.#forms.size + 1);
    return n;
  }

  /** Adds the functions that are used to the region's module. */
  add(m: ModuleBuilder): void {
    for (const [way, callee] of this.#ways) {
      const f = new FunctionBuilder(way, callee.type);
      const cpu = f.param(0, "i32");
      this.#writeBack(f, cpu, 1 + OWN[way].length);
      switch (way) {
        case "probe":
          f.return(call(
            this.rt.probe,
            this.rt.host,
            cpu,
            f.param(1, "i32"),
            this.long ? f.param(2, "i64") : f.param(2, "i32").extend_u(),
            f.param(3, "i32"),
          ));
          break;
        case "leave":
          f.tail(this.rt.jump, cpu, f.param(1, "i32"), f.param(2, "i64"));
          break;
        case "link":
          // The record's index is 0, and its RIP the target.
          followLink(f, this.rt.jumpSlow, cpu, f.param(1, "i32"));
          break;
        case "raise":
          f.tail(
            this.rt.raise,
            cpu,
            f.param(1, "i32"),
            f.param(2, "i32"),
            f.param(3, "i32"),
          );
          break;
      }
      m.add(f, undefined, undefined, callee);
    }
  }

  #writeBack(f: FunctionBuilder, cpu: I32, at: number): void {
    const form = f.param(at, "i32"), values = [f.param(at + 1, "i32"), f.param(at + 2, "i32")];
    const old: Packed = { res: f.param(at + 3, "i64"), aux: f.param(at + 4, "i32") };
    const res = f.local("i64"), aux = f.local("i32");
    res.set(old.res);
    aux.set(old.aux);
    for (const [key, n] of this.#forms) {
      f.if(form.eq(n), () => {
        const p = packFlags(carried(key, (i) => values[i]), old, (v) => f.let(v));
        res.set(p.res as I64);
        aux.set(p.aux);
      });
    }
    f.store("i64.store", cpu, res.get(), S.FLAG_RES);
    f.store("i32.store", cpu, aux.get(), S.FLAG_AUX);
    f.store("i32.store", cpu, f.param(at + 5, "i32"), S.BUDGET);
    this.registers.forEach(({ n, wide }, i) => {
      if (this.long) {
        f.store("i64.store", cpu, f.param(at + 6 + i, "i64"), S.GPR + 8 * n);
        return;
      }
      const v = f.param(at + 6 + i, "i32");
      if (wide) f.store("i64.store", cpu, v.extend_u(), S.GPR + 8 * n);
      else f.store("i32.store", cpu, v, S.GPR + 8 * n);
    });
  }
}
