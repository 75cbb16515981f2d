/** Model-specific registers that firmware and kernels read first: values beside Debian's QEMU. */
import { assertEquals } from "../../core/std/assert.ts";
import { Assembler } from "../../firmware/asm/assembler.ts";
import {
  al,
  ax,
  byte,
  cs,
  dl,
  ds,
  dword,
  eax,
  ecx,
  edi,
  edx,
  far,
  sp,
  ss,
  sym,
  word,
} from "../../firmware/asm/operand.ts";
import { runRom } from "./rom_pair.ts";

const ROM = 0xf0000, FRAME = 0x500;

/**
 * Registers with one answer on both: where TCG answers 0 and ignores writes for what it does not know,
 * hardware's #GP is ours, and those are left out.
 */
const COMMON: readonly (readonly [name: string, index: number, written?: number])[] = [
  ["IA32_APIC_BASE", 0x1b],
  ["IA32_BIOS_SIGN_ID", 0x8b],
  ["IA32_MTRRCAP", 0xfe],
  ["IA32_SYSENTER_CS", 0x174, 0x1234],
  ["IA32_MCG_CAP", 0x179],
  ["IA32_MCG_STATUS", 0x17a],
  ["IA32_MCG_CTL", 0x17b],
  ["IA32_MISC_ENABLE", 0x1a0],
  ["IA32_MTRR_PHYSBASE0", 0x200, 0xc0000000],
  ["IA32_MTRR_PHYSMASK0", 0x201, 0x80000800],
  ["IA32_MTRR_FIX64K_00000", 0x250, 0x06060606],
  ["IA32_MTRR_FIX4K_F8000", 0x26f, 0x05050505],
  ["IA32_PAT", 0x277],
  ["IA32_MTRR_DEF_TYPE", 0x2ff, 0xc06],
  ["IA32_MC0_CTL", 0x400],
  ["IA32_MC0_STATUS", 0x401, 0],
  ["IA32_EFER", 0xc0000080],
  ["IA32_STAR", 0xc0000081, 0x55667788],
  ["IA32_LSTAR", 0xc0000082, 0x11112222],
  ["IA32_FMASK", 0xc0000084, 0x47700],
  ["IA32_FS_BASE", 0xc0000100, 0x7000],
  ["IA32_KERNEL_GS_BASE", 0xc0000102, 0x12340000],
];

const AMD: typeof COMMON = [
  ["SYSCFG", 0xc0010010],
  ["TOP_MEM2", 0xc001001d],
  ["INT_PENDING", 0xc0010055],
  ["SMM_ADDR", 0xc0010112],
  ["DE_CFG", 0xc0011029],
];

/** Prints each register before and after its write, or "#GP". */
function rom(registers: typeof COMMON): Uint8Array {
  const a = new Assembler(16, ROM), { i } = a;
  const low = (label: string) => sym(label, -ROM);
  const digits = (name: string) => {
    i.mov(ecx, 8);
    a.label(name);
    i.rol(edx, 4);
    i.mov(al, dl);
    i.and(al, 15);
    i.add(al, 0x30);
    i.cmp(al, 0x3a);
    i.jb(`${name}.decimal`);
    i.add(al, 0x27);
    a.label(`${name}.decimal`);
    i.out(0xe9, al);
    i.dec(ecx);
    i.jnz(name);
  };
  a.label("start");
  i.cli();
  i.xor(ax, ax);
  i.mov(ds, ax);
  i.mov(ss, ax);
  i.mov(sp, 0x7000);
  i.mov(word(13 * 4), low("fault"));
  i.mov(word(13 * 4 + 2), ROM >> 4);
  i.mov(edi, low("table"));
  a.label("next");
  i.mov(ecx, dword(cs, edi));
  i.rdmsr();
  i.call("show");
  i.cmp(byte(cs, edi, 8), 0);
  i.jz("behind");
  i.mov(ecx, dword(cs, edi));
  i.mov(eax, dword(cs, edi, 4));
  i.xor(edx, edx);
  i.wrmsr();
  i.mov(ecx, dword(cs, edi));
  i.rdmsr();
  i.call("show");
  a.label("behind");
  i.mov(al, 10);
  i.out(0xe9, al);
  i.add(edi, 12);
  i.cmp(edi, low("table.end"));
  i.jb("next");
  i.mov(al, 0);
  i.out(0xf4, al);
  a.label("stop");
  i.hlt();
  i.jmp("stop");
  a.label("show"); // EDX:EAX
  i.mov(dword(FRAME), eax);
  digits("high");
  i.mov(edx, dword(FRAME));
  digits("low");
  i.mov(al, 32);
  i.out(0xe9, al);
  i.ret();
  a.label("fault"); // skips the two bytes of RDMSR or WRMSR
  i.mov(al, 0x21);
  i.out(0xe9, al);
  i.xor(eax, eax);
  i.xor(edx, edx);
  a.db(0x89, 0xe5, 0x83, 0x46, 0, 2); // mov bp, sp; add word [bp], 2
  i.iret();
  a.align(4);
  a.label("table");
  for (const [, index, written] of registers) {
    a.dd(index);
    a.dd(written ?? 0);
    a.dd(written === undefined ? 0 : 1);
  }
  a.label("table.end");
  a.org(ROM + 0xfff0);
  i.jmp(far(0xf000, low("start")));
  a.org(ROM + 0x10000);
  return a.assemble().bytes;
}

Deno.test("model-specific registers answer as on QEMU", async () => {
  for (const [model, list] of [["qemu64", [...COMMON, ...AMD]], ["kvm64", COMMON]] as const) {
    const { ours, theirs } = await runRom(rom(list), "-cpu", model);
    const named = (lines: readonly string[]) => lines.map((l, n) => `${list[n][0]} ${l}`);
    assertEquals(ours.length, list.length);
    if (theirs !== undefined) assertEquals(named(ours), named(theirs), model);
  }
});
