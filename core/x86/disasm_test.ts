import { assert, assertEquals } from "@std/assert";
import { disassembleAt, listingLines } from "./disasm.ts";
import { Mandatory, type TableRow } from "./table/row.ts";
import { opcodeTable } from "./table/table.ts";
import { encode, type RowForm, rowForms } from "./table/encode.ts";
import { random, sample } from "./table/sample.ts";

type Bits = 16 | 32 | 64;

function text(hex: string, bits: Bits, address = 0x1000n): string {
  const bytes = Uint8Array.from(hex.match(/[0-9a-f]{2}/g)!.map((b) => parseInt(b, 16)));
  const line = disassembleAt(bytes, 0, bytes.length, address, bits);
  assertEquals(line.length, line.text.startsWith(".byte") ? 1 : bytes.length, hex);
  return line.text;
}

// Left: bytes; right: what QEMU 7.2's `x /i` printed for them.
Deno.test("text as QEMU's monitor prints it", () => {
  assertEquals(text("ea5be000f0", 16), "ljmpw    $0xf000:$0xe05b");
  assertEquals(text("fa", 16), "cli      ");
  assertEquals(text("00543340", 64), "addb     %dl, 0x40(%rbx, %rsi)");
  assertEquals(text("4881c55f6837e8", 64), "addq     $-0x17c897a1, %rbp");
  assertEquals(text("050a3982fe", 64), "addl     $0xfe82390a, %eax");
  assertEquals(text("83f597", 16), "xorw     $0xff97, %bp");
  assertEquals(text("f06683324f", 32), "lock xorw $0x4f, (%edx)");
  assertEquals(text("f3a5", 32), "rep movsl (%esi), %es:(%edi)");
  assertEquals(
    text("6448f70cd5803749d1805b85b3", 64),
    "testq    $-0x4c7aa480, " +
      "%fs:-0x2eb6c880(, %rdx, 8)",
  );
  assertEquals(text("7010", 32, 0xf09edn), "jo       0xf09ff");
  assertEquals(text("7010", 16, 0xf09edn), "jo       0x9ff");
  assertEquals(text("0fb6d2", 32), "movzbl   %dl, %edx");
  assertEquals(text("98", 64), "cwtl     ");
  assertEquals(text("db6c3340", 64), "fldt     0x40(%rbx, %rsi)");
  assertEquals(text("f2480f2ad2", 64), "cvtsi2sdq %rdx, %xmm2");
  assertEquals(text("0f0a", 32), ".byte    0x0f");
  assertEquals(text("662e0f1f840000000000", 64), "nopw     %cs:(%rax, %rax)");
  assertEquals(text("3e488b5618", 64), "movq     %ds:0x18(%rsi), %rdx");
  assertEquals(text("62f37d201f0700", 64), "vpcmpeqd (%rdi), %ymm16, %k0");
  assertEquals(text("629325003eee01", 64), "vpcmpltub %xmm30, %xmm27, %k5");
  assertEquals(text("ea000000000000", 32), "ljmpl    $0x0:$0x0");
  assertEquals(text("f2e96f4c451c", 32), "bnd jmp  0x1c455c75");
});

Deno.test("listing lines as `x /i` lays them out", () => {
  const bytes = new Uint8Array([0x48, 0x69, 0x54, 0x33, 0x40, 0x11, 0, 0, 0, 0xfa]);
  const first = disassembleAt(bytes, 0, bytes.length, 0xf028en, 64);
  assertEquals(listingLines(first, bytes, 0), [
    "0x000f028e:  48 69 54 33 40 11 00 00  imulq    $0x11, 0x40(%rbx, %rsi), %rdx",
    "0x000f0296:  00",
  ]);
  const second = disassembleAt(bytes, 9, 1, 0xffffffff81000000n, 64);
  assertEquals(listingLines(second, bytes, 9), [
    "0xffffffff81000000:  fa                       cli      ",
  ]);
});

/** Encodings for which Capstone prints something else than what a processor executes. */
function capstoneDiffers(row: TableRow, form: RowForm, bits: Bits): boolean {
  // Wrong names, vector indices, registers and lengths; LLVM's text is the measure there.
  if (row.family === "avx512") return true;
  const names = "UD0 UD1 RDPID BSWAP LGS SLDT LAR ENDBR32".split(" ");
  if (names.includes(row.name) || row.mnemonic === "FSTPNCE") return true;
  if (row.name === "NOP" && row.operandSpecs.length > 0) return true;
  // Prefixes in 16-bit code, and the 66h of extensions and of byte immediates.
  if (bits === 16 && (row.prefix > Mandatory.None || ["CBW", "CWD", "XCHG"].includes(row.name))) {
    return true;
  }
  if (bits === 16 && row.name === "JMP_NEAR_REL" && form.opSize === 32) return true;
  const odd = "PUSH MOVZX MOVSX MOVSXD Jcc XBEGIN CVTSD2SI CVTSI2SS CVTSI2SD".split(" ");
  return odd.includes(row.name) && (form.opSize === 16 || row.name.startsWith("CVT"));
}

