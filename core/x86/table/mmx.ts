/**
 * MMX, with the SSE and SSE2 additions that work on MMX registers, and 3DNow!: Intel SDM volume 2,
 * AMD 3DNow! Technology Manual (21928).
 */
export const mmxRows = `
NP 0F 60 /r       | PUNPCKLBW mm, mm/m32           | mmx
NP 0F 61 /r       | PUNPCKLWD mm, mm/m32           | mmx
NP 0F 62 /r       | PUNPCKLDQ mm, mm/m32           | mmx
NP 0F 63 /r       | PACKSSWB mm1, mm2/m64          | mmx
NP 0F 64 /r       | PCMPGTB mm, mm/m64             | mmx
NP 0F 65 /r       | PCMPGTW mm, mm/m64             | mmx
NP 0F 66 /r       | PCMPGTD mm, mm/m64             | mmx
NP 0F 67 /r       | PACKUSWB mm, mm/m64            | mmx
NP 0F 68 /r       | PUNPCKHBW mm, mm/m64           | mmx
NP 0F 69 /r       | PUNPCKHWD mm, mm/m64           | mmx
NP 0F 6A /r       | PUNPCKHDQ mm, mm/m64           | mmx
NP 0F 6B /r       | PACKSSDW mm1, mm2/m64          | mmx
NP 0F 6E /r       | MOVD mm, r/m32                 | mmx
NP REX.W 0F 6E /r | MOVQ mm, r/m64                 | mmx o64
NP 0F 6F /r       | MOVQ mm, mm/m64                | mmx
NP 0F 70 /r ib    | PSHUFW mm1, mm2/m64, imm8      | sse
NP 0F 71 /2 ib    | PSRLW mm, imm8                 | mmx
NP 0F 71 /4 ib    | PSRAW mm, imm8                 | mmx
NP 0F 71 /6 ib    | PSLLW mm, imm8                 | mmx
NP 0F 72 /2 ib    | PSRLD mm, imm8                 | mmx
NP 0F 72 /4 ib    | PSRAD mm, imm8                 | mmx
NP 0F 72 /6 ib    | PSLLD mm, imm8                 | mmx
NP 0F 73 /2 ib    | PSRLQ mm, imm8                 | mmx
NP 0F 73 /6 ib    | PSLLQ mm, imm8                 | mmx
NP 0F 74 /r       | PCMPEQB mm, mm/m64             | mmx
NP 0F 75 /r       | PCMPEQW mm, mm/m64             | mmx
NP 0F 76 /r       | PCMPEQD mm, mm/m64             | mmx
NP 0F 77          | EMMS                           | mmx
NP 0F 7E /r       | MOVD r/m32, mm                 | mmx
NP REX.W 0F 7E /r | MOVQ r/m64, mm                 | mmx o64
NP 0F 7F /r       | MOVQ mm/m64, mm                | mmx
NP 0F C4 /r ib    | PINSRW mm, r32/m16, imm8       | sse
NP 0F C5 /r ib    | PEXTRW ry, mm, imm8            | sse
NP 0F D1 /r       | PSRLW mm, mm/m64               | mmx
NP 0F D2 /r       | PSRLD mm, mm/m64               | mmx
NP 0F D3 /r       | PSRLQ mm, mm/m64               | mmx
NP 0F D4 /r       | PADDQ mm, mm/m64               | sse2
NP 0F D5 /r       | PMULLW mm, mm/m64              | mmx
NP 0F D7 /r       | PMOVMSKB ry, mm                | sse
NP 0F D8 /r       | PSUBUSB mm, mm/m64             | mmx
NP 0F D9 /r       | PSUBUSW mm, mm/m64             | mmx
NP 0F DA /r       | PMINUB mm1, mm2/m64            | sse
NP 0F DB /r       | PAND mm, mm/m64                | mmx
NP 0F DC /r       | PADDUSB mm, mm/m64             | mmx
NP 0F DD /r       | PADDUSW mm, mm/m64             | mmx
NP 0F DE /r       | PMAXUB mm1, mm2/m64            | sse
NP 0F DF /r       | PANDN mm, mm/m64               | mmx
NP 0F E0 /r       | PAVGB mm1, mm2/m64             | sse
NP 0F E1 /r       | PSRAW mm, mm/m64               | mmx
NP 0F E2 /r       | PSRAD mm, mm/m64               | mmx
NP 0F E3 /r       | PAVGW mm1, mm2/m64             | sse
NP 0F E4 /r       | PMULHUW mm1, mm2/m64           | sse
NP 0F E5 /r       | PMULHW mm, mm/m64              | mmx
NP 0F E7 /r       | MOVNTQ m64, mm                 | sse
NP 0F E8 /r       | PSUBSB mm, mm/m64              | mmx
NP 0F E9 /r       | PSUBSW mm, mm/m64              | mmx
NP 0F EA /r       | PMINSW mm1, mm2/m64            | sse
NP 0F EB /r       | POR mm, mm/m64                 | mmx
NP 0F EC /r       | PADDSB mm, mm/m64              | mmx
NP 0F ED /r       | PADDSW mm, mm/m64              | mmx
NP 0F EE /r       | PMAXSW mm1, mm2/m64            | sse
NP 0F EF /r       | PXOR mm, mm/m64                | mmx
NP 0F F1 /r       | PSLLW mm, mm/m64               | mmx
NP 0F F2 /r       | PSLLD mm, mm/m64               | mmx
NP 0F F3 /r       | PSLLQ mm, mm/m64               | mmx
NP 0F F4 /r       | PMULUDQ mm1, mm2/m64           | sse2
NP 0F F5 /r       | PMADDWD mm, mm/m64             | mmx
NP 0F F6 /r       | PSADBW mm1, mm2/m64            | sse
NP 0F F7 /r       | MASKMOVQ mm1, mm2, m64[DS:rDI] | sse
NP 0F F8 /r       | PSUBB mm, mm/m64               | mmx
NP 0F F9 /r       | PSUBW mm, mm/m64               | mmx
NP 0F FA /r       | PSUBD mm, mm/m64               | mmx
NP 0F FB /r       | PSUBQ mm1, mm2/m64             | sse2
NP 0F FC /r       | PADDB mm, mm/m64               | mmx
NP 0F FD /r       | PADDW mm, mm/m64               | mmx
NP 0F FE /r       | PADDD mm, mm/m64               | mmx

0F 0E             | FEMMS                          | 3dnow
0F 0F /r 0C       | PI2FW mm, mm/m64               | 3dnowext
0F 0F /r 0D       | PI2FD mm, mm/m64               | 3dnow
0F 0F /r 1C       | PF2IW mm, mm/m64               | 3dnowext
0F 0F /r 1D       | PF2ID mm, mm/m64               | 3dnow
0F 0F /r 8A       | PFNACC mm, mm/m64              | 3dnowext
0F 0F /r 8E       | PFPNACC mm, mm/m64             | 3dnowext
0F 0F /r 90       | PFCMPGE mm, mm/m64             | 3dnow
0F 0F /r 94       | PFMIN mm, mm/m64               | 3dnow
0F 0F /r 96       | PFRCP mm, mm/m64               | 3dnow
0F 0F /r 97       | PFRSQRT mm, mm/m64             | 3dnow
0F 0F /r 9A       | PFSUB mm, mm/m64               | 3dnow
0F 0F /r 9E       | PFADD mm, mm/m64               | 3dnow
0F 0F /r A0       | PFCMPGT mm, mm/m64             | 3dnow
0F 0F /r A4       | PFMAX mm, mm/m64               | 3dnow
0F 0F /r A6       | PFRCPIT1 mm, mm/m64            | 3dnow
0F 0F /r A7       | PFRSQIT1 mm, mm/m64            | 3dnow
0F 0F /r AA       | PFSUBR mm, mm/m64              | 3dnow
0F 0F /r AE       | PFACC mm, mm/m64               | 3dnow
0F 0F /r B0       | PFCMPEQ mm, mm/m64             | 3dnow
0F 0F /r B4       | PFMUL mm, mm/m64               | 3dnow
0F 0F /r B6       | PFRCPIT2 mm, mm/m64            | 3dnow
0F 0F /r B7       | PMULHRW mm, mm/m64             | 3dnow
0F 0F /r BB       | PSWAPD mm, mm/m64              | 3dnowext
0F 0F /r BF       | PAVGUSB mm, mm/m64             | 3dnow
`;
