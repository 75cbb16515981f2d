/** UEFI firmware from flash, and 64-bit Linux, on both boards. */
import { assertEquals } from "@std/assert";
import { INIT_MARKER } from "../guests/guests.ts";
import { booting } from "./session.ts";

for (const machine of ["pc", "q35"]) {
  Deno.test(`OVMF reaches its shell from flash on ${machine}, which obeys keys`, async (t) => {
    const vars = await Deno.makeTempFile();
    try {
      await booting(t, async (get) => {
        await Deno.copyFile(await get("ovmf-vars"), vars);
        const code = `if=pflash,format=raw,readonly=on,file=${await get("ovmf-code")}`;
        const flash = ["-drive", code, "-drive", `if=pflash,format=raw,file=${vars}`];
        return ["-M", machine, "-nographic", "-m", "256", ...flash];
      }, async (s) => {
        let at = await s.expect(/UEFI Interactive Shell/);
        at = await s.expect(/Press.*ESC.*to skip/, at);
        await s.type("\x1b");
        at = await s.expect(/Shell>/, at);
        await s.type("ver\r");
        await s.expect(/UEFI v2\.\d+ \(EDK II/, at);
        await s.type("\x01x");
        assertEquals(await s.status(), 0);
      });
    } finally {
      await Deno.remove(vars);
    }
  });
}

Deno.test("an amd64 Linux boots on q35 with two vCPUs to a shell and powers off", async (t) => {
  await booting(t, async (get) => [
    ...["-M", "q35", "-nographic", "-smp", "2", "-m", "256"],
    ...["-kernel", await get("linuxcloud-kernel"), "-initrd", await get("linuxcloud-initrd")],
    ...["-append", "console=ttyS0"],
  ], async (s) => {
    let at = await s.expect(new RegExp(`${INIT_MARKER} cpus=2`));
    at = await s.expect(/# /, at);
    await s.type("echo $(uname -m) $((6 * 7))\n");
    at = await s.expect(/x86_64 42/, at);
    await s.type("poweroff\n");
    assertEquals(await s.status(), 0);
  });
});

Deno.test("OVMF starts an amd64 Linux, which finds EFI and reaches its shell", async (t) => {
  const vars = await Deno.makeTempFile();
  try {
    await booting(t, async (get) => {
      await Deno.copyFile(await get("ovmf-vars"), vars);
      const code = `if=pflash,format=raw,readonly=on,file=${await get("ovmf-code")}`;
      return [
        ...["-M", "q35", "-nographic", "-m", "512", "-drive", code],
        ...["-drive", `if=pflash,format=raw,file=${vars}`],
        ...["-kernel", await get("linuxcloud-kernel"), "-initrd", await get("linuxcloud-initrd")],
        ...["-append", "console=ttyS0"],
      ];
    }, async (s) => {
      let at = await s.expect(/efi: EFI v2\.\d+ by EDK II/);
      at = await s.expect(/# /, await s.expect(new RegExp(`${INIT_MARKER} cpus=1`), at));
      await s.type("ls -d /sys/firmware/efi\n");
      await s.expect(/\n\/sys\/firmware\/efi\r?\n/, at);
    });
  } finally {
    await Deno.remove(vars);
  }
});
