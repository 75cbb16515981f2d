/** INT 14h, serial ports: the 16550 datasheet and IBM's BIOS interface. Also finds them at POST. */
import type { FrameContext } from "./frame.ts";
import { Bda } from "./layout.ts";

const divisors = [0x0417, 0x0300, 0x0180, 0x00c0, 0x0060, 0x0030, 0x0018, 0x000c];
const DR = 0x01, THRE = 0x20;
const TIMEOUT = 0x80;

/** Stores the ports that exist in 40:00 and returns their number. */
export function detectSerial(c: FrameContext): number {
  let count = 0;
  for (const port of [0x3f8, 0x2f8, 0x3e8, 0x2e8]) {
    c.outb(port + 1, 0x02);
    if (c.inb(port + 1) !== 0x02) continue;
    c.outb(port + 1, 0x00);
    if (c.inb(port + 2) & 0x0c) continue; // IIR bits 2 and 3: 0 with interrupts off, FIFO aside
    c.write16(Bda.comPorts + 2 * count, port);
    c.write8(Bda.comTimeouts + count, 10);
    count++;
  }
  return count;
}

export function int14(c: FrameContext): void {
  const port = c.dx < 4 ? c.read16(Bda.comPorts + 2 * c.dx) : 0;
  if (port === 0) return;
  const status = () => {
    c.ah = c.inb(port + 5);
    c.al = c.inb(port + 6);
  };
  switch (c.ah) {
    case 0x00: {
      const lcr = c.al & 0x1f, divisor = divisors[c.al >> 5];
      c.outb(port + 3, lcr | 0x80);
      c.outb(port, divisor & 0xff);
      c.outb(port + 1, divisor >> 8);
      c.outb(port + 3, lcr);
      c.outb(port + 1, 0);
      return status();
    }
    case 0x01:
    case 0x02: {
      const send = c.ah === 1, ready = send ? THRE : DR;
      if (c.phase === 0) {
        c.outb(port + 4, 0x03); // DTR, RTS
        c.local = (c.read32(Bda.ticks) + 18 * c.read8(Bda.comTimeouts + c.dx) / 10) >>> 0;
      }
      const lsr = c.inb(port + 5);
      if ((lsr & ready) === 0) {
        if (c.read32(Bda.ticks) <= c.local) return c.wait(1);
        c.ah = lsr | TIMEOUT;
        return;
      }
      if (send) c.outb(port, c.al);
      else c.al = c.inb(port);
      c.ah = send ? c.inb(port + 5) & 0x7f : lsr & 0x1e;
      return;
    }
    case 0x03:
      return status();
    case 0x04: { // extended initialise: AL break, BH parity, BL stop, CH length, CL rate
      const rates = [0x0417, 0x0300, 0x0180, 0x00c0, 0x0060, 0x0030, 0x0018, 0x000c, 0x0006];
      const parity = [0x00, 0x08, 0x18, 0x28, 0x38];
      if (c.cl >= rates.length || c.bh >= parity.length || c.ch > 3) return status();
      const lcr = (c.ch & 3) | (c.bl ? 0x04 : 0) | parity[c.bh] | (c.al ? 0x40 : 0);
      c.outb(port + 3, lcr | 0x80);
      c.outb(port, rates[c.cl] & 0xff);
      c.outb(port + 1, rates[c.cl] >> 8);
      c.outb(port + 3, lcr);
      return status();
    }
    case 0x05:
      if (c.al === 0) c.bl = c.inb(port + 4);
      else if (c.al === 1) c.outb(port + 4, c.bl);
      return status();
  }
}
