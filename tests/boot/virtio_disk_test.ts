/**
 * Disks that only virtio can read, under the built-in firmware, Debian's SeaBIOS, and on QEMU: a boot
 * sector tells COM1 what INT 13h says of them, reads and writes, and all three must say the same.
 */
import { assertEquals, assertStringIncludes } from "@std/assert";
import { Assembler } from "../../firmware/asm/assembler.ts";
import {
  al,
  ax,
  bp,
  bx,
  cl,
  cx,
  di,
  dl,
  ds,
  dx,
  edx,
  es,
  mem,
  si,
  sp,
  ss,
  word,
} from "../../firmware/asm/operand.ts";
import { ScreenSession } from "./screen.ts";
import { booting, obtained } from "./session.ts";

const LOAD = 0x7c00, MORE_SECTORS = 3, COM1 = 0x3f8;
/** In low memory: the answer of function 48h, a packet, a sector. */
const PARAMETERS = 0x600, PACKET = 0x680, BUFFER = 0x8800;
const QEMU = "qemu-system-x86_64";
const EXIT_PORT = 0xf4, EXIT_STATUS = 0x21, EXIT_VALUE = 0x10;
/** The sector that is copied, and where to. */
const FROM = 300, TO = 77;

/** A program that asks INT 13h about each drive and copies a sector of it; `drives` of them. */
function bootSectors(drives: number): Uint8Array {
  const a = new Assembler(16, LOAD), { i } = a;
  const say = (text: string) => {
    i.call("say");
    a.db(text, 0);
  };
  /** INT 13h for the drive in BP with `packet` in SI, then AX, CX, DX, FLAGS' carry on a line. */
  const ask = (name: string, fn: number, packet = 0) => {
    i.mov(ax, fn << 8);
    i.mov(si, packet);
    i.mov(dx, bp);
    i.int(0x13);
    i.pushf();
    i.push(dx);
    i.push(cx);
    i.push(ax);
    say(name);
    for (let n = 0; n < 3; n++) {
      i.pop(dx);
      i.call("hex");
    }
    i.pop(dx);
    i.and(dx, 1);
    i.call("hex");
  };

  i.xor(ax, ax);
  for (const segment of [ds, es, ss]) i.mov(segment, ax);
  i.mov(sp, LOAD);
  i.mov(bp, dx);
  i.and(bp, 0xff);
  i.mov(ax, 0x0200 | MORE_SECTORS);
  i.mov(bx, LOAD + 512);
  i.mov(cx, 2);
  i.xor(dx, dx);
  i.mov(dx, bp);
  i.int(0x13);
  i.jmp("program");
  a.org(LOAD + 510);
  a.db(0x55, 0xaa);

  a.label("program");
  say("VIRTIO ");
  i.mov(dx, bp);
  i.call("hex");
  a.label("drive");
  i.mov(cx, 0);
  i.mov(di, 0);
  ask("\nparameters ", 0x08);
  i.mov(di, 0);
  i.mov(es, di);
  ask("\ntype ", 0x15);
  i.mov(bx, 0x55aa);
  ask("\nextensions ", 0x41);
  i.mov(word(PARAMETERS), 0x1e);
  i.mov(cx, 0);
  ask("\ngeometry ", 0x48, PARAMETERS);
  i.mov(si, PARAMETERS + 2);
  i.mov(cx, 14);
  a.label("word");
  i.mov(dx, mem(si));
  i.add(si, 2);
  i.call("hex");
  i.loop("word");

  [0x10, 1, BUFFER, 0, FROM, 0, 0, 0].forEach((v, n) => i.mov(word(PACKET + 2 * n), v));
  i.mov(cx, 0);
  ask("\nread ", 0x42, PACKET);
  i.mov(dx, mem(BUFFER));
  i.call("hex");
  i.mov(word(PACKET + 8), TO);
  ask("\nwrite ", 0x43, PACKET);
  i.mov(word(PACKET + 8), 0xffff);
  ask("\nbehind the end ", 0x42, PACKET);
  i.inc(bp);
  i.cmp(bp, 0x80 + drives);
  i.jne("drive");
  say("\nend\n");
  i.mov(al, EXIT_VALUE);
  i.out(EXIT_PORT, al);
  a.label("halt");
  i.hlt();
  i.jmp("halt");

  a.label("say"); // the text behind the call
  i.pop(si);
  a.label("character");
  i.lodsb();
  i.test(al, al);
  i.je("said");
  i.call("put");
  i.jmp("character");
  a.label("said");
  i.jmp(si);

  a.label("hex"); // DX and a space
  i.push(cx);
  i.mov(cl, 4);
  a.label("digit");
  i.rol(dx, 4);
  i.mov(al, 15);
  i.and(al, dl);
  i.cmp(al, 10);
  i.jb("decimal");
  i.add(al, 39);
  a.label("decimal");
  i.add(al, 48);
  i.call("put");
  i.dec(cl);
  i.jne("digit");
  i.pop(cx);
  i.mov(al, 32);
  a.label("put"); // AL
  i.push(edx);
  i.mov(dx, COM1 + 5);
  i.push(ax);
  a.label("full");
  i.in(al, dx);
  i.test(al, 0x20);
  i.je("full");
  i.pop(ax);
  i.mov(dx, COM1);
  i.out(dx, al);
  i.pop(edx);
  i.ret();
  a.org(LOAD + 512 * (1 + MORE_SECTORS));
  return a.assemble().bytes;
}

