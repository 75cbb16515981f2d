/**
 * Virtual memory: the first 4 MiB and the APICs map to themselves; the 4 MiB from {@link DEMO} on
 * map to nothing until somebody touches them.
 *
 * Offers paging_init (boot processor), paging_on (each processor), paging_show, page_fault.
 */
import { cr0, cr2, cr3, cr4, dword, eax, ebx, ecx, edi, esp, mem } from "../asm/operand.ts";
import { type Kernel, Map } from "./kernel.ts";

/** Virtual addresses whose pages appear on demand. */
export const DEMO = 0x40000000;
/** Physical frames handed out, from 1 MiB on. */
const FRAMES = 0x100000;
const PRESENT = 1, WRITABLE = 2, NO_CACHE = 0x10, LARGE = 0x80;

export function emitPaging(k: Kernel): void {
  const { a, i } = k;

  a.label("paging_init");
  i.mov(edi, Map.pageDirectory);
  i.xor(eax, eax);
  i.mov(ecx, 3 * 1024);
  i.rep();
  i.stosd();
  i.xor(ecx, ecx);
  a.label("identity_next");
  i.mov(eax, ecx);
  i.shl(eax, 12);
  i.or(eax, PRESENT | WRITABLE);
  i.mov(mem([ecx, 4], Map.lowTable), eax);
  i.inc(ecx);
  i.cmp(ecx, 1024);
  i.jb("identity_next");
  const entry = (address: number) => Map.pageDirectory + 4 * (address >>> 22);
  i.mov(dword(entry(0)), Map.lowTable | PRESENT | WRITABLE);
  i.mov(dword(entry(DEMO)), Map.demoTable | PRESENT | WRITABLE);
  i.mov(dword(entry(0xfec00000)), 0xfec00000 | PRESENT | WRITABLE | NO_CACHE | LARGE);
  i.ret();

  a.label("paging_on");
  i.mov(eax, cr4);
  i.or(eax, 0x10); // PSE: pages of 4 MiB
  i.mov(cr4, eax);
  i.mov(eax, Map.pageDirectory);
  i.mov(cr3, eax);
  i.mov(eax, cr0);
  i.or(eax, 0x80000000); // PG
  i.mov(cr0, eax);
  i.ret();

  // Demand paging: a fault in the demo area gets a frame, and the instruction runs again.
  a.label("page_fault");
  i.pushad();
  i.mov(ebx, cr2);
  i.mov(eax, ebx);
  i.shr(eax, 22);
  i.cmp(eax, DEMO >>> 22);
  i.jnz("page_fault_bad");
  k.print("    page fault at ");
  i.mov(eax, ebx);
  k.printHex();
  k.print(": page mapped to frame ");
  i.mov(eax, mem("next_frame"));
  k.printHex();
  i.add(dword("next_frame"), 4096);
  i.or(eax, PRESENT | WRITABLE);
  i.shr(ebx, 12);
  i.and(ebx, 1023);
  i.mov(mem([ebx, 4], Map.demoTable), eax);
  k.print("\n");
  i.popad();
  i.add(esp, 4); // the error code
  i.iretd();
  a.label("page_fault_bad");
  i.popad();
  i.push(14);
  i.jmp("exception");

  a.label("paging_show");
  k.print("Paging: the processor translates each address by tables in memory.\n");
  k.print("    writing 12345678 to virtual 40003000\n");
  i.mov(dword(DEMO + 0x3000), 0x12345678);
  i.mov(ebx, mem(Map.demoTable + 4 * 3));
  i.and(ebx, 0xfffff000);
  k.print("    reading it back at physical ");
  i.mov(eax, ebx);
  k.printHex();
  k.print(": ");
  i.mov(eax, mem(ebx));
  k.printHex();
  k.print("\n");
  i.ret();

  k.variable("next_frame", 4, FRAMES);
}
