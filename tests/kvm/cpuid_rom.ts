/**
 * A ROM that prints what CPUID answers: a line per (leaf, subleaf) with EAX, EBX, ECX and EDX in
 * hexadecimal, on port E9h. Run as a program, it writes what Debian's QEMU answers for each of its
 * CPU models to core/x86/cpuid/qemu_7_2.json, which the models are tested against.
 */
import { Assembler } from "../../firmware/asm/assembler.ts";
import * as o from "../../firmware/asm/operand.ts";
import { dword, far, sym } from "../../firmware/asm/operand.ts";
import { fixtureLeaves, fixtureSetups } from "../../core/x86/cpuid/fixture.ts";

const ROM = 0xf0000, RESULT = 0x500;

export function cpuidRom(leaves: readonly (readonly [leaf: number, subleaf: number])[]) {
  const a = new Assembler(16, ROM), { i } = a;
  const low = (label: string) => sym(label, -ROM);
  const { al, ax, cs, dl, ds, eax, ebx, ecx, edi, edx, sp, ss } = o;
  a.label("start");
  i.cli();
  i.xor(ax, ax);
  i.mov(ds, ax);
  i.mov(ss, ax);
  i.mov(sp, 0x7000);
  i.mov(edi, low("table"));
  a.label("next");
  i.mov(eax, dword(cs, edi));
  i.mov(ecx, dword(cs, edi, 4));
  i.cpuid();
  [eax, ebx, ecx, edx].forEach((r, n) => i.mov(dword(RESULT + 4 * n), r));
  for (let n = 0; n < 4; n++) {
    i.mov(edx, dword(RESULT + 4 * n));
    i.call("show");
  }
  i.mov(al, 10);
  i.out(0xe9, al);
  i.add(edi, 8);
  i.cmp(edi, low("table.end"));
  i.jb("next");
  i.mov(al, 0);
  i.out(0xf4, al);
  a.label("stop");
  i.hlt();
  i.jmp("stop");
  a.label("show");
  i.mov(ecx, 8);
  a.label("digit");
  i.rol(edx, 4);
  i.mov(al, dl);
  i.and(al, 15);
  i.add(al, 0x30);
  i.cmp(al, 0x3a);
  i.jb("decimal");
  i.add(al, 0x27);
  a.label("decimal");
  i.out(0xe9, al);
  i.dec(ecx);
  i.jnz("digit");
  i.mov(al, 32);
  i.out(0xe9, al);
  i.ret();
  a.align(4);
  a.label("table");
  for (const [leaf, subleaf] of leaves) {
    a.dd(leaf | 0);
    a.dd(subleaf);
  }
  a.label("table.end");
  a.org(ROM + 0xfff0);
  i.jmp(far(0xf000, low("start")));
  a.org(ROM + 0x10000);
  return a.assemble().bytes;
}

async function writeFixture(): Promise<void> {
  const dir = await Deno.makeTempDir(), rom = `${dir}/cpuid.rom`;
  await Deno.writeFile(rom, cpuidRom(fixtureLeaves));
  const answers: Record<string, string[]> = {};
  const fixed = "-accel tcg -display none -nodefaults -debugcon stdio " +
    "-device isa-debug-exit,iobase=0xf4";
  for (const { cpu, smp } of fixtureSetups()) {
    const args = ["-bios", rom, ...fixed.split(" "), "-cpu", cpu, "-smp", smp];
    const { stdout } = await new Deno.Command("qemu-system-x86_64", { args, stderr: "null" })
      .output();
    answers[`${cpu} ${smp}`] = new TextDecoder().decode(stdout).trim().split("\n")
      .map((line) => line.split(" ").map((w) => w.replace(/^0+(?=.)/, "")).join(" ").trim());
  }
  await Deno.remove(dir, { recursive: true });
  const target = new URL("../../core/x86/cpuid/qemu_7_2.json", import.meta.url);
  await Deno.writeTextFile(target, JSON.stringify(answers, undefined, 0) + "\n");
}

if (import.meta.main) await writeFixture();
