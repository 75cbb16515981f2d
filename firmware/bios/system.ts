/** INT 11h, 12h and 15h. IBM PS/2 and PC BIOS Interface Technical Reference; ACPI 6 chapter 15. */
import type { FrameContext } from "./frame.ts";
import { Bda, EBDA_SEGMENT, Private, PRIVATE_BASE } from "./layout.ts";
import { mouseService } from "./mouse.ts";
import { CONFIG_TABLE_OFFSET } from "./rom.ts";
import { delay, eventWait } from "./timer.ts";

const SMAP = 0x534d4150;
const PORT_92 = 0x92, A20 = 0x02;

export function int11(c: FrameContext): void {
  c.ax = c.read16(Bda.equipment);
}

export function int12(c: FrameContext): void {
  c.ax = c.read16(Bda.memoryKiB);
}

/** Bytes of RAM between 1 MiB and 4 GiB that are contiguous from 1 MiB on and free for programs. */
function extendedMemory(c: FrameContext): number {
  const count = c.read16(PRIVATE_BASE + Private.e820Count);
  for (let n = 0; n < count; n++) {
    const at = PRIVATE_BASE + Private.e820 + 20 * n;
    if (c.read32(at) === 0x100000 && c.read32(at + 4) === 0 && c.read32(at + 16) === 1) {
      return c.read32(at + 12) ? 2 ** 32 - 0x100000 : c.read32(at + 8);
    }
  }
  return 0;
}

export function int15(c: FrameContext): void {
  const fail = (code: number) => {
    c.ah = code;
    c.setCarry(true);
  };
  switch (c.ah) {
    case 0x24:
      return a20(c);
    case 0x41: // wait for external event
    case 0x53: // APM: not present
      return fail(0x86);
    case 0x4f: // keyboard intercept: nobody wants it
      return c.setCarry(true);
    case 0x52: // media eject intercept: allowed
    case 0x80:
    case 0x81:
    case 0x82:
    case 0x85:
    case 0x90: // device busy: go on polling
    case 0x91:
      c.ah = 0;
      return c.setCarry(false);
    case 0x83:
      return eventWait(c);
    case 0x86:
      return delay(c);
    case 0x87:
      return blockMove(c);
    case 0x88:
      c.ax = Math.min(Math.floor(extendedMemory(c) / 1024), 0xfc00);
      return c.setCarry(false);
    case 0x89:
      return fail(0x86);
    case 0xc0:
      c.es = 0xf000;
      c.bx = CONFIG_TABLE_OFFSET;
      c.ah = 0;
      return c.setCarry(false);
    case 0xc1:
      c.es = EBDA_SEGMENT;
      return c.setCarry(false);
    case 0xc2:
      return mouseService(c);
    case 0xe8:
      return memoryServices(c);
    default:
      return fail(0x86);
  }
}

function a20(c: FrameContext): void {
  c.ah = 0;
  switch (c.al) {
    case 0x00:
    case 0x01:
      c.outb(PORT_92, (c.inb(PORT_92) & ~(A20 | 1)) | (c.al ? A20 : 0));
      return c.setCarry(false);
    case 0x02:
      c.al = c.inb(PORT_92) & A20 ? 1 : 0;
      return c.setCarry(false);
    case 0x03:
      c.bx = 3; // both by the keyboard controller and by port 92h
      return c.setCarry(false);
  }
  c.ah = 0x86;
  c.setCarry(true);
}

/** AH = 87h: CX words from the segment at ES:SI+10h to the one at ES:SI+18h. */
function blockMove(c: FrameContext): void {
  const gdt = c.es * 16 + c.si;
  const base = (at: number) =>
    (c.read16(at + 2) | (c.read8(at + 4) << 16) | (c.read8(at + 7) << 24)) >>> 0;
  const from = base(gdt + 0x10), to = base(gdt + 0x18);
  // The copy is one of physical memory, whatever the caller's paging: the real BIOS would have
  // gone to protected mode for it.
  const bytes = new Uint8Array(c.cx * 2);
  c.machine.mem.readBytes(from, bytes);
  c.machine.mem.writeBytes(to, bytes);
  c.ah = 0;
  c.setCarry(false);
  c.setZero(true);
}

function memoryServices(c: FrameContext): void {
  const unsupported = () => {
    c.ah = 0x86;
    c.setCarry(true);
  };
  if (c.al === 0x01 || c.al === 0x81) {
    const size = extendedMemory(c);
    const kib = Math.min(Math.floor(size / 1024), 15 * 1024);
    const blocks = Math.max(0, Math.floor((size - 15 * 1048576) / 65536));
    if (c.al === 0x01) {
      c.ax = c.cx = kib;
      c.bx = c.dx = Math.min(blocks, 0xffff);
    } else {
      c.eax = c.ecx = kib;
      c.ebx = c.edx = blocks;
    }
    return c.setCarry(false);
  }
  if (c.al !== 0x20 || c.edx !== SMAP) return unsupported();
  const count = c.read16(PRIVATE_BASE + Private.e820Count), index = c.ebx;
  if (index >= count || c.ecx < 20) return unsupported();
  const entry = new Uint8Array(20);
  c.readBytes(PRIVATE_BASE + Private.e820 + 20 * index, entry);
  c.writeBytes(c.es * 16 + c.di, entry);
  c.eax = SMAP;
  c.ecx = 20;
  c.ebx = index + 1 < count ? index + 1 : 0;
  c.setCarry(false);
}
