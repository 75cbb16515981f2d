/**
 * The first instructions: 16-bit code, with the BIOS still there. Asks it for the memory map, then
 * leaves it for good: flat 32-bit segments, and interrupts of our own.
 */
import {
  al,
  ax,
  bp,
  cr0,
  di,
  ds,
  eax,
  ebx,
  ecx,
  edx,
  es,
  esp,
  far,
  mem,
  sp,
  ss,
} from "../asm/operand.ts";
import { type Kernel, Map } from "./kernel.ts";

/** Code and data selectors of the flat descriptor table. */
export const CODE = 0x08, DATA = 0x10;

export function emitRealMode(k: Kernel): void {
  const { a, i } = k;
  a.bits(16);
  i.cli();
  i.cld();
  i.xor(ax, ax);
  for (const s of [ds, es, ss]) i.mov(s, ax);
  i.mov(sp, Map.image);
  i.jmp(far(0, "real_start"));

  a.label("real_start");
  // INT 15h, AX=E820h: one range of memory each time, EBX says where to go on.
  i.sti();
  i.mov(di, Map.e820);
  i.xor(ebx, ebx);
  i.xor(bp, bp);
  a.label("e820_next");
  i.mov(eax, 0xe820);
  i.mov(edx, 0x534d4150);
  i.mov(ecx, 20);
  i.push(bp);
  i.int(0x15);
  i.pop(bp);
  i.jc("e820_done");
  i.inc(bp);
  i.add(di, 24);
  i.cmp(bp, 64);
  i.jae("e820_done");
  i.test(ebx, ebx);
  i.jnz("e820_next");
  a.label("e820_done");
  i.mov(mem(Map.e820Count), bp);

  i.cli();
  i.in(al, 0x92); // A20 on
  i.or(al, 2);
  i.and(al, 0xfe);
  i.out(0x92, al);
  i.lgdt(mem("gdt_pointer"));
  i.mov(eax, cr0);
  i.or(al, 1);
  i.mov(cr0, eax);
  i.jmp(far(CODE, "protected", 4));

  a.align(8);
  a.label("gdt");
  a.dq(0);
  a.dq(0x00cf9b000000ffffn); // code: base 0, limit 4 GiB, 32-bit
  a.dq(0x00cf93000000ffffn); // data
  a.label("gdt_pointer");
  a.dw(23);
  a.dd("gdt");

  a.bits(32);
  a.label("protected");
  i.mov(eax, DATA);
  for (const s of [ds, es, ss]) i.mov(s, eax);
  i.mov(esp, Map.stacks + 0x1000);
  i.jmp("kernel");
}
