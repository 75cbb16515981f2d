/** KVM's own interrupt controllers, whole and split, driven by small guests. */
import { assert, assertEquals } from "@std/assert";
import type { Segment } from "../../core/accel.ts";
import { ioRegion } from "../../core/memory/region.ts";
import { KernelChips } from "../../devices/irq/kernel_chips.ts";
import { type Bench, hex, kvmTest, Vectors, within, withThreads } from "./harness.ts";

const LAPIC = 0xfee00000n, IOAPIC = 0xfec00000n;

/** Real mode with DS on the LAPIC and ES on the IOAPIC, as a guest reaches them with a flat limit. */
function unreal(b: Bench): void {
  b.realMode(0x100, 0);
  const s = b.vcpu.getSregs();
  const at = (r: Segment, base: bigint): Segment => ({ ...r, base, limit: 0xfffff });
  b.vcpu.setSregs({ ds: at(s.ds, LAPIC), es: at(s.es, IOAPIC) });
}

function vector(b: Bench, n: number, address: number, code: string): void {
  b.ram.view.setUint32(4 * n, address, true);
  b.load(address, hex(code));
}

/** Sets both PICs up with vectors 20h and 28h, master mask in the last byte. */
const picSetup = (mask: string) =>
  `b0 11 e6 20 b0 20 e6 21 b0 04 e6 21 b0 01 e6 21 b0 ${mask} e6 21
   b0 11 e6 a0 b0 28 e6 a1 b0 02 e6 a1 b0 01 e6 a1 b0 ff e6 a1`;

/** DS on the LAPIC: enables it and lets the PIC through LINT0 (ExtINT), as a BIOS does. */
const LINT0_EXTINT = `
  66 c7 06 f0 00 ff 01 00 00   ; mov dword [SVR], 1ffh
  66 c7 06 50 03 00 07 00 00   ; mov dword [LINT0], 700h
`;

kvmTest(
  "on: a wire reaches the PIC and wakes a vCPU halted in the kernel",
  () =>
    withThreads({ kernelIrqchip: "on" }, async (b) => {
      b.watch(0x80);
      b.port(0x90, 1, { write: () => b.vcpu.kick() });
      vector(b, 0x21, 0x2000, "b0 5a e6 80 b0 20 e6 20 cf"); // out 80h, 5ah; EOI; iret
      b.load(
        0x1000,
        hex(`${LINT0_EXTINT} ${picSetup("fd")} b0 01 e6 80 e6 91 fb f4 b0 02 e6 80 e6 90 f4`),
      );
      unreal(b);
      b.port(0x91, 1, { write: () => setTimeout(() => b.vm.irqchip!.setIrqLine(1, true), 10) });
      assertEquals((await within(5000, b.vcpu.runAsync!())).reason, "interrupted");
      assertEquals(b.log.map((a) => a.value), [1, 0x5a, 2]);
      assertEquals(b.vcpu.exits.get("hlt"), undefined);
    }),
);

kvmTest(
  "on: the PIT interrupts by itself",
  () =>
    withThreads({ kernelIrqchip: "on" }, async (b) => {
      b.port(0x90, 1, { write: () => b.vcpu.kick() });
      vector(b, 0x20, 0x2000, "fe c3 b0 20 e6 20 cf"); // inc bl; EOI; iret
      b.load(
        0x1000,
        hex(`
      b3 00 ${LINT0_EXTINT} ${picSetup("fe")}
      b0 34 e6 43 b0 54 e6 40 b0 04 e6 40 ; channel 0, mode 2, 1108 clocks: 0.9 ms
      fb
      f4 80 fb 05 75 fa                   ; again: hlt; cmp bl, 5; jne again
      e6 90 f4`),
      );
      unreal(b);
      assertEquals((await within(5000, b.vcpu.runAsync!())).reason, "interrupted");
      assertEquals(b.vcpu.getRegs().rbx & 0xffn, 5n);
    }),
);

