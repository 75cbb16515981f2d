/** INT 09h and INT 16h. IBM PS/2 and PC BIOS Interface Technical Reference. */
import type { FrameContext } from "./frame.ts";
import { Bda } from "./layout.ts";
import { extendedKeymap, isLetter, isPad, keymap } from "./keymap.ts";
import { eoiMaster } from "./irq.ts";
import { keyboardSend, PS2_DATA, PS2_STATUS, ps2Command, Ps2Status } from "./ps2.ts";
import { serconPoll } from "./sercon.ts";

const BDA = 0x400;

/** Bits of 40:17 and, in the high byte, 40:18. */
const Shift = {
  RIGHT: 0x0001,
  LEFT: 0x0002,
  CTRL: 0x0004,
  ALT: 0x0008,
  SCROLL: 0x0010,
  NUM: 0x0020,
  CAPS: 0x0040,
  INSERT: 0x0080,
  LEFT_CTRL: 0x0100,
  LEFT_ALT: 0x0200,
  SYSREQ_DOWN: 0x0400,
  PAUSE: 0x0800,
  SCROLL_DOWN: 0x1000,
  NUM_DOWN: 0x2000,
  CAPS_DOWN: 0x4000,
  INSERT_DOWN: 0x8000,
} as const;

/** Bits of 40:96. */
const Mode = { E1: 0x01, E0: 0x02, RIGHT_CTRL: 0x04, RIGHT_ALT: 0x08, KBD101: 0x10 } as const;

// The buffer

function bounds(c: FrameContext): [number, number] {
  const start = c.read16(Bda.kbdBufferStart), end = c.read16(Bda.kbdBufferEnd);
  return start < end ? [start, end] : [0x1e, 0x3e];
}

export function initKeyBuffer(c: FrameContext): void {
  for (const at of [Bda.kbdHead, Bda.kbdTail, Bda.kbdBufferStart]) c.write16(at, 0x1e);
  c.write16(Bda.kbdBufferEnd, 0x3e);
  c.write16(Bda.shiftFlags, 0);
  c.write8(Bda.kbdMode, Mode.KBD101);
  c.write8(Bda.kbdLeds, 0);
}

/** Stores a key; false when the buffer is full. */
export function putKey(c: FrameContext, ax: number): boolean {
  const [start, end] = bounds(c);
  const tail = c.read16(Bda.kbdTail);
  const next = tail + 2 >= end ? start : tail + 2;
  if (next === c.read16(Bda.kbdHead)) return false;
  c.write16(BDA + tail, ax);
  c.write16(Bda.kbdTail, next);
  return true;
}

/** How many keys can still be stored. */
export function keyRoom(c: FrameContext): number {
  const [start, end] = bounds(c), size = (end - start) / 2;
  const used = (c.read16(Bda.kbdTail) - c.read16(Bda.kbdHead)) / 2;
  return size - 1 - (used < 0 ? used + size : used);
}

/** The oldest key, or undefined. */
export function peekKey(c: FrameContext): number | undefined {
  const head = c.read16(Bda.kbdHead);
  return head === c.read16(Bda.kbdTail) ? undefined : c.read16(BDA + head);
}

export function dropKey(c: FrameContext): void {
  const [start, end] = bounds(c);
  const head = c.read16(Bda.kbdHead) + 2;
  c.write16(Bda.kbdHead, head >= end ? start : head);
}

// INT 09h

/** IRQ 1. Phase 1: INT 15h/4Fh has seen the scan code; 2: a nested interrupt has returned. */
export function irqKeyboard(c: FrameContext): void {
  if (c.phase === 0) {
    if ((c.inb(PS2_STATUS) & (Ps2Status.OBF | Ps2Status.AUX)) !== Ps2Status.OBF) {
      return eoiMaster(c);
    }
    return c.interrupt(0x15, 1, 0x4f00 | c.inb(PS2_DATA));
  }
  if (c.phase === 1) {
    // CF clear: the program has taken the key.
    const nested = c.arg(1) & 1 ? processScanCode(c, c.arg(0) & 0xff) : undefined;
    eoiMaster(c);
    if (nested !== undefined) c.interrupt(nested[0], 2, nested[1]);
  }
}

