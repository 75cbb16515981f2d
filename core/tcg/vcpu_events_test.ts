/** Events of a software vCPU across a reset. */
import { assertEquals } from "@std/assert";
import { bareVcpu } from "./testbed.ts";

Deno.test("a reset forgets a triple fault that has not been reported", () => {
  const { cpu, ram } = bareVcpu(1 << 16);
  const start = () => {
    cpu.setSregs({ cs: { ...cpu.getSregs().cs, selector: 0, base: 0n } });
    cpu.setRegs({ rip: 0x1000n });
  };
  ram.u8.set([0x0f, 0x0b], 0x1000); // ud2
  start();
  // Without an interrupt table no exception can be delivered; the end of the step is told first.
  cpu.setSregs({ idt: { base: 0n, limit: 0 } });
  cpu.setGuestDebug({ step: true, breakpoints: [] });
  assertEquals(cpu.run(100).reason, "debug");
  cpu.setGuestDebug({ step: false, breakpoints: [] });
  cpu.reset();
  ram.u8[0x1000] = 0xf4; // hlt
  start();
  assertEquals(cpu.run(100).reason, "hlt");
});
