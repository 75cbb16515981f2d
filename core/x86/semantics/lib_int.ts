/** Library functions of integer semantics. */
import { I64 } from "../../wasm/expr.ts";
import { library } from "../library.ts";

/** (high, low, divisor) → quotient of a 128-bit by a 64-bit number; high < divisor. */
export const divU128 = library(
  "divU128",
  { params: ["i64", "i64", "i64"], results: ["i64"] },
  (f) => {
    const hi = f.param(0, "i64"), lo = f.param(1, "i64"), divisor = f.param(2, "i64");
    f.if(hi.eqz(), () => f.return(lo.div_u(divisor)));
    // Two digits of 32 bits, by long division with a divisor whose highest bit is set
    // (Knuth, TAOCP volume 2, 4.3.1, algorithm D).
    const shift = f.let(divisor.clz()), d = f.let(divisor.shl(shift));
    const top = f.let(d.shr_u(32)), bottom = f.let(d.and(0xffffffff));
    const rest = f.local("i64"), q = f.local("i64"), r = f.local("i64"), result = f.local("i64");
    rest.set(hi.shl(shift).or(lo.shr_u(1).shr_u(shift.xor(63))));
    const low = f.let(lo.shl(shift));
    const digit = (next: I64) => {
      q.set(rest.get().div_u(top));
      r.set(rest.get().sub(q.get().mul(top)));
      // The first estimate is too large by 2 at most.
      f.loop((again) => {
        const over = q.get().shr_u(32).ne(0)
          .or(q.get().mul(bottom).gt_u(r.get().shl(32).or(next)));
        f.if(over, () => {
          q.set(q.get().sub(1));
          r.set(r.get().add(top));
          f.brIf(again, r.get().shr_u(32).eqz());
        });
      });
      rest.set(rest.get().shl(32).add(next).sub(q.get().mul(d)));
      result.set(result.get().shl(32).or(q.get()));
    };
    digit(f.let(low.shr_u(32)));
    digit(f.let(low.and(0xffffffff)));
    f.return(result.get());
  },
);
