/**
 * A guest for debug exceptions: 32-bit code with an IDT whose handlers print DR6, the return address
 * and the flags on port E9h. It runs on a bench, or from a ROM on QEMU.
 */
import { Assembler } from "../../firmware/asm/assembler.ts";
import {
  al,
  ax,
  byte,
  cr0,
  cs,
  dr6,
  ds,
  dword,
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
  ss,
  sym,
} from "../../firmware/asm/operand.ts";

/** Tables, then code, in one piece of memory from {@link IMAGE} to {@link IMAGE_END}. */
export const IMAGE = 0x8000, CODE = 0x10000, DATA = 0x20000, STACK = 0x7ff0;
const IDT = 0x8000, GDT = 0x9000, TSS = 0xa000, TSS2 = 0xb000, IMAGE_END = 0x10600;
const ROM = 0xf0000, ROM_IMAGE = 0xf1000;
/** Bytes that the handler prints. */
const RECORD = 12;

export type Code = (a: Assembler) => void;

export interface Hit {
  /** Label plus offset of the return address. */
  readonly at: string;
  /** DR6 without its constant bits. */
  readonly dr6: number;
  /** TF and RF of the frame. */
  readonly flags: number;
}

export interface Guest {
  readonly image: Uint8Array;
  readonly labels: ReadonlyMap<string, number>;
}

/**
 * Code that ends with 0 on port F4h and HLT. The handlers of all vectors clear DR6; with EBX not 0
 * they set RF in the frame. The task of selector 20h, with the T bit, begins at label `task`.
 */
export function buildGuest(code: Code): Guest {
  const a = new Assembler(32, CODE), { i } = a;
  const print = () => {
    for (let k = 0; k < 4; k++) {
      i.out(0xe9, al);
      i.shr(eax, 8);
    }
  };
  i.lidt(mem("idtr"));
  i.lgdt(mem("gdtr"));
  i.mov(ax, 0x18);
  i.ltr(ax);
  i.xor(ebx, ebx);
  code(a);
  i.mov(al, 0);
  i.out(0xf4, al);
  i.hlt();
  a.label("handler");
  i.push(eax);
  i.mov(eax, dr6);
  print();
  i.mov(dr6, eax);
  i.mov(eax, dword(esp, 4));
  print();
  i.mov(eax, dword(esp, 12));
  print();
  i.test(ebx, ebx);
  i.jz("plain");
  i.or(dword(esp, 12), 0x10000);
  a.label("plain");
  i.pop(eax);
  i.iretd();
  a.label("idtr");
  a.dw(0x7ff);
  a.dd(IDT);
  a.label("gdtr");
  a.dw(0x3f);
  a.dd(GDT);
  const { bytes, labels } = a.assemble();

  const ram = new Uint8Array(IMAGE_END), v = new DataView(ram.buffer);
  const pair = (at: number, lo: number, hi: number) => {
    v.setUint32(at, lo, true);
    v.setUint32(at + 4, hi, true);
  };
  ram.set(bytes, CODE);
  const handler = labels.get("handler")!;
  for (let n = 0; n < 256; n++) {
    pair(IDT + 8 * n, (8 << 16) | (handler & 0xffff), (handler & 0xffff0000) | 0xee00);
  }
  pair(GDT + 0x08, 0xffff, 0xcf9b00);
  pair(GDT + 0x10, 0xffff, 0xcf9300);
  pair(GDT + 0x18, (TSS << 16) | 0x67, 0x8900);
  pair(GDT + 0x20, (TSS2 << 16) | 0x67, 0x8900);
  for (const [at, value] of [[0x20, labels.get("task") ?? 0], [0x24, 2], [0x38, 0x7000]]) {
    v.setUint32(TSS2 + at, value, true);
  }
  for (let n = 0; n < 6; n++) v.setUint32(TSS2 + 0x48 + 4 * n, n === 1 ? 8 : 16, true);
  v.setUint16(TSS2 + 0x64, 1, true); // T
  return { image: ram.slice(IMAGE), labels };
}

/** What the handlers have printed. */
export function hitsOf(guest: Guest, printed: Uint8Array): Hit[] {
  const v = new DataView(printed.buffer, printed.byteOffset, printed.byteLength);
  const hits: Hit[] = [];
  for (let n = 0; n + RECORD <= printed.length; n += RECORD) {
    const at = v.getUint32(n + 4, true);
    let name = at.toString(16), best = -1;
    for (const [label, address] of guest.labels) {
      if (address > at || address <= best) continue;
      best = address;
      name = at > address ? `${label}+${at - address}` : label;
    }
    hits.push({
      at: name,
      dr6: v.getUint32(n, true) & 0xf00f,
      flags: v.getUint32(n + 8, true) & 0x10100,
    });
  }
  return hits;
}

/** A 64 KiB ROM that copies the guest to its place and starts it in protected mode. */
function romOf(guest: Guest): Uint8Array {
  const a = new Assembler(16, ROM), { i } = a;
  a.label("start");
  i.cli();
  i.mov(ax, IMAGE >> 4);
  i.mov(es, ax);
  i.xor(esi, esi);
  a.label("copy");
  i.mov(al, byte(cs, esi, ROM_IMAGE - ROM));
  i.mov(byte(es, esi), al);
  i.inc(esi);
  i.cmp(esi, guest.image.length);
  i.jb("copy");
  i.lgdt(mem(cs, sym("gdtr", -ROM)));
  i.mov(eax, cr0);
  i.or(eax, 1);
  i.mov(cr0, eax);
  i.jmp(far(8, "protected", 4));
  a.bits(32);
  a.label("protected");
  i.mov(ax, 16);
  for (const s of [ds, es, ss]) i.mov(s, ax);
  i.mov(esp, STACK);
  for (const r of [eax, ecx, edx, ebx, esi, edi]) i.xor(r, r);
  i.jmp(far(8, CODE));
  a.label("gdtr");
  a.dw(0x3f);
  a.dd(GDT);
  a.org(ROM_IMAGE);
  a.db(guest.image);
  a.org(ROM + 0xfff0);
  a.bits(16);
  i.jmp(far(0xf000, sym("start", -ROM)));
  a.org(ROM + 0x10000);
  return a.assemble().bytes;
}

/** What the handlers print on Debian's QEMU; undefined where that is not installed. */
export function hitsOnQemu(guest: Guest): Hit[] | undefined {
  const rom = Deno.makeTempFileSync();
  try {
    Deno.writeFileSync(rom, romOf(guest));
    const args = `10 qemu-system-x86_64 -cpu max -bios ${rom} -display none -nodefaults ` +
      "-debugcon stdio -device isa-debug-exit,iobase=0xf4";
    const { code, stdout } = new Deno.Command("timeout", { args: args.split(" "), stdin: "null" })
      .outputSync();
    return code === 127 ? undefined : hitsOf(guest, stdout);
  } finally {
    Deno.removeSync(rom);
  }
}
