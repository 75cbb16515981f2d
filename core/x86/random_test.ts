import { assertEquals, assertNotEquals } from "../std/assert.ts";
import { hostRandom, repeatableRandom } from "./random.ts";

Deno.test("repeatable random numbers: same place and time, same number; all bits move", () => {
  assertEquals(repeatableRandom(0, 1000, 0x1234n), repeatableRandom(0, 1000, 0x1234n));
  const others = [
    repeatableRandom(1, 1000, 0x1234n),
    repeatableRandom(0, 1001, 0x1234n),
    repeatableRandom(0, 1000, 0x1238n),
  ];
  for (const v of others) assertNotEquals(v, repeatableRandom(0, 1000, 0x1234n));
  // Every bit is set in about half of many numbers.
  const count = new Array(64).fill(0);
  for (let n = 0; n < 2000; n++) {
    const v = repeatableRandom(0, n, 0xffffffff81000000n);
    for (let b = 0; b < 64; b++) count[b] += Number(v >> BigInt(b) & 1n);
  }
  assertEquals(count.filter((c) => c < 850 || c > 1150), []);
  assertNotEquals(hostRandom(), hostRandom());
});
