/** El Torito discs of our writer, booted by an installed QEMU's firmware. */
import { assertEquals } from "@std/assert";
import { type BootEntry, makeIso } from "./iso9660.ts";

const QEMU = "qemu-system-x86_64";

function haveQemu(): boolean {
  try {
    return new Deno.Command(QEMU, { args: ["--version"], stdout: "null", stderr: "null" })
      .outputSync().success;
  } catch {
    return false;
  }
}

/**
 * A boot sector that ends QEMU with 10h plus the upper digit of the boot drive, unless the word at
 * 1FEh of what was loaded is not AA55h.
 */
function bootSector(): Uint8Array {
  const b = new Uint8Array(512);
  b.set([
    ...[0x88, 0xd0], // mov al, dl
    ...[0xc0, 0xe8, 0x04], // shr al, 4
    ...[0x0c, 0x10], // or al, 10h
    ...[0x2e, 0x81, 0x3e, 0xfe, 0x7d, 0x55, 0xaa], // cmp word [cs:7dfeh], 0aa55h
    ...[0x74, 0x02], // je +2
    ...[0x30, 0xc0], // xor al, al
    ...[0xe6, 0xf4], // out 0f4h, al
    ...[0xf4, 0xeb, 0xfd], // hlt; jmp -3
  ]);
  b.set([0x55, 0xaa], 510);
  return b;
}

async function exitValue(entries: BootEntry[], data: Uint8Array): Promise<number> {
  const path = Deno.makeTempFileSync({ suffix: ".iso" });
  try {
    Deno.writeFileSync(
      path,
      makeIso({ volumeId: "BOOT", files: [{ path: "boot.img", data }], boot: { entries } }),
    );
    const r = await new Deno.Command("timeout", {
      args: [
        "20",
        QEMU,
        ..."-display none -serial none -monitor none -nic none -m 16 -boot d".split(" "),
        ..."-device isa-debug-exit,iobase=0xf4,iosize=1 -cdrom".split(" "),
        path,
      ],
      stdout: "null",
      stderr: "null",
    }).output();
    return r.code >> 1;
  } finally {
    Deno.removeSync(path);
  }
}

Deno.test({
  name: "QEMU's SeaBIOS boots discs without emulation, as a floppy and as a hard disk",
  ignore: !haveQemu(),
  async fn() {
    const floppy = new Uint8Array(1474560), disk = new Uint8Array(1 << 20);
    floppy.set(bootSector());
    disk.set(bootSector());
    // One active partition of type 06h from sector 63: SeaBIOS takes the geometry from it.
    disk.set([0x80, 1, 1, 0, 0x06, 15, 63, 1, 63, 0, 0, 0, 0xc1, 0x07, 0, 0], 0x1be);
    const boot = (emulation: BootEntry["emulation"], data: Uint8Array) =>
      exitValue([{ path: "boot.img", emulation }], data);
    assertEquals(await boot("none", bootSector()), 0x1e);
    assertEquals(await boot("floppy", floppy), 0x10);
    assertEquals(await boot("hd", disk), 0x18);
  },
});
