/**
 * Machines with more RAM than 32 bits can address: a multiboot kernel lists the RAM that it is told of,
 * writes to all of it above 4 GiB in long mode, and reads it back. QEMU must tell it the same.
 */
import { assertEquals } from "@std/assert";
import { Assembler } from "../../firmware/asm/assembler.ts";
import * as o from "../../firmware/asm/operand.ts";
import {
  al,
  dl,
  dword,
  dx,
  eax,
  ebx,
  ecx,
  edi,
  edx,
  esi,
  esp,
  mem,
} from "../../firmware/asm/operand.ts";
import { qword, rax, rbx, rcx, rdi, rdx, rsi } from "../../firmware/asm/operand.ts";

const MAGIC = 0x1badb002;
/** Memory information, load addresses in the header. */
const FLAGS = 0x10002;
const LOAD = 0x100000, STACK = 0x90000, COM1 = 0x3f8;
/** Offsets in the information structure and a map entry: Multiboot Specification 0.6.96, 3.3. */
const INFO = { mapLength: 44, map: 48 }, ENTRY = { size: 0, base: 4, length: 12, type: 20 };
const EXIT_PORT = 0xf4, EXIT_VALUE = 0x10;
/** Page tables for 16 GiB in large pages, and where the kernel keeps the map's address. */
const PML4 = 0x200000, PDPT = 0x201000, PDS = 0x202000, GIBS = 16, MAP = 0x1f0000;
/** One word of each so many bytes is tested, and all of the last part of RAM. */
const STEP = 0x40000 - 8, TAIL = 0x400000;
const PATTERN = 0x9e3779b97f4a7c15n;

function kernel(): Uint8Array {
  const a = new Assembler(32, LOAD), { i } = a;
  const say = (text: string) => {
    for (const c of text) {
      i.mov(al, c.charCodeAt(0));
      i.call("put");
    }
  };
  a.dd(MAGIC, FLAGS, (-(MAGIC + FLAGS)) >>> 0);
  a.dd(LOAD, LOAD, o.sym("end"), o.sym("end"), o.sym("start"));

  a.label("gdt");
  a.dd(0, 0, 0x0000ffff, 0x00af9b00, 0x0000ffff, 0x00cf9300);
  a.label("gdtr");
  a.dw(23);
  a.dd(o.sym("gdt"));

  a.label("start");
  i.mov(esp, STACK);
  i.mov(esi, mem(ebx, INFO.map));
  i.mov(edi, mem(ebx, INFO.mapLength));
  i.add(edi, esi);
  i.mov(dword(MAP), esi);
  i.mov(dword(MAP + 4), edi);
  a.label("entry");
  i.cmp(esi, edi);
  i.jae("tables");
  i.cmp(dword(esi, ENTRY.type), 1);
  i.jne("other");
  say("RAM");
  for (const field of [ENTRY.base, ENTRY.length]) {
    say(" ");
    for (const half of [4, 0]) {
      i.mov(edx, mem(esi, field + half));
      i.call("hex");
    }
  }
  say("\n");
  a.label("other");
  i.add(esi, mem(esi));
  i.add(esi, 4);
  i.jmp("entry");

  a.label("tables");
  i.mov(edi, PML4);
  i.xor(eax, eax);
  i.mov(ecx, 0x800);
  i.rep();
  i.stosd();
  i.mov(dword(PML4), PDPT | 3);
  for (let n = 0; n < GIBS; n++) i.mov(dword(PDPT + 8 * n), (PDS + 0x1000 * n) | 3);
  i.mov(eax, 0x83);
  i.xor(edx, edx);
  i.mov(edi, PDS);
  i.mov(ecx, GIBS * 512);
  a.label("large");
  i.mov(mem(edi), eax);
  i.mov(mem(edi, 4), edx);
  i.add(eax, 0x200000);
  i.adc(edx, 0);
  i.add(edi, 8);
  i.dec(ecx);
  i.jnz("large");
  i.lgdt(mem("gdtr"));
  i.mov(eax, 0x20);
  i.mov(o.cr4, eax);
  i.mov(eax, PML4);
  i.mov(o.cr3, eax);
  i.mov(ecx, 0xc0000080);
  i.rdmsr();
  i.or(eax, 0x100);
  i.wrmsr();
  i.mov(eax, o.cr0);
  i.or(eax, 0x80000000);
  i.mov(o.cr0, eax);
  a.db(0xea);
  a.dd(o.sym("long"));
  a.dw(8);

  a.bits(64);
  a.label("long");
  i.mov(eax, 16);
  for (const s of [o.ds, o.es, o.ss]) i.mov(s, o.ax);
  i.mov(o.r10, PATTERN);
  i.xor(o.r11, o.r11); // words tested
  i.mov(esi, dword(MAP));
  a.label("range");
  i.cmp(esi, dword(MAP + 4));
  i.jae("done");
  i.cmp(dword(rsi, ENTRY.type), 1);
  i.jne("next");
  i.cmp(dword(rsi, ENTRY.base + 4), 0);
  i.je("next");
  i.mov(rbx, qword(rsi, ENTRY.base));
  i.mov(rcx, qword(rsi, ENTRY.length));
  i.add(rcx, rbx);
  const words = (label: string, test: () => void) => {
    i.mov(rdi, rbx);
    a.label(label);
    i.mov(rax, rdi);
    i.imul(rax, o.r10);
    test();
    i.add(rdi, STEP);
    i.lea(rdx, qword(rdi, 8));
    i.cmp(rdx, rcx);
    i.jbe(label);
  };
  words("write", () => i.mov(qword(rdi), rax));
  words("read", () => {
    i.cmp(qword(rdi), rax);
    i.jne("bad");
    i.inc(o.r11);
  });
  // The end of RAM in full, and a copy of it beside it.
  i.mov(rdx, rcx);
  i.lea(rdi, qword(rdx, -TAIL));
  i.mov(rax, o.r10);
  i.mov(ecx, TAIL / 8);
  i.rep();
  i.stosq();
  i.lea(rdi, qword(rdx, -TAIL));
  i.mov(rbx, rdi);
  i.mov(ecx, TAIL / 8);
  i.repe();
  i.scasq();
  i.jne("bad");
  i.lock();
  i.inc(qword(rbx));
  i.mov(o.r8, rsi);
  i.mov(rsi, rbx);
  i.lea(rdi, qword(rbx, -TAIL));
  i.mov(ecx, TAIL);
  i.rep();
  i.movsb();
  i.mov(rsi, o.r8);
  i.sub(rbx, TAIL);
  i.mov(rdi, rbx);
  i.inc(rax);
  i.cmp(rax, qword(rbx));
  i.jne("bad");
  a.label("next");
  i.add(esi, mem(rsi));
  i.add(esi, 4);
  i.jmp("range");

  a.label("bad");
  i.mov(edx, edi);
  say("bad ");
  i.jmp("tell");
  a.label("done");
  i.mov(rdx, o.r11);
  say("words ");
  a.label("tell");
  i.call("hex");
  say("\n");
  i.mov(al, EXIT_VALUE);
  i.out(EXIT_PORT, al);
  a.label("halt");
  i.hlt();
  i.jmp("halt");

  // The same bytes in 32-bit and 64-bit code.
  a.bits(32);
  a.label("hex"); // EDX, eight digits
  i.push(ecx);
  i.mov(ecx, 8);
  a.label("digit");
  i.rol(edx, 4);
  i.mov(al, 15);
  i.and(al, dl);
  i.cmp(al, 10);
  i.jb("decimal");
  i.add(al, 39);
  a.label("decimal");
  i.add(al, 48);
  i.call("put");
  i.sub(ecx, 1);
  i.jnz("digit");
  i.pop(ecx);
  i.ret();
  a.label("put"); // AL
  i.push(edx);
  i.mov(dx, COM1);
  i.out(dx, al);
  i.pop(edx);
  i.ret();
  a.label("end");
  return a.assemble().bytes;
}

