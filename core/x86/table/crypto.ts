/**
 * AES, PCLMULQDQ, SHA and GFNI with legacy and VEX encodings: Intel SDM volume 2.
 */
export const cryptoRows = `
66 0F 38 DB /r               | AESIMC xmm1, xmm2/m128                        | aes
66 0F 38 DC /r               | AESENC xmm1, xmm2/m128                        | aes
66 0F 38 DD /r               | AESENCLAST xmm1, xmm2/m128                    | aes
66 0F 38 DE /r               | AESDEC xmm1, xmm2/m128                        | aes
66 0F 38 DF /r               | AESDECLAST xmm1, xmm2/m128                    | aes
66 0F 3A DF /r ib            | AESKEYGENASSIST xmm1, xmm2/m128, imm8         | aes
66 0F 3A 44 /r ib            | PCLMULQDQ xmm1, xmm2/m128, imm8               | pclmulqdq
NP 0F 38 C8 /r               | SHA1NEXTE xmm1, xmm2/m128                     | sha-ni
NP 0F 38 C9 /r               | SHA1MSG1 xmm1, xmm2/m128                      | sha-ni
NP 0F 38 CA /r               | SHA1MSG2 xmm1, xmm2/m128                      | sha-ni
NP 0F 38 CB /r               | SHA256RNDS2 xmm1, xmm2/m128, <XMM0>           | sha-ni
NP 0F 38 CC /r               | SHA256MSG1 xmm1, xmm2/m128                    | sha-ni
NP 0F 38 CD /r               | SHA256MSG2 xmm1, xmm2/m128                    | sha-ni
NP 0F 3A CC /r ib            | SHA1RNDS4 xmm1, xmm2/m128, imm8               | sha-ni
66 0F 38 CF /r               | GF2P8MULB xmm1, xmm2/m128                     | gfni
66 0F 3A CE /r ib            | GF2P8AFFINEQB xmm1, xmm2/m128, imm8           | gfni
66 0F 3A CF /r ib            | GF2P8AFFINEINVQB xmm1, xmm2/m128, imm8        | gfni

VEX.128.66.0F38.WIG DB /r    | VAESIMC xmm1, xmm2/m128                       | aes
VEX.128.66.0F38.WIG DC /r    | VAESENC xmm1, xmm2, xmm3/m128                 | aes
VEX.256.66.0F38.WIG DC /r    | VAESENC ymm1, ymm2, ymm3/m256                 | vaes
VEX.128.66.0F38.WIG DD /r    | VAESENCLAST xmm1, xmm2, xmm3/m128             | aes
VEX.256.66.0F38.WIG DD /r    | VAESENCLAST ymm1, ymm2, ymm3/m256             | vaes
VEX.128.66.0F38.WIG DE /r    | VAESDEC xmm1, xmm2, xmm3/m128                 | aes
VEX.256.66.0F38.WIG DE /r    | VAESDEC ymm1, ymm2, ymm3/m256                 | vaes
VEX.128.66.0F38.WIG DF /r    | VAESDECLAST xmm1, xmm2, xmm3/m128             | aes
VEX.256.66.0F38.WIG DF /r    | VAESDECLAST ymm1, ymm2, ymm3/m256             | vaes
VEX.128.66.0F3A.WIG DF /r ib | VAESKEYGENASSIST xmm1, xmm2/m128, imm8        | aes
VEX.128.66.0F3A.WIG 44 /r ib | VPCLMULQDQ xmm1, xmm2, xmm3/m128, imm8        | pclmulqdq
VEX.256.66.0F3A.WIG 44 /r ib | VPCLMULQDQ ymm1, ymm2, ymm3/m256, imm8        | vpclmulqdq
VEX.128.66.0F38.W0 CF /r     | VGF2P8MULB xmm1, xmm2, xmm3/m128              | gfni
VEX.256.66.0F38.W0 CF /r     | VGF2P8MULB ymm1, ymm2, ymm3/m256              | gfni
VEX.128.66.0F3A.W1 CE /r ib  | VGF2P8AFFINEQB xmm1, xmm2, xmm3/m128, imm8    | gfni
VEX.256.66.0F3A.W1 CE /r ib  | VGF2P8AFFINEQB ymm1, ymm2, ymm3/m256, imm8    | gfni
VEX.128.66.0F3A.W1 CF /r ib  | VGF2P8AFFINEINVQB xmm1, xmm2, xmm3/m128, imm8 | gfni
VEX.256.66.0F3A.W1 CF /r ib  | VGF2P8AFFINEINVQB ymm1, ymm2, ymm3/m256, imm8 | gfni
`;
