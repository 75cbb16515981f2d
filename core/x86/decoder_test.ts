import { disassemble } from "./disasm.ts";
import { assert, assertEquals } from "@std/assert";
import { decode, type DecodedInsn, type DecodeFault, withoutFeature } from "./decoder.ts";
import { opcodeTable } from "./table/table.ts";
import { encode, rowForms } from "./table/encode.ts";
import { random, sample } from "./table/sample.ts";
import { Gpr, type MemOperand, type RegOperand, Seg } from "./insn.ts";

type Bits = 16 | 32 | 64;

function hex(text: string): Uint8Array {
  return Uint8Array.from(text.match(/[0-9a-f]{2}/g)!.map((b) => parseInt(b, 16)));
}
function tryDecode(text: string, bits: Bits, avail?: number): DecodedInsn | DecodeFault {
  const bytes = hex(text);
  return decode(bytes, 0, avail ?? bytes.length, { bits });
}
function insn(text: string, bits: Bits): DecodedInsn {
  const d = tryDecode(text, bits);
  assert(typeof d !== "string", `${text} in ${bits}-bit mode is ${d}`);
  return d;
}
function what(text: string, bits: Bits): string {
  const d = tryDecode(text, bits);
  return typeof d === "string" ? d : `${d.row.name} ${d.opSize}`;
}
function mem(text: string, bits: Bits): MemOperand {
  const m = insn(text, bits).operands.find((o): o is MemOperand => o.kind === "mem");
  assert(m !== undefined, `${text} has no memory operand`);
  return m;
}
function address(text: string, bits: Bits): unknown {
  const { base, index, scale, disp, rip, seg, addrSize } = mem(text, bits);
  return { base, index, scale, disp, rip, seg, addrSize };
}
const plain = { base: -1, index: -1, scale: 0, disp: 0, rip: false, seg: Seg.DS };

Deno.test("operand size follows mode, 66h, REX.W and the instruction's default", () => {
  assertEquals(what("01 d8", 16), "ADD 16");
  assertEquals(what("66 01 d8", 16), "ADD 32");
  assertEquals(what("01 d8", 32), "ADD 32");
  assertEquals(what("66 01 d8", 32), "ADD 16");
  assertEquals(what("48 01 d8", 64), "ADD 64");
  assertEquals(what("66 48 01 d8", 64), "ADD 64");
  assertEquals(what("50", 64), "PUSH 64");
  assertEquals(what("66 50", 64), "PUSH 16");
  assertEquals(what("ff 35 00 00 00 00", 64), "PUSH 64");
  assertEquals(what("e8 00 00 00 00", 64), "CALL_NEAR_REL 64");
  // Intel ignores 66h on near branches in 64-bit mode: still a rel32.
  assertEquals(insn("66 e8 00 00 00 00", 64).length, 6);
  assertEquals(insn("66 e8 00 00", 32).opSize, 16);
  assertEquals(what("0f 22 c0", 64), "MOV_CR 64");
  assertEquals(what("cf", 64), "IRET 32");
  assertEquals(what("48 cf", 64), "IRET 64");
});

Deno.test("REX counts only directly before the opcode", () => {
  assertEquals(insn("48 66 01 d8", 64).opSize, 16);
  assertEquals((insn("41 3e 01 d8", 64).operands[0] as RegOperand).reg, Gpr.RAX);
  assertEquals((insn("3e 41 01 d8", 64).operands[0] as RegOperand).reg, 8);
  // 40h–4Fh are INC and DEC elsewhere.
  assertEquals(what("48 01 d8", 32), "DEC 32");
});

Deno.test("byte registers 4 to 7 are AH to BH without REX, SPL to DIL with it", () => {
  assertEquals(insn("88 e0", 64).operands[1], { kind: "gpr", size: 8, reg: 0, high: true });
  assertEquals(insn("40 88 e0", 64).operands[1], { kind: "gpr", size: 8, reg: 4, high: false });
  assertEquals(insn("b7 12", 32).operands[0], { kind: "gpr", size: 8, reg: 3, high: true });
});

