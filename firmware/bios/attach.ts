/** Puts the BIOS into a machine: the trap port, the handlers behind it, and the ROM image. */
import { makeFont } from "../vgabios/font.ts";
import { addVgaBios } from "../vgabios/services.ts";
import type { Mapping } from "../../core/memory/address_space.ts";
import { isAhci } from "./ahci.ts";
import { irqDisk } from "./ata.ts";
import { makeBootHandler, makeInt19, type Print } from "./boot.ts";
import { int13 } from "./disk.ts";
import { driveCount, readDrive } from "./drives.ts";
import { floppyService, irqFloppy } from "./floppy.ts";
import { type BiosMachine, type FrameContext, TRAP_PORT } from "./frame.ts";
import { eoiSlave, irqCoprocessor, irqSpurious } from "./irq.ts";
import { int16, irqKeyboard } from "./keyboard.ts";
import { Bda, Fn, Private, PRIVATE_BASE, PRIVATE_SEGMENT } from "./layout.ts";
import { irqMouse } from "./mouse.ts";
import { makePost } from "./post.ts";
import { int17 } from "./printer.ts";
import { type BiosRom, buildBios } from "./rom.ts";
import { int10Mirror } from "./sercon.ts";
import { int14 } from "./serial.ts";
import { int11, int12, int15 } from "./system.ts";
import { int1a, irqRtc, irqTimer } from "./timer.ts";
import { type HandlerTable, trapRegion } from "./trap.ts";

export interface AttachedBios {
  /** 128 KiB to be mapped as ROM so that it ends at 4 GiB and (before shadowing) at 1 MiB. */
  readonly rom: BiosRom;
  /** Handlers by function number: this BIOS's and, from `Fn.video` on, the VGA BIOS's. */
  readonly handlers: HandlerTable;
  readonly mapping: Mapping;
}

let built: BiosRom | undefined;

/** The ROM with the VGA BIOS's font, assembled once. */
export function defaultBios(): BiosRom {
  return built ??= buildBios({ font8x8: makeFont(8) });
}

/**
 * Maps the trap port in `machine.io` and gives the ROM. With foreign firmware the port is still
 * needed, by option ROMs of ours.
 */
export function attachBios(machine: BiosMachine, rom: BiosRom = defaultBios()): AttachedBios {
  const handlers: HandlerTable = new Map();
  const printer = rom.labels.get("print")! & 0xffff;
  const print: Print = (c, text, phase) => {
    const bytes = new TextEncoder().encode(text.replaceAll("\n", "\r\n")).subarray(
      0,
      Private.textMax - 1,
    );
    c.writeBytes(PRIVATE_BASE + Private.text, Uint8Array.of(...bytes, 0));
    c.ds = PRIVATE_SEGMENT;
    c.si = Private.text;
    c.call(0xf000, printer, phase);
  };
  const int18 = makeBootHandler(print);
  handlers.set(Fn.post, makePost(rom, print));
  handlers.set(Fn.sercon, int10Mirror);
  handlers.set(Fn.spurious, irqSpurious);
  const interrupts: [number, (c: FrameContext) => void][] = [
    [0x02, () => {}],
    [0x05, () => {}],
    [0x08, irqTimer],
    [0x09, irqKeyboard],
    [0x0e, irqFloppy],
    [0x10, () => {}],
    [0x11, int11],
    [0x12, int12],
    [0x13, int13],
    [0x14, int14],
    [0x15, int15],
    [0x16, int16],
    [0x17, int17],
    [0x18, int18],
    [0x19, makeInt19(int18)],
    [0x1a, int1a],
    [0x40, (c) => floppyService(c, c.dl)],
    [0x70, irqRtc],
    [0x74, irqMouse],
    [0x75, irqCoprocessor],
    [0x76, (c) => irqIde(c, 14)],
    [0x77, (c) => irqIde(c, 15)],
  ];
  for (const [n, f] of interrupts) handlers.set(n, f);
  addVgaBios(handlers);
  return { rom, handlers, mapping: machine.io.map(trapRegion(machine, handlers), TRAP_PORT) };
}

/** IRQ 14 and 15. The fixed disk services look at the drive itself; programs look at 40:8E. */
function irqIde(c: FrameContext, irq: number): void {
  if (c.phase !== 0) return;
  let seen = 0;
  for (let n = 0; n < driveCount(c); n++) {
    const d = readDrive(c, n);
    if (isAhci(d) || d.irq !== irq || d.cmd === seen) continue;
    irqDisk(c, d.cmd + 7);
    seen = d.cmd;
  }
  c.write8(Bda.diskInterruptFlag, 0xff);
  eoiSlave(c);
  c.interrupt(0x15, 1, 0x9100);
}
