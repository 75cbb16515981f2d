/**
 * The option ROM that starts a kernel given with `-kernel`. It works under any BIOS: everything
 * comes from fw_cfg by DMA (QEMU's docs/specs/fw_cfg.rst), nothing from this BIOS's traps.
 */
import { Assembler } from "../asm/assembler.ts";
import {
  al,
  ax,
  bp,
  bx,
  cr0,
  cs,
  cx,
  di,
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
  fs,
  gs,
  mem,
  sp,
  ss,
  sym,
  word,
} from "../asm/operand.ts";

/** Selectors of fw_cfg items. */
export const Key = {
  KERNEL_ADDR: 0x07,
  KERNEL_SIZE: 0x08,
  INITRD_ADDR: 0x0a,
  INITRD_SIZE: 0x0b,
  KERNEL_ENTRY: 0x10,
  KERNEL_DATA: 0x11,
  INITRD_DATA: 0x12,
  CMDLINE_ADDR: 0x13,
  CMDLINE_SIZE: 0x14,
  CMDLINE_DATA: 0x15,
  SETUP_ADDR: 0x16,
  SETUP_SIZE: 0x17,
  SETUP_DATA: 0x18,
} as const;

const DMA_PORT = 0x514;
const SELECT_READ = 0x0a;
/** Where a ROM writes the memory map: at most 4 KiB below the information structure. */
export const MEMORY_MAP = 0x8000;
const MAP_END = 0x9000;

/** Start of the ROM: header, PnP expansion header, an init function that does nothing. */
function begin(a: Assembler, product: string): void {
  const i = a.i;
  a.db(0x55, 0xaa, 0); // size: patched
  i.mov(ax, 0x0020); // IPL device attached
  i.retf();
  a.org(0x1a);
  a.dw("pnp");
  a.align(16);
  a.label("pnp");
  a.db("$PnP", 1, 2);
  a.dw(0);
  a.db(0, 0);
  a.dd(0);
  a.dw("manufacturer", "product");
  a.db(2, 0, 0, 0x14); // class: mass storage; may be shadowed, read cacheable, IPL device
  a.dw(0, 0, "bev", 0, 0);
  a.label("manufacturer");
  a.db("qeno", 0);
  a.label("product");
  a.db(product, 0);
}

/** Pads to 512 bytes, fills in the size and the checksum. */
function finish(a: Assembler): Uint8Array {
  const code = a.assemble().bytes;
  const rom = new Uint8Array(Math.ceil((code.length + 1) / 512) * 512);
  rom.set(code);
  rom[2] = rom.length / 512;
  rom[rom.length - 1] = -rom.reduce((x, y) => x + y, 0);
  return rom;
}

/** Offsets in `struct hvm_start_info` of what the ROM fills in. */
const StartInfo = { RSDP: 32, MEMMAP: 40, MEMMAP_ENTRIES: 48 } as const;

/** Own stack at 0:7C00; a frame of 32 bytes below BP for DMA descriptors. */
function prologue(a: Assembler): void {
  const i = a.i;
  a.label("bev");
  i.cli();
  i.cld();
  i.xor(ax, ax);
  i.mov(ss, ax);
  i.mov(sp, 0x7c00);
  i.mov(bp, sp);
  i.sub(sp, 32);
  i.mov(ds, ax);
  i.mov(es, ax);
}

/**
 * `dma`: reads ECX bytes of item AX to physical EDI. `item`: the 32-bit item AX to EAX.
 * The descriptor, all big endian, is at BP−16: control, length, address.
 */
function emitDma(a: Assembler): void {
  const i = a.i;
  a.label("item");
  i.mov(edi, 0x7c00 - 20);
  i.mov(ecx, 4);
  i.call("dma");
  i.mov(eax, mem(bp, -20));
  i.ret();

  a.label("dma");
  i.shl(eax, 16);
  i.or(eax, SELECT_READ);
  i.bswap(eax);
  i.mov(mem(bp, -16), eax);
  i.mov(eax, ecx);
  i.bswap(eax);
  i.mov(mem(bp, -12), eax);
  i.mov(dword(bp, -8), 0);
  i.mov(eax, edi);
  i.bswap(eax);
  i.mov(mem(bp, -4), eax);
  i.mov(dx, DMA_PORT);
  i.xor(eax, eax);
  i.out(dx, eax);
  i.mov(dx, DMA_PORT + 4);
  i.mov(eax, 0x7c00 - 16);
  i.bswap(eax);
  i.out(dx, eax);
  a.label("dma_wait");
  i.mov(eax, mem(bp, -16));
  i.bswap(eax);
  i.and(eax, 0xfffffffe);
  i.jnz("dma_wait");
  i.ret();
}

