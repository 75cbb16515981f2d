/** The 8042 as the BIOS drives it: Intel UPI-41 data book; IBM PS/2 keyboard and auxiliary device. */
import type { FrameContext } from "./frame.ts";

export const PS2_DATA = 0x60, PS2_STATUS = 0x64;
export const Ps2Status = { OBF: 0x01, IBF: 0x02, AUX: 0x20 } as const;
/** Looks at the status this often before giving up; the controller answers at once or never. */
const TRIES = 2000;

function waitInput(c: FrameContext): boolean {
  for (let n = 0; n < TRIES; n++) {
    const s = c.inb(PS2_STATUS);
    if (s === 0xff) return false;
    if ((s & Ps2Status.IBF) === 0) return true;
  }
  return false;
}

/** A command to the controller. */
export function ps2Command(c: FrameContext, command: number): boolean {
  if (!waitInput(c)) return false;
  c.outb(PS2_STATUS, command);
  return true;
}

export function ps2Write(c: FrameContext, value: number): boolean {
  if (!waitInput(c)) return false;
  c.outb(PS2_DATA, value);
  return true;
}

/** The next byte from the keyboard (or, with `aux`, the mouse); -1 when none comes. */
export function ps2Read(c: FrameContext, aux = false): number {
  for (let n = 0; n < TRIES; n++) {
    const s = c.inb(PS2_STATUS);
    if (s === 0xff) return -1;
    if ((s & Ps2Status.OBF) === 0) continue;
    const value = c.inb(PS2_DATA);
    if (((s & Ps2Status.AUX) !== 0) === aux) return value;
  }
  return -1;
}

/** Throws away what is waiting. */
export function ps2Flush(c: FrameContext): void {
  for (let n = 0; n < 64; n++) {
    const s = c.inb(PS2_STATUS);
    if (s === 0xff || (s & Ps2Status.OBF) === 0) return;
    c.inb(PS2_DATA);
  }
}

export function ps2ReadCommandByte(c: FrameContext): number {
  return ps2Command(c, 0x20) ? ps2Read(c) : -1;
}

export function ps2WriteCommandByte(c: FrameContext, value: number): boolean {
  return ps2Command(c, 0x60) && ps2Write(c, value);
}

/** Sends bytes to the keyboard; true when each is acknowledged. */
export function keyboardSend(c: FrameContext, ...bytes: number[]): boolean {
  return bytes.every((b) => ps2Write(c, b) && ps2Read(c) === 0xfa);
}

/** Sends a command with its arguments to the mouse and reads `reply` bytes behind the last ACK. */
export function mouseSend(
  c: FrameContext,
  bytes: readonly number[],
  reply = 0,
): number[] | undefined {
  const old = ps2ReadCommandByte(c);
  if (old < 0) return undefined;
  // Neither interrupts nor keys in between.
  ps2WriteCommandByte(c, (old & ~0x33) | 0x10);
  const finish = (r: number[] | undefined) => {
    ps2WriteCommandByte(c, old);
    return r;
  };
  for (const b of bytes) {
    if (!ps2Command(c, 0xd4) || !ps2Write(c, b) || ps2Read(c, true) !== 0xfa) {
      return finish(undefined);
    }
  }
  const out: number[] = [];
  for (let n = 0; n < reply; n++) {
    const v = ps2Read(c, true);
    if (v < 0) return finish(undefined);
    out.push(v);
  }
  return finish(out);
}

/** POST: self test, both ports on, keyboard reset, translation to set 1. */
export function initKeyboard(c: FrameContext): boolean {
  ps2Flush(c);
  if (!ps2Command(c, 0xaa) || ps2Read(c) !== 0x55) return false;
  ps2Command(c, 0xab);
  ps2Read(c);
  ps2WriteCommandByte(c, 0x30); // both clocks off, no interrupts
  ps2Command(c, 0xae);
  if (!keyboardSend(c, 0xff)) return false;
  ps2Read(c); // BAT completion
  keyboardSend(c, 0xf5);
  keyboardSend(c, 0xf0, 0x02); // set 2, which the controller translates
  ps2WriteCommandByte(c, 0x61); // translate, mouse clock off, IRQ 1
  keyboardSend(c, 0xf4);
  return true;
}
