/**
 * The BIOS ROM image: 128 KiB that end at 1 MiB (and at 4 GiB). Entry points sit where the IBM PC
 * BIOS had them, because programs jump to them; everything behind them is a trap.
 */
import { Assembler } from "../asm/assembler.ts";
import {
  ah,
  al,
  ax,
  bl,
  bx,
  cr0,
  cs,
  cx,
  ds,
  dword,
  eax,
  ebx,
  ecx,
  edx,
  es,
  far,
  fs,
  gs,
  mem,
  si,
  sp,
  ss,
  sym,
} from "../asm/operand.ts";
import {
  Bda,
  EBDA_SEGMENT,
  Fn,
  Private,
  PRIVATE_SEGMENT,
  ROM_BASE,
  ROM_SIZE,
  TABLES_END,
  TABLES_START,
} from "./layout.ts";
import { emitPciBios32 } from "./pcibios32.ts";
import { emitEntry, emitTrap } from "./stub.ts";

/** F-segment offsets of the interrupt entries, as the PC/AT's BIOS had them where it had them. */
export const entryOffsets: ReadonlyMap<number, number> = new Map([
  [0x02, 0xe2c3],
  [0x05, 0xff54],
  [0x08, 0xfea5],
  [0x09, 0xe987],
  [0x0e, 0xef57],
  [0x10, 0xf065],
  [0x11, 0xf84d],
  [0x12, 0xf841],
  [0x13, 0xe3fe],
  [0x14, 0xe739],
  [0x15, 0xf859],
  [0x16, 0xe82e],
  [0x17, 0xefd2],
  [0x19, 0xe6f2],
  [0x1a, 0xfe6e],
  [0x40, 0xec59],
]);

/** Interrupts whose entry may be anywhere. */
const freeEntries = [0x18, 0x70, 0x74, 0x75, 0x76, 0x77];

/** F000:FF53, the IRET that unused vectors point to. */
export const IRET_OFFSET = 0xff53;
/** F000:EFC7, the diskette parameter table of INT 1Eh. */
export const DISKETTE_TABLE_OFFSET = 0xefc7;
/** F000:E6F5, the configuration table of INT 15h/C0h. */
export const CONFIG_TABLE_OFFSET = 0xe6f5;
/** F000:FA6E, the 8×8 font's first 128 characters (INT 43h in graphics modes). */
export const FONT_OFFSET = 0xfa6e;

export interface BiosRom {
  readonly image: Uint8Array;
  /** Linear addresses of the labels: `entry.NN` (hex), `fn.NAME`, `mp_start`… */
  readonly labels: ReadonlyMap<string, number>;
}

export interface BiosRomOptions {
  /** The first 128 characters of an 8×8 font, 1024 bytes. */
  readonly font8x8?: Uint8Array;
}

/** Assembles the ROM. */
export function buildBios(opts: BiosRomOptions = {}): BiosRom {
  const a = new Assembler(16, ROM_BASE, 0xff), i = a.i;
  a.org(0xf0000);
  emitApStart(a);
  emitTrap(a);
  emitPost(a);
  emitProbe(a);
  emitMpStart(a);
  emitRealLimits(a);
  emitPrint(a);
  for (const n of freeEntries) {
    a.label(`entry.${n.toString(16)}`);
    emitEntry(a, n);
  }
  for (const [name, fn] of Object.entries(Fn)) {
    if (fn === Fn.post || fn >= Fn.video) continue;
    a.label(`fn.${name}`);
    emitEntry(a, fn);
  }
  a.label("entry.19.far");
  emitEntry(a, 0x19);
  emitPciBios32(a);
  emitPnp(a);
  a.org(TABLES_START);
  a.org(TABLES_END);

  const fixed: [number, () => void][] = [...entryOffsets].map(([n, at]) => [at, () => {
    a.label(`entry.${n.toString(16)}`);
    // There are only three bytes between E6F2 and the configuration table.
    if (n === 0x19) i.jmp("entry.19.far");
    else emitEntry(a, n);
  }]);
  fixed.push(
    [0xe05b, () => i.jmp("post")],
    [CONFIG_TABLE_OFFSET, () => {
      // Bytes that follow, model FCh, submodel 1, revision 0; feature bytes: second PIC, RTC,
      // INT 09h calls INT 15h/4Fh, wait for external event not supported, EBDA present.
      a.dw(8);
      a.db(0xfc, 1, 0, 0x74, 0x40, 0, 0, 0);
    }],
    [0xe729, () => a.dw(0x0417, 0x0300, 0x0180, 0x00c0, 0x0060, 0x0030, 0x0018, 0x000c)],
    [
      DISKETTE_TABLE_OFFSET,
      () => a.db(0xaf, 0x02, 0x25, 0x02, 0x12, 0x1b, 0xff, 0x6c, 0xf6, 0x0f, 0x08),
    ],
    [FONT_OFFSET, () => a.db((opts.font8x8 ?? new Uint8Array(1024)).subarray(0, 1024))],
    [IRET_OFFSET, () => i.iret()],
    [0xfff0, () => {
      i.jmp(far(0xf000, 0xe05b));
      a.db("06/06/26");
      a.db(0, 0xfc, 0);
    }],
  );
  fixed.sort((x, y) => x[0] - y[0]);
  for (const [at, emit] of fixed) {
    a.org(0xf0000 + at);
    emit();
  }
  a.org(ROM_BASE + ROM_SIZE);
  const { bytes, labels } = a.assemble();
  fixChecksum(bytes, labels.get("bios32_id")! - ROM_BASE, 16, 10);
  fixChecksum(bytes, labels.get("pnp_id")! - ROM_BASE, 0x21, 8);
  return { image: bytes, labels };
}

