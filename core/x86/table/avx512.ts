/**
 * AVX-512 F, CD, BW, DQ and VL: Intel SDM volume 2. `EVEX.VL` stands for three rows, of 128, 256 and
 * 512 bits, `EVEX.VH` for the two longer ones; in them `vmm` and `mV` are a whole vector and memory of
 * its size, `hmm` and `mH` half of one, `qmm` and `mQ` a quarter, `omm` and `mO` an eighth. Flags: `e4`
 * 4-byte elements that mask bits belong to (default: the broadcast element's size), `s8` those of the
 * source when they differ, `n4` the unit of an 8-bit displacement, `nf` memory is accessed whatever
 * the mask, `km` the mask must be given.
 */

/** Rows with a form for single and one for double precision: `%` is their pp, W and letters. */
function floats(text: string): string {
  return text.split("\n").flatMap((line) =>
    !line.includes("%")
      ? [line]
      : ["S", "D"].map((s) =>
        line.replaceAll("%PP", s === "S" ? "" : "66.").replaceAll("%W", s === "S" ? "W0" : "W1")
          .replaceAll("%SPP", s === "S" ? "F3" : "F2").replaceAll(
            "%B",
            s === "S" ? "m32bcst" : "m64bcst",
          )
          .replaceAll("%M", s === "S" ? "m32" : "m64").replaceAll("%E", s === "S" ? "e4" : "e8")
          .replaceAll("%I", s === "S" ? "D" : "Q").replaceAll("%", s)
      )
  ).join("\n");
}

/** Rows with a form for each order of a fused multiply-add's operands. */
function fused(): string {
  const kinds: readonly (readonly [string, number, boolean])[] = [
    ["VFMADDSUB", 0x6, false],
    ["VFMSUBADD", 0x7, false],
    ["VFMADD", 0x8, true],
    ["VFMSUB", 0xa, true],
    ["VFNMADD", 0xc, true],
    ["VFNMSUB", 0xe, true],
  ];
  const rows: string[] = [];
  for (const [order, high] of [["132", 0x90], ["213", 0xa0], ["231", 0xb0]] as const) {
    for (const [name, low, scalar] of kinds) {
      const byte = (n: number) => n.toString(16).toUpperCase();
      rows.push(
        `EVEX.VL.66.0F38.%W ${byte(high + low)} /r | ${name}${order}P% ` +
          "vmm1{k1}{z}, vmm2, vmm3/mV/%B{er} | avx512f",
      );
      if (!scalar) continue;
      rows.push(
        `EVEX.LIG.66.0F38.%W ${byte(high + low + 1)} /r | ${name}${order}S% ` +
          "xmm1{k1}{z}, xmm2, xmm3/%M{er} | avx512f %E",
      );
    }
  }
  return floats(rows.join("\n"));
}

