/** Byte for byte against NASM: the same instructions through both assemblers. */
import { assert, assertEquals, assertThrows } from "@std/assert";
import { Assembler, type Bits, type Mnemonic } from "./assembler.ts";
import * as o from "./operand.ts";
import { type Mem, mem, type Operand, type Reg, sym } from "./operand.ts";
import { table } from "./table.ts";

const haveNasm = await (async () => {
  try {
    return (await new Deno.Command("nasm", { args: ["-v"], stdout: "null" }).output()).success;
  } catch {
    return false;
  }
})();

type Line = [Mnemonic, ...Operand[]] | { label: string };

const rename: Record<string, string> = {
  jmpf: "jmp far",
  callf: "call far",
  lgdtd: "o32 lgdt",
  lidtd: "o32 lidt",
  pushw: "push word",
  pushd: "push dword",
};

function text(op: Operand): string {
  if (typeof op === "number" || typeof op === "bigint" || typeof op === "string") return String(op);
  if ("num" in op) return op.name;
  if (op.kind === "sym") return op.plus + (op.minus ? `-${op.minus}` : "") + `+${op.addend}`;
  if (op.kind === "far") {
    const size = op.size === undefined ? "" : op.size === 2 ? "word " : "dword ";
    return `${size}${text(op.seg)}:${text(op.off)}`;
  }
  const sizes: Record<number, string> = { 1: "byte ", 2: "word ", 4: "dword ", 8: "qword " };
  const size = op.size === undefined ? "" : sizes[op.size];
  const parts: string[] = [];
  if (op.base) parts.push(op.base.name);
  if (op.index) parts.push(`${op.index.name}*${op.scale}`.replace(/\*1$/, ""));
  if (typeof op.disp !== "number") parts.push(text(op.disp));
  else if (op.disp !== 0 || parts.length === 0) parts.push(String(op.disp));
  const rel = typeof op.disp !== "number" && !op.base && !op.index ? "rel " : "";
  return `${size}[${op.seg ? op.seg.name + ":" : ""}${rel}${parts.join("+")}]`;
}