Deno.test("16-bit addressing forms, SDM table 2-1", () => {
  const forms = [[3, 6, 3], [3, 7, 3], [5, 6, 2], [5, 7, 2], [6, -1, 3], [7, -1, 3], [5, -1, 2], [
    3,
    -1,
    3,
  ]];
  forms.forEach(([base, index, seg], rm) => {
    const code = `8a ${(0x40 | rm).toString(16)} fe`;
    assertEquals(address(code, 16), { ...plain, base, index, seg, disp: -2, addrSize: 16 });
  });
  assertEquals(address("8a 06 34 12", 16), { ...plain, disp: 0x1234, addrSize: 16 });
  assertEquals(address("67 8a 06", 16), { ...plain, base: 6, addrSize: 32 });
});

Deno.test("32 and 64-bit addressing with SIB's special cases, SDM tables 2-2 and 2-3", () => {
  assertEquals(address("8b 05 78 56 34 12", 32), { ...plain, disp: 0x12345678, addrSize: 32 });
  assertEquals(address("8b 05 fc ff ff ff", 64), {
    ...plain,
    disp: -4,
    rip: true,
    addrSize: 64,
  });
  assertEquals(address("8b 04 25 10 00 00 00", 64), { ...plain, disp: 16, addrSize: 64 });
  // ESP as base needs SIB and selects SS; index 4 means none, but R12 is an index.
  assertEquals(address("8b 44 24 08", 32), { ...plain, base: 4, disp: 8, seg: 2, addrSize: 32 });
  assertEquals(address("42 8b 04 a3", 64), {
    ...plain,
    base: 3,
    index: 12,
    scale: 2,
    addrSize: 64,
  });
  assertEquals(address("8b 04 f5 01 00 00 00", 32), {
    ...plain,
    index: 6,
    scale: 3,
    disp: 1,
    addrSize: 32,
  });
  // R13 as base with mod 0 takes the disp32 form as RBP does; R12 needs a SIB byte.
  assertEquals(address("41 8b 05 00 00 00 00", 64), { ...plain, rip: true, addrSize: 64 });
  assertEquals(address("41 8b 45 00", 64), { ...plain, base: 13, addrSize: 64 });
  assertEquals(address("41 8b 04 24", 64), { ...plain, base: 12, addrSize: 64 });
  assertEquals(address("67 8b 00", 64), { ...plain, base: 0, addrSize: 32 });
});

Deno.test("segment overrides: last one wins, ES to DS are ignored in 64-bit mode", () => {
  assertEquals(mem("26 64 8b 00", 32).seg, Seg.FS);
  assertEquals(mem("64 26 8b 00", 32).seg, Seg.ES);
  assertEquals(mem("64 26 8b 00", 64).seg, Seg.FS);
  assertEquals(mem("2e 8b 45 00", 64).seg, Seg.SS);
  const movs = insn("2e a4", 32).operands as MemOperand[];
  assertEquals(movs.map((m) => m.seg), [Seg.ES, Seg.CS]);
});

Deno.test("mandatory prefixes: F2 and F3 before 66, the last of F2 and F3 wins", () => {
  assertEquals(insn("0f 58 c1", 32).row.name, "ADDPS");
  assertEquals(insn("66 0f 58 c1", 32).row.name, "ADDPD");
  assertEquals(insn("66 f3 0f 58 c1", 32).row.name, "ADDSS");
  assertEquals(insn("f3 66 0f 58 c1", 32).row.name, "ADDSS");
  assertEquals(insn("f2 f3 0f 58 c1", 32).row.name, "ADDSS");
  assertEquals(insn("f3 f2 0f 58 c1", 32).row.name, "ADDSD");
  assertEquals(what("f3 0f 14 c1", 32), "invalid");
  assertEquals(what("66 f3 0f b8 c1", 32), "POPCNT 16");
  assertEquals(insn("f3 a4", 32).rep, 0xf3);
  assertEquals(insn("f3 0f 58 c1", 32).rep, 0);
});

Deno.test("LOCK needs a lockable row and a memory destination", () => {
  assertEquals(insn("f0 01 03", 32).lock, true);
  for (
    const bad of [
      "f0 01 c3", // register destination
      "f0 03 03", // memory is the source
      "f0 39 03", // CMP
      "f0 8b 03",
      "f0 90",
      "f0 0f a3 03", // BT
      "f0 d9 03",
    ]
  ) assertEquals(what(bad, 32), "invalid", bad);
  assertEquals(insn("f0 0f c7 0b", 32).row.name, "CMPXCHG8B");
});

