/** Inputs that random ones would hardly meet: products that cancel, indices of gathers within the data. */
import type { Operand } from "../../core/x86/insn.ts";
import type { Random } from "../../core/x86/table/sample.ts";
import { Ctx, vectorAt } from "./simd_native.ts";

type Operands = readonly (Operand | undefined)[];

/** Where quadword `q` (0–7) of an operand is in a context. */
function place(o: Operand, q: number, data: number): number {
  if (o.kind === "mem") return Ctx.DATA + data + 8 * q;
  return vectorAt(o.kind === "xmm" ? o.reg : 0, q);
}

/**
 * Makes one of three operands about the negative product of the other two, in every element.
 * @param data offset of memory operands in the data
 */
export function cancel(
  view: DataView<ArrayBuffer>,
  rnd: Random,
  operands: Operands,
  double: boolean,
  data: number,
): void {
  const three = operands.filter((o): o is Operand => o !== undefined);
  const sum = rnd(3);
  const [x, y] = three.filter((_, n) => n !== sum);
  for (let q = 0; q < 8; q++) {
    const a = place(x, q, data), b = place(y, q, data), c = place(three[sum], q, data);
    // Off by a few units in the last place, in either direction.
    if (double) {
      view.setFloat64(c, -view.getFloat64(a, true) * view.getFloat64(b, true), true);
      view.setBigUint64(
        c,
        BigInt.asUintN(64, view.getBigUint64(c, true) + BigInt(rnd(5) - 2)),
        true,
      );
      continue;
    }
    for (const n of [0, 4]) {
      view.setFloat32(c + n, -view.getFloat32(a + n, true) * view.getFloat32(b + n, true), true);
      view.setInt32(c + n, view.getInt32(c + n, true) + rnd(5) - 2, true);
    }
  }
}

/** Makes the elements of vector register `reg` small signed numbers. */
export function smallIndices(
  view: DataView<ArrayBuffer>,
  rnd: Random,
  reg: number,
  quads: boolean,
): void {
  for (let q = 0; q < 8; q++) {
    const at = vectorAt(reg, q);
    for (let i = 0; i < (quads ? 1 : 2); i++) {
      const v = rnd(14) - 7;
      if (quads) view.setBigInt64(at, BigInt(v), true);
      else view.setInt32(at + 4 * i, v, true);
    }
  }
}
