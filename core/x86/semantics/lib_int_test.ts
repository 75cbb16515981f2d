import { assertEquals } from "../../std/assert.ts";
import { ModuleBuilder } from "../../wasm/module.ts";
import { buildLibrary } from "../library.ts";
import { divU128 } from "./lib_int.ts";

Deno.test("128-bit division agrees with BigInt", () => {
  const limits = { initial: 1, maximum: 1 }, m = new ModuleBuilder(limits);
  for (const l of buildLibrary([divU128.name], () => false)) {
    m.add(l.f, undefined, l.name, l.callee);
  }
  const env = {
    memory: new WebAssembly.Memory({ ...limits, shared: true }),
    table: new WebAssembly.Table({ element: "anyfunc", initial: 1 }),
  };
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(m.encode()), { env });
  const divide = exports[divU128.name] as (hi: bigint, lo: bigint, d: bigint) => bigint;
  let seed = 0x9e3779b97f4a7c15n;
  const random = () => {
    seed = BigInt.asUintN(64, seed * 6364136223846793005n + 1442695040888963407n);
    return seed;
  };
  // Numbers of every length, and those next to powers of two, where estimates of digits go wrong.
  const number = () => {
    const n = random() >> (random() >> 58n), near = 1n << (random() >> 58n);
    const v = random() >> 62n === 0n ? near - (random() >> 63n) : n;
    return BigInt.asUintN(64, random() >> 62n === 0n ? ~v : v);
  };
  for (let n = 0; n < 200_000; n++) {
    const d = number() || 1n, hi = number() % d, lo = number();
    const q = BigInt.asUintN(64, divide(hi, lo, d));
    assertEquals(q, ((hi << 64n) | lo) / d, `${hi}:${lo} / ${d}`);
  }
});
