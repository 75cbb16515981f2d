/**
 * What a VM exit costs: the same number of plain additions, CPUID, port writes and APIC reads, timed
 * with RDTSC. Offers cmd_exits.
 */
import { al, eax, ebp, ebx, ecx, edi, edx, esi, mem } from "../asm/operand.ts";
import { type Kernel, LAPIC, Lapic } from "./kernel.ts";

const ROUNDS = 1000;

export function emitExits(k: Kernel): void {
  const { a, i } = k;
  a.label("cmd_exits");
  k.print("A virtual machine runs on the processor (or in translated code) until it does\n");
  k.print("something that only its host can do: reach a device, or ask what processor it\n");
  k.print("has. That is a VM exit: the host takes over, plays the device, lets it go on.\n");
  k.print("Time-stamp ticks for each of 1000 instructions:\n");
  // EBP passes, EDI rounds. Twice, and the second time counts: the first one warms translators.
  const measure = (text: string, what: () => void) => {
    const warm = a.unique("warm"), again = a.unique("again");
    i.mov(ebp, 2);
    a.label(warm);
    i.rdtsc();
    i.mov(esi, eax);
    i.mov(edi, ROUNDS);
    a.label(again);
    what();
    i.dec(edi);
    i.jnz(again);
    i.rdtsc();
    i.dec(ebp);
    i.jnz(warm);
    i.sub(eax, esi);
    i.xor(edx, edx);
    i.mov(ecx, ROUNDS);
    i.div(ecx);
    k.print(text);
    k.printDecimal();
    k.print("\n");
  };
  measure("    ADD, no exit:                        ", () => i.add(ebx, 1));
  measure("    CPUID, always an exit under KVM:     ", () => {
    i.mov(eax, 1);
    i.cpuid();
  });
  measure("    OUT 80h, a port of the machine:      ", () => i.out(0x80, al));
  measure("    reading the local APIC (memory I/O): ", () => i.mov(eax, mem(LAPIC + Lapic.ID)));
  k.print("The monitor's `info exits` counts them by reason.\n");
  i.ret();
}