const moves = floats(`
EVEX.VL.%PP0F.%W 10 /r      | VMOVUP% vmm1{k1}{z}, vmm2/mV | avx512f %E
EVEX.VL.%PP0F.%W 11 /r      | VMOVUP% vmm2/mV{k1}{z}, vmm1 | avx512f %E
EVEX.VL.%PP0F.%W 28 /r      | VMOVAP% vmm1{k1}{z}, vmm2/mV | avx512f %E
EVEX.VL.%PP0F.%W 29 /r      | VMOVAP% vmm2/mV{k1}{z}, vmm1 | avx512f %E
EVEX.VL.%PP0F.%W 2B /r      | VMOVNTP% mV, vmm1            | avx512f
EVEX.LIG.%SPP.0F.%W 10 /r   | VMOVS%_EVEX xmm1{k1}{z}, xmm2, xmm3 | avx512f %E as=VMOVS%
EVEX.LIG.%SPP.0F.%W 10 /r   | VMOVS%_EVEX xmm1{k1}{z}, %M  | avx512f %E as=VMOVS%
EVEX.LIG.%SPP.0F.%W 11 /r   | VMOVS%_EVEX xmm1{k1}{z}, xmm2, xmm3 | avx512f %E en=MVR as=VMOVS%
EVEX.LIG.%SPP.0F.%W 11 /r   | VMOVS%_EVEX %M{k1}, xmm1     | avx512f %E as=VMOVS%
EVEX.128.%PP0F.%W 12 /r     | VMOVLP% xmm2, xmm1, m64      | avx512f
EVEX.128.%PP0F.%W 13 /r     | VMOVLP% m64, xmm1            | avx512f
EVEX.128.%PP0F.%W 16 /r     | VMOVHP% xmm2, xmm1, m64      | avx512f
EVEX.128.%PP0F.%W 17 /r     | VMOVHP% m64, xmm1            | avx512f
`) + `
EVEX.128.0F.W0 12 /r        | VMOVHLPS xmm1, xmm2, xmm3    | avx512f
EVEX.128.0F.W0 16 /r        | VMOVLHPS xmm1, xmm2, xmm3    | avx512f
EVEX.VL.F3.0F.W0 12 /r      | VMOVSLDUP vmm1{k1}{z}, vmm2/mV | avx512f e4 nf
EVEX.VL.F3.0F.W0 16 /r      | VMOVSHDUP vmm1{k1}{z}, vmm2/mV | avx512f e4 nf
EVEX.128.F2.0F.W1 12 /r     | VMOVDDUP xmm1{k1}{z}, xmm2/m64 | avx512f avx512vl e8 nf
EVEX.256.F2.0F.W1 12 /r     | VMOVDDUP ymm1{k1}{z}, ymm2/m256 | avx512f avx512vl e8 nf
EVEX.512.F2.0F.W1 12 /r     | VMOVDDUP zmm1{k1}{z}, zmm2/m512 | avx512f e8 nf
EVEX.VL.66.0F.W0 E7 /r      | VMOVNTDQ mV, vmm1            | avx512f
EVEX.VL.66.0F38.W0 2A /r    | VMOVNTDQA vmm1, mV           | avx512f
EVEX.128.66.0F.W0 6E /r     | VMOVD xmm1, r/m32            | avx512f wig32
EVEX.128.66.0F.W0 7E /r     | VMOVD r/m32, xmm1            | avx512f wig32
EVEX.128.66.0F.W1 6E /r     | VMOVQ xmm1, r/m64            | avx512f o64
EVEX.128.66.0F.W1 7E /r     | VMOVQ r/m64, xmm1            | avx512f o64
EVEX.128.F3.0F.W1 7E /r     | VMOVQ xmm1, xmm2/m64         | avx512f
EVEX.128.66.0F.W1 D6 /r     | VMOVQ xmm1/m64, xmm2         | avx512f
EVEX.VL.66.0F.W0 6F /r      | VMOVDQA32 vmm1{k1}{z}, vmm2/mV | avx512f e4
EVEX.VL.66.0F.W0 7F /r      | VMOVDQA32 vmm2/mV{k1}{z}, vmm1 | avx512f e4
EVEX.VL.66.0F.W1 6F /r      | VMOVDQA64 vmm1{k1}{z}, vmm2/mV | avx512f e8
EVEX.VL.66.0F.W1 7F /r      | VMOVDQA64 vmm2/mV{k1}{z}, vmm1 | avx512f e8
EVEX.VL.F3.0F.W0 6F /r      | VMOVDQU32 vmm1{k1}{z}, vmm2/mV | avx512f e4
EVEX.VL.F3.0F.W0 7F /r      | VMOVDQU32 vmm2/mV{k1}{z}, vmm1 | avx512f e4
EVEX.VL.F3.0F.W1 6F /r      | VMOVDQU64 vmm1{k1}{z}, vmm2/mV | avx512f e8
EVEX.VL.F3.0F.W1 7F /r      | VMOVDQU64 vmm2/mV{k1}{z}, vmm1 | avx512f e8
EVEX.VL.F2.0F.W0 6F /r      | VMOVDQU8 vmm1{k1}{z}, vmm2/mV  | avx512bw e1
EVEX.VL.F2.0F.W0 7F /r      | VMOVDQU8 vmm2/mV{k1}{z}, vmm1  | avx512bw e1
EVEX.VL.F2.0F.W1 6F /r      | VMOVDQU16 vmm1{k1}{z}, vmm2/mV | avx512bw e2
EVEX.VL.F2.0F.W1 7F /r      | VMOVDQU16 vmm2/mV{k1}{z}, vmm1 | avx512bw e2
EVEX.128.66.0F3A.WIG 14 /r ib | VPEXTRB r32/m8, xmm2, imm8  | avx512bw
EVEX.128.66.0F.WIG C5 /r ib   | VPEXTRW r32, xmm1, imm8     | avx512bw
EVEX.128.66.0F3A.WIG 15 /r ib | VPEXTRW r32/m16, xmm2, imm8 | avx512bw alias
EVEX.128.66.0F3A.W0 16 /r ib  | VPEXTRD r/m32, xmm2, imm8   | avx512dq wig32
EVEX.128.66.0F3A.W1 16 /r ib  | VPEXTRQ r/m64, xmm2, imm8   | avx512dq o64
EVEX.128.66.0F3A.WIG 17 /r ib | VEXTRACTPS r32/m32, xmm1, imm8  | avx512f
EVEX.128.66.0F3A.WIG 20 /r ib | VPINSRB xmm1, xmm2, r32/m8, imm8  | avx512bw
EVEX.128.66.0F.WIG C4 /r ib   | VPINSRW xmm1, xmm2, r32/m16, imm8 | avx512bw
EVEX.128.66.0F3A.W0 22 /r ib  | VPINSRD xmm1, xmm2, r/m32, imm8   | avx512dq wig32
EVEX.128.66.0F3A.W1 22 /r ib  | VPINSRQ xmm1, xmm2, r/m64, imm8   | avx512dq o64
EVEX.128.66.0F3A.W0 21 /r ib  | VINSERTPS xmm1, xmm2, xmm3/m32, imm8 | avx512f

EVEX.VL.66.0F38.W0 18 /r    | VBROADCASTSS vmm1{k1}{z}, xmm2/m32    | avx512f e4
EVEX.VH.66.0F38.W1 19 /r    | VBROADCASTSD vmm1{k1}{z}, xmm2/m64    | avx512f e8
EVEX.VH.66.0F38.W0 19 /r    | VBROADCASTF32X2 vmm1{k1}{z}, xmm2/m64 | avx512dq e4
EVEX.VH.66.0F38.W0 1A /r    | VBROADCASTF32X4 vmm1{k1}{z}, m128     | avx512f e4
EVEX.VH.66.0F38.W1 1A /r    | VBROADCASTF64X2 vmm1{k1}{z}, m128     | avx512dq e8
EVEX.512.66.0F38.W0 1B /r   | VBROADCASTF32X8 zmm1{k1}{z}, m256     | avx512dq e4
EVEX.512.66.0F38.W1 1B /r   | VBROADCASTF64X4 zmm1{k1}{z}, m256     | avx512f e8
EVEX.VL.66.0F38.W0 58 /r    | VPBROADCASTD vmm1{k1}{z}, xmm2/m32    | avx512f e4
EVEX.VL.66.0F38.W1 59 /r    | VPBROADCASTQ vmm1{k1}{z}, xmm2/m64    | avx512f e8
EVEX.VL.66.0F38.W0 59 /r    | VBROADCASTI32X2 vmm1{k1}{z}, xmm2/m64 | avx512dq e4
EVEX.VH.66.0F38.W0 5A /r    | VBROADCASTI32X4 vmm1{k1}{z}, m128     | avx512f e4
EVEX.VH.66.0F38.W1 5A /r    | VBROADCASTI64X2 vmm1{k1}{z}, m128     | avx512dq e8
EVEX.512.66.0F38.W0 5B /r   | VBROADCASTI32X8 zmm1{k1}{z}, m256     | avx512dq e4
EVEX.512.66.0F38.W1 5B /r   | VBROADCASTI64X4 zmm1{k1}{z}, m256     | avx512f e8
EVEX.VL.66.0F38.W0 78 /r    | VPBROADCASTB vmm1{k1}{z}, xmm2/m8     | avx512bw e1
EVEX.VL.66.0F38.W0 79 /r    | VPBROADCASTW vmm1{k1}{z}, xmm2/m16    | avx512bw e2
EVEX.VL.66.0F38.W0 7A /r    | VPBROADCASTB_R vmm1{k1}{z}, r32       | avx512bw e1 as=VPBROADCASTB
EVEX.VL.66.0F38.W0 7B /r    | VPBROADCASTW_R vmm1{k1}{z}, r32       | avx512bw e2 as=VPBROADCASTW
EVEX.VL.66.0F38.W0 7C /r    | VPBROADCASTD_R vmm1{k1}{z}, r32       | avx512f e4 wig32 as=VPBROADCASTD
EVEX.VL.66.0F38.W1 7C /r    | VPBROADCASTQ_R vmm1{k1}{z}, r64       | avx512f e8 o64 as=VPBROADCASTQ
EVEX.VL.F3.0F38.W1 2A /r    | VPBROADCASTMB2Q vmm1, k1              | avx512cd
EVEX.VL.F3.0F38.W0 3A /r    | VPBROADCASTMW2D vmm1, k1              | avx512cd

EVEX.VH.66.0F3A.W0 18 /r ib | VINSERTF32X4 vmm1{k1}{z}, vmm2, xmm3/m128, imm8  | avx512f e4 nf
EVEX.VH.66.0F3A.W1 18 /r ib | VINSERTF64X2 vmm1{k1}{z}, vmm2, xmm3/m128, imm8  | avx512dq e8 nf
EVEX.512.66.0F3A.W0 1A /r ib | VINSERTF32X8 zmm1{k1}{z}, zmm2, ymm3/m256, imm8 | avx512dq e4 nf
EVEX.512.66.0F3A.W1 1A /r ib | VINSERTF64X4 zmm1{k1}{z}, zmm2, ymm3/m256, imm8 | avx512f e8 nf
EVEX.VH.66.0F3A.W0 38 /r ib | VINSERTI32X4 vmm1{k1}{z}, vmm2, xmm3/m128, imm8  | avx512f e4 nf
EVEX.VH.66.0F3A.W1 38 /r ib | VINSERTI64X2 vmm1{k1}{z}, vmm2, xmm3/m128, imm8  | avx512dq e8 nf
EVEX.512.66.0F3A.W0 3A /r ib | VINSERTI32X8 zmm1{k1}{z}, zmm2, ymm3/m256, imm8 | avx512dq e4 nf
EVEX.512.66.0F3A.W1 3A /r ib | VINSERTI64X4 zmm1{k1}{z}, zmm2, ymm3/m256, imm8 | avx512f e8 nf
EVEX.VH.66.0F3A.W0 19 /r ib | VEXTRACTF32X4 xmm1/m128{k1}{z}, vmm2, imm8  | avx512f e4 nf
EVEX.VH.66.0F3A.W1 19 /r ib | VEXTRACTF64X2 xmm1/m128{k1}{z}, vmm2, imm8  | avx512dq e8 nf
EVEX.512.66.0F3A.W0 1B /r ib | VEXTRACTF32X8 ymm1/m256{k1}{z}, zmm2, imm8 | avx512dq e4 nf
EVEX.512.66.0F3A.W1 1B /r ib | VEXTRACTF64X4 ymm1/m256{k1}{z}, zmm2, imm8 | avx512f e8 nf
EVEX.VH.66.0F3A.W0 39 /r ib | VEXTRACTI32X4 xmm1/m128{k1}{z}, vmm2, imm8  | avx512f e4 nf
EVEX.VH.66.0F3A.W1 39 /r ib | VEXTRACTI64X2 xmm1/m128{k1}{z}, vmm2, imm8  | avx512dq e8 nf
EVEX.512.66.0F3A.W0 3B /r ib | VEXTRACTI32X8 ymm1/m256{k1}{z}, zmm2, imm8 | avx512dq e4 nf
EVEX.512.66.0F3A.W1 3B /r ib | VEXTRACTI64X4 ymm1/m256{k1}{z}, zmm2, imm8 | avx512f e8 nf

EVEX.VL.66.0F38.W0 88 /r    | VEXPANDPS vmm1{k1}{z}, vmm2/mV   | avx512f e4 n4
EVEX.VL.66.0F38.W1 88 /r    | VEXPANDPD vmm1{k1}{z}, vmm2/mV   | avx512f e8 n8
EVEX.VL.66.0F38.W0 89 /r    | VPEXPANDD vmm1{k1}{z}, vmm2/mV   | avx512f e4 n4
EVEX.VL.66.0F38.W1 89 /r    | VPEXPANDQ vmm1{k1}{z}, vmm2/mV   | avx512f e8 n8
EVEX.VL.66.0F38.W0 8A /r    | VCOMPRESSPS vmm1/mV{k1}{z}, vmm2 | avx512f e4 n4
EVEX.VL.66.0F38.W1 8A /r    | VCOMPRESSPD vmm1/mV{k1}{z}, vmm2 | avx512f e8 n8
EVEX.VL.66.0F38.W0 8B /r    | VPCOMPRESSD vmm1/mV{k1}{z}, vmm2 | avx512f e4 n4
EVEX.VL.66.0F38.W1 8B /r    | VPCOMPRESSQ vmm1/mV{k1}{z}, vmm2 | avx512f e8 n8

EVEX.VL.66.0F38.W0 90 /r    | VPGATHERDD_EVEX vmm1{k1}, vm32V  | avx512f e4 km as=VPGATHERDD
EVEX.VL.66.0F38.W1 90 /r    | VPGATHERDQ_EVEX vmm1{k1}, vm32H  | avx512f e8 km as=VPGATHERDQ
EVEX.VL.66.0F38.W0 91 /r    | VPGATHERQD_EVEX hmm1{k1}, vm64V  | avx512f e4 km as=VPGATHERQD
EVEX.VL.66.0F38.W1 91 /r    | VPGATHERQQ_EVEX vmm1{k1}, vm64V  | avx512f e8 km as=VPGATHERQQ
EVEX.VL.66.0F38.W0 92 /r    | VGATHERDPS_EVEX vmm1{k1}, vm32V  | avx512f e4 km as=VGATHERDPS
EVEX.VL.66.0F38.W1 92 /r    | VGATHERDPD_EVEX vmm1{k1}, vm32H  | avx512f e8 km as=VGATHERDPD
EVEX.VL.66.0F38.W0 93 /r    | VGATHERQPS_EVEX hmm1{k1}, vm64V  | avx512f e4 km as=VGATHERQPS
EVEX.VL.66.0F38.W1 93 /r    | VGATHERQPD_EVEX vmm1{k1}, vm64V  | avx512f e8 km as=VGATHERQPD
EVEX.VL.66.0F38.W0 A0 /r    | VPSCATTERDD vm32V{k1}, vmm1      | avx512f e4 km
EVEX.VL.66.0F38.W1 A0 /r    | VPSCATTERDQ vm32H{k1}, vmm1      | avx512f e8 km
EVEX.VL.66.0F38.W0 A1 /r    | VPSCATTERQD vm64V{k1}, hmm1      | avx512f e4 km
EVEX.VL.66.0F38.W1 A1 /r    | VPSCATTERQQ vm64V{k1}, vmm1      | avx512f e8 km
EVEX.VL.66.0F38.W0 A2 /r    | VSCATTERDPS vm32V{k1}, vmm1      | avx512f e4 km
EVEX.VL.66.0F38.W1 A2 /r    | VSCATTERDPD vm32H{k1}, vmm1      | avx512f e8 km
EVEX.VL.66.0F38.W0 A3 /r    | VSCATTERQPS vm64V{k1}, hmm1      | avx512f e4 km
EVEX.VL.66.0F38.W1 A3 /r    | VSCATTERQPD vm64V{k1}, vmm1      | avx512f e8 km
`;

