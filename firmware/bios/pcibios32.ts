/**
 * The 32-bit entry points: the BIOS32 service directory (Phoenix, revision 0.4) and the PCI BIOS
 * (PCI BIOS Specification 2.1) for protected-mode callers. They may be called with paging on and
 * with any segment bases, so that they are code and not traps: registers and ports only.
 */
import type { Assembler } from "../asm/assembler.ts";
import {
  ah,
  al,
  ax,
  bl,
  bx,
  cl,
  cx,
  di,
  dl,
  dx,
  eax,
  ebp,
  ebx,
  ecx,
  edi,
  edx,
  esi,
  mem,
  si,
  sym,
} from "../asm/operand.ts";

/** Return codes in AH. */
export const PciStatus = {
  SUCCESSFUL: 0x00,
  FUNC_NOT_SUPPORTED: 0x81,
  BAD_VENDOR_ID: 0x83,
  DEVICE_NOT_FOUND: 0x86,
  BAD_REGISTER_NUMBER: 0x87,
} as const;

/** Emits `bios32` (the directory's entry), `pcibios32` and the `_32_` structure's label `bios32_id`. */
export function emitPciBios32(a: Assembler): void {
  const i = a.i;
  a.align(16);
  a.label("bios32_id"); // POST fills in the checksum
  a.db("_32_");
  a.dd("bios32");
  a.db(0, 1, 0, 0, 0, 0, 0, 0);

  a.bits(32);
  // EAX = service, EBX = 0: AL = 0 found, EBX = base, ECX = length, EDX = entry's offset.
  a.label("bios32");
  i.cmp(eax, 0x49435024); // "$PCI"
  i.jnz("bios32_none");
  i.test(bl, bl);
  i.jnz("bios32_bad");
  i.mov(ebx, 0xf0000);
  i.mov(ecx, 0x10000);
  i.mov(edx, sym("pcibios32", -0xf0000));
  i.mov(al, 0);
  i.retf();
  a.label("bios32_none");
  i.mov(al, 0x80);
  i.retf();
  a.label("bios32_bad");
  i.mov(al, 0x81);
  i.retf();

  // AX = B1xxh. Preserves everything that its function does not return.
  a.label("pcibios32");
  i.pushfd();
  i.cmp(al, 0x01);
  i.jz("p32_present");
  i.cmp(al, 0x02);
  i.jz("p32_find_device");
  i.cmp(al, 0x03);
  i.jz("p32_find_class");
  i.cmp(al, 0x08);
  i.jb("p32_unsupported");
  i.cmp(al, 0x0d);
  i.jbe("p32_config");
  a.label("p32_unsupported");
  i.mov(ah, PciStatus.FUNC_NOT_SUPPORTED);
  a.label("p32_error");
  i.popfd();
  i.stc();
  i.retf();
  a.label("p32_ok");
  i.mov(ah, PciStatus.SUCCESSFUL);
  i.popfd();
  i.clc();
  i.retf();

  a.label("p32_present");
  i.mov(edx, 0x20494350); // "PCI "
  i.mov(bx, 0x0210);
  i.mov(cl, 0xff); // last bus: POST patches the byte behind this label minus one
  a.label("p32_last_bus");
  i.mov(ax, 0x0001); // mechanism 1, no special cycles
  i.jmp("p32_ok");

  // CX = device, DX = vendor, SI = index. Scans all functions: BX = bus/devfn.
  a.label("p32_find_device");
  i.cmp(dx, 0xffff);
  i.jnz("p32_find_vendor_ok");
  i.mov(ah, PciStatus.BAD_VENDOR_ID);
  i.jmp("p32_error");
  a.label("p32_find_vendor_ok");
  i.push(ecx);
  i.push(edx);
  i.push(esi);
  i.push(edi);
  i.push(ebp);
  i.shl(ecx, 16);
  i.mov(cx, dx);
  i.xor(ebp, ebp); // register 0, no shift
  i.jmp("p32_scan");
  // ECX = class code, SI = index.
  a.label("p32_find_class");
  i.push(ecx);
  i.push(edx);
  i.push(esi);
  i.push(edi);
  i.push(ebp);
  i.and(ecx, 0xffffff);
  i.mov(ebp, 8);
  a.label("p32_scan");
  i.movzx(esi, si);
  i.mov(edi, 0x80000000);
  a.label("p32_scan_next");
  i.lea(eax, mem(edi, ebp));
  i.mov(dx, 0xcf8);
  i.out(dx, eax);
  i.mov(dx, 0xcfc);
  i.in(eax, dx);
  i.test(ebp, ebp);
  i.jz("p32_compare");
  i.shr(eax, 8);
  a.label("p32_compare");
  i.cmp(eax, ecx);
  i.jnz("p32_no_match");
  i.dec(esi);
  i.js("p32_found");
  a.label("p32_no_match");
  i.add(edi, 0x100);
  i.cmp(edi, 0x81000000);
  i.jb("p32_scan_next");
  i.mov(ah, PciStatus.DEVICE_NOT_FOUND);
  i.stc();
  i.jmp("p32_scan_out");
  a.label("p32_found");
  i.shr(edi, 8);
  i.mov(bx, di);
  i.mov(ah, PciStatus.SUCCESSFUL);
  i.clc();
  a.label("p32_scan_out");
  i.pop(ebp);
  i.pop(edi);
  i.pop(esi);
  i.pop(edx);
  i.pop(ecx);
  i.jc("p32_error");
  i.jmp("p32_ok");

  // 08h–0Ah read byte/word/dword, 0Bh–0Dh write; BX = bus/devfn, DI = register, (E)CX = value.
  a.label("p32_config");
  i.push(edx);
  i.push(ebx);
  i.push(eax);
  i.cmp(di, 0xff);
  i.ja("p32_bad_register");
  i.mov(ah, 0); // alignment mask: 0, 1, 3
  i.sub(al, 8);
  i.cmp(al, 3);
  i.jb("p32_size");
  i.sub(al, 3);
  a.label("p32_size");
  i.cmp(al, 1);
  i.jb("p32_aligned");
  i.mov(ah, 1);
  i.jz("p32_test");
  i.mov(ah, 3);
  a.label("p32_test");
  i.movzx(edx, di);
  i.test(ah, dl);
  i.jz("p32_aligned");
  a.label("p32_bad_register");
  i.pop(eax);
  i.pop(ebx);
  i.pop(edx);
  i.mov(ah, PciStatus.BAD_REGISTER_NUMBER);
  i.jmp("p32_error");
  a.label("p32_aligned");
  i.movzx(eax, bx);
  i.shl(eax, 8);
  i.mov(dx, di);
  i.and(dl, 0xfc);
  i.or(al, dl);
  i.or(eax, 0x80000000);
  i.mov(dx, 0xcf8);
  i.out(dx, eax);
  i.mov(dx, di);
  i.and(dx, 3);
  i.add(dx, 0xcfc);
  i.pop(eax);
  i.push(eax);
  i.cmp(al, 0x09);
  i.jb("p32_rb");
  i.jz("p32_rw");
  i.cmp(al, 0x0b);
  i.jb("p32_rd");
  i.jz("p32_wb");
  i.cmp(al, 0x0c);
  i.jz("p32_ww");
  i.mov(eax, ecx);
  i.out(dx, eax);
  i.jmp("p32_config_done");
  a.label("p32_rb");
  i.in(al, dx);
  i.mov(cl, al);
  i.jmp("p32_config_done");
  a.label("p32_rw");
  i.in(ax, dx);
  i.mov(cx, ax);
  i.jmp("p32_config_done");
  a.label("p32_rd");
  i.in(eax, dx);
  i.mov(ecx, eax);
  i.jmp("p32_config_done");
  a.label("p32_wb");
  i.mov(al, cl);
  i.out(dx, al);
  i.jmp("p32_config_done");
  a.label("p32_ww");
  i.mov(ax, cx);
  i.out(dx, ax);
  a.label("p32_config_done");
  i.pop(eax);
  i.pop(ebx);
  i.pop(edx);
  i.jmp("p32_ok");
  a.bits(16);
}
