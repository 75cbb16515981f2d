/**
 * Linux on virtio devices: on microvm by virtio-mmio, on q35 by virtio-pci with MSI-X. The guest
 * (tests/guests/virtio.ts) reads and writes its disk and says what it found.
 */
import { assertEquals, assertMatch } from "@std/assert";
import { HVC_TEXT, virtioInitrd } from "../guests/virtio.ts";
import type { guest } from "../guests/guests.ts";
import { booting } from "./session.ts";

const DISK = 1 << 20;

async function md5(bytes: Uint8Array<ArrayBuffer>, file: string): Promise<string> {
  await Deno.writeFile(file, bytes);
  const { stdout } = await new Deno.Command("md5sum", { args: [file] }).output();
  return new TextDecoder().decode(stdout).split(" ")[0];
}

/** Boots the guest on `machine` with the devices of `suffix`, and gives what it printed. */
async function run(t: Deno.TestContext, machine: string, suffix: string): Promise<string> {
  const dir = await Deno.makeTempDir();
  let text = "";
  try {
    const disk = `${dir}/disk`, before = new Uint8Array(DISK);
    for (let n = 0; n < DISK; n++) before[n] = n * 31 ^ n >> 9;
    const after = before.slice();
    after.copyWithin(DISK / 2, 0, DISK / 2);
    const sums = [await md5(before, `${dir}/before`), await md5(after, `${dir}/after`)];
    await Deno.writeFile(disk, before);
    await booting(t, async (get) => [
      ...["-M", machine, "-nodefaults", "-display", "none", "-serial", "stdio", "-m", "128"],
      ...["-kernel", await get("linuxcloud-kernel"), "-initrd", await virtioInitrd()],
      ...["-append", "console=ttyS0 quiet", "-no-reboot"],
      ...["-drive", `file=${disk},format=raw,if=none,id=d`],
      ...["-device", `virtio-blk-${suffix},drive=d,serial=qeno1`],
      ...["-chardev", `file,id=c,path=${dir}/hvc`, "-device", `virtio-serial-${suffix}`],
      ...["-device", "virtconsole,chardev=c", "-device", "virtserialport,name=org.qeno.test"],
      ...["-device", `virtio-rng-${suffix}`],
    ], async (s) => {
      await s.expect(/QENO done/);
      assertEquals(await s.status(), 0);
      text = s.text.replaceAll("\r", "");
      assertMatch(text, new RegExp(`QENO disk ${DISK / 512} serial=qeno1 ro=0`));
      assertMatch(text, new RegExp(`QENO before ${sums[0]}`));
      assertMatch(text, new RegExp(`QENO after ${sums[1]}`));
      assertMatch(text, /QENO rng 8192/);
      assertMatch(text, /QENO port org\.qeno\.test/);
      assertEquals(await Deno.readFile(disk), after);
      assertMatch(await Deno.readTextFile(`${dir}/hvc`), new RegExp(HVC_TEXT));
    });
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
  return text;
}

Deno.test("microvm: Linux finds virtio-mmio disk, console and random numbers, and powers off", async (t) => {
  const text = await run(t, "microvm", "device");
  if (text === "") return;
  assertMatch(text, /QENO irq +\d+: +[1-9]\d* +IO-APIC +23-fasteoi +virtio0/);
});

Deno.test("q35: the same by virtio-pci, with MSI-X", async (t) => {
  const text = await run(t, "q35", "pci");
  if (text === "") return;
  assertMatch(text, /QENO irq +\d+: +[1-9]\d* +PCI-MSI +\d+-edge +virtio0-req\.0/);
});

/** GRUB's image as a disk that only virtio can read. */
async function grubDisk(get: typeof guest, interface_: string): Promise<string> {
  return `file=${await get("grub-rescue-floppy")},format=raw,snapshot=on,${interface_}`;
}

Deno.test("pc: Debian's SeaBIOS boots GRUB from -drive if=virtio", async (t) => {
  await booting(t, async (get) => [
    ...["-nographic", "-m", "64", "-bios", await get("seabios-256k")],
    ...["-drive", await grubDisk(get, "if=virtio")],
  ], async (s) => {
    const at = await s.expect(/Booting from Hard Disk\.\.\./);
    await s.expect(/GNU GRUB/, at);
  });
});

Deno.test("microvm: Debian's SeaBIOS for it boots GRUB from a virtio-mmio disk", async (t) => {
  await booting(t, async (get) => [
    ...["-M", "microvm", "-nographic", "-m", "64", "-bios", await get("seabios-microvm")],
    ...["-drive", await grubDisk(get, "if=none,id=d"), "-device", "virtio-blk-device,drive=d"],
  ], async (s) => {
    const at = await s.expect(/Booting from Hard Disk\.\.\./);
    await s.expect(/GNU GRUB/, at);
  });
});