const integers = `
EVEX.VL.66.0F.WIG 60 /r     | VPUNPCKLBW vmm1{k1}{z}, vmm2, vmm3/mV | avx512bw e1 nf
EVEX.VL.66.0F.WIG 61 /r     | VPUNPCKLWD vmm1{k1}{z}, vmm2, vmm3/mV | avx512bw e2 nf
EVEX.VL.66.0F.W0 62 /r      | VPUNPCKLDQ vmm1{k1}{z}, vmm2, vmm3/mV/m32bcst | avx512f nf
EVEX.VL.66.0F.WIG 63 /r     | VPACKSSWB vmm1{k1}{z}, vmm2, vmm3/mV  | avx512bw e1 nf
EVEX.VL.66.0F.WIG 64 /r     | VPCMPGTB k1{k2}, vmm2, vmm3/mV        | avx512bw e1
EVEX.VL.66.0F.WIG 65 /r     | VPCMPGTW k1{k2}, vmm2, vmm3/mV        | avx512bw e2
EVEX.VL.66.0F.W0 66 /r      | VPCMPGTD k1{k2}, vmm2, vmm3/mV/m32bcst | avx512f
EVEX.VL.66.0F.WIG 67 /r     | VPACKUSWB vmm1{k1}{z}, vmm2, vmm3/mV  | avx512bw e1 nf
EVEX.VL.66.0F.WIG 68 /r     | VPUNPCKHBW vmm1{k1}{z}, vmm2, vmm3/mV | avx512bw e1 nf
EVEX.VL.66.0F.WIG 69 /r     | VPUNPCKHWD vmm1{k1}{z}, vmm2, vmm3/mV | avx512bw e2 nf
EVEX.VL.66.0F.W0 6A /r      | VPUNPCKHDQ vmm1{k1}{z}, vmm2, vmm3/mV/m32bcst | avx512f nf
EVEX.VL.66.0F.W0 6B /r      | VPACKSSDW vmm1{k1}{z}, vmm2, vmm3/mV/m32bcst | avx512bw e2 s2 nf
EVEX.VL.66.0F.W1 6C /r      | VPUNPCKLQDQ vmm1{k1}{z}, vmm2, vmm3/mV/m64bcst | avx512f nf
EVEX.VL.66.0F.W1 6D /r      | VPUNPCKHQDQ vmm1{k1}{z}, vmm2, vmm3/mV/m64bcst | avx512f nf
EVEX.VL.66.0F.W0 70 /r ib   | VPSHUFD vmm1{k1}{z}, vmm2/mV/m32bcst, imm8 | avx512f nf
EVEX.VL.F3.0F.WIG 70 /r ib  | VPSHUFHW vmm1{k1}{z}, vmm2/mV, imm8   | avx512bw e2 nf
EVEX.VL.F2.0F.WIG 70 /r ib  | VPSHUFLW vmm1{k1}{z}, vmm2/mV, imm8   | avx512bw e2 nf
EVEX.VL.66.0F.WIG 71 /2 ib  | VPSRLW vmm1{k1}{z}, vmm2/mV, imm8     | avx512bw e2
EVEX.VL.66.0F.WIG 71 /4 ib  | VPSRAW vmm1{k1}{z}, vmm2/mV, imm8     | avx512bw e2
EVEX.VL.66.0F.WIG 71 /6 ib  | VPSLLW vmm1{k1}{z}, vmm2/mV, imm8     | avx512bw e2
EVEX.VL.66.0F.W0 72 /0 ib   | VPRORD vmm1{k1}{z}, vmm2/mV/m32bcst, imm8 | avx512f
EVEX.VL.66.0F.W1 72 /0 ib   | VPRORQ vmm1{k1}{z}, vmm2/mV/m64bcst, imm8 | avx512f
EVEX.VL.66.0F.W0 72 /1 ib   | VPROLD vmm1{k1}{z}, vmm2/mV/m32bcst, imm8 | avx512f
EVEX.VL.66.0F.W1 72 /1 ib   | VPROLQ vmm1{k1}{z}, vmm2/mV/m64bcst, imm8 | avx512f
EVEX.VL.66.0F.W0 72 /2 ib   | VPSRLD vmm1{k1}{z}, vmm2/mV/m32bcst, imm8 | avx512f
EVEX.VL.66.0F.W0 72 /4 ib   | VPSRAD vmm1{k1}{z}, vmm2/mV/m32bcst, imm8 | avx512f
EVEX.VL.66.0F.W1 72 /4 ib   | VPSRAQ vmm1{k1}{z}, vmm2/mV/m64bcst, imm8 | avx512f
EVEX.VL.66.0F.W0 72 /6 ib   | VPSLLD vmm1{k1}{z}, vmm2/mV/m32bcst, imm8 | avx512f
EVEX.VL.66.0F.W1 73 /2 ib   | VPSRLQ vmm1{k1}{z}, vmm2/mV/m64bcst, imm8 | avx512f
EVEX.VL.66.0F.WIG 73 /3 ib  | VPSRLDQ vmm1, vmm2/mV, imm8           | avx512bw
EVEX.VL.66.0F.W1 73 /6 ib   | VPSLLQ vmm1{k1}{z}, vmm2/mV/m64bcst, imm8 | avx512f
EVEX.VL.66.0F.WIG 73 /7 ib  | VPSLLDQ vmm1, vmm2/mV, imm8           | avx512bw
EVEX.VL.66.0F.WIG 74 /r     | VPCMPEQB k1{k2}, vmm2, vmm3/mV        | avx512bw e1
EVEX.VL.66.0F.WIG 75 /r     | VPCMPEQW k1{k2}, vmm2, vmm3/mV        | avx512bw e2
EVEX.VL.66.0F.W0 76 /r      | VPCMPEQD k1{k2}, vmm2, vmm3/mV/m32bcst | avx512f
EVEX.VL.66.0F.WIG D1 /r     | VPSRLW vmm1{k1}{z}, vmm2, xmm3/m128   | avx512bw e2 nf
EVEX.VL.66.0F.W0 D2 /r      | VPSRLD vmm1{k1}{z}, vmm2, xmm3/m128   | avx512f e4 nf
EVEX.VL.66.0F.W1 D3 /r      | VPSRLQ vmm1{k1}{z}, vmm2, xmm3/m128   | avx512f e8 nf
EVEX.VL.66.0F.W1 D4 /r      | VPADDQ vmm1{k1}{z}, vmm2, vmm3/mV/m64bcst | avx512f
EVEX.VL.66.0F.WIG D5 /r     | VPMULLW vmm1{k1}{z}, vmm2, vmm3/mV    | avx512bw e2
EVEX.VL.66.0F.WIG D8 /r     | VPSUBUSB vmm1{k1}{z}, vmm2, vmm3/mV   | avx512bw e1
EVEX.VL.66.0F.WIG D9 /r     | VPSUBUSW vmm1{k1}{z}, vmm2, vmm3/mV   | avx512bw e2
EVEX.VL.66.0F.WIG DA /r     | VPMINUB vmm1{k1}{z}, vmm2, vmm3/mV    | avx512bw e1
EVEX.VL.66.0F.W0 DB /r      | VPANDD vmm1{k1}{z}, vmm2, vmm3/mV/m32bcst | avx512f
EVEX.VL.66.0F.W1 DB /r      | VPANDQ vmm1{k1}{z}, vmm2, vmm3/mV/m64bcst | avx512f
EVEX.VL.66.0F.WIG DC /r     | VPADDUSB vmm1{k1}{z}, vmm2, vmm3/mV   | avx512bw e1
EVEX.VL.66.0F.WIG DD /r     | VPADDUSW vmm1{k1}{z}, vmm2, vmm3/mV   | avx512bw e2
EVEX.VL.66.0F.WIG DE /r     | VPMAXUB vmm1{k1}{z}, vmm2, vmm3/mV    | avx512bw e1
EVEX.VL.66.0F.W0 DF /r      | VPANDND vmm1{k1}{z}, vmm2, vmm3/mV/m32bcst | avx512f
EVEX.VL.66.0F.W1 DF /r      | VPANDNQ vmm1{k1}{z}, vmm2, vmm3/mV/m64bcst | avx512f
EVEX.VL.66.0F.WIG E0 /r     | VPAVGB vmm1{k1}{z}, vmm2, vmm3/mV     | avx512bw e1
EVEX.VL.66.0F.WIG E1 /r     | VPSRAW vmm1{k1}{z}, vmm2, xmm3/m128   | avx512bw e2 nf
EVEX.VL.66.0F.W0 E2 /r      | VPSRAD vmm1{k1}{z}, vmm2, xmm3/m128   | avx512f e4 nf
EVEX.VL.66.0F.W1 E2 /r      | VPSRAQ vmm1{k1}{z}, vmm2, xmm3/m128   | avx512f e8 nf
EVEX.VL.66.0F.WIG E3 /r     | VPAVGW vmm1{k1}{z}, vmm2, vmm3/mV     | avx512bw e2
EVEX.VL.66.0F.WIG E4 /r     | VPMULHUW vmm1{k1}{z}, vmm2, vmm3/mV   | avx512bw e2
EVEX.VL.66.0F.WIG E5 /r     | VPMULHW vmm1{k1}{z}, vmm2, vmm3/mV    | avx512bw e2
EVEX.VL.66.0F.WIG E8 /r     | VPSUBSB vmm1{k1}{z}, vmm2, vmm3/mV    | avx512bw e1
EVEX.VL.66.0F.WIG E9 /r     | VPSUBSW vmm1{k1}{z}, vmm2, vmm3/mV    | avx512bw e2
EVEX.VL.66.0F.WIG EA /r     | VPMINSW vmm1{k1}{z}, vmm2, vmm3/mV    | avx512bw e2
EVEX.VL.66.0F.W0 EB /r      | VPORD vmm1{k1}{z}, vmm2, vmm3/mV/m32bcst | avx512f
EVEX.VL.66.0F.W1 EB /r      | VPORQ vmm1{k1}{z}, vmm2, vmm3/mV/m64bcst | avx512f
EVEX.VL.66.0F.WIG EC /r     | VPADDSB vmm1{k1}{z}, vmm2, vmm3/mV    | avx512bw e1
EVEX.VL.66.0F.WIG ED /r     | VPADDSW vmm1{k1}{z}, vmm2, vmm3/mV    | avx512bw e2
EVEX.VL.66.0F.WIG EE /r     | VPMAXSW vmm1{k1}{z}, vmm2, vmm3/mV    | avx512bw e2
EVEX.VL.66.0F.W0 EF /r      | VPXORD vmm1{k1}{z}, vmm2, vmm3/mV/m32bcst | avx512f
EVEX.VL.66.0F.W1 EF /r      | VPXORQ vmm1{k1}{z}, vmm2, vmm3/mV/m64bcst | avx512f
EVEX.VL.66.0F.WIG F1 /r     | VPSLLW vmm1{k1}{z}, vmm2, xmm3/m128   | avx512bw e2 nf
EVEX.VL.66.0F.W0 F2 /r      | VPSLLD vmm1{k1}{z}, vmm2, xmm3/m128   | avx512f e4 nf
EVEX.VL.66.0F.W1 F3 /r      | VPSLLQ vmm1{k1}{z}, vmm2, xmm3/m128   | avx512f e8 nf
EVEX.VL.66.0F.W1 F4 /r      | VPMULUDQ vmm1{k1}{z}, vmm2, vmm3/mV/m64bcst | avx512f
EVEX.VL.66.0F.WIG F5 /r     | VPMADDWD vmm1{k1}{z}, vmm2, vmm3/mV   | avx512bw e4 nf
EVEX.VL.66.0F.WIG F6 /r     | VPSADBW vmm1, vmm2, vmm3/mV           | avx512bw
EVEX.VL.66.0F.WIG F8 /r     | VPSUBB vmm1{k1}{z}, vmm2, vmm3/mV     | avx512bw e1
EVEX.VL.66.0F.WIG F9 /r     | VPSUBW vmm1{k1}{z}, vmm2, vmm3/mV     | avx512bw e2
EVEX.VL.66.0F.W0 FA /r      | VPSUBD vmm1{k1}{z}, vmm2, vmm3/mV/m32bcst | avx512f
EVEX.VL.66.0F.W1 FB /r      | VPSUBQ vmm1{k1}{z}, vmm2, vmm3/mV/m64bcst | avx512f
EVEX.VL.66.0F.WIG FC /r     | VPADDB vmm1{k1}{z}, vmm2, vmm3/mV     | avx512bw e1
EVEX.VL.66.0F.WIG FD /r     | VPADDW vmm1{k1}{z}, vmm2, vmm3/mV     | avx512bw e2
EVEX.VL.66.0F.W0 FE /r      | VPADDD vmm1{k1}{z}, vmm2, vmm3/mV/m32bcst | avx512f

EVEX.VL.66.0F38.WIG 00 /r   | VPSHUFB vmm1{k1}{z}, vmm2, vmm3/mV    | avx512bw e1 nf
EVEX.VL.66.0F38.WIG 04 /r   | VPMADDUBSW vmm1{k1}{z}, vmm2, vmm3/mV | avx512bw e2 nf
EVEX.VL.66.0F38.WIG 0B /r   | VPMULHRSW vmm1{k1}{z}, vmm2, vmm3/mV  | avx512bw e2
EVEX.VL.66.0F38.WIG 1C /r   | VPABSB vmm1{k1}{z}, vmm2/mV           | avx512bw e1
EVEX.VL.66.0F38.WIG 1D /r   | VPABSW vmm1{k1}{z}, vmm2/mV           | avx512bw e2
EVEX.VL.66.0F38.W0 1E /r    | VPABSD vmm1{k1}{z}, vmm2/mV/m32bcst   | avx512f
EVEX.VL.66.0F38.W1 1F /r    | VPABSQ vmm1{k1}{z}, vmm2/mV/m64bcst   | avx512f
EVEX.VL.66.0F38.W1 28 /r    | VPMULDQ vmm1{k1}{z}, vmm2, vmm3/mV/m64bcst | avx512f
EVEX.VL.66.0F38.W1 29 /r    | VPCMPEQQ k1{k2}, vmm2, vmm3/mV/m64bcst | avx512f
EVEX.VL.66.0F38.W0 2B /r    | VPACKUSDW vmm1{k1}{z}, vmm2, vmm3/mV/m32bcst | avx512bw e2 s2 nf
EVEX.VL.66.0F38.W1 37 /r    | VPCMPGTQ k1{k2}, vmm2, vmm3/mV/m64bcst | avx512f
EVEX.VL.66.0F38.WIG 38 /r   | VPMINSB vmm1{k1}{z}, vmm2, vmm3/mV    | avx512bw e1
EVEX.VL.66.0F38.W0 39 /r    | VPMINSD vmm1{k1}{z}, vmm2, vmm3/mV/m32bcst | avx512f
EVEX.VL.66.0F38.W1 39 /r    | VPMINSQ vmm1{k1}{z}, vmm2, vmm3/mV/m64bcst | avx512f
EVEX.VL.66.0F38.WIG 3A /r   | VPMINUW vmm1{k1}{z}, vmm2, vmm3/mV    | avx512bw e2
EVEX.VL.66.0F38.W0 3B /r    | VPMINUD vmm1{k1}{z}, vmm2, vmm3/mV/m32bcst | avx512f
EVEX.VL.66.0F38.W1 3B /r    | VPMINUQ vmm1{k1}{z}, vmm2, vmm3/mV/m64bcst | avx512f
EVEX.VL.66.0F38.WIG 3C /r   | VPMAXSB vmm1{k1}{z}, vmm2, vmm3/mV    | avx512bw e1
EVEX.VL.66.0F38.W0 3D /r    | VPMAXSD vmm1{k1}{z}, vmm2, vmm3/mV/m32bcst | avx512f
EVEX.VL.66.0F38.W1 3D /r    | VPMAXSQ vmm1{k1}{z}, vmm2, vmm3/mV/m64bcst | avx512f
EVEX.VL.66.0F38.WIG 3E /r   | VPMAXUW vmm1{k1}{z}, vmm2, vmm3/mV    | avx512bw e2
EVEX.VL.66.0F38.W0 3F /r    | VPMAXUD vmm1{k1}{z}, vmm2, vmm3/mV/m32bcst | avx512f
EVEX.VL.66.0F38.W1 3F /r    | VPMAXUQ vmm1{k1}{z}, vmm2, vmm3/mV/m64bcst | avx512f
EVEX.VL.66.0F38.W0 40 /r    | VPMULLD vmm1{k1}{z}, vmm2, vmm3/mV/m32bcst | avx512f
EVEX.VL.66.0F38.W1 40 /r    | VPMULLQ vmm1{k1}{z}, vmm2, vmm3/mV/m64bcst | avx512dq
EVEX.VL.66.0F38.W0 44 /r    | VPLZCNTD vmm1{k1}{z}, vmm2/mV/m32bcst | avx512cd
EVEX.VL.66.0F38.W1 44 /r    | VPLZCNTQ vmm1{k1}{z}, vmm2/mV/m64bcst | avx512cd
EVEX.VL.66.0F38.W0 C4 /r    | VPCONFLICTD vmm1{k1}{z}, vmm2/mV/m32bcst | avx512cd nf
EVEX.VL.66.0F38.W1 C4 /r    | VPCONFLICTQ vmm1{k1}{z}, vmm2/mV/m64bcst | avx512cd nf
EVEX.VL.66.0F38.W0 14 /r    | VPRORVD vmm1{k1}{z}, vmm2, vmm3/mV/m32bcst | avx512f
EVEX.VL.66.0F38.W1 14 /r    | VPRORVQ vmm1{k1}{z}, vmm2, vmm3/mV/m64bcst | avx512f
EVEX.VL.66.0F38.W0 15 /r    | VPROLVD vmm1{k1}{z}, vmm2, vmm3/mV/m32bcst | avx512f
EVEX.VL.66.0F38.W1 15 /r    | VPROLVQ vmm1{k1}{z}, vmm2, vmm3/mV/m64bcst | avx512f
EVEX.VL.66.0F38.W1 10 /r    | VPSRLVW vmm1{k1}{z}, vmm2, vmm3/mV    | avx512bw e2
EVEX.VL.66.0F38.W1 11 /r    | VPSRAVW vmm1{k1}{z}, vmm2, vmm3/mV    | avx512bw e2
EVEX.VL.66.0F38.W1 12 /r    | VPSLLVW vmm1{k1}{z}, vmm2, vmm3/mV    | avx512bw e2
EVEX.VL.66.0F38.W0 45 /r    | VPSRLVD vmm1{k1}{z}, vmm2, vmm3/mV/m32bcst | avx512f
EVEX.VL.66.0F38.W1 45 /r    | VPSRLVQ vmm1{k1}{z}, vmm2, vmm3/mV/m64bcst | avx512f
EVEX.VL.66.0F38.W0 46 /r    | VPSRAVD vmm1{k1}{z}, vmm2, vmm3/mV/m32bcst | avx512f
EVEX.VL.66.0F38.W1 46 /r    | VPSRAVQ vmm1{k1}{z}, vmm2, vmm3/mV/m64bcst | avx512f
EVEX.VL.66.0F38.W0 47 /r    | VPSLLVD vmm1{k1}{z}, vmm2, vmm3/mV/m32bcst | avx512f
EVEX.VL.66.0F38.W1 47 /r    | VPSLLVQ vmm1{k1}{z}, vmm2, vmm3/mV/m64bcst | avx512f
EVEX.VL.66.0F3A.W0 25 /r ib | VPTERNLOGD vmm1{k1}{z}, vmm2, vmm3/mV/m32bcst, imm8 | avx512f
EVEX.VL.66.0F3A.W1 25 /r ib | VPTERNLOGQ vmm1{k1}{z}, vmm2, vmm3/mV/m64bcst, imm8 | avx512f
EVEX.VL.66.0F3A.WIG 0F /r ib | VPALIGNR vmm1{k1}{z}, vmm2, vmm3/mV, imm8 | avx512bw e1 nf
EVEX.VL.66.0F3A.W0 42 /r ib | VDBPSADBW vmm1{k1}{z}, vmm2, vmm3/mV, imm8 | avx512bw e2 nf

EVEX.VL.66.0F38.WIG 20 /r   | VPMOVSXBW vmm1{k1}{z}, hmm2/mH | avx512bw e2 s1
EVEX.VL.66.0F38.WIG 21 /r   | VPMOVSXBD vmm1{k1}{z}, qmm2/mQ | avx512f e4 s1
EVEX.VL.66.0F38.WIG 22 /r   | VPMOVSXBQ vmm1{k1}{z}, omm2/mO | avx512f e8 s1
EVEX.VL.66.0F38.WIG 23 /r   | VPMOVSXWD vmm1{k1}{z}, hmm2/mH | avx512f e4 s2
EVEX.VL.66.0F38.WIG 24 /r   | VPMOVSXWQ vmm1{k1}{z}, qmm2/mQ | avx512f e8 s2
EVEX.VL.66.0F38.W0 25 /r    | VPMOVSXDQ vmm1{k1}{z}, hmm2/mH | avx512f e8 s4
EVEX.VL.66.0F38.WIG 30 /r   | VPMOVZXBW vmm1{k1}{z}, hmm2/mH | avx512bw e2 s1
EVEX.VL.66.0F38.WIG 31 /r   | VPMOVZXBD vmm1{k1}{z}, qmm2/mQ | avx512f e4 s1
EVEX.VL.66.0F38.WIG 32 /r   | VPMOVZXBQ vmm1{k1}{z}, omm2/mO | avx512f e8 s1
EVEX.VL.66.0F38.WIG 33 /r   | VPMOVZXWD vmm1{k1}{z}, hmm2/mH | avx512f e4 s2
EVEX.VL.66.0F38.WIG 34 /r   | VPMOVZXWQ vmm1{k1}{z}, qmm2/mQ | avx512f e8 s2
EVEX.VL.66.0F38.W0 35 /r    | VPMOVZXDQ vmm1{k1}{z}, hmm2/mH | avx512f e8 s4
EVEX.VL.F3.0F38.W0 10 /r    | VPMOVUSWB hmm1/mH{k1}{z}, vmm2 | avx512bw e1 s2
EVEX.VL.F3.0F38.W0 11 /r    | VPMOVUSDB qmm1/mQ{k1}{z}, vmm2 | avx512f e1 s4
EVEX.VL.F3.0F38.W0 12 /r    | VPMOVUSQB omm1/mO{k1}{z}, vmm2 | avx512f e1 s8
EVEX.VL.F3.0F38.W0 13 /r    | VPMOVUSDW hmm1/mH{k1}{z}, vmm2 | avx512f e2 s4
EVEX.VL.F3.0F38.W0 14 /r    | VPMOVUSQW qmm1/mQ{k1}{z}, vmm2 | avx512f e2 s8
EVEX.VL.F3.0F38.W0 15 /r    | VPMOVUSQD hmm1/mH{k1}{z}, vmm2 | avx512f e4 s8
EVEX.VL.F3.0F38.W0 20 /r    | VPMOVSWB hmm1/mH{k1}{z}, vmm2 | avx512bw e1 s2
EVEX.VL.F3.0F38.W0 21 /r    | VPMOVSDB qmm1/mQ{k1}{z}, vmm2 | avx512f e1 s4
EVEX.VL.F3.0F38.W0 22 /r    | VPMOVSQB omm1/mO{k1}{z}, vmm2 | avx512f e1 s8
EVEX.VL.F3.0F38.W0 23 /r    | VPMOVSDW hmm1/mH{k1}{z}, vmm2 | avx512f e2 s4
EVEX.VL.F3.0F38.W0 24 /r    | VPMOVSQW qmm1/mQ{k1}{z}, vmm2 | avx512f e2 s8
EVEX.VL.F3.0F38.W0 25 /r    | VPMOVSQD hmm1/mH{k1}{z}, vmm2 | avx512f e4 s8
EVEX.VL.F3.0F38.W0 30 /r    | VPMOVWB hmm1/mH{k1}{z}, vmm2 | avx512bw e1 s2
EVEX.VL.F3.0F38.W0 31 /r    | VPMOVDB qmm1/mQ{k1}{z}, vmm2 | avx512f e1 s4
EVEX.VL.F3.0F38.W0 32 /r    | VPMOVQB omm1/mO{k1}{z}, vmm2 | avx512f e1 s8
EVEX.VL.F3.0F38.W0 33 /r    | VPMOVDW hmm1/mH{k1}{z}, vmm2 | avx512f e2 s4
EVEX.VL.F3.0F38.W0 34 /r    | VPMOVQW qmm1/mQ{k1}{z}, vmm2 | avx512f e2 s8
EVEX.VL.F3.0F38.W0 35 /r    | VPMOVQD hmm1/mH{k1}{z}, vmm2 | avx512f e4 s8

EVEX.VL.66.0F38.W0 64 /r    | VPBLENDMD vmm1{k1}{z}, vmm2, vmm3/mV/m32bcst | avx512f
EVEX.VL.66.0F38.W1 64 /r    | VPBLENDMQ vmm1{k1}{z}, vmm2, vmm3/mV/m64bcst | avx512f
EVEX.VL.66.0F38.W0 65 /r    | VBLENDMPS vmm1{k1}{z}, vmm2, vmm3/mV/m32bcst | avx512f
EVEX.VL.66.0F38.W1 65 /r    | VBLENDMPD vmm1{k1}{z}, vmm2, vmm3/mV/m64bcst | avx512f
EVEX.VL.66.0F38.W0 66 /r    | VPBLENDMB vmm1{k1}{z}, vmm2, vmm3/mV         | avx512bw e1
EVEX.VL.66.0F38.W1 66 /r    | VPBLENDMW vmm1{k1}{z}, vmm2, vmm3/mV         | avx512bw e2
EVEX.VL.66.0F38.W0 26 /r    | VPTESTMB k1{k2}, vmm2, vmm3/mV         | avx512bw e1
EVEX.VL.66.0F38.W1 26 /r    | VPTESTMW k1{k2}, vmm2, vmm3/mV         | avx512bw e2
EVEX.VL.66.0F38.W0 27 /r    | VPTESTMD k1{k2}, vmm2, vmm3/mV/m32bcst | avx512f
EVEX.VL.66.0F38.W1 27 /r    | VPTESTMQ k1{k2}, vmm2, vmm3/mV/m64bcst | avx512f
EVEX.VL.F3.0F38.W0 26 /r    | VPTESTNMB k1{k2}, vmm2, vmm3/mV         | avx512bw e1
EVEX.VL.F3.0F38.W1 26 /r    | VPTESTNMW k1{k2}, vmm2, vmm3/mV         | avx512bw e2
EVEX.VL.F3.0F38.W0 27 /r    | VPTESTNMD k1{k2}, vmm2, vmm3/mV/m32bcst | avx512f
EVEX.VL.F3.0F38.W1 27 /r    | VPTESTNMQ k1{k2}, vmm2, vmm3/mV/m64bcst | avx512f
EVEX.VL.66.0F3A.W0 1E /r ib | VPCMPUD k1{k2}, vmm2, vmm3/mV/m32bcst, imm8 | avx512f
EVEX.VL.66.0F3A.W1 1E /r ib | VPCMPUQ k1{k2}, vmm2, vmm3/mV/m64bcst, imm8 | avx512f
EVEX.VL.66.0F3A.W0 1F /r ib | VPCMPD k1{k2}, vmm2, vmm3/mV/m32bcst, imm8  | avx512f
EVEX.VL.66.0F3A.W1 1F /r ib | VPCMPQ k1{k2}, vmm2, vmm3/mV/m64bcst, imm8  | avx512f
EVEX.VL.66.0F3A.W0 3E /r ib | VPCMPUB k1{k2}, vmm2, vmm3/mV, imm8 | avx512bw e1
EVEX.VL.66.0F3A.W1 3E /r ib | VPCMPUW k1{k2}, vmm2, vmm3/mV, imm8 | avx512bw e2
EVEX.VL.66.0F3A.W0 3F /r ib | VPCMPB k1{k2}, vmm2, vmm3/mV, imm8  | avx512bw e1
EVEX.VL.66.0F3A.W1 3F /r ib | VPCMPW k1{k2}, vmm2, vmm3/mV, imm8  | avx512bw e2
EVEX.VL.F3.0F38.W0 28 /r    | VPMOVM2B vmm1, k1 | avx512bw
EVEX.VL.F3.0F38.W1 28 /r    | VPMOVM2W vmm1, k1 | avx512bw
EVEX.VL.F3.0F38.W0 38 /r    | VPMOVM2D vmm1, k1 | avx512dq
EVEX.VL.F3.0F38.W1 38 /r    | VPMOVM2Q vmm1, k1 | avx512dq
EVEX.VL.F3.0F38.W0 29 /r    | VPMOVB2M k1, vmm1 | avx512bw e1
EVEX.VL.F3.0F38.W1 29 /r    | VPMOVW2M k1, vmm1 | avx512bw e2
EVEX.VL.F3.0F38.W0 39 /r    | VPMOVD2M k1, vmm1 | avx512dq e4
EVEX.VL.F3.0F38.W1 39 /r    | VPMOVQ2M k1, vmm1 | avx512dq e8
`;

