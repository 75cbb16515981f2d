/** Library functions of integer semantics. */
import { I64 } from "../../wasm/expr.ts";
import { library } from "../library.ts";

/** (high, low, divisor) → quotient of a 128-bit by a 64-bit number; high < divisor. */
export const divU128 = library(
  "divU128",
  { params: ["i64", "i64", "i64"], results: ["i64"] },
  (f) => {
    const d = f.param(2, "i64");
    const hi = f.local("i64"), lo = f.local("i64"), n = f.local("i32");
    hi.set(f.param(0, "i64"));
    lo.set(f.param(1, "i64"));
    // Restoring division, a bit a round: the quotient moves into the low word as it is used up.
    f.loop((again) => {
      const top = f.let(hi.get().shr_u(63));
      hi.set(hi.get().shl(1).or(lo.get().shr_u(63)));
      lo.set(lo.get().shl(1));
      f.if(top.ne(0).or(hi.get().ge_u(d)), () => {
        hi.set(hi.get().sub(d));
        lo.set(lo.get().or(I64.of(1)));
      });
      n.set(n.get().add(1));
      f.brIf(again, n.get().lt_u(64));
    });
    f.return(lo.get());
  },
);
