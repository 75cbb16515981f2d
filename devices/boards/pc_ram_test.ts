/** The split of RAM around 4 GiB: what `info mtree` of QEMU 7.2 shows for the same `-m` and `-M`. */
import { assert, assertEquals, assertThrows } from "@std/assert";
import { UserError } from "../../core/errors.ts";
import { guestMemory, splitRam } from "./pc_ram.ts";

const MIB = 2 ** 20, GIB = 2 ** 30;

function split(ramSize: number, family?: "q35", maxRamBelow4g?: number): [number, number, number] {
  let warnings = 0;
  const warn = () => void warnings++;
  const { below4g, above4g } = splitRam({ ramSize, family, maxRamBelow4g, warn });
  return [below4g, above4g, warnings];
}

Deno.test("pc: all below the hole up to 3.5 GiB, else 3 GiB of it", () => {
  assertEquals(split(128 * MIB), [128 * MIB, 0, 0]);
  assertEquals(split(3583 * MIB), [3583 * MIB, 0, 0]);
  assertEquals(split(3584 * MIB), [3 * GIB, 512 * MIB, 0]);
  assertEquals(split(4 * GIB), [3 * GIB, GIB, 0]);
  assertEquals(split(2 * GIB, undefined, GIB), [GIB, GIB, 0]);
  assertEquals(split(2 * GIB, undefined, 1000 * MIB), [1000 * MIB, 1048 * MIB, 1]);
});

Deno.test("q35: room for PCIEXBAR, 2 GiB of machines that reach it", () => {
  assertEquals(split(2815 * MIB, "q35"), [2815 * MIB, 0, 0]);
  assertEquals(split(2816 * MIB, "q35"), [2 * GIB, 768 * MIB, 0]);
  assertEquals(split(3 * GIB, "q35"), [2 * GIB, GIB, 0]);
  assertEquals(split(3 * GIB, "q35", GIB), [GIB, 2 * GIB, 0]);
  assertEquals(split(3 * GIB, "q35", 1000 * MIB), [1000 * MIB, 2072 * MIB, 1]);
});

Deno.test("a memory is as wide as it has to be", () => {
  assertEquals(guestMemory(64 * MIB, 32 * MIB).address, "i32");
  const { address, buffer } = guestMemory(6 * GIB, 6 * GIB);
  assertEquals(address, "i64");
  assert(buffer.byteLength > 6 * GIB);
});

Deno.test("what the engine cannot address is refused, with the most that would do", () => {
  const e = assertThrows(() => guestMemory(16 * GIB + 4 * MIB, 16 * GIB), UserError);
  assertEquals(e.message, "cannot set up guest memory 'pc.ram': Cannot allocate memory");
  assertEquals(e.hint, "This machine can have at most 16379 MiB of RAM.");
});
