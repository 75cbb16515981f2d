import { assert, assertEquals, assertThrows } from "@std/assert";
import { UserError } from "../../core/errors.ts";
import { loadPvhElf } from "./elf.ts";
import { loadKernel } from "./load.ts";
import { CMDLINE_ADDRESS, START_INFO_ADDRESS } from "./pvh.ts";
import { Key } from "./rom.ts";

const BASE = 0x100000, MIB = 1 << 20;

/** An ELF file with one segment at {@link BASE} and a note of `type`, whose descriptor is `entry`. */
function elf(bits: 32 | 64, entry: number, code: readonly number[] = [], type = 18): Uint8Array {
  const wide = bits === 64, head = wide ? 64 : 52, program = wide ? 56 : 32;
  const noteAt = head + 2 * program, noteSize = 16 + (wide ? 8 : 4), codeAt = noteAt + noteSize;
  const b = new Uint8Array(codeAt + code.length), v = new DataView(b.buffer);
  b.set([0x7f, 0x45, 0x4c, 0x46, wide ? 2 : 1, 1, 1]);
  v.setUint16(16, 2, true);
  v.setUint16(18, wide ? 62 : 3, true);
  v.setUint32(24, BASE, true);
  v.setUint32(wide ? 32 : 28, head, true);
  v.setUint16(wide ? 54 : 42, program, true);
  v.setUint16(wide ? 56 : 44, 2, true);
  const put = (n: number, kind: number, offset: number, size: number, memory: number) => {
    const at = head + n * program;
    v.setUint32(at, kind, true);
    const fields = wide ? [8, 16, 24, 32, 40] : [4, 8, 12, 16, 20];
    [offset, BASE + offset, BASE + offset, size, memory].forEach((value, i) =>
      v.setUint32(at + fields[i], value, true)
    );
  };
  put(0, 1, 0, b.length, b.length + 4096);
  put(1, 4, noteAt, noteSize, noteSize);
  [4, noteSize - 16, type].forEach((value, i) => v.setUint32(noteAt + 4 * i, value, true));
  b.set(new TextEncoder().encode("Xen\0"), noteAt + 12);
  v.setUint32(noteAt + 16, entry === -1 ? BASE + codeAt : entry, true);
  b.set(code, codeAt);
  return b;
}

function load(image: Uint8Array, initrd?: Uint8Array, ram = 64 * MIB) {
  const files = { kernel: "k", initrd: initrd && "i", append: "a=b" };
  const k = loadKernel(files, ram, () => {}, (p) => p === "k" ? image : initrd!);
  const item = (key: number) => k.items.find(([n]) => n === key)![1];
  const view = (key: number) => {
    const b = item(key);
    return new DataView(b.buffer, b.byteOffset, b.byteLength);
  };
  return { rom: k.rom.name, item, view, number: (key: number) => view(key).getUint32(0, true) };
}

Deno.test("the note's entry is taken, of 32- and 64-bit files", () => {
  for (const bits of [32, 64] as const) {
    const k = load(elf(bits, BASE + 0x77));
    assertEquals(k.rom, "pvh.bin");
    assertEquals([k.number(Key.KERNEL_ENTRY), k.number(Key.KERNEL_ADDR)], [BASE + 0x77, BASE]);
    assertEquals(k.item(Key.KERNEL_DATA).length, elf(bits, 0).length + 4096);
    assertEquals(new TextDecoder().decode(k.item(Key.CMDLINE_DATA)), "a=b\0");
  }
});

Deno.test("hvm_start_info: magic, version, command line, one module", () => {
  const plain = load(elf(64, BASE)).view(Key.SETUP_DATA);
  assertEquals([0, 4, 12, 16, 24].map((at) => plain.getUint32(at, true)), [
    0x336ec578,
    1,
    0,
    0,
    CMDLINE_ADDRESS,
  ]);
  const k = load(elf(64, BASE), new Uint8Array(5000)), v = k.view(Key.SETUP_DATA);
  const list = v.getUint32(16, true) - START_INFO_ADDRESS;
  assertEquals([v.getUint32(12, true), list], [1, 56]);
  const [at, size] = [v.getUint32(list, true), v.getUint32(list + 8, true)];
  assertEquals([at, size], [k.number(Key.INITRD_ADDR), 5000]);
  assert(at % 4096 === 0 && at + size <= 64 * MIB - 0x28000);
});

Deno.test("files without the note, and broken ones, get QEMU's words", () => {
  const refused = (image: Uint8Array, message: string) =>
    assertEquals(assertThrows(() => load(image), UserError).message, message);
  refused(elf(32, 0), "Error loading uncompressed kernel without PVH ELF Note");
  refused(elf(64, BASE, [], 17), "Error loading uncompressed kernel without PVH ELF Note");
  const far = elf(32, BASE);
  new DataView(far.buffer).setUint32(52 + 16, 0x10000, true);
  refused(far, "Error while loading elf kernel");
  const arm = elf(64, BASE);
  arm[18] = 0xb7;
  refused(arm, "Error while loading elf kernel");
});

Deno.test("a note that lies about its size is no note", () => {
  const image = elf(64, BASE), noteAt = 64 + 2 * 56;
  new DataView(image.buffer).setUint32(noteAt + 4, 0xfffffff0, true);
  assertEquals(loadPvhElf(image), undefined);
});

Deno.test("the ROM starts such a kernel with its structure in EBX", async () => {
  // Ends with status 2n + 1, n being 1 for the magic, 2 for a map of more than 3 entries, 4 for an
  // RSDP: cmp dword [ebx], 336ec578h; sete al; cmp dword [ebx+48], 3; seta dl; mov ecx, [ebx+32];
  // cmp dword [ecx], "RSD "; sete cl; lea eax, [eax+2*edx]; lea eax, [eax+4*ecx]; out 0f4h, al
  const code = "31 c0 31 d2 81 3b 78 c5 6e 33 0f 94 c0 83 7b 30 03 0f 97 c2 8b 4b 20 " +
    "81 39 52 53 44 20 0f 94 c1 0f b6 c9 8d 04 50 8d 04 88 e6 f4 f4";
  const file = await Deno.makeTempFile();
  try {
    await Deno.writeFile(file, elf(32, -1, code.split(" ").map((b) => parseInt(b, 16))));
    const { code: status } = await new Deno.Command(Deno.execPath(), {
      args: [
        ...["run", "-A", "--no-check", new URL("../../cli.ts", import.meta.url).pathname],
        ...["-nodefaults", "-display", "none", "-m", "16", "-kernel", file],
        ...["-device", "isa-debug-exit,iobase=0xf4"],
      ],
    }).output();
    assertEquals(status, 2 * 7 + 1);
  } finally {
    await Deno.remove(file);
  }
});