/** Loads one blob whose address, size and data are items. */
function load(a: Assembler, address: number, size: number, data: number): void {
  const i = a.i, skip = a.unique("skip");
  i.mov(ax, size);
  i.call("item");
  i.test(eax, eax);
  i.jz(skip);
  i.push(eax);
  i.mov(ax, address);
  i.call("item");
  i.mov(edi, eax);
  i.pop(ecx);
  i.mov(ax, data);
  i.call("dma");
  a.label(skip);
}

/** Starts a Linux kernel by its 16-bit entry (Documentation/x86/boot.rst). */
export function linuxRom(): Uint8Array {
  const a = new Assembler(16), i = a.i;
  begin(a, "Linux loader");
  prologue(a);
  load(a, Key.SETUP_ADDR, Key.SETUP_SIZE, Key.SETUP_DATA);
  load(a, Key.CMDLINE_ADDR, Key.CMDLINE_SIZE, Key.CMDLINE_DATA);
  load(a, Key.KERNEL_ADDR, Key.KERNEL_SIZE, Key.KERNEL_DATA);
  load(a, Key.INITRD_ADDR, Key.INITRD_SIZE, Key.INITRD_DATA);
  i.mov(ax, Key.CMDLINE_ADDR);
  i.call("item");
  i.push(eax);
  i.mov(ax, Key.SETUP_ADDR);
  i.call("item");
  i.pop(ecx);
  i.sub(ecx, eax);
  i.sub(ecx, 16); // heap and stack end below the command line
  i.shr(eax, 4);
  for (const s of [ds, es, fs, gs, ss]) i.mov(s, ax);
  i.mov(esp, ecx);
  i.add(ax, 0x20);
  i.push(ax);
  i.push(0);
  i.retf();
  emitDma(a);
  return finish(a);
}

/** Starts a multiboot kernel: Multiboot Specification 0.6.96. */
export function multibootRom(): Uint8Array {
  const a = new Assembler(16), i = a.i;
  begin(a, "Multiboot loader");
  prologue(a);
  load(a, Key.KERNEL_ADDR, Key.KERNEL_SIZE, Key.KERNEL_DATA);
  load(a, Key.INITRD_ADDR, Key.INITRD_SIZE, Key.INITRD_DATA);
  i.mov(ax, Key.INITRD_ADDR);
  i.call("item");
  i.mov(mem(bp, -24), eax); // the information structure, below 64 KiB
  i.mov(ax, Key.KERNEL_ENTRY);
  i.call("item");
  i.mov(mem(bp, -28), eax);

  // mmap: a size word before each E820 entry.
  readMap(a, () => i.add(di, 4), () => i.mov(dword(di, -24), 20), () => i.sub(di, 4));
  i.sub(di, MEMORY_MAP);
  i.mov(bx, mem(bp, -24));
  i.movzx(eax, di);
  i.mov(mem(bx, 44), eax);
  i.mov(dword(bx, 48), MEMORY_MAP);

  // mem_lower, mem_upper in KiB; above 16 MiB in 64 KiB.
  i.int(0x12);
  i.mov(bx, mem(bp, -24));
  i.movzx(eax, ax);
  i.mov(mem(bx, 4), eax);
  i.mov(ax, 0xe801);
  i.xor(cx, cx);
  i.xor(dx, dx);
  i.int(0x15);
  i.jc("no_upper");
  i.test(cx, cx);
  i.jz("e801_in_ax");
  i.mov(ax, cx);
  i.mov(bx, dx);
  a.label("e801_in_ax");
  i.movzx(eax, ax);
  i.movzx(ebx, bx);
  i.shl(ebx, 6);
  i.add(eax, ebx);
  i.mov(bx, mem(bp, -24));
  i.mov(mem(bx, 8), eax);
  a.label("no_upper");

  i.mov(eax, 0x2badb002);
  enterProtected(a);
  emitDma(a);
  return finish(a);
}

/** Writes the E820 map at {@link MEMORY_MAP}, 24 bytes an entry: `before` and `after` each, `none` at the end. */
function readMap(a: Assembler, before: () => void, after: () => void, none: () => void): void {
  const i = a.i;
  i.mov(di, MEMORY_MAP);
  i.xor(ebx, ebx);
  a.label("map_next");
  i.mov(eax, 0xe820);
  i.mov(edx, 0x534d4150);
  i.mov(ecx, 20);
  before();
  i.push(bp);
  i.int(0x15);
  i.pop(bp);
  i.jc("map_end");
  i.add(di, 20);
  after();
  i.cmp(di, MAP_END - 24);
  i.ja("map_done");
  i.test(ebx, ebx);
  i.jnz("map_next");
  i.jmp("map_done");
  a.label("map_end");
  none();
  a.label("map_done");
}

