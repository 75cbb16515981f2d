/** Whole guests with `-enable-kvm`: whatever the host's KVM makes of them, they get where they should. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { booting, type Session } from "../boot/session.ts";
import { INIT_MARKER } from "../guests/guests.ts";
import { makeDemoIso } from "../../firmware/demo/guest.ts";
import { kvmMissing, kvmTest } from "./harness.ts";
import { withFile } from "./session.ts";

/** Lines of the output that tell of a move. */
const moves = (s: Session) => s.text.split("\n").filter((l) => l.includes("goes on under tcg"));

kvmTest(
  "the built-in demo, with its exits counted and its loop shown",
  () =>
    withFile(makeDemoIso(), async (iso) => {
      const log = await Deno.makeTempFile();
      try {
        await booting(
          { name: "demo" } as Deno.TestContext,
          () => ["-enable-kvm", "-smp", "2", "-cdrom", iso, "-nographic", "-d", "exec", "-D", log],
          async (s) => {
            let at = await s.expect(/Processors running: 2/);
            at = await s.expect(/reading it back at physical 00100000: 12345678/, at);
            at = await s.expect(/Hello from the CD/, at);
            at = await s.expect(/\n> /, at);
            await s.type("exits\r");
            at = await s.expect(/OUT 80h, a port of the machine: +\d+/, at);
            await s.type("\x01cinfo exits\n");
            at = await s.expect(/\nio +\d+ +\d+ +\d+ +\d+/, at);
            await s.type("\x01cpoweroff\r");
            assertEquals(await s.status(), 0);
            assert(moves(s).length <= 1, moves(s).join("\n"));
          },
        );
        const lines = (await Deno.readTextFile(log)).split("\n").filter((l) => /^KVM_RUN/.test(l));
        assert(lines.length > 100, `${lines.length} exits on KVM`);
        assertMatch(lines.join("\n"), /^KVM_RUN cpu 0: io out port 0x[0-9a-f]{4} size 1 value 0x/m);
        assertMatch(lines.join("\n"), /^KVM_RUN cpu 0: mmio (read|write) 0xfee/m);
      } finally {
        await Deno.remove(log);
      }
    }),
);

/** A boot to a shell takes a minute or two: `deno task test:long`. */
const LONG = Deno.env.has("QENO_LONG");

for (
  const [what, kernel, initrd] of [
    ["a 32-bit Linux", "linux686-kernel", "linux686-initrd"],
    ["a long-mode Linux", "linuxcloud-kernel", "linuxcloud-initrd"],
  ] as const
) {
  const name = `${what} begins on KVM and reaches its shell, moved at most once`;
  Deno.test({
    name: kvmMissing ? `${name} [skipped: ${kvmMissing}]` : name,
    ignore: kvmMissing !== undefined || !LONG,
    fn: (t) =>
      booting(
        t,
        async (get) => [
          ...["-enable-kvm", "-m", "512", "-nographic", "-append", "console=ttyS0"],
          ...["-kernel", await get(kernel), "-initrd", await get(initrd)],
        ],
        async (s) => {
          let at = await s.expect(new RegExp(INIT_MARKER));
          at = await s.expect(/\n# /, at);
          await s.type("echo $((6*7))\n");
          at = await s.expect(/\n42\r?\n/, at);
          await s.type("\x01cinfo exits\n");
          await s.expect(/\nio +\d+/, at);
          assert(moves(s).length <= 1, moves(s).join("\n"));
        },
      ),
  });
}
