/**
 * Whole-machine boots through the command line, judged by what the guest prints on its serial port.
 * Guests come from Debian packages; where they cannot be had the tests say so and are skipped.
 */
import { assertEquals, assertMatch } from "@std/assert";
import { INIT_MARKER } from "../guests/guests.ts";
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

/** Boots to a shell take minutes under tier 0: `deno task test:long` runs them. */
const LONG = Deno.env.has("QENO_LONG");

Deno.test("isolinux loads a Linux kernel from CD, which starts", { ignore: !LONG }, async (t) => {
  await booting(
    t,
    async (get) => ["-nographic", "-m", "256", "-cdrom", await get("linux686-iso")],
    async (s) => {
      await s.expect(/ISOLINUX/);
      await s.expect(/Linux version/);
    },
  );
});

Deno.test({
  name: "a Linux ISO boots on two vCPUs to a shell and powers off",
  ignore: !LONG,
  fn: async (t) => {
    await booting(
      t,
      async (get) => ["-nographic", "-smp", "2", "-m", "256", "-cdrom", await get("linux686-iso")],
      async (s) => {
        let at = await s.expect(new RegExp(`${INIT_MARKER} cpus=2`));
        at = await s.expect(/# /, at);
        await s.type("echo answer $((6 * 7)) $(nproc)\n");
        at = await s.expect(/answer 42 2\r?\n/, at);
        await s.type("poweroff\n");
        assertEquals(await s.status(), 0);
        assertMatch(s.text, /Power down/);
      },
    );
  },
});

Deno.test(
  "-kernel starts a bzImage with an initrd and a command line",
  { ignore: !LONG },
  async (t) => {
    await booting(
      t,
      async (get) => [
        "-nographic",
        "-no-reboot",
        "-m",
        "128",
        "-kernel",
        await get("linux686-kernel"),
        "-initrd",
        await get("linux686-initrd"),
        "-append",
        "console=ttyS0 panic=-1 qeno.marker=hello",
      ],
      async (s) => {
        const at = await s.expect(/Linux version/);
        await s.expect(/Kernel command line: .*qeno\.marker=hello/, at);
      },
    );
  },
);
