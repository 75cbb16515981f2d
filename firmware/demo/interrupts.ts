/**
 * The interrupt descriptor table, the 8259s, the exceptions, and the local APIC's timer.
 *
 * Offers interrupts_init (boot processor), load_idt and timer_start (each processor), ms_wait (EAX).
 */
import { al, ax, cr2, dword, eax, ecx, edi, edx, mem, word } from "../asm/operand.ts";
import { Cpu, type Kernel, LAPIC, Lapic, Map, Vector } from "./kernel.ts";
import { CODE } from "./real_mode.ts";

/** Timer interrupts per second and processor. */
export const TIMER_HZ = 100;
const PIT_HZ = 1193182;
/** Exceptions that push an error code. */
const WITH_CODE = [8, 10, 11, 12, 13, 14, 17];

export function emitInterrupts(k: Kernel): void {
  const { a, i } = k;

  a.label("interrupts_init");
  // Gates: 0–31 exceptions, then everything else "ignore", then the ones we use.
  i.mov(edi, Map.idt);
  i.xor(ecx, ecx);
  a.label("idt_next");
  i.mov(eax, "ignore_interrupt");
  i.cmp(ecx, 32);
  i.jae("idt_set");
  i.mov(eax, mem([ecx, 4], "exception_entries"));
  a.label("idt_set");
  i.call("set_gate");
  i.inc(ecx);
  i.cmp(ecx, 256);
  i.jb("idt_next");
  for (
    const [vector, label] of [
      [Vector.pageFault, "page_fault"],
      [Vector.irq + 1, "keyboard_interrupt"],
      [Vector.irq + 4, "serial_interrupt"],
      [Vector.timer, "timer_interrupt"],
      [Vector.call, "call_interrupt"],
    ] as const
  ) {
    i.mov(ecx, vector);
    i.mov(eax, label);
    i.call("set_gate");
  }
  // The 8259 pair at vectors 20h–2Fh; only keyboard and serial port are let through.
  for (
    const [port, value] of [
      ...[[0x20, 0x11], [0xa0, 0x11], [0x21, Vector.irq], [0xa1, Vector.irq + 8]],
      ...[[0x21, 4], [0xa1, 2], [0x21, 1], [0xa1, 1], [0x21, 0xed], [0xa1, 0xff]],
    ]
  ) {
    i.mov(al, value);
    i.out(port, al);
  }
  i.mov(dword(LAPIC + Lapic.LVT_LINT0), 0x700); // the 8259s' interrupts come in here
  i.call("load_idt");
  i.call("timer_calibrate");
  i.ret();

  // Gate ECX (8 bytes in the table at Map.idt) leads to EAX.
  a.label("set_gate");
  i.mov(mem([ecx, 8], Map.idt), ax);
  i.mov(word([ecx, 8], Map.idt + 2), CODE);
  i.mov(word([ecx, 8], Map.idt + 4), 0x8e00); // 32-bit interrupt gate, present
  i.push(eax);
  i.shr(eax, 16);
  i.mov(mem([ecx, 8], Map.idt + 6), ax);
  i.pop(eax);
  i.ret();

  a.label("load_idt");
  i.lidt(mem("idt_pointer"));
  i.mov(dword(LAPIC + Lapic.SVR), 0x100 | Vector.spurious); // the local APIC on
  i.mov(dword(LAPIC + Lapic.TPR), 0);
  i.ret();
  a.label("idt_pointer");
  a.dw(256 * 8 - 1);
  a.dd(Map.idt);

  a.label("ignore_interrupt");
  i.iretd();

  // The APIC timer counts down at a rate nobody tells: measured against the PIT.
  a.label("timer_calibrate");
  i.mov(dword(LAPIC + Lapic.TIMER_DIVIDE), 0x3); // by 16
  i.mov(dword(LAPIC + Lapic.LVT_TIMER), 0x10000); // masked
  i.mov(dword(LAPIC + Lapic.TIMER_INITIAL), 0xffffffff);
  i.mov(eax, 1000 / TIMER_HZ);
  i.call("ms_wait");
  i.mov(eax, 0xffffffff);
  i.sub(eax, mem(LAPIC + Lapic.TIMER_CURRENT));
  i.mov(mem("timer_count"), eax);
  i.mov(dword(LAPIC + Lapic.TIMER_INITIAL), 0);
  i.ret();

  a.label("timer_start");
  i.mov(dword(LAPIC + Lapic.TIMER_DIVIDE), 0x3);
  i.mov(dword(LAPIC + Lapic.LVT_TIMER), 0x20000 | Vector.timer); // periodic
  i.mov(eax, mem("timer_count"));
  i.mov(mem(LAPIC + Lapic.TIMER_INITIAL), eax);
  i.ret();

  // Which processor is this? Its APIC ID is looked up among the records.
  a.label("this_cpu");
  i.push(eax);
  i.mov(eax, mem(LAPIC + Lapic.ID));
  i.shr(eax, 24);
  i.mov(edi, Map.cpus);
  a.label("this_cpu_next");
  i.cmp(eax, mem(edi, Cpu.apicId));
  i.jz("this_cpu_found");
  i.add(edi, Cpu.size);
  i.cmp(edi, Map.cpus + Cpu.size * Map.maxCpus);
  i.jb("this_cpu_next");
  i.mov(edi, Map.cpus);
  a.label("this_cpu_found");
  i.pop(eax);
  i.ret();

  a.label("timer_interrupt");
  i.push(edi);
  i.call("this_cpu");
  i.inc(dword(edi, Cpu.ticks));
  i.mov(dword(LAPIC + Lapic.EOI), 0);
  i.pop(edi);
  i.iretd();

  // Sent from one processor to another: an inter-processor interrupt.
  a.label("call_interrupt");
  i.push(edi);
  i.call("this_cpu");
  i.inc(dword(edi, Cpu.calls));
  i.mov(dword(LAPIC + Lapic.EOI), 0);
  i.pop(edi);
  i.iretd();

  // Waits EAX ms (up to 50) on PIT channel 2.
  a.label("ms_wait");
  i.push(ecx);
  i.push(edx);
  i.mov(ecx, Math.round(PIT_HZ / 1000));
  i.mul(ecx);
  i.mov(ecx, eax);
  i.in(al, 0x61);
  i.and(al, 0xfc);
  i.or(al, 1); // gate on, speaker off
  i.out(0x61, al);
  i.mov(al, 0xb0); // channel 2, both bytes, mode 0
  i.out(0x43, al);
  i.mov(eax, ecx);
  i.out(0x42, al);
  i.shr(eax, 8);
  i.out(0x42, al);
  a.label("ms_wait_more");
  i.pause();
  i.in(al, 0x61);
  i.test(al, 0x20); // OUT2 has gone high
  i.jz("ms_wait_more");
  i.pop(edx);
  i.pop(ecx);
  i.ret();

  // Exceptions that we do not expect: say so and stop this processor.
  for (let n = 0; n < 32; n++) {
    a.label(`exception_${n}`);
    if (!WITH_CODE.includes(n)) i.push(0);
    i.push(n);
    i.jmp("exception");
  }
  a.label("exception");
  k.print("\nException ");
  i.pop(eax);
  k.printDecimal();
  k.print(", code ");
  i.pop(eax);
  k.printHex();
  k.print(" at ");
  i.pop(eax);
  k.printHex();
  k.print(", CR2 ");
  i.mov(eax, cr2);
  k.printHex();
  k.print("\n");
  a.label("stop");
  i.cli();
  i.hlt();
  i.jmp("stop");

  a.align(4);
  a.label("exception_entries");
  for (let n = 0; n < 32; n++) a.dd(`exception_${n}`);
  k.variable("timer_count");
}
