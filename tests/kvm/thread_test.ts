/** vCPUs in threads of their own: exits crossing to the main thread, kicks, pauses, several vCPUs. */
import { assert, assertEquals } from "@std/assert";
import { hex, kvmTest, Vectors, within, withThreads } from "./harness.ts";

kvmTest(
  "port exits of a vCPU thread are handled on the main thread",
  () =>
    withThreads({}, async (b) => {
      let sum = 0;
      b.port(0x80, 1, { read: () => sum & 0xff, write: (_o, _s, v) => sum += v });
      b.port(0x90, 1, { write: () => b.vcpu.kick() });
      b.load(
        0x1000,
        hex(`
      b9 e8 03       ; mov cx, 1000
      b0 02 e6 80    ; again: out 80h, 2
      e4 80          ; in al, 80h
      00 c3          ; add bl, al
      e2 f6          ; loop again
      e6 90 f4`),
      );
      b.realMode(0x100, 0);
      b.vcpu.setRegs({ rbx: 0n });
      assertEquals((await within(5000, b.vcpu.runAsync!())).reason, "interrupted");
      assertEquals(sum, 2000);
      assertEquals(Number(b.vcpu.getRegs().rbx) & 0xff, (1000 * 1001) & 0xff);
      assertEquals(b.vcpu.exits.get("io"), 2001);
    }),
);

kvmTest(
  "the event loop turns while a guest never exits, and while it always does",
  () =>
    withThreads({}, async (b) => {
      for (const code of ["eb fe", "e6 80 eb fc"]) {
        b.load(0x1000, hex(code));
        b.realMode(0x100, 0);
        let ticks = 0;
        const timer = setInterval(() => ++ticks === 5 && b.vcpu.kick(), 2);
        assertEquals((await within(5000, b.vcpu.runAsync!())).reason, "interrupted");
        clearInterval(timer);
        assert(ticks >= 5);
      }
    }),
);

kvmTest("ten thousand kicks, none lost", () =>
  withThreads({}, async (b) => {
    b.load(0x1000, hex("66 40 eb fc")); // again: inc eax; jmp again
    b.realMode(0x100, 0);
    b.vcpu.setRegs({ rax: 0n });
    const all = (async () => {
      for (let i = 0; i < 10_000; i++) {
        const run = b.vcpu.runAsync!();
        if (i % 3 !== 0) await Promise.resolve(); // before, while and after the thread starts
        b.vcpu.kick();
        const exit = await run;
        if (exit.reason !== "interrupted") throw new Error(`${i}: ${exit.reason}`);
      }
    })();
    await within(20_000, all);
    assert(b.vcpu.getRegs().rax > 0n, "the guest has run in between");
  }));

kvmTest(
  "registers of a running vCPU can be read, and it goes on",
  () =>
    withThreads({}, async (b) => {
      b.load(0x1000, hex("66 40 eb fc"));
      b.realMode(0x100, 0);
      b.vcpu.setRegs({ rax: 0n });
      const run = b.vcpu.runAsync!();
      let last = 0n;
      for (let i = 0; i < 10; i++) {
        const end = performance.now() + 5000;
        let r = b.vcpu.getRegs();
        while (r.rax === last && performance.now() < end) {
          await new Promise((resolve) => setTimeout(resolve, 1));
          r = b.vcpu.getRegs();
        }
        assert(r.rip === 0n || r.rip === 2n, `rip ${r.rip}`);
        assert(r.rax > last, "it goes on");
        last = r.rax;
      }
      b.vcpu.kick();
      await within(5000, run);
    }),
);

kvmTest(
  "a halted vCPU waits inside and is woken by an interrupt from a timer",
  () =>
    withThreads({}, async (b) => {
      const pic = new Vectors(b.vcpu);
      b.watch(0x80);
      b.port(0x90, 1, { write: () => b.vcpu.kick() });
      b.ram.view.setUint32(4 * 0x20, 0x2000, true);
      b.load(0x2000, hex("b0 20 e6 80 cf")); // mov al, 20h; out 80h, al; iret
      b.load(0x1000, hex("fb f4 b0 01 e6 80 e6 90 f4")); // sti; hlt; out 80h, 1; out 90h; hlt
      b.realMode(0x100, 0);
      setTimeout(() => pic.raise(0x20), 20);
      assertEquals((await within(5000, b.vcpu.runAsync!())).reason, "interrupted");
      assertEquals(b.log.map((a) => a.value), [0x20, 1]);
    }),
);

