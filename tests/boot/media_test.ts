/**
 * Boot media that nobody here made, under the built-in firmware and Debian's SeaBIOS, judged by the VGA
 * text screen: a boot loader or a whole program runs, and obeys keys.
 */
import { assertMatch, assertStringIncludes } from "@std/assert";
import { guest, type GuestName, GuestUnavailable } from "../guests/guests.ts";
import { seabios } from "./firmware.ts";
import { ScreenSession } from "./screen.ts";

const FIRMWARE: Record<string, () => Promise<string[]>> = {
  "the built-in firmware": () => Promise.resolve([]),
  "bios-256k.bin": () => seabios("seabios-256k"),
  "bios.bin": () => seabios("seabios"),
};

interface Medium {
  readonly title: string;
  readonly guest: GuestName;
  readonly option: "-cdrom" | "-fda";
  readonly memory: number;
  /** @param serial what COM1 has got so far */
  readonly check: (s: ScreenSession, serial: () => string) => Promise<void>;
}

async function grubObeys(s: ScreenSession): Promise<void> {
  await s.expect(/^ *GNU GRUB +version/m);
  await s.expect(/before booting or `c' for a command-line/);
  await s.type("c");
  await s.expect(/^grub> *$/m);
  await s.type("echo obeyed\n");
  await s.expect(/^grub> echo obeyed\nobeyed$/m);
}

const MEDIA: Medium[] = [
  {
    title: "memtest86+ tests memory",
    guest: "memtest-ia32-iso",
    option: "-cdrom",
    memory: 8,
    check: async (s) => {
      assertStringIncludes(await s.expect(/Test #[3-9] /), "Errors: 0");
    },
  },
  {
    title: "GRUB's rescue CD gives its command line",
    guest: "grub-rescue-iso",
    option: "-cdrom",
    memory: 32,
    check: grubObeys,
  },
  {
    title: "GRUB's rescue floppy gives its command line",
    guest: "grub-rescue-floppy",
    option: "-fda",
    memory: 32,
    check: grubObeys,
  },
  {
    title: "iPXE's CD starts",
    guest: "ipxe-iso",
    option: "-cdrom",
    memory: 32,
    check: async (s) => {
      // The offer of a command line below it stands for two seconds only.
      const screen = await s.expect(/^iPXE \S+ +-- Open Source Network Boot Firmware/m);
      assertStringIncludes(screen, "iPXE initialising devices...ok");
    },
  },
  {
    title: "isolinux asks, on VGA and COM1, and goes on to the next device",
    guest: "isolinux-iso",
    option: "-cdrom",
    memory: 32,
    check: async (s, serial) => {
      await s.expect(/^boot: *$/m);
      await s.type("nosuch\n");
      await s.expect(/^Loading nosuch\.\.\. failed: No such file or directory\nboot: *$/m);
      await s.type("next\n");
      await s.expect(/No bootable device/);
      assertMatch(serial(), /^ISOLINUX .*\r\nboot: nosuch/m);
      assertMatch(serial(), /^boot: next/m);
    },
  },
];

for (const [name, firmware] of Object.entries(FIRMWARE)) {
  for (const m of MEDIA) {
    Deno.test(`${m.title}, under ${name}`, async (t) => {
      let args: string[];
      try {
        args = [...await firmware(), m.option, await guest(m.guest)];
      } catch (e) {
        if (!(e instanceof GuestUnavailable)) throw e;
        console.log(`skipped (${t.name}): ${e.message}`);
        return;
      }
      const log = await Deno.makeTempFile();
      const s = new ScreenSession([...args, "-m", String(m.memory), "-serial", `file:${log}`]);
      try {
        await m.check(s, () => Deno.readTextFileSync(log));
      } finally {
        await s.stop();
        Deno.removeSync(log);
      }
    });
  }
}
