/**
 * Debian's installer on the VGA text screen: it shows its language menu, obeys keys there, and goes on
 * in the language chosen.
 */
import { assertStringIncludes } from "@std/assert";
import { guest, GuestUnavailable } from "../guests/guests.ts";
import { ScreenSession } from "./screen.ts";

/** Minutes each: `deno task test:long`. */
const LONG = Deno.env.has("QENO_LONG");
/** Milliseconds for a boot, and for a dialogue that follows a key. */
const BOOT = 1_200_000, DIALOGUE = 240_000;

for (const arch of ["i386", "amd64"] as const) {
  Deno.test({
    name: `Debian's installer for ${arch} asks for the language and obeys keys`,
    ignore: !LONG,
    fn: async (t) => {
      let boot: string[];
      try {
        const kernel = await guest(`installer-${arch}-kernel`);
        boot = ["-kernel", kernel, "-initrd", await guest(`installer-${arch}-initrd`)];
      } catch (e) {
        if (!(e instanceof GuestUnavailable)) throw e;
        return console.log(`skipped (${t.name}): ${e.message}`);
      }
      const s = new ScreenSession([
        ...["-M", "pc", "-m", "1024", ...boot],
        ...["-append", "vga=normal fb=false nomodeset"],
      ]);
      try {
        const menu = await s.expect(/Select a language/, BOOT);
        assertStringIncludes(menu, "English");
        // From English down to Finnish: a text console has no letters for Esperanto.
        await s.press("down");
        await s.press("ret");
        await s.expect(/Valitse olinpaikkasi/, DIALOGUE);
      } finally {
        await s.stop();
      }
    },
  });
}
