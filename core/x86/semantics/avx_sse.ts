/** Which VEX-coded instructions are SSE ones with another encoding, and how. Intel SDM volume 2. */
import { type Derivation, derive } from "./avx_lane.ts";
import { Mode } from "../state.ts";
import type { Emit } from "./emit.ts";
import { avx, rdLanes, wrLanes } from "./avx_common.ts";
import { SINGLE } from "./lib_sse.ts";
import { dotProducts } from "./sse4.ts";
import { imm8, setXmm, ZERO } from "./sse_common.ts";
import { joinedOps, packedOps, unpacks, wideOps } from "./sse_int.ts";

const NDS: Derivation = { nds: true };

/** Names with a suffix for each of the formats. */
const formats = (stems: string, suffixes: string): string[] =>
  stems.split(" ").flatMap((s) => suffixes.split(" ").map((x) => s + x));

const THREE_OPERANDS = [
  ...Object.keys(packedOps).filter((n) => !n.startsWith("PABS")),
  ...Object.keys(joinedOps),
  ...Object.keys(unpacks),
  ...Object.keys(wideOps),
  ...formats("ADD SUB MUL DIV MIN MAX CMP", "PS PD SS SD"),
  ...formats("SQRT ROUND MOV", "SS SD"),
  ...formats("HADD HSUB ADDSUB MOVL MOVH", "PS PD"),
  ...("PSHUFB RCPSS RSQRTSS CVTSI2SS CVTSI2SD CVTSS2SD CVTSD2SS SHUFPS PBLENDW PALIGNR PSRLDQ " +
    "PSLLDQ PINSRB PINSRW PINSRD PINSRQ INSERTPS DPPD PBLENDVB BLENDVPS BLENDVPD MOVHLPS " +
    "MOVLHPS AESENC AESENCLAST AESDEC AESDECLAST PCLMULQDQ GF2P8MULB GF2P8AFFINEQB " +
    "GF2P8AFFINEINVQB").split(" "),
];
/** Two operands, the lanes one by one. */
const TWO_OPERANDS =
  ("PABSB PABSW PABSD SQRTPS SQRTPD RCPPS RSQRTPS ROUNDPS ROUNDPD PSHUFD PSHUFLW " +
    "PSHUFHW MOVSLDUP MOVSHDUP CVTPS2DQ CVTTPS2DQ CVTDQ2PS UCOMISS UCOMISD COMISS COMISD " +
    "CVTSS2SI CVTTSS2SI CVTSD2SI CVTTSD2SI AESIMC AESKEYGENASSIST PHMINPOSUW PCMPESTRI PCMPISTRI " +
    "MOVD MOVQ MASKMOVDQU LDMXCSR STMXCSR PEXTRB PEXTRW PEXTRD PEXTRQ EXTRACTPS")
    .split(" ");

/** The bits from 128 up of register 0, which is no operand of the encoding. */
function clearUpper0(e: Emit): void {
  for (let at = 16; at < (e.mode & Mode.AVX512 ? 64 : 32); at += 16) setXmm(e, 0, ZERO, at);
}

export function avxSseSemantics(): void {
  for (const name of THREE_OPERANDS) derive(name, NDS);
  for (const name of TWO_OPERANDS) derive(name);
  // Each lane has immediate bits of its own.
  derive("SHUFPD", { nds: true, immediateBits: 2 });
  derive("BLENDPS", { nds: true, immediateBits: 4 });
  derive("BLENDPD", { nds: true, immediateBits: 2 });
  derive("MPSADBW", { nds: true, immediateBits: 3 });
  // The count is not a vector of counts.
  for (const name of formats("PSLL PSRL", "W D Q").concat("PSRAW", "PSRAD")) {
    derive(name, { nds: true, stride: 0 });
  }
  avx("VDPPS", (e) => {
    const b = rdLanes(e, 2), a = rdLanes(e, 1);
    wrLanes(e, 0, dotProducts(e, SINGLE, a, b, imm8(e)));
  }, { byImmediate: true });
  for (const name of ["PCMPESTRM", "PCMPISTRM"]) derive(name, { after: clearUpper0 });
  for (const name of ["CVTPS2PD", "CVTDQ2PD"]) derive(name, { stride: 8 });
  for (const name of ["CVTPD2PS", "CVTPD2DQ", "CVTTPD2DQ"]) derive(name, { narrow: true });
  for (const [widths, stride] of [["BW WD DQ", 8], ["BD WQ", 4], ["BQ", 2]] as const) {
    for (const name of formats("PMOVSX PMOVZX", widths)) derive(name, { stride });
  }
}
