/** The built-in demo: the guest kernel's boot image and the CD it comes on. */
import { emitConsole } from "./console.ts";
import { emitDisc } from "./disc.ts";
import { emitExits } from "./exits.ts";
import { emitInterrupts } from "./interrupts.ts";
import { makeIso } from "./iso9660.ts";
import { Kernel } from "./kernel.ts";
import { emitPaging } from "./paging.ts";
import { emitRealMode } from "./real_mode.ts";
import { emitShell } from "./shell.ts";
import { emitSmp } from "./smp.ts";

/** The image that the BIOS loads to 7C00h: a multiple of 512 bytes. */
export function makeDemoKernel(): Uint8Array {
  const k = new Kernel();
  emitRealMode(k);
  emitShell(k);
  emitConsole(k);
  emitInterrupts(k);
  emitPaging(k);
  emitSmp(k);
  emitDisc(k);
  emitExits(k);
  k.emitTexts();
  k.emitVariables();
  k.a.align(512);
  const { bytes } = k.a.assemble();
  if (bytes.length > 0x10000 - 0x7c00) throw new RangeError("the demo kernel has grown too long");
  return bytes;
}

const HELLO = `Hello from the CD. This text went from an ISO 9660 image through an ATAPI drive
into the guest: a READ(10) packet by port writes, and 1024 port reads a block.
`;

const README = `qeno's demo guest

Everything you see was made by the emulator's own source: the BIOS that started
this machine, this kernel, and the CD image with this file.

What happened until the prompt appeared:

  1. The first processor began at F000:FFF0, in the BIOS. It found memory,
     PCI devices and this CD, and loaded the kernel from it (El Torito).
  2. The kernel asked the BIOS for the memory map and went to 32-bit mode.
  3. It switched paging on, and set up an interrupt table.
  4. It sent INIT and start-up interrupts through its local APIC: that woke the
     second processor, which set itself up and now waits for interrupts.
  5. Timers of both local APICs interrupt their processors 100 times a second.

The files hello.txt and exits.txt have more. The source is in firmware/demo.
`;

const EXITS = `What is a VM exit?

A guest's ordinary instructions (additions, jumps, loads from its memory) run at
full speed: on the processor itself under KVM, as translated code otherwise.
Nobody watches them.

Some instructions cannot be left to the guest: reading a port would reach the
host's devices. The processor stops such a guest, notes the reason and leaves
guest mode: a VM exit. The hypervisor looks at the reason, plays the device,
puts the result into the guest's registers, and lets it go on: a VM entry.

  reason       what the guest did
  io           IN or OUT: serial port, CD drive, timers, power switch
  mmio         touched memory that is a device: APICs, screen memory
  hlt          had nothing to do
  cpuid        asked what processor this is
  wrmsr        wrote a model-specific register

Type exits to measure them, and info exits in the monitor to count them.
`;

/** The whole disc, bootable. */
export function makeDemoIso(): Uint8Array {
  const kernel = makeDemoKernel();
  const text = (s: string) => new TextEncoder().encode(s);
  return makeIso({
    volumeId: "QENO_DEMO",
    files: [
      { path: "kernel.bin", data: kernel },
      { path: "readme.txt", data: text(README) },
      { path: "hello.txt", data: text(HELLO) },
      { path: "exits.txt", data: text(EXITS) },
    ],
    boot: {
      entries: [{ path: "kernel.bin", emulation: "none", loadSectors: kernel.length / 512 }],
      id: "qeno",
    },
  });
}
