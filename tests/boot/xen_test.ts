/** Xen 4.17 with Debian's amd64 kernel as its paravirtualised dom0, on COM1. */
import { assertEquals, assertMatch } from "@std/assert";
import { ask, shell } from "./linux_shell.ts";
import { booting, type Session } from "./session.ts";

/** A minute or two each: `deno task test:long`. */
const LONG = Deno.env.has("QENO_LONG");
/** Seconds until a prompt at most. */
const LIMIT = 900;

const MACHINE = ["-M", "pc", "-m", "512", "-nographic"];

async function dom0(s: Session, cpus: number, loader: RegExp): Promise<void> {
  let at = await s.expect(/\(XEN\) Xen version 4\.17/, 0, LIMIT);
  at = await s.expect(loader, at, LIMIT);
  at = await s.expect(/Hypervisor detected: Xen PV/, at, LIMIT);
  await shell(s, cpus, LIMIT, at);
  assertEquals(s.text.match(/\(XEN\).*(mismatch|inconsistent|please report).*/i), null);
  const features = await ask(s, "cat /sys/hypervisor/type /sys/hypervisor/guest_type");
  assertEquals(features, "xen\nPV\n");
  assertMatch(await ask(s, "dmesg"), /Booting kernel on Xen\b/);
  await s.type("poweroff\n");
  assertEquals(await s.status(), 0);
}

Deno.test({
  name: "Xen started by -kernel builds a PV dom0, which reaches its shell and powers off",
  ignore: !LONG,
  fn: (t) =>
    booting(t, async (get) => {
      const modules = [
        `${await get("linuxamd64-kernel")} console=hvc0`,
        await get("xen-dom0-initrd"),
      ];
      return [
        ...MACHINE,
        ...["-kernel", await get("xen-kernel"), "-initrd", modules.join(",")],
        ...["-append", "com1=115200,8n1 console=com1"],
      ];
    }, (s) => dom0(s, 1, /\(XEN\) Command line: com1=115200,8n1 console=com1/)),
});

Deno.test({
  name: "GRUB starts Xen by multiboot 2 on two vCPUs, with a dom0 of two",
  ignore: !LONG,
  fn: (t) =>
    booting(
      t,
      async (get) => [...MACHINE, "-smp", "2", "-cdrom", await get("xen-grub")],
      (s) => dom0(s, 2, /\(XEN\) Bootloader: GRUB 2/),
    ),
});
