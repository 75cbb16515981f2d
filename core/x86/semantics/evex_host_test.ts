/** A sample of AVX-512 instructions against the host processor; `tests/oracle/simd_fuzz.ts` does all. */
import { assert, assertEquals } from "@std/assert";
import { SimdFuzz, simdRows } from "../../../tests/oracle/simd_fuzz.ts";
import { hasAvx512, hasNative } from "../../../tests/oracle/simd_native.ts";

const skip = !hasNative() || !hasAvx512();

/** One row in `every`, beginning with number `first`. */
function sample(bits: 32 | 64, every: number, first: number): void {
  const fuzz = new SimdFuzz(bits);
  try {
    const differences: string[] = [];
    let cases = 0, n = 0;
    for (const row of simdRows()) {
      if (row.family !== "avx512" || n++ % every !== first) continue;
      if (!(bits === 32 ? row.valid.bits32 : row.valid.bits64)) continue;
      const r = fuzz.row(row, { rounds: 20, seed: 3, encodings: 1, bits, unmasked: true });
      cases += r.cases;
      differences.push(...r.differences);
    }
    assertEquals(differences, []);
    assert(cases > 500, `${cases}`);
  } finally {
    fuzz.close();
  }
}

Deno.test({
  name: `AVX-512 matches the host processor${skip ? " (needs AVX-512)" : ""}`,
  ignore: skip,
  fn() {
    sample(64, 29, 4);
    sample(32, 41, 7);
  },
});
