/** INT 15h/C2h, the pointing device, and IRQ 12. IBM PS/2 BIOS Interface Technical Reference. */
import type { FrameContext } from "./frame.ts";
import { eoiSlave, maskIrq } from "./irq.ts";
import { Ebda } from "./layout.ts";
import {
  mouseSend,
  PS2_DATA,
  PS2_STATUS,
  ps2ReadCommandByte,
  Ps2Status,
  ps2WriteCommandByte,
} from "./ps2.ts";

const Code = { ok: 0, badFunction: 1, badInput: 2, interface: 3, resend: 4, noHandler: 5 } as const;
/** flags2: a handler is installed; packet size minus one in the low bits. */
const HANDLER = 0x80;
/** Command byte: IRQ 12 enabled, mouse clock disabled. */
const AUX_IRQ = 0x02, AUX_OFF = 0x20;

const rates = [10, 20, 40, 60, 80, 100, 200];

function enablePort(c: FrameContext, on: boolean): void {
  const old = ps2ReadCommandByte(c);
  if (old < 0) return;
  ps2WriteCommandByte(c, on ? (old & ~AUX_OFF) | AUX_IRQ : (old | AUX_OFF) & ~AUX_IRQ);
  if (on) {
    maskIrq(c, 12, false);
    maskIrq(c, 2, false);
  }
}

export function mouseService(c: FrameContext): void {
  const done = (code: number) => {
    c.ah = code;
    c.setCarry(code !== Code.ok);
  };
  /** Sends a command; the answer's bytes go to `use`. */
  const send = (bytes: number[], reply = 0, use: (r: number[]) => void = () => {}) => {
    const r = mouseSend(c, bytes, reply);
    if (r === undefined) return done(Code.interface);
    use(r);
    done(Code.ok);
  };
  switch (c.al) {
    case 0x00:
      if (c.bh > 1) return done(Code.badInput);
      if (c.bh === 0) {
        send([0xf5]);
        return enablePort(c, false);
      }
      if ((c.read8(Ebda.mouseFlags2) & HANDLER) === 0) return done(Code.noHandler);
      c.write8(Ebda.mouseFlags1, 0);
      send([0xf4]);
      return enablePort(c, true);
    case 0x05: // initialise with packets of BH bytes: the reset below decides their real size
      if (c.bh < 1 || c.bh > 8) return done(Code.badInput);
      c.write8(Ebda.mouseFlags2, (c.read8(Ebda.mouseFlags2) & ~7) | (c.bh - 1));
      return reset(c, send);
    case 0x01:
      return reset(c, send);
    case 0x02:
      if (c.bh >= rates.length) return done(Code.badInput);
      return send([0xf3, rates[c.bh]]);
    case 0x03:
      if (c.bh > 3) return done(Code.badInput);
      return send([0xe8, c.bh]);
    case 0x04:
      return send([0xf2], 1, (r) => c.bh = r[0]);
    case 0x06:
      if (c.bh === 0) {
        return send([0xe9], 3, (r) => {
          c.bl = r[0];
          c.cl = r[1];
          c.dl = r[2];
        });
      }
      if (c.bh > 2) return done(Code.badInput);
      return send([c.bh === 1 ? 0xe6 : 0xe7]);
    case 0x07: {
      const on = c.es !== 0 || c.bx !== 0;
      c.write32(Ebda.mouseHandler, ((c.es << 16) | c.bx) >>> 0);
      c.write8(Ebda.mouseFlags2, (c.read8(Ebda.mouseFlags2) & 0x7f) | (on ? HANDLER : 0));
      if (!on) enablePort(c, false);
      return done(Code.ok);
    }
    default:
      return done(Code.badFunction);
  }
}

function reset(
  c: FrameContext,
  send: (bytes: number[], reply: number, use: (r: number[]) => void) => void,
): void {
  enablePort(c, false);
  send([0xff], 2, (r) => {
    c.bl = r[0]; // AAh
    c.bh = r[1]; // device 0
  });
}

/** IRQ 12: collects a packet, then calls the program's handler with it on the stack. */
export function irqMouse(c: FrameContext): void {
  if (c.phase !== 0) return eoiSlave(c);
  const status = c.inb(PS2_STATUS);
  if ((status & (Ps2Status.OBF | Ps2Status.AUX)) !== (Ps2Status.OBF | Ps2Status.AUX)) {
    return eoiSlave(c);
  }
  const byte = c.inb(PS2_DATA);
  const flags2 = c.read8(Ebda.mouseFlags2);
  if ((flags2 & HANDLER) === 0) return eoiSlave(c);
  const index = c.read8(Ebda.mouseFlags1) & 7, last = (flags2 & 7) || 2;
  c.write8(Ebda.mouseData + index, byte);
  if (index < last) {
    c.write8(Ebda.mouseFlags1, index + 1);
    return eoiSlave(c);
  }
  c.write8(Ebda.mouseFlags1, 0);
  const d = (n: number) => c.read8(Ebda.mouseData + n);
  const handler = c.read32(Ebda.mouseHandler);
  c.call(handler >>> 16, handler & 0xffff, 1, [d(0), d(1), d(2), last >= 3 ? d(3) : 0]);
}
