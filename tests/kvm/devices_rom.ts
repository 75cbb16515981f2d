/**
 * A ROM that does each kind of thing that leaves guest code, on a PC's own devices, and writes what it
 * sees to port E9h: port input and output of each size and by strings, memory-mapped registers, writes
 * to ROM, INIT and start-up IPIs to the other processors, HLT with a timer's interrupts. It ends
 * through isa-debug-exit at F4h, or in a triple fault.
 */
import { Assembler } from "../../firmware/asm/assembler.ts";
import {
  al,
  ax,
  byte,
  cr0,
  ds,
  dword,
  dx,
  eax,
  ebx,
  ecx,
  edi,
  edx,
  es,
  esi,
  esp,
  far,
  mem,
  sp,
  ss,
  sym,
  word,
} from "../../firmware/asm/operand.ts";

const BASE = 0xf0000;
const CODE = 8, DATA = 0x10, CODE16 = 0x18, DATA16 = 0x20;
const DEBUGCON = 0xe9, DEBUG_EXIT = 0xf4;
const LAPIC = 0xfee00000, IOAPIC = 0xfec00000, HPET = 0xfed00000;
/** In RAM: processors started, timer ticks, a buffer; a page for the start-up code. */
const STARTED = 0x500, TICKS = 0x504, BUFFER = 0x600, TRAMPOLINE = 0x10000;

/** The program ends with status 63h: (31h << 1) | 1. */
export const EXIT_STATUS = 0x63;

