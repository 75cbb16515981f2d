/** A sample of the comparison with the host processor; the long run is `tests/oracle/simd_fuzz.ts`. */
import { assert, assertEquals } from "@std/assert";
import { hostFeatures, SimdFuzz, simdRows } from "../../../tests/oracle/simd_fuzz.ts";
import { hasNative } from "../../../tests/oracle/simd_native.ts";

const skip = !hasNative();
const why = skip ? " (skipped: needs an x86-64 Linux host)" : "";

function sample(bits: 32 | 64, rounds: number, seed: number): void {
  const fuzz = new SimdFuzz(bits);
  try {
    const differences: string[] = [];
    let cases = 0, vex = 0;
    for (const row of simdRows()) {
      // `evex_host_test.ts` has those.
      if (row.family === "avx512") continue;
      // Both modes differ in addresses, 64-bit operands and the number of registers only.
      const differs = /\/m[vy]|\bry\b|^VZERO|GATHER|MASKMOV|BLENDV/.test(row.syntax);
      if (bits === 64 && row.valid.bits32 && !differs) continue;
      // Of VEX rows, which are many and take their semantics from the others, one in three.
      if (row.vex && vex++ % 3 !== seed % 3) continue;
      const r = fuzz.row(row, { rounds, seed, encodings: 1, bits, unmasked: true });
      cases += r.cases;
      differences.push(...r.differences);
    }
    assertEquals(differences, []);
    assert(cases > rounds);
  } finally {
    fuzz.close();
  }
}

Deno.test({
  name: `MMX, SSE and AVX match the host processor${why}`,
  ignore: skip,
  fn() {
    assert(hostFeatures().has("sse2"));
    sample(32, 24, 1);
  },
});

Deno.test({
  name: `MMX, SSE and AVX match the host processor in 64-bit mode${why}`,
  ignore: skip,
  fn() {
    sample(64, 24, 2);
  },
});
