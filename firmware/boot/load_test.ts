import { assert, assertEquals, assertThrows } from "@std/assert";
import { BareUserError } from "../../core/options/host.ts";
import { UserError } from "../../core/errors.ts";
import { BiosRig } from "../bios/rig.ts";
import { type LoadedKernel, loadKernel, splitModules } from "./load.ts";
import { INFO_ADDRESS } from "./multiboot.ts";
import { Key, linuxRom, multibootRom } from "./rom.ts";

const MIB = 1 << 20;

/** A kernel with a setup header: two setup sectors behind the boot sector. */
function bzImage(protocol: number, loadflags = 1): Uint8Array {
  const b = new Uint8Array(4096), v = new DataView(b.buffer);
  b[0x1f1] = 2;
  v.setUint32(0x202, 0x53726448, true);
  v.setUint16(0x206, protocol, true);
  b[0x211] = loadflags;
  v.setUint32(0x22c, 0x37ffffff, true);
  b.fill(0xaa, 1536);
  return b;
}

function item(k: LoadedKernel, key: number): Uint8Array {
  return k.items.find(([n]) => n === key)![1];
}
const number = (k: LoadedKernel, key: number) =>
  new DataView(item(k, key).buffer).getUint32(0, true);

function load(files: Record<string, Uint8Array>, append = "", initrd?: string, ram = 128 * MIB) {
  const warnings: string[] = [];
  const k = loadKernel({ kernel: "k", initrd, append }, ram, (w) => warnings.push(w), (p) => {
    if (files[p] === undefined) throw new Deno.errors.NotFound("No such file (os error 2)");
    return files[p];
  });
  return { ...k, warnings };
}

Deno.test("bzImage: where QEMU puts setup, command line, kernel and ramdisk", () => {
  const k = load({ k: bzImage(0x20f), i: new Uint8Array(5000) }, "root=/dev/ram", "i");
  assertEquals(
    [Key.SETUP_ADDR, Key.CMDLINE_ADDR, Key.KERNEL_ADDR].map((n) => number(k, n)),
    [0x10000, 0x20000, 0x100000],
  );
  const setup = new DataView(item(k, Key.SETUP_DATA).buffer);
  assertEquals(setup.byteLength, 1536);
  assertEquals(setup.getUint8(0x210), 0xb0);
  assertEquals(setup.getUint8(0x211), 0x81);
  assertEquals(setup.getUint32(0x228, true), 0x20000);
  const initrd = setup.getUint32(0x218, true);
  assertEquals([initrd % 4096, setup.getUint32(0x21c, true)], [0, 5000]);
  assert(initrd + 5000 <= 128 * MIB - 0x28000);
  assertEquals(new TextDecoder().decode(item(k, Key.CMDLINE_DATA)), "root=/dev/ram\0");
  assertEquals(item(k, Key.KERNEL_DATA)[0], 0xaa);
});

Deno.test("-dtb: behind the kernel, found through setup_data", () => {
  const load = (protocol: number, dtb: Uint8Array) =>
    loadKernel(
      { kernel: "k", initrd: undefined, append: "", dtb: "d" },
      128 * MIB,
      () => {},
      (p) => p === "k" ? bzImage(protocol) : dtb,
    );
  const tree = new Uint8Array([0xd0, 0x0d, 0xfe, 0xed]), k = load(0x20f, tree);
  const setup = new DataView(item(k, Key.SETUP_DATA).buffer);
  const at = Number(setup.getBigUint64(0x250, true)) - number(k, Key.KERNEL_ADDR);
  const data = item(k, Key.KERNEL_DATA), v = new DataView(data.buffer);
  assertEquals([at % 16, data.length], [0, at + 16 + 4]);
  assertEquals([v.getBigUint64(at, true), v.getUint32(at + 8, true)], [0n, 2]);
  assertEquals([v.getUint32(at + 12, true), v.getUint32(at + 16, false)], [4, 0xd00dfeed]);
  assertThrows(() => load(0x208, tree), BareUserError, "Linux kernel too old to load a dtb");
  assertThrows(() => load(0x20f, new Uint8Array(0)), BareUserError, "error reading dtb d: No such");
});

Deno.test("zImage and protocols before 2.02 go to 90000h", () => {
  const z = load({ k: bzImage(0x201, 0) }, "x");
  assertEquals([number(z, Key.SETUP_ADDR), number(z, Key.KERNEL_ADDR)], [0x90000, 0x10000]);
  const old = load({ k: bzImage(0x201, 1) }, "x");
  assertEquals([number(old, Key.SETUP_ADDR), number(old, Key.KERNEL_ADDR)], [0x90000, 0x100000]);
  const v = new DataView(item(old, Key.SETUP_DATA).buffer);
  assertEquals(v.getUint16(0x20, true), 0xa33f);
});

Deno.test("vga= chooses the video mode; nonsense is refused", () => {
  const mode = (text: string) =>
    new DataView(item(load({ k: bzImage(0x20f) }, text), Key.SETUP_DATA).buffer).getUint16(
      0x1fa,
      true,
    );
  assertEquals(["vga=ask", "a vga=0x317 b", "vga=normal", "vga=791"].map(mode), [
    0xfffd,
    0x317,
    0xffff,
    791,
  ]);
  assertThrows(() => mode("vga=blue"), BareUserError, "qemu: invalid 'vga=' kernel parameter.");
});

