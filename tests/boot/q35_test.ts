/** The q35 board boots: SATA CDs and disks, under our firmware and Debian's SeaBIOS. */
import { assertEquals } from "@std/assert";
import { booting } from "./session.ts";

const Q35 = ["-M", "q35", "-nographic", "-m", "64"];

Deno.test("q35: our firmware finds a SATA disk and CD drive with nothing to boot", async (t) => {
  const disk = await Deno.makeTempFile();
  try {
    await Deno.truncate(disk, 1 << 20);
    await booting(t, () => [...Q35, "-drive", `file=${disk},format=raw,index=0`], async (s) => {
      const at = await s.expect(/Booting from Hard Disk\.\.\.\s+Boot failed: not a bootable disk/);
      await s.expect(/Booting from DVD\/CD[^]*No bootable device/, at);
    });
  } finally {
    await Deno.remove(disk);
  }
});

Deno.test("q35: our firmware boots isolinux from a SATA CD, which obeys keys", async (t) => {
  await booting(t, async (get) => [...Q35, "-cdrom", await get("isolinux-iso")], async (s) => {
    const at = await s.expect(/boot: /);
    await s.type("nothing\r");
    await s.expect(/No such file or directory/, at);
    await s.type("\x01x");
    assertEquals(await s.status(), 0);
  });
});

Deno.test("q35: Debian's SeaBIOS boots GRUB from a SATA CD", async (t) => {
  await booting(
    t,
    async (get) => [
      ...[...Q35, "-bios", await get("seabios-256k")],
      ...["-cdrom", await get("grub-rescue-iso")],
    ],
    async (s) => {
      const at = await s.expect(/SeaBIOS \(version/);
      await s.expect(/GNU GRUB/, at);
    },
  );
});
