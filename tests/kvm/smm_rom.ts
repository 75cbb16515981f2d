/**
 * A ROM that drives system management mode on a PC with an i440FX and a PIIX4: it relocates SMBASE into
 * SMRAM, takes SMIs by APM port B2h in real, paged and 64-bit mode, looks at the save area from inside
 * and at the registers after RSM, and prints what it has seen on port E9h. It leaves by port F4h.
 */
import { Assembler } from "../../firmware/asm/assembler.ts";
import {
  al,
  ax,
  byte,
  cr0,
  cr3,
  cr4,
  cs,
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
  r15,
  rax,
  sp,
  ss,
  sym,
} from "../../firmware/asm/operand.ts";

const LINES = 64, ROM = 0xf0000, NOTES = 0x600, PAGES = 0x10000;
const CONFIG_ADDRESS = 0xcf8, CONFIG_DATA = 0xcfc, APM_CONTROL = 0xb2;
/** Offsets from SMBASE in the 64-bit save area. */
const Save = {
  CS: 0xfe10,
  SS: 0xfe20,
  GDTR_LIMIT: 0xfe64,
  GDTR_BASE: 0xfe68,
  EFER: 0xfed0,
  REVISION: 0xfefc,
  SMBASE: 0xff00,
  CR4: 0xff48,
  CR3: 0xff50,
  CR0: 0xff58,
  DR7: 0xff60,
  DR6: 0xff68,
  R15: 0xff80,
  RAX: 0xfff8,
} as const;

/** What the handler copies out of the save area at each SMI. */
const SEEN: readonly (readonly [string, number])[] = [
  ["saved CR0", Save.CR0],
  ["saved CR3", Save.CR3],
  ["saved CR4", Save.CR4],
  ["saved EFER", Save.EFER],
  ["saved CS", Save.CS],
  ["saved SS", Save.SS],
  ["saved R15", Save.R15],
  ["saved GDT limit", Save.GDTR_LIMIT],
];

export interface SmmRom {
  readonly image: Uint8Array;
  /** What each printed line means. */
  readonly names: readonly string[];
}

