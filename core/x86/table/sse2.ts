/**
 * SSE2 on XMM registers: Intel SDM volume 2. MOVNTI, LFENCE, MFENCE are in integer.ts and system.ts, the
 * MMX-register additions in mmx.ts.
 */
export const sse2Rows = `
66 0F 10 /r       | MOVUPD xmm1, xmm2/m128              | sse2
66 0F 11 /r       | MOVUPD xmm2/m128, xmm1              | sse2
F2 0F 10 /r       | MOVSD xmm1, xmm2/m64                | sse2
F2 0F 11 /r       | MOVSD xmm1/m64, xmm2                | sse2
66 0F 12 /r       | MOVLPD xmm1, m64                    | sse2
66 0F 13 /r       | MOVLPD m64, xmm1                    | sse2
66 0F 14 /r       | UNPCKLPD xmm1, xmm2/m128            | sse2
66 0F 15 /r       | UNPCKHPD xmm1, xmm2/m128            | sse2
66 0F 16 /r       | MOVHPD xmm1, m64                    | sse2
66 0F 17 /r       | MOVHPD m64, xmm1                    | sse2
66 0F 28 /r       | MOVAPD xmm1, xmm2/m128              | sse2
66 0F 29 /r       | MOVAPD xmm2/m128, xmm1              | sse2
66 0F 2A /r       | CVTPI2PD xmm, mm/m64                | sse2
F2 0F 2A /r       | CVTSI2SD xmm1, r/my                 | sse2
66 0F 2B /r       | MOVNTPD m128, xmm1                  | sse2
66 0F 2C /r       | CVTTPD2PI mm, xmm/m128              | sse2
F2 0F 2C /r       | CVTTSD2SI ry, xmm1/m64              | sse2
66 0F 2D /r       | CVTPD2PI mm, xmm/m128               | sse2
F2 0F 2D /r       | CVTSD2SI ry, xmm1/m64               | sse2
66 0F 2E /r       | UCOMISD xmm1, xmm2/m64              | sse2
66 0F 2F /r       | COMISD xmm1, xmm2/m64               | sse2
66 0F 50 /r       | MOVMSKPD ry, xmm                    | sse2
66 0F 51 /r       | SQRTPD xmm1, xmm2/m128              | sse2
F2 0F 51 /r       | SQRTSD xmm1, xmm2/m64               | sse2
66 0F 54 /r       | ANDPD xmm1, xmm2/m128               | sse2
66 0F 55 /r       | ANDNPD xmm1, xmm2/m128              | sse2
66 0F 56 /r       | ORPD xmm1, xmm2/m128                | sse2
66 0F 57 /r       | XORPD xmm1, xmm2/m128               | sse2
66 0F 58 /r       | ADDPD xmm1, xmm2/m128               | sse2
F2 0F 58 /r       | ADDSD xmm1, xmm2/m64                | sse2
66 0F 59 /r       | MULPD xmm1, xmm2/m128               | sse2
F2 0F 59 /r       | MULSD xmm1, xmm2/m64                | sse2
NP 0F 5A /r       | CVTPS2PD xmm1, xmm2/m64             | sse2
66 0F 5A /r       | CVTPD2PS xmm1, xmm2/m128            | sse2
F3 0F 5A /r       | CVTSS2SD xmm1, xmm2/m32             | sse2
F2 0F 5A /r       | CVTSD2SS xmm1, xmm2/m64             | sse2
NP 0F 5B /r       | CVTDQ2PS xmm1, xmm2/m128            | sse2
66 0F 5B /r       | CVTPS2DQ xmm1, xmm2/m128            | sse2
F3 0F 5B /r       | CVTTPS2DQ xmm1, xmm2/m128           | sse2
66 0F 5C /r       | SUBPD xmm1, xmm2/m128               | sse2
F2 0F 5C /r       | SUBSD xmm1, xmm2/m64                | sse2
66 0F 5D /r       | MINPD xmm1, xmm2/m128               | sse2
F2 0F 5D /r       | MINSD xmm1, xmm2/m64                | sse2
66 0F 5E /r       | DIVPD xmm1, xmm2/m128               | sse2
F2 0F 5E /r       | DIVSD xmm1, xmm2/m64                | sse2
66 0F 5F /r       | MAXPD xmm1, xmm2/m128               | sse2
F2 0F 5F /r       | MAXSD xmm1, xmm2/m64                | sse2
66 0F 60 /r       | PUNPCKLBW xmm1, xmm2/m128           | sse2
66 0F 61 /r       | PUNPCKLWD xmm1, xmm2/m128           | sse2
66 0F 62 /r       | PUNPCKLDQ xmm1, xmm2/m128           | sse2
66 0F 63 /r       | PACKSSWB xmm1, xmm2/m128            | sse2
66 0F 64 /r       | PCMPGTB xmm1, xmm2/m128             | sse2
66 0F 65 /r       | PCMPGTW xmm1, xmm2/m128             | sse2
66 0F 66 /r       | PCMPGTD xmm1, xmm2/m128             | sse2
66 0F 67 /r       | PACKUSWB xmm1, xmm2/m128            | sse2
66 0F 68 /r       | PUNPCKHBW xmm1, xmm2/m128           | sse2
66 0F 69 /r       | PUNPCKHWD xmm1, xmm2/m128           | sse2
66 0F 6A /r       | PUNPCKHDQ xmm1, xmm2/m128           | sse2
66 0F 6B /r       | PACKSSDW xmm1, xmm2/m128            | sse2
66 0F 6C /r       | PUNPCKLQDQ xmm1, xmm2/m128          | sse2
66 0F 6D /r       | PUNPCKHQDQ xmm1, xmm2/m128          | sse2
66 0F 6E /r       | MOVD xmm, r/m32                     | sse2
66 REX.W 0F 6E /r | MOVQ xmm, r/m64                     | sse2 o64
66 0F 6F /r       | MOVDQA xmm1, xmm2/m128              | sse2
F3 0F 6F /r       | MOVDQU xmm1, xmm2/m128              | sse2
66 0F 70 /r ib    | PSHUFD xmm1, xmm2/m128, imm8        | sse2
F3 0F 70 /r ib    | PSHUFHW xmm1, xmm2/m128, imm8       | sse2
F2 0F 70 /r ib    | PSHUFLW xmm1, xmm2/m128, imm8       | sse2
66 0F 71 /2 ib    | PSRLW xmm1, imm8                    | sse2
66 0F 71 /4 ib    | PSRAW xmm1, imm8                    | sse2
66 0F 71 /6 ib    | PSLLW xmm1, imm8                    | sse2
66 0F 72 /2 ib    | PSRLD xmm1, imm8                    | sse2
66 0F 72 /4 ib    | PSRAD xmm1, imm8                    | sse2
66 0F 72 /6 ib    | PSLLD xmm1, imm8                    | sse2
66 0F 73 /2 ib    | PSRLQ xmm1, imm8                    | sse2
66 0F 73 /3 ib    | PSRLDQ xmm1, imm8                   | sse2
66 0F 73 /6 ib    | PSLLQ xmm1, imm8                    | sse2
66 0F 73 /7 ib    | PSLLDQ xmm1, imm8                   | sse2
66 0F 74 /r       | PCMPEQB xmm1, xmm2/m128             | sse2
66 0F 75 /r       | PCMPEQW xmm1, xmm2/m128             | sse2
66 0F 76 /r       | PCMPEQD xmm1, xmm2/m128             | sse2
66 0F 7E /r       | MOVD r/m32, xmm                     | sse2
66 REX.W 0F 7E /r | MOVQ r/m64, xmm                     | sse2 o64
F3 0F 7E /r       | MOVQ xmm1, xmm2/m64                 | sse2
66 0F 7F /r       | MOVDQA xmm2/m128, xmm1              | sse2
F3 0F 7F /r       | MOVDQU xmm2/m128, xmm1              | sse2
66 0F C2 /r ib    | CMPPD xmm1, xmm2/m128, imm8         | sse2
F2 0F C2 /r ib    | CMPSD xmm1, xmm2/m64, imm8          | sse2
66 0F C4 /r ib    | PINSRW xmm, r32/m16, imm8           | sse2
66 0F C5 /r ib    | PEXTRW ry, xmm, imm8                | sse2
66 0F C6 /r ib    | SHUFPD xmm1, xmm2/m128, imm8        | sse2
66 0F D1 /r       | PSRLW xmm1, xmm2/m128               | sse2
66 0F D2 /r       | PSRLD xmm1, xmm2/m128               | sse2
66 0F D3 /r       | PSRLQ xmm1, xmm2/m128               | sse2
66 0F D4 /r       | PADDQ xmm1, xmm2/m128               | sse2
66 0F D5 /r       | PMULLW xmm1, xmm2/m128              | sse2
66 0F D6 /r       | MOVQ xmm2/m64, xmm1                 | sse2
F3 0F D6 /r       | MOVQ2DQ xmm, mm                     | sse2
F2 0F D6 /r       | MOVDQ2Q mm, xmm                     | sse2
66 0F D7 /r       | PMOVMSKB ry, xmm                    | sse2
66 0F D8 /r       | PSUBUSB xmm1, xmm2/m128             | sse2
66 0F D9 /r       | PSUBUSW xmm1, xmm2/m128             | sse2
66 0F DA /r       | PMINUB xmm1, xmm2/m128              | sse2
66 0F DB /r       | PAND xmm1, xmm2/m128                | sse2
66 0F DC /r       | PADDUSB xmm1, xmm2/m128             | sse2
66 0F DD /r       | PADDUSW xmm1, xmm2/m128             | sse2
66 0F DE /r       | PMAXUB xmm1, xmm2/m128              | sse2
66 0F DF /r       | PANDN xmm1, xmm2/m128               | sse2
66 0F E0 /r       | PAVGB xmm1, xmm2/m128               | sse2
66 0F E1 /r       | PSRAW xmm1, xmm2/m128               | sse2
66 0F E2 /r       | PSRAD xmm1, xmm2/m128               | sse2
66 0F E3 /r       | PAVGW xmm1, xmm2/m128               | sse2
66 0F E4 /r       | PMULHUW xmm1, xmm2/m128             | sse2
66 0F E5 /r       | PMULHW xmm1, xmm2/m128              | sse2
66 0F E6 /r       | CVTTPD2DQ xmm1, xmm2/m128           | sse2
F3 0F E6 /r       | CVTDQ2PD xmm1, xmm2/m64             | sse2
F2 0F E6 /r       | CVTPD2DQ xmm1, xmm2/m128            | sse2
66 0F E7 /r       | MOVNTDQ m128, xmm1                  | sse2
66 0F E8 /r       | PSUBSB xmm1, xmm2/m128              | sse2
66 0F E9 /r       | PSUBSW xmm1, xmm2/m128              | sse2
66 0F EA /r       | PMINSW xmm1, xmm2/m128              | sse2
66 0F EB /r       | POR xmm1, xmm2/m128                 | sse2
66 0F EC /r       | PADDSB xmm1, xmm2/m128              | sse2
66 0F ED /r       | PADDSW xmm1, xmm2/m128              | sse2
66 0F EE /r       | PMAXSW xmm1, xmm2/m128              | sse2
66 0F EF /r       | PXOR xmm1, xmm2/m128                | sse2
66 0F F1 /r       | PSLLW xmm1, xmm2/m128               | sse2
66 0F F2 /r       | PSLLD xmm1, xmm2/m128               | sse2
66 0F F3 /r       | PSLLQ xmm1, xmm2/m128               | sse2
66 0F F4 /r       | PMULUDQ xmm1, xmm2/m128             | sse2
66 0F F5 /r       | PMADDWD xmm1, xmm2/m128             | sse2
66 0F F6 /r       | PSADBW xmm1, xmm2/m128              | sse2
66 0F F7 /r       | MASKMOVDQU xmm1, xmm2, m128[DS:rDI] | sse2
66 0F F8 /r       | PSUBB xmm1, xmm2/m128               | sse2
66 0F F9 /r       | PSUBW xmm1, xmm2/m128               | sse2
66 0F FA /r       | PSUBD xmm1, xmm2/m128               | sse2
66 0F FB /r       | PSUBQ xmm1, xmm2/m128               | sse2
66 0F FC /r       | PADDB xmm1, xmm2/m128               | sse2
66 0F FD /r       | PADDW xmm1, xmm2/m128               | sse2
66 0F FE /r       | PADDD xmm1, xmm2/m128               | sse2
`;