Deno.test("registers that do not exist, memory-only and register-only forms are #UD", () => {
  for (
    const bad of [
      "8e c8", // MOV CS
      "8e f0", // segment register 6
      "0f 20 c8", // CR1
      "0f 20 e8", // CR5
      "8d c0", // LEA register
      "0f b2 c0", // LSS register
      "0f c7 c8", // CMPXCHG8B register
      "ff f8",
      "fe d0",
      "0f ae c0", // FXSAVE register
      "0f e7 c0", // MOVNTQ register
      "0f d7 00", // PMOVMSKB memory
    ]
  ) assertEquals(what(bad, 32), "invalid", bad);
  assertEquals(what("44 0f 20 c0", 64), "MOV_CR 64");
  assertEquals((insn("44 0f 20 c0", 64).operands[1] as RegOperand).reg, 8);
  assertEquals(what("44 0f 21 c0", 64), "invalid"); // DR8
  // MOV CR takes ModRM.mod as 3 whatever it says.
  assertEquals(insn("0f 22 1e", 32).length, 3);
  assertEquals(insn("0f 12 c1", 32).row.name, "MOVHLPS");
  assertEquals(insn("0f 12 01", 32).row.name, "MOVLPS");
});

Deno.test("LES, LDS and BOUND against VEX and EVEX outside 64-bit mode", () => {
  assertEquals(what("c4 06", 32), "LES 32");
  assertEquals(what("c5 06", 16), "short"); // disp16 missing
  assertEquals(what("c5 06 00 00", 16), "LDS 16");
  assertEquals(what("62 01", 32), "BOUND 32");
  assertEquals(what("62 f1 7c 48 58 c1", 32), "VADDPS 32");
  assertEquals(what("66 c5 f8 77", 32), "invalid"); // prefix before VEX
});

Deno.test("EVEX: registers, masks, rounding, broadcast and scaled displacements", () => {
  const decoded = (bytes: string, bits: 32 | 64 = 64) => {
    const u8 = Uint8Array.from(bytes.split(" ").map((b) => parseInt(b, 16)));
    const i = decode(u8, 0, u8.length, { bits });
    return typeof i === "string" ? i : disassemble(i, 0n, bits).replace(/ +/g, " ");
  };
  // As GNU as assembles them.
  assertEquals(decoded("62 01 04 50 58 f9"), "vaddps {ru-sae}, %zmm25, %zmm31, %zmm31");
  assertEquals(decoded("62 f1 6c c9 58 c3"), "vaddps %zmm3, %zmm2, %zmm0 {%k1} {z}");
  assertEquals(decoded("62 f1 6c 58 58 40 02"), "vaddps 8(%rax){1to16}, %zmm2, %zmm0");
  assertEquals(decoded("62 f1 6c 48 58 40 02"), "vaddps 0x80(%rax), %zmm2, %zmm0");
  assertEquals(decoded("62 f2 7d 41 90 44 90 01"), "vpgatherdd 4(%rax, %zmm18, 4), %zmm0 {%k1}");
  // Zeroing without a mask or to memory, a mask that must be there, broadcast where there is none.
  assertEquals(decoded("62 f1 6c c8 58 c3"), "invalid");
  assertEquals(decoded("62 f1 7c c9 11 00"), "invalid");
  assertEquals(decoded("62 f2 7d 40 90 04 90"), "invalid");
  assertEquals(decoded("62 f1 7c 58 10 00"), "invalid");
  // Mask registers 8 to 15.
  assertEquals(decoded("c5 ec 41 cb"), "kandw %k3, %k2, %k1");
  assertEquals(decoded("c5 ac 41 cb"), "invalid");
});

