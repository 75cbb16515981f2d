import { assert, assertEquals, assertThrows } from "@std/assert";
import { Mandatory, OpMap, parseRow, Role } from "./row.ts";
import { opcodeTable } from "./table.ts";
import { encode, rowForms } from "./encode.ts";
import type { MemOperand, Operand } from "../insn.ts";

const row = (line: string) => parseRow(line, "test", 0);
const roles = (line: string) => row(line).operandSpecs.map((s) => s.role);

Deno.test("an opcode column gives prefix, map, byte, digit and span", () => {
  const { prefix, map, byte, digit, modrm, w } = row(
    "66 REX.W 0F 3A 16 /r ib | PEXTRQ r/m64, xmm2, imm8",
  );
  assertEquals([prefix, map, byte, digit, modrm, w], [
    Mandatory.P66,
    OpMap.M0F3A,
    0x16,
    -1,
    true,
    1,
  ]);
  assertEquals(row("80 /5 ib | SUB r/m8, imm8").digit, 5);
  assertEquals(row("0F 80+cc cz | Jcc relz").span, 16);
  const fixed = row("D8 C0+i | FADD ST(0), ST(i)");
  assertEquals([fixed.byte, fixed.fixedModrm, fixed.fixedSpan], [0xd8, 0xc0, 8]);
  const vex = row("VEX.256.66.0F38.W0 36 /r | VPERMD ymm1, ymm2, ymm3/m256");
  assertEquals([vex.map, vex.prefix, vex.l, vex.w], [OpMap.Vex0F38, Mandatory.P66, 1, 0]);
  assertEquals(row("VEX.LZ.0F38 F2 /r | ANDN ry, ry, r/my").byte, 0xf2);
});

Deno.test("operands take their places in the SDM's usual order, or as `en=` says", () => {
  assertEquals(roles("01 /r | ADD r/mv, rv"), [Role.Rm, Role.Reg]);
  assertEquals(roles("03 /r | ADD rv, r/mv"), [Role.Reg, Role.Rm]);
  assertEquals(roles("0F D7 /r | PMOVMSKB r32, mm"), [Role.Reg, Role.Rm]);
  assertEquals(roles("0F 73 /2 ib | PSRLQ mm, imm8"), [Role.Rm, Role.Imm]);
  assertEquals(roles("90+rv | XCHG rAX, rv"), [Role.Fixed, Role.Opcode]);
  assertEquals(roles("0F 20 /r | MOV_CR ry, CRn | en=MR"), [Role.Rm, Role.Reg]);
  const shift = "VEX.128.66.0F.WIG 73 /3 ib | VPSRLDQ xmm1, xmm2, imm8";
  assertEquals(roles(shift), [Role.Vvvv, Role.Rm, Role.Imm]);
  const blend = "VEX.128.66.0F3A.W0 4C /r /is4 | VPBLENDVB xmm1, xmm2, xmm3/m128, xmm4";
  assertEquals(roles(blend), [Role.Reg, Role.Vvvv, Role.Rm, Role.Is4]);
  assertEquals(roles("VEX.LZ.0F38 F7 /r | BEXTR ry, r/my, ry"), [Role.Reg, Role.Rm, Role.Vvvv]);
});

Deno.test("a bad row says where it is", () => {
  for (
    const bad of [
      "ZZ /r | ADD r/mv, rv",
      "01 /r | ADD r/m7, rv",
      "01 /r | ADD r/mv, rv | nosuchflag",
      "01 /r | ADD r/mv, rv, rv",
      "VEX.129.0F 58 /r | VADDPS xmm1, xmm2, xmm3/m128",
    ]
  ) {
    const e = assertThrows(() => row(bad), Error) as Error;
    assert(e.message.includes(bad), e.message);
  }
});

