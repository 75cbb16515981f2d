/**
 * Text out: to the VGA's character memory and to the first serial port. Text in: from a ring that the
 * keyboard's and the serial port's interrupts fill.
 *
 * Offers putc (AL), puts (ESI), put_decimal, put_hex, put_hex_byte (EAX), getc (AL, waits in HLT),
 * console_init. All but getc preserve every register they are not said to use.
 */
import {
  ah,
  al,
  ax,
  bl,
  byte,
  cl,
  dword,
  dx,
  eax,
  ebx,
  ecx,
  edi,
  edx,
  esi,
  mem,
} from "../asm/operand.ts";
import type { Kernel } from "./kernel.ts";

const COM1 = 0x3f8;
const VGA = 0xb8000, COLUMNS = 80, ROWS = 25;
const RING = 64;

/** Characters of set 1 make codes 00h–39h, plain and shifted; 0 where there is none. */
const PLAIN = "\0\x1b1234567890-=\b\tqwertyuiop[]\n\0asdfghjkl;'`\0\\zxcvbnm,./\0*\0 ";
const SHIFTED = '\0\x1b!@#$%^&*()_+\b\tQWERTYUIOP{}\n\0ASDFGHJKL:"~\0|ZXCVBNM<>?\0*\0 ';

export function emitConsole(k: Kernel): void {
  const { a, i } = k;

  a.label("console_init");
  // 115200 baud, 8 bits, no parity, one stop bit; receive interrupt on.
  for (const [port, value] of [[3, 0x80], [0, 1], [1, 0], [3, 3], [2, 7], [4, 0x0b], [1, 1]]) {
    i.mov(dx, COM1 + port);
    i.mov(al, value);
    i.out(dx, al);
  }
  i.mov(edi, VGA);
  i.mov(ecx, COLUMNS * ROWS);
  i.mov(eax, 0x0720);
  a.label("clear_next");
  i.mov(mem(edi), ax);
  i.add(edi, 2);
  i.loop("clear_next");
  i.mov(dword("cursor"), 0);
  i.ret();

  a.label("putc");
  i.pushad();
  i.cmp(al, 10);
  i.jnz("putc_both");
  i.mov(al, 13);
  i.call("serial_out");
  i.mov(al, 10);
  a.label("putc_both");
  i.call("serial_out");
  i.mov(ebx, mem("cursor"));
  i.cmp(al, 10);
  i.jz("putc_line");
  i.cmp(al, 13);
  i.jz("putc_return");
  i.cmp(al, 8);
  i.jz("putc_back");
  i.mov(ah, 7);
  i.mov(mem([ebx, 2], VGA), ax);
  i.inc(ebx);
  i.jmp("putc_scroll");
  a.label("putc_back");
  i.test(ebx, ebx);
  i.jz("putc_done");
  i.dec(ebx);
  i.jmp("putc_done");
  a.label("putc_line");
  i.add(ebx, COLUMNS);
  a.label("putc_return");
  i.mov(eax, ebx);
  i.xor(edx, edx);
  i.mov(ecx, COLUMNS);
  i.div(ecx);
  i.sub(ebx, edx); // column 0 of the row
  a.label("putc_scroll");
  i.cmp(ebx, COLUMNS * ROWS);
  i.jb("putc_done");
  i.mov(edi, VGA);
  i.mov(esi, VGA + 2 * COLUMNS);
  i.mov(ecx, COLUMNS * (ROWS - 1) / 2);
  i.rep();
  i.movsd();
  i.mov(eax, 0x07200720);
  i.mov(ecx, COLUMNS / 2);
  i.rep();
  i.stosd();
  i.sub(ebx, COLUMNS);
  a.label("putc_done");
  i.mov(mem("cursor"), ebx);
  // CRTC registers 0Eh and 0Fh: where the cursor blinks.
  i.mov(dx, 0x3d4);
  i.mov(al, 0x0e);
  i.out(dx, al);
  i.inc(edx);
  i.mov(eax, ebx);
  i.shr(eax, 8);
  i.out(dx, al);
  i.dec(edx);
  i.mov(al, 0x0f);
  i.out(dx, al);
  i.inc(edx);
  i.mov(eax, ebx);
  i.out(dx, al);
  i.popad();
  i.ret();

  a.label("serial_out");
  i.push(eax);
  i.mov(dx, COM1 + 5);
  i.mov(ecx, 100000);
  a.label("serial_wait");
  i.in(al, dx);
  i.test(al, 0x20);
  i.jnz("serial_ready");
  i.loop("serial_wait");
  a.label("serial_ready");
  i.pop(eax);
  i.mov(dx, COM1);
  i.out(dx, al);
  i.ret();

  a.label("puts");
  i.push(eax);
  a.label("puts_next");
  i.lodsb();
  i.test(al, al);
  i.jz("puts_done");
  i.call("putc");
  i.jmp("puts_next");
  a.label("puts_done");
  i.pop(eax);
  i.ret();

  a.label("put_decimal");
  i.pushad();
  i.xor(ecx, ecx);
  i.mov(ebx, 10);
  a.label("decimal_next");
  i.xor(edx, edx);
  i.div(ebx);
  i.push(edx);
  i.inc(ecx);
  i.test(eax, eax);
  i.jnz("decimal_next");
  a.label("decimal_out");
  i.pop(eax);
  i.add(al, 0x30);
  i.call("putc");
  i.loop("decimal_out");
  i.popad();
  i.ret();

  a.label("put_hex");
  i.pushad();
  i.mov(ecx, 8);
  a.label("hex_next");
  i.rol(eax, 4);
  i.push(eax);
  i.and(al, 15);
  i.cmp(al, 10);
  i.jb("hex_digit");
  i.add(al, 0x61 - 10 - 0x30);
  a.label("hex_digit");
  i.add(al, 0x30);
  i.call("putc");
  i.pop(eax);
  i.loop("hex_next");
  i.popad();
  i.ret();

  // IRQ 1: scan codes to characters. Only the Shift keys are remembered.
  a.label("keyboard_interrupt");
  i.pushad();
  i.in(al, 0x60);
  i.movzx(ebx, al);
  i.mov(cl, bl);
  i.and(cl, 0x7f);
  i.cmp(cl, 0x2a);
  i.jz("key_shift");
  i.cmp(cl, 0x36);
  i.jz("key_shift");
  i.test(al, 0x80);
  i.jnz("key_end");
  i.cmp(ebx, PLAIN.length);
  i.jae("key_end");
  i.mov(al, mem(ebx, "keys_plain"));
  i.cmp(byte("shift_down"), 0);
  i.jz("key_take");
  i.mov(al, mem(ebx, "keys_shifted"));
  a.label("key_take");
  i.call("ring_put");
  i.jmp("key_end");
  a.label("key_shift");
  i.not(al);
  i.and(al, 0x80);
  i.mov(mem("shift_down"), al);
  a.label("key_end");
  i.mov(al, 0x20);
  i.out(0x20, al);
  i.popad();
  i.iretd();

  // IRQ 4: everything that has arrived.
  a.label("serial_interrupt");
  i.pushad();
  a.label("serial_more");
  i.mov(dx, COM1 + 5);
  i.in(al, dx);
  i.test(al, 1);
  i.jz("key_end");
  i.mov(dx, COM1);
  i.in(al, dx);
  i.cmp(al, 13);
  i.jnz("serial_delete");
  i.mov(al, 10);
  a.label("serial_delete");
  i.cmp(al, 0x7f);
  i.jnz("serial_take");
  i.mov(al, 8);
  a.label("serial_take");
  i.call("ring_put");
  i.jmp("serial_more");

  a.label("ring_put");
  i.test(al, al);
  i.jz("ring_full");
  i.mov(ebx, mem("ring_head"));
  i.lea(ecx, mem(ebx, 1));
  i.and(ecx, RING - 1);
  i.cmp(ecx, mem("ring_tail"));
  i.jz("ring_full");
  i.mov(mem(ebx, "ring"), al);
  i.mov(mem("ring_head"), ecx);
  a.label("ring_full");
  i.ret();

  // STI takes effect after the next instruction: nothing can come between the test and HLT.
  a.label("getc");
  i.push(ebx);
  a.label("getc_wait");
  i.cli();
  i.mov(ebx, mem("ring_tail"));
  i.cmp(ebx, mem("ring_head"));
  i.jnz("getc_take");
  i.sti();
  i.hlt();
  i.jmp("getc_wait");
  a.label("getc_take");
  i.mov(al, mem(ebx, "ring"));
  i.inc(ebx);
  i.and(ebx, RING - 1);
  i.mov(mem("ring_tail"), ebx);
  i.sti();
  i.pop(ebx);
  i.ret();

  a.label("keys_plain");
  a.db(PLAIN);
  a.label("keys_shifted");
  a.db(SHIFTED);
  k.variable("cursor");
  k.variable("ring_head");
  k.variable("ring_tail");
  k.variable("shift_down");
  k.variable("ring", RING);
}
