/** Registers the semantics of every operation. */
import { moveSemantics } from "./move.ts";
import { mmxSemantics } from "./mmx.ts";
import { arithmeticSemantics } from "./arithmetic.ts";
import { avxF16cSemantics } from "./avx_f16c.ts";
import { avxFmaSemantics } from "./avx_fma.ts";
import { avxMemorySemantics } from "./avx_memory.ts";
import { avxMoveSemantics } from "./avx_move.ts";
import { avxPermuteSemantics } from "./avx_permute.ts";
import { avxSseSemantics } from "./avx_sse.ts";
import { bitSemantics } from "./bits.ts";
import { bmiSemantics } from "./bmi.ts";
import { controlSemantics } from "./control.ts";
import { shiftSemantics } from "./shifts.ts";
import { sse3Semantics } from "./sse3.ts";
import { sse4Semantics } from "./sse4.ts";
import { sseCompareSemantics } from "./sse_compare.ts";
import { sseConvertSemantics } from "./sse_convert.ts";
import { sseCryptoSemantics } from "./sse_crypto.ts";
import { sseFloatSemantics } from "./sse_float.ts";
import { packedIntegerSemantics } from "./sse_int.ts";
import { sseMoveSemantics } from "./sse_move.ts";
import { sseStringSemantics } from "./sse_string.ts";
import { stringSemantics } from "./strings.ts";
import { systemSemantics } from "./system.ts";
import { x87Semantics } from "./x87.ts";

let done = false;

export function allSemantics(): void {
  if (done) return;
  done = true;
  moveSemantics();
  arithmeticSemantics();
  shiftSemantics();
  bitSemantics();
  bmiSemantics();
  stringSemantics();
  controlSemantics();
  systemSemantics();
  mmxSemantics();
  packedIntegerSemantics();
  sseMoveSemantics();
  sseFloatSemantics();
  sseConvertSemantics();
  sseCompareSemantics();
  sse3Semantics();
  sse4Semantics();
  sseStringSemantics();
  sseCryptoSemantics();
  avxSseSemantics();
  avxMoveSemantics();
  avxPermuteSemantics();
  avxMemorySemantics();
  avxFmaSemantics();
  avxF16cSemantics();
  x87Semantics();
}
