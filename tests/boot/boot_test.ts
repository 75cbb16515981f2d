/**
 * Whole-machine boots through the command line, judged by what the guest prints on its serial port.
 * Guests come from Debian packages; where they cannot be had the tests say so and are skipped.
 */
import { assertEquals, assertMatch } from "@std/assert";
import { guest, GuestUnavailable, INIT_MARKER } from "../guests/guests.ts";
import { seabios } from "./firmware.ts";
import { ScreenSession } from "./screen.ts";
import { booting } from "./session.ts";

Deno.test("our firmware says when nothing can be booted", async (t) => {
  await booting(t, () => ["-nographic", "-m", "32"], async (s) => {
    await s.expect(/No bootable device/);
  });
});

Deno.test("Debian's SeaBIOS runs its power-on self test", async (t) => {
  await booting(
    t,
    async (get) => ["-nographic", "-m", "32", "-bios", await get("seabios")],
    async (s) => {
      await s.expect(/SeaBIOS \(version/);
      await s.expect(/No bootable device/);
    },
  );
});

Deno.test("a Linux ISO boots on two vCPUs to a shell and powers off", async (t) => {
  await booting(
    t,
    async (get) => ["-nographic", "-smp", "2", "-m", "256", "-cdrom", await get("linux686-iso")],
    async (s) => {
      let at = await s.expect(/ISOLINUX/);
      at = await s.expect(new RegExp(`${INIT_MARKER} cpus=2`), at);
      at = await s.expect(/# /, at);
      await s.type("echo answer $((6 * 7)) $(nproc)\n");
      at = await s.expect(/answer 42 2\r?\n/, at);
      await s.type("poweroff\n");
      assertEquals(await s.status(), 0);
      assertMatch(s.text, /Power down/);
    },
  );
});

Deno.test("a Linux started by -kernel has its initrd and command line, and reboots", async (t) => {
  await booting(
    t,
    async (get) => [
      "-nographic",
      "-m",
      "128",
      "-kernel",
      await get("linux686-kernel"),
      "-initrd",
      await get("linux686-initrd"),
      "-append",
      "console=ttyS0 qeno.marker=hello",
    ],
    async (s) => {
      let at = await s.expect(/Linux version/);
      at = await s.expect(/Kernel command line: .*qeno\.marker=hello/, at);
      at = await s.expect(/# /, await s.expect(new RegExp(`${INIT_MARKER} cpus=1`), at));
      await s.type("reboot\n");
      at = await s.expect(/Restarting system/, at);
      await s.expect(/Linux version/, at);
    },
  );
});

Deno.test("the Linux ISO under SeaBIOS, on the VGA screen: keys, and reboot under -no-reboot", async (t) => {
  let args: string[];
  try {
    args = [...await seabios("seabios-256k"), "-cdrom", await guest("linux686-iso")];
  } catch (e) {
    if (!(e instanceof GuestUnavailable)) throw e;
    console.log(`skipped (${t.name}): ${e.message}`);
    return;
  }
  const s = new ScreenSession([...args, "-m", "256", "-no-reboot"]);
  try {
    await s.expect(new RegExp(`^${INIT_MARKER} cpus=1`, "m"));
    await s.expect(/# *$/);
    await s.type("seq 41 43\n");
    await s.expect(/# seq 41 43\n41\n42\n43\n/);
    await s.type("reboot\n");
    assertEquals(await s.status(), 0);
  } finally {
    await s.stop();
  }
});
