/** A sample of `deno task oracle`. */
import { assert, assertEquals } from "@std/assert";
import { opcodeTable } from "../../core/x86/table/table.ts";
import { describe, reasonOf, userRows } from "./coverage.ts";
import { compareAll, Oracle } from "./oracle.ts";
import { CODE, HLT, Native, newState, whyNoNative } from "./native.ts";
import { isIntegerRow, whyNot } from "./user_cases.ts";

const why = whyNoNative();
const skipped = why === undefined ? "" : ` (skipped: ${why})`;

Deno.test({
  name: `integer instructions match the host processor in 32-bit and 64-bit mode${skipped}`,
  ignore: why !== undefined,
  fn() {
    const results = compareAll({ rounds: 8, encodings: 1, seed: 11 });
    assertEquals(results.flatMap((r) => r.examples), []);
    const done = results.filter((r) => r.skipped === undefined);
    // Every row that is not skipped with a reason has all its forms run.
    assertEquals(done.filter((r) => r.coveredForms < r.forms).map((r) => r.row.opcode), []);
    assert(done.length > 600, `${done.length}`);
  },
});

Deno.test({
  name: `accesses under EFLAGS.AC match the host processor${skipped}`,
  ignore: why !== undefined,
  fn() {
    const rows =
      /^(ADD|XADD|CMPXCHG.*|BT|MOVBE|PUSHF?|POPA|ENTER|MOVS|CMPS|CALL_NEAR_IND|RET_FAR|LES|BOUND|IRET)$/;
    const results = compareAll({ rounds: 8, encodings: 1, seed: 3, alignment: true }, rows);
    assertEquals(results.flatMap((r) => r.examples), []);
    const faults = results.reduce((n, r) => n + r.faults, 0);
    assert(faults > 100, `${faults}`);
  },
});

Deno.test({
  name: `the host runner reports registers, flags, faults and both modes${skipped}`,
  ignore: why !== undefined,
  fn() {
    const native = new Native();
    try {
      const before = newState(), after = newState();
      const run = (bits: 32 | 64, ...code: number[]) => {
        native.code.fill(HLT, 0, 64);
        native.code.set(code);
        native.run(CODE, bits, before, after);
      };
      before.gpr[0] = 0xffffffffn;
      before.gpr[4] = 0xa000n;
      // ADD EAX, 1: CF PF AF ZF.
      run(64, 0x83, 0xc0, 1);
      assertEquals([after.gpr[0], after.flags & 0x8d5, after.rip], [0n, 0x55, BigInt(CODE + 3)]);
      // 48h is REX.W in 64-bit mode, DEC EAX in 32-bit mode.
      run(32, 0x48, 0x90);
      assertEquals(after.gpr[0], 0xfffffffen);
      // UD2; DIV by zero.
      run(32, 0x0f, 0x0b);
      assertEquals([after.vector, after.rip], [6, BigInt(CODE)]);
      run(64, 0x31, 0xc9, 0xf7, 0xf1);
      assertEquals([after.vector, after.rip], [0, BigInt(CODE + 2)]);
    } finally {
      native.close();
    }
  },
});

Deno.test({
  name: `a wrong result is found${skipped}`,
  ignore: why !== undefined,
  fn() {
    const oracle = new Oracle();
    try {
      const row = opcodeTable.find((r) => r.syntax === "ADD r/mv, rv")!;
      const run = oracle.bed.run.bind(oracle.bed);
      oracle.bed.run = (ip, bits, before, after) => {
        run(ip, bits, before, after);
        after.flags ^= 0x10;
      };
      const r = oracle.row(row, 64, { rounds: 2, encodings: 1, seed: 1 });
      assertEquals(r.differences, r.cases);
    } finally {
      oracle.close();
    }
  },
});

Deno.test("rows are left out for a reason only", () => {
  const everything = new Set(
    opcodeTable.map((r) => r.cpuid).filter((c) => c !== undefined).concat("lahf_lm"),
  );
  const left = opcodeTable.filter((r) => isIntegerRow(r) && whyNot(r, everything) !== undefined);
  for (const r of left) assert(/^(integer|system)$/.test(r.family), r.opcode);
  const plain = left.filter((r) => r.family === "integer").map((r) => r.name);
  assertEquals(
    [...new Set(plain)].sort(),
    "CPUID FWAIT INT INT1 INT3 INTO LFS POP_SREG RDRAND RDSEED XABORT XBEGIN".split(" "),
  );
});

Deno.test("the report names every user-mode row that is not compared, with a reason", () => {
  const rows = userRows(64), add = rows.find((r) => r.syntax === "ADD r/mv, rv")!;
  const lines = describe(64, new Set(rows.filter((r) => r !== add)));
  assertEquals(lines, [
    `64-bit mode: ${rows.length} user-mode rows; ${rows.length - 1} compared, 0 more within one ` +
    "unit in the last place, 1 not compared:",
    "  NOT COMPARED WITHOUT A REASON: ADD (01 /r)",
  ]);
  const have = new Set<string>();
  assertEquals(reasonOf(rows.find((r) => r.name === "SHA1MSG1")!, have), "the host lacks sha-ni");
  assert(rows.every((r) => r.privilege !== "cpl0"));
});