Deno.test("what is no kernel is refused in QEMU's words", () => {
  const bad = (files: Record<string, Uint8Array>, words: string, initrd?: string, ram?: number) =>
    assertThrows(() => load(files, "", initrd, ram), UserError, words);
  bad({}, "qemu: could not open kernel file 'k': No such file or directory");
  bad({ k: new Uint8Array(100) }, "qemu: invalid kernel header");
  bad({ k: new Uint8Array() }, "qemu: could not load kernel 'k': No such file or directory");
  bad(
    { k: bzImage(0x20f) },
    "qemu: error reading initrd i: Failed to open file “i”: open() failed: " +
      "No such file or directory",
    "i",
  );
  bad(
    { k: bzImage(0x20f), i: new Uint8Array(2 * MIB) },
    "qemu: initrd is too large, cannot support.(max: 933887, need 2097152)",
    "i",
    0x10c000,
  );
  const elf = new Uint8Array(9000);
  elf.set([0x7f, 0x45, 0x4c, 0x46, 2, 1]);
  bad({ k: elf }, "Error while loading elf kernel");
});

/** A flat multiboot kernel: header with addresses, 16 bytes of code. */
function flatKernel(flags = 0x10003): Uint8Array {
  const b = new Uint8Array(64), v = new DataView(b.buffer);
  const words = [0x1badb002, flags, -(0x1badb002 + flags), 0x100000, 0x100000, 0x100040, 0x100100];
  [...words, 0x100020].forEach((w, n) => v.setUint32(4 * n, w, true));
  return b;
}

Deno.test("multiboot: flat kernel, modules on pages, information structure", () => {
  const k = load(
    { k: flatKernel(), m: new Uint8Array(5000).fill(7), "n,o": new Uint8Array(3).fill(8) },
    "one two",
    "m first,n,,o second",
  );
  assertEquals([number(k, Key.KERNEL_ENTRY), number(k, Key.KERNEL_ADDR)], [0x100020, 0x100000]);
  assertEquals(number(k, Key.KERNEL_SIZE), 4096 + 8192 + 4096);
  const info = new DataView(item(k, Key.INITRD_DATA).buffer);
  const u32 = (at: number) => info.getUint32(at, true);
  const text = (address: number) => {
    let s = "";
    for (let at = address - INFO_ADDRESS; info.getUint8(at); at++) {
      s += String.fromCharCode(info.getUint8(at));
    }
    return s;
  };
  assertEquals([u32(0), text(u32(16)), u32(20)], [0x24f, "k one two", 2]);
  const mods = u32(24) - INFO_ADDRESS;
  assertEquals([u32(mods), u32(mods + 4), text(u32(mods + 8))], [0x101000, 0x102388, "m first"]);
  assertEquals([u32(mods + 16), text(u32(mods + 24))], [0x103000, "n,o second"]);
  assertEquals(item(k, Key.KERNEL_DATA)[0x3000], 8);
});

Deno.test("multiboot: ELF by segments; 64-bit ones and VBE wishes as QEMU treats them", () => {
  const elf = new Uint8Array(4200), v = new DataView(elf.buffer);
  elf.set([0x7f, 0x45, 0x4c, 0x46, 1, 1, 1]);
  v.setUint16(18, 3, true);
  v.setUint32(24, 0xc0100010, true); // entry, virtual
  v.setUint32(28, 52, true);
  v.setUint16(42, 32, true);
  v.setUint16(44, 1, true);
  [1, 4096, 0xc0100000, 0x100000, 100, 200].forEach((w, n) => v.setUint32(52 + 4 * n, w, true));
  [0x1badb002, 4, -(0x1badb002 + 4)].forEach((w, n) => v.setUint32(128 + 4 * n, w, true));
  elf[4096] = 0x99;
  const k = load({ k: elf });
  assertEquals(k.warnings, ["multiboot knows VBE. we don't"]);
  assertEquals([number(k, Key.KERNEL_ENTRY), number(k, Key.KERNEL_ADDR)], [0x100010, 0x100000]);
  assertEquals(item(k, Key.KERNEL_DATA)[0], 0x99);
  const wide = elf.slice();
  wide[4] = 2;
  wide[18] = 62;
  assertThrows(() => load({ k: wide }), UserError, "Cannot load x86-64 image, give a 32bit one.");
  const broken = elf.slice();
  new DataView(broken.buffer).setUint32(52 + 16, 0xffffffff, true);
  assertThrows(() => load({ k: broken }), UserError, "Error while loading elf kernel");
  assertThrows(() => load({ k: elf }, "", "gone x"), UserError, "Failed to open file 'gone'");
});

Deno.test("commas in module lists", () => {
  assertEquals(splitModules("a b,c,,d,e"), ["a b", "c,d", "e"]);
});

Deno.test("the option ROMs are valid, and the BIOS offers them first", () => {
  for (const rom of [linuxRom(), multibootRom()]) {
    assertEquals(rom.reduce((a, b) => a + b, 0) & 0xff, 0);
    assertEquals([rom[0], rom[1], rom[2] * 512], [0x55, 0xaa, rom.length]);
  }
  const r = new BiosRig({
    optionRoms: [{ name: "linuxboot_dma.bin", data: linuxRom(), bootindex: 0 }],
  });
  r.post();
  assertEquals(r.calls.filter((c) => c.endsWith(":3")), ["c800:3"]);
  let entered = "";
  r.onCall = () => {
    entered = r.calls.at(-1)!;
  };
  r.call(0x19, {}, 100, () => entered !== "");
  const bev = r.read16(0xc8000 + r.read16(0xc801a) + 0x1a);
  assertEquals(entered, `c800:${bev.toString(16)}`);
});