/**
 * Goes to the entry at BP−28 in flat 32-bit segments, with EAX as it is and EBX the information
 * structure's address at BP−24.
 */
function enterProtected(a: Assembler): void {
  const i = a.i;
  // A20; then the ROM's segment makes the descriptor table's address.
  i.cli();
  i.mov(mem(bp, -32), eax);
  i.in(al, 0x92);
  i.or(al, 2);
  i.and(al, 0xfe);
  i.out(0x92, al);
  i.xor(eax, eax);
  i.mov(ax, cs);
  i.shl(eax, 4);
  i.mov(esi, eax);
  i.add(eax, sym("gdt"));
  i.mov(word(bp, -20), 23);
  i.mov(mem(bp, -18), eax);
  i.lgdt(mem(bp, -20));
  i.mov(ebx, mem(bp, -24));
  i.mov(ecx, mem(bp, -28));
  // A far pointer for the jump: the ROM may be anywhere, its linear address is known only now.
  i.add(esi, sym("protected"));
  i.mov(mem(bp, -12), esi);
  i.mov(word(bp, -8), 8);
  i.mov(eax, cr0);
  i.or(al, 1);
  i.mov(cr0, eax);
  i.jmpf(dword(bp, -12));
  a.bits(32);
  a.label("protected");
  i.mov(eax, 0x10);
  for (const s of [ds, es, fs, gs, ss]) i.mov(s, eax);
  i.mov(esp, 0x7c00);
  i.mov(eax, mem(esp, -32));
  i.jmp(ecx);
  a.bits(16);
  a.align(8);
  a.label("gdt");
  a.dq(0);
  a.dq(0x00cf9b000000ffffn);
  a.dq(0x00cf93000000ffffn);
}

/** Starts a kernel by the PVH protocol: Xen's docs/misc/pvh.pandoc. */
export function pvhRom(): Uint8Array {
  const a = new Assembler(16), i = a.i;
  begin(a, "PVH loader");
  prologue(a);
  load(a, Key.SETUP_ADDR, Key.SETUP_SIZE, Key.SETUP_DATA);
  load(a, Key.CMDLINE_ADDR, Key.CMDLINE_SIZE, Key.CMDLINE_DATA);
  load(a, Key.KERNEL_ADDR, Key.KERNEL_SIZE, Key.KERNEL_DATA);
  load(a, Key.INITRD_ADDR, Key.INITRD_SIZE, Key.INITRD_DATA);
  i.mov(ax, Key.SETUP_ADDR);
  i.call("item");
  i.mov(mem(bp, -24), eax); // struct hvm_start_info, below 64 KiB
  i.mov(ax, Key.KERNEL_ENTRY);
  i.call("item");
  i.mov(mem(bp, -28), eax);

  // memmap: a reserved word behind each E820 entry.
  readMap(a, () => {}, () => {
    i.mov(dword(di), 0);
    i.add(di, 4);
  }, () => {});
  i.sub(di, MEMORY_MAP);
  i.mov(ax, di);
  i.xor(dx, dx);
  i.mov(cx, 24);
  i.div(cx);
  i.mov(bx, mem(bp, -24));
  i.mov(dword(bx, StartInfo.MEMMAP), MEMORY_MAP);
  i.movzx(eax, ax);
  i.mov(mem(bx, StartInfo.MEMMAP_ENTRIES), eax);

  // The RSDP is on a paragraph from E0000h on.
  i.mov(ax, 0xe000);
  a.label("rsdp_next");
  i.mov(ds, ax);
  i.xor(di, di);
  i.cmp(dword(di), 0x20445352); // "RSD "
  i.jne("rsdp_not");
  i.cmp(dword(di, 4), 0x20525450); // "PTR "
  i.je("rsdp_found");
  a.label("rsdp_not");
  i.inc(ax);
  i.jnz("rsdp_next");
  a.label("rsdp_found");
  i.movzx(eax, ax);
  i.shl(eax, 4);
  i.xor(dx, dx);
  i.mov(ds, dx);
  i.mov(mem(bx, StartInfo.RSDP), eax);
  // A kernel on hardware-reduced ACPI never sets the 8259s up: no interrupt may come from them.
  i.mov(al, 0xff);
  i.out(0x21, al);
  i.out(0xa1, al);
  enterProtected(a);
  emitDma(a);
  return finish(a);
}