Deno.test("flags become the row's properties", () => {
  const lgdt = row("0F 01 /2 | LGDT m16&s | f64 cpl0 vmx=GDTR_IDTR");
  assertEquals([lgdt.privilege, lgdt.vmx, lgdt.forced64, lgdt.mod], [
    "cpl0",
    "GDTR_IDTR",
    true,
    "mem",
  ]);
  const valid = (flags: string) => row(`06 | PUSH_SREG ES | ${flags}`).valid;
  assertEquals(valid("i64"), { bits16: true, bits32: true, bits64: false });
  assertEquals(valid("o64"), { bits16: false, bits32: false, bits64: true });
  const lzcnt = opcodeTable.find((r) => r.name === "LZCNT")!;
  assertEquals([lzcnt.cpuid, lzcnt.fallback], ["abm", "BSR"]);
});

Deno.test("row ids are table positions and what fallback names exists", () => {
  opcodeTable.forEach((r, i) => assertEquals(r.id, i));
  const names = new Set(opcodeTable.map((r) => r.name));
  for (const r of opcodeTable) if (r.fallback) assert(names.has(r.fallback), r.fallback);
});

const byText = (opcode: string, syntax: string) =>
  opcodeTable.find((r) => r.opcode === opcode && r.syntax === syntax)!;
const reg = (size: 8 | 16 | 32 | 64, n: number): Operand => ({
  kind: "gpr",
  size,
  reg: n,
  high: false,
});
const hex = (bytes: Uint8Array) => [...bytes].map((b) => b.toString(16).padStart(2, "0")).join(" ");

Deno.test("encode makes the bytes an assembler makes", () => {
  const add = byText("01 /r", "ADD r/mv, rv");
  const one = (bits: 16 | 32 | 64, opSize: 16 | 32 | 64, a: Operand, b: Operand) =>
    hex(encode({ row: add, bits, opSize, operands: [a, b] }));
  assertEquals(one(64, 64, reg(64, 9), reg(64, 1)), "49 01 c9"); // add %rcx, %r9
  assertEquals(one(32, 16, reg(16, 0), reg(16, 3)), "66 01 d8"); // add %bx, %ax
  assertEquals(one(16, 32, reg(32, 0), reg(32, 3)), "66 01 d8"); // .code16 add %ebx, %eax
  const mem: MemOperand = {
    kind: "mem",
    size: 32,
    seg: 2,
    base: 4,
    index: -1,
    scale: 0,
    disp: 0,
    dispHi: 0,
    rip: false,
    addrSize: 32,
  };
  assertEquals(one(32, 32, mem, reg(32, 1)), "01 0c 24"); // add %ecx, (%esp)
  assertEquals(one(64, 32, mem, reg(32, 1)), "67 01 0c 24");
  assertEquals(one(32, 32, { ...mem, base: 5 }, reg(32, 1)), "01 4d 00"); // add %ecx, 0(%ebp)
  const movb = byText("88 /r", "MOV r/m8, r8");
  const bytes = encode({ row: movb, bits: 64, operands: [reg(8, 6), reg(8, 0)] });
  assertEquals(hex(bytes), "40 88 c6"); // mov %al, %sil
  const high: Operand = { kind: "gpr", size: 8, reg: 0, high: true };
  assertThrows(() => encode({ row: movb, bits: 64, operands: [high, reg(8, 6)] }), Error);
});

Deno.test("rowForms lists each meaning once", () => {
  const add = byText("01 /r", "ADD r/mv, rv");
  assertEquals(rowForms(add, 64).length, 6); // 3 sizes × register and memory
  assertEquals(rowForms(add, 32).length, 4);
  assertEquals(rowForms(byText("50+rv", "PUSH rv"), 64).map((f) => f.opSize).sort(), [16, 64]);
  assertEquals(rowForms(byText("06", "PUSH_SREG ES"), 64), []);
  assertEquals(rowForms(byText("8D /r", "LEA rv, m"), 16).map((f) => f.rm), ["mem", "mem"]);
});
