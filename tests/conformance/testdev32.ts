/**
 * The devices that suites of this kind use, in the way that they do: pc-testdev, pci-testdev, a serial
 * port; isa-debug-exit ends every kernel of the set. Expected values: QEMU's docs/specs/pci-testdev and
 * hw/misc/pc-testdev.c; 16550 data sheet.
 */
import * as o from "../../firmware/asm/operand.ts";
import { dword } from "../../firmware/asm/operand.ts";
import { done } from "./check.ts";
import { At, type Kernel32 } from "./kernel32.ts";

const { al, ax, dx, eax, ebx, ecx, edi, esi } = o;
export const TEST_DEVICES = ["-device", "pc-testdev", "-device", "pci-testdev", "-serial", "null"];
const MEMORY = 0xff000000, COM1 = 0x3f8;
/** Offsets in pci-testdev's header. */
const HDR = { WIDTH: 1, OFFSET: 4, DATA: 8, COUNT: 12, NAME: 16 } as const;

export function testDevices(k: Kernel32): void {
  const { i, a } = k;
  const out = (port: number, value: number, size: 1 | 2 | 4 = 1) => {
    i.mov(o.edx, port);
    i.mov(eax, value);
    if (size === 1) i.out(dx, al);
    else if (size === 2) i.out(dx, ax);
    else i.out(dx, eax);
  };
  const input = (port: number, size: 1 | 2 | 4 = 1) => {
    i.mov(o.edx, port);
    i.mov(eax, 0);
    if (size === 1) i.in(al, dx);
    else if (size === 2) i.in(ax, dx);
    else i.in(eax, dx);
    k.note();
  };
  k.section("pc-testdev");
  k.check("pc-testdev: a port of 1, 2 and 4 bytes", done(0x12345678, 0x5678, 0x78, 0x12), () => {
    out(0xe0, 0x12345678, 4);
    for (const [port, size] of [[0xe0, 4], [0xe0, 2], [0xe0, 1], [0xe3, 1]] as const) {
      input(port, size);
    }
  });
  k.check("pc-testdev: parts of the port", done(0x12ab5678, 0x12abcdef), () => {
    out(0xe0, 0x12345678, 4);
    out(0xe2, 0xab);
    input(0xe0, 4);
    out(0xe0, 0xcdef, 2);
    input(0xe0, 4);
  });
  k.check("pc-testdev: the port of single bytes", done(0x44330011), () => {
    // E9h is where the kernel prints.
    out(0xe0, 0, 4);
    out(0xe8, 0x11);
    out(0xea, 0x4433, 2);
    input(0xe0, 4);
  });
  k.check("pc-testdev: OUTSB and INSB", done(0x5a, 0x5a), () => {
    i.mov(o.byte(At.SCRATCH), 0x5a);
    i.mov(esi, At.SCRATCH);
    i.mov(edi, At.SCRATCH + 4);
    i.mov(o.edx, 0xe0);
    i.outsb();
    i.insb();
    i.movzx(eax, o.byte(At.SCRATCH + 4));
    k.note();
    input(0xe0);
  });
  k.check("pc-testdev: REP OUTSD and REP INSD", done(0x33333333, 0x33333333), () => {
    for (let n = 0; n < 3; n++) i.mov(dword(At.SCRATCH + 4 * n), 0x11111111 * (n + 1));
    i.mov(esi, At.SCRATCH);
    i.mov(o.edx, 0xe0);
    i.mov(ecx, 3);
    i.rep();
    i.outsd();
    i.mov(edi, At.SCRATCH + 0x100);
    i.mov(ecx, 2);
    i.rep();
    i.insd();
    for (const at of [0x100, 0x104]) {
      i.mov(eax, dword(At.SCRATCH + at));
      k.note();
    }
  });
  k.check("pc-testdev: memory", done(0x12345678, 0x34, 0x567812ff), () => {
    i.mov(ebx, MEMORY + 0x100);
    i.mov(dword(ebx), 0x12345678);
    i.mov(eax, dword(ebx));
    k.note();
    i.movzx(eax, o.byte(ebx, 2));
    k.note();
    i.mov(o.byte(ebx, -2), 0xff);
    i.mov(o.byte(ebx, -1), 0x12);
    i.mov(eax, dword(ebx, -2));
    k.note();
  });
  k.check("pc-testdev: MOVS to and from memory", done(0x5678, 0x1234), () => {
    i.mov(dword(At.SCRATCH), 0x12345678);
    i.mov(esi, At.SCRATCH);
    i.mov(edi, MEMORY + 0x200);
    i.movsd();
    i.mov(esi, MEMORY + 0x200);
    i.mov(edi, At.SCRATCH + 16);
    i.movsd();
    for (const at of [16, 18]) {
      i.movzx(eax, o.word(At.SCRATCH + at));
      k.note();
    }
  });
  k.check("pc-testdev: read-modify-write of memory", done(0x0f, 0x10, 0xf), () => {
    i.mov(ebx, MEMORY + 0x300);
    i.mov(dword(ebx), 0xff);
    i.and(dword(ebx), 0x0f);
    i.mov(eax, dword(ebx));
    k.note();
    i.inc(dword(ebx));
    i.mov(eax, dword(ebx));
    k.note();
    i.mov(eax, 0xf);
    i.xchg(dword(ebx), eax);
    i.mov(eax, dword(ebx));
    k.note();
  });

  k.section("docs/specs/pci-testdev");
  /** EDI becomes the function's configuration address. */
  const find = () => {
    const again = a.unique("again"), found = a.unique("found");
    i.mov(edi, 0x80000000);
    a.label(again);
    config(0);
    i.cmp(eax, 0x00051b36);
    i.je(found);
    i.add(edi, 0x800);
    i.cmp(edi, 0x80010000);
    i.jb(again);
    a.label(found);
  };
  const config = (register: number) => {
    i.lea(eax, o.mem(edi, register));
    i.mov(o.edx, 0xcf8);
    i.out(dx, eax);
    i.mov(o.edx, 0xcfc);
    i.in(eax, dx);
  };
  const writeConfig = (register: number, value: number) => {
    i.lea(eax, o.mem(edi, register));
    i.mov(o.edx, 0xcf8);
    i.out(dx, eax);
    i.mov(o.edx, 0xcfc);
    i.mov(eax, value);
    i.out(dx, eax);
  };
  k.check("pci-testdev: it is there, with memory and ports", done(0x00051b36, 0, 1), () => {
    find();
    config(0);
    k.note();
    for (const r of [0x10, 0x14]) {
      config(r);
      i.and(eax, 1);
      k.note();
    }
  });
  k.check("pci-testdev: memory counts writes", done(1, 0xfa, 3, 0x6f696d6d), () => {
    find();
    writeConfig(4, 7);
    config(0x10);
    i.and(eax, -16);
    i.mov(ebx, eax);
    i.mov(o.byte(ebx), 0);
    i.movzx(eax, o.byte(ebx, HDR.WIDTH));
    k.note();
    i.movzx(eax, o.byte(ebx, HDR.DATA));
    k.note();
    i.mov(esi, dword(ebx, HDR.OFFSET));
    i.mov(al, o.byte(ebx, HDR.DATA));
    for (let n = 0; n < 3; n++) i.mov(o.byte(ebx, esi), al);
    i.mov(eax, dword(ebx, HDR.COUNT));
    k.note();
    i.mov(eax, dword(ebx, HDR.NAME));
    k.note();
  });
  k.check("pci-testdev: ports count writes", done(2, 0x74726f70), () => {
    find();
    writeConfig(4, 7);
    config(0x14);
    i.and(eax, 0xfffc);
    i.mov(ebx, eax);
    const at = (register: number) => i.lea(o.edx, o.mem(ebx, register));
    at(0);
    i.mov(al, 0);
    i.out(dx, al);
    at(HDR.OFFSET);
    i.in(eax, dx);
    i.mov(esi, eax);
    at(HDR.DATA);
    i.in(al, dx);
    i.lea(o.edx, o.mem(ebx, esi));
    i.out(dx, al);
    i.out(dx, al);
    at(HDR.COUNT);
    i.in(eax, dx);
    k.note();
    at(HDR.NAME);
    i.in(eax, dx);
    k.note();
  });

  k.section("16550");
  k.check(
    "a serial port: scratch, and a byte through its loop",
    done(0xa5, 0x60, 0x61, 0x42),
    () => {
      out(COM1 + 7, 0xa5);
      input(COM1 + 7);
      out(COM1 + 3, 3);
      out(COM1 + 2, 0);
      out(COM1 + 4, 0x10);
      i.mov(o.edx, COM1 + 5);
      i.in(al, dx);
      i.and(eax, 0xff);
      k.note();
      out(COM1, 0x42);
      const again = a.unique("again"), over = a.unique("over");
      i.mov(ecx, 1_000_000);
      a.label(again);
      i.mov(o.edx, COM1 + 5);
      i.in(al, dx);
      i.and(eax, 0xff);
      i.cmp(al, 0x61);
      i.je(over);
      i.dec(ecx);
      i.jnz(again);
      a.label(over);
      k.note();
      input(COM1);
      out(COM1 + 4, 0);
    },
  );
}