kvmTest(
  "on: messages reach the LAPIC that they name, edge or level",
  () =>
    withThreads({ kernelIrqchip: "on" }, async (b) => {
      const chip = b.vm.irqchip!;
      for (const n of [0x51, 0x52]) {
        vector(b, n, n * 0x40, `b0 ${n.toString(16)} e6 80 c6 06 b0 00 00 cf`); // out 80h, n; EOI; iret
      }
      b.watch(0x80);
      b.load(0x1000, hex("66 c7 06 f0 00 ff 01 00 00 fb f4 eb fd")); // SVR; sti; again: hlt; jmp again
      unreal(b);
      const run = b.vcpu.runAsync!();
      for (let i = 0; i < 200 && !chip.signalMsi(0xfee00000, 0x51); i++) {
        await new Promise((r) => setTimeout(r, 5)); // until the LAPIC is on
      }
      while (b.log.length < 1) await new Promise((r) => setTimeout(r, 1));
      assert(chip.signalMsi(0xfee00000, 0x52));
      assertEquals(chip.signalMsi(0xfee07000, 0x52), false, "there is no APIC 7");
      while (b.log.length < 2) await new Promise((r) => setTimeout(r, 1));
      b.vcpu.kick();
      await within(5000, run);
      assertEquals(b.log.map((a) => a.value), [0x51, 0x52]);
    }),
);

kvmTest(
  "on: INIT and SIPI stay in the kernel",
  () =>
    withThreads({ kernelIrqchip: "on", vcpus: 2 }, async (b) => {
      const ap = b.vm.vcpus[1];
      b.port(0x90, 1, {
        write: () => {
          b.vcpu.kick();
          ap.kick();
        },
      });
      b.watch(0x80, 2);
      b.load(
        0x1000,
        hex(`
      66 c7 06 f0 00 ff 01 00 00 ; SVR: enable
      66 c7 06 10 03 00 00 00 01 ; ICR high: APIC ID 1
      66 c7 06 00 03 00 45 00 00 ; ICR: INIT
      66 c7 06 00 03 03 46 00 00 ; ICR: SIPI at 3000h
      eb fe`),
      );
      b.load(0x3000, hex("8c c8 e7 80 e6 90 f4")); // mov ax, cs; out 80h, ax; out 90h; hlt
      unreal(b);
      assertEquals(ap.mpState, "uninitialized");
      const runs = [b.vcpu.runAsync!(), ap.runAsync!()];
      await within(5000, Promise.all(runs));
      assertEquals(b.log.map((a) => [a.size, a.value]), [[2, 0x300]]);
      ap.reset();
      assertEquals(ap.mpState, "uninitialized");
    }),
);

kvmTest(
  "on: the chips' state is saved, reset and loaded",
  () =>
    withThreads({ kernelIrqchip: "on" }, async (b) => {
      b.port(0x90, 1, { write: () => b.vcpu.kick() });
      b.load(
        0x1000,
        hex(`
      ${picSetup("3a")}
      26 66 c7 06 00 00 11 00 00 00 ; IOREGSEL: IOREDTBL0 high
      26 66 c7 06 10 00 00 00 00 07 ; IOWIN
      66 c7 06 f0 00 ff 01 00 00    ; SVR
      e6 90 e4 21 e6 80 e6 90 f4    ; out 90h; in al, 21h; out 80h; out 90h`),
      );
      unreal(b);
      b.watch(0x80);
      await within(5000, b.vcpu.runAsync!());
      const chip = b.vm.irqchip!, saved = chip.save();
      const chips = (state: unknown) => (state as { chips: Uint8Array[] }).chips;
      const destination = 0x20 + 7; // of redirection entry 0
      assertEquals(chips(saved)[2][destination], 7);
      const events = b.vcpu.saveEvents();
      chip.reset();
      await within(5000, b.vcpu.runAsync!());
      assertEquals(b.log.map((a) => a.value), [0], "reset unmasks");
      assertEquals(chips(chip.save())[2][destination], 0);
      chip.load(saved);
      b.vcpu.loadEvents(events);
      assertEquals(chips(chip.save()), chips(saved)); // the PIT's load times are of the host's clock
      b.vcpu.setRegs({ rip: b.vcpu.getRegs().rip - 6n }); // once more: in al, 21h
      await within(5000, b.vcpu.runAsync!());
      assertEquals(b.log.map((a) => a.value), [0, 0x3a]);
    }),
);

