/**
 * The CD: an ATAPI drive driven by port I/O (ATA/ATAPI-6, SFF-8020i), and just enough of ISO 9660 to
 * list the root directory and print a file.
 *
 * Offers disc_find, cmd_ls, cmd_cat (ESI: name).
 */
import {
  al,
  ax,
  byte,
  cl,
  dl,
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
import { type Kernel, Map } from "./kernel.ts";

const BLOCK = 2048;
const BSY = 0x80, DRQ = 0x08, ERR = 0x01;
/** Volume descriptor: offset of the root directory's record; record: extent, size, name length. */
const ROOT = 156, EXTENT = 2, SIZE = 10, FLAGS = 25, NAME_LENGTH = 32, NAME = 33;

export function emitDisc(k: Kernel): void {
  const { a, i } = k;
  /** DX = command block register `reg` of the drive found. */
  const register = (reg: number) => {
    i.mov(edx, mem("disc_port"));
    if (reg !== 0) i.add(edx, reg);
  };

  // Four places where a drive can be: ATAPI ones show 14h, EBh in the cylinder registers after reset.
  a.label("disc_find");
  i.mov(ebx, "disc_places");
  a.label("disc_try");
  i.mov(eax, mem(ebx));
  i.test(eax, eax);
  i.jz("disc_none");
  i.movzx(ecx, ax);
  i.mov(mem("disc_port"), ecx);
  i.shr(eax, 16);
  i.mov(mem("disc_unit"), eax);
  register(6);
  i.out(dx, al);
  register(7);
  i.mov(al, 0x08); // DEVICE RESET: only packet devices know it
  i.out(dx, al);
  i.call("disc_wait");
  register(6);
  i.mov(al, mem("disc_unit"));
  i.out(dx, al);
  register(4);
  i.in(al, dx);
  i.cmp(al, 0x14);
  i.jnz("disc_next");
  register(5);
  i.in(al, dx);
  i.cmp(al, 0xeb);
  i.jz("disc_found");
  a.label("disc_next");
  i.add(ebx, 4);
  i.jmp("disc_try");
  a.label("disc_none");
  i.mov(dword("disc_port"), 0);
  a.label("disc_found");
  i.ret();
  a.align(4);
  a.label("disc_places"); // port, device register
  for (const [port, unit] of [[0x170, 0xa0], [0x170, 0xb0], [0x1f0, 0xa0], [0x1f0, 0xb0]]) {
    a.dw(port, unit);
  }
  a.dd(0);
  k.variable("disc_port");
  k.variable("disc_unit");

  // Until BSY is clear; AL = status. Gives up in the end: a channel without drives reads as FFh.
  a.label("disc_wait");
  i.push(ecx);
  i.mov(ecx, 1000000);
  a.label("disc_wait_more");
  register(7);
  i.in(al, dx);
  i.test(al, BSY);
  i.jz("disc_wait_done");
  i.pause();
  i.dec(ecx);
  i.jnz("disc_wait_more");
  a.label("disc_wait_done");
  i.pop(ecx);
  i.ret();

  // Block EAX to EDI; CF set on an error. A disc that has just been put in fails once.
  a.label("disc_read");
  i.mov(dword("disc_tries"), 5);
  a.label("disc_again");
  i.pushad();
  i.cmp(dword("disc_port"), 0);
  i.jz("disc_failed");
  i.bswap(eax);
  i.mov(mem("disc_packet", 2), eax);
  register(6);
  i.mov(al, mem("disc_unit"));
  i.out(dx, al);
  for (const [reg, value] of [[1, 0], [4, BLOCK & 0xff], [5, BLOCK >> 8], [7, 0xa0]]) {
    register(reg);
    i.mov(al, value);
    i.out(dx, al);
  }
  i.call("disc_wait");
  i.test(al, DRQ);
  i.jz("disc_failed");
  i.push(edi);
  i.mov(esi, "disc_packet");
  i.mov(ecx, 6);
  register(0);
  i.rep();
  i.outsw();
  i.pop(edi);
  i.call("disc_wait");
  i.test(al, ERR);
  i.jnz("disc_failed");
  i.test(al, DRQ);
  i.jz("disc_failed");
  i.mov(ecx, BLOCK / 2);
  register(0);
  i.rep();
  i.insw(); // one instruction, 1024 port reads: each of them, or each batch, is a VM exit
  i.call("disc_wait");
  i.popad();
  i.clc();
  i.ret();
  a.label("disc_failed");
  i.popad();
  i.dec(dword("disc_tries"));
  i.jnz("disc_again");
  i.stc();
  i.ret();
  a.label("disc_packet"); // READ (10), one block
  a.db(0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0);
  k.variable("disc_tries");

  // The root directory (its first block) at Map.disc; EBX = its size. CF on an error.
  a.label("disc_root");
  i.mov(eax, 16);
  i.mov(edi, Map.disc);
  i.call("disc_read");
  i.jc("disc_root_end");
  i.mov(eax, mem(Map.disc + ROOT + EXTENT));
  i.mov(ebx, mem(Map.disc + ROOT + SIZE));
  i.cmp(ebx, BLOCK);
  i.jbe("disc_root_read");
  i.mov(ebx, BLOCK);
  a.label("disc_root_read");
  i.call("disc_read");
  a.label("disc_root_end");
  i.ret();

  a.label("cmd_ls");
  i.call("disc_root");
  i.jc("disc_error");
  i.mov(edi, Map.disc);
  i.add(ebx, edi);
  a.label("ls_next");
  i.cmp(edi, ebx);
  i.jae("ls_done");
  i.movzx(ecx, byte(edi));
  i.test(ecx, ecx);
  i.jz("ls_done");
  i.cmp(byte(edi, NAME), 0x20); // names 00h and 01h are the directory itself and its parent
  i.jb("ls_skip");
  k.print("  ");
  i.movzx(ecx, byte(edi, NAME_LENGTH));
  i.lea(esi, mem(edi, NAME));
  a.label("ls_name");
  i.lodsb();
  i.cmp(al, 0x3b); // the version behind the semicolon says nothing
  i.jz("ls_size");
  i.call("putc");
  i.loop("ls_name");
  a.label("ls_size");
  i.test(byte(edi, FLAGS), 2);
  i.jnz("ls_directory");
  k.print("  ");
  i.mov(eax, mem(edi, SIZE));
  k.printDecimal();
  k.print(" bytes\n");
  i.jmp("ls_skip");
  a.label("ls_directory");
  k.print("/\n");
  a.label("ls_skip");
  i.movzx(ecx, byte(edi));
  i.add(edi, ecx);
  i.jmp("ls_next");
  a.label("ls_done");
  i.ret();
  a.label("disc_error");
  k.print("The CD cannot be read.\n");
  i.ret();

  // ESI: the name wanted, ended by zero; small letters are as good as capitals.
  a.label("cmd_cat");
  i.mov(mem("cat_name"), esi);
  i.call("disc_root");
  i.jc("disc_error");
  i.mov(edi, Map.disc);
  i.add(ebx, edi);
  a.label("cat_next");
  i.cmp(edi, ebx);
  i.jae("cat_missing");
  i.movzx(ecx, byte(edi));
  i.test(ecx, ecx);
  i.jz("cat_missing");
  i.mov(esi, mem("cat_name"));
  i.xor(ecx, ecx);
  a.label("cat_compare");
  i.mov(al, mem(esi, ecx));
  i.cmp(al, 0x61);
  i.jb("cat_capital");
  i.cmp(al, 0x7a);
  i.ja("cat_capital");
  i.sub(al, 0x20);
  a.label("cat_capital");
  i.mov(dl, 0);
  i.cmp(cl, mem(edi, NAME_LENGTH));
  i.jae("cat_end_of_name");
  i.mov(dl, mem(edi, ecx, NAME));
  i.cmp(dl, 0x3b);
  i.jnz("cat_end_of_name");
  i.mov(dl, 0);
  a.label("cat_end_of_name");
  i.cmp(al, dl);
  i.jnz("cat_other");
  i.test(al, al);
  i.jz("cat_print");
  i.inc(ecx);
  i.jmp("cat_compare");
  a.label("cat_other");
  i.movzx(ecx, byte(edi));
  i.add(edi, ecx);
  i.jmp("cat_next");
  a.label("cat_missing");
  k.print("No such file. ");
  k.print("Try ls.\n");
  i.ret();

  a.label("cat_print");
  i.test(byte(edi, FLAGS), 2);
  i.jnz("cat_missing");
  i.mov(eax, mem(edi, EXTENT));
  i.mov(ebx, mem(edi, SIZE));
  a.label("cat_block");
  i.test(ebx, ebx);
  i.jz("cat_done");
  i.mov(edi, Map.disc);
  i.call("disc_read");
  i.jc("disc_error");
  i.inc(eax);
  i.mov(ecx, BLOCK);
  i.cmp(ebx, ecx);
  i.jae("cat_whole");
  i.mov(ecx, ebx);
  a.label("cat_whole");
  i.sub(ebx, ecx);
  i.mov(esi, Map.disc);
  i.push(eax);
  a.label("cat_char");
  i.lodsb();
  i.call("putc");
  i.loop("cat_char");
  i.pop(eax);
  i.jmp("cat_block");
  a.label("cat_done");
  i.ret();
  k.variable("cat_name");
}