Deno.test("undocumented encodings that processors decode", () => {
  assertEquals(what("d6", 32), "SALC 32");
  assertEquals(what("d6", 64), "invalid");
  assertEquals(what("f1", 32), "INT1 32");
  assertEquals(what("82 c0 01", 32), "ADD 32");
  assertEquals(what("82 c0 01", 64), "invalid");
  assertEquals(what("d0 f0", 32), "SHL 32");
  assertEquals(what("f6 c8 01", 32), "TEST 32");
  assertEquals(insn("dc d1", 32).row.name, "FCOM");
  assertEquals(insn("dd c9", 32).row.name, "FXCH");
  assertEquals(insn("db e0", 32).row.name, "FNOP");
  assertEquals(what("0f 1f 44 00 00", 32), "NOP 32");
  assertEquals(what("f3 0f 1e fa", 64), "NOP 32");
  assertEquals(what("f3 90", 32), "PAUSE 32");
  assertEquals(what("41 90", 64), "XCHG 32");
  assertEquals(what("0f 0b", 32), "UD2 32");
  assertEquals(insn("0f b9 00", 32).row.name, "UD1");
  assertEquals(insn("0f ff c0", 32).row.name, "UD0");
  assertEquals(what("0f 0a", 32), "invalid");
});

Deno.test("without its feature TZCNT is BSF and POPCNT is #UD", () => {
  const tzcnt = insn("f3 0f bc c1", 32);
  assertEquals(tzcnt.row.name, "TZCNT");
  const plain = withoutFeature(tzcnt)!;
  assertEquals([plain.row.name, plain.length, plain.rep], ["BSF", 4, 0xf3]);
  assertEquals(plain.operands, tzcnt.operands);
  assertEquals(withoutFeature(insn("66 f3 0f bd c1", 32))!.row.name, "BSR");
  assertEquals(withoutFeature(insn("f3 0f b8 c1", 32)), undefined);
});

Deno.test("immediates: sign extension, widths, far pointers, moffs", () => {
  assertEquals(insn("83 c0 ff", 32).operands[1], { kind: "imm", size: 32, value: -1, valueHi: -1 });
  assertEquals(insn("48 81 c0 00 00 00 80", 64).operands[1], {
    kind: "imm",
    size: 64,
    value: -0x80000000,
    valueHi: -1,
  });
  assertEquals(insn("c1 e0 ff", 32).operands[1], { kind: "imm", size: 8, value: 255, valueHi: 0 });
  assertEquals(insn("48 b8 ef cd ab 89 67 45 23 01", 64).operands[1], {
    kind: "imm",
    size: 64,
    value: 0x89abcdef | 0,
    valueHi: 0x01234567,
  });
  assertEquals(insn("c8 34 12 1f", 32).operands.map((o) => o.kind === "imm" && o.value), [
    0x1234,
    0x1f,
  ]);
  assertEquals(insn("ea 5b e0 00 f0", 16).operands[0], {
    kind: "far",
    size: 32,
    selector: 0xf000,
    offset: 0xe05b,
  });
  const moffs = mem("48 a1 ef cd ab 89 67 45 23 01", 64);
  assertEquals([moffs.disp, moffs.dispHi, moffs.size], [0x89abcdef | 0, 0x01234567, 64]);
  assertEquals(insn("67 a1 78 56 34 12", 64).length, 6);
  assertEquals(insn("e5 10", 64).operands[0].size, 32);
  assertEquals(insn("48 e5 10", 64).operands[0].size, 32); // IN knows no 64-bit port
});

Deno.test("an instruction cut off asks for more bytes, a long one is #GP", () => {
  const whole = "66 67 81 84 b3 78 56 34 12 cd ab";
  const length = insn(whole, 32).length;
  assertEquals(insn(whole, 32).addrSize, 16);
  for (let avail = 0; avail < length; avail++) {
    assertEquals(tryDecode(whole, 32, avail), "short", `${avail} bytes`);
  }
  assertEquals(insn("66 ".repeat(14) + "90", 32).length, 15);
  assertEquals(tryDecode("66 ".repeat(15) + "90", 32), "toolong");
  assertEquals(tryDecode("66 ".repeat(14) + "01 d8", 32), "toolong");
  assertEquals(tryDecode("66 ".repeat(14), 32), "short");
  // What decides #UD is known before the missing bytes are.
  assertEquals(tryDecode("0f 0a", 32), "invalid");
  assertEquals(tryDecode("f0 0f c7", 32), "short");
});

