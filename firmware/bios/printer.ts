/** INT 17h, parallel ports in compatibility mode (IEEE 1284). Also finds them at POST. */
import type { FrameContext } from "./frame.ts";
import { Bda } from "./layout.ts";

const NOT_BUSY = 0x80, NOT_ACK = 0x40, NOT_ERROR = 0x08;
const STROBE = 0x01, INIT = 0x04, SELECT = 0x08;

/** Stores the ports that exist in 40:08 and returns their number. */
export function detectParallel(c: FrameContext): number {
  let count = 0;
  for (const port of [0x378, 0x278, 0x3bc]) {
    c.outb(port + 2, 0xdf); // direction: output
    c.outb(port, 0xaa);
    if (c.inb(port) !== 0xaa) continue;
    c.outb(port, 0x55);
    if (c.inb(port) !== 0x55) continue;
    c.outb(port + 2, INIT | SELECT);
    c.write16(Bda.lptPorts + 2 * count, port);
    c.write8(Bda.lptTimeouts + count, 20);
    count++;
  }
  return count;
}

export function int17(c: FrameContext): void {
  const port = c.dx < 3 ? c.read16(Bda.lptPorts + 2 * c.dx) : 0;
  if (port === 0) return;
  // Acknowledge and error are low at the connector and high in AH.
  const status = (timeout: number) => {
    c.ah = ((c.inb(port + 1) ^ (NOT_ACK | NOT_ERROR)) & 0xf8) | timeout;
  };
  switch (c.ah) {
    case 0x00: {
      if (c.phase === 0) c.local = c.read32(Bda.ticks) + 18 * c.read8(Bda.lptTimeouts + c.dx);
      if ((c.inb(port + 1) & NOT_BUSY) === 0) {
        return c.read32(Bda.ticks) < c.local ? c.wait(1) : status(1);
      }
      c.outb(port, c.al);
      c.outb(port + 2, INIT | SELECT | STROBE);
      c.outb(port + 2, INIT | SELECT);
      return status(0);
    }
    case 0x01:
      c.outb(port + 2, SELECT);
      c.outb(port + 2, INIT | SELECT);
      return status(0);
    case 0x02:
      return status(0);
  }
}