const permutes = `
EVEX.VL.66.0F38.W1 8D /r    | VPERMW vmm1{k1}{z}, vmm2, vmm3/mV           | avx512bw e2 nf
EVEX.VH.66.0F38.W0 36 /r    | VPERMD vmm1{k1}{z}, vmm2, vmm3/mV/m32bcst   | avx512f nf
EVEX.VH.66.0F38.W1 36 /r    | VPERMQ vmm1{k1}{z}, vmm2, vmm3/mV/m64bcst   | avx512f nf
EVEX.VH.66.0F38.W0 16 /r    | VPERMPS vmm1{k1}{z}, vmm2, vmm3/mV/m32bcst  | avx512f nf
EVEX.VH.66.0F38.W1 16 /r    | VPERMPD vmm1{k1}{z}, vmm2, vmm3/mV/m64bcst  | avx512f nf
EVEX.VH.66.0F3A.W1 00 /r ib | VPERMQ vmm1{k1}{z}, vmm2/mV/m64bcst, imm8   | avx512f nf
EVEX.VH.66.0F3A.W1 01 /r ib | VPERMPD vmm1{k1}{z}, vmm2/mV/m64bcst, imm8  | avx512f nf
EVEX.VL.66.0F38.W0 0C /r    | VPERMILPS vmm1{k1}{z}, vmm2, vmm3/mV/m32bcst | avx512f nf
EVEX.VL.66.0F38.W1 0D /r    | VPERMILPD vmm1{k1}{z}, vmm2, vmm3/mV/m64bcst | avx512f nf
EVEX.VL.66.0F3A.W0 04 /r ib | VPERMILPS vmm1{k1}{z}, vmm2/mV/m32bcst, imm8 | avx512f nf
EVEX.VL.66.0F3A.W1 05 /r ib | VPERMILPD vmm1{k1}{z}, vmm2/mV/m64bcst, imm8 | avx512f nf
EVEX.VL.66.0F38.W1 75 /r    | VPERMI2W vmm1{k1}{z}, vmm2, vmm3/mV          | avx512bw e2 nf
EVEX.VL.66.0F38.W0 76 /r    | VPERMI2D vmm1{k1}{z}, vmm2, vmm3/mV/m32bcst  | avx512f nf
EVEX.VL.66.0F38.W1 76 /r    | VPERMI2Q vmm1{k1}{z}, vmm2, vmm3/mV/m64bcst  | avx512f nf
EVEX.VL.66.0F38.W0 77 /r    | VPERMI2PS vmm1{k1}{z}, vmm2, vmm3/mV/m32bcst | avx512f nf
EVEX.VL.66.0F38.W1 77 /r    | VPERMI2PD vmm1{k1}{z}, vmm2, vmm3/mV/m64bcst | avx512f nf
EVEX.VL.66.0F38.W1 7D /r    | VPERMT2W vmm1{k1}{z}, vmm2, vmm3/mV          | avx512bw e2 nf
EVEX.VL.66.0F38.W0 7E /r    | VPERMT2D vmm1{k1}{z}, vmm2, vmm3/mV/m32bcst  | avx512f nf
EVEX.VL.66.0F38.W1 7E /r    | VPERMT2Q vmm1{k1}{z}, vmm2, vmm3/mV/m64bcst  | avx512f nf
EVEX.VL.66.0F38.W0 7F /r    | VPERMT2PS vmm1{k1}{z}, vmm2, vmm3/mV/m32bcst | avx512f nf
EVEX.VL.66.0F38.W1 7F /r    | VPERMT2PD vmm1{k1}{z}, vmm2, vmm3/mV/m64bcst | avx512f nf
EVEX.VL.66.0F3A.W0 03 /r ib | VALIGND vmm1{k1}{z}, vmm2, vmm3/mV/m32bcst, imm8 | avx512f nf
EVEX.VL.66.0F3A.W1 03 /r ib | VALIGNQ vmm1{k1}{z}, vmm2, vmm3/mV/m64bcst, imm8 | avx512f nf
EVEX.VH.66.0F3A.W0 23 /r ib | VSHUFF32X4 vmm1{k1}{z}, vmm2, vmm3/mV/m32bcst, imm8 | avx512f nf
EVEX.VH.66.0F3A.W1 23 /r ib | VSHUFF64X2 vmm1{k1}{z}, vmm2, vmm3/mV/m64bcst, imm8 | avx512f nf
EVEX.VH.66.0F3A.W0 43 /r ib | VSHUFI32X4 vmm1{k1}{z}, vmm2, vmm3/mV/m32bcst, imm8 | avx512f nf
EVEX.VH.66.0F3A.W1 43 /r ib | VSHUFI64X2 vmm1{k1}{z}, vmm2, vmm3/mV/m64bcst, imm8 | avx512f nf
`;

