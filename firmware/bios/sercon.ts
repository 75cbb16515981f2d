/**
 * Serial console mirroring: text that programs write through INT 10h also goes to a serial port as a
 * VT100 stream, and bytes that arrive there become keys. Used under `-nographic`
 * (fw_cfg `etc/sercon-port`).
 */
import type { FrameContext } from "./frame.ts";
import { Bda, Private, PRIVATE_BASE } from "./layout.ts";
import { keyRoom, putKey } from "./keyboard.ts";

const LSR_DATA = 0x01, LSR_THRE = 0x20;
const P = PRIVATE_BASE;

/** Starts mirroring on a 16550 at `port`: 115200 8N1. The INT 10h vector is taken over later. */
export function initSercon(c: FrameContext, port: number): void {
  c.outb(port + 3, 0x80);
  c.outb(port, 1);
  c.outb(port + 1, 0);
  c.outb(port + 3, 0x03);
  c.outb(port + 1, 0);
  c.outb(port + 4, 0x0b);
  c.write16(P + Private.serconPort, port);
  c.write8(P + Private.serconColumn, 0xff);
  c.write8(P + Private.serconRow, 0xff);
  c.write8(P + Private.serconAttr, 0x07);
  c.write8(P + Private.serconInput, 0);
}

function send(c: FrameContext, port: number, text: string): void {
  for (const ch of text) {
    for (let n = 0; n < 1000 && (c.inb(port + 5) & LSR_THRE) === 0; n++);
    c.outb(port, ch.charCodeAt(0));
  }
}

/** Code page 437's upper half and control pictures as ASCII: what any terminal can show. */
const upper = "CueaaaaceeeiiiAAEaAooouuyOUcLYPfaiounNao?--24!<>:%#||||++||+++++" +
  "+--|-+||++--|-+----++++++++##||#aBTpSsuttOd8oE^=+><()/~o*.vn2# ";
const low = " oo*******o****&!><|!!S_|^v><L<>^v";

function printable(code: number): string {
  if (code < 0x20) return low[code] ?? ".";
  if (code < 0x7f) return String.fromCharCode(code);
  return code === 0x7f ? "^" : upper[code - 0x80] ?? " ";
}

function page(c: FrameContext): number {
  return c.read8(0x462) & 7;
}

/** Brings the terminal's cursor to where the video BIOS has its own. */
function syncCursor(c: FrameContext, port: number): void {
  const pos = c.read16(Bda.cursor + 2 * page(c)), column = pos & 0xff, row = pos >> 8;
  if (column === c.read8(P + Private.serconColumn) && row === c.read8(P + Private.serconRow)) {
    return;
  }
  if (column === 0 && row === c.read8(P + Private.serconRow)) send(c, port, "\r");
  else send(c, port, `\x1b[${row + 1};${column + 1}H`);
  c.write8(P + Private.serconColumn, column);
  c.write8(P + Private.serconRow, row);
}

function setAttribute(c: FrameContext, port: number, attr: number): void {
  if (attr === c.read8(P + Private.serconAttr)) return;
  const order = [0, 4, 2, 6, 1, 5, 3, 7];
  let s = "\x1b[0";
  if (attr & 8) s += ";1";
  if ((attr & 7) !== 7) s += `;3${order[attr & 7]}`;
  if ((attr & 0x70) !== 0) s += `;4${order[(attr >> 4) & 7]}`;
  send(c, port, s + "m");
  c.write8(P + Private.serconAttr, attr);
}

const columns = (c: FrameContext) => c.read16(Bda.videoColumns) || 80;
const rows = (c: FrameContext) => (c.read8(Bda.videoRows) || 24) + 1;

function advance(c: FrameContext, count: number): void {
  const column = c.read8(P + Private.serconColumn) + count;
  // At the right edge terminals differ: the next character positions itself again.
  c.write8(P + Private.serconColumn, column >= columns(c) ? 0xff : column);
}