function fixChecksum(image: Uint8Array, at: number, length: number, where: number): void {
  image[at + where] = 0;
  image[at + where] = -image.subarray(at, at + length).reduce((a, b) => a + b, 0) & 0xff;
}

/** The Plug and Play installation structure (PnP BIOS 1.0A, 4.4), which option ROMs look for. */
function emitPnp(a: Assembler): void {
  const i = a.i;
  a.label("pnp_real");
  i.mov(ax, 0x82); // FUNCTION_NOT_SUPPORTED
  i.retf();
  a.bits(32);
  a.label("pnp_protected");
  i.mov(ax, 0x82);
  i.retf();
  a.bits(16);
  a.align(16);
  a.label("pnp_id");
  a.db("$PnP", 0x10, 0x21);
  a.dw(0); // no event notification
  a.db(0);
  a.dd(0);
  a.dw("pnp_real", 0xf000);
  a.dw("pnp_protected");
  a.dd(0xf0000, 0); // base of the protected-mode code; OEM identifier
  a.dw(0xf000); // real-mode data segment
  a.dd(0xf0000);
}

/**
 * Called far by POST with a selector in BX: data segments get its limit, and stay real-mode segments.
 * Selector 8 gives "big real mode" (4 GiB), which option ROMs may rely on while they initialise (PCI
 * Firmware Specification 3.0, 5.2.1.8); selector 16 gives the limit of 64 KiB back.
 */
function emitRealLimits(a: Assembler): void {
  const i = a.i;
  a.label("real_limits");
  for (const s of [ds, es, fs, gs]) i.push(s);
  i.lgdt(mem(cs, sym("gdt_pointer")));
  i.mov(eax, cr0);
  i.or(al, 1);
  i.mov(cr0, eax);
  i.jmp("limits_protected");
  a.label("limits_protected");
  for (const s of [ds, es, fs, gs]) i.mov(s, bx);
  i.and(al, 0xfe);
  i.mov(cr0, eax);
  i.jmp("limits_real");
  a.label("limits_real");
  for (const s of [gs, fs, es, ds]) i.pop(s);
  i.retf();
}

/** Called far by POST: prints the zero-terminated text at DS:SI through INT 10h. */
function emitPrint(a: Assembler): void {
  const i = a.i;
  a.label("print");
  i.lodsb();
  i.test(al, al);
  i.jz("print_done");
  i.mov(ah, 0x0e);
  i.mov(bx, 7);
  i.push(si);
  i.push(ds);
  i.int(0x10);
  i.pop(ds);
  i.pop(si);
  i.cld();
  i.jmp("print");
  a.label("print_done");
  i.retf();
}

/**
 * Called far by POST: CPUID 1 (EAX, EBX, ECX, EDX) and the physical address bits go to the private
 * segment; all zero on a CPU without CPUID.
 */
function emitProbe(a: Assembler): void {
  const i = a.i;
  a.label("cpu_probe");
  i.push(ds);
  i.mov(ax, PRIVATE_SEGMENT);
  i.mov(ds, ax);
  i.pushfd();
  i.pop(eax);
  i.mov(ecx, eax);
  i.xor(eax, 0x200000); // EFLAGS.ID
  i.push(eax);
  i.popfd();
  i.pushfd();
  i.pop(eax);
  i.push(ecx);
  i.popfd();
  i.xor(eax, ecx);
  i.test(eax, 0x200000);
  i.jz("probe_done");
  i.mov(eax, 1);
  i.cpuid();
  i.mov(mem(Private.cpuid), eax);
  i.mov(mem(Private.cpuid + 4), ebx);
  i.mov(mem(Private.cpuid + 8), ecx);
  i.mov(mem(Private.cpuid + 12), edx);
  i.mov(eax, 0x80000000);
  i.cpuid();
  i.cmp(eax, 0x80000008);
  i.jb("probe_done");
  i.mov(eax, 0x80000008);
  i.cpuid();
  i.mov(mem(Private.physicalBits), al);
  a.label("probe_done");
  i.pop(ds);
  i.retf();
}

/**
 * Power-on and reset. A non-zero shutdown code in CMOS 0Fh means that a program has reset the CPU to
 * leave protected mode: 5 and 0Ah go on at 40:67 without touching memory.
 */