const arithmetic = floats(`
EVEX.VL.%PP0F.%W 14 /r      | VUNPCKLP% vmm1{k1}{z}, vmm2, vmm3/mV/%B | avx512f nf
EVEX.VL.%PP0F.%W 15 /r      | VUNPCKHP% vmm1{k1}{z}, vmm2, vmm3/mV/%B | avx512f nf
EVEX.VL.%PP0F.%W C6 /r ib   | VSHUFP% vmm1{k1}{z}, vmm2, vmm3/mV/%B, imm8 | avx512f nf
EVEX.VL.%PP0F.%W 54 /r      | VANDP% vmm1{k1}{z}, vmm2, vmm3/mV/%B  | avx512dq
EVEX.VL.%PP0F.%W 55 /r      | VANDNP% vmm1{k1}{z}, vmm2, vmm3/mV/%B | avx512dq
EVEX.VL.%PP0F.%W 56 /r      | VORP% vmm1{k1}{z}, vmm2, vmm3/mV/%B   | avx512dq
EVEX.VL.%PP0F.%W 57 /r      | VXORP% vmm1{k1}{z}, vmm2, vmm3/mV/%B  | avx512dq
EVEX.VL.%PP0F.%W 51 /r      | VSQRTP% vmm1{k1}{z}, vmm2/mV/%B{er}   | avx512f
EVEX.VL.%PP0F.%W 58 /r      | VADDP% vmm1{k1}{z}, vmm2, vmm3/mV/%B{er} | avx512f
EVEX.VL.%PP0F.%W 59 /r      | VMULP% vmm1{k1}{z}, vmm2, vmm3/mV/%B{er} | avx512f
EVEX.VL.%PP0F.%W 5C /r      | VSUBP% vmm1{k1}{z}, vmm2, vmm3/mV/%B{er} | avx512f
EVEX.VL.%PP0F.%W 5D /r      | VMINP% vmm1{k1}{z}, vmm2, vmm3/mV/%B{sae} | avx512f
EVEX.VL.%PP0F.%W 5E /r      | VDIVP% vmm1{k1}{z}, vmm2, vmm3/mV/%B{er} | avx512f
EVEX.VL.%PP0F.%W 5F /r      | VMAXP% vmm1{k1}{z}, vmm2, vmm3/mV/%B{sae} | avx512f
EVEX.VL.%PP0F.%W C2 /r ib   | VCMPP% k1{k2}, vmm2, vmm3/mV/%B{sae}, imm8 | avx512f
EVEX.LIG.%SPP.0F.%W 51 /r   | VSQRTS% xmm1{k1}{z}, xmm2, xmm3/%M{er} | avx512f %E
EVEX.LIG.%SPP.0F.%W 58 /r   | VADDS% xmm1{k1}{z}, xmm2, xmm3/%M{er}  | avx512f %E
EVEX.LIG.%SPP.0F.%W 59 /r   | VMULS% xmm1{k1}{z}, xmm2, xmm3/%M{er}  | avx512f %E
EVEX.LIG.%SPP.0F.%W 5C /r   | VSUBS% xmm1{k1}{z}, xmm2, xmm3/%M{er}  | avx512f %E
EVEX.LIG.%SPP.0F.%W 5D /r   | VMINS% xmm1{k1}{z}, xmm2, xmm3/%M{sae} | avx512f %E
EVEX.LIG.%SPP.0F.%W 5E /r   | VDIVS% xmm1{k1}{z}, xmm2, xmm3/%M{er}  | avx512f %E
EVEX.LIG.%SPP.0F.%W 5F /r   | VMAXS% xmm1{k1}{z}, xmm2, xmm3/%M{sae} | avx512f %E
EVEX.LIG.%SPP.0F.%W C2 /r ib | VCMPS% k1{k2}, xmm2, xmm3/%M{sae}, imm8 | avx512f %E
EVEX.LIG.%PP0F.%W 2E /r     | VUCOMIS% xmm1, xmm2/%M{sae} | avx512f
EVEX.LIG.%PP0F.%W 2F /r     | VCOMIS% xmm1, xmm2/%M{sae}  | avx512f
EVEX.VL.66.0F38.%W 2C /r    | VSCALEFP% vmm1{k1}{z}, vmm2, vmm3/mV/%B{er} | avx512f
EVEX.LIG.66.0F38.%W 2D /r   | VSCALEFS% xmm1{k1}{z}, xmm2, xmm3/%M{er} | avx512f %E
EVEX.VL.66.0F38.%W 42 /r    | VGETEXPP% vmm1{k1}{z}, vmm2/mV/%B{sae} | avx512f
EVEX.LIG.66.0F38.%W 43 /r   | VGETEXPS% xmm1{k1}{z}, xmm2, xmm3/%M{sae} | avx512f %E
EVEX.VL.66.0F3A.%W 26 /r ib | VGETMANTP% vmm1{k1}{z}, vmm2/mV/%B{sae}, imm8 | avx512f
EVEX.LIG.66.0F3A.%W 27 /r ib | VGETMANTS% xmm1{k1}{z}, xmm2, xmm3/%M{sae}, imm8 | avx512f %E
EVEX.VL.66.0F38.%W 4C /r    | VRCP14P% vmm1{k1}{z}, vmm2/mV/%B | avx512f
EVEX.LIG.66.0F38.%W 4D /r   | VRCP14S% xmm1{k1}{z}, xmm2, xmm3/%M | avx512f %E
EVEX.VL.66.0F38.%W 4E /r    | VRSQRT14P% vmm1{k1}{z}, vmm2/mV/%B | avx512f
EVEX.LIG.66.0F38.%W 4F /r   | VRSQRT14S% xmm1{k1}{z}, xmm2, xmm3/%M | avx512f %E
EVEX.VL.66.0F3A.%W 50 /r ib | VRANGEP% vmm1{k1}{z}, vmm2, vmm3/mV/%B{sae}, imm8 | avx512dq
EVEX.LIG.66.0F3A.%W 51 /r ib | VRANGES% xmm1{k1}{z}, xmm2, xmm3/%M{sae}, imm8 | avx512dq %E
EVEX.VL.66.0F3A.%W 54 /r ib | VFIXUPIMMP% vmm1{k1}{z}, vmm2, vmm3/mV/%B{sae}, imm8 | avx512f
EVEX.LIG.66.0F3A.%W 55 /r ib | VFIXUPIMMS% xmm1{k1}{z}, xmm2, xmm3/%M{sae}, imm8 | avx512f %E
EVEX.VL.66.0F3A.%W 56 /r ib | VREDUCEP% vmm1{k1}{z}, vmm2/mV/%B{sae}, imm8 | avx512dq
EVEX.LIG.66.0F3A.%W 57 /r ib | VREDUCES% xmm1{k1}{z}, xmm2, xmm3/%M{sae}, imm8 | avx512dq %E
EVEX.VL.66.0F3A.%W 66 /r ib | VFPCLASSP% k1{k2}, vmm2/mV/%B, imm8 | avx512dq
EVEX.LIG.66.0F3A.%W 67 /r ib | VFPCLASSS% k1{k2}, xmm2/%M, imm8 | avx512dq %E
`) + `
EVEX.VL.66.0F3A.W0 08 /r ib  | VRNDSCALEPS vmm1{k1}{z}, vmm2/mV/m32bcst{sae}, imm8 | avx512f
EVEX.VL.66.0F3A.W1 09 /r ib  | VRNDSCALEPD vmm1{k1}{z}, vmm2/mV/m64bcst{sae}, imm8 | avx512f
EVEX.LIG.66.0F3A.W0 0A /r ib | VRNDSCALESS xmm1{k1}{z}, xmm2, xmm3/m32{sae}, imm8 | avx512f e4
EVEX.LIG.66.0F3A.W1 0B /r ib | VRNDSCALESD xmm1{k1}{z}, xmm2, xmm3/m64{sae}, imm8 | avx512f e8
`;