kvmTest(
  "split: the user-space PIC interrupts through INTR, messages through the LAPIC",
  () =>
    withThreads({ kernelIrqchip: "split" }, async (b) => {
      const chip = b.vm.irqchip!, pic = new Vectors(b.vcpu), eois: number[] = [];
      chip.onEoi = (v) => eois.push(v);
      b.watch(0x80);
      b.port(0x90, 1, { write: () => b.vcpu.kick() });
      vector(b, 0x21, 0x2000, "b0 21 e6 80 cf"); // out 80h, 21h; iret
      vector(b, 0x51, 0x2100, "b0 51 e6 80 66 c7 06 b0 00 00 00 00 00 cf"); // and EOI
      vector(b, 0x52, 0x2200, "b0 52 e6 80 66 c7 06 b0 00 00 00 00 00 cf");
      b.load(
        0x1000,
        hex(`
      66 c7 06 f0 00 ff 01 00 00 ; SVR: enable
      66 c7 06 50 03 00 07 00 00 ; LVT0: ExtINT
      e6 90 fb
      f4 f4 f4 e6 90 f4          ; three interrupts`),
      );
      unreal(b);
      await within(5000, b.vcpu.runAsync!());
      chip.setRoute(5, { address: 0xfee00000, data: 0x8051 }); // level-triggered
      const steps = [
        () => pic.raise(0x21),
        () => assert(chip.signalMsi(0xfee00000, 0x8051)),
        () => assert(chip.signalMsi(0xfee00000, 0x52)),
      ];
      const run = b.vcpu.runAsync!();
      for (const [i, step] of steps.entries()) {
        await new Promise((r) => setTimeout(r, 10));
        step();
        while (b.log.length <= i) await new Promise((r) => setTimeout(r, 1));
      }
      await within(5000, run);
      assertEquals(b.log.map((a) => a.value), [0x21, 0x51, 0x52]);
      assertEquals(eois, [0x51], "an edge-triggered one is not reported");
    }),
);

kvmTest(
  "on: ports of the chips from this side: set-up, EOI, masks, the timer",
  () =>
    withThreads({ kernelIrqchip: "on" }, async (b) => {
      const chip = b.vm.irqchip!, chips = new KernelChips(chip);
      for (const { port, region } of chips.ports()) b.io.map(region, port);
      b.io.map(ioRegion("pit", 4, chip.pitPorts!), 0x40);
      const outb = (port: number, ...values: number[]) =>
        values.forEach((v) => b.io.write(port, 1, v));
      outb(0x20, 0x11);
      outb(0x21, 0x20, 0x04, 0x01, 0xfd); // vectors from 20h, IRQ 1 alone
      outb(0xa0, 0x11);
      outb(0xa1, 0x28, 0x02, 0x01, 0xff);
      assertEquals([b.io.read(0x21, 1), b.io.read(0xa1, 1)], [0xfd, 0xff]);
      assertEquals(chips.pic.state.master.base, 0x20);
      let seen = 0;
      b.port(0x91, 1, {
        write: () => {
          outb(0x20, 0x0b);
          assertEquals(b.io.read(0x20, 1), 2, "in service");
          outb(0x20, 0x20);
          assertEquals(b.io.read(0x20, 1), 0, "ended");
          chip.setIrqLine(1, false);
          if (++seen < 3) setTimeout(() => chip.setIrqLine(1, true), 5);
          else b.vcpu.kick();
        },
      });
      vector(b, 0x21, 0x2000, "e6 91 cf"); // out 91h, al; iret
      vector(b, 0x20, 0x2100, "e6 92 cf");
      b.load(0x1000, hex(`${LINT0_EXTINT} fb f4 eb fc`)); // again: sti; hlt; jmp
      unreal(b);
      setTimeout(() => chip.setIrqLine(1, true), 10);
      await within(5000, b.vcpu.runAsync!());
      assertEquals(seen, 3);

      outb(0x21, 0xfe); // the timer alone, at 1 kHz
      outb(0x43, 0x34);
      outb(0x40, 1193 & 0xff, 1193 >> 8);
      let ticks = 0;
      b.port(0x92, 1, {
        write: () => {
          outb(0x20, 0x20);
          if (++ticks === 5) b.vcpu.kick();
        },
      });
      await within(5000, b.vcpu.runAsync!());
      assertEquals(ticks, 5);
      const counts = Array.from({ length: 20 }, () => {
        outb(0x43, 0x00); // latch
        return b.io.read(0x40, 1) | b.io.read(0x40, 1) << 8;
      });
      assert(counts.every((c) => c <= 1193), counts.join());
      assert(new Set(counts).size > 1, "it counts");
    }),
);