// A 64 KiB BIOS image: `f000:e000` switches to the wanted mode and halts; 16 = stay in real mode.
const modeSwitch: Record<Bits, string> = {
  16: "f4ebfd",
  32: "8cc88ed80f011600f00f20c00c010f22c066ea19e00f000800f4ebfd",
  64: "8cc88ed80f011600f00f20c00c010f22c066ea19e00f000800" + "90909090" +
    "66b81000" + "8ed88ec08ed0bf0010000031c0b9000c0000fcf3abc7050010000003200000" +
    "c7050020000083000000b8200000000f22e0b8001000000f22d8b9800000c00f320d000100000f30" +
    "0f20c00d000000800f22c0",
};

/** Lines of `x /i` by address, or undefined when QEMU is not there. */
async function qemuText(code: Uint8Array, bits: Bits): Promise<Map<number, string> | undefined> {
  const rom = new Uint8Array(0x10000).fill(0x90);
  rom.set(code.subarray(0, 0xe000));
  const put = (at: number, hex: string) =>
    rom.set(hex.match(/../g)!.map((b) => parseInt(b, 16)), at);
  const start = modeSwitch[bits];
  put(0xe000, start);
  if (bits === 64) {
    const far = 0xe000 + start.length / 2;
    const target = (0xf0000 + far + 7).toString(16).padStart(8, "0");
    put(far, `ea${target.match(/../g)!.reverse().join("")}1800` + "f4ebfd");
  }
  // GDTR image, then: null, 32-bit code, data, 64-bit code.
  put(0xf000, "1f0010f00f00");
  put(0xf010, "0000000000000000ffff0000009bcf00ffff00000093cf00ffff0000009baf00");
  put(0xfff0, "ea00e000f0");
  const file = await Deno.makeTempFile();
  await Deno.writeFile(file, rom);
  try {
    const child = new Deno.Command("qemu-system-x86_64", {
      args: ["-nodefaults", "-display", "none", "-m", "8", "-bios", file, "-monitor", "stdio"],
      stdin: "piped",
      stdout: "piped",
      stderr: "null",
    }).spawn();
    const writer = child.stdin.getWriter();
    const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
    let output = "";
    // The banner and every answer end with a prompt.
    const answer = async () => {
      output = "";
      while (!/\n\(qemu\) $/.test(output)) {
        const { value, done } = await reader.read();
        if (done) break;
        output += value;
      }
      return output;
    };
    const command = async (line: string) => {
      await writer.write(new TextEncoder().encode(`${line}\n`));
      return await answer();
    };
    await answer();
    while (!(await command("info registers")).includes("HLT=1"));
    const listing = await command(`x /${code.length}i 0xf0000`);
    await writer.write(new TextEncoder().encode("quit\n"));
    await writer.close();
    await reader.cancel();
    await child.status;
    const lines = new Map<number, string>();
    for (const line of listing.split("\n")) {
      const m = /^0x([0-9a-f]+): {2}(?:[0-9a-f]{2} )+ *(\S.*?)\r?$/.exec(line);
      if (m) lines.set(parseInt(m[1], 16) - 0xf0000, m[2]);
    }
    return lines;
  } catch (e) {
    if (e instanceof Deno.errors.NotFound) return undefined;
    throw e;
  } finally {
    await Deno.remove(file);
  }
}

Deno.test("a sample of the table reads as under QEMU's monitor", async () => {
  const differences: string[] = [];
  for (const bits of [16, 32, 64] as const) {
    const rnd = random(5);
    const code: number[] = [];
    const starts: [number, number, string][] = [];
    for (const row of opcodeTable) {
      const forms = rowForms(row, bits).filter((f) => !capstoneDiffers(row, f, bits));
      if (forms.length === 0) continue;
      const bytes = encode(sample(rnd, row, forms[rnd(forms.length)], bits));
      starts.push([code.length, bytes.length, `${bits}-bit ${row.opcode} | ${row.syntax}`]);
      code.push(...bytes, ...new Array(15).fill(0x90));
    }
    const image = Uint8Array.from(code);
    const lines = await qemuText(image, bits);
    if (lines === undefined) {
      console.log("skipped: qemu-system-x86_64 is not installed");
      return;
    }
    assert(lines.size > starts.length);
    for (const [at, length, what] of starts) {
      const theirs = lines.get(at);
      // Capstone 4 does not know every extension.
      if (theirs?.startsWith(".byte")) continue;
      const line = disassembleAt(image, at, length, BigInt(0xf0000 + at), bits);
      if (line.text !== theirs) differences.push(`${what}: ${line.text}, QEMU: ${theirs}`);
    }
  }
  assertEquals(differences, []);
});
