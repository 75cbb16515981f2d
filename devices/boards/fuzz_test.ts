/** A guest that scribbles over every device register must neither throw nor hang the machine. */
import { assertEquals } from "@std/assert";
import type { AccessSize } from "../../core/memory/region.ts";
import { pcRig } from "./pc_rig.ts";

/** A small repeatable generator (xorshift32). */
function generator(seed: number): () => number {
  let x = seed;
  return () => {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    return x >>> 0;
  };
}

const SIZES: readonly AccessSize[] = [1, 2, 4];
const INTERESTING = [0, 1, 0xff, 0x80, 0xffff, 0xffffffff, 0x80000000, 0x7f];

function scribble(seed: number, steps: number): void {
  const r = pcRig({ vga: "std", cpus: 2, smm: true });
  const { io, mem } = r.env, next = generator(seed);
  for (let i = 0; i < steps; i++) {
    const size = SIZES[next() % 3], pick = next();
    const value = pick & 1 ? INTERESTING[next() % 8] : next();
    if (pick & 2) {
      // A port that somebody has, often; any port, sometimes.
      const ranges = io.flat, range = ranges[next() % ranges.length];
      const port = pick & 0x30 ? range.start + next() % (range.end - range.start) : next() & 0xffff;
      if (pick & 4) io.read(port, size);
      else io.write(port, size, value);
    } else if (pick & 8) {
      r.configWrite(next() & 0x1f, next() & 0xfc, value);
    } else {
      const ranges = mem.flat.filter((f) => f.region.kind === "io");
      const range = ranges[next() % ranges.length];
      const at = range.start + next() % Math.min(range.end - range.start, 0x2000);
      if (pick & 4) mem.read(at, size);
      else mem.write(at, size, value);
    }
    if (i % 64 === 0) r.clock.advance(next() % 100_000);
    if (i % 4096 === 0) r.board.load(r.board.save());
  }
  r.board.reset();
  assertEquals(r.configRead(0, 0), 0x12378086);
  assertEquals(mem.read(0xffffffff, 1), 0xb3);
  r.board.infoQtree();
  r.board.infoMtree();
}

for (const seed of [1, 0xdeadbeef]) {
  Deno.test(`pc: random register accesses, seed ${seed}`, () => scribble(seed, 30_000));
}