kvmTest(
  "an interrupt reaches a guest that spins without exits",
  () =>
    withThreads({}, async (b) => {
      const pic = new Vectors(b.vcpu);
      b.port(0x80, 1, { write: (_o, _s, v) => v === 3 && b.vcpu.kick() });
      b.ram.view.setUint32(4 * 0x20, 0x2000, true);
      b.load(0x2000, hex("fe c0 e6 80 cf")); // inc al; out 80h, al; iret
      b.load(0x1000, hex("b0 00 fb eb fe")); // mov al, 0; sti; jmp $
      b.realMode(0x100, 0);
      const timer = setInterval(() => pic.raise(0x20), 3);
      await within(5000, b.vcpu.runAsync!());
      clearInterval(timer);
      assertEquals(b.vcpu.getRegs().rax & 0xffn, 3n);
    }),
);

kvmTest(
  "two vCPUs run at the same time; the second is started by the first",
  () =>
    withThreads({ vcpus: 2 }, async (b) => {
      const [bsp, ap] = b.vm.vcpus;
      const done = new Promise<void>((resolve) => b.port(0x91, 1, { write: () => resolve() }));
      b.port(0x90, 1, {
        write: (_o, _s, v) => {
          ap.init();
          ap.sipi(v);
        },
      });
      b.load(
        0x1000,
        hex(`
      31 c0 8e d8       ; xor ax, ax; mov ds, ax
      b0 03 e6 90       ; start the other at 3000h
      fe 06 00 05       ; again: inc byte [500h]
      80 3e 01 05 00    ; cmp byte [501h], 0
      74 f5             ; je again
      e6 91 f4`),
      );
      b.load(
        0x3000,
        hex(`
      31 c0 8e d8       ; xor ax, ax; mov ds, ax
      a0 00 05          ; mov al, [500h]
      3a 06 00 05       ; wait: cmp al, [500h]
      74 fa             ; je wait: until the first has moved on
      c6 06 01 05 01    ; mov byte [501h], 1
      f4`),
      );
      b.realMode(0x100, 0, bsp);
      const runs = [bsp.runAsync!(), ap.runAsync!()];
      await within(5000, done);
      bsp.kick();
      ap.kick();
      const exits = await within(5000, Promise.all(runs));
      assertEquals(exits.map((e) => e.reason), ["interrupted", "interrupted"]);
      assertEquals(ap.mpState, "halted");
    }),
);

kvmTest("regions move under a running vCPU", () =>
  withThreads({ extra: 1 << 20 }, async (b) => {
    const block = b.memory.allocBlock("other", 0x1000);
    const { ramRegion } = await import("../../core/memory/region.ts");
    const over = b.mem.map(ramRegion("other", block), 0x8000, 1, false);
    b.load(
      0x1000,
      hex(`
      31 c0 8e d8       ; xor ax, ax; mov ds, ax
      c6 06 00 80 5a    ; again: mov byte [8000h], 5ah
      eb f9             ; jmp again`),
    );
    b.realMode(0x100, 0);
    const run = b.vcpu.runAsync!();
    for (let i = 0; i < 50; i++) {
      await new Promise((r) => setTimeout(r, 1));
      b.mem.setEnabled(over, i % 2 === 0);
    }
    b.vcpu.kick();
    assertEquals((await within(5000, run)).reason, "interrupted");
    assertEquals([block.u8[0], b.ram.u8[0x8000]], [0x5a, 0x5a]);
  }));

kvmTest(
  "reset while running starts again at the reset vector",
  () =>
    withThreads({ extra: 1 << 20 }, async (b) => {
      const { ramRegion } = await import("../../core/memory/region.ts");
      const rom = b.memory.allocBlock("bios", 0x10000);
      rom.u8.set(hex("b0 01 e6 80 ea 00 10 00 00"), 0xfff0); // out 80h, 1; jmp 0:1000h
      b.mem.map(ramRegion("bios", rom, { readonly: true }), 0xffff0000);
      b.load(0x1000, hex("e6 84 e4 84 eb fa")); // again: out 84h, al; in al, 84h; jmp again
      let starts = 0;
      b.port(0x80, 1, {
        write: () => {
          if (++starts === 20) b.vcpu.kick();
        },
      });
      b.port(0x84, 1, {});
      const timer = setInterval(() => b.vcpu.reset(), 3);
      assertEquals((await within(5000, b.vcpu.runAsync!())).reason, "interrupted");
      clearInterval(timer);
    }),
);

kvmTest("closing a running machine ends its vCPUs", () =>
  withThreads({}, async (b) => {
    b.load(0x1000, hex("eb fe"));
    b.realMode(0x100, 0);
    const run = b.vcpu.runAsync!();
    await new Promise((r) => setTimeout(r, 60));
    b.close();
    assertEquals((await within(5000, run)).reason, "interrupted");
  }));