function emitPost(a: Assembler): void {
  const i = a.i;
  a.label("post");
  i.cli();
  i.cld();
  i.mov(al, 0x8f);
  i.out(0x70, al);
  i.in(al, 0x71);
  i.mov(bx, ax);
  i.mov(al, 0x8f);
  i.out(0x70, al);
  i.mov(al, 0);
  i.out(0x71, al);
  i.xor(ax, ax);
  i.mov(ds, ax);
  i.cmp(bl, 0x05);
  i.jz("resume_eoi");
  i.cmp(bl, 0x0a);
  i.jz("resume");
  i.xor(ax, ax);
  i.mov(ss, ax);
  i.mov(sp, 0x7000);
  // Waking from S3, memory belongs to the operating system: the stack is in the EBDA.
  i.cmp(bl, 0xfe);
  i.jnz("post_stack");
  i.mov(ax, EBDA_SEGMENT);
  i.mov(ss, ax);
  i.mov(sp, 0x3f0);
  a.label("post_stack");
  i.pushf();
  i.push(cs);
  i.push(sym("post_returned"));
  emitEntry(a, Fn.post);
  a.label("post_returned");
  i.cli();
  i.hlt();
  i.jmp("post_returned");
  a.label("resume_eoi");
  i.mov(al, 0x20);
  i.out(0xa0, al);
  i.out(0x20, al);
  a.label("resume");
  i.jmpf(mem(Bda.resumeVector));
}

/** Writes the MSR table; DS is the private segment. Changes EAX, ECX, EDX, SI, BX. */
function emitMsrs(a: Assembler): void {
  const i = a.i, next = a.unique("msr"), done = a.unique("msrs_done");
  i.mov(bx, mem(Private.msrCount));
  i.mov(si, Private.msrTable);
  a.label(next);
  i.test(bx, bx);
  i.jz(done);
  i.mov(ecx, mem(si));
  i.mov(eax, mem(si, 4));
  i.mov(edx, mem(si, 8));
  i.wrmsr();
  i.add(si, 12);
  i.dec(bx);
  i.jmp(next);
  a.label(done);
}

function emitCachesOn(a: Assembler): void {
  a.i.mov(eax, cr0);
  a.i.and(eax, 0x9fffffff); // CD and NW off
  a.i.mov(cr0, eax);
}

/** Where SIPI sends the application processors: F000:0000. Each reports itself and halts. */
function emitApStart(a: Assembler): void {
  const i = a.i;
  a.label("ap_start");
  i.cli();
  i.cld();
  i.mov(ax, PRIVATE_SEGMENT);
  i.mov(ds, ax);
  emitCachesOn(a);
  emitMsrs(a);
  i.lock();
  i.inc(dword(Private.apCount));
  a.label("ap_halt");
  i.cli();
  i.hlt();
  i.jmp("ap_halt");
}

/**
 * Called far by POST on the bootstrap processor: writes the MSR table, sets up the local APIC in
 * virtual wire mode (SDM volume 3, 10.5) and sends INIT and start-up IPIs to all other CPUs.
 */
function emitMpStart(a: Assembler): void {
  const i = a.i;
  a.label("mp_start");
  i.push(ds);
  i.mov(ax, PRIVATE_SEGMENT);
  i.mov(ds, ax);
  emitCachesOn(a);
  emitMsrs(a);
  i.lgdt(mem(cs, sym("gdt_pointer")));
  i.mov(eax, cr0);
  i.or(al, 1);
  i.mov(cr0, eax);
  i.jmp("mp_protected");
  a.label("mp_protected");
  i.mov(ax, 8);
  i.mov(ds, ax);
  i.mov(ebx, 0xfee00000);
  i.or(dword(ebx, 0xf0), 0x1ff); // SVR: APIC enabled, spurious vector FFh
  i.mov(dword(ebx, 0x350), 0x700); // LINT0: ExtINT
  i.mov(dword(ebx, 0x360), 0x400); // LINT1: NMI
  i.mov(dword(ebx, 0x300), 0x000c4500); // ICR: INIT to all but self
  i.mov(cx, 0x100);
  a.label("mp_delay");
  i.in(al, 0x80);
  i.loop("mp_delay");
  i.mov(dword(ebx, 0x300), 0x000c4600 | 0xf0); // ICR: start-up at F0000h
  i.mov(ax, 16);
  i.mov(ds, ax); // a real-mode limit again
  i.mov(eax, cr0);
  i.and(al, 0xfe);
  i.mov(cr0, eax);
  i.jmp("mp_real");
  a.label("mp_real");
  i.pop(ds);
  i.retf();

  a.align(8);
  a.label("gdt");
  a.dq(0);
  a.dq(0x00cf93000000ffffn);
  a.dq(0x000093000000ffffn);
  a.label("gdt_pointer");
  a.dw(23);
  a.dd(sym("gdt"));
}