/** Takes one set 1 byte; gives an interrupt to execute and its AX. */
export function processScanCode(c: FrameContext, code: number): [number, number] | undefined {
  const mode = c.read8(Bda.kbdMode);
  if (code === 0xe0 || code === 0xe1) {
    c.write8(Bda.kbdMode, mode | (code === 0xe0 ? Mode.E0 : Mode.E1));
    return undefined;
  }
  let nested: [number, number] | undefined;
  let keep = 0;
  if (code !== 0xfa && code !== 0xfe && code !== 0xee) {
    if (mode & Mode.E1) {
      // Pause is E1 1D 45: the state ends with its last byte.
      if ((code & 0x7f) === 0x1d) keep = Mode.E1;
      else if (code === 0x45) setFlags(c, getFlags(c) | Shift.PAUSE);
    } else nested = keyEvent(c, code & 0x7f, (code & 0x80) !== 0, (mode & Mode.E0) !== 0);
  }
  c.write8(Bda.kbdMode, (c.read8(Bda.kbdMode) & ~(Mode.E0 | Mode.E1)) | keep);
  return nested;
}

const getFlags = (c: FrameContext) => c.read16(Bda.shiftFlags);
const setFlags = (c: FrameContext, v: number) => c.write16(Bda.shiftFlags, v);

function keyEvent(
  c: FrameContext,
  scan: number,
  up: boolean,
  e0: boolean,
): [number, number] | undefined {
  const flags = getFlags(c);
  const hold = (mask: number) => {
    setFlags(c, up ? flags & ~mask : flags | mask);
  };
  /** A lock key toggles on its first make code only; `down` says that it is held. */
  const lock = (mask: number, down: number) => {
    if (up) setFlags(c, flags & ~down);
    else if ((flags & down) === 0) {
      setFlags(c, (flags ^ mask) | down);
      updateLeds(c);
    }
  };
  switch (scan) {
    case 0x2a:
      if (!e0) hold(Shift.LEFT);
      return;
    case 0x36:
      if (!e0) hold(Shift.RIGHT);
      return;
    case 0x1d:
    case 0x38: {
      const ctrl = scan === 0x1d;
      const left = ctrl ? Shift.LEFT_CTRL : Shift.LEFT_ALT;
      const right = ctrl ? Mode.RIGHT_CTRL : Mode.RIGHT_ALT;
      let mode = c.read8(Bda.kbdMode), f = flags;
      if (e0) mode = up ? mode & ~right : mode | right;
      else f = up ? f & ~left : f | left;
      const any = ctrl ? Shift.CTRL : Shift.ALT;
      f = (f & left) || (mode & right) ? f | any : f & ~any;
      setFlags(c, f);
      c.write8(Bda.kbdMode, mode);
      if (!ctrl && up && (f & Shift.ALT) === 0) altKeypadDone(c);
      return;
    }
    case 0x3a:
      return void lock(Shift.CAPS, Shift.CAPS_DOWN);
    case 0x45:
      if (!up && flags & Shift.CTRL && !e0) setFlags(c, flags | Shift.PAUSE);
      else lock(Shift.NUM, Shift.NUM_DOWN);
      return;
    case 0x46:
      if (e0 || flags & Shift.CTRL) {
        if (up) return;
        c.write8(Bda.breakFlag, 0x80);
        c.write16(Bda.kbdHead, c.read16(Bda.kbdTail));
        putKey(c, 0);
        return [0x1b, 0];
      }
      return void lock(Shift.SCROLL, Shift.SCROLL_DOWN);
    case 0x37:
      if (!e0) break;
      if (up || flags & Shift.CTRL) break;
      return [0x05, 0];
    case 0x54: // SysReq
      hold(Shift.SYSREQ_DOWN);
      return [0x15, 0x8500 | (up ? 1 : 0)];
    case 0x52:
      if (up) setFlags(c, flags & ~Shift.INSERT_DOWN);
      else if ((flags & Shift.INSERT_DOWN) === 0) {
        setFlags(c, (flags ^ Shift.INSERT) | Shift.INSERT_DOWN);
      }
      break;
    case 0x53:
      if (!up && flags & Shift.CTRL && flags & Shift.ALT) {
        c.write16(Bda.resetFlag, 0x1234);
        ps2Command(c, 0xfe); // pulses the CPU's reset line
        return;
      }
      break;
  }
  if (up) return;
  if (getFlags(c) & Shift.PAUSE) {
    setFlags(c, getFlags(c) & ~Shift.PAUSE); // any key ends a pause, and is eaten
    return;
  }
  const ax = translate(c, scan, e0);
  if (ax !== undefined) putKey(c, ax);
}

