/** `dump-guest-memory` beside QEMU 7.2's: the same core file, byte for byte. */
import { assertEquals } from "../../core/std/assert.ts";
import { answers, differences, ignore, MAIN, monitor, QEMU } from "./pair.ts";

/** QEMU 7.2 gives the size of a pointer as that of the ELF header. */
const E_EHSIZE = 0x34;

Deno.test({ name: "a core file is QEMU's, and so are the complaints", ignore }, async () => {
  const directory = Deno.makeTempDirSync();
  try {
    const args = ["-M", "pc", "-m", "2", "-smp", "2", "-S", "-display", "none", "-net", "none"];
    args.push("-bios", "/usr/share/seabios/bios-256k.bin");
    const script = (name: string) =>
      `info dump\ndump-guest-memory ${directory}/${name}\ninfo dump\ndump-guest-memory\n` +
      `dump-guest-memory /nodir/x\ndump-guest-memory -z -l ${directory}/x\n` +
      `dump-guest-memory ${directory}/x 0\ndump-guest-memory -l ${directory}/x\n` +
      `dump-guest-memory ${directory}/x 0x100000000 16\ninfo dump\nquit\n`;
    const theirs = await monitor([QEMU], args, script("core"));
    const wanted = Deno.readFileSync(`${directory}/core`);
    Deno.removeSync(`${directory}/core`);
    const ours = await monitor([Deno.execPath(), "run", "-A", MAIN], args, script("core"));
    assertEquals(differences(answers(ours.output), answers(theirs.output)), "");
    const own = Deno.readFileSync(`${directory}/core`);
    assertEquals(own[E_EHSIZE], 64);
    own[E_EHSIZE] = wanted[E_EHSIZE];
    assertEquals(own.length, wanted.length);
    assertEquals(own.findIndex((b, i) => b !== wanted[i]), -1);
  } finally {
    Deno.removeSync(directory, { recursive: true });
  }
});
