/** The VGA BIOS as an option ROM image: stubs that trap, and the tables that guests read. */
import { Assembler } from "../asm/assembler.ts";
import { cs } from "../asm/operand.ts";
import { emitEntry, emitTrap } from "../bios/stub.ts";
import { makeFont } from "./font.ts";
import { FN_INIT, FN_INT10, ROM } from "./layout.ts";
import { MODE_NUMBERS, standardMode } from "./modes.ts";
import { ROM_SEGMENT } from "./bda.ts";

/** Modes that each entry of the video parameter table is for, as IBM orders them; −1: unused. */
const PARAMETER_ORDER = [
  ...[0, 1, 2, 3, 4, 5, 6, 7, -1, -1, -1, -1, -1, 0x0d, 0x0e, -1, -1, 0x0f, 0x10],
  ...[0, 1, 2, 3, 0, 2, 7, 0x11, 0x12, 0x13],
];

/** 16 KiB, checksummed, fit for PCI vendor 1234h device 1111h and for C0000h. */
export function makeVgaRom(): Uint8Array {
  const rom = new Uint8Array(ROM.size);
  rom.set(code());
  putText(rom, ROM.oemString, "qeno VBE");
  putText(rom, ROM.vendorString, "qeno");
  putText(rom, ROM.productString, "qeno VGA");
  putText(rom, ROM.revisionString, "1.0");
  rom.set(staticFunctionality(), ROM.staticFunctionality);
  const view = new DataView(rom.buffer);
  const far = (at: number, offset: number) => {
    view.setUint16(at, offset, true);
    view.setUint16(at + 2, ROM_SEGMENT, true);
  };
  far(ROM.savePointers, ROM.parameters);
  far(ROM.savePointers + 16, ROM.secondarySavePointers);
  view.setUint16(ROM.secondarySavePointers, 26, true);
  far(ROM.secondarySavePointers + 2, ROM.displayCombinations);
  // Display combinations this adapter can be part of: none, VGA colour, VGA mono.
  rom.set([3, 1, 8, 0, 0, 0, 0, 8, 0, 7], ROM.displayCombinations);
  PARAMETER_ORDER.forEach((mode, i) => {
    if (mode >= 0) rom.set(parameters(mode), ROM.parameters + 64 * i);
  });
  rom.set(makeFont(8), ROM.font8);
  rom.set(makeFont(14), ROM.font14);
  rom.set(makeFont(16), ROM.font16);
  rom[ROM.size - 1] = -rom.reduce((a, b) => a + b, 0);
  return rom;
}

function putText(rom: Uint8Array, at: number, text: string): void {
  rom.set(new TextEncoder().encode(text + "\0"), at);
}

function code(): Uint8Array {
  const a = new Assembler(16);
  a.db(0x55, 0xaa, ROM.size / 512);
  // POST calls the entry far; the common stub wants an interrupt's frame.
  a.i.jmp("init");
  a.org(0x18);
  a.dw(ROM.pciData);
  a.org(0x1e);
  a.db("IBM"); // where software looks for a VGA-compatible BIOS
  a.org(ROM.pciData);
  a.db("PCIR");
  a.dw(0x1234, 0x1111, 0, 24);
  a.db(0, 0x00, 0x00, 0x03);
  a.dw(ROM.size / 512, 1);
  a.db(0, 0x80);
  a.dw(0);
  a.org(0x80);
  a.label("init");
  a.i.pushf();
  a.i.push(cs);
  a.i.call("init_trap");
  a.i.retf();
  a.label("init_trap");
  emitEntry(a, FN_INIT);
  a.org(ROM.int10);
  emitEntry(a, FN_INT10);
  emitTrap(a);
  const { bytes } = a.assemble();
  if (bytes.length > ROM.oemString) throw new RangeError("VGA BIOS code is too long");
  return bytes;
}

/** What every mode can do, for INT 10h/1Bh: 16 bytes. */
function staticFunctionality(): Uint8Array {
  const t = new Uint8Array(16);
  for (const mode of MODE_NUMBERS) t[mode >> 3] |= 1 << (mode & 7);
  t[7] = 0x07; // 200, 350 and 400 lines
  t[8] = 2; // character blocks shown at once
  t[9] = 8; // character blocks
  // All functions; no light pen; save pointers, DCC, blinking, save and restore, colour paging.
  t[10] = 0xff;
  t[11] = 0x0e;
  t[14] = 0x3c; // save pointer functions
  return t;
}

/** An entry of the video parameter table. */
function parameters(number: number): Uint8Array {
  const m = standardMode(number)!;
  const cursor = m.model === "text" ? 1 : 0;
  return Uint8Array.from([
    ...[m.columns, m.rows - 1, m.charHeight, m.pageSize & 0xff, m.pageSize >> 8],
    ...m.seq,
    m.misc,
    ...m.crtc.map((v, i) => cursor === 0 && (i === 0x0a || i === 0x0b) ? 0 : v),
    ...m.attr.slice(0, 20),
    ...m.gc,
  ]);
}