function teletype(c: FrameContext, port: number, code: number): void {
  switch (code) {
    case 0x07:
      return send(c, port, "\x07");
    case 0x08:
    case 0x0d:
    case 0x0a: {
      syncCursor(c, port);
      send(c, port, String.fromCharCode(code));
      const column = c.read8(P + Private.serconColumn), row = c.read8(P + Private.serconRow);
      if (code === 0x0d) c.write8(P + Private.serconColumn, 0);
      else if (code === 0x08) c.write8(P + Private.serconColumn, Math.max(0, column - 1));
      else c.write8(P + Private.serconRow, Math.min(row + 1, rows(c) - 1));
      return;
    }
  }
  syncCursor(c, port);
  send(c, port, printable(code));
  advance(c, 1);
}

/** Replaces INT 10h: mirrors what the function does to the text screen, then chains to the video BIOS. */
export function int10Mirror(c: FrameContext): void {
  const port = c.read16(P + Private.serconPort);
  const vector = c.read32(P + Private.videoVector);
  if (port !== 0) mirror(c, port);
  if (vector !== 0) c.chain(vector >>> 16, vector & 0xffff);
  else withoutVideo(c);
}

function mirror(c: FrameContext, port: number): void {
  switch (c.ah) {
    case 0x00:
      setAttribute(c, port, 0x07);
      send(c, port, "\x1b[2J\x1b[H");
      c.write16(P + Private.serconColumn, 0);
      return;
    case 0x06:
    case 0x07:
      if (c.al === 0 && c.cx === 0 && c.dh >= rows(c) - 1) {
        setAttribute(c, port, c.bh);
        send(c, port, "\x1b[2J\x1b[H");
        c.write16(P + Private.serconColumn, 0);
      } else if (c.ah === 6 && c.ch === 0 && c.dh >= rows(c) - 1) {
        send(c, port, `\x1b[${rows(c)};1H` + "\n".repeat(Math.min(c.al || rows(c), rows(c))));
        c.write16(P + Private.serconColumn, (rows(c) - 1) << 8);
      }
      return;
    case 0x09:
    case 0x0a: {
      if (c.ah === 9) setAttribute(c, port, c.bl);
      syncCursor(c, port);
      const room = columns(c) - (c.read16(Bda.cursor + 2 * page(c)) & 0xff);
      const count = Math.min(c.cx, Math.max(room, 0));
      if (c.cx > 1 && c.al === 0x20 && count === room) send(c, port, "\x1b[K");
      else {
        send(c, port, printable(c.al).repeat(count));
        advance(c, count);
      }
      return;
    }
    case 0x0e:
      return teletype(c, port, c.al);
    case 0x13: {
      const length = Math.min(c.cx, columns(c) * rows(c));
      if (c.dx !== 0xffff) {
        send(c, port, `\x1b[${c.dh + 1};${c.dl + 1}H`);
        c.write8(P + Private.serconColumn, c.dl);
        c.write8(P + Private.serconRow, c.dh);
      }
      let at = c.es * 16 + c.bp;
      for (let n = 0; n < length; n++, at++) {
        const code = c.read8(at);
        if (c.al & 2) setAttribute(c, port, c.read8(++at));
        else setAttribute(c, port, c.bl);
        if (code === 13 || code === 10 || code === 8 || code === 7) {
          send(c, port, String.fromCharCode(code));
          continue;
        }
        send(c, port, printable(code));
      }
      c.write8(P + Private.serconColumn, 0xff);
      return;
    }
  }
}

/** A machine without a display adapter: enough of INT 10h for programs that print. */
function withoutVideo(c: FrameContext): void {
  const at = Bda.cursor + 2 * page(c);
  switch (c.ah) {
    case 0x02:
      c.write16(at, c.dx);
      return;
    case 0x03:
      c.dx = c.read16(at);
      c.cx = 0x0607;
      return;
    case 0x0e: {
      let column = c.read8(at), row = c.read8(at + 1);
      if (c.al === 13) column = 0;
      else if (c.al === 10) row++;
      else if (c.al === 8) column = Math.max(0, column - 1);
      else if (c.al !== 7 && ++column >= 80) {
        column = 0;
        row++;
      }
      c.write16(at, (Math.min(row, 24) << 8) | column);
      return;
    }
    case 0x0f:
      c.ax = 0x5003;
      c.bh = 0;
      return;
  }
}

// Input

