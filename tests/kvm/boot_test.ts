/**
 * Firmware and boot loaders that begin under KVM, judged by the VGA text screen, with keys typed. With
 * `-accel kvm` they stay there, as far as the host's KVM runs them; with `-enable-kvm` they get to
 * their prompts on any host, by way of tcg if KVM gives up.
 */
import { assert, assertMatch, assertStringIncludes } from "@std/assert";
import { ScreenSession } from "../boot/screen.ts";
import { guest, type GuestName, GuestUnavailable } from "../guests/guests.ts";
import { kvmTest } from "./harness.ts";

/** SeaBIOS finds its VGA BIOS beside it, through `-L`. */
async function seabios(): Promise<string[]> {
  const path = await guest("seabios-256k"), at = path.lastIndexOf("/");
  await guest("vgabios-stdvga");
  return ["-L", path.slice(0, at), "-bios", path.slice(at + 1)];
}

const FIRMWARE: Record<string, () => Promise<string[]>> = {
  "our BIOS": () => Promise.resolve([]),
  "SeaBIOS": seabios,
};

/** Whether the firmware began on KVM: what it has done there is in the counts of exits. */
async function beganOnKvm(s: ScreenSession): Promise<void> {
  assertMatch(await s.command("info exits"), /^io +[1-9]/m);
  assertStringIncludes(await s.command("info kvm"), "kvm support: enabled");
}

async function on(
  name: string,
  list: () => Promise<string[]>,
  body: (s: ScreenSession) => Promise<void>,
): Promise<void> {
  let args: string[];
  try {
    args = await list();
  } catch (e) {
    if (!(e instanceof GuestUnavailable)) throw e;
    return console.log(`skipped (${name}): ${e.message}`);
  }
  const s = new ScreenSession(args);
  try {
    await body(s);
  } finally {
    await s.stop();
  }
}

/** All combinations, a few of which are enough for every day: `deno task test:long`. */
const LONG = Deno.env.has("QENO_LONG");

for (const [firmware, options] of Object.entries(FIRMWARE)) {
  for (const irqchip of ["on", "off"]) {
    if (!LONG && firmware === "SeaBIOS" && irqchip === "off") continue;
    const name = `${firmware} under -accel kvm,kernel-irqchip=${irqchip}: boot menu by keys`;
    kvmTest(name, () =>
      on(
        name,
        async () => [
          ...["-accel", `kvm,kernel-irqchip=${irqchip}`, "-m", "32"],
          ...["-boot", "menu=on,splash-time=20000", ...await options()],
        ],
        async (s) => {
          await s.expect(/Press ESC for boot menu/i);
          await beganOnKvm(s);
          await s.type("\x1b");
          await s.expect(/Boot (device|menu)[^]*(DVD|CD)/i);
          await s.type("1");
          await s.expect(/No bootable device/);
          assertStringIncludes(await s.command("info accel"), "accelerator: kvm");
        },
      ));
  }
}

interface Medium {
  readonly title: string;
  readonly guest: GuestName;
  readonly memory: number;
  readonly check: (s: ScreenSession) => Promise<void>;
}

const MEDIA: readonly Medium[] = [
  {
    title: "isolinux asks and obeys",
    guest: "isolinux-iso",
    memory: 32,
    check: async (s) => {
      await s.expect(/^boot: *$/m);
      await s.type("nosuch\n");
      await s.expect(/^Loading nosuch\.\.\. failed/m);
    },
  },
  {
    title: "GRUB gives its command line and obeys",
    guest: "grub-rescue-iso",
    memory: 32,
    check: async (s) => {
      await s.expect(/before booting or `c' for a command-line/);
      await s.type("c");
      await s.expect(/^grub> *$/m);
      await s.type("echo obeyed\n");
      await s.expect(/^grub> echo obeyed\nobeyed$/m);
    },
  },
  {
    title: "memtest86+ tests memory",
    guest: "memtest-ia32-iso",
    memory: 8,
    check: async (s) => assert((await s.expect(/Test #[3-9] /)).includes("Errors: 0")),
  },
];

for (const [firmware, options] of Object.entries(FIRMWARE)) {
  for (const m of MEDIA) {
    if (!LONG && firmware === "SeaBIOS" && m.guest !== "isolinux-iso") continue;
    const name = `${m.title}, under ${firmware} with -enable-kvm`;
    kvmTest(name, () =>
      on(
        name,
        async () => [
          ...["-enable-kvm", "-m", String(m.memory), "-S", "-cdrom", await guest(m.guest)],
          ...await options(),
        ],
        async (s) => {
          assertStringIncludes(await s.command("info kvm"), "kvm support: enabled");
          await s.command("cont");
          await m.check(s);
          assertMatch(await s.command("info exits"), /^io +[1-9]/m);
        },
      ));
  }
}