const conversions = `
EVEX.VL.0F.W0 5A /r         | VCVTPS2PD vmm1{k1}{z}, hmm2/mH/m32bcst{sae} | avx512f e8
EVEX.VL.66.0F.W1 5A /r      | VCVTPD2PS hmm1{k1}{z}, vmm2/mV/m64bcst{er}  | avx512f e4
EVEX.LIG.F3.0F.W0 5A /r     | VCVTSS2SD xmm1{k1}{z}, xmm2, xmm3/m32{sae}  | avx512f e8 s4
EVEX.LIG.F2.0F.W1 5A /r     | VCVTSD2SS xmm1{k1}{z}, xmm2, xmm3/m64{er}   | avx512f e4 s8
EVEX.VL.0F.W0 5B /r         | VCVTDQ2PS vmm1{k1}{z}, vmm2/mV/m32bcst{er}  | avx512f
EVEX.VL.0F.W1 5B /r         | VCVTQQ2PS hmm1{k1}{z}, vmm2/mV/m64bcst{er}  | avx512dq e4
EVEX.VL.66.0F.W0 5B /r      | VCVTPS2DQ vmm1{k1}{z}, vmm2/mV/m32bcst{er}  | avx512f
EVEX.VL.F3.0F.W0 5B /r      | VCVTTPS2DQ vmm1{k1}{z}, vmm2/mV/m32bcst{sae} | avx512f
EVEX.VL.F3.0F.W0 E6 /r      | VCVTDQ2PD vmm1{k1}{z}, hmm2/mH/m32bcst{er}  | avx512f e8
EVEX.VL.F3.0F.W1 E6 /r      | VCVTQQ2PD vmm1{k1}{z}, vmm2/mV/m64bcst{er}  | avx512dq
EVEX.VL.F2.0F.W1 E6 /r      | VCVTPD2DQ hmm1{k1}{z}, vmm2/mV/m64bcst{er}  | avx512f e4
EVEX.VL.66.0F.W1 E6 /r      | VCVTTPD2DQ hmm1{k1}{z}, vmm2/mV/m64bcst{sae} | avx512f e4
EVEX.VL.0F.W0 78 /r         | VCVTTPS2UDQ vmm1{k1}{z}, vmm2/mV/m32bcst{sae} | avx512f
EVEX.VL.0F.W1 78 /r         | VCVTTPD2UDQ hmm1{k1}{z}, vmm2/mV/m64bcst{sae} | avx512f e4
EVEX.VL.66.0F.W0 78 /r      | VCVTTPS2UQQ vmm1{k1}{z}, hmm2/mH/m32bcst{sae} | avx512dq e8
EVEX.VL.66.0F.W1 78 /r      | VCVTTPD2UQQ vmm1{k1}{z}, vmm2/mV/m64bcst{sae} | avx512dq
EVEX.VL.0F.W0 79 /r         | VCVTPS2UDQ vmm1{k1}{z}, vmm2/mV/m32bcst{er} | avx512f
EVEX.VL.0F.W1 79 /r         | VCVTPD2UDQ hmm1{k1}{z}, vmm2/mV/m64bcst{er} | avx512f e4
EVEX.VL.66.0F.W0 79 /r      | VCVTPS2UQQ vmm1{k1}{z}, hmm2/mH/m32bcst{er} | avx512dq e8
EVEX.VL.66.0F.W1 79 /r      | VCVTPD2UQQ vmm1{k1}{z}, vmm2/mV/m64bcst{er} | avx512dq
EVEX.VL.66.0F.W0 7A /r      | VCVTTPS2QQ vmm1{k1}{z}, hmm2/mH/m32bcst{sae} | avx512dq e8
EVEX.VL.66.0F.W1 7A /r      | VCVTTPD2QQ vmm1{k1}{z}, vmm2/mV/m64bcst{sae} | avx512dq
EVEX.VL.66.0F.W0 7B /r      | VCVTPS2QQ vmm1{k1}{z}, hmm2/mH/m32bcst{er}  | avx512dq e8
EVEX.VL.66.0F.W1 7B /r      | VCVTPD2QQ vmm1{k1}{z}, vmm2/mV/m64bcst{er}  | avx512dq
EVEX.VL.F3.0F.W0 7A /r      | VCVTUDQ2PD vmm1{k1}{z}, hmm2/mH/m32bcst{er} | avx512f e8
EVEX.VL.F3.0F.W1 7A /r      | VCVTUQQ2PD vmm1{k1}{z}, vmm2/mV/m64bcst{er} | avx512dq
EVEX.VL.F2.0F.W0 7A /r      | VCVTUDQ2PS vmm1{k1}{z}, vmm2/mV/m32bcst{er} | avx512f
EVEX.VL.F2.0F.W1 7A /r      | VCVTUQQ2PS hmm1{k1}{z}, vmm2/mV/m64bcst{er} | avx512dq e4
EVEX.VL.66.0F38.W0 13 /r    | VCVTPH2PS vmm1{k1}{z}, hmm2/mH{sae}         | avx512f e4 s2
EVEX.VL.66.0F3A.W0 1D /r ib | VCVTPS2PH hmm1/mH{k1}{z}, vmm2{sae}, imm8   | avx512f e2 s4
EVEX.LIG.F3.0F.W0 2A /r     | VCVTSI2SS xmm1, xmm2, r/m32{er} | avx512f wig32
EVEX.LIG.F3.0F.W1 2A /r     | VCVTSI2SS xmm1, xmm2, r/m64{er} | avx512f o64
EVEX.LIG.F2.0F.W0 2A /r     | VCVTSI2SD xmm1, xmm2, r/m32{er}     | avx512f wig32
EVEX.LIG.F2.0F.W1 2A /r     | VCVTSI2SD xmm1, xmm2, r/m64{er} | avx512f o64
EVEX.LIG.F3.0F.W0 7B /r     | VCVTUSI2SS xmm1, xmm2, r/m32{er} | avx512f wig32
EVEX.LIG.F3.0F.W1 7B /r     | VCVTUSI2SS xmm1, xmm2, r/m64{er} | avx512f o64
EVEX.LIG.F2.0F.W0 7B /r     | VCVTUSI2SD xmm1, xmm2, r/m32{er}     | avx512f wig32
EVEX.LIG.F2.0F.W1 7B /r     | VCVTUSI2SD xmm1, xmm2, r/m64{er} | avx512f o64
EVEX.LIG.F3.0F.W0 2D /r     | VCVTSS2SI r32, xmm1/m32{er}      | avx512f wig32
EVEX.LIG.F3.0F.W1 2D /r     | VCVTSS2SI r64, xmm1/m32{er}      | avx512f o64
EVEX.LIG.F2.0F.W0 2D /r     | VCVTSD2SI r32, xmm1/m64{er}      | avx512f wig32
EVEX.LIG.F2.0F.W1 2D /r     | VCVTSD2SI r64, xmm1/m64{er}      | avx512f o64
EVEX.LIG.F3.0F.W0 2C /r     | VCVTTSS2SI r32, xmm1/m32{sae}    | avx512f wig32
EVEX.LIG.F3.0F.W1 2C /r     | VCVTTSS2SI r64, xmm1/m32{sae}    | avx512f o64
EVEX.LIG.F2.0F.W0 2C /r     | VCVTTSD2SI r32, xmm1/m64{sae}    | avx512f wig32
EVEX.LIG.F2.0F.W1 2C /r     | VCVTTSD2SI r64, xmm1/m64{sae}    | avx512f o64
EVEX.LIG.F3.0F.W0 79 /r     | VCVTSS2USI r32, xmm1/m32{er}     | avx512f wig32
EVEX.LIG.F3.0F.W1 79 /r     | VCVTSS2USI r64, xmm1/m32{er}     | avx512f o64
EVEX.LIG.F2.0F.W0 79 /r     | VCVTSD2USI r32, xmm1/m64{er}     | avx512f wig32
EVEX.LIG.F2.0F.W1 79 /r     | VCVTSD2USI r64, xmm1/m64{er}     | avx512f o64
EVEX.LIG.F3.0F.W0 78 /r     | VCVTTSS2USI r32, xmm1/m32{sae}   | avx512f wig32
EVEX.LIG.F3.0F.W1 78 /r     | VCVTTSS2USI r64, xmm1/m32{sae}   | avx512f o64
EVEX.LIG.F2.0F.W0 78 /r     | VCVTTSD2USI r32, xmm1/m64{sae}   | avx512f wig32
EVEX.LIG.F2.0F.W1 78 /r     | VCVTTSD2USI r64, xmm1/m64{sae}   | avx512f o64
`;