Deno.test("every row decodes to itself from a random encoding", () => {
  const rnd = random(20);
  for (const bits of [16, 32, 64] as const) {
    for (const row of opcodeTable) {
      for (const form of rowForms(row, bits)) {
        const request = sample(rnd, row, form, bits);
        const bytes = encode(request);
        const d = decode(bytes, 0, bytes.length, { bits });
        const text = `${bits}-bit ${row.opcode} | ${row.syntax}: ${
          [...bytes].map((b) => b.toString(16))
        }`;
        assert(typeof d !== "string", `${text}: ${d}`);
        // Generic NOP rows leave some of their encodings to particular ones, XCHG (E)AX to NOP.
        if (d.row !== row && (row.name === "NOP" || d.row.name === "NOP")) continue;
        assertEquals(d.row.opcode, row.opcode, text);
        assertEquals(d.length, bytes.length, text);
        assertEquals(d.opSize, form.opSize, text);
        request.operands!.forEach((wanted, i) => {
          if (wanted !== undefined) assertEquals(d.operands[i], wanted, text);
        });
        assertEquals([d.lock, d.rep], [request.lock ?? false, request.rep ?? 0], text);
        for (let avail = 0; avail < bytes.length; avail++) {
          assertEquals(decode(bytes, 0, avail, { bits }), "short", text);
        }
      }
    }
  }
});

Deno.test("random bytes neither throw nor claim more than 15 bytes", () => {
  const rnd = random(7);
  const bytes = new Uint8Array(4096);
  for (let i = 0; i < bytes.length; i++) bytes[i] = rnd(256);
  for (const bits of [16, 32, 64] as const) {
    for (let at = 0; at < bytes.length; at++) {
      const avail = Math.min(bytes.length - at, 20);
      const d = decode(bytes, at, avail, { bits });
      if (typeof d === "string") assert(d !== "short" || avail < 15);
      else assert(d.length <= Math.min(avail, 15));
    }
  }
});

/** binutils' view: lengths by address, without what it calls bad. */
function objdump(bytes: Uint8Array, bits: Bits): Map<number, number> | undefined {
  const file = Deno.makeTempFileSync();
  try {
    Deno.writeFileSync(file, bytes);
    const machine = bits === 64 ? "i386:x86-64" : bits === 32 ? "i386" : "i8086";
    const { stdout } = new Deno.Command("objdump", {
      args: ["-D", "-w", "-b", "binary", "-m", machine, file],
    }).outputSync();
    const lengths = new Map<number, number>();
    for (const line of new TextDecoder().decode(stdout).split("\n")) {
      const m = /^ *([0-9a-f]+):\t((?:[0-9a-f]{2} )+)/.exec(line);
      if (m && !line.includes("(bad)")) {
        lengths.set(parseInt(m[1], 16), m[2].trim().split(" ").length);
      }
    }
    return lengths;
  } catch (e) {
    if (e instanceof Deno.errors.NotFound) return undefined;
    throw e;
  } finally {
    Deno.removeSync(file);
  }
}

Deno.test("lengths agree with binutils' objdump", () => {
  const rnd = random(99);
  for (const bits of [16, 32, 64] as const) {
    const out: number[] = [];
    const starts: [number, number, string][] = [];
    for (const row of opcodeTable) {
      // Redundant and undocumented encodings, and hints that binutils reads as later additions.
      if (row.alias || row.name === "SALC" || row.name === "UD0") continue;
      if (row.name === "NOP" && row.operandSpecs.length > 0) continue;
      for (const form of rowForms(row, bits)) {
        const bytes = encode(sample(rnd, row, form, bits));
        starts.push([out.length, bytes.length, `${bits}-bit ${row.opcode} | ${row.syntax}`]);
        out.push(...bytes, ...new Array(15).fill(0x90));
      }
    }
    const lengths = objdump(Uint8Array.from(out), bits);
    if (lengths === undefined) {
      console.log("skipped: objdump (binutils) is not installed");
      return;
    }
    for (const [at, length, text] of starts) {
      const hexText = out.slice(at, at + length).map((b) => b.toString(16).padStart(2, "0"));
      assertEquals(lengths.get(at), length, `${text}: ${hexText.join(" ")}`);
    }
  }
});
