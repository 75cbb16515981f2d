/**
 * AVX: Intel SDM volume 2.
 */
export const avxRows = `
VEX.128.0F.WIG 10 /r          | VMOVUPS xmm1, xmm2/m128                 | avx
VEX.256.0F.WIG 10 /r          | VMOVUPS ymm1, ymm2/m256                 | avx
VEX.128.0F.WIG 11 /r          | VMOVUPS xmm2/m128, xmm1                 | avx
VEX.256.0F.WIG 11 /r          | VMOVUPS ymm2/m256, ymm1                 | avx
VEX.128.66.0F.WIG 10 /r       | VMOVUPD xmm1, xmm2/m128                 | avx
VEX.256.66.0F.WIG 10 /r       | VMOVUPD ymm1, ymm2/m256                 | avx
VEX.128.66.0F.WIG 11 /r       | VMOVUPD xmm2/m128, xmm1                 | avx
VEX.256.66.0F.WIG 11 /r       | VMOVUPD ymm2/m256, ymm1                 | avx
VEX.LIG.F3.0F.WIG 10 /r       | VMOVSS xmm1, xmm2, xmm3                 | avx
VEX.LIG.F3.0F.WIG 10 /r       | VMOVSS xmm1, m32                        | avx
VEX.LIG.F3.0F.WIG 11 /r       | VMOVSS xmm1, xmm2, xmm3                 | avx en=MVR
VEX.LIG.F3.0F.WIG 11 /r       | VMOVSS m32, xmm1                        | avx
VEX.LIG.F2.0F.WIG 10 /r       | VMOVSD xmm1, xmm2, xmm3                 | avx
VEX.LIG.F2.0F.WIG 10 /r       | VMOVSD xmm1, m64                        | avx
VEX.LIG.F2.0F.WIG 11 /r       | VMOVSD xmm1, xmm2, xmm3                 | avx en=MVR
VEX.LIG.F2.0F.WIG 11 /r       | VMOVSD m64, xmm1                        | avx
VEX.128.0F.WIG 12 /r          | VMOVHLPS xmm1, xmm2, xmm3               | avx
VEX.128.0F.WIG 12 /r          | VMOVLPS xmm2, xmm1, m64                 | avx
VEX.128.66.0F.WIG 12 /r       | VMOVLPD xmm2, xmm1, m64                 | avx
VEX.128.0F.WIG 13 /r          | VMOVLPS m64, xmm1                       | avx
VEX.128.66.0F.WIG 13 /r       | VMOVLPD m64, xmm1                       | avx
VEX.128.0F.WIG 16 /r          | VMOVLHPS xmm1, xmm2, xmm3               | avx
VEX.128.0F.WIG 16 /r          | VMOVHPS xmm2, xmm1, m64                 | avx
VEX.128.66.0F.WIG 16 /r       | VMOVHPD xmm2, xmm1, m64                 | avx
VEX.128.0F.WIG 17 /r          | VMOVHPS m64, xmm1                       | avx
VEX.128.66.0F.WIG 17 /r       | VMOVHPD m64, xmm1                       | avx
VEX.128.F3.0F.WIG 12 /r       | VMOVSLDUP xmm1, xmm2/m128               | avx
VEX.256.F3.0F.WIG 12 /r       | VMOVSLDUP ymm1, ymm2/m256               | avx
VEX.128.F3.0F.WIG 16 /r       | VMOVSHDUP xmm1, xmm2/m128               | avx
VEX.256.F3.0F.WIG 16 /r       | VMOVSHDUP ymm1, ymm2/m256               | avx
VEX.128.F2.0F.WIG 12 /r       | VMOVDDUP xmm1, xmm2/m64                 | avx
VEX.256.F2.0F.WIG 12 /r       | VMOVDDUP ymm1, ymm2/m256                | avx
VEX.128.0F.WIG 28 /r          | VMOVAPS xmm1, xmm2/m128                 | avx
VEX.256.0F.WIG 28 /r          | VMOVAPS ymm1, ymm2/m256                 | avx
VEX.128.0F.WIG 29 /r          | VMOVAPS xmm2/m128, xmm1                 | avx
VEX.256.0F.WIG 29 /r          | VMOVAPS ymm2/m256, ymm1                 | avx
VEX.128.66.0F.WIG 28 /r       | VMOVAPD xmm1, xmm2/m128                 | avx
VEX.256.66.0F.WIG 28 /r       | VMOVAPD ymm1, ymm2/m256                 | avx
VEX.128.66.0F.WIG 29 /r       | VMOVAPD xmm2/m128, xmm1                 | avx
VEX.256.66.0F.WIG 29 /r       | VMOVAPD ymm2/m256, ymm1                 | avx
VEX.128.0F.WIG 2B /r          | VMOVNTPS m128, xmm1                     | avx
VEX.256.0F.WIG 2B /r          | VMOVNTPS m256, ymm1                     | avx
VEX.128.66.0F.WIG 2B /r       | VMOVNTPD m128, xmm1                     | avx
VEX.256.66.0F.WIG 2B /r       | VMOVNTPD m256, ymm1                     | avx
VEX.128.66.0F.WIG E7 /r       | VMOVNTDQ m128, xmm1                     | avx
VEX.256.66.0F.WIG E7 /r       | VMOVNTDQ m256, ymm1                     | avx
VEX.128.66.0F.WIG 6F /r       | VMOVDQA xmm1, xmm2/m128                 | avx
VEX.256.66.0F.WIG 6F /r       | VMOVDQA ymm1, ymm2/m256                 | avx
VEX.128.66.0F.WIG 7F /r       | VMOVDQA xmm2/m128, xmm1                 | avx
VEX.256.66.0F.WIG 7F /r       | VMOVDQA ymm2/m256, ymm1                 | avx
VEX.128.F3.0F.WIG 6F /r       | VMOVDQU xmm1, xmm2/m128                 | avx
VEX.256.F3.0F.WIG 6F /r       | VMOVDQU ymm1, ymm2/m256                 | avx
VEX.128.F3.0F.WIG 7F /r       | VMOVDQU xmm2/m128, xmm1                 | avx
VEX.256.F3.0F.WIG 7F /r       | VMOVDQU ymm2/m256, ymm1                 | avx
VEX.128.F2.0F.WIG F0 /r       | VLDDQU xmm1, m128                       | avx
VEX.256.F2.0F.WIG F0 /r       | VLDDQU ymm1, m256                       | avx
VEX.128.66.0F.W0 6E /r        | VMOVD xmm1, r/m32                       | avx wig32
VEX.128.66.0F.W0 7E /r        | VMOVD r/m32, xmm1                       | avx wig32
VEX.128.66.0F.W1 6E /r        | VMOVQ xmm1, r/m64                       | avx o64
VEX.128.66.0F.W1 7E /r        | VMOVQ r/m64, xmm1                       | avx o64
VEX.128.F3.0F.WIG 7E /r       | VMOVQ xmm1, xmm2/m64                    | avx
VEX.128.66.0F.WIG D6 /r       | VMOVQ xmm1/m64, xmm2                    | avx
VEX.128.0F.WIG 50 /r          | VMOVMSKPS ry, xmm2                      | avx
VEX.256.0F.WIG 50 /r          | VMOVMSKPS ry, ymm2                      | avx
VEX.128.66.0F.WIG 50 /r       | VMOVMSKPD ry, xmm2                      | avx
VEX.256.66.0F.WIG 50 /r       | VMOVMSKPD ry, ymm2                      | avx
VEX.128.0F.WIG 14 /r          | VUNPCKLPS xmm1, xmm2, xmm3/m128         | avx
VEX.256.0F.WIG 14 /r          | VUNPCKLPS ymm1, ymm2, ymm3/m256         | avx
VEX.128.66.0F.WIG 14 /r       | VUNPCKLPD xmm1, xmm2, xmm3/m128         | avx
VEX.256.66.0F.WIG 14 /r       | VUNPCKLPD ymm1, ymm2, ymm3/m256         | avx
VEX.128.0F.WIG 15 /r          | VUNPCKHPS xmm1, xmm2, xmm3/m128         | avx
VEX.256.0F.WIG 15 /r          | VUNPCKHPS ymm1, ymm2, ymm3/m256         | avx
VEX.128.66.0F.WIG 15 /r       | VUNPCKHPD xmm1, xmm2, xmm3/m128         | avx
VEX.256.66.0F.WIG 15 /r       | VUNPCKHPD ymm1, ymm2, ymm3/m256         | avx
VEX.128.0F.WIG 54 /r          | VANDPS xmm1, xmm2, xmm3/m128            | avx
VEX.256.0F.WIG 54 /r          | VANDPS ymm1, ymm2, ymm3/m256            | avx
VEX.128.66.0F.WIG 54 /r       | VANDPD xmm1, xmm2, xmm3/m128            | avx
VEX.256.66.0F.WIG 54 /r       | VANDPD ymm1, ymm2, ymm3/m256            | avx
VEX.128.0F.WIG 55 /r          | VANDNPS xmm1, xmm2, xmm3/m128           | avx
VEX.256.0F.WIG 55 /r          | VANDNPS ymm1, ymm2, ymm3/m256           | avx
VEX.128.66.0F.WIG 55 /r       | VANDNPD xmm1, xmm2, xmm3/m128           | avx
VEX.256.66.0F.WIG 55 /r       | VANDNPD ymm1, ymm2, ymm3/m256           | avx
VEX.128.0F.WIG 56 /r          | VORPS xmm1, xmm2, xmm3/m128             | avx
VEX.256.0F.WIG 56 /r          | VORPS ymm1, ymm2, ymm3/m256             | avx
VEX.128.66.0F.WIG 56 /r       | VORPD xmm1, xmm2, xmm3/m128             | avx
VEX.256.66.0F.WIG 56 /r       | VORPD ymm1, ymm2, ymm3/m256             | avx
VEX.128.0F.WIG 57 /r          | VXORPS xmm1, xmm2, xmm3/m128            | avx
VEX.256.0F.WIG 57 /r          | VXORPS ymm1, ymm2, ymm3/m256            | avx
VEX.128.66.0F.WIG 57 /r       | VXORPD xmm1, xmm2, xmm3/m128            | avx
VEX.256.66.0F.WIG 57 /r       | VXORPD ymm1, ymm2, ymm3/m256            | avx
VEX.128.0F.WIG 58 /r          | VADDPS xmm1, xmm2, xmm3/m128            | avx
VEX.256.0F.WIG 58 /r          | VADDPS ymm1, ymm2, ymm3/m256            | avx
VEX.128.66.0F.WIG 58 /r       | VADDPD xmm1, xmm2, xmm3/m128            | avx
VEX.256.66.0F.WIG 58 /r       | VADDPD ymm1, ymm2, ymm3/m256            | avx
VEX.LIG.F3.0F.WIG 58 /r       | VADDSS xmm1, xmm2, xmm3/m32             | avx
VEX.LIG.F2.0F.WIG 58 /r       | VADDSD xmm1, xmm2, xmm3/m64             | avx
VEX.128.0F.WIG 59 /r          | VMULPS xmm1, xmm2, xmm3/m128            | avx
VEX.256.0F.WIG 59 /r          | VMULPS ymm1, ymm2, ymm3/m256            | avx
VEX.128.66.0F.WIG 59 /r       | VMULPD xmm1, xmm2, xmm3/m128            | avx
VEX.256.66.0F.WIG 59 /r       | VMULPD ymm1, ymm2, ymm3/m256            | avx
VEX.LIG.F3.0F.WIG 59 /r       | VMULSS xmm1, xmm2, xmm3/m32             | avx
VEX.LIG.F2.0F.WIG 59 /r       | VMULSD xmm1, xmm2, xmm3/m64             | avx
VEX.128.0F.WIG 5C /r          | VSUBPS xmm1, xmm2, xmm3/m128            | avx
VEX.256.0F.WIG 5C /r          | VSUBPS ymm1, ymm2, ymm3/m256            | avx
VEX.128.66.0F.WIG 5C /r       | VSUBPD xmm1, xmm2, xmm3/m128            | avx
VEX.256.66.0F.WIG 5C /r       | VSUBPD ymm1, ymm2, ymm3/m256            | avx
VEX.LIG.F3.0F.WIG 5C /r       | VSUBSS xmm1, xmm2, xmm3/m32             | avx
VEX.LIG.F2.0F.WIG 5C /r       | VSUBSD xmm1, xmm2, xmm3/m64             | avx
VEX.128.0F.WIG 5D /r          | VMINPS xmm1, xmm2, xmm3/m128            | avx
VEX.256.0F.WIG 5D /r          | VMINPS ymm1, ymm2, ymm3/m256            | avx
VEX.128.66.0F.WIG 5D /r       | VMINPD xmm1, xmm2, xmm3/m128            | avx
VEX.256.66.0F.WIG 5D /r       | VMINPD ymm1, ymm2, ymm3/m256            | avx
VEX.LIG.F3.0F.WIG 5D /r       | VMINSS xmm1, xmm2, xmm3/m32             | avx
VEX.LIG.F2.0F.WIG 5D /r       | VMINSD xmm1, xmm2, xmm3/m64             | avx
VEX.128.0F.WIG 5E /r          | VDIVPS xmm1, xmm2, xmm3/m128            | avx
VEX.256.0F.WIG 5E /r          | VDIVPS ymm1, ymm2, ymm3/m256            | avx
VEX.128.66.0F.WIG 5E /r       | VDIVPD xmm1, xmm2, xmm3/m128            | avx
VEX.256.66.0F.WIG 5E /r       | VDIVPD ymm1, ymm2, ymm3/m256            | avx
VEX.LIG.F3.0F.WIG 5E /r       | VDIVSS xmm1, xmm2, xmm3/m32             | avx
VEX.LIG.F2.0F.WIG 5E /r       | VDIVSD xmm1, xmm2, xmm3/m64             | avx
VEX.128.0F.WIG 5F /r          | VMAXPS xmm1, xmm2, xmm3/m128            | avx
VEX.256.0F.WIG 5F /r          | VMAXPS ymm1, ymm2, ymm3/m256            | avx
VEX.128.66.0F.WIG 5F /r       | VMAXPD xmm1, xmm2, xmm3/m128            | avx
VEX.256.66.0F.WIG 5F /r       | VMAXPD ymm1, ymm2, ymm3/m256            | avx
VEX.LIG.F3.0F.WIG 5F /r       | VMAXSS xmm1, xmm2, xmm3/m32             | avx
VEX.LIG.F2.0F.WIG 5F /r       | VMAXSD xmm1, xmm2, xmm3/m64             | avx
VEX.128.0F.WIG 51 /r          | VSQRTPS xmm1, xmm2/m128                 | avx
VEX.256.0F.WIG 51 /r          | VSQRTPS ymm1, ymm2/m256                 | avx
VEX.128.66.0F.WIG 51 /r       | VSQRTPD xmm1, xmm2/m128                 | avx
VEX.256.66.0F.WIG 51 /r       | VSQRTPD ymm1, ymm2/m256                 | avx
VEX.LIG.F3.0F.WIG 51 /r       | VSQRTSS xmm1, xmm2, xmm3/m32            | avx
VEX.LIG.F2.0F.WIG 51 /r       | VSQRTSD xmm1, xmm2, xmm3/m64            | avx
VEX.128.0F.WIG 52 /r          | VRSQRTPS xmm1, xmm2/m128                | avx
VEX.256.0F.WIG 52 /r          | VRSQRTPS ymm1, ymm2/m256                | avx
VEX.LIG.F3.0F.WIG 52 /r       | VRSQRTSS xmm1, xmm2, xmm3/m32           | avx
VEX.128.0F.WIG 53 /r          | VRCPPS xmm1, xmm2/m128                  | avx
VEX.256.0F.WIG 53 /r          | VRCPPS ymm1, ymm2/m256                  | avx
VEX.LIG.F3.0F.WIG 53 /r       | VRCPSS xmm1, xmm2, xmm3/m32             | avx
VEX.128.0F.WIG C2 /r ib       | VCMPPS xmm1, xmm2, xmm3/m128, imm8      | avx
VEX.256.0F.WIG C2 /r ib       | VCMPPS ymm1, ymm2, ymm3/m256, imm8      | avx
VEX.128.66.0F.WIG C2 /r ib    | VCMPPD xmm1, xmm2, xmm3/m128, imm8      | avx
VEX.256.66.0F.WIG C2 /r ib    | VCMPPD ymm1, ymm2, ymm3/m256, imm8      | avx
VEX.LIG.F3.0F.WIG C2 /r ib    | VCMPSS xmm1, xmm2, xmm3/m32, imm8       | avx
VEX.LIG.F2.0F.WIG C2 /r ib    | VCMPSD xmm1, xmm2, xmm3/m64, imm8       | avx
VEX.128.0F.WIG C6 /r ib       | VSHUFPS xmm1, xmm2, xmm3/m128, imm8     | avx
VEX.256.0F.WIG C6 /r ib       | VSHUFPS ymm1, ymm2, ymm3/m256, imm8     | avx
VEX.128.66.0F.WIG C6 /r ib    | VSHUFPD xmm1, xmm2, xmm3/m128, imm8     | avx
VEX.256.66.0F.WIG C6 /r ib    | VSHUFPD ymm1, ymm2, ymm3/m256, imm8     | avx
VEX.128.66.0F.WIG 7C /r       | VHADDPD xmm1, xmm2, xmm3/m128           | avx
VEX.256.66.0F.WIG 7C /r       | VHADDPD ymm1, ymm2, ymm3/m256           | avx
VEX.128.F2.0F.WIG 7C /r       | VHADDPS xmm1, xmm2, xmm3/m128           | avx
VEX.256.F2.0F.WIG 7C /r       | VHADDPS ymm1, ymm2, ymm3/m256           | avx
VEX.128.66.0F.WIG 7D /r       | VHSUBPD xmm1, xmm2, xmm3/m128           | avx
VEX.256.66.0F.WIG 7D /r       | VHSUBPD ymm1, ymm2, ymm3/m256           | avx
VEX.128.F2.0F.WIG 7D /r       | VHSUBPS xmm1, xmm2, xmm3/m128           | avx
VEX.256.F2.0F.WIG 7D /r       | VHSUBPS ymm1, ymm2, ymm3/m256           | avx
VEX.128.66.0F.WIG D0 /r       | VADDSUBPD xmm1, xmm2, xmm3/m128         | avx
VEX.256.66.0F.WIG D0 /r       | VADDSUBPD ymm1, ymm2, ymm3/m256         | avx
VEX.128.F2.0F.WIG D0 /r       | VADDSUBPS xmm1, xmm2, xmm3/m128         | avx
VEX.256.F2.0F.WIG D0 /r       | VADDSUBPS ymm1, ymm2, ymm3/m256         | avx
VEX.LIG.0F.WIG 2E /r          | VUCOMISS xmm1, xmm2/m32                 | avx
VEX.LIG.66.0F.WIG 2E /r       | VUCOMISD xmm1, xmm2/m64                 | avx
VEX.LIG.0F.WIG 2F /r          | VCOMISS xmm1, xmm2/m32                  | avx
VEX.LIG.66.0F.WIG 2F /r       | VCOMISD xmm1, xmm2/m64                  | avx
VEX.LIG.F3.0F 2A /r           | VCVTSI2SS xmm1, xmm2, r/my              | avx
VEX.LIG.F2.0F 2A /r           | VCVTSI2SD xmm1, xmm2, r/my              | avx
VEX.LIG.F3.0F 2C /r           | VCVTTSS2SI ry, xmm1/m32                 | avx
VEX.LIG.F2.0F 2C /r           | VCVTTSD2SI ry, xmm1/m64                 | avx
VEX.LIG.F3.0F 2D /r           | VCVTSS2SI ry, xmm1/m32                  | avx
VEX.LIG.F2.0F 2D /r           | VCVTSD2SI ry, xmm1/m64                  | avx
VEX.128.0F.WIG 5A /r          | VCVTPS2PD xmm1, xmm2/m64                | avx
VEX.256.0F.WIG 5A /r          | VCVTPS2PD ymm1, xmm2/m128               | avx
VEX.128.66.0F.WIG 5A /r       | VCVTPD2PS xmm1, xmm2/m128               | avx
VEX.256.66.0F.WIG 5A /r       | VCVTPD2PS xmm1, ymm2/m256               | avx
VEX.LIG.F3.0F.WIG 5A /r       | VCVTSS2SD xmm1, xmm2, xmm3/m32          | avx
VEX.LIG.F2.0F.WIG 5A /r       | VCVTSD2SS xmm1, xmm2, xmm3/m64          | avx
VEX.128.0F.WIG 5B /r          | VCVTDQ2PS xmm1, xmm2/m128               | avx
VEX.256.0F.WIG 5B /r          | VCVTDQ2PS ymm1, ymm2/m256               | avx
VEX.128.66.0F.WIG 5B /r       | VCVTPS2DQ xmm1, xmm2/m128               | avx
VEX.256.66.0F.WIG 5B /r       | VCVTPS2DQ ymm1, ymm2/m256               | avx
VEX.128.F3.0F.WIG 5B /r       | VCVTTPS2DQ xmm1, xmm2/m128              | avx
VEX.256.F3.0F.WIG 5B /r       | VCVTTPS2DQ ymm1, ymm2/m256              | avx
VEX.128.66.0F.WIG E6 /r       | VCVTTPD2DQ xmm1, xmm2/m128              | avx
VEX.256.66.0F.WIG E6 /r       | VCVTTPD2DQ xmm1, ymm2/m256              | avx
VEX.128.F2.0F.WIG E6 /r       | VCVTPD2DQ xmm1, xmm2/m128               | avx
VEX.256.F2.0F.WIG E6 /r       | VCVTPD2DQ xmm1, ymm2/m256               | avx
VEX.128.F3.0F.WIG E6 /r       | VCVTDQ2PD xmm1, xmm2/m64                | avx
VEX.256.F3.0F.WIG E6 /r       | VCVTDQ2PD ymm1, xmm2/m128               | avx
VEX.128.0F.WIG 77             | VZEROUPPER                              | avx
VEX.256.0F.WIG 77             | VZEROALL                                | avx
VEX.LZ.0F.WIG AE /2           | VLDMXCSR m32                            | avx
VEX.LZ.0F.WIG AE /3           | VSTMXCSR m32                            | avx
VEX.128.66.0F38.W0 0E /r      | VTESTPS xmm1, xmm2/m128                 | avx
VEX.256.66.0F38.W0 0E /r      | VTESTPS ymm1, ymm2/m256                 | avx
VEX.128.66.0F38.W0 0F /r      | VTESTPD xmm1, xmm2/m128                 | avx
VEX.256.66.0F38.W0 0F /r      | VTESTPD ymm1, ymm2/m256                 | avx
VEX.128.66.0F38.WIG 17 /r     | VPTEST xmm1, xmm2/m128                  | avx
VEX.256.66.0F38.WIG 17 /r     | VPTEST ymm1, ymm2/m256                  | avx
VEX.128.66.0F38.W0 0C /r      | VPERMILPS xmm1, xmm2, xmm3/m128         | avx
VEX.256.66.0F38.W0 0C /r      | VPERMILPS ymm1, ymm2, ymm3/m256         | avx
VEX.128.66.0F38.W0 0D /r      | VPERMILPD xmm1, xmm2, xmm3/m128         | avx
VEX.256.66.0F38.W0 0D /r      | VPERMILPD ymm1, ymm2, ymm3/m256         | avx
VEX.128.66.0F3A.W0 04 /r ib   | VPERMILPS xmm1, xmm2/m128, imm8         | avx
VEX.256.66.0F3A.W0 04 /r ib   | VPERMILPS ymm1, ymm2/m256, imm8         | avx
VEX.128.66.0F3A.W0 05 /r ib   | VPERMILPD xmm1, xmm2/m128, imm8         | avx
VEX.256.66.0F3A.W0 05 /r ib   | VPERMILPD ymm1, ymm2/m256, imm8         | avx
VEX.256.66.0F3A.W0 06 /r ib   | VPERM2F128 ymm1, ymm2, ymm3/m256, imm8  | avx
VEX.128.66.0F38.W0 18 /r      | VBROADCASTSS xmm1, m32                  | avx
VEX.256.66.0F38.W0 18 /r      | VBROADCASTSS ymm1, m32                  | avx
VEX.256.66.0F38.W0 19 /r      | VBROADCASTSD ymm1, m64                  | avx
VEX.256.66.0F38.W0 1A /r      | VBROADCASTF128 ymm1, m128               | avx
VEX.128.66.0F38.W0 2C /r      | VMASKMOVPS xmm1, xmm2, m128             | avx
VEX.256.66.0F38.W0 2C /r      | VMASKMOVPS ymm1, ymm2, m256             | avx
VEX.128.66.0F38.W0 2E /r      | VMASKMOVPS m128, xmm1, xmm2             | avx en=MVR
VEX.256.66.0F38.W0 2E /r      | VMASKMOVPS m256, ymm1, ymm2             | avx en=MVR
VEX.128.66.0F38.W0 2D /r      | VMASKMOVPD xmm1, xmm2, m128             | avx
VEX.256.66.0F38.W0 2D /r      | VMASKMOVPD ymm1, ymm2, m256             | avx
VEX.128.66.0F38.W0 2F /r      | VMASKMOVPD m128, xmm1, xmm2             | avx en=MVR
VEX.256.66.0F38.W0 2F /r      | VMASKMOVPD m256, ymm1, ymm2             | avx en=MVR
VEX.128.66.0F3A.WIG 08 /r ib  | VROUNDPS xmm1, xmm2/m128, imm8          | avx
VEX.256.66.0F3A.WIG 08 /r ib  | VROUNDPS ymm1, ymm2/m256, imm8          | avx
VEX.128.66.0F3A.WIG 09 /r ib  | VROUNDPD xmm1, xmm2/m128, imm8          | avx
VEX.256.66.0F3A.WIG 09 /r ib  | VROUNDPD ymm1, ymm2/m256, imm8          | avx
VEX.LIG.66.0F3A.WIG 0A /r ib  | VROUNDSS xmm1, xmm2, xmm3/m32, imm8     | avx
VEX.LIG.66.0F3A.WIG 0B /r ib  | VROUNDSD xmm1, xmm2, xmm3/m64, imm8     | avx
VEX.128.66.0F3A.WIG 0C /r ib  | VBLENDPS xmm1, xmm2, xmm3/m128, imm8    | avx
VEX.256.66.0F3A.WIG 0C /r ib  | VBLENDPS ymm1, ymm2, ymm3/m256, imm8    | avx
VEX.128.66.0F3A.WIG 0D /r ib  | VBLENDPD xmm1, xmm2, xmm3/m128, imm8    | avx
VEX.256.66.0F3A.WIG 0D /r ib  | VBLENDPD ymm1, ymm2, ymm3/m256, imm8    | avx
VEX.128.66.0F3A.WIG 14 /r ib  | VPEXTRB ry/m8, xmm2, imm8               | avx
VEX.128.66.0F3A.WIG 15 /r ib  | VPEXTRW ry/m16, xmm2, imm8              | avx
VEX.128.66.0F3A.W0 16 /r ib   | VPEXTRD r/m32, xmm2, imm8               | avx wig32
VEX.128.66.0F3A.W1 16 /r ib   | VPEXTRQ r/m64, xmm2, imm8               | avx o64
VEX.128.66.0F3A.WIG 17 /r ib  | VEXTRACTPS ry/m32, xmm1, imm8           | avx
VEX.256.66.0F3A.W0 18 /r ib   | VINSERTF128 ymm1, ymm2, xmm3/m128, imm8 | avx
VEX.256.66.0F3A.W0 19 /r ib   | VEXTRACTF128 xmm1/m128, ymm2, imm8      | avx
VEX.128.66.0F3A.WIG 20 /r ib  | VPINSRB xmm1, xmm2, r32/m8, imm8        | avx
VEX.128.66.0F3A.WIG 21 /r ib  | VINSERTPS xmm1, xmm2, xmm3/m32, imm8    | avx
VEX.128.66.0F3A.W0 22 /r ib   | VPINSRD xmm1, xmm2, r/m32, imm8         | avx wig32
VEX.128.66.0F3A.W1 22 /r ib   | VPINSRQ xmm1, xmm2, r/m64, imm8         | avx o64
VEX.128.66.0F.WIG C4 /r ib    | VPINSRW xmm1, xmm2, r32/m16, imm8       | avx
VEX.128.66.0F.WIG C5 /r ib    | VPEXTRW ry, xmm1, imm8                  | avx
VEX.128.66.0F3A.WIG 40 /r ib  | VDPPS xmm1, xmm2, xmm3/m128, imm8       | avx
VEX.256.66.0F3A.WIG 40 /r ib  | VDPPS ymm1, ymm2, ymm3/m256, imm8       | avx
VEX.128.66.0F3A.WIG 41 /r ib  | VDPPD xmm1, xmm2, xmm3/m128, imm8       | avx
VEX.128.66.0F3A.W0 4A /r /is4 | VBLENDVPS xmm1, xmm2, xmm3/m128, xmm4   | avx
VEX.256.66.0F3A.W0 4A /r /is4 | VBLENDVPS ymm1, ymm2, ymm3/m256, ymm4   | avx
VEX.128.66.0F3A.W0 4B /r /is4 | VBLENDVPD xmm1, xmm2, xmm3/m128, xmm4   | avx
VEX.256.66.0F3A.W0 4B /r /is4 | VBLENDVPD ymm1, ymm2, ymm3/m256, ymm4   | avx
VEX.128.66.0F3A.W0 4C /r /is4 | VPBLENDVB xmm1, xmm2, xmm3/m128, xmm4   | avx
VEX.128.66.0F3A.WIG 60 /r ib  | VPCMPESTRM xmm1, xmm2/m128, imm8        | avx
VEX.128.66.0F3A.WIG 61 /r ib  | VPCMPESTRI xmm1, xmm2/m128, imm8        | avx
VEX.128.66.0F3A.WIG 62 /r ib  | VPCMPISTRM xmm1, xmm2/m128, imm8        | avx
VEX.128.66.0F3A.WIG 63 /r ib  | VPCMPISTRI xmm1, xmm2/m128, imm8        | avx
VEX.128.66.0F38.WIG 41 /r     | VPHMINPOSUW xmm1, xmm2/m128             | avx
VEX.128.66.0F.WIG 60 /r       | VPUNPCKLBW xmm1, xmm2, xmm3/m128        | avx
VEX.128.66.0F.WIG 61 /r       | VPUNPCKLWD xmm1, xmm2, xmm3/m128        | avx
VEX.128.66.0F.WIG 62 /r       | VPUNPCKLDQ xmm1, xmm2, xmm3/m128        | avx
VEX.128.66.0F.WIG 63 /r       | VPACKSSWB xmm1, xmm2, xmm3/m128         | avx
VEX.128.66.0F.WIG 64 /r       | VPCMPGTB xmm1, xmm2, xmm3/m128          | avx
VEX.128.66.0F.WIG 65 /r       | VPCMPGTW xmm1, xmm2, xmm3/m128          | avx
VEX.128.66.0F.WIG 66 /r       | VPCMPGTD xmm1, xmm2, xmm3/m128          | avx
VEX.128.66.0F.WIG 67 /r       | VPACKUSWB xmm1, xmm2, xmm3/m128         | avx
VEX.128.66.0F.WIG 68 /r       | VPUNPCKHBW xmm1, xmm2, xmm3/m128        | avx
VEX.128.66.0F.WIG 69 /r       | VPUNPCKHWD xmm1, xmm2, xmm3/m128        | avx
VEX.128.66.0F.WIG 6A /r       | VPUNPCKHDQ xmm1, xmm2, xmm3/m128        | avx
VEX.128.66.0F.WIG 6B /r       | VPACKSSDW xmm1, xmm2, xmm3/m128         | avx
VEX.128.66.0F.WIG 6C /r       | VPUNPCKLQDQ xmm1, xmm2, xmm3/m128       | avx
VEX.128.66.0F.WIG 6D /r       | VPUNPCKHQDQ xmm1, xmm2, xmm3/m128       | avx
VEX.128.66.0F.WIG 74 /r       | VPCMPEQB xmm1, xmm2, xmm3/m128          | avx
VEX.128.66.0F.WIG 75 /r       | VPCMPEQW xmm1, xmm2, xmm3/m128          | avx
VEX.128.66.0F.WIG 76 /r       | VPCMPEQD xmm1, xmm2, xmm3/m128          | avx
VEX.128.66.0F.WIG D4 /r       | VPADDQ xmm1, xmm2, xmm3/m128            | avx
VEX.128.66.0F.WIG D5 /r       | VPMULLW xmm1, xmm2, xmm3/m128           | avx
VEX.128.66.0F.WIG D8 /r       | VPSUBUSB xmm1, xmm2, xmm3/m128          | avx
VEX.128.66.0F.WIG D9 /r       | VPSUBUSW xmm1, xmm2, xmm3/m128          | avx
VEX.128.66.0F.WIG DA /r       | VPMINUB xmm1, xmm2, xmm3/m128           | avx
VEX.128.66.0F.WIG DB /r       | VPAND xmm1, xmm2, xmm3/m128             | avx
VEX.128.66.0F.WIG DC /r       | VPADDUSB xmm1, xmm2, xmm3/m128          | avx
VEX.128.66.0F.WIG DD /r       | VPADDUSW xmm1, xmm2, xmm3/m128          | avx
VEX.128.66.0F.WIG DE /r       | VPMAXUB xmm1, xmm2, xmm3/m128           | avx
VEX.128.66.0F.WIG DF /r       | VPANDN xmm1, xmm2, xmm3/m128            | avx
VEX.128.66.0F.WIG E0 /r       | VPAVGB xmm1, xmm2, xmm3/m128            | avx
VEX.128.66.0F.WIG E3 /r       | VPAVGW xmm1, xmm2, xmm3/m128            | avx
VEX.128.66.0F.WIG E4 /r       | VPMULHUW xmm1, xmm2, xmm3/m128          | avx
VEX.128.66.0F.WIG E5 /r       | VPMULHW xmm1, xmm2, xmm3/m128           | avx
VEX.128.66.0F.WIG E8 /r       | VPSUBSB xmm1, xmm2, xmm3/m128           | avx
VEX.128.66.0F.WIG E9 /r       | VPSUBSW xmm1, xmm2, xmm3/m128           | avx
VEX.128.66.0F.WIG EA /r       | VPMINSW xmm1, xmm2, xmm3/m128           | avx
VEX.128.66.0F.WIG EB /r       | VPOR xmm1, xmm2, xmm3/m128              | avx
VEX.128.66.0F.WIG EC /r       | VPADDSB xmm1, xmm2, xmm3/m128           | avx
VEX.128.66.0F.WIG ED /r       | VPADDSW xmm1, xmm2, xmm3/m128           | avx
VEX.128.66.0F.WIG EE /r       | VPMAXSW xmm1, xmm2, xmm3/m128           | avx
VEX.128.66.0F.WIG EF /r       | VPXOR xmm1, xmm2, xmm3/m128             | avx
VEX.128.66.0F.WIG F4 /r       | VPMULUDQ xmm1, xmm2, xmm3/m128          | avx
VEX.128.66.0F.WIG F5 /r       | VPMADDWD xmm1, xmm2, xmm3/m128          | avx
VEX.128.66.0F.WIG F6 /r       | VPSADBW xmm1, xmm2, xmm3/m128           | avx
VEX.128.66.0F.WIG F8 /r       | VPSUBB xmm1, xmm2, xmm3/m128            | avx
VEX.128.66.0F.WIG F9 /r       | VPSUBW xmm1, xmm2, xmm3/m128            | avx
VEX.128.66.0F.WIG FA /r       | VPSUBD xmm1, xmm2, xmm3/m128            | avx
VEX.128.66.0F.WIG FB /r       | VPSUBQ xmm1, xmm2, xmm3/m128            | avx
VEX.128.66.0F.WIG FC /r       | VPADDB xmm1, xmm2, xmm3/m128            | avx
VEX.128.66.0F.WIG FD /r       | VPADDW xmm1, xmm2, xmm3/m128            | avx
VEX.128.66.0F.WIG FE /r       | VPADDD xmm1, xmm2, xmm3/m128            | avx
VEX.128.66.0F.WIG D1 /r       | VPSRLW xmm1, xmm2, xmm3/m128            | avx
VEX.128.66.0F.WIG D2 /r       | VPSRLD xmm1, xmm2, xmm3/m128            | avx
VEX.128.66.0F.WIG D3 /r       | VPSRLQ xmm1, xmm2, xmm3/m128            | avx
VEX.128.66.0F.WIG E1 /r       | VPSRAW xmm1, xmm2, xmm3/m128            | avx
VEX.128.66.0F.WIG E2 /r       | VPSRAD xmm1, xmm2, xmm3/m128            | avx
VEX.128.66.0F.WIG F1 /r       | VPSLLW xmm1, xmm2, xmm3/m128            | avx
VEX.128.66.0F.WIG F2 /r       | VPSLLD xmm1, xmm2, xmm3/m128            | avx
VEX.128.66.0F.WIG F3 /r       | VPSLLQ xmm1, xmm2, xmm3/m128            | avx
VEX.128.66.0F.WIG 71 /2 ib    | VPSRLW xmm1, xmm2, imm8                 | avx
VEX.128.66.0F.WIG 71 /4 ib    | VPSRAW xmm1, xmm2, imm8                 | avx
VEX.128.66.0F.WIG 71 /6 ib    | VPSLLW xmm1, xmm2, imm8                 | avx
VEX.128.66.0F.WIG 72 /2 ib    | VPSRLD xmm1, xmm2, imm8                 | avx
VEX.128.66.0F.WIG 72 /4 ib    | VPSRAD xmm1, xmm2, imm8                 | avx
VEX.128.66.0F.WIG 72 /6 ib    | VPSLLD xmm1, xmm2, imm8                 | avx
VEX.128.66.0F.WIG 73 /2 ib    | VPSRLQ xmm1, xmm2, imm8                 | avx
VEX.128.66.0F.WIG 73 /3 ib    | VPSRLDQ xmm1, xmm2, imm8                | avx
VEX.128.66.0F.WIG 73 /6 ib    | VPSLLQ xmm1, xmm2, imm8                 | avx
VEX.128.66.0F.WIG 73 /7 ib    | VPSLLDQ xmm1, xmm2, imm8                | avx
VEX.128.66.0F.WIG 70 /r ib    | VPSHUFD xmm1, xmm2/m128, imm8           | avx
VEX.128.F3.0F.WIG 70 /r ib    | VPSHUFHW xmm1, xmm2/m128, imm8          | avx
VEX.128.F2.0F.WIG 70 /r ib    | VPSHUFLW xmm1, xmm2/m128, imm8          | avx
VEX.128.66.0F.WIG D7 /r       | VPMOVMSKB ry, xmm1                      | avx
VEX.128.66.0F.WIG F7 /r       | VMASKMOVDQU xmm1, xmm2, m128[DS:rDI]    | avx
VEX.128.66.0F38.WIG 00 /r     | VPSHUFB xmm1, xmm2, xmm3/m128           | avx
VEX.128.66.0F38.WIG 01 /r     | VPHADDW xmm1, xmm2, xmm3/m128           | avx
VEX.128.66.0F38.WIG 02 /r     | VPHADDD xmm1, xmm2, xmm3/m128           | avx
VEX.128.66.0F38.WIG 03 /r     | VPHADDSW xmm1, xmm2, xmm3/m128          | avx
VEX.128.66.0F38.WIG 04 /r     | VPMADDUBSW xmm1, xmm2, xmm3/m128        | avx
VEX.128.66.0F38.WIG 05 /r     | VPHSUBW xmm1, xmm2, xmm3/m128           | avx
VEX.128.66.0F38.WIG 06 /r     | VPHSUBD xmm1, xmm2, xmm3/m128           | avx
VEX.128.66.0F38.WIG 07 /r     | VPHSUBSW xmm1, xmm2, xmm3/m128          | avx
VEX.128.66.0F38.WIG 08 /r     | VPSIGNB xmm1, xmm2, xmm3/m128           | avx
VEX.128.66.0F38.WIG 09 /r     | VPSIGNW xmm1, xmm2, xmm3/m128           | avx
VEX.128.66.0F38.WIG 0A /r     | VPSIGND xmm1, xmm2, xmm3/m128           | avx
VEX.128.66.0F38.WIG 0B /r     | VPMULHRSW xmm1, xmm2, xmm3/m128         | avx
VEX.128.66.0F38.WIG 28 /r     | VPMULDQ xmm1, xmm2, xmm3/m128           | avx
VEX.128.66.0F38.WIG 29 /r     | VPCMPEQQ xmm1, xmm2, xmm3/m128          | avx
VEX.128.66.0F38.WIG 2B /r     | VPACKUSDW xmm1, xmm2, xmm3/m128         | avx
VEX.128.66.0F38.WIG 37 /r     | VPCMPGTQ xmm1, xmm2, xmm3/m128          | avx
VEX.128.66.0F38.WIG 38 /r     | VPMINSB xmm1, xmm2, xmm3/m128           | avx
VEX.128.66.0F38.WIG 39 /r     | VPMINSD xmm1, xmm2, xmm3/m128           | avx
VEX.128.66.0F38.WIG 3A /r     | VPMINUW xmm1, xmm2, xmm3/m128           | avx
VEX.128.66.0F38.WIG 3B /r     | VPMINUD xmm1, xmm2, xmm3/m128           | avx
VEX.128.66.0F38.WIG 3C /r     | VPMAXSB xmm1, xmm2, xmm3/m128           | avx
VEX.128.66.0F38.WIG 3D /r     | VPMAXSD xmm1, xmm2, xmm3/m128           | avx
VEX.128.66.0F38.WIG 3E /r     | VPMAXUW xmm1, xmm2, xmm3/m128           | avx
VEX.128.66.0F38.WIG 3F /r     | VPMAXUD xmm1, xmm2, xmm3/m128           | avx
VEX.128.66.0F38.WIG 40 /r     | VPMULLD xmm1, xmm2, xmm3/m128           | avx
VEX.128.66.0F38.WIG 1C /r     | VPABSB xmm1, xmm2/m128                  | avx
VEX.128.66.0F38.WIG 1D /r     | VPABSW xmm1, xmm2/m128                  | avx
VEX.128.66.0F38.WIG 1E /r     | VPABSD xmm1, xmm2/m128                  | avx
VEX.128.66.0F3A.WIG 0E /r ib  | VPBLENDW xmm1, xmm2, xmm3/m128, imm8    | avx
VEX.128.66.0F3A.WIG 0F /r ib  | VPALIGNR xmm1, xmm2, xmm3/m128, imm8    | avx
VEX.128.66.0F3A.WIG 42 /r ib  | VMPSADBW xmm1, xmm2, xmm3/m128, imm8    | avx
VEX.128.66.0F38.WIG 2A /r     | VMOVNTDQA xmm1, m128                    | avx
VEX.128.66.0F38.WIG 20 /r     | VPMOVSXBW xmm1, xmm2/m64                | avx
VEX.128.66.0F38.WIG 21 /r     | VPMOVSXBD xmm1, xmm2/m32                | avx
VEX.128.66.0F38.WIG 22 /r     | VPMOVSXBQ xmm1, xmm2/m16                | avx
VEX.128.66.0F38.WIG 23 /r     | VPMOVSXWD xmm1, xmm2/m64                | avx
VEX.128.66.0F38.WIG 24 /r     | VPMOVSXWQ xmm1, xmm2/m32                | avx
VEX.128.66.0F38.WIG 25 /r     | VPMOVSXDQ xmm1, xmm2/m64                | avx
VEX.128.66.0F38.WIG 30 /r     | VPMOVZXBW xmm1, xmm2/m64                | avx
VEX.128.66.0F38.WIG 31 /r     | VPMOVZXBD xmm1, xmm2/m32                | avx
VEX.128.66.0F38.WIG 32 /r     | VPMOVZXBQ xmm1, xmm2/m16                | avx
VEX.128.66.0F38.WIG 33 /r     | VPMOVZXWD xmm1, xmm2/m64                | avx
VEX.128.66.0F38.WIG 34 /r     | VPMOVZXWQ xmm1, xmm2/m32                | avx
VEX.128.66.0F38.WIG 35 /r     | VPMOVZXDQ xmm1, xmm2/m64                | avx
`;