/** Escape sequences of terminals (after ESC) and the keys they stand for. */
const sequences: Record<string, number> = {
  "[A": 0x4800,
  "[B": 0x5000,
  "[C": 0x4d00,
  "[D": 0x4b00,
  "OA": 0x4800,
  "OB": 0x5000,
  "OC": 0x4d00,
  "OD": 0x4b00,
  "[H": 0x4700,
  "[F": 0x4f00,
  "OH": 0x4700,
  "OF": 0x4f00,
  "[1~": 0x4700,
  "[2~": 0x5200,
  "[3~": 0x5300,
  "[4~": 0x4f00,
  "[5~": 0x4900,
  "[6~": 0x5100,
  "[7~": 0x4700,
  "[8~": 0x4f00,
  "OP": 0x3b00,
  "OQ": 0x3c00,
  "OR": 0x3d00,
  "OS": 0x3e00,
  "[11~": 0x3b00,
  "[12~": 0x3c00,
  "[13~": 0x3d00,
  "[14~": 0x3e00,
  "[15~": 0x3f00,
  "[17~": 0x4000,
  "[18~": 0x4100,
  "[19~": 0x4200,
  "[20~": 0x4300,
  "[21~": 0x4400,
  "[23~": 0x8500,
  "[24~": 0x8600,
};

const scanOf = new Map<number, number>();
for (
  const [scan, chars] of [
    [0x02, "1!"],
    [0x03, "2@"],
    [0x04, "3#"],
    [0x05, "4$"],
    [0x06, "5%"],
    [0x07, "6^"],
    [0x08, "7&"],
    [0x09, "8*"],
    [0x0a, "9("],
    [0x0b, "0)"],
    [0x0c, "-_\x1f"],
    [0x0d, "=+"],
    [0x0e, "\x08\x7f"],
    [0x0f, "\t"],
    [0x1a, "[{\x1b"],
    [0x1b, "]}\x1d"],
    [0x1c, "\r\n"],
    [0x27, ";:"],
    [0x28, "'\""],
    [0x29, "`~"],
    [0x2b, "\\|\x1c"],
    [0x33, ",<"],
    [0x34, ".>"],
    [0x35, "/?"],
    [0x39, " "],
    [0x01, "\x1b"],
  ] as const
) for (const ch of chars) scanOf.set(ch.charCodeAt(0), scan);
for (
  const [first, letters] of [[0x10, "qwertyuiop"], [0x1e, "asdfghjkl"], [0x2c, "zxcvbnm"]] as const
) {
  [...letters].forEach((ch, n) => {
    scanOf.set(ch.charCodeAt(0), first + n);
    scanOf.set(ch.toUpperCase().charCodeAt(0), first + n);
  });
}

function plain(c: FrameContext, byte: number): void {
  if (byte === 0x7f) byte = 0x08;
  let scan = scanOf.get(byte);
  if (scan === undefined && byte < 0x20) scan = scanOf.get(byte + 0x60);
  putKey(c, ((scan ?? 0) << 8) | byte);
}

/** Takes what has arrived, as far as there is room for it; a lone ESC becomes a key when nothing follows it. */
export function serconPoll(c: FrameContext): void {
  const port = c.read16(P + Private.serconPort);
  if (port === 0) return;
  const at = P + Private.serconInput;
  for (let n = 0; n < 64; n++) {
    const length = c.read8(at);
    // What there is no room for waits in the port, and whoever sends it with it.
    if (keyRoom(c) <= length || (c.inb(port + 5) & LSR_DATA) === 0) break;
    const byte = c.inb(port);
    if (length === 0 && byte !== 0x1b) {
      plain(c, byte);
      continue;
    }
    c.write8(at + 1 + length, byte);
    c.write8(at, length + 1);
    let text = "";
    for (let k = 1; k <= length; k++) text += String.fromCharCode(c.read8(at + 1 + k));
    const key = sequences[text];
    if (key !== undefined) {
      putKey(c, key);
      c.write8(at, 0);
    } else if (length >= 6 || !Object.keys(sequences).some((s) => s.startsWith(text))) {
      for (let k = 0; k <= length; k++) plain(c, c.read8(at + 1 + k));
      c.write8(at, 0);
    }
  }
  if (c.read8(at) === 1 && (c.inb(port + 5) & LSR_DATA) === 0) {
    plain(c, 0x1b);
    c.write8(at, 0);
  }
}
