/** INT 1Ah/B1h: PCI BIOS Specification 2.1 in real mode. The 32-bit entry is pcibios32.ts. */
import type { FrameContext } from "./frame.ts";
import { Private, PRIVATE_BASE } from "./layout.ts";
import { everyFunction, readConfig, writeConfig } from "./pci.ts";
import { PciStatus } from "./pcibios32.ts";
import { PIRQ_IRQS } from "./chipset.ts";

/** IRQs that PCI interrupts are routed to, as a bit mask. */
export const PCI_IRQ_MASK = PIRQ_IRQS.reduce((m, irq) => m | (1 << irq), 0);

export function pciBios(c: FrameContext): void {
  const done = (status: number) => {
    c.ah = status;
    c.setCarry(status !== PciStatus.SUCCESSFUL);
  };
  const last = c.read8(PRIVATE_BASE + Private.lastBus);
  const find = (match: (f: { vendor: number; device: number; classCode: number }) => boolean) => {
    let index = c.si;
    for (const f of everyFunction(c, last)) {
      if (!match(f) || index-- > 0) continue;
      c.bx = f.bdf;
      return done(PciStatus.SUCCESSFUL);
    }
    done(PciStatus.DEVICE_NOT_FOUND);
  };
  const fn = c.al & 0x7f; // B18xh are the protected-mode numbers of the same functions
  switch (fn) {
    case 0x01:
      c.edx = 0x20494350;
      c.bx = 0x0210;
      c.cl = last;
      c.al = 0x01;
      c.edi = 0;
      return done(PciStatus.SUCCESSFUL);
    case 0x02: {
      const vendor = c.dx, device = c.cx;
      if (vendor === 0xffff) return done(PciStatus.BAD_VENDOR_ID);
      return find((f) => f.vendor === vendor && f.device === device);
    }
    case 0x03: {
      const code = c.ecx & 0xffffff;
      return find((f) => f.classCode === code);
    }
    case 0x08:
    case 0x09:
    case 0x0a:
    case 0x0b:
    case 0x0c:
    case 0x0d: {
      const size = ([1, 2, 4] as const)[(fn - 0x08) % 3], reg = c.di;
      if (reg > 0xff || reg & (size - 1)) return done(PciStatus.BAD_REGISTER_NUMBER);
      if (fn >= 0x0b) writeConfig(c, c.bx, reg, size, c.ecx);
      else {
        const v = readConfig(c, c.bx, reg, size);
        if (size === 1) c.cl = v;
        else if (size === 2) c.cx = v;
        else c.ecx = v;
      }
      return done(PciStatus.SUCCESSFUL);
    }
    case 0x0e:
      return routingOptions(c, done);
    default:
      return done(PciStatus.FUNC_NOT_SUPPORTED);
  }
}

/** The $PIR table's slot entries into the caller's buffer at ES:DI: {word size, dword pointer}. */
function routingOptions(c: FrameContext, done: (status: number) => void): void {
  const at = c.es * 16 + c.di, room = c.read16(at);
  for (let p = 0xf0000; p < 0x100000; p += 16) {
    if (c.read32(p) !== 0x52495024) continue; // "$PIR"
    const size = c.read16(p + 6) - 32;
    c.write16(at, size);
    if (size > room) return done(0x89); // BUFFER_TOO_SMALL
    const to = c.linear(c.read16(at + 4), c.read16(at + 2));
    const slots = new Uint8Array(size);
    c.readBytes(p + 32, slots);
    c.writeBytes(to, slots);
    c.bx = PCI_IRQ_MASK;
    return done(PciStatus.SUCCESSFUL);
  }
  done(PciStatus.FUNC_NOT_SUPPORTED);
}
