/**
 * Runs a 64 KiB ROM in place of the BIOS on qeno and, where it is installed, on Debian's QEMU. The ROM
 * prints lines on port E9h and ends by writing 0 to port F4h.
 */
import { assertEquals } from "../../core/std/assert.ts";

const QEMU = "qemu-system-x86_64", LIMIT_MS = 60_000;
const CLI = new URL("../../cli.ts", import.meta.url).pathname;
const OPTIONS = "-display none -nodefaults -debugcon stdio -device isa-debug-exit,iobase=0xf4";

async function output(program: string, args: readonly string[]): Promise<string[]> {
  const child = new Deno.Command(program, { args: [...args], stdout: "piped", stderr: "inherit" })
    .spawn();
  const timer = setTimeout(() => child.kill(), LIMIT_MS);
  const { code, stdout } = await child.output();
  clearTimeout(timer);
  assertEquals(code, 1, `status of ${program}`);
  return new TextDecoder().decode(stdout).trim().split("\n");
}

async function installed(program: string): Promise<boolean> {
  try {
    return (await new Deno.Command(program, { args: ["--version"], stdout: "null" }).output())
      .success;
  } catch (e) {
    if (e instanceof Deno.errors.NotFound) return false;
    throw e;
  }
}

/** The lines that the ROM printed; `theirs` is undefined, and a note printed, without QEMU. */
export async function runRom(
  image: Uint8Array,
  ...options: string[]
): Promise<{ ours: string[]; theirs: string[] | undefined }> {
  const dir = await Deno.makeTempDir();
  try {
    const rom = `${dir}/test.rom`;
    await Deno.writeFile(rom, image);
    const args = ["-bios", rom, ...OPTIONS.split(" "), ...options];
    const ours = await output(Deno.execPath(), ["run", "-A", "--no-check", CLI, ...args]);
    if (await installed(QEMU)) return { ours, theirs: await output(QEMU, args) };
    console.log(`${QEMU} is not installed: not compared`);
    return { ours, theirs: undefined };
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}
