/** The prompt and its commands. Offers kernel, where the 32-bit code begins. */
import { al, ax, byte, cl, dword, dx, eax, ebx, ecx, edi, esi, mem } from "../asm/operand.ts";
import { type Kernel, Map } from "./kernel.ts";

const LINE = 72;
/** PM1a_CNT, as this machine's BIOS and ACPI tables have it: SLP_TYP 0 with SLP_EN is "off". */
const PM1A_CNT = 0x604, SLP_EN = 0x2000;

const commands: [name: string, help: string, label: string][] = [
  ["help", "this list", "cmd_help"],
  ["cpus", "the processors, their timer interrupts; sends each an interrupt", "cmd_cpus"],
  ["mem", "the memory map that the BIOS gave", "cmd_mem"],
  ["ls", "files on the CD", "cmd_ls"],
  ["cat", "prints a file: cat README.TXT", "cmd_cat"],
  ["exits", "what a VM exit is, and what it costs", "cmd_exits"],
  ["hlt", "stops this processor until a key or the serial port interrupts it", "cmd_hlt"],
  ["reboot", "resets the machine", "cmd_reboot"],
  ["poweroff", "switches it off", "cmd_poweroff"],
];

export function emitShell(k: Kernel): void {
  const { a, i } = k;

  a.label("kernel");
  i.call("console_init");
  k.print("\nqeno demo guest: a kernel made by qeno's own assembler, on a CD made in memory.\n\n");
  i.call("cpus_identify");
  i.call("interrupts_init");
  i.call("paging_init");
  i.call("paging_on");
  i.call("smp_start");
  i.call("timer_start");
  i.sti();
  k.print("Processors running: ");
  i.mov(eax, mem("cpu_count"));
  k.printDecimal();
  k.print("\n");
  i.call("paging_show");
  k.print("Port I/O: the CD drive's registers are ports. Reading a file from it:\n\n");
  i.call("disc_find");
  i.mov(esi, k.text("hello.txt"));
  i.call("cmd_cat");
  k.print("\nType help for a list of commands.\n");

  a.label("prompt");
  k.print("> ");
  i.mov(edi, "line");
  a.label("read_next");
  i.call("getc");
  i.cmp(al, 10);
  i.jz("read_done");
  i.cmp(al, 8);
  i.jz("read_back");
  i.cmp(al, 0x20);
  i.jb("read_next");
  i.mov(ecx, edi);
  i.sub(ecx, "line");
  i.cmp(ecx, LINE);
  i.jae("read_next");
  i.stosb();
  i.call("putc");
  i.jmp("read_next");
  a.label("read_back");
  i.cmp(edi, "line");
  i.jz("read_next");
  i.dec(edi);
  k.print("\b \b");
  i.jmp("read_next");
  a.label("read_done");
  i.mov(byte(edi), 0);
  k.print("\n");

  // The first word is looked up; what follows it is left in ESI.
  i.cmp(byte("line"), 0);
  i.jz("prompt");
  i.mov(ebx, "commands");
  a.label("command_next");
  i.mov(edi, mem(ebx));
  i.test(edi, edi);
  i.jz("command_unknown");
  i.mov(esi, "line");
  a.label("command_compare");
  i.lodsb();
  i.mov(cl, mem(edi));
  i.inc(edi);
  i.cmp(al, 0x20);
  i.jz("command_word");
  i.test(al, al);
  i.jnz("command_letter");
  i.dec(esi); // no argument: ESI at the final zero
  a.label("command_word");
  i.test(cl, cl);
  i.jz("command_run");
  i.jmp("command_other");
  a.label("command_letter");
  i.cmp(al, cl);
  i.jz("command_compare");
  a.label("command_other");
  i.add(ebx, 12);
  i.jmp("command_next");
  a.label("command_run");
  i.call(dword(ebx, 8));
  i.jmp("prompt");
  a.label("command_unknown");
  k.print("Unknown command. Type help.\n");
  i.jmp("prompt");

  a.label("cmd_help");
  i.mov(ebx, "commands");
  a.label("help_next");
  i.mov(esi, mem(ebx));
  i.test(esi, esi);
  i.jz("help_done");
  i.push(esi);
  k.print("  ");
  i.pop(esi);
  i.push(esi);
  i.call("puts");
  // Columns line up: names are padded to ten characters.
  i.pop(ecx);
  i.sub(ecx, esi);
  i.add(ecx, 11);
  a.label("help_pad");
  i.mov(al, 0x20);
  i.call("putc");
  i.loop("help_pad");
  i.mov(esi, mem(ebx, 4));
  i.call("puts");
  k.print("\n");
  i.add(ebx, 12);
  i.jmp("help_next");
  a.label("help_done");
  i.ret();

  a.label("cmd_mem");
  i.mov(ebx, Map.e820);
  i.mov(ecx, mem(Map.e820Count));
  i.test(ecx, ecx);
  i.jz("mem_done");
  a.label("mem_next");
  k.print("  ");
  i.mov(eax, mem(ebx, 4));
  k.printHex();
  i.mov(eax, mem(ebx));
  k.printHex();
  k.print("  ");
  i.mov(eax, mem(ebx, 8));
  i.shr(eax, 10);
  i.mov(edi, mem(ebx, 12));
  i.shl(edi, 22);
  i.or(eax, edi);
  k.printDecimal();
  k.print(" KiB ");
  i.cmp(dword(ebx, 16), 1);
  i.jnz("mem_reserved");
  k.print("RAM\n");
  i.jmp("mem_step");
  a.label("mem_reserved");
  k.print("reserved\n");
  a.label("mem_step");
  i.add(ebx, 24);
  i.dec(ecx);
  i.jnz("mem_next");
  a.label("mem_done");
  i.ret();

  a.label("cmd_hlt");
  k.print("HLT: nothing runs here until an interrupt. Press a key.\n");
  i.call("getc");
  k.print("Awake.\n");
  i.ret();

  a.label("cmd_reboot");
  k.print("Reset.\n");
  i.mov(al, 0xfe); // the keyboard controller's reset line
  i.out(0x64, al);
  i.mov(dx, 0xcf9);
  i.mov(al, 0x06);
  i.out(dx, al);
  i.jmp("stop");

  a.label("cmd_poweroff");
  k.print("Off.\n");
  i.mov(dx, PM1A_CNT);
  i.mov(eax, SLP_EN);
  i.out(dx, ax);
  i.jmp("stop");

  a.align(4);
  a.label("commands"); // name, help, code
  for (const [name, help, label] of commands) a.dd(k.text(name), k.text(help), label);
  a.dd(0);
  k.variable("line", LINE + 4);
}