/** A disk of which the program's sectors and sector FROM are written, with the disk's mark. */
async function makeDisk(path: string, mib: number, mark: number, program?: Uint8Array) {
  using file = await Deno.open(path, { write: true, create: true, truncate: true });
  await file.truncate(mib * 2 ** 20);
  if (program) await file.write(program);
  await file.seek(512 * FROM, Deno.SeekMode.Start);
  await file.write(new Uint8Array(512).fill(mark));
}

async function sector(path: string, n: number): Promise<number> {
  using file = await Deno.open(path);
  await file.seek(512 * n, Deno.SeekMode.Start);
  const b = new Uint8Array(512);
  await file.read(b);
  return b.every((v) => v === b[0]) ? b[0] : -1;
}

const main = decodeURIComponent(new URL("../../main.ts", import.meta.url).pathname);
const OURS = [Deno.execPath(), "run", "-A", "--no-check", "--quiet", main];

/** Runs the program from disk `a`, of `mib` MiB, beside disk `b`; gives what it printed. */
async function run(command: string[], args: string[], mib: [number, number]): Promise<string> {
  const dir = await Deno.makeTempDir();
  try {
    await makeDisk(`${dir}/a`, mib[0], 0xa1, bootSectors(2));
    await makeDisk(`${dir}/b`, mib[1], 0xb2);
    const { stdout, code } = await new Deno.Command(command[0], {
      args: [
        ...command.slice(1),
        ...["-m", "32", "-nodefaults", "-display", "none", "-serial", "stdio"],
        ...["-device", `isa-debug-exit,iobase=${EXIT_PORT},iosize=1`],
        ...["-drive", "file=a,format=raw,if=none,id=a"],
        ...["-drive", "file=b,format=raw,if=none,id=b"],
        ...args,
      ],
      cwd: dir,
      stdin: "null",
      stderr: "inherit",
    }).output();
    assertEquals(code, EXIT_STATUS);
    assertEquals([await sector(`${dir}/a`, TO), await sector(`${dir}/b`, TO)], [0xa1, 0xb2]);
    const text = new TextDecoder().decode(stdout).replaceAll(" \n", "\n");
    return text.slice(text.indexOf("VIRTIO"));
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

async function haveQemu(): Promise<boolean> {
  try {
    return (await new Deno.Command(QEMU, { args: ["-version"], stdout: "null" }).output()).success;
  } catch {
    return false;
  }
}

/** What Debian's SeaBIOS 1.16.2 says on QEMU 7.2. */
const TOLD = `VIRTIO 0080
parameters 0000 123f 0f02 0000
type 0300 0000 4ad0 0000
extensions 3000 0007 0080 0000
`;

const FUNCTION = "virtio-blk-pci,drive=", WINDOW = "virtio-blk-device,drive=";

Deno.test("pc, q35: a boot sector on virtio disks has INT 13h's services", async (t) => {
  const seabios = await obtained(t, (get) => get("seabios-256k"));
  const machines: [string, string[]][] = [
    ["pc", ["-device", `${FUNCTION}a`, "-device", `${FUNCTION}b,disable-modern=on`]],
    [
      "q35",
      [
        "-device",
        `${FUNCTION}b,bootindex=2`,
        "-device",
        `${FUNCTION}a,bootindex=1,disable-legacy=on`,
      ],
    ],
  ];
  for (const [machine, devices] of machines) {
    const args = ["-M", machine, ...devices];
    const text = await run(OURS, args, [10, 600]);
    assertEquals(text.slice(0, TOLD.length), TOLD);
    if (seabios === undefined) continue;
    const foreign = ["-bios", seabios];
    assertEquals(await run(OURS, [...args, ...foreign], [10, 600]), text);
    if (await haveQemu()) assertEquals(await run([QEMU], [...args, ...foreign], [10, 600]), text);
  }
});

Deno.test("microvm: a boot sector on disks in virtio windows has them too", async (t) => {
  const args = ["-M", "microvm", "-device", `${WINDOW}b`, "-device", `${WINDOW}a`];
  const text = await run(OURS, args, [10, 4096]);
  assertEquals(text.slice(0, TOLD.length), TOLD);
  const seabios = await obtained(t, (get) => get("seabios-microvm"));
  if (seabios === undefined) return;
  assertEquals(await run(OURS, [...args, "-bios", seabios], [10, 4096]), text);
});

Deno.test("GRUB starts from a virtio disk under the built-in firmware", async (t) => {
  for (const machine of ["pc", "q35", "microvm"]) {
    await booting(t, async (get) => [
      ...["-M", machine, "-nographic", "-m", "64"],
      ...["-drive", `file=${await get("grub-rescue-floppy")},format=raw,snapshot=on,if=none,id=a`],
      ...["-device", `${machine === "microvm" ? WINDOW : FUNCTION}a`],
    ], async (s) => {
      const at = await s.expect(/Booting from Hard Disk\.\.\./);
      await s.expect(/GNU GRUB/, at);
      await s.type("c");
      await s.expect(/grub> /, at);
    });
  }
});

Deno.test("the boot menu names virtio disks as SeaBIOS does", async (t) => {
  const floppy = await obtained(t, (get) => get("grub-rescue-floppy"));
  if (floppy === undefined) return;
  const s = new ScreenSession([
    ...["-m", "64", "-boot", "menu=on,splash-time=60000", "-net", "none"],
    ...["-drive", `file=${floppy},format=raw,snapshot=on,if=virtio`],
  ]);
  try {
    await s.expect(/Press ESC for boot menu/);
    await s.press("esc");
    const screen = await s.expect(/Select boot device:/);
    assertStringIncludes(screen, "1. Virtio disk PCI:00:03.0\n");
    await s.type("1");
    await s.expect(/^ *GNU GRUB +version/m);
  } finally {
    await s.stop();
  }
});