/** Instructions of other extensions, which have EVEX forms where AVX-512 is. */
const others = `
EVEX.128.66.0F38.WIG DC /r | VAESENC xmm1, xmm2, xmm3/m128     | vaes avx512vl
EVEX.256.66.0F38.WIG DC /r | VAESENC ymm1, ymm2, ymm3/m256     | vaes avx512vl
EVEX.512.66.0F38.WIG DC /r | VAESENC zmm1, zmm2, zmm3/m512     | vaes avx512f
EVEX.128.66.0F38.WIG DD /r | VAESENCLAST xmm1, xmm2, xmm3/m128 | vaes avx512vl
EVEX.256.66.0F38.WIG DD /r | VAESENCLAST ymm1, ymm2, ymm3/m256 | vaes avx512vl
EVEX.512.66.0F38.WIG DD /r | VAESENCLAST zmm1, zmm2, zmm3/m512 | vaes avx512f
EVEX.128.66.0F38.WIG DE /r | VAESDEC xmm1, xmm2, xmm3/m128     | vaes avx512vl
EVEX.256.66.0F38.WIG DE /r | VAESDEC ymm1, ymm2, ymm3/m256     | vaes avx512vl
EVEX.512.66.0F38.WIG DE /r | VAESDEC zmm1, zmm2, zmm3/m512     | vaes avx512f
EVEX.128.66.0F38.WIG DF /r | VAESDECLAST xmm1, xmm2, xmm3/m128 | vaes avx512vl
EVEX.256.66.0F38.WIG DF /r | VAESDECLAST ymm1, ymm2, ymm3/m256 | vaes avx512vl
EVEX.512.66.0F38.WIG DF /r | VAESDECLAST zmm1, zmm2, zmm3/m512 | vaes avx512f
EVEX.128.66.0F3A.WIG 44 /r ib | VPCLMULQDQ xmm1, xmm2, xmm3/m128, imm8 | vpclmulqdq avx512vl
EVEX.256.66.0F3A.WIG 44 /r ib | VPCLMULQDQ ymm1, ymm2, ymm3/m256, imm8 | vpclmulqdq avx512vl
EVEX.512.66.0F3A.WIG 44 /r ib | VPCLMULQDQ zmm1, zmm2, zmm3/m512, imm8 | vpclmulqdq avx512f
EVEX.128.66.0F38.W0 CF /r | VGF2P8MULB xmm1{k1}{z}, xmm2, xmm3/m128 | gfni avx512vl e1
EVEX.256.66.0F38.W0 CF /r | VGF2P8MULB ymm1{k1}{z}, ymm2, ymm3/m256 | gfni avx512vl e1
EVEX.512.66.0F38.W0 CF /r | VGF2P8MULB zmm1{k1}{z}, zmm2, zmm3/m512 | gfni avx512f e1
EVEX.128.66.0F3A.W1 CE /r ib | VGF2P8AFFINEQB xmm1{k1}{z}, xmm2, xmm3/m128/m64bcst, imm8 | gfni avx512vl e1 s1 nf
EVEX.256.66.0F3A.W1 CE /r ib | VGF2P8AFFINEQB ymm1{k1}{z}, ymm2, ymm3/m256/m64bcst, imm8 | gfni avx512vl e1 s1 nf
EVEX.512.66.0F3A.W1 CE /r ib | VGF2P8AFFINEQB zmm1{k1}{z}, zmm2, zmm3/m512/m64bcst, imm8 | gfni avx512f e1 s1 nf
EVEX.128.66.0F3A.W1 CF /r ib | VGF2P8AFFINEINVQB xmm1{k1}{z}, xmm2, xmm3/m128/m64bcst, imm8 | gfni avx512vl e1 s1 nf
EVEX.256.66.0F3A.W1 CF /r ib | VGF2P8AFFINEINVQB ymm1{k1}{z}, ymm2, ymm3/m256/m64bcst, imm8 | gfni avx512vl e1 s1 nf
EVEX.512.66.0F3A.W1 CF /r ib | VGF2P8AFFINEINVQB zmm1{k1}{z}, zmm2, zmm3/m512/m64bcst, imm8 | gfni avx512f e1 s1 nf
`;