export function smmRom(): SmmRom {
  const names: string[] = [];
  const a = new Assembler(16, ROM), { i } = a;
  const low = (label: string) => sym(label, -ROM);
  /** Notes EAX under a name. */
  const note = (name: string) => {
    i.mov(dword(NOTES + 4 * names.length), eax);
    names.push(name);
  };
  /** Notes a dword of the save area; CS is based at SMBASE. */
  const saved = (name: string, at: number) => {
    i.mov(eax, dword(cs, at));
    note(name);
  };
  const configure = (address: number, value: number, size: 1 | 4, offset = 0) => {
    i.mov(eax, 0x80000000 + address);
    i.mov(dx, CONFIG_ADDRESS);
    i.out(dx, eax);
    i.mov(dx, CONFIG_DATA + offset);
    i.mov(eax, value);
    i.out(dx, size === 1 ? al : eax);
  };
  /** Asks for an SMI and waits until it has been counted. */
  const request = (name: string) => {
    i.mov(edi, dword(0x5f4));
    i.out(APM_CONTROL, al);
    a.label(`wait.${name}`);
    i.cmp(edi, dword(0x5f4));
    i.jz(`wait.${name}`);
  };
  const copyRom = (label: string, end: string, segment: number, offset: number) => {
    i.mov(ax, segment);
    i.mov(es, ax);
    i.mov(esi, low(label));
    i.mov(edi, offset);
    i.mov(ecx, sym(end, 0, label));
    a.label(`copy.${label}`);
    i.mov(al, byte(cs, esi));
    i.mov(byte(es, edi), al);
    i.inc(esi);
    i.inc(edi);
    i.dec(ecx);
    i.jnz(`copy.${label}`);
  };

  a.label("start");
  i.cli();
  i.xor(ax, ax);
  i.mov(ds, ax);
  i.mov(ss, ax);
  i.mov(sp, 0x7000);
  i.xor(eax, eax);
  for (let n = 0; n < LINES; n++) i.mov(dword(NOTES + 4 * n), eax);
  copyRom("relocate", "relocate.end", 0x3800, 0);
  configure(0xb58, 0x02000000, 4); // PIIX4 PM: APMC_EN
  i.lgdt(mem(cs, low("gdtr")));

  // The first SMI is handled in ordinary RAM.
  i.mov(eax, 0x12345678);
  i.out(APM_CONTROL, al);
  a.label("relocated"); // QEMU takes the SMI some instructions later
  i.cmp(dword(0x5f0), 0);
  i.jz("relocated");
  note("RAX after RSM");
  i.mov(eax, dword(0x5f0));
  note("CS:IP is kept");

  configure(0x70, 0x4a, 1, 2); // SMRAM: open
  copyRom("handler", "handler.end", 0xa000, 0x8000);
  i.xor(eax, eax);
  i.mov(dword(es, 0x9000), eax);
  configure(0x70, 0x0a, 1, 2); // closed, usable by SMM
  i.mov(eax, dword(es, 0x8000));
  i.cmp(eax, dword(cs, low("handler")));
  i.setz(al);
  i.movzx(eax, al);
  note("SMRAM is seen from outside");

  i.mov(ebx, 3);
  a.label("three");
  request("one");
  i.dec(ebx);
  i.jnz("three");
  i.mov(eax, dword(0x5f4));
  note("SMIs counted in SMRAM");

  // Paged protected mode: PAE tables that serve long mode too.
  i.mov(ax, PAGES >> 4);
  i.mov(es, ax);
  i.xor(edi, edi);
  i.xor(eax, eax);
  i.mov(ecx, 0x3000 / 4);
  a.label("clear");
  i.mov(dword(es, edi), eax);
  i.add(edi, 4);
  i.dec(ecx);
  i.jnz("clear");
  i.mov(dword(es, 0), PAGES + 0x1000 + 7); // PML4E
  i.mov(dword(es, 0x1000), PAGES + 0x2000 + 7); // PDPTE
  i.mov(dword(es, 0x2000), 0x87); // 2 MiB at 0
  i.mov(dword(es, 0x40), PAGES + 0x2000 + 1); // the PDPTE of PAE paging, elsewhere
  i.mov(eax, PAGES + 0x40);
  i.mov(cr3, eax);
  i.mov(eax, 0x20);
  i.mov(cr4, eax);
  i.mov(eax, cr0);
  i.or(eax, 0x80000001);
  i.mov(cr0, eax);
  i.jmp(far(0x08, low("paged16")));
  a.label("paged16");
  i.jmp(far(0x10, "paged", 4));
  a.bits(32);
  a.label("paged");
  i.mov(ax, 0x18);
  for (const s of [ds, es, ss]) i.mov(s, ax);
  i.mov(esp, 0x7000);
  const after = (what: string) => {
    request(what);
    // MOV EAX, CRn: the same bytes in both modes.
    for (const n of [0, 3, 4]) {
      a.db(0x0f, 0x20, 0xc0 | (n << 3));
      note(`${what}: CR${n}`);
    }
    i.mov(ecx, 0xc0000080);
    i.rdmsr();
    note(`${what}: EFER`);
    i.mov(eax, ss);
    note(`${what}: SS`);
    for (let n = 0; n < 8; n++) {
      i.mov(eax, dword(0x500 + 4 * n));
      note(`${what}: ${SEEN[n][0]}`);
    }
  };
  after("paged");

  // Long mode.
  i.mov(eax, cr0);
  i.and(eax, 0x7fffffff);
  i.mov(cr0, eax);
  i.mov(eax, PAGES);
  i.mov(cr3, eax);
  i.mov(ecx, 0xc0000080);
  i.mov(eax, 0x100);
  i.xor(edx, edx);
  i.wrmsr();
  i.mov(eax, cr0);
  i.or(eax, 0x80000000);
  i.mov(cr0, eax);
  i.jmp(far(0x20, "long"));
  a.bits(64);
  a.label("long");
  i.mov(r15, 0x123456789abcdef0n);
  i.mov(dword(0x5f8), 1);
  after("long");
  i.mov(rax, r15);
  note("long: R15");
  i.shr(rax, 32);
  note("long: R15, high half");
  i.mov(eax, dword(0x5f4));
  note("SMIs in all");

  // Prints the notes.
  i.mov(esi, NOTES);
  i.mov(ebx, LINES);
  a.label("line");
  i.mov(edx, dword(esi));
  i.mov(ecx, 8);
  a.label("digit");
  i.rol(edx, 4);
  i.mov(eax, edx);
  i.and(al, 15);
  i.add(al, 0x30);
  i.cmp(al, 0x3a);
  i.jb("decimal");
  i.add(al, 0x27);
  a.label("decimal");
  i.out(0xe9, al);
  i.dec(ecx);
  i.jnz("digit");
  i.mov(al, 10);
  i.out(0xe9, al);
  i.add(esi, 4);
  i.dec(ebx);
  i.jnz("line");
  i.mov(al, 0);
  i.out(0xf4, al);
  a.label("stop");
  i.hlt();
  i.jmp("stop");

  a.bits(16);
  a.label("relocate");
  saved("revision", Save.REVISION);
  saved("saved RAX", Save.RAX);
  saved("saved CS and attributes", Save.CS);
  saved("saved CS limit", Save.CS + 4);
  saved("saved CS base", Save.CS + 8);
  saved("saved GDT base", Save.GDTR_BASE);
  saved("saved DR6", Save.DR6);
  saved("saved DR7", Save.DR7);
  saved("saved SMBASE", Save.SMBASE);
  i.mov(eax, cr0);
  note("CR0 in SMM");
  i.mov(ax, cs);
  i.movzx(eax, ax);
  note("CS in SMM");
  i.mov(ax, ds);
  i.movzx(eax, ax);
  note("DS in SMM");
  // The limit of data segments is 4 GiB.
  i.mov(ebx, 0x100000);
  i.mov(eax, dword(ebx));
  i.mov(eax, 0x600d);
  i.mov(dword(0x5f0), eax);
  i.mov(dword(cs, Save.RAX), 0xcafebabe);
  i.mov(dword(cs, Save.SMBASE), 0xa0000);
  i.rsm();
  a.label("relocate.end");

  a.label("handler");
  i.inc(dword(cs, 0x9000));
  i.mov(eax, dword(cs, 0x9000));
  i.mov(dword(0x5f4), eax);
  SEEN.forEach(([, at], n) => {
    i.mov(eax, dword(cs, at));
    i.mov(dword(0x500 + 4 * n), eax);
  });
  i.rsm();
  a.label("handler.end");

  a.align(8);
  a.label("gdt");
  a.dq(0n, 0x00009b0f0000ffffn, 0x00cf9b000000ffffn, 0x00cf93000000ffffn, 0x00af9b000000ffffn);
  a.label("gdtr");
  a.dw(0x27);
  a.dd("gdt");
  a.org(ROM + 0xfff0);
  i.jmp(far(0xf000, low("start")));
  a.org(ROM + 0x10000);
  return { image: a.assemble().bytes, names };
}
