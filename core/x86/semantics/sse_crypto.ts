/** AES, PCLMULQDQ, SHA and GFNI instructions. Intel SDM volume 2. */
import { V128 } from "../../wasm/expr.ts";
import { call, type Callee } from "../../wasm/func.ts";
import type { Emit } from "./emit.ts";
import * as L from "./lib_sse_crypto.ts";
import * as GF from "./lib_sse_gf.ts";
import { imm8, rdAligned, sse } from "./sse_common.ts";

/** An operation on both operands in a library function. */
function binary(lib: Callee): (e: Emit) => void {
  return (e) => {
    const b = rdAligned(e, 1);
    e.wrV(0, call(lib, "v128", e.rdV(0), e.let(b)));
  };
}

export function sseCryptoSemantics(): void {
  for (const [name, lib] of Object.entries(L.aesRounds)) sse(name, binary(lib));
  sse("AESIMC", (e) => e.wrV(0, call(L.aesInvMix, "v128", e.let(rdAligned(e, 1)))));
  sse("AESKEYGENASSIST", (e) => {
    const rcon = BigInt(imm8(e)) << 32n;
    e.wrV(0, call(L.aesKeyAssist, "v128", e.let(rdAligned(e, 1)), V128.of(rcon, rcon)));
  }, { byImmediate: true });
  sse("PCLMULQDQ", (e) => {
    const b = e.let(rdAligned(e, 1)), a = e.rdV(0), imm = imm8(e);
    e.wrV(
      0,
      call(L.carrylessMultiply, "v128", a.lane64(imm & 1), b.lane64(imm >> 4 & 1)),
    );
  }, { byImmediate: true });
  sse("SHA1RNDS4", (e) => binary(L.sha1Rounds[imm8(e) & 3])(e), { byImmediate: true });
  sse("SHA1NEXTE", binary(L.sha1NextE));
  sse("SHA1MSG1", binary(L.sha1Msg1));
  sse("SHA1MSG2", binary(L.sha1Msg2));
  sse("SHA256MSG1", binary(L.sha256Msg1));
  sse("SHA256MSG2", binary(L.sha256Msg2));
  sse("SHA256RNDS2", (e) => {
    const b = e.let(rdAligned(e, 1));
    e.wrV(0, call(L.sha256Rounds, "v128", e.rdV(0), b, e.rdV(2)));
  });
  sse("GF2P8MULB", binary(GF.gfMultiply));
  for (const [name, inverse] of [["GF2P8AFFINEQB", false], ["GF2P8AFFINEINVQB", true]] as const) {
    sse(name, (e) => {
      const b = e.let(rdAligned(e, 1)), a = e.rdV(0);
      const x = inverse ? e.let(call(GF.gfInvert, "v128", a)) : a;
      const half = BigInt(imm8(e)) * 0x0101010101010101n;
      e.wrV(0, call(GF.gfAffine, "v128", x, b).xor(V128.of(half, half)));
    }, { byImmediate: true });
  }
}
