import { assertEquals } from "@std/assert";
import { Pace, Seat } from "./pace.ts";

function storm(p: Pace, from: number): number {
  let t = from;
  for (let i = 0; i < 200 && !p.here; i++) p.exit(t += 0.05);
  return t;
}

Deno.test("a storm of exits moves one vCPU to the main thread, calm moves it back", () => {
  const seat = new Seat(), a = new Pace(seat), b = new Pace(seat);
  for (let t = 0; t < 100; t++) a.exit(t);
  assertEquals(a.here, false, "a thousand exits per second are no storm");
  let t = storm(a, 100);
  assertEquals(a.here, true);
  storm(b, t);
  assertEquals(b.here, false, "the seat is taken");
  for (let i = 0; i < 20; i++) a.exit(t += 0.05);
  a.sliceEnded(t);
  assertEquals(a.here, true);
  a.sliceEnded(t += 1);
  assertEquals(a.here, false);
  storm(a, t);
  assertEquals(a.here, false, "not again so soon");
  storm(b, t);
  assertEquals(b.here, true);
  b.leave();
  storm(a, t + 100);
  assertEquals(a.here, true);
});
