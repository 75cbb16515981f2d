/** The PCI IRQ routing table: Microsoft's "PCI IRQ Routing Table Specification" 1.0. */

export interface PirMachine {
  /** bus/device/function of the interrupt router. */
  readonly router: number;
  /** Its vendor and device identifiers, as in configuration register 0. */
  readonly routerId: number;
  /** Slots on the root bus, and the PIRQ (0–3) that INTA# of each reaches. */
  readonly slots: readonly { slot: number; first: number }[];
  /** IRQs that a link may be routed to. */
  readonly irqMask: number;
}

/** Link values are the router's register numbers 60h–63h. */
export function buildPir(m: PirMachine): Uint8Array {
  const size = 32 + 16 * m.slots.length;
  const b = new Uint8Array(size), v = new DataView(b.buffer);
  b.set([0x24, 0x50, 0x49, 0x52]); // "$PIR"
  v.setUint16(4, 0x0100, true);
  v.setUint16(6, size, true);
  b[8] = m.router >> 8;
  b[9] = m.router & 0xff;
  v.setUint16(10, 0, true); // no IRQ is for PCI alone
  v.setUint32(12, m.routerId, true);
  m.slots.forEach((s, n) => {
    const at = 32 + 16 * n;
    b[at + 1] = s.slot << 3;
    for (let pin = 0; pin < 4; pin++) {
      b[at + 2 + 3 * pin] = 0x60 + ((s.first + pin) & 3);
      v.setUint16(at + 3 + 3 * pin, m.irqMask, true);
    }
    b[at + 14] = n;
  });
  b[31] = -b.reduce((a, x) => a + x, 0) & 0xff;
  return b;
}
