/** An x87 error on a PC without CR0.NE: FERR#, IRQ 13, port F0h. Only tcg has the pins. */
import { assertEquals } from "../../core/std/assert.ts";
import { FpuErrorLatch } from "../../devices/misc/fpu_error.ts";
import { pcRig } from "../../devices/boards/pc_rig.ts";
import { hex, tcgOptions, Vectors, withBench } from "./harness.ts";

Deno.test("an unmasked x87 exception is IRQ 13 without CR0.NE; writing port F0h clears it", () =>
  withBench(tcgOptions(), (b) => {
    const order: string[] = [];
    const pic = new Vectors(b.vcpu);
    const latch = new FpuErrorLatch({
      set: (level: boolean) => {
        order.push(`irq ${level ? 1 : 0}`);
        if (level) pic.raise(0x75);
      },
    });
    b.io.map(latch.region, 0xf0);
    b.vm.fpuError = latch;
    b.watch(0x80);
    b.load(
      0x1000,
      hex(`fb db e3 d9 2e 40 00 ; sti; fninit; fldcw [40h]
      d9 e8 d9 ee de f9         ; fld1; fldz; fdivp
      b0 01 e6 80               ; mov al, 1; out 80h, al
      9b                        ; fwait
      b0 03 e6 80 f4            ; mov al, 3; out 80h, al; hlt`),
    );
    b.load(0x1040, hex("7b 03")); // zero divide not masked
    // The handler: port F0h, which asserts IGNNE#, then FNCLEX.
    b.load(0x1100, hex("b0 02 e6 80 e6 f0 db e2 cf"));
    b.load(4 * 0x75, hex("00 01 00 01"));
    b.realMode(0x100, 0);
    assertEquals(b.run().reason, "hlt");
    assertEquals(b.log.map((l) => l.value), [1, 2, 3]);
    assertEquals(order, ["irq 1", "irq 0"]);
  }));

Deno.test("the PC's board connects the pins", () => {
  const r = pcRig();
  const irr = () => (r.outb(0xa0, 0x0a), r.inb(0xa0) & 0x20);
  r.outb(0xa0, 0x11);
  for (const v of [0x70, 2, 1]) r.outb(0xa1, v);
  assertEquals(irr(), 0);
  assertEquals(r.env.vm.fpuError?.raise(), false);
  assertEquals(irr(), 0x20);
  r.outb(0xf0, 0);
  assertEquals(r.env.vm.fpuError?.raise(), true, "IGNNE#");
});
