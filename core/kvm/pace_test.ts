import { assertEquals } from "@std/assert";
import { Pace, Seat } from "./pace.ts";

function storm(p: Pace, from: number): number {
  let t = from;
  for (let i = 0; i < 200 && !p.here; i++) p.exit(t += 0.05, 0.05);
  return t;
}

Deno.test("a storm of exits moves one vCPU to the main thread, calm moves it back", () => {
  const seat = new Seat(), a = new Pace(seat), b = new Pace(seat);
  for (let t = 0; t < 100; t++) a.exit(t, 0.9);
  assertEquals(a.here, false, "a thousand exits per second are no storm");
  let t = storm(a, 100);
  assertEquals(a.here, true);
  storm(b, t);
  assertEquals(b.here, false, "the seat is taken");
  a.sliceEnded(t += 1);
  a.sliceEnded(t += 1);
  for (let i = 0; i < 20; i++) a.exit(t += 0.05, 0);
  a.sliceEnded(t);
  a.sliceEnded(t += 1);
  a.sliceEnded(t += 1);
  assertEquals(a.here, true, "a slice in which the host was away is no calm");
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

Deno.test("fewer exits are a storm where most of the time goes by outside the guest", () => {
  const after = (period: number, guest: number) => {
    const p = new Pace(new Seat());
    for (let t = 0; t < 100; t += period) p.exit(t, guest);
    return p.here;
  };
  assertEquals(after(0.4, 0.3), false, "2,500 exits per second of a busy guest");
  assertEquals(after(1, 0.01), false, "1,000 of an idle one");
  assertEquals(after(0.4, 0.1), true);
});
