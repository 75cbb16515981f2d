/** Which EVEX instructions leave memory alone where their mask says so, on the host processor. */
import { assert, assertEquals } from "@std/assert";
import { compareFaults } from "./evex_faults.ts";
import { whyNoNative } from "./native.ts";
import { hostFlags } from "./simd_native.ts";

const why = whyNoNative() ?? (hostFlags().has("avx512bw") ? undefined : "needs AVX-512 BW");

Deno.test({
  name: `masked elements fault, or do not, as on the host processor${why ? ` (${why})` : ""}`,
  ignore: why !== undefined,
  fn() {
    const r = compareFaults();
    assertEquals(r.differences, []);
    assert(r.cases > 1000, `${r.cases}`);
  },
});