async function nasm(bits: Bits, origin: number, source: string): Promise<Uint8Array> {
  const dir = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(`${dir}/a.asm`, `bits ${bits}\norg ${origin}\n${source}`);
    const r = await new Deno.Command("nasm", {
      args: ["-w-all", "-O2", "-f", "bin", "-o", `${dir}/a.bin`, `${dir}/a.asm`],
      stderr: "piped",
    }).output();
    const lines = source.split("\n");
    const errors = new TextDecoder().decode(r.stderr).trim().split("\n")
      .map((e) => `${lines[Number(e.split(":")[1]) - 3]}   ${e.replace(/^.*error: /, "")}`);
    assert(r.success, errors.join("\n"));
    return await Deno.readFile(`${dir}/a.bin`);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

/** Assembles both ways; on a difference names the first instruction that differs. */
async function compare(bits: Bits, lines: Line[], origin = 0x8000): Promise<void> {
  const a = new Assembler(bits, origin);
  const source: string[] = [];
  lines.forEach((l, n) => {
    a.label(`.l${n}`);
    if (!Array.isArray(l)) {
      a.label(l.label);
      source.push(`${l.label}:`);
    } else {
      const [name, ...ops] = l;
      a.i[name](...ops);
      source.push(`${rename[name] ?? name} ${ops.map(text).join(", ")}`);
    }
  });
  const ours = a.assemble();
  const theirs = await nasm(bits, origin, source.join("\n") + "\n");
  for (let n = 0; n < lines.length; n++) {
    const from = ours.labels.get(`.l${n}`)! - origin;
    const to = (ours.labels.get(`.l${n + 1}`) ?? origin + ours.bytes.length) - origin;
    const hex = (b: Uint8Array) => [...b].map((x) => x.toString(16).padStart(2, "0")).join(" ");
    assertEquals(
      hex(ours.bytes.subarray(from, to)),
      hex(theirs.subarray(from, to)),
      `bits ${bits}: ${source[n]}`,
    );
  }
  assertEquals(ours.bytes.length, theirs.length);
}

const byName: Record<string, Reg> = {};
for (const v of Object.values(o)) {
  if (typeof v === "object" && "num" in v) byName[v.name] = v;
}

/** Operands to try for an operand class of the table. */
function samples(cls: string, bits: Bits): Operand[] {
  const r = (names: string) => names.split(" ").map((n) => byName[n]);
  const r8 = bits === 64 ? r("al cl bh sil r9b") : r("al cl dl bh");
  const r16 = r("ax cx di");
  const r32 = bits === 64 ? r("eax edx edi r9d") : r("eax edx edi");
  const r64 = bits === 64 ? r("rax rdx rdi r13") : [];
  const m = (size: o.Size | undefined): Mem[] => {
    const list = bits === 16
      ? [mem(o.bx, o.si), mem(o.bp), mem(o.di, -3), mem(0x1234), mem(o.es, o.bp, o.di, 0x300)]
      : bits === 32
      ? [mem(o.ebx), mem(o.ebp), mem(o.esp, 8), mem(o.ecx, [o.edx, 4], 0x1000), mem(0x12345)]
      : [mem(o.rbx), mem(o.r13), mem(o.r12, -4), mem(o.rcx, [o.r10, 8], 0x1000), mem(0x12345)];
    if (bits === 16) list.push(mem(o.esi, [o.eax, 8], 4));
    if (bits === 32) list.push(mem(o.bx, o.si, 4), mem([o.ecx, 8], 5), mem(o.fs, o.eax));
    if (bits === 64) list.push(mem(o.eax, 4), mem(o.gs, o.rax));
    return list.map((x) => ({ ...x, size }));
  };
  switch (cls) {
    case "r8":
      return r8;
    case "rm8":
      return [...r8, ...m(1)];
    case "r16":
      return r16;
    case "rm16":
      return [...r16, ...m(2)];
    case "r32":
      return r32;
    case "rm32":
      return [...r32, ...m(4)];
    case "r64":
      return r64;
    case "rm64":
      return bits === 64 ? [...r64, ...m(8)] : [];
    case "rv":
      return [...r16, ...r32, ...r64];
    case "rmv":
      return [...r16, ...r32, ...r64, ...m(2), ...m(4), ...(bits === 64 ? m(8) : [])];
    case "m":
    case "m0":
      return m(undefined);
    case "m16":
      return m(2);
    case "m32":
      return m(4);
    case "m64":
      return m(8);
    case "Av":
      return [...r("ax eax"), ...(bits === 64 ? r("rax") : [])];
    case "moffs":
      return [mem(0x1234), mem(o.es, 0x88)];
    case "sreg":
      return r("es ss ds fs gs");
    case "cr":
      return r("cr0 cr2 cr3 cr4");
    case "dr":
      return r("dr0 dr6 dr7");
    case "i8":
      return [0, 5, 0x7f, 0xf0];
    case "s8":
      return [-1, 0x12];
    case "i16":
      return [0x10, 0x1234];
    case "i32":
    case "u32":
    case "s32":
      return [0x10, 0x12345678];
    case "i64":
      return [0x123456789abcdefn];
    case "iv":
      return [1, 0x1234, -2];
    case "i":
      return [0x1234];
    case "1":
      return [1];
    case "lab":
    case "far":
      return [];
  }
  return byName[cls] ? [byName[cls]] : [];
}

/** Every form of the table with every sample operand, where this code size has the form. */
function everyForm(bits: Bits): Line[] {
  const lines: Line[] = [];
  for (const name of Object.keys(table) as Mnemonic[]) {
    // NASM has no such spelling, or it is a prefix that NASM would attach to the next line.
    if (/^(lock|rep|repe|repne)$/.test(name)) continue;
    if (bits !== 64 && name === "swapgs") continue;
    for (const form of table[name]) {
      const [classes, encoding] = form.split(":");
      if (bits === 64 && encoding.includes("n64")) continue;
      if (bits !== 64 && /o64|^ ?d64 (9c|9d)/.test(encoding)) continue;
      let rows: Operand[][] = [[]];
      for (const c of classes === "" ? [] : classes.split(",")) {
        const s = samples(c, bits);
        rows = rows.flatMap((row) => s.map((x) => [...row, x]));
      }
      if (classes !== "" && rows.length === 0) continue;
      for (const row of rows) if (possible(classes, row, bits)) lines.push([name, ...row]);
    }
  }
  return lines;
}

/** Operand combinations that exist: equal sizes for `v`, no AH..BH with REX. */
function possible(classes: string, row: Operand[], bits: Bits): boolean {
  const list = classes.split(",");
  const sizes = row.filter((_, n) => /^(rv|rmv|Av)$/.test(list[n]))
    .map((x) => (x as Reg | Mem).size);
  if (new Set(sizes).size > 1) return false;
  if (list.includes("iv") && sizes.length === 0) return false;
  const rex = row.some((x) =>
    typeof x === "object" &&
    ("num" in x
      ? x.num > 7 || x.size === 8 || x.name === "sil"
      : x.kind === "mem" && ((x.base?.num ?? 0) > 7 || (x.index?.num ?? 0) > 7 || x.size === 8))
  ) || sizes[0] === 8;
  if (rex && row.some((x) => typeof x === "object" && "num" in x && x.high)) return false;
  if (bits !== 64 && rex) return false;
  return true;
}

for (const bits of [16, 32, 64] as const) {
  Deno.test({
    name: `every ${bits}-bit form encodes as NASM does`,
    ignore: !haveNasm,
    fn: async () => {
      const lines = everyForm(bits);
      assert(lines.length > 2000, `${lines.length} lines`);
      await compare(bits, lines);
    },
  });

  Deno.test({
    name: `jumps, calls and label operands in ${bits}-bit code`,
    ignore: !haveNasm,
    fn: async () => {
      const fill: Line[] = Array.from({ length: 130 }, () => ["nop"]);
      const areg = bits === 16 ? o.ax : bits === 32 ? o.eax : o.rax;
      await compare(bits, [
        { label: "start" },
        ["jmp", "start"],
        ["jnz", "near_end"],
        ["call", "far_end"],
        ["jmp", "far_end"],
        ["jc", "far_end"],
        ["loop", "start"],
        ["jecxz", "start"],
        { label: "near_end" },
        ...fill,
        ["jg", "start"],
        ["mov", o.ebx, sym("far_end", 4)],
        ["mov", mem(o.ebx, "far_end"), o.ecx],
        ["cmp", o.byte("far_end"), 7],
        ["lea", areg, mem("start")],
        ...(bits === 64 ? [] : [
          ["jmp", o.far(0xf000, "far_end")],
          ["jmp", o.far(0x08, "far_end", 4)],
          ["call", o.far(0x08, 0x1234, 2)],
          ["mov", o.word(o.ds, "far_end"), 5],
        ] as Line[]),
        { label: "far_end" },
        ["ret"],
      ]);
    },
  });
}

Deno.test("a condition, string or prefix name exists for every mnemonic the types promise", () => {
  const a = new Assembler(16);
  for (const n of ["in", "int", "jnbe", "setnle", "cmovz", "movsb", "lock", "iretd"] as const) {
    assertEquals(typeof a.i[n], "function");
  }
});

Deno.test("labels: unknown, twice, out of reach and org behind are errors", () => {
  const fails = (f: (a: Assembler) => void, words: string) => {
    const a = new Assembler(16);
    f(a);
    assertThrows(() => a.assemble(), Error, words);
  };
  fails((a) => a.i.jmp("nowhere"), "unknown label nowhere");
  fails((a) => (a.label("x"), a.label("x")), "defined twice");
  fails((a) => (a.label("x"), a.zeros(200), a.i.loop("x")), "out of range");
  fails((a) => (a.zeros(17), a.org(16)), "org 0x10 lies behind 0x11");
  fails((a) => a.i.mov(o.al, o.bx), "no 16-bit form of mov al, bx");
});

Deno.test("data, alignment, differences and shifted symbols", () => {
  const a = new Assembler(32, 0x12340);
  a.db("AB", 1, Uint8Array.of(2));
  a.label("here");
  a.dw("here", sym("end", 0, "here"), sym("here", 0, undefined, 16));
  a.align(4, 0xcc);
  a.dd(sym("here", 1));
  a.dq(-1);
  a.label("end");
  assertEquals(
    [...a.assemble().bytes],
    [
      ...[0x41, 0x42, 1, 2, 0x44, 0x23, 20, 0, 1, 0, 0xcc, 0xcc, 0x45, 0x23, 1, 0],
      ...new Array(8).fill(0xff),
    ],
  );
});
