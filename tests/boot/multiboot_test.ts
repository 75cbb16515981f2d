/**
 * `-kernel` with a multiboot kernel and modules, under the built-in firmware and Debian's SeaBIOS: the
 * kernel tells COM1 what its information structure says, and QEMU must give it the same.
 */
import { assertEquals } from "@std/assert";
import { Assembler } from "../../firmware/asm/assembler.ts";
import {
  al,
  byte,
  dl,
  dx,
  eax,
  ebx,
  ecx,
  edi,
  edx,
  esi,
  esp,
  mem,
  sym,
} from "../../firmware/asm/operand.ts";

const MAGIC = 0x1badb002, BOOT_MAGIC = 0x2badb002;
/** Page-aligned modules, memory information, load addresses in the header. */
const FLAGS = 0x10003;
const LOAD = 0x100000, STACK = 0x90000, COM1 = 0x3f8;
/** Offsets in the information structure: Multiboot Specification 0.6.96, 3.3. */
const INFO = { lower: 4, upper: 8, cmdline: 16, modsCount: 20, modsAddr: 24 };
const EXIT_PORT = 0xf4, EXIT_VALUE = 0x10;

/** Prints command line, memory sizes, and name and content of every module; then ends the machine. */
function kernel(): Uint8Array {
  const a = new Assembler(32, LOAD), { i } = a;
  const say = (text: string) => {
    for (const c of text) {
      i.mov(al, c.charCodeAt(0));
      i.call("put");
    }
  };
  a.dd(MAGIC, FLAGS, (-(MAGIC + FLAGS)) >>> 0);
  a.dd(LOAD, LOAD, sym("end"), sym("end"), sym("start"));

  a.label("start");
  i.mov(esp, STACK);
  i.cmp(eax, BOOT_MAGIC);
  i.jne("finish");
  say("cmdline=");
  i.mov(esi, mem(ebx, INFO.cmdline));
  i.call("string");
  for (const field of [INFO.lower, INFO.upper]) {
    say("\nKiB=");
    i.mov(edx, mem(ebx, field));
    i.call("hex");
  }
  i.mov(ecx, mem(ebx, INFO.modsCount));
  i.mov(edi, mem(ebx, INFO.modsAddr));
  a.label("module");
  i.test(ecx, ecx);
  i.je("finish");
  say("\nmodule=");
  i.mov(esi, mem(edi, 8));
  i.call("string");
  say(" at=");
  i.mov(edx, mem(edi));
  i.call("hex");
  say(" text=");
  i.mov(esi, mem(edi));
  a.label("content");
  i.cmp(esi, mem(edi, 4));
  i.jae("next");
  i.mov(al, byte(esi));
  i.call("put");
  i.inc(esi);
  i.jmp("content");
  a.label("next");
  i.add(edi, 16);
  i.dec(ecx);
  i.jmp("module");

  a.label("finish");
  say("\n");
  i.mov(al, EXIT_VALUE);
  i.out(EXIT_PORT, al);
  a.label("halt");
  i.hlt();
  i.jmp("halt");

  a.label("string"); // at ESI, ends with a zero
  i.lodsb();
  i.test(al, al);
  i.je("return");
  i.call("put");
  i.jmp("string");

  a.label("hex"); // EDX, eight digits
  i.push(ecx);
  i.mov(ecx, 8);
  a.label("digit");
  i.rol(edx, 4);
  i.mov(al, 15);
  i.and(al, dl);
  i.cmp(al, 10);
  i.jb("decimal");
  i.add(al, 39);
  a.label("decimal");
  i.add(al, 48);
  i.call("put");
  i.dec(ecx);
  i.jne("digit");
  i.pop(ecx);
  a.label("return");
  i.ret();

  a.label("put"); // AL
  i.push(edx);
  i.mov(dx, COM1);
  i.out(dx, al);
  i.pop(edx);
  i.ret();
  a.label("end");
  return a.assemble().bytes;
}

const main = decodeURIComponent(new URL("../../main.ts", import.meta.url).pathname);
const QEMU = "qemu-system-x86_64", SEABIOS = "/usr/share/seabios/bios-256k.bin";

/** Serial output and exit status. */
async function run(command: string[], args: string[], cwd: string): Promise<[string, number]> {
  const { stdout, code } = await new Deno.Command(command[0], {
    args: [
      ...command.slice(1),
      ...["-M", "pc", "-m", "24", "-nodefaults", "-display", "none", "-serial", "stdio"],
      ...["-device", `isa-debug-exit,iobase=${EXIT_PORT},iosize=1`, "-kernel", "kernel"],
      ...args,
    ],
    cwd,
    stdin: "null",
    stderr: "inherit",
  }).output();
  return [new TextDecoder().decode(stdout), code];
}

function exists(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
}

async function haveQemu(): Promise<boolean> {
  try {
    return (await new Deno.Command(QEMU, { args: ["-version"], stdout: "null" }).output()).success;
  } catch {
    return false;
  }
}

Deno.test("a multiboot kernel gets its command line and modules", async () => {
  const dir = await Deno.makeTempDir();
  try {
    Deno.writeFileSync(`${dir}/kernel`, kernel());
    Deno.writeTextFileSync(`${dir}/one`, "first");
    Deno.writeTextFileSync(`${dir}/two`, "second");
    const args = ["-append", "a=1 b", "-initrd", "one with words,two"];
    const own = [Deno.execPath(), "run", "-A", "--quiet", main];
    const wanted = `cmdline=kernel a=1 b
KiB=0000027f
KiB=N
module=one with words at=PAGE text=first
module=two at=PAGE text=second
`;
    const check = async (command: string[], firmware: string[] = []) => {
      const [text, status] = await run(command, [...firmware, ...args], dir);
      // Each firmware keeps another part of the upper memory (23 MiB) for its tables.
      const told = text.replace(/KiB=00005[bc][0-9a-f]0$/m, "KiB=N");
      assertEquals(told.replaceAll(/at=0010[1-9a-f]000/g, "at=PAGE"), wanted);
      assertEquals(status, (EXIT_VALUE << 1) | 1);
    };
    await check(own);
    if (exists(SEABIOS)) await check(own, ["-bios", SEABIOS]);
    if (await haveQemu()) await check([QEMU]);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});
