import { assertEquals } from "@std/assert";
import type { Vcpu, VmExit } from "./accel.ts";
import { VcpuLoops } from "./vcpu_loops.ts";

/** A vCPU whose run ends when it is kicked. */
function vcpu(): Vcpu & { runs: number } {
  let end = (_: VmExit) => {};
  const v = {
    runs: 0,
    runAsync(): Promise<VmExit> {
      v.runs++;
      return new Promise((resolve) => end = resolve);
    },
    kick: () => end({ reason: "interrupted" }),
  };
  return v as unknown as Vcpu & { runs: number };
}

Deno.test("a machine that is resumed while its vCPUs are being stopped starts them all again", async () => {
  const vcpus = [vcpu(), vcpu()];
  let running = true, ended = 0;
  const loops = new VcpuLoops({
    vcpus: () => vcpus,
    shouldRun: () => running,
    handle: () => {},
    ended: () => ended++,
  });
  loops.start();
  running = false;
  const stopped = loops.stop();
  running = true; // before the vCPUs have come back
  await stopped;
  assertEquals([loops.running, ended], [false, 2]);
  loops.start();
  assertEquals(vcpus.map((v) => v.runs), [2, 2]);
  running = false;
  await loops.stop();
  assertEquals(loops.running, false);
});