/** @param cpus processors, which must answer the start-up IPI */
export function devicesRom(cpus: number, end: "exit" | "triple-fault"): Uint8Array {
  const a = new Assembler(16, BASE), i = a.i;
  /** An offset in segment F000h. */
  const at16 = (label: string) => sym(label, -BASE);
  const put = (text: string) => {
    for (const c of text) {
      i.mov(al, c.charCodeAt(0));
      i.out(DEBUGCON, al);
    }
  };
  /** `name`, then EAX in hexadecimal. */
  const report = (name: string) => {
    i.push(eax);
    put(`${name} `);
    i.pop(eax);
    i.call("hex");
    put("\n");
  };

  a.label("start");
  i.cli();
  i.cld();
  a.db(0x2e, 0x66); // cs: o32
  a.db(0x0f, 0x01, 0x16);
  a.dw(at16("gdt_pointer")); // lgdt
  i.mov(eax, cr0);
  i.or(al, 1);
  i.mov(cr0, eax);
  i.jmp(far(CODE, "protected", 4));

  a.bits(32);
  a.label("protected");
  i.mov(eax, DATA);
  for (const s of [ds, es, ss]) i.mov(s, eax);
  i.mov(esp, 0x8000);

  // Ports: bytes to the RTC's memory, a word and a string from fw_cfg, doublewords of PCI, strings.
  i.mov(al, 0x3f);
  i.out(0x70, al);
  i.mov(al, 0x5a);
  i.out(0x71, al);
  i.xor(eax, eax);
  i.in(al, 0x71);
  report("in, out: byte");
  i.mov(dx, 0x510);
  i.xor(eax, eax);
  i.out(dx, ax);
  i.inc(edx);
  i.mov(edi, BUFFER);
  i.mov(ecx, 4);
  i.rep();
  i.insb();
  i.mov(eax, mem(BUFFER));
  report("out word, rep insb");
  i.mov(eax, 0x80000000);
  i.mov(dx, 0xcf8);
  i.out(dx, eax);
  i.mov(dx, 0xcfc);
  i.in(eax, dx);
  report("in, out: doubleword");
  i.mov(edi, BUFFER);
  i.mov(ecx, 3);
  i.rep();
  i.insd();
  i.mov(eax, mem(BUFFER + 8));
  report("rep insd");
  i.mov(eax, edi);
  report("EDI");
  i.mov(esi, "text");
  i.mov(edx, DEBUGCON);
  i.mov(ecx, sym("text_end", 0, "text"));
  i.rep();
  i.outsb();
  i.mov(eax, ecx);
  report("ECX");

  // Registers in memory.
  i.mov(eax, mem(HPET));
  report("HPET capabilities");
  i.mov(dword(HPET + 0x10), 1);
  i.xor(eax, eax);
  i.mov(eax, mem(HPET + 0x10));
  report("HPET configuration");
  i.mov(dword(HPET + 0x10), 0);
  i.mov(dword(IOAPIC), 0x12);
  i.mov(dword(IOAPIC + 0x10), 0x00010021);
  i.mov(eax, mem(IOAPIC + 0x10));
  report("IOAPIC redirection");
  i.mov(eax, mem(LAPIC + 0x30));
  i.and(eax, 0xffffff); // bit 24 depends on where the IOAPIC is
  report("LAPIC version");
  i.mov(dword(LAPIC + 0x80), 0x20);
  i.mov(eax, mem(LAPIC + 0x80));
  report("LAPIC TPR");
  i.mov(dword(LAPIC + 0x80), 0);
  i.mov(eax, mem("rom_word"));
  i.xor(mem("rom_word"), eax);
  i.mov(eax, mem("rom_word"));
  report("ROM after a write");

  // The other processors.
  i.mov(dword(STARTED), 0);
  i.mov(dword(LAPIC + 0xf0), 0x1ff);
  i.mov(dword(LAPIC + 0x350), 0x700); // LINT0: the PIC
  i.mov(esi, "trampoline");
  i.mov(edi, TRAMPOLINE);
  i.mov(ecx, sym("trampoline_end", 0, "trampoline"));
  i.rep();
  i.movsb();
  if (cpus > 1) {
    i.mov(dword(LAPIC + 0x300), 0x000c4500); // INIT to all but self
    i.mov(ecx, 100);
    a.label("pause");
    i.in(al, 0x80);
    i.dec(ecx);
    i.jnz("pause");
    i.mov(dword(LAPIC + 0x300), 0x000c4600 | (TRAMPOLINE >> 12));
    a.label("started");
    i.in(al, 0x80);
    i.cmp(dword(STARTED), cpus - 1);
    i.jne("started");
  }
  i.mov(eax, mem(STARTED));
  report("others started");
  if (end === "triple-fault") {
    i.lidt(mem("idt_empty"));
    i.ud2();
  }

  // Real mode again, for interrupts.
  i.jmp(far(CODE16, at16("leave"), 4));
  a.bits(16);
  a.label("leave");
  i.mov(ax, DATA16);
  for (const s of [ds, es, ss]) i.mov(s, ax);
  i.mov(eax, cr0);
  i.and(al, 0xfe);
  i.mov(cr0, eax);
  i.jmp(far(BASE >> 4, at16("real")));
  a.label("real");
  i.xor(ax, ax);
  for (const s of [ds, es, ss]) i.mov(s, ax);
  i.mov(sp, 0x8000);
  a.db(0x2e, 0x0f, 0x01, 0x1e); // cs: lidt
  a.dw(at16("idt_real"));
  i.mov(word(8 * 4), at16("tick"));
  i.mov(word(8 * 4 + 2), BASE >> 4);
  i.mov(word(TICKS), 0);
  const out = (port: number, value: number) => {
    i.mov(al, value);
    i.out(port, al);
  };
  for (const [port, value] of [[0x20, 0x11], [0x21, 8], [0x21, 4], [0x21, 1], [0x21, 0xfe]]) {
    out(port, value);
  }
  out(0x43, 0x34); // channel 0, mode 2
  out(0x40, 1193 & 0xff);
  out(0x40, 1193 >> 8);
  a.label("wait");
  i.sti();
  i.hlt();
  i.cli();
  i.cmp(word(TICKS), 5);
  i.jb("wait");
  out(0x21, 0xff);
  put("halted and woken\n");
  out(DEBUG_EXIT, EXIT_STATUS >> 1);
  i.cli();
  i.hlt();

  a.label("tick");
  i.push(ax);
  i.inc(word(TICKS));
  out(0x20, 0x20);
  i.pop(ax);
  i.iret();

  a.label("trampoline");
  i.xor(ax, ax);
  i.mov(ds, ax);
  i.lock();
  i.inc(word(STARTED));
  i.cli();
  i.hlt();
  a.label("trampoline_end");

  a.bits(32);
  a.label("hex"); // EAX; uses EBX, ECX
  i.mov(ebx, eax);
  i.mov(ecx, 8);
  a.label("digit");
  a.db(0xc1, 0xc3, 4); // rol ebx, 4
  i.mov(eax, ebx);
  i.and(eax, 15);
  i.mov(al, byte(eax, "digits"));
  i.out(DEBUGCON, al);
  i.dec(ecx);
  i.jnz("digit");
  i.ret();

  a.label("digits");
  a.db("0123456789abcdef");
  a.label("text");
  a.db("a string\n");
  a.label("text_end");
  a.align(8);
  a.label("rom_word");
  a.dd(0x600df00d);
  a.align(8);
  a.label("gdt");
  a.dq(0);
  a.dq(0x00cf9b000000ffffn); // code: base 0, limit 4 GiB, 32-bit
  a.dq(0x00cf93000000ffffn); // data
  a.dq(0x00009b0f0000ffffn); // code: base F0000h, limit 64 KiB, 16-bit
  a.dq(0x000093000000ffffn); // data: base 0, limit 64 KiB
  a.label("gdt_pointer");
  a.dw(0x27);
  a.dd("gdt");
  a.label("idt_real");
  a.dw(0x3ff);
  a.dd(0);
  a.label("idt_empty");
  a.dw(0);
  a.dd(0);
  a.org(BASE + 0xfff0);
  a.bits(16);
  i.jmp(far(BASE >> 4, at16("start")));
  a.org(BASE + 0x10000);
  return a.assemble().bytes;
}
