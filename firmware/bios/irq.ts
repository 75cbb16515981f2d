/** The 8259 pair at POST, and interrupts that have no better handler. */
import type { FrameContext } from "./frame.ts";

const PIC1 = 0x20, PIC2 = 0xa0;
const EOI = 0x20, READ_ISR = 0x0b;

export function eoiMaster(c: FrameContext): void {
  c.outb(PIC1, EOI);
}

export function eoiSlave(c: FrameContext): void {
  c.outb(PIC2, EOI);
  c.outb(PIC1, EOI);
}

/** Vectors 08h–0Fh and 70h–77h; everything masked but the cascade, timer, keyboard and RTC. */
export function initPics(c: FrameContext): void {
  for (const [port, ...icw] of [[PIC1, 0x11, 0x08, 0x04, 0x01], [PIC2, 0x11, 0x70, 0x02, 0x01]]) {
    c.outb(port, icw[0]);
    for (const v of icw.slice(1)) c.outb(port + 1, v);
  }
  c.outb(PIC1 + 1, 0xb8); // on: IRQ 0, 1, 2, 6
  c.outb(PIC2 + 1, 0x8e & ~0x40 & ~0x80 & 0xff); // on: 8, 12 later, 13, 14, 15
}

/** Unmasks (or masks) an interrupt line. */
export function maskIrq(c: FrameContext, irq: number, masked: boolean): void {
  const port = (irq < 8 ? PIC1 : PIC2) + 1, bit = 1 << (irq & 7);
  const old = c.inb(port);
  c.outb(port, masked ? old | bit : old & ~bit);
}

/** True when an interrupt of this line would reach the CPU once interrupts are on. */
export function irqEnabled(c: FrameContext, irq: number): boolean {
  const master = c.inb(PIC1 + 1);
  if (irq < 8) return (master & (1 << irq)) === 0;
  return (master & 4) === 0 && (c.inb(PIC2 + 1) & (1 << (irq & 7))) === 0;
}

/** Any interrupt without a handler: what is in service is ended, and masked as IBM's BIOS did. */
export function irqSpurious(c: FrameContext): void {
  c.outb(PIC2, READ_ISR);
  const slave = c.inb(PIC2);
  c.outb(PIC1, READ_ISR);
  const master = c.inb(PIC1);
  if (master & 4 && slave) {
    c.outb(PIC2 + 1, c.inb(PIC2 + 1) | slave);
    return eoiSlave(c);
  }
  if (master) {
    if (master & ~4) c.outb(PIC1 + 1, c.inb(PIC1 + 1) | (master & ~4));
    eoiMaster(c);
  }
}

/** IRQ 13: the coprocessor's error, passed on as NMI as on the AT. */
export function irqCoprocessor(c: FrameContext): void {
  if (c.phase !== 0) return;
  c.outb(0xf0, 0);
  eoiSlave(c);
  c.interrupt(0x02, 1, 0);
}
