/** Which misaligned operands raise #AC, on the host processor: a sample of `align.ts`. */
import { assert, assertEquals } from "@std/assert";
import { compareAlignment } from "./align.ts";
import { whyNoNative } from "./native.ts";
import { hostFlags } from "./simd_native.ts";

const why = whyNoNative() ?? (hostFlags().has("avx512bw") ? undefined : "needs AVX-512 BW");

Deno.test({
  name: `misaligned operands raise #AC as on the host processor${why ? ` (${why})` : ""}`,
  ignore: why !== undefined,
  fn() {
    const r = compareAlignment(
      /^(FLD|FSTP|FBLD|FN?S.*|FLDENV|FRSTOR|V?MOV[AU]PS|MOV[QD]|CVTPI2PS|VPGATHERD.*|VMASKMOVPS|VMOVDQU(8|16)|V?PMOVSX.*|VPMOVSDB|VCVTPH2PS|MASKMOV.*|FXSAVE|XSAVE|STMXCSR|VADD[PS]S|VCMP[PS]D|VEXTRACT.*)$/,
    );
    assertEquals(r.differences, []);
    assert(r.checks > 1000, `${r.checks}`);
  },
});
