/**
 * SSE3 (QEMU calls it pni) and SSSE3: Intel SDM volume 2. MONITOR and MWAIT are in system.ts, FISTTP in x87.ts.
 */
export const sse3Rows = `
F3 0F 12 /r       | MOVSLDUP xmm1, xmm2/m128      | pni
F2 0F 12 /r       | MOVDDUP xmm1, xmm2/m64        | pni
F3 0F 16 /r       | MOVSHDUP xmm1, xmm2/m128      | pni
66 0F 7C /r       | HADDPD xmm1, xmm2/m128        | pni
F2 0F 7C /r       | HADDPS xmm1, xmm2/m128        | pni
66 0F 7D /r       | HSUBPD xmm1, xmm2/m128        | pni
F2 0F 7D /r       | HSUBPS xmm1, xmm2/m128        | pni
66 0F D0 /r       | ADDSUBPD xmm1, xmm2/m128      | pni
F2 0F D0 /r       | ADDSUBPS xmm1, xmm2/m128      | pni
F2 0F F0 /r       | LDDQU xmm1, m128              | pni

NP 0F 38 00 /r    | PSHUFB mm1, mm2/m64           | ssse3
66 0F 38 00 /r    | PSHUFB xmm1, xmm2/m128        | ssse3
NP 0F 38 01 /r    | PHADDW mm1, mm2/m64           | ssse3
66 0F 38 01 /r    | PHADDW xmm1, xmm2/m128        | ssse3
NP 0F 38 02 /r    | PHADDD mm1, mm2/m64           | ssse3
66 0F 38 02 /r    | PHADDD xmm1, xmm2/m128        | ssse3
NP 0F 38 03 /r    | PHADDSW mm1, mm2/m64          | ssse3
66 0F 38 03 /r    | PHADDSW xmm1, xmm2/m128       | ssse3
NP 0F 38 04 /r    | PMADDUBSW mm1, mm2/m64        | ssse3
66 0F 38 04 /r    | PMADDUBSW xmm1, xmm2/m128     | ssse3
NP 0F 38 05 /r    | PHSUBW mm1, mm2/m64           | ssse3
66 0F 38 05 /r    | PHSUBW xmm1, xmm2/m128        | ssse3
NP 0F 38 06 /r    | PHSUBD mm1, mm2/m64           | ssse3
66 0F 38 06 /r    | PHSUBD xmm1, xmm2/m128        | ssse3
NP 0F 38 07 /r    | PHSUBSW mm1, mm2/m64          | ssse3
66 0F 38 07 /r    | PHSUBSW xmm1, xmm2/m128       | ssse3
NP 0F 38 08 /r    | PSIGNB mm1, mm2/m64           | ssse3
66 0F 38 08 /r    | PSIGNB xmm1, xmm2/m128        | ssse3
NP 0F 38 09 /r    | PSIGNW mm1, mm2/m64           | ssse3
66 0F 38 09 /r    | PSIGNW xmm1, xmm2/m128        | ssse3
NP 0F 38 0A /r    | PSIGND mm1, mm2/m64           | ssse3
66 0F 38 0A /r    | PSIGND xmm1, xmm2/m128        | ssse3
NP 0F 38 0B /r    | PMULHRSW mm1, mm2/m64         | ssse3
66 0F 38 0B /r    | PMULHRSW xmm1, xmm2/m128      | ssse3
NP 0F 38 1C /r    | PABSB mm1, mm2/m64            | ssse3
66 0F 38 1C /r    | PABSB xmm1, xmm2/m128         | ssse3
NP 0F 38 1D /r    | PABSW mm1, mm2/m64            | ssse3
66 0F 38 1D /r    | PABSW xmm1, xmm2/m128         | ssse3
NP 0F 38 1E /r    | PABSD mm1, mm2/m64            | ssse3
66 0F 38 1E /r    | PABSD xmm1, xmm2/m128         | ssse3
NP 0F 3A 0F /r ib | PALIGNR mm1, mm2/m64, imm8    | ssse3
66 0F 3A 0F /r ib | PALIGNR xmm1, xmm2/m128, imm8 | ssse3
`;