function translate(c: FrameContext, scan: number, e0: boolean): number | undefined {
  const flags = getFlags(c);
  const codes = (e0 ? extendedKeymap.get(scan) : undefined) ?? keymap.get(scan);
  if (codes === undefined) return undefined;
  if (flags & Shift.ALT) {
    if (isPad(scan) && !e0) {
      const digit = [7, 8, 9, -1, 4, 5, 6, -1, 1, 2, 3, 0, -1][scan - 0x47];
      if (digit >= 0) c.write8(Bda.altKeypad, c.read8(Bda.altKeypad) * 10 + digit);
      return codes[3] || undefined;
    }
    return codes[3] || undefined;
  }
  if (flags & Shift.CTRL) return codes[2] || undefined;
  let shifted = (flags & (Shift.LEFT | Shift.RIGHT)) !== 0;
  if (isLetter(scan) && flags & Shift.CAPS) shifted = !shifted;
  if (isPad(scan) && !e0 && flags & Shift.NUM) shifted = !shifted;
  return (shifted ? codes[1] : codes[0]) || undefined;
}

/** Alt with pad digits enters a character by its code. */
function altKeypadDone(c: FrameContext): void {
  const ch = c.read8(Bda.altKeypad);
  c.write8(Bda.altKeypad, 0);
  if (ch !== 0) putKey(c, ch);
}

function updateLeds(c: FrameContext): void {
  const leds = (getFlags(c) >> 4) & 7;
  if ((c.read8(Bda.kbdLeds) & 7) === leds) return;
  if (keyboardSend(c, 0xed, leds)) c.write8(Bda.kbdLeds, (c.read8(Bda.kbdLeds) & ~7) | leds);
}

// INT 16h

/** A key as functions 00h and 01h return it, or undefined when they must not see it. */
export function plainKey(ax: number): number | undefined {
  const scan = ax >> 8, ch = ax & 0xff;
  if (scan === 0xe0) return ch === 0x0d || ch === 0x0a ? 0x1c00 | ch : 0x3500 | ch;
  if (ch === 0xf0 && scan !== 0) return undefined;
  if (scan > 0x84) return undefined;
  if (ch === 0xe0 && scan !== 0) return scan << 8;
  return ax;
}

/** A key as functions 10h and 11h return it. */
function fullKey(ax: number): number {
  return (ax & 0xff) === 0xf0 && ax >> 8 !== 0 ? ax & 0xff00 : ax;
}

/** The next key this function may see; unwanted ones before it are dropped. */
function nextKey(c: FrameContext, extended: boolean): number | undefined {
  serconPoll(c);
  for (;;) {
    const ax = peekKey(c);
    if (ax === undefined) return undefined;
    const key = extended ? fullKey(ax) : plainKey(ax);
    if (key !== undefined) return key;
    dropKey(c);
  }
}

export function int16(c: FrameContext): void {
  switch (c.ah) {
    case 0x00:
    case 0x10: {
      const key = nextKey(c, c.ah === 0x10);
      if (key === undefined) return c.wait();
      dropKey(c);
      c.ax = key;
      return;
    }
    case 0x01:
    case 0x11: {
      const key = nextKey(c, c.ah === 0x11);
      c.setZero(key === undefined);
      if (key !== undefined) c.ax = key;
      // A program that only polls must get its interrupts, whatever it has in its flags image.
      c.setInterrupt(true);
      return;
    }
    case 0x02:
      c.al = c.read8(Bda.shiftFlags);
      return;
    case 0x03:
      if (c.al === 5) keyboardSend(c, 0xf3, ((c.bh & 3) << 5) | (c.bl & 0x1f));
      return;
    case 0x05:
      c.al = putKey(c, c.cx) ? 0 : 1;
      return;
    case 0x09:
      c.al = 0x30; // 03h/05h and 0Ah are there
      return;
    case 0x0a:
      c.bx = 0x41ab;
      return;
    case 0x12: {
      const flags2 = c.read8(Bda.shiftFlags2), mode = c.read8(Bda.kbdMode);
      c.al = c.read8(Bda.shiftFlags);
      c.ah = (flags2 & 0x73) | (mode & (Mode.RIGHT_CTRL | Mode.RIGHT_ALT)) |
        (flags2 & 0x04 ? 0x80 : 0);
      return;
    }
    case 0x92:
      c.ah = 0x80; // keyboard functions 10h–12h supported
      return;
  }
}