/** Instructions on mask registers: of 16 bits in AVX512F, 8 in DQ, 32 and 64 in BW. */
function masks(): string {
  const forms = [
    ["B", "66.", "W0", "avx512dq", "m8"],
    ["W", "", "W0", "avx512f", "m16"],
    ["D", "66.", "W1", "avx512bw", "m32"],
    ["Q", "", "W1", "avx512bw", "m64"],
  ] as const;
  const three = [["41", "KAND"], ["42", "KANDN"], ["45", "KOR"], ["46", "KXNOR"], ["47", "KXOR"]];
  const rows: string[] = [];
  for (const [s, pp, w, feature, m] of forms) {
    for (const [byte, name] of three) {
      rows.push(`VEX.L1.${pp}0F.${w} ${byte} /r | ${name}${s} k1, k2, k3 | ${feature}`);
    }
    // KADD of 16 bits and KTEST came with AVX512DQ.
    const late = s === "W" ? "avx512dq" : feature;
    rows.push(
      `VEX.L1.${pp}0F.${w} 4A /r | KADD${s} k1, k2, k3 | ${late}`,
      `VEX.L0.${pp}0F.${w} 44 /r | KNOT${s} k1, k2 | ${feature}`,
      `VEX.L0.${pp}0F.${w} 98 /r | KORTEST${s} k1, k2 | ${feature}`,
      `VEX.L0.${pp}0F.${w} 99 /r | KTEST${s} k1, k2 | ${late}`,
      `VEX.L0.${pp}0F.${w} 90 /r | KMOV${s} k1, k2/${m} | ${feature}`,
      `VEX.L0.${pp}0F.${w} 91 /r | KMOV${s} ${m}, k1 | ${feature}`,
    );
    // Shifts: bytes and words, dwords and qwords differ in W.
    const right = s === "B" || s === "W" ? "30" : "31", left = s === "B" || s === "W" ? "32" : "33";
    const wide = s === "W" || s === "Q" ? "W1" : "W0";
    rows.push(
      `VEX.L0.66.0F3A.${wide} ${right} /r ib | KSHIFTR${s} k1, k2, imm8 | ${feature}`,
      `VEX.L0.66.0F3A.${wide} ${left} /r ib | KSHIFTL${s} k1, k2, imm8 | ${feature}`,
    );
  }
  return rows.join("\n") + `
VEX.L0.66.0F.W0 92 /r | KMOVB k1, r32 | avx512dq
VEX.L0.0F.W0 92 /r    | KMOVW k1, r32 | avx512f
VEX.L0.F2.0F.W0 92 /r | KMOVD k1, r32 | avx512bw wig32
VEX.L0.F2.0F.W1 92 /r | KMOVQ k1, r64 | avx512bw o64
VEX.L0.66.0F.W0 93 /r | KMOVB r32, k1 | avx512dq
VEX.L0.0F.W0 93 /r    | KMOVW r32, k1 | avx512f
VEX.L0.F2.0F.W0 93 /r | KMOVD r32, k1 | avx512bw wig32
VEX.L0.F2.0F.W1 93 /r | KMOVQ r64, k1 | avx512bw o64
VEX.L1.66.0F.W0 4B /r | KUNPCKBW k1, k2, k3 | avx512f
VEX.L1.0F.W0 4B /r    | KUNPCKWD k1, k2, k3 | avx512bw
VEX.L1.0F.W1 4B /r    | KUNPCKDQ k1, k2, k3 | avx512bw
`;
}

export const avx512Rows = [
  moves,
  integers,
  permutes,
  arithmetic,
  fused(),
  conversions,
  others,
  masks(),
].join("\n");
