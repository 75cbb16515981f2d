/** A sample of `tests/oracle/evex_decode.ts`. */
import { assert, assertEquals } from "@std/assert";
import { compareEvex } from "./evex_decode.ts";
import { whyNoNative } from "./native.ts";
import { hostFlags } from "./simd_native.ts";

const why = whyNoNative() ?? (hostFlags().has("avx512vl") ? undefined : "needs AVX-512");

Deno.test({
  name: `EVEX encodings exist and are as long as on the host processor${why ? ` (${why})` : ""}`,
  ignore: why !== undefined,
  fn() {
    const r = compareEvex({ count: 20000, seed: 5 });
    assertEquals(r.differences.slice(0, 20), []);
    assert(r.valid > 800, `${r.valid}`);
  },
});
