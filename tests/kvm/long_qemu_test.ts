/** Long mode's exceptions under tcg beside Debian's QEMU. */
import { assertEquals } from "../../core/std/assert.ts";
import { runRom } from "./rom_pair.ts";
import { longRom } from "./long_rom.ts";

/**
 * Vector and error code by the SDM, where QEMU 7.2's TCG differs: it counts 16 bytes a gate in error
 * codes (volume 3, 6.13: the index is the vector) and does not look at the form of data addresses.
 */
const sdm = new Map([
  ["INT 3Fh from ring 3: DPL 0", [13, 0x3f * 8 + 2]],
  ["INT 7Fh: beyond the table", [13, 0x7f * 8 + 2]],
  ["an access across the end of the lower half", [13, 0]],
  ["through RBP it is a stack fault", [12, 0]],
]);

Deno.test("a ROM that provokes the exceptions of long mode sees what it sees on QEMU", async () => {
  const { image, names } = longRom();
  const { ours, theirs } = await runRom(image, "-cpu", "max", "-machine", "pc");
  assertEquals(ours.length, names.length);
  names.forEach((name, n) => {
    const expected = sdm.get(name);
    if (expected !== undefined) {
      const [vector, error] = ours[n].split(" ").map((v) => parseInt(v, 16));
      assertEquals([vector, error], expected, name);
    } else if (theirs !== undefined) assertEquals(ours[n], theirs[n], name);
  });
});