const main = decodeURIComponent(new URL("../../main.ts", import.meta.url).pathname);
const OURS = [Deno.execPath(), "run", "-A", "--quiet", "--no-check", main];
const QEMU = "qemu-system-x86_64";

/** Serial output and exit status. */
async function run(command: string[], args: string[], kernel: string): Promise<[string, number]> {
  const { stdout, code } = await new Deno.Command(command[0], {
    args: [
      ...command.slice(1),
      ...args,
      ...["-nodefaults", "-display", "none", "-serial", "stdio", "-kernel", kernel],
      ...["-device", `isa-debug-exit,iobase=${EXIT_PORT},iosize=1`],
    ],
    stdin: "null",
    stderr: "inherit",
  }).output();
  return [new TextDecoder().decode(stdout), code];
}

async function haveQemu(): Promise<boolean> {
  try {
    return (await new Deno.Command(QEMU, { args: ["-version"], stdout: "null" }).output()).success;
  } catch {
    return false;
  }
}

/** The text for a machine: RAM as QEMU 7.2 lays it, and how many words of high RAM there are. */
function told(ranges: readonly (readonly [base: number, length: number])[], high: number): string {
  const hex = (n: number) => n.toString(16).padStart(16, "0");
  const words = Math.floor((high - 8) / STEP) + 1;
  return ranges.map(([base, length]) => `RAM ${hex(base)} ${hex(length)}\n`).join("") +
    `words ${words.toString(16).padStart(8, "0")}\n`;
}

const GIB = 2 ** 30, LOWEST = [0, 0x9fc00] as const, RESERVED = 0x20000;
for (const [machine, gib, below] of [["pc", 6, 3], ["q35", 12, 2]] as const) {
  Deno.test(`${machine}: a kernel is told of ${gib} GiB and can use them`, async () => {
    const path = await Deno.makeTempFile();
    try {
      Deno.writeFileSync(path, kernel());
      const high = (gib - below) * GIB;
      const low = [0x100000, below * GIB - 0x100000 - RESERVED] as const;
      const wanted = [told([LOWEST, low, [4 * GIB, high]], high), (EXIT_VALUE << 1) | 1];
      const args = ["-M", machine, "-m", `${gib}G`];
      assertEquals(await run(OURS, args, path), wanted);
      // With TCG its pass over memory takes as long.
      if (machine === "pc" && await haveQemu()) assertEquals(await run([QEMU], args, path), wanted);
    } finally {
      await Deno.remove(path);
    }
  });
}
