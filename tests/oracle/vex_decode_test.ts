/** A sample of `tests/oracle/vex_decode.ts`. */
import { assert, assertEquals } from "@std/assert";
import { whyNoNative } from "./native.ts";
import { hostFlags } from "./simd_native.ts";
import { compareVex } from "./vex_decode.ts";

const why = whyNoNative() ?? (hostFlags().has("avx2") ? undefined : "needs AVX2");

Deno.test({
  name: `VEX encodings exist and are as long as on the host processor${why ? ` (${why})` : ""}`,
  ignore: why !== undefined,
  fn() {
    const r = compareVex({ every: 30, seed: 3 });
    assertEquals(r.differences.slice(0, 20), []);
    assert(r.valid > 1000, `${r.valid}`);
  },
});
