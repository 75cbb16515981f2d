/**
 * The other processors: woken by INIT and start-up IPIs (SDM volume 3, 9.4), each gets a record and a
 * stack, switches paging and its timer on, and then waits for interrupts.
 *
 * Offers smp_start, cpus_identify, cmd_cpus.
 */
import {
  ax,
  cr0,
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
} from "../asm/operand.ts";
import { Cpu, type Kernel, LAPIC, Lapic, Map, Vector } from "./kernel.ts";
import { CODE, DATA } from "./real_mode.ts";

export function emitSmp(k: Kernel): void {
  const { a, i } = k;

  a.label("smp_start");
  // Record 0 is ours.
  i.mov(eax, mem(LAPIC + Lapic.ID));
  i.shr(eax, 24);
  i.mov(mem(Map.cpus + Cpu.apicId), eax);
  i.mov(dword(Map.cpus + Cpu.state), 1);
  i.mov(dword("cpu_count"), 1);
  // Start-up vectors are page numbers below 1 MiB: the trampoline is copied to one.
  i.mov(esi, "trampoline");
  i.mov(edi, Map.trampoline);
  i.mov(ecx, sym("trampoline_end", 0, "trampoline"));
  i.rep();
  i.movsb();
  i.mov(dword(LAPIC + Lapic.ICR_LOW), 0x000c4500); // INIT to all but self
  i.mov(eax, 10);
  i.call("ms_wait");
  i.mov(dword(LAPIC + Lapic.ICR_LOW), 0x000c4600 | (Map.trampoline >> 12)); // start-up
  i.mov(eax, 1);
  i.call("ms_wait");
  i.mov(dword(LAPIC + Lapic.ICR_LOW), 0x000c4600 | (Map.trampoline >> 12));
  i.mov(eax, 50);
  i.call("ms_wait");
  i.mov(eax, 50);
  i.call("ms_wait");
  i.ret();

  a.label("trampoline");
  a.bits(16);
  i.cli();
  i.xor(ax, ax);
  i.mov(ds, ax);
  i.lgdt(mem("gdt_pointer"));
  i.mov(eax, cr0);
  i.or(eax, 1);
  i.and(eax, 0x9fffffff); // caches on
  i.mov(cr0, eax);
  i.jmp(far(CODE, "ap_protected", 4));
  a.label("trampoline_end");
  a.bits(32);
  a.label("ap_protected");
  i.mov(eax, DATA);
  for (const s of [ds, es, ss]) i.mov(s, eax);
  // LOCK XADD hands out numbers: two processors cannot get the same one.
  i.mov(ebx, 1);
  i.lock();
  i.xadd(mem("cpu_count"), ebx);
  i.cmp(ebx, Map.maxCpus);
  i.jae("stop");
  i.mov(eax, ebx);
  i.inc(eax);
  i.shl(eax, 12);
  i.lea(esp, mem(eax, Map.stacks));
  i.call("paging_on");
  i.mov(eax, mem(LAPIC + Lapic.ID));
  i.shr(eax, 24);
  i.imul(edi, ebx, Cpu.size);
  i.add(edi, Map.cpus);
  i.mov(mem(edi, Cpu.apicId), eax);
  i.call("load_idt");
  i.call("timer_start");
  i.mov(dword(edi, Cpu.state), 1);
  i.sti();
  a.label("ap_idle");
  i.hlt();
  i.jmp("ap_idle");

  // Who are we? CPUID's vendor, brand and signature, and what a hypervisor says of itself.
  a.label("cpus_identify");
  k.print("Processor: ");
  i.xor(eax, eax);
  i.cpuid();
  i.mov(mem("name"), ebx);
  i.mov(mem("name", 4), edx);
  i.mov(mem("name", 8), ecx);
  i.mov(dword("name", 12), 0);
  i.mov(esi, "name");
  i.call("puts");
  i.mov(eax, 1);
  i.cpuid();
  k.print(", signature ");
  k.printHex();
  i.push(ecx);
  i.mov(eax, 0x80000000);
  i.cpuid();
  i.cmp(eax, 0x80000004);
  i.jb("no_brand");
  for (let n = 0; n < 3; n++) {
    i.mov(eax, 0x80000002 + n);
    i.cpuid();
    [eax, ebx, ecx, edx].forEach((r, j) => i.mov(mem("name", 16 * n + 4 * j), r));
  }
  i.mov(dword("name", 48), 0);
  k.print(", ");
  i.mov(esi, "name");
  i.call("puts");
  a.label("no_brand");
  i.pop(ecx);
  i.test(ecx, 0x80000000);
  i.jz("no_hypervisor");
  k.print("\n    CPUID.1:ECX[31] is set: this is a virtual machine. Its hypervisor: ");
  i.mov(eax, 0x40000000);
  i.cpuid();
  i.mov(mem("name"), ebx);
  i.mov(mem("name", 4), ecx);
  i.mov(mem("name", 8), edx);
  i.mov(dword("name", 12), 0);
  i.mov(esi, "name");
  i.call("puts");
  a.label("no_hypervisor");
  k.print("\n");
  i.ret();

  a.label("cmd_cpus");
  // An IPI to everybody else, so that the last column moves.
  i.mov(dword(LAPIC + Lapic.ICR_LOW), 0x000c4000 | Vector.call);
  i.mov(eax, 20);
  i.call("ms_wait");
  k.print("CPU  APIC ID  timer interrupts  calls from other CPUs\n");
  i.xor(ebx, ebx);
  i.mov(edi, Map.cpus);
  a.label("cpus_next");
  k.print("  ");
  i.mov(eax, ebx);
  k.printDecimal();
  k.print("        ");
  i.mov(eax, mem(edi, Cpu.apicId));
  k.printDecimal();
  k.print("  ");
  i.mov(eax, mem(edi, Cpu.ticks));
  k.printDecimal();
  k.print("  ");
  i.mov(eax, mem(edi, Cpu.calls));
  k.printDecimal();
  k.print("\n");
  i.add(edi, Cpu.size);
  i.inc(ebx);
  i.cmp(ebx, Map.maxCpus);
  i.jae("cpus_done");
  i.cmp(ebx, mem("cpu_count"));
  i.jb("cpus_next");
  a.label("cpus_done");
  i.ret();

  k.variable("cpu_count");
  k.variable("name", 52);
}
